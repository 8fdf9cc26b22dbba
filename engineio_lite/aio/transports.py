"""Which transports each connection of a client tries, where it may try more than one way in.

``("polling", "websocket")`` is one way: polling opens everywhere, and the upgrade costs nothing where it fails. ``("websocket", "polling")`` are two:
the WebSocket saves a round trip and needs no sticky sessions, and where it cannot be opened, behind a proxy that knows nothing of it, the next
connection is made by polling alone, at once. After a connection that stood the WebSocket is tried first again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.policy import Lost, ReconnectPolicy
from engineio_lite.state import Transport

TWO_WAYS = (Transport.WEBSOCKET, Transport.POLLING)

MakeConnection = Callable[[Sequence[str]], SocketIOConnection]


class WaysIn:
    """Makes connections over the transports whose turn it is, and answers for the policy when another way is still to be tried."""

    def __init__(self, transports: Sequence[str], make: MakeConnection, policy: ReconnectPolicy | None) -> None:
        two = not isinstance(transports, str) and tuple(transports) == TWO_WAYS
        self._ways: list[Sequence[str]] = [(way,) for way in TWO_WAYS] if two else [transports]
        self._make = make
        self._policy = policy
        self._way = 0
        self._detours = 0
        self._last: SocketIOConnection | None = None

    def connection(self) -> SocketIOConnection:
        """A new connection over the transports whose turn it is. Raises `LocalProtocolError` for transports that are none."""
        self._last = self._make(self._ways[self._way])
        return self._last

    def wait(self, lost: Lost, roll: float) -> float | None:
        """As `ReconnectPolicy.wait`; 0 if the last connection was never open and there is another way in."""
        if lost.attempt == 1:
            self._detours = 0
        was_open = self._last is not None and self._last.handshake is not None
        if not was_open and self._way + 1 < len(self._ways) and lost.error is not None and not isinstance(lost.error, LocalProtocolError):
            self._way += 1
            self._detours += 1
            return 0.0
        self._way = 0
        if self._policy is None:
            return None
        return self._policy.wait(msgspec.structs.replace(lost, attempt=lost.attempt - self._detours), roll)
