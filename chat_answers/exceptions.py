"""The errors of the adapters.

    ChatError                         everything below; carries `message`, `cause`, `fix` and the text so far in `partial`
    |-- ConfigurationError            the call cannot be made as it is: an option, a URL, a client that is closed (also a ValueError)
    |-- MessageError                  the question cannot be sent as it is (`index`; also a ValueError)
    `-- ResponseError                 there is no answer, or not the whole of it (`raw`)
        |-- ConnectFailed             no connection to the service, its proxy, or its TLS
        |-- ConnectionLost            the connection ended in the middle of the answer
        |   `-- TruncatedAnswer       it ended in an orderly way, but the answer is not complete
        |-- ResponseTimeout           a wait was too long (`phase`, `seconds`)
        |-- UnexpectedResponse        what came is not what is spoken here
        `-- ServiceError              the service says that it failed, in its own words

One division matters to a caller. The first two are about the call itself: they are raised before anything is sent, and asking again is no use.
Whatever happens after that is a `ResponseError`, so one ``except`` clause can save what was said: `partial` has the text so far, also where it is
empty.

`cause` is a stable id, `fix` one clause on what usually mends it, or None. Where a library underneath failed, its error is the ``__cause__``. No
message holds a key, a token or a password.
"""

from __future__ import annotations

from enum import StrEnum

from chat_answers.parts import JSON

MAX_QUOTED_CHARACTERS = 2000
"""How much of a service's own words a message quotes: a paragraph, not a page. `raw` has all of it."""


class Phase(StrEnum):
    """Which wait ran out."""

    CONNECT = "connect"
    FIRST_BYTE = "first_byte"
    FIRST_TOKEN = "first_token"
    IDLE = "idle"
    TOTAL = "total"


class ChatError(Exception):
    """Anything that goes wrong in an adapter.

    `message` is for people, `cause` a stable id, `fix` one clause on what usually mends it or None, `partial` the text so far.
    """

    def __init__(self, message: str, *, cause: str, fix: str | None = None, partial: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = str(cause)
        self.fix = fix
        self.partial = partial


class ConfigurationError(ChatError, ValueError):
    """The call cannot be made as it is: an option makes no sense, no URL is known, the client is closed. Nothing was sent."""

    def __init__(self, message: str, *, cause: str = "bad-option", fix: str | None = None) -> None:
        super().__init__(message, cause=cause, fix=fix)


class MessageError(ChatError, ValueError):
    """The question cannot be sent as it is, and leaving parts of it out would change it; nothing was sent.

    `index` is the position of the message that is meant, or None where it is the list as a whole.
    """

    def __init__(self, message: str, *, index: int | None = None, cause: str = "bad-message", fix: str | None = None) -> None:
        super().__init__(message if index is None else f"message {index}: {message}", cause=cause, fix=fix)
        self.index = index


class ResponseError(ChatError):
    """There is no answer, or not the whole of it; `raw` is the reply that says so, or None where there was none."""

    def __init__(self, message: str, *, partial: str = "", raw: JSON = None, cause: str = "answer-failed", fix: str | None = None) -> None:
        super().__init__(message[:MAX_QUOTED_CHARACTERS], cause=cause, fix=fix, partial=partial)
        self.raw = raw


class ServiceError(ResponseError):
    """The service says itself that the answer failed; the message is the service's."""


class UnexpectedResponse(ResponseError):
    """What came is not what is spoken here; the message says what was expected and what came instead."""

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        raw: JSON = None,
        cause: str = "answer-unexpected",
        fix: str | None = "the server speaks another dialect: compare its replies with the adapter's page",
    ) -> None:
        super().__init__(message, partial=partial, raw=raw, cause=cause, fix=fix)


class ConnectFailed(ResponseError):
    """There is no connection: to the service, to its proxy, or no TLS; the question was not sent."""

    def __init__(self, message: str, *, cause: str = "connect-failed", fix: str | None = None, raw: JSON = None) -> None:
        super().__init__(message, cause=cause, fix=fix, raw=raw)


class ConnectionLost(ResponseError):
    """The connection ended before the answer did; the message says `when`."""

    def __init__(
        self,
        message: str,
        *,
        when: str = "in the middle of the answer",
        cause: str = "connection-lost",
        fix: str | None = None,
        partial: str = "",
        raw: JSON = None,
    ) -> None:
        super().__init__(f"the connection ended {when}: {message}", partial=partial, cause=cause, fix=fix, raw=raw)


class TruncatedAnswer(ConnectionLost):
    """The connection ended in an orderly way, but nothing said that the answer is complete: it must not be taken for a whole one."""

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message, cause="answer-truncated", fix="something between the model and here gave up: ask again", partial=partial)


_WAITED_FOR = {
    Phase.CONNECT: ("no connection", "is the server there? else raise timeout.connect"),
    Phase.FIRST_BYTE: ("no answer", "raise timeout.first_byte: some services answer only when the model begins to speak"),
    Phase.FIRST_TOKEN: ("no text", "raise timeout.first_token: reasoning models think before they speak"),
    Phase.IDLE: ("no further reply", "raise timeout.idle, or ask again"),
    Phase.TOTAL: ("no end of the answer", "raise timeout.total, or ask for less"),
}


class ResponseTimeout(ResponseError):
    """A wait was too long: `phase` says which, `seconds` how long it was allowed to be; `cause` is ``first-token-timeout`` and the like."""

    def __init__(self, phase: Phase, seconds: float, *, partial: str = "", hint: str = "") -> None:
        missing, fix = _WAITED_FOR[phase]
        cause = f"{phase.replace('_', '-')}-timeout"
        super().__init__(f"{missing} within {seconds:.3g} s{hint and f'; {hint}'}", partial=partial, cause=cause, fix=fix)
        self.phase = phase
        self.seconds = seconds
