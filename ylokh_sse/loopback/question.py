"""What is asked of the loopback server: reads and checks the body of a request, as strictly as OpenAI's API where that helps, and no stricter.

Fields that nobody here has heard of are let through, because every service has some of its own.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from chat_answers.parts import JSON
from ylokh_sse.loopback.script import Reply

MAX_CHOICES: Final = 128
"""The most answers that one request can ask for; OpenAI's limit."""

_RANGES: Final = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "presence_penalty": (-2.0, 2.0), "frequency_penalty": (-2.0, 2.0)}
_COUNTS: Final = {"n": MAX_CHOICES, "max_tokens": None, "max_completion_tokens": None}
_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


class BadQuestion(Exception):
    """The request cannot be answered as it is; `reply` says why, with status 400."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.reply = Reply.error(400, message, param=param)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of a request: the `text` of the last message, how many `words` there are in all of them, and how the answer is wanted."""

    model: str
    text: str
    words: int = 0
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_tokens: int | None = None


def read_question(body: bytes) -> Question:
    """Read the body of a request; raises `BadQuestion`."""
    try:
        request = json.loads(body)
    except ValueError:
        raise BadQuestion("We could not parse the JSON body of your request.") from None
    if not isinstance(request, dict):
        raise BadQuestion("The JSON body of your request is to be an object.")
    _check_numbers(request)
    texts = _texts(request.get("messages"))
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise BadQuestion("You must provide a model parameter: expected text.", param="model")
    stream = _switch(request, "stream")
    return Question(
        model=model,
        text=texts[-1],
        words=sum(len(text.split()) for text in texts),
        stream=stream,
        include_usage=_include_usage(request, stream),
        n=request.get("n") or 1,
        max_tokens=request.get("max_completion_tokens") or request.get("max_tokens"),
    )


def _check_numbers(request: dict[str, JSON]) -> None:
    for name, (least, most) in _RANGES.items():
        value = request.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most):
            raise BadQuestion(f"Invalid {name!r}: expected a number from {least:g} to {most:g}.", param=name)
    for name, limit in _COUNTS.items():
        value = request.get(name)
        if value is not None and (type(value) is not int or value < 1 or (limit is not None and value > limit)):
            raise BadQuestion(f"Invalid {name!r}: expected an integer above 0{'' if limit is None else f', at most {limit}'}.", param=name)


def _switch(request: dict[str, JSON], name: str, path: str | None = None) -> bool:
    value = request.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadQuestion(f"Invalid {path or name!r}: expected a boolean.", param=path or name)
    return bool(value)


def _include_usage(request: dict[str, JSON], stream: bool) -> bool:
    options = request.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise BadQuestion("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if not isinstance(options, dict):
        raise BadQuestion("Invalid 'stream_options': expected an object.", param="stream_options")
    return _switch(options, "include_usage", "stream_options.include_usage")


def _texts(messages: JSON) -> list[str]:
    if not isinstance(messages, list) or not messages:
        raise BadQuestion("Invalid 'messages': expected a list with at least one message.", param="messages")
    return [_text(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _text(message: JSON, param: str) -> str:
    if not isinstance(message, dict):
        raise BadQuestion(f"Invalid {param!r}: expected an object.", param=param)
    if message.get("role") not in _ROLES:
        raise BadQuestion(f"Invalid '{param}.role': expected one of {', '.join(_ROLES)}.", param=f"{param}.role")
    match message.get("content"):
        case str(content):
            return content
        case None if message["role"] == "assistant" and message.get("tool_calls"):
            return ""
        case [*parts] if all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in parts):
            return "".join(str(part.get("text", "")) for part in parts if part["type"] == "text")
    raise BadQuestion(f"Invalid '{param}.content': expected text or a list of parts with a type.", param=f"{param}.content")
