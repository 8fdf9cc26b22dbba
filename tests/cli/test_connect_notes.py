"""What `engineio-lite connect` shows: the objects, the lines, what is hidden in both, and how lines are laid out."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.msgpack import Ext
from rich.console import Console

from engineio_lite.capture.redaction import Secrets
from engineio_lite.causes import Cause
from engineio_lite.cli._connect_notes import (
    INDENT,
    Ack,
    Closed,
    Event,
    Failure,
    Note,
    Packet,
    Sent,
    State,
    Text,
    as_line,
    as_object,
    duration,
    error_line,
    failure,
    harmless,
    plain,
)
from engineio_lite.cli._connect_screen import MAX_SHOWN, JSONScreen, TextScreen, is_spelled, laid_out
from engineio_lite.exceptions import AckTimeout, TransportClosed
from engineio_lite.socketio import EventReceived

LOST = TransportClosed("gone", cause=Cause.CONNECTION_LOST)


def secrets(*known: str) -> Secrets:
    found = Secrets()
    for each in known:
        found.learn(each)
    return found


def line(note: Note, *known: str) -> str:
    return "".join(text for _, text in as_line(note, secrets(*known)))


STATUS = {
    "transport": "websocket",
    "sid": "abcd…",
    "age": 12.5,
    "namespace": "/",
    "namespaces": {"/": "efgh…", "/admin": None},
    "rtt": 0.0012,
    "rtt_of": "the probe",
    "came": {"events": 1, "acks": 2, "pings": 3},
    "sent": {"events": 4, "acks": 5},
    "waiting": 1,
    "questions": [{"namespace": "/", "id": 0, "name": "question"}],
    "reconnected": 2,
}

NOTES: list[tuple[Note, dict[str, Any], str]] = [
    (
        Event(1.25, EventReceived("/", "chat", ["hi", {"a": [1, None]}])),
        {"at": 1.25, "kind": "event", "namespace": "/", "name": "chat", "args": ["hi", {"a": [1, None]}]},
        '   1.250 ◀── chat "hi" {"a":[1,null]}',
    ),
    (
        Event(1.0000004, EventReceived("/admin", "new message", [], 7)),
        {"at": 1.0, "kind": "event", "namespace": "/admin", "name": "new message", "args": [], "id": 7},
        '   1.000 ◀── /admin "new message"  asks: ack 7 …',
    ),
    (
        Event(0.0, EventReceived("/", 5, [1])),
        {"at": 0.0, "kind": "event", "namespace": "/", "name": 5, "args": [1]},
        "   0.000 ◀── 5 1",
    ),
    (Sent(2.0, "/", "chat", ["hi"]), {"at": 2.0, "kind": "sent", "namespace": "/", "name": "chat", "args": ["hi"]}, '   2.000 ──▶ chat "hi"'),
    (
        Sent(2.0, "/", "chat", [], 3),
        {"at": 2.0, "kind": "sent", "namespace": "/", "name": "chat", "args": [], "id": 3},
        "   2.000 ──▶ chat  #3",
    ),
    (
        Sent(2.0, "/a", None, ["yes"], 7),
        {"at": 2.0, "kind": "sent", "namespace": "/a", "name": None, "args": ["yes"], "id": 7},
        '   2.000 ──▶ /a ack 7 "yes"',
    ),
    (
        Ack(3.0, "/", 3, ["ok", b"\x01"], "chat", 0.01234),
        {"at": 3.0, "kind": "ack", "namespace": "/", "name": "chat", "args": ["ok", {"$hex": "01"}], "id": 3, "seconds": 0.01234},
        '   3.000 ◀── ack #3 chat 12.3 ms: "ok" {"$hex":"01"}',
    ),
    (
        Ack(3.0, "/", 9999, []),
        {"at": 3.0, "kind": "ack", "namespace": "/", "name": None, "args": [], "id": 9999, "seconds": None},
        "   3.000 ◀── ack #9999  nobody waits for it",
    ),
    (
        Packet(4.0, True, "POST 2", '42["a"]'),
        {"at": 4.0, "kind": "packet", "direction": "up", "carrier": "POST 2", "packet": '42["a"]'},
        '   4.000 ──▶ POST 2       42["a"]',
    ),
    (
        Packet(4.0, False, "WebSocket 1", "2"),
        {"at": 4.0, "kind": "packet", "direction": "down", "carrier": "WebSocket 1", "packet": "2"},
        "   4.000 ◀── WebSocket 1  2",
    ),
    (
        Failure(5.0, "no", "bad-line", "do it", 3, 7),
        {"at": 5.0, "kind": "error", "cause": "bad-line", "message": "no", "fix": "do it", "line": 3, "column": 7},
        "   5.000 ─── error: line 3, column 7: no — do it",
    ),
    (
        failure(5.0, AckTimeout("x", 2), 4),
        {
            "at": 5.0,
            "kind": "error",
            "cause": "ack-timeout",
            "message": "no acknowledgement of event 'x' within 2 s",
            "fix": "check that the server's handler acknowledges the event, or raise the timeout",
            "line": 4,
            "column": None,
        },
        "   5.000 ─── error: line 4: no acknowledgement of event 'x' within 2 s [ack-timeout, stage namespace]"
        " — check that the server's handler acknowledges the event, or raise the timeout",
    ),
    (
        Closed(6.0, "client close"),
        {"at": 6.0, "kind": "closed", "reason": "client close", "cause": None, "message": None, "unsent": 0},
        "   6.000 ─── closed, client close",
    ),
    (
        Closed(6.0, "transport error", LOST, 2),
        {"at": 6.0, "kind": "closed", "reason": "transport error", "cause": "connection-lost", "message": "gone", "unsent": 2},
        "   6.000 ─── closed, transport error: gone [connection-lost] (2 messages were not sent)",
    ),
]


@pytest.mark.parametrize(("note", "found", "shown"), NOTES)
def test_a_note_is_an_object_and_a_line(note: Note, found: dict[str, Any], shown: str) -> None:
    assert as_object(note, secrets()) == found
    assert line(note) == shown


@pytest.mark.parametrize(
    ("state", "about", "shown"),
    [
        ("connecting", {"url": "http://h"}, "connecting to http://h"),
        (
            "open",
            {"transport": "polling", "sid": "ab…", "ping_interval": 25.0, "ping_timeout": 0.5},
            "open by polling as ab…, ping every 25 s, timeout 0.5 s",
        ),
        ("joined", {"namespace": "/", "sid": "ab…", "recovered": False}, "joined / as ab…"),
        ("joined", {"namespace": "/", "sid": "ab…", "recovered": True}, "joined / as ab…, nothing is missing"),
        ("refused", {"namespace": "/a", "cause": "x", "message": "no"}, "refused /a: no"),
        ("left", {"namespace": "/a", "reason": "io server disconnect"}, "left /a: io server disconnect"),
        ("upgraded", {"transport": "websocket"}, "upgraded to websocket"),
        ("upgrade-failed", {"cause": "x", "message": "no"}, "upgrade failed, going on by polling: no"),
        ("polling-stuck", {"polls": 3}, "polling stuck"),
        (
            "reconnecting",
            {"reason": "ping timeout", "cause": None, "message": None, "attempt": 1, "delay": 0.51},
            "connection lost, try 1 in 0.5 s: ping timeout",
        ),
        ("reconnecting", {"reason": "r", "cause": "c", "message": "gone", "attempt": 1, "delay": 1.0}, "connection lost, try 1 in 1.0 s: gone"),
        (
            "reconnecting",
            {"reason": "r", "cause": "connect-refused", "message": "long", "attempt": 2, "delay": 1.0},
            "no connection, try 2 in 1.0 s: connect-refused",
        ),
        ("reconnected", {"attempts": 2, "recovered": True}, "reconnected at try 2"),
        ("held", {"namespace": "/", "name": "a b"}, '"a b" waits for a connection'),
        ("using", {"namespace": "/a"}, "speaking in /a"),
        ("ping", {}, "ping"),
    ],
)
def test_a_state_is_a_sentence(state: str, about: dict[str, object], shown: str) -> None:
    note = State(1.0, state, about)
    assert line(note)[INDENT:] == shown
    assert as_object(note, secrets()) == {"at": 1.0, "kind": "state", "state": state, **about}


def test_the_status_is_a_column_of_labels() -> None:
    assert line(State(1.0, "status", STATUS)).splitlines() == [
        "   1.000 ─── transport    websocket",
        "session      abcd… for 12.5 s",
        "namespaces   / as efgh…, /admin (not connected)",
        "speaking in  /",
        "round trip   1.2 ms (the probe)",
        "came         events 1, acknowledgements 2, pings 3",
        "sent         events 4, acknowledgements 5",
        "calls        1 without an answer",
        "questions    0 in / (question)",
        "reconnected  2 times",
    ]
    nothing = {**STATUS, "transport": None, "sid": None, "age": None, "namespaces": {}, "rtt": None, "rtt_of": None, "questions": []}
    shown = line(State(1.0, "status", nothing)).splitlines()
    assert [text.split(None, 1)[1] for text in (shown[1], shown[2], shown[8])] == ["none", "none", "none"]
    assert shown[0].endswith("not connected")
    assert shown[4].endswith("not measured yet")


# --- secrets


def test_a_secret_is_hidden_wherever_it_comes_back() -> None:
    secret = 'let "me" in/ü'
    known = secrets(secret)
    args: list[object] = [secret, {"in": [f"a {secret} b"], secret: 1}, secret.encode()]
    notes: list[Note] = [
        Event(0.0, EventReceived(f"/{secret}", secret, args, 1)),
        Sent(0.0, f"/{secret}", secret, args, 1),
        Sent(0.0, f"/{secret}", None, args, 1),
        Ack(0.0, f"/{secret}", 1, args, secret, 0.1),
        Ack(0.0, f"/{secret}", 1, args),
        State(0.0, "refused", {"namespace": f"/{secret}", "message": f"no {secret}"}),
        State(0.0, "status", {**STATUS, "namespaces": {f"/{secret}": "x"}, "questions": [{"namespace": f"/{secret}", "id": 1, "name": secret}]}),
        Packet(0.0, True, "POST 1", "42" + json.dumps(["x", secret])),
        Failure(0.0, f"no {secret}", detail=f"no {secret} [x]"),
        Closed(0.0, "transport error", TransportClosed(f"gone {secret}", cause=Cause.CONNECTION_LOST)),
        Text(f"emit {secret}"),
    ]
    for note in notes:
        shown = line(note, secret) + json.dumps(as_object(note, known)) + json.dumps(as_object(note, known), ensure_ascii=False)
        for form in ("let ", "in/", "ü", "\\u00fc", secret.encode().hex()):
            assert form not in shown, (note, shown)
        assert "<redacted>" in shown


def test_a_secret_that_is_a_word_of_ours_breaks_no_object() -> None:
    found = as_object(Event(0.0, EventReceived("/", "event", ["kind"])), secrets("event", "kind", "name"))
    assert found == {"at": 0.0, "kind": "event", "namespace": "/", "name": "<redacted>", "args": ["<redacted>"]}


# --- what terminals and JSON cannot take


def test_the_server_cannot_command_the_terminal() -> None:
    evil = "a\x1b[2J\x9b\x07\r\n\u202eb\ud800"
    for note in (
        Event(0.0, EventReceived(evil, evil, [evil, {evil: evil}])),
        Ack(0.0, evil, 1, [evil], evil, 1.0),
        State(0.0, "refused", {"namespace": evil, "message": evil}),
        Failure(0.0, evil),
        Closed(0.0, evil),
        Packet(0.0, False, "GET 1", evil),
    ):
        assert line(note).isprintable(), note
    assert harmless("grüße 你好 👍") == "grüße 你好 👍"
    assert harmless("a\nb\x7f") == "a\\nb\\x7f"


def test_every_value_of_the_msgpack_parser_has_a_form_in_json() -> None:
    values = [float("nan"), float("inf"), float("-inf"), datetime(2024, 1, 2, tzinfo=UTC), Ext(5, b"x"), (1, b""), 2**64]
    found = json.dumps(plain(values, secrets()))
    assert json.loads(found, parse_constant=lambda name: pytest.fail(name))[:4] == ["NaN", "Infinity", "-Infinity", "2024-01-02 00:00:00+00:00"]
    assert line(Event(0.0, EventReceived("/", "x", values)))


def test_long_bytes_are_whole_for_programs_and_a_head_for_people() -> None:
    data = bytes(range(100))
    note = Event(0.0, EventReceived("/", "x", [data]))
    found = as_object(note, secrets())
    assert found is not None
    assert found["args"] == [{"$hex": data.hex()}]
    assert line(note)[INDENT:] == 'x {"$hex":"000102030405060708090a0b0c0d0e0f…","bytes":100}'


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.000123, 0.0123, 0.5, 1.5, 75.0)] == ["0.123 ms", "12.3 ms", "500 ms", "1.5 s", "75 s"]


# --- how it is laid out


def rendered(note: Note, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False, legacy_windows=False)
    return laid_out(as_line(note, secrets()), INDENT, console).plain.split("\n")


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_line_is_broken_where_its_text_begins(width: int) -> None:
    shown = rendered(Event(1.0, EventReceived("/", "chat", ["word " * 40, "x" * 150, "你" * 60])), width)
    assert len(shown) > 3
    assert shown[0].startswith("   1.000 ◀── chat ")
    assert all(text[:INDENT].isspace() for text in shown[1:])
    console = Console(width=width)
    assert all(console.measure(text).maximum <= width for text in shown)


def test_a_status_keeps_its_column() -> None:
    shown = rendered(State(1.0, "status", STATUS), 80)
    assert {text[INDENT : INDENT + 13].rstrip() for text in shown} >= {"transport", "session", "round trip", "reconnected"}


def test_a_very_long_line_is_cut_and_says_so() -> None:
    shown = "".join(rendered(Event(1.0, EventReceived("/", "chat", ["x" * 100_000])), 80))
    assert len(shown) < 2 * MAX_SHOWN
    assert "characters; --json shows them all)" in " ".join(shown.split())


def test_a_terminal_too_narrow_for_columns_breaks_lines_itself() -> None:
    assert len(rendered(Event(1.0, EventReceived("/", "chat", ["x" * 100])), 20)) == 1


def test_scripts_have_their_errors_apart(capsys: pytest.CaptureFixture[str]) -> None:
    screen = TextScreen(secrets(), by_hand=False)
    screen(Failure(1.0, "no", line=2))
    screen(Event(1.0, EventReceived("/", "chat", ["x" * 5000])))
    screen(State(1.0, "status", STATUS))
    out, errors = capsys.readouterr()
    assert errors == "error: line 2: no\n"
    lines = out.splitlines()
    assert lines[0] == f'   1.000 ◀── chat "{"x" * 5000}"'
    assert lines[2].startswith(" " * INDENT + "session")
    TextScreen(secrets(), by_hand=True)(Failure(1.0, "no"))
    assert capsys.readouterr() == ("   1.000 ─── error: no\n", "")


def test_programs_get_objects_and_nothing_else_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    screen = JSONScreen(secrets())
    screen(Text("help"))
    screen(Failure(1.0, "no"))
    screen(Event(1.0, EventReceived("/", "chat\ud800", ["ü"])))
    out, errors = capsys.readouterr()
    assert [json.loads(each)["kind"] for each in out.splitlines()] == ["error", "event"]
    assert out.isascii()
    assert errors == "help\nerror: no\n"


def test_a_terminal_that_knows_no_arrows_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "ascii"))
    TextScreen(secrets(), by_hand=True)(Event(1.0, EventReceived("/", "grüße", [], 1)))
    assert written.getvalue() == b"   1.000 <-- gr\\xfc\\xdfe  asks: ack 1 ...\n"
    assert is_spelled("▶", "utf-8")
    assert not is_spelled("▶", "latin-1")


def test_an_error_line_has_no_time() -> None:
    assert "".join(text for _, text in error_line(Failure(9.0, "no", fix="x"), secrets())) == "error: no — x"
