"""The server itself: takes requests on this machine, checks what is asked, performs the steps of the script, and remembers who asked what.

aiohttp does the HTTP. What is not in its nature, a response that breaks its own framing, is done to the connection underneath.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import socket
import struct
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from aiohttp import web

from chat_answers.loopback import Entrance, ThreadedServer
from chat_answers.parts import JSON
from ylokh_sse.loopback.answer import At, Cut, Head, Raw, Say, Stall, Step, Wait, reply_steps, steps
from ylokh_sse.loopback.question import BadQuestion, read_question
from ylokh_sse.loopback.script import Reply, Script, to_json

DEFAULT_MODELS: Final = ("gpt-3.5-turbo",)

MOVED: Final = "/moved"
"""Where a redirect leads: everything is there once more."""

MAX_REQUESTS: Final = 1000
"""How many requests are remembered, the last ones: more than any test makes, and a server that runs for days does not grow."""

_NOT_FOUND: Final = 404
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Request:
    """One request, as the server saw it.

    `headers` have lower-case names; `connection` numbers the connection that it came on, from 1; `status` is what it was answered with, None until
    then. `stalled` tells whether its answer waits to be told to go on, `answered` whether everything was said, and `left_early` whether the client
    went away before that. A client that leaves after the last word was written was not early, whether it has read it or not.
    """

    def __init__(self, request: web.BaseRequest, body: bytes, connection: int) -> None:
        self.method = request.method
        self.path = request.path
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = body
        self.connection = connection
        self.status: int | None = None
        self.stalled = False
        self.answered = False
        self.left_early = False

    @property
    def json(self) -> JSON:
        """The body, decoded; raises ValueError if it is no JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        # Without headers and body: they may hold a key.
        fate = "left early" if self.left_early else "answered" if self.answered else "stalled" if self.stalled else "being answered"
        return f"<Request {self.method} {self.path} {self.status or ''} {fate}>"


class StepServer(ThreadedServer):
    """A server that remembers who asked what, and answers in steps, which a subclass chooses (`plan`).

    It listens on this machine only; raises ValueError for a `host` that is another one.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"expected a loopback address, got {host!r}: this server is for this machine only")
        super().__init__(name)
        self._host, self._port = host, port
        self._requests: deque[Request] = deque(maxlen=MAX_REQUESTS)
        self._came = 0
        self._busy = 0
        self._connections: dict[asyncio.Transport, int] = {}
        self._connected = 0
        # Both belong to the server's loop, where nothing waits for them before `main` has begun; each is set once and then replaced.
        self._changed: asyncio.Event
        self._flow: asyncio.Event

    @abstractmethod
    def plan(self, http: web.BaseRequest, body: bytes) -> Iterable[Step]:
        """Choose what to do about a request; called in the server's thread."""

    @property
    def requests(self) -> list[Request]:
        """What came, in order."""
        return list(self._requests)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, which is asked in the server's thread whenever something has happened there; cancelling it is safe."""
        await self.ask(self._until(condition))

    async def everyone_left(self) -> None:
        """Wait until no request is being answered (at once if none ever was); cancelling it is safe."""
        await self.until(lambda: self._busy == 0)

    def go_on(self) -> None:
        """Let those answers go on that stall now."""
        self.tell(self._go_on)

    # --- Everything below runs in the server's thread.

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _note(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _go_on(self) -> None:
        self._flow.set()
        self._flow = asyncio.Event()

    async def main(self) -> None:
        self._changed, self._flow = asyncio.Event(), asyncio.Event()
        # A client that goes away cancels its handler, which is how we know.
        server = web.Server(self._take, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await runner.setup()
        try:
            entrance = Entrance(server, self._host, self._port)
            try:
                self.listening(entrance.origin)
                await self.stopping.wait()
            finally:
                await entrance.close()
        finally:
            await runner.cleanup()

    async def _take(self, http: web.BaseRequest) -> web.StreamResponse:
        transport = http.transport
        assert transport is not None
        self._busy += 1
        try:
            return await self._answer(http, transport)
        finally:
            self._busy -= 1
            self._note()

    async def _answer(self, http: web.BaseRequest, transport: asyncio.Transport) -> web.StreamResponse:
        number = self._number(transport)
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            body, plan = b"", iter(reply_steps(Reply.error(413, "The request is too large.")))
        else:
            plan = iter(self.plan(http, body))
        self._came += 1
        request = Request(http, body, number)
        self._requests.append(request)
        self._note()
        try:
            return await self._perform(http, request, plan)
        except (asyncio.CancelledError, ConnectionError) as error:
            # Ours, if we cut the connection ourselves; else the client has gone.
            request.left_early = not request.answered
            if isinstance(error, asyncio.CancelledError):
                raise
            return web.StreamResponse()  # for nobody: aiohttp would make a noise about an exception

    def _number(self, transport: asyncio.Transport) -> int:
        for ended in [each for each in self._connections if each.is_closing()]:
            del self._connections[ended]
        if transport not in self._connections:
            self._connected += 1
            self._connections[transport] = self._connected
        return self._connections[transport]

    # --- How to answer.

    async def _perform(self, http: web.BaseRequest, request: Request, plan: Iterable[Step]) -> web.StreamResponse:
        response = web.StreamResponse()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for step in plan:
            match step:
                case Head(status, headers):
                    response = self._response(status, headers)
                    request.status = status
                    await response.prepare(http)
                case Say(data):
                    await response.write(data)
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case At(seconds):
                    await asyncio.sleep(began + seconds - loop.time())
                case Raw(data):
                    if http.transport is not None:
                        http.transport.write(data)
                case Stall():
                    await self._stall(request)
                case Cut(how):
                    request.answered = True
                    _cut(http.transport, how)
        request.answered = True
        return response

    def _response(self, status: int, headers: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"X-Request-Id": f"req-{self._came}", **headers})
        if "Content-Length" not in response.headers:
            response.enable_chunked_encoding()
        return response

    async def _stall(self, request: Request) -> None:
        request.stalled = True
        self._note()
        await self._flow.wait()
        request.stalled = False


class LoopbackServer(StepServer):
    """An OpenAI-compatible server from `async with` (or `with`) to the end of the block; make one with `serve`.

    `url` is the base URL, with ``/v1``; `origin` is it without. `requests` are those that came, in order, with the last `MAX_REQUESTS` kept.
    Entering raises `LoopbackUnavailable`; leaving cuts what is still connected.
    """

    def __init__(self, scripts: Sequence[Script], *, key: str | None, models: Sequence[str], only_models: bool, host: str, port: int) -> None:
        super().__init__("ylokh_sse.loopback", host, port)
        self._scripts = list(scripts) or [Script()]
        self._key, self._models, self._only_models = key, tuple(models), only_models
        self._used = 0

    @property
    def url(self) -> str:
        """The base URL, ``http://127.0.0.1:PORT/v1``."""
        return f"{self.origin}/v1"

    # --- What to answer.

    def plan(self, http: web.BaseRequest, body: bytes) -> Iterable[Step]:
        refusal = self._refusal(http)
        if refusal is not None:
            return reply_steps(refusal)
        path = http.path.removeprefix(MOVED).removeprefix("/v1")
        match http.method, path:
            case "GET", "/models":
                models = [{"id": model, "object": "model", "created": 0, "owned_by": "loopback"} for model in self._models]
                return reply_steps(Reply(body=to_json({"object": "list", "data": models})))
            case "POST", "/chat/completions":
                return self._chat(http, body)
            case _, "/models" | "/chat/completions":
                return reply_steps(Reply.error(405, f"Not allowed to {http.method} on {http.path}."))
        return reply_steps(Reply.error(_NOT_FOUND, f"Unknown request URL: {http.method} {http.path}.", code="unknown_url"))

    def _refusal(self, http: web.BaseRequest) -> Reply | None:
        if self._key is None:
            return None
        scheme, _, key = http.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return Reply.error(401, "You didn't provide an API key: expected the header Authorization: Bearer KEY.")
        if not hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self._key.encode()):
            return Reply.error(401, "Incorrect API key provided.", code="invalid_api_key")
        return None

    def _chat(self, http: web.BaseRequest, body: bytes) -> Iterable[Step]:
        try:
            question = read_question(body)
        except BadQuestion as error:
            return reply_steps(error.reply)
        if self._only_models and question.model not in self._models:
            message = f"The model {question.model!r} does not exist or you do not have access to it."
            return reply_steps(Reply.error(_NOT_FOUND, message, param="model", code="model_not_found"))
        script = self._scripts[min(self._used, len(self._scripts) - 1)]
        if script.redirect is not None and not http.path.startswith(MOVED):
            return reply_steps(Reply(status=script.redirect, headers={"Location": MOVED + http.path}))
        self._used += 1
        return steps(script, question)


def _cut(transport: asyncio.Transport | None, how: str) -> None:
    if transport is None or how in ("end", "half"):
        return  # gone already; or aiohttp ends the body as it should
    if how == "reset":
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    else:
        transport.close()


def serve(
    *scripts: Script,
    fail_first: int = 0,
    fail_with: Reply | None = None,
    key: str | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    only_models: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
) -> LoopbackServer:
    """Make a server that answers by these scripts, in an `async with` or a `with` block.

    The first question that can be answered gets the first script, the next one the next, and all others the last; none at all is ``Script()``. Before
    them `fail_first` questions get `fail_with` (None: a 503). With a `key`, requests without it get a 401. `models` is what ``GET /v1/models`` lists,
    and with `only_models` nothing else is served. `port` 0 takes any free one. Raises ValueError for a `host` that is not loopback.
    """
    failures = [Script(instead=fail_with or Reply.error(503, "The server is overloaded."))] * fail_first
    return LoopbackServer([*failures, *(scripts or (Script(),))], key=key, models=models, only_models=only_models, host=host, port=port)
