"""The instants at which a connection wants to be called.

The core never reads a clock: a driver passes `now` with every input and calls in once `deadline` is reached. The deadline is kept ready instead of
being computed on each call, because drivers read it after every packet while timers change only with pings, requests and upgrades.
"""

from __future__ import annotations

import math
from enum import StrEnum


class Timer(StrEnum):
    """What a deadline is for. Timers due at the same call are served in this order: those that end the session come first."""

    OPEN = "open"
    LIVENESS = "liveness"
    POST = "post"
    CLOSE = "close"
    UPGRADE = "upgrade"
    FIRST_WORD = "first word"
    UPGRADE_START = "upgrade start"
    BACKOFF = "backoff"


class Timers:
    """A few named instants, in seconds of the driver's monotonic clock, and the earliest of them."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}
        self.deadline = math.inf

    def __contains__(self, timer: Timer) -> bool:
        return timer in self._due

    def at(self, timer: Timer) -> float:
        """When `timer` is due; infinity if it is not armed."""
        return self._due.get(timer, math.inf)

    def arm(self, timer: Timer, at: float) -> None:
        """Set or move `timer`."""
        self._due[timer] = at
        self.deadline = min(self._due.values())

    def disarm(self, timer: Timer) -> None:
        """Forget `timer`, armed or not."""
        if self._due.pop(timer, None) is not None:
            self.deadline = min(self._due.values(), default=math.inf)

    def clear(self) -> None:
        """Forget all timers."""
        self._due.clear()
        self.deadline = math.inf

    def due(self, now: float) -> list[Timer]:
        """The timers whose time has come, in the order of `Timer`; they stay armed until they are disarmed."""
        return [timer for timer in Timer if self._due.get(timer, math.inf) <= now]
