"""Who may come in: what is decided about a request before any session hears of it.

A server of many sessions looks at each request three times: is it something an Engine.IO client would ask, does it belong to a session or may it open
one, and may it come over this transport. The order of these questions matters, since it decides which of several refusals is given; it is that of the
Node server, as are the numbers and words, by which clients tell what went wrong. A refused WebSocket handshake says the same words as plain text and
without a number. Node answers one refusal differently: to an old client's WebSocket it first says 101 and then writes its refusal where a frame
should be, which the client can only report as a broken protocol. Here it is refused as everything else is.

What a page of another origin needs from a server is here too, as of a Node server with ``cors: {origin: true, credentials: true}``: whoever asks is
let in, by name. The module knows no session; it is told of one by the transport that it uses.

Reference: engine.io-protocol version 4, "HTTP long-polling" and "Error"; the numbers are those of engine.io's ``Server.errors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from engineio_lite.state import Transport

MAX_QUERY_FIELDS: Final = 1000
"""Query parameters that are looked at; clients send five, and a few of their users' own."""

VERSION: Final = "4"
"""The version of the protocol, as ``EIO`` says it."""

JSON_TYPE: Final = "application/json"
HTML_TYPE: Final = "text/html"


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is refused: Node's number for it and Node's words."""

    code: int
    message: str
    status: int = 400

    @property
    def body(self) -> bytes:
        """The answer to a request that is no WebSocket handshake; a handshake is answered with the `message` alone."""
        return msgspec.json.encode({"code": self.code, "message": self.message})


UNKNOWN_TRANSPORT: Final = Refusal(0, "Transport unknown")
UNKNOWN_SID: Final = Refusal(1, "Session ID unknown")
BAD_HANDSHAKE_METHOD: Final = Refusal(2, "Bad handshake method")
BAD_REQUEST: Final = Refusal(3, "Bad request")
UNSUPPORTED_PROTOCOL_VERSION: Final = Refusal(5, "Unsupported protocol version")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a request: its method, its query by name, and whether it is a WebSocket handshake."""

    method: str
    query: Mapping[str, str]
    websocket: bool

    @property
    def sid(self) -> str:
        """The session that it names; empty if it names none."""
        return self.query.get("sid", "")

    @property
    def transport(self) -> str | None:
        """The transport that it names, whether there is one of that name or not."""
        return self.query.get("transport")


def read_request(method: str, query: str, *, websocket: bool) -> Request:
    """Read a request line's method and query (what follows the ``?``, as it came); of a parameter that comes twice, the last counts.

    Raises ValueError for more than `MAX_QUERY_FIELDS` parameters.
    """
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    return Request(method=method, query=MappingProxyType(dict(pairs)), websocket=websocket)


def refuse(request: Request, transport_of: Callable[[str], Transport | None]) -> Refusal | None:
    """Say why a request may not come in, or None if it may; `transport_of` tells the transport of a session by its sid, None if there is no such one.

    What may come in and names no session opens one.
    """
    if request.transport not in tuple(Transport):
        return UNKNOWN_TRANSPORT
    return _refuse_member(request, transport_of(request.sid)) if request.sid else _refuse_opening(request)


def _refuse_member(request: Request, transport: Transport | None) -> Refusal | None:
    if transport is None:
        return UNKNOWN_SID
    # A session that has moved to a WebSocket is not to be asked over HTTP any more; the version selects the codec, so each request has to name it.
    reachable = _asks_as_it_says(request) and (request.websocket or transport is Transport.POLLING)
    return None if reachable and request.query.get("EIO") == VERSION else BAD_REQUEST


def _refuse_opening(request: Request) -> Refusal | None:
    if request.method != "GET":
        return BAD_HANDSHAKE_METHOD
    if not _asks_as_it_says(request):
        return BAD_REQUEST
    return None if request.query.get("EIO") == VERSION else UNSUPPORTED_PROTOCOL_VERSION


def _asks_as_it_says(request: Request) -> bool:
    """Whether the request is a WebSocket handshake exactly if it names that transport: a proxy may have taken the ``Upgrade`` away."""
    return request.websocket is (request.transport == Transport.WEBSOCKET)


# --- Pages of other origins.

_METHODS: Final = "GET,HEAD,PUT,PATCH,POST,DELETE"


def sharing_headers(origin: str | None) -> dict[str, str]:
    """The headers that let a page of `origin` read an answer, cookies and all."""
    allowed = {} if origin is None else {"Access-Control-Allow-Origin": origin}
    return {**allowed, "Vary": "Origin", "Access-Control-Allow-Credentials": "true"}


def preflight_headers(origin: str | None, wanted: str | None) -> dict[str, str]:
    """The headers of the answer to a page's preflight, an OPTIONS request, which asks for these headers (``Access-Control-Request-Headers``)."""
    allowed = {} if wanted is None else {"Access-Control-Allow-Headers": wanted}
    return {
        **sharing_headers(origin),
        "Vary": "Origin, Access-Control-Request-Headers",
        "Access-Control-Allow-Methods": _METHODS,
        **allowed,
    }
