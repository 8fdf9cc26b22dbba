"""What a server says in its open packet, to be chosen for each session: a client that is replayed to should see what it saw.

Reference: engine.io-protocol version 4, "Handshake".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from engineio_lite.packet import Packet, PacketType
from engineio_lite.state import Transport


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What the open packet says, beside the sid: times in seconds, `max_payload` in bytes.

    `max_payload` also bounds what the client may send; None leaves it out of the packet and sets no bound here. `more` are further keys of the
    packet. `pings` has pings sent every `ping_interval`, and the session ended if no pong comes within `ping_timeout`.
    """

    upgrades: tuple[str, ...] = ("websocket",)
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    max_payload: int | None = 1_000_000
    pings: bool = False
    more: Mapping[str, object] = {}

    def open_packet(self, sid: str, transport: Transport) -> Packet:
        """Write the open packet; a session that begins on a WebSocket has nothing to upgrade to."""
        fields: dict[str, object] = {
            "sid": sid,
            "upgrades": list(self.upgrades) if transport is Transport.POLLING else [],
            "pingInterval": round(self.ping_interval * 1000),
            "pingTimeout": round(self.ping_timeout * 1000),
        }
        if self.max_payload is not None:
            fields["maxPayload"] = self.max_payload
        return Packet(PacketType.OPEN, msgspec.json.encode({**fields, **self.more}).decode())


DEFAULT_OFFER: Final = Offer()
"""What a Node server offers unless it is told otherwise, without its pings."""
