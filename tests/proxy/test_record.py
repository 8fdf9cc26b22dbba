"""Other people's clients in front of other people's servers, with the proxy between: what they see is the same, and the capture has what was said.

The clients are ours, python-socketio's, Node's and a page in a real browser; the servers Node's and python-socketio's; over every transport.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engineio_lite import proxy
from engineio_lite.aio import connect_socketio
from engineio_lite.capture import load
from engineio_lite.capture.lines import Direction, EnginePacket, Line, SessionEnded, SessionOpened, SocketIOPacket, Undecoded
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio import PacketType
from engineio_lite.state import Transport
from tests.peers import HERE, Kind, Peer, StartPeer, run_client
from tests.peers.browser import Page
from tests.peers.test_peers import python_client

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]

QUESTION: list[Any] = ["grüße ✓", {"bytes": b"\x00\x01\xff", "more": [1.5, None, True]}]
"""What every client asks the server to echo: text, an attachment, and what JSON has."""

Talk = Callable[[str, list[str]], Awaitable[None]]


async def talk_ours(url: str, transports: list[str]) -> None:
    async with connect_socketio(url, auth={"token": "letmein"}, transports=tuple(transports)) as sio:
        await _sent(sio)


async def _sent(sio: Any) -> None:
    await sio.wait_for("welcome")
    assert await sio.call("echo", *QUESTION) == QUESTION
    await sio.call("flood", 3)
    assert await sio.call("transport") in ("polling", "websocket")


async def talk_python(url: str, transports: list[str]) -> None:
    async with python_client(url, transports=transports, auth={"token": "letmein"}) as client:
        assert await client.call("echo", tuple(QUESTION), timeout=10) == tuple(QUESTION)
        await client.call("flood", 3, timeout=10)
        await client.call("transport", timeout=10)


SCRIPT: list[list[Any]] = [["until", "welcome", 1], ["call", "echo", "one", {"two": 2}], ["call", "flood", 3], ["call", "transport"]]


async def talk_node(url: str, transports: list[str]) -> None:
    lines = await asyncio.to_thread(run_client, url, SCRIPT, transports=transports, auth={"token": "letmein"})
    assert ["ack", "one", {"two": 2}] in lines


PAGE = """
new Promise((resolve, reject) => {
  const socket = io({transports: %s, auth: {token: "letmein"}, reconnection: false});
  const call = (...args) => new Promise((answer) => socket.emit(...args, (...values) => answer(values)));
  socket.on("connect_error", (error) => reject(error));
  socket.on("welcome", async () => {
    const [text, {bytes}] = await call("echo", "grüße ✓", {bytes: new Uint8Array([0, 1, 255]).buffer, more: [1.5, null, true]});
    await call("flood", 3);
    await call("transport");
    socket.disconnect();
    resolve([text, ...new Uint8Array(bytes)]);
  });
})
"""


async def talk_page(page: Page, url: str, kind: Kind, transports: list[str]) -> None:
    """The page is at the proxy, and so is its script where the server has one."""
    await page.goto(f"{url}/page.html")
    if kind == "node":
        await page.evaluate(
            "new Promise((loaded) => { const script = document.createElement('script'); script.onload = () => loaded();"
            " script.src = '/socket.io/socket.io.min.js'; document.head.append(script); })"
        )
    else:
        await page.evaluate((HERE / "node_modules/socket.io-client/dist/socket.io.min.js").read_text(encoding="utf-8"))
    assert await page.evaluate(PAGE % json.dumps(transports)) == ["grüße ✓", 0, 1, 255]


# --- what the capture has


def packets(lines: Iterable[Line], direction: Direction) -> list[SocketIOPacket]:
    return [line for line in lines if isinstance(line, SocketIOPacket) and line.direction is direction]


def calls(lines: Sequence[Line]) -> list[Any]:
    """What the client said, but for its ids, and for the farewell that not every client says."""
    return [(line.type, line.data) for line in packets(lines, Direction.UP) if line.type is not PacketType.DISCONNECT]


def events(lines: Sequence[Line]) -> list[Any]:
    """What the server said, but for ids: acknowledgements and events are two rows, as servers differ in which comes first."""
    down = packets(lines, Direction.DOWN)
    named = [line.data for line in down if line.type is PacketType.EVENT and isinstance(line.data, list) and line.data[0] != "welcome"]
    acks = [line.data for line in down if line.type is PacketType.ACK]
    return [named, acks[:-1]]


def assert_recorded(path: Path, question: list[Any], transports: list[str]) -> None:
    """The file has the whole conversation, whoever had it, and by what it went."""
    capture = load(path)
    lines = capture.lines
    assert capture.head.source == "proxy"
    assert not capture.remarks
    assert [type(line) for line in lines if isinstance(line, SessionOpened | Undecoded)] == [SessionOpened]
    connect = (PacketType.CONNECT, {"token": "<redacted:1>"})
    said = [["echo", *question], ["flood", 3], ["transport"]]
    assert calls(lines) == [connect, *((PacketType.EVENT, data) for data in said)]
    assert events(lines) == [[["echo", *question], *(["number", i] for i in range(3))], [question, []]]
    asked = [line.id for line in packets(lines, Direction.UP) if line.type is PacketType.EVENT]
    assert asked == [line.id for line in packets(lines, Direction.DOWN) if line.type is PacketType.ACK]
    # Of two transports the second one may come into use only after the last packet.
    used = {line.transport.value for line in lines if isinstance(line, SessionOpened | SocketIOPacket | EnginePacket)}
    assert {transports[0]} <= used <= set(transports)
    [ended] = [line for line in lines if isinstance(line, SessionEnded)]
    assert ended.by == "client"


async def recorded(path: Path, url: str, talk: Callable[[str], Awaitable[None]]) -> proxy.Recording:
    """Let somebody talk through a recording, until the session is over."""
    over = asyncio.Event()
    async with proxy.record(url, path, on_line=lambda line: over.set() if isinstance(line, SessionEnded) else None) as recording:
        await talk(recording.url)
        await asyncio.wait_for(over.wait(), 30)
    return recording


# ---------------------------------------------------------------------------------------------------------------------------------- clients


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_our_client(any_peer: Peer, transports: list[str], tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "a.eio.jsonl", any_peer.url, lambda url: talk_ours(url, transports))
    assert recording.sessions == 1
    assert_recorded(tmp_path / "a.eio.jsonl", QUESTION, transports)


# With pings that come often: over polling python-socketio's client then waits for its last poll, which its server leaves open until the next one.
@pytest.mark.parametrize("kind", ["node", "python"])
@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_python_socketio(peer_server: StartPeer, kind: Kind, transports: list[str], tmp_path: Path) -> None:
    peer = peer_server(kind, pingInterval=1000)
    await recorded(tmp_path / "a.eio.jsonl", peer.url, lambda url: talk_python(url, transports))
    assert_recorded(tmp_path / "a.eio.jsonl", QUESTION, transports)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.usefixtures("node_client")
async def test_node(any_peer: Peer, transports: list[str], tmp_path: Path) -> None:
    await recorded(tmp_path / "a.eio.jsonl", any_peer.url, lambda url: talk_node(url, transports))
    assert_recorded(tmp_path / "a.eio.jsonl", ["one", {"two": 2}], transports)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_a_page_in_a_browser(any_peer: Peer, page: Page, transports: list[str], tmp_path: Path) -> None:
    await recorded(tmp_path / "a.eio.jsonl", any_peer.url, lambda url: talk_page(page, url, any_peer.kind, transports))
    assert_recorded(tmp_path / "a.eio.jsonl", QUESTION, transports)
    assert page.errors == []


# --- that nobody sees it


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.usefixtures("node_client")
async def test_a_client_sees_what_it_would_see_without(any_peer: Peer, transports: list[str], tmp_path: Path) -> None:
    script = [*SCRIPT, *([["upgraded"]] if len(transports) > 1 else []), ["answer"], ["call", "askbinary"]]
    script += [["emit", "stream", 300], ["until", "number", 303], ["emit", "kick"], ["until", "nothing", 1]]
    seen = [await asyncio.to_thread(run_client, any_peer.url, script, transports=transports)]
    async with proxy.record(any_peer.url, tmp_path / "a.eio.jsonl") as recording:
        seen.append(await asyncio.to_thread(run_client, recording.url, script, transports=transports))
    direct, through = ([line for line in lines if line[0] not in ("connect", "upgrade")] for lines in seen)
    for lines in (direct, through):
        # When an upgrade happens is a matter of luck, and so by what the client was connected when it asked.
        for line in lines:
            if line[:2] in (["ack", "polling"], ["ack", "websocket"]):
                line[1] = "either"
    assert through == direct
    numbers = [line.data for line in packets(load(tmp_path / "a.eio.jsonl").lines, Direction.DOWN) if isinstance(line.data, list)]
    assert [data[1] for data in numbers if data[:1] == ["number"]] == [0, 1, 2, *range(300)]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_a_server_sees_what_it_would_see_without(any_peer: Peer, transports: list[str], tmp_path: Path) -> None:
    headers = {"X-Own": "grüße", "Cookie": "a=b; c=d", "User-Agent": "somebody/1.0"}

    async def asked(url: str) -> Any:
        async with connect_socketio(f"{url}?room=a%20b%2f", headers=headers, transports=tuple(transports)) as sio:
            return await sio.call("query")

    direct = await asked(any_peer.url)
    async with proxy.record(any_peer.url, tmp_path / "a.eio.jsonl") as recording:
        through = await asked(recording.url)
    for seen in (direct, through):
        for name in ("t", "sec-websocket-key"):
            seen["query"].pop(name, None)
            seen["headers"].pop(name, None)
    assert through == direct
    assert through["headers"]["host"] == any_peer.url.removeprefix("http://")


async def test_an_upgrade_is_recorded_in_its_order(any_peer: Peer, tmp_path: Path) -> None:
    async with proxy.record(any_peer.url, tmp_path / "a.eio.jsonl") as recording, connect_socketio(recording.url) as sio:
        while sio.transport is not Transport.WEBSOCKET:
            await sio.call("echo", 1)
    lines = load(tmp_path / "a.eio.jsonl").lines
    kinds = [(line.direction.value, line.type.value, line.data) for line in lines if isinstance(line, EnginePacket)]
    steps = [("up", "ping", "probe"), ("down", "pong", "probe"), ("up", "upgrade", "")]
    assert [kinds.index(step) for step in steps] == sorted(kinds.index(step) for step in steps)
    upgrade = next(i for i, line in enumerate(lines) if isinstance(line, EnginePacket) and line.type is EngineType.UPGRADE)
    transports = [line.transport for line in lines if isinstance(line, SocketIOPacket)]
    after = [line.transport for line in lines[upgrade:] if isinstance(line, SocketIOPacket)]
    assert transports == sorted(transports)
    assert set(after) == {Transport.WEBSOCKET}


async def test_compressed_frames_are_read(peer_server: StartPeer, page: Page, tmp_path: Path) -> None:
    peer = peer_server("node", perMessageDeflate={"threshold": 0})
    await recorded(tmp_path / "a.eio.jsonl", peer.url, lambda url: talk_page(page, url, "node", ["websocket"]))
    assert_recorded(tmp_path / "a.eio.jsonl", QUESTION, ["websocket"])


async def test_several_sessions_at_once_are_told_apart(any_peer: Peer, tmp_path: Path) -> None:
    async def one(url: str, number: int) -> None:
        async with connect_socketio(url, auth={"key": number}) as sio:
            assert [await sio.call("echo", number, i) for i in range(10)] == [[number, i] for i in range(10)]

    async with proxy.record(any_peer.url, tmp_path / "a.eio.jsonl") as recording:
        await asyncio.gather(*(one(recording.url, number) for number in range(8)))
    assert recording.sessions == 8
    lines = load(tmp_path / "a.eio.jsonl").lines
    for session in range(1, 9):
        own = [line for line in packets(lines, Direction.UP) if line.session == session]
        [number] = {line.data["key"] for line in own if isinstance(line.data, dict)}
        echoes = [line.data for line in own if isinstance(line.data, list)]
        assert echoes == [["echo", number, i] for i in range(10)]


# --- secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vdGhpbmc"
SECRETS = {
    "cookie": "cookie-value-123456",
    "authorization": "authorization-value-123456",
    "query": "apikey-value-123456",
    "auth": "auth-value-123456",
    "jwt": JWT,
}


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_no_secret_is_written_or_shown(any_peer: Peer, transports: list[str], tmp_path: Path) -> None:
    headers = {"Cookie": f"session={SECRETS['cookie']}", "Authorization": f"Bearer {SECRETS['authorization']}"}
    shown: list[Line] = []
    async with proxy.record(any_peer.url, tmp_path / "a.eio.jsonl", on_line=shown.append) as recording:
        url = f"{recording.url}?apikey={SECRETS['query']}"
        async with connect_socketio(url, auth={"token": SECRETS["auth"]}, headers=headers, transports=tuple(transports)) as sio:
            await sio.call("echo", {"found": list(SECRETS.values())})
            await sio.call("query")
            sid = (await sio.call("whoami"))["sid"]
    written = (tmp_path / "a.eio.jsonl").read_text(encoding="utf-8")
    for secret in (*SECRETS.values(), sid):
        assert secret not in written
        assert secret not in repr(shown)
    assert "apikey=<redacted:" in written
    assert [type(line) for line in shown] == [type(line) for line in load(tmp_path / "a.eio.jsonl").lines]
