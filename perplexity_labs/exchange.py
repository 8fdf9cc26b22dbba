"""One question, one connection: the driver under the client, which only fetches what `messages` reads, and keeps the waits of `timeouts`.

Every question gets a Socket.IO connection of its own, opened when the answer is first iterated over and left when it ends, for whatever reason. The
dialect forces that: a reply does not name its question, so the only thing that can tie the two together is the connection on which they travel. On a
shared one the late replies of an answer that was given up would look like the next answer. It costs three round trips a question, next to an answer
of many seconds, and it buys more than order: questions may be asked side by side, nothing idles between them that could time out unseen, and a server
that is no longer listened to learns so at once and can stop writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

from chat_answers.exceptions import ConnectionLost, Phase, ResponseTimeout
from chat_answers.parts import JSON
from chat_answers.timeouts import Patience
from engineio_lite import EngineIOError
from engineio_lite.aio import SocketIOClient
from perplexity_labs.failures import lost, not_connected, not_sent
from perplexity_labs.messages import DEFAULT_EVENT, AnswerReader
from perplexity_labs.timeouts import Timeout

Result = TypeVar("Result")


class Reply(NamedTuple):
    """One event as it came: its name, which may be a number, and its arguments."""

    name: str | float
    args: Sequence[JSON]


class Exchange:
    """One question and its answer. `reader` is given every event by whoever fetches it here, before the next one is fetched."""

    def __init__(self, timeout: Timeout, reader: AnswerReader) -> None:
        self.loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._reader = reader
        self._replies = 0
        self._patience = Patience(timeout.total, self.loop.time())
        self._sio: SocketIOClient | None = None
        self._timer: asyncio.Timeout | None = None
        self._abandoned = False
        self._left = asyncio.Event()

    async def ask(self, opening: Awaitable[SocketIOClient], request: dict[str, JSON]) -> None:
        try:
            self._sio = await self._bounded(opening)
        except EngineIOError as error:
            raise not_connected(error) from error
        try:
            await self._bounded(self._sio.emit(DEFAULT_EVENT, request))
        except EngineIOError as error:
            raise not_sent(error, drift=self._reader.drift()) from error
        self._patience.await_next(Phase.FIRST_TOKEN, self._timeout.first_token, self.loop.time())

    async def next_event(self) -> Reply:
        """Wait for one event; the parts of the one before have been handed over by now, so the silence begins here."""
        assert self._sio is not None
        if self._reader.replies > self._replies and self._reader.text_seen:
            self._patience.await_next(Phase.IDLE, self._timeout.idle, self.loop.time())
        self._replies = self._reader.replies
        try:
            event = await self._bounded(self._sio.receive())
        except EngineIOError as error:
            raise lost(error, partial=self._reader.text, drift=self._reader.drift()) from error
        return Reply(event.name, event.args)

    async def leave(self) -> None:
        try:
            if self._sio is not None:
                await self._sio.close()
        finally:
            self._left.set()

    async def abandon(self) -> None:
        """End the exchange from outside: wake whoever waits inside it, who then leaves; close the connection if nobody does."""
        self._abandoned = True
        if self._timer is None:
            await self.leave()
        elif not self._timer.expired():
            self._timer.reschedule(self.loop.time())
            await self._left.wait()

    async def _bounded(self, wish: Awaitable[Result]) -> Result:
        wait = self._patience.wait
        try:
            async with asyncio.timeout_at(wait.until) as self._timer:
                return await wish
        except TimeoutError:
            if self._abandoned:
                raise ConnectionLost("the client was closed", cause="client-closed", partial=self._reader.text) from None
            raise ResponseTimeout(wait.phase, wait.seconds, partial=self._reader.text, hint=self._reader.drift()) from None
        finally:
            self._timer = None
