"""Laws of the reader: for any data only its own errors, the short cut tells what the long way does, and cuts change nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_answers import Citations, Collector, Completion, Finish, Part, RawChunk, ReasoningDelta, ResponseError, TextDelta, Usage
from tests.sse.streams import DONE, Event, Source, chunk, complete, event, finished, play, said, tell
from tests.sse.streams import choice as answer
from ylokh_sse.completions import CompletionReader
from ylokh_sse.exceptions import TooLarge

# ------------------------------------------------------------------------------------------------------------------------------------ anything

WORDS = st.sampled_from(
    ["", "a", "<think>", "</think>", "\ud83d", "\ude00", "stop", "error", "chat.completion.chunk", "chat.completion.done", "0", "é😀"]
)
ATOMS = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(allow_nan=False), WORDS)
WHOLE_CHUNK = ["choices", "usage", "citations", "search_results", "error", "object", "index", "delta", "message", "text", "finish_reason"]
DELTA = ["content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call", "id", "function", "name", "arguments", "type"]
NAMES = st.sampled_from([*WHOLE_CHUNK, *DELTA, "prompt_tokens", "detail", "code", "param", "url"])
VALUES = st.recursive(ATOMS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)), max_leaves=12)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(usual, usual, usual, VALUES)


FUNCTIONS = some(name=mostly(WORDS), arguments=mostly(WORDS))
CALLS = some(index=mostly(st.integers(0, 2)), id=mostly(WORDS), function=mostly(FUNCTIONS))
DELTAS = some(
    role=ATOMS,
    content=mostly(WORDS),
    reasoning=mostly(st.none()),
    reasoning_content=mostly(st.none()),
    refusal=mostly(st.none()),
    tool_calls=mostly(st.lists(CALLS, max_size=2)),
    function_call=mostly(st.none()),
)
CHOICES = some(
    index=mostly(st.integers(0, 2)),
    delta=mostly(DELTAS),
    message=mostly(st.none()),
    finish_reason=mostly(st.none()),
    text=mostly(st.none()),
    error=mostly(st.none()),
    logprobs=ATOMS,
)
CHUNKS = some(
    object=mostly(st.just("chat.completion.chunk")),
    choices=mostly(st.lists(CHOICES, min_size=1, max_size=2)),
    usage=mostly(st.none()),
    citations=mostly(st.none()),
    search_results=mostly(st.none()),
    error=mostly(st.none()),
    id=VALUES,
)
COMMON = st.builds(lambda text, index: chunk(answer(content=text, index=index)), WORDS, st.integers(0, 1))
DATA = st.one_of(COMMON, CHUNKS, VALUES).map(json.dumps) | st.text(max_size=20) | st.just(DONE)
EVENTS = st.builds(Event, DATA, st.sampled_from(["message", "message", "message", "ping", "error", "delta"]))


def check(parts: list[Part]) -> None:
    """What every answer keeps to."""
    ended = set()
    for part in parts:
        msgspec.json.encode(part)  # which half a character cannot be
        if isinstance(part, TextDelta | ReasoningDelta):
            assert part.text, "a delta is empty"
        if not isinstance(part, Citations | Usage | RawChunk):
            assert part.index not in ended, "something after the end"
        if isinstance(part, Finish):
            ended.add(part.index)
    assert Usage not in map(type, parts[:-1])


@given(events=st.lists(EVENTS, max_size=5), split=st.booleans(), lenient=st.booleans(), dropped=st.booleans())
def test_only_our_own_errors_and_the_same_with_and_without_the_short_cut(events: list[Event], split: bool, lenient: bool, dropped: bool) -> None:
    told = play(events, dropped=dropped, split_reasoning=split, lenient=lenient)
    check(told.parts)
    assert told.error is None or told.error.partial == told.reader.text
    if told.error is None:
        assert told.reader.text == Collector(told.parts).text


@given(chunks=st.lists(st.one_of(COMMON, COMMON, CHUNKS), max_size=4), limit=st.integers(1, 12))
def test_limits_hold_with_and_without_the_short_cut(chunks: list[Source], limit: int) -> None:
    told = play(chunks, max_answer_characters=limit, lenient=True)
    assert told.error is None or not isinstance(told.error, TooLarge) or len(told.error.partial) <= limit


@given(body=st.one_of(CHUNKS, VALUES), split=st.booleans())
def test_only_our_own_errors_for_what_came_at_once(body: Any, split: bool) -> None:
    reader = CompletionReader(split_reasoning=split)
    parts: list[Part] = []
    with suppress(ResponseError):
        parts = reader.read_whole(body)
    check([part for part in parts if not isinstance(part, RawChunk)])
    assert reader.end() == []


@given(st.lists(EVENTS, max_size=4))
def test_raw_chunks_are_what_was_sent(events: list[Event]) -> None:
    reader = CompletionReader(raw_chunks=True, lenient=True)
    for one in events:
        parts: list[Part] = []
        with suppress(ResponseError):
            parts = reader.receive(one)
        for part in parts:
            if isinstance(part, RawChunk):
                assert json.dumps(part.data) == json.dumps(json.loads(one.data))
        assert not any(isinstance(part, RawChunk) for part in parts[1:])


# ---------------------------------------------------------------------------------------------------------------------------------- well-formed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(st.integers(0, 2), TEXT, TEXT), max_size=12))
def test_the_text_is_that_of_all_chunks(said: list[tuple[int, str, str]]) -> None:
    sources = [chunk(answer(content=text, index=index, reasoning_content=thought)) for index, text, thought in said]
    begin = [chunk(*(answer(role="assistant", index=index) for index in range(3)))]
    end = [chunk(*(answer("stop", index=index) for index in range(3)))]
    completion = complete(*begin, *sources, *end)
    for index in range(3):
        assert completion.choices[index].text == "".join(text for at, text, _ in said if at == index)
        assert completion.choices[index].reasoning == "".join(thought for at, _, thought in said if at == index)


PIECES = st.sampled_from(["<think>", "</think>", " ", "\n", "a", "é", "😀", "🤡", "<", "thi"])


def cut(text: str, at: list[int]) -> list[str]:
    """Cut a text between any two of its UTF-16 units, as JavaScript does."""
    units = text.encode("utf-16-le")
    places = [0, *(2 * place for place in at), len(units)]
    return [units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(places)]


@given(text=st.lists(PIECES, max_size=10).map("".join), split=st.booleans(), data=st.data())
def test_cuts_change_nothing(text: str, split: bool, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(text.encode("utf-16-le")) // 2), max_size=8))
    streamed = complete(*map(said, cut(text, sorted(cuts))), finished(), DONE, split_reasoning=split)
    assert streamed == at_once(text, split)
    assert split or streamed.text == text


def at_once(text: str, split: bool) -> Completion:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    parts = CompletionReader(split_reasoning=split).read_whole(body)
    return Collector(part for part in parts if not isinstance(part, RawChunk)).completion()


@given(text=st.lists(PIECES, max_size=10).map("".join), split=st.booleans(), data=st.data())
def test_saying_everything_again_changes_nothing(text: str, split: bool, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(text.encode("utf-16-le")) // 2), max_size=4))
    again = {"object": "chat.completion.done", "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]}
    parts = tell(*map(said, cut(text, sorted(cuts))), again, DONE, split_reasoning=split)
    assert Collector(parts).completion() == at_once(text, split)
    assert not any(type(part).__name__ == "TextReset" for part in parts)


# --------------------------------------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize("kind", ["chat.completion.chunk", "chat.completion"])
def test_a_long_answer_is_kept_in_as_many_characters(kind: str) -> None:
    """A service that repeats everything again and again makes no more of it."""
    reader = CompletionReader(max_answer_characters=20_000)
    for _ in range(1000):
        reader.receive(event(said("0123456789")))
        reader.receive(event({"object": kind, "choices": [{"index": 0, "message": {"content": ""}}]}))
    assert len(reader.text) == 10_000
