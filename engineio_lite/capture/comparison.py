"""Two captures, compared as conversations: who said what, in which order, and nothing of how it travelled.

The same session recorded over polling, over a WebSocket or across an upgrade, by whichever tool, is the same conversation. So before two sessions are
compared each is made *normal* (`normalise`). What is left out or renamed, and why:

- Transports, times, and everything that is no Socket.IO packet (Engine.IO packets, WebSockets that open and close, HTTP answers, notes, how the
  session began and ended) are of the journey. A message that could not be decoded is part of the conversation.
- Ids that a server gives, of a session and of a namespace, are new every time: they become ``@eio1``, ``@sid1``, ``@pid1`` … in the order in which
  the packets of the session give them, in the answer to CONNECT and wherever else a string is that id.
- Offsets of connection state recovery are times, and so new every time, too: they become ``@offset1`` … (`offsets.py`).
- Placeholders of redaction (``@eio1``, ``<redacted:3>``) are numbered over a whole capture; here they are numbered anew in each session, so that an
  earlier session that differs does not make every later one differ.
- Acknowledgement ids are names by which an answer finds its question. Servers count theirs over all their clients, and clients begin at 0 or at 1.
  The first event of a namespace and direction that asks has 1, the next one 2; an answer has the number of its question, one without a question 0.
- Types of packets with attachments are those without: it is the data that holds them.
- Packets of the two directions that crossed on their way have no order: a recorder near the client sees one, a recorder near the server another.
  Two packets, one up and one down, no further apart than `CROSSING` in either capture, may stand in either order (`crossing.py`).

JSON is compared as JSON means it (`jsonpaths.py`). Then the two lists are aligned (`compare`): what is the same in both stands side by side, what was
put between them on one side is missing on the other, and where both have a packet of one kind, one direction, type, namespace and event, in the same
place, it is one packet that has changed, with the paths at which it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from engineio_lite.capture.crossing import uncrossed
from engineio_lite.capture.jsonpaths import Difference, Path, canonical, differences, parse_path
from engineio_lite.capture.lines import Direction, Line, SessionOpened, SocketIOPacket, Undecoded
from engineio_lite.capture.offsets import name_offsets
from engineio_lite.capture.sequences import opcodes
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PLAIN, PacketType


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One packet of a conversation, made normal: comparable, and as nearly alike as two recordings of the same can be.

    `packet` is its type in capitals, or ``message`` for one that could not be decoded. `event` is the name of an event, and for an ACK that of the
    event that it answers. `answers` is the place of that event in the list. `data` is UNSET where the packet has no payload.
    """

    direction: Direction
    packet: str
    namespace: str | None = None
    id: int | None = None
    event: str | None = None
    answers: int | None = None
    data: object = UNSET

    @property
    def kind(self) -> tuple[object, ...]:
        """What makes two packets candidates for being one that has changed."""
        return self.direction, self.packet, self.namespace, self.event, self.id is None


def normalise(lines: Iterable[Line]) -> list[Said]:
    """The conversation of one session, from its lines, by the rules at the head of this module."""
    return list(_Normaliser(lines).said())


def by_session(lines: Iterable[Line]) -> dict[int, list[Line]]:
    """The lines of each session, by its number, in the order in which the sessions first occur; what belongs to none is left out."""
    sessions: dict[int, list[Line]] = {}
    for line in lines:
        session = getattr(line, "session", 0)
        if session:
            sessions.setdefault(session, []).append(line)
    return sessions


# --- making a session normal

_PLACEHOLDER: Final = re.compile(r"@(eio|sid|pid|offset)[0-9]+|<(redacted):[0-9]+>")
_IDS: Final = ("sid", "pid")


class _Names:
    """New names for ids and placeholders, numbered as they come up."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def name(self, old: str, kind: str) -> str:
        if old not in self._names:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[old] = f"<redacted:{number}>" if kind == "redacted" else f"@{kind}{number}"
        return self._names[old]

    def renamed(self, value: object) -> object:
        """The same JSON value with the new names."""
        match value:
            case str():
                return self._names.get(value) or _PLACEHOLDER.sub(self._anew, value)
            case list() | tuple():
                return [self.renamed(item) for item in value]
            case dict():
                return {self.renamed(name): self.renamed(item) for name, item in value.items()}
            case _:
                return value

    def _anew(self, found: re.Match[str]) -> str:
        return self.name(found.group(), found[1] or found[2])


class _Normaliser:
    """Makes the packets of one session normal; it remembers who has asked what."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._packets: list[SocketIOPacket | Undecoded] = []
        self._names = _Names()
        for line in name_offsets(lines):
            self._take(line)
        self._asked: dict[tuple[str, Direction], int] = {}
        self._open: dict[tuple[str, Direction, int], tuple[int, Said]] = {}

    def _take(self, line: Line) -> None:
        """Learn the ids in a line: of all lines first, because an event may name one before the answer to CONNECT, which it has overtaken."""
        if isinstance(line, SessionOpened):
            self._names.name(line.sid, "eio")
        elif isinstance(line, SocketIOPacket | Undecoded):
            self._packets.append(line)
            if isinstance(line, SocketIOPacket) and line.type is PacketType.CONNECT and line.direction is Direction.DOWN:
                self._learn_ids(line.data)

    def said(self) -> Iterator[Said]:
        for place, packet in enumerate(self._packets):
            if isinstance(packet, Undecoded):
                yield Said(direction=packet.direction, packet=EngineType.MESSAGE.value, data=self._names.renamed(packet.data))
            else:
                yield self._normal(place, packet)

    def _learn_ids(self, data: object) -> None:
        for kind in _IDS:
            if isinstance(data, dict) and isinstance(data.get(kind), str):
                self._names.name(data[kind], kind)

    def _normal(self, place: int, packet: SocketIOPacket) -> Said:
        packet_type = PLAIN.get(packet.type, packet.type)
        said = Said(direction=packet.direction, packet=packet_type.value, namespace=packet.namespace, data=self._names.renamed(packet.data))
        if packet_type is PacketType.EVENT:
            return self._event(place, packet, said)
        return self._answer(packet, said) if packet_type is PacketType.ACK else said

    def _event(self, place: int, packet: SocketIOPacket, said: Said) -> Said:
        name = said.data[0] if isinstance(said.data, list) and said.data else None
        said = msgspec.structs.replace(said, event=name if name is None or isinstance(name, str) else canonical(name))
        if packet.id is not None:
            side = (packet.namespace, packet.direction)
            number = self._asked[side] = self._asked.get(side, 0) + 1
            said = msgspec.structs.replace(said, id=number)
            self._open[*side, packet.id] = place, said
        return said

    def _answer(self, packet: SocketIOPacket, said: Said) -> Said:
        asker = Direction.UP if packet.direction is Direction.DOWN else Direction.DOWN
        found = self._open.pop((packet.namespace, asker, -1 if packet.id is None else packet.id), None)
        if found is None:
            return msgspec.structs.replace(said, id=0)
        place, question = found
        return msgspec.structs.replace(said, id=question.id, event=question.event, answers=place)


# --- comparing two


class Change(StrEnum):
    """What became of a packet from the first capture to the second."""

    SAME = "same"
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"


class Entry(NamedTuple):
    """One packet of an alignment: its places in both conversations, None where it is not; where it has changed, how."""

    change: Change
    expected: int | None
    got: int | None
    differences: tuple[Difference, ...] = ()


class SessionComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two sessions side by side: their numbers, None for one without a counterpart, their conversations, and the alignment of these."""

    expected_session: int | None
    got_session: int | None
    expected: Sequence[Said]
    got: Sequence[Said]
    entries: Sequence[Entry]

    @property
    def counts(self) -> Mapping[Change, int]:
        """How many packets are the same, changed, missing, added."""
        return {change: sum(entry.change is change for entry in self.entries) for change in Change}

    @property
    def is_same(self) -> bool:
        """Whether both said the same; a session that is in one capture only differs, even if nothing was said in it."""
        both = self.expected_session is not None and self.got_session is not None
        return both and all(entry.change is Change.SAME for entry in self.entries)


def compare_captures(expected: Iterable[Line], got: Iterable[Line], ignore: Iterable[str | Path] = ()) -> list[SessionComparison]:
    """Compare two captures, of the level of packets, session by session in the order in which they were opened.

    What is below a path of `ignore`, in any packet's data, does not count. Raises `PathError` for a path that is none.
    """
    ignored = [parse_path(path) if isinstance(path, str) else path for path in ignore]
    pairs = zip_longest(by_session(expected).items(), by_session(got).items(), fillvalue=(None, ()))
    return [_compare_sessions(one, other, ignored) for one, other in pairs]


def _compare_sessions(
    expected: tuple[int | None, Iterable[Line]], got: tuple[int | None, Iterable[Line]], ignore: Sequence[Path]
) -> SessionComparison:
    one = normalise(expected[1])
    ordered, places = uncrossed(name_offsets(expected[1]), name_offsets(got[1]))
    other = normalise(ordered)
    entries = [entry if entry.got is None else entry._replace(got=places[entry.got]) for entry in compare(one, other, ignore)]
    back = sorted(range(len(other)), key=places.__getitem__)
    return SessionComparison(expected_session=expected[0], got_session=got[0], expected=one, got=[other[place] for place in back], entries=entries)


def compare(expected: Sequence[Said], got: Sequence[Said], ignore: Iterable[str | Path] = ()) -> list[Entry]:
    """Align two conversations, both whole and in order.

    Raises `PathError` for a path that is none.
    """
    return list(_Alignment(expected, got, [parse_path(path) if isinstance(path, str) else path for path in ignore]).entries())


class _Alignment:
    """Finds which packets of two conversations are the same one.

    Where both go on alike from the start, or up to the end, nothing is searched. What lies between is searched for the longest stretches that are
    alike, and what lies between those for packets of one kind.
    """

    def __init__(self, expected: Sequence[Said], got: Sequence[Said], ignore: Sequence[Path]) -> None:
        self._expected = expected
        self._got = got
        self._ignore = ignore
        # A number counts no questions here: one that was put in would else make every later answer differ. Answers are looked at afterwards.
        self._keys = [[(said.kind, canonical(said.data, ignore)) for said in side] for side in (expected, got)]

    def entries(self) -> Iterator[Entry]:
        entries = list(self._aligned())
        partners = {entry.expected: entry.got for entry in entries if entry.expected is not None}
        for entry in entries:
            yield self._checked(entry, partners)

    def _checked(self, entry: Entry, partners: Mapping[int, int | None]) -> Entry:
        """The same, changed if the two answer two different questions."""
        if entry.expected is None or entry.got is None:
            return entry
        one, other = self._expected[entry.expected].answers, self._got[entry.got].answers
        if (one is None and other is None) or (one is not None and other is not None and partners.get(one) == other):
            return entry
        asked = [None if answers is None else answers + 1 for answers in (one, other)]
        return entry._replace(change=Change.CHANGED, differences=(*entry.differences, Difference("answers packet", *asked)))

    def _aligned(self) -> Iterator[Entry]:
        one, other = self._keys
        start = _common(zip(one, other, strict=False))
        end = _common(zip(reversed(one[start:]), reversed(other[start:]), strict=False))
        yield from self._same(range(start), range(start))
        middle = range(start, len(one) - end), range(start, len(other) - end)
        yield from self._middle(*middle)
        yield from self._same(range(middle[0].stop, len(one)), range(middle[1].stop, len(other)))

    def _middle(self, expected: range, got: range) -> Iterator[Entry]:
        one, other = (keys[part.start : part.stop] for keys, part in zip(self._keys, (expected, got), strict=True))
        for tag, a, b, c, d in opcodes(one, other):
            if tag == "equal":
                yield from self._same(expected[a:b], got[c:d])
            else:
                yield from self._changed(expected[a:b], got[c:d])

    def _changed(self, expected: range, got: range) -> Iterator[Entry]:
        one, other = [self._expected[place].kind for place in expected], [self._got[place].kind for place in got]
        for tag, a, b, c, d in opcodes(one, other):
            if tag == "equal":
                for pair in zip(expected[a:b], got[c:d], strict=True):
                    yield self._pair(*pair)
            else:
                yield from (Entry(Change.MISSING, place, None) for place in expected[a:b])
                yield from (Entry(Change.ADDED, None, place) for place in got[c:d])

    def _pair(self, expected: int, got: int) -> Entry:
        found = differences(self._expected[expected].data, self._got[got].data, self._ignore)
        return Entry(Change.CHANGED if found else Change.SAME, expected, got, tuple(found))

    @staticmethod
    def _same(expected: range, got: range) -> Iterator[Entry]:
        return (Entry(Change.SAME, *places) for places in zip(expected, got, strict=True))


def _common(pairs: Iterable[tuple[object, object]]) -> int:
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count
