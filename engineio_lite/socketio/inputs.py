"""What an application can ask of a Socket.IO connection; everything else that can happen to it is an Engine.IO input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from engineio_lite.exceptions import EngineIOError
from engineio_lite.inputs import Input as EngineInput


class JoinNamespace(msgspec.Struct, frozen=True):
    """Ask for `namespace`, with `auth` as its payload (a JSON object, or None for none).

    Before the Engine.IO session is open the wish is kept, and sent as the first word once it is. With `deferred` the payload is asked for only then,
    by `AuthNeeded`, and given by `ProvideAuth`. `first_ack_id` is where the acknowledgement ids go on counting.
    """

    namespace: str = "/"
    auth: Mapping[str, object] | None = None
    deferred: bool = False
    first_ack_id: int = 0


class ProvideAuth(msgspec.Struct, frozen=True):
    """The answer to `AuthNeeded`; without effect if nobody waits for it any more."""

    namespace: str
    auth: Mapping[str, object] | None


class RefuseAuth(msgspec.Struct, frozen=True):
    """There is no answer to `AuthNeeded`, for this reason: the namespace counts as refused."""

    namespace: str
    error: EngineIOError


class LeaveNamespace(msgspec.Struct, frozen=True):
    """Leave `namespace`; leaving the last one closes the connection."""

    namespace: str = "/"


class Emit(msgspec.Struct, frozen=True):
    """Send event `name` with `args` (JSON values, bytes at any depth).

    A `call` number from 0 up, chosen by the caller and unused so far, asks for an acknowledgement: exactly one `CallAnswered` or `CallFailed` with
    that number will follow, at the latest after `timeout` seconds (None: only when the namespace is left). With `volatile` the event is dropped
    (`EmitDropped`, or `CallFailed`) unless it can leave now. `ticket` is the caller's mark for what becomes of it in a `SocketIOLink`: `EmitHeld`,
    `EmitReleased`, `EmitDropped`.
    """

    name: str
    args: tuple[object, ...] = ()
    namespace: str = "/"
    call: int | None = None
    timeout: float | None = None
    volatile: bool = False
    ticket: int | None = None
    waited: float = 0.0


class Deliver(msgspec.Struct, frozen=True):
    """Send an event until it is acknowledged: at least once, one at a time in each namespace, again after `timeout` seconds and after reconnecting.

    After `retries` repetitions without an answer it is given up. Exactly one `CallAnswered` or `CallFailed` with the number `call` will follow.
    Only a `SocketIOLink` takes it.
    """

    name: str
    args: tuple[object, ...]
    call: int
    timeout: float
    retries: int
    namespace: str = "/"


class Acknowledge(msgspec.Struct, frozen=True):
    """Answer the event that carried `ack_id`, and `grant`, with `args`, once."""

    ack_id: int
    args: tuple[object, ...] = ()
    namespace: str = "/"
    grant: int = 0


SocketIOInput: TypeAlias = JoinNamespace | ProvideAuth | RefuseAuth | LeaveNamespace | Emit | Acknowledge

Input: TypeAlias = SocketIOInput | EngineInput
"""Everything that `SocketIOConnection.process` takes."""

ClientInput: TypeAlias = Input | Deliver
"""Everything that `SocketIOLink.process` takes."""
