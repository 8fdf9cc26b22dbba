"""Reconnection, against real servers that are killed, frozen and started again, and a line that is cut: what a client does between two connections.

The rules are those of `engineio_lite.socketio.link` and `engineio_lite.socketio.policy`; here is shown that they hold where there are sockets. What
is repeated until it is acknowledged has `test_delivery_under_fire`, sessions that are taken up `test_recovery`, cancellation `test_cancel`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engineio_lite import (
    AckTimeout,
    Cause,
    ConnectFailed,
    ConnectionClosed,
    ConnectRefused,
    EngineIOError,
    Limits,
    LocalProtocolError,
    PingTimeout,
    TimedOut,
    Timeouts,
    TransportError,
)
from engineio_lite.aio import Delivery, Namespace, SocketIOClient, Stage, connect_socketio
from engineio_lite.capture.recorder import Record, Recorder
from engineio_lite.events import Closed
from engineio_lite.socketio import (
    EventReceived,
    Lost,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    Reconnected,
    Reconnecting,
    ReconnectPolicy,
)
from engineio_lite.state import CloseReason
from tests.aio.again import ALL_KINDS, ALL_TRANSPORTS, ONE_TRANSPORT, POLLING, QUICK, SLACK, WEBSOCKET, Story, Word, opened, soon, start_again
from tests.aio.raw import Connection, RawServer, carry, response
from tests.peers import Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

LOST = {Cause.CONNECTION_LOST, Cause.CONNECT_REFUSED, Cause.CONNECT_FAILED, Cause.WEBSOCKET_CLOSED}
"""How a server that was killed, or a line that was cut, may look, depending on what was going on."""

NAMESPACES = ("/", "/echo2", "/admin")


def is_first_delay(delay: float, policy: ReconnectPolicy = QUICK) -> bool:
    return policy.delay * (1 - policy.jitter) <= delay <= policy.delay * (1 + policy.jitter)


# ------------------------------------------------------------------------------------------------------------------- killed and started again


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_that_is_started_again_is_found_and_every_namespace_is_joined_anew(
    kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]
) -> None:
    peer = peer_server(kind)
    words = {name: Word(key=name, token="letmein") for name in NAMESPACES}

    async def slow_word() -> Any:
        await asyncio.sleep(0)
        return words["/admin"]()

    async with connect_socketio(peer.url, auth=words["/"], transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        joined = [sio, await sio.namespace("/echo2", auth=words["/echo2"]), await sio.namespace("/admin", auth=slow_word)]
        sids = [namespace.sid for namespace in joined]
        peer.kill()
        lost = await story.until(Reconnecting)
        assert (lost.attempt, lost.cause in LOST) == (1, True), lost
        assert is_first_delay(lost.delay)
        assert isinstance(lost.error, TransportError)
        assert lost.reason in (CloseReason.TRANSPORT_CLOSE, CloseReason.TRANSPORT_ERROR)
        assert not any(namespace.connected for namespace in joined)
        assert (sio.transport, sio.handshake, sio.closed) == (None, None, None)
        await start_again(peer)
        found = await story.until(Reconnected)
        tries = story.of(Reconnecting)
        assert [state.attempt for state in tries] == list(range(1, len(tries) + 1))
        assert found == Reconnected(len(tries), recovered=False)
        assert {word.asked for word in words.values()} == {2}, "asked for every session that is open, and for no attempt that failed"
        for namespace in joined:
            assert (await namespace.call("auth")) == {"key": namespace.name, "token": "letmein", "turn": 2}
            assert await namespace.call("echo", namespace.name) == namespace.name
        assert all(namespace.connected and not namespace.recovered for namespace in joined)
        assert not set(sids) & {namespace.sid for namespace in joined}
        totals = await sio.call("totals")
        assert totals["connections"] == totals["most"] == 1
        assert totals["attempts"] == totals["maxOpen"] == dict.fromkeys(NAMESPACES, 1)
        assert await sio.wait_upgraded() is ("websocket" in transports)


@ALL_TRANSPORTS
@ALL_KINDS
async def test_what_is_emitted_meanwhile_waits_and_is_sent_once_and_in_order(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    async with connect_socketio(peer.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        echo2 = await sio.namespace("/echo2")
        deliveries: list[Delivery] = []

        async def count(start: int, stop: int) -> None:
            for i in range(start, stop):
                deliveries.extend([await sio.emit("count", i), await echo2.emit("count", i)])

        peer.kill()
        await story.until(Reconnecting)
        await count(0, 100)
        assert {delivery.stage for delivery in deliveries} == {Stage.QUEUED}
        calls = [asyncio.create_task(sio.call("echo", {"i": bytes([i])})) for i in range(5)]
        dropped = await sio.emit("count", "volatile", volatile=True)
        assert dropped.stage is Stage.DROPPED
        restarting = asyncio.create_task(start_again(peer))
        await count(100, 200)
        await restarting
        await count(200, 250)
        await story.until(Reconnected)
        await count(250, 300)
        for namespace in (sio, echo2):
            assert await namespace.call("report") == {"received": 300, "inOrder": True, "last": 299}
        assert await asyncio.gather(*calls) == [{"i": bytes([i])} for i in range(5)]
        for delivery in deliveries:
            await soon(delivery.written())
            assert (delivery.stage, delivery.error) == (Stage.WRITTEN, None)


@ALL_TRANSPORTS
async def test_what_happens_is_told_to_handlers_and_to_whoever_iterates(any_peer: Peer, transports: tuple[str, ...]) -> None:
    seen: list[object] = []
    over = asyncio.Event()

    async def note(state: object) -> None:
        await asyncio.sleep(0)
        seen.append(state)

    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
            for key in (Reconnecting, Reconnected, NamespaceConnected, NamespaceLeft, Closed):
                sio.on(key, note)
            sio.on("echo", over.set)
            for turn in (1, 2):
                proxy.refuse()
                proxy.cut()
                await story.comes(lambda: story.of(Reconnecting)[-1:] != [] and story.of(Reconnecting)[-1].attempt == 2, "a second attempt")
                proxy.allow()
                await story.until(Reconnected, turn)
            assert [state.attempt for state in story.of(Reconnecting)][:2] == [1, 2]
            assert 1 in [state.attempt for state in story.of(Reconnecting)][2:], "the count begins again with a connection that stood"
            await sio.emit("echo")
            await soon(over.wait())
            assert seen == story.of(Reconnecting, Reconnected, NamespaceConnected, NamespaceLeft)
            # Each loss is told in this order, and each return in that.
            kinds = [type(state) for state in seen]
            assert kinds[:2] == [NamespaceLeft, Reconnecting]
            assert kinds[-2:] == [NamespaceConnected, Reconnected]


@ONE_TRANSPORT
async def test_offline_emits_are_refused_if_that_is_wanted(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=QUICK, offline="raise") as sio, Story(sio) as story:
            proxy.refuse()
            proxy.cut()
            await story.until(Reconnecting)
            for attempt in (lambda: sio.emit("count", 0), lambda: sio.call("report"), lambda: sio.emit("count", 0, ack=True)):
                with pytest.raises(LocalProtocolError) as caught:
                    await attempt()
                assert caught.value.cause is Cause.NAMESPACE_NOT_CONNECTED
            assert (await sio.emit("count", 0, volatile=True)).stage is Stage.DROPPED
            # What is repeated has all the time in the world.
            repeated = await sio.emit("count", 0, retries=0)
            proxy.allow()
            await story.until(Reconnected)
            assert await repeated.acknowledged() is None
            await sio.emit("count", 1)
            assert await sio.call("report") == {"received": 2, "inOrder": True, "last": 1}


@ALL_TRANSPORTS
@ALL_KINDS
async def test_what_was_on_its_way_at_the_loss_fails_at_once(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    policy = ReconnectPolicy(delay=30, max_delay=30, jitter=0)
    async with connect_socketio(peer.url, transports=transports, reconnect=policy) as sio, Story(sio) as story:
        call = asyncio.create_task(sio.call("never"))
        asked = await sio.emit("never", ack=True)
        answers: list[object] = []
        called_back = await sio.emit("never", callback=answers.append)
        repeated = await sio.emit("record", 1, retries=0)
        await soon(repeated.acknowledged())
        peer.kill()
        started = time.monotonic()
        lost = await story.until(Reconnecting)
        with pytest.raises(ConnectionClosed) as caught:
            await call
        with pytest.raises(ConnectionClosed):
            await asked.acknowledged()
        assert time.monotonic() - started < SLACK
        assert caught.value.reason is lost.reason
        assert caught.value.__cause__ is lost.error
        assert (asked.stage, called_back.stage, answers) == (Stage.FAILED, Stage.FAILED, [])
        with pytest.raises(AckTimeout):  # a call that waits for a connection has its own time
            await sio.call("echo", timeout=0.05)


@ONE_TRANSPORT
async def test_what_had_not_left_is_lost_with_its_connection_and_that_is_said(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
            await sio.call("echo")
            proxy.freeze()
            deliveries = [await sio.emit("count", i) for i in range(3)]
            waiting = [asyncio.create_task(delivery.written()) for delivery in deliveries]
            proxy.cut()
            lost = await story.until(Reconnecting)
            await asyncio.wait(waiting)
            if transports == WEBSOCKET:
                # They were in the buffer of a connection; nobody knows more.
                assert {delivery.stage for delivery in deliveries} == {Stage.WRITTEN}
                return
            for delivery, wait in zip(deliveries, waiting, strict=True):
                assert delivery.stage is Stage.FAILED
                assert isinstance(delivery.error, ConnectionClosed)
                assert wait.exception() is delivery.error
                assert delivery.error.__cause__ is lost.error
            proxy.thaw()
            await story.until(Reconnected)
            assert (await sio.call("report"))["received"] == 0


async def test_more_can_wait_for_a_connection_than_it_takes_at_once(any_peer: Peer) -> None:
    limits = Limits(max_buffered_packets=40)
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=POLLING, reconnect=QUICK, limits=limits) as sio, Story(sio) as story:
            proxy.refuse()
            proxy.cut()
            await story.until(Reconnecting)
            deliveries = [await sio.emit("count", i) for i in range(200)]
            proxy.allow()
            await story.until(Reconnected)
            deliveries += [await sio.emit("count", i) for i in range(200, 250)]
            assert await sio.call("report") == {"received": 250, "inOrder": True, "last": 249}
            assert {delivery.stage for delivery in deliveries} == {Stage.WRITTEN}


# ------------------------------------------------------------------------------------------------------------------------------ one at a time


async def test_there_are_never_two_connections(any_peer: Peer) -> None:
    key = f"never two, {time.monotonic()}"
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, auth={"key": key}, transports=WEBSOCKET, reconnect=ReconnectPolicy(delay=0.01)) as sio:
            async with Story(sio) as story:
                for turn in range(1, 11):
                    proxy.cut(reset=turn % 2 == 0)
                    await story.until(Reconnected, turn)
                totals = await sio.call("totals")
                assert (totals["attempts"][key], totals["maxOpen"][key]) == (11, 1)
                assert (proxy.accepted, proxy.most) == (11, 1)


@ONE_TRANSPORT
async def test_an_attempt_that_is_given_up_is_gone_before_the_next_one(transports: tuple[str, ...]) -> None:
    alive, most = 0, 0
    enough = asyncio.Event()

    async def deaf(connection: Connection) -> None:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        try:
            await connection.hold()
        finally:
            alive -= 1

    policy = ReconnectPolicy(delay=0.02, factor=1, jitter=0, max_attempts=4, retry_first=True)
    async with RawServer(deaf) as server:
        opening = connect_socketio(server.origin, transports=transports, reconnect=policy, timeouts=Timeouts(open=0.1, close=0.2))
        with pytest.raises(TimedOut) as caught:
            await soon(opening, 5 * 0.12 + SLACK)
        enough.set()
        assert caught.value.cause is Cause.OPEN_TIMEOUT
        per_attempt = 1 if transports == WEBSOCKET else 2  # by polling, the connection for the first POST is made beside the first GET
        assert len(server.connections) == 5 * per_attempt
        assert most == per_attempt
        await soon(server.all_gone())


# ---------------------------------------------------------------------------------------------------------------------------------- how often


@ONE_TRANSPORT
async def test_so_many_attempts_and_no_more(any_peer: Peer, transports: tuple[str, ...]) -> None:
    policy = ReconnectPolicy(delay=0.02, max_delay=0.04, jitter=0, max_attempts=3)
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=policy) as sio, Story(sio) as story:
            # Counted anew after each connection that stood, so three in a row must fail.
            for turn in (1, 2):
                proxy.cut()
                await story.until(Reconnected, turn)
            before = len(story.told)
            proxy.refuse()
            proxy.cut()
            await story.comes(lambda: bool(story.of(Reconnecting)[2:]), "the loss")
            held, repeated = await sio.emit("count", 1), await sio.emit("count", 2, retries=9)
            call = asyncio.create_task(sio.call("echo"))
            closed = await story.until(Closed)
            told = [state for state in story.told[before:] if isinstance(state, Reconnecting | Closed)]
            assert [(state.attempt, state.delay) for state in told if isinstance(state, Reconnecting)] == [(1, 0.02), (2, 0.04), (3, 0.04)]
            assert told[-1] is closed is story.told[-1]
            assert isinstance(closed.error, ConnectFailed)
            assert (closed.error.cause, closed.unsent, sio.closed) == (Cause.CONNECT_REFUSED, 3, closed)
            for failed in (held.written, repeated.acknowledged):
                with pytest.raises(EngineIOError):
                    await soon(failed())
            assert (held.stage, repeated.stage) == (Stage.FAILED, Stage.FAILED)
            for attempt in (lambda: call, sio.receive, lambda: sio.emit("x"), sio.drain, lambda: sio.namespace("/echo2"), lambda: sio.wait_for("x")):
                with pytest.raises(EngineIOError):
                    await soon(attempt())


@ALL_KINDS
@ONE_TRANSPORT
async def test_a_server_that_comes_later_is_waited_for_if_that_is_wanted(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    peer.kill()
    policy = ReconnectPolicy(delay=0.05, max_delay=0.1, retry_first=True)
    word = Word()
    opening = asyncio.create_task(opened(peer.url, auth=word, transports=transports, reconnect=policy))
    await start_again(peer)
    sio = await opening
    assert await sio.call("auth") == {"turn": 1}
    assert word.asked == 1
    await sio.close()


async def test_a_server_that_never_comes_is_given_up_after_the_last_attempt(any_peer: Peer) -> None:
    policy = ReconnectPolicy(delay=0.01, factor=1, max_attempts=3, retry_first=True)
    async with Proxy(any_peer) as proxy:
        proxy.refuse()
        with pytest.raises(ConnectFailed) as caught:
            await soon(connect_socketio(proxy.url, reconnect=policy))
        assert caught.value.cause is Cause.CONNECT_REFUSED


@ONE_TRANSPORT
async def test_a_first_connection_that_fails_is_told_at_once(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        proxy.refuse()
        started = time.monotonic()
        with pytest.raises(ConnectFailed) as caught:
            await connect_socketio(proxy.url, transports=transports, reconnect=ReconnectPolicy(delay=30))
        assert caught.value.cause is Cause.CONNECT_REFUSED
        proxy.allow()
        with pytest.raises(ConnectRefused):
            await connect_socketio(f"{proxy.url}/admin", transports=transports, reconnect=ReconnectPolicy(delay=30))
        assert time.monotonic() - started < SLACK


async def test_without_reconnect_a_loss_is_the_end(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url) as sio, Story(sio) as story:
            proxy.cut()
            closed = await story.until(Closed)
            assert closed.error is not None
            assert closed.error.cause in LOST
            assert story.of(Reconnecting) == []


# -------------------------------------------------------------------------------------------------------------------------------- for which cause


class Wrong(Word):
    """A word that is right the first time, and then wrong for some times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def __call__(self) -> dict[str, object]:
        super().__call__()
        return {"token": "guess" if 1 < self.asked <= 1 + self._times else "letmein"}


@ONE_TRANSPORT
async def test_a_namespace_that_refuses_ends_it_unless_the_policy_says_otherwise(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(f"{proxy.url}/admin", auth=Wrong(1), transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
            proxy.cut()
            closed = await story.until(Closed)
            assert isinstance(closed.error, ConnectRefused)
            assert (closed.error.refusal, closed.error.data) == ("not authorized", {"code": 7})
            assert len(story.of(NamespaceRefused)) == 1
            with pytest.raises(ConnectRefused):
                await sio.emit("x")

        asked: list[Lost] = []

        def decide(lost: Lost) -> bool | None:
            asked.append(lost)
            return True if lost.error is not None and lost.error.cause is Cause.NAMESPACE_REFUSED else None

        policy = ReconnectPolicy(delay=0.02, max_delay=0.02, jitter=0, decide=decide)
        async with connect_socketio(f"{proxy.url}/admin", auth=Wrong(2), transports=transports, reconnect=policy) as sio, Story(sio) as story:
            held = None
            proxy.cut()
            await story.until(Reconnecting)
            held = await sio.emit("count", 0)
            assert await story.until(Reconnected) == Reconnected(3, recovered=False)
            assert [(lost.attempt, lost.first) for lost in asked] == [(1, False), (2, False), (3, False)]
            causes = [lost.error.cause for lost in asked if lost.error is not None]
            assert causes[0] in LOST
            assert causes[1:] == [Cause.NAMESPACE_REFUSED] * 2
            assert [state.cause for state in story.of(Reconnecting)] == causes
            await soon(held.written())
            assert await sio.call("report") == {"received": 1, "inOrder": True, "last": 0}


@ONE_TRANSPORT
async def test_a_namespace_that_refuses_now_is_given_up_while_the_others_live(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
            admin = await sio.namespace("/admin", auth=Wrong(1))
            proxy.refuse()
            proxy.cut()
            await story.until(Reconnecting)
            held, repeated = await admin.emit("count", 0), await admin.emit("count", 0, retries=3)
            proxy.allow()
            refused = await story.until(NamespaceRefused)
            assert refused.namespace == "/admin"
            assert isinstance(refused.error, ConnectRefused)
            await story.until(Reconnected)
            assert await sio.call("echo", 1) == 1
            for failed in (held.written, repeated.acknowledged):
                with pytest.raises(ConnectionClosed):
                    await soon(failed())
            for attempt in (lambda: admin.emit("x"), lambda: admin.call("x"), admin.receive, lambda: admin.wait_for("x")):
                with pytest.raises(EngineIOError):
                    await soon(attempt())
            admin = await sio.namespace("/admin", auth={"token": "letmein"})  # nothing is held against it
            assert await admin.call("echo", 2) == 2
            proxy.cut()
            await story.until(Reconnected, 2)
            assert await admin.call("echo", 3) == 3


async def test_a_policy_is_asked_for_the_cause_and_believed(any_peer: Peer) -> None:
    def decide(lost: Lost) -> bool | None:
        return False if lost.error is not None and lost.error.cause is Cause.CONNECT_REFUSED else None

    async with Proxy(any_peer) as proxy:
        policy = ReconnectPolicy(delay=0.02, decide=decide)
        async with connect_socketio(proxy.url, transports=WEBSOCKET, reconnect=policy) as sio, Story(sio) as story:
            proxy.cut()
            await story.until(Reconnected)
            proxy.refuse()
            proxy.cut()
            closed = await story.until(Closed)
            assert closed.error is not None
            assert closed.error.cause is Cause.CONNECT_REFUSED
            assert len(story.of(Reconnecting)) == 2


async def test_a_policy_that_raises_ends_the_client(any_peer: Peer) -> None:
    def decide(lost: Lost) -> bool:
        raise ZeroDivisionError

    async with Proxy(any_peer) as proxy:
        async with connect_socketio(proxy.url, transports=WEBSOCKET, reconnect=ReconnectPolicy(decide=decide)) as sio, Story(sio) as story:
            call = asyncio.create_task(sio.call("never"))
            await story.until(EventReceived)
            proxy.cut()
            closed = await story.until(Closed)
            assert closed.error is not None
            assert closed.error.cause is Cause.DECIDE_FAILED
            assert isinstance(closed.error.__cause__, ZeroDivisionError)
            for attempt in (lambda: call, lambda: sio.emit("x")):
                with pytest.raises(EngineIOError):
                    await soon(attempt())


@ALL_TRANSPORTS
@pytest.mark.parametrize("event", ["kick", "kickall"])
async def test_a_server_that_throws_us_out_is_obeyed_unless_the_policy_says_otherwise(
    any_peer: Peer, transports: tuple[str, ...], event: str
) -> None:
    async with connect_socketio(any_peer.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        await sio.wait_upgraded()
        await sio.emit(event)
        closed = await story.until(Closed)
        assert closed.reason is CloseReason.SERVER_DISCONNECT
        assert story.of(Reconnecting) == []
        with pytest.raises(ConnectionClosed) as caught:
            await sio.emit("x")
        assert caught.value.cause is Cause.SERVER_DISCONNECTED

    stubborn = ReconnectPolicy(delay=0.02, decide=lambda lost: True)
    async with connect_socketio(any_peer.url, transports=transports, reconnect=stubborn) as sio, Story(sio) as story:
        await sio.wait_upgraded()
        for turn in (1, 2):
            await sio.emit(event)
            lost = await story.until(Reconnecting, turn)
            assert (lost.reason, lost.attempt) == (CloseReason.SERVER_DISCONNECT, 1)
            assert await story.until(Reconnected, turn) == Reconnected(1, recovered=False)
            assert await sio.call("echo", turn) == turn


@ALL_TRANSPORTS
async def test_a_server_that_drops_the_connection_is_asked_again(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        await sio.wait_upgraded()
        await sio.emit("drop")
        lost = await story.until(Reconnecting)
        assert lost.reason in (CloseReason.SERVER_CLOSE, CloseReason.TRANSPORT_CLOSE)
        await story.until(Reconnected)
        assert await sio.call("echo", 1) == 1


async def test_a_namespace_that_was_ended_is_not_joined_again_with_the_others(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, reconnect=QUICK) as sio, Story(sio) as story:
        left, kicked = await sio.namespace("/echo2"), await sio.namespace("/admin", auth={"token": "letmein"})
        await left.leave()
        await kicked.emit("kick")
        await story.until(NamespaceLeft, 2)
        proxy.cut()
        await story.until(Reconnected)
        assert [state.namespace for state in story.of(NamespaceConnected)][-1:] == ["/"]
        assert not left.connected
        assert not kicked.connected


@ONE_TRANSPORT
@ALL_KINDS
async def test_a_server_that_falls_silent_is_given_up_and_found_again(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    # Whole seconds, because python-engineio announces no others.
    interval = 1000 if kind == "python" else 300
    peer = peer_server(kind, pingInterval=interval, pingTimeout=200)
    async with connect_socketio(peer.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        await sio.call("echo")
        peer.pause()
        call = asyncio.create_task(sio.call("echo", "unheard"))
        started = time.monotonic()
        lost = await story.until(Reconnecting)
        assert time.monotonic() - started < (interval + 200) / 1000 + SLACK
        assert (lost.reason, lost.attempt) == (CloseReason.PING_TIMEOUT, 1)
        assert isinstance(lost.error, PingTimeout)
        with pytest.raises(ConnectionClosed):
            await call
        held = await sio.emit("count", 0)
        await start_again(peer)
        await story.until(Reconnected)
        await soon(held.written())
        assert await sio.call("report") == {"received": 1, "inOrder": True, "last": 0}


class Watcher(Recorder):
    """A recorder that tells when it sees the answer to a poll with a certain word in it."""

    def __init__(self, word: bytes) -> None:
        super().__init__()
        self.seen = asyncio.Event()
        self._word = word

    def record(self, record: Record) -> None:
        super().record(record)
        if self._word in getattr(record.input, "body", b""):
            self.seen.set()


@ALL_KINDS
async def test_a_session_that_the_server_forgot_is_opened_again_at_once(kind: Kind, peer_server: StartPeer) -> None:
    """A new server knows no old session. It is asked only by the next poll, which a client that is not read keeps back."""
    peer = peer_server(kind)
    watcher = Watcher(b'"now"')
    policy = ReconnectPolicy(delay=30, max_delay=30)
    options: Any = {"transports": POLLING, "recorder": watcher, "limits": Limits(max_queued_events=1)}
    async with connect_socketio(peer.url, reconnect=policy, **options) as sio:
        assert (await sio.receive()).name == "welcome"
        await (await sio.emit("later", 50, "now")).written()
        await soon(watcher.seen.wait())
        await start_again(peer)
        async with Story(sio) as story:
            lost = await story.until(Reconnecting)
            assert (lost.attempt, lost.delay, lost.cause) == (1, 0.0, Cause.SESSION_UNKNOWN)
            assert await story.until(Reconnected) == Reconnected(1, recovered=False)
            assert story.args("now") == [[]]
            assert await sio.call("echo", 1) == 1


class Gate(RawServer):
    """Lets everybody through to a server until it is `busy`; then it says so, and for how long."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer
        self.busy = False

    async def run(self, connection: Connection) -> None:
        if self.busy:
            await connection.request()
            await connection.send(response(503, b"busy", headers=[("Retry-After", "120")]))
            return
        server = Connection(*await asyncio.open_connection("127.0.0.1", self._peer.port))
        async with asyncio.TaskGroup() as ways:
            ways.create_task(carry(server, connection))
            ways.create_task(carry(connection, server))


@ONE_TRANSPORT
async def test_a_server_that_names_a_time_is_left_alone_for_so_long(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Gate(any_peer) as gate, connect_socketio(gate.origin, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        await sio.call("echo")
        gate.busy = True
        for connection in gate.connections:
            connection.cut()
        busy = await story.until(Reconnecting, 2)
        assert (busy.attempt, busy.delay, busy.cause) == (2, 120.0, Cause.RATE_LIMITED)


# ---------------------------------------------------------------------------------------------------------------- what an application does meanwhile

WAITING_LONG = ReconnectPolicy(delay=30, max_delay=30)


@asynccontextmanager
async def without_a_line(peer: Peer, attempting: bool, **options: Any) -> AsyncIterator[tuple[SocketIOClient, Proxy]]:
    """A client that has lost its connection and waits for the next attempt, or is in the middle of one that gets no answer."""
    policy = QUICK if attempting else WAITING_LONG
    async with Proxy(peer) as proxy, connect_socketio(proxy.url, reconnect=policy, **options) as sio:
        await sio.call("echo")
        lost = asyncio.Event()
        sio.once(Reconnecting, lambda _: lost.set())
        proxy.freeze()
        proxy.cut()
        await soon(lost.wait())
        if attempting:
            await proxy.until(lambda: proxy.connections > 0)
        yield sio, proxy


IN_BOTH_STATES = pytest.mark.parametrize("attempting", [False, True], ids=["waiting", "attempting"])


@ONE_TRANSPORT
@IN_BOTH_STATES
async def test_closing_without_a_connection_takes_no_time(any_peer: Peer, transports: tuple[str, ...], attempting: bool) -> None:
    async with without_a_line(any_peer, attempting, transports=transports) as (sio, proxy):
        held, repeated = await sio.emit("count", 0), await sio.emit("count", 0, retries=3)
        reader = asyncio.create_task(all_names(sio))
        await asyncio.sleep(0)
        accepted, started = proxy.accepted, time.monotonic()
        await asyncio.gather(sio.close(), sio.close())
        assert time.monotonic() - started < SLACK
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error, sio.closed.unsent) == (CloseReason.CLIENT_CLOSE, None, 2)
        assert await reader == ["welcome", "echo"]
        for failed in (held.written, repeated.acknowledged):
            with pytest.raises(ConnectionClosed):
                await failed()
        assert proxy.accepted == accepted


async def all_names(sio: SocketIOClient) -> list[object]:
    return [event.name async for event in sio]


@IN_BOTH_STATES
async def test_closing_after_draining_waits_for_a_connection_but_not_for_ever(peer_server: StartPeer, tmp_path: Path, attempting: bool) -> None:
    log = tmp_path / "log"
    peer = peer_server("node", log=str(log))
    async with without_a_line(peer, attempting) as (sio, _):
        held = await sio.emit("record", "late")
        with pytest.raises(TimedOut) as caught:
            await soon(sio.close(drain=True, timeout=0.1))
        assert caught.value.cause is Cause.DRAIN_TIMEOUT
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.unsent, held.stage) == (CloseReason.CLIENT_CLOSE, 1, Stage.FAILED)
    async with Proxy(peer) as proxy, connect_socketio(proxy.url, reconnect=QUICK) as sio, Story(sio) as story:
        proxy.refuse()
        proxy.cut()
        await story.until(Reconnecting)
        deliveries = [await sio.emit("record", i) for i in range(50)] + [await sio.emit("record", i, retries=1) for i in range(50, 55)]
        draining, closing = asyncio.create_task(sio.drain()), asyncio.create_task(sio.close(drain=True, timeout=SLACK))
        await asyncio.sleep(0)
        proxy.allow()
        await asyncio.gather(draining, closing)
        assert {delivery.stage for delivery in deliveries[:50]} == {Stage.WRITTEN}
        assert {delivery.stage for delivery in deliveries[50:]} == {Stage.ACKNOWLEDGED}
        assert (sio.closed is not None, sio.closed and sio.closed.unsent) == (True, 0)
    async with connect_socketio(peer.url) as other:
        await other.call("echo")
    numbers = list(map(int, log.read_text().split()))
    assert ([i for i in numbers if i < 50], [i for i in numbers if i >= 50]) == (list(range(50)), list(range(50, 55)))


@ONE_TRANSPORT
@IN_BOTH_STATES
async def test_leaving_the_last_namespace_without_a_connection_is_the_end(any_peer: Peer, transports: tuple[str, ...], attempting: bool) -> None:
    async with without_a_line(any_peer, attempting, transports=transports) as (sio, _), Story(sio) as story:
        held = await sio.emit("count", 0)
        await soon(sio.leave())
        closed = await story.until(Closed)
        assert (closed.reason, closed.error) == (CloseReason.CLIENT_DISCONNECT, None)
        assert held.stage is Stage.FAILED
        with pytest.raises(ConnectionClosed):
            await sio.emit("x")


@IN_BOTH_STATES
async def test_namespaces_can_be_joined_and_left_without_a_connection(any_peer: Peer, attempting: bool) -> None:
    policy = ReconnectPolicy(delay=0.1, max_delay=0.1)
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, reconnect=policy) as sio, Story(sio) as story:
        echo2 = await sio.namespace("/echo2")
        proxy.freeze()
        proxy.cut()
        await story.until(Reconnecting)
        if attempting:
            await proxy.until(lambda: proxy.connections > 0)
        held, reading = await echo2.emit("count", 0), asyncio.create_task(read_to_the_end(echo2))
        await asyncio.sleep(0)
        await echo2.leave()
        with pytest.raises(ConnectionClosed):
            await soon(held.written())
        assert isinstance(await soon(reading), ConnectionClosed)
        word = Word(token="letmein")
        joining = asyncio.create_task(sio.namespace("/admin", auth=word))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError):
            await sio.namespace("/admin")
        refused = asyncio.create_task(sio.namespace("/refuse-string"))
        await asyncio.sleep(0)
        proxy.thaw()
        admin = await soon(joining)
        assert await admin.call("auth") == {"token": "letmein", "turn": 1}
        with pytest.raises(ConnectRefused):
            await soon(refused)
        await story.until(Reconnected)
        assert await sio.call("echo", 1) == 1
        assert not echo2.connected
        with pytest.raises(LocalProtocolError):
            await echo2.emit("x")
        echo2 = await sio.namespace("/echo2")
        assert await echo2.call("echo", 2) == 2


async def read_to_the_end(namespace: Namespace) -> EngineIOError:
    """What ended it."""
    while True:
        try:
            await namespace.receive()
        except EngineIOError as end:
            return end


@ALL_TRANSPORTS
async def test_who_waits_for_events_waits_on(any_peer: Peer, transports: tuple[str, ...]) -> None:
    handled = asyncio.Queue[object]()
    over = asyncio.Event()
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio:
        echo2 = await sio.namespace("/echo2")
        sio.on("number", handled.put_nowait)
        sio.on(Reconnected, lambda _: over.set())
        assert await first_names(echo2, 1) == ["welcome"]
        reader = asyncio.create_task(first_names(echo2, 2))
        waiting = [asyncio.create_task(sio.wait_for("echo")), asyncio.create_task(echo2.wait_for("echo"))]
        upgraded = asyncio.create_task(sio.wait_upgraded())
        await asyncio.sleep(0)
        proxy.cut()
        await soon(over.wait())
        await sio.emit("flood", 3)
        await sio.emit("echo", "one")
        await echo2.emit("echo", "two")
        assert [(await soon(event)).args for event in waiting] == [["one"], ["two"]]
        assert await soon(upgraded) is ("websocket" in transports)
        await echo2.emit("echo", "three")
        assert await soon(reader) == ["welcome", "echo"]
        assert [await soon(handled.get()) for _ in range(3)] == [0, 1, 2]


async def first_names(namespace: Namespace, count: int) -> list[object]:
    return [(await namespace.receive()).name for _ in range(count)]


@ONE_TRANSPORT
async def test_an_event_of_a_lost_connection_cannot_be_answered_on_the_next(any_peer: Peer, transports: tuple[str, ...]) -> None:
    """Both kinds of server count their questions; python-socketio's count begins anew, so that the old answer would fit the new question."""
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio, Story(sio) as story:
        await sio.emit("askme", "old")
        await story.comes(lambda: story.args("question") != [], "the question")
        [old] = [event for event in story.of(EventReceived) if event.name == "question"]
        proxy.cut()
        await story.until(Reconnecting)
        with pytest.raises(LocalProtocolError) as caught:
            await sio.acknowledge(old, "too late")
        assert caught.value.cause is Cause.ACK_NOT_AWAITED
        await story.until(Reconnected)
        await sio.emit("askme", "new")
        await story.comes(lambda: len(story.args("question")) == 2, "the second question")
        new = [event for event in story.of(EventReceived) if event.name == "question"][-1]
        with pytest.raises(LocalProtocolError) as caught:
            await sio.acknowledge(old, "too late")
        assert caught.value.cause is Cause.ACK_NOT_AWAITED
        await sio.acknowledge(new, "in time")
        await story.comes(lambda: story.args("answer") != [], "the answer")
        assert story.args("answer") == [["in time"]]


@ONE_TRANSPORT
async def test_a_handler_that_took_too_long_does_not_answer_the_next_connection(any_peer: Peer, transports: tuple[str, ...]) -> None:
    asked = asyncio.Queue[str]()
    go_on, over = asyncio.Event(), asyncio.Event()

    async def answer(text: str) -> str:
        asked.put_nowait(text)
        if text == "old":
            await go_on.wait()
        return f"to {text}"

    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports, reconnect=QUICK) as sio:
        sio.on("question", answer, concurrent=True)
        sio.on(Reconnected, lambda _: over.set(), concurrent=True)
        await sio.emit("askme", "old")
        assert await soon(asked.get()) == "old"
        proxy.cut()
        await soon(over.wait())
        hold = asyncio.Event()

        async def slowly(text: str) -> str:
            await hold.wait()
            return await answer(text)

        sio.off("question")
        sio.on("question", slowly, concurrent=True)
        answering = asyncio.create_task(sio.wait_for("answer"))
        waiting = asyncio.create_task(sio.wait_for("question"))
        await asyncio.sleep(0)
        await sio.emit("askme", "new")
        await soon(waiting)  # now both questions wait for their answers, and the old one is answered first
        go_on.set()
        await sio.call("echo")
        hold.set()
        assert (await soon(answering)).args == ["to new"]


async def test_ten_clients_come_back_at_different_times(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect_socketio(proxy.url, transports=WEBSOCKET, reconnect=QUICK)) for _ in range(10)]
        stories = [await stack.enter_async_context(Story(sio)) for sio in clients]
        proxy.cut()
        delays = [(await story.until(Reconnecting)).delay for story in stories]
        assert all(map(is_first_delay, delays))
        assert len(set(delays)) == 10
        for story in stories:
            await story.until(Reconnected)
