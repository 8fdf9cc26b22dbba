"""The server on a real socket, and the clients of others: ours, python-socketio's two, and Node's.

Whatever a client does here it does to a real server elsewhere in this suite; what is asked is that it notices no difference. What passes on the wire,
refusals for one, is in `test_serving_wire.py`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import socketio

from engineio_lite import Cause, ConnectRefused, EngineIOError
from engineio_lite.aio import connect, connect_socketio
from engineio_lite.replay.offer import Offer
from engineio_lite.replay.serving import serve, serve_in_thread
from engineio_lite.state import CloseReason
from tests.peers import run_client
from tests.replay.echo import Echo, SocketIO

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
BURST = 2000
DATA = {"a": b"\x00\xff" * 1000, "b": [b"", {"c": b"two"}], "text": "grüße \U0001f600"}
ALL_ARRIVED = {"received": BURST, "inOrder": True, "last": BURST - 1}


# -------------------------------------------------------------------------------------------------------------------------------- our own client


@ALL_TRANSPORTS
async def test_messages_come_back_once_and_in_order(transports: tuple[str, ...]) -> None:
    application = Echo(burst=3)
    async with serve(application, path="/engine.io/") as server, connect(server.url, transports=transports) as engine:
        sent: list[str | bytes] = [bytes([i % 256]) * (i % 50) if i % 3 == 0 else f"grüße {i}" for i in range(BURST)]
        sending = asyncio.create_task(engine.send(*sent))
        assert [await engine.receive() for _ in range(3)] == ["number 0", "number 1", "number 2"]
        assert [await engine.receive() for _ in sent] == sent
        await sending
        assert await engine.wait_upgraded() is (transports[-1] == "websocket")
        assert application.received == sent


@ALL_TRANSPORTS
async def test_a_conversation_with_our_client(transports: tuple[str, ...]) -> None:
    application = SocketIO()
    async with serve(application) as server:
        async with connect_socketio(server.url, transports=transports) as sio:
            assert (await sio.receive()).args == [{"auth": {}, "transport": transports[0]}]
            assert await sio.call("echo", DATA, b"alone") == [DATA, b"alone"]
            assert (await sio.receive()).args == [DATA, b"alone"]
            with pytest.raises(ConnectRefused) as caught:
                await sio.namespace("/admin", auth={"token": "guess"})
            assert (caught.value.refusal, caught.value.data) == ("not authorized", {"code": 7})
            admin = await sio.namespace("/admin", auth={"token": "letmein"})
            assert (await sio.receive()).namespace == "/admin"
            assert await admin.call("echo", "hello") == "hello"
            on_websocket = await sio.wait_upgraded()
        await application.ended.wait()
        assert on_websocket is (transports[-1] == "websocket")
        assert application.reasons == [CloseReason.TRANSPORT_CLOSE if on_websocket else CloseReason.CLIENT_CLOSE]
        assert server.sessions == []


@ALL_TRANSPORTS
async def test_a_flood_each_way_while_the_upgrade_happens(transports: tuple[str, ...]) -> None:
    async with serve(SocketIO()) as server, connect_socketio(server.url, transports=transports) as sio:
        await sio.receive()
        await sio.emit("flood", BURST)
        for i in range(BURST):
            await sio.emit("count", i)
        assert [(await sio.receive()).args for _ in range(BURST)] == [[i] for i in range(BURST)]
        assert await sio.call("report") == ALL_ARRIVED
        assert await sio.wait_upgraded() is (transports[-1] == "websocket")
        assert await sio.call("transport") == transports[-1]


@ALL_TRANSPORTS
async def test_the_server_ends_a_session_after_its_last_words(transports: tuple[str, ...]) -> None:
    application = Echo()
    async with serve(application, path=None) as server, connect(server.url, transports=transports) as engine:
        await engine.send("close!")
        assert await engine.receive() == "bye"
        with pytest.raises(EngineIOError) as caught:
            await engine.receive()
        assert caught.value.cause in (Cause.SERVER_CLOSED, Cause.WEBSOCKET_CLOSED)
        await application.ended.wait()
        assert application.reasons == [CloseReason.SERVER_CLOSE]
        assert server.sessions == []


@ALL_TRANSPORTS
async def test_pings_keep_a_session_alive_that_lasts_longer_than_interval_and_timeout(transports: tuple[str, ...]) -> None:
    offer = Offer(ping_interval=0.05, ping_timeout=2.0, pings=True)
    async with serve(Echo(offer=offer), path=None) as server, connect(server.url, transports=transports) as engine:
        started = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - started < offer.ping_interval + offer.ping_timeout + 0.5:
            await engine.send("still here?")
            assert await engine.receive() == "still here?"


@ALL_TRANSPORTS
async def test_a_client_sees_what_is_offered(transports: tuple[str, ...]) -> None:
    offer = Offer(upgrades=(), ping_interval=7.5, ping_timeout=3.25, max_payload=None, more={"flavour": "vanilla"})
    async with serve(Echo(offer=offer), path=None) as server, connect(server.url, transports=transports) as engine:
        seen = engine.handshake
        assert seen is not None
        assert (seen.upgrades, seen.ping_interval, seen.ping_timeout, seen.max_payload) == ((), 7.5, 3.25, None)
        assert await engine.wait_upgraded() is (transports == WEBSOCKET)


# ----------------------------------------------------------------------------------------------------------------------------- python-socketio


@ALL_TRANSPORTS
async def test_python_socketios_async_client(transports: tuple[str, ...]) -> None:
    async with serve(SocketIO()) as server:
        client = socketio.AsyncClient(reconnection=False)
        numbers: list[int] = []
        all_came = asyncio.Event()
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def number(i: int) -> None:
            numbers.append(i)
            if len(numbers) == BURST:
                all_came.set()

        client.on("number", number)
        client.on("question", lambda *args: args)
        client.on("disconnect", gone.set_result)
        await client.connect(server.url, transports=list(transports), namespaces=["/", "/admin"], auth={"token": "letmein"})
        try:
            assert client.transport() == transports[-1]
            assert await client.call("echo", (DATA, b"alone")) == (DATA, b"alone")
            assert await client.call("echo", "hello", namespace="/admin") == "hello"
            assert await client.call("askbinary") == (b"\x01\x02\x03", {"nested": [b"\xff"], "text": "grüße"})
            await client.emit("flood", BURST)
            for i in range(BURST):
                await client.emit("count", i)
            assert await client.call("report") == ALL_ARRIVED
            await all_came.wait()
            assert numbers == list(range(BURST))
            if transports != POLLING:  # where the writing task of this client sleeps on for half a minute
                await client.emit("drop")
                assert await asyncio.wait_for(gone, 10) == "transport error"
        finally:
            await client.disconnect()
            await client.wait()  # its loops outlive the disconnection by a little


@contextmanager
def sync_client(**options: Any) -> Iterator[Any]:
    client = socketio.Client(reconnection=False, **options)
    try:
        yield client
    finally:
        client.disconnect()
        if client.eio.http is not None:
            client.eio.http.close()


@ALL_TRANSPORTS
def test_python_socketios_blocking_client(transports: tuple[str, ...]) -> None:
    with serve_in_thread(SocketIO()) as server, sync_client() as client:
        numbers: list[int] = []
        all_came = threading.Event()

        def number(i: int) -> None:
            numbers.append(i)
            if len(numbers) == 100:
                all_came.set()

        client.on("number", number)
        client.on("question", lambda *args: args)
        client.connect(server.url, transports=list(transports))
        assert client.transport() == transports[-1]
        assert client.call("echo", (DATA, b"alone")) == (DATA, b"alone")
        assert client.call("askme", ("what?", 1)) == ("what?", 1)
        client.emit("flood", 100)
        assert all_came.wait(10)
        assert numbers == list(range(100))


# --------------------------------------------------------------------------------------------------------------------------------------- Node


@ALL_TRANSPORTS
@pytest.mark.usefixtures("node_client")
async def test_nodes_client(transports: tuple[str, ...]) -> None:
    application = SocketIO()
    script: list[list[Any]] = [
        ["call", "echo", {"text": "grüße \U0001f600"}, 1],
        ["answer"],
        ["call", "askbinary"],
        *([["upgraded"]] if transports == BOTH else []),
        ["count", BURST],
        ["emit", "flood", BURST],
        ["until", "number", BURST],
        ["call", "report"],
        ["call", "transport"],
    ]
    async with serve(application) as server:
        seen = await asyncio.to_thread(run_client, server.url, script, transports=list(transports), auth={"n": 1})
        await application.ended.wait()
    # The upgrade may be faster than the answer to the CONNECT.
    assert seen[0] in [["connect", transport] for transport in transports]
    assert ["event", "welcome", {"auth": {"n": 1}, "transport": transports[0]}] in seen
    acks = [line[1:] for line in seen if line[0] == "ack"]
    binary = [{"type": "Buffer", "data": [1, 2, 3]}, {"nested": [{"type": "Buffer", "data": [255]}], "text": "grüße"}]
    assert acks == [[{"text": "grüße \U0001f600"}, 1], binary, [ALL_ARRIVED], [transports[-1]]]
    assert [line[2] for line in seen if line[:2] == ["event", "number"]] == list(range(BURST))
    assert seen[-2:] == [["done"], ["disconnect", "io client disconnect"]]
    assert application.reasons == [CloseReason.CLIENT_CLOSE if transports == POLLING else CloseReason.TRANSPORT_CLOSE]


@ALL_TRANSPORTS
@pytest.mark.usefixtures("node_client")
async def test_nodes_client_is_left(transports: tuple[str, ...]) -> None:
    application = SocketIO()
    async with serve(application) as server:
        script: list[list[Any]] = [["call", "echo", 1], ["emit", "drop"], ["disconnected", 1]]
        seen = await asyncio.to_thread(run_client, server.url, script, transports=list(transports))
        assert ["disconnect", "transport close"] in seen
        refused = await asyncio.to_thread(run_client, f"{server.url}/admin", [], transports=list(transports), auth={"token": "guess"})
        assert ["connect_error", "not authorized", {"code": 7}] in refused


@pytest.mark.usefixtures("node_client")
async def test_nodes_client_compresses_if_it_may() -> None:
    async with serve(SocketIO(), compress=True) as server:
        text = "so long " * 1000
        seen = await asyncio.to_thread(run_client, server.url, [["call", "echo", text]], transports=["websocket"], perMessageDeflate={"threshold": 0})
        assert ["ack", text] in seen
