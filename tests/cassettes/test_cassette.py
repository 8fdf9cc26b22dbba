"""A cassette is recorded from a real server once, and then stands in for it: every mode, and every way to be wrong."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import socketio

from engineio_lite.aio import connect_socketio
from engineio_lite.capture.file import load
from engineio_lite.capture.inspection import inspect
from engineio_lite.capture.lines import Direction, EnginePacket, SessionOpened, SocketChanged, SocketIOPacket
from engineio_lite.capture.redactor import Redaction
from engineio_lite.cassettes import Cassette, CassetteWarning, NetworkBlocked
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, CassetteMismatch, ConnectFailed, EngineIOError, LocalProtocolError, ReplayStalled, ReplayUnfinished
from engineio_lite.socketio.grammar import PacketType
from tests.peers import Peer

NOBODY = "http://127.0.0.1:9"
"""A port where nothing listens (it is that of the discard protocol, which nobody serves any more)."""


async def say(url: str, *words: str, token: str = "open-sesame-please") -> list[Any]:
    """Have words echoed, with our client: what was answered."""
    async with connect_socketio(url, auth={"token": token}) as sio:
        return [await sio.call("echo", word, timeout=5) for word in words]


def content(path: Path) -> bytes:
    """What is in the file."""
    return path.read_bytes()


def beside(path: Path) -> list[str]:
    """The names of what is in its folder; nothing if there is no folder."""
    return [entry.name for entry in path.parent.iterdir()] if path.parent.exists() else []


async def play(path: Path, *sessions: tuple[str, ...], mode: str = "none", upstream: str | None = None, **options: Any) -> None:
    """Use a cassette for some sessions; what happens to the client is not looked at, as a test might not either."""
    with Cassette(path, mode=mode, upstream=upstream, **options) as cassette:
        for words in sessions:
            with contextlib.suppress(EngineIOError):
                await say(cassette.url, *words)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "run.eio.jsonl"


@pytest.fixture
async def recorded(path: Path, any_peer: Peer) -> Path:
    """A cassette in which two words were echoed."""
    with Cassette(path, mode="once", upstream=any_peer.url) as cassette:
        assert cassette.is_recording
        assert await say(cassette.url, "one", "two") == ["one", "two"]
    return path


# --- Recording, and playing what was recorded.


async def test_what_was_recorded_plays_without_the_server(recorded: Path) -> None:
    with Cassette(recorded) as cassette:
        assert not cassette.is_recording
        assert cassette.sessions == 1
        assert await say(cassette.url, "one", "two") == ["one", "two"]
        assert cassette.settle()
        assert (cassette.play_count, cassette.all_played) == (1, True)
        report = cassette.report
        assert report is not None
        assert report.is_ok


async def test_once_plays_what_is_there(recorded: Path) -> None:
    before = content(recorded)
    with Cassette(recorded, mode="once", upstream=NOBODY) as cassette:
        assert await say(cassette.url, "one", "two") == ["one", "two"]
    assert content(recorded) == before


def test_another_client_cannot_tell(recorded: Path) -> None:
    for transports in (["polling"], ["websocket"], None):
        with Cassette(recorded) as cassette:
            client = socketio.Client(reconnection=False)
            client.connect(cassette.url, auth={"token": "whatever"}, transports=transports)
            assert [client.call("echo", word, timeout=5) for word in ("one", "two")] == ["one", "two"]
            client.disconnect()


async def test_a_cassette_holds_what_people_want_to_read_and_no_secret(recorded: Path) -> None:
    lines = load(recorded).lines
    assert not [line for line in lines if isinstance(line, EnginePacket | SocketChanged)]
    assert [line.data for line in lines if isinstance(line, SocketIOPacket) and line.direction is Direction.UP and line.type is PacketType.EVENT] == [
        ["echo", "one"],
        ["echo", "two"],
    ]
    assert "open-sesame-please" not in content(recorded).decode()
    assert list(inspect(content(recorded).decode().splitlines())) == []
    assert beside(recorded) == [recorded.name]


async def test_what_is_redacted_can_be_chosen(path: Path, any_peer: Peer) -> None:
    with Cassette(path, mode="once", upstream=any_peer.url, redaction=Redaction(patterns=["t.o"])) as cassette:
        assert await say(cassette.url, "one", "two") == ["one", "two"]
    text = content(path).decode()
    assert '"two"' not in text
    assert '"one"' in text


# --- What a recording becomes.


async def test_a_recording_replaces_the_old_one_only_at_the_end(recorded: Path, any_peer: Peer) -> None:
    before = content(recorded)
    with Cassette(recorded, mode="rewrite", upstream=any_peer.url) as cassette:
        await say(cassette.url, "three")
        assert content(recorded) == before
    assert b"three" in content(recorded)
    assert b"two" not in content(recorded)


@pytest.mark.parametrize("mode", ["all", "rewrite", "new_sessions"])
async def test_what_is_not_to_be_kept_is_not(recorded: Path, any_peer: Peer, mode: str) -> None:
    before = content(recorded)
    with Cassette(recorded, mode=mode, upstream=any_peer.url) as cassette:
        await say(cassette.url, "one", "two")
        await say(cassette.url, "three")
        cassette.keep = False
    with contextlib.suppress(KeyError), Cassette(recorded, mode="all", upstream=any_peer.url) as cassette:
        await say(cassette.url, "three")
        raise KeyError
    assert content(recorded) == before
    assert beside(recorded) == [recorded.name]


async def test_passthrough_is_the_server_itself(path: Path, any_peer: Peer) -> None:
    with Cassette(path, mode="passthrough", upstream=any_peer.url) as cassette:
        assert cassette.url == any_peer.url
        assert (cassette.report, cassette.play_count, cassette.all_played, cassette.sessions) == (None, 0, False, 0)
        cassette.check()
    assert beside(path) == []


# --- New sessions.


async def test_new_sessions_are_added_behind_those_that_are_there(recorded: Path, any_peer: Peer) -> None:
    with Cassette(recorded, mode="new_sessions", upstream=any_peer.url) as cassette:
        assert await say(cassette.url, "one", "two") == ["one", "two"]
        assert await say(cassette.url, "three", token="another-token-for-it") == ["three"]
    capture = load(recorded)
    opened = [line for line in capture.lines if isinstance(line, SessionOpened)]
    assert [line.session for line in opened] == [1, 2]
    assert len({line.sid for line in opened}) == 2
    times = [line.time for line in capture.lines if isinstance(line, SocketIOPacket) and line.time is not None]
    assert times == sorted(times)
    assert list(inspect(content(recorded).decode().splitlines())) == []
    with Cassette(recorded) as replayed:
        assert await say(replayed.url, "one", "two") == ["one", "two"]
        assert await say(replayed.url, "three") == ["three"]


async def test_without_new_sessions_nothing_is_written(recorded: Path, any_peer: Peer) -> None:
    before = content(recorded)
    with Cassette(recorded, mode="new_sessions", upstream=any_peer.url) as cassette:
        await say(cassette.url, "one", "two")
    assert content(recorded) == before


async def test_binary_and_pushes_are_relayed_too(recorded: Path, any_peer: Peer) -> None:
    for mode in ("new_sessions", "none"):
        with Cassette(recorded, mode=mode, upstream=any_peer.url) as cassette:
            await say(cassette.url, "one", "two")
            async with connect_socketio(cassette.url) as sio:
                await sio.emit("flood", 20)
                numbers = [(await sio.wait_for("number")).args[0] for _ in range(20)]
                assert await sio.call("echo", b"\0\1", timeout=5) == b"\0\1"
            assert numbers == list(range(20))


async def test_a_server_that_is_not_there_is_told(recorded: Path) -> None:
    before = content(recorded)
    with pytest.raises(ConnectFailed):
        await play(recorded, ("one", "two"), ("three",), mode="new_sessions", upstream=NOBODY)
    assert b"three" not in content(recorded)
    assert content(recorded).startswith(before)


# --- What is wrong before anything is played.


@pytest.mark.parametrize("mode", ["none", "once", "all", "rewrite", "new_sessions", "passthrough"])
def test_neither_cassette_nor_server(path: Path, mode: str) -> None:
    with pytest.raises(CaptureError) as caught:
        Cassette(path, mode=mode).__enter__()
    assert caught.value.cause == (Cause.NO_CASSETTE if mode == "none" else Cause.NO_UPSTREAM)
    assert caught.value.fix


@pytest.mark.parametrize("mode", ["none", "once", "new_sessions"])
@pytest.mark.parametrize("damage", ["torn", "rubbish"])
def test_a_damaged_cassette_is_never_recorded_over(recorded: Path, mode: str, damage: str) -> None:
    whole = content(recorded)
    recorded.write_bytes(whole[:-5] if damage == "torn" else whole.replace(b'"k"', b'"k', 4))
    before = content(recorded)
    with pytest.raises(CaptureError) as caught:
        Cassette(recorded, mode=mode, upstream=NOBODY).__enter__()
    assert caught.value.cause in (Cause.CAPTURE_DAMAGED, Cause.NOT_A_CAPTURE)
    assert content(recorded) == before


def test_a_mode_that_is_none(path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="mode must be one of"):
        Cassette(path, mode="maybe")


# --- What goes wrong while it plays.


async def test_a_mismatch_is_raised_with_the_whole_story(recorded: Path) -> None:
    with pytest.raises(CassetteMismatch) as caught:
        await play(recorded, ("one", "zwei"), to_accept="record it again")
    story = str(caught.value)
    assert str(recorded) in story
    assert '"two" != "zwei"' in story
    assert "record it again" in story


async def test_a_mismatch_takes_the_place_of_what_the_client_made_of_it(recorded: Path) -> None:
    with pytest.raises(CassetteMismatch) as caught, Cassette(recorded) as cassette:
        await say(cassette.url, "one", "zwei")
    assert isinstance(caught.value.__cause__, EngineIOError)


async def test_more_sessions_than_recorded(recorded: Path) -> None:
    with pytest.raises(CassetteMismatch, match="no more sessions"):
        await play(recorded, ("one", "two"), ("three",))


async def test_what_is_wrong_is_known_at_once(recorded: Path) -> None:
    with contextlib.suppress(CassetteMismatch), Cassette(recorded) as cassette:
        with contextlib.suppress(EngineIOError):
            await say(cassette.url, "one", "zwei")
        with pytest.raises(CassetteMismatch):
            cassette.check()


async def test_a_client_that_leaves_early(recorded: Path) -> None:
    with pytest.raises(ReplayUnfinished):
        await play(recorded, ("one",))
    with pytest.warns(CassetteWarning, match="would still have sent"):
        await play(recorded, ("one",), allow_unplayed=True)


async def test_a_client_that_waits_for_ever_gets_an_end(recorded: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(pytest.raises(ReplayStalled))
        cassette = stack.enter_context(Cassette(recorded, idle_limit=0.2))
        sio = await stack.enter_async_context(connect_socketio(cassette.url, auth={"token": "x"}))
        await sio.call("echo", "one", timeout=5)
        await asyncio.wait_for(sio.wait_for("never"), 5)


async def test_nobody_came(recorded: Path) -> None:
    with pytest.raises(ReplayUnfinished):
        await play(recorded)


async def test_a_client_that_is_still_there_is_asked_nothing(recorded: Path) -> None:
    with Cassette(recorded) as cassette:
        async with connect_socketio(cassette.url, auth={"token": "x"}) as sio:
            assert not cassette.settle() or cassette.all_played
            await sio.call("echo", "one", timeout=5)
            cassette.check()
            await sio.call("echo", "two", timeout=5)


async def test_the_network_is_blocked_while_it_plays(recorded: Path, any_peer: Peer) -> None:
    async with asyncio.timeout(20):
        with Cassette(recorded, block_network=True) as cassette:
            with pytest.raises(NetworkBlocked):
                await asyncio.get_running_loop().getaddrinfo("example.com", 80)
            await say(cassette.url, "one", "two")
        with Cassette(recorded, mode="all", upstream=any_peer.url, block_network=True) as cassette:
            await say(cassette.url, "one")
