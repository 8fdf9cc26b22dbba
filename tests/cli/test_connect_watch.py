"""The wire as `engineio-lite connect` sees it: conversations with a connection that is recorded by a `Watcher`, without any network."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_lite import EngineIOConnection
from engineio_lite.capture import RecordedConnection
from engineio_lite.capture.redaction import Secrets
from engineio_lite.cli._connect_notes import Ack, Event, Note, Packet, Sent, State
from engineio_lite.cli._connect_watch import MAX_REMEMBERED, Watcher
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.inputs import Connect, FrameReceived, ResponseReceived, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.socketio import DEFAULT, MSGPACK, Acknowledge, Emit, EventReceived, JoinNamespace, Parser, SocketIOConnection
from engineio_lite.socketio.packet import Packet as SocketPacket
from engineio_lite.socketio.packet import PacketType

OPEN = '0{"sid":"0123456789","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'


class World:
    """A watcher, and connections that it watches one after the other; time stands still but where a test says so."""

    def __init__(self, parser: Parser = DEFAULT) -> None:
        self.notes: list[Note] = []
        self.secrets = Secrets()
        self.watcher = Watcher(parser, self.secrets, 100.0, self.notes.append)
        self.parser = parser
        self.now = 100.0

    def connect(self, *transports: str, auth: dict[str, object] | None = None) -> None:
        engine = EngineIOConnection("http://h", transports=transports, default_path="/socket.io/")
        self.connection = SocketIOConnection(engine=RecordedConnection(engine, self.watcher), parser=self.parser)
        self.commands: dict[type, Any] = {}
        self.connection.process(JoinNamespace("/", auth), self.now)
        self.do(Connect())

    def do(self, input: Any, after: float = 0.0) -> None:
        self.now += after
        outputs = self.connection.process(input, self.now)
        while self.connection.deadline <= self.now:
            outputs += self.connection.process(TimePassed(), self.now)
        self.commands |= {type(output): output for output in outputs}

    def answer(self, kind: type[Poll] | type[Post], body: bytes, status: int = 200, after: float = 0.0) -> None:
        """The server answers the last request of that kind."""
        self.do(ResponseReceived(self.commands.pop(kind).request, status, (), body), after)

    def websocket(self, pid: str | None = None, **more: Any) -> None:
        """A connection by WebSocket on which "/" is granted; its notes are forgotten."""
        self.connect("websocket", **more)
        self.do(WebSocketOpened(1))
        self.do(FrameReceived(1, OPEN))
        self.do(FrameReceived(1, '40{"sid":"abcdefgh"%s}' % ("" if pid is None else f',"pid":"{pid}"')))
        self.notes.clear()

    def say(self, *messages: str | bytes) -> list[Note]:
        """The server sends frames; what was noted of them."""
        before = len(self.notes)
        for message in messages:
            self.do(FrameReceived(1, message))
        return self.notes[before:]


def test_a_conversation_by_polling() -> None:
    world = World()
    world.connect("polling", auth={"token": "letmein"})
    world.answer(Poll, OPEN.encode(), after=0.25)
    assert world.watcher.rtt == (0.25, "the handshake")
    world.answer(Post, b"ok", after=0.5)
    assert world.watcher.rtt == (0.5, "a POST")
    world.answer(Poll, b'40{"sid":"abcdefgh"}\x1e42["welcome",{"token":"letmein"}]\x1e2', after=1.0)
    about = {"transport": "polling", "sid": "0123…", "ping_interval": 25.0, "ping_timeout": 20.0}
    assert world.notes == [
        State(0.25, "open", about),
        State(1.75, "joined", {"namespace": "/", "sid": "abcd…", "recovered": False}),
        Event(1.75, EventReceived("/", "welcome", [{"token": "letmein"}])),
    ]
    assert world.watcher.came.pings == 1
    assert world.watcher.rtt == (0.5, "a POST")
    assert world.secrets.hide("letmein 0123456789 abcdefgh") == "<redacted> 0123… abcd…"


def test_acknowledgements_are_paired_with_what_they_answer() -> None:
    world = World()
    world.websocket()
    world.do(Emit("plain", (1,)))
    world.do(Emit("first", (), call=0))
    world.do(Emit("second", (2,), call=1), after=1.0)
    world.now += 0.5
    world.say('431["b"]', '430["a"]', '430["again"]', "437[]")
    assert world.notes == [
        Sent(0.0, "/", "plain", [1]),
        Sent(0.0, "/", "first", [], 0),
        Sent(1.0, "/", "second", [2], 1),
        Ack(1.5, "/", 1, ["b"], "second", 0.5),
        Ack(1.5, "/", 0, ["a"], "first", 1.5),
        Ack(1.5, "/", 0, ["again"]),
        Ack(1.5, "/", 7, []),
    ]
    assert world.watcher.rtt == (1.5, "an acknowledgement")
    assert (world.watcher.sent.events, world.watcher.came.acks, world.watcher.waiting) == (3, 4, 0)


def test_questions_are_remembered_until_they_are_answered() -> None:
    world = World()
    world.websocket()
    question = EventReceived("/", "question", [1], 5)
    assert world.say('425["question",1]') == [Event(0.0, question)]
    assert world.watcher.questions == {("/", 5): question}
    world.do(Acknowledge(5, ("yes",)))
    assert world.notes[-1] == Sent(0.0, "/", None, ["yes"], 5)
    assert world.watcher.questions == {}
    assert world.watcher.sent.acks == 1


def test_what_the_last_connection_owed_is_forgotten_with_it() -> None:
    world = World()
    world.websocket()
    world.do(Emit("x", (), call=0))
    world.say('425["question",1]', '451-["half",{"_placeholder":true,"num":0}]')
    world.websocket()
    assert (world.watcher.questions, world.watcher.waiting) == ({}, 0)
    [note] = world.say('42["whole"]')
    assert note == Event(0.0, EventReceived("/", "whole", []))


def test_a_recovered_session_and_its_offsets() -> None:
    world = World()
    world.websocket(pid="secretpid")
    assert world.say('42["a",1,"QzZz00-"]') == [Event(0.0, EventReceived("/", "a", [1]))]
    world.connect("websocket")
    world.do(WebSocketOpened(1))
    world.do(FrameReceived(1, OPEN))
    assert world.say('40{"sid":"abcdefgh","pid":"secretpid"}') == [State(0.0, "joined", {"namespace": "/", "sid": "abcd…", "recovered": True})]
    assert world.secrets.hide("secretpid") == "secr…"


def test_attachments_come_before_their_event_is_told() -> None:
    world = World()
    world.websocket()
    assert world.say('451-["a",{"_placeholder":true,"num":0}]') == []
    assert world.say(b"\x01\x02") == [Event(0.0, EventReceived("/", "a", [b"\x01\x02"]))]
    world.do(Emit("b", ([b"\x03"],)))
    assert world.notes[-1] == Sent(0.0, "/", "b", [[b"\x03"]])


def test_the_msgpack_parser() -> None:
    world = World(MSGPACK)
    world.connect("websocket", auth={"token": "letmein"})
    world.do(WebSocketOpened(1))
    world.do(FrameReceived(1, OPEN))
    world.watcher.raw = True
    for packet in (SocketPacket(PacketType.CONNECT, {"sid": "abcdefgh"}), SocketPacket(PacketType.EVENT, ["a", b"\x01", "letmein"])):
        [message] = MSGPACK.encode(packet, limits=DEFAULT_LIMITS)
        world.say(message)
    assert world.notes[-1] == Event(0.0, EventReceived("/", "a", [b"\x01", "letmein"]))
    packets = [note.packet for note in world.notes if isinstance(note, Packet)]
    assert all("bytes" in packet and len(packet) < 40 for packet in packets)


def test_a_message_that_is_none_ends_nothing_here() -> None:
    world = World()
    world.websocket()
    assert world.say('42["unfinished') == []
    assert world.connection.state == "closed"


# --- packets


def test_raw_shows_every_packet_without_what_connects() -> None:
    world = World()
    world.watcher.raw = True
    world.connect("polling", "websocket", auth={"token": "letmein", "n": 1})
    world.answer(Poll, OPEN.encode())
    world.answer(Post, b"ok")
    world.answer(Poll, b'40{"sid":"abcdefgh"}\x1e42["a"]')
    assert OpenWebSocket in world.commands
    world.do(WebSocketOpened(1), after=0.25)
    assert world.watcher.rtt == (0.25, "opening the WebSocket")
    world.do(FrameReceived(1, "3probe"), after=0.125)
    assert world.watcher.rtt == (0.125, "the probe")
    world.answer(Poll, b"6")
    world.do(FrameReceived(1, "2"))
    world.do(Emit("b", (b"\x00" * 20,)))
    world.do(Emit("b", (b"letmein",)))
    world.do(WebSocketClosed(1, 1001, "bye"))
    packets = [(note.up, note.carrier, note.packet) for note in world.notes if isinstance(note, Packet)]
    assert packets == [
        (False, "GET 1", "0{…}"),
        (True, "POST 2", "40{…}"),
        (False, "GET 3", "40{…}"),
        (False, "GET 3", '42["a"]'),
        (True, "WebSocket 1", "2probe"),
        (False, "WebSocket 1", "3probe"),
        (False, "GET 4", "6"),
        (True, "WebSocket 1", "5"),
        (False, "WebSocket 1", "2"),
        (True, "WebSocket 1", "3"),
        (True, "WebSocket 1", '451-["b",{"_placeholder":true,"num":0}]'),
        (True, "WebSocket 1", "20 bytes 0000000000000000…"),
        (True, "WebSocket 1", '451-["b",{"_placeholder":true,"num":0}]'),
        (True, "WebSocket 1", "7 bytes <redacted>"),
        (False, "WebSocket 1", "closed, code 1001 bye"),
    ]
    assert [note.state for note in world.notes if isinstance(note, State)] == ["open", "joined", "upgraded"]


@pytest.mark.parametrize("raw", [False, True])
def test_answers_that_are_no_packets(raw: bool) -> None:
    world = World()
    world.watcher.raw = raw
    world.connect("polling")
    world.answer(Poll, OPEN.encode())
    world.answer(Post, b"ok")
    world.notes.clear()
    world.answer(Poll, b'{"code":1,"message":"Session ID unknown"}', 400)
    packets = [note.packet for note in world.notes if isinstance(note, Packet)]
    assert packets == (["""HTTP 400 '{"code":1,"message":"Session ID unknown"}'"""] if raw else [])


def test_good_packets_before_a_bad_one_are_shown() -> None:
    world = World()
    world.watcher.raw = True
    world.connect("polling")
    world.answer(Poll, OPEN.encode())
    world.answer(Post, b"ok")
    world.notes.clear()
    world.answer(Poll, b'40{"sid":"abcdefgh"}\x1e42["a"]\x1e9')
    assert [note.packet for note in world.notes if isinstance(note, Packet) and not note.up][:2] == ["40{…}", '42["a"]']


def test_the_heartbeat_is_told_where_it_is_wanted() -> None:
    world = World()
    world.websocket()
    assert world.say("2") == []
    world.watcher.pings = True
    assert world.say("2") == [State(0.0, "ping", {}), State(0.0, "pong", {})]
    assert world.say('42["a"]') == [Event(0.0, EventReceived("/", "a", []))]
    assert world.watcher.came.pings == 2


def test_memory_is_bounded() -> None:
    world = World()
    world.websocket()
    world.say(*(f'42{i}["question"]' for i in range(MAX_REMEMBERED + 5)))
    assert len(world.watcher.questions) == MAX_REMEMBERED
    assert ("/", 4) not in world.watcher.questions
    assert world.watcher.records == ()
