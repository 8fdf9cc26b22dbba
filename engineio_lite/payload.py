from __future__ import annotations

from collections.abc import Iterable, Sequence

from engineio_lite.packet import Packet


def decode_payload(body: str | bytes, *, lenient: bool = False) -> list[Packet]:
    raise NotImplementedError


def packet_cost(packet: Packet) -> int:
    raise NotImplementedError


def encode_payload(
    packets: Iterable[Packet], *, max_payload: int | None = None, max_packets: int = 16
) -> tuple[bytes, list[Packet]]:
    raise NotImplementedError
