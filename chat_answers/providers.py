"""The call shape that programs for chat services have grown used to: a class for each service, and one generator of mixed values.

    async for chunk in SomeService.create_async_generator(model, messages, proxy=None): ...

yields text as `str`, then `Sources` if there are any, then `FinishReason`, and raises `ResponseError`. The adapters offer it as thin classes, for
those who have code of that shape; new code is better served by their clients, whose parts say more.

Here is what those classes share: the two values, the translation of parts, and two attributes that are worked out when they are read. `Url` is the
service's address, which the environment or an assignment to the class may change, and `Working` tells whether it is one that a user gave: the
services that these classes were first written for are gone, so their own addresses never count as working.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from urllib.parse import urlsplit

import msgspec

from chat_answers.parts import JSON, Citations, Finish, Part, ReasoningDelta, TextDelta, TextReset, ToolCall


class Sources(msgspec.Struct, frozen=True):
    """The sources of an answer, in the order in which the text numbers them from 1; as text, one line each."""

    citations: Sequence[JSON]

    def __str__(self) -> str:
        return "\n".join(f"[{number}] {name_source(source)}" for number, source in enumerate(self.citations, 1))


class FinishReason(msgspec.Struct, frozen=True):
    """Why an answer ended: ``stop``, ``length``, ``tool_calls``, ``content_filter``, or another of the service's words."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Chunk = str | Sources | FinishReason | ReasoningDelta | TextReset | ToolCall
"""What such a generator yields."""


async def chunks(parts: AsyncIterator[Part]) -> AsyncGenerator[Chunk, None]:
    """Translate parts: deltas become `str`; the last list of sources comes before the end; the end comes last.

    What text cannot say is passed on as the part that it is: a thought, a text that was taken back (`TextReset`), a tool call. Only the first of
    several answers is told, and the usage is not.
    """
    sources: tuple[JSON, ...] = ()
    finish: Finish | None = None
    async for part in parts:
        match part:
            case TextDelta(text, 0):
                yield text
            case Citations(items):
                sources = items
            case Finish(_, 0):
                finish = part
            case ReasoningDelta(_, 0) | TextReset(_, 0):
                yield part
            case ToolCall() if part.index == 0:
                yield part
    if sources:
        yield Sources(list(sources))
    if finish is not None:
        yield FinishReason(finish.reason)


class Url:
    """A class attribute: the address in the environment variable, else the retired service's; assigning to the class replaces it."""

    def __init__(self, variable: str, retired: str | None) -> None:
        self.variable = variable
        self.retired = retired

    def __get__(self, instance: object, owner: type) -> str | None:
        return os.environ.get(self.variable) or self.retired


class Working:
    """A class attribute: whether ``url`` is an address that a user gave, in the environment or by assigning it."""

    def __init__(self, retired: str | None) -> None:
        self.retired = retired

    def __get__(self, instance: object, owner: type) -> bool:
        url: str | None = (instance or owner).url  # type: ignore[attr-defined]  # it stands beside `url`
        return bool(url) and not is_at(url, self.retired)


def is_at(url: str | None, service: str | None) -> bool:
    """Whether a URL leads to the host of a service, whatever the rest of it says."""
    try:
        return url is not None and service is not None and urlsplit(url).hostname == urlsplit(service).hostname
    except ValueError:
        return False  # it leads nowhere


def name_source(source: JSON) -> str:
    """Name one source: its URL, if it has one, else all that is known of it, as JSON."""
    url = source.get("url") if isinstance(source, dict) else source
    # The standard library: it takes whatever a service may have sent, half surrogate pairs included.
    return url if isinstance(url, str) else json.dumps(source, ensure_ascii=False, separators=(",", ":"))
