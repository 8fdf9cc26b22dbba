"""A small client of a service of stock quotes, on python-socketio: one class for asyncio, one for threads.

The service answers ``quote`` with a price, streams ``tick`` events after ``watch``, draws a ``chart`` as bytes, and lets only those trade who come
with a token, in the namespace ``/trade``.
"""

from __future__ import annotations

import asyncio
import queue
from types import TracebackType
from typing import Any, Self

import socketio

TIMEOUT = 10
"""Seconds for an answer."""


class QuoteError(Exception):
    """The service does not know a symbol, or does not want this order."""


class Quotes:
    """The service for asyncio: ``async with Quotes(url, token) as quotes``."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._client = socketio.AsyncClient(reconnection=False)
        self._ticks: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._client.on("tick", self._ticks.put)

    async def __aenter__(self) -> Self:
        await self._client.connect(self._url, auth={"token": self._token}, namespaces=["/", "/trade"])
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._client.disconnect()

    async def price(self, symbol: str) -> float:
        """What one share costs."""
        return _price(await self._client.call("quote", symbol, timeout=TIMEOUT))

    async def watch(self, symbol: str, count: int) -> list[float]:
        """The next `count` prices."""
        await self._client.emit("watch", (symbol, count))
        return [(await asyncio.wait_for(self._ticks.get(), TIMEOUT))["price"] for _ in range(count)]

    async def chart(self, symbol: str) -> bytes:
        """A picture of the last prices."""
        picture = await self._client.call("chart", {"symbol": symbol, "style": b"\x01\x02"}, timeout=TIMEOUT)
        assert isinstance(picture, bytes)
        return picture

    async def buy(self, symbol: str, shares: int) -> str:
        """Buy, and return what the order is called."""
        return _order(await self._client.call("buy", {"symbol": symbol, "shares": shares}, namespace="/trade", timeout=TIMEOUT))


class BlockingQuotes:
    """The same for threads: ``with BlockingQuotes(url, token) as quotes``."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._client = socketio.Client(reconnection=False)
        self._ticks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._client.on("tick", self._ticks.put)

    def __enter__(self) -> Self:
        self._client.connect(self._url, auth={"token": self._token}, namespaces=["/"])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._client.disconnect()

    def price(self, symbol: str) -> float:
        """What one share costs."""
        return _price(self._client.call("quote", symbol, timeout=TIMEOUT))

    def watch(self, symbol: str, count: int) -> list[float]:
        """The next `count` prices."""
        self._client.emit("watch", (symbol, count))
        return [self._ticks.get(timeout=TIMEOUT)["price"] for _ in range(count)]


def _price(answer: Any) -> float:
    if "error" in answer:
        raise QuoteError(answer["error"])
    return float(answer["price"])


def _order(answer: Any) -> str:
    if "error" in answer:
        raise QuoteError(answer["error"])
    return str(answer["order"])
