"""Steps as rows of text, for `engineio-lite show`; pure.

A row is parts, each with what it means (`Part`), so that whoever prints it chooses the colours, and nothing in it moves a cursor whatever the peers
put there. What helps to understand a packet, its event, its question, comes before what it holds: a row may be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import UNSET

from engineio_lite.capture.lines import Direction
from engineio_lite.capture.steps import Step, StepKind
from engineio_lite.capture.visible import json_text, visible
from engineio_lite.packet import PacketType as EngineType

Part = tuple[str, str]
"""What a piece of text means, and the text."""

Row = list[Part]

ARROWS: Final[Mapping[Direction | None, str]] = {Direction.UP: "──▶", Direction.DOWN: "◀──", None: "   "}

_AROUND: Final[Mapping[StepKind, str]] = {StepKind.SOCKET: "───", StepKind.END: "───", StepKind.NOTE: "   ", StepKind.GAP: "╳╳╳"}
"""What is no packet has one of these for an arrow."""

_TRANSPORT_WIDTH: Final = len("websocket")
_PACKET_WIDTH: Final = len("CONNECT_ERROR")


class Rows:
    """Makes rows of steps; `with_sessions` gives each the number of its session, `last` is the number of the last step."""

    def __init__(self, *, with_sessions: bool, last: int) -> None:
        self._with_sessions = with_sessions
        self._number_width = len(str(last))

    def row(self, step: Step) -> Row:
        """One row."""
        return [*self._head(step), *_middle(step), *_meaning(step)]

    def headings(self) -> Row:
        """The row of headings."""
        session = "sess " if self._with_sessions else ""
        text = f"{'#':>{self._number_width}} {'seconds':>9} {session}    {'on':<{_TRANSPORT_WIDTH + 1}} {'packet':<{_PACKET_WIDTH}} what it says"
        return [("dim", text)]

    def _head(self, step: Step) -> Row:
        time = "?" if step.time is None else f"{step.time:.3f}"
        session = f"{f's{step.session}':<4} " if self._with_sessions else ""
        return [("dim", f"{step.number:>{self._number_width}} {time:>9} {session}")]


def _middle(step: Step) -> Row:
    """Arrow, transport and packet; what is no packet has its words there instead."""
    colour = _colour(step)
    if step.kind in _AROUND:
        return [(colour, f"{_AROUND[step.kind]} ")]
    transport = "" if step.transport is None else step.transport.value
    return [
        (colour, f"{ARROWS[step.direction]} "),
        ("dim", f"{transport:<{_TRANSPORT_WIDTH}} "),
        (colour, f"{step.packet:<{_PACKET_WIDTH}} "),
    ]


def _colour(step: Step) -> str:
    if step.is_error:
        return "gap" if step.kind is StepKind.GAP else "error"
    if step.kind in (StepKind.OPEN, StepKind.SOCKET, StepKind.END) or step.packet == EngineType.UPGRADE.value:
        return "state"
    if step.kind is StepKind.ENGINE:
        return "dim"
    return "up" if step.direction is Direction.UP else "down"


def _meaning(step: Step) -> Row:
    match step.kind:
        case StepKind.PACKET:
            return list(_packet(step))
        case StepKind.ENGINE:
            data = "" if step.data is UNSET else visible(str(step.data))
            return [("dim", " · ".join(filter(None, (data, step.text)))) if _colour(step) == "dim" else ("state", step.text)]
        case StepKind.MESSAGE:
            return [("error" if step.is_error else "dim", f"{step.text}: "), ("", json_text(step.data))]
        case StepKind.GAP:
            return [("gap", f"gap: {visible(step.text)}; packets may be missing here")]
        case StepKind.OPEN:
            return [("dim", _data(step))]
        case StepKind.NOTE:
            return [("note", f"note: {visible(step.text)} ({visible(step.packet)})")]
        case _:
            return [("error" if step.is_error else "state", visible(step.text))]


def _packet(step: Step) -> Iterator[Part]:
    if step.namespace not in (None, "/"):
        yield "name", f"{visible(step.namespace or '')} "
    if step.answers is not None:
        event = "" if step.event is None else f" {visible(step.event)}"
        yield "pair", f"answers #{step.answers}{event}{_after(step)} "
        yield "", _data(step)
    elif step.packet == "EVENT":
        yield from _event(step)
    elif step.packet == "ACK":
        yield "error", f"answers nothing, id {step.id} "
        yield "", _data(step)
    else:
        yield "", _data(step)


def _event(step: Step) -> Iterator[Part]:
    yield "event", f"{'?' if step.event is None else visible(step.event)} "
    if step.answered_by is not None:
        yield "pair", f"→ #{step.answered_by}{_after(step)} "
    elif step.id is not None:
        yield "gap", "→ no answer "
    if isinstance(step.data, list) and step.event is not None:
        yield "", " ".join(json_text(argument) for argument in step.data[1:])
    else:
        yield "", _data(step)


def _data(step: Step) -> str:
    return "" if step.data is UNSET else json_text(step.data)


def _after(step: Step) -> str:
    return "" if step.latency is None else f" after {show_duration(step.latency)}"


def show_duration(seconds: float) -> str:
    """A duration in the unit in which it has a few digits."""
    if abs(seconds) >= 60:
        return f"{seconds / 60:.1f} min"
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if abs(milliseconds) >= 9.95 else f"{round(milliseconds, 1):g} ms"


def cut(row: Row, width: int, measure: Callable[[str], int] = len, shorten: Callable[[str, int], str] = lambda text, width: text[:width]) -> Row:
    """The same row in at most `width` columns, with an ellipsis where it was cut; `measure` and `shorten` know how many columns a character takes."""
    # Nothing longer is worth being measured: all but the characters that combine take a column.
    short = [(meaning, text[: 4 * width]) for meaning, text in row]
    if sum(measure(text) for _, text in short) <= width:
        return row
    kept: Row = []
    left = width - 1
    for meaning, text in short:
        kept.append((meaning, shorten(text, left) if measure(text) > left else text))
        left -= measure(text)
        if left <= 0:
            break
    return [*kept, ("dim", "…")]


def sessions_of(steps: Sequence[Step]) -> set[int]:
    """The numbers of the sessions that steps belong to."""
    return {step.session for step in steps if step.session}
