"""How fast a stream of server-sent events is decoded, in large chunks and in small ones, beside those who do the same; and how fast it is understood.

    python -m benchmarks.sse [--megabytes N] [--rounds N] [--json]

Chat events of some 235 bytes, as an OpenAI-compatible server streams them: ``data: {…}`` and a blank line. Every side reads the same chunks of one
stream and makes an object of each event; "bare split" is the floor, which cuts at blank lines and decodes what is between, and knows no rule of the
protocol at all. There is no network in this, and no JSON is read but by "ours to parts", which goes all the way from bytes to the parts of a chat
answer. The sides take turns, and the fastest turn of each counts, in the processor's own time: a busy machine slows everybody down, and never makes
anybody faster. What counts is the ratios.

The peers are those of the `bench` extra; one that is not installed is named as such. How each is driven is told at its function, because some bring
their own idea of where bytes come from.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module, metadata
from itertools import cycle, islice
from types import ModuleType
from typing import Any, NamedTuple

from ylokh_sse.completions import CompletionReader
from ylokh_sse.decoder import SSEDecoder

CHUNKS = (16 * 1024, 64)
"""Bytes: what a read of a busy socket brings, and what a server writes that flushes every few words, or a proxy that cuts without looking."""

WORDS = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog.", "How", "vexingly", "quick", "daft", "zebras", "jump!")


class Missing(Exception):
    """A peer is not installed."""


class Stream(NamedTuple):
    """One stream: its chunks, how many events are in it, and its length in bytes."""

    chunks: list[bytes]
    events: int
    size: int


Side = Callable[[Stream], int]
"""Reads a stream to its end and returns how many events it found."""


# --- the stream


def chat_events(size: int) -> tuple[bytes, int]:
    """A stream of at least so many bytes, and how many events it has."""
    events: list[bytes] = []
    length = 0
    for word in cycle(WORDS):
        if length >= size:
            return b"".join(events), len(events)
        choice = {"index": 0, "delta": {"content": f" {word}"}, "logprobs": None, "finish_reason": None}
        chunk = {
            "id": "chatcmpl-9uKZ5Yq3kTnMxW2rVb",
            "object": "chat.completion.chunk",
            "created": 1795205129,
            "model": "gpt-3.5-turbo",
            "system_fingerprint": None,
            "choices": [choice],
        }
        event = b"data: %b\n\n" % json.dumps(chunk, separators=(",", ":")).encode()
        events.append(event)
        length += len(event)
    raise AssertionError("a cycle has no end")


# --- the sides: all imports of peers are inside, so that any of them may be missing


def ours(stream: Stream) -> int:
    """`feed` for each chunk, `close` at the end."""
    decoder = SSEDecoder()
    count = 0
    for chunk in stream.chunks:
        count += len(decoder.feed(chunk))
    decoder.close()
    return count


def ours_to_parts(stream: Stream) -> int:
    """The same, and what the client makes of it: JSON, and a part of the answer for each event."""
    decoder, reader = SSEDecoder(), CompletionReader(max_answer_characters=stream.size)
    receive = reader.receive
    count = 0
    for chunk in stream.chunks:
        for event in decoder.feed(chunk):
            count += len(receive(event))
    return count


def bare_split(stream: Stream) -> int:
    """What cannot be done without: cut at blank lines, take the name off, decode."""
    count = 0
    rest = b""
    for chunk in stream.chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        count += len([block[6:].decode() for block in blocks])
    return count


def httpx_sse(stream: Stream) -> int:
    """Through a response of httpx whose body is these chunks: it has no other door. Synchronous, which is the faster one."""
    response = _need("httpx").Response(200, headers={"content-type": "text/event-stream"}, content=iter(stream.chunks))
    return sum(1 for _ in _need("httpx_sse", "httpx-sse").EventSource(response).iter_sse())


def sseclient_py(stream: Stream) -> int:
    """Over any iterator of bytes."""
    return sum(1 for _ in _file_of("sseclient-py", "sseclient/__init__.py").SSEClient(iter(stream.chunks)).events())


def sseclient(stream: Stream) -> int:
    """Over a session that answers with these chunks. At their end it would wait and ask again, so it is left after the last event."""
    client = _file_of("sseclient", "sseclient.py").SSEClient("http://127.0.0.1/", session=_Session(stream.chunks))
    return sum(1 for _ in islice(client, stream.events))


def openai(stream: Stream) -> int:
    """The decoder of its client, over any iterator of bytes."""
    return sum(1 for _ in _need("openai._streaming", "openai").SSEDecoder().iter_bytes(iter(stream.chunks)))


def aiohttp_sse_client(stream: Stream) -> int:
    """Over a stream reader of aiohttp that was given all chunks beforehand, so that nobody waits. Like sseclient, it is left after the last event."""
    client = _need("aiohttp_sse_client.client", "aiohttp-sse-client")

    async def read() -> int:
        source = client.EventSource("http://127.0.0.1/", session=object())
        source._response = _AiohttpResponse(stream.chunks)
        count = 0
        async for _ in source:
            count += 1
            if count == stream.events:
                break
        return count

    return asyncio.run(read())


SIDES: dict[str, tuple[Side, str | None]] = {
    "ours": (ours, None),
    "httpx-sse": (httpx_sse, "httpx-sse"),
    "sseclient-py": (sseclient_py, "sseclient-py"),
    "openai decoder": (openai, "openai"),
    "aiohttp-sse-client": (aiohttp_sse_client, "aiohttp-sse-client"),
    "sseclient": (sseclient, "sseclient"),
    "bare split": (bare_split, None),
    "ours to parts": (ours_to_parts, None),
}
"""Every side, and the distribution that it is of; a row more is an entry more."""


class _Session:
    """What sseclient takes for a session of requests, for its answer, and for the raw stream in it."""

    encoding = "utf-8"

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = iter(chunks)
        self.raw = self

    def get(self, url: str, **options: Any) -> _Session:
        return self

    def raise_for_status(self) -> None:
        """It was a success."""

    def read(self, size: int) -> bytes:
        return next(self._chunks, b"")


class _AiohttpResponse:
    """What aiohttp-sse-client takes for an answer."""

    status = 200

    def __init__(self, chunks: list[bytes]) -> None:
        streams, protocols = import_module("aiohttp.streams"), import_module("aiohttp.base_protocol")
        loop = asyncio.get_running_loop()
        # A limit beyond the whole, or the reader would ask a transport to pause, which it has not.
        self.content = streams.StreamReader(protocols.BaseProtocol(loop), 1 << 40, loop=loop)
        for chunk in chunks:
            self.content.feed_data(chunk)
        self.content.feed_eof()


def _need(module: str, distribution: str | None = None) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise Missing(distribution or module) from error


_loaded: dict[str, ModuleType] = {}


def _file_of(distribution: str, path: str) -> Any:
    """A module by its file: two distributions here call theirs `sseclient`, and only one of them can be imported by that name."""
    if distribution not in _loaded:
        try:
            file = metadata.distribution(distribution).locate_file(path)
        except metadata.PackageNotFoundError as error:
            raise Missing(distribution) from error
        spec = importlib.util.spec_from_file_location(distribution.replace("-", "_"), str(file))
        assert spec is not None
        assert spec.loader is not None
        _loaded[distribution] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_loaded[distribution])
    return _loaded[distribution]


# --- measuring


class Rate(NamedTuple):
    """Millions of bytes a second, and millions of events."""

    megabytes: float
    events: float


Rates = dict[tuple[int, str], Rate | None]
"""By (chunk size, side); None for a side that is not installed."""


def one_turn(side: Side, stream: Stream) -> Rate:
    """One stream read once; raises `Missing` if there is nobody to read it."""
    gc.collect()  # nobody pays for what the one before has left
    begun = time.process_time()
    found = side(stream)
    seconds = time.process_time() - begun
    assert found == stream.events, f"{side.__name__} found {found} events of {stream.events}"
    return Rate(stream.size / seconds / 1e6, stream.events / seconds / 1e6)


def cut(body: bytes, step: int, events: int) -> Stream:
    """A stream in chunks of one size."""
    return Stream([body[start : start + step] for start in range(0, len(body), step)], events, len(body))


def installed() -> list[str]:
    """The sides that are there, each having read one stream already, so that no turn pays for an import."""
    body, events = chat_events(1000)
    stream = cut(body, CHUNKS[0], events)
    there = []
    for name, (side, _distribution) in SIDES.items():
        with suppress(Missing):
            one_turn(side, stream)
            there.append(name)
    return there


def measure(size: int, rounds: int) -> Rates:
    """The fastest turn of every side for every size of chunk."""
    there = installed()
    body, events = chat_events(size)
    rates: Rates = {(step, name): None for step in CHUNKS for name in SIDES}
    for step in CHUNKS:
        stream = cut(body, step, events)
        for _ in range(rounds):
            for name in there:
                rate = one_turn(SIDES[name][0], stream)
                rates[step, name] = max(rate, rates[step, name] or rate)
    return rates


def titled(name: str) -> str:
    """A side with the version of its distribution."""
    distribution = SIDES[name][1]
    try:
        return f"{name} {metadata.version(distribution)}" if distribution else name
    except metadata.PackageNotFoundError:
        return name


def table(rates: Rates) -> Iterator[str]:
    """The results as lines: how fast, and how ours compares."""
    yield f"{'':26}" + "".join(f"{f'{step} byte chunks':>34}" for step in CHUNKS)
    yield f"{'':26}" + f"{'MB/s':>10}{'µs an event':>12}{'ours / it':>12}" * len(CHUNKS)
    for name in SIDES:
        line = f"{titled(name):26}"
        for step in CHUNKS:
            rate, mine = rates[step, name], rates[step, "ours"]
            assert mine is not None
            line += (
                f"{'not installed':>34}" if rate is None else f"{rate.megabytes:10.0f}{1 / rate.events:12.2f}{mine.megabytes / rate.megabytes:11.2f}x"
            )
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare decoders of server-sent events.")
    parser.add_argument("--megabytes", type=float, default=20.0, help="length of the stream (default 20)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parser.add_argument("--json", action="store_true", help="print the rates as JSON")
    options = parser.parse_args()
    rates = measure(int(options.megabytes * 1e6), options.rounds)
    if options.json:
        rows = [{"chunk": step, "side": titled(name)} | (rate._asdict() if rate else {"missing": True}) for (step, name), rate in rates.items()]
        print(json.dumps(rows))
        return
    print("\n".join(table(rates)))


if __name__ == "__main__":
    main()
