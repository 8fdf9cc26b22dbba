"""The namespace table, exhaustively and through the real machine: every state, every input.

The table is the specification: what it has for a state and an input is the state that the machine must show afterwards; what it has not is illegal.
An illegal wish raises `LocalProtocolError` and changes nothing, down to the last attribute; nothing that a server can send is illegal for a namespace
(the table says so, and a test holds it to that), and a deadline that is illegal is one that never comes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from engineio_lite.events import Closed
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import TimePassed, WebSocketClosed
from engineio_lite.limits import Timeouts
from engineio_lite.socketio.connection import Output, SocketIOConnection
from engineio_lite.socketio.events import PacketIgnored
from engineio_lite.socketio.inputs import Emit, Input, JoinNamespace, LeaveNamespace
from engineio_lite.state import NAMESPACE, NamespaceInput, NamespaceState, SessionState
from tests.core.script import arrives, frame
from tests.core.snapshot import fingerprint
from tests.socketio.script import Script, grant, live, play

NAME = "/x"
TIMEOUT = 10.0

INPUTS: dict[NamespaceInput, Input] = {
    NamespaceInput.CONNECT: JoinNamespace(NAME),
    NamespaceInput.RECEIVE_CONNECT: arrives(grant(NAME)),
    NamespaceInput.RECEIVE_CONNECT_ERROR: arrives('44/x,"no"'),
    NamespaceInput.RECEIVE_EVENT: arrives('42/x,["event"]'),
    NamespaceInput.RECEIVE_ACK: arrives("43/x,0[]"),
    NamespaceInput.RECEIVE_DISCONNECT: arrives("41/x,"),
    NamespaceInput.EMIT: Emit("event", namespace=NAME, call=1),
    NamespaceInput.DISCONNECT: LeaveNamespace(NAME),
    NamespaceInput.DEADLINE: TimePassed(),
    NamespaceInput.ENGINE_CLOSED: WebSocketClosed(1, 1006),
}

WISHES = frozenset({NamespaceInput.CONNECT, NamespaceInput.EMIT, NamespaceInput.DISCONNECT})


def _anchored() -> Script:
    """Another namespace is joined, so that the one under test can come and go."""
    return live("/", timeouts=Timeouts(namespace=TIMEOUT))


def _never_joined() -> SocketIOConnection:
    return play(_anchored())


def _left() -> SocketIOConnection:
    connection = _connected()
    connection.process(LeaveNamespace(NAME), 0.0)
    return connection


def _refused() -> SocketIOConnection:
    connection = _connecting()
    connection.process(arrives('44/x,"no"'), 0.0)
    return connection


def _connecting() -> SocketIOConnection:
    return play(_anchored() >> JoinNamespace(NAME) << frame("40/x,"))


def _connecting_with_early_events() -> SocketIOConnection:
    connection = _connecting()
    connection.process(arrives('42/x,["early"]'), 0.0)
    return connection


def _connected() -> SocketIOConnection:
    connection = _connecting()
    connection.process(arrives(grant(NAME)), 0.0)
    return connection


def _connected_with_a_call() -> SocketIOConnection:
    connection = _connected()
    connection.process(Emit("asked", namespace=NAME, call=0, timeout=100.0), 0.0)
    return connection


WAYS: dict[Callable[[], SocketIOConnection], NamespaceState] = {
    _never_joined: NamespaceState.DISCONNECTED,
    _left: NamespaceState.DISCONNECTED,
    _refused: NamespaceState.DISCONNECTED,
    _connecting: NamespaceState.CONNECTING,
    _connecting_with_early_events: NamespaceState.CONNECTING,
    _connected: NamespaceState.CONNECTED,
    _connected_with_a_call: NamespaceState.CONNECTED,
}

PAIRS = list(product(WAYS, NamespaceInput))
LEGAL = [(way, input) for way, input in PAIRS if (WAYS[way], input) in NAMESPACE]
ILLEGAL_WISHES = [(way, input) for way, input in PAIRS if (WAYS[way], input) not in NAMESPACE and input in WISHES]
OTHERS = [(way, input) for way, input in PAIRS if (way, input) not in LEGAL and (way, input) not in ILLEGAL_WISHES]


def _name(value: object) -> str:
    return value.value if isinstance(value, NamespaceInput) else getattr(value, "__name__", "").strip("_").replace("_", " ")


def _put(connection: SocketIOConnection, input: NamespaceInput) -> list[Output]:
    return connection.process(INPUTS[input], TIMEOUT if input is NamespaceInput.DEADLINE else 0.0)


def test_there_is_a_way_into_every_state_and_a_form_of_every_input() -> None:
    assert set(WAYS.values()) == set(NamespaceState)
    assert set(INPUTS) == set(NamespaceInput)


def test_what_a_server_can_send_is_legal_in_every_state() -> None:
    from_the_server = [input for input in NamespaceInput if input.name.startswith("RECEIVE")] + [NamespaceInput.ENGINE_CLOSED]
    assert all((state, input) in NAMESPACE for state in NamespaceState for input in from_the_server)


@pytest.mark.parametrize("way", WAYS, ids=_name)
def test_the_ways_lead_where_they_should(way: Callable[[], SocketIOConnection]) -> None:
    assert way().namespace_state(NAME) is WAYS[way]


@pytest.mark.parametrize(("way", "input"), LEGAL, ids=_name)
def test_a_legal_input_leads_to_the_state_of_the_table(way: Callable[[], SocketIOConnection], input: NamespaceInput) -> None:
    connection = way()
    outputs = _put(connection, input)
    ended = input is NamespaceInput.ENGINE_CLOSED
    assert connection.namespace_state(NAME) is NAMESPACE[WAYS[way], input]
    assert connection.namespace_state("/") is (NamespaceState.DISCONNECTED if ended else NamespaceState.CONNECTED)
    assert connection.state is (SessionState.CLOSED if ended else SessionState.OPEN)
    assert [type(output) is Closed for output in outputs] == [False] * (len(outputs) - ended) + [True] * ended


@pytest.mark.parametrize(("way", "input"), ILLEGAL_WISHES, ids=_name)
def test_an_illegal_wish_is_refused_and_changes_nothing(way: Callable[[], SocketIOConnection], input: NamespaceInput) -> None:
    connection = way()
    assert connection.process(TimePassed(), 0.0) == []  # so that what came out last is out of the comparison
    before = fingerprint(connection)
    with pytest.raises(LocalProtocolError):
        _put(connection, input)
    assert fingerprint(connection) == before


@pytest.mark.parametrize(("way", "input"), OTHERS, ids=_name)
def test_what_else_is_not_in_the_table_is_a_deadline_that_does_not_come(way: Callable[[], SocketIOConnection], input: NamespaceInput) -> None:
    assert input is NamespaceInput.DEADLINE
    connection = way()
    assert _put(connection, input) == []
    assert connection.namespace_state(NAME) is WAYS[way]


@pytest.mark.parametrize("way", [way for way, state in WAYS.items() if state is NamespaceState.DISCONNECTED], ids=_name)
def test_what_arrives_for_a_namespace_that_is_not_joined_is_ignored_visibly(way: Callable[[], SocketIOConnection]) -> None:
    connection = way()
    for input in (NamespaceInput.RECEIVE_CONNECT_ERROR, NamespaceInput.RECEIVE_EVENT, NamespaceInput.RECEIVE_ACK, NamespaceInput.RECEIVE_DISCONNECT):
        (output,) = _put(connection, input)
        assert isinstance(output, PacketIgnored)
        assert output.packet.namespace == NAME
