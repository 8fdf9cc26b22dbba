"""Where rows of text go: to a terminal in colours and cut to its width, to anything else plain and whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from engineio_lite.cli._connect_screen import forgive_characters, is_spelled
from engineio_lite.cli._show_rows import Row, cut

STYLES: Final[Mapping[str, str]] = {
    "": "",
    "dim": "dim",
    "up": "cyan",
    "down": "magenta",
    "state": "green",
    "error": "bold red",
    "gap": "bold yellow",
    "note": "yellow",
    "name": "blue",
    "event": "bold",
    "pair": "green",
    "removed": "red",
    "added": "green",
}
"""What the meanings of parts look like."""

MIN_WIDTH: Final = 20
"""Columns below which a row would say nothing."""

_PLAINLY: Final = str.maketrans({"─": "-", "▶": ">", "◀": "<", "…": "...", "·": "-", "→": "->", "╳": "X", "‹": "<", "›": ">", "–": "-", "≠": "!="})


class RowsScreen:
    """Prints rows on standard output; `width` is in columns, None for that of the terminal, `full` is not to cut anything.

    Raises `OutputLost` when nobody takes it any more.
    """

    def __init__(self, width: int | None, *, full: bool) -> None:
        forgive_characters()
        console = Console(highlight=False)
        usual = console.width if console.is_terminal else None
        self._file = console.file
        self._width = None if full else width or usual
        self._is_plain = not is_spelled("─▶◀·→╳…‹›–≠", console.encoding)
        self._colours = {meaning: _codes(console, style) if style and console.is_terminal else ("", "") for meaning, style in STYLES.items()}

    def print(self, row: Row) -> None:
        """Print one row."""
        if self._is_plain:
            row = [(meaning, text.translate(_PLAINLY)) for meaning, text in row]
        if self._width is not None:
            row = cut(row, self._width, cell_len, set_cell_size)
        coloured = []
        for meaning, text in row:
            before, after = self._colours[meaning]
            coloured.append(f"{before}{text}{after}" if text else "")
        print("".join(coloured).rstrip(), file=self._file)


def _codes(console: Console, style: str) -> tuple[str, str]:
    """What this terminal wants to be written before and after text of a style: asked for once, since ten thousand rows are many to be laid out."""
    with console.capture() as capture:
        console.print(Text("x", style=style), end="")
    before, _, after = capture.get().partition("x")
    return before, after
