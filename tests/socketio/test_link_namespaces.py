"""Scripts: which namespaces the next connection asks for, and with what.

A namespace is wanted from the wish until it is left, or until the server refuses or ends it while others live. If it was the last one, the policy
decides whether there is another connection, and that one asks for it again.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import Close, Connect, RequestFailed, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.events import AuthNeeded, CallAnswered, NamespaceLeft, Reconnected
from engineio_lite.socketio.inputs import Emit, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import CloseReason, LinkState, SessionState, Transport
from tests.core.script import NO_UPGRADE, answer, arrives, at, drop_requests, ends, frame, hang_up, ok, opened, poll, post, refuses, websocket
from tests.core.snapshot import fingerprint
from tests.script import play
from tests.socketio.links import (
    Script,
    again,
    asked,
    asking,
    cut,
    grant,
    granted,
    linked,
    nobody_listens,
    reconnecting,
    retrying,
    shows,
    starting,
    wanting,
)
from tests.socketio.script import failed, refused

ALWAYS = ReconnectPolicy(decide=lambda lost: True)
WORD = CloseReason.SERVER_DISCONNECT


def by_polling(*namespaces: str, policy: ReconnectPolicy | None = ALWAYS) -> Script:
    """The session is open by polling, CONNECT has its 200, and poll 3 waits. The next request is number 4."""
    script = wanting(*namespaces, transports=("polling",), policy=policy) >> Connect() << poll(1) >> answer(1, NO_UPGRADE) << opened(upgrades=())
    return script << post(2, *(f"40{'' if namespace == '/' else namespace + ','}" for namespace in namespaces)) << poll(3) >> ok(2)


def reopened(script: Script) -> Script:
    """The session is open on the WebSocket that is being opened."""
    return script >> WebSocketOpened(1) >> arrives(NO_UPGRADE) << opened(Transport.WEBSOCKET, upgrades=())


# --- Refused.


def test_a_namespace_that_is_refused_while_others_live_is_no_longer_wanted() -> None:
    script = asked("/", "/a") >> arrives('44/a,{"message":"no"}') << refused("/a") >> arrives(grant()) << granted() << shows(LinkState.CONNECTED)
    machine = play(again(cut(script)))
    assert not machine.is_wanted("/a")
    assert machine.is_wanted("/")


def test_a_refusal_is_an_answer() -> None:
    script = asking(retrying(cut(linked("/", "/a"), "/", "/a")), "40", "40/a,") >> arrives(grant()) << granted() << shows(LinkState.CONNECTING)
    play(script >> arrives('44/a,"no"') << refused("/a") << Reconnected(1, False) << shows(LinkState.CONNECTED))


def test_a_refusal_before_the_first_grant_is_an_answer_too() -> None:
    script = asking(retrying(cut(linked("/", "/a"), "/", "/a")), "40", "40/a,") >> arrives('44/a,"no"') << refused("/a")
    play(script << shows(LinkState.CONNECTING) >> arrives(grant()) << granted() << Reconnected(1, False) << shows(LinkState.CONNECTED))


def test_a_namespace_that_was_refused_can_be_joined_again() -> None:
    script = linked("/") >> JoinNamespace("/a", {"token": "guess"}) << frame('40/a,{"token":"guess"}') >> arrives('44/a,"no"') << refused("/a")
    script = script >> JoinNamespace("/a", {"token": "letmein"}) << frame('40/a,{"token":"letmein"}') >> arrives(grant("/a")) << granted("/a")
    play(again(cut(script, "/", "/a"), "/", "/a", connects={"/a": '{"token":"letmein"}'}))


def test_a_namespace_that_does_not_answer_is_refused() -> None:
    script = asked("/", "/a", timeouts=Timeouts(namespace=9.0)) >> arrives(grant()) << granted() >> at(9.0) >> TimePassed()
    play(again(cut(script << refused("/a", Cause.CONNECT_UNANSWERED) << shows(LinkState.CONNECTED)), when=10.0))


def test_the_refusal_of_the_last_namespace_is_an_end_by_default() -> None:
    script = asking(retrying(cut(linked("/"))), "40") >> arrives('44{"message":"no longer"}') << refused("/") << frame("1") << hang_up()
    play(script << ends(WORD, Cause.NAMESPACE_REFUSED) << shows(LinkState.CLOSED))


def test_the_refusal_of_the_last_namespace_is_tried_again_if_the_application_wants_it() -> None:
    script = asking(retrying(cut(linked("/", policy=ALWAYS))), "40") >> arrives('44{"message":"not yet"}') << refused("/") << frame("1") << hang_up()
    script = script << StartOver() << reconnecting(2, 2.0, WORD, Cause.NAMESPACE_REFUSED)
    play(again(script, when=3.0, attempts=2))


def test_a_last_namespace_that_does_not_answer_is_tried_again() -> None:
    script = asking(retrying(cut(linked("/", timeouts=Timeouts(namespace=9.0)))), "40") >> at(10.0) >> TimePassed()
    script = script << refused("/", Cause.CONNECT_UNANSWERED) << frame("1") << hang_up() << StartOver()
    play(again(script << reconnecting(2, 2.0, CloseReason.CLIENT_CLOSE, Cause.CONNECT_UNANSWERED), when=12.0, attempts=2))


def test_namespaces_that_are_refused_together_are_asked_for_together() -> None:
    script = by_polling("/", "/a") >> answer(3, '44"no"', '44/a,"no"') << refused("/") << refused("/a") << poll(4) << post(5, "1")
    machine = play(script)
    machine.process(ok(5), 0.0)
    assert machine.link_state is LinkState.CLOSED  # nothing has ever stood
    script = cut(linked("/", "/a", policy=ALWAYS), "/", "/a")
    script = asking(retrying(script), "40", "40/a,") >> arrives('44"no"') << refused("/") >> arrives('44/a,"no"') << refused("/a")
    script = script << frame("1") << hang_up() << StartOver() << reconnecting(2, 2.0, WORD, Cause.NAMESPACE_REFUSED)
    play(again(script, "/a", when=3.0, attempts=2))


# --- Ended by the server.


def test_a_namespace_that_the_server_ends_while_others_live_is_no_longer_wanted() -> None:
    script = linked("/", "/a") >> arrives("41/a,") << NamespaceLeft("/a", WORD) << shows(LinkState.CONNECTED) >> Emit("e", namespace="/a")
    play(again(cut(script << refuses(Cause.NAMESPACE_NOT_CONNECTED))))


def test_a_namespace_that_ends_while_another_has_no_answer_is_an_answer() -> None:
    script = asking(retrying(cut(linked("/", "/a"), "/", "/a")), "40", "40/a,") >> arrives(grant("/a")) << granted("/a")
    script = script >> arrives("41/a,") << NamespaceLeft("/a", WORD) << shows(LinkState.CONNECTING) >> arrives(grant()) << granted()
    play(script << Reconnected(1, False) << shows(LinkState.CONNECTED))


def test_namespaces_that_end_together_are_all_asked_for_again_if_the_application_wants_it() -> None:
    script = by_polling("/", "/a") >> answer(3, grant(), grant("/a")) << granted() << granted("/a") << poll(4)
    script = script >> answer(4, "41", "41/a,", "1") << NamespaceLeft("/", WORD) << NamespaceLeft("/a", WORD)
    script = script << StartOver() << reconnecting(1, 1.0, WORD, None) >> at(1.0) >> TimePassed() << poll(1)
    play(script >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40", "40/a,") << poll(3))


def test_what_ended_alone_before_the_connection_did_is_not_asked_for_again() -> None:
    script = by_polling("/", "/a") >> answer(3, grant(), grant("/a")) << granted() << granted("/a") << poll(4)
    script = script >> Emit("e", namespace="/a", call=1) << post(5, '42/a,0["e"]') >> ok(5)
    script = script >> answer(4, "41/a,", "1") << failed(1, Cause.CLOSED) << NamespaceLeft("/a", WORD) << NamespaceLeft("/", CloseReason.SERVER_CLOSE)
    script = script << StartOver() << reconnecting(1, 1.0, CloseReason.SERVER_CLOSE, None) >> at(1.0) >> TimePassed() << poll(1)
    play(script >> answer(1, NO_UPGRADE) << opened(upgrades=()) << post(2, "40") << poll(3))


# --- Left by us.


def test_a_namespace_that_is_left_is_not_asked_for_again() -> None:
    script = linked("/", "/a") >> LeaveNamespace("/a") << frame("41/a,") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    play(again(cut(script)))


def test_a_namespace_can_be_left_while_there_is_no_connection() -> None:
    script = cut(linked("/", "/a"), "/", "/a") >> LeaveNamespace("/a") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    play(again(script << shows(LinkState.WAITING, deadline=1.0)))


def test_leaving_the_last_one_while_waiting_is_the_end() -> None:
    script = cut(linked("/")) >> LeaveNamespace() << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT) << ends(CloseReason.CLIENT_DISCONNECT)
    play(script << shows(LinkState.CLOSED, deadline=math.inf) >> at(1.0) >> TimePassed())


def test_leaving_the_last_one_on_a_connection_is_the_end_of_both() -> None:
    for script in (linked("/"), again(cut(linked("/")))):
        script = script >> LeaveNamespace() << frame("41") << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT) << frame("1") << hang_up()
        play(script << ends(CloseReason.CLIENT_DISCONNECT) << shows(LinkState.CLOSED))


def test_leaving_the_last_one_before_its_answer_is_the_end_too() -> None:
    script = asking(retrying(cut(linked("/"))), "40") >> LeaveNamespace() << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT)
    play(script << frame("1") << hang_up() << ends(CloseReason.CLIENT_DISCONNECT) << shows(LinkState.CLOSED))


def test_a_line_that_breaks_while_the_last_one_is_being_left_is_not_followed() -> None:
    script = by_polling("/") >> answer(3, grant()) << granted() << poll(4) >> LeaveNamespace() << post(5, "41")
    script = script << NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT) << shows(LinkState.CONNECTED, session=SessionState.CLOSING)
    script = script >> RequestFailed(5, Cause.CONNECTION_LOST, "the server went away") << drop_requests()
    play(script << ends(CloseReason.CLIENT_DISCONNECT, Cause.CONNECTION_LOST, unsent=1) << shows(LinkState.CLOSED))


def test_leaving_the_only_one_without_an_answer_completes_the_connection() -> None:
    script = asking(retrying(cut(linked("/", "/a"), "/", "/a")), "40", "40/a,") >> arrives(grant()) << granted() << shows(LinkState.CONNECTING)
    script = script >> LeaveNamespace("/a") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT) << Reconnected(1, False)
    play(script << shows(LinkState.CONNECTED))


def test_before_the_beginning_a_namespace_is_simply_no_longer_wanted() -> None:
    script = wanting("/", "/a") >> LeaveNamespace("/a") << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    script = script >> LeaveNamespace("/a") << refuses(Cause.NAMESPACE_NOT_CONNECTED)
    play(asking(script >> Connect() << websocket(1, upgrade=False), "40"))


def test_a_client_without_namespaces_is_connected_to_nothing_until_one_is_joined() -> None:
    script = asked() << shows(LinkState.CONNECTING, session=SessionState.OPEN) >> JoinNamespace("/a") << frame("40/a,") >> arrives(grant("/a"))
    play(again(cut(script << granted("/a") << shows(LinkState.CONNECTED), "/a"), "/a"))


def test_a_client_without_namespaces_has_nothing_to_go_on_for() -> None:
    play(starting(policy=ReconnectPolicy(retry_first=True)) >> nobody_listens() << ends(CloseReason.TRANSPORT_ERROR, Cause.CONNECT_REFUSED))


def test_a_leave_that_is_refused_changes_nothing() -> None:
    script = wanting("/", "/a", transports=("polling",), limits=Limits(max_buffered_packets=1)) >> Connect() << poll(1) >> answer(1, NO_UPGRADE)
    script = script << opened(upgrades=()) << post(2, "40", "40/a,") << poll(3) >> ok(2) >> answer(3, grant(pid="p"), grant("/a", pid="q"))
    script = script << granted(pid="p") << granted("/a", pid="q") << poll(4) >> Emit("1") << post(5, '42["1"]') >> Emit("2")
    machine = play(script)
    before = fingerprint(machine)
    play(Script(machine) >> LeaveNamespace("/a") << refuses(Cause.SEND_BUFFER_FULL))
    assert fingerprint(machine) == before
    assert machine.is_connected("/a")


# --- Joined.


def test_a_namespace_can_be_joined_while_there_is_no_connection() -> None:
    play(again(cut(linked("/")) >> JoinNamespace("/a", {"k": 1}), "/", "/a", connects={"/a": '{"k":1}'}))


def test_a_namespace_can_be_joined_while_a_connection_is_made() -> None:
    script = retrying(cut(linked("/"))) >> JoinNamespace("/a")
    script = asking(script, "40", "40/a,") >> arrives(grant()) << granted() << shows(LinkState.CONNECTING)
    play(script >> arrives(grant("/a")) << granted("/a") << Reconnected(1, False) << shows(LinkState.CONNECTED))


def test_a_namespace_that_is_joined_later_does_not_make_a_connection_of_it_twice() -> None:
    script = again(cut(linked("/"))) >> JoinNamespace("/a") << frame("40/a,") << shows(LinkState.CONNECTED)
    play(script >> arrives(grant("/a")) << granted("/a") << shows(LinkState.CONNECTED))


def test_a_namespace_is_joined_once_until_it_is_left() -> None:
    for script in (wanting("/"), asked("/"), linked("/"), cut(linked("/"))):
        machine = play(script)
        before = fingerprint(machine)
        play(Script(machine) >> JoinNamespace() << refuses(Cause.ALREADY_CONNECTED))
        assert fingerprint(machine) == before


def test_a_namespace_that_was_left_is_joined_again_and_its_ids_go_on() -> None:
    script = linked("/", "/a") >> Emit("x", (), "/a", 1) << frame('42/a,0["x"]') >> LeaveNamespace("/a") << frame("41/a,")
    script = script << failed(1, Cause.CLOSED) << NamespaceLeft("/a", CloseReason.CLIENT_DISCONNECT)
    script = script >> JoinNamespace("/a") << shows(deadline=0.1) >> at(0.1) >> TimePassed() << frame("40/a,")
    script = script >> arrives(grant("/a")) << granted("/a")
    script = again(cut(script, "/", "/a"), "/", "/a", when=1.1) >> Emit("x", (), "/a", 2) << frame('42/a,1["x"]')
    play(script >> arrives("43/a,1[]") << CallAnswered(2, []))


def test_ids_go_on_where_the_wish_says() -> None:
    script = Script(play(wanting())) >> JoinNamespace(first_ack_id=7) >> Connect() << websocket(1, upgrade=False)
    script = asking(script, "40") >> arrives(grant()) << granted()
    play(again(cut(script)) >> Emit("x", call=1) << frame('427["x"]'))


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (JoinNamespace("a"), Cause.BAD_NAMESPACE),
        (JoinNamespace("/a,b"), Cause.BAD_NAMESPACE),
        (JoinNamespace("/a,b", deferred=True), Cause.BAD_NAMESPACE),
        (JoinNamespace("/a", ["no object"]), Cause.BAD_OPTION),  # type: ignore[arg-type]  # that is the point
        (JoinNamespace("/a", {"key": object()}), Cause.BAD_MESSAGE),
    ],
)
def test_what_could_never_be_asked_for_is_refused_at_once(wish: JoinNamespace, cause: Cause) -> None:
    for script in (wanting("/"), starting("/"), linked("/"), cut(linked("/"))):
        machine = play(script)
        before = fingerprint(machine)
        play(Script(machine) >> wish << refuses(cause))
        assert fingerprint(machine) == before


def test_as_many_namespaces_are_wanted_as_the_limit() -> None:
    limits = Limits(max_namespaces=2)
    for script in (wanting("/", "/a", limits=limits), linked("/", "/a", limits=limits), cut(linked("/", "/a", limits=limits), "/", "/a")):
        machine = play(script)
        before = fingerprint(machine)
        play(Script(machine) >> JoinNamespace("/b") << refuses(Cause.BAD_NAMESPACE))
        assert fingerprint(machine) == before
        machine.process(LeaveNamespace("/a"), 0.0)
        machine.process(JoinNamespace("/b"), 0.0)
        assert machine.is_wanted("/b")


def test_what_a_namespace_is_asked_for_with_is_a_copy() -> None:
    auth: dict[str, Any] = {"user": {"name": "a"}, "token": "t"}
    machine = play(wanting())
    machine.process(JoinNamespace("/", auth), 0.0)
    auth["user"]["name"] = "b"
    auth["token"] = "u"
    play(asking(Script(machine) >> Connect() << websocket(1, upgrade=False), '40{"user":{"name":"a"},"token":"t"}'))


# --- Asked for when it is needed.


def deferring(*others: str) -> Script:
    """The main namespace is wanted with a payload that comes later, beside others."""
    script = wanting(*others) >> JoinNamespace(deferred=True) >> Connect() << websocket(1, upgrade=False)
    script = reopened(script) << AuthNeeded("/")
    return script + [frame(f"40{namespace},") for namespace in others]


def test_the_payload_is_asked_for_on_each_connection() -> None:
    script = deferring() >> ProvideAuth("/", {"token": 1}) << frame('40{"token":1}') >> arrives(grant()) << granted()
    script = reopened(retrying(cut(script))) << AuthNeeded("/") >> ProvideAuth("/", {"token": 2}) << frame('40{"token":2}')
    script = script >> arrives(grant()) << granted() << Reconnected(1, False)
    script = reopened(retrying(cut(script), 2.0)) << AuthNeeded("/") >> ProvideAuth("/", None) << frame("40")
    play(script >> arrives(grant()) << granted() << Reconnected(1, False))


def test_the_others_do_not_wait_for_it() -> None:
    script = deferring("/a") >> arrives(grant("/a")) << granted("/a") << shows(LinkState.CONNECTING)
    play(script >> ProvideAuth("/", None) << frame("40") >> arrives(grant()) << granted() << shows(LinkState.CONNECTED))


def test_a_payload_that_nobody_waits_for_is_nothing() -> None:
    for machine in (play(wanting("/")), play(linked("/")), play(cut(linked("/"))), _closed()):
        before = fingerprint(machine)
        play(Script(machine) >> ProvideAuth("/", {"late": True}) >> ProvideAuth("/never", None) >> RefuseAuth("/", _error()))
        assert fingerprint(machine) == before


def test_a_refusal_of_our_own_ends_the_wish() -> None:
    script = deferring("/a") >> RefuseAuth("/", _error()) << refused("/", Cause.AUTH_FAILED) >> arrives(grant("/a")) << granted("/a")
    play(again(cut(script, "/a"), "/a"))


def test_a_refusal_of_our_own_for_the_last_one_leaves_it_to_the_policy() -> None:
    script = deferring() >> RefuseAuth("/", _error()) << refused("/", Cause.AUTH_FAILED) << frame("1") << hang_up()
    play(script << ends(CloseReason.CLIENT_CLOSE, Cause.AUTH_FAILED))


def test_what_is_no_payload_is_refused_and_may_be_given_again() -> None:
    machine = play(deferring())
    before = fingerprint(machine)
    wrong: Any = ["no object"]
    play(Script(machine) >> ProvideAuth("/", wrong) << refuses(Cause.BAD_OPTION) >> ProvideAuth("/", {"k": object()}) << refuses(Cause.BAD_MESSAGE))
    assert fingerprint(machine) == before
    play(Script(machine) >> ProvideAuth("/", {}) << frame("40{}"))


def test_a_payload_that_does_not_come_is_an_answer_that_does_not_come() -> None:
    script = wanting("/a", timeouts=Timeouts(namespace=9.0)) >> JoinNamespace(deferred=True) >> Connect() << websocket(1, upgrade=False)
    script = reopened(script) << AuthNeeded("/") << frame("40/a,") >> arrives(grant("/a")) << granted("/a") >> at(9.0) >> TimePassed()
    play(again(cut(script << refused("/", Cause.CONNECT_UNANSWERED) >> ProvideAuth("/", None), "/a"), "/a", when=10.0))


def _error() -> EngineIOError:
    return EngineIOError("nobody knows the password", cause=Cause.AUTH_FAILED)


def _closed() -> SocketIOLink:
    machine = play(linked("/"))
    machine.process(Close(), 0.0)
    return machine
