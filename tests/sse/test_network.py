"""What the network layer promises whatever aiohttp thinks of it: whose word counts, what may be sent, and that nothing is lost or left."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.sse.raw import LAST_CHUNK, REQUEST, BytesServer, End, Exchange, chunk, head, whole
from ylokh_sse import Client, ConfigurationError, ConnectFailed, ConnectionLost, RetryPolicy, ServerError, TextDelta, UnexpectedResponse, loopback
from ylokh_sse.loopback import Script
from ylokh_sse.network import MAX_UNREAD, Response

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

KEY = "sk-a-very-secret-key"


# --- Whose word counts.


async def test_the_key_counts_and_not_what_netrc_has_for_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with loopback.serve() as server:
        async with Client(server.url, KEY, trust_env=True) as chat:
            await chat.complete("hi")
        async with Client(server.url, trust_env=True) as chat:
            await chat.complete("hi")
        mine, netrcs = server.requests
    assert mine.headers["authorization"] == f"Bearer {KEY}"
    assert netrcs.headers["authorization"].startswith("Basic ")


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # aiohttp does not like it any more, but has it
async def test_the_key_counts_and_not_the_credentials_of_a_session() -> None:
    async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "mine")) as session, loopback.serve() as server:
        async with Client(server.url, KEY, session=session) as chat:
            await chat.complete("hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_header_of_the_callers_counts_and_not_the_key() -> None:
    async with loopback.serve() as server, Client(server.url, KEY, headers={"authorization": "Mine x"}) as chat:
        await chat.complete("hi")
        assert server.requests[0].headers["authorization"] == "Mine x"


async def test_the_middlewares_of_a_session_see_the_key() -> None:
    seen: list[str | None] = []

    async def watch(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(request.headers.get("Authorization"))
        return await send(request)

    async with aiohttp.ClientSession(middlewares=(watch,)) as session, loopback.serve() as server:
        async with Client(server.url, KEY, session=session) as chat:
            await chat.complete("hi")
        async with Client(server.url, session=session) as chat:
            await chat.complete("hi")
    assert seen == [f"Bearer {KEY}", None]


# --- What may be sent.


async def test_a_long_history_is_sent_without_a_warning_and_again_if_need_be() -> None:
    question = "ё" * 1_000_000  # two bytes each; warnings are errors here
    exchange = Exchange(head(503, length=0), REQUEST, head(), chunk(ONE + STOP + DONE), end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.url, retries=RetryPolicy(delay=0.001)) as chat:
        async with chat.stream(question) as answer:
            assert (await answer.result()).text == "one"
        failed, asked = server.requests
    assert failed.body == asked.body
    assert json.loads(asked.body)["messages"] == [{"role": "user", "content": question}]
    assert asked.header("Transfer-Encoding") is None


# --- What breaks.


@pytest.mark.parametrize("end", [End.CLOSE, End.OPEN])
@pytest.mark.parametrize("garbage", [b"zz\r\nxx\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n", b"f" * 40], ids=["no-number", "negative", "too-long", "huge"])
async def test_a_broken_chunk_ends_the_answer_at_once(garbage: bytes, end: End) -> None:
    exchange = Exchange(head(), chunk(ONE), garbage, end=end)
    async with BytesServer(exchange) as server, Client(server.url, timeout=None) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        with pytest.raises(ConnectionLost) as caught:
            await anext(answer)
        assert (caught.value.cause, caught.value.partial) == ("connection-lost", "one")


async def test_a_chunk_that_is_broken_at_once_is_no_answer_and_asked_for_again() -> None:
    exchanges = Exchange(head(), b"zz\r\nxx"), Exchange(head(), chunk(ONE + STOP + DONE), end=End.OPEN)
    async with BytesServer(*exchanges) as server, Client(server.url, timeout=None, retries=RetryPolicy(delay=0.001)) as chat:
        async with chat.stream("hi") as answer:
            assert (await answer.result()).text == "one"
        assert len(server.requests) == 2


@pytest.mark.parametrize("encoding", ["br", "zstd"])
async def test_a_compression_that_nobody_asked_for_is_named(encoding: str) -> None:
    async with BytesServer(whole(b"xxxx", headers=[("Content-Encoding", encoding)])) as server, Client(server.url) as chat:
        with pytest.raises(UnexpectedResponse) as caught:
            await chat.complete("hi")
    # Where a library for it is installed, it is the bytes that cannot be read.
    assert caught.value.cause == "bad-encoding"
    assert encoding in str(caught.value)


async def test_an_answer_of_a_proxy_that_is_no_http_is_the_proxys_fault() -> None:
    async with BytesServer(Exchange(b"what do you mean?\r\n\r\n")) as proxy:
        async with Client("https://127.0.0.1:9", retries=0, proxy=proxy.origin) as chat:
            with pytest.raises(ConnectFailed) as caught:
                await chat.complete("hi")
    assert caught.value.cause == "proxy-failed"
    assert "the proxy answers with what is not HTTP" in str(caught.value)


# --- What is bounded, and what is not.


async def test_no_answer_waits_for_another_to_end() -> None:
    many = 120  # more than the connections that aiohttp allows by default
    async with loopback.serve(Script(text="one two", stall_after=1)) as server, Client(server.url) as chat, AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(chat.stream("hi")) for _ in range(many)]
        assert [await anext(answer) for answer in answers] == [TextDelta("one")] * many


async def test_cancelling_while_a_finished_answer_is_left_closes_its_connection() -> None:
    exchange = Exchange(head(), chunk(ONE + STOP + DONE), end=End.OPEN)  # the body never ends, so leaving lingers
    async with BytesServer(exchange) as server, Client(server.url) as chat:
        async with asyncio.timeout(60):
            answer = await chat.stream("hi").__aenter__()
            await answer.result()
            leaving = asyncio.create_task(answer.aclose())
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await server.all_gone()  # though the client is still open


async def test_a_session_that_is_closed_or_of_another_loop_is_refused() -> None:
    closed = aiohttp.ClientSession()
    await closed.close()
    async with Client("http://127.0.0.1:9", session=closed) as chat:
        with pytest.raises(ConfigurationError, match="the session is closed") as caught:
            await chat.complete("hi")
        assert caught.value.cause == "bad-session"

    def elsewhere(session: aiohttp.ClientSession) -> None:
        asyncio.run(Client("http://127.0.0.1:9", session=session).complete("hi"))

    async with aiohttp.ClientSession() as mine:
        with pytest.raises(ConfigurationError, match="another event loop") as caught:
            await asyncio.to_thread(elsewhere, mine)
        assert caught.value.cause == "bad-session"


async def test_a_question_that_failed_has_no_headers() -> None:
    async with BytesServer(Exchange(head(500, length=0))) as server, Client(server.url, retries=0) as chat:
        answer = chat.stream("hi")
        with pytest.raises(ServerError):
            await answer.__aenter__()
        assert (answer.headers, answer.partial, answer.skipped) == ({}, "", 0)


async def test_an_address_that_cannot_be_reached_is_no_connection() -> None:
    async with Client("http://255.255.255.255:9", retries=0) as chat:  # which is refused by this machine: nobody connects to everybody
        with pytest.raises(ConnectFailed) as caught:
            await chat.complete("hi")
    assert caught.value.cause == "connect-failed"
    assert str(caught.value).startswith("no connection to 255.255.255.255:9: ")


async def test_a_name_that_is_none_is_a_wrong_url() -> None:
    async with Client(f"http://{'a' * 100}.example") as chat:
        with pytest.raises((ConfigurationError, ConnectFailed)) as caught:
            await chat.complete("hi")
    assert caught.value.cause in ("bad-url", "dns-failed")


async def test_a_reader_who_is_far_behind_gets_all_that_came_before_the_connection_broke() -> None:
    count = 1200  # a little more than is kept for a slow reader, so that the end comes while the server is made to wait
    events = [b'data: {"choices":[{"index":0,"delta":{"content":"%06d%b"}}]}\n\n' % (number, b"x" * 900) for number in range(count)]
    async with BytesServer(Exchange(head(), *map(chunk, events))) as server, Client(server.url, retries=0) as chat:
        async with chat.stream("hi") as answer:
            assert isinstance(await anext(answer), TextDelta)
            await server.all_gone()
            with pytest.raises(ConnectionLost) as caught:
                await answer.result()
    assert caught.value.partial == "".join(f"{number:06}" + "x" * 900 for number in range(count))


async def test_what_expands_without_end_is_not_kept_for_a_reader_who_does_not_read() -> None:
    body = gzip.compress(ONE + b": x\n\n" * 10_000_000)
    headers = [("Content-Encoding", "gzip")]
    async with BytesServer(Exchange(head(headers=headers), chunk(body), LAST_CHUNK, end=End.OPEN)) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("one")
            await asyncio.sleep(0.2)  # what is tested is that something does not happen, and that cannot be waited for
            assert answer._exchange is not None
            response = answer._exchange._response
            assert isinstance(response, Response)
            assert sum(map(len, response._unread)) < 4 * MAX_UNREAD
            assert not response.ended
