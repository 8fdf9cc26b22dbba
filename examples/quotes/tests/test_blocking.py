"""The client for threads; a cassette does not care who plays it."""

from __future__ import annotations

from typing import Any

import pytest
from quotes import BlockingQuotes

pytestmark = pytest.mark.sio_cassette


def test_a_price(sio_cassette: Any) -> None:
    with BlockingQuotes(sio_cassette.url, "any token") as quotes:
        assert quotes.price("INIT") == 7.5


def test_prices_as_they_come(sio_cassette: Any) -> None:
    with BlockingQuotes(sio_cassette.url, "any token") as quotes:
        assert quotes.watch("ACME", 3) == [118.25, 118.5, 118.75]
