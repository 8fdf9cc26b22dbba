"""Anything at all happens to the machine, and its promises hold; `tests.socketio.world` has the promises."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.events import Closed
from engineio_lite.exceptions import DecodeError
from engineio_lite.inputs import ResponseReceived
from engineio_lite.socketio.events import EventReceived
from engineio_lite.state import CloseReason, SessionState
from tests.core.script import arrives
from tests.socketio.script import joined, live, play
from tests.socketio.world import ROUGH_STEPS, STEPS, TEXT, TRANSPORTS, Step, World


@given(TRANSPORTS, STEPS)
def test_whatever_happens_the_promises_hold(transports: tuple[str, ...], steps: list[Step]) -> None:
    World(transports).play(steps)


@given(TRANSPORTS, ROUGH_STEPS)
def test_whatever_goes_wrong_the_promises_hold(transports: tuple[str, ...], steps: list[Step]) -> None:
    World(transports).play(steps)


@given(st.lists(st.text() | st.binary(), max_size=5))
def test_any_messages_at_all_give_events_or_an_end(frames: list[str | bytes]) -> None:
    machine = play(live("/"))
    for frame in frames:
        outputs = machine.process(arrives("4" + frame if isinstance(frame, str) else frame), 0.0)
        ended = any(isinstance(output, Closed) for output in outputs)
        assert ended == (machine.state is SessionState.CLOSED and bool(outputs))
        if ended:
            closed = outputs[-1]
            assert isinstance(closed, Closed)
            assert closed.reason in (CloseReason.PARSE_ERROR, CloseReason.SERVER_DISCONNECT)
            assert (closed.reason is CloseReason.PARSE_ERROR) == isinstance(closed.error, DecodeError)


@given(st.binary(max_size=60))
def test_any_poll_body_at_all_gives_events_or_an_end(body: bytes) -> None:
    machine = play(joined("/"))
    outputs = machine.process(ResponseReceived(4, 200, TEXT, body), 0.0)
    assert any(isinstance(output, Closed) for output in outputs) == (machine.state is SessionState.CLOSED)


@given(st.lists(st.lists(st.integers() | st.text(), max_size=3), max_size=30), st.lists(st.integers(1, 4), min_size=1))
def test_events_are_the_same_however_they_are_bundled(events: list[list[object]], sizes: list[int]) -> None:
    packets = [f"42{json.dumps(['e', *arguments])}" for arguments in events]
    machine = play(joined("/"))
    request = 4
    received: list[EventReceived] = []
    bundles: list[list[str]] = []
    while packets:
        size = sizes[len(bundles) % len(sizes)]
        bundles.append(packets[:size])
        packets = packets[size:]
    for bundle in bundles:
        outputs = machine.process(ResponseReceived(request, 200, TEXT, "\x1e".join(bundle).encode()), 0.0)
        received += [output for output in outputs if isinstance(output, EventReceived)]
        request += 1
    assert [output.args for output in received] == events
