"""Whether to try again, and when: the policy alone, as a value that is asked."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.exceptions import (
    ConnectRefused,
    EngineIOError,
    HandshakeError,
    LocalProtocolError,
    PingTimeout,
    RemoteProtocolError,
    TimedOut,
    TransportClosed,
    TransportError,
)
from engineio_lite.socketio.policy import AT_ONCE, HOPELESS, MAX_RETRY_AFTER, Lost, ReconnectPolicy, is_worth_it
from engineio_lite.state import CloseReason

MIDDLE = 0.5
"""A roll of the dice that leaves a delay as it is."""

LINE = TransportError("the line broke", cause=Cause.CONNECTION_LOST)


def lost(attempt: int = 1, error: EngineIOError | None = LINE, *, reason: CloseReason = CloseReason.TRANSPORT_ERROR, first: bool = False) -> Lost:
    """A connection that was lost because the line broke, unless it is told otherwise."""
    return Lost(reason, error, attempt, first)


def busy(*headers: tuple[str, str]) -> HandshakeError:
    """A server that has too much to do, and says so with these headers."""
    return HandshakeError("too many", cause=Cause.RATE_LIMITED, status=429, headers=headers)


# --- When.


def test_the_delays_double_up_to_five_seconds() -> None:
    policy = ReconnectPolicy()
    assert [policy.wait(lost(attempt), MIDDLE) for attempt in range(1, 7)] == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_delay_is_spread_by_half_either_way_and_never_above_the_longest() -> None:
    policy = ReconnectPolicy()
    assert [policy.wait(lost(1), roll) for roll in (0.0, 0.25, 0.75, 1.0)] == [0.5, 0.75, 1.25, 1.5]
    assert [policy.wait(lost(3), roll) for roll in (0.0, 1.0)] == [2.0, 5.0]
    assert [policy.wait(lost(9), roll) for roll in (0.0, 1.0)] == [2.5, 5.0]


@given(
    delay=st.floats(0, 100),
    longest=st.floats(0, 100),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 1),
    attempt=st.integers(1, 60),
    roll=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_within_its_bounds(delay: float, longest: float, factor: float, jitter: float, attempt: int, roll: float) -> None:
    policy = ReconnectPolicy(delay=delay, max_delay=longest, factor=factor, jitter=jitter)
    wait = policy.wait(lost(attempt), roll)
    assert wait is not None
    base = float(min(Fraction(longest), Fraction(delay) * Fraction(factor) ** (attempt - 1)))
    slack = 1e-9 * (base + 1)
    assert base * (1 - jitter) - slack <= wait <= min(longest, base * (1 + jitter)) + slack


@given(st.floats(0, 10), st.floats(0, 10), st.floats(1, 5), st.floats(0, 1, exclude_max=True), st.integers(1, 200))
def test_no_delay_is_shorter_than_the_one_before(delay: float, longest: float, factor: float, roll: float, attempt: int) -> None:
    policy = ReconnectPolicy(delay=delay, max_delay=longest, factor=factor)
    before, after = policy.wait(lost(attempt), roll), policy.wait(lost(attempt + 1), roll)
    assert before is not None
    assert after is not None
    assert before <= after


@pytest.mark.parametrize(
    ("policy", "delay"),
    [
        (ReconnectPolicy(), 5.0),
        (ReconnectPolicy(factor=1e300), 5.0),
        (ReconnectPolicy(factor=math.inf), 5.0),
        (ReconnectPolicy(factor=1.0), 1.0),
        (ReconnectPolicy(delay=0.0), 0.0),
        (ReconnectPolicy(delay=0.0, factor=math.inf), 0.0),
        (ReconnectPolicy(delay=60.0), 5.0),
        (ReconnectPolicy(delay=1e-300, max_delay=1e300), 1e300),
        (ReconnectPolicy(max_delay=0.0), 0.0),
    ],
)
def test_the_ten_thousandth_try_overflows_nothing(policy: ReconnectPolicy, delay: float) -> None:
    assert policy.wait(lost(10_000), MIDDLE) == delay


def test_a_session_that_the_server_forgot_is_opened_again_at_once_but_only_once() -> None:
    policy = ReconnectPolicy()
    forgotten = HandshakeError("Session ID unknown", cause=Cause.SESSION_UNKNOWN)
    assert {Cause.SESSION_UNKNOWN} == AT_ONCE
    assert [policy.wait(lost(attempt, forgotten), MIDDLE) for attempt in (1, 2, 3)] == [0.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("3", 3.0),
        (" 30 ", 30.0),
        ("0", 1.0),
        ("1", 1.0),
        ("300", 300.0),
        ("301", 300.0),
        ("9" * 400, 300.0),
        ("-3", 1.0),
        ("3.5", 1.0),
        ("1e2", 1.0),
        ("٣", 1.0),
        ("", 1.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 1.0),
    ],
)
def test_a_server_that_names_seconds_is_left_alone_for_so_long(value: str, delay: float) -> None:
    assert MAX_RETRY_AFTER == 300.0
    assert ReconnectPolicy().wait(lost(1, busy(("Retry-After", value))), MIDDLE) == delay


def test_the_header_is_found_among_others_however_it_is_written() -> None:
    assert ReconnectPolicy().wait(lost(1, busy(("Server", "7"), ("RETRY-AFTER", "9"))), MIDDLE) == 9.0


def test_a_longer_delay_of_our_own_stays() -> None:
    assert ReconnectPolicy(delay=20.0, max_delay=60.0).wait(lost(1, busy(("retry-after", "9"))), MIDDLE) == 20.0


# --- Whether.


def test_the_first_connection_is_tried_once_by_default() -> None:
    assert ReconnectPolicy().wait(lost(first=True), MIDDLE) is None
    assert ReconnectPolicy(retry_first=True).wait(lost(first=True), MIDDLE) == 1.0
    assert ReconnectPolicy(decide=lambda lost: True).wait(lost(first=True), MIDDLE) is None


@pytest.mark.parametrize("most", [0, 1, 3])
def test_tries_are_bounded_and_no_decision_makes_more_of_them(most: int) -> None:
    for policy in (ReconnectPolicy(max_attempts=most), ReconnectPolicy(max_attempts=most, decide=lambda lost: True)):
        assert [policy.wait(lost(attempt), MIDDLE) is not None for attempt in range(1, 6)] == [attempt <= most for attempt in range(1, 6)]


def test_without_a_bound_there_is_always_another_try() -> None:
    assert ReconnectPolicy().wait(lost(10**6), MIDDLE) == 5.0


def test_nobody_is_asked_about_what_is_settled() -> None:
    asked: list[Lost] = []
    policy = ReconnectPolicy(max_attempts=1, decide=asked.append)
    assert policy.wait(lost(first=True), MIDDLE) is None
    assert policy.wait(lost(2), MIDDLE) is None
    assert asked == []
    assert policy.wait(lost(1), MIDDLE) == 1.0
    assert asked == [lost(1)]


@pytest.mark.parametrize("cause", sorted(HOPELESS))
def test_what_it_takes_a_person_to_mend_is_not_tried_again_unless_that_person_says_so(cause: Cause) -> None:
    hopeless = lost(1, RemoteProtocolError("no", cause=cause))
    assert ReconnectPolicy().wait(hopeless, MIDDLE) is None
    assert ReconnectPolicy(decide=lambda lost: None).wait(hopeless, MIDDLE) is None
    assert ReconnectPolicy(decide=lambda lost: True).wait(hopeless, MIDDLE) == 1.0


@pytest.mark.parametrize(
    "error",
    [
        LINE,
        TransportClosed("gone", cause=Cause.WEBSOCKET_CLOSED),
        PingTimeout(46.0, 45.0),
        TimedOut("late", cause=Cause.OPEN_TIMEOUT),
        TimedOut("late", cause=Cause.CONNECT_UNANSWERED),
        RemoteProtocolError("what", cause=Cause.BAD_JSON),
        HandshakeError("a page", cause=Cause.HTML_RESPONSE),
        HandshakeError("not there", cause=Cause.WRONG_PATH),
        HandshakeError("too many", cause=Cause.RATE_LIMITED),
        HandshakeError("broken", cause=Cause.GATEWAY_ERROR),
        TransportError("nobody", cause=Cause.CONNECT_REFUSED),
        TransportError("no name", cause=Cause.DNS_FAILED),
        EngineIOError("no password now", cause=Cause.AUTH_FAILED),
        None,
    ],
    ids=lambda error: error.cause.value if error is not None else "none",
)
def test_what_may_end_differently_is_tried_again_unless_the_application_does_not_want_it(error: EngineIOError | None) -> None:
    hopeful = lost(1, error)
    assert is_worth_it(hopeful)
    assert ReconnectPolicy().wait(hopeful, MIDDLE) == 1.0
    assert ReconnectPolicy(decide=lambda lost: None).wait(hopeful, MIDDLE) == 1.0
    assert ReconnectPolicy(decide=lambda lost: False).wait(hopeful, MIDDLE) is None


@pytest.mark.parametrize(
    "error",
    [
        ConnectRefused("/", "not authorized"),
        LocalProtocolError("our fault", cause=Cause.PAYLOAD_TOO_LARGE),
    ],
)
def test_a_refusal_and_our_own_faults_are_not_tried_again(error: EngineIOError) -> None:
    assert ReconnectPolicy().wait(lost(1, error), MIDDLE) is None


@pytest.mark.parametrize("reason", CloseReason)
def test_an_end_without_an_error_is_left_at_that_if_somebody_meant_it(reason: CloseReason) -> None:
    meant = {CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT, CloseReason.SERVER_DISCONNECT}
    assert (ReconnectPolicy().wait(lost(1, None, reason=reason), MIDDLE) is None) == (reason in meant)
    assert ReconnectPolicy(decide=lambda lost: True).wait(lost(1, None, reason=reason), MIDDLE) == 1.0


def test_an_end_with_an_error_is_judged_by_the_error() -> None:
    unanswered = TimedOut("no answer", cause=Cause.CONNECT_UNANSWERED)
    assert ReconnectPolicy().wait(lost(1, unanswered, reason=CloseReason.CLIENT_CLOSE), MIDDLE) == 1.0


def test_whatever_a_decision_raises_is_passed_on() -> None:
    def decide(lost: Lost) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ReconnectPolicy(decide=decide).wait(lost(), MIDDLE)


# --- Values that make no sense.


@pytest.mark.parametrize(
    "option",
    [
        {"delay": -0.1},
        {"delay": math.nan},
        {"max_delay": -1.0},
        {"max_delay": math.nan},
        {"factor": 0.99},
        {"factor": math.nan},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": math.nan},
        {"max_attempts": -1},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError, match=next(iter(option))) as caught:
        ReconnectPolicy(**option)  # type: ignore[arg-type]  # each is given as a float
    assert caught.value.cause is Cause.BAD_OPTION


def test_the_edges_of_what_makes_sense_do() -> None:
    assert ReconnectPolicy(delay=0, max_delay=0, factor=1, jitter=1, max_attempts=0).wait(lost(), MIDDLE) is None
    assert ReconnectPolicy(jitter=1).wait(lost(), 0.0) == 0.0
    assert ReconnectPolicy(jitter=0).wait(lost(), 0.0) == 1.0
