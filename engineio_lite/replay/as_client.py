"""The recorded client against a live server: says what it said, and compares what comes with what came.

    report = await against("http://127.0.0.1:3000", "labs.eio.jsonl")
    report.raise_for_failure()

This is the same machine as for the other direction with the sides exchanged: the client's packets are sent when those of the server have come which
came before them, and the first difference ends it. Nothing waits without end: for a packet at most `idle_limit`, for a connection as long as the
driver's timeouts say, and for all of it together `limit`. What the server says beyond its last recorded packet is a difference, too, if it says so
within `linger` seconds. Where the recorded client left sooner it is left as soon, since no recording tells what a server says to a client that has
gone.

The sessions of a capture are played as they were: one after the other where one had ended before the next began, else at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias, Unpack

import msgspec

from engineio_lite.aio.client import Opening, Options
from engineio_lite.aio.engine import EngineIOClient
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.capture.file import Capture, load
from engineio_lite.capture.lines import Direction, Line, SocketIOPacket
from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError, TimedOut
from engineio_lite.replay.as_server import PlayOptions
from engineio_lite.replay.conversation import Conversation, Spoken
from engineio_lite.replay.player import Player, Report, Source, as_capture
from engineio_lite.replay.script import Script
from engineio_lite.replay.stage import WatchSession
from engineio_lite.socketio.packet import PacketType
from engineio_lite.socketio.parsers import Parser, find_parser

LIMIT: Final = 300.0
"""Seconds for a whole replay beside the recorded times, if those are kept: five minutes are more than anybody waits for a test."""

LINGER: Final = 0.2
"""Seconds to listen before leaving: what a server on the same machine says right after its last packet has come by then, and the replay of a capture
with many sessions is not much slower."""

MakeClient: TypeAlias = Callable[[], EngineIOClient]

Auth: TypeAlias = Mapping[str, Mapping[str, object]]
"""Namespace -> the payload of its CONNECT."""


async def against(
    url: str,
    capture: str | Path | Source,
    *,
    path: str = "/socket.io/",
    auth: Auth | None = None,
    parser: str | Parser | None = None,
    limit: float = LIMIT,
    linger: float = LINGER,
    connect: ConnectOptions | None = None,
    watch: WatchSession | None = None,
    **options: Unpack[PlayOptions],
) -> Report:
    """Play the recorded client of a capture against the server at `url`; see `Player` for the options that are not here.

    `capture` is the path of a capture, a capture that was loaded, or the lines of one. `auth` are payloads by namespace for CONNECT, in the place
    of the recorded ones, where secrets are redacted; `secrets` fills in single placeholders wherever they are. `parser` is the server's, if it is
    not the recorded one's, and `connect` what `engineio_lite.aio.connect` takes. `limit` and `linger` are in seconds; with a `linger` of 0 nothing
    beyond the capture is noticed.

    What the server says otherwise is in the report. Raises `CaptureError` and `LocalProtocolError` as `Player` does, and an `EngineIOError` if
    there is no connection, or `TimedOut` if it all takes too long. If it is cancelled nothing is left running.
    """
    recorded = as_capture(load(capture) if isinstance(capture, str | Path) else capture)
    player = Player(_with_auth(recorded, auth or {}), ours=Direction.UP, linger=linger, **options)
    settings = Options(**(connect or {}))
    chosen = find_parser(parser) if parser is not None else None

    def client() -> EngineIOClient:
        return EngineIOClient(settings.engine(url, path), settings)

    seconds = limit + player.duration
    try:
        async with asyncio.timeout(seconds):
            await _play_all(player, client, chosen, watch)
    except TimeoutError:
        raise TimedOut(f"the replay was not over within {seconds:.3g} s", cause=Cause.REPLAY_STALLED) from None
    except ExceptionGroup as group:
        raise _first(group) from None
    return player.report()


def _with_auth(capture: Capture, auth: Auth) -> Capture:
    def lines() -> Iterator[Line]:
        for line in capture.lines:
            is_connect = isinstance(line, SocketIOPacket) and line.type is PacketType.CONNECT and line.direction is Direction.UP
            if is_connect and isinstance(line, SocketIOPacket) and line.namespace in auth:
                yield msgspec.structs.replace(line, data=dict(auth[line.namespace]))
            else:
                yield line

    return msgspec.structs.replace(capture, lines=tuple(lines()))


def _first(group: ExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


async def _play_all(player: Player, client: MakeClient, parser: Parser | None, watch: WatchSession | None) -> None:
    now = asyncio.get_running_loop().time()
    over: list[tuple[Script, asyncio.Task[None]]] = []
    async with asyncio.TaskGroup() as tasks:
        for script in player.scripts:
            seat = player.open(now)  # all of them now, so that each gets its own
            before = [task for earlier, task in over if earlier.last_line < script.first_line]
            conversation = Conversation(seat, parser=parser or find_parser(script.parser), watch=watch(script.session) if watch is not None else None)
            over.append((script, tasks.create_task(_Session(client, conversation).play(before))))


class _Session:
    """One session of the recorded client."""

    def __init__(self, client: MakeClient, conversation: Conversation) -> None:
        self._client = client
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()

    async def play(self, before: Collection[asyncio.Task[None]]) -> None:
        """Play it once the sessions before it are over."""
        if before:
            await asyncio.wait(before)
        async with Opening(self._client) as engine:
            try:
                await self._converse(engine)
            finally:
                self._conversation.left(self._loop.time())

    async def _converse(self, engine: EngineIOClient) -> None:
        is_over = await self._perform(engine, self._conversation.start(self._loop.time()))
        while not is_over and not self._conversation.seat.is_complete:
            try:
                async with asyncio.timeout_at(self._conversation.deadline):
                    message = await engine.receive()
            except TimeoutError:
                spoken = self._conversation.wake(self._loop.time())
            except EngineIOError as error:
                self._ended(error)
                return
            else:
                spoken = self._conversation.message(message, self._loop.time())
            is_over = await self._perform(engine, spoken)

    def _ended(self, error: EngineIOError) -> None:
        """The server is gone; if that was too early, what it was is the cause of what is told."""
        seat = self._conversation.seat
        seat.left(self._loop.time())
        unfinished = seat.unfinished()
        if unfinished is not None:
            unfinished.__cause__ = error
            seat.fail(unfinished)

    async def _perform(self, engine: EngineIOClient, spoken: list[Spoken]) -> bool:
        messages = [each for each in spoken if isinstance(each, str | bytes)]
        try:
            if messages:
                await engine.send(*messages)
        except EngineIOError as error:
            self._ended(error)
            return True
        return len(messages) < len(spoken)
