"""What can go wrong with a chat completion, beside what can go wrong with any answer (`chat_answers.exceptions`).

    ResponseError
    |-- ServiceError                  the service says that it failed
    |   |-- APIError                  with an HTTP status instead of an answer (`status`, `type`, `code`, `param`, `request_id`, `retry_after`, …)
    |   |   |-- BadRequest            400, 422 and whatever else of 4xx has no class of its own
    |   |   |-- AuthenticationError   401
    |   |   |-- PermissionDenied      403; its cause may be a challenge page, which is reported and never worked around
    |   |   |-- NotFound              404: often the model, or a base URL that is not quite right
    |   |   |-- RateLimited           429
    |   |   `-- ServerError           5xx
    |   `-- StreamError               in the middle of the stream (`type`, `code`, `param`)
    `-- UnexpectedResponse            what came is no chat completion
        |-- NotSSE                    neither an event stream nor a completion: a web page, usually
        |-- BadJSON                   an event whose data is no JSON, or not a chunk (`data`)
        |-- EmptyResponse             nothing at all
        `-- TooLarge                  an event, a body or an answer above its limit (`limit`)

All keep the text so far in `partial`, and what the service said in `raw`. A key is never in any of them.

What is no answer's fault stands beside them:

    ChatError
    |-- CaptureError                  a capture cannot be written, or read (`path`, `line`)
    `-- ReplayMismatch                a replay was asked for something else than was recorded (`expected`, `got`, `path`)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chat_answers.exceptions import ChatError, ServiceError, UnexpectedResponse
from chat_answers.parts import JSON

YlokhError = ChatError
"""Another name of the base of all errors, for those who look for it here."""


class APIError(ServiceError):
    """The service answered with an HTTP status instead of an answer.

    `status` is that status; `type`, `code` (a text or a number) and `param` are the service's own words on the error, None where it has none.
    `retry_after` is how many seconds it asks to be left alone, None if it does not. `headers` are those of the response, with lower-case names,
    cookies left out; `request_id` is among them, if the service gives one. `raw` is the decoded body, or the head of a body that is no JSON.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        cause: str,
        fix: str | None = None,
        raw: JSON = None,
        type: str | None = None,
        code: str | int | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, raw=raw, cause=cause, fix=fix)
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})
        self.request_id = request_id
        self.retry_after = retry_after


class BadRequest(APIError):
    """The service does not take this request (400, 422, or another 4xx)."""


class AuthenticationError(APIError):
    """The service wants a key, or another one (401)."""


class PermissionDenied(APIError):
    """The service knows who asks and says no (403)."""


class NotFound(APIError):
    """The service knows no such model, or nothing is at this URL (404)."""


class RateLimited(APIError):
    """The service has been asked too often (429); `retry_after` says for how many seconds it wants to be left alone, if it says so."""


class ServerError(APIError):
    """The service failed, or something in front of it (5xx)."""


class StreamError(ServiceError):
    """The service broke off in the middle of its answer and says why; `type`, `code` and `param` are its own words, None where it has none."""

    def __init__(
        self, message: str, *, partial: str, raw: JSON = None, type: str | None = None, code: str | int | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, partial=partial, raw=raw, cause="stream-error")
        self.type = type
        self.code = code
        self.param = param


class NotSSE(UnexpectedResponse):
    """What came is neither an event stream nor a completion; `raw` is the head of it, as text."""

    def __init__(self, message: str, *, raw: JSON = None, fix: str | None = "check the base URL: this looks like a web page, or a proxy's") -> None:
        super().__init__(message, raw=raw, cause="not-sse", fix=fix)


class BadJSON(UnexpectedResponse):
    """What came is no JSON, or no chunk of a completion; `data` is the text that was to be one."""

    def __init__(self, message: str, *, data: str, partial: str = "") -> None:
        super().__init__(message, partial=partial, raw=data, cause="bad-json", fix="lenient=True skips such events and counts them")
        self.data = data


class EmptyResponse(UnexpectedResponse):
    """The service answered with nothing at all."""

    def __init__(
        self, message: str, *, fix: str | None = "ask again; if it stays so, something between the model and here swallows the answer"
    ) -> None:
        super().__init__(message, cause="empty-response", fix=fix)


class TooLarge(UnexpectedResponse):
    """An event, a body or an answer is larger than the `limit`, in bytes or characters, that this client keeps."""

    def __init__(self, message: str, *, limit: int, partial: str = "") -> None:
        super().__init__(message, partial=partial, cause="answer-too-large", fix="raise the limit, if answers that large are expected")
        self.limit = limit


class CaptureError(ChatError):
    """A capture cannot be written, or what is to be read is none; `path` is the file, `line` the number of the line that is meant, from 1, or None.

    Causes: ``capture-exists``, ``capture-not-writable``, ``capture-write-failed``, ``capture-too-large``, ``capture-closed``,
    ``capture-not-readable``, ``capture-damaged``, ``capture-version``, ``capture-kind``, ``capture-empty``.
    """

    def __init__(self, message: str, *, cause: str, fix: str | None = None, path: str = "", line: int | None = None) -> None:
        where = ", ".join(filter(None, (path, f"line {line}" if line is not None else "")))
        super().__init__(f"{where}: {message}" if where else message, cause=cause, fix=fix)
        self.path = path
        self.line = line


UNREADABLE_CAPTURES: Final = (
    "capture-not-readable",
    "capture-too-large",
    "capture-damaged",
    "capture-version",
    "capture-kind",
    "capture-empty",
)
"""Causes with which a file that was to be read is refused: who called the command has to name another."""


class ReplayMismatch(ChatError, AssertionError):
    """A replay was asked for something else than was recorded, or was left before everything was asked for.

    `expected` and `got` are the two requests, each a line of text (empty where there was none); `path` is where their bodies differ, such as
    ``$.messages[0].content``, empty where it is something else that differs. Causes: ``replay-mismatch``, ``replay-unplayed``.
    """

    def __init__(self, message: str, *, cause: str, fix: str | None = None, expected: str = "", got: str = "", path: str = "") -> None:
        super().__init__(message, cause=cause, fix=fix)
        self.expected = expected
        self.got = got
        self.path = path
