"""What came before what, where clocks cannot say: the moves of one session, put into an order in which each could have happened.

A session has channels, and what went over one channel is in order: the answers to GETs, the POSTs, the messages of a WebSocket. Between channels
there are only times. Recorders round them, and write the end of a request as its start plus a duration, so an answer may seem to come before its
question. Causes are certain where times are not:

- ``3probe`` answers ``2probe``, a pong a ping, the answer to a CONNECT that CONNECT, an acknowledgement its event;
- ``5`` ends polling: the client sends it when its last GET and its last POST are done;
- before ``5`` the server sends nothing over the WebSocket but ``3probe``.

Channels are merged by time, but a move whose cause stands a little later waits for it. Only a little: if the cause was not recorded at all, the next
thing that looks like it is another one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from engineio_lite.capture.lines import Direction, Line
from engineio_lite.payload import SEPARATOR
from engineio_lite.socketio.grammar import MAIN_NAMESPACE

SLACK: Final = 0.25
"""Seconds by which an effect may seem to come before its cause: rounded times differ by a few milliseconds, those of a busy browser by some more."""

Fact: TypeAlias = tuple[str, ...]


class Move(msgspec.Struct, frozen=True):
    """One thing that happened in a session: a polling body, a message of a WebSocket, or a line that is made already; at an instant, one way."""

    time: float
    direction: Direction
    body: bytes | None = None
    message: str | bytes | None = None
    line: Line | None = None

    def not_before(self, time: float) -> Move:
        """The same move, no earlier than `time`, and so the line in it."""
        if self.time >= time:
            return self
        line = None if self.line is None else msgspec.structs.replace(self.line, time=time)
        return msgspec.structs.replace(self, time=time, line=line)

    @property
    def texts(self) -> Iterator[str]:
        """Its packets, as far as they are text."""
        if self.body is not None:
            yield from self.body.decode("utf-8", "replace").split(SEPARATOR)
        elif isinstance(self.message, str):
            yield self.message


_SOCKETIO: Final = re.compile(r"4([0-6])(?:[0-9]+-)?(/[^,]*)?,?([0-9]*)")
_EVENTS: Final = ("2", "5")
_ACKS: Final = ("3", "6")
_UPGRADE: Final = "5"


def _gives(direction: Direction, text: str) -> Fact | None:
    """What becomes possible by this packet."""
    if text in ("2probe", "2"):
        return (text, direction)
    found = _SOCKETIO.match(text)
    if found is None:
        return None
    kind, namespace, number = found[1], found[2] or MAIN_NAMESPACE, found[3]
    if kind == "0" and direction is Direction.UP:
        return ("connect", namespace)
    return ("event", direction, namespace, number) if kind in _EVENTS and number else None


def _needs(direction: Direction, text: str) -> Fact | None:
    """What has to be before this packet."""
    other = Direction.DOWN if direction is Direction.UP else Direction.UP
    if text in ("3probe", "3"):
        return ("2" + text[1:], other)
    found = _SOCKETIO.match(text)
    if found is None:
        return None
    kind, namespace, number = found[1], found[2] or MAIN_NAMESPACE, found[3]
    if kind in ("0", "4") and direction is Direction.DOWN:
        return ("connect", namespace)
    return ("event", other, namespace, number) if kind in _ACKS else None


def _facts(moves: Sequence[Move]) -> Iterator[tuple[Fact, float]]:
    for move in moves:
        for text in move.texts:
            if (fact := _gives(move.direction, text)) is not None:
                yield fact, move.time


def in_causal_order(polling: Sequence[Sequence[Move]], sockets: Sequence[Sequence[Move]], *, first: Sequence[Move] = ()) -> list[Move]:
    """Merge the channels of one session, each in its own order, behind what came `first`; times that would go back are moved forward."""
    return _Merge(polling, sockets, first).run()


class _Merge:
    """One merge: the channels, and which causes have happened or are still to come."""

    def __init__(self, polling: Sequence[Sequence[Move]], sockets: Sequence[Sequence[Move]], first: Sequence[Move]) -> None:
        self._moves: list[Move] = []
        self._polling = [deque(channel) for channel in polling]
        self._channels = [*self._polling, *(deque(probe_first(channel)) for channel in sockets)]
        self._bodies = sum(move.body is not None for channel in self._polling for move in channel)
        self._there: Counter[Fact] = Counter()
        self._coming: defaultdict[Fact, deque[float]] = defaultdict(deque)
        for fact, time in sorted(pair for channel in (first, *self._channels) for pair in _facts(channel)):
            self._coming[fact].append(time)
        for move in first:
            self._happen(move)

    def run(self) -> list[Move]:
        while channels := [channel for channel in self._channels if channel]:
            channels.sort(key=lambda channel: channel[0].time)  # stable: at one instant polling comes first
            chosen = next((channel for channel in channels if not self._waits(channel[0])), channels[0])
            move = chosen.popleft()
            self._bodies -= move.body is not None
            self._happen(move)
        return self._moves

    def _waits(self, move: Move) -> bool:
        """Say whether something that has to be before this move is about to come."""
        if move.message == _UPGRADE and move.direction is Direction.UP and self._bodies:
            return True
        needed = Counter(fact for text in move.texts if (fact := _needs(move.direction, text)) is not None)
        return any(self._there[fact] < count and self._is_near(fact, move.time) for fact, count in needed.items())

    def _is_near(self, fact: Fact, time: float) -> bool:
        coming = self._coming[fact]
        return bool(coming) and coming[0] <= time + SLACK

    def _happen(self, move: Move) -> None:
        for text in move.texts:
            needed, given = _needs(move.direction, text), _gives(move.direction, text)
            if needed is not None and self._there[needed]:
                self._there[needed] -= 1
            if given is not None:
                self._there[given] += 1
                self._coming[given].remove(move.time)
        self._moves.append(move.not_before(self._moves[-1].time if self._moves else move.time))


def probe_first(channel: Sequence[Move]) -> list[Move]:
    """The moves of one WebSocket with those of the upgrade in their order before all other messages; a WebSocket that upgraded nothing as it is."""
    wanted = ((Direction.UP, "2probe"), (Direction.DOWN, "3probe"), (Direction.UP, _UPGRADE))
    steps = [next((move for move in channel if (move.direction, move.message) == step), None) for step in wanted]
    if steps[0] is None:
        return list(channel)
    upgrade = [step for step in steps if step is not None]
    rest = [move for move in channel if not any(move is step for step in upgrade)]
    before = next((place for place, move in enumerate(rest) if move.message is not None), len(rest))
    return [*rest[:before], *upgrade, *rest[before:]]
