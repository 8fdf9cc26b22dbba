"""The recorded server and the recorded client as machines: each rule of the matcher, gates, time, ends; on a virtual clock, packet by packet."""

from __future__ import annotations

import json

import pytest

from engineio_lite.capture.lines import Direction, Head, HttpAnswer, Level, Line, Undecoded
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, CassetteMismatch, LocalProtocolError, ReplayStalled, ReplayUnfinished
from engineio_lite.limits import DEFAULT_TIMEOUTS
from engineio_lite.replay.matcher import ANY_TIME, ANY_UUID, at
from engineio_lite.replay.player import Player
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.state import Transport
from tests.replay.tape import CONNECT, Stage, down, ended, gap, opened, packet, sit, tape, up, written

SID = "replay00000000000001"
MISMATCH = "end: replay-mismatch"


# ------------------------------------------------------------------------------------------------------------------------------------- gates


def test_the_server_answers_as_it_did() -> None:
    stage = Stage(opened(), *CONNECT, up('20["echo","a"]'), down('2["pushed",1]'), down('30["a"]'))
    assert stage.first == []
    assert stage.say("0") == [f'0{{"sid":"{SID}"}}']
    assert stage.say('20["echo","a"]') == ['2["pushed",1]', '30["a"]']
    assert stage.player.is_complete
    report = stage.player.report()
    assert (report.sessions, report.played, report.matched, report.unplayed, report.unmatched, report.is_ok) == (1, 1, 2, (), 0, True)
    assert str(report) == "1 of 1 session played, 2 packets matched"
    report.raise_for_failure()


def test_pushes_wait_for_as_many_packets_as_were_before_them() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), up('2["b"]'), *(down(f'2["n",{i}]') for i in range(3)), up('2["c"]'), down('2["n",3]'))
    stage.say("0")
    assert stage.say('2["a"]') == []
    assert stage.say('2["b"]') == ['2["n",0]', '2["n",1]', '2["n",2]']
    assert stage.say('2["c"]') == ['2["n",3]']


def test_what_the_server_says_first_is_said_first() -> None:
    stage = Stage(down('2["early"]'), *CONNECT)
    assert stage.first == ['2["early"]']


def test_an_event_may_come_before_the_answer_to_connect() -> None:
    stage = Stage(up("0/a,"), down('2/a,["motd"]'), down('0/a,{"sid":"s"}'))
    assert stage.say("0/a,") == ['2/a,["motd"]', '0/a,{"sid":"s"}']


def test_a_refusal_is_played() -> None:
    stage = Stage(up("0/no,"), down('4/no,{"message":"no"}'), up("0/nope,"), down('4/nope,"gone"'))
    assert stage.say("0/no,") == ['4/no,{"message":"no"}']
    assert stage.say("0/nope,") == ['4/nope,"gone"']


def test_the_server_ends_a_namespace_and_the_session_where_it_did() -> None:
    stage = Stage(*CONNECT, up('2["kick"]'), down("1"), ended("server"))
    stage.say("0")
    assert stage.say('2["kick"]') == ["1", "end"]
    assert stage.say('2["late"]') == [], "nothing comes out after the end"
    assert stage.player.report().is_ok


@pytest.mark.parametrize("by", ["client", "unknown"])
def test_what_the_client_ended_is_not_ended_by_the_server(by: str) -> None:
    stage = Stage(*CONNECT, ended(by))
    assert stage.say("0") == [f'0{{"sid":"{SID}"}}']


# ----------------------------------------------------------------------------------------------------------------------------------- matching


def test_ids_of_acknowledgements_are_bound_by_position() -> None:
    stage = Stage(*CONNECT, up('27["a"]'), up('28["b"]'), down("38[2]"), down("37[1]"))
    stage.say("0")
    assert stage.say('20["a"]') == []
    assert stage.say('21["b"]') == ["31[2]", "30[1]"]


def test_ids_of_the_servers_events_are_as_recorded_and_so_are_the_answers() -> None:
    lines = (*CONNECT, down('220["q",1]'), up("320[42]"), down('2["thanks"]'))
    stage = Stage(*lines)
    assert stage.say("0")[1:] == ['220["q",1]']
    assert stage.say("320[42]") == ['2["thanks"]']
    stage = Stage(*lines)
    stage.say("0")
    assert stage.say("320[43]") == [MISMATCH]
    assert "$[0]: 42 != 43" in str(stage.player.failure)


def test_an_answer_to_another_question_does_not_match() -> None:
    stage = Stage(*CONNECT, down('220["q"]'), up("320[42]"))
    stage.say("0")
    assert stage.say("321[42]") == [MISMATCH]
    assert "id: 20 != 21" in str(stage.player.failure)


def test_whether_an_answer_is_asked_for_must_match() -> None:
    stage = Stage(*CONNECT, up('21["a"]'))
    stage.say("0")
    assert stage.say('2["a"]') == [MISMATCH]
    assert "asks for an answer: true != false" in str(stage.player.failure)


def test_of_another_event_its_name_is_told() -> None:
    stage = Stage(*CONNECT, up('20["a",1]'))
    stage.say("0")
    assert stage.say('2["b",1]') == [MISMATCH]
    error = stage.player.failure
    assert isinstance(error, CassetteMismatch)
    assert error.differences == ("$[0]", "asks for an answer")
    assert '  $[0]: "a" != "b"' in str(error)


def test_a_client_takes_up_a_session_by_what_the_live_server_gave_it() -> None:
    stage = Stage(
        up("0"),
        down('0{"sid":"@sid1","pid":"@pid1"}'),
        down('2["a","Q8X35Tx"]'),
        up('0/again,{"pid":"@pid1","offset":"Q8X35Tx"}'),
        ours=Direction.UP,
    )
    assert stage.first == ["0"]
    assert stage.say('0{"sid":"s1","pid":"p1"}') == []
    assert stage.say('2["a","Q9abcde"]') == ['0/again,{"pid":"p1","offset":"Q9abcde"}']


def test_a_client_does_not_come_back_before_it_is_gone() -> None:
    stage = Stage(*CONNECT, down('2["a"]'), up("1"), up("0"), down('0{"sid":"@sid2"}'), ours=Direction.UP)
    stage.say('0{"sid":"s1"}')
    assert stage.say('2["a"]') == ["1"]
    assert stage.seat.deadline == pytest.approx(stage.now + DEFAULT_TIMEOUTS.rejoin)
    assert stage.wait(DEFAULT_TIMEOUTS.rejoin) == ["0"]
    assert stage.say('0{"sid":"s2"}') == []
    assert stage.player.is_complete


def test_a_client_listens_before_it_leaves_for_as_long_as_the_tape_was_silent() -> None:
    lines = (opened(time=0.0), up("0", time=0.0), down('0{"sid":"@sid1"}', time=1.0), up("1", time=1.5), ended("client", time=1.5))
    stage = Stage(*lines, ours=Direction.UP, linger=2.0)
    assert stage.say('0{"sid":"s"}') == []
    assert stage.wait(0.4) == []
    assert stage.wait(0.1) == ["1"]
    hasty = Stage(*lines, ours=Direction.UP, linger=0.25)
    hasty.say('0{"sid":"s"}')
    assert hasty.say('2["more"]') == [MISMATCH]
    assert hasty.player.failure is not None


def test_an_answer_to_nothing_is_sent_as_recorded() -> None:
    stage = Stage(*CONNECT, down("399[1]"))
    assert stage.say("0")[1:] == ["399[1]"]


@pytest.mark.parametrize(
    ("recorded", "live"),
    [
        ('2["e",{"a":1,"b":2}]', '2["e",{"b":2,"a":1}]'),
        ('2["e",1.0,-0.0,"é"]', '2["e",1,0,"\\u00e9"]'),
        ('2["e","<redacted:1>"]', '2["e","anything"]'),
        ('2["e","Bearer <redacted:1>"]', '2["e","Bearer xyz"]'),
        ('2["e","<redacted:1>","<redacted:1>","<redacted:2>"]', '2["e","x","x","y"]'),
    ],
)
def test_what_means_the_same_matches(recorded: str, live: str) -> None:
    stage = Stage(*CONNECT, up(recorded), down('2["ok"]'))
    stage.say("0")
    assert stage.say(live) == ['2["ok"]']


@pytest.mark.parametrize(
    ("recorded", "live", "difference"),
    [
        ('2["e",true]', '2["e",1]', "$[1]: true != 1"),
        ('2["e",1]', '2["e","1"]', '$[1]: 1 != "1"'),
        ('2["e"]', '2["e",null]', "$[1]: nothing != null"),
        ('2["e",{"a":1}]', '2["e",{}]', "$[1].a: 1 != nothing"),
        ('2["e","<redacted:1>","<redacted:1>"]', '2["e","x","y"]', '$[2]: "<redacted:1>" != "y"'),
        ('2["e","Bearer <redacted:1>"]', '2["e","Basic xyz"]', '$[1]: "Bearer <redacted:1>" != "Basic xyz"'),
        ('2["e","<redacted:1>"]', '2["e",7]', '$[1]: "<redacted:1>" != 7'),
        ('2/a,["e"]', '2["e"]', 'namespace: "/a" != "/"'),
    ],
)
def test_what_does_not_is_told_by_its_path(recorded: str, live: str, difference: str) -> None:
    stage = Stage(*CONNECT, up(recorded))
    stage.say("0")
    assert stage.say(live) == [MISMATCH]
    assert f"  {difference}\n" in str(stage.player.failure)


def test_attachments_are_compared() -> None:
    line = up('51-["b",{"_placeholder":true,"num":0}]', b"\x01\x02")
    stage = Stage(*CONNECT, line, down('51-["b",{"_placeholder":true,"num":0}]', b"\x03"))
    stage.say("0")
    assert stage.say('51-["b",{"_placeholder":true,"num":0}]', b"\x01\x02") == ['51-["b",{"_placeholder":true,"num":0}] +1']
    stage = Stage(*CONNECT, line)
    stage.say("0")
    assert stage.say('51-["b",{"_placeholder":true,"num":0}]', b"\x01\xff") == [MISMATCH]
    assert "$[1]: ‹2 bytes 0102› != ‹2 bytes 01ff›" in str(stage.player.failure)


def test_auth_is_compared_by_its_keys() -> None:
    lines = (up('0{"jwt":"<redacted:1>","v":1}'), down('0{"sid":"@sid1"}'))
    assert Stage(*lines).say('0{"v":2,"jwt":"another"}') == [f'0{{"sid":"{SID}"}}']
    stage = Stage(*lines)
    assert stage.say('0{"v":1,"token":"secret"}') == [MISMATCH]
    failure = str(stage.player.failure)
    assert '$.jwt: "…" != nothing' in failure
    assert '$.token: nothing != "…"' in failure
    assert "secret" not in failure
    assert Stage(*lines, ignore_paths=["$.jwt", "$.token"]).say('0{"v":1,"token":"secret"}') != [MISMATCH]
    assert Stage(*lines, ignore_paths=[lambda path, *_: path in ("$.jwt", "$.token")]).say('0{"v":1,"token":"x"}') != [MISMATCH]


def test_no_auth_is_an_empty_one() -> None:
    assert Stage(*CONNECT).say("0{}") == [f'0{{"sid":"{SID}"}}']
    assert Stage(*CONNECT).say('0{"pid":null}') == [f'0{{"sid":"{SID}"}}']


def test_what_auth_held_is_known_from_then_on() -> None:
    stage = Stage(up('0{"t":"<redacted:1>"}'), down('0{"sid":"@sid1"}'), up('2["again","<redacted:1>"]'), down('2["you said","<redacted:1>"]'))
    stage.say('0{"t":"live"}')
    assert stage.say('2["again","live"]') == ['2["you said","live"]']


def test_live_ids_stand_for_recorded_ones_everywhere() -> None:
    stage = Stage(up("0"), down('0{"sid":"@sid1","pid":"@pid1"}'), up('2["i am","@sid1"]'), down('2["room","@sid1",{"id":"user-@sid1"},"@sid9"]'))
    pid = "replay00000000000002"
    assert stage.say("0") == [f'0{{"sid":"{SID}","pid":"{pid}"}}']
    assert stage.say(f'2["i am","{SID}"]') == [f'2["room","{SID}",{{"id":"user-{SID}"}},"@sid9"]']
    stage = Stage(up("0"), down('0{"sid":"@sid1"}'), up('2["i am","@sid1"]'))
    stage.say("0")
    assert stage.say('2["i am","somebody else"]') == [MISMATCH]


def test_ids_that_were_not_redacted_are_given_as_they_are() -> None:
    assert Stage(up("0"), down('0{"sid":"Kq3v"}')).say("0") == ['0{"sid":"Kq3v"}']


def test_paths_are_ignored_on_both_sides() -> None:
    recorded = up('2["e",{"messages":[{"id":1,"text":"a"},{"id":2,"text":"b"}]}]')
    live = '2["e",{"messages":[{"id":7,"text":"a"},{"text":"b"}]}]'
    stage = Stage(*CONNECT, recorded, ignore_paths=["$[1].messages[*].id"])
    stage.say("0")
    assert stage.say(live) == []
    assert stage.player.report().matched == 2


UUIDS = ("00000000-0000-4000-8000-000000000001", "AB34CD56-0000-4000-8000-00000000000f")


@pytest.mark.parametrize(
    ("judge", "recorded", "live", "is_same"),
    [
        (ANY_UUID, UUIDS[0], UUIDS[1], True),
        (ANY_UUID, UUIDS[0], "no uuid", False),
        (ANY_UUID, 1, 2, False),
        (ANY_TIME, "2026-11-20T20:15:20Z", "2027-01-01T00:00:00.123+01:00", True),
        (ANY_TIME, "2026-11-20", "today", False),
        (ANY_TIME, 1795205129.5, 1795205130, True),
        (ANY_TIME, 1795205129500, 1795205130, False),
        (ANY_TIME, 1, 2, False),
        (ANY_TIME, True, "2026-11-20", False),
        (at("$[1].x[*]", ANY_UUID), UUIDS[0], UUIDS[1], False),
        (at("$[1]", ANY_UUID), UUIDS[0], UUIDS[1], True),
        (at("$.*", ANY_UUID), UUIDS[0], UUIDS[1], True),
        (at("$[2]", ANY_UUID), UUIDS[0], UUIDS[1], False),
    ],
)
def test_patterns_pass_only_where_they_are_asked_for(judge: object, recorded: object, live: object, is_same: bool) -> None:
    line = up("2" + json.dumps(["e", recorded]))
    stage = Stage(*CONNECT, line, ignore_paths=[judge])
    stage.say("0")
    assert (stage.say("2" + json.dumps(["e", live])) == []) is is_same
    stage = Stage(*CONNECT, line)
    stage.say("0")
    assert stage.say("2" + json.dumps(["e", live])) == [MISMATCH], "never by default"


def test_what_is_no_payload_has_no_path_to_be_judged_at() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), ignore_paths=[at("$", ANY_UUID)])
    stage.say("0")
    assert stage.say('20["a"]') == [MISMATCH]


# -------------------------------------------------------------------------------------------------------------------------------------- order

TWO = (up("0"), up("0/a,"), down('0{"sid":"s"}'), down('0/a,{"sid":"t"}'), down('2/a,["motd"]'))
IN_TURN = (up("0"), down('0{"sid":"s"}'), up("0/a,"), down('0/a,{"sid":"t"}'), down('2/a,["motd"]'))
ORDERS = ("ordered", "per-namespace", "unordered")


@pytest.mark.parametrize("strict", ORDERS)
@pytest.mark.parametrize("lines", [TWO, IN_TURN])
def test_namespaces_may_be_joined_in_any_order(lines: tuple[Line, ...], strict: str) -> None:
    stage = Stage(*lines, strict=strict)
    assert stage.say("0/a,") == ['0/a,{"sid":"t"}', '2/a,["motd"]']
    assert stage.say("0") == ['0{"sid":"s"}']


def test_a_namespace_that_is_joined_may_be_used_before_another_is() -> None:
    stage = Stage(*TWO, up('20["e"]'), down("30[]"))
    assert stage.say("0") == []
    assert stage.say('20["e"]') == ["30[]"]
    assert stage.say("0/a,") == ['0{"sid":"s"}', '0/a,{"sid":"t"}', '2/a,["motd"]']


def test_a_namespace_is_not_used_before_it_is_joined() -> None:
    stage = Stage(*CONNECT, up('2["e"]'))
    assert stage.say('2["e"]') == [MISMATCH]
    assert "expected  CONNECT /" in str(stage.player.failure)


def test_a_namespace_is_not_joined_before_what_was_said_elsewhere() -> None:
    lines = (*CONNECT, up('2["e"]'), up("0/a,"), down('0/a,{"sid":"t"}'))
    stage = Stage(*lines)
    stage.say("0")
    assert stage.say("0/a,") == [MISMATCH]
    stage = Stage(*lines, strict="per-namespace")
    stage.say("0")
    assert stage.say("0/a,") == ['0/a,{"sid":"t"}']


def test_what_has_come_is_not_awaited_again() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), up('2["b"]'), strict="unordered")
    stage.say("0")
    assert stage.say('2["b"]') == []
    assert stage.say('2["b"]') == [MISMATCH]
    assert "client packet 2 (line 4)" in str(stage.player.failure)


BOTH = (*TWO, up('2["e",1]'), up('2/a,["e",2]'), up('2["e",3]'))


@pytest.mark.parametrize(
    ("said", "strictnesses"),
    [
        (('2["e",1]', '2/a,["e",2]', '2["e",3]'), {"ordered", "per-namespace", "unordered"}),
        (('2/a,["e",2]', '2["e",1]', '2["e",3]'), {"per-namespace", "unordered"}),
        (('2["e",3]', '2["e",1]', '2/a,["e",2]'), {"unordered"}),
        (('2["e",1]', '2["e",1]'), set()),
    ],
)
def test_the_order_is_as_strict_as_it_is_said_to_be(said: tuple[str, ...], strictnesses: set[str]) -> None:
    passed = set()
    for strict in ORDERS:
        stage = Stage(*BOTH, strict=strict)
        stage.say("0")
        stage.say("0/a,")
        if all(MISMATCH not in stage.say(message) for message in said):
            passed.add(strict)
    assert passed == strictnesses


def test_without_order_each_answer_follows_its_question() -> None:
    stage = Stage(*CONNECT, up('21["a"]'), down("31[1]"), down('2["after a"]'), up('22["b"]'), down("32[2]"), strict="unordered")
    stage.say("0")
    assert stage.say('25["b"]') == ["35[2]"]
    assert stage.say('26["a"]') == ["36[1]", '2["after a"]']


def test_equal_packets_are_taken_one_after_the_other() -> None:
    stage = Stage(*CONNECT, up('21["a"]'), down("31[1]"), up('22["a"]'), down("32[2]"), strict="unordered")
    stage.say("0")
    assert stage.say('20["a"]') == ["30[1]"]
    assert stage.say('21["a"]') == ["31[2]"]


def test_relaxed_events_of_the_server_do_not_wait() -> None:
    lines = (*CONNECT, down('21["q"]'), up("31[]"), down('2["race"]'), up('2["a"]'), down('2["b"]'))
    assert Stage(*lines).say("0")[1:] == ['21["q"]']
    stage = Stage(*lines, relax=["race"])
    assert stage.say("0")[1:] == ['21["q"]', '2["race"]']
    assert stage.say("31[]") == []
    assert stage.say('2["a"]') == ['2["b"]']


def test_relaxed_events_of_the_client_come_when_they_like_and_hold_nothing_back() -> None:
    stage = Stage(*CONNECT, up('21["tick"]'), down("31[]"), up('2["a"]'), down('2["b"]'), relax=["tick"])
    stage.say("0")
    assert stage.say('2["a"]') == ['2["b"]']
    assert stage.say('27["tick"]') == ["37[]"]
    assert stage.player.is_complete


def test_answers_to_relaxed_questions_come_when_they_like() -> None:
    stage = Stage(*CONNECT, down('21["q"]'), up("31[]"), up('2["a"]'), down('2["b"]'), relax=["q"])
    stage.say("0")
    assert stage.say('2["a"]') == ['2["b"]']
    assert stage.say("31[]") == []
    assert stage.player.is_complete


# ---------------------------------------------------------------------------------------------------------------------------------------- time

TIMED = (opened(time=10.0), up("0", time=11.0), down('0{"sid":"s"}', time=11.5), down('2["n"]', time=13.5), down('2["m"]'), ended(time=14.0))


def test_without_timing_nothing_waits() -> None:
    assert Stage(*TIMED).say("0") == ['0{"sid":"s"}', '2["n"]', '2["m"]', "end"]


@pytest.mark.parametrize(("timing", "scale"), [("recorded", 1.0), (0.5, 0.5), (2, 2.0)])
def test_recorded_times_are_kept_between_cause_and_effect(timing: str | float, scale: float) -> None:
    stage = Stage(*TIMED, timing=timing)
    stage.wait(3.0)
    assert stage.say("0") == []
    assert stage.seat.deadline == 3.0 + 0.5 * scale
    assert stage.wait(0.5 * scale) == ['0{"sid":"s"}']
    assert stage.wait(1.9 * scale) == []
    assert stage.wait(0.2 * scale) == ['2["n"]', '2["m"]'], "what has no time goes with what is before it"
    assert stage.wait(0.5 * scale) == ["end"]


def test_what_nothing_caused_is_timed_from_the_opening() -> None:
    stage = Stage(opened(time=1.0), down('2["n"]', time=3.0), up("0", time=4.0), timing="recorded")
    assert stage.first == []
    assert stage.wait(2.0) == ['2["n"]']
    assert Stage(down('2["n"]', time=3.0), up("0"), timing="recorded").first == ['2["n"]'], "nobody knows when it was opened"


def test_a_client_that_is_late_is_not_hurried() -> None:
    stage = Stage(opened(time=0.0), up("0", time=1.0), down('0{"sid":"s"}', time=0.9), timing="recorded")
    assert stage.say("0") == ['0{"sid":"s"}']


# ------------------------------------------------------------------------------------------------------------------------------------- failures


def query(version: str) -> str:
    data = {"version": version, "source": "default", "model": "r1-1776", "messages": [{"role": "user", "content": "hi"}]}
    return "2" + json.dumps(["perplexity_labs", data])


def test_a_mismatch_tells_where_what_and_how_to_accept_it() -> None:
    lines: tuple[Line, ...] = (
        opened(),
        *CONNECT,
        up('20["echo"]'),
        down("30[]"),
        up(query("2.18")),
        *(down(f'2["progress",{i}]') for i in range(20)),
    )
    stage = Stage(*lines, to_accept="pytest --sio-record=rewrite -k test_labs")
    stage.say("0")
    stage.say('20["echo"]')
    assert stage.say(query("2.13")) == [MISMATCH]
    error = stage.player.failure
    assert isinstance(error, CassetteMismatch)
    assert str(error) == "\n".join(
        [
            "test.eio.jsonl, session 1, client packet 3 (line 7)",
            '  expected  EVENT /  "perplexity_labs"  [{"version":"2.18","source":"default","model":"r1-1776",…}]',
            '  got       EVENT /  "perplexity_labs"  [{"version":"2.13","source":"default","model":"r1-1776",…}]',
            '  $[1].version: "2.18" != "2.13"',
            "  so far: CONNECT / ✓  EVENT echo ✓   server is waiting to send 20 packets after this one",
            '  to accept: pytest --sio-record=rewrite -k test_labs   or   ignore_paths=["$[1].version"]',
        ]
    )
    assert (error.capture, error.session, error.number, error.line) == ("test.eio.jsonl", 1, 3, 7)
    assert error.differences == ("$[1].version",)
    assert error.cause is Cause.REPLAY_MISMATCH
    assert error.fix is not None
    report = stage.player.report()
    assert report.failures == (error,)
    assert str(report).startswith("1 of 1 session played, 2 packets matched\n20 packets not sent, the first: session 1, line 8: EVENT")
    with pytest.raises(CassetteMismatch):
        report.raise_for_failure()


def test_a_mismatch_shows_the_nearest_candidate() -> None:
    stage = Stage(*CONNECT, up('2["a",{"x":1,"y":2}]'), up('2["a",{"x":1,"y":3}]'), up('2/a,["a"]'), strict="unordered", allow_unplayed=True)
    stage.say("0")
    stage.say('2["a",{"x":9,"y":3}]')
    assert "client packet 3 (line 5)" in str(stage.player.failure)
    assert "$[1].x: 1 != 9" in str(stage.player.failure)


def test_what_comes_after_the_last_packet_is_a_mismatch() -> None:
    stage = Stage(*CONNECT)
    stage.say("0")
    assert stage.say('2["more"]') == [MISMATCH]
    assert str(stage.player.failure) == "\n".join(
        [
            "test.eio.jsonl, session 1, after the last client packet",
            "  expected  nothing more",
            '  got       EVENT /  "more"  []',
            "  so far: CONNECT / ✓   server has nothing more to send",
            "  to accept: record the session again",
        ]
    )


def test_what_is_no_packet_is_a_mismatch() -> None:
    stage = Stage(*CONNECT)
    assert written(stage.seat.refuse("garbage", 0.0)) == [MISMATCH]
    assert "expected  CONNECT /\n  got       garbage" in str(stage.player.failure)
    assert stage.seat.refuse("more", 0.0) == []
    assert stage.seat.wake(99.0) == []


def test_a_story_is_of_bounded_length() -> None:
    stage = Stage(*CONNECT, *(up(f'2["n",{i}]') for i in range(20)), up("2" + json.dumps(["big", list(range(50))])))
    stage.say("0")
    for i in range(20):
        stage.say(f'2["n",{i}]')
    stage.say("2" + json.dumps(["big", [-1] * 50, "\u202e" + "x" * 500, {"k" * 300: {}}, "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"]))
    text = str(stage.player.failure)
    assert "so far: … 15 more ✓  EVENT n ✓" in text
    assert "  … and 45 more differences\n" in text
    assert text.endswith("to accept: record the session again"), "so many paths accept nothing in particular"
    assert all(len(line) < 200 for line in text.splitlines())
    assert "\u202e" not in text


def test_tokens_are_not_told() -> None:
    stage = Stage(*CONNECT, up('2["a"]'))
    stage.say("0")
    stage.say('2["b","eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl",7]')
    text = str(stage.player.failure)
    assert '["<redacted>",7]' in text


def test_who_waits_for_ever_is_told_so() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), down('2["b"]'), idle_limit=2.0)
    assert stage.seat.deadline == 2.0
    stage.wait(1.0)
    stage.say("0")
    assert stage.wait(1.9) == []
    assert stage.wait(0.2) == ["end: replay-stalled"]
    error = stage.player.failure
    assert isinstance(error, ReplayStalled)
    assert str(error) == "\n".join(
        [
            "test.eio.jsonl, session 1, client packet 2 (line 4)",
            '  expected  EVENT /  "a"  []',
            "  got       nothing for 2 s, and the client is owed nothing",
            "  so far: CONNECT / ✓   server is waiting to send 1 packet after this one",
        ]
    )
    assert (error.number, error.line) == (2, 4)


def test_who_is_owed_something_does_not_stall() -> None:
    stage = Stage(opened(time=0.0), up("0", time=0.0), down('0{"sid":"s"}', time=60.0), up('2["a"]'), timing="recorded", idle_limit=1.0)
    stage.say("0")
    assert stage.wait(59.0) == []
    assert stage.wait(1.0) == ['0{"sid":"s"}']
    assert stage.wait(1.5) == ["end: replay-stalled"]


def test_who_has_said_everything_may_stay() -> None:
    stage = Stage(*CONNECT)
    stage.say("0")
    assert stage.wait(1e6) == []
    assert stage.player.report().is_ok


def test_who_leaves_early_is_told_in_the_end() -> None:
    stage = Stage(*CONNECT, up('20["a"]'), up('20["b"]'), down('2["c"]'))
    stage.say("0")
    stage.seat.left(0.0)
    assert stage.seat.deadline == float("inf")
    report = stage.player.report()
    [error] = report.failures
    assert isinstance(error, ReplayUnfinished)
    assert str(error).splitlines()[:3] == [
        "test.eio.jsonl, session 1, client packet 2 (line 4)",
        '  expected  EVENT /  "a"  []  asks for an answer  and 1 more',
        "  got       no more of this client",
    ]
    assert (error.missing, report.unmatched, len(report.unplayed)) == (2, 2, 1)
    assert "2 packets never came" in str(report)


def test_leaving_early_can_be_allowed() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), allow_unplayed=True)
    stage.say("0")
    stage.seat.left(0.0)
    assert stage.player.report().is_ok
    assert Player(tape(*CONNECT), allow_unplayed=True).report().is_ok


def test_a_session_that_never_came_is_told() -> None:
    player = Player(tape(*CONNECT, up("0", session=2), down('0{"sid":"@sid2"}', session=2)))
    sit(player).receive(packet("0"), 0.0)
    report = player.report()
    assert (report.sessions, report.played, report.unmatched) == (2, 1, 1)
    assert report.unplayed == ('session 2, line 5: CONNECT /  {"sid":…}',)
    assert [type(error) for error in report.failures] == [ReplayUnfinished]
    assert not player.is_complete


def test_goodbyes_need_not_come_and_may_come_unasked() -> None:
    stage = Stage(*CONNECT, up("1"), ended("client"))
    stage.say("0")
    assert stage.wait(100.0) == []
    assert stage.player.is_complete
    assert stage.say("1") == []
    stage = Stage(*CONNECT, ended("client"))
    stage.say("0")
    assert stage.say("1") == []
    assert stage.player.report().is_ok


def test_a_goodbye_in_the_middle_is_a_packet_as_any() -> None:
    lines = (*IN_TURN, up("1/a,"), up('2["e"]'))
    stage = Stage(*lines)
    stage.say("0")
    stage.say("0/a,")
    assert stage.say('2["e"]') == [MISMATCH]


def test_a_goodbye_that_comes_early_is_told_as_leaving_early() -> None:
    stage = Stage(*CONNECT, up('2["a"]'), up("1"))
    stage.say("0")
    assert stage.say("1") == []
    assert [type(error) for error in stage.player.report().failures] == [ReplayUnfinished]


# ------------------------------------------------------------------------------------------------------------------------------------- sessions


def test_sessions_come_in_the_order_in_which_they_were_recorded() -> None:
    lines = (*CONNECT, up("0", session=2), down('0{"sid":"@sid2"}', session=2))
    player = Player(tape(*lines))
    first, second = sit(player), sit(player)
    assert written(second.receive(packet("0"), 0.0)) == [f'0{{"sid":"{SID}"}}'], "ids are made when they are needed"
    assert written(first.receive(packet("0"), 0.0)) == ['0{"sid":"replay00000000000002"}']
    with pytest.raises(CassetteMismatch, match="2 sessions\n  expected  no more sessions\n  got       session number 3 of the client"):
        player.open(0.0)
    assert len(player.report().failures) == 1
    assert player.failure is not None


def test_the_last_session_can_be_had_again() -> None:
    player = Player(tape(up('0{"t":"<redacted:1>"}'), down('0{"sid":"@sid1"}'), up('2["t","<redacted:1>"]')), reuse_last=True)
    for token in ("a", "b"):
        seat = sit(player)
        assert len(seat.receive(packet(json.dumps({"t": token}).join(("0", ""))), 0.0)) == 1
        assert seat.receive(packet("2" + json.dumps(["t", token])), 0.0) == []
    assert player.is_complete
    assert player.report().played == 1


def test_a_lost_session_is_taken_up_as_it_was() -> None:
    first = (up("0"), down('0{"sid":"@sid1","pid":"@pid1"}'), down('2["n",1,"offset1"]'))
    second = (up('0{"pid":"@pid1","offset":"offset1"}', session=2), down('2["n",2,"offset2"]', session=2))
    player = Player(tape(opened(), *first, opened(2), *second, down('0{"sid":"@sid1","pid":"@pid1"}', session=2)))
    one = written(sit(player).receive(packet("0"), 0.0))
    assert one == [f'0{{"sid":"{SID}","pid":"replay00000000000002"}}', '2["n",1,"offset1"]']
    two = written(sit(player).receive(packet('0{"pid":"replay00000000000002","offset":"offset1"}'), 0.0))
    assert two == ['2["n",2,"offset2"]', one[0]]


def test_secrets_can_be_given() -> None:
    stage = Stage(*CONNECT, down('2["t","<redacted:1>"]'), secrets={"<redacted:1>": "known"})
    assert stage.say("0")[1:] == ['2["t","known"]']


# -------------------------------------------------------------------------------------------------------------------------- what cannot be played


def test_a_capture_with_gaps_is_refused() -> None:
    lines = (*CONNECT, gap(), Undecoded(session=1, direction=Direction.UP, transport=Transport.POLLING, data="4x", error="unknown-packet-type"))
    with pytest.raises(CaptureError, match=r"session 1, line 4: the body of a GET was not recorded; session 1, line 5: a message") as caught:
        Player(tape(*lines))
    assert (caught.value.cause, caught.value.path) == (Cause.CAPTURE_HAS_GAPS, "test.eio.jsonl")
    assert Player(tape(*lines), allow_gaps=True).scripts[0].doubts
    with pytest.raises(CaptureError, match="and 4 more"):
        Player(tape(*CONNECT, *[gap()] * 10))


@pytest.mark.parametrize("lines", [(), (opened(),), (gap(session=2),)])
def test_a_capture_with_nothing_to_play_is_refused(lines: tuple[Line, ...]) -> None:
    with pytest.raises(CaptureError) as caught:
        Player(lines, allow_gaps=True)
    assert caught.value.cause is Cause.NOTHING_TO_REPLAY


def test_what_belongs_to_no_session_is_passed_over() -> None:
    refusal = HttpAnswer(session=0, method="GET", status=400)
    assert Player(tape(refusal, *CONNECT)).scripts[0].awaited[0].line == 3


def test_lines_will_do_for_a_capture() -> None:
    assert Player([Head(), *CONNECT]).scripts == Player(iter(CONNECT)).scripts
    assert Head().level is Level.PACKETS


@pytest.mark.parametrize(
    "options",
    [
        {"strict": "very"},
        {"timing": "slowly"},
        {"timing": -1},
        {"timing": float("nan")},
        {"idle_limit": 0},
        {"ignore_paths": ["[1]"]},
        {"relax": "name"},
    ],
)
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Player(tape(*CONNECT), **options)  # type: ignore[arg-type]
    assert caught.value.cause is Cause.BAD_OPTION


# ----------------------------------------------------------------------------------------------------------------------------- as the client


def client(*lines: Line, **options: object) -> Stage:
    """The recorded client."""
    return Stage(*lines, ours=Direction.UP, **options)


def test_the_client_speaks_as_it_did() -> None:
    lines = (opened(), *CONNECT, up('27["echo","@sid1"]'), down('37["x"]'), down('220["q"]'), up("320[1]"), down('2["ok"]'), up("1"), ended("client"))
    stage = client(*lines)
    assert stage.first == ["0"]
    assert stage.say('0{"sid":"live"}') == ['27["echo","live"]']
    assert stage.say('37["x"]') == []
    assert stage.say('25["q"]') == ["35[1]"], "the id of a server's question is bound"
    assert stage.say('2["ok"]') == ["1", "end"]
    assert stage.player.report().is_ok


def test_a_server_may_answer_connect_before_or_after_its_events() -> None:
    early, late = down('2/a,["motd"]'), down('0/a,{"sid":"@sid1"}')
    for lines in ((up("0/a,"), early, late, up('2/a,["e"]')), (up("0/a,"), late, early, up('2/a,["e"]'))):
        for said in (('2/a,["motd"]', '0/a,{"sid":"s"}'), ('0/a,{"sid":"s"}', '2/a,["motd"]')):
            for strict in ORDERS:
                stage = client(*lines, strict=strict)
                stage.say(said[0])
                stage.say(said[1])
                assert stage.player.is_complete, (lines, said, strict)


def test_a_server_that_says_something_else_is_told_so() -> None:
    stage = client(*CONNECT, up('20["sum",1,2]'), down("30[3]"))
    stage.say('0{"sid":"s"}')
    assert stage.say("30[4]") == [MISMATCH]
    assert str(stage.player.failure).splitlines() == [
        "test.eio.jsonl, session 1, server packet 2 (line 5)",
        "  expected  ACK /  id 0  [3]",
        "  got       ACK /  id 0  [4]",
        "  $[0]: 3 != 4",
        "  so far: CONNECT / ✓   client has nothing more to send",
        '  to accept: ignore_paths=["$[0]"]',
    ]


def test_a_goodbye_of_the_server_must_come() -> None:
    stage = client(*CONNECT, up('2["kick"]'), down("1"))
    stage.say('0{"sid":"s"}')
    assert stage.wait(6.0) == ["end: replay-stalled"]
    assert "expected  DISCONNECT /" in str(stage.player.failure)


def test_packets_without_a_payload_are_described() -> None:
    stage = client(*CONNECT, up('2["kick"]'), down("1"))
    stage.say('0{"sid":"s"}')
    assert written(stage.seat.receive(Packet(PacketType.CONNECT_ERROR, "no", "/"), 0.0)) == [MISMATCH]
    assert 'got       CONNECT_ERROR /  "no"' in str(stage.player.failure)


def test_what_a_namespace_asks_with_may_be_another() -> None:
    stage = Stage(up("0/admin?token=<redacted:1>,"), *CONNECT)
    assert stage.say("0/admin?token=mine,") == []
    assert stage.seat.matched == [0]
    assert stage.say("0/other?token=mine,") == ["end: replay-mismatch"]


def test_a_token_in_an_attachment_may_be_another() -> None:
    ask = '51-0["echo",{"_placeholder":true,"num":0}]'
    stage = Stage(*CONNECT, up(ask, b"\xfft=<redacted:1>"), down("30[]"), up(ask, b"<redacted:1>"))
    stage.say("0")
    assert stage.say(ask, b"\xfft=mine") == ["30[]"]
    assert stage.say(ask, b"yours") == ["end: replay-mismatch"]
