"""JSON for what JSON has no word for: there and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from engineio_lite.capture.values import from_json, to_json, write_json
from engineio_lite.strictjson import decode_json

_names = st.text(max_size=3) | st.sampled_from(["$bin", "$esc", "$", "$float", "a"])
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(timezones=st.just(UTC))
)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3), max_leaves=8)


@given(_values)
def test_any_value_survives_the_line(value: object) -> None:
    text = write_json(to_json(value))
    assert text.encode().decode() == text
    assert from_json(decode_json(text, max_depth=100, max_integer_digits=100)) == value


def test_the_words_for_what_json_lacks() -> None:
    assert to_json((b"\0\1\2", {"$bin": 1})) == [{"$bin": "AAEC"}, {"$esc": {"$bin": 1}}]
    assert to_json([math.inf, -math.inf]) == [{"$float": "Infinity"}, {"$float": "-Infinity"}]
    assert to_json(datetime(2026, 11, 20, 20, 15, tzinfo=UTC)) == {"$date": "2026-11-20T20:15:00Z"}
    assert to_json(Ext(5, b"\0")) == {"$ext": 5, "data": "AA=="}
    assert from_json({"$ext": 5, "data": "AA=="}) == Ext(5, b"\0")
    nan = from_json(to_json(math.nan))
    assert isinstance(nan, float)
    assert math.isnan(nan)


def test_what_no_packet_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="no packet holds a set"):
        to_json({1})


@pytest.mark.parametrize(
    "value", [{"$bin": "?"}, {"$bin": "AA==", "x": 1}, {"$new": 1}, {"$float": "1"}, {"$date": "soon"}, {"$esc": 1}, {"$ext": "5", "data": ""}]
)
def test_an_unknown_word_is_an_error(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of the standard library for some
        from_json(value)


def test_only_a_lone_surrogate_makes_a_line_ascii() -> None:
    assert write_json({"a": "é"}) == '{"a": "é"}'
    assert write_json({"a": "é", "b": "\ud800"}) == '{"a": "\\u00e9", "b": "\\ud800"}'
