"""The drivers against servers that other people wrote: Node's socket.io and engine.io, python-socketio and python-engineio, over every transport.

The promise that matters most is here: ten thousand numbered events in one burst, each way and both ways at once while the session moves from polling
to a WebSocket, all arrive once and in order. `tests/peers/__init__.py` says what the servers do with which event.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engineio_lite import (
    AckTimeout,
    Cause,
    ConnectionClosed,
    ConnectRefused,
    EngineIOError,
    HandshakeError,
    PayloadTooLarge,
    PingTimeout,
    PollingStuck,
    TimedOut,
    Timeouts,
    TransportError,
)
from engineio_lite.aio import SocketIOClient, connect, connect_socketio
from engineio_lite.capture.recorder import Recorder
from engineio_lite.socketio.events import EventReceived
from tests.aio.raw import Connection, RawServer, carry
from tests.peers import KINDS, Kind, Peer, StartPeer

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)

BURST = 10_000

SLACK = 3.0
"""Seconds that two processes on a loaded machine may take for what takes none."""


async def next_event(sio: SocketIOClient, name: str) -> EventReceived:
    """The next event, which must have this name."""
    event = await sio.receive()
    assert event.name == name
    return event


async def emit_all(sio: SocketIOClient, count: int) -> None:
    for i in range(count):
        await sio.emit("count", i)


async def receive_numbers(sio: SocketIOClient, count: int) -> None:
    """Receive so many numbers: each once, in order."""
    for i in range(count):
        event = await sio.receive()
        assert (event.name, event.args) == ("number", [i])


ALL_ARRIVED = {"received": BURST, "inOrder": True, "last": BURST - 1}


# ---------------------------------------------------------------------------------------------------------------------------------- ten thousand


@ALL_TRANSPORTS
async def test_ten_thousand_events_reach_the_server_once_and_in_order(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await emit_all(sio, BURST)
        assert await sio.call("report", timeout=20) == ALL_ARRIVED


@ALL_TRANSPORTS
async def test_ten_thousand_events_of_the_server_come_once_and_in_order(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        await sio.emit("flood", BURST)
        await receive_numbers(sio, BURST)


@ALL_TRANSPORTS
async def test_ten_thousand_events_each_way_at_once_while_the_upgrade_happens(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        assert sio.transport == transports[0]
        async with asyncio.TaskGroup() as both:
            await sio.emit("stream", BURST)
            both.create_task(emit_all(sio, BURST))
            await next_event(sio, "welcome")
            both.create_task(receive_numbers(sio, BURST))
        assert await sio.call("report", timeout=20) == ALL_ARRIVED
        assert await sio.wait_upgraded() is (transports[-1] == "websocket")
        assert sio.upgrade_error is None
        assert await sio.call("transport") == transports[-1]


@ALL_TRANSPORTS
async def test_a_burst_of_the_connect_handler_comes_first_and_whole(
    peer_server: StartPeer, kind_and_burst: Peer, transports: tuple[str, ...]
) -> None:
    async with connect_socketio(kind_and_burst.url, transports=transports, auth={"token": "t", "n": 1}) as sio:
        await receive_numbers(sio, 200)
        welcome = await next_event(sio, "welcome")
        assert welcome.args == [{"auth": {"token": "t", "n": 1}, "transport": transports[0]}]


@pytest.fixture(params=KINDS)
def kind_and_burst(request: pytest.FixtureRequest, peer_server: StartPeer) -> Peer:
    """A server that emits 200 numbers before its welcome, python-socketio's even before it answers the CONNECT."""
    return peer_server(request.param, burst=200)


@ALL_TRANSPORTS
@ALL_KINDS
async def test_engineio_messages_come_back_once_and_in_order(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind, engineOnly=True, burst=3)
    async with connect(peer.url, transports=transports) as engine:
        sent: list[str | bytes] = [bytes([i % 256]) * (i % 50) if i % 3 == 0 else f"grüße {i}" for i in range(1500)]
        sender = asyncio.create_task(send_in_pairs(engine, sent))
        assert [await engine.receive() for _ in range(3)] == [f"number {i}" for i in range(3)]
        assert [await engine.receive() for _ in sent] == sent
        await sender
        assert await engine.wait_upgraded() is (transports[-1] == "websocket")
        await engine.send("close!")
        with pytest.raises(EngineIOError) as caught:
            await engine.receive()
        assert caught.value.cause in (Cause.SERVER_CLOSED, Cause.WEBSOCKET_CLOSED)


async def send_in_pairs(engine: Any, messages: list[str | bytes]) -> None:
    for first, second in zip(messages[::2], messages[1::2], strict=True):
        await engine.send(first, second)


# -------------------------------------------------------------------------------------------------------------------------------- a conversation


@ALL_TRANSPORTS
async def test_binary_goes_both_ways(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        data = {"a": b"\x00\xff" * 1000, "b": [b"", {"c": bytearray(b"two")}], "text": "grüße \U0001f600"}
        for _ in range(3):
            answer = await sio.call("echo", data, b"alone")
            assert answer == [{"a": b"\x00\xff" * 1000, "b": [b"", {"c": b"two"}], "text": "grüße \U0001f600"}, b"alone"]
            assert (await next_event(sio, "echo")).args == answer


@ALL_TRANSPORTS
async def test_calls_are_answered_each_with_its_own(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        answers = await asyncio.gather(*(sio.call("echo", i) for i in range(100)))
        assert answers == list(range(100))
        with pytest.raises(AckTimeout) as caught:
            await sio.call("never", timeout=0.1)
        assert (caught.value.name, caught.value.timeout) == ("never", 0.1)


@ALL_TRANSPORTS
async def test_the_servers_questions_can_be_answered(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        await sio.emit("askme", "what?", 1)
        question = await next_event(sio, "question")
        assert question.args == ["what?", 1]
        await sio.acknowledge(question, {"that": b"!"})
        assert (await next_event(sio, "answer")).args == [{"that": b"!"}]


@ALL_TRANSPORTS
async def test_a_refusal_carries_the_servers_words_and_leaves_the_others_alone(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        with pytest.raises(ConnectRefused) as caught:
            await sio.namespace("/admin", auth={"token": "guess"})
        assert (caught.value.namespace, caught.value.refusal, caught.value.data) == ("/admin", "not authorized", {"code": 7})
        with pytest.raises(ConnectRefused) as caught:
            await sio.namespace("/nowhere")
        assert caught.value.refusal == ("Invalid namespace" if any_peer.kind == "node" else "Unable to connect")
        admin = await sio.namespace("/admin", auth={"token": "letmein"})
        assert await admin.call("echo", "hello") == "hello"
        assert await sio.call("echo", "still here") == "still here"


@ALL_TRANSPORTS
async def test_a_refused_first_namespace_raises_and_leaves_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    with pytest.raises(ConnectRefused) as caught:
        await connect_socketio(any_peer.url, namespace="/admin", auth={"token": "guess"}, transports=transports)
    assert (caught.value.cause, caught.value.refusal, caught.value.data) == (Cause.NAMESPACE_REFUSED, "not authorized", {"code": 7})
    async with connect_socketio(any_peer.url, namespace="/admin", auth={"token": "letmein"}, transports=transports) as sio:
        assert (await next_event(sio, "welcome")).namespace == "/admin"


@ALL_TRANSPORTS
async def test_a_namespace_that_never_answers_times_out(any_peer: Peer, transports: tuple[str, ...]) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        await connect_socketio(any_peer.url, namespace="/slow", transports=transports, timeouts=Timeouts(namespace=0.3, close=0.5))
    assert caught.value.cause is Cause.CONNECT_UNANSWERED
    assert time.monotonic() - started < 0.3 + 2 * 0.5 + SLACK


# ------------------------------------------------------------------------------------------------------------------------------------- endings


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("event", "causes"),
    [
        ("kick", {Cause.SERVER_DISCONNECTED}),
        ("kickall", {Cause.SERVER_DISCONNECTED}),
        ("drop", {Cause.SERVER_CLOSED, Cause.WEBSOCKET_CLOSED}),  # python-engineio says `1`, Node closes the WebSocket
    ],
)
async def test_a_server_that_throws_us_out_is_named(any_peer: Peer, transports: tuple[str, ...], event: str, causes: set[Cause]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        await sio.wait_upgraded()
        await sio.emit(event)
        with pytest.raises(EngineIOError) as caught:
            await asyncio.wait_for(sio.receive(), SLACK)
        assert caught.value.cause in causes
        with pytest.raises(EngineIOError):
            await sio.emit("too late")
        assert sio.closed is not None


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_that_is_killed_is_noticed_at_once(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    async with connect_socketio(peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        await sio.wait_upgraded()
        call = asyncio.create_task(sio.call("never"))
        await asyncio.sleep(0)
        peer.kill()
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await sio.receive()
        assert caught.value.cause in (Cause.CONNECTION_LOST, Cause.WEBSOCKET_CLOSED, Cause.CONNECT_REFUSED)
        with pytest.raises((TransportError, ConnectionClosed)):
            await call
        assert time.monotonic() - started < SLACK


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_server_that_freezes_is_given_up_after_its_own_times(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    # Whole seconds, because python-engineio announces no others.
    peer = peer_server(kind, pingInterval=1000, pingTimeout=300)
    async with connect_socketio(peer.url, transports=transports, timeouts=Timeouts(close=0.3)) as sio:
        await next_event(sio, "welcome")
        await sio.wait_upgraded()
        peer.pause()
        started = time.monotonic()
        with pytest.raises(PingTimeout):
            await sio.receive()
        assert time.monotonic() - started < 1.3 + SLACK
    peer.kill()  # a frozen one does not hear that it should leave


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_session_outlives_many_pings(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind, pingInterval=100, pingTimeout=400)
    async with connect_socketio(peer.url, transports=transports) as sio:
        await next_event(sio, "welcome")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sio.receive(), 1.2)  # more than twice what either side allows for silence
        assert await sio.call("echo", "alive") == "alive"


@ALL_TRANSPORTS
async def test_leaving_tells_the_server_at_once(any_peer: Peer, transports: tuple[str, ...]) -> None:
    started = time.monotonic()
    for _ in range(5):
        async with connect_socketio(any_peer.url, transports=transports) as sio:
            assert await sio.call("echo", 1) == 1
    assert time.monotonic() - started < SLACK


# ------------------------------------------------------------------------------------------------------------------------------- upgrades that fail


class Cutter(RawServer):
    """Passes everything on to a real server, but cuts both lines of the first WebSocket as soon as the server has said yes."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer
        self.has_cut = False

    async def run(self, connection: Connection) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._peer.port)
        upstream = Connection(reader, writer)
        answers = asyncio.create_task(carry(upstream, connection))
        try:
            while True:
                request = await connection.request()
                writer.write(request.encode())
                if request.upgrades:
                    break
            if self.has_cut:
                await carry(connection, upstream)
                return
            self.has_cut = True
            answers.cancel()
            await asyncio.wait({answers})
            assert (await upstream.head()).startswith(b"HTTP/1.1 101 ")
        finally:
            answers.cancel()
            writer.close()


@ALL_KINDS
async def test_an_upgrade_that_is_cut_before_the_probe_leaves_a_session_that_polls(kind: Kind, peer_server: StartPeer) -> None:
    """python-engineio then answers every poll with an empty noop, for ever, until the client sets it right (see `state.py`, rule 6)."""
    peer = peer_server(kind)
    recorder = Recorder()
    async with Cutter(peer) as cutter, connect_socketio(cutter.origin, recorder=recorder) as sio:
        await next_event(sio, "welcome")
        assert await sio.wait_upgraded() is False
        assert cutter.has_cut
        assert sio.upgrade_error is not None
        assert sio.upgrade_error.cause is Cause.CONNECTION_LOST
        assert await asyncio.wait_for(sio.call("echo", "still here"), SLACK) == "still here"
        await sio.emit("flood", 100)
        await next_event(sio, "echo")
        await asyncio.wait_for(receive_numbers(sio, 100), SLACK)
        assert await sio.call("transport") == "polling"
    was_stuck = any(isinstance(output, PollingStuck) for record in recorder.records for output in record.outputs)
    assert was_stuck is (kind == "python")


# ---------------------------------------------------------------------------------------------------------------------------------- what they refuse


@ALL_KINDS
async def test_a_server_that_offers_no_upgrade_is_polled(kind: Kind, peer_server: StartPeer) -> None:
    peer = peer_server(kind, allowUpgrades=False)
    async with connect_socketio(peer.url) as sio:
        assert await sio.wait_upgraded() is False
        assert await sio.call("transport") == "polling"
        assert sio.upgrade_error is None


@ALL_KINDS
async def test_a_transport_that_the_server_does_not_allow_is_named(kind: Kind, peer_server: StartPeer) -> None:
    peer = peer_server(kind, transports=["websocket"])
    with pytest.raises(HandshakeError) as caught:
        await connect_socketio(peer.url)
    assert caught.value.cause is Cause.TRANSPORT_UNKNOWN
    async with connect_socketio(peer.url, transports=WEBSOCKET) as sio:
        assert await sio.call("transport") == "websocket"


@ALL_TRANSPORTS
async def test_a_wrong_path_is_named(any_peer: Peer, transports: tuple[str, ...]) -> None:
    with pytest.raises(EngineIOError) as caught:
        await connect_socketio(f"{any_peer.url}/elsewhere/", transports=transports)
    # Node answers no upgrade request on a path that is not its own; it closes the connection after a second.
    mute = any_peer.kind == "node" and transports == WEBSOCKET
    assert (caught.value.cause, caught.value.status) == ((Cause.CONNECTION_LOST, None) if mute else (Cause.WRONG_PATH, 404))


@ALL_TRANSPORTS
@ALL_KINDS
async def test_a_message_that_is_too_large_is_refused_here_and_the_session_goes_on(
    kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]
) -> None:
    peer = peer_server(kind, maxHttpBufferSize=2000)
    async with connect_socketio(peer.url, transports=transports) as sio:
        with pytest.raises(PayloadTooLarge) as caught:
            await sio.emit("echo", "x" * 2000)
        assert caught.value.limit == 2000
        fits = ["x" * 900] * 40  # more than one POST may carry
        for text in fits:
            await sio.emit("echo", text)
        await next_event(sio, "welcome")
        assert [(await next_event(sio, "echo")).args[0] for _ in fits] == fits
