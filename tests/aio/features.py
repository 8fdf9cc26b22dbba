"""What the feature tests (`test_features*.py`) share: the transports, servers with options that are lent by the module, and a look at the wire.

Those tests are one matrix: every feature, against either kind of server, over polling, over a WebSocket, and over both with an upgrade somewhere in
between. A test is short and starts no server of its own unless it kills it; what it waits for, it waits for by name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, Unpack

import pytest

from engineio_lite import FrameReceived, Poll, Post, ResponseReceived, SendFrame, decode_packet, decode_payload
from engineio_lite import Packet as EnginePacket
from engineio_lite import PacketType as EnginePacketType
from engineio_lite.aio import Namespace
from engineio_lite.capture.recorder import Record, Recorder
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.socketio import DEFAULT, Packet, PacketType, Parser
from tests.peers import KINDS, Kind, Options, Peer, in_ci, missing

POLLING, WEBSOCKET, BOTH = ("polling",), ("websocket",), ("polling", "websocket")
ALL_TRANSPORTS = pytest.mark.parametrize("transports", [POLLING, WEBSOCKET, BOTH], ids="+".join)
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)

SOON = 5.0
"""Seconds after which a test that still waits has failed: for waits that a fault of ours would make endless."""


class Lend(Protocol):
    """A function that lends a server with these options; it belongs to all tests of a module, so do not kill it."""

    def __call__(self, kind: Kind, **options: Unpack[Options]) -> Peer: ...


@contextmanager
def lending() -> Iterator[Lend]:
    """Lend servers, each kind and choice of options started once; they are stopped at the end."""
    peers: dict[str, Peer] = {}
    with ExitStack() as stack:

        def lend(kind: Kind, **options: Unpack[Options]) -> Peer:
            if (reason := missing(kind)) is not None:
                (pytest.fail if in_ci() else pytest.skip)(f"no {kind} peer: {reason}")
            key = json.dumps([kind, options], sort_keys=True)
            if key not in peers:
                peers[key] = stack.enter_context(Peer(kind, options))
            return peers[key]

        yield lend


async def welcome(namespace: Namespace) -> Any:
    """What the server welcomes with; reads nothing else."""
    async with asyncio.timeout(SOON):
        [said] = (await namespace.wait_for("welcome")).args
    return said


@contextmanager
def unhandled() -> Iterator[list[dict[str, Any]]]:
    """What reaches the event loop's exception handler, which is where failures of handlers go."""
    loop = asyncio.get_running_loop()
    before, said = loop.get_exception_handler(), []
    loop.set_exception_handler(lambda _, context: said.append(context))
    try:
        yield said
    finally:
        loop.set_exception_handler(before)


class Watch(Recorder):
    """A recorder that can be asked what crossed the wire, and waited on."""

    def __init__(self, parser: Parser = DEFAULT) -> None:
        super().__init__()
        self._parser = parser
        self._polls: set[int] = set()
        self._sent = parser.decoder(limits=DEFAULT_LIMITS)
        self._received = parser.decoder(limits=DEFAULT_LIMITS)
        self._changed = asyncio.Event()
        self.sent: list[Packet] = []
        """Socket.IO packets that we sent, in order; one that is sent again after an upgrade would be here twice."""
        self.received: list[Packet] = []
        """Those that came."""
        self.messages: list[str | bytes] = []
        """The messages that we sent, as they are."""
        self.polls = 0
        """GETs that were begun."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is looked at whenever something has happened. Fails if it takes too long."""
        async with asyncio.timeout(SOON):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def record(self, record: Record) -> None:
        super().record(record)
        match record.input:
            case FrameReceived(_, data):
                self._in([decode_packet(data)])
            case ResponseReceived(request, 200, _, body) if request in self._polls:
                self._in(decode_payload(body))
        for output in record.outputs:
            match output:
                case SendFrame(_, data):
                    self._out([decode_packet(data)])
                case Post(request, _, body):
                    self._polls.discard(request)  # it may have been a GET of the connection before
                    self._out(decode_payload(body))
                case Poll(request):
                    self._polls.add(request)
                    self.polls += 1
        self._changed.set()

    def _in(self, packets: list[EnginePacket]) -> None:
        for packet in packets:
            if packet.type is EnginePacketType.MESSAGE and (whole := self._received.feed(packet.data)) is not None:
                self.received.append(whole)

    def _out(self, packets: list[EnginePacket]) -> None:
        for packet in packets:
            if packet.type is EnginePacketType.MESSAGE:
                self.messages.append(packet.data)
                if (whole := self._sent.feed(packet.data)) is not None:
                    self.sent.append(whole)

    def events(self, name: str, namespace: str = "/") -> int:
        """How many events of that name have come."""
        return sum(1 for packet in self.received if packet.type is PacketType.EVENT and packet.namespace == namespace and _name(packet) == name)

    def acks(self) -> list[tuple[str, int | None, Any]]:
        """The acknowledgements that we sent: namespace, id, values."""
        return [(packet.namespace, packet.id, packet.data) for packet in self.sent if packet.type is PacketType.ACK]

    def asked(self) -> list[tuple[str, int]]:
        """The events that we sent with an id: namespace, id."""
        return [(packet.namespace, packet.id) for packet in self.sent if packet.type is PacketType.EVENT and packet.id is not None]


def _name(packet: Packet) -> object:
    return packet.data[0] if isinstance(packet.data, list) else None
