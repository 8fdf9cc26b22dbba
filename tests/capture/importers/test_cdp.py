"""Logs of the DevTools protocol, in their forms."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from engineio_lite.capture.importers import ImportFailed, read_cdp, reconstruct
from engineio_lite.capture.lines import HttpAnswer
from engineio_lite.capture.trace import Exchange, Socket
from tests.capture.importers.recordings import HERE, OPEN, URL, as_json, lines_of, notes, packets, said, url

LOG = (HERE / "cdplog-js-chromium-websocket.jsonl").read_bytes()
EVENTS = [json.loads(line) for line in LOG.splitlines()]


def log(*events: object) -> bytes:
    return b"\n".join(map(as_json, events))


def event(method: str, name: str = "1", /, **params: Any) -> dict[str, Any]:
    return {"method": f"Network.{method}", "params": {"requestId": name, **params}}


def sent(address: str = URL, request: str = "1", at: float = 10.0, **more: Any) -> dict[str, Any]:
    asked = {"url": address, "method": "GET", "headers": {}, **more}
    return event("requestWillBeSent", request, request=asked, timestamp=at, wallTime=at + 1_000_000.0)


def responded(request: str = "1", at: float = 10.5, status: int = 200, **more: Any) -> dict[str, Any]:
    return event("responseReceived", request, timestamp=at, response={"status": status, "headers": {}, "mimeType": "text/plain", **more})


def asked_for(number: int, request: str = "1", **more: Any) -> dict[str, Any]:
    return {"id": number, "method": "Network.getResponseBody", "params": {"requestId": request}, **more}


def exchange(*events: object) -> Exchange:
    [item] = read_cdp(log(*events)).items
    assert isinstance(item, Exchange)
    return item


def websocket(*events: object, request: str = "1") -> Socket:
    opened = (
        event("webSocketCreated", request, url=url(transport="websocket")),
        event("webSocketWillSendHandshakeRequest", request, request={"headers": {"Cookie": "io=1"}}, timestamp=10.0, wallTime=1_000_010.0),
        event("webSocketHandshakeResponseReceived", request, response={"status": 101, "headers": {}}, timestamp=10.1),
    )
    [item] = read_cdp(log(*opened, *events)).items
    assert isinstance(item, Socket)
    return item


def frame(way: str, opcode: int, payload: object, at: object = 11.0, request: str = "1") -> dict[str, Any]:
    return event(f"webSocketFrame{way}", request, timestamp=at, response={"opcode": opcode, "payloadData": payload})


# --- forms of a log


def selenium(wanted: dict[str, Any]) -> dict[str, Any]:
    return {"level": "INFO", "message": json.dumps({"message": wanted, "webview": "A"}), "timestamp": 1}


@pytest.mark.parametrize(
    "data",
    [
        LOG,
        b"\xef\xbb\xbf" + LOG.replace(b"\n", b"\r\n\r\n"),
        as_json(EVENTS),
        as_json([selenium(found) for found in EVENTS]),
        log(*map(selenium, EVENTS)),
        as_json([{"message": found} for found in EVENTS]),
    ],
)
def test_all_forms_of_a_log_say_the_same(data: bytes) -> None:
    found = reconstruct(read_cdp(data)).lines
    assert said(found) == said(lines_of("mitm-js-chromium-websocket.mitm"))


def test_a_line_that_was_cut_off_is_counted() -> None:
    assert read_cdp(LOG[:-20]).warnings == ("lines that are no JSON, and were passed over: 1",)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"[1]", b'{"a": 1}', b'{"message": "{"}', b'{"message": "{}"}', b'{"method": "none"}', b'"x"'])
def test_what_is_no_log_is_refused(data: bytes) -> None:
    with pytest.raises(ImportFailed, match="DevTools protocol"):
        read_cdp(data)


def test_a_log_without_requests_is_a_log() -> None:
    assert read_cdp(b'{"method": "Page.frameNavigated", "params": {}}').items == ()


# --- requests


def test_each_request_brings_its_own_difference_of_clocks() -> None:
    first, second = read_cdp(
        log(sent(), event("requestWillBeSent", "2", request={"url": URL}, timestamp=20.0, wallTime=5_000_020.0), responded("2", 20.5))
    ).items
    assert (first.started, second.started) == (1_000_010.0, 5_000_020.0)
    assert isinstance(second, Exchange)
    assert second.ended == 5_000_020.5


def test_a_request_without_the_time_of_day_takes_the_clock_of_another() -> None:
    first, second = read_cdp(log(event("requestWillBeSent", "2", request={"url": URL}, timestamp=9.0), sent())).items
    assert (first.started, second.started) == (1_000_009.0, 1_000_010.0)


def test_the_end_is_the_networks_even_if_it_was_before_the_answer() -> None:
    assert exchange(sent(), event("loadingFinished", timestamp=10.4), responded(at=10.5)).ended == pytest.approx(1_000_010.4)


def test_a_request_that_failed_has_no_answer() -> None:
    found = exchange(sent(), event("loadingFailed", timestamp=10.4, errorText="net::ERR_ABORTED"))
    assert (found.status, found.ended, found.answer) == (0, None, b"")


def test_a_redirect_is_a_request_of_its_own() -> None:
    redirected = {**sent("http://host.test/other/?EIO=4", at=10.2)}
    redirected["params"]["redirectResponse"] = {"status": 302, "headers": {"Location": "/other/"}}
    first, second = read_cdp(log(sent(), redirected, responded())).items
    assert isinstance(first, Exchange)
    assert isinstance(second, Exchange)
    assert (first.status, second.status, second.url) == (302, 200, "http://host.test/other/?EIO=4")


def test_events_of_a_request_may_come_in_any_order() -> None:
    found = exchange(event("requestWillBeSentExtraInfo", headers={"Cookie": "io=1"}), sent(headers={"Accept": "*/*"}), responded())
    assert found.headers == (("Cookie", "io=1"), ("Accept", "*/*"))
    assert found.url == URL


def test_an_id_that_is_used_again_is_another_request() -> None:
    assert len(read_cdp(log(sent(), sent(at=12.0))).items) == 2


def test_headers_of_both_kinds_are_kept() -> None:
    found = exchange(sent(), responded(headers={"A": "1"}), event("responseReceivedExtraInfo", headers={"Set-Cookie": "io=1"}))
    assert found.answer_headers == (("A", "1"), ("Set-Cookie", "io=1"))


@pytest.mark.parametrize(
    ("posted", "expected"),
    [
        ({"postData": "40é"}, "40é".encode()),
        ({"hasPostData": True}, None),
        ({"postDataEntries": [{"bytes": base64.b64encode(b"4").decode()}, {"bytes": base64.b64encode(b"0").decode()}]}, b"40"),
        ({"postDataEntries": [{"bytes": "?"}, {}]}, None),
        ({"postDataEntries": [{}]}, b""),
        ({"postDataEntries": [{"bytes": "é"}]}, None),
        ({}, b""),
    ],
)
def test_what_was_posted(posted: dict[str, Any], expected: bytes | None) -> None:
    assert exchange(sent(**posted)).body == expected


# --- bodies


@pytest.mark.parametrize(
    "events",
    [
        [asked_for(7), {"id": 7, "result": {"body": OPEN.decode(), "base64Encoded": False}}],
        [asked_for(7), {"id": 7, "result": {"body": base64.b64encode(OPEN).decode(), "base64Encoded": True}}],
        [asked_for(7, result={"body": OPEN.decode()})],
        [asked_for(7, sessionId="S"), {"id": 7, "sessionId": "S", "result": {"body": OPEN.decode()}}],
    ],
)
def test_a_body_that_was_asked_for_is_there(events: list[object]) -> None:
    assert exchange(sent(), responded(), *events).answer == OPEN


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"id": 7, "result": {"body": "0{}"}}],
        [asked_for(7), {"id": 7, "error": {"message": "No resource"}}],
        [asked_for(7), {"id": 7, "result": {}}],
        [asked_for(7), {"id": 7, "sessionId": "S", "result": {"body": "0{}"}}],
        [asked_for(7), {"id": [], "result": {"body": "0{}"}}],
    ],
)
def test_one_that_was_not_is_a_gap(events: list[object]) -> None:
    assert exchange(sent(), responded(), *events).answer is None


def test_an_empty_answer_needs_no_body() -> None:
    assert exchange(sent(), responded(headers={"Content-Length": "0"})).answer == b""


def test_a_polling_session_without_bodies_is_all_gaps() -> None:
    found = read_cdp(log(sent(url("x")), responded(), sent(url("x"), "2", method="POST", postData="40"), responded("2")))
    assert [note.text for note in notes(reconstruct(found), "gap")] == [
        "the opening of this session was not recorded",
        "the answer to a GET was not recorded",
    ]
    assert len(packets(reconstruct(found).lines)) == 1


# --- WebSockets


def test_a_websocket_with_its_frames() -> None:
    found = websocket(
        frame("Received", 1, OPEN.decode()),
        frame("Sent", 2, "AAgQ"),
        frame("Sent", 9, ""),
        frame("Sent", 2, "é"),
        event("webSocketClosed", timestamp=12.0),
    )
    assert [(message.data, message.time) for message in found.messages] == [(OPEN.decode(), 1_000_011.0), (b"\x00\x08\x10", 1_000_011.0)]
    assert (found.opened, found.closed, found.is_open) == (1_000_010.1, 1_000_012.0, False)
    assert found.lost == "a binary message that is no base64: 'é'"
    assert found.headers == (("Cookie", "io=1"),)


def test_one_that_was_not_closed_is_open() -> None:
    assert websocket().is_open


def test_an_error_is_told() -> None:
    assert websocket(event("webSocketFrameError", errorMessage="boom")).lost == "an error of the WebSocket: 'boom'"


def test_a_handshake_that_failed_made_no_websocket() -> None:
    failed = (
        event("webSocketCreated", url="ws://host.test/socket.io/?EIO=4&transport=websocket"),
        event("webSocketWillSendHandshakeRequest", request={"headers": {}}, timestamp=10.0, wallTime=1_000_010.0),
        event("webSocketFrameError", timestamp=10.1, errorMessage="Connection closed before receiving a handshake response"),
        event("webSocketClosed", timestamp=10.1),
    )
    found = reconstruct(read_cdp(log(*failed)))
    assert [(type(line), getattr(line, "status", None)) for line in found.lines] == [(HttpAnswer, 0)]


def test_frames_without_a_time_have_none() -> None:
    assert websocket(frame("Sent", 1, "3", at=None)).messages[0].time is None


def test_frames_of_a_websocket_that_was_opened_before_are_counted() -> None:
    read = read_cdp(log(frame("Sent", 1, "3")))
    assert read.warnings == ("messages of WebSockets whose opening is not in the log, and whose URL is not known: 1",)
    assert read.items == ()


def test_a_websocket_whose_request_is_missing_takes_the_clock_of_another() -> None:
    _, found = read_cdp(log(sent(), event("webSocketCreated", "2", url=url(transport="websocket")), frame("Received", 1, "2", 11.0, "2"))).items
    assert isinstance(found, Socket)
    assert (found.started, found.status) == (1_000_011.0, 101)
