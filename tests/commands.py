"""Console commands in processes of their own: run to their end, driven through their pipes, or looked at on a terminal.

A `Command` is the words that start it, and an environment without what would change its output: colours, debug modes, another server.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping
from typing import IO

LIMIT = 30.0
"""Seconds for one command; it takes a fraction of one."""

_UNWANTED = {"FORCE_COLOR", "NO_COLOR", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE"}

Streams = tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes], IO[bytes]]
"""A process with its standard input, output and error."""


@contextlib.contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Let processes started in this block heed Ctrl-C even if the test run does not: a shell makes what runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Command:
    """The `words` that start a command; `without` are variables that it must not find, beside the usual ones."""

    def __init__(self, *words: str, without: Collection[str] = ()) -> None:
        self.words = words
        self._environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED and name not in without}

    def run(
        self, *arguments: str, stdin: str | bytes = "", environment: Mapping[str, str] | None = None, limit: float = LIMIT
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which must come within `limit` seconds; a traceback on standard error fails the test."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        variables = self._environment | dict(environment or {})
        done = subprocess.run([*self.words, *arguments], input=data, capture_output=True, timeout=limit, check=False, env=variables)
        assert b"Traceback" not in done.stderr
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def in_a_shell(self, *arguments: str, then: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run it by a shell, with these redirections or pipes behind it."""
        line = f"{shlex.join([*self.words, *arguments])} {then}"
        return subprocess.run(line, shell=True, input=stdin, capture_output=True, timeout=LIMIT, check=False, env=self._environment)

    @contextlib.contextmanager
    def started(self, *arguments: str) -> Iterator[Streams]:
        """A process with its standard streams, which does not outlive its block whatever happens there."""
        pipe = subprocess.PIPE
        with heeding_ctrl_c():
            child = subprocess.Popen([*self.words, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment)
        with child as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                yield process, process.stdin, process.stdout, process.stderr
            finally:
                process.kill()

    def on_a_terminal(self, *arguments: str, typed: bytes | None = None, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run it where all three streams are a terminal: the exit code, and what a person would be shown. What is `typed` is ended as by Ctrl-D."""
        ours, theirs = pty.openpty()
        try:
            variables = self._environment | dict(environment or {})
            process = subprocess.Popen([*self.words, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
        finally:
            os.close(theirs)
        shown = b""
        try:
            if typed is not None:
                os.write(ours, typed + b"\x04")
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # how a terminal says that nobody writes any more
            pass
        finally:
            os.close(ours)
        return process.wait(LIMIT), shown.decode().replace("\r\n", "\n")
