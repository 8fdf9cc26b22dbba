"""From the wire to the packets: the conversation that a record of the door tells.

The wire has everything that the packets need, so this is a mere reading: which request was a GET and which a POST, which answers belong to a session
that works, what the session table made of it in the end. The packets themselves are read by a `Transcriber`, as those of every other tool are, so the
same conversation gives the same lines.

A session gets its number when its open packet comes, in that order; what happened before, and connections that never got so far, belong to number 0.
One that follows after a loss, at the same door, is told as the next (`again`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from engineio_lite.capture.lines import Direction, Door, Head, HttpAnswer, Line, Note, Passage, SessionEnded, SocketChanged
from engineio_lite.capture.passages import decode_bytes, decode_data
from engineio_lite.capture.transcriber import Transcriber
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.handshake import normalize_url
from engineio_lite.inputs import (
    FrameReceived,
    Headers,
    Input,
    RequestFailed,
    ResponseReceived,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import PacketType, decode_packet
from engineio_lite.payload import SEPARATOR
from engineio_lite.state import CloseReason, Transport

UP: Final = Direction.UP
DOWN: Final = Direction.DOWN

_ENDED_BY: Final = {
    CloseReason.SERVER_CLOSE.value: "server",
    CloseReason.TRANSPORT_CLOSE.value: "server",
    CloseReason.CLIENT_CLOSE.value: "client",
    CloseReason.PARSE_ERROR.value: "client",
    CloseReason.PING_TIMEOUT.value: "client",
}
"""Who ended a session, by the reason of its end; of a transport that broke nobody knows."""

_VANISHED: Final = 1006
"""Never travels: what a close is called that nobody announced."""


def derive(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines of packet level that follow from those of wire level; others pass. Times count from the first passage."""
    deriver = Deriver()
    for line in lines:
        yield from deriver.line(line)
    yield from deriver.finish()


class Deriver:
    """Reads the wire of one capture, line by line, as it is recorded; `start` is the instant from which time counts, the first passage's if None."""

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._opened = 0
        self._wires: dict[int, _Wire] = {}
        self._lost: dict[tuple[str, str], int] = {}
        """Where a session was lost that nobody ended on purpose: its number."""

    def line(self, line: Line) -> list[Line]:
        """Take one line; return what it tells."""
        if isinstance(line, Door):
            self._wires[line.session] = _Wire(line, self)
            return []
        if not isinstance(line, Passage):
            return [] if isinstance(line, Head) else [line]
        if self._start is None:
            self._start = line.at
        wire = self._wires.get(line.session)
        if wire is None:
            wire = self._wires[line.session] = _Wire(Door(session=line.session, url="", transports=()), self)
        return wire.passage(line, line.at - self._start)

    def finish(self) -> list[Line]:
        """Return what is still held: the capture is over."""
        return [line for wire in self._wires.values() for line in wire.finish()]

    def open(self, door: Door) -> Transcriber:
        """A session was opened."""
        self._opened += 1
        return Transcriber(self._opened, again=self._lost.pop((door.url, door.default_path), None))

    def lost(self, door: Door, session: int) -> None:
        """A session ended that may be followed by another."""
        self._lost[door.url, door.default_path] = session


class _Wire:
    """What is known of one connection: its requests, its socket, and once it is open its session."""

    def __init__(self, door: Door, deriver: Deriver) -> None:
        self._door = door
        self._url = _url(door)
        self._deriver = deriver
        self._transcriber: Transcriber | None = None
        self._methods: dict[int, str] = {}
        self._socket = 0
        self._socket_is_open = False
        self._code: int | None = None
        self._lines: list[Line] = []
        self._now = 0.0

    def passage(self, passage: Passage, now: float) -> list[Line]:
        self._now = now
        self._lines = []
        self._input(passage.input)
        for output in passage.outputs:
            self._output(output)
        return self._lines

    def finish(self) -> list[Line]:
        return self._transcriber.finish() if self._transcriber is not None else []

    @property
    def _session(self) -> int:
        return self._transcriber.session if self._transcriber is not None else 0

    def _tell(self, line: Line) -> None:
        self._lines += [line] if self._transcriber is None else self._transcriber.other(line)

    # ----------------------------------------------------------------------------------------------------------------------------- what went in

    def _input(self, input: Input) -> None:
        match input:
            case ResponseReceived(request, status, headers, body):
                self._response(self._methods.pop(request, "GET"), status, headers, body)
            case RequestFailed(request, cause, detail):
                self._answer(self._methods.pop(request, "GET"), 0, body=f"{cause}: {detail}".encode())
            case FrameReceived(socket, data):
                self._frame(socket, data)
            case WebSocketOpened():
                self._socket_is_open = True
                if self._transcriber is not None:
                    self._tell_socket_opened()
            case WebSocketRefused(_, status, headers, body):
                self._answer("GET", status, headers, body, Transport.WEBSOCKET)
            case WebSocketFailed(_, cause, detail):
                if not self._socket_is_open:
                    self._answer("GET", 0, body=f"{cause}: {detail}".encode(), transport=Transport.WEBSOCKET)
                else:
                    self._tell_socket_closed(None, None, f"{cause}: {detail}")
            case WebSocketClosed(_, code, reason):
                self._code = code
                self._tell_socket_closed(DOWN, code, reason)

    def _response(self, method: str, status: int, headers: Headers, body: bytes) -> None:
        if status != 200:
            self._answer(method, status, headers, body)
        elif method == "GET":
            if self._transcriber is not None:
                self._lines += self._transcriber.body(self._now, DOWN, body)
            else:
                self._first_body(headers, body)

    def _first_body(self, headers: Headers, body: bytes) -> None:
        first, _, rest = body.partition(SEPARATOR.encode())
        if not self._open(Transport.POLLING, first.decode(errors="replace")):
            self._answer("GET", 200, headers, body)
        elif self._transcriber is not None and rest:
            self._lines += self._transcriber.body(self._now, DOWN, rest)

    def _frame(self, socket: int, data: str | bytes) -> None:
        if socket != self._socket:
            text = "a frame came on a WebSocket that had been given up"
            self._tell(Note(session=self._session, time=self._now, what="late", text=text))
        elif self._transcriber is not None:
            self._lines += self._transcriber.frame(self._now, DOWN, data)
        elif not self._open(Transport.WEBSOCKET, data):
            text = "the first frame was no open packet"
            self._tell(Note(session=0, time=self._now, what="not-engineio", text=text))

    def _open(self, transport: Transport, data: str | bytes) -> bool:
        """Take what ought to be the open packet; whether it is one."""
        try:
            packet = decode_packet(data)
        except DecodeError:
            return False
        if packet.type is not PacketType.OPEN:
            return False
        self._transcriber = self._deriver.open(self._door)
        self._lines += self._transcriber.opened(self._now, transport, self._url, packet)
        if self._socket_is_open:
            self._tell_socket_opened()
        return True

    def _answer(self, method: str, status: int, headers: Headers = (), body: bytes = b"", transport: Transport = Transport.POLLING) -> None:
        content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        self._tell(
            HttpAnswer(
                session=self._session,
                time=self._now,
                method=method,
                url=self._url,
                transport=transport,
                status=status,
                content_type=content_type,
                body=body.decode(errors="replace"),
            )
        )

    def _tell_socket_opened(self) -> None:
        # Of a session that began on it this is a moment late: it stands behind the session's first line, and time does not go back.
        self._tell(SocketChanged(session=self._session, time=self._now, change="open"))

    def _tell_socket_closed(self, by: Direction | None, code: int | None, reason: str) -> None:
        self._socket_is_open = False
        self._tell(SocketChanged(session=self._session, time=self._now, change="closed", by=by, code=code, reason=reason))

    # ---------------------------------------------------------------------------------------------------------------------------- what came out

    def _output(self, output: Any) -> None:
        match output:
            case {"is": "Poll", "request": int(request)}:
                self._methods[request] = "GET"
            case {"is": "Post", "request": int(request), "body": body}:
                self._methods[request] = "POST"
                if self._transcriber is not None:
                    self._lines += self._transcriber.body(self._now, UP, decode_bytes(body, "Post.body"))
            case {"is": "OpenWebSocket", "socket": int(socket)}:
                self._socket = socket
                self._socket_is_open = False
            case {"is": "SendFrame", "data": data} if self._transcriber is not None:
                self._lines += self._transcriber.frame(self._now, UP, decode_data(data, "SendFrame.data"))
            case {"is": "CloseTransport", "transport": "websocket"} if self._socket_is_open:
                self._tell_socket_closed(UP, None, "")
            case {"is": "UpgradeFailed", "error": {"cause": cause, "message": message}}:
                self._tell(Note(session=self._session, time=self._now, what="upgrade-failed", text=f"{cause}: {message}"))
            case {"is": "PollingStuck", "polls": polls}:
                self._tell(Note(session=self._session, time=self._now, what="polling-stuck", text=f"{polls} polls were answered with nothing"))
            case {"is": "Closed", "reason": str(reason), **rest}:
                self._ended(reason, rest.get("error"))

    def _ended(self, reason: str, error: Any) -> None:
        transcriber = self._transcriber
        if transcriber is None:
            return  # it never was a session; what was refused has been told
        self._lines += transcriber.finish()
        why = f"{reason}: {error['cause']}" if isinstance(error, dict) and "cause" in error else reason
        by = "unknown" if self._code == _VANISHED else _ENDED_BY.get(reason, "unknown")
        self._tell(SessionEnded(session=transcriber.session, time=self._now, by=by, code=self._code, reason=why))
        if reason != CloseReason.CLIENT_CLOSE:
            self._deriver.lost(self._door, transcriber.session)


def _url(door: Door) -> str:
    """The URL of a door's session; as it is, if it is none."""
    try:
        return normalize_url(door.url, default_path=door.default_path)
    except LocalProtocolError:
        return door.url
