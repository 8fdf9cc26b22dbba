"""What waits to be sent.

Messages leave in the order in which they came; a pong goes ahead of all of them, because the server ends a session whose pong is late, however
busy the line is. One pong at most waits: it answers every ping before it, so a flood of pings cannot fill the box.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from engineio_lite.packet import Packet, PacketType

_PONG = Packet(PacketType.PONG)


class Outbox:
    """A queue of packets with their cost on the polling wire, in bytes; bounded by its owner."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Packet, int]] = deque()
        self._pong = False
        self.size = 0

    def __len__(self) -> int:
        return len(self._queue) + self._pong

    @property
    def messages(self) -> int:
        """How many message packets wait."""
        return sum(packet.type is PacketType.MESSAGE for packet, _ in self._queue)

    def add(self, packet: Packet, cost: int) -> None:
        """Put `packet` at the end."""
        self._queue.append((packet, cost))
        self.size += cost

    def add_pong(self) -> None:
        """Put a pong at the front, unless one waits there."""
        self._pong = True

    def peek(self, count: int) -> list[Packet]:
        """The first `count` packets, in the order in which they leave."""
        head = [_PONG] if self._pong else []
        head.extend(packet for packet, _ in islice(self._queue, count - len(head)))
        return head

    def drop(self, count: int) -> None:
        """Remove the first `count` packets: they are on their way."""
        if count and self._pong:
            self._pong = False
            count -= 1
        for _ in range(count):
            self.size -= self._queue.popleft()[1]

    def take_all(self) -> list[Packet]:
        """Remove and return everything."""
        packets = self.peek(len(self))
        self.drop(len(packets))
        return packets
