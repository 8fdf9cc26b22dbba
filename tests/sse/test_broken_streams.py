"""Answers as no server should send them, and as some do: odd line ends, missing ends, other things than answers, and bytes that mean nothing.

Two questions of each: is what was good told, and is what was not an error that says what it was. `outcome` reads an answer to its end or its error,
and makes sure that the two agree about the text.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sse.raw import LAST_CHUNK, BytesServer, End, Exchange, chunk, head, stream, whole
from ylokh_sse import (
    BadJSON,
    Client,
    ConnectFailed,
    ConnectionLost,
    EmptyResponse,
    Finish,
    Limits,
    NotSSE,
    Part,
    ResponseError,
    ServerError,
    ServerSentEvent,
    StreamError,
    TextDelta,
    TooLarge,
    TruncatedAnswer,
    UnexpectedResponse,
    loopback,
)
from ylokh_sse.loopback import PAGE, Script

CERTIFICATES = Path(__file__).parent.parent / "aio" / "certs"

ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
TWO = b'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = b'{"object":"chat.completion","choices":[{"index":0,"message":{"content":"one two"},"finish_reason":"stop"}]}'

ANSWER = [TextDelta("one"), TextDelta(" two"), Finish("stop")]


class Outcome(NamedTuple):
    """The parts that were told, and the error that ended them."""

    parts: list[Part]
    error: ResponseError | None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextDelta) and part.index == 0)


async def read(url: str, **options: Any) -> Outcome:
    parts: list[Part] = []
    async with Client(url, **({"retries": 0} | options)) as chat:
        try:
            async with chat.stream("hi") as answer:
                async for part in answer:
                    parts.append(part)
        except ResponseError as error:
            return Outcome(parts, error)
    return Outcome(parts, None)


async def outcome(*exchanges: Exchange, **options: Any) -> Outcome:
    async with BytesServer(*exchanges) as server:
        told = await read(server.url, **options)
    assert told.error is None or told.error.partial == told.text
    return told


async def answered(exchange: Exchange, **options: Any) -> list[Part]:
    told = await outcome(exchange, **options)
    assert told.error is None, told.error
    return told.parts


async def failed(exchange: Exchange, **options: Any) -> ResponseError:
    told = await outcome(exchange, **options)
    assert told.error is not None, told.parts
    return told.error


# ------------------------------------------------------------------------------------------------------------------- what looks odd and is right


@pytest.mark.parametrize("space", [True, False])
@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_every_line_end_with_bom_and_without_space(line_end: Any, bom: bool, space: bool) -> None:
    script = Script(text="one two", line_end=line_end, bom=bom, space=space, pings=2, keep_alives=2)
    async with loopback.serve(script) as server:
        assert await read(server.url) == (ANSWER, None)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_an_answer_that_comes_byte_by_byte(line_end: bytes) -> None:
    body = (
        b"\xef\xbb\xbf: hello\n\nretry: 5\nid: 1\n"
        + ONE
        + b'data: {"choices":[{"index":0,\ndata: "delta":{"content":" \xf0\x9f\x98\x80"}}]}\n\n'
        + STOP
        + DONE
    )
    pieces = [bytes([byte]) for byte in body.replace(b"\n", line_end)]
    assert len(pieces) > 200
    assert await answered(stream(*pieces)) == [TextDelta("one"), TextDelta(" 😀"), Finish("stop")]


@pytest.mark.parametrize(
    "noise",
    [
        b": OPENROUTER PROCESSING\n\n",
        b":\n\n",
        b"event: ping\n\n",
        b"event: ping\ndata: {}\n\n",
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b"id: 7\n\n",
        b"id\n\n",
        b"retry: 1000\n\n",
        b"nobody: knows\n\n",
        b"\n\n\n",
        b"data:\n\n",
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":null}\n\n',
        b'data: {"choices":[{"index":0}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":null}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":null,"role":"assistant"}}]}\n\n',
    ],
    ids=lambda noise: noise.decode().strip() or "blank lines",
)
async def test_what_says_nothing_changes_nothing(noise: bytes) -> None:
    assert await answered(stream(noise + ONE, noise, TWO + noise, STOP, noise + DONE)) == ANSWER


@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=utf-8", "application/octet-stream", None, "Text/Event-Stream;charset=latin-1", "text/html"]
)
async def test_the_first_bytes_say_that_it_is_a_stream(content_type: str | None) -> None:
    assert await answered(stream(ONE, TWO, STOP, DONE, content_type=content_type)) == ANSWER


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain", None])
@pytest.mark.parametrize("before", [b"", b"\n  ", b"\xef\xbb\xbf"])
async def test_the_first_bytes_say_that_it_is_a_whole_answer(content_type: str | None, before: bytes) -> None:
    assert await answered(whole(before + WHOLE, content_type=content_type)) == [TextDelta("one two"), Finish("stop")]


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream", "text/plain", None])
@pytest.mark.parametrize("blank", [b"\n", b" ", b"\r\n"])
async def test_blanks_may_come_for_as_long_as_a_model_thinks(blank: bytes, content_type: str | None) -> None:
    answer = await answered(stream(*[blank * 100] * 50, WHOLE, content_type=content_type))
    assert answer == [TextDelta("one two"), Finish("stop")]
    assert await answered(stream(b"\xef\xbb\xbf" + blank * 900, b"\n" * 900, ONE, TWO, STOP, DONE, content_type=content_type)) == ANSWER


async def test_bad_utf8_is_replaced_in_a_stream() -> None:
    bad = b'data: {"choices":[{"index":0,"delta":{"content":"a\xff\xe2\x82b"}}]}\n\n'
    assert await answered(stream(bad, STOP, DONE)) == [TextDelta("a\ufffd\ufffdb"), Finish("stop")]


async def test_bad_utf8_is_no_json_in_a_whole_answer() -> None:
    error = await failed(whole(WHOLE.replace(b"one", b"\xff\xff")))
    assert isinstance(error, BadJSON)


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        exchange = Exchange(version + b" 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", ONE, TWO, STOP)
        assert await answered(exchange) == ANSWER


async def test_what_comes_before_the_answer_proper_is_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert await answered(Exchange(early, head(), chunk(ONE + TWO + STOP + DONE), LAST_CHUNK, end=End.OPEN)) == ANSWER


# ------------------------------------------------------------------------------------------------------------------------ how an answer may end


@pytest.mark.parametrize(
    "tail", [DONE, b"data:[DONE]\n\n", b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n\r\n", b"data:[DONE] \n\n"], ids=repr
)
@pytest.mark.parametrize("stop", [STOP, b""], ids=["finished", "unfinished"])
async def test_done_is_the_end_whatever_blanks_are_around_it(tail: bytes, stop: bytes) -> None:
    assert await answered(stream(ONE, TWO, stop + tail)) == ANSWER


async def test_nothing_after_done_is_read() -> None:
    assert await answered(stream(ONE, TWO, STOP + DONE + ONE, b'data: {"error":"late"}\n\n', b"nonsense")) == ANSWER
    assert await answered(Exchange(head(), chunk(ONE + TWO + STOP + DONE), b"nonsense\r\n")) == ANSWER
    assert await answered(Exchange(head(), chunk(ONE + TWO + STOP + DONE), end=End.RESET)) == ANSWER


@pytest.mark.parametrize(
    "ending",
    [
        Exchange(LAST_CHUNK),
        Exchange(end=End.CLOSE),
        Exchange(chunk(b"data: {"), LAST_CHUNK),
        Exchange(b"ff\r\nhalf a chunk"),
        Exchange(b"zz\r\n", end=End.OPEN),
        Exchange(chunk(b": bye\n\n"), LAST_CHUNK),
    ],
    ids=["clean", "torn", "half-an-event", "half-a-chunk", "no-chunk", "comment"],
)
async def test_after_the_reason_to_finish_no_end_is_wrong(ending: Exchange) -> None:
    assert await answered(Exchange(head(), chunk(ONE), chunk(TWO), chunk(STOP), *ending.pieces, end=ending.end)) == ANSWER


async def test_one_of_two_answers_that_is_not_finished_is_not_complete() -> None:
    other = b'data: {"choices":[{"index":1,"delta":{"content":"b"}}]}\n\n'
    told = await outcome(stream(ONE + other, STOP))
    assert isinstance(told.error, TruncatedAnswer)
    assert "finish_reason of answer 1" in str(told.error)
    assert told.text == "one"


@pytest.mark.parametrize(
    ("exchange", "kind", "cause", "words"),
    [
        (stream(ONE), TruncatedAnswer, "answer-truncated", r"expected \[DONE\] or the finish_reason of answer 0, got the end of the stream"),
        (stream(ONE, TWO[:30]), TruncatedAnswer, "answer-truncated", "an event was cut in two"),
        (stream(ONE, TWO[:-1]), TruncatedAnswer, "answer-truncated", "an event was cut in two"),
        (Exchange(head(), chunk(ONE)), ConnectionLost, "connection-lost", "before the last chunk"),
        (Exchange(head(), chunk(ONE), b"ff\r\ndata"), ConnectionLost, "connection-lost", "before the last chunk"),
        (Exchange(head(), chunk(ONE), b"zz\r\n", end=End.OPEN), ConnectionLost, "connection-lost", "broke its chunked encoding"),
        (Exchange(head(length=500) + ONE), ConnectionLost, "connection-lost", "before it had sent as much as it announced"),
        (Exchange(head(), chunk(ONE), end=End.RESET), ConnectionLost, "connection-lost", "the server reset it"),
        (Exchange(head(chunked=False), ONE), TruncatedAnswer, "answer-truncated", "got the end of the stream"),
    ],
    ids=["clean", "half-an-event", "no-blank-line", "chunked", "in-a-chunk", "no-chunk", "length", "reset", "no-framing"],
)
async def test_each_way_to_be_cut_off_is_told_apart(exchange: Exchange, kind: type[ResponseError], cause: str, words: str) -> None:
    told = await outcome(exchange)
    assert type(told.error) is kind
    assert told.error.cause == cause
    assert re.search(words, str(told.error)), told.error
    assert told.error.partial == "one"


@pytest.mark.parametrize(
    ("exchange", "kind", "words"),
    [
        (Exchange(), ConnectionLost, "before there was an answer"),
        (Exchange(end=End.RESET), ConnectionLost, "before there was an answer"),
        (Exchange(head()), ConnectionLost, "before the last chunk"),
        (Exchange(head(length=10)), ConnectionLost, "announced"),
        (stream(), EmptyResponse, "before one began"),
        (whole(b""), EmptyResponse, "status 200 and nothing else"),
        (whole(b"\r\n", content_type=None), EmptyResponse, "status 200 and nothing else"),
        (stream(b"\n\n"), EmptyResponse, "before one began"),
        (stream(b": hello\n\n"), EmptyResponse, "before one began"),
        (stream(DONE), EmptyResponse, "before one began"),
        (stream(ONE[:30]), TruncatedAnswer, "no chunk of it came"),
        (stream(b'data: {"choices":[]}\n\n', DONE), EmptyResponse, "before one began"),
    ],
    ids=["no-head", "reset", "no-body", "no-length", "empty", "empty-whole", "blank-whole", "blank", "comment", "done", "half-an-event", "no-choice"],
)
async def test_no_answer_at_all(exchange: Exchange, kind: type[ResponseError], words: str) -> None:
    error = await failed(exchange)
    assert type(error) is kind
    assert words in str(error)
    assert error.partial == ""


@pytest.mark.parametrize("cut", ["end", "half", "chunked", "length", "reset"])
async def test_the_loopback_server_cuts_and_the_text_is_kept(cut: Any) -> None:
    async with loopback.serve(Script(text="one two three", cut_after=2, cut=cut)) as server:
        told = await read(server.url)
    assert isinstance(told.error, TruncatedAnswer if cut in ("end", "half") else ConnectionLost)
    assert told.error.partial.startswith(told.text)
    if cut != "reset":  # which may overtake what was sent before it
        assert told.text == "one two"


# --------------------------------------------------------------------------------------------------------------------------- something else


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/event-stream", "application/json", None])
async def test_a_page_is_no_answer_whatever_it_calls_itself(content_type: str | None) -> None:
    error = await failed(whole(PAGE.encode(), content_type=content_type))
    assert isinstance(error, NotSSE)
    assert (error.cause, "Checking your browser" in str(error)) == ("not-sse", True)
    assert error.fix
    assert str(error.raw).startswith("<!DOCTYPE html>")


async def test_words_are_no_answer() -> None:
    error = await failed(whole(b"Service is starting, come back later", content_type="text/plain"))
    assert isinstance(error, NotSSE)
    assert "a body of type text/plain: 'Service is starting, come back later'" in str(error)


@pytest.mark.parametrize("body", [b"12", b'"text"', b"null", b"[]", b'{"a":1}', b"{}", b'{"choices":{}}', b'{"choices":"x"}'])
async def test_json_that_is_no_completion(body: bytes) -> None:
    error = await failed(whole(body))
    assert isinstance(error, UnexpectedResponse)
    assert error.cause in ("not-sse", "answer-unexpected", "empty-response")


@pytest.mark.parametrize(
    "body", [b"{", b'{"choices":[', WHOLE[:-1], b'{"a":' * 100_000, b'{"a":' + b"9" * 5000 + b"}"], ids=["brace", "list", "cut", "deep", "long"]
)
async def test_json_that_is_none(body: bytes) -> None:
    error = await failed(whole(body))
    assert isinstance(error, BadJSON)
    assert error.data == body.decode()
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "boom", "type": "t", "code": 7, "param": "p"}},
        {"error": "boom"},
        {"object": "error", "message": "boom", "type": "t", "code": 7},
    ],
    ids=["object", "text", "vllm"],
)
async def test_an_error_with_status_200_is_an_error(body: dict[str, Any]) -> None:
    error = await failed(whole(json.dumps(body).encode()))
    assert isinstance(error, StreamError)
    assert str(error) == "boom"
    assert error.raw == body


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"boom","type":"t","code":"c","param":"p"}}\n\n',
        b'data: {"error":"boom"}\n\n',
        b'event: error\ndata: {"message":"boom","type":"t","code":"c","param":"p"}\n\n',
        b'event: error\ndata: {"error":{"message":"boom"}}\n\n',
        b"event: error\ndata: boom\n\n",
        b'data: {"choices":[{"index":0,"error":{"message":"boom"}}]}\n\n',
    ],
    ids=["object", "text", "event", "event-object", "event-words", "choice"],
)
async def test_an_error_in_the_middle_has_the_text_so_far(event: bytes) -> None:
    told = await outcome(stream(ONE, event, TWO + STOP + DONE))
    assert isinstance(told.error, StreamError)
    assert (str(told.error), told.error.cause, told.text) == ("boom", "stream-error", "one")
    if b'"type"' in event:
        assert (told.error.type, told.error.code, told.error.param) == ("t", "c", "p")


@pytest.mark.parametrize("error_as", ["object", "string", "event"])
async def test_the_loopback_server_fails_in_the_middle(error_as: Any) -> None:
    async with loopback.serve(Script(text="one two three", error="boom", error_as=error_as, error_after=2)) as server:
        told = await read(server.url)
    assert isinstance(told.error, StreamError)
    assert (str(told.error), told.error.partial, told.text) == ("boom", "one two", "one two")


@pytest.mark.parametrize("data", ["no json", "{", "12", "[]", '"x"', '{"a":1}', '{"choices":7}', "NaN"])
async def test_an_event_that_is_no_chunk(data: str) -> None:
    event = f"data: {data}\n\n".encode()
    told = await outcome(stream(ONE + event, TWO + STOP + DONE))
    assert isinstance(told.error, BadJSON)
    assert (told.error.data, told.text) == (data, "one")
    assert "lenient=True" in (told.error.fix or "")
    assert await answered(stream(ONE + event, TWO + STOP + DONE), lenient=True) == ANSWER


async def test_skipped_events_are_counted() -> None:
    async with BytesServer(stream(ONE, b"data: a\n\n", b"data: b\n\n", STOP, DONE)) as server, Client(server.url, lenient=True) as chat:
        async with chat.stream("hi") as answer:
            assert (await answer.result()).text == "one"
            assert answer.skipped == 2
    error = await failed(stream(b"data: a\n\n", DONE), lenient=True)
    assert isinstance(error, EmptyResponse)
    assert "1 events that are no chunks were skipped" in str(error)


@pytest.mark.parametrize("status", [201, 202, 204, 205, 206, 226])
async def test_only_200_is_an_answer(status: int) -> None:
    exchange = Exchange(f"HTTP/1.1 {status} Whatever\r\n\r\n".encode()) if status in (204, 205) else stream(ONE, STOP, DONE, status=status)
    error = await failed(exchange)
    assert isinstance(error, UnexpectedResponse)
    assert f"expected status 200, got {status}" in str(error)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
async def test_no_redirect_is_followed_and_the_key_stays_here(status: int) -> None:
    async with BytesServer() as elsewhere:
        there = f"{elsewhere.origin}/v1/chat/completions?token=s3cret"
        exchange = Exchange(head(status, length=None if status == 304 else 0, chunked=False, headers=[("Location", there)]))
        async with BytesServer(exchange) as server:
            told = await read(server.url, api_key="sk-a-very-secret-key")
            assert len(server.requests) == 1
        assert elsewhere.connections == []
    assert isinstance(told.error, UnexpectedResponse)
    assert told.error.cause == "redirected"
    assert str(told.error) == f"the server redirects to {elsewhere.origin}/v1/chat/completions (HTTP {status})"
    assert "base URL" in (told.error.fix or "")


async def test_a_redirect_to_nowhere() -> None:
    error = await failed(Exchange(head(302, length=0), end=End.OPEN))
    assert str(error) == "the server redirects to nowhere (HTTP 302)"


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b'{"detail":"Not authenticated"}', "application/json", "HTTP 500: Not authenticated"),
        (b'{"detail":[{"msg":"field required"}]}', "application/json", "field required"),
        (b'{"message":"quota"}', "application/json", "HTTP 500: quota"),
        (b'{"error":"plain"}', "application/json", "HTTP 500: plain"),
        (b"Internal Server Error", "text/plain", "HTTP 500: Internal Server Error"),
        (PAGE.encode(), "text/html", "HTTP 500: no reason given: '<!DOCTYPE html>"),
        (b"", None, "HTTP 500: no reason given"),
        (b"\xff\xfe\x00", "application/json", "HTTP 500: "),
        (b"[" * 100_000, "application/json", "HTTP 500: "),
    ],
    ids=["detail", "details", "message", "text", "plain", "page", "empty", "bytes", "deep"],
)
async def test_a_refusal_in_any_shape_is_one_by_its_status(body: bytes, content_type: str | None, words: str) -> None:
    error = await failed(whole(body, status=500, content_type=content_type, headers=[("X-Request-Id", "r-1"), ("Set-Cookie", "a=b")]))
    assert isinstance(error, ServerError)
    assert words in str(error)
    assert len(str(error)) <= 2000
    assert (error.status, error.request_id, error.cause, "set-cookie" in error.headers) == (500, "r-1", "server-error", False)


# ------------------------------------------------------------------------------------------------------------------------------ compression

GZIP = ("Content-Encoding", "gzip")


@pytest.mark.parametrize("how", ["flushed", "late"])
async def test_a_stream_that_is_compressed_though_nobody_asked(how: Any) -> None:
    async with loopback.serve(Script(text="one two", gzip=how)) as server:
        assert await read(server.url) == (ANSWER, None)
        assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_compressed_stream_is_told_as_it_comes() -> None:
    squeeze = zlib.compressobj(wbits=31)
    one, rest = (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH) for data in (ONE, TWO + STOP + DONE))
    gate = asyncio.Event()
    exchange = Exchange(head(headers=[GZIP]), chunk(one), gate, chunk(rest), LAST_CHUNK, end=End.OPEN)
    async with BytesServer(exchange) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert await anext(answer) == TextDelta("one")
        gate.set()
        assert (await answer.result()).text == "one two"


async def test_a_compressed_stream_without_its_trailer_is_judged_by_its_words() -> None:
    async with loopback.serve(Script(text="one two", gzip="cut")) as server:
        assert await read(server.url) == (ANSWER, None)
    async with loopback.serve(Script(text="one two", gzip="cut", cut_after=1)) as server:
        told = await read(server.url)
    assert isinstance(told.error, TruncatedAnswer)
    assert told.error.partial == told.text == "one"


async def test_a_compressed_stream_that_is_damaged() -> None:
    squeeze = zlib.compressobj(wbits=31)
    one = squeeze.compress(ONE) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    told = await outcome(Exchange(head(headers=[GZIP]), chunk(one), chunk(b"\xff" * 40), LAST_CHUNK))
    assert isinstance(told.error, UnexpectedResponse)
    assert (told.error.cause, told.text) == ("bad-encoding", "one")
    assert "\n" not in str(told.error)


async def test_a_whole_answer_that_is_compressed() -> None:
    body = gzip.compress(WHOLE)
    for data in (body, body[:-8]):  # the trailer is only a sum
        async with BytesServer(whole(data, headers=[GZIP])) as server, Client(server.url) as chat:
            assert (await chat.complete("hi")).text == "one two"
            assert "gzip" in (server.requests[0].header("Accept-Encoding") or "")
    for data in (b"not compressed", body[:12] + b"\xff" * 30):
        assert (await failed(whole(data, headers=[GZIP]))).cause == "bad-encoding"
    assert isinstance(await failed(whole(body[: len(body) // 2], headers=[GZIP])), BadJSON | EmptyResponse)


async def test_a_compression_that_nobody_knows_is_left_as_it_is() -> None:
    assert await answered(whole(WHOLE, headers=[("Content-Encoding", "x-nothing")])) == [TextDelta("one two"), Finish("stop")]
    assert isinstance(await failed(whole(b"\x00\x01\x02\x03\x04\x05\x06", headers=[("Content-Encoding", "x-magic")])), NotSSE)


# ---------------------------------------------------------------------------------------------------------------------------------- too much


def words(count: int, index: int = 0) -> bytes:
    return b'data: {"choices":[{"index":%d,"delta":{"content":"%b"}}]}\n\n' % (index, b"x" * count)


@pytest.mark.parametrize("big", [words(2000), words(2000)[:-2], b"data: " + b"x" * 2000, b"data: x\n" * 500])
async def test_an_event_that_is_too_large_ends_the_answer_after_what_was_good(big: bytes) -> None:
    for exchange in (stream(ONE, TWO, big), stream(ONE + TWO + big)):
        told = await outcome(exchange, limits=Limits(max_event=1000))
        assert isinstance(told.error, TooLarge)
        assert (told.error.limit, told.error.cause, told.text) == (1000, "answer-too-large", "one two")


async def test_an_answer_that_is_too_large_ends_after_what_was_good() -> None:
    told = await outcome(stream(*[words(100)] * 20, STOP, DONE), limits=Limits(max_answer=1000))
    assert isinstance(told.error, TooLarge)
    assert (told.error.limit, told.text) == (1000, "x" * 1000)


@pytest.mark.parametrize("length", [True, False])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(length: bool) -> None:
    body = WHOLE[:-1] + b" " * 5000
    exchange = Exchange(head(content_type="application/json", length=10**9 if length else None), body if length else chunk(body), end=End.OPEN)
    error = await failed(exchange, limits=Limits(max_body=1000))
    assert isinstance(error, TooLarge)
    assert error.limit == 1000


async def test_the_words_of_a_refusal_are_read_no_further_than_needed() -> None:
    exchange = Exchange(head(500, content_type="text/plain", length=10**9), b"x" * 5000, end=End.OPEN)
    error = await failed(exchange, limits=Limits(max_error=1000))
    assert isinstance(error, ServerError)
    assert error.raw == "x" * 1000


# ----------------------------------------------------------------------------------------------------------------------------------- no HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n",
        ONE + STOP + DONE,
    ],
    ids=["ssh", "tls", "status", "status-99", "header", "nul", "negative", "no-number", "lengths", "long", "many", "reason", "http-0.9"],
)
async def test_what_is_no_http(data: bytes) -> None:
    error = await failed(Exchange(data))
    assert isinstance(error, UnexpectedResponse)
    assert error.cause == "bad-http"
    assert error.fix == "check that the port speaks HTTP"
    assert len(str(error)) < 500


async def test_a_switch_of_protocols_that_nobody_asked_for() -> None:
    error = await failed(Exchange(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"))
    assert isinstance(error, UnexpectedResponse)


# ------------------------------------------------------------------------------------------------------------------------------ no connection


def tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


async def connecting(url: str, **options: Any) -> ResponseError:
    told = await read(url, **options)
    assert told.error is not None
    return told.error


async def test_a_certificate_that_nobody_trusts_is_no_connection() -> None:
    async with BytesServer(ssl=tls()) as server:
        error = await connecting(server.url)
        await server.all_gone()
        assert server.requests == []
    assert isinstance(error, ConnectFailed)
    assert (error.cause, "ssl=" in (error.fix or "")) == ("tls-failed", True)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)


async def test_tls_with_the_right_authority_or_with_none() -> None:
    trusting = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")
    for ssl_option in (trusting, False):
        async with BytesServer(stream(ONE, TWO, STOP, DONE), ssl=tls()) as server:
            assert await read(server.url, ssl=ssl_option) == (ANSWER, None)


async def test_a_server_that_speaks_no_tls() -> None:
    async with BytesServer(Exchange(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        error = await connecting(server.url.replace("http:", "https:"), timeout=0.2)
    assert error.cause in ("tls-failed", "total-timeout")


async def test_a_port_where_nobody_listens(unused_tcp_port: int) -> None:
    error = await connecting(f"http://127.0.0.1:{unused_tcp_port}")
    assert isinstance(error, ConnectFailed)
    assert (str(error), error.cause) == (f"nobody listens at 127.0.0.1:{unused_tcp_port}", "connect-refused")


@pytest.mark.parametrize(("name", "ascii"), [("nowhere.invalid", "nowhere.invalid"), ("НИГДЕ.invalid", "xn--c1acdjy.invalid")])
async def test_a_name_that_nobody_has(name: str, ascii: str) -> None:
    error = await connecting(f"http://{name}:8000/v1")
    assert isinstance(error, ConnectFailed)
    assert error.cause == "dns-failed"
    assert str(error).startswith(f"no address is known for {ascii}: ")


# ------------------------------------------------------------------------------------------------------------------------------------- events


async def events(*pieces: bytes, end: End = End.OPEN, last: bytes = LAST_CHUNK, **options: Any) -> tuple[list[str], ResponseError | None]:
    told: list[str] = []
    async with BytesServer(Exchange(head(), *map(chunk, pieces), last, end=end)) as server, Client(server.url, retries=0, **options) as chat:
        try:
            async with chat.stream("hi") as answer:
                async for event in answer.events():
                    told.append(event.data)
        except ResponseError as error:
            return told, error
    return told, None


async def test_events_are_told_whatever_they_mean() -> None:
    assert await events(b"data: a\n\ndata: b\n\n", b"event: error\ndata: c\n\n", b"data: half") == (["a", "b", "c"], None)


async def test_events_end_with_done_though_the_connection_stays() -> None:
    assert await events(b"data: a\n\n", b"data: [DONE]\n\ndata: late\n\n", last=b"", timeout=None) == (["a", "[DONE]"], None)


async def test_events_before_an_error_are_told() -> None:
    told, error = await events(b"data: a\n\n", last=b"", end=End.CLOSE)
    assert (told, type(error)) == (["a"], ConnectionLost)
    told, error = await events(b"data: a\n\ndata: " + b"x" * 2000, limits=Limits(max_event=1000))
    assert (told, type(error)) == (["a"], TooLarge)


async def test_events_of_what_came_whole() -> None:
    async with BytesServer(whole(b'{"any":"thing \xff"}')) as server, Client(server.url) as chat, chat.stream("hi") as answer:
        assert [event async for event in answer.events()] == [ServerSentEvent(data='{"any":"thing \ufffd"}')]


# ------------------------------------------------------------------------------------------------------------------------------------ anything


FRAGMENTS: Sequence[bytes] = (
    *(
        ONE,
        TWO,
        STOP,
        DONE,
        WHOLE,
        b"data: ",
        b"data: {",
        b"\n\n",
        b"\r\n",
        b"\r",
        b": x\n",
        b"event: error\n",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(b"{", b"<html>", b'{"error":', b'"choices":[', b"null", b"1e999", b"NaN", b'"\\ud83d"', b"[DONE]"),
)
HEADS: Sequence[bytes] = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 \r\n", b"HTTP/1.0 200\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"),
    *(
        b"Content-Type: text/event-stream\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Retry-After: 1\r\n",
        b"Location: x\r\n",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
    ),
)

anything = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([*FRAGMENTS])), max_size=8).map(b"".join)
any_response = st.lists(st.one_of(st.binary(max_size=10), st.sampled_from([*HEADS, *FRAGMENTS])), max_size=10).map(b"".join)


def judge(told: Outcome) -> None:
    """What every outcome must be: an error of ours with the text, or an answer that is complete."""
    if told.error is None:
        assert any(isinstance(part, Finish) for part in told.parts)
        return
    error = told.error
    assert error.partial.startswith(told.text) or told.text == ""
    assert str(error)
    assert error.cause
    assert len(str(error)) <= 2000


def play(*exchanges: Exchange, **options: Any) -> None:
    async def main() -> Outcome:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        async with BytesServer(*exchanges) as server:
            return await read(server.url, **options)

    unhandled: list[dict[str, Any]] = []
    judge(asyncio.run(main()))
    assert unhandled == []


@settings(max_examples=50)
@given(anything, st.sampled_from(["text/event-stream", "application/json", "text/plain", None]), st.booleans())
def test_no_body_brings_a_foreign_error(body: bytes, content_type: str | None, lenient: bool) -> None:
    play(whole(body, content_type=content_type), lenient=lenient)


@settings(max_examples=50)
@given(any_response)
def test_no_response_brings_a_foreign_error(response: bytes) -> None:
    play(Exchange(response), timeout=20)


@settings(max_examples=30)
@given(anything, st.integers(300, 599))
def test_no_refusal_brings_a_foreign_error(body: bytes, status: int) -> None:
    play(whole(body, status=status))
