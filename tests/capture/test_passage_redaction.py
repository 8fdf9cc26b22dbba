"""The wire without its secrets: planted everywhere, found nowhere, and what is left is still the same conversation.

Whether a redacted session can be computed again is proven in `tests/replay/test_offline.py`, for the sessions of every model and of real servers.
Here are the places in which a secret can stand, one by one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.lines import Direction, Door, Line, Passage, SocketIOPacket
from engineio_lite.capture.passage_redaction import MASKED, redact_door, redact_passage
from engineio_lite.capture.passages import make_passage
from engineio_lite.capture.recorder import Record
from engineio_lite.capture.redactor import Redaction, Redactor
from engineio_lite.causes import Cause
from engineio_lite.commands import OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import Output
from engineio_lite.events import Closed, MessageReceived, Opened, PacketIgnored, UpgradeFailed
from engineio_lite.exceptions import CaptureError, ConnectRefused, DecodeError, HandshakeError, RemoteProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import Packet, PacketType
from engineio_lite.replay.offline import check
from engineio_lite.socketio.grammar import PacketType as SocketIOType
from engineio_lite.socketio.msgpack import MsgpackDecoder, encode_msgpack
from engineio_lite.socketio.packet import Packet as SocketIO
from engineio_lite.state import CloseReason, Transport
from tests.capture.inputs import INPUTS
from tests.capture.wires import play, text_of, wire
from tests.core.script import SID, answer, handshake, ok, open_packet

TOKEN = 'ein"geheimer\\Schlüssel/für+alles'
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl"
COOKIE = "cookie-value-0123456789"
DOOR = Door(session=1, url=f"http://user:pass%20word99@127.0.0.1:3000/?key={quote(TOKEN, safe='')}&v=1", transports=("polling", "websocket"))


def auth(token: str = TOKEN) -> str:
    return "0" + json.dumps({"token": token, "n": 1}, ensure_ascii=False, separators=(",", ":"))


def redacted(*happened: tuple[Input, tuple[Output, ...]] | Input, redactor: Redactor | None = None) -> list[Passage]:
    """Passages one after the other, redacted by the same redactor."""
    redactor = redactor if redactor is not None else Redactor()
    passages = []
    for each in happened:
        input, outputs = each if isinstance(each, tuple) else (each, ())
        passages.append(redact_passage(make_passage(Record(0.0, input, outputs), 1), redactor))
    return passages


def one(input: Input, *outputs: Output) -> Passage:
    [passage] = redacted((input, outputs))
    return passage


# --- Planted everywhere, found nowhere.


def _forms(secret: str) -> set[str]:
    plain = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}
    return plain | {json.dumps(form)[1:-1] for form in plain} | {b64encode(secret.encode()).decode().rstrip("=")}


@pytest.mark.parametrize("transports", [("polling",), ("websocket",), ("polling", "websocket")])
def test_what_is_planted_everywhere_is_found_nowhere(transports: tuple[str, ...]) -> None:
    door = msgspec.structs.replace(DOOR, transports=transports)
    messages = (
        auth(),
        f'2["event",{json.dumps(TOKEN)},"{SID}"]',
        f'51-["b",{{"_placeholder":true,"num":0}},"{JWT}"]',
        f"bytes with {JWT}".encode(),
        TOKEN,
    )
    down = ('0{"sid":"socket-id-0123456789","pid":"private-id-0123456789"}', f'2["e",["private-id-0123456789",{json.dumps(TOKEN)}]]')
    cookies = (("Set-Cookie", f"io={COOKIE}; Path=/"), ("X-Whatever", COOKIE), ("Content-Type", "text/plain"), ("Location", f"/x?code={COOKIE}"))
    opened = open_packet(upgrades=())
    records = (
        play(
            door,
            Connect(),
            ResponseReceived(1, 200, cookies, opened.encode()),
            SendMessages(messages),
            1.0,
            TimePassed(),
            ok(2),
            answer(3, *(f"4{message}" for message in down), f"2{COOKIE}"),
            ResponseReceived(5, 400, cookies, f'{{"code":1,"message":"no {SID} {COOKIE}"}}'.encode()),
        )
        if transports[0] == "polling"
        else play(
            door,
            Connect(),
            WebSocketOpened(1),
            FrameReceived(1, opened),
            SendMessages(messages),
            *(FrameReceived(1, f"4{message}") for message in down),
            FrameReceived(1, "b" + b64encode(f"again {JWT}".encode()).decode()),
            FrameReceived(1, f"again {SID}".encode()),
            WebSocketClosed(1, 1008, f"go away {TOKEN}"),
        )
    )
    assert any(isinstance(output, Closed) for output in records[-1].outputs)
    lines: list[Line] = [door, *(make_passage(record, 1) for record in records)]
    text = text_of(lines)
    for secret in (
        TOKEN,
        JWT,
        SID,
        "socket-id-0123456789",
        "private-id-0123456789",
        "pass word99",
        "user:",
        *([COOKIE] * (transports[0] == "polling")),
    ):
        assert text_of(lines, _Nothing()).count(secret) or secret in (TOKEN, "pass word99"), "it is not there in the first place"
        assert [form for form in _forms(secret) if form in text] == []
    assert check(wire(door, records)).is_same


class _Nothing(Redactor):
    def line(self, line: Any) -> Any:
        return line


# --- Place by place.


def test_a_door_shows_where_and_nothing_else() -> None:
    redactor = Redactor()
    assert redact_door(DOOR, redactor) == msgspec.structs.replace(DOOR, url="http://127.0.0.1:3000/?key=<redacted:1>&v=<redacted:2>")
    assert redactor.text(f"it was {TOKEN}") == "it was <redacted:1>"
    assert redactor.text("it was pass word99") == "it was <redacted:3>"


def test_an_id_is_written_into_urls_as_the_machine_writes_it() -> None:
    body = open_packet().encode()
    [passage] = redacted((ResponseReceived(1, 200, (), body), (Opened(handshake(), Transport.POLLING), Poll(2, f"http://h/?EIO=4&t=x&sid={SID}"))))
    assert passage.outputs[0]["handshake"]["sid"] == "@eio1"  # type: ignore[index]
    assert passage.outputs[1] == {"is": "Poll", "request": 2, "url": "http://h/?EIO=4&t=x&sid=%40eio1"}
    assert isinstance(passage.input, ResponseReceived)
    assert passage.input.body == body.replace(SID.encode(), b"@eio1")
    [_, passage] = redacted(FrameReceived(1, open_packet()), (TimePassed(), (OpenWebSocket(1, f"ws://h/?sid={SID}&x=1"),)))
    assert passage.outputs[0]["url"] == "ws://h/?sid=%40eio1&x=<redacted:1>"  # type: ignore[index]


@pytest.mark.parametrize(
    ("data", "left"),
    [
        ('0{"sid": "abc", "upgrades": nonsense', '0{"sid": "@eio1", "upgrades": nonsense'),
        ('0{"sid":"abc', '0{"sid":"@eio1'),
        ('0{"sid":"a\\u0062c"}', '0{"sid":"@eio1"}'),
        ('0{"sid":"a\\x"}', '0{"sid":"@eio1"}'),
        ("0", "0"),
        ("0[1]", "0[1]"),
    ],
)
def test_an_open_packet_gives_no_id_away_be_it_damaged(data: str, left: str) -> None:
    assert one(FrameReceived(1, data)).input == FrameReceived(1, left)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ('0{"token":"abc","n":1,"deep":["x"]}', '0{"token":"<redacted:1>","n":1,"deep":["<redacted:2>"]}'),
        ('0/admin,{"token":"abc"}', '0/admin,{"token":"<redacted:1>"}'),
        ('0{"jwt":"anonymous-ask-user"}', '0{"jwt":"anonymous-ask-user"}'),
        ('0{"token":"abc', "0<redacted:1>"),
        ('0/admin{"token":"abc",', "0<redacted:1>"),
        ("0", "0"),
        ("0/admin,", "0/admin,"),
        ("0/admin?token=abc,", "0/admin?token=<redacted:1>,"),
        ('2/admin?token=abc&x=,7["a",1.0]', '2/admin?token=<redacted:1>&x=,7["a",1.0]'),
        ('2["login",{"password":"x"}]', '2["login",{"password":"<redacted:1>"}]'),
        ('2/a,17["login",{"password":"x"}]', '2/a,17["login",{"password":"<redacted:1>"}]'),
        ('51-["e",{"_placeholder":true,"num":0},{"secret":"x"}]', '51-["e",{"_placeholder":true,"num":0},{"secret":"<redacted:1>"}]'),
        ('61-3[{"_placeholder":true,"num":0},{"secret":"x"}]', '61-3[{"_placeholder":true,"num":0},{"secret":"<redacted:1>"}]'),
        ('4{"message":"no","data":{"password":"x"}}', '4{"message":"no","data":{"password":"<redacted:1>"}}'),
        ('2["e", 1.0,  2]', '2["e", 1.0,  2]'),
        (f'2["e","{JWT}"]', '2["e","<redacted:1>"]'),
        (f"no packet {JWT}", "no packet <redacted:1>"),
        (f'2["half",{JWT}', '2["half",<redacted:1>'),
        ("", ""),
    ],
)
def test_messages_are_redacted_as_packets_wherever_they_stand(message: str, left: str) -> None:
    piece = f"4{left}"
    assert one(SendMessages((message,))).input == SendMessages((left,))
    assert one(Close((message,))).input == Close((left,))
    assert one(TimePassed(), SendFrame(1, f"4{message}")).outputs == ({"is": "SendFrame", "socket": 1, "data": piece},)
    posted = one(TimePassed(), Post(1, "http://h/", f"2\x1e4{message}\x1e3".encode()))
    assert posted.outputs == ({"is": "Post", "request": 1, "url": "http://h/", "body": f"2\x1e{piece}\x1e3"},)


def test_ids_of_namespaces_have_names() -> None:
    message = '0/admin,{"sid":"abc","pid":"def","more":1}'
    passage = one(FrameReceived(1, f"4{message}"), MessageReceived(message))
    left = '0/admin,{"sid":"@sid1","pid":"@pid1","more":1}'
    assert passage == Passage(session=1, at=0.0, input=FrameReceived(1, f"4{left}"), outputs=({"is": "MessageReceived", "data": left},))


def test_what_makes_a_secret_known_may_come_behind_it_in_the_same_body() -> None:
    event, grant = '2["motd","socket-id-0123456789"]', '0{"sid":"socket-id-0123456789"}'
    passage = one(answer(1, f"4{event}", f"4{grant}"), MessageReceived(event), MessageReceived(grant))
    assert "socket-id" not in str(passage)
    assert passage.outputs[0] == {"is": "MessageReceived", "data": '2["motd","@sid1"]'}


def test_a_packet_of_the_msgpack_parser_is_taken_apart_too() -> None:
    [message] = encode_msgpack(SocketIO(SocketIOType.CONNECT, {"token": "abc", "blob": b"\x00"}, "/admin"))
    assert isinstance(message, bytes)
    passage = one(SendMessages((message,)), SendFrame(1, message), Post(1, "http://h/", b"b" + b64encode(message)))
    assert isinstance(passage.input, SendMessages)
    [left] = passage.input.messages
    assert MsgpackDecoder().feed(left) == SocketIO(SocketIOType.CONNECT, {"token": "<redacted:1>", "blob": "<redacted:2>"}, "/admin")
    assert isinstance(left, bytes)
    assert [output.get("data", output.get("body")) for output in passage.outputs if isinstance(output, dict)] == [
        {"$bin": b64encode(left).decode()},
        "b" + b64encode(left).decode(),
    ]
    [plain] = encode_msgpack(SocketIO(SocketIOType.EVENT, ["e", 1]))
    assert one(SendMessages((plain,))).input == SendMessages((plain,))


def test_a_packet_that_only_servers_say_is_searched_as_bytes() -> None:
    packed = msgspec.msgpack.encode({"type": 2, "nsp": "/", "data": ["connect", JWT]})
    assert one(FrameReceived(1, packed)).input == FrameReceived(1, packed.replace(JWT.encode(), b"<redacted:1>"))


@pytest.mark.parametrize("piece", ["b!!!", "b", "7what", "3probe", "2"])
def test_what_is_no_packet_or_carries_nothing_stays(piece: str) -> None:
    assert one(FrameReceived(1, piece)).input == FrameReceived(1, piece)
    assert one(FrameReceived(1, f"{piece} {JWT}")).input == FrameReceived(1, f"{piece} <redacted:1>")


def test_bytes_are_searched() -> None:
    body = b"\xff\xfe page " + JWT.encode()
    assert one(ResponseReceived(1, 500, (), body)).input == ResponseReceived(1, 500, (), b"\xff\xfe page <redacted:1>")
    assert one(TimePassed(), Post(1, "http://h/", body)).outputs[0]["body"] == {"$bin": b64encode(b"\xff\xfe page <redacted:1>").decode()}  # type: ignore[index]
    packed = "b" + b64encode(b"\x00\x01").decode()
    assert one(FrameReceived(1, packed)).input == FrameReceived(1, packed)


def test_of_headers_that_are_not_known_to_be_harmless_the_name_is_kept() -> None:
    headers = (("Content-Type", "text/html"), ("Set-Cookie", f"io={COOKIE}"), ("X-Trace", "abc"), ("Location", "https://u:p@h/login?next=abc"))
    left = (("Content-Type", "text/html"), ("Set-Cookie", MASKED), ("X-Trace", MASKED), ("Location", "https://h/login?next=<redacted:1>"))
    assert one(ResponseReceived(1, 302, headers, b"")).input == ResponseReceived(1, 302, left, b"")
    assert one(WebSocketRefused(1, 302, headers, COOKIE.encode())).input == WebSocketRefused(1, 302, left, b"<redacted:2>")


def test_what_the_network_says_is_searched() -> None:
    assert one(RequestFailed(1, Cause.DNS_FAILED, f"no {JWT}")).input == RequestFailed(1, Cause.DNS_FAILED, "no <redacted:1>")
    assert one(WebSocketFailed(1, Cause.DNS_FAILED, f"no {JWT}")).input == WebSocketFailed(1, Cause.DNS_FAILED, "no <redacted:1>")
    assert one(WebSocketClosed(1, 1000, f"no {JWT}")).input == WebSocketClosed(1, 1000, "no <redacted:1>")


def test_errors_quote_nothing() -> None:
    source = f"4{TOKEN}" * 20
    error = DecodeError(
        f"expected JSON, got {source[:30]!r}", code=Cause.BAD_JSON, offset=3, layer="x", source=source, packets=[Packet(PacketType.MESSAGE, JWT)]
    )
    passage = one(Fail(error), Closed(CloseReason.PARSE_ERROR, error))
    assert "geheim" not in str(vars(passage.input.error))  # type: ignore[union-attr]
    assert "geheim" not in str(passage)
    assert vars(error)["packets"], "the error itself is nobody's to change"
    refused = one(Fail(ConnectRefused("/", f"no {JWT}", {"password": "x"})))
    assert isinstance(refused.input, Fail)
    assert isinstance(refused.input.error, ConnectRefused)
    assert (refused.input.error.data, refused.input.error.refusal) == (None, "no <redacted:1>")
    shown = one(TimePassed(), UpgradeFailed(HandshakeError(f"the upgrade went to {JWT}", cause=Cause.REDIRECTED)))
    assert shown.outputs[0]["error"]["message"] == "the upgrade went to <redacted:1>"  # type: ignore[index]


def test_a_packet_that_was_ignored_is_searched() -> None:
    passage = one(TimePassed(), PacketIgnored(Packet(PacketType.PONG, JWT), "why"))
    assert passage.outputs[0]["packet"] == {"type": "pong", "data": "<redacted:1>"}  # type: ignore[index]


def test_the_same_secret_is_the_same_placeholder_in_every_passage() -> None:
    passages = redacted(SendMessages((auth(),)), SendMessages((f'2["e",{json.dumps(TOKEN)}]',)), FrameReceived(1, f"4{TOKEN}"))
    assert [passage.input for passage in passages] == [
        SendMessages(('0{"token":"<redacted:1>","n":1}',)),
        SendMessages(('2["e","<redacted:1>"]',)),
        FrameReceived(1, "4<redacted:1>"),
    ]


def test_a_hook_for_packets_cannot_leave_out_a_part_of_the_wire() -> None:
    def hide(packet: SocketIOPacket) -> None:
        assert packet.direction is Direction.UP

    with pytest.raises(CaptureError, match="record packets") as caught:
        redacted(SendMessages(('2["e"]',)), redactor=Redactor(Redaction(before_record=hide)))
    assert caught.value.cause is Cause.BAD_OPTION


# --- Whatever there is.


@given(st.lists(INPUTS, max_size=4))
def test_nothing_that_can_be_recorded_cannot_be_redacted(inputs: list[Input]) -> None:
    for passage, input in zip(redacted(*inputs), inputs, strict=True):
        assert type(passage.input) is type(input)


@given(st.text(st.characters(), min_size=8).filter(lambda text: not text.startswith("@") and "redacted" not in text), st.booleans())
def test_a_token_is_nowhere_left_whatever_is_in_it(token: str, ascii: bool) -> None:
    message = "0" + json.dumps({"token": token}, ensure_ascii=ascii)
    passages = redacted((SendMessages((message,)), (SendFrame(1, f"4{message}"),)), RequestFailed(1, Cause.BAD_HTTP, f"<{token}>"))
    assert passages[0].input == SendMessages(('0{"token":"<redacted:1>"}',))
    assert passages[0].outputs == ({"is": "SendFrame", "socket": 1, "data": '40{"token":"<redacted:1>"}'},)
    assert passages[1].input == RequestFailed(1, Cause.BAD_HTTP, "<<redacted:1>>")


def test_an_error_of_somebodys_own_keeps_its_class() -> None:
    class Malformed(RemoteProtocolError):
        pass

    passage = one(Fail(Malformed(f"got '{JWT}'", cause=Cause.BAD_PAYLOAD)))
    assert isinstance(passage.input, Fail)
    assert type(passage.input.error) is Malformed
    assert passage.input.error.args == ("got '…'",)
