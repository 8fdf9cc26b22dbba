"""The conversation itself: what a question looks like on the wire, and what the replies mean. Pure: no event loop, no clock, no socket.

The dialect is the one that the Labs playground spoke until it was retired (see docs/labs.md). One Socket.IO event asks::

    perplexity_labs  {"version": "2.18", "source": "default", "model": "r1-1776", "messages": [{"role": "user", "content": "…"}]}

and a row of events answers, each with *everything said so far*::

    r1-1776_query_progress  {"output": "Why did the", "final": false, "citations": [], "status": "pending"}
    r1-1776_query_progress  {"output": "Why did the scarecrow win?", "final": true, "citations": ["https://…"], "status": "completed"}

Three properties of it shape this module. The output is cumulative, so a delta is a *conclusion*: it holds where the new text continues the old one,
and where it does not, the server has rewritten its answer and the honest event is `TextReset` with the new text (a slice by the old length would lose
or repeat text). Nothing in a reply names its question, so `AnswerReader` belongs to one question and must see one connection's events only. And
hosts, event names, versions and fields changed many times in the two years in which the service could be watched, so nothing is required of a reply
but what cannot be done without: a missing field means "no news", event names are not trusted, and only an answer that ends without ever having had an
output is an error, which then says what was there instead (`drift`).

The same goes for thoughts, which stand in the output between ``<think>`` tags. Told apart, they are concluded from the whole output too, each time
anew, so that a rewritten output needs no case of its own: text that does not go on is reset. Only a thought has no such event. What was told of it
stays told, and a thought that was replaced by another one is told after it, behind a blank line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chat_answers.exceptions import MessageError, ResponseError, ServiceError, UnexpectedResponse
from chat_answers.parts import JSON, Citations, Finish, Part, ReasoningDelta, TextDelta, TextReset
from chat_answers.reasoning import ThinkSplitter
from chat_answers.surrogates import Mender
from perplexity_labs.drift import DriftLog, is_kind, kind, quote, quote_keys

MODELS = ("r1-1776", "sonar-pro", "sonar", "sonar-reasoning", "sonar-reasoning-pro")
"""The models that the playground offered last. Any other name is passed on as it is: the list is the server's to know."""

DEFAULT_MODEL = "r1-1776"
DEFAULT_EVENT = "perplexity_labs"
DEFAULT_VERSION = "2.18"
DEFAULT_SOURCE = "default"

ROLES = ("system", "user", "assistant")

ANSWER_FIELDS = ("output", "final", "citations")
"""What makes an event's payload a reply, whatever the event is called."""

REPLY_SUFFIX = "_query_progress"
"""How the names of replies ended, of late: ``r1-1776_query_progress``. Such an event is a reply even if its fields are all unknown."""

BETWEEN_THOUGHTS = "\n\n"
"""What is told between a thought and the other one that a server put in its place."""


# --------------------------------------------------------------------------------------------------------------------------------- the question


def encode_request(
    messages: str | Sequence[Mapping[str, object]],
    *,
    model: str = DEFAULT_MODEL,
    version: str = DEFAULT_VERSION,
    source: str = DEFAULT_SOURCE,
) -> dict[str, JSON]:
    """Encode a question as the one argument of the event that asks it.

    A `str` is one user message. A list holds mappings with exactly the keys ``role`` (``system``, ``user`` or ``assistant``) and ``content``: a
    `str`, or a list of ``{"type": "text", "text": …}`` parts, which are joined without a separator. Neighbours with the same role become one message,
    their texts joined by a blank line, because Perplexity's services want the turns to alternate. Whatever else is found raises `MessageError`,
    since leaving it out would ask another question than the caller's. The result shares nothing with the arguments, which are not changed.
    """
    return {"version": version, "source": source, "model": model, "messages": _merge_neighbours(_read_messages(messages))}


def _read_messages(messages: object) -> Iterator[tuple[str, str]]:
    if isinstance(messages, str):
        yield "user", messages
        return
    if isinstance(messages, bytes | bytearray | memoryview) or not isinstance(messages, Sequence):
        raise MessageError(f"expected a str or a list of messages, got {kind(messages)}")
    if not messages:
        raise MessageError("the list of messages is empty: there is nothing to ask")
    for index, message in enumerate(messages):
        yield _read_message(message, index)


def _read_message(message: object, index: int) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise MessageError(f"expected a mapping with role and content, got {kind(message)}", index=index)
    if set(message) != {"role", "content"}:
        raise MessageError(f"expected the keys role and content and no other, got {quote_keys(message)}", index=index)
    role = message["role"]
    if not isinstance(role, str) or role not in ROLES:
        raise MessageError(f"expected one of the roles {', '.join(ROLES)}, got {quote(role)}", index=index)
    return role, _flatten(message["content"], index)


def _flatten(content: object, index: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, bytes | bytearray | memoryview) or not isinstance(content, Sequence):
        raise MessageError(f"expected content to be text or a list of text parts, got {kind(content)}", index=index)
    return "".join(_read_text_part(part, index) for part in content)


def _read_text_part(part: object, index: int) -> str:
    if not isinstance(part, Mapping) or part.get("type") != "text":
        found = quote(part.get("type")) if isinstance(part, Mapping) else kind(part)
        raise MessageError(f"only text can be sent: expected a part of type 'text', got {found}", index=index)
    text = part.get("text")
    if set(part) != {"type", "text"} or not isinstance(text, str):
        raise MessageError(f"expected a text part with the keys type and text (a str) and no other, got {quote_keys(part)}", index=index)
    return text


def _merge_neighbours(messages: Iterator[tuple[str, str]]) -> list[dict[str, str]]:
    merged: list[dict[str, str]] = []
    for role, text in messages:
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += "\n\n" + text
        else:
            merged.append({"role": role, "content": text})
    return merged


# ----------------------------------------------------------------------------------------------------------------------------------- the answer


class AnswerReader:
    """Turns the events that come after one question into the parts of its answer.

    Feed it every event of the connection in order. With `split_reasoning` what stands between ``<think>`` tags before the answer is told as
    `ReasoningDelta`, and the tags are not told at all. `text` is the whole answer so far and `reasoning` all thoughts so far, as the parts told them;
    `finished` becomes true with the part `Finish` or with an error, and `replies` counts the events that were replies, so that a caller can tell a
    server at work from one that talks of other things.
    """

    def __init__(self, *, split_reasoning: bool = False) -> None:
        self.text = ""
        self.reasoning = ""
        self.citations: tuple[JSON, ...] = ()
        self.finished = False
        self.replies = 0
        # Not the same as a non-empty text: an empty output is news too ("I have begun"), and text that was taken back was there.
        self.output_seen = False
        self.text_seen = False
        self._split = split_reasoning
        self._output = ""
        self._thought = ""
        self._drift = DriftLog()

    def receive(self, name: str | float, args: Sequence[JSON]) -> list[Part]:
        """Read one event and return the parts it brings, often none.

        Raises `ServiceError` if the server says that the answer failed, and `UnexpectedResponse` if the reply cannot be understood. Events that are
        no reply (no payload, a payload that is no object, another subject) bring nothing, as does everything after the end.
        """
        if self.finished:
            return []
        data = args[0] if args else None
        if not isinstance(data, dict) or not _is_reply(name, data):
            self._drift.note_unrelated(name, args)
            return []
        self.replies += 1
        self._drift.note_reply(name, data)
        try:
            return self._read(data)
        except ResponseError:
            self.finished = True
            raise

    def drift(self) -> str:
        """Say in one line what of all that came was not as expected, for the message of an error; empty if everything was."""
        return self._drift.describe()

    def _read(self, data: dict[str, JSON]) -> list[Part]:
        complete = _is_final(data)
        self._note_output(data)
        parts: list[Part] = [*self._tell(complete=complete), *self._read_citations(data)]
        self._raise_if_failed(data)
        if complete:
            parts.append(self._finish(data))
        return parts

    def _note_output(self, data: dict[str, JSON]) -> None:
        output = data.get("output")
        if output is None:
            return
        if not is_kind("output", output):
            raise UnexpectedResponse(self.drift(), partial=self.text, raw=data)
        self._output, self.output_seen = output, True
        self.text_seen = self.text_seen or output != ""

    def _tell(self, *, complete: bool) -> Iterator[Part]:
        """Tell how the whole output differs from what was told; what may still become a tag or a character waits until it is `complete`."""
        mender = Mender()
        output = mender.feed(self._output) + (mender.end() if complete else "")
        thought, text = _split_thought(output, complete=complete) if self._split else ("", output)
        yield from self._tell_thought(thought)
        yield from self._tell_text(text)

    def _tell_thought(self, thought: str) -> Iterator[Part]:
        if self._thought.startswith(thought):
            return  # no news, or less than was told, which cannot be taken back
        news = thought[len(self._thought) :] if thought.startswith(self._thought) else BETWEEN_THOUGHTS + thought
        self._thought = thought
        self.reasoning += news
        yield ReasoningDelta(news)

    def _tell_text(self, text: str) -> Iterator[Part]:
        before, self.text = self.text, text
        if not text.startswith(before):
            yield TextReset(text)
        elif text != before:
            yield TextDelta(text[len(before) :])

    def _read_citations(self, data: dict[str, JSON]) -> Iterator[Part]:
        citations = data.get("citations")
        if isinstance(citations, list) and tuple(citations) != self.citations:
            self.citations = tuple(citations)
            yield Citations(self.citations)

    def _raise_if_failed(self, data: dict[str, JSON]) -> None:
        if data.get("status") != "failed":
            return
        reason = _reason(data) or "the server says that the answer failed, and gives no reason"
        raise ServiceError(reason, partial=self.text, raw=data)

    def _finish(self, data: dict[str, JSON]) -> Finish:
        if not self.output_seen:
            raise UnexpectedResponse(f"the answer ended without any text: {self.drift()}", raw=data)
        self.finished = True
        return Finish()


def _split_thought(output: str, *, complete: bool) -> tuple[str, str]:
    """Return what is thought and what is said in an output, without what the splitter would still hold back."""
    splitter = ThinkSplitter()
    parts = [*splitter.split(output), *(splitter.end() if complete else ())]
    thought = "".join(part.text for part in parts if isinstance(part, ReasoningDelta))
    return thought, "".join(part.text for part in parts if isinstance(part, TextDelta))


def _is_reply(name: str | float, data: dict[str, JSON]) -> bool:
    # A failure counts from any event at all: the service sent it under a name of its own, and nothing else can be failing here.
    return str(name).endswith(REPLY_SUFFIX) or any(field in data for field in ANSWER_FIELDS) or data.get("status") == "failed"


def _reason(data: dict[str, JSON]) -> str | None:
    """What the server says about a failure: in a text, or in an object that has one."""
    for field in ("text", "error", "message"):
        said = data.get(field)
        words = said.get("message") if isinstance(said, dict) else said
        if isinstance(words, str) and words.strip():
            return words.strip()
    return None


def _is_final(data: dict[str, JSON]) -> bool:
    # A `final` of another type says nothing: the text "false" would be true, and a cut answer would look complete.
    final = data.get("final")
    return bool(final) if is_kind("final", final) else data.get("status") == "completed"
