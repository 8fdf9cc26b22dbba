"""Against mock-ai-api, a server of chat completions that others wrote: whatever it takes for an answer or an error must be one here.

It answers every question with the same text, which is asked of it and not known here; its models are named in ``tests/peers/mock_ai_api.py``.
"""

from __future__ import annotations

import json

import pytest

from ylokh_sse import (
    APIError,
    AuthenticationError,
    BadRequest,
    Client,
    Finish,
    FinishReason,
    RateLimited,
    ServerError,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
    Ylokh,
)

STATUSES = pytest.mark.parametrize(
    ("status", "kind", "type"),
    [
        (400, BadRequest, "invalid_request_error"),
        (401, AuthenticationError, "authentication_error"),
        (429, RateLimited, "rate_limit_error"),
        (500, ServerError, "api_error"),
        (503, ServerError, "api_error"),
    ],
)


def model(name: object) -> str:
    return f"gpt-4.1:mock-{name}"


def check(error: APIError, status: int, type: str) -> None:
    assert (error.status, error.type, error.code, error.retry_after) == (status, type, f"mock_{status}", None)
    assert str(error) == f"HTTP {status}: Mock scenario mock-{status} triggered"


async def test_text_is_the_same_streamed_and_whole(mock_ai_api: str) -> None:
    async with Client(mock_ai_api) as chat:
        whole = await chat.complete("hi", model=model("text"))
        async with chat.stream("hi", model=model("text")) as answer:
            parts = [part async for part in answer]
            streamed = await answer.result()
    assert whole.text == streamed.text != ""
    assert whole.finish_reason == streamed.finish_reason == "stop"
    assert [type(part) for part in parts] == [TextDelta, Finish, Usage]
    assert whole.usage is not None
    assert streamed.usage is not None
    assert streamed.usage.total_tokens == whole.usage.total_tokens


async def test_a_tool_call_comes_in_pieces_and_then_complete(mock_ai_api: str) -> None:
    async with Client(mock_ai_api) as chat, chat.stream("hi", model=model("tool-stream")) as answer:
        parts = [part async for part in answer]
    pieces = "".join(part.arguments for part in parts if isinstance(part, ToolCallDelta))
    [call] = [part for part in parts if isinstance(part, ToolCall)]
    assert (call.name, call.arguments) == ("Write", pieces)
    assert json.loads(pieces) == {"path": "tmp/mock-file.txt", "contents": "mock output"}
    assert call.id
    assert parts[parts.index(call) + 1] == Finish("tool_calls")


async def test_a_whole_tool_call_is_the_same_as_a_streamed_one(mock_ai_api: str) -> None:
    async with Client(mock_ai_api) as chat:
        whole = await chat.complete("hi", model=model("tool-stream"))
        async with chat.stream("hi", model=model("tool-stream")) as answer:
            streamed = await answer.result()
    assert [(call.name, json.loads(call.arguments)) for call in whole.tool_calls] == [
        (call.name, json.loads(call.arguments)) for call in streamed.tool_calls
    ]
    assert whole.finish_reason == streamed.finish_reason == "tool_calls"


@STATUSES
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_by_class(mock_ai_api: str, status: int, kind: type[APIError], type: str, stream: bool) -> None:
    async with Client(mock_ai_api, retries=0) as chat:
        with pytest.raises(kind) as caught:
            async with (chat.stream if stream else chat.whole)("hi", model=model(status)):
                pass
    check(caught.value, status, type)


def test_without_a_loop(mock_ai_api: str) -> None:
    chat = Client(mock_ai_api, retries=0)
    whole = chat.complete_sync("hi", model=model("text"))
    with chat.stream_sync("hi", model=model("text")) as parts:
        assert "".join(part.text for part in parts if isinstance(part, TextDelta)) == whole.text
    calls = [part for part in chat.stream_sync("hi", model=model("tool-stream")) if isinstance(part, ToolCall)]
    assert [call.name for call in calls] == ["Write"]


@STATUSES
def test_errors_without_a_loop(mock_ai_api: str, status: int, kind: type[APIError], type: str) -> None:
    chat = Client(mock_ai_api, retries=0)
    with pytest.raises(kind) as caught:
        chat.complete_sync("hi", model=model(status))
    check(caught.value, status, type)
    with pytest.raises(kind) as caught:
        list(chat.stream_sync("hi", model=model(status)))
    check(caught.value, status, type)


@pytest.mark.parametrize("stream", [True, False])
async def test_in_the_shape_of_provider_classes(mock_ai_api: str, stream: bool) -> None:
    chunks = [chunk async for chunk in Ylokh.create_async_generator(model("text"), "hi", base_url=mock_ai_api, stream=stream)]
    *text, end = chunks
    assert "".join(map(str, text))
    assert end == FinishReason("stop")
    chunks = [chunk async for chunk in Ylokh.create_async_generator(model("tool-stream"), "hi", base_url=mock_ai_api, stream=stream)]
    assert [chunk.name for chunk in chunks if isinstance(chunk, ToolCall)] == ["Write"]
    assert chunks[-1] == FinishReason("tool_calls")


@STATUSES
async def test_errors_in_the_shape_of_provider_classes(mock_ai_api: str, status: int, kind: type[APIError], type: str) -> None:
    with pytest.raises(kind) as caught:
        await anext(Ylokh.create_async_generator(model(status), "hi", base_url=mock_ai_api, retries=0))
    check(caught.value, status, type)
