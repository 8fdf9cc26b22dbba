"""Captures of wire level, made of what a machine did: as it was, or redacted and through a file's text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from engineio_lite.capture.file import Capture, Writer, read
from engineio_lite.capture.lines import Door, Head, Level, Line
from engineio_lite.capture.passages import make_passage
from engineio_lite.capture.recorder import Record
from engineio_lite.capture.redactor import Redactor
from engineio_lite.connection import EngineIOConnection
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import Input

HEAD = Head(by="engineio_lite 0.0.test", level=Level.WIRE)


class Recorded(EngineIOConnection):
    """A connection that keeps its own records, for worlds that make their connection themselves."""

    def process(self, input: Input, now: float) -> list[object]:  # type: ignore[override]
        outputs = super().process(input, now)
        self.records = [*getattr(self, "records", []), Record(now, input, tuple(outputs))]
        return list(outputs)


def wire(door: Door, records: Iterable[Record], redactor: Redactor | None = None) -> Capture:
    """What a file would give back that these records of one connection were written to."""
    return written([door, *(make_passage(record, door.session) for record in records)], redactor)


def written(lines: Sequence[Line], redactor: Redactor | None = None) -> Capture:
    """What a file would give back that these lines were written to."""
    return read(io.BytesIO(text_of(lines, redactor).encode()))


def text_of(lines: Sequence[Line], redactor: Redactor | None = None) -> str:
    """The text of that file."""
    file = io.BytesIO()
    writer = Writer(file, HEAD, redactor)
    for line in lines:
        writer.write(line)
    return file.getvalue().decode()


def play(door: Door, *steps: Input | float) -> list[Record]:
    """What a machine with this door does with these inputs; a number lets so many seconds pass."""
    machine = EngineIOConnection(
        door.url, transports=door.transports, token=door.token, limits=door.limits, timeouts=door.timeouts, default_path=door.default_path
    )
    now, records = 0.0, []
    for step in steps:
        if isinstance(step, float):
            now += step
            continue
        try:
            records.append(Record(now, step, tuple(machine.process(step, now))))
        except LocalProtocolError:
            continue  # nothing happened, and a recorder sees nothing
    return records
