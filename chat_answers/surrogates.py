"""Mending text that was cut in the middle of a character.

Programs in JavaScript count text in UTF-16 units, and where they cut an answer into pieces they may cut an emoji in two: one JSON string ends in
``\\ud83d`` and the next begins with ``\\ude00``. Python reads each as half a character that no encoding can write. Put together they are one again,
so a half at the end of a piece is held back for the next one; a half that stays alone becomes U+FFFD, as a browser would show it.
"""

from __future__ import annotations

import re

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def has_halves(text: str) -> bool:
    """Whether there is half a character in a text."""
    return not text.isascii() and _HALF.search(text) is not None


def mend(text: str) -> str:
    """Put neighbouring halves together, and replace those that are alone."""
    if not has_halves(text):
        return text
    whole = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _HALF.sub("\ufffd", whole)


class Mender:
    """Mends one text that comes in pieces: `feed` gives what is whole by now, `end` what was still held back."""

    def __init__(self) -> None:
        self.half = ""
        """The half of a character that waits for its other half, if one does."""

    def feed(self, text: str) -> str:
        """Return what is whole, often `text` itself; at most one half is held back."""
        if not self.half and (text.isascii() or not has_halves(text)):
            return text
        if not text:
            return ""
        text, self.half = self.half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self.half = text[:-1], text[-1]
        return mend(text)

    def end(self) -> str:
        """Return what was held back, as the character that stands for what cannot be shown; often nothing."""
        half, self.half = self.half, ""
        return mend(half)
