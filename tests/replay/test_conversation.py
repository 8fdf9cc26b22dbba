"""A seat that speaks: the parser is the live client's, attachments come in pieces, and what cannot be read or written ends it."""

from __future__ import annotations

import pytest

from engineio_lite.capture.lines import Direction, Line
from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.replay.conversation import Conversation
from engineio_lite.replay.player import Player
from engineio_lite.replay.seat import Disconnect, Output
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.socketio.parsers import DEFAULT, MSGPACK
from tests.replay.tape import CONNECT, down, packet, tape, up

BINARY = (up('51-["b",{"_placeholder":true,"num":0}]', b"\x01"), down('51-["c",{"_placeholder":true,"num":0}]', b"\x02"))


def speak(*lines: Line) -> tuple[Player, Conversation]:
    player = Player(tape(*lines))
    conversation = Conversation(player.open(0.0))
    return player, conversation


def packed(packet: Packet) -> bytes:
    [message] = MSGPACK.encode(packet, limits=DEFAULT_LIMITS)
    assert isinstance(message, bytes)
    return message


def test_text_is_answered_with_text() -> None:
    _, conversation = speak(*CONNECT, *BINARY)
    assert conversation.start(0.0) == []
    assert conversation.message("0", 0.0) == ['0{"sid":"replay00000000000001"}']
    assert conversation.message('51-["b",{"_placeholder":true,"num":0}]', 0.0) == []
    assert conversation.message(b"\x01", 0.0) == ['51-["c",{"_placeholder":true,"num":0}]', b"\x02"]


def test_bytes_are_answered_with_msgpack() -> None:
    _, conversation = speak(*CONNECT, *BINARY)
    decoder = MSGPACK.decoder(limits=DEFAULT_LIMITS)
    [granted] = conversation.message(packed(packet("0")), 0.0)
    assert isinstance(granted, bytes)
    assert decoder.feed(granted) == Packet(PacketType.CONNECT, {"sid": "replay00000000000001"})
    [event] = conversation.message(packed(Packet(PacketType.EVENT, ["b", b"\x01"])), 0.0)
    assert isinstance(event, bytes)
    assert decoder.feed(event) == Packet(PacketType.EVENT, ["c", b"\x02"])


def test_before_the_client_has_spoken_the_recorded_parser_will_do() -> None:
    _, conversation = speak(down('2["early"]'), *CONNECT)
    assert conversation.start(0.0) == ['2["early"]']


def test_a_parser_can_be_given() -> None:
    player = Player(tape(*CONNECT))
    conversation = Conversation(player.open(0.0), parser=DEFAULT)
    assert isinstance(conversation.message(packed(packet("0")), 0.0)[0], Disconnect)


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        ("9", "what is no packet of the default parser: '9' (expected a packet type"),
        (b"\x00", "what is no packet of the msgpack parser: bytes 00 ("),
    ],
)
def test_garbage_is_a_mismatch(garbage: str | bytes, words: str) -> None:
    player, conversation = speak(*CONNECT)
    [end] = conversation.message(garbage, 0.0)
    assert isinstance(end, Disconnect)
    assert end.error is player.failure
    assert words in str(end.error)


def test_a_disconnect_with_its_reason_is_written_as_servers_write_it() -> None:
    lines = (up("0/a,"), down('0/a,{"sid":"s"}'), down('1/a,{"message":"no"}'))
    _, conversation = speak(*lines)
    assert conversation.message("0/a,", 0.0) == ['0/a,{"sid":"s"}', '1/a,{"message":"no"}']
    _, conversation = speak(*lines)
    last = conversation.message(packed(packet("0/a,")), 0.0)[-1]
    assert last == packed(Packet(PacketType.DISCONNECT, namespace="/a"))


def test_what_cannot_be_written_ends_it() -> None:
    player, conversation = speak(*CONNECT, down('2["connect"]'), down('2["never"]'))
    *sent, end = conversation.message("0", 0.0)
    assert sent == ['0{"sid":"replay00000000000001"}']
    assert isinstance(end, Disconnect)
    assert isinstance(end.error, LocalProtocolError)
    assert end.error.cause is Cause.RESERVED_EVENT
    assert player.report().failures == (end.error,)
    assert conversation.message('2["more"]', 0.0) == []


def test_time_and_the_end_pass_through() -> None:
    player, conversation = speak(*CONNECT)
    conversation.start(0.0)
    assert conversation.deadline == conversation.seat.deadline == 5.0
    [end] = conversation.wake(5.0)
    assert isinstance(end, Disconnect)
    conversation.left(5.0)
    assert player.seats[0].is_over


def test_who_watches_sees_every_packet_and_the_end() -> None:
    seen: list[tuple[Direction, Output]] = []
    player = Player(tape(*CONNECT))
    conversation = Conversation(player.open(0.0), watch=lambda direction, output: seen.append((direction, output)))
    conversation.message("0", 0.0)
    conversation.message('2["more"]', 0.0)
    granted = Packet(PacketType.CONNECT, {"sid": "replay00000000000001"})
    end = Disconnect(player.failure)
    assert seen == [(Direction.UP, packet("0")), (Direction.DOWN, granted), (Direction.UP, packet('2["more"]')), (Direction.DOWN, end)]
