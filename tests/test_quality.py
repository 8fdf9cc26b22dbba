"""The linters, the type checker and the import contracts, run as tests: one command (`pytest`) says whether a change may land.

All read their settings from pyproject.toml. They need a checkout; ``-m "not quality"`` leaves them out.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import in_ci

TOP = Path(__file__).parent.parent

CHECKS = {
    "lint": ("ruff", ["-m", "ruff", "check"]),
    "format": ("ruff", ["-m", "ruff", "format", "--check"]),
    "types": ("mypy", ["-m", "mypy"]),
    # The documented way is a console script, which is not on the path of everybody's editor; this is what that script calls.
    "imports": ("importlinter", ["-c", "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"]),
}


@pytest.mark.quality
@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", CHECKS)
def test_the_tree_is_clean(check: str) -> None:
    module, arguments = CHECKS[check]
    if importlib.util.find_spec(module) is None:
        (pytest.fail if in_ci() else pytest.skip)(f"{module} is not installed: pip install -e '.[test]'")
    done = subprocess.run([sys.executable, *arguments], cwd=TOP, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
