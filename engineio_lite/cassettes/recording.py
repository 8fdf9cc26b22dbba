"""Recording a cassette: the proxy in a thread of its own, and a file that takes its place only when it is whole.

The client under test is given the proxy's URL, so any client can be recorded, blocking or not, in this process or in another. Only what a replay and
a reader want is kept: pings, probes and sockets come and go differently each time, and would make every new recording look different.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import engineio_lite
from chat_answers.loopback import ThreadedServer
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import EnginePacket, Head, Line, SocketChanged
from engineio_lite.capture.redactor import Redaction, Redactor
from engineio_lite.proxy import record

_PASSING: Final = (EnginePacket, SocketChanged)


class CassetteWriter(Writer):
    """Leaves out what is different each time."""

    def write(self, line: Line) -> Line | None:
        """Write one line, unless it is about the transport."""
        return None if isinstance(line, _PASSING) else super().write(line)


def begin(file: BinaryIO, redaction: Redaction) -> CassetteWriter:
    """Begin a cassette that is new."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return CassetteWriter(file, Head(by=f"engineio_lite {engineio_lite.__version__}", at=at, source="cassette"), Redactor(redaction))


class RecordingThread(ThreadedServer):
    """The recording proxy in front of `upstream`, in a thread; `origin` is where clients connect."""

    def __init__(self, upstream: str, writer: Writer, tls: ssl.SSLContext | bool) -> None:
        super().__init__("engineio_lite.cassettes")
        self._upstream = upstream
        self._writer = writer
        self._tls = tls

    async def main(self) -> None:
        """Record until the block is left; see `ThreadedServer`."""
        async with record(self._upstream, self._writer, ssl=self._tls) as recording:
            self.listening(recording.url)
            await self.stopping.wait()


class Draft:
    """A file beside `path` that becomes it with `keep`, and is gone otherwise: whoever reads `path` never sees half of it."""

    def __init__(self, path: Path, file: BinaryIO, draft: Path) -> None:
        self.path = path
        self.file = file
        self._draft = draft

    def keep(self) -> None:
        """Put it in the place of what was there."""
        self.file.close()
        os.replace(self._draft, self.path)


@contextmanager
def draft_of(path: Path) -> Iterator[Draft]:
    """A draft of a file, for a block; folders are made as needed. The name is this process's own, since several may be testing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with open(draft, "wb", buffering=0) as file:
        try:
            yield Draft(path, file, draft)
        finally:
            file.close()
            draft.unlink(missing_ok=True)
