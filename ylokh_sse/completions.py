"""The stream of one completion: server-sent events in, the parts of its answers out. Pure: no event loop, no clock, no socket.

`CompletionReader` is fed every event of one response in order, and told when it has ended. It keeps what a single chunk does not know: which
answers there are, what was said in each, the tool calls that grow, and whether anybody said that it is complete. That last question is the one that a
client must not get wrong, since a connection that ends in an orderly way proves nothing (proxies end them so, and a compressed stream that was cut
looks the same). An answer is complete when the service says so, in one of two ways: a `finish_reason` for each answer that it began, or ``[DONE]``.

Decisions that a reader of the stream might wonder about:

- `Finish` is told at the end of the stream, not with the `finish_reason`. Some services give a reason with every chunk, and go on; others repeat the
  whole answer behind it. Only the end says that nothing belonging to the answer will follow, and the last reason is the service's last word.
- ``[DONE]`` without a `finish_reason` is an end too, because some services never give a reason. The reason is then ``tool_calls`` if tools are to be
  called, else ``stop``.
- ``[DONE]`` when no answer was ever begun is `EmptyResponse`: the service says that it is done with nothing, and taking that for an empty answer
  would hide that something between the model and here swallowed it.
- Usage and citations that a service repeats on each chunk are told once, and where they change. URLs in `citations` are what the text numbers, so
  `search_results`, which say more but are not numbered, stand in for them only while there are none.
- A refusal is text: it is what the model answers.
- `message` under an `object` of a whole completion is everything again. Only what is new in it is told; where it contradicts what was said, that
  was rewritten (`TextReset`).
- An event with a name that is not ours (``ping``) and nothing in it that we know is somebody else's. Under the default name, or the one that chunks
  come under, it is a fault. ``error`` is a failure whatever its data is.

The errors have in `partial` all text of the first answer, also what was held back because it might have become a tag or the rest of a character, and
what came in the same chunk as the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from chat_answers.exceptions import ResponseError, TruncatedAnswer, UnexpectedResponse
from chat_answers.parts import JSON, Citations, Finish, Part, RawChunk, ReasoningDelta, TextDelta, TextReset, Usage
from chat_answers.reasoning import ThinkSplitter
from chat_answers.surrogates import Mender, mend
from ylokh_sse.chunks import (
    REFUSED,
    AnswerNews,
    Chunk,
    Failure,
    Malformed,
    NotAChunk,
    decode_common,
    decode_json,
    find_failure,
    read_chunk,
    read_failure,
)
from ylokh_sse.exceptions import BadJSON, EmptyResponse, StreamError, TooLarge
from ylokh_sse.toolcalls import ToolCalls, TooMany

DEFAULT_MAX_ANSWER_CHARACTERS = 8_000_000
"""Text, reasoning and arguments of all answers to one question together: ten times what the longest context of today holds."""

MAX_ANSWERS = 128
"""Answers to one question: OpenAI's own bound for `n`."""

DONE: Final = "[DONE]"
"""The data of the last event."""

MESSAGE: Final = "message"
"""The name of an event that was given none."""

ERROR: Final = "error"
"""The name of an event that is a failure."""


class Event(Protocol):
    """What is read of a server-sent event."""

    @property
    def event(self) -> str: ...

    @property
    def data(self) -> str: ...


class _Answer:
    """One of the answers: what was said in it so far, and what of it is held back."""

    def __init__(self, index: int, spend: Callable[[int], None], *, split_reasoning: bool) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self.text: list[str] = []
        self._spend = spend
        self.is_plain = not split_reasoning
        """Whether what the service says next can be told as it is: nothing in it is told apart, and nothing is held back that belongs before it."""
        self._splitter = ThinkSplitter(index) if split_reasoning else None
        # What the service said before thoughts were split off; the same list where they are not.
        self._content = self.text if self._splitter is None else []
        self._thoughts: list[str] = []
        self._text_mender = Mender()
        self._thought_mender = Mender()
        self._calls = ToolCalls(index, spend)

    def say(self, content: str) -> list[Part]:
        """The answer goes on: return what of it can be told."""
        self._spend(len(content))
        content = self._text_mender.feed(content)
        self.is_plain = self._splitter is None and not self._text_mender.half
        return self._tell(content) if content else []

    def receive(self, news: AnswerNews) -> list[Part]:
        """Read what a chunk says of this answer."""
        if news.whole:
            parts = [*self._think_whole(news.reasoning), *self._say_whole(news.content), *self._calls.receive_whole(news.calls)]
        else:
            parts = [*self._think(news.reasoning), *self.say(news.content), *self._calls.receive(news.calls)]
        self.finish_reason = news.finish_reason or self.finish_reason
        return parts

    def flush(self) -> list[Part]:
        """Nothing more will be said: return what was held back."""
        parts = [*self._tell_thought(self._thought_mender.end()), *self._tell(self._text_mender.end())]
        return parts + self._note(self._splitter.end()) if self._splitter else parts

    def end(self) -> list[Part]:
        """The answer is complete: return everything that was still to be told of it."""
        reason = self.finish_reason or ("tool_calls" if self._calls else "stop")
        return [*self.flush(), *self._calls.end(), Finish(reason, self.index)]

    def _tell(self, content: str) -> list[Part]:
        if self._splitter is not None:
            self._content.append(content)
            return self._note(self._splitter.split(content))
        if not content:
            return []
        self.text.append(content)
        return [TextDelta(content, self.index)]

    def _note(self, parts: Iterable[TextDelta | ReasoningDelta]) -> list[Part]:
        told: list[Part] = []
        for part in parts:
            (self.text if isinstance(part, TextDelta) else self._thoughts).append(part.text)
            told.append(part)
        return told

    def _think(self, thought: str) -> list[Part]:
        self._spend(len(thought))
        return self._tell_thought(self._thought_mender.feed(thought))

    def _tell_thought(self, thought: str) -> list[Part]:
        if not thought:
            return []
        self._thoughts.append(thought)
        return [ReasoningDelta(thought, self.index)]

    # --- what is said again from its beginning

    def _think_whole(self, thought: str) -> list[Part]:
        thought, told = mend(thought), _join(self._thoughts)
        self._thought_mender.end()
        # There is no way to take a thought back, so a contradiction is left alone.
        return self._think(thought[len(told) :]) if thought.startswith(told) else []

    def _say_whole(self, content: str) -> list[Part]:
        content, told = mend(content), _join(self._content)
        self._text_mender.end()
        if not content or content == told:
            return []
        return self.say(content[len(told) :]) if content.startswith(told) else self._rewrite(content)

    def _rewrite(self, content: str) -> list[Part]:
        """The service says something else than before: what counts is the text, so a difference in the framing of a thought is none."""
        thought, text = "", content
        if self._splitter is not None:
            self._splitter = ThinkSplitter(self.index)
            split = [*self._splitter.split(content), *self._splitter.end()]
            thought = "".join(part.text for part in split if isinstance(part, ReasoningDelta))
            text = "".join(part.text for part in split if isinstance(part, TextDelta))
        self._spend(len(content))
        before = _join(self.text)
        self._content[:] = [content]
        parts = [] if _join(self._thoughts) else self._tell_thought(thought)
        if text != before:
            self.text[:] = [text]
            parts.append(TextReset(text, self.index))
        return parts


def _join(pieces: list[str]) -> str:
    # In place, so that a service which repeats an answer again and again costs no more than what it sends.
    pieces[:] = ["".join(pieces)]
    return pieces[0]


class CompletionReader:
    """Turns the events of one streamed completion into parts, or a completion that came whole into the same parts; used once.

    `split_reasoning` tells what stands between ``<think>`` tags as reasoning. `lenient` skips events that are no chunks; `skipped` counts them.
    `raw_chunks` tells each chunk also as it came (`RawChunk`). `done` says whether ``[DONE]`` was seen.
    """

    def __init__(
        self,
        *,
        split_reasoning: bool = False,
        lenient: bool = False,
        max_answer_characters: int = DEFAULT_MAX_ANSWER_CHARACTERS,
        raw_chunks: bool = False,
    ) -> None:
        self.done = False
        self.skipped = 0
        self._split_reasoning = split_reasoning
        self._lenient = lenient
        self._raw_chunks = raw_chunks
        self._is_short = not raw_chunks
        """Whether a common chunk may be read the short way."""
        self._limit = max_answer_characters
        self._characters = 0
        self._answers: dict[int, _Answer] = {}
        self._usage: Usage | None = None
        self._citations: tuple[JSON, ...] = ()
        self._numbered = False
        """Whether the citations are those that the text numbers, and not search results."""
        self._name = MESSAGE
        """The event name that chunks come under, if not only under the default one."""
        self._speaker = _Answer(-1, self._spend, split_reasoning=False)
        """The answer that the last common chunk went on with; at first one that none goes on with."""
        self._over = False

    @property
    def text(self) -> str:
        """The text of the first answer so far."""
        return "".join(self._answers[min(self._answers)].text) if self._answers else ""

    @property
    def complete(self) -> bool:
        """Whether every answer that was begun has a `finish_reason`: a connection that is lost now has lost nothing of them."""
        return bool(self._answers) and all(answer.finish_reason is not None for answer in self._answers.values())

    def receive(self, event: Event) -> list[Part]:
        """Read one event and return the parts it brings, often none. After an error or ``[DONE]`` nothing more is read.

        Raises `StreamError` if the service says that it failed, `BadJSON` if this is no chunk (unless `lenient`), `TooLarge` if the answer is too
        large, and `EmptyResponse` if it is done without one.
        """
        try:
            if self._is_short and event.event == MESSAGE:
                # See `CommonChunk` for why this is the same as what comes below, only shorter. Nearly every event of a stream is such a one, and a
                # call costs as much as all of it, so it is written out here.
                try:
                    [choice] = decode_common(event.data).choices
                except REFUSED:
                    return self._receive_any(event)
                answer, content, index = self._speaker, choice.delta.content, choice.index
                characters = self._characters + len(content)
                if answer.index != index or not answer.is_plain or characters > self._limit:
                    self._speaker = self._answer(index)
                    return self._speaker.say(content)
                self._characters = characters
                answer.text.append(content)
                return [TextDelta(content, index)]
            return [] if self._over else self._receive_any(event)
        except TooMany as error:
            raise self._fail(TooLarge(str(error), limit=error.limit)) from None

    def end(self, *, dropped: bool = False) -> list[Part]:
        """The response ended in an orderly way, `dropped` says whether in the middle of an event: return what remains to be told.

        Raises `TruncatedAnswer` if an answer is not complete, and `EmptyResponse` if none was begun. Harmless after the end or an error.
        """
        if self._over:
            return []
        cut = "; an event was cut in two" if dropped else ""
        if dropped and not self._answers:
            raise self._fail(TruncatedAnswer(f"no chunk of it came{cut}"))
        open_ = sorted(index for index, answer in self._answers.items() if answer.finish_reason is None)
        if open_:
            which = ", ".join(map(str, open_[:_MAX_NAMED])) + (", …" if len(open_) > _MAX_NAMED else "")
            raise self._fail(TruncatedAnswer(f"expected {DONE} or the finish_reason of answer {which}, got the end of the stream{cut}"))
        return self._close()

    def read_whole(self, body: JSON) -> list[Part]:
        """Read a completion that came whole, decoded from JSON, and return all of its parts.

        Raises `StreamError` if it is an error instead, `UnexpectedResponse` if it is something else, `TooLarge`, and `EmptyResponse` if it has no
        answer. A whole completion is complete, also without a `finish_reason`.
        """
        if self._over:
            return []
        try:
            self._raise_failure(find_failure(body), body)
            return [*self._read(body, read_chunk(body, whole=True)), *self._close()]
        except Malformed as error:
            raise self._fail(UnexpectedResponse(str(error), raw=body)) from None
        except TooMany as error:
            raise self._fail(TooLarge(str(error), limit=error.limit)) from None

    def _receive_any(self, event: Event) -> list[Part]:
        data = event.data.strip()
        if event.event == ERROR:
            self._raise_failure(*_read_error_event(data))
        if not data:
            return []
        if data == DONE:
            self.done = True
            return [*self._close()]
        try:
            value = decode_json(data)
            self._raise_failure(find_failure(value), value)
            chunk = read_chunk(value)
        except Malformed as error:
            self._skip(event, error)
            return []
        if event.event != MESSAGE:
            self._name = event.event
        return self._read(value, chunk)

    def _skip(self, event: Event, error: Malformed) -> None:
        if isinstance(error, NotAChunk) and event.event not in (MESSAGE, self._name):
            return
        if not self._lenient:
            raise self._fail(BadJSON(str(error), data=event.data)) from None
        self.skipped += 1

    def _read(self, value: JSON, chunk: Chunk) -> list[Part]:
        parts: list[Part] = [RawChunk(value)] if self._raw_chunks else []
        for news in chunk.answers:
            parts += self._answer(news.index).receive(news)
        parts += self._cite(chunk)
        self._usage = chunk.usage or self._usage
        return parts

    def _answer(self, index: int) -> _Answer:
        """The answer with this index, which may begin here."""
        if index not in self._answers:
            if len(self._answers) >= MAX_ANSWERS:
                raise TooMany(f"expected at most {MAX_ANSWERS} answers to one question, got more", MAX_ANSWERS)
            self._answers[index] = _Answer(index, self._spend, split_reasoning=self._split_reasoning)
        return self._answers[index]

    def _cite(self, chunk: Chunk) -> list[Part]:
        items = chunk.citations
        self._numbered = self._numbered or bool(items)
        if not self._numbered:
            items = chunk.search_results if chunk.search_results is not None else items
        if items is None or items == self._citations:
            return []
        self._citations = items
        return [Citations(items)]

    def _close(self) -> list[Part]:
        if not self._answers:
            besides = f"; {self.skipped} events that are no chunks were skipped" if self.skipped else ""
            raise self._fail(EmptyResponse(f"expected an answer, got the end of the stream before one began{besides}"))
        self._stop()
        parts = [part for index in sorted(self._answers) for part in self._answers[index].end()]
        return [*parts, self._usage] if self._usage is not None else parts

    def _spend(self, characters: int) -> None:
        self._characters += characters
        if self._characters > self._limit:
            raise TooMany(f"expected an answer of at most {self._limit} characters, got more", self._limit)

    def _raise_failure(self, failure: Failure | None, raw: JSON) -> None:
        if failure is not None:
            raise self._fail(StreamError(failure.message, partial="", raw=raw, type=failure.type, code=failure.code, param=failure.param))

    def _stop(self) -> None:
        self._over = True
        self._is_short = False

    def _fail(self, error: ResponseError) -> ResponseError:
        """Nothing more will be read: the error takes all text with it."""
        self._stop()
        for answer in self._answers.values():
            answer.flush()
        error.partial = self.text
        return error


_MAX_NAMED = 5
"""How many answers an error names; there may be more without an end."""


def _read_error_event(data: str) -> tuple[Failure, JSON]:
    """The data of an event named ``error`` is an error, an object that has one, or just words."""
    try:
        value = decode_json(data)
    except NotAChunk:
        return read_failure(data), data
    return find_failure(value) or read_failure(value), value
