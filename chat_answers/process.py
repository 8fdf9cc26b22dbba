"""A console command as a process: its three standard streams, the signals that end it, and what it exits with.

Every console script goes through `run`, so that its ends are the same whatever the command is:

- Standard output that takes no more raises `OutputLost` where it is written, whoever writes: the disk is full, the descriptor is closed, the reader
  has gone. It ends the command with exit code 1, and with one line on standard error; without a word where the reader has gone, since ``| head``
  means it so. What is still buffered at the end counts, too. A command whose product is elsewhere (a recording) catches it and goes on.
- Standard error that takes no more is no reason to fail: what is said there is lost, the exit code stands.
- Standard input that cannot be read raises `InputLost`, and ends the command with exit code 2.
- A character that the encoding of a stream does not know is written as an escape.
- Ctrl-C is exit code 130 from the start, also while libraries are still `loading`.
- SIGTERM and SIGHUP unwind the command as Ctrl-C does, so that no half-written file stays behind and servers are told; 128 and the signal's number.
- A library of the ``cli`` extra that is missing is one line, and exit code 2. That is why nothing but the standard library is imported here.

It knows no command and no service, and none of their errors: who has a better word for one says it before it comes here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn, TextIO

if TYPE_CHECKING:
    import click

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "InputLost", "OutputLost", "abandon", "invoke", "loading", "run", "standard_input"]

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as a shell would report it."""

_EXTRA: Final = frozenset({"click", "rich"})
"""The packages of the ``cli`` extra without which there is no command."""

_READER_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET})


class _StreamLost(OSError):
    """What the system said of a standard stream; it has no `errno`, lest somebody takes it for a socket's or a file's."""

    def __init__(self, stream: str, error: OSError) -> None:
        super().__init__()
        self.strerror = error.strerror
        self.filename = stream
        self.reason = error

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class OutputLost(_StreamLost):
    """Standard output takes no more; `reason` is the system's error."""

    @property
    def is_quiet(self) -> bool:
        """Whether the reader has gone, which nobody needs to be told."""
        return self.reason.errno in _READER_GONE


class InputLost(_StreamLost):
    """Standard input cannot be read; `reason` is the system's error."""


# -------------------------------------------------------------------------------------------------------------------------- the standard streams


class _Input(io.FileIO):
    def readinto(self, buffer: Any, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise InputLost("standard input", error) from error


# These two stand above the buffer and not below it: Ctrl-C raises between any two steps of Python, and between the system's write and the buffer's
# account of it the same bytes would be written once more at the end.


class _Output(io.BufferedWriter):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLost("standard output", error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputLost("standard output", error) from error


class _Errors(io.BufferedWriter):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)  # nobody listens, and there is no other place where it could be said

    def flush(self) -> None:
        with contextlib.suppress(OSError):  # as above
            super().flush()


def _fill_gaps() -> None:
    """Open the descriptors that were closed when the process started, or the next file that is opened would get their numbers, and our output.

    Each the wrong way round, so that it stays as useless as it was: to read where one writes.
    """
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.open(os.devnull, flags)


def _is_plain(stream: TextIO | None, descriptor: int) -> bool:
    """Whether this is the stream that Python itself made of a descriptor: not that of a test, nor the console of Windows, which is no file."""
    if stream is None:
        return True
    buffer = getattr(stream, "buffer", None)
    return type(getattr(buffer, "raw", buffer)) is io.FileIO and stream.fileno() == descriptor


def _out_of(kind: type[io.BufferedWriter], descriptor: int, stream: TextIO | None, *, flush_lines: bool = False) -> TextIO:
    """A text stream like Python's own, with another buffer below it."""
    buffer = kind(io.FileIO(descriptor, "wb", closefd=False))
    lines = flush_lines or (isinstance(stream, io.TextIOWrapper) and (stream.line_buffering or stream.write_through))
    encoding = "utf-8" if stream is None else stream.encoding
    return io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)


def _take_over_streams() -> None:
    _fill_gaps()
    if sys.stdin is not None and _is_plain(sys.stdin, 0):
        buffer = io.BufferedReader(_Input(0, "rb", closefd=False))
        sys.stdin = io.TextIOWrapper(buffer, encoding=sys.stdin.encoding, errors=sys.stdin.errors)
    if _is_plain(sys.stdout, 1):
        sys.stdout = _out_of(_Output, 1, sys.stdout)
    if _is_plain(sys.stderr, 2):
        sys.stderr = _out_of(_Errors, 2, sys.stderr, flush_lines=True)


def standard_input() -> BinaryIO:
    """Standard input as bytes; raises `InputLost` if it was closed before the process started (``<&-``), and from reading what cannot be read."""
    if sys.stdin is None:
        raise InputLost("standard input", OSError(errno.EBADF, "it is closed"))
    return sys.stdin.buffer


def abandon(stream: TextIO | None) -> None:
    """Nobody reads this stream any more: what is left in it goes nowhere, or Python would complain at its end."""
    if stream is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


# ------------------------------------------------------------------------------------------------------------------------------------ the process


def run(name: str, main: Callable[[], object]) -> NoReturn:
    """Run `main`, and end the process with the exit code that it returns (if it is an int) or exits with. `name` is what the command is called."""
    _take_over_streams()
    output = sys.stdout
    for number in _endings():
        if signal.getsignal(number) is signal.SIG_DFL:  # and not, as by `nohup`, to be ignored
            signal.signal(number, _unwind)
    code = _outcome(name, main)
    try:
        output.flush()
    except OutputLost as lost:
        # A command that failed anyway keeps its code: that says more.
        code = code or _tell(lost)
        abandon(output)
    sys.exit(code)


def _endings() -> list[signal.Signals]:
    return [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _unwind(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _outcome(name: str, main: Callable[[], object]) -> int:
    try:
        code = main()
        return code if isinstance(code, int) else 0
    except SystemExit as ended:
        return _code(ended)
    except KeyboardInterrupt:
        # Pressed between two steps; within one, the command itself takes it.
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print(f"{name}: the command line needs the cli extra: pip install 'engineio-lite[cli]'", file=sys.stderr)
        return USAGE
    except OutputLost as lost:
        code = _tell(lost)
        abandon(sys.stdout)
        return code
    except InputLost as lost:
        print(f"error: standard input cannot be read: {lost.strerror} — pipe something in, or name a file", file=sys.stderr)
        return USAGE


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Load libraries in this block: Ctrl-C ends the process at once meanwhile, with exit code 130.

    Nothing has begun that would need an end; and there are corners of an import where Python throws a KeyboardInterrupt away, with a traceback.
    """
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: object) -> NoReturn:
    os._exit(128 + number)


def invoke(command: click.Command, name: str) -> int:
    """Run a command of click's; returns its exit code, but for what `run` knows better."""
    import click

    try:
        # Not click's own ending, which calls Ctrl-C an abortion, with exit code 1.
        code = command.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _code(ended: SystemExit) -> int:
    match ended.code:
        case None:
            return 0
        case int(code):
            return code
        case words:
            print(words, file=sys.stderr)
            return FAILED


_REMEDIES: Final = {
    errno.ENOSPC: "make room, or send it to another place",
    errno.EBADF: "it is closed; to throw the output away, send it to the null device",
}


def _tell(lost: OutputLost) -> int:
    if not lost.is_quiet:
        fix = _REMEDIES.get(lost.reason.errno or 0)
        print(f"error: standard output cannot be written: {lost.strerror}" + (f" — {fix}" if fix else ""), file=sys.stderr)
    return FAILED
