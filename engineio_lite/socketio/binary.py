"""Bytes inside JSON: what leaves a Socket.IO packet as attachments, and how it comes back.

JSON has no bytes. So a packet with bytes anywhere in its arguments travels as several messages: first the text, in which each piece of bytes is
replaced by ``{"_placeholder":true,"num":i}``, then the pieces themselves as binary messages, number 0 first. They are numbered depth first, left to
right, in the order in which the text names them; a reader goes by the number alone.

Only an event and an acknowledgement can carry attachments, and only in their binary types does a placeholder mean anything: in a plain event the
same object is plain data. That leaves one thing that cannot be said, an object of the user's that looks like a placeholder beside real bytes; it is
refused rather than sent to be misread.

Nothing here changes what the caller passed: extracting copies. Restoring works in place, on what our own parser made a moment ago.

Reference: socket.io-protocol revision 5, "Packet encoding", the binary types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final, cast

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, elide

PLACEHOLDER: Final = "_placeholder"


class PlaceholderError(ValueError):
    """A placeholder that names no attachment."""


# --- out: from values to placeholders and attachments

_LARGEST: Final = 2**63 - 1
_SMALLEST: Final = -(2**63)


def are_plain(values: Iterable[object], depth: int) -> bool:
    """Say whether values are JSON as they stand, in containers at most `depth` deep: exact built-in types, ordinary numbers, str keys, and no bytes.

    This is asked of everything that is sent, so it is written for speed: types are compared one by one, the frequent ones first, which is faster than
    looking them up, and the loop is written out a second time for objects. False means no more than "look closer", which `extract` does.
    """
    if depth < 0:
        return False
    for value in values:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if kind is dict:
            if not _is_plain_object(value, depth - 1):  # type: ignore[arg-type]
                return False
        elif kind is list or kind is tuple:
            if not are_plain(value, depth - 1):  # type: ignore[arg-type]
                return False
        elif not ((kind is int and _SMALLEST <= value <= _LARGEST) or (kind is float and -inf < value < inf)):  # type: ignore[operator]
            return False
    return True


def _is_plain_object(value: Mapping[object, object], depth: int) -> bool:
    if depth < 0:
        return False
    for key, item in value.items():
        if type(key) is not str:
            return False
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            if not _is_plain_object(item, depth - 1):  # type: ignore[arg-type]
                return False
        elif kind is list or kind is tuple:
            if not are_plain(item, depth - 1):  # type: ignore[arg-type]
                return False
        elif not ((kind is int and _SMALLEST <= item <= _LARGEST) or (kind is float and -inf < item < inf)):  # type: ignore[operator]
            return False
    return True


def extract(value: object, *, max_depth: int, max_integer_digits: int) -> tuple[object, list[bytes]]:
    """Copy a value with every bytes-like part replaced by a placeholder; return the copy and the parts, in order.

    Containers may be subclasses of dict, list and tuple; bytes, bytearray and memoryview are bytes-like and their content is taken now.

    Raises `LocalProtocolError` with cause ``too-deep`` (which includes containers that hold themselves), ``bad-number`` for numbers without a JSON
    form and integers that are too long, ``bad-placeholder`` for an object that looks like a placeholder beside real bytes, and ``bad-message`` for
    anything else that is not JSON.
    Reference: socket.io-protocol revision 5, "Packet encoding".
    """
    extractor = _Extractor(max_depth, 10 ** min(max_integer_digits, _CONVERTIBLE_DIGITS))
    copy = extractor.copy(value, 1)
    if extractor.attachments and extractor.has_lookalike:
        raise _refused(f"an object with {PLACEHOLDER!r} beside bytes would be read as a placeholder", Cause.BAD_PLACEHOLDER)
    return copy, extractor.attachments


_CONVERTIBLE_DIGITS: Final = 4300
"""What the interpreter converts to text unless told otherwise, whatever the limit says."""


class _Extractor:
    """One walk over one value, depth first and left to right: that order is the numbering."""

    def __init__(self, max_depth: int, max_integer: int) -> None:
        self.max_depth = max_depth
        self.max_integer = max_integer
        self.attachments: list[bytes] = []
        self.has_lookalike = False

    def copy(self, value: object, depth: int) -> object:
        """Copy one value that would be container number `depth` from the outside, if it is one."""
        match value:
            case None | bool():
                return value
            case str():
                return str.__str__(value)  # the characters, whatever a subclass (an enumeration, say) would print
            case int() | float():
                return self._number(value)
            case bytes() | bytearray() | memoryview():
                self.attachments.append(_content(value))
                return {PLACEHOLDER: True, "num": len(self.attachments) - 1}
            case dict():
                return self._object(value, depth)
            case list() | tuple():
                self._check_depth(depth)
                return [self.copy(item, depth + 1) for item in value]
        raise _refused(f"expected a JSON value or bytes, got {type(value).__name__}", Cause.BAD_MESSAGE)

    def _object(self, value: dict[object, object], depth: int) -> dict[str, object]:
        self._check_depth(depth)
        self.has_lookalike |= value.get(PLACEHOLDER) is True
        return {_key(key): self.copy(item, depth + 1) for key, item in value.items()}

    def _number(self, value: int | float) -> int | float:
        if isinstance(value, int):
            if not -self.max_integer < value < self.max_integer:
                raise _refused("expected an integer that peers accept, got one with too many digits", Cause.BAD_NUMBER)
            return int.__int__(value)
        if not -inf < value < inf:
            raise _refused(f"expected a number that JSON can express, got {value!r}", Cause.BAD_NUMBER)
        return float.__float__(value)

    def _check_depth(self, depth: int) -> None:
        if depth > self.max_depth:
            raise _refused(f"expected at most {self.max_depth} nested arrays and objects, got more", Cause.TOO_DEEP)


def _content(value: bytes | bytearray | memoryview) -> bytes:
    try:
        return bytes(value)
    except ValueError:  # a memoryview that was released
        raise _refused("expected bytes, got a memoryview that was released", Cause.BAD_MESSAGE) from None


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise _refused(f"expected the keys of an object as str, got {type(key).__name__}", Cause.BAD_MESSAGE)
    return str.__str__(key)


def _refused(message: str, cause: Cause) -> LocalProtocolError:
    return LocalProtocolError(message, cause=cause)


# --- in: from placeholders and attachments to values


def restore(data: list[object], attachments: Sequence[bytes]) -> None:
    """Put the attachments into the places that name them, in place.

    An object with `_placeholder` exactly true is a placeholder, whatever else it holds. One attachment may be named twice, or never.

    Raises `PlaceholderError` where a placeholder's ``num`` is not the number of an attachment: a whole number, since 0.5 names nothing, and not
    negative, since Python would count from the end.
    Reference: socket.io-protocol revision 5, "Packet encoding".
    """
    # Not recursive: how deep the data is was decided by a limit that the caller may have raised beyond what the interpreter's stack can follow.
    waiting: list[object] = [data]
    while waiting:
        container = waiting.pop()
        items = enumerate(container) if isinstance(container, list) else cast("dict[str, object]", container).items()
        for key, value in items:
            if isinstance(value, dict) and value.get(PLACEHOLDER) is True:
                container[key] = _attachment(value.get("num"), attachments)  # type: ignore[index]  # key belongs to container
            elif isinstance(value, dict | list):
                waiting.append(value)


def _attachment(number: object, attachments: Sequence[bytes]) -> bytes:
    if type(number) is int and 0 <= number < len(attachments):
        return attachments[number]
    raise PlaceholderError(f"expected the number of one of {len(attachments)} attachments, got {elide(repr(number))}")
