"""A whole capture played back: which recorded session a live one gets, and what is to be said of it in the end.

A `Player` gives every live session the next recorded one that has not been played, in the order in which they were opened; a client that reconnects
gets the session that it reconnected to when it was recorded. What placeholders stand for is shared by all of them, since a capture numbers them as
one whole: the ``pid`` that a client got in one session is what it sends in the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Final, TypeAlias

import msgspec

from engineio_lite.capture.file import Capture
from engineio_lite.capture.lines import Direction, Head, Line
from engineio_lite.capture.offsets import name_offsets
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, CassetteMismatch, EngineIOError, LocalProtocolError
from engineio_lite.replay.matcher import Ignore, Matcher, Strictness
from engineio_lite.replay.script import Cue, Script, opposite, read_scripts
from engineio_lite.replay.seat import IDLE_LIMIT, Rules, Seat
from engineio_lite.replay.wording import MAX_TOLD, SIDES, describe

MAX_SESSIONS: Final = 10_000
"""Live sessions of one replay, those included that get the last recorded one again: what is remembered of each is for the report."""


Source: TypeAlias = Capture | Iterable[Line]
"""A capture, of whichever level, or the lines of one."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay.

    `sessions` is how many recorded sessions there are, `played` how many of them got a live one, `matched` how many packets of the other side came
    as recorded. `unplayed` are packets of this side that were not sent, in words, and `unmatched` how many of the other side's never came.
    `failures` are the errors, in the order in which they came up.
    """

    sessions: int
    played: int
    matched: int
    unplayed: tuple[str, ...] = ()
    unmatched: int = 0
    failures: tuple[EngineIOError, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether nothing went wrong; packets that were not sent are no more than a warning."""
        return not self.failures

    def raise_for_failure(self) -> None:
        """Raise the first failure, if there is one."""
        if self.failures:
            raise self.failures[0]

    @classmethod
    def of(cls, players: Iterable[Player]) -> Report:
        """What came of several replays together."""
        reports = [player.report() for player in players]
        return cls(
            sessions=sum(report.sessions for report in reports),
            played=sum(report.played for report in reports),
            matched=sum(report.matched for report in reports),
            unplayed=tuple(told for report in reports for told in report.unplayed),
            unmatched=sum(report.unmatched for report in reports),
            failures=tuple(failure for report in reports for failure in report.failures),
        )

    def __str__(self) -> str:
        lines = [f"{self.played} of {_count(self.sessions, 'session')} played, {_count(self.matched, 'packet')} matched"]
        if self.unplayed:
            lines.append(f"{_count(len(self.unplayed), 'packet')} not sent, the first: {self.unplayed[0]}")
        if self.unmatched:
            lines.append(f"{_count(self.unmatched, 'packet')} never came")
        return "\n".join([*lines, *map(str, self.failures)])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Player:
    """Plays one side of a capture: `ours` is what this side says, what a server says (``Direction.DOWN``) unless told otherwise.

    `strict` is in which order the other side must speak (`Strictness`), `ignore_paths` what may differ (see `matcher.py`), `relax` names events of
    which the place means nothing (see `script.py`). `timing` is ``"none"`` (as soon as it may be said), ``"recorded"``, or by which factor to
    stretch the recorded times. `secrets` are values for placeholders of the capture, such as ``{"<redacted:1>": "…"}``. `idle_limit` is in
    seconds, and `linger` too: before it leaves, a client listens so long for what the server says beyond the tape, but no longer than the server
    was silent there when it was recorded.

    `allow_gaps` plays sessions with gaps, `allow_unplayed` lets the other side leave early, `reuse_last` gives the last session again to who comes
    when all were played. `name` is what failures call the capture, `to_accept` what they say first on how to accept a difference.

    Raises `LocalProtocolError` for an option that is none (cause ``bad-option``), `CaptureError` for a capture with nothing to play
    (``nothing-to-replay``) or with gaps (``capture-has-gaps``).
    """

    def __init__(
        self,
        capture: Source,
        *,
        ours: Direction = Direction.DOWN,
        strict: str = Strictness.ORDERED,
        timing: str | float = "none",
        ignore_paths: Iterable[Ignore] = (),
        relax: Collection[str | int | float] = (),
        secrets: Mapping[str, str] | None = None,
        idle_limit: float = IDLE_LIMIT,
        linger: float = 0.0,
        allow_gaps: bool = False,
        allow_unplayed: bool = False,
        reuse_last: bool = False,
        name: str = "",
        to_accept: str = "",
    ) -> None:
        capture = as_capture(capture)
        self._rules = Rules(
            ours=ours,
            strict=_strictness(strict),
            scale=_scale(timing),
            idle_limit=_positive("idle_limit", idle_limit),
            linger=_not_negative("linger", linger),
            capture=name or capture.path or "capture",
            to_accept=to_accept,
        )
        self._matcher = Matcher(ignore_paths)
        self.scripts = _playable(capture, self._rules, relax, allow_gaps)
        self._secrets = dict(secrets or {})
        self._known = dict(self._secrets)
        self._ids = count(1)
        self._allow_unplayed = allow_unplayed
        self._reuse_last = reuse_last
        self.seats: list[Seat] = []
        """Every live session so far."""
        self._refused: list[EngineIOError] = []

    def open(self, now: float) -> Seat:
        """Seat a live session at the next recorded one; tell it next that it may `start`.

        Raises `CassetteMismatch` if all were played and the last is not to be played again; that is remembered as a failure.
        """
        played = len(self.seats)
        if played < len(self.scripts):
            seat = Seat(self.scripts[played], self._rules, self._matcher, self._known, self._make_id)
        elif self._reuse_last and played < MAX_SESSIONS:
            seat = Seat(self.scripts[-1], self._rules, self._matcher, dict(self._secrets), self._make_id)
        else:
            raise self._too_many(played)
        self.seats.append(seat)
        return seat

    def _too_many(self, played: int) -> CassetteMismatch:
        recorded = len(self.scripts)
        other = SIDES[opposite(self._rules.ours)]
        lines = [
            f"{self._rules.capture}, after {_count(recorded, 'session')}",
            "  expected  no more sessions",
            f"  got       session number {played + 1} of the {other}",
            f"  to accept: {self._rules.to_accept + '   or   ' if self._rules.to_accept else ''}reuse_last=True",
        ]
        error = CassetteMismatch("\n".join(lines), capture=self._rules.capture, session=recorded + 1)
        self._refused.append(error)
        return error

    def _make_id(self) -> str:
        return f"replay{next(self._ids):014d}"  # as long as the ids of a real server

    # ----------------------------------------------------------------------------------------------------------------------- what came of it

    @property
    def is_complete(self) -> bool:
        """Whether every recorded session was played to its end, by both sides."""
        return len(self.seats) >= len(self.scripts) and all(seat.is_complete for seat in self.seats)

    @property
    def duration(self) -> float:
        """How long a replay takes at least, in seconds: nothing, unless recorded times are kept."""
        times = [cue.time for script in self.scripts for cue in (*script.awaited, *script.owed) if cue.time is not None]
        return self._rules.scale * (max(times) - min(times)) if times else 0.0

    @property
    def failure(self) -> EngineIOError | None:
        """The first thing that went wrong so far, sessions that are not played to their end aside."""
        failures = [seat.failure for seat in self.seats if seat.failure is not None]
        return next(iter([*failures, *self._refused]), None)

    def report(self) -> Report:
        """What came of it, if nothing more will come."""
        played = self.seats[: len(self.scripts)]
        unplayed = [self._told(cue, seat.script) for seat in self.seats for cue in seat.unsent]
        unplayed += [self._told(cue, script) for script in self.scripts[len(played) :] for cue in script.owed if cue.packet is not None]
        untouched = sum(len(script.awaited) for script in self.scripts[len(played) :])
        return Report(
            sessions=len(self.scripts),
            played=len(played),
            matched=sum(len(seat.matched) for seat in self.seats),
            unplayed=tuple(unplayed),
            unmatched=untouched + sum(len(seat.missing) for seat in self.seats),
            failures=tuple(self._failures()),
        )

    def _failures(self) -> list[EngineIOError]:
        failures: list[EngineIOError] = []
        for seat in self.seats:
            failure = seat.failure or (None if self._allow_unplayed else seat.unfinished())
            if failure is not None:
                failures.append(failure)
        failures += self._refused
        for script in self.scripts[len(self.seats) :]:
            # Only of a session that says what it waits for can it be said that it did not come.
            unfinished = Seat(script, self._rules, self._matcher, {}, self._make_id).unfinished()
            if unfinished is not None and not self._allow_unplayed:
                failures.append(unfinished)
        return failures

    @staticmethod
    def _told(cue: Cue, script: Script) -> str:
        assert cue.packet is not None
        return f"session {script.session}, line {cue.line}: {describe(cue.packet)}"


def _playable(capture: Capture, rules: Rules, relax: Collection[str | int | float], allow_gaps: bool) -> list[Script]:
    """The scripts of a capture. Raises `CaptureError` if there are none, or none that can be trusted."""
    if isinstance(relax, str):
        raise LocalProtocolError("relax is a list of names of events, not one name", cause=Cause.BAD_OPTION)
    # A server plays the offsets that it gave; a client has to expect, and to say, those of another server.
    lines = name_offsets(capture.lines) if rules.ours is Direction.UP else capture.lines
    scripts = read_scripts(lines, ours=rules.ours, relax=relax)
    doubts = [f"session {script.session}, {doubt}" for script in scripts for doubt in script.doubts]
    if doubts and not allow_gaps:
        more = f"; and {len(doubts) - MAX_TOLD} more" if len(doubts) > MAX_TOLD else ""
        told = "; ".join(doubts[:MAX_TOLD])
        raise CaptureError(f"what it plays could not be trusted: {told}{more}", cause=Cause.CAPTURE_HAS_GAPS, path=capture.path)
    scripts = [script for script in scripts if script.awaited or script.owed]
    if not scripts:
        raise CaptureError("expected Socket.IO packets, there are none", cause=Cause.NOTHING_TO_REPLAY, path=capture.path)
    return scripts


def as_capture(source: Source) -> Capture:
    """The capture at the level of packets; lines are taken for those of a file, the head aside."""
    if isinstance(source, Capture):
        return source.packets()
    lines = list(source)
    head = lines.pop(0) if lines and isinstance(lines[0], Head) else Head()
    return Capture(head=head, lines=tuple(lines)).packets()  # type: ignore[arg-type]  # it is a head


def _strictness(strict: str) -> Strictness:
    try:
        return Strictness(strict)
    except ValueError:
        known = ", ".join(map(repr, map(str, Strictness)))
        raise LocalProtocolError(f"strict must be one of {known}, not {strict!r}", cause=Cause.BAD_OPTION) from None


def _scale(timing: str | float) -> float:
    if timing == "none":
        return 0.0
    if timing == "recorded":
        return 1.0
    if isinstance(timing, str) or not 0 <= timing < float("inf"):
        raise LocalProtocolError(f"timing must be 'none', 'recorded' or a factor from 0 up, not {timing!r}", cause=Cause.BAD_OPTION)
    return float(timing)


def _not_negative(name: str, seconds: float) -> float:
    if not 0 <= seconds < float("inf"):
        raise LocalProtocolError(f"{name} must be a number of seconds from 0 up, not {seconds!r}", cause=Cause.BAD_OPTION)
    return seconds


def _positive(name: str, seconds: float) -> float:
    if not seconds > 0:
        raise LocalProtocolError(f"{name} must be a number of seconds above 0, not {seconds!r}", cause=Cause.BAD_OPTION)
    return seconds
