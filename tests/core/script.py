"""Scripts over the door: a test is what goes in, what must come out, and when.

    play(
        polling()
        >> Connect()
        << poll(1)
        >> answer(1, OPEN)
        << opened()
        >> at(0.2)
        >> TimePassed()
        << poll(2)
    )

``>>`` puts an input in (or sets the clock, with `at`); ``<<`` says what comes out of it, in order and in full: an input without ``<<`` must be
answered with nothing. Outputs are compared as whole values. Where a value carries an error or the evidence around it, a `Pattern` stands for it
(`ends`, `upgrade_fails`, `refuses`); `shows` looks at the connection itself. A script is a value that can be continued, so the way into a state is
written once and used by many tests.

If script and connection part, the failure shows the whole story with the difference in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, Command, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Event, MessageReceived, Opened, UpgradeFailed
from engineio_lite.exceptions import EngineIOError, LocalProtocolError
from engineio_lite.handshake import Handshake, build_url
from engineio_lite.inputs import Connect, FrameReceived, Input, ResponseReceived, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState

URL = "http://127.0.0.1:3000/engine.io/"
SID = "lv_VI97HAXpY6yYWAAAB"
PLAIN_TEXT = (("content-type", "text/plain; charset=UTF-8"),)


@dataclass(frozen=True)
class Clock:
    """Not an input: what the clock says from here on."""

    time: float


@dataclass(frozen=True)
class Pattern:
    """What an output must look like, where comparing whole values would compare an error's prose."""

    kind: type[Closed] | type[UpgradeFailed]
    reason: CloseReason | None
    cause: Cause | None
    unsent: int
    any_cause: bool = False

    def matches(self, output: object) -> bool:
        """Compare kind, reason, cause and the number of unsent messages."""
        if not isinstance(output, self.kind):
            return False
        cause = output.error.cause if output.error is not None else None
        rest = (output.reason, output.unsent) if isinstance(output, Closed) else (None, 0)
        return rest == (self.reason, self.unsent) and (self.any_cause or cause == self.cause)


@dataclass(frozen=True)
class Refusal:
    """The call raises a `LocalProtocolError` with this cause, and nothing comes out."""

    cause: Cause


@dataclass(frozen=True)
class View:
    """What the connection shows of itself; None is not looked at."""

    state: SessionState | None = None
    upgrade: UpgradeState | None = None
    transport: Transport | None = None
    deadline: float | None = None
    buffered_packets: int | None = None

    def differs(self, connection: EngineIOConnection) -> str | None:
        """Name what is different, if something is."""
        seen = (connection.state, connection.upgrade_state, connection.transport, connection.deadline, connection.buffered_packets)
        names = ("state", "upgrade", "transport", "deadline", "buffered_packets")
        wanted = (self.state, self.upgrade, self.transport, self.deadline, self.buffered_packets)
        wrong = [f"{name} is {is_!s}, not {due!s}" for name, is_, due in zip(names, seen, wanted, strict=True) if due is not None and is_ != due]
        return ", ".join(wrong) or None


Expected: TypeAlias = Command | Event | Pattern | Refusal | View
Step: TypeAlias = Clock | Input


class Script:
    """A connection and the story it is to live through; see the module."""

    def __init__(self, connection: EngineIOConnection, steps: Sequence[tuple[Step, tuple[Expected, ...]]] = ()) -> None:
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


def play(script: Script) -> EngineIOConnection:
    """Run a script on its connection and hand the connection back; the failure of a step tells the whole story."""
    now = 0.0
    story: list[str] = []
    for step, expected in script.steps:
        if isinstance(step, Clock):
            now = step.time
            continue
        story.append(f"{now:9.3f} >> {step!r}")
        outputs: list[object]
        try:
            outputs = list(script.connection.process(step, now))
        except LocalProtocolError as error:
            outputs = [Refusal(error.cause)]
        wanted = [item for item in expected if not isinstance(item, View)]
        alike = len(outputs) == len(wanted) and all(_alike(want, got) for want, got in zip(wanted, outputs, strict=True))
        if not alike:
            raise AssertionError("\n".join(["script and connection part:", *story, *_difference(wanted, outputs)]))
        story += [f"          << {output!r}" for output in outputs]
        for view in expected:
            if isinstance(view, View) and (difference := view.differs(script.connection)) is not None:
                raise AssertionError("\n".join(["the connection shows something else:", *story, f"          !! {difference}"]))
    return script.connection


def _alike(want: Expected, got: object) -> bool:
    return want.matches(got) if isinstance(want, Pattern) else want == without_token(got)


def feed(connection: EngineIOConnection, happening: Input, now: float = 0.0) -> list[object]:
    """Put one input in and hand back what comes out, for what a script cannot say."""
    return [without_token(output) for output in connection.process(happening, now)]


def without_token(output: object) -> object:
    """Leave the cache buster ``t`` out of a command's URL: it is different each time and means nothing."""
    if not isinstance(output, Poll | Post | OpenWebSocket):
        return output
    parts = urlsplit(output.url)
    kept = [pair for pair in parts.query.split("&") if not pair.startswith("t=")]
    return msgspec.structs.replace(output, url=parts._replace(query="&".join(kept)).geturl())


def _difference(wanted: Sequence[Expected], outputs: Sequence[object]) -> list[str]:
    lines = []
    for index in range(max(len(wanted), len(outputs))):
        want = wanted[index] if index < len(wanted) else None
        got = outputs[index] if index < len(outputs) else None
        if want is not None and got is not None and _alike(want, got):
            lines.append(f"          << {got!r}")
            continue
        lines += [f"      - due << {want!r}"] if want is not None else []
        lines += [f"      + got << {got!r}"] if got is not None else []
    return lines


# --- The words of a script: inputs.


def at(time: float) -> Clock:
    """Set the clock."""
    return Clock(time)


def answer(request: int, *packets: str, status: int = 200) -> ResponseReceived:
    """Answer a request with these packets."""
    return ResponseReceived(request, status, PLAIN_TEXT, "\x1e".join(packets).encode())


def ok(request: int) -> ResponseReceived:
    """Answer a POST as servers do."""
    return ResponseReceived(request, 200, (("content-type", "text/html"),), b"ok")


def open_packet(*, upgrades: Sequence[str] = ("websocket",), max_payload: int | None = 1_000_000) -> str:
    """Write the server's open packet."""
    offer: dict[str, object] = {"sid": SID, "upgrades": list(upgrades), "pingInterval": 25000, "pingTimeout": 20000}
    if max_payload is not None:
        offer["maxPayload"] = max_payload
    return "0" + json.dumps(offer)


OPEN = open_packet()
NO_UPGRADE = open_packet(upgrades=())


# --- The words of a script: outputs.


def handshake(*, upgrades: tuple[str, ...] = ("websocket",), max_payload: int | None = 1_000_000) -> Handshake:
    """The same open packet, parsed."""
    return Handshake(sid=SID, upgrades=upgrades, ping_interval=25.0, ping_timeout=20.0, max_payload=max_payload)


def opened(transport: Transport = Transport.POLLING, *, upgrades: tuple[str, ...] = ("websocket",), max_payload: int | None = 1_000_000) -> Opened:
    """The session is open."""
    return Opened(handshake(upgrades=upgrades, max_payload=max_payload), transport)


def poll(request: int) -> Poll:
    """A GET: the first one asks for a session, the others belong to it."""
    return Poll(request, build_url(URL, Transport.POLLING, sid=None if request == 1 else SID))


def post(request: int, *packets: str) -> Post:
    """A POST of these packets."""
    return Post(request, build_url(URL, Transport.POLLING, sid=SID), "\x1e".join(packets).encode())


def websocket(socket: int = 1, *, upgrade: bool = True) -> OpenWebSocket:
    """A WebSocket, for an upgrade or from the start."""
    return OpenWebSocket(socket, build_url(URL, Transport.WEBSOCKET, sid=SID if upgrade else None))


def frame(data: str | bytes, socket: int = 1) -> SendFrame:
    """A frame that is sent."""
    return SendFrame(socket, data)


def arrives(data: str | bytes, socket: int = 1) -> FrameReceived:
    """A frame that arrives."""
    return FrameReceived(socket, data)


def hang_up(socket: int = 1) -> CloseTransport:
    """The WebSocket is given up."""
    return CloseTransport(Transport.WEBSOCKET, socket)


def drop_requests() -> CloseTransport:
    """The requests in flight are given up."""
    return CloseTransport(Transport.POLLING)


def gets(data: str | bytes) -> MessageReceived:
    """A message for the application."""
    return MessageReceived(data)


def ends(reason: CloseReason, cause: Cause | None = None, *, unsent: int = 0) -> Pattern:
    """`Closed`, for this reason, with an error of this cause (None: without an error)."""
    return Pattern(Closed, reason, cause, unsent)


def ends_somehow(reason: CloseReason, *, unsent: int = 0) -> Pattern:
    """`Closed`, for this reason, whatever the error."""
    return Pattern(Closed, reason, None, unsent, any_cause=True)


def upgrade_fails(cause: Cause | None = None) -> Pattern:
    """`UpgradeFailed`; without a cause any will do."""
    return Pattern(UpgradeFailed, None, cause, 0, any_cause=cause is None)


def refuses(cause: Cause) -> Refusal:
    """The call is refused."""
    return Refusal(cause)


def shows(
    state: SessionState | None = None,
    *,
    upgrade: UpgradeState | None = None,
    transport: Transport | None = None,
    deadline: float | None = None,
    buffered_packets: int | None = None,
) -> View:
    """Look at the connection."""
    return View(state, upgrade, transport, deadline, buffered_packets)


# --- The ways into the states.


def connection(
    *, transports: tuple[str, ...] = ("polling", "websocket"), limits: Limits | None = None, timeouts: Timeouts | None = None
) -> EngineIOConnection:
    """Make a connection that has not started."""
    return EngineIOConnection(URL, transports=transports, limits=limits or Limits(), timeouts=timeouts or Timeouts())


def polling(**options: object) -> Script:
    """A connection that may do what it likes and has not started."""
    return Script(connection(**options))  # type: ignore[arg-type]


def websocket_only() -> Script:
    """A connection that uses nothing but a WebSocket and has not started."""
    return Script(connection(transports=("websocket",)))


def just_opened(*, upgrades: tuple[str, ...] = (), max_payload: int | None = 1_000_000, **options: object) -> Script:
    """The session is open by polling, and the application has the word."""
    return (
        polling(**options)
        >> Connect()
        << poll(1)
        >> answer(1, open_packet(upgrades=upgrades, max_payload=max_payload))
        << opened(upgrades=upgrades, max_payload=max_payload)
        << shows(SessionState.OPEN, upgrade=UpgradeState.NONE, transport=Transport.POLLING, deadline=0.0)
    )


def polled(**options: object) -> Script:
    """The first long poll, number 2, is waiting at the server; no upgrade is offered."""
    return just_opened(**options) >> TimePassed() << poll(2)  # type: ignore[arg-type]


def connecting(**options: object) -> Script:
    """The upgrade's WebSocket, number 1, is being opened; poll 2 waits."""
    script = just_opened(upgrades=("websocket",), **options) >> TimePassed() << poll(2) << websocket(1)  # type: ignore[arg-type]
    return script << shows(SessionState.OPEN, upgrade=UpgradeState.CONNECTING)


def probing(**options: object) -> Script:
    """The probe is sent; poll 2 waits."""
    return connecting(**options) >> WebSocketOpened(1) << frame("2probe") << shows(upgrade=UpgradeState.PROBING)


def pausing(**options: object) -> Script:
    """The probe is answered; poll 2 still waits."""
    return probing(**options) >> arrives("3probe") << shows(upgrade=UpgradeState.PAUSING)


def on_websocket() -> Script:
    """The session began on its WebSocket and is open."""
    return (
        websocket_only()
        >> Connect()
        << websocket(1, upgrade=False)
        >> WebSocketOpened(1)
        >> arrives(NO_UPGRADE)
        << opened(Transport.WEBSOCKET, upgrades=())
        << shows(SessionState.OPEN, upgrade=UpgradeState.NONE, transport=Transport.WEBSOCKET)
    )


def error_of(outputs: Sequence[object]) -> EngineIOError:
    """Take the error out of the event that carries one."""
    errors = [output.error for output in outputs if isinstance(output, Closed | UpgradeFailed)]
    assert errors
    assert errors[-1] is not None
    return errors[-1]
