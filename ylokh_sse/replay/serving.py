"""The recorded server as a real one on this machine: any client may ask it, in any process.

It answers by the tape. What is not on it gets status 400 with the whole mismatch as the error's message, so that a client which knows nothing of
replays shows it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from aiohttp import web

from chat_answers.loopback import ThreadedServer
from ylokh_sse.exceptions import ReplayMismatch
from ylokh_sse.loopback.answer import Step, reply_steps
from ylokh_sse.loopback.script import Reply
from ylokh_sse.loopback.server import Request, StepServer
from ylokh_sse.replay.schedule import steps
from ylokh_sse.replay.tape import Tape

_NOT_AGAIN = {"x-should-retry": "false"}
"""Asking the same again gets the same."""


class ReplayServer(StepServer):
    """Answers by a tape; `factor` and `rechunk` as `schedule` has them."""

    def __init__(self, tape: Tape, *, factor: float, rechunk: int | None, host: str, port: int) -> None:
        super().__init__("ylokh_sse.replay", host, port)
        self._tape = tape
        self._factor, self._rechunk = factor, rechunk

    @property
    def url(self) -> str:
        """The base URL with which a client asks for the paths that were recorded."""
        return self.origin + self._tape.base_path

    def plan(self, http: web.BaseRequest, body: bytes) -> Iterable[Step]:
        try:
            exchange = self._tape.take(http.method, http.path, http.headers, body)
        except ReplayMismatch as mismatch:
            return reply_steps(Reply.error(400, str(mismatch), type="replay_mismatch", code=mismatch.cause, headers=_NOT_AGAIN))
        return steps(exchange, self._factor, self._rechunk)


class Replay:
    """A replay on this machine, from `async with` (or `with`) to the end of the block, which gives its base URL; make one with `serve`.

    Entering raises `LoopbackUnavailable`. Leaving raises `ReplayMismatch` if something else was asked for than was recorded, or not all of it.
    """

    def __init__(self, tape: Tape, server: ReplayServer, *, allow_unplayed: bool) -> None:
        self.tape = tape
        """What was asked for in vain (`mismatches`), and what is left."""
        self._server = server
        self._allow_unplayed = allow_unplayed

    @property
    def requests(self) -> list[Request]:
        """What came, in order."""
        return self._server.requests

    @property
    def server(self) -> ThreadedServer:
        """The server itself."""
        return self._server

    def __enter__(self) -> str:
        self._server.__enter__()
        return self._server.url

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.__exit__(kind, error, traceback)
        self.tape.finish(error, allow_unplayed=self._allow_unplayed)

    async def __aenter__(self) -> str:
        await self._server.__aenter__()
        return self._server.url

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._server.__aexit__(kind, error, traceback)
        self.tape.finish(error, allow_unplayed=self._allow_unplayed)
