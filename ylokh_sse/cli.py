"""The command line's front door: what the console script ``ylokh-sse`` calls.

It must run with nothing but a plain install, because its first duty is to say in one line that the commands need the ``cli`` extra; so click is
imported only inside `main`, with `ylokh_sse.commands`, which has the commands. How the process ends is `chat_answers.process`'s business.
"""

from __future__ import annotations

from typing import NoReturn

from chat_answers.process import invoke, loading, run

__all__ = ["main"]


def main() -> NoReturn:
    """Run the ``ylokh-sse`` command; ends the process with its exit code (2 when the ``cli`` extra is not installed)."""
    run("ylokh-sse", _command)


def _command() -> int:
    with loading():
        from ylokh_sse.commands import command

    return invoke(command, "ylokh-sse")


if __name__ == "__main__":
    main()
