"""What stands for secrets, against what the live side says: alone, inside longer texts, several at once, and what is put in again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.replay.placeholders import fill, match_text

KNOWN = {"@sid1": "abc", "<redacted:1>": "secret"}


@pytest.mark.parametrize(
    ("expected", "got", "bound"),
    [
        ("plain", "plain", {}),
        ("plain", "other", None),
        ("@sid1", "abc", {}),
        ("@sid1", "abd", None),
        ("@sid2", "xyz", {"@sid2": "xyz"}),
        ("@sid2", "", None),
        ("<redacted>", "anything", {}),
        ("<redacted:8f3a>", "x", {"<redacted:8f3a>": "x"}),
        ("@sid10", "x", {"@sid10": "x"}),
        ("a @sid1 and @sid2.", "a abc and x.", {"@sid2": "x"}),
        ("a @sid1 and @sid2.", "a abd and x.", None),
        ("@sid2-@sid2", "a-b-a-b", {"@sid2": "a-b"}),
        ("@sid2-@sid2", "a-b", None),
        ("@sid2-@sid2", "a--b", None),
        ("x@sid2", "x", None),
        ("x@sid2", "yz", None),
        ("@sid2/@pid2", "a/b/c", {"@sid2": "a", "@pid2": "b/c"}),
        ("@sid2/@pid2x", "a/bxx", {"@sid2": "a", "@pid2": "bx"}),
        ("@sid2/@pid2x", "a/by", None),
        ("@sid2/@pid2x", "a/x", None),
        ("@sid2/@pid2", "a/", None),
        ("@sid2/@pid2", "ab", None),
        ("-@sid2/@pid2", "+a/b", None),
        ("@sid2@pid2", "ab", {"@sid2": "a", "@pid2": "b"}),
        ("@sid2@pid2", "a", None),
        ("@sid2/@pid2/@sid2", "a/b/a", {"@sid2": "a", "@pid2": "b"}),
        ("@sid2/@pid2/@sid2", "a/b/c", None),
        ("<redacted>/<redacted>", "a/b", {}),
        ("<redacted>/<redacted>", "a/", None),
    ],
)
def test_texts(expected: str, got: str, bound: dict[str, str] | None) -> None:
    assert match_text(expected, got, KNOWN) == bound


_texts = st.text("ab/@s", max_size=6)


@given(
    st.lists(st.one_of(_texts, st.sampled_from(["@sid2", "@pid2", "<redacted:2>", "@sid1"])), max_size=8).map("".join), st.text("ab/c", max_size=12)
)
def test_what_matches_is_what_would_be_sent(expected: str, got: str) -> None:
    bound = match_text(expected, got, KNOWN)
    if bound is not None:
        assert fill(expected, {**KNOWN, **bound}) == got


@given(st.dictionaries(st.sampled_from(["@sid2", "<redacted:2>"]), st.text("ab/", min_size=1, max_size=5), min_size=1, max_size=1), _texts, _texts)
def test_one_secret_is_always_found(bound: dict[str, str], before: str, after: str) -> None:
    [name] = bound
    expected = f"{before} {name} {after} {name}"
    assert match_text(expected, str(fill(expected, bound)), {}) == bound


def test_values_are_filled_to_any_depth_and_keys_are_not() -> None:
    value = {"@sid1": ["@sid1", {"a": ("x @sid1", b"@sid1", 1, None)}], "n": "<redacted:1>", "u": "@sid9"}
    assert fill(value, KNOWN) == {"@sid1": ["abc", {"a": ["x abc", b"@sid1", 1, None]}], "n": "secret", "u": "@sid9"}
