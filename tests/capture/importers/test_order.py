"""The order of moves: by time, unless something has to be before something else."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.importers.order import SLACK, Move, in_causal_order, probe_first
from engineio_lite.capture.lines import Direction, Note

UP, DOWN = Direction.UP, Direction.DOWN


def body(time: float, direction: Direction, text: str) -> Move:
    return Move(time, direction, body=text.encode())


def frame(time: float, direction: Direction, data: str | bytes) -> Move:
    return Move(time, direction, message=data)


def texts(moves: list[Move]) -> list[str]:
    return [text for move in moves for text in move.texts]


def test_channels_are_merged_by_time() -> None:
    posts = [body(1.0, UP, '42["a"]'), body(3.0, UP, '42["c"]')]
    gets = [body(2.0, DOWN, '42["b"]'), body(4.0, DOWN, '42["d"]')]
    assert texts(in_causal_order([posts, gets], [])) == ['42["a"]', '42["b"]', '42["c"]', '42["d"]']


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("40", '40{"sid":"x"}'),
        ('40/admin,{"token":"t"}', '40/admin,{"sid":"x"}'),
        ("40/nope,", '44/nope,{"message":"Invalid namespace"}'),
        ('420["echo"]', '430["echo"]'),
        ('42/admin,7["echo"]', "43/admin,7[]"),
        ('451-3["blob",{"_placeholder":true,"num":0}]', "433[]"),
        ('423["blob"]', '461-3[{"_placeholder":true,"num":0}]'),
    ],
)
def test_an_answer_waits_for_its_question(question: str, answer: str) -> None:
    posts, gets = [body(1.001, UP, question)], [body(1.0, DOWN, answer)]
    moves = in_causal_order([posts, gets], [])
    assert texts(moves) == [question, answer]
    assert [move.time for move in moves] == [1.001, 1.001]


def test_an_acknowledgement_of_ours_waits_for_the_servers_event() -> None:
    moves = in_causal_order([[body(1.0, UP, "434[]")], [body(1.001, DOWN, '424["question"]')]], [])
    assert texts(moves) == ['424["question"]', "434[]"]


def test_a_pong_waits_for_its_ping() -> None:
    assert texts(in_causal_order([[body(1.0, UP, "3")], [body(1.001, DOWN, "2")]], [])) == ["2", "3"]


def test_a_question_much_later_is_another_one() -> None:
    moves = in_causal_order([[body(1.0, UP, "3")], [body(1.1 + SLACK, DOWN, "2")]], [])
    assert texts(moves) == ["3", "2"]


def test_each_answer_takes_a_question_of_its_own() -> None:
    posts = [body(1.0, UP, "40"), body(2.001, UP, "40")]
    gets = [body(1.1, DOWN, '40{"sid":"a"}'), body(2.0, DOWN, '40{"sid":"b"}')]
    assert texts(in_causal_order([posts, gets], [])) == ["40", '40{"sid":"a"}', "40", '40{"sid":"b"}']


def test_ids_of_different_namespaces_are_different() -> None:
    posts = [body(1.0, UP, '420["a"]'), body(2.0, UP, '42/x,0["b"]')]
    assert texts(in_causal_order([posts, [body(1.5, DOWN, "430[]")]], [])) == ['420["a"]', "430[]", '42/x,0["b"]']


def test_what_was_first_is_first() -> None:
    first = [body(1.0, DOWN, "0{}")]
    moves = in_causal_order([[body(0.999, UP, "40")], [body(0.9991, DOWN, '40{"sid":"x"}')]], [], first=first)
    assert texts(moves) == ["0{}", "40", '40{"sid":"x"}']
    assert [move.time for move in moves] == [1.0, 1.0, 1.0]


UPGRADE = [frame(1.0, UP, "2probe"), frame(1.01, DOWN, "3probe"), frame(1.02, UP, "5"), frame(1.03, DOWN, '42["after"]')]


def test_the_upgrade_waits_for_the_end_of_polling() -> None:
    posts = [body(1.06, UP, '42["last"]')]
    gets = [body(1.05, DOWN, '42["event"]'), body(1.11, DOWN, "6")]
    assert texts(in_causal_order([posts, gets], [UPGRADE])) == [
        "2probe",
        "3probe",
        '42["event"]',
        '42["last"]',
        "6",
        "5",
        '42["after"]',
    ]


def test_events_of_both_transports_during_an_upgrade_keep_their_order() -> None:
    """What is emitted during an upgrade still goes by polling, and what is emitted after it by WebSocket."""
    posts = [body(1.001, UP, '420["during"]')]
    gets = [body(1.015, DOWN, '430["during"]\x1e42["pushed"]'), body(1.024, DOWN, "6")]
    socket = [*UPGRADE[:3], frame(1.021, UP, '421["later"]'), frame(1.022, DOWN, '431["later"]')]
    assert texts(in_causal_order([posts, gets], [socket])) == [
        "2probe",
        '420["during"]',
        "3probe",
        '430["during"]',
        '42["pushed"]',
        "6",
        "5",
        '421["later"]',
        '431["later"]',
    ]


def test_noise_after_the_end_does_not_hold_the_upgrade() -> None:
    note = Note(session=1, time=30.0, what="x", text="")
    gets = [body(1.015, DOWN, "6"), Move(30.0, DOWN, line=note)]
    moves = in_causal_order([gets], [UPGRADE])
    assert texts(moves)[-1] == '42["after"]'
    assert moves[-1].line == note


def test_a_line_that_is_moved_forward_gets_the_time_of_its_place() -> None:
    first = [body(2.0, DOWN, "0{}")]
    [_, moved] = in_causal_order([[Move(1.0, DOWN, line=Note(session=1, time=1.0, what="x", text=""))]], [], first=first)
    assert moved.line == Note(session=1, time=2.0, what="x", text="")


@pytest.mark.parametrize("order", [*permutations(UPGRADE)])
def test_the_steps_of_an_upgrade_are_in_their_order_however_they_were_written(order: tuple[Move, ...]) -> None:
    opened = Move(0.9, DOWN, line=Note(session=1, time=0.9, what="open", text=""))
    closed = Move(2.0, DOWN, line=Note(session=1, time=2.0, what="closed", text=""))
    assert probe_first([opened, *order, closed]) == [opened, *UPGRADE, closed]


def test_a_websocket_that_upgrades_nothing_stays_as_it_is() -> None:
    channel = [frame(1.0, DOWN, "0{}"), frame(1.1, UP, "40"), frame(1.2, DOWN, b"\x00")]
    assert probe_first(channel) == channel


def test_a_probe_without_an_answer_stays_as_it_is() -> None:
    assert probe_first(UPGRADE[:1]) == UPGRADE[:1]


def test_if_everything_waits_the_earliest_goes_on() -> None:
    posts, gets = [body(1.0, UP, "430[]"), body(1.1, UP, '420["a"]')], [body(1.01, DOWN, "430[]"), body(1.1, DOWN, '420["b"]')]
    assert texts(in_causal_order([posts, gets], [])) == ["430[]", '420["a"]', "430[]", '420["b"]']


moves = st.lists(
    st.builds(
        body,
        st.floats(0, 10),
        st.sampled_from(Direction),
        st.sampled_from(["2", "3", "5", "6", "1", "40", '40{"sid":"x"}', '420["a"]', "430[]", '42["x"]', "44{}", "2probe", "", "é\x1e3"]),
    ),
    max_size=8,
)


@given(moves, moves, moves, moves)
def test_nothing_is_lost_or_doubled_and_channels_keep_their_order(first: list[Move], posts: list[Move], gets: list[Move], frames: list[Move]) -> None:
    socket = [frame(move.time, move.direction, next(move.texts)) for move in frames]
    merged = in_causal_order([posts, gets], [socket], first=first)
    assert [move.time for move in merged] == sorted(move.time for move in merged)
    assert len(merged) == len(first) + len(posts) + len(gets) + len(socket)
    bodies = [move.body for move in merged if move.body is not None]
    for channel in (first, posts, gets):
        rest = iter(bodies)
        assert all(any(move.body == found for found in rest) for move in channel), "a channel is a subsequence"
    assert [move.message for move in merged if move.message is not None] == [move.message for move in probe_first(socket)]
