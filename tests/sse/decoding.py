"""What the tests of event streams share: a stream read in chunks, all that can be seen of it, and the shared vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ylokh_sse.decoder import DEFAULT_MAX_EVENT_BYTES, EventTooLarge, ServerSentEvent, SSEDecoder

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "sse_vectors.json").read_text(encoding="utf-8"))
"""Streams and what the standard makes of them: the facts of the web platform tests' format tests, of its own examples, and of chat servers."""


class Outcome(NamedTuple):
    """All that a caller sees of a stream; `dropped` is None where an event was too large."""

    events: list[ServerSentEvent]
    last_event_id: str
    retry: int | None
    comments: int
    dropped: bool | None


def read(chunks: Iterable[bytes], limit: int = DEFAULT_MAX_EVENT_BYTES) -> Outcome:
    """Decode a stream with the plain loop; every error but the documented one escapes."""
    decoder = SSEDecoder(max_event_bytes=limit)
    events: list[ServerSentEvent] = []
    dropped = None
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        dropped = decoder.close()
    except EventTooLarge:
        pass
    return Outcome(events, decoder.last_event_id, decoder.retry, decoder.comments, dropped)


def pieces(stream: bytes, size: int, *, blanks: bool = False) -> Iterator[bytes]:
    """Cut a stream into pieces of one size; with `blanks`, an empty chunk follows each."""
    for start in range(0, len(stream), size):
        yield stream[start : start + size]
        if blanks:
            yield b""


def name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def whole(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex("".join(vector["chunks"]))


def expected(vector: dict[str, Any]) -> tuple[list[ServerSentEvent], str, int | None]:
    """The events, the last event id and the reconnection time in the end."""
    events = [ServerSentEvent(**event) for event in vector["expected_events"]]
    return events, vector["final_last_event_id"], vector["final_retry"]
