"""What an answer means that is not an Engine.IO answer.

Servers, proxies, gateways, log-in pages and bot protection all speak through the same few bytes, and "unexpected response" helps nobody.
`explain_response` goes from status, headers and the beginning of the body to a cause, by asking a few questions in order, from the specific to the
general:

1. Is it bot protection? It uses any status and would pass for half of the others. It is named and never bypassed.
2. Is it a redirect? They are not followed: a POST would become a GET, and a session's URL belongs to one server.
3. Are these the Engine.IO server's own words? Node's engine.io answers with a number and a message, python-engineio with a sentence, and both,
   when they refuse a WebSocket, with a sentence alone. Words win over the status, because both use 400 for nearly everything.
4. What does the status say? For a WebSocket a 200 is as much a refusal as a 400.
5. It is a success: then what is it that came?

A pure function of its arguments that never raises and that reads a bounded piece of the body. Which words belong to which cause was observed on Node
engine.io 6.6 and python-engineio 4.15.

Reference: engine.io 6 `server.ts` (the error codes); RFC 9110 section 15 (statuses).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

from engineio_lite.causes import Cause
from engineio_lite.exceptions import MAX_EVIDENCE_BYTES, DecodeError, EngineIOError, HandshakeError, elide
from engineio_lite.handshake.urls import REDACTED, redact_url
from engineio_lite.packet import decode_packet
from engineio_lite.payload import SEPARATOR
from engineio_lite.strictjson import JSONError, decode_json

_READ_BYTES: Final = 16 * 1024
"""How much of a body is looked at: the head of any web page, and more than any error that a server words."""

_RELEVANT: Final = frozenset(
    (
        "content-type",
        "server",
        "via",
        "location",
        "retry-after",
        "www-authenticate",
        "proxy-authenticate",
        "cf-mitigated",
        "cf-ray",
        "x-powered-by",
    )
)
"""Headers that tell who answered and why; none of them carries a session."""

_MAX_HEADER_CHARACTERS: Final = 200

_WEBSOCKET_STAGES: Final = frozenset(("websocket", "upgrade"))


def explain_response(stage: str, url: str, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> EngineIOError:
    """Explain an HTTP answer that is no usable Engine.IO answer: which error it is, with its cause and the evidence.

    `stage` names the step that was tried (``handshake``, ``poll``, ``post``, ``upgrade``, ``websocket``), `url` the request's, which the error
    shows without its secrets. The result is always a `HandshakeError`, whoever in between answered: the peer at the other end of the request did
    not speak Engine.IO. It carries the status, the headers that tell who answered, the first bytes of the body, and `server_code` where the server
    gave one.

    Never raises.
    """
    answer = _Answer(stage, url, status, headers, body)
    finding = next(found for question in _QUESTIONS if (found := question(answer)) is not None)
    return HandshakeError(
        f"expected an Engine.IO answer, got {finding.words}",
        cause=finding.cause,
        stage=stage,
        url=redact_url(url),
        status=status,
        headers=answer.relevant_headers(),
        body=answer.body[:MAX_EVIDENCE_BYTES],
        server_code=finding.code,
    )


class _Finding(NamedTuple):
    """What an answer means: the cause, what came (as the end of the sentence "expected …, got …"), and the server's own number."""

    cause: Cause
    words: str
    code: int | None = None


_SID: Final = re.compile(rb'(?<="sid":")[^"]+')


class _Answer:
    """One answer, with the readings of it that several questions need."""

    def __init__(self, stage: str, url: str, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.url = url
        self.status = status
        self.pairs = headers
        self.headers = {name.lower(): value for name, value in headers}
        self.is_websocket = stage in _WEBSOCKET_STAGES
        self.is_handshake = stage == "handshake"
        self.body = _without_sid(body[:_READ_BYTES], url)

    @cached_property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace").strip()

    @cached_property
    def is_web_page(self) -> bool:
        return self.text.startswith("<") and not self.text.startswith("<?xml")

    @cached_property
    def json(self) -> object:
        """The body as JSON, or None."""
        try:
            return decode_json(self.text, max_depth=16, max_integer_digits=16)
        except JSONError:
            return None

    @cached_property
    def excerpt(self) -> str:
        return elide(" ".join(self.text.split())) if self.text else "nothing in its body"

    def relevant_headers(self) -> list[tuple[str, str]]:
        return [(name, _shown_header(name, value)) for name, value in self.pairs if name.lower() in _RELEVANT]


def _shown_header(name: str, value: str) -> str:
    return (redact_url(value) if name.lower() == "location" else value)[:_MAX_HEADER_CHARACTERS]


def _without_sid(body: bytes, url: str) -> bytes:
    """Take out the session ids: the one that the request named, which python-engineio repeats, and one that an open packet gives."""
    try:
        named = parse_qs(urlsplit(url).query).get("sid", [""])[0].encode()
    except ValueError:
        named = b""
    if len(named) >= _SHORTEST_SID:
        body = body.replace(named, REDACTED.encode())
    return _SID.sub(REDACTED.encode(), body)


_SHORTEST_SID: Final = 8
"""A shorter one is no secret, and replacing it could hit any word."""

# --- 1. bot protection

_CHALLENGE_HEADERS: Final = ("cf-mitigated", "x-amzn-waf-action", "x-datadome")
_CHALLENGE_WORDS: Final = ("just a moment", "challenge-platform", "cf-chl", "attention required! | cloudflare", "_incapsula_resource", "px-captcha")


def _ask_challenge(answer: _Answer) -> _Finding | None:
    for name in _CHALLENGE_HEADERS:
        if name in answer.headers:
            return _Finding(Cause.CHALLENGE_PAGE, f"bot protection ({name}: {answer.headers[name][:40]})")
    if answer.is_web_page:
        page = answer.text.lower()
        for words in _CHALLENGE_WORDS:
            if words in page:
                return _Finding(Cause.CHALLENGE_PAGE, f"the page of a bot protection (it says {words!r})")
    return None


# --- 2. redirects

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


def _ask_redirect(answer: _Answer) -> _Finding | None:
    if answer.status not in _REDIRECTS:
        return None
    location = answer.headers.get("location")
    return _Finding(Cause.REDIRECTED, f"a redirect to {_target(answer.url, location)}" if location else "a redirect without a Location")


def _target(url: str, location: str) -> str:
    """Origin and path of a redirect: what tells a log-in page from a moved server, and nothing that could be a token."""
    try:
        return redact_url(urljoin(url, location)).partition("?")[0]
    except ValueError:
        return elide(location)


# --- 3. the server's own words

_CODES: Final = (
    Cause.TRANSPORT_UNKNOWN,
    Cause.SESSION_UNKNOWN,
    Cause.BAD_HANDSHAKE_METHOD,
    Cause.BAD_REQUEST,
    Cause.FORBIDDEN,
    Cause.UNSUPPORTED_VERSION,
)
"""Causes by Node's error number."""

_NODE_WORDS: Final[Mapping[str, Cause]] = MappingProxyType(
    dict(
        zip(
            ("Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version"),
            _CODES,
            strict=True,
        )
    )
)

_PYTHON_WORDS: Final = (
    (re.compile(r"Invalid session None"), Cause.BAD_HANDSHAKE_METHOD),
    (re.compile(r"Invalid session |.{0,3}Session is disconnected"), Cause.SESSION_UNKNOWN),
    (re.compile(r"Invalid transport"), Cause.TRANSPORT_UNKNOWN),
    (re.compile(r"Invalid websocket upgrade|Unexpected HTTP request"), Cause.BAD_REQUEST),
    (re.compile(r".{0,300} is not an accepted origin\."), Cause.FORBIDDEN),
    (re.compile(r"The client is using an unsupported version of the Socket\.IO or Engine\.IO protocols"), Cause.UNSUPPORTED_VERSION),
)
"""Causes by the beginning of python-engineio's sentences, of which some name the session."""


def _ask_own_words(answer: _Answer) -> _Finding | None:
    if isinstance(answer.json, dict):
        return _read_node_error(answer, answer.json)
    sentence = answer.json if isinstance(answer.json, str) else answer.text
    cause = _cause_of_words(sentence)
    return None if cause is None else _Finding(cause, f"the server's refusal: {elide(sentence)}")


def _read_node_error(answer: _Answer, error: Mapping[str, object]) -> _Finding | None:
    code, message = error.get("code"), error.get("message")
    # Others write objects with a code and a message too. Engine.IO's come with 400 and 403, or say what only Engine.IO says.
    if type(code) is not int or not 0 <= code < len(_CODES) or not isinstance(message, str):
        return None
    if answer.status not in (400, 403) and message not in _NODE_WORDS:
        return None
    return _Finding(_CODES[code], f"the server's refusal: {elide(message)} (code {code})", code)


def _cause_of_words(sentence: str) -> Cause | None:
    if sentence in _NODE_WORDS:
        return _NODE_WORDS[sentence]
    return next((cause for pattern, cause in _PYTHON_WORDS if pattern.match(sentence)), None)


# --- 4. the status

_STATUSES: Final[Mapping[int, tuple[Cause, str]]] = MappingProxyType(
    {
        400: (Cause.BAD_REQUEST, "a refusal of the request"),
        401: (Cause.UNAUTHORIZED, "a demand for credentials"),
        403: (Cause.FORBIDDEN, "a refusal"),
        404: (Cause.WRONG_PATH, "'not found'"),
        405: (Cause.BAD_HANDSHAKE_METHOD, "a refusal of the method"),
        407: (Cause.PROXY_AUTH_REQUIRED, "a proxy's demand for credentials"),
        410: (Cause.WRONG_PATH, "'gone'"),
        413: (Cause.PAYLOAD_TOO_LARGE, "a refusal of the request for its size"),
        426: (Cause.NOT_ENGINEIO, "a server that wants a WebSocket and nothing else"),
        429: (Cause.RATE_LIMITED, "a demand to slow down"),
        502: (Cause.GATEWAY_ERROR, "a gateway without its server"),
        503: (Cause.GATEWAY_ERROR, "'unavailable'"),
        504: (Cause.GATEWAY_ERROR, "a gateway whose server did not answer in time"),
    }
)

_CLOUDFLARE_GATEWAY: Final = range(520, 531)
_SUCCESS: Final = range(200, 300)

_REFUSED_WEBSOCKET: Final = frozenset((400, 405, 426, 501, *_SUCCESS))
"""Statuses by which proxies and servers say that this is no place for a WebSocket; with a success something answered that ignores upgrades."""

_TLS_WORDS: Final = ("plain http request was sent to https port", "http request to an https server")


def _ask_status(answer: _Answer) -> _Finding | None:
    status = answer.status
    if answer.is_websocket and status in _REFUSED_WEBSOCKET and not (status == 200 and answer.is_web_page):
        return _refused_websocket(answer)
    if status in _SUCCESS:
        return None
    if status == 400 and any(words in answer.text.lower() for words in _TLS_WORDS):
        return _Finding(Cause.TLS_FAILED, f"a server that expects TLS: {answer.excerpt}")
    if status == 503 and "retry-after" in answer.headers:
        return _Finding(Cause.RATE_LIMITED, f"a demand to come back later (Retry-After: {answer.headers['retry-after'][:40]})")
    cause, words = _STATUSES.get(status) or _other_status(status)
    return _Finding(cause, f"{words} (HTTP {status}): {answer.excerpt}")


def _refused_websocket(answer: _Answer) -> _Finding:
    # Node refuses a WebSocket with the words of the application's `allowRequest` alone, as text/html, under 400. A proxy sends a page, or nothing.
    is_sentence = 0 < len(answer.text) <= 200 and not answer.is_web_page and answer.json is None
    if answer.status == 400 and is_sentence and answer.headers.get("content-type", "").startswith("text/html"):
        return _Finding(Cause.FORBIDDEN, f"the server's refusal: {elide(answer.text)}")
    return _Finding(Cause.WEBSOCKET_REFUSED, f"HTTP {answer.status} instead of a WebSocket: {answer.excerpt}")


def _other_status(status: int) -> tuple[Cause, str]:
    if status in _CLOUDFLARE_GATEWAY:
        return Cause.GATEWAY_ERROR, "a gateway that cannot reach its server"
    if 500 <= status < 600:
        return Cause.SERVER_ERROR, "a failure of the server"
    return Cause.UNEXPECTED_STATUS, "a status that the protocol does not know"


# --- 5. the content

_VERSION_3: Final = re.compile(rb"[0-9]{1,9}:0\{|[\x00\x01][\x00-\x09]{1,9}\xff0\{")
"""A version 3 payload whose first packet is an open packet: the length in digits, or, in the binary form, a type, the length in bare digits and
255."""


def _ask_content(answer: _Answer) -> _Finding:
    if not answer.body:
        return _Finding(Cause.EMPTY_RESPONSE, "nothing")
    if answer.is_handshake and _VERSION_3.match(answer.body):
        return _Finding(Cause.LOOKS_LIKE_EIO3, f"an open packet of Engine.IO 3: {answer.excerpt}")
    if answer.is_web_page:
        return _Finding(Cause.HTML_RESPONSE, f"a web page: {answer.excerpt}")
    return _Finding(Cause.NOT_ENGINEIO, _describe_content(answer))


def _describe_content(answer: _Answer) -> str:
    if answer.text.startswith("___eio["):
        return f"JSONP, which nobody asked for: {answer.excerpt}"
    if answer.body.startswith(b"\x1f\x8b"):
        return "a body that is still compressed"
    if isinstance(answer.json, dict | list):
        return f"JSON: {answer.excerpt}"
    try:
        packet = decode_packet(answer.text.partition(SEPARATOR)[0])
    except DecodeError:
        return answer.excerpt
    return f"a first packet of type {packet.type} instead of open: {answer.excerpt}"


_QUESTIONS: Final[tuple[Callable[[_Answer], _Finding | None], ...]] = (_ask_challenge, _ask_redirect, _ask_own_words, _ask_status, _ask_content)
