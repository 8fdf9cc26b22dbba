"""`engineio-lite show`: a capture as people read it, as programs do, or as a page.

For people a row a packet, decoded, with what it answers; at a terminal in colours and cut to its width, in a pipe whole. For programs one JSON object
a Socket.IO packet, the same for every transport. As a page a ladder diagram, in one file that asks for nothing else (`capture/ladder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import UNSET

from chat_answers.process import OutputLost
from engineio_lite.capture.file import Capture
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.steps import Step, StepKind, read_steps
from engineio_lite.capture.values import to_json, write_json
from engineio_lite.capture.visible import visible
from engineio_lite.cli._captures import read_capture
from engineio_lite.cli._connect_screen import forgive_characters
from engineio_lite.cli._console import USAGE, fail, print_json, readable_errors
from engineio_lite.cli._output_file import whole_or_nothing
from engineio_lite.cli._rows_screen import MIN_WIDTH, RowsScreen
from engineio_lite.cli._show_rows import Row, Rows, sessions_of


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which steps are to be shown; None is no restriction."""

    namespaces: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    sessions: tuple[int, ...] = ()
    since: float | None = None
    until: float | None = None
    direction: Direction | None = None
    engine: bool = True

    def __call__(self, step: Step) -> bool:
        """Whether this step is one of them. A gap is always shown where it lies: it puts in doubt whatever else is."""
        if (self.sessions and step.session not in self.sessions) or not self._in_time(step):
            return False
        if step.kind is StepKind.GAP:
            return True
        if self.direction is not None and step.direction is not self.direction:
            return False
        return self._is_asked_for(step)

    def _is_asked_for(self, step: Step) -> bool:
        if step.kind is not StepKind.PACKET:
            # What is no Socket.IO packet has neither a namespace nor an event.
            return not self.namespaces and not self.events and (self.engine or step.kind is not StepKind.ENGINE)
        if self.namespaces and step.namespace not in self.namespaces:
            return False
        return not self.events or any(fnmatchcase(step.event or "", pattern) for pattern in self.events if step.event is not None)

    def _in_time(self, step: Step) -> bool:
        if step.time is None:
            return self.since is None and self.until is None
        return (self.since is None or step.time >= self.since) and (self.until is None or step.time <= self.until)


def _namespaces(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value if value.startswith("/") else f"/{value}" for value in values)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option("--namespace", "namespaces", metavar="/NAME", multiple=True, callback=_namespaces, help="Only packets of this one. May be repeated.")
@click.option("--event", "events", metavar="GLOB", multiple=True, help="Only events of this name, and their answers. May be repeated.")
@click.option("--session", "sessions", metavar="N", type=click.IntRange(0), multiple=True, help="Only this session. May be repeated.")
@click.option("--from", "since", metavar="SECONDS", type=float, help="Only from this time on.")
@click.option("--to", "until", metavar="SECONDS", type=float, help="Only up to this time.")
@click.option("--direction", type=click.Choice([direction.value for direction in Direction]), help="Only to the server (up), or from it (down).")
@click.option("--engine/--no-engine", default=None, help="Engine.IO packets too. Default: yes, with --json no.")
@click.option("--width", type=click.IntRange(MIN_WIDTH), help="Cut rows to so many columns. Default: those of the terminal; in a pipe none is cut.")
@click.option("--full", is_flag=True, help="Cut nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one Socket.IO packet a line as JSON; with --engine everything.")
@click.option("--html", metavar="OUT", help="Write a page with a ladder diagram instead; - is standard output.")
@readable_errors
def command(
    file: Path, as_json: bool, html: str | None, width: int | None, full: bool, direction: str | None, engine: bool | None, **wanted: Any
) -> None:
    """Show what was said in a capture; FILE may be - for standard input.

    With --json a line is {"t", "session", "dir", "transport", "packet",
    "namespace", "id", "data"}; attachments are {"$bin": base64}.

    \b
    Exit codes: 0 shown; 1 the output went nowhere; 2 FILE cannot be read or
    is no capture, OUT cannot be written or is FILE, or wrong usage;
    130 interrupted.
    """
    if as_json and html is not None:
        raise click.UsageError("--json and --html are two different things")
    choice = Wanted(engine=not as_json if engine is None else engine, direction=None if direction is None else Direction(direction), **wanted)
    capture = read_capture(file)
    steps = read_steps(capture.lines)
    shown = list(filter(choice, steps))
    forgive_characters()
    if html is not None:
        _write_page(html, file, capture, shown)
    elif as_json:
        _print_json(shown, everything=engine is True)
    else:
        _show(RowsScreen(width, full=full), capture, steps, shown)


# --- for people


def _show(screen: RowsScreen, capture: Capture, steps: list[Step], shown: list[Step]) -> None:
    for row in _about(capture, steps):
        screen.print(row)
    rows = Rows(with_sessions=len(sessions_of(steps)) > 1, last=len(steps))
    screen.print(rows.headings())
    for step in shown:
        if step.kind is StepKind.OPEN:
            screen.print([("event", f"session {step.session}"), ("dim", f" · {visible(step.text)}")])
        screen.print(rows.row(step))
    if len(shown) < len(steps):
        screen.print([("dim", f"{len(shown)} of {len(steps)} shown")])


def _about(capture: Capture, steps: list[Step]) -> Iterator[Row]:
    """What there is to know of the whole."""
    head = capture.head
    made = " ".join(filter(None, (head.at and f"of {head.at}", head.by and f"by {head.by}", head.source and f"({head.source})")))
    sessions = len(sessions_of(steps))
    yield [("event", visible(capture.path or "capture")), ("dim", f" {visible(made)}, {sessions} session{'' if sessions == 1 else 's'}")]
    for remark in capture.remarks:
        yield [("gap", visible(remark))]


# --- for programs


def _print_json(steps: Iterable[Step], *, everything: bool) -> None:
    for step in steps:
        if everything or step.kind in (StepKind.PACKET, StepKind.MESSAGE):
            print_json(write_json(as_object(step)))


def as_object(step: Step) -> dict[str, object]:
    """A step as a JSON object; what happened around the packets has its words as data."""
    data = step.data if step.data is not UNSET else (step.text or None if step.kind not in (StepKind.PACKET, StepKind.ENGINE) else None)
    found = {
        "t": step.time,
        "session": step.session,
        "dir": None if step.direction is None else step.direction.value,
        "transport": None if step.transport is None else step.transport.value,
        "packet": "note" if step.kind in (StepKind.NOTE, StepKind.GAP) else step.packet,
        "namespace": step.namespace,
        "id": step.id,
        "data": to_json(data),
    }
    return found | {"error": step.text} if step.kind is StepKind.MESSAGE else found


# --- as a page


def _write_page(output: str, source: Path, capture: Capture, steps: list[Step]) -> None:
    make_page = _page()
    page = make_page(capture.head, steps, title=Path(capture.path or "capture").name, remarks=capture.remarks)
    try:
        with whole_or_nothing(output, [source]) as file:
            file.write(page.encode("utf-8", "backslashreplace"))  # the name of a file may be no text
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{error.filename or output}: {error.strerror}", USAGE)


def _page() -> Callable[..., str]:
    try:
        from engineio_lite.capture.ladder import page
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("jinja2", "markupsafe"):
            raise
        fail("a page needs the cli extra", USAGE, "pip install 'engineio-lite[cli]'")
    return page
