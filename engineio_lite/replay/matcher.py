"""Is what was said just now what the capture says?

Two packets are the same if type, namespace and payload are, with these exceptions, each for something that is another in every run:

- A placeholder in the capture (``@sid1``, ``<redacted:1>``) stands for any text, the same one each time (`placeholders.py`), in an attachment and in
  the query of a namespace, too.
- The ids of acknowledgements count from 0 in one client and from 1 in another: of an event it is compared whether it asks for an answer, not by which
  id. Whoever plays binds the two ids to each other and gives the recorded one of an answer, so those are compared as they are.
- The payload of CONNECT, in both directions, holds nothing but credentials and ids: its keys are compared, its values are not. No payload is the same
  as an empty object.
- JSON is compared as JSON means it, see `capture/jsonpaths.py`; a packet is compared after its attachments are in their places.
- What the caller says in `ignore`: paths such as ``$[1].messages[*].id``, and functions that are asked about each difference, such as `ANY_UUID` and
  `ANY_TIME`.

Which packet comes next is a question of order (`Strictness`), and the business of whoever plays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from engineio_lite.capture.jsonpaths import Difference, Every, Path, PathError, differences, parse_path
from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.replay.placeholders import match_text
from engineio_lite.socketio.packet import Packet, PacketType

Judge: TypeAlias = Callable[[str, object, object], bool]
"""Says whether a difference may be: takes its path, the recorded value and the live one (`msgspec.UNSET` where there is none)."""

Ignore: TypeAlias = str | Judge
"""One thing that may differ: everything below a path, or whatever a function lets pass."""


class Strictness(StrEnum):
    """In which order the packets of the other side must come; in each case free where `relax` names them.

    ``ordered``: as in the capture, over all namespaces of the session. ``per-namespace``: as in the capture in each namespace, and anyhow between
    two. ``unordered``: anyhow. The CONNECTs of several namespaces are in no order among each other in any case: a client asks for them all at once,
    and none of them follows from another; so a packet of a namespace that is joined may also come before the CONNECT of another one.
    """

    ORDERED = "ordered"
    PER_NAMESPACE = "per-namespace"
    UNORDERED = "unordered"


class Comparison(NamedTuple):
    """What came of comparing: where the two differ, and what placeholders stand for if they do not."""

    differences: list[Difference]
    bound: dict[str, str]


class Matcher:
    """Compares packets, with what may differ in `ignore`. Raises `LocalProtocolError` (cause ``bad-option``) for a path that is none."""

    def __init__(self, ignore: Iterable[Ignore] = ()) -> None:
        self._paths: list[Path] = []
        self._judges: list[Judge] = []
        for each in ignore:
            if callable(each):
                self._judges.append(each)
            else:
                self._paths.append(_parsed(each))

    def compare(self, expected: Packet, got: Packet, known: Mapping[str, str]) -> Comparison:
        """Compare a live packet with a recorded one, with what is `known` of the placeholders."""
        bound = match_text(expected.namespace, got.namespace, known)
        found = _heads(expected, got, is_there=bound is not None)
        if found or bound is None:
            return Comparison(found, {})
        if expected.type is PacketType.CONNECT:
            left, told = self._compare_keys(expected.data, got.data, {**known, **bound})
            return Comparison(left, {**bound, **told})
        left = [each for each in differences(expected.data, got.data, self._paths) if not self._passes(each, known, bound)]
        return Comparison([*left, *_ids(expected, got)], bound)

    def _passes(self, difference: Difference, known: Mapping[str, str], bound: dict[str, str]) -> bool:
        path, expected, got = difference
        if isinstance(expected, bytes) and isinstance(got, bytes):
            expected, got = expected.decode("latin-1"), got.decode("latin-1")  # a token in an attachment is ASCII
        if isinstance(expected, str) and isinstance(got, str):
            new = match_text(expected, got, {**known, **bound})
            if new is not None:
                bound.update(new)
                return True
        return any(judge(path, expected, got) for judge in self._judges)

    def _compare_keys(self, expected: object, got: object, known: Mapping[str, str]) -> Comparison:
        """Compare the keys of two CONNECT payloads. The values are not compared, but what they tell of placeholders is worth knowing."""
        expected, got = _as_object(expected), _as_object(got)
        left = differences(dict.fromkeys(expected, _HIDDEN), dict.fromkeys(got, _HIDDEN), self._paths)
        left = [each for each in left if not any(judge(*each) for judge in self._judges)]
        bound: dict[str, str] = {}
        for difference in differences(expected, got):
            if isinstance(difference.expected, str) and isinstance(difference.got, str):
                bound |= match_text(difference.expected, difference.got, {**known, **bound}) or {}
        return Comparison(left, bound)


_HIDDEN: Final = "…"
"""Stands for a value that is nobody's business."""


def _parsed(path: str) -> Path:
    try:
        return parse_path(path)
    except PathError as error:
        raise LocalProtocolError(str(error), cause=Cause.BAD_OPTION) from None


def _as_object(data: object) -> dict[str, object]:
    # A key with nothing in it is no key: the msgpack parser of Node writes those of which the value is undefined.
    return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else {}


def _heads(expected: Packet, got: Packet, *, is_there: bool) -> list[Difference]:
    """Where two packets differ before their payloads: as paths these are names of the packet's own parts."""
    found = []
    if expected.type is not got.type:
        found.append(Difference("type", str(expected.type), str(got.type)))
    if not is_there:
        found.append(Difference("namespace", expected.namespace, got.namespace))
    return found


def _ids(expected: Packet, got: Packet) -> list[Difference]:
    """Where two packets of the same kind differ in whether they ask, or in what they answer."""
    if expected.type is PacketType.EVENT and (expected.id is None) != (got.id is None):
        return [Difference("asks for an answer", expected.id is not None, got.id is not None)]
    if expected.type is PacketType.ACK and expected.id != got.id:
        return [Difference("id", expected.id, got.id)]
    return []


# --- what may differ, by its looks

_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?")

_EPOCH_SECONDS: Final = (1e9, 1e10)
"""From 2001 to 2286; times a thousand the same in milliseconds."""


def ANY_UUID(path: str, expected: object, got: object) -> bool:  # noqa: N802  # a constant to whoever uses it: one of what is listed in `ignore_paths`
    """For `ignore_paths`: one UUID is as good as another."""
    return isinstance(expected, str) and isinstance(got, str) and bool(_UUID.fullmatch(expected) and _UUID.fullmatch(got))


def ANY_TIME(path: str, expected: object, got: object) -> bool:  # noqa: N802  # as above
    """For `ignore_paths`: one instant is as good as another, if both are written as ISO 8601 or both as seconds or milliseconds since 1970."""
    if isinstance(expected, str) and isinstance(got, str):
        return bool(_TIME.fullmatch(expected) and _TIME.fullmatch(got))
    return _unit(expected) is not None and _unit(expected) == _unit(got)


def _unit(value: object) -> int | None:
    """What a number counts since 1970, as parts of a second; None if it is no plausible instant."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = _EPOCH_SECONDS
    return next((unit for unit in (1, 1000) if low <= value / unit < high), None)


def at(path: str, judge: Judge) -> Judge:
    """For `ignore_paths`: let `judge` pass differences at this path alone; ``[*]`` and ``.*`` stand for every child."""
    wanted = _parsed(path)

    def judge_there(place: str, expected: object, got: object) -> bool:
        steps = parse_path(place) if place.startswith("$") else (place,)
        is_there = len(steps) == len(wanted) and all(wish is Every.CHILD or wish == step for wish, step in zip(wanted, steps, strict=True))
        return is_there and judge(place, expected, got)

    return judge_there
