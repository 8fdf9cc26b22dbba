"""`engineio-lite decode`: lines of JSON for programs, a table for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engineio_lite.cli.decode import Layer, Row, decode, decode_frames, decode_line


def run(*arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(decode, arguments, input=given)


def line(value: object, layer: str = "socketio-packet", *, lenient: bool = False) -> dict[str, Any]:
    return decode_line(json.dumps(value).encode(), Layer(layer), lenient=lenient)


# --- for programs


def test_frames_are_one_packet_and_its_attachments() -> None:
    assert line({"frames": [{"text": '51-["a",{"_placeholder":true,"num":0}]'}, {"hex": "00ff"}]}) == {
        "ok": [{"type": "EVENT", "nsp": "/", "data": ["a", {"$hex": "00ff"}]}]
    }
    assert line({"frames": []}) == {"ok": []}


def test_missing_attachments_are_pending() -> None:
    assert line({"text": '51-["a"]'}) == {"ok": [], "pending": True}
    assert line({"frames": [{"text": '20["a"]'}, {"text": '51-["a"]'}]}) == {
        "ok": [{"type": "EVENT", "nsp": "/", "data": ["a"], "id": 0}],
        "pending": True,
    }


def test_nothing_is_read_behind_a_fault() -> None:
    assert line({"frames": [{"text": '2["a"]'}, {"text": "x"}, {"text": '2["b"]'}]}) == {
        "ok": [{"type": "EVENT", "nsp": "/", "data": ["a"]}],
        "error": {"code": "unknown-packet-type", "offset": 0},
    }


def test_bodies_may_be_bytes() -> None:
    assert line({"hex": "3461 1e 34ff"}, "engineio-payload") == {
        "ok": [{"type": "message", "data": "a"}],
        "error": {"code": "bad-utf8", "offset": 4},
    }
    assert line({"hex": b"2:40".hex()}, "engineio-payload")["hint"] == "looks-like-eio3"


def test_lenient() -> None:
    for layer, text in (("engineio-packet", "bAQ"), ("engineio-payload", "bAQ"), ("socketio-packet", '2["connect"]')):
        assert "error" in line({"text": text}, layer)
        assert "ok" in line({"text": text}, layer, lenient=True)


@pytest.mark.parametrize(
    ("given", "offset"),
    [
        (b"", 0),
        (b"nope", 0),
        (b'{"text":"x"', 11),
        (b'{"text":"\xff"}', 9),
        (b"[]", 0),
        (b"{}", 0),
        (b'{"text":5}', 0),
        (b'{"hex":"0"}', 0),
        (b'{"hex":"0x"}', 0),
        (b'{"hex":null}', 0),
        (b'{"frames":{}}', 0),
        (b'{"frames":["x"]}', 0),
        (b'{"frames":[{"frames":[]}]}', 0),
    ],
)
@pytest.mark.parametrize("layer", list(Layer))
def test_what_is_no_input_says_so(given: bytes, offset: int, layer: Layer) -> None:
    error = decode_line(given, layer)["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["offset"]) == ("bad-input", offset)
    assert error["message"]


@pytest.mark.parametrize("layer", ["engineio-packet", "engineio-payload"])
def test_frames_belong_to_socketio(layer: str) -> None:
    two = {"frames": [{"text": "2"}, {"text": "2"}]}
    assert line(two, layer)["error"]["code"] == "bad-input"
    assert line({"frames": [{"text": "2"}]}, layer) == line({"text": "2"}, layer)


def test_a_bad_line_does_not_stop_the_others() -> None:
    done = run("--layer", "engineio-packet", "--json", given='{"text":"2"}\nnope\n\n{"text":"3"}\r\n{"text":"7"}')
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert [("ok" in answer, answer.get("error", {}).get("code")) for answer in answers] == [
        (True, None),
        (False, "bad-input"),
        (False, "bad-input"),
        (True, None),
        (False, "unknown-packet-type"),
    ]
    assert done.exit_code == 1


def test_a_faulty_packet_is_a_result_like_another() -> None:
    done = run("--layer", "engineio-packet", "--json", given='{"text":"7"}\n')
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"error": {"code": "unknown-packet-type", "offset": 0}}


def test_lines_end_with_line_feeds_only() -> None:
    done = run("--layer", "engineio-payload", "--json", given='{"text":"4a\\u001e4b\u2028\u0085\x7f"}\n')
    assert json.loads(done.stdout) == {"ok": [{"type": "message", "data": "a"}, {"type": "message", "data": "b\u2028\u0085\x7f"}]}


def test_whatever_is_decoded_can_be_printed() -> None:
    done = run("--layer", "socketio-packet", "--json", given='{"text":"2[\\"\\\\ud800\\",' + "1" * 100 + ']"}\n{"text":"4\\ud800"}\n')
    first, second = (json.loads(answer) for answer in done.stdout.splitlines())
    assert first["ok"][0]["data"] == ["\ud800", int("1" * 100)]
    assert second["error"]["code"] == "bad-json"
    assert done.exit_code == 0


def test_json_needs_a_layer() -> None:
    done = run("--json")
    assert done.exit_code == 2
    assert "--layer" in done.stderr


def test_nothing_in_nothing_out() -> None:
    done = run("--layer", "socketio-packet", "--json")
    assert (done.stdout, done.exit_code) == ("", 0)


# --- for people


def rows(*lines: str, layer: Layer | None = None, lenient: bool = False) -> list[Row]:
    return list(decode_frames(lines, layer, lenient=lenient))


def test_a_frame_is_taken_apart() -> None:
    assert rows('42/chat,7["hi",{"a":1}]', "", "2probe", "40") == [
        Row(1, "Engine.IO", "message", """'2/chat,7["hi",{"a":1}]'"""),
        Row(1, "Socket.IO", "EVENT /chat id 7", """'["hi",{"a":1}]'"""),
        Row(3, "Engine.IO", "ping", "'probe'"),
        Row(4, "Engine.IO", "message", "'0'"),
        Row(4, "Socket.IO", "CONNECT", ""),
    ]


def test_attachments_follow_as_base64() -> None:
    assert rows('451-["a",{"_placeholder":true,"num":0}]', "2", "bAQI=")[1:] == [
        Row(1, "Socket.IO", "…", "attachments missing: 1"),
        Row(2, "Engine.IO", "ping", ""),
        Row(3, "Engine.IO", "message", "bytes 0102"),
        Row(3, "Socket.IO", "EVENT", """'["a",{"$hex":"0102"}]'"""),
    ]


def test_faults_are_pointed_at() -> None:
    [_, fault] = rows('42["a",]')
    assert fault.is_error
    assert fault.what == "bad-json at 6"
    assert fault.data.split("\n")[1:] == ['2["a",]', "      ^"]
    [good, fault] = rows("42\x1ebA A")[0:3:2]
    assert good.what == "message"
    assert fault.data.split("\n")[1:] == ["42·bA A", "     ^"]


def test_a_long_frame_is_shown_where_the_fault_is() -> None:
    [_, fault] = rows('42["' + "x" * 1000 + '",oops' + "y" * 1000)
    excerpt, caret = fault.data.split("\n")[1:]
    assert excerpt[caret.index("^")] == "o"
    assert len(excerpt) == 36


def test_a_fault_of_bytes_has_nothing_to_point_at() -> None:
    assert rows("bAQI=")[1] == Row(1, "Socket.IO", "unexpected-binary at 0", "expected text, got a binary message", is_error=True)


def test_layers_can_be_chosen() -> None:
    assert [row.layer for row in rows('42["a"]', layer=Layer.ENGINEIO_PACKET)] == ["Engine.IO"]
    assert [row.what for row in rows("2\x1e3", layer=Layer.ENGINEIO_PAYLOAD)] == ["ping", "pong"]
    assert [row.what for row in rows('2["a"]', "", "0/x,{}", layer=Layer.SOCKETIO_PACKET)] == ["EVENT", "CONNECT /x"]
    assert rows('2["connect"]', layer=Layer.SOCKETIO_PACKET)[0].is_error
    assert not rows('2["connect"]', layer=Layer.SOCKETIO_PACKET, lenient=True)[0].is_error


def test_secrets_are_not_shown() -> None:
    shown = str(rows('0{"sid":"secretsecret","upgrades":[]}', '40{"sid":"secretsecret"}'))
    assert "secret" not in shown


def test_the_table() -> None:
    done = run(given='42["a",{"b":1}]\n42[\n')
    assert done.exit_code == 1
    assert "EVENT" in done.stdout
    assert "bad-json at 2" in done.stdout
    assert run(given='42["a"]\n').exit_code == 0
    assert run("--lenient", "--layer", "engineio-packet", given="bAQ\n").exit_code == 0


def test_markup_in_a_frame_is_text() -> None:
    assert "[red]" in run(given='42["[red]"]\n').stdout


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    done = run(given=b"4\xff\n")
    assert done.exit_code == 1
    assert "\ufffd" in done.stdout
