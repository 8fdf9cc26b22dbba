"""How long and how much: the limits of a client, each with its reason."""

from __future__ import annotations

from typing import Final

import msgspec

from chat_answers.exceptions import ConfigurationError
from chat_answers.timeouts import check_seconds


class Timeout(msgspec.Struct, frozen=True):
    """How long each stage may take, in seconds; None is no limit of its own. Raises `ConfigurationError` for what is no such number."""

    connect: float | None = 10.0
    """For a connection, TLS and a proxy included."""

    first_byte: float | None = 90.0
    """From the connection to the first byte of a streamed answer. Some services are silent while a model thinks."""

    idle: float | None = 60.0
    """From one piece to the next, once there is one; what a service sends to show that it is still there counts."""

    total: float | None = 120.0
    """From asking to the end of the answer, further tries and the waits between them included."""

    def __post_init__(self) -> None:
        check_seconds(connect=self.connect, first_byte=self.first_byte, idle=self.idle, total=self.total)


def as_timeout(timeout: Timeout | float | None) -> Timeout:
    """A number bounds the whole and nothing else but connecting; None bounds nothing else but connecting."""
    return timeout if isinstance(timeout, Timeout) else Timeout(first_byte=None, idle=None, total=timeout)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a client keeps of what a server sends, in bytes unless it says otherwise; what is larger is a `TooLarge`.

    Raises `ConfigurationError` for what is no number above 0.
    """

    max_event: int = 8 * 1024 * 1024
    """Of one event. Common ones have a few hundred; the largest carry a whole tool call or a picture as text."""

    max_body: int = 32 * 1024 * 1024
    """Of an answer that comes whole."""

    max_answer: int = 16 * 1024 * 1024
    """Of all the text of one answer, in characters: far more than any model writes, and a bound on what a broken one can fill."""

    max_error: int = 64 * 1024
    """Of the body of a refusal; what is more of it is not read, and is no error."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ConfigurationError(f"limits.{name} is a number from 1, not {size!r}")


MAX_ERROR_TIME: Final = 5.0
"""Seconds for reading the body of a refusal: it is only evidence, so what has come by then is enough."""

DEFAULT_LIMITS: Final = Limits()
DEFAULT_TIMEOUT: Final = Timeout()
