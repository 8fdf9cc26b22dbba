"""The words of scripts over the door of the link, beside those of `tests.socketio.script`; `tests.script` has the notation.

    play(
        again(cut(linked("/")))
        >> Emit("hello")
        << frame('42["hello"]')
    )

Links speak over a WebSocket alone unless they are told otherwise, because then a story is about the link and not about requests. The dice always
show the middle, so delays are those of the policy: 1, 2, 4, 5, 5, … seconds. The sockets of every connection are numbered from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.events import Closed
from engineio_lite.inputs import Connect, TimePassed, WebSocketClosed, WebSocketFailed, WebSocketOpened
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.events import EmitDropped, NamespaceConnected, NamespaceLeft, Reconnected, Reconnecting
from engineio_lite.socketio.inputs import JoinNamespace
from engineio_lite.socketio.link import SocketIOLink
from engineio_lite.socketio.policy import ReconnectPolicy
from engineio_lite.state import CloseReason, LinkState, SessionState, Transport
from tests import script
from tests.core.script import NO_UPGRADE, URL, arrives, at, ends, frame, opened, websocket
from tests.script import Like, View
from tests.socketio.script import prefix_of, sid_of

Script: TypeAlias = script.Script[SocketIOLink]

POLICY = ReconnectPolicy()
LOST = CloseReason.TRANSPORT_CLOSE, Cause.WEBSOCKET_CLOSED
"""How a connection ends whose WebSocket vanishes."""

# --- What comes out.


def reconnecting(attempt: int = 1, delay: float = 1.0, reason: CloseReason = LOST[0], cause: Cause | None = LOST[1]) -> Like:
    """`Reconnecting`, with an error of this cause (None: without one)."""
    return Like(Reconnecting, (attempt, delay, reason), cause)


def drops(name: str, cause: Cause | None = None, *, ticket: int | None = None, namespace: str = "/") -> Like:
    """`EmitDropped`, with an error of this cause (None: without one)."""
    return Like(EmitDropped, (namespace, name, ticket), cause)


def lost(*, unsent: int = 0) -> Like:
    """`Closed`, because the WebSocket vanished."""
    return ends(*LOST, unsent=unsent)


def shows(
    state: LinkState | None = None,
    *,
    session: SessionState | None = None,
    deadline: float | None = None,
    waiting: int | None = None,
    writable: bool | None = None,
) -> View[SocketIOLink]:
    """Look at the link; what is None is not looked at."""
    return View(
        (
            ("state", lambda link: link.link_state, state),
            ("session", lambda link: link.state, session),
            ("deadline", lambda link: link.deadline, deadline),
            ("waiting", lambda link: link.waiting, waiting),
            ("writable", lambda link: link.writable, writable),
        )
    )


# --- What goes in.


def vanishes() -> WebSocketClosed:
    """The WebSocket is gone, and nobody said why."""
    return WebSocketClosed(1, 1006)


def nobody_listens() -> WebSocketFailed:
    """The WebSocket cannot be opened."""
    return WebSocketFailed(1, Cause.CONNECT_REFUSED, "nobody listens")


def grant(namespace: str = "/", *, sid: str | None = None, pid: str | None = None) -> str:
    """The Engine.IO packet that grants a namespace."""
    private = f',"pid":"{pid}"' if pid is not None else ""
    return f'40{prefix_of(namespace)}{{"sid":"{sid or sid_of(namespace)}"{private}}}'


def granted(namespace: str = "/", *, sid: str | None = None, pid: str | None = None, recovered: bool = False) -> NamespaceConnected:
    """The namespace is ours."""
    return NamespaceConnected(namespace, sid or sid_of(namespace), pid, recovered)


# --- The ways into the states.


def link(
    *,
    policy: ReconnectPolicy | None = POLICY,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    transports: tuple[str, ...] = ("websocket",),
    parser: str = "default",
    made: Callable[[], None] = lambda: None,
    **options: Any,
) -> SocketIOLink:
    """Make a link that has not started; `made` is called for every connection that it makes."""
    limits = limits or Limits()

    def make_connection() -> SocketIOConnection:
        made()
        return SocketIOConnection(URL, transports=transports, limits=limits, timeouts=timeouts or Timeouts(), parser=parser)

    return SocketIOLink(make_connection, policy=policy, limits=limits, parser=parser, **options)


def wanting(*namespaces: str, **options: Any) -> Script:
    """These namespaces are wanted, and nothing has started."""
    script = Script(link(**options))
    for namespace in namespaces:
        script = script >> JoinNamespace(namespace)
    return script


def starting(*namespaces: str, **options: Any) -> Script:
    """The first WebSocket is being opened."""
    return wanting(*namespaces, **options) >> Connect() << websocket(1, upgrade=False)


def asking(script: Script, *connects: str) -> Script:
    """Open the session on the WebSocket that is being opened; these CONNECTs go out."""
    script = script >> WebSocketOpened(1) >> arrives(NO_UPGRADE) << opened(Transport.WEBSOCKET, upgrades=())
    return script + [frame(connect) for connect in connects]


def asked(*namespaces: str, **options: Any) -> Script:
    """The first session is open, and the CONNECTs are out."""
    return asking(starting(*namespaces, **options), *(f"40{prefix_of(namespace)}" for namespace in namespaces))


def linked(*namespaces: str, **options: Any) -> Script:
    """These namespaces are ours."""
    script = asked(*namespaces, **options)
    for namespace in namespaces:
        script = script >> arrives(grant(namespace)) << granted(namespace)
    return script << shows(LinkState.CONNECTED, session=SessionState.OPEN)


def cut(script: Script, *namespaces: str, attempt: int = 1, delay: float = 1.0, fails: Sequence[Like] = ()) -> Script:
    """The line of these namespaces (the main one, if none is named) breaks, these calls fail with it, and a next try is announced."""
    script = script >> vanishes()
    script += fails
    script += [NamespaceLeft(namespace, CloseReason.TRANSPORT_CLOSE) for namespace in namespaces or ("/",)]
    return script << StartOver() << reconnecting(attempt, delay) << shows(LinkState.WAITING, session=SessionState.OPENING)


def retrying(script: Script, when: float = 1.0) -> Script:
    """The time has come: another WebSocket is being opened."""
    return script >> at(when) >> TimePassed() << websocket(1, upgrade=False) << shows(LinkState.CONNECTING, session=SessionState.OPENING)


def again(
    script: Script,
    *namespaces: str,
    when: float = 1.0,
    attempts: int = 1,
    connects: Mapping[str, str] | None = None,
    then: Sequence[object] = (),
) -> Script:
    """These namespaces (the main one, if none is named) are ours on the next connection; `then` comes out after the last grant."""
    namespaces = namespaces or ("/",)
    payloads = connects or {}
    script = asking(retrying(script, when), *(f"40{prefix_of(namespace)}{payloads.get(namespace, '')}" for namespace in namespaces))
    for namespace in namespaces:
        script = script >> arrives(grant(namespace)) << granted(namespace)
    script = script << Reconnected(attempts, False)
    return script + then


def closed_of(outputs: Sequence[object]) -> Closed:
    """Take the end out of what came out, and see that it is one, and the last word."""
    ends = [output for output in outputs if isinstance(output, Closed)]
    assert len(ends) == 1
    assert outputs[-1] is ends[0]
    return ends[0]
