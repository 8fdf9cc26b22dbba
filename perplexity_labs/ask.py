"""``perplexity-labs ask``: one question, the answer as it comes. How it is printed is `chat_answers.console`'s business."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from chat_answers.console import EXIT_CODES, Printer, conversation, make_printer, output_options, read_question
from engineio_lite import Cause, Timeouts
from perplexity_labs.client import LabsClient
from perplexity_labs.failures import URL_VARIABLE
from perplexity_labs.messages import DEFAULT_MODEL, MODELS
from perplexity_labs.timeouts import Timeout

LEAVE = 1.0
"""Seconds for telling a server that we leave: who presses Ctrl-C does not want to wait for one that has stopped listening."""

REFUSALS = (Cause.NAMESPACE_REFUSED,)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """Ask a server that speaks the dialect of the Labs playground.

    The public service is gone. To see it work: python -m perplexity_labs.loopback
    """


@command.command(epilog=EXIT_CODES)
@click.argument("question", nargs=-1)
@click.option("--url", "--base-url", envvar=URL_VARIABLE, show_envvar=True, help="Origin of the server. There is no default: the service is gone.")
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
@output_options
def ask(
    question: tuple[str, ...],
    url: str | None,
    model: str,
    system: str | None,
    proxy: str | None,
    timeout: float | None,
    transport: str,
    stream: bool,
    as_json: bool,
    raw: bool,
    think: bool | None,
) -> None:
    """Ask QUESTION, and print the answer as it comes.

    Without QUESTION, or with "-", the question is read from standard input.
    """
    printer = make_printer(as_json=as_json, raw=raw, stream=stream, think=think)
    with conversation(printer, REFUSALS):
        messages = [{"role": "user", "content": read_question(question)}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        labs = LabsClient(
            url,
            timeout=Timeout() if timeout is None else Timeout.of(timeout),
            split_reasoning=think is not None,
            proxy=proxy,
            transports=("polling", "websocket") if transport == "default" else (transport,),
            timeouts=Timeouts(close=LEAVE),
        )
        show = _show_replies if raw else _show_parts if stream else _show_whole
        asyncio.run(show(labs, printer, messages=messages, model=model))


async def _show_parts(labs: LabsClient, printer: Printer, **question: Any) -> None:
    async with labs:
        async for part in labs.stream(**question):
            printer.part(part)
    printer.end()


async def _show_whole(labs: LabsClient, printer: Printer, **question: Any) -> None:
    async with labs:
        whole = await labs.complete(**question)
    printer.completion(whole)


async def _show_replies(labs: LabsClient, printer: Printer, **question: Any) -> None:
    async with labs:
        async for reply in labs.replies(**question):
            printer.raw([reply.name, *reply.args])
