"""Scripts: how a connection ends, and who is told what.

However it ends, each namespace that was connected is left, each call that waits has failed, and `Closed` is the last output of all. The reason is
that of what happened first: a server that hangs up while we leave, or that says goodbye to us after we did to it, does not make it its own.
"""

from __future__ import annotations

import math

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import RemoteProtocolError
from engineio_lite.inputs import Close, Connect, Fail, Input, RequestFailed, SendMessages, TimePassed, WebSocketClosed
from engineio_lite.limits import Timeouts
from engineio_lite.socketio.events import NamespaceLeft
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace, SocketIOInput
from engineio_lite.state import CloseReason, NamespaceState, SessionState
from tests.core.script import NO_UPGRADE, answer, arrives, at, drop_requests, frame, hang_up, ok, opened, poll, post, websocket
from tests.socketio.script import asked, connection, ends, event, fresh, joined, live, play, refused, refuses, shows, wanting

# --- Our own close.


def test_close_says_goodbye_to_each_connected_namespace_and_to_the_session_in_one_post() -> None:
    play(
        joined("/", "/a", "/b")
        >> answer(4, "41/b,")
        << NamespaceLeft("/b", CloseReason.SERVER_DISCONNECT)
        << poll(5)
        >> JoinNamespace("/c")
        << post(6, "40/c,")
        >> ok(6)
        >> Close()
        << post(7, "41", "41/a,", "1")
        << shows(SessionState.CLOSING)
        >> ok(7)
        << drop_requests()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << NamespaceLeft("/a", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
        << shows(SessionState.CLOSED, namespace="/c", state=NamespaceState.DISCONNECTED, deadline=math.inf)
    )


def test_close_says_goodbye_on_a_websocket_and_is_done_at_once() -> None:
    play(
        live("/", "/a")
        >> Close()
        << frame("41")
        << frame("41/a,")
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << NamespaceLeft("/a", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_a_farewell_of_the_callers_goes_before_ours() -> None:
    play(joined("/") >> Close(('2["bye"]',)) << post(5, '42["bye"]', "41", "1"))


def test_what_was_emitted_before_close_leaves_before_it() -> None:
    play(joined("/") >> Emit("a") << post(5, '42["a"]') >> Emit("b") >> Close() >> ok(5) << post(6, '42["b"]', "41", "1"))


def test_close_before_the_answer_says_goodbye_to_the_session_alone() -> None:
    play(asked("/") >> ok(2) >> Close() << post(4, "1") >> ok(4) << drop_requests() << ends(CloseReason.CLIENT_CLOSE))


def test_close_while_the_session_opens_gives_it_up() -> None:
    play(wanting("/") >> Close() << drop_requests() << ends(CloseReason.CLIENT_CLOSE) << shows(SessionState.CLOSED, deadline=math.inf))


def test_close_of_what_never_began_is_an_end_too() -> None:
    play(fresh() >> JoinNamespace() >> Close() << ends(CloseReason.CLIENT_CLOSE) >> Connect() << refuses(Cause.ALREADY_CONNECTED))


def test_closing_twice_is_harmless() -> None:
    play(
        joined("/")
        >> Close()
        << post(5, "41", "1")
        >> Close()
        >> ok(5)
        << drop_requests()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
        >> Close()
    )


def test_events_that_come_while_the_session_leaves_are_delivered() -> None:
    play(
        joined("/")
        >> Close()
        << post(5, "41", "1")
        >> answer(4, '42["late"]')
        << event("late")
        >> ok(5)
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_leaving_does_not_take_for_ever() -> None:
    play(
        joined("/", timeouts=Timeouts(close=3.0))
        >> Close()
        << post(5, "41", "1")
        >> at(3.0)
        >> TimePassed()
        << drop_requests()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE, unsent=1)
    )


# --- Both sides at once: the first reason stays.


def test_a_goodbye_of_the_server_after_our_close_does_not_become_the_reason() -> None:
    play(
        joined("/")
        >> Close()
        << post(5, "41", "1")
        >> answer(4, "41")
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        >> ok(5)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_a_refusal_after_our_close_does_not_become_the_error() -> None:
    play(asked("/") >> ok(2) >> Close() << post(4, "1") >> answer(3, '44"no"') << refused("/") >> ok(4) << ends(CloseReason.CLIENT_CLOSE))


def test_our_close_after_a_goodbye_of_the_server_does_not_become_the_reason() -> None:
    play(
        joined("/")
        >> answer(4, "41")
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        << poll(5)
        << post(6, "1")
        >> Close()
        >> ok(6)
        << drop_requests()
        << ends(CloseReason.SERVER_DISCONNECT)
    )


def test_a_post_that_fails_while_we_leave_is_told_beside_the_reason() -> None:
    play(
        joined("/")
        >> LeaveNamespace()
        << post(5, "41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        >> RequestFailed(5, Cause.CONNECTION_LOST, "the server went away")
        << drop_requests()
        << ends(CloseReason.CLIENT_DISCONNECT, Cause.CONNECTION_LOST, unsent=1)
    )


def test_silence_while_we_leave_is_not_our_leave() -> None:
    play(
        joined("/", timeouts=Timeouts(close=600.0, post=600.0))
        >> LeaveNamespace()
        << post(5, "41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        >> at(45.0)
        >> TimePassed()
        << drop_requests()
        << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=1)
    )


# --- Ends that are not ours.


def test_a_server_that_closes_the_session_ends_its_namespaces() -> None:
    play(
        joined("/", "/a")
        >> answer(4, '42["last"]', "1", '42["never"]')
        << event("last")
        << NamespaceLeft("/", CloseReason.SERVER_CLOSE)
        << NamespaceLeft("/a", CloseReason.SERVER_CLOSE)
        << ends(CloseReason.SERVER_CLOSE)
    )


def test_goodbyes_and_the_close_in_one_body_end_each_namespace_once() -> None:
    play(
        joined("/", "/a")
        >> answer(4, "41", "41/a,", "1")
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT)
        << ends(CloseReason.SERVER_DISCONNECT)
    )


def test_a_request_that_fails_ends_everything() -> None:
    play(
        joined("/")
        >> RequestFailed(4, Cause.CONNECTION_LOST, "the server went away")
        << NamespaceLeft("/", CloseReason.TRANSPORT_ERROR)
        << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST)
    )


def test_a_session_that_does_not_open_ends_with_its_error_and_no_namespace_was_left() -> None:
    play(wanting("/") >> RequestFailed(1, Cause.CONNECT_REFUSED, "nobody listens") << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED))
    play(
        fresh(transports=("websocket",))
        >> JoinNamespace()
        >> Connect()
        << websocket(1, upgrade=False)
        >> WebSocketClosed(1, None)
        << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED)
    )


def test_the_times_of_namespace_and_session_may_end_together() -> None:
    play(
        live("/", timeouts=Timeouts(namespace=45.0))
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> LeaveNamespace("/")
        << frame("41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        >> at(45.0)
        >> TimePassed()
        << refused("/a", Cause.CONNECT_UNANSWERED)
        << hang_up()
        << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT)
    )


def test_a_layer_above_may_end_it_too() -> None:
    error = RemoteProtocolError("not what was agreed", cause=Cause.BAD_PAYLOAD)
    play(
        live("/")
        >> Fail(error)
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.BAD_PAYLOAD)
        << shows(SessionState.CLOSED)
    )


# --- After the end.


@pytest.mark.parametrize("late", [arrives('42["e"]'), answer(4, '42["e"]'), ok(5), WebSocketClosed(1, 1000), TimePassed(), Close()])
def test_nothing_comes_out_after_the_end(late: Input) -> None:
    script = live("/") >> WebSocketClosed(1, 1006) << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    script = script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED)
    play(script >> late << shows(SessionState.CLOSED, state=NamespaceState.DISCONNECTED, deadline=math.inf))


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (JoinNamespace(), Cause.NOT_OPEN),
        (LeaveNamespace(), Cause.NAMESPACE_NOT_CONNECTED),
        (Emit("e", call=1), Cause.NAMESPACE_NOT_CONNECTED),
        (Acknowledge(0), Cause.NAMESPACE_NOT_CONNECTED),
        (SendMessages(("raw",)), Cause.NOT_OPEN),
        (Connect(), Cause.ALREADY_CONNECTED),
    ],
)
def test_nothing_can_be_wanted_after_the_end(wish: SocketIOInput | SendMessages | Connect, cause: Cause) -> None:
    script = live("/") >> WebSocketClosed(1, 1006) << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    play(script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED) >> wish << refuses(cause))


def test_early_events_of_a_connection_that_ended_are_gone() -> None:
    play(asked("/") >> ok(2) >> answer(3, '42["early"]', "1") << ends(CloseReason.SERVER_CLOSE, Cause.CONNECT_CLOSED))


def test_closed_remembers_the_last_packets_each_way() -> None:
    machine = play(wanting("/") >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40") << poll(3) >> ok(2))
    (closed,) = machine.process(answer(3, "1"), 0.0)
    assert [packet.type for packet in closed.last_received] == ["open", "close"]  # type: ignore[union-attr]  # it is `Closed`
    assert [packet.data for packet in closed.last_sent] == ["0"]  # type: ignore[union-attr]  # the same


def test_a_connection_that_never_began_has_no_deadline() -> None:
    assert connection().deadline == math.inf
