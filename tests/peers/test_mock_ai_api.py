"""mock-ai-api does what the tests of the SSE client count on; where it does not, it is not the client's fault."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest


async def ask(url: str, model: str, *, stream: bool = True) -> tuple[int, str, bytes]:
    body = {"model": f"gpt-4.1:mock-{model}", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", json=body) as response:
        return response.status, response.headers["Content-Type"], await response.read()


def chunks(body: bytes) -> list[Any]:
    *events, done, end = body.decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_it_streams_text(mock_ai_api: str) -> None:
    status, kind, body = await ask(mock_ai_api, "text")
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    role, text, finish = chunks(body)
    assert role["choices"][0]["delta"] == {"role": "assistant"}
    assert text["choices"][0]["delta"]["content"]
    assert finish["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert set(finish["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


async def test_it_streams_a_tool_call(mock_ai_api: str) -> None:
    _, _, body = await ask(mock_ai_api, "tool-stream")
    *said, finish = chunks(body)
    calls = [call for chunk in said for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert {call["index"] for call in calls} == {0}
    assert calls[0]["function"] == {"name": "Write", "arguments": ""}
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"path": "tmp/mock-file.txt", "contents": "mock output"}
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


async def test_it_answers_whole(mock_ai_api: str) -> None:
    status, kind, body = await ask(mock_ai_api, "text", stream=False)
    answer = json.loads(body)
    assert (status, kind, answer["object"]) == (200, "application/json", "chat.completion")
    assert answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("status", "type"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_error"), (500, "api_error"), (503, "api_error")],
)
async def test_it_fails(mock_ai_api: str, status: int, type: str) -> None:
    assert await ask(mock_ai_api, str(status)) == (
        status,
        "application/json",
        json.dumps(
            {"error": {"message": f"Mock scenario mock-{status} triggered", "type": type, "code": f"mock_{status}"}}, separators=(",", ":")
        ).encode(),
    )


async def test_it_lists_models(mock_ai_api: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{mock_ai_api}/models") as response:
        assert (await response.json())["object"] == "list"
