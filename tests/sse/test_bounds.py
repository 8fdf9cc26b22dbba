"""No stream takes more time than its length is worth, and none takes more memory than the limit."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

import pytest

from tests.linear import takes_linear_time
from tests.sse.decoding import pieces
from ylokh_sse.decoder import EventTooLarge, SSEDecoder

# --- time

MIB = 1024 * 1024
SIZE = 50_000_000
"""Bytes of the shorter one of two lines. Much less, and the allocator would keep the memory of the last one for it, and ask the system anew for the
longer one: then its pages decide."""

Stream = Callable[[int], Iterable[bytes]]
"""The chunks of a stream of so many bytes. They are made as they are read, so that a long stream takes no memory."""


def _decode(chunks: Iterable[bytes]) -> None:
    decoder = SSEDecoder(max_event_bytes=200 * MIB)
    feed = decoder.feed
    for chunk in chunks:
        feed(chunk)
    decoder.close()


def _line(size: int, chunk: int, head: bytes = b"data: ") -> Iterator[bytes]:
    return chain([head], repeat(b"x" * chunk, size // chunk), [b"\n\n"])


@pytest.mark.parametrize("chunk", [64 * 1024, 1024])
def test_a_hundred_megabytes_of_one_line_take_twice_as_long_as_fifty(chunk: int) -> None:
    assert takes_linear_time(lambda size: _decode(_line(size, chunk)), SIZE, 2 * SIZE, times=2)


STREAMS: dict[str, Stream] = {
    "a line in tiny chunks": lambda size: _line(size, 2),
    "a comment in small chunks": lambda size: _line(size, 16, b": "),
    "a type in small chunks": lambda size: _line(size, 16, b"event: "),
    "digits": lambda size: _line(size, 16, b"retry: 1"),
    "data lines, one a chunk": lambda size: repeat(b"data: abcdefghi\n", size // 16),
    "data lines without a value": lambda size: repeat(b"data\n" * 100, size // 500),
    "data lines, cut in their names": lambda size: repeat(b"ta: abcdefghi\nda", size // 16),
    "types, one a chunk": lambda size: repeat(b"event: abcdefgh\n", size // 16),
    "blank lines": lambda size: repeat(b"\n" * 1000, size // 1000),
    "line ends of two, cut apart": lambda size: chain.from_iterable(repeat((b"data: abcdefghi\r", b"\n"), size // 17)),
    "blocks of the usual kind in one chunk": lambda size: [b"data: abcd\n\n" * (size // 12)],
    "blocks of two lines in one chunk": lambda size: [b"event: e\ndata: ab\n\n" * (size // 19)],
    "blocks of which the last is odd, in one chunk": lambda size: [b"data: abcd\n\n" * (size // 12) + b"id: 1\n\n"],
    "blocks of which every second is odd": lambda size: pieces(b"data: abcd\n\ndata:abcde\n\n" * (size // 24), 4096),
}


@pytest.mark.parametrize("name", STREAMS)
def test_time_is_linear(name: str) -> None:
    assert takes_linear_time(lambda size: _decode(STREAMS[name](size)), 150_000, 600_000, times=4)


# --- memory

LIMIT = 64 * 1024
CHUNK = 1000

SLACK = 16 * 1024
"""Bytes for the decoder itself, a chunk or two, and a comment or a line before it is looked at."""

MANY = 4 * LIMIT // CHUNK
"""Chunks that together are well beyond the limit."""


def _measured(chunks: Iterable[bytes]) -> tuple[int, int, bool]:
    """The most bytes that were held at any moment, those held in the end, and whether it ended with an error."""
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for chunk in chunks:
            assert decoder.feed(chunk) == []
            if decoder.error is not None:
                break
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before, after - before, decoder.error is not None


TOO_LARGE: dict[str, Callable[[], Iterable[bytes]]] = {
    "a line": lambda: chain([b"data: "], repeat(b"x" * CHUNK, MANY)),
    "a line that nobody knows": lambda: repeat(b"x" * CHUNK, MANY),
    "a type": lambda: chain([b"event: "], repeat(b"x" * CHUNK, MANY)),
    "data lines": lambda: repeat(b"data: abcdefghi\n" * (CHUNK // 16), MANY),
    "data lines without a value": lambda: repeat(b"data\n" * (CHUNK // 5), 5 * MANY),
    "data lines and comments": lambda: repeat(b"data: " + b"a" * CHUNK + b"\n:" + b"x" * CHUNK + b"\n", MANY),
}

ENDLESS: dict[str, Callable[[], Iterable[bytes]]] = {
    "a comment": lambda: chain([b":"], repeat(b"x" * CHUNK, MANY)),
    "comments": lambda: repeat(b": x\n" * (CHUNK // 4), MANY),
    "types": lambda: repeat(b"event: x\n" * (CHUNK // 9), MANY),
    "ids": lambda: repeat(b"id: x\n" * (CHUNK // 6), MANY),
    "lines that nobody knows": lambda: repeat(b"xxxxxxx\n" * (CHUNK // 8), MANY),
    "blocks without data": lambda: repeat(b"id: x\n\n" * (CHUNK // 7), MANY),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_event_that_does_not_end_is_given_up_at_the_limit(name: str) -> None:
    peak, left, failed = _measured(TOO_LARGE[name]())
    assert failed
    # A buffer that grows is for a moment there twice, and has an eighth in reserve.
    assert peak < 2.5 * LIMIT + SLACK
    assert left < 4096


@pytest.mark.parametrize("name", ENDLESS)
def test_what_is_no_part_of_an_event_may_go_on_for_ever(name: str) -> None:
    peak, left, failed = _measured(ENDLESS[name]())
    assert not failed
    assert peak < 2 * SLACK
    assert left < SLACK


def test_nothing_is_held_and_nothing_is_read_after_the_error() -> None:
    decoder = SSEDecoder(max_event_bytes=LIMIT)
    decoder.feed(b"id: 1\nretry: 5\n\nid: 2\ndata: " + b"x" * LIMIT)
    tracemalloc.start()
    try:
        for _ in range(MANY):
            with pytest.raises(EventTooLarge):
                decoder.feed(b"id: 3\nretry: 6\n:\ndata: a\n\n" * 40)
        gc.collect()  # the frames that the caught errors have seen
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (decoder.last_event_id, decoder.retry, decoder.comments) == ("1", 5, 0)
    assert left < SLACK
