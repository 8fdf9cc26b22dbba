"""How long an answer may take: three numbers, which `chat_answers.timeouts` turns into the wait that runs out next. Pure.

The server's pings count for none of them: they prove that the connection lives, which is the engine's business, and not that an answer is being made.
"""

from __future__ import annotations

import msgspec

from chat_answers.timeouts import check_seconds


class Timeout(msgspec.Struct, frozen=True):
    """How long, in seconds; None is no limit. Connecting has limits of its own, in the engine, and counts towards `total`.

    Raises `ConfigurationError` for what is no number of seconds.
    """

    first_token: float | None = 120.0
    """From the question to the first text, thoughts included. The reasoning models regularly thought for longer than the 25 s between two pings."""

    idle: float | None = 60.0
    """From one reply to the next, once there is text. Text comes many times a second; a minute without any is a dead server, not a slow one."""

    total: float | None = 600.0
    """From asking, connecting included, to the end of the answer: what takes longer than ten minutes is not going to end."""

    def __post_init__(self) -> None:
        check_seconds(first_token=self.first_token, idle=self.idle, total=self.total)

    @classmethod
    def of(cls, timeout: Timeout | float) -> Timeout:
        """Take a number as the limit for the whole, and the only one."""
        return timeout if isinstance(timeout, Timeout) else cls(first_token=None, idle=None, total=timeout)
