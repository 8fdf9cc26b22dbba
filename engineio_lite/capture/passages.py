"""Passages through the door as JSON values, and inputs back from them.

A capture of wire level is made of these. What went in is written so that the very same input can be made again: that is all an offline replay needs.
What came out is written to be compared and shown. The two differ in what they keep of an error. The error of a `Fail` is an input and is written with
everything that it knows. An error inside an event is written as its class, its cause and its sentence *without what the sentence quotes*, because a
quotation is cut to fit a line, and a cut may leave the half of a secret that nobody recognises any more; what was quoted stands in the input, whole.
For the same reason the last packets that `Closed` shows are written as their types.

An object is marked with the class of the value, as ``"is"``. Bytes are text where they are UTF-8 and only bytes can stand there (a body), else, and
wherever text could stand as well (a frame), ``{"$bin": base64}``. Text is kept as it is, lone surrogates included, which a driver's headers may have:
whoever writes JSON text writes those as escapes. Keys that are not known are passed over, since a later version may know more.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec

from engineio_lite.capture.lines import Passage
from engineio_lite.capture.recorder import Record
from engineio_lite.capture.values import from_json, to_json
from engineio_lite.causes import Cause
from engineio_lite.connection import Output
from engineio_lite.exceptions import (
    CaptureError,
    ConnectRefused,
    DecodeError,
    EngineIOError,
    HandshakeError,
    RemoteProtocolError,
    elide,
)
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Headers,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import Packet, PacketType

BINARY: Final = "$bin"
"""The key of bytes in base64."""

_REMEMBERED: Final = frozenset(("last_received", "last_sent"))


def make_passage(record: Record, session: int) -> Passage:
    """Make the line of one record of the door, in session number `session`."""
    return Passage(session=session, at=record.at, input=record.input, outputs=tuple(map(encode_output, record.outputs)))


def encode_passage(record: Record | Passage) -> dict[str, object]:
    """Write one passage down: ``at`` in seconds, ``in``, and ``out`` in order."""
    outputs = record.outputs if isinstance(record, Passage) else map(encode_output, record.outputs)
    return {"at": record.at, "in": encode_input(record.input), "out": list(outputs)}


# --- writing


def encode_input(input: Input) -> dict[str, object]:
    """Write an input down, so that `decode_input` makes an equal one of it."""
    return {"is": "Fail", "error": _encode_evidence(input.error)} if isinstance(input, Fail) else _encode_struct(input)


def encode_output(output: Output) -> dict[str, object]:
    """Write a command or an event down, to be compared with another one."""
    return _encode_struct(output)


def encode_bytes(data: bytes) -> object:
    """Bytes, where nothing else can stand: as text if they are."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return encode_data(data)


def encode_data(data: str | bytes) -> object:
    """Text or bytes, where either can stand."""
    return data if isinstance(data, str) else {BINARY: b64encode(data).decode("ascii")}


def _encode_struct(value: msgspec.Struct) -> dict[str, object]:
    return {"is": type(value).__name__, **{name: _encode_field(name, getattr(value, name)) for name in value.__struct_fields__}}


def _encode_field(name: str, value: Any) -> object:
    if name in _REMEMBERED:
        return [packet.type.value for packet in value]
    if name == "body":
        return encode_bytes(value)
    match value:
        case Enum():
            return value.value
        case bytes():
            return encode_data(value)
        case tuple():
            return [_encode_field("", item) for item in value]
        case EngineIOError():
            return encode_error(value)
        case msgspec.Struct():
            return {field: _encode_field(field, getattr(value, field)) for field in value.__struct_fields__}
        case _:
            return value


def encode_error(error: EngineIOError) -> dict[str, object]:
    """Write an error of an event down: its class (the nearest one of the library's), cause, place and sentence, without quotations."""
    known = next(cls for cls in type(error).__mro__ if cls.__module__ == EngineIOError.__module__)
    sentence = error.detail if isinstance(error, DecodeError) else error.message
    place = {"stage": error.stage, "url": error.url, "status": error.status, "server_code": error.server_code}
    numbers = {name: getattr(error, name, None) for name in ("code", "silence", "allowed") if not isinstance(error, DecodeError)}
    evidence = {name: value for name, value in (place | numbers).items() if value is not None}
    return {"class": known.__name__, "cause": error.cause.value, "message": without_quotations(sentence), **evidence}


_QUOTATION: Final = re.compile(
    r"""(?<!\w)(["'])(?:\\.|(?!\1)[^\\])*\1(?:…\ \(\d+\ characters\))?  # a repr, and how long what was quoted is, if it was cut
      | \bbytes\ [0-9a-f]+(?:…\ \(\d+\ bytes\))?""",
    re.VERBOSE | re.DOTALL,
)
_POSITION: Final = re.compile(r"\bat \d+ of\b")


def without_quotations(sentence: str) -> str:
    """The same sentence without what it quotes, and without the positions and lengths of that."""
    return _POSITION.sub("at … of", _QUOTATION.sub("'…'", sentence))


# --- the error of a Fail, whole

_COMMON: Final = ("message", "cause", "stage", "url", "status", "headers", "body", "server_code")
_OWN: Final[Mapping[type[RemoteProtocolError], tuple[str, ...]]] = MappingProxyType(
    {
        ConnectRefused: ("namespace", "refusal", "data"),
        DecodeError: ("detail", "code", "offset", "layer", "excerpt", "packets"),
        HandshakeError: (),
        RemoteProtocolError: (),
    }
)


def _encode_evidence(error: RemoteProtocolError) -> dict[str, object]:
    known = next(cls for cls in type(error).__mro__ if cls in _OWN)
    fields = {name: getattr(error, name) for name in (*_COMMON, *_OWN[known])}
    return {"class": known.__name__, **{name: to_json(value) if name == "data" else _encode_field(name, value) for name, value in fields.items()}}


# --- reading

_Reader: TypeAlias = Callable[[object, str], Any]
_MISSING: Final = object()


def decode_input(value: object) -> Input:
    """Make the input again that `encode_input` wrote down.

    Raises `CaptureError` (cause ``capture-damaged``) for anything else: it says what was expected, where, and what came.
    """
    fields = _object(value, "an input")
    name = fields.get("is")
    shape = _SHAPES.get(name) if isinstance(name, str) else None
    if shape is None:
        raise _damaged(f"one of {', '.join(_SHAPES)}", "is", name)
    cls, readers = shape
    made: Input = cls(**{field: read(fields.get(field, _MISSING), f"{name}.{field}") for field, read in readers.items()})
    return made


def _damaged(expected: str, where: str, got: object) -> CaptureError:
    shown = "nothing" if got is _MISSING else elide(repr(got))
    return CaptureError(f"expected {expected} as {where} of a passage, got {shown}", cause=Cause.CAPTURE_DAMAGED)


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _damaged("an object", where, value)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _damaged("a string", where, value)
    return value


def _integer(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _damaged("an integer", where, value)
    return value


def _items(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _damaged("an array", where, value)
    return value


def _or_none(read: _Reader) -> _Reader:
    return lambda value, where: None if value is None else read(value, where)


def _many(read: _Reader) -> _Reader:
    return lambda value, where: tuple(read(item, where) for item in _items(value, where))


def decode_data(value: object, where: str) -> str | bytes:
    """Text or bytes, as `encode_data` wrote them; `where` is for the `CaptureError` that is raised for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(packed := value.get(BINARY), str):
        try:
            return b64decode(packed, validate=True)
        except (Base64Error, ValueError):  # the latter for what is not ASCII
            pass
    raise _damaged('a string or {"$bin": base64}', where, value)


def decode_bytes(value: object, where: str) -> bytes:
    """Bytes, as `encode_bytes` wrote them; `where` is for the `CaptureError` that is raised for anything else."""
    data = decode_data(value, where)
    try:
        return data if isinstance(data, bytes) else data.encode()
    except UnicodeEncodeError:
        raise _damaged("text with a UTF-8 form", where, value) from None


def _headers(value: object, where: str) -> Headers:
    pairs = []
    for item in _items(value, where):
        match item:
            case [str(name), str(content)]:
                pairs.append((name, content))
            case _:
                raise _damaged("[name, value]", where, item)
    return tuple(pairs)


def _cause(value: object, where: str) -> Cause:
    try:
        return Cause(_text(value, where))
    except ValueError:
        raise _damaged("the id of a cause", where, value) from None


def _packet(value: object, where: str) -> Packet:
    fields = _object(value, where)
    try:
        packet_type = PacketType(_text(fields.get("type"), where))
    except ValueError:
        raise _damaged("the type of a packet", where, value) from None
    return Packet(packet_type, decode_data(fields.get("data"), where))


def _value(value: object, where: str) -> object:
    if value is _MISSING:
        raise _damaged("a value", where, value)
    try:
        return from_json(value)
    except ValueError:
        raise _damaged("a JSON value", where, value) from None


def _error(value: object, where: str) -> RemoteProtocolError:
    fields = _object(value, where)
    cls = next((cls for cls in _OWN if cls.__name__ == fields.get("class")), None)
    if cls is None:
        raise _damaged("the class of an error", f"{where}.class", fields.get("class", _MISSING))
    read = {name: _EVIDENCE[name](fields.get(name, _MISSING), f"{where}.{name}") for name in (*_COMMON, *_OWN[cls])}
    return make_error(cls, read)


def make_error(cls: type[RemoteProtocolError], evidence: Mapping[str, Any]) -> RemoteProtocolError:
    """An error of that class with this evidence; made past its constructor, which would put the sentence together once more."""
    error = cls.__new__(cls, evidence["message"])
    vars(error).update(evidence)
    return error


_EVIDENCE: Final[Mapping[str, _Reader]] = MappingProxyType(
    {
        "message": _text,
        "cause": _cause,
        "stage": _or_none(_text),
        "url": _or_none(_text),
        "status": _or_none(_integer),
        "headers": _headers,
        "body": decode_bytes,
        "server_code": _or_none(_integer),
        "namespace": _text,
        "refusal": _text,
        "data": _value,
        "detail": _text,
        "code": _cause,
        "offset": _integer,
        "layer": _text,
        "excerpt": _text,
        "packets": _many(_packet),
    }
)


def _shapes(*classes: type[Any], **readers: _Reader) -> Iterable[tuple[str, tuple[type[Any], dict[str, _Reader]]]]:
    return [(cls.__name__, (cls, readers)) for cls in classes]


_SHAPES: Final[Mapping[str, tuple[type[Any], dict[str, _Reader]]]] = MappingProxyType(
    dict(
        [
            *_shapes(Connect, TimePassed),
            *_shapes(SendMessages, messages=_many(decode_data)),
            *_shapes(Close, farewell=_many(decode_data)),
            *_shapes(Fail, error=_error),
            *_shapes(ResponseReceived, request=_integer, status=_integer, headers=_headers, body=decode_bytes),
            *_shapes(RequestFailed, request=_integer, cause=_cause, detail=_text),
            *_shapes(WebSocketOpened, socket=_integer),
            *_shapes(WebSocketRefused, socket=_integer, status=_integer, headers=_headers, body=decode_bytes),
            *_shapes(WebSocketFailed, socket=_integer, cause=_cause, detail=_text),
            *_shapes(FrameReceived, socket=_integer, data=decode_data),
            *_shapes(WebSocketClosed, socket=_integer, code=_or_none(_integer), reason=_text),
        ]
    )
)
"""Each input with its fields, and how each field is read."""
