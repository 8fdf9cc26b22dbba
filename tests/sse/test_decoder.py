"""The decoder's contract beyond the vectors: when events come, what the end drops, errors, and what it takes for bytes."""

from __future__ import annotations

import traceback

import pytest

from tests.sse.decoding import read
from ylokh_sse.decoder import DEFAULT_MAX_EVENT_BYTES, MAX_RETRY_DIGITS, DecoderClosed, EventTooLarge, ServerSentEvent, SSEDecoder

# --- events


def test_an_event_is_a_value() -> None:
    event = ServerSentEvent("message", "a", "7", 30)
    assert event == ServerSentEvent(data="a", id="7", retry=30)
    assert event != ServerSentEvent(data="b", id="7", retry=30)
    assert hash(event) == hash(ServerSentEvent(data="a", id="7", retry=30))
    assert repr(event) == "ServerSentEvent(event='message', data='a', id='7', retry=30)"
    with pytest.raises(AttributeError):
        event.data = "b"  # type: ignore[misc]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_an_event_comes_with_the_byte_that_completes_it(line_end: bytes) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a" + line_end) == []
    assert decoder.feed(line_end[:1]) == [ServerSentEvent(data="a")]
    assert decoder.feed(line_end[1:] + b"data: b" + line_end + line_end) == [ServerSentEvent(data="b")]


def test_the_state_of_the_stream_follows_what_was_fed() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\nretry: 20\n: c")
    # `retry` holds from its line on, an id from the end of its block, and a comment counts when it is whole.
    assert (decoder.last_event_id, decoder.retry, decoder.comments) == ("", 20, 0)
    assert decoder.feed(b"\n\n") == []
    assert (decoder.last_event_id, decoder.retry, decoder.comments) == ("1", 20, 1)
    assert decoder.feed(b"data: a\n\n") == [ServerSentEvent(data="a", id="1", retry=None)]


@pytest.mark.parametrize("block", [b"data: a\n\n", b"event: message\ndata: a\n\n", b"data:a\n\n"])
def test_the_last_id_goes_with_every_event(block: bytes) -> None:
    assert read([b"id: 7\n\n" + block * 3]).events == [ServerSentEvent(data="a", id="7")] * 3


def test_odd_blocks_among_the_usual_ones_lose_nothing_and_keep_their_order() -> None:
    usual = [b"data: %d\n\n" % number for number in range(5)]
    odd = [b"event: x\ndata: a\n\n", b"id: 1\ndata: b\n\n", b": c\n\n", b"\n", b"data: d\ndata: e\n\n", b"event: y\n\n", b"event:\ndata: f\n\n"]
    for number, block in enumerate(odd):
        stream = b"".join([*usual[:3], block, *usual[3:]])
        lines = read([line + b"\n" for line in stream.split(b"\n")])
        assert read([stream]).events == lines.events, number
        assert [event.data for event in lines.events if event.data.isdigit()] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("digits", "retry"),
    [
        (b"9" * MAX_RETRY_DIGITS, 10**MAX_RETRY_DIGITS - 1),
        (b"1" + b"0" * MAX_RETRY_DIGITS, 10**MAX_RETRY_DIGITS - 1),
        (b"7" * 100_000, 10**MAX_RETRY_DIGITS - 1),
        (b"0" * 100_000 + b"5", 5),
        (b"0" * 5000, 0),
    ],
    ids=["largest", "one more", "very long", "leading zeros", "nothing but zeros"],
)
def test_no_number_is_too_long_for_retry(digits: bytes, retry: int) -> None:
    assert read([b"retry: " + digits + b"\ndata: a\n\n"]).events == [ServerSentEvent(data="a", retry=retry)]


# --- text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        # The tables of the Unicode standard on maximal subparts, section 3.9 (D93b).
        ("61 f1 80 80 e1 80 c2 62 80 63 80 bf 64", "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd"),
        ("c0 af e0 80 bf f0 81 82 41", "\ufffd" * 8 + "A"),
        ("ed a0 80 ed bf bf ed af 41", "\ufffd" * 8 + "A"),
        ("f4 91 92 93 ff 41 80 bf 42", "\ufffd" * 5 + "A\ufffd\ufffdB"),
        ("e1 80 e2 f0 91 92 f1 bf 41", "\ufffd" * 4 + "A"),
        # What a line end cuts short.
        ("f0 9f 99", "\ufffd"),
        ("c3", "\ufffd"),
    ],
)
@pytest.mark.parametrize(
    "block", [b"data: %b\n\n", b"event: message\ndata: %b\n\n", b"data: %b\nretry\n\n"], ids=["short way", "of two", "line by line"]
)
def test_what_is_not_utf8_is_replaced_once_for_each_maximal_subpart(raw: str, text: str, block: bytes) -> None:
    stream = block % bytes.fromhex(raw)
    assert read([stream]).events == [ServerSentEvent(data=text)]
    assert read([stream * 2]).events == [ServerSentEvent(data=text)] * 2


def test_types_and_ids_are_text_too() -> None:
    assert read([b"event: \xd0\xb6\xff\nid: \xe2\x80\xa8\xff\ndata: a\n\n"]).events == [ServerSentEvent("ж\ufffd", "a", "\u2028\ufffd")]


# --- what may be fed


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_chunks_may_be_any_bytes(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(kind(b"\xef\xbb\xbfdata: ")) == []
    assert decoder.feed(kind(b"a\n\ndata: b")) == [ServerSentEvent(data="a")]
    assert decoder.feed(kind(b"\n\n")) == [ServerSentEvent(data="b")]


def test_a_chunk_that_is_reused_changes_nothing_that_was_read() -> None:
    decoder = SSEDecoder()
    chunk = bytearray(b"data: a")
    assert decoder.feed(chunk) == []
    chunk[:] = b"xxxxxxx"
    assert decoder.feed(b"\n\n") == [ServerSentEvent(data="a")]


@pytest.mark.parametrize("chunk", ["data: a\n\n", 5, None])
def test_what_is_not_bytes_is_refused(chunk: object) -> None:
    with pytest.raises(TypeError):
        SSEDecoder().feed(chunk)  # type: ignore[arg-type]


# --- the end


@pytest.mark.parametrize(
    ("rest", "dropped"),
    [
        (b"", False),
        (b"data", True),
        (b"data: b", True),
        (b"data: b\n", True),
        (b"data\n", True),
        (b"event: x\n", True),
        (b"event:\n", False),
        (b"id: 2\n", True),
        (b"id:\n", True),
        (b"id: \x00\n", False),
        (b"retry: 5\n", False),  # has had its effect
        (b"retry: 5", True),
        (b"re", True),
        (b"i", True),
        (b"ids", False),
        (b"data ", False),
        (b"Data: b", False),
        (b": comment", False),
        (b": comment\n", False),
        (b":", False),
        (b": " + b"x" * 10_000, False),
        (b"data: " + b"x" * 10_000, True),
        (b'{"error": "no event stream"}', False),
        (b"unknown: b\n", False),
        (b"\xef\xbb", False),
        (b"\n", False),
    ],
)
def test_whether_the_end_dropped_something(rest: bytes, dropped: bool) -> None:
    for before in (b"", b"data: a\n\n"):
        for chunks in ([before + rest], [before, rest], [before, rest[:1], rest[1:]]):
            assert read(chunks).dropped is dropped


def test_closing_again_gives_the_same_answer() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n\ndata: b")
    assert (decoder.close(), decoder.close()) == (True, True)
    assert decoder.last_event_id == "1"


@pytest.mark.parametrize("fed", [b"", b"data: a\r", b"data: a\n\ndata"])
@pytest.mark.parametrize("chunk", [b"", b"x", b"\n", b"\xef\xbb\xbf"])
def test_feeding_after_the_end_is_an_error_of_ours(fed: bytes, chunk: bytes) -> None:
    decoder = SSEDecoder()
    decoder.feed(fed)
    decoder.close()
    for _ in range(2):
        with pytest.raises(DecoderClosed, match=r"expected no bytes after close\(\)") as caught:
            decoder.feed(chunk)
        assert (caught.value.cause, caught.value.fix) == ("decoder-closed", "make a new decoder for each stream")


# --- the limit


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_pass_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, got {limit}"):
        SSEDecoder(max_event_bytes=limit)


def test_the_good_events_before_one_that_is_too_large_are_delivered() -> None:
    decoder = SSEDecoder(max_event_bytes=20)
    good = [ServerSentEvent(data="a"), ServerSentEvent("e", "b")]
    assert decoder.feed(b"data: a\n\nevent: e\ndata: b\n\ndata: " + b"c" * 20 + b"\n\ndata: d\n\n") == good
    assert decoder.error is not None
    with pytest.raises(EventTooLarge, match="expected events of at most 20 bytes, got a longer one") as caught:
        decoder.feed(b"data: d\n\n")
    assert caught.value is decoder.error
    assert isinstance(caught.value, ValueError)
    assert (caught.value.limit, caught.value.cause) == (20, "event-too-large")
    assert caught.value.fix.startswith("raise max_event_bytes")
    with pytest.raises(EventTooLarge):
        decoder.close()


def test_the_good_end_of_a_block_is_delivered_with_the_error_behind_it() -> None:
    decoder = SSEDecoder(max_event_bytes=20)
    assert decoder.feed(b"id: 1\n") == []
    assert decoder.feed(b"data: a\n\ndata: " + b"c" * 20 + b"\n\ndata: d\n\n") == [ServerSentEvent(data="a", id="1")]
    assert decoder.last_event_id == "1"
    assert decoder.error is not None
    decoder = SSEDecoder(max_event_bytes=20)
    decoder.feed(b"data: " + b"c" * 14 + b"\n")
    assert decoder.feed(b"data: ccccc\n\ndata: d\n\ndata: e\n\n") == []
    assert decoder.error is not None


def test_the_same_error_again_and_again_does_not_grow() -> None:
    decoder = SSEDecoder(max_event_bytes=1)
    decoder.feed(b"data")
    depths = []
    for _ in range(3):
        with pytest.raises(EventTooLarge) as caught:
            decoder.feed(b"data: a\n\n")
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert depths == [depths[0]] * 3


@pytest.mark.parametrize(
    ("stream", "size"),
    [
        (b"data: aaaa\n\n", 10),  # the line being read counts as it is
        (b"data: aaaa\ndata: b\n\n", 12),  # what was read counts by its value and a line end
        (b"data\ndata\n\n", 5),
        (b"event: aaaa\ndata: b\n\n", 11),
        (b"event: aaaa\ndata: bbbb\n\n", 14),
        (b"id: aaaa\ndata: bbbb\n\n", 14),
        (b"id: aaaa\nid: a\ndata: bbbb\n\n", 11),
        (b"nobody knows this\ndata: a\n\n", 17),
        (b"data: a\n:" + b"x" * 9000 + b"\ndata: b\n\n", 9),
    ],
)
def test_what_counts_towards_the_limit(stream: bytes, size: int) -> None:
    for times in (1, 3):
        assert len(read([stream * times], size).events) == times
        assert read([stream * times], size).dropped is False
        assert read([stream * times], size - 1).dropped is None


def test_many_events_of_which_none_is_too_large_may_come_at_once() -> None:
    for block in (b"data: a\n\n", b"event: e\ndata: a\n\n"):
        stream = block * (DEFAULT_MAX_EVENT_BYTES // len(block) + 100)
        outcome = read([stream])
        assert len(stream) > DEFAULT_MAX_EVENT_BYTES
        assert len(outcome.events) == stream.count(b"\n\n")
        assert outcome.dropped is False
