"""How long a client waits, and how often it asks.

Waits that must run out are short here, and those that must not are longer than any test may take, so a busy machine changes nothing. Where something
has to happen between two instants, the server waits for an event of the test and not for a clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

import pytest

from tests.aio.raw import Connection, RawServer
from tests.sse.raw import LAST_CHUNK, REQUEST, BytesServer, End, Exchange, chunk, head
from ylokh_sse import (
    APIError,
    BadJSON,
    BadRequest,
    Client,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    EmptyResponse,
    NotSSE,
    Phase,
    RateLimited,
    ResponseError,
    ResponseTimeout,
    RetryPolicy,
    ServerError,
    StreamError,
    TextDelta,
    Timeout,
    TruncatedAnswer,
    loopback,
)
from ylokh_sse.loopback import Reply, Script

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

SHORT = 0.1
LONG = 50.0
NEVER = asyncio.Event

AT_ONCE = RetryPolicy(delay=0.001)


def only(**phases: float | None) -> Timeout:
    """One wait that runs out, and no other."""
    return Timeout(**({"connect": LONG, "first_byte": LONG, "idle": LONG, "total": LONG} | phases))


async def text(client: Client) -> str:
    async with client.stream("hi") as answer:
        return (await answer.result()).text


async def failure(client: Client, *, whole: bool = False) -> ResponseError:
    with pytest.raises(ResponseError) as caught:
        await (client.complete("hi") if whole else text(client))
    return caught.value


def assert_ran_out(error: ResponseError, phase: Phase, partial: str = "", seconds: float = SHORT) -> None:
    assert isinstance(error, ResponseTimeout), error
    assert (error.phase, error.seconds, error.partial) == (phase, seconds, partial)
    assert error.cause == f"{phase.value.replace('_', '-')}-timeout"
    assert error.fix


# --- Each wait.


@pytest.mark.parametrize("whole", [False, True])
async def test_a_server_that_never_shakes_hands_is_no_connection(whole: bool) -> None:
    async with RawServer(Connection.hold) as server:  # takes the connection, and says nothing to TLS
        async with Client(server.origin.replace("http:", "https:"), timeout=only(connect=SHORT), retries=0) as chat:
            error = await failure(chat, whole=whole)
        await server.all_gone()
    assert_ran_out(error, Phase.CONNECT)


@pytest.mark.parametrize("pieces", [(), (head(),), (b"HTTP/1.1 200 OK\r\nContent-Ty",)], ids=["before-the-head", "after-the-head", "in-the-head"])
async def test_the_first_byte_is_one_of_the_body(pieces: tuple[bytes, ...]) -> None:
    async with BytesServer(Exchange(*pieces, NEVER())) as server, Client(server.url, timeout=only(first_byte=SHORT), retries=2) as chat:
        assert_ran_out(await failure(chat), Phase.FIRST_BYTE)
        assert len(server.requests) == 1  # who was silent once would be so again
        await server.all_gone()


async def test_the_first_byte_of_a_whole_answer_may_take_its_time() -> None:
    gate = NEVER()
    exchange = Exchange(gate, head(content_type="application/json"), chunk(b'{"choices":[{"message":{"content":"late"}}]}'), LAST_CHUNK, end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.url, timeout=only(first_byte=SHORT)) as chat:
        asking = asyncio.create_task(chat.complete("hi"))
        await asyncio.sleep(2 * SHORT)  # that nothing happens meanwhile is the point
        assert not asking.done()
        gate.set()
        assert (await asking).text == "late"


async def test_silence_in_the_middle_ends_the_answer() -> None:
    async with BytesServer(Exchange(head(), chunk(ONE), NEVER())) as server, Client(server.url, timeout=only(idle=SHORT)) as chat:
        assert_ran_out(await failure(chat), Phase.IDLE, "one")
        await server.all_gone()


async def test_silence_in_the_middle_of_a_whole_answer_ends_it() -> None:
    exchange = Exchange(head(content_type="application/json"), chunk(b'{"choices":['), NEVER())
    async with BytesServer(exchange) as server, Client(server.url, timeout=only(idle=SHORT)) as chat:
        assert_ran_out(await failure(chat, whole=True), Phase.IDLE)


SIGNS = (b":\n\n", b": PROCESSING\n\n", b"event: ping\n\n", b"event: ping\ndata: {}\n\n", b"\n", b"id: 1\n\n")


async def test_every_sign_of_life_is_enough() -> None:
    """Each kind for itself, side by side: signs at a quarter of the distance that would end it, so all of them together take longer."""
    idle = 1.0

    async def live(connection: Connection) -> None:
        sign = SIGNS[int(json.loads((await connection.request()).body)["sign"])]
        await connection.send(head() + chunk(ONE))
        for _ in range(5):
            await asyncio.sleep(idle / 4)
            await connection.send(chunk(sign))
        await connection.send(chunk(STOP + DONE) + LAST_CHUNK)

    async with RawServer(live) as server, Client(f"{server.origin}/v1", timeout=only(idle=idle)) as chat:

        async def ask(sign: int) -> str:
            async with chat.stream("hi", sign=sign) as answer:
                return (await answer.result()).text

        begun = time.monotonic()
        assert await asyncio.gather(*map(ask, range(len(SIGNS)))) == ["one"] * len(SIGNS)
        assert time.monotonic() - begun >= idle


@pytest.mark.parametrize("timeout", [only(total=SHORT), SHORT], ids=["Timeout", "number"])
async def test_the_whole_is_bounded_whatever_comes(timeout: Timeout | float) -> None:
    async with loopback.serve(Script(pieces=("x",) * 10_000, pace=0.01)) as server, Client(server.url, timeout=timeout) as chat:
        error = await failure(chat)
        assert_ran_out(error, Phase.TOTAL, error.partial)
        assert set(error.partial) <= {"x"}
        await server.everyone_left()


@pytest.mark.parametrize("pieces", [(), (head(),), (head(content_type="application/json"), chunk(b"{"))], ids=["head", "first-byte", "body"])
@pytest.mark.parametrize("whole", [False, True])
async def test_the_whole_is_bounded_at_every_stage(pieces: tuple[bytes, ...], whole: bool) -> None:
    async with BytesServer(Exchange(*pieces, NEVER())) as server, Client(server.url, timeout=SHORT) as chat:
        assert_ran_out(await failure(chat, whole=whole), Phase.TOTAL)
        await server.all_gone()


async def test_the_whole_is_bounded_while_it_connects() -> None:
    async with RawServer(Connection.hold) as server:
        async with Client(server.origin.replace("http:", "https:"), timeout=only(total=SHORT)) as chat:
            assert_ran_out(await failure(chat), Phase.TOTAL)


async def test_a_wait_between_two_tries_that_the_whole_has_no_room_for_is_not_begun() -> None:
    async with loopback.serve(Script(instead=Reply.error(503))) as server, Client(server.url, timeout=5, retries=RetryPolicy(delay=40)) as chat:
        begun = time.monotonic()
        assert isinstance(await failure(chat), ServerError)
        assert time.monotonic() - begun < 5
        assert len(server.requests) == 1


async def test_a_number_bounds_the_whole_and_nothing_else() -> None:
    async with loopback.serve(Script(delay_first=SHORT, pace=SHORT / 2)) as server, Client(server.url, timeout=LONG) as chat:
        assert await text(chat)


async def test_none_is_no_limit() -> None:
    async with loopback.serve(Script(delay=SHORT, delay_first=SHORT)) as server:
        for timeout in (None, Timeout(connect=None, first_byte=None, idle=None, total=None)):
            async with Client(server.url, timeout=timeout) as chat:
                assert await text(chat)


async def test_the_callers_slowness_is_nobodys_silence() -> None:
    gate = NEVER()
    exchange = Exchange(head(), chunk(ONE), gate, chunk(TWO), chunk(STOP + DONE), end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.url, timeout=only(idle=0.3)) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        time.sleep(0.4)  # noqa: ASYNC251  # the caller stops everything, as callers do
        gate.set()
        assert await anext(answer) == TextDelta(" two")
        await asyncio.sleep(0.4)
        assert (await answer.result()).text == "one two"


async def test_what_came_before_a_timeout_is_told_first_and_the_error_again_and_again() -> None:
    async with BytesServer(Exchange(head(), chunk(ONE + TWO + b"data: {"), NEVER())) as server:
        async with Client(server.url, timeout=only(idle=SHORT)) as chat, chat.stream("hi") as answer:
            assert [await anext(answer), await anext(answer)] == [TextDelta("one"), TextDelta(" two")]
            for _ in range(2):
                with pytest.raises(ResponseTimeout) as caught:
                    await anext(answer)
                assert_ran_out(caught.value, Phase.IDLE, "one two")
            assert answer.partial == "one two"


@pytest.mark.parametrize("timeout", [only(idle=SHORT), only(total=SHORT)], ids=["idle", "total"])
async def test_a_refusal_whose_words_do_not_come_is_a_refusal(timeout: Timeout) -> None:
    exchange = Exchange(head(429, length=100, headers=[("Retry-After", "7")]) + b"slow down", NEVER())
    async with BytesServer(exchange) as server, Client(server.url, timeout=timeout, retries=0) as chat:
        error = await failure(chat)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, "slow down" in str(error)) == (7, True)


# --- How often.


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529, 599])
async def test_what_may_pass_is_asked_again(status: int) -> None:
    failing = Reply.error(status)
    async with loopback.serve(fail_first=2, fail_with=failing) as server, Client(server.url, retries=AT_ONCE) as chat:
        assert await text(chat)
        assert [request.status for request in server.requests] == [status, status, 200]
        assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 418, 422, 451])
async def test_what_stays_is_asked_once(status: int) -> None:
    async with loopback.serve(Script(instead=Reply.error(status))) as server, Client(server.url, retries=AT_ONCE) as chat:
        error = await failure(chat)
        assert isinstance(error, APIError)
        assert (error.status, len(server.requests)) == (status, 1)


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_it_is_asked_so_many_times_and_no_more(retries: int) -> None:
    async with loopback.serve(Script(instead=Reply.error(500))) as server:
        async with Client(server.url, retries=RetryPolicy(retries=retries, delay=0.001)) as chat:
            assert isinstance(await failure(chat), ServerError)
        assert len(server.requests) == retries + 1
        async with Client(server.url, retries=0) as chat:
            assert isinstance(await failure(chat, whole=True), ServerError)
        assert len(server.requests) == retries + 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((), ConnectionLost),
        ((head(),), ConnectionLost),
        ((b"HTTP/1.1 200 OK\r\nContent-",), ConnectionLost),
        ((head(length=100),), ConnectionLost),
        ((head(500),), ServerError),
    ],
    ids=["no-head", "no-body", "half-a-head", "no-length", "no-words"],
)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
async def test_a_connection_that_ends_before_the_answer_begins_is_tried_again(answer: Iterable[bytes], kind: type[ResponseError], end: End) -> None:
    broken = Exchange(*answer, end=end)
    async with BytesServer(broken, Exchange(head(), chunk(ONE + STOP + DONE), end=End.OPEN)) as server, Client(server.url, retries=AT_ONCE) as chat:
        assert await text(chat) == "one"
        assert len(server.requests) == 2
    async with BytesServer(broken) as server, Client(server.url, retries=0) as chat:
        assert isinstance(await failure(chat), kind)


async def test_a_server_that_is_not_there_yet_is_tried_again(unused_tcp_port: int) -> None:
    async with Client(f"http://127.0.0.1:{unused_tcp_port}", timeout=LONG, retries=RetryPolicy(retries=1000, delay=0.01, max_delay=0.01)) as chat:
        asking = asyncio.create_task(text(chat))
        await asyncio.sleep(0.05)
        assert not asking.done()
        async with loopback.serve(Script(text="here"), port=unused_tcp_port):
            assert await asking == "here"


async def test_a_connection_that_cannot_be_made_is_tried_again() -> None:
    async with RawServer(Connection.hold) as server:
        policy = RetryPolicy(retries=2, delay=0.001)
        async with Client(server.origin.replace("http:", "https:"), timeout=only(connect=SHORT), retries=policy) as chat:
            assert_ran_out(await failure(chat), Phase.CONNECT)
        assert len(server.connections) == 3


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (chunk(ONE), ConnectionLost),
        (chunk(b": here\n\n"), ConnectionLost),
        (chunk(b"d"), ConnectionLost),
        (chunk(ONE) + LAST_CHUNK, TruncatedAnswer),
        (LAST_CHUNK, EmptyResponse),
        (chunk(b"<html>") + LAST_CHUNK, NotSSE),
        (chunk(b"data: x\n\n"), BadJSON),
        (chunk(b'data: {"error":{"message":"overloaded","code":503}}\n\n'), StreamError),
    ],
    ids=["text", "comment", "one-byte", "truncated", "empty", "page", "no-json", "error"],
)
async def test_after_the_first_byte_it_is_not_asked_again(body: bytes, kind: type[ResponseError]) -> None:
    async with BytesServer(Exchange(head(), body)) as server, Client(server.url, retries=AT_ONCE) as chat:
        assert type(await failure(chat)) is kind
        assert len(server.requests) == 1


# --- What the server says about that.


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "0"}, {"Retry-After": "0.01"}, {"retry-after-ms": "10"}, {"retry-after-ms": "10", "Retry-After": "3600"}], ids=str
)
async def test_retry_after_replaces_our_own_delay(headers: dict[str, str]) -> None:
    failing = Reply.error(429, headers=headers)
    async with loopback.serve(fail_first=1, fail_with=failing) as server, Client(server.url, timeout=LONG, retries=RetryPolicy(delay=3600)) as chat:
        assert await text(chat)
        assert len(server.requests) == 2


async def test_retry_after_is_waited_for() -> None:
    failing = Reply.error(429, headers={"retry-after-ms": "300"})
    async with loopback.serve(fail_first=1, fail_with=failing) as server, Client(server.url, timeout=LONG, retries=AT_ONCE) as chat:
        begun = time.monotonic()
        assert await text(chat)
        assert time.monotonic() - begun >= 0.3


async def test_retry_after_may_be_a_date() -> None:
    past = Reply.error(503, headers={"Retry-After": formatdate(time.time() - 3600, usegmt=True)})
    async with loopback.serve(fail_first=1, fail_with=past) as server, Client(server.url, retries=RetryPolicy(delay=3600)) as chat:
        assert await text(chat)
    future = Reply.error(503, headers={"Retry-After": formatdate(time.time() + 3600, usegmt=True)})
    async with loopback.serve(Script(instead=future)) as server, Client(server.url) as chat:
        error = await failure(chat)
        assert len(server.requests) == 1
    assert isinstance(error, ServerError)
    assert error.retry_after is not None
    assert 3500 < error.retry_after <= 3601


@pytest.mark.parametrize(
    ("seconds", "options"),
    [("61", {}), ("7", {"retries": RetryPolicy(max_retry_after=5)}), ("7", {"timeout": 5}), ("9" * 12, {}), ("7", {"retries": 0})],
    ids=["a-minute", "own-limit", "total", "for-ever", "no-retries"],
)
async def test_more_than_is_waited_for_is_an_error_at_once(seconds: str, options: dict[str, Any]) -> None:
    failing = Reply.error(429, headers={"Retry-After": seconds})
    async with loopback.serve(Script(instead=failing)) as server, Client(server.url, **options) as chat:
        begun = time.monotonic()
        error = await failure(chat)
        assert time.monotonic() - begun < 5
        assert len(server.requests) == 1
    assert isinstance(error, RateLimited)
    assert error.retry_after == float(seconds)


@pytest.mark.parametrize("words", ["soon", "-5", "", "1e9", "Mon, 99 Foo 2024 99:99:99 GMT"])
async def test_what_is_no_time_in_retry_after_is_no_word(words: str) -> None:
    failing = Reply.error(429, headers={"Retry-After": words})
    async with loopback.serve(fail_first=1, fail_with=failing) as server, Client(server.url, retries=AT_ONCE) as chat:
        assert await text(chat)
        assert len(server.requests) == 2


@pytest.mark.parametrize(("status", "word", "requests"), [(400, "true", 2), (503, "false", 1), (429, "nonsense", 2)])
async def test_x_should_retry_has_the_last_word(status: int, word: str, requests: int) -> None:
    failing = Reply.error(status, headers={"x-should-retry": word})
    async with loopback.serve(fail_first=1, fail_with=failing) as server, Client(server.url, retries=AT_ONCE) as chat:
        if requests == 1:
            assert isinstance(await failure(chat), APIError)
        else:
            assert await text(chat)
        assert len(server.requests) == requests


async def test_a_challenge_page_is_not_asked_again() -> None:
    page = Reply.page(503, headers={"cf-mitigated": "challenge"})
    async with loopback.serve(Script(instead=page)) as server, Client(server.url, retries=AT_ONCE) as chat:
        error = await failure(chat)
        assert (error.cause, len(server.requests)) == ("challenge-page", 1)
    assert "official API" in (error.fix or "")


# --- Who leaves meanwhile.


async def test_a_closed_client_does_not_ask_again() -> None:
    async with loopback.serve(Script(instead=Reply.error(503))) as server:
        async with Client(server.url, timeout=LONG, retries=RetryPolicy(delay=40)) as chat:
            asking = asyncio.create_task(text(chat))
            await server.until(lambda: len(server.requests) == 1)
            await server.everyone_left()
            await asyncio.sleep(SHORT)  # so that it sleeps, most probably; if it does not yet, the outcome is the same
            await chat.aclose()
            with pytest.raises(ResponseError) as caught:
                await asking
        assert caught.value.cause in ("client-closed", "server-error")
        assert len(server.requests) == 1


@pytest.mark.parametrize("turns", range(60))
async def test_closing_the_client_at_any_moment_raises_nothing_foreign(turns: int) -> None:
    """Between two URLs, between two tries, in the head, in the body: the error is one of ours, and nothing is left."""
    exchange = Exchange(head(404, length=0), REQUEST, head(503, length=0), REQUEST, head(), chunk(ONE), chunk(STOP + DONE), LAST_CHUNK, end=End.OPEN)
    async with BytesServer(exchange, *[Exchange(NEVER())] * 5) as server:
        async with Client(server.origin, timeout=LONG, retries=RetryPolicy(delay=0)) as chat:
            asking = asyncio.create_task(text(chat))
            for _ in range(turns):
                await asyncio.sleep(0)
        [outcome] = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(outcome, ConfigurationError):
        assert outcome.cause == "client-closed"  # it had not even begun
    elif isinstance(outcome, ResponseError):
        assert outcome.cause in ("client-closed", "answer-closed", "server-error", "not-found")
    else:
        assert outcome == "one"


async def test_cancelling_between_two_tries_ends_it() -> None:
    async with loopback.serve(Script(instead=Reply.error(503))) as server, Client(server.url, timeout=LONG, retries=RetryPolicy(delay=40)) as chat:
        asking = asyncio.create_task(text(chat))
        await server.until(lambda: len(server.requests) == 1)
        await server.everyone_left()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert len(server.requests) == 1


# --- A connection that was kept and is dead.


async def test_a_stale_connection_is_replaced() -> None:
    stale = Exchange(head(), chunk(ONE + STOP + DONE), LAST_CHUNK, REQUEST, end=End.RESET)
    async with BytesServer(stale, Exchange(head(), chunk(TWO + STOP + DONE), end=End.OPEN)) as server, Client(server.url, retries=AT_ONCE) as chat:
        assert await text(chat) == "one"
        assert await text(chat) == " two"
        assert len(server.requests) == 3


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    closed = Exchange(head(), chunk(ONE + STOP + DONE), LAST_CHUNK)
    async with BytesServer(closed, Exchange(head(), chunk(TWO + STOP + DONE), end=End.OPEN)) as server, Client(server.url, retries=0) as chat:
        assert await text(chat) == "one"
        await server.all_gone()
        assert await text(chat) == " two"


async def test_the_refusal_of_a_port_is_named_when_the_tries_are_used_up(unused_tcp_port: int) -> None:
    async with Client(f"http://127.0.0.1:{unused_tcp_port}", retries=AT_ONCE) as chat:
        error = await failure(chat)
    assert isinstance(error, ConnectFailed)
    assert (error.cause, str(error)) == ("connect-refused", f"nobody listens at 127.0.0.1:{unused_tcp_port}")


async def test_a_wrong_question_is_asked_once() -> None:
    async with loopback.serve() as server, Client(server.url, retries=AT_ONCE) as chat:
        with pytest.raises(BadRequest) as caught:
            await chat.complete("hi", temperature=9)
        assert (caught.value.param, len(server.requests)) == ("temperature", 1)
