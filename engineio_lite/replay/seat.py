"""One recorded session and one live one: what may be said now, what has to be said now, and when.

A `Seat` is the machine of one session of a replay, behind the same kind of door as the others: what the other side says and the time go in, what is
to be said comes out. It knows packets and no messages (`conversation.py` does), and nothing of transports.

The other side must say what is awaited, in an order as strict as `Strictness` says. Each packet of it that comes sets free what is owed because of
it; what is free goes in the order of the tape, at once or, with a `scale`, as long after its cause as it did when it was recorded, times `scale`.
Ids of acknowledgements that the other side chose are bound to the recorded ones, its texts to the placeholders that stand for them, and both are
put into what is sent. Ids that a server gives (``@sid1``, ``@pid1``) are made when they are first needed.

Two things end it for the worse. A packet that is not awaited ends it at once, and whoever plays closes the connection: nothing that the tape says
after it means anything. And if nothing comes for `idle_limit` seconds while something is awaited and nothing is owed, it ends too: the other side
waits for what will never come. A client's leaving is no packet of its own: the DISCONNECTs with which it ends need not come, since being gone says
the same, and one that is not awaited is as good as being gone, once its namespace has nothing more to say.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from engineio_lite.capture.jsonpaths import Difference
from engineio_lite.capture.lines import Direction
from engineio_lite.exceptions import CassetteMismatch, EngineIOError, ReplayError, ReplayStalled, ReplayUnfinished
from engineio_lite.limits import DEFAULT_TIMEOUTS
from engineio_lite.replay.matcher import Comparison, Matcher, Strictness
from engineio_lite.replay.placeholders import fill, names_in
from engineio_lite.replay.script import Cue, Script, opposite
from engineio_lite.replay.wording import AGAIN, Place, accepting, describe, mismatch, so_far, stalled, unfinished
from engineio_lite.socketio.packet import Packet, PacketType

IDLE_LIMIT: Final = 5.0
"""Seconds without a packet after which a side that is owed nothing is taken to wait for ever: many times what a client on the same machine thinks,
and a fraction of a test's usual time limit."""


_CONNECTS: Final = (PacketType.CONNECT, PacketType.CONNECT_ERROR)


class Disconnect(msgspec.Struct, frozen=True):
    """End the connection now: as the tape says, or because of `error`."""

    error: EngineIOError | None = None


Output: TypeAlias = Packet | Disconnect
"""What is to be done: send a packet, or end the connection, which is always the last."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How to play: see `Player` for the meaning of each."""

    ours: Direction = Direction.DOWN
    strict: Strictness = Strictness.ORDERED
    scale: float = 0.0
    idle_limit: float = IDLE_LIMIT
    linger: float = 0.0
    capture: str = "capture"
    to_accept: str = ""


class Seat:
    """One session of a replay. `known` is what placeholders stand for, shared by the sessions that play together; `make_id` makes a server's ids.

    Every method returns what is to be done, in order. After a `Disconnect` nothing comes out any more, whatever goes in.
    """

    def __init__(self, script: Script, rules: Rules, matcher: Matcher, known: dict[str, str], make_id: Callable[[], str]) -> None:
        self.script = script
        self._rules = rules
        self._matcher = matcher
        self._known = known
        self._make_id = make_id
        self._theirs = opposite(rules.ours)
        self.place = Place(rules.capture, script.session, self._theirs)
        self.failure: EngineIOError | None = None
        """Why it ended for the worse."""
        self.is_over = False
        self.matched: list[int] = []
        """Indexes of what has come of what is awaited, in the order in which it came."""
        self._came: list[float | None] = [None] * len(script.awaited)
        self._ids: dict[int, int] = {}
        """Index of an awaited event -> the id that the other side gave it."""
        self._end = self._without_goodbyes()
        """Behind this index only goodbyes are awaited."""
        self._first = 0
        """Before this index everything that is awaited has come."""
        self._ready: list[int] = []
        """Indexes of what is owed and free, a heap."""
        self._needs: dict[int, list[int]] = {}
        """Index of what is awaited -> indexes of what is owed and waits for it."""
        self._missing = [self._needs_of(index, cue) for index, cue in enumerate(script.owed)]
        self._unsent = len(script.owed)
        self._sent: set[int] = set()
        self._left_at: dict[str, float] = {}
        """When this side left a namespace."""
        self._began = 0.0
        self._heard = math.inf
        self._due = math.inf

    def _needs_of(self, index: int, cue: Cue) -> int:
        """Note what a packet waits for; return how much that is."""
        needs = {need for need in (cue.cause, cue.answered) if need is not None}
        for need in needs:
            self._needs.setdefault(need, []).append(index)
        if not needs:
            self._ready.append(index)
        return len(needs)

    def _without_goodbyes(self) -> int:
        end = len(self.script.awaited)
        while self._theirs is Direction.UP and end and self._recorded(end - 1).type is PacketType.DISCONNECT:
            end -= 1
        return end

    # ------------------------------------------------------------------------------------------------------------------------------ the door

    def start(self, now: float) -> list[Output]:
        """The live session is open."""
        self._began = self._heard = now
        return self._release(now)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        """The other side has said something."""
        if self.is_over:
            return []
        self._heard = now
        nearest: tuple[int, Comparison] | None = None
        for index in self._candidates():
            comparison = self._matcher.compare(self._recorded(index), packet, self._known)
            if not comparison.differences:
                self._accept(index, packet, comparison, now)
                return self._release(now)
            if nearest is None or _distance(comparison) < _distance(nearest[1]):
                nearest = index, comparison
        if packet.type is PacketType.DISCONNECT and self._theirs is Direction.UP:
            return []
        return self._mismatch(packet, nearest)

    def refuse(self, got: str, now: float) -> list[Output]:
        """What the other side has said is no packet; `got` tells what it is."""
        if self.is_over:
            return []
        self._heard = now
        cue = self._next_awaited()
        text = mismatch(self.place, cue, got, [], self._rest([]))
        return self._fail(self._mismatched(text, cue, []))

    def wake(self, now: float) -> list[Output]:
        """The clock has reached the deadline."""
        if self.is_over:
            return []
        outputs = self._release(now)
        cue = self._next_awaited()
        if outputs or cue is None or now < self.deadline:
            return outputs
        text = stalled(self.place, cue, self._rules.idle_limit, self._rest([]))
        return self._fail(ReplayStalled(text, capture=self._rules.capture, session=self.script.session, number=cue.number, line=cue.line))

    def left(self, now: float) -> None:
        """The other side is gone."""
        self._heard = now
        self.is_over = True

    def fail(self, error: EngineIOError) -> EngineIOError:
        """This side cannot go on, for this reason, which is returned."""
        self.failure = self.failure or error
        self.is_over = True
        return error

    @property
    def deadline(self) -> float:
        """The instant at which `wake` must be called; infinity if there is none."""
        if self.is_over:
            return math.inf
        if self._due < math.inf or self._next_awaited() is None:
            return self._due
        return self._heard + self._rules.idle_limit

    # ------------------------------------------------------------------------------------------------------------------------ what is left

    @property
    def unsent(self) -> list[Cue]:
        """What is still owed."""
        return [cue for index, cue in enumerate(self.script.owed) if index not in self._sent and cue.packet is not None]

    @property
    def missing(self) -> list[Cue]:
        """What is still awaited, goodbyes aside."""
        return [cue for cue, came in zip(self.script.awaited[: self._end], self._came, strict=False) if came is None]

    @property
    def is_complete(self) -> bool:
        """Whether everything was said by both sides."""
        return self._unsent == 0 and self._next_awaited() is None

    def unfinished(self) -> ReplayError | None:
        """The failure of a session that is over and had more of the other side in it; None if it had not, or failed already."""
        missing = self.missing
        if not missing or self.failure is not None:
            return None
        text = unfinished(self.place, missing, self._rest([]))
        return ReplayUnfinished(text, capture=self._rules.capture, session=self.script.session, missing=len(missing))

    def _next_awaited(self) -> Cue | None:
        self._advance()
        return self.script.awaited[self._first] if self._first < self._end else None

    def _advance(self) -> None:
        while self._first < len(self._came) and self._came[self._first] is not None:
            self._first += 1

    # ------------------------------------------------------------------------------------------------------------------- what may come now

    def _candidates(self) -> Iterator[int]:
        """Indexes of what may be said now, in the order of the tape."""
        strict, is_server = self._rules.strict, self._theirs is Direction.DOWN
        passed: set[str] = set()
        """Namespaces in which something that must come before has not come; with one order for all of them, "" stands for all."""
        asked: set[str] = set()
        """Namespaces of which the CONNECT has not come."""
        self._advance()
        for index in range(self._first, len(self._came)):
            if self._came[index] is not None:
                continue
            packet = self._recorded(index)
            key = packet.namespace if strict is Strictness.PER_NAMESPACE else ""
            if self.script.awaited[index].is_free or strict is Strictness.UNORDERED:
                yield index
            elif packet.type in _CONNECTS:
                # A server may answer a CONNECT before or after it sends events there.
                if key not in passed or (is_server and packet.namespace not in asked):
                    yield index
                asked.add(packet.namespace)
            elif key not in passed:
                passed.add(key)
                if is_server or packet.namespace not in asked:
                    yield index

    def _recorded(self, index: int) -> Packet:
        packet = self.script.awaited[index].packet
        assert packet is not None, "only what is owed can be an end"
        return packet

    def _accept(self, index: int, packet: Packet, comparison: Comparison, now: float) -> None:
        self._came[index] = now
        self.matched.append(index)
        self._known |= comparison.bound
        if packet.type is PacketType.EVENT and packet.id is not None:
            self._ids[index] = packet.id
        for waiting in self._needs.get(index, ()):
            self._missing[waiting] -= 1
            if not self._missing[waiting]:
                heapq.heappush(self._ready, waiting)

    # ----------------------------------------------------------------------------------------------------------------- what must be said now

    def _release(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        self._due = math.inf
        while self._ready:
            cue = self.script.owed[self._ready[0]]
            due = max(self._due_at(cue), self._pause(cue))
            if due > now:
                self._due = due  # and nothing overtakes it
                break
            index = heapq.heappop(self._ready)
            self._sent.add(index)
            self._unsent -= 1
            self._heard = now  # the other side has something to think about
            if cue.packet is not None and cue.packet.type is PacketType.DISCONNECT:
                self._left_at[cue.packet.namespace] = now
            if cue.packet is None:
                self.is_over = True
                outputs.append(Disconnect())
                break
            outputs.append(self._filled(cue, cue.packet))
        return outputs

    def _due_at(self, cue: Cue) -> float:
        scale = self._rules.scale
        if not scale or cue.time is None:
            return -math.inf
        came, recorded = self._began, self.script.opened.time if self.script.opened is not None else None
        if cue.cause is not None:
            came, recorded = self._came[cue.cause] or 0.0, self.script.awaited[cue.cause].time
        return came + scale * max(cue.time - recorded, 0.0) if recorded is not None else -math.inf

    def _pause(self, cue: Cue) -> float:
        """The earliest instant for a packet that is due, where a client may not hurry: to leave, and to come back."""
        if self._rules.ours is Direction.DOWN:
            return -math.inf
        if cue.packet is None or cue.packet.type is PacketType.DISCONNECT:
            return self._heard + self._listening(cue) if self._next_awaited() is None else -math.inf
        if cue.packet.type is PacketType.CONNECT and cue.packet.namespace in self._left_at:
            return self._left_at[cue.packet.namespace] + DEFAULT_TIMEOUTS.rejoin
        return -math.inf

    def _listening(self, cue: Cue) -> float:
        """How long to listen before leaving: no longer than the tape was silent there, since it knows nothing of what would have come later."""
        if not self.script.awaited or self.script.awaited[-1].time is None or cue.time is None:
            return 0.0
        return min(self._rules.linger, max(cue.time - self.script.awaited[-1].time, 0.0))

    def _filled(self, cue: Cue, packet: Packet) -> Packet:
        """A recorded packet as it is to be said now."""
        ack_id = packet.id
        if packet.type is PacketType.ACK and cue.answered is not None:
            ack_id = self._ids.get(cue.answered, ack_id)
        if packet.type is PacketType.CONNECT and self._rules.ours is Direction.DOWN:
            self._name_ids(packet.data)
        data = packet.data if packet.data is msgspec.UNSET else fill(packet.data, self._known)
        return Packet(packet.type, data, str(fill(packet.namespace, self._known)), ack_id)

    def _name_ids(self, data: object) -> None:
        for key in ("sid", "pid"):
            value = data.get(key) if isinstance(data, dict) else None
            for name in names_in(value) if isinstance(value, str) else ():
                if name not in self._known:
                    self._known[name] = self._make_id()

    # ---------------------------------------------------------------------------------------------------------------------------- failures

    def _mismatch(self, packet: Packet, nearest: tuple[int, Comparison] | None) -> list[Output]:
        cue = self.script.awaited[nearest[0]] if nearest is not None else self._next_awaited()
        found = nearest[1].differences if nearest is not None else []
        text = mismatch(self.place, cue, describe(packet), found, self._rest(found, AGAIN))
        return self._fail(self._mismatched(text, cue, found))

    def _mismatched(self, text: str, cue: Cue | None, found: Iterable[Difference]) -> CassetteMismatch:
        number, line = (cue.number, cue.line) if cue is not None else (None, None)
        paths = [difference.path for difference in found]
        return CassetteMismatch(text, capture=self._rules.capture, session=self.script.session, number=number, line=line, differences=paths)

    def _rest(self, found: list[Difference], otherwise: str = "") -> list[str]:
        waiting = sum(cue.packet is not None for cue in self.script.owed) - sum(self.script.owed[index].packet is not None for index in self._sent)
        told = so_far(self.place, [self._recorded(index) for index in self.matched], waiting)
        return [told, *accepting(found, self._rules.to_accept, otherwise)]

    def _fail(self, error: EngineIOError) -> list[Output]:
        return [Disconnect(self.fail(error))]


def _distance(comparison: Comparison) -> tuple[bool, int]:
    """How far two packets are from each other: another kind of packet is farther than any difference in the payload."""
    found = comparison.differences
    return any(not difference.path.startswith("$") for difference in found), len(found)
