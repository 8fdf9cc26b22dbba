"""One Engine.IO packet: its types, its text form, and nothing else.

placeholder of the codec room; see decode_packet.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class PacketType(StrEnum):
    """The seven packet types of Engine.IO version 4, named as the specification names them."""

    OPEN = "open"
    CLOSE = "close"
    PING = "ping"
    PONG = "pong"
    MESSAGE = "message"
    UPGRADE = "upgrade"
    NOOP = "noop"


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Engine.IO packet: a type and its data, text for every type, bytes for a binary message only."""

    type: PacketType
    data: str | bytes = ""


def decode_packet(data: str | bytes, *, lenient: bool = False) -> Packet:
    raise NotImplementedError


def encode_packet(packet: Packet) -> str | bytes:
    raise NotImplementedError
