"""`record=`: what a client did is in the file, without its secrets, and the conversation never suffers from being recorded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import engineio_lite
from engineio_lite.aio import Recording, connect, connect_socketio
from engineio_lite.capture import Level, Recorder, Redaction, load
from engineio_lite.capture.lines import Door, Passage, SessionEnded, SessionOpened, SocketIOPacket
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, EngineIOError, LocalProtocolError
from engineio_lite.replay.offline import check
from engineio_lite.socketio import Reconnected
from engineio_lite.socketio.grammar import PacketType
from tests.aio.again import ALL_TRANSPORTS, QUICK, Story
from tests.aio.features import Watch
from tests.peers import Peer, StartPeer

DEAD = "http://127.0.0.1:9"
"""Nobody listens there."""

SECRET = "a-token-that-nobody-may-see"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.eio.jsonl"


def text_in(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def events(path: Path) -> list[object]:
    return [line.data for line in load(path).packets().lines if isinstance(line, SocketIOPacket) and line.type is PacketType.EVENT]


# --- What is in it.


@ALL_TRANSPORTS
async def test_the_wire_of_an_engine(peer_server: StartPeer, transports: tuple[str, ...], path: Path) -> None:
    peer = peer_server("node", engineOnly=True)
    async with connect(f"{peer.url}/engine.io/", transports=transports, record=path) as engine:
        await engine.send("hello", b"\x00\x01")
        assert [await engine.receive(), await engine.receive()] == ["hello", b"\x00\x01"]
    capture = load(path)
    assert (capture.head.level, capture.head.source, capture.head.by) == (Level.WIRE, "record", f"engineio_lite {engineio_lite.__version__}")
    assert capture.head.at.endswith("Z")
    assert capture.remarks == ()
    assert [line.session for line in capture.lines if isinstance(line, Door)] == [1]
    assert check(capture).is_same


@ALL_TRANSPORTS
async def test_packets_are_the_conversation_and_no_more(any_peer: Peer, transports: tuple[str, ...], path: Path) -> None:
    recording = Recording(path, level="packets", auth_keep={"room": ["lobby"]})
    async with connect_socketio(any_peer.url, transports=transports, auth={"token": SECRET, "room": "lobby"}, record=recording) as sio:
        await sio.call("echo", SECRET, b"\x00\xff", timeout=10)
    capture = load(path)
    assert capture.head.level is Level.PACKETS
    packets = [line for line in capture.lines if isinstance(line, SocketIOPacket)]
    assert packets[0].data == {"token": "<redacted:1>", "room": "lobby"}
    assert [packet.data for packet in packets if packet.type is PacketType.ACK] == [["<redacted:1>", b"\x00\xff"]]
    assert [type(line).__name__ for line in capture.lines][-1] == "SessionEnded"
    assert not any(isinstance(line, Door | Passage) for line in capture.lines)
    assert SECRET not in text_in(path)


async def test_both_levels_tell_the_same_conversation(any_peer: Peer, tmp_path: Path) -> None:
    told = []
    for name in ("wire", "packets"):
        path = tmp_path / f"{name}.eio.jsonl"
        level: Any = name
        async with connect_socketio(any_peer.url, transports=("websocket",), record=Recording(path, level=level)) as sio:
            await sio.wait_for("welcome")  # or it may come before or after what is said next
            await sio.call("echo", 1, {"deep": [b"\x00"]}, timeout=10)
            await sio.emit("later", 1, "thanks")
            await sio.wait_for("thanks")
        told.append([(type(line), getattr(line, "type", None), getattr(line, "data", None)) for line in load(path).packets().lines])
    assert told[0] == told[1]


async def test_a_hook_sees_what_was_said_and_changes_what_is_kept(any_peer: Peer, path: Path) -> None:
    def before(packet: SocketIOPacket) -> SocketIOPacket | None:
        seen.append(packet.data)
        return None if isinstance(packet.data, list) and packet.data[0] == "echo" else packet

    seen: list[object] = []
    recording = Recording(path, level="packets", before_record=before)
    async with connect_socketio(any_peer.url, transports=("websocket",), auth={"token": SECRET}, record=recording) as sio:
        await sio.call("echo", "unsaid", timeout=10)
    assert {"token": SECRET} in seen
    assert ["echo", "unsaid"] in seen
    assert not any(isinstance(data, list) and data[0] == "echo" for data in events(path))


async def test_secrets_are_written_if_that_is_wanted(any_peer: Peer, tmp_path: Path) -> None:
    for level in ("wire", "packets"):
        path = tmp_path / level
        wanted: Any = level
        recording = Recording(path, level=wanted, redact=False)
        async with connect_socketio(any_peer.url, transports=("websocket",), auth={"token": SECRET}, record=recording):
            pass
        assert SECRET in text_in(path)
    assert check(load(tmp_path / "wire")).is_same


async def test_further_rules(any_peer: Peer, path: Path) -> None:
    rules = Redaction(patterns=[r"customer-\d+"])
    headers = {"Authorization": "Bearer of-the-header-0123", "X-Whatever": "plain"}
    async with connect_socketio(
        any_peer.url, headers=headers, cookies={"session": "of-the-cookie-0123"}, record=Recording(path, redact=rules), transports=("polling",)
    ) as sio:
        await sio.call("echo", "customer-77", "Bearer of-the-header-0123", "my of-the-cookie-0123", "plain", timeout=10)
    text = text_in(path)
    assert [secret for secret in ("customer-77", "of-the-header", "of-the-cookie") if secret in text] == []
    assert "plain" in text
    assert check(load(path)).is_same


async def test_a_recorder_sees_what_is_recorded_too(any_peer: Peer, path: Path) -> None:
    recorder = Recorder()
    async with connect_socketio(any_peer.url, transports=("websocket",), auth={"token": SECRET}, record=path, recorder=recorder):
        pass
    assert len(recorder.records) == sum(isinstance(line, Passage) for line in load(path).lines) > 3
    assert SECRET in str(recorder.records)


# --- One file for a client's life.


@ALL_TRANSPORTS
async def test_every_connection_of_a_client_is_a_session_of_the_file(any_peer: Peer, transports: tuple[str, ...], path: Path) -> None:
    async with connect_socketio(any_peer.url, transports=transports, reconnect=QUICK, record=path) as sio:
        async with Story(sio) as story:
            await sio.emit("drop")
            await story.until(Reconnected)
        await sio.call("echo", "again", timeout=10)
    capture = load(path)
    assert check(capture).is_same
    assert {line.session for line in capture.lines if isinstance(line, Door)} == {1, 2}
    told = capture.packets().lines
    assert [(line.session, line.again) for line in told if isinstance(line, SessionOpened)] == [(1, None), (2, 1)]
    assert [line.session for line in told if isinstance(line, SessionEnded)] == [1, 2]


async def test_another_client_goes_on_with_the_file(any_peer: Peer, path: Path) -> None:
    recording = Recording(path)
    for number in range(2):
        async with connect_socketio(any_peer.url, transports=("websocket",), record=recording) as sio:
            assert recording.is_open
            await sio.call("echo", number, timeout=10)
        assert not recording.is_open
    async with (
        connect_socketio(any_peer.url, transports=("websocket",), record=recording) as one,
        connect_socketio(any_peer.url, transports=("polling",), record=recording) as other,
    ):
        await asyncio.gather(one.call("echo", "one", timeout=10), other.call("echo", "other", timeout=10))
    capture = load(path)
    assert [line.session for line in capture.lines if isinstance(line, Door)] == [1, 2, 3, 4]
    assert check(capture).is_same
    assert text_in(path).count('"k": "head"') == 1


# --- Refused before anything is sent.


async def test_a_file_that_is_there_is_left_alone(path: Path) -> None:
    put(path, "precious")
    with pytest.raises(CaptureError, match="expected a new file to record into, there is one already") as caught:
        await connect(DEAD, record=path)
    assert (caught.value.cause, caught.value.path) == (Cause.CAPTURE_EXISTS, str(path))
    assert "overwrite=True" in (caught.value.fix or "")
    with pytest.raises(CaptureError):
        await connect_socketio(DEAD, record=str(path), reconnect=True)
    assert text_in(path) == "precious"


async def test_a_file_is_replaced_if_that_is_wanted(any_peer: Peer, path: Path) -> None:
    put(path, "worthless")
    recording = Recording(path, overwrite=True)
    for _ in range(2):
        async with connect_socketio(any_peer.url, transports=("websocket",), record=recording):
            pass
    assert len([line for line in load(path).lines if isinstance(line, Door)]) == 2


async def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="expected a file to record into, got No such file or directory") as caught:
        await connect(DEAD, record=tmp_path / "nowhere" / "run.eio.jsonl")
    assert caught.value.cause is Cause.RECORDING_FAILED


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's own")
async def test_a_disk_that_is_full_from_the_beginning() -> None:
    with pytest.raises(CaptureError, match="No space left on device"):
        await connect(DEAD, record=Recording("/dev/full", overwrite=True))


async def test_a_connection_that_fails_is_recorded(path: Path) -> None:
    recording = Recording(path)
    with pytest.raises(EngineIOError) as caught:
        await connect(f"{DEAD}/engine.io/?key={SECRET}", record=recording, transports=("polling",))
    assert caught.value.cause is Cause.CONNECT_REFUSED
    assert not recording.is_open
    capture = load(path)
    assert check(capture).is_same
    assert [type(line).__name__ for line in capture.packets().lines] == ["HttpAnswer"]
    assert SECRET not in text_in(path)


async def test_an_opening_that_is_cancelled_closes_the_file(peer_server: StartPeer, path: Path) -> None:
    peer = peer_server("node")
    recording, watch = Recording(path), Watch()
    opening = asyncio.ensure_future(_open(f"{peer.url}/slow", recording, watch))
    await watch.until(lambda: recording.is_open and bool(watch.messages))
    opening.cancel()
    await asyncio.wait({opening})
    assert opening.cancelled()
    assert not recording.is_open
    assert check(load(path)).is_same


async def _open(url: str, recording: Recording, watch: Watch) -> None:
    await connect_socketio(url, record=recording, recorder=watch)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"level": "bytes"}, "level must be 'wire' or 'packets', not"),
        ({"before_record": lambda packet: packet}, "before_record changes packets"),
        ({"redact": Redaction(before_record=lambda packet: packet)}, "before_record changes packets"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], told: str, path: Path) -> None:
    with pytest.raises(LocalProtocolError, match=told) as caught:
        Recording(path, **options)
    assert caught.value.cause is Cause.BAD_OPTION
    assert not path.exists()


async def test_a_url_or_proxy_that_is_none_leaves_no_file(path: Path) -> None:
    for url in ("nonsense", "ftp://h/"):
        with pytest.raises(LocalProtocolError):
            await connect_socketio(url, record=path, proxy="http://[")
    assert os.listdir(path.parent) == []


# --- What goes wrong later.


class Pipe:
    """A named pipe: whoever writes into it writes to a disk that fails once `break_` is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def break_(self) -> None:
        """Nobody reads any more; harmless if that is so already."""
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "pipe")
    yield made
    made.break_()


async def test_a_disk_that_fails_ends_the_recording_and_not_the_conversation(any_peer: Peer, pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    recording = Recording(pipe.path, overwrite=True)
    async with connect_socketio(any_peer.url, transports=("websocket",), record=recording) as sio:
        pipe.break_()
        for number in range(3):
            assert await sio.call("echo", number, timeout=10) == number
        error = recording.error
        assert error is not None
        assert (error.cause, error.path) == (Cause.RECORDING_FAILED, str(pipe.path))
        assert isinstance(error.__cause__, BrokenPipeError)
        assert not recording.is_open
    told = [record.getMessage() for record in caplog.records if "recording" in record.getMessage()]
    assert told == [f"{pipe.path}: the recording ended early: Broken pipe [recording-failed]; the conversation goes on"]
    async with connect_socketio(any_peer.url, transports=("websocket",), record=recording) as sio:
        assert await sio.call("echo", 1, timeout=10) == 1  # an ended recording is no reason not to talk


async def test_a_hook_that_fails_ends_the_recording_and_not_the_conversation(any_peer: Peer, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def hook(packet: SocketIOPacket) -> SocketIOPacket:
        if packet.type is PacketType.ACK:
            raise ZeroDivisionError("oops")
        return packet

    recording = Recording(path, level="packets", before_record=hook)
    async with connect_socketio(any_peer.url, transports=("websocket",), record=recording) as sio:
        for number in range(3):
            assert await sio.call("echo", number, timeout=10) == number
    assert recording.error is not None
    assert isinstance(recording.error.__cause__, ZeroDivisionError)
    [record] = [record for record in caplog.records if "the recording ended early: ZeroDivisionError" in record.getMessage()]
    assert record.exc_info is not None
    assert load(path).remarks == ()


async def test_what_is_held_back_at_the_end_may_fail_too(peer_server: StartPeer, pipe: Pipe) -> None:
    """A packet whose attachment never comes is written when the file is closed."""
    peer = peer_server("node", engineOnly=True)
    recording = Recording(pipe.path, level="packets", overwrite=True)
    engine = await connect(f"{peer.url}/engine.io/", transports=("websocket",), record=recording)
    await engine.send('51-["e",{"_placeholder":true,"num":0}]')
    assert await engine.receive() == '51-["e",{"_placeholder":true,"num":0}]'
    pipe.break_()
    await engine.close()
    assert recording.error is not None
    assert not recording.is_open
