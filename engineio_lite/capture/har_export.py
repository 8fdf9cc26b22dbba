"""A capture as HAR 1.2, in the dialect of the browser's DevTools, so that other tools can show it.

HAR knows requests and their answers, and, by a custom of the browsers, the messages of a WebSocket (``_webSocketMessages``). A capture at the level
of packets does not say how packets were bundled into requests; so each packet gets a request of its own, a POST where it went up and a GET where it
came down, and reading the file again gives the same conversation. Placeholders stay what they are: nothing that was redacted comes back.

Times are the capture's, kept in order: of two packets with the same time the second is a microsecond later.

Reference: HAR 1.2; the DevTools export of WebSocket messages.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from engineio_lite.capture.lines import Direction, EnginePacket, Head, HttpAnswer, Line, SessionOpened, SocketChanged, SocketIOPacket, Undecoded
from engineio_lite.capture.values import to_json, write_json
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.packet import Packet, PacketType, encode_packet, encode_packet_as_text
from engineio_lite.payload import SEPARATOR
from engineio_lite.socketio.grammar import GRAMMAR, MAIN_NAMESPACE
from engineio_lite.socketio.packet import Packet as SocketIO
from engineio_lite.socketio.parsers import PARSERS
from engineio_lite.state import Transport

TICK: Final = 1e-6
"""Seconds by which what follows is later, where the capture has the same time for both."""

_UNKNOWN_HOST: Final = "http://unknown.invalid/"
_SOCKETS: Final = {"http": "ws", "https": "wss"}


def export_har(head: Head, lines: Iterable[Line], *, version: str) -> dict[str, object]:
    """The whole HAR as JSON values; `version` is that of the library, for its ``creator``."""
    exporter = _Exporter(_started(head.at))
    for line in lines:
        exporter.add(line)
    creator = {"name": "engineio-lite", "version": version}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": exporter.entries}}


def _started(at: str) -> datetime:
    """When the capture began; the beginning of the epoch where nobody knows."""
    try:
        return datetime.fromisoformat(at).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


class _Exporter:
    """Makes entries line by line; remembers the sessions' URLs, ids and WebSockets."""

    def __init__(self, start: datetime) -> None:
        self.entries: list[dict[str, object]] = []
        self._start = start
        self._now = -TICK
        self._urls: dict[int, str] = {}
        self._sids: dict[int, str] = {}
        self._sockets: dict[int, list[dict[str, object]]] = {}

    def add(self, line: Line) -> None:
        match line:
            case SessionOpened():
                self._open(line)
            case SocketIOPacket():
                self._packet(line, _encoded(line))
            case EnginePacket():
                self._packet(line, [encode_packet(Packet(line.type, line.data))])
            case Undecoded():
                self._packet(line, [line.data])
            case HttpAnswer():
                self._tick(line.time)
                url = line.url or self._url(line.session, line.transport)
                self.entries.append(self._entry(line.method, url, None, line.status, line.body, line.content_type))
            case SocketChanged(change="closed", session=session):
                self._sockets.pop(session, None)

    def _tick(self, time: float | None) -> None:
        self._now = max(self._now + TICK, time if time is not None else 0.0)

    def _open(self, line: SessionOpened) -> None:
        self._urls[line.session] = line.url or _UNKNOWN_HOST
        data = write_json({"sid": line.sid, **{name: to_json(value) for name, value in line.handshake.items()}})
        self._sids[line.session] = ""  # the request that opens a session has no id yet
        came = EnginePacket(session=line.session, time=line.time, direction=Direction.DOWN, transport=line.transport, type=PacketType.OPEN)
        self._packet(came, [f"0{data}"])
        self._sids[line.session] = line.sid

    def _packet(self, line: SocketIOPacket | EnginePacket | Undecoded, messages: list[str | bytes]) -> None:
        self._tick(line.time)
        if line.transport is Transport.WEBSOCKET:
            for message in messages:
                self._socket(line.session).append(_frame(line.direction, self._epoch(), message))
                self._tick(None)
            return
        body = SEPARATOR.join(map(_as_text, messages))
        url = self._url(line.session, Transport.POLLING)
        if line.direction is Direction.UP:
            self.entries.append(self._entry("POST", url, body, 200, "ok", "text/html"))
        else:
            self.entries.append(self._entry("GET", url, None, 200, body, "text/plain; charset=UTF-8"))

    def _socket(self, session: int) -> list[dict[str, object]]:
        messages = self._sockets.get(session)
        if messages is None:
            messages = self._sockets[session] = []
            entry = self._entry("GET", self._url(session, Transport.WEBSOCKET), None, 101, "", "x-unknown")
            self.entries.append({**entry, "_resourceType": "websocket", "_webSocketMessages": messages})
        return messages

    def _url(self, session: int, transport: Transport) -> str:
        parts = urlsplit(self._urls.get(session, _UNKNOWN_HOST))
        scheme = _SOCKETS.get(parts.scheme, parts.scheme) if transport is Transport.WEBSOCKET else parts.scheme
        own = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in ("", "EIO", "transport", "sid", "t")]
        sid = self._sids.get(session, "")
        query = [*own, "EIO=4", f"transport={transport.value}", *([f"sid={quote(sid, safe='@')}"] if sid else [])]
        return urlunsplit((scheme, parts.netloc, parts.path, "&".join(query), ""))

    def _epoch(self) -> float:
        return self._start.timestamp() + self._now

    def _entry(self, method: str, url: str, posted: str | None, status: int, body: str, content_type: str) -> dict[str, object]:
        started = (self._start + timedelta(seconds=self._now)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        query = [{"name": name, "value": value} for name, _, value in (pair.partition("=") for pair in urlsplit(url).query.split("&")) if name]
        request: dict[str, object] = {"method": method, "url": url, "httpVersion": "HTTP/1.1", "headers": [], "queryString": query, "cookies": []}
        request |= {"headersSize": -1, "bodySize": len(posted.encode("utf-8", "replace")) if posted is not None else 0}
        if posted is not None:
            request["postData"] = {"mimeType": "text/plain;charset=UTF-8", "text": posted}
        content = {"size": len(body.encode("utf-8", "replace")), "mimeType": content_type, "text": body}
        response = {"status": status, "statusText": "", "httpVersion": "HTTP/1.1", "headers": [], "cookies": [], "content": content}
        response |= {"redirectURL": "", "headersSize": -1, "bodySize": -1}
        timings = {"send": 0, "wait": 0, "receive": 0}
        return {"startedDateTime": started, "time": 0, "request": request, "response": response, "cache": {}, "timings": timings}


def _frame(direction: Direction, time: float, message: str | bytes) -> dict[str, object]:
    kind = "send" if direction is Direction.UP else "receive"
    if isinstance(message, bytes):
        return {"type": kind, "time": time, "opcode": 2, "data": b64encode(message).decode()}
    return {"type": kind, "time": time, "opcode": 1, "data": message}


def _as_text(message: str | bytes) -> str:
    return encode_packet_as_text(Packet(PacketType.MESSAGE, message)) if isinstance(message, bytes) else message


def _encoded(line: SocketIOPacket) -> list[str | bytes]:
    """The Engine.IO packets of a Socket.IO packet, as WebSocket messages."""
    parser = PARSERS[line.parser if line.parser in PARSERS else "default"]
    try:
        messages = parser.encode(SocketIO(line.type, line.data, line.namespace, line.id), limits=DEFAULT_LIMITS)
    except LocalProtocolError:
        messages = [_as_said(line)]
    return [message if isinstance(message, bytes) else f"4{message}" for message in messages]


def _as_said(line: SocketIOPacket) -> str:
    """What our encoder refuses, a reserved name for an event, and some server said all the same."""
    namespace = "" if line.namespace == MAIN_NAMESPACE else f"{line.namespace},"
    number = "" if line.id is None else str(line.id)
    data = "" if line.data is msgspec.UNSET else write_json(to_json(line.data))
    return f"{GRAMMAR[line.type].digit}{namespace}{number}{data}"
