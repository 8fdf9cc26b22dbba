"""What the server says on the wire: refusals as Node gives them, headers, closing handshakes, and clients that go away or are left.

Where a Node server can be asked the same thing, both are, and must agree.
"""

from __future__ import annotations

import asyncio
import io
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest

from chat_answers.loopback import LoopbackUnavailable
from engineio_lite import Cause, EngineIOError, LocalProtocolError
from engineio_lite.aio import connect
from engineio_lite.replay.bounds import ServingLimits
from engineio_lite.replay.live import Handler, LiveSession
from engineio_lite.replay.offer import Offer
from engineio_lite.replay.serving import ReplayServer, serve, serve_in_thread
from engineio_lite.state import CloseReason
from tests.peers import Options, StartPeer
from tests.replay.echo import Echo

ENGINE = "/engine.io/"
OPEN = "EIO=4&transport=polling"
OWN = f"{OPEN}&sid={{sid}}"
LARGE = 1000
HANDSHAKE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}

Said = tuple[int, str | None, bytes]
"""An answer: status, content type, body."""


@dataclass(frozen=True)
class Ask:
    """One request; ``{sid}`` in the query is the sid of a session that was just opened."""

    query: str
    method: str = "GET"
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.method} ?{self.query} {self.body!r:.20} {dict(self.headers).get('Content-Type', '')}"


REFUSED = [
    Ask(""),
    Ask("EIO=4"),
    Ask("EIO=4&transport=pigeon"),
    Ask("EIO=4&transport=webtransport"),
    Ask("transport=polling"),
    Ask("EIO=3&transport=polling"),
    Ask("EIO=04&transport=polling"),
    Ask("EIO=3&EIO=4&transport=pigeon&transport=polling&sid=nobody"),
    Ask("transport=websocket"),
    Ask("EIO=4&transport=websocket"),
    Ask(OPEN, "POST", b"4x"),
    Ask(OPEN, "PUT", b"4x"),
    Ask(OPEN, "DELETE"),
    Ask(f"{OPEN}&sid=nobody"),
    Ask(f"{OPEN}&sid=nobody", "POST", b"4x"),
    Ask("transport=polling&sid={sid}"),
    Ask("EIO=3&transport=polling&sid={sid}", "POST", b"4x"),
    Ask("EIO=4&transport=websocket&sid={sid}"),
    Ask("EIO=4&transport=websocket&sid={sid}", "POST", b"4x"),
    Ask(OWN, "PUT", b"4x"),
    Ask(OWN, "DELETE"),
    Ask(OWN, "POST", b"4x", (("Content-Type", "application/octet-stream"),)),
    Ask(OWN, "POST", b"4" + b"x" * LARGE),
    Ask(OWN, "POST", b"4" + b"x" * (LARGE - 1)),
    Ask("EIO=4", headers=tuple(HANDSHAKE.items())),
    Ask("EIO=4&transport=websocket&sid=nobody", headers=tuple(HANDSHAKE.items())),
    Ask("EIO=4&transport=websocket", "POST", headers=tuple(HANDSHAKE.items())),
]

ENDING = [b"", b"9", b"2", b"2probe", b"1", b"4good\x1e<html>", b"4good\x1e\x1e4late", b"4good\x1e1\x1e4late"]
"""Bodies of POSTs that end a session."""


async def say(http: aiohttp.ClientSession, url: str, ask: Ask) -> Said:
    headers = {"Content-Type": "text/plain;charset=UTF-8"} if ask.body is not None else {}
    async with http.request(
        ask.method, f"{url}{ENGINE}?{ask.query}", data=None if ask.body is None else io.BytesIO(ask.body), headers={**headers, **dict(ask.headers)}
    ) as response:
        return response.status, response.headers.get("Content-Type"), await response.read()


async def open_session(http: aiohttp.ClientSession, url: str) -> str:
    status, content_type, body = await say(http, url, Ask(OPEN))
    assert (status, content_type, body[:1]) == (200, "text/plain; charset=UTF-8", b"0")
    sid: str = json.loads(body[1:])["sid"]
    return sid


async def afresh(http: aiohttp.ClientSession, url: str, ask: Ask) -> Said:
    """Ask on behalf of a session that was just opened, if the query names one."""
    sid = await open_session(http, url) if "{sid}" in ask.query else ""
    return await say(http, url, Ask(ask.query.format(sid=sid), ask.method, ask.body, ask.headers))


@asynccontextmanager
async def side_by_side(start: StartPeer, **options: Any) -> AsyncIterator[tuple[aiohttp.ClientSession, str, str]]:
    """An HTTP client, a Node server and ours."""
    node = start("node", **cast("Options", {"engineOnly": True, "maxHttpBufferSize": LARGE, **options}))
    async with serve(Echo(offer=Offer(max_payload=LARGE)), path=ENGINE) as ours, aiohttp.ClientSession(auto_decompress=False) as http:
        yield http, node.url, ours.url


async def test_what_node_refuses_is_refused_in_the_same_words(peer_server: StartPeer) -> None:
    async with side_by_side(peer_server) as (http, node, ours):
        for ask in REFUSED:
            assert (str(ask), await afresh(http, ours, ask)) == (str(ask), await afresh(http, node, ask))


async def _story_of_an_end(http: aiohttp.ClientSession, url: str, body: bytes) -> tuple[Said, Said | None, Said]:
    """What a session says to a POST that ends it, to whoever waits for it, and to the next who asks."""
    for attempt in range(10):
        query = OWN.format(sid=await open_session(http, url))
        # Node answers the good packet before it reads the bad one, so there nobody waits for what ours cannot say any more.
        waiting = asyncio.create_task(say(http, url, Ask(query))) if b"good" not in body else None
        await asyncio.sleep(0.01 * attempt)  # 0 lets the GET begin, and so have the connection that is open
        posted = await say(http, url, Ask(query, "POST", body))
        waited = None if waiting is None else await waiting
        if waited is None or waited[0] == 200:
            return posted, waited, await say(http, url, Ask(query))
        # The GET came after the POST, which on two connections nobody can forbid.
    raise AssertionError("the POST was always first")


async def test_what_ends_a_session_of_nodes_ends_ours(peer_server: StartPeer) -> None:
    async with side_by_side(peer_server) as (http, node, ours):
        for body in ENDING:
            stories = [await _story_of_an_end(http, url, body) for url in (node, ours)]
            assert stories[0] == stories[1], body
            assert stories[0][2][2] == b'{"code":1,"message":"Session ID unknown"}'


async def test_two_gets_at_once_end_a_session_as_nodes(peer_server: StartPeer) -> None:
    async with side_by_side(peer_server) as (http, node, ours):
        stories = []
        for url in (node, ours):
            query = OWN.format(sid=await open_session(http, url))
            # Which of them comes first is not ours to say: one gets the close packet, the other the refusal.
            both = await asyncio.gather(say(http, url, Ask(query)), say(http, url, Ask(query)))
            stories.append((sorted(both), await say(http, url, Ask(query))))
        assert stories[0] == stories[1]
        assert [status for status, _, _ in stories[0][0]] == [200, 400]


async def test_http_is_refused_after_an_upgrade_as_nodes(peer_server: StartPeer) -> None:
    async with side_by_side(peer_server) as (http, node, ours):
        stories = []
        for url in (node, ours):
            query = OWN.format(sid=await open_session(http, url))
            waiting = asyncio.create_task(say(http, url, Ask(query)))
            async with http.ws_connect(f"{url}{ENGINE}?{query.replace('polling', 'websocket')}") as socket:
                await socket.send_str("2probe")
                assert await socket.receive_str() == "3probe"
                assert (await waiting)[2] == b"6"
                await socket.send_str("5")
                await socket.send_str("4x")
                assert await socket.receive_str() == "4x"
                story: list[object] = [await say(http, url, Ask(query)), await say(http, url, Ask(query, "POST", b"4y"))]
                async with http.ws_connect(f"{url}{ENGINE}?{query.replace('polling', 'websocket')}") as second:
                    story.append((await second.receive())[:2])
                await socket.send_str("1")  # which closes nothing
                await socket.send_str("4z")
                story.append(await socket.receive_str())
                await socket.send_str("2")  # which does
                story.append((await socket.receive())[:2])
            stories.append(story)
        assert stories[0] == stories[1]
        assert stories[0][2:] == [(aiohttp.WSMsgType.CLOSE, 0), "4z", (aiohttp.WSMsgType.CLOSE, 0)]


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://page.example"}], ids=["no origin", "origin"])
async def test_pages_of_other_origins_are_let_in_as_by_node(peer_server: StartPeer, headers: dict[str, str]) -> None:
    preflight = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-own"}
    async with side_by_side(peer_server, cors={"origin": True, "credentials": True}) as (http, node, ours):
        for method, query, sent in [("GET", OPEN, headers), ("GET", "", headers), ("POST", f"{OPEN}&sid=x", headers), ("OPTIONS", OPEN, preflight)]:
            seen = []
            for url in (node, ours):
                async with http.request(method, f"{url}{ENGINE}?{query}", headers=sent) as response:
                    told = {name.lower(): value for name, value in response.headers.items()}
                    seen.append((response.status, {name: value for name, value in told.items() if name.startswith("access-") or name == "vary"}))
            assert seen[0] == seen[1]
            assert method != "OPTIONS" or seen[0][0] == 204


# -------------------------------------------------------------------------------------------------------------------------- HTTP, only ours


async def test_an_address_that_is_taken_is_named_and_nothing_is_left() -> None:
    async with serve(Echo()) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(LoopbackUnavailable, match=f"127.0.0.1:{port}"):
            await serve(Echo(), port=port).start()


@asynccontextmanager
async def served(application: Echo | None = None, **options: Any) -> AsyncIterator[tuple[aiohttp.ClientSession, str, ReplayServer]]:
    async with serve(application or Echo(), path=ENGINE, **options) as server, aiohttp.ClientSession() as http:
        yield http, server.url, server


async def test_connections_are_kept_and_answers_not_stored() -> None:
    async with served() as (http, url, _):
        reader, writer = await raw(url, f"GET {ENGINE}?{OPEN} HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        for _ in range(2):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            assert head[0] == "http/1.1 200 ok"
            assert "cache-control: no-store" in head
            [length] = [int(line.partition(":")[2]) for line in head if line.startswith("content-length:")]
            assert (await reader.readexactly(length))[:1] == b"0"
        writer.close()
        await writer.wait_closed()
        async with http.get(f"{url}/elsewhere/?{OPEN}") as response:
            assert (response.status, await response.text()) == (404, "no such page\n")


async def test_a_large_answer_is_compressed_for_who_can_take_it() -> None:
    application = Echo()
    async with served(application) as (http, url, _):
        query = OWN.format(sid=await open_session(http, url))
        for headers, encoding in [({"Accept-Encoding": "gzip"}, "gzip"), ({"Accept-Encoding": "identity"}, None)]:
            application.sessions[0].send("x" * 5000)
            async with http.get(f"{url}{ENGINE}?{query}", headers=headers) as response:
                assert response.headers.get("Content-Encoding") == encoding
                assert await response.read() == b"4" + b"x" * 5000


async def test_bodies_up_to_the_offer_are_taken_and_no_byte_more() -> None:
    application = Echo(offer=Offer(max_payload=3_000_000))
    async with served(application) as (http, url, _):
        query = OWN.format(sid=await open_session(http, url))
        assert (await say(http, url, Ask(query, "POST", b"4" + b"x" * 2_999_999)))[2] == b"ok"
        assert application.received == ["x" * 2_999_999]
        assert await say(http, url, Ask(query, "POST", b"4" + b"x" * 3_000_000)) == (413, None, b"")
        assert (await say(http, url, Ask(query, "POST", b"4small", (("Expect", "100-continue"),))))[2] == b"ok"
        assert application.received[1:] == ["small"]


async def test_a_client_that_abandons_its_get_has_left() -> None:
    application = Echo()
    async with served(application) as (http, url, server):
        query = OWN.format(sid=await open_session(http, url))
        waiting = asyncio.create_task(say(http, url, Ask(query)))
        await until_asked(application.sessions[0])
        waiting.cancel()
        await asyncio.wait([waiting])
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]
        assert server.sessions == []


async def until_asked(session: LiveSession) -> None:
    """Wait until a request of the session is in the server's hands."""
    async with asyncio.timeout(10):
        while not session._requests:  # noqa: ASYNC110  # the server runs in this very loop and tells nobody
            await asyncio.sleep(0)


RAW_POST = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{headers}\r\n\r\n{body}"


async def raw(url: str, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(text.encode())
    return reader, writer


async def test_a_client_that_leaves_in_the_middle_of_a_post_has_left() -> None:
    application = Echo()
    async with served(application) as (http, url, _):
        path = f"{ENGINE}?{OWN.format(sid=await open_session(http, url))}"
        _, writer = await raw(url, RAW_POST.format(path=path, headers="Content-Length: 100", body="4half"))
        writer.close()
        await writer.wait_closed()
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]
        assert application.received == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: 8\r\nContent-Encoding: gzip", "4no gzip"),
        ("Content-Length: 100", "4half"),
    ],
    ids=["encoding", "length"],
)
async def test_a_post_that_cannot_be_read_ends_its_session(headers: str, body: str) -> None:
    application = Echo()
    async with served(application, limits=ServingLimits(body=0.1)) as (http, url, _):
        path = f"{ENGINE}?{OWN.format(sid=await open_session(http, url))}"
        reader, writer = await raw(url, RAW_POST.format(path=path, headers=headers, body=body))
        assert (await reader.readline()).split()[1] == b"400"
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]
        writer.close()
        await writer.wait_closed()


async def test_a_second_post_at_once_cuts_the_first_one_off() -> None:
    application = Echo()
    async with served(application) as (http, url, _):
        query = OWN.format(sid=await open_session(http, url))
        reader, writer = await raw(url, RAW_POST.format(path=f"{ENGINE}?{query}", headers="Content-Length: 100", body="4half"))
        await until_asked(application.sessions[0])
        assert await say(http, url, Ask(query, "POST", b"4second")) == (400, None, b"")
        assert await reader.read() == b""
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]
        writer.close()


async def test_too_many_clients_are_too_many() -> None:
    async with served(limits=ServingLimits(max_sessions=2)) as (http, url, _):
        assert [(await say(http, url, Ask(OPEN)))[0] for _ in range(3)] == [200, 200, 503]


async def test_a_query_without_end_is_refused() -> None:
    async with served() as (http, url, _):
        assert (await say(http, url, Ask("&".join(f"x{i}=1" for i in range(1001)))))[0] == 400


# --------------------------------------------------------------------------------------------------------------------- WebSocket, only ours


WS = "EIO=4&transport=websocket"


async def test_a_websocket_is_closed_without_a_code_by_the_server_and_with_its_own_by_the_client() -> None:
    application = Echo()
    async with served(application) as (http, url, _):
        async with http.ws_connect(f"{url}{ENGINE}?{WS}", autoclose=False) as socket:
            assert (await socket.receive_str())[0] == "0"
            await socket.send_str("4close!")
            assert await socket.receive_str() == "4bye"
            assert await socket.receive() == (aiohttp.WSMsgType.CLOSE, 0, "")
            assert application.reasons == [CloseReason.SERVER_CLOSE]
        application.ended.clear()
        for code in (1000, 3999):
            async with http.ws_connect(f"{url}{ENGINE}?{WS}") as socket:
                await socket.receive_str()
                await socket.close(code=code)
                assert socket.close_code == code
                await application.ended.wait()
                application.ended.clear()
                assert application.sessions[-1].ending is not None
                assert f"code {code}" in application.sessions[-1].ending.detail
        assert application.reasons[1:] == [CloseReason.TRANSPORT_CLOSE] * 2


async def test_a_close_frame_without_a_code_is_answered_by_one() -> None:
    application = Echo()
    async with served(application) as (_, url, _):
        reader, writer = await handshake(url)
        writer.write(b"\x88\x80" + bytes(4))
        assert await reader.read() == b"\x88\x00"
        assert application.reasons == [CloseReason.TRANSPORT_CLOSE]
        writer.close()
        await writer.wait_closed()


async def handshake(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket in our bare hands, behind its open packet."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
    reader, writer = await raw(url, f"GET {ENGINE}?{WS} HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"101"
    first, length = await reader.readexactly(2)
    assert (first, length < 126) == (0x81, True)
    assert (await reader.readexactly(length))[:1] == b"0"
    return reader, writer


async def test_a_client_that_does_not_answer_a_close_frame_is_cut_off() -> None:
    application = Echo()
    async with served(application, limits=ServingLimits(close=0.05)) as (_, url, _):
        reader, writer = await handshake(url)
        application.sessions[0].close()
        assert await reader.readexactly(2) == b"\x88\x00"
        assert await reader.read() == b""
        writer.close()


async def test_a_websocket_that_vanishes_ends_its_session() -> None:
    application = Echo()
    async with served(application) as (_, url, _):
        _, writer = await handshake(url)
        writer.transport.abort()
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_CLOSE]


async def test_what_is_no_frame_ends_its_session() -> None:
    application = Echo()
    async with served(application) as (_, url, _):
        reader, writer = await handshake(url)
        writer.write(b"\xff\x80" + bytes(4))
        assert (await reader.read())[:4] == b"\x88\x02" + struct.pack("!H", 1002)
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]
        writer.close()
        await writer.wait_closed()


async def test_messages_up_to_the_offer_are_taken_and_larger_ones_close_the_websocket() -> None:
    application = Echo(offer=Offer(max_payload=5000))
    async with served(application) as (http, url, _), http.ws_connect(f"{url}{ENGINE}?{WS}") as socket:
        await socket.receive_str()
        await socket.send_bytes(b"x" * 5000)
        assert await socket.receive_bytes() == b"x" * 5000
        await socket.send_bytes(b"x" * 5001)
        assert (await socket.receive())[:2] == (aiohttp.WSMsgType.CLOSE, 1009)
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_ERROR]


@pytest.mark.parametrize("compress", [False, True])
async def test_compression_is_agreed_upon_if_the_server_may(compress: bool) -> None:
    async with served(compress=compress) as (http, url, _), http.ws_connect(f"{url}{ENGINE}?{WS}", compress=15, protocols=["own", "two"]) as socket:
        assert bool(socket.compress) is compress
        assert socket.protocol == "own"
        await socket.receive_str()
        for size in (10, 100_000):
            await socket.send_str("4" + "x" * size)
            assert await socket.receive_str() == "4" + "x" * size


async def test_a_handshake_that_is_none_is_refused() -> None:
    async with served() as (http, url, server):
        bad = {**HANDSHAKE, "Sec-WebSocket-Key": "short"}
        assert await say(http, url, Ask(WS, headers=tuple(bad.items()))) == (400, None, b"")
        assert server.sessions == []


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    application = Echo()
    async with served(application, limits=ServingLimits(max_waiting=100_000)) as (_, url, _):
        _, writer = await handshake(url)
        application.sessions[0].send(*(["x" * 1000] * 101))
        await application.ended.wait()
        assert application.reasons == [CloseReason.TRANSPORT_CLOSE]
        writer.close()


# ------------------------------------------------------------------------------------------------------------------------- the server's block


@pytest.mark.parametrize("transports", [("polling",), ("websocket",)], ids="+".join)
async def test_clients_that_are_attached_are_told_when_the_server_is_left(transports: tuple[str, ...]) -> None:
    application = Echo()
    async with serve(application, path=None) as server:
        engine = await connect(server.url, transports=transports)
        waiting = asyncio.create_task(engine.receive())
        await engine.send("x")
        assert await waiting == "x"
        waiting = asyncio.create_task(engine.receive())
        await until_attached(application.sessions[0])
    assert application.reasons == [CloseReason.SERVER_CLOSE]
    with pytest.raises(EngineIOError) as caught:
        await waiting
    assert caught.value.cause in (Cause.SERVER_CLOSED, Cause.WEBSOCKET_CLOSED)
    await engine.close()


async def until_attached(session: LiveSession) -> None:
    """Wait until the session has a channel by which it can say goodbye."""
    if session.transport == "polling":
        await until_asked(session)


async def test_leaving_a_server_waits_for_nobody() -> None:
    application = Echo()
    async with served(application) as (_, url, _):
        writers = [(await handshake(url))[1] for _ in range(5)]  # none of whom will answer a Close frame
        idle = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        _, half = await raw(url, f"POST {ENGINE}?{OPEN}&sid=x HTTP/1.1\r\nContent-")
    assert application.reasons == [CloseReason.SERVER_CLOSE] * 5
    for writer in (*writers, idle[1], half):
        writer.close()


class Failing:
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.reasons: list[CloseReason] = []

    def fail(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError(where)

    def open(self, session: LiveSession) -> Handler:
        self.session = session
        self.fail("open")
        session.call_at(session.now, lambda: self.fail("time"))
        return self

    def message(self, data: str | bytes) -> None:
        self.fail("message")

    def closed(self, reason: CloseReason) -> None:
        self.reasons.append(reason)
        self.fail("closed")


async def be_served_badly(application: Failing, url: str, transports: tuple[str, ...]) -> None:
    async with connect(url, transports=transports) as engine:
        await engine.send("one", "two")
        if application.where == "closed":
            application.session.close()
        await engine.receive()


@pytest.mark.parametrize("transports", [("polling",), ("websocket",)], ids="+".join)
@pytest.mark.parametrize("where", ["open", "time", "message", "closed"])
async def test_an_application_that_fails_loses_its_client_and_is_heard_of(where: str, transports: tuple[str, ...]) -> None:
    application = Failing(where)
    server = serve(application, path=None)
    async with server:
        with pytest.raises(EngineIOError):
            await be_served_badly(application, server.url, transports)
        assert server.sessions == []
        [failure] = server.failures
        server.failures.clear()
    assert str(failure) == where
    assert application.reasons == ([] if where == "open" else [CloseReason.SERVER_CLOSE])


async def fail_here(times: int, own: Exception | None = None) -> None:
    """A server whose application fails so often, in a block that may fail as well."""
    async with serve(Failing("open"), path=ENGINE) as server, aiohttp.ClientSession() as http:
        assert [(await say(http, server.url, Ask(OPEN)))[0] for _ in range(times)] == [400] * times
        if own is not None:
            raise own


async def test_failures_are_raised_at_the_end_of_the_block_and_never_hide_another_one() -> None:
    await fail_here(0)
    with pytest.raises(RuntimeError, match="open"):
        await fail_here(1)
    with pytest.raises(ExceptionGroup) as several:
        await fail_here(2)
    assert [str(error) for error in several.value.exceptions] == ["open", "open"]
    with pytest.raises(KeyError) as own:
        await fail_here(1, KeyError("own"))
    assert own.value.__notes__ == ["the server's application failed meanwhile: RuntimeError: open"]


async def refused_by(url: str) -> None:
    with pytest.raises(EngineIOError):
        await connect(url, transports=("polling",))


def fail_in_a_thread() -> None:
    with serve_in_thread(Failing("open"), path=None) as server:
        asyncio.run(refused_by(server.url))


async def fail_in_a_thread_beside_a_loop() -> None:
    async with serve_in_thread(Failing("open"), path=None) as server:
        await refused_by(server.url)


def test_a_server_in_a_thread_raises_where_its_block_ends() -> None:
    with pytest.raises(RuntimeError, match="open"):
        fail_in_a_thread()


async def test_a_server_in_a_thread_can_be_had_from_a_loop() -> None:
    with pytest.raises(RuntimeError, match="open"):
        await fail_in_a_thread_beside_a_loop()


async def test_what_is_offered_is_chosen_before_it_is_sent_and_time_ends_with_the_session() -> None:
    application = Echo()
    async with serve(application, path=None) as server:
        async with connect(server.url, transports=("websocket",)) as engine:
            session = application.sessions[0]
            with pytest.raises(LocalProtocolError):
                session.offer = Offer()
            called: list[str] = []
            session.call_at(session.now, lambda: session.send("on time"))
            session.call_at(session.now, lambda: called.append("cancelled")).cancel()
            never = session.call_at(session.now + 3600, lambda: called.append("too late"))
            assert await engine.receive() == "on time"
            assert session.query["transport"] == "websocket"
            assert ("Host", server.url.removeprefix("http://")) in session.headers
        await application.ended.wait()
        assert (called, never.cancelled()) == ([], True)
        session.send("nobody is there")
        session.close("bye")
        assert application.reasons == [CloseReason.TRANSPORT_CLOSE]
