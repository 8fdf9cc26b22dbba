"""Waiting, cancelled or not: the answer of one `call`, and cancellations that python-socketio would lose."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any


class Answer:
    """The callback of one `call`: what the server answers becomes the result of a future."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.id: int | None = None
        self.future: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

    def __call__(self, *values: Any) -> None:
        if not self.future.done():
            self.future.set_result(values)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # seen: whoever called may be gone


@contextlib.contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise the cancellation that came while the block ran, in case it was swallowed on the way."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        yield
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError
