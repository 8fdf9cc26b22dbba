"""The documentation is tested: every Python block of README.md and docs/*.md runs, and the pages build without a warning.

Above each ```` ```python ```` block stands an HTML comment (invisible on the page) that says how to test it:

``<!-- test: run -->``
    Run it. Names start fresh; ``await``, ``async for`` and ``async with`` work at the top, and so does a block that calls ``asyncio.run`` itself.

``<!-- test: labs-server at https://labs.example -->``
    Start the loopback server of that name (`SERVERS` below), put its address where the block has the one after ``at``, and run it. Several servers
    are separated by semicolons: ``<!-- test: labs-server at https://a.example; socketio-server at https://b.example -->``.

``<!-- test: none, needs a service on the Internet -->``
    Do not run it, and say why. It must still be Python: it is compiled.

``continues`` as one more clause (``<!-- test: run; continues -->``) keeps the names of the block before on the same page; that one runs first, again.
A ```` ```text ```` block with ``<!-- test: output -->`` above it must be exactly what the block before it printed.

A Python block with no such comment fails, so nothing is untested by accident. A block that waits for ever fails by the test's time limit; what it
leaves running fails it too (`no_leaks`).
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.peers import Peer, in_ci

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]

_FENCE = re.compile(
    r"(?:^<!-- *test: *(?P<marker>[^\n]*?) *-->[ \t]*\n\s*)?^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<source>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)


@dataclass
class Block:
    """One fenced block of a page: where, in which language, what its comment says, and for Python the blocks it continues."""

    page: str
    line: int
    language: str
    marker: str | None
    source: str
    before: list[Block] = field(default_factory=list)
    output: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def clauses(self) -> list[str]:
        """What the comment says, clause by clause."""
        return [clause.strip() for clause in (self.marker or "").split(";")]

    @property
    def reason(self) -> str | None:
        """Why it is not run; None if it is."""
        return self.clauses[0].partition(",")[2].strip() if self.clauses[0].startswith("none") else None


def blocks_of(page: str, text: str) -> list[Block]:
    """The Python blocks of one page, each with the output that the page promises."""
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("fence")) + 1
        block = Block(page, line, match["language"], match["marker"], match["source"])
        if block.language == "python":
            if "continues" in block.clauses and found:
                block.before = [*found[-1].before, found[-1]]
            found.append(block)
        elif block.marker == "output":
            assert found, f"{block}: output of nothing"
            found[-1].output = block.source
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page.relative_to(TOP).as_posix(), page.read_text(encoding="utf-8"))]


# --- The servers that a comment can ask for: each a context manager that gives an address.


@asynccontextmanager
async def _labs_server() -> AsyncIterator[str]:
    from perplexity_labs.loopback import serve

    async with serve(pace=0.001) as server:
        yield server.url


@asynccontextmanager
async def _peer(*, engine_only: bool) -> AsyncIterator[str]:
    peer = await asyncio.to_thread(Peer, "python", {"engineOnly": engine_only})
    try:
        yield peer.url
    finally:
        await asyncio.to_thread(peer.stop)


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "labs-server": _labs_server,
    "socketio-server": lambda: _peer(engine_only=False),
    "engineio-server": lambda: _peer(engine_only=True),
}


# --- Running a block.


async def _execute(source: str, name: str, names: dict[str, Any]) -> None:
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)
    else:
        # In a thread of its own: it may run an event loop.
        await asyncio.to_thread(exec, code, names)


async def run_block(block: Block, names: dict[str, Any]) -> str:
    """Start what the block asks for, run it, and return what it printed."""
    source = block.source
    printed = io.StringIO()
    async with AsyncExitStack() as stack:
        for clause in block.clauses:
            server, at, address = (part.strip() for part in clause.partition(" at "))
            if clause in ("run", "continues"):
                continue
            assert server in SERVERS, f"{block}: no such way to test a block: {clause!r}"
            assert at, f"{block}: say which address in the block is the server's: `{server} at URL`"
            assert address in source, f"{block}: {address} is not in the block"
            source = source.replace(address, await stack.enter_async_context(SERVERS[server]()))
        with contextlib.redirect_stdout(printed):
            # Empty lines keep the line numbers of the page in a traceback.
            await _execute("\n" * block.line + source, str(TOP / block.page), names)
    return printed.getvalue()


@pytest.mark.parametrize("block", BLOCKS, ids=str)
async def test_an_example_runs(block: Block) -> None:
    assert block.marker is not None, f"{block}: no `<!-- test: … -->` above this block"
    if block.reason is not None:
        assert len(block.reason) > 10, f"{block}: `none` needs a reason: <!-- test: none, because … -->"
        compile(block.source, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    names: dict[str, Any] = {"__name__": "__main__"}
    for earlier in block.before:
        await run_block(earlier, names)
    printed = await run_block(block, names)
    if block.output is not None:
        assert printed == block.output


# --- The mechanism itself.

_PAGE = """
<!-- test: run -->

```python
import asyncio
answer = await asyncio.sleep(0, 42)
```

<!-- test: run; continues -->
```python
print(answer)
```

<!-- test: output -->
```text
42
```

```python
untested
```

<!-- test: none, it needs the moon -->
```python
1 / 0
```

<!-- test: socketio-server at https://host.example -->
```python
import asyncio
from urllib.request import urlopen
async def main(): print(urlopen("https://host.example/socket.io/?EIO=4&transport=polling").read()[:8])
asyncio.run(main())
```
"""


async def test_comments_above_blocks_decide_how_they_are_tested() -> None:
    first, second, unmarked, untested, served = blocks_of("page.md", _PAGE)
    assert (first.line, first.marker, first.before) == (4, "run", [])
    assert (second.before, second.output) == ([first], "42\n")
    assert unmarked.marker is None
    assert untested.reason == "it needs the moon"
    await test_an_example_runs(second)
    await test_an_example_runs(untested)
    assert await run_block(served, {}) == "b'0{\"sid\":'\n"
    with pytest.raises(AssertionError, match="no `<!-- test"):
        await test_an_example_runs(unmarked)
    with pytest.raises(AssertionError, match="needs a reason"):
        await test_an_example_runs(Block("page.md", 1, "python", "none", "1"))
    with pytest.raises(AssertionError, match="no such way"):
        await run_block(Block("page.md", 1, "python", "magic", "1"), {})
    with pytest.raises(AssertionError, match="is not in the block"):
        await run_block(Block("page.md", 1, "python", "labs-server at https://x.example", "1"), {})
    with pytest.raises(ZeroDivisionError):
        await run_block(Block("page.md", 1, "python", "run", "1 / 0"), {})


@pytest.mark.quality
@pytest.mark.timeout(180)
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("sphinx") is None:
        (pytest.fail if in_ci() else pytest.skip)("sphinx is not installed: pip install -e '.[test]'")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "-d", str(tmp_path / "trees"), str(TOP / "docs"), str(tmp_path / "html")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    page = (tmp_path / "html" / "core.html").read_text(encoding="utf-8")
    assert page.count('<svg class="state-diagram"') == 3
