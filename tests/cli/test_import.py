"""`engineio-lite import`, as it is called."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engineio_lite.capture import load
from engineio_lite.capture.lines import Note
from tests.capture.importers.recordings import HERE, as_json, need_tshark, said
from tests.capture.importers.test_har import attached, entry, har

LIMIT = 60.0


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from engineio_lite.cli import main; main()"
    words = [sys.executable, "-c", code, "import", *map(str, arguments)]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", timeout=LIMIT, check=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.eio.jsonl"


def test_a_recording_becomes_a_capture_and_a_report(out: Path) -> None:
    done = run(HERE / "mitm-js-chromium-upgrade.mitm", "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{HERE / 'mitm-js-chromium-upgrade.mitm'}: mitmproxy, 8 requests",
        "  session 1 http://127.0.0.1:3101/socket.io/ (polling, then websocket): 9 packets up, 31 down, ended by the server",
        f"{out}: 49 lines",
    ]
    capture = load(out)
    assert (capture.head.source, capture.head.at, len(capture.lines)) == ("mitmproxy", "2026-11-20T21:02:57.051Z", 49)
    assert capture.remarks == ()


def test_secrets_do_not_reach_the_file_or_the_report(out: Path) -> None:
    source = HERE / "devtools-jscookie-chromium-upgrade.har"
    done = run(source, "-o", out, "--json")
    assert done.returncode == 0
    written = out.read_text(encoding="utf-8") + done.stdout
    entries = json.loads(source.read_bytes())["log"]["entries"]
    headers = [(header["name"].lower(), header["value"]) for made in entries for header in made["request"]["headers"]]
    secrets = [value.split()[-1] for name, value in headers if name == "authorization"]
    secrets += [pair.split("=", 1)[1] for name, value in headers if name == "cookie" for pair in value.split("; ")]
    secrets += [parameter["value"] for made in entries for parameter in made["request"]["queryString"] if parameter["name"] in ("apikey", "sid")]
    assert len(set(secrets)) >= 4
    assert [secret for secret in secrets if secret in written] == []
    assert "apikey=<redacted:1>" in written


def test_what_is_no_secret_can_be_kept(out: Path) -> None:
    assert run(HERE / "mitm-js-chromium-upgrade.mitm", "-o", out, "--keep", "token=test-admin-token").returncode == 0
    assert '{"token": "test-admin-token"}' in out.read_text(encoding="utf-8")
    assert run(HERE / "mitm-js-chromium-upgrade.mitm", "-o", out).returncode == 0
    text = out.read_text(encoding="utf-8")
    assert "test-admin-token" not in text
    assert '{"jwt": "anonymous-ask-user"}' in text, "that is kept anyway"


@pytest.mark.parametrize("value", ["token", "=x", "token="])
def test_keep_wants_a_name_and_a_value(out: Path, value: str) -> None:
    done = run(HERE / "mitm-js-chromium-upgrade.mitm", "-o", out, "--keep", value)
    assert done.returncode == 2
    assert "expected NAME=VALUE" in done.stderr


def test_standard_output_gets_the_capture_and_standard_error_the_report() -> None:
    done = run(HERE / "playwright-js-chromium-websocket.har", "-o", "-")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (lines[0]["k"], len(lines)) == ("head", 45)
    assert "44 lines" in done.stderr


def test_several_files_make_one_capture(out: Path) -> None:
    done = run(HERE / "mitm-js-chromium-upgrade.har", HERE / "devtools-js-chromium-polling.har", "-o", out, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert [(session["session"], session["sent"], session["received"]) for session in report["sessions"]] == [(1, 9, 31), (2, 9, 31)]
    assert [source["format"] for source in report["sources"]] == ["har", "har"]
    assert (report["gaps"], report["lines"]) == (0, len(load(out).lines))


def test_the_same_session_in_two_files_is_named(out: Path) -> None:
    done = run(HERE / "mitm-js-chromium-upgrade.har", HERE / "devtools-js-chromium-upgrade.har", "-o", out)
    assert done.returncode == 0
    assert "note: the same session as session 1, seen by another file" in done.stdout


def test_gaps_are_told_and_are_an_exit_code_if_that_is_wanted(out: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.har"
    source.write_bytes(as_json(har(entry(), entry("http://host.test/socket.io/?EIO=4&sid=s1", response={"content": {"size": 10}}))))
    done = run(source, "-o", out)
    assert done.returncode == 0
    assert run(source, "-o", out, "--strict").returncode == 1
    assert "    gap: the answer to a GET was not recorded" in done.stdout
    assert "1 gap: packets may be missing" in done.stdout
    assert len(load(out).lines) == 2


def test_what_belongs_to_no_session_is_told(out: Path) -> None:
    done = run(HERE / "mitm-js-curl-handshake-errors.mitm", "-o", out)
    assert "  no session: 12 HTTP errors" in done.stdout
    assert "    note: Engine.IO 3: a Socket.IO 2 client, which is not read" in done.stdout
    assert "1 not decoded" in done.stdout


def test_a_recording_in_which_there_is_nothing_is_one_gap(out: Path) -> None:
    done = run(HERE / "mitm-js-node-websocket-open.har", "-o", out)
    assert done.returncode == 0
    assert "warning: the HAR (by mitmproxy) has no entries" in done.stdout
    [line] = load(out).lines
    assert isinstance(line, Note)
    assert line.what == "gap"


def test_a_recording_without_engine_io_writes_nothing(out: Path, tmp_path: Path) -> None:
    out.write_text("what was there")
    source = tmp_path / "x.har"
    source.write_bytes(as_json(har(entry("http://host.test/page.html"))))
    done = run(source, "-o", out)
    assert done.returncode == 1
    assert done.stdout.endswith("no Engine.IO in it, nothing was written\n")
    assert out.read_text() == "what was there"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "expected a HAR, a flow file of mitmproxy, a pcap or pcapng"),
        (b"", "got an empty file"),
        (b'{"k": "head", "v": 1}\n', "needs no import"),
        (b"\xd4\xc3\xb2\xa1", "tshark"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_touches_nothing(out: Path, tmp_path: Path, content: bytes, said: str) -> None:
    out.write_text("what was there")
    source = tmp_path / "source"
    source.write_bytes(content)
    done = run(source, "-o", out)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"error: {source}: " in done.stderr
    assert said in done.stderr
    assert out.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "source"]


def test_the_error_of_an_old_flow_file_tells_the_way_out(out: Path, tmp_path: Path) -> None:
    source = tmp_path / "old.mitm"
    source.write_bytes(b"28:7:version;1:7#4:type;4:http;}")
    done = run(source, "-o", out)
    assert done.returncode == 2
    assert "recording-version" in done.stderr
    assert "mitmdump -nr OLD -w NEW" in done.stderr


@pytest.mark.parametrize("name", ["missing.har", "."])
def test_a_file_that_cannot_be_opened_is_one_line(out: Path, tmp_path: Path, name: str) -> None:
    done = run(tmp_path / name, "-o", out)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / name) in done.stderr


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = run(HERE / "mitm-js-py-upgrade.mitm", "-o", tmp_path / "nowhere" / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr


def test_without_tshark_the_error_says_so(out: Path) -> None:
    done = run(HERE / "tshark-js-py-upgrade.pcap", "-o", out, "--tshark", "/nowhere/tshark")
    assert done.returncode == 2
    assert "/nowhere/tshark was not found" in done.stderr
    assert "install tshark (part of Wireshark)" in done.stderr


def test_attachments_of_playwright_are_found_beside_the_file_and_nowhere_else(out: Path, tmp_path: Path) -> None:
    data, files = attached()
    inside = tmp_path / "inside"
    inside.mkdir()
    for name, content in files.items():
        (inside / name).write_bytes(content)
    (inside / "x.har").write_bytes(data)
    assert run(inside / "x.har", "-o", out).returncode == 0
    first = said(load(out).lines)
    (inside / "4.txt").rename(tmp_path / "4.txt")
    (inside / "x.har").write_bytes(data.replace(b'"4.txt"', b'"../4.txt"'))
    done = run(inside / "x.har", "-o", out, "--strict")
    assert done.returncode == 1
    assert "not beside it: 1" in done.stdout
    assert len(said(load(out).lines)) == len(first) - 1


def test_the_new_file_has_the_usual_permissions(out: Path, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_text("")
    assert run(HERE / "mitm-js-py-upgrade.mitm", "-o", out).returncode == 0
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("")
    link.symlink_to(target)
    assert run(HERE / "mitm-js-py-upgrade.mitm", "-o", link).returncode == 0
    assert link.is_symlink()
    assert len(load(target).lines) > 40


def test_the_command_is_listed_without_its_underscore() -> None:
    code = "from engineio_lite.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "\n  import " in done.stdout
    assert "import_" not in done.stdout


def test_help_tells_the_exit_codes() -> None:
    done = run("--help")
    assert "Exit codes: 0 imported, also if there are gaps" in done.stdout


def test_a_packet_capture_is_read_by_content_not_by_name(out: Path, tmp_path: Path) -> None:
    need_tshark()
    source = tmp_path / "recording.har"
    shutil.copy(HERE / "tshark-js-py-upgrade.pcap", source)
    done = run(source, "-o", out, "--port", "3101")
    assert done.returncode == 0
    assert f"{source}: pcap, 2 requests" in done.stdout
