"""One request and one WebSocket, as aiohttp has them, in the words of a `LiveSession`.

What is written never waits inside a call: an answer is a future, frames stand in a queue that a task of their own empties. And a WebSocket is closed
as Node closes it, with a Close frame that has no code, which aiohttp's own way of closing does not know; so that is done by hand, for both sides.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import Final

import aiohttp
from aiohttp import WSMsgType, hdrs, web

from engineio_lite.causes import Cause
from engineio_lite.inputs import WebSocketClosed, WebSocketFailed
from engineio_lite.replay.bounds import ServingLimits
from engineio_lite.replay.happenings import Answer

COMPRESSED_FROM: Final = 1024
"""Bytes of an answer that is worth compressing, Node's ``threshold``."""

_NO_CODES: Final = (None, 0)
"""What a Close frame without a code has, as aiohttp says it and as we do."""

VANISHED: Final = 1006
"""What a close is called that nobody announced."""


def abort(http: web.BaseRequest) -> None:
    """End the connection of a request now, whatever still waits to be written."""
    if http.transport is not None:
        http.transport.abort()


# --- Requests.


class Exchange:
    """One HTTP request on its way through a session: `answered` is the answer, once there is one."""

    def __init__(self, http: web.BaseRequest) -> None:
        self._http = http
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answer(self, answer: Answer) -> None:
        """See `live.Request`."""
        # A client that has just gone cancels the future before its session hears of it.
        if not self.answered.done():
            self.answered.set_result(answer)

    def cut(self) -> None:
        """See `live.Request`."""
        abort(self._http)


async def read_body(http: web.BaseRequest, most: int) -> bytes:
    """The body of a request; of one that is larger than `most` bytes no more than shows that it is. Raises what aiohttp raises for broken framing."""
    if http.version == aiohttp.HttpVersion11 and http.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http.writer.output_size = 0  # nothing of the answer is written yet
    chunks: list[bytes] = []
    size = 0
    async for chunk in http.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            break
    return b"".join(chunks)


def response(answer: Answer, headers: dict[str, str]) -> web.Response:
    """An answer as aiohttp's; `headers` come beside those that it has by itself. A large one is compressed if the client can take that."""
    own: dict[str, str] = {hdrs.CONTENT_TYPE: answer.content_type} if answer.content_type else {}
    if answer.status == 200:
        own[hdrs.CACHE_CONTROL] = "no-store"
    made = web.Response(status=answer.status, body=answer.body or None, headers={**headers, **own})
    if len(answer.body) >= COMPRESSED_FROM:
        made.enable_compression()
    return made


# --- WebSockets.


class Frames:
    """What is written to one WebSocket: frames in order, at last perhaps a Close frame; `write` is the only one that waits."""

    def __init__(self, http: web.BaseRequest, socket: web.WebSocketResponse, limits: ServingLimits) -> None:
        self._http = http
        self._socket = socket
        self._limits = limits
        self._waiting: deque[str | bytes | None] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self.closing = False
        """Whether our Close frame is on its way, or has been sent."""

    def send(self, data: str | bytes) -> None:
        """See `live.Socket`."""
        self._waiting.append(data)
        self._size += len(data)
        self._more.set()
        if self._size > self._limits.max_waiting:
            abort(self._http)  # a client that reads this slowly does not read

    def close(self) -> None:
        """See `live.Socket`."""
        self.closing = True
        self._waiting.append(None)
        self._more.set()

    async def write(self) -> None:
        """Write what is to be written until the connection ends, or the Close frame is written and has had its answer or its time."""
        try:
            while await self._write_next():
                pass
        except ConnectionError:
            return  # whoever reads from the socket is told as well
        await asyncio.sleep(self._limits.close)
        abort(self._http)

    async def _write_next(self) -> bool:
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        data = self._waiting.popleft()
        if data is None:
            # Without a code, as Node says goodbye; aiohttp's own way to close always gives one.
            await self._socket.send_frame(b"", WSMsgType.CLOSE)
            return False
        self._size -= len(data)
        await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))
        return True


async def receive(socket: web.WebSocketResponse, number: int) -> str | bytes | WebSocketClosed | WebSocketFailed:
    """The next message of socket number `number`, or how it ended."""
    message = await socket.receive()
    if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
        data: str | bytes = message.data
        return data
    if message.type is WSMsgType.CLOSE:
        return WebSocketClosed(number, None if message.data in _NO_CODES else int(message.data), message.extra or "")
    if message.type is WSMsgType.ERROR:
        return WebSocketFailed(number, Cause.WEBSOCKET_PROTOCOL_ERROR, f"what came is no WebSocket frame: {message.data}")
    return WebSocketClosed(number, VANISHED)


async def answer_close(socket: web.WebSocketResponse, closed: WebSocketClosed) -> None:
    """Answer the client's Close frame with its own code, as Node does; nobody answers one that vanished."""
    code = b"" if closed.code is None else struct.pack("!H", closed.code)
    if closed.code != VANISHED:
        await socket.send_frame(code, WSMsgType.CLOSE)
