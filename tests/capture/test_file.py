"""The file of a capture: every line there and back, a crash costs one line, and nothing in it is taken on trust."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.file import Writer, load, read
from engineio_lite.capture.format import LoadLimits, decode_line, encode_line
from engineio_lite.capture.lines import (
    Direction,
    Door,
    EnginePacket,
    Head,
    HttpAnswer,
    Level,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    Undecoded,
)
from engineio_lite.capture.lines import SocketIOPacket as Said
from engineio_lite.capture.redactor import Redaction, Redactor
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

UP, DOWN = Direction.UP, Direction.DOWN
POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET

LINES: list[Line] = [
    Head(by="engineio_lite 0.1.0", at="2026-11-20T20:15:20Z", source="har", level=Level.PACKETS),
    SessionOpened(session=1, time=0.0, transport=POLLING, url="http://host/socket.io/", sid="@eio1", handshake={"pingInterval": 25000}, again=2),
    Said(session=1, time=0.005, transport=POLLING, direction=UP, type=PacketType.CONNECT, data={"jwt": "<redacted:1>"}),
    Said(session=1, time=0.024, transport=POLLING, direction=DOWN, type=PacketType.CONNECT, namespace="/admin", data={"sid": "@sid1"}),
    Said(session=1, time=0.1, transport=WEBSOCKET, direction=UP, type=PacketType.EVENT, id=0, data=["é", b"\0", {"$x": 1}, 2**64], parser="msgpack"),
    Said(session=1, transport=WEBSOCKET, direction=UP, type=PacketType.DISCONNECT),
    EnginePacket(session=1, time=0.1, transport=WEBSOCKET, direction=UP, type=EngineType.PING, data="probe"),
    EnginePacket(session=1, time=0.1, transport=WEBSOCKET, direction=DOWN, type=EngineType.NOOP),
    Undecoded(session=1, time=0.2, transport=WEBSOCKET, direction=DOWN, data="", error="empty-packet"),
    Undecoded(session=1, time=0.2, transport=WEBSOCKET, direction=DOWN, data=b"\0", error="unexpected-binary"),
    HttpAnswer(session=0, time=0.2, method="GET", url="http://host/", status=400, content_type="application/json", body="{}"),
    HttpAnswer(session=0, method="GET", status=0),
    SocketChanged(session=1, time=0.3, change="open"),
    SocketChanged(session=1, time=0.3, change="closed", by=DOWN, code=1000, reason="bye"),
    Note(session=1, time=0.3, what="gap", text="a body was not recorded"),
    SessionEnded(session=1, time=2.2, by="server", code=1005, reason="transport close"),
    SessionEnded(session=1),
    Door(session=1, url="http://host/", transports=("polling",), token="ab"),
    Door(session=1, url="http://host/", transports=("polling",), limits=Limits(max_depth=5), timeouts=Timeouts(open=1.5)),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_every_line_there_and_back(line: Line) -> None:
    text = encode_line(line)
    assert "\n" not in text
    assert decode_line(text) == line


def test_a_line_reads_well() -> None:
    assert encode_line(LINES[2]) == '{"k": "up", "s": 1, "t": 0.005, "tr": "polling", "p": "CONNECT", "nsp": "/", "data": {"jwt": "<redacted:1>"}}'


def test_times_are_milliseconds() -> None:
    assert '"t": 0.123,' in encode_line(Note(session=1, time=0.123456, what="gap", text="x"))


class _File(io.BytesIO):
    """Remembers how it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def write(self, data: object) -> int:
        self.calls.append("write")
        return super().write(data)  # type: ignore[arg-type]

    def flush(self) -> None:
        self.calls.append("flush")


def test_a_line_is_written_in_one_call_and_flushed() -> None:
    file = _File()
    writer = Writer(file, Head())
    writer.write(LINES[14])
    assert file.calls == ["write", "flush"] * 2
    assert file.getvalue().decode().splitlines() == [encode_line(Head()), encode_line(LINES[14])]


def test_what_is_written_is_redacted_and_returned() -> None:
    file = io.BytesIO()
    line = Said(session=1, transport=POLLING, direction=UP, type=PacketType.CONNECT, data={"token": "opensesame"})
    written = Writer(file, Head()).write(line)
    assert written == msgspec.structs.replace(line, data={"token": "<redacted:1>"})
    assert b"opensesame" not in file.getvalue()


def test_a_file_that_has_a_head_can_be_continued() -> None:
    file = io.BytesIO()
    Writer(file, None).write(LINES[14])
    assert file.getvalue().decode() == encode_line(LINES[14]) + "\n"


def test_what_the_users_hook_leaves_out_is_not_written() -> None:
    file = io.BytesIO()
    writer = Writer(file, None, Redactor(Redaction(before_record=lambda packet: None)))
    assert writer.write(LINES[2]) is None
    assert file.getvalue() == b""


def test_a_time_may_be_a_whole_number() -> None:
    assert decode_line('{"k": "note", "s": 1, "t": 2, "what": "gap"}') == Note(session=1, time=2.0, what="gap", text="")


def test_a_passage_that_is_damaged_says_where() -> None:
    with pytest.raises(CaptureError) as caught:
        decode_line('{"k": "pass", "s": 1, "at": 1.5, "in": {"is": "Nothing known"}, "out": []}', path="x", number=7)
    assert (caught.value.cause, caught.value.path, caught.value.line) == ("capture-damaged", "x", 7)


def _bytes(*lines: Line) -> bytes:
    return b"".join(encode_line(line).encode() + b"\n" for line in lines)


WHOLE = _bytes(*LINES)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    path.write_bytes(WHOLE)
    capture = load(path)
    assert (capture.head, list(capture.lines), capture.remarks, capture.path) == (LINES[0], LINES[1:], (), str(path))
    assert capture.packets() is capture


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    assert read(io.BytesIO(b"\xef\xbb\xbf" + WHOLE.replace(b"\n", b"\r\n"))).lines == tuple(LINES[1:])


def test_wherever_the_file_was_cut_the_whole_lines_are_there() -> None:
    content = _bytes(*LINES[:5])
    start = content.index(b"\n") + 1
    for cut in range(start, len(content) + 1):
        capture = read(io.BytesIO(content[:cut]))
        whole = content[start:cut].count(b"\n")
        # A line of which only the line feed is missing is whole.
        assert capture.lines[:whole] == tuple(LINES[1 : whole + 1])
        assert len(capture.lines) + len(capture.remarks) == whole + (not content[:cut].endswith(b"\n"))


def test_a_torn_line_is_told() -> None:
    capture = read(io.BytesIO(WHOLE[:-20]))
    assert "torn" in capture.remarks[0]
    assert f"line {len(LINES)}" in capture.remarks[0]


def test_kinds_and_keys_of_the_future_are_passed_over() -> None:
    text = encode_line(LINES[0]) + '\n{"k": "new", "x": 1}\n{"k": "note", "s": 1, "what": "gap", "text": "x", "mood": "good"}\n'
    assert read(io.BytesIO(text.encode())).lines == (Note(session=1, what="gap", text="x"),)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "not-a-capture"),
        (b"\n", "not-a-capture"),
        (b"{}\n", "not-a-capture"),
        (b'{"log": {"version": "1.2"}}', "not-a-capture"),
        (b"\xd4\xc3\xb2\xa1\n", "not-a-capture"),
        (b"[1]\n", "not-a-capture"),
        (_bytes(LINES[1]), "not-a-capture"),
        (b'{"k": "head", "v": 2}\n', "capture-version"),
        (b'{"k": "head", "v": "1"}\n', "not-a-capture"),
        (b'{"k": "head", "v": true}\n', "not-a-capture"),
        (_bytes(LINES[0]) + b"\xff\n", "capture-damaged"),
        (_bytes(LINES[0]) + b"half\n" + _bytes(LINES[1]), "capture-damaged"),
        (_bytes(LINES[0]) + b'{"k": "up", "s": 1, "tr": "smoke", "p": "EVENT"}\n', "capture-damaged"),
        (_bytes(LINES[0]) + b'{"k": "up", "s": 1, "tr": "polling", "p": "EVENT", "data": {"$bin": "?"}}\n', "capture-damaged"),
        (_bytes(LINES[0]) + b'{"k": "raw", "s": 1, "tr": "polling", "dir": "up", "data": 5}\n', "capture-damaged"),
        (_bytes(LINES[0]) + b'{"k": "door", "s": 1, "url": "x", "transports": [], "limits": {"max_depth": "x"}}\n', "capture-damaged"),
        (_bytes(LINES[0]) + b'{"k": "note", "s": 1, "what": "x", "text": "' + b"[" * 500 + b"\n", "capture-damaged"),
    ],
)
def test_what_is_no_capture_is_an_error_that_says_where(content: bytes, cause: str) -> None:
    with pytest.raises(CaptureError) as caught:
        read(io.BytesIO(content), path="some.file")
    assert caught.value.cause == cause
    assert str(caught.value).startswith("some.file")
    assert caught.value.fix


@pytest.mark.parametrize("limits", [LoadLimits(max_file=100), LoadLimits(max_line=50), LoadLimits(max_lines=2)])
def test_sizes_are_bounded(limits: LoadLimits) -> None:
    with pytest.raises(CaptureError) as caught:
        read(io.BytesIO(WHOLE), limits)
    assert caught.value.cause == "capture-too-large"


def test_depth_is_bounded() -> None:
    deep = json.dumps({"k": "up", "s": 1, "tr": "polling", "p": "EVENT", "data": []}).replace("[]", "[" * 300 + "]" * 300)
    with pytest.raises(CaptureError, match="at most 250 nested"):
        read(io.BytesIO(_bytes(LINES[0]) + deep.encode() + b"\n"))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_follows_the_head_gives_our_error_or_a_capture(rest: bytes) -> None:
    try:
        capture = read(io.BytesIO(_bytes(LINES[0]) + rest))
    except CaptureError as error:
        found: object = error.line is not None and LINES[0]
    else:
        found = capture.head
    assert found == LINES[0]


@given(
    st.dictionaries(
        st.sampled_from(["k", "s", "t", "tr", "p", "dir", "data", "nsp", "id", "what", "by", "code", "hs", "method", "status", "change", "url"]),
        st.sampled_from(["up", "down", "open", "eio", "raw", "http", "ws", "note", "end", "door", "EVENT", "ping", "polling", "x"])
        | st.integers(-1, 2)
        | st.none()
        | st.just({})
        | st.just([]),
    )
)
def test_a_line_with_anything_in_it_gives_our_error_or_a_line(fields: dict[str, object]) -> None:
    try:
        line = decode_line(json.dumps(fields))
    except CaptureError as error:
        cause, line = str(error.cause), None
    else:
        cause = "capture-damaged"
    assert cause == "capture-damaged"
    assert line is None or decode_line(encode_line(line)) == line


def test_a_capture_of_chat_answers_is_told_from_ours() -> None:
    data = b'{"k": "head", "v": 1, "by": "ylokh_sse 0.1.0"}\n{"k": "request", "s": 1, "t": 0.0, "method": "POST"}\n'
    with pytest.raises(CaptureError, match="one of chat answers") as caught:
        read(io.BytesIO(data), path="joke.sse.jsonl")
    assert (caught.value.cause, "ylokh-sse show" in (caught.value.fix or "")) == (Cause.CAPTURE_KIND, True)
