"""The line that can be cut, between streams of bytes: what it says when it is cut, refuses, freezes and delays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator

import pytest

from tests.aio.raw import Connection, Gone, RawServer
from tests.peers.proxy import Proxy

SLACK = 3.0
"""Seconds that a loaded machine may take for what takes none."""


class Echo(RawServer):
    """The server behind the line: sends everything back, and remembers how its connections ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    async def run(self, connection: Connection) -> None:
        try:
            while data := await connection.reader.read(65536):
                await connection.send(data)
            self.ends.append("closed")
        except (ConnectionError, Gone) as error:
            self.ends.append("reset")
            raise Gone from error


@pytest.fixture
async def server() -> AsyncIterator[Echo]:
    async with Echo() as server:
        yield server


async def open_line(proxy: Proxy) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def close(connection: Connection) -> None:
    connection.writer.close()
    await connection.writer.wait_closed()


async def round_trip(line: Connection, data: bytes) -> None:
    await line.send(data)
    assert await asyncio.wait_for(line.exactly(len(data)), SLACK) == data


async def test_bytes_pass_both_ways_and_are_counted(server: Echo) -> None:
    async with Proxy(server) as proxy:
        assert proxy.url == f"http://127.0.0.1:{proxy.port}"
        line, data = await open_line(proxy), os.urandom(5_000_000)
        async with asyncio.TaskGroup() as both:
            both.create_task(line.send(data))
            back = both.create_task(line.exactly(len(data)))
        assert back.result() == data
        assert (proxy.bytes_up, proxy.bytes_down) == (len(data), len(data))
        assert (proxy.connections, proxy.accepted, proxy.most) == (1, 1, 1)
        await close(line)
        await proxy.until(lambda: proxy.connections == 0)
        await server.all_gone()
        assert (proxy.connections, proxy.accepted, proxy.most) == (0, 1, 1)


async def test_an_end_of_the_server_reaches_the_client_after_its_last_words() -> None:
    async def talk(connection: Connection) -> None:
        await connection.send(b"x" * 1_000_000)

    async with RawServer(talk) as server, Proxy(server) as proxy:
        line = await open_line(proxy)
        assert await asyncio.wait_for(line.reader.read(-1), SLACK) == b"x" * 1_000_000
        await close(line)


@pytest.mark.parametrize("frozen", [False, True], ids=["flowing", "frozen"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_cut_ends_every_line_on_both_sides_at_once(server: Echo, reset: bool, frozen: bool) -> None:
    async with Proxy(server) as proxy:
        lines = [await open_line(proxy) for _ in range(3)]
        for line in lines:
            await round_trip(line, b"hello")
        if frozen:
            proxy.freeze()
            await lines[0].send(b"lost")
        proxy.cut(reset=reset)
        assert proxy.connections == 0
        for line in lines:
            if reset:
                with pytest.raises(ConnectionResetError):
                    await asyncio.wait_for(line.reader.read(1), SLACK)
            else:
                assert await asyncio.wait_for(line.reader.read(1), SLACK) == b""
            line.writer.close()
        await asyncio.wait_for(server.all_gone(), SLACK)
        assert server.ends == ["reset" if reset else "closed"] * 3
        proxy.thaw()
        again = await open_line(proxy)
        await round_trip(again, b"hello")
        await close(again)
        assert (proxy.accepted, proxy.most) == (4, 3)


async def test_what_is_cut_in_its_first_moment_is_closed_too(server: Echo) -> None:
    async with Proxy(server) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            await proxy.until(lambda: proxy.connections == 1)
            proxy.cut()
            client.settimeout(SLACK)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(client.recv, 1) == b""


async def test_refused_and_allowed_again_on_the_same_port(server: Echo) -> None:
    async with Proxy(server) as proxy:
        old, port = await open_line(proxy), proxy.port
        await round_trip(old, b"before")
        for _ in range(2):
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                await open_line(proxy)
            await round_trip(old, b"still here")
            proxy.allow()
            assert proxy.port == port
            new = await open_line(proxy)
            await round_trip(new, b"after")
            await close(new)
        await close(old)
        assert proxy.accepted == 3


async def test_a_frozen_line_keeps_everything_and_gives_it_back(server: Echo) -> None:
    async with Proxy(server) as proxy:
        line = await open_line(proxy)
        await round_trip(line, b"before")
        proxy.freeze()
        counted, data = (proxy.bytes_up, proxy.bytes_down), os.urandom(300_000)
        await line.send(data)
        new = await open_line(proxy)
        await new.send(b"new")
        for silent in (line, new):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(silent.reader.read(1), 0.2)
        assert (proxy.bytes_up, proxy.bytes_down) == counted
        proxy.thaw()
        assert await asyncio.wait_for(line.exactly(len(data)), SLACK) == data
        assert await asyncio.wait_for(new.exactly(3), SLACK) == b"new"
        await close(line)
        await close(new)


async def test_a_frozen_line_does_not_tell_the_end_before_it_thaws(server: Echo) -> None:
    async with Proxy(server) as proxy:
        line = await open_line(proxy)
        await round_trip(line, b"before")
        proxy.freeze()
        await close(line)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.all_gone(), 0.2)
        assert proxy.connections == 1
        proxy.thaw()
        await asyncio.wait_for(proxy.until(lambda: proxy.connections == 0), SLACK)


async def test_a_delay_holds_up_each_byte_and_not_those_behind_it(server: Echo) -> None:
    async with Proxy(server, delay=0.2) as proxy:
        line = await open_line(proxy)
        started = time.monotonic()
        await round_trip(line, b"hello")
        assert 0.4 <= time.monotonic() - started < 0.4 + SLACK
        started = time.monotonic()
        for i in range(20):
            await line.send(bytes([i]))
            await asyncio.sleep(0.01)  # so that they do not travel as one
        assert await asyncio.wait_for(line.exactly(20), 0.4 + SLACK) == bytes(range(20))
        assert time.monotonic() - started < 20 * 0.2
        proxy.delay = 0.0
        started = time.monotonic()
        await round_trip(line, b"hello")
        assert time.monotonic() - started < 0.4
        await close(line)


async def test_a_server_that_is_gone_is_a_dead_line() -> None:
    async with Echo() as server:
        pass
    async with Proxy(server) as proxy:
        line = await open_line(proxy)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(line.reader.read(1), SLACK)
        line.writer.close()
        assert proxy.accepted == 1


async def test_leaving_with_lines_open_frozen_and_refused_leaves_nothing(server: Echo) -> None:
    async with Proxy(server, delay=10) as proxy:
        line = await open_line(proxy)
        await line.send(b"x" * 100_000)
        proxy.freeze()
        proxy.refuse()
    with contextlib.suppress(ConnectionResetError):  # the kernel's word for an end with bytes that nobody read
        assert await asyncio.wait_for(line.reader.read(1), SLACK) == b""
    line.writer.close()
    await asyncio.wait_for(server.all_gone(), SLACK)
    with pytest.raises(ConnectionRefusedError):
        await open_line(proxy)
