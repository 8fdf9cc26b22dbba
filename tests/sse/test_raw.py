"""The server of exact bytes does what it is told: bytes, pieces, order and ends, as a plain socket sees them."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.sse.raw import LAST_CHUNK, REQUEST, BytesServer, End, Exchange, chunk, head, stream, whole

ASK = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


async def test_the_bytes_are_exactly_those() -> None:
    sent = (head(headers=[("X", "y")]), chunk(b"data: 1\n\n"), chunk(b"ab", size=3), b"\x00\xff")
    async with BytesServer(Exchange(*sent)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ASK)
        assert await reader.read() == b"".join(sent)
        writer.close()
        await writer.wait_closed()
    [request] = server.requests
    assert (request.method, request.target, request.header("host"), request.body) == ("POST", "/v1/chat/completions", "x", b"{}")


async def test_pieces_come_one_by_one_and_wait_for_events() -> None:
    gate = asyncio.Event()
    async with BytesServer(Exchange(head(chunked=False), b"a", b"b", gate, b"c")) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/x") as response:
            came = []
            async for piece in response.content.iter_any():
                came.append(piece)
                if piece.endswith(b"b"):
                    gate.set()
    assert b"".join(came) == b"abc"
    assert len(came) >= 2


async def test_it_can_reset() -> None:
    async with BytesServer(Exchange(head(), chunk(b"data: 1\n\n"), end=End.RESET)) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.post(server.url) as response:
                await response.read()


async def test_it_can_end_within_the_chunked_encoding() -> None:
    async with BytesServer(Exchange(head(), chunk(b"data: 1\n\n"))) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post(server.url) as response:
                await response.read()


async def test_it_can_stay_open_until_the_client_leaves() -> None:
    async with BytesServer(Exchange(head(), chunk(b"data: 1\n\n"), end=End.OPEN)) as server, aiohttp.ClientSession() as session:
        async with session.post(server.url) as response:
            assert await response.content.readany() == b"data: 1\n\n"
        await server.all_gone()
        assert server.connections[0].gone.is_set()


async def test_an_event_is_waited_for_no_longer_than_the_client_stays() -> None:
    async with BytesServer(Exchange(asyncio.Event(), b"never")) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ASK)
        writer.close()
        await writer.wait_closed()
        await server.all_gone()


async def test_one_connection_can_serve_two_requests() -> None:
    first = (head(), chunk(b"data: [DONE]\n\n"), LAST_CHUNK)
    async with BytesServer(Exchange(*first, REQUEST, *first, end=End.OPEN)) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(server.url) as response:
                assert await response.read() == b"data: [DONE]\n\n"
    assert len(server.connections) == 1
    assert len(server.requests) == 2


async def test_each_connection_has_its_own_exchange() -> None:
    async with BytesServer(whole(b"{}", status=503), stream(b"data", b": 1\n\n", end=End.CLOSE)) as server:
        answers = []
        for _ in range(2):
            async with aiohttp.ClientSession() as session, session.post(server.url) as response:
                answers.append((response.status, await response.read()))
    assert answers == [(503, b"{}"), (200, b"data: 1\n\n")]


async def test_a_connection_too_many_fails_the_test() -> None:
    async def ask_a_server_that_expects_nobody() -> None:
        async with BytesServer() as server, aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(server.url)

    with pytest.raises(AssertionError, match="connection number 1 was not expected"):
        await ask_a_server_that_expects_nobody()
