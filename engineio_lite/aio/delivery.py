"""How far an event has come on its way to the server, as `emit` tells it."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any

from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError, LocalProtocolError


class Stage(StrEnum):
    """How far an event has come; the last three are final."""

    QUEUED = "queued"
    """It waits: for a connection, for its turn, or for the answer to the POST that carries it."""
    WRITTEN = "written"
    """It has left: it is in the buffer of the WebSocket's connection, or in a POST that the server has answered."""
    ACKNOWLEDGED = "acknowledged"
    """The server's handler has answered it."""
    DROPPED = "dropped"
    """It was volatile and could not leave at once, so it never will."""
    FAILED = "failed"
    """It was given up, or its connection was lost with it; `error` says why. Whether the server has seen it is then not known."""


_FINAL = frozenset({Stage.ACKNOWLEDGED, Stage.DROPPED, Stage.FAILED})


class Delivery:
    """One event on its way; made by `emit`.

    `stage` is how far it has come, `error` why it came no further. Wait with `written` or `acknowledged`, or do not: nothing is lost by leaving it.
    """

    __slots__ = ("_answer", "_changed", "connection", "error", "position", "stage")

    def __init__(self, answer: asyncio.Future[list[object]] | None = None) -> None:
        self.stage = Stage.QUEUED
        self.error: EngineIOError | None = None
        self.position = 0
        """Which message of its connection it was, counted from 1."""
        self.connection = 0
        """Which connection took it, counted from 0."""
        self._answer = answer
        self._changed: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Delivery {self.stage}{f': {self.error}' if self.error is not None else ''}>"

    @property
    def final(self) -> bool:
        """Whether the stage will not change any more."""
        return self.stage in _FINAL or (self.stage is Stage.WRITTEN and self._answer is None)

    def move(self, stage: Stage, error: EngineIOError | None = None) -> None:
        """Note a new stage, unless the last one was final."""
        if self.final:
            return
        self.stage = stage
        self.error = error
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def written(self) -> None:
        """Return when the event has left.

        Raises what made it fail; the cause of a volatile event that was dropped is ``dropped``. Safe to cancel.
        """
        while self.stage is Stage.QUEUED:
            if self._changed is None or self._changed.done():
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self.stage is Stage.DROPPED:
            raise EngineIOError("a volatile event was dropped, because it could not leave at once", cause=Cause.DROPPED)

    async def acknowledged(self) -> Any:
        """Return the server's acknowledgement: its value, None if it has none, a list if it has several.

        Raises `AckTimeout`, what ended the connection, or `LocalProtocolError` for an event that asked for none. Safe to cancel.
        """
        if self._answer is None:
            if self.error is not None or self.stage is Stage.DROPPED:
                await self.written()
            raise LocalProtocolError("this event asked for no acknowledgement: emit it with ack=True, retries= or callback=", cause=Cause.BAD_OPTION)
        return value_of(await asyncio.shield(self._answer))


def value_of(args: list[object]) -> Any:
    """What an acknowledgement with these arguments is worth: nothing, its one value, or all of them."""
    return args[0] if len(args) == 1 else (args or None)
