"""Laws: what is encoded is decoded to the same, garbage gives our errors and no others, and nothing takes more time than its size is worth."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, HandshakeError, LocalProtocolError, PayloadTooLarge
from engineio_lite.handshake import Handshake, build_url, explain_response, normalize_url, redact_url
from engineio_lite.limits import Limits
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet, encode_packet_as_text
from engineio_lite.payload import decode_payload, encode_payload, packet_cost
from engineio_lite.socketio import Decoder, encode
from engineio_lite.socketio import Packet as SocketIOPacket
from engineio_lite.socketio import PacketType as SocketIOType
from engineio_lite.socketio.grammar import MAX_ACK_ID, RESERVED_EVENTS
from engineio_lite.state import Transport
from tests.linear import takes_linear_time

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def attempt(error: type[E], work: Callable[[], T]) -> T | E:
    """What comes of it: the result, or the error of one kind; any other error fails the test."""
    try:
        return work()
    except error as caught:
        return caught


# --- Engine.IO: there and back

texts = st.text(st.characters(exclude_categories=["Cs"]))
portable_texts = texts.map(lambda text: text.replace("\x1e", ""))


def packets(data: st.SearchStrategy[str]) -> st.SearchStrategy[Packet]:
    return st.builds(Packet, st.sampled_from(PacketType), data) | st.builds(Packet, st.just(PacketType.MESSAGE), st.binary())


@given(packets(texts))
def test_a_packet_comes_back(packet: Packet) -> None:
    assert decode_packet(encode_packet(packet)) == packet
    text = encode_packet_as_text(packet)
    assert decode_packet(text) == packet
    assert decode_packet(text, lenient=True) == packet


@given(st.binary())
def test_what_is_read_leniently_is_what_is_read_strictly_where_both_read(data: bytes) -> None:
    text = encode_packet_as_text(Packet(PacketType.MESSAGE, data))
    assert decode_packet(text.rstrip("="), lenient=True) == decode_packet(text)
    assert decode_packet(text.replace("+", "-").replace("/", "_"), lenient=True) == decode_packet(text)


@given(st.lists(packets(portable_texts), max_size=40), st.none() | st.integers(0, 200), st.integers(1, 20))
def test_chunks(waiting: list[Packet], max_payload: int | None, max_packets: int) -> None:
    rest = waiting
    sent: list[Packet] = []
    while rest:
        before = rest
        outcome = attempt(PayloadTooLarge, functools.partial(encode_payload, before, max_payload=max_payload, max_packets=max_packets))
        if isinstance(outcome, PayloadTooLarge):
            assert max_payload is not None
            assert packet_cost(before[0]) == outcome.size > outcome.limit == max_payload
            return
        body, rest = outcome
        chunk = decode_payload(body)
        sent += chunk
        assert chunk + rest == before  # nothing lost, doubled or reordered
        assert len(chunk) <= max_packets
        assert len(body) == sum(map(packet_cost, chunk)) + len(chunk) - 1
        assert max_payload is None or len(body) <= max_payload
        if rest and len(chunk) < max_packets:  # then it was for the bytes, and one more would not have fitted
            assert max_payload is not None
            assert len(body) + 1 + packet_cost(rest[0]) > max_payload
    assert sent == waiting


# --- Socket.IO: there and back

scalars = st.none() | st.booleans() | st.integers(-(10**100) + 1, 10**100 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
keys = st.text().filter("_placeholder".__ne__)


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)


namespaces = st.just("/") | st.text(st.characters(exclude_categories=["Cs"], exclude_characters=",?")).map("/".__add__)
names = st.text().filter(lambda name: name not in RESERVED_EVENTS) | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
ids = st.integers(0, MAX_ACK_ID)
plain_values, binary_values = values(scalars), values(scalars | st.binary(max_size=8))
events = st.builds(
    lambda name, arguments, namespace, id: SocketIOPacket(SocketIOType.EVENT, [name, *arguments], namespace, id),
    names, st.lists(binary_values, max_size=4), namespaces, st.none() | ids,
)  # fmt: skip
acks = st.builds(SocketIOPacket, st.just(SocketIOType.ACK), st.lists(binary_values, max_size=4), namespaces, ids)
others = st.one_of(
    st.builds(SocketIOPacket, st.just(SocketIOType.CONNECT), st.just(msgspec.UNSET) | st.dictionaries(keys, plain_values, max_size=4), namespaces),
    st.builds(SocketIOPacket, st.just(SocketIOType.DISCONNECT), st.just(msgspec.UNSET), namespaces),
    st.builds(SocketIOPacket, st.just(SocketIOType.CONNECT_ERROR), st.text() | st.dictionaries(keys, plain_values, max_size=4), namespaces),
)
ROOM = Limits(max_attachments=100)


@given(events | acks | others)
@example(SocketIOPacket(SocketIOType.EVENT, ["\ud800", {"\udfff": -0.0}, b"", 10**99]))
def test_a_socketio_packet_comes_back(packet: SocketIOPacket) -> None:
    messages = encode(packet, limits=ROOM)
    # JSON has one type of number to JavaScript but two forms to us, so the type of a number comes back as well.
    decoder = Decoder(limits=ROOM)
    answers = [decoder.feed(message) for message in messages]
    assert answers[:-1] == [None] * (len(messages) - 1)
    assert answers[-1] == packet
    assert repr(answers[-1]) == repr(packet)
    assert decoder.pending == 0


@given(st.lists(plain_values, max_size=4))
def test_another_parser_reads_the_same(data: list[Any]) -> None:
    [text] = encode(SocketIOPacket(SocketIOType.ACK, data, id=0))
    assert isinstance(text, str)
    assert text.encode().decode() == text  # whatever the data holds, the text has a UTF-8 form
    assert text.startswith("30[")
    assert json.loads(text[2:]) == data


# --- bounds

tricky = st.text(st.sampled_from('[]{}"\\\\1é,:'))
bounded_values = st.recursive(
    st.integers(-(10**12), 10**12) | tricky | st.sampled_from([None, 1.5, 1e300, 1e-300, 0.123456789012]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tricky, inner, max_size=4),
    max_leaves=20,
)


def depth(value: object) -> int:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def digits(value: object) -> int:
    if isinstance(value, list | dict):
        return max(map(digits, value if isinstance(value, list) else value.values()), default=0)
    return len(str(abs(value))) if isinstance(value, int) else 0


@given(st.lists(bounded_values, max_size=6), st.integers(1, 6), st.integers(1, 14), st.booleans())
def test_bounds_are_about_what_stands_outside_of_strings(data: list[Any], max_depth: int, max_digits: int, compact: bool) -> None:
    text = "30" + json.dumps(data, separators=(",", ":") if compact else None, ensure_ascii=compact)
    outcome = attempt(DecodeError, lambda: Decoder(limits=Limits(max_depth=max_depth, max_integer_digits=max_digits)).feed(text))
    if depth(data) > max_depth:
        assert isinstance(outcome, DecodeError)
        assert outcome.code is Cause.TOO_DEEP
    elif digits(data) > max_digits:
        assert isinstance(outcome, DecodeError)
        assert outcome.code is Cause.BAD_NUMBER
    else:
        assert outcome == SocketIOPacket(SocketIOType.ACK, data, id=0)


# --- garbage

nearly = st.text(st.sampled_from('0123456bx-/,"[]{}:_é\x1e\ud800 =A') | st.characters())


@given(st.text() | nearly | st.binary(), st.booleans())
def test_any_packet_is_a_packet_or_a_decode_error(data: str | bytes, lenient: bool) -> None:
    outcome = attempt(DecodeError, lambda: decode_packet(data, lenient=lenient))
    if isinstance(outcome, Packet):
        assert isinstance(outcome.type, PacketType)
    else:
        assert outcome.layer == "engineio-packet"
        assert 0 <= outcome.offset <= len(data)
        assert str(outcome)


@given(st.text() | nearly | st.binary() | nearly.map(lambda text: text.encode("utf-8", "surrogatepass")), st.booleans())
def test_any_body_is_packets_or_a_decode_error(body: str | bytes, lenient: bool) -> None:
    outcome = attempt(DecodeError, lambda: decode_payload(body, lenient=lenient))
    if isinstance(outcome, DecodeError):
        assert outcome.layer == "engineio-payload"
        assert 0 <= outcome.offset <= len(body)
        outcome = list(outcome.packets)
    # What is decoded, before a fault or without one, is what the body has there.
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    pieces = text.split("\x1e")[: len(outcome)]
    assert [decode_packet(piece, lenient=lenient) for piece in pieces] == outcome


@given(
    st.lists(st.text() | nearly | st.binary(max_size=4) | nearly.map(lambda t: f'51-["a",{{"_placeholder":true,"num":{t}}}]'), max_size=6),
    st.booleans(),
)
def test_any_messages_are_packets_or_decode_errors(messages: list[str | bytes], lenient: bool) -> None:
    decoder = Decoder(lenient=lenient)
    for message in messages:
        waiting = decoder.pending
        outcome = attempt(DecodeError, functools.partial(decoder.feed, message))
        if isinstance(outcome, DecodeError):
            assert outcome.layer == "socketio-packet"
            assert outcome.offset >= 0
            assert decoder.pending == 0
        else:
            assert decoder.pending == waiting - 1 or waiting == 0
            assert (outcome is None) == (decoder.pending > 0)
            assert outcome is None or outcome.type not in (SocketIOType.BINARY_EVENT, SocketIOType.BINARY_ACK)


@given(st.text() | nearly)
def test_what_is_decoded_can_be_encoded_again(text: str) -> None:
    packet = attempt(DecodeError, lambda: Decoder().feed("2/x,7" + text))
    if isinstance(packet, SocketIOPacket):
        assert Decoder().feed(encode(packet)[0]) == packet
    else:
        assert isinstance(packet, DecodeError)


@given(
    st.recursive(st.just(b"") | st.just(b"x"), lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner))
    | st.from_type(type).flatmap(st.from_type)
)
def test_anything_is_encoded_or_refused(value: Any) -> None:
    outcome = attempt(LocalProtocolError, lambda: encode(SocketIOPacket(SocketIOType.EVENT, ["a", value]), limits=ROOM))
    if isinstance(outcome, LocalProtocolError):
        assert isinstance(outcome.cause, Cause)
    else:
        assert len(outcome) == 1 or str(outcome[0]).startswith(f"5{len(outcome) - 1}-")


open_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
open_packets = st.dictionaries(st.sampled_from(["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload", "x"]), open_values)


@given(st.text() | nearly | open_packets.map(json.dumps))
@example('{"sid":"x","pingInterval":1,"pingTimeout":1,"upgrades":["websocket"],"maxPayload":0}')
def test_any_open_packet_is_a_handshake_or_a_handshake_error(data: str) -> None:
    outcome = attempt(HandshakeError, lambda: Handshake.parse(data))
    if isinstance(outcome, HandshakeError):
        assert outcome.cause in (Cause.BAD_HANDSHAKE, Cause.MISSING_SID)
    else:
        assert outcome.sid
        assert 0 <= outcome.ping_interval < float("inf")
        assert build_url("http://h/x/", Transport.POLLING, sid=outcome.sid).isascii()


headers = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "location", "Retry-After", "cf-mitigated", "Server"]) | st.text(), st.text() | st.just("http://[::1"))
)


@given(
    st.sampled_from(["handshake", "poll", "post", "upgrade", "websocket"]) | st.text(),
    st.text() | st.just("http://[::1") | st.text().map("http://h/?sid=".__add__),
    st.sampled_from([200, 302, 400, 403, 503]) | st.integers(),
    headers,
    st.binary() | nearly.map(lambda text: text.encode("utf-8", "replace")) | st.just(b"<html>") | st.just(b'{"code":1,"message":"x"}'),
)
def test_any_answer_is_explained(stage: str, url: str, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    error = explain_response(stage, url, status, headers, body)
    assert type(error) is HandshakeError
    assert str(error)
    assert len(error.message) < 1000


@given(st.text() | nearly.map("http://".__add__))
def test_any_url_is_normalized_or_refused(url: str) -> None:
    redact_url(url)
    outcome = attempt(LocalProtocolError, lambda: normalize_url(url, default_path="/engine.io/"))
    if isinstance(outcome, LocalProtocolError):
        assert outcome.cause is Cause.BAD_URL
    else:
        assert outcome.startswith(("http://", "https://"))
        assert normalize_url(outcome, default_path="/other/") == outcome
        assert build_url(outcome, Transport.WEBSOCKET, sid="s").startswith("ws")


# --- time


def feed(text: str) -> object:
    return Decoder().feed(text)


def _all(text: str) -> object:
    return Decoder(limits=Limits(max_attachments=10**6)).feed(text)


NASTY: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "brackets": (feed, lambda n: "2" + "[" * n),
    "brackets after a string": (feed, lambda n: '2["' + "x" * n + '",' + "[" * n),
    "brackets in a string": (feed, lambda n: '2["' + "[" * n + '"]'),
    "brackets in many strings": (feed, lambda n: "2[" + '"[",' * n + "1]"),
    "objects": (feed, lambda n: "2" + '{"":' * n),
    "siblings and brackets in strings": (feed, lambda n: '2["a",' + '{"]":"["},' * n + "1]"),
    "brackets that do not match": (feed, lambda n: '2["a",' + "[}" * n + "]" * n),
    "siblings": (feed, lambda n: '2["a",' + "{}," * n + "1]"),
    "digits": (feed, lambda n: '2["a",' + "1" * n + "]"),
    "digits in a string": (feed, lambda n: '2["' + "1" * n + '"]'),
    "runs of digits": (feed, lambda n: '2["a"' + ("," + "1" * 100) * (n // 100) + "]"),
    "a fraction": (feed, lambda n: '2["a",0.' + "1" * n + "]"),
    "an exponent": (feed, lambda n: '2["a",1e-' + "1" * n + "]"),
    "an id": (feed, lambda n: "2" + "1" * n + '["a"]'),
    "zeros before an id": (feed, lambda n: "2" + "0" * n + '1["a"]'),
    "a count": (feed, lambda n: "5" + "1" * n + '-["a"]'),
    "zeros before a count": (feed, lambda n: "5" + "0" * n + '1-["a"]'),
    "a namespace": (feed, lambda n: "2/" + "x" * n + ',["a"]'),
    "a namespace without end": (feed, lambda n: "0/" + "[" * n),
    "escaped quotes": (feed, lambda n: '2["' + '\\"' * n + '"]'),
    "escaped quotes and brackets": (feed, lambda n: '2["' + '\\"[' * n + '"]'),
    "escaped quotes without end": (feed, lambda n: '2["' + '\\"' * n + "[" * n),
    "backslashes": (feed, lambda n: '2["' + "\\\\" * n + '"]'),
    "lone surrogates": (feed, lambda n: '2["' + "\\ud800" * n + '"]'),
    "blanks": (feed, lambda n: '2["a"' + " " * n + "x"),
    "placeholders": (_all, lambda n: f"5{n}-[1" + ',{"_placeholder":true}' * (n // 8) + "]"),
    "separators": (decode_payload, lambda n: "4a" + "\x1e" * n),
    "noops": (decode_payload, lambda n: "6\x1e" * (n // 4) + "6"),
    "base64": (decode_packet, lambda n: "b" + "A" * n + "!"),
    "padding": (decode_packet, lambda n: "b" + "=" * n),
    "sloppy base64": (lambda text: decode_packet(text, lenient=True), lambda n: "b" + "A-_ " * n),
    "sloppy padding": (lambda text: decode_packet(text, lenient=True), lambda n: "bAA" + "=" * n + "A"),
    "an open packet": (Handshake.parse, lambda n: '{"sid":' + "[" * n),
    "a page": (lambda text: explain_response("handshake", "http://h/?sid=<<<<<<<<", 200, [], text.encode()), lambda n: "<" * n),
    "an origin": (lambda text: explain_response("handshake", "http://h/", 400, [], text.encode()), lambda n: "is not an " * n),
}


SIZE = 200_000
"""Large enough for quadratic work to take seconds, and for linear work to be told from noise or to be over in no time."""


@pytest.mark.parametrize("name", NASTY)
def test_time_is_linear(name: str) -> None:
    work, text = NASTY[name]

    def work_or_refuse(given: str) -> None:
        with contextlib.suppress(DecodeError, HandshakeError):
            work(given)

    assert takes_linear_time(work_or_refuse, text(SIZE), text(2 * SIZE), times=2)
