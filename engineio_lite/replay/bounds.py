"""The bounds of a server: how many, how much, how long. Each has a default with its reason beside it, and is changed by `serve(limits=…)`."""

from __future__ import annotations

from typing import Final

import msgspec


class ServingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one server takes and waits for; sizes are bytes, times are seconds."""

    max_sessions: int = 10_000
    """Clients at a time. More than any test has, and few enough that a client gone mad fills no memory."""

    max_body: int = 100 * 1024 * 1024
    """A POST or a WebSocket message where the open packet says no ``maxPayload``: what the library's clients accept themselves."""

    max_waiting: int = 256 * 1024 * 1024
    """What may wait to be written to one WebSocket. A replay hands out at once what was recorded over hours."""

    body: float = 300.0
    """From the head of a POST to its end, Node's ``requestTimeout``."""

    close: float = 5.0
    """From our Close frame to the client's answer."""

    goodbye: float = 0.1
    """For attached clients to be told that the server is being left: on one machine that is long."""


DEFAULT_SERVING_LIMITS: Final = ServingLimits()
