"""A capture as rows for people: each line worth seeing, numbered, with what an answer answers and how long that took.

Whoever shows a capture, in a terminal, as a page, as JSON, shows steps; so what is paired with what, what counts as an error and how a line is put
into words is decided here once. What a step looks like is not decided here.

Three packets answer another one. An ACK answers the latest event of the other direction, in its session and namespace, that asked with its id and has
no answer yet: ids begin anew after a reconnect, and an event that is repeated keeps its id. A CONNECT from the server, or a CONNECT_ERROR, answers
the latest CONNECT of the client to that namespace.

Lines of the wire level have no step: a capture of that level is first derived to packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

import msgspec
from msgspec import UNSET

from engineio_lite.capture.jsonpaths import show_value
from engineio_lite.capture.lines import (
    Direction,
    Door,
    EnginePacket,
    Head,
    HttpAnswer,
    Line,
    Note,
    Passage,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PLAIN, PacketType
from engineio_lite.state import Transport

ORDERLY_CODES: Final = frozenset((None, 1000, 1001, 1005))
"""Close codes of a WebSocket that ended as it should: normal, going away, none given (RFC 6455, section 7.4.1)."""

GAP: Final = "gap"
"""The name of a note that says that packets may be missing."""


class StepKind(StrEnum):
    """What a step is: a Socket.IO packet, an Engine.IO packet, a message that is none, or something that happened around them."""

    PACKET = "packet"
    ENGINE = "engine"
    MESSAGE = "message"
    HTTP = "http"
    SOCKET = "socket"
    NOTE = "note"
    GAP = "gap"
    OPEN = "open"
    END = "end"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `number` counts from 1 over the whole capture; `time` is seconds since it began, None where it is not known.

    `packet` names the packet: in capitals for Socket.IO, in lower case for Engine.IO, and for what is no packet something like ``http 400``. `event`
    is the name of an event and, for an ACK, of the event that it answers. `answers` and `answered_by` are numbers of steps, `latency` is the seconds
    between the two. `attachments` are those in `data`, in the order in which they stand there. `text` says in words what has no data.
    """

    number: int
    session: int
    time: float | None = None
    kind: StepKind
    direction: Direction | None = None
    transport: Transport | None = None
    packet: str
    namespace: str | None = None
    id: int | None = None
    data: object = UNSET
    event: str | None = None
    answers: int | None = None
    answered_by: int | None = None
    latency: float | None = None
    attachments: tuple[bytes, ...] = ()
    text: str = ""
    is_error: bool = False


def read_steps(lines: Iterable[Line]) -> list[Step]:
    """The steps of a whole capture."""
    reader = StepReader()
    steps = [step for line in lines if (step := reader.read(line)) is not None]
    answers = {step.answers: step for step in steps if step.answers is not None}
    return [_answered(step, answers.get(step.number)) for step in steps]


def _answered(step: Step, answer: Step | None) -> Step:
    return step if answer is None else msgspec.structs.replace(step, answered_by=answer.number, latency=answer.latency)


_Question = tuple[int, str, Direction, int | None]
"""What waits for an answer: session, namespace, direction, and the id, which is None for a CONNECT."""


class StepReader:
    """Reads lines one after the other, for what cannot wait for the end; a step does not know then whether it will be answered."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[_Question, Step] = {}
        self._speak_socketio: set[int] = set()

    def read(self, line: Line) -> Step | None:
        """The step that a line is; None for one that is not worth seeing."""
        if isinstance(line, Head | Door | Passage):
            return None
        self._count += 1
        match line:
            case SocketIOPacket():
                return self._packet(line)
            case EnginePacket():
                return self._engine(line)
            case Undecoded():
                return self._message(line)
            case HttpAnswer():
                return self._http(line)
            case _:
                return self._around(line)

    def _packet(self, line: SocketIOPacket) -> Step:
        self._speak_socketio.add(line.session)
        packet_type = PLAIN.get(line.type, line.type)
        asked = self._asked(line, packet_type)
        step = Step(
            number=self._count,
            session=line.session,
            time=line.time,
            kind=StepKind.PACKET,
            direction=line.direction,
            transport=line.transport,
            packet=packet_type.value,
            namespace=line.namespace,
            id=line.id,
            data=line.data,
            event=_event(packet_type, line.data) if asked is None else asked.event,
            answers=None if asked is None else asked.number,
            latency=None if asked is None or asked.time is None or line.time is None else line.time - asked.time,
            attachments=tuple(_attachments(line.data)),
            is_error=packet_type is PacketType.CONNECT_ERROR,
        )
        if _asks(packet_type, line):
            self._open[line.session, line.namespace, line.direction, line.id] = step
        return step

    def _asked(self, line: SocketIOPacket, packet_type: PacketType) -> Step | None:
        """The step that this packet answers."""
        if line.direction is Direction.DOWN and packet_type in _ANSWERS_TO_CONNECT:
            return self._open.pop((line.session, line.namespace, Direction.UP, None), None)
        if packet_type is PacketType.ACK:
            return self._open.pop((line.session, line.namespace, OTHER[line.direction], line.id), None)
        return None

    def _engine(self, line: EnginePacket) -> Step:
        words = _ENGINE_WORDS.get((line.type, line.data), "")
        return self._step(line, StepKind.ENGINE, line.type.value, words, direction=line.direction, transport=line.transport, data=line.data or UNSET)

    def _message(self, line: Undecoded) -> Step:
        return self._step(
            line,
            StepKind.MESSAGE,
            EngineType.MESSAGE.value,
            line.error,
            direction=line.direction,
            transport=line.transport,
            data=line.data,
            attachments=(line.data,) if isinstance(line.data, bytes) else (),
            # A session that never spoke Socket.IO is one of Engine.IO alone, where a message that is no Socket.IO is as it should be.
            is_error=line.session in self._speak_socketio,
        )

    def _http(self, line: HttpAnswer) -> Step:
        data = {"method": line.method, "url": line.url, "status": line.status, "content_type": line.content_type, "body": line.body}
        return self._step(
            line,
            StepKind.HTTP,
            f"http {line.status}" if line.status else "http",
            _http_words(line),
            direction=Direction.DOWN,
            transport=line.transport,
            data=data,
            is_error=line.status == 0 or line.status >= 400,
        )

    def _around(self, line: SessionOpened | SocketChanged | Note | SessionEnded) -> Step:
        match line:
            case SessionOpened():
                data = {**line.handshake, "sid": line.sid}
                return self._step(line, StepKind.OPEN, "open", _opened_words(line), direction=Direction.DOWN, transport=line.transport, data=data)
            case SocketChanged():
                return self._step(line, StepKind.SOCKET, f"websocket {line.change}", _socket_words(line), is_error=line.code not in ORDERLY_CODES)
            case Note():
                is_gap = line.what == GAP
                return self._step(line, StepKind.GAP if is_gap else StepKind.NOTE, line.what, line.text, is_error=is_gap)
            case SessionEnded():
                return self._step(line, StepKind.END, "end", _ended_words(line), is_error=line.code not in ORDERLY_CODES)
            case _:
                assert_never(line)

    def _step(
        self,
        line: EnginePacket | Undecoded | HttpAnswer | SessionOpened | SocketChanged | Note | SessionEnded,
        kind: StepKind,
        packet: str,
        text: str,
        *,
        direction: Direction | None = None,
        transport: Transport | None = None,
        data: object = UNSET,
        attachments: tuple[bytes, ...] = (),
        is_error: bool = False,
    ) -> Step:
        return Step(
            number=self._count,
            session=line.session,
            time=line.time,
            kind=kind,
            direction=direction,
            transport=transport,
            packet=packet,
            data=data,
            attachments=attachments,
            text=text,
            is_error=is_error,
        )


OTHER: Final[Mapping[Direction, Direction]] = MappingProxyType({Direction.UP: Direction.DOWN, Direction.DOWN: Direction.UP})
"""The other way."""

_ANSWERS_TO_CONNECT: Final = (PacketType.CONNECT, PacketType.CONNECT_ERROR)


def _asks(packet_type: PacketType, line: SocketIOPacket) -> bool:
    if packet_type is PacketType.CONNECT:
        return line.direction is Direction.UP
    return packet_type is PacketType.EVENT and line.id is not None


def _event(packet_type: PacketType, data: object) -> str | None:
    if packet_type is not PacketType.EVENT or not isinstance(data, list) or not data:
        return None
    return data[0] if isinstance(data[0], str) else show_value(data[0])


def _attachments(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _attachments(item)


# --- in words

_ENGINE_WORDS: Final[Mapping[tuple[EngineType, str], str]] = MappingProxyType(
    {
        (EngineType.PING, "probe"): "can you hear me?",
        (EngineType.PONG, "probe"): "frames pass both ways",
        (EngineType.UPGRADE, ""): "from here on by WebSocket",
        (EngineType.NOOP, ""): "ends a poll",
    }
)


def _http_words(line: HttpAnswer) -> str:
    if not line.status:
        return f"{line.method} was not answered"
    return f"{line.method} answered {line.status}" + (f": {line.body}" if line.body else "")


def _opened_words(line: SessionOpened) -> str:
    interval, timeout = line.handshake.get("pingInterval"), line.handshake.get("pingTimeout")
    words = [line.url, f"begins on {line.transport.value}"] if line.url else [f"begins on {line.transport.value}"]
    words += [f"follows session {line.again} after a reconnect"] if line.again is not None else []
    words += [f"Engine.IO {line.eio}"] if line.eio != 4 else []
    if isinstance(interval, int | float) and isinstance(timeout, int | float):
        words.append(f"ping every {interval / 1000:g} s, timeout {timeout / 1000:g} s")
    return " · ".join(words)


def _socket_words(line: SocketChanged) -> str:
    if line.change == "open":
        return "WebSocket opened"
    by = {Direction.UP: " by the client", Direction.DOWN: " by the server"}.get(line.by, "") if line.by is not None else ""
    return f"WebSocket closed{by}{_code_words(line.code, line.reason)}"


def _ended_words(line: SessionEnded) -> str:
    by = f" by the {line.by}" if line.by in ("client", "server") else ""
    return f"session {line.session} ended{by}{_code_words(line.code, line.reason)}"


def _code_words(code: int | None, reason: str) -> str:
    said = [f"code {code}"] if code is not None else []
    return "".join(f", {word}" for word in [*said, *([reason] if reason else [])])
