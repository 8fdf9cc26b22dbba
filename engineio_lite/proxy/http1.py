"""HTTP/1.1 on its way through: where a head ends, where a body ends, and what is in it.

A proxy that changes nothing must still know where one message ends and the next begins. That is all this module does: it takes heads apart into the
lines that they came in, so that they can be put together again byte for byte, and it follows bodies, whatever they are framed by. Nothing is
interpreted but what framing depends on. What two readers could understand differently is refused, as RFC 9112 asks of intermediaries.

Reference: RFC 9112, sections 2, 3, 4, 6 and 7.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from engineio_lite.inputs import Headers

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head; servers take 8 to 16 KiB, and whoever sends more is to be told so by the server and not by us."""

MAX_CHUNK_LINE: Final = 4096
"""Bytes of the line before a chunk, extensions included, and of each trailer."""

END_OF_HEAD: Final = b"\r\n\r\n"

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\xff]+) HTTP/1\.[01]")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: .*)?")


class Malformed(ValueError):
    """Bytes that are no HTTP/1.1, or that two readers would not read alike; says what was expected."""


class Head:
    """The start line and the header lines of a message, as they came."""

    def __init__(self, data: bytes) -> None:
        self.start, *self._lines = data.split(b"\r\n")
        for line in self._lines:
            name, colon, _ = line.partition(b":")
            # A blank before the colon, or a line that continues the last one, is read differently by different servers.
            if not colon or not _TOKEN.fullmatch(name):
                raise Malformed("expected header lines of a name, a colon and a value")

    @property
    def headers(self) -> Headers:
        """Names and values, in order."""
        pairs = (line.decode("latin-1").partition(":") for line in self._lines)
        return tuple((name, value.strip(" \t")) for name, _, value in pairs)

    def values(self, name: str) -> list[str]:
        """The values of all lines with this name, which is given in lower case."""
        return [value for known, value in self.headers if known.lower() == name]

    def value(self, name: str) -> str:
        """The value of the first line with this name, or nothing."""
        return next(iter(self.values(name)), "")

    def tokens(self, name: str) -> list[str]:
        """What the lines with this name list, in lower case."""
        return [token.strip(" \t").lower() for value in self.values(name) for token in value.split(",")]

    def replace(self, name: str, value: str) -> None:
        """Give the lines with this name another value; their order and the spelling of the name stay."""
        for index, line in enumerate(self._lines):
            known = line.partition(b":")[0]
            if known.decode("latin-1").lower() == name:
                self._lines[index] = known + b": " + value.encode("latin-1")

    def encode(self) -> bytes:
        """The head with the empty line after it."""
        return b"\r\n".join((self.start, *self._lines)) + END_OF_HEAD


def request_line(head: Head) -> tuple[str, str]:
    """The method and the target of a request. Raises `Malformed`."""
    found = _REQUEST.fullmatch(head.start)
    if found is None:
        raise Malformed("expected a request line of HTTP/1.1")
    return found[1].decode("latin-1"), found[2].decode("latin-1")


def status_of(head: Head) -> int:
    """The status of an answer. Raises `Malformed`."""
    found = _STATUS.fullmatch(head.start)
    if found is None:
        raise Malformed("expected a status line of HTTP/1.1")
    return int(found[1])


# --------------------------------------------------------------------------------------------------------------------------------- bodies


class Body(Protocol):
    """Follows one body; `done` when nothing more belongs to it."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Take what may belong to it; return what it says, without its framing, and how many bytes were its own. Raises `Malformed`."""
        ...


class Sized:
    """A body of a known size; of none, if that is 0."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.done = size == 0

    def feed(self, data: bytes) -> tuple[bytes, int]:
        content = data[: self._left]
        self._left -= len(content)
        self.done = self._left == 0
        return content, len(content)


class UntilTheEnd:
    """A body that ends with the connection."""

    done = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        return data, len(data)


class Chunked:
    """A body in chunks, each with its size before it, and perhaps trailers after the last one."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0
        self._line = b""
        self._read = self._size

    def feed(self, data: bytes) -> tuple[bytes, int]:
        content = []
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                content.append(piece)
                self._left -= len(piece)
                at += len(piece)
            else:
                at = self._take_line(data, at)
        return b"".join(content), at

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        if len(self._line) > MAX_CHUNK_LINE:
            raise Malformed(f"expected no more than {MAX_CHUNK_LINE} bytes before a chunk")
        if end >= 0:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise Malformed("expected CRLF at the end of a line before a chunk")
            self._read(line[:-2])
        return stop

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", digits):
            raise Malformed("expected the size of a chunk in hexadecimal digits")
        self._left = int(digits, 16)
        self._read = self._after if self._left else self._trailer

    def _after(self, line: bytes) -> None:
        if line:
            raise Malformed("expected an empty line after a chunk")
        self._read = self._size

    def _trailer(self, line: bytes) -> None:
        self.done = not line


def request_body(head: Head) -> Body:
    """What the body of a request is framed by. Raises `Malformed`."""
    if head.values("transfer-encoding"):
        return _chunked(head)
    return Sized(_length(head) or 0)


def answer_body(head: Head, method: str, status: int) -> Body:
    """What the body of an answer to `method` is framed by. Raises `Malformed`."""
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Sized(0)
    if head.values("transfer-encoding"):
        return _chunked(head) if head.tokens("transfer-encoding")[-1] == "chunked" else UntilTheEnd()
    length = _length(head)
    return UntilTheEnd() if length is None else Sized(length)


def _chunked(head: Head) -> Chunked:
    if head.tokens("transfer-encoding") != ["chunked"] or head.values("content-length"):
        raise Malformed("expected a body that is either chunked or of a known length")
    return Chunked()


def _length(head: Head) -> int | None:
    lengths = set(head.tokens("content-length"))
    if not lengths:
        return None
    [length, *others] = lengths
    if others or not re.fullmatch(r"[0-9]{1,18}", length):
        raise Malformed("expected one length of the body, in digits")
    return int(length)
