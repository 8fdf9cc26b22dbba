"""Servers made of exact bytes, for what no well-behaved server would ever say.

Two layers. `RawServer` accepts connections on a free loopback port and runs one coroutine, the script, for each; a `Connection` can read a request
or a WebSocket frame, write any bytes, stay silent and cut the line. It parses as little as it must and keeps what it got, so that a test can look at
request lines, headers, bodies and frames as they were on the wire. On top of it `EngineServer` is one correct Engine.IO session in the manner of Node
(sid, polls, POSTs, probe, ``5``), any stage of which can be given an `Answer` of its own: that is how a test lies in one place and tells the truth
everywhere else.

Nothing in here uses the library under test, nor aiohttp: what both of them got wrong would otherwise look right.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import socket
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ssl import SSLContext
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

SEPARATOR = "\x1e"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

GOODBYE = 5.0
"""Seconds for a peer to end a handshake that it has given up; it takes milliseconds."""

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; the last one wins."""
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query, keep_blank_values=True).items()}

    @property
    def upgrades(self) -> bool:
        """Whether it asks for a WebSocket."""
        return (self.header("Upgrade") or "").lower() == "websocket"

    def encode(self) -> bytes:
        """The bytes to pass it on."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    @property
    def packets(self) -> list[str]:
        """The packets of a POST."""
        return self.body.decode().split(SEPARATOR)


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame as it came, unmasked."""

    opcode: int
    payload: bytes


def response(
    status: int, body: bytes = b"", *, kind: str = "text/plain; charset=UTF-8", length: int | None = None, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """The bytes of an HTTP response; `length` may announce something else than is there."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, length: int | None = None) -> bytes:
    """The bytes of an unmasked WebSocket frame; `first` holds FIN and the reserved bits, `length` may announce something else than is there."""
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes([first | opcode, size])
    elif size < 0x10000:
        head = bytes([first | opcode, 126]) + struct.pack("!H", size)
    else:
        head = bytes([first | opcode, 127]) + struct.pack("!Q", size)
    return head + payload


def text(data: str) -> bytes:
    """The bytes of a text frame."""
    return frame(TEXT, data.encode())


def closing(code: int | None = None, reason: str = "") -> bytes:
    """The bytes of a close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def switching(request: Request, accept: str | None = None) -> bytes:
    """The bytes of the answer 101 to a WebSocket request, with the right accept key or with `accept`."""
    key = (request.header("Sec-WebSocket-Key") or "").encode()
    right = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept or right}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Gone(Exception):
    """The client closed the connection while the script waited for something from it; ends the script, quietly."""


class Reader(asyncio.StreamReader):
    """A stream that can be watched for its end without being read."""

    def __init__(self) -> None:
        super().__init__(limit=1 << 24)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        self.gone.set()
        super().feed_eof()

    def set_exception(self, error: Exception) -> None:
        self.gone.set()
        super().set_exception(error)


class Connection:
    """One accepted connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.gone = reader.gone if isinstance(reader, Reader) else asyncio.Event()
        self.requests: list[Request] = []
        self.frames: list[Frame] = []

    async def head(self) -> bytes:
        """Read up to the empty line."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error

    async def request(self) -> Request:
        """Read one request with its body, which must have a length."""
        first, *lines = (await self.head()).decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        size = int(next((value for name, value in headers if name.lower() == "content-length"), "0"))
        request = Request(method, target, headers, await self.exactly(size))
        self.requests.append(request)
        return request

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        try:
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error

    async def frame(self) -> Frame:
        """Read one WebSocket frame, which must be masked, as a client's are."""
        first, second = await self.exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.exactly(8))
        assert second & 0x80, "a client's frame is masked"
        mask = await self.exactly(4)
        data = await self.exactly(size)
        unmasked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.frames.append(Frame(first & 0x0F, unmasked))
        return self.frames[-1]

    async def send(self, data: bytes) -> None:
        """Write these bytes."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError as error:
            raise Gone from error

    async def wait_for(self, event: Awaitable[object]) -> None:
        """Wait for something, but no longer than the client stays."""
        waiting = {asyncio.ensure_future(event), asyncio.ensure_future(self.gone.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self.gone.is_set():
                raise Gone
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def hold(self) -> None:
        """Say nothing until the client goes."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        raise Gone

    def cut(self) -> None:
        """Reset the connection, as a crashed machine or a rude proxy does; what was not sent yet is lost."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """Runs a script for every connection; use it as ``async with``.

    A script ends its connection by returning. If it raises, the test fails at the end of the block, so it may assert.
    """

    def __init__(self, script: Script | None = None, *, ssl: SSLContext | None = None) -> None:
        self._script = script
        self._ssl = ssl
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self.connections: list[Connection] = []
        self.port = 0

    @property
    def origin(self) -> str:
        """Scheme, address and port."""
        return f"{'http' if self._ssl is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """Every request, connection by connection."""
        return [request for connection in self.connections for request in connection.requests]

    async def run(self, connection: Connection) -> None:
        """What to do with one connection; the script, unless a subclass knows better."""
        assert self._script is not None
        await self._script(connection)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: asyncio.StreamReaderProtocol(Reader(), self._accept), "127.0.0.1", 0, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._end_handshakes()
        if self._faults and error is None:
            raise self._faults[0]

    async def _end_handshakes(self) -> None:
        """Wait for TLS handshakes that the other side has given up: its goodbye may still be on its way, through a proxy for one.

        Nobody is told of these but asyncio's own tasks, which are known by the name of what they run.
        """
        if self._ssl is not None:
            accepting = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_accept_connection2"]
            if accepting:
                await asyncio.wait(accepting, timeout=GOODBYE)

    async def all_gone(self) -> None:
        """Return once every connection has ended, whichever side ended it."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(Connection(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # a task that is cancelled before its first step closes nothing

    async def _serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        try:
            await self.run(connection)
        except Gone:
            pass
        except Exception as error:
            self._faults.append(error)
        finally:
            connection.writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await connection.writer.wait_closed()


class Stage(Enum):
    """Where an `EngineServer` can be told to answer differently."""

    HANDSHAKE = "handshake GET"
    POLL = "poll GET"
    POST = "POST"
    UPGRADE = "upgrade request"
    PROBE = "answer to 2probe"
    UPGRADED = "after 5"
    WEBSOCKET = "WebSocket-only handshake"
    FIRST_FRAME = "WebSocket-only first frame"
    CONNECT = "Socket.IO CONNECT on a WebSocket"


Answer = Callable[[Connection, Request], Awaitable[None]]
"""What to do at a stage; the connection ends when it returns. `Request` is the one that the connection began with or, on HTTP, the current one."""

SID = "s3cret-sid"
"""The session id of every `EngineServer`: a secret, which no error may show."""


def echo(message: str) -> Iterable[str]:
    """What an echo server replies."""
    return (message,)


def socketio(message: str) -> Iterable[str]:
    """What a Socket.IO server replies: it grants the default namespace, acknowledges calls and echoes events."""
    if message.startswith("0"):
        return ('0{"sid":"s3cret-namespace-sid"}',)
    if message.startswith("2"):
        digits = message[1 : message.index("[")]
        return (f"3{digits}{message[message.index('[') :]}",) if digits else (message,)
    return ()


@dataclass
class InFlight:
    """How many requests of each method are unanswered, and how many were at most."""

    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def one(self, method: str) -> Iterator[None]:
        """Count one request while the block runs."""
        self.now[method] += 1
        self.most[method] = max(self.most[method], self.now[method])
        try:
            yield
        finally:
            self.now[method] -= 1


class EngineServer(RawServer):
    """One correct Engine.IO session (the next handshake starts another), with a different `Answer` for some stages."""

    def __init__(
        self,
        answers: Mapping[Stage, Answer] | None = None,
        *,
        reply: Callable[[str], Iterable[str]] = echo,
        handshake: Mapping[str, object] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        ssl: SSLContext | None = None,
    ) -> None:
        super().__init__(ssl=ssl)
        self.answers = dict(answers or {})
        self.gates: dict[Stage, asyncio.Event] = {}
        """Wait for the event before telling the truth at a stage."""
        self.arrived: list[tuple[Stage, Request]] = []
        """Every request, in the order in which they came."""
        self.reply = reply
        self.offer: dict[str, object] = {"upgrades": ["websocket"], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}
        self.offer.update(handshake or {})
        self.handshake_headers = tuple(headers)
        self.received: list[str] = []
        """Every packet that came, over either transport, in order; binary ones as ``b…``."""
        self.in_flight = InFlight()
        self.closed = asyncio.Event()
        """Set by the client's close packet."""
        self._changed = asyncio.Event()
        self._restart()

    def _restart(self) -> None:
        self._outgoing: deque[str] = deque()
        self._live: Connection | None = None
        self._polls = 0
        self._probed = False

    # --- What a test asks and tells.

    @property
    def polling(self) -> bool:
        """Whether a poll waits for something to say."""
        return self._polls > 0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is looked at whenever something came in."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def push(self, *packets: str) -> None:
        """Send packets over whatever the session travels on: in one body, or as frames."""
        if self._live is None:
            self._outgoing.extend(packets)
        else:
            for packet in packets:
                self._live.writer.write(frame(BINARY, base64.b64decode(packet[1:])) if packet.startswith("b") else text(packet))
        self._note()

    def say(self, *messages: str) -> None:
        """Send messages."""
        self.push(*(f"4{message}" for message in messages))

    def asked(self, stage: Stage) -> list[Request]:
        """The requests of one stage, in the order in which they came."""
        return [request for where, request in self.arrived if where is stage]

    @property
    def messages(self) -> list[str]:
        """The text messages that came, in order."""
        return [packet[1:] for packet in self.received if packet.startswith("4")]

    # --- What it does.

    def open_packet(self, **more: object) -> str:
        """The first packet of a session."""
        return "0" + json.dumps({"sid": SID, **self.offer, **more})

    async def run(self, connection: Connection) -> None:
        while True:
            request = await connection.request()
            stage = self._stage(request)
            self.arrived.append((stage, request))
            self._note()
            with self.in_flight.one(request.method):
                if stage in self.answers:
                    await self.answers[stage](connection, request)
                    return
                await self._truth(stage, connection, request)
            if request.upgrades:
                try:
                    await self._talk(connection, request)
                finally:
                    self._probed = False
                return

    def _stage(self, request: Request) -> Stage:
        known = "sid" in request.query
        if request.upgrades:
            return Stage.UPGRADE if known else Stage.WEBSOCKET
        if request.method == "POST":
            return Stage.POST
        return Stage.POLL if known else Stage.HANDSHAKE

    async def _truth(self, stage: Stage, connection: Connection, request: Request) -> None:
        await self._pass(stage, connection)
        match stage:
            case Stage.HANDSHAKE:
                self._restart()
                await connection.send(response(200, self.open_packet().encode(), headers=self.handshake_headers))
            case Stage.POLL:
                self._polls += 1
                self._note()
                try:
                    # No longer than the client stays, or a poll that it gave up would swallow what comes next.
                    await connection.wait_for(self.until(lambda: bool(self._outgoing) or self._probed))
                finally:
                    self._polls -= 1
                # Between 3probe and 5 Node answers a poll that has nothing to bring with a noop, or the client would wait for it.
                body = SEPARATOR.join(self._outgoing) or "6"
                self._outgoing.clear()
                await connection.send(response(200, body.encode()))
            case Stage.POST:
                for packet in request.packets:
                    self.take(packet)
                await connection.send(response(200, b"ok", kind="text/html"))
            case _:
                await connection.send(switching(request))

    async def _pass(self, stage: Stage, connection: Connection) -> None:
        if stage in self.gates:
            await connection.wait_for(self.gates[stage].wait())

    def take(self, packet: str) -> None:
        """Treat a packet as if it had come."""
        self.received.append(packet)
        if packet.startswith("4"):
            self.say(*self.reply(packet[1:]))
        elif packet.startswith("b"):
            self.push(packet)
        elif packet == "1":
            self.closed.set()
            if self._live is None:
                self.push("6")  # as Node ends the pending poll
        self._note()

    def _note(self) -> None:
        self._changed.set()

    async def _talk(self, connection: Connection, request: Request) -> None:
        if "sid" not in request.query:
            if Stage.FIRST_FRAME in self.answers:
                await self.answers[Stage.FIRST_FRAME](connection, request)
                return
            self._restart()
            self._live = connection
            await connection.send(text(self.open_packet(upgrades=[])))
        while True:
            came = await connection.frame()
            if came.opcode == CLOSE:
                await connection.send(frame(CLOSE, came.payload))
                return
            if came.opcode == BINARY:
                self.take("b" + binascii.b2a_base64(came.payload, newline=False).decode())
            elif came.opcode == TEXT and await self._text(came.payload.decode(), connection, request):
                return

    async def _text(self, packet: str, connection: Connection, request: Request) -> bool:
        """Handle one text frame; True if an answer of its own ended the conversation."""
        special = {"2probe": Stage.PROBE, "5": Stage.UPGRADED, "40": Stage.CONNECT}.get(packet[:2] if packet.startswith("40") else packet)
        if special in self.answers:
            self.received.append(packet)
            self._note()
            await self.answers[special](connection, request)
            return True
        if packet == "2probe":
            self.received.append(packet)
            self._note()
            await self._pass(Stage.PROBE, connection)
            await connection.send(text("3probe"))
            self._probed = True
            self._note()
        elif packet == "5":
            self.received.append(packet)
            self._note()
            self._live = connection
            self._probed = False
            waiting = list(self._outgoing)
            self._outgoing.clear()
            self.push(*waiting)
        else:
            self.take(packet)
        return False


class Proxy(RawServer):
    """An HTTP proxy that forwards and tunnels, and may want a user and password, or TLS to itself."""

    def __init__(self, *, credentials: str | None = None, ssl: SSLContext | None = None) -> None:
        super().__init__(ssl=ssl)
        self._wanted = None if credentials is None else "Basic " + base64.b64encode(credentials.encode()).decode()

    async def run(self, connection: Connection) -> None:
        request = await connection.request()
        if self._wanted is not None and request.header("Proxy-Authorization") != self._wanted:
            await connection.send(response(407, headers=[("Proxy-Authenticate", "Basic realm=proxy"), ("Connection", "close")]))
            return
        tunnel = request.method == "CONNECT"
        where = urlsplit(f"//{request.target}" if tunnel else request.target)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            if tunnel:
                await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                writer.write(request.encode())
            upstream = Connection(reader, writer)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(carry(connection, upstream))
                pumps.create_task(carry(upstream, connection))
        finally:
            writer.close()


async def carry(source: Connection, target: Connection) -> None:
    """Carry bytes one way until they end, and pass the end on."""
    with contextlib.suppress(ConnectionError, Gone):
        while data := await source.reader.read(65536):
            await target.send(data)
    target.writer.close()
