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
output is an error, which then says what was there instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from perplexity_labs.exceptions import MessageError, ResponseError, UnexpectedResponse

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict of the same."""

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

MAX_QUOTED_KEYS = 20
"""How many keys of an unexpected payload an error names: enough for any real reply, and a bound on what a server can make us say."""

MAX_NOTED_EVENTS = 5
"""How many different unrelated events are remembered for the message of a timeout."""


class TextDelta(msgspec.Struct, frozen=True, tag="text_delta"):
    """The answer goes on: append `text`, which is never empty."""

    text: str


class TextReset(msgspec.Struct, frozen=True, tag="text_reset"):
    """The server rewrote its answer: forget the text so far, `text` is the whole of it (and may be empty)."""

    text: str


class Citations(msgspec.Struct, frozen=True, tag="citations"):
    """The sources of the answer changed: `items` is the whole list, usually of URLs, in the order in which the text numbers them from 1."""

    items: tuple[JSON, ...]


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The answer is complete: always the last part, and there is exactly one in an answer that did not fail."""

    reason: str = "stop"


Part: TypeAlias = TextDelta | TextReset | Citations | Finish
"""What an answer consists of. Later versions may add kinds, so leave a ``case _`` in a ``match``."""


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
        raise MessageError(f"expected a str or a list of messages, got {_kind(messages)}")
    if not messages:
        raise MessageError("the list of messages is empty: there is nothing to ask")
    for index, message in enumerate(messages):
        yield _read_message(message, index)


def _read_message(message: object, index: int) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise MessageError(f"expected a mapping with role and content, got {_kind(message)}", index=index)
    if set(message) != {"role", "content"}:
        raise MessageError(f"expected the keys role and content and no other, got {_quote_keys(message)}", index=index)
    role = message["role"]
    if not isinstance(role, str) or role not in ROLES:
        raise MessageError(f"expected one of the roles {', '.join(ROLES)}, got {_quote(role)}", index=index)
    return role, _flatten(message["content"], index)


def _flatten(content: object, index: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, bytes | bytearray | memoryview) or not isinstance(content, Sequence):
        raise MessageError(f"expected content to be text or a list of text parts, got {_kind(content)}", index=index)
    return "".join(_read_text_part(part, index) for part in content)


def _read_text_part(part: object, index: int) -> str:
    if not isinstance(part, Mapping) or part.get("type") != "text":
        found = _quote(part.get("type")) if isinstance(part, Mapping) else _kind(part)
        raise MessageError(f"only text can be sent: expected a part of type 'text', got {found}", index=index)
    text = part.get("text")
    if set(part) != {"type", "text"} or not isinstance(text, str):
        raise MessageError(f"expected a text part with the keys type and text (a str) and no other, got {_quote_keys(part)}", index=index)
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

    Feed it every event of the connection in order. `text` is the whole answer so far, `finished` becomes true with the part `Finish` or with an
    error, and `replies` counts the events that were replies, so that a caller can tell a server at work from one that talks of other things.
    """

    def __init__(self) -> None:
        self.text = ""
        self.citations: tuple[JSON, ...] = ()
        self.finished = False
        self.replies = 0
        # Not the same as a non-empty text: an empty output is news too ("I have begun"), and text that was taken back was there.
        self.output_seen = False
        self.text_seen = False
        self._unrelated: dict[str, None] = {}

    def receive(self, name: str | float, args: Sequence[JSON]) -> list[Part]:
        """Read one event and return the parts it brings, often none.

        Raises `ResponseError` if the server says that the answer failed, and `UnexpectedResponse` if the reply cannot be understood. Events that are
        no reply (no payload, a payload that is no object, another subject) bring nothing, as does everything after the end.
        """
        if self.finished:
            return []
        data = args[0] if args else None
        if not isinstance(data, dict) or not _is_reply(name, data):
            self._note_unrelated(name, args)
            return []
        self.replies += 1
        try:
            parts = [*self._read_output(data), *self._read_citations(data)]
            self._raise_if_failed(data)
            if _is_final(data):
                parts.append(self._finish(data))
        except ResponseError:
            self.finished = True
            raise
        return parts

    def describe_unrelated(self) -> str:
        """Say which events came if none of them was a reply, for the message of a timeout; else empty."""
        if self.replies or not self._unrelated:
            return ""
        return f"what came is no reply: {', '.join(self._unrelated)}"

    def _read_output(self, data: dict[str, JSON]) -> Iterator[Part]:
        output = data.get("output")
        if output is None:
            return
        if not isinstance(output, str):
            raise UnexpectedResponse(f"expected `output` to be text, got {_kind(output)}", partial=self.text, raw=data)
        before, self.text, self.output_seen = self.text, output, True
        self.text_seen = self.text_seen or output != ""
        if not output.startswith(before):
            yield TextReset(output)
        elif output != before:
            yield TextDelta(output[len(before) :])

    def _read_citations(self, data: dict[str, JSON]) -> Iterator[Part]:
        citations = data.get("citations")
        if isinstance(citations, list) and tuple(citations) != self.citations:
            self.citations = tuple(citations)
            yield Citations(self.citations)

    def _raise_if_failed(self, data: dict[str, JSON]) -> None:
        if data.get("status") != "failed":
            return
        reasons = (data.get(field) for field in ("text", "error", "message"))
        reason = next((reason.strip() for reason in reasons if isinstance(reason, str) and reason.strip()), None)
        raise ResponseError(reason or "the server says that the answer failed, and gives no reason", partial=self.text, raw=data)

    def _finish(self, data: dict[str, JSON]) -> Finish:
        if not self.output_seen:
            raise UnexpectedResponse(f"the answer ended without any text: expected `output`, saw {_quote_keys(data)}", raw=data)
        self.finished = True
        return Finish()

    def _note_unrelated(self, name: str | float, args: Sequence[JSON]) -> None:
        if len(self._unrelated) < MAX_NOTED_EVENTS:
            self._unrelated[f"{_quote(name)} with {_describe_payload(args)}"] = None


def _is_reply(name: str | float, data: dict[str, JSON]) -> bool:
    # A failure counts from any event at all: the service sent it under a name of its own, and nothing else can be failing here.
    return str(name).endswith(REPLY_SUFFIX) or any(field in data for field in ANSWER_FIELDS) or data.get("status") == "failed"


def _is_final(data: dict[str, JSON]) -> bool:
    final = data.get("final")
    return bool(final) if final is not None else data.get("status") == "completed"


# ------------------------------------------------------------------------------------------------------------------------ words for error messages


def _quote(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"


def _quote_keys(mapping: Mapping[str, object]) -> str:
    if not mapping:
        return "no keys"
    shown = [_quote(key) for key in list(mapping)[:MAX_QUOTED_KEYS]]
    return f"keys {', '.join(shown)}" + (", …" if len(mapping) > MAX_QUOTED_KEYS else "")


def _describe_payload(args: Sequence[JSON]) -> str:
    if not args:
        return "no payload"
    return _quote_keys(args[0]) if isinstance(args[0], dict) else _kind(args[0])


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
