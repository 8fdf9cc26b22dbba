"""One Engine.IO packet: its seven types, and its form on a channel that can carry bytes or on one that cannot.

A packet is a type and some data. On the wire it is text: one ASCII digit for the type, then the data, verbatim. There is one exception, and it is
the whole reason why this module has two encoders. A *binary message* has no digit. A WebSocket sends it as a binary frame that holds the bytes and
nothing else; a channel that carries only text (a polling body, or a WebSocket whose client asked for it) sends the letter ``b`` and then the bytes
in base64. Only messages can be binary, so after the ``b`` no type follows; the ``b4`` of version 3 is read as base64 that begins with ``4``.

What the module refuses to know: what the data means. ``4{"a":1}`` is a message whose data is seven characters; whoever sent JSON can ask for JSON.
(The Python reference guesses JSON at this level and turns the message ``true`` into a boolean, which cannot be sent back as it came.)

The decoder is strict where the references are generous: the type is an ASCII digit, looked up and not computed, because ``int()`` accepts the
digits of every script; base64 is the standard alphabet with its padding and nothing else, because both references skip what they do not know and
hand over bytes that nobody sent. ``lenient=True`` accepts such base64 for looking at captures of lax peers.

Reference: engine.io-protocol version 4, "Packet encoding".
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError, elide


class PacketType(StrEnum):
    """The seven packet types of Engine.IO version 4, named as the specification names them."""

    OPEN = "open"
    CLOSE = "close"
    PING = "ping"
    PONG = "pong"
    MESSAGE = "message"
    UPGRADE = "upgrade"
    NOOP = "noop"


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Engine.IO packet: a type and its data, text for every type, bytes for a binary message only.

    Its `repr` is made for logs: shortened, and without what an open packet or a Socket.IO CONNECT would give away.
    """

    type: PacketType
    data: str | bytes = ""

    def __repr__(self) -> str:
        data = self.data
        if isinstance(data, bytes):
            # With the msgpack parser a CONNECT is a map, and its keys may come in any order.
            is_map = data[:1] in _MSGPACK_MAPS
            return f"Packet({self.type.value}, {f'<{len(data)} bytes>' if is_map else elide(data)})"
        secret = self.type is PacketType.OPEN or (self.type is PacketType.MESSAGE and data[:2] in ("0{", "0/"))
        return f"Packet({self.type.value}, {f'<{len(data)} characters>' if secret else elide(data)})"


LAYER: Final = "engineio-packet"

_MSGPACK_MAPS: Final = frozenset(bytes([head]) for head in (*range(0x80, 0x90), 0xDE, 0xDF))
"""The first bytes of what may be a packet of the msgpack parser."""

# The specification numbers the types in the order in which the enumeration lists them.
_TYPES: Final = {str(digit): packet_type for digit, packet_type in enumerate(PacketType)}
_DIGITS: Final = {packet_type: digit for digit, packet_type in _TYPES.items()}

_MESSAGE: Final = PacketType.MESSAGE

_REST: Final = slice(1, None)
"""What follows the type; written once, because making a slice costs as much as a comparison, and this is done for every packet."""


def decode_packet(data: str | bytes, *, lenient: bool = False) -> Packet:
    """Decode one packet from one WebSocket message or one piece of a polling body.

    Bytes are a binary message as they stand. Text is a digit and the data, or ``b`` and base64; `lenient` accepts base64 without its padding, with
    the URL-safe alphabet, or with characters that do not belong there, which are skipped.

    Raises `DecodeError` with code ``empty-packet``, ``unknown-packet-type`` or ``bad-base64``; the offset counts code points from the start of
    `data`.
    Reference: engine.io-protocol version 4, "Packet encoding".
    """
    if type(data) is str:
        try:
            return Packet(_TYPES[data[0]], data[_REST])
        except (KeyError, IndexError):
            pass
    return _decode_rare(data, lenient)


def _decode_rare(data: str | bytes, lenient: bool) -> Packet:
    """Everything that is not a digit followed by text."""
    if isinstance(data, bytes):
        return Packet(_MESSAGE, bytes(data))  # which copies only what is of a subclass
    if not isinstance(data, str):
        raise LocalProtocolError(f"expected a packet as str or bytes, got {type(data).__name__}", cause=Cause.BAD_MESSAGE)
    if not data:
        raise DecodeError("expected a packet type, got nothing", code=Cause.EMPTY_PACKET, offset=0, layer=LAYER)
    if data[0] == "b":
        return Packet(_MESSAGE, _decode_base64_leniently(data) if lenient else _decode_base64(data))
    raise DecodeError(
        f"expected a packet type (a digit 0 to 6, or b), got {data[0]!r}{_guess(data)}",
        code=Cause.UNKNOWN_PACKET_TYPE,
        offset=0,
        layer=LAYER,
        source=data,
    )


# What people meet when the peer is not an Engine.IO server, or something in between answered for it.
_GUESSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "<": " (this looks like a web page)",
        "{": " (this looks like JSON)",
        "[": " (this looks like JSON)",
        '"': " (this looks like JSON)",
        "\ufeff": " (this is a byte order mark)",
        "_": " (this looks like JSONP)",
        "7": " (version 4 has no such type; version 3 begins with a length)",
        "8": " (version 4 has no such type; version 3 begins with a length)",
        "9": " (version 4 has no such type; version 3 begins with a length)",
    }
)


def _guess(data: str) -> str:
    return _GUESSES.get(data[0], "")


# --- base64


def _decode_base64(text: str) -> bytes:
    """Decode what follows the ``b``, strictly: RFC 4648 section 4 with padding, but stray bits of the last character are ignored, as everywhere."""
    # a2b_base64 skips what it does not know, so it would do with a wrong alphabet. But every skipped character makes the result shorter than the
    # length of the text promises, and nothing can make up for it: equal lengths prove that each character was used.
    body = text[1:]
    padding = body.endswith("=") + body.endswith("==")
    try:
        data = a2b_base64(body)
    except (Base64Error, ValueError):
        data = None
    if data is None or len(body) % 4 or len(data) != len(body) // 4 * 3 - padding:
        raise _explain_base64(text)
    return data


_ALPHABET: Final = re.compile(r"[A-Za-z0-9+/]*+")


def _explain_base64(text: str) -> DecodeError:
    """Find the first character of `text`, which starts with ``b``, that cannot be where it is."""
    end = _first_misfit(text)
    found = f"got {text[end]!r}" if end < len(text) else "the text ended"
    return _base64_error(f"expected standard base64 with its padding, {found}", end, text)


def _first_misfit(text: str) -> int:
    run = _ALPHABET.match(text, 1)
    end = run.end() if run else 1  # the pattern matches the empty string, so there always is a run
    # Two or three characters of the last group of four may be followed by what completes it; none or one cannot.
    wanted = {2: "==", 3: "="}.get((end - 1) % 4, "")
    for sign in wanted:
        if text[end : end + 1] != sign:
            return end
        end += 1
    return end


def _base64_error(message: str, offset: int, source: str) -> DecodeError:
    return DecodeError(message, code=Cause.BAD_BASE64, offset=offset, layer=LAYER, source=source)


_URL_SAFE: Final = str.maketrans("-_", "+/")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/]+")
_DATA: Final = re.compile(r"[A-Za-z0-9+/_-]")


def _decode_base64_leniently(text: str) -> bytes:
    """Decode as both references do, except that data after the padding, which both drop, is an error: dropping is not leniency but loss."""
    end = text.find("=", 1)
    body = text[1:] if end < 0 else text[1:end]
    late = _DATA.search(text, end) if end >= 0 else None
    if late is not None:
        raise _base64_error(f"expected nothing after the padding of base64, got {late.group()!r}", late.start(), text)
    characters = _FOREIGN.sub("", body.translate(_URL_SAFE))
    if len(characters) % 4 == 1:
        raise _base64_error("expected at least two base64 characters for the last byte, the text ended", len(text), text)
    return a2b_base64(characters + "=" * (-len(characters) % 4))


# --- encoding


def encode_packet(packet: Packet) -> str | bytes:
    """Encode one packet as one WebSocket message: bytes for a binary message, which are the bytes themselves, text for everything else.

    Raises `LocalProtocolError` (cause ``bad-message``) for what cannot be written: a type that is none of the seven, bytes with a type other than
    message, data that is neither `str` nor `bytes`, and text with a lone surrogate, which has no UTF-8 form.
    Reference: engine.io-protocol version 4, "Packet encoding".
    """
    data = packet.data
    # Text that is ASCII throughout, which Python knows of every string, has nothing that could be wrong with it.
    if type(data) is str and data.isascii():
        return _digit(packet) + data
    if isinstance(data, bytes):
        _require_message(packet)
        return data
    return _encode_text(packet, data)


def encode_packet_as_text(packet: Packet) -> str:
    """Encode one packet for a channel that carries only text: a binary message becomes ``b`` and standard base64 with padding.

    Raises `LocalProtocolError` as `encode_packet` does.
    Reference: engine.io-protocol version 4, "Packet encoding".
    """
    data = packet.data
    if isinstance(data, bytes):
        _require_message(packet)
        return "b" + b2a_base64(data, newline=False).decode("ascii")
    return _encode_text(packet, data)


def _encode_text(packet: Packet, data: str) -> str:
    if not isinstance(data, str):
        raise _bad_message(f"expected data as str or bytes, got {type(data).__name__}")
    if not data.isascii():
        _require_utf8(data)
    return _digit(packet) + data


def _digit(packet: Packet) -> str:
    try:
        return _DIGITS[packet.type]
    except (KeyError, TypeError):
        raise _bad_message(f"expected one of the seven packet types, got {packet.type!r}") from None


def _require_message(packet: Packet) -> None:
    if packet.type != _MESSAGE:
        raise _bad_message(f"expected text as the data of a packet of type {packet.type}, got bytes (only a message can be binary)")


def _require_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _bad_message(f"expected text with a UTF-8 form, got a lone surrogate at {error.start} of {elide(text)}") from None


def _bad_message(message: str) -> LocalProtocolError:
    return LocalProtocolError(message, cause=Cause.BAD_MESSAGE)
