"""A recorded Labs client: every question is a session of one file."""

from __future__ import annotations

from pathlib import Path

from engineio_lite.capture import load
from engineio_lite.capture.lines import Door, SocketIOPacket
from engineio_lite.replay.offline import check
from engineio_lite.socketio.grammar import PacketType
from perplexity_labs import LabsClient, loopback


async def test_every_question_is_a_session_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    async with loopback.serve(text="hi", pace=0) as server, LabsClient(server.url, record=path, jwt="a-token-that-nobody-may-see") as labs:
        for question in ("one", "two"):
            await labs.complete(question)
    capture = load(path)
    assert [line.session for line in capture.lines if isinstance(line, Door)] == [1, 2]
    assert check(capture).is_same
    asked = [line for line in capture.packets().lines if isinstance(line, SocketIOPacket) and line.type is PacketType.CONNECT]
    assert {line.session for line in asked} == {1, 2}
    assert "a-token-that" not in str(capture)


async def test_what_is_no_secret_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    async with loopback.serve(text="hi", pace=0) as server, LabsClient(server.url, record=path) as labs:
        await labs.complete("one")
    assert "anonymous-ask-user" in str(load(path))
