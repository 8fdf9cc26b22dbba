"""`engineio-lite demo`: the main job, end to end, with nothing to choose and no network.

A real python-socketio server is started on loopback; a chat answer is asked of it and streamed as it comes; then what crossed the wire is shown:
the handshake with its ``sid``, the POST that carries the auth payload, the probe, the upgrade, the heartbeat, the events. The command checks that
each of these was there and says so; if one is missing it exits with 1.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chat_answers import ChatError
from chat_answers.loopback import LoopbackUnavailable
from engineio_lite.capture import Recorder, Row, timeline
from engineio_lite.capture.timeline import DOWN, UP
from engineio_lite.cli._console import FOUND, USAGE, fail, print_json, readable_errors

PING_INTERVAL = 1
"""Seconds between the server's pings: short, so that one comes while the answer streams; whole, because python-engineio truncates it."""

PACE = 0.04
"""Seconds between two pieces of the answer: a model's speed, and some three seconds in all."""

_ALIKE_SHOWN = 2
"""Of a run of events alike so many are shown at each end; the rest is counted."""


@click.command()
@click.option("--question", default="Tell me a joke", show_default=True, help="What to ask.")
@click.option("--all", "show_all", is_flag=True, help="Show every packet, also the long runs of events alike.")
@click.option("--json", "as_json", is_flag=True, help="Print the timeline as JSON, one packet a line, and nothing else.")
@readable_errors
def command(question: str, show_all: bool, as_json: bool) -> None:
    """Stream an answer from a real server on this machine, then show what crossed the wire.

    \b
    Exit codes: 0 everything that should cross the wire did; 1 something is
    missing, there was no answer, or the server cannot be started; 2 the demo
    extra is not installed; 130 interrupted.
    """
    try:
        import socketio  # noqa: F401  # the server needs it; better to know before anything is printed
    except ImportError:
        fail("the demo needs the demo extra", USAGE, "pip install 'engineio-lite[demo]'")
    console = Console(highlight=False, stderr=as_json)
    rows = demonstrate(console, question)
    if as_json:
        for row in rows:
            print_json(msgspec.json.encode(row).decode())
    else:
        show(console, rows if show_all else folded(rows))
    console.print(verdict(rows))
    missing = [name for name, seen in _landmarks(rows) if not seen]
    if missing:
        fail(f"not seen on the wire: {', '.join(missing)}", FOUND)


def demonstrate(console: Console, question: str) -> list[Row]:
    """Ask the loopback server, print the answer as it comes, and return what crossed the wire."""
    recorder = Recorder()
    try:
        asyncio.run(_converse(question, recorder, console))
    except ChatError as error:
        fail(f"{error.message} [{error.cause}]", FOUND, error.fix)
    except LoopbackUnavailable as error:
        fail(str(error), FOUND)
    # The only secret here is a constant of the dialect, known to everyone. The table cuts what is too long for it.
    return timeline(recorder.records, secrets=True, width=1000)


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print what crossed the wire as a table."""
    console.print()
    console.print(_table(rows))
    console.print()


async def _converse(question: str, recorder: Recorder, console: Console) -> None:
    """Ask the loopback server and print the answer as it comes."""
    from perplexity_labs import Citations, Finish, LabsClient, TextDelta, TextReset, loopback

    async with loopback.serve(pace=PACE, ping_interval=PING_INTERVAL, ping_timeout=5) as server:
        console.print(f"[dim]A python-socketio server runs at[/] {server.url} [dim]for as long as this takes. Asking it:[/]")
        console.print(f"[bold]> {escape(question)}[/]\n")
        sources: Sequence[object] = ()
        typewriter = _Typewriter(console)
        async with LabsClient(server.url, recorder=recorder) as labs:
            async for part in labs.stream(question):
                match part:
                    case TextDelta(text):
                        typewriter.type(text)
                    case TextReset(text):
                        console.print("\n[dim](the server rewrote its text)[/]")
                        typewriter = _Typewriter(console)
                        typewriter.type(text)
                    case Citations(items):
                        sources = items
                    case Finish():
                        console.print("\n")
            for number, source in enumerate(sources, 1):
                console.print(f"[dim]\\[{number}] {escape(str(source))}[/]", soft_wrap=True)


class _Typewriter:
    """Prints text as it comes, and breaks lines between words: a terminal would break them anywhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._column = 0

    def type(self, text: str) -> None:
        for piece in re.findall(r"\s*\S*", text):
            if "\n" in piece:
                self._column = 0
            elif self._column + len(piece) > self._console.width:
                self._console.out(highlight=False)
                self._column, piece = 0, piece.lstrip()
            self._console.out(piece, end="", highlight=False)
            self._console.file.flush()
            self._column += len(piece.rpartition("\n")[2])


def _landmarks(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """What the main job consists of, and whether it was on the wire."""

    def seen(direction: str, packet: str, carrier: str = "") -> bool:
        return any(row.direction == direction and row.packet.startswith(packet) and row.carrier.startswith(carrier) for row in rows)

    return [
        ("sid fetch", seen(DOWN, "0{", "GET")),
        ("auth POST", seen(UP, '40{"jwt"', "POST")),
        ("2probe", seen(UP, "2probe")),
        ("3probe", seen(DOWN, "3probe")),
        ("upgrade 5", seen(UP, "5", "WebSocket")),
        ("ping 2", any(row.direction == DOWN and row.packet == "2" for row in rows)),
        ("pong 3", any(row.direction == UP and row.packet == "3" for row in rows)),
        ("events", seen(DOWN, "42[")),
    ]


def verdict(rows: Sequence[Row]) -> Text:
    """One line: what the main job consists of, ticked off."""
    line = Text()
    for name, found in _landmarks(rows):
        line.append("✓ " if found else "✗ ", style="green" if found else "bold red")
        line.append(f"{name.replace(' ', chr(160))}  ", style="" if found else "bold red")
    return line


def folded(rows: Sequence[Row]) -> list[Row]:
    """The same with the middle of each run of events alike counted instead of shown."""
    folded: list[Row] = []
    for kind, group in itertools.groupby(rows, key=_kind):
        run = list(group)
        hidden = len(run) - 2 * _ALIKE_SHOWN
        if kind is None or hidden <= 1:
            folded.extend(run)
        else:
            middle = run[_ALIKE_SHOWN]
            folded.extend(run[:_ALIKE_SHOWN])
            folded.append(msgspec.structs.replace(middle, packet="⋮", meaning=f"… {hidden} more like it"))
            folded.extend(run[-_ALIKE_SHOWN:])
    return folded


def _kind(row: Row) -> str | None:
    """What makes rows alike: events of one name, one way, on one carrier."""
    return f"{row.direction}{row.carrier}{row.meaning.partition(':')[0]}" if row.meaning.startswith("event") else None


_ARROWS = {UP: ("──▶", "cyan"), DOWN: ("◀──", "magenta")}


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        title="What crossed the wire", title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True
    )
    table.add_column("seconds", justify="right", style="dim", no_wrap=True, min_width=7)
    table.add_column("", no_wrap=True, min_width=3)
    table.add_column("on", style="dim", no_wrap=True, min_width=11)
    table.add_column("packet", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("meaning", no_wrap=True, overflow="ellipsis", ratio=3)
    for row in rows:
        arrow, colour = _ARROWS.get(row.direction, ("───", "green"))
        table.add_row(f"{row.at:.3f}", Text(arrow, style=colour), row.carrier, Text(row.packet, style=colour), Text(row.meaning))
    return table
