"""`engineio-lite record` as a process of its own: what it shows, how it ends, and what is left when it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import aiohttp
import pytest

from engineio_lite.capture import load
from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.cli._record_lines import row_of
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport
from tests.commands import Command
from tests.peers import Peer, run_client
from tests.peers.test_peers import wire

COMMAND = Command(sys.executable, "-c", "from engineio_lite.cli import main; main()", "record", without=["COLUMNS"])
LIMIT = 30.0
SECRET = "auth-value-123456"


@contextlib.contextmanager
def recording(url: str, path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str, IO[bytes]]]:
    """The command while it records: its process, its URL, and what it prints besides."""
    with COMMAND.started("--upstream", url, "-o", str(path), *options) as (process, _, output, errors):
        first = _line(errors if "--json" in options else output)
        found = re.search(r"from (http://\S+) to", first)
        assert found is not None, first
        yield process, found[1], output


def _line(stream: IO[bytes]) -> str:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        assert selector.select(LIMIT), "it said nothing"
    return stream.readline().decode()


def talk(url: str) -> None:
    script: list[list[Any]] = [["until", "welcome", 1], ["call", "echo", "grüße", {"key": SECRET}]]
    run_client(url, script, transports=["websocket"], auth={"token": SECRET}, query={"apikey": SECRET})


def ended(process: subprocess.Popen[bytes], path: Path, *, by: int = signal.SIGINT) -> int:
    """End it as Ctrl-C does, once its session is over; its exit code."""
    end = time.monotonic() + LIMIT
    while not any(isinstance(line, SessionEnded) for line in load(path).lines):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(by)
    return process.wait(LIMIT)


@pytest.mark.usefixtures("node_client")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_what_passes_is_shown_and_summed_up(node_peer: Peer, tmp_path: Path, by: int) -> None:
    path = tmp_path / "a.eio.jsonl"
    with recording(node_peer.url, path) as (process, url, output):
        talk(url)
        assert ended(process, path, by=by) == 0
        shown = output.read().decode()
    assert SECRET not in shown + path.read_text(encoding="utf-8")
    rows = [line[10:] for line in shown.splitlines() if re.match(r" +\d+\.\d{3} ", line)]
    assert rows[0] == "  1 ─── websocket socket     open"
    assert rows[1].startswith(f"  1 ◀── websocket open       {node_peer.url}/socket.io/?apikey=<redacted:1> as @eio1")
    assert '  1 ──▶ websocket connect    / {"token":"<redacted:1>"}' in rows
    assert '  1 ──▶ websocket event      #0 echo "grüße" {"key":"<redacted:1>"}' in rows
    assert '  1 ◀── websocket ack        #0 "grüße" {"key":"<redacted:1>"}' in rows
    assert rows[-1] == "  1 ───           end        by client: transport close"
    assert shown.splitlines()[-1] == f"1 session, {sum('socket  ' not in row and 'end  ' not in row for row in rows)} packets in {path}"


@pytest.mark.usefixtures("node_client")
def test_json_shows_the_lines_of_the_file(node_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    with recording(node_peer.url, path, "--json") as (process, url, output):
        talk(url)
        assert ended(process, path) == 0
        shown = output.read()
    assert shown.isascii()
    written = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in shown.decode().splitlines()] == [json.loads(line) for line in written[1:]]


@pytest.mark.usefixtures("node_client")
def test_quiet_shows_no_line(node_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    with recording(node_peer.url, path, "--quiet") as (process, url, output):
        talk(url)
        assert ended(process, path) == 0
        assert len(output.read().decode().splitlines()) == 3


@pytest.mark.usefixtures("node_client")
def test_a_recording_goes_on_when_nobody_reads_it(node_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    with recording(node_peer.url, path) as (process, url, output):
        output.close()
        talk(url)
        talk(url)
        end = time.monotonic() + LIMIT
        while sum(isinstance(line, SessionEnded) for line in load(path).lines) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)
    assert sum(isinstance(line, SessionOpened) for line in load(path).lines) == 2


def test_without_a_session_it_says_so(tmp_path: Path) -> None:
    with recording("http://127.0.0.1:9", tmp_path / "a.eio.jsonl") as (process, url, output):
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 1
        assert f"No session passed. Did the client get {url} as the server's URL?" in output.read().decode()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--upstream", "http://127.0.0.1:9/socket.io/"], "expected the URL of a server without a path"),
        (["--upstream", "127.0.0.1:9"], "expected an http, https, ws or wss URL"),
        (["--upstream", "http://127.0.0.1:9", "--path", "socket.io"], "expected a path that begins with a slash"),
        (["--upstream", "http://127.0.0.1:9", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid port 0"),
        ([], "Missing option '--upstream'"),
    ],
)
def test_wrong_usage(tmp_path: Path, options: list[str], said: str) -> None:
    done = COMMAND.run(*options, "-o", str(tmp_path / "a.eio.jsonl"))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_and_ports_that_cannot_be_had(tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    path.write_text("precious")
    done = COMMAND.run("--upstream", "http://127.0.0.1:9", "-o", str(path))
    assert done.returncode == 2
    assert done.stderr == f"error: {path} is there already — name another file, or replace it with --overwrite\n"
    assert path.read_text() == "precious"
    done = COMMAND.run("--upstream", "http://127.0.0.1:9", "-o", str(tmp_path / "none" / "a"))
    assert (done.returncode, done.stderr) == (2, f"error: cannot write {tmp_path / 'none' / 'a'}: No such file or directory\n")
    done = COMMAND.run("--upstream", "http://127.0.0.1:9", "-o", "-")
    assert (done.returncode, "--json shows its lines" in done.stderr) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = COMMAND.run("--upstream", "http://127.0.0.1:9", "--listen", port, "-o", str(tmp_path / "b"))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}: " in done.stderr
    assert not (tmp_path / "b").exists()


async def test_a_recorder_that_is_killed_has_written_all_that_passed(node_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    seen: list[int] = []
    with recording(node_peer.url, path, "--quiet") as (process, url, _):
        with contextlib.suppress(aiohttp.ClientError):
            async with wire(url) as websocket:
                await websocket.send_str('42["stream",1000000]')
                while len(seen) < 5000:
                    name, number = json.loads((await websocket.receive_str())[2:])
                    assert name == "number"
                    seen.append(number)
                process.kill()
                async for message in websocket:
                    seen.append(json.loads(str(message.data)[2:])[1])
        assert process.wait(LIMIT) == -signal.SIGKILL
    capture = load(path)
    assert len(capture.remarks) <= 1
    events = [line for line in capture.lines if isinstance(line, SocketIOPacket) and line.type is PacketType.EVENT]
    numbers = [line.data[1] for line in events if isinstance(line.data, list) and line.data[0] == "number"]
    assert seen == list(range(len(seen)))
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= len(seen)
    times = [line.time for line in events if line.time is not None]
    print(f"{len(numbers)} packets in {times[-1] - times[0]:.3f} s")  # for whoever wants the figure: a busy machine may be slow


def test_on_a_terminal_a_line_is_a_line(node_peer: Peer, tmp_path: Path) -> None:
    """Colours, no wrapping, and the middle of a flood counted."""
    path = tmp_path / "a.eio.jsonl"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 80))
    shown = b""
    words = [*COMMAND.words, "--upstream", node_peer.url, "-o", str(path)]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm-256color"}
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        try:
            while b"Ctrl-C" not in shown:
                shown += os.read(ours, 65536)
            found = re.search(rb"(http://127\.0\.0\.1:\d+)\x1b", shown)
            assert found is not None
            run_client(found[1].decode(), [["call", "echo", "x" * 200], ["emit", "flood", 500], ["until", "number", 500]], transports=["websocket"])
            while b"end   " not in shown:
                shown += os.read(ours, 65536)
        finally:
            process.kill()
            os.close(ours)
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in shown.decode().split("\r\n")]
    rows = [line for line in lines if re.match(r" +\d+\.\d{3} ", line)]
    assert max(map(len, rows)) == 80
    assert any(row.endswith("xxx…") for row in rows)
    left_out = [int(number) for line in lines for number in re.findall(r"⋮ (\d+) more lines", line)]
    whole = [line for line in load(path).lines if row_of(line) is not None]
    assert len(rows) + sum(left_out) == len(whole)
    assert left_out


UP, DOWN = Direction.UP, Direction.DOWN
SOCKET, POLLING = Transport.WEBSOCKET, Transport.POLLING


def carried(kind: PacketType, data: object, **more: object) -> SocketIOPacket:
    return SocketIOPacket(session=2, time=1.5, direction=UP, transport=SOCKET, type=kind, data=data, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (carried(PacketType.EVENT, ["name", b"\x01" * 9, {"a": [b"\x02"]}]), 'event      name "<9 bytes 0101010101010101…>" {"a":["<1 byte 02>"]}'),
        (carried(PacketType.EVENT, [7, 1], namespace="/a", id=3), "event      /a #3 7 1"),
        (carried(PacketType.EVENT, ["a\nb\x1b[2J\u202e"]), "event      a\\nb\\x1b[2J\\u202e"),
        (carried(PacketType.CONNECT_ERROR, "no"), 'refused    / "no"'),
        (EnginePacket(session=2, time=1.5, direction=UP, transport=SOCKET, type=EngineType.PING, data="x"), "ping       x"),
        (
            Undecoded(session=2, time=1.5, direction=UP, transport=SOCKET, data="zzz", error="bad-json"),
            "unread     'zzz'  (bad-json)",
        ),
        (SocketChanged(session=2, time=1.5, change="closed", by=UP, code=4001, reason="bye"), "socket     closed code 4001 bye"),
    ],
)
def test_rows(line: Line, shown: str) -> None:
    row = row_of(line)
    assert row is not None
    at, arrow, carrier, packet, meaning = row.columns()
    assert (at, arrow, carrier) == ("    1.500", "  2 ──▶", "websocket")
    assert f"{packet} {meaning}" == shown
    assert meaning.isprintable()


def test_rows_of_what_is_no_packet() -> None:
    refused = HttpAnswer(session=0, time=0.1, method="GET", url="http://a/socket.io/?EIO=3", status=400, body='{"code":5}')
    for line, columns in (
        (refused, ("    0.100", "    ◀──", "polling  ", "HTTP 400  ", 'GET /socket.io/ {"code":5}')),
        (HttpAnswer(session=1, time=0.1, method="GET", url="/x", status=0), ("    0.100", "  1 ◀──", "polling  ", "no answer ", "GET /x")),
        (Note(session=1, time=0.1, what="gap", text="lost"), ("    0.100", "  1 ───", "         ", "note      ", "gap: lost")),
    ):
        row = row_of(line)
        assert row is not None
        assert row.columns() == columns
        assert row.is_fault
