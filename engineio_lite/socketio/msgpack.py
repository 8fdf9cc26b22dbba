"""The other common parser: each packet is one binary message, a MessagePack map, with bytes in their places and no attachments.

    {"type": 0 to 4, "data": as the grammar says, "nsp": "/" or another namespace, "id": the ack id}

`data` and `id` are missing where the packet has none; `nsp` is never. There are no binary types, since nothing needs them. What a packet of each type
may hold is the same as ever (`grammar.py`), and so is what the caller may not send.

The peers are two. Node's `socket.io-msgpack-parser` writes the packet object as it finds it: keys of its own (`options`), ``undefined`` where a value
is none. python-socketio with ``serializer="msgpack"`` writes nil there. So unknown keys are passed over, and both nil and ``undefined`` count as a
missing `data` or `id`. In what we write a missing one is missing, because Node refuses nil.

MessagePack says more than JSON, and what it says becomes:

- bytes, and JavaScript's ArrayBuffer and typed arrays: `bytes`;
- JavaScript's Date and MessagePack's own timestamps: `datetime` with UTC. A Date outside of the years 1 to 9999 stays what it is on the wire, an
  `msgspec.msgpack.Ext`; a timestamp out there, or a malformed one, is a fault;
- ``undefined`` inside the data: None;
- any other extension: `msgspec.msgpack.Ext`, which may also be sent, so that whoever knows an extension of the server's can speak it;
- NaN and the infinities: themselves, in both directions, since peers send them and read them right;
- integers: of 64 bits, and of no more digits than the limits say.

Sent are JSON's values, bytes, such numbers and `Ext`. A `datetime` is not: the two peers read different forms of one, so the caller has to choose.

Three of JavaScript's values share extension code 0, and only the head byte tells them apart: ``d4`` is undefined, ``d7`` a Date, and ``c7`` to ``c9``
are bytes. An ArrayBuffer of 8 bytes is no Date. msgspec, which reads and writes all of this, does not report head bytes. Therefore what is unusual in
any way, an extension or a fault, is looked at a second time from head to head: without recursion, in linear time, and with an offset for each fault.

Memory is bounded by the message: no number in it makes anybody allocate anything before the items it announces are there.

Reference: the MessagePack specification, "Formats"; socket.io-protocol revision 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple, cast

import msgspec
from msgspec.msgpack import Ext

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, elide
from engineio_lite.limits import DEFAULT_LIMITS, Limits
from engineio_lite.socketio.grammar import (
    GRAMMAR,
    MAIN_NAMESPACE,
    MAX_ACK_ID,
    PLAIN,
    RESERVED_EVENTS,
    TYPES,
    AckId,
    PacketType,
    Shape,
    check_namespace,
    check_packet,
    event_fault,
    kind_of,
    refused,
)
from engineio_lite.socketio.packet import LAYER, Packet

__all__ = ["MsgpackDecoder", "encode_msgpack"]

_TYPES: Final = tuple(packet_type for packet_type in GRAMMAR if packet_type not in PLAIN)
"""Packet types by their number."""

_EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK

_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1
_BOUNDS: Final = (_LOWEST, _HIGHEST)
_DIGITS: Final = len(str(_HIGHEST))


def _integer_bounds(limits: Limits) -> tuple[int, int]:
    """The lowest and the highest integer that the limits and 64 bits allow."""
    if limits.max_integer_digits >= _DIGITS:
        return _BOUNDS
    largest = 10**limits.max_integer_digits - 1
    return max(-largest, _LOWEST), largest


def _are_plain(values: Iterable[object], depth: int, bounds: tuple[int, int]) -> bool:
    """Say whether values are what both directions take as it stands, in containers at most `depth` deep; False means no more than "look closer".

    This is asked of everything that is sent or received, so it is written for speed: types are compared one by one, the frequent ones first.
    """
    if depth < 0:
        return False
    lowest, highest = bounds
    for value in values:
        kind = type(value)
        if kind is str or (kind is int and lowest <= value <= highest):  # type: ignore[operator]
            continue
        if kind is dict:
            for key in value:  # type: ignore[attr-defined]
                if type(key) is not str:
                    return False
            if not _are_plain(value.values(), depth - 1, bounds):  # type: ignore[attr-defined]
                return False
        elif kind is list or kind is tuple:
            if not _are_plain(value, depth - 1, bounds):  # type: ignore[arg-type]
                return False
        elif not (kind is bool or value is None or kind is float or kind is bytes):
            return False
    return True


# --- decoding

_decode: Final = msgspec.msgpack.Decoder().decode

_UNUSUAL: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, LookupError)
"""What is raised on the short way where a message is unusual."""


class MsgpackDecoder:
    """Decode Socket.IO messages of the msgpack parser: the data of Engine.IO message packets, each of them one whole packet.

    `limits` bounds how deep the values of one packet may be and how many digits an integer may have (`max_depth`, `max_integer_digits`); there are no
    attachments to be bounded. `lenient` lets reserved event names pass, for looking at captures.
    """

    __slots__ = ("_bounds", "_lenient", "_limits")

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, lenient: bool = False) -> None:
        self._limits = limits
        self._bounds = _integer_bounds(limits)
        self._lenient = lenient

    def reset(self) -> None:
        """Forget a packet of which something is missing: there never is one."""

    @property
    def pending(self) -> int:
        """How many messages are missing: always 0."""
        return 0

    def feed(self, message: str | bytes) -> Packet:
        """Take one message; return the packet that it is.

        Raises `DecodeError`: code ``unexpected-text``, ``empty-packet``, ``bad-msgpack``, ``bad-utf8``, ``too-deep`` or ``bad-number``, with the
        offset in bytes; or, for what is readable and no packet, ``unknown-packet-type``, ``bad-namespace``, ``missing-payload``, ``bad-payload``,
        ``unexpected-ack-id``, ``missing-ack-id``, ``ack-id-range``, ``bad-event-name`` or ``reserved-event``, with offset 0, as a map has no order.
        The next message is read as if nothing had happened.
        Reference: socket.io-protocol revision 5.
        """
        # As with the default parser, most are events and acknowledgements with nothing unusual about them. They have a short way, and whatever has
        # anything unusual, a fault included, falls through to the long one, which looks again from the start.
        try:
            if type(message) is bytes:
                packet = self._read_plain(message)
                if packet is not None:
                    return packet
        except _UNUSUAL:
            pass
        return self._read(message)

    def _read_plain(self, message: bytes) -> Packet | None:
        """Read an event or an acknowledgement; None, or one of `_UNUSUAL`, if it is not plain after all."""
        fields = _decode(message)
        number, data, namespace, ack_id = fields["type"], fields["data"], fields["nsp"], fields.get("id")
        if type(number) is not int or type(data) is not list or type(namespace) is not str or namespace[:1] != "/":
            return None
        if ack_id is None:
            if len(fields) != 3:
                return None
        elif len(fields) != 4 or type(ack_id) is not int or not 0 <= ack_id <= MAX_ACK_ID:
            return None
        if not _are_plain(data, self._limits.max_depth - 1, self._bounds):
            return None
        if number == 2 and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
            return Packet(_EVENT, data, namespace, ack_id)
        return Packet(_ACK, data, namespace, ack_id) if number == 3 and ack_id is not None else None

    def _read(self, message: object) -> Packet:
        if not isinstance(message, str | bytes):
            raise refused(f"expected a message as str or bytes, got {type(message).__name__}", Cause.BAD_MESSAGE)
        try:
            return _packet(_fields(message, self._limits), self._lenient)
        except _Fault as fault:
            raise DecodeError(fault.message, code=fault.code, offset=fault.offset, layer=LAYER, source=message) from None
        except RecursionError:  # the limit on depth is above what is left of the stack
            detail = "expected less nesting than the interpreter's stack can follow"
            raise DecodeError(detail, code=Cause.TOO_DEEP, offset=0, layer=LAYER, source=message) from None


class _Fault(Exception):
    """What is wrong with a message, and where in it."""

    def __init__(self, message: str, code: Cause, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.offset = offset


# --- from the fields of the map to a packet


def _packet(fields: dict[str, object], lenient: bool) -> Packet:
    number = fields.get("type")
    if type(number) is not int or not 0 <= number < len(_TYPES):
        raise _Fault(f"expected a packet type (an integer 0 to {len(_TYPES) - 1}), got {_shown(number)}", Cause.UNKNOWN_PACKET_TYPE)
    packet_type = _TYPES[number]
    shape = GRAMMAR[packet_type]
    namespace = fields.get("nsp")
    if type(namespace) is not str or not namespace.startswith("/"):
        raise _Fault(f"expected a namespace that starts with '/', got {_shown(namespace)}", Cause.BAD_NAMESPACE)
    ack_id = fields.get("id")
    if ack_id is not None or shape.ack_id is AckId.REQUIRED:
        ack_id = _ack_id(ack_id, shape)
    data = _data(fields.get("data"), shape)
    if packet_type is _EVENT:
        fault = event_fault(cast("list[object]", data))
        if fault is not None and not (lenient and fault[0] is Cause.RESERVED_EVENT):
            raise _Fault(fault[1], fault[0])
    return Packet(packet_type, data, namespace, ack_id)


def _ack_id(ack_id: object, shape: Shape) -> int:
    if shape.ack_id is AckId.NEVER:
        raise _Fault("expected no ack id in a packet of this type", Cause.UNEXPECTED_ACK_ID)
    if ack_id is None:
        raise _Fault("expected the id of what is acknowledged", Cause.MISSING_ACK_ID)
    if type(ack_id) is not int or not 0 <= ack_id <= MAX_ACK_ID:
        raise _Fault(f"expected an ack id from 0 to {MAX_ACK_ID}, got {_shown(ack_id)}", Cause.ACK_ID_RANGE)
    return ack_id


def _data(data: object, shape: Shape) -> object:
    if data is None:
        if shape.payload_required:
            raise _Fault(f"expected {shape.expected} as data, got nothing", Cause.MISSING_PAYLOAD)
        return msgspec.UNSET
    if type(data) not in shape.payloads:
        raise _Fault(f"expected {shape.expected} as data, got {kind_of(data)}", Cause.BAD_PAYLOAD)
    return data


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str() | bytes():
            return elide(value)
        case int() | float():
            return repr(value)
    return kind_of(value)


# --- the closer look


def _fields(message: str | bytes, limits: Limits) -> dict[str, object]:
    """Decode the map that a packet is, or raise the `_Fault` that it has."""
    if isinstance(message, str):
        guess = " (this looks like the default parser)" if message[:1] in TYPES else ""
        raise _Fault(f"expected a binary message, got text{guess}", Cause.UNEXPECTED_TEXT)
    if not message:
        raise _Fault("expected a packet, got nothing", Cause.EMPTY_PACKET)
    kind = _HEADS[message[0]].kind
    if kind is not _Kind.MAP:
        raise _Fault(f"expected a map, got {kind.value}", Cause.BAD_MSGPACK)
    extensions = _Extensions(_Survey(message, limits).heads())
    try:
        return cast("dict[str, object]", msgspec.msgpack.Decoder(ext_hook=extensions.restore).decode(message))
    except msgspec.DecodeError as error:  # of what the survey let pass, a timestamp
        raise _Fault(f"expected a timestamp of the years 1 to 9999: {error}", Cause.BAD_MSGPACK) from None


class _Kind(Enum):
    """What a head byte announces."""

    NIL = "nil"
    BOOLEAN = "a boolean"
    UNSIGNED = "an integer"
    SIGNED = "a negative integer"
    FLOAT = "a float"
    TEXT = "a string"
    BYTES = "bytes"
    EXTENSION = "an extension"
    ARRAY = "an array"
    MAP = "an object"
    NONE = "a byte that begins nothing"


class _Head(NamedTuple):
    """A head byte: what follows it, the width in bytes of the number that says how much, and how much if there is no such number."""

    kind: _Kind
    width: int
    size: int


def _heads(kind: _Kind, *sizes: int) -> tuple[_Head, ...]:
    return tuple(_Head(kind, 0, size) for size in sizes)


def _long_heads(kind: _Kind, *widths: int) -> tuple[_Head, ...]:
    return tuple(_Head(kind, width, 0) for width in widths)


_HEADS: Final = (
    *_heads(_Kind.UNSIGNED, *[0] * 128),
    *_heads(_Kind.MAP, *range(16)),
    *_heads(_Kind.ARRAY, *range(16)),
    *_heads(_Kind.TEXT, *range(32)),
    *_heads(_Kind.NIL, 0),
    *_heads(_Kind.NONE, 0),
    *_heads(_Kind.BOOLEAN, 0, 0),
    *_long_heads(_Kind.BYTES, 1, 2, 4),
    *_long_heads(_Kind.EXTENSION, 1, 2, 4),
    *_heads(_Kind.FLOAT, 4, 8),
    *_heads(_Kind.UNSIGNED, 1, 2, 4, 8),
    *_heads(_Kind.SIGNED, 1, 2, 4, 8),
    *_heads(_Kind.EXTENSION, 1, 2, 4, 8, 16),
    *_long_heads(_Kind.TEXT, 1, 2, 4),
    *_long_heads(_Kind.ARRAY, 2, 4),
    *_long_heads(_Kind.MAP, 2, 4),
    *_heads(_Kind.SIGNED, *[0] * 32),
)
"""Head bytes, all 256 of them, in the order of the specification's overview."""


class _Survey:
    """Go through a message from head to head, hold it against the bounds, and note the heads of extensions with code 0."""

    def __init__(self, message: bytes, limits: Limits) -> None:
        self._message = memoryview(message)
        self._max_depth = limits.max_depth
        self._lowest, self._highest = _integer_bounds(limits)
        self._position = 0
        self._noted = bytearray()
        # For the message itself and each container that is open, innermost last: how many items are still to come, keys included, and is it a map?
        self._missing = [1]
        self._is_map = [False]

    def heads(self) -> bytes:
        """Return the noted heads in order; raise the first `_Fault`."""
        while self._missing:
            if self._missing[-1]:
                self._item()
            else:
                self._missing.pop()
                self._is_map.pop()
        extra = len(self._message) - self._position
        if extra:
            raise _Fault(f"expected the end of the message, got {extra} more bytes", Cause.BAD_MSGPACK, self._position)
        return bytes(self._noted)

    def _take(self, size: int) -> memoryview:
        start, self._position = self._position, self._position + size
        if self._position > len(self._message):
            raise _Fault(f"expected {size} bytes from offset {start}, the message ended", Cause.BAD_MSGPACK, len(self._message))
        return self._message[start : self._position]

    def _item(self) -> None:
        start = self._position
        [head] = self._take(1)
        kind, width, size = _HEADS[head]
        if width:
            size = int.from_bytes(self._take(width))
        if self._is_map[-1] and self._missing[-1] % 2 == 0 and kind is not _Kind.TEXT:
            raise _Fault(f"expected a string as the key of an object, got {kind.value}", Cause.BAD_MSGPACK, start)
        self._missing[-1] -= 1
        match kind:
            case _Kind.ARRAY | _Kind.MAP:
                self._open(start, kind, size)
            case _Kind.TEXT:
                self._check_text(self._take(size))
            case _Kind.UNSIGNED | _Kind.SIGNED:
                self._take(size)
                self._check_integer(start, kind)
            case _Kind.EXTENSION:
                [code] = self._take(1)
                self._take(size)
                if code == 0:
                    self._noted.append(head)
            case _Kind.NONE:
                raise _Fault(f"expected a value, got {kind.value} ({head:#x})", Cause.BAD_MSGPACK, start)
            case _:
                self._take(size)

    @property
    def _depth(self) -> int:
        """How many containers are open within a field of the packet: the message and the map of the fields are around them."""
        return len(self._missing) - 2

    def _open(self, start: int, kind: _Kind, size: int) -> None:
        if self._depth >= self._max_depth:
            raise _Fault(f"expected at most {self._max_depth} nested arrays and objects, got more", Cause.TOO_DEEP, start)
        self._missing.append(2 * size if kind is _Kind.MAP else size)
        self._is_map.append(kind is _Kind.MAP)

    def _check_text(self, text: memoryview) -> None:
        try:
            str(text, "utf-8")
        except UnicodeDecodeError as error:
            offset = self._position - len(text) + error.start
            raise _Fault(f"expected UTF-8 in a string, got {error.reason}", Cause.BAD_UTF8, offset) from None

    def _check_integer(self, start: int, kind: _Kind) -> None:
        if self._depth < 1:  # type and ack id have bounds of their own
            return
        # A small integer is its own head.
        digits = self._message[start + 1 : self._position] or self._message[start : self._position]
        if not self._lowest <= int.from_bytes(digits, signed=kind is _Kind.SIGNED) <= self._highest:
            raise _Fault("expected an integer within the limit on digits, got a longer one", Cause.BAD_NUMBER, start)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNDEFINED: Final = 0xD4
_DATE: Final = 0xD7
_ARRAY_BUFFERS: Final = frozenset((0xC7, 0xC8, 0xC9))


class _Extensions:
    """What extensions mean; those with code 0 need the heads under which they come, in order."""

    def __init__(self, heads: bytes) -> None:
        self._heads: Iterator[int] = iter(heads)

    def restore(self, code: int, content: memoryview) -> object:
        """The value that an extension stands for."""
        data = bytes(content)
        head = next(self._heads) if code == 0 else None
        if head == _UNDEFINED:
            return None
        if head in _ARRAY_BUFFERS:
            return data
        if head == _DATE:
            try:
                return _EPOCH + timedelta(milliseconds=int.from_bytes(data, signed=True))
            except OverflowError:  # JavaScript's calendar is longer, and its last day is a popular "never"
                pass
        return Ext(code, data)


# --- encoding

_encode: Final = msgspec.msgpack.Encoder().encode


def encode_msgpack(packet: Packet, *, limits: Limits = DEFAULT_LIMITS) -> list[str | bytes]:
    """Encode one packet as the one message that carries it.

    Bytes-like values at any depth travel in their places, in a packet of any type. Nothing of the caller's is changed, and lists and tuples are both
    arrays.

    Raises `LocalProtocolError` for what cannot be sent or would be misread: cause ``bad-message`` (wrong type, id or value, text that has no UTF-8
    form), ``bad-namespace``, ``bad-event-name``, ``reserved-event``, ``missing-payload``, ``unexpected-payload``, ``bad-payload``,
    ``missing-ack-id``, ``unexpected-ack-id``, ``ack-id-range``, ``bad-number``, ``too-deep``.
    Reference: socket.io-protocol revision 5.
    """
    # What is sent most has a short way here, too.
    data = packet.data
    try:
        if (
            packet.type is _EVENT
            and packet.id is None
            and packet.namespace == MAIN_NAMESPACE
            and type(data) is list
            and type(data[0]) is str
            and data[0] not in RESERVED_EVENTS
            and _are_plain(data, limits.max_depth - 1, _integer_bounds(limits))
        ):
            return [_encode({"type": 2, "data": data, "nsp": MAIN_NAMESPACE})]
    except (IndexError, ValueError, RecursionError):
        pass
    return [_encode_rare(packet, limits)]


def _encode_rare(packet: Packet, limits: Limits) -> bytes:
    shape = check_packet(packet.type, packet.data, packet.id)
    fields: dict[str, object] = {"type": int(shape.digit)}
    try:
        if packet.data is not msgspec.UNSET:
            fields["data"] = _sendable(packet.data, limits)
        fields["nsp"] = check_namespace(packet.namespace)
        if packet.id is not None:
            fields["id"] = packet.id
        return _encode(fields)
    except RecursionError:
        raise refused("expected less nesting than the interpreter's stack can follow", Cause.TOO_DEEP) from None
    except ValueError as error:  # lone surrogates, a released memoryview, more than 4 GiB in one piece
        raise refused(f"expected what MessagePack can hold: {error}", Cause.BAD_MESSAGE) from None


def _sendable(data: object, limits: Limits) -> object:
    return data if _are_plain((data,), limits.max_depth, _integer_bounds(limits)) else _copy(data, 1, limits)


def _copy(value: object, depth: int, limits: Limits) -> object:
    """Copy one value, which would be container number `depth` from the outside if it is one, as plain values."""
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)  # the characters, whatever a subclass (an enumeration, say) would print
        case int():
            return _integer(value, limits)
        case float():
            return float.__float__(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case Ext():
            return _extension(value)
        case dict():
            _check_depth(depth, limits)
            return {_key(key): _copy(item, depth + 1, limits) for key, item in value.items()}
        case list() | tuple():
            _check_depth(depth, limits)
            return [_copy(item, depth + 1, limits) for item in value]
        case datetime():
            raise refused("expected no datetime, which peers read differently: send text, a number or the Ext that yours reads", Cause.BAD_MESSAGE)
    raise refused(f"expected a JSON value or bytes, got {type(value).__name__}", Cause.BAD_MESSAGE)


def _integer(value: int, limits: Limits) -> int:
    lowest, highest = _integer_bounds(limits)
    if not lowest <= value <= highest:
        raise refused("expected an integer of at most 64 bits and within the limit on digits, got a longer one", Cause.BAD_NUMBER)
    return int.__int__(value)


def _extension(value: Ext) -> Ext:
    copy = Ext(value.code, bytes(value.data))
    try:
        _decode(_encode(copy))
    except msgspec.DecodeError as error:  # code -1 is MessagePack's own
        raise refused(f"expected a timestamp of the years 1 to 9999 as extension -1: {error}", Cause.BAD_MESSAGE) from None
    return copy


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise refused(f"expected the keys of an object as str, got {type(key).__name__}", Cause.BAD_MESSAGE)
    return str.__str__(key)


def _check_depth(depth: int, limits: Limits) -> None:
    if depth > limits.max_depth:
        raise refused(f"expected at most {limits.max_depth} nested arrays and objects, got more", Cause.TOO_DEEP)
