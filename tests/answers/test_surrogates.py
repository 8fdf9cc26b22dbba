"""Mending characters that were cut in two: laws, at every cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_answers.surrogates import Mender, has_halves, mend

HIGH, LOW = "\ud83d", "\ude00"
ANY = st.text(st.one_of(st.sampled_from(["a", "é", HIGH, LOW, "\U0001f600"]), st.characters(categories=["Cs"]), st.characters()), max_size=12)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é😀", "é😀"),
        (HIGH + LOW, "😀"),
        (f"a{HIGH}{LOW}b", "a😀b"),
        (HIGH, "\ufffd"),
        (LOW, "\ufffd"),
        (LOW + HIGH, "\ufffd\ufffd"),
        (HIGH + HIGH + LOW, "\ufffd😀"),
    ],
    ids=ascii,
)
def test_halves_find_each_other_or_are_replaced(text: str, whole: str) -> None:
    assert mend(text) == whole
    assert has_halves(text) is (text != whole)


@given(ANY)
def test_mended_text_can_be_written_and_mending_it_again_changes_nothing(text: str) -> None:
    whole = mend(text)
    assert whole.encode().decode() == whole
    assert mend(whole) == whole


@given(text=ANY)
def test_text_that_is_whole_stays(text: str) -> None:
    assert has_halves(text) or mend(text) == text


@given(text=ANY, data=st.data())
def test_cuts_change_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    mender = Mender()
    told = [mender.feed(piece) for piece in pieces]
    assert not any(has_halves(piece) for piece in told)
    assert "".join(told) + mender.end() == mend(text)
    assert mender.half == ""


@given(st.lists(ANY, max_size=6))
def test_at_most_one_half_is_held_back(pieces: list[str]) -> None:
    mender = Mender()
    sizes = [(len(piece), len(mender.feed(piece).encode("utf-16-le")) // 2) for piece in pieces]
    units = sum(len(piece.encode("utf-16-le", "surrogatepass")) // 2 for piece in pieces)
    assert units - sum(told for _, told in sizes) == len(mender.half)


def test_what_is_whole_already_is_not_copied() -> None:
    text = "plain and 😀"
    assert Mender().feed(text) is text


def test_a_half_waits_for_the_next_text_however_many_empty_ones_come() -> None:
    mender = Mender()
    assert (mender.feed("a" + HIGH), bool(mender.half)) == ("a", True)
    assert (mender.feed(""), mender.feed(""), bool(mender.half)) == ("", "", True)
    assert (mender.feed(LOW + "b"), bool(mender.half)) == ("😀b", False)
    assert mender.end() == ""
