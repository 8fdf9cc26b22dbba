"""The server on a loopback address: HTTP and WebSocket over aiohttp, around one `LiveSession` for each client.

The module knows how bytes come and go, and decides nothing: `admission` says who may come in, and the session what is answered. It keeps the promises
that neither can keep by itself. A client that goes away is reported at once, in the middle of its GET too. A body is read no further than its session
accepts, nor for ever. What is written to a socket never waits inside the application's call; a client that does not read costs its session once too
much has piled up. And whoever leaves the server's block leaves nothing running: clients that are attached are told so, and cut off a moment later.

::

    class Echo:
        def open(self, session): return Echoing(session)

    async with serve(Echo()) as server:      # `with serve_in_thread(Echo()) as server:` where there is no loop, or where it is blocked
        ... server.url ...
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from types import TracebackType
from typing import Final, Self

from aiohttp import hdrs, web

from chat_answers.loopback import Entrance, ThreadedServer
from engineio_lite.inputs import FrameReceived, WebSocketClosed, WebSocketFailed, WebSocketOpened
from engineio_lite.replay.admission import HTML_TYPE, JSON_TYPE, Refusal, Request, preflight_headers, read_request, refuse, sharing_headers
from engineio_lite.replay.bounds import DEFAULT_SERVING_LIMITS, ServingLimits
from engineio_lite.replay.connections import VANISHED, Exchange, Frames, answer_close, read_body, receive, response
from engineio_lite.replay.engine import ServerSession
from engineio_lite.replay.happenings import Abort, Answer, GetArrived, PostArrived, PostBegan, RequestAborted
from engineio_lite.replay.live import Application, LiveSession
from engineio_lite.state import CloseReason, Transport

DEFAULT_PATH: Final = "/socket.io/"

SID_BYTES: Final = 15
"""Random bytes of a sid, as many as Node takes; they make 20 characters."""

_TOO_MANY: Final = Answer(0, 503, b"too many sessions\n", "text/plain")
_NO_SUCH_PAGE: Final = Answer(0, 404, b"no such page\n", "text/plain")
_MALFORMED: Final = Answer(0, 400)
_WRONG_METHOD: Final = Answer(0, 500)


class ReplayServer:
    """A server from `async with` to the end of the block; make one with `serve`.

    Leaving the block ends every session, cuts every connection, and raises what the application has let out of its calls: the exception if there was
    one, an `ExceptionGroup` if there were more, and nothing in the place of an exception that leaves the block itself. Entering raises
    `LoopbackUnavailable` if the address cannot be bound.
    """

    def __init__(
        self,
        application: Application,
        *,
        host: str,
        port: int,
        path: str | None,
        compress: bool,
        limits: ServingLimits = DEFAULT_SERVING_LIMITS,
    ) -> None:
        self._application = application
        self._host, self._port, self._path, self._compress = host, port, path, compress
        self._limits = limits
        self._sessions: dict[str, LiveSession] = {}
        self._numbers = itertools.count(1)
        self._busy: set[asyncio.Task[object]] = set()
        self._runner: web.ServerRunner
        self._entrance: Entrance
        self.failures: list[Exception] = []
        """What the application has let out of its calls so far, in order."""

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``: what Socket.IO clients are given. Inside the block."""
        return self._entrance.origin

    @property
    def sessions(self) -> list[LiveSession]:
        """The sessions that are not over, in the order in which they were opened."""
        return list(self._sessions.values())

    async def start(self) -> None:
        """Do what entering the block does."""
        # A client that goes away cancels its handler, which is how we know.
        server = web.Server(self._take, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=self._limits.goodbye)
        await self._runner.setup()
        try:
            self._entrance = Entrance(server, self._host, self._port)
        except BaseException:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Do what leaving the block does, without raising what the application has let out. Cancelled, it stops all the same, less politely."""
        try:
            for session in self.sessions:
                session.process(Abort(CloseReason.SERVER_CLOSE, "the server was left"))
            if self._busy:
                await asyncio.wait(set(self._busy), timeout=self._limits.goodbye)
        finally:
            await self._entrance.close()
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.stop()
        _raise_failures(self.failures, error)

    # --- For the sessions.

    def failed(self, error: Exception) -> None:
        """See `live.Keeper`."""
        self.failures.append(error)

    def over(self, session: LiveSession) -> None:
        """See `live.Keeper`."""
        del self._sessions[session.sid]

    # --- HTTP.

    async def _take(self, http: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            return await self._serve(http)
        finally:
            self._busy.discard(task)

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        if self._path is not None and not http.rel_url.raw_path.startswith(self._path):
            return response(_NO_SUCH_PAGE, {})
        origin = http.headers.get(hdrs.ORIGIN)
        if http.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers=preflight_headers(origin, http.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)))
        answer = await self._answer(http)
        return response(answer, sharing_headers(origin)) if isinstance(answer, Answer) else answer

    async def _answer(self, http: web.BaseRequest) -> Answer | web.StreamResponse:
        try:
            request = read_request(http.method, http.rel_url.raw_query_string, websocket=_is_handshake(http))
        except ValueError:
            return _MALFORMED
        refusal = refuse(request, self._transport_of)
        if refusal is not None:
            return _refused(request, refusal)
        if not request.sid and len(self._sessions) >= self._limits.max_sessions:
            return _TOO_MANY
        if request.method not in (hdrs.METH_GET, hdrs.METH_POST):
            return _WRONG_METHOD
        return await (self._converse(http, request) if request.websocket else self._exchange(http, request))

    def _transport_of(self, sid: str) -> Transport | None:
        session = self._sessions.get(sid)
        return None if session is None else session.transport

    def _session(self, http: web.BaseRequest, request: Request) -> LiveSession:
        """The session that a request belongs to or opens."""
        if request.sid:
            return self._sessions[request.sid]
        engine = ServerSession(secrets.token_urlsafe(SID_BYTES), transport=Transport(str(request.transport)))
        session = LiveSession(engine, query=request.query, headers=tuple(http.headers.items()), keeper=self)
        self._sessions[session.sid] = session
        session.begin(self._application)
        return session

    async def _exchange(self, http: web.BaseRequest, request: Request) -> Answer:
        session, number, exchange = self._session(http, request), next(self._numbers), Exchange(http)
        session.has_request(number, exchange)
        try:
            if request.method == hdrs.METH_GET:
                session.process(GetArrived(number))
            else:
                await self._post(http, session, number, exchange)
            return await exchange.answered
        except (web.RequestPayloadError, TimeoutError):
            return _MALFORMED  # it cannot be decoded, or it does not end
        finally:
            if not exchange.answered.done() or exchange.answered.cancelled():
                session.process(RequestAborted(number))
            session.forget(number)

    async def _post(self, http: web.BaseRequest, session: LiveSession, number: int, exchange: Exchange) -> None:
        session.process(PostBegan(number, http.content_type if hdrs.CONTENT_TYPE in http.headers else ""))
        if not exchange.answered.done():
            async with asyncio.timeout(self._limits.body):
                body = await read_body(http, self._most(session))
            session.process(PostArrived(number, body))

    def _most(self, session: LiveSession) -> int:
        return self._limits.max_body if session.offer.max_payload is None else session.offer.max_payload

    # --- WebSocket.

    async def _converse(self, http: web.BaseRequest, request: Request) -> Answer | web.StreamResponse:
        if not web.WebSocketResponse().can_prepare(http):
            return _MALFORMED
        session, number = self._session(http, request), next(self._numbers)
        socket = self._socket(http, self._most(session))
        try:
            await socket.prepare(http)
        except BaseException:
            if not request.sid:
                session.process(Abort(CloseReason.TRANSPORT_CLOSE, "the client went away before its WebSocket was open"))
            raise
        frames = Frames(http, socket, self._limits)
        session.has_socket(number, frames)
        ending = await self._run(session, number, socket, frames)
        if isinstance(ending, WebSocketClosed) and not frames.closing:
            await answer_close(socket, ending)
        if http.transport is not None:
            http.transport.close()  # by ourselves, or aiohttp would say goodbye a second time
        return socket

    def _socket(self, http: web.BaseRequest, most: int) -> web.WebSocketResponse:
        asked = [name.strip() for name in http.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")]
        # aiohttp refuses a message of exactly its limit. Of subprotocols Node takes the first, whatever it is.
        socket = web.WebSocketResponse(
            autoclose=False, compress=self._compress, max_msg_size=most + 1, protocols=asked[:1], timeout=self._limits.close
        )
        socket.headers.update(sharing_headers(http.headers.get(hdrs.ORIGIN)))
        return socket

    async def _run(self, session: LiveSession, number: int, socket: web.WebSocketResponse, frames: Frames) -> WebSocketClosed | WebSocketFailed:
        writing = asyncio.create_task(frames.write())
        ending: WebSocketClosed | WebSocketFailed = WebSocketClosed(number, VANISHED)
        try:
            session.process(WebSocketOpened(number))
            while not isinstance(received := await receive(socket, number), WebSocketClosed | WebSocketFailed):
                session.process(FrameReceived(number, received))
            ending = received
        finally:
            session.process(ending)
            session.forget(number)
            writing.cancel()
            await asyncio.wait([writing])
        return ending


def _is_handshake(http: web.BaseRequest) -> bool:
    return http.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def _refused(request: Request, refusal: Refusal) -> Answer:
    if request.websocket:
        return Answer(0, refusal.status, refusal.message.encode(), HTML_TYPE)
    return Answer(0, refusal.status, refusal.body, JSON_TYPE)


def serve(
    application: Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = DEFAULT_PATH,
    compress: bool = False,
    limits: ServingLimits = DEFAULT_SERVING_LIMITS,
) -> ReplayServer:
    """Make a server for an `async with` block, which serves `application` in the block's own loop.

    It listens on this machine only, unless `host` says otherwise; `port` 0 takes any free one. What is asked for elsewhere than below `path` is
    answered with 404; None takes every path. `compress` accepts permessage-deflate from clients that offer it, which Node does only when told to.
    """
    return ReplayServer(application, host=host, port=port, path=path, compress=compress, limits=limits)


# --- In a thread.


class ThreadedReplayServer(ThreadedServer):
    """The same server in a thread with a loop of its own, for `with` or `async with`; make one with `serve_in_thread`.

    The application is called in that thread. Leaving raises what `ReplayServer` raises.
    """

    def __init__(self, server: ReplayServer) -> None:
        super().__init__("engineio_lite.replay")
        self._server = server

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``. Inside the block."""
        return self.origin

    @property
    def failures(self) -> list[Exception]:
        """What the application has let out of its calls so far, in order."""
        return self._server.failures

    async def main(self) -> None:
        """Serve until the block is left; see `ThreadedServer`."""
        await self._server.start()
        try:
            self.listening(self._server.url)
            await self.stopping.wait()
        finally:
            await self._server.stop()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        super().__exit__(kind, error, traceback)
        _raise_failures(self.failures, error)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await super().__aexit__(kind, error, traceback)
        _raise_failures(self.failures, error)


def serve_in_thread(
    application: Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = DEFAULT_PATH,
    compress: bool = False,
    limits: ServingLimits = DEFAULT_SERVING_LIMITS,
) -> ThreadedReplayServer:
    """Make a server as `serve` does that runs in a thread: for programs without a loop, or with one that they block."""
    return ThreadedReplayServer(ReplayServer(application, host=host, port=port, path=path, compress=compress, limits=limits))


def _raise_failures(failures: list[Exception], error: BaseException | None) -> None:
    """Raise what an application let out of its calls, in the place of a quiet end of the block; an exception of the block's own is annotated."""
    if not failures:
        return
    if error is not None:
        for failure in failures:
            error.add_note(f"the server's application failed meanwhile: {type(failure).__name__}: {failure}")
    elif len(failures) == 1:
        raise failures[0]
    else:
        raise ExceptionGroup("the server's application failed", failures)
