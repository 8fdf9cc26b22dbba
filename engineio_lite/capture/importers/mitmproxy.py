"""mitmproxy's flow files: dictionaries in typed netstrings, one flow after the other, each written when it ended.

The most complete recording there is: bodies as bytes (still in their content encoding, which is undone here), every message of a WebSocket with its
time, the close code and who closed. A crash of the recorder loses the flows that had not ended; a file that was cut off keeps those that are whole.
Messages that somebody dropped in the proxy are left out, as their receiver never had them; those that somebody injected are marked.

Other versions than those known here are refused by name: mitmproxy rewrites its old files itself.

Reference: mitmproxy 12, `mitmproxy/io/compat.py` for the versions, `http.py` and `websocket.py` for the fields.
"""

from __future__ import annotations

from typing import Final

from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.fields import Object, decoded, header, items, mapping, number, string, whole
from engineio_lite.capture.importers.tnetstring import NotTnetstring, read_values
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Message, Socket, Trace
from engineio_lite.causes import Cause
from engineio_lite.exceptions import elide
from engineio_lite.inputs import Headers

OLDEST: Final = 20
"""The first version of the file whose fields are those read here (mitmproxy 10)."""

TEXT: Final = 1
"""The opcode of a text message."""


def read_flows(data: bytes) -> Trace:
    """Read a flow file.

    Raises `ImportFailed`: cause ``not-a-recording`` for a file that does not begin with a flow, ``recording-version`` for one of an old mitmproxy.
    """
    reader = _Reader()
    flows = read_values(data)
    while True:
        try:
            flow = next(flows, None)
        except NotTnetstring as error:
            if not reader.flows:
                raise ImportFailed(f"expected a flow file of mitmproxy: {error}") from None
            reader.warn(f"the file {'is cut off' if error.is_cut else 'is damaged'} after {reader.flows} flows, which were kept: {error}")
            reader.is_whole = False
            break
        if flow is None:
            break
        reader.flow(flow)
    return reader.trace()


class _Reader:
    """Reads flows into a trace."""

    def __init__(self) -> None:
        self.flows = 0
        self.is_whole = True
        self._items: list[Exchange | Socket] = []
        self._warnings: list[str] = []
        self._dropped = 0
        self._others: set[str] = set()

    def warn(self, warning: str) -> None:
        self._warnings.append(warning)

    def trace(self) -> Trace:
        if self._dropped:
            self.warn(f"WebSocket messages that were dropped in the proxy, and are left out: {self._dropped}")
        if self._others:
            self.warn(f"flows that are no HTTP, and are left out: {', '.join(sorted(self._others))}")
        return Trace(source="mitmproxy", items=tuple(self._items), warnings=tuple(self._warnings), may_lack_sockets=not self.is_whole)

    def flow(self, value: object) -> None:
        flow = mapping(value)
        version = flow.get("version")
        if "type" not in flow or "version" not in flow:
            raise ImportFailed("expected a flow of mitmproxy with a type and a version, got something else in the same notation")
        if not isinstance(version, int) or version < OLDEST:
            raise ImportFailed(
                f"expected a flow file of version {OLDEST} or later (mitmproxy 10), got version {elide(repr(version))}", cause=Cause.RECORDING_VERSION
            )
        self.flows += 1
        if flow["type"] != "http":
            self._others.add(elide(_text(flow["type"])))
        else:
            self._items.append(self._http(flow))

    def _http(self, flow: Object) -> Exchange | Socket:
        request, response = mapping(flow.get("request")), mapping(flow.get("response"))
        headers, answer_headers = _headers(request), _headers(response)
        if header(headers, "upgrade").lower() == "websocket" or flow.get("websocket"):
            return self._socket(flow, request, response)
        return Exchange(
            started=number(request.get("timestamp_start")) or 0.0,
            ended=number(response.get("timestamp_end")),
            method=_text(request.get("method")).upper(),
            url=_url(request, headers),
            headers=headers,
            body=_content(request, headers),
            status=whole(response.get("status_code")) or 0,
            answer_headers=answer_headers,
            content_type=header(answer_headers, "content-type"),
            answer=_content(response, answer_headers) if response else b"",
        )

    def _socket(self, flow: Object, request: Object, response: Object) -> Socket:
        socket = mapping(flow.get("websocket"))
        headers, answer_headers = _headers(request), _headers(response)
        ended = number(socket.get("timestamp_end"))
        by_client = socket.get("closed_by_client")
        found = [self._message(message) for message in items(socket.get("messages"))]
        messages = tuple(message for message in found if isinstance(message, Message))
        return Socket(
            started=number(request.get("timestamp_start")) or 0.0,
            opened=number(response.get("timestamp_end")),
            url=_url(request, headers),
            headers=headers,
            status=whole(response.get("status_code")) or 0,
            answer_headers=answer_headers,
            answer=_content(response, answer_headers),
            messages=messages,
            closed=ended,
            closed_by=None if not isinstance(by_client, bool) else Direction.UP if by_client else Direction.DOWN,
            code=whole(socket.get("close_code")),
            reason=_text(socket.get("close_reason")),
            is_open=bool(socket) and ended is None,
            lost="messages in a form that is not known" if None in found else "",
        )

    def _message(self, message: object) -> Message | bool | None:
        """One message; False for one that was dropped, None for what is none."""
        match message:
            case [int(opcode), bool(from_client), bytes(content), float() | int() as time, dropped, injected, *_]:
                self._dropped += bool(dropped)
                direction = Direction.UP if from_client else Direction.DOWN
                data = content.decode("utf-8", "surrogateescape") if opcode == TEXT else content
                return not dropped and Message(time=float(time), direction=direction, data=data, injected=bool(injected))
        return None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else string(value)


def _headers(part: Object) -> Headers:
    pairs = []
    for item in items(part.get("headers")):
        match item:
            case [bytes(name), bytes(value)]:
                pairs.append((_text(name), _text(value)))
    return tuple(pairs)


def _url(request: Object, headers: Headers) -> str:
    """The URL as the client asked for it: its Host header says more than the address behind a reverse proxy."""
    scheme = _text(request.get("scheme")) or "http"
    port = whole(request.get("port"))
    host = _text(request.get("authority")) or header(headers, "host")
    if not host:
        host = _text(request.get("host"))
        host = host if port is None or (scheme, port) in (("http", 80), ("https", 443)) else f"{host}:{port}"
    path = _text(request.get("path"))
    return path if "://" in path.partition("?")[0] else f"{scheme}://{host}{path}"


def _content(part: Object, headers: Headers) -> bytes | None:
    """A body, undone of its content encoding; None if it was not kept (a streamed body) or cannot be undone."""
    content = part.get("content")
    if not isinstance(content, bytes):
        return None
    return decoded(content, header(headers, "content-encoding"))
