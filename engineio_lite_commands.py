"""The front doors of the console commands: what the scripts that an installer makes call.

This module is outside the packages and imports none of them until a command is called: most of a short command's time goes into loading them, and
who presses Ctrl-C meanwhile must get what they get later, exit code 130 and no traceback. The commands themselves are in ``engineio_lite.cli``,
``perplexity_labs.cli`` and ``ylokh_sse.cli``; how they end is ``chat_answers.process``'s business.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # that of `typing` takes ten milliseconds to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

__all__ = ["engineio_lite", "perplexity_labs", "ylokh_sse"]


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _enter(package: str) -> NoReturn:
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not, as by `nohup`, to be ignored
    if heeded:
        signal.signal(signal.SIGINT, _leave)  # as in `chat_answers.process.loading`, which is not there yet
    from importlib import import_module

    main = import_module(f"{package}.cli").main
    try:
        if heeded:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        main()
    except KeyboardInterrupt:
        _leave(signal.SIGINT, None)  # pressed between two steps
    finally:
        # All is said. From here on Python takes itself apart, where Ctrl-C could only be a traceback.
        if heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise AssertionError("a command ends the process")


def engineio_lite() -> NoReturn:
    """Run ``engineio-lite``; ends the process with its exit code."""
    _enter("engineio_lite")


def perplexity_labs() -> NoReturn:
    """Run ``perplexity-labs``; ends the process with its exit code."""
    _enter("perplexity_labs")


def ylokh_sse() -> NoReturn:
    """Run ``ylokh-sse``; ends the process with its exit code."""
    _enter("ylokh_sse")
