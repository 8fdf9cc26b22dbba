"""How an answer looks on a command line, and which exit code an error has. Pipes and terminals are tested with the commands themselves."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from typing import Any

import click
import pytest
from click.testing import CliRunner

from chat_answers import (
    Choice,
    Citations,
    Completion,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Finish,
    MessageError,
    Part,
    Phase,
    ReasoningDelta,
    ResponseError,
    ResponseTimeout,
    ServiceError,
    TextDelta,
    TextReset,
    ToolCall,
    ToolCallDelta,
    TruncatedAnswer,
    UnexpectedResponse,
    Usage,
)
from chat_answers.console import EXIT_CODES, JSONPrinter, Printer, TextPrinter, conversation, exit_code, make_printer, output_options, read_question
from chat_answers.exceptions import ChatError

Captured = pytest.CaptureFixture[str]


def printed(printer: Printer, parts: Sequence[Part], capsys: Captured) -> tuple[str, str]:
    for part in parts:
        printer.part(part)
    printer.end()
    return tuple(capsys.readouterr())  # type: ignore[return-value]


# --------------------------------------------------------------------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServiceError("no"), 1),
        (ServiceError("not you", cause="unauthorized"), 3),
        (UnexpectedResponse("strange"), 1),
        (TruncatedAnswer("cut"), 1),
        (ConfigurationError("no such option"), 2),
        (MessageError("empty"), 2),
        (ConnectFailed("nobody"), 3),
        (ConnectionLost("gone"), 4),
        (ResponseTimeout(Phase.IDLE, 1), 4),
        (ResponseTimeout(Phase.CONNECT, 1), 3),
        (ResponseError("another"), 1),
        (ChatError("another", cause="other"), 1),
    ],
)
def test_the_exit_code_says_what_a_script_would_act_on(error: ChatError, code: int) -> None:
    assert exit_code(error, refusals=["unauthorized"]) == code


# --------------------------------------------------------------------------------------------------------------------------------------------- text


CALL = ToolCall(0, "call-1", "weather", '{"city": "Oslo"}')


@pytest.mark.parametrize(
    ("parts", "out", "err"),
    [
        ([TextDelta("a"), TextDelta(" b"), Finish()], "a b\n", ""),
        ([TextDelta("a\n"), Finish()], "a\n", ""),
        ([Finish()], "", ""),
        # No end, no line end.
        ([TextDelta("a")], "a\n", ""),
        ([TextDelta("a"), TextReset("b"), Finish()], "a\nb\n", "(the service rewrote its answer; from the beginning:)\n"),
        ([TextDelta("a"), Finish("length")], "a\n", "(the answer ended with: length)\n"),
        (
            [Citations(("https://a", {"url": "https://b"}, {"n": 1})), TextDelta("a"), Finish()],
            'a\n\n[1] https://a\n[2] https://b\n[3] {"n":1}\n',
            "",
        ),
        # The last word on the sources, and the usage, may follow the end.
        ([TextDelta("a"), Finish(), Citations(("two\nlines",)), Usage(1, 2, 3)], "a\n\n[1] two lines\n", ""),
        (
            [TextDelta("let me see"), ToolCallDelta(0, "call-1", "weather", '{"ci'), CALL, Finish("tool_calls")],
            'let me see\nweather({"city": "Oslo"})\n',
            "",
        ),
        ([ToolCall(0, None, None, ""), Finish("tool_calls")], "a tool()\n", ""),
        # Several answers, mixed: one after the other.
        (
            [TextDelta("a"), TextDelta("x", 1), TextDelta("b"), Finish(), TextDelta("y", 1), Finish("stop", 1)],
            "ab\n\nxy\n",
            "(answer 2:)\n",
        ),
        (
            [TextDelta("x", 1), TextDelta("p", 2), Finish("stop", 2), TextDelta("a"), Finish("stop", 0), Finish("stop", 1)],
            "x\n\na\n\np\n",
            "(answer 1:)\n(answer 3:)\n",
        ),
        ([TextDelta("a"), TextDelta("x", 1)], "a\n\nx\n", "(answer 2:)\n"),
    ],
)
def test_text(parts: list[Part], out: str, err: str, capsys: Captured) -> None:
    assert printed(TextPrinter(), parts, capsys) == (out, err)


@pytest.mark.parametrize(("think", "err"), [(True, "hm, well\n"), (False, ""), (None, "")])
def test_thoughts_are_shown_on_standard_error_if_they_are_wanted(think: bool | None, err: str, capsys: Captured) -> None:
    parts: list[Part] = [ReasoningDelta("hm,"), ReasoningDelta(" well"), TextDelta("a"), Finish()]
    assert printed(TextPrinter(think), parts, capsys) == ("a\n", err)


def test_a_whole_answer_looks_like_a_streamed_one(capsys: Captured) -> None:
    whole = Completion((Choice("a", "hm", (), "stop"), Choice("b", "", (CALL,), "length")), ("https://a",), Usage(1, 2, 3))
    TextPrinter(think=True).completion(whole)
    out, err = capsys.readouterr()
    assert out == 'a\n\nb\nweather({"city": "Oslo"})\n\n[1] https://a\n'
    assert err == "hm\n(answer 2:)\n(the answer ended with: length)\n"


def test_an_error_comes_after_everything_that_was_said(capsys: Captured) -> None:
    printer = TextPrinter()
    printer.part(TextDelta("a"))
    printer.part(TextDelta("x", 1))
    printer.error(ServiceError("out of\nink \x1b[2J", fix="refill it"))
    out, err = capsys.readouterr()
    assert out == "a\n\nx\n"
    assert err == "(answer 2:)\nerror: out of ink ␛[2J [answer-failed] — refill it\n"


class Terminal(io.StringIO):
    """What somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_more_and_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    monkeypatch.setattr(sys, "stderr", err := Terminal())
    printer = TextPrinter(think=True)
    for part in (ReasoningDelta("h\x1bm"), TextDelta("a\x07\tb"), Finish("\x9b2J"), Citations(("x\x1b",)), Usage(12, None)):
        printer.part(part)
    printer.end()
    assert out.getvalue() == "a␇\tb\n\n\x1b[2m[1] x␛\x1b[0m\n"
    assert err.getvalue() == "\x1b[2mh␛m\x1b[0m\n\x1b[2m(the answer ended with: �2J)\x1b[0m\n\x1b[2m(tokens: 12 asked, ? answered)\x1b[0m\n"


# --------------------------------------------------------------------------------------------------------------------------------------------- JSON


def test_json_is_one_object_a_part(capsys: Captured) -> None:
    out, err = printed(JSONPrinter(), [ReasoningDelta("hm"), TextDelta("да"), CALL, Usage(1), Finish()], capsys)
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["reasoning_delta", "text_delta", "tool_call", "usage", "finish"]
    assert err == ""
    assert out.isascii()
    out, _ = printed(JSONPrinter(think=False), [ReasoningDelta("hm"), TextDelta("a")], capsys)
    assert [json.loads(line) for line in out.splitlines()] == [{"type": "text_delta", "text": "a", "index": 0}]


@pytest.mark.parametrize(("think", "reasoning"), [(None, "hm"), (False, "")])
def test_a_whole_answer_is_one_object(think: bool | None, reasoning: str, capsys: Captured) -> None:
    JSONPrinter(think).completion(Completion((Choice("a", "hm", (), "stop"),), ("https://a",)))
    whole = json.loads(capsys.readouterr().out)
    assert whole == {
        "type": "completion",
        "choices": [{"text": "a", "reasoning": reasoning, "tool_calls": [], "finish_reason": "stop"}],
        "citations": ["https://a"],
        "usage": None,
        "raw": None,
    }


def test_an_error_in_json_is_an_object_and_a_line(capsys: Captured) -> None:
    JSONPrinter().error(ConnectionLost("gone", partial="so far"))
    out, err = capsys.readouterr()
    message = "the connection ended in the middle of the answer: gone"
    assert json.loads(out) == {"type": "error", "cause": "connection-lost", "message": message, "fix": None, "partial": "so far"}
    assert err == f"error: {message} [connection-lost]\n"


def test_what_came_is_printed_as_it_is_with_bytes_as_hexadecimal(capsys: Captured) -> None:
    TextPrinter().raw(["x", {"data": b"\x00\xff", "half": "\ud83d"}])
    assert capsys.readouterr().out == '["x", {"data": "00ff", "half": "\\ud83d"}]\n'


# ------------------------------------------------------------------------------------------------------------------------------ a command made of it


@click.command(epilog=EXIT_CODES)
@click.argument("question", nargs=-1)
@output_options
def ask(question: tuple[str, ...], **output: Any) -> None:
    """Ask nobody: whoever says "fail" or "stop" is answered with that."""
    printer = make_printer(**output)
    with conversation(printer, refusals=["unauthorized"]):
        words = read_question(question)
        printer.part(TextDelta(words))
        if words == "fail":
            raise ServiceError("not you", cause="unauthorized")
        if words == "stop":
            raise KeyboardInterrupt
        printer.part(Finish())
        printer.end()


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "out", "err"),
    [
        (["hi", "there"], "", 0, "hi there\n", ""),
        (["fail"], "", 3, "fail\n", "error: not you [unauthorized]\n"),
        (["stop"], "", 130, "stop", "\n"),
        (["--json", "hi"], "", 0, '{"type": "text_delta", "text": "hi", "index": 0}\n{"type": "finish", "reason": "stop", "index": 0}\n', ""),
    ],
)
def test_a_command(arguments: list[str], typed: str, code: int, out: str, err: str) -> None:
    done = CliRunner().invoke(ask, arguments, input=typed)
    assert (done.exit_code, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("arguments", [["--raw", "--json", "x"], ["--raw", "--no-stream", "x"], ["--raw", "--think", "x"], ["  "]])
def test_a_wrong_call(arguments: list[str]) -> None:
    done = CliRunner().invoke(ask, arguments)
    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_its_help_keeps_the_lines_of_the_exit_codes() -> None:
    assert "answered; 1 the answer failed: the service said so, or what\n" in CliRunner().invoke(ask, ["--help"]).stdout
