"""A process that is killed while it records: the file loads, and everything that was said to be written is there, whole and in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engineio_lite.capture import load
from engineio_lite.capture.lines import SocketIOPacket
from engineio_lite.replay.offline import check
from engineio_lite.socketio.grammar import PacketType

SCRIPT = Path(__file__).parent / "recording_until_killed.py"
TOP = SCRIPT.parent.parent.parent

ENOUGH = 3000
"""Events after which it is killed, wherever it is then."""

RATE = 1000.0
"""Events that must be recorded for each second of the processor's time; a busy machine has no say in that."""


@pytest.mark.parametrize("level", ["wire", "packets"])
def test_what_was_written_is_there(level: str, tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    with subprocess.Popen([sys.executable, str(SCRIPT), str(path), level], stdout=subprocess.PIPE, cwd=TOP, env={"PYTHONPATH": str(TOP)}) as child:
        assert child.stdout is not None
        number, used = 0, 0.0
        try:
            for line in child.stdout:
                number, used = int(line.split()[0]), float(line.split()[1])
                if number >= ENOUGH:
                    break
        finally:
            child.kill()
        for line in child.stdout:
            number = int(line.split()[0]) if line.endswith(b"\n") and len(line.split()) == 2 else number
    assert number >= ENOUGH
    capture = load(path)
    assert len(capture.remarks) <= 1
    events = [line.data for line in capture.packets().lines if isinstance(line, SocketIOPacket) and line.type is PacketType.EVENT]
    assert len(events) >= number
    assert [event[1] for event in events if isinstance(event, list)] == list(range(len(events)))
    if level == "wire":
        assert check(capture).is_same
    assert "a-token-that" not in path.read_text(encoding="utf-8", errors="replace")
    assert ENOUGH / used >= RATE
