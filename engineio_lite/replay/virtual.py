"""An event loop whose clock jumps: when nothing is ready it does not wait for the next timer, the timer's time has come.

So a minute of heartbeats, back-offs and recorded pauses takes as long as the work in it. It is meant for programs that stay in one process and one
thread, as those do that talk to a `MemoryServer`: what comes from outside, from a socket or a thread, is not waited for as long as there is a timer,
and comes late by as much as the clock has jumped.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any, Final

from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError

PATIENCE: Final = 1.0
"""Real seconds that are waited for the outside world where nothing is ready and there is no timer: then nothing will ever happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its clock begins at 0. Raises `EngineIOError` (cause ``replay-stalled``) out of `run_forever` if nothing can happen any more."""

    def __init__(self) -> None:
        self._clock = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The seconds that have passed, if not for anybody outside."""
        return self._clock

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._clock += seconds


class _JumpingSelector(selectors.BaseSelector):
    """Watches files as another selector does, and lets the loop's time pass in the place of waiting for them."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
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
