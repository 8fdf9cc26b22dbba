"""A record, read as a conversation: a row for each packet, with what brought it and what it says, and nothing secret in any of them.

A row is made to be printed. So it holds no session id whole, no string of an auth payload unless it is asked for, nothing a terminal would obey, and
no more than its width. Servers repeat what they are told, in errors and in other places; that changes nothing about it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture import RecordedConnection, Recorder, Row, timeline
from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.inputs import (
    Close,
    Connect,
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
from engineio_lite.limits import Limits
from engineio_lite.socketio import Packet, PacketType, SocketIOConnection
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.msgpack import encode_msgpack
from tests.capture.conversation import begun, lines, recorded
from tests.core.script import NO_UPGRADE, OPEN, SID, URL, answer, arrives, ok
from tests.socketio.world import ROUGH_STEPS, STEPS, TRANSPORTS, Answer, Say, Step, World
from tests.socketio.world import SID as WORLD_SID

OPENED = "open: sid lv_V…, ping every 25 s, timeout 20 s"

# --- Whole conversations.


def test_a_session_by_polling() -> None:
    recorder = begun(
        answer(1, NO_UPGRADE),
        ok(2),
        answer(3, '40{"sid":"NamespaceSid"}'),
        Emit("hello", ("you",)),
        ok(5),
        answer(4, '42["hello","me"]', "2"),
        ok(6),
        Emit("ask", call=1),
        ok(8),
        answer(7, '430["yes"]', '427["and you?"]'),
        Acknowledge(7, (True,)),
        Close(),
        ok(10),
        ok(11),
    )
    assert lines(recorder) == [
        ("->", "GET 1", "", "open a session"),
        ("<-", "GET 1", "0{…}", OPENED),
        ("->", "POST 2", "40", "connect to /"),
        ("->", "GET 3", "", "poll"),
        ("<-", "POST 2", "200", "taken"),
        ("<-", "GET 3", '40{"sid":"Name…"}', "connected to / as Name…"),
        ("->", "GET 4", "", "poll"),
        ("->", "POST 5", '42["hello","you"]', 'event hello: ["you"]'),
        ("<-", "POST 5", "200", "taken"),
        ("<-", "GET 4", '42["hello","me"]', 'event hello: ["me"]'),
        ("<-", "GET 4", "2", "ping"),
        ("->", "POST 6", "3", "pong"),
        ("->", "GET 7", "", "poll"),
        ("<-", "POST 6", "200", "taken"),
        ("->", "POST 8", '420["ask"]', "event #0 ask: []"),
        ("<-", "POST 8", "200", "taken"),
        ("<-", "GET 7", '430["yes"]', 'answer #0: ["yes"]'),
        ("<-", "GET 7", '427["and you?"]', "event #7 and you?: []"),
        ("->", "GET 9", "", "poll"),
        ("->", "POST 10", "437[true]", "answer #7: [true]"),
        ("<-", "POST 10", "200", "taken"),
        ("->", "POST 11", "41", "leave /"),
        ("->", "POST 11", "1", "close"),
        ("<-", "POST 11", "200", "taken"),
        ("->", "polling", "", "abandon what is in flight"),
        ("  ", "", "", "closed: client close"),
    ]


def test_an_upgrade() -> None:
    recorder = begun(
        answer(1, OPEN),
        ok(2),
        answer(3, '40{"sid":"NamespaceSid"}'),
        WebSocketOpened(1),
        arrives("3probe"),
        answer(4, "6"),
        arrives("6"),
        arrives("2"),
    )
    assert lines(recorder, skip=6) == [
        ("->", "GET 4", "", "poll"),
        ("->", "WebSocket 1", "GET", "open a WebSocket beside it"),
        ("<-", "WebSocket 1", "101", "open"),
        ("->", "WebSocket 1", "2probe", "probe: can you hear me?"),
        ("<-", "WebSocket 1", "3probe", "probe answered: frames pass both ways"),
        ("<-", "GET 4", "6", "noop: ends a poll"),
        ("->", "WebSocket 1", "5", "upgrade: from here on by WebSocket"),
        ("  ", "", "", "upgraded"),
        ("<-", "WebSocket 1", "6", "noop: ends a poll"),
        ("<-", "WebSocket 1", "2", "ping"),
        ("->", "WebSocket 1", "3", "pong"),
    ]
    assert lines(recorder)[1] == ("<-", "GET 1", "0{…}", f"{OPENED}, offers websocket")


def test_a_session_on_a_websocket() -> None:
    recorder = begun(WebSocketOpened(1), arrives(NO_UPGRADE), arrives("1"), transports=("websocket",))
    assert lines(recorder) == [
        ("->", "WebSocket 1", "GET", "open a WebSocket"),
        ("<-", "WebSocket 1", "101", "open"),
        ("<-", "WebSocket 1", "0{…}", OPENED),
        ("->", "WebSocket 1", "40", "connect to /"),
        ("<-", "WebSocket 1", "1", "close"),
        ("->", "WebSocket 1", "Close", "close"),
        ("  ", "", "", "closed: server close"),
    ]


def test_namespaces_have_their_names() -> None:
    machine = recorded(
        JoinNamespace("/a"),
        JoinNamespace("/b", {}),
        Connect(),
        answer(1, NO_UPGRADE),
        ok(2),
        answer(3, '40/a,{"sid":"NamespaceSid"}', '44/b,{"message":"no","data":[1]}', '42/a,["e",1]', '42/a,5["e"]'),
        LeaveNamespace("/a"),
    )
    assert lines(machine, skip=2) == [
        ("->", "POST 2", "40/a,", "connect to /a"),
        ("->", "POST 2", "40/b,{}", "connect to /b with {}"),
        ("->", "GET 3", "", "poll"),
        ("<-", "POST 2", "200", "taken"),
        ("<-", "GET 3", '40/a,{"sid":"Name…"}', "connected to /a as Name…"),
        ("<-", "GET 3", '44/b,{"message":"no","data":[1]}', 'refused /b: {"message":"no","data":[1]}'),
        ("<-", "GET 3", '42/a,["e",1]', "event /a e: [1]"),
        ("<-", "GET 3", '42/a,5["e"]', "event /a #5 e: []"),
        ("->", "GET 4", "", "poll"),
        ("->", "POST 5", "41/a,", "leave /a"),
    ]


def test_an_answer_of_the_previous_revision_is_shown_as_what_it_is() -> None:
    assert lines(begun(answer(1, NO_UPGRADE, "40")))[2] == ("<-", "GET 1", "40", "connect to /")


def test_a_sid_that_is_told_before_it_is_given_is_not_shown_whole_either() -> None:
    """A connect handler that emits is faster than the answer to CONNECT."""
    rows = lines(begun(answer(1, NO_UPGRADE, '42["welcome","NamespaceSid"]', '40{"sid":"NamespaceSid"}')))
    assert rows[2] == ("<-", "GET 1", '42["welcome","Name…"]', 'event welcome: ["Name…"]')


def test_times_count_from_the_first_record() -> None:
    recorder = begun(0.25, answer(1, NO_UPGRADE), 1.5, ok(2))
    assert [row.at for row in timeline(recorder.records)] == [0.0, 0.25, 0.25, 1.5]
    assert timeline(()) == []


def test_a_row_is_a_value() -> None:
    assert timeline(recorded(Connect()).records) == [Row(0.0, "->", "GET 1", "", "open a session")]


# --- Attachments.

HEADER = '51-["file",{"_placeholder":true,"num":0}]'


def test_a_packet_with_attachments_is_told_when_it_is_whole() -> None:
    recorder = begun(
        answer(1, NO_UPGRADE),
        ok(2),
        answer(3, '40{"sid":"NamespaceSid"}', f"4{HEADER}"),
        answer(4, "b" + b64encode(b"\x00" * 10).decode()),
        Emit("two", (b"\x01", b"\x02\x03")),
    )
    packet = '452-["two",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert lines(recorder, skip=5) == [
        ("<-", "GET 3", '40{"sid":"Name…"}', "connected to / as Name…"),
        ("<-", "GET 3", f"4{HEADER}", "1 attachment to come"),
        ("->", "GET 4", "", "poll"),
        ("<-", "GET 4", "10 bytes 0000000000000000…", 'event file: ["AAAAAAAAAAAAAA=="]'),
        ("->", "GET 5", "", "poll"),
        ("->", "POST 6", packet, "2 attachments to come"),
        ("->", "POST 6", "1 bytes 01", "attachment, 1 attachment to come"),
        ("->", "POST 6", "2 bytes 0203", 'event two: ["AQ==","AgM="]'),
    ]


def test_attachments_are_awaited_across_an_upgrade_and_in_both_directions_at_once() -> None:
    recorder = begun(
        answer(1, OPEN),
        ok(2),
        answer(3, '40{"sid":"NamespaceSid"}'),
        WebSocketOpened(1),
        arrives("3probe"),
        answer(4, f"4{HEADER}"),
        Emit("up", (b"\x07",)),
        arrives(b"\x08"),
    )
    assert lines(recorder, skip=11) == [
        ("<-", "GET 4", f"4{HEADER}", "1 attachment to come"),
        ("->", "WebSocket 1", "5", "upgrade: from here on by WebSocket"),
        ("  ", "", "", "upgraded"),
        ("->", "WebSocket 1", '451-["up",{"_placeholder":true,"num":0}]', "1 attachment to come"),
        ("->", "WebSocket 1", "1 bytes 07", 'event up: ["Bw=="]'),
        ("<-", "WebSocket 1", "1 bytes 08", 'event file: ["CA=="]'),
    ]


# --- What is no packet, or no Socket.IO.


def _engine(*inputs: Input) -> Recorder:
    """Record a session of an application that speaks Engine.IO alone."""
    recorder = Recorder()
    wrapped = RecordedConnection(EngineIOConnection(URL), recorder)
    for input in (Connect(), answer(1, NO_UPGRADE), *inputs):
        wrapped.process(input, 0.0)
    return recorder


def test_messages_that_are_not_socketio_are_shown_as_they_are() -> None:
    recorder = _engine(SendMessages(("hello", b"\x01\x02", "")), ok(2), answer(3, "4true", "b" + b64encode(b"\x83\xa4").decode()))
    assert lines(recorder, skip=2) == [
        ("->", "POST 2", "4hello", "message, not Socket.IO: unknown-packet-type"),
        ("->", "POST 2", "2 bytes 0102", "message, not Socket.IO: unexpected-binary"),
        ("->", "POST 2", "4", "message, not Socket.IO: empty-packet"),
        ("->", "GET 3", "", "poll"),
        ("<-", "POST 2", "200", "taken"),
        ("<-", "GET 3", "4true", "message, not Socket.IO: unknown-packet-type"),
        ("<-", "GET 3", "2 bytes 83a4", "message, not Socket.IO: unexpected-binary"),
        ("->", "GET 4", "", "poll"),
    ]


def test_a_message_that_looks_like_connect_in_a_namespace_we_would_not_ask_for_can_be_shown() -> None:
    recorder = _engine(SendMessages(('0/a?b=1,{"token":"very-secret"}',)))
    assert "very-secret" not in str(lines(recorder))
    assert len(lines(recorder)) == 4


def test_an_undecodable_body_shows_what_was_good_and_then_the_packet_that_was_not() -> None:
    rows = lines(_engine(TimePassed(), answer(2, '42["good"]', "9rest", '42["never"]')), skip=3)
    assert rows[:2] == [
        ("<-", "GET 2", '42["good"]', "event good: []"),
        ("<-", "GET 2", "9rest", "unknown-packet-type: no packet"),
    ]
    assert rows[2][3].startswith("closed: parse error, ")
    assert len(rows) == 3


def test_an_undecodable_frame_is_shown_with_the_reason() -> None:
    recorder = begun(WebSocketOpened(1), arrives(NO_UPGRADE), arrives(""), transports=("websocket",))
    assert lines(recorder, skip=4)[0] == ("<-", "WebSocket 1", "", "empty-packet: no packet")


def test_an_empty_answer_to_a_poll_is_shown_as_nothing() -> None:
    assert lines(_engine(TimePassed(), answer(2)), skip=3) == [("<-", "GET 2", "", "nothing")]


def test_an_open_packet_that_is_none_is_shown_with_the_reason() -> None:
    rows = lines(recorded(Connect(), answer(1, "0{}")))
    assert rows[1][:3] == ("<-", "GET 1", "0{…}")
    assert "sid" in rows[1][3]
    assert rows[2][3].startswith("closed: parse error, ")


def test_packets_that_mean_nothing_are_named_by_their_type() -> None:
    rows = lines(_engine(TimePassed(), answer(2, "3", "5", "3data", "2data")), skip=3)
    assert rows[:4] == [
        ("<-", "GET 2", "3", "pong"),
        ("<-", "GET 2", "5", "upgrade: from here on by WebSocket"),
        ("<-", "GET 2", "3data", "pong"),
        ("<-", "GET 2", "2data", "ping"),
    ]


def test_answers_to_requests_that_are_not_in_the_record_have_their_number() -> None:
    recorder = recorded(Connect(), answer(1, NO_UPGRADE), TimePassed(), answer(2, "6"), max_records=1)
    assert recorder.dropped == 3
    assert lines(recorder) == [("<-", "request 2", "6", "noop: ends a poll"), ("->", "GET 3", "", "poll")]


# --- Failures.


@pytest.mark.parametrize(
    ("happening", "line"),
    [
        (ResponseReceived(3, 502, (), b"<html>Bad Gateway</html>"), ("<-", "GET 3", "HTTP 502", "<html>Bad Gateway</html>")),
        (ResponseReceived(2, 400, (), b'{"code":3,"message":"Bad request"}'), ("<-", "POST 2", "HTTP 400", '{"code":3,"message":"Bad request"}')),
        (ResponseReceived(3, 400, (), b"\xff\xfe"), ("<-", "GET 3", "HTTP 400", "\ufffd\ufffd")),
        (RequestFailed(3, Cause.CONNECTION_LOST, "reset by peer"), ("<-", "GET 3", "connection-lost", "reset by peer")),
        (RequestFailed(2, Cause.CONNECT_TIMEOUT, "nobody there"), ("<-", "POST 2", "connect-timeout", "nobody there")),
    ],
)
def test_requests_that_fail_show_why_and_then_the_end(happening: Input, line: tuple[str, str, str, str]) -> None:
    rows = lines(begun(answer(1, NO_UPGRADE), happening), skip=4)
    assert rows[0] == line
    assert rows[1] == ("->", "polling", "", "abandon what is in flight")
    assert rows[2][3].startswith("closed: transport error, ")


@pytest.mark.parametrize(
    ("happening", "line"),
    [
        (WebSocketRefused(1, 400, (), b"Session ID unknown"), ("<-", "WebSocket 1", "HTTP 400", "Session ID unknown")),
        (WebSocketFailed(1, Cause.TLS_FAILED, "bad certificate"), ("<-", "WebSocket 1", "tls-failed", "bad certificate")),
        (WebSocketClosed(1, 1006), ("<-", "WebSocket 1", "Close", "code 1006")),
        (WebSocketClosed(1, 1009, "too big"), ("<-", "WebSocket 1", "Close", "code 1009: too big")),
        (WebSocketClosed(1, None), ("<-", "WebSocket 1", "Close", "without a code")),
        (WebSocketClosed(1, None, "bye"), ("<-", "WebSocket 1", "Close", "without a code: bye")),
    ],
)
def test_an_upgrade_that_fails_shows_why_and_what_follows(happening: Input, line: tuple[str, str, str, str]) -> None:
    rows = lines(begun(answer(1, OPEN), ok(2), answer(3, '40{"sid":"NamespaceSid"}'), happening), skip=8)
    assert rows[0] == line
    assert rows[1][:3] == ("  ", "", "")
    assert rows[1][3].startswith("upgrade failed: ")
    assert len(rows) == 2


def test_a_server_that_is_stuck_after_a_failed_upgrade_is_shown_to_be_repaired() -> None:
    noops: list[Input | float] = [answer(number, "6") for number in (4, 5, 6)]
    recorder = begun(answer(1, OPEN), ok(2), answer(3, '40{"sid":"NamespaceSid"}'), WebSocketFailed(1, Cause.CONNECT_FAILED, "no"), *noops)
    rows = lines(recorder)
    assert ("  ", "", "", "3 polls were answered with nothing: the server is stuck, repairing it") in rows
    assert rows[-1] == ("->", "WebSocket 2", "GET", "open a WebSocket beside it")


# --- Secrets.

AUTH = {"token": "very-secret-token", "user": {"names": ["Grace Hopper", "x"]}, "n": 1, "flag": None}


def _authenticated(*steps: Input | float, limits: Limits | None = None, auth: dict[str, object] | None = None) -> Recorder:
    wish = JoinNamespace(auth=AUTH if auth is None else auth)
    return recorded(wish, Connect(), answer(1, NO_UPGRADE), ok(2), *steps, limits=limits)


def test_the_strings_of_an_auth_payload_are_hidden_and_its_shape_is_not() -> None:
    masked = '{"token":"<redacted>","user":{"names":["<redacted>","<redacted>"]},"n":1,"flag":null}'
    assert lines(_authenticated(), width=200)[2] == ("->", "POST 2", f"40{masked}", f"connect to / with {masked}")


def test_an_auth_payload_is_shown_to_who_asks_for_it() -> None:
    plain = '{"token":"very-secret-token","user":{"names":["Grace Hopper","x"]},"n":1,"flag":null}'
    assert lines(_authenticated(), secrets=True, width=200)[2] == ("->", "POST 2", f"40{plain}", f"connect to / with {plain}")


def test_a_token_that_the_server_repeats_is_hidden_everywhere() -> None:
    recorder = _authenticated(
        answer(3, '40{"sid":"NamespaceSid"}', '42["hello","Grace Hopper"]', '44{"message":"bad very-secret-token"}'),
        ResponseReceived(4, 403, (), b"very-secret-token is bad"),
    )
    assert not [line for line in lines(recorder) if "very-secret" in str(line) or "Hopper" in str(line)]
    assert ("<-", "GET 4", "HTTP 403", "<redacted> is bad") in lines(recorder)
    assert ("<-", "GET 4", "HTTP 403", "very-secret-token is bad") in lines(recorder, secrets=True)


def test_short_strings_of_an_auth_payload_are_not_hunted_through_everything() -> None:
    recorder = _authenticated(answer(3, '42["red"]'), auth={"v": "e", "w": "red"})
    masked = '{"v":"<redacted>","w":"<redacted>"}'
    assert lines(recorder)[2][3] == f"connect to / with {masked}"
    assert lines(recorder)[5][2] == '42["red"]'


def test_no_part_of_a_long_token_survives_a_cut() -> None:
    token = "".join(f"{number:04}" for number in range(1000))
    recorder = _authenticated(answer(3, f'44{{"message":"{"x" * 60}{token}"}}'), auth={"token": token})
    assert not [line for line in lines(recorder) if "0001" in str(line) or "00020003" in str(line)]


@pytest.mark.parametrize("token", ['töken\u2028-with\\back"slashes', "日本語のひみつ"])
def test_a_token_is_recognised_however_json_writes_it(token: str) -> None:
    for ascii_only in (False, True):
        echo = json.dumps({"message": token}, ensure_ascii=ascii_only)
        shown = str([(line[2], line[3]) for line in lines(_authenticated(answer(3, f"44{echo}"), auth={"token": token}))])
        assert json.dumps(token)[1:-1] not in shown
        assert token not in shown


def test_auth_that_the_reader_cannot_decode_is_not_shown_either() -> None:
    deep: dict[str, object] = {"token": "very-secret-token"}
    for _ in range(150):
        deep = {"in": deep}
    recorder = _authenticated(limits=Limits(max_depth=200), auth=deep)
    assert lines(recorder)[2] == ("->", "POST 2", "40…", "message, not Socket.IO: too-deep")
    assert "very-secret-token" in timeline(recorder.records, secrets=True, width=2000)[2].packet


def test_a_sid_is_never_shown_whole_even_with_the_other_secrets() -> None:
    for secrets in (False, True):
        recorder = begun(
            answer(1, NO_UPGRADE),
            ok(2),
            answer(3, '40{"sid": "NamespaceSid", "pid": "PrivateId"}', f'42["sids","{SID}","NamespaceSid","PrivateId"]'),
            ResponseReceived(4, 400, (), json.dumps(f"Invalid session {SID}").encode()),
        )
        rows = lines(recorder, secrets=secrets)
        assert not [row for row in rows if SID in str(row) or "NamespaceSid" in str(row) or "PrivateId" in str(row)]
        assert ("<-", "GET 4", "HTTP 400", '"Invalid session lv_V…"') in rows


@pytest.mark.parametrize("sid", ["a", "ab", "abc", "abcd", "abcde"])
def test_a_short_sid_is_not_shown_whole(sid: str) -> None:
    opening = json.dumps({"sid": sid, "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000})
    rows = lines(begun(answer(1, f"0{opening}", f'40{{"sid":"{sid}"}}')))
    assert rows[1][3] == f"open: sid {sid[: len(sid) // 2]}…, ping every 25 s, timeout 20 s"
    assert rows[2] == ("<-", "GET 1", f'40{{"sid":"{sid[: len(sid) // 2]}…"}}', f"connected to / as {sid[: len(sid) // 2]}…")


def test_a_sid_is_known_from_the_requests_when_the_open_packet_is_no_longer_there() -> None:
    recorder = recorded(
        Connect(), answer(1, NO_UPGRADE), TimePassed(), answer(2, "6"), ResponseReceived(3, 400, (), f"Invalid session {SID}".encode()), max_records=2
    )
    assert recorder.dropped == 3
    assert ("<-", "GET 3", "HTTP 400", "Invalid session lv_V…") in lines(recorder)


# --- For a terminal.


def test_what_a_terminal_would_obey_is_escaped() -> None:
    recorder = begun(
        WebSocketOpened(1),
        arrives(NO_UPGRADE),
        arrives("2\x1b[2J"),
        arrives('40{"sid":"NamespaceSid"}'),
        arrives('42["a\\nb\\u001b[31m",1]'),
        WebSocketClosed(1, 1000, "one\ntwo"),
        transports=("websocket",),
    )
    shown = [(line[2], line[3]) for line in lines(recorder, skip=4)]
    assert shown[0] == ("2\\x1b[2J", "ping")
    assert ('42["a\\nb\\u001b[31m",1]', "event a\\nb\\x1b[31m: [1]") in shown
    assert ("Close", "code 1000: one\\ntwo") in shown


def test_a_lone_surrogate_can_be_shown() -> None:
    rows = lines(begun(answer(1, NO_UPGRADE), ok(2), answer(3, '40{"sid":"NamespaceSid"}', '42["e","\\ud800"]')))
    assert rows[6][2] == '42["e","\\ud800"]'
    assert "ud800" in rows[6][3]


def test_what_is_long_is_cut_to_the_width() -> None:
    long = "x" * 10_000
    recorder = recorded(
        JoinNamespace(f"/{long}", {long: 1}),
        Connect(),
        answer(1, NO_UPGRADE),
        ok(2),
        answer(3, f'42["{long}","{long}"]'),
        RequestFailed(4, Cause.CONNECTION_LOST, long),
    )
    for width in (20, 100):
        rows = timeline(recorder.records, width=width)
        assert max(len(row.packet) for row in rows) == width
        assert max(len(row.meaning) for row in rows) == width
        assert rows[2].packet == f"40/{'x' * (width - 4)}…"


# --- Whatever happens.


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


_secrets = st.text('abé"\\\u2028', min_size=0, max_size=8).map(lambda tail: f"S3cr3t{tail}")
_auths = st.dictionaries(
    st.sampled_from(["token", "user"]),
    st.recursive(_secrets | st.integers(0, 9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("key"), inner), max_leaves=4),
    max_size=2,
)


def _secretive(auth: dict[str, object]) -> list[Step]:
    """We authenticate, the server grants, and then repeats everything that it should not."""
    secrets = [*_strings(auth), WORLD_SID, WORLD_SID[::-1]]
    echoes = (f"2{json.dumps(['secrets', *secrets])}", f"4/b,{json.dumps({'message': ' '.join(secrets)}, ensure_ascii=False)}")
    return [JoinNamespace("/b", auth), Answer(), Say((f'0{{"sid":"{WORLD_SID[::-1]}"}}', *echoes))]


@given(TRANSPORTS, _auths, st.one_of(STEPS, ROUGH_STEPS))
def test_whatever_happens_no_row_holds_a_secret_or_is_more_than_a_line(
    transports: tuple[str, ...], auth: dict[str, object], steps: list[Step]
) -> None:
    world = World(transports)
    world.play([*_secretive(auth), *steps])
    for row in timeline(world.recorder.records):
        for text in (row.packet, row.meaning):
            assert len(text) <= 100
            assert text.isprintable()
            assert WORLD_SID not in text
            assert WORLD_SID[::-1] not in text
            for secret in _strings(auth):
                assert secret not in text
                assert json.dumps(secret)[1:-1] not in text


@given(TRANSPORTS, ROUGH_STEPS)
def test_whatever_happens_each_packet_has_its_row(transports: tuple[str, ...], steps: list[Step]) -> None:
    world = World(transports)
    world.play(steps)
    rows = timeline(world.recorder.records)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert rows[-1].meaning.startswith("closed: ")
    requests = [row.carrier for row in rows if row.direction == "->" and row.carrier.startswith("GET")]
    assert requests == sorted(set(requests), key=lambda carrier: int(carrier.split()[1]))


# --- The msgpack parser.


def test_packets_of_the_msgpack_parser_are_read_and_hidden_like_the_others() -> None:
    def packed(type_: PacketType, data: object, ack_id: int | None = None) -> bytes:
        (message,) = encode_msgpack(Packet(type_, data, "/", ack_id))
        assert isinstance(message, bytes)
        return message

    recorder = Recorder()
    engine = RecordedConnection(EngineIOConnection(URL, transports=("websocket",)), recorder)
    machine = SocketIOConnection(engine=engine, parser="msgpack")
    for step in (
        JoinNamespace(auth={"token": "letmein"}),
        Connect(),
        WebSocketOpened(1),
        arrives(OPEN),
        arrives(packed(PacketType.CONNECT, {"sid": "NamespaceSid"})),
        Emit("hello", (b"bytes",), call=1),
        arrives(packed(PacketType.ACK, ["letmein"], 0)),
        arrives(b"\x81 no packet"),
    ):
        machine.process(step, 0.0)
    told = [(packet, meaning) for _, _, packet, meaning in lines(recorder, skip=3)]
    assert [meaning for _, meaning in told[:4]] == [
        'connect to / with {"token":"<redacted>"}',
        "connected to / as Name…",
        'event #0 hello: ["Ynl0ZXM="]',  # bytes, as JSON has none
        'answer #0: ["<redacted>"]',
    ]
    assert told[4][1] == "message, not Socket.IO: unexpected-binary"
    assert all(" bytes 8" in packet and len(packet) < 30 for packet, _ in told[:5])
