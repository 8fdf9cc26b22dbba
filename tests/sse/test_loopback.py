"""The server to try things on, as a plain HTTP client sees it: what it says, what it refuses, and every way in which it can be told to misbehave."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from typing import Any, get_args
from urllib.request import urlopen

import aiohttp
import pytest

from chat_answers import JSON
from tests.commands import heeding_ctrl_c
from ylokh_sse import loopback
from ylokh_sse.loopback import GREETING, JOKE, PAGE, Call, LoopbackServer, LoopbackUnavailable, Reply, Script, reply_to, split
from ylokh_sse.loopback.__main__ import main
from ylokh_sse.loopback.answer import KEEP_ALIVE, Cut, Say, Wait, steps
from ylokh_sse.loopback.question import MAX_CHOICES, BadQuestion, Question, read_question
from ylokh_sse.loopback.script import CutHow, ErrorAs, Gzip, LineEnd, ReasoningAs, RoleAs, ToolCallsAs, UsageAs, to_json

ABC = Script(pieces=("a", "b", "c"))


def asking(text: JSON = "hi", **more: JSON) -> dict[str, JSON]:
    return {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": text}], **more}


async def ask(
    server: LoopbackServer, body: JSON = None, *, stream: bool = True, headers: dict[str, str] | None = None, path: str = "/chat/completions"
) -> tuple[int, str, bytes]:
    """Ask on a connection of its own; returns status, content type and body."""
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(server.url + path, json={**asking(), "stream": stream} if body is None else body) as response:
            return response.status, response.headers["Content-Type"], await response.read()


def chunks(body: bytes) -> list[Any]:
    """The data of each event: read as JSON, but for ``[DONE]``."""
    events = body.decode().split("\n\n")
    assert events.pop() == ""
    return [event if event == "data: [DONE]" else json.loads(event.removeprefix("data: ")) for event in events]


def deltas(body: bytes) -> list[Any]:
    return [choice["delta"] for chunk in chunks(body) if chunk != "data: [DONE]" for choice in chunk["choices"]]


def text(body: bytes) -> str:
    return "".join(delta.get("content", "") for delta in deltas(body))


async def stream_of(script: Script, **more: JSON) -> bytes:
    async with loopback.serve(script) as server:
        status, _, body = await ask(server, asking(stream=True, **more))
    assert status == 200
    return body


# ----------------------------------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Tell me a joke!", JOKE),
        ("Расскажи анекдот", JOKE),
        ("What is the capital of France?", "Paris"),
        ("столица Франции?", "Paris"),
        ("Привет!", GREETING),
        ("Добрый день", GREETING),
        ("jokeless", "You said “jokeless”, and I am only a loopback server."),
    ],
)
def test_it_knows_a_few_answers(question: str, answer: str) -> None:
    assert reply_to(question) == answer


def test_words_keep_their_blanks() -> None:
    assert split("one  two\n\nthree\n") == ("one", "  two", "\n\nthree", "\n")
    assert "".join(split(JOKE)) == JOKE


async def test_a_stream_is_what_openai_sends() -> None:
    async with loopback.serve(Script(text="two words")) as server:
        status, kind, body = await ask(server)
    assert (status, kind) == (200, "text/event-stream; charset=utf-8")
    fixed = {"id": "chatcmpl-loopback", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-3.5-turbo"}
    assert chunks(body) == [
        {**fixed, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        {**fixed, "choices": [{"index": 0, "delta": {"content": "two"}, "finish_reason": None}]},
        {**fixed, "choices": [{"index": 0, "delta": {"content": " words"}, "finish_reason": None}]},
        {**fixed, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        "data: [DONE]",
    ]


async def test_a_whole_answer_is_what_openai_sends() -> None:
    async with loopback.serve() as server:
        status, kind, body = await ask(server, asking("What is the capital of France?"))
    assert (status, kind) == (200, "application/json")
    assert json.loads(body) == {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-3.5-turbo",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 6, "completion_tokens": 1, "total_tokens": 7},
    }


async def test_models_are_listed_and_both_base_urls_work() -> None:
    async with loopback.serve(ABC, models=("a", "b")) as server, aiohttp.ClientSession() as session:
        assert server.url == f"{server.origin}/v1"
        for base in (server.url, server.origin):
            async with session.get(f"{base}/models") as response:
                assert [model["id"] for model in (await response.json())["data"]] == ["a", "b"]
            async with session.post(f"{base}/chat/completions", json=asking(stream=True)) as response:
                assert text(await response.read()) == "abc"
    async with loopback.serve() as server, aiohttp.ClientSession() as session, session.get(f"{server.url}/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["gpt-3.5-turbo"]


@pytest.mark.parametrize("together", [False, True])
async def test_several_answers_take_turns(together: bool) -> None:
    body = await stream_of(Script(pieces=("a", "b"), together=together), n=3)
    said: dict[int, str] = {}
    sizes = set()
    for chunk in chunks(body)[:-1]:
        sizes.add(len(chunk["choices"]))
        for choice in chunk["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + choice["delta"].get("content", "")
    assert said == {0: "ab", 1: "2. ab", 2: "3. ab"}
    assert sizes == ({3, 2} if together else {1})


@pytest.mark.parametrize("where", ["reasoning_content", "reasoning", "think"])
async def test_thoughts_come_first(where: ReasoningAs) -> None:
    script = Script(text="yes", reasoning="hm, well", reasoning_as=where)
    _, *said, _ = deltas(await stream_of(script))
    async with loopback.serve(script) as server:
        _, _, body = await ask(server, stream=False)
    [choice] = json.loads(body)["choices"]
    if where == "think":
        assert "".join(delta["content"] for delta in said) == "<think>\nhm, well\n</think>\n\nyes" == choice["message"]["content"]
    else:
        assert said == [{where: "hm,"}, {where: " well"}, {"content": "yes"}]
        assert (choice["message"][where], choice["message"]["content"]) == ("hm, well", "yes")


@pytest.mark.parametrize("how", ["pieces", "whole", "unnumbered"])
async def test_tools_are_called(how: ToolCallsAs) -> None:
    calls = (Call("add", '{"a":1,"b":2}', "x"), Call("now", id="y"))
    script = Script(tool_calls=calls, tool_calls_as=how)
    body = await stream_of(script)
    assert chunks(body)[-2]["choices"][0]["finish_reason"] == "tool_calls"
    said = [call for delta in deltas(body) for call in delta.get("tool_calls", ())]
    assert [call["id"] for call in said if "id" in call] == ["x", "y"]
    assert all(("index" in call) == (how != "unnumbered") for call in said)
    assert "".join(call["function"]["arguments"] for call in said) == '{"a":1,"b":2}{}'
    assert (len(said) > 2) == (how == "pieces")
    async with loopback.serve(script) as server:
        _, _, body = await ask(server, stream=False)
    [choice] = json.loads(body)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["add", "now"]


async def test_text_may_come_before_a_tool_call() -> None:
    assert text(await stream_of(Script(text="wait", tool_calls=(Call("now"),)))) == "wait"


async def test_sources_are_on_every_chunk() -> None:
    *said, _ = chunks(await stream_of(Script(text="x", citations=("https://example.org/",))))
    assert [chunk["citations"] for chunk in said] == [["https://example.org/"]] * 3
    async with loopback.serve(Script(citations=(1,))) as server:
        assert json.loads((await ask(server, stream=False))[2])["citations"] == [1]


USAGE = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}


@pytest.mark.parametrize(
    ("where", "asked", "seen"),
    [
        ("asked", False, []),
        ("asked", True, [None, None, None, None, None, USAGE]),
        ("none", True, []),
        ("own", False, [USAGE]),
        ("finish", False, [USAGE]),
        ("every", False, [{"prompt_tokens": 1, "completion_tokens": n, "total_tokens": 1 + n} for n in (0, 1, 2, 3, 3)]),
    ],
)
async def test_usage_is_where_it_is_wanted(where: UsageAs, asked: bool, seen: list[JSON]) -> None:
    more = {"stream_options": {"include_usage": True}} if asked else {}
    *said, _ = chunks(await stream_of(Script(pieces=("a", "b", "c"), usage=where), **more))
    assert [chunk["usage"] for chunk in said if "usage" in chunk] == seen
    if where in ("asked", "own") and seen:
        assert said[-1]["choices"] == []
    if where == "none":
        async with loopback.serve(Script(usage="none")) as server:
            assert "usage" not in json.loads((await ask(server, stream=False))[2])


@pytest.mark.parametrize(
    ("role", "roles"),
    [
        ("own", [True, False, False, False]),
        ("first", [True, False, False]),
        ("every", [True, True, False]),
        ("never", [False, False, False]),
    ],
)
async def test_the_role_is_where_it_is_wanted(role: RoleAs, roles: list[bool]) -> None:
    assert ["role" in delta for delta in deltas(await stream_of(Script(pieces=("a", "b"), role=role)))] == roles


async def test_a_reason_or_done_may_be_missing_or_different() -> None:
    assert chunks(await stream_of(Script(text="x", finish_reason="content_filter")))[-2]["choices"][0]["finish_reason"] == "content_filter"
    unfinished = chunks(await stream_of(Script(text="x", finish_reason=None)))
    assert (len(unfinished), unfinished[-1]) == (3, "data: [DONE]")
    assert "data: [DONE]" not in chunks(await stream_of(Script(text="x", done=False)))
    assert text(await stream_of(Script(pieces=("x",), finish_reason=None, done=False))) == "x"
    assert await stream_of(Script(pieces=(), role="never", finish_reason=None, done=False)) == b""


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_of_tokens_is_one_of_pieces(limit: str) -> None:
    body = await stream_of(ABC, **{limit: 2})
    assert (text(body), chunks(body)[-2]["choices"][0]["finish_reason"]) == ("ab", "length")


async def test_halves_of_a_pair_of_surrogates_are_escaped() -> None:
    body = await stream_of(Script(pieces=("\ud83d", "\ude00", "é")))
    assert b"\\ud83d" in body
    assert "é".encode() in body
    assert to_json({"a": "😀"}) == '{"a":"😀"}'
    async with loopback.serve() as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", data=json.dumps(asking("half \ud83d"))) as response:
            assert (await response.json())["choices"][0]["message"]["content"].startswith("You said “half \ud83d”")


# --------------------------------------------------------------------------------------------------------------------------- how it is sent


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_line_ends_spaces_and_marks_are_the_scripts(line_end: LineEnd) -> None:
    plain = await stream_of(Script(pieces=("a",)))
    odd = await stream_of(Script(pieces=("a",), line_end=line_end, bom=True, space=False))
    assert odd == b"\xef\xbb\xbf" + plain.replace(b"data: ", b"data:").replace(b"\n", line_end.encode())


async def test_comments_and_pings_come_before_the_first_piece() -> None:
    script = Script(pieces=("a",), keep_alives=3, delay_first=0.01, pings=2)
    body = (await stream_of(script)).decode()
    assert body.startswith(f"{KEEP_ALIVE}\n\n" * 3 + "event: ping\n\n" * 2 + "data: {")
    waits = [step.seconds for step in steps(script, Question(model="m", text="x", stream=True)) if isinstance(step, Wait)]
    assert waits == [pytest.approx(0.0025)] * 4


def test_waits_are_where_the_script_says() -> None:
    question = Question(model="m", text="x", stream=True)
    script = Script(pieces=("a", "b", "c"), delay=1, delay_first=2, pace=3)
    assert [step.seconds for step in steps(script, question) if isinstance(step, Wait)] == [1, 2, 3, 3]
    assert [step.seconds for step in steps(script, Question(model="m", text="x")) if isinstance(step, Wait)] == [1, 2]


async def test_the_content_type_and_headers_are_the_scripts() -> None:
    script = Script(content_type="text/plain", headers={"X-Request-Id": "mine", "Via": "x"})
    async with loopback.serve(script) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", json=asking(stream=True)) as response:
            assert (response.content_type, response.headers["x-request-id"], response.headers["Via"]) == ("text/plain", "mine", "x")


@pytest.mark.parametrize("how", ["flushed", "late", "cut"])
async def test_the_stream_may_be_compressed(how: Gzip) -> None:
    async with loopback.serve(Script(pieces=("a", "b", "c"), gzip=how)) as server:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.post(f"{server.url}/chat/completions", json=asking(stream=True)) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                body = await response.read()
    unpack = zlib.decompressobj(wbits=31)
    assert unpack.decompress(body) == await stream_of(Script(pieces=("a", "b", "c")))
    assert unpack.eof == (how != "cut")


def test_what_is_flushed_is_on_its_way_at_once() -> None:
    question = Question(model="m", text="x", stream=True)
    said = {how: [step for step in steps(Script(pieces=("a", "b"), gzip=how), question) if isinstance(step, Say)] for how in ("flushed", "late")}
    assert b"a" in zlib.decompressobj(wbits=31).decompress(b"".join(step.data for step in said["flushed"][:2]))
    assert len(said["late"]) == 2  # the header of gzip, and everything


# ------------------------------------------------------------------------------------------------------------------------------ how it ends


@pytest.mark.parametrize(
    ("how", "shape"),
    [("object", {"message": "no ink", "type": "server_error", "param": None, "code": None}), ("string", "no ink"), ("event", None)],
)
async def test_it_can_fail_in_the_middle(how: ErrorAs, shape: JSON) -> None:
    body = await stream_of(Script(pieces=("a", "b", "c"), error="no ink", error_as=how, error_after=2))
    before, last = body.decode().removesuffix("\n\n").rsplit("\n\n", 1)
    assert text(f"{before}\n\n".encode()) == "ab"
    if how == "event":
        assert last.startswith('event: error\ndata: {"error":{"message":"no ink"')
    else:
        assert json.loads(last.removeprefix("data: ")) == {"error": shape}


async def test_an_error_may_be_any_object() -> None:
    body = await stream_of(Script(error={"code": 7}))
    assert body.endswith(b'data: {"error":{"code":7}}\n\n')
    async with loopback.serve(Script(error={"code": 7})) as server:
        assert await ask(server, stream=False) == (200, "application/json", b'{"error":{"code":7}}')


async def test_it_can_end_too_early_in_good_order() -> None:
    whole = await stream_of(ABC)
    early = await stream_of(Script(pieces=("a", "b", "c"), cut_after=2))
    assert text(early) == "ab"
    assert whole.startswith(early)
    half = await stream_of(Script(pieces=("a", "b", "c"), cut_after=2, cut="half"))
    assert whole.startswith(half)
    assert 0 < len(half) - len(early) < len(whole.split(b"\n\n")[2])
    assert await stream_of(Script(cut_after=0, role="never")) == b""
    assert text(await stream_of(Script(pieces=("a", "b", "c"), cut_after=3))) == "abc"
    assert await stream_of(Script(pieces=(), role="never", finish_reason=None, done=False, cut_after=0, cut="half")) == b""


async def read_until_torn(server: LoopbackServer, stream: bool) -> tuple[bool, bytes]:
    """Ask, and read until the connection is torn; returns whether a length was announced, and what came."""
    announced, came = False, b""
    try:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{server.url}/chat/completions", json=asking(stream=stream)) as response:
                announced = "Content-Length" in response.headers
                async for piece in response.content.iter_any():
                    came += piece
    except (aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        return announced, came
    raise AssertionError("it came to an end")


@pytest.mark.parametrize("gzip", [None, "flushed"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("how", get_args(CutHow)[2:])
async def test_it_can_tear_the_connection(how: CutHow, stream: bool, gzip: Gzip | None) -> None:
    async with loopback.serve(Script(pieces=("a", "b", "c"), cut_after=2, cut=how, gzip=gzip)) as server:
        announced, came = await read_until_torn(server, stream)
        await server.everyone_left()
        [request] = server.requests
        assert (request.answered, request.left_early) == (True, False)
    if how != "reset":  # which may overtake what was said before it
        assert announced == (how == "length")
        assert text(came) == "ab" if stream else came


async def test_it_can_stall_until_it_may_go_on() -> None:
    async with loopback.serve(Script(pieces=("a", "b", "c"), stall_after=1)) as server:
        for stream in (True, False):
            asking_ = asyncio.create_task(ask(server, stream=stream))
            await server.until(lambda: server.requests != [] and server.requests[-1].stalled)
            assert not asking_.done()
            server.go_on()
            status, _, _ = await asking_
            assert status == 200
            await server.everyone_left()


async def test_it_knows_who_left_early() -> None:
    async with loopback.serve(Script(pieces=("a", "b"), stall_after=1), Script()) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", json=asking(stream=True)) as response:
            await response.content.readany()
            await server.until(lambda: server.requests[0].stalled)
            assert repr(server.requests[0]) == "<Request POST /v1/chat/completions 200 stalled>"
        await server.everyone_left()
        await ask(server)
        first, second = server.requests
        assert (first.left_early, first.answered, second.left_early, second.answered) == (True, False, False, True)
        assert repr(first) == "<Request POST /v1/chat/completions 200 left early>"
        assert repr(second) == "<Request POST /v1/chat/completions 200 answered>"


# ------------------------------------------------------------------------------------------------------------------------ instead of an answer


@pytest.mark.parametrize(
    ("reply", "status", "kind", "body"),
    [
        (Reply(), 200, "application/json", b""),
        (Reply.page(), 200, "text/html; charset=utf-8", PAGE.encode()),
        (Reply.page(502), 502, "text/html; charset=utf-8", PAGE.encode()),
        (Reply.plain(), 500, "text/plain; charset=utf-8", b"Internal Server Error"),
        (Reply(status=404, body='{"detail":"Not Found"}'), 404, "application/json", b'{"detail":"Not Found"}'),
    ],
)
async def test_it_can_say_something_else(reply: Reply, status: int, kind: str, body: bytes) -> None:
    async with loopback.serve(Script(instead=reply)) as server:
        assert await ask(server) == (status, kind, body)


async def test_errors_have_openais_shape_and_any_headers() -> None:
    reply = Reply.error(429, "slow down", type="requests", param="p", code=7, headers={"Retry-After": "3", "retry-after-ms": "2500"})
    async with loopback.serve(Script(instead=reply)) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", json=asking()) as response:
            assert (response.status, response.headers["retry-after"], response.headers["retry-after-ms"]) == (429, "3", "2500")
            assert response.headers["x-request-id"] == "req-1"
            assert await response.json() == {"error": {"message": "slow down", "type": "requests", "param": "p", "code": 7}}


async def test_the_first_requests_can_fail() -> None:
    async with loopback.serve(ABC, fail_first=2) as server:
        assert [(await ask(server))[0] for _ in range(4)] == [503, 503, 200, 200]
    async with loopback.serve(ABC, fail_first=1, fail_with=Reply.plain(500)) as server:
        assert [(await ask(server))[0] for _ in range(2)] == [500, 200]


async def test_each_question_can_have_a_script_of_its_own() -> None:
    async with loopback.serve(Script(pieces=("one",)), Script(pieces=("two",))) as server:
        await ask(server, {"model": "m"})  # not to be answered, so it takes none
        assert [text((await ask(server))[2]) for _ in range(3)] == ["one", "two", "two"]


async def test_a_stream_can_come_whole() -> None:
    async with loopback.serve(Script(text="x", whole=True)) as server:
        _, kind, body = await ask(server)
    assert (kind, json.loads(body)["choices"][0]["message"]["content"]) == ("application/json", "x")


@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "POST"), (302, "GET")])
async def test_it_can_redirect(status: int, method: str) -> None:
    async with loopback.serve(Script(text="here", redirect=status)) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", json=asking(stream=True)) as response:
            assert (response.status, response.url.path) == (200 if method == "POST" else 405, "/moved/v1/chat/completions")
        assert [(request.method, request.path, request.status) for request in server.requests] == [
            ("POST", "/v1/chat/completions", status),
            (method, "/moved/v1/chat/completions", response.status),
        ]


# -------------------------------------------------------------------------------------------------------------------------- what it is asked


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": 1}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": MAX_CHOICES + 1}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
    ],
)
def test_questions_are_checked(change: dict[str, JSON], param: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        read_question(json.dumps({**asking(), **change}).encode())
    assert caught.value.reply.status == 400
    assert json.loads(caught.value.reply.body)["error"]["param"] == param


def test_everything_else_is_let_through() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]},
        {"role": "user", "content": [{"type": "text", "text": "what is"}, {"type": "image_url"}, {"type": "text", "text": " this"}]},
    ]
    more = {"allow_fallback": True, "temperature": 0.5, "presence_penalty": 0, "n": 2, "stream": True, "stream_options": {}, "max_tokens": None}
    read = read_question(json.dumps({"model": "m", "messages": messages, **more}).encode())
    assert read == Question(model="m", text="what is this", words=5, stream=True, n=2)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_a_body_that_is_no_question_is_a_400(body: bytes) -> None:
    async with loopback.serve() as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", data=body) as response:
            assert response.status == 400
            assert "JSON body" in (await response.json())["error"]["message"]


async def test_a_body_that_is_too_large_is_a_413() -> None:
    body = json.dumps(asking("x" * (1 << 20))).encode()
    async with loopback.serve() as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/chat/completions", data=io.BytesIO(body)) as response:
            assert response.status == 413


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "You didn't provide an API key"),
        ("Basic c2VjcmV0", "You didn't provide an API key"),
        ("Bearer s3cret-guess", "Incorrect API key provided"),
    ],
)
async def test_who_has_no_key_gets_a_401(header: str | None, message: str) -> None:
    async with loopback.serve(key="s3cret") as server:
        status, _, body = await ask(server, headers={} if header is None else {"Authorization": header})
        assert status == 401
        assert json.loads(body)["error"]["message"].startswith(message)
        assert b"s3cret" not in body
        assert "s3cret" not in repr(server.requests)
        assert (await ask(server, headers={"Authorization": "Bearer s3cret"}))[0] == 200


async def test_what_is_not_there_is_said() -> None:
    async with loopback.serve(only_models=True) as server:
        status, _, body = await ask(server, asking() | {"model": "gpt-9"})
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
        status, _, body = await ask(server, path="/completions")
        assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_url")
        assert (await ask(server, path="/models"))[0] == 405
        assert (await ask(server))[0] == 200


async def test_requests_are_remembered() -> None:
    async with loopback.serve() as server, aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
        for _ in range(2):
            async with session.post(f"{server.url}/chat/completions?x=1", json=asking()) as response:
                await response.read()
        await ask(server)
        assert [request.connection for request in server.requests] == [1, 1, 2]
        first = server.requests[0]
        assert (first.method, first.path, first.headers["x-mine"], first.json) == ("POST", "/v1/chat/completions", "1", asking())


# --------------------------------------------------------------------------------------------------------------------- starting and stopping


def test_only_this_machine_is_served() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(ValueError, match="expected a loopback address"):
            loopback.serve(host=host)


async def test_an_address_of_the_new_kind_is_written_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    async with loopback.serve(host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert (await ask(server))[0] == 200


async def test_a_taken_port_is_one_readable_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LoopbackUnavailable, match=rf"cannot listen at 127.0.0.1:{port}: Address already in use"):
            async with loopback.serve(port=port):
                raise AssertionError("it listened")
        with pytest.raises(SystemExit, match="cannot listen"):
            main(["--port", str(port)])


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ylokh_sse.loopback"]


def test_a_plain_with_block_works_too_and_leaves_no_thread() -> None:
    with loopback.serve() as server, urlopen(f"{server.url}/models") as answer:
        assert answer.status == 200
    assert threads() == []


async def test_entering_can_be_cancelled() -> None:
    async def enter() -> None:
        async with loopback.serve():
            raise AssertionError("it was entered")

    entering = asyncio.create_task(enter())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    for thread in threads():
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


async def test_leaving_does_not_wait_for_who_is_still_there() -> None:
    async with aiohttp.ClientSession() as session:
        async with loopback.serve(Script(stall_after=0)) as server:
            response = await session.post(f"{server.url}/chat/completions", json=asking(stream=True))
        with pytest.raises(aiohttp.ClientError):
            await response.read()
        assert threads() == []


def test_by_hand_it_prints_its_address_and_leaves_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "ylokh_sse.loopback", "--think", "--key", "K", "--pace", "0", "--fail-first", "1", "--status", "429"]
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE"}}
    with heeding_ctrl_c():
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with child as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            assert process.stderr.readline().startswith(f"Ask it: ylokh-sse ask --base-url {url} ")
            statuses, body = asyncio.run(_ask_twice(url))
            assert statuses == [429, 200]
            assert deltas(body)[1] == {"reasoning_content": "Somebody"}
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


async def _ask_twice(url: str) -> tuple[list[int], bytes]:
    statuses, body = [], b""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer K"}) as session:
        for _ in range(2):
            async with session.post(f"{url}/chat/completions", json=asking(stream=True)) as response:
                statuses.append(response.status)
                body = await response.read()
    return statuses, body


def test_the_steps_end_with_the_cut() -> None:
    question = Question(model="m", text="x", stream=True)
    for gzip in (None, "flushed"):
        assert list(steps(Script(cut_after=1, cut="reset", gzip=gzip), question))[-1] == Cut("reset")
