"""Scripts: events that ask for an acknowledgement, and acknowledgements that are asked of us.

An acknowledgement id is counted from 0 in each namespace, as the reference client counts; the number of a call is the caller's own and never on the
wire. The promise: for each accepted call exactly one `CallAnswered` or `CallFailed`, whatever happens, and nothing at all for one that was refused.
"""

from __future__ import annotations

import math

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import AckTimeout, ConnectionClosed
from engineio_lite.inputs import Close, TimePassed, WebSocketClosed
from engineio_lite.limits import Limits
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import CallAnswered, CallFailed, EventReceived, NamespaceLeft
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.packet import PacketType
from engineio_lite.state import CloseReason, SessionState
from tests.core.script import answer, arrives, at, drop_requests, frame, hang_up, ok, poll, post
from tests.socketio.script import ends, error_of, event, failed, grant, granted, ignored, joined, live, play, refuses, shows, tell

LATER = 30.0

# --- Numbers.


def test_ack_ids_count_from_zero_in_each_namespace() -> None:
    play(
        live("/", "/a")
        >> Emit("x", call=10)
        << frame('420["x"]')
        >> Emit("x", namespace="/a", call=11)
        << frame('42/a,0["x"]')
        >> Emit("between")
        << frame('42["between"]')
        >> Emit("x", call=12)
        << frame('421["x"]')
        >> arrives('43/a,0["a"]')
        << CallAnswered(11, ["a"])
        >> arrives("431[1,2]")
        << CallAnswered(12, [1, 2])
        >> arrives("430[]")
        << CallAnswered(10, [])
    )


def test_ack_ids_go_on_after_a_namespace_was_left_so_that_a_late_answer_meets_no_new_call() -> None:
    play(
        live("/", "/a")
        >> Emit("x", namespace="/a", call=1)
        << frame('42/a,0["x"]')
        >> LeaveNamespace("/a")
        << frame("41/a,")
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> JoinNamespace("/a")
        >> at(0.1)
        >> TimePassed()
        << frame("40/a,")
        >> arrives(grant("/a"))
        << granted("/a", "a")
        >> Emit("x", namespace="/a", call=2)
        << frame('42/a,1["x"]')
        >> arrives('43/a,0["late"]')
        << ignored(PacketType.ACK, ["late"], "/a", 0, why="no call")
        >> arrives('43/a,1["mine"]')
        << CallAnswered(2, ["mine"])
    )


def test_answers_to_unknown_and_answered_ids_are_ignored_visibly() -> None:
    play(
        joined("/")
        >> Emit("x", call=1)
        << post(5, '420["x"]')
        >> answer(4, "437[]", '430["yes"]', '430["again"]', '42["on"]')
        << ignored(PacketType.ACK, [], id=7, why="no call")
        << CallAnswered(1, ["yes"])
        << ignored(PacketType.ACK, ["again"], id=0, why="no call")
        << event("on")
        << poll(6)
    )


def test_an_answer_from_another_namespace_is_not_an_answer() -> None:
    play(
        live("/", "/a")
        >> Emit("x", call=1)
        << frame('420["x"]')
        >> arrives("43/a,0[]")
        << ignored(PacketType.ACK, [], "/a", 0, why="no call")
        >> arrives("430[]")
        << CallAnswered(1, [])
    )


def test_the_number_of_a_waiting_call_cannot_be_used_twice_and_then_again() -> None:
    play(
        live("/", "/a")
        >> Emit("x", call=1)
        << frame('420["x"]')
        >> Emit("y", call=1)
        << refuses(Cause.BAD_OPTION)
        >> Emit("y", namespace="/a", call=1)
        << refuses(Cause.BAD_OPTION)
        >> arrives("430[]")
        << CallAnswered(1, [])
        >> Emit("y", call=1)
        << frame('421["y"]')
    )


def test_as_many_calls_wait_as_the_limit_over_all_namespaces_and_a_refused_one_takes_no_id() -> None:
    play(
        live("/", "/a", limits=Limits(max_pending_calls=2))
        >> Emit("x", call=1)
        << frame('420["x"]')
        >> Emit("x", namespace="/a", call=2)
        << frame('42/a,0["x"]')
        >> Emit("x", call=3)
        << refuses(Cause.TOO_MANY_CALLS)
        >> Emit("no call")
        << frame('42["no call"]')
        >> arrives("43/a,0[]")
        << CallAnswered(2, [])
        >> Emit("x", call=3)
        << frame('421["x"]')
    )


# --- Time.


def test_a_call_fails_when_its_time_is_over_and_a_later_answer_is_ignored_visibly() -> None:
    outputs = tell(
        live("/")
        >> Emit("slow", (1,), call=1, timeout=2.5)
        << frame('420["slow",1]')
        << shows(deadline=2.5)
        >> at(2.4)
        >> TimePassed()
        >> at(2.5)
        >> TimePassed()
        << failed(1, Cause.ACK_TIMEOUT)
        << shows(deadline=45.0)
        >> arrives('430["at last"]')
        << ignored(PacketType.ACK, ["at last"], id=0, why="no call")
    )
    error = error_of(outputs)
    assert isinstance(error, AckTimeout)
    assert (error.name, error.timeout) == ("slow", 2.5)


def test_calls_fail_in_the_order_of_their_times_and_then_of_their_emission() -> None:
    play(
        live("/")
        >> Emit("a", call=1, timeout=3.0)
        << frame('420["a"]')
        >> Emit("b", call=2, timeout=1.0)
        << frame('421["b"]')
        >> Emit("c", call=3, timeout=3.0)
        << frame('422["c"]')
        >> at(LATER)
        >> TimePassed()
        << failed(2, Cause.ACK_TIMEOUT)
        << failed(1, Cause.ACK_TIMEOUT)
        << failed(3, Cause.ACK_TIMEOUT)
    )


def test_a_call_without_a_timeout_waits_for_as_long_as_its_namespace() -> None:
    play(
        live("/")
        >> Emit("x", call=1)
        << frame('420["x"]')
        << shows(deadline=45.0)
        >> at(40.0)
        >> arrives("2")
        << frame("3")
        >> at(80.0)
        >> arrives("430[]")
        << CallAnswered(1, [])
    )


def test_an_answer_in_time_leaves_nothing_to_fail() -> None:
    play(live("/") >> Emit("x", call=1, timeout=5.0) << frame('420["x"]') >> arrives("430[]") << CallAnswered(1, []) >> at(5.0) >> TimePassed())


def test_the_time_of_an_answered_call_does_not_run_against_a_later_one_of_the_same_number() -> None:
    play(
        live("/")
        >> Emit("x", call=1, timeout=5.0)
        << frame('420["x"]')
        >> arrives("430[]")
        << CallAnswered(1, [])
        >> at(4.0)
        >> Emit("x", call=1, timeout=5.0)
        << frame('421["x"]')
        >> at(5.0)
        >> TimePassed()
        >> at(9.0)
        >> TimePassed()
        << failed(1, Cause.ACK_TIMEOUT)
    )


@pytest.mark.parametrize("timeout", [math.nan, -1.0])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    play(
        live("/") >> Emit("x", call=1, timeout=timeout) << refuses(Cause.BAD_OPTION) << shows(deadline=45.0) >> Emit("x", call=1) << frame('420["x"]')
    )


def test_a_timeout_of_zero_is_over_at_once() -> None:
    outputs = tell(
        live("/") >> Emit("x", call=1, timeout=0.0) << frame('420["x"]') << shows(deadline=0.0) >> TimePassed() << failed(1, Cause.ACK_TIMEOUT)
    )
    error = error_of(outputs)
    assert isinstance(error, AckTimeout)
    assert error.timeout == 0.0


def test_instants_of_answered_calls_are_not_kept_for_as_long_as_their_timeouts() -> None:
    connection = play(live("/"))
    most = 0
    for number in range(5000):
        connection.process(Emit("x", call=number, timeout=86400.0), 0.0)
        assert connection.process(arrives(f"43{number}[]"), 0.0) == [CallAnswered(number, [])]
        most = max(most, len(connection._deadlines))
    assert most < 100
    # And those that still wait are all kept, however often the others were cleared away.
    for number in range(200):
        connection.process(Emit("x", call=number, timeout=10.0 + number), 0.0)
    for number in range(5000):
        connection.process(Emit("x", call=-1, timeout=86400.0), 0.0)
        connection.process(arrives(f"43{5200 + number}[]"), 0.0)
    assert connection.deadline == 10.0
    fell_due = connection.process(TimePassed(), 30.0)
    assert [output.call for output in fell_due if isinstance(output, CallFailed)] == list(range(21))


def test_the_call_at_which_old_instants_are_cleared_away_keeps_its_own() -> None:
    connection = play(live("/"))
    for number in range(300):
        # Each time is shorter than all before it, so the deadline tells at once whether it is there.
        connection.process(Emit("x", call=number, timeout=40.0 - number / 10), 0.0)
        assert connection.deadline == 40.0 - number / 10
        connection.process(arrives(f"43{number}[]"), 0.0)


# --- The end of a namespace, or of everything.


def test_calls_fail_when_we_leave_their_namespace_and_those_of_others_do_not() -> None:
    outputs = tell(
        live("/", "/a")
        >> Emit("x", namespace="/a", call=1, timeout=10.0)
        << frame('42/a,0["x"]')
        >> Emit("x", call=2)
        << frame('420["x"]')
        >> Emit("x", namespace="/a", call=3)
        << frame('42/a,1["x"]')
        >> LeaveNamespace("/a")
        << frame("41/a,")
        << failed(1, Cause.CLOSED)
        << failed(3, Cause.CLOSED)
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> arrives("430[]")
        << CallAnswered(2, [])
        >> at(10.0)
        >> TimePassed()
    )
    error = error_of(outputs)
    assert isinstance(error, ConnectionClosed)
    assert error.reason is CloseReason.CLIENT_DISCONNECT


def test_calls_fail_when_the_server_throws_us_out() -> None:
    outputs = tell(
        live("/", "/a")
        >> Emit("x", namespace="/a", call=1)
        << frame('42/a,0["x"]')
        >> arrives("41/a,")
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT)
        >> arrives("43/a,0[]")
        << ignored(PacketType.ACK, [], "/a", 0, why="not joined")
    )
    error = error_of(outputs)
    assert isinstance(error, ConnectionClosed)
    assert error.reason is CloseReason.SERVER_DISCONNECT


def test_calls_fail_when_the_connection_ends_and_say_what_ended_it() -> None:
    outputs = tell(
        live("/", "/a")
        >> Emit("x", namespace="/a", call=1, timeout=10.0)
        << frame('42/a,0["x"]')
        >> Emit("x", call=2)
        << frame('420["x"]')
        >> WebSocketClosed(1, 1006)
        << failed(2, Cause.CLOSED)
        << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/a", CloseReason.TRANSPORT_CLOSE)
        << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED)
        << shows(SessionState.CLOSED, deadline=math.inf)
        >> at(10.0)
        >> TimePassed()
    )
    reason = error_of(outputs)
    for output in outputs:
        if isinstance(output, CallFailed):
            assert isinstance(output.error, ConnectionClosed)
            assert (output.error.reason, output.error.__cause__) == (CloseReason.TRANSPORT_CLOSE, reason)


def test_a_call_on_a_dead_line_fails_at_once_because_the_server_has_long_been_silent() -> None:
    play(
        live("/")
        >> at(50.0)
        >> Emit("x", call=1, timeout=5.0)
        << hang_up()
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/", CloseReason.PING_TIMEOUT)
        << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=1)
        << shows(SessionState.CLOSED, deadline=math.inf)
    )


def test_wishes_on_a_dead_line_end_the_session_and_nothing_else() -> None:
    silent = ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=1)
    left = NamespaceLeft("/", CloseReason.PING_TIMEOUT)
    play(live("/") >> at(50.0) >> LeaveNamespace() << hang_up() << left << silent << shows(SessionState.CLOSED))
    play(live("/") >> at(50.0) >> JoinNamespace("/a") << hang_up() << left << silent << shows(SessionState.CLOSED, deadline=math.inf))
    asked = live("/") >> arrives('420["q"]') << EventReceived("/", "q", [], 0)
    play(asked >> at(50.0) >> Acknowledge(0) << hang_up() << left << silent << shows(SessionState.CLOSED))


def test_a_call_can_be_answered_while_the_session_leaves() -> None:
    play(
        joined("/")
        >> Emit("x", call=1)
        << post(5, '420["x"]')
        >> Close()
        >> Emit("y", call=2)
        << refuses(Cause.NOT_OPEN)
        >> answer(4, '430["in time"]')
        << CallAnswered(1, ["in time"])
        >> ok(5)
        << post(6, "41", "1")
        >> ok(6)
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_calls_fail_when_the_session_has_left() -> None:
    play(
        joined("/")
        >> Emit("x", call=1)
        << post(5, '420["x"]')
        >> Close()
        >> ok(5)
        << post(6, "41", "1")
        >> ok(6)
        << drop_requests()
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
    )


# --- Refused events change nothing.


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (Emit("e", (object(),), call=1), Cause.BAD_MESSAGE),
        (Emit("e", ({1: "key"},), call=1), Cause.BAD_MESSAGE),
        (Emit("e", (math.nan,), call=1), Cause.BAD_NUMBER),
        (Emit("e", (math.inf,), call=1), Cause.BAD_NUMBER),
        (Emit("e", (10**200,), call=1), Cause.BAD_NUMBER),
        (Emit("e", (b"x", {"_placeholder": True, "num": 0}), call=1), Cause.BAD_PLACEHOLDER),
        (Emit("e", (b"x",) * 11, call=1), Cause.TOO_MANY_ATTACHMENTS),
        (Emit("connect", call=1), Cause.RESERVED_EVENT),
        (Emit("disconnect"), Cause.RESERVED_EVENT),
        (Emit("e", ("x" * 200,), call=1), Cause.PAYLOAD_TOO_LARGE),
        (Emit("e", (b"x" * 200,), call=1), Cause.PAYLOAD_TOO_LARGE),
        (Acknowledge(-1), Cause.ACK_ID_RANGE),
        (Acknowledge(2**53), Cause.ACK_ID_RANGE),
        (Acknowledge(0, (object(),)), Cause.BAD_MESSAGE),
    ],
)
def test_what_cannot_be_sent_is_refused_and_changes_nothing_not_even_the_next_ack_id(wish: Emit | Acknowledge, cause: Cause) -> None:
    play(
        joined("/", max_payload=150)
        >> wish
        << refuses(cause)
        << shows(SessionState.OPEN, deadline=45.0)
        >> Emit("good", call=1)
        << post(5, '420["good"]')
        >> ok(5)
        >> answer(4, "430[]")
        << CallAnswered(1, [])
        << poll(6)
    )


def test_values_that_hold_themselves_are_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    play(joined("/") >> Emit("e", (endless,)) << refuses(Cause.TOO_DEEP))


def test_a_full_buffer_refuses_a_call_and_changes_nothing() -> None:
    play(
        joined("/", limits=Limits(max_buffered=20))
        >> Emit("first")
        << post(5, '42["first"]')
        >> Emit("second")
        >> Emit("third", call=1)
        << refuses(Cause.SEND_BUFFER_FULL)
        >> ok(5)
        << post(6, '42["second"]')
        >> Emit("third", call=1)
        >> ok(6)
        << post(7, '420["third"]')
    )


def test_the_callers_arguments_are_not_changed() -> None:
    inner: dict[str, object] = {"data": b"\x01", "list": [b"\x02"]}
    play(
        live("/")
        >> Emit("e", (inner,))
        << frame('452-["e",{"data":{"_placeholder":true,"num":0},"list":[{"_placeholder":true,"num":1}]}]')
        << frame(b"\x01")
        << frame(b"\x02")
    )
    assert inner == {"data": b"\x01", "list": [b"\x02"]}


# --- When the server asks.


def test_an_event_that_wants_an_answer_brings_its_id_and_is_answered_with_it() -> None:
    play(
        joined("/", "/a")
        >> answer(4, '420["ask"]', '42/a,12["ask",{"n":1}]')
        << event("ask", ack_id=0)
        << event("ask", {"n": 1}, namespace="/a", ack_id=12)
        << poll(5)
        >> Acknowledge(12, ("yes", None), "/a")
        << post(6, '43/a,12["yes",null]')
        >> Acknowledge(0)
        >> ok(6)
        << post(7, "430[]")
    )


def test_an_event_may_be_named_by_a_number_as_javascript_allows() -> None:
    play(live("/") >> arrives("42[7,8]") << event(7, 8) >> arrives("42[1.5]") << event(1.5))


def test_what_crosses_between_two_machines_of_ours_arrives_as_it_left() -> None:
    """Our own events, as a server would echo them: the same machine understands what it writes."""
    sender, receiver = play(live("/")), play(live("/"))
    arguments = ('é\u2028\x00"\\', 2**53, -1.5e-9, None, [True, {"k": []}], {"a": {"b": [0]}})
    assert _echo(sender, receiver, Emit("name", arguments)) == [event("name", *arguments)]


def _echo(sender: SocketIOConnection, receiver: SocketIOConnection, wish: Emit) -> list[object]:
    outputs: list[object] = []
    for command in sender.process(wish, 0.0):
        outputs += receiver.process(arrives(command.data), 0.0)  # type: ignore[union-attr]  # a SendFrame, on a WebSocket
    return outputs
