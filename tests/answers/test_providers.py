"""The call shape of old: text, then sources, then the end; and the two attributes that are worked out when they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from chat_answers import Citations, Finish, FinishReason, Part, ReasoningDelta, Sources, TextDelta, TextReset, ToolCall, ToolCallDelta, Usage
from chat_answers.providers import Chunk, Url, Working, chunks, is_at


async def translate(parts: Iterable[Part]) -> list[Chunk]:
    async def given() -> AsyncIterator[Part]:
        for part in parts:
            yield part

    return [chunk async for chunk in chunks(given())]


async def test_text_comes_first_then_the_last_sources_then_the_end() -> None:
    parts: list[Part] = [Citations(("u",)), TextDelta("Hel"), Finish("length"), Citations(("u", "v")), TextDelta("lo"), Usage(1, 2, 3)]
    assert await translate(parts) == ["Hel", "lo", Sources(["u", "v"]), FinishReason("length")]


async def test_without_sources_and_end_there_is_only_text() -> None:
    assert await translate([TextDelta("a")]) == ["a"]
    assert await translate([Citations(("u",)), Citations(()), Finish()]) == [FinishReason("stop")]
    assert await translate([]) == []


async def test_what_text_cannot_say_is_passed_on() -> None:
    thought, reset, call = ReasoningDelta("Hm."), TextReset("B"), ToolCall(0, "x", "f", "{}")
    assert await translate([thought, TextDelta("a"), reset, ToolCallDelta(0, "x", "f", "{}"), call]) == [thought, "a", reset, call]


async def test_only_the_first_of_several_answers_is_told() -> None:
    others: list[Part] = [TextDelta("b", 1), ReasoningDelta("c", 1), TextReset("d", 1), ToolCall(0, "x", "f", "{}", 1), Finish("length", 1)]
    assert await translate([*others, TextDelta("a"), Finish("stop")]) == ["a", FinishReason("stop")]


async def test_an_error_comes_after_the_text_before_it() -> None:
    async def failing() -> AsyncIterator[Part]:
        yield TextDelta("a")
        raise ZeroDivisionError

    translated = chunks(failing())
    assert await anext(translated) == "a"
    with pytest.raises(ZeroDivisionError):
        await anext(translated)


def test_sources_are_numbered_as_the_text_does() -> None:
    assert str(Sources(["https://a", {"url": "https://b", "title": "B"}, {"title": "C"}, 4])) == (
        '[1] https://a\n[2] https://b\n[3] {"title":"C"}\n[4] 4'
    )
    assert str(FinishReason("stop")) == "stop"


def test_an_address_comes_from_the_environment_or_is_the_retired_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service:
        url = Url("SERVICE_URL_FOR_TESTS", "https://retired.example")
        working = Working("https://retired.example")

    monkeypatch.delenv("SERVICE_URL_FOR_TESTS", raising=False)
    assert (Service.url, Service.working) == ("https://retired.example", False)
    monkeypatch.setenv("SERVICE_URL_FOR_TESTS", "http://127.0.0.1:8000")
    assert (Service.url, Service.working, Service().working) == ("http://127.0.0.1:8000", True, True)
    monkeypatch.setenv("SERVICE_URL_FOR_TESTS", "")
    assert (Service.url, Service.working) == ("https://retired.example", False)


def test_an_address_can_be_assigned() -> None:
    class Service:
        url: Url | str = Url("SERVICE_URL_FOR_TESTS", None)
        working = Working(None)

    one = Service()
    seen = [Service.working, one.working]
    Service.url = "http://127.0.0.1:8000"
    seen += [Service.working, one.working]
    one.url = ""
    seen += [Service.working, one.working]
    assert seen == [False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("url", "there"),
    [("https://gone.example", True), ("http://GONE.example:8/v1", True), ("https://here.example", False), ("http://[", False), (None, False)],
)
def test_an_address_of_the_retired_service_is_known_in_every_form(url: str | None, there: bool) -> None:
    assert is_at(url, "https://gone.example") is there
    assert not is_at(url, None)
