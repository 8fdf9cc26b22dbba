"""Who may come in, and what those are told who may not: the order of the questions, Node's numbers and words."""

from __future__ import annotations

import pytest

from engineio_lite.replay.admission import (
    BAD_HANDSHAKE_METHOD,
    BAD_REQUEST,
    MAX_QUERY_FIELDS,
    UNKNOWN_SID,
    UNKNOWN_TRANSPORT,
    UNSUPPORTED_PROTOCOL_VERSION,
    Refusal,
    preflight_headers,
    read_request,
    refuse,
    sharing_headers,
)
from engineio_lite.state import Transport

SESSIONS = {"p": Transport.POLLING, "w": Transport.WEBSOCKET}
POLLING, WEBSOCKET = "EIO=4&transport=polling", "EIO=4&transport=websocket"


@pytest.mark.parametrize(
    ("method", "query", "websocket", "refusal"),
    [
        ("GET", POLLING, False, None),
        ("GET", WEBSOCKET, True, None),
        ("GET", f"{POLLING}&sid=p", False, None),
        ("POST", f"{POLLING}&sid=p&t=x&own=1", False, None),
        ("GET", f"{WEBSOCKET}&sid=p", True, None),
        ("GET", f"{WEBSOCKET}&sid=w", True, None),
        ("GET", "EIO=3&EIO=4&transport=polling", False, None),
        ("GET", f"{POLLING}&sid=", False, None),
        #
        ("POST", "EIO=3&transport=pigeon&sid=nobody", False, UNKNOWN_TRANSPORT),
        ("GET", "EIO=4", True, UNKNOWN_TRANSPORT),
        ("GET", "transport=polling&sid=nobody", False, UNKNOWN_SID),
        ("GET", f"{WEBSOCKET}&sid=nobody", True, UNKNOWN_SID),
        ("POST", "transport=websocket", False, BAD_HANDSHAKE_METHOD),
        ("GET", "transport=websocket", False, BAD_REQUEST),
        ("GET", POLLING, True, BAD_REQUEST),
        ("GET", "transport=polling", False, UNSUPPORTED_PROTOCOL_VERSION),
        ("GET", "EIO=3&transport=websocket", True, UNSUPPORTED_PROTOCOL_VERSION),
        ("GET", "transport=polling&sid=p", False, BAD_REQUEST),
        ("GET", f"{POLLING}&sid=w", False, BAD_REQUEST),
        ("GET", f"{WEBSOCKET}&sid=p", False, BAD_REQUEST),
        ("GET", f"{WEBSOCKET}&sid=w", False, BAD_REQUEST),
        ("GET", f"{POLLING}&sid=p", True, BAD_REQUEST),
    ],
)
def test_a_request_is_let_in_or_refused(method: str, query: str, websocket: bool, refusal: Refusal | None) -> None:
    assert refuse(read_request(method, query, websocket=websocket), SESSIONS.get) == refusal


def test_a_refusal_has_a_number_and_words() -> None:
    assert UNKNOWN_SID.body == b'{"code":1,"message":"Session ID unknown"}'
    refusals = [UNKNOWN_TRANSPORT, UNKNOWN_SID, BAD_HANDSHAKE_METHOD, BAD_REQUEST, UNSUPPORTED_PROTOCOL_VERSION]
    assert [(refusal.code, refusal.status) for refusal in refusals] == [(0, 400), (1, 400), (2, 400), (3, 400), (5, 400)]


def test_a_query_is_read_as_a_browser_writes_it() -> None:
    request = read_request("GET", "EIO=4&transport=polling&name=a%20b+c%C3%A9&flag&sid=x", websocket=False)
    assert dict(request.query) == {"EIO": "4", "transport": "polling", "name": "a b cé", "flag": "", "sid": "x"}
    assert (request.sid, request.transport) == ("x", "polling")
    assert (read_request("GET", "", websocket=False).sid, read_request("GET", "", websocket=False).transport) == ("", None)
    with pytest.raises(ValueError, match="fields"):
        read_request("GET", "&".join(["x=1"] * (MAX_QUERY_FIELDS + 1)), websocket=False)


def test_a_page_is_let_in_by_name_and_a_program_without() -> None:
    assert sharing_headers(None) == {"Vary": "Origin", "Access-Control-Allow-Credentials": "true"}
    assert sharing_headers("http://page")["Access-Control-Allow-Origin"] == "http://page"
    preflight = preflight_headers("http://page", "x-own")
    assert (preflight["Access-Control-Allow-Headers"], preflight["Vary"]) == ("x-own", "Origin, Access-Control-Request-Headers")
    assert "Access-Control-Allow-Headers" not in preflight_headers("http://page", None)
