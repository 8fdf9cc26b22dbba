"""What should not be in a capture is found, whatever wrote it, and what a recorder leaves is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.format import encode_line
from engineio_lite.capture.inspection import inspect
from engineio_lite.capture.lines import Direction, Head, Line, SessionOpened
from engineio_lite.capture.lines import SocketIOPacket as Said
from engineio_lite.capture.redactor import Redactor
from engineio_lite.capture.shapes import SHAPES
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def found(*fields: object, allow: tuple[str, ...] = ()) -> list[tuple[int, str, str]]:
    return [(finding.line, finding.path, finding.rule) for finding in inspect(map(json.dumps, fields), allow=allow)]


def packet(kind: str, name: str, data: object) -> dict[str, object]:
    return {"k": kind, "s": 1, "t": 0.1, "tr": "polling", "p": name, "nsp": "/", "data": data}


def passage(message: str) -> dict[str, object]:
    return {"k": "pass", "s": 1, "at": 1.5, "in": {"is": "SendMessages", "messages": [message]}, "out": []}


@pytest.mark.parametrize(
    ("line", "path", "rule"),
    [
        (packet("up", "CONNECT", {"token": "opensesame"}), "$.data.token", "auth"),
        (packet("up", "CONNECT", {"a": [{"b": "opensesame"}]}), "$.data.a[0].b", "auth"),
        (packet("up", "CONNECT", "opensesame"), "$.data", "auth"),
        (packet("up", "CONNECT", {"offset": "abc"}), "$.data.offset", "auth"),
        (packet("down", "CONNECT", {"sid": "abc"}), "$.data.sid", "id"),
        (packet("down", "CONNECT", {"pid": "abc"}), "$.data.pid", "id"),
        ({"k": "open", "s": 1, "sid": "abc"}, "$.sid", "id"),
        ({"k": "open", "s": 1, "url": "http://h/?key=abc&EIO=4"}, "$.url", "url"),
        ({"k": "http", "s": 1, "url": "http://me@h/"}, "$.url", "shape"),
        (packet("down", "EVENT", ["e", {"password": "x"}]), "$.data[1].password", "member"),
        (packet("down", "EVENT", ["e", f"x {JWT}"]), "$.data[1]", "shape"),
        (packet("down", "EVENT", ["e", {JWT: 1}]), "$.data[1]", "shape"),
        ({"k": "of the future", "x": ["q8Zr3Vb1Lk9Xw2Tn5Yc7Md4P"]}, "$.x[0]", "random"),
        (packet("down", "EVENT", ["e", {"$bin": "AGV5SmFiYy5kZWYuZ2hpAA=="}]), "$.data[1]", "shape"),
        (packet("down", "EVENT", ["e", {"$bin": f"not base64 {JWT}"}]), "$.data[1]", "shape"),
        (f"log {JWT}", "$", "shape"),
        (passage('0{"token":"opensesame"}'), "$.in.messages[0].token", "auth"),
        (passage('40/admin,{"token":"opensesame"}'), "$.in.messages[0].token", "auth"),
        (passage('2\x1e0{"sid":"abc"}'), "$.in.messages[0].sid", "id"),
        (passage('40{"sid":"@sid1","pid":"abc"}'), "$.in.messages[0].pid", "id"),
    ],
)
def test_what_looks_like_a_secret_is_found(line: object, path: str, rule: str) -> None:
    assert found({"k": "head", "v": 1}, line) == [(2, path, rule)]


@pytest.mark.parametrize(
    "line",
    [
        packet("up", "CONNECT", {"token": "<redacted:1>", "n": 5, "jwt": "anonymous-ask-user", "empty": ""}),
        packet("up", "CONNECT", {"pid": "@pid1", "offset": "abc"}),
        packet("down", "CONNECT", {"sid": "@sid1"}),
        packet("down", "EVENT", ["e", "prose about anything", {"token": " the", "password": "<redacted:1>"}, {"$bin": "AAEC"}, None, 5]),
        {"k": "open", "s": 1, "sid": "@eio1", "url": "http://h/?key=<redacted:1>&EIO=4&transport=polling&t=abc"},
        {"k": "open", "s": 1, "url": "http://[half"},
        passage('0{"token":"<redacted:1>"}\x1e40{"sid":"@sid1"}\x1e0{half}\x1e42["e"]'),
    ],
)
def test_what_a_recorder_leaves_is_not(line: object) -> None:
    assert found(line) == []


def test_a_line_that_cannot_be_read_is_told_and_an_empty_one_is_nothing() -> None:
    assert [(f.line, f.rule) for f in inspect(["{half", "", "  "])] == [(1, "unreadable")]


def test_a_finding_does_not_repeat_the_secret() -> None:
    [finding] = inspect([json.dumps(packet("up", "CONNECT", {"token": "opensesame"}))])
    assert finding.shown == "open… (10 characters)"


def test_what_somebody_knows_to_be_harmless_may_be_allowed() -> None:
    assert found(packet("up", "CONNECT", {"app": "demo-app", "token": "opensesame"}), allow=("^demo-",)) == [(1, "$.data.token", "auth")]


_strings = st.text(max_size=20) | st.sampled_from([JWT, f"see {JWT}", "Bearer abcdefghijkl", "https://u:p@h/", "opensesame"])
_values = st.recursive(
    _strings | st.integers() | st.none() | st.binary(max_size=10) | st.just(JWT.encode()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_strings | st.sampled_from(["password", "token"]), inner, max_size=3),
    max_leaves=8,
)


@given(_values, _values)
def test_nothing_certain_is_found_in_what_a_redactor_leaves(auth: object, data: object) -> None:
    redactor = Redactor()
    lines: list[Line] = [
        Head(),
        SessionOpened(session=1, transport=Transport.POLLING, url="http://me:pw@h/?key=word", sid="session"),
        Said(session=1, direction=Direction.UP, transport=Transport.POLLING, type=PacketType.CONNECT, data={"a": auth}),
        Said(session=1, direction=Direction.DOWN, transport=Transport.POLLING, type=PacketType.EVENT, data=["e", data]),
    ]
    written = [encode_line(line) for line in map(redactor.line, lines) if line is not None]
    assert [finding for finding in inspect(written) if finding.rule != "random"] == []
    assert SHAPES.search("\n".join(written)) is None
