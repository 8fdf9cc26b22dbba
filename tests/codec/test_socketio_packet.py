"""One Socket.IO packet: its grammar in both directions, and everything that is refused on the way in or out."""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio import Decoder, Packet, PacketType, encode
from engineio_lite.socketio.grammar import MAX_ACK_ID, RESERVED_EVENTS

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = list(PacketType)[:5]


def decode(text: str, **options: Any) -> Packet:
    packet = Decoder(**options).feed(text)
    assert packet is not None
    return packet


def fault(text: str, **options: Any) -> tuple[Cause, int]:
    decoder = Decoder(**options)
    with pytest.raises(DecodeError) as caught:
        decoder.feed(text)
    assert caught.value.layer == "socketio-packet"
    assert decoder.pending == 0
    return caught.value.code, caught.value.offset


def refusal(packet: Packet, **options: Any) -> Cause:
    with pytest.raises(LocalProtocolError) as caught:
        encode(packet, **options)
    return caught.value.cause


# (packet, its one text)
FORMS: list[tuple[Packet, str]] = [
    (Packet(CONNECT), "0"),
    (Packet(CONNECT, {"token": "123"}), '0{"token":"123"}'),
    (Packet(CONNECT, namespace="/admin"), "0/admin,"),
    (Packet(CONNECT, {"sid": "x"}, "/admin"), '0/admin,{"sid":"x"}'),
    (Packet(DISCONNECT), "1"),
    (Packet(DISCONNECT, namespace="/admin"), "1/admin,"),
    (Packet(EVENT, ["foo"]), '2["foo"]'),
    (Packet(EVENT, ["foo", None, True, 1.5, {"b": []}, -7]), '2["foo",null,true,1.5,{"b":[]},-7]'),
    (Packet(EVENT, ["foo"], id=0), '20["foo"]'),
    (Packet(EVENT, ["foo"], "/admin", 13), '2/admin,13["foo"]'),
    (Packet(EVENT, ["foo"], "/admin"), '2/admin,["foo"]'),
    (Packet(EVENT, ["foo"], "/a-1/5", MAX_ACK_ID), f'2/a-1/5,{MAX_ACK_ID}["foo"]'),
    (Packet(EVENT, [5, "x"]), '2[5,"x"]'),
    (Packet(EVENT, [1.5]), "2[1.5]"),
    (Packet(EVENT, ["a\x1eb"]), '2["a\\u001eb"]'),
    (Packet(EVENT, ["é€😀"]), '2["é€😀"]'),
    (Packet(EVENT, ["\ud800"]), '2["\\ud800"]'),
    (Packet(EVENT, ["é\ud800"], id=3), '23["\\u00e9\\ud800"]'),
    (Packet(EVENT, ["x", 2**64, -(2**200), 10**100 - 1]), f'2["x",{2**64},{-(2**200)},{10**100 - 1}]'),
    (Packet(EVENT, ["x", {"_placeholder": True, "num": 0}]), '2["x",{"_placeholder":true,"num":0}]'),
    (Packet(EVENT, ["", {"": ""}]), '2["",{"":""}]'),
    (Packet(ACK, [], id=1), "31[]"),
    (Packet(ACK, ["connect"], "/admin", 13), '3/admin,13["connect"]'),
    (Packet(CONNECT_ERROR, {"message": "no", "data": {"code": 1}}), '4{"message":"no","data":{"code":1}}'),
    (Packet(CONNECT_ERROR, "Unable to connect", "/nope"), '4/nope,"Unable to connect"'),
]


@pytest.mark.parametrize(("packet", "text"), FORMS, ids=[text[:40] for _, text in FORMS])
def test_forms(packet: Packet, text: str) -> None:
    assert encode(packet) == [text]
    assert decode(text) == packet


def test_a_packet_without_payload_has_no_data() -> None:
    assert decode("0").data is msgspec.UNSET


# --- accepted, though not written so by us


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0/admin", Packet(CONNECT, namespace="/admin")),
        ("1/", Packet(DISCONNECT)),
        ("0/,{}", Packet(CONNECT, {})),
        ('1{"message":"nope"}', Packet(DISCONNECT, {"message": "nope"})),
        ('2007["a"]', Packet(EVENT, ["a"], id=7)),
        ('2[ "a" , 1 ] ', Packet(EVENT, ["a", 1])),
        ('2/a?x=1,["a"]', Packet(EVENT, ["a"], "/a?x=1")),
        ('2["a","\\ud83d\\ude00\\/"]', Packet(EVENT, ["a", "😀/"])),
        ('2["a",{"k":1,"k":2}]', Packet(EVENT, ["a", {"k": 2}])),
        ('2["a",0.' + "1" * 200 + "]", Packet(EVENT, ["a", 1 / 9])),
        ('2["a",' + "1" * 200 + "e-199]", Packet(EVENT, ["a", 10 / 9])),
        ('2["a",1e-' + "0" * 200 + "1]", Packet(EVENT, ["a", 0.1])),
        ('2["a",1e+' + "0" * 200 + "1]", Packet(EVENT, ["a", 10.0])),
        ('2["a","' + "1" * 500 + '"]', Packet(EVENT, ["a", "1" * 500])),
        ('2["a","' + "[" * 500 + '"]', Packet(EVENT, ["a", "[" * 500])),
        ('2["a","\\\\\\"' + "[{1" * 300 + '\\"\\\\"]', Packet(EVENT, ["a", '\\"' + "[{1" * 300 + '"\\'])),
        ('2["a","' + "1" * 300 + '",{"' + "2" * 300 + '":3}]', Packet(EVENT, ["a", "1" * 300, {"2" * 300: 3}])),
    ],
)
def test_what_else_is_accepted(text: str, packet: Packet) -> None:
    assert decode(text) == packet


# --- faults

FAULTS: list[tuple[str, Cause, int]] = [
    ("", Cause.EMPTY_PACKET, 0),
    ("7", Cause.UNKNOWN_PACKET_TYPE, 0),
    ("٢[]", Cause.UNKNOWN_PACKET_TYPE, 0),
    ("5", Cause.BAD_ATTACHMENT_COUNT, 1),
    ("51", Cause.BAD_ATTACHMENT_COUNT, 1),
    ('5["a"]', Cause.BAD_ATTACHMENT_COUNT, 1),
    ('500-["a"]', Cause.BAD_ATTACHMENT_COUNT, 1),
    ('51.23-["a"]', Cause.BAD_ATTACHMENT_COUNT, 1),
    ("5²-[]", Cause.BAD_ATTACHMENT_COUNT, 1),
    ('511-["a"]', Cause.TOO_MANY_ATTACHMENTS, 1),
    ("5" + "9" * 5000 + '-["a"]', Cause.TOO_MANY_ATTACHMENTS, 1),
    ("012", Cause.UNEXPECTED_ACK_ID, 1),
    ("1/x,0", Cause.UNEXPECTED_ACK_ID, 4),
    ('42["foo"]', Cause.UNEXPECTED_ACK_ID, 1),
    (f'2{MAX_ACK_ID + 1}["a"]', Cause.ACK_ID_RANGE, 1),
    ("2" + "1" * 5000 + '["a"]', Cause.ACK_ID_RANGE, 1),
    ("3", Cause.MISSING_ACK_ID, 1),
    ('3/x,["a"]', Cause.MISSING_ACK_ID, 4),
    ('61-["a"]', Cause.MISSING_ACK_ID, 3),
    ("2", Cause.MISSING_PAYLOAD, 1),
    ("4/x", Cause.MISSING_PAYLOAD, 3),
    ("52-7", Cause.MISSING_PAYLOAD, 4),
    ("0[]", Cause.BAD_PAYLOAD, 1),
    ("0null", Cause.BAD_PAYLOAD, 1),
    ("1[]", Cause.BAD_PAYLOAD, 1),
    ("2{}", Cause.BAD_PAYLOAD, 1),
    ("2true", Cause.BAD_PAYLOAD, 1),
    ("4null", Cause.BAD_PAYLOAD, 1),
    ("4/x,[1]", Cause.BAD_PAYLOAD, 4),
    ("51-{}", Cause.BAD_PAYLOAD, 3),
    ("2[]", Cause.BAD_EVENT_NAME, 2),
    ("2[null]", Cause.BAD_EVENT_NAME, 2),
    ("2[true]", Cause.BAD_EVENT_NAME, 2),
    ('2[["a"]]', Cause.BAD_EVENT_NAME, 2),
    ("2/x,1[{}]", Cause.BAD_EVENT_NAME, 6),
    ('51-["connect"]', Cause.RESERVED_EVENT, 4),
    (' 2["a"]', Cause.UNKNOWN_PACKET_TYPE, 0),
    ('2 ["a"]', Cause.BAD_JSON, 1),
    ('2\t["a"]', Cause.BAD_JSON, 1),
    ('2[\t"a"', Cause.BAD_JSON, 6),
    ('2["a",]', Cause.BAD_JSON, 6),  # Python 3.13 points at the comma
    ('2["a",{"b":1 , }]', Cause.BAD_JSON, 15),
    ("2[,]", Cause.BAD_JSON, 2),
    ('2["a"]x', Cause.BAD_JSON, 6),
    ('2["a"', Cause.BAD_JSON, 5),
    ('2["a', Cause.BAD_JSON, 2),
    ("2[", Cause.BAD_JSON, 2),
    ('2["\n"]', Cause.BAD_JSON, 3),
    ('2["é€",x]', Cause.BAD_JSON, 7),  # code points
    ("2['a']", Cause.BAD_JSON, 2),
    ("2[01]", Cause.BAD_JSON, 3),
    ("2\ufeff[]", Cause.BAD_JSON, 1),
    ('2["a",NaN]', Cause.BAD_NUMBER, 1),
    ('2["a",-Infinity]', Cause.BAD_NUMBER, 1),
    ('2["a",1e999]', Cause.BAD_NUMBER, 1),
    ('2["a",-1e999]', Cause.BAD_NUMBER, 1),
    ('2["a",' + "9" * 400 + ".0]", Cause.BAD_NUMBER, 1),
    ('2["a",' + "1" * 101 + "]", Cause.BAD_NUMBER, 1),
    ('2["a",{"k":-' + "1" * 101 + "}]", Cause.BAD_NUMBER, 1),
    ('2/x,7["a",' + "1" * 100_000 + "]", Cause.BAD_NUMBER, 5),
    ('2["a",' + "[" * 100 + "]" * 100 + "]", Cause.TOO_DEEP, 1),
    ('2["a",' + '{"k":' * 100 + "1" + "}" * 100 + "]", Cause.TOO_DEEP, 1),
    ('2["a","' + "é" * 500 + '",' + "[" * 100 + "]" * 100 + "]", Cause.TOO_DEEP, 1),
    ('2["a",' + "[" * 200_000, Cause.TOO_DEEP, 1),
    ('2["a",' + '[{"' * 200_000, Cause.TOO_DEEP, 1),  # malformed as well, but that is for a parser to see, and none looks
    ('2["a",' + '[{"' * 50, Cause.BAD_JSON, 12),
    ('0{"a":' + "[" * 100 + "]" * 100 + "}", Cause.TOO_DEEP, 1),
]


@pytest.mark.parametrize(("text", "code", "offset"), FAULTS, ids=[text[:30] for text, *_ in FAULTS])
def test_faults(text: str, code: Cause, offset: int) -> None:
    assert fault(text) == (code, offset)


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_reserved_names(name: str) -> None:
    assert fault(f'2["{name}"]') == (Cause.RESERVED_EVENT, 2)
    assert decode(f'2["{name}"]', lenient=True) == Packet(EVENT, [name])
    assert decode(f'37["{name}"]') == Packet(ACK, [name], id=7)
    assert refusal(Packet(EVENT, [name])) is Cause.RESERVED_EVENT
    assert fault("2[]", lenient=True) == (Cause.BAD_EVENT_NAME, 2)


@pytest.mark.parametrize("name", ["error", "message", "Connect", "connect "])
def test_free_names(name: str) -> None:
    packet = Packet(EVENT, [name])
    assert decode(str(encode(packet)[0])) == packet


def test_other_types_of_message_are_refused() -> None:
    anything: Any = 5
    with pytest.raises(LocalProtocolError, match="str or bytes") as caught:
        Decoder().feed(anything)
    assert caught.value.cause is Cause.BAD_MESSAGE


# --- bounds


@pytest.mark.parametrize("depth", [1, 2, 50, 100, 300])
@pytest.mark.parametrize("brackets", ["[]", '{"k":}'])
def test_depth_is_exact(depth: int, brackets: str) -> None:
    limits = Limits(max_depth=depth)
    opening, closing = brackets[:-1], brackets[-1]
    for head in ("2", "2/x,"):
        # The array of the arguments is the first level.
        within = f'{head}["a"' + f",{opening * (depth - 1)}0{closing * (depth - 1)}" * (depth > 1) + "]"
        beyond = f'{head}["a",{opening * depth}0{closing * depth}]'
        packet = decode(within, limits=limits)
        assert encode(packet, limits=limits) == [within]
        assert fault(beyond, limits=limits) == (Cause.TOO_DEEP, len(head))
        assert refusal(decode(beyond, limits=Limits(max_depth=301)), limits=limits) is Cause.TOO_DEEP


@pytest.mark.parametrize("digits", [1, 2, 19, 20, 100, 1000])
def test_integers_are_bounded_exactly(digits: int) -> None:
    limits = Limits(max_integer_digits=digits)
    for pad in ("", "x" * 33, "x" * 250):
        within, beyond = f'2["{pad}",-{"1" * digits}]', f'2["{pad}",{"1" * (digits + 1)}]'
        assert encode(decode(within, limits=limits), limits=limits) == [within]
        assert fault(beyond, limits=limits) == (Cause.BAD_NUMBER, 1)


def test_an_integer_beyond_what_is_converted_is_a_fault_whatever_the_limit() -> None:
    limits = Limits(max_integer_digits=10_000)
    assert fault('2["a",' + "1" * 9999 + "]", limits=limits) == (Cause.BAD_NUMBER, 1)
    assert refusal(Packet(EVENT, ["a", 10**5000]), limits=limits) is Cause.BAD_NUMBER


def test_nesting_beyond_the_stack_is_a_fault_whatever_the_limit() -> None:
    limits = Limits(max_depth=1_000_000)
    assert fault('2["a",' + "[" * 100_000 + "]" * 100_000 + "]", limits=limits) == (Cause.TOO_DEEP, 1)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert refusal(Packet(EVENT, ["a", deep]), limits=limits) is Cause.TOO_DEEP
    while deep:  # taken apart by hand, since freeing it would recurse as well
        deep = deep.pop()  # type: ignore[assignment]


def test_a_list_in_itself_is_too_deep() -> None:
    loop: list[object] = ["a"]
    loop.append(loop)
    assert refusal(Packet(EVENT, loop)) is Cause.TOO_DEEP


# --- what cannot be encoded

_WRONG: Any = None


class Name(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


REFUSALS: list[tuple[Packet, Cause]] = [
    (Packet(_WRONG), Cause.BAD_MESSAGE),
    (Packet(PacketType.BINARY_EVENT, ["a"]), Cause.BAD_MESSAGE),
    (Packet(PacketType.BINARY_ACK, [], id=1), Cause.BAD_MESSAGE),
    (Packet(EVENT), Cause.MISSING_PAYLOAD),
    (Packet(ACK, id=1), Cause.MISSING_PAYLOAD),
    (Packet(CONNECT_ERROR), Cause.MISSING_PAYLOAD),
    (Packet(DISCONNECT, {}), Cause.UNEXPECTED_PAYLOAD),
    (Packet(CONNECT, []), Cause.BAD_PAYLOAD),
    (Packet(CONNECT, None), Cause.BAD_PAYLOAD),
    (Packet(CONNECT_ERROR, ["no"]), Cause.BAD_PAYLOAD),
    (Packet(EVENT, "a"), Cause.BAD_PAYLOAD),
    (Packet(EVENT, {"a": 1}), Cause.BAD_PAYLOAD),
    (Packet(ACK, None, id=1), Cause.BAD_PAYLOAD),
    (Packet(EVENT, []), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, ()), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [None]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [True]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [b"a"]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [float("nan")]), Cause.BAD_NUMBER),
    (Packet(ACK, []), Cause.MISSING_ACK_ID),
    (Packet(CONNECT, id=1), Cause.UNEXPECTED_ACK_ID),
    (Packet(CONNECT_ERROR, "no", id=0), Cause.UNEXPECTED_ACK_ID),
    (Packet(EVENT, ["a"], id=True), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a"], id="1"), Cause.BAD_MESSAGE),  # type: ignore[arg-type]
    (Packet(EVENT, ["a"], id=-1), Cause.ACK_ID_RANGE),
    (Packet(EVENT, ["a"], id=MAX_ACK_ID + 1), Cause.ACK_ID_RANGE),
    (Packet(EVENT, ["a"], "admin"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], ""), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/a,b"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/a?b=1"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/\ud800"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], _WRONG), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a", float("nan")]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", {"k": [float("inf")]}]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", {"k": float("-inf")}]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", 10**100]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", {"k": -(10**5000)}]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", object()]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {1, 2}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", 1j]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {1: "x"}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", [{None: "x"}]]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {"k": {b"x": 1}}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", msgspec.UNSET]), Cause.BAD_MESSAGE),
    (Packet(CONNECT, {"k": object()}), Cause.BAD_MESSAGE),
]


@pytest.mark.parametrize(("packet", "cause"), REFUSALS, ids=[f"{i}-{cause}" for i, (_, cause) in enumerate(REFUSALS)])
def test_refusals(packet: Packet, cause: Cause) -> None:
    assert refusal(packet) is cause


def test_an_unhashable_type_is_refused_like_any_other() -> None:
    unhashable: Any = []
    assert refusal(Packet(unhashable)) is Cause.BAD_MESSAGE


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (("a", (1, 2)), '2["a",[1,2]]'),
        ([Name.A, Number.ONE], '2["a",1]'),
        ([Loud("a"), {Loud("k"): Loud("v")}], '2["a",{"k":"v"}]'),
        (["a", OrderedDict(x=OrderedDict())], '2["a",{"x":{}}]'),
    ],
)
def test_subclasses_are_sent_as_what_they_hold(data: object, text: str) -> None:
    assert encode(Packet(EVENT, data)) == [text]


def test_a_type_may_be_given_by_its_name() -> None:
    named: Any = "EVENT"
    assert encode(Packet(named, ["a"])) == ['2["a"]']
    assert refusal(Packet(named, ["connect"])) is Cause.RESERVED_EVENT


def test_integers_beyond_a_small_limit_are_refused_both_ways() -> None:
    few = Limits(max_integer_digits=3)
    assert encode(Packet(PacketType.EVENT, ["a", 999]), limits=few) == ['2["a",999]']
    with pytest.raises(LocalProtocolError) as caught:
        encode(Packet(PacketType.EVENT, ["a", 1000]), limits=few)
    assert caught.value.cause is Cause.BAD_NUMBER


def test_a_memoryview_that_was_released_is_refused() -> None:
    view = memoryview(b"x")
    view.release()
    with pytest.raises(LocalProtocolError) as caught:
        encode(Packet(PacketType.EVENT, ["a", view]))
    assert caught.value.cause is Cause.BAD_MESSAGE
