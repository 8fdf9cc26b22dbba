"""`engineio-lite show`: a capture as rows for people, as JSON for programs, as a page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engineio_lite.capture.lines import Direction, Line, SocketIOPacket, Undecoded
from engineio_lite.cli._show_rows import cut, show_duration
from engineio_lite.cli.show import command
from tests.capture.lines_made import HOSTILE, POLLING, TROUBLED, UPGRADED, down, many, opened, text_of, up, written

ROWS = """\
 #   seconds     on         packet        what it says
session 1 · http://chat.example/socket.io/ · begins on polling · ping every 25 s, timeout 20 s
 1     0.000 ◀── polling   open          {"upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000,"sid":"@eio1"}
 2     0.005 ──▶ polling   CONNECT       {"jwt":"<redacted:1>"}
 3     0.018 ─── WebSocket opened
 4     0.019 ──▶ websocket ping          probe · can you hear me?
 5     0.024 ◀── polling   CONNECT       answers #2 after 19 ms {"sid":"@sid1"}
 6     0.025 ◀── websocket pong          probe · frames pass both ways
 7     0.030 ──▶ polling   CONNECT       /admin {"token":"<redacted:2>"}
 8     0.041 ◀── polling   CONNECT_ERROR /admin answers #7 after 11 ms {"message":"not authorized","data":{"code":7}}
 9     0.110 ◀── polling   noop          ends a poll
10     0.112 ──▶ websocket upgrade       from here on by WebSocket
11     0.168 ──▶ websocket EVENT         labs → #14 after 47 ms {"version":"2.18","messages":[{"role":"user","content":"Tell me a joke"}]}
12     0.171 ◀── websocket EVENT         progress {"output":"Why","final":false}
13     0.211 ◀── websocket EVENT         progress {"output":"Why did","final":true}
14     0.215 ◀── websocket ACK           answers #11 labs after 47 ms [{"ok":true}]
15     0.359 ──▶ websocket EVENT         blob → #16 after 6 ms ‹48 bytes 0001020304050607…› {"name":"x.bin"}
16     0.365 ◀── websocket ACK           answers #15 blob after 6 ms [‹3 bytes 010203›]
17     0.400 ◀── websocket EVENT         question → #18 after 2 ms 41
18     0.402 ──▶ websocket ACK           answers #17 question after 2 ms [42]
19    25.001 ◀── websocket ping
20    25.002 ──▶ websocket pong
21    26.000 ──▶ websocket DISCONNECT
22    26.001 ─── WebSocket closed by the client, code 1005
23    26.001 ─── session 1 ended by the client, client close
"""


def show(path: Path, *options: str) -> Result:
    """Run the command over a file."""
    return CliRunner().invoke(command, [str(path), *options])


def shown(path: Path, *options: str) -> list[int]:
    """The numbers of the rows that it prints."""
    done = show(path, *options)
    assert done.exit_code == 0, done.stderr
    return [int(words[0]) for words in map(str.split, done.stdout.splitlines()) if words and words[0].isdigit() and words[1] != "of"]


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """A capture of a whole session."""
    return written(tmp_path / "run.eio.jsonl")


def _captured(tmp_path: Path, *lines: Line) -> Path:
    return written(tmp_path / "made.eio.jsonl", lines)


# --- For people.


def test_a_pipe_gets_every_row_whole_and_plain(upgraded: Path) -> None:
    done = show(upgraded)
    assert (done.exit_code, done.stderr) == (0, "")
    head, _, rows = done.stdout.partition("\n")
    assert head == f"{upgraded} of 2026-11-20T20:15:20Z by tests (record), 1 session"
    assert rows == ROWS


def test_what_went_wrong_stands_in_its_place(tmp_path: Path) -> None:
    rows = show(written(tmp_path / "bad.eio.jsonl", TROUBLED)).stdout.splitlines()
    for row in (
        " 4     0.300 s1   ╳╳╳ gap: the body of a GET was not recorded; packets may be missing here",
        ' 5     0.400 s1   ◀── polling   http 400      POST answered 400: {"code":1}',
        ' 6     0.500 s1   ◀── polling   message       unknown-packet-type: "4["',
        " 7     0.600 s2       note: the order of two packets is a guess (guess)",
        " 8     0.700 s2   ─── WebSocket closed by the server, code 1006, abnormal",
    ):
        assert row in rows
    assert sum(row.startswith("session ") for row in rows) == 2


def test_questions_without_answers_and_answers_without_questions_are_told(tmp_path: Path) -> None:
    rows = show(_captured(tmp_path, up(0, "EVENT", ["a", 1], id=3), down(1, "ACK", [2], id=4), down(None, "EVENT", []))).stdout
    assert "a → no answer 1" in rows
    assert "answers nothing, id 4 [2]" in rows
    assert "        ? ◀── websocket EVENT         ? []" in rows


def test_a_torn_capture_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "torn.eio.jsonl"
    path.write_bytes(text_of(UPGRADED)[:-20])
    rows = show(path).stdout.splitlines()
    assert "torn" in rows[1]
    assert rows[-1].startswith("22 ")


def test_nothing_in_a_capture_moves_the_cursor(tmp_path: Path) -> None:
    lines: list[Line] = [opened(), up(0, "EVENT", [HOSTILE + "\x1b[2J", {HOSTILE: "\r\n"}], namespace=f"/{HOSTILE}"), up(0, "EVENT", ["a\nb"])]
    done = show(_captured(tmp_path, *lines))
    assert all(character.isprintable() for character in done.stdout.replace("\n", ""))
    assert "\\u001b[2J" in done.stdout
    assert "\\u202e" in done.stdout


def test_rows_are_cut_to_a_width(upgraded: Path) -> None:
    rows = show(upgraded, "--width", "60").stdout.splitlines()
    assert max(map(len, rows)) == 60
    assert rows[13] == "11     0.168 ──▶ websocket EVENT         labs → #14 after 4…"
    assert show(upgraded, "--width", "60", "--full").stdout.partition("\n")[2] == ROWS


@pytest.mark.parametrize(
    ("width", "cut_to"),
    [(10, "abcdefgh"), (8, "abcdefgh"), (7, "abcdef…"), (4, "abc…"), (3, "ab…"), (1, "…")],
)
def test_a_row_is_cut_wherever_its_parts_end(width: int, cut_to: str) -> None:
    assert "".join(text for _, text in cut([("", "abc"), ("dim", ""), ("", "de"), ("", "fgh")], width)) == cut_to


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.0004, "0.4 ms"), (0.006, "6 ms"), (0.0099999, "10 ms"), (0.0456, "46 ms"), (1, "1.00 s"), (-2.5, "-2.50 s"), (90, "1.5 min")],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, said: str) -> None:
    assert show_duration(seconds) == said


# --- Filters.


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--namespace", "/admin"], [7, 8]),
        (["--namespace", "admin", "--namespace", "/", "--direction", "up"], [2, 7, 11, 15, 18, 21]),
        (["--event", "prog*"], [12, 13]),
        (["--event", "labs", "--event", "?uestion"], [11, 14, 17, 18]),
        (["--from", "0.2", "--to", "0.4"], [13, 14, 15, 16, 17]),
        (["--direction", "down", "--to", "0.1"], [1, 5, 6, 8]),
        (["--no-engine", "--from", "0.1", "--to", "25.5"], [11, 12, 13, 14, 15, 16, 17, 18]),
        (["--session", "2"], []),
        (["--session", "1", "--session", "2", "--to", "0"], [1]),
    ],
)
def test_filters_leave_what_is_asked_for(upgraded: Path, options: Sequence[str], numbers: Sequence[int]) -> None:
    assert shown(upgraded, *options) == numbers
    assert f"{len(numbers)} of 23 shown" in show(upgraded, *options).stdout


def test_a_gap_is_shown_whatever_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.eio.jsonl", TROUBLED)
    assert shown(path, "--event", "nothing") == [4]
    assert shown(path, "--direction", "up") == [2, 4]
    assert shown(path, "--session", "2") == [3, 7, 8, 10]


def test_what_has_no_time_is_in_no_span_of_time(tmp_path: Path) -> None:
    path = _captured(tmp_path, up(None, "EVENT", ["a"]), up(1, "EVENT", ["b"]))
    assert shown(path) == [1, 2]
    assert shown(path, "--from", "0") == shown(path, "--to", "5") == [2]


# --- For programs.


def objects(path: Path, *options: str) -> list[dict[str, object]]:
    """What it prints with --json."""
    done = show(path, "--json", *options)
    assert (done.exit_code, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_is_a_line_for_each_socketio_packet(upgraded: Path) -> None:
    found = objects(upgraded)
    assert len(found) == sum(isinstance(line, SocketIOPacket) for line in UPGRADED)
    assert found[0] == {
        "t": 0.005,
        "session": 1,
        "dir": "up",
        "transport": "polling",
        "packet": "CONNECT",
        "namespace": "/",
        "id": None,
        "data": {"jwt": "<redacted:1>"},
    }
    assert found[8]["data"] == ["blob", {"$bin": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"}, {"name": "x.bin"}]
    assert (found[9]["packet"], found[9]["id"], found[9]["data"]) == ("ACK", 1, [{"$bin": "AQID"}])
    assert (found[-1]["packet"], found[-1]["data"]) == ("DISCONNECT", None)


def test_json_with_engine_is_everything(tmp_path: Path, upgraded: Path) -> None:
    found = objects(upgraded, "--engine")
    assert [each["packet"] for each in found][:6] == ["open", "CONNECT", "websocket open", "ping", "CONNECT", "pong"]
    assert {key: found[3][key] for key in ("dir", "transport", "namespace", "id", "data")} == {
        "dir": "up",
        "transport": "websocket",
        "namespace": None,
        "id": None,
        "data": "probe",
    }
    assert (found[8]["packet"], found[8]["data"]) == ("noop", None)
    bad = {str(each["packet"]): each["data"] for each in objects(written(tmp_path / "bad.eio.jsonl", TROUBLED), "--engine")}
    assert bad["note"] == "the order of two packets is a guess"
    assert bad["http 400"] == {
        "method": "POST",
        "url": "http://chat.example/socket.io/",
        "status": 400,
        "content_type": "application/json",
        "body": '{"code":1}',
    }


def test_json_has_what_could_not_be_decoded(tmp_path: Path) -> None:
    lines = [Undecoded(session=1, time=1.0, direction=Direction.DOWN, transport=POLLING, data=data, error="why") for data in ("4[", b"\x00")]
    assert [(each["packet"], each["data"], each["error"]) for each in objects(_captured(tmp_path, *lines))] == [
        ("message", "4[", "why"),
        ("message", {"$bin": "AA=="}, "why"),
    ]


def test_json_keeps_what_json_can_say(tmp_path: Path) -> None:
    data = ["e", HOSTILE, {"$bin": "not bytes", "n": 2**60 + 1, "f": 1.0}]
    [found] = objects(_captured(tmp_path, up(0, "EVENT", data)))
    assert found["data"] == ["e", HOSTILE, {"$esc": {"$bin": "not bytes", "n": 2**60 + 1, "f": 1.0}}]


def test_json_can_be_filtered(upgraded: Path) -> None:
    assert [each["id"] for each in objects(upgraded, "--event", "blob")] == [1, 1]


# --- As a page, and what can go wrong.


def test_a_page_is_written(upgraded: Path, tmp_path: Path) -> None:
    done = show(upgraded, "--html", str(tmp_path / "page.html"))
    assert (done.exit_code, done.output) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>run.eio.jsonl</title>" in page
    assert show(upgraded, "--html", "-").stdout == page
    assert '"n":11' not in show(upgraded, "--html", "-", "--namespace", "/admin").stdout


def test_what_cannot_be_written_is_one_line(upgraded: Path, tmp_path: Path) -> None:
    done = show(upgraded, "--html", str(tmp_path / "none" / "page.html"))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "No such file or directory" in done.stderr


def test_a_page_and_json_exclude_each_other(upgraded: Path) -> None:
    assert show(upgraded, "--html", "-", "--json").exit_code == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b'{\n "log": {"version": "1.2"}}', "engineio-lite import"), (b"\xff\xfe\n", "UTF-8"), (None, "No such file or directory")],
)
def test_what_is_no_capture_is_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "file.har"
    if content is not None:
        path.write_bytes(content)
    done = show(path)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_a_capture_may_come_from_standard_input() -> None:
    done = CliRunner().invoke(command, ["-", "--json"], input=text_of(UPGRADED))
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 13


def _process(path: Path, *options: str, without: str = "") -> subprocess.Popen[bytes]:
    hide = f"sys.modules[{without!r}] = None; " if without else ""
    code = f"import sys; {hide}from engineio_lite.cli import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, "show", str(path), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_has_seen_enough_may_leave(tmp_path: Path, options: Sequence[str]) -> None:
    with _process(written(tmp_path / "long.eio.jsonl", many(5000)), *options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(30)) == (b"", 1)


def test_a_page_without_its_extra_is_one_line(upgraded: Path) -> None:
    with _process(upgraded, "--html", "-", without="jinja2") as process:
        printed, errors = process.communicate(timeout=30)
    assert (process.returncode, printed) == (2, b"")
    assert errors.decode() == "error: a page needs the cli extra — pip install 'engineio-lite[cli]'\n"
