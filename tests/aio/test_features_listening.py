"""How events reach an application, against real servers: streams, handlers, `wait_for` and typed payloads; see `features.py` for the matrix.

What is promised: each event comes once, by one way, in wire order; what is not taken makes the server wait and is bounded; what a handler does or
raises harms nobody else; and an event that asks is answered exactly once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import msgspec
import pytest

from engineio_lite import Cause, Closed, CloseReason, ConnectionClosed, Limits, LocalProtocolError, PayloadMismatch, TimedOut
from engineio_lite.aio import SocketIOClient, connect_socketio
from engineio_lite.capture.recorder import Record
from engineio_lite.socketio import EventReceived
from tests.aio.features import ALL_TRANSPORTS, POLLING, SOON, WEBSOCKET, Watch, unhandled, welcome
from tests.peers import Peer, StartPeer

pytestmark = [pytest.mark.peer, pytest.mark.timeout(30)]

FEW = 20
"""Events that may wait unread, where a test wants that to be few."""

MANY = 2000
"""More events than any buffer of ours hides."""


def told(event: EventReceived) -> tuple[str, Any, list[object]]:
    """Where an event came, and what it said."""
    return event.namespace, event.name, event.args


async def receive(source: Any, count: int) -> list[EventReceived]:
    """So many events."""
    async with asyncio.timeout(SOON):
        return [await source.receive() for _ in range(count)]


async def round_trips(peer: Peer, count: int = 20) -> None:
    """Give the event loop, and the server, plenty of opportunity for whatever they would do."""
    async with connect_socketio(peer.url, transports=WEBSOCKET) as witness:
        for i in range(count):
            assert await witness.call("echo", i) == i


async def handled(sio: SocketIOClient) -> None:
    """Return when the handlers of all that has come are done: a callback has its turn after them."""
    done = asyncio.Event()
    await sio.emit("transport", callback=lambda *_: done.set())
    async with asyncio.timeout(SOON):
        await done.wait()


# ------------------------------------------------------------------------------------------------------------------------------------------ streams


@ALL_TRANSPORTS
async def test_one_stream_has_the_events_of_all_namespaces_in_wire_order(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await welcome(echo2)
        for namespace in (sio, echo2, echo2, sio):
            await namespace.call("flood", 2)
        wanted = [(name, "number", [i]) for name in ("/", "/echo2", "/echo2", "/") for i in range(2)]
        assert [told(event) for event in await receive(sio, 8)] == wanted


@ALL_TRANSPORTS
async def test_a_namespace_that_is_read_has_a_stream_of_its_own(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await sio.call("flood", 1)
        await echo2.call("flood", 2)  # they wait in the one stream, and change over
        assert [told(event) for event in await receive(echo2, 3)] == [
            ("/echo2", "welcome", [{"auth": {}, "transport": (await welcome(sio))["transport"]}]),
            ("/echo2", "number", [0]),
            ("/echo2", "number", [1]),
        ]
        await echo2.call("echo", "there")
        await sio.call("echo", "here")
        assert [told(event) for event in await receive(sio, 2)] == [("/", "number", [0]), ("/", "echo", ["here"])]
        assert [told(event) for event in await receive(echo2, 1)] == [("/echo2", "echo", ["there"])]


@ALL_TRANSPORTS
async def test_what_came_before_the_end_can_still_be_read_after_it(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await receive(echo2, 1)
        await sio.call("flood", 3)
        await echo2.call("flood", 2)
    assert [event.args async for event in sio] == [[0], [1], [2]]
    assert [event.args async for event in echo2] == [[0], [1]]
    with pytest.raises(ConnectionClosed) as caught:
        await sio.receive()
    assert caught.value.reason is CloseReason.CLIENT_CLOSE


async def is_held_up(watch: Watch, peer: Peer, transports: tuple[str, ...], namespace: str, most: int) -> None:
    """Check that no more than this many numbers of a stream were read, now and after the server had time for more."""
    await watch.until(lambda: watch.events("number", namespace) >= FEW - 1)
    polls = watch.polls
    await round_trips(peer)
    if transports == POLLING:
        assert watch.polls <= polls + 1  # a poll brings what waited for it, however much that is; but there is no further one
    else:
        assert watch.events("number", namespace) <= most


@ALL_TRANSPORTS
async def test_a_namespace_that_is_not_read_makes_the_server_wait_and_loses_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_queued_events=FEW), recorder=watch) as sio:
        await sio.wait_upgraded()
        echo2 = await sio.namespace("/echo2")
        await receive(echo2, 1)
        await welcome(sio)
        await echo2.emit("stream", MANY, 1000)
        await is_held_up(watch, any_peer, transports, "/echo2", FEW)
        assert [event.args[0] for event in await receive(echo2, MANY)] == list(range(MANY))
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
async def test_who_waits_reads_past_a_namespace_that_is_not_read_but_not_for_ever(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_queued_events=FEW), recorder=watch) as sio:
        await sio.wait_upgraded()
        echo2 = await sio.namespace("/echo2")
        await receive(echo2, 1)
        await welcome(sio)
        await echo2.emit("stream", 5 * FEW)
        assert await sio.call("echo", "behind them") == "behind them"
        assert [event.args[0] for event in await receive(echo2, 5 * FEW)] == list(range(5 * FEW))
        await echo2.emit("stream", MANY, 100)
        for wait in (sio.call, sio.wait_for, sio.call):
            with pytest.raises(LocalProtocolError) as caught:
                await wait("never", timeout=SOON)
            assert caught.value.cause is Cause.RECEIVE_BUFFER_FULL
            await is_held_up(watch, any_peer, transports, "/echo2", 5 * FEW + 16 * FEW)
        assert [event.args[0] for event in await receive(echo2, MANY)] == list(range(MANY))
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
async def test_a_slow_handler_makes_the_server_wait_and_loses_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    go_on, heard, done = asyncio.Event(), [], asyncio.Event()
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_queued_events=FEW), recorder=watch) as sio:
        await sio.wait_upgraded()
        await welcome(sio)

        @sio.on("number")
        async def number(i: int, pad: str) -> None:
            heard.append(i)
            await go_on.wait()
            if i == MANY - 1:
                done.set()

        await sio.emit("stream", MANY, 1000)
        await is_held_up(watch, any_peer, transports, "/", FEW + 1)  # one is in its hands
        assert heard == [0]
        go_on.set()
        async with asyncio.timeout(SOON):
            await done.wait()
        assert heard == list(range(MANY))


@ALL_TRANSPORTS
async def test_where_there_are_handlers_what_nobody_ever_reads_is_dropped(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_queued_events=FEW)) as sio:
        heard: list[object] = []
        sio.on("echo", heard.append)
        await sio.call("flood", 10 * FEW)
        assert await sio.call("echo", "still here") == "still here"
        await handled(sio)
        assert heard == ["still here"]
        assert [event.args for event in await receive(sio, FEW)] == [[i] for i in range(9 * FEW, 10 * FEW)]


# ----------------------------------------------------------------------------------------------------------------------------------------- handlers


@ALL_TRANSPORTS
async def test_a_handler_hears_every_event_of_its_name_until_it_is_off(any_peer: Peer, transports: tuple[str, ...]) -> None:
    heard: list[tuple[object, ...]] = []

    def note(*args: object) -> None:
        heard.append(args)

    def again(*args: object) -> None:
        heard.append(("again", *args))

    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        assert sio.on("echo", note) is note
        sio.on("echo", again)
        await sio.call("echo", 1, None, {"a": b"b"})
        await sio.call("echo")
        await handled(sio)
        assert heard == [(1, None, {"a": b"b"}), ("again", 1, None, {"a": b"b"}), (), ("again",)]
        sio.off("echo", note)
        await sio.call("echo", 2)
        await handled(sio)
        assert heard[4:] == [("again", 2)]
        sio.off("echo")
        await sio.call("echo", 3)
        await handled(sio)
        assert heard[5:] == []
        assert [told(event) for event in await receive(sio, 1)] == [("/", "echo", [3])]
        for listen in (partial(sio.on, "echo"), sio.on_any, partial(sio.once, "echo")):
            listen(note)
            sio.off()
            await sio.call("echo", 4)
            await handled(sio)
            assert [told(event) for event in await receive(sio, 1)] == [("/", "echo", [4])]
        assert heard[5:] == []


async def test_names_that_no_event_can_have_are_refused_and_what_is_meant_is_named(any_peer: Peer) -> None:
    words = {"connect": "NamespaceConnected", "disconnect": "Closed", "connect_error": "NamespaceRefused", "newListener": "reserved"}
    async with connect_socketio(any_peer.url) as sio:
        for name, word in words.items():
            for listen in (sio.on, sio.once):
                with pytest.raises(LocalProtocolError, match=word) as caught:
                    listen(name, print)
                assert caught.value.cause is Cause.RESERVED_EVENT
            with pytest.raises(LocalProtocolError, match=word):
                await sio.wait_for(name)


@ALL_TRANSPORTS
async def test_once_is_once_even_if_two_come_together(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: list[object] = []

        @sio.once("number")
        def number(i: int) -> None:
            heard.append(i)

        await sio.call("flood", 3)
        await sio.call("flood", 1)
        await handled(sio)
        assert heard == [0]
        assert [event.args for event in await receive(sio, 3)] == [[1], [2], [0]]


@ALL_TRANSPORTS
async def test_once_takes_one_of_those_that_wait(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        await sio.call("flood", 3)
        heard: list[object] = []
        sio.once("number", heard.append)
        await handled(sio)
        assert heard == [0]
        assert [event.args for event in await receive(sio, 2)] == [[1], [2]]


@ALL_TRANSPORTS
async def test_on_any_hears_everything_first_with_its_name(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await welcome(echo2)
        heard: list[tuple[object, ...]] = []
        sio.on("echo", lambda *args: heard.append(("named", *args)))

        @sio.on_any
        def anything(*args: object) -> None:
            heard.append(args)

        await sio.call("echo", "one", 2)
        await sio.call("flood", 1)
        await echo2.call("echo", "elsewhere")
        await handled(sio)
        assert heard == [("echo", "one", 2), ("named", "one", 2), ("number", 0)]
        sio.off_any(anything)
        await sio.call("echo", 3)
        await handled(sio)
        assert heard[3:] == [("named", 3)]
        assert [told(event) for event in await receive(sio, 1)] == [("/echo2", "echo", ["elsewhere"])]


@ALL_TRANSPORTS
async def test_on_any_may_come_before_those_that_are_registered_already(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: list[str] = []
        sio.on("echo", lambda: heard.append("named"))
        sio.on_any(lambda name: heard.append("second"))
        sio.on_any(lambda name: heard.append("first"), prepend=True)

        @sio.on_any(prepend=True, concurrent=True)
        def before_all(name: str) -> None:
            heard.append("before all")

        await sio.call("echo")
        await handled(sio)
        assert sorted(heard) == ["before all", "first", "named", "second"]
        assert [each for each in heard if each != "before all"] == ["first", "second", "named"]  # a concurrent one has a task of its own
        sio.off_any(before_all)
        heard.clear()
        await sio.call("echo")
        await handled(sio)
        assert heard == ["first", "second", "named"]


@ALL_TRANSPORTS
async def test_handlers_run_in_wire_order_whatever_each_takes(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await welcome(echo2)
        heard: list[tuple[str, object]] = []

        @sio.on("number")
        async def number(i: int) -> None:
            for _ in range((7 * i) % 11):
                await asyncio.sleep(0)
            heard.append(("number", i))

        @sio.on("echo")
        def echo(i: int) -> None:
            heard.append(("echo", i))

        @echo2.on("number")
        async def elsewhere(i: int) -> None:
            for _ in range((5 * i) % 7):
                await asyncio.sleep(0)
            heard.append(("elsewhere", i))

        wanted: list[tuple[str, object]] = []
        for i in range(5):
            # One after the other, because python-socketio handles events beside each other, and what it says would be mixed.
            await sio.call("flood", 10)
            await sio.call("echo", i)
            await echo2.call("flood", 5)
            wanted += [*(("number", n) for n in range(10)), ("echo", i), *(("elsewhere", n) for n in range(5))]
        await handled(sio)
        assert heard == wanted


@ALL_TRANSPORTS
async def test_what_came_before_an_answer_is_handled_before_whoever_asked_goes_on(any_peer: Peer, transports: tuple[str, ...]) -> None:
    heard: list[int] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        sio.on("number", heard.append)
        for turn in range(1, 6):
            await sio.call("flood", 30)
            assert heard == turn * list(range(30))


@ALL_TRANSPORTS
async def test_concurrent_handlers_run_beside_each_other_within_their_limit(any_peer: Peer, transports: tuple[str, ...]) -> None:
    go_on, three = asyncio.Event(), asyncio.Event()
    running, most, heard = 0, 0, []
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_concurrent_handlers=3)) as sio:
        await welcome(sio)

        @sio.on("number", concurrent=True)
        async def number(i: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == 3:
                three.set()
            await go_on.wait()
            running -= 1
            heard.append(i)

        await sio.call("flood", 10)
        async with asyncio.timeout(SOON):
            await three.wait()
        assert await sio.call("echo", "calls go on") == "calls go on"
        assert (running, heard) == (3, [])
        go_on.set()
        async with asyncio.timeout(SOON):
            while len(heard) < 10:
                await sio.call("transport")
        assert most == 3
        assert sorted(heard) == list(range(10))


@ALL_TRANSPORTS
async def test_handlers_that_come_late_hear_what_waits_in_wire_order(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        await sio.call("flood", 2)
        await sio.call("echo", "between")
        await sio.call("everyone", "unheard")
        await sio.call("flood", 1)
        heard: list[object] = []
        sio.on("echo", heard.append)
        sio.on("number", heard.append)
        await sio.call("echo", "last")
        await handled(sio)
        assert heard == [0, 1, "between", 0, "last"]
        assert [told(event) for event in await receive(sio, 1)] == [("/", "unheard", [])]


@ALL_TRANSPORTS
async def test_a_handler_may_emit_call_and_wait(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: asyncio.Queue[object] = asyncio.Queue()

        @sio.on("number")
        async def number(i: int) -> None:
            await sio.emit("everyone", "hello", i)
            await heard.put((await sio.wait_for("hello")).args)
            await heard.put(await sio.call("echo", f"called {i}"))

        @sio.on("echo")
        async def echo(what: str) -> None:
            await heard.put(("echo", what))

        await sio.emit("flood", 2)
        async with asyncio.timeout(SOON):
            assert [await heard.get() for _ in range(6)] == [[0], "called 0", [1], "called 1", ("echo", "called 0"), ("echo", "called 1")]


@ALL_TRANSPORTS
async def test_a_handler_may_join_and_leave(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        heard: asyncio.Queue[object] = asyncio.Queue()

        @sio.on("welcome")
        async def welcomed(what: object) -> None:
            echo2 = await sio.namespace("/echo2")
            await heard.put((await echo2.receive()).namespace)
            await echo2.leave()
            await heard.put(echo2.connected)

        async with asyncio.timeout(SOON):
            assert [await heard.get() for _ in range(2)] == ["/echo2", False]
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
@pytest.mark.parametrize("concurrent", [False, True], ids=["in-order", "concurrent"])
async def test_a_handler_may_close_the_client_and_goes_on(any_peer: Peer, transports: tuple[str, ...], concurrent: bool) -> None:
    after = asyncio.Event()
    heard: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:

        @sio.on("number", concurrent=concurrent)
        async def number(i: int) -> None:
            heard.append(i)
            await sio.close()
            heard.append("closed")
            after.set()

        await sio.wait_upgraded()
        await sio.emit("flood", 1)
        async with asyncio.timeout(SOON):
            await after.wait()
        assert heard == [0, "closed"]
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error) == (CloseReason.CLIENT_CLOSE, None)


@ALL_TRANSPORTS
async def test_closing_cancels_the_handlers_that_run(any_peer: Peer, transports: tuple[str, ...]) -> None:
    ends: list[str] = []
    both = asyncio.Event()

    async def wait(_: object) -> None:
        ends.append("began")
        try:
            if len(ends) == 2:
                both.set()
            await asyncio.Event().wait()
        finally:
            ends.append("ended")

    async with connect_socketio(any_peer.url, transports=transports) as sio:
        sio.on("welcome", wait, concurrent=True)
        sio.on("number", wait)
        await sio.emit("flood", 2)
        async with asyncio.timeout(SOON):
            await both.wait()
    assert ends == ["began", "began", "ended", "ended"]


@ALL_TRANSPORTS
async def test_what_a_handler_raises_goes_to_the_event_loop_and_stops_nobody(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: list[object] = []

        def plainly(i: int) -> None:
            raise ValueError(f"plain {i}")

        async def later(i: int) -> None:
            await asyncio.sleep(0)
            raise KeyError(i)

        with unhandled() as said:
            sio.on("number", plainly)
            sio.on("number", later)
            sio.on("number", heard.append)
            sio.on("number", later, concurrent=True)
            await sio.call("flood", 2)
            await handled(sio)
        assert heard == [0, 1]
        assert sorted(repr(context["exception"]) for context in said) == sorted(
            ["ValueError('plain 0')", "ValueError('plain 1')", *["KeyError(0)", "KeyError(1)"] * 2]
        )
        assert all(name in said[0]["message"] for name in ("handler", "plainly"))
        assert sio.closed is None


# ------------------------------------------------------------------------------------------------------------------------------------------ answers


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("returned", "values"),
    [
        ("plain", ["plain"]),
        (0, [0]),
        (None, []),
        ((), []),
        ((1, "two", None), [1, "two", None]),
        ([1, 2], [[1, 2]]),
        (b"\x00\xff", [b"\x00\xff"]),
        ({"nested": [b"one", {"deep": b""}]}, [{"nested": [b"one", {"deep": b""}]}]),
        ((b"one", [b"two"]), [b"one", [b"two"]]),
    ],
    ids=repr,
)
async def test_what_a_handler_returns_answers_exactly_once(
    any_peer: Peer, transports: tuple[str, ...], returned: object, values: list[object]
) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        await welcome(sio)

        @sio.on("question")
        async def question(*args: object) -> object:
            await asyncio.sleep(0)
            return returned if args == ("what?", 1) else "a wrong question"

        sio.on("question", lambda *_: "the second one is not asked")
        sio.on_any(lambda *_: "nor is this one")
        answer = await sio.call("askme", "what?", 1)
        assert answer == (values[0] if len(values) == 1 else values or None)
        assert [values for _, _, values in watch.acks()] == [values]


@ALL_TRANSPORTS
@pytest.mark.parametrize("concurrent", [False, True], ids=["in-order", "concurrent"])
async def test_each_question_gets_its_own_answer(any_peer: Peer, transports: tuple[str, ...], concurrent: bool) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        for namespace in (sio, echo2):

            @namespace.on("question", concurrent=concurrent)
            async def question(n: int, name: str = namespace.name) -> object:
                for _ in range(0 if n == 2 else 20):
                    await asyncio.sleep(0)
                return n, name

        assert await sio.call("asktwo") == [1, "/", 2, "/"]
        assert await echo2.call("asktwo") == [1, "/echo2", 2, "/echo2"]
        assert sorted(repr(values) for _, _, values in watch.acks()) == sorted(repr([n, name]) for n in (1, 2) for name in ("/", "/echo2"))


@ALL_TRANSPORTS
async def test_an_event_that_asks_nothing_is_not_answered(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        sio.on("echo", lambda *_: "an answer")
        await sio.call("echo", 1)
        await sio.call("echo", 2)
        assert watch.acks() == []


@ALL_TRANSPORTS
async def test_an_answer_that_is_lost_with_its_connection_is_no_failure_of_its_handler(peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer, many = peer_server("node"), 16  # large answers: more than the kernel's buffers hold, so that some are still being written
    asked, answered, go_on, ended = asyncio.Queue[int](), asyncio.Queue[int](), asyncio.Event(), asyncio.Event()
    async with connect_socketio(peer.url, transports=transports) as sio:

        @sio.on("question", concurrent=True)
        async def question(i: int) -> str:
            asked.put_nowait(i)
            await go_on.wait()
            answered.put_nowait(i)
            return "x" * 900_000

        sio.on(Closed, lambda closed: ended.set())
        with unhandled() as said:
            async with asyncio.timeout(SOON):
                for i in range(many):
                    await sio.emit("askme", i)
                assert [await asked.get() for _ in range(many)] == list(range(many))
                peer.pause()
                go_on.set()
                assert sorted([await answered.get() for _ in range(many)]) == list(range(many))
                peer.kill()
                await ended.wait()
        assert said == []


@ALL_TRANSPORTS
async def test_an_answer_that_cannot_be_sent_is_told_and_stops_nobody(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        with unhandled() as said:
            sio.once("question", lambda *_: object())
            sio.on("answer", lambda *_: None)
            asked = asyncio.create_task(sio.call("askme"))
            async with asyncio.timeout(SOON):
                while not said:
                    await sio.call("transport")
        assert isinstance(said[0]["exception"], LocalProtocolError)
        assert said[0]["exception"].cause is Cause.BAD_MESSAGE
        asked.cancel()
        sio.on("question", lambda *_: "fine")
        assert await sio.call("askme") == "fine"


# ----------------------------------------------------------------------------------------------------------------------------------------- wait_for


@ALL_TRANSPORTS
async def test_waiting_takes_the_next_of_its_name_and_leaves_the_others(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await welcome(echo2)
        await sio.call("flood", 2)
        await sio.call("echo", "it waits")
        await echo2.call("echo", "elsewhere")
        await sio.call("echo", "another")
        assert told(await sio.wait_for("echo", timeout=0)) == ("/", "echo", ["it waits"])
        assert told(await echo2.wait_for("echo", timeout=0)) == ("/echo2", "echo", ["elsewhere"])
        await sio.emit("later", 1, "coming", "it comes")
        assert told(await sio.wait_for("coming", timeout=SOON)) == ("/", "coming", ["it comes"])
        assert [told(event) for event in await receive(sio, 3)] == [("/", "number", [0]), ("/", "number", [1]), ("/", "echo", ["another"])]


@ALL_TRANSPORTS
async def test_waiting_has_its_time(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(echo2)
        started = time.monotonic()
        for timeout in (0, 0.02):
            with pytest.raises(TimedOut) as caught:
                await echo2.wait_for("number", timeout=timeout)
            assert (caught.value.cause, caught.value.stage) == (Cause.WAIT_TIMEOUT, "namespace")
            assert "'number'" in str(caught.value)
        assert 0.02 <= time.monotonic() - started < SOON
        await sio.call("flood", 1)  # another namespace's
        with pytest.raises(TimedOut):
            await echo2.wait_for("number", timeout=0)
        await echo2.call("flood", 1)
        assert told(await echo2.wait_for("number", timeout=0)) == ("/echo2", "number", [0])


@ALL_TRANSPORTS
async def test_several_may_wait_for_one_event(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: list[object] = []
        waits = [asyncio.create_task(sio.wait_for(name)) for name in ("number", "number", "echo")]
        await asyncio.sleep(0)
        await sio.call("flood", 2)
        assert [told(await task) for task in waits[:2]] == [("/", "number", [0])] * 2
        sio.on("echo", heard.append)  # who waits sees what a handler gets, too
        await sio.call("echo", "both")
        await handled(sio)
        assert told(await waits[2]) == ("/", "echo", ["both"])
        assert heard == ["both"]
        assert [told(event) for event in await receive(sio, 1)] == [("/", "number", [1])]


class Hook(Watch):
    """Calls a function when something has come, in the turn of the event loop in which the application gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.hook: Callable[[], object] | None = None
        self.name = ""

    def record(self, record: Record) -> None:
        before = self.events(self.name)
        super().record(record)
        if self.hook is not None and self.events(self.name) > before:
            self.hook()


@ALL_TRANSPORTS
@pytest.mark.parametrize("waiters", [1, 2])
async def test_an_event_that_comes_as_its_waiter_is_cancelled_is_not_lost(any_peer: Peer, transports: tuple[str, ...], waiters: int) -> None:
    """If there are two, and one is cancelled, the other has it: then it must not come again."""
    hook = Hook()
    async with connect_socketio(any_peer.url, transports=transports, recorder=hook) as sio:
        await sio.wait_upgraded()
        await welcome(sio)
        waits = [asyncio.create_task(sio.wait_for("hello")) for _ in range(waiters)]
        await asyncio.sleep(0)
        hook.name = "hello"
        # It comes now; the cancellation follows at once, when the waiter has its event and has not run yet.
        hook.hook = lambda: asyncio.get_running_loop().call_soon(waits[0].cancel)
        await sio.call("everyone", "hello", 1)
        hook.hook = None
        async with asyncio.timeout(SOON):
            await asyncio.wait(waits)
        assert waits[0].cancelled()
        await sio.call("everyone", "hello", 2)
        events = [await task for task in waits[1:]] + await receive(sio, 3 - waiters if waiters == 1 else 1)
        assert [event.args for event in events] == [[1], [2]]


@pytest.mark.parametrize("transports", [WEBSOCKET], ids="+".join)
async def test_an_event_that_comes_as_its_waiter_times_out_is_not_lost(any_peer: Peer, transports: tuple[str, ...]) -> None:
    """On a WebSocket, because there it is known how many turns of the event loop lie between the socket and the waiter."""
    hook = Hook()
    async with connect_socketio(any_peer.url, transports=transports, recorder=hook) as sio:
        await welcome(sio)
        waits = asyncio.create_task(sio.wait_for("hello", timeout=0.3))
        await asyncio.sleep(0)
        hook.name = "number"

        def block() -> None:
            # The event comes to the kernel meanwhile. The next turn of the loop begins with seeing that, and with sleeping on, past the waiter's
            # time; so in the turn after that its event and its timeout meet.
            time.sleep(0.15)
            asyncio.get_running_loop().call_soon(time.sleep, 0.25)

        hook.hook = block
        await sio.emit("flood", 1)
        await sio.emit("later", 20, "hello", 1)
        try:
            hello = await waits
        except TimedOut:
            [number, hello] = await receive(sio, 2)
            assert number.name == "number"
        assert told(hello) == ("/", "hello", [1])


@ALL_TRANSPORTS
async def test_waiting_ends_with_the_connection(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        await sio.call("flood", 1)
        waits = asyncio.create_task(sio.wait_for("never comes"))
        await asyncio.sleep(0)
        await sio.close()
        with pytest.raises(ConnectionClosed):
            await waits
        assert (await sio.wait_for("number")).args == [0]
        with pytest.raises(ConnectionClosed):
            await sio.wait_for("number")


# ------------------------------------------------------------------------------------------------------------------------------------------- typed


class Number(msgspec.Struct):
    event: ClassVar[str] = "number"
    i: int


@dataclasses.dataclass
class Said:
    event: ClassVar[str] = "said"
    who: str
    words: list[str]
    loudly: bool = False


class Sized(msgspec.Struct):
    name: str
    size: int = msgspec.field(name="byteSize", default=0)


@ALL_TRANSPORTS
async def test_events_come_as_values_of_the_applications_types(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        await sio.call("flood", 1)
        await sio.call("everyone", "said", "Ada", ["hello"])
        await sio.call("everyone", "said", {"who": "Bob", "words": [], "loudly": True})
        await sio.call("everyone", "unknown", 1)
        await sio.call("everyone", "number", {"i": 7})
        found: list[object] = []
        async with asyncio.timeout(SOON):
            async for event in sio.events(Number | Said):
                found.append(told(event) if isinstance(event, EventReceived) else event)
                if len(found) == 5:
                    break
        assert found == [Number(0), Said("Ada", ["hello"]), Said("Bob", [], True), ("/", "unknown", [1]), Number(7)]


@ALL_TRANSPORTS
async def test_a_mapping_or_a_name_says_which_type_is_for_what(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(sio)
        await welcome(echo2)
        typed = sio.events({"file": Sized, "pair": tuple[int, str], "whole": list[int], "maybe": int | None})
        for name, *args in (
            ("file", "a"),
            ("file", {"name": "b", "byteSize": 3}),
            ("pair", 1, "x"),
            ("whole", [1, 2]),
            ("maybe", None),
            ("maybe", 5),
        ):
            await sio.call("everyone", name, *args)
        async with asyncio.timeout(SOON):
            assert [await anext(typed) for _ in range(6)] == [Sized("a"), Sized("b", 3), (1, "x"), [1, 2], None, 5]
            named = echo2.events(Sized, name="number")
            await echo2.call("everyone", "number", "n", 2)
            assert await anext(named) == Sized("n", 2)
            await sio.leave()
            await echo2.leave()
            assert [event async for event in typed] == []


@ALL_TRANSPORTS
async def test_what_does_not_fit_is_said_and_the_next_one_comes(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        typed = sio.events({"number": Number, "said": Said})
        for name, *args in (("number", "seven"), ("said", "Ada"), ("number", 1, 2), ("said", {"who": 1, "words": []}), ("number", 8)):
            await sio.call("everyone", name, *args)
        told: list[PayloadMismatch] = []
        async with asyncio.timeout(SOON):
            for _ in range(4):
                with pytest.raises(PayloadMismatch) as caught:
                    await anext(typed)
                told.append(caught.value)
            assert await anext(typed) == Number(8)
        assert [(error.event, error.model, error.cause) for error in told] == [
            (name, name.title(), Cause.PAYLOAD_MISMATCH) for name in ("number", "said", "number", "said")
        ]
        assert [error.problem for error in told] == [
            "Expected `int`, got `str` - at `$.i`",
            "Object missing required field `words`",
            "Expected at most 1 arguments, got 2",
            "Expected `str`, got `int` - at `$.who`",
        ]
        assert "'number'" in str(told[0])
        assert "Number" in str(told[0])
        assert "['seven']" in str(told[0])
        assert sio.closed is None


@ALL_TRANSPORTS
async def test_a_handler_may_have_a_model(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: list[object] = []
        with unhandled() as said:
            sio.on("said", heard.append, model=Said)
            sio.once("number", heard.append, model=Number)

            @sio.on("question", model=Sized)
            async def question(asked: Sized) -> object:
                return asked.size + 1

            await sio.call("everyone", "said", "Ada", ["hello"], True)
            await sio.call("everyone", "said", "Bob")
            await sio.call("everyone", "said", {"who": "Cyd", "words": []})
            await sio.call("flood", 2)
            assert await sio.call("askme", {"name": "x", "byteSize": 41}) == 42
            await handled(sio)
        assert heard == [Said("Ada", ["hello"], True), Said("Cyd", []), Number(0)]
        assert [type(context["exception"]) for context in said] == [PayloadMismatch]


@ALL_TRANSPORTS
async def test_a_type_that_says_no_event_is_refused_here(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        for models in (Sized, Number | Sized, int):
            with pytest.raises(LocalProtocolError) as caught:
                sio.events(models)
            assert caught.value.cause is Cause.BAD_OPTION
        assert isinstance(sio, SocketIOClient)
        assert await sio.call("echo", 1) == 1
