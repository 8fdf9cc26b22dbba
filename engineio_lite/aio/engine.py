"""Engine.IO for asyncio: messages, verbatim, in order."""

from __future__ import annotations

from typing import Any, Unpack

from engineio_lite.aio.client import Client, Opening, Options, resolve
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.events import MessageReceived, Opened
from engineio_lite.inputs import SendMessages


class EngineIOClient(Client[str | bytes]):
    """An open Engine.IO connection: send messages, iterate over those that come.

    Several tasks may use it at once; messages leave in the order in which `send` was called.
    """

    def _deliver(self, event: Any) -> None:
        if type(event) is MessageReceived:
            self._stream.put(event.data)
            return
        super()._deliver(event)
        if type(event) is Opened:
            resolve(self._opened)

    async def send(self, *messages: str | bytes) -> None:
        """Send messages, with no other between them; returns when they are queued for the next POST or written to the WebSocket.

        Waits while too much waits already. Raises `LocalProtocolError` for what cannot be sent (`PayloadTooLarge` for more than the server takes;
        nothing is sent then), or what ended the connection. Safe to cancel: the messages are sent together or not at all.
        """
        await self._process(SendMessages(messages))


def connect(url: str, **options: Unpack[ConnectOptions]) -> Opening[EngineIOClient]:
    """Open an Engine.IO connection; use it as ``async with connect(url) as engine`` or ``engine = await connect(url)``.

    `url` is an http, https, ws or wss URL; an empty path means ``/engine.io/``. See `ConnectOptions` for the rest. Opening raises an
    `EngineIOError` that names stage, cause and fix; then, or when it is cancelled, nothing is left running.
    """

    def make() -> EngineIOClient:
        settings = Options(**options)
        return EngineIOClient(settings.engine(url, "/engine.io/"), settings)

    return Opening(make)
