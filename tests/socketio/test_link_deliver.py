"""Scripts: events that are sent until they are acknowledged.

At least once, in order, one at a time in each namespace. Only its own time counts as a try of an event: a lost connection does not, however often.
Each call number gets one answer or one failure, whatever happens; the numbers that the link gives to its tries are nobody's business.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.exceptions import AckTimeout, ConnectionClosed, ConnectRefused
from engineio_lite.inputs import Close, Connect, TimePassed
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import CallAnswered, NamespaceLeft, Reconnected
from engineio_lite.socketio.inputs import Deliver, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.packet import PacketType
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import CloseReason, LinkState
from tests.core.script import answer, arrives, at, ends, frame, hang_up, ok, open_packet, opened, poll, post, refuses
from tests.core.snapshot import fingerprint
from tests.script import Like, play, tell
from tests.socketio.links import Script, again, asked, asking, cut, grant, granted, linked, lost, reconnecting, retrying, shows, vanishes, wanting
from tests.socketio.script import error_of, failed, ignored, refused


def deliver(name: str, call: int, *args: object, namespace: str = "/", timeout: float = 2.0, retries: int = 1) -> Deliver:
    """A `Deliver` that takes two seconds and one repetition."""
    return Deliver(name, args, call, timeout, retries, namespace)


def by_polling(*, limits: Limits | None = None, max_payload: int | None = 1_000_000) -> Script:
    """The main namespace is ours by polling: poll 4 waits, and the next request is number 5."""
    script = wanting("/", transports=("polling",), limits=limits) >> Connect() << poll(1)
    script = script >> answer(1, open_packet(upgrades=(), max_payload=max_payload)) << opened(upgrades=(), max_payload=max_payload)
    return script << post(2, "40") << poll(3) >> ok(2) >> answer(3, grant()) << granted() << poll(4)


# --- In order, one at a time.


def test_the_next_one_is_sent_when_the_one_before_is_acknowledged() -> None:
    play(
        linked("/")
        >> deliver("a", 10, 1)
        << frame('420["a",1]')
        << shows(waiting=1, deadline=2.0)
        >> deliver("b", 11)
        >> deliver("c", 12)
        << shows(waiting=3)
        >> at(1.0)
        >> arrives('430["yes",2]')
        << CallAnswered(10, ["yes", 2])
        << frame('421["b"]')
        << shows(waiting=2)
        >> arrives("431[]")
        << CallAnswered(11, [])
        << frame('422["c"]')
        >> arrives("432[]")
        << CallAnswered(12, [])
        << shows(waiting=0)
    )


def test_numbers_count_from_zero() -> None:
    play(linked("/") >> deliver("a", 0, retries=0) << frame('420["a"]') >> arrives("430[]") << CallAnswered(0, []))


def test_other_events_do_not_wait_for_it() -> None:
    script = linked("/") >> deliver("a", 1) << frame('420["a"]') >> deliver("b", 2) >> Emit("c") << frame('42["c"]') >> Emit("d", call=3)
    play(script << frame('421["d"]') >> arrives("431[]") << CallAnswered(3, []) >> arrives("430[]") << CallAnswered(1, []) << frame('422["b"]'))


def test_namespaces_do_not_wait_for_each_other() -> None:
    play(
        linked("/", "/a")
        >> deliver("x", 1)
        << frame('420["x"]')
        >> deliver("y", 2, namespace="/a")
        << frame('42/a,0["y"]')
        >> deliver("z", 3, namespace="/a")
        >> arrives("43/a,0[]")
        << CallAnswered(2, [])
        << frame('42/a,1["z"]')
        >> arrives("430[]")
        << CallAnswered(1, [])
        >> arrives("43/a,1[]")
        << CallAnswered(3, [])
    )


def test_it_waits_for_a_connection_even_where_nothing_else_is_held() -> None:
    script = asked("/", hold=False) >> deliver("a", 1) >> deliver("b", 2) << shows(waiting=2)
    play(script >> arrives(grant()) << granted() << frame('420["a"]'))


def test_what_was_held_goes_first() -> None:
    script = asked("/") >> deliver("a", 1) >> Emit("b") >> Emit("c", call=2)
    play(script >> arrives(grant()) << granted() << frame('42["b"]') << frame('420["c"]') << frame('421["a"]'))


def test_what_waits_is_a_copy() -> None:
    names: list[Any] = ["a", b"b"]
    machine = play(linked("/") >> deliver("first", 1) << frame('420["first"]'))
    machine.process(deliver("e", 2, names), 0.0)
    names.append("c")
    outputs = machine.process(arrives("430[]"), 0.0)
    assert outputs == [CallAnswered(1, []), frame('451-1["e",["a",{"_placeholder":true,"num":0}]]'), frame(b"b")]


# --- Again.


def test_it_is_sent_again_when_its_time_is_over_with_a_new_id() -> None:
    play(
        linked("/")
        >> deliver("a", 1)
        << frame('420["a"]')
        >> deliver("b", 2)
        >> at(1.9)
        >> TimePassed()
        >> at(2.0)
        >> TimePassed()
        << frame('421["a"]')
        << shows(deadline=4.0, waiting=2)
        >> arrives('430["late"]')
        << ignored(PacketType.ACK, ["late"], id=0, why="no call")
        >> arrives('431["yes"]')
        << CallAnswered(1, ["yes"])
        << frame('422["b"]')
    )


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_is_given_up_after_so_many_repetitions_and_the_next_one_is_sent(retries: int) -> None:
    script = linked("/") >> deliver("a", 1, retries=retries, timeout=1.0) << frame('420["a"]') >> deliver("b", 2)
    for number in range(1, retries + 1):
        script = script >> at(float(number)) >> TimePassed() << frame(f'42{number}["a"]')
    script = script >> at(retries + 1.0) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT) << frame(f'42{retries + 1}["b"]')
    outputs = tell(script << shows(waiting=1) >> arrives(f'43{retries}["late"]') << ignored(PacketType.ACK, ["late"], id=retries, why="no call"))
    error = error_of(outputs)
    assert isinstance(error, AckTimeout)
    assert (error.name, error.timeout) == ("a", 1.0)


def test_each_event_has_its_own_tries() -> None:
    script = linked("/") >> deliver("a", 1) << frame('420["a"]') >> deliver("b", 2) >> at(2.0) >> TimePassed() << frame('421["a"]')
    script = script >> arrives("431[]") << CallAnswered(1, []) << frame('422["b"]') >> at(4.0) >> TimePassed() << frame('423["b"]')
    play(script >> at(6.0) >> TimePassed() << failed(2, Cause.ACK_TIMEOUT) << shows(waiting=0))


# --- The next connection.


def test_what_was_on_its_way_is_sent_first_on_the_next_connection() -> None:
    script = cut(linked("/") >> deliver("a", 1) << frame('420["a"]') >> deliver("b", 2)) << shows(waiting=2, deadline=1.0)
    script = again(script >> deliver("c", 3), then=[frame('421["a"]')])
    script = script >> arrives("431[]") << CallAnswered(1, []) << frame('422["b"]') >> arrives("432[]") << CallAnswered(2, []) << frame('423["c"]')
    play(script >> arrives("433[]") << CallAnswered(3, []) << shows(waiting=0))


def test_lost_connections_are_no_tries() -> None:
    script = linked("/") >> deliver("a", 1, retries=0, timeout=3.0) << frame('420["a"]')
    for number in range(1, 8):
        script = again(cut(script >> at(2.0 * number)), when=2.0 * number + 1.0, then=[frame(f'42{number}["a"]')])
    script = script << shows(waiting=1, deadline=18.0) >> at(17.9) >> arrives("437[]") << CallAnswered(1, [])
    play(script << shows(waiting=0))


def test_its_time_does_not_run_without_a_connection() -> None:
    script = cut(linked("/") >> deliver("a", 1, retries=0, timeout=0.5) << frame('420["a"]')) >> at(0.5) >> TimePassed()
    script = again(script, when=1.0, then=[frame('421["a"]')]) >> at(1.4) >> TimePassed()
    play(script >> at(1.5) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT))


def test_tries_before_the_loss_count_after_it() -> None:
    script = linked("/") >> deliver("a", 1, retries=1, timeout=1.0) << frame('420["a"]') >> at(1.0) >> TimePassed() << frame('421["a"]')
    script = again(cut(script), when=2.0, then=[frame('422["a"]')])
    play(script >> at(3.0) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT))


def test_an_answer_that_was_lost_makes_the_server_see_it_twice() -> None:
    """At least once, not exactly once: nobody can know that the answer was on its way."""
    script = again(cut(linked("/") >> deliver("a", 1) << frame('420["a"]')), then=[frame('421["a"]')])
    play(script >> arrives("430[]") << ignored(PacketType.ACK, [], id=0, why="no call") >> arrives("431[]") << CallAnswered(1, []))


def test_a_machine_that_was_asleep_keeps_it() -> None:
    script = linked("/") >> at(1000.0) >> deliver("a", 1) << hang_up() << NamespaceLeft("/", CloseReason.PING_TIMEOUT) << StartOver()
    script = script << reconnecting(1, 1.0, CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT) << shows(LinkState.WAITING, waiting=1)
    script = asking(retrying(script, 1001.0), "40") >> arrives(grant()) << granted() << Reconnected(1, False)
    play(script << frame('421["a"]'))


# --- Ends.


def test_what_waits_in_a_namespace_that_is_left_fails_once() -> None:
    script = linked("/", "/a") >> deliver("x", 1, namespace="/a") << frame('42/a,0["x"]') >> deliver("y", 2, namespace="/a") >> deliver("z", 3)
    script = script << frame('420["z"]') >> LeaveNamespace("/a") << failed(1, Cause.CLOSED) << failed(2, Cause.CLOSED)
    script = script << frame("41/a,") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT) << shows(waiting=1)
    script = script >> arrives("43/a,0[]") << ignored(PacketType.ACK, [], "/a", 0) >> at(100.0)
    play(script >> arrives("430[]") << CallAnswered(3, []))


def test_what_waits_in_a_namespace_that_the_server_ends_fails_once() -> None:
    script = linked("/", "/a") >> deliver("x", 1, namespace="/a") << frame('42/a,0["x"]') >> deliver("y", 2, namespace="/a")
    script = script >> arrives("41/a,") << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT) << failed(1, Cause.CLOSED) << failed(2, Cause.CLOSED)
    play(script << shows(waiting=0))


def test_what_waits_in_a_namespace_that_the_server_ends_with_a_reason_fails_with_it() -> None:
    script = linked("/", "/a") >> deliver("x", 1, namespace="/a") << frame('42/a,0["x"]') >> arrives('41/a,{"message":"banned"}')
    script = script << Like(NamespaceLeft, ("/a", CloseReason.SERVER_DISCONNECT), Cause.NAMESPACE_REFUSED) << failed(1, Cause.CLOSED)
    cause = error_of(tell(script)).__cause__
    assert isinstance(cause, ConnectRefused)
    assert cause.refusal == "banned"


def test_what_waits_in_a_namespace_that_is_refused_fails_once_with_the_refusal_as_cause() -> None:
    script = asked("/", "/a") >> deliver("x", 1, namespace="/a") >> deliver("y", 2, namespace="/a") >> arrives('44/a,"no"') << refused("/a")
    outputs = tell(script << failed(1, Cause.CLOSED) << failed(2, Cause.CLOSED) << shows(waiting=0))
    error = error_of(outputs)
    assert isinstance(error, ConnectionClosed)
    assert getattr(error.__cause__, "cause", None) is Cause.NAMESPACE_REFUSED


def test_what_waits_in_the_last_namespace_goes_on_if_it_is_asked_for_again() -> None:
    script = linked("/", policy=ReconnectPolicy(decide=lambda lost: True)) >> deliver("a", 1) << frame('420["a"]')
    script = script >> arrives("41") << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT) << frame("1") << hang_up() << StartOver()
    script = script << reconnecting(1, 1.0, CloseReason.SERVER_DISCONNECT, None) << shows(waiting=1)
    play(again(script, then=[frame('421["a"]')]))


@pytest.mark.parametrize("is_waiting", [False, True])
def test_what_waits_at_the_end_fails_once_and_is_counted(is_waiting: bool) -> None:
    script = linked("/") >> deliver("a", 1) << frame('420["a"]') >> deliver("b", 2)
    failures = [failed(1, Cause.CLOSED), failed(2, Cause.CLOSED)]
    if is_waiting:
        script = (cut(script) >> Close()) + failures
    else:
        script = script >> Close() << frame("41") << frame("1") << hang_up() << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        script += failures
    play(script << ends(CloseReason.CLIENT_CLOSE, unsent=2) << shows(LinkState.CLOSED, waiting=0, deadline=math.inf))


def test_what_waits_when_there_is_no_other_try_fails_with_what_ended_it() -> None:
    script = linked("/", policy=None) >> deliver("a", 1) << frame('420["a"]') >> vanishes() << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    outputs = tell(script << failed(1, Cause.CLOSED) << lost(unsent=1))
    assert error_of(outputs[:-1]).__cause__ is outputs[-1].error


def test_a_namespace_that_is_joined_again_begins_with_nothing() -> None:
    script = linked("/", "/a") >> deliver("x", 1, namespace="/a") << frame('42/a,0["x"]') >> LeaveNamespace("/a") << failed(1, Cause.CLOSED)
    script = script << frame("41/a,") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    script = script >> JoinNamespace("/a") >> deliver("y", 1, namespace="/a") >> at(0.1) >> TimePassed() << frame("40/a,")
    script = script >> arrives(grant("/a")) << granted("/a")
    play(script << frame('42/a,1["y"]') >> arrives("43/a,1[]") << CallAnswered(1, []))


# --- What cannot be sent.


@pytest.mark.parametrize(
    "wish",
    [
        deliver("e", 1, timeout=0.0),
        deliver("e", 1, timeout=-1.0),
        deliver("e", 1, timeout=math.nan),
        deliver("e", 1, retries=-1),
        deliver("e", -1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wish: Deliver) -> None:
    _refused(linked("/"), wish, Cause.BAD_OPTION)


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (deliver("disconnect", 1), Cause.RESERVED_EVENT),
        (deliver("e", 1, {1: 2}), Cause.BAD_MESSAGE),
        (deliver("e", 1, namespace="/b"), Cause.NAMESPACE_NOT_CONNECTED),
    ],
)
def test_what_could_never_be_sent_is_refused_at_once(wish: Deliver, cause: Cause) -> None:
    for script in (wanting("/"), linked("/"), cut(linked("/"))):
        _refused(script, wish, cause)


def _refused(script: Script, wish: Deliver, cause: Cause) -> None:
    machine = play(script)
    before = fingerprint(machine)
    play(Script(machine) >> wish << refuses(cause))
    assert fingerprint(machine) == before


def test_as_many_wait_as_the_limit_in_each_namespace_and_as_much_in_all() -> None:
    script = linked("/", "/a", limits=Limits(max_offline_events=2)) >> deliver("a", 1) << frame('420["a"]') >> deliver("b", 2)
    script = script >> deliver("c", 3) << refuses(Cause.SEND_BUFFER_FULL) >> deliver("x", 4, namespace="/a") << frame('42/a,0["x"]')
    script = script >> arrives("430[]") << CallAnswered(1, []) << frame('421["b"]') >> deliver("c", 3)
    play(script << shows(waiting=3))
    script = (
        asked("/", limits=Limits(max_buffered=20)) >> deliver("abcdefgh", 1) >> deliver("ij", 2) >> deliver("k", 3) << refuses(Cause.SEND_BUFFER_FULL)
    )
    play(script >> Emit("l") << refuses(Cause.SEND_BUFFER_FULL) << shows(waiting=2))


def test_what_is_done_makes_room() -> None:
    script = linked("/", limits=Limits(max_buffered=20))
    for number in range(5):
        script = (
            script >> deliver("abcdefgh", number) << frame(f'42{number}["abcdefgh"]') >> deliver("abcdefgh", 99) << refuses(Cause.SEND_BUFFER_FULL)
        )
        script = script >> arrives(f"43{number}[]") << CallAnswered(number, [])
    script = script >> deliver("abcdefgh", 5, retries=0) << frame('425["abcdefgh"]') >> at(2.0) >> TimePassed() << failed(5, Cause.ACK_TIMEOUT)
    play(script >> deliver("abcdefgh", 6) << frame('426["abcdefgh"]'))


def test_what_was_left_makes_room() -> None:
    script = linked("/", "/a", limits=Limits(max_buffered=20)) >> deliver("abcdef", 1, namespace="/a") << frame('42/a,0["abcdef"]')
    script = script >> deliver("abcdef", 2) << refuses(Cause.SEND_BUFFER_FULL) >> LeaveNamespace("/a") << failed(1, Cause.CLOSED) << frame("41/a,")
    script = script << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT) >> deliver("abcdef", 2) << frame('420["abcdef"]')
    play(script >> arrives("430[]") << CallAnswered(2, []) << shows(waiting=0))


def test_an_event_that_is_too_large_for_the_server_fails_and_the_next_one_is_sent() -> None:
    script = by_polling(max_payload=40) >> deliver("x" * 50, 1) << failed(1, Cause.PAYLOAD_TOO_LARGE) >> deliver("y", 2) << post(5, '420["y"]')
    play(script << shows(waiting=1))


def test_it_waits_while_the_connection_takes_no_more() -> None:
    script = by_polling(limits=Limits(max_buffered_packets=1)) >> Emit("1") << post(5, '42["1"]') >> Emit("2") >> deliver("a", 1) << shows(waiting=1)
    script = script >> ok(5) << post(6, '42["2"]') << shows(waiting=1) >> ok(6) << post(7, '420["a"]')
    play(script >> answer(4, "430[]") << CallAnswered(1, []) << poll(8))


def test_it_waits_while_too_many_calls_are_pending() -> None:
    script = linked("/", limits=Limits(max_pending_calls=1)) >> Emit("a", call=1) << frame('420["a"]') >> deliver("b", 2) << shows(waiting=1)
    play(script >> arrives("430[]") << CallAnswered(1, []) << frame('421["b"]'))


def test_what_is_to_be_delivered_again_waits_for_a_new_connection_that_is_full_too() -> None:
    script = linked("/", "/a", limits=Limits(max_pending_calls=1)) >> deliver("a", 1) << frame('420["a"]') >> deliver("x", 2, namespace="/a")
    script = asking(retrying(cut(script, "/", "/a")), "40", "40/a,") >> arrives(grant()) << granted() << frame('421["a"]')
    script = script >> arrives(grant("/a")) << granted("/a") << Reconnected(1, False) << shows(waiting=2)
    play(script >> arrives("431[]") << CallAnswered(1, []) << frame('42/a,0["x"]') >> arrives("43/a,0[]") << CallAnswered(2, []))
