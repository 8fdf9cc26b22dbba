"""A Socket.IO conversation that outlives its connections: the outermost machine, behind the same kind of door.

A connection is used once; `SocketIOLink.process(input, now)` goes from one to the next. It takes everything that a connection takes and passes it
on to the one that is there, so a driver cannot tell the two apart. What it adds is what must be remembered when there is none: which namespaces
are wanted and with what, the events that wait, the events that are repeated, the claim to a lost session, and when the next try begins.

The rules (the reference client's, where it has them):

- What was emitted while a namespace was not connected is sent when it is, in order, before anything that is emitted later, once.
- An event to be delivered at least once (`Deliver`) is sent again when its time is over, and on the next connection. Only its own time counts as a
  try; a lost connection does not, however often that happens.
- A connection that is lost is followed by another if the policy says so, after a wait. What somebody meant to end stays ended. There are never two.
- A namespace that the server refuses or ends while others live is no longer wanted. If it was the last one, the policy decides.
- Acknowledgement ids go on counting from one connection to the next, so that a late answer from before cannot be taken for one from now.

After the end of a connection that will be followed come `StartOver`, for the driver, and `Reconnecting`; when all namespaces have their answers,
`Reconnected`. `Closed` comes once, as the very last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.events import Closed
from engineio_lite.exceptions import AckTimeout, ConnectionClosed, EngineIOError, LocalProtocolError, elide
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import Close, Connect, TimePassed
from engineio_lite.limits import DEFAULT_LIMITS, Limits
from engineio_lite.socketio.connection import Output as ConnectionOutput
from engineio_lite.socketio.connection import SocketIOConnection, dropped
from engineio_lite.socketio.deadlines import Deadlines
from engineio_lite.socketio.delivery import Held, Repeated, Scope
from engineio_lite.socketio.events import (
    CallAnswered,
    CallFailed,
    ClientEvent,
    EmitDropped,
    EmitHeld,
    EmitReleased,
    EventReceived,
    EventSent,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    Reconnected,
    Reconnecting,
)
from engineio_lite.socketio.inputs import Acknowledge, ClientInput, Deliver, Emit, JoinNamespace, LeaveNamespace, ProvideAuth
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.socketio.parsers import DEFAULT, Parser, find_parser
from engineio_lite.socketio.policy import Lost, Policy
from engineio_lite.state import LINK, CloseReason, LinkInput, LinkState, SessionState, Transport, UpgradeState

Output: TypeAlias = ConnectionOutput | ClientEvent | StartOver
"""One thing that comes out of the door."""

_NEVER: Final = math.inf


class SocketIOLink:
    """A Socket.IO client's whole life, from its first connection to its last.

    `make_connection` returns a new `SocketIOConnection` each time; `policy` says whether and when (None: one connection, and no other). `hold`
    keeps events that are emitted while their namespace is not connected, else that is refused. `recovery` claims lost sessions where the server
    offers it; `epoch` is the calendar's time, in seconds since 1970, at which the clock of `now` was at 0, for telling offsets from arguments
    (None: not known). `roll` returns random numbers from 0 up to 1, for the policy. `parser` must be that of the connections.
    """

    def __init__(
        self,
        make_connection: Callable[[], SocketIOConnection],
        *,
        policy: Policy | None = None,
        hold: bool = True,
        recovery: bool = True,
        epoch: float | None = None,
        roll: Callable[[], float] = lambda: 0.5,
        limits: Limits = DEFAULT_LIMITS,
        parser: str | Parser = DEFAULT,
    ) -> None:
        self._make_connection = make_connection
        self._policy = policy
        self._hold = hold
        self._recovery = recovery
        self._epoch = epoch
        self._roll = roll
        self._limits = limits
        self._parser = find_parser(parser)
        self.link_state = LinkState.IDLE
        self.connection: SocketIOConnection | None = None
        self.watched: AbstractSet[str] = frozenset()
        """Namespaces where somebody looks on: there `EventSent` tells of each event of ours. To be replaced at any time; empty it costs nothing."""
        self._last = Closed(CloseReason.CLIENT_CLOSE, None)
        self._scopes: dict[str, Scope] = {}
        self._in_flight: dict[int, Scope] = {}
        """Our own calls, by their numbers, which are negative: the application's are not."""
        self._next_call = -1
        self._waiting_calls: dict[int, int] = {}
        """Calls among the held events -> the order of their deadlines."""
        self._size = 0
        """Bytes or characters of everything that waits here."""
        self._deadlines = Deadlines(self._is_awaited)
        self._attempt = 0
        self._retry_at = _NEVER
        self._first = True
        """Whether no connection has stood yet, with a namespace granted."""
        self._stood = False
        """Whether the connection that is there does."""
        self._leaving = False
        self._recoverable = False
        self._unfinished: dict[str, Scope] = {}
        """Scopes whose queues may move now; in the order in which they became so."""
        self._grants = 0
        self._now = 0.0
        self._out: list[Output] = []
        self._kept: list[Output] = []
        """What happened before a wish was refused, for the next call to tell."""

    # ------------------------------------------------------------------------------------------------------------------------------ the door

    def process(self, input: ClientInput, now: float) -> list[Output]:
        """Take one input at the instant `now` (monotonic seconds) and return what follows from it, in order.

        Raises `LocalProtocolError`, and nothing else but what `make_connection` raises, if the application asked for something illegal; then nothing
        of it was done.
        """
        self._now = now
        out, self._kept = self._kept, []
        self._out = out
        try:
            handler = self._HANDLERS.get(type(input))
            if handler is not None:
                handler(self, input)
            elif self.connection is not None:
                self._lift(self.connection.process(input, now))  # type: ignore[arg-type]  # what is left is a connection's input
            if self._unfinished:
                self._go_on()
        except BaseException:
            self._kept = out
            raise
        return out

    @property
    def deadline(self) -> float:
        """The instant at which `TimePassed` must be processed; infinity if there is none."""
        if self._kept:
            return self._now
        own = min(self._deadlines.next, self._retry_at)
        return own if self.connection is None else min(own, self.connection.deadline)

    @property
    def state(self) -> SessionState:
        """The state of the connection that is there, or of what goes on without one."""
        if self.connection is not None:
            return self.connection.state
        if self.link_state is LinkState.CLOSED:
            return SessionState.CLOSED
        return SessionState.IDLE if self.link_state is LinkState.IDLE else SessionState.OPENING

    @property
    def transport(self) -> Transport | None:
        """How packets travel now; None while no session is open."""
        return self.connection.transport if self.connection is not None else None

    @property
    def handshake(self) -> Handshake | None:
        """The server's open packet; None while no session is open."""
        return self.connection.handshake if self.connection is not None else None

    @property
    def upgrade_state(self) -> UpgradeState:
        """Where the upgrade stands."""
        return self.connection.upgrade_state if self.connection is not None else UpgradeState.NONE

    @property
    def buffered(self) -> int:
        """What waits in the connection to be sent, in bytes on the polling wire."""
        return self.connection.buffered if self.connection is not None else 0

    @property
    def buffered_packets(self) -> int:
        """What waits in the connection to be sent, in Engine.IO packets."""
        return self.connection.buffered_packets if self.connection is not None else 0

    @property
    def accepted(self) -> int:
        """How many messages the connection that is there took to be sent."""
        return self.connection.accepted if self.connection is not None else 0

    @property
    def confirmed(self) -> int:
        """How many of the `accepted` messages have left."""
        return self.connection.confirmed if self.connection is not None else 0

    @property
    def writable(self) -> bool:
        """Whether an event that is sent now leaves now."""
        return self.connection is not None and self.connection.writable

    @property
    def may_upgrade(self) -> bool:
        """Whether the session polls and may still move to a WebSocket."""
        return self.connection is not None and self.connection.may_upgrade

    @property
    def waiting(self) -> int:
        """How many events wait for a connection, or to be acknowledged for good."""
        return sum(scope.waiting for scope in self._scopes.values())

    @property
    def epoch(self) -> float | None:
        """The calendar's time at which the clock of `now` was at 0; a clock may stand still while the machine sleeps, and then it is set anew."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: float) -> None:
        self._epoch = epoch
        for scope in self._scopes.values():
            scope.recovery.epoch = epoch

    def is_connected(self, namespace: str) -> bool:
        """Whether events can be sent to `namespace` now."""
        scope = self._scopes.get(namespace)
        return scope is not None and scope.connected

    def is_wanted(self, namespace: str) -> bool:
        """Whether `namespace` is joined, or will be when there is a connection."""
        return namespace in self._scopes and self.link_state is not LinkState.CLOSED

    # ---------------------------------------------------------------------------------------------------------------- the application's wishes

    def _connect(self, wish: Connect) -> None:
        if (self.link_state, LinkInput.CONNECT) not in LINK:
            raise LocalProtocolError(f"expected a new client, this one is {self.link_state}; make another", cause=Cause.ALREADY_CONNECTED)
        self._start(LinkInput.CONNECT)

    def _join(self, wish: JoinNamespace) -> None:
        if self.link_state is LinkState.CLOSED:
            raise LocalProtocolError("a namespace can be joined until the client is closed", cause=Cause.NOT_OPEN)
        known = self._scopes.get(wish.namespace)
        if known is not None:
            state = "connected" if known.connected else "asked for"
            raise LocalProtocolError(f"namespace {elide(wish.namespace)} is {state} already", cause=Cause.ALREADY_CONNECTED)
        scope = Scope(wish.namespace, self._epoch)
        scope.auth = self._copy_auth(wish)
        scope.deferred = wish.deferred
        scope.next_ack_id = wish.first_ack_id
        if self.connection is not None:
            outputs = self.connection.process(self._wish_of(scope), self._now)
        elif len(self._scopes) < self._limits.max_namespaces:
            outputs = []
        else:
            raise LocalProtocolError(f"{self._limits.max_namespaces} namespaces are asked for, the limit", cause=Cause.BAD_NAMESPACE)
        self._scopes[wish.namespace] = scope
        self._lift(outputs)

    def _copy_auth(self, wish: JoinNamespace) -> dict[str, object] | None:
        """Refuse now what would be refused when there is a connection, and return what the other side would make of the rest."""
        if wish.auth is not None and not isinstance(wish.auth, Mapping):
            raise LocalProtocolError(f"auth is a JSON object (a mapping), not {type(wish.auth).__name__}", cause=Cause.BAD_OPTION)
        is_empty = wish.auth is None or wish.deferred
        data = msgspec.UNSET if wish.auth is None or is_empty else dict(wish.auth)
        (connect,) = self._parser.encode(Packet(PacketType.CONNECT, data, wish.namespace), limits=self._limits)
        packet = None if is_empty else self._parser.decoder(limits=self._limits).feed(connect)
        return packet.data if packet is not None else None  # type: ignore[return-value]  # we have just written it

    def _wish_of(self, scope: Scope) -> JoinNamespace:
        auth = scope.auth if scope.deferred else scope.recovery.claim(scope.auth)
        return JoinNamespace(scope.name, auth, scope.deferred, scope.next_ack_id)

    def _provide_auth(self, answer: ProvideAuth) -> None:
        scope = self._scopes.get(answer.namespace)
        if scope is None or self.connection is None:
            return
        self._lift(self.connection.process(ProvideAuth(answer.namespace, scope.recovery.claim(answer.auth)), self._now))

    def _leave(self, wish: LeaveNamespace) -> None:
        scope = self._wanted(wish.namespace)
        if self.connection is not None:
            outputs = self.connection.process(wish, self._now)
        else:
            outputs = [NamespaceLeft(wish.namespace, CloseReason.CLIENT_DISCONNECT)]
        del self._scopes[wish.namespace]
        self._drop(scope, ConnectionClosed(f"namespace {elide(wish.namespace)} was left", reason=CloseReason.CLIENT_DISCONNECT))
        self._lift(outputs)
        self._answered()
        if not self._scopes and self.link_state is LinkState.WAITING:
            self._end(msgspec.structs.replace(self._last, reason=CloseReason.CLIENT_DISCONNECT, error=None))

    def _emit(self, wish: Emit) -> None:
        if wish.call is not None and wish.call < 0:
            raise LocalProtocolError(f"the number of a call counts from 0 up, not {wish.call}", cause=Cause.BAD_OPTION)
        connection = self.connection
        if connection is not None and connection.deadline <= self._now:
            # A machine that was asleep: what happened meanwhile comes first, or this would be written into a dead connection.
            self._lift(connection.process(TimePassed(), self._now))
            connection = self.connection
        scope = self._wanted(wish.namespace)
        if connection is not None and scope.connected and not scope.held:
            outputs = connection.process(wish, self._now)
            if self.watched and not (wish.volatile and _was_dropped(outputs)):
                self._tell(wish)
            self._lift(outputs)
        elif wish.volatile:
            self._out.append(dropped(wish))
        elif self._hold:
            self._keep(scope, wish)
        else:
            raise LocalProtocolError(f"namespace {elide(wish.namespace)} must be connected to send on it", cause=Cause.NAMESPACE_NOT_CONNECTED)

    def _tell(self, wish: Emit) -> None:
        """Tell who looks on that the connection has taken this event."""
        if wish.namespace in self.watched:
            self._out.append(EventSent(wish.namespace, wish.name, wish.args))

    def _keep(self, scope: Scope, wish: Emit) -> None:
        if wish.timeout is not None and not wish.timeout >= 0:
            raise LocalProtocolError(f"a timeout is a number of seconds from 0 up, or None, not {wish.timeout!r}", cause=Cause.BAD_OPTION)
        args, size = self._copy(wish.namespace, wish.name, wish.args)
        self._check_room(len(scope.held), size)
        expires, order = None, 0
        if wish.call is not None:
            if wish.call in self._waiting_calls:
                raise LocalProtocolError(f"call number {wish.call} waits already", cause=Cause.BAD_OPTION)
            if wish.timeout is not None:
                expires = self._now + wish.timeout
                order = self._deadlines.note(expires, wish.call, awaited=len(self._waiting_calls))
            self._waiting_calls[wish.call] = order
        scope.held.append(Held(msgspec.structs.replace(wish, args=args), size, expires, order))
        self._size += size
        if wish.ticket is not None:
            self._out.append(EmitHeld(wish.ticket))

    def _deliver(self, wish: Deliver) -> None:
        scope = self._wanted(wish.namespace)
        if not wish.timeout > 0 or wish.retries < 0 or wish.call < 0:
            message = f"expected a timeout above 0 and retries and a call number from 0 up, got {wish.timeout!r}, {wish.retries!r}, {wish.call!r}"
            raise LocalProtocolError(message, cause=Cause.BAD_OPTION)
        args, size = self._copy(wish.namespace, wish.name, wish.args)
        self._check_room(len(scope.queue), size)
        scope.queue.append(Repeated(msgspec.structs.replace(wish, args=args), size))
        self._size += size
        self._unfinished[scope.name] = scope

    def _copy(self, namespace: str, name: str, args: Iterable[object]) -> tuple[tuple[object, ...], int]:
        """Return what the other side would make of these arguments, and their size; raises for what cannot be sent."""
        messages = self._parser.encode(Packet(PacketType.EVENT, [name, *args], namespace), limits=self._limits)
        decoder = self._parser.decoder(limits=self._limits)
        packet = None
        for message in messages:
            packet = decoder.feed(message)
        data: list[object] = packet.data  # type: ignore[union-attr, assignment]  # we have just written it
        return tuple(data[1:]), sum(map(len, messages))

    def _check_room(self, count: int, size: int) -> None:
        limits = self._limits
        if count >= limits.max_offline_events or (self._size and self._size + size > limits.max_buffered):
            message = f"{count} events wait already, or more than {limits.max_buffered} bytes would; the limit is {limits.max_offline_events} events"
            raise LocalProtocolError(message, cause=Cause.SEND_BUFFER_FULL)

    def _acknowledge(self, wish: Acknowledge) -> None:
        scope = self._wanted(wish.namespace)
        if self.connection is None or not scope.connected or wish.grant != scope.grant:
            message = f"the connection on which namespace {elide(wish.namespace)} asked for the answer {wish.ack_id!r} is gone"
            raise LocalProtocolError(message, cause=Cause.ACK_NOT_AWAITED)
        self._lift(self.connection.process(wish, self._now))

    def _close(self, wish: Close) -> None:
        if self.connection is not None:
            outputs = self.connection.process(wish, self._now)
            self._leaving = True
            self._lift(outputs)
        elif self.link_state is not LinkState.CLOSED:
            self._end(msgspec.structs.replace(self._last, reason=CloseReason.CLIENT_CLOSE, error=None))

    def _wanted(self, name: str) -> Scope:
        scope = self._scopes.get(name)
        if scope is None or self.link_state is LinkState.CLOSED:
            raise LocalProtocolError(f"namespace {elide(name)} is not joined", cause=Cause.NAMESPACE_NOT_CONNECTED)
        return scope

    # ------------------------------------------------------------------------------------------------------------------ what the connection says

    def _start(self, input: LinkInput) -> None:
        """Make a connection that asks for every namespace; if that is refused here, nothing has changed."""
        connection = self._make_connection()
        for scope in self._scopes.values():
            connection.process(self._wish_of(scope), self._now)
        outputs = connection.process(Connect(), self._now)
        self._step(input)
        self.connection = connection
        self._lift(outputs)

    def _step(self, input: LinkInput) -> None:
        self.link_state = LINK[self.link_state, input]

    def _lift(self, outputs: list[ConnectionOutput]) -> None:
        """Look at what concerns us, and pass the rest on."""
        out = self._out
        for output in outputs:
            kind = type(output)
            if kind is EventReceived:
                is_plain = not self._recoverable and output.ack_id is None  # type: ignore[union-attr]  # that is its kind
                out.append(output if is_plain else self._received(output))  # type: ignore[arg-type]  # the same
            elif (watcher := self._WATCHERS.get(kind)) is not None:
                watcher(self, output)
            else:
                out.append(output)

    def _received(self, event: EventReceived) -> EventReceived:
        scope = self._scopes[event.namespace]
        if event.ack_id is None:
            return scope.recovery.strip(event, self._now)
        # Servers count their questions anew for each connection, so the number alone does not tell which one is answered.
        return EventReceived(event.namespace, event.name, event.args, event.ack_id, scope.grant)

    def _granted(self, event: NamespaceConnected) -> None:
        scope = self._scopes[event.namespace]
        recovered = scope.recovery.granted(event.pid) if self._recovery else False
        self._recoverable = self._recoverable or scope.recovery.pid is not None
        scope.connected = scope.answered = True
        scope.grant, self._grants = self._grants, self._grants + 1
        self._first = False
        self._stood = True
        self._out.append(msgspec.structs.replace(event, recovered=recovered) if recovered else event)
        self._unfinished[scope.name] = scope
        self._answered()

    def _refused(self, event: NamespaceRefused) -> None:
        scope = self._scopes[event.namespace]
        scope.gone = event.error
        scope.connected = False
        scope.answered = True
        self._out.append(event)
        self._unfinished[scope.name] = scope
        self._answered()

    def _answered(self) -> None:
        """Note that all namespaces have their answers, and one of them at least is a grant."""
        scopes = self._scopes.values()
        if self.link_state is not LinkState.CONNECTING or not all(scope.answered for scope in scopes):
            return
        connected = [scope for scope in scopes if scope.connected]
        if connected:
            self._step(LinkInput.JOINED)
            if self._attempt:
                self._out.append(Reconnected(self._attempt, all(scope.recovery.taken_up for scope in connected)))
                self._attempt = 0

    def _left(self, event: NamespaceLeft) -> None:
        self._out.append(event)
        scope = self._scopes.get(event.namespace)
        if scope is None:
            return  # we have left it
        scope.connected = False
        if event.reason is CloseReason.SERVER_DISCONNECT:
            scope.recovery.forget()
            scope.gone = event.error or ConnectionClosed(f"the server ended namespace {elide(scope.name)}", reason=event.reason)
            self._unfinished[scope.name] = scope

    def _call_answered(self, event: CallAnswered) -> None:
        if event.call >= 0:
            self._out.append(event)
        else:
            scope = self._in_flight.pop(event.call)
            self._out.append(CallAnswered(self._pop(scope).wish.call, event.args))

    def _call_failed(self, event: CallFailed) -> None:
        if event.call >= 0:
            self._out.append(event)
            return
        scope = self._in_flight.pop(event.call, None)
        if scope is None:
            return  # given up already, and that is said
        scope.in_flight = None
        if isinstance(event.error, AckTimeout):
            first = scope.queue[0]
            first.tries += 1
            if first.tries > first.wish.retries:
                self._out.append(CallFailed(self._pop(scope).wish.call, event.error))
            self._unfinished[scope.name] = scope

    def _pop(self, scope: Scope) -> Repeated:
        """The first of the queue is done, one way or the other."""
        scope.in_flight = None
        self._unfinished[scope.name] = scope
        first = scope.queue.popleft()
        self._size -= first.size
        return first

    def _closed(self, closed: Closed) -> None:
        connection = self.connection
        self.connection = None
        self._last = closed
        for scope in self._scopes.values():
            scope.next_ack_id = max(scope.next_ack_id, connection.next_ack_id(scope.name) if connection is not None else 0)
            scope.disconnected()
        if closed.error is not None and closed.error.cause is Cause.TOO_MANY_EARLY_EVENTS:
            for scope in self._scopes.values():
                scope.recovery.forget()  # what was missed is more than we take, and would be again
        if self._stood:
            self._attempt = 0
            self._stood = False
        try:
            delay = self._delay(closed)
        except Exception as error:  # of `policy.decide`, which is the application's
            message = f"the policy's decide raised {type(error).__name__}, after {closed.reason}"
            fault = EngineIOError(message, cause=Cause.DECIDE_FAILED, stage="session")
            fault.__cause__ = error
            closed, delay = msgspec.structs.replace(closed, error=fault), None
        if delay is None:
            self._end(closed)
            return
        self._attempt += 1
        self._step(LinkInput.LOST)
        self._retry_at = self._now + delay
        self._settle_all_gone()
        self._out.append(StartOver())
        self._out.append(Reconnecting(self._attempt, delay, closed.reason, closed.error))

    def _delay(self, closed: Closed) -> float | None:
        if self._policy is None or self._leaving or not self._scopes:
            return None
        return self._policy.wait(Lost(closed.reason, closed.error, self._attempt + 1, self._first), self._roll())

    def _end(self, closed: Closed) -> None:
        self._step(LinkInput.END)
        self._retry_at = _NEVER
        unsent = self.waiting
        error = ConnectionClosed(f"the connection ended: {closed.reason}", reason=closed.reason)
        error.__cause__ = closed.error
        for scope in self._scopes.values():
            self._drop(scope, error)
        self._deadlines.clear()
        self._unfinished.clear()
        self._out.append(msgspec.structs.replace(closed, unsent=closed.unsent + unsent) if unsent else closed)

    # ------------------------------------------------------------------------------------------------------------------------- what waits

    def _go_on(self) -> None:
        """Let every queue move that may."""
        blocked = {}
        while self._unfinished:
            scope = self._unfinished.pop(next(iter(self._unfinished)))
            if self._scopes.get(scope.name) is not scope:
                continue  # left meanwhile
            if scope.gone is not None:
                self._settle_gone(scope)
            elif scope.connected and not (self._release(scope) and self._repeat(scope)):
                blocked[scope.name] = scope  # the connection's own buffer is full: there will be room at one of the next inputs
        self._unfinished = blocked

    def _settle_gone(self, scope: Scope) -> None:
        """If the others live on, nobody will ask for this one again; if it was the last, what becomes of it is decided at the connection's end."""
        if scope.gone is not None and self.connection is not None and any(other.gone is None for other in self._scopes.values()):
            self._give_up(scope, scope.gone)
            self._answered()

    def _settle_all_gone(self) -> None:
        """There will be another connection: ask again for those that are gone only if there are no others."""
        gone = [scope for scope in self._scopes.values() if scope.gone is not None]
        if len(gone) == len(self._scopes):
            for scope in gone:
                scope.gone = None
        for scope in gone:
            if scope.gone is not None:
                self._give_up(scope, scope.gone)

    def _give_up(self, scope: Scope, why: Exception) -> None:
        del self._scopes[scope.name]
        error = ConnectionClosed(f"namespace {elide(scope.name)} was left", reason=CloseReason.SERVER_DISCONNECT)
        error.__cause__ = why
        self._drop(scope, error)

    def _release(self, scope: Scope) -> bool:
        """Pass on what waits for the connection; False if it takes no more for now."""
        while scope.held and scope.connected and self.connection is not None:
            held = scope.held[0]
            wish = held.wish
            if held.expires is not None and wish.timeout is not None:
                wish = msgspec.structs.replace(wish, waited=wish.timeout - max(0.0, held.expires - self._now))
            outputs, error = self._try(self.connection, wish)
            if error is not None and error.cause is Cause.SEND_BUFFER_FULL:
                return False
            self._forget(scope.held.popleft())
            if error is not None:
                self._dropped(held.wish, error)
                continue
            if wish.ticket is not None:
                self._out.append(EmitReleased(wish.ticket))
            self._tell(wish)
            self._lift(outputs)
        return True

    def _repeat(self, scope: Scope) -> bool:
        """Send the first of those that are repeated, if it is not on its way; False if the connection takes no more for now."""
        while scope.queue and scope.connected and scope.in_flight is None and self.connection is not None:
            wish = scope.queue[0].wish
            self._next_call -= 1
            attempt = Emit(wish.name, wish.args, wish.namespace, self._next_call, wish.timeout)
            outputs, error = self._try(self.connection, attempt)
            if error is None:
                scope.in_flight = self._next_call
                self._in_flight[self._next_call] = scope
                self._tell(attempt)
                self._lift(outputs)
            elif error.cause in (Cause.SEND_BUFFER_FULL, Cause.TOO_MANY_CALLS):
                return False
            else:
                self._out.append(CallFailed(self._pop(scope).wish.call, error))
        return True

    def _try(self, connection: SocketIOConnection, wish: Emit) -> tuple[list[ConnectionOutput], LocalProtocolError | None]:
        try:
            return connection.process(wish, self._now), None
        except LocalProtocolError as error:
            return [], error

    def _forget(self, held: Held) -> None:
        self._size -= held.size
        if held.wish.call is not None:
            del self._waiting_calls[held.wish.call]

    def _dropped(self, wish: Emit, error: EngineIOError) -> None:
        if wish.call is not None:
            self._out.append(CallFailed(wish.call, error))
        else:
            self._out.append(EmitDropped(wish.namespace, wish.name, wish.ticket, error))

    def _drop(self, scope: Scope, error: EngineIOError) -> None:
        """Nothing of what waits in this namespace will be sent."""
        while scope.held:
            held = scope.held.popleft()
            self._forget(held)
            self._dropped(held.wish, error)
        while scope.queue:
            repeated = scope.queue.popleft()
            self._size -= repeated.size
            self._out.append(CallFailed(repeated.wish.call, error))
        if scope.in_flight is not None:
            self._in_flight.pop(scope.in_flight, None)
            scope.in_flight = None

    # ---------------------------------------------------------------------------------------------------------------------------------- time

    def _is_awaited(self, key: int | str, order: int) -> bool:
        return isinstance(key, int) and self._waiting_calls.get(key) == order

    def _time_passed(self, input: TimePassed) -> None:
        for key in self._deadlines.expire(self._now):
            self._expire(key)
        if self._retry_at <= self._now:
            self._retry_at = _NEVER
            self._start(LinkInput.RETRY)
        elif self.connection is not None:
            self._lift(self.connection.process(input, self._now))

    def _expire(self, key: int | str) -> None:
        scope, held = next((scope, held) for scope in self._scopes.values() for held in scope.held if held.wish.call == key)
        scope.held.remove(held)
        self._forget(held)
        self._dropped(held.wish, AckTimeout(held.wish.name, held.wish.timeout or 0.0))

    _HANDLERS: ClassVar[dict[type, Callable[[SocketIOLink, Any], None]]] = {
        Emit: _emit,
        Deliver: _deliver,
        Acknowledge: _acknowledge,
        JoinNamespace: _join,
        ProvideAuth: _provide_auth,
        LeaveNamespace: _leave,
        Connect: _connect,
        Close: _close,
        TimePassed: _time_passed,
    }

    _WATCHERS: ClassVar[dict[type, Callable[[SocketIOLink, Any], None]]] = {
        NamespaceConnected: _granted,
        NamespaceRefused: _refused,
        NamespaceLeft: _left,
        CallAnswered: _call_answered,
        CallFailed: _call_failed,
        Closed: _closed,
    }


def _was_dropped(outputs: Sequence[Output]) -> bool:
    """Whether this is what comes of a volatile event that could not leave at once, and not of one that did."""
    return len(outputs) == 1 and isinstance(outputs[0], EmitDropped | CallFailed)
