"""What is to be sent: whether it can travel, and in which order it leaves.

Messages leave in the order in which they came; a pong goes ahead of all of them, because the server ends a session whose pong is late, however busy
the line is. One pong at most waits: it answers every ping before it, so a flood of pings cannot fill the box.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final, TypeAlias

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, PayloadTooLarge, elide
from engineio_lite.limits import Limits
from engineio_lite.packet import Packet, PacketType
from engineio_lite.payload import SEPARATOR, packet_cost

Priced: TypeAlias = tuple[Packet, int]
"""A packet and what it costs on the wire, in bytes."""

CLOSE: Final = (Packet(PacketType.CLOSE), 1)

_PONG: Final = Packet(PacketType.PONG)


def check_messages(messages: Sequence[str | bytes], *, live: bool, max_payload: int | None) -> list[Priced]:
    """Make packets of messages that can travel, by WebSocket alone (`live`) or perhaps by polling too.

    Raises `PayloadTooLarge` for a message of more than `max_payload` bytes on the wire, and `LocalProtocolError` for what has no form there.
    """
    priced = []
    for message in messages:
        cost = _cost(message, live)
        if max_payload is not None and cost > max_payload:
            raise PayloadTooLarge(cost, max_payload)
        priced.append((Packet(PacketType.MESSAGE, message), cost))
    return priced


def _cost(message: str | bytes, live: bool) -> int:
    if isinstance(message, str):
        if not live and SEPARATOR in message:
            raise LocalProtocolError(f"text with U+001E would be split by polling: {elide(message)}", cause=Cause.SEPARATOR_IN_TEXT)
        return _text_cost(message)
    if isinstance(message, bytes):
        return len(message) if live else packet_cost(Packet(PacketType.MESSAGE, message))
    raise LocalProtocolError(f"a message is str or bytes, not {type(message).__name__}", cause=Cause.BAD_MESSAGE)


def _text_cost(text: str) -> int:
    if text.isascii():
        return 1 + len(text)
    try:
        return 1 + len(text.encode())
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text with a lone surrogate at {error.start} cannot be encoded: {elide(text)}", cause=Cause.BAD_MESSAGE) from None


class Outbox:
    """A queue of packets, bounded by `limits.max_buffered` bytes on the polling wire and `limits.max_buffered_packets`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Priced] = deque()
        self._pong = False
        self.size = 0
        self.messages = 0
        """How many message packets wait."""

    def __len__(self) -> int:
        return len(self._queue) + self._pong

    def check_room(self, packets: Sequence[Priced]) -> None:
        """Raise `LocalProtocolError` if there is no room for these too; an empty box takes anything, or a large message could never be sent."""
        limits = self._limits
        size = sum(cost for _, cost in packets)
        full = self.size + size > limits.max_buffered or len(self) + len(packets) > limits.max_buffered_packets
        if full and len(self) > 0:
            raise LocalProtocolError(
                f"{self.size} bytes in {len(self)} packets wait already, "
                f"{size} more would pass the limit of {limits.max_buffered} bytes or {limits.max_buffered_packets} packets",
                cause=Cause.SEND_BUFFER_FULL,
            )

    def extend(self, packets: Sequence[Priced]) -> None:
        """Put packets at the end."""
        self._queue.extend(packets)
        self.size += sum(cost for _, cost in packets)
        self.messages += sum(packet.type is PacketType.MESSAGE for packet, _ in packets)

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
            packet, cost = self._queue.popleft()
            self.size -= cost
            self.messages -= packet.type is PacketType.MESSAGE

    def take_all(self) -> list[Packet]:
        """Remove and return everything."""
        packets = self.peek(len(self))
        self.drop(len(packets))
        return packets
