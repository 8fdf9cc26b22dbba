"""How long an answer may take: three waits, and which of them runs out next. Pure: instants are arguments.

One timeout is not enough for an answer that is streamed. A reasoning model may be silent for a minute before its first word and must not be silent
for a minute after it, and neither bound says how long the whole may be. The server's pings count for none of them: they prove that the connection
lives, which is the engine's business, and not that an answer is being made.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from perplexity_labs.exceptions import Phase


class Timeout(msgspec.Struct, frozen=True, kw_only=True):
    """How long, in seconds; None is no limit. Connecting has limits of its own, in the engine, and counts towards `total`."""

    first_token: float | None = 120.0
    """From the question to the first text. The reasoning models regularly thought for longer than the 25 s between two pings."""

    idle: float | None = 60.0
    """From one reply to the next, once there is text. Text comes many times a second; a minute without any is a dead server, not a slow one."""

    total: float | None = 600.0
    """From asking, connecting included, to the end of the answer: what takes longer than ten minutes is not going to end."""


class Wait(NamedTuple):
    """One wait: `until` which instant (None: for ever), which of the three it is, and how many `seconds` that one is allowed to last."""

    until: float | None
    phase: Phase
    seconds: float


class Patience:
    """Keeps the three waits of one answer: tell it what happened and when, ask it for the wait that runs out next."""

    def __init__(self, timeout: Timeout, begun: float) -> None:
        self._timeout = timeout
        self._whole = _wait(begun, Phase.TOTAL, timeout.total)
        # Until the question is sent only the whole counts.
        self._next = self._whole

    def asked(self, now: float) -> None:
        """The question was sent: wait for the first text."""
        self._next = _wait(now, Phase.FIRST_TOKEN, self._timeout.first_token)

    def heard(self, now: float, *, text_seen: bool) -> None:
        """A reply was read and handed over: the wait for the next one begins now, for the application's own time is not the server's silence."""
        if text_seen:
            self._next = _wait(now, Phase.IDLE, self._timeout.idle)

    @property
    def wait(self) -> Wait:
        """The wait that runs out next."""
        return min(self._whole, self._next, key=lambda wait: math.inf if wait.until is None else wait.until)


def _wait(since: float, phase: Phase, seconds: float | None) -> Wait:
    return Wait(None, phase, math.inf) if seconds is None else Wait(since + seconds, phase, seconds)
