"""The command line: one module a command, each thin.

This file is what the console script calls. It must run with nothing but a plain install, because its first duty is to say in one line that the
commands need the ``cli`` extra; so it imports click and rich only inside `main`, through `engineio_lite.cli.app`. How the process ends is
`chat_answers.process`'s business.
"""

from __future__ import annotations

from typing import NoReturn

from chat_answers.process import invoke, loading, run

__all__ = ["main"]


def main() -> NoReturn:
    """Run the ``engineio-lite`` command; ends the process with its exit code (2 when the ``cli`` extra is not installed)."""
    run("engineio-lite", _command)


def _command() -> int:
    with loading():
        from engineio_lite.cli.app import command

    return invoke(command, "engineio-lite")
