"""What an application can ask of a Socket.IO connection; everything else that can happen to it is an Engine.IO input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from engineio_lite.inputs import Input as EngineInput


class JoinNamespace(msgspec.Struct, frozen=True):
    """Ask for `namespace`, with `auth` as its payload (a JSON object, or None for none).

    Before the Engine.IO session is open the wish is kept, and sent as the first word once it is.
    """

    namespace: str = "/"
    auth: Mapping[str, object] | None = None


class LeaveNamespace(msgspec.Struct, frozen=True):
    """Leave `namespace`; leaving the last one closes the connection."""

    namespace: str = "/"


class Emit(msgspec.Struct, frozen=True):
    """Send event `name` with `args` (JSON values, bytes at any depth).

    A `call` number, chosen by the caller and unused so far, asks for an acknowledgement: exactly one `CallAnswered` or `CallFailed` with that
    number will follow, at the latest after `timeout` seconds (None: only when the namespace is left).
    """

    name: str
    args: tuple[object, ...] = ()
    namespace: str = "/"
    call: int | None = None
    timeout: float | None = None


class Acknowledge(msgspec.Struct, frozen=True):
    """Answer the event that carried `ack_id` with `args`."""

    ack_id: int
    args: tuple[object, ...] = ()
    namespace: str = "/"


SocketIOInput: TypeAlias = JoinNamespace | LeaveNamespace | Emit | Acknowledge

Input: TypeAlias = SocketIOInput | EngineInput
"""Everything that `SocketIOConnection.process` takes."""
