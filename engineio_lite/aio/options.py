"""What `connect` and `connect_socketio` take, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import TypedDict

from aiohttp import ClientSession

from engineio_lite.aio.network import AnyNetwork
from engineio_lite.aio.recording import Record
from engineio_lite.capture.recorder import Recorder
from engineio_lite.limits import Limits, Timeouts


class ConnectOptions(TypedDict, total=False):
    """The keyword arguments of both; every one applies to GET, POST and WebSocket alike."""

    transports: Sequence[str]
    """``("polling", "websocket")``, the default, opens by polling and upgrades; ``("polling",)`` and ``("websocket",)`` use one only. With Socket.IO
    ``("websocket", "polling")`` opens by WebSocket, and where that fails by polling."""

    headers: Mapping[str, str] | None
    """Sent with every request; replaces the honest ``User-Agent`` if it has one."""

    cookies: Mapping[str, str] | None
    """Sent with every request, beside those that the server sets."""

    proxy: str | None
    """URL of an HTTP proxy, with user and password in it if it wants them."""

    ssl: SSLContext | bool
    """How to check the server's certificate: True by the system's authorities, a context by its own, False not at all."""

    trust_env: bool
    """Take proxies and credentials from the environment, as curl does."""

    session: ClientSession | None
    """An aiohttp session whose connections, cookies, headers, credentials and middlewares are to be used; it is neither changed nor closed."""

    limits: Limits
    """How much, how many and how deep."""

    timeouts: Timeouts
    """How long, stage by stage."""

    recorder: Recorder | None
    """Keeps what crosses the door, secrets included."""

    network: Callable[[], AnyNetwork] | None
    """Makes what stands in the place of HTTP and WebSockets, once for each connection, such as a replay in memory; what is above and concerns the
    network (`headers` to `session`) has no effect then."""

    record: Record | None
    """Writes what crosses the door into a capture: the name of a file that is not there yet, or a `Recording`. Secrets are replaced before they are
    written."""
