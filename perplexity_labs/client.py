"""One question, one connection: the client, which only fetches what `messages` reads and `timeouts` bounds.

Every question gets a Socket.IO connection of its own, opened when the answer is first iterated over and left when it ends, for whatever reason. The
dialect forces that: a reply does not name its question, so the only thing that can tie the two together is the connection on which they travel. On a
shared one the late replies of an answer that was given up would look like the next answer. It costs three round trips a question, next to an answer
of many seconds, and it buys more than order: questions may be asked side by side, nothing idles between them that could time out unseen, and a server
that is no longer listened to learns so at once and can stop writing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

from engineio_lite import EngineIOError, LocalProtocolError
from engineio_lite.aio import ConnectOptions, SocketIOClient, connect_socketio
from perplexity_labs.exceptions import ConnectionLost, LabsError, ResponseTimeout
from perplexity_labs.messages import DEFAULT_EVENT, DEFAULT_MODEL, DEFAULT_SOURCE, DEFAULT_VERSION, JSON, AnswerReader, Part, encode_request
from perplexity_labs.timeouts import Patience, Timeout

DEFAULT_URL = "https://www.perplexity.ai"
"""Where the service was until it was retired in 2025. Nothing there answers any more: give a URL, or set `URL_VARIABLE`."""

URL_VARIABLE = "PERPLEXITY_LABS_URL"
"""The environment variable that replaces `DEFAULT_URL`."""

DEFAULT_JWT = "anonymous-ask-user"
"""What the playground's page sent as its token: everybody's, and no secret."""

Result = TypeVar("Result")


class LabsClient:
    """Asks questions of a server that speaks the dialect of the Labs playground.

    `url` is the server's origin; None takes it from the environment (`URL_VARIABLE`) or else is the retired service. `jwt`, `version` and `source`
    are what the service wanted to hear. `timeout` bounds each answer; a number bounds the whole of it, in seconds. Everything else goes to
    `engineio_lite.aio.connect_socketio` as it is: `proxy`, `transports`, `headers`, `cookies`, `ssl`, `session`, `trust_env`, `recorder` and
    whatever else `ConnectOptions` has; an unknown keyword is a TypeError. No header is sent that pretends to be a browser or its page: give
    `headers` if a server insists on an Origin.

    Making one, or entering it, opens nothing. Leaving the ``async with`` block (or `aclose`) ends the answers that are still being read, and closes.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        jwt: str = DEFAULT_JWT,
        version: str = DEFAULT_VERSION,
        source: str = DEFAULT_SOURCE,
        timeout: Timeout | float = Timeout(),  # noqa: B008  # frozen
        **options: Unpack[ConnectOptions],
    ) -> None:
        unknown = options.keys() - ConnectOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"LabsClient() got an unexpected keyword argument {min(unknown)!r}")
        self.url = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
        self._auth = {"jwt": jwt}
        self._version = version
        self._source = source
        self._timeout = timeout if isinstance(timeout, Timeout) else Timeout(first_token=None, idle=None, total=timeout)
        self._options = options
        self._exchanges: set[_Exchange] = set()
        self._closed = False

    def stream(self, messages: str | Sequence[Mapping[str, object]], *, model: str = DEFAULT_MODEL) -> AsyncGenerator[Part, None]:
        """Ask, and iterate over the parts of the answer as they come; the last one is `Finish`.

        `messages` and `model` are as in `encode_request`, which raises `MessageError` at once. While iterating: an `EngineIOError` if no connection
        can be made or the question is too large for the server; then `ResponseError` if the answer fails, with `ResponseTimeout`, `ConnectionLost`
        and `UnexpectedResponse` under it and the text so far in `partial`.

        Several may be iterated over at once. Cancelling is safe at any moment and leaves the connection, as ending the loop early does: at the latest
        when the client is closed, and at once with ``async with contextlib.aclosing(labs.stream(…)) as parts``.
        """
        request = encode_request(messages, model=model, version=self._version, source=self._source)
        return self._answer(request)

    async def _answer(self, request: dict[str, JSON]) -> AsyncGenerator[Part, None]:
        if self._closed:
            raise LabsError("the client is closed", cause="client-closed", fix="ask inside the client's block")
        exchange = _Exchange(self._timeout)
        self._exchanges.add(exchange)
        try:
            await exchange.ask(connect_socketio(self.url, auth=self._auth, **self._options), request)
            while not exchange.reader.finished:
                for part in await exchange.next_parts():
                    yield part
        finally:
            await exchange.leave()
            self._exchanges.discard(exchange)

    async def aclose(self) -> None:
        """End every answer that is still being read, and close; bounded by ``timeouts.close`` of the engine. Calling it twice is harmless."""
        self._closed = True
        await asyncio.gather(*(exchange.abandon() for exchange in self._exchanges))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<LabsClient at {id(self):#x}, {'closed' if self._closed else f'{len(self._exchanges)} answers open'}>"


class _Exchange:
    """One question and its answer, on a connection of its own."""

    def __init__(self, timeout: Timeout) -> None:
        self.reader = AnswerReader()
        self._loop = asyncio.get_running_loop()
        self._patience = Patience(timeout, self._loop.time())
        self._sio: SocketIOClient | None = None
        self._timer: asyncio.Timeout | None = None
        self._abandoned = False
        self._left = asyncio.Event()
        self._replied = False

    async def ask(self, opening: Awaitable[SocketIOClient], request: dict[str, JSON]) -> None:
        self._sio = await self._bounded(opening)
        try:
            await self._bounded(self._sio.emit(DEFAULT_EVENT, request))
        except LocalProtocolError:
            raise
        except EngineIOError as error:
            raise self._lost(error) from error
        self._patience.asked(self._loop.time())

    async def next_parts(self) -> list[Part]:
        """Read one event; the parts that came before have been handed over by now, so the silence begins here."""
        assert self._sio is not None
        if self._replied:
            self._patience.heard(self._loop.time(), text_seen=self.reader.text_seen)
        try:
            event = await self._bounded(self._sio.receive())
        except EngineIOError as error:
            raise self._lost(error) from error
        replies = self.reader.replies
        parts = self.reader.receive(event.name, event.args)
        self._replied = self.reader.replies > replies
        return parts

    async def leave(self) -> None:
        try:
            if self._sio is not None:
                await self._sio.close()
        finally:
            self._left.set()

    async def abandon(self) -> None:
        """End the exchange from outside: wake whoever waits inside it, who then leaves; close the connection if nobody does."""
        self._abandoned = True
        if self._timer is None:
            await self.leave()
        elif not self._timer.expired():
            self._timer.reschedule(self._loop.time())
            await self._left.wait()

    async def _bounded(self, wish: Awaitable[Result]) -> Result:
        wait = self._patience.wait
        try:
            async with asyncio.timeout_at(wait.until) as self._timer:
                return await wish
        except TimeoutError:
            if self._abandoned:
                raise ConnectionLost("the client was closed", cause="client-closed", partial=self.reader.text) from None
            raise ResponseTimeout(wait.phase, wait.seconds, partial=self.reader.text, hint=self.reader.describe_unrelated()) from None
        finally:
            self._timer = None

    def _lost(self, error: EngineIOError) -> ConnectionLost:
        return ConnectionLost(error.message, cause=error.cause, fix=error.fix, partial=self.reader.text)
