"""What a capture is made of: the vocabulary of its lines. Pure.

A capture is what went over the wire, request by request, tries that failed included: what was asked, the head of the answer, its body in the pieces
in which it came, and how it ended. It is not what was made of it: the same bytes are decoded again when a capture is shown or replayed, so that a
better decoder makes a better answer of an old capture. Bodies are what they were after decompression.

Times are seconds since the first line was written, which alone says when that was; so a new recording of the same conversation changes few lines.
`number` counts the requests from 1. Nothing here is secret any more: what stands in for a secret is ``<redacted:1>``, numbered in the order in which
they came up (`redactor.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from chat_answers.parts import JSON

VERSION: Final = 1
"""The version of the format; a reader refuses a larger one, and passes over kinds of lines and keys that it does not know."""

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of one line: twice the largest body that is read by default, since a question may hold a picture as text, too."""

MAX_FILE: Final = 256 * 1024 * 1024
"""Bytes of a capture: a day of streamed answers, and what one can still hold in memory."""

COMPLETE: Final = "complete"
CUT: Final = "cut"
CANCELLED: Final = "cancelled"


class Cut(StrEnum):
    """In which way a connection broke, so that it can be broken in the same way again."""

    CHUNKED = "chunked"
    """It was closed before the last chunk; before there was an answer: closed without one."""
    LENGTH = "length"
    """It was closed short of the length that was announced."""
    FRAMING = "framing"
    """The chunked encoding made no sense any more."""
    RESET = "reset"
    """It was reset."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: who wrote the capture, when (ISO 8601, UTC), whence it comes, and what was taken out of it."""

    version: int = VERSION
    by: str = ""
    at: str = ""
    source: str = "record"
    redacted: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request was sent, or would have been: `body` is its JSON, or its text where it is none. Headers are not kept."""

    number: int
    time: float
    method: str
    url: str
    body: JSON = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer came. Of the headers, with lower-case names, only those are kept that are known to be harmless."""

    number: int
    time: float
    status: int
    headers: Mapping[str, str] = {}


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the body came."""

    number: int
    time: float
    data: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange is over.

    `how` is ``complete`` (the body came to its end, whatever was in it), ``cut`` (the connection broke; `cut` says in which way), ``cancelled`` (we
    left), or the cause of another error, such as ``idle-timeout`` or ``connect-refused``.
    """

    number: int
    time: float
    how: str
    cut: Cut | None = None


Line: TypeAlias = Head | Asked | Answered | Received | Ended
