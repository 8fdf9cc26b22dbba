"""Virtual environments of peers that cannot live in ours, made on first need below ``.venv/peers`` of the checkout.

What belongs into one is pinned in ``tests/peers/NAME.txt``. ``python -m tests.peers.environments`` makes all of them; a test run makes what it needs
under CI=true, and on a laptop skips with that command as the reason. Two runs at once are safe: one makes it, the other waits.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.peers import HERE, in_ci

MAKE_LIMIT: Final = 300.0
"""Seconds until an environment must be made; half a minute on a slow day."""


@dataclass(frozen=True)
class Environment:
    """What is pinned in the file `pins`, in the directory `home`, which need not be there yet."""

    pins: Path
    home: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "bin" / "python"

    @property
    def is_made(self) -> bool:
        """Whether it is there, complete, from these pins, and the Python that it was made with still exists."""
        return self.python.exists() and self._stamp.is_file() and self._stamp.read_bytes() == self.pins.read_bytes()

    def missing(self) -> str | None:
        """Why it cannot be used, or None; under CI=true it is made first if it is not there."""
        if self.is_made:
            return None
        return self.make() if in_ci() else f"{self.home.name} is not installed: run `python -m tests.peers.environments`"

    def make(self) -> str | None:
        """Make it unless it is there; returns what went wrong, or None."""
        with self._lock():
            if self.is_made:
                return None  # somebody else has made it meanwhile
            venv.create(self.home, clear=True)
            # With our pip: giving the environment one of its own would take longer than everything else.
            command = [
                sys.executable,
                "-m",
                "pip",
                "--python",
                str(self.python),
                "--disable-pip-version-check",
                "install",
                "-q",
                "-r",
                str(self.pins),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_LIMIT, check=False)
            if done.returncode != 0:
                return f"`pip install -r {self.pins.name}` failed: {done.stderr[-500:]}"
            self._stamp.write_bytes(self.pins.read_bytes())
            return None

    @property
    def _stamp(self) -> Path:
        """Is written last, so what was interrupted does not count as made."""
        return self.home / "made-from.txt"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.home.with_name(f"{self.home.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed, or the process gone
            yield


def _environment(name: str) -> Environment:
    return Environment(HERE / f"{name}.txt", HERE.parent.parent / ".venv" / "peers" / name)


MOCK_AI_API: Final = _environment("mock-ai-api")

if __name__ == "__main__":
    sys.exit(MOCK_AI_API.make())
