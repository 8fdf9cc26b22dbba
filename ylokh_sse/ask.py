"""``ylokh-sse ask``: one question, the answer as it comes. How it is printed is `chat_answers.console`'s business."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import click

from chat_answers.console import EXIT_CODES, Printer, conversation, make_printer, output_options, read_question
from ylokh_sse.capture.recording import Recording
from ylokh_sse.client import Client, Messages
from ylokh_sse.request import DEFAULT_MODEL, KEY_VARIABLE, URL_VARIABLE

REFUSALS: Final = ("unauthorized", "forbidden", "challenge-page")
"""Causes with which a service lets nobody in."""

OPTIONS: Final = {
    "messages": "QUESTION and --system make the messages",
    "model": "the model has an option of its own, --model",
    "stream": "whether to stream has an option of its own, --no-stream",
}
"""Fields that are not given with --field, and how they are."""


@click.command(epilog=EXIT_CODES)
@click.argument("question", nargs=-1)
@click.option("--base-url", "--url", envvar=URL_VARIABLE, show_envvar=True, help="Where the server is, with or without /v1. There is no default.")
@click.option("--api-key", envvar=KEY_VARIABLE, show_envvar=True, help="Better in the environment: what is on a command line is seen by others.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Passed on as it is.")
@click.option("--system", metavar="TEXT", help="A system message to go before the question.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="A field of the request's body, such as temperature=0.2 (repeatable).")
@click.option("--proxy", metavar="URL", help="HTTP proxy, with user and password in it if it wants them.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, metavar="SECONDS", help="Limit for the whole.")
@click.option("--retries", type=click.IntRange(0), default=2, show_default=True, help="Further tries, while nothing of an answer has come.")
@click.option("--record", type=click.Path(dir_okay=False), metavar="FILE", help="Write a capture, without keys; a new file.")
@click.option("--overwrite", is_flag=True, help="Let --record replace a file that is there.")
@output_options
def ask(
    question: tuple[str, ...],
    base_url: str | None,
    api_key: str | None,
    model: str,
    system: str | None,
    fields: tuple[str, ...],
    proxy: str | None,
    timeout: float,
    retries: int,
    record: str | None,
    overwrite: bool,
    stream: bool,
    as_json: bool,
    raw: bool,
    think: bool | None,
) -> None:
    """Ask QUESTION, and print the answer as it comes.

    Without QUESTION, or with "-", the question is read from standard input. --no-stream also asks the server for the whole answer at once.
    """
    printer = make_printer(as_json=as_json, raw=raw, stream=stream, think=think)
    body = dict(map(_field, fields))
    recording = None if record is None else _recording(record, overwrite=overwrite)
    with conversation(printer, REFUSALS):
        messages = [{"role": "user", "content": read_question(question)}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        chat = Client(base_url, api_key, proxy=proxy, timeout=timeout, retries=retries, split_reasoning=think is not None, record=recording)
        show = _show_events if raw else _show_parts if stream else _show_whole
        with recording or contextlib.nullcontext():
            asyncio.run(show(chat, printer, messages, {"model": model, **body}))


def _recording(path: str, *, overwrite: bool) -> Recording:
    # Before the question is read: nothing can be done with it.
    if not overwrite and os.path.isfile(path):
        raise click.UsageError(f"{path} is there already: name another file, or replace it with --overwrite.")
    return Recording(path, overwrite=overwrite)


def _field(words: str) -> tuple[str, Any]:
    name, equals, value = words.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--field {words!r}: expected NAME=JSON.")
    if name in OPTIONS:
        raise click.UsageError(f"--field {words!r}: {OPTIONS[name]}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a text without its quotes, as anybody would type it
    except RecursionError:
        raise click.UsageError(f"--field {name}: nested too deeply.") from None


async def _show_parts(chat: Client, printer: Printer, messages: Messages, fields: Mapping[str, Any]) -> None:
    async with chat, chat.stream(messages, **fields) as answer:
        async for part in answer:
            printer.part(part)
        printer.end()


async def _show_whole(chat: Client, printer: Printer, messages: Messages, fields: Mapping[str, Any]) -> None:
    async with chat:
        printer.completion(await chat.complete(messages, **fields))


async def _show_events(chat: Client, printer: Printer, messages: Messages, fields: Mapping[str, Any]) -> None:
    async with chat, chat.stream(messages, **fields) as answer:
        async for event in answer.events():
            printer.raw({"event": event.event, "data": event.data, "id": event.id, "retry": event.retry})
