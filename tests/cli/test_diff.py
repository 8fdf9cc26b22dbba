"""`engineio-lite diff`: what two captures say differently, and nothing of how they travelled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from engineio_lite.capture.lines import Line, SocketIOPacket
from engineio_lite.cli.diff import command
from tests.capture.lines_made import POLLING, TROUBLED, UPGRADED, down, opened, up, written

OTHER: Sequence[Line] = (
    *UPGRADED[:10],
    up(0.3, "EVENT", ["labs", {"version": "2.13", "messages": [{"role": "user", "content": "Tell me a joke"}], "more": 1}], id=5),
    UPGRADED[12],
    down(0.4, "ACK", [{"ok": True}], id=5),
    *UPGRADED[14:16],
    down(0.5, "EVENT", ["new", b"abc"]),
    *UPGRADED[16:],
)
"""The same conversation with one packet changed, one left out and one more."""

DIFFERENT = """\
session 1
  … 3 packets the same
     4    4 ◀── CONNECT_ERROR /admin {"message":"not authorized","data":{"code":7}}
~    5    5 ──▶ EVENT labs {"version":"2.18","messages":[{"role":"user","content":"Tell me a joke"}]}
            $[1].version: "2.18" != "2.13"
            $[1].more: nothing != 1
-    6    – ◀── EVENT progress {"output":"Why","final":false}
     7    6 ◀── EVENT progress {"output":"Why did","final":true}
  … 2 packets the same
    10    9 ◀── ACK answers blob [‹3 bytes 010203›]
+    –   10 ◀── EVENT new ‹3 bytes 616263›
    11   11 ◀── EVENT question 41
  … 2 packets the same
different: 1 changed, 1 only in A, 1 only in B, 11 the same
"""


def diff(tmp_path: Path, a: Sequence[Line], b: Sequence[Line], *options: str) -> Result:
    """Run the command over two captures."""
    files = [str(written(tmp_path / f"{name}.eio.jsonl", lines)) for name, lines in (("a", a), ("b", b))]
    return CliRunner().invoke(command, [*files, *options])


def test_the_same_conversation_is_the_same_however_it_travelled(tmp_path: Path) -> None:
    by_polling = [msgspec.structs.replace(line, transport=POLLING, time=None) for line in UPGRADED if isinstance(line, SocketIOPacket)]
    done = diff(tmp_path, UPGRADED, by_polling)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2:] == ["session 1", "  … 13 packets the same", "the same: 13 packets in 1 session"]
    assert diff(tmp_path, UPGRADED, by_polling, "--json").output == ""


def test_what_differs_is_shown_with_its_surroundings(tmp_path: Path) -> None:
    done = diff(tmp_path, UPGRADED, OTHER)
    assert (done.exit_code, done.stderr) == (1, "")
    head = done.stdout.splitlines()[:2]
    assert head == [f"A {tmp_path / 'a.eio.jsonl'}", f"B {tmp_path / 'b.eio.jsonl'}"]
    assert done.stdout.split("\n", 2)[2] == DIFFERENT


def test_more_or_less_of_what_is_the_same_can_be_seen(tmp_path: Path) -> None:
    none = diff(tmp_path, UPGRADED, OTHER, "--context", "0").stdout
    assert "     7    6" not in none
    assert "  … 3 packets the same\n" in none
    assert "packets the same" not in diff(tmp_path, UPGRADED, OTHER, "--full").stdout.replace("different", "")


def test_rows_are_cut_to_a_width(tmp_path: Path) -> None:
    assert max(map(len, diff(tmp_path, UPGRADED, OTHER, "--width", "50").stdout.splitlines())) == 50


def test_paths_can_be_ignored(tmp_path: Path) -> None:
    done = diff(tmp_path, UPGRADED[:11], OTHER[:11], "--ignore", "$[1].version", "--ignore", "$[1].more")
    assert done.exit_code == 0
    done = diff(tmp_path, UPGRADED[:11], OTHER[:11], "--ignore", "$[1].version")
    assert done.exit_code == 1
    assert "$[1].more: nothing != 1" in done.stdout


def test_json_is_a_line_for_each_packet_that_differs(tmp_path: Path) -> None:
    done = diff(tmp_path, UPGRADED, OTHER, "--json")
    assert done.exit_code == 1
    changed, missing, added = map(json.loads, done.stdout.splitlines())
    assert changed == {
        "session": {"a": 1, "b": 1},
        "change": "changed",
        "a": 5,
        "b": 5,
        "dir": "up",
        "packet": "EVENT",
        "namespace": "/",
        "event": "labs",
        "differences": [{"path": "$[1].version", "a": "2.18", "b": "2.13"}, {"path": "$[1].more", "b": 1}],
    }
    assert (missing["change"], missing["a"], missing["b"], missing["data"]) == ("missing", 6, None, ["progress", {"output": "Why", "final": False}])
    assert (added["change"], added["a"], added["b"], added["data"]) == ("added", None, 10, ["new", {"$bin": "YWJj"}])


def test_sessions_without_a_counterpart_differ(tmp_path: Path) -> None:
    two: list[Line] = [opened(), up(0, "CONNECT"), opened(session=2), opened(session=3), up(0, "CONNECT", session=3)]
    done = diff(tmp_path, two, two[:2])
    assert done.exit_code == 1
    assert "session 2 of A, – of B" in done.stdout
    assert "session 3 of A, – of B\n-    1    – ──▶ CONNECT\n" in done.stdout
    found = list(map(json.loads, diff(tmp_path, two[:2], two, "--json").stdout.splitlines()))
    assert found[0] == {"session": {"a": None, "b": 2}, "change": "added"}
    assert (found[1]["session"], found[1]["packet"], "data" in found[1]) == ({"a": None, "b": 3}, "CONNECT", False)


def test_a_capture_with_gaps_is_not_trusted(tmp_path: Path) -> None:
    assert "(with 1 gap: packets may be missing)" in diff(tmp_path, TROUBLED, UPGRADED).stdout.splitlines()[0]


@pytest.mark.parametrize("path", ["version", "$[x]"])
def test_a_path_that_is_none_is_wrong_usage(tmp_path: Path, path: str) -> None:
    done = diff(tmp_path, UPGRADED, UPGRADED, "--ignore", path)
    assert done.exit_code == 2
    assert "expected a path such as" in " ".join(done.stderr.split())


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "a"), str(tmp_path / "b")])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
