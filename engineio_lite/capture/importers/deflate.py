"""The messages of one direction of a WebSocket, out of its frames: fragments joined, compression undone.

A compressed message is a piece of one long deflate stream whose last four bytes were left out; unless the handshake says otherwise, the next message
goes on where it ended, so every message has to be inflated, in order, even if nobody wants it. Control frames come between fragments and are no part
of this.

Reference: RFC 6455 section 5.4; RFC 7692 sections 7.1.1 and 7.2.2.
"""

from __future__ import annotations

import zlib
from typing import Final

from engineio_lite.limits import DEFAULT_LIMITS

TEXT: Final = 1
BINARY: Final = 2

_TAIL: Final = b"\x00\x00\xff\xff"


class Undecodable(ValueError):
    """Frames that make no message."""


class MessageJoiner:
    """Joins the data frames of one direction; `keeps_context` says that its deflate stream goes on from message to message."""

    def __init__(self, *, keeps_context: bool = True, max_message: int = DEFAULT_LIMITS.max_frame) -> None:
        self._keeps_context = keeps_context
        self._max_message = max_message
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._fragments: list[bytes] = []
        self._opcode = 0
        self._is_compressed = False

    def feed(self, opcode: int, payload: bytes, *, is_last: bool, is_compressed: bool) -> str | bytes | None:
        """Take one data frame; return the message that it completes, or None.

        Raises `Undecodable` for frames that make no message; those that follow may again.
        """
        if opcode != 0:
            self._fragments = []
            self._opcode = opcode
            self._is_compressed = is_compressed
        elif self._opcode == 0:
            raise Undecodable("a continuation of a message whose beginning is not there")
        self._fragments.append(payload)
        if not is_last:
            return None
        data, opcode = b"".join(self._fragments), self._opcode
        self._fragments, self._opcode = [], 0
        if self._is_compressed:
            data = self._inflate(data)
        return data.decode("utf-8", "surrogateescape") if opcode == TEXT else data

    def _inflate(self, data: bytes) -> bytes:
        try:
            message = self._inflater.decompress(data + _TAIL, self._max_message)
        except zlib.error as error:
            raise Undecodable(f"a compressed message that cannot be inflated ({error})") from None
        if self._inflater.unconsumed_tail:
            raise Undecodable(f"a compressed message of more than {self._max_message} bytes")
        if not self._keeps_context:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        return message


def keeps_context(extensions: str, who: str) -> bool:
    """Say whether the negotiated extensions let `who` (``client`` or ``server``) go on with its deflate stream from message to message."""
    return f"{who}_no_context_takeover" not in extensions
