"""What the commands that read captures share: opening one."""

from __future__ import annotations

from pathlib import Path

from chat_answers.process import standard_input
from engineio_lite.capture.file import Capture, load, read
from engineio_lite.cli._console import USAGE, fail
from engineio_lite.exceptions import CaptureError


def read_capture(path: Path) -> Capture:
    """The capture in a file, or on standard input for ``-``, at the level of packets; what cannot be read ends the process with one line."""
    try:
        capture = read(standard_input(), path="standard input") if str(path) == "-" else load(path)
        return capture.packets()
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror}", USAGE)
    except CaptureError as error:
        fail(str(error), USAGE, error.fix)
