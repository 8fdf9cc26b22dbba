"""The table of the link, exhaustively and through the real machine: every state, every input.

As for the namespaces, the table is the specification: what it has for a state and an input is the state that the machine must show afterwards. What
it has not is either a wish that is refused and changes nothing, down to the last attribute, or something that cannot happen there: no connection is
there that could be lost or be granted anything, no try is due. Then nothing comes out, and the state stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest

from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, StartOver
from engineio_lite.events import Closed
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import Close, Connect, TimePassed
from engineio_lite.socketio.events import NamespaceConnected, Reconnecting
from engineio_lite.socketio.inputs import ClientInput, JoinNamespace
from engineio_lite.socketio.link import Output, SocketIOLink
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import LINK, LinkInput, LinkState, SessionState
from tests.core.script import arrives
from tests.core.snapshot import fingerprint
from tests.script import play
from tests.socketio.links import again, asked, asking, cut, grant, granted, linked, nobody_listens, retrying, shows, starting, vanishes, wanting

PERSISTENT = ReconnectPolicy(retry_first=True)
NOW = 1.0

INPUTS: dict[LinkInput, ClientInput] = {
    LinkInput.CONNECT: Connect(),
    LinkInput.JOINED: arrives(grant()),
    LinkInput.LOST: vanishes(),
    LinkInput.RETRY: TimePassed(),
    LinkInput.END: Close(),
}


def _idle() -> SocketIOLink:
    return play(wanting("/", policy=PERSISTENT))


def _asked() -> SocketIOLink:
    return play(asked("/", policy=PERSISTENT))


def _asked_again() -> SocketIOLink:
    return play(asking(retrying(cut(linked("/"))), "40"))


def _connected() -> SocketIOLink:
    return play(linked("/"))


def _connected_again() -> SocketIOLink:
    return play(again(cut(linked("/"))))


def _waiting() -> SocketIOLink:
    return play(cut(linked("/")))


def _waiting_for_a_first_one() -> SocketIOLink:
    link = play(starting("/", policy=PERSISTENT))
    link.process(nobody_listens(), 0.0)
    return link


def _closed() -> SocketIOLink:
    link = _connected()
    link.process(Close(), 0.0)
    return link


def _closed_while_waiting() -> SocketIOLink:
    link = _waiting()
    link.process(Close(), 0.0)
    return link


def _closed_before_it_began() -> SocketIOLink:
    link = _idle()
    link.process(Close(), 0.0)
    return link


def _lost_for_good() -> SocketIOLink:
    link = play(linked("/", policy=None))
    link.process(vanishes(), 0.0)
    return link


WAYS: dict[Callable[[], SocketIOLink], LinkState] = {
    _idle: LinkState.IDLE,
    _asked: LinkState.CONNECTING,
    _asked_again: LinkState.CONNECTING,
    _connected: LinkState.CONNECTED,
    _connected_again: LinkState.CONNECTED,
    _waiting: LinkState.WAITING,
    _waiting_for_a_first_one: LinkState.WAITING,
    _closed: LinkState.CLOSED,
    _closed_while_waiting: LinkState.CLOSED,
    _closed_before_it_began: LinkState.CLOSED,
    _lost_for_good: LinkState.CLOSED,
}

PAIRS = list(product(WAYS, LinkInput))
LEGAL = [(way, input) for way, input in PAIRS if (WAYS[way], input) in LINK]
REFUSED = [(way, input) for way, input in PAIRS if (way, input) not in LEGAL and input is LinkInput.CONNECT]
IMPOSSIBLE = [(way, input) for way, input in PAIRS if (way, input) not in LEGAL and input is not LinkInput.CONNECT]


def _name(value: object) -> str:
    return value.value if isinstance(value, LinkInput) else getattr(value, "__name__", "").strip("_").replace("_", " ")


def _put(link: SocketIOLink, input: LinkInput) -> list[Output]:
    if input is LinkInput.JOINED and link.link_state is LinkState.CONNECTED:
        link.process(JoinNamespace("/later"), NOW)
        return link.process(arrives(grant("/later")), NOW)
    return link.process(INPUTS[input], NOW)


def _counted(outputs: Sequence[object], *kinds: type) -> list[int]:
    return [sum(type(output) is kind for output in outputs) for kind in kinds]


# --- The table as a table.


def test_every_state_is_reachable_and_every_input_is_used() -> None:
    found = {LinkState.IDLE}
    while True:
        more = {after for (before, _), after in LINK.items() if before in found} - found
        if not more:
            break
        found |= more
    assert found == set(LinkState)
    assert {input for _, input in LINK} == set(LinkInput)


def test_a_link_that_is_closed_stays_closed_and_every_link_can_be_closed() -> None:
    assert {after for (before, _), after in LINK.items() if before is LinkState.CLOSED} == {LinkState.CLOSED}
    assert all(LINK[state, LinkInput.END] is LinkState.CLOSED for state in LinkState)


def test_a_connection_is_made_only_where_there_is_none() -> None:
    makers = {before for (before, _), after in LINK.items() if after is LinkState.CONNECTING}
    assert makers == {LinkState.IDLE, LinkState.WAITING}


# --- The table and the machine.


def test_there_is_a_way_into_every_state_and_a_form_of_every_input() -> None:
    assert set(WAYS.values()) == set(LinkState)
    assert set(INPUTS) == set(LinkInput)


@pytest.mark.parametrize("way", WAYS, ids=_name)
def test_the_ways_lead_where_they_should(way: Callable[[], SocketIOLink]) -> None:
    assert way().link_state is WAYS[way]


@pytest.mark.parametrize(("way", "input"), LEGAL, ids=_name)
def test_a_legal_input_leads_to_the_state_of_the_table(way: Callable[[], SocketIOLink], input: LinkInput) -> None:
    link = way()
    before = link.link_state
    outputs = _put(link, input)
    after = LINK[before, input]
    assert link.link_state is after
    begins = after is LinkState.CONNECTING
    waits = after is LinkState.WAITING
    ends = after is LinkState.CLOSED and before is not LinkState.CLOSED
    joins = input is LinkInput.JOINED
    assert _counted(outputs, OpenWebSocket, StartOver, Reconnecting, NamespaceConnected, Closed) == [begins, waits, waits, joins, ends]
    if ends:
        assert type(outputs[-1]) is Closed
    assert (link.connection is None) == (after in (LinkState.WAITING, LinkState.CLOSED))
    assert (link.deadline == math.inf) == (after is LinkState.CLOSED)
    assert (link.state is SessionState.CLOSED) == (after is LinkState.CLOSED)


@pytest.mark.parametrize(("way", "input"), REFUSED, ids=_name)
def test_a_wish_that_is_illegal_is_refused_and_changes_nothing(way: Callable[[], SocketIOLink], input: LinkInput) -> None:
    link = way()
    before = fingerprint(link)
    with pytest.raises(LocalProtocolError) as caught:
        _put(link, input)
    assert caught.value.cause is Cause.ALREADY_CONNECTED
    assert fingerprint(link) == before


@pytest.mark.parametrize(("way", "input"), IMPOSSIBLE, ids=_name)
def test_what_else_is_not_in_the_table_does_nothing(way: Callable[[], SocketIOLink], input: LinkInput) -> None:
    link = way()
    if input is LinkInput.RETRY:
        link.process(TimePassed(), 0.5)  # of the connection's own deadlines none is due later on
    before = fingerprint(link)
    assert _put(link, input) == []
    assert fingerprint(link) == before
    assert link.link_state is WAYS[way]


def test_a_link_that_wants_two_namespaces_is_connected_with_the_second_answer() -> None:
    script = asked("/", "/a") >> arrives(grant()) << granted() << shows(LinkState.CONNECTING)
    play(script >> arrives(grant("/a")) << granted("/a") << shows(LinkState.CONNECTED))
