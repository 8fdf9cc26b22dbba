"""WebSocket frames on their way through: the messages in one direction of a connection, read from the bytes without holding them up.

`FrameReader` looks at bytes that travel on unchanged, whatever it makes of them. So it never raises and enforces nothing; whoever receives the frames
does. It joins fragments, with control frames between them, takes masks off and inflates what is compressed. When it can follow no longer it says so
once and is blind from then on.

Reference: RFC 6455, section 5; RFC 7692, section 7.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple, TypeAlias

from engineio_lite.proxy.http1 import Head

_CONTINUATION: Final = 0
_TEXT: Final = 1
_BINARY: Final = 2
_CLOSE: Final = 8

_INFLATE_END: Final = b"\x00\x00\xff\xff"
"""What a sender of compressed messages leaves off (RFC 7692, 7.2.1)."""

MIN_CODE: Final = 1000
"""The smallest close code; 0 to 999 are not used (RFC 6455, 7.4.2)."""


class Message(NamedTuple):
    """A message, whole and uncompressed."""

    data: str | bytes


class Closing(NamedTuple):
    """A Close frame; `code` is None if it has none."""

    code: int | None
    reason: str


class Lost(NamedTuple):
    """Something could not be read; says why."""

    why: str


Seen: TypeAlias = Message | Closing | Lost


def is_compressed(answer: Head) -> bool:
    """Whether permessage-deflate was agreed on, by the answer to a WebSocket handshake."""
    return any(extension.partition(";")[0].strip() == "permessage-deflate" for extension in answer.tokens("sec-websocket-extensions"))


class FrameReader:
    """Reads one direction. A message of more than `limit` bytes is not read, nor what comes after it."""

    def __init__(self, *, compressed: bool, limit: int) -> None:
        self._limit = limit
        # One for the whole direction, whether the sender keeps its context or not: a message that refers to nothing can be read with one.
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if compressed else None
        self._buffer = bytearray()
        self._opcode = 0
        self._is_deflated = False
        self._fragments: list[bytes] = []
        self._size = 0
        self._is_blind = False

    def feed(self, data: bytes) -> list[Seen]:
        """Take the next bytes, and return what is complete with them."""
        if self._is_blind:
            return []
        self._buffer += data
        seen: list[Seen] = []
        try:
            while (found := self._frame()) is not None:
                first, payload = found
                seen += self._read(first, payload)
        except _Lost as lost:
            self._is_blind = True
            self._buffer.clear()
            self._fragments.clear()
            seen.append(Lost(str(lost)))
        return seen

    def _frame(self) -> tuple[int, bytes] | None:
        """The first byte and the payload of the next frame, if all of it is there."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        size, at = second & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at])
        is_control = first & 0x08
        if first & (0x70 if is_control else 0x30) or first & 0x0F not in (0, 1, 2, 8, 9, 10):
            raise _Lost("no WebSocket frames, or an unknown extension of them")
        if is_control and (size > 125 or not first & 0x80):
            raise _Lost("a control frame is fragmented or too large")
        if self._size + size > self._limit:
            raise _Lost(f"a message is larger than the limit of {self._limit} bytes")
        start = at + 4 if second & 0x80 else at
        if len(buffer) < start + size:
            return None
        payload = bytes(buffer[start : start + size])
        if start > at:
            payload = _unmasked(payload, bytes(buffer[at:start]))
        del buffer[: start + size]
        return first, payload

    def _read(self, first: int, payload: bytes) -> list[Seen]:
        opcode = first & 0x0F
        if opcode == _CLOSE:
            return [_closing(payload)]
        if opcode > _CLOSE:
            return []  # ping and pong of WebSocket itself: no packets
        if (opcode == _CONTINUATION) is not bool(self._opcode):
            raise _Lost("a fragment does not belong to any message")
        if opcode != _CONTINUATION:
            self._opcode, self._is_deflated = opcode, bool(first & 0x40)
        elif first & 0x40:
            raise _Lost("a fragment says that it is compressed by itself")
        self._fragments.append(payload)
        self._size += len(payload)
        return [self._message()] if first & 0x80 else []

    def _message(self) -> Seen:
        data, opcode = b"".join(self._fragments), self._opcode
        self._fragments.clear()
        self._opcode = self._size = 0
        if self._is_deflated:
            data = self._inflated(data)
        if opcode == _BINARY:
            return Message(data)
        try:
            return Message(data.decode())
        except UnicodeDecodeError:
            return Lost("a text message is no UTF-8")

    def _inflated(self, data: bytes) -> bytes:
        if self._inflater is None:
            raise _Lost("a message is compressed, which was not agreed on")
        try:
            inflated = self._inflater.decompress(data + _INFLATE_END, self._limit + 1)
        except zlib.error as error:
            raise _Lost(f"a message cannot be inflated ({error})") from None
        if len(inflated) > self._limit:
            raise _Lost(f"a message is larger than the limit of {self._limit} bytes")
        if self._inflater.eof:  # a sender may end its stream with a message, and then begins another one
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        return inflated


class _Lost(Exception):
    """The frames cannot be followed any more."""


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    # As one large number: ten times as fast as byte by byte.
    size = len(payload)
    key = mask * (size // 4) + mask[: size % 4]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def _closing(payload: bytes) -> Closing:
    code = int.from_bytes(payload[:2])
    return Closing(code if code >= MIN_CODE else None, payload[2:].decode(errors="replace"))
