"""What a piece of asyncio code left behind: tasks that still run, aiohttp sessions and connectors that nobody closed.

Sockets and transports that are dropped unclosed need no looking for: they warn when they are collected, and warnings are errors in this suite.
"""

from __future__ import annotations

import asyncio
import gc

import aiohttp

TURNS = 5
"""Turns of the event loop that a cancelled task may need to be gone. What takes longer was not waited for by whoever started it."""


def set_aside_what_is_there() -> None:
    """Forget the objects that exist now, so that looking through the live ones later takes a millisecond.

    They are modules at first, later also what pytest and hypothesis keep of each test: after thousands of tests it is most of a second.
    """
    gc.collect()
    gc.freeze()


async def left_behind() -> list[str]:
    """One line for everything that should have been stopped or closed by now; collects garbage, so that what was dropped warns here."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    left = [f"task {task.get_name()!r} still runs {task.get_coro()!r}" for task in tasks]
    gc.collect()
    # type() and not isinstance(): an object may lie about its class, and asking a lazy one wakes it up.
    kinds = (aiohttp.ClientSession, aiohttp.BaseConnector)
    found = [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]
    return left + [f"{thing!r} is not closed" for thing in found if not thing.closed]
