"""What the tests of reconnection, delivery, recovery and cancellation share: a client's story, told in order, and fast policies.

A test reads as: do something to the server or to the line, wait until the client tells that it noticed, look at what it told and at what the server
knows. `Story` is the reader of the client's `states`; it waits for the thing, never for a while, and fails with all that was told if that does not
come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import pytest

from engineio_lite.aio import SocketIOClient, State, connect_socketio
from engineio_lite.socketio import EventReceived, ReconnectPolicy
from tests.peers import KINDS, Peer

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
ONE_TRANSPORT = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET], ids="+".join)
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)

QUICK: Final = ReconnectPolicy(delay=0.05, max_delay=0.2)
"""The defaults, twenty times as fast."""

SLACK: Final = 3.0
"""Seconds that two processes on a loaded machine may take for what takes none."""

PATIENCE: Final = 10.0
"""Seconds after which a story that does not go on is a failure."""

Told = TypeVar("Told")


class Story:
    """What a client tells from now on, its events included; use it as ``async with``, inside of the client's own block."""

    def __init__(self, sio: SocketIOClient) -> None:
        self._sio = sio
        self.told: list[EventReceived | State] = []
        self._changed = asyncio.Event()

    async def _listen(self) -> None:
        async for state in self._sio.states():
            self.told.append(state)
            self._changed.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen())
        await asyncio.sleep(0)  # from here on it listens
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def of(self, *kinds: type[Told]) -> list[Told]:
        """All of these kinds, in the order in which they were told."""
        return [state for state in self.told if isinstance(state, kinds)]

    def args(self, name: str, namespace: str = "/") -> list[list[object]]:
        """The arguments of every event of this name so far."""
        return [event.args for event in self.of(EventReceived) if (event.namespace, event.name) == (namespace, name)]

    def numbers(self, namespace: str = "/") -> list[object]:
        """What the events ``number`` said so far, each of which has one argument."""
        assert all(len(args) == 1 for args in self.args("number", namespace))
        return [args[0] for args in self.args("number", namespace)]

    async def until(self, kind: type[Told], count: int = 1) -> Told:
        """Return the first one of a kind, or the one with this number, once it is told."""
        await self.comes(lambda: len(self.of(kind)) >= count, f"{kind.__name__} number {count}")
        return self.of(kind)[count - 1]

    async def comes(self, holds: Callable[[], bool], what: str) -> None:
        """Return once something holds that can be read off the story."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = "\n".join(str(state)[:200] for state in self.told[-20:])
            pytest.fail(f"{what} did not come; the last that came of {len(self.told)} was\n{last}")


class Word:
    """An auth that says each time how often it has been asked for."""

    def __init__(self, **fixed: object) -> None:
        self._fixed = fixed
        self.asked = 0

    def __call__(self) -> Mapping[str, object]:
        self.asked += 1
        return {**self._fixed, "turn": self.asked}


async def start_again(peer: Peer) -> None:
    """Start a server again while the client goes on."""
    await asyncio.to_thread(peer.restart)


async def opened(url: str, **options: Any) -> SocketIOClient:
    """Open a client that somebody else closes; a coroutine, for a task of its own."""
    return await connect_socketio(url, **options)


async def soon(waiting: Any, seconds: float = SLACK) -> Any:
    """Await what should come now."""
    return await asyncio.wait_for(waiting, seconds)
