"""The model can fail: mistakes that people make in such servers, seeded one at a time, as `tests.core.test_mutants` does it with the client.

Each mutant is the source of `engineio_lite/replay/engine.py` with one thing changed. The text that is replaced must be there exactly once, so a
mutant cannot silently become the original when the machine is rewritten; then this file is to be brought up to date.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engineio_lite.replay.engine import ServerSession
from tests.core.explorer import Budget, explore
from tests.core.world import Broken
from tests.replay.test_model import before_the_upgrade, the_probe_is_answered, the_socket_is_open
from tests.replay.world import ReplayWorld, make_replay_world

FAIR = Budget(client_messages=1, server_messages=1, faults=0)
FAULTY = Budget(client_messages=1, server_messages=1, faults=1)
CLOSING = Budget(client_messages=1, server_messages=1, faults=0, closes=1)


@dataclass(frozen=True)
class Mutant:
    """One mistake: what is replaced, and where to look for it."""

    name: str
    old: str
    new: str
    start: Callable[..., ReplayWorld] = the_probe_is_answered
    budget: Budget = FAIR
    depth: int = 7

    def __str__(self) -> str:
        return self.name


def a_burst_waits(**options: Any) -> ReplayWorld:
    """Forty messages wait for the client's next GET, over polling alone."""
    world = make_replay_world(transports=("polling",), **options)
    for number in range(40):
        world.server_sends(f"s{number}")
    return world


def two_are_in_a_post(**options: Any) -> ReplayWorld:
    """One POST with two messages is on its way."""
    world = make_replay_world(**options)
    assert world.send(("first", "second"))
    return world


def last_words_wait(**options: Any) -> ReplayWorld:
    """The server has said something that nobody has fetched, and has left."""
    world = make_replay_world(transports=("polling",), **options)
    world.server_sends("last words")
    world.server_closes()
    return world


TAKE_OVER = """\
        self._socket = socket
        self._flush()
"""
GONE = """\
            self._forget_candidate()
        elif socket == self._socket:
"""
FRAMES = """\
        if self._socket is not None:
            for packet in self._queue.take_all():
                self._out.append(SendFrame(self._socket, encode_packet(packet)))
"""
DROP = """\
            self._queue.drop(len(packets))
"""

MUTANTS = [
    Mutant("forget what waits at the switch", TAKE_OVER, TAKE_OVER.replace("flush()", "queue.take_all()")),
    Mutant("switch, and send nothing until somebody speaks", TAKE_OVER, TAKE_OVER.replace("self._flush()", "pass")),
    Mutant(
        "write to the candidate before the switch",
        FRAMES,
        FRAMES.replace("if self._socket is", "if (socket := self._candidate or self._socket) is").replace(
            "SendFrame(self._socket", "SendFrame(socket"
        ),
    ),
    Mutant("write the queue backwards", FRAMES, FRAMES.replace("self._queue.take_all()", "reversed(self._queue.take_all())"), budget=Budget(0, 2, 0)),
    Mutant("end no GET for the upgrade", "        self._answer_get(_NOOP)\n        self._arm(_Timer.NUDGE, NUDGE)\n", "        pass\n"),
    Mutant("end one GET for the upgrade and no other", "        self._arm(_Timer.NUDGE, NUDGE)\n", "", start=the_socket_is_open),
    Mutant("end a session with its candidate", GONE, GONE.replace("self._forget_candidate()", "self._end(reason, detail)"), budget=FAULTY, depth=3),
    Mutant("remember a candidate that is gone", GONE, GONE.replace("self._forget_candidate()", "pass"), budget=FAULTY, depth=3),
    Mutant("take the messages of a GET twice", DROP, "", start=before_the_upgrade),
    Mutant("drop what does not fit into an answer", DROP, DROP.replace("drop(len(packets))", "take_all()"), start=a_burst_waits, depth=3),
    Mutant(
        "deliver messages backwards",
        "        for packet in packets:\n            self._receive(packet)\n",
        "        for packet in reversed(packets):\n            self._receive(packet)\n",
        start=two_are_in_a_post,
        depth=3,
    ),
    Mutant("answer no POST", '        self._out.append(Answer(arrived.request, 200, b"ok", HTML_TYPE))\n', "", start=before_the_upgrade),
    Mutant(
        "leave a GET without an answer",
        "        self._answer_get(_CLOSE)\n        self._drop_candidate()\n",
        "        self._drop_candidate()\n",
        start=before_the_upgrade,
        budget=CLOSING,
        depth=4,
    ),
    Mutant(
        "forget the last words", "        self._arm(_Timer.CLOSE, CLOSE_LIMIT)\n", "        self._queue.take_all()\n", start=last_words_wait, depth=2
    ),
]


def load(old: str, new: str) -> type[ServerSession]:
    """Make the class anew from its source, with this change."""
    spec = find_spec("engineio_lite.replay.engine")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"this text is {text.count(old)} times in engine.py, a mutant wants to replace it:\n{old}"
    module = types.ModuleType("a mutant of engineio_lite.replay.engine")
    exec(compile(text.replace(old, new), "engine.py, mutated", "exec"), module.__dict__)
    loaded: type[ServerSession] = module.ServerSession
    return loaded


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_model_finds_every_mutant(mutant: Mutant) -> None:
    try:
        survey = explore(mutant.start(session_class=load(mutant.old, mutant.new)), mutant.depth, mutant.budget)
    except Broken:
        return  # before the search has begun
    assert survey.failure is not None, f"nobody notices: {mutant}"


def test_the_original_survives_the_same_searches() -> None:
    same = "        self._socket = socket\n        self._flush()\n"
    for start, budget, depth in {(mutant.start, mutant.budget, mutant.depth) for mutant in MUTANTS}:
        assert explore(start(session_class=load(same, same)), depth, budget).failure is None
