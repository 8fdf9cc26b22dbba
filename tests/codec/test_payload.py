"""Polling bodies: what came before a fault is kept, and what goes out is exactly as much as fits."""

from __future__ import annotations

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError, PayloadTooLarge
from engineio_lite.packet import Packet, PacketType
from engineio_lite.payload import MAX_PACKETS, decode_payload, encode_payload, is_version_3_payload, packet_cost

MESSAGE = PacketType.MESSAGE


def text(data: str) -> Packet:
    return Packet(MESSAGE, data)


def binary(data: bytes) -> Packet:
    return Packet(MESSAGE, data)


A, B = text("a"), text("b")


def test_the_example_of_the_specification() -> None:
    packets = [text("hello"), Packet(PacketType.PING), text("world")]
    assert encode_payload(packets) == (b"4hello\x1e2\x1e4world", [])
    assert decode_payload(b"4hello\x1e2\x1e4world") == packets


def test_its_binary_example() -> None:
    packets = [text("€"), binary(b"\x01\x02\x03\x04")]
    assert encode_payload(packets) == ("4€\x1ebAQIDBA==".encode(), [])
    assert decode_payload("4€\x1ebAQIDBA==") == packets


@pytest.mark.parametrize("body", ["", b""])
def test_an_empty_body_has_no_packets(body: str | bytes) -> None:
    assert decode_payload(body) == []


# (body, code, offset, good packets before)
FAULTS: list[tuple[str | bytes, Cause, int, list[Packet]]] = [
    ("\x1e", Cause.EMPTY_PACKET, 0, []),
    ("4a\x1e", Cause.EMPTY_PACKET, 3, [A]),
    ("4a\x1e\x1e4b", Cause.EMPTY_PACKET, 3, [A]),
    ("4a\x1e4b\x1ex", Cause.UNKNOWN_PACKET_TYPE, 6, [A, B]),
    ("4€\x1ebA Q==", Cause.BAD_BASE64, 5, [text("€")]),  # code points, not bytes
    ("4€\x1ebA Q==".encode(), Cause.BAD_BASE64, 5, [text("€")]),
    (b"\xff", Cause.BAD_UTF8, 0, []),
    (b"4a\xff", Cause.BAD_UTF8, 2, []),
    (b"4a\x1e4b\x1e4\xe2\x82", Cause.BAD_UTF8, 7, [A, B]),
    (b"4a\x1e\xff\x1e4b", Cause.BAD_UTF8, 3, [A]),
    (b"4\xed\xa0\x80", Cause.BAD_UTF8, 1, []),  # a surrogate is no UTF-8
    # A fault before the bytes in question comes first.
    (b"4a\x1ex\x1e4\xff", Cause.UNKNOWN_PACKET_TYPE, 3, [A]),
    (b"\x1e\xff", Cause.EMPTY_PACKET, 0, []),
]


@pytest.mark.parametrize(("body", "code", "offset", "packets"), FAULTS)
def test_what_came_before_a_fault_is_kept(body: str | bytes, code: Cause, offset: int, packets: list[Packet]) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_payload(body)
    error = caught.value
    assert (error.code, error.offset, error.layer) == (code, offset, "engineio-payload")
    assert list(error.packets) == packets
    assert str(error).count("offset") == 1


def test_leniency_reaches_the_packets() -> None:
    assert decode_payload(b"bAQ\x1e4a", lenient=True) == [binary(b"\x01"), A]
    with pytest.raises(DecodeError) as caught:
        decode_payload(b"bAQ\x1e4\xff", lenient=True)
    assert caught.value.packets == (binary(b"\x01"),)


# --- sizes


@pytest.mark.parametrize(
    ("packet", "cost"),
    [
        (Packet(PacketType.PONG), 1),
        (text("abc"), 4),
        (text("€"), 4),
        (text("😀"), 5),
        (binary(b""), 1),
        (binary(b"x"), 5),
        (binary(b"xxx"), 5),
        (binary(b"xxxx"), 9),
    ],
)
def test_costs_are_exact(packet: Packet, cost: int) -> None:
    assert packet_cost(packet) == cost == len(encode_payload([packet])[0])


def test_as_much_as_fits_and_no_less() -> None:
    packets = [text("aaa"), text("bbb"), text("ccc")]  # 4 bytes each, and a separator between
    for max_payload, fitting in [(4, 1), (8, 1), (9, 2), (13, 2), (14, 3), (None, 3)]:
        body, rest = encode_payload(packets, max_payload=max_payload)
        assert body == b"\x1e".join(b"4" + str(p.data).encode() for p in packets[:fitting])
        assert rest == packets[fitting:]


def test_a_later_packet_that_is_too_large_waits_for_its_turn() -> None:
    packets = [A, text("x" * 100)]
    assert encode_payload(packets, max_payload=50) == (b"4a", packets[1:])
    with pytest.raises(PayloadTooLarge) as caught:
        encode_payload(packets[1:], max_payload=50)
    assert (caught.value.size, caught.value.limit, caught.value.cause) == (101, 50, Cause.PAYLOAD_TOO_LARGE)


def test_python_servers_drop_more_than_sixteen() -> None:
    assert MAX_PACKETS == 16
    body, rest = encode_payload([A] * 40)
    assert (len(decode_payload(body)), len(rest)) == (16, 24)
    body, rest = encode_payload(iter([A] * 3), max_packets=2)
    assert (body, rest) == (b"4a\x1e4a", [A])


def test_nothing_makes_an_empty_body() -> None:
    assert encode_payload([]) == (b"", [])
    assert encode_payload([], max_payload=0) == (b"", [])


@pytest.mark.parametrize("max_packets", [0, -1])
def test_a_body_without_room_for_a_packet_is_an_error(max_packets: int) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_payload([A], max_packets=max_packets)
    assert caught.value.cause is Cause.BAD_OPTION


def test_the_separator_cannot_be_inside() -> None:
    with pytest.raises(LocalProtocolError, match="at 2 of") as caught:
        encode_payload([A, text("ab\x1ecd")])
    assert caught.value.cause is Cause.SEPARATOR_IN_TEXT
    # What is left for another body is not looked at.
    assert encode_payload([A, text("\x1e")], max_packets=1) == (b"4a", [text("\x1e")])
    # Bytes with the same value travel as base64.
    assert encode_payload([binary(b"\x1e")]) == (b"bHg==", [])


def test_what_no_packet_can_hold_no_body_can() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_payload([text("\ud800")])
    assert caught.value.cause is Cause.BAD_MESSAGE
    with pytest.raises(LocalProtocolError):
        packet_cost(text("\ud800"))


# --- version 3


@pytest.mark.parametrize("body", ["2:40", "5:4x:yz2:40", "3:4😀", "6:4hello2:4€"])
def test_version_3_is_recognised(body: str) -> None:
    assert is_version_3_payload(body)


@pytest.mark.parametrize("body", ["", "4", "4:foo", "2:4", "2:405", "0:", "0:2:40", "2:40x", "9999999999:4", "٢:40", "b4AQ=="])
def test_and_not_seen_where_it_is_not(body: str) -> None:
    assert not is_version_3_payload(body)
