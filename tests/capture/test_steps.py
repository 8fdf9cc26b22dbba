"""Steps are the lines of a capture as people see them: numbered, paired, in words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import UNSET

from engineio_lite.capture.lines import Direction, Door, Head, HttpAnswer, Line, Note, SessionEnded, SessionOpened, SocketChanged, Undecoded
from engineio_lite.capture.steps import Step, StepKind, StepReader, read_steps
from engineio_lite.state import Transport
from tests.capture.lines_made import POLLING, TROUBLED, UPGRADED, WEBSOCKET, down, engine, many, opened, up


def _pairs(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Which step answers which, in the numbers of both; checks that both say the same."""
    steps = {step.number: step for step in read_steps(lines)}
    pairs = [(step.number, step.answers) for step in steps.values() if step.answers is not None]
    assert pairs == sorted((step.answered_by, step.number) for step in steps.values() if step.answered_by is not None)
    for answer, question in pairs:
        assert steps[answer].latency == steps[question].latency
    return pairs


# --- What is a step.


def test_every_line_worth_seeing_is_a_step_in_its_order() -> None:
    steps = read_steps(UPGRADED)
    assert [step.number for step in steps] == list(range(1, len(UPGRADED) + 1))
    assert [step.time for step in steps] == [line.time for line in UPGRADED if not isinstance(line, Head | Door) and hasattr(line, "time")]
    assert [step.packet for step in steps][:11] == [
        "open",
        "CONNECT",
        "websocket open",
        "ping",
        "CONNECT",
        "pong",
        "CONNECT",
        "CONNECT_ERROR",
        "noop",
        "upgrade",
        "EVENT",
    ]


def test_the_head_and_the_wire_are_no_steps() -> None:
    assert read_steps([Head(), Door(session=1, url="http://a/", transports=("polling",)), opened()]) == read_steps([opened()])


def test_a_packet_is_told_whole() -> None:
    data = ["blob", {"deep": [b"abc"], "name": "x"}, b""]
    [step] = read_steps([up(0.5, "EVENT", data, namespace="/files", id=3, session=2, transport=POLLING)])
    assert step == Step(
        number=1,
        session=2,
        time=0.5,
        kind=StepKind.PACKET,
        direction=Direction.UP,
        transport=Transport.POLLING,
        packet="EVENT",
        namespace="/files",
        id=3,
        data=data,
        event="blob",
        attachments=(b"abc", b""),
    )


@pytest.mark.parametrize(("binary", "plain"), [("BINARY_EVENT", "EVENT"), ("BINARY_ACK", "ACK")])
def test_a_packet_with_attachments_has_the_name_of_one_without(binary: str, plain: str) -> None:
    [step] = read_steps([up(0.0, binary, ["a", b"x"], id=1)])
    assert step.packet == plain


@pytest.mark.parametrize(("data", "name"), [(["a", 1], "a"), ([7], "7"), ([1.5, 2], "1.5"), ([], None), (UNSET, None), ({"a": 1}, None)])
def test_an_event_is_known_by_its_name(data: object, name: str | None) -> None:
    [step] = read_steps([up(0.0, "EVENT", data)])
    assert step.event == name


# --- What answers what.


def test_answers_are_paired_with_what_they_answer() -> None:
    assert _pairs(UPGRADED) == [(5, 2), (8, 7), (14, 11), (16, 15), (18, 17)]
    steps = read_steps(UPGRADED)
    assert steps[13].latency == pytest.approx(0.047)
    assert [steps[number - 1].event for number in (14, 16, 18)] == ["labs", "blob", "question"]


@pytest.mark.parametrize(
    ("lines", "pairs"),
    [
        # The other direction only, and each question once.
        ([up(0, "EVENT", ["a"], id=0), up(1, "ACK", [], id=0), down(2, "ACK", [], id=0), down(3, "ACK", [], id=0)], [(3, 1)]),
        # Both sides count for themselves.
        ([up(0, "EVENT", ["a"], id=0), down(1, "EVENT", ["b"], id=0), up(2, "ACK", [], id=0), down(3, "ACK", [], id=0)], [(3, 2), (4, 1)]),
        # Sessions and namespaces do, too.
        ([up(0, "EVENT", ["a"], id=0), down(1, "ACK", [], id=0, namespace="/x"), down(2, "ACK", [], id=0, session=2)], []),
        # Of two with the same id the latest.
        ([up(0, "EVENT", ["a"], id=0), up(1, "EVENT", ["a"], id=0), down(2, "ACK", [], id=0), down(3, "ACK", [], id=0)], [(3, 2)]),
        ([up(0, "EVENT", ["a"]), down(1, "ACK", [], id=0)], []),
        # A namespace is granted or refused, more than once where it is joined again.
        ([up(0, "CONNECT"), down(1, "CONNECT"), up(2, "CONNECT"), down(3, "CONNECT_ERROR", "no"), down(4, "CONNECT")], [(2, 1), (4, 3)]),
        ([down(0, "CONNECT"), up(1, "CONNECT")], []),
    ],
)
def test_an_answer_belongs_to_one_question(lines: Sequence[Line], pairs: list[tuple[int, int]]) -> None:
    assert _pairs(lines) == pairs


def test_a_latency_needs_both_times() -> None:
    for first, second in [(None, 1.0), (0.0, None)]:
        steps = read_steps([up(first, "EVENT", ["a"], id=0), down(second, "ACK", [], id=0)])
        assert (steps[1].answers, steps[1].latency) == (1, None)


def test_a_reader_that_does_not_wait_knows_the_same_but_what_comes_later() -> None:
    reader = StepReader()
    eager = [reader.read(line) for line in UPGRADED]
    for now, later in zip(eager, read_steps(UPGRADED), strict=True):
        assert now is not None
        assert (now.number, now.answers, now.text, now.event) == (later.number, later.answers, later.text, later.event)
        assert now.answered_by is None


def test_ten_thousand_lines_are_ten_thousand_steps() -> None:
    steps = read_steps(many(10_000))
    assert len(steps) == 10_000
    assert sum(step.answers is not None for step in steps) == 499 + 1


# --- In words.


@pytest.mark.parametrize(
    ("line", "kind", "packet", "text", "is_error"),
    [
        (opened(), "open", "open", "http://chat.example/socket.io/ · begins on polling · ping every 25 s, timeout 20 s", False),
        (
            SessionOpened(session=2, transport=WEBSOCKET, again=1, eio=3, handshake={"pingInterval": "x"}),
            "open",
            "open",
            "begins on websocket · follows session 1 after a reconnect · Engine.IO 3",
            False,
        ),
        (engine("up", 0, "ping", "probe"), "engine", "ping", "can you hear me?", False),
        (engine("down", 0, "ping"), "engine", "ping", "", False),
        (engine("up", 0, "upgrade"), "engine", "upgrade", "from here on by WebSocket", False),
        (SocketChanged(session=1, change="open"), "socket", "websocket open", "WebSocket opened", False),
        (SocketChanged(session=1, change="closed"), "socket", "websocket closed", "WebSocket closed", False),
        (
            SocketChanged(session=1, change="closed", by=Direction.UP, code=1000, reason="bye"),
            "socket",
            "websocket closed",
            "WebSocket closed by the client, code 1000, bye",
            False,
        ),
        (
            SocketChanged(session=1, change="closed", by=Direction.DOWN, code=1011),
            "socket",
            "websocket closed",
            "WebSocket closed by the server, code 1011",
            True,
        ),
        (Note(session=1, what="gap", text="a body is missing"), "gap", "gap", "a body is missing", True),
        (Note(session=1, what="guess", text="so it seems"), "note", "guess", "so it seems", False),
        (SessionEnded(session=3), "end", "end", "session 3 ended", False),
        (SessionEnded(session=3, by="server", reason="ping timeout"), "end", "end", "session 3 ended by the server, ping timeout", False),
        (SessionEnded(session=3, by="client", code=1006), "end", "end", "session 3 ended by the client, code 1006", True),
        (HttpAnswer(session=1, method="GET", status=0), "http", "http", "GET was not answered", True),
        (HttpAnswer(session=1, method="POST", status=400, body="no"), "http", "http 400", "POST answered 400: no", True),
        (HttpAnswer(session=1, method="GET", status=204), "http", "http 204", "GET answered 204", False),
    ],
)
def test_what_is_no_packet_is_put_into_words(line: Line, kind: str, packet: str, text: str, is_error: bool) -> None:
    [step] = read_steps([line])
    assert (step.kind, step.packet, step.text, step.is_error) == (kind, packet, text, is_error)


def test_a_refusal_is_an_error_and_an_answer_is_none() -> None:
    assert [step.is_error for step in read_steps(UPGRADED)].count(True) == 1
    assert read_steps(UPGRADED)[7].is_error


def _message(data: str | bytes) -> Undecoded:
    return Undecoded(session=1, direction=Direction.UP, transport=WEBSOCKET, data=data, error="unknown-packet-type")


def test_a_message_that_is_no_socketio_is_an_error_where_socketio_is_spoken() -> None:
    alone, spoken, after = read_steps([_message(b"\x01"), up(0.0, "CONNECT"), _message("4hello")])
    assert (alone.kind, alone.data, alone.attachments, alone.is_error) == ("message", b"\x01", (b"\x01",), False)
    assert spoken.kind == "packet"
    assert (after.data, after.attachments, after.text, after.is_error) == ("4hello", (), "unknown-packet-type", True)


def test_a_troubled_capture_shows_where_the_trouble_is() -> None:
    assert [step.number for step in read_steps(TROUBLED) if step.is_error] == [4, 5, 6, 8, 9, 10]
