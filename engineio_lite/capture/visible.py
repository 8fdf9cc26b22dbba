"""Text made fit to be looked at: nothing in it is invisible, moves a cursor, or turns the direction of what stands around it.

Payloads hold whatever the peers put there: controls, bidirectional overrides, line separators, halves of surrogate pairs. Whoever shows a payload
shows these as JSON would escape them, which is right inside a string of JSON and readable everywhere else.
"""

from __future__ import annotations

import json


def visible(text: str) -> str:
    r"""The same text with every character that does not print written as an escape, such as ``\u202e``."""
    return text if text.isprintable() else "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
