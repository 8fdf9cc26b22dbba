"""The call shape of provider classes, that the class tells the truth about its service, and the programs in ``examples/``."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import perplexity_labs.loopback
from tests.sse.raw import BytesServer, End, Exchange, chunk, head
from ylokh_sse import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLost,
    FinishReason,
    MessageError,
    RateLimited,
    ReasoningDelta,
    ResponseError,
    ResponseTimeout,
    Sources,
    StreamError,
    Timeout,
    ToolCall,
    TruncatedAnswer,
    Ylokh,
    loopback,
)
from ylokh_sse.loopback import GREETING, JOKE, Call, Reply, Script
from ylokh_sse.provider import RETIRED

USER = [{"role": "user", "content": "Tell me a joke"}]
DEAD = "http://127.0.0.1:9"
KEY = "sk-a-very-secret-key"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"

QUESTIONS = pytest.mark.parametrize(
    ("question", "answer"), [("Tell me a joke", JOKE), ("What is the capital of France?", "Paris"), ("Привет! Как дела?", GREETING)]
)


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YLOKH_BASE_URL", "YLOKH_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def read(chunks: AsyncGenerator[Any, None]) -> list[Any]:
    return [chunk async for chunk in chunks]


def said(chunks: list[Any]) -> str:
    return "".join(chunk for chunk in chunks if isinstance(chunk, str))


# --------------------------------------------------------------------------------------------------------------------------------- asking


@QUESTIONS
@pytest.mark.parametrize("stream", [True, False])
async def test_the_programs_that_people_have(question: str, answer: str, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback.serve() as server:
        monkeypatch.setattr(Ylokh, "url", server.url)
        text: list[str] = []
        rest: list[object] = []
        messages = [{"role": "user", "content": question}]
        async for part in Ylokh.create_async_generator("gpt-3.5-turbo", messages, stream=stream, proxy=None, timeout=120):
            if isinstance(part, str):
                text.append(part)
            else:
                rest.append(part)
        assert "".join(text) == answer
        assert rest == [FinishReason("stop")]
        assert server.requests[0].json == {
            "model": "gpt-3.5-turbo",
            "messages": messages,
            "stream": stream,
            "temperature": 1,
            "presence_penalty": 0,
            "top_p": 1,
            "frequency_penalty": 0,
            "allow_fallback": True,
        }
        if not stream:
            assert len(text) == 1


def test_it_is_an_asynchronous_generator_and_needs_no_await() -> None:
    assert inspect.isasyncgen(Ylokh.create_async_generator("", USER, base_url=DEAD))


@pytest.mark.parametrize("model", ["", None])
async def test_no_model_is_the_default_one_and_any_other_is_passed_on(model: str | None) -> None:
    async with loopback.serve() as server:
        await read(Ylokh.create_async_generator(model, USER, base_url=server.url))
        await read(Ylokh.create_async_generator("gpt-17", "hi", base_url=server.url))
        assert [request.json["model"] for request in server.requests] == ["gpt-3.5-turbo", "gpt-17"]
        assert server.requests[1].json["messages"] == [{"role": "user", "content": "hi"}]


async def test_options_go_to_the_client_and_everything_else_into_the_body() -> None:
    script = Script(text="yes", reasoning="hm", reasoning_as="think")
    async with loopback.serve(script, key=KEY) as server:
        chunks = Ylokh.create_async_generator(
            "",
            USER,
            base_url=server.url,
            api_key=KEY,
            headers={"X-Mine": "1"},
            origin="https://o",
            referer="https://o/",
            retries=0,
            split_reasoning=True,
            temperature=0.5,
            allow_fallback=False,
            nobody_knows={"this": [1]},
            n=1,
        )
        assert await read(chunks) == [ReasoningDelta("hm"), "yes", FinishReason("stop")]
        [request] = server.requests
    assert (request.headers["x-mine"], request.headers["origin"], request.headers["referer"]) == ("1", "https://o", "https://o/")
    body = request.json
    assert (body["temperature"], body["top_p"], body["allow_fallback"], body["nobody_knows"], body["n"]) == (0.5, 1, False, {"this": [1]}, 1)
    assert body.keys().isdisjoint({"headers", "origin", "referer", "retries", "split_reasoning", "api_key", "base_url", "proxy", "timeout"})


@pytest.mark.parametrize("stream", [True, False])
async def test_everything_in_its_order(stream: bool) -> None:
    script = Script(
        text="See [1].", reasoning="Hm.", tool_calls=(Call("look", "{}", "c"),), citations=("https://a", {"url": "https://b"}), usage="own"
    )
    async with loopback.serve(script) as server:
        chunks = await read(Ylokh.create_async_generator("", USER, base_url=server.url, stream=stream))
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, ReasoningDelta)) == "Hm."
    assert said(chunks) == "See [1]."
    assert chunks[-3:] == [ToolCall(0, "c", "look", "{}"), Sources(["https://a", {"url": "https://b"}]), FinishReason("tool_calls")]
    assert str(chunks[-2]) == "[1] https://a\n[2] https://b"
    assert str(chunks[-1]) == "tool_calls"


async def test_only_the_first_of_several_answers_is_told() -> None:
    async with loopback.serve(Script(text="one two")) as server:
        chunks = await read(Ylokh.create_async_generator("", USER, base_url=server.url, n=3))
    assert chunks == ["one", " two", FinishReason("stop")]


@pytest.mark.parametrize("positional", [True, False])
async def test_the_given_proxy_is_used(positional: bool) -> None:
    generator = Ylokh.create_async_generator
    chunks = (
        generator("", USER, DEAD, base_url="http://host", retries=0)
        if positional
        else generator("", USER, proxy=DEAD, base_url="http://host", retries=0)
    )
    with pytest.raises(ResponseError) as caught:
        await read(chunks)
    assert caught.value.cause == "proxy-failed"


# -------------------------------------------------------------------------------------------------------------------------------- attributes


def test_the_class_says_what_there_was() -> None:
    for thing in (Ylokh, Ylokh()):
        assert thing.default_model == "gpt-3.5-turbo"
        assert thing.default_model in thing.models
        assert thing.supports_message_history is True
        assert thing.supports_gpt_35_turbo is True
        assert thing.url == RETIRED
        assert thing.working is False


async def test_the_retired_service_is_not_asked() -> None:
    # A proxy that is not there: whatever left this program would end in another error.
    for url in (None, RETIRED, "", f"{RETIRED}/v1"):
        with pytest.raises(ResponseError) as caught:
            await read(Ylokh.create_async_generator("", USER, proxy=DEAD, base_url=url))
        assert caught.value.cause == "service-retired"
        assert all(way in (caught.value.fix or "") for way in ("base_url=", "Ylokh.url", "YLOKH_BASE_URL"))


@pytest.mark.parametrize("way", ["environment", "assignment", "subclass", "instance"])
async def test_a_url_that_a_user_gives_works(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback.serve() as server:
        thing: Any = Ylokh
        match way:
            case "environment":
                monkeypatch.setenv("YLOKH_BASE_URL", server.url)
            case "assignment":
                monkeypatch.setattr(Ylokh, "url", server.url)
            case "subclass":
                thing = type("Mine", (Ylokh,), {"url": server.url})
                assert Ylokh.working is False
            case "instance":
                monkeypatch.setenv("YLOKH_BASE_URL", server.url)
                thing = Ylokh()
        assert (thing.url, thing.working) == (server.url, True)
        assert said(await read(thing.create_async_generator("", USER))) == JOKE


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YLOKH_BASE_URL", "")
    assert (Ylokh.url, Ylokh.working) == (RETIRED, False)


def test_no_address_at_all_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ylokh, "url", None)
    assert Ylokh.working is False


# ----------------------------------------------------------------------------------------------------------------------------------- failing


@pytest.mark.parametrize(
    ("script", "kind", "partial"),
    [
        (Script(instead=Reply.error(401)), AuthenticationError, ""),
        (Script(instead=Reply.error(429)), RateLimited, ""),
        (Script(text="one two", error="boom", error_after=1), StreamError, "one"),
        (Script(text="one two", cut_after=1), TruncatedAnswer, "one"),
        (Script(text="one two", cut_after=1, cut="chunked"), ConnectionLost, "one"),
    ],
)
async def test_a_failure_is_a_response_error_with_the_text_so_far(script: Script, kind: type[ResponseError], partial: str) -> None:
    told: list[Any] = []

    async def listen(url: str) -> None:
        async for part in Ylokh.create_async_generator("", USER, base_url=url, retries=0):
            told.append(part)

    async with loopback.serve(script) as server:
        with pytest.raises(ResponseError) as caught:
            await listen(server.url)
    assert type(caught.value) is kind
    assert caught.value.partial == said(told) == partial


async def test_the_timeout_bounds_the_whole() -> None:
    async with loopback.serve(Script(text="one two", stall_after=1)) as server:
        for timeout in (0.1, Timeout(idle=0.1)):
            with pytest.raises(ResponseTimeout) as caught:
                await read(Ylokh.create_async_generator("", USER, base_url=server.url, timeout=timeout))  # type: ignore[arg-type]
            assert caught.value.partial == "one"


async def test_wrong_calls_are_told_before_anything_is_sent() -> None:
    async with loopback.serve() as server:
        for option in ({"timeout": -1}, {"retries": -1}, {"messages": 1}):
            arguments: dict[str, Any] = {"model": "", "messages": USER, "base_url": server.url} | option
            with pytest.raises((ConfigurationError, MessageError)):
                await read(Ylokh.create_async_generator(**arguments))
        with pytest.raises(MessageError):
            await read(Ylokh.create_async_generator("", [], base_url=server.url))
        with pytest.raises(ConfigurationError):
            await read(Ylokh.create_async_generator("", USER, base_url="gopher://host"))
        assert server.requests == []


# ----------------------------------------------------------------------------------------------------------------------------------- leaving


async def test_leaving_early_leaves_the_server_at_once() -> None:
    async with loopback.serve(Script(text="one two", stall_after=1)) as server:
        async with aclosing(Ylokh.create_async_generator("", USER, base_url=server.url)) as chunks:
            async for part in chunks:
                assert part == "one"
                break
        await server.everyone_left()
        assert server.requests[0].left_early


async def test_a_plain_break_leaves_the_server_too() -> None:
    async with loopback.serve(Script(text="one two", stall_after=1)) as server:

        async def first() -> Any:
            async for part in Ylokh.create_async_generator("", USER, base_url=server.url):
                return part

        assert await first() == "one"
        gc.collect()
        await server.everyone_left()
        assert server.requests[0].left_early


@pytest.mark.parametrize("stage", ["before the head", "before the first byte", "in the middle"])
async def test_cancelling_closes_the_connection(stage: str) -> None:
    one = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
    never = asyncio.Event()
    pieces = {"before the head": (never,), "before the first byte": (head(), never), "in the middle": (head(), chunk(one), never)}[stage]
    async with BytesServer(Exchange(*pieces, end=End.OPEN)) as server:
        task = asyncio.create_task(read(Ylokh.create_async_generator("", USER, base_url=server.url)))
        while not server.requests:  # noqa: ASYNC110  # a server of exact bytes knows of no events
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.all_gone()


# ---------------------------------------------------------------------------------------------------------------------------------- examples


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An example as a user starts it, in a process of its own."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    path = {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=50, check=False, env=os.environ | path | environment)


@pytest.fixture(scope="module", params=["ylokh", "labs"])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The name of a service, as the examples know it, and the URL of its loopback server."""
    if request.param == "ylokh":
        with loopback.serve() as server:
            yield "ylokh", server.url
    else:
        with perplexity_labs.loopback.serve(pace=0) as labs:
            yield "labs", labs.url


@pytest.mark.parametrize(("example", "words"), [("joke.py", "says"), ("capital.py", "Paris"), ("privet.py", "")])
def test_each_example_asks_either_service(example: str, words: str, service: tuple[str, str]) -> None:
    name, url = service
    done = run(example, name, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
    assert done.stdout.endswith("[stop]\n")
    variable = {"ylokh": "YLOKH_BASE_URL", "labs": "PERPLEXITY_LABS_URL"}[name]
    assert run(example, name, **{variable: url}).stdout == done.stdout


def test_an_example_without_a_server_says_so() -> None:
    done = run("joke.py", "ylokh", YLOKH_BASE_URL="")
    assert done.returncode == 1
    assert "no other server" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_example_of_no_known_service_says_which_there_are() -> None:
    done = run("joke.py", "nobody")
    assert done.returncode == 2
    assert "labs" in done.stderr
    assert "ylokh" in done.stderr
