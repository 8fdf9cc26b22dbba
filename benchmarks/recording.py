"""What recording costs: processor time for each event of a flood, without a recording, and with one of each level.

    python -m benchmarks.recording [--events N] [--rounds N] [--directory DIR]

Run from the top of the checkout; the server is the Node one of the tests (`npm ci --prefix tests/peers`), over WebSocket, on loopback. It is the
flood of `benchmarks.traffic`, and its round trips. The ways take turns, and the best turn of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
import time
from typing import Any

from engineio_lite.aio import Recording, connect_socketio
from tests.peers import Peer, missing

PAD = 150
"""Characters of text in each event: with the rest some 180 bytes."""

LIMIT = 120.0
"""Seconds for one turn."""

WAYS = ("off", "packets", "wire")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _size(path: str) -> int:
    return os.path.getsize(path)


async def turn(url: str, way: str, path: str, events: int, calls: int) -> tuple[float, float, float]:
    """Microseconds of CPU for a received event, microseconds for a call, bytes in the file for an event."""
    level: Any = way
    record = None if way == "off" else Recording(path, level=level, overwrite=True)
    async with connect_socketio(url, transports=("websocket",), record=record) as sio:
        await sio.receive()
        await sio.emit("flood", events, PAD)
        begun = _cpu()
        for number in range(events):
            assert (await sio.receive()).args[0] == number
        event = (_cpu() - begun) / events * 1e6
        size = 0.0 if record is None else _size(path) / events
        taken = []
        for _ in range(calls):
            start = time.perf_counter()
            await sio.call("report", timeout=10)
            taken.append(time.perf_counter() - start)
    return event, statistics.median(taken) * 1e6, size


async def main(events: int, calls: int, rounds: int, directory: str | None) -> None:
    """Let the ways take turns, and print a table."""
    if (reason := missing("node")) is not None:
        raise SystemExit(f"the server is Node's: {reason}")
    best = {way: (float("inf"), float("inf"), 0.0) for way in WAYS}
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        for _ in range(rounds):
            for way in WAYS:
                with Peer("node") as peer:
                    event, call, size = await asyncio.wait_for(turn(peer.url, way, f"{folder}/{way}", events, calls), LIMIT)
                best[way] = (min(best[way][0], event), min(best[way][1], call), size)
    print(f"{'record':<8} {'µs CPU an event':>16} {'µs a call':>10} {'bytes an event':>15}")
    for way, (event, call, size) in best.items():
        print(f"{way:<8} {event:>16.2f} {call:>10.1f} {size:>15.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a burst of events and calls, recorded and not.")
    parser.add_argument("--events", type=int, default=10_000, help="events of the burst (default 10000)")
    parser.add_argument("--calls", type=int, default=1_000, help="calls one after the other (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (default 3)")
    parser.add_argument("--directory", help="where the files are (default: where temporary files are)")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.events, arguments.calls, arguments.rounds, arguments.directory))
