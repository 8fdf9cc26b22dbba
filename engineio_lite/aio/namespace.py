"""What an application does in one namespace: emit, call, listen.

A `SocketIOClient` is itself the namespace with which it was opened, and `SocketIOClient.namespace` joins others on the same connection.

Events reach an application in one of three ways, and each event in one of them only, but for `wait_for`, which sees it in any case:

- A function that is registered for it (`on`, `once`, `on_any`) is called with it.
- What has no handler waits in order to be read, with `receive` or by iterating: over the client for all namespaces together, or over one namespace,
  which then has a stream of its own.
- Where there are handlers and nobody ever reads, what has none is dropped when more than `Limits.max_queued_events` wait; else a full stream holds up
  everything that comes behind it, as it should.

What leaves can be looked at with `on_any_outgoing`; see `outgoing.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypeVar, overload

from msgspec import UNSET, UnsetType

from engineio_lite.aio.delivery import Delivery
from engineio_lite.aio.handlers import Function, Handler, Handlers, Key
from engineio_lite.aio.inbox import Box
from engineio_lite.aio.outgoing import not_plain
from engineio_lite.aio.typed import TypedEvents, models_by_event
from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectionClosed, LocalProtocolError
from engineio_lite.socketio.events import EventReceived
from engineio_lite.socketio.grammar import RESERVED_EVENTS
from engineio_lite.socketio.inputs import Acknowledge
from engineio_lite.state import CloseReason

if TYPE_CHECKING:
    from engineio_lite.aio.socketio import SocketIOClient

AuthPayload: TypeAlias = Mapping[str, object] | None

Auth: TypeAlias = AuthPayload | Callable[[], AuthPayload | Awaitable[AuthPayload]]
"""What a namespace is joined with: a JSON object, nothing, or a function that returns it, which may be a coroutine function; a function is asked anew
for every connection, once that is open."""

BY_US = frozenset({CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT})

Wanted = TypeVar("Wanted", bound=Function)

_INSTEAD: Final = {"connect": "NamespaceConnected", "connect_error": "NamespaceRefused", "disconnect": "NamespaceLeft, Reconnecting or Closed"}
"""Where other clients have events of these names, the classes to listen for here."""


class Decorator(Protocol):
    """Registers the function below it, which stays what it is."""

    def __call__(self, function: Wanted, /) -> Wanted: ...


class Namespace:
    """One namespace of a client; see the module for how events come. Several tasks may use it at once."""

    def __init__(self, client: SocketIOClient, name: str, auth: Auth) -> None:
        self._client = client
        self._name = name
        self._auth = auth
        self._sid: str | None = None
        self._recovered = False
        self._box = Box(name)
        self._onlookers = Handlers()

    # ------------------------------------------------------------------------------------------------------------------------- what is known

    @property
    def name(self) -> str:
        """The namespace's name, such as ``/admin``."""
        return self._name

    @property
    def sid(self) -> str | None:
        """This client's id here, given by the server; not the id of the Engine.IO session. The last one, while there is no connection."""
        return self._sid

    @property
    def connected(self) -> bool:
        """Whether the server has granted this namespace on the connection that is there."""
        return self._client._link.is_connected(self._name)

    @property
    def recovered(self) -> bool:
        """Whether the last connection took up this namespace where the one before had lost it, with nothing missing."""
        return self._recovered

    # ---------------------------------------------------------------------------------------------------------------------------------- saying

    async def emit(
        self,
        name: str,
        *args: object,
        ack: bool = False,
        callback: Function | None = None,
        timeout: float | None = None,
        volatile: bool = False,
        retries: int | UnsetType | None = UNSET,
    ) -> Delivery:
        """Send one event; return how far it has come, a `Delivery`.

        `args` are JSON values, with bytes at any depth. By WebSocket the event is written when this returns, by polling it is queued for the next
        POST; without a connection it waits for one (``offline="buffer"``) or `LocalProtocolError` is raised (``offline="raise"``). Waits while too
        much waits already.

        `ack` asks for an acknowledgement, and `callback` does too and is called with its values; `timeout` is how long to wait for it, in seconds
        (None: as long as the connection lasts). `volatile` drops the event unless it can leave at once. `retries` sends it until it is acknowledged:
        again after each `timeout`, so many times, and on every new connection; one event at a time, so that order is kept, and a server may see one
        twice. Left out it is the client's own `retries`; None sends it once.

        Raises `LocalProtocolError` for what cannot be sent (nothing is sent then), or what ended the connection. Safe to cancel: the event is sent
        whole or not at all.
        """
        return await self._client._sender.emit(
            self._name, name, args, ack=ack or callback is not None, callback=callback, timeout=timeout, volatile=volatile, retries=retries
        )

    async def call(self, name: str, *args: object, timeout: float | UnsetType | None = UNSET, retries: int | UnsetType | None = UNSET) -> Any:
        """Send one event and return the server's acknowledgement: its value, None if it has none, a list if it has several.

        `timeout` is seconds (None: as long as the connection lasts); left out it is the client's `ack_timeout`. `retries` is as for `emit`. Raises
        `AckTimeout`, what ended the connection, or what `emit` raises. Safe to cancel: a late answer is dropped.
        """
        return await self._client._sender.call(self._name, name, args, timeout, retries)

    async def acknowledge(self, event: EventReceived, *args: object) -> None:
        """Answer an event that has an `ack_id`, once.

        Raises `LocalProtocolError` with cause ``ack-not-awaited`` for an event that did not ask, was answered, or came on an earlier connection; and
        as `emit` does. Safe to cancel.
        """
        if event.ack_id is None:
            raise LocalProtocolError(f"event {event.name!r} asks for no acknowledgement", cause=Cause.ACK_NOT_AWAITED)
        await self._client._process(Acknowledge(event.ack_id, args, event.namespace, event.grant))

    async def leave(self) -> None:
        """Leave this namespace; leaving the last one closes the connection. Safe to cancel."""
        await self._client._leave_namespace(self._name)

    # ------------------------------------------------------------------------------------------------------------------------------- listening

    @overload
    def on(self, key: Key, function: Wanted, *, concurrent: bool = ..., model: Any = ...) -> Wanted: ...
    @overload
    def on(self, key: Key, function: None = ..., *, concurrent: bool = ..., model: Any = ...) -> Decorator: ...
    def on(self, key: Key, function: Any = None, *, concurrent: bool = False, model: Any = None) -> Any:
        """Call `function` with the arguments of every event named `key`; as a decorator if it is left out.

        `key` may also be a class of the client's own events, such as `Reconnecting` or `Closed`; then the function gets the event itself, and
        those of another namespace only if it is registered on the client. Functions and coroutine functions run one after the other in wire order,
        or beside each other if `concurrent`. What the first one returns answers an event that asks. With a `model` it gets one value of that type.
        Events that came before and wait unread are handled too. Raises `LocalProtocolError` for the names that no event can have, such as
        ``connect``.
        """
        return self._register(key, function, Handler(_nothing, concurrent=concurrent, model=model))

    @overload
    def once(self, key: Key, function: Wanted, *, concurrent: bool = ..., model: Any = ...) -> Wanted: ...
    @overload
    def once(self, key: Key, function: None = ..., *, concurrent: bool = ..., model: Any = ...) -> Decorator: ...
    def once(self, key: Key, function: Any = None, *, concurrent: bool = False, model: Any = None) -> Any:
        """As `on`, for the next one only."""
        return self._register(key, function, Handler(_nothing, once=True, concurrent=concurrent, model=model))

    @overload
    def on_any(self, function: Wanted, *, concurrent: bool = ..., prepend: bool = ...) -> Wanted: ...
    @overload
    def on_any(self, function: None = ..., *, concurrent: bool = ..., prepend: bool = ...) -> Decorator: ...
    def on_any(self, function: Any = None, *, concurrent: bool = False, prepend: bool = False) -> Any:
        """Call `function` with the name and the arguments of every event, before those that are registered for it; as a decorator if left out.

        With `prepend` it comes before the others that are registered for every event, else behind them.
        """
        return self._register(None, function, Handler(_nothing, concurrent=concurrent), prepend=prepend)

    def off(self, key: Key | None = None, function: Function | None = None) -> None:
        """Call `function`, or whatever is registered for `key`, no more; without arguments nothing at all of what is called with what comes."""
        if key is None:
            self._box.handlers.clear()
        else:
            self._box.handlers.remove(key, function)
        self._client._inbox.listeners_changed()

    def off_any(self, function: Function | None = None) -> None:
        """Call `function`, or whatever is registered for every event, no more."""
        self._box.handlers.remove(None, function)
        self._client._inbox.listeners_changed()

    @overload
    def on_any_outgoing(self, function: Wanted, *, prepend: bool = ...) -> Wanted: ...
    @overload
    def on_any_outgoing(self, function: None = ..., *, prepend: bool = ...) -> Decorator: ...
    def on_any_outgoing(self, function: Any = None, *, prepend: bool = False) -> Any:
        """Call `function` with the name and the arguments of every event of ours, as it is passed to the connection; as a decorator if left out.

        That is before `emit` returns, or when an event that has waited for a connection is released, or each time that one is repeated; not for a
        volatile event that is dropped, and not for acknowledgements. The function looks on: what it raises goes to the event loop's exception
        handler, and an argument that it changes has been sent as it was. Raises `LocalProtocolError` for a coroutine function, as nothing waits
        for who looks on. With `prepend` it comes before those that are registered already.

        An event that the function emits, which takes a task, is shown to it as well: one that emits at each call goes on for ever, as fast as the
        connection takes it.
        """

        def register(function: Wanted) -> Wanted:
            if inspect.iscoroutinefunction(function):
                raise not_plain(function)
            self._onlookers.add(None, Handler(function), prepend=prepend)
            self._client._onlookers_changed()
            return function

        return register if function is None else register(function)

    def off_any_outgoing(self, function: Function | None = None) -> None:
        """Call `function`, or whatever is registered with `on_any_outgoing`, no more."""
        self._onlookers.remove(None, function)
        self._client._onlookers_changed()

    def _register(self, key: Key | None, function: Any, handler: Handler, *, prepend: bool = False) -> Any:
        _refuse_reserved(key)

        def register(function: Wanted) -> Wanted:
            self._box.handlers.add(key, Handler(function, handler.once, handler.concurrent, handler.model), prepend=prepend)
            self._client._inbox.listeners_changed()
            return function

        return register if function is None else register(function)

    async def wait_for(self, name: str, *, timeout: float | None = None) -> EventReceived:
        """Return the next event of that name in this namespace, one that waits unread included; others stay where they are.

        Raises `TimedOut` after `timeout` seconds (None: never), what ended the connection, or `LocalProtocolError` as `on` does. Safe to cancel: the
        event is not lost.
        """
        _refuse_reserved(name)
        return await self._client._wait_for(self._box, name, timeout)

    async def receive(self) -> EventReceived:
        """Return the next event of this namespace that has no handler, in wire order.

        Raises what ended the connection or the namespace once everything that came before is taken: an `EngineIOError`, or `ConnectionClosed`
        after an orderly end. Safe to cancel: nothing is lost.
        """
        stream = self._box.stream
        return await (stream if stream is not None else self._client._inbox.read_separately(self._box)).get()

    def events(self, models: Any, *, name: str | None = None) -> TypedEvents[Any]:
        """Iterate as over this namespace itself, with the events that have a model converted to it; see `TypedEvents`.

        `models` maps names of events to types; or it is a type, or a union of types, that say in a class attribute ``event`` which event they are
        for; or one type for the event `name`. A type is a msgspec Struct, a dataclass, or anything that msgspec converts to: one argument that is an
        object gives the fields by name, else the arguments give them in order.
        """
        return TypedEvents(models_by_event(models, name), aiter(self))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventReceived:
        try:
            return await self.receive()
        except ConnectionClosed as end:
            # Iteration ends quietly where we ended it, and only there: a server that leaves may have left something unsaid.
            if end.reason in BY_US:
                raise StopAsyncIteration from None
            raise


def _refuse_reserved(key: Key | None) -> None:
    """Refuse to wait for ever: no event has such a name, and who comes from another client expects the client's own events under it."""
    if isinstance(key, str) and key in RESERVED_EVENTS:
        instead = f"; listen for {_INSTEAD[key]}, a class" if key in _INSTEAD else ""
        raise LocalProtocolError(f"no event can have the reserved name {key!r}{instead}", cause=Cause.RESERVED_EVENT)


def _nothing() -> None:
    """Stands where a function is still to come."""
