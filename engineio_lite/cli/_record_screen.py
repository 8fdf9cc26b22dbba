"""Where `engineio-lite record` shows what it writes: a terminal, a pipe, a program.

Lines come faster than anybody reads, and what passes must not wait until a terminal has drawn them. So a terminal is written to some times a
second, and shows the ends of what came meanwhile; everything is in the file. A pipe and a program get every line. When nobody takes them any more
(``| head``) nothing is shown, and the recording goes on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.text import Text

from chat_answers.process import OutputLost, abandon
from engineio_lite.capture.format import encode_line
from engineio_lite.capture.lines import Direction, Line
from engineio_lite.cli._connect_screen import forgive_characters, is_spelled
from engineio_lite.cli._record_lines import ARROWS, Row, row_of

INTERVAL: Final = 0.05
"""Seconds between two writings: often enough to seem at once."""

MAX_AT_ONCE: Final = 40
"""Lines that a terminal shows of one writing, a screenful; at more than 800 a second nobody reads them."""

MAX_SHOWN: Final = 2000
"""Characters of a line in a pipe; the file has all of it."""

_STYLES: Final = {Direction.UP: "cyan", Direction.DOWN: "magenta", None: "green"}
_PLAINLY: Final = str.maketrans({"─": "-", "▶": ">", "◀": "<", "…": "..."})


class Remarks(Console):
    """Says what is not a line. Nobody has to listen: the recording goes on."""

    def say(self, words: str) -> None:
        """Print a line, in rich's markup."""
        try:
            self.print(words)
        except OutputLost:
            self.quiet = True
            abandon(sys.stdout)


class Screen:
    """Takes lines one after the other, and shows them by and by. `as_json` is for programs, one line of the capture a line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False)
        self._waiting: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_read = sys.stdout is not None
        self._spell: Callable[[str], str] = str
        if not is_spelled("".join(ARROWS.values()), self._console.encoding):
            self._spell = lambda text: text.translate(_PLAINLY)
        forgive_characters()

    def __call__(self, line: Line) -> None:
        """Show one more, soon."""
        if not self._is_read:
            return
        self._waiting.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self.flush)

    def flush(self) -> None:
        """Show what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._waiting = self._waiting, []
        try:
            if self._as_json:
                self._write([_ascii(encode_line(line)) for line in lines])
            elif self._console.is_terminal:
                self._draw(lines)
            else:
                rows = (row_of(line) for line in lines)
                self._write([self._spell(" ".join(row.columns()).rstrip())[:MAX_SHOWN] for row in rows if row is not None])
        except OSError:
            self._is_read = False
            abandon(sys.stdout)

    def _write(self, lines: list[str]) -> None:
        if lines:
            print("\n".join(lines), flush=True)

    def _draw(self, lines: list[Line]) -> None:
        left_out = len(lines) - MAX_AT_ONCE
        if left_out > 0:
            half = MAX_AT_ONCE // 2
            self._rows(lines[:half])
            self._console.print(f"          ⋮ {left_out} more lines, all of them in the file", style="dim")
            lines = lines[-half:]
        self._rows(lines)

    def _rows(self, lines: list[Line]) -> None:
        rows = [self._laid_out(row) for row in map(row_of, lines) if row is not None]
        if rows:
            # In one go: each printing would otherwise be a writing of its own.
            self._console.print(Text("\n").join(rows), soft_wrap=True)

    def _laid_out(self, row: Row) -> Text:
        at, arrow, carrier, packet, meaning = map(self._spell, row.columns())
        style = "bold red" if row.is_fault else _STYLES[row.direction]
        text = Text.assemble((at, "dim"), " ", (arrow, _STYLES[row.direction]), " ", (carrier, "dim"), " ", (packet, style), " ", meaning)
        text.rstrip()
        text.truncate(self._console.width, overflow="ellipsis")
        return text


def _ascii(line: str) -> str:
    """The same JSON in ASCII, which is the same to a program and travels anywhere."""
    return line if line.isascii() else json.dumps(json.loads(line))
