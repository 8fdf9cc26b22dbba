"""Through a real HTTP proxy to real servers, and what is said where the proxy is the one to blame.

A plain http URL is forwarded (the absolute form), https is tunnelled (CONNECT). An answer must come through either way as it is written, and no error
may show the proxy's password.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.aio.raw import Connection, RawServer
from tests.peers.http_proxy import PASSWORD, USER, HttpProxy
from tests.peers.proxy import Proxy as Line
from tests.sse.raw import BytesServer, End, Exchange, chunk, head, whole
from ylokh_sse import Client, ConnectFailed, ConnectionLost, ResponseError, ResponseTimeout, ServerError, TextDelta, Timeout, UnexpectedResponse

CERTIFICATES = Path(__file__).parent.parent / "aio" / "certs"

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = b'{"choices":[{"index":0,"message":{"content":"one two"},"finish_reason":"stop"}]}'

SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])
DEAD = "http://me:s3cret@127.0.0.1:9"
"""Nobody listens at the port for discarding."""


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


def certified() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


def server_of(scheme: str, *exchanges: Exchange) -> BytesServer:
    return BytesServer(*exchanges, ssl=certified() if scheme == "https" else None)


@asynccontextmanager
async def way_to(proxy: HttpProxy) -> AsyncIterator[str]:
    """The URL of a proxy behind a line that must be empty in the end: who has left a server leaves nothing open to the proxy either."""
    async with Line(proxy) as line:
        yield proxy.url.replace(f":{proxy.port}", f":{line.port}")
        await asyncio.wait_for(line.until(lambda: line.connections == 0), 30)
        assert line.accepted > 0


async def ask_through(scheme: str, **options: Any) -> str:
    """Ask a server of that scheme once; it is left when this returns, by the proxy too."""
    async with server_of(scheme, whole(WHOLE)) as server:
        async with Client(server.url, ssl=trusting(), **options) as chat:
            text = (await chat.complete("hi")).text
        await asyncio.wait_for(server.all_gone(), 30)
    return text


async def failure(url: str, proxy: str, *, timeout: Timeout | None = None) -> ResponseError:
    """What a question fails with; nothing of it may show a secret."""
    with pytest.raises(ResponseError) as caught:
        async with Client(url, proxy=proxy, ssl=trusting(), retries=0, timeout=timeout or Timeout()) as chat:
            await chat.complete("hi")
    error = caught.value
    for said in (str(error), repr(error), repr(vars(error)), repr(error.__cause__), str(error.__cause__)):
        assert "s3cret" not in said
    return error


# ------------------------------------------------------------------------------------------------------------------------------- it goes through


@SCHEMES
@pytest.mark.parametrize("password", [False, True], ids=["open", "with-password"])
async def test_an_answer_comes_through_as_it_is_written(
    scheme: str, password: bool, http_proxy: HttpProxy, http_proxy_with_password: HttpProxy
) -> None:
    proxy = http_proxy_with_password if password else http_proxy
    gate = asyncio.Event()
    exchange = Exchange(head(), chunk(ONE), gate, chunk(TWO), chunk(STOP + DONE), b"0\r\n\r\n", end=End.OPEN)
    async with way_to(proxy) as way, server_of(scheme, exchange) as server:
        async with Client(server.url, proxy=way, ssl=trusting()) as chat, chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("one")
            gate.set()
            assert (await answer.result()).text == "one two"
        [request] = server.requests
        port = server.port
    assert request.header("Proxy-Authorization") is None
    assert proxy.requests() == [f"CONNECT 127.0.0.1:{port}" if scheme == "https" else f"POST http://127.0.0.1:{port}/v1/chat/completions"]


@SCHEMES
async def test_a_whole_answer_comes_through(scheme: str, http_proxy: HttpProxy) -> None:
    assert await ask_through(scheme, proxy=http_proxy.url) == "one two"
    assert len(http_proxy.requests()) == 1


@SCHEMES
async def test_leaving_early_is_felt_behind_the_proxy(scheme: str, http_proxy: HttpProxy) -> None:
    async with way_to(http_proxy) as way, server_of(scheme, Exchange(head(), chunk(ONE), end=End.OPEN)) as server:
        async with Client(server.url, proxy=way, ssl=trusting()) as chat:
            async with chat.stream("hi") as answer:
                assert await anext(answer) == TextDelta("one")
            await asyncio.wait_for(server.all_gone(), 30)


@SCHEMES
async def test_an_answer_that_breaks_behind_the_proxy_is_cut_off(scheme: str, http_proxy: HttpProxy) -> None:
    async with server_of(scheme, Exchange(head(), chunk(ONE))) as server, Client(server.url, proxy=http_proxy.url, ssl=trusting()) as chat:
        with pytest.raises(ConnectionLost) as caught:
            async with chat.stream("hi") as answer:
                await answer.result()
    assert caught.value.partial == "one"


@SCHEMES
async def test_the_environment_names_a_proxy_for_those_who_want_it(scheme: str, http_proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{scheme}_proxy", http_proxy.url)
    for trust_env in (True, False):
        await ask_through(scheme, trust_env=trust_env)
        assert len(http_proxy.requests()) == 1  # the first of the two
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    await ask_through(scheme, trust_env=True)
    assert len(http_proxy.requests()) == 1


# ------------------------------------------------------------------------------------------------------------------------------------ it does not


@SCHEMES
@pytest.mark.parametrize("credentials", [f"{USER}:s3cret-guess@", ""], ids=["wrong", "none"])
async def test_a_proxy_that_wants_its_password_is_named(scheme: str, credentials: str, http_proxy_with_password: HttpProxy) -> None:
    proxy = http_proxy_with_password
    async with server_of(scheme) as server:
        error = await failure(server.url, proxy.bare_url.replace("//", f"//{credentials}"))
        assert server.connections == []
    assert isinstance(error, ConnectFailed)
    assert error.cause == "proxy-auth-required"
    assert error.fix == "put the proxy's user and password into the proxy URL"
    assert PASSWORD not in str(error)


@SCHEMES
async def test_a_dead_proxy_is_named(scheme: str) -> None:
    error = await failure(f"{scheme}://127.0.0.1:8", DEAD)
    assert isinstance(error, ConnectFailed)
    assert error.cause == "proxy-failed"
    assert str(error).startswith("the proxy at 127.0.0.1:9 cannot be reached: ")
    assert "Connection refused" in str(error) or "Connect call failed" in str(error)
    assert error.fix == "check that the proxy runs at that URL and allows this host"


@SCHEMES
async def test_a_proxy_whose_name_is_unknown_is_named(scheme: str) -> None:
    error = await failure(f"{scheme}://127.0.0.1:8", "http://me:s3cret@nowhere.invalid:3128")
    assert isinstance(error, ConnectFailed)
    assert error.cause == "proxy-failed"
    assert str(error).startswith("the proxy at nowhere.invalid:3128 cannot be reached: ")


async def test_a_proxy_that_does_not_reach_the_server_says_so(http_proxy: HttpProxy) -> None:
    forwarded = await failure("http://127.0.0.1:9", http_proxy.url)
    assert isinstance(forwarded, ServerError)
    assert forwarded.status == 502
    tunnelled = await failure("https://127.0.0.1:9", http_proxy.url)
    assert isinstance(tunnelled, ConnectFailed)
    assert (tunnelled.cause, str(tunnelled)) == ("proxy-failed", "the proxy refused to connect to the server (HTTP 502)")


async def test_a_certificate_that_nobody_trusts_is_not_the_proxys_fault(http_proxy: HttpProxy) -> None:
    async with server_of("https") as server, Client(server.url, proxy=http_proxy.url, retries=0) as chat:
        with pytest.raises(ConnectFailed) as caught:
            await chat.complete("hi")
        assert server.requests == []
    assert caught.value.cause == "tls-failed"


async def babble(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"what do you mean?\r\n\r\n")


async def hang_up(connection: Connection) -> None:
    await connection.request()


async def test_a_proxy_that_speaks_no_http_is_named_where_it_can_be() -> None:
    async with RawServer(babble) as proxy:
        # Where it forwards, nobody can tell its words from the server's.
        forwarded = await failure("http://127.0.0.1:8", proxy.origin)
        tunnelled = await failure("https://127.0.0.1:8", proxy.origin)
    assert isinstance(forwarded, UnexpectedResponse)
    assert isinstance(tunnelled, ConnectFailed)
    assert (forwarded.cause, tunnelled.cause) == ("bad-http", "proxy-failed")
    assert "Bad status line" in str(tunnelled)


async def test_a_proxy_that_hangs_up_is_named_where_it_can_be() -> None:
    async with RawServer(hang_up) as proxy:
        # Where it forwards, it may have been the server.
        forwarded = await failure("http://127.0.0.1:8", proxy.origin)
        tunnelled = await failure("https://127.0.0.1:8", proxy.origin)
    assert isinstance(forwarded, ConnectionLost)
    assert "before there was an answer" in str(forwarded)
    assert isinstance(tunnelled, ConnectFailed)
    assert (tunnelled.cause, str(tunnelled)) == ("proxy-failed", "the proxy hung up when it was asked for a tunnel to the server")


async def test_a_tunnel_that_ends_at_once_shows_no_password() -> None:
    async def tunnel(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")

    async with RawServer(tunnel) as proxy:
        error = await failure("https://127.0.0.1:8", proxy.origin.replace("//", "//me:s3cret@"))
    assert isinstance(error, ConnectFailed)
    assert isinstance(error.__cause__, OSError)
    assert not str(error).endswith(": ")  # asyncio's error has no words


@pytest.mark.parametrize(
    ("scheme", "timeout", "phase"),
    # A tunnel is part of making the connection; what is forwarded is a question, which anybody may be slow to answer.
    [("https", Timeout(connect=0.2), "connect"), ("http", Timeout(total=0.2), "total")],
)
async def test_a_proxy_that_never_answers_is_given_up(scheme: str, timeout: Timeout, phase: str) -> None:
    async with RawServer(Connection.hold) as proxy:
        error = await failure(f"{scheme}://127.0.0.1:8", proxy.origin, timeout=timeout)
        await proxy.all_gone()
    assert isinstance(error, ResponseTimeout)
    assert error.phase == phase


async def test_the_key_is_not_told_to_the_proxy_where_it_only_tunnels() -> None:
    seen: list[str | None] = []

    async def look(connection: Connection) -> None:
        request = await connection.request()
        seen.extend(request.header(name) for name in ("Authorization", "Proxy-Authorization"))

    async with RawServer(look) as proxy:
        with pytest.raises(ResponseError):
            async with Client("https://127.0.0.1:8", "sk-a-very-secret-key", proxy=proxy.origin.replace("//", "//me:mine@"), retries=0) as chat:
                await chat.complete("hi")
    assert seen == [None, "Basic bWU6bWluZQ=="]
