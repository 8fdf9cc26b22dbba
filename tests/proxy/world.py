"""A proxied connection without a network: bytes go in on either side, and what came out and was written is there to be looked at."""

from __future__ import annotations

from engineio_lite.capture.lines import EnginePacket, HttpAnswer, Line, Note, SessionEnded, SessionOpened, SocketChanged, SocketIOPacket, Undecoded
from engineio_lite.capture.redactor import Redactor
from engineio_lite.proxy.dialogue import Dialogue
from engineio_lite.proxy.tape import Tape
from engineio_lite.proxy.upstream import parse_upstream

OPEN = b'0{"sid":"abcdefgh","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
POLL = "/socket.io/?EIO=4&transport=polling"
SOCKET = "/socket.io/?EIO=4&transport=websocket"
SID = "&sid=abcdefgh"


class World:
    """One tape, and as many connections as a test opens; the clock counts what was passed in, in seconds."""

    def __init__(self, *, path: str | None = None, keep_host: bool = False) -> None:
        self.lines: list[Line] = []
        self.now = 0.0
        self.upstream = parse_upstream("http://server.test:3000", keep_host=keep_host)
        self.tape = Tape(self.lines.append, origin=self.upstream.origin, path=path, redactor=Redactor())

    def connection(self) -> Wire:
        return Wire(self)

    def said(self) -> list[str]:
        """The lines so far, as short texts."""
        return [short(line) for line in self.lines]


class Wire:
    """One connection; `up` and `down` take bytes, whole or in pieces of a size, and return what went on to the other side."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dialogue = Dialogue(world.tape, world.upstream)
        self.to_server = b""
        self.to_client = b""
        self.is_over = False

    def up(self, data: bytes, size: int = 0) -> bytes:
        before = len(self.to_server)
        self._feed(self.dialogue.up, data, size)
        return self.to_server[before:]

    def down(self, data: bytes, size: int = 0) -> bytes:
        before = len(self.to_client)
        self._feed(self.dialogue.down, data, size)
        return self.to_client[before:]

    def _feed(self, take, data: bytes, size: int) -> None:  # type: ignore[no-untyped-def]
        size = size or max(1, len(data))
        for start in range(0, max(1, len(data)), size):
            self.world.now += 1
            passed = take(self.world.now, data[start : start + size])
            self.to_server += passed.up
            self.to_client += passed.down
            self.is_over = self.is_over or passed.is_last


def get(target: str, *headers: str, method: str = "GET", host: str = "127.0.0.1:5000") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode()


def post(target: str, body: bytes, *headers: str) -> bytes:
    return get(target, f"Content-Length: {len(body)}", *headers, method="POST") + body


def answer(body: bytes, *headers: str, status: int = 200, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *headers, *([f"Content-Length: {len(body)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode() + body


def upgrade(target: str = SOCKET) -> bytes:
    return get(target, "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def switching(*headers: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", *headers, "", "")).encode()


def short(line: Line) -> str:
    """A line as a short text: who, and what."""
    session = f"{line.session} " if not isinstance(line, str) and hasattr(line, "session") else ""
    match line:
        case SessionOpened():
            return f"{session}open {line.transport} {line.url}"
        case SocketIOPacket():
            return f"{session}{line.direction} {line.transport} {line.type} {line.data}"
        case EnginePacket():
            return f"{session}{line.direction} {line.transport} {line.type}{line.data and ' ' + line.data}"
        case Undecoded():
            return f"{session}{line.direction} {line.transport} unread {line.data!r} {line.error}"
        case HttpAnswer():
            return f"{session}{line.method} {line.status} {line.body}".rstrip()
        case SocketChanged():
            return f"{session}socket {line.change} {line.by} {line.code} {line.reason}".rstrip()
        case Note():
            return f"{session}note {line.what}: {line.text}"
        case SessionEnded():
            return f"{session}end {line.by} {line.code} {line.reason}"
        case _:
            return f"{session}{type(line).__name__}"
