"""When which piece of a recorded answer is said, and what a server does to say it. Pure: instants are seconds after the request.

The pieces are those that were recorded, at the times at which they came, with all times multiplied by one factor; or the same bytes cut into other
pieces, each of which comes when its last byte did. What cannot be told from a recording is what would have come after we left: there the server says
nothing more.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from chat_answers.exceptions import ConfigurationError
from ylokh_sse.capture.format import Recorded
from ylokh_sse.capture.lines import CANCELLED, CUT, Cut
from ylokh_sse.loopback import answer
from ylokh_sse.loopback.script import CutHow

SHORT: Final = 1000
"""Bytes by which an announced length is too large where the connection was cut short of it."""

BREATH: Final = 0.1
"""Seconds before a connection is broken in a way that overtakes what was said: a client had read that first when it was recorded."""

_SCALED: Final = re.compile(r"scaled\(\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*\)", re.ASCII)
_GZIP_WINDOW: Final = 31  # zlib's way to ask for a gzip header and trailer
_BAD_ENCODING: Final = "bad-encoding"
_CUTS: Final[Mapping[Cut, CutHow]] = {Cut.CHUNKED: "chunked", Cut.LENGTH: "length", Cut.RESET: "reset"}
_UNREADABLE: Final = answer.Say(b"\xff" * SHORT)
_SEEN: Final = (CUT, CANCELLED, "bad-http", _BAD_ENCODING, "first-byte-timeout", "total-timeout")


class Schedule(msgspec.Struct, frozen=True):
    """When the head comes, when which piece does, and when the end."""

    head: float
    pieces: tuple[tuple[float, bytes], ...]
    end: float


def read_timing(timing: str | float) -> float:
    """Return what recorded times are multiplied by: 0 for ``none``, 1 for ``recorded``, x for ``scaled(x)`` and for a number.

    Raises `ConfigurationError` for anything else.
    """
    if isinstance(timing, str):
        scaled = _SCALED.fullmatch(timing)
        named = {"none": 0.0, "recorded": 1.0}
        factor = named.get(timing, math.nan) if scaled is None else float(scaled[1])
    else:
        factor = math.nan if isinstance(timing, bool) else timing
    if not 0 <= factor < math.inf:
        raise ConfigurationError(f"timing is 'none', 'recorded', 'scaled(x)' or a number from 0, not {timing!r}")
    return factor


def check_rechunk(size: int | None) -> int | None:
    """Return a number of bytes for each piece, or None; raises `ConfigurationError` for anything else."""
    if size is not None and (type(size) is not int or size < 1):
        raise ConfigurationError(f"rechunk is a number of bytes from 1, or None, not {size!r}")
    return size


def schedule(exchange: Recorded, factor: float = 0.0, rechunk: int | None = None) -> Schedule:
    """Say when everything of an exchange comes. No instant is before the one that stands before it, whatever was recorded."""
    latest = 0.0
    instants = []
    for line in (exchange.answered, *exchange.pieces, exchange.end):
        latest = latest if line is None else max(latest, line.time - exchange.asked.time)
        instants.append(latest * factor)
    pieces = [(instant, piece.data) for instant, piece in zip(instants[1:-1], exchange.pieces, strict=True) if piece.data]
    return Schedule(instants[0], tuple(_cut(pieces, rechunk) if rechunk else pieces), instants[-1])


def _cut(pieces: list[tuple[float, bytes]], size: int) -> Iterator[tuple[float, bytes]]:
    """The same bytes in pieces of one size, the last one shorter; a piece comes when its last byte does."""
    rest = b""
    instant = 0.0
    for instant, data in pieces:
        rest += data
        whole = len(rest) - len(rest) % size
        for start in range(0, whole, size):
            yield instant, rest[start : start + size]
        rest = rest[whole:]
    if rest:
        yield instant, rest


def how_ended(exchange: Recorded) -> str:
    """How an exchange ended, as `Ended.how`; one whose end the recorder did not live to see was cut."""
    return CUT if exchange.end is None else exchange.end.how


def how_cut(exchange: Recorded) -> Cut | None:
    """In which way its connection broke, None if it did not."""
    end = exchange.end
    if end is None:
        return Cut.CHUNKED
    if end.how != CUT:
        return None
    return Cut.CHUNKED if end.cut is None else end.cut


def was_left(exchange: Recorded) -> bool:
    """Whether it ended by our leaving, so that nobody knows what the server would have said."""
    how = how_ended(exchange)
    return how == CANCELLED or how.endswith("-timeout")


def reached_the_server(exchange: Recorded) -> bool:
    """Whether a server has seen the request, as far as one can tell; what failed before that, such as a connection, is nothing that it can replay."""
    return exchange.answered is not None or how_ended(exchange) in _SEEN


# --------------------------------------------------------------------------------------------------------------------------- what a server does


def steps(exchange: Recorded, factor: float = 0.0, rechunk: int | None = None) -> Iterator[answer.Step]:
    """Yield what a server does to answer as it was recorded."""
    plan = schedule(exchange, factor, rechunk)
    unreadable = how_ended(exchange) == _BAD_ENCODING
    if exchange.answered is not None:
        yield from _at(plan.head)
        yield answer.Head(exchange.answered.status, {**exchange.answered.headers, **_body_headers(exchange)})
        yield from _compressed(plan) if unreadable else _plain(plan)
    yield from _at(plan.end)
    if exchange.answered is None and unreadable:
        yield answer.Head(200, _body_headers(exchange))
        yield _UNREADABLE
    else:
        yield from _ending(exchange)


def _at(instant: float) -> Iterator[answer.Step]:
    if instant > 0:
        yield answer.At(instant)


def _plain(plan: Schedule) -> Iterator[answer.Step]:
    for instant, data in plan.pieces:
        yield from _at(instant)
        yield answer.Say(data)


def _compressed(plan: Schedule) -> Iterator[answer.Step]:
    """The same compressed, and behind it what nobody can read."""
    squeeze = zlib.compressobj(wbits=_GZIP_WINDOW)
    for instant, data in plan.pieces:
        yield from _at(instant)
        yield answer.Say(squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    yield _UNREADABLE


def _body_headers(exchange: Recorded) -> dict[str, str]:
    if how_ended(exchange) == _BAD_ENCODING:
        return {"content-encoding": "gzip"}
    return {"content-length": str(len(exchange.body) + SHORT)} if how_cut(exchange) is Cut.LENGTH else {}


def _ending(exchange: Recorded) -> Iterator[answer.Step]:
    cut = how_cut(exchange)
    if cut in (Cut.FRAMING, Cut.RESET):
        yield answer.Wait(BREATH)
    if cut is Cut.FRAMING:
        yield answer.Raw(b"zz\r\n")
        yield answer.Stall()  # who reads this leaves
    elif cut is not None:
        yield answer.Cut(_CUTS[cut])
    elif was_left(exchange):
        yield answer.Stall()
    elif exchange.answered is None:
        yield answer.Raw(b"This is not HTTP.\r\n\r\n")
        yield answer.Cut("chunked")
