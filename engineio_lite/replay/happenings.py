"""What goes through a server's door, beside what both sides of the wire have in common (`inputs`, `commands`, `events`).

Inputs are what happened to a request or a socket, and what the application wants; outputs are what the driver must do, and what the application is
told. Requests and sockets are numbered by the driver: here it is the one that hears of them first.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.commands import SendFrame
from engineio_lite.events import MessageReceived, Upgraded
from engineio_lite.inputs import Close, FrameReceived, SendMessages, TimePassed, WebSocketClosed, WebSocketFailed, WebSocketOpened
from engineio_lite.state import CloseReason

# --- What happened.


class GetArrived(msgspec.Struct, frozen=True):
    """A GET of this session came; the first one is the handshake."""

    request: int


class PostBegan(msgspec.Struct, frozen=True):
    """The head of a POST came: the client is sending. `content_type` is the header without parameters, in lower case; empty if there is none."""

    request: int
    content_type: str = ""


class PostArrived(msgspec.Struct, frozen=True):
    """The body of a POST that has begun came, whole; or so much of it that it is larger than the offer's `max_payload`."""

    request: int
    body: bytes


class RequestAborted(msgspec.Struct, frozen=True):
    """The client went away before its request was answered, or before it was complete."""

    request: int


class Abort(msgspec.Struct, frozen=True):
    """The application can go on no more: the session ends now, whatever still waits."""

    reason: CloseReason = CloseReason.SERVER_CLOSE
    detail: str = "the server's application gave up"


Input: TypeAlias = (
    GetArrived
    | PostBegan
    | PostArrived
    | RequestAborted
    | WebSocketOpened
    | FrameReceived
    | WebSocketClosed
    | WebSocketFailed
    | SendMessages
    | Close
    | Abort
    | TimePassed
)

# --- What is to be done.


class Answer(msgspec.Struct, frozen=True):
    """Answer a request, with no ``Content-Type`` if it is empty."""

    request: int
    status: int
    body: bytes = b""
    content_type: str = ""


class CutRequest(msgspec.Struct, frozen=True):
    """End the connection of a request, unanswered. Nothing that still happens to it needs to be reported."""

    request: int


class CloseSocket(msgspec.Struct, frozen=True):
    """Send a Close frame without a code, after what was sent on the socket. Nothing that still happens on it needs to be reported."""

    socket: int


class SessionOver(msgspec.Struct, frozen=True):
    """The session ended, why, and in a sentence; the last output there is, requests that come too late excepted."""

    reason: CloseReason
    detail: str


Output: TypeAlias = Answer | CutRequest | SendFrame | CloseSocket | MessageReceived | Upgraded | SessionOver
