"""Writing a capture while a client works: the file, the clock, and what happens when the disk fails.

A `Recording` gives every request a `Track`, which the client tells what happens to it; each of these becomes a line, redacted first and then written
as one, with nothing buffered in between. So a recorder that is killed has lost no line but the last, and no secret was ever on the disk.

An answer is worth more than its recording. That the file cannot be begun is raised before anything is sent. If it fails later, the answer that is
being read goes on unrecorded to its end; the failure is logged at once, refuses the next question, and is raised where the recording is closed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from ylokh_sse.capture.format import encode_line
from ylokh_sse.capture.lines import CANCELLED, MAX_FILE, MAX_LINE, Answered, Asked, Cut, Ended, Head, Line, Received
from ylokh_sse.capture.redactor import RULES, Redactor, StreamRedactor
from ylokh_sse.exceptions import CaptureError

_LOG: Final = logging.getLogger("ylokh_sse")
_DISK_FIX: Final = "make room, or record elsewhere; what stands in the file so far can be read"
_EXISTS_FIX: Final = "name another file, or overwrite it expressly: Recording(path, overwrite=True)"


def holds_nothing(path: Path) -> bool:
    """Whether this is a pipe or a device, which can be written to without any loss."""
    return path.exists() and not path.is_file() and not path.is_dir()


class Track:
    """One request, as it goes on; nothing in here raises because of the file. What is told after the end is passed over."""

    def __init__(self, recording: Recording, number: int) -> None:
        self._recording = recording
        self._number = number
        self._body = StreamRedactor(recording._redactor)
        self._ended = False

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer came; `headers` have lower-case names."""
        with self._recording._lock:
            if self._ended:
                return
            kept = self._recording._redactor.answer_headers(headers)
            self._recording._write(Answered(number=self._number, time=self._recording._now(), status=status, headers=kept))

    def received(self, data: bytes) -> None:
        """A piece of its body came; it is written once nothing in it can be the beginning of a secret any more."""
        with self._recording._lock:
            if not self._ended:
                self._write(self._body.feed(data, self._recording._now()))

    def ended(self, how: str, cut: Cut | None = None) -> None:
        """It is over, as `Ended` has it; what is said first counts."""
        with self._recording._lock:
            if self._ended:
                return
            self._ended = True
            self._write(self._body.close(torn=cut is not None or how == CANCELLED))
            self._recording._write(Ended(number=self._number, time=self._recording._now(), how=how, cut=cut))

    def _write(self, pieces: Iterable[tuple[float, bytes]]) -> None:
        for moment, data in pieces:
            self._recording._write(Received(number=self._number, time=moment, data=data))


class Recording:
    """A capture that is being made, for one client or for several: ``with Recording("run.sse.jsonl") as recording: Client(…, record=recording)``.

    `target` is a path, whose file is begun with the first question and must not be there yet unless `overwrite` is given, or a binary file that is
    open for writing and stays so. `secrets` are taken out wherever they are, beside what is known to be secret (see docs/howto/capture-sse.md).
    `clock` gives seconds, from any beginning. The file does not grow beyond `max_bytes`.

    May be used by several threads. Closing raises `CaptureError` if something could not be written.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        overwrite: bool = False,
        secrets: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_FILE,
    ) -> None:
        self._path = Path(target) if isinstance(target, str | os.PathLike) else None
        self._file: BinaryIO | None = None if isinstance(target, str | os.PathLike) else target
        self._overwrite = overwrite
        self._clock = clock
        self._max_bytes = max_bytes
        self._redactor = Redactor(tuple(secrets))
        self._lock = threading.RLock()
        self._began: float | None = None
        self._count = 0
        self._size = 0
        self._closed = False
        self.error: CaptureError | None = None
        """What could not be written, and why; None while all is well."""

    @property
    def name(self) -> str:
        """The file, as errors name it."""
        return str(self._path if self._path is not None else getattr(self._file, "name", "the capture"))

    def check(self) -> None:
        """Raise `CaptureError` if nothing more can be recorded."""
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._closed:
            raise CaptureError("the recording is closed", cause="capture-closed", fix="ask inside its block", path=self.name)

    def begin(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Track:
        """Note that a request is about to be sent, and return what to tell about it.

        `headers` are only looked at for secrets. Raises `CaptureError` if the file cannot be begun.
        """
        with self._lock:
            self._begin_file()
            now = self._now()
            self._redactor.learn_headers(headers)
            self._count += 1
            number = self._count
            shown, asked = self._redactor.url(url), self._redactor.body(body)
            self._write(Asked(number=number, time=now, method=method, url=shown, body=asked))
        return Track(self, number)

    def _begin_file(self) -> None:
        if self._began is not None:
            return
        self.check()
        if self._file is None:
            assert self._path is not None
            try:
                # Unbuffered: what was written is in the system's hands, even if this process is killed.
                self._file = self._path.open("wb" if self._overwrite or holds_nothing(self._path) else "xb", buffering=0)
            except FileExistsError:
                raise CaptureError("is there already", cause="capture-exists", fix=_EXISTS_FIX, path=self.name) from None
            except OSError as error:
                fix = "check that the directory is there and can be written to"
                raise CaptureError(f"cannot be written: {error.strerror}", cause="capture-not-writable", fix=fix, path=self.name) from error
            self._close_file = weakref.finalize(self, self._file.close)
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._write(Head(by=f"ylokh_sse {version('engineio-lite')}", at=at, redacted=RULES))
        if self.error is not None:
            raise self.error
        self._began = self._clock()

    def _now(self) -> float:
        assert self._began is not None
        return max(0.0, self._clock() - self._began)

    def _write(self, line: Line) -> None:
        if self.error is not None or self._closed:
            return
        assert self._file is not None
        text = encode_line(line)
        self._size += len(text)
        if len(text) > MAX_LINE or self._size > self._max_bytes:
            what = f"a line would have more than {MAX_LINE} bytes" if len(text) > MAX_LINE else f"it would have more than {self._max_bytes} bytes"
            self._fail(CaptureError(what, cause="capture-too-large", fix="record less into one file, or raise max_bytes", path=self.name))
            return
        try:
            _write_all(self._file, text)
        except (OSError, ValueError) as error:  # ValueError: somebody has closed the file
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            failure = CaptureError(f"cannot be written any further: {words}", cause="capture-write-failed", fix=_DISK_FIX, path=self.name)
            failure.__cause__ = error
            self._fail(failure)

    def _fail(self, error: CaptureError) -> None:
        """Write no more: a line behind one that may be torn would make both unreadable."""
        self.error = error
        _LOG.error("recording has ended, the answers go on: %s", error)

    def close(self) -> None:
        """Close the file, if it was opened here. Raises `CaptureError` if something could not be written. Harmless when it is closed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._path is not None and self._file is not None:
                with contextlib.suppress(OSError):  # every write was looked at, and nothing is left to be written
                    self._close_file()
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self.close()
        except CaptureError as failure:
            if error is None:
                raise
            error.add_note(str(failure))  # what ends the block is more important

    def __repr__(self) -> str:
        state = "failed" if self.error is not None else "closed" if self._closed else f"{self._count} requests so far"
        return f"<Recording to {self.name}, {state}>"


def _write_all(file: BinaryIO, text: bytes) -> None:
    """Write a line by one call, and the rest of it by more where the system takes less."""
    rest = memoryview(text)
    while rest:
        written = file.write(rest)
        rest = rest[written:]
    file.flush()
