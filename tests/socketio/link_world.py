"""A link, a small server, and lines between them that break.

The driver's part is honest, because a driver is ours: it performs commands, calls in when the deadline is reached, and starts over when it is told
to. The server is honest too, so that what it saw can be compared with what the application was told: it grants or refuses, acknowledges or does not,
sends events with offsets, takes lost sessions up or does not, and throws out. It is always late: what the client wrote, and what the server wrote,
lies on the line until somebody moves it, and is lost if the line breaks before.

Each event carries a number of its own. What must hold whatever happens is checked on the way and, once everything has calmed down and the client has
left, at the end:

- there are never two connections, and nothing comes after `Closed`; a deadline that has been served is in the future;
- each call gets one answer, its own, or one failure; each ticket that was held is released or dropped, once;
- the server gets the events of a namespace in order, and those that are not repeated at most once; it misses none that the client passed on to a
  connection that did not break;
- it gets those that are to be delivered at least once if they were answered, one after the other;
- the application gets what the server sent in a session in order, once, and without a gap as long as the session is taken up again;
- who looks on in a namespace is told of exactly the events that are written there, in that order, and no later than they are;
- what waits is counted, in number and in size, and nothing is remembered for ever.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame, StartOver
from engineio_lite.events import Closed
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import (
    Close,
    FrameReceived,
    RequestFailed,
    ResponseReceived,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
)
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.packet import PacketType as EnginePacketType
from engineio_lite.packet import decode_packet
from engineio_lite.payload import decode_payload
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import (
    AuthNeeded,
    CallAnswered,
    CallFailed,
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
from engineio_lite.socketio.inputs import ClientInput, Deliver, Emit, JoinNamespace, LeaveNamespace, ProvideAuth
from engineio_lite.socketio.link import Output, SocketIOLink
from engineio_lite.socketio.packet import Decoder, Packet, PacketType
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import LinkState, SessionState, Transport
from tests.core.script import PLAIN_TEXT, URL
from tests.core.world import demand
from tests.socketio.script import prefix_of

NAMES = ("/", "/a", "/b")
LIMITS = Limits(max_offline_events=12, max_buffered=400, max_buffered_packets=6, max_pending_calls=8)
TIMEOUTS = Timeouts(namespace=20.0)
BEGIN = 1_795_000_000_000
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"


def base64(number: int) -> str:
    """Write a number as the in-memory adapter does."""
    text = ""
    while number or not text:
        number, digit = divmod(number, 64)
        text = DIGITS[digit] + text
    return text


@dataclass
class Session:
    """What the server remembers of one session in one namespace: the offsets of the events that it sent, in order."""

    pid: str
    offsets: list[str] = field(default_factory=list)


@dataclass
class Server:
    """What the server knows; `asked`, `joined`, `thrown_out` and `questions` are those of the connection that is there."""

    sessions: dict[str, Session] = field(default_factory=dict)
    got: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    asked: dict[str, dict[str, object]] = field(default_factory=dict)
    passed_over: set[int] = field(default_factory=set)
    joined: dict[str, str] = field(default_factory=dict)
    thrown_out: set[str] = field(default_factory=set)
    questions: list[tuple[str, int, int]] = field(default_factory=list)
    down: list[str | bytes] = field(default_factory=list)
    ear: Decoder = field(default_factory=Decoder)
    pids: int = 0
    ticks: int = 0

    def begin(self) -> None:
        """Another connection: nothing of the old one is left."""
        self.asked, self.joined, self.thrown_out, self.questions, self.down, self.ear = {}, {}, set(), [], [], Decoder()

    def hear(self, message: str | bytes) -> None:
        """Take one message of the client's."""
        packet = self.ear.feed(message)
        if packet is None:
            return
        name = packet.namespace
        match packet.type:
            case PacketType.CONNECT:
                assert name not in self.asked, "asked for twice"
                assert name not in self.joined, "asked for while joined"
                self.thrown_out.discard(name)
                self.asked[name] = packet.data if isinstance(packet.data, dict) else {}
            case PacketType.DISCONNECT:
                assert name in self.joined or name in self.thrown_out
                self.sessions.pop(self.joined.pop(name, ""), None)
            case _:
                assert packet.type is PacketType.EVENT
                assert name in self.joined or name in self.thrown_out, f"an event for {name}, which is not joined"
                assert isinstance(packet.data, list)
                if name in self.joined:
                    self.note(name, packet)
                else:
                    self.passed_over.add(packet.data[1])

    def note(self, name: str, packet: Packet) -> None:
        """Remember an event, and who wants an answer to it."""
        kind, number = packet.data[0], packet.data[1]  # type: ignore[index]  # it is the list of an event
        assert isinstance(kind, str)
        assert isinstance(number, int)
        self.got.setdefault(name, []).append((kind, number))
        if packet.id is not None:
            self.questions.append((name, packet.id, number))

    def grant(self, name: str, *, recover: bool) -> None:
        """Let the client in, to its lost session if it claims one that is there."""
        claim = self.asked.pop(name)
        session = self.sessions.get(str(claim.get("pid")))
        offset = claim.get("offset")
        if recover and session is not None and offset in session.offsets:
            first = session.offsets.index(str(offset)) + 1
            self.down += [self.event(name, session, number) for number in range(first, len(session.offsets))]
        else:
            self.sessions.pop(str(claim.get("pid")), None)
            self.pids += 1
            session = self.sessions[f"p{self.pids}"] = Session(f"p{self.pids}")
        self.joined[name] = session.pid
        self.down.append(f'40{prefix_of(name)}{{"sid":"s{session.pid}","pid":"{session.pid}"}}')

    def event(self, name: str, session: Session, number: int) -> str:
        """An event of the server's, with the session that it belongs to and its number there."""
        return f'42{prefix_of(name)}["s","{session.pid}",{number},"{session.offsets[number]}"]'

    def emit(self, pid: str, now: float) -> None:
        """Send the next event of a session, whether its client is there or not."""
        session = self.sessions[pid]
        self.ticks += 1
        session.offsets.append(f"{base64(BEGIN + int(now * 1000))}.{base64(self.ticks)}")
        for name, joined in self.joined.items():
            if joined == pid:
                self.down.append(self.event(name, session, len(session.offsets) - 1))


@dataclass
class Sent:
    """An event of the application's that was accepted: where it is."""

    namespace: str
    kind: str
    held: bool = False
    passed_on: int | None = None
    """The number of the connection that it was passed on to."""
    dropped: bool = False


class LinkWorld:
    """The link and everything around it; see the module."""

    def __init__(self, transport: str = "websocket", *, hold: bool = True, decide: bool | None = None, watched: Set[str] = frozenset(NAMES)) -> None:
        self.transport = transport
        self.now = 0.0
        self.connections = 0
        self.server = Server()
        policy = ReconnectPolicy(retry_first=True, decide=lambda lost: decide)
        self.link = SocketIOLink(self._make_connection, policy=policy, hold=hold, limits=LIMITS, epoch=BEGIN / 1000)
        self.link.watched = watched
        self.owed: list[tuple[str, str, int]] = []
        """Events that were told of, and are not written yet: namespace, kind, number."""
        self.pen = Decoder()
        self.socket: int | None = None
        self.is_open = False
        self.get: int | None = None
        self.post: tuple[int, list[str | bytes]] | None = None
        self.is_read = False
        self.up: list[str | bytes] = []
        self.numbers = 0
        self.sent: dict[int, Sent] = {}
        self.accepted: set[int] = set()
        self.ends: Counter[int] = Counter()
        self.answers: dict[int, list[object]] = {}
        self.seen: dict[str, tuple[str | None, int]] = {}
        self.inside: set[str] = set()
        self.left: set[str] = set()
        """Namespaces that we left on the connection that is there."""
        self.needed: list[str] = []
        self.closed: Closed | None = None
        self.attempt = 0
        self.reconnecting = 0
        self.recoveries = 0
        self.broken: set[int] = set()

    def _make_connection(self) -> SocketIOConnection:
        assert not self.is_busy, "a connection is made while there is another"
        self.connections += 1
        return SocketIOConnection(URL, transports=(self.transport,), limits=LIMITS, timeouts=TIMEOUTS)

    @property
    def is_busy(self) -> bool:
        """Whether anything of a connection is there."""
        return self.socket is not None or self.get is not None or self.post is not None

    # --- The driver.

    def put(self, input: ClientInput) -> list[Output]:
        """Put one input in, after what is due, and perform what comes out."""
        if not isinstance(input, TimePassed):
            self.serve()
        try:
            outputs = self.link.process(input, self.now)
        except LocalProtocolError:
            assert isinstance(input, Emit | Deliver | JoinNamespace | LeaveNamespace | ProvideAuth | Close)
            raise
        for output in outputs:
            assert self.closed is None, f"{output!r} after Closed"
            self._perform(output)
        self._check_what_waits()
        return outputs

    def serve(self) -> None:
        """Call in until nothing is due any more."""
        for _ in range(3):
            if self.link.deadline > self.now:
                return
            self.put(TimePassed())
        assert self.link.deadline > self.now, "the deadline stays in the past"

    def wait(self, seconds: float) -> None:
        """Let time pass, calling in at every deadline."""
        until = self.now + seconds
        while self.link.deadline <= until:
            self.now = max(self.now, self.link.deadline)
            self.serve()
        self.now = until

    def _perform(self, output: Output) -> None:
        match output:
            case OpenWebSocket(socket):
                assert self.socket is None
                self.socket = socket
            case Poll(request):
                assert self.get is None
                self.get = request
            case Post(request, _, body):
                assert self.post is None
                messages = [packet.data for packet in decode_payload(body) if packet.type is EnginePacketType.MESSAGE]
                self.post, self.is_read = (request, messages), False
                self._written(messages)
            case SendFrame(_, data):
                packet = decode_packet(data)
                messages = [packet.data] if packet.type is EnginePacketType.MESSAGE else []
                self.up += messages
                self._written(messages)
            case CloseTransport(transport):
                if transport is Transport.POLLING:
                    self.get = self.post = None
                else:
                    self.socket = None
            case StartOver():
                assert not self.is_busy
                self._begin()
            case _:
                self._happened(output)

    def _written(self, messages: list[str | bytes]) -> None:
        for name in NAMES:
            if f"1{prefix_of(name)}" in messages:
                self.left.add(name)
        for message in messages:
            packet = self.pen.feed(message)
            if packet is not None and packet.type is PacketType.EVENT and packet.namespace in self.link.watched:
                assert isinstance(packet.data, list)
                assert self.owed.pop(0) == (packet.namespace, packet.data[0], packet.data[1]), "written, and nobody was told"

    def _begin(self) -> None:
        if self.up:
            self.broken.add(self.connections)
        self.is_open = False
        self.up = []
        self.owed, self.pen = [], Decoder()
        self.left.clear()
        self.server.begin()

    # --- What the application sees.

    def _happened(self, output: Output) -> None:
        match output:
            case NamespaceConnected(name, _, pid, recovered):
                assert name not in self.inside
                self.inside.add(name)
                if recovered:
                    self.recoveries += 1
                    assert self.seen[name][0] == pid
                else:
                    self.seen[name] = (pid, 0)
            case NamespaceLeft(name) | NamespaceRefused(name):
                self.inside.discard(name)
            case EventReceived(name, "s", args):
                assert name in self.inside
                pid, count = self.seen[name]
                if args[0] != pid:
                    # It was on its way when we left; nothing in the protocol tells it from an early event of the next session.
                    assert name in self.left, "an event of another session"
                else:
                    assert args[1] == count, "not the next event of the session"
                    self.seen[name] = (pid, count + 1)
            case EventReceived(name, "v", args):
                assert args == ["Running"]
            case CallAnswered(call, args):
                self.ends[call] += 1
                self.answers[call] = args
            case CallFailed(call):
                self.ends[call] += 1
                if call in self.sent:
                    self.sent[call].dropped = True
            case EventSent(name, kind, args):
                assert name in self.link.watched
                assert isinstance(args[0], int)
                self.owed.append((name, kind, args[0]))
            case EmitHeld(ticket):
                assert ticket not in self.sent
            case EmitReleased(ticket):
                entry = self.sent[ticket]
                assert entry.held
                assert entry.passed_on is None
                assert not entry.dropped
                entry.passed_on = self.connections
            case EmitDropped(_, _, ticket):
                if ticket is not None and ticket in self.sent:
                    assert self.sent[ticket].passed_on is None
                    assert not self.sent[ticket].dropped
                    self.sent[ticket].dropped = True
            case AuthNeeded(name):
                self.needed.append(name)
            case Reconnecting(attempt, delay):
                assert attempt == self.attempt + 1 or attempt == 1
                assert delay <= 5.0
                self.attempt = attempt
                self.reconnecting += 1
                self.needed.clear()
            case Reconnected(attempts):
                assert attempts == self.attempt
                self.attempt = 0
            case Closed():
                assert not self.inside
                self.closed = output

    def _check_what_waits(self) -> None:
        link = self.link
        scopes = link._scopes.values()
        held = [entry for scope in scopes for entry in scope.held]
        repeated = [entry for scope in scopes for entry in scope.queue]
        assert link._size == sum(entry.size for entry in held) + sum(entry.size for entry in repeated)
        assert len(scopes) <= len(NAMES)
        assert link.waiting == len(held) + len(repeated)
        assert sorted(link._waiting_calls) == sorted(entry.wish.call for entry in held if entry.wish.call is not None)
        assert len(link._in_flight) == sum(scope.in_flight is not None for scope in scopes)
        assert all(len(scope.held) <= LIMITS.max_offline_events and len(scope.queue) <= LIMITS.max_offline_events for scope in scopes)
        assert len(link._deadlines) <= 100 + 2 * len(held)

    # --- What may happen.

    def emit(self, name: str, *, timeout: float | None = None, call: bool = False, volatile: bool = False, padding: str | bytes = "") -> bool:
        """Emit the next number; say whether that was accepted."""
        self.numbers += 1
        number = self.numbers
        kind = "v" if volatile else "e"
        try:
            outputs = self.put(Emit(kind, (number, padding), name, number if call else None, timeout, volatile, number))
        except LocalProtocolError:
            return False
        if call:
            self.accepted.add(number)
        dropped = any(isinstance(output, EmitDropped) and output.ticket == number for output in outputs)
        dropped = dropped or any(isinstance(output, CallFailed) and output.call == number for output in outputs)
        held = EmitHeld(number) in outputs
        self.sent[number] = Sent(name, kind, held, None if held or dropped else self.connections, dropped)
        return True

    def deliver(self, name: str, timeout: float, retries: int) -> bool:
        """Deliver the next number at least once; say whether that was accepted."""
        self.numbers += 1
        try:
            self.put(Deliver("d", (self.numbers,), self.numbers, timeout, retries, name))
        except LocalProtocolError:
            return False
        self.accepted.add(self.numbers)
        return True

    def wish(self, wish: ClientInput, *expected: Cause) -> bool:
        """Wish something that may be refused for these causes; say whether it was not."""
        try:
            self.put(wish)
        except LocalProtocolError as error:
            demand(error.cause in expected, f"{wish!r} was refused: {error}")
            return False
        return True

    def join(self, name: str, *, deferred: bool = False) -> None:
        """Join a namespace, if that is possible now."""
        if not self.link.is_wanted(name) and self.closed is None:
            self.wish(JoinNamespace(name, deferred=deferred), Cause.NOT_OPEN, Cause.SEND_BUFFER_FULL)  # the connection may be closing

    def leave(self, name: str) -> None:
        """Leave a namespace, if that is possible now."""
        self.wish(LeaveNamespace(name), Cause.NAMESPACE_NOT_CONNECTED, Cause.SEND_BUFFER_FULL, Cause.NOT_OPEN)

    def provide(self) -> None:
        """Give the payload that was asked for."""
        name = self.needed[0]
        if self.wish(ProvideAuth(name, {"token": 1}), Cause.SEND_BUFFER_FULL) and name in self.needed:
            self.needed.remove(name)

    def open(self) -> None:
        """The session opens."""
        packet = "0" + json.dumps({"sid": "engine", "upgrades": [], "pingInterval": 1e7, "pingTimeout": 1e7, "maxPayload": 100_000})
        self.is_open = True
        if self.socket is not None:
            self.put(WebSocketOpened(self.socket))
            self.put(FrameReceived(self.socket, packet))
        elif self.get is not None:
            self._answer(packet)

    def _answer(self, *packets: str | bytes) -> None:
        assert self.get is not None
        request, self.get = self.get, None
        texts = [packet if isinstance(packet, str) else "b" + b64encode(packet).decode() for packet in packets]
        self.put(ResponseReceived(request, 200, PLAIN_TEXT, "\x1e".join(texts).encode()))

    def server_reads(self, count: int) -> None:
        """Some of what the client wrote reaches the server."""
        if self.post is not None and not self.is_read:
            self.is_read = True
            for message in self.post[1]:
                self.server.hear(message)
        reached, self.up = self.up[:count], self.up[count:]
        for message in reached:
            self.server.hear(message)

    def post_is_answered(self) -> None:
        """The server's 200 reaches the client."""
        assert self.post is not None
        request, self.post = self.post[0], None
        self.put(ResponseReceived(request, 200, PLAIN_TEXT, b"ok"))

    def client_reads(self, count: int) -> None:
        """Some of what the server wrote reaches the client."""
        if self.get is not None and self.server.down:
            packets, self.server.down = self.server.down[:count], self.server.down[count:]
            self._answer(*packets)
            return
        for _ in range(count):
            if self.socket is None or not self.server.down:
                break
            self.put(FrameReceived(self.socket, self.server.down.pop(0)))

    def breaks(self) -> None:
        """The line breaks, with all that lies on it."""
        self.broken.add(self.connections)
        if self.socket is not None:
            socket, self.socket = self.socket, None
            self.put(WebSocketClosed(socket, 1006) if self.is_open else WebSocketFailed(socket, Cause.CONNECT_REFUSED, "nobody listens"))
        elif self.get is not None:
            request, self.get = self.get, None
            self.put(RequestFailed(request, Cause.CONNECTION_LOST, "the line broke"))
        elif self.post is not None:
            request, self.post = self.post[0], None
            self.put(RequestFailed(request, Cause.CONNECTION_LOST, "the line broke"))

    def acknowledge(self, index: int) -> None:
        """The server answers one of the questions that it has."""
        name, ack_id, number = self.server.questions.pop(index)
        if name in self.server.joined:
            self.server.down.append(f"43{prefix_of(name)}{ack_id}[{number}]")

    def throw_out(self, name: str) -> None:
        """The server ends a namespace."""
        self.server.sessions.pop(self.server.joined.pop(name), None)
        self.server.thrown_out.add(name)
        self.server.down.append(f"41{prefix_of(name)}")

    # --- The end.

    def calm_down(self) -> None:
        """Let everything that is on its way arrive and be answered, and time pass, until nothing is left to do."""
        for _ in range(2000):
            if self.is_over:
                return
            if self._moves():
                continue
            if self.link.link_state is LinkState.CONNECTED and self.link.waiting == 0:
                return
            demand(self.link.deadline < float("inf"), "nothing can happen any more")
            self.wait(max(0.0, self.link.deadline - self.now))
        raise AssertionError("it does not calm down")

    def _moves(self) -> bool:
        """Make one thing happen that is on its way; False if nothing is."""
        server = self.server
        if self.is_busy and not self.is_open:
            self.open()
        elif self.up or (self.post is not None and not self.is_read):
            self.server_reads(100)
        elif self.post is not None:
            self.post_is_answered()
        elif self.needed:
            self.provide()
        elif server.asked:
            server.grant(next(iter(server.asked)), recover=True)
        elif server.questions:
            self.acknowledge(0)
        elif server.down and self.is_busy:
            self.client_reads(100)
        else:
            return False
        return True

    def run_down(self) -> None:
        """Calm down, leave, and check what must hold at the end."""
        if any(self.link.is_wanted(name) for name in NAMES) and self.link.link_state is not LinkState.IDLE:
            self.calm_down()
        quiet = not self.is_over
        if quiet:
            self.put(Close())
        for _ in range(100):
            if not self.is_over and not self._moves():
                self.wait(max(0.0, self.link.deadline - self.now))
        self._check_the_end(quiet)

    @property
    def is_over(self) -> bool:
        """Whether `Closed` has come."""
        return self.closed is not None

    def _check_the_end(self, quiet: bool) -> None:
        assert self.closed is not None
        assert self.link.link_state is LinkState.CLOSED
        assert self.link.state is SessionState.CLOSED
        assert self.link.deadline == float("inf")
        assert self.link.waiting == 0
        if quiet and self.connections not in self.broken:
            assert self.owed == [], "told of, and never written"
        assert dict(self.ends) == dict.fromkeys(self.accepted, 1)
        for call, args in self.answers.items():
            assert args == [call]
        for name, got in self.server.got.items():
            once = [number for kind, number in got if kind != "d"]
            assert once == sorted(set(once)), f"{name}: not in order, or not once"
            repeated = [number for kind, number in got if kind == "d"]
            assert repeated == sorted(repeated), f"{name}: not one after the other"
        arrived = {number for got in self.server.got.values() for _, number in got}
        assert arrived >= set(self.answers)
        for number, entry in self.sent.items():
            if entry.held and number not in self.accepted:
                assert (entry.passed_on is not None) != entry.dropped, "held, and neither released nor dropped, or both"
            if entry.passed_on is None:
                assert entry.dropped
                assert number not in arrived
            elif quiet and entry.passed_on == self.connections and self.connections not in self.broken and entry.kind == "e":
                assert number in arrived or number in self.server.passed_over, "lost on a line that did not break"
