"""The errors of the adapter.

    LabsError                         everything below; carries `message`, `cause` and `fix`
    |-- MessageError                  the question cannot be sent as it is: nothing was sent (also a ValueError)
    `-- ResponseError                 the answer failed, in the server's own words (`partial`, `raw`)
        |-- UnexpectedResponse        the server's fields are not the ones this adapter knows
        |-- ResponseTimeout           the first token, the next reply or the end took too long (`phase`, `seconds`)
        `-- ConnectionLost            the connection ended in the middle of the answer (`__cause__` is the engine's error)

Two promises. Whatever goes wrong after the question was sent is a `ResponseError` with the text so far in `partial`, so that one ``except`` clause
can save what was said. And what goes wrong before it, between this program and the server, is an `engineio_lite.EngineIOError` and passes through as
it is: it already says what was expected, what came and at which stage, and wrapping it would only hide that.

`cause` is a stable id as in `engineio_lite` (a `ConnectionLost` has the engine's own), `fix` one clause on what usually mends it, or None.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perplexity_labs.messages import JSON

MAX_QUOTED_CHARACTERS = 2000
"""How much of the server's own words a message quotes: a paragraph, not a page. `raw` has all of it."""


class Phase(StrEnum):
    """Which of the three waits ran out."""

    FIRST_TOKEN = "first_token"
    IDLE = "idle"
    TOTAL = "total"


class LabsError(Exception):
    """Anything that goes wrong in this adapter: `message` for people, `cause` as a stable id, `fix` as one clause or None."""

    def __init__(self, message: str, *, cause: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.fix = fix


class MessageError(LabsError, ValueError):
    """The question cannot be sent as it is, and leaving parts of it out would change it; nothing was sent.

    `index` is the position of the message that is meant, or None where it is the list as a whole.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message if index is None else f"message {index}: {message}", cause="bad-message")
        self.index = index


class ResponseError(LabsError):
    """The answer failed; raised as it is where the server says so itself (``status: "failed"``).

    `partial` is the text so far, including what the failing reply itself brought; `raw` is that reply, or None where there was none.
    """

    def __init__(self, message: str, *, partial: str = "", raw: JSON = None, cause: str = "answer-failed", fix: str | None = None) -> None:
        super().__init__(message[:MAX_QUOTED_CHARACTERS], cause=cause, fix=fix)
        self.partial = partial
        self.raw = raw


class UnexpectedResponse(ResponseError):
    """The server's fields are not the ones this adapter knows; the message says what was expected and which keys were seen."""

    def __init__(self, message: str, *, partial: str = "", raw: JSON = None) -> None:
        super().__init__(
            message,
            partial=partial,
            raw=raw,
            cause="answer-unexpected",
            fix="the server speaks another dialect: compare its replies with docs/labs.md",
        )


_WAITED_FOR = {
    Phase.FIRST_TOKEN: ("no text", "raise timeout.first_token: reasoning models think before they speak"),
    Phase.IDLE: ("no further reply", "raise timeout.idle, or ask again"),
    Phase.TOTAL: ("no end of the answer", "raise timeout.total, or ask for less"),
}


class ResponseTimeout(ResponseError):
    """The answer took too long: `phase` says which wait ran out, `seconds` how long it was allowed to be."""

    def __init__(self, phase: Phase, seconds: float, *, partial: str = "", hint: str = "") -> None:
        missing, fix = _WAITED_FOR[phase]
        cause = f"{phase.replace('_', '-')}-timeout"
        super().__init__(f"{missing} within {seconds:.3g} s{hint and f'; {hint}'}", partial=partial, cause=cause, fix=fix)
        self.phase = phase
        self.seconds = seconds


class ConnectionLost(ResponseError):
    """The connection ended before the answer did; `cause` and `fix` are those of the engine's error, which is also `__cause__`."""

    def __init__(self, message: str, *, cause: str, fix: str | None = None, partial: str = "") -> None:
        super().__init__(f"the connection ended in the middle of the answer: {message}", partial=partial, cause=cause, fix=fix)
