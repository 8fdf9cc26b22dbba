"""The parts as data, and put together to a whole answer."""

from __future__ import annotations

import msgspec
import pytest

from chat_answers import (
    JSON,
    Choice,
    Citations,
    Collector,
    Completion,
    Finish,
    Part,
    ReasoningDelta,
    TextDelta,
    TextReset,
    ToolCall,
    ToolCallDelta,
    Usage,
)

AS_JSON: list[tuple[Part, dict[str, JSON]]] = [
    (TextDelta("a"), {"type": "text_delta", "text": "a", "index": 0}),
    (TextReset("b", 1), {"type": "text_reset", "text": "b", "index": 1}),
    (ReasoningDelta("c"), {"type": "reasoning_delta", "text": "c", "index": 0}),
    (
        ToolCallDelta(0, None, "f", "{"),
        {"type": "tool_call_delta", "position": 0, "id": None, "name": "f", "arguments": "{", "index": 0},
    ),
    (ToolCall(1, "x", "f", "{}", 2), {"type": "tool_call", "position": 1, "id": "x", "name": "f", "arguments": "{}", "index": 2}),
    (Citations(("u", {"url": "v"})), {"type": "citations", "items": ("u", {"url": "v"})}),
    (
        Usage(1, None, 3, {"x": 1}),
        {"type": "usage", "prompt_tokens": 1, "completion_tokens": None, "total_tokens": 3, "details": {"x": 1}},
    ),
    (Usage(), {"type": "usage", "prompt_tokens": None, "completion_tokens": None, "total_tokens": None, "details": {}}),
    (Finish(), {"type": "finish", "reason": "stop", "index": 0}),
]


@pytest.mark.parametrize(("part", "plain"), AS_JSON, ids=lambda value: type(value).__name__)
def test_a_part_is_written_as_json_with_its_type(part: Part, plain: dict[str, JSON]) -> None:
    assert msgspec.to_builtins(part) == plain
    assert msgspec.json.decode(msgspec.json.encode(part), type=Part) == part


@pytest.mark.parametrize("part", [part for part, _ in AS_JSON], ids=lambda value: type(value).__name__)
def test_a_part_does_not_change(part: Part) -> None:
    with pytest.raises(AttributeError):
        part.index = 7  # type: ignore[misc, union-attr]  # that it cannot be assigned is the point


def test_nothing_is_an_empty_answer_that_has_not_ended() -> None:
    collector = Collector()
    assert collector.text == ""
    completion = collector.completion()
    assert completion == Completion()
    assert (completion.text, completion.reasoning, completion.tool_calls, completion.finish_reason) == ("", "", (), None)
    assert (completion.citations, completion.usage, completion.raw, str(completion)) == ((), None, None, "")


def test_parts_add_up_to_an_answer() -> None:
    call = ToolCall(0, "x", "f", "{}")
    usage = Usage(1, 2, 3)
    parts: list[Part] = [
        ReasoningDelta("Hm"),
        ReasoningDelta("m."),
        TextDelta("Hel"),
        TextDelta("lo"),
        Citations(("u",)),
        Citations(("u", "v")),
        ToolCallDelta(0, "x", "f", "{}"),
        call,
        Finish("tool_calls"),
        usage,
    ]
    completion = Collector(parts).completion(raw={"id": 1})
    assert completion == Completion((Choice("Hello", "Hmm.", (call,), "tool_calls"),), ("u", "v"), usage, {"id": 1})
    assert (completion.text, completion.reasoning, completion.tool_calls, completion.finish_reason) == ("Hello", "Hmm.", (call,), "tool_calls")
    assert str(completion) == "Hello"


def test_a_reset_takes_back_the_text_of_its_answer_and_nothing_else() -> None:
    collector = Collector([TextDelta("a"), TextDelta("b", 1), ReasoningDelta("c"), TextReset("A"), TextDelta("!")])
    assert collector.completion().choices == (Choice("A!", "c"), Choice("b"))


def test_answers_are_in_the_order_of_their_indices_and_the_first_is_the_lowest() -> None:
    collector = Collector([TextDelta("two", 2)])
    assert collector.text == "two"
    assert collector.extend([TextDelta("one", 1), Finish("length", 2)]) is collector
    assert collector.text == "one"
    assert collector.completion().choices == (Choice("one"), Choice("two", finish_reason="length"))


def test_a_part_of_a_kind_that_is_not_known_adds_nothing() -> None:
    collector = Collector()
    collector.add(Choice("x"))  # type: ignore[arg-type]  # stands for a part of a later version
    assert collector.completion() == Completion()


def test_what_was_collected_stays_while_more_comes() -> None:
    collector = Collector([TextDelta("a")])
    before = collector.completion()
    collector.add(TextDelta("b"))
    assert (before.text, collector.completion().text) == ("a", "ab")
