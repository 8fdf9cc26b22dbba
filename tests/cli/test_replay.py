"""`engineio-lite replay` in processes of its own: played to a client, played against a server, computed again; and every way to call it wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engineio_lite.aio import connect_socketio
from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import Head, Line
from engineio_lite.exceptions import EngineIOError
from engineio_lite.replay.as_server import serve
from tests.commands import Command
from tests.replay.tape import CONNECT, down, gap, opened, tape, up

REPLAY = Command(sys.executable, "-c", "from engineio_lite.cli import main; main()", "replay")

LINES: tuple[Line, ...] = (opened(), *CONNECT, up('20["echo","grüße"]'), down('30["grüße"]'), down('2["bye"]'))


def written(path: Path, *lines: Line) -> str:
    with path.open("wb") as file:
        writer = Writer(file, Head())
        for line in lines:
            writer.write(line)
    return str(path)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    return written(tmp_path / "talk.eio.jsonl", *LINES)


async def talk(url: str, word: str = "grüße") -> None:
    async with connect_socketio(url) as sio:
        assert await sio.call("echo", word) == word
        assert (await sio.receive()).name == "bye"


def listening(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[dict[str, Any]]]:
    assert process.stdout is not None
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    return process.wait(30), lines


def test_it_plays_the_server_until_everything_was_played(capture: str) -> None:
    with REPLAY.started("--serve", capture, "--once", "--json") as (process, *_):
        asyncio.run(talk(listening(process)))
        code, lines = ended(process)
    assert code == 0
    assert [(line["dir"], line["packet"], line["data"]) for line in lines[:-1]][1:4] == [
        ("down", "CONNECT", {"sid": "replay00000000000001"}),
        ("up", "EVENT", ["echo", "grüße"]),
        ("down", "ACK", ["grüße"]),
    ]
    assert lines[-1] == {"sessions": 1, "played": 1, "matched": 2, "unmatched": 0, "unplayed": [], "failures": []}


def test_a_mismatch_ends_it_with_its_story(capture: str) -> None:
    with REPLAY.started("--serve", capture, "--once", "--json") as (process, *_):
        with pytest.raises(EngineIOError):
            asyncio.run(talk(listening(process), "tschüss"))
        code, lines = ended(process)
    assert code == 1
    [failure] = lines[-1]["failures"]
    assert failure["cause"] == "replay-mismatch"
    assert '$[1]: "grüße" != "tschüss"' in failure["message"]


def test_a_client_that_does_not_come_back_is_waited_for_only_so_long(tmp_path: Path) -> None:
    two = written(tmp_path / "two.eio.jsonl", *LINES, opened(session=2), up("0", session=2), down('0{"sid":"@sid2"}', session=2))
    with REPLAY.started("--serve", two, "--once", "--json", "--idle-limit", "0.2") as (process, *_):
        asyncio.run(talk(listening(process)))
        code, lines = ended(process)
    assert (code, lines[-1]["played"], [failure["cause"] for failure in lines[-1]["failures"]]) == (1, 1, ["replay-unfinished"])


def test_ctrl_c_ends_it_with_a_summary(capture: str) -> None:
    with REPLAY.started("--serve", capture) as (process, _, stdout, _):
        line = stdout.readline().decode()
        url = line.split()[2]
        assert line.startswith("playing at http://127.0.0.1:")
        asyncio.run(talk(url))
        os.kill(process.pid, signal.SIGINT)
        rest = stdout.read().decode()
        assert process.wait(30) == 0
    assert '1 ↓ EVENT /  "bye"  []\n' in rest
    assert "✓ 1 of 1 session played, 2 packets matched\n" in rest


def test_it_plays_again_and_again_and_tells_at_once_what_went_wrong(capture: str) -> None:
    with REPLAY.started("--serve", capture, "--json") as (process, _, stdout, _):
        url = listening(process)
        asyncio.run(talk(url))
        with pytest.raises(EngineIOError):
            asyncio.run(talk(url, "tschüss"))
        told = next(line for line in map(json.loads, iter(stdout.readline, b"")) if "error" in line)
        assert told["error"] == "CassetteMismatch"
        assert '$[1]: "grüße" != "tschüss"' in told["message"]
        asyncio.run(talk(url))
        os.kill(process.pid, signal.SIGINT)
        code, lines = ended(process)
    assert code == 1
    assert (lines[-1]["sessions"], lines[-1]["played"], len(lines[-1]["failures"])) == (3, 3, 1)


async def _wait_for_ever(url: str) -> None:
    async with connect_socketio(url) as sio:
        await sio.receive()


def test_a_client_that_waits_for_ever_is_ended_and_told(capture: str) -> None:
    with REPLAY.started("--serve", capture, "--json", "--idle-limit=0.3") as (process, _, stdout, _):
        with pytest.raises(EngineIOError):
            asyncio.run(_wait_for_ever(listening(process)))
        told = next(line for line in map(json.loads, iter(stdout.readline, b"")) if "error" in line)
        assert (told["error"], told["cause"]) == ("ReplayStalled", "replay-stalled")


def test_ctrl_c_before_anybody_came_is_an_interruption(capture: str) -> None:
    with REPLAY.started("--serve", capture) as (process, _, stdout, stderr):
        stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        assert b"interrupted before anybody came" in stderr.read()


async def test_it_plays_the_client(capture: str) -> None:
    async with serve(tape(*LINES)) as server:
        done = await asyncio.to_thread(REPLAY.run, "--against", server.url, capture)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "1 ↑ CONNECT /"
    assert done.stdout.splitlines()[-1] == "✓ 1 of 1 session played, 3 packets matched"


async def test_a_server_that_differs_is_told(capture: str) -> None:
    other = (*LINES[:-2], down('30["tschüss"]'))
    async with serve(tape(*other), allow_unplayed=True) as server:
        done = await asyncio.to_thread(REPLAY.run, "--against", server.url, capture, "--transport", "websocket")
        assert done.returncode == 1
        assert "✗ 1 of 1 session played, 1 packet matched" in done.stdout
        assert '  $[0]: "grüße" != "tschüss"\n' in done.stdout
    async with serve(tape(*other), allow_unplayed=True) as server:
        done = await asyncio.to_thread(REPLAY.run, "--against", server.url, capture, "--ignore-path", "$[0]", "--idle-limit", "0.1")
        assert done.returncode == 1
        assert "got       nothing for 0.1 s" in done.stdout


def test_no_connection_is_no_difference(capture: str) -> None:
    done = REPLAY.run("--against", "http://127.0.0.1:1", capture)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")


def test_a_capture_of_packets_cannot_be_computed(capture: str) -> None:
    done = REPLAY.run("--offline", capture)
    assert done.returncode == 2
    assert "expected a capture of the wire" in done.stderr


def test_a_capture_with_gaps_is_played_only_when_asked_to_be(tmp_path: Path) -> None:
    path = written(tmp_path / "gap.eio.jsonl", *LINES, gap())
    done = REPLAY.run("--against", "http://127.0.0.1:1", path)
    assert done.returncode == 2
    assert "the body of a GET was not recorded" in done.stderr
    assert REPLAY.run("--against", "http://127.0.0.1:1", path, "--allow-gaps").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "exactly one of"),
        (("--serve", "FILE", "--offline", "FILE"), "exactly one of"),
        (("--against", "http://127.0.0.1:1"), "exactly one of"),
        (("--serve", "FILE", "FILE"), "exactly one of"),
        (("--offline", "FILE", "--once"), "--once belongs to --serve"),
        (("--against", "http://127.0.0.1:1", "FILE", "--timing", "slow"), "--timing is"),
        (("--against", "http://127.0.0.1:1", "FILE", "--secret", "x"), "--secret is NAME=VALUE"),
        (("--against", "http://127.0.0.1:1", "FILE", "--ignore-path", "x"), "expected a path such as"),
        (("--serve", "/nowhere"), "does not exist"),
    ],
)
def test_wrong_usage_is_told(capture: str, arguments: tuple[str, ...], words: str) -> None:
    done = REPLAY.run(*(capture if word == "FILE" else word for word in arguments))
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.har").write_text("{}")
    done = REPLAY.run("--serve", str(tmp_path / "x.har"))
    assert done.returncode == 2
    assert "engineio-lite import" in done.stderr


def test_a_port_that_is_taken_is_told(capture: str) -> None:
    with REPLAY.started("--serve", capture, "--json") as (process, *_):
        port = listening(process).rpartition(":")[2]
        done = REPLAY.run("--serve", capture, "--port", port)
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr
