"""Whole answers, and the adapter in code that knows nothing of asyncio."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from perplexity_labs import (
    ChatError,
    Choice,
    Citations,
    Completion,
    ConfigurationError,
    ConnectionLost,
    Finish,
    LabsClient,
    MessageError,
    ResponseError,
    ServiceError,
    TextDelta,
    loopback,
)
from perplexity_labs.loopback import JOKE, REWRITTEN, SOURCES

LIMIT = 10.0


def gone(server: loopback.LoopbackServer) -> list[str | None]:
    """Wait until everyone who came has left; why, in the server's words."""
    asyncio.run(asyncio.wait_for(server.everyone_left(), LIMIT))
    return [visitor.left for visitor in server.visitors]


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "chat-answer"]


# --------------------------------------------------------------------------------------------------------------------------------- whole answers


async def test_a_whole_answer() -> None:
    async with loopback.serve(pace=0, think="hm") as server, LabsClient(server.url) as labs:
        whole = await labs.complete("Tell me a joke", model="sonar", split_reasoning=True)
        assert whole == Completion((Choice(JOKE, "hm", (), "stop"),), SOURCES)
        assert str(whole) == whole.text == JOKE
        assert (await labs.complete("Tell me a joke")).text == f"<think>\nhm\n</think>\n\n{JOKE}"
        assert server.questions[0]["model"] == "sonar"


async def test_a_whole_answer_is_what_was_said_last() -> None:
    async with loopback.serve(text="one two three", rewrite_at=1, pace=0) as server, LabsClient(server.url) as labs:
        assert (await labs.complete("hi")).text == f"{REWRITTEN} two three"


async def test_thoughts_can_be_split_for_the_whole_client() -> None:
    async with loopback.serve(text="yes", think="hm", pace=0) as server, LabsClient(server.url, split_reasoning=True) as labs:
        assert (await labs.complete("hi")).reasoning == "hm"
        assert (await labs.complete("hi", split_reasoning=False)).text == "<think>\nhm\n</think>\n\nyes"


async def test_a_whole_answer_that_fails_keeps_the_text() -> None:
    async with loopback.serve(fail="no", fail_after=2, pace=0) as server, LabsClient(server.url) as labs:
        with pytest.raises(ServiceError) as caught:
            await labs.complete("hi")
        assert caught.value.partial == "A long"


async def test_inside_a_loop_the_plain_methods_refuse_and_name_the_others() -> None:
    labs = LabsClient("http://127.0.0.1:9")
    for refused, instead in ((labs.complete_sync, "await complete"), (labs.stream_sync, "async for part in stream")):
        with pytest.raises(ConfigurationError) as caught:
            refused("hi")
        assert caught.value.cause == "running-loop"
        assert instead in (caught.value.fix or "")


# ---------------------------------------------------------------------------------------------------------------------------------- without a loop


def test_complete_sync() -> None:
    with loopback.serve(pace=0) as server:
        assert LabsClient(server.url).complete_sync("What is the capital of France?").text == "The capital of France is Paris. [1]"
        assert gone(server) == ["client disconnect"]


def test_a_plain_for_loop() -> None:
    with loopback.serve(text="a b", citations=["https://a"], pace=0) as server:
        labs = LabsClient(server.url)
        assert list(labs.stream_sync("hi")) == [TextDelta("a"), TextDelta(" b"), Citations(("https://a",)), Finish()]
        assert list(labs.stream_sync("hi again"))[-1] == Finish()
        assert gone(server) == ["client disconnect"] * 2
    assert not answering()


def test_a_loop_that_is_left_early_closes_the_connection() -> None:
    with loopback.serve() as server:
        for part in LabsClient(server.url).stream_sync("hi"):
            assert isinstance(part, TextDelta)
            break
        assert gone(server) == ["client disconnect"]
    assert not answering()


def test_a_with_block_closes_it() -> None:
    with loopback.serve() as server:
        with LabsClient(server.url).stream_sync("hi") as parts:
            assert isinstance(next(parts), TextDelta)
        assert gone(server) == ["client disconnect"]
        assert list(parts) == []
    assert not answering()


def test_pings_are_answered_while_the_caller_is_busy() -> None:
    # Without a pong the server gives up after two seconds, and notices when it next sends.
    with loopback.serve(text="a b c d", ping_interval=1, ping_timeout=1, pace=0.01) as server:
        text = ""
        for part in LabsClient(server.url).stream_sync("hi"):
            if isinstance(part, TextDelta):
                text += part.text
                time.sleep(0.9)
        assert text == "a b c d"
        assert gone(server) == ["client disconnect"]


def test_errors_arrive_in_the_callers_thread() -> None:
    with loopback.serve(disconnect_after=2, pace=0) as server:
        parts = LabsClient(server.url).stream_sync("hi")
        assert (next(parts), next(parts)) == (TextDelta("A"), TextDelta(" long"))
        with pytest.raises(ConnectionLost) as caught:
            next(parts)
        assert caught.value.partial == "A long"
        with pytest.raises(StopIteration):
            next(parts)
    with pytest.raises(MessageError):
        LabsClient("http://127.0.0.1:9").stream_sync([])
    with pytest.raises(ChatError, match="nobody listens"):
        LabsClient("http://127.0.0.1:9").complete_sync("hi")
    assert not answering()


async def test_a_closed_client_leaves_the_answers_of_other_loops_alone() -> None:
    async with loopback.serve(text="a b", pace=0) as server:
        labs = LabsClient(server.url)
        seen: list[object] = []
        halfway, closed = threading.Event(), threading.Event()

        def read() -> None:
            for part in labs.stream_sync("hi"):
                seen.append(part)
                halfway.set()
                assert closed.wait(LIMIT)

        reading = asyncio.create_task(asyncio.to_thread(read))
        assert await asyncio.to_thread(halfway.wait, LIMIT)
        await labs.aclose()
        closed.set()
        await reading
        assert seen[-1] == Finish()


def test_a_program_that_ends_in_the_middle_of_an_answer_ends_and_says_goodbye() -> None:
    with loopback.serve() as server:
        code = f"from perplexity_labs import LabsClient; parts = LabsClient({server.url!r}).stream_sync('hi'); print(next(parts).text)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "A\n", "")
        assert gone(server) == ["client disconnect"]


def test_nothing_is_asked_without_a_server_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERPLEXITY_LABS_URL", raising=False)
    with pytest.raises(ResponseError) as caught:
        LabsClient(proxy="http://127.0.0.1:9").complete_sync("hi")
    assert caught.value.cause == "service-retired"
