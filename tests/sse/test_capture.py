"""Recording: what a client asks and is answered ends up in the file, whatever becomes of it, with its times and without its secrets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.sse.raw import LAST_CHUNK, REQUEST, BytesServer, End, Exchange, chunk, head, stream, whole
from tests.sse.test_mock_ai_api import model
from ylokh_sse import (
    CaptureError,
    Client,
    ConnectionLost,
    Recording,
    ResponseError,
    RetryPolicy,
    TextDelta,
    Timeout,
    Ylokh,
    loopback,
)
from ylokh_sse.capture import Capture, Cut, Recorded, load
from ylokh_sse.capture.format import read
from ylokh_sse.loopback import Reply, Script

KEY = "sk-a-very-secret-key"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF-_123"

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

AT_ONCE = RetryPolicy(delay=0.001)


def only(capture: Capture) -> Recorded:
    [exchange] = capture.exchanges
    return exchange


def fate(exchange: Recorded) -> tuple[str, Cut | None]:
    assert exchange.end is not None
    return exchange.end.how, exchange.end.cut


async def text(chat: Client, question: str = "hi") -> str:
    async with chat.stream(question) as answer:
        return (await answer.result()).text


class Times:
    """A clock that says these seconds one after the other, and the last one from then on."""

    def __init__(self, *seconds: float) -> None:
        self._seconds = list(seconds)

    def __call__(self) -> float:
        return self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]


# --- What is written.


class Watched(io.FileIO):
    """A file that tells how many pieces of a body have been written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self._pieces = 0
        self._gates: dict[int, asyncio.Event] = {}

    def after(self, pieces: int) -> asyncio.Event:
        """An event that is set when so many are written."""
        return self._gates.setdefault(pieces, asyncio.Event())

    def write(self, data: Any) -> int:
        written = super().write(data)
        self._pieces += b'"k": "bytes"' in bytes(data)
        self.after(self._pieces).set()
        return written


async def test_an_answer_is_recorded_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    pieces = [ONE[:20] + "é".encode()[:1], "é".encode()[1:] + ONE[20:], TWO + STOP + DONE]
    with Watched(path) as file, Recording(file) as recording:
        # Nothing of the next piece is sent before the last one is in the file.
        exchange = Exchange(head(), chunk(pieces[0]), file.after(1), chunk(pieces[1]), file.after(2), chunk(pieces[2]), LAST_CHUNK, end=End.OPEN)
        async with BytesServer(exchange) as server, Client(server.url, record=recording, lenient=True) as chat, chat.stream("hi") as answer:
            assert (await answer.result()).text.endswith(" two")
    capture = load(path)
    exchange_ = only(capture)
    assert capture.head.by.startswith("ylokh_sse ")
    assert capture.head.source == "record"
    assert exchange_.asked.url == f"{server.url}/chat/completions"
    assert exchange_.asked.body == {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert exchange_.answered is not None
    assert (exchange_.answered.status, exchange_.answered.headers) == (200, {"content-type": "text/event-stream; charset=utf-8"})
    assert [piece.data for piece in exchange_.pieces] == pieces
    assert b'"$bin"' in path.read_bytes()
    assert fate(exchange_) == ("complete", None)


async def test_times_are_those_of_the_clock_since_the_first_request() -> None:
    file = io.BytesIO()
    with Recording(file, clock=Times(100.0, 100.0, 100.25, 100.5, 101.0)) as recording:
        track = recording.begin("POST", "http://h/", {}, b"{}")
        track.answered(200, {})
        track.received(ONE)
        track.ended("complete")
    file.seek(0)
    exchange = only(read(file))
    assert exchange.answered is not None
    assert exchange.end is not None
    assert (exchange.asked.time, exchange.answered.time, exchange.pieces[0].time, exchange.end.time) == (0.0, 0.25, 0.5, 1.0)


async def test_a_piece_that_is_kept_back_keeps_its_time() -> None:
    file = io.BytesIO()
    with Recording(file, clock=Times(0.0, 0.0, 0.1, 0.2, 0.3, 0.4)) as recording:
        track = recording.begin("POST", "http://h/", {}, b"{}")
        track.answered(200, {})
        track.received(JWT[:10].encode())
        assert b"eyJ" not in file.getvalue()
        track.received(JWT[10:].encode() + b" ")
        track.ended("complete")
        track.answered(200, {})
        track.received(b"late")
        track.ended("cancelled")
    file.seek(0)
    assert [(piece.time, piece.data) for piece in only(read(file)).pieces] == [(0.2, b"<redacted:1>"), (0.3, b" ")]


async def test_every_try_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    busy = Reply.error(429, headers={"Retry-After": "0", "Set-Cookie": "a=b"})
    async with loopback.serve(Script(text="one two"), fail_first=2, fail_with=busy) as server:
        async with Client(server.url, record=path, retries=AT_ONCE) as chat:
            assert await text(chat) == "one two"
    first, second, third = load(path).exchanges
    for refused in (first, second):
        assert refused.answered is not None
        assert (refused.answered.status, refused.answered.headers["retry-after"], "set-cookie" in refused.answered.headers) == (429, "0", False)
        assert json.loads(refused.body)["error"]["message"]
    assert third.body.endswith(DONE)
    assert [fate(exchange) for exchange in (first, second, third)] == [("complete", None)] * 3


async def test_what_is_compressed_is_recorded_as_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(Script(text="one two", gzip="flushed")) as server, Client(server.url, record=path) as chat:
        assert await text(chat) == "one two"
    assert only(load(path)).body.endswith(DONE)


async def test_a_whole_answer_is_recorded_too(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(Script(text="one two")) as server, Client(server.url, record=str(path)) as chat:
        assert (await chat.complete("hi")).text == "one two"
    assert json.loads(only(load(path)).body)["choices"][0]["message"]["content"] == "one two"


@pytest.mark.parametrize(
    ("exchange", "how", "cut"),
    [
        (stream(ONE), "complete", None),
        (stream(ONE, TWO[:30]), "complete", None),
        (Exchange(head(), chunk(ONE)), "cut", Cut.CHUNKED),
        (Exchange(head(), chunk(ONE), b"ff\r\ndata"), "cut", Cut.CHUNKED),
        (Exchange(head(), chunk(ONE), b"zz\r\n", end=End.OPEN), "cut", Cut.FRAMING),
        (Exchange(head(length=500) + ONE), "cut", Cut.LENGTH),
        (Exchange(head(), chunk(ONE), end=End.RESET), "cut", Cut.RESET),
        (Exchange(head(headers=[("Content-Encoding", "gzip")]), chunk(b"\xff" * 40), LAST_CHUNK), "bad-encoding", None),
        (Exchange(), "cut", Cut.CHUNKED),
        (Exchange(end=End.RESET), "cut", Cut.RESET),
        (Exchange(b"nonsense\r\n\r\n"), "bad-http", None),
        (Exchange(head(), chunk(ONE), asyncio.Event()), "idle-timeout", None),
        (Exchange(asyncio.Event()), "first-byte-timeout", None),
    ],
    ids=["clean", "half", "chunked", "in-a-chunk", "framing", "length", "reset", "encoding", "no-head", "reset-first", "no-http", "idle", "silent"],
)
async def test_each_end_is_recorded_as_what_it_was(exchange: Exchange, how: str, cut: Cut | None, tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with BytesServer(exchange) as server:
        async with Client(server.url, record=path, retries=0, timeout=Timeout(first_byte=0.1 if how.startswith("first") else 50, idle=0.1)) as chat:
            with pytest.raises(ResponseError):
                await text(chat)
    assert fate(only(load(path))) == (how, cut)


async def test_no_connection_is_recorded_without_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with Client("http://127.0.0.1:9", record=path, retries=0) as chat:
        with pytest.raises(ResponseError):
            await text(chat)
    exchange = only(load(path))
    assert (exchange.answered, exchange.pieces, fate(exchange)) == (None, [], ("connect-refused", None))


async def test_leaving_early_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(Script(text="one two three", stall_after=2)) as server, Client(server.url, record=path) as chat:
        async with chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("one")
        waiting = asyncio.create_task(text(chat))
        await server.until(lambda: len(server.requests) == 2 and server.requests[1].stalled)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        asking = asyncio.create_task(text(chat))
        await server.until(lambda: len(server.requests) == 3)
    with pytest.raises(ConnectionLost):
        await asking  # the client was closed meanwhile
    capture = load(path)
    assert [fate(exchange) for exchange in capture.exchanges] == [("cancelled", None)] * 3
    assert capture.notes == ()


async def test_cancelling_before_there_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(Script(delay=50)) as server, Client(server.url, record=path) as chat:
        asking = asyncio.create_task(text(chat))
        await server.until(lambda: len(server.requests) == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert fate(only(load(path))) == ("cancelled", None)


async def test_answers_side_by_side_and_several_clients_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with Recording(path) as recording:
        async with loopback.serve() as server:
            async with Client(server.url, record=recording) as one, Client(server.url, record=recording) as two:
                texts = await asyncio.gather(*(text(chat, f"question {n}") for n, chat in enumerate([one, two] * 4)))
    assert len(set(texts)) == 8
    exchanges = load(path).exchanges
    assert [exchange.asked.number for exchange in exchanges] == [*range(1, 9)]
    assert {exchange.asked.body["messages"][0]["content"] for exchange in exchanges} == {f"question {n}" for n in range(8)}
    assert repr(recording) == f"<Recording to {path}, closed>"
    recording.close()  # twice is harmless
    with pytest.raises(CaptureError, match="the recording is closed"):
        Client(server.url, record=recording).stream("hi")


def test_without_a_loop_all_answers_go_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with loopback.serve(Script(text="one two")) as server:
        chat = Client(server.url, record=path)
        assert chat.complete_sync("hi").text == "one two"
        with chat.stream_sync("hi") as parts:
            assert "".join(part.text for part in parts if isinstance(part, TextDelta)) == "one two"
    assert [fate(exchange) for exchange in load(path).exchanges] == [("complete", None)] * 2


async def test_in_the_shape_of_provider_classes(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(Script(text="one two")) as server:
        assert [str(part) async for part in Ylokh.create_async_generator("m", "hi", base_url=server.url, record=path)] == ["one", " two", "stop"]
    assert only(load(path)).asked.body["allow_fallback"] is True


async def test_a_server_that_others_wrote(mock_ai_api: str, tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with Client(mock_ai_api, record=path, retries=0) as chat:
        async with chat.stream("hi", model=model("text")) as answer:
            await answer.result()
        with pytest.raises(ResponseError):
            await chat.complete("hi", model=model(503))
    first, second = load(path).exchanges
    assert first.body.endswith(DONE)
    assert second.answered is not None
    assert second.answered.status == 503


# --- What is not written.


async def test_no_secret_reaches_the_file_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    echo = json.dumps({"choices": [{"index": 0, "delta": {"content": f"{KEY} {JWT} q-secret-value ghp_0123456789abcdefABCDEF"}}]})
    body = f"data: {echo}\n\n".encode() + STOP + DONE
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    refusal = whole(b"no such key: " + KEY.encode(), status=503, headers=[("X-Echo", KEY), ("Location", f"http://u:{KEY}@h/")])
    async with BytesServer(Exchange(*refusal.pieces, REQUEST, head(), *map(chunk, pieces), LAST_CHUNK, end=End.OPEN)) as server:
        base = f"{server.url}?key=q-secret-value"
        headers = {"X-Custom": "custom-secret", "Cookie": "sid=cookie-secret"}
        async with Client(base, KEY, headers=headers, record=Recording(path, secrets=["my-own-secret"]), retries=AT_ONCE) as chat:
            said = await text(chat, f'{JWT}, {KEY}, custom-secret, cookie-secret, my-own-secret, http://me:pass@host/ " \\ \n {KEY}')
    assert KEY in said  # what is told is what came
    written = path.read_text()
    for secret in (KEY, JWT, "q-secret-value", "custom-secret", "cookie-secret", "my-own-secret", "me:pass", "ghp_"):
        assert secret not in written
    assert "Bearer" not in written
    first, second = load(path).exchanges
    asked = first.asked.body["messages"][0]["content"]
    assert asked.startswith("<redacted:2>, <redacted:3>, <redacted:4>, <redacted:5>, <redacted:6>, http://<redacted:7>@host/")
    assert first.asked.body == second.asked.body
    assert first.asked.url == second.asked.url == f"{server.url}/chat/completions?key=<redacted:1>"
    assert first.body == b"no such key: <redacted:3>"
    content = json.loads(second.body.removeprefix(b"data: ").partition(b"\n")[0])["choices"][0]["delta"]["content"]
    assert content == "<redacted:3> <redacted:2> <redacted:1> <redacted:9>"  # the eighth is in the header
    assert [len(piece.data) for piece in second.pieces].count(7) > 10  # what is no secret is cut where it was


# --- When the disk fails.


class FullDisk(io.BytesIO):
    """A file with room for so many lines; of the next one it takes half."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines

    def write(self, data: Any) -> int:
        if self._lines == 0:
            super().write(bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        self._lines -= 1
        return super().write(data)


class SmallBites(io.BytesIO):
    """A file that takes ten bytes at a time."""

    def write(self, data: Any) -> int:
        return super().write(bytes(data)[:10])


@pytest.mark.parametrize("lines", range(1, 5))
async def test_a_disk_that_fails_ends_the_recording_and_not_the_answer(lines: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = FullDisk(lines)
    recording = Recording(disk)
    async with loopback.serve(Script(text="one two")) as server, Client(server.url, record=recording) as chat:
        assert await text(chat) == "one two"
        with pytest.raises(CaptureError, match="No space left on device") as caught:
            await chat.complete("hi")
        assert len(server.requests) == 1
    assert (caught.value.cause, bool(caught.value.fix), isinstance(caught.value.__cause__, OSError)) == ("capture-write-failed", True, True)
    assert len(caplog.records) == 1
    assert "recording has ended, the answers go on" in caplog.text
    with pytest.raises(CaptureError, match="No space left"), recording:
        pass
    assert "failed" in repr(recording)
    disk.seek(0)
    assert "torn off" in read(disk).notes[0]


async def test_a_disk_that_is_full_from_the_beginning_is_told_before_anything_is_sent() -> None:
    async with loopback.serve() as server:
        for target in ("/dev/full", FullDisk(0)):
            async with Client(server.url, record=Recording(target)) as chat:
                with pytest.raises(CaptureError, match="No space left"):
                    await text(chat)
        assert server.requests == []


async def test_a_file_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    async with loopback.serve() as server, Client(server.url, record=tmp_path / "nowhere" / "run.sse.jsonl") as chat:
        with pytest.raises(CaptureError, match=r"run\.sse\.jsonl: cannot be written: No such file") as caught:
            await text(chat)
        assert (caught.value.cause, server.requests) == ("capture-not-writable", [])


async def test_a_file_that_is_there_is_not_replaced_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    path.write_text("precious")
    async with loopback.serve() as server:
        async with Client(server.url, record=path) as chat:
            with pytest.raises(CaptureError, match=r"run\.sse\.jsonl: is there already") as caught:
                await text(chat)
        assert (caught.value.cause, server.requests, path.read_text()) == ("capture-exists", [], "precious")
        with Recording(path, overwrite=True) as recording:
            async with Client(server.url, record=recording) as chat:
                await text(chat)
    assert fate(only(load(path))) == ("complete", None)


async def test_a_device_is_not_there_already() -> None:
    async with loopback.serve() as server, Client(server.url, record=os.devnull) as chat:
        await text(chat)


async def ask_with_room_for(size: int, url: str, path: Path, error: Exception | None = None) -> Client:
    async with Client(url, record=path) as chat:
        assert chat._recording is not None
        chat._recording._max_bytes = size
        assert await text(chat) == "one two"
        if error is not None:
            raise error
    return chat


async def test_the_client_says_on_leaving_that_something_was_not_recorded(tmp_path: Path) -> None:
    async with loopback.serve(Script(text="one two")) as server:
        with pytest.raises(CaptureError, match="more than 500 bytes") as caught:
            await ask_with_room_for(500, server.url, tmp_path / "1.sse.jsonl")
        assert caught.value.cause == "capture-too-large"
        assert only(load(tmp_path / "1.sse.jsonl")).end is None
        chat = await ask_with_room_for(5000, server.url, tmp_path / "2.sse.jsonl")
        await chat.aclose()  # twice is harmless
        with pytest.raises(ZeroDivisionError) as other:
            await ask_with_room_for(500, server.url, tmp_path / "3.sse.jsonl", ZeroDivisionError())
        assert "more than 500 bytes" in other.value.__notes__[0]


async def test_a_system_that_takes_a_line_bit_by_bit_gets_all_of_it() -> None:
    file = SmallBites()
    async with loopback.serve(Script(text="one two")) as server, Client(server.url, record=Recording(file)) as chat:
        assert await text(chat) == "one two"
    file.seek(0)
    assert fate(only(read(file))) == ("complete", None)


async def test_a_file_that_somebody_closes_is_an_error_of_ours() -> None:
    file = io.BytesIO()
    recording = Recording(file)
    async with loopback.serve(Script(text="one two")) as server, Client(server.url, record=recording) as chat:
        assert await text(chat) == "one two"
        file.close()
        assert await text(chat) == "one two"
    assert recording.error is not None
    assert recording.error.cause == "capture-write-failed"


async def test_a_line_beyond_every_limit_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ylokh_sse.capture.recording.MAX_LINE", 300)
    file = io.BytesIO()
    recording = Recording(file)
    async with loopback.serve(Script(text="one two")) as server, Client(server.url, record=recording) as chat:
        assert await text(chat, "x" * 300) == "one two"
    assert recording.error is not None
    assert "a line would have more than 300 bytes" in str(recording.error)


# --- From a shell.

COMMAND = Command(sys.executable, "-m", "ylokh_sse.cli", without=("YLOKH_BASE_URL", "YLOKH_API_KEY"))


@pytest.mark.parametrize("more", [[], ["--no-stream"], ["--raw"], ["--json"]])
def test_the_command_records(more: list[str], tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with loopback.serve(Script(text="one two"), key=KEY) as server:
        done = COMMAND.run("ask", "--base-url", server.url, "--record", str(path), *more, "hi", environment={"YLOKH_API_KEY": KEY})
    assert (done.returncode, done.stderr) == (0, "")
    assert fate(only(load(path))) == ("complete", None)
    assert KEY not in path.read_text()


def test_the_command_replaces_no_file_unless_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    path.write_text("precious")
    with loopback.serve(Script(text="one two")) as server:
        words = ["ask", "--base-url", server.url, "--record", str(path), "hi"]
        done = COMMAND.run(*words)
        assert (done.returncode, server.requests, path.read_text()) == (2, [], "precious")
        assert f"{path} is there already: name another file, or replace it with --overwrite" in done.stderr.replace("\n", " ")
        assert COMMAND.run(*words, "--overwrite").returncode == 0
    assert fate(only(load(path))) == ("complete", None)


@pytest.mark.parametrize("more", [[], ["--no-stream"]])
def test_the_command_prints_the_answer_though_the_disk_is_full(more: list[str], tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    question = "x" * 8000  # more than the file may have, so that the recording fails after its head
    with loopback.serve(Script(text="one two")) as server:
        words = " ".join([*COMMAND.words, "ask", "--base-url", server.url, "--record", str(path), *more, question])
        done = Command("bash", "-c").run(f"ulimit -f 4; trap '' XFSZ; exec {words}")
    assert (done.returncode, done.stdout) == (1, "one two\n")
    assert "cannot be written any further: File too large [capture-write-failed]" in done.stderr
    assert "torn off" in load(path).notes[0]


@contextlib.contextmanager
def asking_for_ever(path: Path) -> Iterator[Any]:
    with loopback.serve(Script(text="word " * 2000, pace=0.001)) as server:
        with COMMAND.started("ask", "--base-url", server.url, "--record", str(path), "hi") as (process, _, stdout, _):
            assert stdout.read(200)
            yield process


def test_a_recorder_that_is_killed_has_lost_no_line_but_the_last(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with asking_for_ever(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    capture = load(path)
    exchange = only(capture)
    assert exchange.end is None
    assert exchange.body.count(b"word") >= 30
    assert any("request 1 has no end" in note for note in capture.notes)


def test_ctrl_c_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with asking_for_ever(path) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    capture = load(path)
    assert (fate(only(capture)), capture.notes) == (("cancelled", None), ())


def test_what_ends_the_block_is_more_important_than_what_was_not_recorded(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "nowhere" / "run.sse.jsonl")
    assert repr(recording).endswith("0 requests so far>")
    recording.error = CaptureError("full", cause="capture-write-failed")
    with pytest.raises(ZeroDivisionError) as caught, recording:
        raise ZeroDivisionError
    assert caught.value.__notes__ == ["full"]
