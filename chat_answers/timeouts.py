"""Which of an answer's waits runs out next. Pure: instants are arguments, in seconds of any clock that only goes forward.

One timeout is not enough for an answer that is streamed. A reasoning model may be silent for a minute before its first word and must not be silent
for a minute after it, and neither bound says how long the whole may be. So there are two waits at any moment, the one for the whole and the one for
what comes next, and `Patience` says which of them is due first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from chat_answers.exceptions import ConfigurationError, Phase


class Wait(NamedTuple):
    """One wait: `until` which instant (None: for ever), which `phase` it is, and how many `seconds` that one is allowed to last."""

    until: float | None
    phase: Phase
    seconds: float


class Patience:
    """Keeps the waits of one answer: say what is awaited next and since when, ask for the wait that runs out first.

    `total` bounds the whole from the instant `begun`, in seconds; None is no limit.
    """

    def __init__(self, total: float | None, begun: float) -> None:
        self._whole = _wait(begun, Phase.TOTAL, total)
        self._next = self._whole

    def await_next(self, phase: Phase, seconds: float | None, now: float) -> None:
        """From `now` on something is awaited for so many seconds (None: as long as the whole may take)."""
        self._next = self._whole if seconds is None else _wait(now, phase, seconds)

    @property
    def wait(self) -> Wait:
        """The wait that runs out next."""
        return min(self._whole, self._next, key=lambda wait: math.inf if wait.until is None else wait.until)

    def allows(self, seconds: float, now: float) -> bool:
        """Whether the whole has so many seconds left."""
        return self._whole.until is None or now + seconds < self._whole.until


def _wait(since: float, phase: Phase, seconds: float | None) -> Wait:
    return Wait(None, phase, math.inf) if seconds is None else Wait(since + seconds, phase, seconds)


def check_seconds(**waits: object) -> None:
    """Raise `ConfigurationError` unless each of these is None or a finite number of seconds above 0."""
    for name, seconds in waits.items():
        sensible = seconds is None or (isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf)
        if not sensible:
            raise ConfigurationError(f"timeout.{name} is a number of seconds above 0, or None for no limit, not {seconds!r}")
