"""An environment is made once, whoever asks for it and however many do at once."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.peers.environments import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    pins = tmp_path / "nothing.txt"
    pins.write_text("# Needs nothing, so nothing has to be fetched.\n")
    return Environment(pins, tmp_path / "peers" / "nothing")


def test_two_at_once_make_one(environment: Environment) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda each: each.make(), [environment] * 2)) == [None, None]
    assert environment.missing() is None
    made = environment.python.lstat().st_mtime_ns
    assert environment.make() is None
    assert environment.python.lstat().st_mtime_ns == made, "it was made again"
    environment.pins.write_text("# Other pins make another environment.\n")
    assert not environment.is_made


def test_what_is_not_there_is_a_reason_to_skip_on_a_laptop(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert environment.missing() == "nothing is not installed: run `python -m tests.peers.environments`"


def test_what_cannot_be_made_says_why(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    environment.pins.write_text("not a requirement!\n")
    problem = environment.missing()
    assert problem is not None
    assert problem.startswith("`pip install -r nothing.txt` failed: ")
    assert not environment.is_made
    assert subprocess.run([environment.python, "-c", ""], timeout=30, check=False).returncode == 0
