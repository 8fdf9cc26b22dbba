"""Answers that are no Engine.IO answer: one row for each way in which people meet them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from engineio_lite.causes import FIXES, Cause
from engineio_lite.exceptions import HandshakeError
from engineio_lite.handshake import explain_response

URL = "http://user:pass@host/socket.io/?token=secret&EIO=4&transport=polling&sid=abcdefgh1234"

HTML = "<!doctype html><html><head><title>{}</title></head><body></body></html>"


@dataclass
class Row:
    """An answer, and what it means."""

    cause: Cause
    status: int
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stage: str = "handshake"
    code: int | None = None
    words: str = ""


def node(cause: Cause, code: int, message: str, status: int = 400, **more: str) -> Row:
    return Row(cause, status, f'{{"code":{code},"message":"{message}"}}', {"Content-Type": "application/json"}, code=code, words=message, **more)


def python(cause: Cause, sentence: str, status: int = 400) -> Row:
    return Row(cause, status, f'"{sentence}"', {"Content-Type": "text/plain"}, words="server's refusal")


ROWS = [
    # --- bot protection, under any status
    Row(
        Cause.CHALLENGE_PAGE,
        403,
        HTML.format("Just a moment..."),
        {"server": "cloudflare", "cf-mitigated": "challenge"},
        words="cf-mitigated: challenge",
    ),
    Row(Cause.CHALLENGE_PAGE, 403, HTML.format("Just a moment..."), words="just a moment"),
    Row(Cause.CHALLENGE_PAGE, 503, HTML.format("Just a Moment"), {"Retry-After": "10"}),
    Row(Cause.CHALLENGE_PAGE, 429, b"", {"CF-Mitigated": "challenge"}),
    Row(Cause.CHALLENGE_PAGE, 200, HTML.format("x").replace("<body>", '<script src="/cdn-cgi/challenge-platform/x">')),
    Row(Cause.CHALLENGE_PAGE, 403, HTML.format("Attention Required! | Cloudflare"), stage="websocket"),
    Row(Cause.CHALLENGE_PAGE, 202, b"", {"x-amzn-waf-action": "challenge"}),
    # --- redirects
    Row(Cause.REDIRECTED, 302, "", {"Location": "/login?next=%2Fsecret"}, words="http://host/login$"),
    Row(Cause.REDIRECTED, 301, "", {"Location": "https://user:x@other/socket.io/?token=1#x"}, words="https://other/socket.io/$"),
    Row(Cause.REDIRECTED, 303, "", {"Location": "http://[::1"}, words="\\[::1"),
    Row(Cause.REDIRECTED, 307, "", {}, words="without a Location"),
    Row(Cause.REDIRECTED, 308, HTML.format("Moved"), {"location": "x/"}, stage="post"),
    # --- Node's words
    node(Cause.TRANSPORT_UNKNOWN, 0, "Transport unknown"),
    node(Cause.SESSION_UNKNOWN, 1, "Session ID unknown", stage="poll"),
    node(Cause.BAD_HANDSHAKE_METHOD, 2, "Bad handshake method", stage="post"),
    node(Cause.BAD_REQUEST, 3, "Bad request", stage="websocket"),
    node(Cause.FORBIDDEN, 4, "Forbidden", status=403),
    node(Cause.FORBIDDEN, 4, "my own text", status=403),
    node(Cause.UNSUPPORTED_VERSION, 5, "Unsupported protocol version"),
    node(Cause.SESSION_UNKNOWN, 1, "Session ID unknown", status=200),
    *(
        Row(cause, 400, message, {"Content-Type": "text/html"}, "websocket", words=message)
        for message, cause in [
            ("Transport unknown", Cause.TRANSPORT_UNKNOWN),
            ("Session ID unknown", Cause.SESSION_UNKNOWN),
            ("Bad handshake method", Cause.BAD_HANDSHAKE_METHOD),
            ("Bad request", Cause.BAD_REQUEST),
            ("Forbidden", Cause.FORBIDDEN),
            ("Unsupported protocol version", Cause.UNSUPPORTED_VERSION),
            ("text of allowRequest", Cause.FORBIDDEN),
        ]
    ),
    # --- python-engineio's words
    python(Cause.TRANSPORT_UNKNOWN, "Invalid transport"),
    python(Cause.SESSION_UNKNOWN, "Invalid session abcdefgh1234"),
    python(Cause.SESSION_UNKNOWN, "'Session is disconnected' abcdefgh1234"),
    python(Cause.BAD_HANDSHAKE_METHOD, "Invalid session None"),
    python(Cause.BAD_REQUEST, "Invalid websocket upgrade"),
    python(Cause.BAD_REQUEST, "Unexpected HTTP request"),
    python(Cause.FORBIDDEN, "http://evil.example is not an accepted origin."),
    python(Cause.UNSUPPORTED_VERSION, "The client is using an unsupported version of the Socket.IO or Engine.IO protocols"),
    Row(Cause.UNAUTHORIZED, 401, '"Unauthorized"', {"Content-Type": "application/json"}, words="Unauthorized"),
    Row(Cause.UNAUTHORIZED, 401, '{"reason":"bad token"}', {"Content-Type": "application/json"}, words="bad token"),
    Row(Cause.BAD_REQUEST, 400, "Invalid websocket upgrade", stage="websocket"),
    # --- objects that are somebody else's
    Row(Cause.WRONG_PATH, 404, '{"code":3,"message":"no Route matched"}', words="no Route"),
    Row(Cause.NOT_ENGINEIO, 200, '{"code":0,"message":"success"}', words="JSON"),
    Row(Cause.BAD_REQUEST, 400, '{"code":6,"message":"Bad request"}'),
    Row(Cause.BAD_REQUEST, 400, '{"code":true,"message":"Bad request"}'),
    Row(Cause.BAD_REQUEST, 400, '{"code":"1","message":"Session ID unknown"}'),
    Row(Cause.BAD_REQUEST, 400, '{"code":1,"message":null}'),
    Row(Cause.BAD_REQUEST, 400, "[1]"),
    Row(Cause.BAD_REQUEST, 400, "[" * 50),
    # --- statuses
    Row(Cause.BAD_REQUEST, 400, b"", stage="poll", words="nothing in its body"),
    Row(Cause.UNAUTHORIZED, 401, HTML.format("401"), {"WWW-Authenticate": 'Basic realm="x"'}),
    Row(Cause.FORBIDDEN, 403, HTML.format("403 Forbidden")),
    Row(Cause.WRONG_PATH, 404, "Cannot GET /socket.io/", {"X-Powered-By": "Express"}, words="Cannot GET"),
    Row(Cause.WRONG_PATH, 404, "404: Not Found", stage="websocket"),
    Row(Cause.WRONG_PATH, 410),
    Row(Cause.BAD_HANDSHAKE_METHOD, 405, "405: Method Not Allowed"),
    Row(Cause.PROXY_AUTH_REQUIRED, 407, HTML.format("Proxy"), {"Proxy-Authenticate": "Basic", "Via": "1.1 squid"}),
    Row(Cause.PAYLOAD_TOO_LARGE, 413, b"", stage="post"),
    Row(Cause.NOT_ENGINEIO, 426, "Upgrade Required", words="WebSocket and nothing else"),
    Row(Cause.RATE_LIMITED, 429, "slow down", {"Retry-After": "7"}),
    Row(Cause.RATE_LIMITED, 503, HTML.format("busy"), {"Retry-After": "30"}, words="Retry-After: 30"),
    Row(Cause.GATEWAY_ERROR, 502, HTML.format("502 Bad Gateway"), {"Server": "nginx"}),
    Row(Cause.GATEWAY_ERROR, 503, HTML.format("503"), stage="websocket"),
    Row(Cause.GATEWAY_ERROR, 504, HTML.format("504")),
    Row(Cause.GATEWAY_ERROR, 522, HTML.format("522: Connection timed out"), {"server": "cloudflare"}),
    Row(Cause.SERVER_ERROR, 500, b"", stage="poll"),
    Row(Cause.SERVER_ERROR, 501, "not implemented"),
    Row(Cause.UNEXPECTED_STATUS, 418, "teapot"),
    Row(Cause.UNEXPECTED_STATUS, 304),
    Row(Cause.UNEXPECTED_STATUS, 101),
    Row(Cause.UNEXPECTED_STATUS, 0),
    Row(Cause.TLS_FAILED, 400, HTML.format("400 The plain HTTP request was sent to HTTPS port"), {"server": "nginx"}),
    Row(Cause.TLS_FAILED, 400, "Client sent an HTTP request to an HTTPS server.\n"),
    # --- a WebSocket that was none
    Row(Cause.WEBSOCKET_REFUSED, 400, HTML.format("400 Bad Request"), {"Content-Type": "text/html"}, "websocket"),
    Row(Cause.WEBSOCKET_REFUSED, 400, "no", {"Content-Type": "text/plain"}, "upgrade"),
    Row(Cause.WEBSOCKET_REFUSED, 400, "x" * 300, {"Content-Type": "text/html"}, "upgrade"),
    Row(Cause.WEBSOCKET_REFUSED, 400, '{"error":"no"}', {"Content-Type": "text/html"}, "upgrade"),
    Row(Cause.WEBSOCKET_REFUSED, 400, b"", {"Content-Type": "text/html"}, "upgrade"),
    Row(Cause.WEBSOCKET_REFUSED, 405, b"", {}, "websocket"),
    Row(Cause.WEBSOCKET_REFUSED, 426, b"", {}, "upgrade"),
    Row(Cause.WEBSOCKET_REFUSED, 501, b"", {}, "websocket"),
    Row(Cause.WEBSOCKET_REFUSED, 200, '0{"sid":"x"}', {}, "upgrade", words="HTTP 200 instead of a WebSocket"),
    Row(Cause.WEBSOCKET_REFUSED, 200, b"", {}, "websocket"),
    Row(Cause.HTML_RESPONSE, 200, HTML.format("My app"), {}, "websocket"),
    # --- a success with something else in it
    Row(Cause.EMPTY_RESPONSE, 200, words="nothing"),
    Row(Cause.EMPTY_RESPONSE, 204),
    Row(Cause.HTML_RESPONSE, 200, HTML.format("My app"), {"Content-Type": "text/html"}, words="web page"),
    Row(Cause.HTML_RESPONSE, 200, "\n  <html>", {"Content-Type": "text/plain"}),
    Row(Cause.LOOKS_LIKE_EIO3, 200, '97:0{"sid":"x","pingInterval":25000}2:40', words="Engine.IO 3"),
    Row(Cause.LOOKS_LIKE_EIO3, 200, b'\x00\x09\x07\xff0{"sid":"x"}\x00\x02\xff40'),
    Row(Cause.NOT_ENGINEIO, 200, '97:0{"sid":"x"}2:40', stage="poll"),  # the framing means something in the first answer only
    Row(Cause.NOT_ENGINEIO, 200, "4:foo", words="type message"),
    Row(Cause.NOT_ENGINEIO, 200, "4hello\x1e2", words="first packet of type message instead of open"),
    Row(Cause.NOT_ENGINEIO, 200, "6", words="type noop"),
    Row(Cause.NOT_ENGINEIO, 200, '___eio[0]("0{}");', words="JSONP"),
    Row(Cause.NOT_ENGINEIO, 200, "OK", words="'OK'"),
    Row(Cause.NOT_ENGINEIO, 200, "null", words="null"),
    Row(Cause.NOT_ENGINEIO, 200, '{"data":[]}', words="JSON"),
    Row(Cause.NOT_ENGINEIO, 200, "<?xml version='1.0'?>", words="xml"),
    Row(Cause.NOT_ENGINEIO, 200, b"\x1f\x8b\x08\x00", words="compressed"),
    Row(Cause.NOT_ENGINEIO, 200, "\ufeff0{}"),
    Row(Cause.NOT_ENGINEIO, 200, b"\x00\x00\x00", words="x00"),
    Row(Cause.NOT_ENGINEIO, 200, b" \n", words="nothing in its body"),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.stage}-{row.status}-{row.body[:30]!r}" for row in ROWS])
def test_answers_are_explained(row: Row) -> None:
    body = row.body.encode() if isinstance(row.body, str) else row.body
    error = explain_response(row.stage, URL, row.status, list(row.headers.items()), body)
    assert type(error) is HandshakeError
    assert error.cause is row.cause
    assert (error.stage, error.status, error.server_code) == (row.stage, row.status, row.code)
    assert error.url == "http://host/socket.io/?token=<redacted>&EIO=4&transport=polling&sid=<redacted>"
    assert error.message.startswith("expected an Engine.IO answer, got ")
    assert re.search(row.words, error.message), error.message
    assert "abcdefgh1234" not in str(error)
    assert b"abcdefgh1234" not in error.body


def test_every_cause_of_an_answer_has_a_row() -> None:
    general = {Cause.UNEXPECTED_STATUS, Cause.SERVER_ERROR}
    assert all(row.cause in FIXES or row.cause in general for row in ROWS)
    assert {
        Cause.EMPTY_RESPONSE, Cause.HTML_RESPONSE, Cause.NOT_ENGINEIO, Cause.CHALLENGE_PAGE, Cause.REDIRECTED, Cause.WRONG_PATH, Cause.UNAUTHORIZED,
        Cause.PROXY_AUTH_REQUIRED, Cause.RATE_LIMITED, Cause.GATEWAY_ERROR, Cause.SERVER_ERROR, Cause.UNEXPECTED_STATUS, Cause.TRANSPORT_UNKNOWN,
        Cause.SESSION_UNKNOWN, Cause.BAD_HANDSHAKE_METHOD, Cause.BAD_REQUEST, Cause.FORBIDDEN, Cause.UNSUPPORTED_VERSION, Cause.LOOKS_LIKE_EIO3,
        Cause.WEBSOCKET_REFUSED, Cause.PAYLOAD_TOO_LARGE, Cause.TLS_FAILED,
    } == {row.cause for row in ROWS}  # fmt: skip


def test_the_evidence_that_tells_who_answered_is_kept() -> None:
    headers = [
        ("Content-Type", "text/html"), ("Server", "nginx"), ("Via", "1.1 a"), ("Via", "1.1 b"), ("Set-Cookie", "session=secret"),
        ("Retry-After", "1"),
        ("Location", "http://u:secret@h/login?next=secret#secret"), ("WWW-Authenticate", "x" * 1000), ("CF-Ray", "1"), ("X-Powered-By", "Express"),
        ("Authorization", "secret"), ("Proxy-Authenticate", "Basic"), ("X-Other", "secret"),
    ]  # fmt: skip
    error = explain_response("handshake", URL, 502, headers, b"x" * 5000)
    assert dict(error.headers) == {
        "Content-Type": "text/html", "Server": "nginx", "Via": "1.1 b", "Retry-After": "1", "Location": "http://h/login?next=<redacted>",
        "WWW-Authenticate": "x" * 200, "CF-Ray": "1", "X-Powered-By": "Express", "Proxy-Authenticate": "Basic",
    }  # fmt: skip
    assert [value for name, value in error.headers if name == "Via"] == ["1.1 a", "1.1 b"]
    assert error.body == b"x" * 1024
    assert "secret" not in str(error)


def test_session_ids_are_taken_out_of_the_evidence() -> None:
    named = explain_response("poll", URL, 400, [], b'"Invalid session abcdefgh1234"')
    assert "Invalid session <redacted>" in named.message
    assert named.body == b'"Invalid session <redacted>"'
    given = explain_response("handshake", "http://h/", 200, [], b'97:0{"sid":"zyxwvuts","upgrades":[]}')
    assert b"zyxwvuts" not in given.body
    assert "zyxwvuts" not in str(given)


def test_short_and_absent_session_ids_leave_the_body_alone() -> None:
    for url in ("http://h/?sid=e", "http://h/?sid=", "http://h/", "http://[::1"):
        assert explain_response("poll", url, 400, [], b"excellent").body == b"excellent"
