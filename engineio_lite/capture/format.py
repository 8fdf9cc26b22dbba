"""A capture as a file: JSON Lines, UTF-8, one line of the capture a line of the file, ``NAME.eio.jsonl``.

    {"k": "head", "v": 1, "by": "engineio_lite 0.1.0", "at": "2026-11-20T20:15:20Z", "src": "record", "level": "packets"}
    {"k": "open", "s": 1, "t": 0.0, "tr": "polling", "url": "http://host.test/socket.io/", "eio": 4, "sid": "@eio1", "hs": {"upgrades": […], …}}
    {"k": "up", "s": 1, "t": 0.005, "tr": "polling", "p": "CONNECT", "nsp": "/", "data": {"jwt": "<redacted:1>"}}
    {"k": "down", "s": 1, "t": 0.024, "tr": "polling", "p": "CONNECT", "nsp": "/", "data": {"sid": "@sid1"}}
    {"k": "up", "s": 1, "t": 0.168, "tr": "websocket", "p": "EVENT", "nsp": "/", "id": 1, "data": ["blob", {"$bin": "AAgQ"}]}
    {"k": "eio", "s": 1, "t": 0.1, "tr": "websocket", "dir": "up", "p": "ping", "data": "probe"}
    {"k": "raw", "s": 1, "t": 0.2, "tr": "websocket", "dir": "down", "data": "4[", "err": "unknown-packet-type"}
    {"k": "http", "s": 1, "t": 2.1, "tr": "polling", "method": "POST", "url": "…", "status": 400, "type": "application/json", "body": "{…}"}
    {"k": "ws", "s": 1, "t": 2.1, "change": "closed", "by": "down", "code": 1000, "reason": "bye"}
    {"k": "note", "s": 1, "t": 2.1, "what": "gap", "text": "the body of a GET was not recorded"}
    {"k": "end", "s": 1, "t": 2.2, "by": "server", "code": 1005, "reason": "transport close"}

and at the level *wire*, in place of all but the head:

    {"k": "door", "s": 1, "url": "http://host.test/engine.io/", "transports": ["polling", "websocket"], "token": "…", "path": "/engine.io/"}
    {"k": "pass", "s": 1, "at": 1234.5, "in": {…}, "out": [{…}, …]}

The keys stand in this order; one that has its default, or nothing to say, is left out. Times are rounded to milliseconds, so that a new recording
differs little from the old one; only the instants of the wire level are exact, because deadlines are compared with them.

A reader passes over kinds of lines and keys that it does not know, so that the format can grow, and refuses another major version. A line that is
damaged is an error, not a line less. What makes a file of these lines is in `file.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

import msgspec

from engineio_lite.capture.lines import (
    VERSION,
    Direction,
    Door,
    EnginePacket,
    Head,
    HttpAnswer,
    Level,
    Line,
    Note,
    Passage,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.capture.passages import decode_input, encode_input
from engineio_lite.capture.values import from_json, to_json, write_json
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, elide
from engineio_lite.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.packet import PacketType as EnginePacketType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport
from engineio_lite.strictjson import JSONError, decode_json

SUFFIX: Final = ".eio.jsonl"
"""How the name of a capture ends, by custom."""

DECIMALS: Final = 3
"""Of a second, in the times of a capture."""


class LoadLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a reader takes; sizes are bytes."""

    max_file: int = 1024 * 1024 * 1024
    """A whole capture: it is held in memory."""

    max_line: int = 192 * 1024 * 1024
    """One line: a packet with as many attachments as a packet may have, in base64, and some room."""

    max_lines: int = 5_000_000
    """Lines of a capture; each costs some hundred bytes beside its text."""

    max_depth: int = 250
    """Nesting within a line: a packet's own depth, doubled at worst by escapes, and the line around it."""


DEFAULT_LOAD_LIMITS: Final = LoadLimits()

# --- writing


def encode_line(line: Line) -> str:
    """One line of the file, without its line feed. The line must have been redacted."""
    return write_json(_WRITERS[type(line)](line))


def _timed(kind: str, line: Any, *, transport: bool = True) -> dict[str, object]:
    """What nearly every line begins with."""
    fields: dict[str, object] = {"k": kind, "s": line.session}
    if line.time is not None:
        fields["t"] = round(line.time, DECIMALS)
    if transport:
        fields["tr"] = line.transport.value
    return fields


def _with(fields: dict[str, object], **more: object) -> dict[str, object]:
    """The same with further fields, those that have nothing to say left out."""
    fields.update((name, value) for name, value in more.items() if value is not None and value != "")
    return fields


def _write_head(head: Head) -> dict[str, object]:
    return _with({"k": "head", "v": head.version}, by=head.by, at=head.at, src=head.source, level=head.level.value)


def _write_opened(line: SessionOpened) -> dict[str, object]:
    return _with(_timed("open", line), url=line.url, eio=line.eio, sid=line.sid, again=line.again, hs=to_json(dict(line.handshake)))


def _write_packet(line: SocketIOPacket) -> dict[str, object]:
    fields = _timed(line.direction.value, line)
    _with(fields, p=line.type.value, nsp=line.namespace, id=line.id, parser=None if line.parser == "default" else line.parser)
    if line.data is not msgspec.UNSET:
        fields["data"] = to_json(line.data)
    return fields


def _write_engine_packet(line: EnginePacket) -> dict[str, object]:
    return _with(_timed("eio", line), dir=line.direction.value, p=line.type.value, data=line.data)


def _write_undecoded(line: Undecoded) -> dict[str, object]:
    fields = _with(_timed("raw", line), dir=line.direction.value)
    fields["data"] = to_json(line.data)
    return _with(fields, err=line.error)


def _write_http(line: HttpAnswer) -> dict[str, object]:
    return _with(_timed("http", line), method=line.method, url=line.url, status=line.status, type=line.content_type, body=line.body)


def _write_socket(line: SocketChanged) -> dict[str, object]:
    by = line.by.value if line.by is not None else None
    return _with(_timed("ws", line, transport=False), change=line.change, by=by, code=line.code, reason=line.reason)


def _write_note(line: Note) -> dict[str, object]:
    return _with(_timed("note", line, transport=False), what=line.what, text=line.text)


def _write_ended(line: SessionEnded) -> dict[str, object]:
    return _with(_timed("end", line, transport=False), by=line.by, code=line.code, reason=line.reason)


def _write_door(line: Door) -> dict[str, object]:
    fields: dict[str, object] = {"k": "door", "s": line.session, "url": line.url, "transports": list(line.transports)}
    _with(fields, token=line.token, path=line.default_path)
    return _with(fields, limits=_changed(line.limits, DEFAULT_LIMITS), timeouts=_changed(line.timeouts, DEFAULT_TIMEOUTS))


def _changed(values: msgspec.Struct, defaults: msgspec.Struct) -> dict[str, object] | None:
    usual = msgspec.structs.asdict(defaults)
    return {name: value for name, value in msgspec.structs.asdict(values).items() if value != usual[name]} or None


def _write_passage(line: Passage) -> dict[str, object]:
    return {"k": "pass", "s": line.session, "at": line.at, "in": encode_input(line.input), "out": list(line.outputs)}


_WRITERS: Final[Mapping[type, Callable[[Any], dict[str, object]]]] = {
    Head: _write_head,
    SessionOpened: _write_opened,
    SocketIOPacket: _write_packet,
    EnginePacket: _write_engine_packet,
    Undecoded: _write_undecoded,
    HttpAnswer: _write_http,
    SocketChanged: _write_socket,
    Note: _write_note,
    SessionEnded: _write_ended,
    Door: _write_door,
    Passage: _write_passage,
}


# --- reading


def decode_line(text: str, limits: LoadLimits = DEFAULT_LOAD_LIMITS, *, path: str | None = None, number: int | None = None) -> Line | None:
    """Read one line of a file; None for a kind that is not known. Raises `CaptureError`, in which `path` and `number` say where."""
    damaged = Cause.NOT_A_CAPTURE if number == 1 else Cause.CAPTURE_DAMAGED
    try:
        fields = decode_json(text, max_depth=limits.max_depth, max_integer_digits=DEFAULT_LIMITS.max_integer_digits)
    except JSONError as error:
        raise CaptureError(f"{error.message}, got {elide(text)}", cause=damaged, path=path, line=number) from None
    if not isinstance(fields, dict) or not isinstance(fields.get("k"), str):
        raise CaptureError(f'expected an object with a kind ("k"), got {elide(text)}', cause=damaged, path=path, line=number)
    reader = _READERS.get(fields["k"])
    if reader is None:
        return None
    try:
        return reader(_Fields(fields))
    except _Version as error:
        raise CaptureError(str(error), cause=Cause.CAPTURE_VERSION, path=path, line=number) from None
    except CaptureError as error:
        raise CaptureError(error.message, cause=damaged, path=path, line=number) from None
    except ValueError as error:
        raise CaptureError(f"{error}, in {elide(text)}", cause=damaged, path=path, line=number) from None


class _Version(ValueError):
    """A version that this reader does not know."""


T = TypeVar("T")


class _Fields:
    """The fields of one line, asked for by name and kind; raises ValueError for what has another."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        value = self._fields.get(name, default)
        if kind is float and type(value) is int:
            value = cast("T", float(value))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f'expected "{name}" to be {_KINDS[kind]}, got {"nothing" if value is None else elide(repr(value))}')
        return value

    def maybe(self, name: str, kind: type[T]) -> T | None:
        return None if self._fields.get(name) is None else self.get(name, kind)

    def choice(self, name: str, kind: Callable[[str], T], default: str | None = None) -> T:
        value = self.get(name, str, default)
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f'expected "{name}" to be one of {", ".join(map(str, cast("Any", kind)))}, got {elide(value)}') from None

    def data(self, name: str = "data") -> object:
        return from_json(self._fields[name]) if name in self._fields else msgspec.UNSET

    def timed(self) -> dict[str, Any]:
        return {"session": self.get("s", int), "time": self.maybe("t", float)}

    def carried(self) -> dict[str, Any]:
        return {**self.timed(), "transport": self.choice("tr", Transport)}


_KINDS: Final = {str: "a string", int: "an integer", float: "a number", list: "an array", dict: "an object"}


def _read_head(fields: _Fields) -> Head:
    version = fields.get("v", int)
    if version != VERSION:
        raise _Version(f"expected version {VERSION} of the format, got {version}")
    level = fields.choice("level", Level, Level.PACKETS.value)
    return Head(by=fields.get("by", str, ""), at=fields.get("at", str, ""), source=fields.get("src", str, ""), level=level)


def _read_opened(fields: _Fields) -> SessionOpened:
    handshake = cast("dict[str, object]", from_json(fields.get("hs", dict, {})))
    return SessionOpened(
        **fields.carried(),
        url=fields.get("url", str, ""),
        eio=fields.get("eio", int, 4),
        sid=fields.get("sid", str, ""),
        handshake=handshake,
        again=fields.maybe("again", int),
    )


def _packet_reader(direction: Direction) -> Callable[[_Fields], Line]:
    def read_packet(fields: _Fields) -> SocketIOPacket:
        return SocketIOPacket(
            **fields.carried(),
            direction=direction,
            type=fields.choice("p", PacketType),
            namespace=fields.get("nsp", str, "/"),
            id=fields.maybe("id", int),
            data=fields.data(),
            parser=fields.get("parser", str, "default"),
        )

    return read_packet


def _read_engine_packet(fields: _Fields) -> EnginePacket:
    packet_type = fields.choice("p", EnginePacketType)
    return EnginePacket(**fields.carried(), direction=fields.choice("dir", Direction), type=packet_type, data=fields.get("data", str, ""))


def _read_undecoded(fields: _Fields) -> Undecoded:
    data = fields.data()
    if not isinstance(data, str | bytes):
        raise ValueError('expected "data" to be a string or bytes')
    return Undecoded(**fields.carried(), direction=fields.choice("dir", Direction), data=data, error=fields.get("err", str, ""))


def _read_http(fields: _Fields) -> HttpAnswer:
    return HttpAnswer(
        **fields.carried(),
        method=fields.get("method", str),
        url=fields.get("url", str, ""),
        status=fields.get("status", int),
        content_type=fields.get("type", str, ""),
        body=fields.get("body", str, ""),
    )


def _read_socket(fields: _Fields) -> SocketChanged:
    by = fields.choice("by", Direction) if fields.maybe("by", str) is not None else None
    return SocketChanged(
        **fields.timed(), change=fields.get("change", str), by=by, code=fields.maybe("code", int), reason=fields.get("reason", str, "")
    )


def _read_note(fields: _Fields) -> Note:
    return Note(**fields.timed(), what=fields.get("what", str), text=fields.get("text", str, ""))


def _read_ended(fields: _Fields) -> SessionEnded:
    return SessionEnded(**fields.timed(), by=fields.get("by", str, "unknown"), code=fields.maybe("code", int), reason=fields.get("reason", str, ""))


def _read_door(fields: _Fields) -> Door:
    return Door(
        session=fields.get("s", int),
        url=fields.get("url", str),
        transports=tuple(map(str, fields.get("transports", list))),
        token=fields.get("token", str, ""),
        default_path=fields.get("path", str, "/engine.io/"),
        limits=_bounds(fields.get("limits", dict, {}), Limits),
        timeouts=_bounds(fields.get("timeouts", dict, {}), Timeouts),
    )


Bounds = TypeVar("Bounds", Limits, Timeouts)


def _bounds(values: dict[str, object], kind: type[Bounds]) -> Bounds:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"unusable {kind.__name__.lower()}: {error}") from None


def _read_passage(fields: _Fields) -> Passage:
    return Passage(
        session=fields.get("s", int), at=fields.get("at", float), input=decode_input(fields.get("in", dict)), outputs=tuple(fields.get("out", list))
    )


_READERS: Final[Mapping[str, Callable[[_Fields], Line]]] = {
    "head": _read_head,
    "open": _read_opened,
    "up": _packet_reader(Direction.UP),
    "down": _packet_reader(Direction.DOWN),
    "eio": _read_engine_packet,
    "raw": _read_undecoded,
    "http": _read_http,
    "ws": _read_socket,
    "note": _read_note,
    "end": _read_ended,
    "door": _read_door,
    "pass": _read_passage,
}
