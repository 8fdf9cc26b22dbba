"""Scripts over a server's door: what Node's server does, packet by packet, on a clock of its own."""

from __future__ import annotations

import json
import math

import pytest

from engineio_lite.causes import Cause
from engineio_lite.events import MessageReceived, Upgraded
from engineio_lite.inputs import Close, SendMessages, TimePassed, WebSocketClosed, WebSocketFailed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.replay.admission import BAD_REQUEST, UNKNOWN_SID
from engineio_lite.replay.engine import CLOSE_LIMIT, NUDGE, UPGRADE_LIMIT, ServerSession, ServerState
from engineio_lite.replay.happenings import Abort, Answer, CloseSocket, CutRequest, RequestAborted
from engineio_lite.replay.offer import Offer
from engineio_lite.state import CloseReason, Transport
from tests.replay.script import (
    CLIENT_LEFT,
    LOST,
    NONSENSE,
    OFFER,
    PINGING,
    SERVER_LEFT,
    SID,
    SILENT,
    THROWN_OUT,
    Over,
    Script,
    body,
    frame,
    get,
    ok,
    on_websocket,
    open_packet,
    polling,
    posted,
    posting,
    probed,
    refused,
    says,
    shows,
)
from tests.script import at, play, refuses

# ------------------------------------------------------------------------------------------------------------------------------- the handshake


def test_the_open_packet_says_what_is_offered() -> None:
    offer = Offer(upgrades=("websocket", "webtransport"), ping_interval=0.3, ping_timeout=0.2, max_payload=None, more={"flavour": "vanilla"})
    assert json.loads(str(offer.open_packet("x", Transport.POLLING).data)) == {
        "sid": "x",
        "upgrades": ["websocket", "webtransport"],
        "pingInterval": 300,
        "pingTimeout": 200,
        "flavour": "vanilla",
    }
    assert json.loads(str(offer.open_packet("x", Transport.WEBSOCKET).data))["upgrades"] == []


def test_the_open_packet_comes_alone_and_what_was_sent_before_it_next() -> None:
    play(
        Script(ServerSession(SID, transport=Transport.POLLING, offer=OFFER))
        >> SendMessages(("early",))
        >> get(1)
        << body(1, open_packet())
        >> get(2)
        << body(2, "4early")
        << shows(ServerState.OPEN, deadline=math.inf)
    )
    play(
        Script(ServerSession(SID, transport=Transport.WEBSOCKET, offer=OFFER))
        >> SendMessages(("early", b"\x01"))
        >> WebSocketOpened(1)
        << says(1, open_packet(upgrades=[]))
        << says(1, "4early")
        << says(1, b"\x01")
    )


def test_a_session_that_was_closed_before_it_was_opened_opens_to_say_so() -> None:
    play(
        Script(ServerSession(SID, transport=Transport.POLLING, offer=OFFER))
        >> Close(("sorry",))
        >> get(1)
        << body(1, open_packet())
        >> get(2)
        << body(2, "4sorry")
        >> get(3)
        << body(3, "6", "1")
        << SERVER_LEFT
    )
    play(
        Script(ServerSession(SID, transport=Transport.WEBSOCKET, offer=OFFER))
        >> Close()
        >> WebSocketOpened(1)
        << says(1, open_packet(upgrades=[]))
        << CloseSocket(1)
        << SERVER_LEFT
    )


def test_a_session_that_was_aborted_before_it_was_opened_is_not_there() -> None:
    play(
        Script(ServerSession(SID, transport=Transport.POLLING))
        >> Abort(CloseReason.SERVER_CLOSE, "why not")
        << SERVER_LEFT
        >> get(1)
        << refused(1, UNKNOWN_SID)
        >> WebSocketOpened(1)
        << CloseSocket(1)
    )


# ------------------------------------------------------------------------------------------------------------------------------------ polling


def test_a_get_waits_for_the_first_message_and_what_comes_next_waits_for_a_get() -> None:
    play(
        polling()
        >> get(2)
        >> SendMessages(("a", "é", b"\x00\xff"))
        << body(2, "4a", "4é", "bAP8=")
        >> SendMessages(("b",))
        >> SendMessages((b"",))
        >> get(3)
        << body(3, "4b", "b")
        >> get(4)
    )


def test_an_answer_holds_as_many_packets_as_a_python_client_can_read() -> None:
    numbers = [str(i) for i in range(35)]
    play(
        polling()
        >> SendMessages(tuple(numbers))
        >> get(2)
        << body(2, *("4" + number for number in numbers[:16]))
        >> get(3)
        << body(3, *("4" + number for number in numbers[16:32]))
        >> get(4)
        << body(4, *("4" + number for number in numbers[32:]))
    )


def test_messages_of_a_post_are_told_in_order_before_it_is_answered() -> None:
    play(
        polling()
        >> posting(2)
        >> posted(2, "4a", "bAP8=", "4", "3", "6", "5", "0{}", "4b")
        << MessageReceived("a")
        << MessageReceived(b"\x00\xff")
        << MessageReceived("")
        << MessageReceived("b")
        << ok(2)
        >> get(3)
    )


def test_bytes_that_are_no_text_and_lax_base64_are_read_as_node_reads_them() -> None:
    script = polling() >> posting(2)
    session = play(script)
    outputs = session.process(type(posted(2))(2, b"4\xff\x1ebAP8"), 0)
    assert outputs == [MessageReceived("\ufffd"), MessageReceived(b"\x00\xff"), ok(2)]


@pytest.mark.parametrize("packets", [("",), ("9",), ("4good", ""), ("4good", "x", "4late"), ("4good", "bA")])
def test_a_packet_that_is_none_ends_the_session_after_the_good_ones(packets: tuple[str, ...]) -> None:
    script = polling() >> get(2) >> posting(3) >> posted(3, *packets)
    for _ in range(packets.count("4good")):
        script = script << MessageReceived("good")
    play(script << body(2, "1") << NONSENSE << ok(3) >> get(4) << refused(4, UNKNOWN_SID) >> posting(5) << refused(5, UNKNOWN_SID))


@pytest.mark.parametrize("ping", ["2", "2probe"])
def test_a_ping_of_the_client_ends_the_session(ping: str) -> None:
    play(polling() >> posting(2) >> posted(2, "4a", ping, "4b") << MessageReceived("a") << THROWN_OUT << ok(2))


def test_a_body_that_is_too_large_is_refused_and_the_session_goes_on() -> None:
    play(
        polling()
        >> posting(2)
        >> posted(2, "4" + "x" * 99)
        << MessageReceived("x" * 99)
        << ok(2)
        >> posting(3)
        >> posted(3, "4" + "x" * 100)
        << Answer(3, 413)
        >> posting(4)
        >> posted(4, "4y")
        << MessageReceived("y")
        << ok(4)
    )
    play(
        polling(Offer(max_payload=None, more={"maxPayload": None})) >> posting(2) >> posted(2, "4" + "x" * 999) << MessageReceived("x" * 999) << ok(2)
    )


def test_a_second_get_at_once_ends_the_session() -> None:
    play(polling() >> get(2) >> posting(3) >> get(4) << CutRequest(3) << body(2, "1") << THROWN_OUT << Answer(4, 400) >> posted(3, "4x"))


def test_a_second_post_at_once_ends_the_session() -> None:
    play(polling() >> get(2) >> posting(3) >> posting(4) << CutRequest(3) << body(2, "1") << THROWN_OUT << Answer(4, 400) >> posted(4, "4x"))


def test_a_post_of_bytes_ends_the_session() -> None:
    play(polling() >> posting(2, "application/octet-stream") << THROWN_OUT << Answer(2, 400))


def test_a_client_that_abandons_a_request_has_left() -> None:
    play(polling() >> get(2) >> RequestAborted(2) << THROWN_OUT)
    play(polling() >> get(2) >> posting(3) >> RequestAborted(3) << body(2, "1") << THROWN_OUT)
    play(polling() >> get(2) >> SendMessages(("x",)) << body(2, "4x") >> RequestAborted(2) << shows(ServerState.OPEN))


# ------------------------------------------------------------------------------------------------------------------------------------ leaving


def test_a_client_leaves_by_polling() -> None:
    play(
        polling()
        >> get(2)
        >> posting(3)
        >> posted(3, "4last", "1", "4late")
        << MessageReceived("last")
        << body(2, "6")
        << CLIENT_LEFT
        << ok(3)
        << shows(ServerState.CLOSED, deadline=math.inf)
        >> get(4)
        << refused(4, UNKNOWN_SID)
        >> SendMessages(("x",))
        << refuses(Cause.NOT_OPEN)
        >> Close()
        >> Abort()
        >> WebSocketClosed(9, None)
    )
    play(polling() >> WebSocketOpened(1) >> posting(2) >> posted(2, "1") << CloseSocket(1) << CLIENT_LEFT << ok(2))


def test_the_server_leaves_by_the_get_that_waits() -> None:
    play(polling() >> get(2) >> Close() << body(2, "1") << SERVER_LEFT)


def test_the_server_leaves_by_the_get_after_the_queue() -> None:
    play(
        polling()
        >> SendMessages(("a",))
        >> at(1)
        >> Close(("b",))
        << shows(ServerState.CLOSING, deadline=1 + CLOSE_LIMIT)
        >> Close()
        >> SendMessages(("late",))
        << refuses(Cause.NOT_OPEN)
        >> posting(2)
        >> posted(2, "4late", "2", "9")
        << ok(2)
        >> get(3)
        << body(3, "4a", "4b")
        >> get(4)
        << body(4, "6", "1")
        << SERVER_LEFT
        << shows(ServerState.CLOSED, deadline=math.inf)
    )
    play(polling() >> get(2) >> Close(("bye",)) << body(2, "4bye") >> get(3) << body(3, "6", "1") << SERVER_LEFT)


def test_a_server_that_leaves_waits_for_a_get_no_longer_than_node() -> None:
    play(polling() >> Close() >> at(CLOSE_LIMIT - 0.1) >> TimePassed() >> at(CLOSE_LIMIT) >> TimePassed() << SERVER_LEFT)


def test_a_client_may_leave_while_the_server_does() -> None:
    play(polling() >> Close(("bye",)) >> posting(2) >> posted(2, "1") << CLIENT_LEFT << ok(2))
    play(polling() >> Close(("bye",)) >> posting(2) >> posting(3) << CutRequest(2) << THROWN_OUT << Answer(3, 400))


def test_an_application_that_gives_up_waits_for_nothing() -> None:
    play(polling() >> SendMessages(("x",)) >> posting(2) >> WebSocketOpened(1) >> Abort() << CutRequest(2) << CloseSocket(1) << SERVER_LEFT)
    play(on_websocket() >> Abort(CloseReason.PARSE_ERROR, "cannot read that") << CloseSocket(1) << Over(CloseReason.PARSE_ERROR))


# ---------------------------------------------------------------------------------------------------------------------------------- WebSocket


def test_a_session_on_a_websocket() -> None:
    play(
        on_websocket()
        >> SendMessages(("a", b"\x01", "with \x1e separator"))
        << says(1, "4a")
        << says(1, b"\x01")
        << says(1, "4with \x1e separator")
        >> frame(1, "4x")
        << MessageReceived("x")
        >> frame(1, b"y")
        << MessageReceived(b"y")
        >> frame(1, "bAP8=")
        << MessageReceived(b"\x00\xff")
        >> frame(1, "1")
        >> frame(1, "5")
        >> frame(1, "6")
        >> frame(1, "3")
        << shows(ServerState.OPEN, deadline=math.inf)
        >> WebSocketOpened(2)
        << CloseSocket(2)
        >> frame(2, "4not heard")
        >> get(1)
        << refused(1, BAD_REQUEST)
        >> posting(2)
        << refused(2, BAD_REQUEST)
        >> WebSocketClosed(1, 1001, "")
        << LOST
    )


@pytest.mark.parametrize(("data", "over"), [("", NONSENSE), ("x", NONSENSE), ("bA", NONSENSE), ("2", THROWN_OUT), ("2probe", THROWN_OUT)])
def test_a_frame_that_must_not_come_ends_the_session(data: str, over: Over) -> None:
    play(on_websocket() >> frame(1, data) << CloseSocket(1) << over >> frame(1, "4late") >> WebSocketClosed(1, None))


def test_a_websocket_that_breaks_ends_the_session() -> None:
    play(on_websocket() >> WebSocketFailed(1, Cause.CONNECTION_LOST, "it broke") << THROWN_OUT)
    play(on_websocket() >> WebSocketClosed(1, None) << LOST)


def test_the_server_leaves_a_websocket() -> None:
    play(on_websocket() >> Close(("bye",)) << says(1, "4bye") << CloseSocket(1) << SERVER_LEFT << shows(ServerState.CLOSED, deadline=math.inf))


# -------------------------------------------------------------------------------------------------------------------------------- the upgrade


def test_an_upgrade_in_the_manner_of_nodes_client() -> None:
    play(
        polling()
        >> get(2)
        >> WebSocketOpened(1)
        << shows(upgrading=True, deadline=UPGRADE_LIMIT)
        >> posting(3)
        >> frame(1, "2probe")
        << says(1, "3probe")
        << body(2, "6")
        >> posted(3, "4by post")
        << MessageReceived("by post")
        << ok(3)
        >> SendMessages(("held",))
        >> frame(1, "5")
        << Upgraded()
        << says(1, "4held")
        << shows(ServerState.OPEN, transport=Transport.WEBSOCKET, upgrading=False, deadline=math.inf)
        >> frame(1, "4on it")
        << MessageReceived("on it")
        >> get(4)
        << refused(4, BAD_REQUEST)
        >> posting(5)
        << refused(5, BAD_REQUEST)
        >> posted(5, "4x")
    )


def test_polls_go_on_during_an_upgrade_and_are_ended_again_and_again() -> None:
    play(
        probed()
        >> SendMessages(("a",))
        >> get(3)
        << body(3, "4a")
        >> at(0.05)
        >> get(4)
        << shows(deadline=NUDGE)
        >> at(NUDGE)
        >> TimePassed()
        << body(4, "6")
        << shows(deadline=2 * NUDGE)
        >> at(2 * NUDGE)
        >> TimePassed()
        >> get(5)
        >> at(3 * NUDGE)
        >> TimePassed()
        << body(5, "6")
        >> frame(1, "5")
        << Upgraded()
    )


def test_a_get_that_waits_at_the_switch_is_ended_and_a_post_that_arrives_is_cut_off() -> None:
    play(probed() >> get(3) >> posting(4) >> frame(1, "5") << CutRequest(4) << body(3, "1") << Upgraded() >> posted(4, "4lost"))


def test_a_client_may_switch_without_a_probe() -> None:
    play(polling() >> SendMessages(("held",)) >> WebSocketOpened(1) >> frame(1, "5") << Upgraded() << says(1, "4held"))


@pytest.mark.parametrize("data", ["4x", b"4x", b"2probe", b"5", "6", "2", "2prob", "3probe", "", "x", "1"])
def test_anything_else_costs_the_upgrade_its_socket_and_nobody_anything_else(data: str | bytes) -> None:
    for script in (polling() >> WebSocketOpened(1), probed()):
        play(
            script
            >> frame(1, data)
            << CloseSocket(1)
            << shows(ServerState.OPEN, transport=Transport.POLLING, upgrading=False, deadline=math.inf)
            >> frame(1, "5")
            >> SendMessages(("x",))
            >> get(8)
            << body(8, "4x")
            >> WebSocketOpened(2)
            >> frame(2, "2probe")
            << says(2, "3probe")
        )


def test_a_socket_that_is_lost_during_the_upgrade_is_no_loss() -> None:
    play(
        probed()
        >> WebSocketClosed(1, None)
        << shows(ServerState.OPEN, upgrading=False, deadline=math.inf)
        >> get(3)
        >> SendMessages(("x",))
        << body(3, "4x")
    )
    play(probed() >> WebSocketFailed(1, Cause.CONNECTION_LOST, "it broke") << shows(ServerState.OPEN, upgrading=False))


def test_an_upgrade_has_its_time() -> None:
    play(
        polling()
        >> WebSocketOpened(1)
        >> at(UPGRADE_LIMIT)
        >> TimePassed()
        << CloseSocket(1)
        << shows(ServerState.OPEN, upgrading=False, deadline=math.inf)
        >> frame(1, "2probe")
    )


def test_there_is_one_candidate_at_a_time() -> None:
    play(polling() >> WebSocketOpened(1) >> WebSocketOpened(2) << CloseSocket(2) >> frame(2, "5") >> frame(1, "5") << Upgraded())


def test_a_server_that_leaves_during_an_upgrade_leaves_on_the_channel_that_comes_first() -> None:
    play(probed() >> Close(("bye",)) >> frame(1, "5") << Upgraded() << says(1, "4bye") << CloseSocket(1) << SERVER_LEFT)
    play(probed() >> Close(("bye",)) >> get(3) << body(3, "4bye") >> get(4) << body(4, "6", "1") << CloseSocket(1) << SERVER_LEFT)


# ---------------------------------------------------------------------------------------------------------------------------------- heartbeat


def test_there_are_no_pings_unless_they_are_asked_for() -> None:
    play(polling() >> posting(2) >> posted(2, "3") << ok(2) << shows(deadline=math.inf))


def test_a_ping_comes_an_interval_after_the_last_pong() -> None:
    play(
        polling(PINGING)
        << shows(deadline=25.0)
        >> get(2)
        >> at(25)
        >> TimePassed()
        << body(2, "2")
        << shows(deadline=45.0)
        >> posting(3)
        >> at(26)
        >> posted(3, "3")
        << ok(3)
        << shows(deadline=51.0)
        >> at(51)
        >> TimePassed()
        >> get(4)
        << body(4, "2")
        >> at(71)
        >> TimePassed()
        << SILENT
    )


def test_a_pong_may_wait_behind_another_packet_once() -> None:
    play(
        on_websocket(PINGING)
        >> at(25)
        >> TimePassed()
        << says(1, "2")
        >> at(40)
        >> frame(1, "4x")
        << MessageReceived("x")
        << shows(deadline=60.0)
        >> at(50)
        >> frame(1, "4y")
        << MessageReceived("y")
        << shows(deadline=60.0)
        >> at(60)
        >> TimePassed()
        << CloseSocket(1)
        << SILENT
    )


def test_a_pong_that_is_due_at_the_switch_may_come_when_it_likes() -> None:
    play(
        polling(PINGING)
        >> at(25)
        >> TimePassed()
        >> get(2)
        << body(2, "2")
        >> WebSocketOpened(1)
        >> frame(1, "5")
        << Upgraded()
        << shows(deadline=math.inf)
        >> at(50)
        >> frame(1, "3")
        << shows(deadline=75.0)
    )


def test_a_server_that_leaves_pings_no_more() -> None:
    play(polling(PINGING) >> at(10) >> Close() << shows(deadline=10 + CLOSE_LIMIT))


def test_timers_that_are_due_together_are_served_in_turn() -> None:
    play(
        polling(PINGING)
        >> at(20)
        >> WebSocketOpened(1)
        >> frame(1, "2probe")
        << says(1, "3probe")
        >> get(2)
        >> at(30)
        >> TimePassed()
        << CloseSocket(1)
        << body(2, "2")
    )


# ------------------------------------------------------------------------------------------------------------------------------------- misuse


def test_what_cannot_be_sent_is_refused_and_nothing_changes() -> None:
    play(
        polling(limits=Limits(max_buffered=10, max_buffered_packets=2))
        >> SendMessages(("would be \x1e split",))
        << refuses(Cause.SEPARATOR_IN_TEXT)
        >> SendMessages(("good", "\ud800"))
        << refuses(Cause.BAD_MESSAGE)
        >> Close(("\ud800",))
        << refuses(Cause.BAD_MESSAGE)
        >> SendMessages(("12345",))
        >> SendMessages(("12345",))
        << refuses(Cause.SEND_BUFFER_FULL)
        << shows(ServerState.OPEN)
        >> get(2)
        << body(2, "412345")
    )
