"""Lists every cause id with what usually mends it, from `engineio_lite/causes.py`: the directive ``cause-tables``.

The groups are those of the source, where a comment ``# --- ...`` heads each; so the page cannot fall behind the code.
"""

from __future__ import annotations

import inspect
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from engineio_lite.causes import FIXES, Cause

HEADING = "# --- "


def groups() -> dict[str, list[Cause]]:
    """The causes under the headings of the source, in its order."""
    found: dict[str, list[Cause]] = {}
    heading = ""
    for line in map(str.strip, inspect.getsource(Cause).splitlines()):
        if line.startswith(HEADING):
            heading = line.removeprefix(HEADING).rstrip(".")
        elif " = " in line:
            found.setdefault(heading, []).append(Cause[line.split(" = ")[0]])
    return found


def _row(cause: Cause) -> nodes.row:
    name = nodes.paragraph("", "", nodes.target("", "", nodes.literal("", cause.value), ids=[f"cause-{cause.value}"]))
    fix = FIXES.get(cause)
    return nodes.row("", nodes.entry("", name), nodes.entry("", nodes.paragraph("", (fix[0].upper() + fix[1:] + ".") if fix else "\u2013")))


def _table(causes: list[Cause]) -> nodes.table:
    group = nodes.tgroup("", cols=2)
    group += [nodes.colspec(colwidth=width) for width in (2, 5)]
    head = nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in ("cause", "what usually mends it")))
    group += nodes.thead("", head)
    group += nodes.tbody("", *map(_row, causes))
    return nodes.table("", group, classes=["colwidths-given", "causes"])


class CauseTables(Directive):  # type: ignore[misc]  # docutils ships no types
    """``cause-tables::`` takes no arguments."""

    def run(self) -> list[nodes.Node]:
        """A heading in bold and a table for each group."""
        shown: list[nodes.Node] = [nodes.raw("", "<style>.causes code { white-space: nowrap; }</style>", format="html")]
        for heading, causes in groups().items():
            shown += [nodes.rubric("", heading), _table(causes)]
        return shown


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("cause-tables", CauseTables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
