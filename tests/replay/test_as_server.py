"""The recorded server on a loopback address, with real clients: ours, python-socketio's two, Node's, over every transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

from engineio_lite.aio import SocketIOClient, connect_socketio
from engineio_lite.capture.lines import Line, SessionOpened
from engineio_lite.exceptions import CassetteMismatch, EngineIOError, ReplayStalled, ReplayUnfinished
from engineio_lite.replay.as_server import PlayedServer, PlayedUrl, serve, serve_in_thread
from engineio_lite.replay.stage import offer_of
from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import Transport
from tests.peers import run_client
from tests.replay.tape import CONNECT, down, ended, opened, tape, up

WAYS = [("polling",), ("websocket",), ("polling", "websocket")]
EVERY_WAY = pytest.mark.parametrize("transports", WAYS, ids="+".join)

CONVERSATION: tuple[Line, ...] = (
    opened(),
    up('0{"token":"<redacted:1>"}'),
    down('0{"sid":"@sid1"}'),
    down('2["welcome",{"you":"@sid1"}]'),
    up('20["echo","grüße",{"n":1.5}]'),
    down('30["grüße",{"n":1.5}]'),
    up('51-1["blob",{"_placeholder":true,"num":0}]', b"\x00\x01"),
    down('61-1[{"_placeholder":true,"num":0}]', b"\x01\x00"),
    up('2["stream"]'),
    *(down(f'2["part",{i}]') for i in range(20)),
    down('27["question","6 x 7?"]'),
    up("37[42]"),
    down('2["answered",42]'),
    up("1"),
    ended("client"),
)


async def next_event(sio: SocketIOClient, name: str) -> EventReceived:
    event = await sio.receive()
    assert event.name == name
    return event


async def converse(url: str, transports: tuple[str, ...]) -> None:
    """What the client of the conversation does."""
    async with connect_socketio(url, transports=transports, auth={"token": "live"}) as sio:
        welcome = await next_event(sio, "welcome")
        assert welcome.args == [{"you": sio.sid}]
        assert await sio.call("echo", "grüße", {"n": 1.5}) == ["grüße", {"n": 1.5}]
        assert await sio.call("blob", b"\x00\x01") == b"\x01\x00"
        await sio.emit("stream")
        for i in range(20):
            assert (await next_event(sio, "part")).args == [i]
        question = await next_event(sio, "question")
        await sio.acknowledge(question, 42)
        assert (await next_event(sio, "answered")).args == [42]


@EVERY_WAY
async def test_our_client(transports: tuple[str, ...]) -> None:
    async with serve(tape(*CONVERSATION)) as server:
        await converse(server.url, transports)
        assert server.all_played
        assert server.play_count == 1
    assert server.report.matched == 6
    assert server.report.unplayed == ()


@EVERY_WAY
async def test_pythons_client(transports: tuple[str, ...]) -> None:
    async with serve(tape(*CONVERSATION)) as server:
        client = socketio.AsyncClient(reconnection=False)
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        parts: list[int] = []
        streamed = asyncio.Event()

        def part(number: int) -> None:
            parts.append(number)
            if number == 19:
                streamed.set()

        client.on("part", part)
        client.on("question", lambda text: 42)
        client.on("answered", answered.set_result)
        await client.connect(server.url, transports=list(transports), auth={"token": "live"})
        assert await client.call("echo", ("grüße", {"n": 1.5})) == ("grüße", {"n": 1.5})
        assert await client.call("blob", b"\x00\x01") == b"\x01\x00"
        await client.emit("stream")
        await asyncio.wait_for(streamed.wait(), 10)
        assert parts == list(range(20))
        assert await asyncio.wait_for(answered, 10) == 42
        await client.disconnect()


@EVERY_WAY
def test_pythons_blocking_client(transports: tuple[str, ...]) -> None:
    with serve_in_thread(tape(*CONVERSATION[:8])) as server:
        with socketio.SimpleClient(reconnection=False) as client:
            client.connect(server.url, transports=list(transports), auth={"token": "live"})
            assert client.receive(10)[0] == "welcome"
            assert client.call("echo", ("grüße", {"n": 1.5})) == ("grüße", {"n": 1.5})
            assert client.call("blob", b"\x00\x01") == b"\x01\x00"
    assert server.report.is_ok


FOR_NODE = tuple(line for line in CONVERSATION if getattr(line, "id", None) != 1)

SCRIPT: list[list[Any]] = [
    ["answer", 42],
    ["call", "echo", "grüße", {"n": 1.5}],
    ["emit", "stream"],
    ["until", "answered", 1],
]


@EVERY_WAY
@pytest.mark.usefixtures("node_client")
def test_nodes_client(transports: tuple[str, ...]) -> None:
    with serve_in_thread(tape(*FOR_NODE)) as server:
        seen = run_client(server.url, SCRIPT, transports=transports, auth={"token": "live"})
    assert [line[2:] for line in seen if line[:2] == ["event", "part"]] == [[i] for i in range(20)]
    assert ["ack", "grüße", {"n": 1.5}] in seen
    assert ["event", "answered", 42] in seen
    assert server.report.unplayed == ()


@pytest.mark.usefixtures("node_client")
def test_nodes_client_with_the_msgpack_parser() -> None:
    with serve_in_thread(tape(*FOR_NODE)) as server:
        seen = run_client(server.url, SCRIPT, parser="msgpack", auth={"token": "live"})
    assert ["event", "answered", 42] in seen


@pytest.mark.usefixtures("node_client")
def test_nodes_client_takes_up_a_lost_session() -> None:
    first = (opened(), up("0"), down('0{"sid":"@sid1","pid":"@pid1"}'), down('2["n",1,"offset1"]'))
    second = (opened(2), up('0{"pid":"@pid1","offset":"offset1"}', session=2), down('2["n",2,"offset2"]', session=2))
    granted = down('0{"sid":"@sid1","pid":"@pid1"}', session=2)
    with serve_in_thread(tape(*first, *second, granted)) as server:
        script: list[list[Any]] = [["until", "n", 1], ["cut"], ["connected", 2], ["until", "n", 2]]
        seen = run_client(server.url, script, reconnection=True, reconnectionDelay=10)
    connects = [line for line in seen if line[0] == "connect"]
    assert len(connects) == 2
    assert connects[1][-1] == "recovered"


async def test_our_client_reconnects_into_the_next_session() -> None:
    lines = (opened(), *CONNECT, up('2["a"]'), ended("server"), up("0", session=2), down('0{"sid":"@sid2"}', session=2), down('2["b"]', session=2))
    async with serve(tape(*lines)) as server:
        async with connect_socketio(server.url, reconnect=True) as sio:
            await sio.emit("a")
            assert (await sio.receive()).name == "b"
    assert server.play_count == 2


# ------------------------------------------------------------------------------------------------------------------------------ what goes wrong


Act = Callable[[SocketIOClient], Awaitable[object]]


async def nothing(sio: SocketIOClient) -> None:
    """Come and go."""


async def play(capture: Any, act: Act, *, transports: tuple[str, ...] = WAYS[2], auth: Any = None, **options: Any) -> PlayedUrl:
    """Serve a capture to a client of ours that does something."""
    async with serve(capture, **options) as server:
        async with connect_socketio(server.url, transports=transports, auth=auth) as sio:
            await act(sio)
    return server


@EVERY_WAY
async def test_a_mismatch_ends_the_connection_at_once_and_is_raised(transports: tuple[str, ...]) -> None:
    async def say_goodbye(sio: SocketIOClient) -> None:
        await sio.call("echo", "tschüss", {"n": 1.5}, timeout=None)

    with pytest.raises(CassetteMismatch, match=r'\$\[1\]: "grüße" != "tschüss"') as caught:
        await play(tape(*CONVERSATION), say_goodbye, transports=transports, auth={"token": "live"}, idle_limit=1000)
    assert isinstance(caught.value.__cause__, EngineIOError), "what the client made of it"


async def test_a_client_that_waits_for_ever_is_sent_away() -> None:
    async def wait(sio: SocketIOClient) -> None:
        await next_event(sio, "welcome")
        await sio.receive()

    with pytest.raises(ReplayStalled, match="got       nothing for"):
        await play(tape(*CONVERSATION), wait, auth={"token": "live"}, idle_limit=0.05)


async def test_a_client_that_leaves_early_is_told_of() -> None:
    with pytest.raises(ReplayUnfinished, match="and 3 more"):
        await play(tape(*CONVERSATION), nothing, auth={"token": "live"})
    server = await play(tape(*CONVERSATION), nothing, auth={"token": "live"}, allow_unplayed=True)
    assert server.report.unmatched == 4


async def test_who_leaves_by_an_error_of_its_own_gets_a_note() -> None:
    async def fail(sio: SocketIOClient) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await play(tape(*CONVERSATION), fail, auth={"token": "live"})
    [note] = caught.value.__notes__
    assert note.startswith("ReplayUnfinished: test.eio.jsonl, session 1, client packet 2 (line 6)")


async def test_who_is_cancelled_is_only_cancelled() -> None:
    async def play() -> None:
        async with serve(tape(*CONVERSATION)):
            inside.set()
            await asyncio.Event().wait()

    inside = asyncio.Event()
    task = asyncio.create_task(play())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_more_sessions_than_recorded_are_shown_out() -> None:
    async def twice() -> None:
        async with serve(tape(*CONNECT)) as server:
            async with connect_socketio(server.url):
                await connect_socketio(server.url)

    with pytest.raises(CassetteMismatch, match="session number 2 of the client") as caught:
        await twice()
    assert isinstance(caught.value.__cause__, EngineIOError)


async def test_the_last_session_again_for_everybody() -> None:
    async with serve(tape(*CONNECT, down('2["you","@sid1"]')), reuse_last=True) as server:
        for _ in range(3):
            async with connect_socketio(server.url) as sio:
                assert (await sio.receive()).args == [sio.sid]
    assert server.play_count == 3


def test_a_mismatch_is_raised_where_the_thread_is_left() -> None:
    def come_with_another_auth() -> None:
        # By polling and with a session of ours, because the client leaves sockets of its own unclosed when the server hangs up.
        with serve_in_thread(tape(*CONNECT)) as server, requests.Session() as session:
            with socketio.SimpleClient(reconnection=False, http_session=session) as client:
                client.connect(server.url, transports=["polling"], auth={"unexpected": 1})

    with pytest.raises(CassetteMismatch, match="unexpected"):
        come_with_another_auth()


async def test_recorded_times_are_kept() -> None:
    lines = (opened(time=0.0), up("0", time=0.0), down('0{"sid":"s"}', time=0.0), down('2["late"]', time=0.2))
    loop = asyncio.get_running_loop()
    async with serve(tape(*lines), timing="recorded") as server:
        began = loop.time()
        async with connect_socketio(server.url) as sio:
            await sio.receive()
        assert loop.time() - began >= 0.19


async def test_a_file_will_do(tmp_path: Path) -> None:
    async def say_b(sio: SocketIOClient) -> None:
        await sio.emit("b")
        await sio.receive()

    path = tmp_path / "n.eio.jsonl"
    lines = [
        '{"k":"head","v":1}',
        '{"k":"up","s":1,"tr":"polling","p":"CONNECT"}',
        '{"k":"down","s":1,"tr":"polling","p":"CONNECT","data":{"sid":"s"}}',
        '{"k":"up","s":1,"tr":"polling","p":"EVENT","data":["a"]}',
    ]
    path.write_text("\n".join([*lines, ""]))
    with pytest.raises(CassetteMismatch) as caught:
        await play(path, say_b)
    assert str(caught.value).startswith(f"{path}, session 1, client packet 2 (line 4)\n")


# --------------------------------------------------------------------------------------------------------------------------- what is offered


def handshake(transport: Transport = Transport.POLLING, **fields: object) -> SessionOpened:
    return SessionOpened(session=1, transport=transport, handshake=fields)


def test_the_open_packet_says_what_it_said() -> None:
    offer = offer_of(handshake(upgrades=[], pingInterval=1500, pingTimeout=5000, maxPayload=1000, extra="x"))
    assert (offer.upgrades, offer.ping_interval, offer.ping_timeout, offer.max_payload, offer.pings) == ((), 1.5, 5.0, 1000, False)
    assert offer.more == {"extra": "x"}


def test_the_open_packet_of_a_websocket_offers_the_upgrade_that_it_could_not() -> None:
    assert offer_of(handshake(Transport.WEBSOCKET, upgrades=[])).upgrades == ("websocket",)


@pytest.mark.parametrize("said", [None, handshake(), handshake(pingInterval=True, pingTimeout="long", maxPayload=-1, upgrades="websocket")])
def test_what_is_not_known_is_as_usual(said: SessionOpened | None) -> None:
    offer = offer_of(said, pings=True)
    assert (offer.upgrades, offer.ping_interval, offer.ping_timeout, offer.pings) == (("websocket",), 25.0, 20.0, True)


async def test_the_block_gives_the_url_and_what_the_server_has_to_tell() -> None:
    async with serve(tape(*CONVERSATION)) as url:
        assert isinstance(url, str)
        assert url == url.url
        assert type(url.url) is str
        assert (url.play_count, url.all_played, url.report.matched) == (0, False, 0)
        await converse(url, WAYS[2])
    assert (url.play_count, url.all_played) == (1, True)


async def test_it_begins_again_for_whoever_comes_when_all_was_played() -> None:
    async with serve(tape(*CONVERSATION), repeat=True) as url:
        for transports in WAYS:
            await converse(url, transports)
    assert (url.play_count, url.all_played) == (3, True)
    assert (url.report.sessions, url.report.played, url.report.is_ok) == (3, 3, True)


async def test_each_round_is_judged_by_itself() -> None:
    server = serve(tape(*CONNECT, up('20["a"]'), down("30[]")), repeat=True)
    with pytest.raises(CassetteMismatch):
        await _ask(server, "a", "b", "a")
    report = server.report
    assert (report.sessions, report.played, report.matched, len(report.failures)) == (3, 3, 5, 1)


async def _ask(server: PlayedServer, *names: str) -> None:
    async with server as url:
        for name in names:
            with contextlib.suppress(EngineIOError):
                async with connect_socketio(url) as sio:
                    await sio.call(name, timeout=10)
