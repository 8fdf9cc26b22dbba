"""Which request belongs to which session.

A session is named by the `sid` in the query of its requests. The request that opens it has none: the name is in the answer, the open packet, which is
the first packet of a polling body or of a WebSocket. Everything else about a request may be anything: the path, the host behind a proxy, parameters
of the application's own. Several sessions take turns in one recording, and one whose beginning was not recorded is a session all the same.

What belongs to no session is kept too: refused handshakes, and those of Engine.IO 3, which is named and not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from engineio_lite.capture.lines import Direction
from engineio_lite.capture.trace import Exchange, Socket, Trace
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.payload import SEPARATOR, is_version_3_payload
from engineio_lite.state import Transport
from engineio_lite.strictjson import JSONError, decode_json

_PROTOCOL: Final = frozenset(("EIO", "transport", "sid", "t", "j", "b64"))
"""Parameters of the protocol, which are no part of a session's URL."""

_SCHEMES: Final = {"ws": "http", "wss": "https"}


class Address(msgspec.Struct, frozen=True):
    """What the URL of a request says: the version and session of the protocol, the URL of the session, and that of the request for showing."""

    eio: str
    sid: str
    session_url: str
    shown_url: str


def address(url: str) -> Address | None:
    """Read the URL of a request; None if it is none of Engine.IO."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return None
    values = dict(query)
    if "EIO" not in values and values.get("transport") not in tuple(Transport):
        return None
    own = urlencode([(name, value) for name, value in query if name not in _PROTOCOL])
    shown = urlencode([(name, value) for name, value in query if name != "t"])
    session_url = urlunsplit((_SCHEMES.get(parts.scheme, parts.scheme), parts.netloc, parts.path, own, ""))
    return Address(values.get("EIO", ""), values.get("sid", ""), session_url, urlunsplit((parts.scheme, parts.netloc, parts.path, shown, "")))


class Request(msgspec.Struct, frozen=True):
    """One request or WebSocket, with what its URL says, the number of the file and its place in it."""

    address: Address
    item: Exchange | Socket
    file: int
    place: int


class Session:
    """The requests of one session, in the order of their starts; `opening` is the one that opened it, None if that was not recorded."""

    def __init__(self, sid: str, first: Request, opening: Request | None) -> None:
        self.sid = sid
        self.file = first.file
        self.opening = opening
        self.url = first.address.session_url
        self.requests = [first]

    @property
    def opened(self) -> float:
        """When it was opened, or first seen."""
        return opened_at(self.opening.item) if self.opening is not None else self.requests[0].item.started


class Sorted(msgspec.Struct):
    """What was found: sessions in the order in which they were opened, requests that belong to none, and openings of Engine.IO 3."""

    sessions: list[Session]
    others: list[Request]
    version_3: list[Request]


def sort_requests(traces: Sequence[Trace]) -> Sorted:
    """Find the sessions of several files."""
    found = Sorted([], [], [])
    for number, trace in enumerate(traces):
        _sort_file(_requests(trace, number), found)
    found.sessions.sort(key=lambda session: session.opened)
    return found


def _requests(trace: Trace, file: int) -> list[Request]:
    known = ((address(item.url), item, place) for place, item in enumerate(trace.items))
    return [Request(found, item, file, place) for found, item, place in known if found is not None]


def _sort_file(requests: Iterable[Request], found: Sorted) -> None:
    sessions: dict[str, list[Session]] = {}
    rest: list[Request] = []
    for request in requests:
        if _is_version_3(request):
            found.version_3.append(request)
        elif not request.address.sid and (sid := opened_sid(request.item)):
            sessions.setdefault(sid, []).append(Session(sid, request, request))
        else:
            rest.append(request)
    rest.sort(key=lambda request: request.item.started)
    for request in rest:
        session = _session_of(request, sessions.get(request.address.sid, []))
        if session is not None:
            session.requests.append(request)
        elif _worked(request):
            sid = request.address.sid
            sessions.setdefault(sid or f"\0{request.place}", []).append(Session(sid, request, None))
        else:
            found.others.append(request)
    found.sessions += (session for same in sessions.values() for session in same)


def _session_of(request: Request, sessions: Sequence[Session]) -> Session | None:
    """The session of that name; of several, which a test server may give, the last one that was there when the request began."""
    begun = [session for session in sessions if session.opened <= request.item.started]
    return next(iter((begun or sessions[:1])[-1:]), None)


def opened_sid(item: Exchange | Socket) -> str:
    """The session that this request opened; empty if it opened none."""
    if isinstance(item, Socket):
        first = next((message.data for message in item.messages if message.direction is Direction.DOWN), "")
        return _sid(first) if isinstance(first, str) else ""
    if item.method != "GET" or item.status != 200 or not item.answer:
        return ""
    return _sid(item.answer.decode("utf-8", "replace").partition(SEPARATOR)[0])


def _sid(packet: str) -> str:
    if not packet.startswith("0{"):
        return ""
    try:
        fields = decode_json(packet[1:], max_depth=DEFAULT_LIMITS.max_depth, max_integer_digits=DEFAULT_LIMITS.max_integer_digits)
    except JSONError:
        return ""
    sid = fields.get("sid") if isinstance(fields, dict) else None
    return sid if isinstance(sid, str) else ""


def opened_at(item: Exchange | Socket) -> float:
    """When the open packet of a request was there."""
    if isinstance(item, Socket):
        times = (message.time for message in item.messages if message.direction is Direction.DOWN)
        return next(times, None) or item.opened or item.started
    return item.started if item.ended is None else item.ended


def _is_version_3(request: Request) -> bool:
    """Say whether a request is one of Engine.IO 3 that worked; one that was refused is a refusal like any other."""
    item = request.item
    if request.address.eio == "3":
        return item.status in (200, 101)
    # Without the parameter a server may take the client for an old one; its answer tells.
    answer = b"" if request.address.eio or isinstance(item, Socket) else item.answer
    return bool(answer) and item.status == 200 and is_version_3_payload((answer or b"").decode("utf-8", "replace"))


def _worked(request: Request) -> bool:
    """Say whether a request was one of a session: its answer was no error, and there was a session that it could name or open."""
    item = request.item
    if isinstance(item, Socket):
        return item.status == 101 or (item.status == 0 and bool(item.lost))
    return item.method in ("GET", "POST") and item.status == 200 and bool(request.address.sid)
