"""One namespace, as the connection remembers it: its state, what waits for its CONNECT, and its acknowledgement ids both ways.

Which state follows which is the `NAMESPACE` table's to say; a namespace that was never joined, or was left, is disconnected.
"""

from __future__ import annotations

import math

from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import NAMESPACE, NamespaceInput, NamespaceState


class Namespace:
    """What is remembered of the namespace called `name`."""

    __slots__ = (
        "abandoned",
        "awaits_auth",
        "calls",
        "claims",
        "early",
        "early_bytes",
        "name",
        "next_ack_id",
        "order",
        "rejoin_at",
        "state",
        "unanswered",
        "unsent_connect",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = NamespaceState.DISCONNECTED
        self.unsent_connect: str | bytes | None = None
        """The CONNECT that could not be sent yet: the session is not open, or the answer to an earlier one is still to come."""
        self.awaits_auth = False
        """Whether the payload of CONNECT is still to come from the application."""
        self.claims = False
        """Whether our CONNECT claims a lost session, so that what was missed comes before the answer."""
        self.abandoned = False
        """Whether the answer to a CONNECT is still to come that nobody waits for any more."""
        self.rejoin_at = -math.inf
        """The instant from which CONNECT may be sent again after we have left."""
        self.order = 0
        """Which entry of the deadlines counts: an earlier join of the same name may have left one behind."""
        self.early: list[EventReceived] = []
        self.early_bytes = 0
        self.next_ack_id = 0
        self.calls: dict[int, int] = {}
        """Acknowledgement id -> call number."""
        self.unanswered: dict[int, None] = {}
        """Ids of received events that want an answer and have none, oldest first."""

    def allows(self, input: NamespaceInput) -> bool:
        """Whether `input` is legal now."""
        return (self.state, input) in NAMESPACE

    def step(self, input: NamespaceInput) -> bool:
        """Take one step of the table; False, and nothing changed, if there is none."""
        following = NAMESPACE.get((self.state, input))
        if following is not None:
            self.state = following
        return following is not None

    @property
    def has_asked(self) -> bool:
        """Whether what comes for it is ours: it is connected, or our CONNECT is on its way, and not one that nobody waits for any more."""
        if self.state is NamespaceState.DISCONNECTED or self.abandoned:
            return False
        return not self.awaits_auth and self.unsent_connect is None

    def may_ask(self, now: float) -> bool:
        """Whether CONNECT may be sent now: no answer to an earlier one is to come, and it was not left a moment ago."""
        return not self.abandoned and now >= self.rejoin_at

    def forget_early(self) -> None:
        """Drop the events that came before the answer to CONNECT."""
        self.early.clear()
        self.early_bytes = 0

    def wants_answer(self, ack_id: int, limit: int) -> None:
        """Note that an event wants an answer; beyond `limit` the oldest is forgotten."""
        self.unanswered[ack_id] = None
        if len(self.unanswered) > limit:
            del self.unanswered[next(iter(self.unanswered))]

    def abandon(self) -> None:
        """Nobody waits for the answer to CONNECT any more. Nothing may be said before it; it is answered with DISCONNECT when it comes."""
        self.abandoned = self.abandoned or (self.unsent_connect is None and not self.awaits_auth)
        self.unsent_connect = None
        self.awaits_auth = False
        self.forget_early()
