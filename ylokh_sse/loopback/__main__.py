"""``python -m ylokh_sse.loopback``: the loopback server by hand, until Ctrl-C.

argparse and not click: who wants a server to try things on should not need the cli extra.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from typing import get_args

from chat_answers.loopback import LoopbackUnavailable
from chat_answers.process import run
from ylokh_sse.loopback.script import Call, CutHow, Reply, Script
from ylokh_sse.loopback.server import DEFAULT_MODELS, LoopbackServer, serve

THOUGHT = "Somebody asks, so there should be an answer. I know only a few of them, and this one will do."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ylokh_sse.loopback", description="Serve canned answers on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--key", help="want this API key")
    parser.add_argument("--model", action="append", dest="models", metavar="NAME", help="list this model; may be given more than once")
    parser.add_argument("--text", help="the answer; default: what fits the question, or the question again")
    parser.add_argument("--think", nargs="?", const=THOUGHT, metavar="TEXT", help="think aloud first")
    parser.add_argument("--tool", metavar="NAME", help="call this tool, without arguments")
    parser.add_argument("--cite", action="append", default=[], metavar="URL", help="name this source; may be given more than once")
    parser.add_argument("--pace", type=float, default=0.05, metavar="SECONDS", help="between two pieces (default 0.05)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="before the first piece")
    parser.add_argument("--keep-alives", type=int, default=0, metavar="N", help="comments during the delay")
    parser.add_argument("--error", metavar="TEXT", help="fail with this message in the middle of the answer")
    parser.add_argument("--error-after", type=int, default=0, metavar="N", help="pieces before that")
    parser.add_argument("--cut-after", type=int, metavar="N", help="end the answer after N pieces")
    parser.add_argument("--cut", choices=get_args(CutHow), default="end", help="how it ends then")
    parser.add_argument("--status", type=int, metavar="N", help="fail every request with this HTTP status")
    parser.add_argument("--fail-first", type=int, default=0, metavar="N", help="fail the first N requests with a 503, or with --status")
    return parser


def _server(options: argparse.Namespace) -> LoopbackServer:
    failure = None if options.status is None else Reply.error(options.status)
    script = Script(
        text=options.text,
        reasoning=options.think,
        tool_calls=() if options.tool is None else (Call(options.tool),),
        citations=tuple(options.cite),
        pace=options.pace,
        delay_first=options.delay,
        keep_alives=options.keep_alives,
        error=options.error,
        error_after=options.error_after,
        cut_after=options.cut_after,
        cut=options.cut,
        instead=None if options.fail_first else failure,
    )
    models = options.models or DEFAULT_MODELS
    return serve(script, fail_first=options.fail_first, fail_with=failure, key=options.key, models=models, port=options.port)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C; prints the base URL as the first line of standard output. Exit codes: 0 after Ctrl-C, 1 if it cannot be started."""
    try:
        with _server(_parser().parse_args(arguments)) as server:
            print(server.url, flush=True)
            print(f"Ask it: ylokh-sse ask --base-url {server.url} 'Tell me a joke'   (Ctrl-C stops the server)", file=sys.stderr)
            threading.Event().wait()
    except LoopbackUnavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    run("ylokh_sse.loopback", main)
