"""Laws: where a stream is cut makes no difference, whatever is in it; and what it says is what another reader makes of it.

The other reader (`Reference`) sees the whole stream at once and takes it apart with regular expressions; it is slow, and shares nothing with the
decoder but the standard that both were written from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tests.sse.decoding import Outcome, pieces, read
from ylokh_sse.decoder import DEFAULT_MAX_EVENT_BYTES, MAX_RETRY_DIGITS, ServerSentEvent

# --- the other reader

_LINE = re.compile(rb"(?P<line>[^\r\n]*)(?P<end>\r\n|\r|\n|\Z)")
_FIELD = re.compile(rb"(?P<name>[^:]*)(?::\x20?(?P<value>.*))?", re.DOTALL)
_NUMBER = re.compile(rb"0*(?P<digits>0|[1-9][0-9]*)")
_BOM = re.compile(rb"\A(?:\xef\xbb\xbf|\xef\xbb?\Z)")  # at its end, a stream may have begun with one that never became whole
_NAME_OR_PREFIX = re.compile(rb"(?:(?:data|event|id|retry)(?::.*)?|da?t?|ev?e?n?|i|re?t?r?)", re.DOTALL)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


@dataclass
class Reference:
    """Reads a whole stream; `outcome` says what came of it."""

    limit: int = DEFAULT_MAX_EVENT_BYTES
    events: list[ServerSentEvent] = field(default_factory=list)
    last_event_id: str = ""
    retry: int | None = None
    comments: int = 0
    block: list[tuple[bytes, bytes]] = field(default_factory=list)
    """The fields of the block that is open."""

    def outcome(self, stream: bytes) -> Outcome:
        for match in _LINE.finditer(_BOM.sub(b"", stream)):
            line, end = match["line"], match["end"]
            if not line.startswith(b":") and len(line) > self.limit - self.held():
                return self.left(None)
            if not end:
                lost = any(name in (b"data", b"id") for name, _ in self.block) or self.last(b"event") != b""
                return self.left(lost or _NAME_OR_PREFIX.fullmatch(line) is not None)
            self.read(line)
        raise AssertionError("the last match has no line end")

    def left(self, dropped: bool | None) -> Outcome:
        return Outcome(self.events, self.last_event_id, self.retry, self.comments, dropped)

    def read(self, line: bytes) -> None:
        match = _FIELD.fullmatch(line)
        assert match is not None
        name, value = match["name"], match["value"] or b""
        if line == b"":
            self.dispatch()
        elif name == b"":
            self.comments += 1
        elif name == b"retry" and (number := _NUMBER.fullmatch(value)):
            self.retry = int(number["digits"]) if len(number["digits"]) <= MAX_RETRY_DIGITS else 10**MAX_RETRY_DIGITS - 1
            self.block.append((name, value))
        elif name in (b"data", b"event") or (name == b"id" and b"\x00" not in value):
            self.block.append((name, value))

    def dispatch(self) -> None:
        if any(name == b"id" for name, _ in self.block):
            self.last_event_id = _text(self.last(b"id"))
        data = [_text(value) for name, value in self.block if name == b"data"]
        if data:
            retry = self.retry if any(name == b"retry" for name, _ in self.block) else None
            self.events.append(ServerSentEvent(_text(self.last(b"event")) or "message", "\n".join(data), self.last_event_id, retry))
        self.block.clear()

    def last(self, wanted: bytes) -> bytes:
        return next((value for name, value in reversed(self.block) if name == wanted), b"")

    def held(self) -> int:
        return sum(len(value) + 1 for name, value in self.block if name == b"data") + len(self.last(b"event")) + len(self.last(b"id"))


# --- streams and cuts

_LINE_ENDS = [b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r"]
_NAMES = [b"data", b"event", b"id", b"retry", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b"Data: "]
_TEXT = [b":", b" ", b"\t", b"\x00", b"0", b"7", b"19", b"x", b"\x0b", b"\x1e", "\u0085".encode(), "\u0661".encode(), "\u2028".encode()]
_NO_TEXT = [b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xbf", b"\xff", b"\xc3", b"\xa9", b"\xe2\x80", b"\xf0\x9f\x99", b"\x82", b"\xed\xa0\x80"]
_NASTY = [*_LINE_ENDS, *_NAMES, *_TEXT, *_NO_TEXT]
_USUAL = [b"data: a\n\n", b"data: \n\n", b"data: b\xff\n\n", b"event: e\ndata: c\n\n", b"event: \ndata: d\n\n", b"data: t"]
_ODD_TYPES = [b"event: f\n\n", b"event: g\n", b"event: h\ndata: i\ndata: j\n\n", b"event: k\ndata: l\nevent: m\n\n", b"event: n\r\ndata: o\r\n\r\n"]
_ODD_DATA = [b"data: p\ndata: q\n\n", b"data:r\n\n", b"xdata: s\n\n", b"data: u\r\n\r\n"]
_ODD_BLOCKS = [*_ODD_TYPES, *_ODD_DATA, b"id: 1\n\n", b"id: 2\ndata: v\n\n", b"retry: 5\n\n", b": w\n\n", b": x\n", b"\n"]
_BLOCKS = [*_USUAL, *_ODD_BLOCKS]


def _joined(parts: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(parts), max_size=30).map(b"".join)


streams = st.one_of(_joined(_NASTY), _joined(_USUAL), _joined(_BLOCKS), _joined([*_NASTY, *_BLOCKS]), st.binary(max_size=60))
cuts = st.lists(st.integers(0, 200), max_size=12)


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at these places; two that are the same have an empty chunk between them."""
    return [stream[start:end] for start, end in pairwise([0, *sorted(places), len(stream)])]


# --- the laws


@given(streams, cuts)
def test_where_a_stream_is_cut_makes_no_difference(stream: bytes, places: list[int]) -> None:
    outcome = read([stream])
    assert read(_cut(stream, places)) == outcome
    assert read(pieces(stream, 1, blanks=True)) == outcome


@given(streams)
@example(b"")
@example(b"\xef\xbb")
@example(b"retry: " + b"0" * 5000 + b"5\n")
@example(b"retry: " + b"9" * 5000 + b"\n")
@example(b"data: a\n\nevent: e\ndata: b\n\ndata: c\ndata: d\n\n")
@example(b"event: a\n\nevent: b\ndata: c\ndata: d\n\n")  # as many line feeds as two blocks of two lines have
@example(b"event: a\ndata: b\n\nevent: c\nxdata: d\n\n")
@example(b"data: a\n\n\ndata: b\n\n")
def test_another_reader_agrees(stream: bytes) -> None:
    assert read([stream]) == Reference().outcome(stream)


@given(streams, cuts, st.integers(1, 24))
@example(b"data: aaaaaaaa\n\ndata: b\n\n", [], 14)
@example(b"data: aaaaaaaa\n\ndata: b\n\n", [], 13)
@example(b"event: e\ndata: a\n\nevent: e\ndata: a\n\n", [], 16)
@example(b"data: a\n\n:" + b"x" * 50, [], 8)
@example(b"\xef\xbb\xbf", [2], 1)
@example(b"\xef\xbb", [], 1)
def test_the_limit_cuts_at_the_same_event_wherever_the_stream_is_cut(stream: bytes, places: list[int], limit: int) -> None:
    outcome = Reference(limit=limit).outcome(stream)
    assert read([stream], limit) == outcome
    assert read(_cut(stream, places), limit) == outcome
    assert read(pieces(stream, 1), limit) == outcome


@given(st.binary().filter(lambda value: not set(value) & set(b"\r\n")), st.sampled_from([b"data: %b\n\n", b"event: e\ndata: %b\n\n", b"data:%b\n\n"]))
def test_a_value_is_its_bytes_as_utf8(value: bytes, block: bytes) -> None:
    [event] = read([block % value]).events
    assert event.data == value.decode("utf-8", "replace").removeprefix(" " if block.startswith(b"data:%") else "")
