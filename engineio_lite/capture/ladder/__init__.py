"""A capture as a page: a ladder diagram, client and server as two lines with time going down and an arrow for each packet.

The page is one file that asks for nothing: no network, no fonts, no storage. Its content security policy allows its own script and style by their
hashes and nothing else, so whatever a payload holds, and payloads hold whatever strangers put there, it can be shown and never run. The script
makes elements and sets their text; it never writes markup.

Pure: the page is a function of the steps, with no clock in it, so that the same capture gives the same page. Needs Jinja2.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from engineio_lite.capture.ladder.rows import MAX_ROWS, page_rows, script_json
from engineio_lite.capture.lines import Head
from engineio_lite.capture.steps import Step
from engineio_lite.capture.visible import visible

__all__ = ["page"]

_SCRIPTS: Final = ("model.js", "payload.js", "rows.js", "overview.js", "details.js", "main.js")
"""The parts of the script, in the order in which they are put together."""


def page(head: Head, steps: Sequence[Step], *, title: str, remarks: Sequence[str] = (), max_rows: int = MAX_ROWS) -> str:
    """The page for these steps: HTML, UTF-8. `title` names the capture, `remarks` are sentences about what was wrong with its file.

    Steps may be a part of a capture: what answers a step that is left out says so. Of more than `max_rows` steps the first are shown.
    """
    if len(steps) > max_rows:
        remarks = [*remarks, f"the page has the first {max_rows} of {len(steps)} rows"]
    script = _scripts()
    style = _source("ladder.css")
    made = {"by": visible(head.by), "at": visible(head.at), "source": visible(head.source)}
    data = {"title": visible(title), "remarks": [visible(remark) for remark in remarks], **made, "rows": page_rows(steps[:max_rows])}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_source("ladder.html")).render(
        title=visible(title),
        policy=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        data=Markup(script_json(data)),
    )


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _scripts() -> str:
    parts = "\n".join(_source(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _policy(script: str, style: str) -> str:
    """What the browser may run and fetch for this page: its script, its style, and nothing."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
