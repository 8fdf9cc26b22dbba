"""`engineio-lite record`: a reverse proxy that records anybody's client into a capture, and shows what passes.

The client is given the proxy's URL in place of the server's; nothing else changes for either. What is shown is what was written: redacted. The
command runs until it is interrupted, which is how a recording ends, and says then what there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import msgspec
from rich.markup import escape

from engineio_lite.capture.lines import Line
from engineio_lite.cli._console import FOUND, LOST, USAGE, fail, readable_errors
from engineio_lite.cli._record_screen import Remarks, Screen
from engineio_lite.proxy import Recording, record

_ENDS: Final = (signal.SIGINT, signal.SIGTERM)
"""What ends a recording."""


class Choices(msgspec.Struct, frozen=True):
    """What was chosen on the command line."""

    upstream: str
    output: Path
    host: str
    port: int
    path: str | None
    insecure: bool
    keep_host: bool
    overwrite: bool
    quiet: bool
    as_json: bool


def _is_path(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith("/"):
        raise click.BadParameter("expected a path that begins with a slash, as /socket.io/")
    return value


@click.command()
@click.option("--upstream", metavar="URL", required=True, help="The server: scheme, host and port.")
@click.option("--listen", "port", metavar="PORT", type=click.IntRange(0, 65535), default=0, help="Where clients connect. Default: a free port.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The capture: NAME.eio.jsonl.")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--path", metavar="/PATH", callback=_is_path, help="Record this path only. Default: whatever is Engine.IO by its query.")
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option("--keep-host", is_flag=True, help="Leave Host, Origin, Referer and Location as they are.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@click.option("--quiet", is_flag=True, help="Do not show what passes.")
@click.option("--json", "as_json", is_flag=True, help="Show the lines of the capture, as they are written.")
@readable_errors
def command(
    upstream: str,
    port: int,
    output: Path,
    host: str,
    path: str | None,
    insecure: bool,
    keep_host: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Record any client in front of a server, until Ctrl-C.

    Give the client the URL that is printed in place of the server's. Secrets are
    replaced before anything is written or shown.

    \b
      engineio-lite record --upstream http://127.0.0.1:3000 -o chat.eio.jsonl

    \b
    Exit codes: 0 at least one session was recorded; 1 none was; 2 called
    wrongly, or the file is there already, or the port is taken; 4 the file
    could be written no more.
    """
    if str(output) == "-":
        raise click.UsageError("a capture is a file; --json shows its lines on standard output")
    choices = Choices(upstream, output, host, port, path, insecure, keep_host, overwrite, quiet, as_json)
    sys.exit(asyncio.run(_record(choices)))


async def _record(choices: Choices) -> int:
    # Remarks go where the lines do not: a program reads nothing but lines.
    console = Remarks(stderr=choices.as_json, highlight=False, soft_wrap=True)
    screen = None if choices.quiet else Screen(as_json=choices.as_json)
    recording: Recording | None = None
    try:
        with _interrupted() as interrupted:
            async with _begun(choices, screen) as recording:
                _announce(console, recording, choices)
                ends: set[asyncio.Future[Any]] = {interrupted, recording.failed}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    except FileExistsError:
        fail(f"{choices.output} is there already", USAGE, "name another file, or replace it with --overwrite")
    except OSError as error:
        _explain(error, choices, has_begun=recording is not None)
    assert recording is not None, "what prevents a recording has been said"
    if screen is not None:
        screen.flush()
    _sum_up(console, recording, choices.output)
    return 0 if recording.sessions else FOUND


def _begun(choices: Choices, on_line: Callable[[Line], None] | None) -> contextlib.AbstractAsyncContextManager[Recording]:
    return record(
        choices.upstream,
        choices.output,
        host=choices.host,
        port=choices.port,
        path=choices.path,
        ssl=not choices.insecure,
        keep_host=choices.keep_host,
        overwrite=choices.overwrite,
        on_line=on_line,
    )


def _explain(error: OSError, choices: Choices, *, has_begun: bool) -> NoReturn:
    words = error.strerror or str(error)
    if has_begun:
        fail(f"{choices.output} can be written no more: {words}", LOST, "the lines before are whole")
    if error.filename is not None:
        fail(f"cannot write {choices.output}: {words}", USAGE)
    fail(f"cannot listen on {choices.host} port {choices.port}: {words}", USAGE, "name another port with --listen")


def _announce(console: Remarks, recording: Recording, choices: Choices) -> None:
    where = f"{escape(recording.upstream)} into {escape(str(choices.output))}"
    console.say(f"[bold]Recording[/] what passes from [bold cyan]{recording.url}[/] to {where}")
    console.say("[dim]Give the client that URL in place of the server's. Ctrl-C ends the recording.[/]")
    if not _is_loopback(choices.host):
        console.say("[bold red]Whoever reaches this address can use the server through it.[/]")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _interrupted() -> Iterator[asyncio.Future[object]]:
    """Done when the process is asked to end; the second time it is asked, it ends as usual."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[object] = loop.create_future()

    def end() -> None:
        done.set_result(None)
        heed_no_more()

    def heed_no_more() -> None:
        for number in _ENDS:
            loop.remove_signal_handler(number)

    for number in _ENDS:
        loop.add_signal_handler(number, end)
    try:
        yield done
    finally:
        heed_no_more()


def _sum_up(console: Remarks, recording: Recording, output: Path) -> None:
    sessions, packets = recording.sessions, recording.packets
    if not sessions:
        console.say(f"\n[bold]No session[/] passed. Did the client get {recording.url} as the server's URL?")
        return
    console.say(f"\n[bold]{_counted(sessions, 'session')}[/], {_counted(packets, 'packet')} in [bold]{escape(str(output))}[/]")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
