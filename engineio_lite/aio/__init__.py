"""The asyncio drivers, on aiohttp: the only place of the library that does I/O."""

from engineio_lite.aio.engine import EngineIOClient, connect
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.aio.socketio import Namespace, SocketIOClient, connect_socketio

__all__ = ["ConnectOptions", "EngineIOClient", "Namespace", "SocketIOClient", "connect", "connect_socketio"]
