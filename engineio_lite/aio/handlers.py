"""Handlers: functions that are called with what comes.

By default they run one after the other in wire order, each to its end before the next event is looked at, for all namespaces of a client together; a
slow one makes events wait, and in the end the server. A handler that is registered as concurrent gets a task for each of its events instead, so many
of them at a time as `Limits.max_concurrent_handlers` allows.

A handler may emit, call, wait for another event, leave or close: none of these waits for a handler. What it raises is nobody's to catch, so it goes
where asyncio sends such things, the event loop's exception handler, and the next event is handled.

An event that asks for an acknowledgement is answered with what the first of its handlers returns, exactly once: None is no value, a tuple is several.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import msgspec

from engineio_lite.aio.stream import Stream
from engineio_lite.aio.typed import convert_args
from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import CloseReason

logger = logging.getLogger("engineio_lite")

Function = Callable[..., Any]

Key = str | int | float | type
"""What a handler is for: the name of an event, or a class of events of the client's own, such as `Reconnecting`."""


class Handler(msgspec.Struct, eq=False):
    """One registration; what was taken off is not called any more, not even with what came before."""

    function: Function
    once: bool = False
    concurrent: bool = False
    model: Any = None
    is_off: bool = False


class Handlers:
    """Who wants what, in one namespace."""

    def __init__(self) -> None:
        self._by_key: dict[Key, list[Handler]] = {}
        self._any: list[Handler] = []

    def __bool__(self) -> bool:
        return bool(self._by_key) or bool(self._any)

    def add(self, key: Key | None, handler: Handler, *, prepend: bool = False) -> None:
        """Register one more, behind the others or before them; None is for every event."""
        handlers = self._any if key is None else self._by_key.setdefault(key, [])
        handlers.insert(0 if prepend else len(handlers), handler)

    def remove(self, key: Key | None, function: Function | None) -> None:
        """Forget a function, or all for that key."""
        handlers = self._any if key is None else self._by_key.get(key, [])
        for handler in handlers.copy():
            if function is None or handler.function == function:
                handler.is_off = True
                handlers.remove(handler)
        if key is not None and not handlers:
            self._by_key.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        for key in list(self._by_key):
            self.remove(key, None)
        self.remove(None, None)

    @property
    def everyone(self) -> list[Handler]:
        """Those for every event, in order, as they are now."""
        return list(self._any)

    def wants(self, key: Key) -> bool:
        """Whether anybody wants this."""
        return key in self._by_key or (bool(self._any) and not isinstance(key, type))

    def take(self, key: Key) -> tuple[list[Handler], list[Handler]]:
        """Return those for every event and those for this, each in order; those for once are taken out."""
        everyone = [] if isinstance(key, type) else self.everyone
        named = list(self._by_key.get(key, ()))
        if any(handler.once for handler in named):
            staying = [handler for handler in named if not handler.once]
            if staying:
                self._by_key[key] = staying
            else:
                del self._by_key[key]
        return everyone, named


class Callback(msgspec.Struct, frozen=True):
    """A function to be called in its turn, such as that of an acknowledgement."""

    function: Function
    args: list[object]


class Task(msgspec.Struct, frozen=True):
    """An event for those who wanted it when it came: those for every event, and those for this."""

    event: Any
    everyone: list[Handler]
    named: list[Handler]


Work = Task | Callback
"""What waits for its turn."""

Acknowledge = Callable[[EventReceived, tuple[object, ...]], Awaitable[None]]


class Dispatcher:
    """Runs handlers, from the first thing that is put in until `stop`, or until its stream has ended and is empty."""

    def __init__(self, limits: Limits, acknowledge: Acknowledge) -> None:
        self.queue: Stream[Work] = Stream(limits.max_queued_events)
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(limits.max_concurrent_handlers)
        self._main: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, event: Any, handlers: Handlers) -> None:
        """Let those who want this event now handle it when its turn comes."""
        self.put(Task(event, *handlers.take(event.name if isinstance(event, EventReceived) else type(event))))

    def put(self, work: Work) -> None:
        """Let this be handled when its turn comes."""
        self.queue.put(work)
        if self._main is None and not self._is_stopped:
            self._main = self._spawn(self._run())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self) -> None:
        while not self._is_stopped:
            try:
                work = await self.queue.get()
            except EngineIOError:
                return  # the end of the stream, which whoever uses the client is told elsewhere
            if isinstance(work, Callback):
                await self._call(work.function, work.args)
            else:
                await self._handle(work)

    async def _handle(self, task: Task) -> None:
        event = task.event
        if not isinstance(event, EventReceived):
            for handler in task.named:
                await self._start(handler, "", [event], None)
            return
        for handler in task.everyone:
            await self._start(handler, event.name, [event.name, *event.args], None)
        asked = event if event.ack_id is not None else None
        for handler in task.named:
            was_off = handler.is_off
            await self._start(handler, event.name, event.args, asked)
            asked = asked if was_off else None

    async def _start(self, handler: Handler, name: str | float, args: list[object], asked: EventReceived | None) -> None:
        if handler.is_off:
            return
        if not handler.concurrent:
            await self._answer(handler, name, args, asked)
            return
        await self._free.acquire()
        self._spawn(self._answer(handler, name, args, asked)).add_done_callback(lambda _: self._free.release())

    async def _answer(self, handler: Handler, name: str | float, args: list[object], asked: EventReceived | None) -> None:
        try:
            values = args if handler.model is None else [convert_args(args, handler.model, name)]
            answer = await _result(handler.function(*values))
            if asked is not None:
                await self._send_answer(asked, _values(answer))
        except (LocalProtocolError, ConnectionClosed) as error:
            if _is_late(error):
                logger.debug("an answer came too late: %s", error)
            else:
                report(handler.function, error)
        except asyncio.CancelledError:
            _pass_on_if_ours(handler.function)
        except Exception as error:
            report(handler.function, error)

    async def _send_answer(self, asked: EventReceived, values: tuple[object, ...]) -> None:
        try:
            await self._acknowledge(asked, values)
        except LocalProtocolError:
            raise
        except EngineIOError as error:
            # Whoever uses the client is told elsewhere what became of the connection; the handler has done its part.
            logger.debug("an answer was lost with its connection: %s", error)

    async def _call(self, function: Function, args: Iterable[object]) -> None:
        try:
            await _result(function(*args))
        except asyncio.CancelledError:
            _pass_on_if_ours(function)
        except Exception as error:
            report(function, error)

    async def stop(self, patience: float, asking: asyncio.Task[Any] | None) -> None:
        """Handle nothing more; cancel what runs, but for the task that is `asking`, and wait until it is gone, `patience` seconds at most."""
        self._is_stopped = True
        others = self._tasks - {asking}
        for task in others:
            task.cancel()
        if others:
            _, pending = await asyncio.wait(others, timeout=patience)
            if pending:
                logger.warning("%d handlers went on although they were cancelled", len(pending))


def report(function: Function, error: BaseException) -> None:
    """Tell the event loop's exception handler what a handler raised, as there is nobody else to tell."""
    name = getattr(function, "__qualname__", repr(function))
    asyncio.get_running_loop().call_exception_handler({"message": f"engineio_lite: handler {name} failed", "exception": error})


def _is_late(error: EngineIOError) -> bool:
    """Whether a handler has met nothing but the end that is being made, or that of the connection whose question it answers."""
    ending = isinstance(error, ConnectionClosed) and error.reason in (None, CloseReason.CLIENT_CLOSE)
    return ending or error.cause is Cause.ACK_NOT_AWAITED or error.cause is Cause.NOT_OPEN


def _pass_on_if_ours(function: Function) -> None:
    """Raise a cancellation on if it is meant for us. A handler that waited for something that was cancelled is cancelled itself, and nobody else."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    logger.debug("handler %s was cancelled", getattr(function, "__qualname__", function))


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _values(answer: Any) -> tuple[object, ...]:
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)
