"""The record of the door.

Everything that happens to a connection comes in through `process` and everything to be done about it goes out there; so one wrapper around that
method sees the whole conversation, whatever drives the connection, and nothing else in the library needs a hook. A record holds the values
themselves, secrets included: it lives in memory, and whoever shows it or writes it redacts it first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from engineio_lite.connection import EngineIOConnection, Output
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import Input
from engineio_lite.state import SessionState, Transport, UpgradeState

DEFAULT_MAX_RECORDS = 100_000
"""How many records a recorder keeps; then the oldest go. At a few hundred bytes each this is some tens of megabytes."""


class Record(msgspec.Struct, frozen=True):
    """One passage through the door: the instant (monotonic seconds), what came in, and what came out in order."""

    at: float
    input: Input
    outputs: tuple[Output, ...]


class Recorder:
    """Keeps the last `max_records` passages; `dropped` counts those that are gone."""

    def __init__(self, *, max_records: int = DEFAULT_MAX_RECORDS) -> None:
        self._records: deque[Record] = deque(maxlen=max_records)
        self._seen = 0

    @property
    def records(self) -> Sequence[Record]:
        """What was kept, oldest first."""
        return tuple(self._records)

    @property
    def dropped(self) -> int:
        """How many records made room for later ones."""
        return self._seen - len(self._records)

    def record(self, record: Record) -> None:
        """Keep one more."""
        self._seen += 1
        self._records.append(record)


class RecordedConnection:
    """An Engine.IO connection whose door is recorded; it behaves as the one inside."""

    def __init__(self, engine: EngineIOConnection, recorder: Recorder) -> None:
        self._engine = engine
        self._recorder = recorder

    def process(self, input: Input, now: float) -> list[Output]:
        """Pass `input` on and record what comes of it; an input that the connection refuses leaves no record, because nothing happened."""
        outputs = self._engine.process(input, now)
        self._recorder.record(Record(now, input, tuple(outputs)))
        return outputs

    @property
    def state(self) -> SessionState:
        """As of the connection inside."""
        return self._engine.state

    @property
    def upgrade_state(self) -> UpgradeState:
        """As of the connection inside."""
        return self._engine.upgrade_state

    @property
    def transport(self) -> Transport | None:
        """As of the connection inside."""
        return self._engine.transport

    @property
    def handshake(self) -> Handshake | None:
        """As of the connection inside."""
        return self._engine.handshake

    @property
    def deadline(self) -> float:
        """As of the connection inside."""
        return self._engine.deadline

    @property
    def buffered(self) -> int:
        """As of the connection inside."""
        return self._engine.buffered

    @property
    def buffered_packets(self) -> int:
        """As of the connection inside."""
        return self._engine.buffered_packets

    @property
    def accepted(self) -> int:
        """As of the connection inside."""
        return self._engine.accepted

    @property
    def confirmed(self) -> int:
        """As of the connection inside."""
        return self._engine.confirmed

    @property
    def may_upgrade(self) -> bool:
        """As of the connection inside."""
        return self._engine.may_upgrade

    @property
    def writable(self) -> bool:
        """As of the connection inside."""
        return self._engine.writable
