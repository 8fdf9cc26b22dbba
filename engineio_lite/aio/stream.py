"""A bounded queue between the driver, which must never wait to deliver, and an application that takes things one by one.

asyncio's own queue waits on the side of the writer, which here is a plain function; and an unbounded one would make a slow application a memory
leak. So the writer always succeeds and *asks first*: once `limit` things wait it stops reading until half of them are taken.

A stream that nobody may ever read can be told to be `forgetful`: until somebody reads, the oldest things make room, and it is never full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """Things in order, then an end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Item] = deque()
        self._end: BaseException | None = None
        self._readers: list[asyncio.Future[None]] = []
        self._room: asyncio.Future[None] | None = None
        self._was_read = False
        self.forgetful = False
        """Whether things may be dropped as long as nobody has ever read."""
        self.dropped = 0
        """How many were."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return len(self._items) >= self._limit and (self._was_read or not self.forgetful)

    def put(self, item: Item) -> None:
        """Add one thing; what comes after the end is dropped."""
        if self._end is not None:
            return
        if self.forgetful and not self._was_read and len(self._items) >= self._limit:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        if self._readers:
            self._wake_readers()

    def put_back(self, item: Item) -> None:
        """Put one thing that was taken back where it was, before all others; also after the end."""
        self._items.appendleft(item)
        self._wake_readers()

    def finish(self, end: BaseException) -> None:
        """End the stream: once everything is taken, `get` raises `end`."""
        if self._end is None:
            self._end = end
            self._wake_readers()
            _wake(self._room)

    async def get(self) -> Item:
        """Take the next thing; raises the end when there are no more. Safe to cancel: nothing is lost."""
        self._was_read = True
        while not self._items:
            if self._end is not None:
                raise self._end.with_traceback(None)
            # One for each, because a reader may be cancelled while others wait; and no shield, which would take a turn of the loop more. So who reads
            # what came before an answer goes on before whoever waits for the answer.
            arrival = asyncio.get_running_loop().create_future()
            self._readers.append(arrival)
            try:
                await arrival
            finally:
                self._readers.remove(arrival)
        item = self._items.popleft()
        if self._room is not None and 2 * len(self._items) <= self._limit:
            _wake(self._room)
        return item

    def _wake_readers(self) -> None:
        for arrival in self._readers:
            _wake(arrival)

    def take(self, wanted: Callable[[Item], bool], most: int | None = None) -> list[Item]:
        """Take out the things that are wanted, in order, `most` of them at most; the others stay."""
        taken: list[Item] = []
        kept: deque[Item] = deque()
        for item in self._items:
            (taken if (most is None or len(taken) < most) and wanted(item) else kept).append(item)
        self._items = kept
        if taken:
            _wake(self._room)
        return taken

    async def wait_room(self) -> None:
        """Return once no more than half of the limit waits, or the stream has ended. Safe to cancel."""
        if self.full and self._end is None:
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def release(self) -> None:
        """Let whoever waits for room look again: the reason for holding back may be gone."""
        _wake(self._room)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
