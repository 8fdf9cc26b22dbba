"""What the loopback server says, and how it misbehaves: plain values, and a few canned sentences.

A `Script` is for one request. It says everything about the answer (text, pieces, thoughts, tool calls, sources, usage) and about the ways in which
answers were seen or feared to go wrong; `ylokh_sse.loopback.answer` turns it into bytes. Counts of pieces (`cut_after`, `stall_after`, `error_after`)
are pieces of the answer: ``cut_after=2`` lets a client see the first two, whatever else is sent around them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from chat_answers.parts import JSON

JOKE: Final = (
    "Two streams meet at a proxy. “I have so much to tell you!” says the first. “Me too,” says the second, “but he wants to hear all of it before he "
    "passes on a word.” “Typical,” says the first. “No flush at all.”"
)
"""What is said to whoever wants a joke."""

GREETING: Final = "Здравствуйте! Чем могу помочь?"
"""What is said to whoever greets in Russian."""

PAGE: Final = "<!DOCTYPE html>\n<html><head><title>Just a moment…</title></head><body><h1>Checking your browser</h1></body></html>\n"
"""The page that stands in the place of an answer where something in between has other plans."""

EVENT_STREAM: Final = "text/event-stream; charset=utf-8"

_CYRILLIC_GREETING = re.compile(r"\b(привет|здравствуй|добрый (день|вечер)|доброе утро)", re.IGNORECASE)
_JOKE = re.compile(r"\b(jokes?\b|шутк|анекдот)", re.IGNORECASE)
_CAPITAL = re.compile(r"capital\b.*\bfrance|столиц\w* франции", re.IGNORECASE | re.DOTALL)

ReasoningAs: TypeAlias = Literal["reasoning_content", "reasoning", "think"]
ToolCallsAs: TypeAlias = Literal["pieces", "whole", "unnumbered"]
RoleAs: TypeAlias = Literal["own", "first", "every", "never"]
UsageAs: TypeAlias = Literal["asked", "none", "own", "finish", "every"]
ErrorAs: TypeAlias = Literal["object", "string", "event"]
CutHow: TypeAlias = Literal["end", "half", "chunked", "length", "reset"]
Gzip: TypeAlias = Literal["flushed", "late", "cut"]
LineEnd: TypeAlias = Literal["\n", "\r\n", "\r"]


class Call(msgspec.Struct, frozen=True):
    """A tool that the answer wants to be called; `arguments` is a JSON text, or whatever a test wants in its place."""

    name: str
    arguments: str = "{}"
    id: str = "call-1"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Something else than an answer: a status, a body and headers (`content_type` is one of them). A plain ``Reply()`` is an empty 200."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}

    @staticmethod
    def error(
        status: int,
        message: str = "The loopback server was told to fail.",
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make an error in OpenAI's shape; `headers` may hold ``Retry-After``, ``retry-after-ms`` and the like."""
        kind = type or ("server_error" if status >= 500 else "invalid_request_error")
        return Reply(status=status, body=to_json({"error": {"message": message, "type": kind, "param": param, "code": code}}), headers=headers or {})

    @staticmethod
    def page(status: int = 200, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Make a web page, as proxies and guards put it in the place of an answer."""
        return Reply(status=status, body=PAGE, content_type="text/html; charset=utf-8", headers=headers or {})

    @staticmethod
    def plain(status: int = 500, text: str = "Internal Server Error", *, headers: Mapping[str, str] | None = None) -> Reply:
        """Make a plain text, as frameworks answer when nobody has caught an error."""
        return Reply(status=status, body=text, content_type="text/plain; charset=utf-8", headers=headers or {})


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one request, and how it goes wrong. Times are seconds; counts are pieces of the answer, None where it never happens."""

    text: str | None = None
    """What to say; None: what fits the question (`reply_to`), or nothing beside tool calls."""
    pieces: tuple[str, ...] | None = None
    """What to say, cut like this; None: `text` in words. A piece may hold half of a surrogate pair, which is then sent as an escape."""
    reasoning: str | None = None
    reasoning_as: ReasoningAs = "reasoning_content"
    """The field that holds it, or ``think``: within the text, between ``<think>`` tags."""
    tool_calls: tuple[Call, ...] = ()
    tool_calls_as: ToolCallsAs = "pieces"
    """``pieces``: the name first and then the arguments bit by bit; ``whole``: each call at once; ``unnumbered``: so, and without an index."""
    citations: tuple[JSON, ...] = ()
    """The sources, on every chunk."""
    role: RoleAs = "own"
    """Where the role is said: on a chunk of its own with empty content, with the first piece, on every chunk, or never."""
    together: bool = False
    """Several answers (``n``) share their chunks; else each chunk has one."""
    usage: UsageAs = "asked"
    """``asked``: on a chunk of its own if ``stream_options.include_usage`` says so; the others: always there, or (``none``) never."""
    finish_reason: str | UnsetType | None = UNSET
    """Unset: what fits, ``stop``, ``length`` or ``tool_calls``; None: it is never said."""
    done: bool = True
    """Whether ``[DONE]`` is said at the end."""

    instead: Reply | None = None
    """This in the place of any answer."""
    redirect: int | None = None
    """A status (307, 302, …): the answer is at the same path below ``/moved``."""
    whole: bool = False
    """Answer with one JSON object even if a stream is asked for."""
    error: JSON = None
    """What goes wrong in the middle of the answer: a message, or the whole of the error object. Nothing follows it."""
    error_as: ErrorAs = "object"
    """``{"error": {…}}``, ``{"error": "text"}``, or the first one as an ``event: error``."""
    error_after: int = 0
    cut_after: int | None = None
    cut: CutHow = "end"
    """``end``: an orderly end; ``half``: the same after half an event; ``chunked``: in the middle of the chunked encoding; ``length``: short of the
    announced length; ``reset``: the connection is reset."""
    stall_after: int | None = None
    """Say nothing more until `LoopbackServer.go_on`."""

    delay: float = 0.0
    """Before the status line."""
    delay_first: float = 0.0
    """Between the head of the response and the first piece."""
    pace: float = 0.0
    """Between two pieces."""
    keep_alives: int = 0
    """So many comments during `delay_first`, at equal distances."""
    pings: int = 0
    """So many events ``ping`` without data before the first chunk."""

    content_type: str = EVENT_STREAM
    headers: Mapping[str, str] = {}
    line_end: LineEnd = "\n"
    space: bool = True
    """Whether a blank follows the colon of a field."""
    bom: bool = False
    gzip: Gzip | None = None
    """``flushed``: every event is on its way at once; ``late``: everything comes at the end; ``cut``: flushed, but the trailer is missing."""


def split(text: str) -> tuple[str, ...]:
    """Cut a text into the pieces in which a model would say it: words with the blanks before them."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


def reply_to(question: str) -> str:
    """Choose what to say to a question. There is no intelligence in here and none is pretended: most questions are only repeated."""
    if _JOKE.search(question):
        return JOKE
    if _CAPITAL.search(question):
        return "Paris"
    if _CYRILLIC_GREETING.search(question):
        return GREETING
    return f"You said “{question}”, and I am only a loopback server."


def to_json(value: JSON) -> str:
    """Write a value as JSON, with escapes only where UTF-8 has no bytes for a character: half of a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() or not _has_surrogates(text) else json.dumps(value, separators=(",", ":"))


def _has_surrogates(text: str) -> bool:
    return re.search(r"[\ud800-\udfff]", text) is not None
