"""What a capture is made of: the vocabulary of its lines.

A capture is a list of lines, in the order in which things happened; as a file it is JSON Lines (`format.py`). It has one of two levels. *Packets* is
the conversation: who said what, decoded, with the transport as a mere annotation; this is what people review, what is compared, and what is played to
any client. *Wire* is the record of the door, every input and output of the machine as it was, from which the same run can be computed again; the
packets follow from it (`derive.py`).

Nothing here is secret any more: lines are redacted before they are made into text (`redactor.py`). What stands in for a secret keeps its identity, so
two that were equal still are: ``@eio1``, ``@sid1`` and ``@pid1`` for ids that a server gave, ``<redacted:1>`` for everything else, numbered in the
order in which they came up. The numbers are the same whenever the same conversation is recorded again, so a new recording changes few lines.

Times are seconds since the capture began, its `Head` alone says when that was. `session` counts the Engine.IO sessions of a capture from 1, in the
order in which they were opened; 0 is what belongs to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from engineio_lite.inputs import Input
from engineio_lite.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.packet import PacketType as EnginePacketType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

VERSION: Final = 1
"""The version of the format; a reader refuses another one."""


class Level(StrEnum):
    """How much a capture holds."""

    PACKETS = "packets"
    WIRE = "wire"


class Direction(StrEnum):
    """Which way a packet went: up to the server, or down from it."""

    UP = "up"
    DOWN = "down"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: who wrote the capture, when (ISO 8601, UTC; empty where it is not known), of what, and what was redacted in it.

    `source` says where it comes from: ``record``, ``proxy``, ``har``, ``mitmproxy``, ``pcap``, ``cdp`` or what else made it.
    """

    version: int = VERSION
    by: str = ""
    at: str = ""
    source: str = "record"
    level: Level = Level.PACKETS


class SessionOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The server's open packet: session number `session` exists now, on `transport`.

    `url` is the URL without its query's protocol parameters, redacted. `handshake` is the open packet's object without its ``sid``. `again` is the
    number of the session that this one follows after a reconnect, where that can be told.
    """

    session: int
    time: float | None = None
    url: str = ""
    eio: int = 4
    transport: Transport
    sid: str = ""
    handshake: Mapping[str, object] = {}
    again: int | None = None


class SocketIOPacket(msgspec.Struct, frozen=True, kw_only=True):
    """One Socket.IO packet, its attachments in their places; `data` is UNSET where it has no payload.

    It stands where its first message did: attachments may come later, with packets of the other direction between. `parser` is ``default`` or
    ``msgpack``.
    """

    session: int
    time: float | None = None
    direction: Direction
    transport: Transport
    type: PacketType
    namespace: str = "/"
    id: int | None = None
    data: object = msgspec.UNSET
    parser: str = "default"


class EnginePacket(msgspec.Struct, frozen=True, kw_only=True):
    """One Engine.IO packet that carries no message: ping, pong, probe, upgrade, noop, close. Replay and comparison pass over it."""

    session: int
    time: float | None = None
    direction: Direction
    transport: Transport
    type: EnginePacketType
    data: str = ""


class Undecoded(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be decoded, as it came, and why; never dropped. A message that is no Socket.IO, of a bare Engine.IO session, is one too."""

    session: int
    time: float | None = None
    direction: Direction
    transport: Transport
    data: str | bytes
    error: str


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer that is no part of a session that works: a refusal, an error, a request without an answer (`status` 0)."""

    session: int
    time: float | None = None
    method: str
    url: str = ""
    transport: Transport = Transport.POLLING
    status: int
    content_type: str = ""
    body: str = ""


class SocketChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket of the session was opened (`change` is ``open``) or has ended (``closed``), with its code and reason, where there were any."""

    session: int
    time: float | None = None
    change: str
    by: Direction | None = None
    code: int | None = None
    reason: str = ""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something to know about what stands here. `what` is a stable name: ``gap`` says that packets may be missing, so replay must not trust it."""

    session: int
    time: float | None = None
    what: str
    text: str


class SessionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over: by whom (``client``, ``server`` or ``unknown``), with the WebSocket's close code, if it had one, and why."""

    session: int
    time: float | None = None
    by: str = "unknown"
    code: int | None = None
    reason: str = ""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Wire level: a connection was made with this configuration, from which the same machine can be built again."""

    session: int
    url: str
    transports: tuple[str, ...]
    token: str = ""
    default_path: str = "/engine.io/"
    limits: Limits = DEFAULT_LIMITS
    timeouts: Timeouts = DEFAULT_TIMEOUTS


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """Wire level: one passage through the door, at the instant `at` of the recorder's monotonic clock, unrounded, because deadlines depend on it.

    `outputs` are the commands and events in order, as JSON values (`passages.py` makes them): they are compared and shown, never performed.
    """

    session: int
    at: float
    input: Input
    outputs: tuple[object, ...]


Line: TypeAlias = Head | SessionOpened | SocketIOPacket | EnginePacket | Undecoded | HttpAnswer | SocketChanged | Note | SessionEnded | Door | Passage
