"""`engineio-lite connect --record`: the session is in the file, and a file that is there is left alone."""

from __future__ import annotations

from pathlib import Path

from engineio_lite.capture import load
from engineio_lite.replay.offline import check
from tests.cli.test_connect import DEAD, run
from tests.peers import Peer


def test_a_session_is_recorded_without_what_it_authenticates_with(any_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    done = run(any_peer.url, "--auth", '{"token": "a-token-that-nobody-may-see"}', "--record", str(path), lines="call echo 1\n")
    assert done.returncode == 0, done.stderr
    assert check(load(path)).is_same
    text = path.read_text(encoding="utf-8")
    assert "a-token-that" not in text
    assert '["echo",1]' in text.replace("\\", "")


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    path.write_text("precious")
    done = run(DEAD, "--record", str(path))
    assert done.returncode == 2
    assert "there is one already" in done.stdout + done.stderr
    assert path.read_text() == "precious"
