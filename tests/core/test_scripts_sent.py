"""Scripts: what a connection says of its messages and of the server's silence.

`accepted` counts the messages that it took, `confirmed` those of them that have left: written as frames, or in a POST that has its answer. What lies
between is what `Closed` calls unsent. `writable` says whether a message that is sent now leaves now, and `silence` when the server last gave a sign.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.commands import Post, SendFrame
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Upgraded
from engineio_lite.inputs import Close, Connect, RequestFailed, ResponseReceived, SendMessages, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.state import CloseReason, SessionState
from tests.core.script import (
    OPEN,
    Script,
    answer,
    arrives,
    at,
    connecting,
    drop_requests,
    ends,
    frame,
    gets,
    hang_up,
    just_opened,
    ok,
    on_websocket,
    opened,
    pausing,
    play,
    poll,
    polled,
    polling,
    post,
    probing,
    refuses,
    upgrade_fails,
    websocket_only,
)
from tests.core.world import make_world
from tests.script import View, tell


def counts(accepted: int, confirmed: int) -> View[EngineIOConnection]:
    """Look at what was taken, and what of it has left."""
    looks = ("accepted", lambda connection: connection.accepted, accepted), ("confirmed", lambda connection: connection.confirmed, confirmed)
    return View(looks)


def writable(due: bool) -> View[EngineIOConnection]:
    """Look whether a message would leave now."""
    return View((("writable", lambda connection: connection.writable, due),))


# --- Accepted and confirmed.


def test_by_polling_a_message_has_left_when_its_post_is_answered() -> None:
    play(
        polled()
        << counts(0, 0)
        >> SendMessages(("a", "b"))
        << post(3, "4a", "4b")
        << counts(2, 0)
        >> SendMessages(("c",))
        << counts(3, 0)
        >> ok(3)
        << post(4, "4c")
        << counts(3, 2)
        >> ok(4)
        << counts(3, 3)
    )


def test_on_a_websocket_a_message_has_left_at_once() -> None:
    play(on_websocket() << counts(0, 0) >> SendMessages(("a", b"b")) << frame("4a") << frame(b"b") << counts(2, 2))


def test_pongs_and_goodbyes_are_no_messages() -> None:
    play(polled() >> answer(2, "2") << post(3, "3") << poll(4) << counts(0, 0) >> SendMessages(("a",)) >> ok(3) << post(5, "4a") << counts(1, 0))
    script = polled() >> Close(("farewell",)) << post(3, "4farewell", "1") << counts(1, 0) >> ok(3) << drop_requests()
    play(script << ends(CloseReason.CLIENT_CLOSE) << counts(1, 1))
    script = on_websocket() >> arrives("2") << frame("3") >> Close(("bye",)) << frame("4bye") << frame("1") << hang_up()
    play(script << ends(CloseReason.CLIENT_CLOSE) << counts(1, 1))


def test_a_post_of_a_pong_among_messages_confirms_the_messages() -> None:
    script = polled() >> SendMessages(("a",)) << post(3, "4a") >> answer(2, "2") << poll(4) >> SendMessages(("b",)) >> ok(3) << post(5, "3", "4b")
    play(script << counts(2, 1) >> ok(5) << counts(2, 2))


def test_what_waited_for_an_upgrade_has_left_when_it_is_done() -> None:
    script = connecting() >> SendMessages(("a",)) << post(3, "4a") >> WebSocketOpened(1) << frame("2probe") >> arrives("3probe")
    script = script >> SendMessages(("b", "c")) << counts(3, 0) >> ok(3) << counts(3, 1) >> answer(2, "6")
    play(script << frame("5") << frame("4b") << frame("4c") << Upgraded() << counts(3, 3) >> SendMessages(("d",)) << frame("4d") << counts(4, 4))


def test_a_message_that_is_refused_is_not_accepted() -> None:
    script = polled(limits=Limits(max_buffered_packets=1), max_payload=10) >> SendMessages(("0123456789",)) << refuses(Cause.PAYLOAD_TOO_LARGE)
    script = script << counts(0, 0) >> SendMessages(("a",)) << post(3, "4a") >> SendMessages(("b",)) >> SendMessages(("c",))
    play(script << refuses(Cause.SEND_BUFFER_FULL) << counts(2, 0) >> SendMessages(("a\x1eb",)) << refuses(Cause.SEPARATOR_IN_TEXT) << counts(2, 0))


def test_more_messages_than_a_post_may_hold_are_confirmed_post_by_post() -> None:
    script = polled(limits=Limits(max_packets_per_post=2)) >> SendMessages(("a", "b", "c")) << post(3, "4a", "4b") << counts(3, 0)
    play(script >> ok(3) << post(4, "4c") << counts(3, 2) >> ok(4) << counts(3, 3))


# --- What is lost.


def test_what_waits_and_what_is_in_a_post_is_unsent_when_the_line_breaks() -> None:
    script = polled() >> SendMessages(("a",)) << post(3, "4a") >> ok(3) >> SendMessages(("b", "c")) << post(4, "4b", "4c") >> SendMessages(("d",))
    script = script >> RequestFailed(2, Cause.CONNECTION_LOST, "gone") << drop_requests()
    play(script << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST, unsent=3) << counts(4, 1))


def test_what_is_in_a_post_that_fails_is_unsent() -> None:
    script = polled() >> SendMessages(("a",)) << post(3, "4a") >> SendMessages(("b",)) >> ResponseReceived(3, 502, (), b"") << drop_requests()
    play(script << ends(CloseReason.TRANSPORT_ERROR, Cause.GATEWAY_ERROR, unsent=2) << counts(2, 0))


def test_what_was_written_into_a_websocket_has_left_whatever_becomes_of_it() -> None:
    script = on_websocket() >> SendMessages(("a",)) << frame("4a") >> WebSocketClosed(1, 1006)
    play(script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED) << counts(1, 1))


@pytest.mark.parametrize("way", [on_websocket, polled])
def test_what_is_sent_into_a_silence_that_is_too_long_never_leaves(way: Callable[[], Script]) -> None:
    given_up = [hang_up()] if way is on_websocket else [drop_requests()]
    script = (way() >> at(45.0) >> SendMessages(("a", "b"))) + given_up
    play(script << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=2) << counts(2, 0))


def test_what_is_sent_into_a_silence_counts_with_what_waits_already() -> None:
    script = polled() >> SendMessages(("a",)) << post(3, "4a") >> SendMessages(("b",)) >> at(45.0) >> SendMessages(("c", "d")) << drop_requests()
    play(script << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT, unsent=4) << counts(4, 0))


def test_a_session_that_never_opened_has_accepted_nothing() -> None:
    script = polling() >> SendMessages(("a",)) << refuses(Cause.NOT_OPEN) >> Connect() << poll(1) >> Close() << drop_requests()
    play(script << ends(CloseReason.CLIENT_CLOSE) << counts(0, 0))


# --- Writable.


def test_before_and_after_the_session_nothing_is_writable() -> None:
    assert not websocket_only().connection.writable
    assert not play(polling() >> Connect() << poll(1)).writable
    assert not play(polled() >> SendMessages(("a",)) << post(3, "4a") >> Close()).writable
    assert not play(on_websocket() >> Close() << frame("1") << hang_up() << ends(CloseReason.CLIENT_CLOSE)).writable


def test_by_polling_one_post_is_on_its_way_at_a_time() -> None:
    play(
        just_opened()
        << writable(True)
        >> SendMessages(("a",))
        << post(2, "4a")
        << poll(3)
        << writable(False)
        >> SendMessages(("b",))
        << writable(False)
        >> ok(2)
        << post(4, "4b")
        << writable(False)
        >> ok(4)
        << writable(True)
        >> answer(3, "2")
        << post(5, "3")
        << poll(6)
        << writable(False)
        >> ok(5)
        << writable(True)
    )


def test_an_upgrade_is_writable_but_for_its_pause() -> None:
    play(probing() << writable(True))
    play(pausing() << writable(False) >> answer(2, "6") << frame("5") << Upgraded() << writable(True))
    play(pausing() >> WebSocketClosed(1, 1006) << upgrade_fails() << writable(True))
    script = pausing() >> SendMessages(("a",)) >> arrives("what") << frame("6") << hang_up() << upgrade_fails() << post(3, "4a")
    play(script << writable(False) >> ok(3) << writable(True))


def test_a_websocket_is_writable() -> None:
    play(on_websocket() << writable(True) >> SendMessages(("a",)) << frame("4a") << writable(True))


@pytest.mark.parametrize("way", [just_opened, polled, connecting, probing, on_websocket])
def test_what_is_sent_where_it_is_writable_leaves_now(way: Callable[[], Script]) -> None:
    connection = play(way())
    assert connection.writable
    outputs = connection.process(SendMessages(("now",)), 0.0)
    assert [output for output in outputs if (isinstance(output, Post) and output.body == b"4now") or output == SendFrame(1, "4now")]


def moving(due: bool) -> View[EngineIOConnection]:
    """Look whether the session may still move to a WebSocket."""
    return View((("may_upgrade", lambda connection: connection.may_upgrade, due),))


def test_a_session_may_move_until_its_upgrade_is_done_or_has_failed() -> None:
    assert not play(polling() >> Connect() << poll(1)).may_upgrade
    play(just_opened(upgrades=("websocket",)) << moving(True))
    play(connecting() << moving(True) >> WebSocketOpened(1) << frame("2probe") << moving(True) >> arrives("3probe") << moving(True))
    play(pausing() >> answer(2, "6") << frame("5") << Upgraded() << moving(False))
    play(connecting() >> WebSocketClosed(1, 1006) << upgrade_fails() << moving(False))


def test_a_session_that_was_offered_nothing_or_wants_nothing_does_not_move() -> None:
    play(just_opened() << moving(False))
    play(on_websocket() << moving(False))
    script = polling(transports=("polling",)) >> Connect() << poll(1) >> answer(1, OPEN) << opened()
    play(script << moving(False))


# --- How much at once.


def test_a_post_holds_no_more_bytes_than_a_bundle_may_have_and_a_larger_message_goes_alone() -> None:
    script = (
        polled(limits=Limits(max_post=11))
        >> SendMessages(("1234", "5678", "9", "x" * 20, "y"))
        << post(3, "41234", "45678")
        >> ok(3)
        << post(4, "49")
    )
    play(script >> ok(4) << post(5, "4" + "x" * 20) >> ok(5) << post(6, "4y"))


def test_the_server_s_own_limit_is_kept_where_it_is_lower() -> None:
    script = polled(limits=Limits(max_post=100), max_payload=5) >> SendMessages(("1234", "5")) << post(3, "41234") >> ok(3) << post(4, "45")
    play(script >> SendMessages(("12345",)) << refuses(Cause.PAYLOAD_TOO_LARGE))


# --- Silence.


def silence_of(script: Script) -> float | None:
    """How long the server was silent at the end of this script, which ends with `Closed`."""
    (closed,) = [output for output in tell(script) if isinstance(output, Closed)]
    return closed.silence


def test_a_session_that_never_opened_was_never_silent() -> None:
    assert silence_of(polling() >> Close() << ends(CloseReason.CLIENT_CLOSE)) is None
    script = polling() >> Connect() << poll(1) >> at(3.0) >> RequestFailed(1, Cause.CONNECT_REFUSED, "nobody")
    assert silence_of(script << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED)) is None


def test_silence_counts_from_the_open_packet_and_then_from_the_last_ping() -> None:
    end = ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED)
    assert silence_of(on_websocket() >> at(7.0) >> WebSocketClosed(1, 1006) << end) == 7.0
    script = on_websocket() >> at(25.0) >> arrives("2") << frame("3") >> at(30.0) >> arrives("4message") << gets("message")
    assert silence_of(script >> at(31.0) >> WebSocketClosed(1, 1006) << end) == 6.0


def test_silence_is_told_whoever_ends_the_session() -> None:
    assert silence_of(on_websocket() >> at(2.0) >> Close() << frame("1") << hang_up() << ends(CloseReason.CLIENT_CLOSE)) == 2.0
    assert silence_of(polled() >> at(2.0) >> answer(2, "1") << ends(CloseReason.SERVER_CLOSE)) == 2.0
    script = on_websocket() >> at(45.0) >> TimePassed() << hang_up()
    assert silence_of(script << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT)) == 45.0


def test_a_ping_that_comes_with_the_goodbye_still_breaks_the_silence() -> None:
    assert silence_of(polled() >> at(9.0) >> answer(2, "2", "1") << ends(CloseReason.SERVER_CLOSE)) == 0.0


# --- Whatever happens.


@given(st.sampled_from(["node", "python"]), st.data())
def test_what_is_neither_confirmed_nor_waiting_is_what_closed_calls_unsent(kind: str, data: st.DataObject) -> None:
    world = make_world(kind)
    confirmed = 0
    for number in range(data.draw(st.integers(0, 40))):
        if world.connection.state is SessionState.OPEN and data.draw(st.booleans()):
            world.send(tuple(f"{number}.{index}" for index in range(data.draw(st.integers(1, 4)))))
        actions = world.enabled() + (world.faults() if data.draw(st.integers(0, 19)) == 0 else [])
        if not actions:
            break
        world.do(data.draw(st.sampled_from(actions)))
        assert confirmed <= world.connection.confirmed <= world.connection.accepted
        confirmed = world.connection.confirmed
    world.run_down()
    assert world.connection.accepted == len(world.accepted)
    if world.closed is not None:
        assert world.connection.confirmed == world.connection.accepted - world.closed.unsent
    elif not world.reasons:
        assert world.connection.confirmed == world.connection.accepted
