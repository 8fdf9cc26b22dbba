"""What one connection does on the network: its requests, its WebSockets, and the tasks that wait for them.

A wire carries out the commands of one connection over one network and reports what becomes of them. It has no opinion and knows no protocol. When a
connection is over its wire is shut down, and the next connection gets another: the two share no request number, no socket and no task.

Frames for a WebSocket go through one queue, written by whoever caused them under a lock, so that sending returns when the frames are in the
transport's buffer and a full buffer slows the sender down. On the way in, the wire asks the sink for room before it reads the next frame or sends
the next GET.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, ClassVar, NamedTuple

import aiohttp
from aiohttp import WSMsgType

from engineio_lite.aio.errors import explain_exception
from engineio_lite.aio.network import AnyNetwork, WebSocket, cut, hang_up, websocket_ended
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.inputs import FrameReceived, WebSocketFailed, WebSocketOpened, WebSocketRefused
from engineio_lite.state import Transport


class Sink(NamedTuple):
    """Where the events go."""

    deliver: Callable[[Any], None]
    """Takes one event; called in order."""

    is_full: Callable[[], bool]
    """Says whether `wait_room` would wait."""

    wait_room: Callable[[], Awaitable[None]]
    """Returns when more may be read."""


class Reports(NamedTuple):
    """Whom a wire tells what happens on it."""

    process: Callable[[Wire, Any], None]
    """Takes one input of the connection."""

    fault: Callable[[BaseException, asyncio.Task[None]], None]
    """Takes what should not happen: a task that failed by itself."""


class Wire:
    """The network side of one connection, from its first request until `shut_down`."""

    def __init__(self, network: AnyNetwork, sink: Sink, reports: Reports) -> None:
        self._network = network
        self._sink = sink
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._polling_tasks: set[asyncio.Task[None]] = set()
        self._socket_tasks: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, WebSocket] = {}
        self._unfinished: set[WebSocket] = set()
        self._outgoing: deque[SendFrame | CloseTransport] = deque()
        self._write_lock = asyncio.Lock()
        self._shutdown: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------------------------------- frames going out

    @property
    def unwritten(self) -> bool:
        """Whether frames wait to be written."""
        return bool(self._outgoing)

    @property
    def writing(self) -> bool:
        """Whether a frame is being written, or waits for it: the network takes no more for now."""
        return bool(self._outgoing) or self._write_lock.locked()

    async def flush(self) -> None:
        """Write the frames that wait, until all are in the transport's buffer. Safe to cancel: a frame is written whole or not at all."""
        if not self._outgoing:
            return
        async with self._write_lock:
            try:
                while self._outgoing:
                    await self._write(self._outgoing.popleft())
            finally:
                if self._outgoing:
                    self.flush_soon()  # cancelled while others' frames wait behind ours

    def flush_soon(self) -> None:
        """Do the same in a task."""
        self._spawn(self.flush())

    # -------------------------------------------------------------------------------------------------------------------------------- commands

    def perform(self, command: Any) -> bool:
        """Do what `command` says, except for writing frames: await `flush` for that. False if it is no command."""
        action = self._COMMANDS.get(type(command))
        if action is not None:
            action(self, command)
        return action is not None

    def _process(self, input: Any) -> None:
        self._reports.process(self, input)

    def _request(self, command: Poll | Post) -> None:
        self._polling_tasks.add(self._spawn(self._do_request(command)))

    async def _do_request(self, command: Poll | Post) -> None:
        if isinstance(command, Poll) and self._sink.is_full():
            await self._sink.wait_room()
        self._process(await self._network.request(command))
        await self.flush()

    def _open_websocket(self, command: OpenWebSocket) -> None:
        self._socket_tasks[command.socket] = self._spawn(self._do_websocket(command))

    async def _do_websocket(self, command: OpenWebSocket) -> None:
        socket = await self._network.open_websocket(command)
        if isinstance(socket, WebSocketRefused | WebSocketFailed):
            self._process(socket)
            await self.flush()
            return
        self._sockets[command.socket] = socket
        self._unfinished.add(socket)
        try:
            self._process(WebSocketOpened(command.socket))
            await self.flush()
            await self._read(command.socket, socket)
        finally:
            self._sockets.pop(command.socket, None)
            if not socket.closed:
                # The peer's end, or ours by being cancelled: an orderly leave of our own is made by `_close_socket`.
                await hang_up(socket)
            self._unfinished.discard(socket)

    async def _read(self, number: int, socket: WebSocket) -> None:
        receive, process, sink = socket.receive, self._reports.process, self._sink
        text, binary = WSMsgType.TEXT, WSMsgType.BINARY
        while True:
            message = await receive()
            if message.type is text or message.type is binary:
                process(self, FrameReceived(number, message.data))
            else:
                if number in self._sockets:  # else the end is our own doing, and no news
                    process(self, websocket_ended(number, socket, message))
                    await self.flush()
                return
            if self._outgoing:
                await self.flush()
            if sink.is_full():
                await sink.wait_room()

    def _queue(self, command: SendFrame) -> None:
        self._outgoing.append(command)

    def _close_transport(self, command: CloseTransport) -> None:
        if command.transport is Transport.POLLING:
            current = asyncio.current_task()
            for task in self._polling_tasks:
                if task is not current:
                    task.cancel()
        elif command.socket in self._sockets:
            self._outgoing.append(command)  # after the frames before it
        elif (connecting := self._socket_tasks.get(command.socket)) is not None:
            connecting.cancel()

    async def _write(self, command: SendFrame | CloseTransport) -> None:
        socket = self._sockets.get(command.socket)
        if socket is None:
            return  # gone meanwhile; its reader has said so, or will
        if isinstance(command, CloseTransport):
            # In a task of its own: the closing handshake waits for the peer, and whoever writes here may be the reader that must see its answer.
            self._sockets.pop(command.socket)
            self._spawn(self._close_socket(socket))
            return
        try:
            if isinstance(command.data, str):
                await socket.send_str(command.data)
            else:
                await socket.send_bytes(command.data)
        except (aiohttp.ClientError, OSError) as error:
            if command.socket in self._sockets:
                self._process(WebSocketFailed(command.socket, *explain_exception(error)))

    async def _close_socket(self, socket: WebSocket) -> None:
        await socket.close()

    _COMMANDS: ClassVar[dict[type, Callable[[Wire, Any], None]]] = {
        SendFrame: _queue,
        Poll: _request,
        Post: _request,
        OpenWebSocket: _open_websocket,
        CloseTransport: _close_transport,
    }

    # ------------------------------------------------------------------------------------------------------------------------------------ tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._polling_tasks.discard(task)
        for number, reader in list(self._socket_tasks.items()):
            if reader is task:
                del self._socket_tasks[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            for waiting in list(self._tasks):
                waiting.cancel()
            self._reports.fault(error, task)

    async def wait_quiet(self) -> None:
        """Return when no task is left, that is, when every closing handshake is made. Safe to cancel."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def shut_down(self) -> None:
        """End every task and close the network; runs to its end even if the caller is cancelled, and waits for no peer."""
        if self._shutdown is None:
            self._shutdown = self._loop.create_task(self._do_shut_down())
        await to_its_end([self._shutdown])

    async def _do_shut_down(self) -> None:
        for socket in self._unfinished:
            cut(socket)
        self._outgoing.clear()
        while self._tasks:  # one that is cancelled may start another, to write what waited behind it
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks))
        await self._network.close()


async def to_its_end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Wait for tasks even if we are cancelled meanwhile, which is passed on when they are done."""
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
