"""The client: what a user calls. How one question gets its answer is `exchange`'s business, and what is said there that of `messages`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, Unpack

from chat_answers.blocking import BlockingIterator, refuse_running_loop, run
from chat_answers.completion import Collector, Completion
from chat_answers.exceptions import ConfigurationError
from chat_answers.parts import JSON, Part
from engineio_lite.aio import ConnectOptions, Recording, connect_socketio
from perplexity_labs.exchange import Exchange, Reply
from perplexity_labs.failures import DEFAULT_URL, URL_VARIABLE, retired
from perplexity_labs.messages import DEFAULT_MODEL, DEFAULT_SOURCE, DEFAULT_VERSION, AnswerReader, encode_request
from perplexity_labs.timeouts import Timeout

DEFAULT_JWT = "anonymous-ask-user"
"""What the playground's page sent as its token: everybody's, and no secret."""

Messages = str | Sequence[Mapping[str, object]]
"""A question: a text, or a conversation; see `encode_request`."""


class LabsClient:
    """Asks questions of a server that speaks the dialect of the Labs playground.

    `url` is the server's origin; None takes it from the environment (`PERPLEXITY_LABS_URL`). Without either, every question fails with the cause
    ``service-retired`` before anything is sent. `jwt`, `version` and `source` are what the service wanted to hear. `timeout` bounds each answer; a
    number bounds the whole of it, in seconds. `split_reasoning` tells what stands between ``<think>`` tags apart from the answer. Everything else
    goes to `engineio_lite.aio.connect_socketio` as it is: `proxy`, `transports`, `headers`, `cookies`, `ssl`, `session`, `trust_env`, `recorder`,
    `record` and whatever else `ConnectOptions` has; an unknown keyword is a TypeError. No header is sent that pretends to be a browser or its page:
    give `headers` if a server insists on an Origin.

    Making one, or entering it, opens nothing. Leaving the ``async with`` block (or `aclose`) ends the answers that are still being read, and closes.
    Who only uses the methods for code without an event loop (`complete_sync`, `stream_sync`) has nothing to close.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        jwt: str = DEFAULT_JWT,
        version: str = DEFAULT_VERSION,
        source: str = DEFAULT_SOURCE,
        timeout: Timeout | float = Timeout(),  # noqa: B008  # frozen
        split_reasoning: bool = False,
        **options: Unpack[ConnectOptions],
    ) -> None:
        unknown = options.keys() - ConnectOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"LabsClient() got an unexpected keyword argument {min(unknown)!r}")
        given = url or os.environ.get(URL_VARIABLE)
        self.url = given or DEFAULT_URL
        self._retired = not given
        self._auth = {"jwt": jwt}
        self._version = version
        self._source = source
        self._timeout = Timeout.of(timeout)
        self._split_reasoning = split_reasoning
        if (record := options.get("record")) is not None:
            options["record"] = Recording.of(record)  # one for all questions
        self._options = options
        self._exchanges: set[Exchange] = set()
        self._closed = False

    def stream(self, messages: Messages, *, model: str = DEFAULT_MODEL, split_reasoning: bool | None = None) -> AsyncGenerator[Part, None]:
        """Ask, and iterate over the parts of the answer as they come; the last one is `Finish`.

        `messages` and `model` are as in `encode_request`, which raises `MessageError` at once; `split_reasoning` is the client's if it is None.
        While iterating: `ConfigurationError` for a URL or an option that makes no sense, `MessageError` if the question is too large for the server,
        and for all that goes wrong from then on `ResponseError`, of one of the classes under it, with the text so far in `partial`.

        Several may be iterated over at once. Cancelling is safe at any moment and leaves the connection, as ending the loop early does: at the latest
        when the client is closed, and at once with ``async with contextlib.aclosing(labs.stream(…)) as parts``.
        """
        return self._parts(self._encode(messages, model), split_reasoning)

    async def complete(self, messages: Messages, *, model: str = DEFAULT_MODEL, split_reasoning: bool | None = None) -> Completion:
        """Ask, and return the whole answer; arguments and errors are those of `stream`. Cancelling is safe and leaves the connection."""
        collector = Collector()
        async with aclosing(self.stream(messages, model=model, split_reasoning=split_reasoning)) as parts:
            async for part in parts:
                collector.add(part)
        return collector.completion()

    def complete_sync(self, messages: Messages, *, model: str = DEFAULT_MODEL, split_reasoning: bool | None = None) -> Completion:
        """Do what `complete` does, from code without an event loop; raises `ConfigurationError` where one runs."""
        refuse_running_loop("complete_sync", "`await complete(…)`")
        return run(lambda: self.complete(messages, model=model, split_reasoning=split_reasoning))

    def stream_sync(self, messages: Messages, *, model: str = DEFAULT_MODEL, split_reasoning: bool | None = None) -> BlockingIterator[Part]:
        """Do what `stream` does, from code without an event loop: iterate over it in a plain ``for``, or in a ``with`` block that closes it.

        Raises `ConfigurationError` where an event loop runs. The server's pings are answered while the caller is busy with a part. A `session` or
        a `recorder` or `record` given to this client is used from another thread.
        """
        refuse_running_loop("stream_sync", "`async for part in stream(…)`")
        request = self._encode(messages, model)
        return BlockingIterator(lambda: self._parts(request, split_reasoning))

    async def replies(self, messages: Messages, *, model: str = DEFAULT_MODEL) -> AsyncGenerator[Reply, None]:
        """Ask, and iterate over the events as they come, until the answer is complete: for a look at a dialect that is not known.

        Errors are those of `stream`; one that a reply brings is raised after that reply.
        """
        reader = AnswerReader()
        async with aclosing(self._events(self._encode(messages, model), reader)) as events:
            async for event in events:
                yield event
                reader.receive(event.name, event.args)

    def _encode(self, messages: Messages, model: str) -> dict[str, JSON]:
        return encode_request(messages, model=model, version=self._version, source=self._source)

    async def _parts(self, request: dict[str, JSON], split_reasoning: bool | None) -> AsyncGenerator[Part, None]:
        reader = AnswerReader(split_reasoning=self._split_reasoning if split_reasoning is None else split_reasoning)
        async with aclosing(self._events(request, reader)) as events:
            async for event in events:
                for part in reader.receive(event.name, event.args):
                    yield part

    async def _events(self, request: dict[str, JSON], reader: AnswerReader) -> AsyncGenerator[Reply, None]:
        """Ask, and iterate over what comes until `reader`, to which the caller gives each event, has seen the end."""
        if self._closed:
            raise ConfigurationError("the client is closed", cause="client-closed", fix="ask inside the client's block")
        if self._retired:
            raise retired()
        exchange = Exchange(self._timeout, reader)
        self._exchanges.add(exchange)
        try:
            await exchange.ask(connect_socketio(self.url, auth=self._auth, **self._options), request)
            while not reader.finished:
                yield await exchange.next_event()
        finally:
            await exchange.leave()
            self._exchanges.discard(exchange)

    async def aclose(self) -> None:
        """End every answer that is still being read, and close; bounded by ``timeouts.close`` of the engine. Calling it twice is harmless."""
        self._closed = True
        # An answer of `stream_sync` lives in another loop, and whoever reads it there closes it.
        mine = [exchange for exchange in self._exchanges if exchange.loop is asyncio.get_running_loop()]
        await asyncio.gather(*(exchange.abandon() for exchange in mine))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<LabsClient at {id(self):#x}, {'closed' if self._closed else f'{len(self._exchanges)} answers open'}>"
