"""A bridged client is recorded as any other: all of its connections in one file, and nothing secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import engineio_lite.bridge as socketio
from engineio_lite.aio import Recording
from engineio_lite.bridge import exceptions
from engineio_lite.capture import load
from engineio_lite.capture.lines import Door, SessionOpened, SocketIOPacket
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError
from engineio_lite.replay.offline import check
from engineio_lite.socketio.grammar import PacketType
from tests.bridge.tools import ALL_TRANSPORTS, QUICK, Seen, Transports
from tests.peers import Peer

SECRET = "a-token-that-nobody-may-see"


@ALL_TRANSPORTS
async def test_every_connection_is_a_session_of_the_file(any_peer: Peer, transports: Transports, tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    sio = socketio.AsyncClient(record=path)
    for number in range(2):
        await sio.connect(any_peer.url, transports=transports, auth={"token": SECRET}, headers={"Authorization": f"Bearer {SECRET}-too"})
        assert await sio.call("echo", {"number": number, "data": b"\x00\xff"}) == {"number": number, "data": b"\x00\xff"}
        await sio.disconnect()
    capture = load(path)
    assert check(capture).is_same
    assert [line.session for line in capture.lines if isinstance(line, Door)] == [1, 2]
    told = capture.packets().lines
    assert [line.again for line in told if isinstance(line, SessionOpened)] == [None, None], "nothing was lost"
    answers = [line.data for line in told if isinstance(line, SocketIOPacket) and line.type is PacketType.ACK]
    assert answers == [[{"number": number, "data": b"\x00\xff"}] for number in range(2)]
    assert SECRET not in str(capture)


async def test_packets_and_a_client_that_connects_again_by_itself(node_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    sio = socketio.AsyncClient(record=Recording(path, level="packets"), **QUICK)
    seen = Seen()
    sio.on("connect", lambda: seen.note(sio.eio.sid))
    await sio.connect(node_peer.url)
    await sio.emit("drop")
    await seen.until(lambda: len(seen) == 2)
    await sio.disconnect()
    told = load(path).lines
    assert [(line.session, line.again) for line in told if isinstance(line, SessionOpened)] == [(1, None), (2, 1)]


async def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    _put(tmp_path / "run", "precious")
    sio = socketio.AsyncClient(record=tmp_path / "run")
    with pytest.raises(exceptions.ConnectionError, match="there is one already") as caught:
        await sio.connect("http://127.0.0.1:9")
    assert isinstance(caught.value.__cause__, CaptureError)
    assert caught.value.__cause__.cause is Cause.CAPTURE_EXISTS
    with open(tmp_path / "run", encoding="utf-8") as file:  # noqa: ASYNC230  # it is eight bytes long
        assert file.read() == "precious"


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
