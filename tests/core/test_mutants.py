"""The model can fail: bugs that people write into such clients, seeded one at a time.

Each mutant is the source of `engineio_lite/connection.py` with one thing changed, loaded beside the real one. The text that is replaced must be
there exactly once, so a mutant cannot silently become the original when the core is rewritten; then this file is to be brought up to date. The
explorer must find a short story in which the mutant goes wrong; the original, loaded in the same way, must survive the same search.

Most mutants are also let loose in a world that does not know the rules of the upgrade (`strict=False`) and must be caught by what they do to the
messages.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from engineio_lite.connection import EngineIOConnection
from engineio_lite.limits import Limits
from tests.core.explorer import Budget, Failure, Survey, explore
from tests.core.test_model import SETTINGS, NodeInterleavings, PythonInterleavings, before_the_upgrade, the_probe_is_answered, the_socket_is_open
from tests.core.world import Broken, World

FAIR = Budget(client_messages=1, server_messages=1, faults=0)
FAULTY = Budget(client_messages=1, server_messages=1, faults=1)


@dataclass(frozen=True)
class Mutant:
    """One bug: what is replaced, and where to look for it."""

    name: str
    changes: tuple[tuple[str, str], ...]
    start: Callable[..., World] = the_probe_is_answered
    budget: Budget = FAIR
    depth: int = 6
    shows_without_rules: bool = True

    def __str__(self) -> str:
        return self.name


def a_burst_waits(kind: str, **options: object) -> World:
    """Twenty short messages are sent at once."""
    options["limits"] = Limits()
    world = before_the_upgrade(kind, max_payload=1000, transports=("polling",), **options)
    world.send(("first",))
    world.send(tuple(f"c{number}" for number in range(20)))
    return world


MUTANTS = [
    Mutant(
        "skip the drain before 5",
        (("            if self._get is None and self._post is None:\n                self._finish_upgrade()", "            self._finish_upgrade()"),),
    ),
    Mutant(
        "wait for the POST but not for the GET before 5",
        (("            if self._get is None and self._post is None:\n", "            if self._post is None:\n"),),
    ),
    Mutant(
        "wait for the GET but not for the POST before 5",
        (("            if self._get is None and self._post is None:\n", "            if self._get is None:\n"),),
    ),
    Mutant(
        "poll and post on during the pause",
        (("                self._finish_upgrade()\n            return\n", "                self._finish_upgrade()\n                return\n"),),
        shows_without_rules=False,
    ),
    Mutant(
        "poll again after an answer of noops alone",
        (("            self._poll_held = True\n", "            pass\n"),),
        start=the_socket_is_open,
        shows_without_rules=False,
    ),
    Mutant(
        "put seventeen packets into a POST",
        (("self._outbox.peek(self._limits.max_packets_per_post)", "self._outbox.peek(17)"),),
        start=a_burst_waits,
        budget=Budget(0, 0, 0),
    ),
    Mutant(
        "deliver nothing of the last poll before 5",
        (
            (
                "        packets, error = _decode_body(response.body)\n        self._receive_packets(packets, error)\n",
                "        packets, error = _decode_body(response.body)\n"
                "        if self.upgrade_state is not UpgradeState.PAUSING:\n            self._receive_packets(packets, error)\n",
            ),
        ),
    ),
    Mutant(
        "do not resume polling after a pause that failed",
        (("        self._poll_held = False\n        self._quick_polls = 0\n", "        self._quick_polls = 0\n"),),
        budget=FAULTY,
    ),
    Mutant(
        "drop the queue when the upgrade fails",
        (
            (
                "        self._step_upgrade(input)\n        self._give_up_socket(socket_open)\n",
                "        self._step_upgrade(input)\n        self._give_up_socket(socket_open)\n        self._outbox.take_all()\n",
            ),
        ),
        budget=FAULTY,
    ),
    Mutant(
        "send what waited in the wrong order after 5",
        (("        for packet in self._outbox.take_all():\n", "        for packet in reversed(self._outbox.take_all()):\n"),),
        budget=Budget(client_messages=2, server_messages=0, faults=0),
    ),
    Mutant(
        "never repair a stuck server",
        (("and not self._repaired:", "and self._repaired:"),),
        start=the_socket_is_open,
        budget=FAULTY,
    ),
    Mutant(
        "forget the messages of a POST as soon as it is sent",
        (("        self._posted_messages = sum(packet.type is PacketType.MESSAGE for packet in posted)\n", ""),),
        start=the_socket_is_open,
        budget=Budget(client_messages=1, server_messages=0, faults=0, closes=1),
    ),
]


def source() -> str:
    spec = find_spec("engineio_lite.connection")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def load(changes: tuple[tuple[str, str], ...]) -> type[EngineIOConnection]:
    """Make the class anew from its source, with these changes."""
    text = source()
    for old, new in changes:
        assert text.count(old) == 1, f"this text is {text.count(old)} times in connection.py, a mutant wants to replace it:\n{old}"
        text = text.replace(old, new)
    module = types.ModuleType("a mutant of engineio_lite.connection")
    exec(compile(text, "connection.py, mutated", "exec"), module.__dict__)
    loaded: type[EngineIOConnection] = module.EngineIOConnection
    assert loaded is not EngineIOConnection
    return loaded


def search(mutant: Mutant, connection_class: type[EngineIOConnection], *, strict: bool) -> dict[str, Survey]:
    """Look for a failure with each server."""
    return {
        kind: explore(mutant.start(kind, connection_class=connection_class, strict=strict), mutant.depth, mutant.budget)
        for kind in ("node", "python")
    }


def shortest(surveys: dict[str, Survey]) -> Failure | None:
    failures = [survey.failure for survey in surveys.values() if survey.failure is not None]
    return min(failures, key=lambda failure: len(failure.story), default=None)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_model_finds_every_mutant(mutant: Mutant) -> None:
    failure = shortest(search(mutant, load(mutant.changes), strict=True))
    assert failure is not None, f"nobody notices: {mutant}"


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.shows_without_rules], ids=str)
def test_a_mutant_is_known_by_what_it_does_to_the_messages(mutant: Mutant) -> None:
    failure = shortest(search(mutant, load(mutant.changes), strict=False))
    assert failure is not None, f"nobody suffers: {mutant}"


def test_the_original_survives_the_same_searches() -> None:
    original = load(())
    places = {(mutant.start, mutant.budget, mutant.depth): mutant for mutant in MUTANTS}
    for mutant in places.values():
        assert shortest(search(mutant, original, strict=True)) is None


def test_the_shortest_story_of_the_skipped_drain_is_a_reordered_message() -> None:
    """A Python server: the POST is still arriving when ``5`` and the next message overtake it on the WebSocket."""
    start = the_probe_is_answered("python", connection_class=load(MUTANTS[0].changes), strict=False)
    failure = explore(start, 6, FAIR, run_down=False).failure
    assert failure is not None
    assert failure.why == "the server received 'c1' where 'early' was due"
    assert failure.story == (
        "the client sees on WebSocket 1: '3probe'",
        "the server sees on WebSocket 1: '5'",
        "the client's application sends 'c1'",
        "the server sees on WebSocket 1: '4c1'",
    )


@pytest.mark.parametrize("machine", [NodeInterleavings, PythonInterleavings])
def test_random_histories_find_the_skipped_drain_too(machine: type[NodeInterleavings]) -> None:
    changed = load(MUTANTS[0].changes)
    mutated = type(machine.__name__, (machine,), {"connection_class": changed})
    with pytest.raises(Broken):
        run_state_machine_as_test(mutated, settings=settings(SETTINGS, phases=[Phase.generate]))


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(AssertionError, match="0 times"):
        load((("no such text", ""),))
