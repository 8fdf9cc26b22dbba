"""The packets that follow from the wire: the same conversation, whoever recorded it and however it travelled."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from engineio_lite.capture.derive import Deriver, derive
from engineio_lite.capture.lines import (
    Direction,
    Door,
    EnginePacket,
    Head,
    HttpAnswer,
    Line,
    Note,
    Passage,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.capture.passages import make_passage
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, RemoteProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport
from tests.capture.wires import play
from tests.core.script import NO_UPGRADE, OPEN, SID, answer, arrives, ok
from tests.socketio.world import ROUGH_STEPS, TRANSPORTS, Step, World

UP, DOWN = Direction.UP, Direction.DOWN
POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET
URL = "http://127.0.0.1:3000/engine.io/"
DOOR = Door(session=1, url="http://127.0.0.1:3000", transports=("polling", "websocket"))
HANDSHAKE = {"upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}


def lines(*steps: Input | float, transports: tuple[str, ...] = ("polling", "websocket")) -> list[Line]:
    door = msgspec.structs.replace(DOOR, transports=transports)
    return list(derive([door, *(make_passage(record, 1) for record in play(door, *steps))]))


def opened(transport: Transport, *, time: float = 0.0, session: int = 1, upgrades: bool = False, again: int | None = None) -> SessionOpened:
    handshake = {**HANDSHAKE, "upgrades": ["websocket"] if upgrades else []}
    return SessionOpened(session=session, time=time, url=URL, transport=transport, sid=SID, handshake=handshake, again=again)


def event(direction: Direction, transport: Transport, *args: object, time: float = 0.0, **more: object) -> SocketIOPacket:
    return SocketIOPacket(session=1, time=time, direction=direction, transport=transport, type=PacketType.EVENT, data=list(args), **more)  # type: ignore[arg-type]


def engine(direction: Direction, transport: Transport, kind: EngineType, data: str = "", *, time: float = 0.0) -> EnginePacket:
    return EnginePacket(session=1, time=time, direction=direction, transport=transport, type=kind, data=data)


def ended(by: str, reason: str, *, time: float = 0.0, code: int | None = None) -> SessionEnded:
    return SessionEnded(session=1, time=time, by=by, reason=reason, code=code)


# --- Conversations.


def test_a_session_that_is_upgraded() -> None:
    assert lines(
        Connect(),
        0.25,
        answer(1, OPEN),
        SendMessages(('2["one"]',)),
        0.5,
        TimePassed(),
        ok(2),
        answer(3, '42["two"]', "2"),
        WebSocketOpened(1),
        arrives("3probe"),
        ok(4),
        answer(5, "6"),
        arrives('42["three"]'),
        SendMessages(('51-["four",{"_placeholder":true,"num":0}]', b"\x01")),
        Close(),
    ) == [
        opened(POLLING, time=0.25, upgrades=True),
        event(UP, POLLING, "one", time=0.25),
        event(DOWN, POLLING, "two", time=0.75),
        engine(DOWN, POLLING, EngineType.PING, time=0.75),
        engine(UP, POLLING, EngineType.PONG, time=0.75),
        SocketChanged(session=1, time=0.75, change="open"),
        engine(UP, WEBSOCKET, EngineType.PING, "probe", time=0.75),
        engine(DOWN, WEBSOCKET, EngineType.PONG, "probe", time=0.75),
        engine(DOWN, POLLING, EngineType.NOOP, time=0.75),
        engine(UP, WEBSOCKET, EngineType.UPGRADE, time=0.75),
        event(DOWN, WEBSOCKET, "three", time=0.75),
        event(UP, WEBSOCKET, "four", b"\x01", time=0.75),
        engine(UP, WEBSOCKET, EngineType.CLOSE, time=0.75),
        SocketChanged(session=1, time=0.75, change="closed", by=UP),
        ended("client", "client close", time=0.75),
    ]


def test_a_session_that_begins_on_its_websocket() -> None:
    started = lines(Connect(), 0.5, WebSocketOpened(1), 0.25, arrives(NO_UPGRADE), arrives("2"), transports=("websocket",))
    assert started == [
        opened(WEBSOCKET, time=0.75),
        SocketChanged(session=1, time=0.75, change="open"),
        engine(DOWN, WEBSOCKET, EngineType.PING, time=0.75),
        engine(UP, WEBSOCKET, EngineType.PONG, time=0.75),
    ]


def test_packets_behind_the_open_packet_in_its_body_and_what_cannot_be_read() -> None:
    assert lines(Connect(), answer(1, NO_UPGRADE, '42["first"]', "4no packet"), transports=("polling",)) == [
        opened(POLLING),
        event(DOWN, POLLING, "first"),
        Undecoded(session=1, time=0.0, direction=DOWN, transport=POLLING, data="4no packet", error="unknown-packet-type"),
    ]


def test_a_packet_whose_attachments_never_came_is_told_at_the_end() -> None:
    steps = (Connect(), WebSocketOpened(1), arrives(NO_UPGRADE), arrives('451-["e",{"_placeholder":true,"num":0}]'))
    raw = Undecoded(session=1, time=0.0, direction=DOWN, transport=WEBSOCKET, data='451-["e",{"_placeholder":true,"num":0}]', error="incomplete")
    assert lines(*steps, transports=("websocket",))[-1] == raw
    told = lines(*steps, WebSocketClosed(1, 1000), transports=("websocket",))[2:]
    closed = SocketChanged(session=1, time=0.0, change="closed", by=DOWN, code=1000)
    assert told == [raw, closed, ended("server", "transport close: websocket-closed", code=1000)]


# --- Refusals and failures.


def http(status: int, *, session: int = 0, method: str = "GET", transport: Transport = POLLING, body: str = "", content_type: str = "") -> HttpAnswer:
    return HttpAnswer(session=session, time=0.0, method=method, url=URL, transport=transport, status=status, body=body, content_type=content_type)


@pytest.mark.parametrize(
    ("happened", "told"),
    [
        (ResponseReceived(1, 400, (("Content-Type", "text/plain"),), b"no"), http(400, body="no", content_type="text/plain")),
        (ResponseReceived(1, 200, (), b"<html>\xff"), http(200, body="<html>\ufffd")),
        (ResponseReceived(1, 200, (), b"1"), http(200, body="1")),
        (ResponseReceived(1, 200, (), b""), http(200)),
        (RequestFailed(1, Cause.DNS_FAILED, "who?"), http(0, body="dns-failed: who?")),
    ],
)
def test_a_handshake_that_fails_belongs_to_no_session(happened: Input, told: Line) -> None:
    assert lines(Connect(), happened, transports=("polling",)) == [told]


def test_a_post_that_fails_belongs_to_its_session() -> None:
    steps = (Connect(), answer(1, NO_UPGRADE), SendMessages(('2["e"]',)))
    assert lines(*steps, ResponseReceived(2, 413, (), b""), transports=("polling",))[2:] == [
        http(413, session=1, method="POST"),
        ended("unknown", "transport error: payload-too-large"),
    ]
    assert lines(*steps, RequestFailed(2, Cause.CONNECTION_LOST, "gone"), transports=("polling",))[2:] == [
        http(0, session=1, method="POST", body="connection-lost: gone"),
        ended("unknown", "transport error: connection-lost"),
    ]


def test_a_websocket_that_is_refused_or_fails_or_says_something_else() -> None:
    only = ("websocket",)
    assert lines(Connect(), WebSocketRefused(1, 403, (), b"no"), transports=only) == [http(403, transport=WEBSOCKET, body="no")]
    failed = lines(Connect(), WebSocketFailed(1, Cause.TLS_FAILED, "bad"), transports=only)
    assert failed == [http(0, transport=WEBSOCKET, body="tls-failed: bad")]
    wrong = Note(session=0, time=0.0, what="not-engineio", text="the first frame was no open packet")
    assert lines(Connect(), WebSocketOpened(1), arrives("hello"), transports=only)[0] == wrong
    assert lines(Connect(), WebSocketOpened(1), arrives("2"), transports=only)[0] == wrong
    assert lines(Connect(), WebSocketOpened(1), arrives(b"\x00"), transports=only)[0] == wrong


@pytest.mark.parametrize(
    ("happened", "by", "code", "why"),
    [
        (WebSocketClosed(1, 1005), "server", 1005, "transport close: websocket-closed"),
        (WebSocketClosed(1, 1006), "unknown", 1006, "transport close: websocket-closed"),
        (WebSocketClosed(1, None, "bye"), "server", None, "transport close: websocket-closed"),
        (WebSocketFailed(1, Cause.CONNECTION_LOST, "gone"), "unknown", None, "transport error: connection-lost"),
        (FrameReceived(1, "1"), "server", None, "server close"),
        (FrameReceived(1, "9"), "client", None, "parse error: unknown-packet-type"),
        (Fail(RemoteProtocolError("no", cause=Cause.BAD_JSON)), "client", None, "parse error: bad-json"),
        (Close(), "client", None, "client close"),
    ],
)
def test_who_ended_a_session_and_why(happened: Input, by: str, code: int | None, why: str) -> None:
    told = lines(Connect(), WebSocketOpened(1), arrives(NO_UPGRADE), happened, transports=("websocket",))
    assert told[-1] == ended(by, why, code=code)
    closed = [line for line in told if isinstance(line, SocketChanged) and line.change == "closed"]
    assert len(closed) == 1


def test_silence() -> None:
    told = lines(Connect(), answer(1, NO_UPGRADE), TimePassed(), 50.0, TimePassed(), transports=("polling",))
    assert told[-1] == ended("client", "ping timeout: ping-timeout", time=50.0)


def test_an_upgrade_that_fails_and_what_comes_late() -> None:
    told = lines(
        Connect(), answer(1, OPEN), TimePassed(), WebSocketOpened(1), arrives("what"), FrameReceived(7, "4late"), answer(2, '42["on"]'), Close()
    )
    assert (
        told[4:]
        == [
            Undecoded(session=1, time=0.0, direction=DOWN, transport=WEBSOCKET, data="what", error="unknown-packet-type"),
            engine(UP, WEBSOCKET, EngineType.NOOP),
            SocketChanged(session=1, time=0.0, change="closed", by=UP),
            Note(session=1, time=0.0, what="upgrade-failed", text="unknown-packet-type: expected a packet type (a digit 0 to 6, or b), got '…'"),
            Note(session=1, time=0.0, what="late", text="a frame came on a WebSocket that had been given up"),
            event(DOWN, POLLING, "on"),
            engine(UP, POLLING, EngineType.CLOSE),
        ]
        or told[3:]
    )
    assert [type(line).__name__ for line in told].count("Note") == 2


def test_a_server_that_is_stuck() -> None:
    noops = [answer(number, "6") for number in range(3, 6)]
    told = lines(Connect(), answer(1, OPEN), TimePassed(), WebSocketRefused(1, 400, (), b""), answer(2, "6"), *noops)
    assert Note(session=1, time=0.0, what="polling-stuck", text="3 polls were answered with nothing") in told


# --- Several sessions.


def _session(number: int, *steps: Input | float, url: str = DOOR.url) -> list[Line]:
    door = msgspec.structs.replace(DOOR, session=number, url=url, transports=("polling",))
    return [door, *(make_passage(record, number) for record in play(door, *steps))]


def test_a_session_that_follows_a_lost_one_says_so() -> None:
    lost = (Connect(), answer(1, NO_UPGRADE), TimePassed(), RequestFailed(2, Cause.CONNECTION_LOST, "gone"))
    refused = (Connect(), ResponseReceived(1, 502, (), b""))
    left = (Connect(), answer(1, NO_UPGRADE), TimePassed(), Close())
    told = list(derive([*_session(1, *lost), *_session(2, *refused), *_session(3, *left), *_session(4, *left), *_session(5, *lost)]))
    assert [(line.session, line.again) for line in told if isinstance(line, SessionOpened)] == [(1, None), (2, 1), (3, None), (4, None)]
    assert [line.session for line in told if isinstance(line, HttpAnswer)] == [1, 0, 4]
    elsewhere = list(derive([*_session(1, *lost), *_session(2, *left, url="http://127.0.0.1:3001")]))
    assert [line.again for line in elsewhere if isinstance(line, SessionOpened)] == [None, None]


def test_lines_of_packets_pass_and_time_counts_from_where_it_is_told() -> None:
    note = Note(session=0, what="gap", text="something")
    assert list(derive([Head(), note])) == [note]
    deriver = Deriver(start=1.0)
    [door, *passages] = _session(1, 3.0, Connect(), answer(1, NO_UPGRADE))
    assert deriver.line(door) == []
    assert [line for passage in passages for line in deriver.line(passage)] == [opened(POLLING, time=2.0)]
    assert deriver.finish() == []


def test_passages_without_a_door_are_read_as_far_as_they_go() -> None:
    [_, *passages] = _session(1, Connect(), answer(1, NO_UPGRADE))
    [line] = derive(passages)
    assert line == msgspec.structs.replace(opened(POLLING), url="")


@pytest.mark.parametrize(
    "output", [None, {}, {"is": "Poll"}, {"is": "Poll", "request": []}, {"is": "Closed", "reason": []}, {"is": "Closed", "reason": "x", "error": 1}]
)
def test_outputs_that_are_none_tell_nothing(output: object) -> None:
    passages = [make_passage(record, 1) for record in play(DOOR, Connect(), answer(1, NO_UPGRADE))]
    odd = Passage(session=1, at=1.0, input=TimePassed(), outputs=(output,))
    told = list(derive([DOOR, *passages, odd]))
    assert told[:1] == [opened(POLLING)]
    assert [type(line) for line in told[1:]] in ([], [SessionEnded])


def test_what_is_sent_before_a_session_is_open_belongs_to_none() -> None:
    outputs = ({"is": "Post", "request": 1, "url": "", "body": "2"}, {"is": "SendFrame", "socket": 1, "data": "2"})
    sent = Passage(session=1, at=0.0, input=TimePassed(), outputs=outputs)
    failed = Passage(session=1, at=0.0, input=RequestFailed(1, Cause.BAD_HTTP, "no"), outputs=())
    assert list(derive([DOOR, sent, failed])) == [http(0, method="POST", body="bad-http: no")]


def test_a_body_that_is_none_is_damage() -> None:
    passages = [make_passage(record, 1) for record in play(DOOR, Connect(), answer(1, NO_UPGRADE))]
    odd = Passage(session=1, at=1.0, input=TimePassed(), outputs=({"is": "Post", "request": 1, "body": 1},))
    with pytest.raises(CaptureError, match=r"as Post\.body of a passage"):
        list(derive([DOOR, *passages, odd]))


# --- Whatever happens.


@given(TRANSPORTS, ROUGH_STEPS)
def test_every_event_of_the_machine_is_a_packet_of_the_capture(transports: tuple[str, ...], steps: list[Step]) -> None:
    world = World(transports)
    world.play(steps)
    door = Door(session=1, url="http://127.0.0.1:3000", transports=transports, default_path="/socket.io/")
    told = list(derive([door, *(make_passage(record, 1) for record in world.recorder.records)]))
    times = [line.time for line in told if not isinstance(line, Door | Passage | Head)]
    assert [type(line).__name__ for line in told].count("SessionEnded") == 1
    assert None not in times
    assert sum(isinstance(line, SocketIOPacket) and line.direction is DOWN and line.type is PacketType.EVENT for line in told) >= sum(
        type(output).__name__ == "EventReceived" for output in world.outputs
    )
