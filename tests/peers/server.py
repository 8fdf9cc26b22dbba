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
import ssl
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import engineio
import socketio
from aiohttp import web

_MILLISECONDS = {"pingInterval": "ping_interval", "pingTimeout": "ping_timeout"}
_SAME = {"transports": "transports", "maxHttpBufferSize": "max_http_buffer_size", "cookie": "cookie", "allowUpgrades": "allow_upgrades"}
_SAME_OF_SOCKETS = {"alwaysConnect": "always_connect", "parser": "serializer"}
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


class _Memory:
    """What this process has seen, some of it by the `key` that a client put into its auth. A new process knows nothing."""

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.most = 0
        self.attempts: Counter[str] = Counter()
        self.max_open: Counter[str] = Counter()
        self.reasons: defaultdict[str, list[str]] = defaultdict(list)
        self._open_now: Counter[str] = Counter()

    def engine_opened(self) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)

    def engine_closed(self) -> None:
        self.open -= 1

    def joined(self, key: str) -> None:
        self.attempts[key] += 1
        self._open_now[key] += 1
        self.max_open[key] = max(self.max_open[key], self._open_now[key])

    def left(self, key: str, reason: str) -> None:
        self._open_now[key] -= 1
        self.reasons[key].append(reason)

    def totals(self) -> dict[str, Any]:
        counts = {"connections": self.connections, "open": self.open, "most": self.most}
        return {**counts, "attempts": dict(self.attempts), "maxOpen": dict(self.max_open)}


class _Log:
    """Where `record` writes, and which of its calls are acknowledged."""

    def __init__(self, path: str | None, ack_every: int) -> None:
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._ack_every = ack_every
        self._tries: Counter[Any] = Counter()
        self.muted = 0

    def record(self, i: Any) -> bool:
        """Write a line, at once, so that it is in the file even if this process is killed in the next moment; whether to acknowledge it."""
        if self._file is not None:
            os.write(self._file, json.dumps(i).encode() + b"\n")
        self._tries[i] += 1
        if self.muted > 0:
            self.muted -= 1
            return False
        return self._tries[i] % self._ack_every == 0


_ack_id: ContextVar[int | None] = ContextVar("_ack_id")
"""The id of the acknowledgement that the event at hand asks for: each event's handler runs in a task of its own, which is not told."""


class _Server(socketio.AsyncServer):  # type: ignore[misc]
    """Counts connections, and remembers what python-socketio does not tell its handlers."""

    def __init__(self, memory: _Memory, **options: Any) -> None:
        super().__init__(**options)
        self._memory = memory

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        self._memory.engine_opened()
        await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._memory.engine_closed()
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def _handle_event_internal(self, server: Any, sid: str, eio_sid: str, data: list[Any], namespace: str, id: int | None) -> None:
        _ack_id.set(id)
        await super()._handle_event_internal(server, sid, eio_sid, data, namespace, id)

    async def acknowledge(self, sid: str, namespace: str, id: int, args: tuple[Any, ...]) -> None:
        """Send an acknowledgement, asked or not."""
        answer = self.packet_class(socketio.packet.ACK, namespace=namespace, id=id, data=list(args))
        await self._send_packet(self.manager.eio_sid_from_sid(sid, namespace), answer)


@dataclass
class _Guest:
    """One connection to a namespace."""

    auth: dict[str, Any]
    request: web.Request
    counts: list[Any] = field(default_factory=list)


class _Conduct(socketio.AsyncNamespace):  # type: ignore[misc]
    """What every connected namespace does; a subclass says whom it lets in."""

    def __init__(self, namespace: str, memory: _Memory, log: _Log, burst: int = 0) -> None:
        super().__init__(namespace)
        self._memory = memory
        self._log = log
        self._burst = burst
        self._guests: dict[str, _Guest] = {}
        self._later: set[asyncio.Task[None]] = set()

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        # Node's client in msgpack sends no auth as `undefined`, which arrives here as an extension type.
        self._guests[sid] = guest = _Guest(auth if isinstance(auth, dict) else {}, environ["aiohttp.request"])
        if "key" in guest.auth:
            self._memory.joined(guest.auth["key"])
        await self._numbers(sid, 0, self._burst, 0)
        await self.emit("welcome", {"auth": guest.auth, "transport": self._transport(sid)}, to=sid)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        guest = self._guests.pop(sid)
        if "key" in guest.auth:
            self._memory.left(guest.auth["key"], reason)

    def _transport(self, sid: str) -> str:
        name = self.server.transport(sid, self.namespace)
        assert isinstance(name, str)
        return name

    @property
    def _silent(self) -> object:
        """What a handler returns to have no acknowledgement sent; for everything else python-socketio sends one."""
        return self.server.not_handled

    # --- Numbers and echoes.

    async def _numbers(self, sid: str, start: int, stop: int, pad: int) -> None:
        for i in range(start, stop):
            await self.emit("number", (i, "x" * pad) if pad else i, to=sid)

    async def on_echo(self, sid: str, *args: Any) -> Any:
        await self.emit("echo", args, to=sid)
        return args

    async def on_flood(self, sid: str, n: int, pad: int = 0) -> None:
        await self._numbers(sid, 0, n, pad)

    async def on_stream(self, sid: str, n: int, pad: int = 0) -> None:
        for start in range(0, n, 50):
            await self._numbers(sid, start, min(n, start + 50), pad)
            await asyncio.sleep(0)

    async def on_count(self, sid: str, i: int) -> None:
        self._guests[sid].counts.append(i)

    async def on_report(self, sid: str) -> Any:
        guest = self._guests[sid]
        counts, guest.counts = guest.counts, []
        return {"received": len(counts), "inOrder": counts == list(range(len(counts))), "last": counts[-1] if counts else None}

    async def on_never(self, sid: str) -> Any:
        return self._silent

    async def on_transport(self, sid: str) -> Any:
        return self._transport(sid)

    # --- What the server says of itself.

    async def on_everyone(self, sid: str, name: str, *args: Any) -> None:
        await self.emit(name, args)

    async def on_later(self, sid: str, milliseconds: float, name: str, *args: Any) -> None:
        task = asyncio.create_task(self._after(milliseconds / 1000, sid, name, args))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _after(self, seconds: float, sid: str, name: str, args: tuple[Any, ...]) -> None:
        await asyncio.sleep(seconds)
        await self.emit(name, args, to=sid)

    async def on_volatile(self, sid: str, name: str, *args: Any) -> None:
        await self.emit(name, args, to=sid)

    # --- What it asks.

    async def _ask(self, sid: str, *args: Any) -> tuple[Any, ...]:
        """What the client answered, or null after five seconds."""
        answer: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

        def take(*args: Any) -> None:
            if not answer.done():
                answer.set_result(args)

        await self.emit("question", args, to=sid, callback=take)
        try:
            return await asyncio.wait_for(answer, 5)
        except TimeoutError:
            return (None,)

    async def _answered(self, sid: str, *answers: Awaitable[tuple[Any, ...]]) -> tuple[Any, ...]:
        args = tuple(arg for answer in await asyncio.gather(*answers) for arg in answer)
        await self.emit("answer", args, to=sid)
        return args

    async def on_askme(self, sid: str, *args: Any) -> Any:
        return await self._answered(sid, self._ask(sid, *args))

    async def on_askbinary(self, sid: str) -> Any:
        return await self._answered(sid, self._ask(sid, b"\x01\x02\x03", {"nested": [b"\xff", {"deep": b""}], "text": "grüße"}))

    async def on_asktwo(self, sid: str) -> Any:
        return await self._answered(sid, self._ask(sid, 1), self._ask(sid, 2))

    # --- Acknowledgements: too many, unasked, late or not at all.

    async def on_ackstwice(self, sid: str, *args: Any) -> Any:
        id = _ack_id.get()
        if id is not None:
            await self.server.acknowledge(sid, self.namespace, id, args)
        return args

    async def on_ackunknown(self, sid: str, *args: Any) -> Any:
        await self.server.acknowledge(sid, self.namespace, 9999, args)
        return args

    async def on_record(self, sid: str, i: Any) -> Any:
        return i if self._log.record(i) else self._silent

    async def on_mute(self, sid: str, n: int) -> None:
        self._log.muted = n

    # --- What it knows.

    async def on_whoami(self, sid: str) -> Any:
        return {"sid": sid, "recovered": False, "rooms": self.rooms(sid)}

    async def on_join(self, sid: str, room: str) -> None:
        await self.enter_room(sid, room)

    async def on_auth(self, sid: str) -> Any:
        return self._guests[sid].auth

    async def on_query(self, sid: str) -> Any:
        request = self._guests[sid].request
        return {"query": dict(request.query), "headers": {name.lower(): value for name, value in request.headers.items()}}

    async def on_reasons(self, sid: str, key: str) -> Any:
        return list(self._memory.reasons[key])

    async def on_totals(self, sid: str) -> Any:
        return self._memory.totals()

    # --- How it throws clients out.

    async def on_kick(self, sid: str) -> Any:
        await self.disconnect(sid)
        return self._silent

    async def on_kickall(self, sid: str) -> Any:
        engine_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        await self.disconnect(sid)
        await self.server.eio.disconnect(engine_sid)
        return self._silent

    async def on_drop(self, sid: str) -> Any:
        await self.server.eio.disconnect(self.server.manager.eio_sid_from_sid(sid, self.namespace))
        return self._silent


class _Admin(_Conduct):
    """Lets in who knows the word."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        await asyncio.sleep(0)
        if not isinstance(auth, dict) or auth.get("token") != "letmein":
            raise socketio.exceptions.ConnectionRefusedError("not authorized", {"code": 7})
        await super().on_connect(sid, environ, auth)


class _RefuseString(socketio.AsyncNamespace):  # type: ignore[misc]
    """Refuses with a bare string, as servers for older protocols do; python-socketio itself always says an object."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        error = socketio.exceptions.ConnectionRefusedError()
        error.error_args = "no entry"
        raise error


class _Slow(socketio.AsyncNamespace):  # type: ignore[misc]
    """Never says yes or no."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        await asyncio.Event().wait()


def _serve_socket(app: web.Application, options: dict[str, Any]) -> None:
    more = {name: options[key] for key, name in _SAME_OF_SOCKETS.items() if key in options}
    memory, log = _Memory(), _Log(options.get("log"), options.get("ackEvery", 1))
    server = _Server(memory, async_mode="aiohttp", **_server_options(options), **more)
    server.attach(app, options.get("path", "/socket.io/").strip("/"))
    for namespace in (_Conduct("/", memory, log, options.get("burst", 0)), _Conduct("/echo2", memory, log), _Admin("/admin", memory, log)):
        server.register_namespace(namespace)
    for namespace in (_RefuseString("/refuse-string"), _Slow("/slow")):
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


def _tls(certificate: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


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
    await web.SockSite(runner, listener, ssl_context=_tls(options.get("certificate"))).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    # A test's server has nothing to save: it leaves at once, in the middle of whatever it was doing.
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    loop.add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 4096) or os._exit(0))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))
