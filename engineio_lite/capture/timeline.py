"""A record of the door, read as a conversation: one row for each packet that crossed the wire, with its time, direction, carrier and meaning.

Packets are decoded up to Socket.IO where they can be; one that cannot is shown as it is, with the reason. What is secret is shortened or masked here, so a row
can be printed: a session id keeps its first characters, the strings of an auth payload are hidden unless the caller asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engineio_lite.capture.recorder import Record
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import Output
from engineio_lite.events import Closed, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import DecodeError, HandshakeError, elide
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import FrameReceived, Input, RequestFailed, ResponseReceived, WebSocketClosed, WebSocketFailed, WebSocketOpened, WebSocketRefused
from engineio_lite.packet import Packet, PacketType, decode_packet
from engineio_lite.payload import decode_payload
from engineio_lite.socketio.packet import Decoder, encode
from engineio_lite.socketio.packet import Packet as SocketIOPacket
from engineio_lite.socketio.packet import PacketType as SocketIOType
from engineio_lite.state import Transport

UP = "->"
DOWN = "<-"
HERE = "  "

_SID_SHOWN = 4
"""Characters kept of a session id: enough to tell two sessions apart, too few to use one."""

_MEANINGS = {
    (PacketType.PING, "probe"): "probe: can you hear me?",
    (PacketType.PONG, "probe"): "probe answered: frames pass both ways",
    (PacketType.PING, ""): "ping",
    (PacketType.PONG, ""): "pong",
    (PacketType.UPGRADE, ""): "upgrade: from here on by WebSocket",
    (PacketType.NOOP, ""): "noop: ends a poll",
    (PacketType.CLOSE, ""): "close",
}


class Row(msgspec.Struct, frozen=True):
    """One line of a timeline.

    `at` is seconds since the first record; `direction` is ``->`` (to the server), ``<-`` (from it) or blank for what happened on this side; `carrier` says what
    brought it, such as ``GET 3`` or ``WebSocket 1``; `packet` quotes it, masked and shortened; `meaning` is what it says.
    """

    at: float
    direction: str
    carrier: str
    packet: str
    meaning: str


def timeline(records: Iterable[Record], *, secrets: bool = False, width: int = 100) -> list[Row]:
    """Read `records` as a conversation; `width` bounds the quoted packets and meanings, in characters. With `secrets`, auth payloads are shown."""
    reader = _Reader(secrets, width)
    return [row for record in records for row in reader.read(record)]


class _Reader:
    """Reads records one after the other: it remembers what the requests were and which attachments are awaited."""

    def __init__(self, secrets: bool, width: int) -> None:
        self._secrets = secrets
        self._width = width
        self._start: float | None = None
        self._now = 0.0
        self._carriers: dict[int, str] = {}
        self._decoders = {UP: Decoder(), DOWN: Decoder()}

    def read(self, record: Record) -> Iterator[Row]:
        if self._start is None:
            self._start = record.at
        self._now = record.at - self._start
        yield from self._input(record.input)
        for output in record.outputs:
            yield from self._output(output)

    def _row(self, direction: str, carrier: str, packet: str, meaning: str) -> Row:
        return Row(self._now, direction, carrier, packet, meaning)

    def _input(self, input: Input) -> Iterator[Row]:
        match input:
            case ResponseReceived(request, 200, _, body):
                carrier = self._carriers.get(request, f"request {request}")
                if carrier.startswith("POST"):
                    yield self._row(DOWN, carrier, "200", "taken")
                else:
                    yield from self._body(DOWN, carrier, body)
            case ResponseReceived(request, status, _, body):
                yield self._row(DOWN, self._carriers.get(request, f"request {request}"), f"HTTP {status}", elide(body.decode(errors="replace"), self._width))
            case RequestFailed(request, cause, detail):
                yield self._row(DOWN, self._carriers.get(request, f"request {request}"), cause, detail)
            case FrameReceived(socket, data):
                yield self._frame(DOWN, socket, data)
            case WebSocketOpened(socket):
                yield self._row(DOWN, f"WebSocket {socket}", "101", "open")
            case WebSocketRefused(socket, status, _, body):
                yield self._row(DOWN, f"WebSocket {socket}", f"HTTP {status}", elide(body.decode(errors="replace"), self._width))
            case WebSocketFailed(socket, cause, detail):
                yield self._row(DOWN, f"WebSocket {socket}", cause, detail)
            case WebSocketClosed(socket, code, reason):
                yield self._row(DOWN, f"WebSocket {socket}", "Close", f"code {code}" if code is not None else "without a code" + (f": {reason}" if reason else ""))

    def _output(self, output: Output) -> Iterator[Row]:
        match output:
            case Poll(request):
                carrier = self._carriers[request] = f"GET {request}"
                yield self._row(UP, carrier, "", "open a session" if request == 1 else "poll")
            case Post(request, _, body):
                carrier = self._carriers[request] = f"POST {request}"
                yield from self._body(UP, carrier, body)
            case OpenWebSocket(socket):
                yield self._row(UP, f"WebSocket {socket}", "GET", "open a WebSocket beside it" if self._carriers else "open a WebSocket")
            case SendFrame(socket, data):
                yield self._frame(UP, socket, data)
            case CloseTransport(transport, socket):
                carrier = f"WebSocket {socket}" if transport is Transport.WEBSOCKET else "polling"
                yield self._row(UP, carrier, "Close" if socket else "", "close" if socket else "abandon what is in flight")
            case Upgraded():
                yield self._row(HERE, "", "", "upgraded")
            case UpgradeFailed(error):
                yield self._row(HERE, "", "", f"upgrade failed: {error.message}")
            case PollingStuck(polls):
                yield self._row(HERE, "", "", f"{polls} polls were answered with nothing: the server is stuck, repairing it")
            case Closed(reason, error):
                yield self._row(HERE, "", "", f"closed: {reason}" + (f", {error.message}" if error is not None else ""))

    def _body(self, direction: str, carrier: str, body: bytes) -> Iterator[Row]:
        packets: Sequence[Packet]
        fault = None
        try:
            packets = decode_payload(body)
        except DecodeError as error:
            packets, fault = error.packets, error
        for packet in packets:
            yield self._packet(direction, carrier, packet)
        if fault is not None:
            yield self._row(direction, carrier, fault.excerpt, f"{fault.code}: no packet")
        elif not packets:
            yield self._row(direction, carrier, "", "nothing")

    def _frame(self, direction: str, socket: int, data: str | bytes) -> Row:
        carrier = f"WebSocket {socket}"
        try:
            return self._packet(direction, carrier, decode_packet(data))
        except DecodeError as error:
            return self._row(direction, carrier, error.excerpt, f"{error.code}: no packet")

    def _packet(self, direction: str, carrier: str, packet: Packet) -> Row:
        data = packet.data
        if packet.type is PacketType.OPEN and isinstance(data, str):
            return self._row(direction, carrier, "0{…}", self._open(data))
        if packet.type is not PacketType.MESSAGE:
            digit = "0123456"[list(PacketType).index(packet.type)]
            return self._row(direction, carrier, f"{digit}{data!s}"[: self._width], _MEANINGS.get((packet.type, str(data)), packet.type))
        decoder = self._decoders[direction]
        try:
            inner = decoder.feed(data)
        except DecodeError as error:
            return self._row(direction, carrier, _quote(data, self._width), f"message, not Socket.IO: {error.code}")
        if inner is None:
            return self._row(direction, carrier, _quote(data, self._width), f"{decoder.pending} attachments to come" if isinstance(data, str) else "attachment")
        if inner.type is SocketIOType.CONNECT and not self._secrets and direction == UP:
            inner = msgspec.structs.replace(inner, data=_mask(inner.data))
            (shown,) = encode(inner)
            return self._row(direction, carrier, _quote(shown, self._width), self._meaning(inner))
        return self._row(direction, carrier, _quote(data, self._width), self._meaning(inner))

    def _open(self, data: str) -> str:
        try:
            opened = Handshake.parse(data)
        except HandshakeError as error:
            return f"no open packet: {error.message}"
        upgrades = f", offers {', '.join(opened.upgrades)}" if opened.upgrades else ""
        return f"open: sid {opened.sid[:_SID_SHOWN]}…, ping every {opened.ping_interval:g} s, timeout {opened.ping_timeout:g} s{upgrades}"

    def _meaning(self, packet: SocketIOPacket) -> str:
        namespace = "" if packet.namespace == "/" else f" {packet.namespace}"
        number = "" if packet.id is None else f" #{packet.id}"
        data = packet.data
        match packet.type:
            case SocketIOType.EVENT if isinstance(data, list):
                return f"event{namespace}{number} {data[0]}: {_short(data[1:], self._width)}"
            case SocketIOType.ACK:
                return f"answer{namespace}{number}: {_short(data, self._width)}"
            case SocketIOType.CONNECT if isinstance(data, dict) and isinstance(data.get("sid"), str):
                return f"connected to {packet.namespace} as {data['sid'][:_SID_SHOWN]}…"
            case SocketIOType.CONNECT:
                shown = "" if data is msgspec.UNSET else f" with {_short(data, self._width)}"
                return f"connect to {packet.namespace}{shown}"
            case SocketIOType.CONNECT_ERROR:
                return f"refused {packet.namespace}: {_short(data, self._width)}"
            case _:
                return f"leave {packet.namespace}"


def _quote(data: str | bytes, width: int) -> str:
    if isinstance(data, bytes):
        return f"{len(data)} bytes {data[:8].hex()}{'…' if len(data) > 8 else ''}"
    shown = elide(f"4{data}", width)
    return shown[1:-1] if shown.endswith("'") else shown[1:].replace("'…", "…", 1)


def _short(value: object, width: int) -> str:
    shown = msgspec.json.encode(value, enc_hook=repr).decode()
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def _mask(value: object) -> object:
    """The same shape with every string hidden."""
    match value:
        case dict():
            return {key: _mask(item) for key, item in value.items()}
        case list():
            return [_mask(item) for item in value]
        case str():
            return "<redacted>"
        case _:
            return value
