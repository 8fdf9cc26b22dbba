"""How a replay that went wrong tells its story: where it was, what was expected, what came, what is known besides, and how to accept it.

Everything here is text made for people, of values that the other side chose: it is cut, nothing in it is invisible, and the credentials of a CONNECT
are shown by their keys alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from engineio_lite.capture.jsonpaths import Difference, show_value
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.shapes import SHAPES
from engineio_lite.capture.visible import visible
from engineio_lite.replay.script import Cue, opposite
from engineio_lite.socketio.packet import Packet, PacketType

ROOM: Final = 64
"""Characters of a payload in a story, about: with what stands before them one line of a terminal."""

MAX_TOLD: Final = 6
"""How many of the last packets that went well are told."""

MAX_DIFFERENCES: Final = 8
"""How many differing paths are told; more of them say no more."""

MAX_LOOKED_AT: Final = 16 * 1024
"""Characters of a text in which tokens are looked for before it is cut; none that matters is longer."""

_SHORTEST: Final = 8

AGAIN: Final = "record the session again"
"""What is left to do about a difference that no path names."""

SIDES: Final = {Direction.UP: "client", Direction.DOWN: "server"}
"""Who says what goes in a direction."""


class Place(NamedTuple):
    """Where in a replay: the capture's name, the recorded session, and who says what is awaited there."""

    capture: str
    session: int
    theirs: Direction

    @property
    def ours(self) -> str:
        """Who is played here."""
        return SIDES[opposite(self.theirs)]

    def of(self, cue: Cue | None) -> str:
        """The place of one packet of the other side, or behind the last one."""
        where = f"{self.capture}, session {self.session}"
        side = SIDES[self.theirs]
        return f"{where}, after the last {side} packet" if cue is None else f"{where}, {side} packet {cue.number} (line {cue.line})"


def brief(value: object, room: int = ROOM) -> str:
    """A JSON value in one line of about `room` characters: what does not fit becomes ``…``, and every bracket is closed."""
    match value:
        case dict() if value:
            members = (f"{_text(str(key), room)}:" for key in value)
            return "{" + ",".join(_fitting(zip(members, value.values(), strict=True), room)) + "}"
        case list() | tuple() if value:
            return "[" + ",".join(_fitting((("", item) for item in value), room)) + "]"
        case str():
            return _text(value, room)
        case _:
            return show_value(value, room)


def _fitting(items: Iterable[tuple[str, object]], room: int) -> Iterable[str]:
    for number, (name, item) in enumerate(items):
        if number and room < _SHORTEST:
            yield "…"
            return
        piece = name + brief(item, max(room - len(name), _SHORTEST))
        if number and len(piece) > room:
            yield "…"
            return
        room -= len(piece) + 1
        yield piece


def _text(text: str, room: int) -> str:
    # Masked before it is cut, or a cut could leave half a token that the pattern no longer knows.
    shown = SHAPES.sub("<redacted>", text[:MAX_LOOKED_AT])
    if len(shown) > room:
        shown = f"{shown[: max(room, _SHORTEST)]}…"
    return visible(json.dumps(shown, ensure_ascii=False))


def describe(packet: Packet) -> str:
    """A packet in one line: type, namespace, the event's name or the id that is answered, and the payload."""
    head = f"{packet.type} {visible(packet.namespace)}"
    data = packet.data
    if packet.type is PacketType.CONNECT and isinstance(data, dict):
        return f"{head}  " + "{" + ",".join(f"{_text(str(key), ROOM)}:…" for key in data) + "}"
    if packet.type is PacketType.EVENT and isinstance(data, list):
        asks = "  asks for an answer" if packet.id is not None else ""
        return f"{head}  {brief(data[0])}  {brief(data[1:])}{asks}"
    if packet.type is PacketType.ACK:
        head = f"{head}  id {packet.id}"
    return head if data is msgspec.UNSET else f"{head}  {brief(data)}"


def _told(packet: Packet) -> str:
    """A packet that went well, in two words."""
    if packet.type is PacketType.EVENT and isinstance(packet.data, list):
        name = packet.data[0]
        return f"EVENT {visible(name)[:ROOM] if isinstance(name, str) else name} ✓"
    return f"{packet.type} {visible(packet.namespace)} ✓"


def so_far(place: Place, went_well: Sequence[Packet], waiting: int) -> str:
    """The line that says what had gone well, and what this side still has to say."""
    told = [_told(packet) for packet in went_well[-MAX_TOLD:]]
    if len(went_well) > MAX_TOLD:
        told.insert(0, f"… {len(went_well) - MAX_TOLD} more ✓")
    packets = f"{waiting} packet{'' if waiting == 1 else 's'}"
    owed = f"{place.ours} is waiting to send {packets} after this one" if waiting else f"{place.ours} has nothing more to send"
    return f"  so far: {'  '.join(told) or 'nothing'}   {owed}"


def mismatch(place: Place, cue: Cue | None, got: str, found: Sequence[Difference], rest: Sequence[str]) -> str:
    """The story of a packet that is not what the capture says; `rest` are more lines at its end."""
    expected = "nothing more" if cue is None or cue.packet is None else describe(cue.packet)
    lines = [place.of(cue), f"  expected  {expected}", f"  got       {got}"]
    lines += [f"  {difference}" for difference in found[:MAX_DIFFERENCES]]
    if len(found) > MAX_DIFFERENCES:
        lines.append(f"  … and {len(found) - MAX_DIFFERENCES} more differences")
    return "\n".join([*lines, *rest])


def accepting(found: Sequence[Difference], how: str, otherwise: str = "") -> list[str]:
    """The line that says how to accept it: `how` by words of the caller's, or the paths that would have to be ignored; `otherwise`, or no line."""
    paths = [difference.path for difference in found]
    ways = [how] if how else []
    if paths and len(paths) <= MAX_DIFFERENCES and all(path.startswith("$") for path in paths):
        ways.append(f"ignore_paths=[{', '.join(json.dumps(path, ensure_ascii=False) if chr(34) not in path else repr(path) for path in paths)}]")
    ways = ways or ([otherwise] if otherwise else [])
    return [f"  to accept: {'   or   '.join(ways)}"] if ways else []


def stalled(place: Place, cue: Cue, seconds: float, rest: Sequence[str]) -> str:
    """The story of a side that says nothing while something of it is expected."""
    expected = describe(cue.packet) if cue.packet is not None else "the end of the session"
    side = SIDES[place.theirs]
    return "\n".join([place.of(cue), f"  expected  {expected}", f"  got       nothing for {seconds:.3g} s, and the {side} is owed nothing", *rest])


def unfinished(place: Place, missing: Sequence[Cue], rest: Sequence[str]) -> str:
    """The story of a side that left, or never came, with something of it in the capture."""
    first = missing[0]
    expected = describe(first.packet) if first.packet is not None else "the end of the session"
    more = f"  and {len(missing) - 1} more" if len(missing) > 1 else ""
    return "\n".join([place.of(first), f"  expected  {expected}{more}", f"  got       no more of this {SIDES[place.theirs]}", *rest])
