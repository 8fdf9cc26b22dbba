"""Draws the four state machines from the tables in `engineio_lite/state.py`: the directive ``state-diagram``.

A picture that is drawn by hand is wrong after the next change of a table; this one cannot be. The layout is the only thing written down here: every
machine has a spine of states from top to bottom and its other states at the sides of it, each beside the rows of the spine that lead to it, so that
every arrow is a straight line. A row of the spine may be empty: there the arrows pass from side to side. A transition that the layout has no place
for fails the build of the documentation rather than going missing.

The result is an SVG in the page itself, in the colours of the theme (light and dark), and the same table as text below it, for those who do not see
pictures and for searching. No Graphviz, no other program.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from itertools import pairwise
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive

from engineio_lite import state

Edges = dict[tuple[str, str], list[str]]
"""(from, to) -> the inputs that lead there, in the order of the table."""


@dataclass(frozen=True)
class Machine:
    """One table and where its states stand: `spine` top to bottom ("" is an empty row), at its right `beside` as (state, first row, last row), and
    `before` in the same way at its left."""

    title: str
    states: type[StrEnum]
    table: Mapping[tuple[Any, Any], Any]
    spine: tuple[str, ...]
    beside: tuple[tuple[str, int, int], ...]
    before: tuple[tuple[str, int, int], ...] = ()

    def edges(self) -> Edges:
        """The moves of the table, those that stay where they are included."""
        found: Edges = {}
        for (source, cause), target in self.table.items():
            found.setdefault((source, target), []).append(str(cause))
        return found


_S, _U, _N, _L = state.SessionState, state.UpgradeState, state.NamespaceState, state.LinkState

MACHINES = {
    "session": Machine("The session", _S, state.SESSION, (_S.IDLE, _S.OPENING, _S.OPEN, _S.CLOSING), ((_S.CLOSED, 0, 3),)),
    "upgrade": Machine(
        "The upgrade",
        _U,
        state.UPGRADE,
        (_U.NONE, _U.CONNECTING, _U.PROBING, _U.PAUSING, _U.DONE),
        ((_U.FAILED, 1, 3), (_U.REPAIRING, 4, 4)),
    ),
    "namespace": Machine("A namespace", _N, state.NAMESPACE, (_N.CONNECTING, _N.CONNECTED), ((_N.DISCONNECTED, 0, 1),)),
    "link": Machine("The link", _L, state.LINK, (_L.IDLE, _L.CONNECTING, _L.CONNECTED, ""), ((_L.CLOSED, 0, 3),), ((_L.WAITING, 1, 3),)),
}

# --- Measures, in SVG units (a pixel at full width).

WIDTH = 720
TWO_COLUMNS = ((10, 230), (490, 710))
THREE_COLUMNS = ((10, 170), (275, 445), (550, 710))
TOP = 34
LINE = 17
PADDING = 14
WRAP = 27
CLEARANCE = 14


def _phrases(inputs: Iterable[str]) -> list[str]:
    """Inputs as short text: what the peer sends is gathered into one phrase, "receive ping, pong, message"."""
    whole = [name.replace(" ", "\u00a0").replace("receive\u00a0", "receive ") for name in inputs]  # a name is never cut at the end of a line
    received = [name.removeprefix("receive ") for name in whole if name.startswith("receive ")]
    others = [name for name in whole if not name.startswith("receive ")]
    return ([f"receive {', '.join(received)}"] if received else []) + ([", ".join(others)] if others else [])


def _wrapped(inputs: Iterable[str], width: int = WRAP) -> list[tuple[str, bool]]:
    """The same cut into lines, each with whether it is about the peer."""
    return [(line, phrase.startswith("receive ")) for phrase in _phrases(list(inputs)) for line in textwrap.wrap(phrase, width)]


_Arrow = tuple[str, str, list[tuple[str, bool]]]
"""Source, target, and the lines of the label, each with whether it is about the peer."""


@dataclass
class _Box:
    name: str
    left: float
    right: float
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


class Drawing:
    """One diagram: places the boxes, then draws box by box and arrow by arrow."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.edges = machine.edges()
        self.parts: list[str] = []
        self.boxes: dict[str, _Box] = {}
        self.sides = [[str(name) for name, _, _ in side] for side in (machine.before, machine.beside)]
        self._place()

    # --- Where everything goes.

    def _stays(self, name: str) -> list[tuple[str, bool]]:
        return _wrapped(self.edges.get((name, name), []))

    def _box_height(self, name: str) -> float:
        stays = self._stays(name)
        return 2 * PADDING + LINE + (LINE * len(stays) + 12 if stays else 0)

    def _across(self, name: str, side: list[str]) -> list[_Arrow]:
        """The arrows between a state of the spine and the states of one side; in an empty row those from side to side."""
        ends = ({name}, set(side)) if name else (set(self.sides[0]), set(self.sides[1]))
        width = 14 if self.machine.before else 30
        found = []
        for (source, target), inputs in self.edges.items():
            if (source in ends[0] and target in ends[1]) or (target in ends[0] and source in ends[1]):
                found.append((source, target, _wrapped(inputs, width)))
        return found

    def _place(self) -> None:
        columns = THREE_COLUMNS if self.machine.before else TWO_COLUMNS
        left, right = columns[-2]
        top: float = TOP
        rows = []
        for i, name in enumerate(self.machine.spine):
            arrows = [sum(LINE * len(label) + 2 * CLEARANCE for _, _, label in self._across(name, side)) for side in self.sides]
            height = max(self._box_height(name) if name else 0, *arrows)
            rows.append((top, top + height))
            if name:
                self.boxes[name] = _Box(name, left, right, top, top + height)
            if i + 1 < len(self.machine.spine):
                top += height + self._gap(i)
        for side, (left, right) in zip((self.machine.before, self.machine.beside), (columns[0], columns[-1]), strict=True):
            for name, first, last in side:
                bottom = max(rows[last][1], rows[first][0] + self._box_height(name))
                self.boxes[name] = _Box(name, left, right, rows[first][0], bottom)
        self.rows = rows
        self.height = max(box.bottom for box in self.boxes.values()) + 12

    def _gap(self, row: int) -> float:
        """The room below a row: enough for the labels of the arrows that go down or up there, at the left and at the right."""
        pairs = [(self.machine.spine[row], self.machine.spine[row + 1])]
        for side in (self.machine.before, self.machine.beside):
            pairs += [(a, b) for a, _, end in side for b, start, _ in side if (end, start) == (row, row + 1)]
        lines = [len(_wrapped(self.edges.get(pair, []), 16)) for a, b in pairs for pair in ((a, b), (b, a))]
        return max(40, LINE * max(lines) + 2 * CLEARANCE)

    # --- The ink.

    def svg(self) -> str:
        drawn = set()
        for box in self.boxes.values():
            self._draw_box(box)
            drawn.add((box.name, box.name))
        for row, name in enumerate(self.machine.spine):
            for side in self.sides if name else self.sides[:1]:
                drawn |= self._draw_across(name, side, *self.rows[row])
        drawn |= self._draw_down()
        missing = [f"{source} -> {target}" for source, target in self.edges if (source, target) not in drawn]
        if missing:
            raise ValueError(f"the layout of {self.machine.title!r} has no place for {', '.join(missing)}")
        ident = self.machine.title.replace(" ", "-").lower()
        description = f"State diagram generated from the table; the same transitions are listed as text below. States: {', '.join(self.boxes)}."
        return "\n".join(
            [
                f'<svg class="state-diagram" viewBox="0 0 {WIDTH} {self.height:g}" role="img" aria-labelledby="{ident}-t {ident}-d" '
                'xmlns="http://www.w3.org/2000/svg">',
                f'<title id="{ident}-t">{escape(self.machine.title)}</title><desc id="{ident}-d">{escape(description)}</desc>',
                f'<defs><marker id="{ident}-arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
                '<path class="head" d="M0 1 L10 5 L0 9 L2.5 5 z"/></marker></defs>',
                *(part.replace("#arrow", f"#{ident}-arrow") for part in self.parts),
                "</svg>",
            ]
        )

    def _text(self, x: float, y: float, text: str, kind: str) -> None:
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def _line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(f'<line class="move" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" marker-end="url(#arrow)"/>')

    def _draw_box(self, box: _Box) -> None:
        first = box.name == next(iter(self.machine.states))
        last = not any(source == box.name != target for source, target in self.edges)
        kind = "state" + (" last" if last else "")
        self.parts.append(
            f'<rect class="{kind}" x="{box.left:g}" y="{box.top:g}" width="{box.right - box.left:g}" height="{box.bottom - box.top:g}" rx="10"/>'
        )
        if last:
            self.parts.append(
                f'<rect class="inner" x="{box.left + 4:g}" y="{box.top + 4:g}" width="{box.right - box.left - 8:g}" '
                f'height="{box.bottom - box.top - 8:g}" rx="7"/>'
            )
        if first:
            self.parts.append(f'<circle class="start" cx="{box.middle:g}" cy="{box.top - 24:g}" r="5"/>')
            self._line(box.middle, box.top - 19, box.middle, box.top - 1)
        stays = self._stays(box.name)
        y = (box.top + box.bottom - self._box_height(box.name)) / 2 + PADDING + 14
        self._text(box.middle, y, box.name.upper(), "name")
        if stays:
            self.parts.append(f'<line class="rule" x1="{box.left + 40:g}" x2="{box.right - 40:g}" y1="{y + 11:g}" y2="{y + 11:g}"/>')
            for i, (line, peer) in enumerate(stays):
                self._text(box.middle, y + 28 + LINE * i, line, "stays peer" if peer else "stays")

    def _draw_across(self, name: str, side: list[str], top: float, bottom: float) -> set[tuple[str, str]]:
        arrows = self._across(name, side)
        y = (top + bottom - sum(LINE * len(label) + 2 * CLEARANCE for _, _, label in arrows)) / 2
        for source, target, label in arrows:
            start, end = self.boxes[source], self.boxes[target]
            ends = (start.right + 2, end.left - 2) if start.left < end.left else (start.left - 2, end.right + 2)
            for i, (line, peer) in enumerate(label):
                self._text(sum(ends) / 2, y + CLEARANCE + LINE * i + 10, line, "label peer" if peer else "label")
            y += LINE * len(label) + 2 * CLEARANCE
            self._line(ends[0], y - CLEARANCE, ends[1], y - CLEARANCE)
            # An arrow may only reach a box that stands beside this row.
            for box in (start, end):
                if not box.top <= y - CLEARANCE <= box.bottom:
                    raise ValueError(f"{box.name} does not stand beside {name or 'the empty row'}")
        return {(source, target) for source, target, _ in arrows}

    def _draw_down(self) -> set[tuple[str, str]]:
        columns = [[self.boxes[name] for name in column if name] for column in (self.machine.spine, *self.sides)]
        drawn = set()
        for column in columns:
            for upper, lower in pairwise(column):
                both = (upper.name, lower.name) in self.edges and (lower.name, upper.name) in self.edges
                for source, target in ((upper, lower), (lower, upper)):
                    if (source.name, target.name) in self.edges:
                        self._draw_vertical(source, target, both=both)
                        drawn.add((source.name, target.name))
        return drawn

    def _draw_vertical(self, source: _Box, target: _Box, *, both: bool) -> None:
        down = source.top < target.top
        start, end = (source.bottom + 2, target.top - 2) if down else (source.top - 2, target.bottom + 2)
        shift = (-14 if down else 14) if both else 0
        x = source.middle + shift
        self._line(x, start, x, end)
        label = _wrapped(self.edges[source.name, target.name], 16)
        y = (start + end) / 2 - LINE * (len(label) - 1) / 2 + 4
        left = both and down
        for i, (line, peer) in enumerate(label):
            kind = ("label before" if left else "label after") + (" peer" if peer else "")
            self._text(x + (-9 if left else 9), y + LINE * i, line, kind)


STYLE = """
.state-diagram { display: block; width: 100%; max-width: 720px; margin: 1.2rem auto 0.6rem; font-family: inherit; }
.state-diagram text { text-anchor: middle; fill: var(--color-foreground-primary, #222); font-size: 13px; }
.state-diagram .name { font-size: 14px; font-weight: 650; letter-spacing: 0.06em; }
.state-diagram .stays { font-size: 12.5px; fill: var(--color-foreground-secondary, #555); }
.state-diagram .before { text-anchor: end; }
.state-diagram .after { text-anchor: start; }
.state-diagram .state { fill: var(--color-background-secondary, #f4f5f7); stroke: var(--color-foreground-muted, #777); stroke-width: 1.4; }
.state-diagram .last { stroke-width: 1.8; }
.state-diagram .inner { fill: none; stroke: var(--color-foreground-muted, #777); stroke-width: 0.9; }
.state-diagram .rule { stroke: var(--color-background-border, #ccc); stroke-width: 1; }
.state-diagram .move { stroke: var(--color-foreground-secondary, #555); stroke-width: 1.4; fill: none; }
.state-diagram .head, .state-diagram .start { fill: var(--color-foreground-secondary, #555); }
.state-diagram text.peer { fill: var(--color-brand-content, #0a58ca); }
.state-diagram-key { font-size: 0.82em; color: var(--color-foreground-secondary, #555);  }
.state-diagram-key .peer { color: var(--color-brand-content, #0a58ca); }
"""

KEY = (
    '<p class="state-diagram-key">How to read the diagrams: the dot marks the first state, a double border one that is never left. '
    'Inside a box stands what happens there without leaving it. <span class="peer">In colour: what the peer sends.</span> '
    "What is not in a picture is illegal in that state.</p>"
)


def _table(machine: Machine) -> nodes.table:
    """The transitions as rows: in this state, on these inputs, to that state."""
    group = nodes.tgroup("", cols=3)
    group += [nodes.colspec(colwidth=width) for width in (1, 3, 1)]

    def row(*cells: nodes.Node) -> nodes.row:
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))

    group += nodes.thead("", row(nodes.Text("in"), nodes.Text("on"), nodes.Text("goes to")))
    body = nodes.tbody()
    for (source, target), inputs in machine.edges().items():
        goal = nodes.emphasis("", "stays") if source == target else nodes.strong("", target.upper())
        body += row(nodes.strong("", source.upper()), nodes.Text(", ".join(inputs)), goal)
    group += body
    return nodes.table("", group)


class StateDiagram(Directive):  # type: ignore[misc]  # docutils ships no types
    """``state-diagram:: session`` (or ``upgrade``, ``namespace``, ``link``)."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The picture (the key stands above the first one of a page) and the table folded away below it."""
        name = self.arguments[0]
        if name not in MACHINES:
            raise self.error(f"no such machine: {name!r} (there are {', '.join(MACHINES)})")
        machine = MACHINES[name]
        once = "" if getattr(self.state.document, "has_state_diagram", False) else f"<style>{STYLE}</style>{KEY}"
        self.state.document.has_state_diagram = True
        return [
            nodes.raw("", once + Drawing(machine).svg(), format="html"),
            nodes.raw("", f"<details><summary>{machine.title} as a table</summary>", format="html"),
            _table(machine),
            nodes.raw("", "</details>", format="html"),
        ]


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("state-diagram", StateDiagram)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
