"""mitmproxy's flow files and their notation."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from engineio_lite.capture.importers import ImportFailed, read_flows, reconstruct
from engineio_lite.capture.importers.tnetstring import MAX_DEPTH, NotTnetstring, read_values
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Socket
from engineio_lite.causes import Cause
from tests.capture.importers.recordings import HERE, OPEN, notes, packets

WHOLE = (HERE / "mitm-js-node-polling.mitm").read_bytes()


def encode(value: object) -> bytes:
    """A value as mitmproxy writes it."""
    match value:
        case None:
            return b"0:~"
        case bool():
            return _sized(b"true" if value else b"false", b"!")
        case int():
            return _sized(str(value).encode(), b"#")
        case float():
            return _sized(repr(value).encode(), b"^")
        case bytes():
            return _sized(value, b",")
        case str():
            return _sized(value.encode(), b";")
        case list():
            return _sized(b"".join(map(encode, value)), b"]")
        case dict():
            return _sized(b"".join(encode(part) for pair in value.items() for part in pair), b"}")
    raise AssertionError(value)


def _sized(data: bytes, kind: bytes) -> bytes:
    return str(len(data)).encode() + b":" + data + kind


def flow(request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    asked = {
        "method": b"GET",
        "scheme": b"http",
        "host": "host.test",
        "port": 80,
        "authority": b"",
        "path": b"/socket.io/?EIO=4&transport=polling",
        "headers": [],
        "content": b"",
        "timestamp_start": 100.0,
    }
    answered = {"status_code": 200, "headers": [], "content": OPEN, "timestamp_end": 100.5}
    return {"version": 21, "type": "http", "request": {**asked, **(request or {})}, "response": {**answered, **(response or {})}, **more}


def only(made: dict[str, Any]) -> Exchange | Socket:
    [item] = read_flows(encode(made)).items
    return item


def socket_flow(*messages: object, **more: Any) -> dict[str, Any]:
    socket = {"messages": list(messages), "timestamp_end": 105.0, "closed_by_client": False, "close_code": 1001, "close_reason": "bye", **more}
    upgrade = {"headers": [[b"Upgrade", b"websocket"]], "path": b"/socket.io/?EIO=4&transport=websocket"}
    return flow(upgrade, {"status_code": 101, "content": b""}, websocket=socket)


# --- the notation

VALUES = [None, True, False, 0, -42, 1.5, b"", b"\x00:}", "grüße", [], [[], [1, [b"x"]]], {}, {"a": {"b": [None]}, "": ""}]


@pytest.mark.parametrize("value", VALUES)
def test_values_are_read_as_they_were_written(value: object) -> None:
    assert list(read_values(encode(value))) == [value]


def test_values_follow_each_other() -> None:
    assert list(read_values(b"".join(map(encode, VALUES)))) == VALUES


@pytest.mark.parametrize("value", [value for value in VALUES if value is not None])
def test_a_value_that_is_cut_off_says_so_at_every_cut(value: object) -> None:
    data = encode(value)
    for end in range(1, len(data)):
        with pytest.raises(NotTnetstring) as caught:
            list(read_values(data[:end]))
        assert caught.value.is_cut


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"1",
        b":",
        b"1234567890123:",
        b"-1:x,",
        b"1:x?",
        b"1:x#",
        b"1:x^",
        b"1:x!",
        b"1:x~",
        b"1:\xff;x",
        b"3:1:x]",
        b"4:1:x,}",
        b"8:1:1#1:2#}",
        b"6:9:xxx,]",
        b"2:1:]",
        b"4:xxxx]",
    ],
)
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(NotTnetstring):
        list(read_values(data))


def test_nesting_has_a_limit_and_needs_no_stack() -> None:
    def nested(depth: int) -> bytes:
        data = b"0:~"
        for _ in range(depth):
            data = _sized(data, b"]")
        return data

    assert len(list(read_values(nested(MAX_DEPTH)))) == 1
    with pytest.raises(NotTnetstring, match="at most"):
        list(read_values(nested(3000)))


# --- flows


def test_a_file_that_is_cut_off_keeps_the_flows_before_the_cut() -> None:
    whole = read_flows(WHOLE)
    read = read_flows(WHOLE[:-100])
    assert read.items == whole.items[:-1]
    assert whole.warnings == ()
    assert (whole.may_lack_sockets, read.may_lack_sockets) == (False, True)
    [warning] = read.warnings
    assert warning.startswith(f"the file is cut off after {len(whole.items) - 1} flows")


def test_a_file_with_rubbish_behind_its_flows_says_so() -> None:
    [warning] = read_flows(WHOLE + b"rubbish").warnings
    assert "is damaged after" in warning


@pytest.mark.parametrize("data", [b"rubbish", b"5:hel", encode(1), encode({"version": 21}), encode(["x"])])
def test_a_file_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ImportFailed) as caught:
        read_flows(data)
    assert caught.value.cause is Cause.NOT_A_RECORDING


@pytest.mark.parametrize("version", [19, 7, [0, 11, 3], None])
def test_another_version_is_named_with_the_way_out(version: object) -> None:
    with pytest.raises(ImportFailed, match="version 20 or later") as caught:
        read_flows(encode({**flow(), "version": version}))
    assert caught.value.cause is Cause.RECORDING_VERSION
    assert "mitmdump -nr" in str(caught.value.fix)


def test_other_flows_are_left_out_and_named() -> None:
    read = read_flows(encode({"version": 21, "type": "dns"}) + encode({"version": 21, "type": "tcp"}) + encode(flow()))
    assert len(read.items) == 1
    assert read.warnings == ("flows that are no HTTP, and are left out: 'dns', 'tcp'",)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, "http://host.test/socket.io/?EIO=4&transport=polling"),
        ({"port": 8080}, "http://host.test:8080/socket.io/?EIO=4&transport=polling"),
        ({"scheme": b"https", "port": 443}, "https://host.test/socket.io/?EIO=4&transport=polling"),
        ({"headers": [[b"Host", b"public.test"]]}, "http://public.test/socket.io/?EIO=4&transport=polling"),
        ({"authority": b"http2.test", "scheme": b"https"}, "https://http2.test/socket.io/?EIO=4&transport=polling"),
        ({"path": b"http://host.test/x"}, "http://host.test/x"),
        ({"path": b"/x?u=http://y"}, "http://host.test/x?u=http://y"),
        ({"scheme": None, "port": None, "path": None}, "http://host.test"),
    ],
)
def test_the_url_is_what_the_client_asked_for(request_: dict[str, Any], expected: str) -> None:
    assert only(flow(request_)).url == expected


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (b"6", b"", b"6"),
        (b"6", b"identity", b"6"),
        (gzip.compress(b"6", mtime=0), b"gzip", b"6"),
        (gzip.compress(b"6", mtime=0), b"X-GZIP", b"6"),
        (zlib.compress(b"6"), b"deflate", b"6"),
        (zlib.compress(b"6", wbits=-15), b"deflate", b"6"),
        (b"", b"gzip", b""),
        (b"6", b"gzip", None),
        (b"6", b"br", None),
        (None, b"", None),
    ],
)
def test_content_encodings_are_undone(content: bytes | None, encoding: bytes, expected: bytes | None) -> None:
    assert only(flow(response={"content": content, "headers": [[b"Content-Encoding", encoding], ["broken"]]})).answer == expected


def test_a_request_without_an_answer_has_status_0() -> None:
    item = only({**flow(), "response": None})
    assert isinstance(item, Exchange)
    assert (item.status, item.answer, item.ended) == (0, b"", None)


# --- WebSockets


def test_a_websocket_tells_its_end() -> None:
    item = only(socket_flow([1, False, OPEN, 101.0, False, False], [2, True, b"\x01", 102, False, False]))
    assert isinstance(item, Socket)
    assert [(message.direction, message.data, message.time) for message in item.messages] == [
        (Direction.DOWN, OPEN.decode(), 101.0),
        (Direction.UP, b"\x01", 102.0),
    ]
    assert (item.closed, item.closed_by, item.code, item.reason, item.is_open) == (105.0, Direction.DOWN, 1001, "bye", False)


def test_one_that_was_open_is_open() -> None:
    item = only(socket_flow(timestamp_end=None, closed_by_client=None, close_code=None, close_reason=None))
    assert isinstance(item, Socket)
    assert (item.closed, item.closed_by, item.code, item.reason, item.is_open) == (None, None, None, "", True)


def test_dropped_messages_are_left_out_and_injected_ones_marked() -> None:
    read = read_flows(
        encode(socket_flow([1, False, OPEN, 101.0, False, False], [1, True, b"40", 102.0, True, False], [1, False, b"2", 103.0, False, True]))
    )
    [item] = read.items
    assert isinstance(item, Socket)
    assert [(message.data, message.injected) for message in item.messages] == [(OPEN.decode(), False), ("2", True)]
    assert read.warnings == ("WebSocket messages that were dropped in the proxy, and are left out: 1",)
    assert packets(reconstruct(read).lines) == []
    assert len(notes(reconstruct(read), "injected")) == 1


@pytest.mark.parametrize("message", [[1, True, b"2"], "2", [1, 1, b"2", 1.0, False, False]])
def test_a_message_in_another_form_is_a_gap(message: object) -> None:
    item = only(socket_flow([1, False, OPEN, 101.0, False, False], message))
    assert isinstance(item, Socket)
    assert (len(item.messages), item.lost) == (1, "messages in a form that is not known")


def test_text_that_is_no_utf_8_stays_what_it_is() -> None:
    item = only(socket_flow([1, False, b"4\xff", 101.0, False, False]))
    assert isinstance(item, Socket)
    assert str(item.messages[0].data).encode("utf-8", "surrogateescape") == b"4\xff"
