"""Through a real HTTP proxy to real servers, and what is said where the proxy is the one to blame.

A proxy forwards what is polled over plain http (the absolute form), and makes a tunnel (CONNECT) for https and for every WebSocket, as RFC 6455
(section 4.1) wants. The proxy here would forward the handshake of a WebSocket, but none of its frames, so only a tunnel can have carried them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from engineio_lite import Cause, ConnectFailed, EngineIOError, HandshakeError, LocalProtocolError, Timeouts
from engineio_lite.aio import connect_socketio
from engineio_lite.aio.tunnel import MAX_ANSWER
from engineio_lite.bridge import AsyncClient
from perplexity_labs import LabsClient, ResponseError, TextDelta, loopback
from perplexity_labs.loopback import JOKE
from tests.aio.raw import Connection, EngineServer, Proxy, RawServer, response, socketio
from tests.peers import Peer
from tests.peers.http_proxy import PASSWORD, USER, HttpProxy
from tests.peers.proxy import Proxy as Line

CERTIFICATES = Path(__file__).parent / "certs"

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])

DEAD = "http://me:s3cret@127.0.0.1:9"
"""Nobody listens at the port for discarding."""


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


@pytest.fixture(scope="module")
def tls_peer() -> Iterator[Peer]:
    """The python-socketio server behind TLS, shared by these tests."""
    with Peer("python", {"certificate": str(CERTIFICATES / "server.pem")}) as peer:
        yield peer


@pytest.fixture
def servers(python_peer: Peer, tls_peer: Peer) -> dict[str, str]:
    """The URLs of a server, by scheme."""
    return {"http": python_peer.url, "https": tls_peer.url}


@asynccontextmanager
async def way_to(proxy: HttpProxy) -> AsyncIterator[str]:
    """The URL of a proxy behind a line that must be empty in the end: who has left a connection leaves nothing open to the proxy either."""
    async with Line(proxy) as line:
        yield proxy.url.replace(f":{proxy.port}", f":{line.port}")
        await asyncio.wait_for(line.until(lambda: line.connections == 0), 10)
        assert line.accepted > 0


async def failure(url: str, proxy: str, transports: tuple[str, ...]) -> EngineIOError:
    """What a connection fails with; nothing of it may show a secret."""
    with pytest.raises(EngineIOError) as caught:
        await connect_socketio(url, proxy=proxy, transports=transports, ssl=trusting())
    assert "s3cret" not in str(caught.value)
    return caught.value


# ------------------------------------------------------------------------------------------------------------------------------- it goes through


@pytest.mark.parametrize("password", [False, True], ids=["open", "with-password"])
@ALL_TRANSPORTS
async def test_tls_is_tunnelled(
    transports: tuple[str, ...], password: bool, http_proxy: HttpProxy, http_proxy_with_password: HttpProxy, tls_peer: Peer
) -> None:
    proxy = http_proxy_with_password if password else http_proxy
    async with way_to(proxy) as url, connect_socketio(tls_peer.url, proxy=url, transports=transports, ssl=trusting()) as sio:
        assert await sio.call("echo", "ü", b"\x00") == ["ü", b"\x00"]
        assert await sio.wait_upgraded() == ("websocket" in transports)
        assert await sio.call("transport") == transports[-1]
    assert set(proxy.requests()) == {f"CONNECT 127.0.0.1:{tls_peer.port}"}


@pytest.mark.parametrize("password", [False, True], ids=["open", "with-password"])
async def test_polling_is_forwarded(password: bool, http_proxy: HttpProxy, http_proxy_with_password: HttpProxy, any_peer: Peer) -> None:
    proxy = http_proxy_with_password if password else http_proxy
    async with way_to(proxy) as url, connect_socketio(any_peer.url, proxy=url, transports=POLLING) as sio:
        assert await sio.call("echo", "ü", b"\x00") == ["ü", b"\x00"]
    requests = proxy.requests()
    assert {request.split(" ")[0] for request in requests} == {"GET", "POST"}
    assert all(request.split(" ")[1].startswith(f"{any_peer.url}/socket.io/?") for request in requests)


@pytest.mark.parametrize("password", [False, True], ids=["open", "with-password"])
@pytest.mark.parametrize("transports", [WEBSOCKET, BOTH], ids="+".join)
async def test_plain_websockets_are_tunnelled(
    transports: tuple[str, ...], password: bool, http_proxy: HttpProxy, http_proxy_with_password: HttpProxy, any_peer: Peer
) -> None:
    proxy = http_proxy_with_password if password else http_proxy
    async with way_to(proxy) as url, connect_socketio(any_peer.url, proxy=url, transports=transports) as sio:
        assert await sio.wait_upgraded() is True
        assert await sio.call("echo", "ü", b"\x00") == ["ü", b"\x00"]
        assert await sio.call("transport") == "websocket"
    requests = proxy.requests()
    assert requests.count(f"CONNECT 127.0.0.1:{any_peer.port}") == 1
    assert not any("transport=websocket" in request for request in requests)
    assert (len(requests) == 1) == (transports == WEBSOCKET)


async def test_a_proxy_of_the_environment_is_used_in_the_same_way(
    http_proxy_with_password: HttpProxy, any_peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", http_proxy_with_password.url)
    async with connect_socketio(any_peer.url, trust_env=True) as sio:
        assert await sio.wait_upgraded() is True
        assert await sio.call("transport") == "websocket"
    assert f"CONNECT 127.0.0.1:{any_peer.port}" in http_proxy_with_password.requests()


@pytest.mark.parametrize("whose", ["ours", "the session's"])
@pytest.mark.parametrize("transports", [WEBSOCKET, BOTH], ids="+".join)
async def test_with_a_session_of_the_callers_it_is_the_same(transports: tuple[str, ...], whose: str, http_proxy: HttpProxy, any_peer: Peer) -> None:
    ours, theirs = (http_proxy.url, None) if whose == "ours" else (None, http_proxy.url)
    async with aiohttp.ClientSession(proxy=theirs) as session:
        async with connect_socketio(any_peer.url, proxy=ours, session=session, transports=transports) as sio:
            assert await sio.wait_upgraded() is True
            assert await sio.call("transport") == "websocket"
        assert not session.closed
        assert session.connector is not None
        assert not session.connector.closed
    assert f"CONNECT 127.0.0.1:{any_peer.port}" in http_proxy.requests()


async def test_the_callers_connector_dials() -> None:
    class Nowhere(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[aiohttp.abc.ResolveResult]:
            raise OSError(None, f"no way to {host}")

        async def close(self) -> None:
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Nowhere())) as session:
        with pytest.raises(ConnectFailed, match=r"no way to proxy\.invalid"):
            await connect_socketio("http://127.0.0.1:9", proxy="http://proxy.invalid:3128", session=session, transports=WEBSOCKET)


async def test_a_proxy_may_want_tls_to_itself(any_peer: Peer) -> None:
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(CERTIFICATES / "server.pem")
    async with Proxy(credentials="me:word", ssl=identity) as proxy:
        url = proxy.origin.replace("//", "//me:word@")
        async with connect_socketio(any_peer.url, proxy=url, transports=WEBSOCKET, ssl=trusting()) as sio:
            assert await sio.call("transport") == "websocket"
    [connection] = proxy.connections
    [request] = connection.requests
    assert (request.method, request.target) == ("CONNECT", f"127.0.0.1:{any_peer.port}")
    assert request.header("Host") == request.target


ANSWER = b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.0 200\nVia: 1.0 somebody\n\n"


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
async def test_an_answer_may_come_in_pieces(cut: int) -> None:
    async def run(connection: Connection) -> None:
        await connection.request()
        await connection.send(ANSWER[:cut])
        await asyncio.sleep(0)
        await connection.send(ANSWER[cut:])
        request = await connection.request()
        assert request.target.startswith("/socket.io/?")
        assert request.header("Proxy-Authorization") is None
        await connection.send(response(404, b"nobody here"))

    async with RawServer(run) as proxy:
        error = await failure("http://127.0.0.1:9", proxy.origin.replace("//", "//me:s3cret@"), WEBSOCKET)
    assert isinstance(error, HandshakeError)
    assert error.status == 404


@pytest.mark.parametrize("turns", range(40))
async def test_cancelling_at_any_moment_leaves_no_socket(turns: int) -> None:
    async with EngineServer(reply=socketio) as server, Proxy() as proxy:
        task = asyncio.ensure_future(connect_socketio(server.origin, proxy=proxy.origin, transports=WEBSOCKET))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await task).close()
        await proxy.all_gone()
        await server.all_gone()
        assert all(connection.gone.is_set() for connection in proxy.connections)


# ------------------------------------------------------------------------------------------------------------------------------- it does not


@SCHEMES
@ALL_TRANSPORTS
@pytest.mark.parametrize("credentials", [f"{USER}:s3cret-guess@", ""], ids=["wrong", "none"])
async def test_a_proxy_that_wants_its_password_is_named(
    credentials: str, transports: tuple[str, ...], scheme: str, http_proxy_with_password: HttpProxy, servers: dict[str, str]
) -> None:
    proxy = http_proxy_with_password
    error = await failure(servers[scheme], proxy.bare_url.replace("//", f"//{credentials}"), transports)
    assert error.cause is Cause.PROXY_AUTH_REQUIRED
    assert error.fix == "put the proxy's user and password into the proxy URL"
    assert isinstance(error, ConnectFailed if tunnels(scheme, transports) else HandshakeError)
    assert (f"127.0.0.1:{proxy.port}" in str(error)) == tunnels(scheme, transports)
    assert proxy.requests() == []
    assert PASSWORD not in str(error)


@SCHEMES
@ALL_TRANSPORTS
async def test_a_dead_proxy_is_named(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    error = await failure(servers[scheme], DEAD, transports)
    assert isinstance(error, ConnectFailed)
    assert error.cause is Cause.PROXY_FAILED
    assert str(error).startswith("the proxy at 127.0.0.1:9 cannot be reached: ")
    assert "object at" not in str(error)


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_whose_name_is_unknown_is_named(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    error = await failure(servers[scheme], "http://me:s3cret@nowhere.invalid:3128", transports)
    assert isinstance(error, ConnectFailed)
    assert error.cause is Cause.PROXY_FAILED
    assert str(error).startswith("the proxy at nowhere.invalid:3128 cannot be reached: ")


@pytest.mark.parametrize("proxy", ["127.0.0.1:3128", "socks5://127.0.0.1:3128", "http://", "", "http://[::1", "http://[::1]:0", "http://a:99999"])
async def test_what_is_no_proxys_url_is_refused(proxy: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        await connect_socketio("http://127.0.0.1:9", proxy=proxy)
    assert caught.value.cause is Cause.BAD_OPTION
    assert str(caught.value).startswith("proxy must be an http or https URL with a host, not ")


def tunnels(scheme: str, transports: tuple[str, ...]) -> bool:
    """Whether the first request goes through a tunnel: it is part of making a connection, and its failures are the proxy's."""
    return scheme == "https" or transports == WEBSOCKET


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_that_does_not_reach_the_server_says_so(transports: tuple[str, ...], scheme: str, http_proxy: HttpProxy) -> None:
    error = await failure(f"{scheme}://127.0.0.1:9", http_proxy.url, transports)
    if tunnels(scheme, transports):
        assert isinstance(error, ConnectFailed)
        assert error.cause is Cause.PROXY_FAILED
        assert str(error).startswith(f"the proxy at 127.0.0.1:{http_proxy.port} refused the tunnel to the server: HTTP 502 ")
    else:
        assert isinstance(error, HandshakeError)
        assert (error.cause, error.status) == (Cause.GATEWAY_ERROR, 502)


def says(*answer: bytes) -> Callable[[Connection], Awaitable[None]]:
    async def run(connection: Connection) -> None:
        await connection.request()
        for piece in answer:
            await connection.send(piece)

    return run


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_that_speaks_no_http_is_named_where_it_can_be(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    async with RawServer(says(b"what do you mean?\r\n\r\n")) as proxy:
        error = await failure(servers[scheme], proxy.origin, transports)
    # Where it forwards, nobody can tell its words from the server's.
    assert error.cause is (Cause.PROXY_FAILED if tunnels(scheme, transports) else Cause.BAD_HTTP)
    assert str(error).startswith("the proxy at 127.0.0.1:") == tunnels(scheme, transports)
    assert "Bad status line" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "answered CONNECT with what is no HTTP: Bad status line 'SSH-2.0"),
        ((b"HTTP/1.1 ok\r\n\r\n",), "answered CONNECT with what is no HTTP: Bad status line 'HTTP/1.1 ok"),
        ((b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * (MAX_ANSWER // 6)), f"answered CONNECT with more than {MAX_ANSWER} bytes"),
        ((b"HTTP/1.1 200 OK\r\nA: b\r\n",), "hung up on CONNECT"),
        ((b"HTTP/1.1 403 No\r\n\r\n<p>go away",), "refused the tunnel to the server: HTTP 403 'No'"),
        ((b"HTTP/1.1 302 Found\r\nLocation: http://login.invalid/\r\n\r\n",), "refused the tunnel to the server: HTTP 302 'Found'"),
    ],
    ids=["another protocol", "no status", "endless", "half an answer", "refusal", "redirect"],
)
async def test_what_a_proxy_says_to_connect_is_told(answer: tuple[bytes, ...], words: str) -> None:
    async with RawServer(says(*answer)) as proxy:
        error = await failure("http://127.0.0.1:9", proxy.origin, WEBSOCKET)
        await proxy.all_gone()
    assert isinstance(error, ConnectFailed)
    assert error.cause is Cause.PROXY_FAILED
    assert str(error).startswith(f"{proxy.origin.replace('http://', 'the proxy at ')} {words}")


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_that_hangs_up_is_named_where_it_can_be(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    async with RawServer(says()) as proxy:
        error = await failure(servers[scheme], proxy.origin, transports)
    if tunnels(scheme, transports):
        assert isinstance(error, ConnectFailed)
        assert error.cause is Cause.PROXY_FAILED
        assert str(error).startswith(f"{proxy.origin.replace('http://', 'the proxy at ')} hung up on CONNECT")
    else:
        assert error.cause is Cause.CONNECTION_LOST


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_that_never_answers_is_given_up(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    # A tunnel is part of making the connection; what is forwarded is a request, which anybody may be slow to answer.
    tunnel = tunnels(scheme, transports)
    timeouts = Timeouts(connect=0.3) if tunnel else Timeouts(open=0.3)
    async with RawServer(Connection.hold) as proxy:
        with pytest.raises(EngineIOError) as caught:
            await connect_socketio(servers[scheme], proxy=proxy.origin, ssl=trusting(), timeouts=timeouts, transports=transports)
    assert caught.value.cause is (Cause.PROXY_FAILED if tunnel else Cause.OPEN_TIMEOUT)
    assert str(caught.value).startswith(f"{proxy.origin.replace('http://', 'the proxy at ')} made no connection in time") == tunnel


# ------------------------------------------------------------------------------------------------------------------------------- Labs goes along


@ALL_TRANSPORTS
async def test_labs_asks_through_the_proxy(transports: tuple[str, ...], http_proxy_with_password: HttpProxy) -> None:
    proxy = http_proxy_with_password
    async with loopback.serve(pace=0) as server, LabsClient(server.url, transports=transports, proxy=proxy.url) as labs:
        assert "".join([part.text async for part in labs.stream("hi") if isinstance(part, TextDelta)]) == JOKE
        assert len(server.visitors) == 1
        requests = {request.split("?")[0].removeprefix(server.url) for request in proxy.requests()}
    polled = {f"GET {server.url}/socket.io/", f"POST {server.url}/socket.io/"}
    connected = {f"CONNECT {server.url.removeprefix('http://')}"}
    assert requests == {POLLING: polled, WEBSOCKET: connected, BOTH: polled | connected}[transports]


async def test_the_bridge_goes_through_the_proxy(http_proxy: HttpProxy, any_peer: Peer) -> None:
    client = AsyncClient(websocket_extra_options={"proxy": http_proxy.url})
    await client.connect(any_peer.url, transports=["websocket"])
    try:
        assert await client.call("transport") == "websocket"
    finally:
        await client.disconnect()
    assert http_proxy.requests() == [f"CONNECT 127.0.0.1:{any_peer.port}"]


@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET], ids="+".join)
async def test_labs_names_a_proxy_that_wants_its_password(transports: tuple[str, ...], http_proxy_with_password: HttpProxy) -> None:
    async with loopback.serve() as server:
        async with LabsClient(server.url, transports=transports, proxy=http_proxy_with_password.bare_url) as labs:
            with pytest.raises((EngineIOError, ResponseError)) as caught:
                await anext(labs.stream("hi"))
        assert getattr(caught.value, "cause", None) == "proxy-auth-required"
        assert server.visitors == []
