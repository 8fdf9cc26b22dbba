"""What packets hold as text fit to be looked at: nothing in it is invisible, moves a cursor, or turns the direction of what stands around it.

Payloads hold whatever the peers put there: controls, bidirectional overrides, line separators, halves of surrogate pairs. Whoever shows a payload
shows these as JSON would escape them, which is right inside a string of JSON and readable everywhere else. What JSON has no word for, an attachment
first of all, is put into words between angle quotes, which stand in no JSON outside of a string.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.msgpack import Ext

_HEAD_BYTES: Final = 8
"""Bytes of an attachment that are shown in a line: enough to know a PNG."""


def visible(text: str) -> str:
    r"""The same text with every character that does not print written as an escape, such as ``\u202e``."""
    return text if text.isprintable() else "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def show_bytes(value: bytes) -> str:
    """The number of bytes and the first of them, such as ``3 bytes 00ff01``."""
    count = f"{len(value)} byte{'' if len(value) == 1 else 's'}"
    return f"{count} {value[:_HEAD_BYTES].hex()}{'…' if len(value) > _HEAD_BYTES else ''}".rstrip()


def json_text(value: object, attachment: Callable[[bytes], str] = lambda value: f"‹{show_bytes(value)}›", separator: str = ",") -> str:
    """A payload as one line of JSON, visible throughout; attachments are written as `attachment` says, without quotes."""
    match value:
        case dict():
            members = (f"{_scalar(name)}:{json_text(item, attachment, separator)}" for name, item in value.items())
            return f"{{{separator.join(members)}}}"
        case list() | tuple():
            return f"[{separator.join(json_text(item, attachment, separator) for item in value)}]"
        case bytes():
            return attachment(value)
        case Ext():
            return f"‹extension {value.code}, {show_bytes(bytes(value.data))}›"
        case datetime():
            return f"‹{value.isoformat()}›"
        case _:
            return _scalar(value)


def _scalar(value: object) -> str:
    return visible(_encode(value))


_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
