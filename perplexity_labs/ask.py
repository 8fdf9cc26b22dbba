"""``perplexity-labs ask``: one question, the answer as it comes.

The text goes to standard output and everything about it (errors, notes) to standard error, so that a pipe carries the answer and nothing else. What
the server says is not trusted with the terminal: control characters are shown as their pictures there, since an answer has no business moving the
cursor.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn, TextIO

import click
import msgspec

from engineio_lite import EngineIOError, LocalProtocolError, Timeouts
from perplexity_labs.client import DEFAULT_URL, URL_VARIABLE, LabsClient
from perplexity_labs.exceptions import ConnectionLost, LabsError, MessageError, ResponseError, ResponseTimeout
from perplexity_labs.messages import DEFAULT_MODEL, JSON, MODELS, Citations, Finish, Part, TextDelta, TextReset
from perplexity_labs.timeouts import Timeout

FAILED = 1
USAGE = 2
UNREACHABLE = 3
LOST = 4
INTERRUPTED = 130

LEAVE = 1.0
"""Seconds for telling a server that we leave: who presses Ctrl-C does not want to wait for one that has stopped listening."""

RETIRED = f"the Labs service is gone: give --url, or set {URL_VARIABLE} (python -m perplexity_labs.loopback is a server to try it on)"

# Each control character but tab and newline to its picture. Those of Latin-1, among them another way to begin a command to the terminal, have none.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """Ask a server that speaks the dialect of the Labs playground.

    The public service is gone. To see it work: python -m perplexity_labs.loopback
    """


@command.command()
@click.argument("question", nargs=-1)
@click.option("--url", envvar=URL_VARIABLE, show_envvar=True, default=DEFAULT_URL, help="Origin of the server. Default: where the service was.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help=f"Passed on as it is; the service had {', '.join(MODELS)}.")
@click.option("--system", metavar="TEXT", help="A system message to go before the question.")
@click.option("--proxy", metavar="URL", help="HTTP proxy for everything, with user and password in it if it wants them.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Limit for the whole. Default: 120 to the first text, then 60 from one reply to the next, 600 in all.",
)
@click.option("--transport", type=click.Choice(["default", "polling", "websocket"]), default="default", help="Default: polling, then an upgrade.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each part of the answer, and for an error.")
def ask(
    question: tuple[str, ...],
    url: str,
    model: str,
    system: str | None,
    proxy: str | None,
    timeout: float | None,
    transport: str,
    as_json: bool,
) -> NoReturn:
    """Ask QUESTION, and print the answer as it comes.

    Without QUESTION, or with "-", the question is read from standard input.

    \b
    Exit codes: 0 answered; 1 the answer failed; 2 called wrongly; 3 no
    connection, or refused; 4 a time limit, or the connection was lost;
    130 interrupted.
    """
    try:
        messages = [{"role": "user", "content": _question(question)}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        limits = Timeout() if timeout is None else Timeout(first_token=None, idle=None, total=timeout)
        transports = ("polling", "websocket") if transport == "default" else (transport,)
        printer = _JSONPrinter() if as_json else _TextPrinter()
        labs = LabsClient(url, timeout=limits, proxy=proxy, transports=transports, timeouts=Timeouts(close=LEAVE))
        sys.exit(asyncio.run(_converse(labs, messages, model, printer)))
    except KeyboardInterrupt:
        # asyncio.run has cancelled the conversation and waited for it to leave.
        click.echo(err=True)
        sys.exit(INTERRUPTED)


def _question(words: tuple[str, ...]) -> str:
    question = " ".join(words)
    if words in {(), ("-",)}:
        if (not words and _is_terminal(sys.stdin)) or sys.stdin is None:
            raise click.UsageError("Give a question, or pipe one in.")
        try:
            # Piece by piece, since Python notices Ctrl-C between two reads but not within one.
            question = b"".join(iter(lambda: os.read(sys.stdin.fileno(), 65536), b"")).decode().strip()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8: {error}") from error
    if not question.strip():
        raise click.UsageError("The question is empty.")
    return question


async def _converse(labs: LabsClient, messages: list[dict[str, str]], model: str, printer: _Printer) -> int:
    """Ask and print; the exit code."""
    try:
        async with labs:
            async for part in labs.stream(messages, model=model):
                printer.part(part)
    except (EngineIOError, LabsError) as error:
        gone = labs.url == DEFAULT_URL and not isinstance(error, LocalProtocolError | LabsError)
        printer.error(error, RETIRED if gone else error.fix)
        return exit_code(error)
    return 0


def exit_code(error: EngineIOError | LabsError) -> int:
    """The exit code for an error: what failed, as far as a script would act on it."""
    match error:
        case MessageError() | LocalProtocolError():
            return USAGE
        case ResponseTimeout() | ConnectionLost():
            return LOST
        case ResponseError():
            return FAILED
        case _:
            return UNREACHABLE


# ------------------------------------------------------------------------------------------------------------------------------------ printing


class _Printer(ABC):
    """How an answer is shown; a base that shows the error, the same for both ways."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # JSON can carry half a surrogate pair, and a terminal may know no more than ASCII: neither is worth losing the answer for.
            sys.stdout.reconfigure(errors="backslashreplace")

    @abstractmethod
    def part(self, part: Part) -> None:
        """Show one part of the answer."""

    def error(self, error: EngineIOError | LabsError, fix: str | None) -> None:
        message = " ".join(_harmless(_describe(error)).split())
        click.echo(
            _style("error:", sys.stderr, fg="red", bold=True) + f" {message}" + (_style(f" — {fix}", sys.stderr, dim=True) if fix else ""), err=True
        )


class _TextPrinter(_Printer):
    """Text as it comes, the sources at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._terminal = _is_terminal(sys.stdout)
        self._in_line = False
        self._sources: tuple[JSON, ...] = ()

    def part(self, part: Part) -> None:
        match part:
            case TextDelta(text):
                self._write(text)
            case TextReset(text):
                # What is printed cannot be taken back; who needs the text alone takes --json.
                self._end_line()
                click.echo(_style("(the server rewrote its answer; from the beginning:)", sys.stderr, dim=True), err=True)
                self._write(text)
            case Citations(items):
                self._sources = items
            case Finish():
                self._end_line()
                self._write_sources()

    def error(self, error: EngineIOError | LabsError, fix: str | None) -> None:
        self._end_line()
        super().error(error, fix)

    def _write(self, text: str) -> None:
        # Not click.echo, which takes escape sequences out of what goes into a pipe: that is not ours to change.
        print(_harmless(text) if self._terminal else text, end="", flush=True)
        self._in_line = self._in_line if not text else not text.endswith("\n")

    def _end_line(self) -> None:
        if self._in_line:
            self._write("\n")

    def _write_sources(self) -> None:
        for number, source in enumerate(self._sources, 1):
            line = " ".join(f"[{number}] {_harmless(_name_source(source))}".split())
            print(("\n" if number == 1 else "") + _style(line, sys.stdout, dim=True), flush=True)


class _JSONPrinter(_Printer):
    """One object a line: the parts as they come, and an error as the last one."""

    def part(self, part: Part) -> None:
        self._write(msgspec.to_builtins(part))

    def error(self, error: EngineIOError | LabsError, fix: str | None) -> None:
        self._write({"type": "error", "cause": str(error.cause), "message": error.message, "fix": fix, "partial": getattr(error, "partial", "")})
        super().error(error, fix)

    def _write(self, value: Any) -> None:
        # The standard library, because it escapes what is not ASCII, half surrogate pairs included: any terminal and any reader takes that.
        print(json.dumps(value), flush=True)


def _describe(error: EngineIOError | LabsError) -> str:
    return str(error) if isinstance(error, EngineIOError) else f"{error.message} [{error.cause}]"


def _name_source(source: JSON) -> str:
    url = source.get("url") if isinstance(source, Mapping) else source
    return url if isinstance(url, str) else json.dumps(source)


def _harmless(text: str) -> str:
    return text.translate(_PICTURES)


def _style(text: str, stream: TextIO, **style: Any) -> str:
    # click takes colours out where there is no terminal, but knows nothing of https://no-color.org.
    return click.style(text, **style) if _is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def _is_terminal(stream: TextIO | None) -> bool:
    # Python has None for a stream that was closed before it started, as in `command <&-`.
    return stream is not None and stream.isatty()
