"""HAR, dialect by dialect: what the recordings do not show is written by hand."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import Any

import pytest

from engineio_lite.capture.importers import ImportFailed, read_har, read_har_archive, reconstruct
from engineio_lite.capture.importers import fields as limits
from engineio_lite.capture.lines import Direction, HttpAnswer
from engineio_lite.capture.trace import Exchange, Socket
from engineio_lite.causes import Cause
from tests.capture.importers.recordings import HERE, OPEN, URL, as_json, lines_of, notes, packets, said, url

AT = "2026-11-20T21:02:57.045Z"


def entry(address: str = URL, **more: Any) -> dict[str, Any]:
    request = {"method": "GET", "url": address, "headers": [], **more.pop("request", {})}
    response = {"status": 200, "headers": [], "content": {"text": OPEN.decode(), "mimeType": "text/plain; charset=UTF-8"}, **more.pop("response", {})}
    return {"startedDateTime": AT, "time": 10, "request": request, "response": response, **more}


def har(*entries: object, creator: str = "WebInspector") -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": creator}, "entries": list(entries)}}


def one(made: dict[str, Any]) -> Exchange | Socket:
    [item] = read_har(as_json(har(made))).items
    return item


def exchange(made: dict[str, Any]) -> Exchange:
    item = one(made)
    assert isinstance(item, Exchange)
    return item


def answered(**content: Any) -> bytes | None:
    return exchange(entry(response={"content": content})).answer


def websocket(*messages: object, **more: Any) -> dict[str, Any]:
    return entry(
        url(transport="websocket"),
        response={"status": 101, "content": {"size": 0}},
        _resourceType="websocket",
        _webSocketMessages=list(messages),
        **more,
    )


def carried(*messages: object) -> Socket:
    item = one(websocket(*messages))
    assert isinstance(item, Socket)
    return item


# --- the file


def test_a_byte_order_mark_before_the_file_is_no_part_of_it() -> None:
    assert len(read_har(b"\xef\xbb\xbf" + as_json(har(entry()))).items) == 1


def test_a_file_compressed_by_mitmproxy_is_read() -> None:
    assert len(read_har(zlib.compress(as_json(har(entry())))).items) == 1


def test_a_damaged_compressed_file_is_refused() -> None:
    with pytest.raises(ImportFailed, match="zlib") as caught:
        read_har(b"\x78\x9cnothing")
    assert caught.value.cause is Cause.NOT_A_RECORDING


def test_a_file_that_inflates_without_end_is_refused() -> None:
    with pytest.raises(ImportFailed, match="at most 100 bytes") as caught:
        limits.inflate(zlib.compress(bytes(10_000)), 15, 100)
    assert caught.value.cause is Cause.RECORDING_TOO_LARGE


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}", "without log.entries"),
        (b'{"log": {"entries": 1}}', "without log.entries"),
        (b"[]", "without log.entries"),
        (b"{", "expected a HAR"),
        (b"\xff", "UTF-8"),
        (b'{"log": ' + b"[" * 1000 + b"]" * 1000 + b"}", "expected a HAR"),
    ],
)
def test_what_is_no_har_is_refused_with_what_was_found(data: bytes, said: str) -> None:
    with pytest.raises(ImportFailed, match=said) as caught:
        read_har(data)
    assert caught.value.cause is Cause.NOT_A_RECORDING
    assert caught.value.fix is not None


def test_deep_stacks_of_initiators_are_no_reason_to_refuse() -> None:
    stack: dict[str, Any] = {}
    for _ in range(150):
        stack = {"parent": stack}
    assert len(read_har(as_json(har(entry(_initiator={"stack": stack})))).items) == 1


@pytest.mark.parametrize(
    "broken", [None, 1, {}, {"request": 1, "response": []}, {"startedDateTime": "yesterday", "request": {"url": 1, "headers": 3, "method": None}}]
)
def test_an_entry_that_holds_nothing_is_read_as_nothing(broken: object) -> None:
    assert reconstruct(read_har(as_json(har(broken)))).lines == ()


@pytest.mark.parametrize(("creator", "lacks"), [("mitmproxy", True), ("Firefox", True), ("Playwright", True), ("WebInspector", False)])
def test_some_recorders_leave_out_websockets(creator: str, lacks: bool) -> None:
    assert read_har(as_json(har(entry(), creator=creator))).may_lack_sockets is lacks


# --- times


@pytest.mark.parametrize(
    ("creator", "timings", "took"),
    [
        ("mitmproxy", {"connect": 60.0, "ssl": 5.0, "send": 2.0, "wait": 20.0, "receive": 3.0}, 0.025),
        ("mitmproxy", {"connect": -1.0, "ssl": -1, "send": 2.0, "wait": 85.0, "receive": 3.0}, 0.090),
        ("mitmproxy", {"connect": 900.0}, 0.0),
        ("mitmproxy", None, 0.090),
        ("WebInspector", {"connect": 60.0, "ssl": 5.0}, 0.090),
    ],
)
def test_a_connect_of_mitmproxy_is_counted_once(creator: str, timings: object, took: float) -> None:
    [item] = read_har(as_json(har(entry(time=90.0, timings=timings), creator=creator))).items
    assert isinstance(item, Exchange)
    assert item.ended is not None
    assert round(item.ended - item.started, 6) == took


# --- headers, times, statuses


def test_headers_may_be_pairs() -> None:
    made = entry(request={"headers": [["Cookie", "io=secret"], {"name": "Accept", "value": "*/*"}, ["broken"], 1]})
    assert exchange(made).headers == (("Cookie", "io=secret"), ("Accept", "*/*"))


def test_headers_may_be_an_object() -> None:
    assert exchange(entry(request={"headers": {"Cookie": "io=secret"}})).headers == (("Cookie", "io=secret"),)


@pytest.mark.parametrize(
    "text", ["2026-11-20T21:02:57.045Z", "2026-11-20T22:02:57.045+01:00", "2026-11-20T21:02:57.045000123Z", "2026-11-20T21:02:57.045"]
)
def test_the_start_is_an_instant_of_iso_8601(text: str) -> None:
    assert exchange(entry() | {"startedDateTime": text}).started == pytest.approx(1795208577.045)


def test_a_start_that_cannot_be_read_is_that_of_the_entry_before() -> None:
    first, second = read_har(as_json(har(entry(), entry() | {"startedDateTime": "?"}))).items
    assert first.started == second.started


@pytest.mark.parametrize(("time", "ended"), [(10, 1795208577.055), (0, 1795208577.045), (-1, None), ("12.5", 1795208577.0575), (None, None)])
def test_the_end_is_the_start_and_the_duration(time: object, ended: float | None) -> None:
    assert exchange(entry() | {"time": time}).ended == (None if ended is None else pytest.approx(ended))


@pytest.mark.parametrize("status", [0, -1])
def test_no_status_is_no_answer(status: int) -> None:
    found = exchange(entry(response={"status": status}))
    assert (found.status, found.ended) == (0, None)


@pytest.mark.parametrize(
    ("time", "expected"),
    [(1795208577.139657, 1795208577.139657), (1795208577139.657, 1795208577.139657), (-1, None), (0, None), ("?", None)],
)
def test_times_of_messages_are_seconds_or_milliseconds_or_not_known(time: object, expected: float | None) -> None:
    [message] = carried({"type": "send", "time": time, "opcode": 1, "data": "2probe"}).messages
    assert message.time == (None if expected is None else pytest.approx(expected))
    assert (message.direction, message.data) == (Direction.UP, "2probe")


# --- bodies


def test_a_body_in_base64_is_decoded_whatever_its_type() -> None:
    assert answered(text="Nh4x", encoding="base64", mimeType="text/plain; charset=UTF-8") == b"6\x1e1"


def test_a_body_that_is_no_base64_was_not_recorded() -> None:
    assert answered(text="é", encoding="base64") is None
    assert answered(text="abc", encoding="base64") is None


def test_a_text_without_charset_is_read_back_if_it_was_read_wrongly() -> None:
    assert answered(text="Ã© â\x9c\x93", mimeType="text/plain") == "é ✓".encode()
    assert answered(text="é ✓", mimeType="text/plain") == "é ✓".encode()
    assert answered(text="é", mimeType="text/plain") == "é".encode()
    assert answered(text="Ã©", mimeType="text/plain; charset=utf-8") == "Ã©".encode()


def test_a_lone_surrogate_keeps_its_bytes() -> None:
    [item] = read_har(json.dumps(har(entry(response={"content": {"text": "\ud83d", "mimeType": "text/plain"}}))).encode()).items
    assert item.answer == b"\xed\xa0\xbd"


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        ({"size": 0}, [], b""),
        ({"size": 0}, [{"name": "Content-Length", "value": "116"}], None),
        ({"size": 116}, [], None),
        ({"size": -1}, [], None),
        ({}, [], None),
    ],
)
def test_an_answer_without_text_is_empty_only_if_it_is_said_to_be(content: object, headers: object, expected: bytes | None) -> None:
    assert exchange(entry(response={"content": content, "headers": headers})).answer == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"method": "POST", "postData": {"text": "40", "mimeType": "text/plain"}}, b"40"),
        ({"method": "POST", "postData": {"mimeType": "text/plain"}, "bodySize": 0}, None),
        ({"method": "POST", "bodySize": 2}, None),
        ({"method": "POST"}, None),
        ({"method": "POST", "bodySize": 0}, b""),
        ({"method": "GET", "bodySize": 2}, b""),
    ],
)
def test_a_post_without_text_was_not_recorded(request_: dict[str, Any], expected: bytes | None) -> None:
    assert exchange(entry(request=request_)).body == expected


# --- WebSockets


def test_binary_messages_are_base64() -> None:
    assert carried({"type": "receive", "time": 1.0, "opcode": 2, "data": "AAgQ"}).messages[0].data == b"\x00\x08\x10"


def test_an_opcode_may_be_missing_and_others_are_reported() -> None:
    found = carried({"type": "receive", "time": 1.0, "data": "2"}, {"opcode": 9, "data": ""}, {"opcode": 2, "data": "é"}, {"opcode": 1}, "?")
    assert [message.data for message in found.messages] == ["2"]
    assert found.lost == "messages that could not be read: 4"


CLOSED = {"type": "error", "time": 1795205129.5, "opcode": -1, "data": "Connection closed before receiving a handshake response"}


def test_an_error_before_the_handshake_means_that_there_was_no_websocket() -> None:
    found = read_har(as_json(har({**websocket(CLOSED), "response": {"status": 0, "headers": [], "content": {}}})))
    assert found.warnings == ()
    assert [(line.session, line.status) for line in reconstruct(found).lines if isinstance(line, HttpAnswer)] == [(0, 0)]
    assert notes(reconstruct(found), "gap") == []


def test_an_error_among_messages_is_told() -> None:
    found = read_har(as_json(har(websocket({"type": "send", "data": "3", "opcode": 1}, {**CLOSED, "data": "boom"}, {"type": "send"}))))
    [item] = found.items
    assert isinstance(item, Socket)
    assert ([message.data for message in item.messages], item.lost) == (
        ["3"],
        "an error of the WebSocket: 'boom'; messages that could not be read: 1",
    )
    assert found.warnings == ()


@pytest.mark.parametrize(
    "made",
    [
        entry("ws://host.test/socket.io/?EIO=4&transport=websocket", response={"status": 101}),
        entry(url(transport="websocket"), response={"status": 101}),
        entry(url(transport="websocket"), _resourceType="websocket", response={"status": 101}),
        entry(url(transport="websocket"), request={"headers": [["Upgrade", "WebSocket"]]}, response={"status": 101}),
    ],
)
def test_a_websocket_without_messages_is_a_gap_and_a_warning(made: dict[str, Any]) -> None:
    read = read_har(as_json(har(made, creator="Firefox")))
    assert read.warnings == ("a WebSocket without messages: this version of Firefox does not export them",)
    assert len(notes(reconstruct(read), "gap")) >= 1


def test_several_websockets_without_messages_are_counted() -> None:
    made = entry(url(transport="websocket"), response={"status": 101})
    assert read_har(as_json(har(made, made))).warnings[0].startswith("2 WebSockets without messages")


def test_a_websocket_that_was_refused_has_no_messages_to_miss() -> None:
    item = one(entry(url(transport="websocket"), _resourceType="websocket", response={"status": 400, "content": {"text": "Session ID unknown"}}))
    assert isinstance(item, Socket)
    assert (item.status, item.answer, item.lost) == (400, b"Session ID unknown", "")


def test_a_websocket_that_was_never_answered_has_none_either() -> None:
    item = one(entry(url(transport="websocket"), _resourceType="websocket", response={"status": 0, "content": {}}))
    assert isinstance(item, Socket)
    assert (item.status, item.lost) == (0, "")


def test_an_empty_har_says_where_else_to_look() -> None:
    [warning] = read_har((HERE / "mitm-js-node-websocket-open.har").read_bytes()).warnings
    assert "its flow file does not" in warning


# --- Playwright, with attachments in files of their own


def attached() -> tuple[bytes, dict[str, bytes]]:
    """The recording of Playwright with its bodies and messages moved out, as `content: "attach"` does."""
    log = json.loads((HERE / "playwright-js-chromium-polling.har").read_bytes())
    socket_log = json.loads((HERE / "playwright-js-chromium-websocket.har").read_bytes())
    files: dict[str, bytes] = {}
    for number, made in enumerate(log["log"]["entries"]):
        files[f"{number}.txt"] = made["response"]["content"].pop("text").encode()
        made["response"]["content"]["_file"] = f"{number}.txt"
    for made in socket_log["log"]["entries"]:
        if messages := made.pop("_webSocketMessages", None):
            files["socket.jsonl"] = b"\n".join(as_json(message) for message in messages) + b"\n"
            made["response"]["content"]["_file"] = "socket.jsonl"
    log["log"]["entries"] += socket_log["log"]["entries"]
    return as_json(log), files


def test_attached_bodies_and_messages_are_found() -> None:
    data, files = attached()
    lines = reconstruct(read_har(data, files.get)).lines
    polled, carried = ([packet for packet in packets(lines) if packet.session == number] for number in (1, 2))
    assert said(polled) == said(carried) == said(lines_of("playwright-js-chromium-polling.har"))
    assert notes(lines, "gap") == []


def test_attachments_that_are_missing_are_gaps_and_counted() -> None:
    data, _ = attached()
    read = read_har(data)
    assert read.warnings == (
        "a WebSocket without messages: this version of Playwright does not export them",
        "files that the HAR refers to and that are not beside it: 32",
    )
    gaps = [note.text for note in notes(reconstruct(read), "gap")]
    assert gaps.count("the answer to a GET was not recorded") == 16
    assert "messages of the WebSocket may be missing: the file does not hold its messages" in gaps


def test_a_line_of_attached_messages_that_is_damaged_is_counted() -> None:
    data, files = attached()
    files["socket.jsonl"] += b'{"type": "send"'
    [note] = notes(reconstruct(read_har(data, files.get)), "gap")
    assert note.text == "messages of the WebSocket may be missing: messages that could not be read: 1"


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


def test_an_archive_of_playwright_is_read_with_its_attachments() -> None:
    data, files = attached()
    found = reconstruct(read_har_archive(archive({"har.har": data, **files})))
    assert len(packets(found.lines)) == 80


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (archive({"readme.txt": b"?"}), "without"),
        (b"PK\x03\x04", "zip"),
        (archive({"har.har": as_json(har(entry()))})[:-30], "zip"),
        (archive({"har.har": b"{}"}), "log.entries"),
    ],
)
def test_an_archive_that_is_none_or_holds_none_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImportFailed, match=said):
        read_har_archive(data)


def test_an_archive_that_claims_to_be_enormous_is_not_unpacked() -> None:
    made = archive({"har.har": as_json(har(entry()))})
    size = (len(as_json(har(entry())))).to_bytes(4, "little")
    with pytest.raises(ImportFailed, match="at most") as caught:
        read_har_archive(made.replace(size, b"\xf0\xff\xff\xff"))
    assert caught.value.cause is Cause.RECORDING_TOO_LARGE
