"""Delivery under fire: servers that are killed and lines that are cut at any moment, while both sides go on talking.

What is repeated until it is acknowledged arrives at least once, first arrivals in order, and every acknowledgement comes at last; what is not, once
or not at all. When to strike is drawn from a seed and counted in acknowledgements or events that were seen, and then in turns of the event loop, so
that a run can be had again and strikes every phase of a delivery: on its way, answered, between two connections, while a new one is made. What the
server got is in the file that it writes itself (`record` and the option `log`, see `tests.peers`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engineio_lite import Cause, EngineIOError
from engineio_lite.aio import Delivery, Namespace, SocketIOClient, Stage, connect_socketio
from engineio_lite.socketio import NamespaceConnected, Reconnected, Reconnecting, ReconnectPolicy
from tests.aio.again import ALL_KINDS, ALL_TRANSPORTS, BOTH, ONE_TRANSPORT, POLLING, QUICK, WEBSOCKET, Story, start_again
from tests.peers import Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

MANY = 1000
FEW = 300
KILLS = 4
AT_ONCE = 20
LONGEST_PHASE = 12
"""Turns of the loop that pass at most between what is counted and the strike; a call over polling takes about as many."""


class Strikes:
    """Counts what is seen, and strikes at the moments of its seed."""

    def __init__(self, seed: str, of: int, strikes: int) -> None:
        dice = random.Random(seed)
        self.moments = sorted(dice.sample(range(1, of - of // 10), strikes))
        self._turns = [dice.randrange(LONGEST_PHASE) for _ in range(2 * strikes)]
        self._changed = asyncio.Event()
        self.seen = 0

    def count(self, *args: object) -> None:
        """One more was seen."""
        self.seen += 1
        self._changed.set()

    async def until(self, count: int) -> None:
        """Return when so many were seen."""
        while self.seen < count:
            self._changed.clear()
            await self._changed.wait()

    async def moment(self, count: int) -> None:
        """Return when so many were seen, and a few turns later."""
        await self.until(count)
        await self.turns()

    async def turns(self) -> None:
        """Let a few turns of the loop pass."""
        for _ in range(self._turns.pop()):
            await asyncio.sleep(0)


def recorded(log: Path) -> list[Any]:
    """What the server wrote down, in its order; a line is whole even if the server was killed after it."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def first_ones(things: Iterable[Any]) -> list[Any]:
    """Each thing where it came first."""
    return list(dict.fromkeys(things))


# -------------------------------------------------------------------------------------------------------------------------- servers that are killed


async def kill_often(peer: Peer, strikes: Strikes, story: Story) -> None:
    """Kill a server at every moment, and every second time once more when it has just been found again."""
    for i, moment in enumerate(strikes.moments):
        await strikes.moment(moment)
        peer.kill()
        await start_again(peer)
        if i % 2:
            joined = len(story.of(NamespaceConnected))
            await story.until(NamespaceConnected, joined + 1)
            await strikes.turns()
            peer.kill()
            await start_again(peer)


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_thousand_events_are_all_acknowledged_though_the_server_is_killed_again_and_again(
    kind: Kind, peer_server: StartPeer, transports: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log))
    strikes = Strikes(f"{kind} {transports}", of=MANY, strikes=KILLS)
    # One try: a connection that is lost is none.
    options: dict[str, Any] = {"transports": transports, "reconnect": QUICK, "retries": 0, "ack_timeout": 30.0}
    async with connect_socketio(peer.url, **options) as sio, Story(sio) as story:
        killing = asyncio.create_task(kill_often(peer, strikes, story))
        deliveries = [await sio.emit("record", i, callback=strikes.count) for i in range(MANY)]
        answers = await asyncio.gather(*(delivery.acknowledged() for delivery in deliveries))
        await killing
        assert answers == list(range(MANY))
        assert {delivery.stage for delivery in deliveries} == {Stage.ACKNOWLEDGED}
        assert await sio.call("echo", "alive") == "alive"
        await sio.drain()
        await strikes.until(MANY)
    assert strikes.seen == MANY, "each callback is called once"
    arrived = recorded(log)
    assert first_ones(arrived) == list(range(MANY))
    # One is on its way at a time, so a strike repeats one at most.
    assert len(arrived) <= MANY + KILLS + KILLS // 2
    assert len(story.of(Reconnected)) >= KILLS


# Not over polling to python-engineio, which takes what has come so far of a POST for all of it, and acknowledges it.
@pytest.mark.parametrize(("kind", "transports"), [("node", POLLING), ("node", WEBSOCKET), ("python", WEBSOCKET)])
async def test_large_events_survive_being_cut_in_the_middle(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    texts = [f"{i:03}" + "grüße " * 20_000 for i in range(20)]
    strikes = Strikes(f"large {kind} {transports}", of=len(texts), strikes=3)
    async with connect_socketio(peer.url, transports=transports, reconnect=QUICK, retries=3) as sio, Story(sio) as story:
        killing = asyncio.create_task(kill_often(peer, strikes, story))
        deliveries = [await sio.emit("echo", text, callback=strikes.count) for text in texts]
        assert await asyncio.gather(*(delivery.acknowledged() for delivery in deliveries)) == texts
        await killing
        assert {text for [text] in story.args("echo")} <= set(texts)


@ALL_KINDS
async def test_a_server_that_answers_only_the_second_try_is_tried_twice_also_under_fire(kind: Kind, peer_server: StartPeer, tmp_path: Path) -> None:
    """A server that was killed counts its tries anew, so what was on its way is sent three times: a lost connection is no try."""
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log), ackEvery=2)
    strikes = Strikes(f"deaf {kind}", of=20, strikes=2)
    options: dict[str, Any] = {"transports": WEBSOCKET, "reconnect": QUICK, "retries": 1, "ack_timeout": 0.03}
    async with connect_socketio(peer.url, **options) as sio, Story(sio) as story:
        killing = asyncio.create_task(kill_often(peer, strikes, story))
        deliveries = [await sio.emit("record", i, callback=strikes.count, retries=9) for i in range(20)]
        assert await asyncio.gather(*(delivery.acknowledged() for delivery in deliveries)) == list(range(20))
        await killing
    arrived = recorded(log)
    assert first_ones(arrived) == list(range(20))
    assert all(arrived.count(i) >= 2 for i in range(20))


@ONE_TRANSPORT
@ALL_KINDS
async def test_what_is_not_repeated_arrives_once_or_not_at_all_and_says_which_as_far_as_it_is_known(
    kind: Kind, peer_server: StartPeer, transports: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log))
    strikes = Strikes(f"once {kind} {transports}", of=FEW, strikes=KILLS)
    outcomes: list[object] = [None] * FEW
    deliveries: list[Delivery] = []
    under_way = asyncio.Semaphore(AT_ONCE)

    async def settle(i: int, delivery: Delivery) -> None:
        try:
            outcomes[i] = await delivery.acknowledged()
        except EngineIOError as error:
            outcomes[i] = error
        strikes.count()
        under_way.release()

    async with connect_socketio(peer.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story, asyncio.TaskGroup() as tasks:
        tasks.create_task(kill_often(peer, strikes, story))
        for i in range(FEW):
            await under_way.acquire()
            deliveries.append(await sio.emit("record", i, ack=True))
            tasks.create_task(settle(i, deliveries[-1]))
    arrived = recorded(log)
    assert arrived == sorted(set(arrived)), "in order, and none twice"
    lost = {i: error for i, error in enumerate(outcomes) if isinstance(error, EngineIOError)}
    answered = [i for i in range(FEW) if i not in lost]
    assert [outcomes[i] for i in answered] == answered
    assert set(answered) <= set(arrived)
    assert {error.cause for error in lost.values()} <= {Cause.CLOSED}
    assert 0 < len(lost) <= AT_ONCE * (KILLS + KILLS // 2)
    assert [delivery.stage for delivery in deliveries] == [Stage.FAILED if i in lost else Stage.ACKNOWLEDGED for i in range(FEW)]


# ---------------------------------------------------------------------------------------------------------------------------- a line that is cut


@ALL_TRANSPORTS
@ALL_KINDS
async def test_events_are_all_acknowledged_though_the_line_is_cut_again_and_again(
    kind: Kind, peer_server: StartPeer, transports: tuple[str, ...], tmp_path: Path
) -> None:
    """The server goes on meanwhile: it may have handled what it could not acknowledge, and sees that twice."""
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log))
    strikes = Strikes(f"cut {kind} {transports}", of=FEW, strikes=8)
    async with Proxy(peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=QUICK, retries=3) as sio, Story(sio) as story:

            async def cut_at_any_moment() -> None:
                for turn, moment in enumerate(strikes.moments):
                    await strikes.moment(moment)
                    await proxy.until(lambda: proxy.connections > 0)
                    proxy.cut(reset=turn % 2 == 0)

            cutting = asyncio.create_task(cut_at_any_moment())
            deliveries = [await sio.emit("record", i, callback=strikes.count) for i in range(FEW)]
            assert await asyncio.gather(*(delivery.acknowledged() for delivery in deliveries)) == list(range(FEW))
            await cutting
    arrived = recorded(log)
    assert first_ones(arrived) == list(range(FEW))
    assert len(arrived) <= FEW + len(story.of(Reconnecting))
    assert len(story.of(Reconnecting)) >= 4


SPACES = ("/", "/echo2", "/admin")
EACH = 2000
CUTS = 5
LEAD = 200
"""How many numbers of each namespace the server may be ahead of our own events, so that both go on from the first cut to the last."""


async def cut_often(proxy: Proxy, strikes: Strikes, sio: SocketIOClient, story: Story) -> None:
    for i, moment in enumerate(strikes.moments, 1):
        await strikes.moment(moment)
        # Over polling a server does not notice a cut between two polls, and so does not let anybody take up the session before its ping timeout.
        await sio.wait_upgraded()
        proxy.cut()
        await story.until(Reconnected, i)


async def let_the_server_talk(talkers: Sequence[Namespace], strikes: Strikes) -> None:
    """Have it send numbers to everybody; the line of this client is not cut."""
    for i in range(EACH):
        await strikes.until(len(SPACES) * (i - LEAD))
        for talker in talkers:
            await talker.emit("everyone", "number", i)
        await asyncio.sleep(0)


@pytest.mark.parametrize("transports", [WEBSOCKET, BOTH], ids="+".join)
async def test_nothing_is_lost_either_way_in_three_namespaces_while_the_line_is_cut(
    peer_server: StartPeer, transports: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    peer = peer_server("node", log=str(log), connectionStateRecovery={})
    strikes = Strikes(f"cuts {transports}", of=len(SPACES) * EACH, strikes=CUTS)
    async with Proxy(peer) as proxy, connect_socketio(peer.url, auth=ADMIN) as other:
        talkers = [other, *[await other.namespace(name, auth=ADMIN) for name in SPACES[1:]]]
        for talker in talkers:
            talker.on_any(lambda *args: None)
        options: dict[str, Any] = {"transports": transports, "reconnect": ReconnectPolicy(delay=0.05), "retries": 5}
        async with connect_socketio(proxy.url, **options) as sio, Story(sio) as story:
            namespaces = [sio, *[await sio.namespace(name, auth=ADMIN) for name in SPACES[1:]]]
            # Who has seen nothing cannot say from where on.
            await story.comes(lambda: all(story.args("welcome", name) for name in SPACES), "all welcomes")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(cut_often(proxy, strikes, sio, story))
                tasks.create_task(let_the_server_talk(talkers, strikes))
                for namespace in namespaces:
                    tasks.create_task(record_all(namespace, strikes))
            await story.comes(lambda: all(len(story.numbers(name)) >= EACH for name in SPACES), "all numbers")
            await sio.drain()
            assert await sio.call("echo", "alive") == "alive"
            assert [story.numbers(name) for name in SPACES] == [list(range(EACH))] * len(SPACES)
            assert [found.recovered for found in story.of(Reconnected)] == [True] * CUTS
            assert {lost.attempt for lost in story.of(Reconnecting)} == {1}
    arrived = recorded(log)
    for name in SPACES:
        assert first_ones(line for line in arrived if line.startswith(f"{name} ")) == [f"{name} {i}" for i in range(EACH)]
    assert len(arrived) <= len(SPACES) * (EACH + CUTS)


ADMIN = {"token": "letmein"}


async def record_all(namespace: Namespace, strikes: Strikes) -> None:
    """Have the server write down numbers of ours; each answer counts."""
    deliveries = [await namespace.emit("record", f"{namespace.name} {i}", callback=strikes.count) for i in range(EACH)]
    assert await asyncio.gather(*(delivery.acknowledged() for delivery in deliveries)) == [f"{namespace.name} {i}" for i in range(EACH)]
