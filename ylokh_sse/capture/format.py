"""The capture file, ``*.sse.jsonl``: lines to text, text to lines, and a whole file to the exchanges in it. Pure: who calls opens the file.

UTF-8, one JSON object a line, its keys in a fixed order, with one blank after ``:`` and ``,``, so that a difference between two recordings reads
well:

    {"k": "head", "v": 1, "by": "ylokh_sse 0.1.0", "at": "2026-11-20T20:15:20Z", "src": "record", "redacted": ["headers", …]}
    {"k": "request", "s": 1, "t": 0.0, "method": "POST", "url": "https://host.test/v1/chat/completions", "body": {"model": "m", …}}
    {"k": "answer", "s": 1, "t": 0.1, "status": 200, "headers": {"content-type": "text/event-stream"}}
    {"k": "bytes", "s": 1, "t": 0.123, "text": "data: {…}\\n\\n"}
    {"k": "end", "s": 1, "t": 2.0, "how": "complete"}

A piece of a body that is no UTF-8 by itself, such as one that ends within a character, has ``"$bin"``, base64, instead of ``text``. ``cut`` of an
``end`` says in which way a connection broke. Lines are only ever added at the end, each written as one, so a recorder that is killed leaves at most
one that is torn: the reader drops it with a note. Kinds of lines and keys that a reader does not know are passed over.

Lines of exchanges that overlap are mixed, and a line may stand after one that is a little younger, where bytes were kept back to look for secrets.
Within one exchange they are in order.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, TypeAlias

import msgspec

from chat_answers.parts import JSON
from ylokh_sse.capture.lines import MAX_FILE, MAX_LINE, VERSION, Answered, Asked, Cut, Ended, Head, Line, Received
from ylokh_sse.exceptions import CaptureError

DIGITS: Final = 3
"""Decimals of a time: a millisecond is less than what a network adds to any of them."""

MAX_EXCERPT: Final = 80
"""Characters of a bad line that a message quotes."""

_SOCKETIO: Final = "engineio_lite"
"""Who writes captures of Socket.IO, of which the lines look like ours."""

_NO_CAPTURE: Final = "a capture begins with its head; make one with Client(record=…) or ylokh-sse ask --record"
_DAMAGED: Final = "take the line out if you know what it was, or record again"


# ---------------------------------------------------------------------------------------------------------------------------------- one line


def encode_line(line: Line) -> bytes:
    """Return a line as it stands in the file, with its end."""
    try:
        return f"{json.dumps(_as_object(line), ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can only escape
        return f"{json.dumps(_as_object(line))}\n".encode()


def _as_object(line: Line) -> dict[str, JSON]:
    match line:
        case Head():
            return {"k": "head", "v": line.version, "by": line.by, "at": line.at, "src": line.source, "redacted": list(line.redacted)}
        case Asked():
            return {**_start("request", line), "method": line.method, "url": line.url, "body": line.body}
        case Answered():
            return {**_start("answer", line), "status": line.status, "headers": dict(line.headers)}
        case Received():
            return {**_start("bytes", line), **_piece(line.data)}
        case _:
            return {**_start("end", line), "how": line.how, **({} if line.cut is None else {"cut": line.cut.value})}


def _start(kind: str, line: Asked | Answered | Received | Ended) -> dict[str, JSON]:
    return {"k": kind, "s": line.number, "t": round(line.time, DIGITS)}


def _piece(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"$bin": base64.b64encode(data).decode()}


def decode_line(text: bytes | str) -> Line | None:
    """Return what a line says, None for a kind that is not known here. Raises ValueError for what is no line."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict) or not isinstance(value.get("k"), str):
        raise ValueError('expected an object with a kind, "k"')
    read = _READERS.get(value["k"])
    return None if read is None else read(_Fields(value))


class _Fields:
    """The keys of a line, each taken as what it must be."""

    def __init__(self, value: Mapping[str, JSON]) -> None:
        self._value = value

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._value.get(name, default)
        if not isinstance(value, str):
            raise ValueError(f'expected text in "{name}"')
        return value

    def whole(self, name: str, least: int) -> int:
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f'expected a number from {least} in "{name}"')
        return value

    def time(self) -> float:
        value = self._value.get("t")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise ValueError('expected seconds from 0 in "t"')
        return float(value)

    def headers(self) -> dict[str, str]:
        value = self._value.get("headers", {})
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise ValueError('expected texts by name in "headers"')
        return {name.lower(): each for name, each in value.items()}

    def data(self) -> bytes:
        if "$bin" not in self._value:
            return self.text("text").encode(errors="surrogatepass")
        try:
            return base64.b64decode(self.text("$bin"), validate=True)
        except ValueError:
            raise ValueError('expected base64 in "$bin"') from None

    def any(self, name: str) -> JSON:
        return self._value.get(name)


def _read_head(fields: _Fields) -> Head:
    redacted = fields.any("redacted")
    rules = tuple(rule for rule in redacted if isinstance(rule, str)) if isinstance(redacted, list) else ()
    return Head(version=fields.whole("v", 1), by=fields.text("by", ""), at=fields.text("at", ""), source=fields.text("src", ""), redacted=rules)


def _read_asked(fields: _Fields) -> Asked:
    return Asked(number=fields.whole("s", 1), time=fields.time(), method=fields.text("method"), url=fields.text("url"), body=fields.any("body"))


def _read_answered(fields: _Fields) -> Answered:
    status = fields.whole("status", 100)
    if status > 999:
        raise ValueError('expected a status of HTTP in "status"')
    return Answered(number=fields.whole("s", 1), time=fields.time(), status=status, headers=fields.headers())


def _read_received(fields: _Fields) -> Received:
    return Received(number=fields.whole("s", 1), time=fields.time(), data=fields.data())


def _read_ended(fields: _Fields) -> Ended:
    cut = Cut(fields.text("cut")) if "cut" in fields else None
    return Ended(number=fields.whole("s", 1), time=fields.time(), how=fields.text("how"), cut=cut)


_READERS: Final[Mapping[str, Callable[[_Fields], Line]]] = {
    "head": _read_head,
    "request": _read_asked,
    "answer": _read_answered,
    "bytes": _read_received,
    "end": _read_ended,
}


# ------------------------------------------------------------------------------------------------------------------------------ a whole file


class Recorded(msgspec.Struct, kw_only=True):
    """One exchange of a capture; `line` is where it begins in the file. An `end` of None: the recorder did not live to see it."""

    line: int
    asked: Asked
    answered: Answered | None = None
    pieces: list[Received] = []
    end: Ended | None = None

    @property
    def body(self) -> bytes:
        """The body of the answer, as far as it came."""
        return b"".join(piece.data for piece in self.pieces)


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A capture as it was read: its exchanges in the order in which they began, and `notes` on what was not quite right with the file."""

    head: Head
    exchanges: tuple[Recorded, ...] = ()
    notes: tuple[str, ...] = ()
    path: str = ""


def read(file: BinaryIO, path: str = "", *, max_bytes: int = MAX_FILE, max_line: int = MAX_LINE) -> Capture:
    """Read a capture to its end; `path` is what errors call it. Raises `CaptureError`, and whatever reading raises."""
    reader = _Reader(path, max_bytes, max_line)
    while line := file.readline(max_line + 1):
        reader.take(line)
    return reader.capture()


Step: TypeAlias = Answered | Received | Ended


class _Reader:
    """Puts the lines of a file together."""

    def __init__(self, path: str, max_bytes: int, max_line: int) -> None:
        self._path = path
        self._max_bytes, self._max_line = max_bytes, max_line
        self._count = 0
        self._size = 0
        self._head: Head | None = None
        self._exchanges: dict[int, Recorded] = {}
        self._notes: list[str] = []

    def take(self, text: bytes) -> None:
        """The next line, with its end if it has one."""
        self._count += 1
        self._size += len(text)
        if len(text) > self._max_line or self._size > self._max_bytes:
            what = f"a line of more than {self._max_line} bytes" if len(text) > self._max_line else f"more than {self._max_bytes} bytes"
            raise self._error(f"expected a capture, got {what}", "capture-too-large", "record less into one file, or raise max_bytes")
        try:
            line = decode_line(text)
        except ValueError as error:
            self._pass_over(text, error)
            return
        self._place(line)

    def _pass_over(self, text: bytes, error: ValueError) -> None:
        """A last line that was torn off is what a recorder leaves that was killed; anything else is damage."""
        if self._head is not None and not text.endswith(b"\n"):
            self._notes.append(f"line {self._count} is torn off and was dropped: the recorder was killed, or its disk was full")
            return
        words = text[: 4 * MAX_EXCERPT].decode(errors="replace")[:MAX_EXCERPT]
        if self._head is None:
            raise self._error(f"expected the head of a capture, got {words!r}", "capture-damaged", _NO_CAPTURE)
        raise self._error(f"expected a line of a capture, got {words!r}: {error}", "capture-damaged", _DAMAGED)

    def _place(self, line: Line | None) -> None:
        match line:
            case Head():
                self._begin(line)
            case _ if self._head is None:
                raise self._error("expected the head of a capture, got another line", "capture-damaged", _NO_CAPTURE)
            case Asked():
                if line.number in self._exchanges:
                    raise self._error(f"request {line.number} begins a second time", "capture-damaged", _DAMAGED)
                self._exchanges[line.number] = Recorded(line=self._count, asked=line)
            case Answered() | Received() | Ended():
                self._add(line)

    def _begin(self, head: Head) -> None:
        if self._head is not None:
            raise self._error("a second head: two captures in one file", "capture-damaged", "take them apart")
        if head.version > VERSION:
            raise self._error(f"expected version {VERSION} of the format, got {head.version}", "capture-version", "update this package")
        if head.by.partition(" ")[0] == _SOCKETIO:
            raise self._error("expected a capture of chat answers, got one of Socket.IO", "capture-kind", "engineio-lite show reads it")
        self._head = head

    def _add(self, line: Step) -> None:
        exchange = self._exchanges.get(line.number)
        fits = exchange is not None and exchange.end is None
        if exchange is not None and isinstance(line, Answered | Received):
            fits = fits and (exchange.answered is None) == isinstance(line, Answered)
        if exchange is None or not fits:
            raise self._error(f"a line of request {line.number} where none can be", "capture-damaged", _DAMAGED)
        match line:
            case Answered():
                exchange.answered = line
            case Received():
                exchange.pieces.append(line)
            case _:
                exchange.end = line

    def capture(self) -> Capture:
        """All of it."""
        if self._head is None:
            raise self._error("expected a capture, got an empty file", "capture-damaged", _NO_CAPTURE)
        for number, exchange in self._exchanges.items():
            if exchange.end is None:
                self._notes.append(f"request {number} has no end: the recorder was killed while it was answered")
        return Capture(head=self._head, exchanges=tuple(self._exchanges.values()), notes=tuple(self._notes), path=self._path)

    def _error(self, message: str, cause: str, fix: str) -> CaptureError:
        return CaptureError(message, cause=cause, fix=fix, path=self._path, line=self._count or None)
