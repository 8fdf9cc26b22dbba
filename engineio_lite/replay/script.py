"""What a capture says is to happen: for each session, who says what, and what that waits for.

A `Script` is one recorded session seen from one side. What the other side said is *awaited*, what this side said is *owed*. So the same script serves
a replay as the server (the client's packets are awaited) and as the client (the server's are). Only Socket.IO packets are on it: pings, probes,
the upgrade, closing handshakes and the transport are made anew by whoever plays it.

Nothing but order is kept of time: a packet of ours is sent when that of the other side's has come which was the last before it on the tape, its
presumed cause, and besides when that has come which it cannot do without: an acknowledgement or the answer to CONNECT needs what it answers, and
everything else the CONNECT of its namespace. As long as the other side keeps to the order of the tape, this is the same as "when so many packets of
it have come", and where it may leave that order (see `matcher.py`) a packet that has not come yet holds back nothing but what follows from it.

Races are in a recording as they happened to end: an event may stand behind a packet that did not cause it. `relax` names events of which the place
means nothing. Those of ours go as soon as what stands before them has gone, those of the other side may come at any place and are waited for by
nothing; the same holds for the other side's answers to events of ours that are named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from engineio_lite.capture.lines import Direction, Head, Line, Note, SessionEnded, SessionOpened, SocketIOPacket, Undecoded
from engineio_lite.socketio.packet import Packet, PacketType

GAP: Final = "gap"
"""What a note says that makes a session not to be trusted."""

_ANSWERS: Final = {PacketType.ACK: PacketType.EVENT, PacketType.CONNECT: PacketType.CONNECT, PacketType.CONNECT_ERROR: PacketType.CONNECT}


def opposite(direction: Direction) -> Direction:
    """The other direction."""
    return Direction.UP if direction is Direction.DOWN else Direction.DOWN


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """One packet of the tape; `packet` is None where a side ends the whole session.

    `number` counts the packets of its side from 1, `line` is its line in the file, from 1, `time` is in seconds since the capture began. `after` is
    how many packets of the other side were before it. `cause` and `answered` are indexes of the other side's packets: the last one before it whose
    place means something, and what it needs beside that; None where there is none. `answered` is what it answers, or the CONNECT of its namespace.
    `is_free` says that its own place means nothing.
    """

    packet: Packet | None
    number: int
    line: int
    time: float | None = None
    after: int = 0
    cause: int | None = None
    answered: int | None = None
    is_free: bool = False


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded session: what is awaited of the other side, and what is owed to it, each in the order of the tape.

    `opened` is its line that opens it, if there is one, and `parser` that of its first packet. `doubts` say in a sentence each why it is not all
    there.
    """

    session: int
    opened: SessionOpened | None = None
    parser: str = "default"
    awaited: tuple[Cue, ...] = ()
    owed: tuple[Cue, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def first_line(self) -> int:
        """The line of its first packet."""
        return min(cue.line for cue in (*self.awaited, *self.owed))

    @property
    def last_line(self) -> int:
        """The line of its last packet."""
        return max(cue.line for cue in (*self.awaited, *self.owed))


def read_scripts(
    lines: Iterable[Line], *, ours: Direction = Direction.DOWN, relax: Collection[str | int | float] = (), first_line: int = 2
) -> list[Script]:
    """The scripts of a capture's sessions, in the order in which these were opened, for who plays the side `ours`.

    Sessions without any Socket.IO packet are left out: nothing of them can be played. `first_line` is the number of the first of the lines in the
    file, which is 1 if the head is among them.
    """
    readers: dict[int, _Reader] = {}
    for number, line in enumerate(lines, first_line):
        if isinstance(line, Head) or not line.session:
            continue
        if line.session not in readers:
            readers[line.session] = _Reader(line.session, ours, frozenset(relax))
        readers[line.session].take(line, number)
    scripts = [reader.script() for reader in readers.values()]
    return [script for script in scripts if script.awaited or script.owed or script.doubts]


class _Side:
    """The packets of one direction so far."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []
        self.cause: int | None = None
        """The index of the last one whose place means something."""
        self.unanswered: dict[tuple[PacketType, str, int | None], list[int]] = {}
        """What asks for an answer -> its indexes."""
        self.joined: dict[str, int] = {}
        """Namespace -> index of the last CONNECT in it."""
        self.gate: tuple[int, int | None] = (0, None)
        """`after` and `cause` of the last packet: what a packet whose own place means nothing goes by."""


class _Reader:
    """Reads the lines of one session."""

    def __init__(self, session: int, ours: Direction, relax: frozenset[str | int | float]) -> None:
        self._session = session
        self._ours = ours
        self._relax = relax
        self._opened: SessionOpened | None = None
        self._parser: str | None = None
        self._sides = {direction: _Side() for direction in Direction}
        self._doubts: list[str] = []

    def take(self, line: Line, number: int) -> None:
        match line:
            case SocketIOPacket():
                self._packet(line, number)
            case SessionOpened() if self._opened is None:
                self._opened = line
            case SessionEnded() if line.by == ("server" if self._ours is Direction.DOWN else "client"):
                self._end(line, number)
            case Note() if line.what == GAP:
                self._doubts.append(f"line {number}: {line.text}")
            case Undecoded():
                self._doubts.append(f"line {number}: a message that is no Socket.IO packet ({line.error})")
            case _:
                pass  # how the packets travelled

    def _packet(self, line: SocketIOPacket, number: int) -> None:
        self._parser = self._parser or line.parser
        side = self._sides[line.direction]
        other = self._sides[opposite(line.direction)]
        packet = Packet(line.type, line.data, line.namespace, line.id)
        answered = self._answered(packet, line.direction, other)
        is_free = self._is_free(packet, answered, other)
        after, cause = side.gate if is_free else (len(other.cues), other.cause)
        index = len(side.cues)
        cue = Cue(packet=packet, number=index + 1, line=number, time=line.time, after=after, cause=cause, answered=answered, is_free=is_free)
        side.cues.append(cue)
        side.gate = after, cause
        if not is_free:
            side.cause = index
        if packet.type is PacketType.CONNECT:
            side.joined[packet.namespace] = index
        if packet.id is not None or packet.type is PacketType.CONNECT:
            side.unanswered.setdefault((packet.type, packet.namespace, packet.id), []).append(index)

    def _answered(self, packet: Packet, direction: Direction, other: _Side) -> int | None:
        """The index of what a packet answers, or else of the CONNECT without which it may not be said."""
        is_answer = packet.type is PacketType.ACK or direction is Direction.DOWN
        question = _ANSWERS.get(packet.type) if is_answer else None
        if question is None:
            return other.joined.get(packet.namespace)
        asked = other.unanswered.get((question, packet.namespace, packet.id))
        return asked.pop() if asked else None

    def _is_free(self, packet: Packet, answered: int | None, other: _Side) -> bool:
        if packet.type is PacketType.ACK and answered is not None:
            return other.cues[answered].is_free
        return packet.type is PacketType.EVENT and isinstance(packet.data, list) and packet.data[0] in self._relax

    def _end(self, line: SessionEnded, number: int) -> None:
        ours, other = self._sides[self._ours], self._sides[opposite(self._ours)]
        ours.cues.append(Cue(packet=None, number=len(ours.cues) + 1, line=number, time=line.time, after=len(other.cues), cause=other.cause))

    def script(self) -> Script:
        return Script(
            session=self._session,
            opened=self._opened,
            parser=self._parser or "default",
            awaited=tuple(self._sides[opposite(self._ours)].cues),
            owed=tuple(self._sides[self._ours].cues),
            doubts=tuple(self._doubts),
        )
