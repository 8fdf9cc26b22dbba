"""`engineio-lite replay`: a capture as the server that was recorded, as the client that was recorded, or computed again without any network.

Exactly one of three: ``--serve FILE`` listens on this machine and plays the server to whoever comes, ``--against URL FILE`` plays the client
against a server, ``--offline FILE`` feeds a wire capture to the library's own machine and compares. Each shows what is said as it is said, and at
the end what went wrong, in full.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from chat_answers.loopback import LoopbackUnavailable
from chat_answers.process import OutputLost
from engineio_lite.aio.options import ConnectOptions
from engineio_lite.capture.file import Capture, load
from engineio_lite.capture.lines import Direction
from engineio_lite.capture.values import to_json
from engineio_lite.cli._console import FOUND, INTERRUPTED, USAGE, fail, print_json, readable_errors
from engineio_lite.exceptions import CaptureError, EngineIOError, ReplayError
from engineio_lite.replay.as_client import LINGER, against
from engineio_lite.replay.as_server import PlayedServer, PlayOptions, serve
from engineio_lite.replay.conversation import Watch
from engineio_lite.replay.matcher import Strictness
from engineio_lite.replay.offline import check
from engineio_lite.replay.player import Report
from engineio_lite.replay.seat import IDLE_LIMIT, Output
from engineio_lite.replay.wording import describe
from engineio_lite.socketio.packet import Packet

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds that `--serve` waits for a client's next packet: more than a program needs. Somebody who tries a page by hand says how long he thinks."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_TRANSPORTS: Final = {"polling": ("polling",), "websocket": ("websocket",), "both": ("polling", "websocket")}


@click.command()
@click.option("--serve", "served", type=_FILE, metavar="FILE", help="Play the recorded server to any client.")
@click.option("--against", "url", metavar="URL", help="Play the recorded client of FILE against the server at URL.")
@click.option("--offline", "computed", type=_FILE, metavar="FILE", help="Compute a wire capture again, and compare; no network.")
@click.argument("file", required=False, type=_FILE)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Where to listen, with --serve. [default: any free port]")
@click.option("--once", is_flag=True, help="With --serve: end when all was played, or nobody comes for the rest.")
@click.option("--reuse-last", is_flag=True, help="With --serve: play the last session again to whoever comes later.")
@click.option("--transport", type=click.Choice(list(_TRANSPORTS)), default="both", show_default=True, help="How to connect, with --against.")
@click.option("--path", default="/socket.io/", show_default=True, help="Where the server is mounted.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME=VALUE", help="What a placeholder stands for: '<redacted:1>=letmein'; repeatable.")
@click.option("--strict", type=click.Choice([str(each) for each in Strictness]), default=str(Strictness.ORDERED), show_default=True)
@click.option("--timing", default="none", show_default=True, metavar="none|recorded|FACTOR", help="When to speak: at once, as recorded, or scaled.")
@click.option("--ignore-path", "ignored", multiple=True, metavar="PATH", help="What may differ, such as '$[1].version'; repeatable.")
@click.option("--relax", multiple=True, metavar="EVENT", help="An event of which the place means nothing; repeatable.")
@click.option(
    "--idle-limit", type=click.FloatRange(min=0, min_open=True), default=None, metavar="SECONDS", help="How long to wait for a packet; --serve: 10."
)
@click.option("--linger", type=click.FloatRange(min=0), metavar="SECONDS", help="With --against: listen so long for more at the end. [default: 0.2]")
@click.option("--allow-unplayed", is_flag=True, help="Let the other side leave before it has said everything.")
@click.option("--allow-gaps", is_flag=True, help="Play a capture in which something is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@readable_errors
def command(served: Path | None, url: str | None, computed: Path | None, file: Path | None, **options: Any) -> None:
    """Play a capture back: --serve FILE, --against URL FILE, or --offline FILE.

    \b
    Exit codes: 0 all went as recorded; 1 something differed, or the other
    side left early; 2 wrong usage, or a file that is no capture or cannot
    be played; 3 no connection; 4 a time limit; 130 interrupted.
    """
    if sum(mode is not None for mode in (served, url, computed)) != 1 or (url is None) is not (file is None):
        raise click.UsageError("give exactly one of --serve FILE, --against URL FILE, --offline FILE")
    for name, mode in (("port", served), ("once", served), ("reuse_last", served)):
        if options[name] and mode is None:
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --serve")
    if options["linger"] is not None and url is None:
        raise click.UsageError("--linger belongs to --against")
    path = served or computed or file
    assert path is not None
    try:
        capture = load(path)
        if computed is not None:
            _compute(capture, as_json=options["as_json"])
        shown = _Shown(as_json=options["as_json"])
        if url is None:
            _serve(capture, shown, options)
        else:
            connect = ConnectOptions(transports=_TRANSPORTS[options["transport"]])
            play = _play_options(options, IDLE_LIMIT)
            linger = LINGER if options["linger"] is None else options["linger"]
            shown.end(_run(against(url, capture, path=options["path"], linger=linger, connect=connect, watch=shown.watch, **play)))
    except CaptureError as error:
        fail(str(error), USAGE, error.fix)
    except LoopbackUnavailable as error:
        fail(str(error), USAGE)
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{path}: {error.strerror}", USAGE)


def _play_options(options: dict[str, Any], idle_limit: float) -> PlayOptions:
    timing = options["timing"]
    try:
        timing = timing if timing in ("none", "recorded") else float(timing)
    except ValueError:
        raise click.UsageError(f"--timing is 'none', 'recorded' or a factor, not {timing!r}") from None
    pairs = [pair.partition("=") for pair in options["secrets"]]
    if not all(equals for _, equals, _ in pairs):
        raise click.UsageError("--secret is NAME=VALUE, such as '<redacted:1>=letmein'")
    return PlayOptions(
        strict=options["strict"],
        timing=timing,
        ignore_paths=options["ignored"],
        relax=options["relax"],
        secrets={name: value for name, _, value in pairs},
        idle_limit=options["idle_limit"] or idle_limit,
        allow_gaps=options["allow_gaps"],
        allow_unplayed=options["allow_unplayed"],
        reuse_last=options["reuse_last"],
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


# --- the three


def _compute(capture: Capture, *, as_json: bool) -> NoReturn:
    report = check(capture)
    if as_json:
        print_json(msgspec.json.encode(report).decode())
    else:
        print(report)
    sys.exit(0 if report.is_same else FOUND)


def _serve(capture: Capture, shown: _Shown, options: dict[str, Any]) -> None:
    once = options["once"]
    play = _play_options(options, IDLE_LIMIT if once else PATIENCE)
    server = serve(capture, port=options["port"] or 0, path=None, pings=True, repeat=not (once or options["reuse_last"]), watch=shown.watch, **play)
    try:
        _run(_listen(server, shown, wait=play["idle_limit"] if once else None))
    except KeyboardInterrupt:
        if not server.play_count:
            fail("interrupted before anybody came", INTERRUPTED)
    except ReplayError:
        pass  # it is in the report
    except EngineIOError as error:
        if error not in server.report.failures:
            raise
    shown.end(server.report)


async def _listen(server: PlayedServer, shown: _Shown, *, wait: float | None) -> None:
    """Serve until Ctrl-C, or with a `wait` until all is played, something went wrong, or nobody comes back for so many seconds."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        player = server.player
        if wait is None:
            return
        is_empty = all(seat.is_over for seat in player.seats)
        if player.failure is not None or (is_empty and len(player.seats) >= len(player.scripts)):
            over.set()
        elif is_empty:
            loop.call_later(wait, give_up, len(player.seats))

    def give_up(came: int) -> None:
        if len(server.player.seats) == came:
            over.set()

    server.stage.on_end = look
    async with server:
        shown.listening(server.url)
        await over.wait()


# --- what is shown


class _Shown:
    """What is said, a line a packet, for people or for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def _write(self, fields: dict[str, object], line: str) -> None:
        if self._as_json:
            # The standard library's encoder, because it writes lone surrogates, which a payload may hold.
            sys.stdout.write(json.dumps(fields, ensure_ascii=True) + "\n")
            sys.stdout.flush()
        else:
            self._console.print(line)

    def listening(self, url: str) -> None:
        """The server can be reached."""
        self._write({"url": url}, f"playing at [bold]{escape(url)}[/] [dim](Ctrl-C ends it)[/]")

    def watch(self, session: int) -> Watch:
        """See `WatchSession`."""

        def show(direction: Direction, output: Output) -> None:
            if isinstance(output, Packet):
                self._packet(session, direction, output)
            elif output.error is not None:
                self._failed(output.error)

        return show

    def _packet(self, session: int, direction: Direction, packet: Packet) -> None:
        data = None if packet.data is msgspec.UNSET else to_json(packet.data)
        fields = {"session": session, "dir": direction, "packet": packet.type, "namespace": packet.namespace, "id": packet.id, "data": data}
        arrow = "[cyan]↑[/]" if direction is Direction.UP else "[green]↓[/]"
        self._write(dict(fields), f"[dim]{session}[/] {arrow} {escape(describe(packet))}")

    def _failed(self, error: EngineIOError) -> None:
        """Tell at once what went wrong with one client; others may come."""
        fields = {"error": type(error).__name__, "cause": error.cause, "message": error.message}
        self._write(dict(fields), f"[red]✗ {type(error).__name__}:[/] {escape(error.message)}")

    def end(self, report: Report) -> NoReturn:
        """Tell what came of it, and end the process."""
        failures = [{"error": type(error).__name__, "cause": error.cause, "message": error.message} for error in report.failures]
        fields = {"sessions": report.sessions, "played": report.played, "matched": report.matched, "unmatched": report.unmatched}
        mark = "[green]✓[/]" if report.is_ok else "[red]✗[/]"
        summary, *rest = str(report).splitlines()
        lines = [f"{mark} {escape(summary)}", *map(escape, rest)]
        self._write({**fields, "unplayed": list(report.unplayed), "failures": failures}, "\n".join(lines))
        sys.exit(0 if report.is_ok else FOUND)
