"""Recordings of the same run by different tools hold the same conversation, whatever the transport: the property that the whole format rests on."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from engineio_lite.capture.importers import reconstruct
from engineio_lite.capture.lines import HttpAnswer, SessionOpened, Undecoded
from tests.capture.importers.recordings import HERE, RECORDINGS, SESSIONS, Run, lines_of, notes, packets, read, run_of, said

RUNS: dict[Run, list[Path]] = defaultdict(list)
for recording in SESSIONS:
    RUNS[run_of(recording)].append(recording)

PACKETS = {"": 40, "open": 37, "autherror": 11}
"""Socket.IO packets of each scenario."""


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_recording_is_read(path: Path) -> None:
    found = reconstruct(read(path))
    assert bool(found.lines) == (path.name != "mitm-js-node-websocket-open.har"), "that one is empty, as mitmproxy left it"
    assert [line for line in found.lines if getattr(line, "time", 0.0) < 0] == []


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.name)
def test_a_recording_of_one_session_holds_all_of_it(path: Path) -> None:
    lines = lines_of(path)
    assert len(packets(lines)) == PACKETS[run_of(path).scenario]
    assert [line for line in lines if isinstance(line, Undecoded)] == []
    assert sum(isinstance(line, SessionOpened) for line in lines) == 1
    assert notes(lines, "gap") == []


@pytest.mark.parametrize("run", RUNS, ids="-".join)
def test_all_tools_agree_on_what_was_said(run: Run) -> None:
    first, *others = RUNS[run]
    expected = said(lines_of(first))
    for other in others:
        assert said(lines_of(other)) == expected, f"{other.name} is not {first.name}"


def test_many_tools_were_compared() -> None:
    assert {"-".join(run): len(paths) for run, paths in RUNS.items()} == {
        "js-chromium-": 15,
        "js-chromium-autherror": 3,
        "js-chromium-open": 2,
        "js-node-": 7,
        "js-node-open": 1,
        "js-py-": 5,
        "jscookie-chromium-": 2,
        "jsdeflate-node-": 1,
        "py-chromium-": 3,
        "py-py-": 5,
    }


def test_both_recordings_of_unusual_frames_agree() -> None:
    exported, dissected = lines_of("tshark-js-raw-frames-hex-nodup.json"), lines_of("tshark-js-raw-frames.pcap")
    assert said(exported) == said(dissected)
    assert len(packets(exported)) == 19


def test_an_export_without_bytes_has_the_text_of_the_same_frames() -> None:
    whole, poor = lines_of("tshark-js-raw-frames-hex-nodup.json"), lines_of("tshark-js-raw-frames-default.json")
    binary = [line for line in said(whole) if "blob" in str(line) or "frag.bin" in str(line)]
    assert said(poor) == [line for line in said(whole) if line not in binary]
    assert len([line for line in poor if isinstance(line, Undecoded)]) == len(binary) == 3
    assert ["-x" in note.text for note in notes(poor, "gap")] == [True]


def test_both_recordings_of_refused_handshakes_agree() -> None:
    har, flows = lines_of("mitm-js-curl-handshake-errors.har"), lines_of("mitm-js-curl-handshake-errors.mitm")
    answers = [[(line.method, line.status, line.body) for line in lines if isinstance(line, HttpAnswer)] for lines in (har, flows)]
    assert answers[0] == answers[1]
    assert [(status, body) for _, status, body in answers[0]] == [
        (400, '{"code":5,"message":"Unsupported protocol version"}'),
        (400, '{"code":5,"message":"Unsupported protocol version"}'),
        (400, '{"code":5,"message":"Unsupported protocol version"}'),
        (400, '{"code":0,"message":"Transport unknown"}'),
        (400, '{"code":0,"message":"Transport unknown"}'),
        (400, '{"code":1,"message":"Session ID unknown"}'),
        (400, '{"code":1,"message":"Session ID unknown"}'),
        (400, '{"code":2,"message":"Bad handshake method"}'),
        (400, '{"code":2,"message":"Bad handshake method"}'),
        (400, '{"code":3,"message":"Bad request"}'),
        (400, "Session ID unknown"),
        (404, "not found"),
        (400, ""),
        (400, '{"code":1,"message":"Session ID unknown"}'),
        (413, ""),
        (500, ""),
    ]
    assert len(notes(har, "engineio-3")) == 1


def test_the_index_lists_what_is_there() -> None:
    index = (HERE / "INDEX.md").read_text(encoding="utf-8")
    assert [path.name for path in RECORDINGS if f"| {path.name} |" not in index] == []
    assert len(RECORDINGS) == 51
