"""One connection of the bridge: messages that come become tasks, in wire order and never too many.

python-engineio starts a task for each message the moment it is read, without any bound. Tasks are needed: a handler that waits for an acknowledgement
would otherwise wait for a message that nobody reads. So it is done here as well, with two differences. Messages are let in one after the other,
each as a task whose first step is taken before that of the next, so handlers *start* in wire order, and what a handler does before it first waits is
done in wire order. And no more than ``limits.max_queued_events`` of them are unfinished at a time: the rest waits in line, and the connection reads
no further, which the server feels as back-pressure.

While an application waits in `call`, `OVERFLOW` times as many are let in, because the answer comes behind them on the same ordered stream. When even
that is reached and none of them gets anywhere, the calls fail and say so: waiting on would end in the server's ping timeout.

Once a connection has ended all that it had brought is let in, before anybody is told of the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import aiohttp

from engineio_lite.aio.client import Options
from engineio_lite.aio.engine import EngineIOClient
from engineio_lite.causes import Cause
from engineio_lite.events import Closed, MessageReceived, Opened
from engineio_lite.exceptions import EngineIOError, LocalProtocolError, RemoteProtocolError
from engineio_lite.inputs import Fail

OVERFLOW: Final = 16
"""While calls wait, so many times the limit of unfinished messages is let in."""

PATIENCE: Final = 0.25
"""When that is reached too, how long it may last that nothing is finished, as a part of the ping timeout that the server announced."""


class Audience(Protocol):
    """What a session asks of the client that its messages are for."""

    def answers_awaited(self) -> bool:
        """Whether somebody waits for an answer that is still to come."""

    def unread(self) -> int:
        """How many events were handled but lie there for somebody to fetch."""

    def give_up(self, error: EngineIOError) -> None:
        """No answer will be read: whoever waits for one gets `error`."""


class Session(EngineIOClient):
    """An Engine.IO connection that hands its messages to `handle`, and calls `greet` as soon as it is open."""

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        audience: Audience,
        greet: Callable[[], Awaitable[None]],
        handle: Callable[[str | bytes], Awaitable[None]],
        logger: logging.Logger,
    ) -> None:
        super().__init__(options.engine(url, "/engine.io/"), options)
        self._audience = audience
        self._greet = greet
        self._handle = handle
        self._logger = logger
        self._line: deque[str | bytes] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._moved_at = 0.0
        self._room: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        self._greeting: asyncio.Task[None] | None = None
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection has ended, however it did."""
        self.keeper: asyncio.Task[None] | None = None
        """The task that sees the connection to its end."""
        self.established = False
        """Whether it is open and the first words are said, so that its end is news."""
        self.left = False
        """Whether this side ends the connection, so that its end is no news and what still comes is dropped."""
        self.told = False
        """Whether the application is being told of the end."""
        self._deaf = False
        self.http: aiohttp.ClientSession | None = None
        """An HTTP session that was made for this connection."""

    # ------------------------------------------------------------------------------------------------------------------------------- beginning

    async def establish(self) -> None:
        """Open the connection and let `greet` say the first words; raises what went wrong, then nothing is left running but the closing."""
        await self._open()
        assert self._greeting is not None
        try:
            await asyncio.wait({self._greeting})
        except asyncio.CancelledError:
            self._greeting.cancel()
            await asyncio.wait({self._greeting})
            raise
        self._raise_if_closed()
        if self._greeting.cancelled():
            raise RuntimeError("it was cancelled")  # by what it awaited, since nobody cancelled whoever waits here
        self._greeting.result()

    @property
    def failure(self) -> EngineIOError | None:
        """What ended the connection; None while it is open, and when this side ended it."""
        return None if self.closed is None or self.left else self._error()

    # --------------------------------------------------------------------------------------------------------------------- what the driver tells

    def _deliver(self, event: Any) -> None:
        if type(event) is MessageReceived:
            if not self._deaf:
                self._line.append(event.data)
                self._admit()
            return
        super()._deliver(event)
        if type(event) is Opened:
            # In a task that starts at once: the first words must be there before the first poll leaves, which saves a round trip.
            self._greeting = self._loop.create_task(self._say_first_words())

    async def _say_first_words(self) -> None:
        await self._greet()

    def _end(self, closed: Closed) -> None:
        if self.closed is not None:
            return
        super()._end(closed)
        self._admit()
        if self._greeting is not None:
            self._greeting.cancel()
        self.over.set_result(None)
        self._wake()

    def _is_full(self) -> bool:
        return bool(self._line) or len(self._running) + self._audience.unread() >= self._most

    async def _wait_room(self) -> None:
        unfinished = len(self._running) + self._audience.unread()
        self._logger.warning("%d messages are unfinished or unread: nothing more is read until there is room", unfinished)
        self._moved_at = self._loop.time()
        announced = self.handshake.ping_timeout if self.handshake is not None else 0.0
        patience = PATIENCE * (announced or 1.0)
        while self._is_full() and self.closed is None:
            if self._room is None or self._room.done():
                self._room = self._loop.create_future()
            # `wait` leaves the future alone, because a poll and a WebSocket may wait for the same room.
            await asyncio.wait({self._room}, timeout=patience)
            if self._is_full() and self._audience.answers_awaited() and self._loop.time() - self._moved_at >= patience:
                message = f"{len(self._running)} messages are being handled and {self._audience.unread()} are unread before the answer of this call"
                self._audience.give_up(LocalProtocolError(message, cause=Cause.RECEIVE_BUFFER_FULL))

    # ---------------------------------------------------------------------------------------------------------------------------------- handling

    @property
    def _most(self) -> int:
        limit = self._options.limits.max_queued_events
        return OVERFLOW * limit if self._audience.answers_awaited() else limit

    def _admit(self) -> None:
        """Let in those in front, as many as may be."""
        while self._line and (self.closed is not None or len(self._running) < self._most):
            task = self._loop.create_task(self._run(self._line.popleft()))
            self._running.add(task)
            task.add_done_callback(self._handled)

    async def _run(self, message: str | bytes) -> None:
        if not self._deaf:
            await self._handle(message)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._moved_at = self._loop.time()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.call_exception_handler({"message": "engineio_lite.bridge: a handler failed", "exception": error, "task": task})
        self.look_again()

    def fetched(self) -> None:
        """An event was taken away that lay there unread."""
        self._moved_at = self._loop.time()
        self._wake()

    def look_again(self) -> None:
        """There may be room now: something was finished, or somebody began to wait for an answer."""
        self._admit()
        self._wake()

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def leave(self) -> None:
        """This side is going to end the connection."""
        self.left = True
        self._stop_listening()

    def _stop_listening(self) -> None:
        """Handle nothing more of what came, and of what may still come."""
        self._deaf = True
        self._line.clear()

    # ----------------------------------------------------------------------------------------------------------------------------------- sending

    async def send(self, *messages: str | bytes) -> None:
        """As `EngineIOClient.send`, and first come, first served: nobody overtakes those who wait for room, be it for a very large message."""
        async with self._turn:
            while True:
                try:
                    return await super().send(*messages)
                except LocalProtocolError as error:
                    if error.cause is not Cause.SEND_BUFFER_FULL:
                        raise
                await self._driver.wait_until(lambda: not self._machine.buffered_packets)

    async def fail(self, error: RemoteProtocolError) -> None:
        """End the connection because what came makes no sense one layer up; harmless when it has ended."""
        self._stop_listening()
        if self.closed is None and not self.left:
            self._driver.process(Fail(error))
            await self._driver.flush()
