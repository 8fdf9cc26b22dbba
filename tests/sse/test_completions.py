"""The streams that are known in the wild, by name, and every part that each of them brings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat_answers import (
    Choice,
    Citations,
    Collector,
    Finish,
    Part,
    RawChunk,
    ReasoningDelta,
    ResponseError,
    TextDelta,
    TextReset,
    TruncatedAnswer,
    UnexpectedResponse,
    Usage,
)
from tests.sse.streams import DONE, Event, Source, chunk, complete, event, fail, finished, named, play, said, tell
from tests.sse.streams import choice as answer
from ylokh_sse.completions import MAX_ANSWERS, CompletionReader
from ylokh_sse.exceptions import BadJSON, EmptyResponse, StreamError, TooLarge

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
COST = Usage(1, 2, 3, USAGE)
HI: list[Part] = [TextDelta("Hi"), Finish()]
END: list[Source] = [finished(), DONE]


def whole(content: object, kind: str = "chat.completion.done", *, delta: dict[str, Any] | None = None, **message: object) -> dict[str, Any]:
    given = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
    return chunk(given if delta is None else given | {"delta": delta}, object=kind)


# ----------------------------------------------------------------------------------------------------------------------------------- the contents

STREAMS: dict[str, tuple[list[Source], list[Part]]] = {
    "role first, with empty content": ([chunk(answer(role="assistant", content="")), said("Hi"), *END], HI),
    "role first, without content": ([chunk(answer(role="assistant")), said("Hi"), *END], HI),
    "role first, with refusal null": ([chunk(answer(role="assistant", content="", refusal=None)), said("Hi"), *END], HI),
    "role on each chunk": (
        [chunk(answer(role="assistant", content="H")), chunk(answer(role="assistant", content="i")), *END],
        [TextDelta("H"), TextDelta("i"), Finish()],
    ),
    "content null": ([said(None), said("Hi"), *END], HI),
    "delta empty": ([chunk(answer()), said("Hi"), *END], HI),
    "delta missing": ([chunk({"index": 0}), said("Hi"), *END], HI),
    "delta null": ([chunk({"index": 0, "delta": None}), said("Hi"), *END], HI),
    "a choice that is null": ([chunk(None), said("Hi"), *END], HI),
    "choices null": ([{"choices": None}, said("Hi"), *END], HI),
    "choices empty with prompt_filter_results first (Azure)": ([chunk(prompt_filter_results=[{"prompt_index": 0}]), said("Hi"), *END], HI),
    "a last chunk with the filter's results (Azure)": (
        [said("Hi"), finished("content_filter"), chunk({"index": 0, "finish_reason": None, "content_filter_results": {}}), DONE],
        [TextDelta("Hi"), Finish("content_filter")],
    ),
    "content as a list of parts": (
        [said([{"type": "text", "text": "H"}, "i", {"text": "!"}, {"type": "image_url", "image_url": {"url": "u"}}]), *END],
        [TextDelta("Hi!"), Finish()],
    ),
    "a refusal is text": ([chunk(answer(content=None, refusal="I won't")), *END], [TextDelta("I won't"), Finish()]),
    "text in the choice (completions before chat)": (
        [{"object": "text_completion", "choices": [{"index": 0, "text": "Hi", "finish_reason": None}]}, *END],
        HI,
    ),
    "message instead of delta": (
        [chunk({"index": 0, "message": {"role": "assistant", "content": piece}}) for piece in ("H", "i")] + END,
        [TextDelta("H"), TextDelta("i"), Finish()],
    ),
    "message beside delta repeats everything so far (Perplexity)": (
        [
            chunk({"index": 0, "delta": {"content": "H"}, "message": {"content": "H"}}),
            chunk({"index": 0, "delta": {"content": "i"}, "message": {"content": "Hi"}}),
            *END,
        ],
        [TextDelta("H"), TextDelta("i"), Finish()],
    ),
    "reasoning_content (xAI, DeepSeek)": (
        [chunk(answer(content=None, reasoning_content="Hm.")), said("Hi"), *END],
        [ReasoningDelta("Hm."), *HI],
    ),
    "reasoning (OpenRouter)": ([chunk(answer(content="", reasoning="Hm.")), said("Hi"), *END], [ReasoningDelta("Hm."), *HI]),
    "the same reasoning under both names": (
        [chunk(answer(reasoning_content="Hm.", reasoning="Hm.", content="Hi")), *END],
        [ReasoningDelta("Hm."), *HI],
    ),
    "<think> is text if it is not to be split": ([said("<think>Hm.</think>Hi"), *END], [TextDelta("<think>Hm.</think>Hi"), Finish()]),
    "n = 2, one choice a chunk": (
        [chunk(answer(content="a")), chunk(answer(content="b", index=1)), chunk(answer("length", index=1)), finished(), DONE],
        [TextDelta("a"), TextDelta("b", 1), Finish(), Finish("length", 1)],
    ),
    "n = 2, both in one chunk (litellm)": (
        [chunk(answer(content="a"), answer(content="b", index=1)), chunk(answer("stop"), answer("length", index=1)), DONE],
        [TextDelta("a"), TextDelta("b", 1), Finish(), Finish("length", 1)],
    ),
    "no index: 0, or the place in the list": (
        [chunk(answer(content="a", index=None)), chunk(answer(content="b", index=None), answer(content="c", index=None)), DONE],
        [TextDelta("a"), TextDelta("b"), TextDelta("c", 1), Finish(), Finish("stop", 1)],
    ),
    "an index as text or with a fraction of 0": (
        [chunk({"index": "1", "delta": {"content": "a"}}), chunk({"index": 1.0, "delta": {"content": "b"}}), DONE],
        [TextDelta("a", 1), TextDelta("b", 1), Finish("stop", 1)],
    ),
    "an index beyond 64 bits": ([chunk(answer(content="a", index=2**70)), DONE], [TextDelta("a", 2**70), Finish("stop", 2**70)]),
    "an index that is not the first": ([chunk(answer(content="a", index=5)), DONE], [TextDelta("a", 5), Finish("stop", 5)]),
    "finish_reason once": ([said("Hi"), finished("length"), DONE], [TextDelta("Hi"), Finish("length")]),
    "finish_reason with the last text": ([chunk(answer("stop", content="Hi")), DONE], HI),
    "finish_reason unknown": ([said("Hi"), finished("eos_token"), DONE], [TextDelta("Hi"), Finish("eos_token")]),
    "finish_reason on every chunk: the last word counts": (
        [chunk(answer("stop", content="H")), chunk(answer("length", content="i")), DONE],
        [TextDelta("H"), TextDelta("i"), Finish("length")],
    ),
    "finish_reason empty is none": ([chunk(answer("", content="Hi")), *END], HI),
    "no finish_reason but [DONE]": ([said("Hi"), DONE], HI),
    "nothing said, but [DONE]": ([chunk(answer(role="assistant", content="")), DONE], [Finish()]),
    "[DONE] with blanks, and data after it": ([said("Hi"), finished(), " [DONE] ", said("more"), "no JSON", named("error", "x")], HI),
    "[DONE] under a name of its own": ([said("Hi"), finished(), named("done", DONE)], HI),
    "no [DONE], but finish_reason": ([said("Hi"), finished()], HI),
    "an event without data": ([said("Hi"), Event(""), Event(" "), *END], HI),
    "event: ping": ([named("ping", ""), said("Hi"), named("ping", {"type": "ping"}), named("ping", "2026-01-01"), *END], HI),
    "somebody else's events": ([named("meta", {"id": 1}), named("meta", [1]), named("meta", "null"), said("Hi"), *END], HI),
    "chunks under another name": ([named("completion", said("Hi")), named("completion", finished()), named("completion", DONE)], HI),
    "an error that is null or empty": ([said("Hi", error=None), said("!", error=""), *END], [TextDelta("Hi"), TextDelta("!"), Finish()]),
}


@pytest.mark.parametrize(("sources", "parts"), STREAMS.values(), ids=STREAMS)
def test_contents(sources: list[Source], parts: list[Part]) -> None:
    assert tell(*sources) == parts


USED: dict[str, tuple[list[Source], Usage]] = {
    "with no choices (OpenAI, xAI)": ([said("Hi", usage=None), finished(usage=None), chunk(usage=USAGE), DONE], COST),
    "with an empty delta (litellm)": ([said("Hi"), finished(), chunk(answer(), usage=USAGE), DONE], COST),
    "on the finish chunk (mock-ai-api)": ([said("Hi"), finished(usage=USAGE), DONE], COST),
    "on every chunk, growing (Perplexity)": ([said("Hi", usage=USAGE | {"total_tokens": 2}), finished(usage=USAGE), DONE], COST),
    "followed by an empty one": ([said("Hi", usage=USAGE), finished(usage={}), DONE], COST),
    "with counts that are none": (
        [said("Hi", usage={"prompt_tokens": "1", "completion_tokens": True, "cost": {"total_cost": 0.1}}), *END],
        Usage(None, None, None, {"prompt_tokens": "1", "completion_tokens": True, "cost": {"total_cost": 0.1}}),
    ),
}


@pytest.mark.parametrize(("sources", "usage"), USED.values(), ids=USED)
def test_usage_is_told_once_at_the_end(sources: list[Source], usage: Usage) -> None:
    assert tell(*sources) == [*HI, usage]


@pytest.mark.parametrize("usage", [None, {}, [], "much", 3, True])
def test_usage_that_is_none_is_ignored(usage: object) -> None:
    assert tell(said("Hi", usage=usage), *END) == HI


RESULTS = [{"title": "T", "url": "u"}]
CITED: dict[str, tuple[list[Source], list[Part]]] = {
    "the same list on every chunk": ([said("Hi", citations=["u"]), finished(citations=["u"])], [TextDelta("Hi"), Citations(("u",)), Finish()]),
    "a list that grows": (
        [said("Hi", citations=["u"]), finished(citations=["u", "v"])],
        [TextDelta("Hi"), Citations(("u",)), Citations(("u", "v")), Finish()],
    ),
    "a list that is taken back": (
        [said("Hi", citations=["u"]), finished(citations=[])],
        [TextDelta("Hi"), Citations(("u",)), Citations(()), Finish()],
    ),
    "empty from the start": ([said("Hi", citations=[]), finished(citations=None, search_results=[])], HI),
    "only at the end, without choices": ([said("Hi"), finished(), {"citations": ["u"]}], [TextDelta("Hi"), Citations(("u",)), Finish()]),
    "search_results where there are no citations": (
        [said("Hi", search_results=RESULTS), finished(citations=[], search_results=RESULTS)],
        [TextDelta("Hi"), Citations(tuple(RESULTS)), Finish()],
    ),
    "citations beside search_results": (
        [said("Hi", citations=["u"], search_results=RESULTS), finished(search_results=RESULTS)],
        [TextDelta("Hi"), Citations(("u",)), Finish()],
    ),
    "citations after search_results": (
        [said("Hi", search_results=RESULTS), finished(citations=["u"], search_results=RESULTS)],
        [TextDelta("Hi"), Citations(tuple(RESULTS)), Citations(("u",)), Finish()],
    ),
    "sources that are no list": ([said("Hi", citations={"a": 1}), finished(citations="u", search_results=1)], HI),
}


@pytest.mark.parametrize(("sources", "parts"), CITED.values(), ids=CITED)
def test_citations_are_told_when_they_change(sources: list[Source], parts: list[Part]) -> None:
    assert tell(*sources, DONE) == parts


# ------------------------------------------------------------------------------------------------------------------------- what is said again whole

REPEATED: dict[str, tuple[list[Source], list[Part]]] = {
    "the same": ([said("Hi"), whole("Hi")], HI),
    "the same, beside an empty delta (Perplexity)": ([said("Hi"), whole("Hi", delta={"content": ""})], HI),
    "the same, beside the last of it": ([said("H"), whole("Hi", delta={"content": "i"})], [TextDelta("H"), TextDelta("i"), Finish()]),
    "nothing": ([said("Hi"), whole("")], HI),
    "null": ([said("Hi"), whole(None)], HI),
    "more": ([said("H"), whole("Hi")], [TextDelta("H"), TextDelta("i"), Finish()]),
    "all of it at once": ([whole("Hi", "chat.completion")], HI),
    "twice": ([whole("Hi", "chat.completion"), whole("Hi", "chat.completion")], HI),
    "something else": ([said("Hi "), whole("Hi")], [TextDelta("Hi "), TextReset("Hi"), Finish()]),
    "the same thought": ([chunk(answer(reasoning_content="Hm.")), said("Hi"), whole("Hi", reasoning_content="Hm.")], [ReasoningDelta("Hm."), *HI]),
    "more thoughts": (
        [chunk(answer(reasoning_content="Hm.")), whole("Hi", reasoning_content="Hm. So.")],
        [ReasoningDelta("Hm."), ReasoningDelta(" So."), *HI],
    ),
    "other thoughts": ([chunk(answer(reasoning_content="Hm.")), whole("Hi", reasoning_content="No.")], [ReasoningDelta("Hm."), *HI]),
}


@pytest.mark.parametrize(("sources", "parts"), REPEATED.values(), ids=REPEATED)
def test_what_is_said_again_is_not_doubled(sources: list[Source], parts: list[Part]) -> None:
    assert tell(*sources, DONE) == parts


THOUGHT_AGAIN: dict[str, tuple[list[Source], list[Part]]] = {
    "the same": ([said("<think>Hm.</think>"), said("Hi"), whole("<think>Hm.</think>Hi")], [ReasoningDelta("Hm."), *HI]),
    "framed otherwise": ([said("<think>Hm.</think>"), said("Hi"), whole("<think>\nHm.\n</think>\n\nHi")], [ReasoningDelta("Hm."), *HI]),
    "with another text": (
        [said("<think>Hm.</think>"), said("Ho"), whole("<think>Hm.</think>Hi")],
        [ReasoningDelta("Hm."), TextDelta("Ho"), TextReset("Hi"), Finish()],
    ),
    "with a thought that was not told": (
        [said("Ho"), whole("<think>Hm.</think>Hi")],
        [TextDelta("Ho"), ReasoningDelta("Hm."), TextReset("Hi"), Finish()],
    ),
}


@pytest.mark.parametrize(("sources", "parts"), THOUGHT_AGAIN.values(), ids=THOUGHT_AGAIN)
def test_what_is_said_again_with_its_thoughts(sources: list[Source], parts: list[Part]) -> None:
    assert tell(*sources, DONE, split_reasoning=True) == parts


def test_thoughts_are_split_for_each_answer_and_at_any_cut() -> None:
    sources = [chunk(answer(content=a), answer(content=b, index=1)) for a, b in zip("<think>x</think>ab", "<b>no thought</b> ", strict=True)]
    completion = complete(*sources, DONE, split_reasoning=True)
    assert completion.choices == (Choice("ab", "x", (), "stop"), Choice("<b>no thought</b> ", "", (), "stop"))


def test_what_was_held_back_is_told_at_the_end() -> None:
    assert tell(said("<thi"), *END, split_reasoning=True) == [TextDelta("<thi"), Finish()]
    assert tell(said("Hi\ud83d"), *END) == [TextDelta("Hi"), TextDelta("\ufffd"), Finish()]
    assert tell(chunk(answer(reasoning="Hm\ud83d")), *END) == [ReasoningDelta("Hm"), ReasoningDelta("\ufffd"), Finish()]


def test_half_a_character_waits_for_its_other_half_in_its_own_text() -> None:
    sources = [
        chunk(answer(reasoning="\ud83d", content="a\ud83d"), answer(content="b\ud83e", index=1)),
        chunk(answer(reasoning="\ude01", content="\ude00"), answer(content="\udd21", index=1)),
    ]
    assert tell(*sources, DONE) == [
        TextDelta("a"),
        TextDelta("b", 1),
        ReasoningDelta("😁"),
        TextDelta("😀"),
        TextDelta("🤡", 1),
        Finish(),
        Finish("stop", 1),
    ]
    # What repeats the text has the character whole.
    assert tell(said("a\ud83d"), whole("a😀"), DONE) == [TextDelta("a"), TextDelta("😀"), Finish()]


def test_other_text_is_mended_too() -> None:
    sources = [said("Hi", citations=["u\ud83d"], usage={"note\ud83d": ["x\ude00"]}), finished("why\ud83d")]
    assert tell(*sources, DONE) == [
        TextDelta("Hi"),
        Citations(("u\ufffd",)),
        Finish("why\ufffd"),
        Usage(None, None, None, {"note\ufffd": ["x\ufffd"]}),
    ]
    assert str(fail({"error": "no\ud83d"})) == "no\ufffd"


# ----------------------------------------------------------------------------------------------------------------------------------- the end of it


@pytest.mark.parametrize(
    ("sources", "dropped", "message", "partial"),
    [
        ([said("Hel")], False, "expected [DONE] or the finish_reason of answer 0, got the end of the stream", "Hel"),
        ([said("Hel")], True, "expected [DONE] or the finish_reason of answer 0, got the end of the stream; an event was cut in two", "Hel"),
        ([chunk(answer(role="assistant"))], False, "expected [DONE] or the finish_reason of answer 0, got the end of the stream", ""),
        (
            [chunk(answer(content="a"), answer(content="b", index=1)), finished()],
            False,
            "expected [DONE] or the finish_reason of answer 1, got the end of the stream",
            "a",
        ),
        (
            [chunk(*(answer(content="x", index=n) for n in range(7)))],
            False,
            "expected [DONE] or the finish_reason of answer 0, 1, 2, 3, 4, …, got the end of the stream",
            "x",
        ),
        ([], True, "no chunk of it came; an event was cut in two", ""),
    ],
    ids=["no reason", "half an event", "only a role", "one of two", "many", "only half an event"],
)
def test_a_stream_that_breaks_off(sources: list[Source], dropped: bool, message: str, partial: str) -> None:
    error = fail(*sources, dropped=dropped)
    assert isinstance(error, TruncatedAnswer)
    assert str(error) == f"the connection ended in the middle of the answer: {message}"
    assert error.partial == partial


def test_half_an_event_after_the_answer_is_no_harm() -> None:
    assert tell(said("Hi"), finished(), dropped=True) == HI


@pytest.mark.parametrize(
    "sources",
    [[], [Event("")], [DONE], [chunk(usage=USAGE), DONE], [chunk()], [named("ping", "{}")]],
    ids=["nothing", "blank", "done", "usage", "Azure", "ping"],
)
def test_a_stream_without_an_answer(sources: list[Source]) -> None:
    error = fail(*sources)
    assert isinstance(error, EmptyResponse)
    assert str(error) == "expected an answer, got the end of the stream before one began"


def test_after_the_end_nothing_is_told() -> None:
    reader = CompletionReader()
    assert reader.receive(event(said("Hi"))) == [TextDelta("Hi")]
    assert (reader.text, reader.complete, reader.done) == ("Hi", False, False)
    assert reader.receive(event(finished())) == []
    assert (reader.complete, reader.done) == (True, False)
    assert reader.receive(event(DONE)) == [Finish()]
    assert reader.done
    assert reader.end() == reader.end(dropped=True) == reader.read_whole({}) == []


def test_a_reader_that_heard_nothing_is_not_complete() -> None:
    assert (CompletionReader().complete, CompletionReader().text) == (False, "")


def test_what_was_held_back_is_in_the_partial_text() -> None:
    assert fail(said("<think>Hm.</think>Hi \ud83d"), split_reasoning=True).partial == "Hi \ufffd"
    assert fail(said("<thi"), "no JSON", split_reasoning=True).partial == "<thi"


# -------------------------------------------------------------------------------------------------------------------------------------- failures

FAILURES: dict[str, tuple[Source, str, str | None, str | int | None, str | None]] = {
    "an object": ({"error": {"message": "boom", "type": "server_error", "code": "x", "param": "p"}}, "boom", "server_error", "x", "p"),
    "a numeric code": ({"error": {"message": "boom", "code": 500}}, "boom", None, 500, None),
    "beside choices (OpenRouter)": (chunk(answer("error", content=""), error={"code": 502, "message": "boom"}), "boom", None, 502, None),
    "in a choice": (chunk(None, answer(content="x"), {"index": 0, "error": {"message": "boom"}}), "boom", None, None, None),
    "a bare text": ({"error": " boom "}, "boom", None, None, None),
    "other types": ({"error": {"message": "boom", "type": 1, "code": True, "param": []}}, "boom", None, None, None),
    "no message": ({"error": {"code": 500}}, "the service reports an error without a message: {'code': 500}", None, 500, None),
    "a list": ({"error": ["boom"]}, "the service reports an error without a message: ['boom']", None, None, None),
    "an object that is an error (vLLM)": ({"object": "error", "message": "boom", "code": 400}, "boom", None, 400, None),
    "under its name: an object in an object": (named("error", {"error": {"message": "boom"}}), "boom", None, None, None),
    "under its name: a bare message": (named("error", {"message": "boom", "code": 1}), "boom", None, 1, None),
    "under its name: a detail": (named("error", {"detail": "boom"}), "boom", None, None, None),
    "under its name: JSON text": (named("error", '"boom"'), "boom", None, None, None),
    "under its name: no JSON": (named("error", "boom"), "boom", None, None, None),
    "under its name: nothing": (named("error", ""), "the service reports an error and gives no reason", None, None, None),
    "under its name: null": (named("error", "null"), "the service reports an error and gives no reason", None, None, None),
    "under its name: a number": (named("error", "3"), "the service reports an error without a message: 3", None, None, None),
    "under its name: a chunk": (named("error", said("x") | {"message": "boom"}), "boom", None, None, None),
    "under its name: [DONE]": (named("error", DONE), DONE, None, None, None),
    "under another name": (named("oops", {"error": {"message": "boom"}}), "boom", None, None, None),
}


@pytest.mark.parametrize(("source", "message", "type", "code", "param"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_failure_in_the_middle(source: Source, message: str, type: str | None, code: str | int | None, param: str | None, lenient: bool) -> None:
    error = fail(said("so far"), source, said("more"), lenient=lenient)
    assert isinstance(error, StreamError)
    assert (str(error), error.type, error.code, error.param, error.partial) == (message, type, code, param, "so far")
    assert error.cause == "stream-error"
    if isinstance(source, dict):
        assert error.raw == source


def test_a_long_failure_is_quoted_in_part_and_kept_whole() -> None:
    error = fail({"error": {"reason": "x" * 5000}})
    assert len(str(error)) < 200
    assert error.raw == {"error": {"reason": "x" * 5000}}


def test_a_failure_that_is_nested_beyond_telling() -> None:
    deep: Any = []
    for _ in range(200_000):
        deep = [deep]
    reader = CompletionReader()
    with pytest.raises(StreamError, match="something very deeply nested"):
        reader.read_whole({"error": deep})


BAD: dict[str, tuple[str, str]] = {
    "no JSON": ("<html>", "expected a chunk of a completion as JSON, got '<html>'"),
    "half of it": ('{"choices": [', "expected a chunk of a completion as JSON, got '{\"choices\": ['"),
    "NaN": ("NaN", "expected a chunk of a completion as JSON, got 'NaN'"),
    "nested beyond the stack": ("[" * 100_000, f"expected a chunk of a completion as JSON, got '{'[' * 79}…"),
    "null": ("null", "expected a chunk of a completion, an object with choices, got None"),
    "a list": ("[1]", "expected a chunk of a completion, an object with choices, got [1]"),
    "a text": ('"boom"', "expected a chunk of a completion, an object with choices, got 'boom'"),
    "another object": ('{"type": "ping"}', "expected a chunk of a completion, an object with choices, got {'type': 'ping'}"),
    "choices an object": ('{"choices": {"a": 1}}', "expected choices to be a list, got {'a': 1}"),
    "choices a text": ('{"choices": "x"}', "expected choices to be a list, got 'x'"),
    "a choice a text": ('{"choices": ["x"]}', "expected a choice to be an object, got 'x'"),
    "delta a list": ('{"choices": [{"delta": ["x"]}]}', "expected delta to be an object, got ['x']"),
    "delta a text": ('{"choices": [{"delta": "x"}]}', "expected delta to be an object, got 'x'"),
    "message a text": ('{"choices": [{"message": "x"}]}', "expected message to be an object, got 'x'"),
    "text a number": ('{"choices": [{"text": 1}]}', "expected text to be text, got 1"),
    "content a number": ('{"choices": [{"delta": {"content": 1}}]}', "expected content to be text, got 1"),
    "content an object": ('{"choices": [{"delta": {"content": {"text": "x"}}}]}', "expected content to be text, got {'text': 'x'}"),
    "a part a number": ('{"choices": [{"delta": {"content": [1]}}]}', "expected a part of content to be text, got 1"),
    "a part's text a number": (
        '{"choices": [{"delta": {"content": [{"type": "text", "text": 1}]}}]}',
        "expected the text of a part of content to be text, got 1",
    ),
    "reasoning an object": ('{"choices": [{"delta": {"reasoning": {}}}]}', "expected reasoning to be text, got {}"),
    "refusal a bool": ('{"choices": [{"delta": {"refusal": true}}]}', "expected refusal to be text, got True"),
    "finish_reason a number": ('{"choices": [{"finish_reason": 0}]}', "expected finish_reason to be text, got 0"),
    "index negative": ('{"choices": [{"index": -1}]}', "expected the index of a choice to be a number from 0, got -1"),
    "index a fraction": ('{"choices": [{"index": 0.5}]}', "expected the index of a choice to be a number from 0, got 0.5"),
    "index a bool": ('{"choices": [{"index": true}]}', "expected the index of a choice to be a number from 0, got True"),
    "index a word": ('{"choices": [{"index": "first"}]}', "expected the index of a choice to be a number from 0, got 'first'"),
    "index a long text": ('{"choices": [{"index": "1234567890"}]}', "expected the index of a choice to be a number from 0, got '1234567890'"),
    "index in other digits": ('{"choices": [{"index": "\\u0663"}]}', "expected the index of a choice to be a number from 0, got '٣'"),
    "index infinite": ('{"choices": [{"index": 1e999}]}', "expected the index of a choice to be a number from 0, got inf"),
    "index beyond counting": (f'{{"choices": [{{"index": {"9" * 5000}}}]}}', "expected the index of a choice to be a number from 0, got inf"),
    "tool_calls an object": ('{"choices": [{"delta": {"tool_calls": {"a": 1}}}]}', "expected tool_calls to be a list, got {'a': 1}"),
    "a tool call a text": ('{"choices": [{"delta": {"tool_calls": ["x"]}}]}', "expected a tool call to be an object, got 'x'"),
    "a tool call's index a list": (
        '{"choices": [{"delta": {"tool_calls": [{"index": []}]}}]}',
        "expected the index of a tool call to be a number from 0, got []",
    ),
    "a tool call's id a number": ('{"choices": [{"delta": {"tool_calls": [{"id": 1}]}}]}', "expected the id of a tool call to be text, got 1"),
    "a function a text": (
        '{"choices": [{"delta": {"tool_calls": [{"function": "f"}]}}]}',
        "expected the function of a tool call to be an object, got 'f'",
    ),
    "a function's name a number": (
        '{"choices": [{"delta": {"tool_calls": [{"function": {"name": 1}}]}}]}',
        "expected the name of a function to be text, got 1",
    ),
    "arguments a number": (
        '{"choices": [{"delta": {"function_call": {"arguments": 1}}}]}',
        "expected the arguments of a function to be text, got 1",
    ),
    "usage too deep": (
        f'{{"choices": [], "usage": {{"a": {"[" * 50}{"]" * 50}}}}}',
        "expected at most 32 nested arrays and objects in what is handed on, got more",
    ),
    "citations too deep": (
        f'{{"citations": {"[" * 50}{"]" * 50}}}',
        "expected at most 32 nested arrays and objects in what is handed on, got more",
    ),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_what_is_no_chunk(data: str, message: str) -> None:
    error = fail(said("so far"), data)
    assert isinstance(error, BadJSON)
    assert (str(error), error.data, error.raw, error.partial, error.cause) == (message, data, data, "so far", "bad-json")


@pytest.mark.parametrize("data", [data for data, _ in BAD.values()], ids=BAD)
def test_what_is_no_chunk_is_skipped_and_counted_by_choice(data: str) -> None:
    told = play([said("H"), data, said("i"), data, *END], lenient=True)
    assert (told.parts, told.error, told.reader.skipped) == ([TextDelta("H"), TextDelta("i"), Finish()], None, 2)


def test_a_chunk_that_is_bad_in_one_place_is_not_read_in_another() -> None:
    told = play([chunk(answer(content="a"), {"index": 1, "delta": 1}), *END], lenient=True)
    assert (told.parts, told.reader.skipped) == ([Finish()], 1)


def test_a_stream_of_nothing_but_skipped_events_is_empty() -> None:
    error = fail("x", "y", DONE, lenient=True)
    assert isinstance(error, EmptyResponse)
    assert str(error).endswith("; 2 events that are no chunks were skipped")


def test_no_json_under_the_name_that_chunks_come_under_is_a_fault() -> None:
    assert tell(named("ping", "no JSON"), named("delta", said("Hi")), named("ping", "no JSON"), *END) == HI
    assert isinstance(fail(named("delta", said("Hi")), named("delta", "no JSON")), BadJSON)
    assert isinstance(fail(named("delta", {"choices": 1}), *END), BadJSON)


def test_a_browser_s_json_is_read() -> None:
    """Numbers beyond a double are infinite there; halves of characters are text."""
    data = json.dumps(said("Hi\ud83d")).replace('"created": 1', f'"created": {"9" * 400}, "x": 1e999')
    assert tell(data, *END) == [TextDelta("Hi"), TextDelta("\ufffd"), Finish()]


# ---------------------------------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "sources",
    [
        [said("12345"), said("678901")],
        [chunk(answer(content="12345"), answer(content="678901", index=1))],
        [said("12345"), chunk(answer(reasoning="678901"))],
        [said("12345"), chunk(answer(tool_calls=[{"index": 0, "function": {"arguments": "678901"}}]))],
        [said("12345"), chunk(answer(tool_calls=[{"index": 0, "id": "678", "function": {"name": "901"}}]))],
        [said("12345"), whole("54321")],
    ],
    ids=["text", "two answers", "reasoning", "arguments", "names", "a rewritten text"],
)
def test_an_answer_is_bounded(sources: list[Source]) -> None:
    error = fail(*sources, *END, max_answer_characters=9)
    assert isinstance(error, TooLarge)
    assert (str(error), error.limit, error.partial) == ("expected an answer of at most 9 characters, got more", 9, "12345")
    assert play([*sources, *END], max_answer_characters=11).error is None


def test_answers_are_bounded() -> None:
    answers = [chunk(answer(content="x", index=index)) for index in range(MAX_ANSWERS)]
    assert len(complete(*answers, DONE).choices) == MAX_ANSWERS
    error = fail(*answers, chunk(answer(content="x", index=MAX_ANSWERS)))
    assert isinstance(error, TooLarge)
    assert (error.limit, error.partial) == (MAX_ANSWERS, "x")


# ----------------------------------------------------------------------------------------------------------------------------- the chunks themselves


def test_chunks_can_be_had_as_they_came() -> None:
    reader = CompletionReader(raw_chunks=True)
    first, last = said("Hi"), finished()
    assert reader.receive(event(first)) == [RawChunk(first), TextDelta("Hi")]
    assert reader.receive(named("ping", "")) == []
    assert reader.receive(event(last)) == [RawChunk(last)]
    assert reader.receive(event(DONE)) == [Finish()]
    body = whole("Hi", "chat.completion")
    assert CompletionReader(raw_chunks=True).read_whole(body) == [RawChunk(body), *HI]


# ----------------------------------------------------------------------------------------------------------------------------- a completion at once


def body(*choices: object, **fields: object) -> dict[str, Any]:
    return {"id": "x", "object": "chat.completion", "choices": list(choices), **fields}


def message(content: object, finish: str | None = "stop", index: int = 0, **fields: object) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": content, **fields}, "finish_reason": finish}


WHOLE: dict[str, tuple[dict[str, Any], list[Part]]] = {
    "the usual": (body(message("Hi"), usage=USAGE), [*HI, COST]),
    "without its object": ({"choices": [message("Hi")]}, HI),
    "without finish_reason": (body(message("Hi", None)), HI),
    "content null": (body(message(None)), [Finish()]),
    "content a list": (body(message([{"type": "text", "text": "Hi"}])), HI),
    "a refusal": (body(message(None, refusal="No")), [TextDelta("No"), Finish()]),
    "reasoning": (body(message("Hi", reasoning_content="Hm.")), [ReasoningDelta("Hm."), *HI]),
    "text (completions before chat)": ({"choices": [{"index": 0, "text": "Hi", "finish_reason": "length"}]}, [TextDelta("Hi"), Finish("length")]),
    "n = 2": (
        body(message("b", "length", 1), message("a")),
        [TextDelta("b", 1), TextDelta("a"), Finish(), Finish("length", 1)],
    ),
    "citations": (body(message("Hi"), citations=["u"], search_results=RESULTS), [TextDelta("Hi"), Citations(("u",)), Finish()]),
}


@pytest.mark.parametrize(("value", "parts"), WHOLE.values(), ids=WHOLE)
def test_a_completion_at_once_has_the_same_parts(value: dict[str, Any], parts: list[Part]) -> None:
    reader = CompletionReader()
    assert reader.read_whole(value) == parts
    assert reader.end() == reader.receive(event(said("more"))) == []
    assert not reader.done


def test_thoughts_are_split_off_a_completion_at_once() -> None:
    parts = CompletionReader(split_reasoning=True).read_whole(body(message("<think>Hm.</think>Hi")))
    assert Collector(part for part in parts if not isinstance(part, RawChunk)).completion().choices == (Choice("Hi", "Hm.", (), "stop"),)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({"error": {"message": "boom"}}, StreamError, "boom"),
        (body(), EmptyResponse, "expected an answer"),
        ({"detail": "no"}, UnexpectedResponse, "expected a chunk of a completion, an object with choices, got {'detail': 'no'}"),
        ([], UnexpectedResponse, "expected a chunk of a completion"),
        (None, UnexpectedResponse, "expected a chunk of a completion"),
        (body({"message": 1}), UnexpectedResponse, "expected message to be an object, got 1"),
        (body(message("x" * 101)), TooLarge, "at most 100 characters"),
    ],
    ids=["an error", "no answer", "another object", "a list", "null", "a wrong type", "too much"],
)
def test_what_came_at_once_is_no_completion(value: object, kind: type[ResponseError], text: str) -> None:
    reader = CompletionReader(lenient=True, max_answer_characters=100)
    with pytest.raises(kind, match=text.replace("{", r"\{")) as caught:
        reader.read_whole(value)
    assert type(caught.value) is kind
    assert reader.end() == []
    if kind in (StreamError, UnexpectedResponse):
        assert caught.value.raw == value
