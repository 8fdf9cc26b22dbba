"""Every shared vector, whole and cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sse.streams import VECTORS, expected, name, pieces, read, whole

SIZES = (1, 2, 3, 7)

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=name)


def test_nothing_is_missing() -> None:
    assert len(VECTORS) == 114


def _marks(vector: dict[str, Any]) -> list[pytest.MarkDecorator]:
    """A stream of tens of thousands of bytes has as many cuts, and each of them takes a whole decoding."""
    return [pytest.mark.long, pytest.mark.timeout(300)] if len(whole(vector)) > 10_000 else []


@every_vector
def test_as_recorded_and_whole(vector: dict[str, Any]) -> None:
    assert read(map(bytes.fromhex, vector["chunks"]))[:3] == expected(vector)
    assert read([whole(vector)])[:3] == expected(vector)


@pytest.mark.parametrize("vector", [pytest.param(vector, marks=_marks(vector)) for vector in VECTORS], ids=name)
def test_cut_anywhere_with_nothing_in_between(vector: dict[str, Any]) -> None:
    stream = whole(vector)
    outcome = read([stream])
    for cut in range(len(stream) + 1):
        assert read([stream[:cut], b"", stream[cut:]]) == outcome, cut


@every_vector
def test_cut_everywhere(vector: dict[str, Any]) -> None:
    stream = whole(vector)
    outcome = read([stream])
    for size in SIZES:
        assert read(pieces(stream, size)) == outcome, size
        assert read(pieces(stream, size, blanks=True)) == outcome, size
