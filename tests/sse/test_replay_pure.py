"""What a replay consists of, without any I/O: comparing values, choosing an exchange, and saying when which piece comes."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ylokh_sse import CaptureError, ConfigurationError, ReplayMismatch
from ylokh_sse.capture import Answered, Asked, Capture, Cut, Ended, Head, Received, Recorded
from ylokh_sse.loopback import answer
from ylokh_sse.replay.schedule import BREATH, SHORT, check_rechunk, reached_the_server, read_timing, schedule, steps
from ylokh_sse.replay.tape import MAX_LISTED, Tape
from ylokh_sse.replay.values import Every, difference, fits, read_path

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=10,
)


def exchange(
    number: int = 1,
    body: Any = None,
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    head: float | None = 0.5,
    pieces: tuple[tuple[float, bytes], ...] = (),
    end: tuple[float, str] | None = (2.0, "complete"),
    cut: Cut | None = None,
) -> Recorded:
    """An exchange that began after one second; instants are seconds after that."""
    return Recorded(
        line=2,
        asked=Asked(number=number, time=1.0, method=method, url=f"https://h.test{path}", body={"n": number} if body is None else body),
        answered=None if head is None else Answered(number=number, time=1 + head, status=200, headers={"content-type": "text/event-stream"}),
        pieces=[Received(number=number, time=1 + time, data=data) for time, data in pieces],
        end=None if end is None else Ended(number=number, time=1 + end[0], how=end[1], cut=cut),
    )


def tape(*exchanges: Recorded, **options: Any) -> Tape:
    return Tape(Capture(head=Head(), exchanges=exchanges, path="run.sse.jsonl"), **options)


def take(played: Tape, body: Any, *, path: str = "/v1/chat/completions", method: str = "POST") -> int:
    return played.take(method, path, {}, json.dumps(body).encode()).asked.number


def mismatch(played: Tape, body: Any, **where: str) -> ReplayMismatch:
    with pytest.raises(ReplayMismatch) as caught:
        take(played, body, **where)
    assert caught.value.cause == "replay-mismatch"
    assert caught.value.fix
    return caught.value


# --- Values.


@given(JSON_VALUES)
def test_a_value_is_the_same_as_itself_however_it_is_written(value: Any) -> None:
    assert difference(value, json.loads(json.dumps(value, sort_keys=True))) is None


@given(JSON_VALUES, JSON_VALUES)
def test_different_values_differ_both_ways(one: Any, other: Any) -> None:
    assert (difference(one, other) is None) == (difference(other, one) is None)
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert difference(one, other) is None


@pytest.mark.parametrize(
    ("expected", "got", "path", "words"),
    [
        ({"a": 1}, {"a": 2}, "$.a", "1 != 2"),
        ({"a": [1, 2]}, {"a": [1]}, "$.a[1]", "2 != nothing"),
        ({"a": [1]}, {"a": [1, {"b": 1}]}, "$.a[1]", 'nothing != {"b": 1}'),
        ({"a": 1}, {}, "$.a", "1 != nothing"),
        ({}, {"a b": None}, '$["a b"]', "nothing != null"),
        ({"a": {"b": [{"c": 1}, {"d": "x"}]}}, {"a": {"b": [{"c": 1}, {"d": "y"}]}}, "$.a.b[1].d", '"x" != "y"'),
        (1, True, "$", "1 != true"),
        ([0], [False], "$[0]", "0 != false"),
        ({"a": 1, "b": 1}, {"b": 2, "a": 2}, "$.a", "1 != 2"),
        ("x" * 200, "y", "$", f'"{"x" * 79}… != "y"'),
        ({"a": {}}, {"a": []}, "$.a", "{} != []"),
    ],
)
def test_the_first_difference_is_told_with_its_place(expected: Any, got: Any, path: str, words: str) -> None:
    assert difference(expected, got) == (path, words)


def test_numbers_are_equal_as_json_has_them() -> None:
    assert difference([1, -0.0, 10**20], [1.0, 0, 1e20]) is None


def test_depth_is_no_error() -> None:
    deep: Any = 1
    other: Any = 2
    for _ in range(5000):
        deep, other = [deep], [other]
    found = difference(deep, other)
    assert found is not None
    assert found.words == "1 != 2"


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a.b-c", ("a", "b-c")),
        ("$[3].a", (3, "a")),
        ("$.a[*].content", ("a", Every.INDEX, "content")),
        (r'$["a \"b\" ]"][0]', ('a "b" ]', 0)),
        ("$.Ё", ("Ё",)),
    ],
)
def test_paths(path: str, steps: tuple[Any, ...]) -> None:
    assert read_path(path) == steps


@pytest.mark.parametrize("path", ["", "a", "a$", "$a", "$.", "$..a", "$[", "$[a]", "$[-1]", "$.a b[", "$.a]", "$[*", '$["a]'])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a path such as"):
        read_path(path)


@pytest.mark.parametrize(
    ("ignored", "same"),
    [
        ("$.a", True),
        ("$.a[*].x", True),
        ("$.a[0].x", True),
        ("$.a[1].x", False),
        ("$.a[*]", True),
        ("$", True),
        ("$.a.x", False),
        ('$.a["*"].x', False),
        ("$[*][*].x", False),
    ],
)
def test_what_is_ignored_may_differ(ignored: str, same: bool) -> None:
    found = difference({"a": [{"x": 1}]}, {"a": [{"x": 2}]}, (read_path(ignored),))
    assert (found is None) == same


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("<redacted:1>", "anything", True),
        ("<redacted:1>", "<redacted:7>", True),
        ("<redacted:1>", "", False),
        ("a <redacted:1> b", "a x b", True),
        ("a <redacted:1> b", "a  b", False),
        ("a <redacted:1> b", "a x c", False),
        ("a <redacted:1> b", "c x b", False),
        ("<redacted:1>, <redacted:2>.", "x, y.", True),
        ("<redacted:1>, <redacted:2>.", "x, .", False),
        ("<redacted:1>, <redacted:2>.", "x; y.", False),
        ("<redacted:x>", "anything", False),
        ("plain", "plain", True),
        ("plain", "other", False),
    ],
)
def test_a_stand_in_fits_anything_but_nothing(expected: str, got: str, same: bool) -> None:
    assert fits(expected, got) == same


# --- The tape.


def test_exchanges_are_given_once_and_in_order() -> None:
    played = tape(exchange(1), exchange(2))
    assert [take(played, {"n": 1}), take(played, {"n": 2.0})] == [1, 2]
    assert played.left == ()
    played.finish()
    error = mismatch(played, {"n": 3})
    assert str(error).splitlines() == [
        "run.sse.jsonl: one request too many",
        "  expected  nothing more",
        '  got       POST /v1/chat/completions  {"n": 3}',
        "  so far: all of 2 requests played",
        "  to mend it: ask as often as was recorded, or record again",
    ]
    assert (error.expected, error.path) == ("", "")


def test_a_mismatch_says_where_and_how_to_accept_it() -> None:
    played = tape(exchange(1, {"model": "a", "messages": [{"content": "hi"}]}), exchange(2))
    error = mismatch(played, {"model": "a", "messages": [{"content": "ho"}]})
    assert str(error).splitlines() == [
        "run.sse.jsonl, request 1 (line 2)",
        '  expected  POST /v1/chat/completions  {"model": "a", "messages": [{"content": "hi"}]}',
        '  got       POST /v1/chat/completions  {"model": "a", "messages": [{"content": "ho"}]}',
        '  $.messages[0].content: "hi" != "ho"',
        "  so far: 0 of 2 requests played",
        '  to accept: ignore_paths=["$.messages[0].content"], or record again',
    ]
    assert (error.path, error.expected[:4], error.got[-6:]) == ("$.messages[0].content", "POST", '"ho"}]}'[-6:])
    assert played.mismatches == [error]
    assert take(tape(exchange(1, {"a": 1}), ignore_paths=["$.a"]), {"a": 2}) == 1


def test_order_may_not_matter() -> None:
    played = tape(exchange(1), exchange(2), exchange(3), ordered=False)
    assert [take(played, {"n": number}) for number in (3, 1)] == [3, 1]
    assert "request 2 (line 2)" in str(mismatch(played, {"n": 7}))
    played = tape(exchange(1, path="/other"), exchange(2), ordered=False)
    assert "request 2" in str(mismatch(played, {"n": 7}))  # the nearest
    assert "request 1" in str(mismatch(played, {"n": 7}, path="/nowhere"))
    assert "path: /v1/chat/completions != /" in str(mismatch(tape(exchange(1)), {"n": 1}, path="/"))
    assert "method: POST != GET" in str(mismatch(tape(exchange(1)), {"n": 1}, method="GET"))


def test_secrets_of_a_request_are_taken_out_before_it_is_compared_or_shown() -> None:
    secret = "sk-abcdefghijklmnopqrst"
    played = tape(exchange(1, {"a": "key <redacted:1>"}), secrets=["my-own-secret"])
    headers = {"Authorization": "Bearer local-key-1"}
    with pytest.raises(ReplayMismatch) as caught:
        played.take("POST", "/v1/chat/completions", headers, json.dumps({"a": f"{secret} my-own-secret local-key-1"}).encode())
    assert '{"a": "<redacted:1> <redacted:2> <redacted:3>"}' in str(caught.value)
    assert take(played, {"a": "key dummy"}) == 1


def test_a_body_may_be_none_or_no_json() -> None:
    played = tape(
        exchange(1, body="text"),
        Recorded(line=1, asked=Asked(number=2, time=0, method="GET", url="http://h/v1/models"), end=Ended(number=2, time=1, how="cut")),
    )
    assert played.take("POST", "/v1/chat/completions", {}, b"text").asked.number == 1
    assert played.take("GET", "/v1/models", {}, b"").asked.number == 2
    assert (played.origin, played.base_path) == ("https://h.test", "/v1/models")


@pytest.mark.parametrize(
    ("paths", "base"),
    [
        (["/v1/chat/completions"], "/v1"),
        (["/v1/chat/completions", "/chat/completions"], ""),
        (["/x/chat/completions", "/x/v1/chat/completions"], "/x"),
        (["/"], ""),
    ],
)
def test_the_base_url_leads_to_the_same_paths_in_the_same_order(paths: list[str], base: str) -> None:
    assert tape(*(exchange(number, path=path) for number, path in enumerate(paths, 1))).base_path == base


def test_what_no_server_has_seen_is_not_on_the_tape() -> None:
    refused = exchange(1, head=None, end=(0, "connect-refused"))
    assert not reached_the_server(refused)
    assert [each.asked.number for each in tape(refused, exchange(2)).left] == [2]
    with pytest.raises(CaptureError, match="no request in it has reached a server") as caught:
        tape(refused)
    assert caught.value.cause == "capture-empty"


def test_what_is_left_is_told_at_the_end() -> None:
    played = tape(*(exchange(number) for number in range(1, MAX_LISTED + 3)))
    take(played, {"n": 1})
    with pytest.raises(ReplayMismatch) as caught:
        played.finish()
    assert caught.value.cause == "replay-unplayed"
    lines = str(caught.value).splitlines()
    assert lines[0] == "run.sse.jsonl: 11 of 12 requests not asked for"
    assert lines[1] == '  request 2 (line 2): POST /v1/chat/completions  {"n": 2}'
    assert lines[-2:] == ["  and 1 more", "  to accept: ask for all of it, or pass allow_unplayed=True"]
    played.finish(allow_unplayed=True)
    error = ValueError()
    played.finish(error)
    assert error.__notes__ == [str(caught.value)]
    played.finish(KeyboardInterrupt())
    assert "1 of 1 request not" in str(tape(exchange(1)).unplayed())


def test_what_was_asked_for_in_vain_is_told_at_the_end() -> None:
    played = tape(exchange(1))
    first, second = mismatch(played, {"n": 2}), mismatch(played, {"n": 3})
    assert played.mismatches == [first, second]
    with pytest.raises(ReplayMismatch) as caught:
        played.finish(error := ValueError())
    assert (caught.value, caught.value.__cause__) == (first, error)
    played.finish(first)  # goes on by itself
    played.finish(SystemExit())


# --- When.


@pytest.mark.parametrize(
    ("timing", "factor"), [("none", 0), ("recorded", 1), ("scaled(0.5)", 0.5), ("scaled( 2 )", 2), ("scaled(.1)", 0.1), (0, 0), (3, 3), (0.25, 0.25)]
)
def test_timings(timing: Any, factor: float) -> None:
    assert read_timing(timing) == factor


@pytest.mark.parametrize("timing", ["", "fast", "scaled()", "scaled(-1)", "scaled(x)", "1", -1, float("nan"), float("inf"), True])
def test_what_is_no_timing_is_refused(timing: Any) -> None:
    with pytest.raises(ConfigurationError, match="timing is"):
        read_timing(timing)


def test_any_number_of_bytes_is_a_size() -> None:
    assert [check_rechunk(size) for size in (None, 1, 1000)] == [None, 1, 1000]


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(ConfigurationError, match="rechunk is"):
        check_rechunk(size)


PIECES = ((0.625, b"one"), (0.75, b""), (0.875, b"two!"))


def test_pieces_come_at_their_times() -> None:
    plan = schedule(exchange(pieces=PIECES), 2)
    assert (plan.head, plan.end) == (1.0, 4.0)
    assert plan.pieces == ((1.25, b"one"), (1.75, b"two!"))
    assert schedule(exchange(pieces=PIECES)).pieces == ((0.0, b"one"), (0.0, b"two!"))
    back = schedule(exchange(pieces=((0.875, b"a"), (0.625, b"b")), end=(0.125, "complete")), 1)
    assert [back.end, *(instant for instant, _ in back.pieces)] == [0.875] * 3


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (1, [(0.625, b"o"), (0.625, b"n"), (0.625, b"e"), (0.875, b"t"), (0.875, b"w"), (0.875, b"o"), (0.875, b"!")]),
        (2, [(0.625, b"on"), (0.875, b"et"), (0.875, b"wo"), (0.875, b"!")]),
        (7, [(0.875, b"onetwo!")]),
        (100, [(0.875, b"onetwo!")]),
    ],
)
def test_bodies_may_be_cut_otherwise(size: int, pieces: list[tuple[float, bytes]]) -> None:
    assert list(schedule(exchange(pieces=PIECES), 1, size).pieces) == pieces
    assert schedule(exchange(), 1, size).pieces == ()


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(1, 30))
def test_bodies_are_the_same_however_they_are_cut(pieces: list[bytes], size: int) -> None:
    cut = schedule(exchange(pieces=tuple((number, data) for number, data in enumerate(pieces))), 1, size).pieces
    assert b"".join(data for _, data in cut) == b"".join(pieces)
    assert all(len(data) == size for _, data in cut[:-1])
    assert [instant for instant, _ in cut] == sorted(instant for instant, _ in cut)


HEAD = answer.Head(200, {"content-type": "text/event-stream"})
ONE = ((0.0, b"one"),)


@pytest.mark.parametrize(
    ("recorded", "done"),
    [
        (exchange(pieces=ONE), [HEAD, answer.Say(b"one")]),
        (exchange(pieces=ONE, end=(1, "cut"), cut=Cut.CHUNKED), [HEAD, answer.Say(b"one"), answer.Cut("chunked")]),
        (exchange(pieces=ONE, end=(1, "cut")), [HEAD, answer.Say(b"one"), answer.Cut("chunked")]),
        (exchange(pieces=ONE, end=None), [HEAD, answer.Say(b"one"), answer.Cut("chunked")]),
        (exchange(pieces=ONE, end=(1, "cut"), cut=Cut.RESET), [HEAD, answer.Say(b"one"), answer.Wait(BREATH), answer.Cut("reset")]),
        (
            exchange(pieces=ONE, end=(1, "cut"), cut=Cut.FRAMING),
            [HEAD, answer.Say(b"one"), answer.Wait(BREATH), answer.Raw(b"zz\r\n"), answer.Stall()],
        ),
        (
            exchange(pieces=ONE, end=(1, "cut"), cut=Cut.LENGTH),
            [answer.Head(200, {**HEAD.headers, "content-length": str(3 + SHORT)}), answer.Say(b"one"), answer.Cut("length")],
        ),
        (exchange(pieces=ONE, end=(1, "cancelled")), [HEAD, answer.Say(b"one"), answer.Stall()]),
        (exchange(pieces=ONE, end=(1, "idle-timeout")), [HEAD, answer.Say(b"one"), answer.Stall()]),
        (exchange(head=None, end=(1, "first-byte-timeout")), [answer.Stall()]),
        (exchange(head=None, end=(1, "cut"), cut=Cut.RESET), [answer.Wait(BREATH), answer.Cut("reset")]),
        (exchange(head=None, end=(1, "bad-http")), [answer.Raw(b"This is not HTTP.\r\n\r\n"), answer.Cut("chunked")]),
    ],
)
def test_a_server_does_what_was_recorded(recorded: Recorded, done: list[answer.Step]) -> None:
    assert list(steps(recorded)) == done


def test_every_step_has_its_instant() -> None:
    recorded = exchange(pieces=((0.625, b"one"), (0.875, b"two")))
    assert list(steps(recorded, 1)) == [
        answer.At(0.5),
        HEAD,
        answer.At(0.625),
        answer.Say(b"one"),
        answer.At(0.875),
        answer.Say(b"two"),
        answer.At(2.0),
    ]


def test_a_body_that_could_not_be_read_cannot_be_read_again() -> None:
    head, one, two, rest = steps(exchange(pieces=((0.0, b"one"), (0.0, b"two")), end=(1, "bad-encoding")))
    assert head == answer.Head(200, {**HEAD.headers, "content-encoding": "gzip"})
    assert isinstance(one, answer.Say)
    assert isinstance(two, answer.Say)
    assert isinstance(rest, answer.Say)
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(one.data) == b"one"
    assert reader.decompress(two.data) == b"two"
    with pytest.raises(zlib.error):
        reader.decompress(rest.data)
    assert [*steps(exchange(head=None, end=(0, "bad-encoding")))] == [answer.Head(200, {"content-encoding": "gzip"}), rest]
