"""Listeners for what leaves: functions that look on as events of ours are passed to the connection.

The link tells of such events (`EventSent`), and only in namespaces that somebody listens in. A listener is called at once, before `emit` returns,
and not in its turn among the handlers: what leaves does not wait for who looks on, and a queue of what is still to be shown would have no bound in
a flood. So it is a plain function. It hears of an event when everything that the same input brought about is done, and can change nothing of it any
more; what it raises goes to the event loop's exception handler.

A listener that emits is told of that event, too. It does so in a task, which has its turn later, or in one that begins at once (an eager one); then
what it emits is written after what is under way, and told of in the next turn of the event loop. So calls of listeners never nest, however events
follow each other, and everything else goes on.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable

from engineio_lite.aio.handlers import Function, Handler, report
from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.socketio.events import EventSent


class Onlookers:
    """Shows events that were passed to the connection to those who listen; `listeners_of` says who that is in a namespace."""

    def __init__(self, listeners_of: Callable[[str], Iterable[Handler]]) -> None:
        self._listeners_of = listeners_of
        self._loop = asyncio.get_running_loop()
        self.unseen: list[EventSent] = []
        """What was passed on and is to be shown: what one input brought about, or what listeners emit in their calls."""
        self._is_showing = False

    def show(self) -> None:
        """Call the listeners with what is unseen, unless this is within one of their calls: then it waits for the next turn of the event loop."""
        if self._is_showing:
            return
        unseen, self.unseen = self.unseen, []
        self._is_showing = True
        try:
            for event in unseen:
                for listener in self._listeners_of(event.namespace):
                    self._call(listener, event)
        finally:
            self._is_showing = False
            if self.unseen:
                self._loop.call_soon(self.show)

    def _call(self, listener: Handler, event: EventSent) -> None:
        if listener.is_off:
            return
        try:
            result = listener.function(event.name, *event.args)
            if inspect.iscoroutine(result):
                result.close()  # or it would only be said, some time later, that nobody awaited it
                raise not_plain(listener.function)
        except (Exception, asyncio.CancelledError) as error:
            # Nobody can be cancelled in a function that does not wait, so this is not meant for whoever emits.
            report(listener.function, error)


def not_plain(function: Function) -> LocalProtocolError:
    """What is wrong with a coroutine function."""
    name = getattr(function, "__qualname__", repr(function))
    message = f"expected a plain function to call with what leaves, {name} is a coroutine function: let it create a task, or fill a queue"
    return LocalProtocolError(message, cause=Cause.BAD_OPTION)
