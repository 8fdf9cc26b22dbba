"""Two recorders of one conversation see its two directions mixed in two ways, and the conversation is the same."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.comparison import Change, compare_captures
from engineio_lite.capture.crossing import CROSSING, uncrossed
from engineio_lite.capture.lines import Direction, Line, SocketIOPacket, Undecoded
from tests.capture.lines_made import WEBSOCKET, down, opened, up

NEAR = [up(0.010, "EVENT", ["a"]), down(0.011, "EVENT", ["b"]), up(0.012, "EVENT", ["c"]), down(0.013, "EVENT", ["d"])]
FAR = [up(0.110, "EVENT", ["a"]), up(0.111, "EVENT", ["c"]), down(0.112, "EVENT", ["b"]), down(0.113, "EVENT", ["d"])]


def is_same(expected: Sequence[Line], got: Sequence[Line]) -> bool:
    return all(session.is_same for session in compare_captures(expected, got))


def test_what_crossed_may_stand_in_either_order() -> None:
    assert is_same(NEAR, FAR)
    assert is_same(FAR, NEAR)


def test_places_are_those_of_the_recording() -> None:
    lines, places = uncrossed(NEAR, [FAR[0], opened(), *FAR[1:]])
    assert lines == [opened(), FAR[0], FAR[2], FAR[1], FAR[3]]
    assert places == [0, 2, 1, 3]
    [session] = compare_captures(NEAR, FAR)
    assert [(entry.expected, entry.got) for entry in session.entries] == [(0, 0), (1, 2), (2, 1), (3, 3)]
    assert [said.event for said in session.got] == ["a", "c", "b", "d"]


def test_what_one_side_said_keeps_its_order() -> None:
    assert not is_same(NEAR, [NEAR[2], NEAR[1], NEAR[0], NEAR[3]])


@pytest.mark.parametrize(("one", "other", "same"), [(CROSSING, CROSSING, True), (CROSSING + 0.1, 0.0, False), (0.0, CROSSING + 0.1, False)])
def test_what_is_far_apart_in_one_recording_did_not_cross(one: float, other: float, same: bool) -> None:
    asked, told = up(0.0, "EVENT", ["ask"]), down(one, "EVENT", ["told"])
    swapped = [msgspec.structs.replace(told, time=1.0), msgspec.structs.replace(asked, time=1.0 + other)]
    assert is_same([asked, told], swapped) is same


@pytest.mark.parametrize("time", [None, 0.0])
def test_without_times_nothing_is_known_of_crossing(time: float | None) -> None:
    asked, told = up(time, "EVENT", ["ask"]), down(time, "EVENT", ["told"])
    assert is_same([asked, told], [told, asked]) is (time is not None)


def test_only_what_differs_is_told_of_recordings_that_cross() -> None:
    [session] = compare_captures(NEAR, [*FAR[:2], down(0.1125, "EVENT", ["new"]), *FAR[2:]])
    assert session.counts == {Change.SAME: 4, Change.CHANGED: 0, Change.MISSING: 0, Change.ADDED: 1}


def test_placeholders_that_were_numbered_in_another_order_are_the_same() -> None:
    one = [up(0.0, "EVENT", ["mine", "<redacted:1>"]), down(0.0, "EVENT", ["yours", "<redacted:2>"])]
    other = [down(0.0, "EVENT", ["yours", "<redacted:1>"]), up(0.0, "EVENT", ["mine", "<redacted:2>"])]
    assert is_same(one, other)


def test_an_answer_still_answers_its_question() -> None:
    one = [
        up(0.0, "EVENT", ["a"], id=0),
        down(0.0, "EVENT", ["e"]),
        up(0.0, "EVENT", ["b"], id=1),
        down(0.0, "ACK", [], id=0),
        down(0.0, "ACK", [], id=1),
    ]
    assert is_same(one, [one[1], one[0], one[3], one[2], one[4]])
    assert not is_same(one, [one[0], one[1], one[2], one[4], one[3]])


def test_messages_that_are_no_packets_cross_too() -> None:
    hello = Undecoded(session=1, time=0.0, direction=Direction.UP, transport=WEBSOCKET, data="4hello", error="no")
    assert is_same([hello, down(0.0, "EVENT", ["e"])], [down(0.0, "EVENT", ["e"]), hello])


_said = st.lists(st.tuples(st.sampled_from([up, down]), st.integers(0, 2)), max_size=12)


@given(_said, st.randoms())
def test_any_mixture_of_two_directions_is_the_same(said: list[tuple[object, int]], chance: random.Random) -> None:
    packets = [(up if way is up else down)(0.0, "EVENT", ["e", number]) for way, number in said]
    ups, downs = ([packet for packet in packets if packet.direction is way] for way in Direction)
    turns = [*[Direction.UP] * len(ups), *[Direction.DOWN] * len(downs)]
    chance.shuffle(turns)
    queues = {Direction.UP: iter(ups), Direction.DOWN: iter(downs)}
    mixed: list[SocketIOPacket] = [next(queues[turn]) for turn in turns]
    lines, places = uncrossed(packets, mixed)
    assert lines == packets
    assert [mixed[place] for place in places] == packets
