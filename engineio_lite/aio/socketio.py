"""Socket.IO for asyncio: events in wire order, acknowledged calls, namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Unpack

from engineio_lite.aio.client import Client, Opening, Options, _resolve
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError, LocalProtocolError
from engineio_lite.socketio.connection import Engine, SocketIOConnection
from engineio_lite.socketio.events import CallAnswered, CallFailed, EventReceived, NamespaceConnected, NamespaceRefused
from engineio_lite.socketio.inputs import Acknowledge, Emit, JoinNamespace, LeaveNamespace

DEFAULT_CALL_TIMEOUT = 60.0
"""Seconds that `call` waits by default; as python-socketio's does."""

OVERFLOW = 16
"""While calls wait, so many times the limit of unread events may pile up: the answers come behind them on the same ordered stream."""


class Namespace:
    """One namespace of a connection, joined by `SocketIOClient.namespace`; its events come with all others in the client's stream."""

    def __init__(self, client: SocketIOClient, name: str, sid: str) -> None:
        self._client = client
        self.name = name
        self.sid = sid

    async def emit(self, name: str, *args: object) -> None:
        """As `SocketIOClient.emit`, here."""
        await self._client._emit(self.name, name, args)

    async def call(self, name: str, *args: object, timeout: float | None = DEFAULT_CALL_TIMEOUT) -> Any:
        """As `SocketIOClient.call`, here."""
        return await self._client._call(self.name, name, args, timeout)

    async def leave(self) -> None:
        """Leave this namespace; leaving the last one closes the connection."""
        await self._client._process(LeaveNamespace(self.name))


class SocketIOClient(Client[EventReceived]):
    """An open Socket.IO connection: emit, call, iterate over the events that come.

    Several tasks may use it at once; events leave in the order in which `emit` and `call` were called. Iterate, even if only calls matter: events
    that nobody takes end up as back-pressure.
    """

    def __init__(self, machine: SocketIOConnection, engine: Engine, options: Options, namespace: str) -> None:
        super().__init__(machine, engine, options)
        self._main = namespace
        self._sid: str | None = None
        self._calls: dict[int, asyncio.Future[list[object]]] = {}
        self._joining: dict[str, asyncio.Future[str]] = {}
        self._next_call = 0

    @property
    def sid(self) -> str | None:
        """This client's id in its first namespace, given by the server; not the id of the Engine.IO session."""
        return self._sid

    def _is_full(self) -> bool:
        # Not while a call waits, unless too much has piled up.
        return self._stream.full and (not self._calls or self._overflowing())

    def _overflowing(self) -> bool:
        return len(self._stream) >= OVERFLOW * self._options.limits.max_queued_events

    async def _wait_room(self) -> None:
        """Wait until the driver should read again; calls whose answers would lie behind too many unread events fail."""
        if self._calls and self._overflowing():
            message = f"{len(self._stream)} events wait unread before the answer of this call"
            for waiting in self._calls.values():
                _fail(waiting, LocalProtocolError(message, cause=Cause.RECEIVE_BUFFER_FULL))
        while self._is_full() and not self._closed.done():
            await self._stream.wait_room()

    def _deliver(self, event: Any) -> None:
        if type(event) is EventReceived:
            self._stream.put(event)
            return
        match event:
            case CallAnswered(call, args):
                if (answered := self._calls.get(call)) is not None and not answered.done():
                    answered.set_result(args)
            case CallFailed(call, error):
                _fail(self._calls.get(call), error)
            case NamespaceConnected(namespace, sid):
                self._joined(namespace, sid)
            case NamespaceRefused(namespace, error):
                _fail(self._joining.get(namespace), error)
            case _:
                super()._deliver(event)
                for joining in self._joining.values() if self._closed.done() else ():
                    _fail(joining, self._error())

    def _joined(self, namespace: str, sid: str) -> None:
        if namespace == self._main:
            self._sid = sid
            _resolve(self._opened)
        joining = self._joining.get(namespace)
        if joining is not None and not joining.done():
            joining.set_result(sid)

    async def emit(self, name: str, *args: object) -> None:
        """Send one event; returns when it is queued for the next POST or written to the WebSocket.

        `args` are JSON values, with bytes at any depth. Waits while too much waits already. Raises `LocalProtocolError` for what cannot be sent
        (nothing is sent then), or what ended the connection. Safe to cancel: the event is sent whole or not at all.
        """
        await self._emit(self._main, name, args)

    async def call(self, name: str, *args: object, timeout: float | None = DEFAULT_CALL_TIMEOUT) -> Any:
        """Send one event and return the server's acknowledgement: its value, None if it has none, a list if it has several.

        Raises `AckTimeout` after `timeout` seconds (None: never), what ended the connection, or what `emit` raises. Safe to cancel: a late answer
        is dropped.
        """
        return await self._call(self._main, name, args, timeout)

    async def acknowledge(self, event: EventReceived, *args: object) -> None:
        """Answer an event that has an `ack_id`; exactly once is the caller's part. Raises as `emit` does."""
        if event.ack_id is None:
            raise LocalProtocolError(f"event {event.name!r} asks for no acknowledgement", cause=Cause.BAD_OPTION)
        await self._process(Acknowledge(event.ack_id, args, event.namespace))

    async def namespace(self, name: str, *, auth: Mapping[str, object] | None = None) -> Namespace:
        """Join one more namespace on this connection.

        Raises `ConnectRefused` with the server's words, `TimedOut` without an answer; the other namespaces are not touched. If it is cancelled,
        the namespace is left again.
        """
        joining = self._joining[name] = self._loop.create_future()
        try:
            await self._process(JoinNamespace(name, auth))
            return Namespace(self, name, await joining)
        except asyncio.CancelledError:
            if self._closed.done() is False:
                self._driver.process(LeaveNamespace(name))
            raise
        finally:
            del self._joining[name]

    async def _emit(self, namespace: str, name: str, args: tuple[object, ...]) -> None:
        await self._process(Emit(name, args, namespace))

    async def _call(self, namespace: str, name: str, args: tuple[object, ...], timeout: float | None) -> Any:
        self._next_call += 1
        call = self._next_call
        answer = self._calls[call] = self._loop.create_future()
        self._stream.release()
        try:
            await self._process(Emit(name, args, namespace, call, timeout))
            values = await answer
        finally:
            del self._calls[call]
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, even where the connection's own error was raised instead
        return values[0] if len(values) == 1 else (values or None)


def connect_socketio(
    url: str, *, auth: Mapping[str, object] | None = None, namespace: str = "/", path: str = "/socket.io/", **options: Unpack[ConnectOptions]
) -> Opening[SocketIOClient]:
    """Open a Socket.IO connection and join a namespace; use it as ``async with connect_socketio(url) as sio`` or await it.

    `url` is an http, https, ws or wss URL; `path` is used where it has none. `auth` is the payload of CONNECT, a JSON object. See `ConnectOptions`
    for the rest. Opening raises `ConnectRefused` if the namespace refuses, or another `EngineIOError` that names stage, cause and fix; then, or
    when it is cancelled, nothing is left running.
    """

    def make() -> SocketIOClient:
        settings = Options(**options)
        engine = settings.engine(url, path)
        machine = SocketIOConnection(engine=engine, limits=settings.limits, timeouts=settings.timeouts)
        return SocketIOClient(machine, engine, settings, namespace)

    return Opening(make, lambda: (JoinNamespace(namespace, auth),))


def _fail(waiting: asyncio.Future[Any] | None, error: EngineIOError) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_exception(error)


__all__ = ["Namespace", "SocketIOClient", "connect_socketio"]
