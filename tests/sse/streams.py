"""Streams of chunks for tests: how one is written down, and how it is read.

Every stream is read twice, because the reader has a short cut for common chunks: asking for the raw chunks switches it off. The two must agree, about
errors too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from chat_answers import Collector, Completion, Part, RawChunk, ResponseError
from ylokh_sse.completions import CompletionReader


class Event(NamedTuple):
    """As much of a server-sent event as is read here."""

    data: str
    event: str = "message"


Source = Event | str | dict[str, Any] | list[Any]
"""An event, its data as text, or its data as a value."""

DONE = "[DONE]"


def event(source: Source) -> Event:
    if isinstance(source, Event):
        return source
    return Event(source if isinstance(source, str) else json.dumps(source))


def named(name: str, source: Source) -> Event:
    return Event(event(source).data, name)


def choice(finish: str | None = None, index: int | None = 0, **delta: object) -> dict[str, Any]:
    return ({} if index is None else {"index": index}) | {"delta": delta, "logprobs": None, "finish_reason": finish}


def chunk(*choices: object, **fields: object) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(choices), **fields}


def said(text: object, **fields: object) -> dict[str, Any]:
    return chunk(choice(content=text), **fields)


def finished(reason: str = "stop", **fields: object) -> dict[str, Any]:
    return chunk(choice(reason), **fields)


class Told(NamedTuple):
    """What a stream brought: parts, and the error that it ended with."""

    parts: list[Part]
    error: ResponseError | None
    reader: CompletionReader

    @property
    def outcome(self) -> tuple[Any, ...]:
        error = self.error
        failure = None if error is None else (type(error), str(error), error.partial, error.cause, vars(error).get("raw"))
        return self.parts, failure, self.reader.text, self.reader.done, self.reader.skipped, self.reader.complete


def play(sources: Iterable[Source], *, dropped: bool = False, **options: Any) -> Told:
    """Read a stream to its end, with the short cut and without it."""
    sources = list(sources)
    told = _play(sources, dropped, CompletionReader(**options))
    assert told.outcome == _play(sources, dropped, CompletionReader(raw_chunks=True, **options)).outcome, "the short cut tells something else"
    return told


def _play(sources: list[Source], dropped: bool, reader: CompletionReader) -> Told:
    parts: list[Part] = []
    error = None
    try:
        for source in sources:
            parts += reader.receive(event(source))
        parts += reader.end(dropped=dropped)
    except ResponseError as failure:
        error = failure
        assert reader.receive(event(said("more"))) == reader.end() == [], "something is told after an error"
    return Told([part for part in parts if not isinstance(part, RawChunk)], error, reader)


def tell(*sources: Source, dropped: bool = False, **options: Any) -> list[Part]:
    """Read a stream that has no error."""
    told = play(sources, dropped=dropped, **options)
    if told.error is not None:
        raise told.error
    return told.parts


def complete(*sources: Source, **options: Any) -> Completion:
    return Collector(tell(*sources, **options)).completion()


def fail(*sources: Source, dropped: bool = False, **options: Any) -> ResponseError:
    """Read a stream that ends with an error."""
    told = play(sources, dropped=dropped, **options)
    assert told.error is not None, f"no error, but {told.parts}"
    return told.error
