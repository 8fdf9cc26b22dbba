"""A polling body: several packets in one HTTP message, and how many of them fit.

A body is packets in their text form joined by U+001E, the record separator, encoded as UTF-8: no length, no count, no separator at either end. JSON
escapes control characters, so Socket.IO never writes the separator inside a packet; a raw text message may, and would arrive as two packets. There
is no escape for it, hence such a message is refused for this transport (a WebSocket carries it well).

How much may travel is bounded from two sides, and by two rules that look alike but are not. ``maxPayload``, which the server announces, counts the
bytes of a whole request: more is answered with 413, and the request is lost. And python-engineio drops a body of more than 16 packets while it
answers ``200 OK``, so `encode_payload` stops there too. The sizes are exact (the reference client multiplies binary data by 1.33, which can come
out some bytes short). Neither bound is for what the server sends: bodies that arrive may be as large as the reader's own limit.

Decoding never loses what came before a fault: the error carries the good packets. That is what the Node reference does by delivering as it goes,
while the Python one throws the whole body away.

Reference: engine.io-protocol version 4, "HTTP long-polling".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from engineio_lite.causes import Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError, PayloadTooLarge, elide
from engineio_lite.packet import Packet, decode_packet, encode_packet_as_text

LAYER: Final = "engineio-payload"

SEPARATOR: Final = "\x1e"

MAX_PACKETS: Final = 16
"""Packets in one request: `Payload.max_decode_packets` of python-engineio, beyond which it answers 200 OK and drops them all."""


def decode_payload(body: str | bytes, *, lenient: bool = False) -> list[Packet]:
    """Split a polling body and decode its packets, in order; an empty body has none.

    `lenient` is that of `decode_packet`. There is no bound on the number of packets, because the body itself has one.

    Raises `DecodeError`, its `packets` being the good ones before the fault: with the codes of `decode_packet` and an offset in code points from the
    start of the body, or with ``bad-utf8`` and an offset in bytes.
    Reference: engine.io-protocol version 4, "HTTP long-polling".
    """
    if not body:
        # python-engineio answers a poll with nothing when its queue was closed meanwhile.
        return []
    if isinstance(body, str):
        return _decode_text(body, lenient)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _bad_utf8(body, error, lenient) from None
    return _decode_text(text, lenient)


def _decode_text(text: str, lenient: bool) -> list[Packet]:
    packets: list[Packet] = []
    pieces = text.split(SEPARATOR)
    try:
        for piece in pieces:
            packets.append(decode_packet(piece, lenient=lenient))  # what was decoded before a fault must survive it
    except DecodeError as error:
        start = sum(map(len, pieces[: len(packets)])) + len(packets)
        raise DecodeError(
            error.detail, code=error.code, offset=start + error.offset, layer=LAYER, source=pieces[len(packets)], packets=packets
        ) from None
    return packets


def _bad_utf8(body: bytes, error: UnicodeDecodeError, lenient: bool) -> DecodeError:
    """The error for a body with bytes that are no UTF-8: packets end at separators, so those before the packet in question are whole and good."""
    end = body.rfind(SEPARATOR.encode(), 0, error.start)
    packets = _decode_text(body[:end].decode(), lenient) if end >= 0 else []
    return DecodeError(
        f"expected UTF-8, got {body[error.start : error.end].hex()} ({error.reason})",
        code=Cause.BAD_UTF8,
        offset=error.start,
        layer=LAYER,
        source=body[max(error.start - 16, 0) : error.start + 16],
        packets=packets,
    )


# --- encoding


def packet_cost(packet: Packet) -> int:
    """How many bytes a packet takes in a polling body, the separator not counted: 1 + UTF-8 length, or 1 + 4 * ceil(length / 3) for binary."""
    data = packet.data
    if isinstance(data, bytes):
        return 1 + (len(data) + 2) // 3 * 4
    if data.isascii():
        return 1 + len(data)
    return len(encode_packet_as_text(packet).encode())


def encode_payload(packets: Iterable[Packet], *, max_payload: int | None = None, max_packets: int = MAX_PACKETS) -> tuple[bytes, list[Packet]]:
    """Encode as many packets as fit into one polling body, in order; return the body and the packets that are left.

    The body is the longest prefix of `packets` that has at most `max_payload` bytes (None: no bound) and at most `max_packets` packets; without
    packets it is empty.

    Raises `PayloadTooLarge` if the first packet alone is larger than `max_payload`, because no body can carry it, and `LocalProtocolError` with
    cause ``separator-in-text`` for text with U+001E, ``bad-message`` as `encode_packet` does, or ``bad-option`` if `max_packets` is less than 1.
    Packets that are left are not looked at.
    Reference: engine.io-protocol version 4, "HTTP long-polling".
    """
    if max_packets < 1:
        raise LocalProtocolError(f"expected max_packets to be at least 1, got {max_packets}", cause=Cause.BAD_OPTION)
    waiting = list(packets)
    parts: list[bytes] = []
    size = 0
    for packet in islice(waiting, max_packets):
        part = _encode_part(packet)
        size += len(part) + bool(parts)  # a separator in front of every part but the first
        if max_payload is not None and size > max_payload:
            if not parts:
                raise PayloadTooLarge(len(part), max_payload)
            break
        parts.append(part)
    return SEPARATOR.encode().join(parts), waiting[len(parts) :]


def _encode_part(packet: Packet) -> bytes:
    text = encode_packet_as_text(packet)
    if SEPARATOR in text:
        raise LocalProtocolError(
            f"expected text without U+001E, which separates packets in a polling body, got it at {text.index(SEPARATOR) - 1} of {elide(text[1:])}",
            cause=Cause.SEPARATOR_IN_TEXT,
        )
    return text.encode()


# --- recognising version 3

_V3_PACKET: Final = re.compile(r"([0-9]{1,9}):")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")


def is_version_3_payload(text: str) -> bool:
    """Say whether a whole body reads as the framing of Engine.IO 3: ``<length>:<packet>`` repeated, lengths in UTF-16 code units.

    A hint for people and no more: ``4:foo!`` is a good message of version 4 as well, so nothing but a diagnosis may depend on this.
    Reference: engine.io-protocol version 3, "Payload".
    """
    text = _ASTRAL.sub("\ufffd\ufffd", text)  # one character for every UTF-16 code unit
    position = 0
    while position < len(text):
        header = _V3_PACKET.match(text, position)
        if header is None or int(header[1]) == 0:
            return False
        position = header.end() + int(header[1])
    return position == len(text) > 0
