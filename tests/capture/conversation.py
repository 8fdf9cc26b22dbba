"""Short conversations, recorded: what the tests of the timeline read.

`recorded` runs inputs through a Socket.IO connection whose engine is recorded; a number among them sets the clock. `lines` is a timeline without its
times, which one test looks at.
"""

from __future__ import annotations

from engineio_lite.capture import RecordedConnection, Recorder, timeline
from engineio_lite.connection import EngineIOConnection
from engineio_lite.inputs import Connect
from engineio_lite.limits import Limits
from engineio_lite.socketio.connection import SocketIOConnection
from engineio_lite.socketio.inputs import Input, JoinNamespace
from tests.core.script import URL

Line = tuple[str, str, str, str]


def recorded(
    *steps: Input | float, transports: tuple[str, ...] = ("polling", "websocket"), limits: Limits | None = None, max_records: int = 1000
) -> Recorder:
    """Let all of this happen, from the very beginning, and return the record."""
    recorder = Recorder(max_records=max_records)
    engine = EngineIOConnection(URL, transports=transports, limits=limits or Limits())
    machine = SocketIOConnection(engine=RecordedConnection(engine, recorder), limits=limits or Limits())
    now = 1000.0
    for step in steps:
        if isinstance(step, float):
            now = 1000.0 + step
        else:
            machine.process(step, now)
    return recorder


def begun(*steps: Input | float, transports: tuple[str, ...] = ("polling", "websocket"), limits: Limits | None = None) -> Recorder:
    """The same, for a session of the main namespace that was asked for."""
    return recorded(JoinNamespace(), Connect(), *steps, transports=transports, limits=limits)


def lines(recorder: Recorder, *, skip: int = 0, secrets: bool = False, width: int = 100) -> list[Line]:
    """The rows of a record, without their times, from number `skip` on."""
    return [(row.direction, row.carrier, row.packet, row.meaning) for row in timeline(recorder.records, secrets=secrets, width=width)][skip:]
