"""What an import found, counted from the lines that were written, and said in a few lines of text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.packet import PacketType


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read: its format, and how many requests and WebSockets it holds, of any kind."""

    file: str
    format: str
    entries: int


class SessionReport(msgspec.Struct, kw_only=True):
    """One session: Socket.IO packets each way, what could not be decoded, errors of HTTP, and what is not known of it."""

    session: int
    url: str = ""
    transports: list[str] = []
    sent: int = 0
    received: int = 0
    undecoded: int = 0
    http_errors: int = 0
    gaps: list[str] = []
    notes: list[str] = []
    again: int | None = None
    ended: str | None = None


class Report(msgspec.Struct, kw_only=True):
    """All of it; session 0 is what belongs to none."""

    sources: list[Source]
    out: str
    lines: int
    sessions: list[SessionReport]
    warnings: list[str]

    @property
    def gaps(self) -> int:
        """Places where packets may be missing."""
        return sum(len(session.gaps) for session in self.sessions)


def make_report(sources: Sequence[Source], out: str, lines: Sequence[Line], warnings: Sequence[str]) -> Report:
    """Count what was written."""
    sessions: dict[int, SessionReport] = {}
    for line in lines:
        number = getattr(line, "session", 0)
        _count(sessions.setdefault(number, SessionReport(session=number)), line)
    return Report(
        sources=list(sources), out=out, lines=len(lines), sessions=[sessions[number] for number in sorted(sessions)], warnings=list(warnings)
    )


def _count(report: SessionReport, line: Line) -> None:
    match line:
        case SessionOpened():
            report.url, report.again = line.url, line.again
            report.transports = [line.transport.value]
        case SocketIOPacket():
            report.sent += line.direction is Direction.UP
            report.received += line.direction is Direction.DOWN
        case EnginePacket() if line.type is PacketType.UPGRADE:
            report.transports.append(line.transport.value)
        case Undecoded():
            report.undecoded += 1
        case HttpAnswer():
            report.http_errors += 1
        case Note():
            (report.gaps if line.what == "gap" else report.notes).append(line.text)
        case SessionEnded():
            report.ended = line.by
        case _:
            pass


def tell(report: Report) -> Iterator[str]:
    """The report for people."""
    for source in report.sources:
        yield f"{source.file}: {source.format}, {_plural(source.entries, 'request')}"
    for session in report.sessions:
        yield from _tell_session(session)
    yield from (f"warning: {warning}" for warning in report.warnings)
    if report.lines:
        gaps = f", {_plural(report.gaps, 'gap')}: packets may be missing" if report.gaps else ""
        yield f"{report.out}: {_plural(report.lines, 'line')}{gaps}"
    else:
        yield "no Engine.IO in it, nothing was written"


def _tell_session(session: SessionReport) -> Iterator[str]:
    details = []
    if session.session:
        details.append(f"{_plural(session.sent, 'packet')} up, {session.received} down")
    if session.undecoded:
        details.append(f"{session.undecoded} not decoded")
    if session.http_errors:
        details.append(_plural(session.http_errors, "HTTP error"))
    if session.again is not None:
        details.append(f"reconnect of session {session.again}")
    if session.ended is not None:
        details.append("ended" if session.ended == "unknown" else f"ended by the {session.ended}")
    name = f"session {session.session}" if session.session else "no session"
    place = f" {session.url} ({', then '.join(session.transports)})" if session.url else ""
    yield f"  {name}{place}: {', '.join(details) or 'nothing'}"
    yield from (f"    gap: {gap}" for gap in session.gaps)
    yield from (f"    note: {note}" for note in session.notes)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
