"""Scripts: what is emitted while its namespace is not connected.

It is held, as a copy, and sent when the namespace is connected: once, in order, before anything that is emitted later. What is held is bounded, and
for each event that will never leave the application hears of it. Volatile events are not held, and a client may refuse to hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import AckTimeout, LocalProtocolError
from engineio_lite.inputs import Close, Connect, RequestFailed, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import CallAnswered, EmitDropped, EmitHeld, EmitReleased, NamespaceLeft, Reconnected
from engineio_lite.socketio.inputs import Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.msgpack import encode_msgpack
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.state import CloseReason, LinkState, Transport
from tests.core.script import NO_UPGRADE, answer, arrives, at, ends, frame, ok, open_packet, opened, poll, post, refuses
from tests.core.snapshot import fingerprint
from tests.script import play, tell
from tests.socketio.links import Script, again, asked, asking, cut, drops, grant, granted, linked, lost, retrying, shows, starting, vanishes, wanting
from tests.socketio.script import error_of, event, failed, refused

UNCONNECTED: list[Callable[..., Script]] = [
    lambda **options: wanting("/", **options),
    lambda **options: starting("/", **options),
    lambda **options: asked("/", **options),
    lambda **options: cut(linked("/", **options)),
    lambda **options: retrying(cut(linked("/", **options))),
    lambda **options: asking(retrying(cut(linked("/", **options))), "40"),
]
"""Every way not to be connected to the main namespace, which is wanted."""

unconnected = pytest.mark.parametrize("way", UNCONNECTED, ids=["idle", "starting", "asked", "waiting", "starting again", "asked again"])


def by_polling(*before: object, limits: Limits | None = None, max_payload: int | None = 1_000_000, **options: Any) -> Script:
    """These wishes come first; then the session is open by polling, CONNECT has its 200, and poll 3 waits. The next request is number 4."""
    script = wanting("/", transports=("polling",), limits=limits, **options)
    for wish in before:
        script = script >> wish
    script = script >> Connect() << poll(1) >> answer(1, open_packet(upgrades=(), max_payload=max_payload))
    return script << opened(upgrades=(), max_payload=max_payload) << post(2, "40") << poll(3) >> ok(2)


# --- Held, and sent.


@unconnected
def test_what_is_emitted_without_a_connection_is_held(way: Callable[..., Script]) -> None:
    script = way() << shows(waiting=0) >> Emit("a", ticket=1) << EmitHeld(1) >> Emit("b", call=2, ticket=2) << EmitHeld(2)
    play(script >> Emit("c") << shows(waiting=3, writable=None))


def test_it_is_sent_once_and_in_order_when_the_namespace_is_granted_and_before_what_comes_later() -> None:
    play(
        asked("/")
        >> Emit("a", (1,), ticket=1)
        << EmitHeld(1)
        >> Emit("b", (b"\x01",))
        >> Emit("c", call=3, ticket=3)
        << EmitHeld(3)
        >> arrives(grant())
        << granted()
        << EmitReleased(1)
        << frame('42["a",1]')
        << frame('451-["b",{"_placeholder":true,"num":0}]')
        << frame(b"\x01")
        << EmitReleased(3)
        << frame('420["c"]')
        << shows(waiting=0)
        >> Emit("d")
        << frame('42["d"]')
        >> arrives('430["yes"]')
        << CallAnswered(3, ["yes"])
    )


def test_it_waits_for_the_whole_time_until_there_is_a_connection_again() -> None:
    script = cut(linked("/")) >> Emit("a") >> Emit("b", ticket=7) << EmitHeld(7)
    play(again(script, then=[frame('42["a"]'), EmitReleased(7), frame('42["b"]'), shows(waiting=0)]))


def test_each_namespace_holds_its_own_and_the_others_do_not_wait_for_it() -> None:
    play(
        asked("/", "/a")
        >> Emit("x", namespace="/a")
        >> Emit("y")
        >> arrives(grant())
        << granted()
        << frame('42["y"]')
        << shows(waiting=1)
        >> Emit("z")
        << frame('42["z"]')
        >> arrives(grant("/a"))
        << granted("/a")
        << frame('42/a,["x"]')
    )


def test_events_that_came_early_are_told_before_what_is_held_is_sent() -> None:
    play(asked("/") >> Emit("a") >> arrives('42["early"]') >> arrives(grant()) << granted() << event("early") << frame('42["a"]'))


def test_what_is_held_is_a_copy() -> None:
    inner: dict[str, Any] = {"list": [1, (2, b"two")], "text": "grüße"}
    script = asked("/")
    machine = play(script)
    machine.process(Emit("e", (inner,)), 0.0)
    inner["list"].append(3)
    inner["text"] = "changed"
    outputs = machine.process(arrives(grant()), 0.0)
    assert outputs[1:] == [frame('451-["e",{"list":[1,[2,{"_placeholder":true,"num":0}]],"text":"grüße"}]'), frame(b"two")]


def test_the_msgpack_parser_copies_too() -> None:
    names = ["a"]
    machine = play(asked_in_msgpack() >> Emit("e", (names, b"\x00")))
    names.append("b")
    outputs = machine.process(arrives(encode_msgpack(Packet(PacketType.CONNECT, {"sid": "main"}))[0]), 0.0)
    assert outputs[1:] == [frame(encode_msgpack(Packet(PacketType.EVENT, ["e", ["a"], b"\x00"]))[0])]


def asked_in_msgpack() -> Script:
    script = starting("/", parser="msgpack") >> WebSocketOpened(1) >> arrives(NO_UPGRADE) << opened(Transport.WEBSOCKET, upgrades=())
    return script << frame(encode_msgpack(Packet(PacketType.CONNECT))[0])


@unconnected
@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (Emit("e", (object(),)), Cause.BAD_MESSAGE),
        (Emit("connect"), Cause.RESERVED_EVENT),
        (Emit("e", call=1, timeout=-0.1), Cause.BAD_OPTION),
        (Emit("e", call=1, timeout=math.nan), Cause.BAD_OPTION),
        (Emit("e", namespace="/other"), Cause.NAMESPACE_NOT_CONNECTED),
    ],
)
def test_what_could_never_be_sent_is_refused_at_once(way: Callable[..., Script], wish: Emit, cause: Cause) -> None:
    machine = play(way())
    before = fingerprint(machine)
    play(Script(machine) >> wish << refuses(cause))
    assert fingerprint(machine) == before


def test_the_number_of_a_call_that_waits_cannot_be_used_twice_and_then_again() -> None:
    script = asked("/") >> Emit("e", call=1) >> Emit("f", call=1) << refuses(Cause.BAD_OPTION) >> arrives(grant()) << granted() << frame('420["e"]')
    script = script >> Emit("f", call=1) << refuses(Cause.BAD_OPTION) >> arrives("430[]") << CallAnswered(1, [])
    play(cut(script) >> Emit("f", call=1) << shows(waiting=1))


# --- Bounds.


def test_as_many_events_are_held_as_the_limit_in_each_namespace() -> None:
    limits = Limits(max_offline_events=2)
    play(
        asked("/", "/a", limits=limits)
        >> Emit("1")
        >> Emit("2")
        >> Emit("3")
        << refuses(Cause.SEND_BUFFER_FULL)
        >> Emit("1", namespace="/a")
        << shows(waiting=3)
        >> arrives(grant())
        << granted()
        << frame('42["1"]')
        << frame('42["2"]')
    )


def test_as_much_is_held_as_the_limit_in_all_namespaces() -> None:
    event = Emit("e", ("x" * 30,))  # `2["e","…"]` are 39 characters
    limits = Limits(max_buffered=100)
    script = asked("/", "/a", limits=limits) >> event >> Emit("e", ("x" * 30,), "/a") >> event << refuses(Cause.SEND_BUFFER_FULL)
    script = script >> Emit("f") << shows(waiting=3) >> arrives(grant()) << granted() << frame('42["e","' + "x" * 30 + '"]') << frame('42["f"]')
    play(script >> Emit("e", ("x" * 30,), "/a") << shows(waiting=2))


def test_one_event_is_held_however_large_or_it_could_never_be_sent() -> None:
    script = asked("/", limits=Limits(max_buffered=100)) >> Emit("e", ("x" * 200,)) >> Emit("f") << refuses(Cause.SEND_BUFFER_FULL)
    play(script >> arrives(grant()) << granted() << frame('42["e","' + "x" * 200 + '"]') >> Emit("f") << frame('42["f"]'))


@pytest.mark.parametrize("way_out", [LeaveNamespace("/a"), TimePassed()])
def test_what_no_longer_waits_makes_room(way_out: LeaveNamespace | TimePassed) -> None:
    script = wanting("/", "/a", limits=Limits(max_buffered=20)) >> Emit("e", ("0123456789",), "/a", 1, 2.0)
    machine = play(script >> Emit("f") << refuses(Cause.SEND_BUFFER_FULL))
    machine.process(way_out, 2.0)
    play(Script(machine) >> Emit("f") << shows(waiting=1))


def test_attachments_count_as_well() -> None:
    limits = Limits(max_buffered=100)
    script = asked("/", limits=limits) >> Emit("e", (b"x" * 50,)) >> Emit("e", (b"x" * 20,)) << refuses(Cause.SEND_BUFFER_FULL)
    play(script >> Emit("f") << shows(waiting=2))


# --- Time.


@unconnected
def test_a_call_whose_time_is_over_while_it_is_held_fails_and_is_never_sent(way: Callable[..., Script]) -> None:
    machine = play(way())
    now = 0.0 if machine.link_state is LinkState.WAITING else 1.0
    script = Script(machine) >> at(now) >> Emit("e", call=1, timeout=0.5) >> Emit("f") << shows(deadline=now + 0.5)
    script = script >> at(now + 0.4) >> TimePassed() >> at(now + 0.5) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT) << shows(waiting=1)
    assert play(script).deadline > now + 0.5
    assert [output.name for output in machine.process(Close(), now + 0.6) if isinstance(output, EmitDropped)] == ["f"]


def test_calls_that_are_held_time_out_in_the_order_of_their_times() -> None:
    script = wanting("/") >> Emit("a", call=1, timeout=3.0) >> Emit("b", call=2, timeout=1.0) >> Emit("c", call=3, timeout=3.0)
    script = script >> at(9.0) >> TimePassed() << failed(2, Cause.ACK_TIMEOUT) << failed(1, Cause.ACK_TIMEOUT) << failed(3, Cause.ACK_TIMEOUT)
    play(script << shows(waiting=0, deadline=math.inf))


def test_a_call_with_no_time_at_all_is_over_at_the_next_look() -> None:
    script = asked("/") >> Emit("e", call=0, timeout=0.0) << shows(deadline=0.0, waiting=1) >> TimePassed() << failed(0, Cause.ACK_TIMEOUT)
    play(script << shows(waiting=0))


def test_the_time_of_a_call_runs_on_when_it_is_sent() -> None:
    play(
        asked("/")
        >> Emit("e", call=1, timeout=5.0)
        >> at(3.0)
        >> arrives(grant())
        << granted()
        << frame('420["e"]')
        << shows(deadline=5.0)
        >> at(5.0)
        >> TimePassed()
        << failed(1, Cause.ACK_TIMEOUT)
    )


def test_call_number_zero_is_a_call_like_any_other() -> None:
    script = linked("/") >> Emit("e", call=0, timeout=1.0) << frame('420["e"]') >> at(1.0) >> TimePassed() << failed(0, Cause.ACK_TIMEOUT)
    play(script >> Emit("e", call=0) << frame('421["e"]') >> arrives("431[]") << CallAnswered(0, []))


def test_a_call_whose_time_is_over_says_how_long_it_was_whatever_it_waited_for() -> None:
    script = asked("/") >> Emit("e", call=1, timeout=5.0) >> at(3.0) >> arrives(grant()) << granted() << frame('420["e"]')
    error = error_of(tell(script >> at(5.0) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT)))
    assert isinstance(error, AckTimeout)
    assert error.timeout == 5.0


def test_a_call_without_a_timeout_is_held_for_as_long_as_its_namespace_is_wanted() -> None:
    machine = play(cut(linked("/")) >> Emit("e", call=1))
    now = 0.0
    for _ in range(50):
        now = machine.deadline
        machine.process(TimePassed(), now)
    assert machine.waiting == 1


def test_the_deadlines_of_calls_that_were_held_do_not_pile_up() -> None:
    machine = play(wanting("/", "/a"))
    for number in range(1000):
        machine.process(Emit("e", (), "/a", number, 1e9), 0.0)
        machine.process(LeaveNamespace("/a"), 0.0)
        machine.process(JoinNamespace("/a"), 0.0)
    assert len(machine._deadlines) < 100


# --- A connection that takes no more for now.


def test_what_is_held_leaves_as_far_as_there_is_room_and_the_rest_when_there_is_more() -> None:
    wishes = [Emit(str(number), ticket=number) for number in range(5)]
    script = by_polling(limits=Limits(max_buffered_packets=2))
    for number, wish in enumerate(wishes):
        script = script >> wish << EmitHeld(number)
    play(
        script
        >> answer(3, grant())
        << granted()
        << poll(4)
        << EmitReleased(0)
        << post(5, '42["0"]')
        << EmitReleased(1)
        << EmitReleased(2)
        << shows(waiting=2)
        >> Emit("5", ticket=5)  # it does not overtake
        << EmitHeld(5)
        >> Emit("now or never", volatile=True, ticket=6)
        << drops("now or never", ticket=6)
        >> ok(5)
        << post(6, '42["1"]', '42["2"]')
        << EmitReleased(3)
        << EmitReleased(4)
        << shows(waiting=1)
        >> ok(6)
        << post(7, '42["3"]', '42["4"]')
        << EmitReleased(5)
        << shows(waiting=0)
        >> Emit("6", ticket=7)
        >> Emit("7")
        << refuses(Cause.SEND_BUFFER_FULL)
    )


def test_a_connection_that_is_lost_on_the_way_leaves_the_rest_held() -> None:
    script = by_polling(limits=Limits(max_buffered_packets=1)) >> Emit("1") >> Emit("2") >> Emit("3") >> Emit("4")
    script = script >> answer(3, grant()) << granted() << poll(4) << post(5, '42["1"]') << shows(waiting=2)
    machine = play(script)
    machine.process(RequestFailed(5, Cause.CONNECTION_LOST, "gone"), 0.0)
    assert (machine.link_state, machine.waiting) == (LinkState.WAITING, 2)
    script = (
        Script(machine) >> at(1.0) >> TimePassed() << poll(1) >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40") << poll(3) >> ok(2)
    )
    script = script >> answer(3, grant()) << granted() << Reconnected(1, False) << poll(4) << post(5, '42["3"]') << shows(waiting=0)
    play(script >> ok(5) << post(6, '42["4"]'))


def test_a_client_that_holds_nothing_refuses_what_a_full_connection_does_not_take() -> None:
    machine = play(by_polling(limits=Limits(max_buffered_packets=1), hold=False) >> answer(3, grant()) << granted() << poll(4))
    play(Script(machine) >> Emit("1") << post(5, '42["1"]') >> Emit("2") >> Emit("3") << refuses(Cause.SEND_BUFFER_FULL) << shows(waiting=0))


# --- What cannot be sent after all.


def test_an_event_that_is_too_large_for_the_server_is_dropped_and_the_others_are_not() -> None:
    wishes = (Emit("x" * 50, ticket=1), Emit("y" * 50, call=2, ticket=2), Emit("z", call=3, ticket=3))
    script = by_polling(max_payload=40)
    for wish in wishes:
        script = script >> wish << EmitHeld(wish.ticket or 0)
    play(
        script
        >> answer(3, grant())
        << granted()
        << poll(4)
        << drops("x" * 50, Cause.PAYLOAD_TOO_LARGE, ticket=1)
        << failed(2, Cause.PAYLOAD_TOO_LARGE)
        << EmitReleased(3)
        << post(5, '420["z"]')
        << shows(waiting=0)
    )


def test_more_calls_than_may_wait_fail_when_they_are_released() -> None:
    script = asked("/", limits=Limits(max_pending_calls=1)) >> Emit("a", call=1) >> Emit("b", call=2) >> arrives(grant()) << granted()
    play(script << frame('420["a"]') << failed(2, Cause.TOO_MANY_CALLS))


def test_what_is_held_in_a_namespace_that_is_left_is_dropped() -> None:
    script = asked("/", "/a") >> Emit("e", namespace="/a", ticket=1) << EmitHeld(1) >> Emit("f", (), "/a", 2) >> Emit("g")
    script = script >> LeaveNamespace("/a") << drops("e", Cause.CLOSED, ticket=1, namespace="/a") << failed(2, Cause.CLOSED)
    play(script << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT) << shows(waiting=1))


def test_what_is_held_in_a_namespace_that_is_refused_is_dropped_with_the_refusal_as_cause() -> None:
    script = asked("/", "/a") >> Emit("e", namespace="/a") >> Emit("f", (), "/a", 2) >> Emit("g")
    script = script >> arrives('44/a,"no"') << refused("/a") << drops("e", Cause.CLOSED, namespace="/a") << failed(2, Cause.CLOSED)
    outputs = tell(script << shows(waiting=1))
    causes = [output.error.__cause__ for output in outputs if isinstance(output, EmitDropped) and output.error is not None]
    assert [getattr(cause, "cause", None) for cause in causes] == [Cause.NAMESPACE_REFUSED]


def test_what_is_held_at_the_end_is_dropped_before_it_and_counted() -> None:
    script = cut(linked("/", "/a"), "/", "/a") >> Emit("e", ticket=1) << EmitHeld(1) >> Emit("f", (), "/a", 2, 9.0)
    script = script >> Close() << drops("e", Cause.CLOSED, ticket=1) << failed(2, Cause.CLOSED)
    play(script << ends(CloseReason.CLIENT_CLOSE, unsent=2) << shows(LinkState.CLOSED, deadline=math.inf, waiting=0))


def test_what_is_held_when_no_other_try_is_made_is_dropped() -> None:
    script = asked("/", policy=None) >> Emit("e") >> vanishes() << drops("e", Cause.CLOSED)
    outputs = tell(script << lost(unsent=1))
    (dropped,) = [output for output in outputs if isinstance(output, EmitDropped)]
    assert dropped.error is not None
    assert dropped.error.__cause__ is outputs[-1].error


def test_what_is_emitted_after_a_namespace_was_ended_and_before_its_connection_is_dropped_too() -> None:
    """By polling there is a while between the two: the goodbye is in a POST."""
    script = by_polling() >> answer(3, grant()) << granted() << poll(4) >> answer(4, "41") << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
    script = script << poll(5) << post(6, "1") >> Emit("e", ticket=1) << EmitHeld(1)
    machine = play(script)
    outputs = machine.process(ok(6), 0.0)
    assert [type(output).__name__ for output in outputs] == ["CloseTransport", "EmitDropped", "Closed"]


def test_what_is_emitted_after_a_late_refusal_is_dropped_too() -> None:
    script = (
        by_polling()
        >> answer(3, grant())
        << granted()
        << poll(4)
        >> answer(4, '44{"message":"no longer"}')
        << refused("/")
        << poll(5)
        << post(6, "1")
    )
    machine = play(script >> Emit("e", ticket=1) << EmitHeld(1))
    assert [type(output).__name__ for output in machine.process(ok(6), 0.0)] == ["CloseTransport", "EmitDropped", "Closed"]


# --- Not held.


@unconnected
def test_a_volatile_event_is_dropped_where_there_is_no_connection(way: Callable[..., Script]) -> None:
    script = way() >> Emit("v", volatile=True) << drops("v") >> Emit("v", volatile=True, ticket=4) << drops("v", ticket=4)
    play(script >> Emit("v", call=1, volatile=True) << failed(1, Cause.DROPPED) << shows(waiting=0))


@unconnected
def test_a_client_that_holds_nothing_refuses(way: Callable[..., Script]) -> None:
    machine = play(way(hold=False))
    before = fingerprint(machine)
    script = Script(machine) >> Emit("e") << refuses(Cause.NAMESPACE_NOT_CONNECTED) >> Emit("e", call=1) << refuses(Cause.NAMESPACE_NOT_CONNECTED)
    play(script)
    assert fingerprint(machine) == before
    play(Script(machine) >> Emit("v", volatile=True) << drops("v"))


def test_a_volatile_event_leaves_if_it_can_leave_now() -> None:
    play(linked("/") << shows(writable=True) >> Emit("v", volatile=True) << frame('42["v"]') >> Emit("v", call=1, volatile=True) << frame('420["v"]'))
    play(
        by_polling()
        >> answer(3, grant())
        << granted()
        << poll(4)
        << shows(writable=True)
        >> Emit("v", (1,), volatile=True)
        << post(5, '42["v",1]')
        << shows(writable=False)
        >> Emit("v", (2,), volatile=True, ticket=2)
        << drops("v", ticket=2)
        >> ok(5)
        << shows(writable=True)
        >> Emit("v", (3,), volatile=True)
        << post(6, '42["v",3]')
    )


def test_nothing_of_a_namespace_that_is_not_wanted_is_held() -> None:
    for wish in (Emit("e", namespace="/b"), Emit("e", namespace="/b", volatile=True)):
        with pytest.raises(LocalProtocolError) as caught:
            play(asked("/")).process(wish, 0.0)
        assert caught.value.cause is Cause.NAMESPACE_NOT_CONNECTED
