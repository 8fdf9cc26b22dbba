"""Playing a capture back: as a real server on this machine, or without sockets in the place of a client's network.

::

    async with replay.serve("run.sse.jsonl") as url, Client(url) as chat: ...                  # any client, in any process; or plain `with`
    with replay.play("run.sse.jsonl") as network: ... Client(network.url, network=network) ...  # no sockets, the loop's own time

`values` compares what is asked with what was recorded, `tape` decides what answers it, `schedule` says when which piece comes (these three are pure),
`serving` is the server, and `memory` its stand-in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from chat_answers.loopback import LoopbackUnavailable
from ylokh_sse.capture import Capture, load
from ylokh_sse.exceptions import ReplayMismatch
from ylokh_sse.replay.memory import PlayedNetwork
from ylokh_sse.replay.schedule import check_rechunk, read_timing
from ylokh_sse.replay.serving import Replay, ReplayServer
from ylokh_sse.replay.tape import Tape

__all__ = ["LoopbackUnavailable", "PlayedNetwork", "Replay", "ReplayMismatch", "Tape", "play", "serve"]


def serve(
    capture: Capture | str | os.PathLike[str],
    *,
    timing: str | float = "none",
    rechunk: int | None = None,
    ignore_paths: Iterable[str] = (),
    ordered: bool = True,
    allow_unplayed: bool = False,
    secrets: Iterable[str] = (),
    host: str = "127.0.0.1",
    port: int = 0,
) -> Replay:
    """Make a server that answers as was recorded, in an ``async with`` or a ``with`` block, which gives its base URL.

    `capture` is one, or its path. `timing` is ``none`` (the default: at once), ``recorded``, ``scaled(x)``, or a number: what the recorded times, in
    seconds, are multiplied by. `rechunk` cuts bodies into pieces of so many bytes instead of those that were recorded. `ignore_paths` are places of a
    request's body that may differ, such as ``$.messages[*].content``. Unless `ordered`, questions may come in any order. `allow_unplayed`: not all of
    them need come. `secrets` are those of the `Recording`. `port` 0 takes any free one.

    Raises `CaptureError` for what is no capture or has nothing to replay, `ConfigurationError` for an option that makes no sense, and ValueError for
    a `host` that is not loopback.
    """
    tape = _tape(capture, ignore_paths, ordered, secrets)
    server = ReplayServer(tape, factor=read_timing(timing), rechunk=check_rechunk(rechunk), host=host, port=port)
    return Replay(tape, server, allow_unplayed=allow_unplayed)


def play(
    capture: Capture | str | os.PathLike[str],
    *,
    timing: str | float = "none",
    rechunk: int | None = None,
    ignore_paths: Iterable[str] = (),
    ordered: bool = True,
    allow_unplayed: bool = False,
    secrets: Iterable[str] = (),
) -> PlayedNetwork:
    """Make a network for a `Client` that answers as was recorded, without sockets, in a ``with`` or an ``async with`` block; arguments as for
    `serve`."""
    tape = _tape(capture, ignore_paths, ordered, secrets)
    return PlayedNetwork(tape, factor=read_timing(timing), rechunk=check_rechunk(rechunk), allow_unplayed=allow_unplayed)


def _tape(capture: Capture | str | os.PathLike[str], ignore_paths: Iterable[str], ordered: bool, secrets: Iterable[str]) -> Tape:
    loaded = capture if isinstance(capture, Capture) else load(capture)
    return Tape(loaded, ignore_paths=ignore_paths, ordered=ordered, secrets=secrets)
