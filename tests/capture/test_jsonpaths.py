"""JSON is compared as JSON means it, and every place where two values differ has a path that leads there."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.msgpack import Ext

from engineio_lite.capture.jsonpaths import MAX_SHOWN, Difference, Every, Path, PathError, canonical, differences, format_path, parse_path, show_value

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_infinity=False) | st.text(max_size=6) | st.binary(max_size=4)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=12)
_steps = st.lists(st.text(max_size=6) | st.integers(0, 10**15) | st.just(Every.CHILD), max_size=5).map(tuple)

# --- What is the same.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0, -0.0),
        (float("nan"), float("nan")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, [2.0, {"a": None}]], [1.0, [2, {"a": None}]]),
        ([1, 2], (1, 2)),
        (b"\x00", b"\x00"),
        (UNSET, UNSET),
    ],
)
def test_what_json_takes_for_the_same_is_the_same(one: object, other: object) -> None:
    assert differences(one, other) == differences(other, one) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        (True, "true"),
        (1, "1"),
        (None, 0),
        (None, UNSET),
        ("a", b"a"),
        ([], {}),
        (2**53, 2**53 + 1),
        (float("nan"), 1),
        ("", None),
    ],
)
def test_what_json_tells_apart_differs(one: object, other: object) -> None:
    assert differences(one, other) == [Difference("$", one, other)]
    assert differences(other, one) == [Difference("$", other, one)]


@given(_values)
def test_every_value_is_like_itself(value: object) -> None:
    assert differences(value, value) == []


@given(_values, _values)
def test_whether_two_values_differ_does_not_depend_on_who_asks(one: object, other: object) -> None:
    there = {(path, repr(expected), repr(got)) for path, expected, got in differences(one, other)}
    back = {(path, repr(expected), repr(got)) for path, got, expected in differences(other, one)}
    assert there == back


@given(_values, _values)
def test_a_path_leads_to_what_differs_there(one: object, other: object) -> None:
    for path, expected, got in differences(one, other):
        assert repr(_follow(one, parse_path(path))) == repr(expected)
        assert repr(_follow(other, parse_path(path))) == repr(got)


@given(_values, _values)
def test_ignoring_every_difference_leaves_none(one: object, other: object) -> None:
    assert differences(one, other, ignore=[difference.path for difference in differences(one, other)]) == []


def _follow(value: object, steps: Path) -> object:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, UNSET)
        else:
            assert isinstance(value, list)
            assert isinstance(step, int)
            value = value[step] if step < len(value) else UNSET
    return value


# --- Where it differs.


def test_differences_come_in_the_order_of_what_was_expected_then_what_is_too_much() -> None:
    expected = ["labs", {"version": "2.18", "gone": 1, "messages": [{"id": "a"}, {"id": "b"}]}]
    got = ["labs", {"more": 2, "messages": [{"id": "x"}, {"id": "b"}, "third"], "version": "2.13"}]
    assert differences(expected, got) == [
        ("$[1].version", "2.18", "2.13"),
        ("$[1].gone", 1, UNSET),
        ("$[1].messages[0].id", "a", "x"),
        ("$[1].messages[2]", UNSET, "third"),
        ("$[1].more", UNSET, 2),
    ]


def test_the_deepest_value_costs_no_stack() -> None:
    one, other = "a", "b"
    for _ in range(20_000):
        one, other = [one], [other]  # type: ignore[assignment]
    [(path, expected, got)] = differences(one, other)
    assert (path, expected, got) == ("$" + "[0]" * 20_000, "a", "b")


# --- What is ignored.


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$", []),
        ("$[*]", []),
        ("$[1]", ["$[0]"]),
        ("$[1].*", ["$[0]"]),
        ("$[1].messages", ["$[0]", '$[1]["b c"]']),
        ("$[1].messages[*].id", ["$[0]", "$[1].messages[1].text", '$[1]["b c"]']),
        ("$[1].messages[0].id", ["$[0]", "$[1].messages[1].id", "$[1].messages[1].text", '$[1]["b c"]']),
        ('$[1]["b c"]', ["$[0]", "$[1].messages[0].id", "$[1].messages[1].id", "$[1].messages[1].text"]),
        ("$[1].messages[*].id.deeper", ["$[0]", "$[1].messages[0].id", "$[1].messages[1].id", "$[1].messages[1].text", '$[1]["b c"]']),
        ('$["1"]', ["$[0]", "$[1].messages[0].id", "$[1].messages[1].id", "$[1].messages[1].text", '$[1]["b c"]']),
    ],
)
def test_what_is_below_an_ignored_path_does_not_count(path: str, left: list[str]) -> None:
    expected = ["a", {"messages": [{"id": 1, "text": "t"}, {"id": 2, "text": "u"}], "b c": 1}]
    got = ["b", {"messages": [{"id": 3, "text": "t"}, {"text": "v"}], "b c": 2}]
    assert [difference.path for difference in differences(expected, got, ignore=[path])] == left
    assert [difference.path for difference in differences(expected, got, ignore=[parse_path(path)])] == left


def test_several_paths_may_be_ignored() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 0, "b": 0, "c": 0}, ignore=["$.a", "$.c"]) == [("$.b", 2, 0)]


# --- Looking a value up.


def _numbers_mixed(value: object) -> object:
    """A value that is the same and looks different: keys the other way round, integers as floats."""
    match value:
        case dict():
            return {name: _numbers_mixed(item) for name, item in reversed(value.items())}
        case list():
            return tuple(map(_numbers_mixed, value))
        case int() if not isinstance(value, bool) and abs(value) < 2**53:
            return float(value)
        case _:
            return value


@given(_values)
def test_values_that_are_the_same_have_one_text(value: object) -> None:
    assert canonical(value) == canonical(_numbers_mixed(value))


_WITH_LIKES = st.lists(
    st.sampled_from([None, True, 1, 1.0, "1", b"1", 0, -0.0, False, "", [], {}, [1], {"a": 1}, Ext(1, b"1"), Ext(1, b"2")]), max_size=2
)


@given(_WITH_LIKES, _WITH_LIKES, st.sampled_from([(), ("$[0]",), ("$[1]",), ("$[*].a",), ("$",)]))
def test_values_have_one_text_if_and_only_if_nothing_differs(one: object, other: object, ignore: tuple[str, ...]) -> None:
    assert (canonical(one, ignore) == canonical(other, ignore)) == (differences(one, other, ignore) == [])


# --- Paths as text.


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$[1].a", (1, "a")),
        ('$["b c"][0][*]', ("b c", 0, Every.CHILD)),
        ('$["a\\"\\u00e9\\n"]', ('a"é\n',)),
        ("$.related-queries.$x", ("related-queries", "$x")),
        ('$["é"]["0"][""]', ("é", "0", "")),
        ('$["*"]', ("*",)),
    ],
)
def test_a_path_is_read_and_written(text: str, steps: Path) -> None:
    assert parse_path(text) == steps
    assert parse_path(format_path(steps)) == steps


def test_paths_are_written_in_one_way() -> None:
    assert format_path(parse_path('$["a"].*[*]["b c"].é[10]')) == '$.a[*][*]["b c"]["é"][10]'


@given(_steps)
def test_every_path_survives_being_written(steps: Path) -> None:
    assert parse_path(format_path(steps)) == steps


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("a.b", 0),
        ("$a", 1),
        ("$.", 1),
        ("$.a..b", 3),
        ("$[01]", 1),
        ("$[-1]", 1),
        ("$[1", 1),
        ("$.a['b']", 3),
        ('$["a]', 1),
        ('$["\\x"]', 2),
        ("$ [1]", 1),
        ("$[99999999999999999]", 1),
    ],
)
def test_what_is_no_path_is_refused_where_it_stops_to_be_one(text: str, position: int) -> None:
    with pytest.raises(PathError, match=r"expected a path such as \$\[1\]") as caught:
        parse_path(text)
    assert (caught.value.path, caught.value.position) == (text, position)
    with pytest.raises(PathError):
        differences(1, 2, ignore=[text])


# --- In words.


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Difference("$[1].version", "2.18", "2.13"), '$[1].version: "2.18" != "2.13"'),
        (Difference("$[1]", UNSET, {"a": [None, True]}), '$[1]: nothing != {"a":[null,true]}'),
        (Difference("$", b"\x01\x02", b""), "$: ‹2 bytes 0102› != ‹0 bytes›"),
        (Difference("$", bytes(9), 1), "$: ‹9 bytes 0000000000000000…› != 1"),
        (Difference("$", [b"\xff"], 1), "$: [‹1 byte ff›] != 1"),
        (Difference("$", Ext(5, b"x"), [datetime(2026, 11, 20, tzinfo=UTC)]), "$: ‹extension 5, 1 byte 78› != [‹2026-11-20T00:00:00+00:00›]"),
        (Difference("$", "x" * 100 + "a", "x" * 100 + "b"), '$: "…xxxxxxxxxxxxa" != "…xxxxxxxxxxxxb"'),
        (Difference("$", "x" * 100, "x" * 100 + "b"), '$: "…xxxxxxxxxxxx" != "…xxxxxxxxxxxxb"'),
        (Difference("$", "a" * 100, "b"), f'$: "{"a" * (MAX_SHOWN - 2)}… != "b"'),
    ],
)
def test_a_difference_is_one_line(difference: Difference, said: str) -> None:
    assert str(difference) == said


def test_a_value_is_cut_to_its_limit() -> None:
    assert show_value(list(range(100)), 10) == "[0,1,2,3,…"


def test_nothing_in_a_value_or_a_path_is_invisible() -> None:
    hostile = "é\n\x7f\u202e\u2028\ud800\U000e0041"
    shown = r'"é\n\u007f\u202e\u2028\ud800\udb40\udc41"'
    assert show_value(hostile) == shown
    assert json.loads(shown) == hostile
    assert format_path((hostile,)) == f"$[{shown}]"
    assert parse_path(format_path((hostile,))) == (hostile,)
