"""What the driver must do, in order.

Requests and sockets are numbered by the core, from 1 in each session; whatever becomes of one is reported back with its number. Every wait that a
command starts is bounded by a deadline inside the core, which ends it with `CloseTransport`; a driver needs no timer but `deadline`.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.state import Transport


class Poll(msgspec.Struct, frozen=True):
    """Send a GET; answer with `ResponseReceived` or `RequestFailed`. Never retry it: the first try may have carried messages away."""

    request: int
    url: str


class Post(msgspec.Struct, frozen=True):
    """Send a POST with this body, sized, as ``text/plain;charset=UTF-8``; answer as for `Poll`. Never retry it."""

    request: int
    url: str
    body: bytes


class OpenWebSocket(msgspec.Struct, frozen=True):
    """Open a WebSocket; answer with `WebSocketOpened`, `WebSocketRefused` or `WebSocketFailed`."""

    socket: int
    url: str


class SendFrame(msgspec.Struct, frozen=True, gc=False):
    """Send one WebSocket message: `str` as text, `bytes` as binary."""

    socket: int
    data: str | bytes


class CloseTransport(msgspec.Struct, frozen=True):
    """Give up a channel: abandon every request in flight (polling), or close socket number `socket`, after what was sent on it (websocket).

    Nothing that still happens on the channel needs to be reported.
    """

    transport: Transport
    socket: int = 0


class StartOver(msgspec.Struct, frozen=True):
    """This connection is over and another one will follow: requests and sockets are numbered from 1 again, and share nothing with the old ones.

    Only a `SocketIOLink` asks for it.
    """


Command: TypeAlias = Poll | Post | OpenWebSocket | SendFrame | CloseTransport
