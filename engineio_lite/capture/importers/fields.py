"""JSON that somebody else wrote, looked at without trust: every look gives a value of the kind that was asked for, a harmless one if it is not there.

A recording is evidence, and half of one is better than none: an entry without a header list is an entry without headers. What cannot be guessed (is
this body empty, or was it not recorded?) is asked with functions that can say None.
"""

from __future__ import annotations

import math
import zlib
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from typing import Final

from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.causes import Cause
from engineio_lite.exceptions import elide
from engineio_lite.inputs import Headers
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.strictjson import JSONError, decode_json

MAX_INFLATED: Final = 1024 * 1024 * 1024
"""Bytes of a compressed recording once it is inflated: more than any recording that people keep, and less than what ends a process."""

MAX_DEPTH: Final = 400
"""Nesting of a recording. DevTools writes who called whom over all asynchronous steps, two levels each, around 32 of them and sometimes more."""

BOM: Final = b"\xef\xbb\xbf"

Object = Mapping[str, object]


def read_json(data: bytes, what: str) -> object:
    """Read a JSON document, a byte order mark before it or not; `what` names it in the error.

    Raises `ImportFailed` with cause ``not-a-recording``.
    """
    try:
        return decode_json(data.removeprefix(BOM).decode(), max_depth=MAX_DEPTH, max_integer_digits=DEFAULT_LIMITS.max_integer_digits)
    except UnicodeDecodeError as error:
        raise ImportFailed(f"expected {what} in UTF-8, got a byte that is none at {error.start}, in {elide(data[:40])}") from None
    except JSONError as error:
        raise ImportFailed(f"expected {what}: {error.message} (at character {error.position})") from None


def mapping(value: object) -> Object:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The array, or an empty one."""
    return value if isinstance(value, list) else []


def objects(value: object) -> Iterator[Object]:
    """Those items of an array that are objects."""
    return (item for item in items(value) if isinstance(item, dict))


def string(value: object) -> str:
    """The string, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """The number, which some write as a string; None for what is none or is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """The number, if it is a whole one."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def header_list(value: object) -> Headers:
    """Headers as pairs: from a list of objects with name and value, from a list of pairs, or from an object."""
    if isinstance(value, dict):
        return tuple((name, string(text)) for name, text in value.items())
    pairs = []
    for item in items(value):
        match item:
            case {"name": str(name), "value": str(text)} | [str(name), str(text)]:
                pairs.append((name, text))
    return tuple(pairs)


def header(headers: Headers, name: str) -> str:
    """The first header of that name (in lower case), or an empty string."""
    return next((value for found, value in headers if found.lower() == name), "")


def base64_bytes(text: str) -> bytes | None:
    """What the text says in base64, which may be wrapped; None if it is none."""
    try:
        return a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (Base64Error, UnicodeEncodeError):
        return None


def utf8(text: str) -> bytes:
    """The text as UTF-8. A lone surrogate, which JSON can hold, keeps its bytes, so that whoever decodes the packet sees that it is broken."""
    return text.encode("utf-8", "surrogatepass")


def inflate(data: bytes, window: int, limit: int = MAX_INFLATED) -> bytes:
    """Inflate a whole stream of zlib (`window` 15) or gzip (31).

    Raises `zlib.error` for what is none, `ImportFailed` with cause ``recording-too-large`` beyond `limit` bytes.
    """
    inflater = zlib.decompressobj(window)
    whole_text = inflater.decompress(data, limit)
    if inflater.unconsumed_tail:
        raise ImportFailed(f"expected at most {limit} bytes after decompression, got more", cause=Cause.RECORDING_TOO_LARGE)
    if not inflater.eof:
        raise zlib.error("it ends before its end")
    return whole_text


_ENCODINGS: Final = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""Windows by name. A deflate without the head of zlib is against the rules (RFC 9110 section 8.4.1.2) and common."""


def decoded(content: bytes, encoding: str) -> bytes | None:
    """Undo a content encoding of HTTP; None where that cannot be done (brotli and zstandard are not of the standard library)."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not content:
        return content
    for window in _ENCODINGS.get(encoding, ()):
        try:
            return inflate(content, window)
        except zlib.error:
            continue
    return None
