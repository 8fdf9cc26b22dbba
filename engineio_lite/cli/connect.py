"""`engineio-lite connect`: a conversation with a Socket.IO server, by hand or from a script.

At a terminal there is a prompt, and what happens is shown above it while you type (`_connect_terminal`). From a pipe, or with ``--exec``, the lines
are a script: carried out one after the other, a call or a wait to its end, what happens as lines of text on standard output or as one JSON object a
line, errors on standard error, and an exit code that a program can act on. Both are the same session (`_connect_session`) with the same commands
(`_connect_commands`), and show the same notes (`_connect_notes`), most of which are read off the wire as it is (`_connect_watch`).

A person wants the connection back when it is lost; a script should rather fail than go on with a hole in it. So reconnecting is on at a terminal and
off in a script, unless it is asked for.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import click
import msgspec

from engineio_lite import Timeouts
from engineio_lite.aio import ConnectOptions, connect_socketio
from engineio_lite.capture.redaction import Secrets, strings
from engineio_lite.cli._connect_commands import MAX_LINE, LineFault, names_a_secret, parse_object
from engineio_lite.cli._connect_notes import Closed, State, failure
from engineio_lite.cli._connect_screen import JSONScreen, TextScreen
from engineio_lite.cli._connect_session import CommandFailed, Session, read_object
from engineio_lite.cli._connect_watch import Watcher
from engineio_lite.cli._console import FOUND, INTERRUPTED, LOST, UNREACHABLE, USAGE, fail, readable_errors
from engineio_lite.exceptions import CaptureError, EngineIOError, LocalProtocolError
from engineio_lite.handshake import redact_url
from engineio_lite.socketio import PARSERS
from engineio_lite.state import CloseReason

PATIENCE: Final = 10.0
"""Seconds that a call and a wait wait, and a script for what it sent to leave."""

TERMINATED: Final = 128 + signal.SIGTERM
"""What a shell would report."""

LEAVE: Final = 1.0
"""Seconds for telling a server that we leave: who presses Ctrl-D does not want to wait for one that has stopped listening."""


class Choices(msgspec.Struct, frozen=True):
    """What was chosen on the command line."""

    url: str
    auth: dict[str, object] | None
    namespace: str | None
    path: str
    parser: str
    reconnect: bool
    retries: int | None
    patience: float
    options: ConnectOptions
    as_json: bool
    by_hand: bool
    lines: tuple[str, ...]
    wait: float
    stop_on_error: bool


# ------------------------------------------------------------------------------------------------------------------------------ the arguments


def _auth(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, object] | None:
    try:
        if value is not None and value.startswith("@"):
            return read_object(value[1:], regular=False)
        return None if value is None else parse_object(value)
    except CommandFailed as failed:
        raise click.BadParameter(failed.message) from None
    except LineFault as fault:
        raise click.BadParameter(f"column {fault.column}: {fault.message}") from None


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _pairs(separator: str, example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, str]]:
    def read(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        pairs = {}
        for number, given in enumerate(values, 1):
            name, found, value = given.partition(separator)
            # What was given is not quoted: it is where passwords are.
            if not found or not _TOKEN.fullmatch(name) or not value.strip().isprintable():
                raise click.BadParameter(f"number {number}: expected {example}")
            pairs[name] = value.strip()
        return pairs

    return read


def _seconds(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("expected a number of seconds")
    return value


@click.command()
@click.argument("url")
@click.option("--auth", metavar="JSON|@FILE", callback=_auth, help="What to join with: a JSON object. A file keeps it out of the list of processes.")
@click.option("--namespace", metavar="/NAME", help="The namespace to begin in; the path of the URL says it, too.")
@click.option("--path", default="/socket.io/", show_default=True, help="Where the server is mounted.")
@click.option(
    "--transport", "transports", type=click.Choice(["polling", "websocket"]), multiple=True, help="Only this, or twice: in that order. Default: both."
)
@click.option("--header", "headers", metavar="'NAME: VALUE'", multiple=True, callback=_pairs(":", "'Name: value'"), help="Sent with every request.")
@click.option("--cookie", "cookies", metavar="NAME=VALUE", multiple=True, callback=_pairs("=", "name=value"), help="Sent with every request.")
@click.option("--proxy", metavar="URL", help="HTTP proxy for everything, with user and password in it if it wants them.")
@click.option("--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option("--parser", type=click.Choice(sorted(PARSERS)), default="default", show_default=True, help="The server's.")
@click.option("--reconnect/--no-reconnect", default=None, help="After a loss. Default: at a terminal yes, in a script no.")
@click.option("--retries", type=click.IntRange(0), help="Send each event until it is acknowledged, so many times more.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 86400, min_open=True),
    callback=_seconds,
    metavar="SECONDS",
    help="For connecting, a call, a wait. [default: 10]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, without a prompt.")
@click.option("--exec", "lines", metavar="LINE", multiple=True, help="Carry out this line, and others, in place of standard input.")
@click.option(
    "--wait", type=click.FloatRange(0), default=0.0, callback=_seconds, metavar="SECONDS", help="Stay so long after the last line; inf: stay."
)
@click.option("--record", type=click.Path(dir_okay=False), metavar="FILE", help="Write a capture of the wire, without secrets; a new file.")
@click.option("--stop-on-error", is_flag=True, help="Leave a script at the first line that fails.")
@readable_errors
def command(
    url: str,
    auth: dict[str, object] | None,
    namespace: str | None,
    path: str,
    transports: tuple[str, ...],
    headers: dict[str, str],
    cookies: dict[str, str],
    proxy: str | None,
    insecure: bool,
    parser: str,
    reconnect: bool | None,
    retries: int | None,
    timeout: float | None,
    as_json: bool,
    lines: tuple[str, ...],
    wait: float,
    record: str | None,
    stop_on_error: bool,
) -> None:
    """Talk with the Socket.IO server at URL, by hand or from a script.

    At a terminal type help. Otherwise each line of standard input is a command,
    and they are carried out one after the other:

    \b
      echo 'call echo 1 {"a": 2}' | engineio-lite connect http://127.0.0.1:3000

    \b
    Exit codes: 0 everything was done; 1 a line of a script failed, or the
    output went nowhere; 2 called wrongly; 3 no connection, or refused; 4 the connection was lost;
    130 interrupted.
    """
    by_hand = _is_terminal(sys.stdin) and _is_terminal(sys.stdout) and not as_json and not lines
    options: ConnectOptions = {"headers": headers, "cookies": cookies, "proxy": proxy, "timeouts": _timeouts(timeout)}
    if insecure:
        options["ssl"] = False
    if record is not None:
        options["record"] = record
    if transports:
        options["transports"] = tuple(dict.fromkeys(transports))
    if namespace is not None and not namespace.startswith("/"):
        namespace = f"/{namespace}"
    choices = Choices(
        url,
        auth,
        namespace,
        path,
        parser,
        by_hand if reconnect is None else reconnect,
        retries,
        PATIENCE if timeout is None else timeout,
        options,
        as_json,
        by_hand,
        lines,
        wait,
        stop_on_error,
    )
    sys.exit(_run(_converse(choices)))


def _timeouts(seconds: float | None) -> Timeouts:
    usual = Timeouts(close=LEAVE)
    if seconds is None:
        return usual
    return msgspec.structs.replace(usual, connect=seconds, open=seconds, namespace=seconds)


def _is_terminal(stream: Any) -> bool:
    # Python has None for a stream that was closed before it started, as in `command <&-`.
    return stream is not None and stream.isatty()


def _learn(choices: Choices, secrets: Secrets) -> None:
    """Everything on the command line that is to be hidden wherever it may come back."""
    for secret in strings(choices.auth):
        secrets.learn(secret)
    for name, value in (choices.options.get("headers") or {}).items():
        if names_a_secret(name):
            secrets.learn(value)
            secrets.learn(value.rpartition(" ")[2])  # `Bearer …`: a server may repeat the token alone
        if name.lower() == "cookie":
            for pair in value.split(";"):
                secrets.learn(pair.partition("=")[2].strip())
    for value in (choices.options.get("cookies") or {}).values():
        secrets.learn(value)
    for url in (choices.url, choices.options.get("proxy") or ""):
        _learn_url(url, secrets)


def _learn_url(url: str, secrets: Secrets) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # the library says what is wrong with it, without quoting it
    for name, value in parse_qsl(parts.query):
        if names_a_secret(name):
            secrets.learn(value)
    if parts.password is not None:
        secrets.learn(unquote(parts.password))


# -------------------------------------------------------------------------------------------------------------------------------- the session


def _run(conversation: Coroutine[Any, Any, int]) -> int:
    """Run it to its end. SIGTERM cancels it, as Ctrl-C does a script: a terminal must be given back as it was, and the server told."""
    ended = False

    async def run() -> int:
        task = asyncio.current_task()
        assert task is not None

        def end() -> None:
            nonlocal ended
            ended = True
            task.cancel()

        if sys.platform != "win32" and signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await conversation

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if ended:
            return TERMINATED
        raise


async def _converse(choices: Choices) -> int:
    """Connect, talk, leave; the exit code."""
    secrets = Secrets()
    _learn(choices, secrets)
    screen = JSONScreen(secrets) if choices.as_json else TextScreen(secrets, by_hand=choices.by_hand)
    session = Session(secrets, screen, choices.patience, by_hand=choices.by_hand)
    start = asyncio.get_running_loop().time()
    watcher = Watcher(PARSERS[choices.parser], secrets, start, session.note, epoch=time.time() - start)
    session.note(State(session.now, "connecting", {"url": redact_url(choices.url)}))
    choices.options["recorder"] = watcher
    opening = connect_socketio(
        choices.url,
        auth=choices.auth,
        namespace=choices.namespace,
        path=choices.path,
        parser=choices.parser,
        reconnect=choices.reconnect,
        retries=choices.retries,
        ack_timeout=choices.patience,
        **choices.options,
    )
    try:
        client = await opening
    except asyncio.CancelledError:
        session.note(Closed(session.now, CloseReason.CLIENT_CLOSE))
        session.flush()
        raise
    except EngineIOError as error:
        session.note(failure(session.now, error))
        session.flush()
        return USAGE if isinstance(error, LocalProtocolError | CaptureError) else UNREACHABLE
    session.attend(client, watcher)
    patience = None
    try:
        code = await (_by_hand(session) if choices.by_hand else _script(session, choices))
        if code in (0, FOUND) and not choices.by_hand and not session.broken.done():
            patience = choices.patience * ((choices.retries or 0) + 2)
    finally:
        late = await _leave(session, patience)
    if code in (0, FOUND) and session.broken.done() and not late:
        raise session.broken.result()
    return LOST if late else FOUND if session.failed and code == 0 and not choices.by_hand else code


async def _leave(session: Session, patience: float | None) -> bool:
    """Leave; whether something that was to be sent was not, which is said."""
    try:
        await session.leave(patience=patience)
    except EngineIOError as error:
        session.note(failure(session.now, error))
        session.flush()
        return True
    return False


async def _by_hand(session: Session) -> int:
    try:
        from engineio_lite.cli._connect_terminal import Lines, Terminal, history_path
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prompt_toolkit":
            raise
        fail("a prompt needs the cli extra", USAGE, "pip install 'engineio-lite[cli]', or give lines with --exec")
    orderly = await Terminal(session, Lines(history_path(), session.secrets)).run()
    if session.lost:
        return LOST
    return 0 if orderly else INTERRUPTED


async def _script(session: Session, choices: Choices) -> int:
    lines = _given(choices.lines) if choices.lines else _Stdin()
    script = asyncio.create_task(_carry_out(session, lines, choices.stop_on_error))
    over: set[asyncio.Future[Any]] = {session.ended, session.broken}
    try:
        await asyncio.wait({script, *over}, return_when=asyncio.FIRST_COMPLETED)
        if script.done() and script.result():
            await asyncio.wait(over, timeout=None if choices.wait == math.inf else choices.wait, return_when=asyncio.FIRST_COMPLETED)
    finally:
        script.cancel()
        await asyncio.wait({script})
    if session.lost:
        return LOST
    return FOUND if session.failed or session.broken.done() else 0


async def _carry_out(session: Session, lines: AsyncIterator[str | bytes], stop_on_error: bool) -> bool:
    """Carry out the lines; False if they were left before their end."""
    number = 0
    async for line in lines:
        number += 1
        done = await session.execute(line, number)
        if session.wants_to_quit or (stop_on_error and not done):
            return False
    return True


async def _given(lines: tuple[str, ...]) -> AsyncIterator[str | bytes]:
    for line in lines:
        yield line


class _Stdin:
    """The lines of standard input, read by a thread when they are wanted: a pipe, a file and a terminal are then all the same.

    The thread is a daemon that reads past Python's own buffers, so it stops nobody from leaving while it waits for input that never comes.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._wanted = threading.Semaphore(0)
        self._rest = bytearray()
        self._ended = sys.stdin is None
        if sys.stdin is not None:
            threading.Thread(target=self._read, args=(sys.stdin.fileno(),), name="standard input", daemon=True).start()

    def _read(self, descriptor: int) -> None:
        data = b"nothing yet"
        while data:
            self._wanted.acquire()
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                data = b""  # a terminal that is gone: there will be no more lines
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, data)
            except RuntimeError:
                return  # the loop is closed: nobody wants lines any more

    def __aiter__(self) -> _Stdin:
        return self

    async def __anext__(self) -> bytes:
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._rest)
            self._wanted.release()
            chunk = await self._chunks.get()
            self._ended = not chunk
            self._rest += chunk
            if searched > MAX_LINE and b"\n" not in chunk:
                del self._rest[searched:]  # long enough to be refused
        if end < 0:
            if not self._rest:
                raise StopAsyncIteration
            end = len(self._rest)
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line
