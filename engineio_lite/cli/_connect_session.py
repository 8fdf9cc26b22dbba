"""A session of `engineio-lite connect`: one client, the commands that are carried out on it, and what happens as notes in one row.

All that is shown goes through `Session.note`, in order: what the watcher sees at the door, what the client itself says (that it reconnects, that it
is closed), and what commands have to say. Notes are passed on by the event loop and not by whoever makes them, because some are made in the middle
of the client's work, where nothing may fail.

A command is carried out to its end before the next one, with two exceptions at a terminal, where nobody should wait who can see for himself: a call
goes on by itself, and what is queued can be given up (`interrupt`).
"""

from __future__ import annotations

import asyncio
import stat
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from engineio_lite.aio import Delivery, Namespace, SocketIOClient
from engineio_lite.capture.redaction import Secrets, head, strings
from engineio_lite.causes import Cause
from engineio_lite.cli._connect_commands import (
    FIRST,
    HELP,
    MAX_LINE,
    Answer,
    Command,
    Emit,
    FromFile,
    Help,
    History,
    Join,
    Leave,
    LineFault,
    Quit,
    Sleep,
    Status,
    Use,
    Wait,
    Watch,
    parse_line,
    parse_object,
)
from engineio_lite.cli._connect_notes import Closed, Event, Failure, Note, Sent, State, Text, failure
from engineio_lite.cli._connect_watch import Watcher, remember
from engineio_lite.events import Closed as ClientClosed
from engineio_lite.exceptions import ConnectionClosed, ConnectRefused, EngineIOError, TimedOut, elide
from engineio_lite.socketio import EventReceived, NamespaceLeft, NamespaceRefused, Reconnected, Reconnecting
from engineio_lite.state import CloseReason

MAX_FILE: Final = 16 * 1024 * 1024
"""Bytes of a file that is sent: as much as the library lets wait (`Limits.max_buffered`)."""

MAX_UNSEEN: Final = 10_000
"""Events that a script may still wait for although they have come; then the oldest is forgotten."""

MAX_NAMES: Final = 500
"""Names of events that the completion knows."""

_BY_US: Final = frozenset({CloseReason.CLIENT_CLOSE, CloseReason.CLIENT_DISCONNECT})


class CommandFailed(Exception):
    """A command that was not done for a reason that is no error of the library."""

    def __init__(self, message: str, cause: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.fix = fix


class Session:
    """One conversation; `show` gets every note, `patience` is how long a call and a wait wait, in seconds."""

    def __init__(self, secrets: Secrets, show: Callable[[Note], None], patience: float, *, by_hand: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self.secrets = secrets
        self._show = show
        self._patience = patience
        self._by_hand = by_hand
        """Whether a person sits there: then a call goes on by itself, and a wait is for what is still to come."""
        self._notes: deque[Note] = deque()
        self.broken: asyncio.Future[OSError] = self._loop.create_future()
        """Done when nobody takes what is shown any more."""
        self.ended: asyncio.Future[ClientClosed] = self._loop.create_future()
        """Done when the client is closed, by whichever side."""
        self.wants_to_quit = False
        self.failed = False
        """Whether any command was not done."""
        self.names: dict[str, None] = {}
        """Names of events that were seen, oldest first."""
        self.current = "/"
        self.on_change: Callable[[], None] = lambda: None
        """Called when the transport or the namespace may be another."""
        self.history: Callable[[], list[str]] = list
        self._leaving = False
        self._reconnected = 0
        self._unseen: deque[tuple[str, str]] = deque(maxlen=MAX_UNSEEN)
        self._waiters: list[tuple[tuple[str, str], asyncio.Future[None]]] = []
        self._questions: dict[tuple[str, int], EventReceived] = {}
        self._ear = asyncio.Event()
        """Set for a moment whenever an event is heard."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self._namespaces: dict[str, Namespace] = {}
        self._joining: set[str] = set()

    # ------------------------------------------------------------------------------------------------------------------------------ the client

    def attend(self, client: SocketIOClient, watcher: Watcher) -> None:
        """Take over a client that is open."""
        self._client = client
        self._watcher = watcher
        self.current = client.name
        self._namespaces[client.name] = client
        self._spawn(self._listen())

    @property
    def now(self) -> float:
        """Seconds since the session began."""
        return self._loop.time() - self._start

    @property
    def transport(self) -> str | None:
        """How packets travel; None while there is no connection in the namespace in use."""
        namespace = self._namespaces.get(self.current)
        transport = self._client.transport
        return transport.value if transport is not None and namespace is not None and namespace.connected else None

    @property
    def joined(self) -> list[str]:
        """The namespaces."""
        return list(self._namespaces)

    @property
    def questions(self) -> list[str]:
        """The numbers of the events by which the server asks."""
        return [FIRST, *(str(number) for _, number in self._watcher.questions)]

    @property
    def busy(self) -> bool:
        """Whether a command runs that holds up those behind it."""
        return self._running is not None

    async def _listen(self) -> None:
        async for event in self._client.states():
            match event:
                case EventReceived():
                    self._heard(event)  # it was shown at the door
                    continue
                case Reconnecting(attempt, delay, reason, error):
                    self._questions.clear()
                    about = {"reason": reason.value, **_described(error), "attempt": attempt, "delay": round(delay, 3)}
                    self._changed("reconnecting", **about)
                case Reconnected(attempts, recovered):
                    self._reconnected += 1
                    self._changed("reconnected", attempts=attempts, recovered=recovered)
                case NamespaceRefused(namespace, error):
                    self._namespaces.pop(namespace, None)
                    if namespace not in self._joining:  # else that command says so
                        self._changed("refused", namespace=namespace, **_described(error))
                    self._joining.discard(namespace)
                case NamespaceLeft(namespace, reason) if reason in (CloseReason.SERVER_DISCONNECT, CloseReason.CLIENT_DISCONNECT):
                    self._namespaces.pop(namespace, None)
                    if not self._leaving:
                        self._changed("left", namespace=namespace, reason=reason.value)
                case _:
                    pass
            self.on_change()
        closed = self._client.closed
        assert closed is not None
        self._end(closed)

    def _end(self, closed: ClientClosed) -> None:
        if not self.ended.done():
            self.ended.set_result(closed)
            if self.lost and not self._by_hand:
                self._fail(_loss(self.now, closed))
            self.note(Closed(self.now, closed.reason, closed.error, closed.unsent))

    @property
    def lost(self) -> bool:
        """Whether the client was closed by anything but our own wish."""
        closed = self._client.closed
        return closed is not None and closed.reason not in _BY_US

    # ------------------------------------------------------------------------------------------------------------------------------- the notes

    def note(self, note: Note) -> None:
        """Have this shown, after everything before it; never raises."""
        match note:
            case Event(_, event):
                self._name_seen(event.name)
            case Sent(_, namespace, None, _, int(id)):
                self._questions.pop((namespace, id), None)
            case Sent():
                self._name_seen(note.name)
            case State():
                self.on_change()
        if not self._notes:
            self._loop.call_soon(self.flush)
        self._notes.append(note)

    def _changed(self, state: str, **about: object) -> None:
        self.note(State(self.now, state, about))

    def flush(self) -> None:
        """Show what waits to be shown. Where nobody takes it any more only errors are, which have a stream of their own."""
        while self._notes:
            note = self._notes.popleft()
            if self.broken.done() and not isinstance(note, Failure):
                continue
            try:
                self._show(note)
            except OSError as error:
                if not self.broken.done():
                    self.broken.set_result(error)

    def _heard(self, event: EventReceived) -> None:
        """The client has an event: whoever waits for it goes on, and a question can be answered."""
        if event.ack_id is not None:
            remember(self._questions, (event.namespace, event.ack_id), event)
        key = (event.namespace, str(event.name))
        waiting = [arrived for wanted, arrived in self._waiters if wanted == key and not arrived.done()]
        for arrived in waiting:
            arrived.set_result(None)
        if not waiting:
            self._unseen.append(key)
        self._ear.set()
        self._ear.clear()

    def _name_seen(self, name: object) -> None:
        if not isinstance(name, str):
            return
        self.names[name] = None
        if len(self.names) > MAX_NAMES:
            del self.names[next(iter(self.names))]

    # ---------------------------------------------------------------------------------------------------------------------------- the commands

    async def execute(self, text: str | bytes, line: int | None = None) -> bool:
        """Carry out one line; False if it was not done, which is noted then. Number `line` is of a script."""
        try:
            command = parse_line(_decoded(text))
            if command is not None:
                await self._carry_out(command, line)
        except LineFault as fault:
            self._fail(Failure(self.now, fault.message, "bad-line", fault.fix, line, fault.column))
        except CommandFailed as failed:
            self._fail(Failure(self.now, failed.message, failed.cause, failed.fix, line))
        except EngineIOError as error:
            if self.lost:
                # Why the client is closed is one thing, and said once.
                return False
            self._fail(failure(self.now, error, line))
        else:
            return True
        return False

    def _fail(self, failure: Failure) -> None:
        self.failed = True
        self.note(failure)

    async def _carry_out(self, command: Command, line: int | None) -> None:
        match command:
            case Emit():
                await self._emit(command, line)
            case Answer(id, args):
                values = await _values(args)
                await self._client.acknowledge(await self._question(id), *values)
            case Join(namespace, auth):
                await self._join(namespace, auth)
            case Leave(namespace):
                await self._leave(namespace or self.current)
            case Use(namespace):
                self._named(namespace)
                self.current = namespace
                self._changed("using", namespace=namespace)
            case Watch("raw", on):
                self._watcher.raw = on
            case Watch(_, on):
                self._watcher.pings = on
            case Wait(name, seconds):
                await self._wait(name, self._patience if seconds is None else seconds)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Status():
                self._changed("status", **self._status())
            case History():
                self.note(Text("\n".join(self.history()) or "nothing is kept"))
            case Help():
                self.note(Text(HELP))
            case Quit():
                self.wants_to_quit = True

    def _named(self, name: str) -> Namespace:
        namespace = self._namespaces.get(name)
        if namespace is None:
            raise CommandFailed(f"namespace {elide(name)} is not joined", Cause.NAMESPACE_NOT_CONNECTED.value, f"join {name}")
        return namespace

    async def _emit(self, command: Emit, line: int | None) -> None:
        namespace = self._named(self.current)
        args = await _values(command.args)
        if not namespace.connected:
            self._changed("held", namespace=namespace.name, name=command.name)
        delivery = await namespace.emit(command.name, *args, ack=command.call)
        if command.call and not self._by_hand:
            await delivery.acknowledged()
        elif not delivery.final:
            self._spawn(self._follow(command.name, delivery, line))

    async def _follow(self, name: str, delivery: Delivery, line: int | None) -> None:
        """Say if an event that is on its way does not arrive; an acknowledgement that comes is seen at the door."""
        try:
            await delivery.written()
            if not delivery.final:
                await delivery.acknowledged()
        except ConnectionClosed as error:
            if self._client.closed is None:
                self._fail(Failure(self.now, f"event {elide(name)} may not have arrived: {error.message}", error.cause.value, line=line))
        except EngineIOError as error:
            self._fail(failure(self.now, error, line))

    async def _question(self, id: int | None) -> EventReceived:
        """The question of that number in the namespace in use, or else in the only other one that has it; None is the first one there."""
        open_ones = self._watcher.questions
        if id is None:
            id = next((number for namespace, number in open_ones if namespace == self.current), None)
        if id is None:
            raise CommandFailed(f"the server asks nothing in {self.current}", Cause.ACK_NOT_AWAITED.value)
        found = [namespace for namespace, number in open_ones if number == id]
        if self.current not in found and len(found) != 1:
            fix = f"say which with: use {found[0]}" if found else None
            which = "several namespaces ask" if found else "the server does not ask"
            raise CommandFailed(f"{which} question {id}", Cause.ACK_NOT_AWAITED.value, fix)
        key = (self.current if self.current in found else found[0], id)
        while key not in self._questions and key in open_ones:
            await self._ear.wait()  # it was seen at the door, and the client is about to say so
        return self._questions[key]

    async def _join(self, name: str, auth: Mapping[str, object] | FromFile | None) -> None:
        payload = await asyncio.to_thread(read_object, auth.path) if isinstance(auth, FromFile) else auth
        for secret in strings(payload):
            self.secrets.learn(secret)
        self._joining.add(name)
        try:
            self._namespaces[name] = await self._client.namespace(name, auth=payload)
        except (ConnectRefused, TimedOut):
            raise  # the client says so too, now or in a moment, and is then not listened to
        except BaseException:
            self._joining.discard(name)
            raise
        self._joining.discard(name)
        self.on_change()

    async def _leave(self, name: str) -> None:
        await self._named(name).leave()
        self._namespaces.pop(name, None)
        self.wants_to_quit = not self._namespaces

    async def _wait(self, name: str, seconds: float) -> None:
        key = (self.current, name)
        if not self._by_hand and key in self._unseen:
            self._unseen.remove(key)
            return
        arrived: asyncio.Future[None] = self._loop.create_future()
        waiter = (key, arrived)
        self._waiters.append(waiter)
        try:
            over: set[asyncio.Future[Any]] = {arrived, self.ended}
            done, _ = await asyncio.wait(over, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.remove(waiter)
        if arrived in done:
            return
        if done:
            raise ConnectionClosed("the connection was closed", reason=self.ended.result().reason)
        raise CommandFailed(f"no event {elide(name)} came within {seconds:.3g} s", Cause.WAIT_TIMEOUT.value)

    def _status(self) -> dict[str, object]:
        watcher, client = self._watcher, self._client
        handshake, rtt = client.handshake, watcher.rtt
        age = None if handshake is None or watcher.opened_at is None else round(self.now - watcher.opened_at, 6)
        namespaces = {name: head(each.sid) if each.connected and each.sid is not None else None for name, each in self._namespaces.items()}
        questions = [{"namespace": each.namespace, "id": each.ack_id, "name": each.name} for each in watcher.questions.values()]
        return {
            "transport": client.transport.value if client.transport is not None else None,
            "sid": None if handshake is None else head(handshake.sid),
            "age": age,
            "namespace": self.current,
            "namespaces": namespaces,
            "rtt": None if rtt is None else round(rtt[0], 6),
            "rtt_of": None if rtt is None else rtt[1],
            "came": {"events": watcher.came.events, "acks": watcher.came.acks, "pings": watcher.came.pings},
            "sent": {"events": watcher.sent.events, "acks": watcher.sent.acks},
            "waiting": watcher.waiting,
            "questions": questions,
            "reconnected": self._reconnected,
        }

    # ------------------------------------------------------------------------------------------------------------------------- running, ending

    async def run_line(self, text: str) -> None:
        """Carry out one line in a way that `interrupt` can stop."""
        self._running = self._loop.create_task(_discard(self.execute(text)))
        try:
            await asyncio.wait({self._running})
            if not self._running.cancelled():
                self._running.result()
        finally:
            self._running.cancel()
            self._running = None

    def interrupt(self) -> None:
        """Give up the command that runs."""
        if self._running is not None:
            self._running.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def leave(self, *, patience: float | None) -> None:
        """Close the client, and with `patience`, in seconds, wait first until what was emitted has left; everything of this session is over then.

        Raises `TimedOut` if it had not left in time.
        """
        self._leaving = True
        try:
            await self._client.close(drain=patience is not None, timeout=patience)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._client.closed is not None:
                self._end(self._client.closed)
            self.flush()


def _loss(at: float, closed: ClientClosed) -> Failure:
    """What a script is told that has lost its connection."""
    if closed.error is not None:
        return failure(at, closed.error)
    cause = {CloseReason.SERVER_CLOSE: Cause.SERVER_CLOSED, CloseReason.SERVER_DISCONNECT: Cause.SERVER_DISCONNECTED}.get(closed.reason, Cause.CLOSED)
    return Failure(at, f"the connection was closed: {closed.reason}", cause.value)


def _described(error: EngineIOError | None) -> dict[str, object]:
    return {"cause": None, "message": None} if error is None else {"cause": error.cause.value, "message": error.message}


async def _discard(work: Coroutine[Any, Any, bool]) -> None:
    await work


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_LINE:
        raise LineFault(f"expected a line of at most {MAX_LINE} bytes", MAX_LINE, "put what is large into a file, and type @FILE")
    try:
        return text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise LineFault(f"expected UTF-8: {error.reason}", len(error.object[: error.start].decode()) + 1) from None


# --- files


async def _values(args: tuple[object, ...]) -> list[object]:
    """The values of a command, with the files read."""
    return [await asyncio.to_thread(read_file, arg.path) if isinstance(arg, FromFile) else arg for arg in args]


def read_file(path: str, *, regular: bool = True) -> bytes:
    """The content of a file of at most `MAX_FILE` bytes; a `regular` one does not keep us waiting. Raises `CommandFailed`."""
    try:
        whole = Path(path).expanduser()
        if regular and not stat.S_ISREG(whole.stat().st_mode):
            raise CommandFailed(f"{path} is no regular file", "bad-file")
        with whole.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CommandFailed(f"{path} cannot be read: {reason}", "bad-file") from None
    if len(data) > MAX_FILE:
        raise CommandFailed(f"{path} has more than {MAX_FILE} bytes", "bad-file")
    return data


def read_object(path: str, *, regular: bool = True) -> dict[str, object]:
    """The JSON object that a file holds. Raises `CommandFailed`."""
    try:
        return parse_object(read_file(path, regular=regular).decode())
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{path} is not UTF-8: {error.reason} at byte {error.start}", "bad-file") from None
    except LineFault as fault:
        raise CommandFailed(f"{path}, character {fault.column}: {fault.message}", "bad-file") from None
