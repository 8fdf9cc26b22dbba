"""HTTP over aiohttp: one question is sent, its answer is read as it comes, and whatever aiohttp says is said in our own words.

The module knows aiohttp and nothing of chat. It keeps the promises that the layers above cannot keep by themselves:

- A question is sent once each time it is asked to be, and no redirect is followed: a key does not go where somebody else says.
- What arrived before a connection broke is read first. aiohttp forgets what it has buffered as soon as the connection fails, so a task of ours
  takes each piece out of there as it comes, and reads no more from the connection while too much is unread, which slows the server down.
- aiohttp's errors hold the request with its headers, the key among them, or the proxy with its password; so these are never passed on, and never the
  cause of an error of ours.
- A session that the caller passes in is never changed and never closed: its connections and cookies are shared by a session of our own.
"""

from __future__ import annotations

import asyncio
import io
import re
import ssl as tls
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from chat_answers.exceptions import ConfigurationError, ConnectFailed, ConnectionLost, ResponseError, UnexpectedResponse
from ylokh_sse.capture.lines import CANCELLED, COMPLETE, CUT, Cut
from ylokh_sse.request import show_url
from ylokh_sse.response import proxy_wants_auth

MAX_UNREAD: Final = 1024 * 1024
"""Bytes of an answer that are kept for a reader who is slower than the server; then the server has to wait. Far more than any answer has."""

KEEPALIVE: Final = 4.0
"""Seconds for which an idle connection may be used again; common servers close it after 5."""

LINGER: Final = 0.1
"""Seconds to wait for the end of a body whose last word was said, so that its connection can be used again."""

MAX_PLAIN_BODY: Final = 1024 * 1024
"""Bytes of a question above which aiohttp wants it as a file, and warns about anything else."""

_MAX_SENTENCE: Final = 300
"""Characters kept of an exception's own words."""

_SECRETS: Final = re.compile(r"\?[^\s'\"<>]+|(?<=//)[^/@\s]+@")
"""Where aiohttp quotes a URL: its query, and user and password."""

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""Every wait is bounded by the caller, who knows what is awaited."""


def user_agent() -> str:
    """What we say we are: the library and its version, and nothing else."""
    return f"engineio-lite/{version('engineio-lite')}"


class Watcher(Protocol):
    """Who is told what becomes of a question: its recorder, or nobody."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer came; `headers` have lower-case names."""

    def received(self, data: bytes) -> None:
        """A piece of its body came: told as it comes, and not when somebody reads it."""

    def ended(self, how: str, cut: Cut | None = None) -> None:
        """It is over, as `ylokh_sse.capture.lines.Ended` has it. What is said first counts."""


class Nobody:
    """The watcher of a question that is not recorded."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None: ...

    def received(self, data: bytes) -> None: ...

    def ended(self, how: str, cut: Cut | None = None) -> None: ...


NOBODY: Final = Nobody()


class AnyResponse(Protocol):
    """The head of an answer, and its body as it comes, whoever brings them; `Response` says more."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content_type(self) -> str: ...

    async def read(self) -> bytes: ...

    async def aclose(self, *, linger: bool = False) -> None: ...


class AnyNetwork(Protocol):
    """What carries questions: a `Network`, or what stands in for one, such as a replay in memory."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, connected: Callable[[], None], watcher: Watcher = ...) -> AnyResponse:
        """As `Network.post`."""

    async def close(self) -> None: ...


class Network:
    """The connections of one client, in the event loop in which it is made; `close` ends whatever of it is ours."""

    def __init__(
        self, *, proxy: str | None = None, ssl: tls.SSLContext | bool = True, trust_env: bool = False, session: aiohttp.ClientSession | None = None
    ) -> None:
        self._proxy = proxy
        self._ssl = ssl
        # aiohttp shows neither a session's middlewares nor its default proxy; losing the caller's would be worse than reading them here.
        self._middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = tuple(getattr(session, "_middlewares", ()))
        trace = aiohttp.TraceConfig(trace_config_ctx_factory=_Request)
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        trace.freeze()
        if session is None:
            # Without a limit of its own: who asks for more answers side by side has them, and aiohttp's 100 would make the next one look unconnected.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_NO_TIMEOUT, trust_env=trust_env, trace_configs=[trace]
            )
        else:
            self._session = _share(session, trust_env, trace)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, connected: Callable[[], None], watcher: Watcher = NOBODY) -> Response:
        """Send a question and return what comes back as soon as its head is there; `connected` is called when there is a connection.

        Raises `ResponseError`, with the question unanswered. Cancelling closes the connection. The `watcher` is told what comes, and how it ends.
        """
        others, middlewares = self._set_aside_key(headers)
        is_connected = False

        def note() -> None:
            nonlocal is_connected
            is_connected = True
            connected()

        pending = self._session.post(
            url,
            data=body if len(body) <= MAX_PLAIN_BODY else io.BytesIO(body),
            headers=others,
            proxy=self._proxy,
            ssl=self._ssl,
            allow_redirects=False,
            trace_request_ctx=note,
            middlewares=middlewares,
        )
        try:
            return Response(await pending, watcher)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _explain(error, url) if is_connected or not isinstance(error, aiohttp.ServerDisconnectedError) else _hung_up()
            failure.__cause__ = _harmless(error)
            watcher.ended(*_fate(failure, error))
        raise failure  # not in the clause above, or what may not be seen would be its context

    def _set_aside_key(self, headers: Mapping[str, str]) -> tuple[dict[str, str], tuple[aiohttp.ClientMiddlewareType, ...]]:
        """Take ``Authorization`` out of the headers, and return a row of middlewares that puts it back.

        aiohttp refuses a request that has it where a session or a netrc file has credentials for the same host, too. What the caller says is meant.
        """
        given = [value for name, value in headers.items() if name.lower() == "authorization"]
        others = {name: value for name, value in headers.items() if name.lower() != "authorization"}

        async def authorize(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            request.headers["Authorization"] = given[-1]
            return await send(request)

        return others, (authorize, *self._middlewares) if given else self._middlewares

    async def close(self) -> None:
        """Close what is ours."""
        await self._session.close()


def _share(session: aiohttp.ClientSession, trust_env: bool, trace: aiohttp.TraceConfig) -> aiohttp.ClientSession:
    """A session of our own on the connections and cookies of another; raises `ConfigurationError` if it can have none of them."""
    fix = "make the session in the loop that asks, and close it after the client"
    if session.closed:  # it has forgotten its connector, and aiohttp would make one that nobody closes
        raise ConfigurationError("the session is closed", cause="bad-session", fix=fix)
    if getattr(session.connector, "_loop", loop := asyncio.get_running_loop()) is not loop:
        raise ConfigurationError("the session belongs to another event loop", cause="bad-session", fix=fix)
    return aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        cookie_jar=session.cookie_jar,
        headers=session.headers,
        auth=session.auth,
        timeout=_NO_TIMEOUT,
        trust_env=trust_env or session.trust_env,
        trace_configs=[*session.trace_configs, trace],
        proxy=getattr(session, "_default_proxy", None),
    )


class _Request(SimpleNamespace):
    """What aiohttp hands to the functions that watch a request."""

    trace_request_ctx: Callable[[], None]


async def _connected(session: aiohttp.ClientSession, request: Any, details: object) -> None:
    request.trace_request_ctx()


class Response:
    """The head of an answer, and its body as it comes. To be closed with `aclose`."""

    def __init__(self, response: aiohttp.ClientResponse, watcher: Watcher = NOBODY) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._watcher = watcher
        watcher.answered(self.status, self.headers)
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._paused = False
        self._error: ResponseError | None = None
        self.ended = False
        """Whether the body has ended, in whatever way; what came before may still be unread."""
        self._closed = self._watch_connection()
        self._pump = asyncio.create_task(self._take())

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """Return what has come since the last call, waiting for it; empty at the end.

        Raises `ConnectionLost` or `UnexpectedResponse` once everything that came before is read. Safe to cancel: nothing is lost.
        """
        while not self._unread:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = self._unread.popleft() if len(self._unread) == 1 else b"".join(self._unread)
        self._unread.clear()
        self._size = 0
        self._room.set()
        if self._paused:
            self._pause(False)
        return data

    async def _let_wait(self) -> None:
        """Let the server wait for the reader. What aiohttp has of the body by now is taken all the same, as it would not survive the connection.

        That is not much, unless it is compressed: then it may be a thousand times as much as what came, and is left where it is.
        """
        if "content-encoding" in self.headers:
            self._room.clear()
            await self._room.wait()
        else:
            self._pause(True)

    def _pause(self, pause: bool) -> None:
        self._paused = pause
        connection = self._response.connection  # None once the body has ended
        if connection is not None and (protocol := connection.protocol) is not None:
            (protocol.pause_reading if pause else protocol.resume_reading)()

    def _watch_connection(self) -> asyncio.Future[None] | None:
        """Have the body fail when its connection ends without that: aiohttp closes it where the framing makes no sense, and forgets the reader."""
        connection = self._response.connection
        closed = connection.protocol.closed if connection is not None and connection.protocol is not None else None
        if closed is not None:
            closed.add_done_callback(self._fail_unless_ended)
        return closed

    def _fail_unless_ended(self, closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()  # seen here, or asyncio says that nobody did
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("bad framing"))

    async def _take(self) -> None:
        try:
            while data := await self._response.content.readany():
                self._unread.append(data)
                self._size += len(data)
                self._watcher.received(data)
                self._news.set()
                if self._size > MAX_UNREAD:
                    await self._let_wait()
            self._watcher.ended(COMPLETE)
        except (aiohttp.ClientError, OSError) as error:
            self._error = _explain_body(error)
            self._error.__cause__ = _harmless(error)
            self._watcher.ended(*_fate(self._error, error))
        finally:
            if self._closed is not None:
                self._closed.remove_done_callback(self._fail_unless_ended)  # others may use the connection for long
            self.ended = True
            self._news.set()

    async def aclose(self, *, linger: bool = False) -> None:
        """Let go of the connection: for the next question if the body has ended, else for good. With `linger` it has `LINGER` seconds to end."""
        try:
            if linger and not self.ended:
                self._unread.clear()
                await asyncio.wait([self._pump], timeout=LINGER)
        finally:
            if not self.ended:
                self._watcher.ended(CANCELLED)
            if not self.ended or self._error is not None:
                self._response.close()
            self._pump.cancel()
            await asyncio.wait([self._pump])


# ------------------------------------------------------------------------------------------------------------------------------ aiohttp's words


def _explain(error: BaseException, url: str) -> ResponseError | ConfigurationError:  # a list of cases, most specific first
    match error:
        case aiohttp.ClientProxyConnectionError():
            return ConnectFailed(
                f"the proxy at {error.host}:{error.port} cannot be reached: {_os_words(error)}", cause="proxy-failed", fix=_PROXY_FIX
            )
        case aiohttp.ClientHttpProxyError(status=407):
            return proxy_wants_auth()
        case aiohttp.ClientHttpProxyError():
            return ConnectFailed(f"the proxy refused to connect to the server (HTTP {error.status})", cause="proxy-failed", fix=_PROXY_FIX)
        case aiohttp.ClientConnectorDNSError() if error.host != URL(url).raw_host:
            # With a proxy only its name is looked up here. aiohttp has names as they are looked up, in ASCII.
            return ConnectFailed(
                f"the proxy at {error.host}:{error.port} cannot be reached: {_os_words(error)}", cause="proxy-failed", fix=_PROXY_FIX
            )
        case aiohttp.ClientConnectorDNSError():
            return ConnectFailed(f"no address is known for {error.host}: {_os_words(error)}", cause="dns-failed", fix="check the name of the host")
        case aiohttp.ClientSSLError() | tls.SSLError():
            return ConnectFailed(f"no TLS with {show_url(url)}: {_words(error)}", cause="tls-failed", fix=_TLS_FIX)
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            fix = "start the server, or correct host and port"
            return ConnectFailed(f"nobody listens at {error.host}:{error.port}", cause="connect-refused", fix=fix)
        case aiohttp.ClientConnectorError():
            fix = "check host, port and firewall"
            return ConnectFailed(f"no connection to {error.host}:{error.port}: {_os_words(error)}", cause="connect-failed", fix=fix)
        case aiohttp.InvalidURL() | UnicodeError():
            return ConfigurationError(f"the URL names no host: {_words(error)}", cause="bad-url")
        case ValueError():
            return ConfigurationError(f"the request cannot be made: {_words(error)}")
        case aiohttp.ClientResponseError(request_info=aiohttp.RequestInfo(method="CONNECT")):
            return ConnectFailed(f"the proxy answers with what is not HTTP: {_words(error)}", cause="proxy-failed", fix=_PROXY_FIX)
        case aiohttp.ClientResponseError() if "content-encoding" in str(error).lower():
            return _bad_encoding(error)
        case aiohttp.ClientResponseError():
            return UnexpectedResponse(f"what came is not HTTP: {_words(error)}", cause="bad-http", fix="check that the port speaks HTTP")
        case _:
            return ConnectionLost(_words(error), when="before there was an answer")


def _hung_up() -> ConnectFailed:
    """Whoever is disconnected before there is a connection was talking to a proxy."""
    return ConnectFailed("the proxy hung up when it was asked for a tunnel to the server", cause="proxy-failed", fix=_PROXY_FIX)


def _explain_body(error: BaseException) -> ResponseError:
    words = str(error)
    # Two things under one name: a body that breaks off, and one whose Content-Encoding is a lie.
    if isinstance(error, aiohttp.ClientResponseError) or "content-encoding" in words.lower():
        return _bad_encoding(error)
    cut = _how_it_broke(error)
    return ConnectionLost(BROKEN_OFF[cut] if cut is not None else _words(error))


def _bad_encoding(error: BaseException) -> UnexpectedResponse:
    fix = "something on the way damages what it compresses, or compresses in a way that was not asked for"
    return UnexpectedResponse(f"the body cannot be read: {_words(error)}", cause="bad-encoding", fix=fix)


BROKEN_OFF: Final[Mapping[Cut, str]] = {
    Cut.RESET: "the server reset it",
    Cut.LENGTH: "the server closed it before it had sent as much as it announced",
    Cut.CHUNKED: "the server closed it before the last chunk",
    Cut.FRAMING: "the server broke its chunked encoding",
}
"""How a body may break off, in our words."""
_SAID: Final = {"reset by peer": Cut.RESET, "content length": Cut.LENGTH, "transfer length": Cut.CHUNKED, "bad framing": Cut.FRAMING}
"""And in aiohttp's."""


def _how_it_broke(error: BaseException) -> Cut | None:
    words = str(error)
    return next((cut for said, cut in _SAID.items() if said in words), None)


def _fate(failure: ResponseError | ConfigurationError, error: BaseException) -> tuple[str, Cut | None]:
    """How an exchange ended that failed, for its watcher."""
    return (CUT, _how_it_broke(error) or Cut.CHUNKED) if isinstance(failure, ConnectionLost) else (failure.cause, None)


_PROXY_FIX: Final = "check that the proxy runs at that URL and allows this host"
_TLS_FIX: Final = "check the scheme (http or https), the certificate's names and the trusted authorities (pass ssl=)"


def _os_words(error: aiohttp.ClientConnectorError) -> str:
    return error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__


def _words(error: BaseException) -> str:
    words = " ".join(_SECRETS.sub("", str(error)).split()) or "no further words"  # aiohttp points at a byte in lines of their own
    return f"{type(error).__name__}: {words}"[:_MAX_SENTENCE]


def _harmless(error: BaseException) -> BaseException | None:
    """An error that may be seen: not one that holds the request and its headers, nor one that holds the proxy's password, but what is inside."""
    match error:
        case aiohttp.ClientResponseError():
            return None
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
    return error


def check_proxy(proxy: object) -> None:
    """Raise `ConfigurationError` (which does not quote it) unless this is None or the http or https URL of a host."""
    if proxy is None:
        return
    try:
        parts = urlsplit(proxy if isinstance(proxy, str) else "")
        makes_sense = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        makes_sense = False
    if not makes_sense:
        raise ConfigurationError("proxy must be an http or https URL with a host", cause="bad-url")
