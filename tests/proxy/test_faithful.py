"""That the proxy changes nothing: raw bytes on both sides, WebSockets with all they can have, ends, refusals, TLS, servers that are not there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from engineio_lite import proxy
from engineio_lite.aio import connect_socketio
from engineio_lite.capture import load
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import Head, HttpAnswer, Line, Note, SessionOpened, SocketChanged, Undecoded
from engineio_lite.exceptions import LocalProtocolError
from tests.aio.raw import Connection, RawServer, response
from tests.aio.test_driver import CERTIFICATES
from tests.peers import Peer, StartPeer
from tests.peers.proxy import Proxy

POLL = "/socket.io/?EIO=4&transport=polling"
OPEN = b'0{"sid":"abcdefgh","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
SOCKET = "/socket.io/?EIO=4&transport=websocket"

PATIENCE = 20.0
"""Seconds for what takes milliseconds."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.eio.jsonl"


@contextlib.asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Connection]:
    """A raw connection to a proxy."""
    host, port = url.removeprefix("http://").split(":")
    line = Connection(*await asyncio.open_connection(host, int(port)))
    try:
        yield line
    finally:
        line.writer.close()
        with contextlib.suppress(ConnectionError):
            await line.writer.wait_closed()


async def until(path: Path, condition: Callable[[tuple[Line, ...]], bool]) -> tuple[Line, ...]:
    """Wait until the lines of a capture that is being written are so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = load(path).lines
            if condition(lines):
                return lines
            await asyncio.sleep(0.01)


async def asked(server: RawServer, count: int) -> None:
    """Wait until a server has got so many requests."""
    async with asyncio.timeout(PATIENCE):
        while len(server.requests) < count:  # noqa: ASYNC110  # it says so to nobody
            await asyncio.sleep(0.01)


def closed_sockets(lines: tuple[Line, ...]) -> list[SocketChanged]:
    return [line for line in lines if isinstance(line, SocketChanged) and line.change == "closed"]


# --- bytes


async def test_bytes_pass_as_they_came_but_for_the_host(path: Path) -> None:
    request = b"POST /x?%2f HTTP/1.1\r\nhost: 127.0.0.1\r\nX-ODD:1\r\nx-odd:  2 \r\nTransfer-Encoding: chunked\r\n\r\n"
    request += b"3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    reply = b"HTTP/1.1 299 Odd\r\nset-cookie: a=b; Secure\r\nSet-Cookie:c=d\r\nX: \xe9\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n"
    reply += b"\x00\x01\x02\x03\x04"
    expected = b""

    async def script(connection: Connection) -> None:
        assert await connection.exactly(len(expected)) == expected
        await connection.send(reply)
        await connection.hold()

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording, line_to(recording.url) as line:
        expected = request.replace(b"host: 127.0.0.1", f"host: 127.0.0.1:{server.port}".encode())
        for start in range(0, len(request), 7):
            await line.send(request[start : start + 7])
        assert await asyncio.wait_for(line.exactly(len(reply)), PATIENCE) == reply


async def test_an_answer_passes_as_it_comes(path: Path) -> None:
    seen = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        await connection.wait_for(seen.wait())
        await connection.send(b"data: two\n\n")

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording, aiohttp.ClientSession() as session:
        async with session.get(f"{recording.url}/stream") as answer:
            assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
            seen.set()
            assert await answer.content.read() == b"data: two\n\n"


async def test_a_reader_that_is_slow_is_felt_by_the_server(path: Path) -> None:
    written, held = 0, asyncio.Event()

    async def script(connection: Connection) -> None:
        nonlocal written
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while written < 100_000_000:
                async with asyncio.timeout(1):
                    await connection.send(b"x" * 1_000_000)
                written += 1_000_000
        except TimeoutError:
            held.set()  # nobody takes it: the proxy holds no more than its buffers
            await connection.hold()

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording, line_to(recording.url) as line:
        await line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await line.head()
        await asyncio.wait_for(held.wait(), PATIENCE)
    assert 0 < written < 50_000_000


# --- ends


async def test_a_client_that_goes_away_takes_its_poll_with_it(path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(response(200, OPEN))
        await connection.request()
        await connection.hold()  # until the client goes

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording:
        async with line_to(recording.url) as line:
            await line.send(f"GET {POLL} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await line.exactly(len(response(200, OPEN)))
            await line.send(f"GET {POLL}&sid=abcdefgh HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await asked(server, 2)
        await asyncio.wait_for(server.all_gone(), PATIENCE)
        lines = await until(path, lambda lines: isinstance(lines[-1], Note))
    assert [(line.session, line.status) for line in lines if isinstance(line, HttpAnswer)] == [(1, 0)]
    assert [line.what for line in lines if isinstance(line, Note)] == ["abandoned"]


async def test_a_reset_of_the_client_is_a_reset_for_the_server(path: Path) -> None:
    ends: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.request()
        try:
            ends.append("end" if await connection.reader.read(1) == b"" else "data")
        except ConnectionResetError:
            ends.append("reset")

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording:
        for is_reset in (False, True):
            async with line_to(recording.url) as line:
                await line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await asked(server, 1 + is_reset)
                if is_reset:
                    line.cut()
            await asyncio.wait_for(server.all_gone(), PATIENCE)
    assert ends == ["end", "reset"]


async def test_a_server_that_dies_within_an_answer_is_seen_to_die(path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(response(200, OPEN, length=1000))
        connection.cut()

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(f"{recording.url}{POLL}") as answer:
                await answer.read()
        lines = await until(path, lambda lines: any(isinstance(line, Note) for line in lines))
    assert [line.text for line in lines if isinstance(line, Note)] == ["the server went away before its answer was complete"]


async def test_a_server_that_ends_an_idle_connection_ends_the_clients(path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(response(200, b"ok"))

    async with RawServer(script) as server, proxy.record(server.origin, path) as recording, line_to(recording.url) as line:
        await line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await line.exactly(len(response(200, b"ok")))
        assert await asyncio.wait_for(line.reader.read(), PATIENCE) == b""


# --- servers that are not there


async def _dead_port() -> int:
    async with RawServer() as server:
        return server.port


async def test_a_dead_server_is_an_answer_and_a_note(path: Path) -> None:
    port = await _dead_port()
    async with proxy.record(f"http://127.0.0.1:{port}", path) as recording, aiohttp.ClientSession() as session:
        async with session.get(f"{recording.url}{POLL}") as answer:
            assert answer.status == 502
            said = await answer.text()
    assert f"the server at http://127.0.0.1:{port} cannot be reached" in said
    assert "[connect-refused]\nstart the server, or correct host and port\n" in said
    lines = load(path).lines
    assert [line.status for line in lines if isinstance(line, HttpAnswer)] == [502]
    assert [line.what for line in lines if isinstance(line, Note)] == ["upstream"]
    assert recording.sessions == 0


async def test_a_server_that_says_nothing_at_all_is_an_answer_too(path: Path) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()

    async def cut(connection: Connection) -> None:
        await connection.request()
        connection.cut()

    for each in (script, cut):
        async with RawServer(each) as server, proxy.record(server.origin, path, overwrite=True) as recording, aiohttp.ClientSession() as session:
            async with session.get(f"{recording.url}{POLL}") as answer:
                assert answer.status == 502
                assert "ended the connection without an answer [connection-lost]" in await answer.text()
        assert [line.what for line in load(path).lines if isinstance(line, Note)] == ["upstream"]


@pytest.mark.parametrize(("host", "cause"), [("no-such-host.invalid", "dns-failed"), ("a" * 70 + ".test", "dns-failed")])
async def test_a_name_that_nobody_has(path: Path, host: str, cause: str) -> None:
    async with proxy.record(f"http://{host}", path) as recording, aiohttp.ClientSession() as session:
        async with session.get(f"{recording.url}{POLL}") as answer:
            assert answer.status == 502
            assert f"[{cause}]" in await answer.text()


async def test_a_client_goes_on_when_its_server_comes_back(peer_server: StartPeer, path: Path) -> None:
    peer = peer_server("python")
    async with proxy.record(peer.url, path) as recording:
        async with connect_socketio(recording.url, transports=("websocket",), reconnect=True) as sio:
            assert await sio.call("echo", 1) == 1
            await asyncio.to_thread(peer.restart)
            assert await sio.call("echo", 2, timeout=30) == 2
        lines = await until(path, lambda lines: len(closed_sockets(lines)) == 2)
    assert recording.sessions == 2
    assert [str(line.by) for line in closed_sockets(lines)] == ["down", "up"]


# --- TLS


async def test_a_server_with_tls(peer_server: StartPeer, path: Path) -> None:
    peer = peer_server("python", certificate=str(CERTIFICATES / "server.pem"))
    trusting = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    for context in (trusting, False):
        async with proxy.record(peer.url, path, ssl=context, overwrite=True) as recording:
            for transport in ("polling", "websocket"):
                async with connect_socketio(recording.url, transports=(transport,)) as sio:
                    assert await sio.call("echo", transport) == transport
        assert recording.sessions == 2
        urls = {line.url for line in load(path).lines if isinstance(line, SessionOpened)}
        assert urls == {f"https://127.0.0.1:{peer.port}/socket.io/"}
    async with proxy.record(peer.url, path, overwrite=True) as recording, aiohttp.ClientSession() as session:
        async with session.get(f"{recording.url}{POLL}") as answer:
            assert (answer.status, "[tls-failed]" in await answer.text()) == (502, True)


# --- WebSockets


@contextlib.asynccontextmanager
async def websocket_server(handle: Callable[[web.WebSocketResponse], Any], **options: Any) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """An aiohttp server with one WebSocket at every path: its URL, and the requests that it got."""
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        socket = web.WebSocketResponse(**options)
        await socket.prepare(request)
        await handle(socket)
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    finally:
        await runner.cleanup()


async def test_a_websocket_with_all_that_it_can_have(path: Path) -> None:
    got: list[Any] = []

    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.send_str(OPEN.decode())
        async for message in socket:
            got.append((message.type, message.data))
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
                await socket.close(code=4001, message="grüße".encode())

    large = "4" + "é" * 300_000
    async with websocket_server(handle, autoping=False, protocols=("b", "c"), compress=True) as (url, requests):
        async with proxy.record(url, path) as recording, aiohttp.ClientSession() as session:
            async with session.ws_connect(f"{recording.url}{SOCKET}", protocols=("a", "b"), compress=15, autoping=False, max_msg_size=0) as socket:
                assert (socket.protocol, socket.compress) == ("b", 15)
                assert (await socket.receive()).data == OPEN.decode()
                await socket.ping(b"are you there")
                assert await socket.receive() == (WSMsgType.PONG, b"are you there", "")
                for data in ("4first", large):
                    await socket.send_str(data)
                    assert (await socket.receive()).data == data
                await socket.send_bytes(b"\x00\xff")
                assert (await socket.receive()).data == b"\x00\xff"
                assert await socket.receive() == (WSMsgType.CLOSE, 4001, "grüße")
            lines = await until(path, lambda lines: bool(closed_sockets(lines)))
        assert requests[0].headers["Sec-WebSocket-Protocol"] == "a,b"
    assert got[0] == (WSMsgType.PING, b"are you there")
    assert [line.data for line in lines if isinstance(line, Undecoded)] == ["4first", "4first", large, large, b"\x00\xff", b"\x00\xff"]
    [closed] = closed_sockets(lines)
    assert (str(closed.by), closed.code, closed.reason) == ("down", 4001, "grüße")


@pytest.mark.parametrize("target", [f"{SOCKET}&sid=unknown-session", "/socket.io/?EIO=4&transport=pigeon"])
async def test_a_refused_upgrade_is_refused_in_the_servers_words(any_peer: Peer, path: Path, target: str) -> None:
    async def refused(url: str) -> Any:
        async with aiohttp.ClientSession() as session:
            headers = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
            async with session.get(f"{url}{target}", headers=headers) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name != "Date"]
                return answer.status, answer.reason, kept, await answer.text()

    direct = await refused(any_peer.url)
    async with proxy.record(any_peer.url, path) as recording:
        assert await refused(recording.url) == direct
    [line] = [line for line in load(path).lines if isinstance(line, HttpAnswer)]
    assert (line.session, line.status, line.body) == (0, direct[0], direct[3].replace("unknown-session", "@eio1"))


async def test_a_line_that_breaks_under_a_websocket(peer_server: StartPeer, path: Path) -> None:
    peer = peer_server("node")
    async with Proxy(peer) as line, proxy.record(line.url, path) as recording:
        async with connect_socketio(recording.url, transports=("websocket",), reconnect=False) as sio:
            await sio.call("echo", 1)
            line.cut(reset=True)
            lines = await until(path, lambda lines: bool(closed_sockets(lines)))
    [closed] = closed_sockets(lines)
    assert (str(closed.by), closed.code) == ("down", None)


# --- the recording itself


async def test_a_file_that_is_there_is_not_touched(path: Path) -> None:
    await asyncio.to_thread(path.write_text, "precious")
    with pytest.raises(FileExistsError):
        async with proxy.record("http://127.0.0.1:9", path):
            raise AssertionError("it began")
    assert await asyncio.to_thread(path.read_text) == "precious"
    async with proxy.record("http://127.0.0.1:9", path, overwrite=True):
        pass
    assert load(path).head.source == "proxy"


async def test_where_nothing_can_be_recorded_nothing_is_written(path: Path) -> None:
    async with RawServer() as server:
        with pytest.raises(OSError, match="in use") as caught:
            async with proxy.record("http://127.0.0.1:9", path, port=server.port):
                raise AssertionError("it began")
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(LocalProtocolError):
        async with proxy.record("127.0.0.1:9", path):
            raise AssertionError("it began")
    assert list(path.parent.iterdir()) == []


class _Full:
    """A file on a disk that is full after some lines."""

    def __init__(self, lines: int) -> None:
        self.lines = lines

    def write(self, data: bytes) -> int:
        if self.lines == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.lines -= 1
        return len(data)

    def flush(self) -> None:
        """It is written already."""


async def test_traffic_goes_on_when_the_disk_is_full(any_peer: Peer) -> None:
    writer = Writer(_Full(3), Head(source="proxy"))  # type: ignore[arg-type]

    async def talk() -> None:
        async with proxy.record(any_peer.url, writer) as recording, connect_socketio(recording.url) as sio:
            assert await sio.call("echo", 1) == 1
            assert recording.failed.done()
            assert await sio.call("echo", 2) == 2

    with pytest.raises(OSError, match="No space left"):
        await talk()


async def test_traffic_goes_on_when_a_hook_raises(any_peer: Peer, path: Path) -> None:
    def raises(line: Line) -> None:
        raise ValueError(type(line).__name__)

    async def talk() -> None:
        async with proxy.record(any_peer.url, path, on_line=raises) as recording, connect_socketio(recording.url) as sio:
            assert await sio.call("echo", 1) == 1

    with pytest.raises(ValueError, match="SessionOpened"):
        await talk()


async def test_a_recording_that_is_left_leaves_its_clients(any_peer: Peer, path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        recording = await stack.enter_async_context(proxy.record(any_peer.url, path))
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{recording.url}{SOCKET}") as socket:
            await socket.receive_str()
            await stack.aclose()
            assert (await asyncio.wait_for(socket.receive(), PATIENCE)).type in (WSMsgType.CLOSED, WSMsgType.ERROR)
    assert [(line.session, line.what) for line in load(path).lines if isinstance(line, Note)] == [(1, "open")]
