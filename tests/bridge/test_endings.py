"""How a connection ends and begins again: reasons, reconnection, leaving and cancelling at any moment, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import engineio_lite.bridge as socketio
from engineio_lite import Cause, EngineIOError, PingTimeout, Timeouts
from engineio_lite.bridge import exceptions
from tests.aio.raw import EngineServer
from tests.aio.raw import socketio as replies
from tests.bridge.tools import ALL_TRANSPORTS, QUICK, SLACK, Listener, Reports, Transports, comes_true, watched
from tests.leaks import left_behind
from tests.peers import KINDS, Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

ALL_KINDS = pytest.mark.parametrize("kind", KINDS)

LOST = ("disconnect", "transport error")
THROWN_OUT = ("disconnect", "server disconnect")
LEFT = ("disconnect", "client disconnect")


# -------------------------------------------------------------------------------------------------------------------------------- the server leaves


@ALL_TRANSPORTS
async def test_a_namespace_that_the_server_disconnects_is_gone_for_good(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    sio.on("disconnect", lambda reason: seen.note(("/admin", reason)), namespace="/admin")
    await sio.connect(any_peer.url, transports=transports, auth={"token": "letmein"})
    call = asyncio.create_task(sio.call("never", namespace="/admin"))
    other = asyncio.create_task(sio.call("never"))
    await asyncio.sleep(0)
    await sio.emit("kick", namespace="/admin")
    await seen.has(("/admin", "server disconnect"))
    with pytest.raises(exceptions.TimeoutError, match="/admin"):
        await call
    assert (sio.connected, list(sio.namespaces)) == (True, ["/"])
    assert await sio.call("echo", "still here") == "still here"
    await sio.emit("kick")
    await sio.wait()
    with pytest.raises(exceptions.TimeoutError):
        await other
    assert seen.count(THROWN_OUT) == 1
    assert not sio.connected
    await comes_true(lambda: sio.eio.state == "disconnected")
    assert await left_behind() == []


@ALL_TRANSPORTS
async def test_a_server_that_throws_out_everything_is_told_once(any_peer: Peer, transports: Transports) -> None:
    """Though the disconnect packet and the end of the connection both say it, and the handler takes its time."""
    sio, seen = watched()

    async def slow(reason: str) -> None:
        seen.note(("disconnect", reason))
        await asyncio.sleep(0.05)
        seen.note("told")

    sio.on("disconnect", slow)
    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("kickall")
    await seen.has("told")
    await sio.wait()
    await sio.disconnect()
    assert [item for item in seen if item[0] == "disconnect"] == [THROWN_OUT]


@ALL_TRANSPORTS
async def test_a_server_that_ends_the_engine(any_peer: Peer, transports: Transports) -> None:
    """python-engineio says so in a packet, and that is final; Node closes a WebSocket without a word, and then a client connects again."""
    sio, seen = watched()
    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("drop")
    if any_peer.kind == "node" and transports != ["polling"]:
        await seen.until(lambda: seen.count("connect") == 2)
        assert LOST in seen
        assert await sio.call("echo", "again") == "again"
        await sio.disconnect()
    else:
        await sio.wait()
        assert THROWN_OUT in seen
        assert seen.count("connect") == 1
    assert await left_behind() == []


# ------------------------------------------------------------------------------------------------------------------------- lost, and connected again


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_that_is_killed_and_comes_back(kind: Kind, peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server(kind)
    tokens = iter(range(100))
    sio, seen = watched()
    await sio.connect(peer.url, transports=transports, auth=lambda: {"token": next(tokens), "key": "mine"})
    first = sio.get_sid()
    call = asyncio.create_task(sio.call("never"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(sio.wait())
    peer.kill()
    await seen.has(LOST)
    with pytest.raises(exceptions.TimeoutError, match="no answer will come"):
        await call
    with pytest.raises(exceptions.BadNamespaceError):
        await sio.emit("echo", "meanwhile")
    await seen.until(lambda: any(item[0] == "connect_error" for item in seen))
    assert all("[connect-refused, stage " in item[1] for item in seen if item[0] == "connect_error")
    await asyncio.to_thread(peer.restart)
    await seen.until(lambda: seen.count("connect") == 2)
    assert await sio.call("echo", "again") == "again"
    assert sio.get_sid() != first
    assert (await sio.call("auth"))["token"] > 0
    totals = await sio.call("totals")
    assert totals["maxOpen"] == {"mine": 1}
    assert not waiting.done()
    await sio.disconnect()
    await waiting


@ALL_TRANSPORTS
async def test_the_simple_client_sends_when_it_is_connected_again(peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server("python")
    async with socketio.AsyncSimpleClient(**QUICK) as sio:
        await sio.connect(peer.url, transports=transports)
        await sio.receive()
        peer.kill()
        await comes_true(lambda: not sio.connected_event.is_set())
        call = asyncio.create_task(sio.call("echo", "when you are back"))
        await asyncio.to_thread(peer.restart)
        assert await asyncio.wait_for(call, SLACK) == "when you are back"
        assert (await sio.receive(timeout=5))[0] == "welcome"


@ALL_TRANSPORTS
async def test_a_line_that_is_cut_again_and_again(any_peer: Peer, transports: Transports) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched()
        await sio.connect(proxy.url, transports=transports)
        for i in range(2, 7):
            proxy.cut()
            await seen.until(lambda i=i: seen.count("connect") == i)  # type: ignore[misc]
            assert await sio.call("echo", i) == i
        assert seen.count(LOST) == 5
        await sio.disconnect()
        assert seen[-1] == LEFT


async def test_attempts_are_counted_and_the_client_can_be_used_afterwards(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched(reconnection_attempts=2)
        for round in (1, 2):
            await sio.connect(proxy.url)
            proxy.refuse()
            proxy.cut()
            await sio.wait()
            assert seen.count(LOST) == round
            assert sum(item[0] == "connect_error" for item in seen) == 2 * round
            assert not sio.connected
            proxy.allow()
        await sio.connect(proxy.url)
        await sio.disconnect()


async def test_a_client_that_should_not_connect_again_does_not(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched(reconnection=False)
        await sio.connect(proxy.url)
        proxy.cut()
        await sio.wait()
        assert seen[-1] == LOST
        assert proxy.connections == 0


async def test_the_first_connection_is_retried_if_that_is_wanted(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        proxy.refuse()
        sio, seen = watched()
        connecting = asyncio.create_task(sio.connect(proxy.url, retry=True))
        await seen.until(lambda: len(seen) == 3)
        proxy.allow()
        await connecting
        assert sio.connected
        assert sio.transport() == "websocket"
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_a_server_that_freezes_is_lost_after_its_own_times(peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server("python", pingInterval=1000, pingTimeout=300)
    sio, seen = watched(reconnection=False, timeouts=Timeouts(close=0.2))
    await sio.connect(peer.url, transports=transports)
    peer.pause()
    await sio.wait()
    assert seen[-1] == LOST
    assert sio.eio.closed is not None
    assert sio.eio.closed.reason == "ping timeout"
    assert isinstance(sio.eio.failure, PingTimeout)
    peer.kill()


async def test_connecting_by_hand_takes_the_place_of_connecting_again(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched(reconnection_delay=30, reconnection_delay_max=30)
        await sio.connect(proxy.url)
        proxy.cut()
        await seen.has(LOST)
        await sio.connect(proxy.url)
        assert await sio.call("echo", 1) == 1
        assert await left_behind_but(sio) == 0
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_connecting_by_hand_at_any_moment_of_connecting_again(any_peer: Peer, transports: Transports) -> None:
    async with Proxy(any_peer) as proxy:
        for step in range(25):
            sio, seen = watched(reconnection_delay=0.005, reconnection_delay_max=0.005)
            await sio.connect(proxy.url, transports=transports)
            proxy.cut()
            await seen.has(LOST)
            for _ in range(step):
                await asyncio.sleep(0.001)
            results = await asyncio.gather(sio.connect(proxy.url), sio.connect(proxy.url), return_exceptions=True)
            assert all(str(result) in ("None", "Already connected", "Already connecting") for result in results), f"step {step}: {results}"
            assert await sio.call("echo", step) == step
            assert await left_behind_but(sio) == 0
            await sio.disconnect()


async def left_behind_but(sio: socketio.AsyncClient) -> int:
    """How many tasks want to connect again."""
    await asyncio.sleep(0)
    return sum("_handle_reconnect" in repr(task.get_coro()) for task in asyncio.all_tasks())


# ------------------------------------------------------------------------------------------------------------------------------------ handlers


@ALL_TRANSPORTS
async def test_a_disconnect_handler_may_disconnect_and_then_nothing_follows(any_peer: Peer, transports: Transports) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched()

        @sio.event  # type: ignore[untyped-decorator]
        async def disconnect(reason: str) -> None:
            await sio.emit("echo", "nobody hears this")
            await sio.disconnect()
            seen.note(reason)

        await sio.connect(proxy.url, transports=transports)
        proxy.cut()
        await sio.wait()
        assert seen[-1] == "transport error"
        assert await left_behind_but(sio) == 0
        assert not sio.connected


@ALL_TRANSPORTS
async def test_a_connect_handler_may_disconnect_and_connect_says_nothing_of_it(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()

    @sio.event  # type: ignore[untyped-decorator]
    async def connect() -> None:
        await sio.disconnect()
        seen.note("left")

    await sio.connect(any_peer.url, transports=transports, wait_timeout=SLACK)
    await sio.wait()
    await seen.has("left")
    assert not sio.connected
    assert sio.namespaces == {}
    assert await left_behind_but(sio) == 0


async def test_a_connect_error_handler_may_disconnect_and_ends_the_attempts(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched()

        @sio.event  # type: ignore[untyped-decorator]
        async def connect_error(data: Any) -> None:
            seen.note("failed")
            if seen.count("failed") == 3:
                await sio.disconnect()

        await sio.connect(proxy.url)
        proxy.refuse()
        proxy.cut()
        await sio.wait()
        assert seen.count("failed") == 3
        assert await left_behind_but(sio) == 0


async def test_a_handler_that_fails_is_reported_and_stops_nothing(any_peer: Peer, reports: Reports) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched()

        @sio.event  # type: ignore[untyped-decorator]
        def disconnect(reason: str) -> None:
            raise ValueError(reason)

        @sio.event  # type: ignore[untyped-decorator]
        async def number(i: int) -> None:
            raise KeyError(i)

        await sio.connect(proxy.url)
        await sio.emit("flood", 1)
        await comes_true(lambda: len(reports) == 1)
        proxy.cut()
        await seen.until(lambda: seen.count("connect") == 2)
        assert await sio.call("echo", 1) == 1
        await sio.disconnect()
        assert [repr(report["exception"]) for report in reports] == [
            "KeyError(0)",
            "ValueError('transport error')",
            "ValueError('client disconnect')",
        ]
        reports.clear()


async def test_a_function_for_the_url_that_fails_ends_the_attempts_and_is_reported(any_peer: Peer, reports: Reports) -> None:
    async with Proxy(any_peer) as proxy:
        urls = iter([proxy.url])
        sio = socketio.AsyncSimpleClient(**QUICK)
        await sio.connect(lambda: next(urls))
        await sio.receive()
        proxy.cut()
        with pytest.raises(exceptions.DisconnectedError):
            await sio.receive(timeout=5)
        await sio.disconnect()
    await left_behind()  # collects the task, which is when asyncio says it
    assert [type(report["exception"]) for report in reports] == [RuntimeError]  # a coroutine's StopIteration
    reports.clear()


# --------------------------------------------------------------------------------------------------------------------------- leaving at any moment


@ALL_TRANSPORTS
async def test_several_tasks_may_leave_at_once(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    await sio.connect(any_peer.url, transports=transports)
    await asyncio.gather(*(sio.disconnect() for _ in range(5)), *(sio.shutdown() for _ in range(5)))
    assert seen.count(LEFT) == 1
    assert await left_behind() == []


@ALL_TRANSPORTS
async def test_the_server_hears_that_we_leave(any_peer: Peer, transports: Transports) -> None:
    sio, _ = watched()
    key = f"leaving by {transports}"
    await sio.connect(any_peer.url, transports=transports, auth={"key": key})
    await sio.emit("count", 1)
    await sio.disconnect()
    await sio.connect(any_peer.url)
    # Node reads the end of a POST before the packet that leaves the namespace, if both are in the same one.
    expected = {"client namespace disconnect", "transport close"} if any_peer.kind == "node" else {"client disconnect"}
    [reason] = await sio.call("reasons", key)
    assert reason in expected
    await sio.disconnect()


Action = Callable[[socketio.AsyncClient], Awaitable[None]]


async def leave(sio: socketio.AsyncClient) -> None:
    """Leave."""
    await sio.disconnect()


async def shut_down(sio: socketio.AsyncClient) -> None:
    """Shut down."""
    await sio.shutdown()


@ALL_TRANSPORTS
@pytest.mark.parametrize("action", [leave, shut_down], ids=lambda action: action.__name__)
async def test_leaving_at_any_turn_of_connecting_leaves_nothing(action: Action, transports: Transports) -> None:
    """After the k-th turn of the loop, for every k until `connect` is through; it then says that it was disconnected."""
    turn = 0
    while True:
        async with EngineServer(reply=replies) as server:
            sio = socketio.AsyncClient(timeouts=Timeouts(close=0.5))
            connecting = asyncio.create_task(sio.connect(server.origin, transports=transports))
            for _ in range(turn):
                await asyncio.sleep(0)
            through = connecting.done()
            await action(sio)
            started = time.monotonic()
            result = (await asyncio.gather(connecting, return_exceptions=True))[0]
            if turn == 0:
                assert result is None  # it had not begun, so it is what came last
                await sio.disconnect()
            else:
                assert result is None or isinstance(result, exceptions.ConnectionError), f"turn {turn}: {result!r}"
            assert time.monotonic() - started < SLACK
            assert not sio.connected, f"turn {turn}"
            await asyncio.wait_for(server.all_gone(), SLACK)
        assert await left_behind() == [], f"turn {turn}"
        if through:
            return
        turn += 1


@ALL_TRANSPORTS
async def test_leaving_at_any_moment_of_connecting_again_leaves_nothing(any_peer: Peer, transports: Transports) -> None:
    async with Proxy(any_peer) as proxy:
        for step in range(40):
            sio, seen = watched(reconnection_delay=0.005, reconnection_delay_max=0.005)
            await sio.connect(proxy.url, transports=transports)
            if step % 2:
                proxy.refuse()
            proxy.cut()
            await seen.has(LOST)
            for _ in range(step * 3):
                await asyncio.sleep(0.0005)
            await sio.shutdown()
            assert not sio.connected
            assert await left_behind_but(sio) == 0
            if step % 2:
                proxy.allow()
        await proxy.until(lambda: proxy.connections == 0)


@ALL_TRANSPORTS
async def test_leaving_in_the_moment_in_which_the_connection_is_lost_is_told_once(transports: Transports) -> None:
    for turn in range(25):
        async with EngineServer(reply=replies) as server:
            sio, seen = watched()
            await sio.connect(server.origin, transports=transports)
            for connection in server.connections:
                connection.cut()
            for _ in range(turn):
                await asyncio.sleep(0)
            await sio.disconnect()
            assert [item for item in seen if item[0] == "disconnect"] in ([LOST], [LEFT]), f"turn {turn}"
            assert not sio.connected
        assert await left_behind() == [], f"turn {turn}"


async def test_leaving_while_the_first_connection_is_retried_ends_that(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        proxy.refuse()
        sio, seen = watched()
        connecting = asyncio.create_task(sio.connect(proxy.url, retry=True))
        await seen.until(lambda: len(seen) == 3)
        await sio.disconnect()
        with pytest.raises(exceptions.ConnectionError):
            await connecting


@ALL_TRANSPORTS
async def test_leaving_a_server_that_answers_no_more_is_bounded(peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server("node")
    sio, seen = watched(timeouts=Timeouts(close=0.2))
    await sio.connect(peer.url, transports=transports)
    await seen.until(lambda: len(seen) == 2)
    peer.pause()
    emitting = asyncio.create_task(emit_much(sio))
    await asyncio.sleep(0)
    started = time.monotonic()
    await sio.disconnect()
    assert time.monotonic() - started < 6 * 0.2 + SLACK
    assert seen[-1] == LEFT
    with pytest.raises(exceptions.BadNamespaceError):
        await emitting
    peer.kill()


async def emit_much(sio: socketio.AsyncClient) -> None:
    """Emit more than anybody takes."""
    for _ in range(200):
        await sio.emit("count", "x" * 500_000)


# ------------------------------------------------------------------------------------------------------------------------------------- cancelling


@ALL_TRANSPORTS
async def test_cancelling_connect_at_any_turn_leaves_nothing(transports: Transports) -> None:
    turn = 0
    while True:
        async with EngineServer(reply=replies) as server:
            sio = socketio.AsyncClient(timeouts=Timeouts(close=0.5))
            connecting = asyncio.create_task(sio.connect(server.origin, transports=transports))
            for _ in range(turn):
                await asyncio.sleep(0)
            through = connecting.done()
            connecting.cancel()
            await asyncio.wait({connecting}, timeout=SLACK)
            assert through or connecting.cancelled(), f"turn {turn}"
            if through:
                await sio.disconnect()
            assert not sio.connected
            await asyncio.wait_for(server.all_gone(), SLACK)
        assert await left_behind() == [], f"turn {turn}"
        if through:
            return
        turn += 1


async def conversation(sio: socketio.AsyncClient, url: str, transports: Transports) -> None:
    """Connect, be busy, leave; leave also if cancelled, as a careful program does."""
    try:
        await sio.connect(url, transports=transports)
        assert await sio.call("sum", 1) == ("sum", 1)
        await sio.emit("echo", (b"bytes", [b"more"]))
        await sio.call("sum", 2)
    finally:
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_cancelling_a_conversation_at_any_turn_leaves_nothing(transports: Transports) -> None:
    turn = 0
    while True:
        async with Listener(reply=replies) as server:
            sio = socketio.AsyncClient(timeouts=Timeouts(close=0.5), reconnection=False)
            task = asyncio.create_task(conversation(sio, server.origin, transports))
            for _ in range(turn):
                await asyncio.sleep(0)
            through = task.done()
            task.cancel()
            await asyncio.wait({task}, timeout=SLACK)
            assert through or task.cancelled(), f"turn {turn}: {task}"
            assert not sio.connected
            await asyncio.wait_for(server.all_gone(), SLACK)
        assert await left_behind() == [], f"turn {turn}"
        if through:
            return
        turn += 1


@ALL_TRANSPORTS
async def test_cancelling_disconnect_closes_all_the_same(transports: Transports) -> None:
    for turn in range(1, 30):
        async with EngineServer(reply=replies) as server:
            sio = socketio.AsyncClient(timeouts=Timeouts(close=0.5))
            await sio.connect(server.origin, transports=transports)
            leaving = asyncio.create_task(sio.disconnect())
            for _ in range(turn):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait({leaving}, timeout=SLACK)
            assert leaving.done()
            await asyncio.wait_for(server.all_gone(), SLACK)
            await sio.disconnect()
        assert await left_behind() == [], f"turn {turn}"


async def test_cancelling_whoever_waits_changes_nothing(any_peer: Peer) -> None:
    async with Proxy(any_peer) as proxy:
        sio, seen = watched()
        await sio.connect(proxy.url)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sio.wait(), 0.01)
        assert await sio.call("echo", 1) == 1
        proxy.refuse()
        proxy.cut()
        await seen.has(LOST)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sio.wait(), 0.05)
        proxy.allow()
        await seen.until(lambda: seen.count("connect") == 2)
        await sio.disconnect()


@pytest.mark.parametrize("where", ["between two attempts", "in a handler"])
async def test_a_cancelled_connect_is_cancelled_wherever_that_meets_it(where: str) -> None:
    """The original turns both into other errors, or into none."""
    sio, _ = watched(reconnection_delay=30)
    there = asyncio.Event()

    @sio.event  # type: ignore[untyped-decorator]
    async def connect_error(data: Any) -> None:
        there.set()
        if where == "in a handler":
            await asyncio.sleep(30)

    connecting = asyncio.create_task(sio.connect("http://127.0.0.1:9", retry=where == "between two attempts"))
    await there.wait()
    await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait({connecting}, timeout=SLACK)
    assert connecting.cancelled()
    assert await left_behind() == []


# ---------------------------------------------------------------------------------------------------------------- lost while it was being connected


@ALL_TRANSPORTS
async def test_a_connection_that_is_lost_before_the_namespace_is_there_fails_at_once(transports: Transports) -> None:
    """The original waits for its time to pass, and meanwhile starts to connect again behind the back of whoever called."""

    class Cutting(EngineServer):
        def take(self, packet: str) -> None:
            if packet.startswith("40"):
                for connection in self.connections:
                    connection.cut()
            else:
                super().take(packet)

    async with Cutting(reply=replies) as server:
        sio, seen = watched()
        started = time.monotonic()
        with pytest.raises(exceptions.ConnectionError) as caught:
            await sio.connect(server.origin, transports=transports, wait_timeout=30)
        assert time.monotonic() - started < SLACK
        assert isinstance(caught.value.__cause__, EngineIOError)
        assert caught.value.__cause__.cause in (Cause.CONNECTION_LOST, Cause.WEBSOCKET_CLOSED)
        assert "connect" not in seen
        assert await left_behind_but(sio) == 0


@ALL_TRANSPORTS
async def test_a_server_that_lets_in_and_throws_out_in_one_breath(transports: Transports) -> None:
    async with EngineServer(reply=lambda message: ('0{"sid":"x"}', "1") if message.startswith("0") else ()) as server:
        sio, seen = watched()
        with pytest.raises(exceptions.ConnectionError, match="the server disconnected /") as caught:
            await sio.connect(server.origin, transports=transports, wait_timeout=30)
        assert isinstance(caught.value.__cause__, EngineIOError)
        assert caught.value.__cause__.cause is Cause.SERVER_DISCONNECTED
        assert seen == ["connect", THROWN_OUT]


async def test_messages_that_came_before_the_end_are_handled_before_it_is_told() -> None:
    async with EngineServer(reply=replies) as server:
        sio, seen = watched()
        await sio.connect(server.origin, transports=["polling"])
        server.push(*(f'42["event",{i}]' for i in range(5)), "1")
        await sio.wait()
        assert seen == ["connect", *(("event", (i,)) for i in range(5)), THROWN_OUT]
