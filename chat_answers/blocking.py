"""Using an adapter from a script that knows nothing of asyncio.

What waits for one result runs in a loop of its own, here and now (`run`). What is iterated over cannot: between two parts the caller's own code
runs, for as long as it likes, and meanwhile a heartbeat may have to be answered. So `BlockingIterator` gives the answer a thread with a loop, and
each step of the caller asks that loop for one part more; nothing is read ahead of it, so a caller who is slow slows the service down.

The thread does not know the iterator, only what it serves (`_Side`). So an iterator that is dropped in the middle, as by a ``break`` in a loop over
it, is collected, and ends its thread.

Neither works where a loop runs already, since it would stand still meanwhile; that is refused with a pointer to the asynchronous twin.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

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


class _Raised(NamedTuple):
    """What the generator raised, brought to the caller as a value: Ctrl-C and the like would tear down the loop on their way through it."""

    error: BaseException


class _Side(Generic[Item]):
    """The other side: a thread, the loop in it, and the generator in that."""

    def __init__(self, make: Callable[[], AsyncGenerator[Item, None]]) -> None:
        self._make = make
        self._ready: Future[None] = Future()
        self._failure: BaseException | None = None
        self._steps: set[asyncio.Task[Any]] = set()
        # A daemon, so that a script which ends in the middle of an answer ends.
        self._thread = threading.Thread(target=self._run, name="chat-answer", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.result()

    def step(self) -> object:
        outcome = asyncio.run_coroutine_threadsafe(self._step(), self._loop).result()
        if isinstance(outcome, _Raised):
            raise outcome.error
        return outcome

    def stop(self) -> None:
        """End the generator, and wait until it has ended; raises what went wrong with that."""
        if self._thread.ident is None:
            return
        if self._ready.exception() is None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._over.set)
        if threading.current_thread() is not self._thread:  # it is where the iterator is collected, in a cycle
            self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                self._failure = error
            else:
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._parts = self._make()
        self._ready.set_result(None)
        await self._over.wait()
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)
        await self._parts.aclose()

    async def _step(self) -> object:
        task = asyncio.current_task()
        assert task is not None
        self._steps.add(task)
        try:
            return await anext(self._parts, _END)
        except BaseException as error:
            return _Raised(error)
        finally:
            self._steps.discard(task)


class BlockingIterator(Generic[Item]):
    """Iterates over an asynchronous generator from ordinary code; made by the adapters' ``stream_sync``.

    `make` is called in the new loop and returns the generator. Iterating raises what the generator raises. Leaving a ``with`` block, `close`,
    dropping the iterator and the end of the program end the generator at once; so does Ctrl-C. Not to be shared between threads.
    """

    _side: _Side[Item] | None = None

    def __init__(self, make: Callable[[], AsyncGenerator[Item, None]]) -> None:
        self._make = make
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if self._closed:
            raise StopIteration
        try:
            if self._side is None:
                self._side = _Side(self._make)
                self._side.start()
                # Runs when the iterator is collected, and at the latest at exit, while the thread still runs and can say goodbye.
                weakref.finalize(self, self._side.stop)
            item = self._side.step()
        except BaseException:
            self.close()
            raise
        if item is _END:
            self.close()
            raise StopIteration
        return item  # type: ignore[return-value]  # what is not the end is an item

    def close(self) -> None:
        """End the answer and wait until everything that was opened is closed; harmless when it has ended.

        Raises what the generator raises while it closes.
        """
        self._closed = True
        side, self._side = self._side, None
        if side is not None:
            side.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()
