"""Records a flood until it is killed; run by `test_killed.py`, which reads what is left.

    python recording_until_killed.py FILE LEVEL

A machine gets an event every so often, as fast as it goes, through the same recorder as a client's. After each hundred the number of those that were
written is printed, with the seconds of processor time that it took, so the test knows what must be there.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from engineio_lite.aio import Recording
from engineio_lite.capture.lines import Door
from engineio_lite.capture.recorder import RecordedConnection
from engineio_lite.connection import EngineIOConnection
from engineio_lite.inputs import Connect, FrameReceived, SendMessages, WebSocketOpened

URL = "http://127.0.0.1:3000/socket.io/"
OPEN = '0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
REPORT = 100
LIMIT = 60.0
"""Seconds after which it leaves, should nobody kill it."""


def main(path: str, level: Any) -> None:
    recording = Recording(path, level=level)
    recording.attach()
    door = Door(session=0, url=URL, transports=("websocket",))
    machine = RecordedConnection(EngineIOConnection(URL, transports=("websocket",)), recording.connection(door))
    begun = time.monotonic()
    for input in (Connect(), WebSocketOpened(1), FrameReceived(1, OPEN), SendMessages(('0{"token":"a-token-that-nobody-may-see"}',))):
        machine.process(input, begun)
    number = 0
    while (now := time.monotonic()) < begun + LIMIT:
        machine.process(FrameReceived(1, f'42["event",{number},"{"x" * 100}"]'), now)
        number += 1
        if number % REPORT == 0:
            print(number, time.process_time(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
