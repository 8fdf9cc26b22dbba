"""Splitting thoughts off a text: what counts as one, at every cut, holding back little and taking linear time."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_answers import ReasoningDelta, TextDelta, ThinkSplitter
from chat_answers.reasoning import CLOSING, MAX_BLANK, OPENING

BLANKS = " " * (MAX_BLANK + 1)
CASES = {
    "no thought": ("Hello", "", "Hello"),
    "nothing": ("", "", ""),
    "a thought": ("<think>Hm.</think>Hello", "Hm.", "Hello"),
    "the frame of blanks is dropped": ("\n<think>\n Hm. \n</think>\n\nHello\n", "Hm.", "Hello\n"),
    "only a thought": ("<think>Hm.</think>", "Hm.", ""),
    "an empty thought": ("<think>\n\n</think>\n\nHello", "", "Hello"),
    "a thought that never ends": ("<think>Hm. ", "Hm.", ""),
    "a thought that never ends and ends in half a tag": ("<think>Hm. </thi", "Hm. </thi", ""),
    "a thought of nothing that never ends": ("<think> \n", "", ""),
    "half an opening tag": ("<thi", "", "<thi"),
    "blanks before half an opening tag": (" \n<thi", "", " \n<thi"),
    "only blanks": (" \n", "", " \n"),
    "something like an opening tag": ("<thin>Hm.</thin>", "", "<thin>Hm.</thin>"),
    "a tag later in the text is text": ("Say <think>x</think>", "", "Say <think>x</think>"),
    "a second thought is text": ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    "something like a closing tag": ("<think>a</thin></ think><</think>b", "a</thin></ think><", "b"),
    "a tag in a thought": ("<think><think>a</think>b", "<think>a", "b"),
    "blanks in a thought stay": ("<think>a  b\n\nc</think>d", "a  b\n\nc", "d"),
    "a closing tag alone is text": ("</think>a", "", "</think>a"),
    "more blanks than a frame has, before": (f"{BLANKS}<think>a</think>", "", f"{BLANKS}<think>a</think>"),
    "more blanks than a frame has, at the end of a thought": (f"<think>a{BLANKS}</think>b", "a ", "b"),
}


def split(pieces: Iterable[str], index: int = 0) -> list[TextDelta | ReasoningDelta]:
    splitter = ThinkSplitter(index)
    parts = [part for piece in pieces for part in splitter.split(piece)]
    return [*parts, *splitter.end()]


def summed(parts: Iterable[TextDelta | ReasoningDelta]) -> tuple[str, str]:
    parts = list(parts)
    assert all(part.text for part in parts), "a delta is empty"
    kinds = [type(part) for part in parts]
    assert sorted(kinds, key=(ReasoningDelta, TextDelta).index) == kinds, "a thought after the text"
    thought = "".join(part.text for part in parts if isinstance(part, ReasoningDelta))
    return thought, "".join(part.text for part in parts if isinstance(part, TextDelta))


@pytest.mark.parametrize(("text", "thought", "said"), CASES.values(), ids=CASES)
def test_a_text_at_every_cut(text: str, thought: str, said: str) -> None:
    assert summed(split([text])) == (thought, said)
    assert summed(split(text)) == (thought, said)
    for cut in range(len(text) + 1):
        assert summed(split([text[:cut], text[cut:]])) == (thought, said), cut


FRAGMENTS = st.sampled_from(["<think>", "</think>", "<", "</", "think>", " ", "\n", BLANKS, "a", "é", "😀", "<thi", "nk>"])


@given(fragments=st.lists(FRAGMENTS, max_size=12), data=st.data())
def test_cuts_change_nothing(fragments: list[str], data: st.DataObject) -> None:
    text = "".join(fragments)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert summed(split(pieces)) == summed(split([text]))


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_nothing_is_lost_but_the_tags_and_the_blanks_around_them(text: str) -> None:
    thought, said = summed(split([text]))
    if not text.lstrip().startswith(OPENING):
        assert (thought, said) == ("", text)
    kept = (thought + said).replace(" ", "").replace("\n", "")
    bare = text.replace(" ", "").replace("\n", "")
    assert kept in (bare, bare.removeprefix(OPENING), bare.removeprefix(OPENING).replace(CLOSING, "", 1))


@given(st.lists(FRAGMENTS, max_size=30))
def test_little_is_held_back(pieces: list[str]) -> None:
    splitter = ThinkSplitter()
    for piece in pieces:
        list(splitter.split(piece))
        assert len(splitter._held) < MAX_BLANK + len(CLOSING)


def test_parts_have_the_index_of_their_answer() -> None:
    assert split(["<think>a</think>b", "c"], index=3) == [ReasoningDelta("a", 3), TextDelta("b", 3), TextDelta("c", 3)]
    assert split(["<thi"], index=3) == [TextDelta("<thi", 3)]
    assert split(["<think>a</"], index=3) == [ReasoningDelta("a", 3), ReasoningDelta("</", 3)]


def test_text_is_told_as_it_comes() -> None:
    splitter = ThinkSplitter()
    assert list(splitter.split("<think>Well")) == [ReasoningDelta("Well")]
    assert list(splitter.split(", </th")) == [ReasoningDelta(",")]
    assert list(splitter.split("ink>\n")) == []
    assert list(splitter.split("Hi")) == [TextDelta("Hi")]
    assert list(splitter.split("!")) == [TextDelta("!")]
    assert list(splitter.split("")) == list(splitter.end()) == []
