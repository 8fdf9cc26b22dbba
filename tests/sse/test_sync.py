"""The adapter in code that knows nothing of asyncio."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading

import aiohttp
import pytest

from tests.commands import heeding_ctrl_c
from ylokh_sse import (
    ChatError,
    Choice,
    Client,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Finish,
    MessageError,
    NotFound,
    RateLimited,
    StreamError,
    TextDelta,
    TruncatedAnswer,
    loopback,
)
from ylokh_sse.loopback import JOKE, Reply, Script

LIMIT = 30.0


def everyone_left(server: loopback.LoopbackServer) -> bool:
    """Wait until everyone who came has left; whether the last one did so early."""
    asyncio.run(asyncio.wait_for(server.everyone_left(), LIMIT))
    return server.requests[-1].left_early


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "chat-answer"]


# --- A whole answer.


def test_a_whole_answer() -> None:
    with loopback.serve(Script(reasoning="Hm.")) as server:
        whole = Client(server.url).complete_sync("Tell me a joke", model="m-1", temperature=0.5)
        assert whole.choices == (Choice(JOKE, "Hm.", (), "stop"),)
        assert (str(whole), whole.raw["object"]) == (JOKE, "chat.completion")
        [request] = server.requests
        assert (request.json["model"], request.json["temperature"], request.json["stream"]) == ("m-1", 0.5, False)
    assert not answering()


@pytest.mark.parametrize(("script", "kind"), [(Script(instead=Reply.error(404)), NotFound), (Script(error="boom"), StreamError)])
def test_a_whole_answer_that_fails(script: Script, kind: type[ChatError]) -> None:
    with loopback.serve(script) as server:
        with pytest.raises(kind):
            Client(server.url).complete_sync("hi")


def test_it_is_asked_again_as_always() -> None:
    with loopback.serve(fail_first=2, fail_with=Reply.error(429, headers={"retry-after-ms": "1"})) as server:
        chat = Client(server.url)
        assert chat.complete_sync("Tell me a joke").text == JOKE
        assert len(server.requests) == 3
    with loopback.serve(Script(instead=Reply.error(429))) as server:
        with pytest.raises(RateLimited):
            Client(server.url, retries=0).complete_sync("hi")


# --- An answer as it is written.


def test_a_plain_for_loop() -> None:
    with loopback.serve(Script(text="a b")) as server:
        chat = Client(server.url)
        assert list(chat.stream_sync("hi")) == [TextDelta("a"), TextDelta(" b"), Finish()]
        assert list(chat.stream_sync("hi again", n=2))[-1] == Finish("stop", 1)
        assert not everyone_left(server)
    assert not answering()


def test_a_loop_that_is_left_early_closes_the_connection() -> None:
    with loopback.serve(Script(text="a b", stall_after=1)) as server:
        for part in Client(server.url).stream_sync("hi"):
            assert part == TextDelta("a")
            break
        gc.collect()
        assert everyone_left(server)
    assert not answering()


def test_a_with_block_closes_it() -> None:
    with loopback.serve(Script(text="a b", stall_after=1)) as server:
        with Client(server.url).stream_sync("hi") as parts:
            assert next(parts) == TextDelta("a")
        assert everyone_left(server)
        assert list(parts) == []
    assert not answering()


def fail_in_a_block(url: str) -> None:
    with Client(url).stream_sync("hi") as parts:
        next(parts)
        raise ZeroDivisionError


def test_an_error_in_the_block_closes_it_too() -> None:
    with loopback.serve(Script(text="a b", stall_after=1)) as server:
        with pytest.raises(ZeroDivisionError):
            fail_in_a_block(server.url)
        assert everyone_left(server)
    assert not answering()


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(text="a b", cut_after=1), TruncatedAnswer),
        (Script(text="a b", cut_after=1, cut="chunked"), ConnectionLost),
        (Script(text="a b", error="boom", error_after=1), StreamError),
    ],
)
def test_errors_arrive_after_what_was_good_and_with_it(script: Script, kind: type[ChatError]) -> None:
    with loopback.serve(script) as server:
        parts = Client(server.url).stream_sync("hi")
        assert next(parts) == TextDelta("a")
        with pytest.raises(kind) as caught:
            next(parts)
        assert type(caught.value) is kind
        assert caught.value.partial == "a"
        with pytest.raises(StopIteration):
            next(parts)
    assert not answering()


def test_nothing_is_asked_before_the_first_step(unused_tcp_port: int) -> None:
    parts = Client(f"http://127.0.0.1:{unused_tcp_port}", retries=0).stream_sync("hi")
    with pytest.raises(ConnectFailed):
        next(parts)
    with Client("http://127.0.0.1:9").stream_sync("hi"):
        pass
    assert not answering()


def test_wrong_calls_are_told_at_once() -> None:
    chat = Client("http://127.0.0.1:9")
    for ask in (chat.complete_sync, chat.stream_sync):
        with pytest.raises(MessageError):
            ask([])
        with pytest.raises(ConfigurationError):
            ask("hi", stream=True)


def test_a_closed_client_asks_nothing() -> None:
    chat = Client("http://127.0.0.1:9")
    asyncio.run(chat.aclose())
    for ask in (chat.complete_sync, chat.stream_sync):
        with pytest.raises(ConfigurationError) as caught:
            ask("hi")
        assert caught.value.cause == "client-closed"


# --- Where it runs.


async def test_inside_a_loop_it_refuses_and_names_the_other_way() -> None:
    chat = Client("http://127.0.0.1:9")
    for refused, instead in ((chat.complete_sync, "complete"), (chat.stream_sync, "stream")):
        with pytest.raises(ConfigurationError) as caught:
            refused("hi")
        assert caught.value.cause == "running-loop"
        assert f"use {instead} there" in (caught.value.fix or "")


def test_a_session_belongs_to_another_loop() -> None:
    async def make() -> aiohttp.ClientSession:
        session = aiohttp.ClientSession()
        await session.close()
        return session

    chat = Client("http://127.0.0.1:9", session=asyncio.run(make()))
    for refused in (chat.complete_sync, chat.stream_sync):
        with pytest.raises(ConfigurationError, match="a session belongs to another") as caught:
            refused("hi")
        assert "session=" in (caught.value.fix or "")


async def test_from_threads_beside_a_running_loop() -> None:
    async with loopback.serve() as server:
        chat = Client(server.url)

        def ask(number: int) -> tuple[str, str]:
            with chat.stream_sync(f"question {number}") as parts:
                return chat.complete_sync(f"question {number}").text, "".join(part.text for part in parts if isinstance(part, TextDelta))

        answers = await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(4)))
    assert all(whole == streamed for whole, streamed in answers)
    assert len(set(answers)) == 4
    assert not answering()


def test_many_in_a_row_leave_nothing() -> None:
    with loopback.serve(Script(text="a b")) as server:
        chat = Client(server.url)
        before = threading.active_count(), len(os.listdir("/dev/fd"))
        for _ in range(20):
            assert chat.complete_sync("hi").text == "a b"
            assert next(chat.stream_sync("hi")) == TextDelta("a")
            with chat.stream_sync("hi") as parts:
                assert len(list(parts)) == 3
        gc.collect()
        everyone_left(server)
        assert not answering()
        assert threading.active_count() == before[0]
        # The server's ends of the connections may take a moment; two for each of sixty would show.
        assert len(os.listdir("/dev/fd")) < before[1] + 20


# --- How programs end.


def test_a_program_that_ends_in_the_middle_of_an_answer_ends() -> None:
    with loopback.serve(Script(text="a b", stall_after=1)) as server:
        code = f"from ylokh_sse import Client; parts = Client({server.url!r}).stream_sync('hi'); print(next(parts).text)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "a\n", "")
        assert everyone_left(server)


@pytest.mark.parametrize("whole", [False, True])
def test_ctrl_c_ends_the_wait_and_the_connection(whole: bool) -> None:
    with loopback.serve(Script(text="a b", stall_after=0)) as server:
        ask = "complete_sync('hi')" if whole else "stream_sync('hi').__next__()"
        code = f"from ylokh_sse import Client\ntry:\n    Client({server.url!r}).{ask}\nexcept KeyboardInterrupt:\n    print('left')"
        with heeding_ctrl_c():
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            asyncio.run(asyncio.wait_for(server.until(lambda: any(request.stalled for request in server.requests)), LIMIT))
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
        assert (process.returncode, out, error) == (0, "left\n", "")
        assert everyone_left(server)
