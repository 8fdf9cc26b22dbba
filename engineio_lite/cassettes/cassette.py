"""One cassette in use: a URL for the client under test, and behind it the recording, or the server that is being recorded.

    with Cassette("cassettes/quotes.eio.jsonl", mode="once", upstream="http://127.0.0.1:8123") as cassette:
        ... any Socket.IO client at cassette.url: blocking, asyncio, another process, another language ...

The modes, by the names that vcrpy gave them:

- ``none`` plays, and nothing else: what is not recorded is a failure. The one for continuous integration.
- ``once`` plays what is there, and records if there is nothing.
- ``new_sessions`` plays the sessions that are there, in their order; whatever connects beyond them is passed on to the server and added. A
  conversation in the middle of which something new is said is not continued: the server of now knows nothing of its beginning.
- ``all`` and ``rewrite`` record, whatever is there.
- ``passthrough`` gives the server's own URL, and neither plays nor records.

A cassette that cannot be read is an error in every mode but those that replace it: recording over what somebody meant to keep would be no help. What
is recorded replaces the old file only at the end, whole, and only if `keep` still says so.

Everything runs in a thread of its own, so tests may block, and share no event loop with it.
"""

from __future__ import annotations

import ssl as tls
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, Unpack

from chat_answers.loopback import ThreadedServer
from engineio_lite.capture.file import Capture, load
from engineio_lite.capture.redactor import DEFAULT_REDACTION, Redaction, Redactor
from engineio_lite.cassettes.blocking import network_blocked
from engineio_lite.cassettes.recording import CassetteWriter, Draft, RecordingThread, begin, draft_of
from engineio_lite.cassettes.relay import RelayingStage, Tape
from engineio_lite.causes import Cause
from engineio_lite.exceptions import CaptureError, EngineIOError, LocalProtocolError
from engineio_lite.replay.as_server import Playback, PlayOptions, make_player
from engineio_lite.replay.player import Report
from engineio_lite.replay.serving import ReplayServer
from engineio_lite.replay.stage import Stage

SETTLE_LIMIT: Final = 2.0
"""Seconds that clients get at the end to say what they were about to say: a test may end while its last packets are under way."""

LOOK_AGAIN: Final = 0.01
"""Seconds between two looks at whether they have."""

ANSWER_LIMIT: Final = 10.0
"""Seconds for an answer of the cassette's own thread, which needs none."""

T = TypeVar("T")


class Mode(StrEnum):
    """What a cassette does; see the module."""

    NONE = "none"
    ONCE = "once"
    NEW_SESSIONS = "new_sessions"
    ALL = "all"
    REWRITE = "rewrite"
    PASSTHROUGH = "passthrough"


class CassetteWarning(UserWarning):
    """Something of a cassette was not used: packets that the recorded server would still have sent."""


class Cassette:
    """A cassette at `path`, for a ``with`` block, in any thread; see the module for the modes.

    `upstream` is the URL of the server that is recorded, `redaction` what is taken out of it, `ssl` how its certificate is checked. `block_network`
    has everything in this process that wants to leave the machine fail while something is played. The options of a replay (`Player`) are taken too.

    Entering raises `CaptureError` (cause ``no-cassette``, ``no-upstream``, or what is wrong with the file) and `LocalProtocolError` for an option
    that is none. Leaving raises what went wrong in a replay (`CassetteMismatch`, `ReplayStalled`, `ReplayUnfinished`), and warns with
    `CassetteWarning` of packets that were not played.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mode: str = Mode.NONE,
        upstream: str | None = None,
        redaction: Redaction = DEFAULT_REDACTION,
        ssl: tls.SSLContext | bool = True,
        block_network: bool = False,
        **play: Unpack[PlayOptions],
    ) -> None:
        self.path = Path(path)
        self.mode = _mode(mode)
        self.keep = True
        """Whether what was recorded is to be kept; a test that failed sets it to False."""
        self.url = ""
        """Where clients connect; inside the block."""
        self._upstream = upstream
        self._redaction = redaction
        self._ssl = ssl
        self._block_network = block_network
        self._play = play
        self._stack = ExitStack()
        self._playing: _Playing | None = None
        self._draft: Draft | None = None

    # ------------------------------------------------------------------------------------------------------------------------ what is known

    @property
    def is_recording(self) -> bool:
        """Whether a new recording is being made."""
        return self._draft is not None and self._playing is None

    @property
    def report(self) -> Report | None:
        """What came of the replay so far; None if there is none."""
        return None if self._playing is None else self._playing.seen(lambda playing: playing.playback.report)

    @property
    def play_count(self) -> int:
        """How many sessions have played so far."""
        return 0 if self._playing is None else self._playing.seen(lambda playing: playing.playback.play_count)

    @property
    def all_played(self) -> bool:
        """Whether every recorded session was played to its end."""
        return self._playing is not None and self._playing.seen(lambda playing: playing.playback.all_played)

    @property
    def sessions(self) -> int:
        """How many sessions are recorded."""
        return 0 if self._playing is None else len(self._playing.playback.player.scripts)

    # ------------------------------------------------------------------------------------------------------------------------------ the block

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.url = self._begin(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.keep = self.keep and error is None
        self.settle()
        playing = self._playing
        try:
            self._stack.__exit__(kind, error, traceback)
        finally:
            self._playing = self._draft = None
        if playing is not None:
            playing.settle(error)

    def settle(self) -> bool:
        """Wait until the clients have said what they were about to say; return whether they are gone. It never takes long."""
        return self._playing is None or self._playing.wait()

    def check(self) -> None:
        """Raise what has gone wrong so far; what clients that are still there may yet say is not missed."""
        if self._playing is not None:
            failure = self._playing.seen(lambda playing: playing.failure)
            if failure is not None:
                raise failure

    def _begin(self, stack: ExitStack) -> str:
        match self.mode:
            case Mode.PASSTHROUGH:
                return self._server()
            case Mode.ALL | Mode.REWRITE:
                return self._record(stack)
            case Mode.ONCE | Mode.NEW_SESSIONS if not self.path.exists():
                return self._record(stack)
            case Mode.NEW_SESSIONS:
                return self._extend(stack)
            case _:
                return self._replay(stack)

    def _server(self) -> str:
        if self._upstream is None:
            raise CaptureError("there is no server to record", cause=Cause.NO_UPSTREAM, path=str(self.path))
        return self._upstream

    def _load(self) -> Capture:
        try:
            capture = load(self.path)
        except FileNotFoundError:
            raise CaptureError("there is no such cassette", cause=Cause.NO_CASSETTE, path=str(self.path)) from None
        if capture.remarks:
            raise CaptureError(capture.remarks[0], cause=Cause.CAPTURE_DAMAGED, path=str(self.path))
        return capture

    def _record(self, stack: ExitStack) -> str:
        upstream = self._server()
        draft = self._draft = stack.enter_context(draft_of(self.path))
        stack.callback(self._keep, draft)
        return stack.enter_context(RecordingThread(upstream, begin(draft.file, self._redaction), self._ssl)).origin

    def _keep(self, draft: Draft) -> None:
        if self.keep:
            draft.keep()

    def _replay(self, stack: ExitStack) -> str:
        stage = Stage(make_player(self._load(), self._options()))
        if self._block_network:
            stack.enter_context(network_blocked())
        return self._serve(stack, stage)

    def _extend(self, stack: ExitStack) -> str:
        upstream, capture = self._server(), self._load()
        draft = self._draft = stack.enter_context(draft_of(self.path))
        content = self.path.read_bytes()
        draft.file.write(content if content.endswith(b"\n") else content + b"\n")
        redactor = Redactor(self._redaction)
        redactor.number_on(content.decode())
        lines = [line for line in capture.lines if hasattr(line, "session")]
        tape = Tape(
            CassetteWriter(draft.file, None, redactor),
            session=max((line.session for line in lines), default=0) + 1,
            time=max((getattr(line, "time", None) or 0.0 for line in lines), default=0.0),
        )
        stack.callback(lambda: self._keep(draft) if tape.has_grown else None)
        return self._serve(stack, RelayingStage(make_player(capture, self._options()), upstream, tape))

    def _options(self) -> PlayOptions:
        options = self._play.copy()
        options.setdefault("name", str(self.path))
        return options

    def _serve(self, stack: ExitStack, stage: Stage) -> str:
        playing = self._playing = stack.enter_context(_Playing(stage))
        return playing.origin


def _mode(mode: str) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        raise LocalProtocolError(f"mode must be one of {', '.join(map(repr, map(str, Mode)))}, not {mode!r}", cause=Cause.BAD_OPTION) from None


class _Playing(ThreadedServer):
    """The recorded server in its thread."""

    def __init__(self, stage: Stage) -> None:
        super().__init__("engineio_lite.cassettes")
        self.playback = Playback(stage)
        self._stage = stage
        self._server = ReplayServer(stage, host="127.0.0.1", port=0, path=None, compress=False)

    async def main(self) -> None:
        """Serve until the block is left; see `ThreadedServer`."""
        await self._server.start()
        try:
            self.listening(self._server.url)
            await self.stopping.wait()
        finally:
            await self._server.stop()
            if isinstance(self._stage, RelayingStage):
                await self._stage.finish()

    @property
    def failure(self) -> EngineIOError | None:
        """What is certain to be wrong by now; for the server's thread."""
        if self._server.sessions:
            return self.playback.player.failure
        return next(iter(self.playback.report.failures), None)

    def seen(self, question: Callable[[_Playing], T]) -> T:
        """Have a question answered in the server's thread, or here once that has ended."""
        answer: Future[T] = Future()

        def look() -> None:
            try:
                answer.set_result(question(self))
            except Exception as error:
                answer.set_exception(error)

        if not self.is_running:
            return question(self)
        self.tell(look)
        return answer.result(ANSWER_LIMIT)

    @property
    def is_running(self) -> bool:
        """Whether the thread is there to answer."""
        return self._thread.is_alive()

    def wait(self) -> bool:
        """Wait until nobody is there any more, everything was said, or something is wrong; return whether nobody is there."""
        end = time.monotonic() + SETTLE_LIMIT
        while True:
            is_gone, is_settled = self.seen(
                lambda playing: (not playing._server.sessions, playing.playback.all_played or playing.failure is not None)
            )
            if is_gone or is_settled or time.monotonic() > end:
                return is_gone
            time.sleep(LOOK_AGAIN)

    def settle(self, error: BaseException | None) -> None:
        """Raise, or warn of, what came of it."""
        failures: list[Exception] = list(self._server.failures)
        if isinstance(self._stage, RelayingStage):
            failures += self._stage.failures
        self.playback.settle(failures, error)
        unplayed = self.playback.report.unplayed
        if unplayed and error is None:
            more = f", and {len(unplayed) - 1} more" if len(unplayed) > 1 else ""
            warnings.warn(CassetteWarning(f"the recorded server would still have sent: {unplayed[0]}{more}"), stacklevel=2)
