"""Scripts: payloads of CONNECT that the application gives only when they are needed, and CONNECTs that wait for a moment.

A deferred join is told by `AuthNeeded` once the session is open, and goes out with `ProvideAuth`; until then nothing that the server says concerns
that namespace. A namespace that we have left is asked for again only after a moment (`Timeouts.rejoin`), for the same reason as ever: a Node server
must not see the second CONNECT while it still has the first.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import Close, Connect, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.events import AuthNeeded, NamespaceLeft
from engineio_lite.socketio.inputs import Emit, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.packet import PacketType
from engineio_lite.state import CloseReason, NamespaceState, SessionState, Transport
from tests.core.script import NO_UPGRADE, answer, arrives, at, drop_requests, frame, hang_up, ok, open_packet, opened, poll, post, websocket
from tests.core.snapshot import fingerprint
from tests.script import play, tell
from tests.socketio.script import Script, asked, ends, error_of, event, fresh, grant, granted, ignored, joined, live, refused, refuses, shows

CONNECTING = NamespaceState.CONNECTING
CONNECTED = NamespaceState.CONNECTED
NOBODY = EngineIOError("nobody knows the password", cause=Cause.AUTH_FAILED)
LEFT = NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)


def deferred(name: str = "/a") -> JoinNamespace:
    """A join whose payload comes later."""
    return JoinNamespace(name, deferred=True)


def needed(**options: Any) -> Script:
    """The main namespace is ours on a WebSocket, and the payload for ``/a`` is wanted."""
    return live("/", **options) >> deferred() << AuthNeeded("/a") << shows(namespace="/a", state=CONNECTING)


# --- When it is asked for.


def test_it_is_asked_for_once_the_session_is_open_and_the_others_do_not_wait() -> None:
    play(
        fresh()
        >> deferred()
        >> JoinNamespace("/b")
        >> deferred("/c")
        >> Connect()
        << poll(1)
        >> answer(1, NO_UPGRADE)
        << opened(upgrades=())
        << AuthNeeded("/a")
        << AuthNeeded("/c")
        << post(2, "40/b,")
        << poll(3)
        >> ProvideAuth("/c", {"token": "c"})
        >> ProvideAuth("/a", {"token": "a"})
        >> ok(2)
        << post(4, '40/c,{"token":"c"}', '40/a,{"token":"a"}')
        >> answer(3, grant("/a"), grant("/c"))
        << granted("/a", "a")
        << granted("/c", "c")
        << poll(5)
    )


def test_it_has_the_first_word_by_polling_if_it_comes_at_once() -> None:
    script = (
        fresh() >> deferred("/") >> Connect() << poll(1) >> answer(1, NO_UPGRADE) << opened(upgrades=()) << AuthNeeded("/") << shows(deadline=0.0)
    )
    play(script >> ProvideAuth("/", {"token": 1}) << post(2, '40{"token":1}') << poll(3))
    script = fresh() >> deferred("/") >> Connect() << poll(1) >> answer(1, NO_UPGRADE) << opened(upgrades=()) << AuthNeeded("/")
    play(script >> TimePassed() << poll(2) >> ProvideAuth("/", None) << post(3, "40"))


def test_a_payload_that_is_given_before_the_session_is_open_is_not_asked_for() -> None:
    script = fresh(transports=("websocket",)) >> deferred("/") >> Connect() << websocket(1, upgrade=False) >> ProvideAuth("/", {"early": True})
    script = script >> WebSocketOpened(1) >> arrives(open_packet(upgrades=())) << opened(Transport.WEBSOCKET, upgrades=())
    play(script << frame('40{"early":true}') >> arrives(grant()) << granted())


def test_on_an_open_session_it_is_asked_for_at_once() -> None:
    script = needed() >> ProvideAuth("/a", {"user": "grüße", "list": [1]}) << frame('40/a,{"user":"grüße","list":[1]}')
    play(script >> arrives(grant("/a")) << granted("/a", "a") << shows(namespace="/a", state=CONNECTED))


def test_it_may_be_none() -> None:
    play(needed() >> ProvideAuth("/a", None) << frame("40/a,"))


def test_it_is_taken_once() -> None:
    script = needed() >> ProvideAuth("/a", None) << frame("40/a,") >> ProvideAuth("/a", {"again": 1}) >> RefuseAuth("/a", NOBODY)
    play(script >> arrives(grant("/a")) << granted("/a", "a"))


@pytest.mark.parametrize("name", ["/", "/never"])
def test_it_is_nothing_where_nobody_waits_for_it(name: str) -> None:
    machine = play(live("/"))
    before = fingerprint(machine)
    play(Script(machine) >> ProvideAuth(name, {"a": 1}) >> RefuseAuth(name, NOBODY))
    assert fingerprint(machine) == before


# --- What happens until then.


@pytest.mark.parametrize(
    ("packet", "type", "data"),
    [
        ('40/a,{"sid":"a"}', PacketType.CONNECT, {"sid": "a"}),
        ('44/a,"no"', PacketType.CONNECT_ERROR, "no"),
        ('42/a,["e"]', PacketType.EVENT, ["e"]),
    ],
)
def test_what_the_server_says_before_concerns_nobody(packet: str, type: PacketType, data: object) -> None:
    script = needed() >> arrives(packet) << ignored(type, data, "/a", why="not joined") << shows(namespace="/a", state=CONNECTING)
    play(script >> ProvideAuth("/a", None) << frame("40/a,") >> arrives(grant("/a")) << granted("/a", "a"))


def test_nothing_can_be_said_before() -> None:
    play(needed() >> Emit("e", namespace="/a") << refuses(Cause.NAMESPACE_NOT_CONNECTED) >> JoinNamespace("/a") << refuses(Cause.ALREADY_CONNECTED))


def test_who_leaves_before_is_not_missed() -> None:
    script = needed() >> LeaveNamespace("/a") << LEFT << shows(namespace="/a", state=NamespaceState.DISCONNECTED)
    script = script >> ProvideAuth("/a", {"late": 1}) >> RefuseAuth("/a", NOBODY) >> arrives(grant("/a"))
    play(script << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined") >> JoinNamespace("/a") << frame("40/a,"))


def test_a_session_that_ends_before_needs_it_no_more() -> None:
    script = needed() >> WebSocketClosed(1, 1006) << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    script = script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED) >> ProvideAuth("/a", {}) >> RefuseAuth("/a", NOBODY)
    play(script << shows(SessionState.CLOSED, namespace="/a", state=NamespaceState.DISCONNECTED, deadline=math.inf))


def test_a_session_that_is_leaving_needs_it_no_more() -> None:
    script = joined("/") >> deferred() << AuthNeeded("/a") >> Close() << post(5, "41", "1") >> ProvideAuth("/a", {}) >> ok(5) << drop_requests()
    play(script << NamespaceLeft("/", CloseReason.CLIENT_CLOSE) << ends(CloseReason.CLIENT_CLOSE))


def test_it_is_not_waited_for_for_ever() -> None:
    outputs = tell(
        needed(timeouts=Timeouts(namespace=3.0)) << shows(deadline=3.0) >> at(3.0) >> TimePassed() << refused("/a", Cause.CONNECT_UNANSWERED)
    )
    assert "the application's auth" in str(error_of(outputs))


def test_the_answer_to_connect_has_its_time_from_connect_on() -> None:
    script = needed(timeouts=Timeouts(namespace=10.0)) >> at(9.0) >> ProvideAuth("/a", None) << frame("40/a,") >> at(10.0) >> TimePassed()
    script = script << shows(namespace="/a", state=CONNECTING, deadline=19.0) >> at(19.0) >> TimePassed()
    assert "an answer to CONNECT" in str(error_of(tell(script << refused("/a", Cause.CONNECT_UNANSWERED))))


# --- None to be had.


def test_without_a_payload_the_namespace_is_refused_and_the_others_live() -> None:
    outputs = tell(needed() >> RefuseAuth("/a", NOBODY) << refused("/a", Cause.AUTH_FAILED) << shows(namespace="/", state=CONNECTED))
    assert error_of(outputs) is NOBODY
    play(needed() >> RefuseAuth("/a", NOBODY) << refused("/a", Cause.AUTH_FAILED) >> JoinNamespace("/a") << frame("40/a,"))


def test_without_a_payload_for_the_last_namespace_the_connection_ends() -> None:
    script = fresh(transports=("websocket",)) >> deferred("/") >> Connect() << websocket(1, upgrade=False) >> WebSocketOpened(1)
    script = script >> arrives(open_packet(upgrades=())) << opened(Transport.WEBSOCKET, upgrades=()) << AuthNeeded("/") >> RefuseAuth("/", NOBODY)
    play(script << refused("/", Cause.AUTH_FAILED) << frame("1") << hang_up() << ends(CloseReason.CLIENT_CLOSE, Cause.AUTH_FAILED))


def test_without_a_payload_the_session_need_not_even_open() -> None:
    script = fresh() >> deferred("/") >> Connect() << poll(1) >> RefuseAuth("/", NOBODY) << refused("/", Cause.AUTH_FAILED)
    play(script << drop_requests() << ends(CloseReason.CLIENT_CLOSE, Cause.AUTH_FAILED))


def test_what_was_refused_is_not_asked_for_any_more() -> None:
    script = needed() >> RefuseAuth("/a", NOBODY) << refused("/a", Cause.AUTH_FAILED)
    play(script >> ProvideAuth("/a", {"late": 1}) >> RefuseAuth("/a", NOBODY) << shows(namespace="/a", state=NamespaceState.DISCONNECTED))


@pytest.mark.parametrize(
    ("auth", "cause"),
    [
        (["no object"], Cause.BAD_OPTION),
        ("text", Cause.BAD_OPTION),
        ({"key": object()}, Cause.BAD_MESSAGE),
        ({"key": "x" * 100}, Cause.PAYLOAD_TOO_LARGE),
    ],
)
def test_what_is_no_payload_is_refused_and_another_may_be_given(auth: Any, cause: Cause) -> None:
    script = joined("/", max_payload=60) >> deferred() << AuthNeeded("/a")
    machine = play(script)
    before = fingerprint(machine)
    play(Script(machine) >> ProvideAuth("/a", auth) << refuses(cause))
    assert fingerprint(machine) == before
    play(Script(machine) >> ProvideAuth("/a", {"ok": 1}) << post(5, '40/a,{"ok":1}'))


def test_a_payload_that_finds_no_room_is_refused_and_may_be_given_again() -> None:
    script = joined("/", limits=Limits(max_buffered_packets=1)) >> deferred() << AuthNeeded("/a") >> Emit("1") << post(5, '42["1"]') >> Emit("2")
    play(script >> ProvideAuth("/a", None) << refuses(Cause.SEND_BUFFER_FULL) >> ok(5) << post(6, '42["2"]') >> ProvideAuth("/a", None))


@pytest.mark.parametrize("name", ["a", "/a,b", "/a?b", ""])
def test_a_name_that_is_none_is_refused_at_once(name: str) -> None:
    for script in (fresh(), live("/")):
        machine = play(script)
        before = fingerprint(machine)
        play(Script(machine) >> JoinNamespace(name, deferred=True) << refuses(Cause.BAD_NAMESPACE))
        assert fingerprint(machine) == before


# --- Behind an answer that is still to come.


def left_too_early() -> Script:
    """``/a`` was asked for and left before the answer, which is still to come."""
    return live("/") >> JoinNamespace("/a") << frame("40/a,") >> LeaveNamespace("/a") << LEFT


def test_a_payload_waits_for_the_answer_to_an_earlier_connect() -> None:
    script = left_too_early() >> deferred() << AuthNeeded("/a") >> ProvideAuth("/a", {"second": True}) << shows(namespace="/a", state=CONNECTING)
    script = script >> arrives('44/a,"no"') << ignored(PacketType.CONNECT_ERROR, "no", "/a", why="not joined") << frame('40/a,{"second":true}')
    play(script >> arrives(grant("/a")) << granted("/a", "a"))


def test_the_answer_to_an_earlier_connect_may_come_before_the_payload() -> None:
    script = left_too_early() >> deferred() << AuthNeeded("/a") >> at(1.0) >> arrives(grant("/a"))
    script = script << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined") << frame("41/a,")
    script = script >> at(1.05) >> ProvideAuth("/a", {"second": True}) << shows(deadline=1.1)
    play(script >> at(1.1) >> TimePassed() << frame('40/a,{"second":true}') >> arrives(grant("/a")) << granted("/a", "a"))


def test_a_payload_that_waits_is_measured_when_it_is_given() -> None:
    script = joined("/", "/b", max_payload=60) >> JoinNamespace("/a") << post(5, "40/a,") >> LeaveNamespace("/a") << LEFT >> deferred()
    play(script << AuthNeeded("/a") >> ProvideAuth("/a", {"key": "x" * 100}) << refuses(Cause.PAYLOAD_TOO_LARGE))


# --- A moment after leaving.


def left(**options: Any) -> Script:
    """``/a`` was ours, and we have just left it."""
    return live("/", "/a", **options) >> LeaveNamespace("/a") << frame("41/a,") << LEFT


def test_a_namespace_is_asked_for_again_after_a_moment() -> None:
    script = left() >> at(0.04) >> JoinNamespace("/a", {"again": 1}) << shows(namespace="/a", state=CONNECTING, deadline=0.1)
    script = script >> at(0.09) >> TimePassed() >> at(0.1) >> TimePassed() << frame('40/a,{"again":1}') << shows(deadline=45.0)
    play(script >> arrives(grant("/a")) << granted("/a", "a"))


def test_later_than_that_it_is_asked_for_at_once() -> None:
    play(left() >> at(0.1) >> JoinNamespace("/a") << frame("40/a,"))
    play(left(timeouts=Timeouts(rejoin=0.0)) >> JoinNamespace("/a") << frame("40/a,"))


def test_each_namespace_has_its_own_moment() -> None:
    script = live("/", "/a", "/b", timeouts=Timeouts(rejoin=0.5)) >> LeaveNamespace("/a") << frame("41/a,") << LEFT
    script = script >> at(0.25) >> LeaveNamespace("/b") << frame("41/b,") << NamespaceLeft("/b", CloseReason.CLIENT_DISCONNECT)
    script = script >> JoinNamespace("/b") << shows(deadline=0.75) >> JoinNamespace("/a") << shows(deadline=0.5)
    script = script >> at(0.5) >> TimePassed() << frame("40/a,") << shows(deadline=0.75)
    play(script >> at(0.75) >> TimePassed() << frame("40/b,"))


def test_who_leaves_again_meanwhile_has_said_nothing() -> None:
    script = left() >> JoinNamespace("/a") >> LeaveNamespace("/a") << LEFT >> at(1.0) >> TimePassed() << shows(deadline=45.0)
    play(script >> JoinNamespace("/a") << frame("40/a,"))


def test_what_still_comes_meanwhile_belongs_to_what_was_left() -> None:
    script = left() >> JoinNamespace("/a") >> arrives('42/a,["old"]') << ignored(PacketType.EVENT, ["old"], "/a", why="not joined")
    script = script >> arrives("41/a,") << ignored(PacketType.DISCONNECT, namespace="/a", why="not joined") << shows(namespace="/a", state=CONNECTING)
    script = script >> at(0.1) >> TimePassed() << frame("40/a,") >> arrives('42/a,["early"]') >> arrives(grant("/a"))
    play(script << granted("/a", "a") << event("early", namespace="/a"))


def test_a_goodbye_before_the_answer_does_not_stand_for_the_answer() -> None:
    """It may be for what we left, and long on its way: then the server has granted what it seems to end."""
    script = left() >> JoinNamespace("/a") >> at(0.1) >> TimePassed() << frame("40/a,") >> arrives("41/a,") << refused("/a")
    script = script >> JoinNamespace("/a", {"third": True}) >> at(0.2) >> arrives(grant("/a"))
    script = script << ignored(PacketType.CONNECT, {"sid": "a"}, "/a", why="not joined") << frame("41/a,")
    play(script >> at(0.5) >> TimePassed() << frame('40/a,{"third":true}') >> arrives(grant("/a")) << granted("/a", "a"))


def test_close_meanwhile_forgets_it() -> None:
    script = joined("/", "/a") >> LeaveNamespace("/a") << post(5, "41/a,") << LEFT >> JoinNamespace("/a") >> Close() >> ok(5) << post(6, "41", "1")
    script = script >> at(0.1) >> TimePassed() >> ok(6) << drop_requests() << NamespaceLeft("/", CloseReason.CLIENT_CLOSE)
    play(script << ends(CloseReason.CLIENT_CLOSE) << shows(SessionState.CLOSED, deadline=math.inf))


def test_the_end_meanwhile_forgets_it() -> None:
    script = left() >> JoinNamespace("/a") >> WebSocketClosed(1, 1006) << NamespaceLeft("/", CloseReason.TRANSPORT_CLOSE)
    script = script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED) << shows(SessionState.CLOSED, deadline=math.inf)
    play(script >> at(0.1) >> TimePassed())


def test_a_payload_that_is_asked_for_waits_for_that_moment_too() -> None:
    script = left() >> deferred() << AuthNeeded("/a") >> ProvideAuth("/a", {"again": 1}) << shows(deadline=0.1)
    play(script >> at(0.1) >> TimePassed() << frame('40/a,{"again":1}'))
    script = left() >> deferred() << AuthNeeded("/a") >> at(0.1) >> TimePassed() >> ProvideAuth("/a", {"again": 1}) << frame('40/a,{"again":1}')
    play(script)


def test_a_full_buffer_lets_it_wait_a_little_longer() -> None:
    script = joined("/", "/a", limits=Limits(max_buffered_packets=1)) >> LeaveNamespace("/a") << post(5, "41/a,") << LEFT >> JoinNamespace("/a")
    script = script >> Emit("1") >> at(0.1) >> TimePassed() >> ok(5) << post(6, '42["1"]')
    play(script >> ok(6) << post(7, "40/a,"))


def test_a_server_that_ended_it_may_be_asked_at_once() -> None:
    script = live("/", "/a") >> arrives("41/a,") << NamespaceLeft("/a", CloseReason.SERVER_DISCONNECT)
    play(script >> JoinNamespace("/a") << frame("40/a,"))


# --- No answer at all.


@pytest.mark.parametrize("code", [None, 1000, 1006])
def test_a_websocket_that_is_closed_without_a_code_instead_of_an_answer_may_mean_another_parser(code: int | None) -> None:
    script = fresh(transports=("websocket",)) >> JoinNamespace() >> Connect() << websocket(1, upgrade=False) >> WebSocketOpened(1)
    script = script >> arrives(NO_UPGRADE) << opened(Transport.WEBSOCKET, upgrades=()) << frame("40") >> WebSocketClosed(1, code)
    cause = Cause.CONNECT_CLOSED if code is None else Cause.WEBSOCKET_CLOSED
    error = error_of(tell(script << ends(CloseReason.TRANSPORT_CLOSE, cause)))
    assert (error.__cause__ is not None) == (code is None)


def test_a_session_that_is_closed_instead_of_an_answer_may_mean_another_parser() -> None:
    error = error_of(tell(asked("/", "/a") >> ok(2) >> answer(3, "1") << ends(CloseReason.SERVER_CLOSE, Cause.CONNECT_CLOSED)))
    assert error.fix is not None
    assert "parser" in error.fix


def test_once_anything_was_answered_it_means_what_it_says() -> None:
    for packet, told in ((grant("/a"), granted("/a", "a")), ('44/a,"no"', refused("/a"))):
        script = asked("/", "/a") >> ok(2) >> answer(3, packet) << told << poll(4) >> answer(4, "1")
        script += [NamespaceLeft("/a", CloseReason.SERVER_CLOSE)] if packet == grant("/a") else []
        play(script << ends(CloseReason.SERVER_CLOSE))


def test_a_session_that_never_opened_was_not_closed_instead_of_an_answer() -> None:
    script = fresh(transports=("websocket",)) >> JoinNamespace() >> Connect() << websocket(1, upgrade=False) >> WebSocketClosed(1, None)
    play(script << ends(CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED))


# --- Claims.


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("auth", [{"pid": "p"}, {"token": "t"}, None])
def test_who_claims_a_session_takes_more_before_the_answer(auth: dict[str, object] | None, later: bool) -> None:
    limits = Limits(max_early_events=1, max_recovered_events=3)
    script = live("/", limits=limits) >> JoinNamespace("/a", None if later else auth, deferred=later)
    script = script << AuthNeeded("/a") >> ProvideAuth("/a", auth) if later else script
    payload = "" if auth is None else msgspec.json.encode(auth).decode()
    script = script << frame(f"40/a,{payload}")
    for _ in range(3 if auth == {"pid": "p"} else 1):
        script = script >> arrives('42/a,["early"]')
    script = script >> arrives('42/a,["one too many"]') << frame("1") << hang_up() << NamespaceLeft("/", CloseReason.PARSE_ERROR)
    play(script << ends(CloseReason.PARSE_ERROR, Cause.TOO_MANY_EARLY_EVENTS))
