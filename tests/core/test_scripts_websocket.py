"""Scripts: a session that lives on one WebSocket from its first byte."""

from __future__ import annotations

import pytest

from engineio_lite.causes import Cause
from engineio_lite.events import Closed, PacketIgnored
from engineio_lite.inputs import Close, Connect, Input, SendMessages, TimePassed, WebSocketClosed, WebSocketFailed, WebSocketOpened, WebSocketRefused
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState
from tests.core.script import (
    OPEN,
    SID,
    Script,
    answer,
    arrives,
    at,
    ends,
    ends_somehow,
    feed,
    frame,
    gets,
    hang_up,
    on_websocket,
    opened,
    play,
    refuses,
    shows,
    websocket,
    websocket_only,
)


def joining() -> Script:
    """The WebSocket is open, the open packet is due."""
    return websocket_only() >> Connect() << websocket(1, upgrade=False) >> WebSocketOpened(1) << shows(SessionState.OPENING)


def test_the_session_opens_with_the_first_frame() -> None:
    play(
        websocket_only()
        >> Connect()
        << websocket(1, upgrade=False)
        << shows(SessionState.OPENING, deadline=20.0)
        >> at(0.1)
        >> WebSocketOpened(1)
        >> arrives(OPEN)
        << opened(Transport.WEBSOCKET)
        << shows(SessionState.OPEN, upgrade=UpgradeState.NONE, transport=Transport.WEBSOCKET, deadline=45.1)
    )


def test_messages_travel_as_frames_both_ways() -> None:
    play(
        on_websocket()
        >> SendMessages(("a", b"\x00\x1e", "", "with \x1e"))
        << frame("4a")
        << frame(b"\x00\x1e")
        << frame("4")
        << frame("4with \x1e")
        << shows(buffered_packets=0)
        >> arrives("4a\x1e4b")
        << gets("a\x1e4b")
        >> arrives(b"")
        << gets(b"")
        >> arrives("4")
        << gets("")
    )


def test_any_number_of_messages_travels_at_once() -> None:
    play((on_websocket() >> SendMessages(("x",) * 40)) + [frame("4x")] * 40)


def test_a_ping_is_answered_at_once_and_moves_the_deadline() -> None:
    play(
        on_websocket()
        << shows(deadline=45.0)
        >> at(25)
        >> arrives("2")
        << frame("3")
        << shows(deadline=70.0)
        >> at(50)
        >> arrives("2data")
        << frame("3")
        << shows(deadline=95.0)
    )


def test_other_traffic_does_not_move_the_deadline() -> None:
    play(on_websocket() >> at(30) >> arrives("4a") << gets("a") >> arrives("6") << shows(deadline=45.0))


@pytest.mark.parametrize("text", ["3", "3probe", "5"])
def test_a_pong_or_an_upgrade_is_reported_and_ignored(text: str) -> None:
    conn = play(on_websocket())
    (event,) = feed(conn, arrives(text), 0.0)
    assert isinstance(event, PacketIgnored)
    play(Script(conn) >> arrives("4a") << gets("a"))


def test_a_close_packet_from_the_server_closes_the_socket_from_our_side() -> None:
    play(
        on_websocket()
        >> arrives("1")
        << hang_up()
        << ends(CloseReason.SERVER_CLOSE)
        << shows(SessionState.CLOSED)
        >> arrives("4late")
        >> WebSocketClosed(1, None)
    )


@pytest.mark.parametrize("code", [None, 1000, 1005, 1006, 1009])
def test_a_socket_that_the_server_closes_ends_the_session(code: int | None) -> None:
    play(on_websocket() >> WebSocketClosed(1, code, "why") << ends_somehow(CloseReason.TRANSPORT_CLOSE) << shows(SessionState.CLOSED))


def test_a_socket_that_breaks_ends_the_session() -> None:
    play(on_websocket() >> WebSocketFailed(1, Cause.CONNECTION_LOST, "reset") << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST))


@pytest.mark.parametrize(
    ("data", "cause"), [("", Cause.EMPTY_PACKET), ("9", Cause.UNKNOWN_PACKET_TYPE), ("b!", Cause.BAD_BASE64), (OPEN, Cause.UNEXPECTED_OPEN)]
)
def test_a_frame_that_is_no_packet_ends_the_session(data: str, cause: Cause) -> None:
    play(on_websocket() >> arrives(data) << frame("1") << hang_up() << ends(CloseReason.PARSE_ERROR, cause))


def test_leaving_says_so_and_closes_at_once() -> None:
    play(on_websocket() >> Close(("bye", b"\x01")) << frame("4bye") << frame(b"\x01") << frame("1") << hang_up() << ends(CloseReason.CLIENT_CLOSE))


@pytest.mark.parametrize("number", [0, 2, 7])
def test_what_comes_from_other_sockets_is_ignored(number: int) -> None:
    play(
        on_websocket()
        >> arrives("4x", number)
        >> WebSocketClosed(number, 1000)
        >> WebSocketOpened(number)
        >> answer(number, "4x")
        << shows(SessionState.OPEN)
    )


# --- The handshake that is none.


@pytest.mark.parametrize("data", ["4a", "2", "6", "3probe", "", "9", b"\x00", "0", "0{}", "0[]", "<html>"])
def test_a_session_cannot_begin_with_another_frame(data: str | bytes) -> None:
    conn = play(joining())
    first, closed = feed(conn, arrives(data), 0.1)
    assert first == hang_up()
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert conn.state is SessionState.CLOSED


def test_a_server_may_refuse_by_closing_with_its_first_frame() -> None:
    play(joining() >> arrives("1") << hang_up() << ends_somehow(CloseReason.SERVER_CLOSE))


def test_a_refused_handshake_keeps_the_evidence() -> None:
    conn = play(websocket_only() >> Connect() << websocket(1, upgrade=False))
    (closed,) = feed(conn, WebSocketRefused(1, 400, (("content-type", "text/html"),), b"Bad request"), 0.1)
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert (closed.error.status, closed.error.body) == (400, b"Bad request")


@pytest.mark.parametrize(
    ("happening", "cause"),
    [
        (WebSocketFailed(1, Cause.CONNECT_REFUSED, "no one there"), Cause.CONNECT_REFUSED),
        (WebSocketFailed(1, Cause.TLS_FAILED, "no trust"), Cause.TLS_FAILED),
    ],
)
def test_a_handshake_that_fails_on_the_network_keeps_the_cause(happening: Input, cause: Cause) -> None:
    play(websocket_only() >> Connect() << websocket(1, upgrade=False) >> happening << ends(CloseReason.TRANSPORT_ERROR, cause))


def test_a_socket_that_closes_before_the_open_packet_ends_the_connection() -> None:
    play(joining() >> WebSocketClosed(1, 1000) << ends_somehow(CloseReason.TRANSPORT_CLOSE))


@pytest.mark.parametrize("start", [joining, lambda: websocket_only() >> Connect() << websocket(1, upgrade=False)])
def test_a_handshake_without_an_open_packet_ends_in_time(start: object) -> None:
    assert callable(start)
    play(start() >> at(20) >> TimePassed() << hang_up() << ends(CloseReason.TRANSPORT_ERROR, Cause.OPEN_TIMEOUT))


def test_a_message_larger_than_the_server_accepts_is_refused_on_a_websocket_too() -> None:
    conn = play(joining())
    conn.process(arrives(OPEN.replace("1000000", "10")), 0.0)
    play(
        Script(conn)
        >> SendMessages(("x" * 10,))
        << refuses(Cause.PAYLOAD_TOO_LARGE)
        >> SendMessages(("x" * 9, b"x" * 10))
        << frame("4" + "x" * 9)
        << frame(b"x" * 10)
    )


def test_no_error_shows_the_session_id() -> None:
    conn = play(on_websocket())
    closed = feed(conn, WebSocketFailed(1, Cause.CONNECTION_LOST, "reset"))[-1]
    assert isinstance(closed, Closed)
    assert SID not in str(closed.error)
    assert SID not in repr(vars(closed.error))
