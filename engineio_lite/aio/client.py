"""What the two clients have in common: opening, the upgrade, the end.

A client owns one connection, its driver and its network, from its opening to `close`, once. It is made by `connect` or `connect_socketio`, which give
something that can be awaited or entered with ``async with``.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import aiohttp
import msgspec

from engineio_lite.aio.driver import Driver, Machine
from engineio_lite.aio.network import AnyNetwork, Network, new_jar
from engineio_lite.aio.recording import Record, Recording
from engineio_lite.aio.stream import Stream
from engineio_lite.aio.wire import Sink
from engineio_lite.capture.lines import Door
from engineio_lite.capture.recorder import RecordedConnection, Recorder
from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Opened, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import ConnectionClosed, EngineIOError
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import Close, Connect
from engineio_lite.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.socketio.connection import Engine
from engineio_lite.state import CloseReason, Transport

logger = logging.getLogger("engineio_lite")

Item = TypeVar("Item")

_BY_US = frozenset({CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT})
_CAUSES = {CloseReason.SERVER_CLOSE: Cause.SERVER_CLOSED, CloseReason.SERVER_DISCONNECT: Cause.SERVER_DISCONNECTED}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What both kinds of connection take; see `connect` for the meaning of each."""

    transports: Sequence[str] = (Transport.POLLING, Transport.WEBSOCKET)
    headers: Mapping[str, str] | None = None
    cookies: Mapping[str, str] | None = None
    proxy: str | None = None
    ssl: SSLContext | bool = True
    trust_env: bool = False
    session: aiohttp.ClientSession | None = None
    limits: Limits = DEFAULT_LIMITS
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    recorder: Recorder | None = None
    network: Callable[[], AnyNetwork] | None = None
    record: Record | None = None

    def __post_init__(self) -> None:
        if self.record is not None and not isinstance(self.record, Recording):
            msgspec.structs.force_setattr(self, "record", Recording.of(self.record))  # one for all connections that will be made

    @property
    def recording(self) -> Recording | None:
        """What `record` means."""
        return None if self.record is None else Recording.of(self.record)

    def engine(self, url: str, default_path: str, transports: Sequence[str] | None = None) -> Engine:
        """A fresh Engine.IO connection, recorded if that is wanted; over other `transports` than the usual, if they are given."""
        transports = tuple(self.transports if transports is None else transports)
        token = secrets.token_hex(4)
        connection = EngineIOConnection(
            url, transports=transports, limits=self.limits, timeouts=self.timeouts, token=token, default_path=default_path
        )
        recorder = self.recorder
        if self.recording is not None:
            door = Door(session=0, url=url, transports=transports, token=token, default_path=default_path, limits=self.limits, timeouts=self.timeouts)
            recorder = self.recording.connection(door, recorder)
        return RecordedConnection(connection, recorder) if recorder is not None else connection

    def networks(self) -> Callable[[], AnyNetwork]:
        """What makes a fresh network for each connection; the cookies that a server sets go from one to the next, as in a browser."""
        if self.network is not None:
            return self.network
        jar = new_jar()
        return lambda: Network(
            limits=self.limits,
            timeouts=self.timeouts,
            headers=self.headers,
            cookies=self.cookies,
            proxy=self.proxy,
            ssl=self.ssl,
            trust_env=self.trust_env,
            session=self.session,
            jar=jar,
        )


class Client(Generic[Item]):
    """One machine and what it takes to run it; the base of `EngineIOClient` and `SocketIOClient`."""

    def __init__(self, machine: Machine, options: Options) -> None:
        self._machine = machine
        self._options = options
        self._stream: Stream[Item] = Stream(options.limits.max_queued_events)
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._upgrade_over: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[Closed] = self._loop.create_future()
        self._upgrade_error: EngineIOError | None = None
        self._recording: Recording | None = None
        self._driver = Driver(machine, options.networks(), Sink(self._deliver, self._is_full, self._wait_room))

    # ------------------------------------------------------------------------------------------------------------------------- what is known

    @property
    def transport(self) -> Transport | None:
        """How packets travel now; None while there is no session."""
        return self._machine.transport

    @property
    def handshake(self) -> Handshake | None:
        """The server's open packet, None while there is no session; its `sid` is a secret."""
        return self._machine.handshake

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, with the evidence; None while it has not."""
        return self._closed.result() if self._closed.done() else None

    @property
    def upgrade_error(self) -> EngineIOError | None:
        """Why the upgrade to a WebSocket failed, if it did; the connection goes on by polling."""
        return self._upgrade_error

    async def wait_upgraded(self) -> bool:
        """Return once the upgrade is over: True if packets travel by WebSocket now, False if they stay on polling. Safe to cancel."""
        if self._machine.may_upgrade and not self._upgrade_over.done():
            await asyncio.shield(self._upgrade_over)
        return self.transport is Transport.WEBSOCKET

    # ------------------------------------------------------------------------------------------------------------------- the sink of the driver

    def _is_full(self) -> bool:
        return self._stream.full

    async def _wait_room(self) -> None:
        await self._stream.wait_room()

    def _deliver(self, event: Any) -> None:
        match event:
            case Upgraded():
                resolve(self._upgrade_over)
            case UpgradeFailed(error):
                self._upgrade_error = error
                resolve(self._upgrade_over)
                logger.info("upgrade failed, going on by polling: %s", error)
            case PollingStuck(polls):
                logger.info("the server answered %d polls with nothing, repairing", polls)
            case Closed():
                self._end(event)
            case Opened():
                logger.debug("session open by %s", event.transport)
            case _:
                logger.debug("%r", type(event).__name__)

    def _end(self, closed: Closed) -> None:
        if self._closed.done():
            return
        self._closed.set_result(closed)
        resolve(self._upgrade_over)
        error = self._error()
        self._stream.finish(error)
        if not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()  # seen: a client that nobody opens any more has nobody to tell

    def _error(self) -> EngineIOError:
        """What to raise where the connection is needed and closed."""
        closed = self._closed.result()
        if closed.error is not None:
            return closed.error
        how = "by this side" if closed.reason in _BY_US else "by the server"
        cause = _CAUSES.get(closed.reason, Cause.CLOSED)
        return ConnectionClosed(f"the connection was closed {how}: {closed.reason}", reason=closed.reason, cause=cause)

    def _raise_if_closed(self) -> None:
        if self._closed.done():
            raise self._error().with_traceback(None)

    def _pass(self, input: Any) -> None:
        self._raise_if_closed()
        self._driver.process(input)

    async def _process(self, input: Any) -> None:
        """Pass one wish through the door and write what comes of it; first wait until there is room for more."""
        self._raise_if_closed()
        driver = self._driver
        if driver.must_wait:
            await driver.in_turn(lambda: self._pass(input))
        else:
            driver.process(input)
        if driver.unwritten:
            await driver.flush()
        self._raise_if_closed()

    # ------------------------------------------------------------------------------------------------------------------------ receiving, ending

    async def receive(self) -> Item:
        """Return the next one, in wire order.

        Raises what ended the connection once everything that came before is taken: an `EngineIOError`, or `ConnectionClosed` after an orderly
        close. Safe to cancel: nothing is lost.
        """
        return await self._stream.get()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            return await self._stream.get()
        except ConnectionClosed as end:
            # Iteration ends quietly where we ended the connection, and only there: a server that leaves may have left something unsaid.
            if end.reason in _BY_US:
                raise StopAsyncIteration from None
            raise

    async def _open(self, *first: Any) -> None:
        """Open the connection; `first` inputs go through the door before it opens. Raises what went wrong; then nothing is left running."""
        try:
            self._start_recording()
            for input in (*first, Connect()):
                self._driver.process(input)
            await asyncio.shield(self._opened)
        except BaseException:
            await self.close()
            raise

    def _start_recording(self) -> None:
        recording = self._options.recording
        if recording is not None:
            recording.learn(headers=self._options.headers, cookies=self._options.cookies, proxy=self._options.proxy)
            recording.attach()
            self._recording = recording

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.detach()

    async def close(self) -> None:
        """Leave: what waits is sent, the server is told, and everything that was opened is closed.

        Takes at most ``timeouts.close`` seconds for telling and as long again for a WebSocket's closing handshake. Calling it twice, or from
        several tasks, is harmless. If it is cancelled, everything is still closed, at once and without telling.
        """
        try:
            self._driver.process(Close())
            async with asyncio.timeout(2 * self._options.timeouts.close):
                await self._driver.flush()
                await asyncio.shield(self._closed)
                await self._driver.wait_quiet()
        except TimeoutError:
            logger.warning("the connection was not left in an orderly way within its time")
        finally:
            try:
                await self._driver.shut_down()
            finally:
                self._stop_recording()
            if not self._closed.done():
                self._end(Closed(CloseReason.CLIENT_CLOSE, None))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.close()


ClientType = TypeVar("ClientType", bound=Client[Any])


class Opening(Generic[ClientType]):
    """A connection to be opened: ``async with`` it, or ``await`` it and close the client yourself."""

    def __init__(self, make: Callable[[], ClientType], first: Callable[[ClientType], Sequence[Any]] = lambda _: ()) -> None:
        self._make = make
        self._first = first
        self._client: ClientType | None = None

    async def _open(self) -> ClientType:
        client = self._make()
        await client._open(*self._first(client))
        return client

    def __await__(self) -> Generator[Any, None, ClientType]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientType:
        self._client = await self._open()
        return self._client

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._client is not None:
            await self._client.close()


def resolve(future: asyncio.Future[None]) -> None:
    """Let whoever waits go on."""
    if not future.done():
        future.set_result(None)
