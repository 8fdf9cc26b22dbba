"""Through an HTTP proxy: a tunnel for every WebSocket, plain ones included, and the proxy's name in what goes wrong there.

RFC 6455 (section 4.1) wants CONNECT for a WebSocket whatever its scheme. aiohttp sends it for wss alone, and forwards the handshake of a ws URL in
the absolute form, whose upgrade many a proxy does not pass on. So this connector makes the tunnel where aiohttp does not. Where aiohttp does (https
and wss), it only says who is to blame: aiohttp's errors do not tell a proxy that hangs up from a server that does.

A connector's connections are made in `_create_connection`. aiohttp documents no seam there, but it is the one that connectors for other kinds of
proxies override, too. What is used of aiohttp beside it: `TCPConnector._create_direct_connection`, which looks names up and dials, and
`ClientRequest.update_proxy`; run with aiohttp 3.14.5, and the same in the sources of 3.14.3 and 3.14.4.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from yarl import URL

from engineio_lite.exceptions import elide

MAX_ANSWER: Final = 64 * 1024
"""Bytes of a proxy's answer to CONNECT: more than servers commonly allow for all headers together."""

_VERSION: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_END: Final = re.compile(rb"\n\r?\n")
_FINAL: Final = 200
"""Below it a status is interim (RFC 9110, section 15.2), and another one follows."""


class TunnelFailed(aiohttp.ClientError):
    """A proxy that was reached gave no tunnel; `status` is what it answered to CONNECT, None if it did not or if that was no HTTP."""

    def __init__(self, proxy: URL, words: str, status: int | None = None) -> None:
        super().__init__(f"the proxy at {proxy.host_subcomponent}:{proxy.port} {words}")
        self.status = status


def _refused(proxy: URL, status: int, reason: str) -> TunnelFailed:
    if status == 407:
        return TunnelFailed(proxy, "wants a user and a password that it knows (HTTP 407)", status)
    return TunnelFailed(proxy, f"refused the tunnel to the server: HTTP {status} {elide(reason)}", status)


class TunnelConnector(aiohttp.TCPConnector):
    """Connects as aiohttp does, but has WebSockets tunnelled by their proxy, and blames the proxy for a tunnel that fails (`TunnelFailed`).

    Connections are kept for `keepalive` seconds; None keeps none, and is for WebSockets: in aiohttp's pool a tunnel to a server would look like a
    connection to a proxy that forwards. `dialer` is a connector that connects in the place of this one and stays its owner's.
    """

    def __init__(self, *, keepalive: float | None = None, dialer: aiohttp.TCPConnector | None = None) -> None:
        if keepalive is None:
            super().__init__(force_close=True)
        else:
            super().__init__(keepalive_timeout=keepalive)
        self._dialer = dialer

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> ResponseHandler:
        """Make a connection for one request. Cancelling leaves no socket, and that is how `connect` of `timeout` (seconds) ends it.

        Raises aiohttp's errors, and `TunnelFailed`.
        """
        if self._dialer is not None and self._dialer.closed:
            raise aiohttp.ClientConnectionError("Connector is closed.")
        if req.proxy is None:
            return await self._as_aiohttp(req, traces, timeout)
        if not req.is_ssl() and req.headers.get(hdrs.UPGRADE) == "websocket":
            return await self._tunnel(req, req.proxy, timeout)
        with _blaming(req.proxy):
            return await self._as_aiohttp(req, traces, timeout)

    async def _as_aiohttp(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> ResponseHandler:
        if self._dialer is not None:
            return await self._dialer._create_connection(req, traces, timeout)
        return await super()._create_connection(req, traces, timeout)

    async def _tunnel(self, req: aiohttp.ClientRequest, proxy: URL, timeout: aiohttp.ClientTimeout) -> ResponseHandler:
        # aiohttp's request to a proxy takes the user and password out of the URL, or those of the environment, and makes a header of them.
        to_proxy = aiohttp.ClientRequest(hdrs.METH_GET, proxy, auth=req.proxy_auth, loop=self._loop, ssl=req.ssl)
        credentials = to_proxy.headers.get(hdrs.AUTHORIZATION)
        dialer = self._dialer or self
        transport, protocol = await dialer._create_direct_connection(to_proxy, [], timeout, client_error=aiohttp.ClientProxyConnectionError)
        answer = _Answer(proxy, transport, protocol)
        try:
            transport.set_protocol(answer)
            transport.write(_connect(f"{req.url.host_subcomponent}:{req.url.port}", credentials))
            await answer.given
        except BaseException:
            transport.abort()
            raise
        # From here on the request is one to the server itself: in the origin form, and without the proxy's password.
        req.update_proxy(None, None, None)
        return protocol


def _connect(target: str, credentials: str | None) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if credentials is not None:
        lines.append(f"Proxy-Authorization: {credentials}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class _Answer(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT. Whatever comes after a good one is the server's, and goes to `heir`, which the transport had before."""

    def __init__(self, proxy: URL, transport: asyncio.Transport, heir: ResponseHandler) -> None:
        self.given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once there is a tunnel; fails with `TunnelFailed`."""
        self._proxy = proxy
        self._transport = transport
        self._heir = heir
        self._came = bytearray()

    def data_received(self, data: bytes) -> None:
        self._came += data
        while not self.given.done() and (end := _END.search(self._came)):
            self._read(end.end())
        # What can be no HTTP is not waited for to end.
        if not self._came.startswith(_VERSION[: len(self._came)]):
            self._fail(TunnelFailed(self._proxy, f"answered CONNECT with what is no HTTP: Bad status line {elide(self._came.decode('latin-1'))}"))
        elif len(self._came) > MAX_ANSWER:
            self._fail(TunnelFailed(self._proxy, f"answered CONNECT with more than {MAX_ANSWER} bytes"))

    def _read(self, size: int) -> None:
        line = _STATUS_LINE.match(self._came)
        if line is None:
            self._fail(TunnelFailed(self._proxy, f"answered CONNECT with what is no HTTP: Bad status line {elide(self._came.decode('latin-1'))}"))
            return
        status, reason = int(line[1]), (line[2] or b"").decode("latin-1")
        rest = bytes(self._came[size:])
        if status < _FINAL:
            self._came = bytearray(rest)
        elif status < 300:
            self._hand_over(rest)
        else:
            self._fail(_refused(self._proxy, status, reason))

    def _hand_over(self, rest: bytes) -> None:
        self._came.clear()
        self._transport.set_protocol(self._heir)
        if rest:
            self._heir.data_received(rest)
        self.given.set_result(None)

    def _fail(self, error: TunnelFailed) -> None:
        if not self.given.done():
            self.given.set_exception(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(_hung_up(self._proxy, error))


def _hung_up(proxy: URL, error: BaseException | None) -> TunnelFailed:
    words = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return TunnelFailed(proxy, f"hung up on CONNECT{words}")


@contextmanager
def _blaming(proxy: URL) -> Iterator[None]:
    """Name the proxy for what goes wrong with aiohttp's own CONNECT. What it says of dialling and of the server's TLS stays as it is."""
    try:
        yield
    except aiohttp.ClientHttpProxyError as error:
        raise _refused(proxy, error.status, error.message) from error
    except aiohttp.ClientResponseError as error:
        raise TunnelFailed(proxy, f"answered CONNECT with what is no HTTP: {error.message}") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise _hung_up(proxy, error) from error
