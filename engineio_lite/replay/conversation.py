"""A seat that speaks: packets to messages and back, for a session of which the parser shows only with the first message.

Both sides of a session must use one parser, and the protocol has no word for asking which. A client that is played to has its own, whatever the one
in the recording had: what it says first tells, since the default parser begins with text and the msgpack one with bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from engineio_lite.capture.lines import Direction
from engineio_lite.exceptions import DecodeError, LocalProtocolError, elide
from engineio_lite.limits import DEFAULT_LIMITS, Limits
from engineio_lite.replay.script import opposite
from engineio_lite.replay.seat import Disconnect, Output, Seat
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.socketio.parsers import DEFAULT, MSGPACK, PARSERS, MessageDecoder, Parser

Watch: TypeAlias = Callable[[Direction, Output], None]
"""Is told every packet as it passes, and the end; whose it is, is in the direction."""

Spoken: TypeAlias = str | bytes | Disconnect
"""What is to be done: send a message, or end the connection, which is always the last."""


class Conversation:
    """The messages of one session of a replay; `seat` decides what is said, and `watch` sees it."""

    def __init__(self, seat: Seat, *, limits: Limits = DEFAULT_LIMITS, parser: Parser | None = None, watch: Watch | None = None) -> None:
        self.seat = seat
        self._watch = watch
        self._limits = limits
        self._parser = parser
        self._decoder: MessageDecoder | None = parser.decoder(limits=limits) if parser is not None else None

    def start(self, now: float) -> list[Spoken]:
        """The live session is open."""
        return self._spoken(self.seat.start(now))

    def message(self, data: str | bytes, now: float) -> list[Spoken]:
        """The other side has said this."""
        if self._decoder is None or self._parser is None:
            self._parser = DEFAULT if isinstance(data, str) else MSGPACK
            self._decoder = self._parser.decoder(limits=self._limits)
        try:
            packet = self._decoder.feed(data)
        except DecodeError as error:
            return self._spoken(self.seat.refuse(f"what is no packet of the {self._parser.name} parser: {elide(data)} ({error.detail})", now))
        if packet is None:
            return []
        if self._watch is not None:
            self._watch(self.seat.place.theirs, packet)
        return self._spoken(self.seat.receive(packet, now))

    def wake(self, now: float) -> list[Spoken]:
        """The clock has reached the deadline."""
        return self._spoken(self.seat.wake(now))

    def left(self, now: float) -> None:
        """The other side is gone."""
        self.seat.left(now)

    @property
    def deadline(self) -> float:
        """The instant at which `wake` must be called; infinity if there is none."""
        return self.seat.deadline

    def _spoken(self, outputs: list[Output]) -> list[Spoken]:
        spoken: list[Spoken] = []
        for output in outputs:
            if self._watch is not None:
                self._watch(opposite(self.seat.place.theirs), output)
            if isinstance(output, Disconnect):
                spoken.append(output)
                continue
            try:
                spoken += _encode(output, self._parser or PARSERS.get(self.seat.script.parser, DEFAULT), self._limits)
            except LocalProtocolError as error:
                return [*spoken, Disconnect(self.seat.fail(error))]
        return spoken


_DISCONNECT_DIGIT: Final = "1"


def _encode(packet: Packet, parser: Parser, limits: Limits) -> list[str | bytes]:
    """Write a packet as a server may write it. A DISCONNECT with the reason in it is none that a client may send, so no parser of ours writes one."""
    if packet.type is not PacketType.DISCONNECT or packet.data is msgspec.UNSET:
        return parser.encode(packet, limits=limits)
    if parser is not DEFAULT:
        return parser.encode(Packet(packet.type, namespace=packet.namespace), limits=limits)
    [text] = parser.encode(Packet(PacketType.CONNECT, packet.data, packet.namespace), limits=limits)
    assert isinstance(text, str)
    return [_DISCONNECT_DIGIT + text[1:]]
