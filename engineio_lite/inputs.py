"""Everything that can happen to a connection: the one way in.

An input is a frozen value. Those of the application say what it wants; those of the driver say what happened to a request or a socket that a command
asked for, and carry the number which that command gave it. Time is not an input but an argument: `process(input, now)` takes the driver's monotonic
clock, in seconds. Errors of the network come as a cause and a sentence rather than as exceptions, so that an input can be written down and read back.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import RemoteProtocolError

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""HTTP headers as (name, value) pairs, in the order they came."""

# --- What the application wants.


class Connect(msgspec.Struct, frozen=True):
    """Open the session."""


class SendMessages(msgspec.Struct, frozen=True):
    """Send these messages, in this order and with no other message between them."""

    messages: tuple[str | bytes, ...]


class Close(msgspec.Struct, frozen=True):
    """Leave: send what waits, then the `farewell` messages, then the close packet."""

    farewell: tuple[str | bytes, ...] = ()


class Fail(msgspec.Struct, frozen=True):
    """The layer above cannot accept what the peer sent; end the session with its error."""

    error: RemoteProtocolError


# --- What happened, as the driver saw it.


class ResponseReceived(msgspec.Struct, frozen=True):
    """The answer to request number `request`, whole and decompressed."""

    request: int
    status: int
    headers: Headers
    body: bytes


class RequestFailed(msgspec.Struct, frozen=True):
    """Request number `request` has no answer: why, as a stable cause and one sentence."""

    request: int
    cause: Cause
    detail: str


class WebSocketOpened(msgspec.Struct, frozen=True):
    """The handshake of socket number `socket` succeeded."""

    socket: int


class WebSocketRefused(msgspec.Struct, frozen=True):
    """The handshake of socket number `socket` got an HTTP answer other than 101."""

    socket: int
    status: int
    headers: Headers
    body: bytes


class WebSocketFailed(msgspec.Struct, frozen=True):
    """Socket number `socket` could not be opened, or broke without a closing handshake: why."""

    socket: int
    cause: Cause
    detail: str


class FrameReceived(msgspec.Struct, frozen=True, gc=False):
    """One whole WebSocket message: `str` for text, `bytes` for binary."""

    socket: int
    data: str | bytes


class WebSocketClosed(msgspec.Struct, frozen=True):
    """Socket number `socket` was closed by the peer; `code` is None where the close frame had none."""

    socket: int
    code: int | None
    reason: str = ""


class TimePassed(msgspec.Struct, frozen=True):
    """The clock reached the connection's deadline."""


Input: TypeAlias = (
    Connect
    | SendMessages
    | Close
    | Fail
    | ResponseReceived
    | RequestFailed
    | WebSocketOpened
    | WebSocketRefused
    | WebSocketFailed
    | FrameReceived
    | WebSocketClosed
    | TimePassed
)
