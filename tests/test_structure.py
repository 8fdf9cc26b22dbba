"""The shape of the source: prose at the head of each module, short functions where it is pure, one list of pure rooms, no machine's paths."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parent.parent
PACKAGES = ("chat_answers", "engineio_lite", "perplexity_labs", "ylokh_sse")
SOURCES = sorted(path for package in PACKAGES for path in (TOP / package).rglob("*.py"))
PROJECT: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
PURE: list[str] = PROJECT["tool"]["engineio-lite"]["pure"]

LONGEST = 60
"""Lines of a function in a pure room, its signature and docstring included."""

IMPURE = {"aio", "bridge", "cassettes", "cli", "doctor", "proxy", "replay"}
"""The rooms of `engineio_lite` that may read clocks, files and sockets; every other one is pure."""


def _files(module: str) -> list[Path]:
    path = TOP.joinpath(*module.split("."))
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None, "no docstring"
    assert len(docstring) > 20, "a docstring that says nothing"


@pytest.mark.parametrize("path", [path for module in PURE for path in _files(module)], ids=_name)
def test_pure_functions_fit_on_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno is not None and f.end_lineno - f.lineno >= LONGEST}
    assert long == {}


def test_every_room_is_pure_or_known_not_to_be() -> None:
    rooms = {path.relative_to(TOP / "engineio_lite").parts[0].removesuffix(".py") for path in (TOP / "engineio_lite").rglob("*.py")}
    pure = {name.split(".")[1] for name in PURE if name.startswith("engineio_lite.")} - IMPURE  # some of which have pure corners
    assert rooms - IMPURE - {"__init__"} == pure


def test_the_import_contract_knows_the_same_pure_rooms() -> None:
    [contract] = [contract for contract in PROJECT["tool"]["importlinter"]["contracts"] if contract["id"] == "pure"]
    assert contract["source_modules"] == PURE


# --- Nothing of anybody's machine. The patterns are written so that they do not match themselves.

_ELSEWHERE = [
    r"/wor[k]/",
    r"/roo[t]/",
    r"/far[m]/",
    r"/hom[e]/[a-z]",
    r"/tm[p]/[a-z]",
    r"pyp[i]\.org",
    r"pythonhoste[d]",
    r"npmj[s]\.(org|com)",
    r"deb\.debia[n]",
    r"registr[y]\+",
    r'"resolve[d]":',
]
_RECORDED = {".har", ".jsonl", ".pcap", ".mitm"}
"""Captures are other people's words; what they may hold is tested where they are read."""


def _tracked() -> Iterator[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    for name in done.stdout.split("\0"):
        path = TOP / name
        if name and path.suffix not in _RECORDED and path.is_file():
            yield path


def test_no_file_names_a_machine_or_a_registry() -> None:
    pattern = re.compile("|".join(_ELSEWHERE))
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{_name(path)}: {text[max(0, m.start() - 20) : m.end() + 20]!r}" for m in pattern.finditer(text)]
    assert found == []
