"""How fast one event is decoded and encoded, both layers together, beside those who do the same.

    python benchmarks/codec.py [--node-modules PATH] [--rounds N] [--json]

Four sides, one run, one machine: ours; python-engineio with python-socketio; the JavaScript reference parsers, where Node and their packages are
(`npm ci --prefix tests/peers` brings them); and msgspec alone on the event's JSON, which is the floor that ours stands on. The sides take turns,
and the fastest turn of each counts: a busy machine slows everybody down, and never makes anybody faster. What counts is the ratios.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

import engineio.packet
import msgspec
import socketio.packet

from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet
from engineio_lite.socketio import Decoder, encode

HERE = Path(__file__).parent

CASES = {
    "event": '42["chat message",{"id":12345,"user":"alice","room":"general","text":"The quick brown fox jumps over the lazy dog. How vexingly",'
    '"ts":1795205129.86,"tags":["a","b"],"flags":{"edited":false,"pinned":true}}]',
    "tiny": '42["a",1]',
    "ack": '43/chat,17["ok",{"id":12345}]',
    "large": '42["rows",'
    + json.dumps([{"id": i, "name": f"row {i}", "value": i / 7, "tags": ["x", None]} for i in range(200)], separators=(",", ":"))
    + "]",
}

SECONDS = 0.05
"""Of one measurement: long enough for JavaScript's garbage collector to take part, which is work like any other."""

REPEATS = 8
"""Measurements in one turn of a side; on a busy machine some are less disturbed than others."""

Work = Callable[[], object]
Rates = dict[tuple[str, str, str], float]
"""Millions a second, by (case, operation, side)."""


def works(frame: str) -> Iterator[tuple[str, str, Work]]:
    """Everything that is done with one frame in Python, as (operation, side, work)."""
    feed = Decoder().feed
    packet = feed(frame[1:])
    assert packet is not None
    yield "decode", "ours", lambda: feed(decode_packet(frame).data)
    yield "encode", "ours", lambda: [encode_packet(Packet(PacketType.MESSAGE, data)) for data in encode(packet)]

    def decode_theirs() -> socketio.packet.Packet:
        return socketio.packet.Packet(encoded_packet=engineio.packet.Packet(encoded_packet=frame).data)

    theirs = decode_theirs()
    yield "decode", "python-socketio", decode_theirs
    yield "encode", "python-socketio", lambda: engineio.packet.Packet(engineio.packet.MESSAGE, theirs.encode()).encode()

    text, data = frame[frame.index("[") :], packet.data
    decode_json, encode_json = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    yield "decode", "bare JSON", lambda: decode_json(text)
    yield "encode", "bare JSON", lambda: encode_json(data).decode()


def python_rates() -> Rates:
    """One turn of every side that is Python."""
    rates: Rates = {}
    for case, frame in CASES.items():
        for operation, side, work in works(frame):
            timer = timeit.Timer(work)
            count = max(1, int(SECONDS / min(timer.repeat(100, 1))))
            rates[case, operation, side] = count / min(timer.repeat(REPEATS, count)) / 1e6
    return rates


def node_rates(modules: Path) -> Rates:
    """One turn of the reference parsers."""
    command = ["node", str(HERE / "codec.cjs"), str(modules), str(SECONDS), str(REPEATS)]
    done = subprocess.run(command, input=json.dumps(CASES), capture_output=True, text=True, check=True)
    return {(case, operation, "JS"): rate for case, rates in json.loads(done.stdout).items() for operation, rate in rates.items()}


def find_modules(given: Path | None) -> Path | None:
    """The directory with the reference parsers, or None if there is none or no Node to run them."""
    if shutil.which("node") is None:
        return None
    candidates = [given] if given else [HERE / "node_modules", HERE.parent / "tests" / "peers" / "node_modules"]
    return next((path for path in candidates if (path / "socket.io-parser").is_dir()), None)


def table(rates: Rates) -> Iterator[str]:
    """The results as lines: millions a second, and how ours compares."""
    sides = list(dict.fromkeys(side for _, _, side in rates))
    others = [side for side in sides if side != "ours"]
    yield f"{'M/s':16}" + "".join(f"{side:>17}" for side in sides) + "".join(f"{'ours / ' + side:>24}" for side in others)
    for case, operation in dict.fromkeys((case, operation) for case, operation, _ in rates):
        mine = rates[case, operation, "ours"]
        absolute = "".join(f"{rates[case, operation, side]:17.3f}" for side in sides)
        yield f"{operation + ' ' + case:16}" + absolute + "".join(f"{mine / rates[case, operation, side]:23.2f}x" for side in others)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the codecs of one event.")
    parser.add_argument("--node-modules", type=Path, help="where socket.io-parser and engine.io-parser are")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parser.add_argument("--json", action="store_true", help="print the rates as JSON")
    options = parser.parse_args()
    modules = find_modules(options.node_modules)
    best: Rates = {}
    for _ in range(options.rounds):
        for key, rate in (python_rates() | (node_rates(modules) if modules else {})).items():
            best[key] = max(rate, best.get(key, 0))
    if options.json:
        print(json.dumps([{"case": case, "operation": operation, "side": side, "rate": rate} for (case, operation, side), rate in best.items()]))
        return
    print("\n".join(table(best)))
    if modules is None:
        print("(without JavaScript: it needs node, and --node-modules or npm ci --prefix tests/peers)")


if __name__ == "__main__":
    main()
