"""What the commands share: a console, an error as one readable line, exit codes.

Exit codes of ``engineio-lite``: 0 all well; 1 the command did its work and found something wrong (each says what), or its output went nowhere; 2 it
was called wrongly, or something it needs is not installed; 3 no connection, or a refusal; 4 a time limit, or a connection lost on the way; 130
interrupted.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from chat_answers.process import INTERRUPTED, USAGE
from engineio_lite.capture.visible import visible
from engineio_lite.exceptions import CaptureError, ConnectionClosed, ConnectRefused, EngineIOError, LocalProtocolError, TimedOut, TransportClosed

__all__ = ["FOUND", "INTERRUPTED", "LOST", "UNREACHABLE", "USAGE", "exit_code", "fail", "print_json", "readable_errors"]

FOUND = 1
UNREACHABLE = 3
LOST = 4


def exit_code(error: EngineIOError) -> int:
    """The exit code for an error of the library."""
    match error:
        case LocalProtocolError() | CaptureError():
            return USAGE
        case ConnectRefused():
            return UNREACHABLE
        case TimedOut() | TransportClosed() | ConnectionClosed():
            return LOST
        case _:
            return UNREACHABLE


def fail(message: str, code: int, fix: str | None = None) -> NoReturn:
    """End the process with one line on standard error, and the remedy if there is one."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(visible(message))}" + (f" [dim]— {escape(visible(fix))}[/]" if fix else ""))
    sys.exit(code)


def print_json(text: str) -> None:
    """Print a line of JSON; what the encoding of standard output does not know is escaped as JSON does it."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text))
    print(text)


def readable_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make every error of the library, and Ctrl-C, end as one line with a documented exit code."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except EngineIOError as error:
            fail(str(error), exit_code(error), error.fix)
        except KeyboardInterrupt:
            fail("interrupted", INTERRUPTED)

    return run
