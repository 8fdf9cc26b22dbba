"""A capture as HAR says the same when it is read again, and nothing that was redacted comes back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from engineio_lite.capture.comparison import normalise
from engineio_lite.capture.file import Writer
from engineio_lite.capture.har_export import export_har
from engineio_lite.capture.importers import read_cdp, read_flows, read_har, reconstruct
from engineio_lite.capture.lines import Direction, EnginePacket, Head, HttpAnswer, Line, Note, SessionEnded, SessionOpened, SocketChanged, Undecoded
from engineio_lite.capture.lines import SocketIOPacket as Said
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport
from tests.capture.importers.recordings import HERE
from tests.commands import Command

UP, DOWN = Direction.UP, Direction.DOWN
POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET
HEAD = Head(at="2026-11-20T20:15:20.500000Z")

EXPORT = Command(sys.executable, "-c", "from engineio_lite.cli import main; main()", "export")


def exported(*lines: Line, head: Head = HEAD) -> Any:
    """The HAR, as JSON has it."""
    return json.loads(json.dumps(export_har(head, lines, version="1")))


def entries(*lines: Line, head: Head = HEAD) -> list[Any]:
    return list(exported(*lines, head=head)["log"]["entries"])


def again(*lines: Line) -> tuple[Line, ...]:
    """What the importer makes of it."""
    return reconstruct(read_har(json.dumps(exported(*lines)).encode())).lines


def opened() -> SessionOpened:
    return SessionOpened(session=1, time=0.0, transport=POLLING, url="http://host.test/socket.io/?x=1", sid="@eio1", handshake={"pingInterval": 1})


def said(direction: Direction, packet_type: PacketType, data: object, transport: Transport = POLLING, **more: object) -> Said:
    return Said(session=1, time=0.1, direction=direction, transport=transport, type=packet_type, data=data, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [path for path in sorted(HERE.iterdir()) if path.suffix in (".har", ".mitm", ".jsonl")], ids=lambda path: path.name)
def test_what_was_imported_says_the_same_when_it_is_exported_and_imported_again(path: Path) -> None:
    read = {".har": read_har, ".mitm": read_flows, ".jsonl": read_cdp}[path.suffix]
    lines = reconstruct(read(path.read_bytes())).lines
    assert normalise(again(*lines)) == normalise(lines)


def test_each_packet_is_a_request_or_a_message() -> None:
    lines: list[Line] = [
        opened(),
        said(UP, PacketType.CONNECT, {"token": "<redacted:1>"}),
        said(DOWN, PacketType.CONNECT, {"sid": "@sid1"}),
        SocketChanged(session=1, time=0.2, change="open"),
        EnginePacket(session=1, time=0.2, direction=UP, transport=WEBSOCKET, type=EngineType.PING, data="probe"),
        said(UP, PacketType.EVENT, ["file", b"\0\1"], WEBSOCKET),
        said(DOWN, PacketType.EVENT, ["file", b"\0\1"]),
        SocketChanged(session=1, time=0.2, change="closed"),
        Note(session=1, what="gap", text="not in a HAR"),
        SessionEnded(session=1),
    ]
    made = entries(*lines)
    assert [(entry["request"]["method"], entry["response"]["status"]) for entry in made] == [
        ("GET", 200),
        ("POST", 200),
        ("GET", 200),
        ("GET", 101),
        ("GET", 200),
    ]
    assert [entry["request"]["url"] for entry in made][:2] == [
        "http://host.test/socket.io/?x=1&EIO=4&transport=polling",
        "http://host.test/socket.io/?x=1&EIO=4&transport=polling&sid=@eio1",
    ]
    socket = made[3]
    assert socket["request"]["url"] == "ws://host.test/socket.io/?x=1&EIO=4&transport=websocket&sid=@eio1"
    assert [(message["type"], message["opcode"], message["data"]) for message in socket["_webSocketMessages"]] == [
        ("send", 1, "2probe"),
        ("send", 1, '451-["file",{"_placeholder":true,"num":0}]'),
        ("send", 2, "AAE="),
    ]
    assert made[4]["response"]["content"]["text"] == '451-["file",{"_placeholder":true,"num":0}]\x1ebAAE='
    assert normalise(again(*lines)) == normalise(lines)


def test_times_keep_the_order() -> None:
    lines: list[Line] = [opened(), *(said(UP, PacketType.EVENT, ["e", number]) for number in range(50))]
    times = [entry["startedDateTime"] for entry in entries(*lines)]
    assert times == sorted(set(times))
    assert times[0] == "2026-11-20T20:15:20.500000Z"
    assert entries(opened(), head=Head())[0]["startedDateTime"] == "1970-01-01T00:00:00.000000Z"


def test_a_session_that_was_not_seen_to_open_has_a_name_that_cannot_exist() -> None:
    [entry] = entries(said(UP, PacketType.DISCONNECT, None))
    assert entry["request"]["url"] == "http://unknown.invalid/?EIO=4&transport=polling"


def test_answers_and_what_is_no_packet_stay() -> None:
    made = entries(
        HttpAnswer(session=0, time=1, method="GET", url="http://host.test/?EIO=3", status=400, content_type="application/json", body="{}"),
        HttpAnswer(session=0, method="GET", status=0),
        Undecoded(session=1, direction=DOWN, transport=POLLING, data="zz", error="x"),
        Undecoded(session=1, direction=DOWN, transport=POLLING, data=b"\0", error="x"),
    )
    assert [(entry["response"]["status"], entry["response"]["content"]["text"]) for entry in made] == [
        (400, "{}"),
        (0, ""),
        (200, "zz"),
        (200, "bAA=="),
    ]


def test_what_our_encoder_refuses_is_written_as_it_was_said() -> None:
    lines: list[Line] = [
        opened(),
        said(DOWN, PacketType.EVENT, ["connect", 1], namespace="/a", id=5),
        said(DOWN, PacketType.EVENT, ["disconnect"]),
        said(DOWN, PacketType.EVENT, ["e", b"\0"], parser="msgpack"),
        said(DOWN, PacketType.EVENT, ["f"], parser="of the future"),
    ]
    bodies = [entry["response"]["content"]["text"] for entry in entries(*lines)[1:]]
    assert bodies[:2] == ['42/a,5["connect", 1]', '42["disconnect"]']
    assert bodies[2].startswith("b")
    assert normalise(again(*lines)) == normalise(lines)


# --- The command.


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "run.eio.jsonl"
    with path.open("wb") as file:
        writer = Writer(file, HEAD)
        for line in (opened(), said(UP, PacketType.CONNECT, {"token": "open-sesame"})):
            writer.write(line)
    return path


def test_the_command_writes_a_file(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.har"
    done = EXPORT.run(str(capture), "-o", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = out.read_text(encoding="utf-8")
    assert "open-sesame" not in text
    assert json.loads(text)["log"]["creator"]["name"] == "engineio-lite"
    refused = EXPORT.run(str(capture), "-o", str(out))
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert EXPORT.run(str(capture), "-o", str(out), "--overwrite").returncode == 0
    assert EXPORT.run(str(capture), "-o", "-").stdout == out.read_text(encoding="utf-8")


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"{}", "expected")])
def test_the_command_says_what_is_wrong(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    done = EXPORT.run(str(path), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
