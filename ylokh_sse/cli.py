"""The command line's front door: what the console script ``ylokh-sse`` calls.

It must run with nothing but a plain install, because its first duty is to say in one line that the commands need the ``cli`` extra; so click is
imported only inside `main`, with `ylokh_sse.commands`, which has the commands.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

USAGE = 2
INTERRUPTED = 130


def main() -> None:
    """Run the ``ylokh-sse`` command; ends the process with its exit code (2 when the ``cli`` extra is not installed)."""
    try:
        from ylokh_sse.commands import command

        command(prog_name="ylokh-sse")
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("ylokh-sse: the command line needs the cli extra: pip install 'engineio-lite[cli]'", file=sys.stderr)
        sys.exit(USAGE)
    except KeyboardInterrupt:
        # Pressed while the libraries were still loading; later the command itself takes it.
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
