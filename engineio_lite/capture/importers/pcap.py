"""Packet captures, as tshark dissects them: its JSON is read here, whoever ran it.

tshark does what is hard: TCP streams in order, HTTP with its encodings undone, frames of WebSockets unmasked. What it leaves is done here. Frames of
one segment share one packet, either as a list (``--no-duplicate-keys``) or as one key written several times, of which most readers of JSON keep the
last. A compressed message is inflated by tshark only if it is text, so all of them are inflated here. A long frame of the client's is unmasked by
tshark only up to 256 KiB, so the rest is unmasked here. Fragments are joined.

Bytes are there only with ``-x``. Without it binary messages are lost, and so is every body that is not ASCII and what is long; all are said.

tshark finds a WebSocket by its handshake. If the answer to it, or all of it, was before the recording began, there are no frames, and no option
helps.

Reference: tshark 4.0, ``-T json``; the display filter reference for `http`, `websocket` and `tcp`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

from engineio_lite.capture.importers.deflate import BINARY, MessageJoiner, Undecodable, keeps_context
from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.fields import BOM, Object, decoded, header, mapping, number, objects, string, utf8, whole
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.exceptions import elide
from engineio_lite.inputs import Headers

SWITCHED: Final = 101

SHOWN_UNMASKED: Final = 256 * 1024
"""Bytes of a masked frame that tshark unmasks; only later versions than 4.0 have a preference for it."""

_CLOSE: Final = 8
_DATA: Final = (0, 1, 2)
_KEY: Final = 4


def read_tshark(data: bytes) -> Trace:
    """Read what ``tshark -T json`` printed, with or without ``-x`` and ``--no-duplicate-keys``.

    Raises `ImportFailed` with cause ``not-a-recording``.
    """
    packets = parse_packets(data.removeprefix(BOM))
    if not isinstance(packets, list):
        raise ImportFailed(f"expected the JSON of tshark, which is an array of packets, got {elide(data[:40])}")
    return read_packets(packets)


def parse_packets(data: bytes) -> object:
    """Read JSON without losing keys that stand twice: their values become a list.

    Raises `ImportFailed` with cause ``not-a-recording``.
    """
    try:
        return json.loads(data.decode("utf-8", "replace"), object_pairs_hook=_keep_all)
    except (ValueError, RecursionError) as error:
        raise ImportFailed(f"expected the JSON of tshark: {error}") from None


def _keep_all(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    repeated: set[str] = set()
    for key, value in pairs:
        if key not in found:
            found[key] = value
        elif key in repeated:
            found[key].append(value)  # type: ignore[attr-defined]  # made below
        else:
            repeated.add(key)
            found[key] = [found[key], value]
    return found


def read_packets(packets: Iterable[object], *, with_data: Collection[str] = (), ends_are_there: bool = False) -> Trace:
    """Read packets, in the order of the recording.

    `with_data` are the numbers of all TCP streams in question that carry data, where that is known: one without HTTP began before the recording did.
    `ends_are_there` says that the packets which end a TCP connection were not filtered out, so that a WebSocket without one was still open.
    """
    reader = _Reader()
    count = 0
    for packet in packets:
        layers = mapping(mapping(mapping(packet).get("_source")).get("layers"))
        count += bool(layers)
        reader.packet(layers)
    if not count:
        reader.warnings.append("there are no packets in the file")
    silent = set(with_data) - reader.streams.keys()
    if silent:
        reader.warnings.append(
            f"TCP connections with data but without an HTTP request: {len(silent)}; they began before the recording did, or are encrypted"
        )
    return reader.trace(ends_are_there)


class _Request:
    """A request that waits for its answer."""

    def __init__(self, number: str, time: float, method: str, url: str, headers: Headers, body: bytes | None) -> None:
        self.number = number
        self.time = time
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.is_refused = False

    @property
    def wants_websocket(self) -> bool:
        return header(self.headers, "upgrade").lower() == "websocket"


class _WebSocket:
    """A WebSocket, from its 101 on."""

    def __init__(self, request: _Request, time: float, headers: Headers) -> None:
        self.request = request
        self.opened = time
        self.headers = headers
        extensions = header(headers, "sec-websocket-extensions")
        self._joiners = {
            Direction.UP: MessageJoiner(keeps_context=keeps_context(extensions, "client")),
            Direction.DOWN: MessageJoiner(keeps_context=keeps_context(extensions, "server")),
        }
        self._messages: list[Message] = []
        self._lost: dict[str, None] = {}
        self._closed: tuple[float, Direction, int | None, str] | None = None
        self._is_over = False

    def frame(self, time: float, direction: Direction, frame: Object) -> None:
        opcode = whole(frame.get("websocket.opcode"))
        if opcode == _CLOSE:
            self.close(time, direction, *_close_code(frame))
        elif opcode in _DATA:
            try:
                self._data(time, direction, opcode, frame)
            except Undecodable as error:
                self._lost[str(error)] = None

    def close(self, time: float, direction: Direction, code: int | None = None, reason: str = "") -> None:
        """Note the first sign of the end."""
        if self._closed is None:
            self._closed = (time, direction, code, reason)

    def _data(self, time: float, direction: Direction, opcode: int, frame: Object) -> None:
        raw = _payload(frame)
        text = mapping(frame.get("websocket.payload")).get("websocket.payload.text")
        is_last = _flag(frame.get("websocket.fin"))
        data: str | bytes | None
        if raw is None and whole(frame.get("websocket.payload_length")) != 0:
            # Without -x: the last fragment shows the text of the whole message, the others show nothing.
            data = text if isinstance(text, str) and is_last else None
            if data is None and opcode == BINARY:
                raise Undecodable("binary messages, which tshark writes only with -x")
            if data is not None and _is_masked(frame) and _length(frame) > SHOWN_UNMASKED:
                raise Undecodable(f"messages to the server of more than {SHOWN_UNMASKED} bytes, which tshark writes whole only with -x")
        else:
            data = self._joiners[direction].feed(opcode, raw or b"", is_last=is_last, is_compressed=_is_compressed(frame))
        if data is not None:
            self._messages.append(Message(time=time, direction=direction, data=data))

    def socket(self, ends_are_there: bool) -> Socket:
        closed, closed_by, code, reason = self._closed or (None, None, None, "")
        return Socket(
            started=self.request.time,
            opened=self.opened,
            url=_websocket_url(self.request.url),
            headers=self.request.headers,
            answer_headers=self.headers,
            messages=tuple(self._messages),
            closed=closed,
            closed_by=closed_by,
            code=code,
            reason=reason,
            is_open=ends_are_there and closed is None,
            lost="; ".join(self._lost),
        )


class _Stream:
    """One TCP connection, from its first request on."""

    def __init__(self, server_port: str) -> None:
        self.server_port = server_port
        self.waiting: deque[tuple[int, _Request]] = deque()
        self.websocket: _WebSocket | None = None
        self._sent = 1

    def follow(self, tcp: Object) -> None:
        """Count what the server has sent, by relative sequence numbers: a server that ends without having sent more has answered nothing."""
        if tcp.get("tcp.srcport") != self.server_port:
            return
        if _ends(tcp) and (whole(tcp.get("tcp.seq")) or 0) in (self._sent, self._sent + 1):  # a FIN counts as one
            for _, request in self.waiting:
                request.is_refused = True
        self._sent = max(self._sent, whole(tcp.get("tcp.nxtseq")) or 0)


class _Reader:
    """Reads packets into a trace."""

    def __init__(self) -> None:
        self.streams: dict[str, _Stream] = {}
        self.warnings: list[str] = []
        self._items: list[Exchange | _Request | _WebSocket | Socket] = []
        self._unasked = 0
        self._is_damaged = False

    def packet(self, layers: Object) -> None:
        tcp = next(_layers(layers.get("tcp")), {})
        frame = mapping(layers.get("frame"))
        time = _instant(frame.get("frame.time_epoch"))
        name = string(tcp.get("tcp.stream"))
        for http in _layers(layers.get("http")):
            self._http(http, name, tcp, frame, time)
        stream = self.streams.get(name)
        if stream is None:
            return
        stream.follow(tcp)
        if stream.websocket is None:
            return
        direction = Direction.UP if tcp.get("tcp.dstport") == stream.server_port else Direction.DOWN
        for item in _layers(layers.get("websocket")):
            stream.websocket.frame(time, direction, item)
        if _ends(tcp):
            stream.websocket.close(time, direction)

    # -------------------------------------------------------------------------------------------------------------------------------------- HTTP

    def _http(self, http: Object, name: str, tcp: Object, frame: Object, time: float) -> None:
        first = next((line for line in http.values() if isinstance(line, dict) and _is_first(line)), http)
        method, code = first.get("http.request.method"), whole(first.get("http.response.code"))
        if isinstance(method, str):
            stream = self.streams.setdefault(name, _Stream(string(tcp.get("tcp.dstport"))))
            headers = _headers(http.get("http.request.line"))
            url = _url(http, first, headers, "tls" in string(frame.get("frame.protocols")))
            request = _Request(string(frame.get("frame.number")), time, method, url, headers, self._body(http, headers))
            stream.waiting.append((len(self._items), request))
            self._items.append(request)
        elif code is not None and (code >= 200 or code == SWITCHED):
            self._answer(http, name, code, time)

    def _answer(self, http: Object, name: str, code: int, time: float) -> None:
        stream = self.streams.get(name)
        if stream is None or not stream.waiting:
            self._unasked += 1
            return
        answered = string(http.get("http.request_in"))
        found = next((waiting for waiting in stream.waiting if waiting[1].number == answered), stream.waiting[0])
        stream.waiting.remove(found)
        place, request = found
        headers = _headers(http.get("http.response.line"))
        if code == SWITCHED:
            stream.websocket = self._items[place] = _WebSocket(request, time, headers)
        elif request.wants_websocket:
            self._items[place] = _refused(request, code, headers, self._body(http, headers))
        else:
            self._items[place] = _exchange(request, time, code, headers, self._body(http, headers))

    def _body(self, http: Object, headers: Headers) -> bytes | None:
        """A body, of which tshark has undone the encodings that it knows; None if what it printed is damaged."""
        raw = _bytes(http.get("http.file_data_raw"))
        if raw is not None:
            return _decompressed(raw, headers)
        text = http.get("http.file_data")
        if not isinstance(text, str):
            return b""
        if "\ufffd" in text:
            self._is_damaged = True
            return None
        return _bytes_of_colons(text, headers) or utf8(text)

    # ----------------------------------------------------------------------------------------------------------------------------------- the end

    def trace(self, ends_are_there: bool) -> Trace:
        if self._unasked:
            self.warnings.append(f"answers without their requests: {self._unasked}; the recording began after those were sent")
        if self._is_damaged:
            self.warnings.append("tshark writes bodies that are not ASCII only with -x: they are missing")
        return Trace(source="pcap", items=tuple(self._finished(item, ends_are_there) for item in self._items), warnings=tuple(self.warnings))

    @staticmethod
    def _finished(item: Exchange | _Request | _WebSocket | Socket, ends_are_there: bool) -> Exchange | Socket:
        match item:
            case _WebSocket():
                return item.socket(ends_are_there)
            case _Request():
                if item.wants_websocket:
                    return _unanswered(item)
                return Exchange(started=item.time, method=item.method, url=item.url, headers=item.headers, body=item.body)
            case _:
                return item


def _exchange(request: _Request, time: float, code: int, headers: Headers, answer: bytes | None) -> Exchange:
    return Exchange(
        started=request.time,
        ended=time,
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=request.body,
        status=code,
        answer_headers=headers,
        content_type=header(headers, "content-type"),
        answer=answer,
    )


def _refused(request: _Request, code: int, headers: Headers, answer: bytes | None) -> Socket:
    url = _websocket_url(request.url)
    return Socket(started=request.time, url=url, headers=request.headers, status=code, answer_headers=headers, answer=answer)


def _unanswered(request: _Request) -> Socket:
    lost = "" if request.is_refused else "the answer to its handshake is not in the file, and without that tshark shows no messages"
    return Socket(started=request.time, url=_websocket_url(request.url), headers=request.headers, status=0, lost=lost)


# --- the fields of tshark


def _layers(value: object) -> Iterator[Object]:
    """A protocol's layers of one packet: none, one, or several."""
    return iter((value,)) if isinstance(value, dict) else objects(value)


def _is_first(line: Object) -> bool:
    return "http.request.method" in line or "http.response.code" in line


def _headers(value: object) -> Headers:
    lines = value if isinstance(value, list) else [value]
    pairs = (string(line).rstrip("\r\n").partition(":") for line in lines if isinstance(line, str))
    return tuple((name, text.strip()) for name, _, text in pairs)


def _url(http: Object, first: Object, headers: Headers, is_encrypted: bool) -> str:
    url = string(http.get("http.request.full_uri"))
    if not url:
        url = f"http://{header(headers, 'host')}{string(first.get('http.request.uri'))}"
    return f"https{url.removeprefix('http')}" if is_encrypted and url.startswith("http:") else url


def _websocket_url(url: str) -> str:
    return f"ws{url.removeprefix('http')}" if url.startswith("http") else url


def _bytes(value: object) -> bytes | None:
    """The bytes of a field of ``-x``: a list of hexadecimal digits, position, length and more, or a list of those; None if there is none."""
    while isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str):
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def _payload(frame: Object) -> bytes | None:
    """The bytes that a frame carries, unmasked; None without ``-x``. tshark unmasks the head of a long one only, and shows all of it masked."""
    shown, masked = _bytes(frame.get("websocket.payload_raw")), _bytes(frame.get("websocket.masked_payload_raw"))
    key = _bytes(frame.get("websocket.masking_key_raw"))
    if masked is None or key is None or len(key) != _KEY or len(masked) <= len(shown or b""):
        return shown
    mask = (key * (len(masked) // _KEY + 1))[: len(masked)]
    return (int.from_bytes(masked) ^ int.from_bytes(mask)).to_bytes(len(masked))


def _is_masked(frame: Object) -> bool:
    return _flag(frame.get("websocket.mask"))


def _length(frame: Object) -> int:
    """How many bytes a frame carries: in one of three fields, of which a later one is there where the one before is too small for it."""
    names = ("websocket.payload_length_ext_64", "websocket.payload_length_ext_16", "websocket.payload_length")
    return next((length for name in names if (length := whole(frame.get(name))) is not None), 0)


def _bytes_of_colons(text: str, headers: Headers) -> bytes | None:
    """Later versions print bytes as hexadecimal digits with colons; the length of the body tells them from a text that looks like it."""
    length = whole(header(headers, "content-length"))
    try:
        data = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return None
    return data if len(data) == length else None


def _decompressed(raw: bytes, headers: Headers) -> bytes | None:
    """The body undone of an encoding that tshark left: one that it was told not to undo, or that it does not know."""
    encoding = header(headers, "content-encoding")
    if not encoding or _is_text(raw):
        return raw
    return decoded(raw, encoding)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _flag(value: object) -> bool:
    return value in ("1", "True", "true", True)


def _is_compressed(frame: Object) -> bool:
    """The first of the three reserved bits (RFC 7692 section 6)."""
    text = string(frame.get("websocket.rsv"))
    try:
        return bool(int(text, 0) & 4)
    except ValueError:
        return False


def _close_code(frame: Object) -> tuple[int | None, str]:
    raw = _bytes(frame.get("websocket.payload_raw"))
    if raw is not None and len(raw) >= 2:
        return int.from_bytes(raw[:2]), raw[2:].decode("utf-8", "replace")
    payload = mapping(frame.get("websocket.payload"))
    shown = mapping(payload.get("websocket.payload.close")) or payload
    return whole(shown.get("websocket.payload.close.status_code")), string(shown.get("websocket.payload.close.reason"))


def _ends(tcp: Object) -> bool:
    flags = mapping(tcp.get("tcp.flags_tree")) or tcp
    return _flag(flags.get("tcp.flags.fin")) or _flag(flags.get("tcp.flags.reset"))


def _instant(value: object) -> float:
    """Seconds since the epoch, which later versions print as a date."""
    seconds = number(value)
    if seconds is not None:
        return seconds
    try:
        return datetime.fromisoformat(string(value)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
