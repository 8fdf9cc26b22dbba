"""A machine among anything: an application that wishes at random, a server that says at random, and the driver's bookkeeping between them.

What happens is a list of `Step`s, drawn by hypothesis (`STEPS`). The driver's part is honest, because a driver is ours: it answers requests that were
made, reports frames of sockets that are open, and calls in when the deadline is reached. The server's part is not: it says Socket.IO packets that are
right, nearly right, and garbage, in any order, grants what nobody asked for and acknowledges what nobody called.

`World.play` checks after every step what must hold whatever happened; the engine under the machine is recorded, so that the wire can be checked too:

- nothing but `LocalProtocolError` is raised, only for wishes, and then nothing has changed;
- `Closed` comes once and last; nothing comes out after it, and no deadline is left;
- each accepted call gets one `CallAnswered` or `CallFailed`; calls that were refused get none;
- events come only between `NamespaceConnected` and what ends that, and those of one namespace in the order of the wire;
- no event is lost: it comes out, is ignored visibly, or waits for the answer to CONNECT, until that is a refusal or an end;
- a namespace that has not answered hears nothing but one CONNECT.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st

from engineio_lite.capture import Record, RecordedConnection, Recorder
from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, MessageReceived
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    FrameReceived,
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
from engineio_lite.socketio.connection import Output, SocketIOConnection
from engineio_lite.socketio.events import CallAnswered, CallFailed, EventReceived, NamespaceConnected, NamespaceLeft, NamespaceRefused, PacketIgnored
from engineio_lite.socketio.inputs import Acknowledge, Emit, Input, JoinNamespace, LeaveNamespace
from engineio_lite.socketio.packet import Decoder, Packet, PacketType
from engineio_lite.state import NamespaceState, SessionState, Transport
from tests.core.snapshot import fingerprint

SID = "Kq3vPz7LmXw2Rt9BAAAD"
OPEN = f'0{{"sid":"{SID}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}}'
TEXT = (("content-type", "text/plain; charset=UTF-8"),)
NAMESPACES = ("/", "/a", "/b")
LIMITS = Limits(max_early_events=3, max_pending_calls=4, max_namespaces=3, max_depth=6)
TIMEOUTS = Timeouts(namespace=7.0, post=30.0)

Wish = JoinNamespace | LeaveNamespace | Emit | Acknowledge | Close | SendMessages | Connect
WISHES = (JoinNamespace, LeaveNamespace, Emit, Acknowledge, Close, SendMessages, Connect)


@dataclass(frozen=True)
class Say:
    """The server says these messages together: in one poll body, or as frames one behind the other.

    `#` stands for the next number of the world, `@` for the acknowledgement id of the last call in its namespace.
    """

    messages: tuple[str | bytes, ...]


@dataclass(frozen=True)
class Control:
    """The server says one Engine.IO packet that is no message."""

    packet: str


@dataclass(frozen=True)
class Answer:
    """The POST in flight is answered."""

    status: int = 200


@dataclass(frozen=True)
class Break:
    """A request in flight breaks; or the socket, if that is what the session travels on."""


@dataclass(frozen=True)
class Socket:
    """What becomes of the WebSocket that is being opened or probed: "opened", "refused", "failed", "closed", or a frame on it."""

    what: str


@dataclass(frozen=True)
class Wait:
    """Time passes; the driver calls in where the deadline is reached."""

    seconds: float


Step = Say | Control | Answer | Break | Socket | Wait | Wish


# --- What a server may say.


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


_namespaces = st.sampled_from(("/", "/", "/", "/a", "/a", "/b"))
_numbers = st.integers(0, 4)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text('ab"\\é\u2028', max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)

_grants = st.builds(lambda name: (f'0{_prefix(name)}{{"sid":"{SID[::-1]}"}}',), _namespaces)
_refusals = st.builds(lambda name: (f'4{_prefix(name)}{{"message":"no"}}',), st.sampled_from(("/b", "/b", "/a", "/")))
_goodbyes = st.builds(lambda name: (f"1{_prefix(name)}",), st.sampled_from(("/a", "/b", "/b", "/")))
_events = st.builds(lambda name, id: (f'2{_prefix(name)}{id}["n",#]',), _namespaces, st.just("") | _numbers)
_binary_events = st.builds(
    lambda name, data: (f'51-{_prefix(name)}["n",#,{{"_placeholder":true,"num":0}}]', data), _namespaces, st.binary(max_size=4)
)
_acks = st.builds(lambda name, id: (f"3{_prefix(name)}{id}[1]",), _namespaces, st.just("@") | st.just("@") | _numbers)
_nearly = st.builds(
    lambda digit, count, name, id, rest: (f"{digit}{count}{name}{id}{rest}",),
    st.sampled_from("01234567"),
    st.sampled_from(["", "", "1-", "2-", "0-", "99-", "-"]),
    st.sampled_from(["", "", "/a,", "/a", "/c,", ","]),
    st.sampled_from(["", "", "0", "1", "007", "9007199254740993"]),
    st.sampled_from(
        ["", "{}", "[]", '["e"]', '["connect"]', '{"sid":"s"}', '"no"', '["e",{"_placeholder":true,"num":0}]', "[NaN]", "nonsense", "[[[[[[[1]]]]]]]"]
    ),
)
_garbage = st.builds(lambda data: (data,), st.text(max_size=6) | st.binary(max_size=6))

_likely = st.one_of(_grants, _events, _events, _acks, _binary_events)
_unlikely = st.one_of(_refusals, _goodbyes)

# --- What an application may wish, right or wrong.

_arguments = st.lists(_json | st.binary(max_size=3), max_size=2).map(tuple)
_calls = st.builds(Emit, st.just("call"), _arguments, _namespaces, st.integers(0, 50), st.none() | st.sampled_from([0.5, 3.0, 20.0, 86400.0]))
_wishes: st.SearchStrategy[Wish] = st.one_of(
    st.builds(
        JoinNamespace,
        st.sampled_from(("/b", "/b", "/a", "/a", "/", "bad")),
        st.none() | st.dictionaries(st.sampled_from(["token", "user"]), _json, max_size=2),
    ),
    st.builds(LeaveNamespace, st.sampled_from(("/a", "/a", "/b", "/b", "/"))),
    st.builds(Emit, st.sampled_from(["e", "f", "connect"]), _arguments, _namespaces),
    _calls,
    _calls,
    _calls,
    st.builds(Emit, st.just("bad"), st.just((object(),)), _namespaces, st.integers(0, 5)),
    st.builds(Acknowledge, st.integers(-1, 3), _arguments, _namespaces),
)


def _says(messages: st.SearchStrategy[tuple[str | bytes, ...]]) -> st.SearchStrategy[Step]:
    return st.lists(messages, min_size=1, max_size=4).map(lambda parts: Say(tuple(message for part in parts for message in part)))


_driver: st.SearchStrategy[Step] = st.one_of(
    st.just(Answer()),
    st.just(Answer()),
    st.sampled_from(["opened", "3probe", "opened", "3probe", "refused", "failed", "closed", "4early"]).map(Socket),
    st.sampled_from([0.0, 0.01, 1.0, 3.0, 8.0]).map(Wait),
    st.sampled_from(["2", "6", "6", "3"]).map(Control),
)

_endings: st.SearchStrategy[Step] = st.one_of(
    st.just(Break()), st.just(Close()), st.just(Control("1")), st.just(Wait(50.0)), st.just(Answer(500)), _says(_garbage), _says(_nearly)
)


# What belongs together and would seldom be drawn so.
_phrases: st.SearchStrategy[list[Step]] = st.sampled_from(
    [
        [JoinNamespace("/b"), Answer(), Say(('2/b,["n",#]', '2/b,["n",#]')), Say(('0/b,{"sid":"b"}', '2/b,["n",#]'))],
        [JoinNamespace("/b"), Say(('2/b,["n",#]', '4/b,"no"')), Answer()],
        [JoinNamespace("/b"), LeaveNamespace("/b"), JoinNamespace("/b"), Say(('0/b,{"sid":"b"}', '2/b,["n",#]')), Say(('0/b,{"sid":"c"}',))],
        [JoinNamespace("/b"), LeaveNamespace("/b"), Wait(8.0), JoinNamespace("/b"), Say(('4/b,"no"',)), Say(('0/b,{"sid":"c"}',))],
        [Emit("call", (), "/", 60, 3.0), Answer(), Say(("3@[]",)), Wait(3.0)],
        [Emit("call", (b"x",), "/a", 61, 3.0), Wait(2.0), Emit("call", (), "/a", 62), Say(("3/a,@[]",)), Wait(1.0)],
        [Say(('51-["n",#,{"_placeholder":true,"num":0}]',)), Control("2"), Answer(), Say((b"x", '2["n",#]'))],
        [Socket("opened"), Socket("3probe"), Emit("e"), Answer(), Control("6"), Say(('2["n",#]',))],
        [Socket("opened"), Socket("3probe"), Answer(), Say(('51-["n",#,{"_placeholder":true,"num":0}]',)), Say((b"x",))],
        [LeaveNamespace("/a"), JoinNamespace("/a"), Answer(), Say(('2/a,["n",#]', '0/a,{"sid":"again"}', '2/a,["n",#]'))],
    ]
)


def _mixed(steps: st.SearchStrategy[Step], size: int) -> st.SearchStrategy[list[Step]]:
    parts = st.lists(st.one_of(_phrases, steps.map(lambda step: [step]), steps.map(lambda step: [step])), min_size=size // 3, max_size=size)
    return parts.map(lambda parts: [step for part in parts for step in part])


_usual = st.one_of(_wishes, _wishes, _says(_likely), _says(_likely), _says(_likely), _says(_unlikely), _driver, _driver)
_start: list[Step] = [JoinNamespace("/a"), Say(('0{"sid":"s"}', '0/a,{"sid":"a"}')), Answer()]

STEPS: st.SearchStrategy[list[Step]] = _mixed(_usual, 30).map(lambda steps: _start + steps)
"""Two namespaces are joined, and then mostly what is usual; a session of it tends to live."""

ROUGH_STEPS: st.SearchStrategy[list[Step]] = st.builds(
    list.__add__, st.sampled_from([[], _start]), _mixed(st.one_of(_usual, _usual, _endings, st.just(Connect()), st.just(SendMessages(("raw",)))), 30)
)
"""Anything at all, ends included."""

TRANSPORTS = st.sampled_from([("polling",), ("websocket",), ("polling", "websocket")])


# --- The world.


def make_engine(transports: tuple[str, ...]) -> EngineIOConnection:
    """Make the engine that a world is built on."""
    return EngineIOConnection("http://127.0.0.1:3000", transports=transports, limits=LIMITS, timeouts=TIMEOUTS, default_path="/socket.io/")


@dataclass
class World:
    """One machine and all that is known of it from outside."""

    transports: tuple[str, ...] = ("polling", "websocket")
    recorder: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        engine = RecordedConnection(make_engine(self.transports), self.recorder)
        self.machine = SocketIOConnection(engine=engine, limits=LIMITS, timeouts=TIMEOUTS)
        self.now = 0.0
        self.outputs: list[Output] = []
        self.refusals = 0
        self.accepted: Counter[int] = Counter()
        self.said = 0
        self._get: int | None = None
        self._post: int | None = None
        self._socket: int | None = None
        self._joined: set[str] = set()
        self._last_ack_id: dict[str, int] = {}
        self._ear = Decoder(limits=LIMITS)
        self._heard: dict[str, list[object]] = {}

    def play(self, steps: list[Step]) -> None:
        """Open the session, do all of this, break the line, and check what must hold along the way and at the end."""
        for step in (JoinNamespace(), Connect(), *([Socket("opened")] if self.transports == ("websocket",) else []), Control(OPEN), *steps):
            self._step(step)
        self._step(Break())
        if self.machine.state is not SessionState.CLOSED:
            self._step(Wait(1000.0))
        self._check_end()

    @property
    def closed(self) -> bool:
        """Whether `Closed` has come out."""
        return any(isinstance(output, Closed) for output in self.outputs)

    def _step(self, step: Step) -> None:
        match step:
            case Say(messages):
                self._say([self._numbered(message) for message in messages])
            case Control(packet):
                self._say([packet], control=True)
            case Answer(status) if self._post is not None:
                self._put(ResponseReceived(self._take_post(), status, TEXT, b"ok"))
            case Break():
                self._break()
            case Socket(what) if self._socket is not None:
                self._on_socket(what, self._socket)
            case Wait(seconds):
                self._wait(self.now + seconds)
            case Answer() | Socket():
                pass  # there is nothing that it could happen to
            case _:
                self._wish(step)

    def _numbered(self, message: str | bytes) -> str | bytes:
        if isinstance(message, bytes):
            return message
        while "#" in message:
            self.said += 1
            message = message.replace("#", str(self.said), 1)
        namespace = message[1 : message.find(",")] if message[1:2] == "/" else "/"
        return "4" + message.replace("@", str(self._last_ack_id.get(namespace, 0)))

    def _say(self, packets: list[str | bytes], *, control: bool = False) -> None:
        if self.machine.transport is Transport.WEBSOCKET or (self.machine.transport is None and self.transports == ("websocket",)):
            for packet in packets:
                if self._socket is not None:
                    self._put(FrameReceived(self._socket, packet))
        elif self._get is not None:
            body = "\x1e".join(packet if isinstance(packet, str) else "b" + b64encode(packet).decode() for packet in packets)
            request, self._get = self._get, None
            self._put(ResponseReceived(request, 200, TEXT, body.encode(errors="replace")))

    def _take_post(self) -> int:
        assert self._post is not None
        request, self._post = self._post, None
        return request

    def _break(self) -> None:
        if self.machine.transport is Transport.WEBSOCKET and self._socket is not None:
            socket, self._socket = self._socket, None
            self._put(WebSocketClosed(socket, 1006))
        elif self._get is not None:
            request, self._get = self._get, None
            self._put(RequestFailed(request, Cause.CONNECTION_LOST, "the line broke"))

    def _on_socket(self, what: str, socket: int) -> None:
        if what in ("refused", "failed", "closed"):
            self._socket = None
        match what:
            case "opened":
                self._put(WebSocketOpened(socket))
            case "refused":
                self._put(WebSocketRefused(socket, 400, (), b"no"))
            case "failed":
                self._put(WebSocketFailed(socket, Cause.CONNECT_FAILED, "no way"))
            case "closed":
                self._put(WebSocketClosed(socket, None))
            case frame:
                self._put(FrameReceived(socket, frame))

    def _wait(self, until: float) -> None:
        for _ in range(1000):
            if self.machine.deadline > until:
                break
            self.now = max(self.now, self.machine.deadline)
            self._put(TimePassed())
        else:
            raise AssertionError("the deadline does not move on")
        self.now = until

    def _wish(self, wish: Wish) -> None:
        if self.now < self.machine.deadline:
            self._put(TimePassed())  # nothing is due: this only clears what came out last, so that before and after can be compared
            before = fingerprint(self.machine)
        else:
            before = None
        try:
            self._put(wish)
        except LocalProtocolError:
            self.refusals += 1
            assert before is None or fingerprint(self.machine) == before
        else:
            if isinstance(wish, Emit) and wish.call is not None:
                assert self.accepted[wish.call] == self._results()[wish.call] or self.closed
                self.accepted[wish.call] += 1
                self._last_ack_id[wish.namespace] = self._last_ack_id.get(wish.namespace, -1) + 1
        self._check_calls()

    def _put(self, input: Input) -> None:
        already_closed, recorded = self.closed, len(self.recorder.records)
        try:
            outputs = self.machine.process(input, self.now)
        except LocalProtocolError:
            assert isinstance(input, WISHES)
            raise
        assert not (already_closed and outputs)
        for output in outputs:
            self._see(output)
        self.outputs += outputs
        for record in self.recorder.records[recorded:]:
            self._hear(record)
        self._check_nothing_lost(outputs)
        if not isinstance(input, Emit):
            self._check_calls()
        assert not math.isnan(self.machine.deadline)

    def _see(self, output: Output) -> None:
        match output:
            case Poll(request):
                assert self._get is None
                self._get = request
            case Post(request):
                assert self._post is None
                self._post = request
            case OpenWebSocket(socket):
                self._socket = socket
            case CloseTransport(Transport.POLLING):
                self._get = self._post = None
            case CloseTransport():
                self._socket = None
            case NamespaceConnected(namespace):
                assert namespace not in self._joined
                self._joined.add(namespace)
            case EventReceived(namespace):
                assert namespace in self._joined
            case NamespaceLeft(namespace) | NamespaceRefused(namespace):
                self._joined.discard(namespace)
            case Closed():
                assert not self._joined

    def _hear(self, record: Record) -> None:
        """Note the numbered events that the engine has handed up."""
        for output in record.outputs:
            if isinstance(output, MessageReceived) and not self.closed:
                packet = self._ear.feed(output.data)
                if packet is not None and packet.type is PacketType.EVENT and isinstance(packet.data, list) and packet.data[0] == "n":
                    self._heard.setdefault(packet.namespace, []).append(packet.data[1])

    def _check_nothing_lost(self, outputs: list[Output]) -> None:
        told: dict[str, list[object]] = {}
        for output in outputs:
            match output:
                case EventReceived(namespace, "n", args):
                    told.setdefault(namespace, []).append(args[0])
                case PacketIgnored(Packet(PacketType.EVENT, ["n", number, *_], namespace)):
                    told.setdefault(namespace, []).append(number)
                case NamespaceLeft(namespace) | NamespaceRefused(namespace):
                    self._heard.pop(namespace, None)
                case Closed():
                    self._heard.clear()
        for namespace, numbers in self._heard.items():
            self._heard[namespace] = waiting = [number for number in numbers if number not in told.get(namespace, ())]
            assert not waiting or self.machine.namespace_state(namespace) is NamespaceState.CONNECTING

    def _results(self) -> Counter[int]:
        return Counter(output.call for output in self.outputs if isinstance(output, CallAnswered | CallFailed))

    def _check_calls(self) -> None:
        results = self._results()
        assert all(results[call] <= self.accepted[call] for call in results)

    def _check_end(self) -> None:
        assert self.machine.state is SessionState.CLOSED
        assert self.machine.deadline == math.inf
        assert [isinstance(output, Closed) for output in self.outputs].count(True) == 1
        assert isinstance(self.outputs[-1], Closed)
        assert self._results() == self.accepted
        for namespace in NAMESPACES:
            events = [output for output in self.outputs if isinstance(output, EventReceived) and output.namespace == namespace and output.name == "n"]
            numbers = [number for number in (event.args[0] for event in events) if isinstance(number, int)]
            assert len(numbers) == len(events)
            assert numbers == sorted(set(numbers))
        self._check_wire()

    def _check_wire(self) -> None:
        """Read the record of the engine below: what a namespace was told, and when."""
        asked: set[str] = set()
        granted: set[str] = set()
        up, down = Decoder(limits=LIMITS), Decoder(limits=LIMITS)
        odd: set[str] = set()
        for record in self.recorder.records:
            sent = (
                record.input.messages if isinstance(record.input, SendMessages) else record.input.farewell if isinstance(record.input, Close) else ()
            )
            if record.input == SendMessages(("raw",)):
                continue  # the application talks past the machine
            for message in sent:
                packet = up.feed(message)
                if packet is None or packet.namespace in odd:
                    continue
                if packet.type is PacketType.CONNECT:
                    assert packet.namespace not in asked
                    asked.add(packet.namespace)
                    granted.discard(packet.namespace)
                else:
                    assert packet.namespace in granted
            for output in record.outputs:
                if not isinstance(output, MessageReceived):
                    continue
                try:
                    heard = down.feed(output.data)
                except DecodeError:
                    return  # the session ends here
                if heard is None:
                    continue
                if heard.type is PacketType.CONNECT and heard.namespace in asked:
                    asked.discard(heard.namespace)
                    granted.add(heard.namespace)
                elif heard.type is PacketType.CONNECT_ERROR:
                    asked.discard(heard.namespace)
                elif heard.type is PacketType.DISCONNECT and heard.namespace in asked:
                    odd.add(heard.namespace)  # no server says goodbye instead of an answer, so there is no rule for what follows
