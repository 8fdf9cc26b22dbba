"""From what was seen to what was said: one capture of the recordings of one or more files.

The same steps for every format. Requests are sorted into sessions (`sessions.py`), the moves of each session into an order in which they can have
happened (`order.py`), packets into lines (`Transcriber`). What was not recorded is not passed over: a body that is missing, a session whose opening
is, a WebSocket whose messages are, each leaves a note ``gap``, because a replay across a gap would lose events in silence.

The rest is judgement, and said in notes: which session follows which after a reconnect, who ended it, that it was still open, that two files saw the
same one. Refusals and errors become lines of their own. Nothing is merged and nothing left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from engineio_lite.capture.importers.order import Move, in_causal_order, probe_first
from engineio_lite.capture.importers.sessions import Request, Session, opened_at, opened_sid, sort_requests
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
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.capture.transcriber import INCOMPLETE, Transcriber
from engineio_lite.packet import PacketType as EnginePacketType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

GAP: Final = "gap"
OPEN: Final = "open"
SWITCHED: Final = 101

_CLOSE: Final = "1"
_PING: Final = "2"
_NOOP: Final = "6"
_LEAVING: Final = (_CLOSE, "41")
"""What ends a session: Engine.IO's own packet, and the DISCONNECT of the main namespace."""

_SID: Final = re.compile(rb'"sid":"([^"]+)"')

MAX_SHOWN_BODY: Final = 4096
"""Bytes of an error's body that a line keeps: any JSON error whole, of a web page the head."""

_FIRST_DAY: Final = 86_400.0
"""Seconds of the epoch's first day: a recording of that day is one without a clock."""

_RECOVERY: Final = frozenset(("pid", "offset"))
"""What a client adds to its auth payload to get a lost session back; a reconnect has it, what it follows had not."""


class Reconstruction(msgspec.Struct, frozen=True, kw_only=True):
    """A capture: its lines without a head, when it began (ISO 8601, UTC; empty if nothing tells), of which formats, and what to warn of."""

    lines: tuple[Line, ...]
    at: str
    source: str
    warnings: tuple[str, ...] = ()


def reconstruct(*traces: Trace) -> Reconstruction:
    """Make one capture of what was seen in one or more files.

    Sessions are numbered in the order in which they were opened, over all files.
    """
    found = sort_requests(traces)
    built = [
        _Builder(number, session, may_lack_sockets=traces[session.file].may_lack_sockets).lines() for number, session in enumerate(found.sessions, 1)
    ]
    _link(found.sessions, built)
    loose = [*map(_refusal, found.others), *_version_3(found.version_3)]
    lines = sorted((line for session in [*built, loose] for line in session), key=_time)
    began = _time(lines[0]) if lines else 0.0
    return Reconstruction(
        lines=tuple(msgspec.structs.replace(line, time=round(_time(line) - began, 6)) for line in lines),
        at=_iso(began),
        source="+".join(dict.fromkeys(trace.source for trace in traces)),
        warnings=tuple(warning for trace in traces for warning in trace.warnings),
    )


def _time(line: Line) -> float:
    time = getattr(line, "time", None)
    assert isinstance(time, int | float), "every line that is made here has a time"
    return time


def _iso(seconds: float) -> str:
    if seconds < _FIRST_DAY:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""


# --- one session


class _Builder:
    """Makes the lines of one session."""

    def __init__(self, number: int, session: Session, *, may_lack_sockets: bool) -> None:
        self._number = number
        self._session = session
        self._may_lack_sockets = may_lack_sockets

    def lines(self) -> list[Line]:
        transcriber = Transcriber(self._number, url=self._session.url)
        lines: list[Line] = []
        for move in self._moves():
            if move.body is not None:
                lines += transcriber.body(move.time, move.direction, move.body)
            elif move.message is not None:
                lines += transcriber.frame(move.time, move.direction, move.message)
            else:
                assert move.line is not None, "a move is one of the three"
                lines += transcriber.other(move.line)
        lines = self._ended([*lines, *transcriber.finish()])
        return [*self._doubted(lines), *self._left_open(lines)]

    def _moves(self) -> list[Move]:
        opening = self._session.opening
        first: list[Move] = []
        if opening is None:
            first = [self._note(self._session.opened, GAP, "the opening of this session was not recorded")]
        elif isinstance(opening.item, Exchange):
            first = list(self._answered(opening, opening.item))
        requests = sorted(self._session.requests, key=lambda request: (request.item.started, request.place))
        polls = [(request, item) for request in requests if isinstance(item := request.item, Exchange) and request is not opening]
        posts = [move for request, item in polls if item.method == "POST" for move in self._posted(request, item)]
        gets = [move for request, item in polls if item.method != "POST" for move in self._answered(request, item)]
        sockets = [list(self._carried(request, item)) for request in requests if isinstance(item := request.item, Socket)]
        moves = in_causal_order([posts, gets], sockets, first=first)
        if not sockets:
            moves += self._unrecorded_upgrade(moves)
        return moves

    def _note(self, time: float, what: str, text: str) -> Move:
        return Move(time, Direction.DOWN, line=Note(session=self._number, time=time, what=what, text=text))

    # ----------------------------------------------------------------------------------------------------------------------------------- polling

    def _answered(self, request: Request, item: Exchange) -> Iterator[Move]:
        """What came down by a GET, or what another method was answered."""
        time = opened_at(item)
        if item.method != "GET" and item.status < 400:
            return  # what browsers ask before they ask
        if item.status == 200 and item.answer is None:
            yield self._note(time, GAP, "the answer to a GET was not recorded")
        elif item.status in (0, 200) and item.answer and not _is_page(item):
            # An answer without a status was still on its way when the entry was written, and there when its body was.
            yield Move(time, Direction.DOWN, body=item.answer)
        elif item.status != 200 or item.answer:
            yield Move(time, Direction.DOWN, line=_answer(self._number, request))

    def _posted(self, request: Request, item: Exchange) -> Iterator[Move]:
        if item.body is None:
            yield self._note(item.started, GAP, "the body of a POST was not recorded")
        elif item.body:
            yield Move(item.started, Direction.UP, body=item.body)
        if item.status != 200 or (item.answer is not None and item.answer.lower() != b"ok"):
            yield Move(opened_at(item), Direction.DOWN, line=_answer(self._number, request))

    def _unrecorded_upgrade(self, moves: Sequence[Move]) -> list[Move]:
        """A gap at the end of a session that polled until it was told to upgrade, or not at all, and of whose WebSocket nothing is here."""
        texts = [(move.direction, text) for move in moves if move.body is not None for text in move.texts]
        if not texts or any(text in _LEAVING for _, text in texts):
            return []  # to a client that leaves the server says the same as to one that upgrades
        stopped = [text for direction, text in texts if direction is Direction.DOWN][-1:] == [_NOOP]
        if not stopped and not ('"websocket"' in texts[0][1] and self._polls_no_more(texts)):
            return []
        return [self._note(moves[-1].time, GAP, "the session seems to have gone on over a WebSocket that was not recorded")]

    def _polls_no_more(self, texts: Sequence[tuple[Direction, str]]) -> bool:
        """Say whether no GET followed the one that opened the session, or, where the recorder may lack the WebSocket, the last that was answered.

        A session that has had a heartbeat is past its upgrade: it polls on, and its last GET is only not in the file yet.
        """
        if len(self._session.requests) == 1:
            return True
        gets = [item for request in self._session.requests if isinstance(item := request.item, Exchange) and item.method == "GET"]
        last = max(gets, key=lambda item: item.started, default=None)
        return self._may_lack_sockets and last is not None and last.status == 200 and (Direction.DOWN, _PING) not in texts

    # --------------------------------------------------------------------------------------------------------------------------------- WebSocket

    def _carried(self, request: Request, item: Socket) -> Iterator[Move]:
        opened = item.opened or item.started
        if item.status != SWITCHED and not item.lost:
            yield Move(opened, Direction.DOWN, line=_answer(self._number, request))
            return
        if item.status == SWITCHED:
            yield Move(opened, Direction.DOWN, line=SocketChanged(session=self._number, time=opened, change="open"))
        if item.lost:
            yield self._note(opened, GAP, f"messages of the WebSocket may be missing: {item.lost}")
        time = opened
        for move in probe_first([move for message in item.messages for move in self._message(message)]):
            yield move.not_before(time)
            time = max(time, move.time)
        yield from self._socket_ended(item, time)

    def _message(self, message: Message) -> Iterator[Move]:
        time = message.time or 0.0
        if message.injected:
            yield self._note(time, "injected", "the next message of this WebSocket is no peer's: it was put in by somebody who recorded it")
        yield Move(time, message.direction, message=message.data)

    def _socket_ended(self, item: Socket, time: float) -> Iterator[Move]:
        if item.closed is not None:
            time = max(time, item.closed)
            by, code, reason = item.closed_by, item.code, item.reason
            line = SocketChanged(session=self._number, time=time, change="closed", by=by, code=code, reason=reason)
            yield Move(time, by or Direction.DOWN, line=line)
        elif item.is_open:
            yield self._note(time, OPEN, "the WebSocket was still open when the recording stopped")

    # ----------------------------------------------------------------------------------------------------------------------------------- the end

    def _ended(self, lines: list[Line]) -> list[Line]:
        """The lines with the end of the session among them, where it shows."""
        upgraded = any(_is_upgrade(line) for line in lines)
        polled = self._session.opening is not None and isinstance(self._session.opening.item, Exchange)
        closings = [place for place, line in enumerate(lines) if _closes(line) or (_is_closed(line) and (upgraded or not polled))]
        if not closings:
            return lines
        said = [line for place in closings if isinstance(line := lines[place], EnginePacket)]
        closed = [line for place in closings if isinstance(line := lines[place], SocketChanged)]
        direction = said[0].direction if said else closed[0].by
        by = "unknown" if direction is None else "client" if direction is Direction.UP else "server"
        code, reason = (closed[-1].code, closed[-1].reason) if closed else (None, "")
        time = _time(lines[closings[-1]])
        return [
            *lines[: closings[-1] + 1],
            SessionEnded(session=self._number, time=time, by=by, code=code, reason=reason),
            *lines[closings[-1] + 1 :],
        ]

    def _doubted(self, lines: Sequence[Line]) -> Iterator[Line]:
        """The lines with a gap before each packet whose attachments are not all there, unless a gap has said already that something is missing."""
        if any(isinstance(line, Note) and line.what == GAP for line in lines):
            yield from lines
            return
        before: Line | None = None
        for line in lines:
            if _is_incomplete(line) and not _is_incomplete(before):
                text = "attachments of a packet were not recorded; some recorders leave out empty ones"
                yield Note(session=self._number, time=_time(line), what=GAP, text=text)
            yield line
            before = line

    def _left_open(self, lines: Sequence[Line]) -> Iterator[Line]:
        """A note that the session went on after the recording: its last GET has no answer, and nothing ended it."""
        gets = [request.item for request in self._session.requests if isinstance(request.item, Exchange) and request.item.method == "GET"]
        is_over = any(isinstance(line, SessionEnded) or _is_upgrade(line) for line in lines)
        if lines and gets and not is_over and max(gets, key=lambda item: item.started).status == 0:
            yield Note(session=self._number, time=_time(lines[-1]), what=OPEN, text="the session was still polling when the recording stopped")


def _is_incomplete(line: Line | None) -> bool:
    return isinstance(line, Undecoded) and line.error == INCOMPLETE


def _is_upgrade(line: Line) -> bool:
    return isinstance(line, EnginePacket) and line.type is EnginePacketType.UPGRADE


def _closes(line: Line) -> bool:
    return isinstance(line, EnginePacket) and line.type is EnginePacketType.CLOSE


def _is_closed(line: Line) -> bool:
    return isinstance(line, SocketChanged) and line.change == "closed"


def _is_page(item: Exchange) -> bool:
    """Say whether an answer is a web page, by its type and by how it begins: old servers give every answer the type of one."""
    return "html" in item.content_type and (item.answer or b"").lstrip()[:1] == b"<"


# --- what belongs to no session


def _answer(session: int, request: Request) -> HttpAnswer:
    item = request.item
    is_socket = isinstance(item, Socket)
    return HttpAnswer(
        session=session,
        time=item.started if is_socket else opened_at(item),
        method="GET" if isinstance(item, Socket) else item.method,
        url=request.address.shown_url,
        transport=Transport.WEBSOCKET if is_socket else Transport.POLLING,
        status=item.status,
        content_type=_content_type(item),
        body=(item.answer or b"")[:MAX_SHOWN_BODY].decode("utf-8", "replace"),
    )


def _content_type(item: Exchange | Socket) -> str:
    if isinstance(item, Exchange):
        return item.content_type
    return next((value for name, value in item.answer_headers if name.lower() == "content-type"), "")


def _refusal(request: Request) -> Line:
    item = request.item
    if isinstance(item, Exchange) and item.status == 200 and item.answer is None:
        return Note(session=0, time=opened_at(item), what=GAP, text="the answer to a handshake was not recorded")
    return _answer(0, request)


def _version_3(requests: Sequence[Request]) -> Iterator[Line]:
    """One note for each session of Engine.IO 3."""
    named: set[str] = set()
    for request in requests:
        name = request.address.sid or _sid_within(request.item) or str(request.place)
        if name not in named:
            named.add(name)
            yield Note(session=0, time=request.item.started, what="engineio-3", text="Engine.IO 3: a Socket.IO 2 client, which is not read")


def _sid_within(item: Exchange | Socket) -> str:
    """The name in the open packet of version 3, which polling frames differently and a WebSocket does not."""
    if isinstance(item, Socket):
        return opened_sid(item)
    found = _SID.search(item.answer or b"")
    return found[1].decode("utf-8", "replace") if found else ""


# --- how sessions belong together


class _Visit(msgspec.Struct, frozen=True):
    """What tells a reconnect: where and when a session was, and which namespaces were asked for, each with its first auth payload."""

    place: tuple[str, str]
    began: float
    spoken: float
    joined: dict[str, object]

    def is_followed_by(self, later: _Visit) -> bool:
        """Say whether the later one is a reconnect: after this one, at the same URL, with the same namespaces and auth."""
        return bool(self.joined) and self.place == later.place and self.spoken <= later.began and self.joined == later.joined


def _link(sessions: Sequence[Session], built: list[list[Line]]) -> None:
    """Say which session follows which, and which two files saw alike."""
    visits: list[_Visit] = []
    seen: dict[str, int] = {}
    for number, (session, lines) in enumerate(zip(sessions, built, strict=True)):
        visits.append(_visit(lines))
        same = seen.setdefault(session.sid, number)
        if sessions[same].file != session.file:
            text = f"the same session as session {same + 1}, seen by another file"
            lines.insert(1, Note(session=number + 1, time=_time(lines[0]), what="same", text=text))
            continue
        earlier = (i for i in reversed(range(number)) if sessions[i].file == session.file)
        before = next((i for i in earlier if visits[i].is_followed_by(visits[number])), None)
        if before is not None:
            place, opened = next((place, line) for place, line in enumerate(lines) if isinstance(line, SessionOpened))
            lines[place] = msgspec.structs.replace(opened, again=before + 1)
            # Whoever has connected again had given up, even if the recording shows no end.
            built[before] = [line for line in built[before] if not (isinstance(line, Note) and line.what == OPEN)]


def _visit(lines: Sequence[Line]) -> _Visit:
    opened = next((line for line in lines if isinstance(line, SessionOpened)), None)
    parts = urlsplit("" if opened is None else opened.url)
    # What comes after the last packet, an error or a timeout, does not keep a client from its next session.
    spoken = max((_time(line) for line in lines if isinstance(line, SocketIOPacket)), default=0.0)
    joined = {} if opened is None else _joined(lines)
    return _Visit((parts.netloc, parts.path), _time(lines[0]) if lines else 0.0, spoken, joined)


def _joined(lines: Sequence[Line]) -> dict[str, object]:
    """The namespaces that were asked for, each with the first auth payload."""
    joined: dict[str, object] = {}
    for line in lines:
        if isinstance(line, SocketIOPacket) and line.type is PacketType.CONNECT and line.direction is Direction.UP:
            auth = line.data
            if isinstance(auth, dict):
                auth = {key: value for key, value in auth.items() if key not in _RECOVERY} or msgspec.UNSET
            joined.setdefault(line.namespace, auth)
    return joined
