"""Where two JSON values differ, and paths that name such places.

Values are what a packet's payload decodes to: None, booleans, numbers, strings, lists, objects, and bytes where an attachment stood. They are
compared as JSON means them and not as Python does: the order of keys says nothing, ``1`` is ``1.0`` and ``-0`` is ``0``, but ``true`` is not ``1``.
A NaN, which only msgpack can carry, is like itself. Where there is no value at all, on one side or in the whole packet, stands `msgspec.UNSET`.

A path is written as RFC 9535 (JSONPath) writes it, of which this is a part: ``$`` is the value itself, ``.name`` and ``["any name"]`` are members of
an object, ``[0]`` is an element of an array, ``[*]`` and ``.*`` are every child of either. To ignore a path is to ignore everything below it, and
its absence.

The module knows nothing of packets: what a path of a packet begins at (the payload) is up to who compares them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.msgpack import Ext

from engineio_lite.capture.visible import json_text, visible


class PathError(ValueError):
    """Text that is no path: `path` is the text, `position` where it stops to be one."""

    def __init__(self, path: str, position: int) -> None:
        shown = path[position : position + 20]
        super().__init__(
            f'expected a path such as $[1].messages[*].id or $[0]["any name"], got {path!r}: {f"not {shown!r}" if shown else "more"} at {position}'
        )
        self.path = path
        self.position = position


class Every(Enum):
    """The step of a path that takes every child."""

    CHILD = "*"


Step: TypeAlias = str | int | Literal[Every.CHILD]
"""One step down: the name of a member, the index of an element, or every child."""

Path: TypeAlias = tuple[Step, ...]

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.\[\]*"']+) | \[(?P<index>0|[1-9][0-9]{0,15})\] | \[(?P<quoted>"(?:[^"\\\x00-\x1f]|\\.)*")\] | (?P<every>\.\*|\[\*\])""",
    re.VERBOSE,
)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][\w$-]*", re.ASCII)
"""Names that are written without quotes: what a reader of JavaScript expects, and the hyphen."""


def parse_path(text: str) -> Path:
    """The steps of a path, the root left out.

    Raises `PathError`.
    """
    if not text.startswith("$"):
        raise PathError(text, 0)
    steps: list[Step] = []
    position = 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise PathError(text, position)
        steps.append(_step(found, text))
        position = found.end()
    return tuple(steps)


def _step(found: re.Match[str], text: str) -> Step:
    if found["every"]:
        return Every.CHILD
    if found["index"]:
        return int(found["index"])
    if found["name"]:
        return found["name"]
    try:
        name = json.loads(found["quoted"])
    except json.JSONDecodeError:
        raise PathError(text, found.start("quoted")) from None
    assert isinstance(name, str)
    return name


def format_path(steps: Iterable[Step]) -> str:
    """The path as text, which `parse_path` reads."""
    return "$" + "".join(map(_written, steps))


def _written(step: Step) -> str:
    if step is Every.CHILD:
        return "[*]"
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_NAME.fullmatch(step) else f"[{visible(json.dumps(step, ensure_ascii=False))}]"


class Difference(NamedTuple):
    """One place where two values differ; a side that has nothing there is `msgspec.UNSET`."""

    path: str
    expected: object
    got: object

    def __str__(self) -> str:
        expected, got = _focused(self.expected, self.got)
        return f"{self.path}: {expected} != {got}"


def differences(expected: object, got: object, ignore: Iterable[str | Path] = ()) -> list[Difference]:
    """Where two JSON values differ, in the order of `expected`; empty where they are the same.

    What is below a path of `ignore` does not count, whichever side it is on. Elements of arrays are compared one by one, by their index: a value that
    was put in at the front makes everything behind it differ. Takes time in proportion to the two values, and no stack.

    Raises `PathError` for a path that is none.
    """
    patterns = [parse_path(path) if isinstance(path, str) else path for path in ignore]
    if () in patterns:
        return []
    found: list[Difference] = []
    waiting = [_Place((), expected, got, patterns)]
    while waiting:
        place = waiting.pop()
        children = _children(place.expected, place.got)
        if children is not None:
            waiting.extend(reversed([below for child in children for below in place.step(*child)]))
        elif not _is_same(place.expected, place.got):
            found.append(Difference(format_path(place.steps), place.expected, place.got))
    return found


class _Place(NamedTuple):
    """A place still to be compared: the way there, both values, and what is left of the ignored paths that led so far."""

    steps: Path
    expected: object
    got: object
    patterns: Sequence[Path]

    def step(self, step: Step, expected: object, got: object) -> Iterator[_Place]:
        """The place one step further; none if that one is ignored."""
        patterns = [pattern[1:] for pattern in self.patterns if pattern[0] is Every.CHILD or pattern[0] == step]
        if () not in patterns:
            yield _Place((*self.steps, step), expected, got, patterns)


def _children(expected: object, got: object) -> Iterator[tuple[Step, object, object]] | None:
    """What stands below two values that may differ there; None if they are not two objects or two arrays."""
    if isinstance(expected, dict) and isinstance(got, dict):
        names = [*expected, *(name for name in got if name not in expected)]
        return ((name, expected.get(name, msgspec.UNSET), got.get(name, msgspec.UNSET)) for name in names)
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return ((index, _at(expected, index), _at(got, index)) for index in range(max(len(expected), len(got))))
    return None


def _at(array: Sequence[object], index: int) -> object:
    return array[index] if index < len(array) else msgspec.UNSET


def _is_same(expected: object, got: object) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return expected == got or (math.isnan(expected) and math.isnan(got))
    return type(expected) is type(got) and expected == got


def canonical(value: object, ignore: Iterable[str | Path] = ()) -> str:
    """A text that two values share if, and only if, `differences` finds nothing between them; for looking a value up among many.

    Raises `PathError` for a path that is none.
    """
    patterns = [parse_path(path) if isinstance(path, str) else path for path in ignore]
    return "" if () in patterns else _canonical(value, patterns)


def _canonical(value: object, patterns: Sequence[Path]) -> str:
    match value:
        case dict():
            members = sorted((json.dumps(name), _below(name, item, patterns)) for name, item in value.items())
            return f"{{{','.join(f'{name}:{item}' for name, item in members if item)}}}"
        case list() | tuple():
            # An element at the end that is ignored might as well not be there.
            return f"[{','.join(_below(index, item, patterns) for index, item in enumerate(value)).rstrip(',')}]"
        case float() if value.is_integer():
            return str(int(value))
        case None | bool() | int() | float() | str():
            return json.dumps(value)
        case Ext():
            return f"Ext({value.code},{bytes(value.data).hex()})"
        case _:
            return f"{type(value).__name__}({value!r})"


def _below(step: Step, value: object, patterns: Sequence[Path]) -> str:
    """The text of a child; empty if it is ignored."""
    left = [pattern[1:] for pattern in patterns if pattern[0] is Every.CHILD or pattern[0] == step] if patterns else patterns
    return "" if () in left else _canonical(value, left)


# --- in words

MAX_SHOWN: Final = 60
"""Characters of a value in a difference: two of them, with the path, are a line or two of a terminal."""

_BEFORE: Final = 12
"""Characters shown before the place where two long strings part."""


def show_value(value: object, limit: int = MAX_SHOWN) -> str:
    """A value in one line, as JSON with nothing invisible, cut to `limit` characters.

    Attachments are shown by their size and first bytes, `msgspec.UNSET` as ``nothing``.
    """
    if value is msgspec.UNSET:
        return "nothing"
    text = json_text(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _focused(expected: object, got: object) -> tuple[str, str]:
    """Both values in words; of two long strings what stands around the place where they part."""
    if isinstance(expected, str) and isinstance(got, str) and max(len(expected), len(got)) > MAX_SHOWN - 2:
        start = _parting(expected, got) - _BEFORE
        if start > 0:
            return tuple(f'"…{show_value(text[start:])[1:]}' for text in (expected, got))  # type: ignore[return-value]  # two of two
    return show_value(expected), show_value(got)


def _parting(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
