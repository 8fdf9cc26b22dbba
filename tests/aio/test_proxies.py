"""Through a real HTTP proxy to real servers, and what is said where the proxy is the one to blame.

aiohttp asks a proxy for a plain http URL by forwarding (the absolute form), WebSockets among them, and for https by a tunnel (CONNECT). RFC 6455
(section 4.1) wants a tunnel for every WebSocket, and proxies are made for that: the one here forwards the handshake of a WebSocket and then none of
its frames. So over plain http polling has to do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engineio_lite import Cause, ConnectFailed, EngineIOError, HandshakeError, Timeouts
from engineio_lite.aio import connect_socketio
from perplexity_labs import LabsClient, ResponseError, TextDelta, loopback
from perplexity_labs.loopback import JOKE
from tests.aio.raw import Connection, RawServer
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


async def test_an_upgrade_that_gets_no_further_than_its_handshake_leaves_polling_as_it_was(http_proxy: HttpProxy, node_peer: Peer) -> None:
    # With Node: a python-engineio server whose upgrade ends before the probe has come waits for it for ever, and delivers nothing more.
    async with connect_socketio(node_peer.url, proxy=http_proxy.url, timeouts=Timeouts(upgrade=0.5)) as sio:
        assert await sio.wait_upgraded() is False
        assert await sio.call("echo", 1) == 1
        assert await sio.call("transport") == "polling"
    assert any("transport=websocket" in request for request in http_proxy.requests())


async def test_a_websocket_whose_frames_are_swallowed_ends_in_time(http_proxy: HttpProxy, any_peer: Peer) -> None:
    with pytest.raises(EngineIOError) as caught:
        await connect_socketio(any_peer.url, proxy=http_proxy.url, transports=WEBSOCKET, timeouts=Timeouts(namespace=0.5))
    assert caught.value.cause is Cause.CONNECT_UNANSWERED


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
    assert "nowhere.invalid:3128" in str(error)


@ALL_TRANSPORTS
async def test_a_proxy_that_does_not_reach_the_server_says_so(transports: tuple[str, ...], http_proxy: HttpProxy) -> None:
    forwarded = await failure("http://127.0.0.1:9", http_proxy.url, transports)
    assert isinstance(forwarded, HandshakeError)
    assert (forwarded.cause, forwarded.status) == (Cause.GATEWAY_ERROR, 502)
    tunnelled = await failure("https://127.0.0.1:9", http_proxy.url, transports)
    assert isinstance(tunnelled, ConnectFailed)
    assert tunnelled.cause is Cause.PROXY_FAILED
    assert "502" in str(tunnelled)


async def babble(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"what do you mean?\r\n\r\n")


async def hang_up(connection: Connection) -> None:
    await connection.request()


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("scheme", "cause"),
    # Where it forwards, nobody can tell its words from the server's.
    [("http", Cause.BAD_HTTP), ("https", Cause.PROXY_FAILED)],
)
async def test_a_proxy_that_speaks_no_http_is_named_where_it_can_be(
    scheme: str, cause: Cause, transports: tuple[str, ...], servers: dict[str, str]
) -> None:
    async with RawServer(babble) as proxy:
        error = await failure(servers[scheme], proxy.origin, transports)
    assert error.cause is cause
    assert "Bad status line" in str(error)


@SCHEMES
@ALL_TRANSPORTS
async def test_a_proxy_that_hangs_up_is_a_lost_connection(transports: tuple[str, ...], scheme: str, servers: dict[str, str]) -> None:
    async with RawServer(hang_up) as proxy:
        error = await failure(servers[scheme], proxy.origin, transports)
    assert error.cause is Cause.CONNECTION_LOST


@pytest.mark.parametrize(
    ("scheme", "timeouts", "cause"),
    # A tunnel is part of making the connection; what is forwarded is a request, which anybody may be slow to answer.
    [("http", Timeouts(open=0.3), Cause.OPEN_TIMEOUT), ("https", Timeouts(connect=0.3), Cause.PROXY_FAILED)],
)
async def test_a_proxy_that_never_answers_is_given_up(scheme: str, timeouts: Timeouts, cause: Cause, servers: dict[str, str]) -> None:
    async with RawServer(Connection.hold) as proxy:
        with pytest.raises(EngineIOError) as caught:
            await connect_socketio(servers[scheme], proxy=proxy.origin, ssl=trusting(), timeouts=timeouts)
    assert caught.value.cause is cause


# ------------------------------------------------------------------------------------------------------------------------------- Labs goes along


async def test_labs_asks_through_the_proxy(http_proxy_with_password: HttpProxy) -> None:
    proxy = http_proxy_with_password
    async with loopback.serve(pace=0) as server, LabsClient(server.url, transports=POLLING, proxy=proxy.url) as labs:
        assert "".join([part.text async for part in labs.stream("hi") if isinstance(part, TextDelta)]) == JOKE
        assert len(server.visitors) == 1
        assert {request.split("?")[0].split(" ")[1] for request in proxy.requests()} == {f"{server.url}/socket.io/"}


@pytest.mark.parametrize("transports", [POLLING, WEBSOCKET], ids="+".join)
async def test_labs_names_a_proxy_that_wants_its_password(transports: tuple[str, ...], http_proxy_with_password: HttpProxy) -> None:
    async with loopback.serve() as server:
        async with LabsClient(server.url, transports=transports, proxy=http_proxy_with_password.bare_url) as labs:
            with pytest.raises((EngineIOError, ResponseError)) as caught:
                await anext(labs.stream("hi"))
        assert getattr(caught.value, "cause", None) == "proxy-auth-required"
        assert server.visitors == []
