"""A server in a thread with an event loop of its own, entered with ``with`` or ``async with``.

So a program that blocks its loop, or has none, still has a server that answers, and nothing of the server counts as a leak of the program. A subclass
says what to do in that loop (`main`), calls `listening` once it can be reached, and returns when `stopping` is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self

LISTEN_LIMIT: Final = 10.0
"""Seconds until a server must listen; it takes milliseconds."""


class LoopbackUnavailable(Exception):
    """The server cannot be started, in one line: the address cannot be bound."""


class ThreadedServer:
    """The thread around a server; see above."""

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

    async def main(self) -> None:
        """Serve until `stopping` is set; an exception before `listening` is raised where the block is entered."""
        raise NotImplementedError

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
            asyncio.run(self._prepared())
        except BaseException as error:
            if self._listening.done():
                raise
            self._listening.set_exception(error)
        finally:
            self._gone.set_result(None)

    async def _prepared(self) -> None:
        self._loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        await self.main()
