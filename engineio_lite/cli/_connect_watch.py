"""What crosses the wire, read while it does: the door of the Engine.IO connection, seen as notes.

A `Watcher` is given to the client as its recorder, so it sees every passage at the door at once and in the order of the wire, of one connection after
the other. Socket.IO is decoded here a second time, from the messages that came and from those that the client accepted to be sent; so an
acknowledgement stands in its place among the events, is paired with what it answers, and its time is that of the wire. Nothing is kept but what is
needed for that, and nothing is raised: the door belongs to the client, and whatever breaks its rules the client itself finds and says.

Pure: time comes with each record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from engineio_lite.capture import Record, Recorder
from engineio_lite.capture.redaction import REDACTED, Secrets, head, strings
from engineio_lite.cli._connect_notes import Ack, Event, Note, Packet, Sent, State, tells
from engineio_lite.commands import OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.events import MessageReceived, Opened, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import DecodeError, elide
from engineio_lite.inputs import Close, Connect, FrameReceived, ResponseReceived, SendMessages, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.packet import Packet as EnginePacket
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.packet import decode_packet, encode_packet
from engineio_lite.payload import decode_payload
from engineio_lite.socketio import EventReceived, PacketType, Parser
from engineio_lite.socketio import Packet as SocketPacket
from engineio_lite.socketio.parsers import MessageDecoder
from engineio_lite.socketio.recovery import Recovery

MAX_REMEMBERED: Final = 10_000
"""Calls, and questions, that are remembered without an answer; then the oldest goes, which is as many as the library itself lets wait."""

_IDS: Final = ("sid", "pid")

_Name = str | int | float


class Counts(msgspec.Struct):
    """How much has come or gone, over all connections."""

    events: int = 0
    acks: int = 0
    pings: int = 0


class Watcher(Recorder):
    """Tells `take` what happens at the door, in order; `start` is the instant from which time counts, and `epoch` as for `SocketIOLink`."""

    def __init__(self, parser: Parser, secrets: Secrets, start: float, take: Callable[[Note], None], *, epoch: float | None = None) -> None:
        super().__init__(max_records=0)
        self.raw = False
        """Whether every packet is told."""
        self.pings = False
        """Whether the heartbeat is told."""
        self.came = Counts()
        self.sent = Counts()
        self.rtt: tuple[float, str] | None = None
        """The last round trip that was measured, in seconds, and on what."""
        self.opened_at: float | None = None
        self.questions: dict[tuple[str, int], EventReceived] = {}
        """Events of this connection that ask for an acknowledgement and have none yet."""
        self._parser = parser
        self._secrets = secrets
        self._start = start
        self._take = take
        self._epoch = epoch
        self._now = 0.0
        self._recoveries: dict[str, Recovery] = {}
        self._begin()

    def _begin(self) -> None:
        """Another connection: what the last one owed nobody owes any more."""
        self._up: MessageDecoder | None = self._parser.decoder(limits=DEFAULT_LIMITS)
        self._down: MessageDecoder | None = self._parser.decoder(limits=DEFAULT_LIMITS)
        self._calls: dict[tuple[str, int], tuple[_Name, float]] = {}
        self._carriers: dict[int, str] = {}
        self._timed: dict[str, float] = {}
        self.questions.clear()

    @property
    def waiting(self) -> int:
        """How many events wait for their acknowledgement."""
        return len(self._calls)

    def record(self, record: Record) -> None:
        """Tell what this passage means; it is not kept."""
        self._now = record.at - self._start
        match record.input:
            case Connect():
                self._begin()
            case SendMessages(messages) | Close(messages):
                for message in messages:
                    self._message_sent(message)
            case ResponseReceived(request):
                self._measured(f"request {request}", "a POST" if request > 1 else "the handshake")
                self._packets_came(record.input)
            case WebSocketOpened(socket):
                self._measured(f"socket {socket}", "opening the WebSocket")
            case FrameReceived(_, "3probe"):
                self._measured("probe", "the probe")
                self._packets_came(record.input)
            case FrameReceived():
                self._packets_came(record.input)
            case WebSocketClosed(socket, code, reason) if self.raw:
                self._take(Packet(self._now, False, f"WebSocket {socket}", f"closed, code {code} {reason}".rstrip()))
        for output in record.outputs:
            self._output(output)

    def _output(self, output: Any) -> None:
        match output:
            case MessageReceived(data):
                self._message_came(data)
            case SendFrame(socket, data):
                if data == "2probe":
                    self._timed["probe"] = self._now
                self._packets_went(f"WebSocket {socket}", [data])
            case Poll(request):
                self._carriers[request] = f"GET {request}"
                if request == 1:  # the others wait for the server to have something to say
                    self._timed["request 1"] = self._now
            case Post(request, _, body):
                self._carriers[request] = f"POST {request}"
                self._timed[f"request {request}"] = self._now
                self._packets_went(f"POST {request}", decode_payload(body))
            case OpenWebSocket(socket):
                self._timed[f"socket {socket}"] = self._now
            case Opened(handshake, transport):
                self.opened_at = self._now
                self._secrets.learn(handshake.sid, head(handshake.sid))
                beat = {"ping_interval": handshake.ping_interval, "ping_timeout": handshake.ping_timeout}
                self._changed("open", transport=transport.value, sid=head(handshake.sid), **beat)
            case Upgraded():
                self._changed("upgraded", transport="websocket")
            case UpgradeFailed(error):
                self._changed("upgrade-failed", cause=error.cause.value, message=error.message)
            case PollingStuck(polls):
                self._changed("polling-stuck", polls=polls)

    def _changed(self, state: str, **about: object) -> None:
        self._take(State(self._now, state, about))

    def _measured(self, what: str, of: str) -> None:
        began = self._timed.pop(what, None)
        if began is not None:
            self.rtt = (self._now - began, of)

    # ------------------------------------------------------------------------------------------------------------------ packets of Engine.IO

    def _packets_came(self, input: ResponseReceived | FrameReceived) -> None:
        """Look at the packets of one body or frame, if anybody wants to; pings are counted in any case."""
        if isinstance(input, FrameReceived):
            carrier, pings = f"WebSocket {input.socket}", int(input.data == "2")
        else:
            carrier = self._carriers.pop(input.request, f"request {input.request}")
            if input.status != 200 and self.raw:
                self._take(Packet(self._now, False, carrier, f"HTTP {input.status} {elide(input.body.decode(errors='replace'))}"))
            if input.status != 200 or carrier.startswith("POST"):
                return
            pings = input.body.split(b"\x1e").count(b"2")
        self.came.pings += pings
        if self.raw or (self.pings and pings):
            for packet in _packets(input):
                self._packet(packet, carrier, up=False)

    def _packets_went(self, carrier: str, packets: Sequence[EnginePacket | str | bytes]) -> None:
        if self.raw or self.pings:
            for packet in packets:
                self._packet(packet if isinstance(packet, EnginePacket) else decode_packet(packet), carrier, up=True)

    def _packet(self, packet: EnginePacket, carrier: str, *, up: bool) -> None:
        if self.raw:
            self._take(Packet(self._now, up, carrier, self._quoted(packet)))
        elif packet.data == "" and packet.type in (EngineType.PING, EngineType.PONG):
            self._changed(packet.type.value)

    def _quoted(self, packet: EnginePacket) -> str:
        """A packet as it is on the wire, without what an open packet and a CONNECT give away."""
        data = packet.data
        if isinstance(data, bytes) and tells(data, self._secrets):
            return f"{len(data)} bytes {REDACTED}"
        if isinstance(data, bytes):
            return f"{len(data)} bytes {data[:8].hex()}{'…' if len(data) > 8 else ''}"
        if packet.type is EngineType.OPEN:
            return "0{…}"
        if packet.type is EngineType.MESSAGE and data[:1] == "0" and "{" in data:
            return f"4{data.partition('{')[0]}{{…}}"
        return str(encode_packet(packet))

    # ------------------------------------------------------------------------------------------------------------------ packets of Socket.IO

    def _message_sent(self, message: str | bytes) -> None:
        packet, self._up = _fed(self._up, message)
        if packet is None:
            return
        data, namespace = packet.data, packet.namespace
        match packet.type:
            case PacketType.EVENT if isinstance(data, list):
                self.sent.events += 1
                if packet.id is not None:
                    remember(self._calls, (namespace, packet.id), (data[0], self._now))
                self._take(Sent(self._now, namespace, data[0], data[1:], packet.id))
            case PacketType.ACK if isinstance(data, list) and packet.id is not None:
                self.sent.acks += 1
                self.questions.pop((namespace, packet.id), None)
                self._take(Sent(self._now, namespace, None, data, packet.id))
            case PacketType.CONNECT:
                for string in strings(data):
                    self._secrets.learn(string)

    def _message_came(self, message: str | bytes) -> None:
        packet, self._down = _fed(self._down, message)
        if packet is None:
            return
        data, namespace = packet.data, packet.namespace
        match packet.type:
            case PacketType.EVENT if isinstance(data, list):
                self._event(self._recovery(namespace).strip(EventReceived(namespace, data[0], data[1:], packet.id), self._start + self._now))
            case PacketType.ACK if isinstance(data, list) and packet.id is not None:
                self._ack(namespace, packet.id, data)
            case PacketType.CONNECT:
                self._joined(namespace, data)

    def _event(self, event: EventReceived) -> None:
        self.came.events += 1
        if event.ack_id is not None:
            remember(self.questions, (event.namespace, event.ack_id), event)
        self._take(Event(self._now, event))

    def _ack(self, namespace: str, id: int, args: list[object]) -> None:
        self.came.acks += 1
        called = self._calls.pop((namespace, id), None)
        if called is None:
            self._take(Ack(self._now, namespace, id, args))
            return
        name, began = called
        self.rtt = (self._now - began, "an acknowledgement")
        self._take(Ack(self._now, namespace, id, args, name, self._now - began))

    def _joined(self, namespace: str, data: object) -> None:
        ids = data if isinstance(data, dict) else {}
        for name in _IDS:
            if isinstance(secret := ids.get(name), str):
                self._secrets.learn(secret, head(secret))
        sid, pid = ids.get("sid"), ids.get("pid")
        recovered = self._recovery(namespace).granted(pid if isinstance(pid, str) else None)
        self._changed("joined", namespace=namespace, sid=head(sid) if isinstance(sid, str) else "?", recovered=recovered)

    def _recovery(self, namespace: str) -> Recovery:
        if namespace not in self._recoveries:
            remember(self._recoveries, namespace, Recovery(self._epoch))
        return self._recoveries[namespace]


def _packets(input: ResponseReceived | FrameReceived) -> Iterator[EnginePacket]:
    """The packets of a body or a frame, up to the first that is none; the client says what is wrong with that one."""
    try:
        if isinstance(input, FrameReceived):
            yield decode_packet(input.data)
        else:
            yield from decode_payload(input.body)
    except DecodeError as error:
        yield from error.packets


def _fed(decoder: MessageDecoder | None, message: str | bytes) -> tuple[SocketPacket | None, MessageDecoder | None]:
    """The packet that this message completes, and the decoder for the next one: none after a fault, with which the connection ends."""
    if decoder is None:
        return None, None
    try:
        return decoder.feed(message), decoder
    except DecodeError:
        return None, None


def remember(memory: dict[Any, Any], key: object, value: object) -> None:
    """Put one thing more into a memory that forgets the oldest."""
    memory[key] = value
    if len(memory) > MAX_REMEMBERED:
        del memory[next(iter(memory))]
