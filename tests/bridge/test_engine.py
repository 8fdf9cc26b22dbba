"""The engine by itself, as some programs use it through ``sio.eio``, against Engine.IO servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import engineio_lite.bridge as socketio
from engineio_lite import Cause, LocalProtocolError
from engineio_lite.bridge.engine import Engine, Reason
from tests.aio.raw import EngineServer
from tests.bridge.tools import ALL_TRANSPORTS, SLACK, Reports, Seen, Transports, comes_true
from tests.peers import KINDS, Kind, StartPeer
from tests.peers.proxy import Proxy


@ALL_TRANSPORTS
@pytest.mark.parametrize("kind", KINDS)
async def test_messages_go_both_ways(kind: Kind, peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server(kind, engineOnly=True, burst=3)
    engine, seen = Engine(), Seen()

    @engine.on("connect")  # type: ignore[untyped-decorator]
    async def connect() -> None:
        seen.note("connect")

    @engine.on("message")  # type: ignore[untyped-decorator]
    def message(data: Any) -> None:
        seen.note(data)

    engine.on("disconnect", lambda reason: seen.note(("disconnect", reason)))
    await engine.connect(peer.url, transports=transports)
    assert (engine.state, engine.is_asyncio_based()) == ("connected", True)
    await engine.send("text")
    await engine.send(b"bytes", bytearray(b"more"))
    await engine.send({"a": [1]})
    await engine.send([])
    await seen.has("[]")
    assert seen == ["connect", "number 0", "number 1", "number 2", "text", b"bytes", b"more", '{"a":[1]}', "[]"]
    await engine.wait_upgraded()
    assert engine.transport() == engine.current_transport == (transports or ["websocket"])[0]
    await engine.disconnect()
    assert seen[-1] == ("disconnect", Reason.CLIENT_DISCONNECT)
    assert (engine.state, engine.sid, engine.failure) == ("disconnected", None, None)
    assert engine.closed is not None
    assert engine.closed.reason == "client close"


@ALL_TRANSPORTS
@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_closes(kind: Kind, peer_server: StartPeer, transports: Transports) -> None:
    peer = peer_server(kind, engineOnly=True)
    engine, seen = Engine(), Seen()
    engine.on("disconnect", seen.note)
    await engine.connect(peer.url, transports=transports)
    await engine.wait_upgraded()
    await engine.send("close!")
    await engine.wait()
    assert seen == ["server disconnect" if kind == "python" or transports == ["polling"] else "transport error"]
    assert engine.failure is not None
    assert engine.failure.cause in (Cause.SERVER_CLOSED, Cause.WEBSOCKET_CLOSED)


async def test_a_disconnect_handler_that_fails_is_reported(peer_server: StartPeer, reports: Reports) -> None:
    peer = peer_server("python", engineOnly=True)

    def fails(reason: str) -> None:
        raise KeyError(reason)

    engine = Engine()
    engine.on("disconnect", fails)
    async with Proxy(peer) as proxy:
        await engine.connect(proxy.url)
        proxy.cut()
        await engine.wait()
        assert engine.state == "disconnected"
        assert repr(reports.pop()["exception"]) == "KeyError('transport error')"
        await engine.connect(proxy.url)
        with pytest.raises(KeyError):
            await engine.disconnect()
        assert engine.state == "disconnected"


async def test_without_a_connection_there_is_nothing_to_do() -> None:
    engine = Engine()
    await engine.send("dropped, as the original does")
    await engine.disconnect()
    await engine.wait()
    await engine.wait_upgraded()
    assert [engine.transport(), engine.closed, engine.failure, engine.http] == [None, None, None, None]
    with pytest.raises(ValueError, match="Invalid event"):
        engine.on("surprise", print)


async def test_what_cannot_be_sent(peer_server: StartPeer) -> None:
    peer = peer_server("node", engineOnly=True)
    engine = Engine()
    await engine.connect(peer.url)
    with pytest.raises(LocalProtocolError) as caught:
        await engine.send("a \x1e b")
    assert caught.value.cause is Cause.SEPARATOR_IN_TEXT
    await engine.disconnect()


async def test_a_loop_that_ends_in_the_middle_closes_everything() -> None:
    """The task that keeps a connection closes it when it is cancelled, as `asyncio.run` does at its end; nobody is told."""
    async with EngineServer() as server:
        engine, seen = Engine(), Seen()
        engine.on("disconnect", seen.note)
        await engine.connect(server.origin, transports=["websocket"])
        [keeper] = [task for task in asyncio.all_tasks() if "_keep" in repr(task.get_coro())]
        keeper.cancel()
        await asyncio.wait({keeper}, timeout=SLACK)
        assert engine.state == "disconnected"
        assert seen == []
        await asyncio.wait_for(server.all_gone(), SLACK)


async def test_tools_for_programs() -> None:
    sio = socketio.AsyncClient()
    done = Seen()

    async def work(a: int, *, b: int) -> int:
        await sio.sleep(0)
        done.note(a + b)
        return a + b

    task = sio.start_background_task(work, 1, b=2)
    assert await task == 3
    sio.start_background_task(work, 3, b=4)  # kept until it is done
    await comes_true(lambda: done == [3, 7])
    queue, event = sio.eio.create_queue(2), sio.eio.create_event()
    queue.put_nowait(1)
    assert queue.get_nowait() == 1
    with pytest.raises(sio.eio.get_queue_empty_exception()):
        queue.get_nowait()
    assert not event.is_set()
