"""Telling what a model thinks from what it says, where both come in one text between ``<think>`` and ``</think>``.

Some services put the reasoning into the answer itself, in front of it, with these tags around (R1 and those that serve it). The text comes in
pieces that know nothing of tags, so a tag may be cut anywhere. The splitter holds back what could still become the tag that it waits for, with the
white space before it, and tells it as soon as it cannot.

What counts as reasoning is narrow, so that an answer *about* tags stays an answer: only a text that begins with ``<think>``, white space aside, and
only once. White space around the tags belongs to neither side and is dropped, as it is only there to set them apart. A thought that never ends is
reasoning to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from chat_answers.parts import ReasoningDelta, TextDelta

OPENING = "<think>"
CLOSING = "</think>"

MAX_BLANK = 64
"""Characters of white space that are held back as the frame of a tag; what is longer is no frame, and is told."""


class _Where(Enum):
    BEFORE = auto()
    """Nothing but white space has come: this may begin with a thought."""
    BLANK_BEFORE_THOUGHT = auto()
    THINKING = auto()
    BLANK_BEFORE_TEXT = auto()
    """The thought is over; the white space behind it is its frame."""
    SPEAKING = auto()


class ThinkSplitter:
    """Splits one answer's text as it comes; used once. `index` is that of the answer."""

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._where = _Where.BEFORE
        self._held = ""
        """What came and is not told yet: white space, or the beginning of a tag."""

    def split(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what a piece of text brings, often nothing."""
        if self._where is _Where.SPEAKING:
            if text:
                yield TextDelta(text, self._index)
            return
        text, self._held = self._held + text, ""
        if self._where is _Where.BEFORE:
            text = self._begin(text)
        if self._where in (_Where.BLANK_BEFORE_THOUGHT, _Where.THINKING):
            thought, text = self._think(text)
            if thought:
                yield ReasoningDelta(thought, self._index)
        if self._where is _Where.BLANK_BEFORE_TEXT:
            text = text.lstrip()
            if text:
                self._where = _Where.SPEAKING
        if self._where is _Where.SPEAKING and text:
            yield TextDelta(text, self._index)

    def end(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what was still held back: the answer is over."""
        held, self._held = self._held, ""
        if held and self._where is _Where.BEFORE:
            yield TextDelta(held, self._index)
        elif held and self._where is _Where.THINKING and held.strip():
            yield ReasoningDelta(held, self._index)
        self._where = _Where.SPEAKING

    def _begin(self, text: str) -> str:
        """Decide whether there is a thought, if that can be decided; return what comes after the decision."""
        start = text.lstrip()
        if len(text) - len(start) <= MAX_BLANK:
            if start.startswith(OPENING):
                self._where = _Where.BLANK_BEFORE_THOUGHT
                return start[len(OPENING) :]
            if OPENING.startswith(start):
                self._held = text
                return ""
        self._where = _Where.SPEAKING
        return text

    def _think(self, text: str) -> tuple[str, str]:
        """Return what is thought in `text`, and what comes after the thought."""
        if self._where is _Where.BLANK_BEFORE_THOUGHT:
            text = text.lstrip()
            if text:
                self._where = _Where.THINKING
        thought, tag, rest = text.partition(CLOSING)
        if tag:
            self._where = _Where.BLANK_BEFORE_TEXT
            return thought[: len(thought) - _blank_at_end(thought)], rest
        held = _undecided(thought)
        self._held = thought[len(thought) - held :]
        return thought[: len(thought) - held], ""


def _undecided(text: str) -> int:
    """How many characters at the end of a thought may belong to its frame: white space, and the beginning of a closing tag."""
    for size in range(min(len(CLOSING) - 1, len(text)), -1, -1):
        if size == 0 or text.endswith(CLOSING[:size]):
            return size + _blank_at_end(text[: len(text) - size])
    raise AssertionError


def _blank_at_end(text: str) -> int:
    return min(MAX_BLANK, len(text) - len(text.rstrip()))
