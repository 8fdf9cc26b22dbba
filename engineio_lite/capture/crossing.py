"""Packets of the two directions that crossed on their way, of which nobody can say which was first.

What the client said is in order, and so is what the server said. Between the two there is an order only where one is the cause of the other. Where
both speak at once, a recorder in the browser, a proxy and a recorder of packets each see the two streams mixed in another way, and all are right. So
before two recordings are compared, the packets of one are put into the order of the other, as far as they may have crossed: two packets, one up and
one down, no further apart than `CROSSING` in both recordings. What one side said keeps its order always, and without times nothing is moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from engineio_lite.capture.jsonpaths import canonical
from engineio_lite.capture.lines import Direction, Line, SocketIOPacket, Undecoded
from engineio_lite.capture.sequences import opcodes
from engineio_lite.socketio.grammar import PLAIN, PacketType

CROSSING: Final = 1.0
"""Seconds between two packets that may have crossed: a proxy that is short of processor time holds messages for more than half a second."""

Packet: TypeAlias = SocketIOPacket | Undecoded

_NAMED: Final = re.compile(r"@(?:eio|sid|pid|offset)[0-9]+|<redacted:[0-9]+>")


def uncrossed(expected: Sequence[Line], got: Sequence[Line]) -> tuple[list[Line], list[int]]:
    """Put the lines of one session into the order of another recording of it, as far as its packets may have crossed.

    Returns the lines, those that are no packets first, and for each packet the place that it had among the packets of `got`.
    """
    one = [line for line in expected if isinstance(line, Packet)]
    other = [line for line in got if isinstance(line, Packet)]
    order = list(_Merge(one, other).order())
    return [*(line for line in got if not isinstance(line, Packet)), *(other[place] for place in order)], order


class _Merge:
    """Merges the two directions of `other` anew: in its own order, but for what may have crossed, which goes in the order of `one`."""

    def __init__(self, one: Sequence[Packet], other: Sequence[Packet]) -> None:
        self._one = one
        self._other = other
        self._counterparts: dict[int, int] = {}
        for direction in Direction:
            self._counterparts |= _with_others(dict(_pairs(one, other, direction)), _places(other, direction))

    def order(self) -> Iterator[int]:
        """The places of the packets in their new order."""
        up, down = (_places(self._other, direction) for direction in (Direction.UP, Direction.DOWN))
        i = j = 0
        while i < len(up) and j < len(down):
            if self._goes_first(up[i], down[j]):
                yield up[i]
                i += 1
            else:
                yield down[j]
                j += 1
        yield from up[i:]
        yield from down[j:]

    def _goes_first(self, one: int, other: int) -> bool:
        """Say whether the first of two packets, both next in their direction, comes before the second."""
        if self._may_have_crossed(one, other):
            return self._counterparts[one] < self._counterparts[other]
        return one < other

    def _may_have_crossed(self, *places: int) -> bool:
        counterparts = [self._counterparts.get(place) for place in places]
        there = [self._one[place] for place in counterparts if place is not None]
        return len(there) == len(places) and _are_close(there) and _are_close([self._other[place] for place in places])


def _places(packets: Sequence[Packet], direction: Direction) -> list[int]:
    return [place for place, packet in enumerate(packets) if packet.direction is direction]


def _pairs(one: Sequence[Packet], other: Sequence[Packet], direction: Direction) -> Iterator[tuple[int, int]]:
    """What is alike in one direction, and between that what is of one kind: places in `other`, each with that of its counterpart in `one`."""
    here, there = _places(other, direction), _places(one, direction)
    for tag, a, b, c, d in opcodes([_key(other[place]) for place in here], [_key(one[place]) for place in there]):
        if tag == "equal":
            yield from zip(here[a:b], there[c:d], strict=True)
        else:
            yield from _pairs_of_kinds(one, other, here[a:b], there[c:d])


def _pairs_of_kinds(one: Sequence[Packet], other: Sequence[Packet], here: Sequence[int], there: Sequence[int]) -> Iterator[tuple[int, int]]:
    for tag, a, b, c, d in opcodes([_kind(other[place]) for place in here], [_kind(one[place]) for place in there]):
        if tag == "equal":
            yield from zip(here[a:b], there[c:d], strict=True)


def _with_others(pairs: dict[int, int], places: Sequence[int]) -> dict[int, int]:
    """The pairs, and for each packet without a counterpart that of the next packet which has one, or of the last: it goes where they go."""
    found: dict[int, int] = {}
    near = pairs[max(pairs)] if pairs else None
    for place in reversed(places):
        near = pairs.get(place, near)
        if near is not None:
            found[place] = near
    return found


def _kind(packet: Packet) -> tuple[object, ...]:
    """What makes two packets candidates for being the same one, with other data."""
    if isinstance(packet, Undecoded):
        return ()
    event = canonical(packet.data[0]) if isinstance(packet.data, list) and packet.data else ""
    packet_type = PLAIN.get(packet.type, packet.type)
    return packet_type, packet.namespace, packet.id is None, event if packet_type is PacketType.EVENT else ""


def _key(packet: Packet) -> tuple[object, ...]:
    """What a packet has in both recordings, whatever its placeholders are numbered."""
    return *_kind(packet), _NAMED.sub("@", canonical(packet.data))


def _are_close(packets: Sequence[Packet]) -> bool:
    times = [packet.time for packet in packets if packet.time is not None]
    return len(times) == len(packets) and max(times) - min(times) <= CROSSING
