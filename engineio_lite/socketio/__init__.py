"""Socket.IO on top of Engine.IO, pure: packets and their attachments, and the connection with its namespaces."""

from __future__ import annotations

from engineio_lite.socketio.packet import Decoder, Packet, PacketType, encode

__all__ = ["Decoder", "Packet", "PacketType", "encode"]
