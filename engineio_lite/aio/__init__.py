"""The asyncio drivers, on aiohttp: the only place of the library that does I/O."""

from engineio_lite.aio.delivery import Delivery, Stage
from engineio_lite.aio.engine import EngineIOClient, connect
from engineio_lite.aio.namespace import Auth, Namespace
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.aio.recording import Recording
from engineio_lite.aio.socketio import SocketIOClient, State, connect_socketio
from engineio_lite.aio.typed import TypedEvents

__all__ = [
    "Auth",
    "ConnectOptions",
    "Delivery",
    "EngineIOClient",
    "Namespace",
    "Recording",
    "SocketIOClient",
    "Stage",
    "State",
    "TypedEvents",
    "connect",
    "connect_socketio",
]
