"""The parsers by name: each writes what it reads, and both ends must have the same one."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.msgpack import MsgpackDecoder
from engineio_lite.socketio.packet import Decoder, Packet, PacketType
from engineio_lite.socketio.parsers import DEFAULT, MSGPACK, PARSERS, Parser, find_parser

LIMITS = Limits()
PACKETS = [
    Packet(PacketType.CONNECT),
    Packet(PacketType.CONNECT, {"token": "t"}, "/a"),
    Packet(PacketType.DISCONNECT, namespace="/a"),
    Packet(PacketType.EVENT, ["e", 1, {"two": [None, True, 2.5, "drei"]}]),
    Packet(PacketType.EVENT, ["e", b"\x00", {"deep": [b""]}], "/a", 12),
    Packet(PacketType.ACK, [b"\xff"], "/", 0),
    Packet(PacketType.CONNECT_ERROR, {"message": "no"}),
]


def test_there_are_two_and_they_are_found_by_name() -> None:
    assert list(PARSERS) == ["default", "msgpack"]
    assert (find_parser("default"), find_parser("msgpack")) == (DEFAULT, MSGPACK)
    assert [parser.name for parser in PARSERS.values()] == list(PARSERS)


def test_one_of_your_own_is_taken_as_it_is() -> None:
    own = Parser("own", DEFAULT.encode, DEFAULT.decoder)
    assert find_parser(own) is own
    assert SocketIOConnection("http://host", parser=own).namespace_state("/") == "disconnected"


@pytest.mark.parametrize("name", ["json", "", "Default", None, 7])
def test_a_name_that_is_none_is_refused_and_told_which_there_are(name: Any) -> None:
    for make in (
        find_parser,
        lambda name: SocketIOConnection("http://host", parser=name),
        lambda name: SocketIOLink(lambda: _nothing(), parser=name),
    ):
        with pytest.raises(LocalProtocolError, match="'default', 'msgpack'") as caught:
            make(name)
        assert caught.value.cause is Cause.BAD_OPTION


def _nothing() -> SocketIOConnection:
    raise NotImplementedError


@pytest.mark.parametrize("parser", PARSERS.values(), ids=lambda parser: parser.name)
@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.type)
def test_each_reads_what_it_writes(parser: Parser, packet: Packet) -> None:
    decoder = parser.decoder(limits=LIMITS)
    messages = parser.encode(packet, limits=LIMITS)
    seen = [decoder.feed(message) for message in messages]
    assert seen == [None] * (len(messages) - 1) + [packet]
    assert decoder.pending == 0


def test_a_packet_that_has_begun_can_be_forgotten() -> None:
    decoder = DEFAULT.decoder(limits=LIMITS)
    header, _ = DEFAULT.encode(Packet(PacketType.EVENT, ["e", b"x"]), limits=LIMITS)
    assert decoder.feed(header) is None
    assert decoder.pending == 1
    decoder.reset()
    assert decoder.pending == 0
    assert decoder.feed('2["next"]') == Packet(PacketType.EVENT, ["next"])
    other = MSGPACK.decoder(limits=LIMITS)
    other.reset()
    assert other.pending == 0


def test_the_one_does_not_read_what_the_other_writes() -> None:
    packet = Packet(PacketType.EVENT, ["e"])
    (text,) = DEFAULT.encode(packet, limits=LIMITS)
    (binary,) = MSGPACK.encode(packet, limits=LIMITS)
    for decoder, message, code in ((Decoder(), binary, Cause.UNEXPECTED_BINARY), (MsgpackDecoder(), text, Cause.UNEXPECTED_TEXT)):
        with pytest.raises(DecodeError) as caught:
            decoder.feed(message)
        assert caught.value.code is code
        assert caught.value.fix is not None
        assert "parser" in caught.value.fix


@pytest.mark.parametrize("parser", PARSERS.values(), ids=lambda parser: parser.name)
def test_each_refuses_what_cannot_be_sent(parser: Parser) -> None:
    for packet in (Packet(PacketType.EVENT, ["connect"]), Packet(PacketType.EVENT, [object()]), Packet(PacketType.CONNECT, namespace="a")):
        with pytest.raises(LocalProtocolError):
            parser.encode(packet, limits=LIMITS)
