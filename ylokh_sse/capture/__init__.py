"""Captures of answers: what went over the wire, with its times and without its secrets, to be read, shown and replayed.

`lines` are what a capture is made of, `redactor` takes the secrets out, `format` is the file, ``*.sse.jsonl`` (these three are pure), and `recording`
writes one while a client works. `ylokh_sse.replay` plays it back.

::

    async with Client(base_url, record="run.sse.jsonl") as chat: ...
    capture = load("run.sse.jsonl")
"""

from __future__ import annotations

import os

from ylokh_sse.capture.format import Capture, Recorded, read
from ylokh_sse.capture.lines import MAX_FILE, Answered, Asked, Cut, Ended, Head, Received
from ylokh_sse.capture.recording import Recording
from ylokh_sse.exceptions import CaptureError

__all__ = ["Answered", "Asked", "Capture", "CaptureError", "Cut", "Ended", "Head", "Received", "Recorded", "Recording", "load"]


def load(path: str | os.PathLike[str], *, max_bytes: int = MAX_FILE) -> Capture:
    """Read a capture. Raises `CaptureError` where the file cannot be read, is damaged, is none, or has more than `max_bytes`.

    A last line that was torn off, as a recorder leaves it that was killed, is dropped with a note.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            return read(file, name, max_bytes=max_bytes)
    except OSError as error:
        fix = "check the name of the file"
        raise CaptureError(f"cannot be read: {error.strerror}", cause="capture-not-readable", fix=fix, path=name) from error
