"""An event loop whose clock jumps: when nothing is ready it does not wait for the next timer, the timer's time has come.

So a minute of heartbeats, back-offs and recorded pauses takes as long as the work in it. It is meant for programs that stay in one process, as those
do that talk to a `MemoryServer`: what comes from outside, from a socket or a thread of one's own, is not waited for as long as there is a timer, and
comes late by as much as the clock has jumped. Only for what the loop's own executor was asked to do (`asyncio.to_thread`, the lookup of a host name)
does the clock go as everybody's does, until that is done: no time limit is over because a thread was not given the time to begin.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError

PATIENCE: Final = 1.0
"""Real seconds that are waited for the outside world where nothing is ready and there is no timer: then nothing will ever happen."""

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its clock begins at 0. Raises `EngineIOError` (cause ``replay-stalled``) out of `run_forever` if nothing can happen any more."""

    def __init__(self) -> None:
        self._clock = 0.0
        self._threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The seconds that have passed, if not for anybody outside."""
        return self._clock

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._clock += seconds

    @property
    def jumps(self) -> bool:
        """False while a thread works for the loop."""
        return not self._threads

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Arguments], _Result], *args: *_Arguments) -> asyncio.Future[_Result]:
        """As asyncio's; the clock does not jump until `func` has returned, or until nobody waits for it any more."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, _: object) -> None:
        self._threads -= 1

    async def shutdown_default_executor(self, *timeout: Any, **named: Any) -> None:
        """As asyncio's, which from Python 3.12 on gives the threads a time limit."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*timeout, **named)
        finally:
            self._threads -= 1


class _JumpingSelector(selectors.BaseSelector):
    """Watches files as another selector does, and lets the loop's time pass in the place of waiting for them."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._loop.jumps:
            begun = time.monotonic()
            found = self._inner.select(timeout)
            self._loop.jump(time.monotonic() - begun)
            return found
        found = self._inner.select(0 if timeout is not None else PATIENCE)
        if timeout is None and not found:
            raise EngineIOError("every task waits for something that nobody will do, and there is no timer", cause=Cause.REPLAY_STALLED)
        if timeout is not None and timeout > 0 and not found:
            self._loop.jump(timeout)
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


def virtual_loop() -> VirtualLoop:
    """Make one; for ``asyncio.Runner(loop_factory=virtual_loop)``."""
    return VirtualLoop()
