"""The command line's front door: what the console script ``perplexity-labs`` calls.

It must run with nothing but a plain install, because its first duty is to say in one line that the commands need the ``cli`` extra; so click is
imported only inside `main`, with `perplexity_labs.ask`, which is the command. How the process ends is `chat_answers.process`'s business.
"""

from __future__ import annotations

from typing import NoReturn

from chat_answers.process import invoke, loading, run

__all__ = ["main"]


def main() -> NoReturn:
    """Run the ``perplexity-labs`` command; ends the process with its exit code (2 when the ``cli`` extra is not installed)."""
    run("perplexity-labs", _command)


def _command() -> int:
    with loading():
        from perplexity_labs.ask import command

    return invoke(command, "perplexity-labs")


if __name__ == "__main__":
    main()
