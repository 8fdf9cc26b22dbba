"""The constructor's options: what each of them means here, and what is said of those that mean nothing."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

import engineio_lite.bridge as socketio
from engineio_lite import Cause, Limits, LocalProtocolError, Timeouts
from engineio_lite.bridge import exceptions
from engineio_lite.bridge.options import BRIDGE_LIMITS, choose_transports, engine_url, make_logger, read_settings
from engineio_lite.capture import Recorder, timeline
from engineio_lite.limits import DEFAULT_TIMEOUTS
from tests.aio.raw import SID, EngineServer, Proxy, Stage
from tests.aio.raw import socketio as replies
from tests.bridge.tools import ALL_TRANSPORTS, Transports, watched
from tests.leaks import left_behind
from tests.peers import Peer, StartPeer

# --------------------------------------------------------------------------------------------------------------------------------- read, not used


def test_the_defaults_are_the_originals() -> None:
    settings = read_settings()
    assert settings.options.timeouts == Timeouts(connect=5.0, open=5.0, post=5.0)
    assert settings.options.limits == BRIDGE_LIMITS == Limits(max_attachments=1000)
    assert (settings.options.ssl, settings.options.proxy, settings.http_session, settings.timestamps) == (True, None, None, True)


def test_timeouts() -> None:
    assert read_settings(request_timeout=2).options.timeouts == Timeouts(connect=2.0, open=2.0, post=2.0)
    assert read_settings(request_timeout=None).options.timeouts == DEFAULT_TIMEOUTS
    assert read_settings(request_timeout=2, timeouts=Timeouts(post=7)).options.timeouts == Timeouts(post=7)
    given: list[tuple[Any, float]] = [
        (3, 3.0),
        (aiohttp.ClientWSTimeout(ws_close=4.0), 4.0),
        (aiohttp.ClientWSTimeout(ws_receive=1.0), 5.0),
        (None, 5.0),
    ]
    for timeout, close in given:
        assert read_settings(websocket_extra_options={"timeout": timeout}).options.timeouts.close == close


def test_tls() -> None:
    context = ssl.create_default_context()
    assert read_settings(ssl_verify=False).options.ssl is False
    assert read_settings(ssl_verify=False, websocket_extra_options={"ssl": context}).options.ssl is context
    assert read_settings(websocket_extra_options={"ssl": None}).options.ssl is True


def test_what_goes_with_every_request() -> None:
    extra = {"headers": {"X-Mine": "1"}, "origin": "http://me.example", "proxy": "http://proxy.example", "max_msg_size": 0, "heartbeat": 20}
    before = dict(extra)
    settings = read_settings(websocket_extra_options=extra)
    assert extra == before
    options = settings.for_connection(["websocket"], {"X-Mine": "2", "X-Yours": "3"}, None)
    assert options.headers == {"X-Mine": "1", "X-Yours": "3", "Origin": "http://me.example"}
    assert (options.proxy, options.limits.max_frame, options.transports) == ("http://proxy.example", 0, ("websocket",))


def test_what_has_no_meaning_here_is_said_at_once() -> None:
    with pytest.raises(TypeError, match=r"knows ssl, proxy, .*, not 'compress', 'protocols'; other options belong into an http_session"):
        socketio.AsyncClient(websocket_extra_options={"compress": 15, "protocols": ()})
    with pytest.raises(TypeError, match=r"http_session must be an aiohttp\.ClientSession, or a callable .*, not object"):
        socketio.AsyncClient(http_session=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'http_sesion'"):
        socketio.AsyncClient(http_sesion=None)  # type: ignore[call-arg]


async def test_no_timestamp_means_no_polling() -> None:
    sio = socketio.AsyncClient(timestamp_requests=False)
    with pytest.raises(LocalProtocolError) as caught:
        await sio.connect("http://127.0.0.1:9")
    assert caught.value.cause is Cause.BAD_OPTION
    async with EngineServer(reply=replies) as server:
        await sio.connect(server.origin, transports=["websocket"])
        await sio.disconnect()
        assert "t" not in server.asked(Stage.WEBSOCKET)[0].query


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (None, ("polling", "websocket")),
        ("polling", ("polling",)),
        ("websocket", ("websocket",)),
        (["polling"], ("polling",)),
        (["polling", "websocket"], ("polling", "websocket")),
        (["websocket", "polling"], ("websocket",)),
        (["polling", "polling"], ("polling",)),
        (["pigeon", "polling"], ("polling",)),
        (("websocket",), ("websocket",)),
    ],
)
def test_transports(given: Any, chosen: tuple[str, ...]) -> None:
    assert choose_transports(given) == chosen


@pytest.mark.parametrize("given", [[], ["pigeon"], "pigeon"])
def test_no_transports(given: Any) -> None:
    with pytest.raises(ValueError, match="No valid transports provided"):
        choose_transports(given)


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("http://host", "socket.io", "http://host/socket.io/"),
        ("https://host:1/any/path?x=1&y=2", "/my/path/", "https://host:1/my/path/?x=1&y=2"),
        ("ws://user:word@host/", "socket.io", "ws://user:word@host/socket.io/"),
        ("http://host#part", "socket.io", "http://host/socket.io/"),
        ("host:5000", "socket.io", "host:5000"),
        ("http://[", "socket.io", "http://["),
        (5000, "socket.io", 5000),
    ],
)
def test_urls(url: Any, path: str, expected: Any) -> None:
    assert engine_url(url, path) == expected


# ------------------------------------------------------------------------------------------------------------------------------------ HTTP sessions


@ALL_TRANSPORTS
async def test_a_session_of_the_caller_is_used_and_left_alone(any_peer: Peer, transports: Transports) -> None:
    async with aiohttp.ClientSession(headers={"X-Session": "mine"}, cookies={"biscuit": "yes"}, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        http.cookie_jar.update_cookies({"biscuit": "yes"}, URL(any_peer.url))
        sio, _ = watched(http_session=http)
        for _ in range(2):
            await sio.connect(any_peer.url, transports=transports)
            headers = (await sio.call("query"))["headers"]
            assert (headers["x-session"], headers["cookie"]) == ("mine", "biscuit=yes")
            assert sio.eio.http is http
            await sio.disconnect()
        assert not http.closed
        assert dict(http.headers) == {"X-Session": "mine"}


@ALL_TRANSPORTS
async def test_sessions_are_made_for_each_connection_and_closed_with_it(any_peer: Peer, transports: Transports) -> None:
    made: list[aiohttp.ClientSession] = []

    def make() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession(headers={"X-Session": str(len(made))}))
        return made[-1]

    async def make_slowly() -> aiohttp.ClientSession:
        await asyncio.sleep(0.001)
        return make()

    for factory in (make, make_slowly):
        made.clear()
        sio, _ = watched(http_session=factory)
        for i in range(2):
            await sio.connect(any_peer.url, transports=transports)
            assert (await sio.call("query"))["headers"]["x-session"] == str(i)
            assert sio.eio.http is made[i]
            await sio.disconnect()
            assert made[i].closed
            assert sio.eio.http is None
        with pytest.raises(exceptions.ConnectionError):
            await sio.connect("http://127.0.0.1:9", transports=transports)
        assert made[2].closed


async def test_a_session_that_cannot_be_had() -> None:
    def fails() -> aiohttp.ClientSession:
        raise KeyError("none left")

    async def never() -> aiohttp.ClientSession:
        await asyncio.sleep(3600)
        raise AssertionError

    with pytest.raises(KeyError):
        await socketio.AsyncClient(http_session=fails).connect("http://127.0.0.1:9")
    sio = socketio.AsyncClient(http_session=never)
    connecting = asyncio.create_task(sio.connect("http://127.0.0.1:9"))
    await asyncio.sleep(0.01)
    connecting.cancel()
    await asyncio.wait({connecting})
    assert await left_behind() == []


async def test_leaving_while_a_session_is_made(any_peer: Peer) -> None:
    gate = asyncio.Event()

    async def wait() -> aiohttp.ClientSession:
        await gate.wait()
        return aiohttp.ClientSession()

    sio = socketio.AsyncClient(http_session=wait)
    connecting = asyncio.create_task(sio.connect(any_peer.url))
    await asyncio.sleep(0)
    await sio.disconnect()
    gate.set()
    with pytest.raises(exceptions.ConnectionError, match="closed by this side"):
        await connecting
    assert await left_behind() == []


async def test_a_session_that_is_closed_already_is_named(any_peer: Peer) -> None:
    http = aiohttp.ClientSession()
    await http.close()
    with pytest.raises(exceptions.ConnectionError, match="http_session is closed"):
        await socketio.AsyncClient(http_session=http).connect(any_peer.url)


@ALL_TRANSPORTS
async def test_headers_and_a_proxy_go_with_every_request(transports: Transports) -> None:
    async with EngineServer(reply=replies) as server, Proxy() as proxy:
        extra = {"headers": {"X-Extra": "1", "Cookie": "a=b"}, "proxy": proxy.origin}
        sio = socketio.AsyncClient(websocket_extra_options=extra)
        headers = {"X-Given": "2"}
        await sio.connect(server.origin, headers=headers, transports=transports)
        await sio.disconnect()
        assert headers == {"X-Given": "2"}
        assert extra == {"headers": {"X-Extra": "1", "Cookie": "a=b"}, "proxy": proxy.origin}
        assert {(request.header("X-Extra"), request.header("X-Given"), request.header("Cookie")) for _, request in server.arrived} == {
            ("1", "2", "a=b")
        }
        assert proxy.requests


# ------------------------------------------------------------------------------------------------------------------------------- JSON, serializers


class LoudJSON:
    """A JSON module of its own."""

    @staticmethod
    def dumps(data: Any, **options: Any) -> str:
        return json.dumps(data, **options).replace("quiet", "loud")

    @staticmethod
    def loads(text: str) -> Any:
        return json.loads(text.replace("loud", "LOUD"))


async def test_a_json_module_is_that_of_one_client(any_peer: Peer) -> None:
    """In the original it is set on a class that all clients and servers of the process share."""
    loud, calm = socketio.AsyncClient(json=LoudJSON), socketio.AsyncClient()
    for sio in (loud, calm):
        await sio.connect(any_peer.url, transports=["websocket"])
    assert await loud.call("echo", "quiet") == "LOUD"
    assert await calm.call("echo", "quiet") == "quiet"
    for sio in (loud, calm):
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_the_msgpack_serializer(peer_server: StartPeer, any_kind: Any, transports: Transports) -> None:
    pytest.importorskip("msgpack", reason="python-socketio's serializer needs it: pip install 'engineio-lite[bridge,msgpack]'")
    peer = peer_server(any_kind, parser="msgpack")
    sio, seen = watched(serializer="msgpack")
    await sio.connect(peer.url, transports=transports, auth={"key": "packed"})
    assert await sio.call("echo", ({"raw": b"\x00\xff", "text": "grüße"}, 1.5, None)) == ({"raw": b"\x00\xff", "text": "grüße"}, 1.5, None)
    for i in range(100):
        await sio.emit("count", i)
    assert await sio.call("report") == {"received": 100, "inOrder": True, "last": 99}
    await sio.emit("flood", 50)
    await seen.until(lambda: ("number", (49,)) in seen)
    assert [args[0] for event, args in (item for item in seen if item[0] == "number")] == list(range(50))
    await sio.disconnect()


@pytest.fixture(params=["node", "python"])
def any_kind(request: pytest.FixtureRequest) -> Any:
    """Each kind of server."""
    return request.param


async def test_a_serializer_of_ones_own(any_peer: Peer) -> None:
    from socketio.packet import Packet

    class Counting(Packet):  # type: ignore[misc]
        decoded = 0

        def decode(self, encoded_packet: str) -> Any:
            Counting.decoded += 1
            return super().decode(encoded_packet)

    sio, _ = watched(serializer=Counting)
    await sio.connect(any_peer.url)
    assert await sio.call("echo", "x") == "x"
    await sio.disconnect()
    assert Counting.decoded >= 3


# ------------------------------------------------------------------------------------------------------------------------------ logs and records


def logged(make: Callable[[], logging.Logger]) -> list[str]:
    """What reaches the application's own handler, of one message of each level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    shared = logging.getLogger("bridge.test")
    shared.addHandler(handler)
    try:
        logger = make()
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logger.log(level, logging.getLevelName(level))
    finally:
        shared.removeHandler(handler)
    return stream.getvalue().split()


def test_loggers() -> None:
    shared = logging.getLogger("bridge.test")
    assert logged(lambda: make_logger("bridge.test", False)) == ["ERROR"]
    assert logged(lambda: make_logger("bridge.test", True)) == ["INFO", "WARNING", "ERROR"]
    assert make_logger("bridge.test", shared) is shared
    assert (shared.level, shared.handlers) == (logging.NOTSET, [])
    shared.setLevel(logging.WARNING)
    assert logged(lambda: make_logger("bridge.test", True)) == ["WARNING", "ERROR"]
    shared.setLevel(logging.NOTSET)


async def test_what_is_logged_shows_what_happens_and_no_secrets() -> None:
    stream = io.StringIO()
    logger = logging.Logger("mine", logging.INFO)
    logger.addHandler(logging.StreamHandler(stream))
    async with EngineServer(reply=replies) as server:
        sio, seen = watched(logger=logger, engineio_logger=logger)
        await sio.connect(server.origin, auth={"token": "t0ken"})
        await sio.call("sum", "x" * 1000)
        await sio.emit("echo", "hello")
        await seen.has(("echo", ("hello",)))
        server.push("1")
        await sio.wait()
    text = stream.getvalue()
    for words in ("connecting by polling and websocket", "connected by polling", '"hello"', "Namespace / is connected", "the connection ended"):
        assert words in text, words
    for secret in ("t0ken", SID, "s3cret-namespace-sid"):
        assert secret not in text
    assert max(map(len, text.splitlines())) < 300


@ALL_TRANSPORTS
async def test_a_recorder_sees_the_conversation(any_peer: Peer, transports: Transports) -> None:
    recorder = Recorder()
    sio = socketio.AsyncClient(recorder=recorder)
    for _ in range(2):
        await sio.connect(any_peer.url, transports=transports, auth={"token": "t0ken"})
        await sio.call("echo", "recorded")
        await sio.disconnect()
    rows = timeline(recorder.records)
    for packet in ("0{", '42["welcome"', '421["echo","recorded"]', '431["recorded"]', "41"):
        assert sum(row.packet.startswith(packet) for row in rows) == 2, packet
    assert not any("t0ken" in row.packet for row in rows)
    if transports is None:
        assert [row.packet for row in rows].count("2probe") == 2


async def test_a_simple_client_takes_the_same_options(any_peer: Peer) -> None:
    recorder = Recorder()
    async with socketio.AsyncSimpleClient(recorder=recorder, reconnection=False) as sio:
        await sio.connect(any_peer.url)
        assert await sio.call("echo", 1) == 1
    assert recorder.records
