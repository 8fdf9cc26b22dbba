"""The recorded server in memory, on a clock that jumps: our whole client, over every transport, in no time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from engineio_lite.aio import SocketIOClient, connect_socketio
from engineio_lite.capture.lines import Line
from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.exceptions import CassetteMismatch, EngineIOError, PingTimeout, ReplayStalled
from engineio_lite.inputs import ResponseReceived, WebSocketRefused
from engineio_lite.replay.memory import MemoryServer, in_memory
from engineio_lite.replay.virtual import virtual_loop
from tests.leaks import left_behind
from tests.replay.tape import CONNECT, down, ended, opened, tape, up
from tests.replay.test_as_server import CONVERSATION, EVERY_WAY, Act, next_event

REAL = 5.0
"""Real seconds that minutes of virtual ones may take on a busy machine."""


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def checked() -> Any:
        result = await main
        assert await left_behind() == []
        return result

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        return runner.run(checked())


async def play(lines: tuple[Line, ...], act: Act, *, client: dict[str, Any] | None = None, **options: Any) -> MemoryServer:
    async with in_memory(tape(*lines), **options) as server:
        async with connect_socketio(server.url, network=server.network, **(client or {})) as sio:
            await act(sio)
    return server


async def nothing(sio: SocketIOClient) -> None:
    """Come and go."""


@EVERY_WAY
def test_a_whole_conversation(transports: tuple[str, ...]) -> None:
    async def converse(sio: SocketIOClient) -> None:
        assert (await next_event(sio, "welcome")).args == [{"you": sio.sid}]
        assert await sio.wait_upgraded() is (transports[-1] == "websocket")
        assert await sio.call("echo", "grüße", {"n": 1.5}) == ["grüße", {"n": 1.5}]
        assert await sio.call("blob", b"\x00\x01") == b"\x01\x00"
        await sio.emit("stream")
        for i in range(20):
            assert (await next_event(sio, "part")).args == [i]
        await sio.acknowledge(await next_event(sio, "question"), 42)
        assert (await next_event(sio, "answered")).args == [42]

    server = run(play(CONVERSATION, converse, client={"transports": transports, "auth": {"token": "live"}}))
    assert server.all_played
    assert server.report.matched == 6


@EVERY_WAY
def test_minutes_take_no_time(transports: tuple[str, ...]) -> None:
    lines = (opened(time=0.0), up("0", time=0.0), down('0{"sid":"s"}', time=0.0), down('2["late"]', time=3600.0))

    async def wait(sio: SocketIOClient) -> None:
        began = asyncio.get_running_loop().time()
        await next_event(sio, "late")
        assert asyncio.get_running_loop().time() - began == pytest.approx(3600, abs=1)

    began = time.monotonic()
    run(play(lines, wait, client={"transports": transports}, timing="recorded"))
    assert time.monotonic() - began < 60, "an hour took an hour"


def test_without_pings_the_client_finds_the_server_dead() -> None:
    lines = (opened(time=0.0), up("0", time=0.0), down('0{"sid":"s"}', time=0.0), down('2["late"]', time=3600.0))
    with pytest.raises(PingTimeout):
        run(play(lines, SocketIOClient.receive, timing="recorded", pings=False))


@EVERY_WAY
def test_a_mismatch_is_raised(transports: tuple[str, ...]) -> None:
    async def call(sio: SocketIOClient) -> None:
        await sio.call("other", timeout=None)

    with pytest.raises(CassetteMismatch):
        run(play((*CONNECT, up('20["echo"]')), call, client={"transports": transports}))


def test_a_stall_is_told_at_once() -> None:
    with pytest.raises(ReplayStalled):
        run(play((*CONNECT, up('2["a"]')), SocketIOClient.receive, idle_limit=30))


def test_a_client_that_waits_for_what_nobody_will_do_is_told_so() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=virtual_loop) as runner, pytest.raises(EngineIOError) as caught:
        runner.run(wait())
    assert caught.value.cause is Cause.REPLAY_STALLED


@EVERY_WAY
def test_a_client_that_is_thrown_out_reconnects(transports: tuple[str, ...]) -> None:
    again = (opened(2), up("0", session=2), down('0{"sid":"@sid2"}', session=2), down('2["b"]', session=2))

    async def lose(sio: SocketIOClient) -> None:
        await sio.emit("a")
        await next_event(sio, "b")

    server = run(play((opened(), *CONNECT, up('2["a"]'), ended("server"), *again), lose, client={"transports": transports, "reconnect": True}))
    assert server.play_count == 2


def test_a_session_too_many_is_shown_out() -> None:
    async def twice() -> None:
        async with in_memory(tape(*CONNECT)) as server:
            async with connect_socketio(server.url, network=server.network):
                await connect_socketio(server.url, network=server.network)

    with pytest.raises(CassetteMismatch) as caught:
        run(twice())
    assert isinstance(caught.value.__cause__, EngineIOError)


def test_what_is_no_part_of_a_session_is_refused_as_by_a_server() -> None:
    async def guess() -> list[object]:
        async with in_memory(tape(*CONNECT), allow_unplayed=True) as server:
            network, query = server.network(), f"{server.url}/socket.io/?EIO=4&sid=guessed&transport="
            return [
                await network.request(Poll(1, f"{query}polling")),
                await network.request(Post(2, f"{query}polling", b"40")),
                await network.open_websocket(OpenWebSocket(3, f"{query}websocket")),
            ]

    body = b'{"code":1,"message":"Session ID unknown"}'
    kind = (("Content-Type", "application/json"),)
    refused = WebSocketRefused(3, 400, (("Content-Type", "text/html"),), b"Session ID unknown")
    assert run(guess()) == [ResponseReceived(1, 400, kind, body), ResponseReceived(2, 400, kind, body), refused]


def test_a_client_may_be_cancelled_in_the_middle() -> None:
    async def cancelled() -> None:
        async with in_memory(tape(*CONNECT), allow_unplayed=True) as server:
            task = asyncio.create_task(play_for_ever(server))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    async def play_for_ever(server: MemoryServer) -> None:
        async with connect_socketio(server.url, network=server.network, transports=("polling",)) as sio:
            await sio.receive()

    run(cancelled())


def test_threads_still_report_to_the_loop() -> None:
    async def ask() -> int:
        return await asyncio.to_thread(lambda: 42)

    assert run(ask()) == 42


def test_no_time_limit_is_over_before_a_thread_could_begin() -> None:
    def work() -> int:
        time.sleep(0.2)
        return 42

    async def ask() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            answer = await asyncio.to_thread(work)
        return answer, loop.time()

    answer, passed = run(ask())
    assert answer == 42
    assert 0.1 < passed < 20


def test_the_clock_jumps_again_once_the_thread_is_done() -> None:
    async def ask() -> None:
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(3600)

    begun = time.monotonic()
    run(ask())
    assert time.monotonic() - begun < 20


def test_a_thread_that_nobody_waits_for_does_not_hold_the_clock() -> None:
    freed = threading.Event()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.to_thread(freed.wait, 30)
        begun = time.monotonic()
        await asyncio.sleep(3600)
        assert time.monotonic() - begun < 20
        freed.set()

    run(ask())
