"""The open packet and the URLs of a session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engineio_lite.causes import Cause
from engineio_lite.exceptions import HandshakeError, LocalProtocolError
from engineio_lite.handshake import Handshake, build_url, normalize_url, redact_url
from engineio_lite.state import Transport

OPEN: dict[str, Any] = {
    "sid": "lv_VI97HAXpY6yYWAAAC",
    "upgrades": ["websocket"],
    "pingInterval": 25000,
    "pingTimeout": 20000,
    "maxPayload": 1000000,
}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in OPEN.items() if name not in names}


def parse(fields: dict[str, Any]) -> Handshake:
    return Handshake.parse(json.dumps(fields))


def test_the_example_of_the_specification() -> None:
    assert parse(OPEN) == Handshake(sid="lv_VI97HAXpY6yYWAAAC", upgrades=("websocket",), ping_interval=25.0, ping_timeout=20.0, max_payload=1_000_000)


def test_order_and_unknown_keys_do_not_matter() -> None:
    shuffled = {"new": [{}], **dict(reversed(OPEN.items()))}
    assert parse(shuffled) == parse(OPEN)


def test_older_servers_say_less() -> None:
    handshake = parse(without("maxPayload", "upgrades"))
    assert handshake.max_payload is None
    assert handshake.upgrades == ()


@pytest.mark.parametrize(("wire", "seconds"), [(0, 0.0), (1, 0.001), (25000.5, 25.0005), (10**99, 1e96)])
def test_times_are_seconds(wire: float, seconds: float) -> None:
    handshake = parse(OPEN | {"pingInterval": wire, "pingTimeout": wire})
    assert handshake.ping_interval == pytest.approx(seconds)
    assert handshake.ping_timeout == pytest.approx(seconds)


def test_sizes_are_whole_bytes() -> None:
    for wire, size in [(0, 0), (1e6, 1_000_000), (10**99, 10**99)]:
        found = parse(OPEN | {"maxPayload": wire}).max_payload
        assert found == size
        assert type(found) is int


# (data, cause, a word of the message)
FAULTS: list[tuple[str, Cause, str]] = [
    ("", Cause.BAD_HANDSHAKE, "nothing"),
    ("{", Cause.BAD_HANDSHAKE, "expected JSON"),
    (" {}", Cause.BAD_HANDSHAKE, "expected JSON"),
    ("[]", Cause.BAD_HANDSHAKE, "object"),
    ("null", Cause.BAD_HANDSHAKE, "object"),
    ('"sid"', Cause.BAD_HANDSHAKE, "object"),
    ("{" * 100_000, Cause.BAD_HANDSHAKE, "nested"),
    ('{"sid":NaN}', Cause.BAD_HANDSHAKE, "NaN"),
    *(
        (json.dumps(fields), Cause.MISSING_SID, "`sid`")
        for fields in ({}, without("sid"), OPEN | {"sid": ""}, OPEN | {"sid": None}, OPEN | {"sid": 5}, {"pingInterval": "x"})
    ),
    (json.dumps(OPEN | {"sid": "a\ud800"}), Cause.BAD_HANDSHAKE, "UTF-8"),
    *(
        (json.dumps(OPEN | {"upgrades": upgrades}), Cause.BAD_HANDSHAKE, "`upgrades`")
        for upgrades in (None, "websocket", {"websocket": True}, ["websocket", None], [["websocket"]])
    ),
    *(
        (json.dumps(OPEN | {name: value}), Cause.BAD_HANDSHAKE, f"`{name}`")
        for name in ("pingInterval", "pingTimeout", "maxPayload")
        for value in (None, -1, -0.5, True, False, "25000", [25000])
    ),
    *((json.dumps(without(name)), Cause.BAD_HANDSHAKE, f"`{name}` .* nothing") for name in ("pingInterval", "pingTimeout")),
    (json.dumps(OPEN).replace("25000", "1e999"), Cause.BAD_HANDSHAKE, "double"),
    (json.dumps(OPEN).replace("25000", "1" * 101), Cause.BAD_HANDSHAKE, "digits"),
]


@pytest.mark.parametrize(("data", "cause", "words"), FAULTS, ids=[data[:50] or "empty" for data, *_ in FAULTS])
def test_faults_are_named(data: str, cause: Cause, words: str) -> None:
    with pytest.raises(HandshakeError, match=words) as caught:
        Handshake.parse(data)
    assert caught.value.cause is cause
    assert caught.value.stage == "handshake"


def test_no_sid_is_shown() -> None:
    with pytest.raises(HandshakeError) as caught:
        Handshake.parse('{"sid":"secretsecret","upgrades":[]')
    assert "secret" not in str(caught.value)


# --- URLs


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host", "http://host/engine.io/"),
        ("http://host/", "http://host/engine.io/"),
        ("https://host:8443/x", "https://host:8443/x/"),
        ("ws://host/x/", "http://host/x/"),
        ("wss://host", "https://host/engine.io/"),
        ("HTTPS://Host/Path", "https://Host/Path/"),
        ("http://user:pass@host/?a=1&b", "http://user:pass@host/engine.io/?a=1&b"),
        ("http://[::1]:80/x", "http://[::1]:80/x/"),
        ("http://host?token=a%20b", "http://host/engine.io/?token=a%20b"),
        ("http://bücher.example/ü", "http://bücher.example/ü/"),
    ],
)
def test_urls_are_brought_into_one_form(url: str, base: str) -> None:
    assert normalize_url(url, default_path="/engine.io/") == base
    assert normalize_url(base, default_path="/other/") == base


def test_the_default_path_gets_its_slash_too() -> None:
    assert normalize_url("http://h", default_path="/x") == "http://h/x/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "host:80",
        "//host/x",
        "/x",
        "ftp://host",
        "http://",
        "http:///x",
        "http://:80",
        "http://user@/x",
        "http://host/#",
        "http://host/#fragment",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://ho st",
        " http://host",
        "http://host\n",
        "http://host/\x00",
        "http://host/\ud800",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        normalize_url(url, default_path="/engine.io/")
    assert caught.value.cause is Cause.BAD_URL


def test_a_url_is_text() -> None:
    wrong: Any = b"http://host"
    with pytest.raises(LocalProtocolError, match="bytes"):
        normalize_url(wrong, default_path="/")


def test_a_refused_url_is_shown_without_its_secrets() -> None:
    for url in (
        "ftp://user:secret@host?token=secret",
        "http://user:secret@host/#secret",
        "http://user:secret@host:port?x=secret",
        "http://u:secret@[::1",
    ):
        with pytest.raises(LocalProtocolError) as caught:
            normalize_url(url, default_path="/")
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "transport", "options", "url"),
    [
        ("http://h/x/", Transport.POLLING, {}, "http://h/x/?EIO=4&transport=polling"),
        ("http://h/x/", Transport.WEBSOCKET, {}, "ws://h/x/?EIO=4&transport=websocket"),
        ("https://u:p@h:1/x/", Transport.WEBSOCKET, {"sid": "a"}, "wss://u:p@h:1/x/?EIO=4&transport=websocket&sid=a"),
        ("http://h/x/", Transport.POLLING, {"token": "t1", "sid": "a/b c&d=é+"}, "http://h/x/?EIO=4&transport=polling&t=t1&sid=a%2Fb%20c%26d%3D%C3%A9%2B"),
        ("http://h/x/?a=1&b&a=2", Transport.POLLING, {}, "http://h/x/?a=1&b&a=2&EIO=4&transport=polling"),
        ("http://h/x/?&&a=%20&", Transport.POLLING, {}, "http://h/x/?a=%20&EIO=4&transport=polling"),
        # Pasted from a browser: what the protocol sets is set once.
        ("http://h/x/?EIO=3&transport=websocket&t=old&sid=old&%73id=old&k=v", Transport.POLLING, {"token": "new"}, "http://h/x/?k=v&EIO=4&transport=polling&t=new"),
        ("http://h/x/?t=mine", Transport.WEBSOCKET, {}, "ws://h/x/?t=mine&EIO=4&transport=websocket"),
    ],
)  # fmt: skip
def test_urls_of_requests(base: str, transport: Transport, options: dict[str, str], url: str) -> None:
    assert build_url(base, transport, **options) == url


def test_a_sid_without_a_utf8_form_is_refused() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        build_url("http://h/", Transport.POLLING, sid="\ud800")
    assert caught.value.cause is Cause.BAD_URL


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "http://u:p@h:1/x/?EIO=4&transport=polling&sid=S&t=T&a=b#f",
            "http://h:1/x/?EIO=4&transport=polling&sid=<redacted>&t=<redacted>&a=<redacted>",
        ),
        ("wss://a@b@h/", "wss://h/"),
        ("http://h/?bare", "http://h/?<redacted>"),
        ("http://h/?eio=4&EIO=", "http://h/?eio=<redacted>&EIO="),
        ("http://h/?a=b=c&", "http://h/?a=<redacted>"),
        ("/relative?x=y", "/relative?x=<redacted>"),
        ("http://[::1/?x=y", "<unreadable URL>"),
        ("", ""),
    ],
)
def test_only_harmless_parts_of_a_url_are_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    if shown.startswith(("http", "ws")):
        assert redact_url(shown) == shown
