"""Listeners for what leaves, against real servers and beside the reference client.

What is promised: a listener is called for every event of ours that is passed to the connection, as often as it is and in that order, with what is
sent; for nothing else; and whatever it does, what leaves leaves as it would have.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from engineio_lite import Cause, LocalProtocolError
from engineio_lite.aio import Namespace, SocketIOClient, Stage, connect_socketio
from engineio_lite.socketio import PacketType, Reconnected, Reconnecting, ReconnectPolicy
from tests.aio.features import ALL_TRANSPORTS, BOTH, POLLING, SOON, WEBSOCKET, Watch, unhandled, welcome
from tests.peers import HERE, Peer
from tests.peers.proxy import Proxy

pytestmark = [pytest.mark.peer, pytest.mark.timeout(30)]

SOON_AGAIN = ReconnectPolicy(delay=0.1)


class Ear:
    """A listener that remembers what it hears."""

    def __init__(self, namespace: Namespace) -> None:
        self.heard: list[list[object]] = []
        namespace.on_any_outgoing(self)

    def __call__(self, name: str, *args: object) -> None:
        self.heard.append([name, *args])

    @property
    def names(self) -> list[object]:
        return [name for name, *_ in self.heard]


def written(watch: Watch, namespace: str = "/") -> list[Any]:
    """The events that have crossed the wire on their way to the server."""
    return [packet.data for packet in watch.sent if packet.type is PacketType.EVENT and packet.namespace == namespace]


async def counted(sio: SocketIOClient) -> tuple[int, bool]:
    """How many events `count` the server has got since the last time, and whether their numbers were 0, 1, 2, ..."""
    report = await sio.call("report")
    return report["received"], report["inOrder"]


def at_once(emitting: Coroutine[Any, Any, object]) -> None:
    """Begin a coroutine here and now, as an eager task would; for one that needs not wait."""
    with suppress(StopIteration):
        emitting.send(None)
        pytest.fail("it waits for something")


class Interruption:
    """What is to be done between the loss of a connection and the next one."""

    def __init__(self, sio: SocketIOClient) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Reconnecting] = loop.create_future()
        self.back: asyncio.Future[Reconnected] = loop.create_future()
        sio.once(Reconnecting, self.lost.set_result)
        sio.once(Reconnected, self.back.set_result)


# ------------------------------------------------------------------------------------------------------------------------------------ what is heard


@ALL_TRANSPORTS
async def test_every_event_of_a_namespace_is_heard_before_emit_returns(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        here, there = Ear(sio), Ear(echo2)
        await sio.emit("count", 0)
        assert here.heard == [["count", 0]]
        await sio.emit("echo", b"\x01", {"deep": [b"\x02"]}, ack=True)
        assert here.heard[1:] == [["echo", b"\x01", {"deep": [b"\x02"]}]]
        await echo2.emit("count", 1)
        assert (len(here.heard), there.heard) == (2, [["count", 1]])
        await sio.emit("echo", callback=lambda *_: None)
        await echo2.call("echo", 2)
        await sio.call("echo", 3, retries=1)
        assert here.names == ["count", "echo", "echo", "echo"]
        assert there.names == ["count", "echo"]
        assert written(watch) == here.heard
        assert written(watch, "/echo2") == there.heard


@ALL_TRANSPORTS
async def test_answers_and_what_is_no_event_are_not_heard(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        ear = Ear(sio)
        sio.on("question", lambda asked: asked + 1)
        assert await sio.call("askme", 41) == 42
        echo2 = await sio.namespace("/echo2")
        other = Ear(echo2)
        await echo2.leave()
        await sio.call("echo")
    assert watch.acks() != []
    assert (ear.names, other.heard) == (["askme", "echo"], [])


@ALL_TRANSPORTS
async def test_what_has_waited_is_heard_when_it_is_released(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch, reconnect=SOON_AGAIN) as sio:
        echo2 = await sio.namespace("/echo2")
        ear, other = Ear(sio), Ear(echo2)
        meanwhile = Interruption(sio)
        await sio.emit("drop")
        await meanwhile.lost
        waiting = [await sio.emit("count", 0), await echo2.emit("count", [2]), await sio.emit("count", 1)]
        assert (await sio.emit("count", 4, volatile=True)).stage is Stage.DROPPED
        assert (ear.names, other.heard) == (["drop"], [])
        await meanwhile.back
        for delivery in waiting:
            await delivery.written()
        assert (ear.heard, other.heard) == ([["drop"], ["count", 0], ["count", 1]], [["count", [2]]])
        assert await counted(sio) == (2, True)
        assert written(watch) == ear.heard
        assert written(watch, "/echo2") == other.heard


@ALL_TRANSPORTS
async def test_what_is_repeated_is_heard_each_time(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports, recorder=watch, reconnect=SOON_AGAIN) as sio:
        await sio.wait_upgraded()  # what is on its way then would be sent on both
        ear = Ear(sio)
        meanwhile = Interruption(sio)
        never = await sio.emit("never", 1, timeout=60.0, retries=0)
        await watch.until(lambda: written(watch) == [["never", 1]])
        proxy.cut()
        await meanwhile.back
        await watch.until(lambda: written(watch) == 2 * [["never", 1]])
        assert ear.heard == 2 * [["never", 1]]
        assert never.stage is Stage.QUEUED


@ALL_TRANSPORTS
async def test_what_is_repeated_by_time_is_heard_each_time(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        ear = Ear(sio)
        never = await sio.emit("never", timeout=0.05, retries=2)
        assert await sio.call("echo", 1, retries=0, timeout=SOON) == 1
        assert never.stage is Stage.FAILED
        assert ear.heard == [["never"], ["never"], ["never"], ["echo", 1]]


async def test_a_volatile_event_is_heard_if_it_leaves(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url, transports=POLLING) as sio:
        ear = Ear(sio)
        await sio.drain()
        first, second = await sio.emit("count", 0, volatile=True), await sio.emit("count", 1, volatile=True)
        await first.written()
        assert second.stage is Stage.DROPPED  # the first one's POST was not answered yet
        assert await counted(sio) == (1, True)
        assert ear.heard == [["count", 0], ["report"]]


@ALL_TRANSPORTS
async def test_what_is_refused_is_not_heard(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, offline="raise", reconnect=SOON_AGAIN) as sio:
        ear = Ear(sio)
        with pytest.raises(LocalProtocolError):
            await sio.emit("echo", object())
        with pytest.raises(LocalProtocolError):
            await sio.emit("connect")
        meanwhile = Interruption(sio)
        await sio.emit("drop")
        await meanwhile.lost
        with pytest.raises(LocalProtocolError):
            await sio.emit("echo")
        await meanwhile.back
        await sio.call("echo")
        assert ear.names == ["drop", "echo"]


# --------------------------------------------------------------------------------------------------------------------------------------- who hears


async def test_listeners_are_called_in_order_and_until_they_are_taken_off(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url) as sio:
        heard: list[object] = []

        @sio.on_any_outgoing
        def second(name: str, number: int) -> None:
            heard.append(("second", name, number))

        @sio.on_any_outgoing(prepend=True)
        def first(name: str, number: int) -> None:
            heard.append(("first", name, number))

        await sio.emit("count", 0)
        assert heard == [("first", "count", 0), ("second", "count", 0)]
        sio.off_any_outgoing(first)
        sio.off()  # is about what comes
        await sio.emit("count", 1)
        assert heard[2:] == [("second", "count", 1)]
        sio.on_any_outgoing(first)
        sio.off_any_outgoing()
        await sio.emit("count", 2)
        assert heard[3:] == []
        assert await counted(sio) == (3, True)


async def test_one_that_is_taken_off_by_another_is_not_called_any_more(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url) as sio:
        ear = Ear(sio)
        sio.on_any_outgoing(lambda *_: sio.off_any_outgoing(ear), prepend=True)
        await sio.call("echo")
        assert ear.heard == []


async def test_a_namespace_that_is_joined_anew_has_no_listeners_and_one_that_comes_back_keeps_them(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url, reconnect=SOON_AGAIN) as sio:
        echo2 = await sio.namespace("/echo2")
        before = Ear(echo2)
        await echo2.call("echo", 1)
        meanwhile = Interruption(sio)
        await sio.emit("drop")
        await meanwhile.back
        await echo2.call("echo", 2)
        await echo2.leave()
        again = await sio.namespace("/echo2")
        await again.call("echo", 3)
        after = Ear(again)
        await again.call("echo", 4)
        assert (before.heard, after.heard) == ([["echo", 1], ["echo", 2]], [["echo", 4]])


# ------------------------------------------------------------------------------------------------------------------------------- what listeners do


class Mine(Exception):
    """Raised by a listener."""


@ALL_TRANSPORTS
async def test_what_a_listener_raises_is_reported_and_stops_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, reconnect=SOON_AGAIN) as sio:
        errors: list[BaseException] = [Mine("one"), asyncio.CancelledError(), Mine("two")]

        @sio.on_any_outgoing
        def raises(*_: object) -> None:
            if errors:
                raise errors.pop()

        ear = Ear(sio)
        with unhandled() as said:
            assert await sio.call("echo", 1) == 1
            meanwhile = Interruption(sio)
            await sio.emit("drop")
            await meanwhile.lost
            await sio.emit("count", 0)
            await meanwhile.back
            assert await counted(sio) == (1, True)
        assert [str(context["exception"]) for context in said] == ["two", "", "one"]
        assert {context["message"].split(" ")[-2].rpartition(".")[2] for context in said} == {"raises"}
        assert ear.names == ["echo", "drop", "count", "report"]


async def test_a_coroutine_function_is_refused(any_peer: Peer) -> None:
    async def listener(*_: object) -> None:
        raise AssertionError("never called")

    async with connect_socketio(any_peer.url) as sio:
        for register in (sio.on_any_outgoing, sio.on_any_outgoing(prepend=True)):
            with pytest.raises(LocalProtocolError, match="plain function") as caught:
                register(listener)
            assert caught.value.cause is Cause.BAD_OPTION
        sio.on_any_outgoing(lambda *_: listener())  # which cannot be seen before it is called
        ear = Ear(sio)
        with unhandled() as said:
            await sio.call("echo")
        assert [getattr(context["exception"], "cause", None) for context in said] == [Cause.BAD_OPTION]
        assert ear.names == ["echo"]


async def test_a_listener_that_changes_an_argument_does_not_change_what_is_sent(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url) as sio:
        sio.on_any_outgoing(lambda name, listed: listed.append("changed"))
        mine = ["as it was"]
        assert await sio.call("echo", mine) == ["as it was"]
        assert mine == ["as it was", "changed"]


@ALL_TRANSPORTS
async def test_a_listener_that_emits_at_each_call_goes_on_until_it_is_taken_off_and_holds_up_nothing(
    any_peer: Peer, transports: tuple[str, ...]
) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        ear = Ear(sio)
        tasks: set[asyncio.Task[Any]] = set()

        @sio.on_any_outgoing
        def echoes(name: str, *_: object) -> None:
            if name == "count":
                task = asyncio.create_task(sio.emit("count", ear.names.count("count")))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        await sio.emit("count", 0)
        while len(ear.heard) < 50:
            assert await sio.call("echo", "meanwhile") == "meanwhile"
        sio.off_any_outgoing()
        while tasks:
            await asyncio.wait(tasks)
        # The last one was emitted while nobody listened any more, if it was.
        assert await counted(sio) in [(ear.names.count("count") + more, True) for more in (0, 1)]


@ALL_TRANSPORTS
async def test_what_a_listener_emits_at_once_follows_what_is_under_way_and_is_heard_in_the_next_turn(
    any_peer: Peer, transports: tuple[str, ...]
) -> None:
    async with connect_socketio(any_peer.url, transports=transports, reconnect=SOON_AGAIN) as sio:
        ear = Ear(sio)
        depth = deepest = 0

        @sio.on_any_outgoing
        def echoes(name: str, number: int = 0) -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(deepest, depth)
            if name == "count" and number < 3:
                at_once(sio.emit("count", number + 3))
            depth -= 1

        meanwhile = Interruption(sio)
        await sio.emit("drop")
        await meanwhile.lost
        for number in range(3):
            await sio.emit("count", number)
        await meanwhile.back
        assert await counted(sio) == (6, True)
        assert deepest == 1
        assert ear.heard == [["drop"], *(["count", number] for number in range(6)), ["report"]]


async def test_one_that_emits_at_once_at_each_call_does_not_hold_up_the_event_loop(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url, transports=WEBSOCKET) as sio:
        await welcome(sio)
        rounds = 0

        @sio.on_any_outgoing
        def echoes(name: str, *_: object) -> None:
            nonlocal rounds
            rounds += 1
            if name == "nothing":
                task = sio.emit("nothing")
                with suppress(StopIteration):
                    task.send(None)
                task.close()

        await sio.emit("nothing")
        before = rounds
        assert await sio.call("echo", 1) == 1
        assert rounds > before + 1
        sio.off_any_outgoing()
        assert await sio.call("echo", 2) == 2


# ------------------------------------------------------------------------------------------------------------------------------ beside the reference

_REFERENCE = """
const { io } = require(process.argv[1] + "/node_modules/socket.io-client");
const transports = JSON.parse(process.argv[3]);
const by = transports.join("+");
const plain = (value) => (value instanceof Uint8Array ? { bytes: [...value] } : value);
const say = (who) => (...event) => console.log(JSON.stringify([who, ...event.map(plain)]));
(async () => {
  const socket = io(process.argv[2], { transports, reconnectionDelay: 50 });
  const other = io(process.argv[2] + "/echo2", { transports });
  socket.onAnyOutgoing(say("/"));
  other.onAnyOutgoing(say("/echo2"));
  const connected = (which) => new Promise((resolve) => (which.connected ? resolve() : which.once("connect", resolve)));
  await Promise.all([connected(socket), connected(other)]);
  socket.on("question", (asked, answer) => answer(asked + 1));
  socket.emit("count", 1, Buffer.from([1, 2]));
  await socket.emitWithAck("askme", 41);
  if (by === "polling") {
    socket.emit("count", 2);
    socket.volatile.emit("count", 3);  // is dropped, as the POST is under way
  }
  if (by === "websocket") socket.volatile.emit("count", 3);
  await other.emitWithAck("echo", "there");
  const back = new Promise((resolve) => {
    socket.once("disconnect", () => {
      socket.emit("count", 4);
      socket.timeout(10000).emit("echo", { waits: true }, () => {});
      socket.once("connect", resolve);
    });
  });
  socket.io.engine.close();
  await back;
  await connected(other);
  await socket.emitWithAck("echo", "back");
  await other.emitWithAck("echo", "too");
  const patient = io(process.argv[2], { transports, forceNew: true, retries: 1, ackTimeout: 10000 });
  patient.onAnyOutgoing(say("patient"));
  patient.timeout(200).emit("never", 1);
  await patient.emitWithAck("echo", 2);
  process.exit(0);
})();
"""


def plain(value: object) -> object:
    return {"bytes": list(value)} if isinstance(value, bytes) else value


async def ours(peer: Peer, transports: tuple[str, ...]) -> list[list[object]]:
    """What our listeners hear in the story that `_REFERENCE` tells."""
    heard: list[list[object]] = []

    def listen(namespace: Namespace, who: str) -> None:
        namespace.on_any_outgoing(lambda *event: heard.append([who, *map(plain, event)]))

    async with Proxy(peer) as proxy, connect_socketio(proxy.url, transports=transports, reconnect=SOON_AGAIN) as sio:
        other = await sio.namespace("/echo2")
        listen(sio, "/")
        listen(other, "/echo2")
        sio.on("question", lambda asked: asked + 1)
        await sio.emit("count", 1, b"\x01\x02")
        await sio.call("askme", 41)
        if transports == POLLING:
            await sio.drain()
            await sio.emit("count", 2)
        if transports != BOTH:
            await sio.emit("count", 3, volatile=True)
        await other.call("echo", "there")
        meanwhile = Interruption(sio)
        proxy.cut()
        await meanwhile.lost
        await sio.emit("count", 4)
        await sio.emit("echo", {"waits": True}, ack=True, timeout=10)
        await meanwhile.back
        await sio.call("echo", "back")
        await other.call("echo", "too")
    async with connect_socketio(peer.url, transports=transports, retries=1, ack_timeout=10) as patient:
        listen(patient, "patient")
        await patient.emit("never", 1, timeout=0.2)
        await patient.call("echo", 2)
    return heard


@ALL_TRANSPORTS
@pytest.mark.usefixtures("node_client")
async def test_the_reference_client_hears_the_same(any_peer: Peer, transports: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        "node", "-e", _REFERENCE, str(HERE), any_peer.url, json.dumps(transports), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    theirs = [json.loads(line) for line in output.splitlines()]
    assert await ours(any_peer, transports) == theirs
    volatile = {"polling": [2], "websocket": [3]}.get("+".join(transports), [])  # by polling the one before it goes, and it is dropped
    assert [event[2] for event in theirs if event[1] == "count"] == [1, *volatile, 4]
