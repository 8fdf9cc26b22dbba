"""A line that can be cut: a TCP relay on loopback in front of a server, with somebody at the switches.

`Proxy` listens on a free port and carries bytes, which it does not understand, between whoever connects and the server behind it. A test can cut
all lines at once (`cut`), have new ones refused (`refuse`, `allow`), hold everything while the sockets stay open (`freeze`, `thaw`) and make the way
longer (`delay`). The switches are plain functions and work at once, also while a client of the same event loop is in the middle of something.
Counters say what has passed, and `until` waits for one of them. The server may go and come back on its port meanwhile.

One connection is carried by two pairs of tasks, one pair each way, with a queue between reading and writing, so that a delay holds up the bytes and
not the bytes behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from tests.aio.raw import Connection, Gone

CHUNKS = 256
"""Pieces of at most 64 KiB that one direction of one connection holds while they are delayed or frozen; then its sender is held up."""


class Listening(Protocol):
    """A server on loopback: a `Peer`, or a `RawServer`."""

    @property
    def port(self) -> int:
        """Where it listens."""


class Proxy:
    """The relay; use it as ``async with``, which leaves no connection and no task behind. An error of the relay itself is raised at the end."""

    def __init__(self, server: Listening, *, delay: float = 0.0) -> None:
        self._server = server
        self.delay = delay
        """Seconds that every byte takes each way; may be changed at any time, for the bytes that come in after that."""
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        """Connections that were ever accepted, also those that the server behind then refused."""
        self.most = 0
        """The most connections that were open at once."""
        self.bytes_up = 0
        """Bytes that were passed on to the server."""
        self.bytes_down = 0
        """Bytes that were passed on to clients."""
        self._lines: dict[asyncio.Task[None], list[Connection]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """Scheme, address and port, to be used instead of the server's."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._lines)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is looked at whenever a counter has changed."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    # --- The switches.

    def cut(self, *, reset: bool = True) -> None:
        """End every connection now, on both sides; what is on its way is lost.

        Without `reset` it looks as if the other side had closed, unless bytes were left unread: then the kernel sends a reset anyway.
        """
        for task, ends in self._lines.items():
            for end in ends if reset else ():
                _reset(end)
            self._ending.add(task)
            task.cancel()
        self._lines.clear()
        self._changed.set()

    def refuse(self) -> None:
        """Have new connections refused, as a host does where nobody listens; the open ones stay."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        # Bound and deaf: it keeps the port ours until somebody may listen again.
        self._listener = _bound(self.port)

    def allow(self) -> None:
        """Take new connections again."""
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def freeze(self) -> None:
        """Carry nothing more, not even an end, while every socket stays open; new connections are taken and get no answer."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Carry again, beginning with what was held."""
        self._flowing.set()

    # --- The relay.

    async def __aenter__(self) -> Self:
        self.allow()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self.cut(reset=False)
        while self._ending:
            await asyncio.wait(set(self._ending))
        if self._faults and error is None:
            raise self._faults[0]

    def _accept(self) -> None:
        # Whoever was there may have left before we looked.
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = self._listener.accept()
            ends: list[Connection] = []
            task = asyncio.get_running_loop().create_task(self._relay(accepted, ends))
            self._lines[task] = ends
            task.add_done_callback(self._ended)
            task.add_done_callback(lambda _: accepted.close())  # for a task that was cancelled before it began
            self.accepted += 1
            self.most = max(self.most, len(self._lines))
            self._changed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._lines.pop(task, None)
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._faults.append(error)
        self._changed.set()

    async def _relay(self, accepted: socket.socket, ends: list[Connection]) -> None:
        try:
            client = Connection(*await asyncio.open_connection(sock=accepted))
            ends.append(client)
            try:
                server = Connection(*await asyncio.open_connection("127.0.0.1", self._server.port))
            except ConnectionError:
                _reset(client)  # nobody is there: all that a client of a relay can be told is that the line is dead
                return
            ends.append(server)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(client, server, up=True))
                ways.create_task(self._carry(server, client, up=False))
        finally:
            for end in ends:
                if end.writer.get_extra_info("socket").fileno() != -1:  # asyncio aborts no transport that has closed itself when all was written
                    end.writer.transport.abort()
            for end in ends:
                with contextlib.suppress(OSError):
                    await end.writer.wait_closed()

    async def _carry(self, source: Connection, target: Connection, *, up: bool) -> None:
        """Carry one way until the source has ended and everything is passed on, or the target is gone."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read(source, waiting))
                await self._write(waiting, target, up=up)
        except* Gone:
            pass
        target.writer.close()

    async def _read(self, source: Connection, waiting: asyncio.Queue[tuple[float, bytes]]) -> None:
        clock = asyncio.get_running_loop().time
        data = b"nothing yet"
        while data:
            try:
                data = await source.reader.read(65536)
            except ConnectionError:
                data = b""
            await waiting.put((clock() + self.delay, data))

    async def _write(self, waiting: asyncio.Queue[tuple[float, bytes]], target: Connection, *, up: bool) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - clock()))
            await self._flowing.wait()
            if not data:
                return
            await target.send(data)
            if up:
                self.bytes_up += len(data)
            else:
                self.bytes_down += len(data)
            self._changed.set()


def _bound(port: int) -> socket.socket:
    """A socket with this port of loopback, or a free one, on which nobody listens yet."""
    # With its protocol said: asyncio switches Nagle off only then, which else costs 40 ms for many a round trip.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(end: Connection) -> None:
    if end.writer.get_extra_info("socket").fileno() != -1:  # else it is closed already
        end.cut()
