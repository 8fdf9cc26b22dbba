"""Passages as JSON: an input comes back as it was, an output is written so that it can be compared, and damage is an error of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.lines import Passage
from engineio_lite.capture.passages import decode_input, encode_input, encode_output, encode_passage, make_passage, without_quotations
from engineio_lite.capture.recorder import Record
from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import Output
from engineio_lite.events import Closed, MessageReceived, Opened, PacketIgnored, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import CaptureError, DecodeError, PingTimeout, RemoteProtocolError, TransportClosed, elide
from engineio_lite.inputs import Connect, Fail, FrameReceived, Input, RequestFailed, ResponseReceived, SendMessages, TimePassed
from engineio_lite.packet import Packet, PacketType
from engineio_lite.state import CloseReason, Transport
from tests.capture.inputs import INPUTS, insides
from tests.core.script import handshake


def through_text(value: object) -> Any:
    """What becomes of a JSON value in a file: text that has a UTF-8 form, and a value again."""
    return json.loads(json.dumps(value).encode())


# --- Inputs.


@given(INPUTS)
def test_an_input_comes_back_as_it_was(input: Input) -> None:
    again = decode_input(through_text(encode_input(input)))
    assert insides(again) == insides(input)
    assert type(again) is type(input)


@pytest.mark.parametrize(
    ("input", "written"),
    [
        (Connect(), {"is": "Connect"}),
        (SendMessages(("hi", b"\x01\x02")), {"is": "SendMessages", "messages": ["hi", {"$bin": "AQI="}]}),
        (FrameReceived(1, b"hi"), {"is": "FrameReceived", "socket": 1, "data": {"$bin": "aGk="}}),
        (
            ResponseReceived(2, 200, (("Content-Type", "text/plain"),), "40é".encode()),
            {"is": "ResponseReceived", "request": 2, "status": 200, "headers": [["Content-Type", "text/plain"]], "body": "40é"},
        ),
        (ResponseReceived(2, 200, (), b"\xff"), {"is": "ResponseReceived", "request": 2, "status": 200, "headers": [], "body": {"$bin": "/w=="}}),
        (RequestFailed(3, Cause.DNS_FAILED, "no"), {"is": "RequestFailed", "request": 3, "cause": "dns-failed", "detail": "no"}),
    ],
)
def test_how_inputs_are_written(input: Input, written: object) -> None:
    assert encode_input(input) == written


def test_an_error_of_a_class_of_somebodys_own_becomes_the_nearest_of_ours() -> None:
    class Malformed(RemoteProtocolError):
        pass

    again = decode_input(through_text(encode_input(Fail(Malformed("no packet", cause=Cause.BAD_PAYLOAD, stage="session")))))
    assert isinstance(again, Fail)
    assert type(again.error) is RemoteProtocolError
    assert (str(again.error), again.error.cause) == ("no packet [bad-payload, stage session]", Cause.BAD_PAYLOAD)


def test_an_error_that_knows_what_no_file_can_hold_is_refused() -> None:
    from engineio_lite.exceptions import ConnectRefused

    with pytest.raises(TypeError, match="no packet holds a object"):
        encode_input(Fail(ConnectRefused("/", "no", object())))


def test_what_is_not_known_is_passed_over() -> None:
    assert decode_input({"is": "TimePassed", "later": 1}) == TimePassed()
    assert decode_input({"is": "FrameReceived", "socket": 1, "data": "4", "compressed": True}) == FrameReceived(1, "4")


_ERROR = encode_input(Fail(DecodeError("no", code=Cause.BAD_JSON, offset=1, layer="x", packets=[Packet(PacketType.PING)])))["error"]
assert isinstance(_ERROR, dict)


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (None, "expected an object as an input of a passage, got 'None'"),
        ([], "expected an object as an input of a passage, got '[]'"),
        ({}, "as is of a passage, got 'None'"),
        ({"is": ["Connect"]}, "as is of a passage, got"),
        ({"is": "Disconnect"}, "expected one of Connect, TimePassed, SendMessages"),
        ({"is": "SendMessages"}, "expected an array as SendMessages.messages of a passage, got nothing"),
        ({"is": "SendMessages", "messages": [1]}, "expected a string or {\"$bin\": base64} as SendMessages.messages of a passage, got '1'"),
        ({"is": "FrameReceived", "socket": True, "data": ""}, "expected an integer as FrameReceived.socket of a passage, got 'True'"),
        ({"is": "FrameReceived", "socket": 1.5, "data": ""}, "expected an integer as FrameReceived.socket"),
        ({"is": "FrameReceived", "socket": 1, "data": {"$bin": "A"}}, 'expected a string or {"$bin": base64}'),
        ({"is": "FrameReceived", "socket": 1, "data": {"$bin": "é"}}, 'expected a string or {"$bin": base64}'),
        ({"is": "FrameReceived", "socket": 1, "data": {"$bin": 1}}, 'expected a string or {"$bin": base64}'),
        ({"is": "WebSocketClosed", "socket": 1, "code": None, "reason": None}, "expected a string as WebSocketClosed.reason"),
        ({"is": "ResponseReceived", "request": 1, "status": 200, "headers": [["a"]], "body": ""}, "expected [name, value]"),
        ({"is": "ResponseReceived", "request": 1, "status": 200, "headers": [], "body": "\ud800"}, "expected text with a UTF-8 form"),
        ({"is": "RequestFailed", "request": 1, "cause": "unheard-of", "detail": ""}, "expected the id of a cause"),
        ({"is": "Fail", "error": 1}, "expected an object as Fail.error"),
        ({"is": "Fail", "error": {"class": "ValueError"}}, "expected the class of an error"),
        ({"is": "Fail", "error": {"class": "HandshakeError"}}, "expected a string as Fail.error.message of a passage, got nothing"),
        ({"is": "Fail", "error": {**_ERROR, "packets": [{"type": "pang"}]}}, "expected the type of a packet"),
        ({"is": "Fail", "error": {**_ERROR, "packets": [{"type": "ping"}]}}, 'expected a string or {"$bin": base64}'),
        ({"is": "Fail", "error": {**_ERROR, "packets": [1]}}, "expected an object as Fail.error.packets"),
        ({"is": "Fail", "error": {**_ERROR, "class": "ConnectRefused", "namespace": "/", "refusal": "no"}}, "expected a value as Fail.error.data"),
        (
            {"is": "Fail", "error": {**_ERROR, "class": "ConnectRefused", "namespace": "/", "refusal": "no", "data": {"$odd": 1}}},
            "expected a JSON value as Fail.error.data",
        ),
    ],
)
def test_damage_is_told(damaged: object, told: str) -> None:
    with pytest.raises(CaptureError) as caught:
        decode_input(damaged)
    assert told in str(caught.value)
    assert caught.value.cause is Cause.CAPTURE_DAMAGED


_scraps = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.sampled_from(["RemoteProtocolError", "ping", "AA=="])),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["is", "$bin", "type", "class"]), inner, max_size=2),
    max_leaves=4,
)


@given(INPUTS, st.data())
def test_whatever_is_damaged_raises_our_error_or_makes_another_input(input: Input, data: st.DataObject) -> None:
    written: Any = through_text(encode_input(input))
    at = written
    while isinstance(at, dict) and at:
        name = data.draw(st.sampled_from(sorted(at)))
        if not isinstance(at[name], dict) or data.draw(st.booleans()):
            at[name] = data.draw(_scraps)
            break
        at = at[name]
    try:
        again = decode_input(written)
    except CaptureError:
        return  # any other exception fails the test
    assert insides(decode_input(encode_input(again))) == insides(again)


# --- Outputs.

_GONE = TransportClosed(
    "the WebSocket was closed by the server with code 1008, saying 'secret'", cause=Cause.WEBSOCKET_CLOSED, code=1008, reason="secret"
)


@pytest.mark.parametrize(
    ("output", "written"),
    [
        (Poll(1, "http://h/"), {"is": "Poll", "request": 1, "url": "http://h/"}),
        (Post(2, "http://h/", b"2\x1e3"), {"is": "Post", "request": 2, "url": "http://h/", "body": "2\x1e3"}),
        (OpenWebSocket(1, "ws://h/"), {"is": "OpenWebSocket", "socket": 1, "url": "ws://h/"}),
        (SendFrame(1, b"\x00"), {"is": "SendFrame", "socket": 1, "data": {"$bin": "AA=="}}),
        (CloseTransport(Transport.POLLING), {"is": "CloseTransport", "transport": "polling", "socket": 0}),
        (MessageReceived("hi"), {"is": "MessageReceived", "data": "hi"}),
        (Upgraded(), {"is": "Upgraded"}),
        (PollingStuck(3), {"is": "PollingStuck", "polls": 3}),
        (PacketIgnored(Packet(PacketType.PONG, "x"), "why"), {"is": "PacketIgnored", "packet": {"type": "pong", "data": "x"}, "why": "why"}),
        (
            Opened(handshake(), Transport.POLLING),
            {
                "is": "Opened",
                "handshake": {
                    "sid": "lv_VI97HAXpY6yYWAAAB",
                    "upgrades": ["websocket"],
                    "ping_interval": 25.0,
                    "ping_timeout": 20.0,
                    "max_payload": 1_000_000,
                },
                "transport": "polling",
            },
        ),
        (
            Closed(CloseReason.TRANSPORT_CLOSE, _GONE, 1, 0.5, (Packet(PacketType.MESSAGE, "2"),), (Packet(PacketType.PONG),)),
            {
                "is": "Closed",
                "reason": "transport close",
                "error": {
                    "class": "TransportClosed",
                    "cause": "websocket-closed",
                    "message": "the WebSocket was closed by the server with code 1008, saying '…'",
                    "code": 1008,
                },
                "unsent": 1,
                "silence": 0.5,
                "last_received": ["message"],
                "last_sent": ["pong"],
            },
        ),
        (
            UpgradeFailed(PingTimeout(3.0, 2.0)),
            {
                "is": "UpgradeFailed",
                "error": {
                    "class": "PingTimeout",
                    "cause": "ping-timeout",
                    "message": "no ping for 3 s, the server announced one at least every 2 s",
                    "stage": "session",
                    "silence": 3.0,
                    "allowed": 2.0,
                },
            },
        ),
        (
            UpgradeFailed(DecodeError("expected a packet type, got 'x'", code=Cause.UNKNOWN_PACKET_TYPE, offset=7, layer="engineio-packet")),
            {
                "is": "UpgradeFailed",
                "error": {"class": "DecodeError", "cause": "unknown-packet-type", "message": "expected a packet type, got '…'"},
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_outputs_are_written(output: Output, written: object) -> None:
    assert encode_output(output) == written


def test_a_passage_is_the_instant_the_input_and_the_outputs() -> None:
    record = Record(1.5, Connect(), (Poll(1, "http://h/"), MessageReceived("hi")))
    passage = make_passage(record, 2)
    assert passage == Passage(
        session=2,
        at=1.5,
        input=Connect(),
        outputs=({"is": "Poll", "request": 1, "url": "http://h/"}, {"is": "MessageReceived", "data": "hi"}),
    )
    assert encode_passage(record) == encode_passage(passage) == {"at": 1.5, "in": {"is": "Connect"}, "out": list(passage.outputs)}


# --- Sentences without what they quote.


@given(st.one_of(st.text(), st.binary()), st.integers(2, 200))
def test_nothing_that_is_quoted_is_left(quoted: str | bytes, limit: int) -> None:
    sentence = f"expected 3probe on the upgrade's WebSocket, got message {elide(quoted, limit)}, before the peer's own"
    shown = without_quotations(sentence)
    assert shown == "expected 3probe on the upgrade's WebSocket, got message '…', before the peer's own" or quoted == b""
    assert without_quotations(shown) == shown


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("unusable open packet: expected JSON, at 34 of '{\"sid\":'", "unusable open packet: expected JSON, at … of '…'"),
        ('got "it\'s"', "got '…'"),
        (r"got 'both \' and \" \\'", "got '…'"),
        ("got 'long'… (500 characters)", "got '…'"),
        ("got bytes 00ff… (500 bytes)", "got '…'"),
        ("the server's refusal: 'no' (code 1)", "the server's refusal: '…' (code 1)"),
    ],
)
def test_sentences_without_quotations(sentence: str, shown: str) -> None:
    assert without_quotations(sentence) == shown
