"""What ends up in logs: the `repr` of packets and of the handshake is short, and gives no session and no credentials away."""

from __future__ import annotations

import pytest

from engineio_lite import Handshake, Packet, PacketType

OPEN = '{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'


@pytest.mark.parametrize(
    ("packet", "shown"),
    [
        (Packet(PacketType.PING, "probe"), "Packet(ping, 'probe')"),
        (Packet(PacketType.MESSAGE, '2["hi"]'), "Packet(message, '2[\"hi\"]')"),
        (Packet(PacketType.MESSAGE, b"\x01\x02"), "Packet(message, bytes 0102)"),
        (Packet(PacketType.OPEN, OPEN), f"Packet(open, <{len(OPEN)} characters>)"),
        (Packet(PacketType.MESSAGE, '0{"token":"letmein"}'), "Packet(message, <20 characters>)"),
        (Packet(PacketType.MESSAGE, '0/admin,{"token":"letmein"}'), "Packet(message, <27 characters>)"),
        (Packet(PacketType.MESSAGE, '0{"sid":"abcdef"}'), "Packet(message, <17 characters>)"),
    ],
)
def test_a_packet_is_shown_without_what_is_secret(packet: Packet, shown: str) -> None:
    assert repr(packet) == shown


def test_a_long_message_is_shortened() -> None:
    shown = repr(Packet(PacketType.MESSAGE, "x" * 10_000))
    assert len(shown) < 150
    assert "10000 characters" in shown


def test_a_handshake_does_not_show_the_sid() -> None:
    handshake = Handshake.parse(OPEN)
    assert handshake.sid == "lv_VI97HAXpY6yYWAAAC"
    assert repr(handshake) == "Handshake(sid=<20 characters>, upgrades=(), ping_interval=25.0, ping_timeout=20.0, max_payload=None)"
