"""The quick look before the search: it must let everything pass that the search would find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.shapes import SHAPES, may_have_shape

_EXAMPLES = [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl",
    "Bearer abcdefgh12345",
    "bearer abcdefgh12345",
    "Basic dXNlcjpwYXNz",
    "basic dXNlcjpwYXNz",
    "https://user:pass@host",
    "-----BEGIN RSA PRIVATE KEY-----",
    *(f"{kind}-{'a' * 20}" for kind in ("sk", "pk", "rk")),
    *(f"{kind}_{mode}_{'a' * 20}" for kind in ("sk", "pk", "rk") for mode in ("live", "test")),
    *(f"gh{kind}_{'a' * 20}" for kind in "opsur"),
    f"github_pat_{'a' * 20}",
    f"glpat-{'a' * 20}",
    *(f"xox{kind}-{'1' * 12}" for kind in "abeoprs"),
    *(f"A{kind}{'A' * 16}" for kind in ("KIA", "SIA")),
    f"AIza{'a' * 30}",
]


@pytest.mark.parametrize("example", _EXAMPLES)
def test_every_shape_is_looked_for(example: str) -> None:
    assert SHAPES.search(example)
    assert may_have_shape(example)


@given(st.lists(st.sampled_from([*_EXAMPLES, "a", " ", ".", "/", "@", "_", "-", "eyJ", "gh", "words"]), max_size=6).map("".join))
def test_nothing_is_found_where_it_says_that_nothing_is(text: str) -> None:
    assert may_have_shape(text) or not SHAPES.search(text)


def test_ordinary_text_is_not_searched() -> None:
    assert not may_have_shape('2["message",{"text":"right, that ought to be enough","n":[1,2,3]}]')
