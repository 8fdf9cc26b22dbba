"""The call shape of provider classes, and that the class tells the truth about the service."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from perplexity_labs import (
    DEFAULT_URL,
    ConfigurationError,
    FinishReason,
    MessageError,
    PerplexityLabs,
    ReasoningDelta,
    ResponseError,
    ServiceError,
    Sources,
    TextReset,
    loopback,
)
from perplexity_labs.loopback import JOKE, REWRITTEN, SOURCES

USER = [{"role": "user", "content": "tell a joke"}]
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERPLEXITY_LABS_URL", raising=False)


async def read(chunks: AsyncGenerator[Any, None]) -> list[Any]:
    return [chunk async for chunk in chunks]


def said(chunks: list[Any]) -> str:
    return "".join(chunk for chunk in chunks if isinstance(chunk, str))


@pytest.mark.parametrize(
    ("question", "answer", "sources"),
    [
        ("tell a joke", JOKE, SOURCES),
        ("what is the capital of France", "The capital of France is Paris. [1]", ("https://en.wikipedia.org/wiki/Paris",)),
        ("Привет! Как дела?", "Привет! Всё хорошо, спасибо: соединение открыто, на каждый ping вовремя приходит pong. А как ваши дела?", ()),
    ],
)
async def test_the_programs_that_people_have(question: str, answer: str, sources: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback.serve(pace=0) as server:
        monkeypatch.setattr(PerplexityLabs, "url", server.url)
        text, rest = "", []
        async for chunk in PerplexityLabs.create_async_generator("r1-1776", [{"role": "user", "content": question}]):
            if isinstance(chunk, str):
                text += chunk
            else:
                rest.append(chunk)
        assert text == answer
        assert rest == ([Sources(list(sources))] if sources else []) + [FinishReason("stop")]


def test_it_is_an_asynchronous_generator_and_needs_no_await() -> None:
    assert inspect.isasyncgen(PerplexityLabs.create_async_generator("", USER, url=DEAD))


def test_the_class_says_what_there_was() -> None:
    assert PerplexityLabs.default_model in PerplexityLabs.models
    assert "sonar-pro" in PerplexityLabs.models


@pytest.mark.parametrize("model", ["", None])
async def test_no_model_is_the_default_one_and_any_other_is_passed_on(model: str | None) -> None:
    async with loopback.serve(text="hi", pace=0) as server:
        await read(PerplexityLabs.create_async_generator(model, USER, url=server.url))
        await read(PerplexityLabs.create_async_generator("gpt-17", USER, base_url=server.url))
        assert [question["model"] for question in server.questions] == ["r1-1776", "gpt-17"]


async def test_options_reach_the_client() -> None:
    async with loopback.serve(text="yes", think="hm", citations=(), pace=0) as server:
        chunks = PerplexityLabs.create_async_generator(
            "", USER, url=server.url, headers={"X-Mine": "1"}, timeout=30, split_reasoning=True, transports=("websocket",)
        )
        assert await read(chunks) == [ReasoningDelta("hm"), "yes", FinishReason("stop")]
        assert server.visitors[0].headers["X-Mine"] == "1"
        assert server.visitors[0].transport == "websocket"


async def test_a_rewritten_text_is_no_text() -> None:
    async with loopback.serve(text="one two", rewrite_at=1, citations=(), pace=0) as server:
        chunks = await read(PerplexityLabs.create_async_generator("", USER, url=server.url))
        assert chunks == ["one", TextReset(f"{REWRITTEN} two"), FinishReason("stop")]


# --------------------------------------------------------------------------------------------------------------------------------------- working


async def test_the_retired_service_does_not_work_and_is_not_asked() -> None:
    assert PerplexityLabs.url == DEFAULT_URL
    assert PerplexityLabs.working is False
    # A proxy that is not there: whatever left this program would end in another error.
    with pytest.raises(ResponseError) as caught:
        await read(PerplexityLabs.create_async_generator("", USER, proxy=DEAD))
    assert caught.value.cause == "service-retired"
    assert "PERPLEXITY_LABS_URL" in (caught.value.fix or "")


async def test_a_url_that_a_user_gives_works(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback.serve(pace=0) as server:

        class Mine(PerplexityLabs):
            url = server.url

        assert Mine.working is True
        assert PerplexityLabs.working is False
        assert said(await read(Mine.create_async_generator("", USER))) == JOKE
        monkeypatch.setenv("PERPLEXITY_LABS_URL", server.url)
        assert (PerplexityLabs.url, PerplexityLabs.working) == (server.url, True)
        assert said(await read(PerplexityLabs.create_async_generator("", USER))) == JOKE
    monkeypatch.setenv("PERPLEXITY_LABS_URL", "")
    assert PerplexityLabs.working is False


async def test_the_given_proxy_is_used() -> None:
    with pytest.raises(ResponseError) as caught:
        await read(PerplexityLabs.create_async_generator("", USER, DEAD, url="http://127.0.0.1:8"))
    assert caught.value.cause == "proxy-failed"


# ---------------------------------------------------------------------------------------------------------------------------------------- failing


async def test_a_failure_is_a_response_error() -> None:
    async with loopback.serve(fail="Too many requests", fail_after=2, pace=0) as server:
        with pytest.raises(ServiceError, match="Too many requests") as caught:
            await read(PerplexityLabs.create_async_generator("", USER, url=server.url))
        assert caught.value.partial == "A long"
    with pytest.raises(ResponseError):
        await read(PerplexityLabs.create_async_generator("", USER, url=DEAD))


async def test_wrong_calls_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'temperature'"):
        PerplexityLabs.create_async_generator("", USER, url=DEAD, temperature=1)
    with pytest.raises(TypeError, match="two names of one argument"):
        PerplexityLabs.create_async_generator("", USER, url=DEAD, base_url=DEAD)
    with pytest.raises(MessageError):
        PerplexityLabs.create_async_generator("", [], url=DEAD)
    with pytest.raises(ConfigurationError):
        PerplexityLabs.create_async_generator("", USER, url=DEAD, timeout=-1)
    with pytest.raises(ConfigurationError):
        await read(PerplexityLabs.create_async_generator("", USER, url="gopher://127.0.0.1"))


async def test_leaving_early_leaves_the_server_at_once() -> None:
    async with loopback.serve() as server:
        async with aclosing(PerplexityLabs.create_async_generator("", USER, url=server.url)) as chunks:
            assert await anext(chunks) == "A"
        await server.everyone_left()
        assert server.visitors[0].left == "client disconnect"
