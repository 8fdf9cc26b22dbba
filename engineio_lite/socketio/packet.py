"""One Socket.IO packet, and both directions between a packet and the messages that carry it.

A packet is one text message, followed, if it has attachments, by as many binary messages as its `count` says. What each type may hold is written
down once, in `grammar.py`.

The encoder writes one canonical form: no `/` for the main namespace, always a comma after another one, compact JSON, the binary type exactly where
bytes are. It refuses what a peer would misread. The decoder accepts what the grammar accepts. Where the references are more generous it follows
neither: they disagree with each other (a blank before the JSON is an ack id 0 to one of them and nothing to the other), and a packet that two
readers understand differently is an error to both sides' advantage.

The only state here is that of a packet whose attachments are still coming, and it belongs to the message stream, not to a transport: attachments may
follow over another one. After an error nothing is awaited any more.

Two faults are told apart from the rest by when they can be seen: a placeholder that names no attachment shows when the last attachment has come, so
its offset is the index of that message; and whatever is wrong with numbers or nesting is a property of the whole JSON, so its offset is where the
JSON starts.

Reference: socket.io-protocol revision 5, "Packet encoding".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import DEFAULT_LIMITS, Limits
from engineio_lite.socketio.binary import PlaceholderError, are_plain, extract, restore
from engineio_lite.socketio.grammar import (
    BINARY,
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
from engineio_lite.strictjson import DIGITS, REFUSED, JSONError, check_bounds, decode_json, digit_sample, encode_json

__all__ = ["Decoder", "Packet", "PacketType", "encode"]


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Socket.IO packet, attachments put back in their places: `data` is UNSET where the packet has no payload.

    The type is never one of the binary ones, which are how an event or an acknowledgement with bytes in it travels.
    """

    type: PacketType
    data: object = msgspec.UNSET
    namespace: str = "/"
    id: int | None = None


LAYER: Final = "socketio-packet"

# --- decoding

_REST: Final = slice(1, None)  # what follows the type, made once
_EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK
_DIGITS: Final = re.compile(r"[0-9]*+")

_PLAIN_HEAD: Final = re.compile(r"([23])(?:(/[^,]*+),)?([0-9]{0,15}+)(?=\[)")
"""What stands before the array of an event or an acknowledgement; longer ids, which may be out of range, are left to the long way."""


class Decoder:
    """Decode one stream of Socket.IO messages: the data of Engine.IO message packets, in the order in which they came.

    `limits` bounds what one packet may hold (`max_attachments`, `max_attachment_bytes`, `max_depth`, `max_integer_digits`). `lenient` lets reserved
    event names pass, for looking at captures.
    """

    __slots__ = ("_attachments", "_awaited", "_harmless", "_header", "_lenient", "_limits", "_nesting", "_room", "_sample", "_short")

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, lenient: bool = False) -> None:
        self._limits = limits
        self._lenient = lenient
        # A text of up to `_short` characters has no room for what would break a bound: nesting takes two characters a level, and digits one each.
        # One of up to `_harmless` may break it, but does no harm to a parser.
        self._nesting = 2 * limits.max_depth
        self._short = min(self._nesting, limits.max_integer_digits)
        self._harmless = min(2 * self._nesting, _HARMLESS)
        self._sample = digit_sample(limits.max_integer_digits)
        self.reset()

    def reset(self) -> None:
        """Forget a packet whose attachments have not all come."""
        self._header: Packet | None = None
        self._awaited = 0
        self._attachments: list[bytes] = []
        self._room = self._limits.max_attachment_bytes

    @property
    def pending(self) -> int:
        """How many attachments are missing; 0 if no packet waits for any."""
        return self._awaited - len(self._attachments)

    def feed(self, message: str | bytes) -> Packet | None:
        """Take one message; return the packet that it completes, or None while attachments are missing.

        Raises `DecodeError` with one of the codes that protocol and limits give; its offset counts code points from the start of the message, or is
        the index of the message within the packet for faults of attachments. The decoder then waits for a new packet.
        Reference: socket.io-protocol revision 5, "Packet encoding".
        """
        # Nearly everything is a plain event in the main namespace that wants no answer, and most of the rest an answer, or an event elsewhere. They
        # pass here, in one or two steps; whatever has anything unusual about it, a fault included, falls through to the long way, which looks again
        # from the start. (A text begins with "2[" exactly if it sorts between "2[" and "2\\", the backslash being the next character; comparing is
        # twice as fast as cutting two characters off.)
        try:
            if self._header is None:
                if "2[" <= message < "2\\":  # type: ignore[operator]  # bytes raise TypeError, which is unusual
                    text: str = message[_REST]  # type: ignore[assignment]
                    data = _decode_fast(text) if len(text) <= self._short else self._decode_longer(text)
                    name = data[0]
                    if type(name) is str and name not in RESERVED_EVENTS:
                        return Packet(_EVENT, data)
                elif (head := _PLAIN_HEAD.match(message)) is not None:  # type: ignore[arg-type]
                    return self._receive_plain(head)
        except _UNUSUAL:
            pass
        return self._feed_rare(message)

    def _decode_longer(self, text: str) -> list[object]:
        """Decode an array that is long enough to break a bound; raise one of `_UNUSUAL` if it does."""
        size = len(text)
        if size > self._harmless:
            check_bounds(text, self._limits.max_depth, self._limits.max_integer_digits)
            return _decode_fast(text)
        # Looking for brackets takes a third as long as parsing. In a text this short there need not be any looking if they have no room beside its
        # first string, the event's name, and then it may as well be parsed before it is judged.
        data = _decode_fast(text)
        name = data[0]
        if type(name) is not str or size - len(name) > self._nesting or not _DIGIT_FREE(text[self._sample]):
            check_bounds(text, self._limits.max_depth, self._limits.max_integer_digits)
        return data

    def _receive_plain(self, head: re.Match[str]) -> Packet:
        """Finish a plain event or acknowledgement of which the head is read; raise one of `_UNUSUAL` if it is not plain after all."""
        digit, namespace, ack_id = head.groups()
        text = head.string[head.end() :]
        data = _decode_fast(text) if len(text) <= self._short else self._decode_longer(text)
        is_plain = type(data[0]) is str and data[0] not in RESERVED_EVENTS if digit == "2" else ack_id != ""
        if not is_plain:
            raise _Unusual
        return Packet(TYPES[digit], data, namespace or MAIN_NAMESPACE, int(ack_id) if ack_id else None)

    def _feed_rare(self, message: str | bytes) -> Packet | None:
        try:
            if isinstance(message, str):
                return self._receive_text(message)
            if isinstance(message, bytes):
                return self._receive_attachment(message)
        except BaseException:
            self.reset()
            raise
        raise LocalProtocolError(f"expected a message as str or bytes, got {type(message).__name__}", cause=Cause.BAD_MESSAGE)

    def _receive_text(self, text: str) -> Packet | None:
        if self._header is not None:
            raise _error("expected an attachment, got text", Cause.TEXT_WHILE_RECONSTRUCTING, 0, text)
        packet, attachments = _Reader(text, self._limits, self._lenient).read()
        if attachments == 0:
            return packet
        self._header = packet
        self._awaited = attachments
        return None

    def _receive_attachment(self, data: bytes) -> Packet | None:
        packet = self._header
        if packet is None:
            # The msgpack parser sends every packet as one binary message that is a map.
            guess = " (this looks like the msgpack parser)" if data[:1] in (b"\x83", b"\x84", b"\x85") else ""
            raise _error(f"expected text, got a binary message{guess}", Cause.UNEXPECTED_BINARY, 0, data)
        self._attachments.append(data)
        index = len(self._attachments)  # of this message; the text was number 0
        self._room -= len(data)
        if self._room < 0:
            limit = self._limits.max_attachment_bytes
            raise _error(f"expected at most {limit} bytes of attachments, got more", Cause.ATTACHMENTS_TOO_LARGE, index, data)
        if self.pending:
            return None
        try:
            restore(cast("list[object]", packet.data), self._attachments)
        except PlaceholderError as error:
            raise _error(str(error), Cause.BAD_PLACEHOLDER, index, data) from None
        self.reset()
        return packet


_decode_fast: Final = cast("Callable[[str], list[object]]", msgspec.json.Decoder().decode)  # what starts with a bracket is a list

_DIGIT_FREE: Final = frozenset(DIGITS).isdisjoint

_HARMLESS: Final = 1000
"""Characters of which a text may consist of brackets or digits alone and cost no parser more than microseconds."""


class _Unusual(Exception):
    """A message that the long way has to look at."""


_UNUSUAL: Final = (*REFUSED, IndexError, TypeError, _Unusual)  # JSONError is a ValueError, which is among the refused


class _Reader:
    """Read one text message from left to right; each method takes what stands at `position` and moves it on."""

    def __init__(self, text: str, limits: Limits, lenient: bool) -> None:
        self.text = text
        self.limits = limits
        self.lenient = lenient
        self.position = 0

    def read(self) -> tuple[Packet, int]:
        """Return the packet and how many attachments follow it."""
        packet_type = self._type()
        shape = GRAMMAR[packet_type]
        attachments = self._count() if packet_type in PLAIN else 0
        namespace = self._namespace()
        ack_id = self._ack_id(shape)
        data = self._payload(shape)
        packet_type = PLAIN.get(packet_type, packet_type)
        if packet_type is _EVENT:
            self._check_event(cast("list[object]", data))
        return Packet(packet_type, data, namespace, ack_id), attachments

    def _type(self) -> PacketType:
        if not self.text:
            raise self._error("expected a packet type, got nothing", Cause.EMPTY_PACKET)
        packet_type = TYPES.get(self.text[0])
        if packet_type is None:
            raise self._error(f"expected a packet type (a digit 0 to 6), got {self.text[0]!r}", Cause.UNKNOWN_PACKET_TYPE)
        self.position = 1
        return packet_type

    def _digits(self) -> str:
        run = _DIGITS.match(self.text, self.position)
        return run.group() if run else ""

    def _count(self) -> int:
        digits = self._digits()
        end = self.position + len(digits)
        if self.text[end : end + 1] != "-" or not digits.strip("0"):
            raise self._error("expected the number of attachments, from 1 up, and '-'", Cause.BAD_ATTACHMENT_COUNT)
        count = _bounded(digits, self.limits.max_attachments)
        if count is None:
            raise self._error(f"expected at most {self.limits.max_attachments} attachments", Cause.TOO_MANY_ATTACHMENTS)
        self.position = end + 1
        return count

    def _namespace(self) -> str:
        text, start = self.text, self.position
        if text[start : start + 1] != "/":
            return MAIN_NAMESPACE
        end = text.find(",", start)
        if end < 0:
            self.position = len(text)
            return text[start:]
        self.position = end + 1
        return text[start:end]

    def _ack_id(self, shape: Shape) -> int | None:
        digits = self._digits()
        if digits and shape.ack_id is AckId.NEVER:
            raise self._error("expected no ack id in a packet of this type", Cause.UNEXPECTED_ACK_ID)
        if not digits:
            if shape.ack_id is AckId.REQUIRED:
                raise self._error("expected the id of what is acknowledged", Cause.MISSING_ACK_ID)
            return None
        ack_id = _bounded(digits, MAX_ACK_ID)
        if ack_id is None:
            raise self._error(f"expected an ack id of at most {MAX_ACK_ID}", Cause.ACK_ID_RANGE)
        self.position += len(digits)
        return ack_id

    def _payload(self, shape: Shape) -> object:
        if self.position == len(self.text):
            if shape.payload_required:
                raise self._error(f"expected {shape.expected}, the text ended", Cause.MISSING_PAYLOAD)
            return msgspec.UNSET
        limits = self.limits
        try:
            data = decode_json(self.text[self.position :], max_depth=limits.max_depth, max_integer_digits=limits.max_integer_digits)
        except JSONError as error:
            self.position += error.position
            raise self._error(error.message, error.code) from None
        if type(data) not in shape.payloads:
            raise self._error(f"expected {shape.expected} as payload, got {kind_of(data)}", Cause.BAD_PAYLOAD)
        return data

    def _check_event(self, data: list[object]) -> None:
        fault = event_fault(data)
        if fault is None or (self.lenient and fault[0] is Cause.RESERVED_EVENT):
            return
        self.position += 1  # the name stands behind the bracket
        raise self._error(fault[1], fault[0])

    def _error(self, message: str, code: Cause) -> DecodeError:
        return _error(message, code, self.position, self.text)


def _bounded(digits: str, limit: int) -> int | None:
    """Convert decimal digits, or return None if the number is above the limit, however many digits there are."""
    digits = digits.lstrip("0")
    if len(digits) > len(str(limit)):
        return None
    number = int(digits or "0")
    return number if number <= limit else None


def _error(message: str, code: Cause, offset: int, source: str | bytes) -> DecodeError:
    return DecodeError(message, code=code, offset=offset, layer=LAYER, source=source)


# --- encoding


def encode(packet: Packet, *, limits: Limits = DEFAULT_LIMITS) -> list[str | bytes]:
    """Encode one packet as the messages that carry it: the text, then its attachments in order.

    Bytes-like values at any depth of an event's or an acknowledgement's data become attachments. Nothing of the caller's is changed, and lists and
    tuples are both arrays.

    Raises `LocalProtocolError` for what cannot be sent or would be misread: cause ``bad-message`` (wrong type, payload, id or value),
    ``bad-namespace``, ``bad-event-name``, ``reserved-event``, ``missing-payload``, ``unexpected-payload``, ``missing-ack-id``,
    ``unexpected-ack-id``, ``ack-id-range``, ``unexpected-binary``, ``too-many-attachments``, ``bad-placeholder``, ``bad-number``, ``too-deep``.
    Reference: socket.io-protocol revision 5, "Packet encoding".
    """
    # As in decoding, what is plain has a short way, and whatever has anything unusual about it, a fault included, falls through to the long one.
    data = packet.data
    try:
        if type(data) is list and limits.max_integer_digits >= _PLAIN_DIGITS and are_plain(data, limits.max_depth - 1):
            is_simple = packet.type is _EVENT and packet.id is None and packet.namespace == MAIN_NAMESPACE
            head = "2" if is_simple else _plain_head(packet)
            if head and (head[0] == "3" or (type(data[0]) is str and data[0] not in RESERVED_EVENTS)):
                return [head + _encode_fast(data).decode()]
    except (IndexError, UnicodeEncodeError, RecursionError):
        pass
    return _encode_rare(packet, limits)


def _plain_head(packet: Packet) -> str:
    """What stands before the array of an event or an acknowledgement, or nothing if anything is unusual."""
    ack_id = packet.id
    if packet.type is _EVENT:
        digit = "2"
    elif packet.type is _ACK and ack_id is not None:
        digit = "3"
    else:
        return ""
    namespace = _namespace_prefix(packet.namespace)
    if ack_id is None:
        return digit + namespace
    return f"{digit}{namespace}{ack_id}" if type(ack_id) is int and 0 <= ack_id <= MAX_ACK_ID else ""


_PLAIN_DIGITS: Final = 19
"""Digits of the largest integers that count as plain; a smaller limit is one for the long way to keep."""

_encode_fast: Final = msgspec.json.Encoder().encode


def _encode_rare(packet: Packet, limits: Limits) -> list[str | bytes]:
    shape = check_packet(packet.type, packet.data, packet.id)
    namespace = _namespace_prefix(packet.namespace)
    prefix = namespace if packet.id is None else f"{namespace}{packet.id}"
    if packet.data is msgspec.UNSET:
        return [shape.digit + prefix]
    try:
        data, attachments = _split(packet.data, limits)
        text = encode_json(data)
    except RecursionError:
        raise refused("expected less nesting than the interpreter's stack can follow", Cause.TOO_DEEP) from None
    if not attachments:
        return [shape.digit + prefix + text]
    return [f"{_binary_digit(packet.type)}{_checked_count(attachments, limits)}-{prefix}{text}", *attachments]


def _split(data: object, limits: Limits) -> tuple[object, list[bytes]]:
    if limits.max_integer_digits >= _PLAIN_DIGITS and are_plain((data,), limits.max_depth):
        return data, []
    return extract(data, max_depth=limits.max_depth, max_integer_digits=limits.max_integer_digits)


def _binary_digit(packet_type: PacketType) -> str:
    binary_type = BINARY.get(packet_type)
    if binary_type is None:
        raise refused(
            f"expected no bytes in a packet of type {packet_type}: only an event or an acknowledgement has attachments", Cause.UNEXPECTED_BINARY
        )
    return GRAMMAR[binary_type].digit


def _checked_count(attachments: list[bytes], limits: Limits) -> int:
    if len(attachments) > limits.max_attachments:
        raise refused(f"expected at most {limits.max_attachments} attachments, got {len(attachments)}", Cause.TOO_MANY_ATTACHMENTS)
    return len(attachments)


def _namespace_prefix(namespace: object) -> str:
    # What is no text may not be hashable either, so it is refused before the cache is asked.
    return _cached_prefix(namespace) if isinstance(namespace, str) else check_namespace(namespace)


@lru_cache(maxsize=256)  # an application has few namespaces and names them with every packet
def _cached_prefix(namespace: str) -> str:
    return "" if namespace == MAIN_NAMESPACE else check_namespace(namespace) + ","
