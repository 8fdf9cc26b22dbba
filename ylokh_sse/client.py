"""Asking an OpenAI-compatible server: the client, which only puts together what the other modules do.

A `Client` keeps where to ask and how, and the connections of one event loop. Each question is an `Answer`, entered with ``async with``: entering
asks and raises what went wrong, iterating reads, leaving closes the connection at once, whatever was read by then. There is no default server. The
one that this adapter was first written for is gone, and any other would be somebody's guess.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from ssl import SSLContext
from types import NoneType, TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import aiohttp
from msgspec.structs import replace

from chat_answers.blocking import BlockingIterator, refuse_running_loop, run
from chat_answers.completion import Collector, Completion
from chat_answers.exceptions import ConfigurationError, ConnectionLost, ResponseError
from chat_answers.parts import Part, TextDelta, TextReset
from ylokh_sse.capture.recording import Recording
from ylokh_sse.decoder import ServerSentEvent
from ylokh_sse.exceptions import CaptureError
from ylokh_sse.exchange import Exchange, Manner, Question, Watch, unwatched
from ylokh_sse.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUT, Limits, Timeout, as_timeout
from ylokh_sse.network import AnyNetwork, Network, Watcher, check_proxy, user_agent
from ylokh_sse.request import DEFAULT_MODEL, KEY_VARIABLE, URL_VARIABLE, build_headers, candidates, check_headers, check_key, encode_body, show_url
from ylokh_sse.response import RetryPolicy, as_policy, hide

Item = TypeVar("Item")

Messages = str | Sequence[Mapping[str, object]]
"""One user message, or a history: mappings with a ``role`` and usually ``content``."""


class ClientOptions(TypedDict, total=False):
    """What a `Client` takes beside the URL and the key."""

    headers: Mapping[str, str] | None
    """Sent with every request; they win over our own, the honest ``User-Agent`` included."""

    origin: str | None
    """The header ``Origin``, for servers that insist on one."""

    referer: str | None
    """The header ``Referer``, likewise."""

    proxy: str | None
    """URL of an HTTP proxy, with user and password in it if it wants them."""

    ssl: SSLContext | bool
    """How to check the server's certificate: True by the system's authorities, a context by its own, False not at all."""

    trust_env: bool
    """Take proxies and credentials from the environment, as curl does."""

    timeout: Timeout | float | None
    """How long each stage may take; a number bounds the whole, in seconds (default 120)."""

    retries: RetryPolicy | int
    """How often to ask again what may pass, before anything of an answer came (default 2)."""

    session: aiohttp.ClientSession | None
    """A session whose connections, cookies, headers and middlewares are to be used; it is neither changed nor closed."""

    split_reasoning: bool
    """Whether text between ``<think>`` tags at the beginning of an answer is reasoning (default False)."""

    lenient: bool
    """Whether events that are no chunks are skipped, and counted, instead of ending the answer (default False)."""

    raw_chunks: bool
    """Whether each chunk is also told as it came, as a `RawChunk` before its parts (default False)."""

    limits: Limits
    """How much is kept of what a server sends."""

    record: Recording | str | os.PathLike[str] | None
    """A file for a capture of everything that is asked and answered, which is begun anew, or a `Recording` of several clients (default None)."""

    network: AnyNetwork | None
    """What carries the questions instead of HTTP, such as a replay in memory (`ylokh_sse.replay.play`); it is not closed (default None)."""


class Client:
    """Asks an OpenAI-compatible server for chat completions.

    `base_url` is the server's address with or without ``/v1``; None takes it from the environment (``YLOKH_BASE_URL``). `api_key` likewise
    (``YLOKH_API_KEY``); without one no ``Authorization`` is sent. The rest is `ClientOptions`. Raises `ConfigurationError` for what makes no sense.

    Making one, or entering it, opens nothing. Leaving the ``async with`` block (or `aclose`) ends the answers that are still being read, and closes.
    Questions may be asked side by side. The key is in no repr and no error.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, **options: Unpack[ClientOptions]) -> None:
        unknown = options.keys() - ClientOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"Client() got an unexpected keyword argument {min(unknown)!r}")
        url = base_url or os.environ.get(URL_VARIABLE)
        if not url:
            fix = f"give base_url=, or set {URL_VARIABLE} (python -m ylokh_sse.loopback is a server to try it on)"
            raise ConfigurationError("there is no server to ask: this client has no default one", cause="no-base-url", fix=fix)
        self._base_url = url
        self._urls = candidates(url)
        self._key = check_key(api_key or os.environ.get(KEY_VARIABLE))
        self._headers = check_headers(options.get("headers"))
        check_headers({name: value for name in ("origin", "referer") if (value := options.get(name)) is not None})
        self._options = options
        self._manner = Manner(
            as_timeout(options.get("timeout", DEFAULT_TIMEOUT)),
            _check_kind("limits", options.get("limits", DEFAULT_LIMITS), Limits),
            as_policy(options.get("retries", 2)),
            options.get("split_reasoning", False),
            options.get("lenient", False),
            options.get("raw_chunks", False),
        )
        check_proxy(options.get("proxy"))
        _check_kind("session", options.get("session"), aiohttp.ClientSession, NoneType)
        _check_kind("ssl", options.get("ssl", True), SSLContext, bool)
        record = options.get("record")
        self._recording = record if isinstance(record, Recording | None) else Recording(record)
        self._owns_recording = self._recording is not record
        self._options["record"] = self._recording  # so that a copy does not begin the file once more
        self._network: AnyNetwork | None = None
        self._answers: set[Answer] = set()
        self._closed = False

    # --------------------------------------------------------------------------------------------------------------------------------- asking

    def stream(self, /, messages: Messages, *, model: str = DEFAULT_MODEL, **fields: Any) -> Answer:
        """Ask for an answer as it is written; to be entered with ``async with``, which asks.

        `messages` is one user message or a history, passed on as it is. `fields` go into the body (``temperature=0.2``, ``n=2``, ``tools=[…]``,
        ``stream_options={"include_usage": True}``, or whatever the server knows). Raises `MessageError` and `ConfigurationError` at once.
        """
        return Answer(self, self._question(messages, model, fields, stream=True), self._manner)

    async def complete(self, /, messages: Messages, *, model: str = DEFAULT_MODEL, **fields: Any) -> Completion:
        """Ask for a whole answer, and return it; arguments and errors as for `stream`. Safe to cancel: the connection is closed.

        Nothing comes before the answer is complete, so the wait for the first byte is not bounded by itself, only the whole.
        """
        async with self.whole(messages, model=model, **fields) as answer:
            return await answer.result()

    def whole(self, /, messages: Messages, *, model: str = DEFAULT_MODEL, **fields: Any) -> Answer:
        """As `stream`, for an answer that the server sends in one piece; `complete` is the short way where its sum is all that is wanted."""
        patient = replace(self._manner, timeout=replace(self._manner.timeout, first_byte=None))
        return Answer(self, self._question(messages, model, fields, stream=False), patient)

    def stream_sync(self, /, messages: Messages, *, model: str = DEFAULT_MODEL, **fields: Any) -> BlockingIterator[Part]:
        """Ask, and iterate over the answer as it is written, from ordinary code; arguments and errors as for `stream`.

        Each has a connection of its own, made at the first step and closed at the end, by leaving a ``with`` block or by dropping it. Raises
        `ConfigurationError` where an event loop runs.
        """
        self._refuse_sync("stream_sync", "stream")
        question = self._question(messages, model, fields, stream=True)

        async def parts() -> AsyncGenerator[Part, None]:
            async with self._copy() as client, Answer(client, question, self._manner) as answer:
                async for part in answer:
                    yield part

        return BlockingIterator(parts)

    def complete_sync(self, /, messages: Messages, *, model: str = DEFAULT_MODEL, **fields: Any) -> Completion:
        """Ask for a whole answer from ordinary code, and return it; as `complete`. Raises `ConfigurationError` where an event loop runs."""
        self._refuse_sync("complete_sync", "complete")

        async def main() -> Completion:
            async with self._copy() as client:
                return await client.complete(messages, model=model, **fields)

        return run(main)

    def _refuse_sync(self, name: str, instead: str) -> None:
        refuse_running_loop(name, instead)
        self._raise_if_closed()
        if self._options.get("session") is not None:
            raise ConfigurationError(f"{name} makes an event loop of its own, and a session belongs to another", fix="make a client without session=")

    def _copy(self) -> Client:
        """The same client for another event loop."""
        return Client(self._base_url, self._key, **self._options)

    def _question(self, messages: Messages, model: str, fields: Mapping[str, object], *, stream: bool) -> Question:
        self._raise_if_closed()
        if self._recording is not None:
            self._recording.check()
        headers = build_headers(
            stream=stream,
            user_agent=user_agent(),
            key=self._key,
            origin=self._options.get("origin"),
            referer=self._options.get("referer"),
            headers=self._headers,
        )
        return Question(self._urls, headers, encode_body(messages, model=model, stream=stream, fields=fields))

    # -------------------------------------------------------------------------------------------------------------------------------- leaving

    async def aclose(self) -> None:
        """End every answer that is still being read, and close. Calling it twice is harmless.

        Raises `CaptureError` if something could not be recorded; then all is closed, too.
        """
        closed, self._closed = self._closed, True
        for answer in tuple(self._answers):
            await answer.aclose()
        if self._network is not None and self._network is not self._options.get("network"):
            await self._network.close()
        if self._recording is not None and self._owns_recording and not closed:
            self._recording.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            await self.aclose()
        except CaptureError as failure:
            if error is None:
                raise
            error.add_note(str(failure))  # what ends the block is more important

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise ConfigurationError("the client is closed", cause="client-closed", fix="ask inside the client's block")

    def _open_network(self) -> AnyNetwork:
        self._raise_if_closed()
        if self._network is None:
            options = self._options
            self._network = options.get("network") or Network(
                proxy=options.get("proxy"), ssl=options.get("ssl", True), trust_env=options.get("trust_env", False), session=options.get("session")
            )
        return self._network

    @property
    def _watch(self) -> Watch:
        recording = self._recording
        if recording is None:
            return unwatched

        def watch(url: str, headers: Mapping[str, str], body: bytes) -> Watcher:
            return recording.begin("POST", url, headers, body)

        return watch

    def __repr__(self) -> str:
        return f"<Client of {show_url(self._base_url)}, {'closed' if self._closed else f'{len(self._answers)} answers open'}>"


def _check_kind(name: str, value: Item, *kinds: type) -> Item:
    if not isinstance(value, kinds):
        raise ConfigurationError(f"{name} cannot be {type(value).__name__}, only {' or '.join(kind.__name__ for kind in kinds)}")
    return value


class Answer:
    """One answer, from ``async with`` to its end or to the end of the block.

    Iterate over it, or over its `text`, or ask for its `result`; or iterate over `events`, which is what came before anything was made of it.
    Entering and reading raise `ResponseError`, with the text so far in ``partial``. Cancelling is safe at any moment; the block closes the
    connection.
    """

    def __init__(self, client: Client, question: Question, manner: Manner) -> None:
        self._client = client
        self._question = question
        self._manner = manner
        self._exchange: Exchange | None = None
        self._unread: deque[Part] = deque()
        self._read_whole = False
        self._collector = Collector()
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._exchange is not None:
            raise ConfigurationError("an answer is entered once", cause="answer-used", fix="ask again: make another with stream()")
        exchange = self._exchange = Exchange(self._client._open_network(), self._question, self._manner, self._client._watch)
        self._client._answers.add(self)
        try:
            await exchange.ask()
        except BaseException as error:
            await self.aclose()
            self._hide(error)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response, with lower-case names."""
        return self._entered.headers

    @property
    def partial(self) -> str:
        """The text of the first answer so far."""
        return self._entered.reader.text

    @property
    def skipped(self) -> int:
        """How many events were skipped because they are no chunks (see ``lenient``)."""
        return self._entered.reader.skipped

    @property
    def _entered(self) -> Exchange:
        if self._exchange is None:
            raise ConfigurationError(
                "the question is asked by entering the answer", cause="answer-not-entered", fix="async with client.stream(…) as answer"
            )
        return self._exchange

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        if not self._unread:
            self._unread.extend(await self._read(self._entered.read_parts))
        if not self._unread:
            self._read_whole = True
            raise StopAsyncIteration
        part = self._unread.popleft()
        self._collector.add(part)
        return part

    async def _read(self, read: Callable[[], Awaitable[list[Item]]]) -> list[Item]:
        if self._closed and not self._read_whole:
            raise ConnectionLost("the answer was left before its end", cause="answer-closed", partial=self.partial)
        try:
            return await read()
        except ResponseError as error:
            self._hide(error)
            raise

    def text(self) -> Texts:
        """Iterate over the text of the first answer, and nothing else of it; or await it for what of it is still to come."""
        return Texts(self)

    async def result(self) -> Completion:
        """Read to the end, and return the whole answer, what was read before included."""
        async for _ in self:
            pass
        return self._collector.completion(self._entered.raw)

    def events(self) -> AsyncIterator[ServerSentEvent]:
        """Iterate over the events of the stream as they came, whatever they mean; an answer that came whole is one event.

        It is this or the parts, not both.
        """
        exchange = self._entered
        return _Events(lambda: self._read(exchange.read_events))

    def _hide(self, error: BaseException) -> None:
        if isinstance(error, ResponseError):
            hide(error, self._client._key)

    async def aclose(self) -> None:
        """Close the connection; whoever still reads meets `ConnectionLost`. Harmless when it is closed."""
        self._closed = True
        self._read_whole = self._read_whole or (self._exchange is not None and self._exchange.over and not self._unread)
        self._unread.clear()
        self._client._answers.discard(self)
        if self._exchange is not None:
            self._exchange.abandon()
            await self._exchange.aclose()

    def __repr__(self) -> str:
        return f"<Answer, {'closed' if self._closed else f'{len(self._collector.text)} characters so far'}>"


class Texts:
    """The text among an answer's parts: ``async for`` it piece by piece, or ``await`` all that is still to come.

    Text that the service takes back (`TextReset`) is not in what is awaited. Piece by piece there is no saying so, and only the parts tell.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            part = await anext(self._answer)
            if isinstance(part, TextDelta) and part.index == 0:
                return part.text

    def __await__(self) -> Generator[Any, None, str]:
        return self._all().__await__()

    async def _all(self) -> str:
        pieces: list[str] = []
        async for part in self._answer:
            match part:
                case TextDelta(text, 0):
                    pieces.append(text)
                case TextReset(text, 0):
                    pieces[:] = [text]
        return "".join(pieces)


class _Events:
    """An answer's events, one by one."""

    def __init__(self, read: Callable[[], Awaitable[list[ServerSentEvent]]]) -> None:
        self._read = read
        self._unread: deque[ServerSentEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        if not self._unread:
            self._unread.extend(await self._read())
        if not self._unread:
            raise StopAsyncIteration
        return self._unread.popleft()
