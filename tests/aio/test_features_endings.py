"""What happens to a client as a whole, and why it ended, against real servers; see `features.py` for the matrix.

An end is told with evidence: by which side and how, with which error, how long the server had been silent, what was said last. Everybody hears it
exactly once and as the last word: who iterates, who listens, who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from engineio_lite import (
    Cause,
    Closed,
    CloseReason,
    ConnectionClosed,
    DecodeError,
    EngineIOError,
    HandshakeError,
    Limits,
    PingTimeout,
    Timeouts,
    TransportClosed,
    TransportError,
    Upgraded,
)
from engineio_lite.aio import ConnectOptions, SocketIOClient, connect_socketio
from engineio_lite.socketio import EventReceived, NamespaceConnected, NamespaceLeft, NamespaceRefused, Reconnected, Reconnecting, ReconnectPolicy
from tests.aio.features import ALL_KINDS, ALL_TRANSPORTS, BOTH, POLLING, SOON, WEBSOCKET, Lend, lending, welcome
from tests.peers import Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

pytestmark = [pytest.mark.peer, pytest.mark.timeout(30)]

FEW = Limits(max_attachments=2, last_packets=3)

QUICKLY = ReconnectPolicy(delay=0.01, max_delay=0.02)

SILENCE = {"node": 0.5, "python": 0.4}
"""Seconds without a ping that a `restless` server allows; python-engineio announces an interval of 0 where it is below a second."""


@pytest.fixture(scope="module")
def lend() -> Iterator[Lend]:
    """Servers with options, shared by this module."""
    with lending() as lend:
        yield lend


def restless(lend: Lend, kind: Kind) -> Peer:
    """A server whose silence is soon noticed."""
    return lend(kind, pingInterval=100, pingTimeout=400)


# ------------------------------------------------------------------------------------------------------------------------------------------ reasons


class End(NamedTuple):
    """What is told of an end: the same over every transport, but for what is said otherwise."""

    reason: CloseReason
    error: type[EngineIOError] | None = None
    cause: Cause | None = None


LOST: dict[tuple[str, ...], End] = {
    POLLING: End(CloseReason.TRANSPORT_ERROR, TransportError, Cause.CONNECTION_LOST),
    WEBSOCKET: End(CloseReason.TRANSPORT_CLOSE, TransportClosed, Cause.WEBSOCKET_CLOSED),
}
"""A line that is gone."""

ENDS: dict[str, dict[tuple[str, ...], End]] = {
    "close": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.CLIENT_CLOSE)),
    "leave": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.CLIENT_DISCONNECT)),
    "kick": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.SERVER_DISCONNECT)),
    "kickall": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.SERVER_DISCONNECT)),
    # python-engineio sends a close packet whatever carries it, Node closes its WebSocket without a word.
    "drop node": {POLLING: End(CloseReason.SERVER_CLOSE), WEBSOCKET: LOST[WEBSOCKET]},
    "drop python": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.SERVER_CLOSE)),
    "cut": LOST,
    "vanish": LOST,
    "freeze": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.PING_TIMEOUT, PingTimeout, Cause.PING_TIMEOUT)),
    "babble": dict.fromkeys((POLLING, WEBSOCKET), End(CloseReason.PARSE_ERROR, DecodeError, Cause.TOO_MANY_ATTACHMENTS)),
}


async def bring_about(how: str, sio: SocketIOClient, proxy: Proxy) -> None:
    """End a connection."""
    match how:
        case "close":
            await sio.close()
        case "leave":
            await sio.leave()
        case "cut" | "vanish":
            proxy.refuse()
            proxy.cut(reset=how == "cut")
        case "freeze":
            proxy.freeze()
        case "babble":
            await sio.emit("askbinary")  # its question has more attachments than the limit, so to us it is no packet
        case _:
            await sio.emit(how)


@ALL_TRANSPORTS
@ALL_KINDS
@pytest.mark.parametrize("how", ["close", "leave", "kick", "kickall", "drop", "cut", "vanish", "freeze", "babble"])
async def test_an_end_is_told_with_its_evidence(kind: Kind, lend: Lend, transports: tuple[str, ...], how: str) -> None:
    options: ConnectOptions = {"transports": transports, "limits": FEW, "timeouts": Timeouts(close=0.3)}
    heard: list[Closed] = []
    peer = restless(lend, kind) if how == "freeze" else lend(kind)
    async with Proxy(peer) as proxy, connect_socketio(proxy.url, auth={"password": "s3cret"}, **options) as sio:
        await sio.wait_upgraded()
        await sio.drain()
        sio.on(Closed, heard.append)
        states = sio.states()
        assert isinstance(await anext(states), EventReceived)  # the welcome
        await bring_about(how, sio, proxy)
        async with asyncio.timeout(SOON):
            told = [event async for event in states if not isinstance(event, Upgraded)]
        closed = sio.closed
        assert closed is not None
        expected = (ENDS.get(how) or ENDS[f"{how} {kind}"])[POLLING if transports == POLLING else WEBSOCKET]
        assert (closed.reason, type(closed.error) if closed.error else None) == expected[:2]
        assert getattr(closed.error, "cause", None) is expected.cause
        assert told == [NamespaceLeft("/", expected.reason), closed]
        await check_what_is_raised(sio, closed)
        check_evidence(closed, SILENCE[kind] if how == "freeze" else None)
        proxy.thaw()
    assert heard == [closed]
    assert sio.closed is closed  # closing what is closed says nothing new


async def check_what_is_raised(sio: SocketIOClient, closed: Closed) -> None:
    """The error itself, or one that says how it ended in an orderly way; iteration ends quietly where we ended it."""
    for waits in (sio.receive(), sio.emit("echo"), sio.call("echo"), sio.wait_for("echo"), sio.namespace("/echo2"), sio.drain()):
        with pytest.raises(EngineIOError) as caught:
            await waits
        if closed.error is not None:
            assert caught.value is closed.error
        else:
            assert isinstance(caught.value, ConnectionClosed)
            assert caught.value.reason is closed.reason
    if closed.reason in (CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT):
        assert [event async for event in sio] == []
    else:
        with pytest.raises(EngineIOError):
            await anext(sio)
    assert not sio.connected


def check_evidence(closed: Closed, frozen_for: float | None) -> None:
    """How long the server was silent, and what was said last, without its secrets."""
    assert closed.silence is not None
    if frozen_for is not None:
        assert isinstance(closed.error, PingTimeout)
        assert frozen_for <= closed.error.silence <= closed.silence <= frozen_for + SOON
        assert closed.error.allowed == pytest.approx(frozen_for)
    else:
        assert 0 <= closed.silence < SOON
    assert 0 < len(closed.last_received) <= 3
    assert 0 < len(closed.last_sent) <= 3
    assert "s3cret" not in repr(closed.last_sent)


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_that_dies_is_told_with_its_evidence(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    heard: list[Closed] = []
    async with connect_socketio(peer.url, auth={"password": "s3cret"}, transports=transports, limits=FEW) as sio:
        await sio.wait_upgraded()
        await welcome(sio)
        await sio.drain()
        sio.on(Closed, heard.append)
        states = sio.states()
        end = asyncio.create_task(whatever(anext(states)))
        await asyncio.sleep(0)
        peer.kill()
        async with asyncio.timeout(SOON):
            told = [await end, *[event async for event in states]]
        closed = sio.closed
        assert closed is not None
        assert closed.error is not None
        assert closed.reason is LOST[POLLING if transports == POLLING else WEBSOCKET].reason
        assert closed.error.cause in (Cause.CONNECTION_LOST, Cause.CONNECT_REFUSED, Cause.WEBSOCKET_CLOSED)
        assert told == [NamespaceLeft("/", closed.reason), closed]
        await check_what_is_raised(sio, closed)
        check_evidence(closed, None)
    assert heard == [closed]


@ALL_TRANSPORTS
@ALL_KINDS
async def test_evidence_gives_no_secret_away_in_msgpack_either(kind: Kind, lend: Lend, transports: tuple[str, ...]) -> None:
    async with connect_socketio(lend(kind, parser="msgpack").url, auth={"t": "s3cret"}, transports=transports, parser="msgpack") as sio:
        await sio.drain()
    assert sio.closed is not None
    assert len(sio.closed.last_sent) > 1
    for form in ("s3cret", b"s3cret".hex()):
        assert form not in repr(sio.closed.last_sent)


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_of_another_protocol_is_named(kind: Kind, lend: Lend, transports: tuple[str, ...]) -> None:
    """It says what is no packet of Socket.IO, or, as Socket.IO 2 does, no answer to our CONNECT; this one repeats what we say."""
    for burst, cause, error in ((1, Cause.UNKNOWN_PACKET_TYPE, DecodeError), (0, Cause.SOCKETIO_V2, HandshakeError)):
        peer = lend(kind, engineOnly=True, path="/socket.io/", burst=burst)
        with pytest.raises(EngineIOError) as caught:
            await connect_socketio(peer.url, transports=transports)
        assert (caught.value.cause, type(caught.value), caught.value.stage) == (cause, error, "namespace")


@ALL_TRANSPORTS
async def test_who_uses_a_client_that_is_being_closed_is_told_that_it_is_closed(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async def until_it_ends(use: Callable[[], Awaitable[object]]) -> EngineIOError:
        while True:
            try:
                await use()
            except EngineIOError as error:
                return error
            await asyncio.sleep(0)

    sio = await connect_socketio(any_peer.url, transports=transports)
    sio.on("echo", lambda: None)
    uses: list[Callable[[], Awaitable[object]]] = [lambda: sio.emit("echo"), lambda: sio.call("echo"), lambda: sio.drain()]
    using = [asyncio.create_task(until_it_ends(use)) for use in uses]
    await sio.call("echo")
    await sio.close()
    async with asyncio.timeout(SOON):
        assert [type(error) for error in await asyncio.gather(*using)] == [ConnectionClosed] * 3


# ------------------------------------------------------------------------------------------------------------------------------------------- states


@ALL_TRANSPORTS
async def test_states_come_in_their_place_among_the_events(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await sio.wait_upgraded()
        await welcome(sio)
        states = sio.states()  # from now on, and not from the first step of the iteration
        await sio.call("flood", 1)
        echo2 = await sio.namespace("/echo2")
        sid = echo2.sid
        await sio.call("flood", 1)
        await echo2.leave()
        await sio.call("flood", 1)
        await sio.close()
        async with asyncio.timeout(SOON):
            told: list[Any] = [event async for event in states]
        assert sid is not None
        assert [event for event in told if not isinstance(event, EventReceived)] == [
            NamespaceConnected("/echo2", sid),
            NamespaceLeft("/echo2", CloseReason.CLIENT_DISCONNECT),
            NamespaceLeft("/", CloseReason.CLIENT_CLOSE),
            sio.closed,
        ]
        names = [getattr(event, "name", type(event).__name__) for event in told]
        assert [name for name in names if name != "welcome"] == [  # python-socketio welcomes before it grants
            "number",
            "NamespaceConnected",
            "number",
            "NamespaceLeft",
            "number",
            "NamespaceLeft",
            "Closed",
        ]
        assert names.count("welcome") == 1


@ALL_TRANSPORTS
async def test_who_reads_events_sees_no_states(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        states = sio.states()
        first = asyncio.create_task(whatever(anext(states)))
        await asyncio.sleep(0)
        await sio.call("flood", 1)
        assert isinstance(await first, EventReceived)
        echo2 = await sio.namespace("/echo2")
        await echo2.call("transport")
        await echo2.leave()
        await sio.call("flood", 1)
        async with asyncio.timeout(SOON):
            assert {(await sio.receive()).name for _ in range(2)} == {"welcome", "number"}
    assert [event async for event in sio] == []


@ALL_TRANSPORTS
async def test_the_upgrade_is_a_state(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        heard: list[object] = []
        states = sio.states()
        sio.on(Upgraded, heard.append)
        told = asyncio.create_task(take(states, Upgraded if transports == BOTH else EventReceived))
        assert await sio.wait_upgraded() is (transports != POLLING)
        async with asyncio.timeout(SOON):
            await told
        await sio.close()
        assert heard == ([Upgraded()] if transports == BOTH else [])


async def whatever(awaitable: Awaitable[Any]) -> Any:
    """A coroutine, where a task wants one."""
    return await awaitable


async def take(states: Any, kind: type) -> list[Any]:
    """What is told, up to one of this kind."""
    told: list[Any] = []
    async for event in states:
        told.append(event)
        if isinstance(event, kind):
            break
    return told


@ALL_TRANSPORTS
async def test_losing_and_finding_the_server_again_are_states(any_peer: Peer, transports: tuple[str, ...]) -> None:
    heard: list[Any] = []
    asked: list[int] = []

    def auth() -> dict[str, object]:
        asked.append(len(asked))
        return {"n": asked[-1]}

    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports, auth=auth, reconnect=QUICKLY) as sio:
        echo2 = await sio.namespace("/echo2")
        await sio.wait_upgraded()
        await welcome(sio)
        await welcome(echo2)
        await sio.drain()
        for kind in (Reconnecting, Reconnected, NamespaceConnected, NamespaceLeft):
            sio.on(kind, heard.append)
        before = (sio.sid, echo2.sid)
        states = sio.states()
        lost = asyncio.create_task(take(states, Reconnecting))
        await asyncio.sleep(0)
        proxy.refuse()
        proxy.cut()
        async with asyncio.timeout(SOON):
            told = await lost
            assert not sio.connected
            told += await take(states, Reconnecting)
            proxy.allow()
            told += await take(states, Reconnected)
        told = [event for event in told if not isinstance(event, EventReceived)]
        losses = [event for event in told if isinstance(event, Reconnecting)]
        reason = LOST[POLLING if transports == POLLING else WEBSOCKET].reason
        assert [event.attempt for event in losses] == list(range(1, len(losses) + 1))
        assert (losses[0].reason, losses[0].error is None) == (reason, False)
        assert losses[0].cause in (Cause.CONNECTION_LOST, Cause.WEBSOCKET_CLOSED, Cause.CONNECT_REFUSED)
        assert {event.cause for event in losses[1:]} <= {Cause.CONNECT_REFUSED, Cause.CONNECTION_LOST}
        assert all(0 <= event.delay <= QUICKLY.max_delay for event in losses)
        assert (sio.sid, echo2.sid) != before
        assert None not in (sio.sid, echo2.sid)
        assert told[:3] == [NamespaceLeft("/", reason), NamespaceLeft("/echo2", reason), losses[0]]
        assert told[-1] == Reconnected(len(losses), recovered=False)
        assert sorted(event.namespace for event in told[-3:-1]) == ["/", "/echo2"]
        assert {type(event) for event in told[-3:-1]} == {NamespaceConnected}
        assert (await welcome(sio))["auth"] == {"n": len(asked) - 1}  # asked anew for every connection that opened
        assert await echo2.call("echo", "back") == "back"
        async with asyncio.timeout(SOON):
            while len(heard) < len(told):
                await sio.call("transport")
        assert heard == told


@ALL_TRANSPORTS
async def test_a_state_has_its_turn_among_the_handlers(any_peer: Peer, transports: tuple[str, ...]) -> None:
    heard: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        done = asyncio.Event()

        @sio.on("number")
        async def number(i: int) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            heard.append(i)

        @sio.once(NamespaceLeft)
        async def left(event: NamespaceLeft) -> None:
            await asyncio.sleep(0)
            heard.append(event.namespace)

        @sio.on(NamespaceRefused)
        def refused(event: NamespaceRefused) -> None:
            heard.append(event.namespace)
            done.set()

        sio.on_any(lambda name, *_: heard.append(name))  # hears events only
        await sio.call("flood", 2)
        await echo2.leave()
        with pytest.raises(EngineIOError):
            await sio.namespace("/nowhere")
        async with asyncio.timeout(SOON):
            await done.wait()
        assert heard == ["number", 0, "number", 1, "/echo2", "/nowhere"]
        sio.off(NamespaceRefused)
        with pytest.raises(EngineIOError):
            await sio.namespace("/nowhere")
        await sio.call("flood", 0)
        assert heard[6:] == []


@ALL_TRANSPORTS
async def test_a_joined_namespace_hears_of_itself_and_of_the_client(any_peer: Peer, transports: tuple[str, ...]) -> None:
    everything: list[object] = []
    own: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        admin = await sio.namespace("/admin", auth={"token": "letmein"})
        for kind in (NamespaceLeft, Closed):
            sio.on(kind, everything.append)
            echo2.on(kind, own.append)
        admin.on(NamespaceLeft, own.append)
        admin.off(NamespaceLeft, own.append)
        await admin.leave()
        await sio.leave()
        await echo2.emit("kick")
        async with asyncio.timeout(SOON):
            with pytest.raises(ConnectionClosed):
                await echo2.wait_for("never comes")
            async for _ in sio.states():
                pass
        left = [
            NamespaceLeft("/admin", CloseReason.CLIENT_DISCONNECT),
            NamespaceLeft("/", CloseReason.CLIENT_DISCONNECT),
            NamespaceLeft("/echo2", CloseReason.SERVER_DISCONNECT),
        ]
    assert everything == [*left, sio.closed]
    assert own == [left[2], sio.closed]
