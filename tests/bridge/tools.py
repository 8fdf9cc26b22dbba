"""What the tests of the bridge share: transports, a list that can be waited for, and a client whose handlers write into one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import engineio_lite.bridge as socketio
from tests.aio.raw import EngineServer

ALL_TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], None], ids=["polling", "websocket", "default"])

Transports = list[str] | None

Reports = list[dict[str, Any]]

SLACK = 5.0
"""Seconds that two processes on a loaded machine may take for what takes none."""

QUICK: dict[str, Any] = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.1, "randomization_factor": 0}
"""Connect again without much ado."""


class Seen(list[Any]):
    """A list that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def note(self, item: Any) -> None:
        """Add one thing."""
        self.append(item)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout: float = SLACK) -> None:
        """Return once `condition` holds; it is looked at whenever something was added."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def has(self, *items: Any) -> None:
        """Return once all of these are in the list."""
        await self.until(lambda: all(item in self for item in items))


class Listener(EngineServer):
    """Does not send bytes back."""

    def take(self, packet: str) -> None:
        """Only remember bytes."""
        if packet.startswith("b"):
            self.received.append(packet)
            self._note()
        else:
            super().take(packet)


def watched(namespace: str = "/", **options: Any) -> tuple[socketio.AsyncClient, Seen]:
    """A client, and what its handlers are told: ``connect``, ``(disconnect, reason)``, ``(connect_error, data)``, and ``(event, arguments)``."""
    sio, seen = socketio.AsyncClient(**{**QUICK, **options}), Seen()
    sio.on("connect", lambda: seen.note("connect"), namespace=namespace)
    sio.on("disconnect", lambda reason: seen.note(("disconnect", reason)), namespace=namespace)
    sio.on("connect_error", lambda *data: seen.note(("connect_error", *data)), namespace=namespace)
    sio.on("*", lambda event, *args: seen.note((event, args)), namespace=namespace)
    return sio, seen


async def comes_true(condition: Callable[[], bool], timeout: float = SLACK) -> None:
    """Return once `condition` holds, which is looked at in every turn of the loop: for what nobody can be told of."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)
