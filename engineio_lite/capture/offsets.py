"""The offsets of connection state recovery in a recording, found and named.

A server that can take up a lost session appends an offset to nearly every event, as its last argument; it is the time at which the event was sent, so
no two recordings of the same conversation have the same. Here each becomes a name, ``@offset1``, ``@offset2`` …, in the order in which they first
come up, there and where a client says with its CONNECT how far it had come.

The protocol does not mark them. A string counts as one if it is the last argument of an event of the server's that asks for no answer, in a namespace
that was granted a ``pid``, has a form that is known, and a time that fits: on the server's clock it is as far from the recorder's as most of the
others are. See `engineio_lite.socketio.recovery` for the same question asked of a live connection, which knows less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Final

import msgspec

from engineio_lite.capture.lines import Direction, Line, SocketIOPacket
from engineio_lite.socketio.grammar import PLAIN, PacketType
from engineio_lite.socketio.recovery import read_offset

__all__ = ["name_offsets"]

FIT: Final = 86_400.0
"""Seconds by which the time of an offset may be away from where the others say that it should be. A word that happens to have the form of an offset
says a time that is decades away."""

_MARK: Final = "@offset"


def name_offsets(lines: Iterable[Line]) -> list[Line]:
    """The same lines, with names for the offsets: of a whole capture, or of a session of it."""
    lines = list(lines)
    recoverable = {(line.session, line.namespace) for line in lines if isinstance(line, SocketIOPacket) and _grants(line)}
    if not recoverable:
        return lines
    found = dict(_offsets(lines, recoverable))
    names: dict[str, str] = {}
    return [_named(line, found.get(place), names) for place, line in enumerate(lines)]


def _grants(line: SocketIOPacket) -> bool:
    answer = line.direction is Direction.DOWN and line.type is PacketType.CONNECT
    return answer and isinstance(line.data, dict) and isinstance(line.data.get("pid"), str)


def _offsets(lines: Sequence[Line], recoverable: set[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The places of events with an offset, and the offsets."""
    seen = []
    for place, line in enumerate(lines):
        if isinstance(line, SocketIOPacket) and (line.session, line.namespace) in recoverable:
            offset = _last_string(line)
            read = None if offset is None else read_offset(offset)
            if offset is not None and read is not None:
                seen.append((place, offset, read[1] - (line.time or 0.0)))
    usual = median(began for _, _, began in seen) if seen else 0.0
    for place, offset, began in seen:
        if abs(began - usual) <= FIT:
            yield place, offset


def _last_string(line: SocketIOPacket) -> str | None:
    is_plain = line.direction is Direction.DOWN and PLAIN.get(line.type, line.type) is PacketType.EVENT and line.id is None
    if is_plain and isinstance(line.data, list) and len(line.data) > 1 and isinstance(line.data[-1], str):
        return line.data[-1]
    return None


def _named(line: Line, offset: str | None, names: dict[str, str]) -> Line:
    if not isinstance(line, SocketIOPacket):
        return line
    if offset is not None:
        assert isinstance(line.data, list)
        return msgspec.structs.replace(line, data=[*line.data[:-1], _name(offset, names)])
    if line.type is PacketType.CONNECT and line.direction is Direction.UP and isinstance(line.data, dict):
        claimed = line.data.get("offset")
        if isinstance(claimed, str) and isinstance(line.data.get("pid"), str) and not claimed.startswith(_MARK):
            return msgspec.structs.replace(line, data={**line.data, "offset": _name(claimed, names)})
    return line


def _name(offset: str, names: dict[str, str]) -> str:
    return names.setdefault(offset, f"{_MARK}{len(names) + 1}")
