"""tshark's JSON, and tshark itself."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from engineio_lite.capture.importers import ImportFailed, read_tshark, reconstruct
from engineio_lite.capture.importers.deflate import MessageJoiner, Undecodable, keeps_context
from engineio_lite.capture.importers.pcap import SHOWN_UNMASKED, read_packets
from engineio_lite.capture.lines import Direction, HttpAnswer
from engineio_lite.capture.trace import Exchange, Socket, Trace
from engineio_lite.causes import Cause
from engineio_lite.cli._tshark import dissect
from engineio_lite.state import Transport
from tests.capture.importers.recordings import HERE, OPEN, need_tshark, notes, packets, said

PATH = "/socket.io/?EIO=4&transport=polling&sid=s1"
SOCKET_PATH = "/socket.io/?EIO=4&transport=websocket"


def packet(number: int, *, up: bool, stream: str = "0", protocols: str = "eth:ip:tcp:http", flags: Any = None, **layers: Any) -> dict[str, Any]:
    source, target = ("50000", "3001") if up else ("3001", "50000")
    tcp: dict[str, Any] = {"tcp.stream": stream, "tcp.srcport": source, "tcp.dstport": target}
    if flags:
        tcp["tcp.flags_tree"] = flags
    frame = {"frame.number": str(number), "frame.time_epoch": f"{1000 + number}.5", "frame.protocols": protocols}
    return {"_source": {"layers": {"frame": frame, "tcp": tcp, **layers}}}


def request(path: str = PATH, method: str = "GET", *headers: str, **more: Any) -> dict[str, Any]:
    first = {"http.request.method": method, "http.request.uri": path}
    lines = ["Host: host.test:3001\r\n", *(f"{header}\r\n" for header in headers)]
    return {f"{method} {path} HTTP/1.1\\r\\n": first, "http.request.line": lines, "http.request.full_uri": f"http://host.test:3001{path}", **more}


def response(code: int = 200, *headers: str, **more: Any) -> dict[str, Any]:
    return {f"HTTP/1.1 {code}\\r\\n": {"http.response.code": str(code)}, "http.response.line": [f"{header}\r\n" for header in headers], **more}


def raw(data: bytes) -> list[object]:
    return [data.hex(), 0, len(data), 0, 26]


def frame(opcode: int, data: bytes = b"", *, fin: str = "1", rsv: str = "0x00", text: str | None = None, with_bytes: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"websocket.fin": fin, "websocket.opcode": str(opcode), "websocket.rsv": rsv, "websocket.payload_length": str(len(data))}
    if with_bytes and data:
        made["websocket.payload_raw"] = raw(data)
    made["websocket.payload"] = {} if text is None else {"websocket.payload.text": text}
    return made


def read(*found: dict[str, Any], **options: Any) -> Trace:
    return read_packets(found, **options)


def upgraded(*frames: dict[str, Any], extensions: str = "") -> Socket:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    answered = packet(2, up=False, http=response(101, "Upgrade: websocket", f"Sec-WebSocket-Extensions: {extensions}"))
    [item] = read(asked, answered, *frames).items
    assert isinstance(item, Socket)
    return item


def polled(answer: dict[str, Any], asked: dict[str, Any] | None = None) -> Exchange:
    [item] = read(packet(1, up=True, http=asked or request()), packet(2, up=False, http=answer)).items
    assert isinstance(item, Exchange)
    return item


# --- the file


@pytest.mark.parametrize(
    ("data", "said"), [(b"{", "JSON of tshark"), (b"{}", "array"), (b"1", "array"), (b"[" * 100_000, "JSON of tshark"), (b'["\xff', "JSON of tshark")]
)
def test_what_is_no_export_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImportFailed, match=said):
        read_tshark(data)


@pytest.mark.parametrize("data", [b"[]", b"\xef\xbb\xbf[\n\n]\n", b'[1, {}, {"_source": {"layers": {}}}]'])
def test_an_export_without_packets_says_so(data: bytes) -> None:
    assert read_tshark(data).warnings == ("there are no packets in the file",)


def test_keys_that_stand_twice_and_lists_are_the_same() -> None:
    first = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    second = packet(2, up=False, http=response(101))
    frames = [frame(1, OPEN), frame(1, b"2"), frame(1, b"42[1]")]
    listed = json.dumps([first, second, packet(3, up=False, websocket=frames)])
    repeated = json.dumps([first, second, packet(3, up=False, websocket="HERE")]).replace(
        '"websocket": "HERE"', ", ".join(f'"websocket": {json.dumps(one)}' for one in frames)
    )
    assert read_tshark(listed.encode()) == read_tshark(repeated.encode())
    [item] = read_tshark(listed.encode()).items
    assert isinstance(item, Socket)
    assert [message.data for message in item.messages] == [OPEN.decode(), "2", "42[1]"]


# --- HTTP


def test_an_exchange_has_its_headers_times_and_bodies() -> None:
    found = polled(
        response(200, "Content-Type: text/plain", **{"http.file_data_raw": raw(b"ok")}),
        request(PATH, "POST", "Cookie: io=1", **{"http.file_data_raw": raw("40é".encode())}),
    )
    assert (found.method, found.url, found.body, found.answer) == ("POST", f"http://host.test:3001{PATH}", "40é".encode(), b"ok")
    assert (found.started, found.ended, found.status, found.content_type) == (1001.5, 1002.5, 200, "text/plain")
    assert ("Cookie", "io=1") in found.headers


def test_a_url_may_have_to_be_put_together() -> None:
    asked = request()
    del asked["http.request.full_uri"]
    assert polled(response(), asked).url == f"http://host.test:3001{PATH}"


def test_a_connection_that_was_decrypted_is_https() -> None:
    [item] = read(packet(1, up=True, protocols="eth:ip:tcp:tls:http", http=request())).items
    assert item.url == f"https://host.test:3001{PATH}"


@pytest.mark.parametrize("time", ["1000.5", "1970-01-01T00:16:40.5Z", 1000.5])
def test_times_are_seconds_or_dates(time: object) -> None:
    made = packet(1, up=True, http=request())
    made["_source"]["layers"]["frame"]["frame.time_epoch"] = time
    assert read(made).items[0].started == 1000.5


def test_a_time_that_is_none_is_the_epoch() -> None:
    made = packet(1, up=True, http=request())
    made["_source"]["layers"]["frame"]["frame.time_epoch"] = "?"
    assert read(made).items[0].started == 0.0


@pytest.mark.parametrize(
    ("headers", "data", "expected"),
    [
        ([], b"6", b"6"),
        (["Content-Encoding: gzip"], b"6", b"6"),
        (["Content-Encoding: gzip"], zlib.compress(b"6", wbits=31), b"6"),
        (["Content-Encoding: br"], b"\x8b\x00\x80", None),
        ([], b"\xff", b"\xff"),
    ],
)
def test_encodings_that_tshark_left_are_undone(headers: list[str], data: bytes, expected: bytes | None) -> None:
    assert polled(response(200, *headers, **{"http.file_data_raw": raw(data)})).answer == expected


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [("6\x1e1", "3", b"6\x1e1"), ("36:1e:31", "3", b"6\x1e1"), ("361e31", "3", b"6\x1e1"), ("36", "2", b"36"), ("é", "2", "é".encode())],
)
def test_without_bytes_the_text_is_taken(text: str, length: str, expected: bytes) -> None:
    assert polled(response(200, f"Content-Length: {length}", **{"http.file_data": text})).answer == expected


def test_without_bytes_what_is_not_ascii_is_missing() -> None:
    read_ = read(packet(1, up=True, http=request()), packet(2, up=False, http=response(200, **{"http.file_data": '42["\ufffd"]'})))
    assert read_.items[0].answer == None  # noqa: E711  # an empty body is not the same
    assert read_.warnings == ("tshark writes bodies that are not ASCII only with -x: they are missing",)


@pytest.mark.parametrize("field", ["zz", [], [[]], [1], {}])
def test_a_field_of_bytes_that_holds_none_is_not_there(field: object) -> None:
    assert polled(response(200, **{"http.file_data_raw": field})).answer == b""


def test_answers_find_their_requests_by_number_or_by_order() -> None:
    first, second = request("/socket.io/?EIO=4&sid=a"), request("/socket.io/?EIO=4&sid=b")
    found = read(
        packet(1, up=True, http=[first, second]),
        packet(2, up=True, http=request("/socket.io/?EIO=4&sid=c")),
        packet(3, up=False, http=response(100)),
        packet(4, up=False, http=response(202, **{"http.request_in": "2"})),
        packet(5, up=False, http=[response(200), response(201)]),
    )
    assert [item.status for item in found.items] == [200, 201, 202]
    assert found.warnings == ()


def test_answers_without_requests_are_counted() -> None:
    assert read(packet(1, up=False, http=response(200))).warnings == ("answers without their requests: 1; the recording began after those were sent",)


def test_a_request_without_an_answer_has_status_0() -> None:
    [item] = read(packet(1, up=True, http=request())).items
    assert item.status == 0


# --- WebSockets


def test_frames_of_both_directions_and_the_end() -> None:
    found = upgraded(
        packet(3, up=False, websocket=frame(1, OPEN)),
        packet(4, up=True, websocket=frame(9, b"hi")),
        packet(5, up=True, websocket=frame(2, b"\x00")),
        packet(6, up=False, websocket=frame(8, b"\x03\xe8bye")),
        packet(7, up=True, websocket=frame(8, b"\x03\xe9")),
    )
    assert [(message.direction, message.data) for message in found.messages] == [(Direction.DOWN, OPEN.decode()), (Direction.UP, b"\x00")]
    assert (found.opened, found.closed, found.closed_by, found.code, found.reason) == (1002.5, 1006.5, Direction.DOWN, 1000, "bye")
    assert found.url.startswith("ws://")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"websocket.payload": {"websocket.payload.close": {"websocket.payload.close.status_code": "1000"}}}, 1000),
        ({"websocket.payload": {"websocket.payload.close.status_code": "1001"}}, 1001),
        ({}, None),
    ],
)
def test_a_close_code_is_found_without_bytes(payload: dict[str, Any], expected: int | None) -> None:
    assert upgraded(packet(3, up=True, websocket={"websocket.opcode": "8", **payload})).code == expected


@pytest.mark.parametrize("flag", ["tcp.flags.fin", "tcp.flags.reset"])
def test_a_connection_that_ends_ends_its_websocket(flag: str) -> None:
    found = upgraded(packet(3, up=False, flags={flag: "1"}))
    assert (found.closed, found.closed_by, found.code, found.is_open) == (1003.5, Direction.DOWN, None, False)


@pytest.mark.parametrize("ends_are_there", [True, False])
def test_a_websocket_is_open_if_its_end_would_be_there(ends_are_there: bool) -> None:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    [item] = read(asked, packet(2, up=False, http=response(101)), ends_are_there=ends_are_there).items
    assert isinstance(item, Socket)
    assert item.is_open is ends_are_there


def test_frames_in_the_segment_of_the_handshake_are_read() -> None:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    [item] = read(asked, packet(2, up=False, http=response(101), websocket=frame(1, OPEN))).items
    assert isinstance(item, Socket)
    assert len(item.messages) == 1


def test_fragments_are_joined_around_a_ping() -> None:
    found = upgraded(
        packet(3, up=True, websocket=frame(1, b'42["', fin="0")),
        packet(4, up=True, websocket=frame(9, b"?")),
        packet(5, up=False, websocket=frame(1, b"2")),
        packet(6, up=True, websocket=[frame(0, b"a", fin="0"), frame(0, b'"]')]),
    )
    assert [message.data for message in found.messages] == ["2", '42["a"]']


def test_without_bytes_the_last_fragment_has_the_text_of_all() -> None:
    found = upgraded(
        packet(3, up=True, websocket=frame(1, b'42["', fin="0", with_bytes=False)),
        packet(4, up=True, websocket=frame(0, b'a"]', text='42["a"]', with_bytes=False)),
        packet(5, up=True, websocket=frame(1)),
    )
    assert [message.data for message in found.messages] == ['42["a"]', ""]


def test_without_bytes_binary_messages_are_lost() -> None:
    found = upgraded(packet(3, up=True, websocket=[frame(2, b"\x00", with_bytes=False), frame(2, b"\x00", with_bytes=False)]))
    assert (found.messages, found.lost) == ((), "binary messages, which tshark writes only with -x")


def masked(data: bytes, *, unmasked: int, **more: Any) -> dict[str, Any]:
    """A frame of the client's of which tshark unmasked only a head."""
    key = b"\x03\x17\xe1\xe7"
    sent = bytes(byte ^ key[place % 4] for place, byte in enumerate(data))
    made = frame(1, data[:unmasked], **more)
    made |= {"websocket.mask": "1", "websocket.payload_length": "127", "websocket.payload_length_ext_64": str(len(data))}
    if "with_bytes" not in more:
        made |= {"websocket.masking_key_raw": raw(key), "websocket.masked_payload_raw": raw(sent)}
    return made


def test_a_long_frame_is_unmasked_to_its_end() -> None:
    text = "42" + "é✓" * 101
    found = upgraded(packet(3, up=True, websocket=[masked(text.encode(), unmasked=64), masked(b"42[2]", unmasked=5)]))
    assert [message.data for message in found.messages] == [text, "42[2]"]


@pytest.mark.parametrize("key", [raw(b"\x03"), "zz", None])
def test_without_a_key_the_head_is_all_there_is(key: object) -> None:
    long = masked(b"42[1]", unmasked=2)
    long["websocket.masking_key_raw"] = key
    assert upgraded(packet(3, up=True, websocket=long)).messages[0].data == "42"


def test_without_bytes_a_long_message_of_the_client_is_lost() -> None:
    text = "x" * 300_000
    cut = masked(text.encode(), unmasked=SHOWN_UNMASKED, text=text[:SHOWN_UNMASKED], with_bytes=False)
    found = upgraded(packet(3, up=True, websocket=[cut, frame(1, b"3", text="3", with_bytes=False)]))
    assert [message.data for message in found.messages] == ["3"]
    assert found.lost == "messages to the server of more than 262144 bytes, which tshark writes whole only with -x"
    whole = packet(3, up=False, websocket={**frame(1, text=text, with_bytes=False), "websocket.payload_length": "127"})
    assert upgraded(whole).messages[0].data == text


def compressed(*messages: bytes) -> list[bytes]:
    deflater = zlib.compressobj(wbits=-15)
    return [(deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4] for message in messages]


@pytest.mark.parametrize("extensions", ["permessage-deflate", "permessage-deflate; client_no_context_takeover"])
def test_compressed_messages_are_inflated_text_and_binary(extensions: str) -> None:
    data = compressed(b"42[1]") + compressed(b"\x00\x01") if "client" in extensions else compressed(b"42[1]", b"\x00\x01")
    found = upgraded(
        packet(3, up=True, websocket=frame(1, data[0][:2], fin="0", rsv="0x04")),
        packet(4, up=True, websocket=frame(0, data[0][2:])),
        packet(5, up=True, websocket=frame(2, data[1], rsv="0x04")),
        extensions=extensions,
    )
    assert [message.data for message in found.messages] == ["42[1]", b"\x00\x01"]


def test_the_two_directions_have_their_own_stream() -> None:
    up, down = compressed(b"42[1]", b"42[1]"), compressed(b"42[2]", b"42[2]")
    found = upgraded(*(packet(3 + i, up=i % 2 == 0, websocket=frame(1, [up, down][i % 2][i // 2], rsv="0x04")) for i in range(4)))
    assert [message.data for message in found.messages] == ["42[1]", "42[2]"] * 2


@pytest.mark.parametrize("bad", [frame(1, b"\xff\xff\xff", rsv="0x04"), frame(0, b"x")])
def test_frames_that_make_no_message_are_said_to_be_lost(bad: dict[str, Any]) -> None:
    found = upgraded(packet(3, up=True, websocket=bad), packet(4, up=False, websocket=frame(1, b"2")))
    assert [message.data for message in found.messages] == ["2"]
    assert found.lost != ""


def test_a_frame_with_unreadable_bits_is_not_compressed() -> None:
    assert upgraded(packet(3, up=True, websocket=frame(1, b"2", rsv=""))).messages[0].data == "2"


def test_a_message_that_inflates_beyond_the_limit_is_refused() -> None:
    joiner = MessageJoiner(max_message=10)
    [data] = compressed(bytes(100_000))
    with pytest.raises(Undecodable, match="more than 10 bytes"):
        joiner.feed(2, data, is_last=True, is_compressed=True)


def test_who_keeps_its_context() -> None:
    assert keeps_context("permessage-deflate; server_no_context_takeover", "client")
    assert not keeps_context("permessage-deflate; server_no_context_takeover", "server")


def test_a_handshake_without_its_answer_is_a_gap() -> None:
    found = read(packet(1, up=True, http=request(SOCKET_PATH + "&sid=s1", "GET", "Upgrade: websocket")))
    [opening, lost] = notes(reconstruct(found), "gap")
    assert opening.text == "the opening of this session was not recorded"
    assert "without that tshark shows no messages" in lost.text


def ended(number: int, seq: int, flag: str, **more: Any) -> dict[str, Any]:
    """A packet with which the server ends a connection, after so many bytes."""
    made = packet(number, up=False, flags={flag: "1"}, **more)
    made["_source"]["layers"]["tcp"] |= {"tcp.seq": str(seq), "tcp.nxtseq": str(seq + 1)}
    return made


@pytest.mark.parametrize(
    "ends", [[(1, "tcp.flags.fin")], [(1, "tcp.flags.reset")], [(2, "tcp.flags.reset")], [(1, "tcp.flags.fin"), (2, "tcp.flags.reset")]]
)
def test_a_connection_that_ends_without_a_byte_of_the_server_had_no_handshake(ends: list[tuple[int, str]]) -> None:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    found = reconstruct(read(asked, *(ended(2 + place, *end) for place, end in enumerate(ends))))
    [answer] = found.lines
    assert isinstance(answer, HttpAnswer)
    assert (answer.session, answer.status, answer.transport) == (0, 0, Transport.WEBSOCKET)


def test_one_that_ends_after_bytes_that_nobody_shows_is_a_gap() -> None:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    assert len(notes(reconstruct(read(asked, ended(2, 300, "tcp.flags.fin"))), "gap")) == 2


def test_what_an_earlier_answer_took_on_the_same_connection_is_counted() -> None:
    earlier = packet(2, up=False, http=response(200))
    earlier["_source"]["layers"]["tcp"] |= {"tcp.seq": "1", "tcp.nxtseq": "163"}
    asked = packet(3, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    found = read(packet(1, up=True, http=request()), earlier, asked, ended(4, 163, "tcp.flags.fin"))
    assert [(item.status, getattr(item, "lost", "")) for item in found.items] == [(200, ""), (0, "")]


def test_a_handshake_that_was_refused_is_an_answer() -> None:
    asked = packet(1, up=True, http=request(SOCKET_PATH, "GET", "Upgrade: websocket"))
    [item] = read(asked, packet(2, up=False, http=response(400, **{"http.file_data": "no"}))).items
    assert isinstance(item, Socket)
    assert (item.status, item.answer) == (400, b"no")


def test_frames_without_a_handshake_are_nobodys() -> None:
    assert read(packet(1, up=False, websocket=frame(1, b"2"))).items == ()


def test_connections_that_began_before_are_counted() -> None:
    [warning] = read(packet(1, up=True, http=request()), with_data={"0", "1", "2"}).warnings
    assert warning.startswith("TCP connections with data but without an HTTP request: 2")


# --- tshark


def test_the_port_is_found_and_may_be_named() -> None:
    need_tshark()
    path = HERE / "tshark-jsdeflate-node-websocket.pcap"
    found = dissect(path)
    assert found == dissect(path, ports=[3003])
    assert len(packets(reconstruct(found).lines)) == 40


def test_a_port_where_nothing_was_gives_nothing() -> None:
    need_tshark()
    assert dissect(HERE / "tshark-jsdeflate-node-websocket.pcap", ports=[1]).items == ()


def record(path: Path, source: Path, *options: str) -> None:
    """Make another recording of one, with a tool of tshark's package."""
    editcap = shutil.which("editcap")
    if editcap is None:
        pytest.skip("editcap, which comes with tshark, is not installed")
    subprocess.run([editcap, *options, str(source), str(path)], check=True, timeout=60, capture_output=True)


def test_a_pcapng_is_read_as_well(tmp_path: Path) -> None:
    need_tshark()
    source = HERE / "tshark-js-py-upgrade.pcap"
    record(tmp_path / "x.pcapng", source, "-F", "pcapng")
    assert said(reconstruct(dissect(tmp_path / "x.pcapng")).lines) == said(reconstruct(dissect(source)).lines)


def cut_off(path: Path, source: Path, first: int, last: int) -> None:
    """Copy a classic pcap with only some of its packets, numbered from 0."""
    data = source.read_bytes()
    position, kept, number = 24, data[:24], 0
    while position < len(data):
        size = 16 + int.from_bytes(data[position + 8 : position + 12], "little")
        kept += data[position : position + size] if first <= number < last else b""
        position, number = position + size, number + 1
    path.write_bytes(kept)


def test_a_recording_that_began_in_the_middle_says_so(tmp_path: Path) -> None:
    need_tshark()
    path = tmp_path / "late.pcap"
    cut_off(path, HERE / "tshark-js-node-websocket.pcap", 20, 10_000)
    assert dissect(path).warnings == ("no request of Engine.IO was found: the recording began after it, or it is encrypted and tshark has no keys",)
    [warning] = dissect(path, ports=[3101]).warnings
    assert warning.startswith("TCP connections with data but without an HTTP request: 1")


def test_a_recording_without_the_answer_to_the_handshake_says_so(tmp_path: Path) -> None:
    need_tshark()
    source, path = HERE / "tshark-js-node-websocket.pcap", tmp_path / "short.pcap"
    cut_off(path, source, 0, 5)
    [item] = dissect(path).items
    assert isinstance(item, Socket)
    assert (item.status, item.messages) == (0, ())
    assert "without that tshark shows no messages" in item.lost


def test_a_recording_that_was_cut_off_is_read_up_to_the_cut(tmp_path: Path) -> None:
    need_tshark()
    path = tmp_path / "cut.pcap"
    path.write_bytes((HERE / "tshark-js-node-websocket.pcap").read_bytes()[:-200])
    found = dissect(path)
    assert 30 < len(packets(reconstruct(found).lines)) <= 40
    assert any("cut short" in warning for warning in found.warnings)


def test_a_file_that_tshark_refuses_is_an_error(tmp_path: Path) -> None:
    need_tshark()
    path = tmp_path / "bad.pcap"
    path.write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(3))
    with pytest.raises(ImportFailed, match="tshark failed") as caught:
        dissect(path)
    assert caught.value.cause is Cause.TSHARK_FAILED


def test_without_tshark_the_error_says_what_to_do() -> None:
    with pytest.raises(ImportFailed, match="/nowhere/tshark was not found") as caught:
        dissect(HERE / "tshark-js-node-websocket.pcap", tshark="/nowhere/tshark")
    assert caught.value.cause is Cause.TSHARK_MISSING
    assert "--tshark" in str(caught.value.fix)


def program(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_tshark_that_fails_is_quoted(tmp_path: Path) -> None:
    script = program(tmp_path / "tshark", '#!/bin/sh\necho "Running as user \\"root\\"." >&2\necho "no such option" >&2\nexit 1\n')
    with pytest.raises(ImportFailed, match="tshark failed: no such option"):
        dissect(HERE / "tshark-js-node-websocket.pcap", tshark=script)


def test_one_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    script = program(tmp_path / "tshark", "#!/nowhere/sh\n")
    with pytest.raises(ImportFailed, match="tshark could not be run"):
        dissect(HERE / "tshark-js-node-websocket.pcap", tshark=script)
