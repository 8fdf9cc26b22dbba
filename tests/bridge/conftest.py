"""Nothing is said to nobody: an exception that reaches the event loop's own handler fails the test, unless the test took it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.bridge.tools import Reports


@pytest.fixture(autouse=True)
async def reports() -> AsyncIterator[Reports]:
    """What the event loop would only log: handlers that failed, futures whose exception nobody took. A test that expects some takes them."""
    said: Reports = []
    loop = asyncio.get_running_loop()

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        said.append(context)

    loop.set_exception_handler(note)
    yield said
    gc.collect()
    assert said == []
