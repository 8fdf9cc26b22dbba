"""Over which transports a session travelled at each of its steps: the background of a ladder.

A session that is upgraded travels over both for a while: from the moment its WebSocket is there, until the `upgrade` packet, or until the last packet
came by polling, as an answer may still be on its way. An upgrade that came to nothing ends with its WebSocket.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from engineio_lite.capture.steps import Step, StepKind
from engineio_lite.packet import PacketType
from engineio_lite.state import Transport

POLLING: Final = "polling"
BOTH: Final = "both"
WEBSOCKET: Final = "websocket"


def read_bands(steps: Sequence[Step]) -> list[str]:
    """The band of each step, in the order of `steps`; empty for what belongs to no session."""
    sessions: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        sessions.setdefault(step.session, []).append(place)
    bands = [""] * len(steps)
    for session, places in sessions.items():
        if session:
            for place, band in zip(places, _of_session([steps[place] for place in places]), strict=True):
                bands[place] = band
    return bands


def _of_session(steps: Sequence[Step]) -> list[str]:
    by_polling = [place for place, step in enumerate(steps) if step.transport is Transport.POLLING and step.kind is not StepKind.HTTP]
    by_websocket = [place for place, step in enumerate(steps) if step.transport is Transport.WEBSOCKET or step.packet == "websocket open"]
    if not by_polling:
        return [WEBSOCKET if by_websocket else POLLING] * len(steps)
    if not by_websocket:
        return [POLLING] * len(steps)
    first = by_websocket[0] if by_polling[0] < by_websocket[0] else 0
    upgraded, closed = _place(steps, PacketType.UPGRADE.value), _place(steps, "websocket closed")
    is_in_vain = upgraded is None and not any(step.kind is StepKind.PACKET for step in map(steps.__getitem__, by_websocket))
    if is_in_vain and closed is not None:
        end, after = closed + 1, POLLING
    else:
        # Without the packet that ends an upgrade, the last one by polling does.
        end, after = max(first if upgraded is None else upgraded + 1, by_polling[-1] + 1), WEBSOCKET
    return [POLLING] * first + [BOTH] * (end - first) + [after] * (len(steps) - end)


def _place(steps: Iterable[Step], packet: str) -> int | None:
    return next((place for place, step in enumerate(steps) if step.packet == packet), None)
