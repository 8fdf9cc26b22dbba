"""Two recordings of one conversation are the same, however they travelled; two that differ, differ where they do and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.comparison import Change, Entry, Said, by_session, compare, compare_captures, normalise
from engineio_lite.capture.jsonpaths import PathError
from engineio_lite.capture.lines import Direction, Head, Line, SocketIOPacket, Undecoded
from tests.capture.lines_made import POLLING, TROUBLED, UPGRADED, WEBSOCKET, down, many, opened, up

S, C, M, A = Change.SAME, Change.CHANGED, Change.MISSING, Change.ADDED


def _changes(expected: Sequence[Line], got: Sequence[Line], ignore: Sequence[str] = ()) -> list[tuple[Change, int | None, int | None, list[str]]]:
    entries = compare(normalise(expected), normalise(got), ignore)
    return [(entry.change, entry.expected, entry.got, list(map(str, entry.differences))) for entry in entries]


# --- Being normal.


def _recovered(first: str, second: str, word: str = "x") -> list[SocketIOPacket]:
    """A namespace that can be taken up again, with offsets in two of its events."""
    return [
        up(0.0, "CONNECT", {"pid": "p0", "offset": first}),
        down(0.1, "CONNECT", {"sid": "s", "pid": "p"}),
        down(1.0, "EVENT", ["a", 1, first]),
        down(1.5, "EVENT", ["volatile", word]),
        down(2.0, "EVENT", ["b", second]),
        down(2.5, "EVENT", ["asked", word, second], id=7),
        down(3.0, "EVENT", ["elsewhere", first], namespace="/x"),
    ]


def test_offsets_of_recovery_are_names_and_no_other_words_are() -> None:
    [asked, _, first, volatile, second, question, elsewhere] = [said.data for said in normalise(_recovered("Q8X35Tx", "Q8X35Ty.1", "Welcome"))]
    assert asked == {"pid": "p0", "offset": "@offset1"}
    assert (first, second) == (["a", 1, "@offset1"], ["b", "@offset2"])
    assert volatile == ["volatile", "Welcome"], "which has the form of an offset, but of one in 2041"
    assert question == ["asked", "Welcome", "Q8X35Ty.1"], "what asks has none"
    assert elsewhere == ["elsewhere", "Q8X35Tx"], "nor has what nobody can take up"


def test_two_recordings_with_recovery_are_the_same() -> None:
    [session] = compare_captures(_recovered("Q8X35Tx", "Q8X35Ty.1")[:6], _recovered("Q9X35Tx", "Q9X35Tz")[:6])
    assert [entry.change for entry in session.entries] == [S] * 5 + [C], "the last one is no offset"
    [session] = compare_captures(_recovered("Q8X35Tx", "Q8X35Ty"), _recovered("Q8X35Tx", "Q8X35Tx"))
    assert not session.is_same, "one event that came twice is not two events"


def test_a_conversation_has_packets_and_nothing_of_the_journey() -> None:
    said = normalise(UPGRADED)
    assert [each.packet for each in said] == [line.type for line in UPGRADED if isinstance(line, SocketIOPacket)]
    assert said == normalise([msgspec.structs.replace(line, time=None, transport=POLLING) for line in UPGRADED if isinstance(line, SocketIOPacket)])


def test_ids_count_questions_and_answers_find_theirs() -> None:
    lines = [
        up(0, "EVENT", ["a"], id=7),
        down(0, "EVENT", ["asked", 1], id=300),
        up(0, "EVENT", ["b"], id=8),
        up(0, "EVENT", ["c"], id=0, namespace="/x"),
        down(0, "ACK", [2], id=8),
        up(0, "ACK", [3], id=300),
        down(0, "ACK", [4], id=7),
        down(0, "ACK", [4], id=7),
        down(0, "ACK", [5], id=0, namespace="/x"),
        down(0, "ACK", [6]),
    ]
    assert [(said.id, said.event, said.answers) for said in normalise(lines)] == [
        (1, "a", None),
        (1, "asked", None),
        (2, "b", None),
        (1, "c", None),
        (2, "b", 2),
        (1, "asked", 1),
        (1, "a", 0),
        (0, None, None),
        (1, "c", 3),
        (0, None, None),
    ]


@pytest.mark.parametrize("first", [0, 1, 20])
def test_where_ids_begin_does_not_matter(first: int) -> None:
    lines = [up(0, "EVENT", ["a"], id=first), down(0, "ACK", [], id=first), up(0, "EVENT", ["a"], id=first + 1), down(0, "ACK", [], id=first + 1)]
    assert normalise(lines) == normalise([msgspec.structs.replace(line, id=(line.id or 0) - first) for line in lines])


def test_ids_of_the_server_are_named_as_they_come_up() -> None:
    def session(eio: str, *ids: str) -> list[Line]:
        one, two, private = ids
        return [
            msgspec.structs.replace(opened(), sid=eio),
            down(0, "EVENT", ["early", two]),
            down(0, "CONNECT", {"sid": one, "pid": private}),
            down(0, "CONNECT", {"sid": two}, namespace="/x"),
            up(0, "EVENT", ["mine", {one: [eio, f"not {one} alone"]}]),
        ]

    said = normalise(session("Zm9v", "Abc_defghijklmnopAAAB", "Qrstuvwxyz0123456AAAD", "private-id"))
    assert [each.data for each in said[:3]] == [["early", "@sid2"], {"sid": "@sid1", "pid": "@pid1"}, {"sid": "@sid2"}]
    assert said[3].data == ["mine", {"@sid1": ["@eio1", "not Abc_defghijklmnopAAAB alone"]}]
    assert normalise(session("@eio3", "@sid5", "@sid6", "@pid2"))[:3] == said[:3]


def test_placeholders_are_numbered_anew() -> None:
    lines = [up(0, "CONNECT", {"token": "<redacted:7>", "again": "<redacted:3>"}), down(0, "EVENT", ["e", "for <redacted:3> in @eio9", "@sid"])]
    assert [said.data for said in normalise(lines)] == [
        {"token": "<redacted:1>", "again": "<redacted:2>"},
        ["e", "for <redacted:2> in @eio1", "@sid"],
    ]


def test_types_with_attachments_are_those_without() -> None:
    assert normalise([up(0, "BINARY_EVENT", ["a", b"1"], id=1)]) == normalise([up(0, "EVENT", ["a", b"1"], id=1)])


def test_a_message_that_is_no_packet_was_said_too() -> None:
    lines: list[Line] = [Undecoded(session=1, direction=Direction.UP, transport=WEBSOCKET, data=data, error="no") for data in ("4hello", b"\x00")]
    assert normalise(lines) == [
        Said(direction=Direction.UP, packet="message", data="4hello"),
        Said(direction=Direction.UP, packet="message", data=b"\x00"),
    ]


def test_events_may_have_any_name_or_none() -> None:
    names = [said.event for said in normalise([up(0, "EVENT", [7]), up(0, "EVENT", [1.0]), up(0, "EVENT", [])])]
    assert names == ["7", "1", None]


def test_sessions_are_told_apart() -> None:
    sessions = by_session([Head(), *TROUBLED])
    assert {number: len(lines) for number, lines in sessions.items()} == {1: 5, 2: 4}


# --- Aligning.

CALL = (up(0, "EVENT", ["ask", {"version": "2.18", "n": 1}], id=0), down(0, "ACK", ["yes"], id=0))


def test_what_is_the_same_is_the_same() -> None:
    [session] = compare_captures(UPGRADED, UPGRADED)
    assert session.is_same
    assert session.counts == {S: 13, C: 0, M: 0, A: 0}
    assert compare_captures([], []) == []


def test_json_decides_what_is_the_same() -> None:
    assert _changes([up(0, "EVENT", ["e", {"a": 1, "b": [0]}])], [up(0, "EVENT", ["e", {"b": [-0.0], "a": 1.0}])]) == [(S, 0, 0, [])]
    assert _changes([up(0, "EVENT", ["e", True])], [up(0, "EVENT", ["e", 1])]) == [(C, 0, 0, ["$[1]: true != 1"])]


def test_a_packet_that_changed_says_where() -> None:
    got = [up(0, "EVENT", ["ask", {"version": "2.13", "n": 1}], id=0), CALL[1]]
    assert _changes(CALL, got) == [(C, 0, 0, ['$[1].version: "2.18" != "2.13"']), (S, 1, 1, [])]
    assert _changes(CALL, got, ["$[1].version"]) == [(S, 0, 0, []), (S, 1, 1, [])]
    assert _changes(CALL, got, ["$[0]"]) == [(C, 0, 0, ['$[1].version: "2.18" != "2.13"']), (S, 1, 1, [])]


def test_a_packet_put_in_between_changes_no_other() -> None:
    extra = (up(0, "EVENT", ["ask", {"version": "2.18", "n": 0}], id=5), down(0, "ACK", ["no"], id=5))
    assert _changes(CALL, [*extra, *CALL]) == [(A, None, 0, []), (A, None, 1, []), (S, 0, 2, []), (S, 1, 3, [])]
    assert _changes([*extra, *CALL], CALL) == [(M, 0, None, []), (M, 1, None, []), (S, 2, 0, []), (S, 3, 1, [])]


@pytest.mark.parametrize(
    "other",
    [
        down(0, "EVENT", ["ask", 2]),
        up(0, "EVENT", ["tell", 2]),
        up(0, "EVENT", ["ask", 2], namespace="/x"),
        up(0, "EVENT", ["ask", 2], id=1),
        up(0, "CONNECT", {}),
    ],
)
def test_packets_of_two_kinds_are_never_one_that_changed(other: SocketIOPacket) -> None:
    assert _changes([up(0, "EVENT", ["ask", 1])], [other]) == [(M, 0, None, []), (A, None, 0, [])]


def test_two_answers_that_change_places_are_seen() -> None:
    asked = (up(0, "EVENT", ["a"], id=0), up(0, "EVENT", ["a"], id=1))
    one, other = down(0, "ACK", ["done"], id=0), down(0, "ACK", ["done"], id=1)
    assert _changes([*asked, one, other], [*asked, other, one])[2:] == [(C, 2, 2, ["answers packet: 1 != 2"]), (C, 3, 3, ["answers packet: 2 != 1"])]
    assert _changes([*asked, one], [*asked, down(0, "ACK", ["done"], id=7)])[2:] == [(M, 2, None, []), (A, None, 2, [])]


def test_an_answer_to_what_only_one_side_has_said_differs() -> None:
    assert _changes([*CALL], [CALL[0], CALL[0], CALL[1]]) == [(S, 0, 0, []), (A, None, 1, []), (C, 1, 2, ["answers packet: 1 != 2"])]


def test_sessions_are_paired_in_their_order() -> None:
    one: list[Line] = [opened(), up(0, "CONNECT"), opened(session=2), up(0, "CONNECT", {"a": 1}, session=2)]
    first, second = compare_captures(one, [opened(session=5), up(0, "CONNECT", session=5)])
    assert (first.expected_session, first.got_session, first.is_same) == (1, 5, True)
    assert (second.expected_session, second.got_session, second.is_same, second.counts[M]) == (2, None, False, 1)
    [nothing_said] = compare_captures([], [opened()])
    assert (nothing_said.entries, nothing_said.is_same) == ([], False)
    [ignored] = compare_captures(one[2:], [opened(), up(0, "CONNECT", {"a": 2})], ignore=["$.a"])
    assert ignored.is_same


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(PathError):
        compare_captures([], [], ignore=["a"])
    with pytest.raises(PathError):
        compare([], [], ignore=["a"])


def test_long_conversations_are_compared() -> None:
    """More pairs of packets than are all considered, of a few kinds, nearly all of them different, and a packet too many in front."""
    expected = many(3000)
    got = [
        up(0, "EVENT", ["first"]),
        *(msgspec.structs.replace(line, data=_stirred(line.data)) for line in expected if isinstance(line, SocketIOPacket)),
    ]
    [session] = compare_captures(expected, got)
    assert sum(session.counts.values()) == session.counts[A] + len(session.expected)
    assert session.counts[C] > 2000


def test_what_repeats_itself_without_end_is_compared() -> None:
    ticks = [down(0, "EVENT", ["tick"])] * 4000
    late = [down(0, "EVENT", ["late", number]) for number in range(100)]
    [session] = compare_captures([up(0, "EVENT", ["start"]), *ticks], [*ticks[:3000], *late, up(0, "EVENT", ["stop"])])
    assert session.counts == {S: 3000, C: 0, M: 1001, A: 101}
    [session] = compare_captures(
        [up(0, "EVENT", ["start"]), *late, *ticks, *late[:50]], [*ticks[:3000], *late, *ticks[:3000], up(0, "EVENT", ["stop"])]
    )
    assert session.counts[S] >= 3000
    tock = down(0, "EVENT", ["tock"])
    [session] = compare_captures([up(0, "EVENT", ["start"]), *(ticks[0], tock) * 1500], [*(tock, tock, ticks[0]) * 1000, up(0, "EVENT", ["stop"])])
    assert session.counts[S] == 1999


def _stirred(data: object) -> object:
    return [*data, "more"] if isinstance(data, list) else data


# --- Laws.

_packets = st.lists(
    st.sampled_from(
        [up(0, "EVENT", ["a", 1]), up(0, "EVENT", ["a", 2]), up(0, "EVENT", ["b"], id=1), down(0, "ACK", [1], id=1), down(0, "EVENT", ["a", 1])]
    ),
    max_size=8,
)


@given(_packets, _packets)
def test_an_alignment_has_each_packet_once_and_in_order(one: list[Line], other: list[Line]) -> None:
    entries = compare(normalise(one), normalise(other))
    assert [entry.expected for entry in entries if entry.expected is not None] == list(range(len(one)))
    assert [entry.got for entry in entries if entry.got is not None] == list(range(len(other)))
    for entry in entries:
        assert entry.change is _change_of(entry)


def _change_of(entry: Entry) -> Change:
    if entry.expected is None:
        return Change.ADDED
    if entry.got is None:
        return Change.MISSING
    return Change.CHANGED if entry.differences else Change.SAME


@given(_packets, _packets)
def test_two_conversations_are_the_same_if_they_are_equal(one: list[Line], other: list[Line]) -> None:
    all_same = all(entry.change is Change.SAME for entry in compare(normalise(one), normalise(other)))
    assert all_same == (normalise(one) == normalise(other))
