"""Servers that answer wrongly, stage by stage: each lie has its own cause, comes in time, gives nothing away, and leaves nothing running.

The tables are the theory. A `Lie` is an answer, and what it must be called at every stage where it makes sense; the stages are the members of
`Stage`. What is checked of each is the same: the exact `cause`, the exact class, the `stage`, URL and `status` that the error carries; that no sid,
password, token or cookie is in it however it is shown; that it came within its timeout; and that the session is closed, except where only the upgrade
failed: then it goes on by polling and still carries messages both ways. The suite's leak check looks after each for tasks and sessions, and the
server for sockets.

Two rules of the protocol make some lies no errors: a POST is judged by its status alone, and a poll may bring nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_lite import (
    Cause,
    ConnectFailed,
    ConnectionClosed,
    ConnectRefused,
    DecodeError,
    EngineIOError,
    HandshakeError,
    Limits,
    PingTimeout,
    RemoteProtocolError,
    TimedOut,
    Timeouts,
    TransportClosed,
    TransportError,
)
from engineio_lite.aio import ConnectOptions, EngineIOClient, connect, connect_socketio
from tests.aio.raw import (
    BINARY,
    SID,
    TEXT,
    Answer,
    Connection,
    EngineServer,
    RawServer,
    Request,
    Stage,
    closing,
    frame,
    response,
    socketio,
    switching,
    text,
)
from tests.leaks import left_behind

CERTIFICATES = Path(__file__).parent / "certs"

SECRET = "s3cret"
"""Every secret of these tests contains it: see `secretive` and `raw.SID`."""

LIMIT = 0.4
"""Seconds for each stage."""

SLACK = 1.2
"""What a loaded machine may add to a limit before a test calls it late."""

TIMEOUTS = Timeouts(connect=LIMIT / 2, open=LIMIT, post=LIMIT, upgrade=LIMIT, upgrade_delay=0.02, poll_backoff=0.02, close=LIMIT, namespace=LIMIT)
LIMITS = Limits(max_body=20_000, max_frame=20_000)
OPTIONS: ConnectOptions = {
    "timeouts": TIMEOUTS,
    "limits": LIMITS,
    "cookies": {"session": f"{SECRET}-cookie"},
    "headers": {"X-Api-Key": f"{SECRET}-key"},
}


def secretive(origin: str, path: str = "/engine.io/") -> str:
    """A URL with secrets in all the places where people put them."""
    return origin.replace("://", f"://user:{SECRET}-password@") + f"{path}?token={SECRET}-token"


# ------------------------------------------------------------------------------------------------------------------------------ what is expected


@dataclass(frozen=True, slots=True)
class Expect:
    """What an error must be; `stage` None means the stage's usual name."""

    cause: Cause
    error: type[EngineIOError] = HandshakeError
    status: int | None = None
    stage: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None
    server_code: int | None = None


FINE = None
"""Not an error: the session goes on as if nothing had happened."""


@dataclass(frozen=True, slots=True)
class Lie:
    """An answer, and what it is called, by stage."""

    name: str
    answer: Answer
    expected: Mapping[Stage, Expect | None]


H, P, S, U, W = Stage.HANDSHAKE, Stage.POLL, Stage.POST, Stage.UPGRADE, Stage.WEBSOCKET
PROBE, UPGRADED, FIRST, CONNECT = Stage.PROBE, Stage.UPGRADED, Stage.FIRST_FRAME, Stage.CONNECT

NAMES = {H: "handshake", P: "poll", S: "post", U: "upgrade", W: "websocket", PROBE: "upgrade"} | dict.fromkeys(
    (UPGRADED, FIRST, CONNECT), "websocket"
)
"""The word for each stage in `EngineIOError.stage`."""

Table = dict[Stage, Expect | None]


def at(stages: tuple[Stage, ...], expected: Expect | None) -> Table:
    return dict.fromkeys(stages, expected)


def refused(cause: Cause, status: int, **more: Any) -> Table:
    """The same refusal wherever HTTP is spoken."""
    return at((H, P, S, U, W), Expect(cause, HandshakeError, status, **more))


def lost(cause: Cause, error: type[EngineIOError] = TransportError) -> Table:
    """The same loss wherever HTTP is spoken."""
    return at((H, P, S, U, W), Expect(cause, error))


# ------------------------------------------------------------------------------------------------------------------------------------ the answers


def says(status: int, body: bytes | str = b"", **more: Any) -> Answer:
    """Answer the request with this response, and close."""
    encoded = body.encode() if isinstance(body, str) else body
    headers = (("Connection", "close"), *more.pop("headers", ()))
    return sends(response(status, encoded, headers=headers, **more))


def sends(data: bytes) -> Answer:
    """Answer with these bytes, and close."""

    async def answer(connection: Connection, request: Request) -> None:
        await connection.send(data)

    return answer


def resets(data: bytes = b"") -> Answer:
    """Send these bytes, then reset the connection."""

    async def answer(connection: Connection, request: Request) -> None:
        await connection.send(data)
        connection.cut()

    return answer


def holds(data: bytes = b"") -> Answer:
    """Send these bytes, then nothing more, for ever."""

    async def answer(connection: Connection, request: Request) -> None:
        await connection.send(data)
        await connection.hold()

    return answer


def accepts(data: bytes = b"", *, then_hold: bool = True, key: str | None = None) -> Answer:
    """Answer a WebSocket request with 101 and these bytes."""

    async def answer(connection: Connection, request: Request) -> None:
        await connection.send(switching(request, key) + data)
        if then_hold:
            await connection.hold()

    return answer


def in_pieces(data: bytes) -> Answer:
    """Send all but the last ten bytes, and those a moment later, as a packet of their own."""

    async def answer(connection: Connection, request: Request) -> None:
        connection.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await connection.send(data[:-10])
        await asyncio.sleep(0.02)
        await connection.send(data[-10:])

    return answer


def node_error(code: int, message: str) -> str:
    return json.dumps({"code": code, "message": message})


HTML = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>"
CHALLENGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
JSON_KIND = {"kind": "application/json"}
HTML_KIND = {"kind": "text/html"}
NO_SID = '0{"upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
VERSION_3 = '96:0{"sid":"s3cret-sid-3","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":60000}2:40'
GZIP = (("Content-Encoding", "gzip"),)
BOMB = gzip.compress(b"4" + b"x" * 10_000_000)
"""Ten megabytes in ten kilobytes: it must not be unpacked whole."""

VERSION_ERROR = response(400, node_error(5, "Unsupported protocol version").encode(), kind="application/json", headers=[("Connection", "close")])

HTTP_LIES = [
    Lie(
        "empty 200",
        says(200),
        {H: Expect(Cause.EMPTY_RESPONSE, status=200), P: FINE, S: FINE} | at((U, W), Expect(Cause.WEBSOCKET_REFUSED, status=200)),
    ),
    Lie(
        "web page with 200",
        says(200, HTML, **HTML_KIND),
        at((H, U, W), Expect(Cause.HTML_RESPONSE, status=200)) | {P: Expect(Cause.UNKNOWN_PACKET_TYPE, DecodeError, 200), S: FINE},
    ),
    Lie(
        "plain text with 200",
        says(200, "It works!"),
        {H: Expect(Cause.NOT_ENGINEIO, status=200), P: Expect(Cause.UNKNOWN_PACKET_TYPE, DecodeError, 200), S: FINE}
        | at((U, W), Expect(Cause.WEBSOCKET_REFUSED, status=200)),
    ),
    Lie("204", says(204), refused(Cause.EMPTY_RESPONSE, 204) | at((U, W), Expect(Cause.WEBSOCKET_REFUSED, status=204))),
    Lie("502 of a gateway", says(502, HTML, **HTML_KIND), refused(Cause.GATEWAY_ERROR, 502)),
    Lie("503", says(503, "no backend"), refused(Cause.GATEWAY_ERROR, 503)),
    Lie("504", says(504), refused(Cause.GATEWAY_ERROR, 504)),
    Lie("500", says(500, "Traceback"), refused(Cause.SERVER_ERROR, 500)),
    Lie("418", says(418), refused(Cause.UNEXPECTED_STATUS, 418)),
    Lie(
        "401",
        says(401, headers=[("WWW-Authenticate", "Basic realm=x")]),
        refused(Cause.UNAUTHORIZED, 401, headers={"WWW-Authenticate": "Basic realm=x"}),
    ),
    Lie("403", says(403, "no"), refused(Cause.FORBIDDEN, 403)),
    Lie("404", says(404, HTML, **HTML_KIND), refused(Cause.WRONG_PATH, 404)),
    Lie(
        "407", says(407, headers=[("Proxy-Authenticate", "Basic")]), refused(Cause.PROXY_AUTH_REQUIRED, 407, headers={"Proxy-Authenticate": "Basic"})
    ),
    Lie("429", says(429, "slow down", headers=[("Retry-After", "7")]), refused(Cause.RATE_LIMITED, 429, headers={"Retry-After": "7"})),
    Lie("413", says(413), refused(Cause.PAYLOAD_TOO_LARGE, 413)),
    Lie("code 5 in two pieces", in_pieces(VERSION_ERROR), refused(Cause.UNSUPPORTED_VERSION, 400, server_code=5)),
    Lie(
        "redirect to a log-in page",
        says(302, headers=[("Location", f"/login?next={SECRET}-next")]),
        refused(Cause.REDIRECTED, 302),
    ),
    Lie("challenge page", says(403, CHALLENGE, headers=[("cf-mitigated", "challenge")], **HTML_KIND), refused(Cause.CHALLENGE_PAGE, 403)),
    Lie("challenge page without its header", says(503, CHALLENGE, **HTML_KIND), refused(Cause.CHALLENGE_PAGE, 503)),
    # --- Node's codes and python-engineio's sentences.
    Lie("code 0", says(400, node_error(0, "Transport unknown"), **JSON_KIND), refused(Cause.TRANSPORT_UNKNOWN, 400, server_code=0)),
    Lie("code 1", says(400, node_error(1, "Session ID unknown"), **JSON_KIND), refused(Cause.SESSION_UNKNOWN, 400, server_code=1)),
    Lie("code 2", says(400, node_error(2, "Bad handshake method"), **JSON_KIND), refused(Cause.BAD_HANDSHAKE_METHOD, 400, server_code=2)),
    Lie("code 3", says(400, node_error(3, "Bad request"), **JSON_KIND), refused(Cause.BAD_REQUEST, 400, server_code=3)),
    Lie("code 4", says(403, node_error(4, "you again"), **JSON_KIND), refused(Cause.FORBIDDEN, 403, server_code=4)),
    Lie("code 5", says(400, node_error(5, "Unsupported protocol version"), **JSON_KIND), refused(Cause.UNSUPPORTED_VERSION, 400, server_code=5)),
    Lie("Python: transport", says(400, '"Invalid transport"'), refused(Cause.TRANSPORT_UNKNOWN, 400)),
    Lie("Python: session", says(400, f'"Invalid session {SID}"'), at((P, S, U), Expect(Cause.SESSION_UNKNOWN, status=400))),
    Lie("Python: session gone", says(400, f"\"'Session is disconnected' {SID}\""), at((P, S, U), Expect(Cause.SESSION_UNKNOWN, status=400))),
    Lie("Python: method", says(400, '"Invalid session None"'), refused(Cause.BAD_HANDSHAKE_METHOD, 400)),
    Lie("Python: upgrade", says(400, '"Invalid websocket upgrade"'), refused(Cause.BAD_REQUEST, 400)),
    Lie("Python: origin", says(400, '"http://x is not an accepted origin."'), refused(Cause.FORBIDDEN, 400)),
    Lie(
        "Python: version",
        says(400, '"The client is using an unsupported version of the Socket.IO or Engine.IO protocols"'),
        refused(Cause.UNSUPPORTED_VERSION, 400),
    ),
    # --- Open packets that are none.
    Lie(
        "open packet without sid",
        says(200, NO_SID),
        {H: Expect(Cause.MISSING_SID, status=200), P: Expect(Cause.UNEXPECTED_OPEN, RemoteProtocolError, stage="session")},
    ),
    Lie("open packet with an empty sid", says(200, NO_SID.replace("{", '{"sid":"",')), {H: Expect(Cause.MISSING_SID, status=200)}),
    Lie("open packet that is no JSON", says(200, '0{"sid":'), {H: Expect(Cause.BAD_HANDSHAKE, status=200)}),
    Lie("open packet that is an array", says(200, "0[]"), {H: Expect(Cause.BAD_HANDSHAKE, status=200)}),
    Lie(
        "open packet with a time below zero",
        says(200, '0{"sid":"s3cret-1","pingInterval":-1,"pingTimeout":1}'),
        {H: Expect(Cause.BAD_HANDSHAKE, status=200)},
    ),
    Lie("open packet nested too deep", says(200, "0" + "[" * 5000), {H: Expect(Cause.BAD_HANDSHAKE, status=200)}),
    Lie("message first", says(200, "4hello"), {H: Expect(Cause.NOT_ENGINEIO, status=200), P: FINE}),
    Lie("close packet", says(200, "1"), {H: Expect(Cause.SERVER_CLOSED), P: Expect(Cause.SERVER_CLOSED, ConnectionClosed, stage="")}),
    Lie(
        "version 3 body", says(200, VERSION_3), {H: Expect(Cause.LOOKS_LIKE_EIO3, status=200), P: Expect(Cause.UNKNOWN_PACKET_TYPE, DecodeError, 200)}
    ),
    Lie("JSONP", says(200, '___eio[0]("0{}");'), {H: Expect(Cause.NOT_ENGINEIO, status=200)}),
    # --- Bodies that are no packets.
    Lie("invalid UTF-8", says(200, b"4\xff\xfe"), {H: Expect(Cause.NOT_ENGINEIO, status=200), P: Expect(Cause.BAD_UTF8, DecodeError, 200), S: FINE}),
    Lie("empty packet", says(200, "4a\x1e\x1e4b"), {H: Expect(Cause.NOT_ENGINEIO, status=200), P: Expect(Cause.EMPTY_PACKET, DecodeError, 200)}),
    Lie("bad base64", says(200, "b!!!!"), {H: Expect(Cause.NOT_ENGINEIO, status=200), P: Expect(Cause.BAD_BASE64, DecodeError, 200)}),
    # --- HTTP that is none, or breaks off.
    Lie(
        "wrong Content-Encoding",
        says(200, "4not gzip at all", headers=GZIP),
        at((H, P, S), Expect(Cause.BAD_HTTP, RemoteProtocolError)) | at((U, W), Expect(Cause.WEBSOCKET_REFUSED, status=200)),
    ),
    Lie("unknown Content-Encoding", says(200, b"\x00\x01", headers=[("Content-Encoding", "snappy")]), {H: Expect(Cause.NOT_ENGINEIO, status=200)}),
    Lie("body over the limit", says(200, "4" + "x" * 30_000), at((H, P, S), Expect(Cause.RESPONSE_TOO_LARGE, RemoteProtocolError))),
    Lie("body over the limit when unpacked", says(200, BOMB, headers=GZIP), at((H, P, S), Expect(Cause.RESPONSE_TOO_LARGE, RemoteProtocolError))),
    Lie("headers too large", says(200, headers=[("X-Large", "x" * 100_000)]), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie("too many headers", says(200, headers=[(f"X-{i}", "x") for i in range(50_000)]), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie("not HTTP", sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie("a TLS alert", sends(b"\x15\x03\x03\x00\x02\x02\x46"), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie("bad status line", sends(b"HTTP/1.1 abc OK\r\n\r\n"), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie("bad header", sends(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), lost(Cause.BAD_HTTP, RemoteProtocolError)),
    Lie(
        "bad chunk",
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n4hello"),
        at((H, P, S), Expect(Cause.BAD_HTTP, RemoteProtocolError)),
    ),
    Lie("closed at once", sends(b""), lost(Cause.CONNECTION_LOST)),
    Lie("reset at once", resets(), lost(Cause.CONNECTION_LOST)),
    Lie("cut in the headers", sends(b"HTTP/1.1 200 OK\r\nContent-Ty"), lost(Cause.CONNECTION_LOST)),
    Lie("cut in the body", says(200, "0{", length=500), at((H, P, S), Expect(Cause.CONNECTION_LOST, TransportError))),
    Lie("reset in the body", resets(response(200, b"0{", length=500)), at((H, P, S), Expect(Cause.CONNECTION_LOST, TransportError))),
    Lie(
        "refusal cut in its body",
        says(502, "<ht", length=500),
        at((H, P, S), Expect(Cause.CONNECTION_LOST, TransportError)) | at((U, W), Expect(Cause.GATEWAY_ERROR, status=502)),
    ),
    # --- Silence, at three depths.
    *(
        Lie(
            name,
            holds(data),
            {
                H: Expect(Cause.OPEN_TIMEOUT, TimedOut),
                P: Expect(Cause.PING_TIMEOUT, PingTimeout, stage="session"),
                S: Expect(Cause.POST_TIMEOUT, TimedOut),
                U: Expect(Cause.PROBE_TIMEOUT, TimedOut),
                W: Expect(Cause.OPEN_TIMEOUT, TimedOut, stage="handshake"),
            },
        )
        for name, data in [
            ("silence", b""),
            ("silence in the headers", b"HTTP/1.1 200 OK\r\nContent-"),
            ("silence in the body", response(200, b"0", length=500)),
        ]
    ),
]

_NO_WEBSOCKET = at((U, W), Expect(Cause.WEBSOCKET_PROTOCOL_ERROR, RemoteProtocolError))

SWITCHING_LIES = [
    Lie("101 then garbage", accepts(b"\xff\xfe\xfd garbage"), _NO_WEBSOCKET),
    Lie("101 then an HTTP refusal", accepts(response(400, b"Bad Request")), _NO_WEBSOCKET),
    Lie("101 with a bad accept key", accepts(key="c29tZXRoaW5nIGVsc2U="), _NO_WEBSOCKET),
    Lie("101 without upgrading", holds(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), _NO_WEBSOCKET),
    Lie("101 then closed", accepts(then_hold=False), at((U, W), Expect(Cause.WEBSOCKET_CLOSED, TransportClosed, code=1006))),
]


def frames(name: str, data: bytes, *, probe: Expect | None, upgraded: Expect | None, first: Expect | None, connect: Expect | None) -> Lie:
    """These bytes instead of a frame, and then silence; None leaves a stage out."""
    expected = {PROBE: probe, UPGRADED: upgraded, FIRST: first, CONNECT: connect}
    return Lie(name, holds(data), {stage: what for stage, what in expected.items() if what is not None})


def broken(name: str, data: bytes, cause: Cause = Cause.WEBSOCKET_PROTOCOL_ERROR) -> Lie:
    """Bytes that are no WebSocket frame."""
    expected = Expect(cause, RemoteProtocolError)
    return frames(name, data, probe=expected, upgraded=expected, first=expected, connect=expected)


def ended(name: str, answer: Answer, cause: Cause, code: int | None, *, connect: Expect | None = None) -> Lie:
    """The end of the WebSocket."""
    expected = Expect(cause, TransportClosed, code=code)
    session = Expect(cause, TransportClosed, code=code, stage="session")
    return Lie(name, answer, {PROBE: expected, UPGRADED: session, FIRST: expected, CONNECT: connect or session})


def undecodable(name: str, data: bytes, cause: Cause) -> Lie:
    """A frame that is no packet."""
    decode = Expect(cause, DecodeError)
    return frames(
        name,
        data,
        probe=decode,
        upgraded=decode,
        first=Expect(Cause.NOT_ENGINEIO),
        connect=decode,
    )


_SERVER_CLOSED = Expect(Cause.SERVER_CLOSED, ConnectionClosed, stage="")
_NOT_JOINED = Expect(Cause.CONNECT_CLOSED, HandshakeError, stage="namespace")
"""Node ends a session in which it cannot read the CONNECT."""
_NO_PROBE_ANSWER = Expect(Cause.UNEXPECTED_PROBE_ANSWER)
_NO_OPEN_PACKET = Expect(Cause.NOT_ENGINEIO, stage="handshake")

FRAME_LIES = [
    broken("invalid UTF-8", frame(TEXT, b"4\xff\xfe"), Cause.BAD_UTF8),
    broken("frame over the limit", text("4" + "x" * 30_000), Cause.RESPONSE_TOO_LARGE),
    broken("header of a frame over the limit", frame(TEXT, b"4", length=1 << 40), Cause.RESPONSE_TOO_LARGE),
    broken("fragments over the limit", frame(TEXT, b"4" * 15_000, first=0) + frame(0, b"x" * 15_000), Cause.RESPONSE_TOO_LARGE),
    broken("reserved bits", frame(TEXT, b"4hello", first=0xF0)),
    broken("compressed without being asked", frame(TEXT, b"\xca\x48\xcd\xc9\xc9\x07\x00", first=0xC0)),
    broken("reserved opcode", frame(3, b"4hello")),
    broken("continuation of nothing", frame(0, b"4hello")),
    broken("text inside a fragmented text", frame(TEXT, b"4a", first=0) + text("4b")),
    broken("fragmented ping", frame(9, b"x", first=0)),
    broken("close frame with one byte", frame(8, b"\x03")),
    broken("close frame with a reserved code", closing(999)),
    undecodable("empty text frame", text(""), Cause.EMPTY_PACKET),
    undecodable("words", text("hello"), Cause.UNKNOWN_PACKET_TYPE),
    undecodable("a web page", text(HTML), Cause.UNKNOWN_PACKET_TYPE),
    frames(
        "a message",
        text("4hello"),
        probe=_NO_PROBE_ANSWER,
        upgraded=None,
        first=_NO_OPEN_PACKET,
        connect=Expect(Cause.UNKNOWN_PACKET_TYPE, DecodeError, stage="namespace"),
    ),
    frames(
        "a binary message",
        frame(BINARY, b"\x00\x01"),
        probe=_NO_PROBE_ANSWER,
        upgraded=None,
        first=_NO_OPEN_PACKET,
        connect=Expect(Cause.UNEXPECTED_BINARY, DecodeError, stage="namespace"),
    ),
    frames("a pong", text("3"), probe=_NO_PROBE_ANSWER, upgraded=None, first=_NO_OPEN_PACKET, connect=None),
    frames(
        "a close packet",
        text("1"),
        probe=_NO_PROBE_ANSWER,
        upgraded=_SERVER_CLOSED,
        first=Expect(Cause.SERVER_CLOSED, stage="handshake"),
        connect=_NOT_JOINED,
    ),
    frames(
        "an open packet without sid",
        text(NO_SID),
        probe=_NO_PROBE_ANSWER,
        upgraded=Expect(Cause.UNEXPECTED_OPEN, RemoteProtocolError, stage="session"),
        first=Expect(Cause.MISSING_SID, stage="handshake"),
        connect=Expect(Cause.UNEXPECTED_OPEN, RemoteProtocolError, stage="session"),
    ),
    frames(
        "an open packet that is no JSON",
        text("0{"),
        probe=_NO_PROBE_ANSWER,
        upgraded=None,
        first=Expect(Cause.BAD_HANDSHAKE, stage="handshake"),
        connect=None,
    ),
    frames(
        "silence",
        b"",
        probe=Expect(Cause.PROBE_TIMEOUT, TimedOut),
        upgraded=Expect(Cause.PING_TIMEOUT, PingTimeout, stage="session"),
        first=Expect(Cause.OPEN_TIMEOUT, TimedOut, stage="handshake"),
        connect=Expect(Cause.CONNECT_UNANSWERED, TimedOut, stage="namespace"),
    ),
    ended("close frame 1000", sends(closing(1000, "bye")), Cause.WEBSOCKET_CLOSED, 1000),
    ended("close frame 1009", sends(closing(1009)), Cause.PAYLOAD_TOO_LARGE, 1009),
    ended("close frame 1011", sends(closing(1011, "failed")), Cause.WEBSOCKET_CLOSED, 1011),
    ended("close frame without a code", sends(closing()), Cause.WEBSOCKET_CLOSED, None, connect=_NOT_JOINED),
    ended("close frame, then the line stays open", holds(closing(1011)), Cause.WEBSOCKET_CLOSED, 1011),
    ended("close frame without a code, then the line stays open", holds(closing()), Cause.WEBSOCKET_CLOSED, None, connect=_NOT_JOINED),
    ended("the line closed", sends(b""), Cause.WEBSOCKET_CLOSED, 1006),
    ended("the line cut", resets(), Cause.WEBSOCKET_CLOSED, 1006),
    ended("the line closed in a frame", sends(text("4hello")[:4]), Cause.WEBSOCKET_CLOSED, 1006),
]


def refuses(name: str, data: str, cause: Cause, error: type[EngineIOError] = DecodeError, stage: str = "namespace") -> Lie:
    """A frame that answers a Socket.IO CONNECT."""
    return Lie(name, holds(text(data)), {CONNECT: Expect(cause, error, stage=stage)})


CONNECT_LIES = [
    refuses(
        "refused with a message and data", '44{"message":"not authorized","data":{"code":7}}', Cause.NAMESPACE_REFUSED, ConnectRefused, "namespace"
    ),
    refuses("refused with a bare sentence", '44"Unable to connect"', Cause.NAMESPACE_REFUSED, ConnectRefused, "namespace"),
    refuses("granted in the manner of version 2", "40", Cause.SOCKETIO_V2, HandshakeError, "namespace"),
    refuses("granted without a sid", "40{}", Cause.SOCKETIO_V2, HandshakeError, "namespace"),
    refuses("left again", "41", Cause.NAMESPACE_REFUSED, ConnectRefused),
    refuses("unknown packet type", "49", Cause.UNKNOWN_PACKET_TYPE),
    refuses("nothing in the message", "4", Cause.EMPTY_PACKET),
    refuses("event without payload", "42", Cause.MISSING_PAYLOAD),
    refuses("event that is no JSON", '42["a"', Cause.BAD_JSON),
    refuses("event nested too deep", "42" + '["a",' + "[" * 500, Cause.TOO_DEEP),
    refuses("event with a reserved name", '42["connect"]', Cause.RESERVED_EVENT),
    refuses("too many attachments", "4599999-[]", Cause.TOO_MANY_ATTACHMENTS),
    refuses("binary event without attachments", '450-["a"]', Cause.BAD_ATTACHMENT_COUNT),
    Lie(
        "text instead of an attachment",
        holds(text('451-["a",{"_placeholder":true,"num":0}]') + text('42["b"]')),
        {CONNECT: Expect(Cause.TEXT_WHILE_RECONSTRUCTING, DecodeError, stage="namespace")},
    ),
    Lie(
        "attachment that no placeholder may name",
        holds(text('451-["a",{"_placeholder":true,"num":7}]') + frame(BINARY, b"x")),
        {CONNECT: Expect(Cause.BAD_PLACEHOLDER, DecodeError, stage="namespace")},
    ),
]

ROWS = [
    pytest.param(stage, lie, expected, id=f"{stage.value}: {lie.name}".replace(" ", "-"))
    for lie in [*HTTP_LIES, *SWITCHING_LIES, *FRAME_LIES, *CONNECT_LIES]
    for stage, expected in lie.expected.items()
]


# --------------------------------------------------------------------------------------------------------------------------------------- the test


@pytest.mark.parametrize(("stage", "lie", "expected"), ROWS)
async def test_each_lie_has_its_name_comes_in_time_and_leaves_nothing(stage: Stage, lie: Lie, expected: Expect | None) -> None:
    # A server that will fall silent announces pings so often that the silence is noticed soon.
    soon = {"pingInterval": 150, "pingTimeout": 150} if expected is not None and expected.cause is Cause.PING_TIMEOUT else {}
    async with EngineServer(reply=socketio if stage is CONNECT else lambda message: (message,), handshake=soon) as server:
        server.answers[stage] = once(server, stage, lie.answer) if expected is FINE else lie.answer
        started = time.monotonic()
        error = await provoke(stage, server)
        elapsed = time.monotonic() - started
        await asyncio.wait_for(server.all_gone(), SLACK)
    if expected is FINE:
        assert error is None
        return
    assert error is not None
    check(error, expected, NAMES[stage])
    assert elapsed < LIMIT + SLACK


def once(server: EngineServer, stage: Stage, lie: Answer) -> Answer:
    """Lie the first time only."""

    async def answer(connection: Connection, request: Request) -> None:
        del server.answers[stage]
        for packet in request.packets if request.body else ():
            server.take(packet)
        await lie(connection, request)

    return answer


async def provoke(stage: Stage, server: EngineServer) -> EngineIOError | None:
    """Live through a lie at this stage, from connecting to closing; returns what it was called, None if it was no error."""
    url = secretive(server.origin)
    match stage:
        case Stage.HANDSHAKE:
            return await opening_fails(url, transports=("polling",))
        case Stage.WEBSOCKET | Stage.FIRST_FRAME:
            return await opening_fails(url, transports=("websocket",))
        case Stage.CONNECT:
            options: ConnectOptions = {**OPTIONS, "transports": ("websocket",)}
            with pytest.raises(EngineIOError) as caught:
                await connect_socketio(secretive(server.origin, "/socket.io/"), auth={"token": f"{SECRET}-auth"}, **options)
            return caught.value
        case Stage.POLL | Stage.POST:
            async with session(url, transports=("polling",)) as engine:
                return await session_survives(engine)
        case Stage.UPGRADE | Stage.PROBE:
            async with session(url) as engine:
                assert await engine.wait_upgraded() is False
                assert engine.transport == "polling"
                error = engine.upgrade_error
                assert await session_survives(engine) is None
                await polled_both_ways(engine, server)
                return error
        case _:
            async with session(url) as engine:
                assert await engine.wait_upgraded() is True
                with pytest.raises(EngineIOError) as caught:
                    await engine.receive()
                return caught.value


@asynccontextmanager
async def session(url: str, **options: Any) -> AsyncIterator[EngineIOClient]:
    """An open session, which is closed afterwards, within its time."""
    engine = await connect(url, **OPTIONS, **options)
    try:
        yield engine
    finally:
        started = time.monotonic()
        await engine.close()
        assert time.monotonic() - started < 2 * LIMIT + SLACK
        assert engine.closed is not None


async def opening_fails(url: str, **more: Unpack[ConnectOptions]) -> EngineIOError:
    options: ConnectOptions = {**OPTIONS, **more}
    with pytest.raises(EngineIOError) as caught:
        await connect(url, **options)
    return caught.value


async def session_survives(engine: EngineIOClient) -> EngineIOError | None:
    """Send one message and wait for its echo; returns what ended the session meanwhile, if anything did."""
    try:
        await engine.send("one")
        while await engine.receive() != "one":
            pass
    except EngineIOError as error:
        return error
    return None


async def polled_both_ways(engine: EngineIOClient, server: EngineServer) -> None:
    """Both sides speak at once, by polling."""
    await server.until(lambda: server.polling)
    server.say("two")
    await engine.send("three")
    assert {await engine.receive(), await engine.receive()} == {"two", "three"}
    assert server.messages == ["one", "three"]


def check(error: EngineIOError, expected: Expect, stage: str) -> None:
    """Look at an error from all sides."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(vars(error))
    assert SECRET not in shown.replace(f"{CERTIFICATES}", "")
    assert (error.cause, type(error), error.status, error.server_code) == (expected.cause, expected.error, expected.status, expected.server_code)
    assert (error.stage or "") == (stage if expected.stage is None else expected.stage)
    assert expected.headers.items() <= dict(error.headers).items()
    if error.stage in ("handshake", "poll", "post", "upgrade", "websocket"):
        assert error.url is not None
        assert error.url.startswith("http")
    if expected.code is not None or isinstance(error, TransportClosed):
        assert isinstance(error, TransportClosed)
        assert error.code == expected.code
    assert expected.cause.value in str(error)


# ------------------------------------------------------------------------------------------------------------------------------ below the server


TRANSPORTS = [("polling",), ("websocket",)]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_a_port_where_nobody_listens_refuses(transports: tuple[str, ...]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await opening_fails(secretive(f"http://127.0.0.1:{free.getsockname()[1]}"), transports=transports)
    check(error, Expect(Cause.CONNECT_REFUSED, ConnectFailed), transports_stage(transports))


class NoSuchHost(AbstractResolver):
    """Knows no name, as a resolver does that was asked for a name that does not exist; no question leaves this machine."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_a_name_that_does_not_exist_is_named(transports: tuple[str, ...]) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoSuchHost())) as caller:
        error = await opening_fails(secretive("http://nowhere.invalid"), transports=transports, session=caller)
    check(error, Expect(Cause.DNS_FAILED, ConnectFailed), transports_stage(transports))
    assert str(error).startswith("no address is known for nowhere.invalid: ")


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
@pytest.mark.parametrize("host", ["a" * 100 + ".invalid", "a..invalid"])
async def test_a_name_that_cannot_be_one_is_a_bad_url(host: str, transports: tuple[str, ...]) -> None:
    error = await opening_fails(secretive(f"http://{host}"), transports=transports)
    check(error, Expect(Cause.BAD_URL, ConnectFailed), transports_stage(transports))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_an_address_that_swallows_everything_times_out(transports: tuple[str, ...]) -> None:
    with socket.socket() as full:
        # A listener whose queue is full drops the packets that ask for more: on Linux that is a black hole on loopback.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        started = time.monotonic()
        error = await opening_fails(secretive(f"http://127.0.0.1:{full.getsockname()[1]}"), transports=transports)
        for filler in fillers:
            filler.close()
    assert time.monotonic() - started < LIMIT + SLACK
    # Both clocks run for as long; the one for connecting goes off first, or it would not be known what took so long.
    check(error, Expect(Cause.CONNECT_TIMEOUT, ConnectFailed), transports_stage(transports))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_tls_to_a_plain_port_is_a_tls_failure(transports: tuple[str, ...]) -> None:
    async def answer(connection: Connection) -> None:
        assert (await connection.exactly(1)) == b"\x16"  # the first byte of a TLS handshake
        await connection.send(response(400, b"Bad Request"))

    async with RawServer(answer) as server:
        error = await opening_fails(secretive(server.origin.replace("http", "https")), transports=transports)
    check(error, Expect(Cause.TLS_FAILED, ConnectFailed), transports_stage(transports))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_tls_to_a_port_that_says_nothing_times_out_while_connecting(transports: tuple[str, ...]) -> None:
    async with RawServer(lambda connection: connection.hold()) as server:
        error = await opening_fails(secretive(server.origin.replace("http", "https")), transports=transports)
    check(error, Expect(Cause.CONNECT_TIMEOUT, ConnectFailed), transports_stage(transports))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_plain_http_to_a_tls_port_is_a_lost_connection(transports: tuple[str, ...]) -> None:
    async with EngineServer(ssl=server_tls()) as server:
        error = await opening_fails(secretive(server.origin.replace("https", "http")), transports=transports)
    check(error, Expect(Cause.CONNECTION_LOST, TransportError), transports_stage(transports))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure(transports: tuple[str, ...]) -> None:
    async with EngineServer(ssl=server_tls()) as server:
        error = await opening_fails(secretive(server.origin), transports=transports)
    check(error, Expect(Cause.TLS_FAILED, ConnectFailed), transports_stage(transports))
    assert "certificate" in str(error).lower()


def transports_stage(transports: tuple[str, ...]) -> str:
    return "handshake" if transports == ("polling",) else "websocket"


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


# -------------------------------------------------------------------------------------------------------------------------------------- any bytes


_PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: deflate\r\n",
        b"Content-Encoding: br\r\n",
        b"Connection: close\r\n",
        b"Set-Cookie: a=\xff; Domain=\r\n",
        b"Location: http://[\r\n",
        b"\r\n",
        b"5\r\n",
        b"0\r\n\r\n",
        b"0{}",
        NO_SID.encode(),
        b"4hello\x1e",
        b"\x1e",
        b"\x81\x02",
        b"\x82\x7f",
        b"\x88\x02\x03\xe8",
        b"\x89\x00",
        b"6",
        b"b4",
    ]
)

ANY_BYTES = st.lists(st.one_of(_PIECES, st.binary(max_size=20)), max_size=8).map(b"".join)


async def survive(stage: Stage, answer: Answer) -> None:
    """Any answer at this stage is one of our errors or none, in time, with nothing left."""
    async with EngineServer({stage: answer}) as server:
        async with asyncio.timeout(2 * LIMIT + SLACK):
            try:
                options: ConnectOptions = {**OPTIONS, "transports": ("polling",) if stage in (H, P) else ("polling", "websocket")}
                async with connect(server.origin, **options) as engine:
                    await engine.wait_upgraded()
            except EngineIOError:
                pass
        await asyncio.wait_for(server.all_gone(), SLACK)
    assert await left_behind() == []


@settings(max_examples=100)
@given(data=ANY_BYTES)
def test_any_bytes_for_a_handshake_are_one_of_our_errors(data: bytes) -> None:
    asyncio.run(survive(H, sends(data)))


@settings(max_examples=100)
@given(data=ANY_BYTES)
def test_any_bytes_for_a_poll_are_one_of_our_errors(data: bytes) -> None:
    asyncio.run(survive(P, sends(data)))


@settings(max_examples=100)
@given(data=ANY_BYTES)
def test_any_bytes_after_101_are_one_of_our_errors(data: bytes) -> None:
    asyncio.run(survive(U, accepts(data, then_hold=False)))


@settings(max_examples=100)
@given(data=ANY_BYTES)
def test_any_bytes_after_the_upgrade_are_one_of_our_errors(data: bytes) -> None:
    asyncio.run(survive(UPGRADED, sends(data)))


@settings(max_examples=12)  # some of these wait for their limit
@given(stage=st.sampled_from([H, P, U, PROBE, UPGRADED]), data=ANY_BYTES)
def test_any_bytes_and_then_silence_are_one_of_our_errors(stage: Stage, data: bytes) -> None:
    asyncio.run(survive(stage, accepts(data) if stage is U else holds(data)))


@pytest.mark.parametrize("transports", [("websocket",), ("polling", "websocket")], ids="+".join)
async def test_a_refusal_whose_body_never_ends_is_named_all_the_same(transports: tuple[str, ...]) -> None:
    never_ending = holds(response(502, b"<html>", length=500))
    async with EngineServer({U: never_ending, W: never_ending}) as server:
        started = time.monotonic()
        if transports == ("websocket",):
            error: EngineIOError | None = await opening_fails(server.origin, transports=transports, timeouts=Timeouts())
        else:
            async with connect(server.origin) as engine:
                await engine.wait_upgraded()
                error = engine.upgrade_error
        assert time.monotonic() - started < 1 + SLACK
    assert error is not None
    check(error, Expect(Cause.GATEWAY_ERROR, status=502), "websocket" if transports == ("websocket",) else "upgrade")


async def test_a_server_that_is_not_there_any_more_is_noticed_at_close() -> None:
    async with RawServer(lambda connection: connection.hold()) as server:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            await connect(server.origin, **OPTIONS)
        assert time.monotonic() - started < LIMIT + SLACK
        await asyncio.wait_for(server.all_gone(), SLACK)
