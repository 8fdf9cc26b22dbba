"""A player on a server: each live Engine.IO session gets its seat, and everything else of the session is the server's business.

The stage is an application as `live.py` knows them. It chooses what the open packet says, so that a client sees the times that it saw, passes
messages on to the session's `Conversation` and does what comes of it, and calls in when that has a deadline. Where a replay goes wrong the session
is closed at once: a client that waits for an answer that will not come would only hide what happened behind a time limit of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from engineio_lite.capture.lines import SessionOpened
from engineio_lite.exceptions import CassetteMismatch
from engineio_lite.replay.conversation import Conversation, Spoken, Watch
from engineio_lite.replay.happenings import Abort
from engineio_lite.replay.live import Handler, LiveSession
from engineio_lite.replay.offer import DEFAULT_OFFER, Offer
from engineio_lite.replay.player import Player
from engineio_lite.state import CloseReason, Transport

WatchSession: TypeAlias = Callable[[int], Watch]
"""Returns who watches the recorded session of that number."""

MAX_ROUNDS: Final = 1000
"""Rounds of a replay that begins again and again that are remembered for its report."""

_KNOWN: Final = frozenset(("sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"))


def offer_of(opened: SessionOpened | None, *, pings: bool = False) -> Offer:
    """What the recorded open packet offered, or the usual where nothing usable is recorded.

    A session that was recorded on a WebSocket had nothing to upgrade to; then an upgrade is offered, since the client may now come by polling.
    """
    said: Mapping[str, object] = opened.handshake if opened is not None else {}
    upgrades = said.get("upgrades")
    is_told = isinstance(upgrades, list) and opened is not None and opened.transport is Transport.POLLING
    payload = said.get("maxPayload", DEFAULT_OFFER.max_payload if not said else None)
    return Offer(
        upgrades=tuple(map(str, upgrades)) if is_told and isinstance(upgrades, list) else DEFAULT_OFFER.upgrades,
        ping_interval=_seconds(said.get("pingInterval"), DEFAULT_OFFER.ping_interval),
        ping_timeout=_seconds(said.get("pingTimeout"), DEFAULT_OFFER.ping_timeout),
        max_payload=payload if isinstance(payload, int) and not isinstance(payload, bool) and payload > 0 else None,
        pings=pings,
        more={key: value for key, value in said.items() if key not in _KNOWN},
    )


def _seconds(milliseconds: object, usual: float) -> float:
    is_time = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool) and milliseconds > 0
    return milliseconds / 1000 if is_time and isinstance(milliseconds, int | float) else usual


class Stage:
    """The application of a server that plays what `player` says. `pings` has the server send pings; `watch` sees the packets of each session.

    `again` makes the next player when every recorded session was given to somebody; without it, whoever comes then is refused. `on_end` is called
    whenever a session is over.
    """

    def __init__(self, player: Player, *, pings: bool = False, watch: WatchSession | None = None, again: Callable[[], Player] | None = None) -> None:
        self.player = player
        self.rounds: deque[Player] = deque(maxlen=MAX_ROUNDS)
        """The players before it, oldest first."""
        self._again = again
        self._pings = pings
        self._watch = watch
        self.on_end: Callable[[], None] = lambda: None

    def open(self, session: LiveSession) -> Handler:
        """See `Application`."""
        if self._again is not None and len(self.player.seats) >= len(self.player.scripts):
            self.rounds.append(self.player)
            self.player = self._again()
        try:
            seat = self.player.open(session.now)
        except CassetteMismatch as error:
            session.process(Abort(detail=error.message))
            self.on_end()
            return _Nobody()
        session.offer = offer_of(seat.script.opened, pings=self._pings)
        watch = self._watch(seat.script.session) if self._watch is not None else None
        seated = _Seated(session, Conversation(seat, watch=watch), self._ended)
        seated.begin()
        return seated

    def _ended(self) -> None:
        self.on_end()


class _Nobody:
    """The handler of a session that was shown out at the door."""

    def message(self, data: str | bytes) -> None:
        """See `Handler`."""

    def closed(self, reason: CloseReason) -> None:
        """See `Handler`."""


class _Seated:
    """The handler of a session that has a seat."""

    def __init__(self, session: LiveSession, conversation: Conversation, ended: Callable[[], None]) -> None:
        self._session = session
        self._conversation = conversation
        self._ended = ended
        self._alarm: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The session is open, or will be in a moment: what is sent now follows the open packet."""
        self._perform(self._conversation.start(self._session.now))

    def message(self, data: str | bytes) -> None:
        """See `Handler`."""
        self._perform(self._conversation.message(data, self._session.now))

    def closed(self, reason: CloseReason) -> None:
        """See `Handler`."""
        self._conversation.left(self._session.now)
        self._ended()

    def _wake(self) -> None:
        self._alarm = None
        self._perform(self._conversation.wake(self._session.now))

    def _perform(self, spoken: list[Spoken]) -> None:
        messages = [each for each in spoken if isinstance(each, str | bytes)]
        if messages:
            self._session.send(*messages)
        if len(messages) < len(spoken):
            self._session.close()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._conversation.deadline < float("inf"):
            self._alarm = self._session.call_at(self._conversation.deadline, self._wake)
