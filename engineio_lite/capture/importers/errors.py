"""Why a file cannot be imported."""

from __future__ import annotations

from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError


class ImportFailed(CaptureError):
    """A file that is no recording which can be read, or that needs something which is not there.

    `cause` is ``not-a-recording``, ``recording-version``, ``recording-too-large``, ``tshark-missing`` or ``tshark-failed``. The readers do not know
    the name of the file: whoever opened it says so with `of`.
    """

    def __init__(self, message: str, *, cause: Cause = Cause.NOT_A_RECORDING, path: str | None = None) -> None:
        super().__init__(message, cause=cause, path=path)
        self._detail = message

    def of(self, path: str) -> ImportFailed:
        """The same error, of that file."""
        return ImportFailed(self._detail, cause=self.cause, path=path)
