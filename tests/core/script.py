"""The words of scripts over the Engine.IO door; `tests.script` has the notation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, MessageReceived, Opened, UpgradeFailed
from engineio_lite.exceptions import EngineIOError
from engineio_lite.handshake import Handshake, build_url
from engineio_lite.inputs import Connect, FrameReceived, Input, ResponseReceived, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState
from tests import script
from tests.script import Like, View
from tests.script import at as at
from tests.script import play as play
from tests.script import refuses as refuses
from tests.script import without_token as without_token

URL = "http://127.0.0.1:3000/engine.io/"
SID = "lv_VI97HAXpY6yYWAAAB"
PLAIN_TEXT = (("content-type", "text/plain; charset=UTF-8"),)


Script: TypeAlias = script.Script[EngineIOConnection]


def feed(connection: EngineIOConnection, happening: Input, now: float = 0.0) -> list[object]:
    """Put one input in and hand back what comes out, for what a script cannot say."""
    return [without_token(output) for output in connection.process(happening, now)]


# --- The words of a script: inputs.


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


def ends(reason: CloseReason, cause: Cause | None = None, *, unsent: int = 0) -> Like:
    """`Closed`, for this reason, with an error of this cause (None: without an error)."""
    return Like(Closed, (reason, unsent), cause)


def ends_somehow(reason: CloseReason, *, unsent: int = 0) -> Like:
    """`Closed`, for this reason, whatever the error."""
    return Like(Closed, (reason, unsent), any_cause=True)


def upgrade_fails(cause: Cause | None = None) -> Like:
    """`UpgradeFailed`; without a cause any will do."""
    return Like(UpgradeFailed, (), cause, any_cause=cause is None)


def shows(
    state: SessionState | None = None,
    *,
    upgrade: UpgradeState | None = None,
    transport: Transport | None = None,
    deadline: float | None = None,
    buffered_packets: int | None = None,
) -> View[EngineIOConnection]:
    """Look at the connection."""
    return View(
        (
            ("state", lambda connection: connection.state, state),
            ("upgrade", lambda connection: connection.upgrade_state, upgrade),
            ("transport", lambda connection: connection.transport, transport),
            ("deadline", lambda connection: connection.deadline, deadline),
            ("buffered_packets", lambda connection: connection.buffered_packets, buffered_packets),
        )
    )


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
