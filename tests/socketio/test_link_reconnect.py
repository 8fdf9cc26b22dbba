"""Scripts: from one connection to the next, and to the end.

The order is always the same: what belonged to the connection ends (calls, then namespaces), the driver is told to start over, the application is told
of the next try; when that stands, `Reconnected`. `Closed` comes once, as the last word of all, and there are never two connections.
"""

from __future__ import annotations

import math
from contextlib import suppress

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.exceptions import EngineIOError, LocalProtocolError, RemoteProtocolError
from engineio_lite.inputs import Close, Connect, Fail, RequestFailed, ResponseReceived, SendMessages, TimePassed, WebSocketOpened
from engineio_lite.limits import Timeouts
from engineio_lite.socketio.events import CallAnswered, EventReceived, NamespaceLeft, Reconnected, Reconnecting
from engineio_lite.socketio.inputs import Acknowledge, ClientInput, Deliver, Emit, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.packet import PacketType
from engineio_lite.socketio.policy import Lost, ReconnectPolicy
from engineio_lite.state import CloseReason, LinkState, SessionState, Transport, UpgradeState
from tests.core.script import (
    NO_UPGRADE,
    OPEN,
    answer,
    arrives,
    at,
    drop_requests,
    ends,
    frame,
    hang_up,
    ok,
    opened,
    poll,
    post,
    refuses,
    websocket,
)
from tests.core.snapshot import fingerprint
from tests.script import play, tell
from tests.socketio.links import (
    POLICY,
    Script,
    again,
    asked,
    asking,
    closed_of,
    cut,
    grant,
    granted,
    link,
    linked,
    lost,
    nobody_listens,
    reconnecting,
    retrying,
    shows,
    starting,
    vanishes,
    wanting,
)
from tests.socketio.script import event, failed, ignored, refused

PERSISTENT = ReconnectPolicy(retry_first=True)


def polled(*, policy: ReconnectPolicy | None = POLICY, hold: bool = True) -> Script:
    """The main namespace is ours by polling: poll 4 waits, and the next request is number 5."""
    script = wanting("/", policy=policy, hold=hold, transports=("polling",)) >> Connect() << poll(1)
    script = script >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40") << poll(3) >> ok(2)
    return script >> answer(3, grant()) << granted() << poll(4) << shows(LinkState.CONNECTED)


# --- Lost and found.


def test_a_lost_connection_is_followed_by_another_that_asks_for_the_same_namespaces() -> None:
    play(
        wanting("/", "/a")
        >> Connect()
        << websocket(1, upgrade=False)
        >> WebSocketOpened(1)
        >> arrives(NO_UPGRADE)
        << opened(Transport.WEBSOCKET, upgrades=())
        << frame("40")
        << frame("40/a,")
        >> arrives(grant("/a"))
        << granted("/a")
        >> arrives(grant())
        << granted()
        >> at(10.0)
        >> vanishes()
        << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
        << NamespaceLeft("/a", CloseReason.TRANSPORT_CLOSE)
        << StartOver()
        << reconnecting(1, 1.0)
        << shows(LinkState.WAITING, session=SessionState.OPENING, deadline=11.0)
        >> at(11.0)
        >> TimePassed()
        << websocket(1, upgrade=False)
        >> WebSocketOpened(1)
        >> arrives(NO_UPGRADE)
        << opened(Transport.WEBSOCKET, upgrades=())
        << frame("40")
        << frame("40/a,")
        >> arrives(grant())
        << granted()
        >> arrives(grant("/a"))
        << granted("/a")
        << Reconnected(1, False)
        << shows(LinkState.CONNECTED, session=SessionState.OPEN, deadline=56.0)
        >> arrives('42["on"]')
        << event("on")
    )


def test_by_polling_requests_are_numbered_from_one_again() -> None:
    play(
        polled()
        >> Emit("a")
        << post(5, '42["a"]')
        >> RequestFailed(4, Cause.CONNECTION_LOST, "the server went away")
        << drop_requests()
        << NamespaceLeft("/", CloseReason.TRANSPORT_ERROR)
        << StartOver()
        << reconnecting(1, 1.0, CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST)
        >> at(1.0)
        >> TimePassed()
        << poll(1)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << post(2, "40")
        << poll(3)
        >> ok(2)
        >> answer(3, grant())
        << granted()
        << Reconnected(1, False)
        << poll(4)
    )


def test_an_upgrade_is_that_of_the_connection_that_is_there() -> None:
    script = wanting("/", transports=("polling", "websocket")) >> Connect() << poll(1) << shows()
    script = script >> answer(1, OPEN) << opened() << post(2, "40") << poll(3) >> ok(2) >> answer(3, grant()) << granted() << poll(4) << websocket(1)
    machine = play(script)
    assert (machine.transport, machine.upgrade_state) == (Transport.POLLING, UpgradeState.CONNECTING)
    machine.process(RequestFailed(4, Cause.CONNECTION_LOST, "gone"), 0.0)
    assert (machine.transport, machine.upgrade_state) == (None, UpgradeState.NONE)


def test_what_is_waited_for_on_the_lost_connection_fails_with_it() -> None:
    script = linked("/") >> Emit("a", call=1) << frame('420["a"]') >> Emit("b", call=2, timeout=5.0) << frame('421["b"]')
    outputs = tell(cut(script, fails=[failed(1, Cause.CLOSED), failed(2, Cause.CLOSED)]) << shows(deadline=1.0))
    assert [str(output.error.__cause__) for output in outputs if hasattr(output, "call")] == [str(outputs[-1].error)] * 2


def test_the_namespaces_that_are_asked_for_again_may_have_been_joined_at_any_time() -> None:
    script = linked("/") >> JoinNamespace("/a", {"as": 1}) << frame('40/a,{"as":1}') >> arrives(grant("/a")) << granted("/a")
    script = cut(script, "/", "/a") >> JoinNamespace("/b")
    play(again(script, "/", "/a", "/b", connects={"/a": '{"as":1}'}))


@pytest.mark.parametrize(
    ("packet", "reason", "cause"),
    [
        ("1", CloseReason.SERVER_CLOSE, None),
        ("what", CloseReason.PARSE_ERROR, Cause.UNKNOWN_PACKET_TYPE),
    ],
)
def test_whatever_ends_a_connection_that_nobody_meant_to_end_is_followed(packet: str, reason: CloseReason, cause: Cause | None) -> None:
    outputs = play(linked("/")).process(arrives(packet), 0.0)
    (told,) = [output for output in outputs if isinstance(output, Reconnecting)]
    assert outputs[-1] is told
    assert (told.attempt, told.delay, told.reason, told.cause) == (1, 1.0, reason, cause)


def test_silence_is_followed_too() -> None:
    play(
        linked("/")
        >> at(45.0)
        >> TimePassed()
        << hang_up()
        << NamespaceLeft("/", CloseReason.PING_TIMEOUT)
        << StartOver()
        << reconnecting(1, 1.0, CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT)
        << shows(deadline=46.0)
    )


def test_what_a_layer_above_could_not_accept_is_followed_too() -> None:
    play(
        linked("/")
        >> Fail(RemoteProtocolError("not what was agreed", cause=Cause.BAD_PAYLOAD))
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.PARSE_ERROR)
        << StartOver()
        << reconnecting(1, 1.0, CloseReason.PARSE_ERROR, Cause.BAD_PAYLOAD)
    )


# --- Attempts.


def failing(script: Script, times: list[tuple[float, int, float]]) -> Script:
    """Try at each of these instants in vain: (when, the attempt that is announced then, its delay)."""
    for when, attempt, delay in times:
        script = retrying(script, when) >> nobody_listens() << StartOver()
        script = script << reconnecting(attempt, delay, CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED)
    return script


def test_tries_that_fail_are_made_ever_more_seldom_and_counted() -> None:
    script = failing(cut(linked("/")), [(1.0, 2, 2.0), (3.0, 3, 4.0), (7.0, 4, 5.0), (12.0, 5, 5.0)])
    play(again(script, when=17.0, attempts=5))


def test_a_connection_that_stood_starts_the_count_again() -> None:
    script = again(failing(cut(linked("/")), [(1.0, 2, 2.0)]), when=3.0, attempts=2)
    play(again(cut(script, attempt=1, delay=1.0), when=4.0, attempts=1))


def test_a_connection_that_granted_one_namespace_has_stood_though_another_is_still_silent() -> None:
    script = cut(linked("/", "/slow"), "/", "/slow")
    script = asking(failing(script, [(1.0, 2, 2.0)]) >> at(3.0) >> TimePassed() << websocket(1, upgrade=False), "40", "40/slow,")
    script = script >> arrives(grant()) << granted() << shows(LinkState.CONNECTING)
    play(again(cut(script), "/", "/slow", when=4.0))


def test_a_connection_that_was_open_but_granted_nothing_has_not_stood() -> None:
    script = asking(retrying(cut(linked("/"))), "40") >> vanishes() << StartOver() << reconnecting(2, 2.0)
    play(again(script, when=3.0, attempts=2))


def test_a_time_that_has_not_come_makes_no_connection() -> None:
    made: list[int] = []
    script = cut(linked("/", made=lambda: made.append(1))) >> at(0.999) >> TimePassed() << shows(LinkState.WAITING, deadline=1.0)
    play(script)
    assert len(made) == 1


def test_there_is_one_connection_for_each_try_and_never_two() -> None:
    made: list[SocketIOLink] = []
    machine: SocketIOLink

    def look() -> None:
        assert machine.connection is None
        made.append(machine)

    machine = link(made=look)
    play(again(failing(cut(_continued(machine)), [(1.0, 2, 2.0), (3.0, 3, 4.0)]), when=7.0, attempts=3))
    assert len(made) == 4


def _continued(machine: SocketIOLink) -> Script:
    script = Script(machine) >> JoinNamespace() >> Connect() << websocket(1, upgrade=False)
    return asking(script, "40") >> arrives(grant()) << granted()


def test_a_connection_that_is_still_closing_is_not_overtaken() -> None:
    """The server has ended the last namespace, and the goodbye is in a POST: only its end is the end of the connection."""
    made: list[int] = []
    policy = ReconnectPolicy(decide=lambda lost: True)
    script = wanting("/", policy=policy, transports=("polling",), made=lambda: made.append(1)) >> Connect() << poll(1)
    script = script >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40") << poll(3) >> ok(2) >> answer(3, grant()) << granted() << poll(4)
    script = script >> answer(4, "41") << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT) << poll(5) << post(6, "1")
    script = script >> at(2.0) >> TimePassed() << shows(LinkState.CONNECTED, session=SessionState.CLOSING)
    play(
        script
        >> ok(6)
        << drop_requests()
        << StartOver()
        << reconnecting(1, 1.0, CloseReason.SERVER_DISCONNECT, None)
        << shows(LinkState.WAITING, deadline=3.0)
    )
    assert len(made) == 1


def test_the_dice_are_rolled_once_for_each_delay() -> None:
    rolls = iter([0.0, 0.25, 1.0])
    machine = play(linked("/", roll=lambda: next(rolls)))
    delays = []
    now = 0.0
    machine.process(vanishes(), now)
    for _ in range(2):
        delays.append(machine.deadline - now)
        now = machine.deadline
        machine.process(TimePassed(), now)
        machine.process(nobody_listens(), now)
    delays.append(machine.deadline - now)
    assert delays == [0.5, 1.5, 5.0]  # 1 s, 2 s and 4 s, spread by half, and none above five
    assert next(rolls, None) is None


# --- Whether.


def test_without_a_policy_there_is_one_connection() -> None:
    play(linked("/", policy=None) >> vanishes() << NamespaceLeft("/", LOST) << lost() << shows(LinkState.CLOSED, deadline=math.inf))


LOST = CloseReason.TRANSPORT_CLOSE


def test_a_first_connection_that_cannot_be_made_is_an_end() -> None:
    play(starting("/") >> nobody_listens() << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED) << shows(LinkState.CLOSED))
    play(asked("/") >> vanishes() << lost())


def test_a_first_connection_is_tried_again_if_the_policy_wants_it() -> None:
    script = starting("/", policy=PERSISTENT) >> nobody_listens() << StartOver()
    script = script << reconnecting(1, 1.0, CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED)
    play(again(failing(script, [(1.0, 2, 2.0)]), when=3.0, attempts=2))


def test_a_connection_that_granted_one_namespace_was_made_though_another_is_still_silent() -> None:
    script = asked("/", "/slow") >> arrives(grant()) << granted() >> vanishes()
    play(script << NamespaceLeft("/", LOST) << StartOver() << reconnecting(1, 1.0))


def test_tries_are_bounded() -> None:
    script = cut(linked("/", policy=ReconnectPolicy(max_attempts=2)))
    script = retrying(failing(script, [(1.0, 2, 2.0)]), 3.0) >> nobody_listens()
    play(script << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED) << shows(LinkState.CLOSED, deadline=math.inf))


def test_no_try_at_all_is_a_bound_too() -> None:
    play(linked("/", policy=ReconnectPolicy(max_attempts=0)) >> vanishes() << NamespaceLeft("/", LOST) << lost())


def test_what_is_hopeless_is_not_tried_again() -> None:
    script = polled() >> RequestFailed(4, Cause.CONNECTION_LOST, "gone") << NamespaceLeft("/", CloseReason.TRANSPORT_ERROR)
    script = script << StartOver() << reconnecting(1, 1.0, CloseReason.TRANSPORT_ERROR, Cause.CONNECTION_LOST) >> at(1.0) >> TimePassed() << poll(1)
    play(script >> answer(1, status=401) << ends(CloseReason.TRANSPORT_ERROR, Cause.UNAUTHORIZED) << shows(LinkState.CLOSED))


def test_a_session_that_the_server_has_forgotten_is_opened_again_at_once() -> None:
    body = b'{"code":1,"message":"Session ID unknown"}'
    forgotten = ResponseReceived(4, 400, (("content-type", "application/json"),), body)
    script = polled() >> at(7.0) >> forgotten << NamespaceLeft("/", CloseReason.TRANSPORT_ERROR) << StartOver()
    script = script << reconnecting(1, 0.0, CloseReason.TRANSPORT_ERROR, Cause.SESSION_UNKNOWN) << shows(LinkState.WAITING, deadline=7.0)
    script = script >> TimePassed() << poll(1)
    again = ResponseReceived(1, 400, (("content-type", "application/json"),), body)
    play(script >> again << StartOver() << reconnecting(2, 2.0, CloseReason.TRANSPORT_ERROR, Cause.SESSION_UNKNOWN))


@pytest.mark.parametrize(("demanded", "delay"), [("7", 7.0), ("0", 1.0), ("86400", 300.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0)])
def test_a_server_that_names_a_time_is_left_alone_for_so_long(demanded: str, delay: float) -> None:
    busy = ResponseReceived(4, 503, (("Retry-After", demanded),), b"")
    outputs = play(polled()).process(busy, 0.0)
    told = outputs[-1]
    assert isinstance(told, Reconnecting)
    assert told.delay == delay


def test_the_application_may_decide_and_is_asked_with_all_that_is_known() -> None:
    asked_for: list[Lost] = []
    answers = iter([True, None, False])

    def decide(lost: Lost) -> bool | None:
        asked_for.append(lost)
        return next(answers)

    script = cut(linked("/", policy=ReconnectPolicy(decide=decide)))
    script = retrying(failing(script, [(1.0, 2, 2.0)]), 3.0) >> nobody_listens()
    play(script << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED))
    causes = [lost.error.cause if lost.error is not None else None for lost in asked_for]
    assert causes == [Cause.WEBSOCKET_CLOSED, Cause.CONNECT_REFUSED, Cause.CONNECT_REFUSED]
    assert [(lost.attempt, lost.first) for lost in asked_for] == [(1, False), (2, False), (3, False)]
    assert [lost.reason for lost in asked_for] == [LOST, CloseReason.TRANSPORT_ERROR, CloseReason.TRANSPORT_ERROR]


def test_a_decision_knows_whether_a_connection_ever_stood() -> None:
    seen: list[bool] = []
    policy = ReconnectPolicy(retry_first=True, decide=lambda lost: seen.append(lost.first))
    script = starting("/", policy=policy) >> nobody_listens() << StartOver()
    script = again(script << reconnecting(1, 1.0, CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED))
    play(cut(script))
    assert seen == [True, False]


# --- What somebody meant to end.


def test_a_server_that_ends_the_last_namespace_is_taken_at_its_word() -> None:
    play(
        linked("/")
        >> arrives("41")
        << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
        << frame("1")
        << hang_up()
        << ends(CloseReason.SERVER_DISCONNECT)
        << shows(LinkState.CLOSED)
    )


def test_unless_the_application_decides_otherwise() -> None:
    script = linked("/", policy=ReconnectPolicy(decide=lambda lost: True)) >> arrives("41") << NamespaceLeft("/", CloseReason.SERVER_DISCONNECT)
    script = script << frame("1") << hang_up() << StartOver() << reconnecting(1, 1.0, CloseReason.SERVER_DISCONNECT, None)
    play(again(script))


def test_close_is_the_end() -> None:
    play(
        linked("/")
        >> Close()
        << frame("41")
        << frame("1")
        << hang_up()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE)
        << shows(LinkState.CLOSED)
        >> Close()
    )


def test_close_while_a_connection_is_being_made_is_the_end() -> None:
    play(retrying(cut(linked("/"))) >> Close() << hang_up() << ends(CloseReason.CLIENT_CLOSE) << shows(LinkState.CLOSED))
    play(starting("/") >> Close() << hang_up() << ends(CloseReason.CLIENT_CLOSE) << shows(LinkState.CLOSED))


def test_close_while_waiting_is_the_end_and_no_try_is_made() -> None:
    script = cut(linked("/")) >> Close() << ends(CloseReason.CLIENT_CLOSE) << shows(LinkState.CLOSED, session=SessionState.CLOSED, deadline=math.inf)
    play(script >> at(1.0) >> TimePassed() >> Close())


def test_close_before_the_beginning_is_an_end_too() -> None:
    script = wanting("/") << shows(LinkState.IDLE, session=SessionState.IDLE, deadline=math.inf)
    play(script >> Close() << ends(CloseReason.CLIENT_CLOSE) >> Connect() << refuses(Cause.ALREADY_CONNECTED))


def test_a_line_that_breaks_while_we_leave_is_not_followed() -> None:
    play(
        polled()
        >> Close()
        << post(5, "41", "1")
        >> RequestFailed(5, Cause.CONNECTION_LOST, "the server went away")
        << drop_requests()
        << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
        << ends(CloseReason.CLIENT_CLOSE, Cause.CONNECTION_LOST, unsent=1)
    )


def test_a_close_that_is_refused_changes_nothing() -> None:
    machine = play(linked("/"))
    before = fingerprint(machine)
    with pytest.raises(LocalProtocolError):
        machine.process(Close(("x" * 1_000_001,)), 0.0)
    assert fingerprint(machine) == before
    assert isinstance(machine.process(vanishes(), 0.0)[-1], Reconnecting)


def test_the_end_remembers_what_the_last_connection_saw() -> None:
    (closed,) = play(cut(linked("/") >> at(5.0))).process(Close(), 6.0)
    ended = closed_of([closed])
    assert ended.silence == 5.0
    assert [packet.type for packet in ended.last_received] == ["open", "message"]
    assert [packet.data for packet in ended.last_sent] == ["0"]


# --- After the end, and between two connections.


LATE_WISHES = [TimePassed(), Close(), ProvideAuth("/", {}), RefuseAuth("/", EngineIOError("nobody knows", cause=Cause.AUTH_FAILED))]


@pytest.mark.parametrize("late", [arrives('42["e"]'), answer(4, '42["e"]'), vanishes(), *LATE_WISHES])
def test_nothing_comes_out_after_the_end(late: ClientInput) -> None:
    script = linked("/", policy=None) >> vanishes() << NamespaceLeft("/", LOST) << lost()
    play(script >> at(100.0) >> late << shows(LinkState.CLOSED, session=SessionState.CLOSED, deadline=math.inf, waiting=0, writable=False))


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (JoinNamespace("/a"), Cause.NOT_OPEN),
        (JoinNamespace("/"), Cause.NOT_OPEN),
        (LeaveNamespace(), Cause.NAMESPACE_NOT_CONNECTED),
        (Emit("e", call=1), Cause.NAMESPACE_NOT_CONNECTED),
        (Emit("e", volatile=True), Cause.NAMESPACE_NOT_CONNECTED),
        (Deliver("e", (), 1, 1.0, 1), Cause.NAMESPACE_NOT_CONNECTED),
        (Acknowledge(0), Cause.NAMESPACE_NOT_CONNECTED),
        (Connect(), Cause.ALREADY_CONNECTED),
    ],
)
def test_nothing_can_be_wanted_after_the_end(wish: ClientInput, cause: Cause) -> None:
    script = linked("/", policy=None) >> vanishes() << NamespaceLeft("/", LOST) << lost()
    machine = play(script)
    before = fingerprint(machine)
    play(Script(machine) >> wish << refuses(cause))
    assert fingerprint(machine) == before
    assert not machine.is_wanted("/")


@pytest.mark.parametrize(
    "late", [arrives('42["e"]'), answer(4, '42["e"]'), WebSocketOpened(1), vanishes(), RequestFailed(4, Cause.CONNECTION_LOST, "")]
)
def test_what_still_comes_from_the_lost_connection_is_nothing(late: ClientInput) -> None:
    play(cut(linked("/")) >> late << shows(LinkState.WAITING, deadline=1.0))


def test_an_answer_to_a_call_of_the_lost_connection_meets_no_call_of_the_next_one() -> None:
    script = linked("/") >> Emit("a", call=1) << frame('420["a"]') >> Emit("b", call=2) << frame('421["b"]') >> arrives("430[]")
    script = cut(script << CallAnswered(1, []), fails=[failed(2, Cause.CLOSED)])
    play(
        again(script)
        >> Emit("c", call=3)
        << frame('422["c"]')
        >> arrives('431["late"]')
        << ignored(PacketType.ACK, ["late"], id=1, why="no call")
        >> arrives('432["mine"]')
        << CallAnswered(3, ["mine"])
    )


def test_ack_ids_go_on_counting_over_tries_that_failed() -> None:
    script = cut(linked("/") >> Emit("a", call=1) << frame('420["a"]'), fails=[failed(1, Cause.CLOSED)])
    script = again(failing(script, [(1.0, 2, 2.0)]), when=3.0, attempts=2)
    play(script >> Emit("b", call=2) << frame('421["b"]'))


def test_the_server_s_question_of_the_lost_connection_can_no_longer_be_answered() -> None:
    script = cut(linked("/") >> arrives('427["ask"]') << event("ask", ack_id=7))
    script = script >> Acknowledge(7) << refuses(Cause.ACK_NOT_AWAITED)
    play(again(script) >> Acknowledge(7) << refuses(Cause.ACK_NOT_AWAITED))


def test_a_question_with_the_same_id_on_the_next_connection_is_another_one() -> None:
    """Servers count their questions anew for each connection, so the number alone does not tell which one is answered."""
    first, second = EventReceived("/", "ask", [1], 0, 0), EventReceived("/", "ask", [2], 0, 1)
    script = again(cut(linked("/") >> arrives('420["ask",1]') << first)) >> arrives('420["ask",2]') << second
    play(script >> Acknowledge(0, grant=0) << refuses(Cause.ACK_NOT_AWAITED) >> Acknowledge(0, ("two",), grant=1) << frame('430["two"]'))


def test_grants_are_counted_over_all_namespaces_and_connections() -> None:
    script = linked("/", "/a") >> arrives('42/a,7["ask"]') << EventReceived("/a", "ask", [], 7, 1)
    script = again(cut(script, "/", "/a"), "/", "/a") >> arrives('427["ask"]') << EventReceived("/", "ask", [], 7, 2)
    script = script >> arrives('42/a,7["ask"]') << EventReceived("/a", "ask", [], 7, 3) >> Acknowledge(7, (), "/a", 3) << frame("43/a,7[]")
    play(script >> Acknowledge(7, (), "/", 3) << refuses(Cause.ACK_NOT_AWAITED) >> Acknowledge(7, (), "/", 2) << frame("437[]"))


def test_numbers_of_calls_count_from_zero_up() -> None:
    for script in (linked("/"), wanting("/"), cut(linked("/"))):
        script = script >> Emit("e", call=-1) << refuses(Cause.BAD_OPTION) >> Deliver("e", (), -1, 1.0, 1) << refuses(Cause.BAD_OPTION)
        play(script)
    play(linked("/") >> Emit("e", call=0) << frame('420["e"]') >> arrives("430[]") << CallAnswered(0, []))


# --- A machine that was asleep.


@pytest.mark.parametrize("now", [45.0, 1000.0])
def test_an_event_of_a_machine_that_was_asleep_is_not_written_into_the_dead_connection(now: float) -> None:
    script = linked("/") >> at(now) >> Emit("e") << hang_up() << NamespaceLeft("/", CloseReason.PING_TIMEOUT) << StartOver()
    script = script << reconnecting(1, 1.0, CloseReason.PING_TIMEOUT, Cause.PING_TIMEOUT) << shows(LinkState.WAITING, waiting=1)
    play(asking(retrying(script, now + 1.0), "40") >> arrives(grant()) << granted() << Reconnected(1, False) << frame('42["e"]'))


def test_what_is_due_when_an_event_is_sent_is_told_first() -> None:
    script = linked("/") >> Emit("a", call=1, timeout=2.0) << frame('420["a"]') >> at(2.0) >> Emit("b", call=2) << failed(1, Cause.ACK_TIMEOUT)
    play(script << frame('421["b"]'))


def test_what_is_told_after_a_refusal_is_told_at_once() -> None:
    machine = play(linked("/", policy=None))
    with pytest.raises(LocalProtocolError):
        machine.process(Emit("e"), 1000.0)
    assert machine.deadline == 1000.0
    assert closed_of(machine.process(TimePassed(), 1000.0)).reason is CloseReason.PING_TIMEOUT
    assert machine.deadline == math.inf


@pytest.mark.parametrize(("policy", "hold"), [(None, True), (None, False), (POLICY, False)])
@pytest.mark.parametrize("wish", [Emit("e"), Emit("e", call=1), Emit("e", (object(),)), Emit("e", timeout=-1.0), Emit("e", namespace="/other")])
def test_a_refusal_there_loses_nothing_of_what_is_told(policy: ReconnectPolicy | None, hold: bool, wish: Emit) -> None:
    machine = play(linked("/", policy=policy, hold=hold))
    outputs: list[object] = []
    with suppress(LocalProtocolError):
        outputs += machine.process(wish, 1000.0)
    outputs += machine.process(TimePassed(), 1000.0)
    assert NamespaceLeft("/", CloseReason.PING_TIMEOUT) in outputs
    if policy is None:
        assert machine.link_state is LinkState.CLOSED
        assert closed_of(outputs).reason is CloseReason.PING_TIMEOUT
    else:
        assert machine.link_state is LinkState.WAITING
        assert [type(output) for output in outputs].count(StartOver) == 1


# --- What the link shows.


def test_the_link_shows_what_its_connection_shows() -> None:
    machine = play(polled())
    connection = machine.connection
    assert connection is not None
    for wish in (Emit("a"), Emit("b", ("é",))):
        machine.process(wish, 0.0)
    assert (machine.buffered, machine.buffered_packets) == (connection.buffered, connection.buffered_packets) == (12, 1)
    assert (machine.accepted, machine.confirmed, machine.writable) == (3, 1, False)
    assert machine.handshake == connection.handshake
    assert machine.handshake is not None
    assert (machine.state, machine.transport, machine.upgrade_state) == (SessionState.OPEN, Transport.POLLING, UpgradeState.NONE)
    assert not machine.may_upgrade
    script = wanting("/", transports=("polling", "websocket")) >> Connect() << poll(1) >> answer(1, OPEN) << opened() << post(2, "40") << poll(3)
    assert play(script).may_upgrade


def test_without_a_connection_there_is_nothing_to_show() -> None:
    machine = play(cut(linked("/")))
    assert (machine.handshake, machine.transport, machine.upgrade_state) == (None, None, UpgradeState.NONE)
    assert (machine.buffered, machine.buffered_packets, machine.accepted, machine.confirmed, machine.writable) == (0, 0, 0, 0, False)
    assert not machine.may_upgrade
    assert machine.is_wanted("/")
    assert not machine.is_connected("/")
    assert not machine.is_connected("/never")
    assert not machine.is_wanted("/never")


def test_the_earliest_deadline_is_the_link_s() -> None:
    script = starting("/", timeouts=Timeouts(open=3.0)) << shows(deadline=3.0)
    play(script >> Emit("e", call=1, timeout=2.0) << shows(deadline=2.0))


def test_a_decision_that_raises_is_an_end_that_says_so() -> None:
    def decide(lost: Lost) -> bool:
        raise ValueError("cannot decide")

    script = linked("/", policy=ReconnectPolicy(decide=decide)) >> Emit("e", call=1) << frame('420["e"]') >> vanishes() << failed(1, Cause.CLOSED)
    outputs = tell(script << NamespaceLeft("/", LOST) << ends(LOST, Cause.DECIDE_FAILED) << shows(LinkState.CLOSED, deadline=math.inf))
    closed = closed_of(outputs)
    assert isinstance(closed.error, EngineIOError)
    assert isinstance(closed.error.__cause__, ValueError)


def test_raw_messages_go_to_the_connection_that_is_there() -> None:
    play(linked("/") >> SendMessages(('2["raw"]',)) << frame('42["raw"]'))


def test_a_refused_namespace_of_the_first_connection_is_an_end_with_its_reason() -> None:
    script = asked("/") >> arrives('44{"message":"no"}') << refused("/") << frame("1") << hang_up()
    play(script << ends(CloseReason.SERVER_DISCONNECT, Cause.NAMESPACE_REFUSED))
