"""Console commands between hostile ends: outputs that take nothing, inputs that give nothing, files that must not be lost, signals.

The commands run as processes, since what is tested is the process. One command of each kind of output stands for those like it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from chat_answers.process import OutputLost
from engineio_lite.cli._output_file import whole_or_nothing
from engineio_lite.cli.check import command as check
from perplexity_labs import loopback
from tests.capture.lines_made import UPGRADED, text_of, up
from tests.commands import LIMIT, Command, heeding_ctrl_c

ENGINE = Command(sys.executable, "-c", "from engineio_lite.cli import main; main()")
SSE = Command(sys.executable, "-m", "ylokh_sse.cli")
LABS = Command(sys.executable, "-m", "perplexity_labs.cli", without=["PERPLEXITY_LABS_URL"])
RECORDING = str(Path(__file__).parent / "captures" / "mitm-js-node-polling.mitm")
FULL = Path("/dev/full")
_WRITTEN = text_of([*UPGRADED[:2], up(1.0, "EVENT", ["😀", {"password": "hunter2"}])])
LEAKY = _WRITTEN.replace(b'"password": "<redacted:1>"', '"password": "hunter2hünter2…"'.encode())
"""A capture with a secret in it, which the library would not have written."""

Call = Callable[[Path], tuple[Command, list[str], bytes]]


def call(command: Command, *words: str, stdin: bytes = b"") -> Call:
    """A call in which CAPTURE is a capture with a secret in it, and OUT a file that is not there."""

    def made(directory: Path) -> tuple[Command, list[str], bytes]:
        capture = directory / "a.eio.jsonl"
        capture.write_bytes(LEAKY)
        places = {"CAPTURE": str(capture), "OUT": str(directory / "out")}
        return command, [places.get(word, word) for word in words], stdin

    return made


WRITERS = {
    "show": call(ENGINE, "show", "CAPTURE"),
    "check-json": call(ENGINE, "check", "--json", "CAPTURE"),
    "export": call(ENGINE, "export", "CAPTURE", "-o", "-"),
    "import": call(ENGINE, "import", RECORDING, "-o", "OUT"),
    "decode": call(ENGINE, "decode", stdin=b'42["a"]\n'),
    "sse-decode": call(SSE, "decode", "--json", stdin=b"data: a\n\n"),
    "help": call(LABS, "--help"),
}


def run(made: tuple[Command, list[str], bytes], stdout: int) -> tuple[int, str]:
    """Run a call with this as standard output: the exit code, and what was said on standard error."""
    command, words, stdin = made
    done = subprocess.run([*command.words, *words], input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is Linux's own")
@pytest.mark.parametrize("name", WRITERS)
def test_an_output_that_is_full_is_one_line_and_1(name: str, tmp_path: Path) -> None:
    with FULL.open("wb") as full:
        code, said = run(WRITERS[name](tmp_path), full.fileno())
    assert (code, said) == (1, "error: standard output cannot be written: No space left on device — make room, or send it to another place\n")


@pytest.mark.parametrize("name", ["show", "sse-decode"])
def test_a_reader_that_has_gone_is_1_without_a_word(name: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(WRITERS[name](tmp_path), writer) == (1, "")
    finally:
        os.close(writer)


def test_an_output_that_was_closed_is_one_line_and_1(tmp_path: Path) -> None:
    command, words, stdin = WRITERS["show"](tmp_path)
    done = command.in_a_shell(*words, then=">&-", stdin=stdin)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "error: standard output cannot be written: Bad file descriptor — it is closed; to throw the output away, send it to the null device\n"
    )


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_a_session_whose_notes_nobody_takes_is_left_and_1(as_json: list[str]) -> None:
    with loopback.serve(pace=0) as server:
        words = ["connect", server.url, "--auth", '{"jwt": "x"}', "--exec", "status", *as_json]
        done = ENGINE.in_a_shell(*words, then=">&-")
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: standard output cannot be written: Bad file descriptor")
        refused = ENGINE.in_a_shell(*words[:2], "--exec", "status", *as_json, then=">&-")
        assert (refused.returncode, b"[namespace-refused" in refused.stderr, b"Traceback" in refused.stderr) == (3, True, False)


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is Linux's own")
def test_errors_that_nobody_can_be_told_leave_the_exit_code(tmp_path: Path) -> None:
    done = ENGINE.in_a_shell("show", str(tmp_path / "nowhere"), then=f"2>{FULL}")
    assert (done.returncode, done.stdout) == (2, b"")
    done = LABS.in_a_shell("ask", "--no-such-option", then=f"2>{FULL}")
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize(
    ("command", "words", "redirection"),
    [(ENGINE, ["decode"], "<&-"), (ENGINE, ["show", "-"], "<&-"), (SSE, ["ask", "--base-url", "http://127.0.0.1:9"], "0>{out}")],
    ids=["decode", "show", "ask"],
)
def test_an_input_that_cannot_be_read_is_2(command: Command, words: list[str], redirection: str, tmp_path: Path) -> None:
    done = command.in_a_shell(*words, then=redirection.format(out=tmp_path / "out"))
    *_, said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, said.lower().startswith("error: "), b"Traceback" in done.stderr) == (2, b"", True, False)


def test_what_the_encoding_does_not_know_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.eio.jsonl"
    path.write_bytes(LEAKY)
    done = ENGINE.run("show", "--json", str(path), environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, "😀" in str([json.loads(line) for line in done.stdout.splitlines()])) == (0, True)
    done = ENGINE.run("check", str(path), environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (1, "")


def test_an_error_is_one_line_whatever_the_file_is_called() -> None:
    done = ENGINE.run("show", "no\nsuch \x1b[31m file")
    assert (done.returncode, done.stderr) == (2, "error: no\\nsuch \\u001b[31m file: No such file or directory\n")


# --------------------------------------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGTERM, 143, ["import", "-o", "OUT"]), (signal.SIGINT, 130, ["show"])], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_while_a_file_is_waited_for(number: signal.Signals, code: int, words: list[str], tmp_path: Path) -> None:
    source, out = tmp_path / "pipe", tmp_path / "out"
    os.mkfifo(source)
    out.write_text("precious")
    with heeding_ctrl_c():
        arguments = [*ENGINE.words, words[0], str(source), *[str(out) if word == "OUT" else word for word in words[1:]]]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process, source.open("wb"):  # which opens when the command has come to read it
        process.send_signal(number)
        printed, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, printed, said) == (code, b"", b"error: interrupted\n" if number is signal.SIGINT else b"")
    assert (out.read_text(), sorted(os.listdir(tmp_path))) == ("precious", ["out", "pipe"])


SCRIPTS = {
    "engineio_lite": ["show", "-"],
    "perplexity_labs": ["ask", "--base-url", "URL", "hi"],
    "ylokh_sse": ["ask", "--base-url", "URL", "hi"],
}
"""Calls of the console scripts that wait for ever: for an input, or for a server that says nothing."""


@pytest.mark.parametrize("name", SCRIPTS)
def test_ctrl_c_is_130_from_the_first_moment(name: str) -> None:
    script = Command(sys.executable, "-c", f"from engineio_lite_commands import {name} as main; print(flush=True); main()")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for delay in (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6):  # while it loads, and later
            with script.started(*(url if word == "URL" else word for word in SCRIPTS[name])) as (process, _, printed, said):
                printed.readline()
                time.sleep(delay)
                process.send_signal(signal.SIGINT)
                assert (delay, process.wait(LIMIT)) == (delay, 130)
                assert said.read() in (b"", b"\n", b"error: interrupted\n")


def test_a_command_that_shall_ignore_ctrl_c_does() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from engineio_lite_commands import ylokh_sse; ylokh_sse()"
    with Command(sys.executable, "-c", code).started("decode", "--json") as (process, stdin, printed, _):
        for stream in (b"data: a\n\n", b"data: b\n\n"):
            stdin.write(stream)
            stdin.flush()
            assert b'"data"' in printed.readline()
            process.send_signal(signal.SIGINT)
        stdin.close()
        assert process.wait(LIMIT) == 0


# ----------------------------------------------------------------------------------------------------------------------------------------- files


def put(out: Path, sources: Sequence[Path] = (), *, overwrite: bool = True, error: Exception | None = None) -> None:
    with whole_or_nothing(str(out), sources, overwrite=overwrite) as file:
        file.write(b"new")
        if error is not None:
            raise error


def test_a_file_is_whole_or_what_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    out.chmod(0o600)
    with pytest.raises(ValueError, match="half-way"):
        put(out, error=ValueError("half-way"))
    assert (out.read_text(), os.listdir(tmp_path)) == ("old", ["out"])
    with pytest.raises(FileExistsError):
        put(out, overwrite=False)
    put(out)
    assert (out.read_text(), out.stat().st_mode & 0o777, os.listdir(tmp_path)) == ("new", 0o600, ["out"])


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        put(tmp_path / "nowhere" / "out")
    assert caught.value.filename == str(tmp_path / "nowhere" / "out")
    with pytest.raises(IsADirectoryError):
        put(tmp_path)


def test_the_file_that_is_read_is_never_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, link = tmp_path / "a", tmp_path / "b"
    source.write_text("read")
    link.symlink_to(source)
    for out in (source, link):
        with pytest.raises(SystemExit) as ended:
            put(out, [source])
        assert (ended.value.code, source.read_text(), link.is_symlink()) == (2, "read", True)
        assert f"{out} is the file that is read" in capsys.readouterr().err


def test_what_is_no_ordinary_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    out, got = tmp_path / "pipe", bytearray()
    os.mkfifo(out)
    reader = threading.Thread(target=lambda: got.extend(out.read_bytes()), daemon=True)
    reader.start()
    put(out)
    reader.join(LIMIT)
    assert (bytes(got), out.is_fifo()) == (b"new", True)


def test_a_pipe_is_looked_through_for_secrets_too(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(LEAKY,), daemon=True)
    writer.start()
    done = CliRunner().invoke(check, [str(path)])
    writer.join(LIMIT)
    assert (done.exit_code, "password" in done.output) == (1, True)


def test_an_output_that_is_lost_is_no_error_of_a_file() -> None:
    lost = OutputLost("standard output", BrokenPipeError(32, "Broken pipe"))
    assert (str(lost), lost.errno, lost.is_quiet) == ("standard output: Broken pipe", None, True)
