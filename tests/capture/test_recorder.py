"""The recorder is a wrapper around the one door: it sees everything, changes nothing, and what it has seen can be played again.

The last is what a capture is for: a connection is a function of its inputs and their instants, so feeding the recorded inputs into a fresh
connection gives the recorded outputs, whatever happened. That is proven here for random sessions, with everything going wrong that can.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from engineio_lite.capture import Record, RecordedConnection, Recorder
from engineio_lite.causes import Cause
from engineio_lite.commands import Poll, Post
from engineio_lite.connection import EngineIOConnection
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.inputs import Close, Connect, Input, SendMessages, TimePassed, WebSocketOpened
from tests.core.script import NO_UPGRADE, OPEN, URL, answer, arrives, connection, frame, ok, opened, without_token
from tests.core.snapshot import fingerprint
from tests.socketio.world import ROUGH_STEPS, STEPS, TRANSPORTS, Step, World, make_engine


def _numbered(number: int) -> Record:
    return Record(float(number), TimePassed(), ())


# --- What is kept.


def test_a_record_is_the_instant_the_input_and_the_outputs() -> None:
    recorder = Recorder()
    wrapped = RecordedConnection(connection(), recorder)
    first = wrapped.process(Connect(), 1.5)
    second = wrapped.process(answer(1, NO_UPGRADE), 1.75)
    assert recorder.records == (Record(1.5, Connect(), tuple(first)), Record(1.75, answer(1, NO_UPGRADE), tuple(second)))
    assert [without_token(output) for output in second] == [opened(upgrades=())]


def test_a_record_does_not_change_with_what_is_done_to_the_outputs_afterwards() -> None:
    recorder = Recorder()
    outputs = RecordedConnection(connection(), recorder).process(Connect(), 0.0)
    outputs.clear()
    ((command,),) = [record.outputs for record in recorder.records]
    assert isinstance(command, Poll)


def test_a_recorder_keeps_the_last_records_and_counts_those_that_are_gone() -> None:
    recorder = Recorder(max_records=3)
    assert (recorder.records, recorder.dropped) == ((), 0)
    for number in range(3):
        recorder.record(_numbered(number))
    assert (recorder.records, recorder.dropped) == (tuple(map(_numbered, range(3))), 0)
    for number in range(3, 10):
        recorder.record(_numbered(number))
    assert (recorder.records, recorder.dropped) == (tuple(map(_numbered, range(7, 10))), 7)


def test_what_was_read_from_a_recorder_stays_as_it_was() -> None:
    recorder = Recorder()
    recorder.record(_numbered(0))
    before = recorder.records
    recorder.record(_numbered(1))
    assert before == (_numbered(0),)


def test_an_input_that_is_refused_leaves_no_record() -> None:
    recorder = Recorder()
    wrapped = RecordedConnection(connection(), recorder)
    with pytest.raises(LocalProtocolError) as caught:
        wrapped.process(SendMessages(("too early",)), 0.0)
    assert caught.value.cause is Cause.NOT_OPEN
    assert (recorder.records, recorder.dropped) == ((), 0)


# --- What is not changed.

_SESSION: list[Input] = [
    Connect(),
    answer(1, OPEN),
    SendMessages(("one", b"\x01")),
    TimePassed(),  # the first POST's lead is over
    ok(2),
    answer(3, "4two", "2"),
    SendMessages(("three",)),
    WebSocketOpened(1),
    arrives("3probe"),
    ok(4),
    answer(5, "6"),
    arrives("4four"),
    Close(("bye",)),
]


def test_a_recorded_connection_behaves_and_looks_as_the_one_inside() -> None:
    bare, inner = connection(), connection()
    wrapped = RecordedConnection(inner, Recorder())
    for now, input in enumerate(_SESSION):
        assert wrapped.process(input, float(now)) == bare.process(input, float(now))
        for seen in (wrapped, inner):
            assert (seen.state, seen.upgrade_state, seen.transport, seen.handshake) == (
                bare.state,
                bare.upgrade_state,
                bare.transport,
                bare.handshake,
            )
            assert (seen.deadline, seen.buffered, seen.buffered_packets) == (bare.deadline, bare.buffered, bare.buffered_packets)


def test_the_session_that_is_compared_goes_all_the_way() -> None:
    recorder = Recorder()
    wrapped = RecordedConnection(connection(), recorder)
    outputs = [output for now, input in enumerate(_SESSION) for output in wrapped.process(input, float(now))]
    assert frame("5") in outputs
    assert frame("4bye") in outputs
    assert any(isinstance(output, Post) for output in outputs)
    assert [record.input for record in recorder.records] == _SESSION


# --- What can be played again.


def _play_again(world: World) -> None:
    engine = make_engine(world.transports)
    for record in world.recorder.records:
        outputs = engine.process(record.input, record.at)
        assert fingerprint(tuple(outputs)) == fingerprint(record.outputs)


@given(TRANSPORTS, STEPS)
def test_a_recorded_session_can_be_played_again(transports: tuple[str, ...], steps: list[Step]) -> None:
    world = World(transports)
    world.play(steps)
    _play_again(world)


@given(TRANSPORTS, ROUGH_STEPS)
def test_a_session_in_which_everything_went_wrong_can_be_played_again(transports: tuple[str, ...], steps: list[Step]) -> None:
    world = World(transports)
    world.play(steps)
    _play_again(world)


def test_another_token_gives_other_urls_and_nothing_else() -> None:
    plain, other = EngineIOConnection(URL, token="x"), EngineIOConnection(URL, token="y")
    for now, input in enumerate(_SESSION):
        first, second = plain.process(input, float(now)), other.process(input, float(now))
        assert [without_token(output) for output in first] == [without_token(output) for output in second]
        assert (first == second) == (not any(isinstance(output, Poll | Post) for output in first))
