"""An HTTP server that sends exactly the bytes it is told, in the pieces it is told, and ends its connections as it is told.

`BytesServer` takes one `Exchange` for each connection, in order; a connection more fails the test. An exchange begins when a request has come, whole,
and is a row of pieces: bytes are sent as they are, an `asyncio.Event` is waited for (no longer than the client stays), and `REQUEST` waits for one
more request on the same connection. Then comes its `End`. What came in is in `connections` and `requests`; `tests.aio.raw` does the rest.

::

    async with BytesServer(Exchange(head(), chunk(b"data: 1\\n\\n"), gate, LAST_CHUNK)) as server: ...     # server.url ends with /v1
    async with BytesServer(stream(b"data: 1", b"\\n\\ndata: [DONE]\\n\\n", end=End.RESET)) as server: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import Enum
from ssl import SSLContext
from typing import Final, TypeAlias

from tests.aio.raw import Connection, RawServer

TURNS: Final = 3
"""Turns of the event loop after each piece, in which a client of the same loop reads it, before the next one could join it."""

LAST_CHUNK: Final = b"0\r\n\r\n"


class Marker(Enum):
    """What is waited for in the middle of an exchange."""

    REQUEST = "the next request"


REQUEST: Final = Marker.REQUEST

Piece: TypeAlias = bytes | asyncio.Event | Marker


class End(Enum):
    """How a connection ends."""

    CLOSE = "in an orderly way (FIN)"
    RESET = "with a reset (RST)"
    OPEN = "not before the client ends it"


class Exchange:
    """What is sent on one connection; see the module."""

    def __init__(self, *pieces: Piece, end: End = End.CLOSE) -> None:
        self.pieces = pieces
        self.end = end


class BytesServer(RawServer):
    """Plays one exchange a connection; use it as ``async with``. `url` is what a client takes for a base URL."""

    def __init__(self, *exchanges: Exchange, ssl: SSLContext | None = None) -> None:
        super().__init__(ssl=ssl)
        self._exchanges = list(exchanges)

    @property
    def url(self) -> str:
        """The base URL, with ``/v1``."""
        return f"{self.origin}/v1"

    async def run(self, connection: Connection) -> None:
        assert self._exchanges, f"connection number {len(self.connections)} was not expected"
        exchange = self._exchanges.pop(0)
        await connection.request()
        for piece in exchange.pieces:
            await self._play(connection, piece)
        match exchange.end:
            case End.RESET:
                connection.cut()
            case End.OPEN:
                await connection.hold()

    async def _play(self, connection: Connection, piece: Piece) -> None:
        match piece:
            case bytes():
                await connection.send(piece)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            case asyncio.Event():
                await connection.wait_for(piece.wait())
            case Marker.REQUEST:
                await connection.request()


def head(
    status: int = 200,
    *,
    content_type: str | None = "text/event-stream; charset=utf-8",
    length: int | None = None,
    chunked: bool = True,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The bytes of a status line with headers: chunked, or with a length, or (``chunked=False``) with a body that ends where the connection does."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    elif chunked:
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chunk(data: bytes, *, size: int | None = None) -> bytes:
    """One chunk of the chunked encoding; `size` may announce something else than is there."""
    return b"%x\r\n%b\r\n" % (len(data) if size is None else size, data)


def stream(*pieces: bytes, end: End = End.OPEN, status: int = 200, content_type: str | None = "text/event-stream; charset=utf-8") -> Exchange:
    """An exchange that streams these pieces, each in a chunk of its own, to a proper end; then the connection stays, or ends as `end` says."""
    return Exchange(head(status, content_type=content_type), *map(chunk, pieces), LAST_CHUNK, end=end)


def whole(body: bytes, *, status: int = 200, content_type: str | None = "application/json", headers: Iterable[tuple[str, str]] = ()) -> Exchange:
    """An exchange that answers with this body at once, with the right length."""
    return Exchange(head(status, content_type=content_type, length=len(body), headers=headers) + body, end=End.OPEN)
