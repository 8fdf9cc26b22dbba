"""The recorded server in the same process: no socket, no port, and on a `virtual_loop` no time either.

    async def main():
        async with in_memory("labs.eio.jsonl") as server:
            async with connect_socketio(server.url, network=server.network) as sio:
                ...

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(main())

The client is the library's own, whole, down to where it would call aiohttp: `network` makes what it gets in that place. Everything else is as with
`serve`, the Engine.IO session with its transports and its upgrade included.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, Unpack
from urllib.parse import urlsplit

import aiohttp
from aiohttp import WSMsgType

from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.inputs import (
    FrameReceived,
    RequestFailed,
    ResponseReceived,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.replay.admission import HTML_TYPE, JSON_TYPE, Request, read_request, refuse
from engineio_lite.replay.as_server import Playback, PlayOptions, make_stage
from engineio_lite.replay.engine import ServerSession
from engineio_lite.replay.happenings import Abort, Answer, GetArrived, PostArrived, PostBegan, RequestAborted
from engineio_lite.replay.live import LiveSession
from engineio_lite.replay.player import Source
from engineio_lite.replay.stage import Stage, WatchSession
from engineio_lite.state import CloseReason, Transport

URL: Final = "http://replay.invalid"
"""Where clients connect: no such name can exist, so a client without our network cannot end up anywhere."""


class MemoryServer(Playback):
    """The recorded server, from `async with` to the end of the block; make one with `in_memory`."""

    url: Final = URL
    """For the client; any other will do as well."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._sessions: dict[str, LiveSession] = {}
        self._numbers = itertools.count(1)
        self._failures: list[Exception] = []

    def network(self) -> MemoryNetwork:
        """A network of which this is the only server: for `connect_socketio(…, network=server.network)`."""
        return MemoryNetwork(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for session in list(self._sessions.values()):
            session.process(Abort(CloseReason.SERVER_CLOSE, "the server was left"))
        self.settle(self._failures, error)

    # --- For the sessions: see `live.Keeper`.

    def failed(self, error: Exception) -> None:
        """See `Keeper`."""
        self._failures.append(error)

    def over(self, session: LiveSession) -> None:
        """See `Keeper`."""
        self._sessions.pop(session.sid, None)

    # --- For the network.

    def number(self) -> int:
        """One for a request or a socket."""
        return next(self._numbers)

    def admit(self, method: str, url: str, *, websocket: bool) -> LiveSession | Answer:
        """The session that a request belongs to or opens, or the answer that it gets instead."""
        request = read_request(method, urlsplit(url).query, websocket=websocket)
        refusal = refuse(request, self._transport_of)
        if refusal is not None:
            return Answer(0, refusal.status, refusal.message.encode() if websocket else refusal.body, HTML_TYPE if websocket else JSON_TYPE)
        return self._sessions[request.sid] if request.sid else self._opened(request)

    def _transport_of(self, sid: str) -> Transport | None:
        session = self._sessions.get(sid)
        return None if session is None else session.transport

    def _opened(self, request: Request) -> LiveSession:
        engine = ServerSession(f"memory{self.number():014d}", transport=Transport(str(request.transport)))
        session = LiveSession(engine, query=request.query, headers=(), keeper=self)
        self._sessions[session.sid] = session
        session.begin(self.stage)
        return session


class MemoryNetwork:
    """What a client has in the place of HTTP and WebSockets; see `engineio_lite.aio.network.AnyNetwork`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def request(self, command: Poll | Post) -> ResponseReceived | RequestFailed:
        """See `AnyNetwork`."""
        session = self._server.admit("GET" if isinstance(command, Poll) else "POST", command.url, websocket=False)
        if isinstance(session, Answer):
            return _received(command, session)
        exchange, number = _Exchange(), self._server.number()
        session.has_request(number, exchange)
        try:
            if isinstance(command, Poll):
                session.process(GetArrived(number))
            else:
                session.process(PostBegan(number, "text/plain"))
                session.process(PostArrived(number, command.body))
            answer = await exchange.answered
        finally:
            if not exchange.answered.done() or exchange.answered.cancelled():
                session.process(RequestAborted(number))
            session.forget(number)
        if answer is None:
            return RequestFailed(command.request, Cause.CONNECTION_LOST, "the server ended the connection")
        return _received(command, answer)

    async def open_websocket(self, command: OpenWebSocket) -> MemorySocket | WebSocketRefused | WebSocketFailed:
        """See `AnyNetwork`."""
        session = self._server.admit("GET", command.url, websocket=True)
        if isinstance(session, Answer):
            return WebSocketRefused(command.socket, session.status, (("Content-Type", session.content_type),), session.body)
        number = self._server.number()
        socket = MemorySocket(session, number)
        session.has_socket(number, socket.served)
        session.process(WebSocketOpened(number))
        return socket

    async def close(self) -> None:
        """See `AnyNetwork`: nothing is held here."""


def _received(command: Poll | Post, answer: Answer) -> ResponseReceived:
    headers = (("Content-Type", answer.content_type),) if answer.content_type else ()
    return ResponseReceived(command.request, answer.status, headers, answer.body)


class _Exchange:
    """One request: see `live.Request`."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def answer(self, answer: Answer) -> None:
        """See `live.Request`."""
        if not self.answered.done():
            self.answered.set_result(answer)

    def cut(self) -> None:
        """See `live.Request`."""
        if not self.answered.done():
            self.answered.set_result(None)


class _Served:
    """The server's end of a WebSocket: see `live.Socket`."""

    def __init__(self, inbox: asyncio.Queue[aiohttp.WSMessage]) -> None:
        self._inbox = inbox

    def send(self, data: str | bytes) -> None:
        """See `live.Socket`."""
        self._inbox.put_nowait(aiohttp.WSMessage(WSMsgType.TEXT if isinstance(data, str) else WSMsgType.BINARY, data, None))

    def close(self) -> None:
        """See `live.Socket`."""
        self._inbox.put_nowait(aiohttp.WSMessage(WSMsgType.CLOSE, 0, ""))


class MemorySocket:
    """The client's end of a WebSocket; see `engineio_lite.aio.network.WebSocket`."""

    def __init__(self, session: LiveSession, number: int) -> None:
        self._session = session
        self._number = number
        self._inbox: asyncio.Queue[aiohttp.WSMessage] = asyncio.Queue()
        self.served = _Served(self._inbox)
        self.closed = False
        self.close_code: int | None = None

    async def receive(self) -> aiohttp.WSMessage:
        """See `WebSocket`."""
        return await self._inbox.get()

    async def send_str(self, data: str) -> None:
        """See `WebSocket`."""
        self._say(FrameReceived(self._number, data))

    async def send_bytes(self, data: bytes) -> None:
        """See `WebSocket`."""
        self._say(FrameReceived(self._number, data))

    async def close(self) -> bool:
        """See `WebSocket`."""
        if self.closed:
            return False
        self._say(WebSocketClosed(self._number, 1000))
        self._session.forget(self._number)
        self.closed = True
        self._inbox.put_nowait(aiohttp.WSMessage(WSMsgType.CLOSED, None, None))
        return True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `WebSocket`: there is nothing underneath."""
        return default

    def _say(self, input: FrameReceived | WebSocketClosed) -> None:
        if not self.closed:
            self._session.process(input)


def in_memory(
    capture: str | Path | Source, *, pings: bool | None = None, watch: WatchSession | None = None, **options: Unpack[PlayOptions]
) -> MemoryServer:
    """Make a server for an `async with` block that plays the recorded server to clients in the same event loop; options and errors as of `serve`."""
    return MemoryServer(make_stage(capture, pings, watch, options))
