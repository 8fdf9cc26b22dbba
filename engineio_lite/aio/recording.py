"""Recording what a client does into a capture's file, while it does it.

A `Recording` is the file and what it takes to write it: the level, the rules of redaction, and the numbers of the connections, of which one client
may have many. The door of each connection is recorded by a recorder of its own; nothing else in the library knows that there is a recording. Nothing
reaches the file but through the redactor, a line at a time, each with one write and a flush: after a crash all of it is there but the line that was
being written.

A recording is never in the way of the conversation that it records. It refuses to begin, before anything is sent, if there is a file already. If it
fails later, because the disk is full, it ends, says so once in the log, and `error` tells why; the conversation goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

import engineio_lite
from engineio_lite.capture.derive import Deriver
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import Door, Head, Level, Line, SocketIOPacket
from engineio_lite.capture.passages import make_passage
from engineio_lite.capture.recorder import Record as Passed
from engineio_lite.capture.recorder import Recorder
from engineio_lite.capture.redactor import DEFAULT_REDACTION, BeforeRecord, Redaction, Redactor
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, LocalProtocolError, elide

logger = logging.getLogger("engineio_lite")

FilePath: TypeAlias = str | os.PathLike[str]


class Recording:
    """A capture that is being written, for one client or for several; give it to them as ``record=``.

    `level` is ``"wire"``, everything that passes the door, from which the same run can be computed again and the packets follow, or ``"packets"``,
    the conversation. `redact` False writes secrets as they are; a `Redaction` has further rules. `auth_keep` and `before_record` are those of
    `Redaction`; the latter is for packets only. `overwrite` replaces a file that is there.

    The file is opened when the first client opens its connection, and closed when no client has one; a client that comes later goes on with it.
    Nothing here may be used from two threads at a time. Raises `LocalProtocolError` (cause ``bad-option``) for options that mean nothing.
    """

    def __init__(
        self,
        path: FilePath,
        *,
        level: Literal["wire", "packets"] = "wire",
        redact: bool | Redaction = True,
        auth_keep: Mapping[str, Sequence[str]] | None = None,
        before_record: BeforeRecord | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self.error: CaptureError | None = None
        """Why the recording ended before its time, if it did."""
        if level not in tuple(Level):
            raise LocalProtocolError(f"level must be 'wire' or 'packets', not {elide(repr(level))}", cause=Cause.BAD_OPTION)
        rules = redact if isinstance(redact, Redaction) else DEFAULT_REDACTION
        if auth_keep is not None:
            rules = msgspec.structs.replace(rules, auth_keep={**rules.auth_keep, **auth_keep})
        if before_record is not None:
            rules = msgspec.structs.replace(rules, before_record=before_record)
        self._level = Level(level)
        if rules.before_record is not None and self._level is Level.WIRE:
            message = "before_record changes packets, which the wire cannot do without: use level='packets'"
            raise LocalProtocolError(message, cause=Cause.BAD_OPTION)
        self._redactor = _Nothing(rules) if redact is False else Redactor(rules)
        self._overwrite = overwrite
        self._file: BinaryIO | None = None
        self._writer: Writer | None = None
        self._deriver = Deriver() if self._level is Level.PACKETS else None
        self._users = 0
        self._doors = 0

    @classmethod
    def of(cls, record: Record) -> Recording:
        """The recording that is meant by what is given as ``record=``: itself, or one of the wire into a new file of that name."""
        return record if isinstance(record, Recording) else cls(record)

    @property
    def is_open(self) -> bool:
        """Whether what happens now is written."""
        return self._file is not None

    # ------------------------------------------------------------------------------------------------------------------------------- the clients'

    def attach(self) -> None:
        """A client opens its connection. Raises `CaptureError` if there is a file already, or none can be made; then nothing is written."""
        if self._users == 0 and self.error is None:
            self._open()
        self._users += 1

    def detach(self) -> None:
        """A client has closed its connection for good."""
        self._users -= 1
        if self._users == 0:
            try:
                self._finish()
            except Exception as error:
                self.fail(error)
            self._close()

    def connection(self, door: Door, also: Recorder | None = None) -> Recorder:
        """The recorder of one connection, made with the options in `door`; `also` sees what it sees."""
        return _Connection(self, door, also)

    def learn(self, *, headers: Mapping[str, str] | None, cookies: Mapping[str, str] | None, proxy: str | None) -> None:
        """Hide what a client sends beside the packets, wherever a server may repeat it."""
        self._redactor.learn_headers(tuple((headers or {}).items()))
        for value in (cookies or {}).values():
            self._redactor.learn(value)
        with suppress(ValueError):  # which is no URL, as the client will be told
            if (password := urlsplit(proxy or "").password) is not None:
                self._redactor.learn(password)

    # ------------------------------------------------------------------------------------------------------------------------------- the file's

    def _open(self) -> None:
        is_begun = self._writer is not None
        head = Head(by=f"engineio_lite {engineio_lite.__version__}", at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", source="record", level=self._level)
        try:
            self._file = open(self.path, "ab" if is_begun else "wb" if self._overwrite else "xb")  # noqa: SIM115  # `_close` closes it
            self._writer = Writer(self._file, None if is_begun else head, self._redactor)
        except FileExistsError:
            message = "expected a new file to record into, there is one already"
            raise CaptureError(message, cause=Cause.CAPTURE_EXISTS, path=self.path) from None
        except OSError as error:
            self._close()
            message = f"expected a file to record into, got {error.strerror or type(error).__name__}"
            raise CaptureError(message, cause=Cause.RECORDING_FAILED, path=self.path) from error

    def take(self, door: Door | None, record: Passed, session: int) -> int:
        """Write one passage, behind its `door` where that is not written yet; return the number of the session."""
        if door is not None:
            self._doors += 1
            session = self._doors
            self._put(msgspec.structs.replace(door, session=session))
        self._put(make_passage(record, session))
        return session

    def _finish(self) -> None:
        """Write what is held back behind packets whose attachments never came."""
        for line in self._deriver.finish() if self._deriver is not None else ():
            self._write(line)

    def _put(self, line: Line) -> None:
        for each in (line,) if self._deriver is None else self._deriver.line(line):
            self._write(each)

    def _write(self, line: Line) -> None:
        if self._writer is not None and self._file is not None:
            self._writer.write(line)

    def fail(self, error: Exception) -> None:
        """End the recording, because writing raised `error`."""
        what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        self.error = CaptureError(f"the recording ended early: {what}", cause=Cause.RECORDING_FAILED, path=self.path)
        self.error.__cause__ = error
        self._close()
        logger.warning("%s; the conversation goes on", self.error, exc_info=None if isinstance(error, OSError) else error)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what could not be written cannot be written now either
                file.close()


Record: TypeAlias = FilePath | Recording
"""What is given as ``record=``."""


class _Nothing(Redactor):
    """Redacts nothing: somebody wants to see everything."""

    def line(self, line: Line) -> Line | None:
        before = self._redaction.before_record
        return line if before is None or not isinstance(line, SocketIOPacket) else before(line)


class _Connection(Recorder):
    """Records one connection; its door is written with its first passage, since some connections are made and never used."""

    def __init__(self, recording: Recording, door: Door, also: Recorder | None) -> None:
        super().__init__(max_records=0)
        self._recording = recording
        self._door: Door | None = door
        self._session = 0
        self._also = also

    def record(self, record: Passed) -> None:
        if self._also is not None:
            self._also.record(record)
        if self._recording.is_open:
            try:
                self._session = self._recording.take(self._door, record, self._session)
            except Exception as error:  # whatever it is, and be it a hook's: the machine has taken its step, and what came out must be done
                self._recording.fail(error)
            self._door = None
