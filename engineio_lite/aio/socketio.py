"""Socket.IO for asyncio: a client that may outlive its connections, and its namespaces.

What is decided when is decided by the pure `SocketIOLink`; this module gives it a driver and turns its events into what an application waits for:
streams, handlers, futures.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal, Self, TypeAlias, Unpack

from engineio_lite.aio.client import Client, Opening, Options, resolve
from engineio_lite.aio.inbox import Box, Inbox
from engineio_lite.aio.namespace import Auth, Namespace
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.aio.outgoing import Onlookers
from engineio_lite.aio.sending import Habits, Owner, Sender, fail, has_result
from engineio_lite.aio.transports import WaysIn
from engineio_lite.aio.wire import to_its_end
from engineio_lite.causes import Cause
from engineio_lite.events import Closed, Upgraded, UpgradeFailed
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError, TimedOut, elide
from engineio_lite.handshake import split_namespace
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import (
    AuthNeeded,
    EventReceived,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    Reconnected,
    Reconnecting,
)
from engineio_lite.socketio.inputs import Acknowledge, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.parsers import Parser, find_parser
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import CloseReason

logger = logging.getLogger("engineio_lite")

State: TypeAlias = NamespaceConnected | NamespaceRefused | NamespaceLeft | Reconnecting | Reconnected | Upgraded | UpgradeFailed | Closed
"""The events of the client's own: what `on` takes as a class, and `states` shows between the events that come."""

_STATES: Final = (NamespaceConnected, NamespaceRefused, NamespaceLeft, Reconnecting, Reconnected, Upgraded, UpgradeFailed, Closed)


_MEANT: Final = (CloseReason.CLIENT_DISCONNECT, CloseReason.SERVER_DISCONNECT)


class SocketIOClient(Client[Any], Namespace):
    """A Socket.IO client: the namespace with which it was opened, and others on the same connection.

    Several tasks may use it at once; events leave in the order in which `emit` and `call` were called. Take what comes, by iterating or by handlers:
    events that nobody takes end up as back-pressure.
    """

    def __init__(self, link: SocketIOLink, settings: Options, namespace: str, auth: Auth, habits: Habits) -> None:
        Client.__init__(self, link, settings)
        Namespace.__init__(self, self, namespace, auth)
        self._link = link
        self._inbox = Inbox(self._stream, settings.limits, self._answer, self._box)
        onlookers = Onlookers(lambda name: self._namespaces[name]._onlookers.everyone)
        self._sender = Sender(link, self._driver, Owner(self._raise_if_closed, self._inbox.release, self._inbox.call_back, onlookers), habits)
        self._namespaces: dict[str, Namespace] = {namespace: self}
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._authenticating: dict[str, asyncio.Task[None]] = {}
        self._watches_states = False

    # -------------------------------------------------------------------------------------------------------------------------- what happens

    def _deliver(self, event: Any) -> None:
        if type(event) is not EventReceived:
            self._happened(event)
        elif self._inbox.plain:
            self._stream.put(event)
        else:
            self._inbox.route(event)

    def _happened(self, event: Any) -> None:
        if self._sender.happened(event):
            return
        match event:
            case AuthNeeded(namespace):
                self._authenticate(namespace)
            case NamespaceConnected() | NamespaceRefused() | NamespaceLeft():
                self._namespace_changed(event)
            case Reconnecting():
                self._disconnected(event)
            case Closed():
                self._show(event)  # before the streams end
                super()._deliver(event)
                return
            case _:
                super()._deliver(event)
        if isinstance(event, _STATES):
            self._show(event)

    def _show(self, event: State) -> None:
        """Let those who want to know of the client's own events have this one, in its place among the others."""
        concerned = getattr(event, "namespace", None)
        for namespace in self._namespaces.values():
            is_told = namespace is self or concerned is None or namespace.name == concerned
            if is_told and namespace._box.handlers.wants(type(event)):
                self._inbox.dispatcher.handle(event, namespace._box.handlers)
        if self._watches_states:
            self._stream.put(event)

    def _namespace_changed(self, event: NamespaceConnected | NamespaceRefused | NamespaceLeft) -> None:
        name = event.namespace
        namespace = self._namespaces.get(name)
        match event:
            case NamespaceConnected(_, sid, _, recovered):
                if namespace is not None:
                    namespace._box.end = None
                    namespace._sid, namespace._recovered = sid, recovered
                if name == self._name:
                    resolve(self._opened)
                if (joining := self._joining.get(name)) is not None:
                    resolve(joining)
            case NamespaceRefused(_, error):
                logger.info("namespace %s refused: %s", elide(name), error)
                self._gone(name, error)
            case NamespaceLeft(_, reason, refusal) if reason in _MEANT:
                # Else the connection itself has ended, and what it tells next is the reason.
                self._gone(name, refusal or ConnectionClosed(f"namespace {elide(name)} was left: {reason}", reason=reason))

    def _gone(self, name: str, error: EngineIOError) -> None:
        """A namespace is not there; unless it will be asked for again, nothing more will come in it."""
        fail(self._joining.get(name), error)
        namespace = self._namespaces.get(name)
        if namespace is not None and not self._link.is_wanted(name):
            self._inbox.leave(namespace._box, error)

    def _disconnected(self, event: Reconnecting) -> None:
        """A connection is gone and another will follow: what was on its way is lost, what waits waits on."""
        self._upgrade_error = None
        self._link.epoch = calendar()  # the machine may have slept
        if self._upgrade_over.done():
            self._upgrade_over = self._loop.create_future()
        lost = ConnectionClosed(f"the connection was lost: {event.reason}", reason=event.reason)
        lost.__cause__ = event.error
        self._sender.lost(lost)
        logger.info("connection lost (%s), try number %d begins in %.3g s", event.error or event.reason, event.attempt, event.delay)

    def _end(self, closed: Closed) -> None:
        if self._closed.done():
            return
        super()._end(closed)
        error = self._error()
        self._inbox.finish(error)
        self._sender.ended(error)
        for joining in self._joining.values():
            fail(joining, error)

    def _is_full(self) -> bool:
        return self._inbox.is_full(self._sender.awaits)

    async def _wait_room(self) -> None:
        await self._inbox.wait_room(lambda: self._sender.awaits, self._sender.fail_calls)

    # ------------------------------------------------------------------------------------------------------------------------------- listening

    async def receive(self) -> EventReceived:
        """Return the next event of any namespace that has neither a handler nor a stream of its own, in wire order.

        Raises what ended the client once everything that came before is taken: an `EngineIOError`, or `ConnectionClosed` after an orderly close. Safe
        to cancel: nothing is lost.
        """
        while True:
            event = await self._stream.get()
            if type(event) is EventReceived:
                return event

    def __aiter__(self) -> Self:
        return self

    __anext__ = Namespace.__anext__

    def states(self) -> AsyncIterator[EventReceived | State]:
        """Iterate over the events as the client itself does, with what happens to the client in its place between them, from now on.

        That is `NamespaceConnected`, `NamespaceRefused`, `NamespaceLeft`, `Reconnecting`, `Reconnected`, `Upgraded`, `UpgradeFailed` and, as the
        last, `Closed`. It ends without raising: `Closed` says what there is to say.
        """
        self._watches_states = True  # here, because a generator would begin only with the first step of its iteration
        return self._events_and_states()

    async def _events_and_states(self) -> AsyncIterator[EventReceived | State]:
        while True:
            try:
                event: EventReceived | State = await self._stream.get()
            except EngineIOError:
                return
            yield event

    def _onlookers_changed(self) -> None:
        """Have the link tell of what leaves where somebody looks on."""
        self._link.watched = {name for name, namespace in self._namespaces.items() if namespace._onlookers}

    async def _wait_for(self, box: Box, name: str, timeout: float | None) -> EventReceived:
        waiting = self._inbox.take_waiting(box, name)
        if waiting is not None:
            return waiting
        self._raise_if_closed()
        if not self._link.is_wanted(box.namespace):
            raise LocalProtocolError(f"namespace {elide(box.namespace)} is not joined", cause=Cause.NAMESPACE_NOT_CONNECTED)
        return await self._inbox.wait_for(box, name, timeout)

    async def _answer(self, event: EventReceived, args: tuple[object, ...]) -> None:
        """Answer an event with what its handler returned."""
        if not self._closed.done() and event.ack_id is not None:
            await self._process(Acknowledge(event.ack_id, args, event.namespace, event.grant))

    # ----------------------------------------------------------------------------------------------------------------------------- namespaces

    async def namespace(self, name: str, *, auth: Auth = None) -> Namespace:
        """Join one more namespace on this connection, or one that was left again; `auth` as for `connect_socketio`.

        Raises `ConnectRefused` with the server's words, `TimedOut` without an answer, `LocalProtocolError` for one that is joined; the other
        namespaces are not touched. If it is cancelled, the namespace is left again.
        """
        self._raise_if_closed()
        joined = self if name == self._name else Namespace(self, name, auth)
        joining: asyncio.Future[None] = self._loop.create_future()
        before = self._namespaces.get(name)
        if not self._link.is_wanted(name):  # else it is refused below, and nothing has changed
            joined._auth = auth
            self._namespaces[name], self._inbox.boxes[name], self._joining[name] = joined, joined._box, joining
        try:
            await self._process(_join(name, auth))
            await joining
        except asyncio.CancelledError:
            if self._joining.get(name) is joining and not self._closed.done() and self._link.is_wanted(name):
                self._driver.process(LeaveNamespace(name))
            raise
        except EngineIOError:
            if self._namespaces.get(name) is joined and before is not None:
                self._namespaces[name], self._inbox.boxes[name] = before, before._box
            raise
        finally:
            if self._joining.get(name) is joining:
                del self._joining[name]
            has_result(joining)  # seen, even where another error was raised instead
        return joined

    async def _leave_namespace(self, name: str) -> None:
        self._raise_if_closed()
        self._driver.process(LeaveNamespace(name))
        await self._driver.flush()  # if it was the last one that is the end, and no error here

    def _authenticate(self, namespace: str) -> None:
        """Ask the application for its auth, in a task of its own: it may take its time."""
        if (former := self._authenticating.get(namespace)) is not None:
            former.cancel()
        task = self._loop.create_task(self._provide_auth(namespace))
        self._authenticating[namespace] = task

        def done(task: asyncio.Task[None]) -> None:
            if self._authenticating.get(namespace) is task:
                del self._authenticating[namespace]

        task.add_done_callback(done)

    async def _provide_auth(self, name: str) -> None:
        namespace = self._namespaces[name]
        try:
            auth = namespace._auth() if callable(namespace._auth) else namespace._auth
            await self._give_auth(ProvideAuth(name, await auth if inspect.isawaitable(auth) else auth))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._driver.process(RefuseAuth(name, _auth_failed(name, error)))  # something that auth waited for was cancelled
        except Exception as error:
            self._driver.process(RefuseAuth(name, error if isinstance(error, EngineIOError) else _auth_failed(name, error)))
        await self._driver.flush()

    async def _give_auth(self, answer: ProvideAuth) -> None:
        while True:
            try:
                self._driver.process(answer)
                return
            except LocalProtocolError as error:
                if error.cause is not Cause.SEND_BUFFER_FULL:
                    raise
            await self._driver.wait_until(lambda: not self._link.buffered_packets)  # which may be less than what holds senders back

    # --------------------------------------------------------------------------------------------------------------------------------- leaving

    async def drain(self) -> None:
        """Return when everything that was emitted has left, and what is repeated is acknowledged. Raises what ended the client. Safe to cancel."""
        await self._sender.drain()

    async def close(self, *, drain: bool = False, timeout: float | None = None) -> None:
        """Leave: what the connection has accepted is sent, the server is told, and everything that was opened is closed.

        With `drain` it waits first until everything has left and what is repeated is acknowledged, for `timeout` seconds at most (None: without
        end); if that time is over it still leaves, and raises `TimedOut`. Leaving takes at most ``timeouts.close`` seconds for telling and as long
        again for a WebSocket's closing handshake. Handlers that run are cancelled, but for one that calls this. Calling it twice, or from several
        tasks, is harmless. If it is cancelled, everything is still closed, at once and without telling.
        """
        late: TimedOut | None = None
        try:
            if drain and not self._closed.done():
                async with asyncio.timeout(timeout):
                    await self.drain()
        except TimeoutError:
            late = TimedOut(f"{self._sender.unsent} messages had not left after {timeout:.3g} s", cause=Cause.DRAIN_TIMEOUT, stage="session")
        finally:
            await self._leave_for_good()
        if late is not None:
            raise late

    async def _leave_for_good(self) -> None:
        try:
            await super().close()
        finally:
            for task in self._authenticating.values():
                task.cancel()
            stopping = self._inbox.dispatcher.stop(self._options.timeouts.close, asyncio.current_task())
            await to_its_end([self._loop.create_task(stopping), *self._authenticating.values()])


def connect_socketio(
    url: str,
    *,
    auth: Auth = None,
    namespace: str | None = None,
    path: str = "/socket.io/",
    parser: str | Parser = "default",
    reconnect: bool | ReconnectPolicy = False,
    offline: Literal["buffer", "raise"] = "buffer",
    recovery: bool = True,
    retries: int | None = None,
    ack_timeout: float | None = None,
    **options: Unpack[ConnectOptions],
) -> Opening[SocketIOClient]:
    """Open a Socket.IO connection and join a namespace; use it as ``async with connect_socketio(url) as sio`` or await it.

    `url` is an http, https, ws or wss URL. Its path is the namespace, as for the reference client (``https://host/admin``), unless `namespace`
    names it; a path that ends with a slash or with ``socket.io`` is where the server is mounted, instead of `path`. `auth` is the payload of
    CONNECT: a JSON object, or a function or coroutine function that returns one, asked for every connection. `parser` is the server's,
    ``"default"`` or ``"msgpack"``.

    `reconnect` makes another connection when one is lost, as a `ReconnectPolicy` says, or True for the reference client's; `recovery` takes up the
    session where it was lost, if the server offers that. What is emitted while there is no connection waits (`offline` is ``"buffer"``, up to
    `Limits.max_offline_events`) or is refused (``"raise"``). With `retries` every event that is not volatile is sent until it is acknowledged; see
    `Namespace.emit`. `ack_timeout` is how long to wait for an acknowledgement, in seconds, where no other time is given.

    See `ConnectOptions` for the rest. Opening raises `ConnectRefused` if the namespace refuses, or another `EngineIOError` that names stage, cause
    and fix; then, or when it is cancelled, nothing is left running.
    """

    def make() -> SocketIOClient:
        settings = Options(**options)
        address, named = split_namespace(url)
        if named is not None and namespace is not None:
            raise LocalProtocolError(f"the namespace is given twice: {elide(named)} in the URL, and {elide(namespace)}", cause=Cause.BAD_URL)
        if offline not in ("buffer", "raise"):
            raise LocalProtocolError(f"offline must be 'buffer' or 'raise', not {elide(repr(offline))}", cause=Cause.BAD_OPTION)
        habits = Habits(retries, ack_timeout)
        chosen = find_parser(parser)

        def make_connection(transports: Sequence[str]) -> SocketIOConnection:
            engine = settings.engine(address, path, transports)
            return SocketIOConnection(engine=engine, limits=settings.limits, timeouts=settings.timeouts, parser=chosen)

        policy = (ReconnectPolicy() if reconnect else None) if isinstance(reconnect, bool) else reconnect
        ways = WaysIn(settings.transports, make_connection, policy)
        ways.connection()  # for what is wrong with the URL or the transports, to be raised here
        link = SocketIOLink(
            ways.connection,
            policy=ways,
            hold=offline == "buffer",
            recovery=recovery,
            epoch=calendar(),
            roll=random.random,
            limits=settings.limits,
            parser=chosen,
        )
        return SocketIOClient(link, settings, namespace or named or "/", auth, habits)

    return Opening(make, lambda client: (_join(client.name, auth),))


def calendar() -> float:
    """The calendar's time, in seconds since 1970, at which the event loop's clock was at 0."""
    return time.time() - asyncio.get_running_loop().time()


def _join(namespace: str, auth: Auth) -> JoinNamespace:
    if callable(auth):
        return JoinNamespace(namespace, deferred=True)
    return JoinNamespace(namespace, auth)


def _auth_failed(namespace: str, error: BaseException) -> EngineIOError:
    failed = EngineIOError(f"auth for namespace {elide(namespace)} raised {type(error).__name__}", cause=Cause.AUTH_FAILED, stage="namespace")
    failed.__cause__ = error
    return failed
