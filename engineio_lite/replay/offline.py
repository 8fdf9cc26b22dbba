"""The same run again, without any network: the inputs of a wire capture go into fresh machines, and what comes out is compared.

A machine is a function of its inputs and their instants, so outputs that differ mean that the machine has changed, or the capture has. This is how a
new version of the library is held to what an old one did, and how a bug that somebody met once is met again.

Redaction is the one thing that stands between the two. What was recorded and what is computed have the same placeholders, nearly always; where a
secret came by before anybody could know it for one, the placeholder stands for whatever is in its place on the other side. And a message that has
another length now may be divided into POSTs at another place, or be too large: then nothing can be said about what follows, and the report says that
(`Verdict.UNCERTAIN`) in place of a difference that is none.

Pure: the machine is told the recorded instants, so an hour takes as long as its packets do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from engineio_lite.capture.lines import Door, Head, Level, Line, Passage
from engineio_lite.capture.passages import encode_input, encode_output
from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection, Output
from engineio_lite.exceptions import CaptureError, LocalProtocolError, elide
from engineio_lite.inputs import Close, Input, SendMessages
from engineio_lite.payload import SEPARATOR

_PLACEHOLDER: Final = re.compile(r"@(?:eio|sid|pid)\d+|<redacted:\d+>|%40(?:eio|sid|pid)\d+|%3Credacted%3A\d+%3E")
"""What stands for a secret, as it is and as it is written into a query."""

_FOR_ITS_SIZE: Final = frozenset((Cause.PAYLOAD_TOO_LARGE, Cause.SEND_BUFFER_FULL))

_ABSENT: Final = "absent"


class Machine(Protocol):
    """What is checked: the door of an `EngineIOConnection`."""

    def process(self, input: Input, now: float) -> list[Output]: ...


MakeMachine: TypeAlias = Callable[[Door], Machine]


class Recorded(Protocol):
    """What is needed of a capture."""

    @property
    def head(self) -> Head: ...
    @property
    def lines(self) -> Sequence[Line]: ...


class Verdict(StrEnum):
    """What came of it."""

    SAME = "same"
    DIFFERENT = "different"
    UNCERTAIN = "uncertain"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where what came out is not what was recorded.

    `passage` counts those of the whole capture from 1, `at` is in seconds since its first, `path` says where in the outputs, as in
    ``outputs[1].data``. `expected` and `got` are what stands there, as JSON values, ``"absent"`` where nothing does; if the machine refused the
    input, `got` is why.
    """

    session: int
    passage: int
    at: float
    input: object
    path: str
    expected: object
    got: object

    def __str__(self) -> str:
        return (
            f"session {self.session}, passage {self.passage}, {self.at:.3f} s: {self.path}\n"
            f"  input     {elide(_shown(self.input), _WIDTH)}\n"
            f"  expected  {elide(_shown(self.expected), _WIDTH)}\n"
            f"  got       {elide(_shown(self.got), _WIDTH)}"
        )


_WIDTH: Final = 300
"""Characters of a value in a report: enough to recognise it."""


def _shown(value: object) -> str:
    return value if isinstance(value, str) else str(value)


class OfflineReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: how much agreed, and the `difference` or what kept it from going on, if anything did. `by` is the version that wrote it."""

    verdict: Verdict
    by: str
    sessions: int
    passages: int
    difference: Difference | None = None

    @property
    def is_same(self) -> bool:
        """Whether everything agreed."""
        return self.verdict is Verdict.SAME

    def __str__(self) -> str:
        counted = (self.passages, "passage"), (self.sessions, "connection")
        passages, connections = (f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in counted)
        agreed = f"{passages} of {connections} agree, recorded by {self.by or 'an unknown version'}"
        return f"{agreed}{_ENDINGS[self.verdict]}" + (f"\n{self.difference}" if self.difference is not None else "")


_ENDINGS: Final = {
    Verdict.SAME: "",
    Verdict.DIFFERENT: "; the next one differs",
    Verdict.UNCERTAIN: "; the next one depends on the length of what was redacted, so the check ends there",
}


def build_machine(door: Door) -> EngineIOConnection:
    """The machine that a door describes. Raises `LocalProtocolError` for what describes none."""
    return EngineIOConnection(
        door.url, transports=door.transports, limits=door.limits, timeouts=door.timeouts, token=door.token, default_path=door.default_path
    )


def check(capture: Recorded, *, make: MakeMachine = build_machine) -> OfflineReport:
    """Compute the run of a wire capture again and compare it with what was recorded, up to the first difference.

    `make` builds the machine of a connection. Raises `CaptureError` for a capture of packets, which does not have what is needed, and for one whose
    passages have no door.
    """
    if capture.head.level is not Level.WIRE:
        expected = f"expected a capture of the wire, got one of {capture.head.level}, from which no run can be computed again"
        raise CaptureError(expected, cause=Cause.CAPTURE_LEVEL)
    checker = _Checker(make)
    verdict, difference = checker.run(capture.lines)
    return OfflineReport(verdict=verdict, by=capture.head.by, sessions=len(checker.machines), passages=checker.agreed, difference=difference)


class _Checker:
    """One check: the machines of the sessions, and how much has agreed."""

    def __init__(self, make: MakeMachine) -> None:
        self._make = make
        self.machines: dict[int, Machine] = {}
        self.agreed = 0
        self._start: float | None = None
        self._resized: set[int] = set()
        """Sessions in which something was sent that had another length once."""

    def run(self, lines: Iterable[Line]) -> tuple[Verdict, Difference | None]:
        for line in lines:
            if isinstance(line, Door):
                self._open(line)
            elif isinstance(line, Passage):
                found = self._passage(line)
                if found is not None:
                    return found
                self.agreed += 1
        return Verdict.SAME, None

    def _open(self, door: Door) -> None:
        try:
            self.machines[door.session] = self._make(door)
        except LocalProtocolError as error:
            raise CaptureError(f"expected the door of a machine, got one of which it says: {error.message}", cause=Cause.CAPTURE_DAMAGED) from error

    def _passage(self, passage: Passage) -> tuple[Verdict, Difference] | None:
        """Feed one passage; what is wrong with what comes out, if anything is."""
        machine = self.machines.get(passage.session)
        if machine is None:
            message = f"expected a door before the passages of session {passage.session}, got none"
            raise CaptureError(message, cause=Cause.CAPTURE_DAMAGED)
        if self._start is None:
            self._start = passage.at
        if _has_placeholder(passage.input):
            self._resized.add(passage.session)
        try:
            outputs = machine.process(passage.input, passage.at)
        except LocalProtocolError as error:
            is_unsure = error.cause in _FOR_ITS_SIZE and passage.session in self._resized
            verdict = Verdict.UNCERTAIN if is_unsure else Verdict.DIFFERENT
            return verdict, self._difference(passage, "outputs", list(passage.outputs), f"refused: {error.message}")
        got = list(map(encode_output, outputs))
        found = next(_differences("outputs", list(passage.outputs), got), None)
        if found is None:
            return None
        verdict = Verdict.UNCERTAIN if _is_divided_otherwise(passage.outputs, got) else Verdict.DIFFERENT
        return verdict, self._difference(passage, *found)

    def _difference(self, passage: Passage, path: str, expected: object, got: object) -> Difference:
        assert self._start is not None
        return Difference(
            session=passage.session,
            passage=self.agreed + 1,
            at=passage.at - self._start,
            input=encode_input(passage.input),
            path=path,
            expected=expected,
            got=got,
        )


def _has_placeholder(input: Input) -> bool:
    messages = input.messages if isinstance(input, SendMessages) else input.farewell if isinstance(input, Close) else ()
    return any(_PLACEHOLDER.search(_as_text(message)) for message in messages)


def _as_text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode("latin-1")


# --- comparing


def _differences(path: str, expected: object, got: object) -> Iterator[tuple[str, object, object]]:
    match expected, got:
        case {"is": kind}, {"is": other} if kind != other:
            yield path, expected, got
        case dict(), dict():
            for name in {**expected, **got}:
                yield from _differences(f"{path}.{name}", expected.get(name, _ABSENT), got.get(name, _ABSENT))
        case list(), list():
            for index in range(max(len(expected), len(got))):
                yield from _differences(f"{path}[{index}]", _item(expected, index), _item(got, index))
        case str(), str():
            if not are_alike(expected, got):
                yield path, expected, got
        case _:
            if expected != got or isinstance(expected, bool) is not isinstance(got, bool):
                yield path, expected, got


def _item(items: list[Any], index: int) -> object:
    return items[index] if index < len(items) else _ABSENT


def are_alike(one: str, other: str) -> bool:
    """Whether two texts are the same, or are if placeholders that one has and the other has not stand for what is in their places there."""
    if one == other:
        return True
    literals, others = _PLACEHOLDER.split(one), _PLACEHOLDER.split(other)
    if len(literals) == len(others):
        return False
    return _fits(literals, other) if len(literals) > len(others) else _fits(others, one)


def _fits(literals: list[str], text: str) -> bool:
    """Whether `text` is these literals in their order, with anything between them; in linear time."""
    first, *middle, last = literals
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for literal in middle:
        at = text.find(literal, at, end)
        if at < 0:
            return False
        at += len(literal)
    return True


def _is_divided_otherwise(expected: Sequence[object], got: Sequence[object]) -> bool:
    """Whether the first output that differs is a POST that begins as the recorded one, and ends elsewhere, with something redacted in it."""
    for one, other in zip(expected, got, strict=False):
        if next(_differences("", one, other), None) is None:
            continue
        match one, other:
            case {"is": "Post", "body": str(body)}, {"is": "Post", "body": str(other_body)}:
                shorter, longer = sorted((body.split(SEPARATOR), other_body.split(SEPARATOR)), key=len)
                return longer[: len(shorter)] == shorter and _PLACEHOLDER.search(SEPARATOR.join(longer)) is not None
        return False
    return False
