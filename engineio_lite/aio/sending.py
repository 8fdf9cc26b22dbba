"""The sending half of a Socket.IO client: events on their way, calls that wait for their answers.

What is sent when is decided by the link. Here is kept who wants to know what became of it: a future for each acknowledgement, and for each
`Delivery` how far it has come. Whether an event has left is read off two counts of the connection, how many messages it took and how many of them
have left; so a flood of events costs one comparison each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from engineio_lite.aio.delivery import Delivery, Stage, value_of
from engineio_lite.aio.driver import Driver
from engineio_lite.aio.handlers import Function
from engineio_lite.aio.outgoing import Onlookers
from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectionClosed, EngineIOError, LocalProtocolError
from engineio_lite.socketio.connection import dropped_error
from engineio_lite.socketio.events import CallAnswered, CallFailed, EmitDropped, EmitHeld, EmitReleased, EventSent
from engineio_lite.socketio.inputs import Deliver, Emit
from engineio_lite.socketio.link import SocketIOLink

DEFAULT_CALL_TIMEOUT: Final = 60.0
"""Seconds that `call` waits by default; as python-socketio's does."""

DEFAULT_RETRY_TIMEOUT: Final = 10.0
"""Seconds after which an event that is repeated is sent again, by default."""

Answer = asyncio.Future[list[object]]


class Habits(msgspec.Struct, frozen=True):
    """How a client delivers unless it is told otherwise; raises `LocalProtocolError` for what makes no sense."""

    retries: int | None = None
    ack_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.retries is not None and self.retries < 0:
            raise LocalProtocolError(f"retries is a number from 0 up, or None, not {self.retries!r}", cause=Cause.BAD_OPTION)
        if self.ack_timeout is not None and not self.ack_timeout > 0:
            raise LocalProtocolError(f"ack_timeout is a number of seconds above 0, or None, not {self.ack_timeout!r}", cause=Cause.BAD_OPTION)


class Owner(msgspec.Struct, frozen=True):
    """What the sending half needs of the client around it."""

    raise_if_closed: Callable[[], None]
    release: Callable[[], None]
    """Called when an answer is awaited that may lie behind unread events."""
    call_back: Callable[[Function, list[object]], None]
    """Has a function called in its turn."""
    onlookers: Onlookers
    """Who is shown what leaves."""


class Sender:
    """Sends events, and remembers who waits for what."""

    def __init__(self, link: SocketIOLink, driver: Driver, owner: Owner, habits: Habits) -> None:
        self._link = link
        self._driver = driver
        self._owner = owner
        self._habits = habits
        self._onlookers = owner.onlookers
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._calls: dict[int, Answer] = {}
        self._emitting: Delivery | None = None
        self._held: dict[int, Delivery] = {}
        self._unconfirmed: deque[Delivery] = deque()
        self._lost_connections = 0
        driver.on_progress = self._progressed

    @property
    def awaits(self) -> bool:
        """Whether anybody waits for an answer."""
        return bool(self._calls)

    # -------------------------------------------------------------------------------------------------------------------------------- sending

    async def emit(
        self,
        namespace: str,
        name: str,
        args: tuple[object, ...],
        *,
        ack: bool,
        callback: Function | None,
        timeout: float | None,
        volatile: bool,
        retries: int | UnsetType | None,
    ) -> Delivery:
        """See `Namespace.emit`."""
        if retries is UNSET:
            retries = None if volatile else self._habits.retries
        if volatile and retries is not None:
            raise LocalProtocolError("an event is either volatile or repeated", cause=Cause.BAD_OPTION)
        number = self._numbers = self._numbers + 1
        if not ack and retries is None:
            delivery = Delivery()
            wish: Emit | Deliver = Emit(name, args, namespace, None, None, volatile, number)
        else:
            delivery = self._expect(number, callback)
            wish = self._asking(number, namespace, name, args, self._habits.ack_timeout if timeout is None else timeout, volatile, retries)
        try:
            if volatile and not self._driver.writable:
                self._owner.raise_if_closed()
                delivery.move(Stage.DROPPED)
                fail(self._calls.get(number), dropped_error(name))
            else:
                await self._send(wish, delivery)
        except BaseException:
            self._calls.pop(number, None)
            raise
        return delivery

    def _asking(
        self, number: int, namespace: str, name: str, args: tuple[object, ...], timeout: float | None, volatile: bool, retries: int | None
    ) -> Emit | Deliver:
        """An event that wants an answer; the number of the call is its ticket too."""
        if retries is None:
            return Emit(name, args, namespace, number, timeout, volatile, number)
        return Deliver(name, args, number, DEFAULT_RETRY_TIMEOUT if timeout is None else timeout, retries, namespace)

    def _expect(self, number: int, callback: Function | None) -> Delivery:
        """A delivery whose answer is that to call `number`, which is forgotten once it is there."""
        answer: Answer = self._loop.create_future()
        delivery = Delivery(answer)
        self._calls[number] = answer

        def answered(answer: Answer) -> None:
            self._calls.pop(number, None)
            if has_result(answer):
                delivery.move(Stage.ACKNOWLEDGED)
                if callback is not None:
                    self._owner.call_back(callback, answer.result())
            elif not answer.cancelled() and isinstance(error := answer.exception(), EngineIOError):
                delivery.move(Stage.DROPPED if error.cause is Cause.DROPPED else Stage.FAILED, error)

        answer.add_done_callback(answered)
        self._owner.release()
        return delivery

    async def _send(self, wish: Emit | Deliver, delivery: Delivery) -> None:
        """Pass an event through the door, and note how far it has come when it is written or queued."""
        self._owner.raise_if_closed()
        driver = self._driver
        if driver.must_wait:
            await driver.in_turn(lambda: self._pass(wish, delivery))
        else:
            self._pass(wish, delivery)
        passed_on = type(wish) is Emit and wish.ticket not in self._held and not delivery.final
        if driver.unwritten:
            await driver.flush()
        self._owner.raise_if_closed()
        if passed_on and delivery.connection == self._lost_connections:
            self._passed_on(delivery)
        elif passed_on:
            delivery.move(Stage.FAILED, ConnectionClosed("the connection was lost while the event was written", reason=None))

    def _pass(self, wish: Emit | Deliver, delivery: Delivery | None) -> None:
        self._owner.raise_if_closed()
        self._emitting = delivery
        if delivery is not None:
            delivery.connection = self._lost_connections
        try:
            self._driver.process(wish)
        finally:
            self._emitting = None

    def _passed_on(self, delivery: Delivery) -> None:
        """An event is with the connection now."""
        if self._link.confirmed == self._link.accepted:
            delivery.move(Stage.WRITTEN)
        else:
            delivery.position = self._link.accepted
            self._unconfirmed.append(delivery)

    def _progressed(self) -> None:
        """Note which events have left by now, and show which were passed on."""
        confirmed = self._link.confirmed if self._unconfirmed else 0
        while self._unconfirmed and self._unconfirmed[0].position <= confirmed:
            self._unconfirmed.popleft().move(Stage.WRITTEN)
        if self._onlookers.unseen:
            self._onlookers.show()

    async def call(
        self, namespace: str, name: str, args: tuple[object, ...], timeout: float | UnsetType | None, retries: int | UnsetType | None
    ) -> Any:
        """See `Namespace.call`."""
        retries = self._habits.retries if retries is UNSET else retries
        number = self._numbers = self._numbers + 1
        usual = self._habits.ack_timeout or (DEFAULT_CALL_TIMEOUT if retries is None else None)
        answer: Answer = self._loop.create_future()
        self._calls[number] = answer
        self._owner.release()
        try:
            driver = self._driver
            self._owner.raise_if_closed()
            wish = self._asking(number, namespace, name, args, usual if timeout is UNSET else timeout, False, retries)
            if driver.must_wait:
                await driver.in_turn(lambda: self._pass(wish, None))
            else:
                driver.process(wish)
            if driver.unwritten:
                await driver.flush()
            self._owner.raise_if_closed()
            return value_of(await answer)
        finally:
            self._calls.pop(number, None)
            has_result(answer)  # seen, even where the connection's own error was raised instead

    async def drain(self) -> None:
        """See `SocketIOClient.drain`."""
        await self._driver.wait_until(lambda: self.unsent == 0 or self._link.state == "closed")
        await self._driver.flush()
        self._owner.raise_if_closed()

    @property
    def unsent(self) -> int:
        """How many messages wait, here or in the connection, or have not been acknowledged for good."""
        return self._link.waiting + self._link.accepted - self._link.confirmed

    # ------------------------------------------------------------------------------------------------------------------------ what became of it

    def happened(self, event: Any) -> bool:
        """Note what became of an event; False if that is not what this tells."""
        match event:
            case CallAnswered(call, args):
                if (answer := self._calls.get(call)) is not None and not answer.done():
                    answer.set_result(args)
            case CallFailed(call, error):
                fail(self._calls.get(call), error)
            case EmitHeld(ticket):
                if self._emitting is not None:
                    self._held[ticket] = self._emitting
            case EmitReleased(ticket):
                if (delivery := self._held.pop(ticket, None)) is not None:
                    self._passed_on(delivery)
            case EventSent():
                self._onlookers.unseen.append(event)
            case EmitDropped():
                self._dropped(event)
            case _:
                return False
        return True

    def _dropped(self, event: EmitDropped) -> None:
        delivery = self._held.pop(event.ticket, None) if event.ticket is not None else None
        delivery = delivery if delivery is not None else self._emitting
        if delivery is not None:
            delivery.move(Stage.DROPPED if event.error is None else Stage.FAILED, event.error)

    def lost(self, error: EngineIOError) -> None:
        """A connection is gone, and with it what had not left; another may follow."""
        self._lost_connections += 1
        for delivery in self._unconfirmed:
            delivery.move(Stage.FAILED, error)
        self._unconfirmed.clear()

    def ended(self, error: EngineIOError) -> None:
        """There will be no other connection."""
        self.fail_calls(error)
        for delivery in self._held.values():
            delivery.move(Stage.FAILED, error)
        self._held.clear()
        self.lost(error)

    def fail_calls(self, error: EngineIOError) -> None:
        """Nobody who waits for an answer will get one."""
        for answer in self._calls.values():
            fail(answer, error)


def fail(waiting: asyncio.Future[Any] | None, error: EngineIOError) -> None:
    """Let whoever waits, if somebody does, meet this error."""
    if waiting is not None and not waiting.done():
        waiting.set_exception(error)


def has_result(future: asyncio.Future[Any]) -> bool:
    """Whether a future has a result; its exception, if it has one, counts as seen from here on."""
    return future.done() and not future.cancelled() and future.exception() is None
