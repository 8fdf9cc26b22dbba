"""The client against a real server: what is sent, what comes back, and how it is left."""

from __future__ import annotations

import asyncio
import functools
import traceback
from typing import Any

import aiohttp
import pytest

from chat_answers import Completion
from tests.sse.raw import REQUEST, BytesServer, End, Exchange, chunk, head, stream
from ylokh_sse import (
    APIError,
    Citations,
    Client,
    ConfigurationError,
    ConnectionLost,
    Finish,
    Limits,
    MessageError,
    NotFound,
    Part,
    ReasoningDelta,
    ResponseError,
    ResponseTimeout,
    RetryPolicy,
    ServerSentEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    loopback,
)
from ylokh_sse.loopback import Call, Reply, Script

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

KEY = "sk-a-very-secret-key"


async def read(client: Client, question: Any = "hi", **fields: Any) -> list[Part]:
    async with client.stream(question, **fields) as answer:
        return [part async for part in answer]


def text_of(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


# --- What comes back.


async def test_an_answer_comes_as_it_is_written() -> None:
    async with loopback.serve(Script(text="Hello there, you")) as server, Client(server.url) as chat:
        assert await read(chat) == [TextDelta("Hello"), TextDelta(" there,"), TextDelta(" you"), Finish("stop")]


async def test_each_part_is_told_when_it_has_come_and_not_later() -> None:
    gates = asyncio.Event(), asyncio.Event()
    exchange = Exchange(head(), chunk(ONE), gates[0], chunk(TWO), gates[1], chunk(STOP + DONE), end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        gates[0].set()
        assert await anext(answer) == TextDelta(" two")
        gates[1].set()
        assert await anext(answer) == Finish("stop")


async def test_everything_that_an_answer_can_have() -> None:
    script = Script(
        text="See [1].",
        reasoning="Hm.",
        tool_calls=(Call("look", '{"at":1}', "c-1"),),
        citations=("https://a.example/",),
        usage="own",
    )
    async with loopback.serve(script) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        parts = [part async for part in answer]
        completion = await answer.result()
    assert "".join(part.text for part in parts if isinstance(part, ReasoningDelta)) == completion.reasoning == "Hm."
    assert text_of(parts) == completion.text == str(completion) == "See [1]."
    assert "".join(part.arguments for part in parts if isinstance(part, ToolCallDelta)) == '{"at":1}'
    call = ToolCall(0, "c-1", "look", '{"at":1}')
    assert parts[-3:-1] == [call, Finish("tool_calls")]
    assert completion.tool_calls == (call,)
    assert [part for part in parts if isinstance(part, Citations)] == [Citations(("https://a.example/",))]
    assert isinstance(parts[-1], Usage)
    assert completion.usage == parts[-1]


@pytest.mark.parametrize("together", [False, True])
async def test_several_answers_are_told_apart_by_their_index(together: bool) -> None:
    async with loopback.serve(Script(text="a b", together=together)) as server, Client(server.url) as chat, chat.stream("hi", n=3) as answer:
        completion = await answer.result()
        assert [choice.text for choice in completion.choices] == ["a b", "2. a b", "3. a b"]
        assert answer.partial == "a b"


@pytest.mark.parametrize("split", [False, True])
async def test_thoughts_between_tags_are_split_off_on_request(split: bool) -> None:
    script = Script(text="So: yes.", reasoning="Let me see.", reasoning_as="think")
    async with loopback.serve(script) as server, Client(server.url, split_reasoning=split) as chat:
        completion = await chat.complete("hi")
        assert text_of(await read(chat)) == completion.text
    assert (completion.text, completion.reasoning) == ("So: yes.", "Let me see.") if split else ("<think>" in completion.text, "") == (True, "")


async def test_the_text_alone() -> None:
    async with loopback.serve(Script(text="Hello there", reasoning="Hm.")) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            assert [text async for text in answer.text()] == ["Hello", " there"]
        async with chat.stream("hi") as answer:
            assert await answer.text() == "Hello there"


async def test_text_that_was_taken_back_is_in_no_text_that_is_awaited() -> None:
    said = b'data: {"choices":[{"delta":{"content":"Hi there"}}]}\n\n'
    rewritten = b'data: {"object":"chat.completion.done","choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}\n\n'
    async with BytesServer(stream(said, rewritten)) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert await answer.text() == "Hello"
        assert (await answer.result()).text == "Hello"


async def test_a_whole_answer_is_the_same_as_a_streamed_one() -> None:
    script = Script(text="Hello there", reasoning="Hm.", tool_calls=(Call("f"),), citations=("u",), usage="own")
    async with loopback.serve(script) as server, Client(server.url) as chat:
        whole = await chat.complete("hi")
        async with chat.stream("hi") as answer:
            streamed = await answer.result()
        async with chat.whole("hi") as answer:
            parts = [part async for part in answer]
        assert [request.json["stream"] for request in server.requests] == [False, True, False]
        assert [request.headers["accept"] for request in server.requests] == ["application/json", "text/event-stream", "application/json"]
    assert (whole.choices, whole.citations) == (streamed.choices, streamed.citations)
    assert whole.raw["object"] == "chat.completion"
    assert streamed.raw is None
    assert TextDelta("Hello there") in parts


async def test_the_result_has_what_was_read_before_and_is_there_after_the_block() -> None:
    async with loopback.serve(Script(text="Hello there, you")) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("Hello")
            await answer.result()
        assert (await answer.result()).text == "Hello there, you"


async def test_the_events_as_they_came() -> None:
    pieces = stream(b": hello\n\nid: 7\nretry: 5\nevent: x\ndata: 1\n\n", b"data: [DONE]\n\n")
    async with BytesServer(pieces) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        events = [event async for event in answer.events()]
    assert events == [ServerSentEvent("x", "1", "7", 5), ServerSentEvent("message", "[DONE]", "7", None)]


async def test_a_body_that_came_whole_is_one_event() -> None:
    async with loopback.serve(Script(text="Hi", whole=True)) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            [event] = [event async for event in answer.events()]
        assert '"Hi"' in event.data
        assert text_of(await read(chat)) == "Hi"


# --- What is sent.


async def test_what_is_sent() -> None:
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Привет"}]
    async with loopback.serve() as server, Client(server.url, KEY, origin="https://o", referer="https://o/", headers={"X-Trace": "7"}) as chat:
        await read(chat, history, model="m-1", temperature=0.5, allow_fallback=True)
        [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.json == {"model": "m-1", "messages": history, "stream": True, "temperature": 0.5, "allow_fallback": True}
    sent = request.headers
    assert (sent["authorization"], sent["origin"], sent["referer"], sent["x-trace"]) == (f"Bearer {KEY}", "https://o", "https://o/", "7")
    assert sent["user-agent"].startswith("engineio-lite/")
    assert int(sent["content-length"]) == len(request.body)
    assert (sent["accept-encoding"], sent["content-type"]) == ("identity", "application/json")


async def test_nothing_is_sent_that_was_not_asked_for() -> None:
    async with loopback.serve() as server, Client(server.url) as chat:
        await read(chat)
        [request] = server.requests
    assert request.json == {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert {"authorization", "origin", "referer", "cookie"}.isdisjoint(request.headers)


async def test_url_and_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback.serve(key=KEY) as server:
        monkeypatch.setenv("YLOKH_BASE_URL", server.url)
        monkeypatch.setenv("YLOKH_API_KEY", KEY)
        async with Client() as chat:
            assert await read(chat)


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_the_base_url_is_understood_in_every_form(tail: str) -> None:
    async with loopback.serve() as server, Client(server.origin + tail) as chat:
        assert await read(chat)
        assert [request.path for request in server.requests] == ["/v1/chat/completions"]


async def test_a_server_without_a_version_is_found_when_nothing_is_under_v1() -> None:
    there = Exchange(head(404, content_type="text/plain", length=9) + b"Not Found", REQUEST, head(), chunk(ONE + DONE))
    async with BytesServer(there) as server, Client(server.origin) as chat:
        assert text_of(await read(chat)) == "one"
        assert [request.target for request in server.requests] == ["/v1/chat/completions", "/chat/completions"]


async def test_where_nothing_is_anywhere_the_first_answer_is_the_error() -> None:
    there = Exchange(head(404, length=9) + b"Not Found", REQUEST, head(405, length=0), end=End.OPEN)
    async with BytesServer(there) as server, Client(server.origin) as chat:
        with pytest.raises(NotFound):
            await read(chat)


async def test_a_model_that_is_not_there_is_not_looked_for_elsewhere() -> None:
    async with loopback.serve(only_models=True) as server, Client(server.origin) as chat:
        with pytest.raises(NotFound) as caught:
            await read(chat, model="nobody")
        assert len(server.requests) == 1
    assert caught.value.code == "model_not_found"


# --- How it is left.


async def test_leaving_early_tells_the_server_at_once() -> None:
    async with loopback.serve(Script(text="one two three", stall_after=2)) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("one")
        await server.everyone_left()
        [request] = server.requests
        assert request.left_early


async def test_a_connection_is_used_again_after_an_answer() -> None:
    async with loopback.serve() as server, Client(server.url) as chat:
        for _ in range(3):
            await read(chat)
        await chat.complete("hi")
        assert [request.connection for request in server.requests] == [1, 1, 1, 1]


async def test_what_follows_the_last_word_is_not_waited_for() -> None:
    async with BytesServer(Exchange(head(), chunk(ONE + STOP + DONE), end=End.OPEN)) as server, Client(server.url) as chat:
        assert text_of(await read(chat)) == "one"


async def test_an_answer_that_was_left_cannot_be_read_on() -> None:
    async with loopback.serve(Script(text="one two")) as server, Client(server.url) as chat:
        async with chat.stream("hi") as answer:
            await anext(answer)
        with pytest.raises(ConnectionLost) as caught:
            await answer.result()
        assert (caught.value.cause, caught.value.partial[:3]) == ("answer-closed", "one")


async def test_closing_the_client_ends_the_answers_that_are_read() -> None:
    async with loopback.serve(Script(text="one two", stall_after=1)) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        waiting = asyncio.create_task(answer.result())
        await server.until(lambda: server.requests[0].stalled)
        await chat.aclose()
        with pytest.raises(ConnectionLost) as caught:
            await waiting
        assert (caught.value.cause, caught.value.partial) == ("client-closed", "one")
        with pytest.raises(ConfigurationError) as refused:
            chat.stream("hi")
        assert refused.value.cause == "client-closed"
        await chat.aclose()


async def test_questions_may_be_asked_side_by_side() -> None:
    async with loopback.serve(Script(pace=0.005)) as server, Client(server.url) as chat:
        answers = await asyncio.gather(*(chat.complete(f"question {number}") for number in range(8)))
        assert len({answer.text for answer in answers}) == 8


async def test_a_question_is_asked_by_entering_the_answer_and_once() -> None:
    async with loopback.serve() as server, Client(server.url) as chat:
        answer = chat.stream("hi")
        for use in (lambda: answer.partial, lambda: answer.headers, answer.events):
            with pytest.raises(ConfigurationError):
                use()
        with pytest.raises(ConfigurationError) as caught:
            await anext(answer)
        assert caught.value.cause == "answer-not-entered"
        assert server.requests == []
        async with answer:
            pass
        with pytest.raises(ConfigurationError) as again:
            async with answer:
                pass
        assert again.value.cause == "answer-used"


@pytest.mark.parametrize("turns", range(40))
async def test_cancelling_at_any_moment_leaves_nothing(turns: int) -> None:
    """The fixture `no_leaks` looks for what is left."""
    async with loopback.serve(Script(text="one two three")) as server:

        async def ask() -> Completion:
            async with Client(server.url) as chat, chat.stream("hi") as answer:
                return await answer.result()

        task = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            assert (await task).text == "one two three"
        except asyncio.CancelledError:
            assert task.cancelled()


@pytest.mark.parametrize("stage", ["before the head", "before the first byte", "in the middle"])
async def test_cancelling_while_waiting_closes_the_connection(stage: str) -> None:
    never = asyncio.Event()
    pieces = {"before the head": (never,), "before the first byte": (head(), never), "in the middle": (head(), chunk(ONE), never)}[stage]
    async with BytesServer(Exchange(*pieces)) as server, Client(server.url) as chat:
        task = asyncio.create_task(chat.complete("hi"))
        while not server.requests:  # noqa: ASYNC110  # a server of exact bytes knows of no events
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.all_gone()


async def test_cancelling_while_the_body_may_still_end_closes_the_connection() -> None:
    never, leaving = asyncio.Event(), asyncio.Event()

    async def ask(chat: Client) -> None:
        async with chat.stream("hi") as answer:
            async for _ in answer:
                pass
            leaving.set()

    async with BytesServer(Exchange(head(), chunk(ONE + STOP + DONE), never)) as server, Client(server.url) as chat:
        task = asyncio.create_task(ask(chat))
        await leaving.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.all_gone()


async def test_a_session_of_the_callers_is_used_and_neither_changed_nor_closed() -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as session, loopback.serve() as server:
        async with Client(server.url, session=session) as chat:
            await read(chat)
        assert not session.closed
        assert dict(session.headers) == {"X-Mine": "1"}
        [request] = server.requests
        assert request.headers["x-mine"] == "1"
        assert request.headers["accept"] == "text/event-stream"


# --- A reader who is slow.


async def test_what_came_before_the_connection_broke_is_read_first() -> None:
    broken = asyncio.Event()
    exchange = Exchange(head(), chunk(ONE), broken, chunk(TWO), chunk(TWO), end=End.RESET)
    async with BytesServer(exchange) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        broken.set()
        await server.all_gone()
        assert await anext(answer) == TextDelta(" two")
        assert await anext(answer) == TextDelta(" two")
        with pytest.raises(ConnectionLost) as caught:
            await anext(answer)
    assert caught.value.partial == "one two two"


async def test_a_reader_who_does_not_read_stops_the_server() -> None:
    pieces = ("x" * 100_000,) * 800  # more than a connection's two buffers hold: some kernels let one grow to 32 MiB
    client = functools.partial(Client, limits=Limits(max_answer=800 * 100_000))
    async with loopback.serve(Script(pieces=pieces)) as server, client(server.url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta(pieces[0])
        await asyncio.sleep(0.2)  # what is tested is that something does not happen, and that cannot be waited for
        assert not server.requests[0].answered
        async for _ in answer:
            pass
        await server.everyone_left()
        assert server.requests[0].answered


# --- What is wrong with the call.


def test_without_a_server_to_ask_there_is_no_client() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client()
    assert caught.value.cause == "no-base-url"
    assert "YLOKH_BASE_URL" in str(caught.value.fix)


@pytest.mark.parametrize(
    "options",
    [
        *({"proxy": proxy} for proxy in ("socks5://host:1", "nonsense", 5, "http://host:99999", "http://host:0", "http://[")),
        *({"headers": headers} for headers in ({"X": "a\nb"}, {"a b": "x"}, {"X": 1}, {1: "x"}, ["X"])),
        *({name: value} for name in ("origin", "referer") for value in ("a\nb", 5)),
        *({"timeout": timeout} for timeout in (0, -1, "2", True, float("nan"))),
        *({"retries": retries} for retries in (-1, "2", None, True, 1.5)),
        *({"limits": limits} for limits in (5, None)),
        {"session": 5},
        {"ssl": "yes"},
        {"ssl": None},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        Client("http://host", **options)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "1", None])
@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_a_limit_is_a_number_above_0(name: str, size: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"limits.{name} is a number from 1"):
        Limits(**{name: size})


@pytest.mark.parametrize("seconds", [-1, True, "1", None, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["delay", "max_delay", "max_retry_after"])
def test_the_waits_between_tries_are_seconds(name: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is a number of seconds from 0"):
        RetryPolicy(**{name: seconds})


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'nonsense'"):
        Client("http://host", nonsense=1)  # type: ignore[call-arg]


async def test_a_question_that_cannot_be_sent_is_refused_at_once() -> None:
    async with Client("http://127.0.0.1:9") as chat:
        for ask in (chat.stream, chat.whole):
            with pytest.raises(MessageError):
                ask([])
        with pytest.raises(MessageError):
            await chat.complete([])


# --- The key.


def _everything_said(error: BaseException) -> str:
    seen: list[str] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (one := waiting.pop()) is not None:
            seen += [str(one), repr(one), repr(vars(one))]
            waiting += [one.__cause__, one.__context__]
    return " ".join(seen) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "script",
    [
        Script(instead=Reply.error(401, f"Incorrect key {KEY}", code=KEY)),
        Script(instead=Reply.plain(500, f"oops {KEY}")),
        Script(text="a b", error=f"bad key {KEY}", error_after=1),
        Script(text="a b", cut_after=1, cut="chunked"),
        Script(redirect=307),
    ],
)
async def test_the_key_is_in_no_error_even_if_the_server_repeats_it(script: Script) -> None:
    async with loopback.serve(script) as server, Client(server.url, KEY, retries=0) as chat:
        assert KEY not in repr(chat) + repr(chat.stream("hi"))
        with pytest.raises(ResponseError) as caught:
            await read(chat)
    assert KEY not in _everything_said(caught.value)


async def test_the_key_is_in_nothing_that_a_debugger_shows() -> None:
    async with loopback.serve(key=KEY) as server, Client(f"{server.url}?token={KEY}", KEY) as chat, chat.stream("hi") as answer:
        seen = [chat, answer, answer._exchange, answer._question, answer._manner]
        assert KEY not in "".join(map(repr, seen))


async def test_the_key_is_in_no_error_of_a_failed_connection(unused_tcp_port: int) -> None:
    dead = f"127.0.0.1:{unused_tcp_port}"
    for url, proxy in ((f"http://{dead}", None), (f"https://{dead}", None), ("http://127.0.0.1:9", f"http://user:{KEY}@{dead}")):
        async with Client(url, KEY, retries=0, proxy=proxy) as chat:
            with pytest.raises(ResponseError) as caught:
                await read(chat)
        assert KEY not in _everything_said(caught.value)


async def test_a_bad_status_line_is_no_http_and_hides_the_key() -> None:
    async with BytesServer(Exchange(b"SSH-2.0-OpenSSH\r\n\r\n")) as server, Client(server.url, KEY, retries=0) as chat:
        with pytest.raises(ResponseError) as caught:
            await read(chat)
    assert caught.value.cause == "bad-http"
    assert KEY not in _everything_said(caught.value)


# --- Timeouts and tries are in test_patience.py; these are only what is raised.


async def test_errors_have_their_words() -> None:
    async with loopback.serve(Script(instead=Reply.error(400, "bad", type="t", param="p", code="c"))) as server, Client(server.url) as chat:
        with pytest.raises(APIError) as caught:
            await read(chat)
    error = caught.value
    assert (error.status, error.type, error.param, error.code, error.request_id) == (400, "t", "p", "c", "req-1")
    assert not isinstance(error, ResponseTimeout)
