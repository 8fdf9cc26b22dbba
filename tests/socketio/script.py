"""Scripts over the Socket.IO door, in the notation of `tests.core.script` and with its words for requests, frames and time.

    play(
        joined("/")
        >> Emit("sum", (1, 2), call=7)
        << post(5, '420["sum",1,2]')
        >> answer(4, "430[3]")
        << CallAnswered(7, [3])
        << poll(6)
    )

The difference to the scripts of the core: the machine is a `SocketIOConnection`, and an output that carries an error is told by its kind, its other
values and the error's cause (`refused`, `failed`, `ends`), because the prose of an error is compared where that prose is the subject. `play` returns
the connection, `tell` all that came out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.events import Closed, UpgradeFailed
from engineio_lite.exceptions import EngineIOError, LocalProtocolError
from engineio_lite.inputs import Connect, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.connection import Output, SocketIOConnection
from engineio_lite.socketio.events import CallFailed, EventReceived, NamespaceConnected, NamespaceRefused, PacketIgnored
from engineio_lite.socketio.inputs import Input, JoinNamespace
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.state import CloseReason, NamespaceState, SessionState, Transport
from tests.core.script import URL, Clock, answer, arrives, frame, ok, open_packet, opened, poll, post, websocket, without_token

_EVIDENCE = frozenset({"error", "silence", "last_received", "last_sent"})


@dataclass(frozen=True)
class Like:
    """An output of this kind, with these values beside its error, and an error of this cause (None: without one)."""

    kind: type[msgspec.Struct]
    values: tuple[object, ...]
    cause: Cause | None

    def matches(self, output: object) -> bool:
        """Compare all but the prose of the error."""
        if type(output) is not self.kind:
            return False
        values = tuple(getattr(output, name) for name in self.kind.__struct_fields__ if name not in _EVIDENCE)
        error = getattr(output, "error", None)
        return values == self.values and (error.cause if error is not None else None) == self.cause


@dataclass(frozen=True)
class Ignored:
    """A packet that was left out, for a reason with these words in it."""

    packet: Packet
    why: str

    def matches(self, output: object) -> bool:
        """Compare the packet, and look for the words."""
        return isinstance(output, PacketIgnored) and output.packet == self.packet and self.why in output.why


@dataclass(frozen=True)
class Refusal:
    """The call raises a `LocalProtocolError` with this cause, and nothing comes out."""

    cause: Cause


@dataclass(frozen=True)
class View:
    """Not an output: what the connection shows of itself must satisfy this."""

    says: str
    holds: Callable[[SocketIOConnection], bool]


Expected: TypeAlias = Output | Like | Ignored | Refusal | View
Step: TypeAlias = Clock | Input


@dataclass
class Story:
    """What was told so far, for the failure message, and what came out."""

    lines: list[str] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)


class Script:
    """A connection and the story it is to live through; see the module."""

    def __init__(self, connection: SocketIOConnection, steps: Sequence[tuple[Step, tuple[Expected, ...]]] = ()) -> None:
        self.connection = connection
        self.steps = tuple(steps)

    def __rshift__(self, step: Step) -> Script:
        return Script(self.connection, (*self.steps, (step, ())))

    def __lshift__(self, expected: Expected) -> Script:
        step, others = self.steps[-1]
        return Script(self.connection, (*self.steps[:-1], (step, (*others, expected))))

    def __add__(self, others: Sequence[Expected]) -> Script:
        script = self
        for expected in others:
            script = script << expected
        return script


def play(script: Script) -> SocketIOConnection:
    """Run a script on its connection and hand the connection back; the failure of a step tells the whole story."""
    tell(script)
    return script.connection


def tell(script: Script) -> list[Output]:
    """Run a script and return all that came out."""
    now, story = 0.0, Story()
    for step, expected in script.steps:
        if isinstance(step, Clock):
            now = step.time
            continue
        story.lines.append(f"{now:9.3f} >> {step!r}")
        outputs: list[Output | Refusal]
        try:
            outputs = list(script.connection.process(step, now))
        except LocalProtocolError as error:
            outputs = [Refusal(error.cause)]
        wanted = [item for item in expected if not isinstance(item, View)]
        if len(outputs) != len(wanted) or not all(map(_alike, wanted, outputs)):
            due = [f"      - due << {want!r}" for want in wanted]
            got = [f"      + got << {output!r}" for output in outputs]
            raise AssertionError("\n".join(["script and connection part:", *story.lines, *due, *got]))
        story.lines += [f"          << {output!r}" for output in outputs]
        story.outputs += [output for output in outputs if not isinstance(output, Refusal)]
        for view in expected:
            if isinstance(view, View) and not view.holds(script.connection):
                raise AssertionError("\n".join(["the connection shows something else:", *story.lines, f"          !! due: {view.says}"]))
    return story.outputs


def _alike(want: Expected, got: object) -> bool:
    return want.matches(got) if isinstance(want, Like | Ignored) else want == without_token(got)


# --- The words of a script: what the application sees.


def granted(namespace: str = "/", sid: str = "main", pid: str | None = None) -> NamespaceConnected:
    """The namespace is ours."""
    return NamespaceConnected(namespace, sid, pid)


def event(name: str | float, *args: object, namespace: str = "/", ack_id: int | None = None) -> EventReceived:
    """An event for the application."""
    return EventReceived(namespace, name, list(args), ack_id)


def refused(namespace: str = "/", cause: Cause = Cause.NAMESPACE_REFUSED) -> Like:
    """`NamespaceRefused` with an error of this cause."""
    return Like(NamespaceRefused, (namespace,), cause)


def failed(call: int, cause: Cause) -> Like:
    """`CallFailed` with an error of this cause."""
    return Like(CallFailed, (call,), cause)


def ends(reason: CloseReason, cause: Cause | None = None, *, unsent: int = 0) -> Like:
    """`Closed`, for this reason, with an error of this cause (None: without an error)."""
    return Like(Closed, (reason, unsent), cause)


def upgrade_fails(cause: Cause) -> Like:
    """`UpgradeFailed` with an error of this cause."""
    return Like(UpgradeFailed, (), cause)


def ignored(type: PacketType, data: object = msgspec.UNSET, namespace: str = "/", id: int | None = None, *, why: str = "") -> Ignored:
    """`PacketIgnored` for this packet."""
    return Ignored(Packet(type, data, namespace, id), why)


def refuses(cause: Cause) -> Refusal:
    """The call is refused."""
    return Refusal(cause)


def shows(session: SessionState | None = None, *, namespace: str = "/", state: NamespaceState | None = None, deadline: float | None = None) -> View:
    """Look at the connection: the session's state, that of one namespace, the deadline; what is None is not looked at."""

    def holds(connection: SocketIOConnection) -> bool:
        seen = (connection.state, connection.namespace_state(namespace), connection.deadline)
        return all(due is None or is_ == due for due, is_ in zip((session, state, deadline), seen, strict=True))

    return View(f"session {session}, namespace {namespace} {state}, deadline {deadline}", holds)


def error_of(outputs: Sequence[object]) -> EngineIOError:
    """Take the last error out of the events that carry one."""
    errors = [output.error for output in outputs if isinstance(output, Closed | UpgradeFailed | NamespaceRefused | CallFailed)]
    assert errors
    assert errors[-1] is not None
    return errors[-1]


# --- The ways into the states. Namespaces get their own name as sid, without the slash; the main one is "main".


def sid_of(namespace: str) -> str:
    """The sid that the scripts' server gives out."""
    return namespace[1:] or "main"


def prefix_of(namespace: str) -> str:
    """How a namespace is written in front of what follows."""
    return "" if namespace == "/" else f"{namespace},"


def grant(namespace: str = "/") -> str:
    """The Engine.IO packet that grants a namespace."""
    return f'40{prefix_of(namespace)}{{"sid":"{sid_of(namespace)}"}}'


def connection(
    *, transports: tuple[str, ...] = ("polling", "websocket"), limits: Limits | None = None, timeouts: Timeouts | None = None
) -> SocketIOConnection:
    """Make a connection that has not started."""
    return SocketIOConnection(URL, transports=transports, limits=limits or Limits(), timeouts=timeouts or Timeouts())


def fresh(*, limits: Limits | None = None, timeouts: Timeouts | None = None, transports: tuple[str, ...] = ("polling", "websocket")) -> Script:
    """A connection that has not started and wants no namespace yet."""
    return Script(connection(limits=limits, timeouts=timeouts, transports=transports))


def wanting(*namespaces: str, limits: Limits | None = None, timeouts: Timeouts | None = None) -> Script:
    """The handshake GET, number 1, is out; these namespaces are wanted."""
    script = fresh(limits=limits, timeouts=timeouts)
    for namespace in namespaces:
        script = script >> JoinNamespace(namespace)
    return script >> Connect() << poll(1)


def asked(
    *namespaces: str,
    upgrades: tuple[str, ...] = (),
    max_payload: int | None = 1_000_000,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
) -> Script:
    """The session is open by polling, the CONNECTs are in POST 2, and poll 3 waits."""
    return (
        wanting(*namespaces, limits=limits, timeouts=timeouts)
        >> answer(1, open_packet(upgrades=upgrades, max_payload=max_payload))
        << opened(upgrades=upgrades, max_payload=max_payload)
        << post(2, *(f"40{prefix_of(namespace)}" for namespace in namespaces))
        << poll(3)
    )


def joined(
    *namespaces: str,
    upgrades: tuple[str, ...] = (),
    max_payload: int | None = 1_000_000,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
) -> Script:
    """These namespaces are ours, by polling; poll 4 waits, and the next request is number 5. With an upgrade, WebSocket 1 is being opened."""
    script = asked(*namespaces, upgrades=upgrades, max_payload=max_payload, limits=limits, timeouts=timeouts) >> ok(2)
    script = script >> answer(3, *map(grant, namespaces))
    script += [granted(namespace, sid_of(namespace)) for namespace in namespaces]
    script = script << poll(4)
    return script << websocket(1) if upgrades else script


def pausing(*namespaces: str) -> Script:
    """These namespaces are ours, the upgrade's probe is answered, and poll 4 still waits: when it is back, `5` goes out."""
    return joined(*namespaces, upgrades=("websocket",)) >> WebSocketOpened(1) << frame("2probe") >> arrives("3probe")


def live(*namespaces: str, limits: Limits | None = None, timeouts: Timeouts | None = None) -> Script:
    """These namespaces are ours, on a WebSocket from the start."""
    script = fresh(limits=limits, timeouts=timeouts, transports=("websocket",))
    for namespace in namespaces:
        script = script >> JoinNamespace(namespace)
    script = script >> Connect() << websocket(1, upgrade=False) >> WebSocketOpened(1)
    script = script >> arrives(open_packet(upgrades=())) << opened(Transport.WEBSOCKET, upgrades=())
    script += [frame(f"40{prefix_of(namespace)}") for namespace in namespaces]
    for namespace in namespaces:
        script = script >> arrives(grant(namespace)) << granted(namespace, sid_of(namespace))
    return script
