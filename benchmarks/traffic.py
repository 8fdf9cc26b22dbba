"""What a received event costs, and how long an acknowledged one takes: ours, bare aiohttp with msgspec, python-socketio and the JavaScript client.

    python -m benchmarks.traffic [--events N] [--calls N] [--rounds N]

Run from the top of the checkout; the server is the Node one of the tests (`npm ci --prefix tests/peers`), over WebSocket, on loopback. "Bare" does
what nobody can do without: it reads frames and parses their JSON. CPU is the client's own, user and system, for each event of one burst; the
acknowledgement is the median of calls one after the other. The sides take turns and the best turn of each counts; what counts is the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import aiohttp
import msgspec
import socketio

from engineio_lite.aio import connect_socketio
from tests.peers import HERE, Peer, missing

PAD = 150
"""Characters of text in each event: with the rest some 180 bytes."""

LIMIT = 120.0
"""Seconds for one turn of one side."""


class Cost(NamedTuple):
    """Microseconds: of CPU for a received event, and from a call to its answer."""

    event: float
    call: float


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _calls(count: int, call: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


async def ours(url: str, events: int, calls: int) -> Cost:
    """This library."""
    async with connect_socketio(url, transports=("websocket",)) as sio:
        await sio.receive()
        await sio.emit("flood", events, PAD)
        begun = _cpu()
        for number in range(events):
            event = await sio.receive()
            assert event.args[0] == number
        event_cost = (_cpu() - begun) / events * 1e6
        return Cost(event_cost, await _calls(calls, lambda: sio.call("report", timeout=10)))


async def bare(url: str, events: int, calls: int) -> Cost:
    """The floor: aiohttp's WebSocket and msgspec, with the protocol written by hand."""
    decode = msgspec.json.Decoder().decode
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as websocket:
        await websocket.receive()
        await websocket.send_str("40")
        while not (await websocket.receive()).data.startswith("42["):
            pass
        await websocket.send_str(f'42["flood",{events},{PAD}]')
        begun = _cpu()
        for _ in range(events):
            decode((await websocket.receive()).data[2:])
        event_cost = (_cpu() - begun) / events * 1e6

        async def call() -> None:
            await websocket.send_str('421["report"]')
            decode((await websocket.receive()).data[3:])

        return Cost(event_cost, await _calls(calls, call))


async def theirs(url: str, events: int, calls: int) -> Cost:
    """python-socketio's client."""
    client, done, seen = socketio.AsyncClient(reconnection=False), asyncio.Event(), 0

    def on_number(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            done.set()

    client.on("number", on_number)
    await client.connect(url, transports=["websocket"])
    begun = _cpu()
    await client.emit("flood", (events, PAD))
    await done.wait()
    event_cost = (_cpu() - begun) / events * 1e6
    call_cost = await _calls(calls, lambda: client.call("report", timeout=10))
    await client.disconnect()
    return Cost(event_cost, call_cost)


_JAVASCRIPT = """
const { io } = require(process.argv[1] + "/node_modules/socket.io-client");
const events = Number(process.argv[3]), calls = Number(process.argv[4]), pad = Number(process.argv[5]);
const socket = io(process.argv[2], { transports: ["websocket"] });
let seen = 0, begun;
socket.on("welcome", () => { begun = process.cpuUsage(); socket.emit("flood", events, pad); });
socket.on("number", () => {
  if (++seen < events) return;
  const used = process.cpuUsage(begun), taken = [];
  const call = () => {
    const start = process.hrtime.bigint();
    socket.emit("report", () => {
      taken.push(Number(process.hrtime.bigint() - start) / 1e3);
      if (taken.length < calls) return call();
      taken.sort((a, b) => a - b);
      console.log(JSON.stringify([(used.user + used.system) / events, taken[calls >> 1]]));
      process.exit(0);
    });
  };
  call();
});
"""


async def javascript(url: str, events: int, calls: int) -> Cost:
    """The reference client."""
    arguments = [str(HERE), url, str(events), str(calls), str(PAD)]
    process = await asyncio.create_subprocess_exec("node", "-e", _JAVASCRIPT, *arguments, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return Cost(*json.loads(output))


SIDES = {"ours": ours, "bare aiohttp": bare, "python-socketio": theirs, "JavaScript": javascript}


async def main(events: int, calls: int, rounds: int) -> None:
    """Let the sides take turns, and print a table."""
    if (reason := missing("node")) is not None:
        raise SystemExit(f"the server is Node's: {reason}")
    best: dict[str, Cost] = {}
    for _ in range(rounds):
        for name, side in SIDES.items():
            with Peer("node") as peer:
                cost = await asyncio.wait_for(side(peer.url, events, calls), LIMIT)
            known = best.get(name, cost)
            best[name] = Cost(min(known.event, cost.event), min(known.call, cost.call))
    print(f"{'':<16} {'µs CPU an event':>16} {'of ours':>8} {'µs a call':>10} {'of ours':>8}")
    for name, cost in best.items():
        mine = best["ours"]
        print(f"{name:<16} {cost.event:>16.2f} {cost.event / mine.event:>8.2f} {cost.call:>10.1f} {cost.call / mine.call:>8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a burst of events and calls one after the other.")
    parser.add_argument("--events", type=int, default=20_000, help="events of the burst (default 20000)")
    parser.add_argument("--calls", type=int, default=2_000, help="calls one after the other (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default 3)")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.events, arguments.calls, arguments.rounds))
