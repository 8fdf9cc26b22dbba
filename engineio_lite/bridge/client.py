"""python-socketio's asyncio client, on this engine.

It is a subclass, and its logic is python-socketio's: registering and finding handlers, namespaces, packets, acknowledgements, when to connect again
and how often. What is overridden here is what would lose something, wait for ever or leave something behind:

- A packet and its attachments are sent together. The original sends them one by one, so two tasks that emit bytes garble each other.
- Nothing is process-wide: no handler for SIGINT, no level or handler set on shared loggers, no JSON module set on a shared class.
- What comes and makes no sense ends the connection (see `packets`), in place of whatever it would do otherwise.
- `connect` says why it failed, leaves nothing behind when it fails or is cancelled, and does not wait for namespaces of a connection that is gone. It
  returns when the upgrade is over, because `transport` then says where the connection stays, as in the original; handlers do not wait for that.
- `disconnect` and `shutdown` are one: whatever the client is doing (connecting, connected, waiting to connect again), it stops.
- A `call` whose connection ends fails at once: its answer cannot come any more.
- A coroutine that is cancelled is cancelled. The original swallows a cancellation that meets it in a handler, or between two attempts to connect.
- A handler that fails is reported to the event loop, as the original's tasks are, and keeps nobody from being told of the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, Unpack

import engineio
import socketio
from socketio import base_client, exceptions, packet

from engineio_lite.bridge.answers import Answer, cancellation_kept
from engineio_lite.bridge.engine import Engine, Reason
from engineio_lite.bridge.options import EngineOptions, make_logger
from engineio_lite.bridge.packets import Malformed, strict
from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectionClosed, ConnectRefused, EngineIOError, LocalProtocolError, TimedOut
from engineio_lite.state import CloseReason

_REASONED = hasattr(socketio.AsyncClient, "reason")
"""Whether this python-socketio tells ``disconnect`` handlers the reason; it does since 5.12."""


class AsyncClient(socketio.AsyncClient):  # type: ignore[misc]
    """`socketio.AsyncClient` on this engine: the same methods, handlers and options.

    The options of the engine are described at `EngineOptions`. `handle_sigint` is accepted and has no effect: interrupts are the application's, and
    `asyncio.run` makes a cancellation of them, which closes everything.
    """

    eio: Engine
    packet_class: Any
    connected: bool
    namespaces: dict[str, Any]
    callbacks: dict[str, dict[int | None, Any]]
    _reconnect_task: asyncio.Task[None] | None

    def __init__(
        self,
        reconnection: bool = True,
        reconnection_attempts: int = 0,
        reconnection_delay: float = 1,
        reconnection_delay_max: float = 5,
        randomization_factor: float = 0.5,
        logger: logging.Logger | bool = False,
        serializer: Any = "default",
        json: Any = None,
        handle_sigint: bool = False,
        **options: Unpack[EngineOptions],
    ) -> None:
        super().__init__(
            reconnection=reconnection,
            reconnection_attempts=reconnection_attempts,
            reconnection_delay=reconnection_delay,
            reconnection_delay_max=reconnection_delay_max,
            randomization_factor=randomization_factor,
            logger=make_logger("socketio.client", logger),
            serializer=serializer,
            handle_sigint=False,
            **options,
        )
        self.packet_class = strict(self.packet_class, self.eio.limits, json)
        self.eio.audience = self
        self.failed_namespaces: list[str] = []
        self._inbox: Sized = ()
        self._answers: set[Answer] = set()
        self._attempt: asyncio.Task[Any] | None = None
        self._faults: list[EngineIOError] = []
        self._undoing = False
        self._left = False
        self._departing: set[str] = set()
        self._granted: set[str] = set()

    def _engineio_client_class(self) -> type[Engine]:
        return Engine

    # -------------------------------------------------------------------------------------------------------------------------------- connecting

    async def connect(
        self,
        url: str | Callable[[], Any],
        headers: Mapping[str, str] | Callable[[], Any] | None = None,
        auth: Any = None,
        transports: str | Sequence[str] | None = None,
        namespaces: str | Sequence[str] | None = None,
        socketio_path: str = "socket.io",
        wait: bool = True,
        wait_timeout: float | None = 1,
        retry: bool = False,
    ) -> None:
        """Connect, as the original does; with `wait`, return once the upgrade is over as well, which takes ``timeouts.upgrade`` at most.

        Raises `socketio.exceptions.ConnectionError` with the text of our error and the error as its cause, and ValueError for transports that are
        none. Then, or when it is cancelled, nothing is left running. While the client waits to connect again, this takes the place of that. Leaving
        in a ``connect`` handler, or at any time after every namespace was granted, is no error here.
        """
        current = asyncio.current_task()
        again = current is self._reconnect_task or current is self._attempt
        if not again:
            await self._prepare()
        elif self._left:  # which python-socketio looks for by itself since 5.11.3
            raise exceptions.ConnectionError("Disconnected by this side")
        outer, self._attempt, self._faults, self._granted = self._attempt, current, [], set()
        more = {"retry": True} if retry else {}
        try:
            with cancellation_kept():
                await super().connect(url, headers or {}, auth, transports, namespaces, socketio_path, wait, wait_timeout, **more)
        except exceptions.ConnectionError as error:
            if again or not self._left or not self._granted.issuperset(self.connection_namespaces):
                raise self._explained(error, wait_timeout)  # noqa: B904  # it has its cause
        except BaseException:
            await self.eio.disconnect()
            raise
        finally:
            self._attempt = outer
        if wait and not again:
            await self._wait_upgraded()

    async def _prepare(self) -> None:
        if not self.connected and (self._attempt is None or self._attempt is self._reconnect_task):
            await self._stop_reconnecting()
        # Looked at now, because while that took its time another task may have been here.
        if self.connected:
            raise exceptions.ConnectionError("Already connected")
        if self._attempt is not None:
            raise exceptions.ConnectionError("Already connecting")
        self._left = False

    async def _wait_upgraded(self) -> None:
        try:
            await self.eio.wait_upgraded()
        except BaseException:
            await self.disconnect()
            raise

    def _explained(self, error: Exception, waited: float | None) -> Exception:
        """python-socketio's error with our words, and our error as its cause."""
        told = error.__cause__ or error.__context__
        if isinstance(told, engineio.exceptions.ConnectionError):
            error.__cause__ = told.__cause__ or told  # the words are ours already
            return error
        cause: EngineIOError | None
        if self._faults:
            explained = exceptions.ConnectionError(f"{error}; {'; '.join(map(str, self._faults))}")
            cause = self._faults[0]
        else:
            missing = ", ".join(name for name in self.connection_namespaces if name not in self.namespaces)
            message = f"expected the server's answer to CONNECT of {missing} within {waited} s, nothing came"
            cause = self.eio.failure or TimedOut(message, cause=Cause.CONNECT_UNANSWERED, stage="namespace")
            explained = exceptions.ConnectionError(str(cause))
        explained.__cause__ = cause
        return explained  # type: ignore[no-any-return]

    async def _handle_connect(self, namespace: str | None, data: Any) -> None:
        if (namespace or "/") in self.connection_namespaces:  # or a server could make this client remember any number of them
            self._granted.add(namespace or "/")
            await super()._handle_connect(namespace, data)

    async def _handle_error(self, namespace: str | None, data: Any) -> None:
        if (namespace or "/") not in self.connection_namespaces or (namespace or "/") in self.failed_namespaces:
            return  # for the same reason
        more = data if isinstance(data, dict) else {"message": "no reason given" if data is None else data}
        self._faults.append(ConnectRefused(namespace or "/", str(more.get("message")), more.get("data")))
        await super()._handle_error(namespace, data)

    def _fail_attempt(self, error: EngineIOError) -> None:
        """Let `connect` see that its namespaces will not come."""
        self._faults.append(error)
        self.failed_namespaces = list(self.connection_namespaces)
        self.namespaces = {}
        self._connect_event.set()

    # --------------------------------------------------------------------------------------------------------------------------------- receiving

    async def _handle_eio_message(self, data: str | bytes) -> None:
        try:
            if not data and self._binary_packet is None:
                raise Malformed("expected a Socket.IO packet, got nothing")
            await super()._handle_eio_message(data)
        except Malformed as error:
            await self.eio.fail(error)

    async def _handle_ack(self, namespace: str | None, id: int | None, data: list[Any]) -> None:
        if id:  # 0 is never asked for, and python-socketio keeps its counter there
            await super()._handle_ack(namespace, id, data)

    # ----------------------------------------------------------------------------------------------------------------------------------- sending

    async def _send_packet(self, pkt: Any) -> None:
        """Send a packet with all its attachments, or nothing of it.

        When the connection ends before an event is sent, that is what it would be a moment later: an event for a namespace that is not connected.
        Whatever else python-socketio sends then (acknowledgements, mostly) nobody waits for.
        """
        encoded = pkt.encode()
        is_event = pkt.packet_type in (packet.EVENT, packet.BINARY_EVENT)
        try:
            await self.eio.send(*(encoded if isinstance(encoded, list) else [encoded]))
        except EngineIOError as error:
            if is_event and pkt.id is not None:
                self.callbacks.get(pkt.namespace, {}).pop(pkt.id, None)
            if isinstance(error, LocalProtocolError) and error.cause is not Cause.NOT_OPEN:
                raise
            if not is_event:
                self.logger.info("not sent, because the connection ended: %s", error)
                return
            await asyncio.sleep(0)  # for `AsyncSimpleClient.emit`, which tries again at once: let it be told of the end
            raise exceptions.BadNamespaceError(f"{pkt.namespace} is not a connected namespace any more: {error}") from error

    def _generate_ack_id(self, namespace: str, callback: Any) -> int:
        limit = self.eio.limits.max_pending_calls
        if sum(len(waiting) - 1 for waiting in self.callbacks.values()) >= limit:
            raise LocalProtocolError(f"{limit} events wait for their acknowledgement already", cause=Cause.TOO_MANY_CALLS)
        id: int = super()._generate_ack_id(namespace, callback)
        if isinstance(callback, Answer):
            callback.id = id
        return id

    async def call(self, event: str, data: Any = None, namespace: str | None = None, timeout: float | None = 60) -> Any:
        """Emit an event and return what the server acknowledges it with, as the original does.

        Raises `socketio.exceptions.TimeoutError` after `timeout` seconds, and at once when the connection ends; LocalProtocolError if too many events
        wait unread before the answer. Safe to cancel.
        """
        answer = Answer(namespace or "/")
        self._answers.add(answer)
        self.eio.look_again()
        try:
            await self.emit(event, data=data, namespace=namespace, callback=answer)
            try:
                async with asyncio.timeout(timeout):
                    values = await answer.future
            except TimeoutError:
                raise exceptions.TimeoutError from None
        finally:
            self._answers.discard(answer)
            self.callbacks.get(answer.namespace, {}).pop(answer.id, None)
        return values if len(values) > 1 else values[0] if values else None

    def answers_awaited(self) -> bool:
        """Whether a `call` waits for its answer; asked by the session."""
        return bool(self._answers)

    def unread(self) -> int:
        """How many events wait for somebody to fetch them; asked by the session."""
        return len(self._inbox)

    def give_up(self, error: EngineIOError) -> None:
        """Fail every `call`; asked for by the session when their answers are out of reach."""
        for answer in self._answers:
            answer.fail(error)
        self._answers.clear()

    def _fail_answers(self, cause: EngineIOError, namespace: str | None = None) -> None:
        for answer in self._answers:
            if namespace in (None, answer.namespace):
                error = exceptions.TimeoutError(f"no answer will come any more: {cause}")
                error.__cause__ = cause
                answer.fail(error)

    # ------------------------------------------------------------------------------------------------------------------------------------ ending

    async def disconnect(self) -> None:
        """Leave the server, or stop trying to reach it, and return when everything is closed; harmless at any time.

        Takes at most six times ``timeouts.close``, beside what handlers take; if it is cancelled everything is closed at once.
        """
        if self._attempt is asyncio.current_task() and self.eio.opened:
            # It is `connect` that calls, to take back what it opened.
            self._undoing = True
            try:
                await self._leave()
            finally:
                self._undoing = False
            return
        with cancellation_kept():
            self._left = True
            await self._stop_reconnecting()
            await self._leave()

    async def shutdown(self) -> None:
        """As `disconnect`."""
        await self.disconnect()

    async def _leave(self) -> None:
        goodbyes = [self.packet_class(packet.DISCONNECT, namespace=name).encode() for name in self.namespaces]
        try:
            if goodbyes and self.eio.state == "connected":
                async with asyncio.timeout(self.eio.timeouts.close):
                    await self.eio.send(*goodbyes)
        except (EngineIOError, TimeoutError) as error:
            self.logger.info("no goodbye was sent: %s", error)
        finally:
            await self.eio.disconnect()

    async def _stop_reconnecting(self) -> None:
        if self._reconnect_abort is not None:
            self._reconnect_abort.set()
        task = self._reconnect_task
        if task is None or task is asyncio.current_task():
            return
        task.cancel()
        # Bounded, because it may be calling a handler that waits for whoever called this.
        await asyncio.wait({task}, timeout=self.eio.timeouts.close)
        self._reconnect_task = None
        await self._tell_final(self.connection_namespaces)

    async def _handle_reconnect(self) -> None:
        try:
            with cancellation_kept():
                if not self._left:
                    await super()._handle_reconnect()
        except Exception:
            await self._tell_final(self.connection_namespaces)  # a function that should have given the URL or the like failed
            raise
        finally:
            # Where the original looks when it is interrupted, and may forget to take itself out.
            if self in base_client.reconnecting_clients:
                base_client.reconnecting_clients.remove(self)
            if self._reconnect_task is asyncio.current_task():
                self._reconnect_task = None

    async def _handle_disconnect(self, namespace: str | None) -> None:
        """The server threw us out of a namespace."""
        name = namespace or "/"
        if name not in self.namespaces or name in self._departing:
            return
        error = ConnectionClosed(f"the server disconnected {name}", reason=CloseReason.SERVER_DISCONNECT, cause=Cause.SERVER_DISCONNECTED)
        self._fail_answers(error, name)
        await self._tell_disconnect(name, Reason.SERVER_DISCONNECT)
        await self._tell_final([name])
        self.namespaces.pop(name, None)
        if self._attempt is not None:
            self._fail_attempt(error)  # before `connect` could return
        elif not self.namespaces:
            self.connected = False
            await self.eio.disconnect()

    async def _handle_eio_disconnect(self, reason: str = Reason.TRANSPORT_ERROR) -> None:
        """The connection ended, by whoever."""
        lost = self.eio.state == "connected"
        error = self.eio.failure or ConnectionClosed("the connection was closed by this side", reason=CloseReason.CLIENT_DISCONNECT)
        self._fail_answers(error)
        names = [name for name in self.namespaces if name not in self._departing] if self.connected else []
        thrown_out = bool(self._departing) and not names
        for name in names:
            await self._tell_disconnect(name, reason)
        retry = lost and self.reconnection and not thrown_out and not self._left and self._attempt is None and self._reconnect_task is None
        if not retry:
            await self._tell_final(names)
        if self._attempt is not None and not self._undoing:
            self._fail_attempt(error)
        self.namespaces = {}
        self.connected = False
        self.callbacks = {}
        self._binary_packet = None
        self.sid = None
        if retry:
            self._reconnect_task = self.start_background_task(self._handle_reconnect)

    async def _tell_disconnect(self, namespace: str, reason: str) -> None:
        self._departing.add(namespace)
        try:
            await self._trigger_event("disconnect", namespace, *((reason,) if _REASONED else ()))
        except Exception as error:
            context = {"message": "engineio_lite.bridge: a disconnect handler failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            self._departing.discard(namespace)

    async def _tell_final(self, namespaces: Sequence[str]) -> None:
        for name in namespaces:
            await self._trigger_event("__disconnect_final", name)

    async def wait(self) -> None:
        """Return when the connection has ended for good: when no attempt to connect again follows, or the last one has failed. Safe to cancel."""
        while True:
            await self.eio.wait()
            task = self._reconnect_task
            if task is not None:
                # Not awaited itself: cancelling the one who waits would cancel the reconnection, as it does in the original.
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result()
            if self.eio.state != "connected":
                return
