"""Everything arrives, once and in order: bursts, both directions at once, bytes from many tasks; and nothing grows without bound meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import socketio as original

import engineio_lite.bridge as socketio
from engineio_lite import Cause, Limits, LocalProtocolError
from engineio_lite.bridge import exceptions
from engineio_lite.bridge.session import OVERFLOW
from tests.aio.raw import EngineServer, Stage
from tests.aio.raw import socketio as socketio_replies
from tests.bridge.tools import ALL_TRANSPORTS, SLACK, Listener, Seen, Transports, comes_true, watched
from tests.peers import Peer, StartPeer

BURST = 10_000

ALL_ARRIVED = {"received": BURST, "inOrder": True, "last": BURST - 1}


def grants(message: str) -> tuple[str, ...]:
    """What a Socket.IO server replies that acknowledges nothing."""
    return tuple(socketio_replies(message)) if message.startswith("0") else ()


# -------------------------------------------------------------------------------------------------------------------------------------- bursts


async def burst(sio: Any, url: str) -> Any:
    """Emit forty events in one go, by polling; returns what the server says that it got."""
    await sio.connect(url, transports=["polling"])
    for i in range(40):
        await sio.emit("count", i)
    if isinstance(sio.eio, original.async_client.engineio.AsyncClient):
        await sio.eio.queue.join()  # all of it was posted, so the question goes with the next POST
    report = await sio.call("report", timeout=5)
    await sio.disconnect()
    return report


async def test_a_burst_by_polling_arrives_whole_where_the_original_loses_it(peer_server: StartPeer) -> None:
    """python-engineio's server answers OK to a POST of more than sixteen packets and drops it; the original sends all that waits in one."""
    peer = peer_server("python", pingInterval=1000, pingTimeout=1000)  # the original leaves when its poll is answered, not before
    assert (await burst(original.AsyncClient(handle_sigint=False), peer.url))["received"] == 0
    assert await burst(socketio.AsyncClient(), peer.url) == {"received": 40, "inOrder": True, "last": 39}


@ALL_TRANSPORTS
async def test_ten_thousand_events_reach_the_server(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    await sio.connect(any_peer.url, transports=transports)
    for i in range(BURST):
        await sio.emit("count", i)
    assert await sio.call("report", timeout=20) == ALL_ARRIVED
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_ten_thousand_events_of_the_server_are_handled_in_order(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()

    async def number(i: int) -> None:
        seen.note(i)
        await asyncio.sleep(0)

    sio.on("number", number)
    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("flood", BURST)
    await seen.until(lambda: len(seen) == BURST, timeout=20)
    assert seen == list(range(BURST))
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_ten_thousand_events_each_way_at_once(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()
    sio.on("number", seen.note)
    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("stream", BURST)
    for i in range(BURST):
        await sio.emit("count", i)
    await seen.until(lambda: len(seen) == BURST, timeout=20)
    assert seen == list(range(BURST))
    assert await sio.call("report", timeout=20) == ALL_ARRIVED
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_many_tasks_at_once_keep_the_order_in_which_they_began(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    await sio.connect(any_peer.url, transports=transports)
    async with asyncio.TaskGroup() as many:
        for i in range(3000):
            many.create_task(sio.emit("count", i))
    assert await sio.call("report", timeout=20) == {"received": 3000, "inOrder": True, "last": 2999}
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_a_burst_of_the_connect_handler_comes_whole(peer_server: StartPeer, transports: Transports) -> None:
    """Node sends a whole burst in one body; the original gives up such a body after sixteen packets."""
    peer = peer_server("node", burst=200)
    sio, seen = watched()
    await sio.connect(peer.url, transports=transports)
    await seen.until(lambda: len(seen) == 202)
    assert seen[0] == "connect"
    assert seen[1:-1] == [("number", (i,)) for i in range(200)]
    await sio.disconnect()


# ------------------------------------------------------------------------------------------------------------------------------------- binary


@ALL_TRANSPORTS
async def test_bytes_from_many_tasks_do_not_get_mixed_up(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()
    sio.on("echo", lambda *args: seen.note(args))
    await sio.connect(any_peer.url, transports=transports)

    def data(i: int) -> tuple[Any, ...]:
        return i, bytes([i]) * 50, {"more": [bytes([i, j]) * 20 for j in range(4)]}

    answers = await asyncio.gather(*(sio.call("echo", data(i)) for i in range(100)))
    assert answers == [data(i) for i in range(100)]
    await seen.until(lambda: len(seen) == 100)
    assert seen == [data(i) for i in range(100)]
    await sio.disconnect()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="+".join)
async def test_a_packet_and_its_attachments_leave_together_though_others_wait(transports: list[str]) -> None:
    """Also when the line is so full that everybody waits for room."""
    async with Listener(reply=grants) as server:
        sio = socketio.AsyncClient()
        await sio.connect(server.origin, transports=transports)
        async with asyncio.TaskGroup() as many:
            for i in range(30):
                many.create_task(sio.emit("event", (i, b"a" * 30_000, b"b" * 30_000)))
        await server.until(lambda: len(server.received) >= 1 + 3 * 30)
        sent = server.received[-90:]
        assert [packet[:2] for packet in sent] == ["45", "bY", "bY"] * 30
        assert [int(packet.split(",")[1]) for packet in sent[::3]] == list(range(30))
        await sio.disconnect()


async def test_a_message_that_is_larger_than_the_buffer_waits_until_it_is_empty() -> None:
    async with EngineServer(reply=grants, handshake={"maxPayload": 100_000_000}) as server:
        server.gates[Stage.POST] = asyncio.Event()
        server.gates[Stage.POST].set()
        sio = socketio.AsyncClient(limits=Limits(max_buffered=10_000))
        await sio.connect(server.origin, transports=["polling"])
        server.gates[Stage.POST].clear()
        async with asyncio.TaskGroup() as both:
            for i in range(20):  # the first sixteen are on their way, the others wait
                both.create_task(sio.emit("small", i))
            both.create_task(sio.emit("large", "x" * 50_000))
            both.create_task(sio.emit("after"))
            await server.until(lambda: len(server.asked(Stage.POST)) == 2)
            server.gates[Stage.POST].set()
        await server.until(lambda: server.messages[-1] == '2["after"]')
        names = [message.split('"')[1] for message in server.messages if message.startswith("2")]
        assert names == ["small"] * 20 + ["large", "after"]
        await sio.disconnect()


# ----------------------------------------------------------------------------------------------------------------------- handlers and their bounds


@ALL_TRANSPORTS
async def test_handlers_that_call_and_emit_wait_for_nobody(any_peer: Peer, transports: Transports) -> None:
    """A thousand handlers at once, each of which waits for an answer that comes behind all the events."""
    sio = socketio.AsyncClient()
    seen = Seen()

    @sio.event  # type: ignore[untyped-decorator]
    async def number(i: int) -> None:
        assert await sio.call("echo", i, timeout=20) == i
        await sio.emit("count", i)
        seen.note(i)

    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("flood", 1000)
    await seen.until(lambda: len(seen) == 1000, timeout=20)
    assert (await sio.call("report", timeout=20))["received"] == 1000
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_a_handler_may_disconnect(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()

    @sio.event  # type: ignore[untyped-decorator]
    async def number(i: int) -> None:
        if i == 5:
            await sio.disconnect()
            seen.note("through")

    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("flood", 10)
    await sio.wait()
    await seen.has("through", ("disconnect", "client disconnect"))
    assert seen.count(("disconnect", "client disconnect")) == 1


async def test_while_handlers_are_unfinished_no_more_is_read_than_the_limit_says() -> None:
    async with EngineServer(reply=grants) as server:
        sio = socketio.AsyncClient(limits=Limits(max_queued_events=4))
        gate, started = asyncio.Event(), Seen()

        @sio.event  # type: ignore[untyped-decorator]
        async def event(i: int) -> None:
            started.note(i)
            await gate.wait()

        await sio.connect(server.origin, transports=["polling"])
        await server.until(lambda: server.polling)
        polls = len(server.asked(Stage.POLL))
        server.say(*(f'2["event",{i}]' for i in range(10)))  # one body, which is more than the limit already
        await started.until(lambda: len(started) == 4)
        await sio.emit("anything")
        await server.until(lambda: server.messages[-1] == '2["anything"]')
        assert (started, len(server.asked(Stage.POLL)), server.polling) == ([0, 1, 2, 3], polls, False)
        server.say(*(f'2["event",{i}]' for i in range(10, 20)))
        gate.set()
        await started.until(lambda: len(started) == 20)
        assert started == list(range(20))
        await sio.disconnect()


async def test_a_call_raises_the_limit_because_its_answer_comes_behind_the_events() -> None:
    async with EngineServer(reply=grants) as server:
        sio = socketio.AsyncClient(limits=Limits(max_queued_events=4))
        gate, started = asyncio.Event(), Seen()

        @sio.event  # type: ignore[untyped-decorator]
        async def event(i: int) -> None:
            started.note(i)
            await gate.wait()

        await sio.connect(server.origin, transports=["polling"])
        server.say(*(f'2["event",{i}]' for i in range(10)))
        await started.until(lambda: len(started) == 4)
        call = asyncio.create_task(sio.call("question"))
        await started.until(lambda: len(started) == 10)
        await server.until(lambda: server.messages[-1] == '21["question"]')
        server.say('31["answer"]')
        assert await call == "answer"
        gate.set()
        await sio.disconnect()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="+".join)
async def test_a_call_whose_answer_is_out_of_reach_says_so(transports: list[str]) -> None:
    """All that the limits allow is unfinished and waits for answers that nobody can read any more."""
    async with EngineServer(reply=grants, handshake={"pingTimeout": 400}) as server:
        sio = socketio.AsyncClient(limits=Limits(max_queued_events=2))
        told = Seen()

        @sio.event  # type: ignore[untyped-decorator]
        async def event(i: int) -> None:
            try:
                told.note(await sio.call("question", i))
            except LocalProtocolError as error:
                told.note(error.cause)

        await sio.connect(server.origin, transports=transports)
        server.say(*(f'2["event",{i}]' for i in range(40)))
        await told.until(lambda: len(told) == 2 * OVERFLOW)
        assert told == [Cause.RECEIVE_BUFFER_FULL] * 2 * OVERFLOW
        await server.until(lambda: server.messages[-1] == '240["question",39]')
        server.say(*(f'3{id}["answer"]' for id in range(1, 41)))  # the first of them to calls that wait no more
        await told.until(lambda: len(told) == 40)
        assert told[2 * OVERFLOW :] == ["answer"] * 8
        await sio.disconnect()


async def test_slow_handlers_fail_no_call_as_long_as_they_get_on() -> None:
    async with EngineServer(reply=grants, handshake={"pingTimeout": 400}) as server:
        sio = socketio.AsyncClient(limits=Limits(max_queued_events=1))
        done = Seen()

        @sio.event  # type: ignore[untyped-decorator]
        async def event(i: int) -> None:
            await asyncio.sleep(0.01 * (i + 1))
            done.note(i)

        await sio.connect(server.origin, transports=["polling"])
        await server.until(lambda: server.polling)
        call = asyncio.create_task(sio.call("question"))
        await server.until(lambda: server.messages[-1] == '21["question"]')
        server.say(*(f'2["event",{i}]' for i in range(40)), '31["answer"]')
        assert await call == "answer"
        await done.has(*range(40))
        await sio.disconnect()


async def test_events_that_nobody_receives_are_back_pressure() -> None:
    async with EngineServer(reply=grants) as server:
        sio = socketio.AsyncSimpleClient(limits=Limits(max_queued_events=4))
        await sio.connect(server.origin, transports=["polling"])
        await server.until(lambda: server.polling)
        polls = len(server.asked(Stage.POLL))
        server.say(*(f'2["event",{i}]' for i in range(6)))
        await sio.emit("anything")
        await server.until(lambda: server.messages[-1] == '2["anything"]')
        await comes_true(lambda: len(sio.input_buffer) == 6)
        server.say('2["event",6]')
        assert (len(server.asked(Stage.POLL)), server.polling) == (polls, False)
        assert [await sio.receive(timeout=5) for _ in range(7)] == [["event", i] for i in range(7)]
        await sio.disconnect()


async def test_as_many_may_wait_for_their_acknowledgement_as_the_limit_says() -> None:
    async with EngineServer(reply=grants) as server:
        sio = socketio.AsyncClient(limits=Limits(max_pending_calls=3))
        await sio.connect(server.origin, transports=["polling"])
        for _ in range(3):
            await sio.emit("event", callback=lambda: None)
        with pytest.raises(LocalProtocolError) as caught:
            await sio.call("one more")
        assert caught.value.cause is Cause.TOO_MANY_CALLS
        await server.until(lambda: server.messages[-1] == '23["event"]')
        server.say("31[]", "32[]", "33[]")
        await comes_true(lambda: list(sio.callbacks["/"]) == [0])
        for i in range(10):  # a call that was given up waits no more
            with pytest.raises(exceptions.TimeoutError):
                await sio.call("nobody answers", i, timeout=0.001)
        await sio.disconnect()


async def test_an_event_that_cannot_be_sent_says_why_and_leaves_nothing_behind(peer_server: StartPeer) -> None:
    peer = peer_server("node", maxHttpBufferSize=2000)
    sio, _ = watched()
    await sio.connect(peer.url)
    with pytest.raises(LocalProtocolError) as caught:
        await sio.emit("echo", "x" * 3000, callback=lambda *_: None)
    assert caught.value.cause is Cause.PAYLOAD_TOO_LARGE
    with pytest.raises(LocalProtocolError):
        await sio.call("echo", "x" * 3000)
    assert list(sio.callbacks["/"]) == [0]
    assert await sio.call("echo", "fits") == "fits"
    await sio.disconnect()


async def test_the_simple_client_does_not_spin_on_what_cannot_be_sent(peer_server: StartPeer) -> None:
    peer = peer_server("node", maxHttpBufferSize=2000)
    async with socketio.AsyncSimpleClient() as sio:
        await sio.connect(peer.url)
        started = time.monotonic()
        with pytest.raises(LocalProtocolError):
            await sio.emit("echo", "x" * 3000)
        assert time.monotonic() - started < SLACK
