"""The recorded server without sockets: it stands where a client has its network, and answers by the tape in the client's own event loop.

Times are those of that loop, so a loop with a clock of its own replays an hour at once. What breaks off does so with the errors that the network has
for it; what is not on the tape is raised where it is asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from chat_answers.exceptions import ConnectionLost, ResponseError, UnexpectedResponse
from ylokh_sse.capture.format import Recorded
from ylokh_sse.capture.lines import CANCELLED, COMPLETE
from ylokh_sse.network import BROKEN_OFF, NOBODY, Watcher
from ylokh_sse.replay.schedule import Schedule, how_cut, how_ended, schedule, was_left
from ylokh_sse.replay.tape import Tape


class PlayedNetwork:
    """A replay in memory, from `with` (or `async with`) to the end of the block: ``Client(network.url, network=network)``; make one with `play`.

    Leaving raises `ReplayMismatch` if something else was asked for than was recorded, or not all of it.
    """

    def __init__(self, tape: Tape, *, factor: float, rechunk: int | None, allow_unplayed: bool) -> None:
        self.tape = tape
        """What was asked for in vain (`mismatches`), and what is left."""
        self._factor, self._rechunk = factor, rechunk
        self._allow_unplayed = allow_unplayed

    @property
    def url(self) -> str:
        """The base URL with which a client asks for the paths that were recorded."""
        return self.tape.origin + self.tape.base_path

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, connected: Callable[[], None], watcher: Watcher = NOBODY
    ) -> PlayedResponse:
        """Answer a question as it was answered when it was recorded; as `Network.post`. Raises `ReplayMismatch` for another one."""
        exchange = self.tape.take("POST", urlsplit(url).path, headers, body)
        connected()
        began = asyncio.get_running_loop().time()
        plan = schedule(exchange, self._factor, self._rechunk)
        if exchange.answered is None:
            await _until(began + plan.end)
            raise await _fail(exchange, watcher)
        await _until(began + plan.head)
        return PlayedResponse(exchange, plan, began, watcher)

    async def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.tape.finish(error, allow_unplayed=self._allow_unplayed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.__exit__(kind, error, traceback)


class PlayedResponse:
    """The head of a recorded answer, and its body piece by piece; as `Response`."""

    def __init__(self, exchange: Recorded, plan: Schedule, began: float, watcher: Watcher) -> None:
        assert exchange.answered is not None
        self.status = exchange.answered.status
        self.headers: Mapping[str, str] = exchange.answered.headers
        self._exchange = exchange
        self._pieces = deque(plan.pieces)
        self._end = plan.end
        self._began = began
        self._watcher = watcher
        watcher.answered(self.status, self.headers)

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """The next piece at its time, empty at the end. Safe to cancel: nothing is lost."""
        if self._pieces:
            instant, data = self._pieces[0]
            await _until(self._began + instant)
            self._pieces.popleft()
            self._watcher.received(data)
            return data
        await _until(self._began + self._end)
        if how_ended(self._exchange) != COMPLETE:
            raise await _fail(self._exchange, self._watcher)
        self._watcher.ended(COMPLETE)
        return b""

    async def aclose(self, *, linger: bool = False) -> None:
        """Let go of it; with `linger` a body that has nothing more to say has come to its end."""
        if linger and not self._pieces and how_ended(self._exchange) == COMPLETE:
            self._watcher.ended(COMPLETE)
        self._watcher.ended(CANCELLED)


async def _until(instant: float) -> None:
    wait = instant - asyncio.get_running_loop().time()
    if wait > 0:
        await asyncio.sleep(wait)


async def _fail(exchange: Recorded, watcher: Watcher) -> ResponseError:
    """The error with which an exchange ended; where we had left, nothing more comes."""
    if was_left(exchange):
        await asyncio.Event().wait()
    how, cut = how_ended(exchange), how_cut(exchange)
    watcher.ended(how, cut)
    if cut is None:
        return UnexpectedResponse(f"what came could not be read when it was recorded ({how})", cause=how, fix=None)
    return ConnectionLost(BROKEN_OFF[cut]) if exchange.answered is not None else ConnectionLost(BROKEN_OFF[cut], when="before there was an answer")
