"""Scripts: taking up a lost session where it was lost.

The server grants a namespace with a private id and appends an offset to each event that it could send again. The client takes the offset off, and
comes back with the last one. The shapes of what goes wrong are those that people met with the reference client and server: no event yet (their issues
4888 and 5538), recovery that worked once and no more (4880), words that look like an offset (5539).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.inputs import Connect, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import AuthNeeded, CallAnswered, EventReceived, NamespaceLeft, Reconnected
from engineio_lite.socketio.inputs import Acknowledge, Deliver, Emit, JoinNamespace, LeaveNamespace, ProvideAuth
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.socketio.recovery import Recovery, read_offset
from engineio_lite.state import CloseReason, LinkState, Transport
from tests.core.script import NO_UPGRADE, arrives, at, ends, frame, hang_up, opened, refuses, websocket
from tests.script import play
from tests.socketio.links import Script, asked, asking, cut, grant, granted, linked, reconnecting, retrying, shows, vanishes, wanting
from tests.socketio.script import event

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
BEGIN = 1_795_000_000_000
"""An instant in 2026, in milliseconds, at which the scripts' servers begin to send."""


def in_memory(milliseconds: int, counter: int | None = None) -> str:
    """An offset as the in-memory adapter makes it: an instant in base 64, and a counter (again in base 64) if there was one in it already."""

    def written(number: int) -> str:
        text = ""
        while number or not text:
            number, digit = divmod(number, 64)
            text = DIGITS[digit] + text
        return text

    return written(milliseconds) + ("" if counter is None else f".{written(counter)}")


ONE, TWO, THREE = in_memory(BEGIN), in_memory(BEGIN, 0), in_memory(BEGIN + 500)
REDIS = f"{BEGIN}-0"
MONGO = "652ff4c1a9d1f0c3b2e8d701"


def claim(pid: str, offset: str | None = None) -> str:
    """The payload of CONNECT with nothing but our claim."""
    return f'{{"pid":"{pid}"}}' if offset is None else f'{{"pid":"{pid}","offset":"{offset}"}}'


def recoverable(*offsets: str, **options: Any) -> Script:
    """The main namespace is ours with the pid "p", and an event has come for each of these offsets."""
    script = asked("/", **options) >> arrives(grant(pid="p")) << granted(pid="p")
    for number, offset in enumerate(offsets):
        script = script >> arrives(f'42["e",{number},"{offset}"]') << event("e", number)
    return script << shows(LinkState.CONNECTED)


def returning(script: Script, payload: str, *, when: float = 1.0) -> Script:
    """The line breaks a second before that; on the next connection the main namespace is asked for with this payload."""
    return asking(retrying(cut(script >> at(when - 1.0)), when), f"40{payload}")


def taken_up(script: Script, *, pid: str = "p") -> Script:
    """The server takes the session up, with nothing that was missed."""
    return script >> arrives(grant(pid=pid)) << granted(pid=pid, recovered=True) << Reconnected(1, True)


# --- What is claimed.


def test_the_offset_is_taken_off_and_claimed_and_what_was_missed_comes_after_the_grant() -> None:
    script = returning(recoverable(ONE, TWO), claim("p", TWO))
    script = script >> arrives(f'42["missed",1,"{THREE}"]') >> arrives(f'42["missed","{in_memory(BEGIN + 800)}"]')
    script = script >> arrives(grant(pid="p")) << granted(pid="p", recovered=True) << Reconnected(1, True) << event("missed", 1) << event("missed")
    script = script >> arrives(f'42["on","{in_memory(BEGIN + 900)}"]') << event("on")
    play(returning(script, claim("p", in_memory(BEGIN + 900)), when=9.0))


def test_what_comes_again_moves_the_claim_on() -> None:
    script = returning(recoverable(ONE), claim("p", ONE)) >> arrives(f'42["missed","{TWO}"]') >> arrives(grant(pid="p"))
    script = script << granted(pid="p", recovered=True) << Reconnected(1, True) << event("missed")
    play(returning(script, claim("p", TWO), when=9.0))


def test_several_recoveries_in_a_row() -> None:
    script = recoverable(ONE)
    for number in range(1, 6):
        offset = in_memory(BEGIN + 1000 * number)
        before = in_memory(BEGIN + 1000 * (number - 1))
        script = returning(script, claim("p", before), when=2.0 * number)
        script = taken_up(script) >> arrives(f'42["e",{number},"{offset}"]') << event("e", number)
    play(script)


def test_a_recovery_during_which_nothing_came_claims_the_same_again() -> None:
    script = taken_up(returning(recoverable(ONE), claim("p", ONE), when=1.0))
    script = taken_up(returning(script, claim("p", ONE), when=3.0))
    play(returning(script, claim("p", ONE), when=5.0))


def test_without_an_event_so_far_the_pid_alone_is_claimed_and_a_new_session_is_a_new_session() -> None:
    script = returning(recoverable(), claim("p")) >> arrives(grant(sid="other", pid="q")) << granted(sid="other", pid="q") << Reconnected(1, False)
    play(returning(script, claim("q"), when=3.0))


def test_a_server_that_recovers_without_an_offset_may_do_so() -> None:
    play(taken_up(returning(recoverable(), claim("p"))))


def test_a_session_that_is_gone_is_forgotten_with_its_offset() -> None:
    script = returning(recoverable(ONE), claim("p", ONE)) >> arrives(grant(sid="other", pid="q")) << granted(sid="other", pid="q")
    script = returning(script << Reconnected(1, False), claim("q"), when=3.0)
    script = script >> arrives(grant(sid="third", pid="r")) << granted(sid="third", pid="r") << Reconnected(1, False)
    play(returning(script >> arrives(f'42["e","{TWO}"]') << event("e"), claim("r", TWO), when=5.0))


def test_recovery_works_again_after_it_failed() -> None:
    script = taken_up(returning(recoverable(ONE), claim("p", ONE)))
    script = returning(script, claim("p", ONE), when=3.0) >> arrives(grant(sid="other", pid="q")) << granted(sid="other", pid="q")
    script = script << Reconnected(1, False) >> arrives(f'42["e","{TWO}"]') << event("e")
    script = returning(script, claim("q", TWO), when=5.0) >> arrives(grant(sid="other", pid="q"))
    play(script << granted(sid="other", pid="q", recovered=True) << Reconnected(1, True))


def test_a_session_survives_tries_that_fail() -> None:
    script = returning(recoverable(ONE), claim("p", ONE)) >> at(2.0)
    script = asking(retrying(_broken(script), 4.0), f"40{claim('p', ONE)}")
    play(script >> arrives(grant(pid="p")) << granted(pid="p", recovered=True) << Reconnected(2, True))


def _broken(script: Script) -> Script:
    return script >> vanishes() << StartOver() << reconnecting(2, 2.0)


def test_the_application_s_payload_goes_with_the_claim_and_wins() -> None:
    auth = {"token": "t", "pid": "mine"}
    script = wanting() >> JoinNamespace("/", auth)
    script = asking(_connecting(script), '40{"token":"t","pid":"mine"}') >> arrives(grant(pid="p")) << granted(pid="p")
    script = script >> arrives(f'42["e","{ONE}"]') << event("e")
    play(returning(script, f'{{"pid":"mine","offset":"{ONE}","token":"t"}}'))
    assert auth == {"token": "t", "pid": "mine"}


def _connecting(script: Script) -> Script:
    return script >> Connect() << websocket(1, upgrade=False)


def test_a_payload_that_is_asked_for_goes_with_the_claim_too() -> None:
    script = _connecting(wanting() >> JoinNamespace("/", deferred=True)) >> WebSocketOpened(1) >> arrives(NO_UPGRADE)
    script = script << opened(Transport.WEBSOCKET, upgrades=()) << AuthNeeded("/") >> ProvideAuth("/", None) << frame("40")
    script = script >> arrives(grant(pid="p")) << granted(pid="p") >> arrives(f'42["e","{ONE}"]') << event("e")
    script = retrying(cut(script)) >> WebSocketOpened(1) >> arrives(NO_UPGRADE) << opened(Transport.WEBSOCKET, upgrades=()) << AuthNeeded("/")
    play(script >> ProvideAuth("/", {"token": 2}) << frame(f'40{{"pid":"p","offset":"{ONE}","token":2}}'))


def test_each_namespace_has_its_own_session() -> None:
    script = asked("/", "/a", "/b") >> arrives(grant(pid="p")) << granted(pid="p") >> arrives(grant("/a", pid="q")) << granted("/a", pid="q")
    script = script >> arrives(grant("/b")) << granted("/b") >> arrives(f'42/a,["e","{ONE}"]') << event("e", namespace="/a")
    script = script >> arrives(f'42/b,["e","{TWO}"]') << event("e", TWO, namespace="/b")
    script = asking(retrying(cut(script, "/", "/a", "/b")), f"40{claim('p')}", f"40/a,{claim('q', ONE)}", "40/b,")
    script = script >> arrives(grant("/a", pid="q")) << granted("/a", pid="q", recovered=True) >> arrives(grant(sid="new", pid="r"))
    play(script << granted(sid="new", pid="r") >> arrives(grant("/b")) << granted("/b") << Reconnected(1, False))


def test_a_connection_is_recovered_if_all_of_its_namespaces_are() -> None:
    script = asked("/", "/a") >> arrives(grant(pid="p")) << granted(pid="p") >> arrives(grant("/a", pid="q")) << granted("/a", pid="q")
    script = asking(retrying(cut(script, "/", "/a")), f"40{claim('p')}", f"40/a,{claim('q')}")
    script = script >> arrives(grant(pid="p")) << granted(pid="p", recovered=True)
    play(script >> arrives(grant("/a", pid="q")) << granted("/a", pid="q", recovered=True) << Reconnected(1, True))


def test_a_server_that_stops_offering_recovery_is_claimed_nothing_of() -> None:
    script = returning(recoverable(ONE), claim("p", ONE)) >> arrives(grant()) << granted() << Reconnected(1, False)
    script = script >> arrives(f'42["e","{TWO}"]') << event("e", TWO)
    play(returning(script, "", when=3.0))


# --- What is forgotten.


def test_a_namespace_that_we_left_is_not_taken_up() -> None:
    script = asked("/", "/a") >> arrives(grant(pid="p")) << granted(pid="p") >> arrives(grant("/a", pid="q")) << granted("/a", pid="q")
    script = script >> arrives(f'42/a,["e","{ONE}"]') << event("e", namespace="/a") >> LeaveNamespace("/a") << frame("41/a,")
    script = cut(script << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)) >> JoinNamespace("/a")
    play(asking(retrying(script), f"40{claim('p')}", "40/a,"))


def test_a_namespace_that_the_server_ended_is_not_taken_up() -> None:
    script = recoverable(ONE, policy=ReconnectPolicy(decide=lambda lost: True)) >> arrives("41") << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
    script = script << frame("1") << hang_up() << StartOver() << reconnecting(1, 1.0, CloseReason.SERVER_DISCONNECT, None)
    play(asking(retrying(script), "40"))


def test_a_client_that_does_not_want_it_claims_nothing_and_leaves_the_arguments_alone() -> None:
    script = asked("/", recovery=False) >> arrives(grant(pid="p")) << granted(pid="p") >> arrives(f'42["e","{ONE}"]') << event("e", ONE)
    script = returning(script, "") >> arrives(grant(pid="p")) << granted(pid="p") << Reconnected(1, False)
    play(script)


def test_more_that_was_missed_than_we_take_is_not_claimed_again() -> None:
    script = returning(recoverable(ONE, limits=Limits(max_recovered_events=2, max_early_events=1)), claim("p", ONE))
    script = script >> arrives(f'42["missed","{TWO}"]') >> arrives(f'42["missed","{THREE}"]') >> arrives(f'42["missed","{THREE}.0"]')
    script = script << frame("1") << hang_up() << StartOver() << reconnecting(2, 2.0, CloseReason.PARSE_ERROR, Cause.TOO_MANY_EARLY_EVENTS)
    script = asking(retrying(script, 3.0), "40") >> arrives(grant(sid="other", pid="q")) << granted(sid="other", pid="q") << Reconnected(2, False)
    play(script)


def test_who_claims_nothing_takes_fewer_early_events() -> None:
    script = asked("/", limits=Limits(max_recovered_events=9, max_early_events=1)) >> arrives('42["early"]') >> arrives('42["early"]')
    play(script << frame("1") << hang_up() << ends(CloseReason.PARSE_ERROR, Cause.TOO_MANY_EARLY_EVENTS))


# --- What is an offset.


@pytest.mark.parametrize(
    "offset", [ONE, TWO, in_memory(BEGIN, 4095), in_memory(1_600_000_000_000), in_memory(2_400_000_000_000), REDIS, f"{BEGIN}-17", MONGO]
)
def test_the_offsets_of_the_known_servers_are_taken_off(offset: str) -> None:
    play(returning(recoverable(offset), claim("p", offset)))


@given(st.integers(1_580_547_965_000, 2_470_000_000_000), st.none() | st.integers(0, 10**6))
def test_every_instant_of_the_in_memory_server_until_2048_is_an_offset(milliseconds: int, counter: int | None) -> None:
    recovery = Recovery()
    recovery.granted("p")
    offset = in_memory(milliseconds, counter)
    assert recovery.strip(EventReceived("/", "e", [1, offset]), 0.0).args == [1]
    assert recovery.claim(None) == {"pid": "p", "offset": offset}


TEXTS = ["word", "connected", "", "7654321", f"{ONE} ", f" {ONE}", f"{ONE}.", "MzzzzzA", f"{REDIS}-1", MONGO.upper()]


@pytest.mark.parametrize("last", [*TEXTS, 7, 1.5, None, True, [ONE], {"id": ONE}], ids=repr)
def test_other_arguments_are_left_alone_and_claim_nothing(last: object) -> None:
    script = recoverable(ONE) >> arrives(f'42["v","a",{json.dumps(last)}]') << event("v", "a", last)
    play(returning(script, claim("p", ONE)))


def test_an_event_without_arguments_has_no_offset() -> None:
    play(returning(recoverable(ONE) >> arrives('42["bare"]') << event("bare"), claim("p", ONE)))


def test_an_offset_that_is_not_last_is_an_argument() -> None:
    play(returning(recoverable(ONE) >> arrives(f'42["e","{TWO}",1]') << event("e", TWO, 1), claim("p", ONE)))


def test_a_question_has_no_offset() -> None:
    script = recoverable(ONE) >> arrives(f'427["ask","{TWO}"]') << event("ask", TWO, ack_id=7) >> Acknowledge(7) << frame("437[]")
    play(returning(script, claim("p", ONE)))


def test_an_acknowledgement_has_no_offset() -> None:
    script = recoverable(ONE) >> Emit("e", call=1) << frame('420["e"]') >> arrives(f'430["{TWO}"]') << CallAnswered(1, [TWO])
    play(script)


def test_an_event_with_attachments_has_one() -> None:
    script = recoverable() >> arrives(f'451-["e",{{"_placeholder":true,"num":0}},"{ONE}"]') >> arrives(b"x") << event("e", b"x")
    play(returning(script, claim("p", ONE)))


@pytest.mark.parametrize("word", ["Running", "Stopped", "Started", "Offline", "Pending", "Success", "Private", "Request"])
def test_a_word_that_only_looks_like_an_offset_is_an_argument(word: str) -> None:
    """Volatile events have no offset, and their last argument may be a word of seven letters; servers count on from the instant that they named."""
    script = recoverable(ONE) >> at(5.0) >> arrives(f'42["status","{word}"]') << event("status", word)
    play(returning(script, claim("p", ONE), when=9.0))


@pytest.mark.parametrize("offset", [REDIS, MONGO])
def test_a_server_has_one_form_of_offsets(offset: str) -> None:
    script = recoverable(offset) >> at(5.0) >> arrives(f'42["e","{ONE}"]') << event("e", ONE)
    play(returning(script, claim("p", offset), when=9.0))


@pytest.mark.parametrize("word", ["Running", "Offline", "Pending"])
def test_where_the_calendar_is_known_not_even_the_first_word_is_taken_for_an_offset(word: str) -> None:
    script = recoverable(epoch=BEGIN / 1000) >> at(5.0) >> arrives(f'42["status","{word}"]') << event("status", word)
    play(script >> arrives(f'42["e","{THREE}"]') << event("e"))


@pytest.mark.parametrize(("hours", "fits"), [(-25, False), (-23, True), (23, True), (25, False)])
def test_the_calendars_may_differ_by_a_day(hours: int, fits: bool) -> None:
    offset = in_memory(BEGIN + hours * 3_600_000)
    play(recoverable(epoch=BEGIN / 1000) >> arrives(f'42["e",1,"{offset}"]') << (event("e", 1) if fits else event("e", 1, offset)))


MINUTE, HOUR = 60_000, 3_600_000


@pytest.mark.parametrize("epoch", [None, BEGIN / 1000])
@pytest.mark.parametrize(("later", "fits"), [(-MINUTE - 1, False), (-MINUTE, True), (0, True), (10_000, True), (23 * HOUR, True), (25 * HOUR, False)])
def test_time_goes_on_from_one_offset_to_the_next_with_a_minute_less_or_a_day_more(later: int, fits: bool, epoch: float | None) -> None:
    offset = in_memory(BEGIN + later)
    script = recoverable(ONE, epoch=epoch) >> at(10.0) >> arrives(f'42["e",1,"{offset}"]') << (event("e", 1) if fits else event("e", 1, offset))
    play(returning(script, claim("p", offset if fits else ONE), when=11.0))


def test_a_clock_that_stood_still_while_the_machine_slept_is_no_reason_to_take_an_offset_for_an_argument() -> None:
    script = returning(recoverable(ONE), claim("p", ONE))
    for minutes in (10, 20, 21):
        script = script >> arrives(f'42["missed","{in_memory(BEGIN + minutes * MINUTE)}"]')
    script = script >> arrives(grant(pid="p")) << granted(pid="p", recovered=True) << Reconnected(1, True)
    play(script << event("missed") << event("missed") << event("missed"))


def test_a_calendar_may_be_set_anew() -> None:
    later = in_memory(BEGIN + 72 * HOUR)
    machine = play(recoverable(ONE, epoch=BEGIN / 1000) >> arrives(f'42["e","{later}"]') << event("e", later))
    assert machine.epoch == BEGIN / 1000
    machine.epoch = BEGIN / 1000 + 72 * 3600
    assert machine.epoch == BEGIN / 1000 + 72 * 3600
    play(returning(Script(machine) >> arrives(f'42["e","{later}"]') << event("e"), claim("p", later)))


def test_a_first_event_that_was_read_late_does_not_spoil_the_others() -> None:
    script = (
        asked("/") >> arrives(grant(pid="p")) << granted(pid="p") >> at(40.0) >> arrives("2") << frame("3") >> at(80.0) >> arrives("2") << frame("3")
    )
    script = script >> at(120.0) >> arrives(f'42["e","{ONE}"]') << event("e")
    play(script >> arrives(f'42["e","{in_memory(BEGIN + 2 * MINUTE)}"]') << event("e"))


def told(recovery: Recovery, text: str, now: float) -> bool:
    """Whether this recovery takes a text that comes at that instant for an offset."""
    return recovery.strip(EventReceived("/", "e", [1, text]), now).args == [1]


@pytest.mark.parametrize("now", [0.0, 1e6])
@pytest.mark.parametrize("is_known", [False, True])
def test_it_does_not_matter_what_our_clock_shows(now: float, is_known: bool) -> None:
    recovery = Recovery(BEGIN / 1000 - now if is_known else None)
    recovery.granted("p")
    assert told(recovery, ONE, now)
    assert told(recovery, in_memory(BEGIN + 10_000), now + 10.0)
    assert told(recovery, in_memory(BEGIN + 20 * HOUR), now + 20.0)
    assert not told(recovery, in_memory(BEGIN + 25 * HOUR), now + 20.0)


def test_an_offset_that_is_a_little_older_does_not_turn_the_calendar_back() -> None:
    recovery = Recovery(BEGIN / 1000)
    recovery.granted("p")
    assert [told(recovery, in_memory(BEGIN + milliseconds), 0.0) for milliseconds in (50_000, 0, -30_000)] == [True, True, False]


def test_another_session_may_be_that_of_another_server() -> None:
    recovery = Recovery(BEGIN / 1000)
    recovery.granted("p")
    assert told(recovery, in_memory(BEGIN + 2 * HOUR), 0.0)
    recovery.granted("q")
    assert told(recovery, f"{BEGIN}-0", 0.0)
    assert not told(recovery, ONE, 0.0)


def test_what_was_missed_is_older_than_the_moment_at_which_it_comes() -> None:
    script = asking(retrying(cut(recoverable(ONE) >> at(100.0)), 400.0), f"40{claim('p', ONE)}")
    for seconds in (90, 200, 399):
        script = script >> arrives(f'42["missed","{in_memory(BEGIN + 1000 * seconds)}"]')
    script = script >> arrives(grant(pid="p")) << granted(pid="p", recovered=True) << Reconnected(1, True)
    script = script << event("missed") << event("missed") << event("missed")
    play(returning(script, claim("p", in_memory(BEGIN + 399_000)), when=402.0))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (ONE, ("memory", BEGIN / 1000)),
        (in_memory(BEGIN, 7), ("memory", BEGIN / 1000)),
        (REDIS, ("redis", BEGIN / 1000)),
        (MONGO, ("mongo", float(0x652FF4C1))),
        ("word", None),
        ("", None),
    ],
)
def test_an_offset_has_a_form_and_a_time(text: str, read: tuple[str, float] | None) -> None:
    assert read_offset(text) == read


def test_words_of_an_unknown_server_are_claimed_as_the_reference_client_does_it_and_left_where_they_are() -> None:
    script = recoverable() >> arrives('42["e",1,"offset-1"]') << event("e", 1, "offset-1") >> arrives('42["e",2,"offset-2"]')
    play(returning(script << event("e", 2, "offset-2"), claim("p", "offset-2")))


def test_once_an_offset_was_seen_words_are_no_longer_taken_for_one() -> None:
    script = recoverable() >> arrives('42["v","word"]') << event("v", "word") >> arrives(f'42["e","{ONE}"]') << event("e")
    script = script >> arrives('42["v","connected"]') << event("v", "connected")
    play(returning(script, claim("p", ONE)))


def test_where_no_pid_was_given_nothing_is_an_offset() -> None:
    play(linked("/") >> arrives(f'42["e","{ONE}"]') << event("e", ONE))


# --- With the rest.


def test_what_waits_is_sent_after_what_was_missed_is_told() -> None:
    script = cut(recoverable(ONE)) >> Emit("held") >> Deliver("repeated", (), 1, 2.0, 1)
    script = asking(retrying(script), f"40{claim('p', ONE)}") >> arrives(f'42["missed","{TWO}"]') >> arrives(grant(pid="p"))
    script = script << granted(pid="p", recovered=True) << Reconnected(1, True) << event("missed") << frame('42["held"]')
    play(script << frame('420["repeated"]'))


def test_a_question_that_was_asked_before_the_loss_is_not_answered_after_the_recovery() -> None:
    script = recoverable() >> arrives('423["ask"]') << event("ask", ack_id=3)
    play(taken_up(returning(script, claim("p"))) >> Acknowledge(3) << refuses(Cause.ACK_NOT_AWAITED))
