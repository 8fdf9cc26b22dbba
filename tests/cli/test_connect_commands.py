"""Lines that may be typed at `engineio-lite connect`: what they say, where they are wrong, how they are completed, and which are not kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.cli._connect_commands import (
    COMMANDS,
    HELP,
    Answer,
    Command,
    Emit,
    FromFile,
    Help,
    History,
    Join,
    Leave,
    LineFault,
    Quit,
    Sleep,
    Status,
    Use,
    Wait,
    Watch,
    completions,
    is_private,
    name_as_typed,
    names_a_secret,
    parse_line,
    parse_object,
)
from engineio_lite.cli.connect import command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("emit hello", Emit("hello")),
        ('emit hello 1 "two" [3,{"four":null}] true', Emit("hello", (1, "two", [3, {"four": None}], True))),
        ("  emit\thello \t 1.5e3  ", Emit("hello", (1500.0,))),
        ('emit "new message" "x"', Emit("new message", ("x",))),
        ('emit ""', Emit("")),
        ("emit a-b:c.d", Emit("a-b:c.d")),
        ('call ask {"a": "b c"}', Emit("ask", ({"a": "b c"},), call=True)),
        ('call ask @photo.png 1 @"my photo.png"', Emit("ask", (FromFile("photo.png"), 1, FromFile("my photo.png")), call=True)),
        ("binary up @a.bin", Emit("up", (FromFile("a.bin"),))),
        ("binary up @a.bin 1 @b.bin", Emit("up", (FromFile("a.bin"), 1, FromFile("b.bin")))),
        ('emit up {"$hex": "00ff"} [{"deep": {"$hex": ""}}]', Emit("up", (b"\x00\xff", [{"deep": b""}]))),
        ('emit up {"$hex": 5} {"$hex": "00", "more": 1}', Emit("up", ({"$hex": 5}, {"$hex": "00", "more": 1}))),
        ("ack 7", Answer(7)),
        ('ack 0 "yes" null', Answer(0, ("yes", None))),
        ("ack first 1", Answer(None, (1,))),
        ("join /admin", Join("/admin")),
        ("join admin", Join("/admin")),
        ('join /admin {"token": "x"}', Join("/admin", {"token": "x"})),
        ("join /admin @auth.json", Join("/admin", FromFile("auth.json"))),
        ("leave", Leave()),
        ("leave admin", Leave("/admin")),
        ("use /", Use("/")),
        ("use admin", Use("/admin")),
        ("raw on", Watch("raw", True)),
        ("raw off", Watch("raw", False)),
        ("pings on", Watch("pings", True)),
        ("wait done", Wait("done")),
        ('wait "all done" 2.5', Wait("all done", 2.5)),
        ("sleep 0", Sleep(0.0)),
        ("status", Status()),
        ("history", History()),
        ("help", Help()),
        ("quit\r\n", Quit()),
        ("", None),
        (" \t ", None),
        ("# emit x", None),
        ("  # emit x", None),
    ],
)
def test_a_line_is_a_command(line: str, command: Command | None) -> None:
    assert parse_line(line) == command


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("frob", 1, "expected a command, got 'frob'"),
        ("  Emit x", 3, "expected a command, got 'Emit'"),
        ("emit", 5, "expected the name of an event, got nothing"),
        ('emit "x', 6, "expected JSON: unterminated string starting at"),
        ("emit x {bad}", 9, "expected JSON: expecting property name enclosed in double quotes"),
        ('emit x {"a": 1,}', 16, "expected JSON: "),
        ("emit x hello", 8, "expected JSON: expecting value"),
        ("emit x [1, 2", 13, "expected JSON: expecting ',' delimiter"),
        ('emit x 1 "grüße" ]', 18, "expected JSON: expecting value"),
        ("emit x NaN", 8, "expected JSON: NaN is no JSON"),
        ("emit x [-Infinity]", 8, "expected JSON: -Infinity is no JSON"),
        ("emit x 1" + "0" * 5000, 8, "expected JSON: Exceeds the limit"),
        ("emit x " + "[" * 200_000, 8, "expected less nesting"),
        ('emit x 1"a"', 9, "expected a blank between two values, got '\"'"),
        ('emit x {"$hex": "0"}', 8, "expected JSON: "),
        ("emit x @", 8, "expected the path of a file after @"),
        ("emit x @ 1", 8, "expected the path of a file after @"),
        ("binary x", 9, "expected @ and the path of a file, got nothing"),
        ("binary x photo.png", 10, "expected @ and the path of a file"),
        ("ack", 4, "expected the number of a question, or first, got nothing"),
        ("ack x", 5, "expected the number of a question, or first, got 'x'"),
        ("ack -1", 5, "expected the number of a question, or first, got '-1'"),
        ("ack ٣", 5, "expected the number of a question, or first, got '٣'"),
        ("ack 1 x", 7, "expected JSON: expecting value"),
        ("join", 5, "expected a namespace such as /admin, got nothing"),
        ("join /x [1]", 9, "expected a JSON object, or @ and the path of a file with one"),
        ("join /x {} {}", 12, "expected the end of the line"),
        ("leave /a /b", 10, "expected the end of the line"),
        ("use", 4, "expected a namespace such as /admin, got nothing"),
        ("use /a b", 8, "expected the end of the line"),
        ("wait", 5, "expected the name of an event, got nothing"),
        ("wait x soon", 8, "expected seconds, a number from 0 up, got 'soon'"),
        ("wait x -1", 8, "expected seconds, a number from 0 up, got '-1'"),
        ("wait x nan", 8, "expected seconds, a number from 0 up, got 'nan'"),
        ("wait x inf", 8, "expected seconds, a number from 0 up, got 'inf'"),
        ("wait x 1 2", 10, "expected the end of the line"),
        ("sleep", 6, "expected seconds, got nothing"),
        ("sleep 1 2", 9, "expected the end of the line"),
        ("raw", 4, "expected on or off, got nothing"),
        ("raw yes", 5, "expected on or off, got 'yes'"),
        ("pings on off", 10, "expected the end of the line"),
        ("status now", 8, "expected the end of the line"),
    ],
)
def test_a_fault_has_a_place(line: str, column: int, message: str) -> None:
    with pytest.raises(LineFault) as caught:
        parse_line(line)
    assert caught.value.message.startswith(message)
    assert caught.value.column == column


def test_a_bare_word_where_json_belongs_is_explained() -> None:
    with pytest.raises(LineFault) as caught:
        parse_line("emit chat hello")
    assert caught.value.fix == 'put text in quotes: "text"'


def test_a_fault_does_not_repeat_what_was_typed_in_a_value() -> None:
    with pytest.raises(LineFault) as caught:
        parse_line('join /admin {"token": "letmein", oops}')
    assert "letmein" not in f"{caught.value.message} {caught.value.fix}"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text().filter(lambda key: key != "$hex"), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.lists(_JSON, max_size=4))
def test_what_is_written_as_json_is_read_as_it_was(name: str, values: list[object]) -> None:
    line = " ".join(["emit", name_as_typed(name), *(json.dumps(value) for value in values)])
    assert parse_line(line) == Emit(name, tuple(values))


@given(st.text() | st.builds("{} {}".format, st.sampled_from(sorted(COMMANDS)), st.text()))
def test_whatever_is_typed_is_a_command_or_a_fault_in_the_line(line: str) -> None:
    column = 1
    try:
        parse_line(line)
    except LineFault as fault:
        column = fault.column
    assert 1 <= column <= len(line) + 1


def test_an_auth_payload_is_an_object() -> None:
    assert parse_object(' {"a":\n [1]}\n') == {"a": [1]}
    for text, column in [("[1]", 1), ('{"a" 1}', 6), ("{} x", 3), ("", 1), ('{"a": NaN}', 1), ('{"$hex": "00"}', 1)]:
        with pytest.raises(LineFault) as caught:
            parse_object(text)
        assert caught.value.column == column, text


# --- the help and the completion


def test_the_help_lists_every_command_and_fits_on_80_columns() -> None:
    lines = HELP.splitlines()
    assert [line.split()[0] for line in lines[: len(COMMANDS)]] == list(COMMANDS)
    assert max(map(len, lines)) <= 80


CANDIDATES = {"event": ["chat", "chat:new", "new message"], "namespace": ["/", "/admin"], "question": ["first", "3"]}


@pytest.mark.parametrize(
    ("before", "words", "replaced"),
    [
        ("", sorted(COMMANDS), 0),
        ("st", ["status"], 2),
        ("  em", ["emit"], 2),
        ("nothing", [], 7),
        ("emit ", ['"new message"', "chat", "chat:new"], 0),
        ("call chat:", ["chat:new"], 5),
        ("wait c", ["chat", "chat:new"], 1),
        ("binary c", ["chat", "chat:new"], 1),
        ('emit "n', ['"new message"'], 2),
        ("emit chat ", [], 0),
        ("use /a", ["/admin"], 2),
        ("use ad", ["admin"], 2),
        ("leave ", ["/", "admin"], 0),
        ("ack ", ["3", "first"], 0),
        ("raw o", ["off", "on"], 1),
        ("sleep ", [], 0),
        ("frob ", [], 0),
    ],
)
def test_tab_completes(before: str, words: list[str], replaced: int) -> None:
    assert completions(before, CANDIDATES) == (words, replaced)


# --- what is not kept


@pytest.mark.parametrize(
    "line",
    [
        'join /admin {"x": "y"}',
        'join   admin   {"x": 1}',
        'emit login {"password": "x"}',
        'emit login {"apiKey": "x"}',
        "call auth 1",
        'emit x "eyJhbGciOi.eyJ.x"',
        " emit x",
        "\temit x",
    ],
)
def test_a_line_that_may_hold_a_secret_is_private(line: str) -> None:
    assert is_private(line)


@pytest.mark.parametrize("line", ["join /admin", "join /admin @file.json", 'emit chat "hello"', "status", 'emit author "x"'])
def test_another_line_is_not(line: str) -> None:
    assert not is_private(line)


def test_secrets_are_known_by_their_names() -> None:
    assert all(map(names_a_secret, ["Authorization", "Cookie", "x-api-key", "X-Auth-Token", "access_token", "PASSWORD", "session"]))
    assert not any(map(names_a_secret, ["Accept", "User-Agent", "author", "room", "x-request-id"]))


# --- the page about it


def test_the_page_knows_every_command_and_option() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "connect.md").read_text(encoding="utf-8")
    for name, known in COMMANDS.items():
        assert f"`{name}" in page, name
        assert known.first == "switch" or f"`{name} {known.takes}".rstrip().partition("|")[0].partition(" …")[0] in page, name
    options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts) if option.startswith("--")]
    assert len(options) > 10
    assert [option for option in options if f"`{option}" not in page and option != "--help"] == []
