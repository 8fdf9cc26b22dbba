"""What the packages promise by name, and what importing them costs."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import engineio_lite_commands

PACKAGES = [
    "chat_answers",
    "engineio_lite",
    "engineio_lite.aio",
    "engineio_lite.capture",
    "engineio_lite.cassettes",
    "engineio_lite.proxy",
    "engineio_lite.replay",
    "engineio_lite.socketio",
    "perplexity_labs",
    "ylokh_sse",
]


def _public_names(package: ModuleType) -> set[str]:
    """What a reader of the module would take for its interface: no underscore, no module, no `from __future__`."""
    names = {name for name, value in vars(package).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    return names - {"annotations"}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_exactly_what_is_public(name: str) -> None:
    package = importlib.import_module(name)
    listed = package.__all__
    assert len(listed) == len(set(listed)), "a name is listed twice"
    assert set(listed) <= set(dir(package))
    for each in listed:  # first, since some names are there only when they are asked for
        assert hasattr(package, each), f"{name}.__all__ lists {each}, which is not there"
    assert _public_names(package) == {each for each in listed if not each.startswith("__")}
    with pytest.raises(AttributeError, match="'Nonesuch'"):
        getattr(package, "Nonesuch")  # noqa: B009  # as an import would


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import engineio_lite

    assert engineio_lite.__version__ == version("engineio-lite")


@pytest.mark.parametrize("name", ["engineio_lite", "engineio_lite.socketio", "engineio_lite.connection", "perplexity_labs", "ylokh_sse"])
def test_the_pure_core_loads_no_driver(name: str) -> None:
    """In a fresh process, because this one has loaded everything long ago."""
    code = f"import json, sys, {name}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(json.loads(done.stdout))
    assert name in loaded
    assert loaded.isdisjoint({"aiohttp", "asyncio", "click", "engineio_lite.aio", "engineio_lite.cli", "rich", "socketio", "ssl"})


def test_a_console_command_without_its_extra_says_so_in_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; from engineio_lite.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr == "engineio-lite: the command line needs the cli extra: pip install 'engineio-lite[cli]'\n"


@pytest.mark.parametrize("name", ["engineio-lite", "perplexity-labs", "ylokh-sse"])
def test_a_console_script_is_registered(name: str) -> None:
    from importlib.metadata import entry_points

    [script] = entry_points(group="console_scripts", name=name)
    assert script.load() is getattr(engineio_lite_commands, name.replace("-", "_"))
    done = subprocess.run([Path(sys.executable).parent / name, "--version"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


REFERENCE = Path(__file__).parent.parent / "docs" / "api.md"
_SECTION = re.compile(r"^\.\. currentmodule:: (?P<module>\S+)\n(?P<body>.*?)^```", re.M | re.S)
_ENTRY = re.compile(r"^\.\. auto(?:class|exception|function|data):: (?P<name>\w+)", re.M)


def test_the_reference_lists_exactly_what_is_public() -> None:
    """A package is either documented whole (`automodule`, which follows `__all__`) or name by name; then none may be missing or too many."""
    text = REFERENCE.read_text(encoding="utf-8")
    documented: dict[str, list[str]] = {}
    for section in _SECTION.finditer(text):
        documented.setdefault(section["module"], []).extend(_ENTRY.findall(section["body"]))
    for name in PACKAGES:
        public = sorted(each for each in importlib.import_module(name).__all__ if not each.startswith("__"))
        if f".. automodule:: {name}\n" not in text:
            assert sorted(documented.get(name, [])) == public, name
