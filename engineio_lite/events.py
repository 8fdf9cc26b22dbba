"""What the application sees, in order."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engineio_lite.exceptions import EngineIOError
from engineio_lite.handshake import Handshake
from engineio_lite.packet import Packet
from engineio_lite.state import CloseReason, Transport


class Opened(msgspec.Struct, frozen=True):
    """The server's open packet came; messages may be sent. The first poll starts only after the application has had the word."""

    handshake: Handshake
    transport: Transport


class MessageReceived(msgspec.Struct, frozen=True, gc=False):
    """One message, verbatim: `str` or `bytes`, never parsed."""

    data: str | bytes


class Upgraded(msgspec.Struct, frozen=True):
    """The session now travels over its WebSocket."""


class UpgradeFailed(msgspec.Struct, frozen=True):
    """The upgrade did not work, for this reason; polling goes on with the same session."""

    error: EngineIOError


class PollingStuck(msgspec.Struct, frozen=True):
    """The server answers every poll at once with nothing (`polls` in a row), as if the failed upgrade still went on; a repair has begun."""

    polls: int


class PacketIgnored(msgspec.Struct, frozen=True):
    """A packet that means nothing where it came was left out; `why` in one clause."""

    packet: Packet
    why: str


class Closed(msgspec.Struct, frozen=True):
    """The session is over, for good.

    `error` is None after an orderly close by either side. `unsent` counts the messages that were accepted but not confirmed: still waiting, or in
    a POST without its 200. `silence` is how long ago the server's last ping came, or its open packet, in seconds (None: it was never open).
    `last_received` and `last_sent` are the last few packets each way, oldest first.
    """

    reason: CloseReason
    error: EngineIOError | None
    unsent: int = 0
    silence: float | None = None
    last_received: tuple[Packet, ...] = ()
    last_sent: tuple[Packet, ...] = ()


Event: TypeAlias = Opened | MessageReceived | Upgraded | UpgradeFailed | PollingStuck | PacketIgnored | Closed
