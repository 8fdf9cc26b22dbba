"""Applications for the server under test: a plain Engine.IO echo, and a Socket.IO server that does what the peers' servers do.

`SocketIO` understands those events of ``tests/peers/__init__.py`` that a test here needs, under the same names, so that whatever is written against a
peer can be let loose on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from engineio_lite.replay.live import LiveSession
from engineio_lite.replay.offer import Offer
from engineio_lite.socketio import Decoder, Packet, PacketType, encode
from engineio_lite.state import CloseReason


class Echo:
    """Sends every message back; ``close!`` ends the session, ``fail!`` makes the application fail. Remembers what it was told."""

    def __init__(self, *, offer: Offer | None = None, burst: int = 0) -> None:
        self.offer = offer
        self.burst = burst
        self.received: list[str | bytes] = []
        self.reasons: list[CloseReason] = []
        self.ended = asyncio.Event()
        self.sessions: list[LiveSession] = []

    def open(self, session: LiveSession) -> Echoing:
        self.sessions.append(session)
        if self.offer is not None:
            session.offer = self.offer
        session.send(*(f"number {i}" for i in range(self.burst)))
        return Echoing(self, session)


class Echoing:
    """One client of an `Echo`."""

    def __init__(self, application: Echo, session: LiveSession) -> None:
        self.application = application
        self.session = session

    def message(self, data: str | bytes) -> None:
        self.application.received.append(data)
        if data == "close!":
            self.session.close("bye")
        elif data == "fail!":
            raise RuntimeError("as it was told")
        else:
            self.session.send(data)

    def closed(self, reason: CloseReason) -> None:
        self.application.reasons.append(reason)
        self.application.ended.set()


class SocketIO:
    """Lets everybody into ``/`` and ``/echo2``, and into ``/admin`` who knows the word."""

    def __init__(self, *, offer: Offer | None = None) -> None:
        self.offer = offer
        self.reasons: list[CloseReason] = []
        self.ended = asyncio.Event()

    def open(self, session: LiveSession) -> Conversation:
        if self.offer is not None:
            session.offer = self.offer
        return Conversation(self, session)


class Conversation:
    """One client of a `SocketIO`."""

    def __init__(self, application: SocketIO, session: LiveSession) -> None:
        self.application = application
        self.session = session
        self.decoder = Decoder()
        self.counts: list[object] = []
        self.asked = 0
        self.answers: dict[int, Callable[[list[object]], None]] = {}

    def message(self, data: str | bytes) -> None:
        packet = self.decoder.feed(data)
        if packet is not None:
            self.receive(packet)

    def closed(self, reason: CloseReason) -> None:
        self.application.reasons.append(reason)
        self.application.ended.set()

    def send(self, kind: PacketType, namespace: str, data: object = msgspec.UNSET, id: int | None = None) -> None:
        self.session.send(*encode(Packet(kind, data, namespace, id)))

    def emit(self, namespace: str, *data: object) -> None:
        self.send(PacketType.EVENT, namespace, list(data))

    def receive(self, packet: Packet) -> None:
        match packet.type:
            case PacketType.CONNECT:
                self.connect(packet.namespace, packet.data if isinstance(packet.data, dict) else {})
            case PacketType.EVENT:
                assert isinstance(packet.data, list)
                self.event(packet, str(packet.data[0]), packet.data[1:])
            case PacketType.ACK:
                assert packet.id is not None
                assert isinstance(packet.data, list)
                self.answers.pop(packet.id)(packet.data)
            case _:
                assert packet.type is PacketType.DISCONNECT

    def connect(self, namespace: str, auth: dict[str, object]) -> None:
        if namespace == "/admin" and auth.get("token") != "letmein":
            self.send(PacketType.CONNECT_ERROR, namespace, {"message": "not authorized", "data": {"code": 7}})
        elif namespace not in ("/", "/admin", "/echo2"):
            self.send(PacketType.CONNECT_ERROR, namespace, {"message": "Invalid namespace"})
        else:
            self.send(PacketType.CONNECT, namespace, {"sid": f"sid of {namespace}"})
            self.emit(namespace, "welcome", {"auth": auth, "transport": str(self.session.transport)})

    def event(self, packet: Packet, name: str, args: list[object]) -> None:
        answer: list[object] | None = []
        match name, args:
            case "echo", _:
                self.emit(packet.namespace, "echo", *args)
                answer = args
            case "flood" | "stream", [int(n)]:
                for i in range(n):
                    self.emit(packet.namespace, "number", i)
            case "count", [i]:
                self.counts.append(i)
            case "report", []:
                counts, self.counts = self.counts, []
                answer = [{"received": len(counts), "inOrder": counts == list(range(len(counts))), "last": counts[-1] if counts else None}]
            case "transport", []:
                answer = [str(self.session.transport)]
            case "askme" | "askbinary", _:
                self.ask(packet, [b"\x01\x02\x03", {"nested": [b"\xff"], "text": "grüße"}] if name == "askbinary" else args)
                answer = None
            case "kick", []:
                self.send(PacketType.DISCONNECT, packet.namespace)
                answer = None
            case "drop", []:
                self.session.close()
                answer = None
            case _:
                raise AssertionError(f"no such event: {name} {args}")
        if answer is not None and packet.id is not None:
            self.send(PacketType.ACK, packet.namespace, answer, packet.id)

    def ask(self, packet: Packet, args: list[object]) -> None:
        """Ask the client; what it says comes back as the event ``answer``, and as the acknowledgement."""

        def answered(answer: list[object]) -> None:
            self.emit(packet.namespace, "answer", *answer)
            if packet.id is not None:
                self.send(PacketType.ACK, packet.namespace, answer, packet.id)

        self.asked += 1
        self.answers[self.asked] = answered
        self.send(PacketType.EVENT, packet.namespace, ["question", *args], self.asked)
