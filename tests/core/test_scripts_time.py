"""Scripts: leaving, and everything that time does."""

from __future__ import annotations

import math

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import RemoteProtocolError
from engineio_lite.inputs import Close, Connect, Fail, Input, RequestFailed, SendMessages, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import Timeouts
from engineio_lite.state import CloseReason, SessionState, UpgradeState
from tests.core.script import (
    Script,
    answer,
    arrives,
    at,
    connecting,
    drop_requests,
    ends,
    ends_somehow,
    feed,
    frame,
    gets,
    hang_up,
    just_opened,
    ok,
    on_websocket,
    pausing,
    play,
    poll,
    polled,
    polling,
    post,
    probing,
    refuses,
    shows,
    upgrade_fails,
    websocket,
    websocket_only,
)

ERROR = RemoteProtocolError("the layer above is unhappy", cause=Cause.BAD_JSON)

# --- Leaving.


def test_a_connection_that_never_began_can_be_closed() -> None:
    play(
        polling()
        >> Close()
        << ends(CloseReason.CLIENT_CLOSE)
        << shows(SessionState.CLOSED)
        >> Close()
        >> Connect()
        << refuses(Cause.ALREADY_CONNECTED)
    )


def test_leaving_during_the_handshake_gives_the_request_up() -> None:
    play(
        polling()
        >> Connect()
        << poll(1)
        >> Close()
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
        << shows(SessionState.CLOSED)
        >> answer(1, "4late")
    )


def test_leaving_during_the_handshake_of_a_websocket_closes_it() -> None:
    play(websocket_only() >> Connect() << websocket(1, upgrade=False) >> Close() << hang_up() << ends(CloseReason.CLIENT_CLOSE) >> WebSocketOpened(1))


def test_leaving_sends_farewell_and_close_in_one_post_and_then_drops_the_poll() -> None:
    play(
        polled()
        >> Close(("41", b"\x00"))
        << post(3, "441", "bAA==", "1")
        << shows(SessionState.CLOSING, deadline=5.0)
        >> ok(3)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
        << shows(SessionState.CLOSED)
    )


def test_leaving_waits_for_the_post_in_flight_and_takes_along_what_waits() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b",))
        >> Close(("bye",))
        << shows(SessionState.CLOSING)
        >> ok(3)
        << post(4, "4b", "4bye", "1")
        >> ok(4)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_leaving_with_more_than_one_post_can_hold_takes_several() -> None:
    play(
        polled()
        >> SendMessages(("x",) * 30)
        << post(3, *("4x",) * 16)
        >> Close(("bye", "bye"))
        >> ok(3)
        << post(4, *("4x",) * 14, "4bye", "4bye")
        >> ok(4)
        << post(5, "1")
        >> ok(5)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_leaving_when_no_poll_is_pending_has_none_to_drop() -> None:
    play(just_opened() >> Close() << post(2, "1") >> ok(2) << ends(CloseReason.CLIENT_CLOSE))


def test_what_the_server_sent_before_it_saw_us_leave_is_delivered() -> None:
    conn = play(polled() >> Close() << post(3, "1") >> answer(2, "4late", "6") << gets("late") << shows(SessionState.CLOSING))
    outputs = feed(conn, ok(3), 0.1)
    assert ends(CloseReason.CLIENT_CLOSE).matches(outputs[-1])


def test_a_server_that_closes_while_we_leave_ends_it_at_once() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> Close()
        >> answer(2, "1")
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE, unsent=1)
        << shows(SessionState.CLOSED)
    )


def test_nothing_is_sent_after_leaving() -> None:
    play(
        polled()
        >> Close()
        << post(3, "1")
        >> SendMessages(("a",))
        << refuses(Cause.NOT_OPEN)
        << shows(SessionState.CLOSING)
        >> Close(("again",))
        << shows(SessionState.CLOSING)
        >> ok(3)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_leaving_ends_in_time_and_counts_what_was_not_confirmed() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b",))
        >> at(1.0)
        >> Close(("bye",))
        << shows(SessionState.CLOSING, deadline=6.0)
        >> at(6.0)
        >> TimePassed()
        << drop_requests()
        << ends_somehow(CloseReason.CLIENT_CLOSE, unsent=3)
    )


def test_a_post_that_breaks_while_leaving_ends_it() -> None:
    conn = play(polled() >> SendMessages(("a",)) << post(3, "4a") >> Close())
    outputs = feed(conn, RequestFailed(3, Cause.CONNECTION_LOST, "reset"), 0.1)
    assert outputs[:-1] == [drop_requests()]
    assert ends(CloseReason.CLIENT_CLOSE, Cause.CONNECTION_LOST, unsent=1).matches(outputs[-1])
    assert conn.state is SessionState.CLOSED


@pytest.mark.parametrize("lost", [RequestFailed(2, Cause.CONNECTION_LOST, "reset"), answer(2, "", status=400)])
def test_a_poll_that_breaks_while_leaving_does_not_disturb_it(lost: Input) -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> Close()
        >> lost
        << shows(SessionState.CLOSING)
        >> ok(3)
        << post(4, "1")
        >> ok(4)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_a_farewell_that_cannot_be_sent_is_refused_and_nothing_changes() -> None:
    play(
        polled(max_payload=10)
        >> Close(("x" * 100,))
        << refuses(Cause.PAYLOAD_TOO_LARGE)
        << shows(SessionState.OPEN, buffered_packets=0)
        >> Close(("a\x1eb",))
        << refuses(Cause.SEPARATOR_IN_TEXT)
        << shows(SessionState.OPEN)
        >> SendMessages(("a",))
        << post(3, "4a")
    )


@pytest.mark.parametrize(
    ("start", "leaving"),
    [
        (polled, [drop_requests()]),
        (on_websocket, [frame("1"), hang_up()]),
        (connecting, [hang_up(), drop_requests()]),
        (probing, [frame("6"), hang_up(), drop_requests()]),
        (pausing, [frame("6"), hang_up(), drop_requests()]),
    ],
)
def test_an_unhappy_layer_above_ends_the_session_with_its_error(start: object, leaving: list[object]) -> None:
    assert callable(start)
    conn = play(start())
    outputs = feed(conn, Fail(ERROR), 0.0)
    closed = outputs.pop()
    assert getattr(closed, "error", None) is ERROR
    assert ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON).matches(closed)
    assert sorted(map(repr, outputs)) == sorted(map(repr, leaving))
    assert feed(conn, Fail(ERROR), 0.0) == []


AFTERLIFE: list[Input] = [
    Close(("bye",)),
    Fail(ERROR),
    answer(2, "4a"),
    answer(3, "4a"),
    RequestFailed(2, Cause.CONNECTION_LOST, "late"),
    WebSocketOpened(1),
    arrives("4a"),
    WebSocketClosed(1, None),
    TimePassed(),
]


@pytest.mark.parametrize("start", [polled, on_websocket, connecting, probing, pausing])
def test_after_closed_there_is_nothing(start: object) -> None:
    assert callable(start)
    conn = play(start())
    conn.process(Fail(ERROR), 1.0)
    assert (conn.state, conn.deadline, conn.buffered, conn.buffered_packets) == (SessionState.CLOSED, math.inf, 0, 0)
    play(Script(conn) >> SendMessages(("a",)) << refuses(Cause.NOT_OPEN) >> Connect() << refuses(Cause.ALREADY_CONNECTED))
    assert [feed(conn, late, 2.0) for late in AFTERLIFE] == [[]] * len(AFTERLIFE)


# --- Time.


def test_silence_ends_the_session_when_interval_and_timeout_are_over() -> None:
    play(
        polled()
        << shows(deadline=45.0)
        >> at(44.999)
        >> TimePassed()
        << shows(SessionState.OPEN)
        >> at(45)
        >> TimePassed()
        << drop_requests()
        << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT)
    )


def test_only_a_ping_moves_the_deadline() -> None:
    play(
        polled()
        >> at(10)
        >> answer(2, "4a", "6")
        << gets("a")
        << poll(3)
        << shows(deadline=45.0)
        >> at(20)
        >> answer(3, "2", "4b")
        << gets("b")
        << post(4, "3")
        << poll(5)
        >> ok(4)
        << shows(deadline=65.0)
    )


def test_a_timer_that_is_late_finds_the_same_end() -> None:
    play(polled() >> at(1000) >> TimePassed() << drop_requests() << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT))


def test_a_timer_that_fires_early_or_for_nothing_does_nothing() -> None:
    play(polled() >> at(1) >> TimePassed() >> TimePassed() >> TimePassed() << shows(SessionState.OPEN, deadline=45.0))


def test_time_means_nothing_before_the_connection_begins() -> None:
    play(polling() >> at(5) >> TimePassed() << shows(SessionState.IDLE, deadline=math.inf) >> Connect() << poll(1) << shows(deadline=25.0))


@pytest.mark.parametrize(("start", "leaving"), [(polled, drop_requests()), (on_websocket, hang_up())])
def test_a_laptop_that_slept_finds_the_session_dead_before_it_sends(start: object, leaving: object) -> None:
    assert callable(start)
    conn = play(start())
    outputs = feed(conn, SendMessages(("after a long sleep", "two")), 3600.0)
    assert outputs[0] == leaving
    assert ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=2).matches(outputs[1])
    assert len(outputs) == 2
    assert conn.state is SessionState.CLOSED


def test_a_ping_that_was_waiting_when_the_laptop_woke_up_saves_the_session() -> None:
    """Data that has arrived counts before the clock does: the driver may have been late, the server was not."""
    play(on_websocket() >> at(46.0) >> arrives("2") << frame("3") << shows(SessionState.OPEN, deadline=91.0))


def test_a_post_without_an_answer_ends_the_session() -> None:
    play(
        polled()
        >> at(1)
        >> SendMessages(("a",))
        << post(3, "4a")
        << shows(deadline=21.0)
        >> at(21)
        >> TimePassed()
        << drop_requests()
        << ends(CloseReason.TRANSPORT_ERROR, Cause.POST_TIMEOUT, unsent=1)
    )


def test_timeouts_are_options() -> None:
    play(polling(timeouts=Timeouts(open=3.0)) >> at(1) >> Connect() << poll(1) << shows(deadline=4.0))


def test_a_poll_has_no_time_limit_of_its_own() -> None:
    play(polled() << shows(deadline=45.0) >> at(40) >> answer(2, "2") << post(3, "3") << poll(4) >> ok(3) << shows(deadline=85.0))


@pytest.mark.parametrize("start", [polled, on_websocket, connecting, probing, pausing])
def test_serving_the_deadline_moves_it_into_the_future(start: object) -> None:
    assert callable(start)
    conn = play(start())
    for _ in range(20):
        now = conn.deadline
        if math.isinf(now):
            break
        conn.process(TimePassed(), now)
        assert conn.deadline > now
    assert conn.state is SessionState.CLOSED


def test_a_failed_upgrade_leaves_no_deadline_behind() -> None:
    play(connecting() << shows(deadline=10.0) >> WebSocketClosed(1, None) << upgrade_fails() << shows(upgrade=UpgradeState.FAILED, deadline=45.0))
