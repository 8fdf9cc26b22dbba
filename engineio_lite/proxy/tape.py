"""What the proxy saw, as the lines of a capture: requests and WebSockets go in, sessions come out.

One session is spread over many requests and a WebSocket, of which each knows no more than the ``sid`` in its URL. `Tape` keeps the sessions and gives
what belongs to one to its `Transcriber`. It is told what happened in the order in which it did at the proxy, which is the order of the lines: a POST
counts when its body is complete here, before it goes on to the server; a GET when its answer is; a WebSocket's message when it passes.

The tape knows neither files nor sockets nor clocks: lines go to a function, times come as arguments, in seconds since the capture began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.capture.redactor import Redactor
from engineio_lite.capture.transcriber import Transcriber
from engineio_lite.exceptions import MAX_EVIDENCE_BYTES
from engineio_lite.inputs import Headers
from engineio_lite.payload import SEPARATOR
from engineio_lite.proxy.encodings import Encoded, decode_body
from engineio_lite.state import CloseReason, Transport

MAX_SESSIONS: Final = 10_000
"""Sessions that are remembered; beyond it the one that was opened first is forgotten, and what still comes of it is a session of its own."""

_PROTOCOL: Final = frozenset(("EIO", "transport", "sid", "t", "b64", "j"))
"""Parameters of a URL that belong to the protocol, and not to whoever wrote the URL."""

_TRANSPORTS: Final = frozenset(("polling", "websocket"))

_PACKETS: Final = (SocketIOPacket, EnginePacket, Undecoded, SessionOpened)

_WHO: Final = {Direction.UP: "client", Direction.DOWN: "server"}


class _Session:
    """One Engine.IO session: how far it is, as far as lines depend on it."""

    def __init__(self, number: int, url: str, transport: Transport) -> None:
        self.number = number
        self.transcriber = Transcriber(number, url=url)
        self.transport = transport
        self.is_open = False
        self.is_over = False
        self.leaving: Direction | None = None


class Tape:
    """The sessions that pass; `write` takes each line, in order.

    `origin` is the server's, for URLs. With a `path`, what is requested there is recorded, and nothing else; without one, whatever looks like
    Engine.IO by its query, at any path. `sessions` and `packets` count what was seen.
    """

    def __init__(self, write: Callable[[Line], None], *, origin: str, path: str | None, redactor: Redactor) -> None:
        self._write = write
        self._origin = origin
        self._path = path
        self._redactor = redactor
        self._sessions: dict[str, _Session] = {}
        self._open: dict[int, _Session] = {}
        self._is_finished = False
        self.sessions = 0
        self.packets = 0

    def wants(self, target: str) -> bool:
        """Whether a request is to be recorded, by what it asks for."""
        parts = urlsplit(target)
        if self._path is not None:
            return parts.path.rstrip("/") == self._path.rstrip("/")
        query = parse_qs(parts.query)
        return "EIO" in query or bool(_TRANSPORTS.intersection(query.get("transport", ())))

    def request(self, method: str, target: str, headers: Headers) -> Request:
        """A request that is to be recorded has come."""
        self._redactor.learn_headers(headers)
        return Request(self, method, target)

    def learn(self, headers: Headers) -> None:
        """Learn what an answer's headers hold of secrets."""
        self._redactor.learn_headers(headers)

    def finish(self, time: float) -> None:
        """The recording is over: what is still held is written, and that it was not over for some. Nothing is taken any more."""
        for session in tuple(self._open.values()):
            self._emit(session.transcriber.finish())
            self._emit([Note(session=session.number, time=time, what="open", text="the session was open when the recording ended")])
        self._is_finished = True

    # --------------------------------------------------------------------------------------------------------------- for requests and sockets

    def url(self, target: str) -> str:
        """The URL of a target at the server."""
        return self._origin + target if target.startswith("/") else target

    def session_url(self, target: str) -> str:
        """The same without what is the protocol's."""
        parts = urlsplit(self.url(target))
        kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in _PROTOCOL]
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "&".join(kept), ""))

    def find(self, sid: str | None) -> _Session | None:
        """The session with this id, if it is known."""
        return None if sid is None else self._sessions.get(sid)

    def begin(self, target: str, transport: Transport) -> _Session:
        """A session that has the next number."""
        self.sessions += 1
        session = self._open[self.sessions] = _Session(self.sessions, self.session_url(target), transport)
        return session

    def begin_in_the_middle(self, time: float, sid: str, target: str, transport: Transport) -> _Session:
        """A session that was opened before the recording was, or so long ago that it is forgotten."""
        session = self.begin(target, transport)
        self._know(sid, session)
        self.note(session, time, "gap", "the recording began when this session was open already: what was said before is not here")
        return session

    def _know(self, sid: str, session: _Session) -> None:
        session.is_open = True
        self._sessions[sid] = session
        if len(self._sessions) > MAX_SESSIONS:
            oldest = next(iter(self._sessions))
            forgotten = self._sessions.pop(oldest)
            self._open.pop(forgotten.number, None)
            self._emit(forgotten.transcriber.finish())

    def taken(self, session: _Session, lines: list[Line]) -> None:
        """Write what became of something that was said in a session."""
        for line in lines:
            if isinstance(line, SessionOpened) and not session.is_open:
                self._know(line.sid, session)
        self._emit(lines)

    def opened_by(self, time: float, target: str, body: bytes) -> _Session | None:
        """The session that the answer to a request without an id opens; None if it opens none."""
        trial = Transcriber(self.sessions + 1, url=self.session_url(target))
        lines = trial.body(time, Direction.DOWN, body)
        if not any(isinstance(line, SessionOpened) for line in lines):
            return None
        session = self.begin(target, Transport.POLLING)
        session.transcriber = trial
        self.taken(session, lines)
        return session

    def note(self, session: _Session | None, time: float, what: str, text: str) -> None:
        """Write a remark."""
        self.put(session, Note(session=0 if session is None else session.number, time=time, what=what, text=text))

    def put(self, session: _Session | None, line: Line) -> None:
        """Write a line that is no packet, in its place among those of its session."""
        self._emit([line] if session is None else session.transcriber.other(line))

    def left(self, session: _Session, direction: Direction) -> None:
        """One side has said that it leaves."""
        session.leaving = session.leaving or direction

    def over(self, session: _Session, time: float, by: Direction | None, code: int | None = None, reason: CloseReason | None = None) -> None:
        """The session has ended."""
        if session.is_over:
            return
        session.is_over = True
        self._open.pop(session.number, None)
        self._emit(session.transcriber.finish())
        by = session.leaving or by
        if session.leaving is not None:
            reason = CloseReason.CLIENT_CLOSE if by is Direction.UP else CloseReason.SERVER_CLOSE
        who = "unknown" if by is None else _WHO[by]
        self._emit([SessionEnded(session=session.number, time=time, by=who, code=code, reason=str(reason or CloseReason.TRANSPORT_CLOSE))])

    def _emit(self, lines: list[Line]) -> None:
        if self._is_finished:
            return
        for line in lines:
            self.packets += isinstance(line, _PACKETS)
            self._write(line)


class Request:
    """One request that is recorded, from its head to what became of it."""

    def __init__(self, tape: Tape, method: str, target: str) -> None:
        self._tape = tape
        self._method = method
        self._target = target
        query = parse_qs(urlsplit(target).query)
        self._sid = query.get("sid", [None])[0]
        self._transport = Transport.WEBSOCKET if query.get("transport", [""])[0] == "websocket" else Transport.POLLING
        self._is_version_3 = query.get("EIO", [""])[0] == "3"
        self._unclaimed: Encoded | None = None
        self._session = tape.find(self._sid)
        self._left: Direction | None = None

    def body(self, time: float, body: Encoded) -> None:
        """Its own body is complete."""
        if self._method != "POST":
            return
        if self._session is None:
            self._unclaimed = body  # whose it is shows when the server takes it
        else:
            self._said(self._session, time, Direction.UP, body)

    def _said(self, session: _Session, time: float, direction: Direction, body: Encoded) -> None:
        """Take a body in which something was said."""
        plain = decode_body(body)
        if isinstance(plain, str):
            self._tape.note(session, time, "gap", f"the body of a {self._method} is not here: {plain}")
            return
        if b"1" in plain.split(SEPARATOR.encode()):
            self._left = direction
            self._tape.left(session, direction)
        self._tape.taken(session, session.transcriber.body(time, direction, plain))

    def answered(self, time: float, status: int, headers: Headers, body: Encoded) -> None:
        """Its answer is complete."""
        if status == 200 and self._method in ("GET", "POST"):
            self._accepted(time, headers, body)
        elif self._method != "OPTIONS" or status >= 400:  # whether a page of another origin may ask is no part of the conversation
            self._refused(time, status, headers, body)
        if self._session is not None and self._method == "GET" and status >= 400 and self._session.transport is Transport.POLLING:
            self._tape.over(self._session, time, Direction.DOWN, reason=CloseReason.TRANSPORT_ERROR)
        self._end(time)

    def _accepted(self, time: float, headers: Headers, body: Encoded) -> None:
        if self._session is None and self._sid is None:
            plain = decode_body(body)
            self._session = None if isinstance(plain, str) or self._method != "GET" else self._tape.opened_by(time, self._target, plain)
            if self._session is None:
                self._refused(time, 200, headers, body)
                return
            return
        if self._session is None:
            assert self._sid is not None
            self._session = self._tape.find(self._sid) or self._tape.begin_in_the_middle(time, self._sid, self._target, Transport.POLLING)
        if self._unclaimed is not None:
            self._said(self._session, time, Direction.UP, self._unclaimed)
        if self._method == "GET":
            self._said(self._session, time, Direction.DOWN, body)

    def _refused(self, time: float, status: int, headers: Headers, body: Encoded) -> None:
        """An answer that is no part of a session that works."""
        plain = decode_body(body)
        shown = f"({plain})" if isinstance(plain, str) else plain[:MAX_EVIDENCE_BYTES].decode(errors="replace")
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        self._put(time, status, kind, shown)
        if self._is_version_3:
            self._tape.note(self._session, time, "engineio-3", "the client speaks Engine.IO 3, as Socket.IO 2 does; only version 4 is read here")

    def _put(self, time: float, status: int, content_type: str = "", body: str = "") -> None:
        number = 0 if self._session is None else self._session.number
        line = HttpAnswer(
            session=number,
            time=time,
            method=self._method,
            url=self._tape.url(self._target),
            transport=self._transport,
            status=status,
            content_type=content_type,
            body=body,
        )
        self._tape.put(self._session, line)

    def failed(self, time: float, status: int, why: str) -> None:
        """The server could not be reached, or went away without an answer; `status` is what the client was told, 0 for nothing."""
        self._put(time, status)
        self._tape.note(self._session, time, "upstream", why)
        self._end(time)

    def abandoned(self, time: float) -> None:
        """The client went away before the answer was complete."""
        self._put(time, 0)
        self._tape.note(self._session, time, "abandoned", f"the client went away before its {self._method} was answered")
        self._end(time)

    def _end(self, time: float) -> None:
        """It is over: and so is a session that was left by it, though a GET may still be open, which a python-engineio server never answers then."""
        if self._left is not None:
            assert self._session is not None
            self._tape.over(self._session, time, self._left)

    def upgraded(self, time: float) -> Socket:
        """It has become a WebSocket."""
        if self._session is None and self._sid is not None:
            self._session = self._tape.find(self._sid) or self._tape.begin_in_the_middle(time, self._sid, self._target, Transport.WEBSOCKET)
        elif self._session is None:
            self._session = self._tape.begin(self._target, Transport.WEBSOCKET)
        self._tape.put(self._session, SocketChanged(session=self._session.number, time=time, change="open"))
        return Socket(self._tape, self._session)


class Socket:
    """One WebSocket that is recorded, from its opening to its end."""

    def __init__(self, tape: Tape, session: _Session) -> None:
        self._tape = tape
        self._session = session
        self._is_closed = False

    def message(self, time: float, direction: Direction, data: str | bytes) -> None:
        """A message passes."""
        session = self._session
        if data == "5" and direction is Direction.UP:
            session.transport = Transport.WEBSOCKET
        elif data == "1":
            self._tape.left(session, direction)
        self._tape.taken(session, session.transcriber.frame(time, direction, data))

    def lost(self, time: float, direction: Direction, why: str) -> None:
        """Something passes that cannot be read."""
        said = "the client's" if direction is Direction.UP else "the server's"
        self._tape.note(self._session, time, "gap", f"of {said} messages some are not here: {why}")

    def closed(self, time: float, by: Direction | None, code: int | None, reason: str) -> None:
        """It has ended; only the first time counts."""
        if self._is_closed:
            return
        self._is_closed = True
        session = self._session
        self._tape.put(session, SocketChanged(session=session.number, time=time, change="closed", by=by, code=code, reason=reason))
        if session.transport is Transport.WEBSOCKET:
            if not session.is_open:
                self._tape.note(session, time, "unopened", "the WebSocket ended before the server opened a session on it")
            self._tape.over(session, time, by, code)
