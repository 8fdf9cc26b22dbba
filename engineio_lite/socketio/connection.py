"""Socket.IO on top of Engine.IO: the second machine, behind the same kind of door.

`SocketIOConnection.process(input, now)` takes what an application can ask of a namespace and everything that Engine.IO takes, and returns the
commands for the driver and the events for the application, so a driver cannot tell which of the two machines it drives. Inside, an Engine.IO
connection does its work, and what it says is lifted: its commands pass through, its messages become packets and these become events, its end ends
every namespace.

The rules that matter here (Socket.IO protocol revision 5, and what servers were seen to do):

- Nothing but CONNECT goes to a namespace before the server's answer: Node closes the whole connection otherwise.
- Events may come before that answer. They are kept, delivered right after it, and dropped if it is a refusal.
- A namespace that we left is not asked for again at once: a Node server that reads both wishes together takes the second one for a duplicate, and
  closes the connection.
- A refused namespace does not touch the others. When the last one is gone, whoever ended it, the connection closes.
- An attachment belongs to the header before it, whatever transport carries it; so packets are put together above the transport, and an upgrade may
  fall between.
- Acknowledgement ids count from 0 in each namespace, as the reference client counts. Answers to unknown ids are ignored, visibly; our own answer goes
  out once for each event that asks for one, and a second is refused.
- What the application authenticates with may be known only when it is needed: a deferred join asks for it once the session is open.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.connection import Output as EngineOutput
from engineio_lite.events import Closed, MessageReceived, Opened
from engineio_lite.exceptions import (
    AckTimeout,
    ConnectionClosed,
    ConnectRefused,
    DecodeError,
    EngineIOError,
    HandshakeError,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    TransportClosed,
    elide,
)
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import Close, Fail, SendMessages, TimePassed
from engineio_lite.inputs import Input as EngineInput
from engineio_lite.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.outbox import check_messages
from engineio_lite.socketio.deadlines import Deadlines
from engineio_lite.socketio.events import (
    AuthNeeded,
    CallAnswered,
    CallFailed,
    EmitDropped,
    EventReceived,
    NamespaceConnected,
    NamespaceLeft,
    NamespaceRefused,
    PacketIgnored,
    SocketIOEvent,
)
from engineio_lite.socketio.inputs import Acknowledge, Emit, Input, JoinNamespace, LeaveNamespace, ProvideAuth, RefuseAuth
from engineio_lite.socketio.namespace import Namespace
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.socketio.parsers import DEFAULT, Parser, find_parser
from engineio_lite.state import CloseReason, NamespaceInput, NamespaceState, SessionState, Transport, UpgradeState
from engineio_lite.strictjson import encode_json

Output: TypeAlias = EngineOutput | SocketIOEvent
"""One thing that comes out of the door."""


class Engine(Protocol):
    """What is needed of the Engine.IO side: an `EngineIOConnection`, or something around one, such as a recorder."""

    @property
    def state(self) -> SessionState: ...
    @property
    def upgrade_state(self) -> UpgradeState: ...
    @property
    def transport(self) -> Transport | None: ...
    @property
    def handshake(self) -> Handshake | None: ...
    @property
    def deadline(self) -> float: ...
    @property
    def buffered(self) -> int: ...
    @property
    def buffered_packets(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def confirmed(self) -> int: ...
    @property
    def writable(self) -> bool: ...
    @property
    def may_upgrade(self) -> bool: ...

    def process(self, input: EngineInput, now: float) -> list[EngineOutput]: ...


class _Call(msgspec.Struct, frozen=True):
    """One event that waits for its acknowledgement."""

    namespace: Namespace
    ack_id: int
    name: str
    timeout: float | None
    order: int


def _is_said(closed: Closed) -> bool:
    """Whether the server has ended the session on purpose, and not vanished."""
    if closed.reason is CloseReason.TRANSPORT_CLOSE:
        return isinstance(closed.error, TransportClosed) and closed.error.code is None
    return closed.reason is CloseReason.SERVER_CLOSE


def dropped(wish: Emit) -> EmitDropped | CallFailed:
    """What becomes of a volatile event that cannot leave at once."""
    if wish.call is None:
        return EmitDropped(wish.namespace, wish.name, wish.ticket)
    return CallFailed(wish.call, dropped_error(wish.name))


def dropped_error(name: str) -> EngineIOError:
    """What is told of a volatile event that was dropped, where somebody waits for it."""
    message = f"volatile event {elide(name)} was dropped, because it could not leave at once"
    return EngineIOError(message, cause=Cause.DROPPED, stage="namespace")


class SocketIOConnection:
    """Socket.IO namespaces over one Engine.IO session, seen from the client; used once.

    Takes what `EngineIOConnection` takes; an empty path means ``/socket.io/``. An `engine` may be passed instead of a URL. `parser` must be the
    one that the server uses, ``"default"``, ``"msgpack"`` or a `Parser`.
    """

    def __init__(
        self,
        url: str = "",
        *,
        transports: Sequence[str] = (Transport.POLLING, Transport.WEBSOCKET),
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        token: str = "",
        engine: Engine | None = None,
        parser: str | Parser = DEFAULT,
    ) -> None:
        if engine is None:
            engine = EngineIOConnection(url, transports=transports, limits=limits, timeouts=timeouts, token=token, default_path="/socket.io/")
        self.engine = engine
        self._limits = limits
        self._timeouts = timeouts
        self._parser = find_parser(parser)
        self._decoder = self._parser.decoder(limits=limits)
        self._namespaces: dict[str, Namespace] = {}
        self._calls: dict[int, _Call] = {}
        self._deadlines = Deadlines(self._is_awaited)
        self._rejoin_at = math.inf
        """When the next CONNECT may be sent that waits because its namespace was left a moment ago."""
        self._is_answered = False
        """Whether the server has answered any CONNECT, so that it speaks Socket.IO as we do."""
        self._ending: tuple[CloseReason, EngineIOError | None] | None = None
        self._fault: RemoteProtocolError | None = None
        self._partial = 0
        """Bytes or characters of a packet whose attachments are still coming."""
        self._size = 0
        """The same of the packet that was completed last."""
        self._reactions: deque[EngineInput] = deque()
        self._now = 0.0
        self._out: list[Output] = []

    # ------------------------------------------------------------------------------------------------------------------------------ the door

    def process(self, input: Input, now: float) -> list[Output]:
        """Take one input at the instant `now` (monotonic seconds) and return what follows from it, in order.

        Raises `LocalProtocolError`, and nothing else, if the application asked for something illegal; then nothing has changed.
        """
        self._now = now
        out: list[Output] = []
        self._out = out
        handler = self._HANDLERS.get(type(input))
        if handler is not None:
            handler(self, input)
        else:
            self._lift(self.engine.process(input, now))  # type: ignore[arg-type]  # what is left is an Engine.IO input
        if self._reactions:
            self._react()
        return out

    @property
    def deadline(self) -> float:
        """The instant at which `TimePassed` must be processed; infinity if there is none."""
        return min(self.engine.deadline, self._deadlines.next, self._rejoin_at)

    @property
    def state(self) -> SessionState:
        """The state of the Engine.IO session underneath."""
        return self.engine.state

    @property
    def transport(self) -> Transport | None:
        """How packets travel now; None before the session is open."""
        return self.engine.transport

    @property
    def handshake(self) -> Handshake | None:
        """The server's open packet; None before the session is open."""
        return self.engine.handshake

    @property
    def upgrade_state(self) -> UpgradeState:
        """Where the upgrade stands."""
        return self.engine.upgrade_state

    @property
    def buffered(self) -> int:
        """What waits to be sent, in bytes on the polling wire."""
        return self.engine.buffered

    @property
    def buffered_packets(self) -> int:
        """What waits to be sent, in Engine.IO packets."""
        return self.engine.buffered_packets

    @property
    def accepted(self) -> int:
        """How many messages were taken to be sent, in all."""
        return self.engine.accepted

    @property
    def confirmed(self) -> int:
        """How many of the `accepted` messages have left."""
        return self.engine.confirmed

    @property
    def writable(self) -> bool:
        """Whether an event that is sent now leaves now."""
        return self.engine.writable

    @property
    def may_upgrade(self) -> bool:
        """Whether the session polls and may still move to a WebSocket."""
        return self.engine.may_upgrade

    def next_ack_id(self, namespace: str) -> int:
        """The id that the next call in `namespace` would have."""
        known = self._namespaces.get(namespace)
        return known.next_ack_id if known is not None else 0

    def namespace_state(self, namespace: str) -> NamespaceState:
        """Where `namespace` stands; a namespace never joined is disconnected."""
        known = self._namespaces.get(namespace)
        return known.state if known is not None else NamespaceState.DISCONNECTED

    # ---------------------------------------------------------------------------------------------------------------- the application's wishes

    def _join(self, wish: JoinNamespace) -> None:
        if self.engine.state not in (SessionState.IDLE, SessionState.OPENING, SessionState.OPEN):
            raise LocalProtocolError(f"a namespace can be joined until the session ends, it is {self.engine.state}", cause=Cause.NOT_OPEN)
        namespace = self._namespaces.get(wish.namespace) or Namespace(wish.namespace)
        if not namespace.allows(NamespaceInput.CONNECT):
            raise LocalProtocolError(f"namespace {elide(wish.namespace)} is {namespace.state} already", cause=Cause.ALREADY_CONNECTED)
        self._check_namespaces()
        connect: str | bytes | None = self._encode_connect(wish.namespace, None if wish.deferred else wish.auth)
        if wish.deferred:
            connect = None  # it was only tried whether the name is one
        # A second CONNECT before the answer to the first would make Node close the connection: it waits for that answer.
        now = self.engine.state is SessionState.OPEN and namespace.may_ask(self._now) and connect is not None
        if connect is not None and not now and self.engine.state is SessionState.OPEN:
            self._check_size(connect)
        outputs = self._send([connect]) if now and connect is not None else []
        namespace.step(NamespaceInput.CONNECT)
        namespace.next_ack_id = max(namespace.next_ack_id, wish.first_ack_id)
        namespace.awaits_auth = wish.deferred
        namespace.claims = wish.auth is not None and "pid" in wish.auth
        self._namespaces[wish.namespace] = namespace
        if not now:
            self._ask_later(namespace, connect)
        if self.engine.state is SessionState.OPEN:
            namespace.order = self._arm(self._timeouts.namespace, wish.namespace)
            if wish.deferred:
                self._out.append(AuthNeeded(wish.namespace))
        self._lift(outputs)

    def _encode_connect(self, name: str, auth: Mapping[str, object] | None) -> str | bytes:
        if auth is not None and not isinstance(auth, Mapping):
            raise LocalProtocolError(f"auth is a JSON object (a mapping), not {type(auth).__name__}", cause=Cause.BAD_OPTION)
        data = msgspec.UNSET if auth is None else dict(auth)
        (connect,) = self._encode(Packet(PacketType.CONNECT, data, name))
        return connect

    def _check_size(self, connect: str | bytes) -> None:
        """Refuse now a CONNECT that waits, if it cannot be sent later."""
        limit = self.engine.handshake.max_payload if self.engine.handshake is not None else None
        check_messages([connect], live=self.engine.transport is Transport.WEBSOCKET, max_payload=limit)

    def _ask_later(self, namespace: Namespace, connect: str | bytes | None) -> None:
        """Keep a CONNECT until the session is open, the answer to the one before has come, and it is long enough ago that the namespace was left."""
        namespace.unsent_connect = connect
        if connect is not None and not namespace.abandoned and self.engine.state is SessionState.OPEN:
            self._rejoin_at = min(self._rejoin_at, namespace.rejoin_at)

    def _ask_again(self) -> None:
        """Send every CONNECT that has waited long enough."""
        self._rejoin_at = math.inf
        messages: list[str | bytes] = []
        for namespace in self._namespaces.values():
            if namespace.unsent_connect is None or namespace.abandoned:
                continue
            if namespace.may_ask(self._now):
                messages.append(namespace.unsent_connect)
                namespace.unsent_connect = None
            else:
                self._rejoin_at = min(self._rejoin_at, namespace.rejoin_at)
        if messages:
            self._reactions.append(SendMessages(tuple(messages)))

    def _provide_auth(self, answer: ProvideAuth) -> None:
        namespace = self._namespaces.get(answer.namespace)
        if namespace is None or not namespace.awaits_auth:
            return
        connect = self._encode_connect(answer.namespace, answer.auth)
        if namespace.may_ask(self._now) and self.engine.state is SessionState.OPEN:
            outputs = self._send([connect])
        else:
            outputs = []
            self._check_size(connect)
            self._ask_later(namespace, connect)
        if self.engine.state is SessionState.OPEN:
            namespace.order = self._arm(self._timeouts.namespace, namespace.name)
        namespace.awaits_auth = False
        namespace.claims = answer.auth is not None and "pid" in answer.auth
        self._lift(outputs)

    def _refuse_auth(self, answer: RefuseAuth) -> None:
        namespace = self._namespaces.get(answer.namespace)
        if namespace is not None and namespace.awaits_auth:
            namespace.awaits_auth = False
            self._refused(namespace, answer.error, CloseReason.CLIENT_CLOSE)

    def _check_namespaces(self) -> None:
        """Make sure that one more can be joined; those that were left make room."""
        gone = [name for name, namespace in self._namespaces.items() if namespace.state is NamespaceState.DISCONNECTED and not namespace.abandoned]
        if len(self._namespaces) - len(gone) >= self._limits.max_namespaces:
            message = f"{self._limits.max_namespaces} namespaces are joined, or asked for and left without an answer, the limit"
            raise LocalProtocolError(message, cause=Cause.BAD_NAMESPACE)
        if len(self._namespaces) >= 2 * self._limits.max_namespaces:
            for name in gone:
                del self._namespaces[name]

    def _leave(self, wish: LeaveNamespace) -> None:
        namespace = self._namespaces.get(wish.namespace)
        if namespace is None or not namespace.allows(NamespaceInput.DISCONNECT):
            raise LocalProtocolError(f"namespace {elide(wish.namespace)} is not joined", cause=Cause.NAMESPACE_NOT_CONNECTED)
        if namespace.state is NamespaceState.CONNECTED:
            outputs = self._send(self._encode(Packet(PacketType.DISCONNECT, namespace=wish.namespace)))
            namespace.rejoin_at = self._now + self._timeouts.rejoin
            self._lift(outputs)
        else:
            namespace.abandon()
        self._left(namespace, NamespaceInput.DISCONNECT, CloseReason.CLIENT_DISCONNECT)

    def _emit(self, wish: Emit) -> None:
        namespace = self._connected(wish.namespace)
        if wish.volatile and not self.engine.writable:
            self._out.append(dropped(wish))
            return
        if wish.timeout is not None and not wish.timeout >= 0:
            raise LocalProtocolError(f"a timeout is a number of seconds from 0 up, or None, not {wish.timeout!r}", cause=Cause.BAD_OPTION)
        ack_id = None
        if wish.call is not None:
            if len(self._calls) >= self._limits.max_pending_calls:
                raise LocalProtocolError(f"{len(self._calls)} calls wait for their answers already, the limit", cause=Cause.TOO_MANY_CALLS)
            if wish.call in self._calls:
                raise LocalProtocolError(f"call number {wish.call} waits already", cause=Cause.BAD_OPTION)
            ack_id = namespace.next_ack_id
        packet = Packet(PacketType.EVENT, [wish.name, *wish.args], wish.namespace, ack_id)
        outputs = self._send(self._encode(packet))
        if wish.call is not None and ack_id is not None:
            namespace.next_ack_id += 1
            namespace.calls[ack_id] = wish.call
            order = self._arm(wish.timeout - wish.waited, wish.call) if wish.timeout is not None else 0
            self._calls[wish.call] = _Call(namespace, ack_id, wish.name, wish.timeout, order)
        self._lift(outputs)

    def _acknowledge(self, wish: Acknowledge) -> None:
        namespace = self._connected(wish.namespace)
        messages = self._encode(Packet(PacketType.ACK, list(wish.args), wish.namespace, wish.ack_id))
        if wish.ack_id not in namespace.unanswered:
            message = (
                f"no event of namespace {elide(wish.namespace)} waits for an answer with the id {wish.ack_id!r}: it has one, or never asked here"
            )
            raise LocalProtocolError(message, cause=Cause.ACK_NOT_AWAITED)
        outputs = self._send(messages)
        del namespace.unanswered[wish.ack_id]
        self._lift(outputs)

    def _close(self, wish: Close) -> None:
        connected = [name for name, namespace in self._namespaces.items() if namespace.state is NamespaceState.CONNECTED]
        farewell = [message for name in connected for message in self._encode(Packet(PacketType.DISCONNECT, namespace=name))]
        outputs = self.engine.process(Close((*wish.farewell, *farewell)), self._now)
        if self._ending is None:
            self._ending = (CloseReason.CLIENT_CLOSE, None)  # whatever the server says from here on, it was we who left
        self._lift(outputs)

    def _connected(self, name: str) -> Namespace:
        namespace = self._namespaces.get(name)
        if namespace is None or not namespace.allows(NamespaceInput.EMIT):
            state = namespace.state if namespace is not None else NamespaceState.DISCONNECTED
            raise LocalProtocolError(f"namespace {elide(name)} must be connected to send on it, it is {state}", cause=Cause.NAMESPACE_NOT_CONNECTED)
        return namespace

    def _encode(self, packet: Packet) -> list[str | bytes]:
        return self._parser.encode(packet, limits=self._limits)

    def _send(self, messages: Iterable[str | bytes]) -> list[EngineOutput]:
        return self.engine.process(SendMessages(tuple(messages)), self._now)

    # -------------------------------------------------------------------------------------------------------------------- what Engine.IO says

    def _lift(self, outputs: list[EngineOutput]) -> None:
        """Turn what the Engine.IO side said into what this side says.

        What we want of the engine in return waits in `_reactions` until all of it is said: commands must leave in the order in which they came.
        """
        for output in outputs:
            if type(output) is MessageReceived:
                if self._fault is None:
                    self._message(output.data)
            elif type(output) is Closed:
                self._closed(output)
            else:
                self._out.append(output)
                if type(output) is Opened:
                    self._send_connects()

    def _react(self) -> None:
        held = []
        while self._reactions:
            reaction = self._reactions.popleft()
            if self.engine.state is SessionState.CLOSED:
                continue
            try:
                outputs = self.engine.process(reaction, self._now)
            except LocalProtocolError as error:
                if error.cause is Cause.SEND_BUFFER_FULL:
                    held.append(reaction)  # there will be room at one of the next inputs
                    continue
                # Only a CONNECT can be refused for good: its auth payload is larger than this server takes, which nobody could know before the open
                # packet.
                self._end(CloseReason.CLIENT_CLOSE, error)
            else:
                self._lift(outputs)
        self._reactions.extend(held)

    def _send_connects(self) -> None:
        messages: list[str | bytes] = []
        for namespace in self._namespaces.values():
            if namespace.awaits_auth:
                self._out.append(AuthNeeded(namespace.name))
            elif namespace.unsent_connect is not None:
                messages.append(namespace.unsent_connect)
                namespace.unsent_connect = None
            else:
                continue
            namespace.order = self._arm(self._timeouts.namespace, namespace.name)
        if messages:
            self._reactions.append(SendMessages(tuple(messages)))

    def _fail(self, fault: RemoteProtocolError) -> None:
        """End the session after all that came before this fault; nothing that comes after it is looked at."""
        self._fault = fault
        self._reactions.append(Fail(fault))

    def _message(self, data: str | bytes) -> None:
        try:
            packet = self._decoder.feed(data)
        except DecodeError as error:
            self._fail(error.locate(stage="namespace"))
            return
        if packet is None:
            self._partial += len(data)
            return
        self._size, self._partial = self._partial + len(data), 0
        namespace = self._namespaces.get(packet.namespace)
        if packet.type is PacketType.EVENT and namespace is not None and namespace.state is NamespaceState.CONNECTED:
            arguments: list[object] = packet.data  # type: ignore[assignment]  # the decoder has checked it
            self._out.append(EventReceived(packet.namespace, arguments[0], arguments[1:], packet.id))  # type: ignore[arg-type]  # the same
            if packet.id is not None:
                namespace.wants_answer(packet.id, self._limits.max_unanswered)
        elif namespace is None or not namespace.has_asked:
            self._out.append(PacketIgnored(packet, f"namespace {elide(packet.namespace)} is not joined"))
            if namespace is not None and namespace.abandoned:
                self._abandoned_answer(namespace, packet)
        else:
            self._PACKETS[packet.type](self, namespace, packet)

    def _abandoned_answer(self, namespace: Namespace, packet: Packet) -> None:
        """The answer that was no longer wanted: leave what it granted, and only then ask again if somebody has joined meanwhile."""
        if packet.type is not PacketType.CONNECT and packet.type is not PacketType.CONNECT_ERROR:
            return
        namespace.abandoned = False
        if packet.type is PacketType.CONNECT:
            self._reactions.append(SendMessages(tuple(self._encode(Packet(PacketType.DISCONNECT, namespace=namespace.name)))))
            namespace.rejoin_at = self._now + self._timeouts.rejoin
        if namespace.unsent_connect is not None:
            namespace.order = self._arm(self._timeouts.namespace, namespace.name)
            self._ask_again()

    def _early_event(self, namespace: Namespace, packet: Packet) -> None:
        limits = self._limits
        most = limits.max_recovered_events if namespace.claims else limits.max_early_events
        namespace.early_bytes += self._size
        if len(namespace.early) >= most or namespace.early_bytes > limits.max_early_bytes:
            message = (
                f"expected the answer to CONNECT of namespace {elide(namespace.name)}, got more than {most} events "
                f"or {limits.max_early_bytes} bytes before it"
            )
            self._fail(RemoteProtocolError(message, cause=Cause.TOO_MANY_EARLY_EVENTS, stage="namespace"))
            return
        arguments: list[object] = packet.data  # type: ignore[assignment]  # the decoder has checked it
        namespace.early.append(EventReceived(packet.namespace, arguments[0], arguments[1:], packet.id))  # type: ignore[arg-type]  # the same

    def _answer(self, namespace: Namespace, packet: Packet) -> None:
        call = namespace.calls.pop(-1 if packet.id is None else packet.id, None)
        if call is None:
            self._out.append(PacketIgnored(packet, "no call waits for this acknowledgement"))
        else:
            del self._calls[call]
            self._out.append(CallAnswered(call, packet.data))  # type: ignore[arg-type]  # the decoder has checked it

    def _granted(self, namespace: Namespace, packet: Packet) -> None:
        if namespace.state is NamespaceState.CONNECTED:
            self._out.append(PacketIgnored(packet, "the namespace is connected already"))
            return
        data = packet.data
        if not isinstance(data, dict) or not isinstance(data.get("sid"), str):
            # Servers of protocol revision 4 (Socket.IO 2) send a bare `40` unasked, and would never answer our CONNECT.
            message = f'expected {{"sid": …}} in the answer to CONNECT, got {"no payload" if data is msgspec.UNSET else elide(encode_json(data))}'
            self._refused(namespace, HandshakeError(message, cause=Cause.SOCKETIO_V2, stage="namespace"))
            return
        namespace.step(NamespaceInput.RECEIVE_CONNECT)
        self._is_answered = True
        pid = data.get("pid")
        self._out.append(NamespaceConnected(namespace.name, data["sid"], pid if isinstance(pid, str) else None))
        for event in namespace.early:
            self._out.append(event)
            if event.ack_id is not None:
                namespace.wants_answer(event.ack_id, self._limits.max_unanswered)
        namespace.forget_early()

    def _receive_refusal(self, namespace: Namespace, packet: Packet) -> None:
        data = packet.data
        if isinstance(data, dict):
            message = data.get("message")
            error = ConnectRefused(namespace.name, message if isinstance(message, str) else "", data.get("data"))
        else:
            error = ConnectRefused(namespace.name, str(data))
        self._refused(namespace, error)

    def _refused(self, namespace: Namespace, error: EngineIOError, reason: CloseReason = CloseReason.SERVER_DISCONNECT) -> None:
        namespace.unsent_connect = None
        namespace.forget_early()
        self._fail_calls(namespace, error)
        namespace.step(NamespaceInput.RECEIVE_CONNECT_ERROR)
        self._out.append(NamespaceRefused(namespace.name, error))
        self._is_answered = True
        self._close_if_last(reason, error)

    def _receive_disconnect(self, namespace: Namespace, packet: Packet) -> None:
        # python-socketio with `always_connect` grants first and then says why it does not: that is a refusal, whenever it comes.
        data = packet.data if isinstance(packet.data, dict) else {}
        refusal = ConnectRefused(namespace.name, data["message"], data.get("data")) if isinstance(data.get("message"), str) else None
        if namespace.state is NamespaceState.CONNECTING:
            namespace.abandoned = True  # the answer itself is still to come
            self._refused(namespace, refusal or ConnectRefused(namespace.name, "disconnected before the answer to CONNECT"))
        else:
            self._left(namespace, NamespaceInput.RECEIVE_DISCONNECT, CloseReason.SERVER_DISCONNECT, refusal)

    def _left(self, namespace: Namespace, input: NamespaceInput, reason: CloseReason, error: EngineIOError | None = None) -> None:
        if not namespace.step(input):
            return  # the connection ended on the way, and everything is said
        self._fail_calls(namespace, error or ConnectionClosed(f"namespace {elide(namespace.name)} was left: {reason}", reason=reason))
        self._out.append(NamespaceLeft(namespace.name, reason, error))
        self._close_if_last(reason, error)

    def _close_if_last(self, reason: CloseReason, error: EngineIOError | None = None) -> None:
        if all(namespace.state is NamespaceState.DISCONNECTED for namespace in self._namespaces.values()):
            self._end(reason, error)

    def _end(self, reason: CloseReason, error: EngineIOError | None) -> None:
        """Close the session in an orderly way, and tell the application this reason and error instead of "client close"."""
        if self._ending is None:
            self._ending = (reason, error)
        self._reactions.append(Close())

    def _closed(self, closed: Closed) -> None:
        if self._fault is not None:
            closed = msgspec.structs.replace(closed, reason=CloseReason.PARSE_ERROR, error=self._fault)
        elif self._ending is not None and closed.reason in (CloseReason.CLIENT_CLOSE, CloseReason.SERVER_CLOSE):
            # What ended the last namespace came first: a server that leaves says `41` and then `1`.
            reason, error = self._ending
            closed = msgspec.structs.replace(closed, reason=reason, error=error or closed.error)
        elif not self._is_answered and self.engine.handshake is not None and _is_said(closed):
            message = "expected an answer to CONNECT, the server closed the session"
            unanswered = HandshakeError(message, cause=Cause.CONNECT_CLOSED, stage="namespace")
            unanswered.__cause__ = closed.error
            closed = msgspec.structs.replace(closed, error=unanswered)
        self._decoder.reset()
        self._deadlines.clear()
        self._rejoin_at = math.inf
        for namespace in self._namespaces.values():
            was = namespace.state
            namespace.step(NamespaceInput.ENGINE_CLOSED)
            namespace.awaits_auth = False
            namespace.forget_early()
            error_for_calls = ConnectionClosed(f"the connection ended: {closed.reason}", reason=closed.reason)
            error_for_calls.__cause__ = closed.error
            self._fail_calls(namespace, error_for_calls)
            if was is NamespaceState.CONNECTED:
                self._out.append(NamespaceLeft(namespace.name, closed.reason))
        self._out.append(closed)

    def _fail_calls(self, namespace: Namespace, error: EngineIOError) -> None:
        """The namespace is gone: nothing that was asked in it will be answered, by either side."""
        namespace.unanswered.clear()
        for call in namespace.calls.values():
            del self._calls[call]
            self._out.append(CallFailed(call, error))
        namespace.calls.clear()

    # ---------------------------------------------------------------------------------------------------------------------------------- time

    def _arm(self, seconds: float, key: int | str) -> int:
        return self._deadlines.note(self._now + seconds, key, awaited=len(self._calls) + len(self._namespaces))

    def _is_awaited(self, key: int | str, order: int) -> bool:
        if isinstance(key, int):
            call = self._calls.get(key)
            return call is not None and call.order == order
        namespace = self._namespaces.get(key)
        return namespace is not None and namespace.state is NamespaceState.CONNECTING and namespace.order == order

    def _time_passed(self, input: TimePassed) -> None:
        for key in self._deadlines.expire(self._now):
            self._expire(key)
        if self._rejoin_at <= self._now:
            self._ask_again()
        self._lift(self.engine.process(input, self._now))

    def _expire(self, key: int | str) -> None:
        if isinstance(key, int):
            call = self._calls.pop(key)
            del call.namespace.calls[call.ack_id]
            self._out.append(CallFailed(key, AckTimeout(call.name, call.timeout or 0.0)))
        else:
            seconds = self._timeouts.namespace
            namespace = self._namespaces[key]
            awaited = "the application's auth" if namespace.awaits_auth else "an answer to CONNECT"
            message = f"expected {awaited} for namespace {elide(key)} within {seconds:.3g} s, nothing came"
            namespace.step(NamespaceInput.DEADLINE)
            namespace.abandon()
            error = TimedOut(message, cause=Cause.CONNECT_UNANSWERED, stage="namespace")
            self._out.append(NamespaceRefused(key, error))
            self._close_if_last(CloseReason.CLIENT_CLOSE, error)

    _HANDLERS: ClassVar[dict[type, Callable[[SocketIOConnection, Any], None]]] = {
        Emit: _emit,
        Acknowledge: _acknowledge,
        JoinNamespace: _join,
        ProvideAuth: _provide_auth,
        RefuseAuth: _refuse_auth,
        LeaveNamespace: _leave,
        Close: _close,
        TimePassed: _time_passed,
    }

    _PACKETS: ClassVar[dict[PacketType, Callable[[SocketIOConnection, Namespace, Packet], None]]] = {
        PacketType.CONNECT: _granted,
        PacketType.CONNECT_ERROR: _receive_refusal,
        PacketType.DISCONNECT: _receive_disconnect,
        PacketType.EVENT: _early_event,
        PacketType.ACK: _answer,
    }
