"""HAR: what browsers, Playwright and mitmproxy export, three dialects of one format that has no place for WebSockets.

HAR 1.2 knows requests and answers. The messages of a WebSocket are a field of the vendors' (`_webSocketMessages`), with seconds in one dialect and
milliseconds in another; a number decides which (no second of this age has twelve digits). Bodies are text, in base64 where the exporter took them for
binary, which it may do for any of them; text whose charset nobody declared may have been read as Latin-1, and is read back if that gives UTF-8. A
missing text is an empty body only where something says that it was empty, otherwise it was not recorded.

What no dialect holds: the close code of a WebSocket, who closed it, whether it was still open, pings of its own layer. mitmproxy leaves out the
WebSockets that were open when it stopped, older Playwrights all of them.

Playwright can put bodies and messages into files of their own, beside the HAR or with it in an archive: whoever calls says how to find them.

Reference: HAR 1.2; the exporters as of Chromium 156, Playwright 1.65, mitmproxy 12.2.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.fields import (
    MAX_INFLATED,
    Object,
    base64_bytes,
    header,
    header_list,
    inflate,
    items,
    mapping,
    number,
    objects,
    read_json,
    string,
    utf8,
    whole,
)
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.causes import Cause
from engineio_lite.exceptions import elide
from engineio_lite.inputs import Headers

Find = Callable[[str], bytes | None]
"""Gives the content of a file that belongs to the HAR, by its name; None if there is none."""

MILLISECONDS: Final = 1e11
"""A time since the epoch beyond this is in milliseconds: in seconds it would be the year 5138."""

_ZLIB: Final = b"\x78"
"""How a compressed HAR (`.zhar`) begins."""

SWITCHED: Final = 101
MITMPROXY: Final = "mitmproxy"
LACKING: Final = (MITMPROXY, "Playwright", "Firefox")
"""Who leaves out WebSockets: mitmproxy those that were open when it stopped, older Playwrights and Firefox all of them."""

ERROR: Final = "error"
"""The type of what is no message: DevTools writes an error of the WebSocket among them."""


def _nothing(name: str) -> bytes | None:
    return None


def read_har(data: bytes, find: Find = _nothing) -> Trace:
    """Read a HAR, compressed with zlib or not; `find` gives the files that it refers to.

    Raises `ImportFailed` with cause ``not-a-recording`` or ``recording-too-large``.
    """
    if data.startswith(_ZLIB):
        try:
            data = inflate(data, zlib.MAX_WBITS)
        except zlib.error as error:
            raise ImportFailed(f"expected a HAR compressed with zlib: {error}") from None
    log = mapping(mapping(read_json(data, "a HAR")).get("log"))
    if not isinstance(log.get("entries"), list):
        raise ImportFailed("expected a HAR, got JSON without log.entries")
    return _Reader(log, find).read()


def read_har_archive(data: bytes) -> Trace:
    """Read a HAR out of a zip archive, with the files that it refers to.

    Raises `ImportFailed` with cause ``not-a-recording`` or ``recording-too-large``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if sum(member.file_size for member in members.values()) > MAX_INFLATED:
                raise ImportFailed(f"expected an archive of at most {MAX_INFLATED} bytes, got more", cause=Cause.RECORDING_TOO_LARGE)
            name = next((name for name in members if name.endswith(".har")), None)
            if name is None:
                raise ImportFailed("expected an archive with a HAR in it, got one without")
            return read_har(archive.read(name), lambda found: archive.read(found) if found in members else None)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        # What a damaged archive makes zipfile raise, by its documentation and by trial.
        raise ImportFailed(f"expected a zip archive with a HAR: {error}") from None


class _Reader:
    """Reads one log."""

    def __init__(self, log: Object, find: Find) -> None:
        self._log = log
        self._find = find
        self._creator = string(mapping(log.get("creator")).get("name")) or "an unnamed program"
        self._clock = 0.0
        self._missing = 0
        self._without_messages = 0

    def read(self) -> Trace:
        entries = [self._entry(entry) for entry in objects(self._log.get("entries"))]
        lacking = self._creator in LACKING
        return Trace(source="har", items=tuple(entries), warnings=tuple(self._warnings(entries)), may_lack_sockets=lacking)

    def _warnings(self, entries: list[Exchange | Socket]) -> Iterator[str]:
        creator = self._creator
        if not entries:
            yield f"the HAR (by {creator}) has no entries: mitmproxy leaves out what was open when it stopped, its flow file does not"
        if self._without_messages:
            yield (
                f"{self._without_messages} WebSockets without messages: this version of {creator} does not export them"
                if self._without_messages > 1
                else f"a WebSocket without messages: this version of {creator} does not export them"
            )
        if self._missing:
            yield f"files that the HAR refers to and that are not beside it: {self._missing}"

    def _entry(self, entry: Object) -> Exchange | Socket:
        request, response = mapping(entry.get("request")), mapping(entry.get("response"))
        self._clock = _instant(string(entry.get("startedDateTime"))) or self._clock
        return self._socket(entry, request, response) if _is_websocket(entry, request, response) else self._exchange(entry, request, response)

    def _exchange(self, entry: Object, request: Object, response: Object) -> Exchange:
        status = _status(response)
        content = mapping(response.get("content"))
        headers, answer_headers = header_list(request.get("headers")), header_list(response.get("headers"))
        return Exchange(
            started=self._clock,
            ended=self._ended(entry) if status else None,
            method=string(request.get("method")).upper() or "GET",
            url=string(request.get("url")),
            headers=headers,
            body=self._posted(request, headers),
            status=status,
            answer_headers=answer_headers,
            content_type=header(answer_headers, "content-type") or string(content.get("mimeType")),
            answer=self._answer(response, content, answer_headers),
        )

    def _ended(self, entry: Object) -> float | None:
        """When the answer was there: only the start and a duration are written."""
        duration = number(entry.get("time"))
        if duration is None or duration < 0:
            return None
        return self._clock + max(duration - self._counted_twice(entry), 0.0) / 1000

    def _counted_twice(self, entry: Object) -> float:
        """Milliseconds that are in a duration once more: mitmproxy connects to the server while the client waits, and adds both."""
        if self._creator != MITMPROXY:
            return 0.0
        timings = mapping(entry.get("timings"))
        return sum(max(number(timings.get(name)) or 0.0, 0.0) for name in ("connect", "ssl"))

    # ------------------------------------------------------------------------------------------------------------------------------------ bodies

    def _posted(self, request: Object, headers: Headers) -> bytes | None:
        posted = mapping(request.get("postData"))
        body = self._body(posted)
        if body is not None:
            return body
        is_empty = string(request.get("method")).upper() in ("GET", "HEAD", "OPTIONS", "") or _is_nothing(request.get("bodySize"), headers)
        return b"" if is_empty and not posted else None

    def _answer(self, response: Object, content: Object, headers: Headers) -> bytes | None:
        body = self._body(content)
        if body is not None:
            return body
        return b"" if _is_nothing(content.get("size"), headers) and "_file" not in content else None

    def _body(self, content: Object) -> bytes | None:
        """What was posted or answered; None if it is not here."""
        if isinstance(name := content.get("_file"), str):
            return self._attached(name)
        text = content.get("text")
        if not isinstance(text, str):
            return None
        if content.get("encoding") == "base64":
            return base64_bytes(text)
        return _unread(text, string(content.get("mimeType")))

    def _attached(self, name: str) -> bytes | None:
        found = self._find(name)
        self._missing += found is None
        return found

    # -------------------------------------------------------------------------------------------------------------------------------- WebSockets

    def _socket(self, entry: Object, request: Object, response: Object) -> Socket:
        status = _status(response)
        answer_headers = header_list(response.get("headers"))
        messages, lost = self._messages(entry, response) if status in (0, SWITCHED) else ((), "")
        self._without_messages += bool(lost) and not messages
        return Socket(
            started=self._clock,
            url=string(request.get("url")),
            headers=header_list(request.get("headers")),
            status=SWITCHED if messages else status,
            answer_headers=answer_headers,
            answer=self._answer(response, mapping(response.get("content")), answer_headers),
            messages=messages,
            lost=lost,
        )

    def _messages(self, entry: Object, response: Object) -> tuple[tuple[Message, ...], str]:
        found = entry.get("_webSocketMessages")
        name = mapping(response.get("content")).get("_file")
        if not isinstance(found, list) and isinstance(name, str):
            found = _lines(self._attached(name))
        if not isinstance(found, list):
            return (), "" if _status(response) == 0 else "the file does not hold its messages"
        errors = [item for item in objects(found) if item.get("type") == ERROR]
        messages = [_message(item) for item in objects(found) if item.get("type") != ERROR]
        read = tuple(message for message in messages if message is not None)
        if errors and not read and _status(response) == 0:
            return (), ""  # there was never a WebSocket
        broken = len(items(found)) - len(errors) - len(read)
        lost = [f"an error of the WebSocket: {elide(string(error.get('data')))}" for error in errors]
        if broken:
            lost.append(f"messages that could not be read: {broken}")
        return read, "; ".join(lost)


def _lines(data: bytes | None) -> list[object] | None:
    """The messages of a file with one in each line, None for one that is damaged."""
    return None if data is None else [_line(line) for line in data.split(b"\n") if line.strip()]


def _line(line: bytes) -> object:
    try:
        return read_json(line, "a WebSocket message")
    except ImportFailed:
        return None  # which is counted among what could not be read


def _message(item: Object) -> Message | None:
    """One message; None for what is neither text nor binary."""
    text, opcode = item.get("data"), whole(item.get("opcode"))
    if not isinstance(text, str) or opcode not in (None, 1, 2):
        return None
    data = base64_bytes(text) if opcode == 2 else text
    if data is None:
        return None
    time = number(item.get("time"))
    direction = Direction.UP if item.get("type") == "send" else Direction.DOWN
    return Message(time=None if time is None or time <= 0 else time / 1000 if time > MILLISECONDS else time, direction=direction, data=data)


def _is_websocket(entry: Object, request: Object, response: Object) -> bool:
    return (
        "_webSocketMessages" in entry
        or entry.get("_resourceType") == "websocket"
        or string(request.get("url")).startswith(("ws:", "wss:"))
        or _status(response) == SWITCHED
        or header(header_list(request.get("headers")), "upgrade").lower() == "websocket"
    )


def _status(response: Object) -> int:
    return max(whole(response.get("status")) or 0, 0)


def _is_nothing(size: object, headers: Headers) -> bool:
    """Say whether a body without text was empty: its size says so, and no header contradicts."""
    return number(size) == 0 and header(headers, "content-length") in ("", "0")


def _unread(text: str, mime: str) -> bytes:
    """The bytes of a text, which somebody may have read as Latin-1 because no charset was declared."""
    if "charset" not in mime.lower():
        try:
            return text.encode("latin-1").decode().encode()
        except UnicodeError:
            pass  # it was read rightly
    return utf8(text)


def _instant(text: str) -> float | None:
    """Seconds since the epoch; None for what is no time."""
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
