"""From the packets of one Engine.IO session to the lines of a capture: decoded, attachments in their places, in the order in which they were said.

Whoever saw the packets, a client of ours, a proxy, somebody's HAR, gives them to a `Transcriber` one after the other and writes down what it returns.
A packet with attachments stands where its first message did, although it is complete only later: other packets may come between, on polling even
whole bodies, and the same conversation would else have another order on each transport. So what follows an unfinished packet is held back until it
is finished, or until too much is held.

Nothing is ever dropped. What cannot be decoded becomes a line that says why, and so does a packet whose attachments never came. The parser is told
from the message: the default one writes text, the msgpack one writes maps in bytes where no attachment is awaited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from engineio_lite.capture.lines import Direction, EnginePacket, Line, SessionOpened, SocketIOPacket, Undecoded
from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError
from engineio_lite.limits import DEFAULT_LIMITS, Limits
from engineio_lite.packet import Packet, PacketType, decode_packet
from engineio_lite.payload import SEPARATOR
from engineio_lite.socketio.msgpack import MsgpackDecoder
from engineio_lite.socketio.packet import Decoder
from engineio_lite.socketio.packet import Packet as SocketIO
from engineio_lite.state import Transport
from engineio_lite.strictjson import JSONError, decode_json

MAX_HELD: Final = 1000
"""Lines held back behind a packet whose attachments are still to come; then it is given up, since whoever watches wants to see something."""

INCOMPLETE: Final = "incomplete"
"""The error of a packet whose attachments never came."""


class _Unfinished:
    """A packet that waits for attachments: the place that it keeps, and what is there of it."""

    def __init__(self, time: float | None, transport: Transport, text: str) -> None:
        self.time = time
        self.transport = transport
        self.text = text
        self.attachments: list[bytes] = []
        self.lines: list[Line] | None = None


class _Side:
    """One direction of a session."""

    def __init__(self, limits: Limits) -> None:
        # Lenient: reserved event names are said by some servers, and a capture shows what was said.
        self.decoder = Decoder(limits=limits, lenient=True)
        self.msgpack = MsgpackDecoder(limits=limits, lenient=True)
        self.unfinished: _Unfinished | None = None


class Transcriber:
    """Makes lines of what crossed the wire in one session, number `session`; `url` is its URL, for the line that opens it.

    Every method returns the lines that are finished by now, in their order.
    """

    def __init__(self, session: int, *, url: str = "", again: int | None = None, limits: Limits = DEFAULT_LIMITS, max_held: int = MAX_HELD) -> None:
        self.session = session
        self._url = url
        self._again = again
        self._limits = limits
        self._max_held = max_held
        self._sides = {direction: _Side(limits) for direction in Direction}
        self._queue: deque[Line | _Unfinished] = deque()

    def body(self, time: float | None, direction: Direction, body: str | bytes) -> list[Line]:
        """Take a polling body; each packet in it is read by itself, so one that cannot be hides no other."""
        pieces: Sequence[str | bytes] = ()
        if body:
            pieces = body.split(SEPARATOR) if isinstance(body, str) else body.split(SEPARATOR.encode())
        for piece in pieces:
            text = _text_of(piece)
            if isinstance(text, str):
                self._piece(time, direction, Transport.POLLING, text)
            else:
                self._queue.append(self._undecoded(time, direction, Transport.POLLING, text, Cause.BAD_UTF8))
        return self._ready()

    def frame(self, time: float | None, direction: Direction, data: str | bytes) -> list[Line]:
        """Take a WebSocket message."""
        self._piece(time, direction, Transport.WEBSOCKET, data)
        return self._ready()

    def packet(self, time: float | None, direction: Direction, transport: Transport, packet: Packet) -> list[Line]:
        """Take one Engine.IO packet."""
        self._take(time, direction, transport, packet)
        return self._ready()

    def opened(self, time: float | None, transport: Transport, url: str, packet: Packet) -> list[Line]:
        """Take the open packet, of a session at `url`."""
        self._url = url
        return self.packet(time, Direction.DOWN, transport, packet)

    def other(self, line: Line) -> list[Line]:
        """Take a line that is made already, to stand in its place among the others."""
        self._queue.append(line)
        return self._ready()

    def finish(self) -> list[Line]:
        """Return everything that is still held: the session is over, and what is not finished will not be."""
        for direction in Direction:
            self._give_up(direction)
        return self._ready()

    # ------------------------------------------------------------------------------------------------------------------------------- one packet

    def _piece(self, time: float | None, direction: Direction, transport: Transport, data: str | bytes) -> None:
        try:
            packet = decode_packet(data)
        except DecodeError as error:
            self._queue.append(self._undecoded(time, direction, transport, data, error.code))
        else:
            self._take(time, direction, transport, packet)

    def _take(self, time: float | None, direction: Direction, transport: Transport, packet: Packet) -> None:
        if packet.type is PacketType.MESSAGE:
            self._message(time, direction, transport, packet.data)
        elif packet.type is PacketType.OPEN and direction is Direction.DOWN:
            self._queue.append(self._open(time, transport, str(packet.data)))
        else:
            line = EnginePacket(session=self.session, time=time, direction=direction, transport=transport, type=packet.type, data=str(packet.data))
            self._queue.append(line)

    def _open(self, time: float | None, transport: Transport, data: str) -> Line:
        try:
            fields = decode_json(data, max_depth=self._limits.max_depth, max_integer_digits=self._limits.max_integer_digits)
        except JSONError as error:
            return self._undecoded(time, Direction.DOWN, transport, f"0{data}", error.code)
        if not isinstance(fields, dict) or not isinstance(fields.get("sid"), str):
            return self._undecoded(time, Direction.DOWN, transport, f"0{data}", Cause.MISSING_SID)
        sid = fields.pop("sid")
        return SessionOpened(session=self.session, time=time, url=self._url, transport=transport, sid=sid, handshake=fields, again=self._again)

    def _message(self, time: float | None, direction: Direction, transport: Transport, data: str | bytes) -> None:
        side = self._sides[direction]
        if isinstance(data, str):
            # Text where an attachment is due: the packet before it will not be finished any more, and this one is as good as any.
            self._give_up(direction)
            self._text(side, time, direction, transport, data)
        elif side.unfinished is not None:
            self._attachment(side, side.unfinished, direction, data)
        else:
            self._packed(side, time, direction, transport, data)

    def _text(self, side: _Side, time: float | None, direction: Direction, transport: Transport, data: str) -> None:
        try:
            packet = side.decoder.feed(data)
        except DecodeError as error:
            self._queue.append(self._undecoded(time, direction, transport, f"4{data}", error.code))
            return
        if packet is None:
            side.unfinished = _Unfinished(time, transport, data)
            self._queue.append(side.unfinished)
        else:
            self._queue.append(self._line(time, direction, transport, packet))

    def _attachment(self, side: _Side, unfinished: _Unfinished, direction: Direction, data: bytes) -> None:
        unfinished.attachments.append(data)
        try:
            packet = side.decoder.feed(data)
        except DecodeError as error:
            self._give_up(direction, error.code)
            return
        if packet is not None:
            unfinished.lines = [self._line(unfinished.time, direction, unfinished.transport, packet)]
            side.unfinished = None

    def _packed(self, side: _Side, time: float | None, direction: Direction, transport: Transport, data: bytes) -> None:
        try:
            packet = side.msgpack.feed(data)
        except DecodeError:
            # Bytes of no parser: which of the two errors helps depends on what the session speaks, and that nobody awaited them is always true.
            self._queue.append(self._undecoded(time, direction, transport, data, Cause.UNEXPECTED_BINARY))
        else:
            assert packet is not None, "every message of this parser is a whole packet"
            self._queue.append(self._line(time, direction, transport, packet, "msgpack"))

    def _give_up(self, direction: Direction, error: str = INCOMPLETE) -> None:
        """Write down what is there of a packet that will not be finished, in its place."""
        side = self._sides[direction]
        unfinished = side.unfinished
        if unfinished is None:
            return
        side.unfinished = None
        side.decoder.reset()
        pieces: list[str | bytes] = [f"4{unfinished.text}", *unfinished.attachments]
        unfinished.lines = [self._undecoded(unfinished.time, direction, unfinished.transport, piece, error) for piece in pieces]

    def _line(self, time: float | None, direction: Direction, transport: Transport, packet: SocketIO, parser: str = "default") -> SocketIOPacket:
        return SocketIOPacket(
            session=self.session,
            time=time,
            direction=direction,
            transport=transport,
            type=packet.type,
            namespace=packet.namespace,
            id=packet.id,
            data=packet.data,
            parser=parser,
        )

    def _undecoded(self, time: float | None, direction: Direction, transport: Transport, data: str | bytes, error: str) -> Undecoded:
        return Undecoded(session=self.session, time=time, direction=direction, transport=transport, data=data, error=str(error))

    # ----------------------------------------------------------------------------------------------------------------------------- what is ready

    def _ready(self) -> list[Line]:
        if len(self._queue) > self._max_held:
            for direction in Direction:
                self._give_up(direction)
        ready: list[Line] = []
        while self._queue:
            first = self._queue[0]
            if not isinstance(first, _Unfinished):
                ready.append(first)
            elif first.lines is not None:
                ready += first.lines
            else:
                break
            self._queue.popleft()
        return ready


def _text_of(piece: str | bytes) -> str | bytes:
    """A piece of a polling body as the text that it ought to be; bytes if they are none."""
    try:
        return piece if isinstance(piece, str) else piece.decode()
    except UnicodeDecodeError:
        return piece
