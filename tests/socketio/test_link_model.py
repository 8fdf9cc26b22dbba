"""The promises of the link hold whatever the order of things: hypothesis chooses it, `tests.socketio.link_world` checks it.

``ENGINEIO_LITE_MODEL=thorough`` in the environment makes it search much further and anew each time, and make what it finds shorter, which takes long;
the default is the same search each time.
"""

from __future__ import annotations

import os
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from engineio_lite.inputs import Close, Connect
from engineio_lite.state import LinkState
from tests.socketio.link_world import NAMES, LinkWorld

THOROUGH = os.environ.get("ENGINEIO_LITE_MODEL") == "thorough"
SETTINGS = settings(
    max_examples=5_000 if THOROUGH else 150,
    stateful_step_count=150 if THOROUGH else 80,
    derandomize=not THOROUGH,
    phases=list(Phase) if THOROUGH else [Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

names = st.sampled_from(NAMES)
counts = st.integers(1, 5)


class Lives(RuleBasedStateMachine):
    """One link, in an order that hypothesis chooses."""

    transport: ClassVar[str] = "websocket"
    seen: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.world = LinkWorld(self.transport)

    @initialize(
        wanted=st.sets(names, min_size=1),
        hold=st.booleans(),
        decide=st.sampled_from([None, None, True]),
        eager=st.booleans(),
        watched=st.sampled_from([frozenset(NAMES), frozenset(NAMES), frozenset({"/a"}), frozenset[str]()]),
    )
    def connect(self, wanted: set[str], hold: bool, decide: bool | None, eager: bool, watched: frozenset[str]) -> None:
        self.world = LinkWorld(self.transport, hold=hold, decide=decide, watched=watched)
        for name in sorted(wanted):
            self.world.join(name)
        if eager:
            self.world.emit("/")
        self.world.put(Connect())

    def _is_alive(self) -> bool:
        return self.world.closed is None

    # --- The application.

    @rule(name=names, call=st.booleans(), timeout=st.sampled_from([None, 0.5, 5.0]), padding=st.sampled_from(["", "", "x" * 60, b"attached"]))
    def the_client_emits(self, name: str, call: bool, timeout: float | None, padding: str | bytes) -> None:
        self.world.emit(name, call=call, timeout=timeout if call else None, padding=padding)

    @rule(name=names, call=st.booleans())
    def the_client_emits_now_or_never(self, name: str, call: bool) -> None:
        self.world.emit(name, call=call, volatile=True)

    @rule(name=names, timeout=st.sampled_from([0.5, 5.0]), retries=st.integers(0, 3), times=st.integers(1, 3))
    def the_client_delivers(self, name: str, timeout: float, retries: int, times: int) -> None:
        for _ in range(times):
            self.world.deliver(name, timeout, retries)

    @precondition(_is_alive)
    @rule(name=names, deferred=st.booleans())
    def the_client_joins(self, name: str, deferred: bool) -> None:
        self.world.join(name, deferred=deferred)

    @precondition(_is_alive)
    @rule(name=names, seldom=st.integers(0, 3))
    def the_client_leaves(self, name: str, seldom: int) -> None:
        if seldom == 0 and sum(self.world.link.is_wanted(other) for other in NAMES) > 1:
            self.world.leave(name)

    @precondition(lambda self: self.world.needed)
    @rule()
    def the_client_authenticates(self) -> None:
        self.world.provide()

    @precondition(_is_alive)
    @rule(seldom=st.integers(0, 29))
    def the_client_closes(self, seldom: int) -> None:
        if seldom == 0:
            self.world.put(Close())

    # --- The server.

    @precondition(lambda self: self.world.is_busy and not self.world.is_open)
    @rule(fails=st.sampled_from([False, False, True]))
    def a_connection_is_made_or_not(self, fails: bool) -> None:
        if fails:
            self.world.breaks()
        else:
            self.world.open()

    @precondition(lambda self: self.world.server.asked)
    @rule(recover=st.sampled_from([True, True, False]))
    def the_server_grants(self, recover: bool) -> None:
        self.world.server.grant(next(iter(self.world.server.asked)), recover=recover)

    @precondition(lambda self: self.world.server.asked)
    @rule(seldom=st.integers(0, 3))
    def the_server_refuses(self, seldom: int) -> None:
        if seldom == 0:
            name = next(iter(self.world.server.asked))
            del self.world.server.asked[name]
            self.world.server.down.append(f'44{"" if name == "/" else name + ","}{{"message":"no"}}')

    @precondition(lambda self: self.world.server.sessions)
    @rule(data=st.data(), times=counts)
    def the_server_emits(self, data: st.DataObject, times: int) -> None:
        pid = data.draw(st.sampled_from(sorted(self.world.server.sessions)))
        for _ in range(times):
            self.world.server.emit(pid, self.world.now)

    @precondition(lambda self: self.world.server.joined)
    @rule()
    def the_server_emits_something_that_only_looks_like_an_offset(self) -> None:
        name = next(iter(self.world.server.joined))
        self.world.server.down.append(f'42{"" if name == "/" else name + ","}["v","Running"]')

    @precondition(lambda self: self.world.server.questions)
    @rule(data=st.data(), all_of_them=st.booleans())
    def the_server_acknowledges(self, data: st.DataObject, all_of_them: bool) -> None:
        while self.world.server.questions:
            self.world.acknowledge(data.draw(st.integers(0, len(self.world.server.questions) - 1)))
            if not all_of_them:
                break

    @precondition(lambda self: len(self.world.server.joined) > 0)
    @rule(seldom=st.integers(0, 7))
    def the_server_throws_out(self, seldom: int) -> None:
        if seldom == 0:
            self.world.throw_out(next(iter(self.world.server.joined)))

    # --- The line.

    @precondition(lambda self: self.world.up or (self.world.post is not None and not self.world.is_read))
    @rule(count=counts)
    def the_server_reads(self, count: int) -> None:
        self.world.server_reads(count)

    @precondition(lambda self: self.world.post is not None and self.world.is_read)
    @rule()
    def a_post_is_answered(self) -> None:
        self.world.post_is_answered()

    @precondition(lambda self: self.world.server.down and self.world.is_open and self.world.is_busy)
    @rule(count=counts)
    def the_client_reads(self, count: int) -> None:
        self.world.client_reads(count)

    @precondition(lambda self: self.world.is_busy and self.world.is_open)
    @rule(seldom=st.integers(0, 3))
    def the_line_breaks(self, seldom: int) -> None:
        if seldom == 0:
            self.world.breaks()

    @precondition(_is_alive)
    @rule(times=st.integers(1, 6))
    def several_things_arrive(self, times: int) -> None:
        for _ in range(times):
            self.world._moves()

    @precondition(_is_alive)
    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 2.5, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    # --- What must hold.

    @invariant()
    def the_end_is_the_end(self) -> None:
        self.seen.add(self.world.link.link_state)
        assert (self.world.closed is not None) == (self.world.link.link_state is LinkState.CLOSED)

    def teardown(self) -> None:
        self.world.run_down()
        self.seen.update(f"{entry.kind} dropped" for entry in self.world.sent.values() if entry.dropped)
        self.seen.update(["answered"] if self.world.answers else [])


class ByPolling(Lives):
    transport = "polling"
    seen: ClassVar[set[str]] = set()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", [Lives, ByPolling], ids=["websocket", "polling"])
def test_no_life_of_a_link_breaks_a_promise(machine: type[Lives]) -> None:
    machine.seen.clear()
    run_state_machine_as_test(machine, settings=SETTINGS)
    # What was not visited was not tested. What chance does not always bring about is told below each time.
    assert machine.seen >= {LinkState.CONNECTING, LinkState.CONNECTED, LinkState.WAITING, LinkState.CLOSED, "answered", "e dropped", "v dropped"}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_the_model_knows_how_sessions_are_taken_up_and_events_repeated(transport: str) -> None:
    world = LinkWorld(transport)
    world.join("/")
    world.emit("/")
    world.put(Connect())
    world.calm_down()
    for _ in range(3):
        world.server.emit("p1", world.now)
        world.calm_down()
        world.emit("/")
        world.emit("/", volatile=True)
        world.deliver("/", 5.0, 3)
        world.server_reads(100)
        if world.post is not None:
            world.post_is_answered()
            world.server_reads(100)
        world.server.emit("p1", world.now)
        world.breaks()
        world.server.emit("p1", world.now)
        world.calm_down()
    world.run_down()
    assert (world.recoveries, world.seen["/"]) == (3, ("p1", 9))
    got = world.server.got["/"]
    assert [number for kind, number in got if kind == "d"] == sorted([*world.answers, *world.answers])


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_ten_thousand_events_over_a_hundred_lost_lines_arrive(transport: str) -> None:
    world = LinkWorld(transport, decide=True)
    for name in NAMES:
        world.join(name)
    world.put(Connect())
    for turn in range(100):
        for index in range(100):
            if not world.deliver(NAMES[index % 3], 5.0, 3):
                world.calm_down()
            if index % 7 == turn % 7:
                world._moves()
            if index == turn and world.is_busy:
                world.breaks()
    world.run_down()
    delivered = {number for got in world.server.got.values() for _, number in got}
    assert world.reconnecting >= 50
    assert delivered == world.accepted
    assert set(world.answers) == world.accepted
