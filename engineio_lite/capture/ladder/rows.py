"""Steps as the page reads them: small objects of JSON, in which nothing is left for a browser to misunderstand.

A payload travels as text and is never parsed over there, so numbers keep all of their digits and objects the order of their keys. In that text ``@0``
outside of a string stands for the first attachment, whose bytes are beside it in base64.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from itertools import count
from typing import Final

from msgspec import UNSET

from engineio_lite.capture.ladder.bands import read_bands
from engineio_lite.capture.steps import Step
from engineio_lite.capture.visible import json_text, visible

MAX_ROWS: Final = 200_000
"""Rows of a page: a browser can scroll over some millions of pixels, and holds all of this in memory."""

MAX_TEXT: Final = 1_000_000
"""Characters of one payload: more than anybody reads, and still shown at once."""

MAX_ATTACHMENT: Final = 1024 * 1024
"""Bytes of one attachment that go into the page; the rest is in the capture."""


def page_rows(steps: Sequence[Step]) -> list[dict[str, object]]:
    """A row for each step; what has nothing to say is left out of it."""
    return [_row(step, band) for step, band in zip(steps, read_bands(steps), strict=True)]


def _row(step: Step, band: str) -> dict[str, object]:
    fields: dict[str, object] = {
        "n": step.number,
        "s": step.session,
        "t": step.time,
        "k": step.kind.value,
        "d": None if step.direction is None else step.direction.value,
        "tr": None if step.transport is None else step.transport.value,
        "p": visible(step.packet),
        "ns": None if step.namespace is None else visible(step.namespace),
        "id": step.id,
        "e": None if step.event is None else visible(step.event),
        "x": _payload(step.data),
        "w": visible(step.text) or None,
        "a": step.answers,
        "b": step.answered_by,
        "l": step.latency,
        "c": band or None,
        "f": [_attachment(attachment) for attachment in step.attachments] or None,
        "err": step.is_error or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _payload(data: object) -> str | None:
    if data is UNSET:
        return None
    numbers = count()
    text = json_text(data, lambda _: f"@{next(numbers)}")
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _attachment(data: bytes) -> list[object]:
    """How many bytes there were, and those that are here."""
    return [len(data), b64encode(data[:MAX_ATTACHMENT]).decode()]


def script_json(value: object) -> str:
    """JSON that may stand in a script element: ASCII, and without the characters that could end one or begin markup."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
