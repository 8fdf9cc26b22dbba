"""Nothing is said to nobody: an exception that reaches the event loop's own handler fails the test."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
async def nothing_unhandled() -> AsyncIterator[None]:
    """Collect what the event loop would only log: tasks that failed unseen, futures whose exception nobody took, callbacks that raised."""
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: said.append(context))
    yield
    gc.collect()
    assert said == []
