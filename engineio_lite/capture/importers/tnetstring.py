"""Typed netstrings, mitmproxy's notation: a length, a colon, that many bytes, and a letter for their type.

    5:hello,   bytes      5:hello;   text       2:42#   integer     3:1.5^   float
    4:true!    boolean    0:~        null       …]      list        …}       dictionary, keys and values in turn

The length comes first, so a reader knows at once whether all of a value is there: a file that was cut off ends in a value that says so itself.
Reading is not recursive, and what is read is bounded by the bytes that are there; only nesting needs a limit of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engineio_lite.exceptions import elide

MAX_DEPTH: Final = 64
"""Lists and dictionaries in each other. A flow has about six; each costs a few bytes, so without a limit a file could nest millions."""

_LENGTH: Final = re.compile(rb"([0-9]{1,12}):")
"""Twelve digits are a terabyte."""


class NotTnetstring(ValueError):
    """Bytes that are no typed netstring; `is_cut` says that they end before the value does."""

    def __init__(self, message: str, *, is_cut: bool = False) -> None:
        super().__init__(message)
        self.is_cut = is_cut


class _Open:
    """A list or dictionary that is being read: where it ends, what is in it so far, and whether it is a dictionary."""

    def __init__(self, end: int, is_dictionary: bool) -> None:
        self.end = end
        self.is_dictionary = is_dictionary
        self.items: list[object] = []

    def close(self) -> object:
        if not self.is_dictionary:
            return self.items
        keys = [key.decode("utf-8", "replace") if isinstance(key, bytes) else key for key in self.items[::2]]
        if len(self.items) % 2 or not all(isinstance(key, str) for key in keys):
            raise NotTnetstring("expected a dictionary of text keys and values")
        return dict(zip(keys, self.items[1::2], strict=True))


def read_values(data: bytes) -> Iterator[object]:
    """Read one value after the other.

    Raises `NotTnetstring` for the first one that is none, after those before it were given.
    """
    position = 0
    while position < len(data):
        value, position = _read(data, position)
        yield value


def _read(data: bytes, position: int) -> tuple[object, int]:
    containers: list[_Open] = []
    end_of_all = len(data)
    while True:
        value, position, opened = _read_head(data, position, containers[-1].end if containers else end_of_all)
        if opened is not None:
            if len(containers) >= MAX_DEPTH:
                raise NotTnetstring(f"expected at most {MAX_DEPTH} containers in each other, got more")
            containers.append(opened)
        elif not containers:
            return value, position
        else:
            containers[-1].items.append(value)
        while containers and position == containers[-1].end:
            value, position = containers.pop().close(), position + 1  # the letter
            if not containers:
                return value, position
            containers[-1].items.append(value)


def _read_head(data: bytes, position: int, end: int) -> tuple[object, int, _Open | None]:
    """Read a plain value and step behind it, or step into a container."""
    head = _LENGTH.match(data, position, end)
    if head is None:
        is_cut = end == len(data) and data[position:].isdigit()
        raise NotTnetstring(f"expected a length and a colon at byte {position}, got {elide(data[position : position + 20])}", is_cut=is_cut)
    start = head.end()
    stop = start + int(head[1])
    if stop >= end:
        raise NotTnetstring(f"expected {int(head[1])} bytes and a type at byte {position}, got {max(end - start, 0)}", is_cut=end == len(data))
    kind = data[stop : stop + 1]
    if kind in (b"]", b"}"):
        return None, start, _Open(stop, kind == b"}")
    return _plain(kind, data[start:stop], position), stop + 1, None


def _plain(kind: bytes, text: bytes, position: int) -> object:
    try:
        match kind:
            case b",":
                return text
            case b";":
                return text.decode("utf-8", "surrogateescape")
            case b"#":
                return int(text.decode("ascii"))
            case b"^":
                return float(text.decode("ascii"))
            case b"!" if text in (b"true", b"false"):
                return text == b"true"
            case b"~" if not text:
                return None
    except ValueError:
        pass  # said below, for all of them
    raise NotTnetstring(f"expected a typed value at byte {position}, got {elide(text[:40])} of type {elide(kind)}")
