"""A session that is served: a `ServerSession` with an application on one side and a driver on the other, in an event loop.

The application is told what happens by plain calls, and acts by plain calls from within them or at any other time in the loop; nothing of it waits.
What it does from within a call takes effect at once on the session, while what follows from it for the application itself comes after what is already
on its way to it: calls are never nested, and they come in the order in which things happened.

An exception that an application lets out of a call ends its session at once, and is raised where the server is left: a client that waits for ever and
an error that nobody sees would be two failures in the place of one.

The module knows asyncio's clock and nothing of HTTP: what a request or a socket is, its driver knows (`serving.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from engineio_lite.causes import Cause
from engineio_lite.commands import SendFrame
from engineio_lite.events import MessageReceived, Upgraded
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import Close, Headers, SendMessages, TimePassed
from engineio_lite.replay.engine import ServerSession, ServerState
from engineio_lite.replay.happenings import Abort, Answer, CloseSocket, CutRequest, Input, Output, SessionOver
from engineio_lite.replay.offer import Offer
from engineio_lite.state import CloseReason, Transport


class Handler(Protocol):
    """What an application has for one session."""

    def message(self, data: str | bytes) -> None:
        """The client sent a message."""

    def closed(self, reason: CloseReason) -> None:
        """The session is over, whoever ended it; the last call. `LiveSession.ending` says more."""


class Application(Protocol):
    """Whatever is served."""

    def open(self, session: LiveSession) -> Handler:
        """A client opens a session. Its `offer` may be chosen here; what is sent here follows the open packet."""


# A driver gives these to its session. None of the calls waits.


class Request(Protocol):
    """A request, to be answered or cut, once."""

    def answer(self, answer: Answer) -> None:
        """Answer it."""

    def cut(self) -> None:
        """End its connection."""


class Socket(Protocol):
    """A WebSocket."""

    def send(self, data: str | bytes) -> None:
        """Send a message after those before it."""

    def close(self) -> None:
        """Send a Close frame after that; the last call."""


class Keeper(Protocol):
    """Who keeps the sessions."""

    def failed(self, error: Exception) -> None:
        """The application has let this out of one of its calls."""

    def over(self, session: LiveSession) -> None:
        """A session has ended."""


class LiveSession:
    """One client, to its application: what it sends, and what can be done about it.

    `query` (by name; of two the last) and `headers` are those of the request that opened the session. All methods are for the server's loop, also
    from within the calls of a `Handler`.
    """

    def __init__(self, engine: ServerSession, *, query: Mapping[str, str], headers: Headers, keeper: Keeper) -> None:
        self.query = query
        self.headers = headers
        self.ending: SessionOver | None = None
        """How the session ended: reason and detail; None as long as it has not."""

        self._engine = engine
        self._keeper = keeper
        self._handler: Handler | None = None
        self._broken = False
        self._loop = asyncio.get_running_loop()
        self._requests: dict[int, Request] = {}
        self._sockets: dict[int, Socket] = {}
        self._outputs: deque[Output] = deque()
        self._performing = False
        self._alarm: asyncio.TimerHandle | None = None
        self._scheduled: set[asyncio.TimerHandle] = set()

    # --- For the application.

    @property
    def sid(self) -> str:
        """What the client calls the session."""
        return self._engine.sid

    @property
    def transport(self) -> Transport:
        """The transport that carries it now."""
        return self._engine.transport

    @property
    def now(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    @property
    def offer(self) -> Offer:
        """What the open packet says. To be replaced in `Application.open` only: afterwards it raises `LocalProtocolError`."""
        return self._engine.offer

    @offer.setter
    def offer(self, offer: Offer) -> None:
        if self._engine.opened:
            raise LocalProtocolError("the open packet has been sent, its offer stands", cause=Cause.BAD_OPTION)
        self._engine.offer = offer

    def send(self, *messages: str | bytes) -> None:
        """Send messages in this order; to a client that has left or is being left, nothing, since it may have done so in the body being read.

        Raises `LocalProtocolError`, and sends nothing, for what cannot be sent.
        """
        if self._engine.state is ServerState.OPEN:
            self.process(SendMessages(messages))

    def close(self, *farewell: str | bytes) -> None:
        """End the session after what waits and these messages; by polling the client takes them with its next requests. Twice is harmless."""
        self.process(Close(farewell))

    def call_at(self, when: float, function: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `function` at an instant of the clock `now`, unless the session is over by then; the handle can be cancelled."""

        def call() -> None:
            self._scheduled.discard(handle)
            self._guarded(function)

        handle = self._loop.call_at(when, call)
        self._scheduled.add(handle)
        return handle

    # --- For the driver.

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        return self._engine.state is ServerState.CLOSED

    def begin(self, application: Application) -> None:
        """Show the session to its application; to be called once, before anything is processed."""

        def begin() -> None:
            self._handler = application.open(self)

        self._guarded(begin)

    def has_request(self, number: int, request: Request) -> None:
        """Say how a request is answered, before it is processed."""
        self._requests[number] = request

    def has_socket(self, number: int, socket: Socket) -> None:
        """Say how a socket is written to, before its opening is processed."""
        self._sockets[number] = socket

    def forget(self, number: int) -> None:
        """A request or socket is gone, and its session has been told."""
        self._requests.pop(number, None)
        self._sockets.pop(number, None)

    def process(self, input: Input) -> None:
        """Take an input and perform what follows from it. Raises as `ServerSession.process` does."""
        self._outputs.extend(self._engine.process(input, self._loop.time()))
        self._perform_all()

    # --- Performing.

    def _perform_all(self) -> None:
        if self._performing:
            return  # from within a call: whoever made it goes on with what follows
        self._performing = True
        try:
            while self._outputs:
                self._perform(self._outputs.popleft())
        finally:
            self._performing = False
        self._set_alarm()

    def _perform(self, output: Output) -> None:
        match output:
            case Answer():
                self._requests.pop(output.request).answer(output)
            case CutRequest():
                self._requests.pop(output.request).cut()
            case SendFrame():
                self._sockets[output.socket].send(output.data)
            case CloseSocket():
                self._sockets.pop(output.socket).close()
            case MessageReceived():
                self._tell(output.data)
            case SessionOver():
                self._end(output)
            case Upgraded():
                pass  # `transport` shows it
            case _:
                assert_never(output)

    def _tell(self, data: str | bytes) -> None:
        # One that has failed is not asked to go on with what was already on its way to it.
        if (handler := self._handler) is not None and not self._broken:
            self._guarded(lambda: handler.message(data))

    def _end(self, over: SessionOver) -> None:
        self.ending = over
        for handle in self._scheduled:
            handle.cancel()
        self._scheduled.clear()
        self._keeper.over(self)
        handler, self._handler = self._handler, None
        if handler is not None:
            self._guarded(lambda: handler.closed(over.reason))

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._broken = True
            self._keeper.failed(error)
            self.process(Abort(detail=f"the server's application failed: {type(error).__name__}"))

    # --- Time.

    def _set_alarm(self) -> None:
        deadline = self._engine.deadline
        if self._alarm is not None:
            if self._alarm.when() == deadline:
                return
            self._alarm.cancel()
        self._alarm = None if math.isinf(deadline) else self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self.process(TimePassed())
