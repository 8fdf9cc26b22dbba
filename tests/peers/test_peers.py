"""The peers themselves: each server against each client that is not ours, so that a red test elsewhere is our fault and not a peer's."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest
import socketio

from tests.peers import START_LIMIT, Kind, Peer, PeerFailed, StartPeer, run_client

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]


# Not over polling alone: python-socketio's client then waits for its last poll, which the server leaves open until the next ping.
@pytest.mark.parametrize("transports", TRANSPORTS[1:], ids="+".join)
async def test_python_client_gets_its_echo(any_peer: Peer, transports: list[str]) -> None:
    seen: list[Any] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("echo", lambda *args: seen.append(args))
    await client.connect(any_peer.url, transports=transports)
    try:
        assert await client.call("echo", ("one", {"two": b"\x02"}), timeout=5) == ("one", {"two": b"\x02"})
        assert seen == [("one", {"two": b"\x02"})]
        await client.emit("count", 0)
        await client.emit("count", 1)
        assert await client.call("report", timeout=5) == {"received": 2, "inOrder": True, "last": 1}
    finally:
        await client.disconnect()
        await asyncio.sleep(0)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.usefixtures("node_client")
def test_node_client_gets_its_echo_and_the_flood(any_peer: Peer, transports: list[str]) -> None:
    script = [["until", "welcome", 1], ["call", "echo", "one", 2], ["emit", "flood", 100], ["until", "number", 100]]
    lines = run_client(any_peer.url, script, transports=transports)
    assert ["event", "echo", "one", 2] in lines
    assert ["ack", "one", 2] in lines
    assert [line[2] for line in lines if line[:2] == ["event", "number"]] == list(range(100))
    assert lines[-2:] == [["done"], ["disconnect", "io client disconnect"]]


# Not over polling alone: python-engineio answers 200 to a POST of more than 16 packets and drops them, and this client sends such.
@pytest.mark.parametrize("transports", TRANSPORTS[1:], ids="+".join)
@pytest.mark.usefixtures("node_client")
def test_both_directions_at_once_keep_their_order(any_peer: Peer, transports: list[str]) -> None:
    lines = run_client(
        any_peer.url, [["emit", "stream", 2000], ["count", 2000], ["until", "number", 2000], ["call", "report"]], transports=transports
    )
    assert [line[2] for line in lines if line[:2] == ["event", "number"]] == list(range(2000))
    assert ["ack", {"received": 2000, "inOrder": True, "last": 1999}] in lines


@pytest.mark.usefixtures("node_client")
def test_the_server_asks_too(any_peer: Peer) -> None:
    lines = run_client(any_peer.url, [["emit", "askme", 1, "two"], ["until", "question", 1], ["call", "transport"]], transports=["websocket"])
    assert ["event", "question", 1, "two"] in [line[:4] for line in lines]
    assert ["ack", "websocket"] in lines


@pytest.mark.usefixtures("node_client")
def test_the_admin_namespace_wants_its_word(any_peer: Peer) -> None:
    refused = run_client(f"{any_peer.url}/admin", [], auth={"token": "guess"})
    assert refused == [["connect_error", "not authorized", {"code": 7}]]
    granted = run_client(f"{any_peer.url}/admin", [["until", "welcome", 1]], auth={"token": "letmein"}, transports=["websocket"])
    # python-socketio sends events of a connect handler ahead of the answer to the CONNECT; the client keeps them, and reports them before "connect".
    assert ["event", "welcome", {"auth": {"token": "letmein"}, "transport": "websocket"}] in granted


@pytest.mark.usefixtures("node_client")
@pytest.mark.parametrize(("event", "reason"), [("kick", "io server disconnect"), ("kickall", "io server disconnect")])
def test_the_server_disconnects_on_request(any_peer: Peer, event: str, reason: str) -> None:
    lines = run_client(any_peer.url, [["until", "welcome", 1], ["emit", event], ["until", "nothing", 1]])
    assert lines[-1] == ["disconnect", reason]


@pytest.mark.parametrize("kind", ["node", "python"])
async def test_options_reach_the_handshake(peer_server: StartPeer, kind: Kind) -> None:
    options: dict[str, Any] = {"pingInterval": 2000, "pingTimeout": 4560, "maxHttpBufferSize": 7890, "path": "/here/", "engineOnly": True}
    peer = peer_server(kind, **options, burst=2)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{peer.url}/here/?EIO=4&transport=polling") as response:
            first, *rest = (await response.text()).split("\x1e")
        handshake = json.loads(first[1:])
        assert (handshake["pingInterval"], handshake["pingTimeout"], handshake["maxPayload"]) == (2000, 4560, 7890)
        if not rest:
            async with session.get(f"{peer.url}/here/?EIO=4&transport=polling&sid={handshake['sid']}") as response:
                rest = (await response.text()).split("\x1e")
        assert rest == ["4number 0", "4number 1"]


@pytest.mark.parametrize("kind", ["node", "python"])
def test_a_peer_that_is_stopped_or_killed_is_gone(peer_server: StartPeer, kind: Kind) -> None:
    stopped, killed, frozen = (peer_server(kind) for _ in range(3))
    stopped.stop()
    killed.kill()
    frozen.pause()
    frozen.kill()
    assert not stopped.running
    assert not killed.running
    assert not frozen.running


@pytest.mark.parametrize("kind", ["node", "python"])
@pytest.mark.usefixtures("node_client")
def test_a_peer_that_is_restarted_has_its_options_and_port_again(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, transports=["websocket"], burst=2)
    url, script = peer.url, [["until", "number", 2], ["call", "transport"]]
    for kill_first in (False, True):
        if kill_first:
            peer.kill()
            assert not peer.running
        peer.restart()
        assert peer.running
        assert peer.url == url
        lines = run_client(url, script, transports=["websocket"])
        assert ["ack", "websocket"] in lines
        assert [line for line in lines if line[:2] == ["event", "number"]] == [["event", "number", 0], ["event", "number", 1]]
    peer.stop()
    with pytest.raises(AssertionError, match="was stopped"):
        peer.restart()


@pytest.mark.parametrize("kind", ["node", "python"])
@pytest.mark.usefixtures("node_client")
def test_a_busy_port_is_waited_for(peer_server: StartPeer, kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with ThreadPoolExecutor() as pool:
            starting = pool.submit(peer_server, kind, port=port)
            # Nothing outside of the process says that it has found its port busy; a second is more than it needs to get there.
            with pytest.raises(TimeoutError):
                starting.result(1.0)
            holder.close()
            peer = starting.result(START_LIMIT)
    assert peer.port == port
    assert run_client(peer.url, [["call", "echo", 1]])[-2] == ["done"]


def test_a_peer_that_cannot_start_says_why(peer_server: StartPeer) -> None:
    with pytest.raises(PeerFailed, match=r"ended before it listened: (.|\n)*No valid transports"):
        peer_server("python", transports=["not a transport"])
