"""What is secret never becomes text: by its place, by its shape, and wherever it comes up again."""

from __future__ import annotations

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.format import encode_line
from engineio_lite.capture.lines import Direction, EnginePacket, Head, HttpAnswer, Line, Note, SessionEnded, SessionOpened, SocketChanged, Undecoded
from engineio_lite.capture.lines import SocketIOPacket as Said
from engineio_lite.capture.redactor import Redaction, Redactor
from engineio_lite.capture.shapes import is_secret_member, random_words
from engineio_lite.packet import PacketType as EngineType
from engineio_lite.socketio.grammar import PacketType
from engineio_lite.state import Transport

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk"
POLLING = Transport.POLLING
UP, DOWN = Direction.UP, Direction.DOWN


def said(direction: Direction, packet_type: PacketType, data: object, namespace: str = "/") -> Said:
    return Said(session=1, time=0, direction=direction, transport=POLLING, type=packet_type, namespace=namespace, data=data)


def event(*data: object) -> Said:
    return said(DOWN, PacketType.EVENT, list(data))


def data_of(redactor: Redactor, line: Line) -> object:
    redacted = redactor.line(line)
    assert isinstance(redacted, Said | Undecoded)
    return redacted.data


# --- by their place


def test_every_string_of_an_auth_payload_is_hidden_and_nothing_else_of_it() -> None:
    payload = {"token": "s3cr3t!", "n": 5, "deep": {"list": ["another", None, True]}}
    assert data_of(Redactor(), said(UP, PacketType.CONNECT, payload)) == {
        "token": "<redacted:1>",
        "n": 5,
        "deep": {"list": ["<redacted:2>", None, True]},
    }


def test_equal_secrets_stay_equal() -> None:
    redactor = Redactor()
    assert data_of(redactor, said(UP, PacketType.CONNECT, {"a": "same", "b": "same", "c": "other"})) == {
        "a": "<redacted:1>",
        "b": "<redacted:1>",
        "c": "<redacted:2>",
    }
    assert data_of(redactor, said(UP, PacketType.CONNECT, {"a": "other"}, "/admin")) == {"a": "<redacted:2>"}


def test_an_auth_payload_need_not_be_an_object() -> None:
    assert data_of(Redactor(), said(UP, PacketType.CONNECT, "word")) == "<redacted:1>"
    assert data_of(Redactor(), said(UP, PacketType.CONNECT, msgspec.UNSET)) is msgspec.UNSET
    assert data_of(Redactor(), said(UP, PacketType.CONNECT, {"key": b"\0\1"})) == {"key": "<redacted:1>"}


def test_harmless_constants_may_be_kept() -> None:
    known = {"jwt": "anonymous-ask-user", "app": "demo", "deep": {"app": "demo"}}
    assert data_of(Redactor(), said(UP, PacketType.CONNECT, known)) == {
        "jwt": "anonymous-ask-user",
        "app": "<redacted:1>",
        "deep": {"app": "<redacted:1>"},
    }
    redactor = Redactor(Redaction(auth_keep={"app": ["demo"]}))
    assert data_of(redactor, said(UP, PacketType.CONNECT, known)) == {"jwt": "<redacted:1>", "app": "demo", "deep": {"app": "demo"}}


def test_what_recovers_a_session_keeps_its_offset() -> None:
    redactor = Redactor()
    assert data_of(redactor, said(DOWN, PacketType.CONNECT, {"sid": "sid-of-it", "pid": "pid-of-it", "x": 1})) == {
        "sid": "@sid1",
        "pid": "@pid1",
        "x": 1,
    }
    assert data_of(redactor, said(UP, PacketType.CONNECT, {"pid": "pid-of-it", "offset": "abc"})) == {"pid": "@pid1", "offset": "abc"}
    assert data_of(redactor, said(UP, PacketType.CONNECT, {"offset": "abc"})) == {"offset": "<redacted:1>"}


def test_a_session_is_opened_under_another_name() -> None:
    redactor = Redactor()
    opened = SessionOpened(session=1, url="http://me:pw@host/socket.io/?key=hidden+word&EIO=4#f", transport=POLLING, sid="the-session-id")
    assert redactor.line(opened) == msgspec.structs.replace(opened, url="http://host/socket.io/?key=<redacted:1>&EIO=4", sid="@eio1")
    assert redactor.text("Session the-session-id is gone") == "Session @eio1 is gone"
    assert redactor.text("hidden word") == "<redacted:1>"


def test_an_id_that_a_cookie_told_first_is_still_an_id() -> None:
    redactor = Redactor()
    redactor.learn_headers((("Set-Cookie", "io=the-session-id; Path=/; HttpOnly"),))
    assert redactor.placeholder("the-session-id", "eio") == "@eio1"


def test_headers_teach_without_using_up_numbers() -> None:
    redactor = Redactor()
    headers = (
        ("Authorization", "Bearer opaque-credentials"),
        ("X-Api-Key", "key-in-header"),
        ("Cookie", "a=cookie-value; theme=dark; b"),
        ("Accept", "application/json"),
        ("X-Mine", "my-own-secret"),
    )
    redactor.learn_headers(headers)
    assert redactor.text("saw cookie-value") == "saw <redacted:1>"
    assert redactor.text("saw key-in-header and opaque-credentials") == "saw <redacted:2> and <redacted:3>"
    assert redactor.text("dark, application/json, my-own-secret") == "dark, application/json, my-own-secret"
    mine = Redactor(Redaction(headers=["X-Mine"]))
    mine.learn_headers(headers)
    assert mine.text("my-own-secret") == "<redacted:1>"


def test_a_file_that_is_continued_gets_no_number_twice() -> None:
    redactor = Redactor()
    redactor.number_on('{"sid": "@sid2", "token": "<redacted:7>"} @eio1 @sid1')
    assert [redactor.placeholder(name, kind) for name, kind in (("one", ""), ("two", "sid"), ("three", "eio"), ("four", "pid"))] == [
        "<redacted:8>",
        "@sid3",
        "@eio2",
        "@pid1",
    ]


def test_a_url_that_is_none_is_hidden_whole() -> None:
    assert Redactor().url("http://[half") == "<redacted:1>"


def test_a_url_may_be_learnt_alone() -> None:
    redactor = Redactor()
    redactor.learn_url("http://host/?EIO=4&transport=polling&t=abc&sid=some-session&flag")
    assert redactor.text("some-session") == "@eio1"
    assert redactor.url("http://host/?EIO=4&t=abc&sid=some-session&x=&flag") == "http://host/?EIO=4&t=abc&sid=@eio1&x=&<redacted:1>"


# --- by their shape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token={JWT}.", "token=<redacted:1>."),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer <redacted:1>"),
        ("Basic dXNlcjpwYXNz", "Basic <redacted:1>"),
        ("see https://user:pass@host/", "see https://<redacted:1>@host/"),
        ("sk-proj-abcdefghijklmnopqrst", "<redacted:1>"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "<redacted:1>"),
        ("AKIAIOSFODNN7EXAMPLE", "<redacted:1>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "<redacted:1>"),
        ("a bearer of bad news", "a bearer of bad news"),
        ("eyJ is not enough", "eyJ is not enough"),
        ("mail me@host.test", "mail me@host.test"),
    ],
)
def test_what_looks_like_a_secret_is_one(text: str, shown: str) -> None:
    assert data_of(Redactor(), event("log", text)) == ["log", shown]


def test_a_token_is_found_in_names_bytes_and_event_names() -> None:
    line = event(JWT, {JWT: 1}, [f"x {JWT}"], b"\0" + JWT.encode() + b"\xff", b"\0\1")
    assert data_of(Redactor(), line) == ["<redacted:1>", {"<redacted:1>": 1}, ["x <redacted:1>"], b"\0<redacted:1>\xff", b"\0\1"]


def test_members_are_secret_by_their_names() -> None:
    members = {"password": "x", "token": " the", "access_token": "0123456789abcdef", "api-key": "0123456789abcdef", "note": "0123456789abcdef!"}
    assert data_of(Redactor(), event("e", members)) == [
        "e",
        {"password": "<redacted:1>", "token": " the", "access_token": "<redacted:2>", "api-key": "<redacted:2>", "note": "<redacted:2>!"},
    ]
    assert not is_secret_member("password", "")


def test_patterns_of_the_users_own() -> None:
    assert Redactor(Redaction(patterns=[r"\d{4}-\d{4}"])).text("card 1234-5678") == "card <redacted:1>"


# --- wherever they come up again


def test_what_was_learnt_is_hidden_everywhere() -> None:
    redactor = Redactor()
    redactor.line(said(UP, PacketType.CONNECT, {"token": "opensesame", "room": "blue", "n": "42"}))
    assert data_of(redactor, event("echo", "no opensesame here", "blue", "blueberry", "42")) == [
        "echo",
        "no <redacted:1> here",
        "<redacted:2>",
        "blueberry",
        "42",
    ]
    assert data_of(redactor, said(DOWN, PacketType.CONNECT_ERROR, {"message": "bad opensesame"})) == {"message": "bad <redacted:1>"}
    assert data_of(redactor, said(UP, PacketType.ACK, ["opensesame"])) == ["<redacted:1>"]
    assert data_of(redactor, said(UP, PacketType.DISCONNECT, msgspec.UNSET)) is msgspec.UNSET


def test_the_name_of_an_event_is_no_secret_even_if_somebody_authenticates_with_it() -> None:
    redactor = Redactor()
    redactor.line(said(UP, PacketType.CONNECT, {"source": "perplexity_labs"}))
    assert data_of(redactor, event("perplexity_labs", "perplexity_labs")) == ["perplexity_labs", "<redacted:1>"]
    assert data_of(redactor, event(7, "perplexity_labs")) == [7, "<redacted:1>"]


def test_every_other_line_is_looked_through() -> None:
    redactor = Redactor()
    redactor.learn("the-secret")
    lines: list[Line] = [
        HttpAnswer(session=1, method="GET", url="http://h/?x=the-secret", status=400, body="the-secret"),
        EnginePacket(session=1, direction=UP, transport=POLLING, type=EngineType.PING, data="the-secret"),
        SocketChanged(session=1, change="closed", reason="the-secret"),
        SessionEnded(session=1, reason="the-secret"),
        Note(session=1, what="gap", text="the-secret"),
        Undecoded(session=1, direction=UP, transport=POLLING, data="4 the-secret", error="x"),
        Undecoded(session=1, direction=DOWN, transport=POLLING, data=b"\xffeyJa.b.c", error="x"),
        Head(by="somebody"),
    ]
    written = "\n".join(encode_line(line) for line in map(redactor.line, lines) if line is not None)
    assert "the-secret" not in written
    assert written.count("<redacted:1>") == 7
    assert "somebody" in written


def test_what_could_not_be_read_may_be_the_secret() -> None:
    redactor = Redactor()
    assert data_of(redactor, Undecoded(session=1, direction=UP, transport=POLLING, data='40{"jwt":"half', error="bad-json")) == "40<redacted:1>"
    assert data_of(redactor, Undecoded(session=1, direction=DOWN, transport=POLLING, data='0{"sid":"half', error="bad-json")) == "0<redacted:2>"
    assert data_of(redactor, Undecoded(session=1, direction=UP, transport=POLLING, data="40", error="x")) == "40"


def test_placeholders_are_not_redacted_again() -> None:
    redactor = Redactor()
    line = said(UP, PacketType.CONNECT, {"token": "<redacted:7>", "pid": "@pid3", "empty": ""})
    assert data_of(redactor, line) == {"token": "<redacted:7>", "pid": "@pid3", "empty": ""}


def test_the_users_hook_comes_first_and_may_leave_a_packet_out() -> None:
    seen = []

    def before(packet: Said) -> Said | None:
        seen.append(packet.data)
        return None if packet.type is PacketType.ACK else msgspec.structs.replace(packet, data=["changed", JWT])

    redactor = Redactor(Redaction(before_record=before))
    assert data_of(redactor, event("e", "raw")) == ["changed", "<redacted:1>"]
    assert redactor.line(said(UP, PacketType.ACK, [])) is None
    assert seen == [["e", "raw"], []]


@given(
    st.text(min_size=8, max_size=30).filter(lambda text: "<redacted" not in text),
    st.text(max_size=10),
    st.sampled_from(["plain", "json", "ascii", "url"]),
)
def test_no_form_of_a_learnt_secret_is_left(secret: str, around: str, form: str) -> None:
    try:
        quoted = quote(secret, safe="")
    except UnicodeEncodeError:
        quoted = secret
    forms = {"plain": secret, "json": json.dumps(secret, ensure_ascii=False)[1:-1], "ascii": json.dumps(secret)[1:-1], "url": quoted}
    redactor = Redactor()
    redactor.learn(secret)
    text = redactor.text(f"{around} {forms[form]} {around}")
    assert "<redacted:1>" in text or "%3Credacted%3A1%3E" in text or secret in around


def test_random_words_are_told_from_prose_and_numbers() -> None:
    assert list(random_words("key q8Zr3Vb1Lk9Xw2Tn5Yc7Md4P end")) == ["q8Zr3Vb1Lk9Xw2Tn5Yc7Md4P"]
    assert list(random_words("antidisestablishmentarianism 123456789012345678901234567890 CamelCaseNameOfAVeryLongClass2")) == []


@pytest.mark.parametrize("direction", list(Direction))
def test_the_query_of_a_namespace_holds_no_values(direction: Direction) -> None:
    redactor = Redactor()
    line = redactor.line(said(direction, PacketType.CONNECT_ERROR, {"message": "no letmein17 here"}, "/admin?token=letmein17&room="))
    assert isinstance(line, Said)
    assert (line.namespace, line.data) == ("/admin?token=<redacted:1>&room=", {"message": "no <redacted:1> here"})
