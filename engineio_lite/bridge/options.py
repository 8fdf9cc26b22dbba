"""What python-socketio's constructor takes for the engine, in this library's terms.

The names and defaults are python-engineio's. An option keeps its meaning where it has one here; it then applies to GET, POST and WebSocket alike,
also where the original applies it to some of them. Where it has none there is an error that says so, but for two that may well be given and are not
needed: see `EngineOptions`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from engineio_lite.aio.client import Options
from engineio_lite.aio.recording import Record
from engineio_lite.capture.recorder import Recorder
from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.limits import DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.state import Transport

BRIDGE_LIMITS: Final = Limits(max_attachments=1000)
"""The limits of a bridged client: python-socketio knows no bound on attachments, so this one is generous, where the library's own is the reference
parser's."""

DEFAULT_REQUEST_TIMEOUT: Final = 5.0
"""Seconds that python-engineio gives a request."""

HttpSession = aiohttp.ClientSession | Callable[[], aiohttp.ClientSession | Awaitable[aiohttp.ClientSession]]
"""A session that stays the caller's, or what makes one for each connection, which is closed with it."""


class EngineOptions(TypedDict, total=False):
    """The keyword arguments of `AsyncClient` that are not about Socket.IO; the last four are the bridge's own."""

    engineio_logger: logging.Logger | bool
    """As `logger`, for the messages of the engine; what is logged is shortened and shows no secrets."""

    request_timeout: float | None
    """Seconds for making a connection, for opening a session, and for each POST; None leaves the library's own. Not used if `timeouts` are given."""

    http_session: HttpSession
    """An aiohttp session, which is neither changed nor closed, or a function or coroutine function that makes one for each connection."""

    ssl_verify: bool
    """False accepts any certificate."""

    websocket_extra_options: Mapping[str, Any]
    """``ssl``, ``proxy``, ``headers`` and ``origin`` (for polling too), ``max_msg_size`` and ``timeout``; ``heartbeat`` is accepted and not needed,
    because the silence of a server is noticed by its own pings. Anything else is a TypeError."""

    timestamp_requests: bool
    """False is possible without polling only, where there is no cache to be kept from answering."""

    limits: Limits
    """How much, how many and how deep; `BRIDGE_LIMITS` by default."""

    timeouts: Timeouts
    """How long, stage by stage, in place of `request_timeout`."""

    recorder: Recorder | None
    """Keeps what crosses the door, secrets included."""

    record: Record | None
    """Writes it into a capture, without secrets: the name of a file that is not there yet, or a `Recording`. All connections of the client
    go there."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one client, read once; `for_connection` makes the library's own of them."""

    headers: Mapping[str, str]
    http_session: HttpSession | None
    options: Options
    timestamps: bool

    def for_connection(self, transports: Sequence[str], headers: Mapping[str, str], session: aiohttp.ClientSession | None) -> Options:
        """The options of one connection. Raises `LocalProtocolError` for what it cannot do."""
        if not self.timestamps and Transport.POLLING in transports:
            message = "polling needs the timestamp of its requests: leave timestamp_requests out, or connect with transports=['websocket']"
            raise LocalProtocolError(message, cause=Cause.BAD_OPTION)
        return msgspec.structs.replace(self.options, transports=tuple(transports), headers={**headers, **self.headers}, session=session)


def read_settings(
    *,
    request_timeout: float | None = DEFAULT_REQUEST_TIMEOUT,
    http_session: HttpSession | None = None,
    ssl_verify: bool = True,
    websocket_extra_options: Mapping[str, Any] | None = None,
    timestamp_requests: bool = True,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    recorder: Recorder | None = None,
    record: Record | None = None,
) -> Settings:
    """Read the engine's options; raises TypeError for what has no meaning here."""
    if http_session is not None and not isinstance(http_session, aiohttp.ClientSession) and not callable(http_session):
        raise TypeError(f"http_session must be an aiohttp.ClientSession, or a callable that makes one, not {type(http_session).__name__}")
    extra = dict(websocket_extra_options or {})
    headers = dict(extra.pop("headers", None) or {})
    if (origin := extra.pop("origin", None)) is not None:
        headers["Origin"] = origin
    ssl: SSLContext | bool | None = extra.pop("ssl", None)
    proxy = extra.pop("proxy", None)
    limits = limits if limits is not None else BRIDGE_LIMITS
    if "max_msg_size" in extra:
        limits = msgspec.structs.replace(limits, max_frame=extra.pop("max_msg_size"))
    timeouts = timeouts if timeouts is not None else _timeouts(request_timeout)
    if "timeout" in extra:
        timeouts = msgspec.structs.replace(timeouts, close=_close_timeout(extra.pop("timeout"), timeouts.close))
    extra.pop("heartbeat", None)
    if extra:
        known = "ssl, proxy, headers, origin, max_msg_size, timeout"
        raise TypeError(f"websocket_extra_options knows {known} here, not {', '.join(map(repr, extra))}; other options belong into an http_session")
    options = Options(proxy=proxy, ssl=ssl_verify if ssl is None else ssl, limits=limits, timeouts=timeouts, recorder=recorder, record=record)
    return Settings(headers=headers, http_session=http_session, options=options, timestamps=timestamp_requests)


def _timeouts(request: float | None) -> Timeouts:
    if request is None:
        return DEFAULT_TIMEOUTS
    return msgspec.structs.replace(DEFAULT_TIMEOUTS, connect=float(request), open=float(request), post=float(request))


def _close_timeout(given: object, default: float) -> float:
    """aiohttp takes a number or a `ClientWSTimeout`, of which the other half, the one for receiving, is the heartbeat's affair here."""
    seconds = given.ws_close if isinstance(given, aiohttp.ClientWSTimeout) else given
    return float(seconds) if isinstance(seconds, int | float) else default


def choose_transports(transports: str | Sequence[str] | None) -> tuple[str, ...]:
    """The transports to use: the first opens, a WebSocket after it is upgraded to. Raises ValueError if there is none, as the original does."""
    given = [transports] if isinstance(transports, str) else transports
    if given is None:
        return (Transport.POLLING.value, Transport.WEBSOCKET.value)
    chosen = tuple(dict.fromkeys(name for name in given if name in tuple(Transport)))
    if not chosen:
        raise ValueError("No valid transports provided")
    return chosen[:1] if chosen[0] == Transport.WEBSOCKET else chosen


def engine_url(url: str, path: str) -> str:
    """The URL of the engine: python-socketio keeps scheme, host and query of the one it is given, and puts its own path in place of any other."""
    try:
        parts = urlsplit(url)
    except (AttributeError, TypeError, ValueError):
        return url  # which the door refuses, in better words
    if not parts.netloc:
        return url  # the same, and it quotes what was written
    return urlunsplit((parts.scheme, parts.netloc, f"/{path.strip('/')}/", parts.query, ""))


def make_logger(name: str, wanted: logging.Logger | bool) -> logging.Logger:
    """The logger that `wanted` asks for: itself, or one that says what the original's would.

    The original sets the level of the process's logger and adds a handler to it when the first client is made, and later clients have no say. Here
    each client has a logger of its own, in front of that one: its messages go wherever the application has sent the messages of `name`.
    """
    if not isinstance(wanted, bool):
        return wanted
    shared = logging.getLogger(name)
    if shared.level != logging.NOTSET:
        return shared  # the application has decided
    own = logging.Logger(name, logging.INFO if wanted else logging.ERROR)
    own.parent = shared
    if wanted and not shared.hasHandlers():
        own.addHandler(logging.StreamHandler())
    return own
