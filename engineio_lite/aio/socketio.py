"""Socket.IO for asyncio: a client that may outlive its connections, and its namespaces.

What is decided when is decided by the pure `SocketIOLink`; this module gives it a driver and turns its events into what an application waits for:
streams, handlers, futures.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, Unpack

from msgspec import UNSET, UnsetType

from engineio_lite.aio.client import Client, Opening, Options, _resolve
from engineio_lite.aio.delivery import Delivery, Stage, value_of
from engineio_lite.aio.handlers import Callback, Dispatcher, Function
from engineio_lite.aio.namespace import Auth, Namespace
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.aio.stream import Stream
from engineio_lite.aio.wire import to_its_end
from engineio_lite.causes import Cause
from engineio_lite.events import Closed, Upgraded, UpgradeFailed
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError, TimedOut, elide
from engineio_lite.handshake import split_namespace
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import (
    AuthNeeded,
    CallAnswered,
    CallFailed,
    EmitDropped,
    EmitHeld,
    EmitReleased,
    EventReceived,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    Reconnected,
    Reconnecting,
)
from engineio_lite.socketio.inputs import Acknowledge, Deliver, Emit, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.parsers import Parser, find_parser
from engineio_lite.socketio.policy import ReconnectPolicy

logger = logging.getLogger("engineio_lite")

DEFAULT_CALL_TIMEOUT: Final = 60.0
"""Seconds that `call` waits by default; as python-socketio's does."""

DEFAULT_RETRY_TIMEOUT: Final = 10.0
"""Seconds after which an event that is repeated is sent again, by default."""

OVERFLOW: Final = 16
"""While calls wait, so many times the limit of unread events may pile up: the answers come behind them on the same ordered stream."""

State = NamespaceConnected | NamespaceRefused | NamespaceLeft | Reconnecting | Reconnected | Upgraded | UpgradeFailed | Closed
"""The events of the client's own: what `on` takes as a class, and `states` shows between the events that come."""

_STATES: Final = (NamespaceConnected, NamespaceRefused, NamespaceLeft, Reconnecting, Reconnected, Upgraded, UpgradeFailed, Closed)


class SocketIOClient(Client[Any], Namespace):
    """A Socket.IO client: the namespace with which it was opened, and others on the same connection.

    Several tasks may use it at once; events leave in the order in which `emit` and `call` were called. Take what comes, by iterating or by handlers:
    events that nobody takes end up as back-pressure.
    """

    def __init__(self, link: SocketIOLink, settings: Options, namespace: str, auth: Auth, habits: Habits) -> None:
        Client.__init__(self, link, settings)
        Namespace.__init__(self, self, namespace, auth)
        self._link = link
        self._habits = habits
        self._views: dict[str, Namespace] = {namespace: self}
        self._dispatcher = Dispatcher(settings.limits, self._answer)
        self._waiters: list[tuple[Namespace, str, asyncio.Future[EventReceived]]] = []
        self._plain = True
        """Whether all that comes goes into the one stream: nobody listens, waits or reads elsewhere."""
        self._watches_states = False
        self._calls: dict[int, asyncio.Future[list[object]]] = {}
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._authenticating: dict[str, asyncio.Task[None]] = {}
        self._numbers = 0
        self._emitting: Delivery | None = None
        self._held: dict[int, Delivery] = {}
        self._unconfirmed: deque[Delivery] = deque()
        self._generation = 0
        self._driver.on_progress = self._progressed

    # ---------------------------------------------------------------------------------------------------------------------- what comes, in order

    def _deliver(self, event: Any) -> None:
        if type(event) is not EventReceived:
            self._happened(event)
        elif self._plain:
            self._stream.put(event)
        else:
            self._route(event)

    def _route(self, event: EventReceived) -> None:
        taken = False
        for waiter in self._waiters.copy():
            view, name, arrived = waiter
            if event.name == name and event.namespace == view._name and not arrived.done():
                arrived.set_result(event)
                self._waiters.remove(waiter)
                taken = True
        view = self._views.get(event.namespace, self)
        if view._handlers.wants(event.name):
            self._dispatcher.put((view._handlers, event))
        elif not taken:
            (view._own if view._own is not None else self._stream).put(event)

    def _happened(self, event: Any) -> None:
        match event:
            case CallAnswered(call, args):
                answer = self._calls.get(call)
                if answer is not None and not answer.done():
                    answer.set_result(args)
            case CallFailed(call, error):
                _fail(self._calls.get(call), error)
            case EmitHeld(ticket):
                if self._emitting is not None:
                    self._held[ticket] = self._emitting
            case EmitReleased(ticket):
                if (delivery := self._held.pop(ticket, None)) is not None:
                    self._passed_on(delivery)
            case EmitDropped():
                self._dropped(event)
            case AuthNeeded(namespace):
                self._authenticate(namespace)
            case NamespaceConnected() | NamespaceRefused() | NamespaceLeft():
                self._namespace_changed(event)
            case Reconnecting():
                self._disconnected(event)
            case Closed():
                super()._deliver(event)
            case _:
                super()._deliver(event)
        if isinstance(event, _STATES):
            self._show(event)

    def _show(self, event: State) -> None:
        """Let those who want to know of the client's own events have this one, in its place among the others."""
        if self._handlers.wants(type(event)):
            self._dispatcher.put((self._handlers, event))
        if self._watches_states:
            self._stream.put(event)

    def _namespace_changed(self, event: NamespaceConnected | NamespaceRefused | NamespaceLeft) -> None:
        name = event.namespace
        view = self._views.get(name)
        joining = self._joining.get(name)
        match event:
            case NamespaceConnected(_, sid, _, recovered):
                if view is not None:
                    view._sid, view._recovered = sid, recovered
                if name == self._name:
                    _resolve(self._opened)
                if joining is not None:
                    _resolve(joining)
            case NamespaceRefused(_, error):
                logger.info("namespace %s refused: %s", elide(name), error)
                _fail(joining, error)
            case NamespaceLeft(_, reason, error):
                _fail(joining, error or ConnectionClosed(f"namespace {elide(name)} was left: {reason}", reason=reason))
                if view is not None and view._own is not None and not self._link.is_wanted(name):
                    view._own.finish(error or ConnectionClosed(f"namespace {elide(name)} was left: {reason}", reason=reason))

    def _disconnected(self, event: Reconnecting) -> None:
        """A connection is gone and another will follow: what was on its way is lost, what waits waits on."""
        self._generation += 1
        self._upgrade_error = None
        if self._upgrade_over.done():
            self._upgrade_over = self._loop.create_future()
        lost = ConnectionClosed(f"the connection was lost: {event.reason}", reason=event.reason)
        lost.__cause__ = event.error
        self._lose(lost)
        logger.info("connection lost (%s), try number %d begins in %.3g s", event.error or event.reason, event.attempt, event.delay)

    def _end(self, closed: Closed) -> None:
        super()._end(closed)
        error = self._error()
        self._dispatcher.queue.finish(error)
        for view in self._views.values():
            if view._own is not None:
                view._own.finish(error)
        for joining in self._joining.values():
            _fail(joining, error)
        for answer in self._calls.values():
            _fail(answer, error)
        for _, _, arrived in self._waiters:
            _fail(arrived, error)
        self._waiters.clear()
        for delivery in self._held.values():
            delivery.move(Stage.FAILED, error)
        self._held.clear()
        self._lose(error)

    def _lose(self, error: EngineIOError) -> None:
        for delivery in self._unconfirmed:
            delivery.move(Stage.FAILED, error)
        self._unconfirmed.clear()

    # ---------------------------------------------------------------------------------------------------------------------------- back-pressure

    def _is_full(self) -> bool:
        # Not while something waits for an answer that lies behind the unread events, unless too much has piled up.
        if self._plain and not self._calls:
            return self._stream.full
        return self._has_full_stream() and (not (self._calls or self._waiters) or self._overflowing())

    def _streams(self) -> list[Stream[Any]]:
        return [self._stream, self._dispatcher.queue, *(view._own for view in self._views.values() if view._own is not None)]

    def _has_full_stream(self) -> bool:
        return any(stream.full for stream in self._streams())

    def _overflowing(self) -> bool:
        return any(stream.full and len(stream) >= OVERFLOW * self._options.limits.max_queued_events for stream in self._streams())

    async def _wait_room(self) -> None:
        """Wait until the driver should read again; what would find its answer behind too many unread events fails."""
        if self._overflowing():
            message = f"{max(map(len, self._streams()))} events wait unread before the answer of this call"
            error = LocalProtocolError(message, cause=Cause.RECEIVE_BUFFER_FULL)
            for answer in self._calls.values():
                _fail(answer, error)
            for _, _, arrived in self._waiters:
                _fail(arrived, error)
        while self._is_full() and not self._closed.done():
            full = next(stream for stream in self._streams() if stream.full)
            await full.wait_room()

    def _release(self) -> None:
        """Let a driver that waits for room look again: somebody waits for what lies behind the unread events now."""
        for stream in self._streams():
            stream.release()

    def _listeners_changed(self) -> None:
        """Somebody listens, waits or reads elsewhere, or no longer does."""
        listened = any(view._handlers for view in self._views.values())
        self._plain = not (listened or self._waiters or any(view._own is not None for view in self._views.values()))
        self._stream.forgetful = self._stream.forgetful or listened
        if listened and len(self._stream):
            # Later in this turn of the event loop: handlers that are registered one after the other see what waits in wire order.
            self._loop.call_soon(self._sweep)

    def _sweep(self) -> None:
        """Hand what waits unread to handlers that were registered meanwhile."""

        def is_wanted(event: Any) -> bool:
            if not isinstance(event, EventReceived):
                return False
            return self._views.get(event.namespace, self)._handlers.wants(event.name)

        for stream in self._streams():
            if stream is not self._dispatcher.queue:
                for event in stream.take(is_wanted):
                    self._dispatcher.put((self._views.get(event.namespace, self)._handlers, event))

    def _separate(self, view: Namespace) -> Stream[EventReceived]:
        """A stream for one namespace alone, with what waits for it already; the client's own has them all."""
        if view is self:
            return self._stream
        own: Stream[EventReceived] = Stream(self._options.limits.max_queued_events)
        for event in self._stream.take(lambda event: type(event) is EventReceived and event.namespace == view._name):
            own.put(event)
        self._plain = False
        if self._closed.done():
            own.finish(self._error())
        elif not self._link.is_wanted(view._name):
            own.finish(ConnectionClosed(f"namespace {elide(view._name)} was left", reason=None))
        return own

    async def receive(self) -> EventReceived:
        """Return the next event of any namespace that has neither a handler nor a stream of its own, in wire order.

        Raises what ended the client once everything that came before is taken: an `EngineIOError`, or `ConnectionClosed` after an orderly close. Safe
        to cancel: nothing is lost.
        """
        while True:
            event = await self._stream.get()
            if isinstance(event, EventReceived):
                return event

    async def states(self) -> AsyncIterator[EventReceived | State]:
        """Iterate over the events as the client itself does, with what happens to the client in its place between them, from now on.

        That is `NamespaceConnected`, `NamespaceRefused`, `NamespaceLeft`, `Reconnecting`, `Reconnected`, `Upgraded`, `UpgradeFailed` and, as the
        last, `Closed`. It ends without raising: `Closed` says what there is to say.
        """
        self._watches_states = True
        while True:
            try:
                event: EventReceived | State = await self._stream.get()
            except EngineIOError:
                return
            yield event

    def __aiter__(self) -> SocketIOClient:
        return self

    __anext__ = Namespace.__anext__

    async def _wait_for(self, view: Namespace, name: str, timeout: float | None) -> EventReceived:
        stream: Stream[EventReceived] = view._own if view._own is not None else self._stream
        waiting = stream.take(lambda event: type(event) is EventReceived and event.name == name and event.namespace == view._name, 1)
        if waiting:
            return waiting[0]
        self._raise_if_closed()
        if not self._link.is_wanted(view._name):
            raise LocalProtocolError(f"namespace {elide(view._name)} is not joined", cause=Cause.NAMESPACE_NOT_CONNECTED)
        arrived: asyncio.Future[EventReceived] = self._loop.create_future()
        waiter = (view, name, arrived)
        self._waiters.append(waiter)
        self._plain = False
        self._release()
        try:
            async with asyncio.timeout(timeout):
                return await arrived
        except TimeoutError:
            message = f"no event {elide(name)} came within {timeout:.3g} s"
            raise TimedOut(message, cause=Cause.WAIT_TIMEOUT, stage="namespace") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            _seen(arrived)
            self._listeners_changed()

    # ------------------------------------------------------------------------------------------------------------------------------- saying

    async def _emit(
        self,
        namespace: str,
        name: str,
        args: tuple[object, ...],
        *,
        ack: bool,
        callback: Function | None,
        timeout: float | None,
        volatile: bool,
        retries: int | None,
    ) -> Delivery:
        retries = self._habits.retries if retries is None and not volatile else retries
        number = self._numbers = self._numbers + 1
        if not ack and retries is None:
            delivery = Delivery()
            wish: Emit | Deliver = Emit(name, args, namespace, None, None, volatile, number)
        elif volatile and retries is not None:
            raise LocalProtocolError("an event is either volatile or repeated", cause=Cause.BAD_OPTION)
        else:
            delivery = Delivery(self._expect(number, callback))
            if retries is None:
                wish = Emit(name, args, namespace, number, self._habits.ack_timeout if timeout is None else timeout, volatile, number)
            else:
                wish = Deliver(name, args, number, timeout or self._habits.ack_timeout or DEFAULT_RETRY_TIMEOUT, retries, namespace)
        if volatile and not self._driver.writable:
            self._raise_if_closed()
            self._calls.pop(number, None)
            delivery.move(Stage.DROPPED)
            return delivery
        try:
            await self._process_delivery(wish, delivery)
        except BaseException:
            self._calls.pop(number, None)
            raise
        return delivery

    def _expect(self, number: int, callback: Function | None) -> asyncio.Future[list[object]]:
        """A future for the answer to call `number`."""
        answer: asyncio.Future[list[object]] = self._loop.create_future()
        self._calls[number] = answer

        def done(answer: asyncio.Future[list[object]]) -> None:
            self._calls.pop(number, None)
            if not _seen(answer) and callback is not None:
                self._dispatcher.put(Callback(callback, answer.result()))

        answer.add_done_callback(done)
        self._release()
        return answer

    async def _process_delivery(self, wish: Emit | Deliver, delivery: Delivery) -> None:
        """Pass an event through the door, and note how far it has come when it is written or queued."""
        self._raise_if_closed()
        driver = self._driver
        if driver.holding_back:
            await driver.wait_writable()
            self._raise_if_closed()
        held = len(self._held)
        generation = self._generation
        self._emitting = delivery
        try:
            driver.process(wish)
        finally:
            self._emitting = None
        if delivery._answer is not None:
            delivery._answer.add_done_callback(lambda answer: _note_answer(delivery, answer))
        passed_on = type(wish) is Emit and len(self._held) == held and not delivery.final
        if driver.unwritten:
            await driver.flush()
        self._raise_if_closed()
        if passed_on and generation == self._generation:
            self._passed_on(delivery)
        elif passed_on:
            delivery.move(Stage.FAILED, ConnectionClosed("the connection was lost while the event was written", reason=None))

    def _passed_on(self, delivery: Delivery) -> None:
        """An event is with the connection now."""
        if self._link.confirmed == self._link.accepted:
            delivery.move(Stage.WRITTEN)
        else:
            delivery.position = self._link.accepted
            self._unconfirmed.append(delivery)

    def _progressed(self) -> None:
        """Note which events have left by now."""
        confirmed = self._link.confirmed if self._unconfirmed else 0
        while self._unconfirmed and self._unconfirmed[0].position <= confirmed:
            self._unconfirmed.popleft().move(Stage.WRITTEN)

    def _dropped(self, event: EmitDropped) -> None:
        delivery = self._held.pop(event.ticket, None) if event.ticket is not None else None
        delivery = delivery if delivery is not None else self._emitting
        if delivery is not None:
            delivery.move(Stage.DROPPED if event.error is None else Stage.FAILED, event.error)

    async def _call(self, namespace: str, name: str, args: tuple[object, ...], timeout: float | UnsetType | None, retries: int | None) -> Any:
        retries = self._habits.retries if retries is None else retries
        number = self._numbers = self._numbers + 1
        wish: Emit | Deliver
        if retries is None:
            wait = (self._habits.ack_timeout or DEFAULT_CALL_TIMEOUT) if timeout is UNSET else timeout
            wish = Emit(name, args, namespace, number, wait)
        else:
            wait = (None if timeout is UNSET else timeout) or self._habits.ack_timeout or DEFAULT_RETRY_TIMEOUT
            wish = Deliver(name, args, number, wait, retries, namespace)
        answer = self._calls[number] = self._loop.create_future()
        self._release()
        try:
            await self._process(wish)
            return value_of(await answer)
        finally:
            self._calls.pop(number, None)
            _seen(answer)  # even where the connection's own error was raised instead

    async def _answer(self, event: EventReceived, args: tuple[object, ...]) -> None:
        """Answer an event with what its handler returned."""
        if self._closed.done() or event.ack_id is None:
            return
        await self._process(Acknowledge(event.ack_id, args, event.namespace))

    async def drain(self) -> None:
        """Return when everything that was emitted has left, and what is repeated is acknowledged. Raises what ended the client. Safe to cancel."""
        await self._driver.wait_until(self._is_drained)
        await self._driver.flush()
        self._raise_if_closed()

    def _is_drained(self) -> bool:
        return self._closed.done() or (self._link.waiting == 0 and self._link.confirmed == self._link.accepted)

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
            message = f"{self._link.waiting + self._link.accepted - self._link.confirmed} messages had not left after {timeout:.3g} s"
            late = TimedOut(message, cause=Cause.DRAIN_TIMEOUT, stage="session")
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
            await to_its_end([self._loop.create_task(self._dispatcher.stop(self._options.timeouts.close))])

    # ---------------------------------------------------------------------------------------------------------------------------- namespaces

    async def namespace(self, name: str, *, auth: Auth = None) -> Namespace:
        """Join one more namespace on this connection, or one that was left again.

        Raises `ConnectRefused` with the server's words, `TimedOut` without an answer, `LocalProtocolError` for one that is joined; the other
        namespaces are not touched. If it is cancelled, the namespace is left again.
        """
        view = self if name == self._name else Namespace(self, name, auth)
        view._auth = auth
        wish = _join(name, auth)
        self._raise_if_closed()
        if self._link.is_wanted(name):
            self._driver.process(wish)  # which refuses it, in its own words
        joining = self._joining[name] = self._loop.create_future()
        before = self._views.get(name)
        self._views[name] = view
        try:
            await self._process(wish)
            await joining
            return view
        except asyncio.CancelledError:
            if not self._closed.done() and self._link.is_wanted(name):
                self._driver.process(LeaveNamespace(name))
            raise
        except LocalProtocolError:
            self._views.pop(name)
            if before is not None:
                self._views[name] = before
            raise
        finally:
            del self._joining[name]
            _seen(joining)

    def _authenticate(self, namespace: str) -> None:
        """Ask the application for its auth, in a task of its own: it may take its time."""
        if (former := self._authenticating.get(namespace)) is not None:
            former.cancel()
        task = self._loop.create_task(self._provide_auth(namespace))
        self._authenticating[namespace] = task
        task.add_done_callback(lambda task: self._authenticating.pop(namespace) if self._authenticating.get(namespace) is task else None)

    async def _provide_auth(self, namespace: str) -> None:
        view = self._views.get(namespace)
        answer: ProvideAuth | RefuseAuth
        try:
            auth = view._auth() if view is not None and callable(view._auth) else None
            answer = ProvideAuth(namespace, await auth if inspect.isawaitable(auth) else auth)
            self._driver.process(answer)
        except Exception as error:
            refusal = error if isinstance(error, EngineIOError) else _auth_failed(namespace, error)
            self._driver.process(RefuseAuth(namespace, refusal))
        await self._driver.flush()


class Habits:
    """How a client delivers unless it is told otherwise."""

    def __init__(self, retries: int | None, ack_timeout: float | None) -> None:
        if retries is not None and retries < 0:
            raise LocalProtocolError(f"retries is a number from 0 up, or None, not {retries!r}", cause=Cause.BAD_OPTION)
        if ack_timeout is not None and not ack_timeout > 0:
            raise LocalProtocolError(f"ack_timeout is a number of seconds above 0, or None, not {ack_timeout!r}", cause=Cause.BAD_OPTION)
        self.retries = retries
        self.ack_timeout = ack_timeout


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

        def connection() -> SocketIOConnection:
            engine = settings.engine(address, path)
            return SocketIOConnection(engine=engine, limits=settings.limits, timeouts=settings.timeouts, parser=chosen)

        policy = (ReconnectPolicy() if reconnect else None) if isinstance(reconnect, bool) else reconnect
        connection()  # for what is wrong with the URL or the transports, to be raised here
        link = SocketIOLink(
            connection, policy=policy, hold=offline == "buffer", recovery=recovery, roll=random.random, limits=settings.limits, parser=chosen
        )
        return SocketIOClient(link, settings, namespace or named or "/", auth, habits)

    return Opening(make, lambda client: (_join(client.name, auth),))


def _join(namespace: str, auth: Auth) -> JoinNamespace:
    if callable(auth):
        return JoinNamespace(namespace, deferred=True)
    return JoinNamespace(namespace, auth)


def _auth_failed(namespace: str, error: Exception) -> EngineIOError:
    failed = EngineIOError(f"auth for namespace {elide(namespace)} raised {type(error).__name__}", cause=Cause.AUTH_FAILED, stage="namespace")
    failed.__cause__ = error
    return failed


def _fail(waiting: asyncio.Future[Any] | None, error: EngineIOError) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_exception(error)


def _seen(future: asyncio.Future[Any]) -> bool:
    """Whether a future has no result to be used; its exception, if it has one, counts as seen."""
    return not future.done() or future.cancelled() or future.exception() is not None


def _note_answer(delivery: Delivery, answer: asyncio.Future[list[object]]) -> None:
    if answer.cancelled():
        return
    error = answer.exception()
    if error is None:
        delivery.move(Stage.ACKNOWLEDGED)
    elif isinstance(error, EngineIOError):
        delivery.move(Stage.DROPPED if error.cause is Cause.DROPPED else Stage.FAILED, error)


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for a task even if we are cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
