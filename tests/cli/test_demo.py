"""The main job, as a newcomer runs it: in a process of its own, with nothing on its standard input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise

import pytest

from engineio_lite import AckTimeout, ConnectFailed, ConnectionClosed, ConnectRefused, EngineIOError, LocalProtocolError, PingTimeout, TransportClosed
from engineio_lite.causes import Cause
from engineio_lite.cli._console import exit_code
from perplexity_labs.loopback import JOKE

LIMIT = 30.0


def demo(*arguments: str, without: str | None = None, first: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; `without` names a package that is not to be found, `first` is code that runs before."""
    hide = f"import sys; sys.modules[{without!r}] = None" if without else ""
    code = f"{hide}\n{first}\nfrom engineio_lite.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, "demo", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8"},
        timeout=LIMIT,
        check=False,
    )


def test_the_demo_streams_the_answer_and_shows_what_crossed_the_wire() -> None:
    done = demo()
    assert (done.returncode, done.stderr) == (0, "")
    assert " ".join(JOKE.split()) in " ".join(done.stdout.split())
    shown = [line for line in done.stdout.splitlines() if re.match(r" *\d+\.\d{3} ", line)]
    order = [
        "open: sid",
        'connect to / with {"jwt":"anonymous-ask-user"}',
        "connected to /",
        "2probe",
        "3probe",
        "upgrade: from here on by WebSocket",
        "leave /",
    ]
    places = [next(number for number, line in enumerate(shown) if mark in line) for mark in order]
    assert places == sorted(places)
    assert any(re.search(r"──▶ WebSocket 1 5 ", line) for line in shown)
    assert any(re.search(r"◀── \S.* ping$", line.rstrip()) for line in shown)
    assert any(re.search(r"──▶ \S.* pong$", line.rstrip()) for line in shown)
    assert "✗" not in done.stdout


def test_the_timeline_as_json_is_one_packet_a_line_in_the_order_of_time() -> None:
    done = demo("--json", "--question", "[bold]why?[/]")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row.keys() == {"at", "direction", "carrier", "packet", "meaning"} for row in rows)
    assert all(earlier["at"] <= later["at"] for earlier, later in pairwise(rows))
    assert any("[bold]why?[/]" in row["meaning"] for row in rows)
    assert "> [bold]why?[/]" in done.stderr


def test_a_missing_extra_is_one_line() -> None:
    done = demo(without="socketio")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: the demo needs the demo extra — pip install 'engineio-lite[demo]'\n"
    done = demo(without="click")
    assert done.returncode == 2
    assert done.stderr == "engineio-lite: the command line needs the cli extra: pip install 'engineio-lite[cli]'\n"


NO_SOCKETS = """
import errno, socket
def refuse(*arguments, **options): raise OSError(errno.EACCES, "no")
socket.create_server = refuse
"""


def test_a_server_that_cannot_be_started_is_one_line() -> None:
    done = demo(first=NO_SOCKETS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: cannot listen at 127.0.0.1:0: Permission denied\n"


def test_ctrl_c_leaves_in_one_line() -> None:
    # SIGINT by default, as a terminal gives it: a test run in the background may have it ignored, and children inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from engineio_lite.cli import main; main()"
    with subprocess.Popen([sys.executable, "-u", "-c", code, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "Asking it" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert errors == "error: interrupted\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LocalProtocolError("no", cause=Cause.BAD_URL), 2),
        (ConnectFailed("no", cause=Cause.CONNECT_REFUSED), 3),
        (ConnectRefused("/", "no"), 3),
        (EngineIOError("no", cause=Cause.BAD_REQUEST), 3),
        (PingTimeout(9.0, 8.0), 4),
        (AckTimeout("x", 1.0), 4),
        (TransportClosed("no", cause=Cause.WEBSOCKET_CLOSED), 4),
        (ConnectionClosed("no", reason=None), 4),
    ],
)
def test_each_class_of_error_has_its_exit_code(error: EngineIOError, code: int) -> None:
    assert exit_code(error) == code
