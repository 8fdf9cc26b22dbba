"""Any conversation, played to the client that had it, over any interleaving of what is under way: everything matches and nothing is left over.

A conversation is drawn step by step as two sides have it over two ordered channels: each step, one side says something, or something arrives that was
under way. It is written down where a recorder at either end would have seen it. The client that had it says the same things again, each as soon as
what it had heard by then has come, and the replay's channels deliver in any order of their own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.lines import Direction, SocketIOPacket
from engineio_lite.replay.player import Player
from engineio_lite.socketio.packet import Packet, PacketType
from engineio_lite.state import Transport
from tests.replay.tape import tape

NAMESPACES = ("/", "/a", "/b")


@dataclass
class Talk:
    """A conversation as it is being had, and its lines as one end sees them."""

    data: st.DataObject
    at_client: bool
    lines: list[SocketIOPacket] = field(default_factory=list)
    heard: list[tuple[Packet, int]] = field(default_factory=list)
    """What the client said, and how much it had heard by then."""

    def __post_init__(self) -> None:
        self.way = {direction: deque[Packet]() for direction in Direction}
        self.asked: dict[tuple[Direction, str], list[int]] = {}
        self.ids = dict.fromkeys(Direction, 0)
        self.connects: set[str] = set()
        self.granted: set[str] = set()
        self.joined: set[str] = set()
        self.received = 0

    def draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    def write(self, direction: Direction, packet: Packet) -> None:
        line = SocketIOPacket(session=1, direction=direction, transport=Transport.POLLING, type=packet.type, namespace=packet.namespace, id=packet.id)
        self.lines.append(msgspec.structs.replace(line, data=packet.data))

    def say(self, direction: Direction, packet: Packet) -> None:
        self.way[direction].append(packet)
        if direction is Direction.UP:
            self.heard.append((packet, self.received))
        if self.at_client is (direction is Direction.UP):
            self.write(direction, packet)

    def arrive(self, direction: Direction) -> None:
        packet = self.way[direction].popleft()
        if self.at_client is (direction is Direction.DOWN):
            self.write(direction, packet)
        if direction is Direction.DOWN:
            self.received += 1
        if packet.type is PacketType.CONNECT:
            (self.connects if direction is Direction.UP else self.joined).add(packet.namespace)
        if packet.type is PacketType.EVENT and packet.id is not None:
            other = Direction.DOWN if direction is Direction.UP else Direction.UP
            self.asked.setdefault((other, packet.namespace), []).append(packet.id)

    def speak(self, direction: Direction) -> None:
        """One side says one of the things that it may say."""
        may: list[Packet] = []
        if direction is Direction.UP:
            said = {packet.namespace for packet, _ in self.heard if packet.type is PacketType.CONNECT}
            may += [Packet(PacketType.CONNECT, {"token": 1}, name) for name in NAMESPACES if name not in said]
            open_to = self.joined
        else:
            may += [Packet(PacketType.CONNECT, {"sid": f"@sid{len(self.granted) + 1}"}, name) for name in sorted(self.connects - self.granted)]
            open_to = self.connects  # events may come before the answer
        for name in sorted(open_to):
            may.append(Packet(PacketType.EVENT, ["e", self.draw(st.integers(0, 2))], name))
            may.append(Packet(PacketType.EVENT, ["q"], name, self.ids[direction]))
            may += [Packet(PacketType.ACK, [id], name, id) for id in self.asked.get((direction, name), [])]
        if not may:
            return
        packet = self.draw(st.sampled_from(may))
        if packet.type is PacketType.EVENT and packet.id is not None:
            self.ids[direction] += 1
        if packet.type is PacketType.ACK:
            self.asked[direction, packet.namespace].remove(packet.id)
        if packet.type is PacketType.CONNECT and direction is Direction.DOWN:
            self.granted.add(packet.namespace)
        self.say(direction, packet)

    def have(self, steps: int) -> None:
        for _ in range(steps):
            can = [("say", direction) for direction in Direction] + [("arrive", direction) for direction in Direction if self.way[direction]]
            what, direction = self.draw(st.sampled_from(can))
            (self.speak if what == "say" else self.arrive)(direction)
        for direction in Direction:
            while self.way[direction]:
                self.arrive(direction)


@given(st.data(), st.booleans(), st.sampled_from(["ordered", "per-namespace", "unordered"]), st.integers(0, 5))
def test_the_client_that_had_it_can_have_it_again(data: st.DataObject, at_client: bool, strict: str, first_id: int) -> None:
    talk = Talk(data, at_client)
    talk.say(Direction.UP, Packet(PacketType.CONNECT, {"token": 1}, "/"))
    talk.have(data.draw(st.integers(0, 40)))
    player = Player(tape(*talk.lines), strict=strict)
    seat = player.open(0.0)
    up: deque[Packet] = deque()
    down: deque[Packet] = deque()
    said = received = 0
    live_ids: dict[tuple[str, int | None], int] = {}
    sent = [packet for packet in seat.start(0.0) if isinstance(packet, Packet)]
    down.extend(sent)
    while True:
        can = [
            way for way in ("say", "up", "down") if {"say": said < len(talk.heard) and talk.heard[said][1] <= received, "up": up, "down": down}[way]
        ]
        if not can:
            break
        match data.draw(st.sampled_from(can)):
            case "say":
                packet = talk.heard[said][0]
                said += 1
                if packet.type is PacketType.EVENT and packet.id is not None:
                    live_ids[packet.namespace, packet.id] = first_id + packet.id  # another client counts from another number
                    packet = Packet(packet.type, packet.data, packet.namespace, first_id + packet.id)
                up.append(packet)
            case "up":
                outputs = seat.receive(up.popleft(), 0.0)
                assert all(isinstance(output, Packet) for output in outputs), str(player.failure)
                sent += [output for output in outputs if isinstance(output, Packet)]
                down.extend(output for output in outputs if isinstance(output, Packet))
            case _:
                down.popleft()
                received += 1
    assert player.is_complete
    assert player.report().is_ok
    recorded = [line for line in talk.lines if line.direction is Direction.DOWN]
    if strict == "ordered":
        assert [(packet.type, packet.namespace) for packet in sent] == [(line.type, line.namespace) for line in recorded]
    for packet in sent:
        if packet.type is PacketType.ACK:
            assert packet.data == [packet.id - first_id if packet.id is not None else None]
