"""One Engine.IO packet: the examples of the specification, the strictness that the references lack, and what cannot be encoded."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet, encode_packet_as_text

MESSAGE = PacketType.MESSAGE

# (packet, as a WebSocket message, in a text channel)
FORMS: list[tuple[Packet, str | bytes, str]] = [
    (Packet(PacketType.OPEN, "{}"), "0{}", "0{}"),
    (Packet(PacketType.CLOSE), "1", "1"),
    (Packet(PacketType.PING, "probe"), "2probe", "2probe"),
    (Packet(PacketType.PONG, "probe"), "3probe", "3probe"),
    (Packet(MESSAGE, "hello"), "4hello", "4hello"),
    (Packet(MESSAGE, "€uro"), "4€uro", "4€uro"),
    (Packet(MESSAGE, "4"), "44", "44"),
    (Packet(MESSAGE, b"\x01\x02\x03\x04"), b"\x01\x02\x03\x04", "bAQIDBA=="),
    (Packet(MESSAGE, b""), b"", "b"),
    (Packet(PacketType.UPGRADE), "5", "5"),
    (Packet(PacketType.NOOP), "6", "6"),
]


@pytest.mark.parametrize(("packet", "message", "text"), FORMS)
def test_forms(packet: Packet, message: str | bytes, text: str) -> None:
    assert encode_packet(packet) == message
    assert encode_packet_as_text(packet) == text
    assert decode_packet(message) == packet
    assert decode_packet(text) == packet


@pytest.mark.parametrize("digit", "0123456")
def test_text_stays_text(digit: str) -> None:
    for data in ("true", "null", "1.5", '{"a":1}', '"x"', "\x1e", " 4"):
        assert decode_packet(digit + data).data == data


def _fault(text: str, **options: bool) -> tuple[Cause, int]:
    with pytest.raises(DecodeError) as caught:
        decode_packet(text, **options)
    assert caught.value.layer == "engineio-packet"
    return caught.value.code, caught.value.offset


@pytest.mark.parametrize("text", ["7", "8", "9", "٣hi", "４", "²", "+4", " 4", "\n4", "\ufeff4", "<html>", '{"code":1}', "[", '"x"', "B", "ok", "_"])
def test_only_seven_ascii_digits_and_b_are_types(text: str) -> None:
    assert _fault(text) == (Cause.UNKNOWN_PACKET_TYPE, 0)


def test_nothing_is_no_packet_but_no_bytes_are() -> None:
    assert _fault("") == (Cause.EMPTY_PACKET, 0)
    assert decode_packet(b"") == Packet(MESSAGE, b"")


@pytest.mark.parametrize(
    ("text", "guess"),
    [("<!doctype html>", "a web page"), ('{"code":0}', "JSON"), ("\ufeff4x", "byte order mark"), ("___eio[0]", "JSONP"), ("96:0{", "version 3")],
)
def test_what_is_no_packet_is_guessed_at(text: str, guess: str) -> None:
    with pytest.raises(DecodeError, match=guess):
        decode_packet(text)


# --- base64


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("bA", 2),  # half a byte and more
        ("bAQ", 3),  # no padding
        ("bAQ=", 4),  # half of it
        ("bAQI", 4),
        ("bA===", 2),  # padding where it cannot be
        ("b=", 1),
        ("b====", 1),
        ("bAQID=", 5),  # padding of nothing
        ("bAQID====", 5),
        ("bAQ=A", 4),  # data inside of padding
        ("bAQ==A", 5),
        ("bAQ==AQ==", 5),
        ("bAQI==", 5),
        ("b AQ==", 1),
        ("bAQ==\n", 5),
        ("bAQ-_", 3),
        ("bAQéé", 3),
        ("bAQ\ud800=", 3),
    ],
)
def test_base64_is_strict(text: str, offset: int) -> None:
    assert _fault(text) == (Cause.BAD_BASE64, offset)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("bAQ==", b"\x01"),
        ("bAQ", b"\x01"),
        ("bAQI", b"\x01\x02"),
        ("bAQ=", b"\x01"),
        ("b-_-_", b"\xfb\xff\xbf"),
        ("b A Q\r\n==\n", b"\x01"),
        ("bA!Q", b"\x01"),
        ("bAQID=", b"\x01\x02\x03"),
        ("b", b""),
        ("b=", b""),
        ("bé", b""),
    ],
)
def test_base64_can_be_lenient(text: str, data: bytes) -> None:
    assert decode_packet(text, lenient=True) == Packet(MESSAGE, data)


@pytest.mark.parametrize(("text", "offset"), [("bAQ==BA==", 5), ("bAQ= =_", 6), ("b=A", 2), ("bA", 2), ("bAAAAA", 6), ("bAAAA A", 7)])
def test_leniency_loses_nothing(text: str, offset: int) -> None:
    assert _fault(text, lenient=True) == (Cause.BAD_BASE64, offset)


def test_leniency_is_for_base64_only() -> None:
    assert _fault("７", lenient=True) == (Cause.UNKNOWN_PACKET_TYPE, 0)


# --- what arrives from elsewhere


class Bytes(bytes):
    """A subclass, as some libraries hand out."""


def test_subclasses_of_bytes_become_bytes() -> None:
    packet = decode_packet(Bytes(b"x"))
    assert packet == Packet(MESSAGE, b"x")
    assert type(packet.data) is bytes


@pytest.mark.parametrize("data", [None, 5, ["4"], bytearray(b"x"), {0: "4"}])
def test_other_things_are_refused(data: Any) -> None:
    with pytest.raises(LocalProtocolError, match="str or bytes") as caught:
        decode_packet(data)
    assert caught.value.cause is Cause.BAD_MESSAGE


# --- what cannot be encoded

_WRONG: Any = None

UNSPEAKABLE: list[tuple[Packet, str]] = [
    (Packet(PacketType.PING, b"x"), "only a message can be binary"),
    (Packet(PacketType.OPEN, b""), "only a message can be binary"),
    (Packet(MESSAGE, "\ud800"), "lone surrogate at 0"),
    (Packet(MESSAGE, "aé\udfff"), "lone surrogate at 2"),
    (Packet(MESSAGE, _WRONG), "NoneType"),
    (Packet(_WRONG, "x"), "seven packet types"),
    (Packet(_WRONG, "é"), "seven packet types"),
]


@pytest.mark.parametrize(("packet", "why"), UNSPEAKABLE)
def test_what_cannot_be_said_is_refused(packet: Packet, why: str) -> None:
    for encode in (encode_packet, encode_packet_as_text):
        with pytest.raises(LocalProtocolError, match=why) as caught:
            encode(packet)
        assert caught.value.cause is Cause.BAD_MESSAGE


def test_wrong_types_of_every_kind_are_refused() -> None:
    unhashable: Any = []
    number: Any = 4
    mutable: Any = bytearray(b"x")
    for packet in (Packet(unhashable, "x"), Packet(number, "x"), Packet(MESSAGE, mutable), Packet(MESSAGE, number)):
        with pytest.raises(LocalProtocolError):
            encode_packet(packet)


def test_errors_say_what_came() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_packet("x" * 1000)
    error = caught.value
    assert error.detail == "expected a packet type (a digit 0 to 6, or b), got 'x'"
    assert str(error).startswith(error.detail + " at engineio-packet offset 0, in 'xxx")
    assert len(str(error)) < 300
