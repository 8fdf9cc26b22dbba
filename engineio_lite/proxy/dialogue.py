"""One connection of a client through the proxy, as bytes: what came from either side goes in, what goes on to either side comes out.

The proxy keeps one connection to the server for each connection of a client, so everything that belongs to a connection is the same on both sides:
keep-alive, chunks, an upgrade with its key, extensions and frames, the end. Bytes therefore pass as they came, and are merely followed: only heads
are held until they are complete, because names in them are replaced (`upstream.py`). What is to be recorded is told to the tape just before its last
byte is passed on, so that nobody can react to something that is not written yet.

`Dialogue` does no I/O, knows no clock and never waits. Requests may be pipelined; after one that asks for an upgrade nothing is passed on until it is
answered, since nobody knows before whether what follows is a request.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final, NamedTuple

from engineio_lite.capture.lines import Direction
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.proxy.encodings import MAX_BODY, Encoded
from engineio_lite.proxy.frames import Closing, FrameReader, Message, is_compressed
from engineio_lite.proxy.http1 import END_OF_HEAD, MAX_HEAD, Body, Head, Malformed, UntilTheEnd, answer_body, request_body, request_line, status_of
from engineio_lite.proxy.tape import Request, Socket, Tape
from engineio_lite.proxy.upstream import Upstream, name_the_proxy, name_the_server

MAX_HELD: Final = 64 * 1024
"""Bytes of a client that are held while an answer is awaited; then nothing more is read from it."""

MAX_PIPELINED: Final = 100
"""Requests of one connection that wait for their answers; then nothing more is read from the client."""


class Passed(NamedTuple):
    """What goes on to the server and what to the client; `is_last` says that nothing will come any more, and that the client is to be left."""

    up: bytes = b""
    down: bytes = b""
    is_last: bool = False


class _State(Enum):
    HEAD = auto()
    BODY = auto()
    WAITING = auto()
    """For the answer to a request that asks for an upgrade."""
    FRAMES = auto()
    BLIND = auto()
    """Bytes pass, and nobody knows what they are."""


class _Content:
    """A body that is kept for the recording."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MAX_BODY:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def whole(self) -> Encoded:
        return Encoded(b"".join(self._pieces) if self._size <= MAX_BODY else None, self._encoding)


class _Exchange:
    """A request that waits for its answer, or for the rest of it."""

    def __init__(self, method: str, head: Head, ours: str, recorded: Request | None) -> None:
        self.method = method
        self.ours = ours
        self.recorded = recorded
        self.wants_upgrade = "upgrade" in head.tokens("connection") and bool(head.values("upgrade"))
        self.sent = _Content(head.value("content-encoding"))
        self.answer: Head | None = None
        self.status = 0
        self.got = _Content("")


class Dialogue:
    """Both directions of one connection. Times are those of the tape."""

    def __init__(self, tape: Tape, upstream: Upstream) -> None:
        self._tape = tape
        self._upstream = upstream
        self._up_state = self._down_state = _State.HEAD
        self._from_client = b""
        self._from_server = b""
        self._request_body: Body | None = None
        self._answer_body: Body | None = None
        self._asked: _Exchange | None = None
        self._exchanges: deque[_Exchange] = deque()
        self._socket: Socket | None = None
        self._readers: dict[Direction, FrameReader] = {}
        self._closings: dict[Direction, Closing] = {}
        self._first_closing: Direction | None = None
        self._has_answered = False

    @property
    def is_full(self) -> bool:
        """Whether the client is to be kept waiting before more is read from it."""
        waits = self._up_state is _State.WAITING and len(self._from_client) >= MAX_HELD
        return waits or len(self._exchanges) >= MAX_PIPELINED

    # ------------------------------------------------------------------------------------------------------------------------ from the client

    def up(self, time: float, data: bytes) -> Passed:
        """Bytes came from the client."""
        self._from_client += data
        return self._go_on(time, b"")

    def _go_on(self, time: float, down: bytes) -> Passed:
        """Pass on what of the client's bytes can be."""
        passed: list[bytes] = []
        try:
            while (piece := self._next_up(time)) is not None:
                passed.append(piece)
        except _Refused as refused:
            return Passed(b"".join(passed), down + refused.answer, is_last=True)
        return Passed(b"".join(passed), down)

    def _next_up(self, time: float) -> bytes | None:
        """The next bytes for the server, or None if there are none now."""
        data = self._from_client
        if not data or self._up_state is _State.WAITING:
            return None
        if self._up_state is _State.HEAD:
            return self._request_head(time)
        if self._up_state is _State.BODY:
            return self._request_piece(time)
        self._from_client = b""
        if self._up_state is _State.FRAMES:
            self._follow(time, Direction.UP, data)
        return data

    def _request_head(self, time: float) -> bytes | None:
        # Line breaks before a request are passed over, as every server does (RFC 9112, 2.2).
        self._from_client = self._from_client.lstrip(b"\r\n")
        self._refuse_what_is_not_for_us()
        end = self._from_client.find(END_OF_HEAD)
        if end > MAX_HEAD or (end < 0 and len(self._from_client) > MAX_HEAD):
            return self._stop_reading(time, f"the head of a request is larger than {MAX_HEAD} bytes")
        if end < 0:
            return None
        try:
            head = Head(self._from_client[:end])
            method, target = request_line(head)
            body = request_body(head)
        except Malformed as error:
            return self._stop_reading(time, f"a request is no HTTP/1.1: {error}")
        self._from_client = self._from_client[end + len(END_OF_HEAD) :]
        recorded = self._tape.request(method, target, head.headers) if self._tape.wants(target) else None
        exchange = self._asked = _Exchange(method, head, name_the_server(head, self._upstream), recorded)
        self._exchanges.append(exchange)
        self._request_body = body
        self._up_state = _State.BODY
        if body.done:
            self._request_is_complete(time, exchange)
        return head.encode()

    def _refuse_what_is_not_for_us(self) -> None:
        """Two slips that a server could not explain; only where no answer is due that this one would be taken for."""
        if self._exchanges:
            return
        if self._from_client[:1] == _TLS:
            raise _Refused("the client speaks TLS, and the proxy does not: give it a URL with http:// or ws://")
        target = self._from_client.partition(b"\r\n")[0].split(b" ")[1:2]
        if target and b"\r\n" in self._from_client and target[0][:1] not in (b"/", b"*"):
            raise _Refused("this is a reverse proxy: give the client its URL in place of the server's, and not as its proxy")

    def _request_piece(self, time: float) -> bytes:
        assert self._request_body is not None
        assert self._asked is not None
        try:
            content, used = self._request_body.feed(self._from_client)
        except Malformed as error:
            return self._stop_reading(time, f"the body of a request is no HTTP/1.1: {error}")
        piece, self._from_client = self._from_client[:used], self._from_client[used:]
        if self._asked.recorded is not None:
            self._asked.sent.add(content)
        if self._request_body.done:
            self._request_is_complete(time, self._asked)
        return piece

    def _stop_reading(self, time: float, why: str) -> bytes:
        """From here on the client's bytes pass as they are: what to make of them is for the server to say, and nobody else shares the connection."""
        self._tape.note(None, time, "gap", f"{why}; what else comes on its connection is not here")
        self._up_state = _State.BLIND
        data, self._from_client = self._from_client, b""
        return data

    def _request_is_complete(self, time: float, exchange: _Exchange) -> None:
        if exchange.recorded is not None:
            exchange.recorded.body(time, exchange.sent.whole())
        # The answer may have come before the whole request had: then it is decided already.
        waits = exchange.wants_upgrade and exchange in self._exchanges and exchange.status < 200
        self._up_state = _State.WAITING if waits else _State.HEAD

    # ------------------------------------------------------------------------------------------------------------------------ from the server

    def down(self, time: float, data: bytes) -> Passed:
        """Bytes came from the server. What the client has said meanwhile may go on now."""
        self._from_server += data
        passed: list[bytes] = []
        while (piece := self._next_down(time)) is not None:
            passed.append(piece)
        self._has_answered = self._has_answered or bool(passed)
        return self._go_on(time, b"".join(passed))

    def _next_down(self, time: float) -> bytes | None:
        data = self._from_server
        if not data:
            return None
        if self._down_state is _State.HEAD:
            return self._answer_head(time)
        if self._down_state is _State.BODY:
            return self._answer_piece(time)
        self._from_server = b""
        if self._down_state is _State.FRAMES:
            self._follow(time, Direction.DOWN, data)
        return data

    def _answer_head(self, time: float) -> bytes | None:
        end = self._from_server.find(END_OF_HEAD)
        if end < 0 and len(self._from_server) <= MAX_HEAD and self._exchanges:
            return None
        if end < 0 or not self._exchanges:
            return self._give_up_reading(time, "the server said something that is no answer to a request")
        try:
            head = Head(self._from_server[:end])
            exchange, status = self._exchanges[0], status_of(head)
            body = answer_body(head, exchange.method, status)
        except Malformed as error:
            return self._give_up_reading(time, f"the server's answer is no HTTP/1.1: {error}")
        self._from_server = self._from_server[end + len(END_OF_HEAD) :]
        if 100 <= status < 200 and status != 101:
            return head.encode()  # a remark; the answer is still to come
        self._begin_answer(time, exchange, head, status, body)
        name_the_proxy(head, self._upstream, exchange.ours)
        return head.encode()

    def _begin_answer(self, time: float, exchange: _Exchange, head: Head, status: int, body: Body) -> None:
        exchange.answer, exchange.status, self._answer_body = head, status, body
        exchange.got = _Content(head.value("content-encoding"))
        if exchange.recorded is not None:
            self._tape.learn(head.headers)
        if status == 101:
            self._switch(time, exchange, head)
            return
        if self._up_state is _State.WAITING and exchange is self._asked:
            self._up_state = _State.HEAD  # refused: what follows is a request
        self._down_state = _State.BODY
        if body.done:
            self._answer_is_complete(time, exchange)

    def _switch(self, time: float, exchange: _Exchange, head: Head) -> None:
        """The connection is a WebSocket from here on, or something else that is not looked into."""
        self._exchanges.popleft()
        self._up_state = self._down_state = _State.BLIND
        if exchange.recorded is not None and "websocket" in head.tokens("upgrade"):
            self._socket = exchange.recorded.upgraded(time)
            self._up_state = self._down_state = _State.FRAMES
            compressed = is_compressed(head)
            self._readers = {direction: FrameReader(compressed=compressed, limit=DEFAULT_LIMITS.max_frame) for direction in Direction}

    def _answer_piece(self, time: float) -> bytes:
        assert self._answer_body is not None
        exchange = self._exchanges[0]
        try:
            content, used = self._answer_body.feed(self._from_server)
        except Malformed as error:
            return self._give_up_reading(time, f"the body of the server's answer is no HTTP/1.1: {error}")
        piece, self._from_server = self._from_server[:used], self._from_server[used:]
        if exchange.recorded is not None:
            exchange.got.add(content)
        if self._answer_body.done:
            self._answer_is_complete(time, exchange)
        return piece

    def _answer_is_complete(self, time: float, exchange: _Exchange) -> None:
        self._exchanges.popleft()
        self._down_state = _State.HEAD
        if exchange.recorded is not None:
            assert exchange.answer is not None
            exchange.recorded.answered(time, exchange.status, exchange.answer.headers, exchange.got.whole())

    def _give_up_reading(self, time: float, why: str) -> bytes:
        """From here on the server's bytes pass as they are: the client may know better what to make of them."""
        self._down_state = _State.BLIND
        self._fail(time, 0, why)
        if self._up_state is _State.WAITING:
            self._up_state = _State.BLIND
        data, self._from_server = self._from_server, b""
        return data

    # ------------------------------------------------------------------------------------------------------------------------------ WebSockets

    def _follow(self, time: float, direction: Direction, data: bytes) -> None:
        assert self._socket is not None
        for seen in self._readers[direction].feed(data):
            if isinstance(seen, Message):
                self._socket.message(time, direction, seen.data)
            elif isinstance(seen, Closing):
                self._closing(time, direction, seen)
            else:
                self._socket.lost(time, direction, seen.why)

    def _closing(self, time: float, direction: Direction, closing: Closing) -> None:
        self._closings.setdefault(direction, closing)
        self._first_closing = self._first_closing or direction
        if len(self._closings) == len(Direction):
            self._close_socket(time, direction)

    def _close_socket(self, time: float, by: Direction) -> None:
        if self._socket is not None:
            first = self._first_closing
            code, reason = (None, "") if first is None else self._closings[first]
            self._socket.closed(time, first or by, code, reason)

    # ------------------------------------------------------------------------------------------------------------------------------------ ends

    @property
    def is_unanswered(self) -> bool:
        """Whether something was asked on this connection, and nothing was ever answered."""
        return bool(self._exchanges) and not self._has_answered

    def refuse(self, time: float, why: str, fix: str) -> bytes:
        """The server could not be reached, or went away before it said anything: what the client is told."""
        self._fail(time, 502, why)
        return _answer(502, f"{why}\n{fix}\n" if fix else f"{why}\n")

    def _fail(self, time: float, status: int, why: str) -> None:
        while self._exchanges:
            recorded = self._exchanges.popleft().recorded
            if recorded is not None:
                recorded.failed(time, status, why)

    def ended(self, time: float, by: Direction) -> None:
        """One side says nothing more."""
        if by is Direction.DOWN and self._down_state is _State.BODY and isinstance(self._answer_body, UntilTheEnd):
            self._answer_is_complete(time, self._exchanges[0])
        self._close_socket(time, by)

    def abandoned(self, time: float, by: Direction) -> None:
        """The connection is over, and this side ended it: whatever has no answer will get none."""
        if by is Direction.DOWN:
            self._fail(time, 0, "the server went away before its answer was complete")
        while self._exchanges:
            recorded = self._exchanges.popleft().recorded
            if recorded is not None:
                recorded.abandoned(time)


class _Refused(Exception):
    """A request that is not passed on."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.answer = _answer(400, f"{why}\n")


_TLS: Final = b"\x16"
"""The first byte of every TLS connection (RFC 8446, 5.1)."""

_REASONS: Final = {400: "Bad Request", 502: "Bad Gateway", 503: "Service Unavailable"}


def _answer(status: int, text: str) -> bytes:
    """An answer of the proxy's own; a page of any origin may read it, since it is nothing but the reason why there is no other."""
    body = f"engineio-lite record: {text}".encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


TOO_MANY: Final = _answer(503, "too many connections at once\n")
"""What a client is told when there are as many as the proxy takes."""
