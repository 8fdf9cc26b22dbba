"""What becomes of what we say, against real servers: acknowledgements, binary, the msgpack parser, delivery; see `features.py` for the matrix.

Whatever is emitted is answered for: it is queued, written, acknowledged, dropped or failed, and somebody who waits for that is told, whatever
happens.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engineio_lite import (
    AckTimeout,
    Cause,
    CloseReason,
    ConnectionClosed,
    ConnectRefused,
    EngineIOError,
    Limits,
    LocalProtocolError,
    TimedOut,
    Timeouts,
)
from engineio_lite.aio import Delivery, Namespace, SocketIOClient, Stage, connect_socketio
from engineio_lite.socketio import MSGPACK, EventReceived, PacketType
from tests.aio.features import ALL_KINDS, ALL_TRANSPORTS, POLLING, SOON, WEBSOCKET, Lend, Watch, lending, welcome
from tests.peers import Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

pytestmark = [pytest.mark.peer, pytest.mark.timeout(30)]

AT_ONCE = 0.02
"""Seconds, where a test wants a time to be over soon."""

DEEP: dict[str, Any] = {"a": [b"", {"b": {"c": [[b"\x00\xff" * 500], None]}}], "text": "grüße \U0001f600", "d": b"end"}


@pytest.fixture(scope="module")
def lend() -> Iterator[Lend]:
    """Servers with options, shared by this module."""
    with lending() as lend:
        yield lend


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers that are asked to `record` write."""
    return tmp_path_factory.mktemp("features") / "log"


async def next_named(source: Namespace, name: str) -> EventReceived:
    async with asyncio.timeout(SOON):
        return await source.wait_for(name)


async def failing(waits: Any) -> EngineIOError:
    """What an awaitable raises, and soon."""
    with pytest.raises(EngineIOError) as caught:
        async with asyncio.timeout(SOON):
            await waits
    return caught.value


# ------------------------------------------------------------------------------------------------------------------------------ their answers to us


@ALL_TRANSPORTS
async def test_ids_count_from_0_in_each_namespace(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        await sio.emit("count", 0)  # asks for nothing
        delivery = await sio.emit("echo", 1, ack=True)
        assert await sio.call("echo", 2) == 2
        assert await echo2.call("echo", b"3") == b"3"
        called: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        await sio.emit("echo", 4, callback=called.set_result)
        assert await sio.call("echo", 5, retries=1) == 5
        assert await echo2.call("echo", 6) == 6
        assert (await delivery.acknowledged(), await called) == (1, 4)
        assert watch.asked() == [("/", 0), ("/", 1), ("/echo2", 0), ("/", 2), ("/", 3), ("/echo2", 1)]


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ((), None),
        ((None,), None),
        ((0,), 0),
        (("",), ""),
        (([],), []),
        ((1, None), [1, None]),
        (([1, 2],), [1, 2]),
        ((DEEP,), DEEP),
        ((b"", DEEP), [b"", DEEP]),
    ],
    ids=["nothing", "None", "0", "text", "empty", "two", "list", "binary", "two-binary"],
)
async def test_an_answer_is_its_value_or_its_values(any_peer: Peer, transports: tuple[str, ...], sent: tuple[object, ...], answer: object) -> None:
    called: list[tuple[object, ...]] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        assert await sio.call("echo", *sent) == answer
        delivery = await sio.emit("echo", *sent, callback=lambda *args: called.append(args))
        assert await delivery.acknowledged() == answer
        assert await delivery.acknowledged() == answer  # asked again it says the same
        assert delivery.stage is Stage.ACKNOWLEDGED
        await sio.call("echo")
    assert called == [sent]


@ALL_TRANSPORTS
async def test_a_callback_has_its_turn_among_the_handlers(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        heard: asyncio.Queue[object] = asyncio.Queue()

        @sio.on("number")
        async def number(i: int) -> None:
            await asyncio.sleep(0)
            await heard.put(i)

        async def called(*args: object) -> None:
            await asyncio.sleep(0)
            await heard.put(("called", *args))

        await sio.emit("flood", 2, callback=called)
        await sio.emit("echo", "x", b"y", callback=called)
        async with asyncio.timeout(SOON):
            # python-socketio handles the two beside each other, so it may answer the second before the first.
            expected = [0, 1, ("called",), ("called", "x", b"y")]
            got = [await heard.get() for _ in expected]
        assert got == expected if any_peer.kind == "node" else Counter(map(repr, got)) == Counter(map(repr, expected))


@ALL_TRANSPORTS
async def test_what_a_callback_raises_goes_to_the_event_loop(any_peer: Peer, transports: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    before, said = loop.get_exception_handler(), asyncio.Queue[dict[str, Any]]()

    def fails(value: object) -> None:
        raise ValueError(value)

    async with connect_socketio(any_peer.url, transports=transports) as sio:
        loop.set_exception_handler(lambda _, context: said.put_nowait(context))
        try:
            delivery = await sio.emit("echo", 7, callback=fails)
            async with asyncio.timeout(SOON):
                assert repr((await said.get())["exception"]) == "ValueError(7)"
        finally:
            loop.set_exception_handler(before)
        assert delivery.stage is Stage.ACKNOWLEDGED
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
async def test_an_answer_has_its_time(any_peer: Peer, transports: tuple[str, ...]) -> None:
    called: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        delivery = await sio.emit("never", 1, timeout=AT_ONCE, callback=called.append)
        errors = [await failing(sio.call("never", 1, timeout=AT_ONCE)), await failing(delivery.acknowledged())]
        for error in errors:
            assert isinstance(error, AckTimeout)
            assert (error.cause, error.stage, error.name, error.timeout) == (Cause.ACK_TIMEOUT, "namespace", "never", AT_ONCE)
        assert (delivery.stage, delivery.error) == (Stage.FAILED, errors[1])
        assert (await failing(sio.call("never", timeout=0))).cause is Cause.ACK_TIMEOUT
        assert await sio.call("echo", 1) == 1
    assert called == []


@ALL_TRANSPORTS
async def test_the_client_has_a_usual_time(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, ack_timeout=AT_ONCE) as sio:
        await welcome(sio)
        patient = asyncio.create_task(sio.call("askme", timeout=None))  # answered when we have answered
        for waits in (sio.call("never"), (await sio.emit("never", ack=True)).acknowledged()):
            assert (await failing(waits)).cause is Cause.ACK_TIMEOUT
        await sio.acknowledge(await next_named(sio, "question"), "at last")
        assert await patient == "at last"
    for wrong in (0, -1):
        assert (await failing(connect_socketio(any_peer.url, transports=transports, ack_timeout=wrong))).cause is Cause.BAD_OPTION


@ALL_TRANSPORTS
async def test_an_answer_that_comes_late_is_nobodys(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        await welcome(sio)
        assert (await failing(sio.call("askme", "late", timeout=AT_ONCE))).cause is Cause.ACK_TIMEOUT
        cancelled = asyncio.create_task(sio.call("askme", "cancelled"))
        questions = [await next_named(sio, "question") for _ in range(2)]
        cancelled.cancel()
        assert [question.args for question in questions] == [["late"], ["cancelled"]]
        for question in questions:
            await sio.acknowledge(question, "too late")
        # They have come, and nothing that waits has taken them for its own.
        await watch.until(lambda: [packet.id for packet in watch.received if packet.type is PacketType.ACK] == [0, 1])
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
@pytest.mark.parametrize("event", ["ackstwice", "ackunknown"])
async def test_answers_that_nobody_asked_for_are_ignored(any_peer: Peer, transports: tuple[str, ...], event: str) -> None:
    watch = Watch()
    called: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        for namespace in (sio, echo2):
            assert await namespace.call(event, "x", b"y") == ["x", b"y"]
            delivery = await namespace.emit(event, namespace.name, callback=called.append)
            assert await delivery.acknowledged() == namespace.name
            await namespace.emit(event, "asks for nothing")
            assert await namespace.call("echo", "the next") == "the next"
        ids = [packet.id for packet in watch.received if packet.type is PacketType.ACK and packet.namespace == "/echo2"]
        other = {"ackstwice": 0, "ackunknown": 9999}[event]
        assert ids.count(other) == (2 if event == "ackstwice" else 3)
        assert sio.closed is None
    assert called == ["/", "/echo2"]


@ALL_TRANSPORTS
async def test_calls_are_bounded_in_number(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports, limits=Limits(max_pending_calls=2)) as sio:
        pending = [asyncio.create_task(sio.call("never")) for _ in range(2)]
        await asyncio.sleep(0)
        for waits in (sio.call("echo", 1), sio.emit("echo", 1, ack=True)):
            assert (await failing(waits)).cause is Cause.TOO_MANY_CALLS
        await sio.emit("count", 0)
        for task in pending:
            task.cancel()


@ALL_TRANSPORTS
@ALL_KINDS
async def test_whoever_waits_is_told_when_the_server_dies(kind: Kind, peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server(kind)
    called: list[object] = []
    async with connect_socketio(peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await sio.wait_upgraded()
        await welcome(sio)
        await welcome(echo2)
        deliveries = [
            await sio.emit("never", callback=called.append),
            await echo2.emit("never", ack=True, timeout=60),
            await sio.emit("never", retries=9),
        ]
        await sio.call("echo", "all is said")
        await next_named(sio, "echo")
        waits = [
            asyncio.create_task(wait)
            for wait in (
                sio.call("never"),
                echo2.call("never", timeout=None),
                sio.call("never", retries=9),
                sio.wait_for("never comes"),
                echo2.wait_for("never comes"),
                sio.receive(),
                echo2.receive(),
                sio.drain(),
                *(delivery.acknowledged() for delivery in deliveries),
            )
        ]
        await asyncio.sleep(0)
        peer.kill()
        errors = [await failing(task) for task in waits]
        assert sio.closed is not None
        ends = {Cause.CONNECTION_LOST, Cause.WEBSOCKET_CLOSED, Cause.CONNECT_REFUSED}
        for error in errors:
            # It is the network's own error, or has that for its reason.
            assert {error.cause, getattr(error.__cause__, "cause", None)} & ends, repr(error)
        assert {delivery.stage for delivery in deliveries} == {Stage.FAILED}
        assert all(delivery.error is not None for delivery in deliveries)
        for sending in (sio.emit("echo", 1), sio.call("echo", 1), echo2.emit("echo", 1), sio.drain(), echo2.leave()):
            assert (await failing(sending)).cause in ends
        await sio.close(drain=True)  # there is nothing more to wait for
    assert called == []


# ------------------------------------------------------------------------------------------------------------------------------ our answers to them


@ALL_TRANSPORTS
async def test_a_question_is_answered_exactly_once(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        welcomed = await next_named(sio, "welcome")
        for n, namespace in enumerate((sio, echo2)):
            call = asyncio.create_task(namespace.call("askme", "what?"))
            question = await next_named(namespace, "question")
            assert question.ack_id is not None
            await namespace.acknowledge(question, n, "first")
            for args in ((), (n, "first"), ("second",)):
                with pytest.raises(LocalProtocolError) as caught:
                    await namespace.acknowledge(question, *args)
                assert caught.value.cause is Cause.ACK_NOT_AWAITED
            assert await call == [n, "first"]
        with pytest.raises(LocalProtocolError) as caught:
            await sio.acknowledge(welcomed)
        assert caught.value.cause is Cause.ACK_NOT_AWAITED
        assert [(namespace, values) for namespace, _, values in watch.acks()] == [("/", [0, "first"]), ("/echo2", [1, "first"])]


@ALL_TRANSPORTS
async def test_an_answer_that_cannot_be_sent_leaves_the_question_open(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        call = asyncio.create_task(sio.call("askme"))
        question = await next_named(sio, "question")
        for wrong in (object(), {1: 2}, float("nan")):
            with pytest.raises(LocalProtocolError):
                await sio.acknowledge(question, wrong)
        await sio.acknowledge(question, "now")
        assert await call == "now"


@ALL_TRANSPORTS
async def test_questions_are_answered_in_any_order(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        call = asyncio.create_task(sio.call("asktwo"))
        questions = [await next_named(sio, "question") for _ in range(2)]
        for question in sorted(questions, key=lambda question: -int(question.args[0])):  # type: ignore[call-overload]  # a number
            await sio.acknowledge(question, question.args[0], b"of it")
        assert await call == [1, b"of it", 2, b"of it"]


# ------------------------------------------------------------------------------------------------------------------------------------------- binary


@ALL_TRANSPORTS
async def test_bytes_go_at_any_depth_in_events_and_answers_both_ways(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        for namespace in (sio, echo2):
            await welcome(namespace)
            answer = await namespace.call("echo", bytearray(b"one"), memoryview(b"two"), (b"three", ()), DEEP)
            assert answer == [b"one", b"two", [b"three", []], DEEP]
            assert (await next_named(namespace, "echo")).args == answer
            call = asyncio.create_task(namespace.call("askbinary"))
            question = await next_named(namespace, "question")
            assert question.args == [b"\x01\x02\x03", {"nested": [b"\xff", {"deep": b""}], "text": "grüße"}]
            await namespace.acknowledge(question, *question.args, DEEP)
            assert await call == [*question.args, DEEP]
            assert (await next_named(namespace, "answer")).args == [*question.args, DEEP]


@ALL_TRANSPORTS
async def test_bytes_go_across_the_upgrade(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer, delay=0.002) as proxy, connect_socketio(proxy.url, transports=transports) as sio:
        await welcome(sio)
        upgraded = asyncio.create_task(sio.wait_upgraded())
        answers: list[asyncio.Task[object]] = []
        for i in count():
            answers += [asyncio.create_task(sio.call("echo", i, n, bytes([i % 256]) * 100, [{"n": str(n).encode()}])) for n in range(5)]
            await asyncio.wait(answers[-5:])
            if upgraded.done() and i >= 5:
                break
        assert await upgraded is (transports[-1] == "websocket")
        wanted = [[i, n, bytes([i % 256]) * 100, [{"n": str(n).encode()}]] for i in range(len(answers) // 5) for n in range(5)]
        assert [await answer for answer in answers] == wanted
        assert [(await next_named(sio, "echo")).args for _ in wanted] == wanted


@ALL_TRANSPORTS
async def test_concurrent_events_with_bytes_stay_whole(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        payloads = [[f"{n}.{i}".encode() * 50 for i in range(n % 5)] for n in range(100)]
        answers = await asyncio.gather(*(sio.call("echo", n, payload) for n, payload in enumerate(payloads)))
        assert answers == [[n, payload] for n, payload in enumerate(payloads)]


@ALL_TRANSPORTS
async def test_what_cannot_be_sent_is_refused_whole(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        before = len(watch.messages)
        loop: list[object] = []
        loop.append(loop)
        wrong: list[tuple[str, object]] = [("echo", object()), ("echo", {b"k": 1}), ("echo", float("inf")), ("echo", loop), ("echo", [b"x"] * 11)]
        for name, value in [*wrong, ("connect", 1), ("disconnect", 1)]:
            for sending in (sio.emit(name, value), sio.call(name, value), sio.emit(name, value, ack=True), sio.emit(name, value, retries=1)):
                with pytest.raises(LocalProtocolError):
                    await sending
        assert await sio.call("echo", 1) == 1
        assert len(watch.messages) == before + 1
        assert watch.asked() == [("/", 0)]  # no id was used up


# ------------------------------------------------------------------------------------------------------------------------------------------ msgpack


@ALL_TRANSPORTS
@ALL_KINDS
async def test_msgpack_carries_events_answers_bytes_and_namespaces(kind: Kind, lend: Lend, transports: tuple[str, ...]) -> None:
    watch = Watch(MSGPACK)
    peer = lend(kind, parser="msgpack")
    async with connect_socketio(peer.url, transports=transports, parser="msgpack", auth={"n": [1, b"2"]}, recorder=watch) as sio:
        admin = await sio.namespace("/admin", auth=lambda: {"token": "letmein"})
        for namespace, auth in ((sio, {"n": [1, b"2"]}), (admin, {"token": "letmein"})):
            assert (await welcome(namespace))["auth"] == auth
            # No more than some 64 kB: python-engineio cuts what comes in one POST and is larger, and answers 200.
            values: list[object] = [
                0,
                -1,
                2**31,
                -(2**31),
                2**53,
                1.5,
                True,
                None,
                "grüße \U0001f600",
                "x" * 20_000,
                b"\x00\xff" * 10_000,
                [],
                {},
                DEEP,
            ]
            assert await namespace.call("echo", *values) == values
            assert (await next_named(namespace, "echo")).args == values
            assert await namespace.call("echo") is None
            call = asyncio.create_task(namespace.call("askbinary"))
            question = await next_named(namespace, "question")
            assert question.args == [b"\x01\x02\x03", {"nested": [b"\xff", {"deep": b""}], "text": "grüße"}]
            await namespace.acknowledge(question, *question.args)
            with pytest.raises(LocalProtocolError):
                await namespace.acknowledge(question)
            assert await call == question.args
            assert (await namespace.call("whoami"))["sid"] == namespace.sid
        assert all(isinstance(message, bytes) for message in watch.messages)
        assert watch.asked() == [(name, id) for name in ("/", "/admin") for id in range(4)]
        assert await sio.wait_upgraded() is (transports[-1] == "websocket")
        assert await sio.call("transport") == transports[-1]


@ALL_TRANSPORTS
@ALL_KINDS
async def test_msgpack_carries_two_thousand_each_way_while_the_upgrade_happens(kind: Kind, lend: Lend, transports: tuple[str, ...]) -> None:
    async with connect_socketio(lend(kind, parser="msgpack").url, transports=transports, parser="msgpack") as sio:
        await sio.emit("stream", 2000)
        for i in range(2000):
            await sio.emit("count", i)
        await welcome(sio)
        async with asyncio.timeout(SOON):
            assert [(await sio.receive()).args for _ in range(2000)] == [[i] for i in range(2000)]
        assert await sio.call("report") == {"received": 2000, "inOrder": True, "last": 1999}


@ALL_TRANSPORTS
@ALL_KINDS
async def test_msgpack_carries_refusals_and_leaves(kind: Kind, lend: Lend, transports: tuple[str, ...]) -> None:
    peer = lend(kind, parser="msgpack")
    with pytest.raises(ConnectRefused) as caught:
        await connect_socketio(f"{peer.url}/admin", transports=transports, parser="msgpack", auth={"token": "guess"})
    assert (caught.value.refusal, caught.value.data) == ("not authorized", {"code": 7})
    key = f"msgpack by {'+'.join(transports)}"
    async with connect_socketio(peer.url, transports=transports, parser="msgpack") as sio:
        for name, words in (("/admin", "not authorized"), ("/nowhere", {"node": "Invalid namespace", "python": "Unable to connect"}[kind])):
            with pytest.raises(ConnectRefused) as caught:
                await sio.namespace(name)
            assert caught.value.refusal == words
        echo2 = await sio.namespace("/echo2", auth={"key": key})
        await echo2.call("echo", 1)
        await echo2.leave()
        admin = await sio.namespace("/admin", auth={"key": key, "token": "letmein"})
        await next_named(admin, "welcome")
        await admin.emit("kick")
        ended = await failing(admin.receive())
        assert isinstance(ended, ConnectionClosed)
        assert ended.reason is CloseReason.SERVER_DISCONNECT
        assert await sio.call("echo", 1) == 1
        assert len(await sio.call("reasons", key)) == 2


@ALL_TRANSPORTS
@ALL_KINDS
@pytest.mark.parametrize(("theirs", "ours"), [("default", "msgpack"), ("msgpack", "default")])
async def test_another_parser_than_the_servers_is_named_as_what_it_may_be(
    kind: Kind, lend: Lend, transports: tuple[str, ...], theirs: str, ours: str
) -> None:
    """Node closes the session at our first word; python-socketio says nothing at all."""
    peer = lend(kind, parser="msgpack") if theirs == "msgpack" else lend(kind)
    error = await failing(connect_socketio(peer.url, transports=transports, parser=ours, timeouts=Timeouts(namespace=0.2, close=0.3)))
    assert error.cause is {"node": Cause.CONNECT_CLOSED, "python": Cause.CONNECT_UNANSWERED}[kind]
    assert "parser" in f"{error}; {error.fix}"


@ALL_TRANSPORTS
async def test_a_parser_that_nobody_knows_is_refused_here(any_peer: Peer, transports: tuple[str, ...]) -> None:
    error = await failing(connect_socketio(any_peer.url, transports=transports, parser="yaml"))
    assert error.cause is Cause.BAD_OPTION
    assert "'msgpack'" in str(error)


# ------------------------------------------------------------------------------------------------------------------------------------- its progress


@ALL_TRANSPORTS
async def test_an_event_is_queued_written_and_acknowledged(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await sio.wait_upgraded()
        await sio.drain()
        for _ in range(2):
            delivery = await sio.emit("echo", 1)
            # A frame is in the connection's buffer when emit returns, a POST is answered some time later.
            assert delivery.stage is (Stage.QUEUED if transports == POLLING else Stage.WRITTEN)
            await delivery.written()
            assert (delivery.stage, delivery.error, delivery.final) == (Stage.WRITTEN, None, True)
            with pytest.raises(LocalProtocolError) as caught:
                await delivery.acknowledged()
            assert caught.value.cause is Cause.BAD_OPTION
            asking = await sio.emit("askme", ack=True)
            await asking.written()
            assert asking.stage is Stage.WRITTEN
            await sio.acknowledge(await next_named(sio, "question"), "yes")
            assert await asking.acknowledged() == "yes"
            assert (asking.stage, asking.final) == (Stage.ACKNOWLEDGED, True)


@ALL_TRANSPORTS
async def test_several_may_wait_for_one_delivery(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        delivery = await sio.emit("echo", 1, ack=True)
        waits = [asyncio.create_task(wait()) for wait in (delivery.written, delivery.acknowledged) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waits[::3]:
            task.cancel()
        async with asyncio.timeout(SOON):
            results = await asyncio.gather(*waits, return_exceptions=True)
        assert results[1:3] == [None, None]
        assert results[4:6] == [1, 1]


async def fill(sio: SocketIOClient) -> None:
    """Say more than the way takes."""
    while True:
        await sio.emit("count", "x" * 500_000)


@ALL_TRANSPORTS
async def test_a_volatile_event_leaves_at_once_or_never(any_peer: Peer, transports: tuple[str, ...]) -> None:
    called: list[object] = []
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports) as sio:
        await sio.wait_upgraded()
        await sio.drain()
        goes = await sio.emit("echo", "volatile", volatile=True)
        await goes.written()
        assert (goes.stage, goes.error) == (Stage.WRITTEN, None)
        assert (await next_named(sio, "echo")).args == ["volatile"]
        assert await (await sio.emit("echo", 2, volatile=True, ack=True)).acknowledged() == 2
        await next_named(sio, "echo")
        await sio.drain()
        proxy.freeze()
        filling = asyncio.create_task(fill(sio))
        async with asyncio.timeout(SOON):
            while (await sio.emit("count", "volatile", volatile=True)).stage is not Stage.DROPPED:  # noqa: ASYNC110  # nothing else tells it
                await asyncio.sleep(0)  # there is nothing to be told by but this
        deliveries = [await sio.emit("echo", "dropped", volatile=True, **more) for more in ({}, {"ack": True}, {"callback": called.append})]
        for delivery in deliveries:
            assert (delivery.stage, delivery.final) == (Stage.DROPPED, True)
            for waits in (delivery.written(), delivery.acknowledged()):
                assert (await failing(waits)).cause is Cause.DROPPED
        filling.cancel()
        proxy.thaw()
        assert await sio.call("echo", "the next", timeout=SOON) == "the next"
        assert [event.args async for event in until(sio, "the next") if event.name == "echo"] == [["the next"]]
    assert called == []


async def until(sio: SocketIOClient, last: object) -> Any:
    """Iterate up to the event that says so."""
    async for event in sio:
        yield event
        if event.args == [last]:
            return


@ALL_TRANSPORTS
async def test_what_is_lost_with_its_connection_has_failed(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=transports) as sio:
        await sio.wait_upgraded()
        await sio.drain()
        proxy.freeze()
        plain, asking = await sio.emit("echo", 1), await sio.emit("echo", 2, ack=True)
        waits = [asyncio.create_task(delivery.written()) for delivery in (plain, asking)]
        proxy.cut()
        if transports == POLLING:
            for task in waits:
                assert (await failing(task)).cause in (Cause.CONNECTION_LOST, Cause.CLOSED)
            assert plain.stage is Stage.FAILED
            assert plain.error is not None
        else:
            await asyncio.gather(*waits)
            assert plain.stage is Stage.WRITTEN  # nobody will ever know more
        await failing(asking.acknowledged())
        assert asking.stage is Stage.FAILED
        assert asking.error is not None
        assert sio.closed is not None
        assert (sio.closed.unsent > 0) is (transports == POLLING)


# ------------------------------------------------------------------------------------------------------------------------------------------ retries


def recorded(log: Path, name: str) -> list[str]:
    """What a test of this name had recorded, in order."""
    return [line for line in map(json.loads, log.read_text().splitlines()) if isinstance(line, str) and line.startswith(f"{name} ")]


@ALL_TRANSPORTS
@ALL_KINDS
async def test_an_event_is_repeated_until_it_is_acknowledged(kind: Kind, lend: Lend, log: Path, transports: tuple[str, ...]) -> None:
    peer = lend(kind, ackEvery=3, log=str(log))
    name = f"repeated {kind} {'+'.join(transports)}"
    async with connect_socketio(peer.url, transports=transports) as sio:
        called: list[object] = []
        deliveries = [await sio.emit("record", f"{name} {n}", retries=50, timeout=AT_ONCE, callback=called.append) for n in range(3)]
        assert {delivery.stage for delivery in deliveries} == {Stage.QUEUED}
        assert await sio.call("record", f"{name} 3", retries=50, timeout=AT_ONCE) == f"{name} 3"
        assert [await delivery.acknowledged() for delivery in deliveries] == [f"{name} {n}" for n in range(3)]
        assert {delivery.stage for delivery in deliveries} == {Stage.ACKNOWLEDGED}
        await sio.call("echo")
        assert called == [f"{name} {n}" for n in range(3)]
    lines = recorded(log, name)
    assert lines == sorted(lines)  # one at a time: no next one before the one before is acknowledged
    assert len(set(lines)) == 4
    assert min(Counter(lines).values()) >= 3


@ALL_TRANSPORTS
async def test_what_is_never_acknowledged_is_given_up_and_the_next_one_goes(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        vain = await sio.emit("never", retries=2, timeout=AT_ONCE)
        behind = await sio.emit("echo", "behind it", retries=0)
        error = await failing(vain.acknowledged())
        assert isinstance(error, AckTimeout)
        assert (error.name, vain.stage, vain.error) == ("never", Stage.FAILED, error)
        assert await behind.acknowledged() == "behind it"
        assert (await failing(sio.call("never", retries=1, timeout=AT_ONCE))).cause is Cause.ACK_TIMEOUT
        sent = [packet.data[0] for packet in watch.sent if packet.type is PacketType.EVENT and isinstance(packet.data, list)]
        assert [name for name in sent if name == "never"] == ["never"] * 5
        assert len(watch.asked()) == len(set(watch.asked())) == 6  # each try asks with an id of its own


@ALL_TRANSPORTS
async def test_namespaces_do_not_wait_for_each_other(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        waits = [await sio.emit("never", retries=9, timeout=60), await sio.emit("echo", "behind it", retries=9)]
        beside = await echo2.emit("echo", "elsewhere", retries=0)
        assert await beside.acknowledged() == "elsewhere"
        assert await sio.call("echo", "what is not repeated goes on") == "what is not repeated goes on"
        assert [delivery.stage for delivery in waits] == [Stage.QUEUED] * 2


@ALL_TRANSPORTS
async def test_a_client_may_repeat_everything_that_is_not_told_otherwise(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, retries=3, ack_timeout=SOON, recorder=watch) as sio:
        delivery = await sio.emit("echo", 1)
        assert await delivery.acknowledged() == 1  # it need not be asked for
        assert await sio.call("echo", 2) == 2
        await sio.drain()
        await (await sio.emit("count", 0, volatile=True)).written()
        await (await sio.emit("count", 1, retries=None)).written()
        assert watch.asked() == [("/", 0), ("/", 1)]
        for wrong in ({"volatile": True, "retries": 1}, {"retries": -1}, {"retries": 1, "timeout": 0.0}, {"retries": 1, "timeout": -1.0}):
            with pytest.raises(LocalProtocolError) as caught:
                await sio.emit("count", 1, **wrong)
            assert caught.value.cause is Cause.BAD_OPTION
    assert (await failing(connect_socketio(any_peer.url, transports=transports, retries=-1))).cause is Cause.BAD_OPTION


# -------------------------------------------------------------------------------------------------------------------------------------------- drain


@ALL_TRANSPORTS
async def test_draining_waits_until_everything_has_left(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        await welcome(sio)
        await sio.drain()
        deliveries: list[Delivery] = [await sio.emit("count", i) for i in range(200)]
        asking = await sio.emit("askme", retries=1)
        answering = asyncio.create_task(sio.wait_for("question"))
        draining = asyncio.create_task(sio.drain())
        question = await answering
        assert not draining.done()  # what is repeated is not done before it is acknowledged
        await sio.acknowledge(question, "yes")
        async with asyncio.timeout(SOON):
            await draining
        assert {delivery.stage for delivery in deliveries} == {Stage.WRITTEN}
        assert asking.stage is Stage.ACKNOWLEDGED
        assert await sio.call("report") == {"received": 200, "inOrder": True, "last": 199}


@ALL_TRANSPORTS
async def test_closing_may_drain_first(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, namespace="/echo2", transports=WEBSOCKET) as witness:
        await welcome(witness)
        sio = await connect_socketio(any_peer.url, namespace="/echo2", transports=transports)
        deliveries = [await sio.emit("everyone", "heard", i) for i in range(100)]
        deliveries += [await sio.emit("everyone", "heard", i, retries=1) for i in range(100, 105)]
        await sio.close(drain=True, timeout=SOON)
        assert [delivery.stage for delivery in deliveries] == [Stage.WRITTEN] * 100 + [Stage.ACKNOWLEDGED] * 5
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error, sio.closed.unsent) == (CloseReason.CLIENT_CLOSE, None, 0)
        heard = [(await next_named(witness, "heard")).args[0] for _ in deliveries]
        # What is repeated has a queue of its own and need not wait for the others; each of the two keeps its order.
        assert [i for i in heard if i < 100] == list(range(100))  # type: ignore[operator]  # numbers
        assert [i for i in heard if i >= 100] == list(range(100, 105))  # type: ignore[operator]  # numbers


@ALL_TRANSPORTS
async def test_draining_that_takes_too_long_is_told_and_closes_all_the_same(any_peer: Peer, transports: tuple[str, ...]) -> None:
    key = f"drained by {'+'.join(transports)}"
    async with connect_socketio(any_peer.url, transports=transports, auth={"key": key}) as sio:
        await sio.wait_upgraded()
        waits = [await sio.emit("never", n, retries=9, timeout=60) for n in range(3)]
        with pytest.raises(TimedOut) as caught:
            await sio.close(drain=True, timeout=AT_ONCE)
        assert (caught.value.cause, caught.value.stage) == (Cause.DRAIN_TIMEOUT, "session")
        assert "3 messages" in str(caught.value)
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error, sio.closed.unsent) == (CloseReason.CLIENT_CLOSE, None, 3)
        for delivery in waits:
            assert (await failing(delivery.acknowledged())).cause is Cause.CLOSED
            assert delivery.stage is Stage.FAILED
        assert (await failing(sio.drain())).cause is Cause.CLOSED
        await sio.close(drain=True, timeout=0)
    async with connect_socketio(any_peer.url, transports=WEBSOCKET) as witness:
        assert len(await witness.call("reasons", key)) == 1
