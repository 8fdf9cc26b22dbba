"""The entrance of a loopback server: whoever comes in is known, and let out, however early or late the end is."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from chat_answers.loopback import Entrance, LoopbackUnavailable

VISITORS = 3


class Hall:
    """Makes protocols, and counts what became of their connections."""

    def __init__(self) -> None:
        self.made = 0
        self.lost = 0
        self.transports: list[asyncio.Transport] = []

    def __call__(self) -> asyncio.BaseProtocol:
        return Guest(self)


class Guest(asyncio.Protocol):
    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.hall.made += 1
        self.hall.transports.append(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.hall.lost += 1


@contextmanager
def visitors(entrance: Entrance) -> Iterator[list[socket.socket]]:
    """Connections that the system has made, whether the loop has turned or not."""
    address = ("127.0.0.1", int(entrance.origin.rpartition(":")[2]))
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(VISITORS)]


async def turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("leave", [False, True], ids=["they stay", "they have left"])
@pytest.mark.parametrize("turns", range(8))
async def test_at_whatever_turn_it_is_closed_nobody_is_lost(turns: int, leave: bool) -> None:
    hall = Hall()
    entrance = Entrance(hall, "127.0.0.1", 0)
    with visitors(entrance) as sockets:
        for connection in sockets if leave else ():
            connection.close()
        await turn(turns)
        await entrance.close()
        await turn(1)
        assert hall.made == hall.lost
        assert all(transport.is_closing() for transport in hall.transports)
        gc.collect()  # a socket that was dropped would warn, and fail this


async def test_those_inside_are_cut_though_they_read_nothing() -> None:
    hall = Hall()
    entrance = Entrance(hall, "127.0.0.1", 0)
    with visitors(entrance):
        while hall.made < VISITORS:
            await turn(1)
        first, *_ = hall.transports
        first.write(bytes(1 << 24))
        first.close()
        await turn(3)
        assert hall.lost == 0, "it still has something to say"
        await entrance.close()
        await turn(1)
        assert hall.lost == VISITORS


async def test_nobody_comes_in_after_the_end() -> None:
    entrance = Entrance(Hall(), "127.0.0.1", 0)
    await entrance.close()
    with pytest.raises(ConnectionRefusedError), visitors(entrance):
        pass


async def test_an_address_that_is_taken_is_one_readable_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LoopbackUnavailable, match=rf"^cannot listen at 127.0.0.1:{port}: Address already in use$"):
            Entrance(Hall(), "127.0.0.1", port)
