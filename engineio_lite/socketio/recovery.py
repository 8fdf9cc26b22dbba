"""Taking up a lost session where it was lost: what the client has to remember for it, and how it tells an offset from an argument.

A server with connection state recovery grants a namespace with a private id, the ``pid``, and appends to each event that it could send again an
offset, as the last argument. A client that comes back within the server's time, with its pid and the last offset that it saw, gets the same
session again, and first of all what it missed.

The protocol does not mark the offset. It is there only without an ack id, and not on volatile events, which a client cannot see; the reference
client takes any last argument that is a string, hands it on to the application with the rest, and after a volatile event that ends in a string
recovers nothing. Here a string counts as an offset if it has the form that one of the known servers gives it, and then it is taken off. If a
namespace has never shown such a one, its last strings are remembered as the reference client does it, and left where they are.

What no client can mend: a server recovers nothing for a client that has seen no offset yet, so the pid alone is offered and usually refused; a
refusal is an ordinary new session with a new pid. And where a server replays events without their offsets, they come again at the next recovery.

Reference: socket.io-protocol revision 5 and the Node server's in-memory, Redis streams and MongoDB adapters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engineio_lite.socketio.events import EventReceived

_BASE64: Final = {digit: value for value, digit in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_")}

_FORMS: Final = re.compile(
    r"(?P<memory>[0-9A-Za-z_-]{7})(?:\.[0-9A-Za-z_-]+)?"  # in memory: milliseconds in base 64, with a counter
    r"|(?P<redis>[0-9]{13})-[0-9]+"  # Redis streams: milliseconds and a counter
    r"|(?P<mongo>[0-9a-f]{8})[0-9a-f]{16}"  # MongoDB: an ObjectId, which begins with seconds
)

SKEW: Final = 60.0
"""Seconds by which the servers' clocks may differ from each other, and run faster or slower than ours, between one offset and the next."""

CALENDAR_SKEW: Final = 86_400.0
"""Seconds by which the server's calendar may differ from ours."""


def read_offset(text: str) -> tuple[str, float] | None:
    """Return the form of an offset and its time, in seconds since 1970; None if it has none of the known forms."""
    match = _FORMS.fullmatch(text)
    if match is None:
        return None
    form = str(match.lastgroup)
    digits = match[form]
    if form == "redis":
        return form, int(digits) / 1000
    if form == "mongo":
        return form, float(int(digits, 16))
    value = 0
    for digit in digits:
        value = 64 * value + _BASE64[digit]
    return form, value / 1000


class Recovery:
    """What one namespace needs to be taken up again."""

    __slots__ = ("_form", "_guess", "_latest", "epoch", "offset", "pid", "taken_up")

    def __init__(self, epoch: float | None = None) -> None:
        self.epoch = epoch
        """The calendar's time at which the clock of `now` was at 0; None if it is not known."""
        self._form: str | None = None
        """The form of this server's offsets; None while none was seen."""
        self._guess = 0.0
        """The same as `epoch`, by the first offset of this session."""
        self._latest = 0.0
        """The time of the latest of them."""
        self.pid: str | None = None
        self.offset: str | None = None
        self.taken_up = False
        """Whether the last grant took up the session that was lost."""

    def claim(self, auth: Mapping[str, object] | None) -> Mapping[str, object] | None:
        """Return the payload of CONNECT: what the application gives, which wins, and our claim to the lost session."""
        if self.pid is None or not isinstance(auth, Mapping | None):
            return auth  # what is no payload at all is for others to refuse
        claim: dict[str, object] = {"pid": self.pid}
        if self.offset is not None:
            claim["offset"] = self.offset
        return claim | dict(auth or {})

    def granted(self, pid: str | None) -> bool:
        """Note the pid of a CONNECT answer; return whether it is the session that was lost."""
        self.taken_up = pid is not None and pid == self.pid
        if not self.taken_up:
            self.offset = self._form = None  # they belong to a session that is gone
        self.pid = pid
        return self.taken_up

    def forget(self) -> None:
        """The namespace was left on purpose, by whichever side: there is nothing to take up."""
        self.pid = self.offset = None

    def strip(self, event: EventReceived, now: float) -> EventReceived:
        """Take the offset off an event that came at the instant `now`, and remember it."""
        args = event.args
        if self.pid is None or event.ack_id is not None or not args or not isinstance(last := args[-1], str):
            return event
        if self._is_offset(last, now):
            self.offset = last
            return EventReceived(event.namespace, event.name, args[:-1])
        if self._form is None:
            self.offset = last
        return event

    def _is_offset(self, text: str, now: float) -> bool:
        """Whether a text has the form of an offset and a time that fits; then it is remembered."""
        read = read_offset(text)
        if read is None:
            return False
        form, time = read
        if self._form is None:
            # Without a calendar the first offset tells it, as well as it can be told.
            fits = self.epoch is None or abs(self.epoch + now - time) <= CALENDAR_SKEW
            self._guess = time - now
        else:
            # Strict into the past, where most words of an application's would be, and generous into the future: an event may have been read late, and
            # a machine's clock may have stood still while it slept.
            fits = form == self._form and self._latest - SKEW <= time <= (self._guess if self.epoch is None else self.epoch) + now + CALENDAR_SKEW
        if fits:
            self._latest = max(self._latest, time) if self._form is not None else time
            self._form = form
        return fits
