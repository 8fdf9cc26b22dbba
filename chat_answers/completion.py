"""A whole answer: the parts put together again.

`Collector` takes the parts as they come and keeps what they add up to, in as many strings as there were parts, joined once. `Completion` is the
sum, and the same whether the answer came as a stream or whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec

from chat_answers.parts import JSON, Citations, Finish, Part, ReasoningDelta, TextDelta, TextReset, ToolCall, Usage


class Choice(msgspec.Struct, frozen=True):
    """One of the answers to a question: its text, what was thought before it, the tools that it wants to be called, and why it ended."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """A whole answer. `choices` are in the order of their indices; the properties speak of the first one, which is usually the only one.

    `usage` is None if the service did not say. `raw` is the service's reply where it came as one, else None.
    """

    choices: tuple[Choice, ...] = (Choice(),)
    citations: tuple[JSON, ...] = ()
    usage: Usage | None = None
    raw: JSON = None

    @property
    def text(self) -> str:
        """What was answered."""
        return self.choices[0].text

    @property
    def reasoning(self) -> str:
        """What was thought before the answer; empty if nothing was shown of it."""
        return self.choices[0].reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that are to be called."""
        return self.choices[0].tool_calls

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended; None if it has not."""
        return self.choices[0].finish_reason

    def __str__(self) -> str:
        return self.text


class _Growing:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.tool_calls: list[ToolCall] = []
        self.finish_reason: str | None = None

    @property
    def choice(self) -> Choice:
        return Choice("".join(self.text), "".join(self.reasoning), tuple(self.tool_calls), self.finish_reason)


class Collector:
    """Puts parts together. `add` takes one, `completion` is what they are so far, `text` the text of the first answer so far."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._choices: dict[int, _Growing] = {}
        self._citations: tuple[JSON, ...] = ()
        self._usage: Usage | None = None
        self.extend(parts)

    def extend(self, parts: Iterable[Part]) -> Self:
        """Add all of these, in order."""
        for part in parts:
            self.add(part)
        return self

    def add(self, part: Part) -> None:
        """Add what one part brings; a kind that is not known adds nothing."""
        match part:
            case TextDelta(text, index):
                self._choice(index).text.append(text)
            case TextReset(text, index):
                self._choice(index).text[:] = [text]
            case ReasoningDelta(text, index):
                self._choice(index).reasoning.append(text)
            case ToolCall():
                self._choice(part.index).tool_calls.append(part)
            case Citations(items):
                self._citations = items
            case Usage():
                self._usage = part
            case Finish(reason, index):
                self._choice(index).finish_reason = reason

    def _choice(self, index: int) -> _Growing:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Growing()
        return choice

    @property
    def text(self) -> str:
        """The text of the first answer so far."""
        return "".join(self._choices[min(self._choices)].text) if self._choices else ""

    def completion(self, raw: JSON = None) -> Completion:
        """Everything so far."""
        choices = tuple(self._choices[index].choice for index in sorted(self._choices))
        return Completion(choices or (Choice(),), self._citations, self._usage, raw)
