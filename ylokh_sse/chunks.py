"""What one chunk of a streamed completion says: JSON that may be anything in, a `Chunk` of plain typed news out. Pure, and without a memory.

OpenAI's chunk is this, and most of the servers that call themselves compatible send something near it::

    {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": null}], "usage": null}

The nearness is the subject of this module. A field that is missing or null says nothing. What has several shapes in the wild is read in all of them,
and what has none that is known is `Malformed`. Where a choice has both, `delta` is what is new and `message` repeats everything said so far:
Perplexity sends both on each chunk. So `message` counts only where there is no `delta`, or in a chunk whose `object` says that it is the whole
completion.

Text is given as it came, so it may begin or end with half of a surrogate pair, which only the reader of the whole stream can mend. All other text
is mended here.

Reference: OpenAI's "The chat completion chunk object"; the pages of the services that are named below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, NoReturn

import msgspec
from msgspec.structs import replace

from chat_answers.parts import JSON, Usage
from chat_answers.surrogates import mend

MAX_DEPTH = 32
"""How deeply the values that are handed on as they are (usage, sources, arguments) may be nested. Real ones have three levels; Python's own code for
comparing and writing them is recursive, and should not meet hundreds by surprise."""

MAX_QUOTED = 80
"""Characters of a chunk that a message quotes: enough to recognise it. The error's `data` has all of it."""

WHOLE: Final = frozenset({"chat.completion", "chat.completion.done"})
"""The values of `object` under which `message` is the whole answer: that of a completion which is not streamed, and Perplexity's last one."""

FUNCTION_CALL = -1
"""The index that stands for the one call of a legacy `function_call`, which has none."""

_SUBJECTS: Final = frozenset({"choices", "usage", "citations", "search_results"})
"""An object with none of these is no chunk."""


class Malformed(Exception):
    """What came is no chunk of a completion; the text says what was expected and what came instead."""


class NotAChunk(Malformed):
    """What came does not even look like one: no JSON, no object, or an object that speaks of other things."""


class Failure(msgspec.Struct, frozen=True):
    """The service's own words on its failure."""

    message: str
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class CallNews(msgspec.Struct, frozen=True):
    """What a chunk says of one tool call; None and empty are no news."""

    index: int | None
    id: str | None
    name: str | None
    arguments: str


class AnswerNews(msgspec.Struct, frozen=True):
    """What a chunk says of one answer. If `whole`, it repeats what was said before, else it goes on from there."""

    index: int
    content: str = ""
    reasoning: str = ""
    calls: tuple[CallNews, ...] = ()
    finish_reason: str | None = None
    whole: bool = False


class Chunk(msgspec.Struct, frozen=True):
    """What a chunk says; None is no news."""

    answers: tuple[AnswerNews, ...] = ()
    usage: Usage | None = None
    citations: tuple[JSON, ...] | None = None
    search_results: tuple[JSON, ...] | None = None


# --------------------------------------------------------------------------------------------------------------------------- the common chunk
# Nearly every chunk of nearly every stream brings a piece of one answer's text and nothing else. These three types accept such a chunk and no other,
# which is what makes them a short cut: every field that `read_chunk` or `find_failure` looks at is either here with the one value that it reads, or
# here as `None`, which takes null and absence and refuses anything else. (`text` is not, because it does not count beside a delta.) What is accepted
# has therefore one meaning there: `AnswerNews(index, content)`. Whoever teaches `read_chunk` another field has to name it here; a test compares them.
# The fields are in the order in which services send them, since the decoder looks for each where the one before was found.


class _CommonDelta(msgspec.Struct, gc=False):
    content: Annotated[str, msgspec.Meta(min_length=1)]
    reasoning_content: None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _CommonChoice(msgspec.Struct, gc=False, kw_only=True):
    index: Annotated[int, msgspec.Meta(ge=0)] = 0
    delta: _CommonDelta
    finish_reason: None = None
    message: None = None
    error: None = None


class CommonChunk(msgspec.Struct, gc=False, kw_only=True):
    """A chunk that brings a piece of one answer's text and nothing else, not even an empty error or an end."""

    choices: tuple[_CommonChoice]
    usage: None = None
    citations: None = None
    search_results: None = None
    error: None = None


decode_common: Final = msgspec.json.Decoder(CommonChunk).decode
"""Decode a chunk that is as common as that; raises one of `REFUSED` for any other, and for what is no JSON."""

REFUSED: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""What msgspec raises for text that it does not take: no JSON or another type, raw halves of surrogate pairs, recursion beyond the stack."""

# ----------------------------------------------------------------------------------------------------------------------------------------- JSON

_decode: Final = msgspec.json.Decoder().decode


def decode_json(text: str) -> JSON:
    """Decode one JSON text as a browser would; raises `NotAChunk`.

    What msgspec refuses is given to the standard library, because JavaScript sends some of it: halves of surrogate pairs, written as escapes.
    """
    try:
        return _decode(text)
    except REFUSED:
        pass
    try:
        return _LIKE_A_BROWSER.decode(text)
    except (ValueError, RecursionError):
        raise NotAChunk(f"expected a chunk of a completion as JSON, got {quote(text)}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_MAX_INTEGER_DIGITS = 300
"""Longer integers are read as floating-point numbers, as all are in a browser: turning digits into an integer takes quadratic time."""


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


_LIKE_A_BROWSER: Final = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse_constant)


def quote(value: object) -> str:
    """Show a value in a message, cut if it is long."""
    try:
        shown = repr(value[: MAX_QUOTED + 1]) if isinstance(value, str) else repr(value)
    except RecursionError:
        return "something very deeply nested"
    return shown if len(shown) <= MAX_QUOTED + 2 else f"{shown[:MAX_QUOTED]}…"


def _settle(value: JSON, room: int = MAX_DEPTH) -> JSON:
    """A value that can be handed on: not too deep, and all its text whole."""
    match value:
        case str():
            return mend(value)
        case list() | dict() if room == 0:
            raise Malformed(f"expected at most {MAX_DEPTH} nested arrays and objects in what is handed on, got more")
        case list():
            return [_settle(item, room - 1) for item in value]
        case dict():
            return {mend(key): _settle(item, room - 1) for key, item in value.items()}
    return value


# -------------------------------------------------------------------------------------------------------------------------------------- failure


def find_failure(value: JSON) -> Failure | None:
    """What an object says of a failure, if it does: in an `error` that is not empty (its own or a choice's), or by being one itself.

    It is one itself if its `object` says so and it brings no answers.
    """
    if not isinstance(value, dict):
        return None
    if value.get("error"):
        return read_failure(value["error"])
    choices = value.get("choices")
    if value.get("object") == "error" and not choices:
        return read_failure(value)
    errors = [choice["error"] for choice in choices if isinstance(choice, dict) and choice.get("error")] if isinstance(choices, list) else []
    return read_failure(errors[0]) if errors else None


def read_failure(value: JSON) -> Failure:
    """Read what stands where an error is told: an object with a message, a text, or anything."""
    if isinstance(value, str) and value.strip():
        return Failure(mend(value.strip()))
    if not isinstance(value, dict):
        return Failure(_nameless(value))
    words = (value.get(field) for field in ("message", "detail", "error"))
    message = next((word.strip() for word in words if isinstance(word, str) and word.strip()), None)
    code = value.get("code")
    return Failure(
        _nameless(value) if message is None else mend(message),
        _word(value.get("type")),
        code if isinstance(code, int) and not isinstance(code, bool) else _word(code),
        _word(value.get("param")),
    )


def _nameless(value: JSON) -> str:
    return f"the service reports an error without a message: {mend(quote(value))}" if value else "the service reports an error and gives no reason"


# ---------------------------------------------------------------------------------------------------------------------------------------- chunk


def read_chunk(value: JSON, *, whole: bool = False) -> Chunk:
    """Read a chunk; raises `Malformed`, and `NotAChunk` if it does not look like one. If `whole`, every `message` is a whole answer."""
    if not isinstance(value, dict) or _SUBJECTS.isdisjoint(value):
        raise NotAChunk(f"expected a chunk of a completion, an object with choices, got {quote(value)}")
    kind = value.get("object")
    whole = whole or (isinstance(kind, str) and kind in WHOLE)
    choices = value.get("choices") or []
    if not isinstance(choices, list):
        raise Malformed(f"expected choices to be a list, got {quote(choices)}")
    return Chunk(
        tuple(news for position, choice in enumerate(choices) if choice is not None for news in _read_choice(choice, position, whole)),
        _read_usage(value.get("usage")),
        _read_sources(value.get("citations")),
        _read_sources(value.get("search_results")),
    )


def _read_usage(value: JSON) -> Usage | None:
    if not isinstance(value, dict) or not value:
        return None
    prompt, completion, total = (_count(value.get(field)) for field in ("prompt_tokens", "completion_tokens", "total_tokens"))
    return Usage(prompt, completion, total, details=_settle(value))


def _count(value: JSON) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_sources(value: JSON) -> tuple[JSON, ...] | None:
    return tuple(_settle(value)) if isinstance(value, list) else None


def _read_choice(choice: JSON, position: int, whole: bool) -> Iterator[AnswerNews]:
    if not isinstance(choice, dict):
        raise Malformed(f"expected a choice to be an object, got {quote(choice)}")
    index = _index(choice.get("index"), "the index of a choice")
    finish_reason = _word(_text(choice.get("finish_reason"), "finish_reason"))
    news = AnswerNews(position if index is None else index, finish_reason=finish_reason)
    delta, message = _object(choice.get("delta"), "delta"), _object(choice.get("message"), "message")
    if delta is None and message is None:
        # Completions before chat had their text in the choice itself.
        yield replace(news, content=_text(choice.get("text"), "text"))
    if delta is not None:
        yield _read_delta(delta, news)
    if message is not None and (whole or delta is None):
        yield _read_delta(message, replace(news, whole=whole))


def _read_delta(delta: dict[str, JSON], news: AnswerNews) -> AnswerNews:
    # A refusal is what the model answers; shown as anything but the text it would leave an empty answer. Both are never sent together.
    content = _content(delta.get("content")) + _text(delta.get("refusal"), "refusal")
    # xAI and DeepSeek use the first name, OpenRouter the second, and some that want to please everybody send the same text under both.
    reasoning = _text(delta.get("reasoning_content"), "reasoning_content") or _text(delta.get("reasoning"), "reasoning")
    return replace(news, content=content, reasoning=reasoning, calls=tuple(_read_calls(delta)))


def _content(value: JSON) -> str:
    return "".join(map(_content_part, value)) if isinstance(value, list) else _text(value, "content")


def _content_part(part: JSON) -> str:
    if isinstance(part, dict):
        # A part of another type is a picture or a sound: nothing that a text could say.
        return _text(part.get("text"), "the text of a part of content") if part.get("type", "text") == "text" else ""
    return _text(part, "a part of content")


def _read_calls(delta: dict[str, JSON]) -> Iterator[CallNews]:
    calls = delta.get("tool_calls") or []
    if not isinstance(calls, list):
        raise Malformed(f"expected tool_calls to be a list, got {quote(calls)}")
    for call in calls:
        known = _object(call, "a tool call") or {}
        name, arguments = _read_function(known.get("function"))
        yield CallNews(
            _index(known.get("index"), "the index of a tool call"), _word(_text(known.get("id"), "the id of a tool call")), name, arguments
        )
    if delta.get("function_call"):
        yield CallNews(FUNCTION_CALL, None, *_read_function(delta["function_call"]))


def _read_function(value: JSON) -> tuple[str | None, str]:
    function = _object(value, "the function of a tool call") or {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(_settle(arguments)).decode()
    return _word(_text(function.get("name"), "the name of a function")), _text(arguments, "the arguments of a function")


# --------------------------------------------------------------------------------------------------------------------------------- single values


def _object(value: JSON, what: str) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise Malformed(f"expected {what} to be an object, got {quote(value)}")


def _text(value: JSON, what: str) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise Malformed(f"expected {what} to be text, got {quote(value)}")


def _word(value: JSON) -> str | None:
    return mend(value) if isinstance(value, str) and value else None


def _index(value: JSON, what: str) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_INDEX_DIGITS:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise Malformed(f"expected {what} to be a number from 0, got {quote(value)}")


_MAX_INDEX_DIGITS = 9
"""Digits of an index that is sent as text."""
