"""Peers that a library would not make: a server that says exactly what a test writes, byte for byte, and an HTTP proxy.

Both listen on loopback, in the loop of the test, and have ended all their tasks when their block ends. And what processes need that tests start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

OPEN = '0{"sid":"raw","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


class RawServer:
    """Engine.IO by hand.

    `polls` are the bodies that GETs take in order, each as soon as it is put there; `posted` the bodies of POSTs, answered with `post_answer`;
    `on_websocket` conducts the WebSocket.
    """

    def __init__(self) -> None:
        self.url = ""
        self.polls: asyncio.Queue[str] = asyncio.Queue()
        self.posted: asyncio.Queue[str] = asyncio.Queue()
        self.post_answer = "ok"
        self.on_websocket: Callable[[web.WebSocketResponse], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.query["transport"] == "websocket":
            socket = web.WebSocketResponse(timeout=0.1)
            await socket.prepare(request)
            assert self.on_websocket is not None
            with contextlib.suppress(TypeError):  # the client has closed: a frame that is no text
                await self.on_websocket(socket)
            await socket.close()
            return socket
        if request.method == "POST":
            self.posted.put_nowait(await request.text())
            return web.Response(text=self.post_answer)
        return web.Response(text=await self.polls.get())


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    server = RawServer()
    app = web.Application()
    app.router.add_route("*", "/socket.io/", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


class Proxy:
    """An HTTP proxy that forwards absolute URLs, WebSockets among them, and tunnels for CONNECT; `requests` are the first lines it saw."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._running.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, _, headers = head.partition("\r\n")
        self.requests.append(line)
        method, target, version = line.split(" ")
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        server_reader, server_writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = f"{url.path}?{url.query}"
                # One request a connection, so that each of them passes through here; an upgrade keeps its own Connection header.
                once = "" if "upgrade" in headers.lower() else "Connection: close\r\n"
                server_writer.write(f"{method} {path} {version}\r\n{once}{headers}".encode("latin-1"))
            await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
        finally:
            server_writer.close()

    async def stop(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@asynccontextmanager
async def proxy_server() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = "http://{}:{}".format(*listener.sockets[0].getsockname()[:2])
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.stop()
        await listener.wait_closed()
