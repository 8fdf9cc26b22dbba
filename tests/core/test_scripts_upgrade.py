"""Scripts: the move from polling to a WebSocket, rule by rule.

The rules are those that both reference servers force on a correct client; the names of the tests give them by number: 1 start only if offered, 2
polling goes on, 3 ``2probe`` at once and nothing else, 4 anything but ``3probe`` is a failure, 5 the pause, 6 ``5`` and the flush, 7 order, 8 ``1``
before ``5``, 9 failure before ``5``, 10 the stuck server, 11 failure after ``5``, 12 a broken GET or POST, 13 the time limit, 14 heartbeats
meanwhile, 15 leaving meanwhile.
"""

from __future__ import annotations

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, PollingStuck, Upgraded
from engineio_lite.inputs import (
    Close,
    Connect,
    Input,
    RequestFailed,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.limits import Timeouts
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState
from tests.core.script import (
    OPEN,
    Script,
    answer,
    arrives,
    at,
    connecting,
    drop_requests,
    ends,
    ends_somehow,
    error_of,
    feed,
    frame,
    gets,
    hang_up,
    just_opened,
    ok,
    open_packet,
    opened,
    pausing,
    play,
    poll,
    polling,
    post,
    probing,
    refuses,
    shows,
    upgrade_fails,
    websocket,
)

SILLY = ["4x", b"x", "", b"", "3", "3pro", "3probe ", "2probe", "2", "0{}", "1", "5", "9", "<html>"]


def upgraded() -> Script:
    """The session has moved."""
    return (
        pausing() >> answer(2, "6") << frame("5") << Upgraded() << shows(SessionState.OPEN, upgrade=UpgradeState.DONE, transport=Transport.WEBSOCKET)
    )


def failed() -> Script:
    """The WebSocket was refused; poll 2 waits."""
    return connecting() >> WebSocketRefused(1, 502, (), b"") << upgrade_fails() << shows(upgrade=UpgradeState.FAILED)


# --- Whole upgrades.


def test_an_upgrade_in_the_manner_of_node() -> None:
    """The poll that waits ends up to 100 ms after the probe; what is sent meanwhile follows on the WebSocket."""
    play(
        just_opened(upgrades=("websocket",))
        >> TimePassed()
        << poll(2)
        << websocket(1)
        >> at(0.010)
        >> WebSocketOpened(1)
        << frame("2probe")
        >> at(0.020)
        >> arrives("3probe")
        >> at(0.050)
        >> SendMessages(("held", b"\x01\x02"))
        << shows(buffered_packets=2)
        >> at(0.110)
        >> answer(2, "6")
        << frame("5")
        << frame("4held")
        << frame(b"\x01\x02")
        << Upgraded()
        << shows(SessionState.OPEN, upgrade=UpgradeState.DONE, transport=Transport.WEBSOCKET, deadline=45.0, buffered_packets=0)
        >> arrives("4first")
        << gets("first")
    )


def test_an_upgrade_in_the_manner_of_python() -> None:
    """Polls are answered with nothing from the moment the WebSocket is open, and the noop may come on either leg."""
    play(
        just_opened(upgrades=("websocket",))
        >> TimePassed()
        << poll(2)
        << websocket(1)
        >> at(0.010)
        >> answer(2, "4before")
        << gets("before")
        << poll(3)
        >> answer(3, "6")
        >> WebSocketOpened(1)
        << frame("2probe")
        >> SendMessages(("by post",))
        << post(4, "4by post")
        >> arrives("3probe")
        >> ok(4)
        << frame("5")
        << Upgraded()
        >> arrives("6")
        >> arrives("4after")
        << gets("after")
    )


def test_a_session_goes_on_over_its_websocket() -> None:
    play(
        upgraded()
        >> SendMessages(("a", b"b", ""))
        << frame("4a")
        << frame(b"b")
        << frame("4")
        >> at(25)
        >> arrives("2")
        << frame("3")
        << shows(deadline=70.0)
        >> arrives(b"\x00")
        << gets(b"\x00")
        >> arrives("bAAE=")
        << gets(b"\x00\x01")
        >> arrives("4{}")
        << gets("{}")
    )


def test_text_with_a_record_separator_may_travel_once_the_upgrade_is_done() -> None:
    play(
        pausing()
        >> SendMessages(("a\x1eb",))
        << refuses(Cause.SEPARATOR_IN_TEXT)
        >> answer(2, "6")
        << frame("5")
        << Upgraded()
        >> SendMessages(("a\x1eb",))
        << frame("4a\x1eb")
    )


# --- Rule 1.


@pytest.mark.parametrize("upgrades", [(), ("webtransport",), ("Websocket",)])
def test_rule_1_no_upgrade_that_is_not_offered(upgrades: tuple[str, ...]) -> None:
    play(just_opened(upgrades=upgrades) >> TimePassed() << poll(2) >> answer(2, "4a") << gets("a") << poll(3) << shows(upgrade=UpgradeState.NONE))


def test_rule_1_no_upgrade_that_is_not_wanted() -> None:
    play(just_opened(upgrades=("websocket",), transports=("polling",)) >> TimePassed() << poll(2) >> answer(2, "4a") << gets("a") << poll(3))


def test_rule_1_an_unknown_transport_beside_the_websocket_is_no_hindrance() -> None:
    play(just_opened(upgrades=("webtransport", "websocket")) >> TimePassed() << poll(2) << websocket(1))


def test_rule_1_an_application_that_speaks_first_gets_its_answer_before_the_upgrade_starts() -> None:
    script = just_opened(upgrades=("websocket",)) >> SendMessages(("40",)) << post(2, "440") << poll(3) << shows(upgrade=UpgradeState.NONE)
    conn = play(script >> ok(2) << shows(upgrade=UpgradeState.NONE))
    outputs = feed(conn, answer(3, '40{"sid":"x"}'), 0.1)
    assert outputs[0] == gets('0{"sid":"x"}')
    assert sorted(map(repr, outputs[1:])) == sorted(map(repr, [poll(4), websocket(1)]))


def test_rule_1_an_application_that_speaks_first_does_not_delay_the_upgrade_for_ever() -> None:
    play(
        just_opened(upgrades=("websocket",), timeouts=Timeouts(upgrade_delay=1.0))
        >> SendMessages(("40",))
        << post(2, "440")
        << poll(3)
        >> ok(2)
        << shows(deadline=1.0)
        >> at(1.0)
        >> TimePassed()
        << websocket(1)
        << shows(upgrade=UpgradeState.CONNECTING)
    )


# --- Rule 2.


@pytest.mark.parametrize("start", [connecting, probing])
def test_rule_2_polling_and_posting_go_on_beside_the_probe(start: object) -> None:
    assert callable(start)
    play(
        start()
        >> answer(2, "4a", "6")
        << gets("a")
        << poll(3)
        >> SendMessages(("b",))
        << post(4, "4b")
        >> ok(4)
        >> SendMessages(("c",))
        << post(5, "4c")
        >> answer(3, "4d")
        << gets("d")
        << poll(6)
    )


@pytest.mark.parametrize("start", [connecting, probing])
def test_rule_2_after_an_answer_of_noops_alone_there_is_no_poll_until_the_upgrade_ends(start: object) -> None:
    assert callable(start)
    play(
        start()
        >> answer(2, "6", "6")
        >> SendMessages(("posts go on",))
        << post(3, "4posts go on")
        >> ok(3)
        >> WebSocketFailed(1, Cause.CONNECTION_LOST, "reset")
        << upgrade_fails(Cause.CONNECTION_LOST)
        << poll(4)
    )


# --- Rule 3.


def test_rule_3_the_probe_goes_out_at_once_and_nothing_else_does() -> None:
    play(
        connecting()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b",))
        >> WebSocketOpened(1)
        << frame("2probe")
        >> answer(2, "2")
        << poll(4)
        >> ok(3)
        << post(5, "3", "4b")
    )


# --- Rule 4.


@pytest.mark.parametrize("data", SILLY)
def test_rule_4_anything_but_the_answer_to_the_probe_fails_the_upgrade(data: str | bytes) -> None:
    play(
        probing()
        >> arrives(data)
        << frame("6")
        << hang_up()
        << upgrade_fails()
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED, transport=Transport.POLLING)
        >> answer(2, "4a")
        << gets("a")
        << poll(3)
    )


def test_rule_4_a_noop_on_the_probing_socket_is_ignored() -> None:
    play(
        probing()
        >> arrives("6")
        << shows(upgrade=UpgradeState.PROBING)
        >> arrives("3probe")
        << shows(upgrade=UpgradeState.PAUSING)
        >> arrives("6")
        << shows(upgrade=UpgradeState.PAUSING)
    )


# --- Rule 5.


def test_rule_5_after_the_answer_to_the_probe_no_get_and_no_post_starts() -> None:
    play(
        probing()
        >> SendMessages(("in flight",))
        << post(3, "4in flight")
        >> arrives("3probe")
        >> SendMessages(("held",))
        >> answer(2, "4a", "2")
        << gets("a")
        >> SendMessages(("held too",))
        << shows(SessionState.OPEN, upgrade=UpgradeState.PAUSING)
        >> ok(3)
        << frame("5")
        << frame("3")
        << frame("4held")
        << frame("4held too")
        << Upgraded()
    )


def test_rule_5_the_pause_ends_with_the_get_when_the_post_was_first() -> None:
    play(
        probing()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> arrives("3probe")
        >> ok(3)
        << shows(upgrade=UpgradeState.PAUSING)
        >> answer(2, "6")
        << frame("5")
        << Upgraded()
    )


def test_rule_5_the_packets_of_the_last_poll_are_delivered_before_the_switch() -> None:
    play(pausing() >> answer(2, "4a", "4b", "6") << gets("a") << gets("b") << frame("5") << Upgraded())


def test_rule_5_the_pause_is_no_pause_when_nothing_is_in_flight() -> None:
    play(probing() >> answer(2, "6") >> arrives("3probe") << frame("5") << Upgraded())


# --- Rule 6 and 7.


def test_rule_6_what_was_held_follows_in_order_pong_first() -> None:
    play(
        pausing()
        >> SendMessages(("a", b"b"))
        >> SendMessages(("c",))
        >> answer(2, "2", "6")
        << frame("5")
        << frame("3")
        << frame("4a")
        << frame(b"b")
        << frame("4c")
        << Upgraded()
    )


def test_rule_6_a_noop_on_the_websocket_is_accepted_at_any_time() -> None:
    play(upgraded() >> arrives("6") >> arrives("4a") << gets("a") >> arrives("6") >> arrives("6"))


def test_rule_7_what_polls_brought_comes_before_what_the_websocket_brings() -> None:
    play(pausing() >> answer(2, "4polled") << gets("polled") << frame("5") << Upgraded() >> arrives("4framed") << gets("framed"))


# --- Rule 8.


@pytest.mark.parametrize("start", [probing, pausing])
def test_rule_8_a_close_packet_in_a_poll_before_the_switch_ends_the_session(start: object) -> None:
    assert callable(start)
    play(
        start()
        >> answer(2, "4a", "1", "4b")
        << gets("a")
        << frame("6")
        << hang_up()
        << ends(CloseReason.SERVER_CLOSE)
        << shows(SessionState.CLOSED, upgrade=UpgradeState.FAILED)
    )


def test_rule_8_a_close_packet_while_the_socket_connects_ends_the_session() -> None:
    play(connecting() >> answer(2, "1") << hang_up() << ends(CloseReason.SERVER_CLOSE) << shows(SessionState.CLOSED, upgrade=UpgradeState.FAILED))


def test_rule_8_what_a_poll_says_after_the_switch_is_ignored() -> None:
    play(upgraded() >> answer(2, "1") >> answer(2, "4x") >> answer(3, "1") << shows(SessionState.OPEN) >> arrives("4a") << gets("a"))


# --- Rule 9.

LOSSES: list[tuple[Input, Cause | None]] = [
    (WebSocketFailed(1, Cause.CONNECTION_LOST, "reset"), Cause.CONNECTION_LOST),
    (WebSocketFailed(1, Cause.TLS_FAILED, "no trust"), Cause.TLS_FAILED),
    (WebSocketClosed(1, None), Cause.WEBSOCKET_CLOSED),
    (WebSocketClosed(1, 1011, "internal error"), Cause.WEBSOCKET_CLOSED),
]


@pytest.mark.parametrize(("loss", "cause"), LOSSES)
@pytest.mark.parametrize("start", [connecting, probing])
def test_rule_9_a_socket_lost_before_the_pause_leaves_polling_as_it_was(start: object, loss: Input, cause: Cause) -> None:
    assert callable(start)
    play(start() >> loss << upgrade_fails(cause) << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED) >> answer(2, "4a") << gets("a") << poll(3))


@pytest.mark.parametrize(("loss", "cause"), LOSSES)
def test_rule_9_a_socket_lost_in_the_pause_resumes_polling_and_keeps_the_queue(loss: Input, cause: Cause) -> None:
    conn = play(
        probing()
        >> SendMessages(("in flight",))
        << post(3, "4in flight")
        >> arrives("3probe")
        >> SendMessages(("held",))
        >> answer(2, "4a", "2")
        << gets("a")
    )
    play(
        Script(conn)
        >> loss
        << upgrade_fails(cause)
        << poll(4)
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED)
        >> ok(3)
        << post(5, "3", "4held")
    )


@pytest.mark.parametrize(("loss", "cause"), LOSSES)
def test_rule_9_a_socket_lost_in_the_pause_does_not_touch_the_get_in_flight(loss: Input, cause: Cause) -> None:
    play(pausing() >> SendMessages(("held",)) >> loss << upgrade_fails(cause) << post(3, "4held") >> answer(2, "4a") << gets("a") << poll(4))


@pytest.mark.parametrize("data", [item for item in SILLY if item != "6"])
def test_rule_9_a_silly_frame_in_the_pause_says_noop_closes_and_resumes(data: str | bytes) -> None:
    play(
        pausing()
        >> SendMessages(("held",))
        >> arrives(data)
        << frame("6")
        << hang_up()
        << upgrade_fails()
        << post(3, "4held")
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED)
        >> answer(2, "6")
        << poll(4)
    )


def test_rule_9_a_second_answer_to_the_probe_is_silly() -> None:
    play(pausing() >> arrives("3probe") << frame("6") << hang_up() << upgrade_fails())


@pytest.mark.parametrize(
    ("status", "cause"), [(400, Cause.BAD_REQUEST), (502, Cause.GATEWAY_ERROR), (404, Cause.WRONG_PATH), (200, Cause.WEBSOCKET_REFUSED)]
)
def test_rule_9_a_refused_socket_leaves_polling_as_it_was_and_keeps_the_evidence(status: int, cause: Cause) -> None:
    body = b'{"code":3,"message":"Bad request"}' if status == 400 else b"no"
    conn = play(connecting())
    (event,) = feed(conn, WebSocketRefused(1, status, (("content-type", "application/json"),), body), 0.5)
    assert upgrade_fails().matches(event)
    error = error_of([event])
    assert (error.status, error.stage) == (status, "upgrade")
    assert error.cause in (cause, Cause.WEBSOCKET_REFUSED)
    play(Script(conn) >> answer(2, "4a") << gets("a") << poll(3))


@pytest.mark.parametrize(
    "late", [arrives("3probe"), arrives("4x"), WebSocketOpened(1), WebSocketClosed(1, 1000), WebSocketFailed(1, Cause.CONNECTION_LOST, "late")]
)
def test_rule_9_what_still_comes_from_the_lost_socket_is_ignored(late: Input) -> None:
    play(
        probing()
        >> arrives("4x")
        << frame("6")
        << hang_up()
        << upgrade_fails()
        >> late
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED)
        >> answer(2, "4a")
        << gets("a")
        << poll(3)
    )


def test_rule_9_the_upgrade_is_not_tried_again() -> None:
    play(
        failed()
        >> answer(2, "4a")
        << gets("a")
        << poll(3)
        >> at(5)
        >> answer(3, "4b")
        << gets("b")
        << poll(4)
        << shows(upgrade=UpgradeState.FAILED, deadline=45.0)
    )


# --- Rule 10.


def stuck() -> Script:
    """Three polls in a row were answered at once with nothing."""
    return (
        failed()
        >> at(1.0)
        >> answer(2, "6")
        << poll(3)
        >> at(1.01)
        >> answer(3, "6")
        << poll(4)
        >> at(1.02)
        >> answer(4, "6")
        << poll(5)
        >> at(1.03)
        >> answer(5, "6")
        << PollingStuck(3)
        << websocket(2)
        << shows(SessionState.OPEN, upgrade=UpgradeState.REPAIRING)
    )


def test_rule_10_three_quick_polls_with_nothing_mean_a_stuck_server_and_a_repair() -> None:
    play(
        stuck()
        >> at(1.1)
        >> WebSocketOpened(2)
        << frame("6", 2)
        << hang_up(2)
        << poll(6)
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED, deadline=45.0)
        >> answer(6, "4at last")
        << gets("at last")
        << poll(7)
    )


def test_rule_10_polls_go_on_slowly_during_the_repair() -> None:
    play(
        stuck()
        << shows(deadline=1.28)
        >> at(1.28)
        >> TimePassed()
        << poll(6)
        >> at(1.29)
        >> answer(6, "6")
        << shows(deadline=1.54)
        >> at(1.54)
        >> TimePassed()
        << poll(7)
    )


@pytest.mark.parametrize("quick", [answer(4, "4a"), answer(4, "6", "4a"), answer(4, "2")])
def test_rule_10_a_poll_with_something_in_it_is_no_sign_of_a_stuck_server(quick: Input) -> None:
    conn = play(failed() >> at(1.0) >> answer(2, "6") << poll(3) >> answer(3, "6") << poll(4))
    conn.process(quick, 1.0)
    for number in range(5, 9):
        assert not any(isinstance(output, PollingStuck) for output in feed(conn, answer(number, "6"), 1.0)) or number >= 7


def test_rule_10_slow_noops_are_no_sign_of_a_stuck_server() -> None:
    script = failed()
    for number in range(2, 12):
        script = script >> at(number * 0.1) >> answer(number, "6") << poll(number + 1)
    play(script)


def test_rule_10_without_a_failed_upgrade_nobody_is_stuck_but_polls_slow_down() -> None:
    conn = play(just_opened() >> TimePassed() << poll(2))
    outputs: list[object] = [poll(2)]
    now, number = 0.0, 2
    while number < 42:
        if not outputs:
            now = conn.deadline
            outputs = feed(conn, TimePassed(), now)
        assert outputs == [poll(number)]
        now += 0.001
        outputs = feed(conn, answer(number, "6"), now)
        number += 1
    assert now > 0.25 * 32


@pytest.mark.parametrize("loss", [WebSocketRefused(2, 400, (), b""), WebSocketFailed(2, Cause.CONNECT_REFUSED, "no"), WebSocketClosed(2, 1000)])
def test_rule_10_there_is_one_repair_and_polling_goes_on_slowly_if_it_fails(loss: Input) -> None:
    conn = play(stuck() >> at(1.1))
    outputs = feed(conn, loss, 1.1)
    assert (conn.state, conn.upgrade_state) == (SessionState.OPEN, UpgradeState.FAILED)
    now, number = 1.1, 6
    while number < 46:
        if not outputs:
            now = conn.deadline
            outputs = feed(conn, TimePassed(), now)
        assert outputs == [poll(number)]
        now += 0.001
        outputs = feed(conn, answer(number, "6"), now)
        number += 1
    # Forty polls answered at once with nothing: no more than a handful may have followed one another without a pause.
    assert now > 1.1 + 0.25 * 32


def test_rule_10_a_repair_that_is_not_answered_ends_in_time() -> None:
    conn = play(stuck())
    now = 1.03
    for number in range(6, 200):
        now = conn.deadline
        outputs = feed(conn, TimePassed(), now)
        if CloseTransport(Transport.WEBSOCKET, 2) in outputs:
            break
        assert outputs == [poll(number)]
        conn.process(answer(number, "6"), now)
    assert (conn.state, conn.upgrade_state) == (SessionState.OPEN, UpgradeState.FAILED)
    assert now == pytest.approx(11.03)


# --- Rule 11.


@pytest.mark.parametrize("code", [None, 1000, 1006, 1009])
def test_rule_11_a_socket_closed_after_the_switch_ends_the_session(code: int | None) -> None:
    play(upgraded() >> WebSocketClosed(1, code) << ends_somehow(CloseReason.TRANSPORT_CLOSE) << shows(SessionState.CLOSED, upgrade=UpgradeState.DONE))


def test_rule_11_a_socket_broken_after_the_switch_ends_the_session() -> None:
    play(
        upgraded()
        >> WebSocketFailed(1, Cause.CONNECTION_LOST, "reset")
        << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST)
        << shows(SessionState.CLOSED)
    )


# --- Rule 12.


@pytest.mark.parametrize("failing", ["get", "post"])
@pytest.mark.parametrize("how", ["status", "network"])
@pytest.mark.parametrize(("start", "abort"), [(connecting, [hang_up()]), (probing, [frame("6"), hang_up()])])
def test_rule_12_a_broken_get_or_post_ends_the_session_and_the_upgrade(start: object, abort: list[object], failing: str, how: str) -> None:
    assert callable(start)
    number = 2 if failing == "get" else 3
    conn = play(start() >> SendMessages(("a",)) << post(3, "4a"))
    outputs = feed(conn, answer(number, "no", status=400) if how == "status" else RequestFailed(number, Cause.CONNECTION_LOST, "reset"), 0.1)
    closed = outputs.pop()
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert (closed.reason, closed.unsent) == (CloseReason.TRANSPORT_ERROR, 1)
    assert sorted(map(repr, outputs)) == sorted(map(repr, [*abort, drop_requests()]))
    assert (conn.state, conn.upgrade_state) == (SessionState.CLOSED, UpgradeState.FAILED)


@pytest.mark.parametrize("number", [2, 3])
def test_rule_12_a_broken_get_or_post_in_the_pause_ends_the_session_and_the_upgrade(number: int) -> None:
    conn = play(probing() >> SendMessages(("a",)) << post(3, "4a") >> arrives("3probe"))
    outputs = feed(conn, RequestFailed(number, Cause.CONNECTION_LOST, "reset"), 0.1)
    assert ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST, unsent=1).matches(outputs.pop())
    assert sorted(map(repr, outputs)) == sorted(map(repr, [frame("6"), hang_up(), drop_requests()]))


# --- Rule 13.


@pytest.mark.parametrize(("start", "abort"), [(connecting, [hang_up()]), (probing, [frame("6"), hang_up()]), (pausing, [frame("6"), hang_up()])])
def test_rule_13_an_upgrade_ends_in_time(start: object, abort: list[object]) -> None:
    assert callable(start)
    script = start() << shows(deadline=10.0) >> at(10.0) >> TimePassed()
    play(
        script + abort
        << upgrade_fails()
        << shows(SessionState.OPEN, upgrade=UpgradeState.FAILED, deadline=45.0)
        >> answer(2, "4a")
        << gets("a")
        << poll(3)
    )


@pytest.mark.parametrize("data", ["4x", "3", "2", b"x"])
def test_rule_4_a_packet_that_is_no_answer_to_a_probe_is_named_as_such(data: str | bytes) -> None:
    play(probing() >> arrives(data) << frame("6") << hang_up() << upgrade_fails(Cause.UNEXPECTED_PROBE_ANSWER))


def test_rule_13_a_silent_probe_has_its_own_cause() -> None:
    play(probing() >> at(10.0) >> TimePassed() << frame("6") << hang_up() << upgrade_fails(Cause.PROBE_TIMEOUT))


def test_rule_13_an_upgrade_never_takes_longer_than_the_servers_ping_timeout() -> None:
    conn = play(polling() >> Connect() << poll(1))
    packet = open_packet().replace("20000", "3000")
    assert packet != open_packet()
    conn.process(answer(1, packet), 0.0)
    conn.process(TimePassed(), 0.0)
    assert (conn.upgrade_state, conn.deadline) == (UpgradeState.CONNECTING, 3.0)


def test_rule_13_a_paused_poll_is_resumed_when_the_time_is_up() -> None:
    play(
        probing()
        >> SendMessages(("in flight",))
        << post(3, "4in flight")
        >> arrives("3probe")
        >> SendMessages(("held",))
        >> answer(2, "6")
        >> at(10.0)
        >> TimePassed()
        << frame("6")
        << hang_up()
        << upgrade_fails()
        << poll(4)
        >> ok(3)
        << post(5, "4held")
    )


# --- Rule 14.


def test_rule_14_a_ping_before_the_pause_is_answered_by_post() -> None:
    play(
        probing()
        >> at(5)
        >> answer(2, "2")
        << post(3, "3")
        << poll(4)
        >> arrives("3probe")
        >> ok(3)
        >> answer(4, "6")
        << frame("5")
        << Upgraded()
        << shows(deadline=50.0)
    )


def test_rule_14_a_ping_in_the_last_poll_is_answered_on_the_websocket() -> None:
    play(pausing() >> at(5) >> answer(2, "2") << frame("5") << frame("3") << Upgraded() << shows(deadline=50.0))


def test_rule_14_a_pong_that_waits_in_a_pause_that_fails_goes_by_post() -> None:
    conn = play(probing() >> SendMessages(("a",)) << post(3, "4a") >> arrives("3probe") >> answer(2, "2"))
    play(Script(conn) >> WebSocketClosed(1, None) << upgrade_fails() << poll(4) >> ok(3) << post(5, "3"))


# --- Rule 15.


def test_rule_15_leaving_while_the_socket_connects() -> None:
    play(
        connecting()
        >> Close(("bye",))
        << hang_up()
        << post(3, "4bye", "1")
        << shows(SessionState.CLOSING, upgrade=UpgradeState.FAILED)
        >> ok(3)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


@pytest.mark.parametrize("start", [probing, pausing])
def test_rule_15_leaving_beside_a_probe_aborts_it_first(start: object) -> None:
    assert callable(start)
    play(
        start()
        >> Close()
        << frame("6")
        << hang_up()
        << post(3, "1")
        << shows(SessionState.CLOSING, upgrade=UpgradeState.FAILED)
        >> ok(3)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


def test_rule_15_what_was_held_in_the_pause_is_sent_before_leaving() -> None:
    play(
        probing()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> arrives("3probe")
        >> SendMessages(("held",))
        >> Close(("bye",))
        << frame("6")
        << hang_up()
        >> ok(3)
        << post(4, "4held", "4bye", "1")
        >> ok(4)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE)
    )


# --- A second open packet, wherever it comes.


def test_a_second_open_packet_on_the_websocket_ends_the_session() -> None:
    play(upgraded() >> arrives(OPEN) << frame("1") << hang_up() << ends(CloseReason.PARSE_ERROR, Cause.UNEXPECTED_OPEN))


def test_a_second_open_packet_during_the_upgrade_ends_both() -> None:
    play(probing() >> answer(2, OPEN) << frame("6") << hang_up() << ends(CloseReason.PARSE_ERROR, Cause.UNEXPECTED_OPEN))


def test_the_answer_to_a_probe_over_polling_is_nothing_special() -> None:
    conn = play(probing())
    outputs = feed(conn, answer(2, "3probe"), 0.0)
    assert outputs[1:] == [poll(3)]
    assert conn.upgrade_state is UpgradeState.PROBING


def test_a_connection_over_polling_only_never_opens_a_websocket() -> None:
    conn = EngineIOConnection("http://127.0.0.1/", transports=("polling",))
    play(Script(conn) >> WebSocketOpened(1) << shows(SessionState.IDLE))


def test_an_opened_event_comes_before_anything_else() -> None:
    conn = play(polling() >> Connect() << poll(1))
    assert feed(conn, answer(1, OPEN, "4a"), 0.0)[0] == opened()
