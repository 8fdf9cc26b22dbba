"""Lines of captures for the tests of what shows and compares them: made by hand, short to write.

`UPGRADED` is a whole session that begins on polling and is upgraded, as one of Node's servers and clients holds it: two namespaces, one of them
refused, acknowledgements both ways, attachments, a heartbeat, an orderly end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from msgspec import UNSET

from engineio_lite.capture.file import Writer
from engineio_lite.capture.lines import (
    Direction,
    EnginePacket,
    Head,
    HttpAnswer,
    Line,
    Note,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

POLLING = Transport.POLLING
WEBSOCKET = Transport.WEBSOCKET
HANDSHAKE = {"upgrades": ["websocket"], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}


def opened(time: float | None = 0.0, session: int = 1, transport: Transport = POLLING, again: int | None = None) -> SessionOpened:
    """The server's open packet."""
    url = "http://chat.example/socket.io/"
    return SessionOpened(session=session, time=time, url=url, transport=transport, sid=f"@eio{session}", handshake=HANDSHAKE, again=again)


def packet(
    direction: Direction,
    time: float | None,
    packet_type: str,
    data: object = UNSET,
    *,
    namespace: str = "/",
    id: int | None = None,
    transport: Transport = WEBSOCKET,
    session: int = 1,
) -> SocketIOPacket:
    """A Socket.IO packet of either direction."""
    return SocketIOPacket(
        session=session,
        time=time,
        direction=direction,
        transport=transport,
        type=PacketType(packet_type),
        namespace=namespace,
        id=id,
        data=data,
    )


def up(time: float | None, packet_type: str, data: object = UNSET, **more: object) -> SocketIOPacket:
    """A packet to the server."""
    return packet(Direction.UP, time, packet_type, data, **more)  # type: ignore[arg-type]  # checked by `packet`


def down(time: float | None, packet_type: str, data: object = UNSET, **more: object) -> SocketIOPacket:
    """A packet from the server."""
    return packet(Direction.DOWN, time, packet_type, data, **more)  # type: ignore[arg-type]  # checked by `packet`


def engine(
    direction: str, time: float | None, packet_type: str, data: str = "", *, transport: Transport = WEBSOCKET, session: int = 1
) -> EnginePacket:
    """An Engine.IO packet without a message."""
    return EnginePacket(session=session, time=time, direction=Direction(direction), transport=transport, type=EngineType(packet_type), data=data)


UPGRADED: Sequence[Line] = (
    opened(0.0),
    up(0.005, "CONNECT", {"jwt": "<redacted:1>"}, transport=POLLING),
    SocketChanged(session=1, time=0.018, change="open"),
    engine("up", 0.019, "ping", "probe"),
    down(0.024, "CONNECT", {"sid": "@sid1"}, transport=POLLING),
    engine("down", 0.025, "pong", "probe"),
    up(0.030, "CONNECT", {"token": "<redacted:2>"}, namespace="/admin", transport=POLLING),
    down(0.041, "CONNECT_ERROR", {"message": "not authorized", "data": {"code": 7}}, namespace="/admin", transport=POLLING),
    engine("down", 0.110, "noop", transport=POLLING),
    engine("up", 0.112, "upgrade"),
    up(0.168, "EVENT", ["labs", {"version": "2.18", "messages": [{"role": "user", "content": "Tell me a joke"}]}], id=0),
    down(0.171, "EVENT", ["progress", {"output": "Why", "final": False}]),
    down(0.211, "EVENT", ["progress", {"output": "Why did", "final": True}]),
    down(0.215, "ACK", [{"ok": True}], id=0),
    up(0.359, "EVENT", ["blob", bytes(range(48)), {"name": "x.bin"}], id=1),
    down(0.365, "ACK", [b"\x01\x02\x03"], id=1),
    down(0.400, "EVENT", ["question", 41], id=20),
    up(0.402, "ACK", [42], id=20),
    engine("down", 25.001, "ping"),
    engine("up", 25.002, "pong"),
    up(26.0, "DISCONNECT"),
    SocketChanged(session=1, time=26.001, change="closed", by=Direction.UP, code=1005),
    SessionEnded(session=1, time=26.001, by="client", reason="client close"),
)

TROUBLED: Sequence[Line] = (
    opened(0.0),
    up(0.1, "CONNECT", transport=POLLING),
    opened(0.2, session=2, transport=WEBSOCKET, again=1),
    Note(session=1, time=0.3, what="gap", text="the body of a GET was not recorded"),
    HttpAnswer(
        session=1, time=0.4, method="POST", url="http://chat.example/socket.io/", status=400, content_type="application/json", body='{"code":1}'
    ),
    Undecoded(session=1, time=0.5, direction=Direction.DOWN, transport=POLLING, data="4[", error="unknown-packet-type"),
    Note(session=2, time=0.6, what="guess", text="the order of two packets is a guess"),
    SocketChanged(session=2, time=0.7, change="closed", by=Direction.DOWN, code=1006, reason="abnormal"),
    HttpAnswer(session=0, time=0.8, method="GET", status=0),
    SessionEnded(session=2, time=0.9, by="server", code=1006),
)
"""Two sessions at the same time in which much goes wrong."""

HOSTILE = "</script><!--<b onclick=alert(1)>\u202e\u2028\x00\ud800\U000e0041&amp;"
"""What a page, a terminal or JSON might take for something else."""


def text_of(lines: Sequence[Line], head: Head | None = None) -> bytes:
    """The file of a capture."""
    file = BytesIO()
    writer = Writer(file, head or Head(by="tests", at="2026-11-20T20:15:20Z"))
    for line in lines:
        writer.write(line)
    return file.getvalue()


def written(path: Path, lines: Sequence[Line] = UPGRADED) -> Path:
    """The same, written to `path`."""
    path.write_bytes(text_of(lines))
    return path


def many(count: int) -> list[Line]:
    """A long capture: an answer that grows, a call every now and then, heartbeats."""
    lines: list[Line] = [opened(0.0), up(0.01, "CONNECT", transport=POLLING), down(0.02, "CONNECT", {"sid": "@sid1"}, transport=POLLING)]
    lines.append(engine("up", 0.03, "upgrade"))
    for number in range(len(lines), count):
        time = number * 0.01
        match number % 20:
            case 0:
                lines.append(up(time, "EVENT", ["ask", {"number": number}], id=number))
            case 1:
                lines.append(down(time, "ACK", [number], id=number - 1))
            case 2:
                lines.append(engine("down", time, "ping"))
            case _:
                lines.append(down(time, "EVENT", ["progress", {"number": number, "output": "word " * (number % 20), "x": math.sqrt(number)}]))
    return lines
