"""`engineio-lite diff`: two captures compared as conversations.

How they travelled does not count, nor what a server names anew every time; `capture/comparison.py` says exactly what does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import click
from msgspec import UNSET

from engineio_lite.capture.comparison import Change, Entry, Said, SessionComparison, compare_captures
from engineio_lite.capture.file import Capture
from engineio_lite.capture.jsonpaths import Path as JSONPath
from engineio_lite.capture.jsonpaths import PathError, parse_path
from engineio_lite.capture.lines import Note
from engineio_lite.capture.steps import GAP
from engineio_lite.capture.values import to_json, write_json
from engineio_lite.capture.visible import json_text, visible
from engineio_lite.cli._captures import read_capture
from engineio_lite.cli._connect_screen import forgive_characters
from engineio_lite.cli._console import FOUND, print_json, readable_errors
from engineio_lite.cli._rows_screen import MIN_WIDTH, RowsScreen
from engineio_lite.cli._show_rows import ARROWS, Row

MARKS: Final = {Change.SAME: "  ", Change.CHANGED: "~ ", Change.MISSING: "- ", Change.ADDED: "+ "}
COLOURS: Final = {Change.SAME: "dim", Change.CHANGED: "note", Change.MISSING: "removed", Change.ADDED: "added"}


def _paths(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[JSONPath]:
    try:
        return [parse_path(value) for value in values]
    except PathError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("a", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.argument("b", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--ignore", metavar="PATH", multiple=True, callback=_paths, help="What does not count in any packet's data, such as '$[1].id'. May be repeated."
)
@click.option("--context", default=1, show_default=True, type=click.IntRange(0), help="Show so many packets that are the same around what differs.")
@click.option("--width", type=click.IntRange(MIN_WIDTH), help="Cut rows to so many columns. Default: those of the terminal; in a pipe none is cut.")
@click.option("--full", is_flag=True, help="Cut nothing, and show every packet.")
@click.option("--json", "as_json", is_flag=True, help="Print one packet that differs a line as JSON.")
@readable_errors
def command(a: Path, b: Path, ignore: list[JSONPath], context: int, width: int | None, full: bool, as_json: bool) -> None:
    """Compare two captures as conversations: what was said, in which order.

    Transports, times, Engine.IO packets, session ids and the numbers of
    acknowledgements do not count, nor which of two packets was first that
    crossed on their way. Sessions are paired in their order.

    \b
    Exit codes: 0 the same; 1 different, or the output went nowhere; 2 a file cannot be read or is no
    capture, or wrong usage; 130 interrupted.
    """
    captures = read_capture(a), read_capture(b)
    forgive_characters()
    sessions = compare_captures(captures[0].lines, captures[1].lines, ignore)
    if as_json:
        for session in sessions:
            for found in as_objects(session):
                print_json(write_json(found))
    else:
        _Report(RowsScreen(width, full=full), None if full else context).show(captures, sessions)
    if not all(session.is_same for session in sessions):
        sys.exit(FOUND)


# --- for programs


def as_objects(session: SessionComparison) -> Iterator[dict[str, object]]:
    """What differs in one session: an object a packet, and one for a session without a counterpart in which nothing was said."""
    numbers: dict[str, object] = {"session": {"a": session.expected_session, "b": session.got_session}}
    if not session.entries and not session.is_same:
        yield numbers | {"change": (Change.ADDED if session.expected_session is None else Change.MISSING).value}
    for entry in session.entries:
        if entry.change is not Change.SAME:
            yield numbers | _as_object(session, entry)


def _as_object(session: SessionComparison, entry: Entry) -> dict[str, object]:
    said = _said(session, entry)
    found: dict[str, object] = {
        "change": entry.change.value,
        "a": _counted(entry.expected),
        "b": _counted(entry.got),
        "dir": said.direction.value,
        "packet": said.packet,
        "namespace": said.namespace,
        "event": said.event,
    }
    if entry.change is Change.CHANGED:
        return found | {"differences": [_sides(*difference) for difference in entry.differences]}
    return found | ({} if said.data is UNSET else {"data": to_json(said.data)})


def _sides(path: str, expected: object, got: object) -> dict[str, object]:
    """Both sides of a difference; one that has nothing there is left out."""
    sides = {"a": expected, "b": got}
    return {"path": path} | {side: to_json(value) for side, value in sides.items() if value is not UNSET}


def _counted(place: int | None) -> int | None:
    """Packets are counted from 1 in each session, for people and programs alike."""
    return None if place is None else place + 1


def _said(session: SessionComparison, entry: Entry) -> Said:
    if entry.expected is not None:
        return session.expected[entry.expected]
    assert entry.got is not None, "an entry stands on one side at least"
    return session.got[entry.got]


# --- for people


class _Report:
    """Shows comparisons on a screen; `context` is how many packets that are the same stand around what differs, None for all."""

    def __init__(self, screen: RowsScreen, context: int | None) -> None:
        self._print = screen.print
        self._context = context

    def show(self, captures: tuple[Capture, Capture], sessions: Sequence[SessionComparison]) -> None:
        """Print what differs, session by session, and a line that sums it up."""
        for side, capture in zip("AB", captures, strict=True):
            self._print([("event", f"{side} "), ("", visible(capture.path or "")), *_doubt(capture)])
        for session in sessions:
            self._session(session)
        self._print([("event", summary(sessions))])

    def _session(self, session: SessionComparison) -> None:
        numbers = [_or_none(session.expected_session), _or_none(session.got_session)]
        self._print([("event", f"session {numbers[0]}" if numbers[0] == numbers[1] else f"session {numbers[0]} of A, {numbers[1]} of B")])
        seen = _near(session.entries, self._context)
        for is_seen, group in groupby(enumerate(session.entries), key=lambda numbered: numbered[0] in seen):
            run = [entry for _, entry in group]
            if not is_seen:
                self._print([("dim", f"  … {len(run)} packet{'' if len(run) == 1 else 's'} the same")])
                continue
            for entry in run:
                self._entry(session, entry)

    def _entry(self, session: SessionComparison, entry: Entry) -> None:
        said = _said(session, entry)
        colour = COLOURS[entry.change]
        numbers = f"{_or_none(_counted(entry.expected)):>4} {_or_none(_counted(entry.got)):>4} "
        self._print(
            [(colour, MARKS[entry.change]), ("dim", numbers), (colour, f"{ARROWS[said.direction]} {said.packet} "), *_meaning(said, entry.change)]
        )
        for difference in entry.differences:
            self._print([("", " " * 12), ("note", str(difference))])


def _doubt(capture: Capture) -> Row:
    gaps = sum(isinstance(line, Note) and line.what == GAP for line in capture.lines)
    return [("gap", f" (with {gaps} gap{'' if gaps == 1 else 's'}: packets may be missing)")] if gaps else []


def _near(entries: Sequence[Entry], context: int | None) -> set[int]:
    """The places of what differs, and of what stands up to `context` places from it; without a context all of them."""
    if context is None:
        return set(range(len(entries)))
    different = (place for place, entry in enumerate(entries) if entry.change is not Change.SAME)
    return {near for place in different for near in range(max(0, place - context), min(len(entries), place + context + 1))}


def _meaning(said: Said, change: Change) -> Row:
    name = "" if said.namespace in (None, "/") else f"{visible(said.namespace or '')} "
    event = "" if said.event is None else f"{visible(said.event)} "
    answers = f"answers {event}" if said.packet == "ACK" else ""
    data: object = said.data[1:] if said.packet == "EVENT" and isinstance(said.data, list) else said.data
    body = "" if data is UNSET else " ".join(map(json_text, data)) if said.packet == "EVENT" and isinstance(data, list) else json_text(data)
    return [("name", name), ("pair", answers) if answers else ("event", event), ("dim" if change is Change.SAME else "", body)]


def _or_none(number: int | None) -> str:
    return "–" if number is None else str(number)


def summary(sessions: Iterable[SessionComparison]) -> str:
    """How two captures compare, in one line."""
    sessions = list(sessions)
    if all(session.is_same for session in sessions):
        count = sum(len(session.entries) for session in sessions)
        return f"the same: {count} packet{'' if count == 1 else 's'} in {len(sessions)} session{'' if len(sessions) == 1 else 's'}"
    counts = {change: sum(session.counts[change] for session in sessions) for change in Change}
    return (
        f"different: {counts[Change.CHANGED]} changed, {counts[Change.MISSING]} only in A, {counts[Change.ADDED]} only in B, "
        f"{counts[Change.SAME]} the same"
    )
