"""Thoughts told from the answer: tags that are cut anywhere, texts that are rewritten, and what cannot be taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perplexity_labs import AnswerReader, Citations, Finish, Part, ReasoningDelta, ServiceError, TextDelta, TextReset

NAME = "r1-1776_query_progress"


def read(*outputs: str, final: bool = True) -> list[Part]:
    reader = AnswerReader(split_reasoning=True)
    parts = [part for output in outputs for part in reader.receive(NAME, ({"output": output},))]
    return parts + (reader.receive(NAME, ({"final": True},)) if final else [])


def sums(parts: list[Part]) -> tuple[str, str]:
    """The thoughts and the text that the parts add up to."""
    thought = text = ""
    for part in parts:
        match part:
            case ReasoningDelta(news):
                assert news
                thought += news
            case TextDelta(news):
                assert news
                text += news
            case TextReset(whole):
                assert not whole.startswith(text)
                text = whole
    return thought, text


WHOLE = "<think>\nIs it 4?\nYes < 5.\n</think>\n\n2 + 2 is <think>4</think>."


def test_a_thought_comes_before_the_answer() -> None:
    assert read("<think>\nhm", "<think>\nhm, well", "<think>\nhm, well\n</think>\n\nyes", "<think>\nhm, well\n</think>\n\nyes!") == [
        ReasoningDelta("hm"),
        ReasoningDelta(", well"),
        TextDelta("yes"),
        TextDelta("!"),
        Finish(),
    ]


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_tags_may_be_cut_anywhere(cut: int) -> None:
    assert sums(read(WHOLE[:cut], WHOLE)) == ("Is it 4?\nYes < 5.", "2 + 2 is <think>4</think>.")


def test_tags_may_come_letter_by_letter() -> None:
    parts = read(*(WHOLE[:cut] for cut in range(len(WHOLE) + 1)))
    assert sums(parts) == ("Is it 4?\nYes < 5.", "2 + 2 is <think>4</think>.")
    assert not [part for part in parts if isinstance(part, TextReset)]
    assert parts[-1] == Finish()


def test_without_being_asked_nothing_is_split() -> None:
    reader = AnswerReader()
    assert reader.receive(NAME, ({"output": "<think>a</think>b"},)) == [TextDelta("<think>a</think>b")]
    assert (reader.text, reader.reasoning) == ("<think>a</think>b", "")


@pytest.mark.parametrize(
    ("outputs", "parts"),
    [
        # A thought that never ends, and one that only seemed to begin.
        (["<think>hm"], [ReasoningDelta("hm")]),
        (["<thi"], [TextDelta("<thi")]),
        (["<thi", "<this>"], [TextDelta("<this>")]),
        ([" \n"], [TextDelta(" \n")]),
        # The text behind a thought is rewritten: the thought stays.
        (["<think>a</think>one", "<think>a</think>two"], [ReasoningDelta("a"), TextDelta("one"), TextReset("two")]),
        # The thought is taken out at the end, or cut short: it was told.
        (["<think>a</think>one", "one"], [ReasoningDelta("a"), TextDelta("one")]),
        (["<think>abc", "<think>a</think>one"], [ReasoningDelta("abc"), TextDelta("one")]),
        (["<think>abc", "<think>a", "<think>abcd"], [ReasoningDelta("abc"), ReasoningDelta("d")]),
        # Another thought is told behind the first.
        (
            ["<think>abc", "<think>xyz", "<think>xyz!</think>one"],
            [ReasoningDelta("abc"), ReasoningDelta("\n\nxyz"), ReasoningDelta("!"), TextDelta("one")],
        ),
        # Everything is replaced, thought and text, in both directions.
        (["<think>a</think>one", "<think>b</think>two"], [ReasoningDelta("a"), TextDelta("one"), ReasoningDelta("\n\nb"), TextReset("two")]),
        (["one", "<think>b</think>two"], [TextDelta("one"), ReasoningDelta("b"), TextReset("two")]),
        (["one", "<th", "<think>b"], [TextDelta("one"), TextReset(""), ReasoningDelta("b")]),
        (["one", ""], [TextDelta("one"), TextReset("")]),
        # Half a character at the end of a thought, and one that stays half.
        (["<think>\ud83d", "<think>\ud83d\ude00"], [ReasoningDelta("😀")]),
        (["<think>\ud83d"], [ReasoningDelta("\ufffd")]),
    ],
)
def test_rewritten_thoughts_and_texts(outputs: list[str], parts: list[Part]) -> None:
    assert read(*outputs) == [*parts, Finish()]


def test_what_is_held_back_is_told_with_the_last_reply() -> None:
    reader = AnswerReader(split_reasoning=True)
    assert reader.receive(NAME, ({"output": "<th", "citations": ["https://a"]},)) == [Citations(("https://a",))]
    assert reader.receive(NAME, ({"output": "<thi", "final": True},)) == [TextDelta("<thi"), Finish()]


def test_the_partial_text_of_a_failure_has_no_thoughts() -> None:
    reader = AnswerReader(split_reasoning=True)
    reader.receive(NAME, ({"output": "<think>hm</think>so far"},))
    with pytest.raises(ServiceError) as caught:
        reader.receive(NAME, ({"status": "failed", "text": "no"},))
    assert (caught.value.partial, reader.reasoning) == ("so far", "hm")


PIECES = st.sampled_from(["<think>", "</think>", "<", "think", " ", "\n", " " * 70, "a", "b", "\ud83d", "\ude00"])
OUTPUTS = st.lists(PIECES, max_size=8).map("".join)


@given(OUTPUTS, st.lists(st.integers(0, 100), max_size=6).map(sorted))
def test_however_an_output_grows_the_parts_are_the_same(output: str, cuts: list[int]) -> None:
    parts = read(*(output[:cut] for cut in cuts), output)
    assert sums(parts) == sums(read(output))
    assert not [part for part in parts if isinstance(part, TextReset)]


@given(st.lists(OUTPUTS, max_size=6), OUTPUTS)
def test_whatever_was_rewritten_the_text_is_that_of_the_last_output_and_its_thought_was_told(before: list[str], output: str) -> None:
    thoughts, text = sums(read(*before, output))
    thought, expected = sums(read(output))
    assert text == expected
    assert thought in thoughts
    assert not any("\ud800" <= letter <= "\udfff" for letter in thoughts + text)
