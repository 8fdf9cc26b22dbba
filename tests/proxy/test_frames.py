"""WebSocket frames on their way through: what they say, at every cut, and the one time when they cannot be followed."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.proxy.frames import Closing, FrameReader, Lost, Message, Seen, is_compressed
from engineio_lite.proxy.http1 import Head
from tests.aio.raw import BINARY, CLOSE, PING, PONG, TEXT, closing, frame, text

LIMIT = 100_000
CONTINUATION = 0
FIN, RSV1 = 0x80, 0x40


def masked(data: bytes) -> bytes:
    """The same frame with a mask, as clients send it."""
    size = data[1] & 0x7F
    head = {126: 4, 127: 10}.get(size, 2)
    key, payload = os.urandom(4), data[head:]
    return bytes([data[0], data[1] | 0x80]) + data[2:head] + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class Deflater:
    """A sender of compressed messages, with or without its context."""

    def __init__(self, *, takeover: bool) -> None:
        self._takeover = takeover
        self._deflater = zlib.compressobj(wbits=-15)

    def __call__(self, opcode: int, data: bytes) -> bytes:
        if not self._takeover:
            self._deflater = zlib.compressobj(wbits=-15)
        payload = (self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
        return frame(opcode, payload, first=FIN | RSV1)


def read(data: bytes, size: int = 0, *, compressed: bool = False) -> list[Seen]:
    reader = FrameReader(compressed=compressed, limit=LIMIT)
    size = size or max(1, len(data))
    return [seen for start in range(0, len(data), size) for seen in reader.feed(data[start : start + size])]


SAID = [Message("2probe"), Message("grüße"), Message(b"\x00\x01"), Message(""), Message("x" * 130), Closing(1000, "bye")]
SENT = [
    text("2probe"),
    frame(TEXT, "grü".encode()[:3], first=0),
    frame(PING, b"in between"),
    frame(CONTINUATION, "grüße".encode()[3:], first=0),
    frame(CONTINUATION, b"", first=FIN),
    frame(BINARY, b"\x00\x01"),
    frame(PONG),
    text(""),
    text("x" * 130),
    closing(1000, "bye"),
]


@pytest.mark.parametrize("size", [*range(1, 12), 100, 1000])
@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
def test_messages_are_read_at_every_cut(size: int, is_client: bool) -> None:
    assert read(b"".join(map(masked, SENT) if is_client else SENT), size) == SAID


def test_lengths_of_all_three_sizes() -> None:
    for length in (125, 126, 65535, 65536):
        for data in (text("x" * length), masked(text("x" * length))):
            assert read(data) == [Message("x" * length)]


@pytest.mark.parametrize("takeover", [True, False], ids=["context kept", "no context takeover"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_compressed_messages_are_inflated(takeover: bool, size: int) -> None:
    deflate = Deflater(takeover=takeover)
    data = deflate(TEXT, b"42" + b"again and again " * 20) + frame(PING) + deflate(BINARY, b"\x00" * 500) + text("plain") + deflate(TEXT, b"42" * 9)
    expected = [Message("42" + "again and again " * 20), Message(b"\x00" * 500), Message("plain"), Message("42" * 9)]
    assert read(data, size, compressed=True) == expected


def test_a_compressed_message_in_fragments() -> None:
    whole = Deflater(takeover=True)(TEXT, b"a message of some length, more or less")[2:]
    data = frame(TEXT, whole[:5], first=RSV1) + frame(CONTINUATION, whole[5:], first=FIN)
    assert read(data, compressed=True) == [Message("a message of some length, more or less")]


def test_a_stream_that_is_ended_within_a_message() -> None:
    ended = zlib.compressobj(wbits=-15)
    payload = ended.compress(b"the end") + ended.flush()
    data = frame(TEXT, payload, first=FIN | RSV1) + Deflater(takeover=True)(TEXT, b"and a new one")
    assert read(data, compressed=True) == [Message("the end"), Message("and a new one")]


@pytest.mark.parametrize(("payload", "seen"), [(b"", Closing(None, "")), (b"\x03", Closing(None, "")), (b"\x0f\xa1why", Closing(4001, "why"))])
def test_closing(payload: bytes, seen: Closing) -> None:
    assert read(frame(CLOSE, payload)) == [seen]


FAULTS = {
    "text after 101": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no WebSocket frames"),
    "reserved opcode": (frame(3), "no WebSocket frames"),
    "reserved bit": (frame(TEXT, first=0xA0), "no WebSocket frames"),
    "continuation of nothing": (frame(CONTINUATION), "does not belong"),
    "two at once": (frame(TEXT, b"a", first=0) + text("b"), "does not belong"),
    "fragmented ping": (frame(PING, first=0), "control frame"),
    "large ping": (frame(PING, b"x" * 126), "control frame"),
    "large message": (frame(TEXT, length=LIMIT + 1), "larger than the limit"),
    "large in fragments": (frame(TEXT, b"x" * LIMIT, first=0) + frame(CONTINUATION, b"x"), "larger than the limit"),
    "compressed, not agreed": (frame(TEXT, b"x", first=FIN | RSV1), "not agreed"),
}


@pytest.mark.parametrize(("data", "why"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_followed_is_said_once(data: bytes, why: str) -> None:
    [*_, lost] = read(text("before") + data + text("after") * 3)
    assert isinstance(lost, Lost)
    assert why in lost.why
    assert read(text("before") + data)[0] == Message("before")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (frame(TEXT, b"\xff" * 9, first=FIN | RSV1), "cannot be inflated"),
        (Deflater(takeover=True)(TEXT, b"x" * (LIMIT + 1)), "larger than the limit"),
        (frame(TEXT, b"x", first=RSV1) + frame(CONTINUATION, b"y", first=FIN | RSV1), "compressed by itself"),
    ],
)
def test_what_cannot_be_inflated_is_said_once(data: bytes, why: str) -> None:
    [lost] = read(data + text("after"), compressed=True)
    assert isinstance(lost, Lost)
    assert why in lost.why


def test_a_text_that_is_none_hides_no_other() -> None:
    assert read(frame(TEXT, b"\xff") + text("next")) == [Lost("a text message is no UTF-8"), Message("next")]


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_garbage_never_raises(pieces: list[bytes], compressed: bool) -> None:
    reader = FrameReader(compressed=compressed, limit=1000)
    seen = [seen for piece in pieces for seen in reader.feed(piece)]
    blind = [each for each in seen if isinstance(each, Lost) and "UTF-8" not in each.why]
    assert blind == [] or seen[-1] is blind[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("permessage-deflate; client_max_window_bits=15", True),
        ("foo, Permessage-Deflate", True),
        ("x-permessage-deflate", False),
        ("", False),
    ],
)
def test_whether_compression_was_agreed_on(value: str, expected: bool) -> None:
    assert is_compressed(Head(f"HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: {value}".encode())) is expected
