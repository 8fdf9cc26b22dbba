"""Cancellation of everything that can be awaited, at every place at which it waits, with a connection, without one, and while one is made.

`Struck` runs a coroutine and cancels it at the k-th place at which it waits; a sweep does so for every k until the coroutine gets through. It is
cancelled while it waits, or late: in the very turn in which what it waits for has come, when a careless library loses that. After each strike it is
looked at what the cancelled operation promises (an event is sent whole or not at all, nothing that came is lost, ...) and whether the client still
works; that no task, session or connection is left is looked at after each strike where a client ends with it, and by `no_leaks` in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from itertools import count
from typing import Any

import msgspec
import pytest

from engineio_lite import EngineIOError, LocalProtocolError
from engineio_lite.aio import Delivery, Namespace, SocketIOClient, Stage, connect_socketio
from engineio_lite.socketio import EventReceived, Reconnected, Reconnecting, ReconnectPolicy
from tests.aio.again import ALL_TRANSPORTS, BOTH, ONE_TRANSPORT, PATIENCE, POLLING, WEBSOCKET, opened, soon
from tests.peers import Peer, StartPeer
from tests.peers.proxy import Proxy

IN_BOTH_WAYS = pytest.mark.parametrize("late", [False, True], ids=["waiting", "late"])

FAST = ReconnectPolicy(delay=0.02, max_delay=0.02, jitter=0, retry_first=True)

MOST_STEPS = 100
"""Places at which a coroutine may wait before a sweep is taken to be endless."""


class Struck:
    """Awaits `work`, and calls `strike` (which cancels it if nothing else is given) at the place number `step` at which it waits.

    If it is `late`, that is when what it waits for there has come, before it is told.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], step: int, *, late: bool = False, strike: Callable[[], object] | None = None) -> None:
        self._work = work
        self._step = step
        self._late = late
        self._strike = strike
        self._waits = 0
        self.struck = False

    def __await__(self) -> Generator[Any, None, Any]:
        inner = self._work.__await__()
        thrown: BaseException | None = None
        while True:
            try:
                awaited = inner.send(None) if thrown is None else inner.throw(thrown)
            except StopIteration as end:
                return end.value
            if self._waits == self._step:
                self._aim(awaited)
            self._waits += 1
            thrown = None
            try:
                yield awaited
            except BaseException as error:
                thrown = error

    def _aim(self, awaited: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        strike = self._strike or task.cancel

        def fire(_: object = None) -> None:
            self.struck = True
            strike()

        if awaited is not None and self._late:
            # Before the task's own callback, which is added when it gets to see the future.
            awaited.add_done_callback(fire)
        else:
            asyncio.get_running_loop().call_soon(fire)


async def strike(work: Coroutine[Any, Any, Any], step: int, *, late: bool) -> tuple[bool, Any]:
    """Run `work` and cancel it there; return whether it was, and else what it returned. What it raised otherwise is raised."""

    async def run() -> Any:
        return await struck

    struck = Struck(work, step, late=late)
    task = asyncio.create_task(run())
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done, f"step {step}: neither done nor cancelled"
    assert task.cancelled() is struck.struck, f"step {step}: {task!r}"
    return struck.struck, None if struck.struck else task.result()


async def sweep(
    work: Callable[[], Coroutine[Any, Any, Any]],
    check: Callable[[bool, Any], Awaitable[object]],
    *,
    late: bool,
    before: Callable[[], Awaitable[object]] | None = None,
) -> int:
    """Do `before`, run `work`, cancel it at the first place, then the second, and so on until it gets through, and `check` each time; count."""
    for step in range(MOST_STEPS):
        if before is not None:
            await before()
        cancelled, result = await strike(work(), step, late=late)
        await check(cancelled, result)
        if not cancelled:
            return step
    raise AssertionError("it waits at more places than anything should")


async def test_a_strike_hits_where_it_should() -> None:
    """The tool itself: three places to wait, each hit in its turn, in both ways."""
    log: list[str] = []

    async def work(gate: asyncio.Future[str]) -> str:
        try:
            log.append("sleep")
            await asyncio.sleep(0)
            log.append("gate")
            log.append(await gate)
            await asyncio.shield(gate)
            log.append("through")
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return "result"

    def opened(seconds: float) -> asyncio.Future[str]:
        gate = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(seconds, gate.set_result, "open")
        return gate

    assert await strike(work(opened(0)), 0, late=False) == (True, None)
    assert log == ["sleep", "cancelled"]
    log.clear()
    gate = opened(0.01)
    assert await strike(work(gate), 1, late=True) == (True, None)
    assert (log, gate.result()) == (["sleep", "gate", "cancelled"], "open"), "it had come, and was not told"
    log.clear()
    gate = opened(10)
    assert await strike(work(gate), 1, late=False) == (True, None)
    assert (log, gate.cancelled()) == (["sleep", "gate", "cancelled"], True)
    log.clear()
    assert await strike(work(opened(0)), 2, late=False) == (False, "result")
    assert log == ["sleep", "gate", "open", "through"]


# ------------------------------------------------------------------------------------------------------------------------------- with a client


class Line:
    """A line to a server and its weather when an operation begins: ``calm``; ``busy``, with more on its way than fits, so that what usually does not
    wait has to; ``waiting`` for the next attempt to connect; or in the middle of one, ``attempting``."""

    def __init__(self, proxy: Proxy, weather: str) -> None:
        self._proxy = proxy
        self._weather = weather
        self._lost = self._found = 0
        self._changed = asyncio.Event()
        self.busy: asyncio.Task[None] | None = None

    def watch(self, sio: SocketIOClient) -> None:
        """Count what becomes of a client's connections; where that is nothing it needs no handlers, and shall have none."""
        self._sio = sio
        if self._weather in ("waiting", "attempting"):
            sio.on(Reconnecting, self._one_lost)
            sio.on(Reconnected, self._one_found)

    def _one_lost(self, _: object) -> None:
        self._lost += 1
        self._changed.set()

    def _one_found(self, _: object) -> None:
        self._found += 1
        self._changed.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def worsen(self) -> None:
        """Let the weather come. Where it takes the connection, the line is good again in the next turn of the loop, and the connection later."""
        lost, self._found_before = self._lost, self._found
        loop = asyncio.get_running_loop()
        match self._weather:
            case "busy":
                self.busy = asyncio.create_task(self._be_busy())
                await asyncio.sleep(0)
            case "waiting":
                self._proxy.refuse()
                self._proxy.cut()
                await self._until(lambda: self._lost > lost)
                loop.call_soon(self._proxy.allow)
            case "attempting":
                self._proxy.freeze()
                self._proxy.cut()
                await self._until(lambda: self._lost > lost)
                await self._proxy.until(lambda: self._proxy.connections > 0)
                loop.call_soon(self._proxy.thaw)

    async def _be_busy(self) -> None:
        size = 300_000 if self._sio.transport == "polling" else 900_000
        for i in range(8):
            await self._sio.emit("count", i, "x" * size)

    async def mend(self) -> None:
        """Return when the weather is calm again."""
        if self.busy is not None:
            await self.busy
        if self._weather in ("waiting", "attempting"):
            await self._until(lambda: self._found > self._found_before)


Cases = tuple[tuple[str, tuple[str, ...]], ...]

CALM: Cases = (("calm", POLLING), ("calm", WEBSOCKET))
BUSY: Cases = (("busy", POLLING), ("busy", WEBSOCKET))
AWAY: Cases = (("waiting", BOTH), ("attempting", WEBSOCKET))


class Operation:
    """Something that a client can be asked for, again and again, and what it promises if it is cancelled."""

    cases: Cases = CALM + AWAY
    """The weathers in which it waits for something, and over what."""

    def __init__(self, sio: SocketIOClient) -> None:
        self.sio = sio
        self.turn = 0
        self.through: list[int] = []
        """The turns that were not cancelled."""

    async def prepare(self) -> None:
        """What must be there when it begins."""

    async def run(self) -> Any:
        """Do it once."""
        raise NotImplementedError

    async def check(self, cancelled: bool, result: Any) -> None:
        """Look at what became of it, when there is a connection again."""

    async def finish(self) -> None:
        """Look at all of it together."""

    async def arrived(self) -> list[Any]:
        """What the server sent back of the events ``echo`` that begin with "mine", in its order."""
        await self.sio.emit("echo", "end")
        arrived = []
        while (event := await soon(self.sio.receive())).args != ["end"]:
            arrived += [event.args[1:]] if event.name == "echo" and event.args[0] == "mine" else []
        return arrived


class Emitting(Operation):
    """Once or not at all, in order; and if it was not cancelled, once."""

    cases = BUSY

    async def run(self) -> Any:
        return await self.sio.emit("echo", "mine", self.turn)

    async def check(self, cancelled: bool, result: Any) -> None:
        if not cancelled:
            await soon(result.written())

    async def finish(self) -> None:
        arrived = [turn for [turn] in await self.arrived()]
        assert arrived == sorted(set(arrived))
        assert set(self.through) <= set(arrived) <= set(range(1, self.turn + 1))


class Writing(Emitting):
    """The same, with the wait for it to have left."""

    cases = BUSY + AWAY

    async def run(self) -> Any:
        delivery = await self.sio.emit("echo", "mine", self.turn)
        await delivery.written()
        return delivery


class EmittingBinary(Operation):
    """Header and attachments together or not at all: else the server would end the session."""

    cases = BUSY

    async def run(self) -> Any:
        return await self.sio.emit("echo", "mine", self.turn, bytes([self.turn]) * 1000, {"deep": [b"x"]})

    async def finish(self) -> None:
        arrived = await self.arrived()
        assert arrived == [[i, bytes([i]) * 1000, {"deep": [b"x"]}] for i in sorted({args[0] for args in arrived})]
        assert set(self.through) <= {args[0] for args in arrived}


class Calling(Operation):
    """Whose answer comes late is not told to the next."""

    async def run(self) -> Any:
        return await self.sio.call("echo", self.turn)

    async def check(self, cancelled: bool, result: Any) -> None:
        assert cancelled or result == self.turn


class Delivering(Operation):
    """To stop waiting for the acknowledgement stops nothing else."""

    async def run(self) -> Any:
        self.delivery = None
        self.delivery = await self.sio.emit("echo", "mine", self.turn, retries=3)
        return await self.delivery.acknowledged()

    async def check(self, cancelled: bool, result: Any) -> None:
        if self.delivery is not None:
            assert await soon(self.delivery.acknowledged()) == ["mine", self.turn]
            await soon(self.delivery.written())
            assert self.delivery.stage is Stage.ACKNOWLEDGED
        assert cancelled or result == ["mine", self.turn]

    async def finish(self) -> None:
        arrived = list(dict.fromkeys(turn for [turn] in await self.arrived()))
        assert arrived == sorted(arrived)
        assert set(self.through) <= set(arrived)


class Draining(Operation):
    """To stop waiting for it drops nothing."""

    cases = CALM + BUSY + AWAY

    async def run(self) -> Any:
        for i in range(3):
            await self.sio.emit("echo", "mine", self.turn, i)
        for i in range(3):
            await self.sio.emit("echo", "mine", self.turn, "repeated", i, retries=3)
        await self.sio.drain()

    async def finish(self) -> None:
        await self.sio.drain()
        arrived = await self.arrived()
        plain = [args for args in arrived if "repeated" not in args]
        repeated = [args for n, args in enumerate(arrived) if "repeated" in args and args not in arrived[:n]]
        assert plain == sorted(plain)
        assert repeated == sorted(repeated)
        for turn in self.through:
            assert [args for args in plain if args[0] == turn] == [[turn, i] for i in range(3)]
            assert [args for args in repeated if args[0] == turn] == [[turn, "repeated", i] for i in range(3)]


class Joining(Operation):
    """Cancelled, the namespace is left again; it can be joined at once."""

    async def run(self) -> Any:
        return await self.sio.namespace("/echo2", auth={"turn": self.turn})

    async def check(self, cancelled: bool, result: Any) -> None:
        joined = await soon(self.sio.namespace("/echo2", auth={"turn": -self.turn})) if cancelled else result
        assert await soon(joined.call("auth")) == {"turn": -self.turn if cancelled else self.turn}
        await joined.leave()


class JoiningWithAuth(Operation):
    """The same with an auth that takes its time; it is not left behind."""

    asked = answered = 0

    async def _auth(self) -> dict[str, object]:
        self.asked += 1
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            return {"turn": self.turn}
        finally:
            self.answered += 1

    async def run(self) -> Any:
        return await self.sio.namespace("/echo2", auth=self._auth)

    async def check(self, cancelled: bool, result: Any) -> None:
        joined = await soon(self.sio.namespace("/echo2", auth=self._auth)) if cancelled else result
        assert await soon(joined.call("auth")) == {"turn": self.turn}
        await joined.leave()
        assert self.asked == self.answered


class Leaving(Operation):
    """Left, or not."""

    cases = BUSY[1:]  # by polling it does not wait for anything

    async def prepare(self) -> None:
        self.joined = await self.sio.namespace("/echo2")

    async def run(self) -> Any:
        await self.joined.leave()

    async def check(self, cancelled: bool, result: Any) -> None:
        if self.joined.connected:
            assert cancelled
            assert await soon(self.joined.call("echo", 1)) == 1
            await self.joined.leave()
        with pytest.raises(LocalProtocolError):
            await self.joined.emit("x")


class Waiting(Operation):
    """The event that came in the turn of the strike is still to be had, and is had once; after a loss, that is the new welcome."""

    name = "welcome"
    cases = AWAY

    async def prepare(self) -> None:
        if self.turn == 1:
            await soon(self.sio.wait_for("welcome"))

    async def run(self) -> Any:
        return await self.sio.wait_for(self.name)

    async def check(self, cancelled: bool, result: Any) -> None:
        event = await soon(self.sio.wait_for(self.name)) if cancelled else result
        assert event.name == self.name
        await self.sio.call("echo")
        with pytest.raises(EngineIOError):
            await self.sio.wait_for(self.name, timeout=0)


class WaitingForOne(Waiting):
    """The same with an event that is sent for it."""

    name = "now"
    cases = CALM

    async def prepare(self) -> None:
        await self.sio.emit("later", 5, "now", self.turn)


class Receiving(Operation):
    """However it is read: what a cancelled reader did not return, the next one does."""

    cases = CALM

    async def prepare(self) -> None:
        await self.sio.emit("later", 5, "now", self.turn)

    async def next(self) -> EventReceived:
        return await self.sio.receive()

    async def _now(self) -> list[object]:
        while (event := await self.next()).name != "now":
            pass
        return event.args

    async def run(self) -> Any:
        return await self._now()

    async def check(self, cancelled: bool, result: Any) -> None:
        assert (await soon(self._now()) if cancelled else result) == [self.turn]


class Iterating(Receiving):
    async def next(self) -> EventReceived:
        return await anext(self.sio)


class IteratingStates(Receiving):
    async def _now(self) -> list[object]:
        async for state in self.sio.states():
            if isinstance(state, EventReceived) and state.name == "now":
                return state.args
        raise AssertionError("the client ended")


class Now(msgspec.Struct):
    turn: int


class IteratingTyped(Receiving):
    async def _now(self) -> list[object]:
        async for event in self.sio.events({"now": Now}):
            if isinstance(event, Now):
                return [event.turn]
        raise AssertionError("the client ended")


class ReceivingTheWelcome(Receiving):
    """The same across a loss, after which there is a new welcome."""

    cases = AWAY

    async def prepare(self) -> None:
        if self.turn == 1:
            await soon(self._now())

    async def _now(self) -> list[object]:
        while (await self.next()).name != "welcome":
            pass
        return [self.turn]


class IteratingStatesTillTheWelcome(ReceivingTheWelcome):
    async def _now(self) -> list[object]:
        async for state in self.sio.states():
            if isinstance(state, EventReceived) and state.name == "welcome":
                return [self.turn]
        raise AssertionError("the client ended")


class ReceivingApart(Receiving):
    """From a namespace that has a stream of its own."""

    apart: Namespace

    async def prepare(self) -> None:
        if self.turn == 1:
            self.apart = await self.sio.namespace("/echo2")
        await self.apart.emit("later", 5, "now", self.turn)

    async def next(self) -> EventReceived:
        return await self.apart.receive()


class Acknowledging(Operation):
    """Answered, or still to be answered."""

    cases = BUSY

    async def prepare(self) -> None:
        self._asking = asyncio.create_task(self.sio.call("askme", self.turn))
        self._question = await soon(self.sio.wait_for("question"))

    async def run(self) -> Any:
        await self.sio.acknowledge(self._question, self.turn, b"and bytes")

    async def check(self, cancelled: bool, result: Any) -> None:
        try:
            await self.sio.acknowledge(self._question, self.turn, b"and bytes")
        except LocalProtocolError:
            pass
        else:
            assert cancelled
        assert await soon(self._asking) == [self.turn, b"and bytes"]


OPERATIONS: list[type[Operation]] = [
    Emitting,
    Writing,
    EmittingBinary,
    Calling,
    Delivering,
    Draining,
    Joining,
    JoiningWithAuth,
    Leaving,
    Waiting,
    WaitingForOne,
    Receiving,
    Iterating,
    IteratingStates,
    IteratingTyped,
    ReceivingTheWelcome,
    IteratingStatesTillTheWelcome,
    ReceivingApart,
    Acknowledging,
]

CASES = [
    pytest.param(operation, weather, transports, id=f"{operation.__name__}-{weather}-{'+'.join(transports)}")
    for operation in OPERATIONS
    for weather, transports in operation.cases
]


@IN_BOTH_WAYS
@pytest.mark.parametrize(("operation", "weather", "transports"), CASES)
async def test_a_client_outlives_whatever_is_cancelled(
    node_peer: Peer, operation: type[Operation], weather: str, transports: tuple[str, ...], late: bool
) -> None:
    async with Proxy(node_peer) as proxy, connect_socketio(proxy.url, transports=transports, reconnect=FAST) as sio:
        line, victim = Line(proxy, weather), operation(sio)
        line.watch(sio)

        async def before() -> None:
            victim.turn += 1
            await victim.prepare()
            await line.worsen()

        async def check(cancelled: bool, result: Any) -> None:
            await line.mend()
            if not cancelled:
                victim.through.append(victim.turn)
            await victim.check(cancelled, result)
            assert await soon(sio.call("echo", victim.turn)) == victim.turn

        for _ in range(2):  # how many places there are depends on what comes when
            await sweep(victim.run, check, late=late, before=before)
        assert victim.turn > 2, "nothing was struck"
        await victim.finish()
        assert sio.closed is None


async def test_a_cancelled_reader_loses_nothing_of_what_comes(any_peer: Peer) -> None:
    """Readers of all kinds in turn, each cancelled in the turn in which something comes for it."""
    async with connect_socketio(any_peer.url, transports=WEBSOCKET) as sio:

        async def first(things: AsyncIterator[Any]) -> Any:
            return await anext(things)

        readers: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            sio.receive,
            lambda: first(aiter(sio)),
            lambda: first(sio.states()),
            lambda: first(aiter(sio.events({}))),
        ]
        for i in range(60):
            await sio.emit("later", 2 * i, "number", i)
        numbers: list[object] = []
        struck = 0
        for turn in count():
            cancelled, event = await strike(readers[turn % 4](), 0, late=turn % 3 != 0)
            struck += cancelled
            numbers += event.args if not cancelled and event.name == "number" else []
            if len(numbers) >= 60:
                break
        assert numbers == list(range(60))
        assert struck > 3


async def test_a_cancelled_reader_loses_nothing_of_what_is_recovered(peer_server: StartPeer) -> None:
    """The same while the line is cut and the session is taken up, again and again."""
    peer = peer_server("node", connectionStateRecovery={})
    async with Proxy(peer) as proxy, connect_socketio(peer.url, transports=WEBSOCKET) as other:
        async with connect_socketio(proxy.url, transports=WEBSOCKET, reconnect=FAST) as sio:
            assert (await sio.receive()).name == "welcome"
            numbers: list[object] = []
            telling = asyncio.create_task(tell(other, 300))
            for turn in count():
                if turn % 40 == 39 and sio.connected:
                    proxy.cut()
                cancelled, event = await strike(sio.receive(), turn % 2, late=turn % 3 != 0)
                if not cancelled:
                    assert event.name == "number"
                    numbers += event.args
                if len(numbers) >= 300:
                    break
            await telling
            assert numbers == list(range(300))
            assert sio.recovered


async def tell(other: SocketIOClient, numbers: int) -> None:
    other.on_any(lambda *args: None)
    for i in range(numbers):
        await other.call("everyone", "number", i)


PAIRS: dict[str, Callable[[SocketIOClient, Delivery], Coroutine[Any, Any, Any]]] = {
    "receive": lambda sio, delivery: sio.receive(),
    "wait_for": lambda sio, delivery: sio.wait_for("echo"),
    "written": lambda sio, delivery: delivery.written(),
    "acknowledged": lambda sio, delivery: delivery.acknowledged(),
    "wait_upgraded": lambda sio, delivery: sio.wait_upgraded(),
    "drain": lambda sio, delivery: sio.drain(),
}


@pytest.mark.parametrize("pair", PAIRS)
async def test_of_two_who_wait_for_the_same_the_other_waits_on(any_peer: Peer, pair: str) -> None:
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url) as sio:
        assert (await sio.receive()).name == "welcome"
        proxy.freeze()
        delivery = await sio.emit("echo", 1, ack=True)
        one, two = (asyncio.create_task(PAIRS[pair](sio, delivery)) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait({one})
        assert one.cancelled()
        assert not two.done()
        proxy.thaw()
        assert await soon(two) in (EventReceived("/", "echo", [1]), None, 1, True)


async def test_what_waits_behind_others_who_are_cancelled_leaves_without_them(any_peer: Peer) -> None:
    """Nobody is left to write it but the library: the one who wrote and the one who waited for that are both gone."""
    async with Proxy(any_peer) as proxy, connect_socketio(proxy.url, transports=WEBSOCKET) as sio:
        line = Line(proxy, "busy")
        line.watch(sio)
        arriving = asyncio.create_task(sio.wait_for("echo"))
        await line.worsen()
        small = asyncio.create_task(sio.emit("echo", "small"))
        await asyncio.sleep(0)
        assert line.busy is not None
        for task in (small, line.busy):
            assert not task.done()
            task.cancel()
        await asyncio.wait({small, line.busy})
        assert (await soon(arriving)).args == ["small"]


# ------------------------------------------------------------------------------------------------------------------------- opening and closing


class Ground:
    """What was there before a client, and must be all that is there after it."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._tasks = asyncio.all_tasks()

    def tasks_left(self) -> set[str]:
        """The tasks that are there now and were not before, but for the line's own."""
        return {repr(task) for task in asyncio.all_tasks() - self._tasks if not task.get_coro().__qualname__.startswith("Proxy.")}  # type: ignore[union-attr]

    async def is_clear(self) -> None:
        """Fail unless the client has left nothing: no task even now, and soon no connection."""
        assert self.tasks_left() == set()
        async with asyncio.timeout(PATIENCE):
            await self._proxy.until(lambda: self._proxy.connections == 0)


class Auth:
    """An auth that takes its time, and counts how often it was left."""

    def __init__(self) -> None:
        self.asked = self.left = 0

    async def __call__(self) -> dict[str, object]:
        self.asked += 1
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            return {"turn": self.asked}
        finally:
            self.left += 1


@IN_BOTH_WAYS
@ALL_TRANSPORTS
@pytest.mark.parametrize("weather", ["calm", "refused", "frozen"])
async def test_a_cancelled_opening_leaves_nothing(any_peer: Peer, transports: tuple[str, ...], weather: str, late: bool) -> None:
    """In the first attempt; between two, where nobody listens yet; and in one that gets no answer yet."""
    auth = Auth()
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)
        loop = asyncio.get_running_loop()
        fine = asyncio.Event()

        def clear_up(switch: Callable[[], None]) -> None:
            switch()
            fine.set()

        async def before() -> None:
            fine.clear()
            match weather:
                case "refused":
                    proxy.refuse()
                    loop.call_later(0.01, clear_up, proxy.allow)
                case "frozen":
                    proxy.freeze()
                    loop.call_later(0.01, clear_up, proxy.thaw)
                case _:
                    fine.set()

        async def open_it() -> SocketIOClient:
            return await connect_socketio(proxy.url, auth=auth, transports=transports, reconnect=FAST)

        async def check(cancelled: bool, sio: SocketIOClient) -> None:
            if not cancelled:
                assert await soon(sio.call("auth")) == {"turn": auth.asked}
                await sio.close()
            assert ground.tasks_left() == set()
            await fine.wait()
            await ground.is_clear()
            assert auth.asked == auth.left

        steps = await sweep(open_it, check, late=late, before=before)
        assert steps > 0


@ALL_TRANSPORTS
async def test_an_opening_that_is_cancelled_while_it_asks_for_auth_leaves_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    """Also where the auth would never come to its end."""
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)
        for step in range(4):
            auth = Auth()

            async def struck_auth() -> Any:
                return await Struck(hang_after(auth, step, asyncio.Event()), step, strike=lambda: opening.cancel())  # noqa: B023

            opening = asyncio.create_task(opened(proxy.url, auth=struck_auth, transports=transports))
            await soon(asyncio.wait({opening}))
            assert (opening.cancelled(), auth.asked, auth.left) == (True, 1, 1)
            await ground.is_clear()


@ALL_TRANSPORTS
async def test_a_line_that_is_cut_while_auth_is_asked_for_ends_that_and_asks_again(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)
        cut = asyncio.Event()
        for step in range(3):
            auth = Auth()

            async def struck_auth() -> Any:
                if auth.asked:  # noqa: B023
                    return await auth()  # noqa: B023
                return await Struck(hang_after(auth, step, cut), step, strike=proxy.cut)  # noqa: B023

            async with connect_socketio(proxy.url, auth=struck_auth, transports=transports, reconnect=FAST) as sio:
                assert await soon(sio.call("auth")) == {"turn": 2}
                assert (auth.asked, auth.left) == (2, 2)
            await ground.is_clear()


async def hang_after(auth: Auth, steps: int, for_ever: asyncio.Event) -> dict[str, object]:
    """An auth that does not come to its end."""
    auth.asked += 1
    try:
        for _ in range(steps):
            await asyncio.sleep(0)
        await for_ever.wait()
        raise AssertionError("it is to be cancelled")
    finally:
        auth.left += 1


async def test_an_auth_that_is_itself_cancelled_is_a_refusal(any_peer: Peer) -> None:
    """It may wait for something that somebody cancels; whoever opens must not wait for it for ever."""

    async def auth() -> dict[str, object]:
        lookup = asyncio.get_running_loop().create_future()
        lookup.cancel()
        await lookup
        return {}

    with pytest.raises(EngineIOError):
        await soon(opened(any_peer.url, auth=auth))


@IN_BOTH_WAYS
@pytest.mark.parametrize("draining", [False, True], ids=["close", "drain"])
@pytest.mark.parametrize(("weather", "transports"), [*CALM, *BUSY, *AWAY], ids=lambda value: value if isinstance(value, str) else "+".join(value))
async def test_a_cancelled_close_is_a_close(node_peer: Peer, transports: tuple[str, ...], weather: str, draining: bool, late: bool) -> None:
    async with Proxy(node_peer) as proxy:
        ground = Ground(proxy)
        sio: SocketIOClient

        async def before() -> None:
            nonlocal sio
            sio = await connect_socketio(proxy.url, transports=transports, reconnect=FAST)
            await sio.wait_upgraded()
            line = Line(proxy, weather)
            line.watch(sio)
            sio.on("number", hang, concurrent=True)
            await sio.emit("flood", 1)
            await sio.wait_for("number")
            await line.worsen()
            for i in range(3):
                await sio.emit("count", i)
            await sio.emit("count", 3, retries=1)
            # For what waits till the end of the line: the one who has to write it is not the one who closes.
            busy.extend([line.busy] if line.busy is not None else [])

        async def close() -> None:
            await sio.close(drain=draining, timeout=5)

        async def check(cancelled: bool, result: None) -> None:
            assert sio.closed is not None
            started = asyncio.get_running_loop().time()
            await sio.close()
            assert asyncio.get_running_loop().time() - started < 1
            with pytest.raises(EngineIOError):
                await sio.emit("x")
            if busy:
                await asyncio.wait({busy.pop()})
            await ground.is_clear()

        busy: list[asyncio.Task[None]] = []
        assert await sweep(close, check, late=late, before=before) > 0


async def hang(*args: object) -> None:
    """A handler that is in the middle of something, and has to tidy up after it."""
    try:
        await asyncio.Event().wait()
    finally:
        for _ in range(20):
            await asyncio.sleep(0)


async def whole_life(url: str, transports: tuple[str, ...]) -> None:
    """Everything that is usual, in one block."""
    async with connect_socketio(url, transports=transports, auth=Auth(), reconnect=FAST, retries=2) as sio:
        await sio.wait_upgraded()
        sio.on("question", answer)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sio.call("askme", 1))
            tasks.create_task(sio.wait_for("answer"))
            delivery = await sio.emit("echo", b"bytes", callback=nothing_much)
        echo2 = await sio.namespace("/echo2", auth=Auth())
        assert (await echo2.receive()).name == "welcome"
        await delivery.acknowledged()
        await echo2.leave()
        await sio.drain()


async def answer(*args: object) -> object:
    await asyncio.sleep(0)
    return args


def nothing_much(*args: object) -> None:
    """A callback."""


@IN_BOTH_WAYS
@ALL_TRANSPORTS
async def test_a_whole_life_can_be_cancelled_anywhere(any_peer: Peer, transports: tuple[str, ...], late: bool) -> None:
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)

        async def check(cancelled: bool, result: None) -> None:
            await ground.is_clear()

        assert await sweep(lambda: whole_life(proxy.url, transports), check, late=late) > 5


# ----------------------------------------------------------------------------------------------------------------------------------- handlers


async def busy_handler(sio: SocketIOClient) -> None:
    """A handler that waits for most things for which one can wait."""
    await sio.call("echo", 1)
    delivery = await sio.emit("echo", 2, retries=1)
    await delivery.acknowledged()
    await sio.emit("later", 5, "now")
    await sio.wait_for("now")
    echo2 = await sio.namespace("/echo2")
    await echo2.leave()
    await sio.drain()


@ONE_TRANSPORT
@pytest.mark.parametrize("concurrent", [False, True], ids=["in-order", "concurrent"])
@pytest.mark.parametrize("how", ["close", "cut"])
async def test_a_handler_is_cancelled_wherever_it_is_when_the_client_closes(
    any_peer: Peer, transports: tuple[str, ...], concurrent: bool, how: str
) -> None:
    """At once, or when the line was cut just before."""
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)
        for step in range(MOST_STEPS):
            reached = asyncio.Event()
            ends: list[str] = []
            async with connect_socketio(proxy.url, transports=transports, reconnect=FAST) as sio:

                async def handler() -> None:
                    try:
                        await Struck(busy_handler(sio), step, strike=reached.set)  # noqa: B023
                        ends.append("through")  # noqa: B023
                        reached.set()  # noqa: B023
                    except asyncio.CancelledError:
                        ends.append("cancelled")  # noqa: B023
                        raise
                    except EngineIOError:
                        ends.append("told")  # noqa: B023
                        reached.set()  # noqa: B023

                sio.on("go", handler, concurrent=concurrent)
                await sio.emit("later", 0, "go")
                await soon(reached.wait())
                if how == "cut":
                    proxy.cut()
            await ground.is_clear()
            assert len(ends) == 1
            if ends == ["through"]:
                break
        assert step > 3


@ALL_TRANSPORTS
async def test_a_client_that_is_closed_as_soon_as_its_connection_is_lost_leaves_nothing_of_that(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(any_peer) as proxy:
        ground = Ground(proxy)
        sio = await connect_socketio(proxy.url, transports=transports, reconnect=FAST)
        closing = asyncio.get_running_loop().create_future()

        async def close(_: Reconnecting) -> None:
            await sio.close()
            closing.set_result(asyncio.all_tasks())

        sio.on(Reconnecting, close)
        proxy.cut()
        await soon(closing)
        await ground.is_clear()


@pytest.mark.parametrize("concurrent", [False, True], ids=["in-order", "concurrent"])
async def test_a_handler_that_is_itself_cancelled_does_not_end_the_others(any_peer: Peer, concurrent: bool) -> None:
    """It waits for something that somebody else cancels, which is nothing that concerns the client."""
    over = asyncio.Event()

    async def unlucky(i: int) -> None:
        other = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        other.cancel()
        await other

    async with connect_socketio(any_peer.url, transports=WEBSOCKET) as sio:
        sio.on("number", unlucky, concurrent=concurrent)
        sio.on("echo", over.set)
        await sio.emit("flood", 2)
        await sio.emit("echo")
        await soon(over.wait())


@ONE_TRANSPORT
@IN_BOTH_WAYS
async def test_a_callback_outlives_whoever_asked_for_it(any_peer: Peer, transports: tuple[str, ...], late: bool) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        called = asyncio.Queue[object]()

        async def ask() -> None:
            delivery = await sio.emit("echo", 1, callback=called.put_nowait)
            await delivery.acknowledged()

        async def check(cancelled: bool, result: None) -> None:
            assert await soon(called.get()) == 1
            assert called.empty()

        assert await sweep(ask, check, late=late) > 0
