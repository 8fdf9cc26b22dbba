"""What the application sees of a Socket.IO connection, in order; `Opened`, `Upgraded`, `UpgradeFailed`, `PollingStuck` and `Closed` come through
from Engine.IO."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.events import Closed, Opened, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.events import PacketIgnored as EnginePacketIgnored
from engineio_lite.exceptions import EngineIOError
from engineio_lite.socketio.packet import Packet
from engineio_lite.state import CloseReason


class NamespaceConnected(msgspec.Struct, frozen=True):
    """The server granted `namespace`; `sid` is its id there, not the Engine.IO one; `pid` is set where the server can recover a lost session."""

    namespace: str
    sid: str
    pid: str | None = None


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
    """One event: `args` are its arguments, attachments in their places; `ack_id` is set where the server asks for an acknowledgement."""

    namespace: str
    name: str | int | float
    args: list[object]
    ack_id: int | None = None


class CallAnswered(msgspec.Struct, frozen=True):
    """The server acknowledged call number `call` with `args`."""

    call: int
    args: list[object]


class CallFailed(msgspec.Struct, frozen=True):
    """Call number `call` will not be answered: its time is over, or its namespace is left."""

    call: int
    error: EngineIOError


class PacketIgnored(msgspec.Struct, frozen=True):
    """A packet that means nothing where it came was left out; `why` in one clause."""

    packet: Packet
    why: str


SocketIOEvent: TypeAlias = NamespaceConnected | NamespaceRefused | NamespaceLeft | EventReceived | CallAnswered | CallFailed | PacketIgnored

Event: TypeAlias = SocketIOEvent | Opened | Upgraded | UpgradeFailed | PollingStuck | EnginePacketIgnored | Closed
"""Everything that `SocketIOConnection.process` tells the application."""
