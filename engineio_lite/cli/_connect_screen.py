"""Where the notes of `engineio-lite connect` go: lines with colours to a terminal, lines without to a pipe, JSON to a program.

On a terminal a long line is broken where its text begins, so that times and arrows stay a column of their own, and a very long one is cut. A pipe
gets every note whole. In a script errors go to standard error, where they are one line each; a person reads them in their place.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.text import Text as RichText

from engineio_lite.capture.redaction import Secrets
from engineio_lite.cli._connect_notes import INDENT, UP, Failure, Line, Note, Text, as_line, as_object, error_line

MAX_SHOWN: Final = 2000
"""Characters of one note on a terminal: a screenful."""

MIN_WIDTH: Final = INDENT + 20
"""Columns from which breaking lines makes sense."""

STYLES: Final[Mapping[str, str]] = {"": "", "up": "cyan", "down": "magenta", "state": "green", "error": "bold red", "dim": "dim", "name": "blue"}


class TextScreen:
    """Shows notes to people; `by_hand` says that errors have their place among the rest."""

    def __init__(self, secrets: Secrets, *, by_hand: bool) -> None:
        self._secrets = secrets
        self._by_hand = by_hand
        self._out = Console(highlight=False)
        self._errors = Console(stderr=True, highlight=False)
        forgive_characters()

    def __call__(self, note: Note) -> None:
        """Show one more; raises `OSError` if nobody takes it."""
        if isinstance(note, Failure) and not self._by_hand:
            _print(self._errors, error_line(note, self._secrets), 0)
        else:
            _print(self._out, as_line(note, self._secrets), 0 if isinstance(note, Text) else INDENT)


class JSONScreen:
    """Shows notes to programs: one object a line on standard output, and errors on standard error too."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._errors = Console(stderr=True, highlight=False)
        forgive_characters()

    def __call__(self, note: Note) -> None:
        """Show one more; raises `OSError` if nobody takes it."""
        found = as_object(note, self._secrets)
        if isinstance(note, Failure):  # first where somebody may still read
            _print(self._errors, error_line(note, self._secrets), 0)
        elif isinstance(note, Text):
            print(note.text, file=sys.stderr, flush=True)
        if found is not None:
            # The standard library's encoder, because it escapes whatever is not ASCII, half surrogate pairs included.
            print(json.dumps(found), flush=True)


def _print(console: Console, line: Line, indent: int) -> None:
    if not is_spelled(UP, console.encoding):
        line = [(meaning, text.translate(_PLAINLY)) for meaning, text in line]
    if not console.is_terminal:
        print("".join(text for _, text in line).replace("\n", "\n" + " " * indent), file=console.file, flush=True)
        return
    console.print(laid_out(line, indent, console), soft_wrap=True)


def laid_out(line: Line, indent: int, console: Console) -> RichText:
    """A line for a terminal: with its colours, and broken and indented where it does not fit; one without an indent is left to the terminal."""
    head = RichText.assemble(*((text, STYLES[meaning]) for meaning, text in line[:2] if indent))
    body = RichText.assemble(*((text, STYLES[meaning]) for meaning, text in (line[2:] if indent else line)))
    if not indent:
        return body
    if len(body) > MAX_SHOWN:
        whole = len(body)
        body = body[:MAX_SHOWN]
        body.append(f"… ({whole} characters; --json shows them all)", STYLES["dim"])
    if console.width < MIN_WIDTH or ("\n" not in body.plain and body.cell_len <= console.width - indent):
        return head + body
    lines = body.wrap(console, console.width - indent, overflow="fold")
    return head + RichText("\n" + " " * indent).join(lines)


_PLAINLY: Final = str.maketrans({"─": "-", "▶": ">", "◀": "<", "…": "...", "—": "-"})


def is_spelled(text: str, encoding: str) -> bool:
    """Whether a terminal with this encoding can show `text`."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def forgive_characters() -> None:
    """JSON can carry half a surrogate pair, and a terminal may know no more than ASCII: neither is worth losing a session for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
