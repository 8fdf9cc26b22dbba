"""Scripts: joining, being refused, leaving, and what the last namespace takes with it.

The rules (Socket.IO protocol revision 5 and what servers were seen to do): CONNECT is the only word a namespace hears before it has answered, and it
goes out before the first poll, which saves a round trip. Events that overtake the answer are kept, delivered right behind it, and dropped if it is a
refusal. Namespaces do not touch each other, until the last of them is gone: then the connection is of no use and closes.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import Poll
from engineio_lite.events import Closed
from engineio_lite.exceptions import ConnectRefused, HandshakeError, LocalProtocolError, PayloadTooLarge, TimedOut
from engineio_lite.inputs import Close, Connect, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import CallFailed, NamespaceConnected, NamespaceLeft
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.packet import PacketType
from engineio_lite.state import CloseReason, NamespaceState, SessionState, Transport, UpgradeState
from tests.core.script import NO_UPGRADE, answer, arrives, at, drop_requests, frame, hang_up, ok, open_packet, opened, poll, post, websocket
from tests.socketio.script import (
    Script,
    asked,
    connection,
    ends,
    error_of,
    event,
    failed,
    fresh,
    grant,
    granted,
    ignored,
    joined,
    live,
    play,
    refused,
    refuses,
    shows,
    tell,
    wanting,
)

CONNECTING, CONNECTED, DISCONNECTED = NamespaceState.CONNECTING, NamespaceState.CONNECTED, NamespaceState.DISCONNECTED

# --- Asking.


def test_the_default_path_is_that_of_socketio_servers() -> None:
    (command,) = SocketIOConnection("http://127.0.0.1:3000").process(Connect(), 0.0)
    assert isinstance(command, Poll)
    assert command.url.startswith("http://127.0.0.1:3000/socket.io/?")


def test_connect_goes_out_in_the_first_post_and_ahead_of_the_first_poll() -> None:
    play(
        fresh()
        >> JoinNamespace()
        << shows(SessionState.IDLE, state=CONNECTING)
        >> Connect()
        << poll(1)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40")
        << poll(3)
        << shows(SessionState.OPEN, state=CONNECTING)
    )


def test_the_auth_payload_goes_with_connect() -> None:
    play(
        fresh()
        >> JoinNamespace(auth={"token": "t", "nested": {"a": [1, None]}})
        >> Connect()
        << poll(1)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, '40{"token":"t","nested":{"a":[1,null]}}')
        << poll(3)
    )


def test_an_empty_auth_is_sent_as_it_is_and_none_as_nothing() -> None:
    play(
        fresh()
        >> JoinNamespace(auth={})
        >> JoinNamespace("/a", auth=None)
        >> Connect()
        << poll(1)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40{}", "40/a,")
        << poll(3)
    )


def test_auth_is_taken_when_it_is_passed_and_not_when_it_is_sent() -> None:
    auth: dict[str, object] = {"token": "then"}
    script = fresh() >> JoinNamespace(auth=auth) >> Connect() << poll(1)
    connection = play(script)
    auth["token"] = "now"
    outputs = connection.process(answer(1, NO_UPGRADE), 0.0)
    assert any(getattr(output, "body", b"") == b'40{"token":"then"}' for output in outputs)


def test_on_a_websocket_connect_follows_the_open_packet_at_once() -> None:
    play(
        fresh(transports=("websocket",))
        >> JoinNamespace(auth={"token": "t"})
        >> JoinNamespace("/a")
        >> Connect()
        << websocket(1, upgrade=False)
        >> WebSocketOpened(1)
        >> arrives(NO_UPGRADE)
        << opened(Transport.WEBSOCKET, upgrades=())
        << frame('40{"token":"t"}')
        << frame("40/a,")
    )


def test_a_namespace_can_be_wanted_while_the_session_opens() -> None:
    play(
        wanting()
        >> JoinNamespace("/late")
        << shows(SessionState.OPENING, namespace="/late", state=CONNECTING)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40/late,")
        << poll(3)
    )


def test_a_session_without_a_namespace_opens_and_waits_to_be_asked_for_one() -> None:
    play(
        wanting()
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        >> TimePassed()
        << poll(2)
        >> JoinNamespace()
        << post(3, "40")
        >> ok(3)
        >> answer(2, grant())
        << granted()
        << poll(4)
    )


@pytest.mark.parametrize("name", ["", "admin", "/a,b", "/a?b=1", "/\ud800"])
def test_a_name_that_servers_would_misread_is_refused(name: str) -> None:
    play(fresh() >> JoinNamespace(name) << refuses(Cause.BAD_NAMESPACE) << shows(namespace=name, state=DISCONNECTED))


def test_bytes_cannot_be_in_an_auth_payload() -> None:
    play(fresh() >> JoinNamespace(auth={"token": b"\x00"}) << refuses(Cause.UNEXPECTED_BINARY) << shows(state=DISCONNECTED))


def test_what_is_no_mapping_cannot_be_an_auth_payload() -> None:
    wish = JoinNamespace(auth=["token"])  # type: ignore[arg-type]  # the point
    with pytest.raises(LocalProtocolError):
        connection().process(wish, 0.0)


def test_a_namespace_is_wanted_once() -> None:
    already = refuses(Cause.ALREADY_CONNECTED)
    play(fresh() >> JoinNamespace() >> JoinNamespace() << already >> Connect() << poll(1) >> JoinNamespace() << already)
    play(asked("/") >> JoinNamespace() << already)
    play(joined("/") >> JoinNamespace() << already << shows(state=CONNECTED))


def test_the_number_of_namespaces_has_a_limit() -> None:
    play(
        fresh(limits=Limits(max_namespaces=2))
        >> JoinNamespace("/a")
        >> JoinNamespace("/b")
        >> JoinNamespace("/c")
        << refuses(Cause.BAD_NAMESPACE)
        << shows(namespace="/c", state=DISCONNECTED)
        >> JoinNamespace("/b")
        << refuses(Cause.ALREADY_CONNECTED)
    )


def test_namespaces_that_were_left_do_not_count_against_the_limit() -> None:
    play(
        live("/", "/a", limits=Limits(max_namespaces=2))
        >> LeaveNamespace("/a")
        << frame("41/a,")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> JoinNamespace("/b")
        << frame("40/b,")
        >> JoinNamespace("/c")
        << refuses(Cause.BAD_NAMESPACE)
    )


def test_joining_and_leaving_ever_new_names_keeps_nothing_but_what_is_joined() -> None:
    script = live("/", limits=Limits(max_namespaces=2))
    for number in range(20):
        name = f"/{number}"
        script = script >> JoinNamespace(name) << frame(f"40{name},") >> arrives(f'40{name},{{"sid":"s"}}') << granted(name, "s")
        script = script >> LeaveNamespace(name) << frame(f"41{name},") << NamespaceLeft(name, CloseReason.CLIENT_DISCONNECT)
    assert play(script).namespace_state("/") is CONNECTED


@pytest.mark.parametrize("first", [Close(), LeaveNamespace()])
def test_a_namespace_cannot_be_joined_once_the_session_leaves(first: Close | LeaveNamespace) -> None:
    script = joined("/") >> first << post(5, "41", "1")
    if isinstance(first, LeaveNamespace):
        script = joined("/") >> first << post(5, "41") << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
    play(script >> JoinNamespace("/a") << refuses(Cause.NOT_OPEN) << shows(SessionState.CLOSING, namespace="/a", state=DISCONNECTED))


# --- The answer.


def test_the_answer_may_bring_a_pid() -> None:
    play(asked("/") >> ok(2) >> answer(3, '40{"sid":"s","pid":"p"}') << granted(sid="s", pid="p") << poll(4))


def test_a_pid_that_is_no_text_is_none() -> None:
    play(asked("/") >> ok(2) >> answer(3, '40{"sid":"s","pid":5}') << granted(sid="s") << poll(4))


def test_several_namespaces_are_answered_in_any_order() -> None:
    play(
        asked("/", "/a", "/b")
        >> ok(2)
        >> answer(3, grant("/b"))
        << granted("/b", "b")
        << poll(4)
        << shows(namespace="/", state=CONNECTING)
        >> answer(4, grant("/"), grant("/a"))
        << granted("/")
        << granted("/a", "a")
        << poll(5)
    )


def test_a_refused_namespace_leaves_the_others_alone() -> None:
    play(
        asked("/", "/a")
        >> ok(2)
        >> answer(3, '44/a,{"message":"no"}', grant("/"))
        << refused("/a")
        << granted("/")
        << poll(4)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
        >> Emit("still here")
        << post(5, '42["still here"]')
    )


@pytest.mark.parametrize(
    ("payload", "message", "data"),
    [
        ('{"message":"not authorized"}', "not authorized", None),
        ('{"message":"not authorized","data":{"code":7}}', "not authorized", {"code": 7}),
        ('{"message":"m","data":[1]}', "m", [1]),
        ('{"data":"alone"}', "", "alone"),
        ('{"message":5}', "", None),
        ("{}", "", None),
        ('"Unable to connect"', "Unable to connect", None),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(payload: str, message: str, data: object) -> None:
    error = error_of(tell(live("/", "/a") >> JoinNamespace("/b") << frame("40/b,") >> arrives(f"44/b,{payload}") << refused("/b")))
    assert isinstance(error, ConnectRefused)
    assert (error.namespace, error.refusal, error.data) == ("/b", message, data)


@pytest.mark.parametrize("payload", ["", "{}", '{"sid":5}', '{"sid":null,"pid":"secret-pid"}'])
def test_an_answer_without_a_sid_comes_from_a_server_of_the_previous_revision(payload: str) -> None:
    outputs = tell(
        asked("/", "/a")
        >> ok(2)
        >> answer(3, f"40{payload}")
        << refused("/", Cause.SOCKETIO_V2)
        << poll(4)
        << shows(SessionState.OPEN, namespace="/", state=DISCONNECTED)
    )
    error = error_of(outputs)
    assert isinstance(error, HandshakeError)
    assert "sid" in str(error)
    assert "secret-pid" not in str(error)


def test_a_server_of_the_previous_revision_speaks_first_and_the_session_ends_for_that() -> None:
    play(
        wanting("/")
        >> answer(1, NO_UPGRADE, "40")
        << opened(upgrades=())
        << refused("/", Cause.SOCKETIO_V2)
        << post(2, "40")
        << poll(3)
        >> ok(2)
        << post(4, "1")
        >> ok(4)
        << drop_requests()
        << ends(CloseReason.SERVER_DISCONNECT, Cause.SOCKETIO_V2)
    )


def test_a_second_answer_is_ignored_visibly() -> None:
    play(
        joined("/")
        >> answer(4, '40{"sid":"other"}', '42["after"]')
        << ignored(PacketType.CONNECT, {"sid": "other"}, why="connected already")
        << event("after")
        << poll(5)
        << shows(state=CONNECTED)
    )


def test_a_server_may_throw_out_a_connected_namespace_with_a_refusal() -> None:
    play(
        live("/", "/a")
        >> Emit("ask", (), "/a", call=1)
        << frame('42/a,0["ask"]')
        >> arrives('44/a,"gone"')
        << failed(1, Cause.NAMESPACE_REFUSED)
        << refused("/a")
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
    )


def test_connect_is_unanswered_when_its_time_is_over() -> None:
    outputs = tell(
        asked("/", "/a", timeouts=Timeouts(namespace=7.5))
        >> ok(2)
        >> answer(3, grant("/"))
        << granted("/")
        << poll(4)
        >> at(7.4)
        >> TimePassed()
        << shows(namespace="/a", state=CONNECTING)
        >> at(7.5)
        >> TimePassed()
        << refused("/a", Cause.CONNECT_UNANSWERED)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
    )
    assert isinstance(error_of(outputs), TimedOut)
    assert "7.5 s" in str(error_of(outputs))


def test_the_time_for_the_answer_begins_with_connect_and_not_with_the_wish() -> None:
    play(
        fresh(timeouts=Timeouts(open=60.0, namespace=5.0))
        >> JoinNamespace()
        >> at(3.0)
        >> Connect()
        << poll(1)
        << shows(deadline=63.0)
        >> at(30.0)
        >> TimePassed()
        << shows(SessionState.OPENING, state=CONNECTING)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40")
        >> at(30.005)  # the lead of the first POST, after an opening that took so long
        >> TimePassed()
        << poll(3)
        >> at(34.9)
        >> TimePassed()
        << shows(SessionState.OPEN, state=CONNECTING)
        >> at(35.0)
        >> TimePassed()
        << refused("/", Cause.CONNECT_UNANSWERED)
    )


def test_the_last_namespace_that_is_unanswered_closes_the_connection_with_that_error() -> None:
    play(
        asked("/", timeouts=Timeouts(namespace=7.5))
        >> ok(2)
        >> at(7.5)
        >> TimePassed()
        << refused("/", Cause.CONNECT_UNANSWERED)
        << post(4, "1")
        >> ok(4)
        << drop_requests()
        << ends(CloseReason.CLIENT_CLOSE, Cause.CONNECT_UNANSWERED)
    )


def test_an_answer_that_comes_after_its_time_is_ignored_visibly_and_taken_back() -> None:
    play(
        live("/", timeouts=Timeouts(namespace=5.0))
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> at(5.0)
        >> TimePassed()
        << refused("/a", Cause.CONNECT_UNANSWERED)
        >> arrives(grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        << frame("41/a,")
        << shows(namespace="/a", state=DISCONNECTED)
    )


# --- Events that overtake the answer.


def test_events_before_the_answer_are_kept_and_delivered_right_after_it_in_order() -> None:
    play(
        asked("/")
        >> ok(2)
        >> answer(3, '42["one",1]', '421["two"]')
        << poll(4)
        >> answer(4, '42["three"]', grant(), '42["four"]')
        << granted()
        << event("one", 1)
        << event("two", ack_id=1)
        << event("three")
        << event("four")
        << poll(5)
    )


def test_early_events_of_one_namespace_do_not_wait_for_another() -> None:
    play(
        asked("/", "/a")
        >> ok(2)
        >> answer(3, '42/a,["early"]', grant("/"), '42["now"]')
        << granted("/")
        << event("now")
        << poll(4)
        >> answer(4, grant("/a"))
        << granted("/a", "a")
        << event("early", namespace="/a")
        << poll(5)
    )


def test_early_events_are_dropped_with_the_refusal() -> None:
    play(
        asked("/", "/a")
        >> ok(2)
        >> answer(3, '42["early"]', '44"no"', grant("/a"))
        << refused("/")
        << granted("/a", "a")
        << poll(4)
        >> JoinNamespace("/")
        << post(5, "40")
        >> ok(5)
        >> answer(4, grant("/"))
        << granted("/")
        << poll(6)
    )


def test_early_events_are_dropped_when_the_answer_does_not_come_in_time() -> None:
    play(
        live("/a", timeouts=Timeouts(namespace=5.0))
        >> JoinNamespace()
        << frame("40")
        >> arrives('42["early"]')
        >> at(5.0)
        >> TimePassed()
        << refused("/", Cause.CONNECT_UNANSWERED)
        << shows(SessionState.OPEN, state=DISCONNECTED)
    )


def test_as_many_early_events_as_the_limit_are_kept() -> None:
    play(
        asked("/", limits=Limits(max_early_events=2))
        >> ok(2)
        >> answer(3, '42["one"]', '42["two"]', grant())
        << granted()
        << event("one")
        << event("two")
        << poll(4)
    )


def test_one_early_event_more_than_the_limit_ends_the_connection() -> None:
    play(
        asked("/", limits=Limits(max_early_events=2))
        >> ok(2)
        >> answer(3, '42["one"]', '42["two"]', '42["three"]', grant())
        << poll(4)
        << drop_requests()
        << ends(CloseReason.PARSE_ERROR, Cause.TOO_MANY_EARLY_EVENTS)
    )


def test_early_events_are_bounded_in_bytes_too_attachments_included() -> None:
    limits = Limits(max_early_bytes=60)
    header = '451-["e",{"_placeholder":true,"num":0}]'
    fits = asked("/", limits=limits) >> ok(2) >> answer(3, '42["one"]', '42["two"]', header, "bAAAA", grant())
    play(fits << granted() << event("one") << event("two") << event("e", b"\0\0\0") << poll(4))
    play(
        asked("/", limits=limits)
        >> ok(2)
        >> answer(3, '42["one"]', '42["two"]', header, "b" + "AAAA" * 10, grant())
        << poll(4)
        << drop_requests()
        << ends(CloseReason.PARSE_ERROR, Cause.TOO_MANY_EARLY_EVENTS)
    )


def test_the_early_events_of_an_earlier_join_do_not_count_for_a_later_one() -> None:
    early = "42/a," + '["%s"]' % ("x" * 40)
    play(
        asked("/", "/a", limits=Limits(max_early_bytes=60, max_early_events=1))
        >> ok(2)
        >> answer(3, early, '44/a,"no"', grant("/"))
        << refused("/a")
        << granted("/")
        << poll(4)
        >> JoinNamespace("/a")
        << post(5, "40/a,")
        >> ok(5)
        >> answer(4, early, grant("/a"))
        << granted("/a", "a")
        << event("x" * 40, namespace="/a")
        << poll(6)
    )


# --- Leaving.


def test_leaving_one_of_several_namespaces_says_so_and_the_connection_stays() -> None:
    play(
        joined("/", "/a")
        >> LeaveNamespace("/a")
        << post(5, "41/a,")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
        >> answer(4, '42/a,["late"]', '42["here"]')
        << ignored(PacketType.EVENT, ["late"], "/a", why="not joined")
        << event("here")
        << poll(6)
    )


def test_the_server_may_throw_us_out_of_one_namespace() -> None:
    play(
        joined("/", "/a")
        >> answer(4, "41/a,", '42["here"]')
        << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT)
        << event("here")
        << poll(5)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
    )


def test_leaving_the_last_namespace_closes_the_connection() -> None:
    play(
        joined("/")
        >> LeaveNamespace()
        << post(5, "41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        << shows(SessionState.CLOSING)
        >> ok(5)
        << post(6, "1")
        >> ok(6)
        << drop_requests()
        << ends(CloseReason.CLIENT_DISCONNECT)
    )


def test_leaving_the_last_namespace_on_a_websocket_closes_it_at_once() -> None:
    play(
        live("/")
        >> LeaveNamespace()
        << frame("41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        << frame("1")
        << hang_up()
        << ends(CloseReason.CLIENT_DISCONNECT)
        << shows(SessionState.CLOSED)
    )


def test_being_thrown_out_of_the_last_namespace_closes_the_connection_in_the_servers_name() -> None:
    play(
        joined("/")
        >> answer(4, '42["bye"]', "41")
        << event("bye")
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        << poll(5)
        << post(6, "1")
        >> ok(6)
        << drop_requests()
        << ends(CloseReason.SERVER_DISCONNECT)
    )


def test_the_refusal_of_the_last_namespace_closes_the_connection_with_that_error() -> None:
    play(
        asked("/")
        >> ok(2)
        >> answer(3, '44{"message":"no"}')
        << refused("/")
        << poll(4)
        << post(5, "1")
        >> ok(5)
        << drop_requests()
        << ends(CloseReason.SERVER_DISCONNECT, Cause.NAMESPACE_REFUSED)
    )


def test_the_error_of_the_last_refusal_is_the_one_that_is_told() -> None:
    outputs = tell(
        live("/", "/a")
        >> arrives('44"first"')
        << refused("/")
        >> arrives('44/a,"second"')
        << refused("/a")
        << frame("1")
        << hang_up()
        << ends(CloseReason.SERVER_DISCONNECT, Cause.NAMESPACE_REFUSED)
    )
    error = error_of(outputs)
    assert isinstance(error, ConnectRefused)
    assert error.refusal == "second"


def test_a_server_that_closes_first_does_not_change_why_we_left() -> None:
    play(
        joined("/")
        >> LeaveNamespace()
        << post(5, "41")
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        >> answer(4, "1")
        << drop_requests()
        << ends(CloseReason.CLIENT_DISCONNECT, unsent=1)
    )


def test_a_namespace_that_was_left_can_be_joined_again_after_a_moment() -> None:
    """A Node server that reads both wishes together takes the second for a duplicate, and closes the connection."""
    play(
        joined("/", "/a")
        >> LeaveNamespace("/a")
        << post(5, "41/a,")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> ok(5)
        >> JoinNamespace("/a", auth={"again": True})
        << shows(namespace="/a", state=CONNECTING, deadline=0.1)
        >> at(0.1)
        >> TimePassed()
        << post(6, '40/a,{"again":true}')
        >> ok(6)
        >> answer(4, '40/a,{"sid":"second"}', '42/a,["hello"]')
        << granted("/a", "second")
        << event("hello", namespace="/a")
        << poll(7)
    )


def test_a_namespace_that_was_refused_can_be_joined_again() -> None:
    play(
        live("/", "/a")
        >> arrives('44/a,"no"')
        << refused("/a")
        >> JoinNamespace("/a", auth={"token": "better"})
        << frame('40/a,{"token":"better"}')
        >> arrives('40/a,{"sid":"second"}')
        << granted("/a", "second")
    )


def test_the_time_of_an_earlier_connect_does_not_run_against_a_later_one() -> None:
    play(
        live("/", timeouts=Timeouts(namespace=10.0))
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> at(1.0)
        >> arrives(grant("/a"))
        << granted("/a", "a")
        >> at(2.0)
        >> LeaveNamespace("/a")
        << frame("41/a,")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> at(8.0)
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> at(10.0)
        >> TimePassed()
        << shows(namespace="/a", state=CONNECTING)
        >> at(18.0)
        >> TimePassed()
        << refused("/a", Cause.CONNECT_UNANSWERED)
    )


@pytest.mark.parametrize("namespace", ["/", "/never"])
def test_what_is_not_joined_cannot_be_left(namespace: str) -> None:
    script = live("/", "/a") >> LeaveNamespace("/") << frame("41") << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
    play(script >> LeaveNamespace(namespace) << refuses(Cause.NAMESPACE_NOT_CONNECTED) << shows(SessionState.OPEN))


def test_a_wish_can_be_taken_back_before_the_session_is_open() -> None:
    play(
        wanting("/", "/a")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40")
        << poll(3)
    )


def test_taking_back_the_only_wish_closes_what_was_begun() -> None:
    play(
        wanting("/")
        >> LeaveNamespace()
        << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
        << drop_requests()
        << ends(CloseReason.CLIENT_DISCONNECT)
        << shows(SessionState.CLOSED)
    )


def test_nothing_but_connect_is_said_to_a_namespace_that_has_not_answered_even_when_it_is_left() -> None:
    """Node closes the connection at a DISCONNECT for a namespace whose middleware is still thinking; so `41` follows the late answer instead."""
    play(
        live("/")
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> arrives('42/a,["early"]')
        << ignored(PacketType.EVENT, ["early"], "/a", why="not joined")
        >> arrives(grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        << frame("41/a,")
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
    )


def test_a_goodbye_instead_of_an_answer_is_a_refusal() -> None:
    play(
        asked("/", "/a")
        >> ok(2)
        >> answer(3, '42["early"]', "41", grant("/a"))
        << refused("/")
        << granted("/a", "a")
        << poll(4)
        << shows(SessionState.OPEN, namespace="/", state=DISCONNECTED)
    )


def test_a_goodbye_that_gives_a_reason_is_a_refusal_in_the_servers_words() -> None:
    """So does python-socketio with `always_connect`: it grants first, and then says why it does not."""
    outputs = tell(
        live("/", "/a")
        >> JoinNamespace("/b")
        << frame("40/b,")
        >> arrives('41/b,{"message":"full","data":[1]}')
        << refused("/b")
        << shows(SessionState.OPEN, namespace="/b", state=DISCONNECTED)
    )
    error = error_of(outputs)
    assert isinstance(error, ConnectRefused)
    assert (error.namespace, error.refusal, error.data) == ("/b", "full", [1])


def test_a_goodbye_with_a_reason_after_the_answer_is_told_where_it_is_felt() -> None:
    machine = play(live("/") >> Emit("x", call=1) << frame('420["x"]'))
    call, left, *rest = machine.process(arrives('41{"message":"full"}'), 0.0)
    assert isinstance(left, NamespaceLeft)
    assert isinstance(left.error, ConnectRefused)
    assert (left.reason, left.error.refusal, left.error.data) == (CloseReason.SERVER_DISCONNECT, "full", None)
    assert isinstance(call, CallFailed)
    assert call.error is left.error
    closed = rest[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.error) == (CloseReason.SERVER_DISCONNECT, left.error)


def test_a_goodbye_with_something_else_in_it_is_a_goodbye() -> None:
    play(live("/", "/a") >> arrives('41/a,{"message":5}') << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT))


# --- Answers that nobody waits for any more.


def _left_too_early() -> Script:
    return (
        live("/", timeouts=Timeouts(namespace=10.0))
        >> JoinNamespace("/a")
        << frame("40/a,")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    )


def test_a_refusal_that_nobody_waits_for_any_more_is_ignored_visibly_and_needs_no_goodbye() -> None:
    no = ignored(PacketType.CONNECT_ERROR, "no", "/a", why="not joined")
    yes = ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
    play(_left_too_early() >> arrives('44/a,"no"') << no >> arrives(grant("/a")) << yes << shows(SessionState.OPEN))


def test_who_joins_again_before_that_answer_is_asked_for_once_it_came() -> None:
    """A second CONNECT before the first has its answer would make Node close the connection."""
    play(
        _left_too_early()
        >> JoinNamespace("/a", auth={"second": True})
        << shows(namespace="/a", state=CONNECTING)
        >> arrives('42/a,["of the first"]')
        << ignored(PacketType.EVENT, ["of the first"], "/a", why="not joined")
        >> at(5.0)
        >> arrives(grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        << frame("41/a,")
        << shows(namespace="/a", state=CONNECTING, deadline=5.1)
        >> at(5.1)
        >> TimePassed()
        << frame('40/a,{"second":true}')
        >> at(14.9)
        >> TimePassed()
        << shows(namespace="/a", state=CONNECTING)
        >> arrives('40/a,{"sid":"again"}')
        << granted("/a", "again")
    )


def test_who_joins_again_is_asked_for_after_a_refusal_too() -> None:
    play(
        _left_too_early()
        >> JoinNamespace("/a")
        >> arrives('44/a,"no"')
        << ignored(PacketType.CONNECT_ERROR, "no", "/a", why="not joined")
        << frame("40/a,")
        >> arrives(grant("/a"))
        << granted("/a", "a")
    )


def test_who_joins_again_does_not_wait_for_ever_for_an_answer_that_does_not_come() -> None:
    play(_left_too_early() >> JoinNamespace("/a") >> at(10.0) >> TimePassed() << refused("/a", Cause.CONNECT_UNANSWERED) << shows(state=CONNECTED))


def test_a_wish_that_waits_for_an_old_answer_can_be_taken_back() -> None:
    play(
        _left_too_early()
        >> JoinNamespace("/a")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> arrives(grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        << frame("41/a,")
    )


def test_names_whose_answer_is_still_to_come_count_against_the_limit() -> None:
    script = live("/", limits=Limits(max_namespaces=3))
    for name in ("/a", "/b"):
        script = script >> JoinNamespace(name) << frame(f"40{name},") >> LeaveNamespace(name) << NamespaceLeft(name, CloseReason.CLIENT_DISCONNECT)
    play(
        script
        >> JoinNamespace("/c")
        << refuses(Cause.BAD_NAMESPACE)
        >> arrives('44/a,"no"')
        << ignored(PacketType.CONNECT_ERROR, "no", "/a", why="not joined")
        >> JoinNamespace("/c")
        << frame("40/c,")
    )


def test_an_answer_that_nobody_waits_for_any_more_is_not_followed_up_while_the_session_leaves() -> None:
    play(
        asked("/", "/a")
        >> ok(2)
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> Close()
        << post(4, "1")
        >> answer(3, grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        >> ok(4)
        << ends(CloseReason.CLIENT_CLOSE)
    )


def _no_room() -> Script:
    """The answer that nobody waits for any more comes while the send buffer is full; POST 5 is still in flight."""
    return (
        joined("/", limits=Limits(max_buffered=20))
        >> JoinNamespace("/a")
        << post(5, "40/a,")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> Emit("x" * 20)
        >> answer(4, grant("/a"))
        << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined")
        << poll(6)
    )


def test_a_goodbye_for_which_there_is_no_room_waits_until_there_is() -> None:
    play(_no_room() >> ok(5) << post(7, f'42["{"x" * 20}"]') >> ok(7) << post(8, "41/a,") << shows(SessionState.OPEN, state=CONNECTED))


def test_a_goodbye_for_which_there_is_no_room_holds_up_no_fault() -> None:
    left = NamespaceLeft("/", CloseReason.PARSE_ERROR)
    play(_no_room() >> answer(6, "42nonsense") << poll(7) << drop_requests() << left << ends(CloseReason.PARSE_ERROR, Cause.BAD_JSON, unsent=2))


def test_a_goodbye_for_which_there_is_no_room_holds_up_no_end() -> None:
    left = NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
    play(_no_room() >> answer(6, "41") << left << poll(7) << shows(SessionState.CLOSING))


def test_auth_for_a_wish_that_waits_is_measured_at_once() -> None:
    play(
        joined("/", max_payload=100)
        >> JoinNamespace("/a")
        << post(5, "40/a,")
        >> LeaveNamespace("/a")
        << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
        >> JoinNamespace("/a", auth=BIG)
        << refuses(Cause.PAYLOAD_TOO_LARGE)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED)
    )


# --- Sending needs a namespace that has answered.


@pytest.mark.parametrize("wish", [Emit("e"), Emit("e", call=1), Acknowledge(0)])
def test_nothing_but_connect_is_said_before_the_answer(wish: Emit | Acknowledge) -> None:
    too_early = refuses(Cause.NAMESPACE_NOT_CONNECTED)
    play(
        fresh()
        >> wish
        << too_early
        >> JoinNamespace()
        >> wish
        << too_early
        >> Connect()
        << poll(1)
        >> wish
        << too_early
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40")
        << poll(3)
        >> wish
        << too_early
        << shows(SessionState.OPEN, state=CONNECTING)
        >> ok(2)
        >> answer(3, grant())
        << granted()
        << poll(4)
    )


@pytest.mark.parametrize("wish", [Emit("e", namespace="/never"), Acknowledge(0, namespace="/never")])
def test_nothing_is_said_to_a_namespace_that_was_never_joined(wish: Emit | Acknowledge) -> None:
    play(joined("/") >> wish << refuses(Cause.NAMESPACE_NOT_CONNECTED))


# --- What is for nobody.


def test_packets_for_namespaces_that_are_not_joined_are_ignored_visibly() -> None:
    why = "not joined"
    play(
        joined("/")
        >> answer(4, '42/x,["e",1]', "43/x,0[]", "41/x,", '40/x,{"sid":"x"}', '44/x,"no"', '42["here"]')
        << ignored(PacketType.EVENT, ["e", 1], "/x", why=why)
        << ignored(PacketType.ACK, [], "/x", 0, why=why)
        << ignored(PacketType.DISCONNECT, namespace="/x", why=why)
        << ignored(PacketType.CONNECT, {"sid": "x"}, "/x", why=why)
        << ignored(PacketType.CONNECT_ERROR, "no", "/x", why=why)
        << event("here")
        << poll(5)
        << shows(SessionState.OPEN, namespace="/x", state=DISCONNECTED)
    )


def test_an_acknowledgement_before_the_answer_is_ignored_visibly() -> None:
    play(asked("/") >> ok(2) >> answer(3, "430[]") << ignored(PacketType.ACK, [], "/", 0, why="no call") << poll(4))


# --- Auth that does not fit.


BIG: Mapping[str, object] = {"token": "x" * 100}


def test_auth_that_is_too_large_for_the_server_ends_the_connection_when_the_server_says_so() -> None:
    outputs = tell(
        fresh()
        >> JoinNamespace(auth=BIG)
        >> Connect()
        << poll(1)
        >> answer(1, open_packet(upgrades=(), max_payload=100))
        << opened(upgrades=(), max_payload=100)
        << post(2, "1")
        >> ok(2)
        << ends(CloseReason.CLIENT_CLOSE, Cause.PAYLOAD_TOO_LARGE)
    )
    error = error_of(outputs)
    assert isinstance(error, PayloadTooLarge)
    assert (error.size, error.limit) == (1 + 1 + len('{"token":""}') + 100, 100)


def test_while_it_leaves_for_auth_that_was_too_large_the_first_reason_stays() -> None:
    play(
        fresh()
        >> JoinNamespace(auth=BIG)
        >> Connect()
        << poll(1)
        >> answer(1, open_packet(upgrades=(), max_payload=100), '44"I have not even asked"')
        << opened(upgrades=(), max_payload=100)
        << refused("/")
        << post(2, "1")
        >> ok(2)
        << ends(CloseReason.SERVER_DISCONNECT, Cause.NAMESPACE_REFUSED)
    )


def test_auth_that_is_too_large_later_on_is_refused_and_changes_nothing() -> None:
    play(
        joined("/", max_payload=100)
        >> JoinNamespace("/a", auth=BIG)
        << refuses(Cause.PAYLOAD_TOO_LARGE)
        << shows(SessionState.OPEN, namespace="/a", state=DISCONNECTED, deadline=45.0)
        >> JoinNamespace("/a")
        << post(5, "40/a,")
    )


def test_the_machine_shows_what_the_engine_below_it_shows() -> None:
    connection = play(joined("/", upgrades=("websocket",)))
    assert connection.handshake is not None
    assert (connection.transport, connection.upgrade_state) == (Transport.POLLING, UpgradeState.CONNECTING)
    connection.process(Emit("a"), 0.0)
    connection.process(Emit("b"), 0.0)
    assert (connection.buffered, connection.buffered_packets) == (len('42["b"]'), 1)


def test_an_engine_can_be_passed_in() -> None:
    inner = connection().engine
    outer = SocketIOConnection(engine=inner)
    assert outer.process(JoinNamespace(), 0.0) == []
    outer.process(Connect(), 0.0)
    assert inner.state is SessionState.OPENING
    outputs = outer.process(answer(1, open_packet(upgrades=()), grant()), 0.0)
    assert NamespaceConnected("/", "main") in outputs
