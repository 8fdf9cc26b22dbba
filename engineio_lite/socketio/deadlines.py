"""Instants at which something that is awaited is given up.

Most of what is awaited comes in time, and then nobody tells this module: an entry that is no longer awaited is skipped when its instant comes. So
noting one and forgetting one cost next to nothing, which matters because every acknowledged event notes one. What must not happen is that they
pile up, a long timeout for each of many short calls; so now and then the skipped ones are swept out.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from typing import Final

Key = int | str
"""What is awaited: the number of a call, or the name of a namespace."""

_SPARE: Final = 64
"""Entries beyond those that can be awaited at most, before it is worth sweeping."""


class Deadlines:
    """Instants with their keys; `is_awaited(key, order)` says whether an entry still counts, `order` being what `note` returned for it."""

    def __init__(self, is_awaited: Callable[[Key, int], bool]) -> None:
        self._is_awaited = is_awaited
        self._entries: list[tuple[float, int, Key]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def next(self) -> float:
        """The earliest instant, awaited or not; infinity if there is none."""
        return self._entries[0][0] if self._entries else math.inf

    def note(self, at: float, key: Key, *, awaited: int) -> int:
        """Note an instant; return what tells this entry from earlier ones of the same key. `awaited` is how many entries can count at most."""
        self._order += 1
        if len(self._entries) > _SPARE + 2 * awaited:
            self._entries = [entry for entry in self._entries if self._is_awaited(entry[2], entry[1])]
            heapq.heapify(self._entries)
        heapq.heappush(self._entries, (at, self._order, key))
        return self._order

    def expire(self, now: float) -> Iterator[Key]:
        """Yield, and forget, every key that is still awaited when its instant has come."""
        while self._entries and self._entries[0][0] <= now:
            _, order, key = heapq.heappop(self._entries)
            if self._is_awaited(key, order):
                yield key

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
