"""Packets become lines: decoded, attachments joined and in their place, nothing dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.lines import Direction, EnginePacket, Line, Note, SessionOpened, SocketIOPacket, Undecoded
from engineio_lite.capture.transcriber import Transcriber
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.packet import Packet, PacketType
from engineio_lite.payload import encode_payload
from engineio_lite.socketio import MSGPACK, encode
from engineio_lite.socketio import Packet as SocketIO
from engineio_lite.socketio import PacketType as SocketIOType
from engineio_lite.state import Transport

UP, DOWN = Direction.UP, Direction.DOWN
HEADER = '451-["file",{"_placeholder":true,"num":0}]'


def said(lines: list[Line]) -> list[object]:
    """What lines say, in short."""
    shown: list[object] = []
    for line in lines:
        match line:
            case SocketIOPacket():
                shown.append((line.direction.value, line.data))
            case EnginePacket():
                shown.append((line.direction.value, line.type.value, line.data))
            case Undecoded():
                shown.append((line.direction.value, line.error, line.data))
            case SessionOpened():
                shown.append((line.sid, line.transport.value))
            case Note():
                shown.append(line.text)
    return shown


def test_the_open_packet_opens_the_session() -> None:
    transcriber = Transcriber(3, url="http://host/socket.io/", again=1)
    [line] = transcriber.body(0.5, DOWN, '0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000}')
    assert line == SessionOpened(
        session=3,
        time=0.5,
        url="http://host/socket.io/",
        transport=Transport.POLLING,
        sid="abc",
        handshake={"upgrades": ["websocket"], "pingInterval": 25000},
        again=1,
    )


def test_the_url_may_be_known_only_with_the_open_packet() -> None:
    [line] = Transcriber(1).opened(None, Transport.WEBSOCKET, "ws://host/", Packet(PacketType.OPEN, '{"sid":"abc"}'))
    assert isinstance(line, SessionOpened)
    assert (line.url, line.transport) == ("ws://host/", Transport.WEBSOCKET)


@pytest.mark.parametrize(("data", "error"), [("0{", "bad-json"), ("0[]", "missing-sid"), ('0{"sid":5}', "missing-sid")])
def test_an_open_packet_that_cannot_be_read_is_kept_as_it_came(data: str, error: str) -> None:
    assert said(Transcriber(1).frame(0, DOWN, data)) == [("down", error, data)]


def test_what_only_a_client_would_misread_as_opening_is_an_engine_packet() -> None:
    assert said(Transcriber(1).frame(0, UP, '0{"sid":"abc"}')) == [("up", "open", '{"sid":"abc"}')]


def test_each_packet_of_a_body_is_read_by_itself() -> None:
    lines = Transcriber(1).body(0, UP, b'2\x1ezz\x1e42["a"]\x1e' + b"4\xff" + b"\x1e3")
    assert said(lines) == [("up", "ping", ""), ("up", "unknown-packet-type", "zz"), ("up", ["a"]), ("up", "bad-utf8", b"4\xff"), ("up", "pong", "")]


def test_an_empty_body_says_nothing() -> None:
    assert Transcriber(1).body(0, UP, b"") == Transcriber(1).body(0, UP, "") == []


def test_attachments_come_to_their_packet_and_others_wait() -> None:
    transcriber = Transcriber(1)
    assert transcriber.body(1, DOWN, HEADER) == []
    assert transcriber.body(2, UP, '42["between"]') == []
    assert transcriber.other(Note(session=1, what="gap", text="a gap")) == []
    lines = transcriber.body(3, DOWN, 'bAQI=\x1e42["after"]')
    assert said(lines) == [("down", ["file", b"\1\2"]), ("up", ["between"]), "a gap", ("down", ["after"])]
    assert isinstance(lines[0], SocketIOPacket)
    assert (lines[0].time, lines[0].transport) == (1, Transport.POLLING)


def test_both_directions_may_have_one_unfinished() -> None:
    transcriber = Transcriber(1)
    assert transcriber.frame(0, DOWN, HEADER) + transcriber.frame(0, UP, HEADER) + transcriber.frame(0, UP, b"up") == []
    assert said(transcriber.frame(0, DOWN, b"down")) == [("down", ["file", b"down"]), ("up", ["file", b"up"])]


def test_an_attachment_may_come_over_the_other_transport() -> None:
    transcriber = Transcriber(1)
    transcriber.body(0, DOWN, HEADER)
    [line] = transcriber.frame(1, DOWN, b"\1")
    assert isinstance(line, SocketIOPacket)
    assert (line.transport, line.data) == (Transport.POLLING, ["file", b"\1"])


def test_a_packet_that_is_cut_short_by_the_next_is_kept_in_pieces() -> None:
    transcriber = Transcriber(1)
    transcriber.frame(0, DOWN, HEADER.replace("1-", "2-", 1).replace("]", ',{"_placeholder":true,"num":1}]'))
    transcriber.frame(0, DOWN, b"first")
    lines = transcriber.frame(0, DOWN, '42["next"]')
    assert [type(line) for line in lines] == [Undecoded, Undecoded, SocketIOPacket]
    assert [line.error for line in lines if isinstance(line, Undecoded)] == ["incomplete", "incomplete"]
    assert said(transcriber.frame(0, DOWN, '42["more"]')) == [("down", ["more"])]


def test_an_attachment_that_does_not_fit_says_why() -> None:
    transcriber = Transcriber(1)
    transcriber.frame(0, DOWN, '451-["file",{"_placeholder":true,"num":7}]')
    lines = transcriber.frame(0, DOWN, b"x")
    assert said(lines) == [("down", "bad-placeholder", '451-["file",{"_placeholder":true,"num":7}]'), ("down", "bad-placeholder", b"x")]


def test_the_end_gives_what_was_held() -> None:
    transcriber = Transcriber(1)
    transcriber.frame(0, UP, HEADER)
    transcriber.frame(0, DOWN, '42["later"]')
    assert said(transcriber.finish()) == [("up", "incomplete", HEADER), ("down", ["later"])]
    assert transcriber.finish() == []


def test_no_more_is_held_than_the_bound() -> None:
    transcriber = Transcriber(1, max_held=3)
    transcriber.frame(0, UP, HEADER)
    held = [transcriber.frame(0, DOWN, '42["x"]') for _ in range(2)]
    assert held == [[], []]
    assert said(transcriber.frame(0, DOWN, '42["y"]'))[0] == ("up", "incomplete", HEADER)
    assert said(transcriber.frame(0, UP, b"late")) == [("up", "unexpected-binary", b"late")]


def test_the_msgpack_parser_is_recognised() -> None:
    [message] = MSGPACK.encode(SocketIO(SocketIOType.EVENT, ["hi", b"\0"], id=3), limits=DEFAULT_LIMITS)
    [line] = Transcriber(1).frame(0, UP, message)
    assert isinstance(line, SocketIOPacket)
    assert (line.parser, line.data, line.id) == ("msgpack", ["hi", b"\0"], 3)


def test_messages_that_are_no_socketio_are_kept() -> None:
    transcriber = Transcriber(1)
    assert said(transcriber.frame(0, UP, "4hello")) == [("up", "unknown-packet-type", "4hello")]
    assert said(transcriber.frame(0, UP, b"\1")) == [("up", "unexpected-binary", b"\1")]
    assert said(transcriber.frame(0, UP, "")) == [("up", "empty-packet", "")]


_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.binary(max_size=4), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
_events = st.lists(st.tuples(st.sampled_from(Direction), st.lists(_values, max_size=2), st.booleans()), max_size=12)


@given(_events)
def test_events_come_out_as_they_went_in_whatever_the_transport_does(events: list[tuple[Direction, list[object], bool]]) -> None:
    transcriber = Transcriber(1)
    lines: list[Line] = []
    for direction, args, by_polling in events:
        for message in encode(SocketIO(SocketIOType.EVENT, ["e", *args])):
            packet = Packet(PacketType.MESSAGE, message)
            if by_polling:
                lines += transcriber.body(0, direction, encode_payload([packet])[0])
            else:
                lines += transcriber.packet(0, direction, Transport.WEBSOCKET, packet)
    assert said(lines) == [(direction.value, ["e", *args]) for direction, args, _ in events]


@given(st.lists(st.tuples(st.sampled_from(Direction), st.binary(max_size=20) | st.text(max_size=20)), max_size=20))
def test_whatever_comes_nothing_is_lost_and_nothing_raises(pieces: list[tuple[Direction, str | bytes]]) -> None:
    transcriber = Transcriber(1, max_held=5)
    lines = [line for direction, data in pieces for line in transcriber.frame(0, direction, data)]
    assert len(lines) + len(transcriber.finish()) == len(pieces)
