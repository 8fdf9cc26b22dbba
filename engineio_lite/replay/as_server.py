"""The recorded server as a real one, on a loopback address, for any client.

    async with serve("labs.eio.jsonl") as url:
        ... any Socket.IO client, in any language, at that URL ...

What a client under test meets is an Engine.IO server as any other, over whichever transports it likes; what is said on it comes from the capture. At
the end of the block whatever went wrong is raised, in full, in the place of what the client made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from engineio_lite.capture.file import Capture, load
from engineio_lite.exceptions import ReplayUnfinished
from engineio_lite.replay.matcher import Ignore
from engineio_lite.replay.player import Player, Report, Source
from engineio_lite.replay.serving import DEFAULT_PATH, ReplayServer, ThreadedReplayServer
from engineio_lite.replay.stage import Stage, WatchSession


class PlayOptions(TypedDict, total=False):
    """The options of a replay that are the same wherever it takes place; see `Player` for each."""

    strict: str
    timing: str | float
    ignore_paths: Iterable[Ignore]
    relax: Collection[str | int | float]
    secrets: Mapping[str, str] | None
    idle_limit: float
    allow_gaps: bool
    allow_unplayed: bool
    reuse_last: bool
    name: str
    to_accept: str


class Playback:
    """What a server that plays a capture has to tell, at any time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def player(self) -> Player:
        """What decides what is said; with `repeat`, in this round."""
        return self.stage.player

    @property
    def report(self) -> Report:
        """What came of it so far, as if nothing more would come."""
        return Report.of(self._players)

    @property
    def all_played(self) -> bool:
        """Whether every recorded session was played to its end."""
        return all(player.is_complete for player in self._players)

    @property
    def play_count(self) -> int:
        """How many live sessions there were."""
        return sum(len(player.seats) for player in self._players)

    @property
    def _players(self) -> list[Player]:
        return [*self.stage.rounds, self.stage.player]

    def settle(self, failures: list[Exception], error: BaseException | None) -> None:
        """Raise what went wrong, at the end of a block that `error` leaves.

        A mismatch takes the place of an exception that it has caused; who left early may have left because of that exception, which then only gets a
        note.
        """
        wrong: list[Exception] = [*failures, *self.report.failures]
        if not wrong or (error is not None and not isinstance(error, Exception)):
            return
        first = next((each for each in wrong if not isinstance(each, ReplayUnfinished)), wrong[0])
        if error is not None and isinstance(first, ReplayUnfinished):
            error.add_note(f"{type(first).__name__}: {first}")
        elif first is not error:
            raise first from error


class PlayedUrl(str):
    """Where a played server listens, ``http://127.0.0.1:PORT``; it also has what the server has to tell."""

    playback: Playback

    def __new__(cls, url: str, playback: Playback) -> Self:
        self = super().__new__(cls, url)
        self.playback = playback
        return self

    @property
    def url(self) -> str:
        """The same as a plain string."""
        return str(self)

    @property
    def stage(self) -> Stage:
        """See `Playback`."""
        return self.playback.stage

    @property
    def player(self) -> Player:
        """What decides what is said; with `repeat`, in this round."""
        return self.playback.player

    @property
    def report(self) -> Report:
        """What came of it so far, as if nothing more would come."""
        return self.playback.report

    @property
    def all_played(self) -> bool:
        """Whether every recorded session was played to its end."""
        return self.playback.all_played

    @property
    def play_count(self) -> int:
        """How many live sessions there were."""
        return self.playback.play_count


class PlayedServer(Playback):
    """The recorded server, from `async with` to the end of the block; make one with `serve`."""

    def __init__(self, stage: Stage, server: ReplayServer) -> None:
        super().__init__(stage)
        self._server = server

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``. Inside the block."""
        return self._server.url

    async def __aenter__(self) -> PlayedUrl:
        await self._server.start()
        return PlayedUrl(self.url, self)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._server.stop()
        self.settle(self._server.failures, error)


class ThreadedPlayedServer(Playback):
    """The same server in a thread of its own, for `with`; make one with `serve_in_thread`."""

    def __init__(self, stage: Stage, server: ThreadedReplayServer) -> None:
        super().__init__(stage)
        self._server = server

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``. Inside the block."""
        return self._server.url

    def __enter__(self) -> PlayedUrl:
        self._server.__enter__()
        return PlayedUrl(self.url, self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._server.__exit__(kind, error, traceback)
        self.settle([], error)


def make_player(capture: str | Path | Source, options: PlayOptions) -> Player:
    """A player for a capture, or for the file of one. Raises as `load` and `Player` do."""
    return Player(load(capture) if isinstance(capture, str | Path) else capture, **options)


def serve(
    capture: str | Path | Source,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = DEFAULT_PATH,
    pings: bool | None = None,
    compress: bool = False,
    repeat: bool = False,
    watch: WatchSession | None = None,
    **options: Unpack[PlayOptions],
) -> PlayedServer:
    """Make a server for an `async with` block that plays the recorded server, and gives its URL; see `Player` for the options that are not here.

    `capture` is the path of a capture, a capture that was loaded, or the lines of one. `path` is where clients have to ask, None for anywhere.
    `pings` has the server send pings as its open packet says; without it a client that stays for longer than that says thinks it dead. If it is not
    given, pings are sent if `timing` is, since then a replay takes its time. `repeat` begins again with the first session for whoever comes when all
    were given to somebody; without it, that is a mismatch.

    Leaving the block raises the first thing that went wrong: `CassetteMismatch`, `ReplayStalled`, `ReplayUnfinished`. Making one raises
    `CaptureError` for a capture that cannot be played, `LocalProtocolError` for an option that is none.
    """
    stage = make_stage(capture, pings, watch, options, repeat=repeat)
    return PlayedServer(stage, ReplayServer(stage, host=host, port=port, path=path, compress=compress))


def serve_in_thread(
    capture: str | Path | Source,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = DEFAULT_PATH,
    pings: bool | None = None,
    compress: bool = False,
    repeat: bool = False,
    watch: WatchSession | None = None,
    **options: Unpack[PlayOptions],
) -> ThreadedPlayedServer:
    """Make a server as `serve` does that runs in a thread, for a `with` block: for programs without a loop, or with one that they block."""
    stage = make_stage(capture, pings, watch, options, repeat=repeat)
    return ThreadedPlayedServer(stage, ThreadedReplayServer(ReplayServer(stage, host=host, port=port, path=path, compress=compress)))


def make_stage(capture: str | Path | Source, pings: bool | None, watch: WatchSession | None, options: PlayOptions, *, repeat: bool = False) -> Stage:
    """A stage for a capture; without a word on `pings` they are sent if the recorded times are kept."""
    takes_time = options.get("timing", "none") not in ("none", 0)
    loaded = load(capture) if isinstance(capture, str | Path) else capture
    kept = loaded if isinstance(loaded, Capture) else list(loaded)
    return Stage(
        make_player(kept, options),
        pings=takes_time if pings is None else pings,
        watch=watch,
        again=(lambda: make_player(kept, options)) if repeat else None,
    )
