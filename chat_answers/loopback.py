"""What the adapters' loopback servers have in common: a thread with an event loop of its own, and an entrance that loses nobody.

So a program that blocks its loop, or has none, still has a server that answers, and nothing of the server counts as a leak of the program. A subclass
of `ThreadedServer` says what to do in that loop (`main`), calls `listening` once it can be reached, and returns when `stopping` is set.

`Entrance` stands where an `asyncio.Server` would. One that is closed forgets the connections that it is just accepting: they belong to tasks which
nobody can wait for, up to Python 3.11 these fail on an assertion and drop their socket, and aiohttp's runner never hears of a connection that is made
while it shuts down. A client that goes away at such a moment would leave a socket to the garbage collector. Here every connection is known from the
moment it is accepted, and the end waits for those that are half-way through the door.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakSet

LISTEN_LIMIT: Final = 10.0
"""Seconds until a server must listen; it takes milliseconds."""

BACKLOG: Final = 128
"""Connections that the system keeps until they are accepted, what asyncio and aiohttp ask for, too."""


class LoopbackUnavailable(Exception):
    """The server cannot be started, in one line: the address cannot be bound, or something is not installed."""


class Entrance:
    """A listening socket in the running loop, and every connection that came in by it, until `close`.

    `protocols` makes the protocol of a connection (an `aiohttp.web.Server` does). The loop must be able to watch sockets (`add_reader`), as that of a
    `ThreadedServer` is. Raises `LoopbackUnavailable` if the address cannot be bound.
    """

    def __init__(self, protocols: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> None:
        self._protocols = protocols
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        # Weak, since a connection that has ended is of no interest, and a closed one that still has something to say may last.
        self._inside: WeakSet[asyncio.BaseTransport] = WeakSet()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise LoopbackUnavailable(f"cannot listen at {host}:{port}: {os.strerror(error.errno or 0)}") from error
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._let_in)
        shown = f"[{host}]" if ":" in host else host
        self.origin = f"http://{shown}:{self._listener.getsockname()[1]}"
        """Where it listens, ``http://127.0.0.1:PORT``."""

    def _let_in(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # it has gone again; whoever comes next wakes us
        task = self._loop.create_task(self._welcome(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _welcome(self, connection: socket.socket) -> None:
        transport, _ = await self._loop.connect_accepted_socket(self._protocols, connection)
        self._inside.add(transport)

    async def close(self) -> None:
        """Let nobody in any more, and cut every connection; each is lost in the next turn of the loop. Not to be cancelled."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        await asyncio.gather(*self._arriving)
        for transport in list(self._inside):
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()


class ThreadedServer(ABC):
    """The thread around a server, entered with ``with`` or ``async with``."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._listening: Future[str] = Future()
        self._gone: Future[None] = Future()
        self.stopping: asyncio.Event
        """Set when the block is left; belongs to the server's loop."""
        self._loop: asyncio.AbstractEventLoop

    @property
    def origin(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``, inside the block."""
        return self._listening.result(timeout=0)

    # --- For subclasses, in the server's thread.

    @abstractmethod
    async def main(self) -> None:
        """Serve until `stopping` is set; an exception before `listening` is raised where the block is entered."""

    def listening(self, origin: str) -> None:
        """Say that the server can be reached."""
        self._listening.set_result(origin)

    # --- For subclasses, in any thread.

    def tell(self, callback: Callable[[], object]) -> None:
        """Have something done in the server's loop, soon; nothing happens if that loop has ended."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback)

    async def ask(self, question: Coroutine[Any, Any, None]) -> None:
        """Wait until a coroutine has ended in the server's loop; cancelling this cancels it."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._loop))

    # --- Entering and leaving.

    def __enter__(self) -> Self:
        self._start()
        self._listening.result(LISTEN_LIMIT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stop()
        self._gone.result()
        self._thread.join()

    async def __aenter__(self) -> Self:
        self._start()
        try:
            # Shielded: a future that was cancelled could not take the result that the thread is about to give.
            await asyncio.shield(asyncio.wrap_future(self._listening))
        except asyncio.CancelledError:
            self._listening.add_done_callback(lambda _: self._stop())  # perhaps the thread has not even begun
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stop()
        await asyncio.shield(asyncio.wrap_future(self._gone))
        self._thread.join()  # which has nothing left to do

    def _start(self) -> None:
        self._thread.start()

    def _stop(self) -> None:
        self.tell(lambda: self.stopping.set())

    def _run(self) -> None:
        try:
            # A selector's loop also where another is the default (Windows): an `Entrance` watches its socket.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._prepared())
        except BaseException as error:
            if self._listening.done():
                raise
            self._listening.set_exception(error)
        finally:
            self._gone.set_result(None)

    async def _prepared(self) -> None:
        self._loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        await self.main()
