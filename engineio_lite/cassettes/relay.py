"""Sessions that a cassette does not have yet: passed on to the real server, and written down behind those that it has.

A `RelayingStage` plays recorded sessions as long as there are any, and makes a connection of our own to the server for each further one. So this is a
relay of messages, not of bytes: the client has its own session with us, and we have one with the server, opened with the client's headers and query.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from engineio_lite.aio import EngineIOClient, connect
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import Direction, Line, SessionEnded, SessionOpened
from engineio_lite.capture.transcriber import Transcriber
from engineio_lite.exceptions import EngineIOError
from engineio_lite.handshake import Handshake
from engineio_lite.packet import Packet, PacketType
from engineio_lite.replay.live import Handler, LiveSession
from engineio_lite.replay.player import Player
from engineio_lite.replay.stage import Stage
from engineio_lite.state import CloseReason, Transport

MAX_WAITING: Final = 10_000
"""Messages of a client that wait for the server; a client that says more before the first answer is ended."""

_OWN: Final = frozenset(("EIO", "transport", "sid", "t", "b64", "j"))
_HOP: Final = frozenset(
    ("host", "connection", "upgrade", "content-length", "transfer-encoding", "accept-encoding", "content-type", "keep-alive", "te", "trailer")
)


class Tape:
    """Where the lines of new sessions go; `time` is when the first one begins, `session` its number."""

    def __init__(self, writer: Writer, session: int, time: float) -> None:
        self.writer = writer
        self.next_session = self._first = session
        self._began = time
        self._offset: float | None = None

    def now(self) -> float:
        """The capture's time, for the loop of the server."""
        clock = asyncio.get_running_loop().time()
        if self._offset is None:
            self._offset = self._began - clock
        return clock + self._offset

    @property
    def has_grown(self) -> bool:
        """Whether there was a new session."""
        return self.next_session > self._first

    def write(self, lines: list[Line]) -> None:
        for line in lines:
            self.writer.write(line)


class RelayingStage(Stage):
    """Plays what is recorded, and relays what is not to the server at `upstream`."""

    def __init__(self, player: Player, upstream: str, tape: Tape) -> None:
        super().__init__(player)
        self._upstream = upstream
        self._tape = tape
        self.relays: set[asyncio.Task[None]] = set()
        self.failures: list[EngineIOError] = []

    def open(self, session: LiveSession) -> Handler:
        """See `Application`."""
        if len(self.player.seats) < len(self.player.scripts):
            return super().open(session)
        relayed = _Relayed(session, self._tape, _target(self._upstream, session.query))
        task = asyncio.get_running_loop().create_task(self._run(relayed), name="a relayed session")
        self.relays.add(task)
        task.add_done_callback(self.relays.discard)
        return relayed

    async def _run(self, relayed: _Relayed) -> None:
        try:
            await relayed.run()
        except EngineIOError as error:
            self.failures.append(error)

    async def finish(self) -> None:
        """Wait until every relay has ended; the sessions themselves must have ended before."""
        if self.relays:
            await asyncio.wait(set(self.relays))


class _Relayed:
    """One session, relayed."""

    def __init__(self, session: LiveSession, tape: Tape, url: str) -> None:
        self._session = session
        self._tape = tape
        self._url = url
        self._number = tape.next_session
        tape.next_session += 1
        self._headers = {name: value for name, value in session.headers if name.lower() not in _HOP and not name.lower().startswith("sec-websocket")}
        tape.writer.redactor.learn_headers(session.headers)
        self._transcriber = Transcriber(self._number, url=url)
        self._waiting: deque[str | bytes] = deque()
        self._wakened = asyncio.Event()
        self._is_gone = False

    def message(self, data: str | bytes) -> None:
        """See `Handler`."""
        if len(self._waiting) >= MAX_WAITING:
            self._session.close()
            return
        self._waiting.append(data)
        self._wakened.set()

    def closed(self, reason: CloseReason) -> None:
        """See `Handler`."""
        self._is_gone = True
        self._wakened.set()

    async def run(self) -> None:
        """Relay until one of the two sides has ended the session."""
        try:
            async with connect(self._url, headers=self._headers) as engine:
                assert engine.handshake is not None
                self._tape.write([self._opened(engine.handshake, engine.transport or Transport.POLLING)])
                await self._relay(engine)
        finally:
            self._tape.write(self._transcriber.finish())
            if not self._session.over:
                self._session.close()

    async def _relay(self, engine: EngineIOClient) -> None:
        up = asyncio.create_task(self._up(engine))
        down = asyncio.create_task(self._down(engine))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.wait({up, down})
        by = "client" if self._is_gone else "server"
        self._tape.write([*self._transcriber.finish(), SessionEnded(session=self._number, time=self._tape.now(), by=by)])
        if not self._is_gone and not down.cancelled() and (error := down.exception()) is not None and not isinstance(error, EngineIOError):
            raise error

    async def _up(self, engine: EngineIOClient) -> None:
        while True:
            while self._waiting:
                data = self._waiting.popleft()
                self._say(Direction.UP, engine.transport, data)
                await engine.send(data)
            if self._is_gone:
                return
            self._wakened.clear()
            await self._wakened.wait()

    async def _down(self, engine: EngineIOClient) -> None:
        async for data in engine:
            self._say(Direction.DOWN, engine.transport, data)
            if not self._session.over:
                self._session.send(data)

    def _say(self, direction: Direction, transport: Transport | None, data: str | bytes) -> None:
        packet = Packet(PacketType.MESSAGE, data)
        self._tape.write(self._transcriber.packet(self._tape.now(), direction, transport or Transport.POLLING, packet))

    def _opened(self, handshake: Handshake, transport: Transport) -> SessionOpened:
        offered: dict[str, object] = {
            "upgrades": list(handshake.upgrades),
            "pingInterval": round(handshake.ping_interval * 1000),
            "pingTimeout": round(handshake.ping_timeout * 1000),
        }
        if handshake.max_payload is not None:
            offered["maxPayload"] = handshake.max_payload
        return SessionOpened(session=self._number, time=self._tape.now(), url=self._url, transport=transport, sid=handshake.sid, handshake=offered)


def _target(upstream: str, query: Mapping[str, str]) -> str:
    """The URL of the server's Socket.IO, with what the client added to its own."""
    parts = urlsplit(upstream)
    own = "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items() if name not in _OWN)
    path = parts.path if parts.path.strip("/") else "/socket.io/"
    return urlunsplit((parts.scheme, parts.netloc, path, own, ""))
