"""Scripts: events that leave now or never, acknowledgement ids that go on counting, and questions that are answered once."""

from __future__ import annotations

import pytest

from engineio_lite.causes import Cause
from engineio_lite.events import Upgraded
from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import TimePassed
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.events import CallAnswered, CallFailed, EmitDropped, NamespaceLeft
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.packet import PacketType
from engineio_lite.state import CloseReason
from tests.core.script import answer, arrives, at, frame, ok, poll, post
from tests.core.snapshot import fingerprint
from tests.script import play, tell
from tests.socketio.script import Script, asked, error_of, event, failed, fresh, grant, granted, ignored, joined, live, pausing, refuses


def now_or_never(name: str = "v", *args: object, call: int | None = None, ticket: int | None = None, namespace: str = "/") -> Emit:
    """A volatile event."""
    return Emit(name, args, namespace, call, None, True, ticket)


# --- Now or never.


def test_a_volatile_event_leaves_on_a_websocket() -> None:
    play(
        live("/", "/a")
        >> now_or_never("v", 1)
        << frame('42["v",1]')
        >> now_or_never("v", b"x", namespace="/a")
        << frame('451-/a,["v",{"_placeholder":true,"num":0}]')
        << frame(b"x")
        >> now_or_never("v", call=1)
        << frame('420["v"]')
        >> arrives("430[]")
        << CallAnswered(1, [])
    )


def test_by_polling_it_leaves_if_no_post_is_on_its_way_and_nothing_waits() -> None:
    play(
        joined("/")
        >> now_or_never("v", 1)
        << post(5, '42["v",1]')
        >> now_or_never("v", 2, ticket=7)
        << EmitDropped("/", "v", 7)
        >> Emit("e")
        >> ok(5)
        << post(6, '42["e"]')
        >> now_or_never("v", 3)
        << EmitDropped("/", "v")
        >> ok(6)
        >> now_or_never("v", 4)
        << post(7, '42["v",4]')
    )


def test_it_does_not_wait_for_an_upgrade() -> None:
    play(pausing("/") >> now_or_never() << EmitDropped("/", "v") >> answer(4, "6") << frame("5") << Upgraded() >> now_or_never() << frame('42["v"]'))


def test_a_call_that_is_dropped_fails_and_takes_no_id() -> None:
    script = joined("/") >> Emit("a", call=1) << post(5, '420["a"]') >> now_or_never("v", call=2)
    outputs = tell(script << failed(2, Cause.DROPPED) >> ok(5) >> Emit("b", call=2) << post(6, '421["b"]'))
    error = error_of(outputs)
    assert type(error) is EngineIOError
    assert "'v'" in str(error)
    assert [output.call for output in outputs if isinstance(output, CallFailed)] == [2]


def test_it_needs_its_namespace_like_any_other() -> None:
    for script in (fresh(), asked("/"), live("/a")):
        play(Script(play(script)) >> now_or_never() << refuses(Cause.NAMESPACE_NOT_CONNECTED))


# --- Ids that go on.


def test_ids_go_on_from_where_the_wish_says() -> None:
    script = live("/") >> JoinNamespace("/a", first_ack_id=41) << frame("40/a,") >> arrives(grant("/a")) << granted("/a", "a")
    machine = play(script)
    assert (machine.next_ack_id("/a"), machine.next_ack_id("/"), machine.next_ack_id("/never")) == (41, 0, 0)
    script = Script(machine) >> Emit("x", namespace="/a", call=1) << frame('42/a,41["x"]') >> Emit("y", call=2) << frame('420["y"]')
    script = script >> arrives("43/a,40[]") << ignored(PacketType.ACK, [], "/a", 40, why="no call")
    play(script >> arrives("43/a,41[7]") << CallAnswered(1, [7]))
    assert (machine.next_ack_id("/a"), machine.next_ack_id("/")) == (42, 1)


def test_ids_never_go_back() -> None:
    script = live("/", "/a", timeouts=Timeouts(rejoin=0.0)) >> Emit("x", namespace="/a", call=1) << frame('42/a,0["x"]')
    script = script >> LeaveNamespace("/a") << frame("41/a,") << failed(1, Cause.CLOSED) << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    script = script >> JoinNamespace("/a", first_ack_id=0) << frame("40/a,") >> arrives(grant("/a")) << granted("/a", "a")
    play(script >> Emit("x", namespace="/a", call=2) << frame('42/a,1["x"]'))


# --- Questions.


def test_a_question_is_answered_once() -> None:
    script = live("/") >> arrives('425["ask"]') << event("ask", ack_id=5) >> Acknowledge(5, ("yes", b"x"))
    script = script << frame('461-5["yes",{"_placeholder":true,"num":0}]') << frame(b"x")
    script = script >> Acknowledge(5, ("no",)) << refuses(Cause.ACK_NOT_AWAITED)
    play(script >> arrives('425["ask again"]') << event("ask again", ack_id=5) >> Acknowledge(5) << frame("435[]"))


@pytest.mark.parametrize("wish", [Acknowledge(6), Acknowledge(5, namespace="/a"), Acknowledge(0)])
def test_what_was_not_asked_is_not_answered(wish: Acknowledge) -> None:
    machine = play(live("/", "/a") >> arrives('425["ask"]') << event("ask", ack_id=5) >> arrives('42["e"]') << event("e"))
    before = fingerprint(machine)
    play(Script(machine) >> wish << refuses(Cause.ACK_NOT_AWAITED))
    assert fingerprint(machine) == before


def test_questions_are_answered_in_any_order_and_each_namespace_has_its_own() -> None:
    script = live("/", "/a") >> arrives('421["ask"]') << event("ask", ack_id=1) >> arrives('42/a,1["ask"]') << event("ask", namespace="/a", ack_id=1)
    script = script >> arrives('422["ask"]') << event("ask", ack_id=2) >> Acknowledge(2) << frame("432[]") >> Acknowledge(1, namespace="/a")
    play(script << frame("43/a,1[]") >> Acknowledge(1) << frame("431[]"))


def test_an_early_question_can_be_answered_after_the_grant() -> None:
    script = asked("/") >> ok(2) >> answer(3, '423["early"]', grant()) << granted() << event("early", ack_id=3) << poll(4)
    play(script >> Acknowledge(3) << post(5, "433[]") >> Acknowledge(3) << refuses(Cause.ACK_NOT_AWAITED))


def test_an_answer_that_is_refused_may_be_given_again() -> None:
    script = joined("/", limits=Limits(max_buffered_packets=1)) >> answer(4, '421["ask"]') << event("ask", ack_id=1) << poll(5)
    script = (
        script >> Emit("1") << post(6, '42["1"]') >> Emit("2") >> Acknowledge(1) << refuses(Cause.SEND_BUFFER_FULL) >> ok(6) << post(7, '42["2"]')
    )
    play(script >> Acknowledge(1, (object(),)) << refuses(Cause.BAD_MESSAGE) >> Acknowledge(1, (1,)) >> ok(7) << post(8, "431[1]"))


def test_a_question_of_a_namespace_that_was_left_is_no_longer_answered() -> None:
    script = live("/", "/a") >> arrives('42/a,1["ask"]') << event("ask", namespace="/a", ack_id=1) >> LeaveNamespace("/a") << frame("41/a,")
    script = script << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT) >> JoinNamespace("/a") >> at(0.1) >> TimePassed() << frame("40/a,")
    play(script >> arrives(grant("/a")) << granted("/a", "a") >> Acknowledge(1, namespace="/a") << refuses(Cause.ACK_NOT_AWAITED))


def test_the_oldest_questions_are_forgotten_beyond_the_limit() -> None:
    script = live("/", limits=Limits(max_unanswered=2))
    for number in (1, 2, 3):
        script = script >> arrives(f'42{number}["ask"]') << event("ask", ack_id=number)
    play(script >> Acknowledge(1) << refuses(Cause.ACK_NOT_AWAITED) >> Acknowledge(2) << frame("432[]") >> Acknowledge(3) << frame("433[]"))
