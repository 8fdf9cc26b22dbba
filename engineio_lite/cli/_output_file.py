"""Where commands write what they make: a file that is whole or is not touched, or standard output for ``-``.

What is written goes beside the file's name and is moved there when it is complete, so whatever goes wrong leaves what was there before. What is no
ordinary file, such as a device or a named pipe, is never replaced but written to. The file that is read is never written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from engineio_lite.cli._console import USAGE, fail

STANDARD_OUTPUT: Final = "-"


@contextlib.contextmanager
def whole_or_nothing(out: str, sources: Iterable[Path], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A file that gets its name when everything is in it.

    Ends the process if it is one of the `sources`. Raises FileExistsError if it is there and not to be overwritten, and OSError, of which the name is
    the one that the user gave.
    """
    if out == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    path = Path(out).resolve()  # what a link points at is replaced, not the link
    found = _status(path)
    if found is not None and any(_is_same(path, source) for source in sources):
        fail(f"{out} is the file that is read, and would be lost", USAGE, "give what is made of it another name")
    if found is not None and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), out)
    if found is not None and not stat.S_ISREG(found.st_mode):
        with open(out, "wb") as file:
            yield file
        return
    with _replacement(path, out, found) as file:
        yield file


@contextlib.contextmanager
def _replacement(path: Path, out: str, found: os.stat_result | None) -> Iterator[BinaryIO]:
    if found is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), out)
    mode = 0o666 & ~_umask() if found is None else stat.S_IMODE(found.st_mode)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, out) from None
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_same(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except FileNotFoundError:
        return False  # standard input, or gone since


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
