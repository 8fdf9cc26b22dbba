"""What a command line that asks a chat service needs, whichever service it is: reading the question, printing the answer, exit codes.

The text goes to standard output and everything about it (errors, thoughts, notes) to standard error, so that a pipe carries the answer and nothing
else. What a service says is not trusted with the terminal: control characters are shown as their pictures there, since an answer has no business
moving the cursor.

A command takes `output_options`, makes its printer with `make_printer`, and asks and prints inside `conversation`, which words every error and ends
the process with the exit code for it. This needs click, which comes with the ``cli`` extra, so nothing else in this package imports it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Any, TextIO, TypeVar

import click
import msgspec

from chat_answers.completion import Completion
from chat_answers.exceptions import (
    ChatError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MessageError,
    Phase,
    ResponseTimeout,
    TruncatedAnswer,
)
from chat_answers.parts import JSON, Citations, Finish, Part, RawChunk, ReasoningDelta, TextDelta, TextReset, ToolCall, Usage
from chat_answers.process import FAILED, INTERRUPTED, USAGE, standard_input
from chat_answers.providers import name_source

UNREACHABLE = 3
LOST = 4

EXIT_CODES = """\b
Exit codes: 0 answered; 1 the answer failed: the service said so, or what
came cannot be understood or is not complete, or the output went nowhere;
2 called wrongly; 3 no connection, or refused; 4 a time limit, or the
connection was lost in the middle; 130 interrupted.
"""
"""For the end of a command's help."""

ORDINARY_ENDS = ("stop", "tool_calls")
"""Reasons to finish that need no remark."""

# Each control character but tab and newline to its picture. Those of Latin-1, among them another way to begin a command to the terminal, have none.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)

Command = TypeVar("Command", bound=Callable[..., Any])


def exit_code(error: ChatError, refusals: Collection[str] = (), misuses: Collection[str] = ()) -> int:
    """The exit code for an error: what failed, as far as a script would act on it.

    `refusals` are the causes with which a service lets nobody in, `misuses` those with which a file that was named cannot be used.
    """
    match error:
        case ConfigurationError() | MessageError():
            return USAGE
        case ConnectFailed() | ResponseTimeout(phase=Phase.CONNECT):
            return UNREACHABLE
        case TruncatedAnswer():
            return FAILED
        case ResponseTimeout() | ConnectionLost():
            return LOST
        case _:
            return UNREACHABLE if error.cause in refusals else USAGE if error.cause in misuses else FAILED


# ------------------------------------------------------------------------------------------------------------------------------- what is asked


def output_options(command: Command) -> Command:
    """Give a command the options `stream`, `as_json`, `raw` and `think`, which are the arguments of `make_printer`."""
    for option in (
        click.option("--think/--no-think", default=None, help="Tell thoughts from text: show them on standard error, or not at all."),
        click.option("--raw", is_flag=True, help="Print what the service sends, as it came: one JSON value a line."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each part of the answer, and for an error."),
        click.option("--stream/--no-stream", default=True, help="Print text as it comes (the default), or all of it once it is complete."),
    ):
        command = option(command)
    return command


def read_question(words: tuple[str, ...]) -> str:
    """Join the words of a question, or read it from standard input if there are none or only ``-``.

    Raises `click.UsageError` if there is none, and `InputLost`.
    """
    question = " ".join(words)
    if words in {(), ("-",)}:
        if (not words and is_terminal(sys.stdin)) or sys.stdin is None:
            raise click.UsageError("Give a question, or pipe one in.")
        source = standard_input()
        assert isinstance(source, io.BufferedIOBase)
        try:
            # Piece by piece, since Python notices Ctrl-C between two reads but not within one.
            question = b"".join(iter(lambda: source.read1(65536), b"")).decode().strip()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8: {error}") from error
    if not question.strip():
        raise click.UsageError("The question is empty.")
    return question


@contextlib.contextmanager
def conversation(printer: Printer, refusals: Collection[str] = (), misuses: Collection[str] = ()) -> Iterator[None]:
    """Ask and print in this block: it ends the process with an `exit_code` if anything goes wrong or somebody presses Ctrl-C."""
    try:
        yield
    except ChatError as error:
        printer.error(error)
        sys.exit(exit_code(error, refusals, misuses))
    except KeyboardInterrupt:
        # asyncio.run has cancelled what it ran, and waited for it to leave.
        click.echo(err=True)
        sys.exit(INTERRUPTED)


# ---------------------------------------------------------------------------------------------------------------------------- what is answered


def make_printer(*, as_json: bool = False, raw: bool = False, stream: bool = True, think: bool | None = None) -> Printer:
    """Make the printer that the options ask for; raises `click.UsageError` where they contradict each other."""
    if raw and (as_json or not stream or think is not None):
        raise click.UsageError("--raw prints what comes as it is: it goes with none of --json, --no-stream, --think and --no-think.")
    return JSONPrinter(think) if as_json else TextPrinter(think)


class Printer(ABC):
    """How an answer is shown: `part` by part and then `end`, or whole by `completion`.

    `think` is whether to show thoughts; None leaves it to the printer, since nobody asked to have them told from the text.
    """

    def __init__(self, think: bool | None = None) -> None:
        self.think = think
        if isinstance(sys.stdout, io.TextIOWrapper):
            # JSON can carry half a surrogate pair, and a terminal may know no more than ASCII: neither is worth losing the answer for.
            sys.stdout.reconfigure(errors="backslashreplace")

    @abstractmethod
    def part(self, part: Part) -> None:
        """Show one part of the answer."""

    @abstractmethod
    def end(self) -> None:
        """Show what comes after the last part."""

    @abstractmethod
    def completion(self, whole: Completion) -> None:
        """Show an answer that came whole, or was waited for."""

    def raw(self, value: JSON) -> None:
        """Show what a service sent, as one line of JSON; bytes in it as hexadecimal text."""
        # The standard library, because it escapes what is not ASCII, half surrogate pairs included: any terminal and any reader takes that.
        print(json.dumps(value, default=bytes.hex), flush=True)

    def error(self, error: ChatError) -> None:
        """Show an error: one line on standard error, with the cause and what usually mends it."""
        message = " ".join(harmless(f"{error.message} [{error.cause}]").split())
        fix = style(f" — {error.fix}", sys.stderr, dim=True) if error.fix else ""
        click.echo(f"{style('error:', sys.stderr, fg='red', bold=True)} {message}{fix}", err=True)


class JSONPrinter(Printer):
    """One object a line: the parts as they come, or the whole, and an error as the last one."""

    def part(self, part: Part) -> None:
        if self.think is not False or not isinstance(part, ReasoningDelta):
            self.raw(msgspec.to_builtins(part))

    def end(self) -> None:
        """Nothing is left to say."""

    def completion(self, whole: Completion) -> None:
        if self.think is False:
            choices = tuple(msgspec.structs.replace(choice, reasoning="") for choice in whole.choices)
            whole = msgspec.structs.replace(whole, choices=choices)
        self.raw({"type": "completion", **msgspec.to_builtins(whole)})

    def error(self, error: ChatError) -> None:
        self.raw({"type": "error", "cause": error.cause, "message": error.message, "fix": error.fix, "partial": error.partial})
        super().error(error)


class TextPrinter(Printer):
    """Text as it comes, the sources at the end. Several answers are shown one after the other: what belongs to a later one waits for its turn."""

    def __init__(self, think: bool | None = None) -> None:
        super().__init__(think)
        self._current: int | None = None
        self._begun = 0
        self._waiting: dict[int, list[Any]] = {}
        self._in_line = False
        self._thinking = False
        self._sources: tuple[JSON, ...] = ()
        self._usage: Usage | None = None

    def part(self, part: Part) -> None:
        match part:
            case Citations(items):
                self._sources = items
            case Usage():
                self._usage = part
            case RawChunk():
                pass  # who asks for it prints it by `raw`
            case _:
                self._waiting.setdefault(part.index, []).append(part)
                self._show_waiting()

    def completion(self, whole: Completion) -> None:
        for index, choice in enumerate(whole.choices):
            if choice.reasoning:
                self.part(ReasoningDelta(choice.reasoning, index))
            if choice.text:
                self.part(TextDelta(choice.text, index))
            for call in choice.tool_calls:
                self.part(msgspec.structs.replace(call, index=index))
            self.part(Finish(choice.finish_reason or "stop", index))
        self.part(Citations(whole.citations))
        self._usage = whole.usage
        self.end()

    def end(self) -> None:
        self._show_rest()
        for number, source in enumerate(self._sources, 1):
            line = " ".join(f"[{number}] {harmless(name_source(source))}".split())
            self._write(("\n" if number == 1 else "") + style(line, sys.stdout, dim=True) + "\n", harmful=False)
        if self._usage is not None and is_terminal(sys.stderr):
            self._note(f"tokens: {_count(self._usage.prompt_tokens)} asked, {_count(self._usage.completion_tokens)} answered")

    def error(self, error: ChatError) -> None:
        self._show_rest()
        super().error(error)

    def _show_waiting(self) -> None:
        """Show what belongs to the current answer, and if that is over, begin with the next one that has come."""
        while self._waiting:
            if self._current is None:
                self._begin(min(self._waiting))
            assert self._current is not None
            parts = self._waiting.pop(self._current, ())
            for part in parts:
                self._show(part)
            if not parts or not isinstance(parts[-1], Finish):
                return
            self._current = None

    def _show_rest(self) -> None:
        """Show what came of answers that were not ended, each for itself."""
        while self._waiting:
            self._current = None
            self._show_waiting()
        self._end_lines()

    def _begin(self, index: int) -> None:
        self._end_lines()
        self._current = index
        self._begun += 1
        if self._begun > 1:
            self._write("\n")
            self._note(f"answer {index + 1}:")

    def _show(self, part: Any) -> None:
        match part:
            case TextDelta(text):
                self._end_thought()
                self._write(text)
            case TextReset(text):
                # What is printed cannot be taken back; who needs the text alone takes --no-stream or --json.
                self._end_lines()
                self._note("the service rewrote its answer; from the beginning:")
                self._write(text)
            case ReasoningDelta(text):
                self._think(text)
            case ToolCall():
                self._end_lines()
                self._write(f"{part.name or 'a tool'}({part.arguments})\n")
            case Finish(reason):
                self._end_lines()
                if reason not in ORDINARY_ENDS:
                    self._note(f"the answer ended with: {reason}")

    def _think(self, text: str) -> None:
        if self.think:
            self._end_text()
            shown = harmless(text) if is_terminal(sys.stderr) else text
            _print(style(shown, sys.stderr, dim=True), sys.stderr)
            self._thinking = not text.endswith("\n")

    def _write(self, text: str, *, harmful: bool = True) -> None:
        _print(harmless(text) if harmful and is_terminal(sys.stdout) else text, sys.stdout)
        if text:
            self._in_line = not text.endswith("\n")

    def _note(self, words: str) -> None:
        _print(style(f"({harmless(words)})", sys.stderr, dim=True) + "\n", sys.stderr)

    def _end_text(self) -> None:
        if self._in_line:
            self._write("\n")

    def _end_thought(self) -> None:
        if self._thinking:
            _print("\n", sys.stderr)
            self._thinking = False

    def _end_lines(self) -> None:
        self._end_text()
        self._end_thought()


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


# ------------------------------------------------------------------------------------------------------------------------------- the terminal


def harmless(text: str) -> str:
    """Show control characters as their pictures, but for tab and newline."""
    return text.translate(_PICTURES)


def style(text: str, stream: TextIO | None, **styles: Any) -> str:
    """Colour a text as `click.style` does, if the stream is a terminal and nobody has asked for plain text."""
    # click takes colours out where there is no terminal, but knows nothing of https://no-color.org.
    return click.style(text, **styles) if is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at the stream, or types into it."""
    # Python has None for a stream that was closed before it started, as in `command <&-`.
    return stream is not None and stream.isatty()


def _print(text: str, stream: TextIO | None) -> None:
    # Not click.echo, which takes escape sequences out of what goes into a pipe: that is not ours to change.
    if stream is not None:
        print(text, end="", flush=True, file=stream)
