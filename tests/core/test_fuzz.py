"""Nothing that a server or a network can do escapes from the door as an exception.

Inputs come in any order, with numbers that are in flight or not, with bytes that are packets, nearly packets, or nothing of the kind, at instants
that never go backwards. Whatever happens: a call of the *caller's* may raise `LocalProtocolError` and then nothing has changed, and nothing else is
ever raised; `Closed` comes at most once and is the last thing that comes; the deadline is a time; the buffers are within their limits.
"""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed
from engineio_lite.exceptions import LocalProtocolError, RemoteProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.limits import Limits
from engineio_lite.state import SessionState
from tests.core.script import OPEN, URL
from tests.core.snapshot import fingerprint

LIMITS = Limits(max_buffered=200, max_buffered_packets=20)
CALLS = (Connect, SendMessages, Close, Fail)

numbers = st.integers(0, 9)
packets = st.sampled_from(
    [OPEN, "0{}", "0", "1", "2", "2probe", "3", "3probe", "4", "4hello", "4\ud83d", "5", "6", "6", "6", "b", "bAA==", "b!", "7", "٣", "<"]
)
packets = packets | st.text(max_size=8) | st.builds(lambda head, text: head + text, st.sampled_from("0123456b"), st.text(max_size=30))
bodies = st.binary(max_size=40) | st.lists(packets, max_size=6).map(lambda parts: "\x1e".join(parts).encode("utf-8", "surrogatepass"))
frames = packets | st.binary(max_size=20)
statuses = st.sampled_from([200, 200, 200, 200, 101, 204, 301, 400, 401, 403, 404, 413, 429, 500, 502, 999, 0, -1])
headers = st.lists(st.tuples(st.sampled_from(["content-type", "server", "x"]), st.text(max_size=10)), max_size=3).map(tuple)
causes = st.sampled_from(Cause)
texts = st.text(max_size=20) | st.sampled_from(["a\x1eb", "\ud800", "x" * 250])
messages = st.lists(texts | st.binary(max_size=20), max_size=4).map(tuple)

inputs: st.SearchStrategy[Input] = st.one_of(
    st.just(Connect()),
    st.builds(SendMessages, messages),
    st.builds(Close, messages),
    st.just(Fail(RemoteProtocolError("no", cause=Cause.BAD_JSON))),
    st.builds(ResponseReceived, numbers, statuses, headers, bodies),
    st.builds(RequestFailed, numbers, causes, st.text(max_size=20)),
    st.builds(WebSocketOpened, st.integers(0, 3)),
    st.builds(WebSocketRefused, st.integers(0, 3), statuses, headers, bodies),
    st.builds(WebSocketFailed, st.integers(0, 3), causes, st.text(max_size=20)),
    st.builds(FrameReceived, st.integers(0, 3), frames),
    st.builds(WebSocketClosed, st.integers(0, 3), st.none() | st.integers(0, 70000), st.text(max_size=20)),
    st.just(TimePassed()),
)
FRIENDLY: tuple[tuple[Input, ...], ...] = (
    (),
    (Connect(),),
    (Connect(), ResponseReceived(1, 200, (), OPEN.encode())),
    (Connect(), ResponseReceived(1, 200, (), OPEN.encode()), TimePassed()),
    (Connect(), ResponseReceived(1, 200, (), OPEN.encode()), TimePassed(), WebSocketOpened(1)),
    (Connect(), ResponseReceived(1, 200, (), OPEN.encode()), TimePassed(), WebSocketOpened(1), FrameReceived(1, "3probe")),
    (Connect(), WebSocketOpened(1), FrameReceived(1, OPEN)),
)
"""Ways to get past the first step, which noise alone would rarely take."""


@settings(max_examples=600, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    transports=st.sampled_from([("polling",), ("websocket",), ("polling", "websocket")]),
    beginning=st.sampled_from(FRIENDLY),
    story=st.lists(st.tuples(inputs, st.sampled_from([0.0, 0.0, 0.01, 0.3, 5.0, 50.0])), max_size=25),
)
def test_nothing_escapes(transports: tuple[str, ...], beginning: tuple[Input, ...], story: list[tuple[Input, float]]) -> None:
    conn = EngineIOConnection(URL, transports=transports, limits=LIMITS)
    now, closed = 0.0, False
    for happening, pause in [*((early, 0.0) for early in beginning), *story]:
        now += pause
        before = fingerprint(conn)
        try:
            outputs = conn.process(happening, now)
        except LocalProtocolError:
            assert isinstance(happening, CALLS)
            assert fingerprint(conn) == before
            continue
        assert not (closed and outputs)
        endings = [index for index, output in enumerate(outputs) if isinstance(output, Closed)]
        assert endings in ([], [len(outputs) - 1])
        closed = closed or bool(endings)
        assert closed == (conn.state is SessionState.CLOSED)
        assert not math.isnan(conn.deadline)
        assert conn.deadline == math.inf or not closed
        assert conn.buffered <= LIMITS.max_buffered + 64
        assert conn.buffered_packets <= LIMITS.max_buffered_packets + 3


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(body=bodies, cut=st.integers(0, 40))
def test_the_same_inputs_at_the_same_instants_give_the_same_outputs(body: bytes, cut: int) -> None:
    story: list[Input] = [Connect(), ResponseReceived(1, 200, (), OPEN.encode()), TimePassed(), ResponseReceived(2, 200, (), body[cut:] + body[:cut])]
    first, second = (EngineIOConnection(URL, transports=("polling", "websocket")) for _ in range(2))
    for now, happening in enumerate(story):
        assert fingerprint(first.process(happening, float(now))) == fingerprint(second.process(happening, float(now)))
    assert fingerprint(first) == fingerprint(second)
