"""The loop between the door and the network.

A driver has no opinion: it passes in what happened, does what comes out, and calls in when the deadline is reached. It drives an Engine.IO
connection or a Socket.IO client alike, since both have the same door; what the application sees is handed to a `sink`. Commands are carried out in
the order in which they came, by the wire of the connection that is there (see `wire.py`); when the machine starts over, another wire takes its
place, and what the old one still has to tell is not listened to.

Back-pressure. A slow application makes the server feel it, because the wire reads no further while the sink is full. A consumer that stops for
longer than the server's ping interval and timeout loses the connection, as the pings behind the unread messages go unanswered; no client can do
better on one ordered stream.

Ending. Every task belongs to the driver, and `shut_down` ends them all and closes the network, bounded and whatever happens to the caller meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from engineio_lite.aio.network import AnyNetwork
from engineio_lite.aio.wire import Reports, Sink, Wire, to_its_end
from engineio_lite.causes import Cause
from engineio_lite.commands import StartOver
from engineio_lite.events import Closed, MessageReceived
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import TimePassed
from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import CloseReason, SessionState, Transport

HIGH_WATER_BYTES = 1024 * 1024
"""What may wait for the next POST before `wait_writable` holds senders back: one POST of the usual maxPayload."""

HIGH_WATER_PACKETS = 1000
"""The same in packets: some sixty POSTs of sixteen."""

_EVENTS_ALONE = frozenset((MessageReceived, EventReceived))

TIMER_SLACK = 0.001
"""The loop's clock may call a timer this much early, in seconds."""


class Machine(Protocol):
    """A door: what `EngineIOConnection`, `SocketIOConnection` and `SocketIOLink` have in common."""

    @property
    def state(self) -> SessionState: ...
    @property
    def transport(self) -> Transport | None: ...
    @property
    def handshake(self) -> Handshake | None: ...
    @property
    def deadline(self) -> float: ...
    @property
    def buffered(self) -> int: ...
    @property
    def buffered_packets(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def confirmed(self) -> int: ...
    @property
    def writable(self) -> bool: ...
    @property
    def may_upgrade(self) -> bool: ...

    def process(self, input: Any, now: float) -> list[Any]: ...


class Driver:
    """Drives one machine over the networks that `make_network` returns, one for each connection."""

    def __init__(self, machine: Machine, make_network: Callable[[], AnyNetwork], sink: Sink) -> None:
        self._machine = machine
        self._make_network = make_network
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._reports = Reports(self._report, self._fault)
        self._wire = Wire(make_network(), sink, self._reports)
        self._retired: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.on_progress: Callable[[], None] | None = None
        """Called after everything that was processed, but for events that came alone."""
        self._line = asyncio.Lock()
        self._in_line = 0
        self._is_down = False

    # ------------------------------------------------------------------------------------------------------------------------------ in and out

    def process(self, input: Any) -> None:
        """Pass one input through the door and do what comes out, except for writing frames: await `flush` for that.

        Raises `LocalProtocolError` if the machine refuses it, or `ConnectionClosed` if that is because it is being closed; then nothing happened.
        """
        try:
            outputs = self._machine.process(input, self._loop.time())
        except LocalProtocolError as error:
            self._rearm()  # it may have something to tell all the same
            if error.cause is Cause.NOT_OPEN and self._machine.state is SessionState.CLOSING:
                # As it will be a moment later: how long closing takes depends on the transport and on the server.
                raise ConnectionClosed("the connection is being closed", reason=None) from None
            raise
        if len(outputs) == 1 and type(outputs[0]) in _EVENTS_ALONE:
            # What comes in floods: one event and nothing to do. Then no timer came nearer and nothing was sent, so there is nothing to look after.
            self._sink.deliver(outputs[0])
            return
        for output in outputs:
            if self._wire.perform(output):
                continue
            if type(output) is StartOver:
                self._start_over()
            else:
                self._sink.deliver(output)
        self._rearm()
        if self.on_progress is not None:
            self.on_progress()
        if self._watchers:
            self._look()

    def _report(self, wire: Wire, input: Any) -> None:
        if wire is self._wire and not self._is_down:
            self.process(input)

    def _start_over(self) -> None:
        task = self._loop.create_task(self._wire.shut_down())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
        self._wire = Wire(self._make_network(), self._sink, self._reports)

    async def flush(self) -> None:
        """Write the frames that wait, until all are in the transport's buffer. Safe to cancel: a frame is written whole or not at all."""
        await self._wire.flush()

    @property
    def unwritten(self) -> bool:
        """Whether frames wait to be written."""
        return self._wire.unwritten

    @property
    def writable(self) -> bool:
        """Whether what is sent now leaves now."""
        return self._machine.writable and not self._wire.writing

    @property
    def holding_back(self) -> bool:
        """Whether `wait_writable` would wait."""
        machine = self._machine
        return machine.buffered_packets > HIGH_WATER_PACKETS or machine.buffered > HIGH_WATER_BYTES

    @property
    def must_wait(self) -> bool:
        """Whether who wants to send has to wait `in_turn`: there is no room, or others wait for it."""
        return self._in_line > 0 or self.holding_back

    async def in_turn(self, action: Callable[[], None]) -> None:
        """Call `action` when there is room for more, first come, first served: nobody overtakes those who wait. Safe to cancel."""
        self._in_line += 1
        try:
            async with self._line:
                await self.wait_writable()
                action()
        finally:
            self._in_line -= 1

    async def wait_writable(self) -> None:
        """Return when the connection takes more without growing its buffer past the high-water mark, or is closed. Safe to cancel."""
        await self.wait_until(lambda: not self.holding_back)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds` does, which is looked at whenever something was processed, or the driver is shut down. Safe to cancel."""
        while not self._is_down and not holds():
            seen = self._loop.create_future()
            entry = (holds, seen)
            self._watchers.append(entry)
            try:
                await seen
            finally:
                if entry in self._watchers:
                    self._watchers.remove(entry)

    def _look(self) -> None:
        for entry in list(self._watchers):
            holds, seen = entry
            if holds() and not seen.done():
                self._watchers.remove(entry)
                seen.set_result(None)

    def _rearm(self) -> None:
        """Set the timer unless it is set to go off early enough: going off too early costs one look, moving it for every call costs more."""
        deadline = self._machine.deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf") and not self._is_down:
            self._timer = self._loop.call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        if self._machine.deadline <= self._loop.time() + TIMER_SLACK:
            self.process(TimePassed())
            if self._wire.unwritten:
                self._wire.flush_soon()
        else:
            self._rearm()

    def _fault(self, error: BaseException, task: asyncio.Task[None]) -> None:
        # Every failure of the network has become an input, so this is a fault of the library: say so loudly, and let nobody wait for ever.
        self._loop.call_exception_handler({"message": "engineio_lite: a driver task failed", "exception": error, "task": task})
        fault = EngineIOError(f"{type(error).__name__}: {error}", cause=Cause.INTERNAL_ERROR)
        fault.__cause__ = error
        self._sink.deliver(Closed(CloseReason.TRANSPORT_ERROR, fault))

    # ----------------------------------------------------------------------------------------------------------------------------------- ending

    async def wait_quiet(self) -> None:
        """Return when no task is left, that is, when every closing handshake is made. Safe to cancel."""
        await self._wire.wait_quiet()

    async def shut_down(self) -> None:
        """End every task and close the network; runs to its end even if the caller is cancelled, and waits for no peer."""
        self._is_down = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            await to_its_end([self._loop.create_task(self._wire.shut_down()), *self._retired])
        finally:
            for _, seen in self._watchers:
                if not seen.done():
                    seen.set_result(None)
