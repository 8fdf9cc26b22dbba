"""The benchmark runs, with whatever peers there are; how fast anything is, is not for a test to say."""

from __future__ import annotations

import pytest

from benchmarks import sse
from ylokh_sse.decoder import ServerSentEvent, SSEDecoder


def test_every_side_that_is_there_reads_the_whole_stream() -> None:
    rates = sse.measure(20_000, rounds=1)
    assert set(rates) == {(step, name) for step in sse.CHUNKS for name in sse.SIDES}
    for (_, name), rate in rates.items():
        assert rate is not None or sse.SIDES[name][1] is not None
    lines = list(sse.table(rates))
    assert [line.split()[0] for line in lines[2:]] == [name.split()[0] for name in sse.SIDES]


def test_a_peer_that_is_missing_is_named() -> None:
    rates: sse.Rates = {key: None if key[1] == "httpx-sse" else sse.Rate(1.0, 2.0) for key in sse.measure(1000, rounds=1)}
    [line] = [line for line in sse.table(rates) if line.startswith("httpx-sse")]
    assert line.count("not installed") == 2
    with pytest.raises(sse.Missing):
        sse._need("no_such_module_as_this")
    with pytest.raises(sse.Missing):
        sse._file_of("no-such-distribution-as-this", "x.py")


def test_the_stream_is_what_a_chat_server_writes() -> None:
    body, count = sse.chat_events(100_000)
    events = SSEDecoder().feed(body)
    assert len(events) == count
    assert 100_000 <= len(body) < 101_000
    assert 230 < len(body) / count < 240
    assert events[0] == ServerSentEvent(data=body[6 : body.index(b"\n\n")].decode())
