"""``ylokh-sse show``: what a capture says, request by request, its bytes decoded to events.

An event stands at the time of the piece that completed it. What is no event stream is shown as the text that it is. For people a listing, long values
cut unless ``--full``; for programs (``--json``) one object a line, ``{"type": "request" | "answer" | "event" | "body" | "end" | "note", "s", "t",
…}``.

The listing does not trust what was recorded with the terminal: control characters are shown as their pictures.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

import click
import msgspec

from chat_answers.console import conversation, harmless, make_printer, style
from chat_answers.exceptions import UnexpectedResponse
from ylokh_sse.capture import Capture, Recorded, load
from ylokh_sse.capture.lines import Answered
from ylokh_sse.decoder import SSEDecoder
from ylokh_sse.exceptions import UNREADABLE_CAPTURES
from ylokh_sse.response import Kind, judge

MAX_SHOWN: Final = 160
"""Characters of a value in the listing, unless all is wanted."""

Row = dict[str, Any]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--full", is_flag=True, help="Do not cut long values.")
def show(file: str, as_json: bool, full: bool) -> None:
    """Show what was asked and answered in the capture FILE.

    \b
    Exit codes: 0 shown; 1 the output went nowhere; 2 FILE cannot be read or
    is no capture of chat answers, or called wrongly; 130 interrupted.
    """
    with conversation(make_printer(as_json=as_json), misuses=UNREADABLE_CAPTURES):
        capture = load(file)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        for row in rows(capture):
            print(json.dumps(row) if as_json else _listed(row, full))


def rows(capture: Capture) -> Iterator[Row]:
    """Everything that a capture says, as objects."""
    for exchange in capture.exchanges:
        start = {"s": exchange.asked.number}
        for row in _exchange(exchange):
            yield {"type": row.pop("type"), **start, **row}
    for note in capture.notes:
        yield {"type": "note", "text": note}


def _exchange(exchange: Recorded) -> Iterator[Row]:
    asked, end = exchange.asked, exchange.end
    yield {"type": "request", "t": asked.time, "method": asked.method, "url": asked.url, "body": asked.body}
    decoder = SSEDecoder()
    if exchange.answered is not None:
        yield {"type": "answer", "t": exchange.answered.time, "status": exchange.answered.status, "headers": dict(exchange.answered.headers)}
        yield from _events(exchange, decoder) if _is_stream(exchange.answered, exchange.body) else _body(exchange)
    if end is not None:
        dropped = decoder.error is not None or decoder.close()
        yield {"type": "end", "t": end.time, "how": end.how, "cut": end.cut, "dropped": dropped}


def _is_stream(answered: Answered, body: bytes) -> bool:
    content_type = answered.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return answered.status == 200 and judge(content_type, body) is Kind.EVENTS
    except UnexpectedResponse:
        return False


def _events(exchange: Recorded, decoder: SSEDecoder) -> Iterator[Row]:
    for piece in exchange.pieces:
        for event in decoder.feed(piece.data):
            yield {"type": "event", "t": piece.time, **msgspec.to_builtins(event)}
        if decoder.error is not None:
            yield {"type": "note", "t": piece.time, "text": decoder.error.message}
            return


def _body(exchange: Recorded) -> Iterator[Row]:
    if exchange.body:
        yield {"type": "body", "t": exchange.pieces[-1].time, "text": exchange.body.decode(errors="replace")}


# ---------------------------------------------------------------------------------------------------------------------------- the listing


def _listed(row: Row, full: bool) -> str:
    words = _words(row, full)
    number = f"#{row['s']}" if row["type"] == "request" else ""
    time = f"{row['t']:10.3f}" if "t" in row else " " * 10
    return f"{style(f'{number:<5}', sys.stdout, bold=True)}{style(time, sys.stdout, dim=True)}  {words}"


def _words(row: Row, full: bool) -> str:
    match row["type"]:
        case "request":
            body = "" if row["body"] is None else f"  {_text(json.dumps(row['body'], ensure_ascii=False), full)}"
            return f"{harmless(row['method'])} {harmless(row['url'])}{body}"
        case "answer":
            return f"{row['status']} {harmless(row['headers'].get('content-type', ''))}".rstrip()
        case "event":
            return f"{style(_text(row['event'], full), sys.stdout, bold=True)}: {_text(row['data'], full)}"
        case "end":
            cut = f" ({row['cut']})" if row["cut"] else ""
            return f"{harmless(row['how'])}{cut}{', in the middle of an event' if row['dropped'] else ''}"
        case _:
            return _text(row["text"], full)


def _text(text: str, full: bool) -> str:
    """A value in one line."""
    shown = harmless(text).replace("\n", "␊")
    return shown if full or len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
