"""Playing captures back: the server that was recorded to any client, and the client that was recorded to any server.

`player` is either side of a recorded conversation as a machine without I/O; `script`, `matcher`, `placeholders` and `seat` are its parts, and
`conversation` gives it a voice. `admission` and `engine` are an Engine.IO server without I/O, `serving` puts it on a loopback address. The two meet
in `as_server`, which plays to any client, and in `memory`, which plays to ours without a socket; `as_client` plays the recorded client, and
`offline` computes a run again.
"""

from engineio_lite.exceptions import CassetteMismatch, ReplayError, ReplayStalled, ReplayUnfinished
from engineio_lite.replay.as_client import against
from engineio_lite.replay.as_server import PlayedServer, ThreadedPlayedServer, serve, serve_in_thread
from engineio_lite.replay.matcher import ANY_TIME, ANY_UUID, Strictness, at
from engineio_lite.replay.memory import MemoryServer, in_memory
from engineio_lite.replay.player import Player, Report
from engineio_lite.replay.virtual import VirtualLoop, virtual_loop

__all__ = [
    "ANY_TIME",
    "ANY_UUID",
    "CassetteMismatch",
    "MemoryServer",
    "PlayedServer",
    "Player",
    "ReplayError",
    "ReplayStalled",
    "ReplayUnfinished",
    "Report",
    "Strictness",
    "ThreadedPlayedServer",
    "VirtualLoop",
    "against",
    "at",
    "in_memory",
    "serve",
    "serve_in_thread",
    "virtual_loop",
]
