"""Replay: what was recorded once is told again, with its pieces, times and ends, by a real server and without one, and nothing else is."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from click.testing import CliRunner, Result

from tests.commands import Command
from tests.sse import virtual
from tests.sse.raw import LAST_CHUNK, REQUEST, BytesServer, End, Exchange, chunk, head, stream, whole
from tests.sse.test_mock_ai_api import model
from ylokh_sse import (
    BadRequest,
    CaptureError,
    Client,
    ConfigurationError,
    ConnectionLost,
    Finish,
    Part,
    Recording,
    ReplayMismatch,
    ResponseError,
    RetryPolicy,
    TextDelta,
    Timeout,
    loopback,
    replay,
)
from ylokh_sse.capture import Answered, Asked, Capture, Ended, Head, Received, Recorded, load
from ylokh_sse.capture.format import encode_line, read
from ylokh_sse.commands import command
from ylokh_sse.loopback import PAGE, Call, Reply, Script

KEY = "sk-a-very-secret-key"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF-_123"

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = b'{"object":"chat.completion","choices":[{"index":0,"message":{"content":"one two"},"finish_reason":"stop"}]}'
ANSWER: list[Part] = [TextDelta("one"), TextDelta(" two"), Finish("stop")]
GZIP = ("Content-Encoding", "gzip")

AT_ONCE = RetryPolicy(delay=0.001)
BRIEF = Timeout(first_byte=0.2, idle=0.2)


class Outcome(NamedTuple):
    """All that a caller sees of an answer."""

    parts: list[Part]
    kind: type[BaseException] | None = None
    cause: str = ""
    words: str = ""
    partial: str = ""


async def ask(chat: Client, question: str = "hi", *, streamed: bool = True, **fields: Any) -> Outcome:
    parts: list[Part] = []
    try:
        async with (chat.stream if streamed else chat.whole)(question, **fields) as answer:
            async for part in answer:
                parts.append(part)
    except ResponseError as error:
        return Outcome(parts, type(error), error.cause, str(error), error.partial)
    return Outcome(parts)


async def record(path: Path, *exchanges: Exchange, **options: Any) -> Outcome:
    async with BytesServer(*exchanges) as server, Client(server.url, record=path, **({"retries": 0} | options)) as chat:
        return await ask(chat)


async def served(capture: Path | Capture, options: dict[str, Any] | None = None, **how: Any) -> Outcome:
    async with replay.serve(capture, **how) as url, Client(url, **({"retries": 0} | (options or {}))) as chat:
        return await ask(chat)


async def played(capture: Path | Capture, options: dict[str, Any] | None = None, **how: Any) -> Outcome:
    with replay.play(capture, **how) as network:
        async with Client(network.url, network=network, **({"retries": 0} | (options or {}))) as chat:
            return await ask(chat)


def made(*pieces: tuple[float, bytes], head: float = 0.5, end: float = 3.0, how: str = "complete", status: int = 200) -> Capture:
    """A capture of one question, "hi", with these pieces of an answer."""
    body = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    exchange = Recorded(
        line=2,
        asked=Asked(number=1, time=0.0, method="POST", url="http://h.test/v1/chat/completions", body=body),
        answered=Answered(number=1, time=head, status=status, headers={"content-type": "text/event-stream"}),
        pieces=[Received(number=1, time=instant, data=data) for instant, data in pieces],
        end=Ended(number=1, time=end, how=how),
    )
    return Capture(head=Head(), exchanges=(exchange,), path="run.sse.jsonl")


# --- The same again.

ANSWERS = {
    "an answer": stream(ONE, TWO, STOP, DONE),
    "byte by byte": stream(*(bytes([byte]) for byte in ONE.replace(b"one", "é".encode()) + STOP + DONE)),
    "a whole one": whole(WHOLE),
    "odd line ends": stream((b"\xef\xbb\xbf: hi\n\nretry: 5\nid: 1\n" + ONE + STOP + DONE).replace(b"\n", b"\r\n")),
    "no end, but finished": stream(ONE, STOP),
    "torn after its end": Exchange(head(), chunk(ONE + STOP), end=End.CLOSE),
    "compressed": Exchange(head(headers=[GZIP]), chunk(gzip.compress(ONE + STOP + DONE)), LAST_CHUNK, end=End.OPEN),
    "bad UTF-8": stream(ONE.replace(b"one", b"a\xff\xe2\x82b"), STOP, DONE),
    # Each way to be cut off.
    "clean end": stream(ONE),
    "half an event": stream(ONE, TWO[:30]),
    "no blank line": stream(ONE, TWO[:-1]),
    "chunked": Exchange(head(), chunk(ONE)),
    "in a chunk": Exchange(head(), chunk(ONE), b"ff\r\ndata"),
    "no chunk": Exchange(head(), chunk(ONE), b"zz\r\n", end=End.OPEN),
    "length": Exchange(head(length=500) + ONE),
    "no framing": Exchange(head(chunked=False), ONE),
    "reset": Exchange(head(), chunk(ONE), end=End.RESET),
    "half a body": Exchange(head(content_type="application/json", length=500) + WHOLE[:40]),
    "half of JSON": whole(WHOLE[:40]),
    # No answer at all.
    "no body": Exchange(head()),
    "empty": stream(),
    "empty whole": whole(b""),
    "only a comment": stream(b": hello\n\n"),
    "only done": stream(DONE),
    # Something else.
    "a page": whole(PAGE.encode(), content_type="text/html"),
    "words": whole(b"come back later", content_type="text/plain"),
    "no chunk of JSON": stream(ONE, b"data: no json\n\n", STOP + DONE),
    "an error in the middle": stream(ONE, b'data: {"error":{"message":"boom","type":"t","code":"c"}}\n\n'),
    "a refusal": whole(b'{"error":{"message":"no","type":"t","code":"c"}}', status=401),
    "busy": whole(b"busy", status=429, content_type="text/plain", headers=[("Retry-After", "7")]),
    "a challenge": whole(b"Just a moment", status=403, headers=[("Server", "cloudflare"), ("cf-mitigated", "challenge")]),
    "a redirect": Exchange(head(302, length=0, chunked=False, headers=[("Location", "http://h.test/other?a=b")]), end=End.OPEN),
    "no content": Exchange(b"HTTP/1.1 204 Whatever\r\n\r\n"),
}
WORDS_DIFFER = {
    "no head": Exchange(),
    "reset before the head": Exchange(end=End.RESET),
    "no HTTP": Exchange(b"nonsense\r\n\r\n"),
    "bad encoding": Exchange(head(headers=[GZIP]), chunk(b"\xff" * 40), LAST_CHUNK),
}
"""Here an error has words of aiohttp's or of the system's."""
OVERTAKES = ("no chunk", "reset")
"""Ends that may overtake what was sent before them, on a machine that is busy."""


@pytest.mark.parametrize("again", [served, played])
@pytest.mark.parametrize("name", [*ANSWERS, *WORDS_DIFFER])
async def test_whatever_a_server_did_is_done_again(name: str, again: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    first = await record(path, ANSWERS.get(name) or WORDS_DIFFER[name])
    second = await again(path)
    if name in OVERTAKES and again is served and second.parts == []:
        assert second.kind is not None
        return
    assert second._replace(words="") == first._replace(words="")
    if name in ANSWERS:
        assert second.words == first.words


@pytest.mark.parametrize("again", [served, played])
@pytest.mark.parametrize("name", ["silence at first", "silence after the head", "silence in the middle"])
async def test_silence_is_silence_again(name: str, again: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    pieces = {"silence at first": [], "silence after the head": [head()], "silence in the middle": [head(), chunk(ONE)]}[name]
    first = await record(path, Exchange(*pieces, asyncio.Event()), timeout=BRIEF)
    assert first.cause in ("first-byte-timeout", "idle-timeout")
    assert await again(path, {"timeout": BRIEF}) == first


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(text="one two three", reasoning="hm", citations=("https://a.example",), usage="every", keep_alives=2, pings=1),
        Script(tool_calls=(Call("f", '{"a": "ö"}'), Call("g"))),
        Script(text="Ёлка 😀", whole=True),
        Script(text="one two", gzip="late"),
        Script(text="one two three", error="boom", error_after=2),
        *(Script(text="one two three", cut_after=2, cut=cut) for cut in ("end", "half", "chunked", "length")),
    ],
)
async def test_the_loopback_server_is_told_again(script: Script, tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve(script) as server, Client(server.url, record=path, retries=0) as chat:
        first = await ask(chat)
    for size in (None, 1, 7, 1000):
        assert await served(path, rechunk=size) == first
        assert await played(path, rechunk=size) == first


async def test_a_server_that_others_wrote_is_told_again(mock_ai_api: str, tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"

    async def conversation(chat: Client) -> list[Outcome]:
        wholes = [await ask(chat, model=model("text"), streamed=streamed) for streamed in (True, False)]
        return [*wholes, await ask(chat, model=model("tool-stream")), *[await ask(chat, model=model(status)) for status in (400, 401, 429, 503)]]

    async with Client(mock_ai_api, record=path, retries=0) as chat:
        first = await conversation(chat)
    assert [outcome.cause for outcome in first] == ["", "", "", "bad-request", "unauthorized", "rate-limited", "server-error"]
    async with replay.serve(path) as url, Client(url, retries=0) as chat:
        assert await conversation(chat) == first
    with replay.play(path) as network:
        async with Client(network.url, network=network, retries=0) as chat:
            assert await conversation(chat) == first


async def test_tries_and_guesses_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    nothing, busy = head(404, length=0), head(503, length=0)
    exchange = Exchange(nothing, REQUEST, busy, REQUEST, nothing, REQUEST, head(), chunk(ONE + TWO + STOP + DONE), LAST_CHUNK, end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.origin, record=path, retries=AT_ONCE) as chat:
        assert await ask(chat) == Outcome(ANSWER)
    paths = [each.asked.url.removeprefix(server.origin) for each in load(path).exchanges]
    assert paths == ["/v1/chat/completions", "/chat/completions"] * 2
    assert await served(path, {"retries": AT_ONCE}) == await played(path, {"retries": AT_ONCE}) == Outcome(ANSWER)


async def test_a_replay_can_be_recorded_and_is_the_same(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.sse.jsonl" for name in "abc")
    async with loopback.serve(Script(text="one two", pace=0.01), fail_first=1) as server, Client(server.url, record=first, retries=AT_ONCE) as chat:
        await ask(chat, f"my key is {KEY}")
    for again, path in ((second, first), (third, second)):
        with replay.play(path) as network:
            async with Client(network.url, network=network, record=again, retries=AT_ONCE) as chat:
                await ask(chat, f"my key is {KEY}")
    pieces = [[[piece.data for piece in each.pieces] for each in load(path).exchanges] for path in (first, second, third)]
    rest = [[(each.asked.url, each.asked.body, each.end and each.end.how) for each in load(path).exchanges] for path in (first, second, third)]
    assert pieces[0] == pieces[1] == pieces[2]
    assert rest[0] == rest[1] == rest[2]


def test_without_a_loop(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    with loopback.serve(Script(text="one two")) as server:
        chat = Client(server.url, record=path)
        chat.complete_sync("hi")
        list(chat.stream_sync("hi"))
    with replay.serve(path) as url:
        chat = Client(url)
        assert chat.complete_sync("hi").text == "one two"
        assert list(chat.stream_sync("hi")) == ANSWER
    with replay.play(path) as network:
        chat = Client(network.url, network=network)
        assert chat.complete_sync("hi").text == "one two"
        assert list(chat.stream_sync("hi")) == ANSWER


async def test_questions_side_by_side_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    questions = [f"question {number}" for number in range(6)]
    async with loopback.serve() as server, Client(server.url, record=path) as chat:
        first = await asyncio.gather(*(ask(chat, question) for question in questions))
    for _ in range(2):
        async with replay.serve(path, ordered=False) as url, Client(url) as chat:
            assert await asyncio.gather(*(ask(chat, question) for question in reversed(questions))) == first[::-1]


async def test_another_client_may_ask(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    await record(path, stream(ONE, TWO, STOP + DONE))
    body = {"stream": True, "messages": [{"content": "hi", "role": "user"}], "model": "gpt-3.5-turbo"}
    async with replay.serve(path) as url, aiohttp.ClientSession() as session:
        async with session.post(f"{url}/chat/completions?x=1", json=body, headers={"Authorization": "Bearer mine"}) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            # The end of a chunk may be told after its data, and then with none.
            assert [data async for data, _ in response.content.iter_chunks() if data] == [ONE, TWO, STOP + DONE]


# --- The right times.


async def arrivals(chat: Client) -> list[tuple[float, Part]]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with chat.stream("hi") as answer:
        return [(loop.time() - began, part) async for part in answer]


@pytest.mark.parametrize(("timing", "factor"), [("none", 0), ("recorded", 1), ("scaled(0.5)", 0.5), (1000, 1000)])
def test_parts_come_when_they_came(timing: str | float, factor: float) -> None:
    capture = made((1.0, ONE), (1.5, TWO[:10]), (2.0, TWO[10:]), (2.5, STOP + DONE))

    async def main() -> list[tuple[float, Part]]:
        with replay.play(capture, timing=timing) as network:
            async with Client(network.url, network=network, timeout=None) as chat:
                return await arrivals(chat)

    assert virtual.run(main()) == [(instant * factor, part) for instant, part in zip([1.0, 2.0, 2.5], ANSWER, strict=True)]


def test_pieces_of_another_size_come_when_their_last_byte_did() -> None:
    capture = made((1.0, ONE[:-1]), (2.0, ONE[-1:] + TWO), (3.0, STOP + DONE))

    async def main() -> list[tuple[float, Part]]:
        with replay.play(capture, timing="recorded", rechunk=1) as network:
            async with Client(network.url, network=network) as chat:
                return await arrivals(chat)

    assert [instant for instant, _ in virtual.run(main())] == [2.0, 2.0, 3.0]


def test_a_client_that_waits_too_little_meets_its_own_limit() -> None:
    async def main(timeout: Timeout) -> Outcome:
        with replay.play(made((1.0, ONE), (50.0, STOP + DONE), end=50.0), timing="recorded") as network:
            async with Client(network.url, network=network, timeout=timeout, retries=0) as chat:
                return await ask(chat)

    assert virtual.run(main(Timeout(first_byte=0.75))).cause == "first-byte-timeout"
    slow = virtual.run(main(Timeout(idle=40)))
    assert (slow.cause, slow.partial) == ("idle-timeout", "one")
    assert virtual.run(main(Timeout(idle=60))).kind is None


def test_what_is_recorded_of_a_replay_has_its_times() -> None:
    file = io.BytesIO()

    async def main() -> None:
        recording = Recording(file, clock=asyncio.get_running_loop().time)
        with replay.play(made((1.0, ONE), (2.25, STOP + DONE), end=2.5), timing="recorded") as network:
            async with Client(network.url, network=network, record=recording) as chat:
                await ask(chat)

    virtual.run(main())
    file.seek(0)
    [exchange] = read(file).exchanges
    assert exchange.answered is not None
    assert (exchange.answered.time, [piece.time for piece in exchange.pieces]) == (0.5, [1.0, 2.25])


async def test_a_server_says_nothing_before_its_time() -> None:
    capture = made((0.05, ONE), (0.15, TWO), (0.25, STOP + DONE), head=0.01, end=0.3)
    for timing, least in (("recorded", [0.05, 0.15, 0.25]), (2, [0.1, 0.3, 0.5])):
        began = time.monotonic()
        async with replay.serve(capture, timing=timing) as url, Client(url) as chat, chat.stream("hi") as answer:
            came = [time.monotonic() - began async for _ in answer]
        # A busy machine can only be late.
        assert all(instant >= moment - 0.002 for instant, moment in zip(came, least, strict=True))


# --- Nothing else.


async def test_another_question_is_refused_and_fails_the_block(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    await record(path, stream(ONE, TWO, STOP + DONE))
    told = None
    with pytest.raises(ReplayMismatch) as caught:
        async with replay.serve(path) as url, Client(url) as chat:
            told = await ask(chat, "ho")
    assert told is not None
    assert told.kind is BadRequest  # and not asked again
    assert '$.messages[0].content: "hi" != "ho"' in told.words
    assert told.words.removeprefix("HTTP 400: ") == str(caught.value)
    assert (caught.value.cause, caught.value.path) == ("replay-mismatch", "$.messages[0].content")
    assert str(caught.value).startswith(f"{path}, request 1 (line 2)\n")
    assert caught.value.__cause__ is None


async def test_an_error_of_a_mismatch_has_it_for_its_reason() -> None:
    with pytest.raises(ReplayMismatch) as caught:
        async with replay.serve(made((1, ONE + STOP + DONE))) as url, Client(url) as chat:
            await chat.complete("hi")
    assert isinstance(caught.value.__cause__, BadRequest)
    assert caught.value.path == "$.stream"


async def test_in_memory_another_question_is_a_mismatch_at_once() -> None:
    with pytest.raises(ReplayMismatch, match=r"\$\.stream: true != false"), replay.play(made((1, ONE + STOP + DONE))) as network:
        async with Client(network.url, network=network) as chat:
            await chat.complete("hi")
    async with Client(network.url, network=network) as chat:
        with pytest.raises(ReplayMismatch):
            await chat.complete("ho")
    with pytest.raises(ReplayMismatch, match=r"\$\.stream"):  # though it was caught in between
        async with network:
            pass


async def test_what_may_differ_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    await record(path, stream(ONE, TWO, STOP + DONE))
    may_differ = ["$.messages[*].content", "$.temperature"]
    async with replay.serve(path, ignore_paths=may_differ) as url, Client(url) as chat:
        assert await ask(chat, "ho", temperature=0.2) == Outcome(ANSWER)
    with pytest.raises(ReplayMismatch, match=r"\$\.top_p: nothing != 1"):
        async with replay.serve(path, ignore_paths=may_differ) as url, Client(url) as chat:
            await ask(chat, top_p=1)


async def test_what_is_not_asked_for_is_told(tmp_path: Path) -> None:
    for way in (replay.serve, replay.play):
        with pytest.raises(ReplayMismatch, match="1 of 1 request not asked for") as caught:
            async with way(made((1, ONE))):
                pass
        assert caught.value.cause == "replay-unplayed"
        async with way(made((1, ONE)), allow_unplayed=True):
            pass
        with pytest.raises(ZeroDivisionError) as other, way(made((1, ONE))):
            raise ZeroDivisionError
        assert "not asked for" in other.value.__notes__[0]


async def test_secrets_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    async with loopback.serve() as server, Client(server.url, KEY, record=Recording(path, secrets=["my-own-secret"])) as chat:
        told = await ask(chat, f"{KEY} {JWT} my-own-secret")
    assert KEY in "".join(part.text for part in told.parts if isinstance(part, TextDelta))
    for key in (KEY, "another-secret-key", None):
        async with replay.serve(path, secrets=["my-own-secret"]) as url, Client(url, key) as chat:
            told = await ask(chat, f"{key} {JWT[:-3]}xyz my-own-secret")
        assert "<redacted:1> <redacted:2> <redacted:3>" in "".join(part.text for part in told.parts if isinstance(part, TextDelta))


async def test_a_replay_sees_who_asked_and_is_on_this_machine_only() -> None:
    playing = replay.serve(made((1, ONE + STOP + DONE)))
    async with playing as url, Client(url) as chat:
        await ask(chat)
        assert [(request.method, request.path, request.status) for request in playing.requests] == [("POST", "/v1/chat/completions", 200)]
        assert playing.tape.left == ()
        assert playing.server.origin == url.removesuffix("/v1")
    with pytest.raises(ValueError, match="expected a loopback address"):
        replay.serve(made((1, ONE)), host="192.0.2.1")


async def test_leaving_in_the_middle_leaves_nothing() -> None:
    capture = made((0.5, ONE), (1000.0, STOP + DONE), end=1000.0)
    async with replay.serve(capture, timing="scaled(0.01)") as url, Client(url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
    with replay.play(capture, timing="scaled(0.01)") as network:
        async with Client(network.url, network=network) as chat, chat.stream("hi") as answer:
            assert await anext(answer) == TextDelta("one")
            waiting = asyncio.create_task(anext(answer))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting


async def test_a_client_that_is_closed_leaves_a_replay_in_memory() -> None:
    with replay.play(made((0.0, ONE), how="cancelled")) as network:
        chat = Client(network.url, network=network)
        answer = await chat.stream("hi").__aenter__()
        assert await anext(answer) == TextDelta("one")
        waiting = asyncio.create_task(anext(answer))
        await asyncio.sleep(0)
        await chat.aclose()
        with pytest.raises(ConnectionLost):
            await waiting


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        replay.serve(tmp_path / "missing")
    for option in ({"timing": "fast"}, {"rechunk": 0}, {"ignore_paths": ["a"]}):
        for way in (replay.serve, replay.play):
            with pytest.raises(ConfigurationError):
                way(made((1, ONE)), **option)


# --- From a shell.

COMMAND = Command(sys.executable, "-m", "ylokh_sse.cli", without=("YLOKH_BASE_URL", "YLOKH_API_KEY"))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A refusal, and an answer to the next try."""
    path = tmp_path / "run.sse.jsonl"
    with loopback.serve(Script(text="one two"), fail_first=1, fail_with=Reply.error(429, headers={"Retry-After": "0"})) as server:
        assert Client(server.url, record=path).complete_sync("hi", stream_options=None).text == "one two"
    with loopback.serve(Script(text="one two"), fail_first=1, fail_with=Reply.error(429, headers={"Retry-After": "0"})) as server:
        list(Client(server.url, record=Recording(path, overwrite=True)).stream_sync("hi"))
    return path


def test_the_command_replays(recorded: Path) -> None:
    with COMMAND.started("replay", str(recorded), "--timing", "0.5") as (process, _, stdout, stderr):
        url = stdout.readline().decode().strip()
        done = COMMAND.run("ask", "--base-url", url, "hi")
        assert (done.returncode, done.stdout) == (0, "one two\n")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert stderr.read() == b"(Ctrl-C stops the replay)\n"


def test_the_command_tells_what_was_asked_for_in_vain(recorded: Path) -> None:
    with COMMAND.started("replay", str(recorded), "--timing", "recorded", "--unordered") as (process, _, stdout, stderr):
        url = stdout.readline().decode().strip()
        for question in ("ho", "he"):
            done = COMMAND.run("ask", "--base-url", url, question)
            assert (done.returncode, '"hi" != ' in done.stderr) == (1, True)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 1
        said = stderr.read().decode()
    assert '$.messages[0].content: "hi" != "ho"' in said
    assert '$.messages[0].content: "hi" != "he"' in said


def run(*arguments: str) -> Result:
    """Run the command in this process, which is faster; an exception that is not an exit fails the test."""
    done = CliRunner().invoke(command, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--timing", "fast"], "timing is"), (["--ignore-path", "a"], "expected a path"), (["--rechunk", "0"], "0 is not in the range")],
)
def test_the_command_refuses_what_makes_no_sense(recorded: Path, arguments: list[str], words: str) -> None:
    done = run("replay", str(recorded), *arguments)
    assert (done.exit_code, words in done.stderr) == (2, True)


def test_the_command_says_when_it_cannot_listen_or_read(recorded: Path) -> None:
    with loopback.serve() as server:
        done = run("replay", str(recorded), "--port", server.origin.rpartition(":")[2])
    assert (done.exit_code, "cannot listen at" in done.stderr) == (2, True)
    done = run("replay", f"{recorded}.missing")
    assert (done.exit_code, "[capture-not-readable]" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["show", "replay"])
def test_the_commands_say_who_reads_a_capture_of_something_else(tmp_path: Path, command: str) -> None:
    path = tmp_path / "talk.eio.jsonl"
    path.write_text('{"k": "head", "v": 1, "by": "engineio_lite 0.1.0"}\n{"k": "end", "s": 1, "by": "client"}\n')
    done = run(command, str(path))
    assert (done.exit_code, done.stdout, "engineio-lite show" in done.stderr) == (2, "", True)


def test_the_command_shows(recorded: Path) -> None:
    done = run("show", str(recorded))
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("#1        0.000  POST http://127.0.0.1:")
    assert lines[1].endswith("429 application/json")
    assert '{"error":{"message":' in lines[2]
    assert lines[3].endswith("  complete")
    assert lines[4].startswith("#2   ")
    assert lines[5].endswith("200 text/event-stream; charset=utf-8")
    assert all("  message: {" in line for line in lines[6:-2])
    assert lines[-2].endswith("  message: [DONE]")
    assert max(map(len, lines[6:])) < 200 < max(map(len, run("show", "--full", str(recorded)).stdout.splitlines()))


def test_the_command_shows_as_json(recorded: Path) -> None:
    done = run("show", "--json", str(recorded))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["type"] for row in rows] == ["request", "answer", "body", "end", "request", "answer", *["event"] * (len(rows) - 7), "end"]
    assert rows[0]["body"]["messages"] == [{"role": "user", "content": "hi"}]
    assert rows[1]["headers"]["retry-after"] == "0"
    assert rows[-2] == {"type": "event", "s": 2, "t": rows[-2]["t"], "event": "message", "data": "[DONE]", "id": "", "retry": None}
    assert rows[-1] == {"type": "end", "s": 2, "t": rows[-1]["t"], "how": "complete", "cut": None, "dropped": False}


def test_the_command_shows_what_is_odd(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    asked = {"method": "POST", "url": "http://h/\x1b[31m"}
    lines: list[Any] = [
        Head(),
        Asked(number=1, time=0, **asked),
        Answered(number=1, time=0.5, status=200, headers={}),
        Received(number=1, time=1, data=b"data: a\ndata: \x1b[2J\n\ndata: half"),
        Ended(number=1, time=2, how="cut", cut=None),
        Asked(number=2, time=2.5, **asked),
        Ended(number=2, time=3, how="connect-refused"),
        Asked(number=3, time=4, **asked),
        Answered(number=3, time=5, status=200, headers={"content-type": "text/html"}),
        Received(number=3, time=5, data=b"<html>\n</html>"),
        Asked(number=4, time=6, **asked),
        Answered(number=4, time=6, status=200, headers={"content-type": "text/event-stream"}),
        Received(number=4, time=7, data=b"data: " + b"x" * 9_000_000),
        Ended(number=4, time=8, how="complete"),
    ]
    path.write_bytes(b"".join(map(encode_line, lines)))
    done = run("show", str(path))
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines() == [
        "#1        0.000  POST http://h/␛[31m",
        "          0.500  200",
        "          1.000  message: a␊␛[2J",
        "          2.000  cut, in the middle of an event",
        "#2        2.500  POST http://h/␛[31m",
        "          3.000  connect-refused",
        "#3        4.000  POST http://h/␛[31m",
        "          5.000  200 text/html",
        "          5.000  <html>␊</html>",
        "#4        6.000  POST http://h/␛[31m",
        "          6.000  200 text/event-stream",
        "          7.000  expected events of at most 8388608 bytes, got a longer one",
        "          8.000  complete, in the middle of an event",
        "                 request 3 has no end: the recorder was killed while it was answered",
    ]
    assert run("show", f"{path}.missing").exit_code == 2
    assert json.loads(run("show", "--json", f"{path}.missing").stdout)["cause"] == "capture-not-readable"
