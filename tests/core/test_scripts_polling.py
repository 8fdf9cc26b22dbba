"""Scripts: a session that travels by long-polling."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, PacketIgnored
from engineio_lite.exceptions import LocalProtocolError, PayloadTooLarge
from engineio_lite.inputs import Connect, RequestFailed, ResponseReceived, SendMessages, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.packet import Packet, PacketType
from engineio_lite.state import CloseReason, SessionState, Transport
from tests.core.script import (
    NO_UPGRADE,
    OPEN,
    PLAIN_TEXT,
    SID,
    answer,
    at,
    connection,
    drop_requests,
    ends,
    feed,
    gets,
    just_opened,
    ok,
    opened,
    play,
    poll,
    polled,
    polling,
    post,
    refuses,
    shows,
)


def test_the_session_opens_with_the_first_answer() -> None:
    play(
        polling(transports=("polling",))
        >> Connect()
        << poll(1)
        << shows(SessionState.OPENING, deadline=20.0)
        >> at(0.1)
        >> answer(1, OPEN)
        << opened()
        << shows(SessionState.OPEN, transport=Transport.POLLING, deadline=0.1)
    )


def test_packets_behind_the_open_packet_are_delivered_after_it() -> None:
    play(
        polling()
        >> Connect()
        << poll(1)
        >> answer(1, NO_UPGRADE, "4one", "btwo=", "4")
        << opened(upgrades=())
        << gets("one")
        << gets(b"\xb7\x0a")
        << gets("")
    )


def test_the_first_poll_goes_alone_when_the_application_says_nothing() -> None:
    play(just_opened() >> TimePassed() << poll(2) << shows(deadline=45.0))


def test_what_the_application_says_first_goes_ahead_of_the_first_poll() -> None:
    play(just_opened() >> SendMessages(("hello",)) << post(2, "4hello") << poll(3) << shows(deadline=20.0))


@pytest.mark.parametrize(("took", "lead"), [(0.02, 0.001), (10.0, 0.005)])
def test_the_first_post_has_a_lead_of_a_twentieth_of_the_opening_and_never_much(took: float, lead: float) -> None:
    play(
        polling()
        >> Connect()
        << poll(1)
        >> at(took)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        >> SendMessages(("hello",))
        << post(2, "4hello")
        << shows(deadline=took + lead)
        >> at(took + lead)
        >> TimePassed()
        << poll(3)
        >> SendMessages(("more",))
        << shows(deadline=took + 20.0)
    )


@pytest.mark.parametrize("message", [bytearray(b"x"), memoryview(b"x"), 5, None, ["x"]])
def test_a_message_is_text_or_bytes_and_nothing_else(message: object) -> None:
    play(polled() >> SendMessages((message,)) << refuses(Cause.BAD_MESSAGE))  # type: ignore[arg-type]  # the point


def test_messages_are_delivered_verbatim_and_the_next_poll_follows_them() -> None:
    play(
        polled()
        >> answer(2, '4{"a":1}', "4true", "b" + base64.b64encode(b"\x00\xff").decode())
        << gets('{"a":1}')
        << gets("true")
        << gets(b"\x00\xff")
        << poll(3)
    )


def test_a_poll_may_bring_any_number_of_packets() -> None:
    script = polled() >> answer(2, *(f"4{number}" for number in range(40)))
    play(script + [gets(str(number)) for number in range(40)] << poll(3))


def test_messages_that_are_sent_while_a_post_is_in_flight_go_together_into_the_next_one() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b", b"\x01"))
        << shows(buffered_packets=2)
        >> SendMessages(("c",))
        >> ok(3)
        << post(4, "4b", "bAQ==", "4c")
        << shows(buffered_packets=0)
        >> ok(4)
    )


def test_a_post_holds_sixteen_packets_and_no_more() -> None:
    play(
        polled()
        >> SendMessages(tuple(str(number) for number in range(40)))
        << post(3, *(f"4{number}" for number in range(16)))
        >> ok(3)
        << post(4, *(f"4{number}" for number in range(16, 32)))
        >> ok(4)
        << post(5, *(f"4{number}" for number in range(32, 40)))
        >> ok(5)
    )


def test_the_number_of_packets_in_a_post_is_an_option() -> None:
    play(polled(limits=Limits(max_packets_per_post=2)) >> SendMessages(("a", "b", "c")) << post(3, "4a", "4b") >> ok(3) << post(4, "4c") >> ok(4))


def test_a_post_is_exactly_as_large_as_the_server_accepts() -> None:
    # Each text costs its bytes plus one, each further packet one for the separator: 5 + 1 + 4 = 10.
    play(polled(max_payload=10) >> SendMessages(("aaaa", "bbb", "c")) << post(3, "4aaaa", "4bbb") >> ok(3) << post(4, "4c") >> ok(4))


def test_one_byte_more_than_the_server_accepts_goes_into_the_next_post() -> None:
    play(polled(max_payload=9) >> SendMessages(("aaaa", "bbb", "c")) << post(3, "4aaaa") >> ok(3) << post(4, "4bbb", "4c") >> ok(4))


def test_bytes_of_utf8_count_and_base64_counts_with_its_padding() -> None:
    play(
        polled(max_payload=9)
        >> SendMessages(("€€", b"\x00" * 6, "é"))
        << post(3, "4€€")
        >> ok(3)
        << post(4, "bAAAAAAAA")
        >> ok(4)
        << post(5, "4é")
        >> ok(5)
    )


def test_a_server_that_announces_no_maximum_gets_posts_of_sixteen_packets() -> None:
    text = "x" * 4000
    play(polled(max_payload=None) >> SendMessages((text,) * 17) << post(3, *("4" + text,) * 16) >> ok(3) << post(4, "4" + text) >> ok(4))


@pytest.mark.parametrize("max_payload", [None, 1_000_000])
def test_what_fills_a_bundle_by_itself_goes_alone(max_payload: int | None) -> None:
    """A python-engineio server on aiohttp cuts a body off that does not reach it in one read, and says OK: then one message is lost, not sixteen."""
    half, long = "h" * 40_000, "l" * 100_000
    play(
        polled(max_payload=max_payload)
        >> SendMessages(("a", long, half, half, "b"))
        << post(3, "4a")
        >> ok(3)
        << post(4, "4" + long)
        >> ok(4)
        << post(5, "4" + half)
        >> ok(5)
        << post(6, "4" + half, "4b")
        >> ok(6)
    )


@pytest.mark.parametrize(("message", "size"), [("x" * 10, 11), ("€€€x", 11), (b"\x00" * 7, 13)])
def test_a_message_that_is_too_large_by_itself_is_refused_with_its_size(message: str | bytes, size: int) -> None:
    conn = play(polled(max_payload=10))
    with pytest.raises(PayloadTooLarge) as caught:
        conn.process(SendMessages(("fits", message)), 0.0)
    assert (caught.value.size, caught.value.limit, caught.value.cause) == (size, 10, Cause.PAYLOAD_TOO_LARGE)
    assert (conn.buffered, conn.buffered_packets) == (0, 0)
    assert [output.body for output in feed(conn, SendMessages(("fits",)), 0.0) if isinstance(output, Post)] == [b"4fits"]


def test_a_ping_is_answered_by_a_post_and_the_poll_goes_on() -> None:
    play(polled() >> at(25) >> answer(2, "2") << post(3, "3") << poll(4) << shows(deadline=45.0) >> ok(3) << shows(deadline=70.0))


def test_a_pong_goes_ahead_of_the_messages_that_wait() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b",))
        >> answer(2, "2")
        << poll(4)
        >> SendMessages(("c",))
        >> ok(3)
        << post(5, "3", "4b", "4c")
    )


def test_a_pong_counts_among_the_sixteen_packets_and_the_bytes() -> None:
    play(
        polled(max_payload=10)
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("12345678",))
        >> answer(2, "2")
        << poll(4)
        >> ok(3)
        << post(5, "3")
        >> ok(5)
        << post(6, "412345678")
        >> SendMessages(("x",) * 17)
        >> answer(4, "2")
        << poll(7)
        >> ok(6)
        << post(8, "3", "4x", "4x", "4x")
    )


def test_a_flood_of_pings_makes_one_pong() -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> answer(2, *["2"] * 50)
        << poll(4)
        >> answer(4, *["2"] * 50, "4x")
        << gets("x")
        << poll(5)
        >> ok(3)
        << post(6, "3")
        >> ok(6)
    )


def test_a_ping_with_data_is_answered_with_a_bare_pong() -> None:
    play(polled() >> answer(2, "2whatever" + "x" * 100) << post(3, "3") << poll(4))


def test_noops_mean_nothing() -> None:
    play(polled() >> answer(2, "6", "4a", "6") << gets("a") << poll(3) >> answer(3, "6") << poll(4))


@pytest.mark.parametrize(("text", "type_"), [("3", PacketType.PONG), ("3probe", PacketType.PONG), ("5", PacketType.UPGRADE)])
def test_a_pong_or_an_upgrade_from_the_server_is_reported_and_ignored(text: str, type_: PacketType) -> None:
    conn = play(polled())
    first, second, third = feed(conn, answer(2, text, "4a"), 0.0)
    assert isinstance(first, PacketIgnored)
    assert first.packet == Packet(type_, text[1:])
    assert first.why
    assert (second, third) == (gets("a"), poll(3))


def test_an_empty_answer_is_no_error_and_the_next_poll_waits_a_little() -> None:
    play(
        polled()
        >> at(1.0)
        >> ResponseReceived(2, 200, PLAIN_TEXT, b"")
        << shows(SessionState.OPEN, deadline=1.25)
        >> at(1.25)
        >> TimePassed()
        << poll(3)
    )


def test_text_with_a_record_separator_cannot_travel_by_polling() -> None:
    play(
        polled()
        >> SendMessages(("fine", "a\x1eb"))
        << refuses(Cause.SEPARATOR_IN_TEXT)
        << shows(buffered_packets=0)
        >> SendMessages((b"a\x1eb",))
        << post(3, "bYR5i")
    )


def test_text_with_a_lone_surrogate_cannot_travel_at_all() -> None:
    play(polled() >> SendMessages(("fine", "\ud800")) << refuses(Cause.BAD_MESSAGE) << shows(buffered_packets=0))


def test_a_full_buffer_refuses_the_whole_call_and_keeps_what_it_had() -> None:
    play(
        polled(limits=Limits(max_buffered=20))
        >> SendMessages(("in flight",))
        << post(3, "4in flight")
        >> SendMessages(("1234567890",))
        << shows(buffered_packets=1)
        >> SendMessages(("1", "2345678901"))
        << refuses(Cause.SEND_BUFFER_FULL)
        << shows(buffered_packets=1)
        >> ok(3)
        << post(4, "41234567890")
    )


def test_the_buffer_is_bounded_in_packets_too() -> None:
    play(
        polled(limits=Limits(max_buffered_packets=2))
        >> SendMessages(("a",))
        << post(3, "4a")
        >> SendMessages(("b", "c"))
        >> SendMessages(("d",))
        << refuses(Cause.SEND_BUFFER_FULL)
        << shows(buffered_packets=2)
        >> ok(3)
        << post(4, "4b", "4c")
    )


def test_nothing_to_send_is_nothing() -> None:
    play(polled() >> SendMessages(()))


@pytest.mark.parametrize("request_number", [1, 3, 99, 0, -1])
def test_answers_to_requests_that_are_not_in_flight_are_ignored(request_number: int) -> None:
    play(
        polled()
        >> answer(request_number, "4late")
        >> answer(request_number, "", status=500)
        >> RequestFailed(request_number, Cause.CONNECTION_LOST, "late")
        >> answer(2, "4a")
        << gets("a")
        << poll(3)
    )


def test_a_socket_that_was_never_asked_for_is_ignored() -> None:
    play(polled() >> WebSocketOpened(1) >> answer(2, "6") << poll(3))


def test_the_good_packets_before_a_bad_one_are_delivered() -> None:
    play(
        polled()
        >> answer(2, "4one", "4two", "9bad", "4never")
        << gets("one")
        << gets("two")
        << ends(CloseReason.PARSE_ERROR, Cause.UNKNOWN_PACKET_TYPE)
    )


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"4a\x1e", Cause.EMPTY_PACKET),
        (b"4a\x1eb!!!", Cause.BAD_BASE64),
        (b"4a\x1e4\xff", Cause.BAD_UTF8),
        (b"4a\x1e<html>", Cause.UNKNOWN_PACKET_TYPE),
        ("4a\x1e４x".encode(), Cause.UNKNOWN_PACKET_TYPE),
    ],
)
def test_a_body_that_is_no_payload_ends_the_session_with_what_is_wrong_with_it(body: bytes, cause: Cause) -> None:
    play(polled() >> ResponseReceived(2, 200, PLAIN_TEXT, body) << gets("a") << ends(CloseReason.PARSE_ERROR, cause) << shows(SessionState.CLOSED))


def test_a_second_open_packet_ends_the_session() -> None:
    play(polled() >> answer(2, "4a", OPEN, "4b") << gets("a") << ends(CloseReason.PARSE_ERROR, Cause.UNEXPECTED_OPEN))


def test_a_close_packet_ends_the_session_and_what_follows_it_is_nothing() -> None:
    play(polled() >> answer(2, "4a", "1", "4b", OPEN, "9") << gets("a") << ends(CloseReason.SERVER_CLOSE) << shows(SessionState.CLOSED))


def test_closed_counts_what_was_not_confirmed() -> None:
    play(
        polled()
        >> SendMessages(("in flight", "too"))
        << post(3, "4in flight", "4too")
        >> SendMessages(("waiting",))
        >> answer(2, "1")
        << drop_requests()
        << ends(CloseReason.SERVER_CLOSE, unsent=3)
        << shows(SessionState.CLOSED, buffered_packets=0)
    )


def test_closed_remembers_the_last_packets_each_way() -> None:
    conn = play(polled() >> SendMessages(("a", "b")) << post(3, "4a", "4b") >> ok(3))
    feed(conn, answer(2, *(f"4{number}" for number in range(9))))
    closed = feed(conn, answer(4, "2", "1"), 1.0)[-1]
    assert isinstance(closed, Closed)
    messages = tuple(Packet(PacketType.MESSAGE, str(number)) for number in range(6, 9))
    assert closed.last_received == (*messages, Packet(PacketType.PING), Packet(PacketType.CLOSE))
    assert closed.last_sent == (Packet(PacketType.MESSAGE, "a"), Packet(PacketType.MESSAGE, "b"))


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b'{"code":1,"message":"Session ID unknown"}', Cause.SESSION_UNKNOWN),
        (400, b'{"code":3,"message":"Bad request"}', Cause.BAD_REQUEST),
        (502, b"<html>", Cause.GATEWAY_ERROR),
    ],
)
@pytest.mark.parametrize("request_number", [2, 3])
def test_a_refused_get_or_post_ends_the_session_with_its_cause(request_number: int, status: int, body: bytes, cause: Cause) -> None:
    conn = play(polled() >> SendMessages(("a",)) << post(3, "4a"))
    outputs = feed(conn, ResponseReceived(request_number, status, (("content-type", "application/json"),), body), 1.0)
    closed = outputs[-1]
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert (closed.reason, closed.error.cause, closed.error.status, closed.unsent) == (CloseReason.TRANSPORT_ERROR, cause, status, 1)
    assert SID not in str(closed.error)
    assert outputs[:-1] == [drop_requests()]


@pytest.mark.parametrize("request_number", [2, 3])
def test_a_lost_get_or_post_ends_the_session(request_number: int) -> None:
    play(
        polled()
        >> SendMessages(("a",))
        << post(3, "4a")
        >> RequestFailed(request_number, Cause.CONNECTION_LOST, "connection reset")
        << drop_requests()
        << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST, unsent=1)
    )


def test_urls_say_version_transport_and_session_and_keep_the_users_query() -> None:
    conn = EngineIOConnection("http://host:8000/path/?user=a%20b", transports=("polling", "websocket"))
    urls = [output.url for output in conn.process(Connect(), 0.0) if isinstance(output, Poll)]
    conn.process(answer(1, OPEN), 0.0)
    urls += [output.url for output in conn.process(TimePassed(), 0.0) if isinstance(output, Poll | OpenWebSocket)]
    queries = [parse_qs(urlsplit(url).query) for url in urls]
    assert [{name: value for name, value in query.items() if name != "t"} for query in queries] == [
        {"user": ["a b"], "EIO": ["4"], "transport": ["polling"]},
        {"user": ["a b"], "EIO": ["4"], "transport": ["polling"], "sid": [SID]},
        {"user": ["a b"], "EIO": ["4"], "transport": ["websocket"], "sid": [SID]},
    ]
    assert {urlsplit(url).path for url in urls} == {"/path/"}
    assert [urlsplit(url).netloc for url in urls] == ["host:8000"] * 3


def test_a_token_distinguishes_the_requests_of_a_connection() -> None:
    conn = EngineIOConnection("http://host/engine.io/", transports=("polling",), token="abc")
    first = conn.process(Connect(), 0.0)
    conn.process(answer(1, NO_UPGRADE), 0.0)
    second = conn.process(TimePassed(), 0.0)
    tokens = [parse_qs(urlsplit(output.url).query)["t"][0] for output in (*first, *second) if isinstance(output, Poll)]
    assert len(set(tokens)) == 2
    assert all("abc" in token for token in tokens)


# --- The handshake that is none.


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (200, b"", Cause.EMPTY_RESPONSE),
        (200, b"<!doctype html><html>", Cause.HTML_RESPONSE),
        (200, b"hello", Cause.NOT_ENGINEIO),
        (200, b'97:0{"sid":"x"}', Cause.LOOKS_LIKE_EIO3),
        (200, b"0{", Cause.BAD_HANDSHAKE),
        (200, b'0{"upgrades":[],"pingInterval":1,"pingTimeout":1}', Cause.MISSING_SID),
        (400, b'{"code":5,"message":"Unsupported protocol version"}', Cause.UNSUPPORTED_VERSION),
        (502, b"Bad Gateway", Cause.GATEWAY_ERROR),
    ],
)
def test_a_wrong_answer_to_the_handshake_ends_the_connection_with_its_own_cause(status: int, body: bytes, cause: Cause) -> None:
    conn = play(polling() >> Connect() << poll(1))
    outputs = feed(conn, ResponseReceived(1, status, PLAIN_TEXT, body), 0.1)
    closed = outputs[-1]
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert closed.error.cause == cause
    assert outputs[:-1] == []
    assert conn.state is SessionState.CLOSED


@pytest.mark.parametrize("text", ["4a", "2", "6", "3probe"])
def test_a_session_cannot_begin_with_another_packet(text: str) -> None:
    conn = play(polling() >> Connect() << poll(1))
    (closed,) = feed(conn, answer(1, text, OPEN), 0.1)
    assert isinstance(closed, Closed)
    assert closed.error is not None


def test_a_server_may_refuse_by_closing_in_its_first_answer() -> None:
    conn = play(polling() >> Connect() << poll(1))
    (closed,) = feed(conn, answer(1, "1"), 0.1)
    assert isinstance(closed, Closed)
    assert closed.reason is CloseReason.SERVER_CLOSE


def test_a_handshake_without_an_answer_ends_in_time() -> None:
    play(polling() >> Connect() << poll(1) >> at(20) >> TimePassed() << drop_requests() << ends(CloseReason.TRANSPORT_ERROR, Cause.OPEN_TIMEOUT))


def test_a_handshake_that_fails_on_the_network_keeps_the_cause() -> None:
    play(
        polling()
        >> Connect()
        << poll(1)
        >> RequestFailed(1, Cause.CONNECT_REFUSED, "no one there")
        << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED)
    )


# --- Misuse.


def test_a_message_before_the_session_is_open_is_refused() -> None:
    play(
        polling()
        >> SendMessages(("a",))
        << refuses(Cause.NOT_OPEN)
        << shows(SessionState.IDLE)
        >> Connect()
        << poll(1)
        >> SendMessages(("a",))
        << refuses(Cause.NOT_OPEN)
        << shows(SessionState.OPENING)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        >> TimePassed()
        << poll(2)
    )


def test_a_connection_connects_once() -> None:
    play(
        polling()
        >> Connect()
        << poll(1)
        >> Connect()
        << refuses(Cause.ALREADY_CONNECTED)
        >> answer(1, OPEN)
        << opened()
        >> Connect()
        << refuses(Cause.ALREADY_CONNECTED)
    )


@pytest.mark.parametrize("transports", [(), ("webtransport",), ("polling", "polling", "smoke")])
def test_transports_that_do_not_exist_are_refused_at_once(transports: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        connection(transports=transports)
    assert caught.value.cause is Cause.BAD_OPTION
