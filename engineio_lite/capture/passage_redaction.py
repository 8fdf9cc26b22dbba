"""Takes the secrets out of the wire level, so that what is left still replays: what went in and what came out are redacted alike.

An offline replay feeds the redacted inputs to a fresh machine and compares its outputs with the redacted ones of the file. So a secret must leave the
same placeholder on both sides of the door, in every form in which the machine passes it on: the session's id of the open packet comes out in a query,
a message that went in comes out in a POST or a frame, base64 on one transport and bytes on the other. Messages are therefore taken apart as far as
Socket.IO, redacted by the rules for packets, and put together again, by one function wherever they stand; one that holds no secret stays as it is to
the letter. Text that is no packet is searched for what is known by now, and for what looks like a secret.

What the machine itself does with lengths is the limit of this. A message gets another length by redaction, so the packets that wait may be divided
into POSTs at other places, if they come near the size that a POST may have. Nothing in a capture can tell, hence a replay that meets such a POST says
that it cannot go on, and does not call it a difference. See `engineio_lite.replay.offline`.

Headers of answers are kept where they are known to be harmless (the machine reads some of them to explain a refusal); of all others only the name is.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from engineio_lite.capture.lines import Direction, Door, Passage, SocketIOPacket
from engineio_lite.capture.passages import decode_bytes, decode_data, encode_bytes, encode_data, make_error, without_quotations
from engineio_lite.capture.redactor import Redactor
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, DecodeError, LocalProtocolError
from engineio_lite.inputs import (
    Close,
    Fail,
    FrameReceived,
    Headers,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketRefused,
)
from engineio_lite.limits import Limits
from engineio_lite.packet import decode_packet
from engineio_lite.payload import SEPARATOR
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.socketio.msgpack import MsgpackDecoder, encode_msgpack
from engineio_lite.socketio.packet import Packet
from engineio_lite.state import Transport
from engineio_lite.strictjson import JSONError, decode_json, encode_json

MASKED: Final = "<redacted>"
"""The value of a header that is not known to be harmless."""

HARMLESS_HEADERS: Final = frozenset(
    (
        *("accept-ranges", "age", "allow", "alt-svc", "cache-control", "connection", "content-encoding", "content-language", "content-length"),
        *("content-type", "date", "expires", "keep-alive", "last-modified", "location", "pragma", "retry-after", "server", "transfer-encoding"),
        *("upgrade", "vary", "via", "x-powered-by", "x-content-type-options", "x-frame-options", "strict-transport-security"),
        *("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods"),
        *("proxy-authenticate", "www-authenticate", "cf-mitigated", "x-amzn-waf-action", "x-datadome"),
    )
)
"""Headers of an answer whose values are kept: they say what answered and why, and carry no session."""

_DEEP: Final = Limits(max_depth=1000, max_integer_digits=4000, max_attachments=10_000)
"""Bounds for reading a message again that was read already, or will be refused by who reads it next."""

_DATA_TYPES: Final[Mapping[str, PacketType]] = MappingProxyType(
    dict(zip("0123456", [*list(PacketType)[:5], PacketType.EVENT, PacketType.ACK], strict=True))
)
_HEADER: Final = re.compile(r"([0-6])(?:[0-9]+-)?(?:/[^,\[{\"]*,?)?[0-9]*")
_SID: Final = re.compile(r'(?<="sid")(\s*:\s*")((?:[^"\\]|\\.)*)')
_QUERY_SID: Final = re.compile(r"(?<=[?&]sid=)@eio[0-9]+(?=&|$)")


def redact_door(door: Door, redactor: Redactor) -> Door:
    """The same door with a URL that can be shown; a machine that is made with it behaves as the one that was there."""
    return msgspec.structs.replace(door, url=redactor.url(door.url))


def redact_passage(passage: Passage, redactor: Redactor) -> Passage:
    """The same passage without the secrets that are known by then, those that itself brings included."""
    hand = _Hand(redactor)
    went_in = hand.input(passage.input)
    return msgspec.structs.replace(passage, input=went_in, outputs=tuple(hand.output(cast("dict[str, Any]", output)) for output in passage.outputs))


class _Hand:
    """Redacts one passage: what it has replaced once it replaces by the same again."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._known: dict[tuple[Direction, str | bytes], str | bytes] = {}

    # ----------------------------------------------------------------------------------------------------------------------------- what went in

    def input(self, input: Input) -> Input:
        match input:
            case SendMessages(messages):
                return SendMessages(tuple(self._message(Direction.UP, message) for message in messages))
            case Close(farewell):
                return Close(tuple(self._message(Direction.UP, message) for message in farewell))
            case FrameReceived(socket, data):
                return FrameReceived(socket, self._piece(Direction.DOWN, data))
            case ResponseReceived() | WebSocketRefused():
                return msgspec.structs.replace(input, headers=self._headers(input.headers), body=self._body(Direction.DOWN, input.body))
            case RequestFailed() | WebSocketFailed():
                return msgspec.structs.replace(input, detail=self._redactor.text(input.detail))
            case WebSocketClosed():
                return msgspec.structs.replace(input, reason=self._redactor.text(input.reason))
            case Fail():
                return self._fail(input)
            case _:
                return input

    def _fail(self, fail: Fail) -> Fail:
        """An error with its words and its place; what it quotes may be half a secret, and nothing reads it but people."""
        blank: dict[str, Any] = {"headers": (), "body": b"", "packets": (), "data": None, "excerpt": "'…'"}
        words = ("message", "detail", "refusal", "namespace")
        known = vars(fail.error)
        redacted = {name: self._words(value) if name in words else blank.get(name, value) for name, value in known.items()}
        return Fail(make_error(type(fail.error), redacted))

    def _words(self, sentence: str) -> str:
        return self._redactor.text(without_quotations(sentence))

    def _headers(self, headers: Headers) -> Headers:
        self._redactor.learn_headers(headers)
        return tuple((name, self._header(name.lower(), value)) for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        if name == "location":
            return self._redactor.url(value)
        return self._redactor.text(value) if name in HARMLESS_HEADERS else MASKED

    # ---------------------------------------------------------------------------------------------------------------------------- what came out

    def output(self, output: dict[str, Any]) -> dict[str, Any]:
        match output:
            case {"is": "MessageReceived", "data": data}:
                return {**output, "data": self._marked(data, self._message, Direction.DOWN)}
            case {"is": "SendFrame", "data": data}:
                return {**output, "data": self._marked(data, self._piece, Direction.UP)}
            case {"is": "Post", "url": url, "body": body}:
                return {**output, "url": self._url(url), "body": encode_bytes(self._body(Direction.UP, decode_bytes(body, "Post.body")))}
            case {"is": "Poll" | "OpenWebSocket", "url": url}:
                return {**output, "url": self._url(url)}
            case {"is": "Opened", "handshake": handshake}:
                return {**output, "handshake": {**handshake, "sid": self._redactor.placeholder(handshake["sid"], "eio")}}
            case {"is": "PacketIgnored", "packet": packet}:
                return {**output, "packet": {**packet, "data": self._redactor.text(packet["data"])}}
            case {"error": {"message": message} as error}:
                return {**output, "error": {**error, "message": self._redactor.text(message)}}
            case _:
                return output

    @staticmethod
    def _marked(data: Any, redact: Any, direction: Direction) -> object:
        return encode_data(redact(direction, decode_data(data, "data")))

    def _url(self, url: str) -> str:
        # As the machine writes an id into a query.
        return _QUERY_SID.sub(lambda found: quote(found.group(), safe=""), self._redactor.url(url))

    # -------------------------------------------------------------------------------------------------------------------------- what they carry

    def _body(self, direction: Direction, body: bytes) -> bytes:
        try:
            pieces = body.decode().split(SEPARATOR)
        except UnicodeDecodeError:
            return self._bytes(body)
        # First what makes secrets known, because an event may overtake the answer to CONNECT.
        for piece in pieces:
            if piece[:2] in ("0{", "40"):
                self._piece(direction, piece)
        return SEPARATOR.join(str(self._piece(direction, piece)) for piece in pieces).encode()

    def _piece(self, direction: Direction, piece: str | bytes) -> str | bytes:
        """One packet, in a frame or in a body."""
        if isinstance(piece, bytes):
            return self._message(direction, piece)
        if piece[:1] == "4":
            return f"4{self._message(direction, piece[1:])!s}"
        if piece[:1] == "0":
            return self._open(piece)
        if piece[:1] == "b" and isinstance(packed := _unpacked(piece), bytes):
            redacted = self._message(direction, packed)
            return piece if redacted == packed else "b" + b64encode(cast("bytes", redacted)).decode()
        return self._redactor.text(piece)

    def _open(self, piece: str) -> str:
        """An open packet, be it damaged: what stands for its id is the id of the session that the machine goes on with."""

        def redacted(found: re.Match[str]) -> str:
            try:
                sid = decode_json(f'"{found[2]}"', max_depth=1, max_integer_digits=1)
            except JSONError:
                sid = found[2]
            return f"{found[1]}{self._redactor.placeholder(str(sid), 'eio')}"

        return self._redactor.text(_SID.sub(redacted, piece))

    def _message(self, direction: Direction, message: str | bytes) -> str | bytes:
        known = self._known.get((direction, message))
        if known is None:
            known = self._text(direction, message) if isinstance(message, str) else self._binary(direction, message)
            self._known[direction, message] = known
        return known

    def _text(self, direction: Direction, message: str) -> str:
        header = _HEADER.match(message)
        if header is None:
            return self._redactor.text(message)
        payload = message[header.end() :]
        head = self._head(header.group())
        if not payload:
            return self._redactor.text(head)
        try:
            data = decode_json(payload, max_depth=_DEEP.max_depth, max_integer_digits=_DEEP.max_integer_digits)
        except JSONError:
            # What cannot be read may be what somebody authenticates with.
            return f"0{self._redactor.placeholder(message[1:])}" if header[1] == "0" and direction is Direction.UP else self._redactor.text(message)
        redacted = self._data(direction, _DATA_TYPES[header[1]], data)
        return head + payload if redacted == data else f"{head}{encode_json(redacted)}"

    def _head(self, head: str) -> str:
        """What is before the payload: in a namespace may be a query."""
        if "?" not in head:
            return self._redactor.shapes(head)
        namespace, comma, number = head.partition(",")
        return f"{self._redactor.namespace(namespace)}{comma}{number}"

    def _binary(self, direction: Direction, message: bytes) -> bytes:
        """A packet of the msgpack parser, or an attachment, which is searched for whole strings."""
        try:
            packet = MsgpackDecoder(limits=_DEEP, lenient=True).feed(message)
        except DecodeError:
            return self._bytes(message)
        assert packet is not None, "every message of this parser is a whole packet"
        redacted = self._data(direction, packet.type, packet.data)
        namespace = self._redactor.namespace(packet.namespace)
        if redacted == packet.data and namespace == packet.namespace:
            return message
        try:
            [encoded] = encode_msgpack(Packet(packet.type, redacted, namespace, packet.id), limits=_DEEP)
        except LocalProtocolError:
            return self._bytes(message)  # it has a name that only servers say
        return cast("bytes", encoded)

    def _data(self, direction: Direction, packet_type: PacketType, data: object) -> object:
        line = SocketIOPacket(session=0, direction=direction, transport=Transport.POLLING, type=packet_type, data=data)
        redacted = self._redactor.line(line)
        if redacted is None:
            raise CaptureError("before_record leaves packets out, which a capture of the wire cannot: record packets", cause=Cause.BAD_OPTION)
        return cast("SocketIOPacket", redacted).data

    def _bytes(self, data: bytes) -> bytes:
        return self._redactor.text(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _unpacked(piece: str) -> str | bytes | None:
    try:
        return decode_packet(piece).data
    except DecodeError:
        return None
