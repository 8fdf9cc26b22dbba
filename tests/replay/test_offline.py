"""A wire capture is the run again: same machine, same outputs, whatever happened and whatever was redacted; and what differs is found.

Sessions of three kinds: of the models that explore every interleaving (Engine.IO and Socket.IO), of real servers over each way of travelling, and
small ones by hand, in which one thing is changed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis.stateful import run_state_machine_as_test

from engineio_lite.aio import connect, connect_socketio
from engineio_lite.capture.file import Capture, load
from engineio_lite.capture.lines import Door, Head, Level, Passage
from engineio_lite.capture.redactor import Redactor
from engineio_lite.causes import Cause
from engineio_lite.connection import EngineIOConnection
from engineio_lite.exceptions import CaptureError, EngineIOError
from engineio_lite.inputs import Close, Connect, FrameReceived, SendMessages, TimePassed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.replay.offline import Verdict, are_alike, check
from tests.capture.wires import Recorded, wire, written
from tests.capture.wires import play as run
from tests.core.script import NO_UPGRADE, OPEN, answer, arrives, ok, open_packet
from tests.core.test_model import SETTINGS, Interleavings
from tests.core.test_mutants import load as mutate
from tests.core.world import LIMITS as CORE_LIMITS
from tests.core.world import URL as CORE_URL
from tests.peers import Peer, StartPeer
from tests.socketio.world import LIMITS, ROUGH_STEPS, STEPS, TIMEOUTS, TRANSPORTS, Step, World

BOTH = ("polling", "websocket")
WAYS = pytest.mark.parametrize("transports", [("polling",), ("websocket",), BOTH], ids="-".join)

DOOR = Door(session=1, url="http://127.0.0.1:3000", transports=BOTH)


def agrees(capture: Capture) -> None:
    report = check(capture)
    assert report.verdict is Verdict.SAME, str(report)
    assert report.passages == sum(isinstance(line, Passage) for line in capture.lines) > 0


# --- Whatever happens.


@given(TRANSPORTS, STEPS)
def test_a_session_is_computed_again(transports: tuple[str, ...], steps: list[Step]) -> None:
    _world(transports, steps)


@given(TRANSPORTS, ROUGH_STEPS)
def test_a_session_in_which_everything_went_wrong_is_computed_again(transports: tuple[str, ...], steps: list[Step]) -> None:
    _world(transports, steps)


def _world(transports: tuple[str, ...], steps: list[Step]) -> None:
    world = World(transports)
    world.play(steps)
    door = Door(session=1, url="http://127.0.0.1:3000", transports=transports, limits=LIMITS, timeouts=TIMEOUTS, default_path="/socket.io/")
    agrees(wire(door, world.recorder.records, _Nothing()))
    agrees(wire(door, world.recorder.records))


class _Nothing(Redactor):
    def line(self, line: Any) -> Any:
        return line


class _Checked(Interleavings):
    """A history of the model whose connection is recorded; when it is over, it is computed again."""

    connection_class = Recorded

    def teardown(self) -> None:
        super().teardown()
        if self.world is not None:
            connection: Any = self.world.connection
            door = Door(session=1, url=CORE_URL, transports=self.transports, limits=CORE_LIMITS)
            agrees(wire(door, connection.records))


class _CheckedPython(_Checked):
    kind = "python"
    seen: ClassVar[set[str]] = set()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", [_Checked, _CheckedPython])
def test_every_history_of_the_model_is_computed_again(machine: type[_Checked]) -> None:
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=40))


# --- Real servers.


@WAYS
async def test_a_recorded_client_is_computed_again(any_peer: Peer, transports: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    auth = {"token": "a-token-that-nobody-may-see", "n": 7, "key": "k"}
    async with connect_socketio(any_peer.url, transports=transports, auth=auth, record=path) as sio:
        assert await sio.call("echo", "grüße", {"deep": [b"\x00\xff", 1.5]}, timeout=10) is not None
        await sio.wait_upgraded()
        admin = await sio.namespace("/admin", auth={"token": "letmein"})
        await sio.emit("flood", 100, 10)
        await sio.call("report", timeout=10)
        await admin.call("echo", {"password": "correct horse battery staple"}, timeout=10)
    capture = load(path)
    agrees(capture)
    assert check(capture).by.startswith("engineio_lite ")
    text = path.read_text(encoding="utf-8")
    assert [secret for secret in ("a-token-that", "letmein", "horse", "battery") if secret in text] == []


@WAYS
async def test_a_recorded_client_of_the_msgpack_parser_is_computed_again(peer_server: StartPeer, transports: tuple[str, ...], tmp_path: Path) -> None:
    peer = peer_server("node", parser="msgpack")
    path = tmp_path / "run.eio.jsonl"
    async with connect_socketio(peer.url, transports=transports, parser="msgpack", auth={"token": "a-token-that-nobody-may-see"}, record=path) as sio:
        await sio.call("echo", b"\x00\xff", "again: a-token-that-nobody-may-see", timeout=10)
    capture = load(path)
    agrees(capture)
    assert b"a-token-that" not in path.read_bytes()
    kinds = [getattr(line, "type", None) for line in capture.packets().lines]
    assert kinds.count("CONNECT") == 2


@WAYS
async def test_a_session_that_the_server_ends_is_computed_again(any_peer: Peer, transports: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    async with connect_socketio(any_peer.url, transports=transports, record=path) as sio:
        await sio.emit("drop")
        with pytest.raises(EngineIOError):
            await sio.wait_for("nothing")
    agrees(load(path))


async def test_a_refusal_is_computed_again(any_peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "run.eio.jsonl"
    with pytest.raises(EngineIOError):
        await connect(f"{any_peer.url}/nowhere/?token=a-token-that-nobody-may-see", record=path, transports=("websocket",))
    agrees(load(path))
    assert "a-token-that" not in path.read_text(encoding="utf-8")


# --- What differs is found.

_RECORDS = run(
    DOOR,
    Connect(),
    0.25,
    answer(1, OPEN),
    SendMessages(("one",)),
    0.01,
    TimePassed(),
    ok(2),
    0.5,
    answer(3, "4two", "2"),
    WebSocketOpened(1),
    arrives("3probe"),
    ok(4),
    answer(5, "6"),
    arrives("4three"),
    Close(("bye",)),
)


def _capture() -> Capture:
    return wire(DOOR, _RECORDS)


def test_the_run_that_is_changed_goes_all_the_way() -> None:
    agrees(_capture())
    assert "Upgraded" in str(_capture().lines)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('self._send_frame("2probe")', 'self._send_frame("2prob")'),
        ("self._out.append(Upgraded())", "pass"),
        ("            self._outbox.add_pong()", "            pass"),
        (
            "        self._polled_at = self._now\n        self._out.append(Poll",
            "        self._out.append(Poll(0, url))\n        self._out.append(Poll",
        ),
        ('token=f"{self._token}{self._requests}")', 'token=f"{self._token}{self._requests + 1}")'),
    ],
)
def test_another_machine_is_found(old: str, new: str) -> None:
    machine = mutate(((old, new),))
    report = check(_capture(), make=lambda door: machine(door.url, transports=door.transports))
    assert report.verdict is Verdict.DIFFERENT
    assert report.difference is not None
    assert report.difference.path.startswith("outputs[")
    assert report.passages < len(_RECORDS)


def test_the_first_difference_says_where_what_and_who_wrote_it() -> None:
    machine = mutate((('self._send_frame("2probe")', 'self._send_frame("2prob")'),))
    report = check(_capture(), make=lambda door: machine(door.url, transports=door.transports))
    assert not report.is_same
    assert str(report) == (
        "6 passages of 1 connection agree, recorded by engineio_lite 0.0.test; the next one differs\n"
        "session 1, passage 7, 0.760 s: outputs[0].data\n"
        "  input     \"{'is': 'WebSocketOpened', 'socket': 1}\"\n"
        "  expected  '2probe'\n"
        "  got       '2prob'"
    )
    assert str(check(_capture())) == f"{len(_RECORDS)} passages of 1 connection agree, recorded by engineio_lite 0.0.test"


def _changed(number: int, **changes: Any) -> Capture:
    capture = _capture()
    lines = list(capture.lines)
    lines[number] = msgspec.structs.replace(lines[number], **changes)
    return msgspec.structs.replace(capture, lines=tuple(lines))


@pytest.mark.parametrize(
    ("number", "changes", "path"),
    [
        (1, {"outputs": ()}, "outputs[0]"),
        (1, {"outputs": [{"is": "Poll", "request": 2, "url": ""}]}, "outputs[0].request"),
        (1, {"outputs": [{"is": "OpenWebSocket", "socket": 1, "url": ""}]}, "outputs[0]"),
        (1, {"outputs": [True]}, "outputs[0]"),
        (2, {"input": answer(1, NO_UPGRADE)}, "outputs[0].handshake.upgrades[0]"),
        (3, {"input": SendMessages(("two",))}, "outputs[0].body"),
        (3, {"input": FrameReceived(1, "4")}, "outputs[0]"),
    ],
)
def test_a_changed_line_is_found(number: int, changes: dict[str, Any], path: str) -> None:
    report = check(_changed(number, **changes))
    assert report.difference is not None
    assert (report.difference.passage, report.difference.path) == (number, path)


def test_an_input_that_is_refused_now_is_a_difference() -> None:
    report = check(_changed(1, input=SendMessages(("too early",))))
    assert report.verdict is Verdict.DIFFERENT
    assert report.difference is not None
    assert (report.difference.path, report.difference.got) == ("outputs", "refused: messages can be sent while the session is open, it is idle")


# --- What redaction does to lengths.


def _bundle(secret: str, limits: Limits) -> Capture:
    door = msgspec.structs.replace(DOOR, transports=("polling",), limits=limits)
    opening = (Connect(), answer(1, open_packet(upgrades=())), SendMessages(("first",)), 1.0, TimePassed())
    messages = tuple(f'2["e",{{"password":"{secret}"}}]' for _ in range(4))
    return wire(door, run(door, *opening, SendMessages(messages), ok(2), ok(4), ok(5)))


@pytest.mark.parametrize("secret", ["long " * 20, "x"])
def test_a_post_that_is_divided_otherwise_for_what_was_redacted_ends_the_check_without_a_verdict(secret: str) -> None:
    report = check(_bundle(secret, Limits(max_post=3 * (len(secret) + 22))))
    assert report.verdict is Verdict.UNCERTAIN, str(report)
    assert report.difference is not None
    assert "the next one depends on the length of what was redacted" in str(report)
    assert check(_bundle(secret, Limits())).is_same


def test_a_message_that_is_too_large_for_what_was_redacted_ends_the_check_without_a_verdict() -> None:
    door = msgspec.structs.replace(DOOR, transports=("polling",))
    message = '2["e",{"password":"x"}]'
    opening = (Connect(), answer(1, open_packet(upgrades=(), max_payload=len(message) + 1)))
    assert len(run(door, *opening, SendMessages((message,)))) == 3
    report = check(wire(door, run(door, *opening, SendMessages((message,)))))
    assert report.verdict is Verdict.UNCERTAIN
    report = check(wire(door, run(door, *opening, Close((message,)))))
    assert report.verdict is Verdict.UNCERTAIN
    binary = message.encode()
    assert check(wire(door, run(door, *opening, SendMessages((binary[:3],))))).is_same


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("x@sid1y", "xSECRETy", True),
        ("xSECRETy", "x<redacted:12>y", True),
        ("sid=%40eio1&a", "sid=lv_VI97HAXpY6yYWAAAB&a", True),
        ("x@sid1y", "x@sid2y", False),
        ("x@sid1y", "xSECRETz", False),
        ("x@sid1y", "zSECRETy", False),
        ("aba@sid1aba", "aba", False),
        ("<redacted:1>,<redacted:2>,", "one,two,", True),
        ("<redacted:1>,<redacted:2>;", "one,two", False),
        ("<redacted:1>,,<redacted:2>;", "one,two;", False),
    ],
)
def test_texts_that_are_alike(one: str, other: str, alike: bool) -> None:
    assert are_alike(one, other) is alike
    assert are_alike(other, one) is alike


def test_comparing_takes_linear_time() -> None:
    """With a pattern for it this would take until the end of days."""
    begun = time.process_time()
    assert not are_alike("a<redacted:1>" * 5000 + "b", "a" * 100_000)
    assert time.process_time() - begun < 30


# --- What is no capture for this.


def test_a_capture_of_packets_says_how_to_record_the_wire() -> None:
    with pytest.raises(CaptureError, match="expected a capture of the wire, got one of packets") as caught:
        check(Capture(head=Head(level=Level.PACKETS), lines=()))
    assert caught.value.cause is Cause.CAPTURE_LEVEL
    assert "record=" in (caught.value.fix or "")


def test_passages_without_a_door_are_damage() -> None:
    capture = _capture()
    with pytest.raises(CaptureError, match="expected a door before the passages of session 1") as caught:
        check(msgspec.structs.replace(capture, lines=capture.lines[1:]))
    assert caught.value.cause is Cause.CAPTURE_DAMAGED


def test_a_door_of_no_machine_is_damage() -> None:
    with pytest.raises(CaptureError, match="expected the door of a machine") as caught:
        check(written([msgspec.structs.replace(DOOR, transports=("pigeon",))]))
    assert caught.value.cause is Cause.CAPTURE_DAMAGED


def test_lines_of_packets_between_passages_are_passed_over() -> None:
    capture = _capture()
    report = check(msgspec.structs.replace(capture, lines=(*capture.lines, Head())))
    assert report.is_same


def test_a_machine_is_built_with_everything_that_the_door_says() -> None:
    made: list[EngineIOConnection] = []

    def make(door: Door) -> EngineIOConnection:
        made.append(EngineIOConnection(door.url, transports=door.transports, token=door.token))
        return made[-1]

    door = msgspec.structs.replace(DOOR, token="abc")
    assert check(wire(door, run(door, Connect())), make=make).is_same
    assert check(wire(door, run(door, Connect()))).is_same
    assert len(made) == 1
