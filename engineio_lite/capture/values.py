"""JSON for what packets may hold and JSON has no word for: bytes, dates and extensions of the msgpack parser, numbers that are none.

    {"$bin": "AAEC"}                     bytes, in standard base64
    {"$float": "NaN"}                    NaN, Infinity, -Infinity
    {"$date": "2026-11-20T20:15:20Z"}    a point in time (msgpack parser)
    {"$ext": 5, "data": "AAEC"}          an extension of MessagePack, number and bytes
    {"$esc": {"$bin": 1}}                an object of the conversation that has itself a name with a dollar sign in front

Everything else is itself. Text is written as it is, with one exception: a string with a lone surrogate, which JavaScript sends and UTF-8 has no form
for, makes the line that it stands in ASCII, with escapes.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import Final

from msgspec.msgpack import Ext

_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: object) -> object:
    """What a packet holds, as JSON values. Raises TypeError for what no packet can hold."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        case bytes():
            return {"$bin": b64encode(value).decode()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case dict():
            members = {str(name): to_json(item) for name, item in value.items()}
            return {"$esc": members} if any(name.startswith("$") for name in members) else members
        case datetime():
            return {"$date": value.astimezone(UTC).isoformat().replace("+00:00", "Z")}
        case Ext():
            return {"$ext": value.code, "data": b64encode(value.data).decode()}
        case _:
            raise TypeError(f"no packet holds a {type(value).__name__}")


def from_json(value: object) -> object:
    """The opposite of `to_json`. Raises ValueError for an object with a dollar sign that is none of those above."""
    match value:
        case list():
            return [from_json(item) for item in value]
        case dict() if any(name.startswith("$") for name in value):
            return _special(value)
        case dict():
            return {name: from_json(item) for name, item in value.items()}
        case _:
            return value


def _special(value: dict[str, object]) -> object:
    match value:
        case {"$bin": str(text), **rest} if not rest:
            return _bytes(text)
        case {"$float": str(text), **rest} if not rest and text in _FLOATS:
            return _FLOATS[text]
        case {"$date": str(text), **rest} if not rest:
            return datetime.fromisoformat(text)
        case {"$ext": int(code), "data": str(text), **rest} if not rest:
            return Ext(code, _bytes(text))
        case {"$esc": dict(members), **rest} if not rest:
            return {name: from_json(item) for name, item in members.items()}
        case _:
            raise ValueError(f"expected $bin, $float, $date, $ext or $esc, got an object with {', '.join(map(repr, list(value)[:3]))}")


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError(f"expected standard base64 ({error})") from None


def write_json(value: object) -> str:
    """One line of JSON, a blank behind each comma and colon, so that a difference is easy to see; as text that has a UTF-8 form."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text
