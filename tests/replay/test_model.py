"""Our client and our server between them lose, double and reorder nothing, whatever the interleaving.

As `tests.core.test_model` does it: exhaustively for short stories around the upgrade, at random for long ones, ``ENGINEIO_LITE_MODEL=thorough`` for
much longer searches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from engineio_lite.state import SessionState, UpgradeState
from tests.core.explorer import Budget, explore
from tests.core.test_model import DEEPER, SETTINGS, Interleavings, check
from tests.replay.world import ReplayWorld, make_replay_world


class Upgrading(Interleavings):
    """Opens by polling, moves to a WebSocket if it can."""

    seen: ClassVar[set[str]] = set()

    @initialize(harsh=st.sampled_from([False, False, False, True]), max_payload=st.sampled_from([30, 100, 1000]))
    def connect(self, harsh: bool, max_payload: int) -> None:
        self.world = make_replay_world(transports=self.transports, harsh=harsh, max_payload=max_payload)


class Polling(Upgrading):
    transports = ("polling",)
    seen: ClassVar[set[str]] = set()


class OnWebSocket(Upgrading):
    transports = ("websocket",)
    seen: ClassVar[set[str]] = set()


@pytest.mark.timeout(1800)
def test_no_long_history_loses_doubles_or_reorders_a_message() -> None:
    Upgrading.seen.clear()
    run_state_machine_as_test(Upgrading, settings=SETTINGS)
    # What was not visited was not tested. There is nothing to repair about this server.
    assert Upgrading.seen >= {*UpgradeState, SessionState.OPEN, SessionState.CLOSING, SessionState.CLOSED} - {UpgradeState.REPAIRING}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", [Polling, OnWebSocket])
def test_no_long_history_over_one_transport_does_so(machine: type[Interleavings]) -> None:
    machine.seen.clear()
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=SETTINGS.max_examples // 2))
    assert machine.seen >= {UpgradeState.NONE, SessionState.OPEN, SessionState.CLOSED}


# --- Exhaustively.


def before_the_upgrade(**options: Any) -> ReplayWorld:
    """The session is open, the application has the first word."""
    return make_replay_world(**options)


def the_socket_is_open(**options: Any) -> ReplayWorld:
    """The upgrade has begun, a poll and a POST are on their way, the server sees the WebSocket."""
    world = make_replay_world(**options)
    for action in (("timer",), ("up", 1), ("send", "early")):
        world.do(action)
    return world


def the_probe_is_answered(**options: Any) -> ReplayWorld:
    """``3probe`` is about to reach the client, and so is the answer to the poll that waited; a POST is arriving at the server."""
    world = the_socket_is_open(**options)
    for action in (("request", 2), ("down", 1), ("up", 1), ("request", 3)):
        world.do(action)
    assert world.connection.upgrade_state is UpgradeState.PROBING
    return world


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("start", "depth", "budget"),
    [
        (before_the_upgrade, 10, Budget(client_messages=1, server_messages=1, faults=0)),
        (the_socket_is_open, 6, Budget(client_messages=1, server_messages=1, faults=1)),
        (the_probe_is_answered, 8, Budget(client_messages=1, server_messages=1, faults=0)),
        (the_probe_is_answered, 5, Budget(client_messages=1, server_messages=1, faults=1)),
        (the_probe_is_answered, 5, Budget(client_messages=1, server_messages=1, faults=0, closes=1)),
    ],
)
def test_every_order_of_the_events_around_an_upgrade_is_harmless(start: Callable[[], ReplayWorld], depth: int, budget: Budget) -> None:
    check(explore(start(), depth + DEEPER, budget))
