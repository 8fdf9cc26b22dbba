"""Using an adapter from a script that knows nothing of asyncio.

What waits for one result runs in a loop of its own, here and now (`run`). What is iterated over cannot: between two parts the caller's own code
runs, for as long as it likes, and meanwhile a heartbeat may have to be answered. So `BlockingIterator` gives the answer a thread with a loop, and
each step of the caller asks that loop for one part more; nothing is read ahead of it, so a caller who is slow slows the service down.

Neither works where a loop runs already, since it would stand still meanwhile; that is refused with a pointer to the asynchronous twin.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from chat_answers.exceptions import ConfigurationError

Item = TypeVar("Item")
Result = TypeVar("Result")

_END: Final = object()


def refuse_running_loop(name: str, instead: str) -> None:
    """Raise `ConfigurationError` if an event loop runs in this thread: `name` would stop it, `instead` does not."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigurationError(f"{name} would stop the event loop that runs in this thread", cause="running-loop", fix=f"use {instead} there")


def run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end in a new event loop of this thread, and return its result; Ctrl-C cancels it and waits until it has left."""
    return asyncio.run(main())


class BlockingIterator(Generic[Item]):
    """Iterates over an asynchronous generator from ordinary code; made by the adapters' ``stream_sync``.

    `make` is called in the new loop and returns the generator. Iterating raises what the generator raises. Leaving a ``with`` block, `close`, and
    dropping the iterator end the generator at once; so does Ctrl-C. Not to be shared between threads.
    """

    def __init__(self, make: Callable[[], AsyncGenerator[Item, None]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over: asyncio.Event | None = None
        self._steps: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if self._closed:
            raise StopIteration
        if self._thread is None:
            self._start()
        assert self._loop is not None
        step: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(self._step(), self._loop)
        try:
            item = step.result()
        except BaseException:
            step.cancel()
            self.close()
            raise
        if item is _END:
            self.close()
            raise StopIteration
        return item  # type: ignore[no-any-return]  # what is not the end is an item

    def close(self) -> None:
        """End the answer and wait until everything that was opened is closed; harmless when it has ended."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            assert self._loop is not None
            assert self._over is not None
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join()

    def _start(self) -> None:
        ready = threading.Event()
        # A daemon, so that a script which ends in the middle of an answer ends.
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="chat-answer", daemon=True)
        self._thread.start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._parts = self._make()
        ready.set()
        await self._over.wait()
        await asyncio.gather(*self._steps, return_exceptions=True)  # cancelled by now, if there are any
        await self._parts.aclose()

    async def _step(self) -> Item | object:
        task = asyncio.current_task()
        assert task is not None
        self._steps.add(task)
        try:
            return await anext(self._parts, _END)
        finally:
            self._steps.discard(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
