"""python-socketio's simple asyncio client, on this engine: no handlers, events are fetched.

What it says of a connection it is told through handlers, as the original is. Only the list of events that were not fetched yet is watched here, so
that it cannot grow without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import socketio

from engineio_lite.bridge.client import AsyncClient


class AsyncSimpleClient(socketio.AsyncSimpleClient):  # type: ignore[misc]
    """`socketio.AsyncSimpleClient` on this engine; events that nobody receives are back-pressure and not a growing list."""

    client_class = AsyncClient
    client: AsyncClient | None

    async def connect(
        self,
        url: str | Callable[[], Any],
        headers: Mapping[str, str] | Callable[[], Any] | None = None,
        auth: Any = None,
        transports: str | Sequence[str] | None = None,
        namespace: str = "/",
        socketio_path: str = "socket.io",
        wait_timeout: float | None = 5,
    ) -> None:
        """As the original; raises what `AsyncClient.connect` does, and RuntimeError if it is connected. Safe to cancel."""
        if self.connected:
            raise RuntimeError("Already connected")
        await self.disconnect()  # an earlier client may still be busy with its end
        self.namespace = namespace
        self.input_buffer: list[list[Any]] = []
        self.input_event.clear()
        self.client = client = self.client_class(*self.client_args, **self.client_kwargs)
        client._inbox = self.input_buffer
        for event, handler in {
            "connect": self._connected,
            "disconnect": self._disconnected,
            "__disconnect_final": self._ended,
            "*": self._received,
        }.items():
            client.on(event, handler, namespace=namespace)
        try:
            await client.connect(
                url,
                headers=headers,
                auth=auth,
                transports=transports,
                namespaces=[namespace],
                socketio_path=socketio_path,
                wait_timeout=wait_timeout,
            )
        except BaseException:
            self._ended()
            raise

    def _connected(self) -> None:
        self.connected = True
        self.connected_event.set()

    def _disconnected(self, *reason: str) -> None:
        self.connected_event.clear()

    def _ended(self) -> None:
        self.connected = False
        self.connected_event.set()
        self.input_event.set()  # whoever waits in `receive` would otherwise never hear of it

    def _received(self, event: str, *values: Any) -> None:
        self.input_buffer.append([event, *values])
        self.input_event.set()

    @property
    def transport(self) -> str:
        """How packets travel; empty without a connection."""
        return (self.client.transport() or "") if self.client is not None else ""

    async def receive(self, timeout: float | None = None) -> list[Any]:
        """Return the next event as a list: its name, then its arguments.

        Raises `socketio.exceptions.TimeoutError` after `timeout` seconds and `DisconnectedError` when the connection has ended for good. Safe to
        cancel.
        """
        try:
            event: list[Any] = await super().receive(timeout)
            return event
        finally:
            if self.client is not None:
                self.client.eio.fetched()

    async def disconnect(self) -> None:
        """Leave the server, or stop trying to reach it, and return when everything is closed; harmless at any time.

        Also when the server has thrown this client out: then it may still be busy with closing.
        """
        client, self.client = self.client, None
        if client is not None:
            await client.disconnect()
        self.connected = False
