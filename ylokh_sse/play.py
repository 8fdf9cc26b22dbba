"""``ylokh-sse replay``: the recorded server again, for any client, until Ctrl-C. The replay itself is `ylokh_sse.replay`."""

from __future__ import annotations

import contextlib
import sys
import threading

import click

from chat_answers.console import conversation, harmless, make_printer
from chat_answers.loopback import LoopbackUnavailable
from chat_answers.process import FAILED, USAGE
from ylokh_sse.exceptions import UNREADABLE_CAPTURES, ReplayMismatch
from ylokh_sse.replay import serve


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Where to listen, on this machine; default: a free port.")
@click.option(
    "--timing", default="none", show_default=True, metavar="WHEN", help="none, recorded, scaled(X), or a number: what times are multiplied by."
)
@click.option("--rechunk", type=click.IntRange(1), metavar="BYTES", help="Cut the answers into pieces of so many bytes.")
@click.option("--ignore-path", "ignore_paths", multiple=True, metavar="PATH", help="What may differ, such as '$.messages[*].content'; repeatable.")
@click.option("--unordered", is_flag=True, help="Take the requests in any order.")
@click.option("--allow-unplayed", is_flag=True, help="Do not mind what was not asked for.")
def replay(file: str, port: int, timing: str, rechunk: int | None, ignore_paths: tuple[str, ...], unordered: bool, allow_unplayed: bool) -> None:
    """Answer as was recorded in the capture FILE, until Ctrl-C.

    The first line of standard output is the base URL. A request that was not
    recorded gets status 400 and an explanation, which is printed at the end.

    \b
    Exit codes: 0 all was asked for as was recorded; 1 it was not; 2 FILE
    cannot be read, or is no capture, or the port is taken, or called wrongly.
    """
    with conversation(make_printer(), misuses=UNREADABLE_CAPTURES):
        playing = serve(
            file,
            timing=float(timing) if _is_number(timing) else timing,
            rechunk=rechunk,
            ignore_paths=ignore_paths,
            ordered=not unordered,
            allow_unplayed=allow_unplayed,
            port=port,
        )
        try:
            with playing as url, contextlib.suppress(KeyboardInterrupt):
                click.echo(url)
                click.echo("(Ctrl-C stops the replay)", err=True)
                threading.Event().wait()
        except LoopbackUnavailable as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(USAGE)
        except ReplayMismatch as mismatch:
            # With its lines, which an error in one line would lose.
            click.echo(harmless(str(mismatch)), err=True)
            for another in playing.tape.mismatches[1:]:
                click.echo(harmless(str(another)), err=True)
            sys.exit(FAILED)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
