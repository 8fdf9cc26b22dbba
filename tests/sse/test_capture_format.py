"""The capture file: every line survives being written and read, and what is no capture is an error that says where it stops being one."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ylokh_sse import CaptureError
from ylokh_sse.capture import Answered, Asked, Cut, Ended, Head, Received, load
from ylokh_sse.capture.format import Capture, decode_line, encode_line, read

HEAD = Head(by="ylokh_sse 0.1.0", at="2026-11-20T20:15:20Z", redacted=("headers",))
ASKED = Asked(number=1, time=0.0, method="POST", url="https://host.test/v1/chat/completions", body={"model": "m", "messages": []})
ANSWERED = Answered(number=1, time=0.1, status=200, headers={"content-type": "text/event-stream"})
ENDED = Ended(number=1, time=2.0, how="complete")

TIMES = st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
NUMBERS = st.integers(1, 10**6)
TEXT = st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | TEXT,
    lambda x: st.lists(x) | st.dictionaries(TEXT, x),
    max_leaves=8,
)
LINES = st.one_of(
    st.builds(Head, by=TEXT, at=TEXT, source=TEXT, redacted=st.lists(TEXT).map(tuple)),
    st.builds(Asked, number=NUMBERS, time=TIMES, method=TEXT, url=TEXT, body=VALUES),
    st.builds(
        Answered,
        number=NUMBERS,
        time=TIMES,
        status=st.integers(100, 999),
        headers=st.dictionaries(TEXT.map(str.lower).filter(lambda name: name == name.lower()), TEXT),
    ),
    st.builds(Received, number=NUMBERS, time=TIMES, data=st.binary()),
    st.builds(Ended, number=NUMBERS, time=TIMES, how=TEXT, cut=st.none() | st.sampled_from(Cut)),
)


def file(*lines: Any) -> bytes:
    """Lines, values and bytes, as a file."""
    return b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" if isinstance(line, dict) else encode_line(line) for line in lines
    )


def readable(*lines: Any, **limits: int) -> Capture:
    return read(io.BytesIO(file(*lines)), "run.sse.jsonl", **limits)


def refused(*lines: Any, **limits: int) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        readable(*lines, **limits)
    assert caught.value.fix
    return caught.value


@given(LINES)
def test_every_line_survives(line: Any) -> None:
    text = encode_line(line)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert decode_line(text) == decode_line(text.decode()) == line


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b"])
def test_half_a_surrogate_pair_survives(text: str) -> None:
    line = Asked(number=1, time=0, method="POST", url="u", body=[text])
    assert decode_line(encode_line(line)) == Asked(number=1, time=0, method="POST", url="u", body=json.loads(json.dumps([text])))


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error_or_nothing(text: bytes) -> None:
    decoded = None
    with contextlib.suppress(ValueError):
        decoded = decode_line(text)
    assert decoded is None


def test_what_the_lines_look_like() -> None:
    cut = Ended(number=1, time=1.23456, how="cut", cut=Cut.RESET)
    text = file(HEAD, ASKED, ANSWERED, Received(number=1, time=0.123, data="data: é\n\n".encode()), Received(number=1, time=0.2, data=b"\xc3"), cut)
    assert text.decode().splitlines() == [
        '{"k": "head", "v": 1, "by": "ylokh_sse 0.1.0", "at": "2026-11-20T20:15:20Z", "src": "record", "redacted": ["headers"]}',
        '{"k": "request", "s": 1, "t": 0.0, "method": "POST", "url": "https://host.test/v1/chat/completions",'
        ' "body": {"model": "m", "messages": []}}',
        '{"k": "answer", "s": 1, "t": 0.1, "status": 200, "headers": {"content-type": "text/event-stream"}}',
        '{"k": "bytes", "s": 1, "t": 0.123, "text": "data: é\\n\\n"}',
        '{"k": "bytes", "s": 1, "t": 0.2, "$bin": "ww=="}',
        '{"k": "end", "s": 1, "t": 1.235, "how": "cut", "cut": "reset"}',
    ]


def test_exchanges_are_put_together_though_their_lines_are_mixed() -> None:
    second = Asked(number=2, time=0.05, method="POST", url="u", body=None)
    pieces = [Received(number=1, time=0.2, data=b"\xc3"), Received(number=1, time=0.3, data=b"\xa9")]
    capture = readable(HEAD, ASKED, second, ANSWERED, Ended(number=2, time=0.1, how="connect-refused"), *pieces, ENDED)
    assert capture.head == HEAD
    first, other = capture.exchanges
    assert (first.line, first.asked, first.answered, first.pieces, first.end, first.body) == (2, ASKED, ANSWERED, pieces, ENDED, "é".encode())
    assert (other.line, other.answered, other.end) == (3, None, Ended(number=2, time=0.1, how="connect-refused"))
    assert capture.notes == ()


def test_what_is_not_known_is_passed_over() -> None:
    capture = readable(
        HEAD,
        {"k": "weather", "s": 1},
        {"k": "request", "s": 1, "t": 0, "method": "POST", "url": "u", "mood": "good"},
        {"k": "answer", "s": 1, "t": 1, "status": 200},
        ENDED,
    )
    assert capture.exchanges[0].asked == Asked(number=1, time=0.0, method="POST", url="u")


@pytest.mark.parametrize("torn", [encode_line(ENDED)[:-1][:cut] for cut in (1, 20, -1)])
def test_a_last_line_that_is_torn_off_is_dropped_with_a_note(torn: bytes) -> None:
    capture = readable(HEAD, ASKED, ANSWERED, torn)
    assert capture.exchanges[0].end is None
    assert "line 4 is torn off" in capture.notes[0]
    assert "request 1 has no end" in capture.notes[1]


def test_a_last_line_without_a_line_end_is_as_good_as_any() -> None:
    assert readable(HEAD, ASKED, ANSWERED, encode_line(ENDED)[:-1]).notes == ()


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ([], None, "an empty file"),
        ([b"<html>\n"], 1, "expected the head of a capture, got '<html>"),
        ([b"{"], 1, "expected the head of a capture"),
        ([ASKED], 1, "got another line"),
        ([{"k": "weather"}, HEAD], 1, "got another line"),
        ([HEAD, b"\n", ASKED], 2, "expected a line of a capture"),
        ([HEAD, b"[1]\n", ASKED], 2, 'expected an object with a kind, "k"'),
        ([HEAD, b'{"k": 7}\n'], 2, 'expected an object with a kind, "k"'),
        ([HEAD, b"[" * 100_000 + b"\n"], 2, "nested too deeply"),
        ([HEAD, ASKED, ASKED], 3, "begins a second time"),
        ([HEAD, ANSWERED], 2, "a line of request 1 where none can be"),
        ([HEAD, ASKED, ANSWERED, ANSWERED], 4, "a line of request 1 where none can be"),
        ([HEAD, ASKED, Received(number=1, time=0, data=b"")], 3, "a line of request 1 where none can be"),
        ([HEAD, ASKED, ENDED, ENDED], 4, "a line of request 1 where none can be"),
        ([HEAD, HEAD], 2, "a second head"),
        ([{"k": "head"}], 1, "expected the head"),
        ([HEAD, {"k": "request", "s": 0, "t": 0, "method": "", "url": ""}], 2, 'a number from 1 in "s"'),
        ([HEAD, {"k": "request", "s": True, "t": 0, "method": "", "url": ""}], 2, 'a number from 1 in "s"'),
        ([HEAD, {"k": "request", "s": 1, "t": -1, "method": "", "url": ""}], 2, 'seconds from 0 in "t"'),
        ([HEAD, {"k": "request", "s": 1, "t": "1", "method": "", "url": ""}], 2, 'seconds from 0 in "t"'),
        ([HEAD, {"k": "request", "s": 1, "t": 0, "url": ""}], 2, 'text in "method"'),
        ([HEAD, {"k": "answer", "s": 1, "t": 0, "status": 1000}], 2, 'a status of HTTP in "status"'),
        ([HEAD, {"k": "answer", "s": 1, "t": 0, "status": 200, "headers": {"a": 1}}], 2, 'texts by name in "headers"'),
        ([HEAD, {"k": "bytes", "s": 1, "t": 0, "$bin": "x"}], 2, 'base64 in "$bin"'),
        ([HEAD, {"k": "bytes", "s": 1, "t": 0, "$bin": "é"}], 2, 'base64 in "$bin"'),
        ([HEAD, {"k": "bytes", "s": 1, "t": 0}], 2, 'text in "text"'),
        ([HEAD, {"k": "end", "s": 1, "t": 0, "how": "cut", "cut": "axe"}], 2, "is not a valid Cut"),
    ],
)
def test_what_is_damaged_is_refused_with_its_line(lines: list[Any], line: int | None, words: str) -> None:
    error = refused(*lines)
    assert (error.cause, error.line, error.path) == ("capture-damaged", line, "run.sse.jsonl")
    assert words in str(error)
    assert len(str(error)) < 300


def test_a_later_version_is_refused() -> None:
    error = refused(Head(version=2))
    assert (error.cause, str(error)) == ("capture-version", "run.sse.jsonl, line 1: expected version 1 of the format, got 2")


@pytest.mark.parametrize("limits", [{"max_line": 150}, {"max_bytes": 200}])
def test_what_is_too_large_is_refused(limits: dict[str, int]) -> None:
    error = refused(HEAD, ASKED, Received(number=1, time=0, data=b"x" * 200), **limits)
    assert error.cause == "capture-too-large"
    assert str(next(iter(limits.values()))) in str(error)


def test_files_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "run.sse.jsonl"
    path.write_bytes(file(HEAD, ASKED, ANSWERED, ENDED))
    assert load(path).path == load(str(path)).path == str(path)
    with pytest.raises(CaptureError, match="No such file") as caught:
        load(tmp_path / "missing")
    assert caught.value.cause == "capture-not-readable"
    with pytest.raises(CaptureError, match="more than 10 bytes"):
        load(path, max_bytes=10)
