"""HTTP and WebSocket over aiohttp: one command in, one input out.

The module knows aiohttp and nothing of the order of things. It keeps the promises that the core cannot keep by itself:

- One set of headers, cookies, proxy, TLS and environment for GET, POST and WebSocket alike.
- A POST has a length and the type ``text/plain;charset=UTF-8``: Node ends the session for another type, and a Python server acknowledges a chunked
  body and loses it.
- No request is ever sent twice. aiohttp repeats a GET whose connection broke before the answer; the first one may have taken messages away with it.
- Connections are not kept idle for as long as Node keeps them (5 s), or a request would now and then meet one that is just closing.
- No redirect is followed: it would silently move a session, or turn a POST into a GET. It is reported.
- A session that the caller passes in is never changed and never closed: its connections, cookies and defaults are shared by a session of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from socket import SHUT_RDWR
from ssl import SSLContext
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientTimeout, WSMsgType

import engineio_lite
from engineio_lite.aio.errors import explain_exception
from engineio_lite.aio.tunnel import TunnelConnector
from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.exceptions import LocalProtocolError, elide
from engineio_lite.handshake import redact_url
from engineio_lite.inputs import Headers, RequestFailed, ResponseReceived, WebSocketClosed, WebSocketFailed, WebSocketRefused
from engineio_lite.limits import Limits, Timeouts

KEEPALIVE: Final = 4.0
"""Seconds for which an idle connection may be used again; Node closes it after 5."""

MAX_REFUSAL: Final = 64 * 1024
"""Bytes read of the body of a refused WebSocket handshake."""

REFUSAL_TIME: Final = 1.0
"""Seconds for reading it."""

LINGER: Final = 0.1
"""Seconds to wait for the end of the connection after the peer's Close frame and our answer: it has said its last word."""

_NO_CODE = (0, 1005)
"""What aiohttp reports for a close frame without a code, and what the standard calls it."""


class _UpgradeRefused(aiohttp.ClientError):
    """The answer to a WebSocket handshake was not 101; carries it to where it is wanted, past code that would drop its body."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class _NotRepeated(aiohttp.ClientError):
    """Wraps an error after which aiohttp would send an idempotent request again."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once, and keep the body of a refused WebSocket handshake; a middleware, aiohttp's own way to stand around every request."""
    try:
        response = await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise  # nothing was sent, and aiohttp does not repeat it
        raise _NotRepeated from error
    if request.headers.get("Upgrade") == "websocket" and response.status != 101:
        try:
            body = await _read_refusal(response)
        finally:
            response.close()
        raise _UpgradeRefused(response.status, _pairs(response), body)
    return response


async def _read_refusal(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a refusal's body. It is only evidence, so whatever came is enough when it breaks, lies about its encoding or does not end."""
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(REFUSAL_TIME):
            async for chunk in response.content.iter_any():
                chunks.append(chunk)
                if sum(map(len, chunks)) >= MAX_REFUSAL:
                    break
    except (TimeoutError, aiohttp.ClientError):
        chunks.append(b"")
    return b"".join(chunks)[:MAX_REFUSAL]


def _pairs(response: aiohttp.ClientResponse) -> Headers:
    return tuple(response.headers.items())


def default_user_agent() -> str:
    """What we say we are: the library and its version, and nothing else."""
    return f"engineio-lite/{engineio_lite.__version__}"


class WebSocket(Protocol):
    """What a wire needs of a WebSocket that is open: an `aiohttp.ClientWebSocketResponse`, or what behaves as one."""

    @property
    def closed(self) -> bool: ...
    @property
    def close_code(self) -> int | None: ...

    async def receive(self) -> aiohttp.WSMessage: ...
    async def send_str(self, data: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def close(self) -> bool: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...


class AnyNetwork(Protocol):
    """What a wire needs of a network: a `Network`, or what behaves as one, such as that of a replay in memory."""

    async def request(self, command: Poll | Post) -> ResponseReceived | RequestFailed:
        """Send one request and read its whole answer; raises nothing but `asyncio.CancelledError`."""

    async def open_websocket(self, command: OpenWebSocket) -> WebSocket | WebSocketRefused | WebSocketFailed:
        """Open a WebSocket, or say why not; raises nothing but `asyncio.CancelledError`."""

    async def close(self) -> None:
        """Close what was opened."""


class Network:
    """The HTTP side of one connection; `close` ends whatever of it is ours. A `jar` may be shared by connections that follow each other."""

    def __init__(
        self,
        *,
        limits: Limits,
        timeouts: Timeouts,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ssl: SSLContext | bool = True,
        trust_env: bool = False,
        session: aiohttp.ClientSession | None = None,
        jar: aiohttp.abc.AbstractCookieJar | None = None,
    ) -> None:
        if session is not None and session.closed:
            raise LocalProtocolError("expected an open session to share, this one is closed", cause=Cause.BAD_OPTION)
        self._limits = limits
        self._proxy = _checked_proxy(proxy)
        self._ssl = ssl
        self._headers = {"User-Agent": default_user_agent()}
        if session is not None:
            self._headers.update(session.headers)
        self._headers.update(headers or {})
        if cookies:
            # As a header, and not in the jar: the jar may be the caller's. aiohttp adds the jar's cookies to these.
            self._headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._close_timeout = timeouts.close
        self._connect_timeout = ClientTimeout(total=None, connect=timeouts.connect, sock_connect=timeouts.connect)
        self._spare: asyncio.Task[None] | None = None
        self._jar = session.cookie_jar if session is not None else (jar if jar is not None else new_jar())
        if session is None:
            self._session = self._own_session(trust_env, TunnelConnector(keepalive=KEEPALIVE))
        else:
            self._session = self._shared_session(trust_env, session, None)
        # A WebSocket gets a connection that is never used again. A proxy that answers 101 without upgrading would otherwise leave a dead one in the
        # pool, and the next POST would find it. Where the caller's connector is used, that is the caller's choice; only if a proxy is in play,
        # WebSockets come through a connector of ours, for which the caller's dials: that one knows no tunnel for plain ones, and would pool it.
        self._websockets = self._session
        if session is None:
            self._websockets = self._own_session(trust_env, TunnelConnector())
        elif isinstance(session.connector, aiohttp.TCPConnector) and (self._proxy or trust_env or _default_proxy(session) or session.trust_env):
            self._websockets = self._shared_session(trust_env, session, TunnelConnector(dialer=session.connector))

    # The core has a deadline for every stage; only the making of a connection is timed in these, so that it can be told from a slow answer.

    def _own_session(self, trust_env: bool, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=self._jar,
            timeout=self._connect_timeout,
            trust_env=trust_env,
            middlewares=(self._with_spare, _once),
        )

    def _shared_session(self, trust_env: bool, session: aiohttp.ClientSession, connector: aiohttp.TCPConnector | None) -> aiohttp.ClientSession:
        """One with all that is the caller's, and a connector of our own if there is one."""
        return aiohttp.ClientSession(
            connector=connector or session.connector,
            connector_owner=connector is not None,
            cookie_jar=session.cookie_jar,
            auth=session.auth,
            timeout=self._connect_timeout,
            trust_env=trust_env or session.trust_env,
            trace_configs=list(session.trace_configs),
            # aiohttp shows neither its middlewares nor its default proxy; losing the caller's would be worse than reading them here.
            middlewares=(*getattr(session, "_middlewares", ()), _once),
            proxy=_default_proxy(session),
        )

    async def _with_spare(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Beside the first request, make the connection that will be needed next to its own: by polling, a GET and a POST run at once.

        Waiting for that connection when it is needed would cost a round trip, or three with TLS, before the first event.
        """
        if self._spare is None and request.proxy is None and request.headers.get("Upgrade") is None:
            self._spare = asyncio.create_task(self._make_spare(request))
        return await handler(request)

    async def _make_spare(self, request: aiohttp.ClientRequest) -> None:
        connector = self._session.connector
        if connector is not None:
            # Whatever is wrong, the request itself meets it as well, and says so.
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                (await connector.connect(request, traces=[], timeout=self._connect_timeout)).release()

    async def request(self, command: Poll | Post) -> ResponseReceived | RequestFailed:
        """Send one request and read its whole answer; raises nothing but `asyncio.CancelledError`, which closes the connection it used."""
        try:
            if isinstance(command, Poll):
                pending = self._session.get(command.url, headers=self._headers, proxy=self._proxy, ssl=self._ssl, allow_redirects=False)
            else:
                headers = {**self._headers, "Content-Type": "text/plain;charset=UTF-8"}
                pending = self._session.post(command.url, data=command.body, headers=headers, proxy=self._proxy, ssl=self._ssl, allow_redirects=False)
            async with pending as response:
                body = await self._read(response)
                if body is None:
                    detail = f"the answer is larger than the limit of {self._limits.max_body} bytes"
                    return RequestFailed(command.request, Cause.RESPONSE_TOO_LARGE, detail)
                return ResponseReceived(command.request, response.status, _pairs(response), body)
        except Exception as error:  # whatever a server or a proxy made aiohttp raise: it is named, and ends the session
            cause, detail = explain_exception(_unwrap(error), proxy=self._proxy)
            return RequestFailed(command.request, cause, detail)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The decompressed body; None once it is larger than the limit, whatever its headers announced."""
        chunks = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._limits.max_body:
                return None
            chunks.append(chunk)
        return b"".join(chunks)

    async def open_websocket(self, command: OpenWebSocket) -> aiohttp.ClientWebSocketResponse | WebSocketRefused | WebSocketFailed:
        """Open a WebSocket, or say why not; raises nothing but `asyncio.CancelledError`."""
        try:
            return await self._websockets.ws_connect(
                # With http in place of ws, which is the same request: proxies know no other scheme, and aiohttp looks the environment's up by it.
                command.url.replace("ws", "http", 1),
                headers=self._headers,
                proxy=self._proxy,
                ssl=self._ssl,
                max_msg_size=self._limits.max_frame,
                timeout=aiohttp.ClientWSTimeout(ws_close=self._close_timeout),
                # The driver answers a Close frame itself, once it has told the core: aiohttp would first wait for the connection to end.
                autoclose=False,
            )
        except _UpgradeRefused as refused:
            return WebSocketRefused(command.socket, refused.status, refused.headers, refused.body)
        except aiohttp.WSServerHandshakeError as error:
            # 101, but not the answer that RFC 6455 asks for.
            return WebSocketFailed(command.socket, Cause.WEBSOCKET_PROTOCOL_ERROR, f"the answer 101 is no WebSocket handshake: {error.message}")
        except Exception as error:
            return WebSocketFailed(command.socket, *explain_exception(_unwrap(error), proxy=self._proxy))

    async def close(self) -> None:
        """Close what is ours."""
        if self._spare is not None:
            self._spare.cancel()
            await asyncio.wait([self._spare])
        await self._session.close()
        await self._websockets.close()


def cut(socket: WebSocket) -> None:
    """End the connection under a WebSocket now, whatever still waits to be written: a peer that reads no more would make closing wait for ever."""
    connection = socket.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # it ended by itself
            connection.shutdown(SHUT_RDWR)


async def hang_up(socket: WebSocket) -> None:
    """Answer the peer's Close frame, or leave a socket that is broken, without waiting for anything more of it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            await socket.close()


def _default_proxy(session: aiohttp.ClientSession) -> Any:
    return getattr(session, "_default_proxy", None)


def new_jar() -> aiohttp.abc.AbstractCookieJar:
    """An empty cookie jar. Cookies of servers that are reached by address count as well: that is what loopback and many internal balancers are."""
    return aiohttp.CookieJar(unsafe=True)


def _checked_proxy(proxy: str | None) -> str | None:
    """The proxy's URL, unless it is none: aiohttp would say so at the first request, and not that it means the proxy."""
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy)
        makes_sense = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        makes_sense = False
    if not makes_sense:
        raise LocalProtocolError(f"proxy must be an http or https URL with a host, not {elide(redact_url(proxy))}", cause=Cause.BAD_OPTION)
    return proxy


def websocket_ended(number: int, socket: WebSocket, message: aiohttp.WSMessage) -> WebSocketClosed | WebSocketFailed:
    """Say how socket number `number` ended, from the last message that aiohttp gave."""
    if message.type is WSMsgType.CLOSE:
        code = int(message.data or 0)
        return WebSocketClosed(number, None if code in _NO_CODE else code, message.extra or "")
    if message.type is WSMsgType.ERROR:
        return _websocket_error(number, message.data)
    # The connection ended without a close frame, which the standard calls 1006.
    return WebSocketClosed(number, socket.close_code if socket.close_code not in (None, 1000) else 1006)


def _websocket_error(number: int, error: object) -> WebSocketFailed:
    if isinstance(error, aiohttp.WebSocketError):
        causes = {1007: Cause.BAD_UTF8, 1009: Cause.RESPONSE_TOO_LARGE}
        cause = causes.get(int(error.code), Cause.WEBSOCKET_PROTOCOL_ERROR)
        return WebSocketFailed(number, cause, f"what came is no WebSocket frame: {error} ({int(error.code)})")
    shown = error if isinstance(error, BaseException) else asyncio.CancelledError("closed")
    return WebSocketFailed(number, *explain_exception(shown))


def _unwrap(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, _NotRepeated) and error.__cause__ is not None else error
