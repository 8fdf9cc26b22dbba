"""The asyncio client, against what the service said when it was recorded."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from quotes import QuoteError, Quotes

TOKEN = "let-me-trade-please"

pytestmark = pytest.mark.sio_cassette


async def test_a_price(sio_cassette: Any) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        assert await quotes.price("ACME") == 118.25


async def test_a_symbol_that_nobody_knows(sio_cassette: Any) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        with pytest.raises(QuoteError, match="no such symbol: NOPE"):
            await quotes.price("NOPE")


async def test_prices_as_they_come(sio_cassette: Any) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        assert await quotes.watch("INIT", 20) == [7.5 + step / 4 for step in range(20)]


async def test_a_picture(sio_cassette: Any) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        assert zlib.decompress(await quotes.chart("ACME")).startswith(b"ACMEACME")


@pytest.mark.parametrize(("shares", "answer"), [(3, "ACME-3"), (0, "buy at least one share")])
async def test_an_order(sio_cassette: Any, shares: int, answer: str) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        try:
            order = await quotes.buy("ACME", shares)
        except QuoteError as error:
            order = str(error)
    assert order == answer


async def test_two_clients_one_after_the_other(sio_cassette: Any) -> None:
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        first = await quotes.price("ACME")
    async with Quotes(sio_cassette.url, TOKEN) as quotes:
        assert await quotes.price("INIT") < first
