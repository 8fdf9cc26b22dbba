"""What python-socketio calls its engine: the interface of `engineio.AsyncClient`, with this library behind it.

python-engineio's client is one object for many connections; a connection of this library is used once. So the `Engine` here keeps what outlives a
connection (handlers, options, the last words) and makes a `Session` for each. It is in one of the original's three states, and python-socketio's
decisions hang on which one they are told the end in: in ``connected`` the connection was lost, and it reconnects; in ``disconnecting`` one side left.

The reasons of an end are the original client's three. `closed` tells the rest: the reason in the protocol's words, the error, the last packets.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeVar

import aiohttp
import engineio
import msgspec

from engineio_lite.bridge.options import choose_transports, engine_url, make_logger, read_settings
from engineio_lite.bridge.session import Audience, Session
from engineio_lite.causes import Cause
from engineio_lite.events import Closed
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError, RemoteProtocolError
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.packet import Packet, PacketType
from engineio_lite.state import CloseReason

Result = TypeVar("Result")

State = Literal["disconnected", "connected", "disconnecting"]


class Reason:
    """Why a connection ended, in python-engineio's words."""

    CLIENT_DISCONNECT: Final = "client disconnect"
    SERVER_DISCONNECT: Final = "server disconnect"
    TRANSPORT_ERROR: Final = "transport error"


class _Nobody:
    """The audience of an engine that nobody listens to yet."""

    def answers_awaited(self) -> bool:
        return False

    def unread(self) -> int:
        return 0

    def give_up(self, error: EngineIOError) -> None:
        raise AssertionError(error)


class Engine:
    """The engine of one `AsyncClient`; takes python-engineio's options (see `EngineOptions`)."""

    reason = Reason
    event_names: ClassVar = ["connect", "disconnect", "message"]

    def __init__(self, *, logger: logging.Logger | bool = False, handle_sigint: bool = False, **options: Any) -> None:
        self._settings = read_settings(**options)
        self.logger = make_logger("engineio.client", logger)
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.audience: Audience = _Nobody()
        self.state: State = "disconnected"
        self.sid: str | None = None
        self.opened = False
        """Whether the last `connect` got as far as an open connection."""
        self._session: Session | None = None
        self._last: Session | None = None
        self._connecting = False
        self._called_off = False
        self._keepers: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[Any]] = set()

    # ----------------------------------------------------------------------------------------------------------------------------- what is known

    def is_asyncio_based(self) -> bool:
        """True, as the original says."""
        return True

    @property
    def current_transport(self) -> str | None:
        """How packets travel now, or travelled last."""
        transport = self._last.transport if self._last is not None else None
        return transport.value if transport is not None else None

    def transport(self) -> str | None:
        """As `current_transport`."""
        return self.current_transport

    @property
    def http(self) -> aiohttp.ClientSession | None:
        """The HTTP session that the caller gave or made."""
        given = self._settings.http_session
        return given if isinstance(given, aiohttp.ClientSession) else self._session.http if self._session is not None else None

    @property
    def closed(self) -> Closed | None:
        """How the last connection ended, with the evidence; None while there is one, or was none."""
        return self._last.closed if self._last is not None else None

    @property
    def failure(self) -> EngineIOError | None:
        """The error that ended the last connection; None while it is open, and when this side ended it."""
        return self._last.failure if self._last is not None else None

    @property
    def limits(self) -> Limits:
        """How much, how many and how deep, for every connection."""
        return self._settings.options.limits

    @property
    def timeouts(self) -> Timeouts:
        """How long, for every connection."""
        return self._settings.options.timeouts

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Register the handler of ``connect``, ``message`` or ``disconnect``; without one, return a decorator that does."""
        if event not in self.event_names:
            raise ValueError("Invalid event")

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.handlers[event] = handler
            return handler

        return register if handler is None else register(handler)

    # -------------------------------------------------------------------------------------------------------------------------------- connecting

    async def connect(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        transports: str | Sequence[str] | None = None,
        engineio_path: str = "engine.io",
    ) -> None:
        """Open a connection and call the ``connect`` handler; an upgrade goes on behind it.

        Raises `engineio.exceptions.ConnectionError` with the text of our error and the error as its cause; ValueError while there is a connection,
        and for transports that are none; LocalProtocolError for options that do not go together. Then, or when it is cancelled, nothing is left
        running.
        """
        if self.state != "disconnected" or self._connecting:
            raise ValueError("Client is not in a disconnected state")
        chosen = choose_transports(transports)
        self._connecting, self._called_off, self.opened = True, False, False
        try:
            self.logger.info("connecting by %s", " and ".join(chosen))
            self._session = self._last = session = await self._make_session(engine_url(url, engineio_path), chosen, headers or {})
            # Now, because a task that is cancelled before its first step would close nothing.
            session.keeper = asyncio.get_running_loop().create_task(self._keep(session))
            self._keepers.add(session.keeper)
            session.keeper.add_done_callback(self._keepers.discard)
            try:
                await self._establish(session)
            except BaseException:
                try:
                    await session.close()
                finally:
                    await asyncio.wait({session.keeper})
                raise
            self.opened = True
        except LocalProtocolError as error:
            if error.cause is not Cause.BAD_URL:
                raise
            raise _connection_error(error) from error
        except EngineIOError as error:
            raise _connection_error(error) from error
        finally:
            self._connecting = False

    async def _make_session(self, url: str, transports: Sequence[str], headers: Mapping[str, str]) -> Session:
        http = self._settings.http_session
        made: aiohttp.ClientSession | None = None
        if http is not None and not isinstance(http, aiohttp.ClientSession):
            answer = http()
            http = made = await answer if inspect.isawaitable(answer) else answer
        try:
            if self._called_off:
                raise _called_off()
            if http is not None and http.closed:
                raise EngineIOError("the http_session is closed, so nothing can be sent with it", cause=Cause.BAD_OPTION, stage="handshake")
            options = self._settings.for_connection(transports, headers, http)
            session = Session(url, options, audience=self.audience, greet=self._greet, handle=self._handle, logger=self.logger)
        except BaseException:
            if made is not None:
                await made.close()
            raise
        session.http = made
        return session

    async def _establish(self, session: Session) -> None:
        try:
            await session.establish()
        except (EngineIOError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise engineio.exceptions.ConnectionError(f"Connect handler failed: {error}") from error
        if self._called_off:
            raise _called_off()
        session.established = True

    async def _greet(self) -> None:
        session = self._session
        assert session is not None
        assert session.handshake is not None
        self.sid = session.handshake.sid
        self.state = "connected"
        self.logger.info("connected by %s", self.current_transport)
        await self._trigger("connect")

    async def _handle(self, message: str | bytes) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            self.logger.info("received %r", Packet(PacketType.MESSAGE, message))
        await self._trigger("message", message)

    async def _trigger(self, event: str, *arguments: Any) -> None:
        handler = self.handlers.get(event)
        if handler is not None and inspect.isawaitable(answer := handler(*arguments)):
            await answer

    async def wait_upgraded(self) -> None:
        """Return once the upgrade of the connection is over, or the connection is. Safe to cancel."""
        if self._session is not None:
            await self._session.wait_upgraded()

    # ----------------------------------------------------------------------------------------------------------------------------------- sending

    async def send(self, *messages: Any) -> None:
        """Send messages, with no other between them; as the original, drop them while there is no connection.

        Text and bytes are sent as they are, anything else as JSON. Waits while too much waits to be sent. Raises `LocalProtocolError` for what cannot
        be sent, and what ended the connection if it ended first. Safe to cancel: the messages are sent together or not at all.
        """
        session = self._session
        if session is None or session.told or self.state != "connected":
            self.logger.warning("not sent, because there is no connection: %d messages", len(messages))
            return
        encoded = [_encode(message) for message in messages]
        if self.logger.isEnabledFor(logging.INFO):
            self.logger.info("sending %r", [Packet(PacketType.MESSAGE, message) for message in encoded])
        await session.send(*encoded)

    async def fail(self, error: RemoteProtocolError) -> None:
        """End the connection with `error`, because what came makes no sense to whoever reads it."""
        if self._session is not None:
            self.logger.warning("ending the connection: %s", error)
            await self._session.fail(error)

    # ------------------------------------------------------------------------------------------------------------------------------------ ending

    async def _keep(self, session: Session) -> None:
        """See the connection to its end: tell of it unless this side leaves, and close what is left. Being cancelled closes it as well."""
        try:
            await asyncio.shield(session.over)
            if session.established and not session.left:
                await self._tell_end(session)
        finally:
            await self._leave(session)

    async def _tell_end(self, session: Session) -> None:
        session.told = True  # a disconnect handler may emit: that is dropped, as in the original, and not an error in it
        closed = session.closed
        by_server = closed is not None and closed.reason is CloseReason.SERVER_CLOSE
        if by_server:
            self.state = "disconnecting"
        self.logger.info("the connection ended: %s", session.failure)
        try:
            await self._trigger("disconnect", Reason.SERVER_DISCONNECT if by_server else Reason.TRANSPORT_ERROR)
        except Exception as error:
            self._report("the disconnect handler failed", error)

    async def _leave(self, session: Session) -> None:
        """Forget the session, so that another may follow, and close it with what was made for it."""
        if session.closed is None:
            session.leave()
        if self._session is session:
            self._session = None
            self.sid = None
            self.state = "disconnected"
        try:
            await session.close()
        finally:
            if session.http is not None:
                await session.http.close()

    async def disconnect(self, abort: bool = False, reason: str | None = None) -> None:
        """Leave: call the ``disconnect`` handler, say goodbye, and return when everything is closed.

        A connection that is being opened is given up. Harmless without a connection, and from several tasks. Takes at most four times
        ``timeouts.close``, beside what the handler takes; if it is cancelled everything is closed at once. `abort` is there for the original's sake:
        nothing here waits for the server without end.
        """
        self._called_off = True
        session = self._session
        try:
            if session is not None and session.closed is None:  # else its keeper tells how it ended
                session.leave()
                if session.established and self.state == "connected":
                    self.state = "disconnecting"
                    await self._trigger("disconnect", reason or Reason.CLIENT_DISCONNECT)
        finally:
            await self._see_off(session)

    async def _see_off(self, session: Session | None) -> None:
        try:
            if session is not None:
                await session.close()
        finally:
            # Of earlier connections too. Bounded, because a keeper may be calling a handler that waits for whoever called this.
            if keepers := self._keepers - {asyncio.current_task()}:
                await asyncio.wait(keepers, timeout=2 * self.timeouts.close)

    async def wait(self) -> None:
        """Return when the connection has ended and the ``disconnect`` handler was called; at once if there is none. Safe to cancel."""
        if self._last is not None and self._last.keeper is not None:
            await asyncio.wait({self._last.keeper})

    # -------------------------------------------------------------------------------------------------------------------------------- utilities

    def start_background_task(self, target: Callable[..., Coroutine[Any, Any, Result]], *args: Any, **kwargs: Any) -> asyncio.Task[Result]:
        """Start ``target(*args, **kwargs)`` as a task, and hold on to it until it is done."""
        task = asyncio.ensure_future(target(*args, **kwargs))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def sleep(self, seconds: float = 0) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """A queue."""
        return asyncio.Queue(*args, **kwargs)

    def get_queue_empty_exception(self) -> type[asyncio.QueueEmpty]:
        """What an empty queue raises."""
        return asyncio.QueueEmpty

    def create_event(self) -> asyncio.Event:
        """An event."""
        return asyncio.Event()

    def look_again(self) -> None:
        """Somebody began to wait for an answer: more messages may be let in."""
        if self._session is not None:
            self._session.look_again()

    def fetched(self) -> None:
        """An event was taken away that lay there unread: there may be room for more."""
        if self._session is not None:
            self._session.fetched()

    def _report(self, message: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": f"engineio_lite.bridge: {message}", "exception": error})


def _encode(message: Any) -> str | bytes:
    if isinstance(message, str | bytes):
        return message
    if isinstance(message, bytearray):
        return bytes(message)
    return msgspec.json.encode(message).decode()


def _called_off() -> ConnectionClosed:
    return ConnectionClosed("the connection was closed by this side before it was open", reason=CloseReason.CLIENT_CLOSE)


def _connection_error(error: EngineIOError) -> engineio.exceptions.ConnectionError:
    """The original's error: our text, and what the server said in JSON, which python-socketio hands to ``connect_error`` handlers."""
    kind = next((value for name, value in error.headers if name.lower() == "content-type"), "")
    if error.status is not None and error.status >= 300 and kind.startswith("application/json"):
        try:
            return engineio.exceptions.ConnectionError(str(error), msgspec.json.decode(error.body))
        except msgspec.DecodeError:
            pass  # cut, or no JSON: then the text is all there is
    return engineio.exceptions.ConnectionError(str(error))
