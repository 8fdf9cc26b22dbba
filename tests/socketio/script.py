"""The words of scripts over the Socket.IO door, beside those of `tests.core.script` for requests, frames and time; `tests.script` has the notation.

play(
    joined("/")
    >> Emit("sum", (1, 2), call=7)
    << post(5, '420["sum",1,2]')
    >> answer(4, "430[3]")
    << CallAnswered(7, [3])
    << poll(6)
)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.events import Closed, UpgradeFailed
from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import Connect, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import CallFailed, EventReceived, NamespaceConnected, NamespaceRefused, PacketIgnored
from engineio_lite.socketio.inputs import JoinNamespace
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.state import NamespaceState, SessionState, Transport
from tests import script
from tests.core.script import URL, answer, arrives, frame, ok, open_packet, opened, poll, post, websocket
from tests.core.script import ends as ends
from tests.core.script import upgrade_fails as upgrade_fails
from tests.script import Like, Pattern, View
from tests.script import play as play
from tests.script import refuses as refuses
from tests.script import tell as tell

Script: TypeAlias = script.Script[SocketIOConnection]


@dataclass(frozen=True)
class Ignored(Pattern):
    """A packet that was left out, for a reason with these words in it."""

    packet: Packet
    why: str

    def matches(self, output: object) -> bool:
        """Compare the packet, and look for the words."""
        return isinstance(output, PacketIgnored) and output.packet == self.packet and self.why in output.why


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


def ignored(type: PacketType, data: object = msgspec.UNSET, namespace: str = "/", id: int | None = None, *, why: str = "") -> Ignored:
    """`PacketIgnored` for this packet."""
    return Ignored(Packet(type, data, namespace, id), why)


def shows(
    session: SessionState | None = None, *, namespace: str = "/", state: NamespaceState | None = None, deadline: float | None = None
) -> View[SocketIOConnection]:
    """Look at the connection: the session's state, that of one namespace, the deadline; what is None is not looked at."""
    return View(
        (
            ("session", lambda connection: connection.state, session),
            (f"namespace {namespace}", lambda connection: connection.namespace_state(namespace), state),
            ("deadline", lambda connection: connection.deadline, deadline),
        )
    )


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
