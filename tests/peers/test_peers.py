"""The peers themselves: each server against each client that is not ours, so that a red test elsewhere is our fault and not a peer's."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import socketio

from tests.peers import KINDS, START_LIMIT, Kind, Peer, PeerFailed, StartPeer, run_client
from tests.peers.proxy import Proxy

TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]


@asynccontextmanager
async def wire(url: str, namespace: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A bare WebSocket, connected to a namespace; what the server says on its own is read already."""
    prefix = f"{namespace}," if namespace else ""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as websocket:
        assert (await websocket.receive_str()).startswith("0{")
        await websocket.send_str(f"40{prefix}")
        said = sorted([await websocket.receive_str() for _ in range(2)])  # python-socketio welcomes first and grants then
        assert said[0].startswith(f"40{prefix}{{")
        assert said[1].startswith(f'42{prefix}["welcome"')
        yield websocket


@asynccontextmanager
async def python_client(
    url: str, *, transports: Sequence[str] = ("websocket",), auth: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Any]:
    """A python-socketio client that leaves at the end."""
    client = socketio.AsyncClient(**{"reconnection": False, **options})
    await client.connect(url, transports=list(transports), auth=auth)
    try:
        yield client
    finally:
        await client.disconnect()
        await asyncio.sleep(0)


# ---------------------------------------------------------------------------------------------------------------------------- a conversation


# Not over polling alone: python-socketio's client then waits for its last poll, which the server leaves open until the next ping.
@pytest.mark.parametrize("transports", TRANSPORTS[1:], ids="+".join)
async def test_python_client_gets_its_echo(any_peer: Peer, transports: list[str]) -> None:
    seen: list[Any] = []
    async with python_client(any_peer.url, transports=transports) as client:
        client.on("echo", lambda *args: seen.append(args))
        assert await client.call("echo", ("one", {"two": b"\x02"}), timeout=5) == ("one", {"two": b"\x02"})
        assert seen == [("one", {"two": b"\x02"})]
        await client.emit("count", 0)
        await client.emit("count", 1)
        assert await client.call("report", timeout=5) == {"received": 2, "inOrder": True, "last": 1}


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
    # An upgrade that was under way is told when it is over, which may be after the end.
    assert [line for line in lines if line[0] != "upgrade"][-1] == ["disconnect", reason]


# ---------------------------------------------------------------------------------------------------------------- namespaces, parsers, recovery

BYTES = {"type": "Buffer", "data": [1, 2, 3]}
NESTED = {"nested": [{"type": "Buffer", "data": [255]}, {"deep": {"type": "Buffer", "data": []}}], "text": "grüße"}

CONDUCT: list[list[Any]] = [
    ["until", "welcome", 1],
    ["answer"],
    ["call", "echo", "one", {"two": None}],
    ["call", "askme", 1, 2],
    ["call", "askbinary"],
    ["call", "asktwo"],
    ["call", "ackstwice", 3],
    ["call", "ackunknown", 4],
    ["call", "record", 5],
    ["call", "everyone", "hello", 6],
    ["call", "volatile", "hello", 7],
    ["call", "later", 50, "hello", 8],
    ["call", "flood", 2],
    ["until", "number", 2],
    ["until", "hello", 3],
    ["call", "report"],
]
"""What a namespace does for everybody, as a script; `ANSWERS` is what it acknowledges, and `EVENTS` what it emits, apart from the question."""

ANSWERS: list[list[Any]] = [
    ["one", {"two": None}],
    [1, 2],
    [BYTES, NESTED],
    [1, 2],
    [3],
    [4],
    [5],
    [],
    [],
    [],
    [],
    [{"received": 0, "inOrder": True, "last": None}],
]
EVENTS: list[list[Any]] = [
    ["echo", "one", {"two": None}],
    ["answer", 1, 2],
    ["answer", BYTES, NESTED],
    ["answer", 1, 2],
    ["hello", 6],
    ["hello", 7],
    ["number", 0],
    ["number", 1],
    ["hello", 8],
]


def check_conduct(lines: list[list[Any]]) -> None:
    assert [line[1:] for line in lines if line[0] == "ack"] == ANSWERS
    events = [line[1:] for line in lines if line[0] == "event" and line[1] not in ("welcome", "question")]
    assert sorted(events, key=str) == sorted(EVENTS, key=str)  # the one that comes later may come at any time


# Over polling a volatile event is lost whenever no poll waits for it.
@pytest.mark.parametrize("namespace", ["/", "/echo2", "/admin"])
@pytest.mark.usefixtures("node_client")
def test_every_namespace_does_the_same(any_peer: Peer, namespace: str) -> None:
    check_conduct(run_client(f"{any_peer.url}{namespace}", CONDUCT, transports=["websocket"], auth={"token": "letmein"}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("node_client")
def test_msgpack_is_spoken(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, parser="msgpack")
    check_conduct(run_client(f"{peer.url}/echo2", CONDUCT, transports=["websocket"], parser="msgpack"))
    refused = run_client(f"{peer.url}/admin", [], auth={"token": "guess"}, parser="msgpack")
    assert refused == [["connect_error", "not authorized", {"code": 7}]]
    kicked = run_client(peer.url, [["emit", "kick"], ["disconnected", 1]], transports=["websocket"], parser="msgpack")
    assert ["disconnect", {"node": "io server disconnect", "python": "parse error"}[kind]] in kicked


@pytest.mark.parametrize("kind", KINDS)
async def test_msgpack_is_spoken_with_the_python_client(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, parser="msgpack")
    async with python_client(peer.url, serializer="msgpack") as client:
        assert await client.call("echo", ("one", {"two": b"\x02"}), timeout=5) == ("one", {"two": b"\x02"})


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.parametrize("parser", ["default", "msgpack"])
@pytest.mark.usefixtures("node_client")
def test_node_recovers_the_state_of_a_connection(peer_server: StartPeer, parser: Literal["default", "msgpack"], transports: list[str]) -> None:
    peer = peer_server("node", connectionStateRecovery={}, parser=parser, burst=1)
    script: list[list[Any]] = [["until", "welcome", 1], ["call", "join", "room"], ["call", "whoami"], ["call", "later", 200, "late", 1], ["cut"]]
    script += [["disconnected", 1], ["connected", 2], ["until", "late", 1], ["call", "whoami"]]
    more: dict[str, Any] = {} if parser == "default" else {"parser": parser}
    lines = run_client(peer.url, script, transports=transports, reconnection=True, reconnectionDelay=400, randomizationFactor=0, **more)
    [_, (before,), _, (after,)] = [line[1:] for line in lines if line[0] == "ack"]
    assert (before["recovered"], after["recovered"]) == (False, True)
    assert before["rooms"] == [before["sid"], "room"] == after["rooms"]
    assert [line[-1] == "recovered" for line in lines if line[0] == "connect"] == [False, True]
    assert [line[1] for line in lines if line[0] == "event"] == ["number", "welcome", "late"]
    assert all(isinstance(line[-1], str) for line in lines if line[0] == "event"), "without an offset at the end"


@pytest.mark.usefixtures("node_client")
def test_a_state_that_is_too_old_is_not_recovered(peer_server: StartPeer) -> None:
    peer = peer_server("node", connectionStateRecovery={"maxDisconnectionDuration": 50})
    script: list[list[Any]] = [["until", "welcome", 1], ["cut"], ["connected", 2], ["until", "welcome", 2], ["call", "whoami"]]
    lines = run_client(peer.url, script, reconnection=True, reconnectionDelay=400, randomizationFactor=0)
    [whoami] = [line[1] for line in lines if line[0] == "ack"]
    assert whoami["recovered"] is False


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.usefixtures("node_client")
def test_python_gives_a_connection_no_second_life(peer_server: StartPeer, transports: list[str]) -> None:
    peer = peer_server("python", connectionStateRecovery={})
    script: list[list[Any]] = [["until", "welcome", 1], ["call", "later", 50, "late", 1], ["cut"], ["connected", 2], ["until", "welcome", 2]]
    lines = run_client(
        peer.url, [*script, ["call", "whoami"]], transports=transports, reconnection=True, reconnectionDelay=400, randomizationFactor=0
    )
    assert [line[1] for line in lines if line[0] == "event"] == ["welcome", "welcome"]
    assert lines[-3][1]["recovered"] is False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("namespace", ["", "/echo2"])
async def test_acknowledgements_that_nobody_needs_are_on_the_wire(peer_server: StartPeer, kind: Kind, namespace: str) -> None:
    peer = peer_server(kind)
    prefix = f"{namespace}," if namespace else ""
    async with wire(peer.url, namespace) as websocket:
        await websocket.send_str(f'42{prefix}7["ackstwice",1]')
        assert [await websocket.receive_str() for _ in range(2)] == [f"43{prefix}7[1]"] * 2
        await websocket.send_str(f'42{prefix}8["ackunknown",2]')
        assert [await websocket.receive_str() for _ in range(2)] == [f"43{prefix}9999[2]", f"43{prefix}8[2]"]
        await websocket.send_str(f'42{prefix}["ackstwice",3]')  # asks for none, and gets none
        await websocket.send_str(f'42{prefix}9["never"]')
        await websocket.send_str(f'42{prefix}10["transport"]')
        assert await websocket.receive_str() == f'43{prefix}10["websocket"]'


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refusal_can_be_a_bare_string(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind)
    async with wire(peer.url) as websocket:
        await websocket.send_str("40/refuse-string,")
        assert await websocket.receive_str() == '44/refuse-string,"no entry"'


async def test_python_can_say_yes_before_it_says_no(peer_server: StartPeer) -> None:
    peer = peer_server("python", alwaysConnect=True)
    async with wire(peer.url) as websocket:
        await websocket.send_str("40/admin,")
        assert (await websocket.receive_str()).startswith("40/admin,{")
        assert await websocket.receive_str() == '41/admin,{"message":"not authorized","data":{"code":7}}'


# ------------------------------------------------------------------------------------------------------------------------- what a peer remembers


@pytest.mark.parametrize(("ack_every", "mute", "answered"), [(1, 0, [1, 2, 3, 4, 5, 6]), (3, 0, [3, 6]), (1, 2, [3, 4, 5, 6]), (2, 2, [4, 6])])
@pytest.mark.parametrize("kind", KINDS)
async def test_record_may_want_to_be_asked_again(
    peer_server: StartPeer, kind: Kind, ack_every: int, mute: int, answered: list[int], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log), ackEvery=ack_every)
    async with wire(peer.url) as websocket:
        await websocket.send_str(f'420["mute",{mute}]')
        for id in range(1, 7):
            await websocket.send_str(f'42{id}["record","a"]')
        await websocket.send_str('427["transport"]')
        came = [await websocket.receive_str() for _ in range(len(answered) + 2)]
    assert came == ["430[]", *(f'43{id}["a"]' for id in answered), '437["websocket"]']
    assert [json.loads(line) for line in log.read_text().splitlines()] == ["a"] * 6


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_acknowledged_before_a_kill_is_in_the_log(peer_server: StartPeer, kind: Kind, tmp_path: Path) -> None:
    log = tmp_path / "log"
    peer = peer_server(kind, log=str(log))
    acknowledged: list[int] = []
    for start in (0, 1000):
        async with python_client(peer.url) as client:
            enough = asyncio.Event()

            def note(i: int, enough: asyncio.Event = enough) -> None:
                acknowledged.append(i)
                if len(acknowledged) % 100 == 0:
                    enough.set()

            for i in range(start, start + 1000):
                await client.emit("record", i, callback=note)
            await asyncio.wait_for(enough.wait(), 5)
            peer.kill()
        peer.restart()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= set(lines)
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_python_client_finds_a_restarted_server_again(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind)
    connects: asyncio.Queue[None] = asyncio.Queue()
    client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.2)
    client.on("connect", lambda: connects.put_nowait(None))
    n = iter(range(10))
    await client.connect(peer.url, transports=["websocket"], auth=lambda: {"n": next(n), "key": "k"})
    try:
        await asyncio.wait_for(connects.get(), 5)
        assert await client.call("auth", timeout=5) == {"n": 0, "key": "k"}
        await asyncio.to_thread(peer.restart)
        await asyncio.wait_for(connects.get(), 10)
        assert await client.call("auth", timeout=5) == {"n": 1, "key": "k"}
        totals = await client.call("totals", timeout=5)
        assert totals == {"connections": 1, "open": 1, "most": 1, "attempts": {"k": 1}, "maxOpen": {"k": 1}}
    finally:
        await client.disconnect()
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", KINDS)
async def test_auth_and_query_are_what_the_server_saw(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind)
    async with python_client(f"{peer.url}?color=blue", auth={"token": "letmein", "n": [1]}) as client:
        assert await client.call("auth", timeout=5) == {"token": "letmein", "n": [1]}
        seen = await client.call("query", timeout=5)
        del seen["query"]["t"]  # a time, against caches
        assert seen["query"] == {"color": "blue", "EIO": "4", "transport": "websocket"}
        assert seen["headers"]["upgrade"].lower() == "websocket"
        assert seen["headers"]["host"] == peer.url.removeprefix("http://")


REASONS = {
    # by what happened, over a WebSocket
    "kick": {"node": "server namespace disconnect", "python": "server disconnect"},
    "drop": {"node": "forced close", "python": "server disconnect"},
    "cut": {"node": "transport close", "python": "transport close"},
    "freeze": {"node": "ping timeout", "python": "ping timeout"},
}


@pytest.mark.filterwarnings("ignore:Unclosed connection")  # python-socketio's client leaves the one that is frozen
@pytest.mark.parametrize("how", REASONS)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_server_remembers_why_a_client_went(peer_server: StartPeer, kind: Kind, how: str) -> None:
    times: dict[str, Any] = {"pingInterval": 300, "pingTimeout": 700} if how == "freeze" else {}
    peer = peer_server(kind, **times)
    async with Proxy(peer) as proxy, python_client(peer.url) as witness, python_client(proxy.url, auth={"key": how}) as client:
        assert await witness.call("reasons", how, timeout=5) == []
        totals = await witness.call("totals", timeout=5)
        assert totals == {"connections": 2, "open": 2, "most": 2, "attempts": {how: 1}, "maxOpen": {how: 1}}
        if how == "cut":
            proxy.cut()
        elif how == "freeze":
            proxy.freeze()
        else:
            await client.emit(how)
        while not (reasons := await witness.call("reasons", how, timeout=5)):
            pass
        assert reasons == [REASONS[how][kind]]
        while (totals := await witness.call("totals", timeout=5))["open"] > 1 and how != "kick":
            pass
        assert (totals["connections"], totals["most"], totals["maxOpen"]) == (2, 2, {how: 1})
        proxy.cut()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.usefixtures("node_client")
async def test_a_proxy_passes_for_the_server(any_peer: Peer, transports: list[str]) -> None:
    async with Proxy(any_peer, delay=0.01) as proxy:
        script: list[list[Any]] = [["emit", "flood", 500], ["count", 10], ["until", "number", 500], ["call", "report"]]
        lines = await asyncio.to_thread(run_client, proxy.url, script, transports=transports)
        assert [line[2] for line in lines if line[:2] == ["event", "number"]] == list(range(500))
        assert ["ack", {"received": 10, "inOrder": True, "last": 9}] in lines
        assert proxy.accepted > 0
        assert proxy.bytes_up > 0
        assert proxy.bytes_down > 500
        await proxy.until(lambda: proxy.connections == 0)


# ------------------------------------------------------------------------------------------------------------------------------ starting and ending


@pytest.mark.parametrize("kind", KINDS)
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_is_stopped_or_killed_is_gone(peer_server: StartPeer, kind: Kind) -> None:
    stopped, killed, frozen = (peer_server(kind) for _ in range(3))
    stopped.stop()
    killed.kill()
    frozen.pause()
    frozen.kill()
    assert not stopped.running
    assert not killed.running
    assert not frozen.running


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("node_client")
def test_a_peer_that_is_restarted_has_its_options_and_port_again(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, transports=["websocket"], burst=2)
    url = peer.url
    script: list[list[Any]] = [["until", "number", 2], ["call", "transport"]]
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


@pytest.mark.parametrize("kind", KINDS)
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
