"""The receiving half of a Socket.IO client: where an event goes when it comes.

Each event goes to whoever waits for its name; then to its handlers if it has any, else, if nobody has waited, into a stream: that of its namespace
if that is read by itself, or the client's. Streams and handlers are bounded together: the driver reads no further while any of them is full,
unless somebody waits for what lies behind, and even then only up to `OVERFLOW` times the limit.

Nearly always there is one stream and nothing else; then an event costs one look at `plain`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engineio_lite.aio.handlers import Acknowledge, Callback, Dispatcher, Function, Handlers
from engineio_lite.aio.sending import fail, has_result
from engineio_lite.aio.stream import Stream
from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError, LocalProtocolError, TimedOut, elide
from engineio_lite.limits import Limits
from engineio_lite.socketio.events import EventReceived

OVERFLOW: Final = 16
"""While somebody waits, so many times the limit of unread events may pile up: what is waited for comes behind them on the same ordered stream."""


class Box:
    """Where the events of one namespace go."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.handlers = Handlers()
        self.stream: Stream[EventReceived] | None = None
        """A stream of its own, if it is read by itself."""
        self.end: EngineIOError | None = None
        """Why nothing more will come here, if it will not."""


class Arrival(NamedTuple):
    """An event for those who waited for it: `others` are the futures of all who still have it, and `is_handled` says whether it has a handler too."""

    event: EventReceived
    others: list[asyncio.Future[Any]]
    is_handled: bool


Waiter = tuple[Box, str, asyncio.Future[Arrival]]


class Inbox:
    """The streams, handlers and waiters of a client; `boxes` are those of its namespaces, and the one called `main` reads the client's `stream`."""

    def __init__(self, stream: Stream[Any], limits: Limits, acknowledge: Acknowledge, main: Box) -> None:
        self.stream = stream
        self.dispatcher = Dispatcher(limits, acknowledge)
        self.boxes: dict[str, Box] = {main.namespace: main}
        self.plain = True
        """Whether all that comes goes into the one stream: nobody listens, waits or reads elsewhere."""
        self._main = main
        self._limit = limits.max_queued_events
        self._loop = asyncio.get_running_loop()
        self._waiters: list[Waiter] = []
        self._end: EngineIOError | None = None

    # ----------------------------------------------------------------------------------------------------------------------------- what comes

    def route(self, event: EventReceived) -> None:
        """Bring an event to where it belongs."""
        box = self.boxes.get(event.namespace, self._main)
        is_handled = box.handlers.wants(event.name)
        taken: list[asyncio.Future[Any]] = []
        for waiter in self._waiters.copy():
            waiting, name, arrived = waiter
            if event.name == name and event.namespace == waiting.namespace and not arrived.done():
                taken.append(arrived)
                arrived.set_result(Arrival(event, taken, is_handled))
                self._waiters.remove(waiter)
        if is_handled:
            self.dispatcher.handle(event, box.handlers)
        elif not taken:
            (box.stream if box.stream is not None else self.stream).put(event)

    def call_back(self, function: Function, args: list[object]) -> None:
        """Have a function called after the handlers of what came before."""
        self.dispatcher.put(Callback(function, args))

    def finish(self, error: EngineIOError) -> None:
        """Nothing more will come."""
        self._end = error
        self.dispatcher.queue.finish(error)
        for box in self.boxes.values():
            if box.stream is not None:
                box.stream.finish(error)
        self.fail_waiters(error)

    def leave(self, box: Box, error: EngineIOError) -> None:
        """Nothing more will come in one namespace."""
        box.end = error
        if box.stream is not None:
            box.stream.finish(error)
        for waiting, _, arrived in self._waiters:
            if waiting is box:
                fail(arrived, error)

    def fail_waiters(self, error: EngineIOError) -> None:
        """Nobody who waits for an event will get it."""
        for _, _, arrived in self._waiters:
            fail(arrived, error)

    # --------------------------------------------------------------------------------------------------------------------- who wants what comes

    def listeners_changed(self) -> None:
        """Look again at who listens, waits or reads elsewhere, and hand over what waits unread for somebody who listens now."""
        listened = any(box.handlers for box in self.boxes.values())
        self.plain = not (listened or self._waiters or any(box.stream is not None for box in self.boxes.values()))
        self.stream.forgetful = self.stream.forgetful or listened
        if listened and any(map(len, self._streams())):
            # Later in this turn of the event loop: handlers that are registered one after the other see what waits in wire order.
            self._loop.call_soon(self._sweep)

    def _sweep(self) -> None:
        for stream in self._streams():
            stream.take(self._hand_over)

    def _hand_over(self, event: Any) -> bool:
        """Let the handlers of an event have it; False if there are none."""
        if type(event) is not EventReceived:
            return False
        handlers = self.boxes.get(event.namespace, self._main).handlers
        is_wanted = handlers.wants(event.name)
        if is_wanted:
            self.dispatcher.handle(event, handlers)
        return is_wanted

    def read_separately(self, box: Box) -> Stream[EventReceived]:
        """Return a stream for one namespace alone, with what waits for it already."""
        if box is self._main:
            return self.stream
        if box.stream is None:
            box.stream = Stream(self._limit)
            for event in self.stream.take(lambda event: type(event) is EventReceived and event.namespace == box.namespace):
                box.stream.put(event)
            self.plain = False
            if (end := box.end or self._end) is not None:
                box.stream.finish(end)
        return box.stream

    def take_waiting(self, box: Box, name: str) -> EventReceived | None:
        """Take the first event of that name out of those that wait unread."""
        stream: Stream[EventReceived] = box.stream if box.stream is not None else self.stream
        found = stream.take(lambda event: type(event) is EventReceived and event.name == name and event.namespace == box.namespace, 1)
        return found[0] if found else None

    async def wait_for(self, box: Box, name: str, timeout: float | None) -> EventReceived:
        """Return the next event of that name to come. Raises `TimedOut` after `timeout` seconds, or the end. Safe to cancel."""
        arrived: asyncio.Future[Arrival] = self._loop.create_future()
        waiter = (box, name, arrived)
        self._waiters.append(waiter)
        self.plain = False
        self.release()
        try:
            async with asyncio.timeout(timeout):
                return (await arrived).event
        except TimeoutError:
            if has_result(arrived):
                return arrived.result().event  # it came in the very turn in which the time was over
            raise TimedOut(f"no event {elide(name)} came within {timeout:.3g} s", cause=Cause.WAIT_TIMEOUT, stage="namespace") from None
        except asyncio.CancelledError:
            if has_result(arrived):
                self._return(box, arrived)
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            has_result(arrived)
            self.listeners_changed()

    def _return(self, box: Box, arrived: asyncio.Future[Arrival]) -> None:
        """An event came for somebody who was cancelled in the same turn: if nobody else has it, whoever reads next shall."""
        event, others, is_handled = arrived.result()
        others.remove(arrived)
        if not others and not is_handled:
            (box.stream if box.stream is not None else self.stream).put_back(event)

    # ---------------------------------------------------------------------------------------------------------------------------- back-pressure

    def _streams(self) -> list[Stream[Any]]:
        return [self.stream, *(box.stream for box in self.boxes.values() if box.stream is not None)]

    def is_full(self, awaits: bool) -> bool:
        """Whether the driver should read no further; `awaits` says that somebody waits for an answer behind what is unread."""
        if self.plain:
            return self.stream.full and (not awaits or self.overflows())
        if not any(stream.full for stream in (self.dispatcher.queue, *self._streams())):
            return False
        return not (awaits or self._waiters) or self.overflows()

    def overflows(self) -> bool:
        """Whether too much is unread even for somebody who waits."""
        return any(stream.full and len(stream) >= OVERFLOW * self._limit for stream in (self.dispatcher.queue, *self._streams()))

    async def wait_room(self, awaits: Callable[[], bool], fail_calls: Callable[[EngineIOError], None]) -> None:
        """Return when the driver should read again; who would find an answer behind too many unread events fails. Safe to cancel."""
        while self._end is None and self.is_full(awaits()):
            full = [stream for stream in (self.dispatcher.queue, *self._streams()) if stream.full]
            if self.overflows() and (awaits() or self._waiters):
                error = LocalProtocolError(f"{max(map(len, full))} events wait unread before the answer", cause=Cause.RECEIVE_BUFFER_FULL)
                fail_calls(error)
                self.fail_waiters(error)
            await full[0].wait_room()

    def release(self) -> None:
        """Let a driver that waits for room look again: somebody waits for what lies behind the unread events now."""
        for stream in (self.dispatcher.queue, *self._streams()):
            stream.release()
