"""The diagrams of the documentation show every transition of the tables, and a layout that has no place for one is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from docs._ext.state_diagrams import MACHINES, WIDTH, Drawing

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", MACHINES)
def test_a_diagram_shows_every_state_every_input_and_every_move(name: str) -> None:
    machine = MACHINES[name]
    root = ElementTree.fromstring(Drawing(machine).svg())
    words = [(element.text or "").replace("\u00a0", " ") for element in root.iter(f"{SVG}text")]
    shown = " ".join(words)
    for state in machine.states:
        assert state.upper() in words
    for _, cause in machine.table:
        assert cause.removeprefix("receive ") in shown
    moves = {edge for edge in machine.edges() if edge[0] != edge[1]}
    # One arrow more marks the first state.
    assert len([line for line in root.iter(f"{SVG}line") if line.get("class") == "move"]) == len(moves) + 1


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_is_drawn_outside_of_the_picture(name: str) -> None:
    root = ElementTree.fromstring(Drawing(MACHINES[name]).svg())
    height = float(root.get("viewBox", "").split()[3])
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if element.tag != f"{SVG}marker" and re.fullmatch(r"[xy][12]?|c[xy]", attribute):
                assert 0 <= float(value) <= (height if "y" in attribute else WIDTH)


def test_a_layout_without_a_place_for_a_transition_is_refused() -> None:
    machine = MACHINES["session"]
    shuffled = replace(machine, spine=(machine.spine[1], machine.spine[0], *machine.spine[2:]))
    with pytest.raises(ValueError, match="no place for opening -> open"):
        Drawing(shuffled).svg()


def test_a_layout_whose_arrows_would_miss_a_box_is_refused() -> None:
    machine = MACHINES["link"]
    (name, first, last) = machine.before[0]
    for rows, where in (((first, last - 1), "the empty row"), ((first + 1, last), "connecting")):
        short = replace(machine, before=((name, *rows),))
        with pytest.raises(ValueError, match=f"waiting does not stand beside {where}"):
            Drawing(short).svg()


def test_an_empty_row_holds_what_passes_from_side_to_side() -> None:
    root = ElementTree.fromstring(Drawing(MACHINES["link"]).svg())
    lines = [line for line in root.iter(f"{SVG}line") if line.get("class") == "move"]
    widths = sorted(abs(float(line.get("x2", "")) - float(line.get("x1", ""))) for line in lines)
    assert widths[-1] > WIDTH / 2 > widths[-2]
