"""Whatever a file holds, a reader gives a trace or our error, and a trace gives a capture that can be written."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engineio_lite.capture import Head, Writer
from engineio_lite.capture.importers import ImportFailed, read_cdp, read_flows, read_har, read_har_archive, read_tshark, reconstruct, sniff
from engineio_lite.capture.importers.sniff import unpacked
from engineio_lite.capture.trace import Trace
from tests.capture.importers.recordings import HERE
from tests.capture.importers.test_mitmproxy import encode, flow, socket_flow

READERS: list[Callable[[bytes], Trace]] = [read_cdp, read_flows, read_har, read_har_archive, read_tshark]


def check(read: Callable[[bytes], Trace], data: bytes) -> None:
    """Read; if that gives something, make a capture of it and write it."""
    with contextlib.suppress(ImportFailed):
        write(read(data))


def write(trace: Trace) -> None:
    writer = Writer(io.BytesIO(), Head())
    for line in reconstruct(trace).lines:
        assert getattr(line, "time", -1.0) >= 0
        writer.write(line)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(st.binary(max_size=200))
def test_any_bytes(read: Callable[[bytes], Trace], data: bytes) -> None:
    check(read, data)


@given(st.binary(max_size=100))
@example(b"\x1f\x8b")
@example(b"\xff\xfe\x00")
@example(b"{\xff")
def test_any_bytes_are_a_kind_or_an_error(data: bytes) -> None:
    kind = None
    with contextlib.suppress(ImportFailed):
        kind = sniff(unpacked(data))
    assert kind is None or data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def replaced(value: object, place: tuple[object, ...], by: object) -> object:
    if not place:
        return by
    if isinstance(value, dict):
        return {key: replaced(item, place[1:], by) if key == place[0] else item for key, item in value.items()}
    assert isinstance(value, list)
    return [replaced(item, place[1:], by) if number == place[0] else item for number, item in enumerate(value)]


def tshark_sample() -> object:
    """A few packets of the export, without the fields that nobody reads."""
    kept = ("frame", "tcp", "http", "websocket")
    packets = json.loads((HERE / "tshark-js-raw-frames-hex-nodup.json").read_bytes())[:5]
    return [{"_source": {"layers": {name: layer for name, layer in one["_source"]["layers"].items() if name in kept}}} for one in packets]


def har_sample() -> object:
    polled = json.loads((HERE / "devtools-js-chromium-upgrade-autherror.har").read_bytes())
    for entry in polled["log"]["entries"]:
        entry.pop("_initiator", None)
    return polled


SAMPLES: dict[str, tuple[Callable[[bytes], Trace], object]] = {
    "har": (read_har, har_sample()),
    "tshark": (read_tshark, tshark_sample()),
    "cdp": (read_cdp, [json.loads(line) for line in (HERE / "cdplog-js-chromium-websocket.jsonl").read_bytes().splitlines()[-60:]]),
}
PLACES = {name: places(sample) for name, (_, sample) in SAMPLES.items()}


@pytest.mark.parametrize("name", SAMPLES)
@given(st.data())
def test_any_value_in_any_place(name: str, data: st.DataObject) -> None:
    read, sample = SAMPLES[name]
    broken = replaced(sample, data.draw(st.sampled_from(PLACES[name])), data.draw(json_values))
    check(read, json.dumps(broken).encode())


FLOW = {**socket_flow([1, False, b"0{}", 1.0, False, False]), "more": flow()}
FLOW_PLACES = places(FLOW)


@given(st.sampled_from(FLOW_PLACES), st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=8) | st.text(max_size=8))
def test_any_value_in_any_place_of_a_flow(place: tuple[object, ...], value: object) -> None:
    check(read_flows, encode(replaced(FLOW, place, value)))


SMALL = ["cdplog-js-chromium-websocket.jsonl", "mitm-js-node-websocket-open.mitm", "mitm-js-py-upgrade.mitm", "playwright-js-chromium-websocket.har"]


@pytest.mark.parametrize("name", SMALL)
@given(st.data())
def test_recordings_that_were_cut_off_or_have_a_wrong_byte(name: str, data: st.DataObject) -> None:
    read = {".har": read_har, ".jsonl": read_cdp, ".mitm": read_flows}[name[name.rindex(".") :]]
    whole = (HERE / name).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    check(read, whole[:place] + data.draw(st.sampled_from([b"", bytes([whole[place] ^ 1]) + whole[place + 1 :]])))
