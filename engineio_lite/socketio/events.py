"""What the application sees of a Socket.IO connection, in order; `Opened`, `Upgraded`, `UpgradeFailed`, `PollingStuck` and `Closed` come through
from Engine.IO."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.events import Closed, Opened, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.events import PacketIgnored as EnginePacketIgnored
from engineio_lite.exceptions import EngineIOError
from engineio_lite.socketio.packet import Packet
from engineio_lite.state import CloseReason


class NamespaceConnected(msgspec.Struct, frozen=True):
    """The server granted `namespace`; `sid` is its id there, not the Engine.IO one; `pid` is set where the server can recover a lost session.

    `recovered` says that this is the session that was lost: nothing that the server sent meanwhile is missing, and it comes next.
    """

    namespace: str
    sid: str
    pid: str | None = None
    recovered: bool = False


class NamespaceRefused(msgspec.Struct, frozen=True):
    """The server refused `namespace`, or did not answer in time; other namespaces are not touched."""

    namespace: str
    error: EngineIOError


class NamespaceLeft(msgspec.Struct, frozen=True):
    """`namespace` is left, by either side; `error` is the server's refusal where it gave its reason only now."""

    namespace: str
    reason: CloseReason
    error: EngineIOError | None = None


class EventReceived(msgspec.Struct, frozen=True):
    """One event: `args` are its arguments, attachments in their places; `ack_id` is set where the server asks for an acknowledgement.

    `grant` then tells which of a client's connections asked: it counts the namespaces that were granted before that one.
    """

    namespace: str
    name: str | int | float
    args: list[object]
    ack_id: int | None = None
    grant: int = 0


class CallAnswered(msgspec.Struct, frozen=True):
    """The server acknowledged call number `call` with `args`."""

    call: int
    args: list[object]


class CallFailed(msgspec.Struct, frozen=True):
    """Call number `call` will not be answered: its time is over, or its namespace is left."""

    call: int
    error: EngineIOError


class AuthNeeded(msgspec.Struct, frozen=True):
    """The payload of a deferred join is wanted now: answer with `ProvideAuth` or `RefuseAuth`."""

    namespace: str


class EmitHeld(msgspec.Struct, frozen=True):
    """The event with this `ticket` waits for a connection."""

    ticket: int


class EmitReleased(msgspec.Struct, frozen=True):
    """The event with this `ticket` has waited, and is passed on to the connection now."""

    ticket: int


class EventSent(msgspec.Struct, frozen=True):
    """An event of ours is passed to a connection now: one that was emitted, has waited, or is repeated; each time that it is.

    `args` are those of the wish, or the copy of them that has waited. Told only in the namespaces that a `SocketIOLink` has `watched`.
    """

    namespace: str
    name: str
    args: tuple[object, ...]


class EmitDropped(msgspec.Struct, frozen=True):
    """An event will not be sent: a volatile one that could not leave at once (`error` is None), or one that waited in vain."""

    namespace: str
    name: str
    ticket: int | None = None
    error: EngineIOError | None = None


class Reconnecting(msgspec.Struct, frozen=True):
    """A connection was lost, or not made, for `reason` and by `error`; try number `attempt` to make another begins in `delay` seconds."""

    attempt: int
    delay: float
    reason: CloseReason
    error: EngineIOError | None = None

    @property
    def cause(self) -> Cause | None:
        """The stable id of what went wrong; None after an orderly close."""
        return self.error.cause if self.error is not None else None


class Reconnected(msgspec.Struct, frozen=True):
    """A new connection stands, after so many `attempts`, and every namespace has its answer.

    `recovered` says that the server took up every one where it was lost; else whatever it sent meanwhile is gone, and so is what it knew of us.
    """

    attempts: int
    recovered: bool


class PacketIgnored(msgspec.Struct, frozen=True):
    """A packet that means nothing where it came was left out; `why` in one clause."""

    packet: Packet
    why: str


SocketIOEvent: TypeAlias = (
    NamespaceConnected | NamespaceRefused | NamespaceLeft | EventReceived | CallAnswered | CallFailed | AuthNeeded | EmitDropped | PacketIgnored
)

Event: TypeAlias = SocketIOEvent | Opened | Upgraded | UpgradeFailed | PollingStuck | EnginePacketIgnored | Closed
"""Everything that `SocketIOConnection.process` tells the application."""

ClientEvent: TypeAlias = Event | EmitHeld | EmitReleased | EventSent | Reconnecting | Reconnected
"""Everything that `SocketIOLink.process` tells the application; its `Closed` is the last word of the last connection."""
