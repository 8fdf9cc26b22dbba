"""Server-sent events without I/O: bytes in, events out.

The rules are those of the HTML standard, section 9.2 (https://html.spec.whatwg.org/multipage/server-sent-events.html), to the letter. A stream is
UTF-8 whatever anybody declares; what is not becomes U+FFFD, one for each maximal subpart. Lines end with CRLF, LF or CR and with nothing else. A line
is a field or a comment, and a blank line dispatches the block of fields before it if there was data in it. What the end of the stream leaves
unfinished is dropped, not dispatched.

Lines are cut before anything is decoded: no byte of a longer UTF-8 sequence, valid or not, is a CR, an LF or a colon, so a cut never goes through a
character. The names of fields are ASCII, so what is compared with them need not be decoded at all.

Two ways lead through this module. `SSEDecoder._read_lines` is the standard, line by line. `_read_alike` is for streams as chat servers write them,
whose blocks all look the same; it gives up wherever they do not, and its docstring says why it comes to the same where they do. What that is worth is
measured by `benchmarks/sse.py`.

This module knows nothing of HTTP, of reconnection, or of what the data means.
"""

from __future__ import annotations

from itertools import repeat
from typing import Final

import msgspec

__all__ = ["DEFAULT_MAX_EVENT_BYTES", "DecoderClosed", "EventTooLarge", "SSEDecoder", "ServerSentEvent"]

DEFAULT_MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Room for a picture of 6 MB in base64, the largest thing that a chat server has a reason to put into one event; text takes a thousandth of it."""

MAX_RETRY_DIGITS: Final = 100
"""Digits of a `retry`; a longer one counts as the largest number of so many. Python refuses to read thousands of them, and nobody waits that long."""

MAX_UNEXAMINED_BYTES: Final = 4096
"""How long an unfinished line grows before it is looked at: so much is kept of a comment, and so much may be copied again for every chunk."""

DEFAULT_EVENT: Final = "message"

_BOM: Final = b"\xef\xbb\xbf"
_FIELDS: Final = (b"data", b"event", b"id", b"retry")
# Numbers, because `in` finds a number in bytes several times as fast as it finds bytes.
_LF: Final = 0x0A
_CR: Final = 0x0D
_COLON: Final = 0x3A
_NUL: Final = 0x00
# What events have that name no type and set no `retry`, as columns; they have no state, so that one of each is enough.
_UNNAMED: Final = repeat(DEFAULT_EVENT)
_NO_RETRY: Final = repeat(None)


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as it was dispatched: a value, comparable and hashable."""

    event: str = DEFAULT_EVENT
    """The type; ``message`` where the server named none."""

    data: str = ""
    """The values of the data lines, joined by LF."""

    id: str = ""
    """The stream's last event id at that moment: given once, it stays for the events that follow."""

    retry: int | None = None
    """The reconnection time that this block set, in milliseconds, or None. It holds for the stream; the standard's event has none."""


class EventTooLarge(ValueError):
    """An event does not fit into `limit` bytes: `message` for people, `cause` as a stable id, `fix` as one clause."""

    cause: Final = "event-too-large"
    fix: Final = "raise max_event_bytes if events may be that large; otherwise this is no event stream"

    def __init__(self, limit: int) -> None:
        self.message = f"expected events of at most {limit} bytes, got a longer one"
        self.limit = limit
        super().__init__(self.message)


class DecoderClosed(RuntimeError):
    """A decoder was fed after its stream had ended: `message` for people, `cause` as a stable id, `fix` as one clause."""

    cause: Final = "decoder-closed"
    fix: Final = "make a new decoder for each stream"

    def __init__(self) -> None:
        self.message = "expected no bytes after close(), got a chunk"
        super().__init__(self.message)


class SSEDecoder:
    """Reads one stream of server-sent events, in chunks cut anywhere.

    Feed it every chunk as it arrives, and close it when the stream has ended; the next stream, such as a reconnection, takes a new decoder. The time
    it takes is linear in the bytes fed wherever they are cut, and between two calls it holds no more than `max_event_bytes`.

    What counts towards `max_event_bytes` is a block as far as it is read: its data with one byte for each line end, its event type, its id, and the
    line that is being read unless that is a comment. A block that exceeds it ends the decoding for good, and nothing is held any more. The events
    before it are not lost, even if they came in the same chunk: `feed` returns them, and every later call, that of `close` included, raises
    `EventTooLarge`. So the plain loop (feed every chunk, then close) gets all that was good and cannot overlook the error, whereas an exception in
    place of the events, or an attribute alone, would leave one or the other to the caller's care. Who may wait long for the next chunk looks at
    `error` after each.
    """

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        if max_event_bytes < 1:
            raise ValueError(f"expected max_event_bytes to be at least 1, got {max_event_bytes}")
        self.last_event_id = ""
        """The last event id of the stream, empty if it has none: what a reconnection sends as Last-Event-ID."""
        self.retry: int | None = None
        """The reconnection time that the stream asks for, in milliseconds, or None. The server's word, up to 100 digits of it: cap it before
        waiting."""
        self.comments = 0
        """How many comments were read. Servers send them to show that they are alive, and no event tells of them."""
        self.error: EventTooLarge | None = None
        """What the next call raises, or None; once set, it stays."""

        self._limit = max_event_bytes
        self._closed = False
        self._dropped = False
        # What does not belong to the text if the next chunk begins with it: first a BOM; after a CR the LF of the same line end; else nothing.
        self._skippable = _BOM
        # The line that has no end yet; a bytearray once it is long, because that grows in place.
        self._tail: bytes | bytearray = b""
        # The block that has no end yet. Its data has the LF that the standard appends to each value, and so is empty only if there was no data line.
        self._in_block = False
        self._data = bytearray()
        self._event: bytes | bytearray = b""
        self._id: bytes | bytearray | None = None
        self._retry: int | None = None
        self._set_room(max_event_bytes)

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[ServerSentEvent]:
        """Take the next bytes of the stream, any number of them, and return the events that they complete, in order.

        Raises `EventTooLarge` if an earlier chunk had an event that was too large, and `DecoderClosed` after `close`.
        """
        if type(chunk) is not bytes:
            chunk = bytes(memoryview(chunk))
        if self._skippable:
            chunk = self._behead(chunk)
        if _CR in chunk:
            chunk = self._unify_line_ends(chunk)
        if _LF in chunk:
            events = self._read(self._tail + chunk)
        else:
            events = []
            self._tail += chunk
        if len(self._tail) > self._unexamined:
            self._examine_tail()
        return events

    def close(self) -> bool:
        """End the stream, and say whether something was dropped because its end never came.

        That is a block without its blank line, or a line without its end, as far as it could have had an effect: a comment could not, nor could a
        field that nobody knows, and a whole `retry` line has had it. Closing again gives the same answer. Raises `EventTooLarge` like `feed`.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if not self._closed:
            self._dropped = self._held() > 0 or self._id is not None or _may_be_field(self._tail)
            self._closed = True
            self._end()
        return self._dropped

    # --- from chunks to lines

    def _behead(self, chunk: bytes) -> bytes:
        """Take off what does not belong to the text, as far as it has come; and after the end, which comes this way too, refuse to go on.

        The LF after a CR is taken off when it comes: whoever waits for it is an event late where lines end with CR alone.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._closed:
            raise DecoderClosed
        head = self._tail + chunk
        if len(head) < len(self._skippable) and self._skippable.startswith(head):
            self._tail = head
            return b""
        self._tail = b""
        head = head.removeprefix(self._skippable)
        self._skippable = b""
        return bytes(head)

    def _unify_line_ends(self, chunk: bytes) -> bytes:
        """Make every line end an LF."""
        if chunk.endswith(b"\r"):
            self._skippable = b"\n"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _read(self, text: bytes | bytearray) -> list[ServerSentEvent]:
        """Read the lines of a text, at least one, and keep what follows the last: the short way up to the last blank line, if it leads there."""
        if self._in_block:
            return self._read_on(text)
        blocks, blank_line, rest = text.rpartition(b"\n\n")
        events = self._read_alike(blocks) if blank_line else None
        if events is None:
            return self._read_lines(text)
        if _LF in rest:
            return events + self._read_lines(rest)
        self._tail = rest
        return events

    def _read_on(self, text: bytes | bytearray) -> list[ServerSentEvent]:
        """The same where a block is open: its lines first, since the short way begins between blocks."""
        block, blank_line, rest = text.partition(b"\n\n")
        if _LF not in rest:
            return self._read_lines(text)
        events = self._read_lines(block + blank_line)
        return events if self.error is not None else events + self._read(rest)

    def _examine_tail(self) -> None:
        """Look at a long line without an end: forget a comment, refuse what is too much, get ready for more of the rest."""
        if self._skippable:
            return  # no line, but two bytes that may become a BOM
        if self._tail[0] == _COLON:
            self._tail = b":"
        elif len(self._tail) > self._room:
            self._fail()
        elif isinstance(self._tail, bytes):
            self._tail = bytearray(self._tail)

    # --- from lines to events, the short way

    def _read_alike(self, blocks: bytes | bytearray) -> list[ServerSentEvent] | None:
        """Read blocks that all have one line, ``data: …``, or all have two, ``event: …`` and then ``data: …``; None if one of them has not.

        `blocks` ends before a blank line, and no block is open before it. It is decoded as a whole: an LF belongs to no sequence of UTF-8, so a
        broken one before it ends there as it would alone. It is cut wherever a blank line is followed by the first name that a block must have. If
        then it has no more LFs than these cuts, and one within each block of two lines, no piece has another: each is one value of one line. Such
        lines change nothing that outlives their block, and a block within the limit has no line beyond it.
        """
        if len(blocks) > self._limit and max(map(len, blocks.split(b"\n\n"))) > self._limit:
            return None
        text = blocks.decode("utf-8", "replace")
        if text[:6] == "data: ":
            if "\n" not in text:  # one block: what a chunk mostly brings that is sent as soon as there is an event
                return [ServerSentEvent(DEFAULT_EVENT, text[6:], self.last_event_id, None)]
            values = text[6:].split("\n\ndata: ")
            if text.count("\n") == 2 * (len(values) - 1):
                return list(map(ServerSentEvent, _UNNAMED, values, repeat(self.last_event_id), _NO_RETRY))
        elif text[:7] == "event: ":
            pieces = text[7:].split("\n\nevent: ")
            if text.count("\n") == 2 * (len(pieces) - 1) + len(pieces):
                halves = [piece.partition("\ndata: ") for piece in pieces]
                id = self.last_event_id
                events = [ServerSentEvent(event or DEFAULT_EVENT, data, id, None) for event, cut, data in halves if cut]
                return events if len(events) == len(halves) else None
        return None

    # --- from lines to events, line by line

    def _read_lines(self, text: bytes | bytearray) -> list[ServerSentEvent]:
        """Read the lines of a text, at least one, one after the other, and keep what follows the last."""
        events: list[ServerSentEvent] = []
        data = self._data
        # No line is too much if all of them together are not.
        careful = len(text) > self._room
        lines = text.split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if careful and len(line) > self._limit - self._held() and line[:1] != b":":
                self._fail()
                return events
            if line[:6] == b"data: ":
                # As `_read_field` would; but this is nearly every second line.
                data += line[6:]
                data += b"\n"
            elif line:
                self._read_field(line)
            else:
                if self._id is not None:
                    self.last_event_id = self._id.decode("utf-8", "replace")
                    self._id = None
                if data:
                    event = self._event.decode("utf-8", "replace") or DEFAULT_EVENT
                    events.append(ServerSentEvent(event, data[:-1].decode("utf-8", "replace"), self.last_event_id, self._retry))
                    data.clear()
                self._event = b""
                self._retry = None
        if lines[-1]:
            self._in_block = True
            self._set_room(self._limit - self._held())
        elif self._in_block:
            self._in_block = False
            self._set_room(self._limit)
        return events

    def _read_field(self, line: bytes | bytearray) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value
            self._data += b"\n"
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if _NUL not in value:
                self._id = value
        elif name == b"retry":
            if value.isdigit():  # of bytes: the ten digits of ASCII and no others
                self.retry = self._retry = _read_digits(value)
        elif not name:
            self.comments += 1

    # --- bounds and ends

    def _held(self) -> int:
        """The bytes of the block that is open, without the line that has no end."""
        return len(self._data) + len(self._event) + (len(self._id) if self._id else 0)

    def _set_room(self, room: int) -> None:
        """Note how many bytes the block that is open may still take, so that it need not be computed for every chunk."""
        self._room = room
        self._unexamined = room if room < MAX_UNEXAMINED_BYTES else MAX_UNEXAMINED_BYTES

    def _fail(self) -> None:
        self.error = EventTooLarge(self._limit)
        self._end()

    def _end(self) -> None:
        """Forget what is held, and make whatever comes now come to `_behead`."""
        self._skippable = _BOM
        self._tail = self._event = b""
        self._data = bytearray()
        self._id = None


def _read_digits(digits: bytes | bytearray) -> int:
    significant = digits.lstrip(b"0")
    return int(significant or b"0") if len(significant) <= MAX_RETRY_DIGITS else 10**MAX_RETRY_DIGITS - 1


def _may_be_field(line: bytes | bytearray) -> bool:
    """Whether this beginning of a line is that of a field, or may become it."""
    name, colon, _ = line[:6].partition(b":")  # no name is longer than that with its colon
    return name in _FIELDS if colon else name != b"" and any(field.startswith(name) for field in _FIELDS)
