"""`engineio-lite connect` at a terminal: a process in a pseudo-terminal, with somebody at the keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engineio_lite.capture.redaction import Secrets
from engineio_lite.cli._connect_terminal import MAX_HISTORY, MAX_QUEUED, Lines, history_path
from tests.cli.test_connect import COMMAND, DEAD, ENVIRONMENT, LIMIT
from tests.commands import heeding_ctrl_c
from tests.peers import Peer, StartPeer

PATIENCE = 20.0
"""Seconds until something must be shown; less than the time limit of a test."""

CTRL_C, CTRL_D, ENTER, TAB, UP = "\x03", "\x04", "\r", "\t", "\x1b[A"

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][AB0]|[=>78])")


class Terminal:
    """The command in a terminal of its own; `shown` is everything that it wrote, without what only moves or colours."""

    def __init__(self, *arguments: str, history: str = "", columns: int = 80, piped: bool = False) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.theirs = theirs
        self.modes = termios.tcgetattr(theirs)
        # Nobody answers here when it asks where the cursor is.
        environment = ENVIRONMENT | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "ENGINEIO_LITE_HISTORY": history}
        with heeding_ctrl_c():
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=theirs,
                stdout=subprocess.PIPE if piped else theirs,
                stderr=theirs,
                env=environment,
                start_new_session=True,
            )
        self._raw = b""
        self._whole = ""
        self._read = 0

    @property
    def shown(self) -> str:
        whole, found, rest = self._raw.rpartition(b"\n")
        if found:  # what is stripped once needs no second time, and an escape sequence has no line feed in it
            self._whole += _ESCAPES.sub("", (whole + found).decode(errors="replace"))
            self._raw = rest
        return self._whole + _ESCAPES.sub("", self._raw.decode(errors="replace"))

    def press(self, *keys: str) -> None:
        os.write(self._ours, "".join(keys).encode())

    def until(self, word: str) -> str:
        """Return what was shown since the last call up to this word; the process may have ended."""
        end = time.monotonic() + PATIENCE
        while (found := self.shown.find(word, self._read)) < 0:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {word!r} in {self.shown[self._read :]!r}"
            try:
                self._raw += os.read(self._ours, 65536)
            except OSError:  # the other side is closed, which Linux says so
                pytest.fail(f"ended without {word!r}: {self.shown[self._read :]!r}")
        start, self._read = self._read, found + len(word)
        return self.shown[start : self._read]

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(LIMIT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT)
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._ours)
        os.close(self.theirs)


@contextlib.contextmanager
def terminal(*arguments: str, history: str = "", columns: int = 80, piped: bool = False) -> Iterator[Terminal]:
    tty = Terminal(*arguments, history=history, columns=columns, piped=piped)
    try:
        yield tty
    finally:
        tty.stop()


@contextlib.contextmanager
def ready(peer: Peer, *arguments: str, history: str = "", columns: int = 80) -> Iterator[Terminal]:
    """A terminal that shows its prompt, by WebSocket, which changes no more by itself."""
    with terminal(peer.url, "--transport", "websocket", *arguments, history=history, columns=columns) as tty:
        tty.until("websocket / ❯")
        yield tty


def test_what_happens_is_shown_above_the_prompt(any_peer: Peer) -> None:
    with ready(any_peer) as tty:
        assert "─── joined / as " in tty.shown
        tty.press('call echo 1 {"a": "ü"}', ENTER)
        tty.until("❯ call echo")
        tty.until('──▶ echo 1 {"a":"ü"}  #0')
        tty.until('◀── echo 1 {"a":"ü"}')
        tty.until("◀── ack #0 echo ")
        tty.until("websocket / ❯")
        tty.press("quit", ENTER)
        tty.until("closed, client close")
        assert tty.wait() == 0


def test_the_prompt_says_where_one_speaks(any_peer: Peer) -> None:
    with terminal(any_peer.url) as tty:
        tty.until("websocket / ❯")  # upgraded
        tty.press('join /admin {"token": "letmein"}', ENTER)
        tty.until("joined /admin")
        tty.press("use admin", ENTER)
        tty.until("websocket /admin ❯")
        tty.press("leave", ENTER)
        tty.until("left /admin")
        tty.until("offline /admin ❯")
        tty.press("emit x", ENTER)
        tty.until("error: namespace '/admin' is not joined — join /admin")
        tty.press("use /", ENTER)
        tty.until("websocket / ❯")
        tty.press("leave", ENTER)
        tty.until("closed, io client disconnect")
        assert tty.wait() == 0


def test_a_mistake_ends_nothing(python_peer: Peer) -> None:
    with ready(python_peer, "--timeout", "1") as tty:
        tty.press("emit x {bad}", ENTER)
        tty.until("error: column 9: expected JSON")
        tty.press("frob", ENTER)
        tty.until("expected a command, got 'frob'")
        tty.press("join /admin", ENTER)
        tty.until("error: the server refused namespace '/admin': 'not authorized'")
        tty.press("wait nothing 0.1", ENTER)
        tty.until("error: no event 'nothing' came within 0.1 s")
        tty.press("call never", ENTER)
        tty.press("call echo 1", ENTER)  # which does not wait for the call before
        tty.until("ack #1 echo")
        tty.until("error: no acknowledgement of event 'never' within 1 s")
        tty.press(CTRL_D)
        assert tty.wait() == 0


@pytest.mark.parametrize("how", ["ctrl-d", "ctrl-c", "signal"])
def test_ways_to_leave(python_peer: Peer, how: str) -> None:
    with ready(python_peer) as tty:
        match how:
            case "ctrl-d":
                tty.press(CTRL_D)
            case "ctrl-c":
                tty.press(CTRL_C)
            case _:
                tty.process.send_signal(signal.SIGINT)
        tty.until("closed, client close")
        assert tty.wait() == (0 if how == "ctrl-d" else 130)
        assert termios.tcgetattr(tty.theirs) == tty.modes
        assert "Traceback" not in tty.shown


def test_ctrl_c_clears_what_is_typed(python_peer: Peer) -> None:
    with ready(python_peer) as tty:
        tty.press("emit nonsense")
        tty.until("emit nonsense")
        tty.press(CTRL_C, "status", ENTER)
        tty.until("speaking in  /")
        assert "──▶" not in tty.shown
        tty.press(CTRL_C)
        assert tty.wait() == 130


def test_ctrl_c_gives_up_what_runs_and_all_behind_it(python_peer: Peer) -> None:
    with ready(python_peer, "--timeout", "100") as tty:
        tty.press("wait nothing", ENTER, "sleep 100", ENTER, "emit nonsense", ENTER)
        tty.until("(wait, 2 behind it) ❯")
        tty.press(CTRL_C, "call echo 1", ENTER)
        tty.until("ack #0 echo")
        assert "──▶ nonsense" not in tty.shown
        tty.press(CTRL_D)
        assert tty.wait() == 0


def test_more_lines_than_anybody_types_are_refused_and_can_be_given_up(python_peer: Peer) -> None:
    with ready(python_peer) as tty:
        lines = "wait nothing 1000\r" + "emit nonsense\r" * (MAX_QUEUED + 10)
        tty.press(f"\x1b[200~{lines}\x1b[201~", ENTER)
        tty.until(f"error: {MAX_QUEUED} lines wait already: 11 are dropped")
        tty.until(f"(wait, {MAX_QUEUED - 1} behind it) ❯")
        tty.press(CTRL_C, "call echo 1", ENTER)
        tty.until("ack #0 echo")
        assert "──▶ nonsense" not in tty.shown


def test_what_is_pasted_is_carried_out_in_order(python_peer: Peer) -> None:
    with ready(python_peer) as tty:
        tty.press('\x1b[200~emit later 300 "soon"\rwait soon\r# no command\rcall echo 1\r\x1b[201~', ENTER)
        tty.until("──▶ later")
        tty.until("◀── soon")
        tty.until("──▶ echo 1")
        tty.until("◀── ack #0")


def test_tab_completes_commands_namespaces_and_events(python_peer: Peer) -> None:
    with ready(python_peer) as tty:
        tty.press("sta", TAB, ENTER)
        tty.until("speaking in  /")
        tty.press("join /echo2", ENTER)
        tty.until("joined /echo2")
        tty.press("use ec", TAB, ENTER)
        tty.until("websocket /echo2 ❯")
        tty.press("emit welc", TAB, " 1", ENTER)
        tty.until("──▶ /echo2 welcome 1")
        tty.press("s", TAB, TAB)
        tty.until("sleep")
        tty.until("status")


def test_a_question_is_answered(any_peer: Peer) -> None:
    with ready(any_peer) as tty:
        tty.press('emit askme "why"', ENTER)
        tty.until('◀── question "why"  asks: ack ')
        tty.press("ack first 42", ENTER)
        tty.until("◀── answer 42")


def test_pings_and_packets_are_shown_if_they_are_wanted(peer_server: StartPeer) -> None:
    with ready(peer_server("node", pingInterval=200)) as tty:
        tty.press("pings on", ENTER)
        tty.until("◀── ping")
        tty.until("──▶ pong")
        tty.press("raw on", ENTER)
        tty.until("◀── WebSocket 1  2")


def test_a_flood_does_not_break_the_prompt(any_peer: Peer) -> None:
    with ready(any_peer, columns=120) as tty:
        tty.press("call stream 3000", ENTER, "call ech")
        tty.until("◀── number 2999")
        tty.until("websocket / ❯ call ech")
        tty.press("o 7", ENTER)
        tty.until("──▶ echo 7  #1")
        numbers = [int(number) for number in re.findall(r"◀── number (\d+)", tty.shown)]
        assert numbers == list(range(3000))


def test_no_key_is_lost_in_busy_traffic(node_peer: Peer) -> None:
    with ready(node_peer) as tty:
        tty.press("emit stream 4000", ENTER)
        for i in range(20):
            tty.until(f"◀── number {i * 100}\r")
            tty.press("nonsense", CTRL_C)
        tty.press("call echo 7", ENTER)
        tty.until("──▶ echo 7  #0")
        tty.press(CTRL_D)
        tty.until("closed, client close")
        assert tty.wait() == 0


# --- the connection comes and goes


def test_a_server_that_dies_while_somebody_types(peer_server: StartPeer) -> None:
    peer = peer_server("node")
    with ready(peer) as tty:
        tty.press("emit echo")
        tty.until("emit echo")
        peer.kill()
        tty.until("─── connection lost, try 1 in ")
        tty.until("offline / ❯ emit echo")
        tty.press(' "while away"', ENTER)
        tty.until("─── echo waits for a connection")
        tty.press("call echo 2", ENTER, "still typi")
        peer.restart()
        tty.until("──▶ echo 2")
        tty.until("websocket / ❯ still typi")
        shown = tty.shown
        assert shown.index("─── joined / as ", shown.index("connection lost")) < shown.index('──▶ echo "while away"') < shown.index("──▶ echo 2")
        tty.press(CTRL_C, "status", ENTER)
        tty.until("reconnected  1 times")
        tty.press(CTRL_D)
        assert tty.wait() == 0


def test_a_lost_connection_that_nobody_makes_again_ends_it(peer_server: StartPeer) -> None:
    peer = peer_server("node")
    with ready(peer, "--no-reconnect") as tty:
        tty.press("half typ")
        tty.until("half typ")
        peer.kill()
        tty.until("─── closed, transport ")
        assert tty.wait() == 4
        assert termios.tcgetattr(tty.theirs) == tty.modes


def test_a_server_that_sends_us_away_ends_it(any_peer: Peer) -> None:
    with ready(any_peer) as tty:
        tty.press("emit kick", ENTER)
        tty.until("closed, io server disconnect")
        assert tty.wait() == 4


def test_a_namespace_that_the_server_ends_is_gone_and_the_others_stay(any_peer: Peer) -> None:
    with ready(any_peer) as tty:
        tty.press("join /echo2", ENTER, "use /echo2", ENTER)
        tty.until("websocket /echo2 ❯")
        tty.press("emit kick", ENTER)
        tty.until("left /echo2: io server disconnect")
        tty.until("offline /echo2 ❯")
        tty.press("use /", ENTER)
        tty.until("websocket / ❯")


def test_no_connection_shows_no_prompt() -> None:
    with terminal(DEAD) as tty:
        tty.until("error: ")
        tty.until("connect-refused")
        assert tty.wait() == 3
        assert "❯" not in tty.shown


def test_a_refusal_shows_no_prompt(python_peer: Peer) -> None:
    with terminal(f"{python_peer.url}/admin", "--auth", '{"token": "wrongtoken"}') as tty:
        tty.until("namespace-refused")
        assert tty.wait() == 3
        assert "❯" not in tty.shown
        assert "wrongtoken" not in tty.shown


# --- what is no dialogue


@pytest.mark.parametrize("arguments", [["--json"], ["--exec", "call echo 1"]])
def test_a_terminal_alone_makes_no_dialogue(python_peer: Peer, arguments: list[str]) -> None:
    with terminal(python_peer.url, *arguments) as tty:
        if arguments == ["--json"]:
            tty.until('"joined"')
            tty.press("call echo 1", ENTER)
            tty.until('"kind": "ack"')
            tty.press(CTRL_D)
        tty.until("client close")
        assert tty.wait() == 0
        assert "❯" not in tty.shown


def test_lines_typed_while_the_output_goes_elsewhere(python_peer: Peer) -> None:
    with terminal(python_peer.url, piped=True) as tty:
        tty.press("call echo 1", ENTER, CTRL_D)
        assert tty.process.stdout is not None
        assert b"ack #0 echo" in tty.process.stdout.read()
        assert tty.wait() == 0
        assert "❯" not in tty.shown


# --- what is kept


def test_what_is_typed_is_kept_without_secrets(python_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "new" / "history"
    with ready(python_peer, "--auth", '{"x": "hushhush"}', history=str(path)) as tty:
        for line in (
            'join /admin {"token": "letmein"}',
            'emit x "hushhush"',
            " emit secretly",
            'emit x {"password": "y"}',
            "emit plain 1",
        ):
            tty.press(line, ENTER)
        tty.until("──▶ plain 1")
        tty.press("history", ENTER)
        listed = tty.until("emit plain 1\r\nhistory\r\n")
        assert not any(word in listed for word in ("letmein", "hushhush", "secretly", "password"))
        tty.press(CTRL_D)
        assert tty.wait() == 0
    assert path.read_text() == "emit plain 1\nhistory\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ready(python_peer, history=str(path)) as tty:
        tty.press(UP, UP, ENTER)
        tty.until("──▶ plain 1")


def test_a_history_that_cannot_be_kept_is_said_once(python_peer: Peer, tmp_path: Path) -> None:
    with ready(python_peer, history=str(tmp_path)) as tty:
        tty.press("emit x", ENTER, "emit y", ENTER)
        tty.until("what is typed is not kept")
        tty.until("──▶ y")
        tty.press("history", ENTER)
        tty.until("emit x")
        tty.press(CTRL_D)
        assert tty.wait() == 0
        assert tty.shown.count("what is typed is not kept") == 1


def test_where_history_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEIO_LITE_HISTORY", "")
    assert history_path() is None
    monkeypatch.setenv("ENGINEIO_LITE_HISTORY", "/some/where")
    assert history_path() == Path("/some/where")
    monkeypatch.delenv("ENGINEIO_LITE_HISTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert history_path() == Path("/state/engineio-lite/connect-history")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert history_path() == Path.home() / ".local/state/engineio-lite/connect-history"


def test_history_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"emit {i}\n" for i in range(3 * MAX_HISTORY)))
    lines = Lines(path, Secrets())
    assert lines.lines == [f"emit {i}" for i in range(2 * MAX_HISTORY, 3 * MAX_HISTORY)]
    assert path.read_text().count("\n") == MAX_HISTORY
    for i in range(10):
        lines.append_string(f"call {i}")
    assert len(lines.lines) == MAX_HISTORY
    assert lines.lines[-1] == "call 9"
    assert next(iter(lines.load_history_strings())) == "call 9"
    assert path.read_text().endswith("call 8\ncall 9\n")


def test_a_line_kept_before_its_secret_was_known_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("emit x\nemit y letmein\n\n")
    secrets = Secrets()
    secrets.learn("letmein")
    assert Lines(path, secrets).lines == ["emit x"]
    assert Lines(None, secrets).lines == []
