"""The server behind the proxy, and the names that the two go by.

A client knows the proxy's address, the server its own. Servers check what they are called: virtual hosts and certificates go by ``Host``, and the
reference servers compare ``Origin`` with it. So whatever of a request names the proxy names the server when it goes on, and the other way round:

- ``Host`` becomes the server's.
- ``Origin`` and ``Referer`` that name the proxy name the server: a page that came through the proxy stays of the same origin as its requests. Other
  origins stay, so that the server's CORS rules decide about them as they would without the proxy.
- ``Location`` of an answer that names the server names the proxy, or a redirect would lead the client away from it.

That is all that is ever changed of what passes, and `keep_host` (in other tools ``keep_host_header``) switches it off. Cookies are not touched: one
for another ``Domain`` or a ``Secure`` one may be refused by a client that is at ``http://127.0.0.1``.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, elide
from engineio_lite.handshake import normalize_url, redact_url
from engineio_lite.proxy.http1 import Head

_PORTS: Final = {"http": 80, "https": 443}


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go on to: `origin` is scheme, host and port as a browser writes them, `authority` what a ``Host`` header says."""

    origin: str
    authority: str
    host: str
    port: int
    is_tls: bool
    keep_host: bool = False


def parse_upstream(url: str, *, keep_host: bool = False) -> Upstream:
    """Read the URL of a server; ``ws`` and ``wss`` are taken as ``http`` and ``https``. Raises `LocalProtocolError` with cause ``bad-url``."""
    parts = urlsplit(normalize_url(url, default_path="/"))
    if parts.path != "/" or parts.query:
        raise _bad(f"expected the URL of a server without a path, got {elide(redact_url(url))}: requests keep the path that the client gives them")
    if "@" in parts.netloc:
        raise _bad("expected a URL without user and password: it is the client that sends them")
    assert parts.hostname is not None
    default = _PORTS[parts.scheme]
    port = parts.port or default
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port == default else f"{host}:{port}"
    return Upstream(
        origin=f"{parts.scheme}://{authority}",
        authority=authority,
        host=parts.hostname,
        port=port,
        is_tls=parts.scheme == "https",
        keep_host=keep_host,
    )


def _bad(message: str) -> LocalProtocolError:
    return LocalProtocolError(message, cause=Cause.BAD_URL)


def name_the_server(head: Head, upstream: Upstream) -> str:
    """Let a request name the server where it named the proxy; return what the client calls the proxy, its origin."""
    called = head.value("host")
    if not called or upstream.keep_host:
        return ""
    ours = f"http://{called}"
    head.replace("host", upstream.authority)
    for name in ("origin", "referer"):
        _rename(head, name, ours, upstream.origin)
    return ours


def name_the_proxy(head: Head, upstream: Upstream, ours: str) -> None:
    """Let an answer name the proxy, by the origin `ours`, where it named the server."""
    if ours:
        _rename(head, "location", upstream.origin, ours)


def _rename(head: Head, name: str, old: str, new: str) -> None:
    value = head.value(name)
    rest = value[len(old) :]
    if value.lower().startswith(old.lower()) and rest[:1] in ("", "/", "?", "#"):
        head.replace(name, new + rest)
