"""What the commands that read captures share: opening one, and a reader of ours that goes away."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engineio_lite.capture.file import Capture, load, read
from engineio_lite.cli._connect_screen import abandon
from engineio_lite.cli._console import USAGE, fail
from engineio_lite.exceptions import CaptureError


def read_capture(path: Path) -> Capture:
    """The capture in a file, or on standard input for ``-``, at the level of packets; what cannot be read ends the process with one line."""
    try:
        capture = read(sys.stdin.buffer, path="standard input") if str(path) == "-" else load(path)
        return capture.packets()
    except OSError as error:
        fail(f"{path}: {error.strerror}", USAGE)
    except CaptureError as error:
        fail(str(error), USAGE, error.fix)


def until_nobody_reads(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command end quietly when whoever reads its output has seen enough, as ``head`` does."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            result = command(*args, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            abandon(sys.stdout)
            return None
        return result

    return run
