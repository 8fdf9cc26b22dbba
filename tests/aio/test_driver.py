"""What the drivers do on the wire, and what they leave there: requests, options, back-pressure, heartbeat, endings, cancellation.

Everything runs against `EngineServer`, which is correct and keeps what it got, so a test reads as: do something, then look at what crossed the wire.
Where a test must not go on before something happened, it waits for that (`server.until`), never for a while. Nothing looks inside the drivers.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

import engineio_lite
from engineio_lite import (
    AckTimeout,
    Cause,
    ConnectFailed,
    ConnectionClosed,
    EngineIOError,
    HandshakeError,
    Limits,
    LocalProtocolError,
    PayloadTooLarge,
    PingTimeout,
    Timeouts,
    TransportError,
)
from engineio_lite.aio import ConnectOptions, EngineIOClient, connect, connect_socketio
from engineio_lite.socketio.events import EventReceived
from tests.aio.raw import CLOSE, SID, Connection, EngineServer, Proxy, Request, Stage, closing, echo, frame, response, socketio, text
from tests.leaks import left_behind

CERTIFICATES = Path(__file__).parent / "certs"

SLACK = 4.0
"""Seconds that a loaded machine may add to a limit before a test calls it late."""

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
ONE_TRANSPORT = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET], ids="+".join)

QUICK = Timeouts(connect=0.5, open=0.5, post=0.5, upgrade=0.5, upgrade_delay=0.02, poll_backoff=0.02, close=0.3, namespace=0.5)

CALM = Timeouts(connect=5.0, open=5.0, post=5.0, upgrade=5.0, upgrade_delay=0.02, poll_backoff=0.02, close=0.3, namespace=5.0)
"""For what is to succeed, on a machine that may be busy with other things for half a second."""


async def receive_all(client: EngineIOClient, count: int) -> list[str | bytes]:
    return [await client.receive() for _ in range(count)]


# ------------------------------------------------------------------------------------------------------------------------- requests on the wire


async def test_a_post_is_sized_and_typed() -> None:
    async with EngineServer() as server, connect(server.origin, transports=POLLING) as engine:
        await engine.send("grüße", b"\x00\xff", "x" * 5000)
        assert await receive_all(engine, 3) == ["grüße", b"\x00\xff", "x" * 5000]
        for request in server.asked(Stage.POST):
            assert request.header("Content-Type") == "text/plain;charset=UTF-8"
            assert request.header("Content-Length") == str(len(request.body))
            assert request.header("Transfer-Encoding") is None
            assert request.header("Content-Encoding") is None
        assert server.received == ["4grüße", "bAP8=", "4" + "x" * 5000]


async def test_no_more_than_one_get_and_one_post_are_ever_in_flight() -> None:
    async with EngineServer() as server, connect(server.origin, transports=POLLING) as engine:
        async with asyncio.TaskGroup() as senders:
            for start in range(0, 400, 40):
                senders.create_task(engine.send(*map(str, range(start, start + 40))))
        assert sorted(map(int, await receive_all(engine, 400))) == list(range(400))
        assert server.in_flight.most == {"GET": 1, "POST": 1}


async def test_no_post_carries_more_than_sixteen_packets_or_more_than_the_server_takes() -> None:
    async with EngineServer(handshake={"maxPayload": 100}) as server, connect(server.origin, transports=POLLING) as engine:
        await engine.send(*(f"{i:030}" for i in range(40)), *map(str, range(40)))
        assert await receive_all(engine, 80) == [*(f"{i:030}" for i in range(40)), *map(str, range(40))]
        posts = server.asked(Stage.POST)
        assert max(len(post.body) for post in posts) <= 100
        assert max(len(post.packets) for post in posts) == 16
        with pytest.raises(PayloadTooLarge) as caught:
            await engine.send("fits", "x" * 100)
        assert (caught.value.size, caught.value.limit) == (101, 100)
        await engine.send("still open")
        assert await engine.receive() == "still open"
        assert "fits" not in server.messages


@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, Stage.POLL, Stage.POST, Stage.UPGRADE, Stage.WEBSOCKET], ids=lambda stage: stage.value)
@pytest.mark.parametrize("own", [True, False], ids=["own-session", "callers-session"])
@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_no_request_is_repeated_when_its_connection_dies(stage: Stage, own: bool, reset: bool) -> None:
    async def die(connection: Connection, request: Request) -> None:
        if reset:
            connection.cut()

    transports = {Stage.WEBSOCKET: WEBSOCKET, Stage.UPGRADE: BOTH}.get(stage, POLLING)
    options: ConnectOptions = {"timeouts": QUICK, "transports": transports}
    # A poll and a POST die later, on a connection that has been used before: only then does aiohttp repeat a request.
    later = stage in (Stage.POLL, Stage.POST)
    before = 0
    async with EngineServer({} if later else {stage: die}) as server, aiohttp.ClientSession() as caller:
        if not own:
            options["session"] = caller
        try:
            async with connect(server.origin, **options) as engine:
                await engine.wait_upgraded()
                await engine.send("one", "two")
                assert await receive_all(engine, 2) == ["one", "two"]
                if later:
                    await server.until(lambda: server.polling)
                    before = len(server.asked(stage))
                    server.answers[stage] = die
                    await engine.send("three")
                    while True:
                        await engine.receive()
        except TransportError as error:
            lost: TransportError | None = error
        else:
            lost = None
        assert lost is None if stage is Stage.UPGRADE else lost is not None and lost.cause is Cause.CONNECTION_LOST
        assert len(server.asked(stage)) == before + 1
        if later:
            victim = server.asked(stage)[-1]
            assert next(len(connection.requests) for connection in server.connections if victim in connection.requests) > 1


async def test_we_say_what_we_are_and_no_more() -> None:
    async with EngineServer() as server, connect(server.origin) as engine:
        assert await engine.wait_upgraded()
        assert {stage for stage, _ in server.arrived} == {Stage.HANDSHAKE, Stage.POLL, Stage.UPGRADE}
        for _, request in server.arrived:
            assert request.header("User-Agent") == f"engineio-lite/{engineio_lite.__version__}"
            assert request.header("Origin") is None
            assert request.header("Sec-WebSocket-Extensions") is None
            assert request.header("Cookie") is None
            assert request.query["EIO"] == "4"
            assert request.query["transport"] == ("websocket" if request.upgrades else "polling")


@ALL_TRANSPORTS
async def test_headers_cookies_and_query_go_with_every_request(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server:
        url = f"{server.origin}/engine.io/?room=a%20b"
        async with connect(url, transports=transports, headers={"User-Agent": "mine", "X-Key": "k"}, cookies={"a": "1", "b": "2"}) as engine:
            await engine.send("one")
            await engine.receive()
            await engine.wait_upgraded()
        for stage, request in server.arrived:
            assert request.header("User-Agent") == "mine"
            assert request.header("X-Key") == "k"
            assert request.header("Cookie") == "a=1; b=2"
            assert request.query["room"] == "a b"
            assert request.target.startswith("/engine.io/?")
            assert request.query.get("sid") == (None if stage in (Stage.HANDSHAKE, Stage.WEBSOCKET) else SID)


async def test_a_sid_is_data_and_not_part_of_the_url() -> None:
    sid = "a/b?c&d=e%20f#g h+ü"
    async with EngineServer(handshake={"sid": sid}) as server, connect(server.origin) as engine:
        assert await engine.wait_upgraded()
        assert {request.query.get("sid") for _, request in server.arrived} == {None, sid}


async def test_two_connections_may_share_a_callers_session() -> None:
    async with EngineServer() as one, EngineServer() as two, aiohttp.ClientSession() as caller:
        async with connect(one.origin, session=caller) as first, connect(two.origin, session=caller) as second:
            await asyncio.gather(first.send("one"), second.send("two"))
            assert (await first.receive(), await second.receive()) == ("one", "two")
            await first.close()
            await second.send("three")
            assert await second.receive() == "three"


async def test_a_cookie_of_the_handshake_goes_to_post_poll_and_upgrade() -> None:
    sticky = [("Set-Cookie", "node=7; Path=/; HttpOnly; SameSite=Lax")]
    async with EngineServer(headers=sticky) as server:
        server.gates[Stage.PROBE] = asyncio.Event()
        async with connect(server.origin, cookies={"mine": "1"}) as engine:
            await engine.send("one")
            await engine.receive()
            await server.until(lambda: bool(server.asked(Stage.UPGRADE)))
        first, *rest = server.arrived
        assert first[1].header("Cookie") == "mine=1"
        assert {stage for stage, _ in rest} == {Stage.POLL, Stage.POST, Stage.UPGRADE}
        for _, request in rest:
            assert set((request.header("Cookie") or "").split("; ")) == {"mine=1", "node=7"}


# --------------------------------------------------------------------------------------------------------------------------------- the caller's own


async def test_a_callers_session_is_used_but_neither_changed_nor_closed() -> None:
    seen: list[str] = []

    async def watch(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(request.method)
        request.headers["X-Middleware"] = "was here"
        return await handler(request)

    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        EngineServer() as server,
        aiohttp.ClientSession(
            headers={"X-Session": "s", "User-Agent": "theirs", "Authorization": "Basic bWU6d29yZA=="}, cookie_jar=jar, middlewares=(watch,)
        ) as caller,
    ):
        jar.update_cookies({"jar": "1"}, URL(server.origin))
        before = dict(caller.headers)
        async with connect(server.origin, session=caller, headers={"X-Key": "k"}, cookies={"given": "2"}) as engine:
            await engine.send("one")
            await engine.receive()
            assert await engine.wait_upgraded()
        assert not caller.closed
        assert dict(caller.headers) == before
        assert {cookie.key for cookie in jar} == {"jar"}
        for _, request in server.arrived:
            assert request.header("X-Session") == "s"
            assert request.header("User-Agent") == "theirs"
            assert request.header("X-Key") == "k"
            assert request.header("X-Middleware") == "was here"
            assert set((request.header("Cookie") or "").split("; ")) == {"jar=1", "given=2"}
            assert request.header("Authorization") == "Basic " + base64.b64encode(b"me:word").decode()
        assert len(seen) == len(server.arrived)
        # And it still works.
        async with caller.get(f"{server.origin}/engine.io/?EIO=4&transport=polling") as answer:
            assert (await answer.text()).startswith("0{")


async def test_options_that_were_passed_are_not_changed() -> None:
    headers, cookies = {"X-Key": "k"}, {"a": "1"}
    async with EngineServer() as server, connect(server.origin, headers=headers, cookies=cookies) as engine:
        await engine.wait_upgraded()
    assert (headers, cookies) == ({"X-Key": "k"}, {"a": "1"})


async def test_user_and_password_in_the_url_go_with_every_request() -> None:
    async with EngineServer() as server, connect(server.origin.replace("//", "//me:word@")) as engine:
        assert await engine.wait_upgraded()
        for _, request in server.arrived:
            assert request.header("Authorization") == "Basic " + base64.b64encode(b"me:word").decode()


# ----------------------------------------------------------------------------------------------------------------------------------- proxies and TLS


@asynccontextmanager
async def a_conversation(url: str, **options: Any) -> AsyncIterator[EngineIOClient]:
    """Connect, upgrade if that is possible, and get an echo."""
    async with connect(url, timeouts=QUICK, **options) as engine:
        await engine.send("before")
        assert await engine.receive() == "before"
        await engine.wait_upgraded()
        await engine.send("after")
        assert await engine.receive() == "after"
        yield engine


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


def went_through(proxy: Proxy, server: EngineServer) -> bool:
    """Whether every connection of the server came from the proxy."""
    return len(proxy.connections) == len(server.connections) > 0


@ALL_TRANSPORTS
@pytest.mark.parametrize("credentials", [None, "me:word"], ids=["open", "with-password"])
async def test_a_proxy_carries_every_request(transports: tuple[str, ...], credentials: str | None) -> None:
    async with EngineServer() as server, Proxy(credentials=credentials) as proxy:
        url = proxy.origin if credentials is None else proxy.origin.replace("//", f"//{credentials}@")
        async with a_conversation(server.origin, transports=transports, proxy=url) as engine:
            assert engine.transport == transports[-1]
        assert went_through(proxy, server)
        polled = {f"{server.origin}/engine.io/"} if "polling" in transports else set()
        tunnelled = {server.origin.removeprefix("http://")} if "websocket" in transports else set()  # RFC 6455, section 4.1
        assert {request.target.partition("?")[0] for request in proxy.requests} == polled | tunnelled


@ALL_TRANSPORTS
async def test_a_proxy_tunnels_tls(transports: tuple[str, ...]) -> None:
    async with EngineServer(ssl=server_tls()) as server, Proxy() as proxy:
        async with a_conversation(server.origin, transports=transports, proxy=proxy.origin, ssl=trusting()) as engine:
            assert engine.transport == transports[-1]
        assert went_through(proxy, server)
        assert {request.method for request in proxy.requests} == {"CONNECT"}


@ALL_TRANSPORTS
async def test_tls_applies_to_get_post_and_websocket_alike(transports: tuple[str, ...]) -> None:
    async with EngineServer(ssl=server_tls()) as server:
        async with a_conversation(server.origin, transports=transports, ssl=trusting()) as engine:
            assert engine.transport == transports[-1]
        async with a_conversation(server.origin, transports=transports, ssl=False) as engine:
            assert engine.transport == transports[-1]


@ALL_TRANSPORTS
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
async def test_trust_env_applies_to_get_post_and_websocket_alike(transports: tuple[str, ...], variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EngineServer() as server, Proxy() as proxy:
        clear_proxies(monkeypatch)
        monkeypatch.setenv(variable, proxy.origin)
        async with a_conversation(server.origin, transports=transports, trust_env=True):
            pass
        assert went_through(proxy, server)


@ALL_TRANSPORTS
async def test_trust_env_applies_to_tls_as_well(transports: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    async with EngineServer(ssl=server_tls()) as server, Proxy() as proxy:
        clear_proxies(monkeypatch)
        monkeypatch.setenv("https_proxy", proxy.origin)
        async with a_conversation(server.origin, transports=transports, trust_env=True, ssl=trusting()):
            pass
        assert went_through(proxy, server)


@ALL_TRANSPORTS
@pytest.mark.parametrize("trust", [True, False], ids=["excepted", "not-trusted"])
async def test_the_environment_is_left_alone_where_it_says_so_or_is_not_trusted(
    transports: tuple[str, ...], trust: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EngineServer() as server, Proxy() as proxy:
        clear_proxies(monkeypatch)
        monkeypatch.setenv("http_proxy", proxy.origin)
        if trust:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with a_conversation(server.origin, transports=transports, trust_env=trust):
            pass
        assert proxy.connections == []


def clear_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@ONE_TRANSPORT
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_proxy_is_named(transports: tuple[str, ...], scheme: str) -> None:
    async with Proxy() as proxy:
        dead = proxy.origin.replace("//", "//me:s3cret@")
    with pytest.raises(ConnectFailed) as caught:
        await connect(f"{scheme}://127.0.0.1:1", transports=transports, proxy=dead, timeouts=QUICK)
    assert caught.value.cause is Cause.PROXY_FAILED
    assert "s3cret" not in str(caught.value)


@ONE_TRANSPORT
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_a_proxy_that_wants_a_password_is_named(transports: tuple[str, ...], tls: bool) -> None:
    async with EngineServer(ssl=server_tls() if tls else None) as server, Proxy(credentials="me:word") as proxy:
        with pytest.raises(EngineIOError) as caught:
            await connect(server.origin, transports=transports, proxy=proxy.origin.replace("//", "//me:s3cret@"), ssl=trusting(), timeouts=QUICK)
        assert caught.value.cause is Cause.PROXY_AUTH_REQUIRED
        assert "s3cret" not in str(caught.value)
        assert server.connections == []


# ------------------------------------------------------------------------------------------------------------------------------------ back-pressure


async def test_a_consumer_that_stops_stops_the_polls_and_loses_nothing() -> None:
    async with EngineServer(reply=lambda message: ()) as server:
        async with connect(server.origin, transports=POLLING, limits=Limits(max_queued_events=10)) as engine:
            await server.until(lambda: server.polling)
            server.say(*map(str, range(30)))
            # Some POSTs go to the server and back, which is time enough for a GET to follow them, if one would.
            for i in range(1, 6):
                await engine.send("x")
                await server.until(lambda i=i: len(server.messages) == i)  # type: ignore[misc]
            assert len(server.asked(Stage.POLL)) == 1
            assert await receive_all(engine, 30) == list(map(str, range(30)))
            await asyncio.wait_for(server.until(lambda: server.polling), SLACK)
            assert len(server.asked(Stage.POLL)) == 2


async def test_a_consumer_that_stops_stops_the_websocket_and_loses_nothing() -> None:
    pad, total = "x" * 65536, 2000  # 128 MB, more than any loopback buffer
    sent = 0
    go_on = asyncio.Event()

    async def flood(connection: Connection, request: Request) -> None:
        nonlocal sent
        await connection.send(text('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'))
        for i in range(total):
            await connection.send(text(f"4{i} {pad}"))
            sent = i
        await go_on.wait()

    async with EngineServer({Stage.FIRST_FRAME: flood}) as server:
        async with connect(server.origin, transports=WEBSOCKET, limits=Limits(max_queued_events=10)) as engine:
            before = -1
            while before != sent:  # until it moves no more
                before = sent
                await asyncio.sleep(0.1)
            assert 10 < sent < total / 4
            for i in range(total):
                message = await engine.receive()
                assert isinstance(message, str)
                assert message.partition(" ")[0] == str(i)
            go_on.set()


@ONE_TRANSPORT
async def test_a_call_is_answered_although_nobody_iterates(transports: tuple[str, ...]) -> None:
    async with EngineServer(reply=socketio) as server:
        async with connect_socketio(server.origin, transports=transports, limits=Limits(max_queued_events=10)) as sio:
            for _ in range(5):
                server.say(*(f'2["number",{i}]' for i in range(20)))
                assert await sio.call("sum", 1, 2) == ["sum", 1, 2]
            numbers = [(await sio.receive()).args[0] for _ in range(100)]
            assert numbers == list(range(20)) * 5


@ONE_TRANSPORT
async def test_a_call_behind_too_many_unread_events_fails_and_loses_nothing(transports: tuple[str, ...]) -> None:
    async with EngineServer(reply=lambda message: socketio(message) if message.startswith("0") else ()) as server:
        async with connect_socketio(server.origin, transports=transports, limits=Limits(max_queued_events=4)) as sio:
            call = asyncio.create_task(sio.call("never"))
            await server.until(lambda: bool(server.messages[1:]))
            for i in range(200):
                server.say(f'2["number",{i}]')
                await asyncio.sleep(0)
            with pytest.raises(LocalProtocolError) as caught:
                await call
            assert caught.value.cause is Cause.RECEIVE_BUFFER_FULL
            assert [(await sio.receive()).args[0] for _ in range(200)] == list(range(200))


async def test_a_sender_is_held_back_while_a_post_is_slow() -> None:
    async with EngineServer() as server, connect(server.origin, transports=POLLING) as engine:
        gate = server.gates[Stage.POST] = asyncio.Event()
        done = 0

        async def send_much() -> None:
            nonlocal done
            for i in range(100):
                await engine.send(f"{i} " + "x" * 100_000)
                done += 1

        sender = asyncio.create_task(send_much())
        await server.until(lambda: server.in_flight.now["POST"] == 1)
        for _ in range(200):  # far more turns than the sender needs, if nothing held it
            await asyncio.sleep(0)
        assert 5 < done < 30
        assert not sender.done()
        gate.set()
        for i in range(100):
            message = await engine.receive()
            assert isinstance(message, str)
            assert message.partition(" ")[0] == str(i)
        await sender


async def test_a_sender_that_is_held_back_is_told_when_the_connection_ends() -> None:
    async with EngineServer() as server, connect(server.origin, transports=POLLING, timeouts=QUICK) as engine:
        server.gates[Stage.POST] = asyncio.Event()

        async def send_for_ever() -> None:
            while True:
                await engine.send("x" * 100_000)

        with pytest.raises(EngineIOError) as caught:
            await asyncio.wait_for(send_for_ever(), QUICK.post + SLACK)
        assert caught.value.cause is Cause.POST_TIMEOUT


# ------------------------------------------------------------------------------------------------------------------------------------------ order


@pytest.mark.parametrize("hold", [None, Stage.UPGRADE, Stage.PROBE, Stage.POST], ids=lambda stage: stage.value if stage else "nothing-held")
async def test_messages_before_during_and_after_the_upgrade_arrive_once_and_in_order(hold: Stage | None) -> None:
    async with EngineServer() as server, connect(server.origin) as engine:
        if hold is not None:
            server.gates[hold] = asyncio.Event()

        async def send_all() -> None:
            for i in range(300):
                await engine.send(str(i))
                if i % 10 == 0:
                    server.say(f"server {i}")
                    await asyncio.sleep(0)
                if i == 150 and hold is not None:
                    server.gates[hold].set()
            await engine.wait_upgraded()
            for i in range(300, 400):
                await engine.send(str(i))

        sender = asyncio.create_task(send_all())
        got = await receive_all(engine, 430)
        await sender
        assert engine.transport == "websocket"
        assert [message for message in got if not str(message).startswith("s")] == list(map(str, range(400)))
        assert [message for message in got if str(message).startswith("s")] == [f"server {i}" for i in range(0, 300, 10)]
        assert server.messages == list(map(str, range(400)))
        assert server.in_flight.most["GET"] <= 2  # a poll and the upgrade request
        assert server.in_flight.most["POST"] == 1


@ONE_TRANSPORT
async def test_messages_of_one_send_stay_together(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server, connect(server.origin, transports=transports) as engine:
        async with asyncio.TaskGroup() as senders:
            for i in range(50):
                senders.create_task(engine.send(*(f"{i} {j}" for j in range(5))))
        got = await receive_all(engine, 250)
        groups = [got[start : start + 5] for start in range(0, 250, 5)]
        assert sorted(groups) == sorted([f"{i} {j}" for j in range(5)] for i in range(50))


# -------------------------------------------------------------------------------------------------------------------------------------- the heartbeat


@ALL_TRANSPORTS
async def test_pings_are_answered_and_keep_the_session_alive(transports: tuple[str, ...]) -> None:
    async with EngineServer(handshake={"pingInterval": 100, "pingTimeout": 100}) as server, connect(server.origin, transports=transports) as engine:
        await engine.wait_upgraded()
        started = time.monotonic()
        for i in range(1, 6):  # by the server's own clock: half a second, twice and a half what it announced
            await asyncio.sleep(0.1)
            server.push("2")
            await server.until(lambda i=i: server.received.count("3") == i)  # type: ignore[misc]
        assert time.monotonic() - started >= 0.5
        assert engine.closed is None
        await engine.send("alive")
        assert await engine.receive() == "alive"
        assert "3" in server.received
        assert not [packet for packet in server.received if packet.startswith("3") and packet != "3"]


async def test_a_pong_overtakes_the_messages_that_wait() -> None:
    async with EngineServer() as server, connect(server.origin, transports=POLLING) as engine:
        gate = server.gates[Stage.POST] = asyncio.Event()
        await engine.send("in the first POST")
        await server.until(lambda: server.in_flight.now["POST"] == 1)
        await engine.send("waits")
        server.push("2")
        await server.until(lambda: len(server.asked(Stage.POLL)) >= 2)  # the ping was read
        gate.set()
        await server.until(lambda: len(server.received) == 3)
        assert server.received == ["4in the first POST", "3", "4waits"]


@ALL_TRANSPORTS
async def test_a_server_that_falls_silent_is_noticed_in_time(transports: tuple[str, ...]) -> None:
    async with EngineServer(handshake={"pingInterval": 200, "pingTimeout": 100}) as server:
        async with connect(server.origin, transports=transports) as engine:
            started = time.monotonic()
            with pytest.raises(PingTimeout) as caught:
                await engine.receive()
            assert 0.2 < time.monotonic() - started < 0.3 + SLACK
            assert caught.value.allowed == pytest.approx(0.3)
            assert caught.value.silence >= 0.299
            with pytest.raises(PingTimeout):
                await engine.send("too late")


@ONE_TRANSPORT
async def test_a_process_that_was_blocked_for_too_long_says_so(transports: tuple[str, ...]) -> None:
    async with EngineServer(handshake={"pingInterval": 100, "pingTimeout": 100}) as server, connect(server.origin, transports=transports) as engine:
        time.sleep(0.4)  # noqa: ASYNC251  # this is what is tested: nothing of the loop runs meanwhile
        with pytest.raises(PingTimeout):
            await engine.send("who is there?")
        assert server.messages == []


# ----------------------------------------------------------------------------------------------------------------------------------------- endings


@ALL_TRANSPORTS
async def test_a_server_that_closes_ends_the_stream_after_what_it_said(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server, connect(server.origin, transports=transports) as engine:
        await engine.wait_upgraded()
        server.push("4last words", "1", "4late")
        assert await engine.receive() == "last words"
        for attempt in (engine.receive, lambda: engine.send("x"), engine.__anext__):
            with pytest.raises(ConnectionClosed) as caught:
                await attempt()
            assert caught.value.cause is Cause.SERVER_CLOSED
            assert caught.value.reason == "server close"
        await engine.close()
        await asyncio.wait_for(server.all_gone(), SLACK)
        assert server.messages == []


async def test_leaving_ends_the_iteration_quietly() -> None:
    async with EngineServer() as server:
        async with connect(server.origin) as engine:
            await engine.send("one")
            reader = asyncio.create_task(collect(engine))
            await server.until(lambda: server.messages == ["one"])
            await engine.wait_upgraded()
        assert await reader == ["one"]


async def collect(engine: EngineIOClient) -> list[str | bytes]:
    return [message async for message in engine]


async def test_socketio_leaves_by_polling_in_one_post() -> None:
    async with EngineServer(reply=socketio) as server:
        async with connect_socketio(server.origin, transports=POLLING) as sio:
            assert sio.sid == "s3cret-namespace-sid"
        assert server.asked(Stage.POST)[-1].packets == ["41", "1"]


@pytest.mark.parametrize("transports", [WEBSOCKET, BOTH], ids="+".join)
async def test_socketio_leaves_a_websocket_in_order(transports: tuple[str, ...]) -> None:
    async with EngineServer(reply=socketio) as server:
        async with connect_socketio(server.origin, transports=transports) as sio:
            await sio.wait_upgraded()
            await sio.emit("last")
        await asyncio.wait_for(server.all_gone(), SLACK)
        last = server.connections[-1].frames[-4:]
        assert [frame.payload for frame in last[:3]] == [b'42["last"]', b"41", b"1"]
        assert last[3].opcode == CLOSE


@ALL_TRANSPORTS
async def test_what_was_sent_just_before_leaving_arrives(transports: tuple[str, ...]) -> None:
    async with EngineServer(handshake={"maxPayload": 200}) as server:
        async with connect(server.origin, transports=transports) as engine:
            await engine.send(*map(str, range(100)))
        assert server.messages == list(map(str, range(100)))
        assert server.received[-1] == "1"
        await asyncio.wait_for(server.all_gone(), SLACK)


@pytest.mark.parametrize("stage", [Stage.POST, Stage.PROBE, Stage.POLL, Stage.UPGRADE], ids=lambda stage: stage.value)
async def test_leaving_takes_no_longer_than_its_limit_from_a_server_that_answers_no_more(stage: Stage) -> None:
    async with EngineServer() as server:
        server.gates[stage] = asyncio.Event()
        async with connect(server.origin, timeouts=QUICK) as engine:
            await engine.send("one")
            if stage is not Stage.POST:
                await server.until(lambda: server.messages == ["one"])
            if stage is Stage.PROBE:
                await server.until(lambda: "2probe" in server.received)
            started = time.monotonic()
        assert time.monotonic() - started < 2 * QUICK.close + SLACK
        await asyncio.wait_for(server.all_gone(), SLACK)


async def test_leaving_a_websocket_whose_server_reads_no_more_is_bounded() -> None:
    async def deaf(connection: Connection, request: Request) -> None:
        await connection.send(text('0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'))
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        await over.wait()

    over = asyncio.Event()
    async with EngineServer({Stage.FIRST_FRAME: deaf}) as server:
        async with connect(server.origin, transports=WEBSOCKET, timeouts=QUICK) as engine:
            sender = asyncio.create_task(engine.send(*["x" * 1_000_000] * 50))
            await asyncio.wait({sender}, timeout=0.3)
            assert not sender.done()
            started = time.monotonic()
        assert time.monotonic() - started < 2 * QUICK.close + SLACK
        await asyncio.wait({sender}, timeout=SLACK)
        assert sender.done()
        assert sender.cancelled() or isinstance(sender.exception(), EngineIOError | None)
        over.set()


async def test_leaving_during_the_upgrade_gives_the_probe_up() -> None:
    """By a noop, which makes both kinds of server forget the upgrade, and a Close; the session itself is left by polling."""

    async def listen(connection: Connection, request: Request) -> None:
        while (await connection.frame()).opcode != CLOSE:
            pass

    async with EngineServer({Stage.PROBE: listen}) as server:
        async with connect(server.origin, timeouts=QUICK):
            await server.until(lambda: "2probe" in server.received)
        await asyncio.wait_for(server.all_gone(), SLACK)
        upgrade = next(connection for connection in server.connections if connection.frames)
        assert [came.payload for came in upgrade.frames[:2]] == [b"2probe", b"6"]
        assert upgrade.frames[2].opcode == CLOSE
        assert server.asked(Stage.POST)[-1].packets == ["1"]


async def test_leaving_does_not_wait_for_a_poll_that_is_never_answered() -> None:
    """As python-engineio leaves it, after the close packet."""
    async with EngineServer() as server:
        server.gates[Stage.POLL] = asyncio.Event()
        async with connect(server.origin, transports=POLLING):
            await server.until(lambda: bool(server.asked(Stage.POLL)))
            started = time.monotonic()
        assert time.monotonic() - started < SLACK
        assert server.closed.is_set()
        await asyncio.wait_for(server.all_gone(), SLACK)


async def test_leaving_during_a_held_poll_needs_no_answer_to_it() -> None:
    async with EngineServer() as server:
        async with connect(server.origin, transports=POLLING) as engine:
            await server.until(lambda: server.polling)
            started = time.monotonic()
        assert time.monotonic() - started < SLACK
        assert server.closed.is_set()
        assert engine.closed is not None
        assert engine.closed.reason == "client close"
        await asyncio.wait_for(server.all_gone(), SLACK)


@ALL_TRANSPORTS
async def test_closing_twice_or_at_the_same_time_is_closing_once(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server:
        engine = await connect(server.origin, transports=transports)
        await engine.wait_upgraded()
        await asyncio.gather(engine.close(), engine.close(), engine.close())
        await engine.close()
        assert server.received.count("1") == 1
        with pytest.raises(ConnectionClosed) as caught:
            await engine.send("x")
        assert caught.value.cause is Cause.CLOSED
        await asyncio.wait_for(server.all_gone(), SLACK)


@ALL_TRANSPORTS
async def test_an_error_inside_the_block_closes_and_comes_out_as_it_is(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server:
        with pytest.raises(ZeroDivisionError):
            async with connect(server.origin, transports=transports):
                raise ZeroDivisionError
        await asyncio.wait_for(server.all_gone(), SLACK)


async def test_an_acknowledgement_that_never_comes_times_out_and_the_session_goes_on() -> None:
    async with EngineServer(reply=lambda message: socketio(message) if '"never"' not in message else ()) as server:
        async with connect_socketio(server.origin, transports=WEBSOCKET) as sio:
            with pytest.raises(AckTimeout):
                await sio.call("never", timeout=0.05)
            server.say('30["late"]')
            assert await sio.call("sum", 1) == ["sum", 1]
            await sio.emit("echo")
            assert (await sio.receive()) == EventReceived("/", "echo", [], None)


async def test_a_call_is_told_when_the_connection_ends() -> None:
    async with EngineServer(reply=lambda message: socketio(message) if message.startswith("0") else ()) as server:
        async with connect_socketio(server.origin, transports=WEBSOCKET) as sio:
            call = asyncio.create_task(sio.call("never", timeout=None))
            await server.until(lambda: len(server.messages) == 2)
            server.connections[-1].writer.write(closing(1011, "gone"))
            with pytest.raises(EngineIOError) as caught:
                await call
            assert caught.value.cause in (Cause.WEBSOCKET_CLOSED, Cause.CLOSED)


async def test_a_path_that_is_wrong_is_said_to_be_wrong() -> None:
    async with EngineServer() as server:

        async def not_found(connection: Connection, request: Request) -> None:
            await connection.send(response(404, b"no such page"))

        server.answers[Stage.HANDSHAKE] = not_found
        with pytest.raises(HandshakeError) as caught:
            await connect(f"{server.origin}/nowhere")
        assert caught.value.cause is Cause.WRONG_PATH
        assert server.asked(Stage.HANDSHAKE)[0].target.startswith("/nowhere/?")


async def test_a_websocket_that_offers_an_upgrade_is_not_waited_for() -> None:
    async def offer(connection: Connection, request: Request) -> None:
        await connection.send(text('0{"sid":"s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'))
        await connection.hold()

    async with EngineServer({Stage.FIRST_FRAME: offer}) as server, connect(server.origin, transports=WEBSOCKET) as engine:
        assert await asyncio.wait_for(engine.wait_upgraded(), SLACK)


async def test_a_websocket_ping_frame_is_answered() -> None:
    async with EngineServer() as server, connect(server.origin, transports=WEBSOCKET) as engine:
        server.connections[-1].writer.write(frame(9, b"are you there"))
        await engine.send("one")
        await engine.receive()
        assert [came.payload for came in server.connections[-1].frames if came.opcode == 10] == [b"are you there"]


# ------------------------------------------------------------------------------------------------------------------------------------- cancellation

Scenario = Callable[[EngineServer, tuple[str, ...]], Awaitable[None]]

CONNECTED = asyncio.Event
"""For the type of a scenario's milestone."""


async def connecting(server: EngineServer, transports: tuple[str, ...]) -> None:
    """Open, and stay."""
    async with connect(server.origin, transports=transports, timeouts=CALM) as engine:
        await engine.wait_upgraded()


async def sending(server: EngineServer, transports: tuple[str, ...]) -> None:
    """Send more than fits at once."""
    async with connect(server.origin, transports=transports, timeouts=CALM) as engine:
        for i in range(8):
            await engine.send(str(i), "x" * 300_000)


async def receiving(server: EngineServer, transports: tuple[str, ...]) -> None:
    """Receive while the server talks."""
    async with connect(server.origin, transports=transports, timeouts=CALM) as engine:
        server.say(*map(str, range(20)))
        await receive_all(engine, 20)


async def calling(server: EngineServer, transports: tuple[str, ...]) -> None:
    """Join, call, emit, leave."""
    async with connect_socketio(server.origin, transports=transports, timeouts=CALM) as sio:
        await sio.call("sum", 1)
        await sio.emit("echo")
        await sio.receive()


@ALL_TRANSPORTS
@pytest.mark.parametrize("scenario", [connecting, sending, receiving, calling], ids=lambda scenario: scenario.__name__)
async def test_cancelling_at_any_turn_of_the_loop_leaves_nothing(scenario: Scenario, transports: tuple[str, ...]) -> None:
    """Cancel after the k-th turn of the loop, for every k until the scenario is through; what is left is looked for each time."""
    turn = 0
    while True:
        async with EngineServer(reply=socketio if scenario is calling else echo) as server:
            task = asyncio.ensure_future(scenario(server, transports))
            for _ in range(turn):
                await asyncio.sleep(0)
                if task.done():
                    break
            through = task.done()
            task.cancel()
            started = time.monotonic()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            assert time.monotonic() - started < SLACK
            assert result is None or isinstance(result, asyncio.CancelledError), f"turn {turn}: {result!r}"
            await asyncio.wait_for(server.all_gone(), 5 * SLACK)  # what is never gone is not gone then either
        assert await left_behind() == [], f"turn {turn}"
        if through:
            assert result is None
            return
        turn += 1


@ALL_TRANSPORTS
async def test_cancelling_a_close_closes_at_once(transports: tuple[str, ...]) -> None:
    for turn in range(1, 40):
        async with EngineServer() as server:
            engine = await connect(server.origin, transports=transports, timeouts=QUICK)
            await engine.wait_upgraded()
            task = asyncio.ensure_future(engine.close())
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() or task.result() is None
            await asyncio.wait_for(server.all_gone(), SLACK)
            assert engine.closed is not None
            await engine.close()
        assert await left_behind() == [], f"turn {turn}"


@ALL_TRANSPORTS
async def test_a_cancelled_receive_loses_nothing(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server, connect(server.origin, transports=transports) as engine:
        got: list[str | bytes] = []
        server.say(*map(str, range(50)))
        for attempt in count():
            if len(got) == 50:
                break
            task = asyncio.ensure_future(engine.receive())
            for _ in range(attempt % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got.append(await task)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
        assert got == list(map(str, range(50)))


@ALL_TRANSPORTS
async def test_a_cancelled_send_is_sent_whole_or_not_at_all(transports: tuple[str, ...]) -> None:
    async with EngineServer() as server:
        async with connect(server.origin, transports=transports) as engine:
            for i in range(60):
                task = asyncio.ensure_future(engine.send(f"{i} a", f"{i} b"))
                for _ in range(i % 4):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
            await engine.send("end")
            while await engine.receive() != "end":
                pass
        pairs = server.messages[:-1]
        assert [message[:-2] for message in pairs[::2]] == [message[:-2] for message in pairs[1::2]]
        assert all(first.endswith("a") and second.endswith("b") for first, second in zip(pairs[::2], pairs[1::2], strict=True))


async def test_a_cancelled_call_leaves_the_connection_usable() -> None:
    async with EngineServer(reply=socketio) as server, connect_socketio(server.origin, transports=WEBSOCKET) as sio:
        for turn in range(8):
            task = asyncio.ensure_future(sio.call("sum", turn))
            for _ in range(turn):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        assert await sio.call("sum", 9) == ["sum", 9]


# ------------------------------------------------------------------------------------------------------------------------------------- in turn


async def test_who_waits_for_room_is_not_overtaken() -> None:
    async with EngineServer() as server:
        server.gates[Stage.POST] = gate = asyncio.Event()
        async with connect(server.origin, transports=POLLING) as engine:
            count = 0

            def is_full() -> bool:
                return engine._driver.holding_back

            while not is_full():
                await engine.send(f"n{count}")
                count += 1
            waiting = [asyncio.create_task(engine.send(f"w{i}")) for i in range(3)]
            await asyncio.sleep(0)
            gate.set()
            while is_full():  # noqa: ASYNC110  # to be there in the very turn in which there is room again
                await asyncio.sleep(0)
            await engine.send("last")  # called when there is room again, and before those who wait have had their turn
            await asyncio.gather(*waiting)
            while server.received[-1] != "4last":
                await engine.receive()
        assert server.received[: count + 4] == [f"4{text}" for text in (*(f"n{i}" for i in range(count)), "w0", "w1", "w2", "last")]


async def test_a_session_that_is_closed_is_refused() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    with pytest.raises(LocalProtocolError) as caught:
        await connect("http://127.0.0.1:9", session=session)
    assert caught.value.cause is Cause.BAD_OPTION
