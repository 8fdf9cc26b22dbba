"""A record of the door, read as a conversation: one row for each packet that crossed the wire, with its time, direction, carrier and meaning.

Packets are decoded up to Socket.IO where they can be; one that cannot is shown as it is, with the reason. What is secret is shortened or masked
here, so a row can be printed: a session id keeps its first characters, the strings of an auth payload are hidden unless the caller asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec

from engineio_lite.capture.recorder import Record
from engineio_lite.capture.redaction import Secrets, head, masked, strings
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import Output
from engineio_lite.events import Closed, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import DecodeError, EngineIOError, HandshakeError, RemoteProtocolError
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import (
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet
from engineio_lite.payload import SEPARATOR, decode_payload
from engineio_lite.socketio.msgpack import MsgpackDecoder
from engineio_lite.socketio.packet import Decoder
from engineio_lite.socketio.packet import Packet as SocketIOPacket
from engineio_lite.socketio.packet import PacketType as SocketIOType
from engineio_lite.state import Transport

UP = "->"
DOWN = "<-"
HERE = "  "

_IDS = ("sid", "pid")

_MEANINGS = {
    (PacketType.PING, "probe"): "probe: can you hear me?",
    (PacketType.PONG, "probe"): "probe answered: frames pass both ways",
    (PacketType.PING, ""): "ping",
    (PacketType.PONG, ""): "pong",
    (PacketType.UPGRADE, ""): "upgrade: from here on by WebSocket",
    (PacketType.NOOP, ""): "noop: ends a poll",
    (PacketType.CLOSE, ""): "close",
}

_MSGPACK = MsgpackDecoder()


class Row(msgspec.Struct, frozen=True):
    """One line of a timeline.

    `at` is seconds since the first record; `direction` is ``->`` (to the server), ``<-`` (from it) or blank for what happened on this side;
    `carrier` says what brought it, such as ``GET 3`` or ``WebSocket 1``; `packet` quotes it, masked and shortened; `meaning` is what it says.
    """

    at: float
    direction: str
    carrier: str
    packet: str
    meaning: str


def timeline(records: Iterable[Record], *, secrets: bool = False, width: int = 100) -> list[Row]:
    """Read `records` as a conversation; `width` bounds the quoted packets and meanings, in characters. With `secrets`, auth payloads are shown."""
    records = tuple(records)
    hidden = Secrets()
    # Twice, because a secret may be repeated before the packet that makes it known: an event may overtake the answer to CONNECT.
    for _ in _rows(records, _Reader(hidden, secrets, width)):
        pass
    return list(_rows(records, _Reader(hidden, secrets, width)))


def _rows(records: Sequence[Record], reader: _Reader) -> Iterator[Row]:
    for record in records:
        yield from reader.read(record)


class _Reader:
    """Reads records one after the other: it remembers what the requests were, which attachments are awaited, and what must not be shown."""

    def __init__(self, hidden: Secrets, show_auth: bool, width: int) -> None:
        self._hidden = hidden
        self._show_auth = show_auth
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
        return Row(self._now, direction, carrier, self._fit(packet), self._fit(meaning))

    def _fit(self, text: str) -> str:
        """Make text fit for one line of a terminal: secrets hidden first, then nothing unprintable, then not too long."""
        text = self._hidden.hide(text)
        if not text.isprintable():
            text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
        return text if len(text) <= self._width else f"{text[: self._width - 1]}…"

    def _input(self, input: Input) -> Iterator[Row]:
        match input:
            case ResponseReceived(request, status, _, body):
                yield from self._response(self._carrier(request), status, body)
            case RequestFailed(request, cause, detail):
                yield self._row(DOWN, self._carrier(request), cause, detail)
            case FrameReceived(socket, data):
                yield self._frame(DOWN, socket, data)
            case WebSocketOpened(socket):
                yield self._row(DOWN, f"WebSocket {socket}", "101", "open")
            case WebSocketRefused(socket, status, _, body):
                yield self._row(DOWN, f"WebSocket {socket}", f"HTTP {status}", self._text(body))
            case WebSocketFailed(socket, cause, detail):
                yield self._row(DOWN, f"WebSocket {socket}", cause, detail)
            case WebSocketClosed(socket, code, reason):
                shown = f"code {code}" if code is not None else "without a code"
                yield self._row(DOWN, f"WebSocket {socket}", "Close", f"{shown}: {reason}" if reason else shown)

    def _carrier(self, request: int) -> str:
        return self._carriers.get(request, f"request {request}")

    def _response(self, carrier: str, status: int, body: bytes) -> Iterator[Row]:
        if status != 200:
            yield self._row(DOWN, carrier, f"HTTP {status}", self._text(body))
        elif carrier.startswith("POST"):
            yield self._row(DOWN, carrier, "200", "taken")
        else:
            yield from self._body(DOWN, carrier, body)

    def _output(self, output: Output) -> Iterator[Row]:
        match output:
            case Poll(request, url):
                self._learn_url(url)
                carrier = self._carriers[request] = f"GET {request}"
                yield self._row(UP, carrier, "", "open a session" if request == 1 else "poll")
            case Post(request, _, body):
                carrier = self._carriers[request] = f"POST {request}"
                yield from self._body(UP, carrier, body)
            case OpenWebSocket(socket, url):
                self._learn_url(url)
                yield self._row(UP, f"WebSocket {socket}", "GET", "open a WebSocket beside it" if self._carriers else "open a WebSocket")
            case SendFrame(socket, data):
                yield self._frame(UP, socket, data)
            case CloseTransport(Transport.WEBSOCKET, socket):
                yield self._row(UP, f"WebSocket {socket}", "Close", "close")
            case CloseTransport():
                yield self._row(UP, "polling", "", "abandon what is in flight")
            case Upgraded():
                yield self._row(HERE, "", "", "upgraded")
            case UpgradeFailed(error):
                yield self._row(HERE, "", "", f"upgrade failed: {_said(error)}")
            case PollingStuck(polls):
                yield self._row(HERE, "", "", f"{polls} polls were answered with nothing: the server is stuck, repairing it")
            case Closed(reason, error):
                yield self._row(HERE, "", "", f"closed: {reason}" + (f", {_said(error)}" if error is not None else ""))

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
            yield self._row(direction, carrier, self._text(body.split(SEPARATOR.encode())[len(packets)]), f"{fault.code}: no packet")
        elif not packets:
            yield self._row(direction, carrier, "", "nothing")

    def _frame(self, direction: str, socket: int, data: str | bytes) -> Row:
        carrier = f"WebSocket {socket}"
        try:
            return self._packet(direction, carrier, decode_packet(data))
        except DecodeError as error:
            return self._row(direction, carrier, str(data), f"{error.code}: no packet")

    def _packet(self, direction: str, carrier: str, packet: Packet) -> Row:
        if packet.type is PacketType.MESSAGE:
            return self._message(direction, carrier, packet.data)
        data = str(packet.data)
        if packet.type is PacketType.OPEN:
            return self._row(direction, carrier, "0{…}", self._open(data))
        return self._row(direction, carrier, str(encode_packet(packet)), _MEANINGS.get((packet.type, data), packet.type))

    def _message(self, direction: str, carrier: str, data: str | bytes) -> Row:
        decoder = self._decoders[direction]
        try:
            packet = self._packed(direction, data) or decoder.feed(data)
        except DecodeError as error:
            # What might be an auth payload is not shown, even if it cannot be read.
            unread = direction == UP and data[:1] == "0" and not self._show_auth
            return self._row(direction, carrier, "40…" if unread else self._quote(data), f"message, not Socket.IO: {error.code}")
        if packet is None:
            count = decoder.pending
            awaited = f"{count} attachment{'s' if count > 1 else ''} to come"
            return self._row(direction, carrier, self._quote(data), awaited if isinstance(data, str) else f"attachment, {awaited}")
        self._learn(direction, packet)
        if packet.type is SocketIOType.CONNECT and not (direction == UP and self._show_auth):
            packet = msgspec.structs.replace(packet, data=masked(packet.data) if direction == UP else _without_ids(packet.data))
            if isinstance(data, str):
                data = f"0{_prefix(packet.namespace)}{self._json(packet.data) if packet.data is not msgspec.UNSET else ''}"
        return self._row(direction, carrier, self._quote(data), self._meaning(packet))

    def _packed(self, direction: str, data: str | bytes) -> SocketIOPacket | None:
        """The packet of the msgpack parser that a message is, if it is one and no attachment is awaited."""
        if isinstance(data, str) or self._decoders[direction].pending:
            return None
        try:
            return _MSGPACK.feed(data)
        except DecodeError:
            return None

    def _learn(self, direction: str, packet: SocketIOPacket) -> None:
        """Note what must not be shown: ids that the server gives, and the strings of what we authenticate with."""
        if packet.type is not SocketIOType.CONNECT:
            return
        if direction == UP and not self._show_auth:
            for string in strings(packet.data):
                self._hidden.learn(string)
        elif direction == DOWN and isinstance(packet.data, dict):
            for name in _IDS:
                if isinstance(packet.data.get(name), str):
                    self._hidden.learn(packet.data[name], head(packet.data[name]))

    def _learn_url(self, url: str) -> None:
        for sid in parse_qs(urlsplit(url).query).get("sid", ()):
            self._hidden.learn(sid, head(sid))

    def _open(self, data: str) -> str:
        try:
            opened = Handshake.parse(data)
        except HandshakeError as error:
            return f"an open packet that cannot be used: {error.cause}"
        self._hidden.learn(opened.sid, head(opened.sid))
        upgrades = f", offers {', '.join(opened.upgrades)}" if opened.upgrades else ""
        return f"open: sid {head(opened.sid)}, ping every {opened.ping_interval:g} s, timeout {opened.ping_timeout:g} s{upgrades}"

    def _meaning(self, packet: SocketIOPacket) -> str:
        namespace = "" if packet.namespace == "/" else f" {packet.namespace}"
        number = "" if packet.id is None else f" #{packet.id}"
        data = packet.data
        match packet.type:
            case SocketIOType.EVENT if isinstance(data, list):
                return f"event{namespace}{number} {data[0]}: {self._json(data[1:])}"
            case SocketIOType.ACK:
                return f"answer{namespace}{number}: {self._json(data)}"
            case SocketIOType.CONNECT if isinstance(data, dict) and isinstance(data.get("sid"), str):
                return f"connected to {packet.namespace} as {data['sid']}"
            case SocketIOType.CONNECT:
                return f"connect to {packet.namespace}" + ("" if data is msgspec.UNSET else f" with {self._json(data)}")
            case SocketIOType.CONNECT_ERROR:
                return f"refused {packet.namespace}: {self._json(data)}"
            case _:
                return f"leave {packet.namespace}"

    @staticmethod
    def _quote(data: str | bytes) -> str:
        if isinstance(data, bytes):
            return f"{len(data)} bytes {data[:8].hex()}{'…' if len(data) > 8 else ''}"
        return "4" + data

    @staticmethod
    def _text(body: bytes) -> str:
        return body.decode(errors="replace")

    @staticmethod
    def _json(value: object) -> str:
        try:
            return msgspec.json.encode(value, enc_hook=repr).decode()
        except UnicodeEncodeError:  # a lone surrogate, which JavaScript sends
            return repr(value)


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


def _without_ids(data: object) -> object:
    """The answer to CONNECT with no more than the heads of its ids."""
    if not isinstance(data, dict):
        return data
    return {name: head(value) if name in _IDS and isinstance(value, str) else value for name, value in data.items()}


def _said(error: EngineIOError) -> str:
    """What an error says, without what it quotes: the packet stands in a row of its own, whole and with its secrets hidden."""
    return error.cause if isinstance(error, RemoteProtocolError) else error.message
