"""The conversation without a connection: questions to the wire, replies to parts, and what either must refuse."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_answers.surrogates import Mender, mend
from perplexity_labs import (
    AnswerReader,
    Citations,
    Finish,
    LabsError,
    MessageError,
    Part,
    ResponseError,
    ServiceError,
    TextDelta,
    TextReset,
    UnexpectedResponse,
    encode_request,
)
from perplexity_labs.drift import MAX_QUOTED_KEYS

NAME = "r1-1776_query_progress"


def read(*payloads: dict[str, Any], name: str | int = NAME) -> list[Part]:
    reader = AnswerReader()
    return [part for payload in payloads for part in reader.receive(name, (payload,))]


# --------------------------------------------------------------------------------------------------------------------------------- the question


def test_text_becomes_one_user_message_with_every_field() -> None:
    assert encode_request("Tell me a joke", model="sonar", version="3", source="mine") == {
        "version": "3",
        "source": "mine",
        "model": "sonar",
        "messages": [{"role": "user", "content": "Tell me a joke"}],
    }


def test_the_defaults_are_the_last_ones_seen() -> None:
    request = encode_request("hi")
    assert (request["model"], request["version"], request["source"]) == ("r1-1776", "2.18", "default")


def test_an_unknown_model_is_passed_on() -> None:
    assert encode_request("hi", model="gpt-17")["model"] == "gpt-17"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": "hi"}], [("user", "hi")]),
        (({"content": "hi", "role": "user"},), [("user", "hi")]),
        ([MappingProxyType({"role": "user", "content": "hi"})], [("user", "hi")]),
        ([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}], [("system", "be brief"), ("user", "hi")]),
        ([{"role": "user", "content": ""}], [("user", "")]),
        (
            [{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}],
            [("user", "one two")],
        ),
        ([{"role": "user", "content": []}], [("user", "")]),
        # Neither of two neighbours is lost, whatever their role.
        (
            [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
            [("assistant", "a\n\nb"), ("user", "c")],
        ),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}], [("user", "a\n\nb")]),
    ],
)
def test_messages(messages: Any, expected: list[tuple[str, str]]) -> None:
    assert encode_request(messages)["messages"] == [{"role": role, "content": content} for role, content in expected]


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


@pytest.mark.parametrize(
    ("messages", "index", "complaint"),
    [
        ([], None, "the list of messages is empty"),
        (None, None, "expected a str or a list of messages, got null"),
        (b"hi", None, "expected a str or a list of messages, got bytes"),
        ({"role": "user", "content": "hi"}, None, "expected a str or a list of messages, got dict"),
        (["hi"], 0, "expected a mapping with role and content, got str"),
        ([{"role": "user"}], 0, "expected the keys role and content and no other, got keys 'role'"),
        ([{}], 0, "got no keys"),
        ([{"role": "user", "content": "hi", "name": "Bob"}], 0, "no other, got keys 'role', 'content', 'name'"),
        ([{"role": "user", "content": "hi"}, {"role": "tool", "content": "4"}], 1, "expected one of the roles system, user, assistant, got 'tool'"),
        ([{"role": ["user"], "content": "hi"}], 0, "got ['user']"),
        ([{"role": "x" * 500, "content": "hi"}], 0, "…"),
        ([{"role": "user", "content": None}], 0, "expected content to be text or a list of text parts, got null"),
        ([{"role": "user", "content": 4}], 0, "got int"),
        ([{"role": "user", "content": b"hi"}], 0, "got bytes"),
        ([{"role": "user", "content": {"type": "text", "text": "hi"}}], 0, "got dict"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "look:"}, IMAGE]}],
            0,
            "only text can be sent: expected a part of type 'text', got 'image_url'",
        ),
        ([{"role": "user", "content": ["hi"]}], 0, "expected a part of type 'text', got str"),
        ([{"role": "user", "content": [{"type": "text"}]}], 0, "expected a text part with the keys type and text"),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], 0, "text (a str)"),
        ([{"role": "user", "content": [{"type": "text", "text": "hi", "cache": True}]}], 0, "'cache'"),
    ],
)
def test_what_cannot_be_sent_whole_is_refused(messages: Any, index: int | None, complaint: str) -> None:
    with pytest.raises(MessageError) as caught:
        encode_request(messages)
    assert complaint in str(caught.value)
    assert len(str(caught.value)) < 300
    assert caught.value.index == index
    assert caught.value.cause == "bad-message"
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, LabsError)


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        encode_request("hi", temperature=1)  # type: ignore[call-arg]


def test_the_callers_objects_are_neither_changed_nor_kept() -> None:
    messages: list[dict[str, object]] = [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    before = copy.deepcopy(messages)
    request = encode_request(messages)
    assert messages == before
    request["messages"][1]["content"] = "changed"
    assert messages == before


# ----------------------------------------------------------------------------------------------------------------------------------- the answer


def test_cumulative_output_becomes_deltas() -> None:
    assert read(
        {"output": "Why", "final": False, "citations": [], "status": "pending"},
        {"output": "Why did", "final": False, "citations": [], "status": "pending"},
        {"output": "Why did", "final": False, "citations": [], "status": "pending"},
        {"output": "Why did it?", "final": True, "citations": ["https://a"], "status": "completed"},
    ) == [TextDelta("Why"), TextDelta(" did"), TextDelta(" it?"), Citations(("https://a",)), Finish("stop")]


@pytest.mark.parametrize("name", ["r1-1776_query_progress", "sonar_query_progress", "perplexity_labs", "pplx-70b-online", "", "anything at all", 7])
def test_a_reply_is_known_by_its_fields_and_not_by_its_name(name: str | int) -> None:
    assert read({"output": "hi", "final": True}, name=name) == [TextDelta("hi"), Finish()]


@pytest.mark.parametrize(
    ("outputs", "parts"),
    [
        (["abc", "abd"], [TextDelta("abc"), TextReset("abd")]),
        (["abc", "ab"], [TextDelta("abc"), TextReset("ab")]),
        (["abc", ""], [TextDelta("abc"), TextReset("")]),
        (["abc", "", "abc"], [TextDelta("abc"), TextReset(""), TextDelta("abc")]),
        (["abc", "x", "xy"], [TextDelta("abc"), TextReset("x"), TextDelta("y")]),
        # An empty output is no news the first time and none the second: `<think>` must not come twice.
        (["", "", "<think>", "<think>ok"], [TextDelta("<think>"), TextDelta("ok")]),
        ([None, "a", None, "ab"], [TextDelta("a"), TextDelta("b")]),
        (["a😀", "a😀b"], [TextDelta("a😀"), TextDelta("b")]),
        # Cut in the middle of a character, as JavaScript does.
        (["a\ud83d", "a\ud83d\ude00b"], [TextDelta("a"), TextDelta("😀b")]),
        (["a\ud83d", "a\ud83dc", "a\ude00"], [TextDelta("a"), TextDelta("\ufffdc"), TextReset("a\ufffd")]),
    ],
)
def test_rewritten_shortened_and_empty_outputs(outputs: list[str | None], parts: list[Part]) -> None:
    assert read(*({"output": output} for output in outputs)) == parts


@pytest.mark.parametrize(
    "last",
    [
        {"final": True},
        {"final": True, "output": None, "citations": None, "status": None},
        {"final": True, "output": "hi"},
        {"final": 1},
        # A `final` of another type says nothing either way.
        {"final": "false", "status": "completed"},
        # Without `final` the status decides; with it, it does not.
        {"status": "completed"},
        {"final": None, "status": "completed", "output": "hi"},
        {"final": True, "status": "pending"},
    ],
)
def test_missing_fields_mean_no_news(last: dict[str, Any]) -> None:
    assert read({"output": "hi"}, last) == [TextDelta("hi"), Finish()]


@pytest.mark.parametrize(
    "reply",
    [{"status": "completed", "final": False}, {"status": "pending"}, {"final": False}, {"final": ""}, {"final": "false"}, {"final": "true"}, {}],
)
def test_what_does_not_end_an_answer(reply: dict[str, Any]) -> None:
    assert read({"output": "hi"}, reply) == [TextDelta("hi")]


def test_citations_come_when_they_change_even_if_the_final_reply_lacks_them() -> None:
    source = {"title": "A", "url": "https://a"}
    assert read(
        {"citations": []},
        {"output": "x", "citations": ["https://a"]},
        {"citations": ["https://a"]},
        {"citations": "https://a"},
        {"citations": ["https://a", source]},
        {"citations": None},
        {"final": True},
    ) == [TextDelta("x"), Citations(("https://a",)), Citations(("https://a", source)), Finish()]
    assert read({"citations": ["https://a"]}, {"citations": []}) == [Citations(("https://a",)), Citations(())]


def test_an_empty_answer_is_an_answer() -> None:
    assert read({"output": "", "final": True}) == [Finish()]


def test_nothing_follows_the_end() -> None:
    reader = AnswerReader()
    reader.receive(NAME, ({"output": "hi", "final": True},))
    assert reader.finished
    assert reader.receive(NAME, ({"output": "other"},)) == []
    assert reader.receive(NAME, ({"status": "failed", "text": "late"},)) == []
    assert reader.text == "hi"


@pytest.mark.parametrize(
    ("name", "args"),
    [
        (NAME, ()),
        (NAME, ("text",)),
        (NAME, (None,)),
        (NAME, ([{"output": "x", "final": True}],)),
        (NAME, (b"\x00\xff",)),
        (NAME, (7, {"output": "x", "final": True})),
        ("presence", ({"status": "online"},)),
        ("presence", ({},)),
        ("presence", ()),
    ],
)
def test_events_that_are_no_reply_bring_nothing(name: str, args: tuple[Any, ...]) -> None:
    reader = AnswerReader()
    assert reader.receive(name, args) == []
    assert reader.replies == 0
    assert reader.receive(NAME, ({"output": "hi", "final": True},)) == [TextDelta("hi"), Finish()]
    assert reader.replies == 1


def test_a_reply_under_a_reply_name_counts_even_if_its_fields_are_unknown() -> None:
    reader = AnswerReader()
    assert reader.receive(NAME, ({"progress": 3},)) == []
    assert reader.replies == 1


# ---------------------------------------------------------------------------------------------------------------------------------- the failures


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ({"status": "failed", "text": "Too many requests\n"}, "Too many requests"),
        ({"status": "failed", "error": "no such model"}, "no such model"),
        ({"status": "failed", "text": "  ", "message": "busy"}, "busy"),
        ({"status": "failed", "error": {"message": " overloaded\n", "code": 3}}, "overloaded"),
        ({"status": "failed", "error": {"message": ""}, "message": "busy"}, "busy"),
        ({"status": "failed", "text": {"code": 3}}, "the server says that the answer failed, and gives no reason"),
        ({"status": "failed", "final": True}, "the server says that the answer failed, and gives no reason"),
    ],
)
@pytest.mark.parametrize("name", [NAME, "perplexity_labs", "error"])
def test_a_failed_answer_is_an_error_with_the_servers_words_and_the_text_so_far(name: str, reply: dict[str, Any], message: str) -> None:
    reader = AnswerReader()
    reader.receive(NAME, ({"output": "Once upon"},))
    with pytest.raises(ResponseError) as caught:
        reader.receive(name, (reply,))
    assert type(caught.value) is ServiceError
    assert caught.value.message == str(caught.value) == message
    assert caught.value.cause == "answer-failed"
    assert caught.value.partial == "Once upon"
    assert caught.value.raw == reply
    assert reader.finished
    assert reader.receive(NAME, ({"output": "Once upon a time", "final": True},)) == []


def test_what_the_failing_reply_itself_said_is_in_the_partial_text() -> None:
    reader = AnswerReader()
    reader.receive(NAME, ({"output": "Once"},))
    with pytest.raises(ResponseError) as caught:
        reader.receive(NAME, ({"output": "Once upon", "status": "failed", "text": "out of ink"},))
    assert caught.value.partial == "Once upon"


def test_a_long_reason_is_cut() -> None:
    with pytest.raises(ResponseError) as caught:
        read({"status": "failed", "text": "x" * 100_000})
    assert len(caught.value.message) == 2000


def test_an_end_without_any_output_says_which_keys_were_seen() -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        read({"answer": "hi", "done": False}, {"answer": "hi there", "final": True})
    assert str(caught.value) == (
        "the answer ended without any text: expected `output`, saw keys 'answer', 'done', 'final' in 'r1-1776_query_progress'"
    )
    assert caught.value.cause == "answer-unexpected"
    assert caught.value.raw == {"answer": "hi there", "final": True}
    assert isinstance(caught.value, ResponseError)


def test_many_keys_and_long_keys_are_elided() -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        read({"final": True, "k" * 1000: 0, **{f"key{n}": n for n in range(100)}})
    assert str(caught.value).endswith(f"'key{MAX_QUOTED_KEYS - 3}', … in 'r1-1776_query_progress'")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("output", [["hi"], {"text": "hi"}, 3, False, 0, b"hi"])
def test_an_output_that_is_no_text_is_an_error_and_keeps_the_text_so_far(output: Any) -> None:
    reader = AnswerReader()
    reader.receive(NAME, ({"output": "Once"},))
    with pytest.raises(UnexpectedResponse, match=f"expected `output` to be text, got {type(output).__name__}") as caught:
        reader.receive(NAME, ({"output": output},))
    assert caught.value.partial == "Once"
    assert reader.finished


# --------------------------------------------------------------------------------------------------------------------------------------- the laws


def apply(parts: list[Part]) -> str:
    text = ""
    for part in parts:
        match part:
            case TextDelta(delta):
                assert delta
                text += delta
            case TextReset(whole):
                assert not whole.startswith(text)
                text = whole
            case _:
                pass
    return text


def outputs() -> st.SearchStrategy[list[str | None]]:
    """Growing, shrinking and rewritten texts over a small alphabet, so that prefixes happen, with gaps and halves of characters."""
    return st.lists(st.none() | st.text("ab<\ud83d\ude00", max_size=5) | st.text(max_size=3), max_size=12)


@given(outputs())
def test_applying_the_parts_gives_the_servers_last_output(texts: list[str | None]) -> None:
    reader = AnswerReader()
    seen: list[Part] = []
    for text in texts:
        seen += reader.receive(NAME, ({"output": text},))
        assert apply(seen) == reader.text
    whole = next((text for text in reversed(texts) if text is not None), "")
    assert reader.text == Mender().feed(whole)
    assert apply(seen + reader.receive(NAME, ({"output": whole, "final": True},))) == mend(whole)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["output", "final", "citations", "status", "text", "other"])
PAYLOADS = st.dictionaries(FIELDS, JSON_VALUES | st.sampled_from(["failed", "completed", "pending", True])) | JSON_VALUES
NAMES: st.SearchStrategy[str | float] = st.sampled_from([NAME, "perplexity_labs", "x"]) | st.text(max_size=3) | st.integers() | st.floats()


@given(st.lists(st.tuples(NAMES, st.lists(PAYLOADS, max_size=2)), max_size=10))
def test_any_events_at_all_give_parts_or_a_response_error(events: list[tuple[str | float, list[Any]]]) -> None:
    reader = AnswerReader()
    seen: list[Part] = []
    error: ResponseError | None = None
    try:
        for name, args in events:
            seen += reader.receive(name, args)
    except ResponseError as caught:
        error = caught
    if error is not None:
        assert error.partial == reader.text
        assert reader.finished
        assert Finish() not in seen
    else:
        assert apply(seen) == reader.text
        assert [part for part in seen if isinstance(part, Finish)] == ([Finish()] if reader.finished else [])
        assert not reader.finished or seen[-1] == Finish()


CONTENT = st.text(max_size=5) | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5)}), max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": CONTENT}), min_size=1, max_size=6)


@given(MESSAGES)
def test_no_text_of_a_question_is_lost_and_roles_alternate(messages: list[dict[str, Any]]) -> None:
    sent = encode_request(messages)["messages"]
    texts = [m["content"] if isinstance(m["content"], str) else "".join(part["text"] for part in m["content"]) for m in messages]
    rest = "\n\n".join(message["content"] for message in sent)
    assert rest == "\n\n".join(texts)
    assert all(before["role"] != after["role"] for before, after in pairwise(sent))
    json.dumps(sent)


def test_parts_are_frozen_and_name_their_kind_in_json() -> None:
    parts: list[Part] = [TextDelta("a"), TextReset("b"), Citations(("c",)), Finish()]
    assert [msgspec.to_builtins(part) for part in parts] == [
        {"type": "text_delta", "text": "a", "index": 0},
        {"type": "text_reset", "text": "b", "index": 0},
        {"type": "citations", "items": ("c",)},
        {"type": "finish", "reason": "stop", "index": 0},
    ]
    with pytest.raises(AttributeError):
        parts[0].text = "changed"  # type: ignore[union-attr, misc]
