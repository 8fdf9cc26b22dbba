"""Logs of the Chrome DevTools protocol: the events of its Network domain, one JSON object a line, or as Selenium's performance log wraps them.

Three things to know. Instants are seconds of a clock that began with the machine; only a request's first event tells the time of day as well, so each
request brings its own difference. The events of a request are of several processes and need not be in order, so none is believed to be the last. And
bodies are in no event: whoever logs has to ask for each (`Network.getResponseBody`), else what was polled is missing, which is said for each body.

Reference: Chrome DevTools protocol, domain Network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Final

from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.fields import (
    BOM,
    Object,
    base64_bytes,
    header,
    header_list,
    mapping,
    number,
    objects,
    read_json,
    string,
    utf8,
    whole,
)
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.exceptions import elide
from engineio_lite.inputs import Headers

WHAT: Final = "a log of the DevTools protocol"


def read_cdp(data: bytes) -> Trace:
    """Read a log: objects with `method` and `params`, one a line or in an array, bare or in Selenium's entries.

    Raises `ImportFailed` with cause ``not-a-recording``.
    """
    reader = _Reader()
    for entry in _entries(data, reader):
        reader.entry(_unwrapped(entry))
    return reader.trace()


def _entries(data: bytes, reader: _Reader) -> Iterator[Object]:
    data = data.removeprefix(BOM).strip()
    if data.startswith(b"["):
        yield from objects(read_json(data, WHAT))
        return
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            yield mapping(read_json(line, WHAT))
        except ImportFailed:
            reader.unreadable += 1


def _unwrapped(entry: Object) -> Object:
    """What the browser said, out of Selenium's entry if it is one: text in `message`, and in that the object in `message`."""
    text = entry.get("message")
    if isinstance(text, str):
        try:
            entry = mapping(read_json(utf8(text), WHAT))
        except ImportFailed:
            return {}
        text = entry.get("message")
    return text if isinstance(text, dict) else entry


class _Request:
    """What the log says of one request, or one WebSocket."""

    def __init__(self, url: str, *, is_websocket: bool = False) -> None:
        self.url = url
        self.is_websocket = is_websocket
        self.method = "GET"
        self.headers: Headers = ()
        self.body: bytes | None = b""
        self.started: float | None = None
        self.offset: float | None = None
        self.status = 0
        self.responded: float | None = None
        self.finished: float | None = None
        self.answer_headers: Headers = ()
        self.content_type = ""
        self.answer: bytes | None = None
        self.frames: list[tuple[float | None, Direction, str | bytes]] = []
        self.closed: float | None = None
        self.is_closed = False
        self.errors: list[str] = []

    def begin(self, request: Object, params: Object) -> None:
        """Take the event that says when it was."""
        self.url = self.url or string(request.get("url"))
        self.method = string(request.get("method")) or "GET"
        self.headers += header_list(request.get("headers"))
        self.body = _posted(request)
        self.started, wall = number(params.get("timestamp")), number(params.get("wallTime"))
        if self.started is not None and wall is not None:
            self.offset = wall - self.started

    def respond(self, response: Object, timestamp: object) -> None:
        self.status = whole(response.get("status")) or 0
        self.answer_headers += header_list(response.get("headers"))
        self.content_type = string(response.get("mimeType"))
        self.responded = number(timestamp)


class _Reader:
    """Reads events into a trace."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._requests: dict[str, _Request] = {}
        self._order: list[_Request] = []
        self._asked: dict[tuple[str, object], str] = {}
        self._events = 0
        self._unopened = 0

    def entry(self, entry: Object) -> None:
        method, params, key = string(entry.get("method")), mapping(entry.get("params")), (string(entry.get("sessionId")), entry.get("id"))
        if method == "Network.getResponseBody":
            self._events += 1
            self._asked[_hashable(key)] = string(params.get("requestId"))
            self._body(string(params.get("requestId")), mapping(entry.get("result")))
        elif not method and "result" in entry:
            self._body(self._asked.get(_hashable(key), ""), mapping(entry.get("result")))
        elif handler := _HANDLERS.get(method):
            self._events += 1
            handler(self, string(params.get("requestId")), params)
        else:
            self._events += method.partition(".")[1] == "."

    def trace(self) -> Trace:
        if not self._events:
            raise ImportFailed("expected events of the DevTools protocol (objects with method and params), got none")
        offset = next((request.offset for request in self._order if request.offset is not None), 0.0)
        found = [_socket(request, offset) if request.is_websocket else _exchange(request, offset) for request in self._order]
        return Trace(source="cdp", items=tuple(found), warnings=tuple(self._warnings()))

    def _warnings(self) -> Iterator[str]:
        if self.unreadable:
            yield f"lines that are no JSON, and were passed over: {self.unreadable}"
        if self._unopened:
            yield f"messages of WebSockets whose opening is not in the log, and whose URL is not known: {self._unopened}"

    # ------------------------------------------------------------------------------------------------------------------------------------ events

    def _add(self, name: str, request: _Request) -> _Request:
        self._requests[name] = request
        self._order.append(request)
        return request

    def _of(self, name: str) -> _Request:
        """The request of that id; one that is not kept if there is none."""
        return self._requests.get(name) or _Request("")

    def _sent(self, name: str, params: Object) -> None:
        before = self._requests.get(name)
        if before is not None and isinstance(redirect := params.get("redirectResponse"), dict):
            before.respond(redirect, params.get("timestamp"))
        elif before is not None and before.started is None:
            before.begin(mapping(params.get("request")), params)  # its second half came first
            return
        self._add(name, _Request("")).begin(mapping(params.get("request")), params)

    def _sent_headers(self, name: str, params: Object) -> None:
        request = self._requests.get(name) or self._add(name, _Request(""))
        request.headers += header_list(params.get("headers"))

    def _responded(self, name: str, params: Object) -> None:
        self._of(name).respond(mapping(params.get("response")), params.get("timestamp"))

    def _responded_headers(self, name: str, params: Object) -> None:
        self._of(name).answer_headers += header_list(params.get("headers"))

    def _finished(self, name: str, params: Object) -> None:
        self._of(name).finished = number(params.get("timestamp"))

    def _body(self, name: str, result: Object) -> None:
        text = result.get("body")
        if isinstance(text, str):
            self._of(name).answer = base64_bytes(text) if result.get("base64Encoded") else utf8(text)

    def _socket_created(self, name: str, params: Object) -> None:
        self._add(name, _Request(string(params.get("url")), is_websocket=True))

    def _socket_asked(self, name: str, params: Object) -> None:
        self._of(name).begin(mapping(params.get("request")), params)

    def _sent_frame(self, name: str, params: Object) -> None:
        self._frame(name, Direction.UP, params)

    def _received_frame(self, name: str, params: Object) -> None:
        self._frame(name, Direction.DOWN, params)

    def _frame(self, name: str, direction: Direction, params: Object) -> None:
        request = self._requests.get(name)
        if request is None:
            self._unopened += 1
            return
        frame = mapping(params.get("response"))
        text, opcode = string(frame.get("payloadData")), whole(frame.get("opcode"))
        if opcode not in (1, 2):
            return  # the ping, pong and close frames of the WebSocket itself
        data = base64_bytes(text) if opcode == 2 else text
        if data is None:
            request.errors.append(f"a binary message that is no base64: {elide(text)}")
        else:
            request.frames.append((number(params.get("timestamp")), direction, data))

    def _socket_failed(self, name: str, params: Object) -> None:
        self._of(name).errors.append(f"an error of the WebSocket: {elide(string(params.get('errorMessage')))}")

    def _socket_closed(self, name: str, params: Object) -> None:
        request = self._of(name)
        request.is_closed = True
        request.closed = number(params.get("timestamp"))


_HANDLERS: Final = MappingProxyType[str, Callable[[_Reader, str, Object], None]](
    {
        "Network.requestWillBeSent": _Reader._sent,
        "Network.requestWillBeSentExtraInfo": _Reader._sent_headers,
        "Network.responseReceived": _Reader._responded,
        "Network.responseReceivedExtraInfo": _Reader._responded_headers,
        "Network.loadingFinished": _Reader._finished,
        "Network.loadingFailed": _Reader._finished,
        "Network.webSocketCreated": _Reader._socket_created,
        "Network.webSocketWillSendHandshakeRequest": _Reader._socket_asked,
        "Network.webSocketHandshakeResponseReceived": _Reader._responded,
        "Network.webSocketFrameSent": _Reader._sent_frame,
        "Network.webSocketFrameReceived": _Reader._received_frame,
        "Network.webSocketFrameError": _Reader._socket_failed,
        "Network.webSocketClosed": _Reader._socket_closed,
    }
)


def _hashable(key: tuple[str, object]) -> tuple[str, object]:
    return key[0], key[1] if isinstance(key[1], int | str) else None


def _posted(request: Object) -> bytes | None:
    """What was posted; None if the log says that there was something and not what."""
    text = request.get("postData")
    if isinstance(text, str):
        return utf8(text)
    pieces = [base64_bytes(string(entry.get("bytes"))) for entry in objects(request.get("postDataEntries"))]
    if pieces:
        whole_pieces = [piece for piece in pieces if piece is not None]
        return b"".join(whole_pieces) if len(whole_pieces) == len(pieces) else None
    return None if request.get("hasPostData") else b""


def _exchange(request: _Request, offset: float) -> Exchange:
    offset = offset if request.offset is None else request.offset
    # The end of the transfer is the network's, the response event may have been late.
    ended = request.finished if request.finished is not None else request.responded
    answer = request.answer
    if answer is None and (request.status == 0 or header(request.answer_headers, "content-length") == "0"):
        answer = b""
    return Exchange(
        started=(request.started or 0.0) + offset,
        ended=None if ended is None or not request.status else ended + offset,
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=request.body,
        status=request.status,
        answer_headers=request.answer_headers,
        content_type=header(request.answer_headers, "content-type") or request.content_type,
        answer=answer,
    )


def _socket(request: _Request, offset: float) -> Socket:
    offset = offset if request.offset is None else request.offset
    times = [time for time, _, _ in request.frames if time is not None]
    started = request.started if request.started is not None else min(times, default=0.0)
    failed = request.responded is None and not request.frames and request.is_closed  # there was never a WebSocket, whatever the error
    return Socket(
        started=started + offset,
        opened=None if request.responded is None else request.responded + offset,
        url=request.url,
        headers=request.headers,
        status=101 if request.frames else request.status,
        answer_headers=request.answer_headers,
        messages=tuple(Message(time=None if at is None else at + offset, direction=way, data=data) for at, way, data in request.frames),
        closed=None if request.closed is None else request.closed + offset,
        is_open=not request.is_closed,
        lost="" if failed else "; ".join(request.errors),
    )
