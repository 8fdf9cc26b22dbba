"""The page about looking at captures says what the commands print: each of its console blocks is run, in a shell, beside the capture that it uses."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOWTO = Path(__file__).parent.parent.parent / "docs" / "howto"
PAGE = (HOWTO / "look-at-a-capture.md").read_text(encoding="utf-8")
EXAMPLES = [
    (command, expected)
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.S | re.M)
    for command, expected in re.findall(r"^\$ (.*?)\n((?:(?!\$ ).*\n)*)", block, re.M)
]


@pytest.fixture
def shell(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A directory with the example in it, and an environment in which the command is found."""
    shutil.copy(HOWTO / "example.eio.jsonl", tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "engineio-lite"
    tool.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'from engineio_lite.cli import main; main()' \"$@\"\n", encoding="utf-8")
    tool.chmod(0o755)
    path = [str(HOWTO.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": ":".join(path), "PYTHONIOENCODING": "utf-8"}
    return tmp_path, environment


def test_the_examples_print_what_the_page_says(shell: tuple[Path, dict[str, str]]) -> None:
    directory, environment = shell
    assert len(EXAMPLES) == 7
    for command, expected in EXAMPLES:
        done = subprocess.run(
            command, shell=True, cwd=directory, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=30, check=False
        )
        assert (done.stdout, done.stderr) == (expected, ""), command
    assert (directory / "page.html").is_file()
