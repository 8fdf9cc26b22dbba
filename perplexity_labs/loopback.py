"""A real server to try the adapter on: python-socketio on aiohttp, on this machine only, speaking the dialect of `perplexity_labs.messages`.

There is no public service left to ask, and a pretended connection would prove nothing about a real one. So this is a Socket.IO server like any other,
over whatever transport the client likes, with real pings and a real upgrade; only what it says is canned. A `Script` decides that, and can also
misbehave in every way that was seen or feared: late first words, rewritten answers, missing fields, failures, refusals, connections that end in the
middle.

::

    async with loopback.serve(ping_interval=1, delay_first=3) as server:     # or plain `with`
        async with LabsClient(server.url) as labs: ...

and ``python -m perplexity_labs.loopback --port 8080`` serves until Ctrl-C. python-socketio comes with the ``demo`` extra.

The server runs in a thread with an event loop of its own. python-engineio leaves tasks behind when a session ends (a ping that sleeps for its whole
interval, for one); here they die with their loop, and not in the loop of the program that is being tried. It also means that a program which blocks
its loop still has a server that goes on pinging, as in real life.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from chat_answers.loopback import Entrance, LoopbackUnavailable, ThreadedServer
from chat_answers.parts import JSON
from chat_answers.process import run
from perplexity_labs import smalltalk
from perplexity_labs.messages import DEFAULT_EVENT, REPLY_SUFFIX, ROLES

__all__ = ["JOKE", "REWRITTEN", "SOURCES", "LoopbackServer", "LoopbackUnavailable", "Reply", "Script", "Visitor", "complaint", "serve", "split"]

JOKE, SOURCES = smalltalk.JOKE
"""What the server says, word by word, to whatever is not among the questions of `smalltalk`, unless it is told otherwise."""

REWRITTEN = "Let me put that differently. "
"""What stands in the place of everything said before, in an answer that is rewritten."""

Reply: TypeAlias = tuple[str, tuple[JSON, ...]]
"""The name and the arguments of one event."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says to every question, and how; times are seconds, counts are replies sent before something happens (None: it never does)."""

    pieces: tuple[str, ...] | None = None
    """None: what `smalltalk` has to say to the question."""
    citations: tuple[JSON, ...] | None = None
    """None: the sources of what it says."""
    think: str | None = None
    """Reasoning to speak before the answer, between ``<think>`` tags as the model r1-1776 did."""
    reply_name: str = "{model}_query_progress"
    missing_fields: tuple[str, ...] = ()
    """Fields to leave out of every reply; without ``final`` the ``status`` says that the answer is complete."""
    rewrite_at: int | None = None
    fail: str | None = None
    fail_after: int = 0
    replies: tuple[Reply, ...] | None = None
    """Exactly these events in the place of an answer, whatever they are."""
    delay_first: float = 0.0
    pace: float = 0.03
    drop_after: int | None = None
    """Cut every connection without a word, as a crash of the network does. By polling the server itself notices only by a missing pong."""
    disconnect_after: int | None = None
    """Disconnect the namespace (``41``)."""
    close_after: int | None = None
    """Close the engine (``1``)."""
    refuse: str | None = None
    """Refuse every connection with this message (``44``)."""

    def answer(self, model: str, messages: Sequence[JSON] = ()) -> Iterator[Reply]:
        """Yield the events that answer one question."""
        if self.replies is not None:
            yield from self.replies
            return
        name = self.reply_name.format(model=model)
        text, sources = smalltalk.answer_to(messages)
        citations = sources if self.citations is None else self.citations
        output, spoken = "", [*_think_pieces(self.think), *(split(text) if self.pieces is None else self.pieces)]
        for count, piece in enumerate(spoken):
            if self.fail is not None and count >= self.fail_after:
                break
            output = (REWRITTEN if count == self.rewrite_at else output) + piece
            # The sources were known before the text was complete, though not from the start.
            yield self._reply(name, output=output, final=False, citations=citations if 2 * count > len(spoken) else (), status="pending")
        if self.fail is not None:
            yield self._reply(name, final=True, status="failed", text=self.fail)
        else:
            yield self._reply(name, output=output, final=True, citations=citations, status="completed")

    def _reply(self, name: str, **fields: JSON) -> Reply:
        return name, ({field: value for field, value in fields.items() if field not in self.missing_fields},)


def split(text: str) -> tuple[str, ...]:
    """Cut a text into the pieces in which a model would say it: words with the blanks before them."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


def _think_pieces(think: str | None) -> tuple[str, ...]:
    return () if think is None else ("<think>\n", *split(think), "\n</think>\n\n")


def complaint(question: JSON) -> str | None:
    """What is wrong with the one argument of the event that asks, or None."""
    if not isinstance(question, dict):
        return "expected one object"
    for field in ("version", "source", "model"):
        if not isinstance(question.get(field), str):
            return f"expected the field {field} to be text"
    messages = question.get("messages")
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        return f"expected the field messages to be a list of objects with role ({', '.join(ROLES)}) and content (text)"
    return None


def _is_message(message: JSON) -> bool:
    return isinstance(message, dict) and message.get("role") in ROLES and isinstance(message.get("content"), str)


class Visitor:
    """One connection, as the server saw it.

    `auth` and `headers` are those it came with, `questions` what it asked, `transport` what carried the last reply; `left` says why it left, in
    python-socketio's words, and is None while it is there.
    """

    def __init__(self, auth: JSON, headers: Mapping[str, str]) -> None:
        self.auth = auth
        self.headers = dict(headers)
        self.questions: list[JSON] = []
        self.transport: str | None = None
        self.left: str | None = None


class LoopbackServer(ThreadedServer):
    """A server from `async with` (or `with`) to the end of the block; `url` is its origin, and `visitors` are all who were let in, in order.

    Make one with `serve`. Entering raises `LoopbackUnavailable`; leaving cuts what is still connected.
    """

    def __init__(self, script: Script, *, host: str, port: int, engine: dict[str, Any]) -> None:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"expected a loopback address, got {host!r}: this server is for this machine only")
        super().__init__("perplexity_labs.loopback")
        self.visitors: list[Visitor] = []
        self._script = script
        self._host, self._port = host, port
        self._engine = engine
        self._here: dict[str, Visitor] = {}
        self._sio: Any = None
        self._line = _Line()

    @property
    def url(self) -> str:
        """The origin, ``http://127.0.0.1:PORT``."""
        return self.origin

    @property
    def questions(self) -> list[JSON]:
        """The arguments of every question that was asked, in order."""
        return [question for visitor in self.visitors for question in visitor.questions]

    async def everyone_left(self) -> None:
        """Wait until nobody is connected (at once if nobody ever was), inside the server's block; cancelling it is safe."""
        await self.ask(self._everyone_left())

    # --- Everything below runs in the server's thread.

    async def _everyone_left(self) -> None:
        await self._empty.wait()

    async def main(self) -> None:
        self._empty = asyncio.Event()
        self._empty.set()
        app = web.Application(middlewares=[self._line.watch])
        self._sio = _make_socketio(self._engine)
        self._sio.attach(app)
        self._sio.on("connect", self._on_connect)
        self._sio.on("disconnect", self._on_disconnect)
        self._sio.on(DEFAULT_EVENT, self._on_question)
        # Nothing here is worth waiting for at the end.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        assert runner.server is not None
        try:
            entrance = Entrance(runner.server, self._host, self._port)
            try:
                self.listening(entrance.origin)
                await self.stopping.wait()
            finally:
                await entrance.close()
        finally:
            await runner.cleanup()

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: JSON = None) -> None:
        from socketio.exceptions import ConnectionRefusedError as Refused

        if self._script.refuse is not None:
            raise Refused(self._script.refuse)
        if not isinstance(auth, dict) or not isinstance(auth.get("jwt"), str):
            raise Refused('expected the auth payload {"jwt": "…"}')
        self._here[sid] = visitor = Visitor(auth, environ["aiohttp.request"].headers)
        self.visitors.append(visitor)
        self._empty.clear()

    async def _on_disconnect(self, sid: str, reason: str) -> None:
        self._here.pop(sid).left = reason
        if not self._here:
            self._empty.set()

    async def _on_question(self, sid: str, question: JSON = None, *rest: JSON) -> None:
        visitor = self._here.get(sid)
        if visitor is None:
            return  # left before its question was taken up
        visitor.questions.append(question)
        wrong = "expected one argument" if rest else complaint(question)
        if wrong is not None:
            await self._sio.emit(f"error{REPLY_SUFFIX}", {"status": "failed", "text": f"bad request: {wrong}"}, to=sid)
            return
        await asyncio.sleep(self._script.delay_first)
        for count, (name, args) in enumerate(self._script.answer(question["model"], question["messages"])):
            if visitor.left is not None or await self._ends(sid, count):
                return
            visitor.transport = self._sio.transport(sid)
            await self._sio.emit(name, args or None, to=sid)
            await asyncio.sleep(self._script.pace)

    async def _ends(self, sid: str, count: int) -> bool:
        match count:
            case self._script.drop_after:
                self._line.cut()
            case self._script.disconnect_after:
                await self._sio.disconnect(sid)
            case self._script.close_after:
                await self._sio.eio.disconnect(self._sio.manager.eio_sid_from_sid(sid, "/"))
            case _:
                return False
        return True


class _Line:
    """The wire under the server, to be cut: knows the connections that carry a request, and the sessions that were seen."""

    def __init__(self) -> None:
        self._busy: set[asyncio.Transport] = set()
        self._sessions: set[str] = set()
        self._dead: set[str] = set()

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know of a request while it is open; the middleware of the application."""
        session, transport = request.query.get("sid", ""), request.transport
        assert transport is not None
        if session in self._dead:
            transport.abort()
        self._busy.add(transport)
        self._sessions.add(session)
        try:
            return await handler(request)
        finally:
            self._busy.discard(transport)

    def cut(self) -> None:
        """Cut every connection, with a reset, and those of the same sessions that come later."""
        self._dead |= self._sessions - {""}
        for transport in self._busy:
            transport.abort()


def _make_socketio(options: dict[str, Any]) -> Any:
    try:
        import socketio
    except ImportError as error:
        raise LoopbackUnavailable("the loopback server needs the demo extra: pip install 'engineio-lite[demo]'") from error
    # Any origin: a client may send the Origin of the service that it believes to talk to, and there is nothing here to protect.
    return socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*", **options)


def serve(
    *,
    text: str | None = None,
    pieces: Sequence[str] | None = None,
    citations: Sequence[JSON] | None = None,
    think: str | None = None,
    reply_name: str = "{model}_query_progress",
    missing_fields: Sequence[str] = (),
    rewrite_at: int | None = None,
    fail: str | None = None,
    fail_after: int = 0,
    replies: Sequence[Reply] | None = None,
    delay_first: float = 0.0,
    pace: float = 0.03,
    drop_after: int | None = None,
    disconnect_after: int | None = None,
    close_after: int | None = None,
    refuse: str | None = None,
    ping_interval: float = 25.0,
    ping_timeout: float = 20.0,
    transports: Sequence[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> LoopbackServer:
    """Make a server that answers every question by the script, in an `async with` or a `with` block.

    The answer is `pieces`, or `text` in words, or else what `smalltalk` has to say to the question (a joke, mostly), with its sources unless there
    are `citations`; `Script` describes the rest. `ping_interval` and `ping_timeout` are in seconds, of which
    python-engineio announces the whole ones; `transports` what it allows (None: polling and websocket); `port` 0 takes any free one. Raises
    ValueError for a `host` that is not loopback.
    """
    spoken = split(text) if pieces is None and text is not None else pieces
    script = Script(
        pieces=None if spoken is None else tuple(spoken),
        citations=None if citations is None else tuple(citations),
        think=think,
        reply_name=reply_name,
        missing_fields=tuple(missing_fields),
        rewrite_at=rewrite_at,
        fail=fail,
        fail_after=fail_after,
        replies=None if replies is None else tuple(replies),
        delay_first=delay_first,
        pace=pace,
        drop_after=drop_after,
        disconnect_after=disconnect_after,
        close_after=close_after,
        refuse=refuse,
    )
    engine = {"ping_interval": ping_interval, "ping_timeout": ping_timeout, "transports": None if transports is None else list(transports)}
    return LoopbackServer(script, host=host, port=port, engine=engine)


# ------------------------------------------------------------------------------------------------------------------------------------- by hand


def _parser() -> argparse.ArgumentParser:
    # argparse and not click: the demo extra has click, but who wants a server to try things on should not need it.
    parser = argparse.ArgumentParser(prog="python -m perplexity_labs.loopback", description="Serve canned answers on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--text", help="the answer; default: one that goes with the question, mostly a joke")
    parser.add_argument("--think", help="reasoning to speak first, between <think> tags")
    parser.add_argument("--pace", type=float, default=0.05, metavar="SECONDS", help="between two pieces (default 0.05)")
    parser.add_argument("--delay-first", type=float, default=0.0, metavar="SECONDS", help="before the first piece")
    parser.add_argument("--fail", metavar="TEXT", help="fail with this message")
    parser.add_argument("--fail-after", type=int, default=0, metavar="N", help="pieces before the failure")
    parser.add_argument("--rewrite-at", type=int, metavar="N", help="rewrite the answer at this piece")
    parser.add_argument("--drop-after", type=int, metavar="N", help="cut the connection after N replies")
    parser.add_argument("--refuse", metavar="TEXT", help="refuse every connection with this message")
    parser.add_argument("--ping-interval", type=float, default=25.0, metavar="SECONDS")
    parser.add_argument("--ping-timeout", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument(
        "--transport", action="append", choices=["polling", "websocket"], dest="transports", help="allow only this; may be given twice"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C; prints the address as the first line of standard output. Exit codes: 0 after Ctrl-C, 1 if it cannot be started."""
    options = vars(_parser().parse_args(arguments))
    try:
        with serve(**options) as server:
            print(server.url, flush=True)
            print(f"Ask it: perplexity-labs ask --url {server.url} 'Tell me a joke'   (Ctrl-C stops the server)", file=sys.stderr)
            threading.Event().wait()
    except LoopbackUnavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    run("perplexity_labs.loopback", main)
