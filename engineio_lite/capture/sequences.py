"""What is alike in two sequences, found without spending more than can be afforded on long ones.

`difflib` looks for the longest stretches first, which is what a reader of a comparison expects, and takes time that grows with the product of both
lengths. Up to `MAX_CROSSED` pairs that is paid. Beyond it what is rare is aligned first, and what is left over in one pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

MAX_CROSSED: Final = 4_000_000
"""Pairs of items in a stretch that differs up to which each is considered; a longer one is aligned by what is rare in it, or in one pass."""

Opcode = tuple[str, int, int, int, int]


def opcodes(one: Sequence[object], other: Sequence[object]) -> Iterator[Opcode]:
    """What is alike in two sequences, as `difflib` says it: the longest stretches first, as long as that can be afforded."""
    if len(one) * len(other) <= MAX_CROSSED:
        yield from SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
        return
    for opcode in SequenceMatcher(None, one, other, autojunk=True).get_opcodes():
        tag, a, b, c, d = opcode
        if tag != "replace":
            yield opcode
        elif (b - a) * (d - c) <= MAX_CROSSED:
            yield from _moved(opcodes(one[a:b], other[c:d]), a, c)
        else:
            yield from _moved(_in_order(one[a:b], other[c:d]), a, c)


def _moved(found: Iterable[Opcode], a: int, c: int) -> Iterator[Opcode]:
    return ((tag, i + a, j + a, k + c, m + c) for tag, i, j, k, m in found)


def _in_order(one: Sequence[object], other: Sequence[object]) -> Iterator[Opcode]:
    """The same in one pass, for what repeats itself too often to be searched: each item of `one` is the next one like it in `other`."""
    places: dict[object, deque[int]] = {}
    for place, item in enumerate(other):
        places.setdefault(item, deque()).append(place)
    last = after = 0
    for place, item in enumerate(one):
        queue = places.get(item, deque())
        while queue and queue[0] < after:
            queue.popleft()
        if queue:
            found = queue.popleft()
            yield "replace", last, place, after, found
            yield "equal", place, place + 1, found, found + 1
            last, after = place + 1, found + 1
    yield "replace", last, len(one), after, len(other)
