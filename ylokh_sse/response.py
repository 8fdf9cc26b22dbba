"""Reading the head of an answer: what it is, and if it is a refusal, what it says and whether asking again may help. Pure.

Servers that speak this dialect agree on little here. Some send events under ``text/plain``, some a whole completion although a stream was asked
for, and what stands in front of them sends web pages with status 200; so the first bytes decide, and the content type only where they do not.
Errors come as the object that everybody documents, as a bare text, as another framework's ``detail``, or as HTML.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, Final

import msgspec

from chat_answers.exceptions import ConfigurationError, ConnectFailed, ResponseError, UnexpectedResponse
from chat_answers.parts import JSON
from ylokh_sse.exceptions import (
    APIError,
    AuthenticationError,
    BadRequest,
    EmptyResponse,
    NotFound,
    NotSSE,
    PermissionDenied,
    RateLimited,
    ServerError,
)

MAX_EXCERPT: Final = 200
"""Characters of an unexpected body that a message quotes."""

MAX_BLANKS: Final = 512
"""Bytes of blanks before a body that are kept. There may be any number, since some services send them to show that they are alive."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r\n"
_FIELD: Final = re.compile(rb"(?::|(?:data|event|id|retry)[:\r\n])")
_REQUEST_IDS: Final = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "cf-ray")


class Kind(Enum):
    """What a body is."""

    EVENTS = auto()
    JSON = auto()


def can_tell(head: bytes) -> bool:
    """Whether the first bytes of a body are enough for `judge`; if they are not, it needs more, or the end."""
    start = head.removeprefix(_BOM).lstrip(_BLANKS)
    return len(start) >= len(b"event:")


def forget_blanks(head: bytes) -> bytes:
    """Return what need be kept of the first bytes of a body: of many blanks the last one, behind which a line is read as it is behind all of them."""
    return head[-1:] if len(head) > MAX_BLANKS and not head.removeprefix(_BOM).lstrip(_BLANKS) else head


def judge(content_type: str, head: bytes) -> Kind:
    """Say what a body is, by its first bytes and its content type (without parameters, in lower case).

    Raises `NotSSE` for a web page and whatever else is no answer, and `EmptyResponse` for nothing at all.
    """
    start = head.removeprefix(_BOM).lstrip(_BLANKS)
    if start[:1] in (b"{", b"["):
        return Kind.JSON
    if _FIELD.match(start) or (content_type == "text/event-stream" and not start.startswith(b"<")):
        return Kind.EVENTS
    if not start:
        raise EmptyResponse("the server answered with status 200 and nothing else")
    what = "a web page" if start.startswith(b"<") else f"a body of type {content_type or 'unknown'}"
    raise NotSSE(f"expected an event stream or a completion, got {what}: {excerpt(head)}", raw=head.decode(errors="replace"))


def excerpt(body: bytes) -> str:
    """Quote the beginning of a body, in one line."""
    text = " ".join(body[: 4 * MAX_EXCERPT].decode(errors="replace").split())
    return repr(text if len(text) <= MAX_EXCERPT else f"{text[:MAX_EXCERPT]}…")


# ------------------------------------------------------------------------------------------------------------------------------------ refusals

_CLASSES: Final[Mapping[int, tuple[type[APIError], str, str | None]]] = {
    400: (BadRequest, "bad-request", None),
    401: (AuthenticationError, "unauthorized", "give a valid key: api_key=, or the environment variable YLOKH_API_KEY"),
    403: (PermissionDenied, "forbidden", None),
    404: (NotFound, "not-found", "check the model's name and the base URL"),
    408: (BadRequest, "request-timeout", "ask again"),
    413: (BadRequest, "request-too-large", "send a shorter history"),
    422: (BadRequest, "bad-request", None),
    429: (RateLimited, "rate-limited", "ask less often, or wait for what retry_after says"),
}
_SERVER_ERROR: Final = (ServerError, "server-error", "ask again later")
_REFUSED: Final = (BadRequest, "bad-request", None)
_CHALLENGE_FIX: Final = "a bot protection stands before the service; it is reported here and not worked around: use the official API"


def explain(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> ResponseError:
    """Return the error that a response with this status means.

    `headers` have lower-case names; `body` may be cut; `now` is the calendar's time in seconds since 1970, for dates in ``Retry-After``.
    """
    if 300 <= status < 400:
        return _redirected(status, headers)
    if status == 407:
        return proxy_wants_auth()
    if status < 300:
        return UnexpectedResponse(f"expected status 200, got {status}")
    is_challenge = _is_challenge(headers, body)
    kind, cause, fix = _CLASSES.get(status, _SERVER_ERROR if status >= 500 else _REFUSED)
    raw = _decode(body)
    said = _ErrorWords.of(raw)
    message = said.message or (f"no reason given: {excerpt(body)}" if body.strip() else "no reason given")
    return kind(
        f"HTTP {status}: {message}",
        status=status,
        cause="challenge-page" if is_challenge else cause,
        fix=_CHALLENGE_FIX if is_challenge else fix,
        raw=raw,
        type=said.type,
        code=said.code,
        param=said.param,
        headers={name: value for name, value in headers.items() if name != "set-cookie"},
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), None),
        retry_after=read_retry_after(headers, now),
    )


def proxy_wants_auth() -> ConnectFailed:
    """The error that status 407 means, whoever meets it."""
    fix = "put the proxy's user and password into the proxy URL"
    return ConnectFailed("the proxy wants a user and password, or others (HTTP 407)", cause="proxy-auth-required", fix=fix)


def is_nothing_here(error: ResponseError) -> bool:
    """Whether an error only says that there is nothing at this URL, so that the service may be at another one."""
    if not isinstance(error, APIError) or error.status not in (404, 405):
        return False
    return not (isinstance(error.raw, dict) and isinstance(error.raw.get("error"), dict))


def _redirected(status: int, headers: Mapping[str, str]) -> UnexpectedResponse:
    target = headers.get("location", "").partition("?")[0][:MAX_EXCERPT] or "nowhere"
    fix = "if that is right, make it the base URL: a question and its key are not carried to where somebody else says"
    return UnexpectedResponse(f"the server redirects to {target} (HTTP {status})", cause="redirected", fix=fix)


def _is_challenge(headers: Mapping[str, str], body: bytes) -> bool:
    return headers.get("cf-mitigated") == "challenge" or ("cloudflare" in headers.get("server", "").lower() and b"Just a moment" in body)


class _ErrorWords(msgspec.Struct, frozen=True):
    """What a service says about an error, in whatever shape."""

    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None

    @classmethod
    def of(cls, raw: JSON) -> _ErrorWords:
        """Find it: ``{"error": {…}}``, ``{"error": "text"}``, ``{"detail": …}``, ``{"message": …}``, or a bare text."""
        found = raw.get("error", raw) if isinstance(raw, dict) else raw
        if isinstance(found, str):
            return cls(found.strip()[:MAX_EXCERPT] if not _looks_like_a_page(found) else None)
        if not isinstance(found, dict):
            return cls()
        message = next((found[key] for key in ("message", "detail", "msg", "error") if found.get(key)), None)
        if message is not None and not isinstance(message, str):
            message = json.dumps(message)
        code = found.get("code")
        return cls(message, _text(found.get("type")), code if isinstance(code, str | int) else None, _text(found.get("param")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _looks_like_a_page(text: str) -> bool:
    return text.lstrip().startswith("<")


def _decode(body: bytes) -> JSON:
    """The JSON of a body, or its text."""
    try:
        return decode_json(body)
    except ValueError:
        return body.decode(errors="replace")


def decode_json(body: bytes) -> JSON:
    """Return the JSON of a body; raises ValueError if it is none, or nested beyond reason."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


MIN_SECRET: Final = 8
"""Characters that a key must have to be looked for in errors: local servers take keys such as ``x``, which are no secret and stand in many words."""


def hide(error: ResponseError, key: str | None) -> None:
    """Take a key out of an error, where a server has repeated it; the text of the answer stays what it is."""
    if key is None or len(key) < MIN_SECRET:
        return
    for name, value in vars(error).items():
        if name != "partial":
            setattr(error, name, _hidden(value, key))
    error.args = (error.message,)


def _hidden(value: JSON, key: str) -> JSON:
    match value:
        case str():
            return value.replace(key, "<redacted>")
        case list():
            return [_hidden(item, key) for item in value]
        case dict():
            return {_hidden(name, key): _hidden(item, key) for name, item in value.items()}
        case _:
            return value


# -------------------------------------------------------------------------------------------------------------------------------- asking again


MAX_SECONDS: Final = 1e12
"""What any longer time counts as, in seconds: 30,000 years, which still can be computed with."""


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the server asks to be left alone, by ``retry-after-ms`` or ``Retry-After`` (seconds, or a date), or None.

    A number beyond reason is a very long time, and no reason to come back sooner than asked. HTTP's dates are in UTC, also in the old form that does
    not say so (RFC 9110, section 5.6.7).
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    return min(float(text), MAX_SECONDS) if re.fullmatch(r"[0-9]+(?:\.[0-9]*)?", text.strip()) else None


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to ask again, and when; times are seconds.

    At most `retries` further tries, after `delay` seconds, then twice that and so on up to `max_delay`, spread by a quarter either way so that many
    clients do not come back together. What the server asks for in ``Retry-After`` replaces that, up to `max_retry_after`; if it asks for more,
    there is no further try. Only what may pass by itself is tried again, and never once a part of an answer was received, because a second answer
    would be another one. Raises `ConfigurationError` for what is no such number.
    """

    retries: int = 2
    delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0

    def __post_init__(self) -> None:
        if type(self.retries) is not int or self.retries < 0:
            raise ConfigurationError(f"retries is how often to ask again, a number from 0, not {self.retries!r}")
        for name in ("delay", "max_delay", "max_retry_after"):
            seconds = getattr(self, name)
            if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
                raise ConfigurationError(f"{name} is a number of seconds from 0, not {seconds!r}")

    def wait(self, error: ResponseError, attempt: int, roll: float) -> float | None:
        """Return how long to wait before try number `attempt` + 1, or None for no further try; `roll` is a random number from 0 up to 1."""
        if attempt > self.retries or not may_pass(error):
            return None
        asked = error.retry_after if isinstance(error, APIError) else None
        if asked is not None:
            return asked if asked <= self.max_retry_after else None
        delay = min(self.max_delay, self.delay * 2.0 ** min(attempt - 1, 60))
        return delay * (0.75 + roll / 2)


def as_policy(retries: RetryPolicy | int) -> RetryPolicy:
    """A number is how often to ask again; the rest is the default. Raises `ConfigurationError` for what is neither."""
    return retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries=retries)


_PASSING: Final = frozenset({408, 409, 429})
_PASSING_CAUSES: Final = frozenset({"connect-failed", "connect-refused", "connect-timeout", "connection-lost", "proxy-failed"})


def may_pass(error: ResponseError) -> bool:
    """Whether the same request may get another answer a little later; ``x-should-retry`` has the last word."""
    if not isinstance(error, APIError):
        return error.cause in _PASSING_CAUSES
    word = error.headers.get("x-should-retry")
    if word in ("true", "false"):
        return word == "true"
    return error.cause != "challenge-page" and (error.status in _PASSING or error.status >= 500)
