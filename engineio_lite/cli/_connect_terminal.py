"""`engineio-lite connect` at a terminal: a prompt that stays at the bottom, and what happens above it.

The prompt reads lines and puts them into a queue; a task carries them out one after the other, so the prompt is always there, and what is pasted is
carried out in order. What is shown goes through prompt_toolkit's own way of printing above a prompt (`patch_stdout`), which takes what else writes to
the terminal with it.

Keys: Tab completes commands, namespaces and names of events; Ctrl-C clears what is typed, or gives up the command that runs and all behind it, or
leaves; Ctrl-D leaves. What was typed is kept between sessions, but for lines that hold, or may hold, a secret.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import StdoutProxy, patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from engineio_lite.capture.redaction import Secrets
from engineio_lite.cli._connect_commands import completions, is_private
from engineio_lite.cli._connect_notes import Failure, Text
from engineio_lite.cli._connect_screen import is_spelled
from engineio_lite.cli._connect_session import Session

HISTORY_VARIABLE: Final = "ENGINEIO_LITE_HISTORY"

MAX_HISTORY: Final = 1000
"""Lines that are kept from one session to the next."""

MAX_QUEUED: Final = 1000
"""Lines that may wait behind one that takes its time; more than anybody types, and less than somebody may paste by mistake."""

SLOW: Final = 0.2
"""Seconds after which the prompt says what runs: most commands are done before anybody could read it."""

BUNDLE: Final = 0.03
"""Seconds for which what is shown is gathered, so that a flood does not draw the prompt once for each line."""


def history_path() -> Path | None:
    """Where what was typed is kept; None if the variable is there and empty."""
    chosen = os.environ.get(HISTORY_VARIABLE)
    if chosen is not None:
        return Path(chosen) if chosen else None
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "engineio-lite" / "connect-history"


class Lines(History):
    """What was typed, in a file that only its owner reads; lines with secrets are nowhere. `fault` says why nothing is kept, if that is so."""

    def __init__(self, path: Path | None, secrets: Secrets) -> None:
        super().__init__()
        self.fault: OSError | None = None
        self._path = path
        self._secrets = secrets
        self._lines: deque[str] = deque(self._read(), MAX_HISTORY)

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            self.fault = error
            return []
        kept = [line for line in lines if line and self._is_fit(line)][-MAX_HISTORY:]
        if len(lines) > 2 * MAX_HISTORY:
            self._write("".join(f"{line}\n" for line in kept), os.O_TRUNC)
        return kept

    def _write(self, text: str, how: int) -> None:
        if self._path is None or self.fault is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self.fault = error

    @property
    def lines(self) -> list[str]:
        """What is kept, oldest first."""
        return list(self._lines)

    def load_history_strings(self) -> Iterable[str]:
        """For prompt_toolkit, which wants the newest first."""
        return reversed(self._lines)

    def append_string(self, string: str) -> None:
        """Take a line that was typed."""
        if self._is_fit(string):
            super().append_string(string)

    def _is_fit(self, line: str) -> bool:
        return not is_private(line) and self._secrets.hide(line) == line

    def store_string(self, string: str) -> None:
        """Keep it."""
        for line in string.splitlines():
            self._lines.append(line)
            self._write(f"{line}\n", os.O_APPEND)


class _Words(Completer):
    """What Tab completes."""

    def __init__(self, candidates: Callable[[], dict[str, Iterable[str]]]) -> None:
        self._candidates = candidates

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        words, replaced = completions(document.text_before_cursor, self._candidates())
        yield from (Completion(word, -replaced) for word in words)


def keys_as_they_are() -> Input:
    """The keyboard, never in the mode in which the terminal itself obeys keys.

    prompt_toolkit goes back to that mode whenever something is printed above the prompt. A Ctrl-C that falls into such a moment would end the process
    and a Ctrl-D would be lost, which in busy traffic is one key out of ten; and for printing alone there is no need.
    """
    keys = create_input()
    keys.cooked_mode = nullcontext  # type: ignore[method-assign]
    return keys


class Terminal:
    """A prompt for one session."""

    def __init__(self, session: Session, history: Lines) -> None:
        self._session = session
        self._input = keys_as_they_are()
        self._history = history
        self._lines: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUED)
        self._running = ""
        self._fault_told = False
        self._is_slow = False
        """Whether what runs has taken long enough to be shown."""
        self._prompt: PromptSession[str] = PromptSession(
            self._message,
            history=history,
            completer=_Words(self._candidates),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            key_bindings=self._keys(),
            input=self._input,
        )
        session.on_change = self._redraw
        session.history = lambda: history.lines

    def _message(self) -> StyleAndTextTuples:
        session = self._session
        transport = session.transport
        shown = ("ansigreen", transport) if transport is not None else ("ansired", "offline")
        message: StyleAndTextTuples = [shown, ("", " "), ("ansiblue", session.current)]
        if self._is_slow:
            behind = self._lines.qsize()
            message.append(("ansiyellow", f" ({self._running}{f', {behind} behind it' if behind else ''})"))
        return [*message, ("bold", " ❯ " if is_spelled("❯", self._prompt.output.encoding()) else " > ")]

    def _candidates(self) -> dict[str, Iterable[str]]:
        session = self._session
        return {"event": session.names, "namespace": session.joined, "question": session.questions}

    def _redraw(self) -> None:
        if self._prompt.app.is_running:
            self._prompt.app.invalidate()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", eager=True)
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            elif self._session.busy:
                self._give_up()
            else:
                event.app.exit(exception=KeyboardInterrupt())

        return keys

    def _give_up(self) -> None:
        while not self._lines.empty():
            self._lines.get_nowait()
        self._session.interrupt()

    async def run(self) -> bool:
        """Read and carry out lines until somebody wants to leave or the client is closed; False if it was by Ctrl-C."""
        with self._input.raw_mode(), patch_stdout(raw=True):
            cast("StdoutProxy", sys.stdout).sleep_between_writes = BUNDLE
            tasks = asyncio.create_task(self._read()), asyncio.create_task(self._work())
            reading, working = tasks
            try:
                over: set[asyncio.Future[Any]] = {*tasks, self._session.ended}
                await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._session.flush()
                if self._prompt.app.is_running:
                    self._prompt.app.exit(exception=EOFError())
                else:
                    reading.cancel()
                working.cancel()
                await asyncio.wait(tasks)
        if not working.cancelled():
            working.result()
        return reading.cancelled() or reading.result()

    async def _read(self) -> bool:
        while True:
            try:
                text = await self._prompt.prompt_async(handle_sigint=False, set_exception_handler=False)
            except EOFError:
                return True
            except KeyboardInterrupt:
                return False
            self._tell_fault()
            self._queue(text.splitlines())

    def _queue(self, lines: list[str]) -> None:
        room = MAX_QUEUED - self._lines.qsize()
        for line in lines[:room]:
            self._lines.put_nowait(line)
        if lines[room:]:
            # Not waited for: the prompt has to stay, or nobody could give up what takes so long.
            self._session.note(Failure(self._session.now, f"{MAX_QUEUED} lines wait already: {len(lines[room:])} are dropped", "too-many-lines"))

    def _tell_fault(self) -> None:
        """Say once why what is typed is not kept, if it is not."""
        fault = self._history.fault
        if fault is not None and not self._fault_told:
            self._fault_told = True
            self._session.note(Text(f"what is typed is not kept: {fault}"))

    async def _work(self) -> None:
        while not self._session.wants_to_quit:
            line = await self._lines.get()
            self._running = line.split(None, 1)[0] if line.strip() else ""
            soon = asyncio.get_running_loop().call_later(SLOW, self._show_running)
            try:
                await self._session.run_line(line)
            finally:
                soon.cancel()
                self._is_slow = False
                self._redraw()

    def _show_running(self) -> None:
        self._is_slow = True
        self._redraw()
