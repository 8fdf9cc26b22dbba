"""The loop between the door and the network.

A driver has no opinion: it passes in what happened, does what comes out, and calls in when the deadline is reached. It drives an Engine.IO or a
Socket.IO connection alike, since both have the same door; what the application sees is handed to a `sink`.

Order and back-pressure. Commands are carried out in the order in which they came; frames for a WebSocket go through one queue, written by whoever
caused them under a lock, so that `send` returns when its frames are in the transport's buffer and a full buffer slows the sender down. On the way
in, the driver asks the sink for room before it reads the next frame or sends the next GET, so a slow application makes the server feel it. A
consumer that stops for longer than the server's ping interval and timeout loses the connection, as the pings behind the unread messages go
unanswered; no client can do better on one ordered stream.

Ending. Every task belongs to the driver, and `shut_down` ends them all and closes the network, bounded and whatever happens to the caller meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, NamedTuple, Protocol

import aiohttp
from aiohttp import WSMsgType

from engineio_lite.aio.errors import explain_exception
from engineio_lite.aio.network import Network, cut, hang_up, websocket_ended
from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.events import Closed, MessageReceived
from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import FrameReceived, TimePassed, WebSocketFailed, WebSocketOpened, WebSocketRefused
from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import CloseReason, SessionState, Transport

HIGH_WATER_BYTES = 1024 * 1024
"""What may wait for the next POST before `wait_writable` holds senders back: one POST of the usual maxPayload."""

HIGH_WATER_PACKETS = 1000
"""The same in packets: some sixty POSTs of sixteen."""

_EVENTS_ALONE = frozenset((MessageReceived, EventReceived))

TIMER_SLACK = 0.001
"""The loop's clock may call a timer this much early, in seconds."""


class Machine(Protocol):
    """A door: what `EngineIOConnection` and `SocketIOConnection` have in common."""

    @property
    def state(self) -> SessionState: ...
    @property
    def deadline(self) -> float: ...
    @property
    def buffered(self) -> int: ...
    @property
    def buffered_packets(self) -> int: ...

    def process(self, input: Any, now: float) -> list[Any]: ...


class Sink(NamedTuple):
    """Where the events go."""

    deliver: Callable[[Any], None]
    """Takes one event; called in order."""

    is_full: Callable[[], bool]
    """Says whether `wait_room` would wait."""

    wait_room: Callable[[], Awaitable[None]]
    """Returns when more may be read."""


class Driver:
    """Drives one connection over one network."""

    def __init__(self, machine: Machine, network: Network, sink: Sink) -> None:
        self._machine = machine
        self._network = network
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._polling_tasks: set[asyncio.Task[None]] = set()
        self._socket_tasks: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, aiohttp.ClientWebSocketResponse] = {}
        self._unfinished: set[aiohttp.ClientWebSocketResponse] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._outgoing: deque[SendFrame | CloseTransport] = deque()
        self._write_lock = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        self._shutdown: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------------------------------------ in and out

    def process(self, input: Any) -> None:
        """Pass one input through the door and do what comes out, except for writing frames: await `flush` for that.

        Raises `LocalProtocolError` if the connection refuses it; then nothing happened.
        """
        outputs = self._machine.process(input, self._loop.time())
        if len(outputs) == 1 and type(outputs[0]) in _EVENTS_ALONE:
            # What comes in floods: one event and nothing to do. Then no timer came nearer and nothing was sent, so there is nothing to look after.
            self._sink.deliver(outputs[0])
            return
        for output in outputs:
            command = self._COMMANDS.get(type(output))
            if command is not None:
                command(self, output)
            else:
                self._sink.deliver(output)
        self._rearm()
        if self._writable is not None and not self.holding_back and not self._writable.done():
            self._writable.set_result(None)

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
                    self._spawn(self.flush())  # cancelled while others' frames wait behind ours

    async def wait_writable(self) -> None:
        """Return when the connection takes more without growing its buffer past the high-water mark, or is closed. Safe to cancel."""
        while self.holding_back:
            if self._writable is None or self._writable.done():
                self._writable = self._loop.create_future()
            # Shielded, because others may wait for the same future.
            await asyncio.shield(self._writable)

    @property
    def unwritten(self) -> bool:
        """Whether frames wait to be written."""
        return bool(self._outgoing)

    @property
    def holding_back(self) -> bool:
        """Whether `wait_writable` would wait."""
        machine = self._machine
        return machine.buffered_packets > HIGH_WATER_PACKETS or machine.buffered > HIGH_WATER_BYTES

    def _rearm(self) -> None:
        """Set the timer unless it is set to go off early enough: going off too early costs one look, moving it for every call costs more."""
        deadline = self._machine.deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            self._timer = self._loop.call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self._machine.deadline <= self._loop.time() + TIMER_SLACK:
            self.process(TimePassed())
            if self._outgoing:
                self._spawn(self.flush())
        else:
            self._rearm()

    # -------------------------------------------------------------------------------------------------------------------------------- commands

    def _request(self, command: Poll | Post) -> None:
        self._polling_tasks.add(self._spawn(self._do_request(command)))

    async def _do_request(self, command: Poll | Post) -> None:
        if isinstance(command, Poll) and self._sink.is_full():
            await self._sink.wait_room()
        self.process(await self._network.request(command))
        await self.flush()

    def _open_websocket(self, command: OpenWebSocket) -> None:
        self._socket_tasks[command.socket] = self._spawn(self._do_websocket(command))

    async def _do_websocket(self, command: OpenWebSocket) -> None:
        socket = await self._network.open_websocket(command)
        if isinstance(socket, WebSocketRefused | WebSocketFailed):
            self.process(socket)
            await self.flush()
            return
        self._sockets[command.socket] = socket
        self._unfinished.add(socket)
        try:
            self.process(WebSocketOpened(command.socket))
            await self.flush()
            await self._read(command.socket, socket)
        finally:
            self._sockets.pop(command.socket, None)
            if not socket.closed:
                # The peer's end, or ours by being cancelled: an orderly leave of our own is made by `_close_socket`.
                await hang_up(socket)
            self._unfinished.discard(socket)

    async def _read(self, number: int, socket: aiohttp.ClientWebSocketResponse) -> None:
        receive, process, sink = socket.receive, self.process, self._sink
        text, binary = WSMsgType.TEXT, WSMsgType.BINARY
        while True:
            message = await receive()
            if message.type is text or message.type is binary:
                process(FrameReceived(number, message.data))
            else:
                if number in self._sockets:  # else the end is our own doing, and no news
                    process(websocket_ended(number, socket, message))
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
                self.process(WebSocketFailed(command.socket, *explain_exception(error)))

    async def _close_socket(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.close()

    _COMMANDS: ClassVar[dict[type, Callable[[Driver, Any], None]]] = {
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
            # Every failure of the network has become an input, so this is a fault of the library: say so loudly, and let nobody wait for ever.
            self._loop.call_exception_handler({"message": "engineio_lite: a driver task failed", "exception": error, "task": task})
            for waiting in list(self._tasks):
                waiting.cancel()
            fault = EngineIOError(f"{type(error).__name__}: {error}", cause=Cause.INTERNAL_ERROR)
            fault.__cause__ = error
            self._sink.deliver(Closed(CloseReason.TRANSPORT_ERROR, fault))

    async def shut_down(self) -> None:
        """End every task and close the network; runs to its end even if the caller is cancelled, and waits for no peer."""
        if self._shutdown is None:
            self._shutdown = self._loop.create_task(self._do_shut_down())
        cancelled: asyncio.CancelledError | None = None
        while not self._shutdown.done():
            try:
                await asyncio.shield(self._shutdown)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    async def _do_shut_down(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for socket in self._unfinished:
            cut(socket)
        self._outgoing.clear()
        while self._tasks:  # one that is cancelled may start another, to write what waited behind it
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks))
        await self._network.close()

    async def wait_quiet(self) -> None:
        """Return when no task is left, that is, when every closing handshake is made. Safe to cancel."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))
