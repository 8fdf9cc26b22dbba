"""Scripts: what is told of the events that leave, where somebody looks on.

`EventSent` comes for each event that the connection has taken, each time that it takes it, right before what is done about it. Of what waits, is
refused, dropped or no event there is none, and where nobody looks on nothing is different.
"""

from __future__ import annotations

from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.inputs import Close, Connect, TimePassed
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import CallAnswered, EmitHeld, EmitReleased, EventSent, NamespaceLeft, Reconnected
from engineio_lite.socketio.inputs import Acknowledge, Deliver, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.state import CloseReason
from tests.core.script import answer, arrives, at, frame, ok, open_packet, opened, poll, post, refuses
from tests.script import play
from tests.socketio.links import Script, again, asked, asking, cut, drops, grant, granted, linked, retrying, wanting
from tests.socketio.script import event, failed


def watching(script: Script, *namespaces: str) -> Script:
    """Somebody looks on in these namespaces, the main one if none is named."""
    script.connection.watched = frozenset(namespaces or ("/",))
    return script


def sent(name: str, *args: object, namespace: str = "/") -> EventSent:
    """The connection has taken this event."""
    return EventSent(namespace, name, args)


def by_polling(*, limits: Limits | None = None, max_payload: int | None = 1_000_000) -> Script:
    """The main namespace is ours by polling: poll 4 waits, and the next request is number 5."""
    script = wanting("/", transports=("polling",), limits=limits) >> Connect() << poll(1)
    script = script >> answer(1, open_packet(upgrades=(), max_payload=max_payload)) << opened(upgrades=(), max_payload=max_payload)
    return script << post(2, "40") << poll(3) >> ok(2) >> answer(3, grant()) << granted() << poll(4)


# --- What is told.


def test_each_event_is_told_of_as_the_connection_takes_it_with_its_arguments_as_they_are() -> None:
    argument: dict[str, Any] = {"a": (1, b"\x01")}
    play(
        watching(linked("/"))
        >> Emit("a", (argument,))
        << EventSent("/", "a", (argument,))
        << frame('451-["a",{"a":[1,{"_placeholder":true,"num":0}]}]')
        << frame(b"\x01")
        >> Emit("b", call=1, timeout=2.0, ticket=1)
        << sent("b")
        << frame('420["b"]')
        >> arrives("430[]")
        << CallAnswered(1, [])
    )


def test_by_polling_it_is_told_of_when_it_is_queued_and_not_when_it_is_posted() -> None:
    play(
        watching(by_polling())
        >> Emit("a")
        << sent("a")
        << post(5, '42["a"]')
        >> Emit("b")
        << sent("b")
        >> Emit("c")
        << sent("c")
        >> ok(5)
        << post(6, '42["b"]', '42["c"]')
    )


def test_a_volatile_one_is_told_of_if_it_leaves_and_not_if_it_is_dropped() -> None:
    play(
        watching(by_polling())
        >> Emit("a", volatile=True)
        << sent("a")
        << post(5, '42["a"]')
        >> Emit("b", volatile=True, ticket=1)
        << drops("b", ticket=1)
        >> Emit("c", volatile=True, call=1)
        << failed(1, Cause.DROPPED)
        >> ok(5)
        >> Emit("d", volatile=True, call=2)
        << sent("d")
        << post(6, '420["d"]')
    )
    play(watching(cut(linked("/"))) >> Emit("a", volatile=True) << drops("a"))


def test_what_waits_is_told_of_when_it_is_passed_on_and_as_the_copy_that_has_waited() -> None:
    listed = [1, (2,)]
    script = watching(asked("/")) >> Emit("a", (listed,), ticket=1) << EmitHeld(1) >> Emit("b", (bytearray(b"\x02"),))
    machine = play(script)
    listed.append(3)
    play(
        Script(machine)
        >> arrives(grant())
        << granted()
        << EmitReleased(1)
        << sent("a", [1, [2]])
        << frame('42["a",[1,[2]]]')
        << sent("b", b"\x02")
        << frame('451-["b",{"_placeholder":true,"num":0}]')
        << frame(b"\x02")
    )


def test_after_a_lost_connection_what_has_waited_is_told_of_and_what_was_on_its_way_is_not_told_of_again() -> None:
    script = watching(linked("/")) >> Emit("before") << sent("before") << frame('42["before"]')
    script = cut(script) >> Emit("a") >> Emit("b", ticket=7) << EmitHeld(7)
    play(again(script, then=[sent("a"), frame('42["a"]'), EmitReleased(7), sent("b"), frame('42["b"]')]))


def test_what_is_repeated_is_told_of_each_time() -> None:
    script = (
        watching(linked("/"))
        >> Deliver("a", (1,), 10, 2.0, 2)
        << sent("a", 1)
        << frame('420["a",1]')
        >> Deliver("b", (), 11, 2.0, 2)
        >> at(2.0)
        >> TimePassed()
        << sent("a", 1)
        << frame('421["a",1]')
    )
    script = asking(retrying(cut(script), 3.0), "40") >> arrives(grant())
    play(
        script
        << granted()
        << Reconnected(1, False)
        << sent("a", 1)
        << frame('422["a",1]')
        >> arrives("432[]")
        << CallAnswered(10, [])
        << sent("b")
        << frame('423["b"]')
        >> arrives("433[]")
        << CallAnswered(11, [])
    )


def test_it_is_told_of_where_somebody_looks_on_and_nowhere_else() -> None:
    script = watching(linked("/", "/a"), "/a") >> Emit("x") << frame('42["x"]') >> Emit("x", namespace="/a")
    script = script << sent("x", namespace="/a") << frame('42/a,["x"]') >> Deliver("y", (), 1, 2.0, 0) << frame('420["y"]')
    play(script >> Deliver("y", (), 2, 2.0, 0, "/a") << sent("y", namespace="/a") << frame('42/a,0["y"]'))


def test_who_looks_on_may_begin_and_end_at_any_time() -> None:
    machine = play(asked("/") >> Emit("a"))
    machine.watched = {"/"}
    play(Script(machine) >> arrives(grant()) << granted() << sent("a") << frame('42["a"]') >> Emit("b") << sent("b") << frame('42["b"]'))
    machine.watched = frozenset()
    play(Script(machine) >> Emit("c") << frame('42["c"]'))


# --- What is not.


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (Emit("e", (object(),)), Cause.BAD_MESSAGE),
        (Emit("connect"), Cause.RESERVED_EVENT),
        (Emit("e", call=1, timeout=-0.1), Cause.BAD_OPTION),
        (Emit("e", namespace="/other"), Cause.NAMESPACE_NOT_CONNECTED),
        (Deliver("e", (object(),), 1, 1.0, 1), Cause.BAD_MESSAGE),
    ],
)
def test_what_is_refused_is_not_told_of(wish: Emit | Deliver, cause: Cause) -> None:
    play(watching(linked("/"), "/", "/other") >> wish << refuses(cause))


def test_what_does_not_fit_into_the_buffer_is_told_of_once_it_does() -> None:
    script = watching(by_polling(limits=Limits(max_buffered_packets=1))) >> Emit("a") << sent("a") << post(5, '42["a"]')
    script = script >> Emit("b") << sent("b") >> Emit("c") << refuses(Cause.SEND_BUFFER_FULL) >> Deliver("d", (), 1, 9.0, 0)
    play(script >> ok(5) << post(6, '42["b"]') << sent("d") >> ok(6) << post(7, '420["d"]'))


def test_what_waited_in_vain_is_not_told_of() -> None:
    late = watching(asked("/")) >> Emit("a", call=1, timeout=1.0) >> at(1.0) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT)
    play(late >> arrives(grant()) << granted())
    left = watching(asked("/", "/a"), "/a") >> Emit("a", namespace="/a", ticket=3) << EmitHeld(3)
    left = left >> LeaveNamespace("/a") << drops("a", Cause.CLOSED, ticket=3, namespace="/a")
    play(left << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT))


def test_control_packets_and_acknowledgements_are_not_told_of() -> None:
    script = watching(linked("/"), "/", "/a") >> arrives('425["asks"]') << event("asks", ack_id=5) >> Acknowledge(5) << frame("435[]")
    script = script >> JoinNamespace("/a") << frame("40/a,") >> arrives(grant("/a")) << granted("/a")
    outputs = play(script).process(Close(), 0.0)
    assert frame("41") in outputs
    assert not any(isinstance(output, EventSent) for output in outputs)
