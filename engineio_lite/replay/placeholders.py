"""What stands in a capture for a secret or an id, against what the live side says in its place.

A capture says ``@sid1`` or ``<redacted:1>`` where something was that must not be written down, or that is another each time. Such a placeholder
stands for any text; once it is known for which, it stands for that one alone, everywhere: two that were equal when they were recorded must be equal
now. So the names are bound to texts as the conversation goes on, and what is sent is filled with what is known by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PLACEHOLDER: Final = re.compile(r"<redacted(?::[0-9A-Za-z]+)?>|@(?:eio|sid|pid|offset)[0-9]+")

ANONYMOUS: Final = "<redacted>"
"""The one that has no number: it stands for anything, each time for something else."""


def match_text(expected: str, got: str, known: Mapping[str, str]) -> dict[str, str] | None:
    """What the placeholders in `expected` must stand for, so that it is `got`, beside what is `known`; None if it is not.

    A placeholder stands for one character at least. Where several that are not known yet share a text, each is taken as short as the text after it
    allows. Takes time in proportion to the texts.
    """
    pieces = _pieces(expected, known)
    unknown = [piece for piece, is_unknown in pieces if is_unknown]
    if not unknown:
        return {} if "".join(piece for piece, _ in pieces) == got else None
    if len(set(unknown)) == 1 and unknown[0] != ANONYMOUS:
        return _match_one(pieces, unknown, got)
    return _match_several(pieces, got)


def _pieces(expected: str, known: Mapping[str, str]) -> list[tuple[str, bool]]:
    """The text in pieces, what is known put in; True marks the placeholders that are left."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for found in PLACEHOLDER.finditer(expected):
        pieces.append((expected[end : found.start()], False))
        name = found.group()
        pieces.append((known[name], False) if name in known else (name, True))
        end = found.end()
    pieces.append((expected[end:], False))
    return pieces


def _match_one(pieces: list[tuple[str, bool]], unknown: list[str], got: str) -> dict[str, str] | None:
    """One name alone, however often: its length follows from the others'."""
    rest = len(got) - sum(len(piece) for piece, is_unknown in pieces if not is_unknown)
    length, remainder = divmod(rest, len(unknown))
    if length < 1 or remainder:
        return None
    start = next(sum(len(piece) for piece, _ in pieces[:index]) for index, (_, is_unknown) in enumerate(pieces) if is_unknown)
    value = got[start : start + length]
    return {unknown[0]: value} if "".join(value if is_unknown else piece for piece, is_unknown in pieces) == got else None


def _match_several(pieces: list[tuple[str, bool]], got: str) -> dict[str, str] | None:
    bound: dict[str, str] = {}
    position = 0
    waiting: str | None = None  # a placeholder of which the end is not known yet
    last = max((index for index, (piece, _) in enumerate(pieces) if piece), default=-1)
    for index, (piece, is_unknown) in enumerate(pieces):
        if is_unknown and piece not in bound and waiting is not None:
            position = _bind(bound, waiting, got, position, position + 1)
            waiting = None
        if is_unknown and piece not in bound:
            waiting = piece
            continue
        text = bound[piece] if is_unknown else piece
        if not text:
            continue
        # Behind a placeholder the text is looked for, and the last one must end where everything ends.
        found = position if waiting is None else len(got) - len(text) if index == last else got.find(text, position + 1)
        if found < position or not got.startswith(text, found):
            return None
        position = (found if waiting is None else _bind(bound, waiting, got, position, found)) + len(text)
        waiting = None
    if waiting is not None:
        position = _bind(bound, waiting, got, position, len(got))
    return bound if position == len(got) and all(bound.values()) else None


def _bind(bound: dict[str, str], name: str, got: str, start: int, end: int) -> int:
    """Let a name stand for what is between, and return where that ends; nowhere, if there is nothing."""
    if end <= start:
        return -1
    if name != ANONYMOUS:
        bound[name] = got[start:end]
    return end


def fill(value: object, known: Mapping[str, str]) -> object:
    """The same JSON value with everything that is known put in the place of its name; what is not known stays as it is. Keys are not touched."""
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: known.get(found.group(), found.group()), value) if "@" in value or "<" in value else value
        case dict():
            return {key: fill(item, known) for key, item in value.items()}
        case list() | tuple():
            return [fill(item, known) for item in value]
        case _:
            return value


def names_in(value: str) -> list[str]:
    """The placeholders in a text, in their order."""
    return PLACEHOLDER.findall(value)
