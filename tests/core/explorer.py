"""Every order of events, as far as a short story reaches.

Random histories find what is likely; the window between ``3probe`` and ``5`` is a few steps wide and wants to be searched completely. `explore`
starts from one world, makes everything happen that could happen next, does so again from every world that results, and so on, breadth first, to a
given depth. Worlds that are alike all the way down are visited once. Every invariant is checked at every step; at every world that is new, a copy
is run down and must be complete.

Because the search is breadth first, the first failure it meets is a shortest one: `Failure.story` is the example to put into a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engineio_lite.state import UpgradeState
from tests.core.snapshot import fingerprint, fork
from tests.core.world import UPGRADE_FAULTS, Action, Broken, World


@dataclass(frozen=True)
class Budget:
    """How often the applications and the network may do something unasked for, on one path: `faults` of the upgrade, `closes` of any kind."""

    client_messages: int = 1
    server_messages: int = 1
    faults: int = 1
    closes: int = 0


@dataclass(frozen=True)
class Failure:
    """An order of events that breaks an invariant."""

    story: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        steps = "\n".join(f"  {number:2}. {step}" for number, step in enumerate(self.story, 1))
        return f"{self.why}, after\n{steps}"


@dataclass(frozen=True)
class Survey:
    """What an exploration has seen."""

    worlds: int
    steps: int
    depth: int
    upgrade_states: frozenset[UpgradeState]
    failure: Failure | None = None


def tell(action: Action, world: World) -> str:
    """Say in words what is about to happen in a world."""
    word, *rest = action
    subject = " ".join(str(item) for item in rest)
    number = rest[0] if rest else None
    if word in ("up", "down") and isinstance(number, int):
        _, kind, data = (world.sockets[number].up if word == "up" else world.sockets[number].down)[0]
        return f"{'the server' if word == 'up' else 'the client'} sees on WebSocket {number}: {repr(data) if kind == 'frame' else kind}"
    if word in ("request", "answer") and isinstance(number, int):
        request = world.requests[number]
        kind = "GET" if request.body is None else f"POST of {request.body!r}"
        if word == "answer":
            return f"the {kind} is answered: {getattr(request.answer, 'body', 'connection lost')!r}"
        return f"the {kind} {'begins to arrive' if request.body is not None and request.stage == 'leaving' else 'has arrived'} at the server"
    told = {
        "server timer": f"the server's {subject} timer fires",
        "timer": "the client's deadline has come",
        "clock": "time passes",
        "send": f"the client's application sends {subject!r}",
        "server sends": f"the server's application sends {subject!r}",
        "close": "the client's application leaves",
        "server closes": "the server's application ends the session",
    }
    return told.get(str(word), f"{word} ({subject})")


def explore(start: World, depth: int, budget: Budget, *, run_down: bool = True) -> Survey:
    """Visit every world that `start` can become in `depth` steps; stop at the first that is broken.

    Without `run_down` only what happens on the way is judged: a failure is found later, and its story is told to the end.
    """
    frontier: list[tuple[World, Budget, tuple[str, ...]]] = [(fork(start), budget, ())]
    seen = {(fingerprint(start), budget)}
    states = {start.connection.upgrade_state}
    steps = 0
    reached = 0
    for level in range(1, depth + 1):
        following: list[tuple[World, Budget, tuple[str, ...]]] = []
        for world, left, story in frontier:
            for action, remaining in _possible(world, left):
                steps += 1
                told = (*story, tell(action, world))
                future = fork(world)
                if (why := _broken(lambda world=future, action=action: world.do(action))) is not None:  # type: ignore[misc]
                    return Survey(len(seen), steps, level, frozenset(states), Failure(told, why))
                key = (fingerprint(future), remaining)
                if key in seen:
                    continue
                seen.add(key)
                states.add(future.connection.upgrade_state)
                if run_down and (why := _broken(fork(future).run_down)) is not None:
                    return Survey(len(seen), steps, level, frozenset(states), Failure(told, f"{why} (once all is calm)"))
                following.append((future, remaining, told))
        if not following:
            break
        frontier, reached = following, level
    return Survey(len(seen), steps, reached, frozenset(states))


def _possible(world: World, budget: Budget) -> Sequence[tuple[Action, Budget]]:
    possible: list[tuple[Action, Budget]] = [(action, budget) for action in world.enabled()]
    sent, said, faults, closes = budget.client_messages, budget.server_messages, budget.faults, budget.closes
    if world.closed is not None:
        return possible
    if sent:
        possible.append((("send", f"c{sent}"), Budget(sent - 1, said, faults, closes)))
    if said:
        possible.append((("server sends", f"s{said}"), Budget(sent, said - 1, faults, closes)))
    if faults:
        spent = Budget(sent, said, faults - 1, closes)
        # One silly frame stands for all: which of them the core finds silly is a matter of scripts.
        possible += [(action, spent) for action in world.faults() if action[0] in UPGRADE_FAULTS and action[2:] in ((), (0,))]
    if closes:
        spent = Budget(sent, said, faults, closes - 1)
        possible += [(("close", "bye"), spent), (("server closes",), spent)]
        possible += [(action, spent) for action in world.faults() if action[0] not in UPGRADE_FAULTS]
    return possible


def _broken(step: Callable[[], None]) -> str | None:
    try:
        step()
    except Broken as error:
        return str(error)
    return None
