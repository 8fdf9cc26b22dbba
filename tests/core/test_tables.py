"""Every state of the three tables, met with every input.

The tables are small, so nothing is sampled. For the session and the upgrade each pair is *driven through the real connection*: a connection is
brought into the state, the input is produced as the world would produce it (a packet in a poll's body, a frame, a lost socket, the clock), and what
the connection then shows is compared with the table. For pairs that the table leaves out, three outcomes are legitimate and no other: the caller's
fault is raised and leaves everything as it was; the peer's fault ends the session with an error; something that came too late is ignored and leaves
everything as it was.

The table of the namespaces is checked as a table; the machine that follows it is another room's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest

from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Upgraded
from engineio_lite.exceptions import LocalProtocolError, RemoteProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.state import (
    NAMESPACE,
    SESSION,
    UPGRADE,
    NamespaceInput,
    NamespaceState,
    SessionInput,
    SessionState,
    UpgradeInput,
    UpgradeState,
)
from tests.core.script import (
    OPEN,
    Script,
    answer,
    arrives,
    at,
    connecting,
    feed,
    frame,
    just_opened,
    ok,
    on_websocket,
    pausing,
    play,
    poll,
    polled,
    polling,
    post,
    probing,
    upgrade_fails,
    websocket,
    websocket_only,
)
from tests.core.snapshot import fingerprint, fork

S = TypeVar("S", bound=str)
I = TypeVar("I", bound=str)  # noqa: E741
ERROR = RemoteProtocolError("the layer above is unhappy", cause=Cause.BAD_JSON)

PACKETS = {
    SessionInput.RECEIVE_OPEN: OPEN,
    SessionInput.RECEIVE_PING: "2",
    SessionInput.RECEIVE_PONG: "3",
    SessionInput.RECEIVE_MESSAGE: "4a",
    SessionInput.RECEIVE_UPGRADE: "5",
    SessionInput.RECEIVE_NOOP: "6",
    SessionInput.RECEIVE_CLOSE: "1",
}
CALLS: dict[SessionInput, Input] = {
    SessionInput.CONNECT: Connect(),
    SessionInput.SEND_MESSAGE: SendMessages(("a",)),
    SessionInput.CLOSE: Close(),
    SessionInput.FAIL: Fail(ERROR),
}

# --- The tables as tables.


def reachable(table: Mapping[tuple[S, I], S], start: S) -> set[S]:
    found, waiting = {start}, deque([start])
    while waiting:
        state = waiting.popleft()
        for (before, _), after in table.items():
            if before == state and after not in found:
                found.add(after)
                waiting.append(after)
    return found


def test_every_state_is_reachable() -> None:
    assert reachable(SESSION, SessionState.IDLE) == set(SessionState)
    assert reachable(UPGRADE, UpgradeState.NONE) == set(UpgradeState)
    assert reachable(NAMESPACE, NamespaceState.DISCONNECTED) == set(NamespaceState)


def test_every_input_is_used_and_none_is_unknown() -> None:
    assert {happening for _, happening in SESSION} == set(SessionInput)
    assert {happening for _, happening in UPGRADE} == set(UpgradeInput)
    assert {happening for _, happening in NAMESPACE} == set(NamespaceInput)
    for table, states in ((SESSION, SessionState), (UPGRADE, UpgradeState), (NAMESPACE, NamespaceState)):
        assert {state for state, _ in table} | set(table.values()) <= set(states)


def test_a_closed_session_stays_closed() -> None:
    assert {after for (before, _), after in SESSION.items() if before is SessionState.CLOSED} == {SessionState.CLOSED}


def test_a_session_never_goes_back() -> None:
    order = list(SessionState)
    assert all(order.index(before) <= order.index(after) for (before, _), after in SESSION.items())


def test_an_upgrade_that_is_done_stays_done() -> None:
    assert {after for (before, _), after in UPGRADE.items() if before is UpgradeState.DONE} == {UpgradeState.DONE}


def test_an_upgrade_is_done_only_through_the_pause() -> None:
    assert {pair for pair, after in UPGRADE.items() if after is UpgradeState.DONE and pair[0] is not UpgradeState.DONE} == {
        (UpgradeState.PAUSING, UpgradeInput.DRAINED)
    }


def test_every_upgrade_can_be_abandoned() -> None:
    assert all((state, UpgradeInput.ABANDON) in UPGRADE for state in UpgradeState)
    unfinished = {UpgradeState.CONNECTING, UpgradeState.PROBING, UpgradeState.PAUSING, UpgradeState.REPAIRING}
    assert {UPGRADE[state, UpgradeInput.ABANDON] for state in unfinished} == {UpgradeState.FAILED}


def test_a_namespace_comes_back_to_disconnected_from_everywhere() -> None:
    assert {NAMESPACE[state, NamespaceInput.ENGINE_CLOSED] for state in NamespaceState} == {NamespaceState.DISCONNECTED}


def test_a_namespace_may_emit_only_when_it_is_connected() -> None:
    assert [state for state in NamespaceState if (state, NamespaceInput.EMIT) in NAMESPACE] == [NamespaceState.CONNECTED]


def test_nothing_the_peer_sends_to_a_namespace_is_illegal() -> None:
    received = [happening for happening in NamespaceInput if happening.startswith("receive")]
    assert len(received) == 5
    assert all((state, happening) in NAMESPACE for state in NamespaceState for happening in received)


@pytest.mark.parametrize("table", [SESSION, UPGRADE, NAMESPACE])
def test_the_tables_cannot_be_changed(table: Mapping[object, object]) -> None:
    with pytest.raises(TypeError):
        table[next(iter(table))] = None  # type: ignore[index]


# --- The session, driven.


def polling_session(state: SessionState) -> EngineIOConnection:
    scripts: dict[SessionState, Callable[[], Script]] = {
        SessionState.IDLE: lambda: polling(),
        SessionState.OPENING: lambda: polling() >> Connect() << poll(1),
        SessionState.OPEN: polled,
        SessionState.CLOSING: lambda: polled() >> Close() << post(3, "1"),
        SessionState.CLOSED: lambda: polled() >> Fail(ERROR),
    }
    return into(scripts[state](), state)


def websocket_session(state: SessionState) -> EngineIOConnection:
    scripts: dict[SessionState, Callable[[], Script]] = {
        SessionState.IDLE: websocket_only,
        SessionState.OPENING: lambda: websocket_only() >> Connect() << websocket(1, upgrade=False) >> WebSocketOpened(1),
        SessionState.OPEN: on_websocket,
        SessionState.CLOSED: lambda: on_websocket() >> Fail(ERROR),
    }
    return into(scripts[state](), state)


def upgraded_session(state: SessionState) -> EngineIOConnection:
    scripts: dict[SessionState, Callable[[], Script]] = {SessionState.OPEN: upgraded, SessionState.CLOSED: lambda: upgraded() >> Fail(ERROR)}
    return into(scripts[state](), state)


def upgraded() -> Script:
    return pausing() >> answer(2, "6") << frame("5") << Upgraded()


def into(script: Script, state: SessionState) -> EngineIOConnection:
    """Live through a script whose last input may answer with anything, and make sure of where it leads."""
    steps = [step for step in script.steps if not isinstance(step[0], Fail)]
    conn = play(Script(script.connection, steps))
    if len(steps) < len(script.steps):
        conn.process(Fail(ERROR), 0.0)
    assert conn.state is state
    return conn


WAYS: list[tuple[Callable[[SessionState], EngineIOConnection], SessionState]] = [
    *((polling_session, state) for state in SessionState),
    # A session on a WebSocket needs no time to close.
    *((websocket_session, state) for state in SessionState if state is not SessionState.CLOSING),
    (upgraded_session, SessionState.OPEN),
    (upgraded_session, SessionState.CLOSED),
]


def produce(way: object, state: SessionState, happening: SessionInput) -> Input | None:
    """Make the input as the outside would; None where only the inside can (`drained`)."""
    if happening in CALLS:
        return CALLS[happening]
    if happening is SessionInput.DRAINED:
        return ok(3) if (way, state) == (polling_session, SessionState.CLOSING) else None
    text = PACKETS[happening]
    if way is polling_session:
        return answer(1 if state is SessionState.OPENING else 2, text)
    return arrives(text)


@pytest.mark.parametrize("happening", SessionInput)
@pytest.mark.parametrize(("way", "state"), WAYS)
def test_session_state_times_input(way: Callable[[SessionState], EngineIOConnection], state: SessionState, happening: SessionInput) -> None:
    conn = way(state)
    event = produce(way, state, happening)
    if event is None:
        return
    expected = SESSION.get((state, happening))
    if way is websocket_session and expected is SessionState.CLOSING:
        expected = SessionState.CLOSED
    if way is upgraded_session and expected is SessionState.CLOSING:
        expected = SessionState.CLOSED
    before = fingerprint(conn)
    if expected is None and happening in CALLS:
        with pytest.raises(LocalProtocolError):
            conn.process(event, 1.0)
        assert fingerprint(conn) == before
        return
    outputs = conn.process(event, 1.0)
    if expected is not None:
        assert conn.state is expected
    elif conn.state is SessionState.CLOSED:
        closed = outputs[-1]
        assert isinstance(closed, Closed)
        assert isinstance(closed.error, RemoteProtocolError)
    else:
        # Nothing was asked for yet, so nothing can have been answered.
        assert state is SessionState.IDLE
        assert (outputs, fingerprint(conn)) == ([], before)
    if state is SessionState.CLOSED:
        assert outputs == []
    elif conn.state is SessionState.CLOSED:
        assert [type(output) for output in outputs].count(Closed) == 1
        assert isinstance(outputs[-1], Closed)


@pytest.mark.parametrize(("way", "state"), WAYS)
def test_a_transport_that_is_lost_is_a_failure_in_every_state(way: Callable[[SessionState], EngineIOConnection], state: SessionState) -> None:
    conn = way(state)
    lost: Input
    if way is polling_session:
        # While leaving only the POST counts: a server may well refuse the GET of a session that ends.
        lost = RequestFailed({SessionState.OPENING: 1, SessionState.CLOSING: 3}.get(state, 2), Cause.CONNECTION_LOST, "reset")
    else:
        lost = WebSocketFailed(1, Cause.CONNECTION_LOST, "reset")
    outputs = conn.process(lost, 1.0)
    assert conn.state is (SessionState.IDLE if state is SessionState.IDLE else SessionState.CLOSED)
    assert [type(output) for output in outputs].count(Closed) == (state not in (SessionState.IDLE, SessionState.CLOSED))


@pytest.mark.parametrize(("way", "state"), WAYS)
def test_the_deadline_is_a_failure_in_every_state_that_has_one(way: Callable[[SessionState], EngineIOConnection], state: SessionState) -> None:
    conn = way(state)
    outputs = conn.process(TimePassed(), 1000.0)
    assert conn.state is (SessionState.IDLE if state is SessionState.IDLE else SessionState.CLOSED)
    assert [type(output) for output in outputs].count(Closed) == (state not in (SessionState.IDLE, SessionState.CLOSED))


@pytest.mark.parametrize("refused", [Connect(), SendMessages(("a",)), SendMessages(("\ud800",)), SendMessages(("a\x1eb",)), Fail(ERROR)])
@pytest.mark.parametrize(("way", "state"), WAYS)
def test_a_refused_call_changes_nothing_that_could_be_seen_later(
    way: Callable[[SessionState], EngineIOConnection], state: SessionState, refused: Input
) -> None:
    conn = way(state)
    twin = fork(conn)
    try:
        twin.process(refused, 1.0)
    except LocalProtocolError:
        pass
    else:
        return
    future: list[Input] = [
        Connect(),
        answer(1, OPEN),
        arrives(OPEN),
        TimePassed(),
        answer(2, "2", "4a"),
        arrives("2"),
        ok(3),
        SendMessages(("b",)),
        TimePassed(),
        Close(("bye",)),
        ok(4),
        ok(5),
        TimePassed(),
    ]
    for now, happening in enumerate(future, 2):
        results: list[object] = []
        for one in (conn, twin):
            try:
                results.append(fingerprint(tuple(one.process(happening, float(now)))))
            except LocalProtocolError as error:
                results.append(str(error))
        assert results[0] == results[1]
        assert fingerprint(conn) == fingerprint(twin)


# --- The upgrade, driven.


def upgrade_in(state: UpgradeState) -> tuple[EngineIOConnection, float]:
    """Bring a connection into a state of the upgrade; also when that was."""
    failed = connecting() >> WebSocketRefused(1, 502, (), b"") << upgrade_fails()
    scripts: dict[UpgradeState, Callable[[], Script]] = {
        UpgradeState.NONE: lambda: just_opened(upgrades=("websocket",)),
        UpgradeState.CONNECTING: connecting,
        UpgradeState.PROBING: probing,
        UpgradeState.PAUSING: pausing,
        UpgradeState.DONE: upgraded,
        UpgradeState.FAILED: lambda: failed >> answer(2, "6") << poll(3) >> answer(3, "6") << poll(4) >> at(1.0),
        UpgradeState.REPAIRING: lambda: failed,
    }
    conn = play(scripts[state]())
    if state is UpgradeState.REPAIRING:
        for number in range(2, 6):
            conn.process(answer(number, "6"), 0.0)
    assert conn.upgrade_state is state
    assert conn.state is SessionState.OPEN
    return conn, 0.0


def upgrade_inputs(state: UpgradeState) -> dict[str, tuple[UpgradeInput, Input, float]]:
    """Everything that can happen to an upgrade, made as the outside makes it; `start`, `drained`, `stuck` where something outside leads there."""
    socket = 2 if state is UpgradeState.REPAIRING else 1
    happenings: dict[str, tuple[UpgradeInput, Input, float]] = {
        "opened": (UpgradeInput.SOCKET_OPENED, WebSocketOpened(socket), 0.1),
        "refused": (UpgradeInput.SOCKET_LOST, WebSocketRefused(socket, 502, (), b""), 0.1),
        "failed": (UpgradeInput.SOCKET_LOST, WebSocketFailed(socket, Cause.CONNECTION_LOST, "reset"), 0.1),
        "closed": (UpgradeInput.SOCKET_LOST, WebSocketClosed(socket, 1000), 0.1),
        "probe": (UpgradeInput.RECEIVE_PROBE, arrives("3probe", socket), 0.1),
        "noop": (UpgradeInput.RECEIVE_NOOP, arrives("6", socket), 0.1),
        "deadline": (UpgradeInput.DEADLINE, TimePassed(), 10.0),
        "leave": (UpgradeInput.ABANDON, Close(), 0.1),
        "unhappy": (UpgradeInput.ABANDON, Fail(ERROR), 0.1),
        "lost": (UpgradeInput.ABANDON, RequestFailed(2, Cause.CONNECTION_LOST, "reset"), 0.1),
    }
    for text in ("4x", "2", "2probe", "3", "1", "5", "", "9", "0{}"):
        happenings[f"frame {text!r}"] = (UpgradeInput.RECEIVE_OTHER, arrives(text, socket), 0.1)
    happenings["binary frame"] = (UpgradeInput.RECEIVE_OTHER, arrives(b"x", socket), 0.1)
    if state is UpgradeState.NONE:
        happenings["start"] = (UpgradeInput.START, TimePassed(), 0.1)
        del happenings["deadline"]
    if state is UpgradeState.PAUSING:
        happenings["drained"] = (UpgradeInput.DRAINED, answer(2, "6"), 0.1)
        # One answer is what the probe needs; a second one is as silly as anything else.
        happenings["probe"] = (UpgradeInput.RECEIVE_OTHER, arrives("3probe"), 0.1)
    if state is UpgradeState.FAILED:
        happenings["stuck"] = (UpgradeInput.STUCK, answer(4, "6"), 0.01)
    return happenings


PAIRS = [(state, name) for state in UpgradeState for name in upgrade_inputs(state)]


@pytest.mark.parametrize(("state", "name"), PAIRS)
def test_upgrade_state_times_input(state: UpgradeState, name: str) -> None:
    conn, _ = upgrade_in(state)
    happening, event, now = upgrade_inputs(state)[name]
    expected = UPGRADE.get((state, happening))
    before = fingerprint(conn)
    outputs = conn.process(event, now)
    if state is UpgradeState.DONE:
        # From here on the socket is the session's, and what happens to it happens to the session.
        assert conn.upgrade_state is UpgradeState.DONE
    elif name == "lost" and state is UpgradeState.NONE:
        assert (outputs, fingerprint(conn)) == ([], before)
    elif expected is not None and not (name == "lost" and state in (UpgradeState.FAILED, UpgradeState.REPAIRING)):
        assert conn.upgrade_state is expected
    elif conn.state is SessionState.CLOSED:
        assert isinstance(outputs[-1], Closed)
        assert outputs[-1].error is not None
    else:
        assert conn.upgrade_state is state
        assert fingerprint(conn) == before or happening is UpgradeInput.DEADLINE or isinstance(event, TimePassed)
        assert outputs == [] or happening is UpgradeInput.DEADLINE


@pytest.mark.parametrize("state", [UpgradeState.CONNECTING, UpgradeState.PROBING, UpgradeState.PAUSING])
def test_every_failure_of_an_upgrade_leaves_the_session_open_and_polling(state: UpgradeState) -> None:
    for name, (happening, _, _) in upgrade_inputs(state).items():
        if UPGRADE.get((state, happening)) is not UpgradeState.FAILED or happening is UpgradeInput.ABANDON:
            continue
        conn, _ = upgrade_in(state)
        _, event, now = upgrade_inputs(state)[name]
        conn.process(event, now)
        assert (name, conn.state, conn.upgrade_state) == (name, SessionState.OPEN, UpgradeState.FAILED)
        assert feed(conn, answer(2, "4a"), now)[1:] == [poll(3)]


def test_the_joint_rules_hold() -> None:
    # A session that closes abandons the upgrade; one that began on a WebSocket has none.
    for state in UpgradeState:
        conn, now = upgrade_in(state)
        conn.process(Fail(ERROR), now)
        assert conn.state is SessionState.CLOSED
        assert conn.upgrade_state is UPGRADE[state, UpgradeInput.ABANDON]
    conn = websocket_session(SessionState.OPEN)
    assert conn.upgrade_state is UpgradeState.NONE
    for event in (arrives("3probe"), arrives("6"), TimePassed(), FrameReceived(2, "3probe"), WebSocketOpened(2)):
        conn.process(event, 1.0)
        assert conn.upgrade_state is UpgradeState.NONE


def test_fingerprints_can_be_compared() -> None:
    conn, _ = upgrade_in(UpgradeState.PAUSING)
    twin = fork(conn)
    assert fingerprint(twin) == fingerprint(conn)
    twin.process(SendMessages(("a",)), 1.0)
    assert fingerprint(twin) != fingerprint(conn)
