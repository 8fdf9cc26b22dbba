"""The server to try things on: what it says, without a connection, and how it starts, refuses and stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any
from urllib.request import urlopen

import pytest
import socketio

from perplexity_labs import AnswerReader, Finish, LabsClient, ResponseError, TextReset, encode_request, loopback, smalltalk
from perplexity_labs.loopback import JOKE, REWRITTEN, SOURCES, LoopbackUnavailable, Script, complaint, split
from tests.commands import heeding_ctrl_c


def hear(script: Script) -> AnswerReader:
    reader = AnswerReader()
    for name, args in script.answer("sonar"):
        reader.receive(name, args)
    return reader


def test_words_keep_their_blanks() -> None:
    assert split("one  two\n\nthree\n") == ("one", "  two", "\n\nthree", "\n")
    assert "".join(split(JOKE)) == JOKE
    assert len(split(JOKE)) == 42
    assert split("") == ()


def test_an_answer_is_cumulative_and_ends_with_its_sources() -> None:
    replies = list(Script(pieces=("a", "b", "c", "d")).answer("sonar"))
    assert [name for name, _ in replies] == ["sonar_query_progress"] * 5
    assert [args[0]["output"] for _, args in replies] == ["a", "ab", "abc", "abcd", "abcd"]
    assert [args[0]["final"] for _, args in replies] == [False] * 4 + [True]
    assert [args[0]["status"] for _, args in replies] == ["pending"] * 4 + ["completed"]
    assert [bool(args[0]["citations"]) for _, args in replies] == [False, False, False, True, True]


def test_thoughts_come_first() -> None:
    assert hear(Script(pieces=("yes",), think="hm, well")).text == "<think>\nhm, well\n</think>\n\nyes"


def test_an_answer_can_be_rewritten() -> None:
    reader = AnswerReader()
    parts = [part for name, args in Script(pieces=("a", "b", "c"), rewrite_at=1).answer("m") for part in reader.receive(name, args)]
    assert TextReset(f"{REWRITTEN}b") in parts
    assert reader.text == f"{REWRITTEN}bc"


@pytest.mark.parametrize(("after", "partial"), [(0, ""), (2, "ab"), (3, "abc")])
def test_an_answer_can_fail(after: int, partial: str) -> None:
    with pytest.raises(ResponseError, match="out of ink") as caught:
        hear(Script(pieces=("a", "b", "c"), fail="out of ink", fail_after=after))
    assert caught.value.partial == partial


def test_fields_can_be_missing_and_names_different() -> None:
    [(name, (reply,)), *_] = Script(pieces=("a",), reply_name="x", missing_fields=("final", "status")).answer("m")
    assert (name, reply) == ("x", {"output": "a", "citations": ()})


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Tell me a joke", smalltalk.JOKE),
        ("", smalltalk.JOKE),
        ("what is the capital of France", smalltalk.PARIS),
        ("What's France's capital?", smalltalk.PARIS),
        ("Какая столица Франции?", smalltalk.PARIS_IN_RUSSIAN),
        ("Привет! Как дела?", smalltalk.GREETING_IN_RUSSIAN),
        ("Добрый вечер", smalltalk.GREETING_IN_RUSSIAN),
        ("Расскажи анекдот", smalltalk.JOKE_IN_RUSSIAN),
    ],
)
def test_without_a_text_the_answer_goes_with_the_question(question: str, answer: smalltalk.Answer) -> None:
    before = [{"role": "user", "content": "capital of france?"}, {"role": "assistant", "content": "Paris."}]
    *_, (_, (last,)) = Script().answer("sonar", [*before, {"role": "user", "content": question}])
    assert (last["output"], last["citations"]) == answer


def test_a_text_and_its_sources_are_said_whatever_the_question() -> None:
    question = [{"role": "user", "content": "what is the capital of France"}]
    *_, (_, (last,)) = Script(pieces=("Rome",), citations=("https://a",)).answer("sonar", question)
    assert (last["output"], last["citations"]) == ("Rome", ("https://a",))


def test_replies_can_be_anything() -> None:
    replies = (("a", ()), ("b", (None, b"\x00")))
    assert tuple(Script(replies=replies).answer("m")) == replies


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        (encode_request("hi"), None),
        (None, "expected one object"),
        ({**encode_request("hi"), "model": None}, "expected the field model to be text"),
        ({"source": "default", "model": "sonar"}, "expected the field version to be text"),
        ({**encode_request("hi"), "messages": []}, "expected the field messages to be a list"),
        ({**encode_request("hi"), "messages": "hi"}, "expected the field messages to be a list"),
        ({**encode_request("hi"), "messages": [{"role": "user"}]}, "expected the field messages to be a list"),
    ],
)
def test_questions_are_checked(question: Any, wrong: str | None) -> None:
    assert wrong in (complaint(question) or "") if wrong else complaint(question) is None


def test_only_this_machine_is_served() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::"):
        with pytest.raises(ValueError, match="expected a loopback address"):
            loopback.serve(host=host)


async def test_an_address_of_the_new_kind_is_written_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    async with loopback.serve(host="::1", text="hi", pace=0) as server, LabsClient(server.url) as labs:
        assert server.url.startswith("http://[::1]:")
        assert Finish() in [part async for part in labs.stream("hi")]


async def test_a_taken_port_is_one_readable_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LoopbackUnavailable, match=rf"cannot listen at 127.0.0.1:{port}: Address already in use"):
            async with loopback.serve(port=port):
                raise AssertionError("it listened")


def test_a_plain_with_block_works_too_and_leaves_no_thread() -> None:
    with loopback.serve() as server, urlopen(f"{server.url}/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.read().startswith(b'0{"sid":')
    assert not [thread for thread in threading.enumerate() if thread.name == "perplexity_labs.loopback"]


async def test_entering_can_be_cancelled() -> None:
    async def enter() -> None:
        async with loopback.serve():
            raise AssertionError("it was entered")

    entering = asyncio.create_task(enter())
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    for thread in threading.enumerate():
        if thread.name == "perplexity_labs.loopback":
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="+".join)
async def test_a_client_that_is_not_ours_gets_its_answer(transports: list[str]) -> None:
    reader, finished = AnswerReader(), asyncio.Event()

    def receive(name: str, *args: Any) -> None:
        if Finish() in reader.receive(name, args):
            finished.set()

    async with loopback.serve(pace=0) as server:
        client = socketio.AsyncClient(reconnection=False)
        client.on("*", receive)
        await client.connect(server.url, auth={"jwt": "me"}, transports=transports)
        await client.emit("perplexity_labs", encode_request("hi"))
        await asyncio.wait_for(finished.wait(), 5)
        await client.disconnect()
        await asyncio.wait_for(server.everyone_left(), 5)
        assert (reader.text, reader.citations) == (JOKE, SOURCES)
        [visitor] = server.visitors
        assert (visitor.auth, visitor.questions, visitor.transport) == ({"jwt": "me"}, [encode_request("hi")], "websocket")
        await asyncio.sleep(0)


@pytest.mark.parametrize("auth", [None, {}, {"jwt": None}, {"token": "x"}])
async def test_who_has_no_token_is_refused(auth: Any) -> None:
    refusals: list[Any] = []
    async with loopback.serve() as server:
        client = socketio.AsyncClient(reconnection=False)
        client.on("connect_error", refusals.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(server.url, auth=auth, transports=["websocket"])
        assert refusals == [{"message": 'expected the auth payload {"jwt": "…"}'}]
        assert server.visitors == []
        await asyncio.sleep(0)


async def test_a_bad_question_fails() -> None:
    replies: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    async with loopback.serve() as server:
        client = socketio.AsyncClient(reconnection=False)
        client.on("*", lambda name, data: replies.put_nowait((name, data)))
        await client.connect(server.url, auth={"jwt": "me"}, transports=["websocket"])
        await client.emit("perplexity_labs", {"model": "sonar"})
        name, data = await asyncio.wait_for(replies.get(), 5)
        await client.emit("perplexity_labs", (encode_request("hi"), "more"))
        _, second = await asyncio.wait_for(replies.get(), 5)
        await client.disconnect()
        await asyncio.sleep(0)
    assert (name, data["status"], data["text"]) == (
        "error_query_progress",
        "failed",
        "bad request: expected the field version to be text",
    )
    assert second["text"] == "bad request: expected one argument"


def test_by_hand_it_prints_its_address_and_leaves_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "perplexity_labs.loopback", "--text", "hi", "--transport", "websocket"]
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONASYNCIODEBUG", "PYTHONDEVMODE"}}
    with heeding_ctrl_c():
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with child as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            assert process.stderr.readline().startswith(f"Ask it: perplexity-labs ask --url {url} ")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_without_the_demo_extra_it_says_so_in_one_line() -> None:
    code = "import sys; sys.modules['socketio'] = None; from perplexity_labs.loopback import main; main([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, "the loopback server needs the demo extra: pip install 'engineio-lite[demo]'\n")
