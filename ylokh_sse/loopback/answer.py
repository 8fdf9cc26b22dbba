"""From a script and a question to what the server does, step by step: bytes to say, waits, and ways to end. Pure.

`steps` is the whole of it (a replay has its own, with an instant for each). A server performs them in order: it sends a `Head`, says what there is to
`Say`, waits, and stops at a `Cut`. Whether an
answer is streamed, compressed or torn off is decided here, so that it can be read, and tested, without a connection.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from chat_answers.parts import JSON
from ylokh_sse.loopback.question import Question
from ylokh_sse.loopback.script import CutHow, Reply, Script, reply_to, split, to_json

ID: Final = "chatcmpl-loopback"
CREATED: Final = 1_700_000_000
"""When every answer was made. A clock would make two answers to one question different, and nobody reads this."""

ARGUMENTS_PIECE: Final = 7
"""Characters of a tool call's arguments in one piece: short enough to cut any JSON text in the wrong places."""

KEEP_ALIVE: Final = ": PROCESSING"

_GZIP_WINDOW: Final = 31  # zlib's way to ask for a gzip header and trailer


class Head(msgspec.Struct, frozen=True):
    """Send the status line and these headers. Without a ``Content-Length`` the body is chunked."""

    status: int
    headers: Mapping[str, str]


class Say(msgspec.Struct, frozen=True):
    """Send these bytes, now."""

    data: bytes


class Wait(msgspec.Struct, frozen=True):
    """Do nothing for so many seconds."""

    seconds: float


class At(msgspec.Struct, frozen=True):
    """Do nothing until so many seconds after the request; nothing at all if that is over."""

    seconds: float


class Raw(msgspec.Struct, frozen=True):
    """Put these bytes on the connection, past HTTP."""

    data: bytes


class Stall(msgspec.Struct, frozen=True):
    """Do nothing until told to go on."""


class Cut(msgspec.Struct, frozen=True):
    """Do no more, and end the response in this way."""

    how: CutHow


Step: TypeAlias = Head | Say | Raw | Wait | At | Stall | Cut

Delta: TypeAlias = dict[str, JSON]


def steps(script: Script, question: Question) -> Iterator[Step]:
    """Yield what the server does to answer a question."""
    if script.delay:
        yield Wait(script.delay)
    if script.instead is not None:
        yield from reply_steps(script.instead)
    elif question.stream and not script.whole:
        yield from _compressed(script, _stream(script, question))
    else:
        yield from _whole(script, question)


def reply_steps(reply: Reply) -> Iterator[Step]:
    """Yield what the server does to send something that is no answer."""
    body = reply.body.encode()
    yield Head(reply.status, {"Content-Type": reply.content_type, "Content-Length": str(len(body)), **reply.headers})
    yield Say(body)


# --- What is said: the answers of one request, as deltas.


def _deltas(script: Script, question: Question, index: int) -> list[Delta]:
    """The pieces of answer number `index`. All but the first begin with their number, so that nobody can mix them up unnoticed."""
    deltas = [*_thoughts(script), *({"content": piece} for piece in _words(script, question, index))]
    deltas += [{"tool_calls": [delta]} for position in range(len(script.tool_calls)) for delta in _call(script, position)]
    return deltas if question.max_tokens is None else deltas[: question.max_tokens]


def _words(script: Script, question: Question, index: int) -> tuple[str, ...]:
    number = (f"{index + 1}. ",) if index else ()
    if script.pieces is not None:
        return number + script.pieces
    if script.text is None and script.tool_calls:
        return ()
    return number + split(reply_to(question.text) if script.text is None else script.text)


def _thoughts(script: Script) -> Iterable[Delta]:
    if script.reasoning is None:
        return ()
    words = split(script.reasoning)
    if script.reasoning_as == "think":
        return ({"content": piece} for piece in ("<think>\n", *words, "\n</think>\n\n"))
    return ({script.reasoning_as: piece} for piece in words)


def _call(script: Script, position: int) -> Iterator[Delta]:
    call = script.tool_calls[position]
    number = {} if script.tool_calls_as == "unnumbered" else {"index": position}
    head = {**number, "id": call.id, "type": "function"}
    if script.tool_calls_as != "pieces":
        yield {**head, "function": {"name": call.name, "arguments": call.arguments}}
        return
    yield {**head, "function": {"name": call.name, "arguments": ""}}
    for start in range(0, len(call.arguments), ARGUMENTS_PIECE):
        yield {**number, "function": {"arguments": call.arguments[start : start + ARGUMENTS_PIECE]}}


def _finish_reason(script: Script, question: Question, pieces: int) -> str | None:
    if script.finish_reason is not UNSET:
        return script.finish_reason
    if pieces == question.max_tokens:
        return "length"
    return "tool_calls" if script.tool_calls else "stop"


def _usage(question: Question, completion: int) -> dict[str, int]:
    """What it cost, where a word or a piece is a token."""
    return {"prompt_tokens": question.words, "completion_tokens": completion, "total_tokens": question.words + completion}


def _error(script: Script) -> JSON:
    if isinstance(script.error, str) and script.error_as != "string":
        return {"error": {"message": script.error, "type": "server_error", "param": None, "code": None}}
    return {"error": script.error}


# --- Whole.


def _whole(script: Script, question: Question) -> Iterator[Step]:
    answers = [_deltas(script, question, index) for index in range(question.n)]
    completion: dict[str, JSON] = {
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": question.model,
        "choices": [
            {"index": index, "message": _message(script, deltas), "finish_reason": _finish_reason(script, question, len(deltas))}
            for index, deltas in enumerate(answers)
        ],
    }
    if script.usage != "none":
        completion["usage"] = _usage(question, sum(map(len, answers)))
    if script.citations:
        completion["citations"] = script.citations
    body = to_json(completion if script.error is None else _error(script)).encode()
    chunked = script.cut_after is not None and script.cut != "length"
    yield Head(200, {"Content-Type": "application/json", **({} if chunked else {"Content-Length": str(len(body))}), **script.headers})
    if script.delay_first:
        yield Wait(script.delay_first)
    yield Say(body[: len(body) // 2])
    if script.stall_after is not None:
        yield Stall()
    yield Say(body[len(body) // 2 :]) if script.cut_after is None else Cut(script.cut)


def _message(script: Script, deltas: list[Delta]) -> dict[str, JSON]:
    message: dict[str, JSON] = {"role": "assistant", "content": None}
    for delta in deltas:
        for name, piece in delta.items():
            if name != "tool_calls":
                message[name] = (message.get(name) or "") + piece
    if script.tool_calls:
        function = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in script.tool_calls]
        message["tool_calls"] = function
    return message


# --- Streamed.


def _stream(script: Script, question: Question) -> Iterator[Step]:
    yield from _opening(script)
    said, pieces = 0, _Chunks(script, question)
    if script.role == "own":
        yield from pieces.own_role()
    for said, piece in enumerate(pieces.spoken()):
        yield from _weather(script, said, piece)
        if _over(script, said):
            return
        if said:
            yield from _pause(script)
        yield piece
        said += 1
    ending = pieces.ending()
    yield from _weather(script, said, ending[0] if ending else Say(b""))
    if not _over(script, said):
        yield from ending


def _opening(script: Script) -> Iterator[Step]:
    yield Head(200, {"Content-Type": script.content_type, "Cache-Control": "no-cache", **script.headers})
    if script.bom:
        yield Say(b"\xef\xbb\xbf")
    for _ in range(script.keep_alives):
        yield Wait(script.delay_first / (script.keep_alives + 1))
        yield _lines(script, KEEP_ALIVE)
    if script.delay_first:
        yield Wait(script.delay_first / (script.keep_alives + 1))
    for _ in range(script.pings):
        yield _lines(script, _field(script, "event", "ping"))


def _weather(script: Script, said: int, following: Say) -> Iterator[Step]:
    """What goes wrong after so many pieces, and before what would follow."""
    if said == script.stall_after:
        yield Stall()
    if said == script.cut_after:
        if script.cut == "half":
            yield Say(following.data[: len(following.data) // 2])
        yield Cut(script.cut)
    elif script.error is not None and said == script.error_after:
        name = [_field(script, "event", "error")] if script.error_as == "event" else []
        yield _lines(script, *name, _field(script, "data", to_json(_error(script))))


def _over(script: Script, said: int) -> bool:
    return said == script.cut_after or (script.error is not None and said == script.error_after)


def _pause(script: Script) -> Iterator[Step]:
    if script.pace:
        yield Wait(script.pace)


def _field(script: Script, name: str, value: str) -> str:
    return f"{name}:{' ' if script.space else ''}{value}"


def _lines(script: Script, *lines: str) -> Say:
    return Say("".join(line + script.line_end for line in (*lines, "")).encode())


class _Chunks:
    """The events of one answer, in the order of the wire; counts what was said, for the usage."""

    def __init__(self, script: Script, question: Question) -> None:
        self._script = script
        self._question = question
        self._answers = [_deltas(script, question, index) for index in range(question.n)]
        self._said = 0

    def own_role(self) -> Iterator[Say]:
        """The role of each answer, with nothing else."""
        yield from self._chunks({index: {"role": "assistant", "content": ""} for index in range(self._question.n)})

    def spoken(self) -> Iterator[Say]:
        """Everything that is said, the answers taking turns."""
        for turn, row in enumerate(zip_longest(*self._answers)):
            role = {"role": "assistant"} if self._script.role == "every" or (self._script.role == "first" and turn == 0) else {}
            yield from self._chunks({index: {**role, **delta} for index, delta in enumerate(row) if delta is not None}, said=True)

    def ending(self) -> list[Say]:
        """Why each answer ends, what it cost, and that this is all; may be nothing."""
        reasons = [_finish_reason(self._script, self._question, len(deltas)) for deltas in self._answers]
        ending = list(self._chunks({index: {} for index, reason in enumerate(reasons) if reason is not None}, reasons=reasons))
        if self._script.usage == "own" or self._asked:
            ending.append(self._event({**self._chunk([]), "usage": self._usage()}))
        if self._script.done:
            ending.append(_lines(self._script, _field(self._script, "data", "[DONE]")))
        return ending

    @property
    def _asked(self) -> bool:
        return self._script.usage == "asked" and self._question.include_usage

    def _usage(self) -> dict[str, int]:
        return _usage(self._question, self._said)

    def _chunks(self, deltas: dict[int, Delta], *, reasons: list[str | None] | None = None, said: bool = False) -> Iterator[Say]:
        choices = [{"index": index, "delta": delta, "finish_reason": None if reasons is None else reasons[index]} for index, delta in deltas.items()]
        for shared in [choices] if self._script.together and choices else [[choice] for choice in choices]:
            self._said += len(shared) if said else 0
            chunk = self._chunk(shared)
            if self._script.usage == "every" or (self._script.usage == "finish" and reasons is not None):
                chunk["usage"] = self._usage()
            elif self._asked:
                chunk["usage"] = None
            yield self._event(chunk)

    def _chunk(self, choices: list[dict[str, JSON]]) -> dict[str, JSON]:
        chunk = {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": self._question.model, "choices": choices}
        return {**chunk, "citations": self._script.citations} if self._script.citations else chunk

    def _event(self, chunk: dict[str, JSON]) -> Say:
        return _lines(self._script, _field(self._script, "data", to_json(chunk)))


# --- The body as a whole: compressed, or with a length that it does not keep.


def _compressed(script: Script, plain: Iterator[Step]) -> Iterator[Step]:
    """Compress what is said, and announce the length where that is to be a lie."""
    body = list(_gzipped(script, plain) if script.gzip else plain)
    for step in body:
        if isinstance(step, Head):
            more = {"Content-Encoding": "gzip"} if script.gzip else {}
            if script.cut_after is not None and script.cut == "length":
                more["Content-Length"] = str(sum(len(said.data) for said in body if isinstance(said, Say)) + 1000)
            yield Head(step.status, {**step.headers, **more})
        else:
            yield step


def _gzipped(script: Script, plain: Iterator[Step]) -> Iterator[Step]:
    squeeze = zlib.compressobj(wbits=_GZIP_WINDOW)
    for step in plain:
        if isinstance(step, Say):
            data = squeeze.compress(step.data) + (b"" if script.gzip == "late" else squeeze.flush(zlib.Z_SYNC_FLUSH))
            if data:
                yield Say(data)
        elif isinstance(step, Cut):
            yield step
            return
        else:
            yield step
    if script.gzip != "cut":
        yield Say(squeeze.flush())
