"""How many round trips pass until the first event of the server: ours, python-socketio's client and the JavaScript one, at both servers.

    python -m benchmarks.round_trips [--rtt SECONDS] [--rounds N]

Run from the top of the checkout; the servers are those of the tests (`npm ci --prefix tests/peers` brings Node's). Every byte takes half the round
trip each way, through a relay on loopback, and a new connection takes one before it carries anything, as TCP does; so the time divided by the
round trip is the count, plus what the machine itself needs. The fastest round of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import socketio

from engineio_lite.aio import connect_socketio
from tests.peers import HERE, KINDS, Peer, missing

LIMIT = 20.0
"""Seconds for one connection."""


@asynccontextmanager
async def relay(port: int, rtt: float) -> AsyncIterator[str]:
    """Serve the URL of a relay to `port` on loopback that delays everything."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened: float) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    return writer.close()
                writer.write(data)

        async with asyncio.TaskGroup() as group:
            group.create_task(deliver())
            while True:
                data = await reader.read(65536)
                waiting.put_nowait((max(time.monotonic(), opened) + rtt / 2, data))
                if not data:
                    return

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        opened = time.monotonic() + rtt
        with suppress(OSError, asyncio.CancelledError, ExceptionGroup):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, far_writer, opened), pump(far_reader, writer, opened))
            far_writer.close()
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()


async def ours(url: str) -> float:
    """Seconds until our client has the first event."""
    begun = time.monotonic()
    async with connect_socketio(url) as sio:
        await sio.receive()
        return time.monotonic() - begun


async def theirs(url: str) -> float:
    """Seconds until python-socketio's client has it."""
    begun = time.monotonic()
    client, came = socketio.AsyncClient(reconnection=False), asyncio.Event()
    client.on("welcome", lambda *_: came.set())
    await client.connect(url)
    await came.wait()
    taken = time.monotonic() - begun
    await client.disconnect()
    return taken


_JAVASCRIPT = """
const begun = process.hrtime.bigint();
const { io } = require(process.argv[1] + "/node_modules/socket.io-client");
const started = process.hrtime.bigint();
io(process.argv[2]).on("welcome", () => { console.log(Number(process.hrtime.bigint() - started) / 1e9); process.exit(0); });
"""


async def javascript(url: str) -> float:
    """Seconds until the JavaScript client has it, loading its code not counted."""
    process = await asyncio.create_subprocess_exec("node", "-e", _JAVASCRIPT, str(HERE), url, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return float(json.loads(output))


CLIENTS: dict[str, Callable[[str], Awaitable[float]]] = {"ours": ours, "python-socketio": theirs, "JavaScript": javascript}


async def main(rtt: float, rounds: int) -> None:
    """Measure every client at every server, and print a table."""
    print(f"{'server':<8} {'client':<16} {'milliseconds':>12} {'round trips':>12}")
    for kind in KINDS:
        if (reason := missing(kind)) is not None:
            print(f"{kind:<8} left out: {reason}")
            continue
        with Peer(kind) as peer:
            async with relay(peer.port, rtt) as url:
                for name, client in CLIENTS.items():
                    if name == "JavaScript" and missing("node") is not None:
                        continue
                    best = min([await asyncio.wait_for(client(url), LIMIT) for _ in range(rounds)])
                    print(f"{kind:<8} {name:<16} {best * 1000:>12.0f} {best / rtt:>12.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count the round trips until the first event.")
    parser.add_argument("--rtt", type=float, default=0.1, help="seconds of one round trip (default 0.1)")
    parser.add_argument("--rounds", type=int, default=3, help="connections of each client (default 3)")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rtt, arguments.rounds))
