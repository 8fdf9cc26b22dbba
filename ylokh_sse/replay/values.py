"""Comparing what is asked with what was recorded: JSON values, and texts in which secrets were replaced. Pure.

Values are compared as JSON has them: neither the order of keys nor ``1`` against ``1.0`` makes a difference, but ``1`` against ``true`` does. Where
the recording has a stand-in for a secret, anything may stand. Places that may differ are named by paths, ``$.messages[*].content``.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Final, NamedTuple

from chat_answers.exceptions import ConfigurationError
from chat_answers.parts import JSON

MAX_VALUE: Final = 80
"""Characters that are shown of a value that differs."""

_STAND_IN: Final = re.compile(r"<redacted:\d+>", re.ASCII)
_STEP: Final = re.compile(r"""\.(?P<name>[^.\[\]"]+)|\[(?P<index>[0-9]+)\]|(?P<every>\[\*\])|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]""")
_PLAIN_NAME: Final = re.compile(r"[^.\[\]\"\s]+")


class Every(Enum):
    """A step of a path that stands for every index."""

    INDEX = "[*]"


class _Missing(Enum):
    """In the place of a value that is not there."""

    VALUE = "nothing"


Path = tuple[str | int | Every, ...]


class Difference(NamedTuple):
    """Where two values differ, as ``$.a[0]`` (empty for what has no place), and how, as text."""

    path: str
    words: str


def read_path(text: str) -> Path:
    """Read a path such as ``$.messages[*].content`` or ``$["a b"][0]``. Raises `ConfigurationError` for what is none."""
    steps: list[str | int | Every] = []
    at = 1
    while text.startswith("$") and (step := _STEP.match(text, at)):
        steps.append(_read_step(step))
        at = step.end()
    if at != len(text) or not text.startswith("$"):
        raise ConfigurationError(f"expected a path such as $.messages[*].content, got {text!r}")
    return tuple(steps)


def _read_step(step: re.Match[str]) -> str | int | Every:
    match step.lastgroup:
        case "every":
            return Every.INDEX
        case "index":
            return int(step["index"])
        case "quoted":
            return str(json.loads(step["quoted"], strict=False))
        case _:
            return step["name"]


def difference(expected: JSON, got: JSON, ignored: tuple[Path, ...] = ()) -> Difference | None:
    """Return the first place where two values differ, None if they do not; what is ignored may differ, or be missing."""
    # A list and no recursion: how deep a body is nested is not ours to say.
    left: list[tuple[Path, JSON, JSON]] = [((), expected, got)]
    while left:
        path, one, other = left.pop()
        if any(_covers(each, path) for each in ignored):
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names = dict.fromkeys([*one, *other])
            left += reversed([((*path, name), one.get(name, _Missing.VALUE), other.get(name, _Missing.VALUE)) for name in names])
        elif isinstance(one, list) and isinstance(other, list):
            left += reversed([((*path, index), _item(one, index), _item(other, index)) for index in range(max(len(one), len(other)))])
        elif not _same(one, other):
            return Difference(_show_path(path), f"{_show(one)} != {_show(other)}")
    return None


def _item(values: list[JSON], index: int) -> JSON:
    return values[index] if index < len(values) else _Missing.VALUE


def _covers(ignored: Path, path: Path) -> bool:
    if len(ignored) != len(path):
        return False
    return all(one == other or (one is Every.INDEX and isinstance(other, int)) for one, other in zip(ignored, path, strict=True))


def _same(one: JSON, other: JSON) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return fits(one, other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def fits(expected: str, got: str) -> bool:
    """Whether a text is what was recorded; where that has a stand-in, anything but nothing may stand."""
    first, *others = _STAND_IN.split(expected)
    if not others:
        return expected == got
    if not got.startswith(first):
        return False
    at = len(first)
    for each in others[:-1]:
        found = got.find(each, at + 1)
        if found < 0:
            return False
        at = found + len(each)
    return len(got) > at + len(others[-1]) and got.endswith(others[-1])


def elide(text: str, size: int) -> str:
    """The beginning of a text, if it is longer than so many characters."""
    return text if len(text) <= size else f"{text[:size]}…"


def _show(value: JSON) -> str:
    return "nothing" if value is _Missing.VALUE else elide(json.dumps(value, ensure_ascii=False), MAX_VALUE)


def _show_path(path: Path) -> str:
    return "$" + "".join(_show_step(step) for step in path)


def _show_step(step: str | int | Every) -> str:
    if isinstance(step, str) and _PLAIN_NAME.fullmatch(step):
        return f".{step}"
    return f"[{json.dumps(step, ensure_ascii=False)}]"
