"""``ylokh-sse decode``: what an event stream says.

Bytes of a stream come in on standard input, and every event goes out as soon as it is complete, so that ``curl -N … | ylokh-sse decode`` shows a
conversation live. For people: a listing, with a summary on standard error at the end. For programs (``--json``): one JSON object a line,
``{"event", "data", "id", "retry"}`` for each event, and a last one with what is left when the stream has ended, ``{"last_event_id", "retry",
"dropped"}``; where a limit ended the reading, that has ``"error"`` too.

The listing does not trust the server with the terminal: control characters are shown as their pictures.
"""

from __future__ import annotations

import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

import click
import msgspec

from chat_answers.process import FAILED, INTERRUPTED
from ylokh_sse.decoder import DEFAULT_MAX_EVENT_BYTES, EventTooLarge, ServerSentEvent, SSEDecoder

READ_BYTES = 65536
"""What one read may bring, as much as a pipe holds. A read returns with less as soon as there is anything."""

INDENT = "    "

# Each control character but tab to its picture. Those of Latin-1, among them another way to begin a command to the terminal, have none.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) != "\t"} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line: the events, and what is left at the end.")
@click.option("--chunk-size", type=click.IntRange(1), metavar="BYTES", help="Cut the stream into pieces of so many bytes; it makes no difference.")
@click.option(
    "--max-event-bytes",
    type=click.IntRange(1),
    metavar="BYTES",
    default=DEFAULT_MAX_EVENT_BYTES,
    show_default=True,
    help="Give up at an event that is larger.",
)
def decode(as_json: bool, chunk_size: int | None, max_event_bytes: int) -> NoReturn:
    """Decode an event stream from standard input.

    \b
    Exit codes: 0 the stream has ended; 1 an event is too large, or the output
    went nowhere; 2 called wrongly; 130 interrupted.
    """
    if sys.stdin is None:  # what Python makes of `command <&-`
        raise click.UsageError("Standard input is closed: pipe an event stream in.")
    decoder = SSEDecoder(max_event_bytes=max_event_bytes)
    printer = _JSONPrinter() if as_json else _TextPrinter()
    try:
        for chunk in _chunks(chunk_size):
            printer.events(decoder.feed(chunk))
            if decoder.error is not None:
                break
        dropped = decoder.close()
    except EventTooLarge as error:
        printer.end(decoder, dropped=True)
        _complain(error)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        click.echo(err=True)
        sys.exit(INTERRUPTED)
    printer.end(decoder, dropped=dropped)
    sys.exit(0)


def _chunks(size: int | None) -> Iterator[bytes]:
    """What standard input brings, as it comes; cut into pieces of `size` bytes if that is given."""
    source = sys.stdin.buffer
    assert isinstance(source, io.BufferedIOBase)
    for chunk in iter(lambda: source.read1(READ_BYTES), b""):
        step = size or len(chunk)
        for start in range(0, len(chunk), step):
            yield chunk[start : start + step]


def _complain(error: EventTooLarge) -> None:
    fix = _style(f" — {error.fix}", sys.stderr, dim=True)
    click.echo(f"{_style('error:', sys.stderr, fg='red', bold=True)} {error.message} [{error.cause}]{fix}", err=True)


# ------------------------------------------------------------------------------------------------------------------------------------ printing


class _Printer(ABC):
    """How a stream is shown."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal may know no more than ASCII: that is not worth losing an event for.
            sys.stdout.reconfigure(errors="backslashreplace")

    @abstractmethod
    def events(self, events: list[ServerSentEvent]) -> None:
        """Show what one chunk completed."""

    @abstractmethod
    def end(self, decoder: SSEDecoder, *, dropped: bool) -> None:
        """Show what is left when the stream has ended, or could not be read any further."""


class _JSONPrinter(_Printer):
    """One object a line."""

    def events(self, events: list[ServerSentEvent]) -> None:
        self._write(*map(msgspec.to_builtins, events))

    def end(self, decoder: SSEDecoder, *, dropped: bool) -> None:
        left: dict[str, Any] = {"last_event_id": decoder.last_event_id, "retry": decoder.retry, "dropped": dropped}
        if (error := decoder.error) is not None:
            left["error"] = {"cause": error.cause, "message": error.message, "fix": error.fix, "limit": error.limit}
        self._write(left)

    def _write(self, *values: dict[str, Any]) -> None:
        # The standard library, because it escapes what is not ASCII: any terminal and any reader takes that.
        print("".join(f"{json.dumps(value)}\n" for value in values), end="", flush=True)


class _TextPrinter(_Printer):
    """The type of an event, with its data behind it or, if that has more lines than one, indented below; a summary at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def events(self, events: list[ServerSentEvent]) -> None:
        self._count += len(events)
        print("".join(f"{self._headed(event)}\n" for event in events), end="", flush=True)

    def end(self, decoder: SSEDecoder, *, dropped: bool) -> None:
        notes = [_counted(self._count, "event"), _counted(decoder.comments, "comment")]
        notes += [f"last event id {_harmless(decoder.last_event_id)}"] if decoder.last_event_id else []
        notes += [f"retry {decoder.retry} ms"] if decoder.retry is not None else []
        notes += ["cut off in the middle of an event"] if dropped and decoder.error is None else []
        click.echo(_style(f"({', '.join(notes)})", sys.stderr, dim=True), err=True)

    def _headed(self, event: ServerSentEvent) -> str:
        details = [f"id {_harmless(event.id)}"] if event.id else []
        details += [f"retry {event.retry} ms"] if event.retry is not None else []
        head = _style(_harmless(event.event), sys.stdout, bold=True)
        if details:
            head += _style(f" ({', '.join(details)})", sys.stdout, dim=True)
        lines = [_harmless(line) for line in event.data.split("\n")]
        return f"{head}: {lines[0]}" if len(lines) == 1 else "\n".join([f"{head}:", *(INDENT + line for line in lines)])


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _harmless(text: str) -> str:
    return text.translate(_PICTURES)


def _style(text: str, stream: TextIO | None, **style: Any) -> str:
    # click takes colours out where there is no terminal, but knows nothing of https://no-color.org, and `print` takes nothing out.
    wanted = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    return click.style(text, **style) if wanted else text
