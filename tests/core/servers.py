"""Two servers to be wrong against: Engine.IO as the Node reference and as python-engineio really behave.

They are models, not servers: no sockets, no time of their own. Each is written from what was *observed* of the real one, traps included, because a
client that is only correct against a courteous server is not correct:

- `NodeServer` ends the session at a second GET or POST, nudges a pending poll with ``6`` every 100 ms once it has seen the probe, destroys the POST
  that is still arriving when ``5`` comes, answers the pending poll with ``1`` then, and every later request with 400.
- `PythonServer` answers every new poll with ``6`` and nothing else from the moment the upgrade's WebSocket is *open*, queues one noop behind the
  probe's answer, forgets to reset that state if the socket vanishes before the probe, lets a forgotten poll steal packets, and says ``200 OK`` to a
  POST of more than 16 packets, all of which it drops.

A server is told what arrives (`get`, `post_begins`, `post_ends`, `socket_opens`, `frame`, `socket_closes`) and what its clock does (`fire` for a
name in `timers`), and says what it does about it in `emissions`, which the world takes away after each call. `received` is what its application
saw. The small codec here is the servers' own, so that a mistake in the library's cannot cancel itself out.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

SID = "sid-of-the-session"
Packet = str | bytes
"""One packet of the model: text with its type digit, or the bytes of a binary message."""


@dataclass(frozen=True)
class Respond:
    """Answer a request."""

    request: int
    status: int
    body: str


@dataclass(frozen=True)
class Destroy:
    """Break the TCP connection of a request."""

    request: int


@dataclass(frozen=True)
class Accept:
    """Answer the handshake of a WebSocket with 101."""

    socket: int


@dataclass(frozen=True)
class Refuse:
    """Answer the handshake of a WebSocket with 400."""

    socket: int


@dataclass(frozen=True)
class Frame:
    """Send one WebSocket message."""

    socket: int
    data: str | bytes


@dataclass(frozen=True)
class Hangup:
    """Close a WebSocket."""

    socket: int


Emission = Respond | Destroy | Accept | Refuse | Frame | Hangup


def encode(packets: list[Packet]) -> str:
    """Write packets as a polling body."""
    return "\x1e".join(packet if isinstance(packet, str) else "b" + base64.b64encode(packet).decode() for packet in packets)


def decode(body: str) -> list[Packet]:
    """Read a polling body; raises ValueError where a real server would."""
    packets: list[Packet] = []
    for part in body.split("\x1e"):
        if part.startswith("b"):
            try:
                packets.append(base64.b64decode(part[1:], validate=True))
            except binascii.Error as error:
                raise ValueError(part) from error
        elif part[:1] in tuple("0123456"):
            packets.append(part)
        else:
            raise ValueError(part)
    return packets


def message(data: str | bytes) -> Packet:
    """Make the packet that carries a message."""
    return "4" + data if isinstance(data, str) else data


class Server:
    """What both have in common: one session, its application, its heartbeat."""

    name = "server"

    def __init__(self, *, ping_interval: float, ping_timeout: float, max_payload: int) -> None:
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_payload = max_payload
        self.now = 0.0
        self.timers: dict[str, float] = {}
        self.emissions: list[Emission] = []
        self.received: list[str | bytes] = []
        self.sent: list[str | bytes] = []
        self.queue: list[Packet] = []
        self.closing = False
        self.gone = False

    # --- What the world tells it.

    def open(self, request: int) -> None:
        """The handshake."""
        offer = {
            "sid": SID,
            "upgrades": ["websocket"],
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
            "maxPayload": self.max_payload,
        }
        self.timers["ping"] = self.now + self.ping_interval
        self.emissions.append(Respond(request, 200, "0" + json.dumps(offer, separators=(",", ":"))))

    def send(self, data: str | bytes) -> None:
        """The server's application sends a message."""
        self.sent.append(data)
        self.queue.append(message(data))
        self.flush()

    def fire(self, name: str) -> None:
        """One of the timers is due."""
        del self.timers[name]
        if name == "ping":
            self.timers["pong"] = self.now + self.ping_timeout
            self.queue.append("2")
            self.flush()
        elif name == "pong":
            self.close()
        else:
            self.fire_own(name)

    def pong(self) -> None:
        """The client answered; the next ping is an interval away."""
        self.timers.pop("pong", None)
        self.timers["ping"] = self.now + self.ping_interval

    def end(self) -> None:
        """The session is no more."""
        self.gone = True
        self.timers.clear()
        self.queue.clear()

    # --- What each does in its own way.

    def fire_own(self, name: str) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def get(self, request: int) -> None:
        raise NotImplementedError

    def get_abandoned(self, request: int) -> None:
        raise NotImplementedError

    def post_begins(self, request: int) -> None:
        raise NotImplementedError

    def post_ends(self, request: int, body: str) -> None:
        raise NotImplementedError

    def socket_opens(self, socket: int) -> None:
        raise NotImplementedError

    def frame(self, socket: int, data: str | bytes) -> None:
        raise NotImplementedError

    def socket_closes(self, socket: int) -> None:
        raise NotImplementedError

    @property
    def deaf_to_polls(self) -> bool:
        """Whether polls are answered with nothing at the moment."""
        return False


class NodeServer(Server):
    """engine.io 6.6: `_maybeUpgrade`, the polling transport, and their checks."""

    name = "node"
    upgrade_timeout = 10.0
    tick = 0.1

    def __init__(self, *, ping_interval: float, ping_timeout: float, max_payload: int) -> None:
        super().__init__(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload)
        self.poll: int | None = None
        self.post: int | None = None
        self.candidate: int | None = None
        self.websocket: int | None = None

    def refuse(self, request: int, code: int) -> None:
        self.emissions.append(Respond(request, 400, json.dumps({"code": code, "message": "refused"})))

    def answer_poll(self, packets: list[Packet]) -> None:
        if self.poll is not None:
            self.emissions.append(Respond(self.poll, 200, encode(packets)))
            self.poll = None

    def flush(self) -> None:
        if self.websocket is not None:
            self.emissions += [Frame(self.websocket, packet) for packet in self.queue]
            self.queue.clear()
        elif self.poll is not None and self.queue:
            packets, self.queue = self.queue, []
            self.answer_poll(packets)
        if self.closing and not self.queue and not self.gone:
            self.close_transport()

    def close(self) -> None:
        self.closing = True
        self.flush()

    def close_transport(self) -> None:
        if self.websocket is not None:
            self.emissions.append(Hangup(self.websocket))
            self.end()
        elif self.poll is not None:
            self.kill()

    def kill(self) -> None:
        """End a polling session: a POST in arrival is destroyed, a pending poll gets ``1``, an upgrade in progress is dropped."""
        if self.post is not None:
            self.emissions.append(Destroy(self.post))
            self.post = None
        self.answer_poll(["1"])
        self.drop_candidate()
        self.end()

    def get(self, request: int) -> None:
        if self.gone:
            self.refuse(request, 1)
        elif self.websocket is not None:
            self.refuse(request, 3)
        elif self.poll is not None:
            self.emissions.append(Respond(request, 400, ""))
            self.kill()
        else:
            self.poll = request
            self.flush()

    def get_abandoned(self, request: int) -> None:
        if self.poll == request:
            self.poll = None
            self.kill()

    def post_begins(self, request: int) -> None:
        if self.gone:
            self.refuse(request, 1)
        elif self.websocket is not None:
            self.refuse(request, 3)
        elif self.post is not None:
            self.emissions.append(Respond(request, 400, ""))
            self.kill()
        else:
            self.post = request

    def post_ends(self, request: int, body: str) -> None:
        if self.post != request:
            return
        self.post = None
        if len(body.encode()) > self.max_payload:
            self.emissions.append(Respond(request, 413, ""))
            return
        try:
            packets = decode(body)
        except ValueError:
            self.kill()
            packets = []
        for packet in packets:
            self.handle(packet)
        self.emissions.append(Respond(request, 200, "ok"))

    def handle(self, packet: Packet) -> None:
        if self.gone:
            return
        if isinstance(packet, bytes):
            self.received.append(packet)
        elif packet[0] == "4":
            self.received.append(packet[1:])
        elif packet[0] == "3":
            self.pong()
        elif packet[0] == "1":
            if self.websocket is None:
                self.answer_poll(["6"])
                self.drop_candidate()
                self.end()
        else:
            self.kill() if self.websocket is None else self.close_transport()

    def socket_opens(self, socket: int) -> None:
        if self.gone:
            self.emissions.append(Refuse(socket))
        elif self.candidate is not None or self.websocket is not None:
            self.emissions += [Accept(socket), Hangup(socket)]
        else:
            self.candidate = socket
            self.timers["upgrade"] = self.now + self.upgrade_timeout
            self.emissions.append(Accept(socket))

    def drop_candidate(self) -> None:
        if self.candidate is not None:
            self.emissions.append(Hangup(self.candidate))
            self.forget_candidate()

    def forget_candidate(self) -> None:
        self.candidate = None
        self.timers.pop("upgrade", None)
        self.timers.pop("tick", None)

    def frame(self, socket: int, data: str | bytes) -> None:
        if socket == self.websocket:
            self.handle(data)
        elif socket != self.candidate:
            return
        elif data == "2probe":
            self.emissions.append(Frame(socket, "3probe"))
            self.timers["tick"] = self.now + self.tick
        elif data == "5":
            if self.post is not None:
                self.emissions.append(Destroy(self.post))
                self.post = None
            self.forget_candidate()
            self.timers.pop("pong", None)
            self.answer_poll(["1"])
            self.websocket = socket
            self.flush()
        else:
            self.drop_candidate()

    def socket_closes(self, socket: int) -> None:
        if socket == self.candidate:
            self.forget_candidate()
        elif socket == self.websocket:
            self.end()

    def fire_own(self, name: str) -> None:
        if name == "tick":
            self.timers["tick"] = self.now + self.tick
            self.answer_poll(["6"])
        elif name == "upgrade":
            self.drop_candidate()


class PythonServer(Server):
    """python-engineio 4.15: `handle_get_request`, `_websocket_handler`, one queue."""

    name = "python"
    max_decode_packets = 16

    def __init__(self, *, ping_interval: float, ping_timeout: float, max_payload: int) -> None:
        super().__init__(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload)
        self.pollers: list[int] = []
        self.posts: list[int] = []
        self.upgrading = False
        self.first_frame_due: set[int] = set()
        self.second_frame_due: set[int] = set()
        self.websocket: int | None = None

    @property
    def deaf_to_polls(self) -> bool:
        return self.upgrading

    def refuse(self, request: int, text: str) -> None:
        self.emissions.append(Respond(request, 400, json.dumps(text)))

    def flush(self) -> None:
        # A poll that waits takes everything there is; only what nobody polls for goes to the writer of the WebSocket.
        if self.queue and self.pollers:
            packets, self.queue = self.queue, []
            self.emissions.append(Respond(self.pollers.pop(0), 200, encode(packets)))
        elif self.queue and self.websocket is not None:
            packets, self.queue = self.queue, []
            self.emissions += [Frame(self.websocket, packet) for packet in packets]
        else:
            return
        if self.closing:
            self.end()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.timers.clear()
            self.queue.append("1")
            self.flush()

    def get(self, request: int) -> None:
        if self.gone:
            self.refuse(request, f"Invalid session {SID}")
        elif self.websocket is not None:
            self.refuse(request, "Unexpected HTTP request")
        elif self.upgrading:
            self.emissions.append(Respond(request, 200, "6"))
        else:
            self.pollers.append(request)
            self.flush()

    def get_abandoned(self, request: int) -> None:
        """Nothing: the poll stays queued and swallows the next packets."""

    def post_begins(self, request: int) -> None:
        if self.gone:
            self.refuse(request, f"Invalid session {SID}")
        elif self.websocket is not None:
            self.refuse(request, "Unexpected HTTP request")
        else:
            self.posts.append(request)

    def post_ends(self, request: int, body: str) -> None:
        if request not in self.posts:
            return
        self.posts.remove(request)
        if len(body.encode()) > self.max_payload:
            self.end()
            self.refuse(request, "too large")
            return
        try:
            packets = decode(body)
        except ValueError:
            packets = []
        for packet in packets if len(packets) <= self.max_decode_packets else ():
            self.handle(packet)
        self.emissions.append(Respond(request, 200, "OK"))

    def handle(self, packet: Packet) -> None:
        if self.gone:
            return
        if isinstance(packet, bytes):
            self.received.append(packet)
        elif packet[0] == "4":
            self.received.append(packet[1:])
        elif packet[0] == "3":
            self.pong()
        elif packet[0] == "1":
            self.end()
        elif packet[0] == "5":
            self.queue.append("6")
            self.flush()
        else:
            self.end()

    def socket_opens(self, socket: int) -> None:
        if self.gone or self.websocket is not None:
            self.emissions.append(Refuse(socket))
        else:
            self.upgrading = True
            self.first_frame_due.add(socket)
            self.emissions.append(Accept(socket))

    def frame(self, socket: int, data: str | bytes) -> None:
        if socket == self.websocket:
            self.handle(data)
        elif socket in self.first_frame_due:
            self.first_frame_due.discard(socket)
            if data == "2probe":
                self.second_frame_due.add(socket)
                self.emissions.append(Frame(socket, "3probe"))
                self.queue.append("6")
                self.flush()
            else:
                self.upgrading = False
                self.emissions.append(Hangup(socket))
        elif socket in self.second_frame_due:
            self.second_frame_due.discard(socket)
            self.upgrading = False
            if data == "5":
                self.websocket = socket
                self.flush()
            else:
                self.emissions.append(Hangup(socket))

    def socket_closes(self, socket: int) -> None:
        if socket == self.websocket:
            self.end()
        elif socket in self.second_frame_due:
            self.second_frame_due.discard(socket)
            self.upgrading = False
        # Before the probe nobody resets `upgrading`: from now on every poll is answered with 6.
        self.first_frame_due.discard(socket)

    def fire_own(self, name: str) -> None:
        raise AssertionError(name)
