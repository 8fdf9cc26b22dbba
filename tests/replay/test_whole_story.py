"""Recorded from a real server by a browser, through the proxy; then played to the same page, to Node's client and to python-socketio's.

None of them can tell the difference: over every transport each sees what the browser saw of the real server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import socketio

from engineio_lite import proxy
from engineio_lite.capture.file import load
from engineio_lite.capture.inspection import inspect
from engineio_lite.replay.as_server import serve
from tests.peers import HERE as PEERS
from tests.peers import Peer
from tests.peers.browser import Chromium

HERE = Path(__file__).parent
LIBRARY = PEERS / "node_modules/socket.io-client/dist/socket.io.min.js"

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "default": ["polling", "websocket"]}
ALL_TRANSPORTS = pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)

LIMIT = 20.0
"""Seconds for one telling."""


async def in_a_page(chromium: Chromium, url: str, transports: list[str]) -> Any:
    """What a page of the server itself sees; which page that is does not matter."""
    async with chromium.page() as page:
        await page.goto(f"{url}/no-such-page")
        for script in (LIBRARY, HERE / "story.js"):
            await page.evaluate(_text(script))
        return await page.evaluate(f"story(io, {json.dumps(url)}, {json.dumps(transports)})")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def in_node(url: str, transports: list[str]) -> Any:
    """What Node's client sees."""
    command = ("node", str(HERE / "story.cjs"), url, json.dumps(transports))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    said, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return json.loads(said)


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return "bytes:" + "".join(f" {byte:02x}" for byte in value)
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    return value


async def with_python(url: str, transports: list[str]) -> Any:
    """What python-socketio's client sees when it tells the same story."""
    seen: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    came: dict[tuple[str, str], asyncio.Queue[Any]] = {
        (namespace, name): asyncio.Queue() for namespace in ("/", "/admin") for name in ("welcome", "answer", "disconnect")
    }
    numbers: list[Any] = []

    def taking(namespace: str, name: str) -> Callable[..., None]:
        return lambda *args: numbers.append(args[0]) if name == "number" else came[namespace, name].put_nowait(args)

    for namespace in ("/", "/admin"):
        for name in ("welcome", "answer", "number", "disconnect"):
            client.on(name, taking(namespace, name), namespace=namespace)

    async def question(*args: Any) -> Any:
        seen.append(_shown(["question", *args]))
        return "because", {"of": "it"}, b"\x07"

    client.on("question", question)

    async def call(namespace: str, name: str, *args: Any) -> list[Any]:
        answer = await client.call(name, args if len(args) != 1 else args[0], namespace=namespace, timeout=LIMIT)
        return list(answer) if isinstance(answer, tuple) else [answer]

    await client.connect(url, transports=transports, auth={"token": "letmein"}, namespaces=["/", "/admin"])
    for namespace in ("/", "/admin"):
        [welcome] = await came[namespace, "welcome"].get()
        seen.append(["welcome", welcome["auth"]])
    text = {"list": [1, 2.5, None, True], "text": 'a "quoted" \x1e one'}
    seen.append(_shown(["ack", *await call("/", "echo", "grüße ✓", text)]))
    seen.append(_shown(["ack", *await call("/", "echo", b"\0\1\2", {"nested": [b"\xff"]})]))
    seen.append(_shown(["ack", *await call("/admin", "echo", "as admin")]))
    await call("/", "flood", 20)
    seen.append(["numbers", numbers])
    await call("/", "askme", "why", b"\x09")
    seen.append(_shown(["answer", *await came["/", "answer"].get()]))
    await client.emit("kickall")
    for namespace in ("/", "/admin"):
        await came[namespace, "disconnect"].get()
    seen.append(["left"])
    await client.disconnect()
    return seen


@ALL_TRANSPORTS
async def test_nobody_can_tell_the_recording_from_the_server(chromium: Chromium, node_peer: Peer, tmp_path: Path, transports: list[str]) -> None:
    path = tmp_path / "story.eio.jsonl"
    async with asyncio.timeout(LIMIT), proxy.record(node_peer.url, path) as recording:
        truth = await in_a_page(chromium, recording.url, transports)
    assert [what for what, *_ in truth] == ["welcome"] * 2 + ["ack"] * 3 + ["numbers", "question", "answer", "left"]
    assert list(inspect(_text(path).splitlines())) == []

    capture = load(path)
    for live in TRANSPORTS.values():
        async with asyncio.timeout(3 * LIMIT):
            async with serve(capture) as server:
                assert await in_a_page(chromium, server.url, live) == truth
            async with serve(capture) as server:
                assert await in_node(server.url, live) == truth
            async with serve(capture) as server:
                assert await with_python(server.url, live) == truth
