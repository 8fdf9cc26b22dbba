"""The command ``ylokh-sse decode``, mostly as a process of its own: what it prints and when, and the exit code that it ends with."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.commands import LIMIT, Command

COMMAND = Command(sys.executable, "-m", "ylokh_sse.cli", "decode")
run, started, on_a_terminal = COMMAND.run, COMMAND.started, COMMAND.on_a_terminal


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------------------------------------------------------------------- for programs


def test_json_is_one_object_an_event_and_one_for_the_end() -> None:
    done = run("--json", stdin=b"id: 7\ndata: a\ndata: \xd0\xb6\n\nevent: x\nretry: 30\ndata: b\n\ndata: c\n")
    assert objects(done.stdout) == [
        {"event": "message", "data": "a\nж", "id": "7", "retry": None},
        {"event": "x", "data": "b", "id": "7", "retry": 30},
        {"last_event_id": "7", "retry": 30, "dropped": True},
    ]
    assert list(objects(done.stdout)[0]) == ["event", "data", "id", "retry"]
    assert (done.returncode, done.stderr, done.stdout.isascii()) == (0, "", True)


def test_nothing_in_is_an_end_out() -> None:
    assert objects(run("--json").stdout) == [{"last_event_id": "", "retry": None, "dropped": False}]


@pytest.mark.parametrize("options", [[], ["--chunk-size", "1"]])
def test_a_broken_limit_is_1_after_the_good_events(options: list[str]) -> None:
    done = run("--json", "--max-event-bytes", "10", *options, stdin=b"data: a\n\ndata: " + b"b" * 20 + b"\n\ndata: c\n\n")
    message = "expected events of at most 10 bytes, got a longer one"
    event, left = objects(done.stdout)
    assert event["data"] == "a"
    assert (left["dropped"], left["error"]["cause"], left["error"]["message"], left["error"]["limit"]) == (True, "event-too-large", message, 10)
    assert done.returncode == 1
    assert done.stderr == f"error: {message} [event-too-large] — {left['error']['fix']}\n"


def test_it_does_not_wait_for_more_once_a_limit_is_broken() -> None:
    with started("--json", "--max-event-bytes", "10") as (process, stdin, _, _):
        stdin.write(b"data: " + b"b" * 20)
        stdin.flush()
        assert process.wait(LIMIT) == 1


@pytest.mark.parametrize("options", [["--json"], ["--json", "--chunk-size", "3"], []])
def test_an_event_is_printed_as_soon_as_it_is_complete(options: list[str]) -> None:
    with started(*options) as (_, stdin, stdout, _):
        for number in range(3):
            stdin.write(b"data: %d\n\ndata: half an event" % number)
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], LIMIT)
            assert ready
            assert str(number).encode() in os.read(stdout.fileno(), 1000)
            stdin.write(b"\n\n")
            stdin.flush()
            assert b"half" in os.read(stdout.fileno(), 1000)


# ------------------------------------------------------------------------------------------------------------------------------ for people


def test_the_listing() -> None:
    done = run(stdin=b": hi\n\ndata: a\n\nevent: x\nid: 7\nretry: 30\ndata: one\ndata: two\n\ndata:\n\nevent: y\ndata: cut off")
    assert done.stdout == "message: a\nx (id 7, retry 30 ms):\n    one\n    two\nmessage (id 7): \n"
    assert done.stderr == "(3 events, 1 comment, last event id 7, retry 30 ms, cut off in the middle of an event)\n"
    assert done.returncode == 0


def test_a_summary_says_when_there_was_nothing() -> None:
    assert run(stdin=b": a\n: b\n\n").stderr == "(no events, 2 comments)\n"
    assert run(stdin=b'{"error": "no event stream"}').stderr == "(no events, no comments)\n"


def test_a_broken_limit_in_the_listing() -> None:
    done = run("--max-event-bytes", "10", stdin=b"data: a\n\ndata: " + b"b" * 20)
    assert (done.returncode, done.stdout) == (1, "message: a\n")
    summary, error = done.stderr.splitlines()
    assert summary == "(1 event, no comments)"
    assert error.startswith("error: expected events of at most 10 bytes, got a longer one [event-too-large] — raise ")


def test_the_server_cannot_command_the_terminal() -> None:
    done = run(stdin=b"event: \x1b[2J\nid: \x07\ndata: a\x00\tb\xc2\x9b2J\x7f\n\n")
    assert done.stdout == "␛[2J (id ␇): a␀\tb\ufffd2J␡\n"
    assert done.stderr == "(1 event, no comments, last event id ␇)\n"


def test_a_terminal_that_knows_ascii_only_loses_no_event() -> None:
    assert run(stdin="data: да\n\n".encode(), environment={"PYTHONIOENCODING": "ascii"}).stdout == "message: \\u0434\\u0430\n"


# ------------------------------------------------------------------------------------------------------------------------ ends and mistakes


@pytest.mark.parametrize(
    "arguments",
    [["--chunk-size", "0"], ["--chunk-size", "x"], ["--max-event-bytes", "0"], ["--no-such-option"], ["a file"]],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_wrong_call_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "rror: " in done.stderr


def test_streams_that_are_closed_are_no_traceback() -> None:
    def shell(redirections: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        return COMMAND.in_a_shell(*options, then=redirections, stdin=b"data: a\n\n")

    done = shell("<&-")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, b"Error: Standard input is closed: pipe an event stream in.")
    for options in ([], ["--json"]):
        done = shell(">&-", *options)
        assert (done.returncode, done.stderr.partition(" — ".encode())[0]) == (1, b"error: standard output cannot be written: Bad file descriptor")
        done = shell("2>&-", *options)
        assert (done.returncode, b'"a"' in done.stdout or b": a" in done.stdout) == (0, True)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_traceback(options: list[str]) -> None:
    with started(*options) as (process, stdin, stdout, stderr):
        stdin.write(b"data: a\n\n")
        stdin.flush()
        assert b"a" in stdout.readline()
        stdout.close()
        with contextlib.suppress(BrokenPipeError):
            stdin.write(b"data: b\n\n" * 1000)
            stdin.close()
        assert process.wait(LIMIT) == 1
        assert stderr.read() == b""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_is_130(options: list[str]) -> None:
    with started(*options) as (process, stdin, stdout, stderr):
        stdin.write(b"data: a\n\n")
        stdin.flush()
        assert b"a" in stdout.readline()
        while True:
            # Again, if nothing happens: Python overlooks a signal that falls between its look and its read.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert process.wait(2) == 130
                break
        assert (stdout.read(), stderr.read()) == (b"", b"\n")


def test_without_the_cli_extra_it_says_so_in_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; from ylokh_sse.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (2, "ylokh-sse: the command line needs the cli extra: pip install 'engineio-lite[cli]'\n")


def test_another_module_that_is_missing_is_not_mistaken_for_the_extra() -> None:
    code = "import sys; sys.modules['msgspec'] = None; from ylokh_sse.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1
    assert "msgspec" in done.stderr.splitlines()[-1]


# ---------------------------------------------------------------------------------------------------------------------------- on a terminal


def test_a_terminal_is_read_like_any_other_input() -> None:
    code, shown = on_a_terminal("--json", typed=b"data: a\n\n")
    assert code == 0
    assert objects(shown[shown.index("{") :])[-2:] == [
        {"event": "message", "data": "a", "id": "", "retry": None},
        {"last_event_id": "", "retry": None, "dropped": False},
    ]


def test_colour_only_on_a_terminal_and_only_if_it_is_wanted() -> None:
    _, shown = on_a_terminal(typed=b"id: 7\ndata: a\n\n")
    assert "\x1b[1mmessage\x1b[0m\x1b[2m (id 7)\x1b[0m: a\n\x1b[2m(1 event, no comments, last event id 7)\x1b[0m\n" in shown
    _, shown = on_a_terminal(typed=b"id: 7\ndata: a\n\n", environment={"NO_COLOR": "1"})
    assert "message (id 7): a\n(1 event, no comments, last event id 7)\n" in shown
    assert "\x1b" not in shown
    code, shown = on_a_terminal("--max-event-bytes", "1", typed=b"data: a\n\n")
    assert code == 1
    assert "\x1b[31m\x1b[1merror:\x1b[0m expected events of at most 1 bytes, got a longer one [event-too-large]\x1b[2m — raise" in shown
