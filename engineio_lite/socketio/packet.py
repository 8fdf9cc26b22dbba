from __future__ import annotations

from enum import StrEnum

import msgspec


class PacketType(StrEnum):
    """The seven packet types of Socket.IO protocol revision 5."""

    CONNECT = "CONNECT"
    DISCONNECT = "DISCONNECT"
    EVENT = "EVENT"
    ACK = "ACK"
    CONNECT_ERROR = "CONNECT_ERROR"
    BINARY_EVENT = "BINARY_EVENT"
    BINARY_ACK = "BINARY_ACK"


class Packet(msgspec.Struct, frozen=True):
    """One Socket.IO packet, attachments put back in their places: `data` is UNSET where the packet has no payload."""

    type: PacketType
    data: object = msgspec.UNSET
    namespace: str = "/"
    id: int | None = None
