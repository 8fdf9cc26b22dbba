"""A connection, a server, and a network between them that delivers in whatever order it likes.

The world is a value: `enabled()` lists everything that could happen next, `do(action)` makes one of them happen, `fork` (see `snapshot`) copies it.
Two drivers choose the order: hypothesis, which samples long histories (`test_model`), and a breadth-first explorer, which tries all short ones
(`explorer`).

**What the network may do.** Each GET, each POST and each direction of each WebSocket is a channel of its own. A channel is first in, first out;
between channels there is no order at all. A POST arrives in two steps, because a server can act between its first and its last byte. Beyond that it
can misbehave once in a while (`Fault`): refuse or break a WebSocket, swallow everything on it, say something silly on it, lose a GET or a POST.

**Time** is virtual and moves only when nothing is overdue: unless the world is `harsh`, no delivery and no timer is late by more than `LATENESS`,
so a session that dies of silence dies of a bug.

**What is always true**, checked after every step; a violation raises `Broken`:

1. What each application received is a prefix of what the other one sent: nothing lost in the middle, doubled or reordered.
2. Never two GETs, never two POSTs; no POST of more packets or bytes than the server takes; at most one pong in it, ahead of everything.
3. On the upgrade's socket nothing but ``2probe``, ``5`` and ``6``, in that order of ideas; ``5`` only when no GET and no POST is in flight; nothing
   after the socket was given up.
4. Between ``3probe`` and the end of the upgrade no GET and no POST starts; after an answer of noops alone, no GET.
5. `process` raises nothing, `Closed` comes once and last, a deadline that has been served is in the future, the buffers stay within their limits.
6. The session does not end without a reason: the world remembers what it did that could end it.
7. What `Closed` does not count as unsent has arrived, as long as HTTP carried it and the server had not ended the session itself.

Rules 2 to 4 are how a correct client works, the others are what it is for: a world that is not `strict` checks only those, and so shows what a
broken rule *does* to somebody's messages.

`run_down` then lets everything calm down and demands completeness: a session that survived has delivered everything, both ways.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, Command, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Event, MessageReceived, Opened, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState
from tests.core.servers import Accept, Destroy, Emission, Frame, Hangup, NodeServer, PythonServer, Refuse, Respond, Server, decode
from tests.core.snapshot import fingerprint

URL = "http://127.0.0.1:3000/engine.io/"
LATENESS = 1.5
PATIENCE = 120.0
"""How long a world may take to calm down, in virtual seconds: longer than any interval plus timeout of its servers."""

PING_INTERVAL = 25.0
PING_TIMEOUT = 60.0
LIMITS = Limits(max_buffered=600, max_buffered_packets=30)
MAX_PAYLOAD = 100
SILLY_FRAMES = ("4silly", b"silly", "", "3", "0{}", "1", "5", "9zz")

Action = tuple[str | int, ...]
"""What could happen: a word and what it happens to."""


class Broken(AssertionError):
    """An invariant does not hold."""


def demand(condition: bool, sentence: str) -> None:
    """Insist on an invariant."""
    if not condition:
        raise Broken(sentence)


class Fault(StrEnum):
    """What a network or a proxy may do to a connection besides delaying it."""

    REFUSE = "the WebSocket is refused"
    BREAK = "the WebSocket breaks"
    SWALLOW = "the WebSocket swallows everything"
    SILLY = "something silly comes on the WebSocket"
    LOSE_GET = "the GET is lost"
    LOSE_POST = "the POST is lost"


UPGRADE_FAULTS = (Fault.REFUSE, Fault.BREAK, Fault.SWALLOW, Fault.SILLY)
"""Those that a session survives as long as ``5`` was not sent."""


@dataclass
class Request:
    """One HTTP request on its way there and back."""

    number: int
    body: str | None
    handshake: bool
    since: float
    stage: str = "leaving"  # leaving -> (arriving ->) waiting -> returning
    answer: Respond | Destroy | None = None
    deaf: bool = False  # the server answered it with nothing because it believes in an upgrade
    abandoned: bool = False


@dataclass
class Socket:
    """One WebSocket: two queues, and what each end did to it."""

    number: int
    upgrade: bool
    up: deque[tuple[float, str, str | bytes]] = field(default_factory=deque)
    down: deque[tuple[float, str, str | bytes]] = field(default_factory=deque)
    opened: bool = False  # the client knows that it is open
    given_up: bool = False  # the client closed it
    dead: bool = False  # nothing comes down any more
    swallows: bool = False
    switched: bool = False  # the client sent 5
    said: list[str | bytes] = field(default_factory=list)


class World:
    """See the module."""

    def __init__(
        self,
        server: Server,
        *,
        connection_class: type[EngineIOConnection] = EngineIOConnection,
        transports: tuple[str, ...] = ("polling", "websocket"),
        harsh: bool = False,
        strict: bool = True,
        limits: Limits = LIMITS,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.server = server
        self.limits = limits
        self.connection = connection_class(URL, transports=transports, limits=limits, timeouts=timeouts or Timeouts())
        self.harsh = harsh
        self.calming = False
        self.strict = strict
        self.now = 0.0
        self.requests: dict[int, Request] = {}
        self.sockets: dict[int, Socket] = {}
        self.accepted: list[str | bytes] = []
        self.received = 0
        self.delivered = 0
        self.opened = False
        self.paused = False
        self.held = False
        self.closed: Closed | None = None
        self.timer_due_since: float | None = None
        self.idle_timers = 0
        self.reasons: list[str] = []
        self.repairs = 0
        self.deaf_answers: deque[bool] = deque(maxlen=3)

    # --- Starting.

    def connect(self) -> None:
        """Open the session: the handshake travels without detours."""
        self.process(Connect())
        for _ in range(20):
            if self.opened:
                return
            self.do(next(action for action in self.enabled() if action[0] != "clock"))
        raise Broken("the session does not open")

    # --- What could happen.

    def enabled(self) -> list[Action]:
        """Everything that the network and the clocks could do next."""
        actions: list[Action] = []
        for request in self.requests.values():
            if request.stage in ("leaving", "arriving"):
                actions.append(("request", request.number))
            elif request.stage == "returning":
                actions.append(("answer", request.number))
        for socket in self.sockets.values():
            if socket.up:
                actions.append(("up", socket.number))
            if socket.down:
                actions.append(("down", socket.number))
        due = [name for name, time in self.server.timers.items() if time <= self.now]
        actions += [("server timer", name) for name in due]
        if self.timer_due:
            actions.append(("timer",))
        if self.can_wait_until(self.next_instant):
            actions.append(("clock",))
        return actions

    @property
    def timer_due(self) -> bool:
        return self.connection.deadline <= self.now

    @property
    def next_instant(self) -> float:
        """When the next timer of either side is due, overdue ones apart."""
        times = [time for time in (*self.server.timers.values(), self.connection.deadline) if time > self.now]
        return min(times, default=math.inf)

    def can_wait_until(self, time: float) -> bool:
        """Whether the network and the timers may stay idle until then."""
        if math.isinf(time) or any(due <= self.now for due in self.server.timers.values()):
            return False
        if self.harsh and not self.calming:
            return True
        waiting = [request.since for request in self.requests.values() if request.stage != "waiting"]
        waiting += [queue[0][0] for socket in self.sockets.values() for queue in (socket.up, socket.down) if queue]
        waiting += [self.connection.deadline] if self.timer_due else []
        return all(time - since <= LATENESS for since in waiting)

    def faults(self) -> list[Action]:
        """Everything that could go wrong next."""
        actions: list[Action] = []
        for socket in self.sockets.values():
            if socket.dead or socket.given_up:
                continue
            if any(word == "open" for _, word, _ in socket.up):
                actions.append((Fault.REFUSE, socket.number))
            actions.append((Fault.BREAK, socket.number))
            if socket.upgrade and not socket.swallows and not socket.opened:
                actions.append((Fault.SWALLOW, socket.number))
            if socket.opened and self.connection.upgrade_state in (UpgradeState.PROBING, UpgradeState.PAUSING):
                actions += [(Fault.SILLY, socket.number, index) for index in range(len(SILLY_FRAMES))]
        for request in self.requests.values():
            if not request.abandoned:
                actions.append((Fault.LOSE_POST if request.body is not None else Fault.LOSE_GET, request.number))
        return actions

    def do(self, action: Action) -> None:
        """Make one thing happen, and check everything that can be checked."""
        word, *rest = action
        match word, rest:
            case "request", [int(number)]:
                self.request_arrives(self.requests[number])
            case "answer", [int(number)]:
                self.answer_arrives(self.requests.pop(number))
            case "up", [int(number)]:
                self.frame_goes_up(self.sockets[number])
            case "down", [int(number)]:
                self.frame_comes_down(self.sockets[number])
            case "server timer", [str(name)]:
                if name == "pong" and self.harsh:
                    self.reasons.append("the server missed a pong")
                self.server.fire(name)
                self.collect()
            case "timer", []:
                self.time_passes()
            case "clock", []:
                self.wait_until(self.next_instant)
            case "send", messages:
                self.send(tuple(str(message) for message in messages))
            case "server sends", [str(text)]:
                self.server_sends(text)
            case "close", farewell:
                self.close(tuple(str(message) for message in farewell))
            case "server closes", []:
                self.server_closes()
            case Fault() as fault, [int(number), *extra]:
                self.fail(fault, number, *(int(index) for index in extra))
            case _:
                raise AssertionError(action)

    # --- The applications.

    def send(self, messages: tuple[str | bytes, ...]) -> bool:
        """Let the client's application send; True if the messages were accepted, False if they were refused, as they should be."""
        state, room = self.connection.state, self.limits.max_buffered_packets - self.connection.buffered_packets
        outputs = self.call(SendMessages(messages), {Cause.SEND_BUFFER_FULL} if len(messages) > room or self.bytes_waiting(messages) else set())
        if outputs is None:
            return False
        demand(state is SessionState.OPEN, f"messages were accepted while {state}")
        self.accepted += messages
        self.perform(outputs)
        return True

    def bytes_waiting(self, messages: tuple[str | bytes, ...]) -> bool:
        """Whether these messages would overfill the buffer, by the cost that they have at most."""
        return (
            self.connection.buffered + sum(2 + 4 * len(data if isinstance(data, bytes) else data.encode()) for data in messages)
            > self.limits.max_buffered
        )

    def close(self, farewell: tuple[str | bytes, ...] = ()) -> None:
        """Let the client's application leave."""
        open_before = self.connection.state is SessionState.OPEN
        outputs = self.call(Close(farewell), set())
        if outputs is not None:
            self.reasons.append("the client left")
            self.accepted += farewell if open_before else ()
            self.perform(outputs)

    def call(self, wish: SendMessages | Close, refusals: set[Cause]) -> list[Command | Event] | None:
        """Ask for something that may be refused, for these reasons, its size or the state; None if it was, and then nothing may have changed."""
        before = fingerprint(self.connection)
        messages = wish.messages if isinstance(wish, SendMessages) else wish.farewell
        if any(self.cost(message) > self.server.max_payload for message in messages):
            refusals = refusals | {Cause.PAYLOAD_TOO_LARGE}
        if self.connection.state is not SessionState.OPEN:
            refusals = {Cause.NOT_OPEN}
        try:
            return self.connection.process(wish, self.now)
        except LocalProtocolError as error:
            demand(fingerprint(self.connection) == before, "a refused call changed something")
            demand(error.cause in refusals, f"{wish!r} was refused: {error}")
            return None

    def cost(self, data: str | bytes) -> int:
        """Bytes of a message on the wire it would take now."""
        if isinstance(data, str):
            return 1 + len(data.encode())
        return len(data) if self.connection.transport is Transport.WEBSOCKET else 1 + 4 * ((len(data) + 2) // 3)

    def server_sends(self, data: str | bytes) -> None:
        """Let the server's application send."""
        if not (self.server.gone or self.server.closing):
            self.server.send(data)
            self.collect()

    def server_closes(self) -> None:
        """Let the server's application end the session."""
        if not self.server.gone:
            self.reasons.append("the server left")
            self.server.close()
            self.collect()

    # --- The network.

    def request_arrives(self, request: Request) -> None:
        request.since = self.now
        if request.abandoned and request.stage == "leaving":
            del self.requests[request.number]
        elif request.body is None:
            request.stage = "waiting"
            self.server.open(request.number) if request.handshake else self.server.get(request.number)
        elif request.stage == "leaving":
            request.stage = "arriving"
            self.server.post_begins(request.number)
        else:
            request.stage = "waiting"
            self.server.post_ends(request.number, request.body)
        self.collect()

    def answer_arrives(self, request: Request) -> None:
        if request.body is None:
            self.deaf_answers.append(request.deaf)
            noops = isinstance(request.answer, Respond) and set(request.answer.body.split("\x1e")) == {"6"}
            self.held = self.held or (noops and self.connection.upgrade_state in (UpgradeState.CONNECTING, UpgradeState.PROBING))
        if isinstance(request.answer, Respond):
            if request.answer.status != 200:
                self.reasons.append(f"the server answered {request.answer.status}")
            body = request.answer.body.encode()
            self.process(ResponseReceived(request.number, request.answer.status, (("content-type", "text/plain"),), body))
        else:
            self.process(RequestFailed(request.number, Cause.CONNECTION_LOST, "the connection broke"))

    def frame_goes_up(self, socket: Socket) -> None:
        _, word, data = socket.up.popleft()
        if word == "open":
            self.server.socket_opens(socket.number)
        elif word == "close":
            self.server.socket_closes(socket.number)
        elif not socket.swallows:
            self.server.frame(socket.number, data)
        self.collect()

    def frame_comes_down(self, socket: Socket) -> None:
        _, word, data = socket.down.popleft()
        if word == "accepted":
            socket.opened = not socket.given_up
            self.process(WebSocketOpened(socket.number))
        elif word == "frame":
            if data == "3probe" and socket.upgrade and not socket.given_up:
                self.paused = True
            self.process(FrameReceived(socket.number, data))
        else:
            socket.dead = True
            if socket.switched or not socket.upgrade:
                self.reasons.append("the WebSocket was closed")
            if word == "refused":
                self.process(WebSocketRefused(socket.number, 502, (), b"Bad Gateway"))
            elif word == "closed":
                self.process(WebSocketClosed(socket.number, None))
            else:
                self.process(WebSocketFailed(socket.number, Cause.CONNECTION_LOST, "the connection broke"))

    def fail(self, fault: Fault, number: int, index: int = 0) -> None:
        """Let something go wrong."""
        if fault in (Fault.LOSE_GET, Fault.LOSE_POST):
            self.reasons.append(fault)
            request = self.requests.pop(number)
            if request.body is None and request.stage == "waiting":
                self.server.get_abandoned(number)
                self.collect()
            self.process(RequestFailed(number, Cause.CONNECTION_LOST, "the connection broke"))
            return
        socket = self.sockets[number]
        if fault is Fault.SWALLOW:
            socket.swallows = True
            if self.repairs:
                self.reasons.append("the repair was swallowed")
        elif fault is Fault.SILLY:
            if socket.switched:
                self.reasons.append(fault)
            self.process(FrameReceived(number, SILLY_FRAMES[index]))
        else:
            if socket.switched or not socket.upgrade:
                self.reasons.append(fault)
            if self.repairs:
                self.reasons.append("the repair failed")
            unopened = any(word == "open" for _, word, _ in socket.up)
            socket.up.clear()
            socket.down.clear()
            socket.down.append((self.now, "refused" if fault is Fault.REFUSE else "broken", ""))
            if not unopened:
                socket.up.append((self.now, "close", ""))

    def collect(self) -> None:
        """Take what the server said and put it on its way."""
        emissions, self.server.emissions = self.server.emissions, []
        for emission in emissions:
            self.carry(emission)
        while self.delivered < len(self.server.received):
            index = self.delivered
            demand(index < len(self.accepted), f"the server received {self.server.received[index]!r} twice")
            demand(
                self.server.received[index] == self.accepted[index],
                f"the server received {self.server.received[index]!r} where {self.accepted[index]!r} was due",
            )
            self.delivered += 1

    def carry(self, emission: Emission) -> None:
        match emission:
            case Respond(request=number) | Destroy(request=number):
                if (request := self.requests.get(number)) is not None:
                    request.stage, request.answer, request.since = "returning", emission, self.now
                    request.deaf = self.server.deaf_to_polls and request.body is None
            case Accept(socket=number):
                self.put_down(number, "accepted")
            case Refuse(socket=number):
                self.put_down(number, "refused")
            case Frame(socket=number, data=data):
                if not self.sockets[number].swallows:
                    self.put_down(number, "frame", data)
            case Hangup(socket=number):
                self.put_down(number, "closed")

    def put_down(self, number: int, word: str, data: str | bytes = "") -> None:
        socket = self.sockets[number]
        if not socket.dead and not any(queued in ("broken", "closed", "refused") for _, queued, _ in socket.down):
            socket.down.append((self.now, word, data))

    # --- Time.

    def wait_until(self, time: float) -> None:
        """Let the clocks move."""
        self.now = self.server.now = time

    def time_passes(self) -> None:
        """The driver's timer fires."""
        self.process(TimePassed())
        self.idle_timers = self.idle_timers + 1 if self.timer_due else 0
        demand(self.idle_timers <= 2, f"the deadline {self.connection.deadline} stays in the past: the driver would spin")

    # --- The driver.

    def process(self, happening: Input) -> None:
        """Call the door as a driver would."""
        try:
            outputs = self.connection.process(happening, self.now)
        except Exception as error:
            raise Broken(f"process({happening!r}) raised {error!r}") from error
        self.perform(outputs)

    def perform(self, outputs: list[Command | Event]) -> None:
        """Do what the connection wants, as a driver would, and check that it may want it."""
        for output in outputs:
            demand(self.closed is None, f"{output!r} after Closed")
            match output:
                case Poll():
                    self.start(Request(output.request, None, "sid=" not in output.url, self.now))
                case Post():
                    self.check_post(output)
                    self.start(Request(output.request, output.body.decode(), False, self.now))
                case OpenWebSocket():
                    demand(output.socket not in self.sockets, "a socket number was used twice")
                    socket = self.sockets[output.socket] = Socket(output.socket, upgrade="sid=" in output.url)
                    socket.up.append((self.now, "open", ""))
                case SendFrame():
                    self.check_frame(self.sockets[output.socket], output.data)
                    self.sockets[output.socket].up.append((self.now, "frame", output.data))
                case CloseTransport(transport=Transport.WEBSOCKET):
                    socket = self.sockets[output.socket]
                    demand(not socket.given_up, "a socket was closed twice")
                    socket.given_up = True
                    socket.up.append((self.now, "close", ""))
                    self.paused = self.held = False
                case CloseTransport():
                    self.abandon_requests()
                case _:
                    self.happened(output)
        self.idle_timers = self.idle_timers if not outputs else 0
        buffered, packets = self.connection.buffered, self.connection.buffered_packets
        demand(buffered <= self.limits.max_buffered + 64, f"{buffered} bytes are waiting")
        demand(packets <= self.limits.max_buffered_packets + 3, f"{packets} packets are waiting")

    def start(self, request: Request) -> None:
        kind = "GET" if request.body is None else "POST"
        others = [other for other in self.requests.values() if not other.abandoned and (other.body is None) == (request.body is None)]
        if self.strict:
            demand(not others, f"a second {kind} was started")
            demand(not self.paused, f"a {kind} was started between 3probe and the end of the upgrade")
            demand(not (self.held and kind == "GET"), "a GET was started after an answer of noops alone")
            demand(not any(socket.switched or not socket.upgrade for socket in self.sockets.values()), f"a {kind} was started on a WebSocket session")
        demand(request.number not in self.requests, "a request number was used twice")
        self.requests[request.number] = request

    def check_post(self, post: Post) -> None:
        if not self.strict:
            return
        packets = decode(post.body.decode())
        demand(len(packets) <= self.limits.max_packets_per_post, f"{len(packets)} packets in one POST")
        demand(len(post.body) <= self.server.max_payload, f"{len(post.body)} bytes in one POST")
        heads = [packet[0] if isinstance(packet, str) else "b" for packet in packets]
        demand(set(heads) <= {"4", "b", "3", "1"}, f"a POST carries {packets!r}")
        demand("3" not in heads[1:], "a pong waits behind something")
        demand("1" not in heads[:-1], "something follows the close packet")

    def check_frame(self, socket: Socket, data: str | bytes) -> None:
        demand(not socket.given_up, f"{data!r} was sent on a socket that was closed")
        demand(socket.opened, f"{data!r} was sent on a socket that is not open")
        if not socket.upgrade or socket.switched:
            demand(data not in ("2probe", "5", "6"), f"{data!r} was sent after the upgrade")
            return
        steps: dict[tuple[str | bytes, ...], tuple[str, ...]] = {(): ("2probe", "6"), ("2probe",): ("5", "6")}
        expected = steps.get(tuple(socket.said), ())
        demand(data in expected, f"{data!r} was sent on the upgrade's socket after {socket.said!r}")
        socket.said.append(data)
        if data == "5":
            in_flight = [request for request in self.requests.values() if not request.abandoned]
            demand(not in_flight or not self.strict, f"5 was sent while {len(in_flight)} request is in flight")
            socket.switched = True

    def abandon_requests(self) -> None:
        for request in list(self.requests.values()):
            request.abandoned = True
            if request.stage == "waiting" and request.body is None:
                self.server.get_abandoned(request.number)
                del self.requests[request.number]
        self.collect()

    def happened(self, event: object) -> None:
        match event:
            case Opened():
                demand(not self.opened, "Opened came twice")
                self.opened = True
            case MessageReceived(data=data):
                demand(self.received < len(self.server.sent), f"the client received {data!r} twice")
                demand(
                    data == self.server.sent[self.received],
                    f"the client received {data!r} where {self.server.sent[self.received]!r} was due",
                )
                self.received += 1
            case Upgraded() | UpgradeFailed():
                self.paused = self.held = False
            case PollingStuck():
                demand(any(self.deaf_answers), "PollingStuck, and the server was listening all the time")
                self.repairs += 1
                demand(self.repairs == 1, "a second repair")
            case Closed():
                self.closed = event
                self.check_closed(event)
            case _:
                pass

    def check_closed(self, closed: Closed) -> None:
        demand(self.connection.state is SessionState.CLOSED, "Closed, and the state is another")
        demand(math.isinf(self.connection.deadline), "Closed, and there is a deadline")
        if not self.harsh:
            demand(bool(self.reasons), f"the session ended without a reason: {closed!r}")
        demand(0 <= closed.unsent <= len(self.accepted), f"{closed.unsent} messages unsent of {len(self.accepted)}")
        # A server that ends the session while a POST arrives may drop it and say 200 all the same; over a WebSocket nothing is ever confirmed.
        server_ended = self.server.closing or any(reason.startswith("the server") for reason in self.reasons)
        if not server_ended and not any(socket.switched or not socket.upgrade for socket in self.sockets.values()):
            confirmed = len(self.accepted) - closed.unsent
            demand(self.delivered >= confirmed, f"{confirmed} messages count as sent, {self.delivered} have arrived")
        if closed.reason is CloseReason.CLIENT_CLOSE:
            demand("the client left" in self.reasons, "client close, and the client did not")

    # --- The end.

    def run_down(self) -> None:
        """Let everything calm down, then demand that nothing is missing."""
        self.calming = True
        started = self.now
        for _ in range(5000):
            actions = self.enabled()
            moving = [action for action in actions if action[0] != "clock"]
            if moving:
                self.do(moving[0])
            elif self.calm or self.now - started > PATIENCE or ("clock",) not in actions:
                break
            else:
                self.do(("clock",))
        else:
            raise Broken("the world does not calm down")
        if self.connection.state is SessionState.CLOSED:
            self.check_the_dead()
        elif not self.reasons:
            demand(self.delivered == len(self.accepted), f"the server never received {self.accepted[self.delivered :]!r}")
            demand(self.received == len(self.server.sent), f"the client never received {self.server.sent[self.received :]!r}")
        else:
            demand(not self.server.gone, f"the server is gone, the client is {self.connection.state}")

    @property
    def calm(self) -> bool:
        """Whether nothing is left to be done for either application."""
        if self.connection.state is SessionState.CLOSED:
            return True
        transient = (UpgradeState.CONNECTING, UpgradeState.PROBING, UpgradeState.PAUSING, UpgradeState.REPAIRING)
        done = self.delivered == len(self.accepted) and self.received == len(self.server.sent)
        return done and self.connection.upgrade_state not in transient and not self.reasons

    def check_the_dead(self) -> None:
        """A connection that left in an orderly way has left nothing behind."""
        demand(self.closed is not None, "the state is closed, and Closed never came")
        orderly = self.reasons == ["the client left"] and not self.harsh
        if orderly and self.closed is not None and self.closed.reason is CloseReason.CLIENT_CLOSE and self.closed.unsent == 0:
            demand(self.delivered == len(self.accepted), f"left in order, and {self.accepted[self.delivered :]!r} never arrived")


def make_world(
    kind: str,
    *,
    connection_class: type[EngineIOConnection] = EngineIOConnection,
    transports: tuple[str, ...] = ("polling", "websocket"),
    harsh: bool = False,
    strict: bool = True,
    limits: Limits = LIMITS,
    max_payload: int = MAX_PAYLOAD,
) -> World:
    """Build a world around a server, ``node`` or ``python``, that is connected and has just told the application so."""
    make = NodeServer if kind == "node" else PythonServer
    server = make(ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT, max_payload=max_payload)
    world = World(server, connection_class=connection_class, transports=transports, harsh=harsh, strict=strict, limits=limits)
    world.connect()
    return world
