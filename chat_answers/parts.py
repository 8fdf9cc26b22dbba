"""What an answer consists of, whoever gives it and whatever carries it: the words that both adapters speak.

A chat service streams its answer in one of many dialects; an adapter reads one of them and yields these values, in the order in which a reader should
see them. They are plain data: frozen, comparable, and written as JSON with a ``type`` (`msgspec.to_builtins`).

The rules that every adapter keeps, so that nobody needs to know which one is behind an answer:

- A delta is never empty. Text, reasoning and arguments are appended; what was said is taken back only by `TextReset`.
- `index` numbers the answers to one question, where a service gives several at once (``n``); it is 0 where there is only one.
- `Finish` comes exactly once for each of them, after everything that belongs to it. What concerns the whole, `Usage` and the last word on the
  sources, may follow it. An answer that breaks off has no `Finish` but an error.
- Text is text: no part holds half of a surrogate pair, even if the service cut one in two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict of the same."""


class TextDelta(msgspec.Struct, frozen=True, gc=False, tag="text_delta"):
    """The answer goes on: append `text`, which is never empty."""

    text: str
    index: int = 0


class TextReset(msgspec.Struct, frozen=True, tag="text_reset"):
    """The service rewrote its answer: forget the text so far, `text` is the whole of it (and may be empty)."""

    text: str
    index: int = 0


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning_delta"):
    """The model thinks aloud, which is not part of its answer: append `text` to the reasoning; it is never empty."""

    text: str
    index: int = 0


class ToolCallDelta(msgspec.Struct, frozen=True, tag="tool_call_delta"):
    """A tool call grows: append `arguments`, a piece of a JSON text, which may be empty where only the name is news.

    `position` numbers the calls of one answer from 0; `id` and `name` are what is known of them by now, None while it is not.
    """

    position: int
    id: str | None
    name: str | None
    arguments: str
    index: int = 0


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """A tool call is complete, said right before the `Finish` of its answer.

    `arguments` is the text that the model wrote, usually of a JSON object. It is not read here, because it may be no JSON at all.
    """

    position: int
    id: str | None
    name: str | None
    arguments: str
    index: int = 0


class Citations(msgspec.Struct, frozen=True, tag="citations"):
    """The sources of the answer changed: `items` is the whole list, usually of URLs, in the order in which the text numbers them from 1."""

    items: tuple[JSON, ...]


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """What the answer cost, in tokens, said once at the end; None where the service does not say. `details` is all that it said."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    details: Mapping[str, JSON] = {}


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """An answer is complete. `reason` is the service's word: ``stop``, ``length``, ``tool_calls``, ``content_filter``, or another."""

    reason: str = "stop"
    index: int = 0


class RawChunk(msgspec.Struct, frozen=True, tag="raw_chunk"):
    """A chunk as the service sent it, told before what was read in it; only for those who asked for it."""

    data: JSON


Part: TypeAlias = TextDelta | TextReset | ReasoningDelta | ToolCallDelta | ToolCall | Citations | Usage | Finish | RawChunk
"""What an answer consists of. Later versions may add kinds, so leave a ``case _`` in a ``match``."""
