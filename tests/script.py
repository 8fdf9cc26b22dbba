"""Scripts over a door: a test is what goes in, what must come out, and when, whichever machine is behind the door.

    play(
        polling()
        >> Connect()
        << poll(1)
        >> answer(1, OPEN)
        << opened()
        >> at(0.2)
        >> TimePassed()
        << poll(2)
    )

``>>`` puts an input in (or sets the clock, with `at`); ``<<`` says what comes out of it, in order and in full: an input without ``<<`` must be
answered with nothing. Outputs are compared as whole values. Where a value carries an error or the evidence around it, a `Pattern` stands for it,
because the prose of an error is compared where that prose is the subject; a `View` looks at the machine itself. A script is a value that can be
continued, so the way into a state is written once and used by many tests. `play` returns the machine, `tell` all that came out.

If script and machine part, the failure shows the whole story with the difference in it. The words of the scripts are those of each machine:
`tests.core.script`, `tests.socketio.script`, `tests.socketio.links`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post
from engineio_lite.exceptions import LocalProtocolError


class Machine(Protocol):
    """What is behind the door."""

    def process(self, input: Any, now: float) -> Sequence[object]: ...


M = TypeVar("M", bound=Machine)


@dataclass(frozen=True)
class Clock:
    """Not an input: what the clock says from here on."""

    time: float


@dataclass(frozen=True)
class Refusal:
    """The call raises a `LocalProtocolError` with this cause, and nothing comes out."""

    cause: Cause


class Pattern(ABC):
    """What an output must look like, where comparing whole values would compare an error's prose."""

    @abstractmethod
    def matches(self, output: object) -> bool:
        """Compare what matters."""


_EVIDENCE = frozenset({"error", "silence", "last_received", "last_sent"})


@dataclass(frozen=True)
class Like(Pattern):
    """An output of this kind, with these values beside its error, and an error of this cause (None: without one)."""

    kind: type[msgspec.Struct]
    values: tuple[object, ...] = ()
    cause: Cause | None = None
    any_cause: bool = False

    def matches(self, output: object) -> bool:
        """Compare all but the prose of the error and what it was seen by."""
        if type(output) is not self.kind:
            return False
        values = tuple(getattr(output, name) for name in self.kind.__struct_fields__ if name not in _EVIDENCE)
        error = getattr(output, "error", None)
        return values == self.values and (self.any_cause or (error.cause if error is not None else None) == self.cause)


@dataclass(frozen=True)
class View(Generic[M]):
    """Not an output: what the machine shows of itself. Each look has a name, a way to look and what is due; None is not looked at."""

    looks: tuple[tuple[str, Callable[[M], object], object], ...]

    def differs(self, machine: M) -> str | None:
        """Name what is different, if something is."""
        seen = [(name, look(machine), due) for name, look, due in self.looks if due is not None]
        return ", ".join(f"{name} is {is_!s}, not {due!s}" for name, is_, due in seen if is_ != due) or None


class Script(Generic[M]):
    """A machine and the story it is to live through; see the module."""

    def __init__(self, connection: M, steps: Sequence[tuple[object, tuple[object, ...]]] = ()) -> None:
        self.connection = connection
        self.steps = tuple(steps)

    def __rshift__(self, step: object) -> Script[M]:
        return Script(self.connection, (*self.steps, (step, ())))

    def __lshift__(self, expected: object) -> Script[M]:
        step, others = self.steps[-1]
        return Script(self.connection, (*self.steps[:-1], (step, (*others, expected))))

    def __add__(self, others: Sequence[object]) -> Script[M]:
        script = self
        for expected in others:
            script = script << expected
        return script


@dataclass
class _Story:
    """What was told so far, for the failure message, and what came out."""

    lines: list[str] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


def play(script: Script[M]) -> M:
    """Run a script on its machine and hand the machine back; the failure of a step tells the whole story."""
    tell(script)
    return script.connection


def tell(script: Script[M]) -> list[Any]:
    """Run a script and return all that came out."""
    now, story = 0.0, _Story()
    for step, expected in script.steps:
        if isinstance(step, Clock):
            now = step.time
            continue
        story.lines.append(f"{now:9.3f} >> {step!r}")
        try:
            outputs: list[object] = list(script.connection.process(step, now))
        except LocalProtocolError as error:
            outputs = [Refusal(error.cause)]
        wanted = [item for item in expected if not isinstance(item, View)]
        if len(outputs) != len(wanted) or not all(map(_alike, wanted, outputs)):
            raise AssertionError("\n".join(["script and machine part:", *story.lines, *_difference(wanted, outputs)]))
        story.lines += [f"          << {output!r}" for output in outputs]
        story.outputs += [output for output in outputs if not isinstance(output, Refusal)]
        for view in expected:
            if isinstance(view, View) and (difference := view.differs(script.connection)) is not None:
                raise AssertionError("\n".join(["the machine shows something else:", *story.lines, f"          !! {difference}"]))
    return story.outputs


def _alike(want: object, got: object) -> bool:
    return want.matches(got) if isinstance(want, Pattern) else want == without_token(got)


def _difference(wanted: Sequence[object], outputs: Sequence[object]) -> list[str]:
    lines = []
    for index in range(max(len(wanted), len(outputs))):
        want = wanted[index] if index < len(wanted) else None
        got = outputs[index] if index < len(outputs) else None
        if want is not None and got is not None and _alike(want, got):
            lines.append(f"          << {got!r}")
            continue
        lines += [f"      - due << {want!r}"] if want is not None else []
        lines += [f"      + got << {got!r}"] if got is not None else []
    return lines


def without_token(output: object) -> object:
    """Leave the cache buster ``t`` out of a command's URL: it is different each time and means nothing."""
    if not isinstance(output, Poll | Post | OpenWebSocket):
        return output
    parts = urlsplit(output.url)
    kept = [pair for pair in parts.query.split("&") if not pair.startswith("t=")]
    return msgspec.structs.replace(output, url=parts._replace(query="&".join(kept)).geturl())


def at(time: float) -> Clock:
    """Set the clock."""
    return Clock(time)


def refuses(cause: Cause) -> Refusal:
    """The call is refused."""
    return Refusal(cause)
