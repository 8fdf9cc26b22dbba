"""The recordings in `tests/captures` (its INDEX.md says where each comes from), and what tests of importers share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from engineio_lite.capture.importers import Reconstruction, reconstruct
from engineio_lite.capture.lines import Direction, Line, Note, SocketIOPacket
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.cli.import_ import read_trace
from engineio_lite.socketio.grammar import PacketType
from tests.peers import in_ci

HERE = Path(__file__).parent.parent.parent / "captures"


class Run(NamedTuple):
    """Who spoke with whom, and what: all recordings of a run hold the same conversation."""

    server: str
    client: str
    scenario: str


def run_of(path: Path) -> Run:
    """What a file's name says: ``<tool>-<server>-<client>-<mode>[-<scenario>]``."""
    _, server, client, _, *scenario = path.stem.split("-")
    return Run(server, client, "-".join(scenario))


RECORDINGS = sorted(path for path in HERE.iterdir() if path.suffix != ".md")
SESSIONS = [path for path in RECORDINGS if not {"raw", "curl"} & set(path.stem.split("-")) and path.name != "mitm-js-node-websocket-open.har"]
"""Those that hold one session of the usual ones."""


def need_tshark() -> None:
    """Without tshark a test fails under CI=true and is skipped elsewhere."""
    if shutil.which("tshark") is None:
        reason = "tshark is not installed (Debian: apt-get install tshark)"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def read(name: str | Path) -> Trace:
    """Read a recording, by tshark if it is one of packets."""
    path = HERE / name
    if path.suffix == ".pcap":
        need_tshark()
    return _read(path)


@cache
def _read(path: Path) -> Trace:
    """A trace cannot be changed, and tshark takes its time."""
    return read_trace(path)[1]


def lines_of(*names: str | Path) -> tuple[Line, ...]:
    return reconstruct(*map(read, names)).lines


def packets(lines: Iterable[Line]) -> list[SocketIOPacket]:
    return [line for line in lines if isinstance(line, SocketIOPacket)]


def said(lines: Iterable[Line]) -> list[tuple[object, ...]]:
    """What was said, in order, without what differs from one recording of a run to another: transports, times, and the ids that servers give."""
    return [_said(packet) for packet in packets(lines)]


def _said(packet: SocketIOPacket) -> tuple[object, ...]:
    # A server counts its events over all of its clients.
    asked_by = Direction.DOWN if packet.type in (PacketType.EVENT, PacketType.BINARY_EVENT) else Direction.UP
    number: object = "masked" if packet.id is not None and packet.direction is asked_by else packet.id
    data = packet.data
    if packet.type is PacketType.CONNECT and isinstance(data, dict) and packet.direction is Direction.DOWN:
        data = sorted(data)
    return packet.direction, packet.type, packet.namespace, number, data


def notes(found: Reconstruction | Sequence[Line], what: str) -> list[Note]:
    lines = found.lines if isinstance(found, Reconstruction) else found
    return [line for line in lines if isinstance(line, Note) and line.what == what]


# --- traces made by hand

URL = "http://host.test/socket.io/?EIO=4&transport=polling"
OPEN = b'0{"sid":"s1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


def url(sid: str = "s1", transport: str = "polling", host: str = "host.test", more: str = "") -> str:
    return f"http://{host}/socket.io/?EIO=4&transport={transport}&sid={sid}{more}"


def opening(at: float = 100.0, sid: str = "s1", more: str = "") -> Exchange:
    return Exchange(started=at, ended=at + 0.01, method="GET", url=URL + more, status=200, answer=OPEN.replace(b"s1", sid.encode()))


def get(started: float, ended: float | None, answer: bytes | None, *, sid: str = "s1", status: int = 200, kind: str = "") -> Exchange:
    return Exchange(started=started, ended=ended, method="GET", url=url(sid), status=status, answer=answer, content_type=kind)


def post(started: float, body: bytes | None, *, sid: str = "s1", status: int = 200, answer: bytes = b"ok") -> Exchange:
    return Exchange(started=started, ended=started + 0.002, method="POST", url=url(sid), body=body, status=status, answer=answer)


def up(time: float | None, data: str | bytes, *, injected: bool = False) -> Message:
    return Message(time=time, direction=Direction.UP, data=data, injected=injected)


def down(time: float | None, data: str | bytes, *, injected: bool = False) -> Message:
    return Message(time=time, direction=Direction.DOWN, data=data, injected=injected)


def socket(started: float, *messages: Message, sid: str = "s1") -> Socket:
    where = url(sid, "websocket") if sid else "ws://host.test/socket.io/?EIO=4&transport=websocket"
    return Socket(started=started, url=where, messages=messages)


def trace(*items: Exchange | Socket, source: str = "har") -> Trace:
    return Trace(source=source, items=items)


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
