"""A recording while it runs: the listening socket, the connections, the file.

`record` puts them together. The file is written line by line, each redacted before it is text, so that nothing secret ever reaches the disk and a
crash costs no more than the line that is being written. What passes is never held up for longer than that takes, and never ended because of it: when
the file can be written no more, traffic goes on, and `Recording.failed` says what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import engineio_lite
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import Head, Line
from engineio_lite.capture.redactor import DEFAULT_REDACTION, Redaction, Redactor
from engineio_lite.proxy.dialogue import TOO_MANY, Dialogue
from engineio_lite.proxy.relay import PIECE, End, Relay
from engineio_lite.proxy.tape import Tape
from engineio_lite.proxy.upstream import Upstream, parse_upstream

MAX_CONNECTIONS: Final = 1000
"""Connections of clients at the same time; each may hold some hundred kilobytes, and two descriptors of the thousand that a process usually has."""

OnLine = Callable[[Line], None]
"""Is shown each line as it was written: redacted."""


class Recording:
    """A recording that runs: clients that are given `url` in place of the server's are recorded.

    `sessions` and `packets` count what was seen so far; `failed` is done when the recording cannot go on, with what was raised: an `OSError`
    where the file can be written no more, or whatever `on_line` or a hook of the redaction raised.
    """

    def __init__(self, upstream: Upstream, context: tls.SSLContext | None, on_line: OnLine | None) -> None:
        loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._tls = context
        self._on_line = on_line
        self._loop_time = loop.time
        self._started = loop.time()
        self._relays: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[Exception] = loop.create_future()
        self.upstream = upstream.origin
        self.url = ""

    @property
    def sessions(self) -> int:
        """Engine.IO sessions so far."""
        return self._tape.sessions

    @property
    def packets(self) -> int:
        """Packets so far, those of Engine.IO included."""
        return self._tape.packets

    def _clock(self) -> float:
        return self._loop_time() - self._started

    def _write(self, line: Line) -> None:
        if self.failed.done():
            return
        try:
            written = self._writer.write(line)
            if written is not None and self._on_line is not None:
                self._on_line(written)
        except Exception as error:  # a disk that is full, a hook of the caller's that raises: it ends the recording, and not what passes
            self.failed.set_result(error)

    async def _bind(self, host: str, port: int) -> asyncio.Server:
        """Take the port; nobody is let in yet."""
        server = await asyncio.start_server(self._accept, host, port, limit=PIECE, start_serving=False)
        address = server.sockets[0].getsockname()
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{shown}:{address[1]}"
        return server

    async def _begin(self, server: asyncio.Server, writer: Writer, path: str | None) -> None:
        self._writer = writer
        self._tape = Tape(self._write, origin=self._upstream.origin, path=path, redactor=writer.redactor)
        self._started = self._loop_time()
        await server.start_serving()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(End(reader, writer)), name="a recorded connection")
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        task.add_done_callback(lambda _: writer.close())  # a task that is cancelled before its first step closes nothing

    async def _serve(self, client: End) -> None:
        if len(self._relays) > MAX_CONNECTIONS:
            client.write(TOO_MANY)
            await client.close()
            return
        await Relay(client, Dialogue(self._tape, self._upstream), self._upstream, self._tls, self._clock).run()

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        # First, so that the ends that follow from ours are not told as somebody's.
        self._tape.finish(self._clock())
        relays = set(self._relays)
        for relay in relays:
            relay.cancel()
        if relays:
            await asyncio.wait(relays)


@contextlib.asynccontextmanager
async def record(
    upstream: str,
    to: str | Path | Writer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = None,
    ssl: tls.SSLContext | bool = True,
    keep_host: bool = False,
    overwrite: bool = False,
    redaction: Redaction = DEFAULT_REDACTION,
    on_line: OnLine | None = None,
) -> AsyncIterator[Recording]:
    """Record whoever connects to `Recording.url`, in front of the server at `upstream`, into a file or a `Writer`, until the block is left.

    Nothing else of what passes is changed than the names that the two sides have for each other, and with `keep_host` not those either. Requests that
    are no Engine.IO (a page, its scripts) pass too, and are not recorded. With a `path`, as ``/socket.io/``, everything that is requested there is
    recorded, and nothing else. `port` 0 is a free one. `ssl` is for a server with https: False accepts any certificate. `on_line` is called with each
    line as it was written, and must return quickly.

    Raises `LocalProtocolError` for an `upstream` that is no URL of a server, `FileExistsError` if the file is there and `overwrite` is not given, and
    `OSError` if it cannot be written or `port` is taken. What ends the recording while it runs, a full disk or an `on_line` that raises, is raised at
    the end of the block. Cancelling ends the recording; what is written so far is a capture.
    """
    server = parse_upstream(upstream, keep_host=keep_host)
    recording = Recording(server, _context(ssl) if server.is_tls else None, on_line)
    listener = await recording._bind(host, port)
    try:
        with contextlib.ExitStack() as stack:
            # Only now, so that nothing is written where nothing can be recorded.
            writer = to if isinstance(to, Writer) else _writer(stack.enter_context(_file(to, overwrite=overwrite)), redaction)
            await recording._begin(listener, writer, path)
            try:
                yield recording
            finally:
                await recording._stop(listener)
    finally:
        listener.close()
        await listener.wait_closed()
    if recording.failed.done():
        raise recording.failed.result()


def _file(path: str | Path, *, overwrite: bool) -> BinaryIO:
    # Unbuffered: what was written is the system's, whatever becomes of this process.
    return open(path, "wb" if overwrite else "xb", buffering=0)


def _writer(file: BinaryIO, redaction: Redaction) -> Writer:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Writer(file, Head(by=f"engineio_lite {engineio_lite.__version__}", at=at, source="proxy"), Redactor(redaction))


def _context(ssl: tls.SSLContext | bool) -> tls.SSLContext:
    if isinstance(ssl, tls.SSLContext):
        return ssl
    context = tls.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not ssl:
        context.check_hostname = False
        context.verify_mode = tls.CERT_NONE
    return context
