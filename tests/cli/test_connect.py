"""`engineio-lite connect` from a pipe, as a process of its own, against real servers: what it prints, and the exit code that it ends with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner

from engineio_lite.cli.connect import command
from tests.commands import heeding_ctrl_c
from tests.peers import KINDS, Kind, Peer, StartPeer

DEAD = "http://127.0.0.1:9"
LIMIT = 30.0

_UNWANTED = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _UNWANTED} | {"PYTHONIOENCODING": "utf-8"}
COMMAND = [sys.executable, "-c", "from engineio_lite.cli import main; main()", "connect"]


def run(*arguments: str, lines: str | bytes | None = "") -> subprocess.CompletedProcess[str]:
    """The command with these lines on its standard input; None for none at all."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if lines is None else {"input": lines.encode() if isinstance(lines, str) else lines}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, timeout=LIMIT, check=False, env=ENVIRONMENT, **given)
    assert b"Traceback" not in done.stderr
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes], IO[bytes]]]:
    """The command and its standard streams; it does not outlive its block."""
    pipe = subprocess.PIPE
    with heeding_ctrl_c():
        child = subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
    with child as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process, process.stdin, process.stdout, process.stderr
        finally:
            process.kill()


def until(stream: IO[bytes], word: str) -> list[str]:
    """The lines up to the first with this word in it; the time limit of the test bounds it."""
    found: list[str] = []
    while not found or word not in found[-1]:
        line = stream.readline()
        assert line, f"ended before {word!r}: {found}"
        found.append(line.decode())
    return found


def texts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines without their times."""
    return [line[9:] for line in done.stdout.splitlines()]


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(each) >= {"at", "kind"} for each in found)
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    return found


def of(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key not in ("at", "kind", "seconds")} for each in found if each["kind"] == kind]


# --- talking


def test_a_script_is_carried_out_line_by_line(any_peer: Peer) -> None:
    done = run(any_peer.url, "--transport", "websocket", lines='wait welcome\n\n# a comment\ncall echo 1 {"a": "ü"}\nemit echo "x"\nwait echo\n')
    assert (done.returncode, done.stderr) == (0, "")
    shown = texts(done)
    assert shown[0] == f"─── connecting to {any_peer.url}"
    assert shown[1].startswith("─── open by websocket as ")
    joined, welcome = sorted(shown[2:4])  # a Python server's handler speaks before the namespace is granted
    assert joined.startswith("─── joined / as ")
    assert welcome.startswith('◀── welcome {"auth":')
    assert shown[4:6] == ['──▶ echo 1 {"a":"ü"}  #0', '◀── echo 1 {"a":"ü"}']
    assert shown[6].startswith("◀── ack #0 echo ")
    assert shown[6].endswith(' ms: 1 {"a":"ü"}')
    assert shown[7] == '──▶ echo "x"'
    assert shown[-1] == "─── closed, client close"


def test_json_is_one_object_a_line(any_peer: Peer) -> None:
    done = run(any_peer.url, "--json", "--transport", "websocket", lines='call echo 1 {"$hex": "00ff"} "ü"\nemit nothing\n')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    found = objects(done)
    args = [1, {"$hex": "00ff"}, "ü"]
    assert of(found, "sent") == [
        {"namespace": "/", "name": "echo", "args": args, "id": 0},
        {"namespace": "/", "name": "nothing", "args": []},
    ]
    assert of(found, "event")[1] == {"namespace": "/", "name": "echo", "args": args}
    assert of(found, "ack") == [{"namespace": "/", "name": "echo", "args": args, "id": 0}]
    [ack] = [each for each in found if each["kind"] == "ack"]
    assert 0 < ack["seconds"] < LIMIT
    assert [each["state"] for each in of(found, "state")] == ["connecting", "open", "joined"]
    assert found[-1] | {"at": 0} == {"at": 0, "kind": "closed", "reason": "client close", "cause": None, "message": None, "unsent": 0}


@pytest.mark.parametrize("transport", ["polling", "websocket", None])
def test_what_comes_stands_in_the_order_of_the_wire(any_peer: Peer, transport: str | None) -> None:
    chosen = [] if transport is None else ["--transport", transport]
    done = run(
        any_peer.url, "--json", *chosen, lines="call flood 50\ncall report\n" + "".join(f"emit count {i}\n" for i in range(40)) + "call report\n"
    )
    assert done.returncode == 0
    found = objects(done)
    assert [each["args"] for each in of(found, "event") if each["name"] == "number"] == [[i] for i in range(50)]
    kinds = [each["kind"] for each in found if each.get("name") in ("number", "flood")]
    assert kinds == ["sent", *["event"] * 50, "ack"]
    assert of(found, "ack")[-1]["args"] == [{"received": 40, "inOrder": True, "last": 39}]


def test_questions_are_answered(any_peer: Peer) -> None:
    lines = 'emit askme "why?"\nwait question\nack first "because" {"$hex": "01"}\nwait answer\nack first 1\nack 12345\n'
    done = run(any_peer.url, "--json", lines=lines)
    found = objects(done)
    [question] = [each for each in of(found, "event") if each["name"] == "question"]
    assert question["args"] == ["why?"]
    assert {"namespace": "/", "name": None, "args": ["because", {"$hex": "01"}], "id": question["id"]} in of(found, "sent")
    assert [each["args"] for each in of(found, "event") if each["name"] == "answer"] == [["because", {"$hex": "01"}]]
    assert [each["message"] for each in of(found, "error")] == ["the server asks nothing in /", "the server does not ask question 12345"]
    assert done.returncode == 1


def test_namespaces(any_peer: Peer) -> None:
    lines = """\
join /admin {"token": "letmein"}
use admin
call echo 1
use /
call echo 2
leave /admin
use /admin
join /refuse-string
call echo 3
"""
    done = run(any_peer.url, "--json", lines=lines)
    found = objects(done)
    assert [(each["namespace"], each["args"]) for each in of(found, "ack")] == [("/admin", [1]), ("/", [2]), ("/", [3])]
    assert [each["namespace"] for each in of(found, "state") if each["state"] == "joined"] == ["/", "/admin"]
    assert {"state": "left", "namespace": "/admin", "reason": "io client disconnect"} in of(found, "state")
    assert [(each["line"], each["cause"]) for each in of(found, "error")] == [(7, "namespace-not-connected"), (8, "namespace-refused")]
    assert done.returncode == 1


def test_a_session_may_begin_in_another_namespace(any_peer: Peer) -> None:
    for arguments in ([f"{any_peer.url}/admin"], [any_peer.url, "--namespace", "/admin"], [any_peer.url, "--namespace", "admin"]):
        done = run(*arguments, "--auth", '{"token": "letmein"}', lines="call auth\n")
        assert done.returncode == 0
        assert '◀── /admin welcome {"auth":{"token":"<redacted>"}' in done.stdout


def test_leaving_the_last_namespace_quits(any_peer: Peer) -> None:
    done = run(any_peer.url, "--wait", "20", lines="leave\ncall echo 1\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert texts(done)[-1] == "─── closed, io client disconnect"
    assert "echo" not in done.stdout


def test_files_are_bytes(any_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(bytes(range(256)))
    quoted = json.dumps(str(path))
    refused = "".join(f"binary echo @{each}\n" for each in (tmp_path, tmp_path / "none", "/dev/zero"))
    lines = f'call echo 1 @{quoted} "@x"\nbinary echo @{quoted}\nwait echo\nwait echo\n{refused}'
    done = run(any_peer.url, "--json", lines=lines)
    found = objects(done)
    data = {"$hex": bytes(range(256)).hex()}
    assert of(found, "ack")[0]["args"] == [1, data, "@x"]
    assert [each["args"] for each in of(found, "event") if each["name"] == "echo"] == [[1, data, "@x"], [data]]
    errors = of(found, "error")
    assert [(each["line"], each["cause"]) for each in errors] == [(5, "bad-file"), (6, "bad-file"), (7, "bad-file")]
    assert [each["message"].rpartition(" is ")[2].rpartition(": ")[2] for each in errors] == [
        "no regular file",
        "No such file or directory",
        "no regular file",
    ]


def test_a_file_that_is_too_large_is_not_read_whole(python_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**40)
    done = run(python_peer.url, "--exec", f"binary echo @{path}")
    assert done.returncode == 1
    assert "more than 16777216 bytes" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_msgpack_parser(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, parser="msgpack")
    done = run(peer.url, "--parser", "msgpack", "--json", "--timeout", "5", lines='call echo 1 {"$hex": "00"}\n')
    assert done.returncode == 0
    assert of(objects(done), "ack")[0]["args"] == [1, {"$hex": "00"}]


def test_packets_and_pings_are_shown_if_they_are_wanted(peer_server: StartPeer) -> None:
    peer = peer_server("node", pingInterval=200)
    done = run(peer.url, "--json", "--transport", "websocket", lines="pings on\nsleep 0.5\npings off\nraw on\nsleep 0.5\nemit x 1\nraw off\nstatus\n")
    found = objects(done)
    states = [each["state"] for each in of(found, "state")]
    assert states[3:5] == ["ping", "pong"]
    packets = [(each["direction"], each["carrier"], each["packet"]) for each in of(found, "packet")]
    assert ("down", "WebSocket 1", "2") in packets
    assert ("up", "WebSocket 1", "3") in packets
    assert packets[-1] == ("up", "WebSocket 1", '42["x",1]')
    [status] = [each for each in of(found, "state") if each["state"] == "status"]
    assert status["came"]["pings"] >= 4
    assert status["transport"] == "websocket"


def test_the_status_says_how_things_stand(any_peer: Peer) -> None:
    done = run(any_peer.url, "--json", lines="join /echo2\nemit askme 1\nwait question\ncall echo 1\nemit never\nstatus\n")
    [status] = [each for each in of(objects(done), "state") if each["state"] == "status"]
    assert status["namespace"] == "/"
    assert set(status["namespaces"]) == {"/", "/echo2"}
    assert all(sid.endswith("…") and len(sid) <= 5 for sid in [status["sid"], *status["namespaces"].values()])
    assert status["rtt"] > 0
    assert status["rtt_of"] == "an acknowledgement"
    assert status["sent"] == {"events": 3, "acks": 0}
    assert [(each["namespace"], each["name"]) for each in status["questions"]] == [("/", "question")]
    assert (status["waiting"], status["reconnected"]) == (0, 0)


def test_help_is_for_people(python_peer: Peer) -> None:
    done = run(python_peer.url, lines="help\nhistory\n")
    assert "  emit NAME [VALUE …]" in done.stdout
    assert "nothing is kept" in done.stdout
    done = run(python_peer.url, "--json", "--exec", "help")
    assert "emit NAME" not in done.stdout
    assert "  emit NAME [VALUE …]" in done.stderr
    objects(done)


# --- waiting


def test_an_event_that_came_before_can_be_waited_for_once(any_peer: Peer) -> None:
    done = run(any_peer.url, lines="call flood 3\nwait number\nwait number 5\nwait number\nwait number 0.1\n")
    assert done.returncode == 1
    assert done.stderr == "error: line 5: no event 'number' came within 0.1 s\n"


def test_only_events_of_the_namespace_in_use_are_waited_for(python_peer: Peer) -> None:
    done = run(python_peer.url, lines="join /echo2\ncall flood 1\nuse /echo2\nwait number 0.1\nuse /\nwait number 5\n")
    assert done.stderr == "error: line 4: no event 'number' came within 0.1 s\n"


def test_it_stays_after_the_last_line_as_long_as_it_is_told(any_peer: Peer) -> None:
    done = run(any_peer.url, "--exec", 'emit later 300 "late" "x"', "--wait", "1")
    assert done.returncode == 0
    assert '◀── late "x"' in texts(done)
    assert '◀── late "x"' not in texts(run(any_peer.url, "--exec", 'emit later 300 "late" "x"'))


def test_nothing_on_standard_input_is_an_empty_script(python_peer: Peer) -> None:
    assert run(python_peer.url, lines=None).returncode == 0
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, python_peer.url], capture_output=True, timeout=LIMIT, check=False, env=ENVIRONMENT
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_lines_are_carried_out_as_they_come(python_peer: Peer) -> None:
    with started(python_peer.url) as (process, stdin, stdout, _):
        for i in range(3):
            stdin.write(f"call echo {i}\n".encode())
            stdin.flush()
            assert until(stdout, "ack #")[-1].endswith(f": {i}\n")
        stdin.write(b"call echo 4")  # no line feed at the end
        stdin.close()
        until(stdout, "closed, client close")
        assert process.wait(LIMIT) == 0


def test_quit_leaves_at_once(python_peer: Peer) -> None:
    with started(python_peer.url, "--wait", "inf") as (process, stdin, stdout, _):
        stdin.write(b"quit\nemit x\n")
        stdin.flush()
        assert "emit" not in "".join(until(stdout, "closed, client close"))
        assert process.wait(LIMIT) == 0


# --- failing


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bad_line_is_one_error_with_its_column_and_the_rest_is_done(python_peer: Peer, as_json: bool) -> None:
    given = 'emit echo {bad}\nfrob\ncall echo 1\nemit echo "\xff"\n'.encode("latin-1")
    done = run(python_peer.url, *(["--json"] if as_json else []), lines=given)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: line 1, column 12: expected JSON: expecting property name enclosed in double quotes",
        "error: line 2, column 1: expected a command, got 'frob' — help lists them",
        "error: line 4, column 12: expected UTF-8: invalid start byte",
    ]
    if as_json:
        found = objects(done)
        assert [(each["cause"], each["line"], each["column"]) for each in of(found, "error")] == [
            ("bad-line", 1, 12),
            ("bad-line", 2, 1),
            ("bad-line", 4, 12),
        ]
        assert len(of(found, "ack")) == 1
    else:
        assert "ack #0 echo" in done.stdout


def test_a_script_can_stop_at_its_first_fault(python_peer: Peer) -> None:
    done = run(python_peer.url, "--stop-on-error", "--wait", "20", lines="frob\nemit x\n")
    assert done.returncode == 1
    assert "──▶" not in done.stdout


def test_a_line_without_end_is_refused_and_the_next_one_done(python_peer: Peer) -> None:
    done = run(python_peer.url, lines=b'emit echo "' + b"x" * 5_000_000 + b'"\ncall echo 1\n')
    assert done.returncode == 1
    assert done.stderr.startswith("error: line 1, column 1048576: expected a line of at most 1048576 bytes")
    assert "ack #0 echo" in done.stdout


def test_a_call_that_nobody_answers(any_peer: Peer) -> None:
    done = run(any_peer.url, "--timeout", "0.5", "--json", lines="call never\ncall echo 1\n")
    assert done.returncode == 1
    assert [each["cause"] for each in of(objects(done), "error")] == ["ack-timeout"]
    assert "no acknowledgement of event 'never' within 0.5 s" in done.stderr
    assert of(objects(done), "ack")[0]["args"] == [1]


def test_what_is_not_acknowledged_after_all_retries_is_an_error(python_peer: Peer) -> None:
    done = run(python_peer.url, "--timeout", "0.3", "--retries", "1", "--json", lines="emit never\nemit echo 1\n")
    found = objects(done)
    assert [each["name"] for each in of(found, "sent")] == ["never", "never", "echo"]
    assert [each["cause"] for each in of(found, "error")] == ["ack-timeout"]
    assert done.returncode == 1


def test_what_the_library_refuses_is_an_error(python_peer: Peer) -> None:
    done = run(python_peer.url, lines='emit "connect"\nemit x 1e999\njoin "/a,b"\njoin /\nleave /nowhere\nwait x 0\n')
    assert done.returncode == 1
    assert [line.partition(":")[2].partition(":")[0].strip() for line in done.stderr.splitlines()] == [f"line {i}" for i in range(1, 7)]


@pytest.mark.parametrize("url", [DEAD, "http://127.0.0.1:9/admin", "ws://127.0.0.1:9"])
def test_no_connection_is_3(url: str) -> None:
    done = run(url, lines="emit x\n")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "connect-refused" in done.stderr
    assert "start the server" in done.stderr
    [_, error] = objects(run(url, "--json"))
    assert (error["kind"], error["cause"]) == ("error", "connect-refused")


@pytest.mark.parametrize("namespace", ["/admin", "/refuse-string"])
def test_a_refusal_is_3(any_peer: Peer, namespace: str) -> None:
    done = run(any_peer.url + namespace, "--auth", '{"token": "wrongtoken"}', lines="emit x\n")
    assert done.returncode == 3
    assert "namespace-refused" in done.stderr
    assert "wrongtoken" not in done.stdout + done.stderr


def test_a_server_without_an_answer_is_3(any_peer: Peer) -> None:
    began = time.monotonic()
    assert run(f"{any_peer.url}/slow", "--timeout", "0.5").returncode == 3
    assert run(any_peer.url, "--path", "/nowhere/", "--timeout", "0.5").returncode == 3
    assert time.monotonic() - began < LIMIT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://127.0.0.1"], "expected an http, https, ws or wss URL"),
        (["http://127.0.0.1:9/admin", "--namespace", "/other"], "given twice"),
        ([DEAD, "--namespace", "/a,b"], "namespace"),
        ([DEAD, "--auth", "[1]"], "column 1: expected a JSON object"),
        ([DEAD, "--auth", '{"a" 1}'], "column 6: expected JSON"),
        ([DEAD, "--auth", "@/nowhere"], "cannot be read"),
        ([DEAD, "--header", "no colon, secret"], "number 1: expected 'Name: value'"),
        ([DEAD, "--header", "A: b", "--header", "A b: secret"], "number 2: expected 'Name: value'"),
        ([DEAD, "--header", "A: b\r\nC: secret"], "number 1: expected 'Name: value'"),
        ([DEAD, "--cookie", "secret"], "number 1: expected name=value"),
        ([DEAD, "--timeout", "0"], "--timeout"),
        ([DEAD, "--timeout", "nan"], "--timeout"),
        ([DEAD, "--wait", "nan"], "--wait"),
        ([DEAD, "--wait", "-1"], "--wait"),
        ([DEAD, "--retries", "-1"], "--retries"),
        ([DEAD, "--parser", "other"], "--parser"),
        ([], "URL"),
    ],
)
def test_called_wrongly_is_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("line", ["drop", "kickall", "kick"])
def test_a_server_that_hangs_up_is_4(any_peer: Peer, line: str) -> None:
    done = run(any_peer.url, "--json", "--transport", "websocket", lines=f"emit {line}\nwait nothing\nemit x\n")
    assert done.returncode == 4
    found = objects(done)
    assert [each["kind"] for each in found[-2:]] == ["error", "closed"]
    assert found[-2]["cause"] in ("server-disconnected", "server-closed", "websocket-closed")  # Node closes its end of the line without a word
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("waiting", ["call never", "wait nothing", "sleep 100", ""])
def test_a_server_that_dies_is_4(peer_server: StartPeer, kind: Kind, waiting: str) -> None:
    peer = peer_server(kind)
    with started(peer.url, "--transport", "websocket", "--timeout", "100") as (process, stdin, stdout, stderr):
        stdin.write(f"call echo 1\n{waiting}\n".encode())
        stdin.flush()
        until(stdout, "ack #0")
        peer.kill()
        until(stdout, "closed, transport")
        assert process.wait(LIMIT) == 4
        errors = stderr.read().decode().splitlines()
        assert [error.partition(":")[0] for error in errors] == ["error"]


def test_a_script_reconnects_if_it_is_told_to(peer_server: StartPeer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    peer = peer_server("node", log=str(log))
    with started(peer.url, "--reconnect", "--json", "--timeout", "20", "--retries", "5") as (process, stdin, stdout, stderr):
        stdin.write(b"call record 1\n")
        stdin.flush()
        until(stdout, '"kind": "ack"')
        peer.kill()
        until(stdout, '"reconnecting"')
        stdin.write(b"emit record 2\ncall record 3\n")
        stdin.close()
        held = json.loads(until(stdout, '"held"')[-1])
        assert (held["namespace"], held["name"]) == ("/", "record")
        peer.restart()
        assert '"recovered": false' in until(stdout, '"reconnected"')[-1]
        until(stdout, '"closed"')
        assert process.wait(LIMIT) == 0
        assert stderr.read() == b""
    assert [json.loads(line) for line in log.read_text().splitlines()] == [1, 2, 3]


def test_what_is_lost_on_its_way_is_said(peer_server: StartPeer) -> None:
    peer = peer_server("node")
    with started(peer.url, "--reconnect", "--json", "--transport", "websocket", "--timeout", "20") as (process, stdin, stdout, _):
        stdin.write(b"call never\ncall echo 1\n")
        stdin.flush()
        until(stdout, '"sent"')
        peer.kill()
        error = json.loads(until(stdout, '"error"')[-1])
        assert (error["cause"], error["line"]) == ("closed", 1)
        peer.restart()
        assert json.loads(until(stdout, '"ack"')[-1])["args"] == [1]
        stdin.close()
        assert process.wait(LIMIT) == 1


@pytest.mark.parametrize("lines", [b"", b"wait nothing\n", b"sleep 100\n", b"call never\n"])
def test_ctrl_c_leaves_in_one_line(python_peer: Peer, lines: bytes) -> None:
    with started(python_peer.url, "--wait", "inf", "--timeout", "100") as (process, stdin, stdout, stderr):
        stdin.write(lines)
        stdin.flush()
        until(stdout, "welcome")
        process.send_signal(signal.SIGINT)
        until(stdout, "closed, client close")
        assert process.wait(LIMIT) == 130
        assert stderr.read() == b"error: interrupted\n"


def test_ctrl_c_while_connecting(peer_server: StartPeer) -> None:
    peer = peer_server("node")
    peer.pause()
    with started(peer.url, "--timeout", "100") as (process, _, stdout, stderr):
        until(stdout, "connecting")
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 130
        assert stderr.read() == b"error: interrupted\n"
    peer.kill()


def test_a_reader_that_leaves_ends_it_without_noise(any_peer: Peer) -> None:
    with started(any_peer.url, "--exec", "emit stream 100000", "--wait", "inf") as (process, _, stdout, stderr):
        until(stdout, "number 5")
        stdout.close()
        assert process.wait(LIMIT) == 1
        assert stderr.read() == b""


def test_events_that_cannot_leave_in_time_are_4(peer_server: StartPeer) -> None:
    peer = peer_server("node")
    with started(peer.url, "--reconnect", "--timeout", "1") as (process, stdin, stdout, stderr):
        until(stdout, "welcome")
        peer.kill()
        until(stdout, "connection lost")
        stdin.write(b"emit x\n")
        stdin.close()
        until(stdout, "x waits for a connection")
        assert process.wait(LIMIT) == 4
        assert b"drain-timeout" in stderr.read()


# --- secrets


def test_nothing_secret_is_printed(any_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"token": "letmein", "more": ["deepsecret"]}')
    arguments = [
        f"{any_peer.url}/admin?access_token=querysecret",
        "--auth",
        f"@{path}",
        "--header",
        "Authorization: Bearer headersecret",
        "--header",
        "X-Api-Key: keysecret",
        "--header",
        "X-Plain: plainvalue",
        "--cookie",
        "sid=cookiesecret",
    ]
    lines = """\
raw on
call auth
call query
call whoami
join /echo2 {"password": "joinsecret"}
use /echo2
call auth
status
join /refuse-string {"x": "othersecret"}
"""
    for more in ([], ["--json"], ["--transport", "polling"], ["--transport", "websocket", "--json"]):
        done = run(*arguments, *more, lines=lines)
        shown = done.stdout + done.stderr
        assert "plainvalue" in shown
        for secret in ("letmein", "deepsecret", "querysecret", "headersecret", "keysecret", "cookiesecret", "joinsecret", "othersecret"):
            assert secret not in shown, secret
        [whoami] = [line for line in done.stdout.splitlines() if "rooms" in line and ("ack #" in line or '"ack"' in line)]
        assert "\u2026" in whoami or "\\u2026" in whoami
        assert "Traceback" not in shown


def test_auth_may_come_through_a_pipe(python_peer: Peer) -> None:
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(b'{"token": "letmein"}')
    try:
        done = subprocess.run(
            [*COMMAND, f"{python_peer.url}/admin", "--auth", f"@/dev/fd/{reader}", "--exec", "call echo 1"],
            capture_output=True,
            timeout=LIMIT,
            check=False,
            env=ENVIRONMENT,
            pass_fds=[reader],
        )
    finally:
        os.close(reader)
    assert done.returncode == 0


def test_cookies_in_a_header_are_secrets_one_by_one(python_peer: Peer) -> None:
    done = run(python_peer.url, "--header", "Cookie: a=firstsecret; b=secondsecret", "--exec", 'call echo "firstsecret" "secondsecret" "third"')
    assert done.returncode == 0
    assert "secret" not in done.stdout
    assert "third" in done.stdout


# --- what it needs


def test_a_prompt_without_its_library_is_one_line(python_peer: Peer) -> None:
    code = "import sys; sys.modules['prompt_toolkit'] = None; sys.argv[1:1] = ['connect']; from engineio_lite.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, python_peer.url, "--exec", "call echo 1"], capture_output=True, timeout=LIMIT, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 0


def test_the_command_is_listed() -> None:
    done = subprocess.run([*COMMAND[:-1], "--help"], capture_output=True, text=True, timeout=LIMIT, check=False, env=ENVIRONMENT)
    assert "  connect " in done.stdout
