"""The URLs of a session: from what a person wrote to what is requested, and to what may be shown.

A URL arrives from a person, who writes ``wss://host`` or pastes a line from a browser's network panel. It is brought into one form, keeps what the
person added to it, and gets the parameters of the protocol. URLs carry secrets (user, password, tokens, the sid), so none is shown but through
`redact_url`.

Reference: engine.io-protocol version 4, "Protocol", the query parameters.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit, urlunsplit

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, elide
from engineio_lite.state import Transport

_SCHEMES: Final = MappingProxyType({"http": "http", "https": "https", "ws": "http", "wss": "https"})
_WEBSOCKET_SCHEMES: Final = MappingProxyType({"http": "ws", "https": "wss"})

_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")


def normalize_url(url: str, *, default_path: str) -> str:
    """Bring what a person wrote into the base URL of a session: scheme http or https, a host, a path that ends with a slash, the person's own query.

    ``ws`` and ``wss`` become ``http`` and ``https``. No path, or ``/`` alone, becomes `default_path`, since nobody serves Engine.IO at the root; a
    missing slash at the end is added, since both reference servers want it. User and password and the query stay.

    Raises `LocalProtocolError` with cause ``bad-url``.
    Reference: engine.io-protocol version 4, "Protocol".
    """
    if not isinstance(url, str):
        raise _bad_url(f"expected a URL as str, got {type(url).__name__}")
    # The parser drops line breaks silently, and what a fragment is for never reaches a server: both are slips of the person who pasted.
    if _UNPRINTABLE.search(url) or "#" in url:
        raise _bad_url(f"expected a URL without blanks, control characters or fragment, got {elide(redact_url(url))}")
    parts = _split(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        hint = "" if "//" in url else " (write http://HOST:PORT)"
        raise _bad_url(f"expected an http, https, ws or wss URL with a host, got {elide(redact_url(url))}{hint}")
    path = default_path if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path if path.endswith("/") else path + "/", parts.query, ""))


def split_namespace(url: str) -> tuple[str, str | None]:
    """Take the namespace out of a Socket.IO URL, where the reference client has it: ``https://host/admin?x=1`` is ``/admin`` at ``https://host?x=1``.

    A path that ends with a slash, or with the segment ``socket.io``, is where the server is mounted and stays; no namespace is None.

    Raises `LocalProtocolError` with cause ``bad-url``.
    """
    if not isinstance(url, str):
        raise _bad_url(f"expected a URL as str, got {type(url).__name__}")
    if _UNPRINTABLE.search(url):
        return url, None  # which is refused where it is used, in the same words as any other
    parts = _split(url)
    is_usable = parts.scheme in _SCHEMES and parts.hostname
    if not is_usable or not parts.path or parts.path.endswith(("/", "/socket.io")):
        return url, None
    return urlunsplit((parts.scheme, parts.netloc, "", parts.query, parts.fragment)), parts.path


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # looked at for the error that it raises, which urlsplit leaves for later
    except ValueError as error:
        raise _bad_url(f"expected a URL, got {elide(redact_url(url))} ({error})") from None
    return parts


def _bad_url(message: str) -> LocalProtocolError:
    return LocalProtocolError(message, cause=Cause.BAD_URL)


def build_url(base: str, transport: Transport, *, sid: str | None = None, token: str | None = None) -> str:
    """Build the URL of one request from a base that `normalize_url` made; the scheme is ws or wss for a WebSocket.

    The parameters of the protocol follow the person's own: ``EIO=4``, ``transport``, `token` as ``t`` (it keeps caches from answering) and `sid`.
    Of the person's query everything stays but those four, which people paste with a URL from a browser: a Node server reads a name that occurs
    twice as an array and then knows no such transport, and a pasted sid is a session of the past.

    Raises `LocalProtocolError` with cause ``bad-url`` for a `sid` or `token` that has no UTF-8 form.
    Reference: engine.io-protocol version 4, "Protocol", the query parameters.
    """
    parts = urlsplit(base)
    own = {"EIO": "4", "transport": transport.value, "t": token, "sid": sid}
    if token is None:
        del own["t"]  # then a `t` of the person's own is none of ours
    kept = [pair for pair in parts.query.split("&") if pair and _name(pair) not in own]
    added = [f"{name}={_quoted(value)}" for name, value in own.items() if value is not None]
    scheme = _WEBSOCKET_SCHEMES[parts.scheme] if transport is Transport.WEBSOCKET else parts.scheme
    return urlunsplit((scheme, parts.netloc, parts.path, "&".join(kept + added), ""))


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _quoted(value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise _bad_url("expected a sid and a token with a UTF-8 form, got a lone surrogate") from None


REDACTED: Final = "<redacted>"

_PUBLIC_PARAMETERS: Final = frozenset(("EIO", "transport"))


def redact_url(url: str) -> str:
    """Make a URL fit to be shown: without user and password, without fragment, and with only the values of ``EIO`` and ``transport`` left in its
    query.

    Never raises; what is no URL becomes a remark that says so, because it could hold anything.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<unreadable URL>"
    pairs = [_redacted_pair(pair) for pair in parts.query.split("&") if pair]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(pairs), ""))


def _redacted_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if not equals:
        return REDACTED  # a bare word may be a token as well as a name
    return pair if name in _PUBLIC_PARAMETERS else f"{name}={REDACTED}"
