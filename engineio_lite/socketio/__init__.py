"""Socket.IO on top of Engine.IO, pure: packets and their attachments, and the connection with its namespaces."""

from __future__ import annotations

from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import (
    CallAnswered,
    CallFailed,
    EventReceived,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    PacketIgnored,
    SocketIOEvent,
)
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace, SocketIOInput
from engineio_lite.socketio.packet import Decoder, Packet, PacketType, encode
from engineio_lite.state import NamespaceState

__all__ = [
    "Acknowledge",
    "CallAnswered",
    "CallFailed",
    "Decoder",
    "Emit",
    "EventReceived",
    "JoinNamespace",
    "LeaveNamespace",
    "NamespaceConnected",
    "NamespaceLeft",
    "NamespaceRefused",
    "NamespaceState",
    "Packet",
    "PacketIgnored",
    "PacketType",
    "SocketIOConnection",
    "SocketIOEvent",
    "SocketIOInput",
    "encode",
]
