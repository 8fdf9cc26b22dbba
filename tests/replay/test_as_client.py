"""The recorded client against live servers: Node's and python-socketio's, over every transport, and the recorded server of the same capture."""

from __future__ import annotations

import asyncio

import pytest

from engineio_lite.capture.lines import Line
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CassetteMismatch, ConnectFailed, LocalProtocolError, ReplayStalled, ReplayUnfinished, TimedOut
from engineio_lite.replay.as_client import against
from engineio_lite.replay.as_server import serve
from engineio_lite.replay.conversation import Watch
from tests.peers import Kind, Peer, StartPeer
from tests.replay.tape import CONNECT, down, ended, opened, tape, up
from tests.replay.test_as_server import CONVERSATION, EVERY_WAY

PEER: tuple[Line, ...] = (
    opened(),
    up('0{"key":"replay"}'),
    down('0{"sid":"@sid1"}'),
    down('2["welcome",{"auth":{"key":"replay"},"transport":"polling"}]'),
    up('20["echo","grüße",{"n":1.5}]'),
    down('2["echo","grüße",{"n":1.5}]'),
    down('30["grüße",{"n":1.5}]'),
    up('0/admin,{"token":"<redacted:1>"}'),
    down('0/admin,{"sid":"@sid2"}'),
    down('2/admin,["welcome",{"auth":{"token":"<redacted:1>"},"transport":"polling"}]'),
    up('2["flood",50]'),
    *(down(f'2["number",{i}]') for i in range(50)),
    up('51-1["echo",{"_placeholder":true,"num":0}]', b"\x00\x01"),
    down('51-["echo",{"_placeholder":true,"num":0}]', b"\x00\x01"),
    down('61-1[{"_placeholder":true,"num":0}]', b"\x00\x01"),
    up('22["askme",6,7]'),
    down('20["question",6,7]'),
    up("30[42]"),
    down('2["answer",42]'),
    down("32[42]"),
    up("1"),
    ended("client"),
)


@EVERY_WAY
async def test_it_says_to_real_servers_what_it_said(any_peer: Peer, transports: tuple[str, ...]) -> None:
    report = await against(
        any_peer.url,
        tape(*PEER),
        secrets={"<redacted:1>": "letmein"},
        ignore_paths=["$[1].transport"],
        connect={"transports": transports},
    )
    report.raise_for_failure()
    assert (report.matched, report.unplayed, report.unmatched) == (61, (), 0)


@pytest.mark.parametrize("kind", ["node", "python"])
async def test_it_speaks_the_parser_of_the_server(peer_server: StartPeer, kind: Kind) -> None:
    peer = peer_server(kind, parser="msgpack")
    report = await against(peer.url, tape(*PEER[:7]), parser="msgpack", ignore_paths=["$[1].transport"])
    report.raise_for_failure()
    assert report.matched == 4


@EVERY_WAY
async def test_both_sides_of_a_capture_agree(transports: tuple[str, ...]) -> None:
    async with serve(tape(*CONVERSATION)) as server:
        report = await against(server.url, tape(*CONVERSATION), connect={"transports": transports})
    report.raise_for_failure()
    assert report.matched == 26
    assert server.all_played


async def test_the_first_difference_is_told(node_peer: Peer) -> None:
    lines = (*PEER[:5], down('2["echo","grüße",{"n":2.5}]'))
    report = await against(node_peer.url, tape(*lines), ignore_paths=["$[1].transport"])
    [error] = report.failures
    assert isinstance(error, CassetteMismatch)
    assert str(error).splitlines() == [
        "test.eio.jsonl, session 1, server packet 3 (line 7)",
        '  expected  EVENT /  "echo"  ["grüße",{"n":2.5}]',
        '  got       EVENT /  "echo"  ["grüße",{"n":1.5}]',
        "  $[2].n: 2.5 != 1.5",
        "  so far: CONNECT / ✓  EVENT welcome ✓   client has nothing more to send",
        '  to accept: ignore_paths=["$[2].n"]',
    ]


async def test_a_server_that_says_nothing_is_not_waited_for(node_peer: Peer) -> None:
    lines = (*PEER[:4], up('2["never"]'), down('2["never"]'))
    report = await against(node_peer.url, tape(*lines), ignore_paths=["$[1].transport"], idle_limit=0.1)
    [error] = report.failures
    assert isinstance(error, ReplayStalled)


async def test_a_server_that_leaves_is_told_of(node_peer: Peer) -> None:
    lines = (*PEER[:4], up('2["drop"]'), down('2["never"]'))
    report = await against(node_peer.url, tape(*lines), ignore_paths=["$[1].transport"])
    [error] = report.failures
    assert isinstance(error, ReplayUnfinished)
    assert error.__cause__ is not None


async def test_what_the_server_says_beyond_the_capture_is_a_difference() -> None:
    recorded = (opened(), *CONNECT, up('20["echo",1]'), down("30[1]", time=1.0), up("1", time=31.0), ended("client", time=31.0))
    async with serve(tape(*recorded[:5], down('2["more"]'), ended("client"))) as server:
        report = await against(server.url, tape(*recorded), linger=30)
    [error] = report.failures
    assert isinstance(error, CassetteMismatch)
    assert str(error).splitlines()[:3] == [
        "test.eio.jsonl, session 1, after the last server packet",
        "  expected  nothing more",
        '  got       EVENT /  "more"  []',
    ]


async def test_where_the_recorded_client_left_at_once_nothing_more_is_known() -> None:
    recorded = (opened(), *CONNECT, up('20["echo",1]'), down("30[1]", time=1.0))
    async with serve(tape(*recorded, down('2["more"]'), ended("client"))) as server:
        report = await against(server.url, tape(*recorded, ended("client", time=1.0)), linger=30)
    report.raise_for_failure()


async def test_it_need_not_be_listened_for() -> None:
    recorded = (opened(), *CONNECT, ended("client"))
    async with serve(tape(*recorded)) as server:
        report = await against(server.url, tape(*recorded), linger=0)
    report.raise_for_failure()
    with pytest.raises(LocalProtocolError, match="linger must be"):
        await against(server.url, tape(*recorded), linger=-1)


async def test_auth_can_be_given_in_the_place_of_what_is_redacted(any_peer: Peer) -> None:
    lines = (opened(), up('0/admin,{"token":"<redacted:1>","more":1}'), down('0/admin,{"sid":"@sid1"}'), down('2/admin,["welcome",{}]'))
    refused = await against(any_peer.url, tape(*lines))
    assert 'got       CONNECT_ERROR /admin  {"message":"not authorized"' in str(refused.failures[0])
    report = await against(any_peer.url, tape(*lines), auth={"/admin": {"token": "letmein"}}, ignore_paths=["$[1]"])
    report.raise_for_failure()


async def test_sessions_that_followed_each_other_do_so_again(node_peer: Peer) -> None:
    def session(number: int) -> tuple[Line, ...]:
        said = ('0{"key":"following"}', '0{"sid":"s"}', '2["welcome",{}]', '20["echo"]', '2["echo"]', "30[]")
        return opened(number), *[(up if text in (said[0], said[3]) else down)(text, session=number) for text in said]

    lines = [*session(1), *session(2), opened(3), *[line for pair in zip(session(4)[1:], session(3)[1:], strict=True) for line in pair]]
    report = await against(node_peer.url, tape(*lines), ignore_paths=["$[1]"])
    report.raise_for_failure()
    assert (report.sessions, report.matched) == (4, 16)


async def test_it_takes_only_so_long() -> None:
    lines = (opened(time=0.0), *CONNECT, up('2["a"]', time=0.1), ended("client"))
    async with serve(tape(*CONNECT, up('2["a"]'), down('2["b"]'))) as server:
        report = await against(server.url, tape(*lines), timing="recorded", linger=0)
        assert [type(error) for error in report.failures] == [], "it was over before"
    async with serve(tape(*CONNECT), idle_limit=1000) as server:
        never = against(server.url, tape(*CONNECT, down('2["never"]')), limit=0.05)
        with pytest.raises(TimedOut) as caught:
            await never
    assert caught.value.cause is Cause.REPLAY_STALLED


async def test_without_a_connection_it_says_why() -> None:
    async with serve(tape(*CONNECT), allow_unplayed=True) as server:
        url = server.url
    with pytest.raises(ConnectFailed):
        await against(url, tape(*CONNECT))


async def test_it_can_be_cancelled() -> None:
    def watch(session: int) -> Watch:
        return lambda direction, output: said.set()

    said = asyncio.Event()
    async with serve(tape(*CONNECT), allow_unplayed=True) as server:
        task = asyncio.create_task(against(server.url, tape(*CONNECT, down('2["never"]')), idle_limit=1000, watch=watch))
        await said.wait()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
