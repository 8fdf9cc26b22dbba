"""Scripts: packets with attachments, packets that are none, and both across the upgrade.

A packet with bytes in it is a text message and as many binary messages behind it. Whatever carries them, and whatever control packets come in
between, they are put together above the transport. A message that cannot be read ends the session, with everything in front of it delivered and
nothing behind it looked at; and although one input may bring the messages, the fault and commands for the driver all at once, the commands leave in
the order in which they came and `Closed` is the last word.
"""

from __future__ import annotations

from base64 import b64encode

import pytest

from engineio_lite.causes import Cause
from engineio_lite.events import Upgraded
from engineio_lite.exceptions import DecodeError
from engineio_lite.inputs import Close, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import CallAnswered, NamespaceLeft
from engineio_lite.socketio.inputs import Acknowledge, Emit, LeaveNamespace
from engineio_lite.socketio.packet import PacketType
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState
from tests.core.script import NO_UPGRADE, answer, arrives, at, drop_requests, frame, hang_up, ok, opened, poll, post
from tests.socketio.script import (
    Script,
    asked,
    ends,
    error_of,
    event,
    failed,
    grant,
    granted,
    ignored,
    joined,
    live,
    pausing,
    play,
    shows,
    tell,
    upgrade_fails,
    wanting,
)


def text(data: bytes) -> str:
    """A binary message as a polling body carries it."""
    return "b" + b64encode(data).decode()


HEADER = '452-["file",{"a":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]'
FILE = event("file", {"a": b"\x01\x02"}, b"\x03")
FIRST, SECOND = text(b"\x01\x02"), text(b"\x03")

# --- Attachments that arrive.


def test_an_event_with_attachments_arrives_whole() -> None:
    play(joined("/") >> answer(4, HEADER, FIRST, SECOND, '42["after"]') << FILE << event("after") << poll(5))


@pytest.mark.parametrize("bodies", [[[HEADER], [FIRST], [SECOND]], [[HEADER, FIRST], [SECOND]], [[HEADER], [FIRST, SECOND]]])
def test_attachments_may_be_spread_over_poll_bodies(bodies: list[list[str]]) -> None:
    script = joined("/")
    for number, body in enumerate(bodies, 4):
        script = script >> answer(number, *body)
        script = script << FILE << poll(number + 1) if number - 3 == len(bodies) else script << poll(number + 1)
    play(script)


def test_control_packets_may_stand_between_a_packet_and_its_attachments() -> None:
    play(
        joined("/")
        >> answer(4, '42["before"]', HEADER, "6", FIRST, "2")
        << event("before")
        << post(5, "3")
        << poll(6)
        >> ok(5)
        >> answer(6, "6", SECOND)
        << FILE
        << poll(7)
    )


def test_control_packets_may_stand_between_on_a_websocket_too() -> None:
    play(live("/") >> arrives(HEADER) >> arrives("2") << frame("3") >> arrives(b"\x01\x02") >> arrives("6") >> arrives(b"\x03") << FILE)


def test_attachments_may_come_as_text_on_a_websocket() -> None:
    play(live("/") >> arrives(HEADER) >> arrives(FIRST) >> arrives(b"\x03") << FILE)


def test_an_early_event_may_have_attachments() -> None:
    play(asked("/") >> ok(2) >> answer(3, HEADER, FIRST, SECOND, grant()) << granted() << FILE << poll(4))


def test_attachments_of_an_event_for_nobody_go_where_it_goes() -> None:
    play(
        joined("/")
        >> answer(4, '451-/x,["file",{"_placeholder":true,"num":0}]', FIRST, '42["after"]')
        << ignored(PacketType.EVENT, ["file", b"\x01\x02"], "/x", why="not joined")
        << event("after")
        << poll(5)
    )


def test_an_answer_may_have_attachments() -> None:
    play(
        live("/")
        >> Emit("x", call=1)
        << frame('420["x"]')
        >> arrives('461-0[{"_placeholder":true,"num":0}]')
        >> arrives(b"\x09")
        << CallAnswered(1, [b"\x09"])
    )


# --- Attachments that leave.


def test_bytes_at_any_depth_leave_as_attachments_behind_their_event() -> None:
    play(
        joined("/", "/a")
        >> Emit("file", ({"a": b"\x01\x02"}, b"\x03"), "/a", call=1)
        << post(5, '452-/a,0["file",{"a":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]', FIRST, SECOND)
    )


def test_an_answer_of_ours_may_have_attachments() -> None:
    play(
        live("/")
        >> arrives('423["ask"]')
        << event("ask", ack_id=3)
        >> Acknowledge(3, (bytearray(b"\x01"), memoryview(b"\x02")))
        << frame('462-3[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        << frame(b"\x01")
        << frame(b"\x02")
    )


def test_attachments_wait_behind_their_event_and_split_over_posts_where_they_must() -> None:
    play(
        joined("/", limits=Limits(max_packets_per_post=2))
        >> Emit("e", (b"\x01\x02", b"\x03"))
        << post(5, '452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', FIRST)
        >> Emit("then")
        >> ok(5)
        << post(6, SECOND, '42["then"]')
    )


# --- Over the upgrade.


def test_a_packet_may_begin_by_polling_and_end_on_the_websocket() -> None:
    play(
        pausing("/")
        >> answer(4, '42["last by polling"]', HEADER, FIRST)
        << event("last by polling")
        << frame("5")
        << Upgraded()
        >> arrives("6")
        >> arrives(b"\x03")
        << FILE
        >> arrives('42["first by websocket"]')
        << event("first by websocket")
    )


def test_what_is_emitted_in_the_pause_leaves_on_the_websocket_with_its_attachments() -> None:
    play(
        pausing("/")
        >> Emit("file", ({"a": b"\x01\x02"}, b"\x03"))
        >> Emit("then", call=1)
        >> answer(4, "6")
        << frame("5")
        << frame(HEADER)
        << frame(b"\x01\x02")
        << frame(b"\x03")
        << frame('420["then"]')
        << Upgraded()
        >> arrives("430[]")
        << CallAnswered(1, [])
    )


def test_a_call_is_answered_over_whichever_transport() -> None:
    play(
        joined("/", upgrades=("websocket",))
        >> Emit("x", call=1)
        << post(5, '420["x"]')
        >> WebSocketOpened(1)
        << frame("2probe")
        >> ok(5)
        >> arrives("3probe")
        >> answer(4, "6")
        << frame("5")
        << Upgraded()
        >> arrives('430["yes"]')
        << CallAnswered(1, ["yes"])
    )


def test_when_the_upgrade_fails_nothing_of_a_packet_is_lost() -> None:
    play(
        pausing("/")
        >> Emit("held")
        >> WebSocketClosed(1, 1006)
        << upgrade_fails(Cause.WEBSOCKET_CLOSED)
        << post(5, '42["held"]')
        >> answer(4, HEADER, FIRST)
        << poll(6)
        >> answer(6, SECOND)
        << FILE
        << poll(7)
    )


def test_a_goodbye_in_the_last_body_before_the_upgrade_is_followed_through_on_the_websocket() -> None:
    """The engine says ``41``, `5` and `Upgraded` in one breath; our close comes behind them and `Closed` last."""
    play(
        pausing("/")
        >> Emit("held", call=1)
        >> answer(4, '42["bye"]', "41")
        << event("bye")
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        << frame("5")
        << frame('420["held"]')
        << Upgraded()
        << frame("1")
        << hang_up()
        << ends(CloseReason.SERVER_DISCONNECT)
        << shows(SessionState.CLOSED)
    )


def test_a_fault_in_the_last_body_before_the_upgrade_closes_the_websocket_that_was_just_taken() -> None:
    play(
        pausing("/")
        >> answer(4, '42["good"]', "42nonsense", '42["never"]')
        << event("good")
        << frame("5")
        << Upgraded()
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON)
    )


def test_leaving_in_the_middle_of_an_upgrade_goes_by_polling() -> None:
    script = joined("/", upgrades=("websocket",)) >> WebSocketOpened(1) << frame("2probe") >> LeaveNamespace()
    script = script << post(5, "41") << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT) << frame("6") << hang_up()
    connection = play(script >> ok(5) << post(6, "1") >> ok(6) << drop_requests() << ends(CloseReason.CLIENT_DISCONNECT))
    assert (connection.transport, connection.upgrade_state) == (Transport.POLLING, UpgradeState.FAILED)


# --- What cannot be read.

FAULTS = [
    ("4", Cause.EMPTY_PACKET),
    ("49", Cause.UNKNOWN_PACKET_TYPE),
    ("42", Cause.MISSING_PAYLOAD),
    ("42{}", Cause.BAD_PAYLOAD),
    ("42[]", Cause.BAD_EVENT_NAME),
    ("42[true]", Cause.BAD_EVENT_NAME),
    ('42["connect"]', Cause.RESERVED_EVENT),
    ('42["a"', Cause.BAD_JSON),
    ('42["a",NaN]', Cause.BAD_NUMBER),
    ("42" + "[" * 101 + "]" * 101, Cause.TOO_DEEP),
    ('42/a["no comma"]', Cause.MISSING_PAYLOAD),
    ("43[]", Cause.MISSING_ACK_ID),
    ("40[]", Cause.BAD_PAYLOAD),
    ("400", Cause.UNEXPECTED_ACK_ID),
    ("44", Cause.MISSING_PAYLOAD),
    ("45-[]", Cause.BAD_ATTACHMENT_COUNT),
    ("4511-[]", Cause.TOO_MANY_ATTACHMENTS),
    ("bAA==", Cause.UNEXPECTED_BINARY),
]


@pytest.mark.parametrize(("packet", "cause"), FAULTS)
def test_by_polling_what_came_before_a_fault_is_delivered_and_nothing_behind_it(packet: str, cause: Cause) -> None:
    outputs = tell(
        joined("/")
        >> answer(4, '42["one"]', '42["two"]', packet, '42["never"]', "41")
        << event("one")
        << event("two")
        << poll(5)
        << drop_requests()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, cause)
        << shows(SessionState.CLOSED)
    )
    error = error_of(outputs)
    assert isinstance(error, DecodeError)
    assert (error.code, error.layer) == (cause, "socketio-packet")


@pytest.mark.parametrize(("packet", "cause"), FAULTS)
def test_on_a_websocket_a_fault_is_followed_by_our_goodbye(packet: str, cause: Cause) -> None:
    play(
        live("/")
        >> arrives('42["one"]')
        << event("one")
        >> arrives(packet)
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, cause)
        >> arrives('42["never"]')
        << shows(SessionState.CLOSED)
    )


@pytest.mark.parametrize(
    ("packets", "cause"),
    [
        ([HEADER, '42["text"]'], Cause.TEXT_WHILE_RECONSTRUCTING),
        ([HEADER, FIRST, "41"], Cause.TEXT_WHILE_RECONSTRUCTING),
        (['451-["e",{"_placeholder":true,"num":1}]', FIRST], Cause.BAD_PLACEHOLDER),
        (['451-["e",{"_placeholder":true,"num":-1}]', FIRST], Cause.BAD_PLACEHOLDER),
    ],
)
def test_faults_of_attachments_end_the_session(packets: list[str], cause: Cause) -> None:
    left = NamespaceLeft("/", CloseReason.PARSE_ERROR)
    play(
        joined("/")
        >> answer(4, '42["one"]', *packets, '42["never"]')
        << event("one")
        << poll(5)
        << drop_requests()
        << left
        << ends(CloseReason.PARSE_ERROR, cause)
    )


def test_attachments_are_bounded_in_bytes() -> None:
    play(
        live("/", limits=Limits(max_attachment_bytes=10))
        >> arrives('452-["e"]')
        >> arrives(b"\x00" * 6)
        >> arrives(b"\x00" * 5)
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.ATTACHMENTS_TOO_LARGE)
    )


def test_the_limits_of_the_connection_are_those_of_its_decoder() -> None:
    play(
        live("/", limits=Limits(max_depth=2))
        >> arrives('42["a",[1]]')
        << event("a", [1])
        >> arrives('42["a",[[1]]]')
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.TOO_DEEP)
    )


def test_a_fault_of_the_engine_below_comes_after_the_messages_before_it() -> None:
    play(
        joined("/")
        >> answer(4, '42["one"]', "9")
        << event("one")
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.UNKNOWN_PACKET_TYPE)
    )


def test_the_first_of_two_faults_is_the_one_that_is_told() -> None:
    left = NamespaceLeft("/", CloseReason.PARSE_ERROR)
    play(joined("/") >> answer(4, "42nonsense", "9") << left << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON))
    play(joined("/") >> answer(4, "42nonsense", "42[]", "1") << left << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON))


def test_a_fault_right_behind_the_open_packet_ends_the_session_after_it_opened() -> None:
    play(
        wanting("/")
        >> answer(1, NO_UPGRADE, '40{"sid":"s"}', "42nonsense", '42["never"]')
        << opened(upgrades=())
        << granted(sid="s")
        << post(2, "40")
        << poll(3)
        << drop_requests()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON, unsent=1)
    )


def test_a_fault_while_the_session_leaves_still_ends_it() -> None:
    play(
        joined("/")
        >> Close()
        << post(5, "41", "1")
        >> answer(4, '42["one"]', "42nonsense")
        << event("one")
        << drop_requests()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON, unsent=1)
    )


def test_calls_fail_because_of_a_fault_and_say_so() -> None:
    outputs = tell(
        live("/")
        >> Emit("x", call=1)
        << frame('420["x"]')
        >> arrives("430{}")
        << frame("1")
        << hang_up()
        << failed(1, Cause.CLOSED)
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << ends(CloseReason.PARSE_ERROR, Cause.BAD_PAYLOAD)
    )
    assert error_of(outputs[:-2]).__cause__ is error_of(outputs)


# --- The end with a packet half there.


def _half() -> Script:
    return live("/") >> arrives(HEADER) >> arrives(b"\x01\x02")


def test_a_packet_that_is_half_there_when_the_line_breaks_is_dropped() -> None:
    left = NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    play(_half() >> WebSocketClosed(1, 1001) << left << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED) >> arrives(b"\x03"))


def test_a_packet_that_is_half_there_when_the_server_is_silent_is_dropped() -> None:
    left = NamespaceLeft("/", CloseReason.PING_TIMEOUT)
    play(_half() >> at(45.0) >> TimePassed() << hang_up() << left << ends(CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT))
