"""One question and its answer: asking until somebody answers, then reading to the end.

The order of things lives here, and nothing else: what is sent is made in `request`, what an answer means is decided in `response`, `decoder` and
`completions`, and the bytes travel in `network`. Each wait is bounded by `Patience`, and each error leaves with the text so far.

A question is asked again only while nothing of an answer has come. From the first byte on a second answer would be another one, and the caller has
seen the beginning of the first.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from chat_answers.exceptions import ConnectionLost, Phase, ResponseError, ResponseTimeout
from chat_answers.parts import JSON, Part
from chat_answers.timeouts import Patience
from ylokh_sse.capture.lines import CANCELLED
from ylokh_sse.completions import DONE, CompletionReader
from ylokh_sse.decoder import ServerSentEvent, SSEDecoder
from ylokh_sse.exceptions import APIError, BadJSON, TooLarge
from ylokh_sse.limits import MAX_ERROR_TIME, Limits, Timeout
from ylokh_sse.network import NOBODY, AnyNetwork, AnyResponse, Watcher
from ylokh_sse.request import show_url
from ylokh_sse.response import Kind, RetryPolicy, can_tell, decode_json, excerpt, explain, forget_blanks, is_nothing_here, judge

Result = TypeVar("Result")


class Question(msgspec.Struct, frozen=True):
    """What is asked: where, with what, and what is secret in it."""

    urls: tuple[str, ...]
    """Where it may be asked, in the order in which that is tried."""
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Question to {show_url(self.urls[0])}>"


class Manner(msgspec.Struct, frozen=True):
    """How it is asked."""

    timeout: Timeout
    limits: Limits
    policy: RetryPolicy
    split_reasoning: bool = False
    lenient: bool = False
    raw_chunks: bool = False


Watch = Callable[[str, Mapping[str, str], bytes], Watcher]
"""Called with the URL, the headers and the body before a question is sent, each time that it is; returns who is told what becomes of it."""


def unwatched(url: str, headers: Mapping[str, str], body: bytes) -> Watcher:
    """Tell nobody."""
    return NOBODY


class Exchange:
    """One question, from being asked to the end of its answer; used once, and to be closed with `aclose`.

    `ask` finds somebody who answers; then `read_parts` or `read_events` is called until it returns nothing. All raise `ResponseError` with the text
    so far. `watch` may raise, and then nothing is sent.
    """

    def __init__(self, network: AnyNetwork, question: Question, manner: Manner, watch: Watch = unwatched) -> None:
        self.reader = CompletionReader(split_reasoning=manner.split_reasoning, lenient=manner.lenient, max_answer_characters=manner.limits.max_answer)
        self.raw: JSON = None
        """The reply where it came as one, else None."""
        self._decoder = SSEDecoder(max_event_bytes=manner.limits.max_event)
        self._network = network
        self._question = question
        self._manner = manner
        self._loop = asyncio.get_running_loop()
        self._patience = Patience(manner.timeout.total, self._loop.time())
        self._timer: asyncio.Timeout | None = None
        self._response: AnyResponse | None = None
        self._watch = watch
        self._watcher: Watcher = NOBODY
        self._head = b""
        self._heard = False
        """Whether a byte of an answer's body has come."""
        self._kind = Kind.EVENTS
        self.over = False
        """Whether the answer was read to its end."""
        self._failure: ResponseError | None = None
        self._abandoned = False

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the answer, with lower-case names; empty while there is none."""
        return self._response.headers if self._response is not None else {}

    # --------------------------------------------------------------------------------------------------------------------------------- asking

    async def ask(self) -> None:
        """Ask until somebody answers, as often as the policy allows. Raises `ResponseError` otherwise; then nothing is left open."""
        attempt = 1
        while True:
            try:
                await self._ask_everywhere()
                return
            except ResponseError as error:
                begun = self._heard and not isinstance(error, APIError)
                await self._let_go()
                wait = None if begun or self._abandoned else self._manner.policy.wait(error, attempt, random.random())
                if wait is None or not self._patience.allows(wait, self._loop.time()):
                    raise
            attempt += 1
            self._await(Phase.TOTAL, None)
            await self._bounded(asyncio.sleep(wait))

    async def _ask_everywhere(self) -> None:
        """Ask at each URL until there is somebody at one of them."""
        *guesses, last = self._question.urls
        first: ResponseError | None = None
        for url in guesses:
            try:
                await self._ask_at(url)
                return
            except ResponseError as error:
                await self._let_go()
                if not is_nothing_here(error):
                    raise
                first = error
        try:
            await self._ask_at(last)
        except ResponseError as error:
            if first is not None and is_nothing_here(error):
                raise first from None
            raise

    async def _ask_at(self, url: str) -> None:
        self._await(Phase.CONNECT, self._manner.timeout.connect)
        headers, body = self._question.headers, self._question.body
        self._watcher = self._watch(url, headers, body)
        self._response = await self._bounded(self._network.post(url, headers, body, self._connected, self._watcher))
        if self._response.status != 200:
            raise explain(self._response.status, self._response.headers, await self._read_refusal(), now=time.time())
        while not can_tell(self._head):
            data = await self._read()
            if not data:
                break
            self._head = forget_blanks(self._head + data)
        self._kind = judge(self._response.content_type, self._head)

    def _connected(self) -> None:
        self._await(Phase.FIRST_BYTE, self._manner.timeout.first_byte)
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(self._patience.wait.until)

    async def _read_refusal(self) -> bytes:
        """The beginning of a refusal's body; whatever came is enough when it breaks, or does not end in time."""
        assert self._response is not None
        body = b""
        try:
            async with asyncio.timeout(MAX_ERROR_TIME):
                while len(body) < self._manner.limits.max_error and (data := await self._read()):
                    body += data
        except TimeoutError:
            pass  # the evidence is incomplete, and the status says enough
        except ResponseError:
            if self._abandoned:
                raise
        return body[: self._manner.limits.max_error]

    # -------------------------------------------------------------------------------------------------------------------------------- reading

    async def read_parts(self) -> list[Part]:
        """Read on until there is something to tell, and return it; empty at the end of the answer.

        An error is raised once everything that came before it has been returned. Not to be mixed with `read_events`.
        """
        parts: list[Part] = []
        while not parts:
            if self._failure is not None:
                raise self._failure
            if self.over:
                break
            try:
                await self._read_on(parts)
            except ResponseError as error:
                self._failure = error
        return parts

    async def _read_on(self, parts: list[Part]) -> None:
        """Add what the next piece of the answer brings, also if it ends in an error."""
        reader = self.reader
        if self._kind is Kind.JSON:
            self.raw = await self._read_json()
            parts += reader.read_whole(self.raw)
            self.over = True
            return
        try:
            data = await self._next_piece()
        except ConnectionLost:
            if not reader.complete or self._abandoned:
                raise
            data = b""  # every answer was finished, so it broke only what would have followed
        if not data:
            parts += self._read_end()
            self.over = True
            return
        for event in self._decoder.feed(data):
            parts += reader.receive(event)
        self._raise_if_too_large()
        self.over = reader.done

    def _read_end(self) -> list[Part]:
        """What the end of the body means. An event whose blank line never came is dropped, as the standard says, but for a last ``[DONE]``."""
        unfinished = self._decoder.feed(b"\n\n")
        if unfinished and unfinished[-1].data.strip() == DONE:
            return self.reader.receive(unfinished[-1])
        return self.reader.end(dropped=bool(unfinished))

    async def read_events(self) -> list[ServerSentEvent]:
        """Read on until an event is complete, and return what is; empty at the end, which is after ``[DONE]`` as it is for parts.

        An answer that came as one body is one event.
        """
        if self.over:
            return []
        if self._kind is Kind.JSON:
            body = await self._read_body()
            self.over = True
            return [ServerSentEvent(data=body.decode(errors="replace"))]
        self._raise_if_too_large()
        while data := await self._next_piece():
            if events := self._decoder.feed(data):
                return self._up_to_done(events)
            self._raise_if_too_large()
        self.over = True
        return []

    def _up_to_done(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        """Nothing follows the last event, and the connection may well stay open."""
        last = next((number for number, event in enumerate(events, 1) if event.data.strip() == DONE), None)
        self.over = last is not None
        return events[:last]

    async def _next_piece(self) -> bytes:
        head, self._head = self._head, b""
        return head or await self._read()

    def _raise_if_too_large(self) -> None:
        """The decoder gives what was good first, so it is asked afterwards."""
        if (error := self._decoder.error) is not None:
            raise TooLarge(error.message, limit=error.limit, partial=self.reader.text)

    async def _read_json(self) -> JSON:
        body = await self._read_body()
        try:
            return decode_json(body)
        except ValueError as error:
            text = body.decode(errors="replace")
            raise BadJSON(f"the answer is no JSON ({error}): {excerpt(body)}", data=text) from None

    async def _read_body(self) -> bytes:
        limit = self._manner.limits.max_body
        pieces = []
        size = 0
        while data := await self._next_piece():
            pieces.append(data)
            size += len(data)
            if size > limit:
                raise TooLarge(f"the answer is larger than {limit} bytes", limit=limit)
        return b"".join(pieces)

    async def _read(self) -> bytes:
        """The next piece of the body, empty at its end."""
        assert self._response is not None
        if self._heard:
            # The wait begins now: the caller's own time between two pieces is nobody's silence.
            self._await(Phase.IDLE, self._manner.timeout.idle)
        data = await self._bounded(self._response.read())
        self._heard = True
        return data

    # -------------------------------------------------------------------------------------------------------------------------------- waiting

    def _await(self, phase: Phase, seconds: float | None) -> None:
        self._patience.await_next(phase, seconds, self._loop.time())

    async def _bounded(self, wish: Coroutine[Any, Any, Result]) -> Result:
        if self._abandoned:
            wish.close()  # there is nothing left to do it with
            raise self._left_alone()
        try:
            async with asyncio.timeout_at(self._patience.wait.until) as self._timer:
                return await wish
        except TimeoutError:
            if self._abandoned:
                raise self._left_alone() from None
            wait = self._patience.wait
            timeout = ResponseTimeout(wait.phase, wait.seconds, partial=self.reader.text)
            self._watcher.ended(timeout.cause)
            raise timeout from None
        except ResponseError as error:
            if self._abandoned:
                raise self._left_alone() from None  # whatever it is, it comes of closing
            error.partial = error.partial or self.reader.text
            raise
        finally:
            self._timer = None

    def _left_alone(self) -> ConnectionLost:
        return ConnectionLost("the client was closed", cause="client-closed", partial=self.reader.text)

    # -------------------------------------------------------------------------------------------------------------------------------- leaving

    def abandon(self) -> None:
        """Wake whoever waits in here, who then meets the end; nothing more will be read."""
        self._abandoned = True
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(self._loop.time())

    async def _let_go(self) -> None:
        response, self._response, self._head, self._heard = self._response, None, b"", False
        if response is not None:
            await response.aclose()

    async def aclose(self) -> None:
        """Let go of the connection; harmless when that is done."""
        response = self._response
        if response is not None:
            await response.aclose(linger=self.over)
        self._watcher.ended(CANCELLED)  # while there was no answer yet
