"""Bodies as they are, out of how they were sent.

What passes through the proxy keeps its content encoding; only the recorder looks inside. It reads what the standard library reads, which is what
Engine.IO servers write, and ``br`` where a package for it is installed, since servers do not write it but what stands before them does.
"""

from __future__ import annotations

import importlib
import zlib
from typing import Final, NamedTuple

from engineio_lite.limits import DEFAULT_LIMITS

MAX_BODY: Final = DEFAULT_LIMITS.max_body
"""Bytes of a body that is recorded, as it was sent and as it is."""


class Encoded(NamedTuple):
    """A body as it was sent, and its content encoding; `data` is None if it was too large to be kept."""

    data: bytes | None
    encoding: str = ""


def decode_body(body: Encoded) -> bytes | str:
    """What a body says; a text that says why that cannot be read."""
    if body.data is None:
        return f"it is larger than the limit of {MAX_BODY} bytes"
    data: bytes | str = body.data
    for encoding in reversed([name.strip().lower() for name in body.encoding.split(",")]):
        if isinstance(data, bytes):
            data = _decoded(data, encoding)
    return data


def _decoded(data: bytes, encoding: str) -> bytes | str:
    if not data or encoding in ("", "identity"):
        return data
    if encoding == "br":
        return _brotli(data)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return f"its content encoding {encoding!r} is not known here"
    # For deflate most send the zlib format, as they should, and some the bare stream: a bare one cannot begin with the nibble 8.
    bits = 31 if "gzip" in encoding else zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
    inflater = zlib.decompressobj(bits)
    try:
        plain = inflater.decompress(data, MAX_BODY + 1)
    except zlib.error as error:
        return f"its content encoding {encoding!r} is damaged ({error})"
    if len(plain) > MAX_BODY:
        return f"it is larger than the limit of {MAX_BODY} bytes"
    return plain if inflater.eof else f"its content encoding {encoding!r} is cut short"


def _brotli(data: bytes) -> bytes | str:
    try:
        module = importlib.import_module("brotli")
    except ModuleNotFoundError:
        return "its content encoding 'br' is not known here (install the package brotli)"
    try:
        # Not the shorter function, which knows no bound.
        plain = module.Decompressor().process(data, MAX_BODY + 1)
    except (module.error, TypeError) as error:  # the latter from a release that cannot be told a bound
        return f"its content encoding 'br' cannot be undone ({error})"
    assert isinstance(plain, bytes)
    return plain if len(plain) <= MAX_BODY else f"it is larger than the limit of {MAX_BODY} bytes"
