"""The client against real servers: every way in which the service or its clients were seen to fail, and nothing left behind by any of them.

Unless a test says otherwise it runs over each transport, against python-socketio in `perplexity_labs.loopback`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from engineio_lite import ConnectRefused, EngineIOError, HandshakeError, PayloadTooLarge, Timeouts, TransportClosed
from perplexity_labs import (
    Citations,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Finish,
    LabsClient,
    MessageError,
    Part,
    Phase,
    Reply,
    ResponseError,
    ResponseTimeout,
    ServiceError,
    TextDelta,
    TextReset,
    Timeout,
    encode_request,
    loopback,
)
from perplexity_labs.loopback import JOKE, REWRITTEN, SOURCES
from tests.labs.servers import OPEN, RawServer, proxy_server, raw_server

Transports = tuple[str, ...]

PROMPT = 2.0
"""Seconds in which what happens at once has happened, on a loaded machine."""


@pytest.fixture(params=[("polling",), ("websocket",), ("polling", "websocket")], ids="+".join)
def transports(request: pytest.FixtureRequest) -> Transports:
    """Each way to travel in turn."""
    chosen: Transports = request.param
    return chosen


def text_of(parts: list[Part]) -> str:
    text = ""
    for part in parts:
        match part:
            case TextDelta(delta):
                text += delta
            case TextReset(whole):
                text = whole
    return text


async def read(parts: AsyncGenerator[Part, None]) -> list[Part]:
    return [part async for part in parts]


async def fail(parts: AsyncGenerator[Part, None]) -> tuple[str, ResponseError]:
    """Read an answer that fails: the text that was streamed, and the error."""
    seen: list[Part] = []

    async def note() -> None:
        async for part in parts:
            seen.append(part)

    with pytest.raises(ResponseError) as caught:
        await note()
    return text_of(seen), caught.value


async def gone(server: loopback.LoopbackServer) -> list[str | None]:
    """Wait until the server has seen everyone leave, which must be prompt; why they left, in its words."""
    async with asyncio.timeout(PROMPT):
        await server.everyone_left()
    return [visitor.left for visitor in server.visitors]


# ---------------------------------------------------------------------------------------------------------------------------------- the answer


async def test_an_answer_streams(transports: Transports) -> None:
    async with loopback.serve(pace=0.005) as server, LabsClient(server.url, transports=transports) as labs:
        parts = await read(labs.stream("Tell me a joke", model="sonar"))
        assert text_of(parts) == JOKE
        assert len([part for part in parts if isinstance(part, TextDelta)]) == 42
        assert [part for part in parts if isinstance(part, Citations)] == [Citations(SOURCES)]
        assert parts[-1] == Finish("stop")
        [visitor] = server.visitors
        assert visitor.auth == {"jwt": "anonymous-ask-user"}
        assert visitor.questions == [encode_request("Tell me a joke", model="sonar")]
        assert visitor.transport == transports[-1]


async def test_text_comes_as_it_is_said_and_not_at_the_end(transports: Transports) -> None:
    async with loopback.serve(replies=[("x", ({"output": "first"},))]) as server, LabsClient(server.url, transports=transports) as labs:
        async with aclosing(labs.stream("hi")) as parts, asyncio.timeout(PROMPT):
            assert await anext(parts) == TextDelta("first")


async def test_fields_and_models_are_configurable_and_unknown_models_pass() -> None:
    async with loopback.serve(pace=0) as server:
        async with LabsClient(server.url, jwt="mine", version="3", source="test", headers={"Origin": "http://labs.test", "X-Mine": "1"}) as labs:
            await read(labs.stream("hi", model="no-such-model"))
        [visitor] = server.visitors
        assert visitor.auth == {"jwt": "mine"}
        assert visitor.questions == [encode_request("hi", model="no-such-model", version="3", source="test")]
        assert (visitor.headers["Origin"], visitor.headers["X-Mine"]) == ("http://labs.test", "1")


async def test_it_is_honest_about_itself(transports: Transports) -> None:
    async with loopback.serve(pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        await read(labs.stream("hi"))
        headers = {name.lower(): value for name, value in server.visitors[0].headers.items()}
        assert "engineio-lite" in headers["user-agent"]
        assert "Mozilla" not in headers["user-agent"]
        assert headers.keys().isdisjoint({"origin", "referer"})


# -------------------------------------------------------------------------------------------------- the table of fragilities, row by row, in order


async def test_a_ping_before_the_first_token_is_answered(transports: Transports) -> None:
    # A client without a pong would be dead at 2.2 s: python-engineio gives it a second, and looks when it next sends.
    async with loopback.serve(ping_interval=1, ping_timeout=1, delay_first=2.2, pace=0) as server:
        async with LabsClient(server.url, transports=transports) as labs:
            assert text_of(await read(labs.stream("hi"))) == JOKE


async def test_pings_during_the_answer_are_answered(transports: Transports) -> None:
    async with loopback.serve(ping_interval=1, ping_timeout=1, pace=0.06) as server, LabsClient(server.url, transports=transports) as labs:
        assert text_of(await read(labs.stream("hi"))) == JOKE


ANSWER = "42" + json.dumps(["sonar_query_progress", {"output": "hello", "final": True}])


async def _converse_by_hand(server: RawServer, *, release_poll: str, on_socket: tuple[str, ...]) -> list[Part]:
    """Play a server through the upgrade and one answer; it releases the waiting GET with one packet and says others on the WebSocket first."""
    asked = asyncio.Event()

    async def conduct(socket: web.WebSocketResponse) -> None:
        assert await socket.receive_str() == "2probe"
        await socket.send_str("3probe")
        server.polls.put_nowait(release_poll)
        assert await socket.receive_str() == "5"
        for packet in on_socket:
            await socket.send_str(packet)
        if not asked.is_set():
            assert (await socket.receive_str()).startswith('42["perplexity_labs",')
        await socket.send_str(ANSWER)
        assert await socket.receive_str() == "41"
        await socket.receive()

    async def polling() -> None:
        server.polls.put_nowait(OPEN)
        assert (await server.posted.get()).startswith("40{")
        server.polls.put_nowait('40{"sid":"x"}')
        # The question may travel by POST or, after the upgrade, by WebSocket.
        if (await server.posted.get()).startswith('42["perplexity_labs",'):
            asked.set()

    server.on_websocket = conduct
    talking = asyncio.create_task(polling())
    try:
        async with LabsClient(server.url) as labs:
            return await read(labs.stream("hi"))
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


@pytest.mark.parametrize(
    ("release_poll", "on_socket"),
    [("6", ()), ("6", ("6",)), ('42["news"]', ()), ('42["news"]', ("6", "6")), ("6\x1e6", ("2", "6"))],
    ids=["poll", "both", "nowhere", "socket", "many"],
)
async def test_a_noop_may_come_anywhere_or_nowhere(release_poll: str, on_socket: tuple[str, ...]) -> None:
    async with raw_server() as server, asyncio.timeout(10):
        parts = await _converse_by_hand(server, release_poll=release_poll, on_socket=on_socket)
        assert parts == [TextDelta("hello"), Finish()]


@pytest.mark.parametrize("post_answer", ["ok", "OK", "okay", ""])
async def test_several_packets_in_one_poll_and_any_answer_to_a_post(post_answer: str) -> None:
    async with raw_server() as server, LabsClient(server.url, transports=("polling",)) as labs:
        server.post_answer = post_answer
        server.polls.put_nowait(OPEN)
        server.polls.put_nowait('40{"sid":"x"}\x1e42["news"]\x1e2')
        answer = asyncio.create_task(read(labs.stream("hi")))
        posted = ""
        async with asyncio.timeout(PROMPT):
            while "perplexity_labs" not in posted:
                posted += await server.posted.get()
        server.polls.put_nowait('42["x",{"output":"he"}]\x1e42["x",{"output":"hello"}]\x1e42["x",{"final":true}]\x1e6')
        assert await answer == [TextDelta("he"), TextDelta("llo"), Finish()]


@pytest.mark.parametrize("answer", ["", "<html>Just a moment...</html>", '{"code":0,"message":"Transport unknown"}', "97:0{}", "nonsense"])
async def test_what_is_no_handshake_is_a_typed_error(answer: str) -> None:
    async with raw_server() as server, LabsClient(server.url) as labs:
        for _ in range(20):  # an empty answer may be asked again
            server.polls.put_nowait(answer)
        with pytest.raises(ConnectFailed) as caught:
            await read(labs.stream("hi"))
        assert isinstance(caught.value.__cause__, HandshakeError)
        assert caught.value.cause == caught.value.__cause__.cause
        assert caught.value.__cause__.stage


async def test_a_rewritten_answer_is_reset(transports: Transports) -> None:
    async with loopback.serve(rewrite_at=20, pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        parts = await read(labs.stream("hi"))
        resets = [part for part in parts if isinstance(part, TextReset)]
        assert len(resets) == 1
        assert resets[0].text.startswith(REWRITTEN)
        assert text_of(parts) == server_text(rewrite_at=20)


def server_text(*, rewrite_at: int) -> str:
    return REWRITTEN + "".join(loopback.split(JOKE)[rewrite_at:])


async def test_an_empty_output_repeats_nothing(transports: Transports) -> None:
    replies: list[loopback.Reply] = [("r1-1776_query_progress", ({"output": output},)) for output in ("", "", "<think>", "<think>\nhm")]
    replies.append(("r1-1776_query_progress", ({"output": "<think>\nhm</think>yes", "final": True},)))
    async with loopback.serve(replies=replies, pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        assert await read(labs.stream("hi")) == [TextDelta("<think>"), TextDelta("\nhm"), TextDelta("</think>yes"), Finish()]


@pytest.mark.parametrize("missing", [["final"], ["citations"], ["status"], ["citations", "status"], ["final", "citations"]], ids="+".join)
async def test_missing_fields_are_tolerated(missing: list[str]) -> None:
    async with loopback.serve(missing_fields=missing, pace=0) as server, LabsClient(server.url) as labs:
        parts = await read(labs.stream("hi"))
        assert text_of(parts) == JOKE
        assert (Citations(SOURCES) in parts) == ("citations" not in missing)
        assert parts[-1] == Finish()


async def test_citations_come_even_if_the_final_reply_has_none(transports: Transports) -> None:
    replies = [("x", ({"output": "a", "citations": ["https://a"]},)), ("x", ({"final": True},))]
    async with loopback.serve(replies=replies, pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        assert await read(labs.stream("hi")) == [TextDelta("a"), Citations(("https://a",)), Finish()]


async def test_events_without_payload_binary_and_unrelated_ones_are_ignored(transports: Transports) -> None:
    odd: list[loopback.Reply] = [
        ("sonar_query_progress", ()),
        ("sonar_query_progress", (None,)),
        ("sonar_query_progress", ("text",)),
        ("sonar_query_progress", ([1, 2],)),
        ("sonar_query_progress", (b"\x00\xff",)),
        ("sonar_query_progress", ({"blob": b"\x00"},)),
        ("presence", ({"status": "online"},)),
        ("presence", ()),
    ]
    good: list[loopback.Reply] = [("x", ({"output": "a"},)), ("y", ({"output": "ab", "final": True},))]
    async with loopback.serve(replies=[*odd, good[0], *odd, good[1], *odd], pace=0) as server:
        async with LabsClient(server.url, transports=transports) as labs:
            assert await read(labs.stream("hi")) == [TextDelta("a"), TextDelta("b"), Finish()]


async def test_an_acknowledgement_and_a_request_for_one_are_ignored() -> None:
    async with raw_server() as server, LabsClient(server.url, transports=("polling",)) as labs:
        server.polls.put_nowait(OPEN)
        server.polls.put_nowait('40{"sid":"x"}')
        answer = asyncio.create_task(read(labs.stream("hi")))
        async with asyncio.timeout(PROMPT):
            while "perplexity_labs" not in await server.posted.get():
                pass
        server.polls.put_nowait('437[]\x1e429["x",{"output":"hello","final":true}]')
        assert await answer == [TextDelta("hello"), Finish()]


async def test_content_that_is_no_text_is_refused_before_anything_is_sent() -> None:
    async with loopback.serve() as server, LabsClient(server.url) as labs:
        with pytest.raises(MessageError, match="only text can be sent"):
            labs.stream([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}])
        assert server.visitors == []


async def test_neither_of_two_assistant_messages_is_lost(transports: Transports) -> None:
    messages = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("assistant", "c"), ("user", "d"))]
    async with loopback.serve(pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        await read(labs.stream(messages))
        [question] = server.questions
        assert [message["content"] for message in question["messages"]] == ["a", "b\n\nc", "d"]


@pytest.mark.parametrize("name", ["{model}_query_progress", "perplexity_labs", "oops"])
async def test_a_failed_answer_is_an_error_under_any_name(transports: Transports, name: str) -> None:
    async with loopback.serve(fail="Too many requests\n", fail_after=3, reply_name=name, pace=0) as server:
        async with LabsClient(server.url, transports=transports) as labs:
            seen, error = await fail(labs.stream("hi"))
            assert type(error) is ServiceError
            assert (error.message, error.partial, seen) == ("Too many requests", "A long poll", "A long poll")
            assert error.raw == {"final": True, "status": "failed", "text": "Too many requests\n"}
        assert await gone(server) == ["client disconnect"]


async def test_a_refused_connection_is_an_error_with_the_servers_words(transports: Transports) -> None:
    async with loopback.serve(refuse="come back later") as server, LabsClient(server.url, transports=transports) as labs:
        _, error = await fail(labs.stream("hi"))
        assert type(error) is ServiceError
        assert (error.message, error.cause) == ("come back later", "namespace-refused")
        assert isinstance(error.__cause__, ConnectRefused)


async def test_fields_that_have_all_changed_are_named(transports: Transports) -> None:
    replies = [("sonar_query_progress", ({"answer": "hello", "done": True, "final": True},))]
    async with loopback.serve(replies=replies) as server, LabsClient(server.url, transports=transports) as labs:
        _, error = await fail(labs.stream("hi"))
        assert error.message == ("the answer ended without any text: expected `output`, saw keys 'answer', 'done', 'final' in 'sonar_query_progress'")


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'temperature'"):
        LabsClient("http://127.0.0.1:9", temperature=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="temperature"):
        LabsClient("http://127.0.0.1:9").stream("hi", temperature=1)  # type: ignore[call-arg]


async def test_no_first_token_in_time(transports: Transports) -> None:
    async with loopback.serve(delay_first=60) as server:
        async with LabsClient(server.url, transports=transports, timeout=Timeout(first_token=0.3)) as labs:
            _, error = await fail(labs.stream("hi"))
            assert isinstance(error, ResponseTimeout)
            assert (error.phase, error.seconds, error.partial) == (Phase.FIRST_TOKEN, 0.3, "")
            assert error.message == "no text within 0.3 s"
        assert await gone(server) == ["client disconnect"]


async def test_no_first_token_says_what_came_instead() -> None:
    replies: list[loopback.Reply] = [("sonar_answer", ({"delta": "h", "n": 1},)), ("sonar_answer", ({"delta": "i", "n": 2},))]
    async with loopback.serve(replies=replies, pace=0) as server, LabsClient(server.url, timeout=Timeout(first_token=0.3)) as labs:
        _, error = await fail(labs.stream("hi"))
        assert error.message == "no text within 0.3 s; these events are no reply: 'sonar_answer' with keys 'delta', 'n'"


async def test_replies_without_text_are_no_first_token() -> None:
    replies: list[loopback.Reply] = [("x", ({"output": "", "status": "pending"},))] * 100
    async with loopback.serve(replies=replies, pace=0.02) as server, LabsClient(server.url, timeout=Timeout(first_token=0.4, idle=0.1)) as labs:
        _, error = await fail(labs.stream("hi"))
        assert isinstance(error, ResponseTimeout)
        assert error.phase is Phase.FIRST_TOKEN


async def test_silence_in_the_middle_keeps_the_text(transports: Transports) -> None:
    replies: list[loopback.Reply] = [("x", ({"output": "so far"},))]
    async with loopback.serve(replies=replies) as server:
        async with LabsClient(server.url, transports=transports, timeout=Timeout(idle=0.3)) as labs:
            seen, error = await fail(labs.stream("hi"))
            assert isinstance(error, ResponseTimeout)
            assert (error.phase, error.partial, seen) == (Phase.IDLE, "so far", "so far")
        assert await gone(server) == ["client disconnect"]


async def test_events_that_are_no_reply_do_not_break_the_silence() -> None:
    replies: list[loopback.Reply] = [("x", ({"output": "so far"},)), *[("presence", ({"status": "online"},))] * 100]
    async with loopback.serve(replies=replies, pace=0.02) as server, LabsClient(server.url, timeout=Timeout(idle=0.4)) as labs:
        _, error = await fail(labs.stream("hi"))
        assert isinstance(error, ResponseTimeout)
        assert error.phase is Phase.IDLE


async def test_a_slow_reader_is_not_the_servers_silence() -> None:
    async with loopback.serve(text="a b c", pace=0.05) as server, LabsClient(server.url, timeout=Timeout(idle=0.3)) as labs:
        seen = []
        async for part in labs.stream("hi"):
            seen.append(part)
            if len(seen) == 1:
                await asyncio.sleep(0.5)
        assert text_of(seen) == "a b c"


async def test_the_whole_is_bounded(transports: Transports) -> None:
    async with loopback.serve(pace=0.05) as server:
        async with LabsClient(server.url, transports=transports, timeout=Timeout(total=0.5)) as labs:
            seen, error = await fail(labs.stream("hi"))
            assert isinstance(error, ResponseTimeout)
            assert error.phase is Phase.TOTAL
            assert error.partial == seen
            assert JOKE.startswith(seen)
            assert seen
        assert await gone(server) == ["client disconnect"]


async def test_the_whole_includes_connecting() -> None:
    async with raw_server() as server, LabsClient(server.url, timeout=Timeout(total=0.3)) as labs:
        _, error = await fail(labs.stream("hi"))
        assert isinstance(error, ResponseTimeout)
        assert (error.phase, error.message) == (Phase.TOTAL, "no end of the answer within 0.3 s")


async def test_a_number_is_a_limit_for_the_whole() -> None:
    async with raw_server() as server, LabsClient(server.url, timeout=0.3) as labs:
        _, error = await fail(labs.stream("hi"))
        assert isinstance(error, ResponseTimeout)
        assert (error.phase, error.message) == (Phase.TOTAL, "no end of the answer within 0.3 s")


@pytest.mark.parametrize("pattern", ["drop_after", "disconnect_after", "close_after"])
async def test_a_connection_that_ends_in_the_middle_keeps_the_text(transports: Transports, pattern: str) -> None:
    how: dict[str, Any] = {pattern: 3}
    async with loopback.serve(pace=0.02, **how) as server, LabsClient(server.url, transports=transports) as labs:
        seen, error = await fail(labs.stream("hi"))
        assert type(error) is ConnectionLost
        assert (error.partial, seen) == ("A long poll", "A long poll")
        assert isinstance(error.__cause__, EngineIOError)
        assert error.cause == error.__cause__.cause
        if pattern != "drop_after":
            assert error.cause == {"disconnect_after": "server-disconnected", "close_after": "server-closed"}[pattern]
        assert error.message.startswith("the connection ended in the middle of the answer: ")


async def test_the_close_code_and_reason_are_in_the_error() -> None:
    async def conduct(socket: web.WebSocketResponse) -> None:
        await socket.send_str(OPEN)
        assert (await socket.receive_str()).startswith("40")
        await socket.send_str('40{"sid":"x"}')
        assert (await socket.receive_str()).startswith("42")
        await socket.send_str('42["x",{"output":"so far"}]')
        await socket.close(code=1013, message=b"overloaded")

    async with raw_server() as server, LabsClient(server.url, transports=("websocket",)) as labs:
        server.on_websocket = conduct
        seen, error = await fail(labs.stream("hi"))
        assert (seen, error.partial) == ("so far", "so far")
        assert isinstance(error.__cause__, TransportClosed)
        assert (error.__cause__.code, error.__cause__.reason) == (1013, "overloaded")


async def test_one_proxy_serves_polling_and_websocket_alike(transports: Transports) -> None:
    # Slow enough for the upgrade to be over before the answer is.
    async with loopback.serve(pace=0.02) as server, proxy_server() as proxy:
        async with LabsClient(server.url, transports=transports, proxy=proxy.url) as labs:
            assert text_of(await read(labs.stream("hi"))) == JOKE
        assert server.visitors[0].transport == transports[-1]
        assert await gone(server) == ["client disconnect"]
        methods = {request.split(" ")[0] for request in proxy.requests}
        assert methods >= {{"polling": "GET", "websocket": "CONNECT"}[transport] for transport in transports}
        assert ("CONNECT" in methods) == ("websocket" in transports)
        assert not any("transport=websocket" in request for request in proxy.requests)


async def test_a_dead_proxy_is_named(transports: Transports) -> None:
    async with loopback.serve() as server:
        async with LabsClient(server.url, transports=transports, proxy="http://127.0.0.1:9") as labs:
            with pytest.raises(ConnectFailed) as caught:
                await read(labs.stream("hi"))
            assert caught.value.cause == "proxy-failed"
        assert server.visitors == []


async def test_a_server_that_is_not_there_is_named(transports: Transports) -> None:
    async with LabsClient("http://127.0.0.1:9", transports=transports) as labs:
        with pytest.raises(ConnectFailed) as caught:
            await read(labs.stream("hi"))
        assert caught.value.cause == "connect-refused"


async def test_every_request_is_its_own_and_a_get_has_no_body() -> None:
    targets: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        targets.append(str(request.rel_url))
        assert request.method == "POST" or not await request.read()
        return await RawServer.handle(server, request)

    async with raw_server() as server, LabsClient(server.url, transports=("polling",)) as labs:
        server.handle = note  # type: ignore[method-assign]
        server.polls.put_nowait(OPEN)
        server.polls.put_nowait('40{"sid":"x"}')
        server.polls.put_nowait(ANSWER)
        assert await read(labs.stream("hi")) == [TextDelta("hello"), Finish()]
    assert len(targets) == len(set(targets))


async def test_leaving_tells_the_server_at_once(transports: Transports) -> None:
    async with loopback.serve(pace=0) as server:
        async with LabsClient(server.url, transports=transports) as labs:
            await read(labs.stream("hi"))
            assert await gone(server) == ["client disconnect"]


# ----------------------------------------------------------------------------------------------------------- leaving early, cancelling, closing


async def test_breaking_out_of_the_loop_leaves_and_the_next_answer_is_clean(transports: Transports) -> None:
    async with loopback.serve(pace=0.005) as server, LabsClient(server.url, transports=transports) as labs:
        async for part in labs.stream("first"):
            assert isinstance(part, TextDelta)
            break
        assert await gone(server) == ["client disconnect"]
        assert text_of(await read(labs.stream("second"))) == JOKE
        assert [question["messages"][0]["content"] for question in server.questions] == ["first", "second"]


async def test_late_replies_do_not_leak_into_the_next_answer(transports: Transports) -> None:
    async with loopback.serve(text="one two three", pace=0.3) as server, LabsClient(server.url, transports=transports) as labs:
        async for _ in labs.stream("first"):
            break
        # Asked while the server is still busy with the first one: nothing of that may come.
        assert text_of(await read(labs.stream("second"))) == "one two three"
        assert [question["messages"][0]["content"] for question in server.questions] == ["first", "second"]


async def test_leaving_the_client_ends_a_loop_that_was_left(transports: Transports) -> None:
    async with loopback.serve() as server:
        async with LabsClient(server.url, transports=transports) as labs:
            parts = labs.stream("hi")
            await anext(parts)
        assert await gone(server) == ["client disconnect"]
        with pytest.raises(ConnectionLost):
            await read(parts)


async def test_questions_can_be_asked_side_by_side(transports: Transports) -> None:
    async with loopback.serve(pace=0.002) as server, LabsClient(server.url, transports=transports) as labs:
        answers = await asyncio.gather(*(read(labs.stream(f"question {n}")) for n in range(5)))
        assert [text_of(parts) for parts in answers] == [JOKE] * 5
        assert len(server.visitors) == 5
        assert await gone(server) == ["client disconnect"] * 5


async def test_closing_wakes_an_answer_that_is_waited_for(transports: Transports) -> None:
    async with loopback.serve(replies=[("x", ({"output": "so far"},))]) as server:
        labs = LabsClient(server.url, transports=transports)
        parts = labs.stream("hi")
        await anext(parts)
        waiting = asyncio.create_task(read(parts))
        await asyncio.sleep(0)
        await labs.aclose()
        with pytest.raises(ConnectionLost, match="the client was closed") as caught:
            await waiting
        assert (caught.value.cause, caught.value.partial) == ("client-closed", "so far")
        assert await gone(server) == ["client disconnect"]
        await labs.aclose()


async def test_closing_wakes_an_answer_that_is_connecting() -> None:
    async with raw_server() as server:
        labs = LabsClient(server.url)
        waiting = asyncio.create_task(read(labs.stream("hi")))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PROMPT):
            await labs.aclose()
        with pytest.raises(ConnectionLost, match="the client was closed"):
            await waiting


async def test_a_closed_client_answers_no_more() -> None:
    async with LabsClient("http://127.0.0.1:9") as labs:
        pass
    with pytest.raises(ConfigurationError, match="the client is closed") as caught:
        await read(labs.stream("hi"))
    assert caught.value.cause == "client-closed"


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.parametrize("turns", [*range(12), *range(12, 120, 9)])
async def test_cancelling_at_any_moment_leaves_nothing(transports: Transports, turns: int) -> None:
    async with loopback.serve(pace=0.001) as server:
        async with LabsClient(server.url, transports=transports) as labs:
            before = others()
            reading = asyncio.create_task(read(labs.stream("hi")))
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await asyncio.sleep(0)
            assert others() == before
            await gone(server)
            assert text_of(await read(labs.stream("again"))) == JOKE


@pytest.mark.parametrize("parts", [1, 5, 42])
async def test_cancelling_in_the_middle_of_an_answer_leaves_nothing(transports: Transports, parts: int) -> None:
    reached = asyncio.Event()

    async def count(labs: LabsClient) -> None:
        seen = 0
        async for _ in labs.stream("hi"):
            seen += 1
            if seen == parts:
                reached.set()

    async with loopback.serve(pace=0.005) as server, LabsClient(server.url, transports=transports) as labs:
        before = others()
        reading = asyncio.create_task(count(labs))
        await reached.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.sleep(0)
        assert others() == before
        assert await gone(server) == ["client disconnect"]


async def test_leaving_a_server_that_has_stopped_listening_is_bounded() -> None:
    async def conduct(socket: web.WebSocketResponse) -> None:
        await socket.send_str(OPEN)
        await socket.receive_str()
        await socket.send_str('40{"sid":"x"}')
        await socket.receive_str()
        await socket.send_str('42["x",{"output":"so far"}]')
        await asyncio.Event().wait()

    async with raw_server() as server:
        server.on_websocket = conduct
        async with LabsClient(server.url, transports=("websocket",), timeouts=Timeouts(close=0.2)) as labs:
            async with asyncio.timeout(PROMPT):
                async with aclosing(labs.stream("hi")) as parts:
                    assert await anext(parts) == TextDelta("so far")


# ---------------------------------------------------------------------------------------------------------------------------------- odds and ends


async def test_the_callers_session_is_used_and_left_alone(transports: Transports) -> None:
    async with aiohttp.ClientSession(headers={"X-Session": "mine"}) as session, loopback.serve(pace=0) as server:
        async with LabsClient(server.url, transports=transports, session=session) as labs:
            assert text_of(await read(labs.stream("hi"))) == JOKE
        assert not session.closed
        assert server.visitors[0].headers["X-Session"] == "mine"


async def test_a_question_that_is_too_large_is_the_callers_error(transports: Transports) -> None:
    async with loopback.serve() as server, LabsClient(server.url, transports=transports) as labs:
        with pytest.raises(MessageError) as caught:
            await read(labs.stream("x" * 2_000_000))
        assert caught.value.cause == "payload-too-large"
        assert isinstance(caught.value.__cause__, PayloadTooLarge)
        assert await gone(server) == ["client disconnect"]


@pytest.mark.parametrize(
    ("url", "options", "cause"),
    [
        ("gopher://127.0.0.1", {}, "bad-url"),
        ("http://", {}, "bad-url"),
        ("http://127.0.0.1:9", {"transports": ("pigeon",)}, "bad-option"),
        ("http://127.0.0.1:9", {"proxy": "127.0.0.1"}, "bad-option"),
    ],
)
async def test_options_that_make_no_sense_are_the_callers_error(url: str, options: Any, cause: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await read(LabsClient(url, **options).stream("hi"))
    assert caught.value.cause == cause
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("variable", [None, ""])
async def test_without_a_server_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, variable: str | None) -> None:
    if variable is None:
        monkeypatch.delenv("PERPLEXITY_LABS_URL", raising=False)
    else:
        monkeypatch.setenv("PERPLEXITY_LABS_URL", variable)
    # A proxy that is not there: whatever left this program would end in another error.
    async with LabsClient(proxy="http://127.0.0.1:9") as labs:
        with pytest.raises(ConnectFailed) as caught:
            await read(labs.stream("hi"))
        assert caught.value.cause == "service-retired"
        assert "PERPLEXITY_LABS_URL" in (caught.value.fix or "")


async def test_replies_are_told_as_they_came_and_the_failing_one_before_its_error(transports: Transports) -> None:
    async with loopback.serve(fail="no", fail_after=1, pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        seen: list[Reply] = []

        async def note() -> None:
            async for reply in labs.replies("hi", model="sonar"):
                seen.append(reply)

        with pytest.raises(ServiceError):
            await note()
        assert seen == [
            ("sonar_query_progress", [{"output": "A", "final": False, "citations": [], "status": "pending"}]),
            ("sonar_query_progress", [{"final": True, "status": "failed", "text": "no"}]),
        ]


async def test_drift_is_in_every_error_that_it_may_have_caused(transports: Transports) -> None:
    replies: list[loopback.Reply] = [
        ("x_query_progress", ({"answer": "hi", "done": False},)),
        ("x_query_progress", ({"answer": "hi!", "done": True},)),
    ]
    words = "expected `output` and `final`, saw keys 'answer', 'done' in 'x_query_progress'"
    async with loopback.serve(replies=replies, pace=0) as server:
        async with LabsClient(server.url, transports=transports, timeout=Timeout(first_token=0.5)) as labs:
            _, error = await fail(labs.stream("hi"))
            assert isinstance(error, ResponseTimeout)
            assert error.message == f"no text within 0.5 s; {words}"
    async with loopback.serve(replies=replies, disconnect_after=1, pace=0) as server, LabsClient(server.url, transports=transports) as labs:
        _, error = await fail(labs.stream("hi"))
        assert type(error) is ConnectionLost
        assert error.message.endswith(f"; {words}")


async def test_a_renamed_end_is_named_when_the_silence_lasts() -> None:
    replies: list[loopback.Reply] = [("sonar", ({"output": "all of it", "done": True},))]
    async with loopback.serve(replies=replies) as server, LabsClient(server.url, timeout=Timeout(idle=0.3)) as labs:
        seen, error = await fail(labs.stream("hi"))
        assert (seen, error.partial) == ("all of it", "all of it")
        assert error.message == "no further reply within 0.3 s; expected `final`, saw keys 'output', 'done' in 'sonar'"


async def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERPLEXITY_LABS_URL", raising=False)
    assert LabsClient().url == "https://www.perplexity.ai"
    async with loopback.serve(pace=0) as server:
        monkeypatch.setenv("PERPLEXITY_LABS_URL", server.url)
        async with LabsClient() as labs:
            assert text_of(await read(labs.stream("hi"))) == JOKE
    assert LabsClient("http://127.0.0.1:9").url == "http://127.0.0.1:9"


async def test_its_repr_has_no_secrets() -> None:
    labs = LabsClient("http://user:hunter2@127.0.0.1:9", jwt="hunter2", proxy="http://me:hunter2@127.0.0.1:9")
    assert "hunter2" not in repr(labs)
    assert "0 answers open" in repr(labs)
    await labs.aclose()
    assert "closed" in repr(labs)


async def test_surrogates_emoji_and_newlines_travel(transports: Transports) -> None:
    text = "Привет, 😀\u2028 \x1e \x00 end"
    replies: list[loopback.Reply] = [("x", ({"output": text, "final": True},))]
    async with loopback.serve(replies=replies) as server, LabsClient(server.url, transports=transports) as labs:
        assert text_of(await read(labs.stream("Расскажи 😀"))) == text
        assert server.questions[0]["messages"][0]["content"] == "Расскажи 😀"
