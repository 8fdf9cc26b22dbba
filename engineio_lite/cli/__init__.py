"""The command line: one module a command, each thin.

This file is what the console script calls. It must run with nothing but a plain install, because its first duty is to say in one line that the
commands need the ``cli`` extra; so it imports click and rich only inside `main`, through `engineio_lite.cli.app`.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRA = frozenset({"click", "rich"})


def main() -> None:
    """Run the ``engineio-lite`` command; ends the process with its exit code (2 when the ``cli`` extra is not installed)."""
    try:
        from engineio_lite.cli.app import command
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print("engineio-lite: the command line needs the cli extra: pip install 'engineio-lite[cli]'", file=sys.stderr)
        sys.exit(2)
    command()
