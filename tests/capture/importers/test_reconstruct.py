"""From traces to captures: what the recordings do not show is made by hand."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from engineio_lite.capture.importers import reconstruct
from engineio_lite.capture.importers.sessions import address
from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.capture.trace import Exchange, Socket
from engineio_lite.packet import PacketType as EnginePacketType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport
from tests.capture.importers.recordings import OPEN, URL, down, get, notes, opening, packets, post, socket, trace, up, url

UP, DOWN = Direction.UP, Direction.DOWN


def lines(*items: Exchange | Socket) -> tuple[Line, ...]:
    return reconstruct(trace(*items)).lines


def opened(found: tuple[Line, ...]) -> list[SessionOpened]:
    return [line for line in found if isinstance(line, SessionOpened)]


def answers(found: tuple[Line, ...]) -> list[HttpAnswer]:
    return [line for line in found if isinstance(line, HttpAnswer)]


def ends(found: tuple[Line, ...]) -> list[SessionEnded]:
    return [line for line in found if isinstance(line, SessionEnded)]


def test_nothing_makes_nothing() -> None:
    found = reconstruct()
    assert (found.lines, found.at, found.source) == ((), "", "")


def test_a_polling_session() -> None:
    began = 1_000_000_000.0
    found = reconstruct(trace(opening(began), post(began + 0.02, b"40"), get(began + 0.03, began + 0.04, b'40{"sid":"x"}')))
    assert found.at == "2001-09-09T01:46:40.010Z"
    assert found.source == "har"
    assert found.lines == (
        SessionOpened(
            session=1,
            time=0.0,
            url="http://host.test/socket.io/",
            transport=Transport.POLLING,
            sid="s1",
            handshake={"upgrades": ["websocket"], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000},
        ),
        SocketIOPacket(session=1, time=0.01, direction=UP, transport=Transport.POLLING, type=PacketType.CONNECT),
        SocketIOPacket(session=1, time=0.03, direction=DOWN, transport=Transport.POLLING, type=PacketType.CONNECT, data={"sid": "x"}),
    )


@pytest.mark.parametrize("began", [0.0, -5.0, 1e20])
def test_a_beginning_that_is_no_date_is_not_said(began: float) -> None:
    assert reconstruct(trace(opening(began))).at == ""


# --- URLs


@pytest.mark.parametrize(
    ("request_", "session_url"),
    [
        ("http://host.test/socket.io/?EIO=4&transport=polling&t=abc", "http://host.test/socket.io/"),
        ("wss://host.test:8/any/path?transport=websocket&EIO=4&sid=s&token=a%26b&x=", "https://host.test:8/any/path?token=a%26b&x="),
        ("ws://host.test/?EIO=4", "http://host.test/"),
        ("https://host.test/socket.io/?transport=polling", "https://host.test/socket.io/"),
    ],
)
def test_the_url_of_a_session_is_that_of_its_requests_without_the_protocol(request_: str, session_url: str) -> None:
    found = address(request_)
    assert found is not None
    assert found.session_url == session_url


@pytest.mark.parametrize("request_", ["http://host.test/page.html", "", "http://[::1/?EIO=4", "http://host.test/?transport=bus", "?sid=1"])
def test_other_urls_are_none_of_ours(request_: str) -> None:
    assert address(request_) is None


def test_other_requests_are_left_out() -> None:
    page = Exchange(started=99.0, ended=99.5, method="GET", url="http://host.test/page.html", status=200, answer=OPEN)
    assert len(lines(page, opening(), get(100.1, 100.2, b""))) == 1


# --- sessions


def test_sessions_take_turns() -> None:
    found = lines(
        opening(100.0, "s1"),
        opening(100.1, "s2"),
        post(100.2, b'42["one"]', sid="s1"),
        post(100.3, b'42["two"]', sid="s2"),
        get(100.2, 100.4, b'42["three"]', sid="s1"),
    )
    assert [(packet.session, packet.data) for packet in packets(found)] == [(1, ["one"]), (2, ["two"]), (1, ["three"])]


def test_a_websocket_without_sid_opens_a_session() -> None:
    found = lines(socket(100.0, down(100.1, OPEN.decode()), up(100.2, "40"), sid=""))
    assert [type(line) for line in found] == [SocketChanged, SessionOpened, SocketIOPacket]
    assert opened(found)[0].transport is Transport.WEBSOCKET


def test_a_file_may_end_with_what_came_first() -> None:
    found = lines(post(100.2, b"40"), get(100.2, 100.3, b'40{"sid":"x"}'), opening())
    assert [type(line) for line in found] == [SessionOpened, SocketIOPacket, SocketIOPacket]


def test_a_name_that_a_server_gives_again_is_another_session() -> None:
    found = lines(opening(100.0), post(100.1, b'42["one"]'), opening(200.0), post(200.1, b'42["two"]'), get(50.0, 50.1, b'42["zero"]'))
    assert [(packet.session, packet.data) for packet in packets(found)] == [(1, ["zero"]), (1, ["one"]), (2, ["two"])]


def test_a_session_whose_opening_was_not_recorded_is_one_with_a_gap() -> None:
    found = lines(post(100.0, b'42["a"]', sid="old"), get(100.0, 100.1, b'42["b"]', sid="old"), opening(101.0))
    assert isinstance(found[0], Note)
    assert (found[0].session, found[0].what, found[0].text) == (1, "gap", "the opening of this session was not recorded")
    assert [packet.session for packet in packets(found)] == [1, 1]
    assert [line.session for line in opened(found)] == [2]


def test_a_websocket_whose_opening_was_not_recorded_is_one_too() -> None:
    found = lines(socket(100.0, down(100.1, '42["b"]'), sid=""))
    assert [note.text for note in notes(found, "gap")] == ["the opening of this session was not recorded"]
    assert len(packets(found)) == 1


@pytest.mark.parametrize("packet", ["0{", '0{"sid":1}', "0[]", "0", "2", '0{"upgrades":[]}'])
def test_an_open_packet_without_a_name_opens_nothing(packet: str) -> None:
    assert opened(lines(socket(100.0, down(100.1, packet), sid=""))) == []


def test_what_was_refused_belongs_to_no_session() -> None:
    refused = b'{"code":1,"message":"Session ID unknown"}'
    found = lines(get(100.0, 100.1, refused, sid="gone", status=400, kind="application/json"))
    assert found == (
        HttpAnswer(session=0, time=0.0, method="GET", url=url("gone"), status=400, content_type="application/json", body=refused.decode()),
    )


def test_an_opening_whose_answer_was_not_recorded_is_a_gap() -> None:
    handshake = Exchange(started=100.0, ended=100.1, method="GET", url=URL, status=200, answer=None)
    [note] = notes(lines(handshake), "gap")
    assert (note.session, note.text) == (0, "the answer to a handshake was not recorded")


def test_a_page_in_place_of_a_handshake_is_an_answer() -> None:
    page = Exchange(started=100.0, ended=100.1, method="GET", url=URL, status=200, content_type="text/html", answer=b"<html>")
    [answer] = answers(lines(page))
    assert (answer.session, answer.status, answer.body) == (0, 200, "<html>")


# --- Engine.IO 3


def test_a_websocket_of_engine_io_3_is_named_by_its_open_packet() -> None:
    old = "ws://host.test/socket.io/?EIO=3&transport=websocket"
    first = Socket(started=100.0, url=old, messages=(down(100.1, OPEN.decode()),))
    later = Socket(started=101.0, url=f"{old}&sid=s1")
    assert len(notes(lines(first, later), "engineio-3")) == 1


def test_engine_io_3_is_named_once_for_each_session() -> None:
    old = "http://host.test/socket.io/?EIO=3&transport=polling"
    requests = [
        Exchange(started=100.0, ended=100.1, method="GET", url=old, status=200, answer=b'22:0{"sid":"x","upgrade"}2:40'),
        Exchange(started=100.2, ended=100.3, method="GET", url=f"{old}&sid=x", status=200, answer=b'6:42["a"]'),
        Exchange(started=100.4, ended=100.5, method="GET", url=f"{old}&sid=x", status=200, answer=b"1:6"),
        Exchange(started=110.0, ended=110.1, method="GET", url=old, status=200, answer=b'22:0{"sid":"y","upgrade"}2:40'),
    ]
    found = lines(*requests)
    assert [(note.session, note.text) for note in notes(found, "engineio-3")] == [
        (0, "Engine.IO 3: a Socket.IO 2 client, which is not read"),
        (0, "Engine.IO 3: a Socket.IO 2 client, which is not read"),
    ]
    assert len(found) == 2


def test_a_session_of_engine_io_3_whose_opening_was_not_recorded_is_named_too() -> None:
    old = "http://host.test/socket.io/?EIO=3&transport=websocket&sid=x"
    assert len(notes(lines(Socket(started=100.0, url=old), Socket(started=101.0, url=old.replace("=x", "=y"))), "engineio-3")) == 2


def test_its_refusal_is_a_refusal() -> None:
    old = "http://host.test/socket.io/?EIO=3&transport=polling"
    found = lines(Exchange(started=100.0, ended=100.1, method="GET", url=old, status=400, answer=b'{"code":5}'))
    assert [answer.status for answer in answers(found)] == [400]
    assert notes(found, "engineio-3") == []


def test_its_framing_tells_where_the_version_is_missing() -> None:
    plain = "http://host.test/socket.io/?transport=polling"
    found = lines(Exchange(started=100.0, ended=100.1, method="GET", url=plain, status=200, answer=b"2:40"))
    assert len(notes(found, "engineio-3")) == 1


# --- gaps


def test_bodies_that_were_not_recorded_are_gaps() -> None:
    found = lines(opening(), post(100.1, None), get(100.1, 100.2, None))
    assert [(note.session, note.text) for note in notes(found, "gap")] == [
        (1, "the body of a POST was not recorded"),
        (1, "the answer to a GET was not recorded"),
    ]


def test_an_empty_answer_is_no_gap() -> None:
    assert len(lines(opening(), get(100.1, 100.2, b""))) == 1


def test_lost_messages_are_a_gap() -> None:
    found = lines(opening(), msgspec.structs.replace(socket(100.1), lost="no frames"))
    assert "messages of the WebSocket may be missing: no frames" in [note.text for note in notes(found, "gap")]


def test_a_websocket_whose_handshake_was_not_seen_is_a_gap_and_no_refusal() -> None:
    found = lines(opening(), msgspec.structs.replace(socket(100.1), status=0, lost="no 101"))
    assert [note.text for note in notes(found, "gap")] == ["messages of the WebSocket may be missing: no 101"]
    assert answers(found) == []


@pytest.mark.parametrize(
    "items",
    [
        [get(100.1, 100.2, b"6")],
        [get(100.1, 100.2, b'42["a"]\x1e6'), post(100.3, b"3")],
        [],
    ],
)
def test_a_session_that_stops_polling_went_on_elsewhere(items: list[Exchange]) -> None:
    assert [note.text for note in notes(lines(opening(), *items), "gap")] == [
        "the session seems to have gone on over a WebSocket that was not recorded"
    ]


@pytest.mark.parametrize(
    "items",
    [
        [get(100.1, 100.2, b"6\x1e1")],
        [get(100.1, 100.2, b"2")],
        [get(100.1, 100.2, b"2"), get(100.3, 100.4, b'42["a"]')],
        [get(100.1, 100.2, b'42["a"]'), get(100.3, None, b"", status=0)],
        [get(100.1, 100.2, b'42["a"]'), get(100.3, 100.4, b"", status=502)],
        [get(100.1, 100.2, b'42["a"]'), post(100.3, b"41")],
        [post(100.2, b"1"), get(100.1, 100.3, b"6")],
    ],
)
def test_one_that_ends_or_goes_on_did_not(items: list[Exchange]) -> None:
    found = trace(opening(), *items)
    assert notes(reconstruct(found, msgspec.structs.replace(found, may_lack_sockets=True)), "gap") == []


def test_of_a_recorder_that_leaves_out_websockets_less_is_believed() -> None:
    items = opening(), get(100.1, 100.2, b'40{"sid":"x"}'), post(100.25, b'420["a"]'), get(100.2, 100.3, b"430[]")
    lacking = msgspec.structs.replace(trace(*items), may_lack_sockets=True)
    assert [note.session for note in notes(reconstruct(trace(*items), lacking), "gap")] == [2]


def test_attachments_that_are_missing_are_a_gap_before_their_packet() -> None:
    pieces = (down(100.2, '452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'), down(100.21, b"\x01"))
    found = lines(socket(100.0, down(100.1, OPEN.decode()), *pieces, down(100.3, "2"), sid=""))
    assert [getattr(line, "what", type(line).__name__) for line in found[2:]] == ["gap", "Undecoded", "Undecoded", "EnginePacket"]


def test_a_gap_that_explains_missing_attachments_is_the_only_one() -> None:
    lossy = socket(100.0, down(100.1, OPEN.decode()), up(100.2, '451-["a",{"_placeholder":true,"num":0}]'), up(100.3, "3"), sid="")
    assert [note.text for note in notes(lines(msgspec.structs.replace(lossy, lost="binary ones")), "gap")] == [
        "messages of the WebSocket may be missing: binary ones"
    ]


def test_a_server_without_upgrades_went_nowhere() -> None:
    plain = msgspec.structs.replace(opening(), answer=OPEN.replace(b'"websocket"', b""))
    assert notes(lines(plain), "gap") == []


def test_a_session_without_any_body_is_its_gap_alone() -> None:
    found = lines(get(100.1, 100.2, None))
    assert len(notes(found, "gap")) == 2


# --- errors and noise


def test_an_error_within_a_session_is_an_answer_of_it() -> None:
    found = lines(opening(), post(100.1, b"1", status=400, answer=b'{"code":1,"message":"Session ID unknown"}'))
    [answer] = answers(found)
    assert (answer.session, answer.method, answer.status) == (1, "POST", 400)
    assert [line.type for line in found if isinstance(line, EnginePacket)] == [EnginePacketType.CLOSE]


def test_a_get_that_was_refused_long_after_the_end_is_noise() -> None:
    found = lines(opening(), get(100.1, 100.2, b"6\x1e1"), get(100.2, 120.0, b'"Bad Request"', status=400))
    assert [type(line) for line in found] == [SessionOpened, EnginePacket, EnginePacket, SessionEnded, HttpAnswer]


def test_an_answer_that_is_not_ok_is_shown() -> None:
    [answer] = answers(lines(opening(), post(100.1, b"40", answer=b"<html>")))
    assert answer.body == "<html>"
    assert answers(lines(opening(), post(100.1, b"40", answer=b"OK"))) == []


def test_a_post_whose_answer_was_not_recorded_is_no_gap() -> None:
    silent = msgspec.structs.replace(post(100.1, b"40"), answer=None)
    assert [type(line) for line in lines(opening(), silent, get(100.2, 100.3, b"2"))] == [SessionOpened, SocketIOPacket, EnginePacket]


def test_an_empty_post_says_nothing() -> None:
    assert len(lines(opening(), post(100.1, b""), get(100.2, 100.3, b""))) == 1


def test_a_page_within_a_session_is_an_answer() -> None:
    [answer] = answers(lines(opening(), get(100.1, 100.2, b" <html>", kind="text/html")))
    assert answer.session == 1


def test_a_body_with_the_type_of_a_page_is_a_body() -> None:
    assert len(packets(lines(opening(), get(100.1, 100.2, b'42["a"]', kind="text/html")))) == 1


def test_what_is_no_packet_is_kept() -> None:
    found = lines(opening(), get(100.1, 100.2, b'nonsense\x1e42["a"]'))
    assert [type(line) for line in found] == [SessionOpened, Undecoded, SocketIOPacket]


def test_what_browsers_ask_before_is_left_out() -> None:
    before = Exchange(started=100.1, ended=100.2, method="OPTIONS", url=url(), status=204)
    assert len(lines(opening(), before, get(100.2, 100.3, b""))) == 1
    assert [answer.status for answer in answers(lines(opening(), msgspec.structs.replace(before, status=403)))] == [403]


def test_a_refused_upgrade_is_an_answer_of_the_session() -> None:
    refused = Socket(
        started=100.1,
        url=url(transport="websocket"),
        status=400,
        answer=b"Session ID unknown",
        answer_headers=(("Content-Type", "text/html"),),
    )
    [answer] = answers(lines(opening(), refused))
    assert (answer.session, answer.transport, answer.status, answer.content_type) == (1, Transport.WEBSOCKET, 400, "text/html")


def test_a_websocket_that_was_never_answered_has_status_0() -> None:
    [answer] = answers(lines(opening(), Socket(started=100.1, url=url(transport="websocket"), status=0, answer=None)))
    assert (answer.status, answer.body) == (0, "")


# --- what was pending


def test_a_pending_get_is_an_answer_that_did_not_come_and_the_session_is_open() -> None:
    found = lines(opening(), get(100.1, None, b"", status=0))
    assert [(answer.method, answer.status) for answer in answers(found)] == [("GET", 0)]
    assert [note.text for note in notes(found, "open")] == ["the session was still polling when the recording stopped"]


def test_what_a_pending_get_brought_later_is_kept() -> None:
    found = lines(opening(), get(100.1, None, b'42["late"]', status=0))
    assert [packet.data for packet in packets(found)] == [["late"]]


def test_a_websocket_that_was_open_is_said_to_be() -> None:
    found = lines(msgspec.structs.replace(socket(100.0, down(100.1, OPEN.decode()), sid=""), is_open=True))
    assert [note.text for note in notes(found, "open")] == ["the WebSocket was still open when the recording stopped"]


# --- WebSockets


def test_an_upgrade_with_events_during_it() -> None:
    found = lines(
        opening(),
        post(100.1, b"40"),
        get(100.02, 100.11, b'40{"sid":"x"}'),
        socket(100.02, up(100.103, "2probe"), down(100.12, "3probe"), up(100.125, "5"), up(100.126, '421["b"]'), down(100.2, '42["c"]')),
        post(100.12, b'420["a"]'),
        get(100.115, 100.13, b'430["a"]\x1e6'),
    )
    shown = [line.data if isinstance(line, SocketIOPacket) else line.type.value for line in found if isinstance(line, SocketIOPacket | EnginePacket)]
    assert shown == [msgspec.UNSET, "ping", {"sid": "x"}, ["a"], "pong", ["a"], "noop", "upgrade", ["b"], ["c"]]


def test_messages_without_a_time_keep_their_place() -> None:
    found = lines(socket(100.0, down(None, OPEN.decode()), up(None, "40"), down(100.5, "2"), up(None, "3"), sid=""))
    assert [(type(line), getattr(line, "time", None)) for line in found] == [
        (SocketChanged, 0.0),
        (SessionOpened, 0.0),
        (SocketIOPacket, 0.0),
        (EnginePacket, 0.5),
        (EnginePacket, 0.5),
    ]


def test_a_message_that_somebody_put_in_is_announced() -> None:
    found = lines(socket(100.0, down(100.1, OPEN.decode()), down(None, '42["a"]', injected=True), up(100.2, "3"), sid=""))
    [note] = notes(found, "injected")
    assert (note.time, type(found[found.index(note) + 1])) == (0.1, SocketIOPacket)


@pytest.mark.parametrize(("by", "who"), [(UP, "client"), (DOWN, "server"), (None, "unknown")])
def test_the_end_of_a_websocket_ends_its_session(by: Direction | None, who: str) -> None:
    closed = msgspec.structs.replace(socket(100.0, down(100.1, OPEN.decode()), sid=""), closed=100.2, closed_by=by, code=1000, reason="bye")
    found = lines(closed)
    assert found[-2:] == (
        SocketChanged(session=1, time=0.2, change="closed", by=by, code=1000, reason="bye"),
        SessionEnded(session=1, time=0.2, by=who, code=1000, reason="bye"),
    )


def test_the_end_of_a_probe_that_failed_does_not() -> None:
    probe = msgspec.structs.replace(socket(100.1, up(100.11, "2probe")), closed=100.2)
    assert ends(lines(opening(), probe, get(100.1, 100.3, b"2"))) == []


@pytest.mark.parametrize(("item", "who"), [(get(100.1, 100.2, b"1"), "server"), (post(100.1, b"1"), "client")])
def test_a_close_packet_ends_the_session(item: Exchange, who: str) -> None:
    assert [end.by for end in ends(lines(opening(), item))] == [who]


def test_binary_attachments_find_their_packet_over_two_polls_with_others_between() -> None:
    found = lines(
        opening(),
        get(100.1, 100.2, b'451-["blob",{"_placeholder":true,"num":0}]'),
        post(100.3, b'42["between"]'),
        get(100.2, 100.4, b'bAAgQ\x1e42["after"]'),
    )
    assert [packet.data for packet in packets(found)] == [["blob", b"\x00\x08\x10"], ["between"], ["after"]]


MSGPACK: dict[str, Any] = {"type": 2, "data": ["a", b"\x01"], "nsp": "/"}


def test_the_msgpack_parser_is_read_on_both_transports() -> None:
    packed = msgspec.msgpack.encode(MSGPACK)
    found = lines(
        opening(),
        post(100.1, b"b" + base64.b64encode(packed)),
        get(100.1, 100.15, b"6"),
        socket(100.1, up(100.11, "2probe"), down(100.12, "3probe"), up(100.16, "5"), down(100.2, packed)),
    )
    assert [(packet.parser, packet.data, packet.transport) for packet in packets(found)] == [
        ("msgpack", ["a", b"\x01"], Transport.POLLING),
        ("msgpack", ["a", b"\x01"], Transport.WEBSOCKET),
    ]


# --- reconnects


def visit(at: float, sid: str, auth: str, *, more: str = "") -> list[Exchange | Socket]:
    text = OPEN.decode().replace("s1", sid)
    return [
        Socket(
            started=at,
            url=f"ws://host.test/socket.io/?EIO=4&transport=websocket{more}",
            messages=(down(at + 0.1, text), up(at + 0.2, f"40{auth}"), down(at + 0.3, '40{"sid":"x"}'), up(at + 0.4, '42["a"]')),
        )
    ]


def again(*items: Exchange | Socket) -> list[int | None]:
    return [line.again for line in opened(lines(*items))]


def test_a_reconnect_names_what_it_follows() -> None:
    assert again(*visit(100, "a", '{"token":"t"}'), *visit(110, "b", '{"token":"t"}'), *visit(120, "c", '{"token":"t"}')) == [None, 1, 2]


def test_a_recovered_session_sends_more_and_is_a_reconnect_all_the_same() -> None:
    first = '{"token":"t"}'
    assert again(*visit(100, "a", first), *visit(110, "b", '{"token":"t","pid":"p","offset":"o"}')) == [None, 1]
    assert again(*visit(100, "a", ""), *visit(110, "b", '{"pid":"p","offset":"o"}')) == [None, 1]


@pytest.mark.parametrize(
    "second",
    [
        visit(110, "b", '{"token":"other"}'),
        visit(110, "b", '/admin,{"token":"t"}'),
        visit(100.35, "b", '{"token":"t"}'),
        [opening(110, "b")],
    ],
)
def test_others_are_no_reconnects(second: list[Exchange | Socket]) -> None:
    assert again(*visit(100, "a", '{"token":"t"}'), *second) == [None, None]


def test_a_session_that_was_followed_by_another_is_not_open() -> None:
    first = [*visit(100, "a", '{"token":"t"}'), get(101.0, None, b"", sid="a", status=0)]
    assert len(notes(lines(*first), "open")) == 1
    assert notes(lines(*first, *visit(110, "b", '{"token":"t"}')), "open") == []
    assert len(notes(lines(*first, *visit(110, "b", '{"token":"other"}')), "open")) == 1


def test_another_place_is_no_reconnect() -> None:
    moved = [msgspec.structs.replace(item, url=item.url.replace("host.test", "other.test")) for item in visit(110, "b", "")]
    assert again(*visit(100, "a", ""), *moved) == [None, None]


# --- several files


def test_two_files_make_one_capture() -> None:
    found = reconstruct(trace(*visit(110, "b", "")), trace(*visit(100, "a", ""), source="cdp"))
    assert [(line.session, line.sid, line.again) for line in opened(found.lines)] == [(1, "a", None), (2, "b", None)]
    assert found.source == "har+cdp"


def test_a_session_that_two_files_saw_is_named_and_not_merged() -> None:
    found = reconstruct(trace(*visit(100, "a", "")), trace(*visit(100.01, "a", "")))
    assert [(note.session, note.text) for note in notes(found, "same")] == [(2, "the same session as session 1, seen by another file")]
    assert len(packets(found.lines)) == 6


def test_warnings_are_of_all_files() -> None:
    one, other = (msgspec.structs.replace(trace(), warnings=(text,)) for text in ("one", "other"))
    assert reconstruct(one, other).warnings == ("one", "other")
