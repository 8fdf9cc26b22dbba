"""Attachments: out as placeholders, back by number, with bounds, and nothing left over after a fault."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio import Decoder, Packet, PacketType, encode

EVENT, ACK = PacketType.EVENT, PacketType.ACK

HOLE = '{"_placeholder":true,"num":0}'


def hole(number: int) -> str:
    return f'{{"_placeholder":true,"num":{number}}}'


# (packet, its messages)
FORMS: list[tuple[Packet, list[str | bytes]]] = [
    (Packet(EVENT, ["baz", b"\x01\x02"]), [f'51-["baz",{HOLE}]', b"\x01\x02"]),
    (Packet(EVENT, ["baz", b"1", b"2"], "/admin"), [f'52-/admin,["baz",{hole(0)},{hole(1)}]', b"1", b"2"]),
    (Packet(EVENT, ["bar", {"k": [b""]}], id=15), [f'51-15["bar",{{"k":[{HOLE}]}}]', b""]),
    (Packet(ACK, [b"1"], "/admin", 1), [f"61-/admin,1[{HOLE}]", b"1"]),
    # Depth first, left to right.
    (
        Packet(EVENT, ["a", {"x": b"0", "y": [b"1", {"z": b"2"}]}, b"3"]),
        [f'54-["a",{{"x":{hole(0)},"y":[{hole(1)},{{"z":{hole(2)}}}]}},{hole(3)}]', b"0", b"1", b"2", b"3"],
    ),
    # An object that looks like a placeholder and says it is none.
    (Packet(EVENT, ["a", {"_placeholder": 1}, b"x"]), [f'51-["a",{{"_placeholder":1}},{HOLE}]', b"x"]),
    (Packet(EVENT, ["\ud800", b"x"]), [f'51-["\\ud800",{HOLE}]', b"x"]),
]


@pytest.mark.parametrize(("packet", "messages"), FORMS)
def test_forms(packet: Packet, messages: list[str | bytes]) -> None:
    assert encode(packet) == messages
    decoder = Decoder()
    assert decoder.pending == 0
    for missing, message in zip(range(len(messages) - 1, 0, -1), messages, strict=False):
        assert decoder.feed(message) is None
        assert decoder.pending == missing
    assert decoder.feed(messages[-1]) == packet
    assert decoder.pending == 0


def test_everything_bytes_like_is_taken_as_it_is_now() -> None:
    array = bytearray(b"12")
    messages = encode(Packet(EVENT, ["a", array, memoryview(b"xyz")[1:], memoryview(b"abcdef")[::2]]))
    array[0] = 0
    assert messages[1:] == [b"12", b"yz", b"ace"]
    assert {type(message) for message in messages[1:]} == {bytes}


def test_nothing_of_the_callers_is_changed() -> None:
    data = ["a", {"k": [b"1", {"m": (b"2",)}]}]
    before = copy.deepcopy(data)
    encode(Packet(EVENT, data))
    assert data == before


# --- refused on the way out


def refusal(data: object, packet_type: PacketType = EVENT, **limits: int) -> Cause:
    with pytest.raises(LocalProtocolError) as caught:
        encode(Packet(packet_type, data, id=0 if packet_type is ACK else None), limits=Limits(**limits))
    return caught.value.cause


def test_only_events_and_acks_have_attachments() -> None:
    assert refusal({"k": b""}, PacketType.CONNECT) is Cause.UNEXPECTED_BINARY
    assert refusal({"message": "no", "data": [b"x"]}, PacketType.CONNECT_ERROR) is Cause.UNEXPECTED_BINARY


@pytest.mark.parametrize("data", [["a", {"_placeholder": True, "num": 0}, b"x"], ["a", b"x", [{"_placeholder": True}]]])
def test_a_lookalike_beside_bytes_would_be_misread(data: list[object]) -> None:
    assert refusal(data) is Cause.BAD_PLACEHOLDER
    assert refusal(data, ACK) is Cause.BAD_PLACEHOLDER


def test_no_more_attachments_than_peers_accept() -> None:
    assert len(encode(Packet(EVENT, ["a", *[b"x"] * 10]))) == 11
    assert refusal(["a", *[b"x"] * 11]) is Cause.TOO_MANY_ATTACHMENTS
    assert refusal(["a", b"1", b"2"], max_attachments=1) is Cause.TOO_MANY_ATTACHMENTS


def test_the_rest_is_looked_at_as_closely_as_without_bytes() -> None:
    assert refusal(["a", b"x", float("nan")]) is Cause.BAD_NUMBER
    assert refusal(["a", b"x", {1: 2}]) is Cause.BAD_MESSAGE
    assert refusal(["a", b"x", [[[]]]], max_depth=3) is Cause.TOO_DEEP
    assert refusal(["a", b"x", {"k": {"l": {}}}], max_depth=3) is Cause.TOO_DEEP


# --- faults on the way in


def fault(*messages: str | bytes, **limits: int) -> tuple[Cause, int]:
    """Feed messages of which the last is at fault; then the decoder must work again as if nothing had been."""
    decoder = Decoder(limits=Limits(**limits))
    for message in messages[:-1]:
        assert decoder.feed(message) is None
    with pytest.raises(DecodeError) as caught:
        decoder.feed(messages[-1])
    assert caught.value.layer == "socketio-packet"
    assert decoder.pending == 0
    assert decoder.feed('2["b"]') == Packet(EVENT, ["b"])
    return caught.value.code, caught.value.offset


@pytest.mark.parametrize("num", [":1", ":-1", ':"0"', ":0.5", ":0.0", ":true", ":null", ":[]", ":99999999999999999999"], ids=lambda num: num[1:])
def test_a_placeholder_names_an_attachment(num: str) -> None:
    assert fault(f'51-["a",{{"_placeholder":true,"num"{num}}}]', b"x") == (Cause.BAD_PLACEHOLDER, 1)
    assert fault(f'52-["a",[{{"k":{{"_placeholder":true,"num"{num.replace(":1", ":2")}}}}}]]', b"x", b"y") == (Cause.BAD_PLACEHOLDER, 2)


def test_a_placeholder_without_a_number_names_none() -> None:
    assert fault('51-["a",{"_placeholder":true}]', b"x") == (Cause.BAD_PLACEHOLDER, 1)


@pytest.mark.parametrize("not_true", ["1", '"true"', "false", "null"])
def test_what_is_no_placeholder_stays(not_true: str) -> None:
    decoder = Decoder()
    decoder.feed(f'51-["a",{{"_placeholder":{not_true},"num":0}}]')
    packet = decoder.feed(b"x")
    assert packet is not None
    assert isinstance(packet.data, list)
    assert packet.data[1]["num"] == 0


def test_one_attachment_may_be_named_twice_or_never() -> None:
    decoder = Decoder()
    assert decoder.feed(f'52-["a",{HOLE},{HOLE}]') is None
    assert decoder.feed(b"0") is None
    assert decoder.feed(b"1") == Packet(EVENT, ["a", b"0", b"0"])


def test_a_placeholder_may_hold_more() -> None:
    decoder = Decoder()
    decoder.feed('51-["a",{"x":[1],"num":0,"_placeholder":true}]')
    assert decoder.feed(b"0") == Packet(EVENT, ["a", b"0"])


def test_text_while_attachments_are_missing() -> None:
    assert fault(f'51-["a",{HOLE}]', '2["b"]') == (Cause.TEXT_WHILE_RECONSTRUCTING, 0)
    assert fault(f'51-["a",{HOLE}]', "") == (Cause.TEXT_WHILE_RECONSTRUCTING, 0)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x84\xa4type\x02"])
def test_bytes_that_nothing_announced(data: bytes) -> None:
    assert fault(data) == (Cause.UNEXPECTED_BINARY, 0)


def test_the_msgpack_parser_is_guessed() -> None:
    with pytest.raises(DecodeError, match="msgpack"):
        Decoder().feed(b"\x84\xa4type\x02")


def test_attachments_are_bounded_together() -> None:
    decoder = Decoder(limits=Limits(max_attachment_bytes=4))
    for _ in range(2):  # the room is there again for the next packet
        assert decoder.feed(f'52-["a",{HOLE}]') is None
        assert decoder.feed(b"123") is None
        assert decoder.feed(b"4") == Packet(EVENT, ["a", b"123"])
    assert fault(f'52-["a",{HOLE}]', b"123", b"45", max_attachment_bytes=4) == (Cause.ATTACHMENTS_TOO_LARGE, 2)
    assert fault(f'52-["a",{HOLE}]', b"12345", max_attachment_bytes=4) == (Cause.ATTACHMENTS_TOO_LARGE, 1)


def test_their_number_can_be_changed() -> None:
    decoder = Decoder(limits=Limits(max_attachments=500))
    assert decoder.feed(f'5500-["a",{HOLE}]') is None
    assert decoder.pending == 500


def test_reset_forgets() -> None:
    decoder = Decoder()
    decoder.feed(f'51-["a",{HOLE}]')
    decoder.reset()
    assert decoder.pending == 0
    assert decoder.feed('2["b"]') == Packet(EVENT, ["b"])


def test_a_message_of_another_type_does_not_disturb() -> None:
    decoder = Decoder()
    decoder.feed(f'51-["a",{HOLE}]')
    wrong: Any = None
    with pytest.raises(LocalProtocolError):
        decoder.feed(wrong)
    assert decoder.feed(b"x") == Packet(EVENT, ["a", b"x"])


class Bytes(bytes):
    """A subclass, as some libraries hand out."""


def test_deep_data_is_restored_without_recursion() -> None:
    levels = 900
    decoder = Decoder(limits=Limits(max_depth=1000))
    decoder.feed('51-["a",' + "[" * levels + HOLE + "]" * levels + "]")
    packet = decoder.feed(Bytes(b"x"))
    assert packet is not None
    value = packet.data
    for index in (1, *[0] * levels):
        assert isinstance(value, list)
        value = value[index]
    assert value == b"x"
