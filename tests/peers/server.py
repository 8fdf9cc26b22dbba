"""A real python-socketio server for the tests, on aiohttp and a free loopback port: the twin of server.cjs.

Started as a program, with its options as one JSON argument; `tests/peers/__init__.py` says what the two servers have in common. Options have the
names of the Node server and are translated here, times from milliseconds to seconds; what this server has no word for (`allowEIO3`,
`upgradeTimeout`, ...) is left out, because a test that asks both kinds for the same wants each kind's nearest conduct. Note that python-engineio
announces its ping interval cut to whole seconds, whatever it does: 300 ms are announced as 0.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import sys
import time
from typing import Any

import engineio
import socketio
from aiohttp import web

_MILLISECONDS = {"pingInterval": "ping_interval", "pingTimeout": "ping_timeout"}
_SAME = {"transports": "transports", "maxHttpBufferSize": "max_http_buffer_size", "cookie": "cookie", "allowUpgrades": "allow_upgrades"}
_BUSY_LIMIT = 5.0
"""Seconds to wait for a port that is busy."""


def _server_options(options: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: options[key] / 1000 for key, name in _MILLISECONDS.items() if key in options}
    return chosen | {name: options[key] for key, name in _SAME.items() if key in options}


def _serve_engine(app: web.Application, options: dict[str, Any]) -> None:
    engine = engineio.AsyncServer(async_mode="aiohttp", **_server_options(options))
    engine.attach(app, options.get("path", "/engine.io/").strip("/"))

    @engine.on("connect")  # type: ignore[untyped-decorator]
    async def connect(sid: str, environ: dict[str, Any]) -> None:
        for i in range(options.get("burst", 0)):
            await engine.send(sid, f"number {i}")

    @engine.on("message")  # type: ignore[untyped-decorator]
    async def message(sid: str, data: Any) -> None:
        if data == "close!":
            await engine.disconnect(sid)
        else:
            await engine.send(sid, data)


class _Conduct(socketio.AsyncNamespace):  # type: ignore[misc]
    """What every connected namespace does; a subclass says whom it lets in."""

    def __init__(self, namespace: str, burst: int) -> None:
        super().__init__(namespace)
        self._burst = burst
        self._counts: dict[str, list[Any]] = {}

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        self._counts[sid] = []
        await self._numbers(sid, 0, self._burst, 0)
        await self.emit("welcome", {"auth": auth or {}, "transport": self._transport(sid)}, to=sid)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        self._counts.pop(sid, None)

    def _transport(self, sid: str) -> str:
        name = self.server.transport(sid, self.namespace)
        assert isinstance(name, str)
        return name

    async def _numbers(self, sid: str, start: int, stop: int, pad: int) -> None:
        for i in range(start, stop):
            await self.emit("number", (i, "x" * pad) if pad else i, to=sid)

    async def _stream(self, sid: str, n: int, pad: int) -> None:
        for start in range(0, n, 50):
            await self._numbers(sid, start, min(n, start + 50), pad)
            await asyncio.sleep(0)

    async def on_echo(self, sid: str, *args: Any) -> Any:
        await self.emit("echo", args, to=sid)
        return args

    async def on_flood(self, sid: str, n: int, pad: int = 0) -> None:
        await self._numbers(sid, 0, n, pad)

    async def on_stream(self, sid: str, n: int, pad: int = 0) -> None:
        await self._stream(sid, n, pad)

    async def on_count(self, sid: str, i: int) -> None:
        self._counts[sid].append(i)

    async def on_report(self, sid: str) -> Any:
        counts, self._counts[sid] = self._counts[sid], []
        return {"received": len(counts), "inOrder": counts == list(range(len(counts))), "last": counts[-1] if counts else None}

    async def on_never(self, sid: str) -> None:
        # python-socketio acknowledges whenever the handler returns, so a call that is never answered needs a handler that never returns.
        await asyncio.Event().wait()

    async def on_transport(self, sid: str) -> Any:
        return self._transport(sid)

    async def on_askme(self, sid: str, *args: Any) -> None:
        try:
            answer = await self.call("question", args, to=sid, timeout=5)
        except socketio.exceptions.TimeoutError:
            answer = None
        await self.emit("answer", answer, to=sid)

    async def on_kick(self, sid: str) -> None:
        await self.disconnect(sid)

    async def on_kickall(self, sid: str) -> None:
        engine_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        await self.disconnect(sid)
        await self.server.eio.disconnect(engine_sid)

    async def on_drop(self, sid: str) -> None:
        await self.server.eio.disconnect(self.server.manager.eio_sid_from_sid(sid, self.namespace))


class _Admin(_Conduct):
    """Lets in who knows the word."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        await asyncio.sleep(0)
        if not isinstance(auth, dict) or auth.get("token") != "letmein":
            raise socketio.exceptions.ConnectionRefusedError("not authorized", {"code": 7})
        await super().on_connect(sid, environ, auth)


class _Slow(socketio.AsyncNamespace):  # type: ignore[misc]
    """Never says yes or no."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        await asyncio.Event().wait()


def _serve_socket(app: web.Application, options: dict[str, Any]) -> None:
    server = socketio.AsyncServer(async_mode="aiohttp", **_server_options(options))
    server.attach(app, options.get("path", "/socket.io/").strip("/"))
    for namespace in (_Conduct("/", options.get("burst", 0)), _Admin("/admin", 0), _Slow("/slow")):
        server.register_namespace(namespace)


async def _bound(port: int) -> socket.socket:
    """A listening socket. A port that was this server's a moment ago may still be the kernel's, so a busy one is tried again for a while."""
    end = time.monotonic() + _BUSY_LIMIT
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
        await asyncio.sleep(0.05)


async def main(options: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    app = web.Application()
    if options.get("engineOnly", False):
        _serve_engine(app, options)
    else:
        _serve_socket(app, options)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = await _bound(options.get("port", 0))
    await web.SockSite(runner, listener).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    # A test's server has nothing to save: it leaves at once, in the middle of whatever it was doing.
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    loop.add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 4096) or os._exit(0))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))
