"""Socket.IO on top of Engine.IO, pure: packets, the connection with its namespaces, and the client that outlives connections."""

from __future__ import annotations

from engineio_lite.commands import StartOver
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import (
    AuthNeeded,
    CallAnswered,
    CallFailed,
    EmitDropped,
    EmitHeld,
    EmitReleased,
    EventReceived,
    EventSent,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    PacketIgnored,
    Reconnected,
    Reconnecting,
    SocketIOEvent,
)
from engineio_lite.socketio.inputs import (
    Acknowledge,
    ClientInput,
    Deliver,
    Emit,
    JoinNamespace,
    LeaveNamespace,
    ProvideAuth,
    RefuseAuth,
    SocketIOInput,
)
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.packet import Decoder, Packet, PacketType, encode
from engineio_lite.socketio.parsers import DEFAULT, MSGPACK, PARSERS, Parser
from engineio_lite.socketio.policy import Lost, ReconnectPolicy
from engineio_lite.state import LinkState, NamespaceState

__all__ = [
    "DEFAULT",
    "MSGPACK",
    "PARSERS",
    "Acknowledge",
    "AuthNeeded",
    "CallAnswered",
    "CallFailed",
    "ClientInput",
    "Decoder",
    "Deliver",
    "Emit",
    "EmitDropped",
    "EmitHeld",
    "EmitReleased",
    "EventReceived",
    "EventSent",
    "JoinNamespace",
    "LeaveNamespace",
    "LinkState",
    "Lost",
    "NamespaceConnected",
    "NamespaceLeft",
    "NamespaceRefused",
    "NamespaceState",
    "Packet",
    "PacketIgnored",
    "PacketType",
    "Parser",
    "ProvideAuth",
    "ReconnectPolicy",
    "Reconnected",
    "Reconnecting",
    "RefuseAuth",
    "SocketIOConnection",
    "SocketIOEvent",
    "SocketIOInput",
    "SocketIOLink",
    "StartOver",
    "encode",
]
