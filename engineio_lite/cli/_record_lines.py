"""The lines of a capture for people who watch it grow: one line each, in columns.

Pure. The lines are redacted already, since they are shown as they were written. Nothing in a row moves a cursor, whatever a server put there.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import msgspec

from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.exceptions import elide
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

ARROWS: Final = {Direction.UP: "──▶", Direction.DOWN: "◀──", None: "───"}

SHOWN_BYTES: Final = 8
"""Of bytes so many are shown, in hexadecimal."""

_CARRIERS: Final = {Transport.POLLING: "polling", Transport.WEBSOCKET: "websocket", None: ""}
_PROBE: Final = "probe"


class Row(msgspec.Struct, frozen=True):
    """One line for people: when, in which session, which way, by what, what, and what it says. `is_fault` is what somebody should look at."""

    at: float
    session: int
    direction: Direction | None
    transport: Transport | None
    packet: str
    meaning: str = ""
    is_fault: bool = False

    def columns(self) -> tuple[str, str, str, str, str]:
        """Its columns as texts of their usual width, but for the last one."""
        session = f"{self.session or '':>3}"
        return f"{self.at:9.3f}", f"{session} {ARROWS[self.direction]}", f"{_CARRIERS[self.transport]:9}", f"{self.packet:10}", self.meaning


def row_of(line: Line) -> Row | None:
    """The row of a line; None for lines that a proxy does not write."""
    match line:
        case SocketIOPacket():
            return _carried(line, _NAMES[line.type], _said(line), is_fault=line.type is PacketType.CONNECT_ERROR)
        case EnginePacket():
            answers = line.type is EngineType.PONG
            packet = ("probed" if answers else _PROBE) if line.data == _PROBE else line.type.value
            return _carried(line, packet, "" if line.data == _PROBE else _printable(line.data))
        case Undecoded():
            return _carried(line, "unread", f"{elide(line.data)}  ({line.error})", is_fault=True)
        case _:
            return _remark(line)


def _remark(line: Line) -> Row | None:
    """The row of a line that is no packet."""
    match line:
        case SessionOpened():
            offers = ", ".join(map(str, _listed(line.handshake.get("upgrades"))))
            meaning = f"{line.url} as {line.sid}" + (f", offers {offers}" if offers else "")
            return Row(line.time or 0.0, line.session, Direction.DOWN, line.transport, "open", _printable(meaning))
        case HttpAnswer():
            packet = f"HTTP {line.status}" if line.status else "no answer"
            meaning = _printable(f"{line.method} {urlsplit(line.url).path} {line.body}".rstrip())
            return Row(line.time or 0.0, line.session, Direction.DOWN, line.transport, packet, meaning, is_fault=True)
        case SocketChanged():
            code = "" if line.code is None else f"code {line.code} "
            meaning = line.change if line.change == "open" else _printable(f"{line.change} {code}{line.reason}".rstrip())
            return Row(line.time or 0.0, line.session, line.by, Transport.WEBSOCKET, "socket", meaning)
        case Note():
            is_fault = line.what in ("gap", "upstream", "engineio-3", "unopened")
            return Row(line.time or 0.0, line.session, None, None, "note", _printable(f"{line.what}: {line.text}"), is_fault=is_fault)
        case SessionEnded():
            return Row(line.time or 0.0, line.session, None, None, "end", _printable(f"by {line.by}: {line.reason}"))
        case _:
            return None


_NAMES: Final = {
    PacketType.CONNECT: "connect",
    PacketType.DISCONNECT: "disconnect",
    PacketType.EVENT: "event",
    PacketType.ACK: "ack",
    PacketType.CONNECT_ERROR: "refused",
}


def _carried(line: SocketIOPacket | EnginePacket | Undecoded, packet: str, meaning: str, *, is_fault: bool = False) -> Row:
    return Row(line.time or 0.0, line.session, line.direction, line.transport, packet, meaning, is_fault)


def _said(line: SocketIOPacket) -> str:
    number = "" if line.id is None else f"#{line.id} "
    namespace = "" if line.namespace == "/" and line.type in (PacketType.EVENT, PacketType.ACK) else f"{line.namespace} "
    if line.data is msgspec.UNSET:
        return f"{namespace}{number}".rstrip()
    values = line.data if line.type in (PacketType.EVENT, PacketType.ACK) and isinstance(line.data, list) else [line.data]
    name = ""
    if line.type is PacketType.EVENT and values and isinstance(values[0], str):
        name, values = f"{values[0]} ", values[1:]
    return _printable(f"{namespace}{number}{name}{' '.join(map(_json, values))}").rstrip()


def _json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    match value:
        case bytes():
            counted = "1 byte" if len(value) == 1 else f"{len(value)} bytes"
            return f"<{counted}{' ' if value else ''}{value[:SHOWN_BYTES].hex()}{'…' if len(value) > SHOWN_BYTES else ''}>"
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _printable(text: str) -> str:
    """The same without what would move a cursor or break a line."""
    return text if text.isprintable() else "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
