"""The documentation is tested: every Python block of README.md and docs/ runs, and the pages build without a warning.

Above each ```` ```python ```` block stands an HTML comment (invisible on the page) that says how to test it; and above each ```` ```js ```` block,
which is a module for Node with the packages of `tests/peers`:

``<!-- test: run -->``
    Run it. Names start fresh; ``await``, ``async for`` and ``async with`` work at the top, and so does a block that calls ``asyncio.run`` itself.

``<!-- test: socketio-server at https://host.example -->``
    Have the server of that name (`SERVERS` below), put its address where the block has the one after ``at``, and run it. A peer may be given options
    (`tests/peers/__init__.py` describes them): ``<!-- test: node-server {"parser": "msgpack"} at https://host.example -->``. Peers are shared by all
    blocks that ask for the same, so a block must not rely on being alone. Several servers are separated by semicolons.

``<!-- test: program chat_server.py -->``
    A program that the page asks its reader to save and start. It is compiled, and another block of the page has it started, alone for itself, with
    ``<!-- test: chat_server.py at http://127.0.0.1:8080 -->``: on a free port instead of the one in that address, which both blocks name. It must
    print a line when it listens.

``<!-- test: none, needs a service on the Internet -->``
    Do not run it, and say why. It must still be Python: it is compiled.

Two more clauses may follow after a semicolon. ``continues`` keeps the names of the block before on the same page; that one runs first, again.
``typing ["hello", "bye"]`` are lines on standard input. A ```` ```text ```` block with ``<!-- test: output -->`` above it must be exactly what the
block before it printed.

A block with no such comment fails, so nothing is untested by accident. A block that waits for ever fails by the test's time limit; what it
leaves running fails it too (`no_leaks`).
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import json
import re
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tests.peers import HERE as PEERS
from tests.peers import Kind, Options, Peer, in_ci, missing

TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]

_FENCE = re.compile(
    r"(?:^<!-- *test: *(?P<marker>[^\n]*?) *-->[ \t]*\n\s*)?^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<source>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)
_SERVED = re.compile(r"(?P<server>[\w.-]+)(?: (?P<options>\{.*\}))? at (?P<address>\S+)")
_PORT = re.compile(r":(\d+)")

JS_LIMIT = 20.0
"""Seconds for a block of JavaScript."""


@dataclass
class Block:
    """One fenced block of a page: where, in which language, what its comment says, and the blocks it continues.

    `programs` are the programs of its page, by name.
    """

    page: str
    line: int
    language: str
    marker: str | None
    source: str
    before: list[Block] = field(default_factory=list)
    output: str | None = None
    programs: dict[str, str] = field(default_factory=dict)

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

    @property
    def program(self) -> str | None:
        """Its name, if it is a program that other blocks have started."""
        first, _, name = self.clauses[0].partition(" ")
        return name.strip() if first == "program" else None


def blocks_of(page: str, text: str) -> list[Block]:
    """The blocks of one page that can be run, each with the output that the page promises."""
    found: list[Block] = []
    programs: dict[str, str] = {}
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("fence")) + 1
        block = Block(page, line, match["language"], match["marker"], match["source"], programs=programs)
        if block.language in ("python", "js"):
            if "continues" in block.clauses and found:
                block.before = [*found[-1].before, found[-1]]
            if block.program is not None:
                programs[block.program] = block.source
            found.append(block)
        elif block.marker == "output":
            assert found, f"{block}: output of nothing"
            found[-1].output = block.source
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page.relative_to(TOP).as_posix(), page.read_text(encoding="utf-8"))]


# --- The servers that a comment can ask for.

SERVERS: dict[str, tuple[Kind, Options]] = {
    "socketio-server": ("python", {}),
    "node-server": ("node", {}),
    "engineio-server": ("python", {"engineOnly": True}),
}
"""The peers by the names that comments have for them. The other ones are ``labs-server``, ``chat-server`` and the programs of the page."""

FindPeer = Callable[[str, Options], Peer]


def _need(kind: Kind) -> None:
    if (reason := missing(kind)) is not None:
        (pytest.fail if in_ci() else pytest.skip)(f"no {kind} peer: {reason}")


@pytest.fixture(scope="module")
def peers() -> Iterator[FindPeer]:
    """A function `(name in SERVERS, options) -> Peer`, the same one for the same words: starting one takes half a second."""
    found: dict[str, Peer] = {}
    with ExitStack() as stack:

        def find(name: str, options: Options) -> Peer:
            kind, usual = SERVERS[name]
            _need(kind)
            words = json.dumps([name, options])
            if words not in found or not found[words].running:
                found[words] = stack.enter_context(Peer(kind, cast("Options", {**usual, **options})))
            return found[words]

        yield find


@asynccontextmanager
async def _labs_server() -> AsyncIterator[str]:
    from perplexity_labs.loopback import serve

    async with serve(pace=0.001) as server:
        yield server.url


@asynccontextmanager
async def _chat_server() -> AsyncIterator[str]:
    from ylokh_sse.loopback import serve

    async with serve() as server:
        yield server.origin


@contextlib.contextmanager
def _program(source: str, address: str) -> Iterator[str]:
    """Start a page's own server on a free port instead of the one in `address`; gives the new address."""
    port = _PORT.findall(address)[-1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = str(taken.getsockname()[1])
    assert port in source, f"the program does not listen on port {port}"
    with subprocess.Popen([sys.executable, "-u", "-c", source.replace(port, free)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), "the program ended before it said anything"
            yield address.replace(port, free)
        finally:
            process.kill()


# --- Running a block.


async def _execute(source: str, name: str, names: dict[str, Any]) -> None:
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)
    else:
        # In a thread of its own: it may run an event loop.
        await asyncio.to_thread(exec, code, names)


async def _execute_js(source: str) -> str:
    process = await asyncio.create_subprocess_exec("node", "--input-type=module", "--eval", source, cwd=PEERS, stdout=PIPE, stderr=PIPE)
    try:
        said, errors = await asyncio.wait_for(process.communicate(), JS_LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()[-2000:]
    return said.decode()


@contextlib.contextmanager
def _typing(lines: list[str]) -> Iterator[None]:
    """Let the process read these lines from its standard input, and then the end."""
    before, sys.stdin = sys.stdin, io.StringIO("".join(f"{line}\n" for line in lines))
    try:
        yield
    finally:
        sys.stdin = before


async def _address(block: Block, clause: str, stack: AsyncExitStack, peers: FindPeer) -> tuple[str, str]:
    """Have the server that a clause asks for until the end of `stack`; return the address in the block and the one to put there."""
    asked = _SERVED.fullmatch(clause)
    assert asked is not None, f"{block}: no such way to test a block: {clause!r} (a server needs `at URL`)"
    server, address = asked["server"], asked["address"]
    assert address in block.source, f"{block}: {address} is not in the block"
    if server == "labs-server":
        return address, await stack.enter_async_context(_labs_server())
    if server == "chat-server":
        return address, await stack.enter_async_context(_chat_server())
    if server in block.programs:
        return address, stack.enter_context(_program(block.programs[server], address))
    assert server in SERVERS, f"{block}: no such server: {server}"
    options = cast("Options", json.loads(asked["options"] or "{}"))
    return address, (await asyncio.to_thread(peers, server, options)).url


async def run_block(block: Block, names: dict[str, Any], peers: FindPeer) -> str:
    """Start what the block asks for, run it, and return what it printed."""
    source = block.source
    printed = io.StringIO()
    async with AsyncExitStack() as stack:
        for clause in block.clauses:
            if clause.startswith("typing "):
                stack.enter_context(_typing(json.loads(clause.removeprefix("typing "))))
            elif clause not in ("run", "continues"):
                source = source.replace(*await _address(block, clause, stack, peers))
        if block.language == "js":
            _need("node")
            return await _execute_js(source)
        with contextlib.redirect_stdout(printed):
            # Empty lines keep the line numbers of the page in a traceback.
            await _execute("\n" * block.line + source, str(TOP / block.page), names)
    return printed.getvalue()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example writes goes where nobody minds."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
async def test_an_example_runs(block: Block, peers: FindPeer) -> None:
    assert block.marker is not None, f"{block}: no `<!-- test: … -->` above this block"
    if block.reason is not None or block.program is not None:
        assert block.reason is None or len(block.reason) > 10, f"{block}: `none` needs a reason: <!-- test: none, because … -->"
        if block.language == "python":
            compile(block.source, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    names: dict[str, Any] = {"__name__": "__main__"}
    for earlier in block.before:
        await run_block(earlier, names, peers)
    printed = await run_block(block, names, peers)
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

<!-- test: socketio-server {"pingInterval": 5000} at https://host.example -->
```python
import asyncio
from urllib.request import urlopen
async def main(): print(urlopen("https://host.example/socket.io/?EIO=4&transport=polling").read())
asyncio.run(main())
```

<!-- test: program serve.py -->
```python
from http.server import HTTPServer, SimpleHTTPRequestHandler
server = HTTPServer(("127.0.0.1", 8080), SimpleHTTPRequestHandler)
print("listening")
server.serve_forever()
```

<!-- test: serve.py at http://127.0.0.1:8080; typing ["/nowhere"] -->
```python
from urllib.error import HTTPError
from urllib.request import urlopen
try:
    urlopen("http://127.0.0.1:8080" + input())
except HTTPError as error:
    print(error.code, end="")
    error.close()
```

<!-- test: socketio-server at https://host.example -->
```js
import { io } from "socket.io-client";
const socket = io("https://host.example");
console.log(await socket.emitWithAck("echo", 42));
socket.disconnect();
```
"""


async def test_comments_above_blocks_decide_how_they_are_tested(peers: FindPeer) -> None:
    first, second, unmarked, untested, served, program, visitor, script = blocks_of("page.md", _PAGE)
    assert (first.line, first.marker, first.before) == (4, "run", [])
    assert (second.before, second.output) == ([first], "42\n")
    assert unmarked.marker is None
    assert untested.reason == "it needs the moon"
    assert program.program == "serve.py"
    await test_an_example_runs(second, peers)
    await test_an_example_runs(untested, peers)
    await test_an_example_runs(program, peers)
    assert '"pingInterval":5000' in await run_block(served, {}, peers)
    assert await run_block(visitor, {}, peers) == "404"
    with pytest.raises(AssertionError, match="no `<!-- test"):
        await test_an_example_runs(unmarked, peers)
    with pytest.raises(AssertionError, match="needs a reason"):
        await test_an_example_runs(Block("page.md", 1, "python", "none", "1"), peers)
    with pytest.raises(AssertionError, match="no such way"):
        await run_block(Block("page.md", 1, "python", "magic", "1"), {}, peers)
    with pytest.raises(AssertionError, match="no such server"):
        await run_block(Block("page.md", 1, "python", "magic at https://x.example", "'https://x.example'"), {}, peers)
    with pytest.raises(AssertionError, match="is not in the block"):
        await run_block(Block("page.md", 1, "python", "labs-server at https://x.example", "1"), {}, peers)
    with pytest.raises(ZeroDivisionError):
        await run_block(Block("page.md", 1, "python", "run", "1 / 0"), {}, peers)
    assert await run_block(script, {}, peers) == "42\n"


# --- What the pages say as a whole.


def _code_of(page: str) -> str:
    """What a page has in backquotes."""
    return "\n".join(re.findall(r"`[^`\n]+`", (DOCS / page).read_text(encoding="utf-8")))


def _not_named(page: str, names: set[str]) -> list[str]:
    code = _code_of(page)
    return sorted(name for name in names if not re.search(rf"\b{name}\b", code))


def test_whoever_comes_from_python_socketio_finds_every_feature() -> None:
    import engineio
    import socketio

    names = {name for client in (socketio.AsyncClient, socketio.AsyncSimpleClient) for name in dir(client) if not name.startswith("_")}
    for taking_options in (socketio.AsyncClient.__init__, engineio.AsyncClient.__init__, socketio.AsyncClient.connect):
        names |= set(inspect.signature(taking_options).parameters)
    no_features = {"self", "kwargs", "client_class", "is_asyncio_based", "reason", "reserved_events"}
    assert _not_named("from-python-socketio.md", names - no_features) == []


def test_whoever_comes_from_javascript_finds_every_feature() -> None:
    _need("node")
    declared = [
        ("socket.io-client/build/esm/socket.d.ts", ""),
        ("socket.io-client/build/esm/manager.d.ts", "interface Manager"),
        ("engine.io-client/build/esm/socket.d.ts", "interface SocketOptions"),
    ]
    names: set[str] = set()
    for path, section in declared:
        text = (PEERS / "node_modules" / path).read_text(encoding="utf-8")
        for part in re.findall(r"^(?:export )?(?:declare )?(?:interface|class) .*?^}", text, re.M | re.S):
            if section in part:
                names |= set(re.findall(r"^    (?:readonly |get )?([a-z]\w+)[?(<:]", part, re.M))
    assert len(names) > 60
    assert _not_named("from-javascript.md", names - {"constructor"}) == []


@pytest.mark.quality
@pytest.mark.timeout(180)
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("sphinx") is None:
        (pytest.fail if in_ci() else pytest.skip)("sphinx is not installed: pip install -e '.[test]'")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    page = (tmp_path / "html" / "core.html").read_text(encoding="utf-8")
    diagrams = re.findall(r"^```\{state-diagram\}", (DOCS / "core.md").read_text(encoding="utf-8"), re.M)
    assert page.count('<svg class="state-diagram"') == len(diagrams) >= 3


def test_what_the_first_page_links_to_is_there() -> None:
    """Sphinx looks after the links between the other pages."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (TOP / "README.md").read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert len(local) > 5
    assert [target for target in local if not (TOP / target).exists()] == []
