"""What is taken out of a capture: secrets by where they stand and by their shape, and those that are cut in two by the pieces of a body."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ylokh_sse.capture.redactor import MAX_HELD, Redactor, StreamRedactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF-_123"
KEY = 'local/key with "quotes" and ё'
SK = "sk-abcdefghijklmnopqrst"

PARTS = [
    JWT,
    KEY,
    SK,
    json.dumps(KEY)[1:-1],
    "https://me:pass@host/",
    r"http:\/\/me:word@host\/",
    "Bearer abcdefghijklmnopqrst",
    " ",
    ",",
    ":",
    "ё",
    "\n\n",
]


def stream(redactor: Redactor, pieces: list[bytes], *, torn: bool = False) -> list[tuple[float, bytes]]:
    """What comes out of pieces that came a second apart."""
    body = StreamRedactor(redactor)
    out = [each for time, piece in enumerate(pieces) for each in body.feed(piece, float(time))]
    return out + body.close(torn=torn)


def joined(pieces: list[tuple[float, bytes]]) -> str:
    return b"".join(data for _, data in pieces).decode()


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"see {JWT}.", "see <redacted:1>."),
        (f"token={JWT}&x", "token=<redacted:1>&x"),
        (f'"{SK}"', '"<redacted:1>"'),
        (f"{SK} and {JWT} and {SK}", "<redacted:1> and <redacted:2> and <redacted:1>"),
        ("ghp_0123456789abcdefABCDEF AKIAIOSFODNN7EXAMPLE", "<redacted:1> <redacted:2>"),
        ("Authorization: Bearer abcdefghijklmnop==", "Authorization: Bearer <redacted:1>"),
        ("http://user:pa%20ss@host:80/x http://user:pa%20ss@host", "http://<redacted:1>@host:80/x http://<redacted:1>@host"),
        (r"http:\/\/user:word@host\/x", r"http:\/\/<redacted:1>@host\/x"),
    ],
)
def test_secrets_are_known_by_their_shape(text: str, hidden: str) -> None:
    assert Redactor().hide_text(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "task-force-of-something-long-enough",
        "sk-short",
        "eyJust.a.sentence",
        "Bearer of good news",
        "me@example.com",
        "https://host/a@b",
        "half \ud83d",
    ],
)
def test_what_only_looks_a_little_like_one_stays(text: str) -> None:
    assert Redactor().hide_text(text) == text


@pytest.mark.parametrize("form", [KEY, json.dumps(KEY)[1:-1], json.dumps(KEY, ensure_ascii=False)[1:-1], json.dumps(KEY)[1:-1].replace("/", r"\/")])
def test_what_was_learnt_is_found_in_every_form(form: str) -> None:
    assert Redactor((KEY,)).hide_text(f"a {form} b {KEY}") == "a <redacted:1> b <redacted:1>"


def test_the_longest_of_several_secrets_counts_and_short_ones_are_none() -> None:
    redactor = Redactor(("12345678", "1234567890", "short"))
    assert redactor.hide_text("1234567890 12345678 short") == "<redacted:1> <redacted:2> short"


def test_headers_teach_what_they_authenticate_with() -> None:
    redactor = Redactor()
    redactor.learn_headers(
        {
            "Authorization": "Bearer local-key-1",
            "X-Api-Key": "another-key",
            "Cookie": "a=cookie-value-1; b=cookie-value-2",
            "User-Agent": "harmless-agent",
        }
    )
    text = "local-key-1 another-key cookie-value-1 cookie-value-2 harmless-agent"
    assert redactor.hide_text(text) == "<redacted:1> <redacted:2> <redacted:3> <redacted:4> harmless-agent"


def test_a_url_keeps_neither_user_nor_query() -> None:
    redactor = Redactor()
    assert redactor.url("https://me:password1@h.test:8/x?api-version=7&key=k-123456&e=&k2=k-123456#f") == (
        "https://<redacted:2>@h.test:8/x?api-version=7&key=<redacted:1>&e=&k2=<redacted:1>"
    )
    assert redactor.hide_text("password1, k-123456") == "<redacted:3>, <redacted:1>"
    assert redactor.url("https://h.test/v1/chat/completions") == "https://h.test/v1/chat/completions"


def test_a_body_is_json_without_its_secrets_whatever_its_escapes() -> None:
    redactor = Redactor((KEY,))
    body = {"a": [KEY, JWT, 1, None], KEY: {"b": f"x{SK}"[1:]}}
    hidden = {"a": ["<redacted:1>", "<redacted:2>", 1, None], "<redacted:1>": {"b": "<redacted:3>"}}
    for written in (json.dumps(body), json.dumps(body, ensure_ascii=False), json.dumps(body).replace("/", r"\/").replace("s", r"\u0073")):
        assert redactor.body(written.encode()) == hidden


@pytest.mark.parametrize("body", [b"no json " + SK.encode(), b"[" * 100_000 + SK.encode()])
def test_a_body_that_is_no_json_is_its_text(body: bytes) -> None:
    assert Redactor().body(body) == body.decode().replace(SK, "<redacted:1>")
    assert Redactor().body(b"\xff") == "\ufffd"


def test_of_an_answers_headers_only_harmless_ones_are_kept() -> None:
    headers = {"set-cookie": "a=b", "location": "http://h/x?token=secret-1", "content-type": "text/event-stream", "server": f"x {JWT}", "x-any": "y"}
    assert Redactor().answer_headers(headers) == {
        "content-type": "text/event-stream",
        "location": "http://h/x?token=<redacted:1>",
        "server": "x <redacted:2>",
    }


# --- In pieces.


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=5), max_size=12), st.data())
def test_pieces_make_no_difference_and_keep_their_times(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts).encode(errors="replace") + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = stream(Redactor((KEY,)), pieces)
    assert b"".join(piece for _, piece in out) == Redactor((KEY,)).hide(text)
    assert [time for time, _ in out] == [float(number) for number in range(len(pieces))]


def test_byte_by_byte_no_secret_leaves_a_trace() -> None:
    text = f"data: {JWT} {SK} {KEY} http://me:word@h\n\n".encode()
    out = stream(Redactor((KEY,)), [bytes([byte]) for byte in text])
    assert joined(out) == "data: <redacted:1> <redacted:2> <redacted:3> http://<redacted:4>@h\n\n"
    assert len(out) == len(text)


def test_what_is_replaced_stands_in_the_piece_where_it_began() -> None:
    first, second, third = f"one {JWT[:9]}", JWT[9:30], f"{JWT[30:]} two"
    assert stream(Redactor(), [first.encode(), second.encode(), third.encode()]) == [(0, b"one <redacted:1>"), (1, b""), (2, b" two")]


def test_only_pieces_that_may_hold_a_beginning_are_kept_back() -> None:
    body = StreamRedactor(Redactor())
    assert body.feed(b"data: one\n\n", 0) == [(0, b"data: one\n\n")]
    assert body.feed(b"data: e", 1) == []
    assert body.feed(b"ye\n\n", 2) == [(1, b"data: e"), (2, b"ye\n\n")]
    assert body.feed(b"s", 3) == []
    assert body.close(torn=False) == [(3, b"s")]


def test_a_secret_that_ends_where_another_begins() -> None:
    redactor = Redactor(("password-sk-1",))  # what ends like this may go on as a key
    assert stream(redactor, [b"a password-sk-1", b" b"]) == [(0, b"a <redacted:1>"), (1, b" b")]
    assert stream(redactor, [b"a password-sk-1"]) == [(0, b"a <redacted:1>")]
    assert stream(redactor, [b"a password-sk-1", b"0123456789abcdef."]) == [(0, b"a <redacted:1>"), (1, b"<redacted:2>")]


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("text", [JWT[:20], SK[:12], KEY[:10], "Bearer abc"])
def test_the_beginning_of_a_secret_at_the_very_end_is_one(text: str, torn: bool) -> None:
    assert joined(stream(Redactor((KEY,)), [b"x ", text.encode()], torn=torn)) == "x <redacted:1>"


def test_the_beginning_of_a_url_is_one_only_where_the_body_was_torn() -> None:
    assert joined(stream(Redactor(), [b"see http://me:pass"], torn=True)) == "see http<redacted:1>"
    assert joined(stream(Redactor(), [b"see http://host:80"], torn=False)) == "see http://host:80"


@pytest.mark.parametrize("size", [1000, 100_000])
def test_what_is_too_long_to_be_kept_back_is_a_secret_up_to_its_end(size: int) -> None:
    text = b"a eyJ" + b"x" * (3 * MAX_HELD) + b' "b" ' + SK.encode() + b" c"
    out = stream(Redactor(), [text[start : start + size] for start in range(0, len(text), size)])
    assert joined(out) == ('a <redacted:1> "b" <redacted:2> c' if size < len(text) else text.decode().replace(SK, "<redacted:1>"))
    body = StreamRedactor(Redactor())
    held = [body.feed(b"eyJ" + b"x" * 997, 0.0) for _ in range(100)]
    assert sum(not released for released in held) <= MAX_HELD // 1000
