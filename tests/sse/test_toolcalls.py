"""Tool calls in all the pieces that services send them in: which piece belongs to which call, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from chat_answers import Finish, Part, TextDelta, ToolCall, ToolCallDelta
from tests.sse.streams import DONE, Source, chunk, fail, finished, play, tell
from tests.sse.streams import choice as answer
from ylokh_sse.completions import CompletionReader
from ylokh_sse.exceptions import TooLarge
from ylokh_sse.toolcalls import MAX_TOOL_CALLS


def call(arguments: object = None, *, name: object = None, id: object = None, index: object = None) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {key: value for key, value in (("index", index), ("id", id), ("function", function)) if value is not None}


def calls(*pieces: object, index: int = 0) -> dict[str, Any]:
    return chunk(answer(index=index, content=None, tool_calls=list(pieces)))


def repeated(*pieces: object) -> dict[str, Any]:
    return chunk({"index": 0, "message": {"content": None, "tool_calls": list(pieces)}}, object="chat.completion.done")


END: list[Source] = [finished("tool_calls"), DONE]
FINISH = Finish("tool_calls")

STREAMS: dict[str, tuple[list[Source], list[Part]]] = {
    "index, id and name once, arguments after (OpenAI)": (
        [
            calls(call("", name="f", id="a", index=0)),
            calls(call('{"x', index=0)),
            calls(call('":1}', index=0)),
            calls(call("", name="g", id="b", index=1)),
            calls(call("{}", index=1)),
        ],
        [
            ToolCallDelta(0, "a", "f", ""),
            ToolCallDelta(0, "a", "f", '{"x'),
            ToolCallDelta(0, "a", "f", '":1}'),
            ToolCallDelta(1, "b", "g", ""),
            ToolCallDelta(1, "b", "g", "{}"),
            ToolCall(0, "a", "f", '{"x":1}'),
            ToolCall(1, "b", "g", "{}"),
            FINISH,
        ],
    ),
    "pieces of two calls in turn": (
        [
            calls(call("1", name="f", id="a", index=0), call("2", name="g", id="b", index=1)),
            calls(call("4", index=1), call("3", index=0)),
        ],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, "b", "g", "2"),
            ToolCallDelta(1, "b", "g", "4"),
            ToolCallDelta(0, "a", "f", "3"),
            ToolCall(0, "a", "f", "13"),
            ToolCall(1, "b", "g", "24"),
            FINISH,
        ],
    ),
    "id and name on every piece": (
        [calls(call("1", name="f", id="a", index=0)), calls(call("2", name="f", id="a", index=0))],
        [ToolCallDelta(0, "a", "f", "1"), ToolCallDelta(0, "a", "f", "12"[1:]), ToolCall(0, "a", "f", "12"), FINISH],
    ),
    "id and name late": (
        [calls(call("1", index=0)), calls(call(name="f", index=0)), calls(call(id="a", index=0)), calls(call("2", index=0))],
        [
            ToolCallDelta(0, None, None, "1"),
            ToolCallDelta(0, None, "f", ""),
            ToolCallDelta(0, "a", "f", ""),
            ToolCallDelta(0, "a", "f", "2"),
            ToolCall(0, "a", "f", "12"),
            FINISH,
        ],
    ),
    "a piece without news": (
        [calls(call("1", name="f", id="", index=0)), calls(call("", name="", index=0))],
        [ToolCallDelta(0, None, "f", "1"), ToolCall(0, None, "f", "1"), FINISH],
    ),
    "indices that are text, and not from 0": (
        [calls(call("1", name="f", index="7")), calls(call("2", index=7))],
        [ToolCallDelta(0, None, "f", "1"), ToolCallDelta(0, None, "f", "2"), ToolCall(0, None, "f", "12"), FINISH],
    ),
    "the index 0 for every call, and only the ids differ": (
        [calls(call("1", name="f", id="a", index=0)), calls(call("2", name="f", id="b", index=0)), calls(call("3", id="a", index=0))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, "b", "f", "2"),
            ToolCallDelta(0, "a", "f", "3"),
            ToolCall(0, "a", "f", "13"),
            ToolCall(1, "b", "f", "2"),
            FINISH,
        ],
    ),
    "no index: ids": (
        [calls(call("1", name="f", id="a")), calls(call("2", name="g", id="b")), calls(call("3", id="a"))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, "b", "g", "2"),
            ToolCallDelta(0, "a", "f", "3"),
            ToolCall(0, "a", "f", "13"),
            ToolCall(1, "b", "g", "2"),
            FINISH,
        ],
    ),
    "no index, and the id only once: the last call goes on": (
        [calls(call("1", name="f", id="a")), calls(call("2")), calls(call("3", name="g", id="b")), calls(call("4"))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(0, "a", "f", "2"),
            ToolCallDelta(1, "b", "g", "3"),
            ToolCallDelta(1, "b", "g", "4"),
            ToolCall(0, "a", "f", "12"),
            ToolCall(1, "b", "g", "34"),
            FINISH,
        ],
    ),
    "no index and no id, in one list: the place in it": (
        [calls(call("1", name="f"), call("2", name="g")), calls(call("3"), call("4"))],
        [
            ToolCallDelta(0, None, "f", "1"),
            ToolCallDelta(1, None, "g", "2"),
            ToolCallDelta(0, None, "f", "3"),
            ToolCallDelta(1, None, "g", "4"),
            ToolCall(0, None, "f", "13"),
            ToolCall(1, None, "g", "24"),
            FINISH,
        ],
    ),
    "no index and no id, one whole call after the other: the name begins one": (
        [calls(call("{}", name="f")), calls(call("{}", name="f"))],
        [
            ToolCallDelta(0, None, "f", "{}"),
            ToolCallDelta(1, None, "f", "{}"),
            ToolCall(0, None, "f", "{}"),
            ToolCall(1, None, "f", "{}"),
            FINISH,
        ],
    ),
    "arguments as an object": (
        [calls(call({"x": [1, "é"]}, name="f", id="a"))],
        [ToolCallDelta(0, "a", "f", '{"x":[1,"é"]}'), ToolCall(0, "a", "f", '{"x":[1,"é"]}'), FINISH],
    ),
    "arguments that are no JSON": (
        [calls(call("{'x': ", name="f", id="a", index=0))],
        [ToolCallDelta(0, "a", "f", "{'x': "), ToolCall(0, "a", "f", "{'x': "), FINISH],
    ),
    "arguments cut in the middle of a character": (
        [calls(call("a\ud83d", name="f", index=0)), calls(call("\ude00\ud83d", index=0))],
        [
            ToolCallDelta(0, None, "f", "a"),
            ToolCallDelta(0, None, "f", "😀"),
            ToolCallDelta(0, None, "f", "\ufffd"),
            ToolCall(0, None, "f", "a😀\ufffd"),
            FINISH,
        ],
    ),
    "nothing in it": (
        [chunk(answer(tool_calls=[{}])), chunk(answer(tool_calls=[None])), chunk(answer(tool_calls=None)), chunk(answer(tool_calls=[]))],
        [ToolCallDelta(0, None, None, ""), ToolCall(0, None, None, ""), FINISH],
    ),
    "a legacy function_call": (
        [
            chunk(answer(content=None, function_call={"name": "f", "arguments": ""})),
            chunk(answer(function_call={"arguments": "{}"})),
            chunk(answer(function_call=None)),
        ],
        [ToolCallDelta(0, None, "f", ""), ToolCallDelta(0, None, "f", "{}"), ToolCall(0, None, "f", "{}"), FINISH],
    ),
    "beside text": (
        [chunk(answer(content="Wait.", tool_calls=[call("{}", name="f", index=0)]))],
        [TextDelta("Wait."), ToolCallDelta(0, None, "f", "{}"), ToolCall(0, None, "f", "{}"), FINISH],
    ),
    "told again whole": (
        [calls(call("1", name="f", id="a", index=0)), repeated(call("12", name="f", id="a"), call("3", name="g", id="b"))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(0, "a", "f", "2"),
            ToolCallDelta(1, "b", "g", "3"),
            ToolCall(0, "a", "f", "12"),
            ToolCall(1, "b", "g", "3"),
            FINISH,
        ],
    ),
    "told again whole, without ids": (
        [calls(call("1", name="f", index=0), call("2", name="g", index=1)), repeated(call("1", name="f"), call("2", name="g"))],
        [
            ToolCallDelta(0, None, "f", "1"),
            ToolCallDelta(1, None, "g", "2"),
            ToolCall(0, None, "f", "1"),
            ToolCall(1, None, "g", "2"),
            FINISH,
        ],
    ),
    "told again whole, with other indices": (
        [calls(call("1", name="f", id="a", index=0)), repeated(call("1", id="a", index=7)), calls(call("2", name="g", index=7))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, None, "g", "2"),
            ToolCall(0, "a", "f", "1"),
            ToolCall(1, None, "g", "2"),
            FINISH,
        ],
    ),
    "told again whole, under other ids": (
        [calls(call("1", name="f", id="a")), repeated(call("1", name="f", id="b"))],
        [
            ToolCallDelta(0, "a", "f", "1"),
            ToolCallDelta(1, "b", "f", "1"),
            ToolCall(0, "a", "f", "1"),
            ToolCall(1, "b", "f", "1"),
            FINISH,
        ],
    ),
    "told again otherwise: what was told stands": (
        [calls(call("1", name="f", id="a")), repeated(call("2", name="f", id="a"))],
        [ToolCallDelta(0, "a", "f", "1"), ToolCall(0, "a", "f", "1"), FINISH],
    ),
    "told again whole, with the character that was cut": (
        [calls(call("1\ud83d", name="f", id="a")), repeated(call("1😀", name="f", id="a"))],
        [ToolCallDelta(0, "a", "f", "1"), ToolCallDelta(0, "a", "f", "😀"), ToolCall(0, "a", "f", "1😀"), FINISH],
    ),
}


@pytest.mark.parametrize(("sources", "parts"), STREAMS.values(), ids=STREAMS)
def test_tool_calls(sources: list[Source], parts: list[Part]) -> None:
    assert tell(*sources, *END) == parts


@pytest.mark.parametrize("sources", [sources for sources, _ in STREAMS.values()], ids=STREAMS)
def test_the_deltas_of_a_call_add_up_to_it_and_it_stands_before_the_finish(sources: list[Source]) -> None:
    parts = tell(*sources, *END)
    whole = [part for part in parts if isinstance(part, ToolCall)]
    assert [part.position for part in whole] == list(range(len(whole)))
    for one in whole:
        deltas = [part for part in parts if isinstance(part, ToolCallDelta) and part.position == one.position]
        assert "".join(delta.arguments for delta in deltas) == one.arguments
        assert (deltas[-1].id, deltas[-1].name) == (one.id, one.name)
    assert parts[-1 - len(whole) :] == [*whole, FINISH]


def test_each_answer_has_its_own_calls() -> None:
    sources = [calls(call("1", name="f", index=0)), calls(call("2", name="g", index=0), index=1), calls(call("3", index=0))]
    assert tell(*sources, DONE) == [
        ToolCallDelta(0, None, "f", "1"),
        ToolCallDelta(0, None, "g", "2", 1),
        ToolCallDelta(0, None, "f", "3"),
        ToolCall(0, None, "f", "13"),
        Finish("tool_calls"),
        ToolCall(0, None, "g", "2", 1),
        Finish("tool_calls", 1),
    ]


def test_the_service_s_own_word_on_the_end_stands() -> None:
    assert tell(calls(call("{}", name="f", index=0)), finished("stop"), DONE)[-1] == Finish("stop")


def test_calls_of_a_completion_at_once() -> None:
    message = {"content": None, "tool_calls": [call("{}", name="f", id="a"), call("[]", name="f", id="b")]}
    assert CompletionReader().read_whole({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}) == [
        ToolCallDelta(0, "a", "f", "{}"),
        ToolCallDelta(1, "b", "f", "[]"),
        ToolCall(0, "a", "f", "{}"),
        ToolCall(1, "b", "f", "[]"),
        FINISH,
    ]


def test_calls_are_bounded() -> None:
    many = [calls(call("{}", name="f", index=index)) for index in range(MAX_TOOL_CALLS)]
    assert play([*many, *END]).error is None
    error = fail(chunk(answer(content="Wait.")), *many, calls(call("{}", name="f", index=MAX_TOOL_CALLS)))
    assert isinstance(error, TooLarge)
    assert (str(error), error.limit, error.partial) == ("expected at most 128 tool calls in an answer, got more", 128, "Wait.")
