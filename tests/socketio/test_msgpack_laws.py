"""Laws of the msgpack parser: what is encoded is decoded to the same, garbage gives our errors and no others, time and memory are linear."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio.grammar import MAX_ACK_ID, RESERVED_EVENTS
from engineio_lite.socketio.msgpack import MsgpackDecoder, encode_msgpack
from engineio_lite.socketio.packet import Decoder, Packet, PacketType, encode
from tests.linear import takes_linear_time

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = list(PacketType)[:5]

pack = msgspec.msgpack.encode


def attempt(error: type[E], work: Callable[[], T]) -> T | E:
    """What comes of it: the result, or the error of one kind; any other error fails the test."""
    try:
        return work()
    except error as caught:
        return caught


def decoded(message: str | bytes, **options: Any) -> Packet | DecodeError:
    return attempt(DecodeError, lambda: MsgpackDecoder(**options).feed(message))


def written(packet: Packet) -> bytes:
    [message] = encode_msgpack(packet)
    assert isinstance(message, bytes)
    return message


def seen(value: object) -> object:
    """A value such that comparing compares all of it: the type, the bits of a float, what an extension holds."""
    match value:
        case list() | tuple():
            return [seen(item) for item in value]
        case dict():
            return {key: seen(item) for key, item in value.items()}
        case float():
            return struct.pack(">d", value)
        case Ext():
            return ("Ext", value.code, bytes(value.data))
        case bytearray() | memoryview():
            return seen(bytes(value))
        case Packet():
            return (value.type, seen(value.data), value.namespace, value.id)
    return (type(value), value)


# --- there and back

texts = st.text(st.characters(exclude_categories=["Cs"]))
edges = {sign * 2**bits + n for bits in (5, 7, 8, 15, 16, 31, 32, 63) for sign in (1, -1) for n in (-1, 0)} - {-(2**63) - 1}
integers = st.integers(-(2**63), 2**64 - 1) | st.sampled_from(sorted(edges))
extensions = st.builds(Ext, st.integers(1, 127) | st.integers(-128, -2), st.binary(max_size=20))
portable = st.none() | st.booleans() | integers | st.floats() | texts
leaves = portable | st.binary(max_size=20) | extensions
sizes = st.sampled_from([15, 16, 31, 32, 255, 256])
leaves |= sizes.map(lambda n: "x" * n) | sizes.map(bytes) | st.builds(Ext, st.just(5), sizes.map(bytes))


def values(inner: st.SearchStrategy[Any], arrays: Callable[[st.SearchStrategy[Any]], st.SearchStrategy[Any]] = st.lists) -> st.SearchStrategy[Any]:
    return st.recursive(inner, lambda inner: arrays(inner) | st.dictionaries(texts, inner, max_size=20), max_leaves=12)


namespaces = st.just("/") | st.text(st.characters(exclude_categories=["Cs"], exclude_characters=",?")).map("/".__add__)
names = texts.filter(lambda name: name not in RESERVED_EVENTS) | integers | st.floats()
ids = st.integers(0, MAX_ACK_ID)


def packets(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Packet]:
    maps = st.dictionaries(texts, inner, max_size=4)
    events = st.builds(
        lambda name, rest, namespace, id: Packet(EVENT, [name, *rest], namespace, id), names, st.lists(inner), namespaces, st.none() | ids
    )
    return st.one_of(
        events,
        st.builds(Packet, st.just(ACK), st.lists(inner), namespaces, ids),
        st.builds(Packet, st.just(CONNECT), st.just(msgspec.UNSET) | maps, namespaces),
        st.builds(Packet, st.just(DISCONNECT), st.just(msgspec.UNSET), namespaces),
        st.builds(Packet, st.just(CONNECT_ERROR), texts | maps, namespaces),
    )


any_packets = packets(values(leaves))


@given(any_packets)
@example(Packet(EVENT, ["a", float("nan"), -0.0, [[]] * 70_000, {str(i): i for i in range(70_000)}, Ext(-128, b"")], id=0))
@example(Packet(ACK, [text * count for count in (2**8 - 1, 2**8, 2**16 - 1, 2**16) for text in ("x", b"x")], id=0))
@example(Packet(ACK, [Ext(1, b"x" * count) for count in (0, 1, 2, 3, 4, 5, 8, 16, 17, 2**8 - 1, 2**8, 2**16 - 1, 2**16)], id=0))
def test_a_packet_comes_back(packet: Packet) -> None:
    assert seen(decoded(written(packet))) == seen(packet)


@given(
    packets(
        values(
            leaves,
            lambda inner: st.lists(inner).map(tuple) | st.lists(inner) | st.binary().map(bytearray) | st.binary().map(lambda data: memoryview(data)),
        )
    )
)
def test_a_packet_comes_back_as_arrays_and_bytes(packet: Packet) -> None:
    assert seen(decoded(written(packet))) == seen(packet)


def fields_of(packet: Packet) -> dict[str, object]:
    """What stands on the wire, by the words of the peers."""
    fields = {"type": list(PacketType).index(packet.type), "data": packet.data, "nsp": packet.namespace, "id": packet.id}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET and (name != "id" or value is not None)}


@given(any_packets, st.permutations(["type", "data", "nsp", "id", "options"]))
def test_the_order_of_fields_and_unknown_ones_mean_nothing(packet: Packet, order: list[str]) -> None:
    fields = {**fields_of(packet), "options": {"compress": [True]}}
    assert seen(decoded(pack({name: fields[name] for name in order if name in fields}))) == seen(packet)
    assert pack(fields_of(packet)) == written(packet)  # for ours there is one order


def node_takes(message: bytes) -> bool:
    """The rules that the reference parser holds a packet against; python-socketio asks for nothing but `type` and `nsp`."""
    packet = msgspec.msgpack.decode(message)
    shapes: dict[int, tuple[type, ...]] = {0: (dict,), 1: (), 2: (list,), 3: (list,), 4: (dict, str)}
    data_is_right = packet["type"] in (0, 1) if "data" not in packet else isinstance(packet["data"], shapes[packet["type"]])
    return data_is_right and isinstance(packet["nsp"], str) and ("id" not in packet or type(packet["id"]) is int)


@given(any_packets)
def test_node_takes_what_we_write(packet: Packet) -> None:
    assert node_takes(written(packet))


@given(packets(values(portable.filter(lambda value: not isinstance(value, float) or value - value == 0))))
def test_both_parsers_say_the_same(packet: Packet) -> None:
    assume(packet.type is not EVENT or not isinstance(packet.data[0], float) or packet.data[0] - packet.data[0] == 0)  # type: ignore[index]
    [text] = encode(packet)
    assert seen(Decoder().feed(text)) == seen(decoded(written(packet)))


# --- garbage

small = (
    st.integers(-2, 7)
    | st.none()
    | st.booleans()
    | st.sampled_from(["", "/", "/x", "a", "connect", b"", b"/", 1.0, 2**63, MAX_ACK_ID, MAX_ACK_ID + 1])
)
odd = small | st.lists(small, max_size=3) | st.dictionaries(texts, small, max_size=3) | st.just(Ext(0, b"\0")) | extensions
field_maps = st.fixed_dictionaries({}, optional={"type": odd, "data": odd, "nsp": odd | st.just("/"), "id": odd})


@given(field_maps)
@example({"type": 2.0, "data": ["a"], "nsp": "/"})
@example({"type": True, "data": {}, "nsp": "/"})
def test_both_ways_of_reading_agree(fields: dict[str, object]) -> None:
    short, long = decoded(pack(fields)), decoded(pack({**fields, "": None}))  # one field more, and nothing is plain
    if isinstance(short, DecodeError):
        assert isinstance(long, DecodeError)
        assert (short.code, short.detail, short.offset) == (long.code, long.detail, long.offset)
    else:
        assert seen(short) == seen(long)
        # Without what we pass over, nil and unknown fields, Node takes it as well; but it does not let a DISCONNECT have data.
        assert short.type is DISCONNECT or node_takes(pack(fields_of(short)))


def holds_up(message: bytes, **options: Any) -> None:
    """Any message is a packet, which then can be sent again or is refused, or a `DecodeError` that says where."""
    outcome = decoded(message, **options)
    if isinstance(outcome, DecodeError):
        assert outcome.layer == "socketio-packet"
        assert 0 <= outcome.offset <= len(message)
        assert len(str(outcome)) < 2000
        return
    again = attempt(LocalProtocolError, lambda: written(outcome))
    if isinstance(again, LocalProtocolError):  # what only peers write: timestamps, and names and data that we do not send
        expected = {Cause.BAD_MESSAGE, Cause.BAD_NAMESPACE, Cause.UNEXPECTED_PAYLOAD, Cause.RESERVED_EVENT}
        assert again.cause in expected
    else:
        assert seen(decoded(again, **options)) == seen(outcome)


heads = st.sampled_from([bytes((head,)) for head in (*range(0x80, 0x94), *range(0xA0, 0xA4), *range(0xC0, 0xE0))])
pieces = st.binary(max_size=5) | heads | st.sampled_from([pack(word) for word in ("type", "data", "nsp", "id", "/", "a", 2)])
nearly = st.lists(pieces, max_size=12).map(b"".join)
data_of_an_event = nearly.map(lambda data: b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a" + data)


@given(
    st.binary() | nearly | nearly.map(b"\x83".__add__) | data_of_an_event, st.booleans(), st.sampled_from([1, 2, 100]), st.sampled_from([1, 19, 100])
)
def test_any_message_is_a_packet_or_a_decode_error(message: bytes, lenient: bool, depth: int, digits: int) -> None:
    holds_up(message)
    outcome = decoded(message, lenient=lenient, limits=Limits(max_depth=depth, max_integer_digits=digits))
    assert isinstance(outcome, Packet) or 0 <= outcome.offset <= len(message)


@given(st.text())
def test_no_text_is_a_packet(message: str) -> None:
    outcome = decoded(message)
    assert isinstance(outcome, DecodeError)
    assert (outcome.code, outcome.offset) == (Cause.UNEXPECTED_TEXT, 0)


@given(packets(values(leaves | st.just(Ext(0, b"\0")) | st.just(Ext(0, b"\0" * 8)))), st.data())
def test_a_part_is_no_packet(packet: Packet, data: st.DataObject) -> None:
    message = written(packet)
    end = data.draw(st.integers(1, len(message) - 1))
    outcome = decoded(message[:end])
    assert isinstance(outcome, DecodeError)
    assert (outcome.code, outcome.offset) == (Cause.BAD_MSGPACK, end)


@given(any_packets, st.binary(min_size=1))
def test_nothing_may_follow(packet: Packet, more: bytes) -> None:
    message = written(packet)
    outcome = decoded(message + more)
    assert isinstance(outcome, DecodeError)
    assert (outcome.code, outcome.offset) == (Cause.BAD_MSGPACK, len(message))


@given(packets(values(portable | st.binary(max_size=20) | extensions | st.just(Ext(0, b"\0")) | st.just(Ext(0, b"\0" * 8)))), st.data())
def test_a_damaged_message_is_another_packet_or_a_decode_error(packet: Packet, data: st.DataObject) -> None:
    message = bytearray(written(packet))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(message) - 1))
        message[start : start + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | heads)
        assume(message)
    holds_up(bytes(message))


@given(
    st.recursive(st.just(b"") | st.just(b"x"), lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner))
    | st.from_type(type).flatmap(st.from_type)
)
def test_anything_is_encoded_or_refused(value: Any) -> None:
    outcome = attempt(LocalProtocolError, lambda: written(Packet(EVENT, ["a", value])))
    if isinstance(outcome, LocalProtocolError):
        assert isinstance(outcome.cause, Cause)
    else:
        assert isinstance(decoded(outcome), Packet)


# --- bounds


def depth(value: object) -> int:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def digits(value: object) -> int:
    if isinstance(value, list | dict):
        return max(map(digits, value if isinstance(value, list) else value.values()), default=0)
    return len(str(abs(value))) if type(value) is int else 0


@given(st.lists(values(portable)), st.integers(1, 6), st.integers(1, 21), st.booleans())
def test_bounds_are_exact_in_both_directions(data: list[Any], max_depth: int, max_digits: int, plain: bool) -> None:
    limits = Limits(max_depth=max_depth, max_integer_digits=max_digits)
    packet = Packet(ACK, data if plain else (*data, Ext(5, b"")), id=0)
    within = [depth(data) <= max_depth, digits(data) <= max_digits]
    received = decoded(written(packet), limits=limits)
    sent = attempt(LocalProtocolError, lambda: encode_msgpack(packet, limits=limits))
    if all(within):
        assert seen(received) == seen(packet)
        assert sent == [written(packet)]
    else:
        faults = {code for code, fits in zip((Cause.TOO_DEEP, Cause.BAD_NUMBER), within, strict=True) if not fits}
        assert isinstance(received, DecodeError)
        assert received.code in faults
        assert isinstance(sent, LocalProtocolError)
        assert sent.cause in faults


# --- time and memory

EVENT_HEAD = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data"


def event(count: int, items: bytes, tail: bytes = b"") -> bytes:
    return EVENT_HEAD + b"\xdd" + (count + 1).to_bytes(4) + b"\xa1a" + items + tail


NASTY: dict[str, Callable[[int], bytes]] = {
    "arrays in arrays": lambda n: event(1, b"\x91" * n),
    "objects in objects": lambda n: event(1, b"\x81\xa0" * n),
    "long heads in each other": lambda n: event(1, b"\xdd\xff\xff\xff\xff" * n),
    "siblings": lambda n: event(n, b"\x90" * n),
    "siblings, one missing": lambda n: event(n, b"\x90" * (n - 1)),
    "siblings of 15 that have none": lambda n: event(n, b"\x9f" * n),
    "nil and something more": lambda n: event(n, b"\xc0" * n, b"\xc0"),
    "text": lambda n: event(n, b"\xa1x" * n, b"\xc1"),
    "long text that is none": lambda n: event(1, b"\xdb" + n.to_bytes(4) + b"x" * (n - 1) + b"\xff"),
    "text of text": lambda n: event(1, b"\xdb" + n.to_bytes(4) + b"\xa1" * n),
    "long bytes and a fault": lambda n: event(2, b"\xc6" + n.to_bytes(4) + b"\xdd" * n, b"\xc1"),
    "undefined": lambda n: event(n, b"\xd4\0\0" * n),
    "dates": lambda n: event(n, (b"\xd7\0" + b"\0" * 8) * n),
    "array buffers": lambda n: event(n, b"\xc7\1\0\0" * n),
    "a long array buffer": lambda n: event(1, b"\xc9" + n.to_bytes(4) + b"\0" * (n + 1)),
    "other extensions": lambda n: event(n, b"\xd4\5\0" * n),
    "keys": lambda n: event(1, b"\xdf" + n.to_bytes(4) + b"".join(b"\xce" + i.to_bytes(4) + b"\xc0" for i in range(n))),
    "keys of arrays": lambda n: event(1, b"\xdf" + n.to_bytes(4) + b"\x90\xc0" * n),
    "fields": lambda n: b"\xdf" + n.to_bytes(4) + b"".join(b"\xa4" + i.to_bytes(4) + b"\xc0" for i in range(n)),
    "a namespace": lambda n: b"\x82\xa4type\x00\xa3nsp\xdb" + n.to_bytes(4) + b"x" * n,
    "a name": lambda n: EVENT_HEAD + b"\x91\xdd" + n.to_bytes(4) + b"\x90" * n,
    "a name of bytes": lambda n: EVENT_HEAD + b"\x91\xc6" + n.to_bytes(4) + b"\xff" * n,
    "integers": lambda n: event(n, b"\xcf" + b"\xff" * 8 + b"\x00" * (n - 1), b"\xc1"),
    "no map": lambda n: b"\x91" * n,
    "nothing known": lambda n: b"\xc1" * n,
}


def _decode(message: bytes) -> None:
    with contextlib.suppress(DecodeError):
        MsgpackDecoder().feed(message)


SIZE = 30_000
"""Large enough for quadratic work to take seconds, and for linear work to be told from noise or to be over in no time."""


@pytest.mark.parametrize("name", NASTY)
def test_time_is_linear(name: str) -> None:
    assert takes_linear_time(_decode, NASTY[name](SIZE), NASTY[name](2 * SIZE), times=2)


BYTES_FOR_A_BYTE = 200
"""Memory for a byte of the message, at most. An empty object is one byte there, and 64 of its own, 16 for the collector and 8 for its place here."""


@pytest.mark.parametrize("name", [*NASTY, "objects"])
def test_memory_is_linear(name: str) -> None:
    message = event(SIZE, b"\x80" * SIZE, b"\xc1") if name == "objects" else NASTY[name](SIZE)
    decoder = MsgpackDecoder()
    tracemalloc.start()
    try:
        with contextlib.suppress(DecodeError):
            decoder.feed(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000 + BYTES_FOR_A_BYTE * len(message)
