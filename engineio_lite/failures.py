"""Errors of a session, made from what was seen: which class, which words, which evidence.

The door decides *that* something failed and when; here is only how it is told. Every function returns an error and raises none.
"""

from __future__ import annotations

from typing import Final

from engineio_lite.causes import Cause
from engineio_lite.exceptions import (
    ConnectFailed,
    EngineIOError,
    HandshakeError,
    RemoteProtocolError,
    TimedOut,
    TransportClosed,
    TransportError,
    elide,
)
from engineio_lite.handshake import redact_url
from engineio_lite.packet import Packet
from engineio_lite.state import SessionState

_NOT_CONNECTED: Final = frozenset(
    (
        Cause.CONNECT_FAILED,
        Cause.CONNECT_REFUSED,
        Cause.CONNECT_TIMEOUT,
        Cause.BAD_URL,
        Cause.DNS_FAILED,
        Cause.TLS_FAILED,
        Cause.PROXY_FAILED,
        Cause.PROXY_AUTH_REQUIRED,
    )
)
_NOT_THE_PROTOCOL: Final = frozenset((Cause.WEBSOCKET_PROTOCOL_ERROR, Cause.BAD_HTTP, Cause.BAD_UTF8, Cause.RESPONSE_TOO_LARGE))

_TOO_LARGE: Final = 1009
"""The one close code that names its cause: the server's maxHttpBufferSize."""

_VANISHED: Final = 1006
"""Never travels: it is what a close is called that nobody announced."""


def network_error(cause: Cause, detail: str, stage: str, url: str) -> EngineIOError:
    """What a driver reported of a request or a socket."""
    url = redact_url(url)
    if cause in _NOT_CONNECTED:
        return ConnectFailed(detail, cause=cause, stage=stage, url=url)
    if cause in _NOT_THE_PROTOCOL:
        return RemoteProtocolError(detail, cause=cause, stage=stage, url=url)
    return TransportError(detail, cause=cause, stage=stage, url=url)


def timed_out(what: str, seconds: float, cause: Cause, stage: str, url: str) -> TimedOut:
    """A stage that took longer than its limit."""
    return TimedOut(f"expected {what} within {seconds:.3g} s, nothing came", cause=cause, stage=stage, url=redact_url(url))


def websocket_closed(code: int | None, reason: str, stage: str, url: str) -> TransportClosed:
    """A WebSocket that the peer closed, or that vanished."""
    which = {"upgrade": "the upgrade's WebSocket", "websocket": "the WebSocket, before the open packet,"}.get(stage, "the WebSocket")
    if code == _VANISHED:
        how = "vanished without a close frame"
    else:
        how = "was closed by the server " + ("without a code" if code is None else f"with code {code}")
    said = f", saying {elide(reason)}" if reason else ""
    cause = Cause.PAYLOAD_TOO_LARGE if code == _TOO_LARGE else Cause.WEBSOCKET_CLOSED
    return TransportClosed(f"{which} {how}{said}", cause=cause, stage=stage, url=redact_url(url), code=code, reason=reason)


def illegal_packet(packet: Packet, state: SessionState, url: str) -> RemoteProtocolError:
    """A packet that must not come in this state: anything but the open packet before it, and a second one after it."""
    if state is SessionState.OPENING:
        message = f"expected the open packet, got {packet.type} {elide(packet.data)}"
        return HandshakeError(message, cause=Cause.NOT_ENGINEIO, stage="handshake", url=redact_url(url))
    message = f"expected one open packet, a second one came while {state}"
    return RemoteProtocolError(message, cause=Cause.UNEXPECTED_OPEN, stage="session", url=redact_url(url))
