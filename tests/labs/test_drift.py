"""What is said about a server whose dialect has drifted away: which fields were expected, which were seen, and never more than a line of it."""

from __future__ import annotations

from typing import Any

import pytest

from perplexity_labs import AnswerReader, UnexpectedResponse
from perplexity_labs.drift import MAX_NOTED_EVENTS

NAME = "sonar_query_progress"
Event = tuple[str, tuple[Any, ...]]


def drift(*events: Event) -> str:
    reader = AnswerReader()
    for name, args in events:
        reader.receive(name, args)
    return reader.drift()


@pytest.mark.parametrize(
    "events",
    [
        [],
        [(NAME, ({"output": ""},)), (NAME, ({"status": "pending"},))],
        [(NAME, ({"output": "hi", "final": False, "citations": []},))],
        [("anything", ({"output": "hi", "status": "pending", "citations": None, "extra": 1},))],
        [(NAME, ({"output": "hi", "final": True},)), ("news", ())],
    ],
)
def test_what_is_as_expected_needs_no_words(events: list[Event]) -> None:
    assert drift(*events) == ""


@pytest.mark.parametrize(
    ("events", "words"),
    [
        # Another field for the text, another for the end, both.
        ([(NAME, ({"answer": "hi", "final": False},))], "expected `output`, saw keys 'answer', 'final' in 'sonar_query_progress'"),
        ([("x", ({"output": "hi"},)), ("y", ({"output": "hi!", "done": True},))], "expected `final`, saw keys 'output', 'done' in 'x', 'y'"),
        ([(NAME, ({"answer": "hi", "done": 1},))], "expected `output` and `final`, saw keys 'answer', 'done' in 'sonar_query_progress'"),
        ([(NAME, ({},))], "expected `output` and `final`, saw no keys in 'sonar_query_progress'"),
        # The end is said with another word.
        (
            [(NAME, ({"output": "hi", "status": "done"},))],
            "expected `final`, saw keys 'output', 'status' in 'sonar_query_progress', with the status 'done'",
        ),
        # Other types.
        ([(NAME, ({"output": "hi", "final": "no"},))], "expected `final` to be true or false, got str"),
        ([(NAME, ({"output": "hi", "final": False, "citations": {"1": "https://a"}},))], "expected `citations` to be a list, got dict"),
        ([(NAME, ({"output": "hi", "final": False, "status": 3},))], "expected `status` to be text, got int"),
        # Another name and other fields: it cannot be told from other subjects.
        (
            [("answer", ({"delta": "h", "n": 1},)), ("answer", ({"delta": "i", "n": 2},))],
            "these events are no reply: 'answer' with keys 'delta', 'n'",
        ),
        (
            [("a", ()), ("b", (None,)), ("c", ([],)), ("d", (1.5,)), ("e", ({},))],
            "these events are no reply: 'a' with no payload, 'b' with null, 'c' with list, 'd' with float, 'e' with no keys",
        ),
        # All at once.
        (
            [(NAME, ({"answer": "hi", "citations": "https://a", "final": False},)), ("news", ("today",))],
            "expected `output`, saw keys 'answer', 'citations', 'final' in 'sonar_query_progress'; expected `citations` to be a list, got str; "
            "these events are no reply: 'news' with str",
        ),
    ],
)
def test_what_changed_is_named(events: list[Event], words: str) -> None:
    assert drift(*events) == words


def test_an_output_of_another_type_is_an_error_at_once_with_the_whole_report() -> None:
    reader = AnswerReader()
    reader.receive("news", ())
    with pytest.raises(UnexpectedResponse) as caught:
        reader.receive(NAME, ({"output": ["hi"], "final": False},))
    assert caught.value.message == "expected `output` to be text, got list; these events are no reply: 'news' with no payload"


def test_a_report_is_bounded_whatever_comes() -> None:
    events: list[Event] = [(f"{n}{'x' * 1000}", ({f"{n}{'k' * 1000}": "v" * 1000},)) for n in range(1000)]
    replies: list[Event] = [(f"{n}{'y' * 1000}_query_progress", ({f"{n}{'k' * 1000}": "v" * 1000, "status": "s" * 1000},)) for n in range(1000)]
    report = drift(*events, *replies)
    assert report.count("with keys") == MAX_NOTED_EVENTS
    assert "vvv" not in report
    assert len(report) < 5000
