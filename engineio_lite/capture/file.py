"""A capture's file: written so that a crash costs little, read so that nothing in it can do harm.

The file only grows, a line at a time, each written whole and flushed: a crash costs at most the last line, which a reader drops, and says so. Nothing
is taken on trust: sizes, counts and depths are bounded, and what is damaged is an error with the number of its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from engineio_lite.capture.derive import derive
from engineio_lite.capture.format import DEFAULT_LOAD_LIMITS, LoadLimits, decode_line, encode_line
from engineio_lite.capture.lines import VERSION, Head, Level, Line
from engineio_lite.capture.redactor import Redactor
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, elide

_CHATS: Final = "ylokh_sse"
"""Who writes captures of chat answers. Their lines look like ours, but nearly all of them are of kinds that a reader passes over."""


class Writer:
    """Writes the lines of one capture into a binary file that is open for writing, unbuffered or not; each is redacted first and then flushed.

    The head is written at once; None is for a file that has one, and is continued. The file is the caller's: it is never closed here. Whatever
    writing raises comes through, and the line that was being written may then be torn.
    """

    def __init__(self, file: BinaryIO, head: Head | None, redactor: Redactor | None = None) -> None:
        self._file = file
        self.redactor = redactor if redactor is not None else Redactor()
        if head is not None:
            self._put(head)

    def write(self, line: Line) -> Line | None:
        """Write one line; return it as it was written, None if the user's hook left it out."""
        redacted = self.redactor.line(line)
        if redacted is not None:
            self._put(redacted)
        return redacted

    def _put(self, line: Line) -> None:
        # One call for all of it: a line that another process can see is a whole one.
        self._file.write(f"{encode_line(line)}\n".encode())
        self._file.flush()


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A capture that was read: its head, its lines in order, and sentences about what was wrong with the file, such as a torn last line.

    `path` is where it came from, for messages.
    """

    head: Head
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()
    path: str | None = None

    def packets(self) -> Capture:
        """The same at the level of packets, which is derived from the wire where that was recorded."""
        if self.head.level is Level.PACKETS:
            return self
        lines = tuple(derive(self.lines))
        return msgspec.structs.replace(self, head=msgspec.structs.replace(self.head, level=Level.PACKETS), lines=lines)


def load(path: str | Path, limits: LoadLimits = DEFAULT_LOAD_LIMITS) -> Capture:
    """Read a capture. Raises `CaptureError` for what is none, OSError for what cannot be opened."""
    with open(path, "rb") as file:
        return read(file, limits, path=str(path))


def read(file: BinaryIO, limits: LoadLimits = DEFAULT_LOAD_LIMITS, *, path: str | None = None) -> Capture:
    """Read a capture from a binary file that is open. Raises `CaptureError`."""
    lines: list[Line] = []
    remarks: list[str] = []
    for number, text, is_whole in _texts(file, limits, path):
        try:
            line = decode_line(text, limits, path=path, number=number)
        except CaptureError:
            if is_whole:
                raise
            remarks.append(f"the last line (line {number}) is torn and was left out: {elide(text)}")
            break
        if number == 1 and not isinstance(line, Head):
            expected = f'expected {{"k": "head", "v": {VERSION}, …}}, got {elide(text)}'
            raise CaptureError(expected, cause=Cause.NOT_A_CAPTURE, path=path, line=1)
        if isinstance(line, Head) and line.by.partition(" ")[0] == _CHATS:
            raise CaptureError("expected a capture of Socket.IO, got one of chat answers", cause=Cause.CAPTURE_KIND, path=path)
        if line is not None:
            lines.append(line)
    if not lines:
        raise CaptureError("expected a capture, got an empty file", cause=Cause.NOT_A_CAPTURE, path=path)
    return Capture(head=cast("Head", lines[0]), lines=tuple(lines[1:]), remarks=tuple(remarks), path=path)


def _texts(file: BinaryIO, limits: LoadLimits, path: str | None) -> Iterator[tuple[int, str, bool]]:
    """The lines of a file with their numbers, and whether each has its line feed."""
    size = 0
    number = 0
    while raw := file.readline(limits.max_line + 1):
        number += 1
        size += len(raw)
        if len(raw) > limits.max_line or size > limits.max_file or number > limits.max_lines:
            raise CaptureError("the capture is larger than the limits allow", cause=Cause.CAPTURE_TOO_LARGE, path=path, line=number)
        yield number, _decoded(raw, number, path), raw.endswith(b"\n")


def _decoded(raw: bytes, number: int, path: str | None) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        if not raw.endswith(b"\n"):
            return raw.decode("utf-8", "replace")  # torn in the middle of a character, which is found out by its JSON
        cause = Cause.NOT_A_CAPTURE if number == 1 else Cause.CAPTURE_DAMAGED
        raise CaptureError(f"expected UTF-8, got {elide(raw[:64])}", cause=cause, path=path, line=number) from None
