"""`engineio-lite decode`: what a frame says.

Two uses with one decoder behind them. For people: paste frames, one a line, and read a table; each frame is taken apart as far as it goes, an
Engine.IO packet first and then the Socket.IO packet in its message, and a fault is pointed at. For programs (``--json``): one JSON object a line
in, one a line out, at one layer, in the form that conformance vectors are written in; so a file of vectors can be run through the command.

A line goes in as ``{"text": "…"}``, as ``{"hex": "…"}`` for bytes (a binary frame, or a polling body), or as ``{"frames": [ … ]}`` for a Socket.IO
packet with its attachments. It comes out as ``{"ok": [packets]}``, as ``{"error": {"code", "offset"}}``, or with both where good packets came
before the fault; ``pending`` says that attachments are still missing, ``hint`` that a polling body reads as version 3. Bytes are written ``{"$hex":
"…"}``.

Lines end with a line feed and with nothing else: U+001E, which separates packets, and other characters that Python takes for line ends belong to
the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chat_answers.process import standard_input
from engineio_lite import packet as engineio
from engineio_lite import socketio
from engineio_lite.cli._console import FOUND, readable_errors
from engineio_lite.exceptions import DecodeError, elide
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.payload import SEPARATOR, decode_payload, is_version_3_payload
from engineio_lite.strictjson import JSONError, decode_json


class Layer(StrEnum):
    """What a line is read as."""

    ENGINEIO_PACKET = "engineio-packet"
    ENGINEIO_PAYLOAD = "engineio-payload"
    SOCKETIO_PACKET = "socketio-packet"


# --- for programs: a line of JSON in, a line of JSON out

Result = dict[str, object]

BAD_INPUT: Final = "bad-input"
"""The code for a line that is no input; not a cause of the library, because nothing was decoded."""


class _BadInput(ValueError):
    """A line that is no input, and where that shows."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


def decode_line(line: bytes, layer: Layer, *, lenient: bool = False) -> Result:
    """Decode one line of JSON at one layer; never raises, a line that is no input gives an error with code ``bad-input``."""
    try:
        return _DECODERS[layer](_messages(line), lenient)
    except _BadInput as error:
        return {"error": {"code": BAD_INPUT, "offset": error.offset, "message": str(error)}}


def _messages(line: bytes) -> list[str | bytes]:
    try:
        limits = DEFAULT_LIMITS
        value = decode_json(line.decode(), max_depth=limits.max_depth, max_integer_digits=limits.max_integer_digits)
    except UnicodeDecodeError as error:
        raise _BadInput("expected UTF-8", error.start) from None
    except JSONError as error:
        raise _BadInput(error.message, error.position) from None
    if isinstance(value, dict) and isinstance(value.get("frames"), list):
        return [_message(frame) for frame in value["frames"]]
    return [_message(value)]


def _message(value: object) -> str | bytes:
    if isinstance(value, dict):
        if isinstance(text := value.get("text"), str):
            return text
        if isinstance(digits := value.get("hex"), str):
            try:
                return bytes.fromhex(digits)
            except ValueError:
                raise _BadInput("expected an even number of hexadecimal digits in `hex`") from None
    raise _BadInput('expected {"text": string}, {"hex": string} or {"frames": array of those}')


def _only(messages: list[str | bytes]) -> str | bytes:
    if len(messages) != 1:
        raise _BadInput("expected one message at this layer, got frames")
    return messages[0]


def _decode_engineio_packet(messages: list[str | bytes], lenient: bool) -> Result:
    try:
        return {"ok": [_engineio_packet(engineio.decode_packet(_only(messages), lenient=lenient))]}
    except DecodeError as error:
        return _error(error)


def _decode_engineio_payload(messages: list[str | bytes], lenient: bool) -> Result:
    body = _only(messages)
    try:
        result: Result = {"ok": [_engineio_packet(packet) for packet in decode_payload(body, lenient=lenient)]}
    except DecodeError as error:
        result = {"ok": [_engineio_packet(packet) for packet in error.packets]} if error.packets else {}
        result |= _error(error)
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    return result | ({"hint": "looks-like-eio3"} if is_version_3_payload(text) else {})


def _decode_socketio_packet(messages: list[str | bytes], lenient: bool) -> Result:
    decoder = socketio.Decoder(lenient=lenient)
    packets: list[Result] = []
    for message in messages:
        try:
            packet = decoder.feed(message)
        except DecodeError as error:
            # A connection ends here, so what follows is not read.
            return ({"ok": packets} if packets else {}) | _error(error)
        if packet is not None:
            packets.append(_socketio_packet(packet))
    return {"ok": packets} | ({"pending": True} if decoder.pending else {})


_DECODERS: Final[Mapping[Layer, Callable[[list[str | bytes], bool], Result]]] = MappingProxyType(
    {
        Layer.ENGINEIO_PACKET: _decode_engineio_packet,
        Layer.ENGINEIO_PAYLOAD: _decode_engineio_payload,
        Layer.SOCKETIO_PACKET: _decode_socketio_packet,
    }
)


def _error(error: DecodeError) -> Result:
    return {"error": {"code": error.code.value, "offset": error.offset}}


def _engineio_packet(packet: engineio.Packet) -> Result:
    return {"type": packet.type.value, "data": _plain(packet.data)}


def _socketio_packet(packet: socketio.Packet) -> Result:
    result: Result = {"type": packet.type.value, "nsp": packet.namespace}
    if packet.data is not msgspec.UNSET:
        result["data"] = _plain(packet.data)
    if packet.id is not None:
        result["id"] = packet.id
    return result


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


# --- for people: frames in, rows of a table out


class Row(NamedTuple):
    """One thing found in a frame: a packet of one layer, or a fault with what it points at."""

    line: int
    layer: str
    what: str
    data: str
    is_error: bool = False


def decode_frames(lines: Iterable[str], layer: Layer | None = None, *, lenient: bool = False) -> Iterator[Row]:
    """Take pasted frames apart, one a line; without a layer each is Engine.IO, alone or a polling body, and Socket.IO is looked for in its messages.

    Attachments may follow as ``b`` and base64, the form that they have in a polling body.
    """
    decoder = socketio.Decoder(lenient=lenient)
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if layer is Layer.SOCKETIO_PACKET:
            yield _socketio_row(number, line, decoder)
        else:
            yield from _engineio_rows(number, line, None if layer else decoder, lenient)


def _engineio_rows(number: int, line: str, decoder: socketio.Decoder | None, lenient: bool) -> Iterator[Row]:
    fault: DecodeError | None = None
    try:
        packets = decode_payload(line, lenient=lenient) if SEPARATOR in line else [engineio.decode_packet(line, lenient=lenient)]
    except DecodeError as error:
        fault, packets = error, list(error.packets)
    for packet in packets:
        yield Row(number, "Engine.IO", packet.type.value, elide(packet.data) if packet.data else "")
        if packet.type is engineio.PacketType.MESSAGE and decoder is not None:
            yield _socketio_row(number, packet.data, decoder)
    if fault is not None:
        yield _fault_row(number, "Engine.IO", fault, line)


def _socketio_row(number: int, message: str | bytes, decoder: socketio.Decoder) -> Row:
    try:
        packet = decoder.feed(message)
    except DecodeError as error:
        return _fault_row(number, "Socket.IO", error, message)
    if packet is None:
        return Row(number, "Socket.IO", "…", f"attachments missing: {decoder.pending}")
    details = [packet.type.value]
    if packet.namespace != "/":
        details.append(packet.namespace)
    if packet.id is not None:
        details.append(f"id {packet.id}")
    data = "" if packet.data is msgspec.UNSET else elide(json.dumps(_plain(packet.data), ensure_ascii=False, separators=(",", ":")))
    return Row(number, "Socket.IO", " ".join(details), data)


_WINDOW: Final = 18
"""Characters shown on each side of a fault: few enough for a column of the narrowest terminal."""


def _fault_row(number: int, layer: str, error: DecodeError, source: str | bytes) -> Row:
    shown = f"{error.detail}\n{_point_at(source, error.offset)}" if isinstance(source, str) else error.detail
    return Row(number, layer, f"{error.code.value} at {error.offset}", shown, is_error=True)


def _point_at(text: str, offset: int) -> str:
    """The surroundings of one character, with a caret under it; what does not print takes one place each, so that the caret stays in its own."""
    start = max(offset - _WINDOW, 0)
    window = "".join(character if character.isprintable() else "·" for character in text[start : offset + _WINDOW])
    return f"{window}\n{' ' * (offset - start)}^"


# --- the command


@click.command()
@click.option("--layer", type=click.Choice([layer.value for layer in Layer]), help="What each line is. Without it: an Engine.IO frame and all in it.")
@click.option("--json", "as_json", is_flag=True, help="Read one JSON object a line, write one a line; needs --layer.")
@click.option("--lenient", is_flag=True, help="Accept what lax peers send: sloppy base64, reserved event names.")
@readable_errors
def decode(layer: str | None, as_json: bool, lenient: bool) -> None:
    """Decode frames from standard input, one a line.

    \b
    Exit codes: 0 every line was read; 1 a frame is faulty (with --json: a
    line is no input; there, a faulty frame is a result like any other), or
    the output went nowhere; 2 wrong usage; 130 interrupted.
    """
    chosen = None if layer is None else Layer(layer)
    if not as_json:
        passed = _show(chosen, lenient)
    elif chosen is None:
        raise click.UsageError("--json needs --layer")
    else:
        passed = _answer(chosen, lenient)
    raise SystemExit(0 if passed else FOUND)


def _lines() -> Iterator[bytes]:
    for line in standard_input():
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _answer(layer: Layer, lenient: bool) -> bool:
    passed = True
    for line in _lines():
        result = decode_line(line, layer, lenient=lenient)
        error = result.get("error")
        passed &= not (isinstance(error, dict) and error["code"] == BAD_INPUT)
        # The standard library's encoder, because it writes lone surrogates, which a decoded text may hold.
        click.echo(json.dumps(result))
    return passed


def _show(layer: Layer | None, lenient: bool) -> bool:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("line", "layer", "type", "data"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "line" else "left")
    rows = list(decode_frames((line.decode("utf-8", "replace") for line in _lines()), layer, lenient=lenient))
    for row in rows:
        style = "red" if row.is_error else ""
        table.add_row(str(row.line), row.layer, Text(row.what, style=style), Text(row.data, style=style))
    Console(highlight=False).print(table)
    return not any(row.is_error for row in rows)


command = decode
