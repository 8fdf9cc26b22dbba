"""What waits above a connection: events for a connection that is not there, and events that are repeated until they are acknowledged.

Two queues for each namespace, both in the order in which the application spoke. `Held` events wait for the namespace to be connected and are
passed on then, once. `Repeated` events are sent one at a time, and the next one only when the one before is acknowledged or given up; so they are
delivered at least once and in order, and a server may see one twice.

What waits is a copy of what the application passed: it may change its own before ours is sent.
"""

from __future__ import annotations

from collections import deque

import msgspec

from engineio_lite.socketio.inputs import Deliver, Emit
from engineio_lite.socketio.recovery import Recovery


class Held(msgspec.Struct, frozen=True):
    """An event that waits for a connection; `expires` is the instant at which its call times out (None: never)."""

    wish: Emit
    size: int
    expires: float | None = None
    order: int = 0


class Repeated(msgspec.Struct):
    """An event that is sent until it is acknowledged; `tries` counts those that were not answered in time."""

    wish: Deliver
    size: int
    tries: int = 0


class Scope:
    """One namespace as the application wants it, whatever connection carries it."""

    __slots__ = ("answered", "auth", "connected", "deferred", "gone", "grant", "held", "in_flight", "name", "next_ack_id", "queue", "recovery")

    def __init__(self, name: str, epoch: float | None) -> None:
        self.name = name
        self.auth: dict[str, object] | None = None
        self.deferred = False
        self.connected = False
        self.answered = False
        """Whether the connection that is there has got its answer, grant or refusal."""
        self.grant = 0
        """The number of the last grant, counted over all namespaces."""
        self.gone: Exception | None = None
        """Why the server does not want us in it, until it is clear whether another connection will ask again."""
        self.recovery = Recovery(epoch)
        self.next_ack_id = 0
        self.held: deque[Held] = deque()
        self.queue: deque[Repeated] = deque()
        self.in_flight: int | None = None
        """The number of the call that carries the first of the queue, if it is on its way."""

    @property
    def waiting(self) -> int:
        """How many events wait here."""
        return len(self.held) + len(self.queue)

    def disconnected(self) -> None:
        """The connection is gone, and with it what was on its way."""
        self.connected = self.answered = False
        self.in_flight = None
