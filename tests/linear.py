"""Whether work takes time in proportion to what it is given: told from quadratic work, not from work that is a little slower than it should be."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import Final, TypeVar

TOO_FAST: Final = 0.002
"""Seconds below which the clock and the caches decide, and in which nothing quadratic is done that is large enough to ask about."""

_Given = TypeVar("_Given")


def takes_linear_time(work: Callable[[_Given], object], small: _Given, large: _Given, *, times: int) -> bool:
    """Whether `large`, which is so many `times` the size of `small`, takes nearer to as many times as long than to the square of that."""
    bound = 3 ** math.log2(times)  # for twice as much, quadratic work takes four times as long
    for rounds in (2, 6, 18):
        # Interleaved, so that a slow moment of the machine falls on both sizes; the fastest of several is what the work takes.
        seconds = [(_seconds(work, small), _seconds(work, large)) for _ in range(rounds)]
        for_small, for_large = (min(column) for column in zip(*seconds, strict=True))
        if for_large < max(bound * for_small, TOO_FAST):
            return True
    return False


def _seconds(work: Callable[[_Given], object], given: _Given) -> float:
    # Of this thread alone, and without the collector: how often that runs, and over how much, depends on all the tests before.
    gc.disable()
    try:
        start = time.thread_time()
        work(given)
        return time.thread_time() - start
    finally:
        gc.enable()
