"""JSON as this library reads and writes it: what a browser's `JSON.parse` and `JSON.stringify` agree on, within bounds.

One fast codec, msgspec, does the work; this module is what stands around it.

*Before* it parses, two questions are asked of the text, because a parser answers them too late. How deep is it? Parsers recurse, and 200 000
brackets are a small message. How long is its longest integer? Turning digits into a number takes quadratic time. Both questions are about what
stands outside of strings, where brackets and digits mean nothing; both begin with a test that costs little and settles nearly every text, and only
then look closely. All of it takes time proportional to the text.

*After* msgspec refused, the standard library's parser looks at the same text, strictly, for one of two reasons: it is right (a lone surrogate
written as an escape, ``"\\ud800"``: JavaScript strings may hold one and `JSON.stringify` sends it so), or it says where the fault is. ``NaN``,
``Infinity`` and numbers that overflow a double are faults in both.

Reference: RFC 8259; ECMA-262 "The JSON Object".
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from itertools import accumulate
from typing import Final, NoReturn

import msgspec

from engineio_lite.causes import Cause


class JSONError(ValueError):
    """Text that is no JSON, or more than the bounds allow: `code` is ``bad-json``, ``bad-number`` or ``too-deep``.

    `position` is where the parser stopped, in code points; for the other two, which are properties of the whole text, it is 0.
    """

    def __init__(self, message: str, *, code: Cause, position: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.position = position


_decode: Final = msgspec.json.Decoder().decode

# What msgspec raises for text that it does not take: no JSON, a raw lone surrogate, recursion beyond the interpreter's limit.
REFUSED: Final = (msgspec.DecodeError, ValueError, RecursionError)


def decode_json(text: str, *, max_depth: int, max_integer_digits: int) -> object:
    """Decode one JSON text, which starts at its first character: blanks before it are an error, as the wire never has them.

    Raises `JSONError`.
    """
    if text[:1] in _BLANKS:
        raise JSONError("expected JSON, got " + (repr(text[0]) if text else "nothing"), code=Cause.BAD_JSON)
    check_bounds(text, max_depth, max_integer_digits)
    try:
        return _decode(text)
    except REFUSED:
        return _decode_strictly(text)


_WHITESPACE: Final = " \t\n\r"
_BLANKS: Final = frozenset(("", *_WHITESPACE))

# --- bounds


def check_bounds(text: str, max_depth: int, max_integer_digits: int) -> None:
    """Refuse text that is nested too deeply or holds too long an integer; what is malformed in other ways is left to the parser."""
    if len(text) > 2 * max_depth and _is_deeper(text.encode("utf-8", "replace"), max_depth):
        raise JSONError(f"expected at most {max_depth} nested arrays and objects, got more", code=Cause.TOO_DEEP)
    if not DIGITS.isdisjoint(text[digit_sample(max_integer_digits)]) and _has_longer_integer(text, max_integer_digits):
        raise JSONError(f"expected integers of at most {max_integer_digits} digits, got a longer one", code=Cause.BAD_NUMBER)


def _all_but(kept: bytes) -> bytes:
    return bytes(set(range(256)) - set(kept))


_NO_BRACKETS: Final = _all_but(b"[]{}")
_NO_STRUCTURE: Final = _all_but(b'[]{}"')
_STEPS: Final = bytes(1 if byte in b"[{" else 255 for byte in range(256))
_PEELED: Final = 3


def _is_deeper(text: bytes, limit: int) -> bool:
    # Everything here runs at the speed of C, and each question settles most of what is left.
    brackets = text.translate(None, _NO_BRACKETS)
    if brackets.count(b"[") + brackets.count(b"{") <= limit:
        return False
    brackets = _brackets_outside_strings(text)
    # Taking away the innermost arrays lowers the depth by one, and so for objects. Of real data hardly anything remains.
    core = brackets
    for _ in range(_PEELED):
        core = core.replace(b"[]", b"").replace(b"{}", b"")
    if len(core) + 2 * _PEELED <= limit:
        return False
    # Read as signed bytes the steps are +1 and -1, and their running sum is the depth; it stops at the first place that is too deep.
    return any(map(limit.__lt__, accumulate(memoryview(brackets.translate(_STEPS)).cast("b"))))


def _brackets_outside_strings(text: bytes) -> bytes:
    structure = _without_escapes(text).translate(None, _NO_STRUCTURE)
    # Strings without brackets are two quotes side by side now. Where one with brackets meets one without, the wrong two are taken for a pair, and
    # what is left is still one string with those brackets.
    structure = structure.replace(b'""', b"")
    return b"".join(structure.split(b'"')[::2])


def _without_escapes(text: bytes) -> bytes:
    # The order matters: `"\\"` ends with an escaped backslash and `"\""` with an escaped quote.
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


DIGITS: Final = frozenset("0123456789")


def digit_sample(max_integer_digits: int) -> slice:
    """The characters to look at for a run of more than n digits: it covers at least one of the positions n, 2n + 1, 3n + 2, …"""
    return slice(max_integer_digits, None, max_integer_digits + 1)


_DIGIT_MARKS: Final = bytes(49 if byte in b"0123456789" else 32 for byte in range(256))


def _has_longer_integer(text: str, digits: int) -> bool:
    # A closer sample: of every so-manieth character a long run covers several that follow each other, which is rare where numbers are short.
    step = max(1, (digits + 1) // 8)
    marks = text[::step].encode("utf-8", "replace").translate(_DIGIT_MARKS)
    if b"1" * ((digits + 1) // step) not in marks:
        return False
    # A quote is left in place of each string, so that what stood on its two sides is not joined.
    outside = b'"'.join(_without_escapes(text.encode("utf-8", "replace")).split(b'"')[::2])
    return _longer_integer(digits).search(outside) is not None


@lru_cache(maxsize=16)
def _longer_integer(digits: int) -> re.Pattern[bytes]:
    """An integer of more than `digits` digits; those of a fraction or an exponent, or before one, make a float, which costs no more than its text."""
    return re.compile(rb"(?<![0-9.eE])(?<![eE][+-])[0-9]{%d,}+(?![.eE])" % (digits + 1))


# --- the strict second opinion


def _decode_strictly(text: str) -> object:
    try:
        return _STRICT.decode(text)
    except json.JSONDecodeError as error:
        # Python 3.13 points at a comma that nothing follows; earlier ones, and we, point at the bracket behind it, where the fault shows.
        behind = text[error.pos + 1 :].lstrip(_WHITESPACE)
        position = len(text) - len(behind) if error.msg.startswith("Illegal trailing comma") else error.pos
        raise JSONError(f"expected JSON: {error.msg[0].lower()}{error.msg[1:]}", code=Cause.BAD_JSON, position=position) from None
    except RecursionError:
        raise JSONError("expected less nesting than the interpreter's stack can follow", code=Cause.TOO_DEEP) from None


def _refuse_constant(name: str) -> NoReturn:
    raise JSONError(f"expected a number that JSON can express, got {name}", code=Cause.BAD_NUMBER)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise JSONError(f"expected a number within the range of a double, got {digits[:40]}", code=Cause.BAD_NUMBER)
    return number


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # the interpreter's own bound, where max_integer_digits was set beyond it
        raise JSONError(f"expected an integer that Python converts, got one of {len(digits)} digits", code=Cause.BAD_NUMBER) from None


_STRICT: Final = json.JSONDecoder(parse_float=_finite, parse_int=_integer, parse_constant=_refuse_constant)

# --- encoding

_encode: Final = msgspec.json.Encoder().encode


def encode_json(value: object) -> str:
    """Encode plain values (None, bool, int, finite float, str, list, tuple, dict with str keys) as compact JSON; the caller has checked that they
    are.

    Lone surrogates are written as escapes, and then so is everything else that is not ASCII.
    """
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
