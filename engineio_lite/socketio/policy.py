"""Whether to try again, and when: the pure half of reconnecting.

A policy is a value. It is asked once for each connection that was lost, or not made, and answers with a delay in seconds or with None for "leave it".
It holds no count and rolls no dice: which attempt it is and a random number come as arguments, so the same question has the same answer.

The delays are the reference client's: they double from one second to five and are spread by half either way, so that the clients of a server that was
started again do not come back all at the same moment. The decision looks at the cause: what will fail again in the same way is not tried again, a
session that the server merely forgot is opened again at once, and a server that names a time is left alone for so long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectRefused, EngineIOError, LocalProtocolError
from engineio_lite.state import CloseReason

MAX_RETRY_AFTER: Final = 300.0
"""Seconds that a server's Retry-After can make us wait at most."""

HOPELESS: Final = frozenset(
    {
        Cause.BAD_URL,
        Cause.TLS_FAILED,
        Cause.UNAUTHORIZED,
        Cause.PROXY_AUTH_REQUIRED,
        Cause.FORBIDDEN,
        Cause.CHALLENGE_PAGE,
        Cause.UNSUPPORTED_VERSION,
        Cause.LOOKS_LIKE_EIO3,
        Cause.SOCKETIO_V2,
        Cause.TRANSPORT_UNKNOWN,
        Cause.BAD_HANDSHAKE_METHOD,
        Cause.NAMESPACE_REFUSED,
        Cause.INTERNAL_ERROR,
    }
)
"""What another try would meet again: it takes a person to mend it. A wrong path or a web page is not among them, because a server that is being
deployed shows both."""

AT_ONCE: Final = frozenset({Cause.SESSION_UNKNOWN})
"""What the first new try mends."""

_ENDED: Final = frozenset({CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT, CloseReason.SERVER_DISCONNECT})
"""Ends that somebody meant, so that the reference client leaves it at them."""


class Lost(msgspec.Struct, frozen=True):
    """A connection that was lost, or not made: `attempt` counts from 1, and from 1 again after a connection that stood; `first` says that none has
    yet."""

    reason: CloseReason
    error: EngineIOError | None
    attempt: int
    first: bool


Decision: TypeAlias = Callable[[Lost], bool | None]


class Policy(Protocol):
    """Whether to try again, and when: a `ReconnectPolicy`, or something around one."""

    def wait(self, lost: Lost, roll: float) -> float | None:
        """Return how long to wait before the next try, in seconds, or None for no further try; `roll` is a random number from 0 up to 1."""


class ReconnectPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When to try again; times are seconds.

    `delay` is the first wait, each further one is `factor` times as long, none is longer than `max_delay`, and `jitter` (0 to 1) spreads it by so
    much of itself either way. `max_attempts` tries are made one after the other (None: without end). `retry_first` tries again too if the first
    connection cannot be made. `decide` may overrule whether another try makes sense: True, False, or None for the default.

    Raises `LocalProtocolError` for values that make no sense.
    """

    delay: float = 1.0
    max_delay: float = 5.0
    factor: float = 2.0
    jitter: float = 0.5
    max_attempts: int | None = None
    retry_first: bool = False
    decide: Decision | None = None

    def __post_init__(self) -> None:
        sensible = self.delay >= 0 and self.max_delay >= 0 and self.factor >= 1 and 0 <= self.jitter <= 1
        if not sensible or (self.max_attempts is not None and self.max_attempts < 0):
            message = "expected delays from 0 up, a factor from 1 up, jitter from 0 to 1 and max_attempts from 0 up"
            raise LocalProtocolError(f"{message}, got {self!r}", cause=Cause.BAD_OPTION)

    def wait(self, lost: Lost, roll: float) -> float | None:
        """Return how long to wait before the next try, or None for no further try; `roll` is a random number from 0 up to 1.

        Whatever `decide` raises is passed on.
        """
        if (lost.first and not self.retry_first) or (self.max_attempts is not None and lost.attempt > self.max_attempts):
            return None
        decided = self.decide(lost) if self.decide is not None else None
        if not (is_worth_it(lost) if decided is None else decided):
            return None
        if lost.attempt == 1 and lost.error is not None and lost.error.cause in AT_ONCE:
            return 0.0
        return max(self._delay(lost.attempt, roll), _retry_after(lost.error))

    def _delay(self, attempt: int, roll: float) -> float:
        # No power of a number that may be large: after some sixty doublings it would overflow.
        delay = self.delay
        for _ in range(attempt - 1):
            if delay >= self.max_delay or delay == 0:
                break
            delay *= self.factor
        return min(self.max_delay, min(delay, self.max_delay) * (1 + self.jitter * (2 * roll - 1)))


def is_worth_it(lost: Lost) -> bool:
    """Whether another try may end differently: the default decision of `ReconnectPolicy`."""
    error = lost.error
    if error is None:
        return lost.reason not in _ENDED
    return not isinstance(error, LocalProtocolError | ConnectRefused) and error.cause not in HOPELESS


def _retry_after(error: EngineIOError | None) -> float:
    """What a server demands in seconds; a date is left out, because there is no calendar here."""
    for name, value in error.headers if error is not None else ():
        if name.lower() == "retry-after" and value.strip().isascii() and value.strip().isdigit():
            return min(float(value.strip()[:9]), MAX_RETRY_AFTER)
    return 0.0
