"""The bytes of one client's connection, carried to the server and back.

The connection to the server is made with the client's first request, and is the client's alone. Each side's bytes are read in pieces and written at
once; nothing more is read while the other side does not take them, so a slow reader is felt by whoever writes, as without the proxy. An end is passed
on as an end and a reset as a reset: a client that goes away in the middle of a poll takes the request at the server with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

from engineio_lite.capture.lines import Direction
from engineio_lite.causes import FIXES, Cause
from engineio_lite.proxy.dialogue import Dialogue, Passed
from engineio_lite.proxy.upstream import Upstream

PIECE: Final = 64 * 1024
"""Bytes that are read at once, and held for one side while the other does not take them."""

CONNECT_TIME: Final = 10.0
"""Seconds for a connection to the server, TLS included."""

LINGER: Final = 5.0
"""Seconds that a client has to end its connection after the server has."""


class Unreachable(Exception):
    """No connection to the server; says why, and what usually mends it."""

    def __init__(self, upstream: Upstream, cause: Cause, words: str) -> None:
        super().__init__(f"the server at {upstream.origin} cannot be reached: {words} [{cause}]")
        self.fix = FIXES.get(cause, "")


class Gone(Exception):
    """One of the two connections was reset, or takes nothing any more."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end


class End:
    """One of the two connections."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """The next bytes; none at the end. Raises `Gone`."""
        try:
            return await self._reader.read(PIECE)
        except OSError as error:  # reset, TLS that was cut short, a host that is not there any more
            raise Gone(self) from error

    def write(self, data: bytes) -> None:
        """Have bytes written; `drain` waits until they are taken."""
        if data and not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the other side takes what was written. Raises `Gone`."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise Gone(self) from error

    def end(self) -> None:
        """Say that nothing more comes; what the other side still says is heard, unless TLS is in between, which cannot."""
        with contextlib.suppress(OSError):  # it is gone by itself
            if self._writer.can_write_eof():
                self._writer.write_eof()
            else:
                self._writer.close()

    def reset(self) -> None:
        """End it now, so that the other side sees that it was cut."""
        connection = self._writer.get_extra_info("socket")
        if connection is not None and connection.fileno() != -1:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close it when all is written, or at once if that takes too long."""
        try:
            async with asyncio.timeout(LINGER):
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


async def connect(upstream: Upstream, tls: ssl.SSLContext | None) -> End:
    """Connect to the server. Raises `Unreachable`."""
    name = upstream.host if upstream.is_tls else None
    try:
        async with asyncio.timeout(CONNECT_TIME):
            return End(*await asyncio.open_connection(upstream.host, upstream.port, ssl=tls, server_hostname=name, limit=PIECE))
    except (OSError, ValueError) as error:  # the latter for a name that cannot be one
        raise Unreachable(upstream, _cause(error), _words(error)) from error


def _cause(error: Exception) -> Cause:
    match error:
        case TimeoutError():
            return Cause.CONNECT_TIMEOUT
        case ssl.SSLError():
            return Cause.TLS_FAILED
        case socket.gaierror() | ValueError():
            return Cause.DNS_FAILED
        case _:
            # Of a name with several addresses, the errors come as the text of one.
            refused = isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error)
            return Cause.CONNECT_REFUSED if refused else Cause.CONNECT_FAILED


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT_TIME:g} s"
    return str(error) or type(error).__name__


class Relay:
    """One client's connection, to be `run` once; `clock` gives the times of the recording."""

    def __init__(self, client: End, dialogue: Dialogue, upstream: Upstream, tls: ssl.SSLContext | None, clock: Callable[[], float]) -> None:
        self._client = client
        self._dialogue = dialogue
        self._upstream = upstream
        self._tls = tls
        self._clock = clock
        self._room = asyncio.Event()
        self._ended_by: Direction | None = None

    async def run(self) -> None:
        """Carry until both sides have ended. Cancelling closes both at once."""
        try:
            passed = await self._first_request()
            if passed is not None:
                await self._serve(passed)
        finally:
            await self._client.close()

    async def _serve(self, passed: Passed) -> None:
        try:
            server = await connect(self._upstream, self._tls)
        except Unreachable as error:
            self._client.write(self._dialogue.refuse(self._clock(), str(error), error.fix))
            return
        try:
            server.write(passed.up)
            await self._carry_both(server)
        finally:
            await server.close()

    async def _first_request(self) -> Passed | None:
        """What is to be said to the server first; None if there is nothing."""
        passed = Passed()
        while not passed.up:
            try:
                data = await self._client.read()
            except Gone:
                return None
            passed = self._dialogue.up(self._clock(), data)
            if passed.is_last:
                self._client.write(passed.down)
            if passed.is_last or not data:
                return None
        return passed

    async def _carry_both(self, server: End) -> None:
        up = asyncio.create_task(self._carry(self._client, server, Direction.UP), name="from the client")
        down = asyncio.create_task(self._carry(server, self._client, Direction.DOWN), name="from the server")
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            # A client that has ended may still hear: the server decides for how long, as it would without us.
            await asyncio.wait({up, down}, timeout=LINGER if down.done() else None)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.wait({up, down})
        for task in (up, down):
            if not task.cancelled():
                task.result()
        assert self._ended_by is not None
        self._dialogue.abandoned(self._clock(), self._ended_by)

    async def _carry(self, source: End, target: End, direction: Direction) -> None:
        """Carry one way until its source has ended, or one of the two is gone."""
        server = target if direction is Direction.UP else source
        take = self._dialogue.up if direction is Direction.UP else self._dialogue.down
        try:
            while data := await source.read():
                await self._pass(take(self._clock(), data), server)
                if direction is Direction.DOWN:
                    self._room.set()
                while direction is Direction.UP and self._dialogue.is_full:
                    self._room.clear()
                    await self._room.wait()
        except Gone as gone:
            by = Direction.UP if gone.end is self._client else Direction.DOWN
            told = self._ended(by)
            if by is Direction.UP:
                server.reset()
            elif told:
                self._client.end()
            else:
                self._client.reset()
        else:
            self._ended(direction)
            target.end()

    def _ended(self, by: Direction) -> bool:
        """One side says nothing more; whether the client had to be told so in place of an answer."""
        now = self._clock()
        self._dialogue.ended(now, by)
        self._ended_by = self._ended_by or by
        if self._ended_by is Direction.UP or not self._dialogue.is_unanswered:
            return False
        why = f"the server at {self._upstream.origin} ended the connection without an answer [{Cause.CONNECTION_LOST}]"
        self._client.write(self._dialogue.refuse(now, why, ""))
        return True

    async def _pass(self, passed: Passed, server: End) -> None:
        """Give each side what is for it, and wait until it has taken it."""
        for end, data in ((server, passed.up), (self._client, passed.down)):
            if data:
                end.write(data)
                await end.drain()
        if passed.is_last:
            self._client.end()
            server.end()
