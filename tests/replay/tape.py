"""Captures written by hand, as the conversation they are: `up` and `down` are what the client and the server say, one a line.

    tape(up("0"), down('0{"sid":"@sid1"}'), up('21["echo",1]'), down('31[1]'))

A packet is written as the default parser writes it, with what follows for its attachments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engineio_lite.capture.file import Capture
from engineio_lite.capture.lines import Direction, Head, Line, Note, SessionEnded, SessionOpened, SocketIOPacket
from engineio_lite.replay.player import Player
from engineio_lite.replay.seat import Disconnect, Output, Seat
from engineio_lite.socketio.packet import Decoder, Packet, encode
from engineio_lite.state import Transport


def packet(*messages: str | bytes) -> Packet:
    """One packet from the messages that carry it."""
    decoder = Decoder(lenient=True)
    *_, found = map(decoder.feed, messages)
    assert found is not None
    return found


def said(direction: Direction, *messages: str | bytes, session: int = 1, time: float | None = None) -> SocketIOPacket:
    """The line of a packet."""
    p = packet(*messages)
    return SocketIOPacket(
        session=session, time=time, direction=direction, transport=Transport.WEBSOCKET, type=p.type, namespace=p.namespace, id=p.id, data=p.data
    )


def up(*messages: str | bytes, session: int = 1, time: float | None = None) -> SocketIOPacket:
    """What the client says."""
    return said(Direction.UP, *messages, session=session, time=time)


def down(*messages: str | bytes, session: int = 1, time: float | None = None) -> SocketIOPacket:
    """What the server says."""
    return said(Direction.DOWN, *messages, session=session, time=time)


def opened(session: int = 1, time: float | None = None) -> SessionOpened:
    """A session begins."""
    return SessionOpened(session=session, time=time, transport=Transport.WEBSOCKET, sid=f"@eio{session}")


def ended(by: str = "server", session: int = 1, time: float | None = None) -> SessionEnded:
    """A session is over."""
    return SessionEnded(session=session, time=time, by=by)


def gap(text: str = "the body of a GET was not recorded", session: int = 1) -> Note:
    """Something is missing here."""
    return Note(session=session, what="gap", text=text)


def tape(*lines: Line) -> Capture:
    """A capture of these lines; line number 1 of its file is the head."""
    return Capture(head=Head(), lines=lines, path="test.eio.jsonl")


CONNECT = (up("0"), down('0{"sid":"@sid1"}'))
"""How nearly every conversation begins."""


class Stage:
    """One session of a replay, spoken to by hand at instants that the test chooses."""

    def __init__(self, *lines: Line, **options: Any) -> None:
        self.player = Player(tape(*lines), **options)
        self.now = 0.0
        self.seat = self.player.open(0.0)
        self.first = written(self.seat.start(0.0))

    def say(self, *messages: str | bytes) -> list[str]:
        """The other side says this, now; what is said to it."""
        return written(self.seat.receive(packet(*messages), self.now))

    def wait(self, seconds: float) -> list[str]:
        """Time passes, deadline by deadline."""
        end = self.now + seconds
        outputs: list[str] = []
        while self.seat.deadline <= end:
            self.now = max(self.now, self.seat.deadline)
            outputs += written(self.seat.wake(self.now))
        self.now = end
        return outputs


def sit(player: Player) -> Seat:
    """The next session of a player, begun."""
    seat = player.open(0.0)
    seat.start(0.0)
    return seat


def written(outputs: Iterable[Output]) -> list[str]:
    """What is to be done, in short: packets as the default parser writes them, with the number of their attachments, and ``end``."""
    shown = []
    for output in outputs:
        if isinstance(output, Disconnect):
            shown.append("end" if output.error is None else f"end: {output.error.cause}")
        else:
            text, *attachments = encode(output)
            assert isinstance(text, str)
            shown.append(text + f" +{len(attachments)}" * bool(attachments))
    return shown
