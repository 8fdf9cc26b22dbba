"""What a Socket.IO packet may be, as one table that both directions read.

    packet    = type [ count "-" ] [ namespace [ "," ] ] [ ack-id ] [ json ]
    type      = "0" to "6"
    count     = digits                        types 5 and 6 only, and always there
    namespace = "/" anything but ","          the main namespace "/" is left out
    ack-id    = digits                        an event that wants an answer has one, and its answer the same
    json      = what the table says           compact, and at the end

The comma belongs to the namespace and may be missing only where nothing follows it. Types 5 and 6 are types 2 and 3 with attachments: they exist on
the wire and nowhere else.

That is how the default parser writes a packet. What a packet is does not depend on the parser: every one of them reads the table, and refuses with
the checks at the end of this module what its caller may not send.

Reference: socket.io-protocol revision 5, "Packet encoding".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, cast

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, elide


class PacketType(StrEnum):
    """The seven packet types of Socket.IO protocol revision 5."""

    CONNECT = "CONNECT"
    DISCONNECT = "DISCONNECT"
    EVENT = "EVENT"
    ACK = "ACK"
    CONNECT_ERROR = "CONNECT_ERROR"
    BINARY_EVENT = "BINARY_EVENT"
    BINARY_ACK = "BINARY_ACK"


MAIN_NAMESPACE: Final = "/"

MAX_ACK_ID: Final = 2**53 - 1
"""The largest integer that JavaScript counts with exactly; Node would answer a larger id with a rounded one."""

RESERVED_EVENTS: Final = frozenset(("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"))
"""Names that the reference implementation emits itself, and therefore neither sends nor accepts."""


class AckId(Enum):
    """Whether a packet has an ack id."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


_KINDS: Final[Mapping[type, str]] = MappingProxyType({dict: "an object", list: "an array", str: "a string"})


class Shape(NamedTuple):
    """What a packet of one type may hold: its digit, the types of its payload, whether it must have one, and its ack id."""

    digit: str
    payloads: tuple[type, ...]
    payload_required: bool
    ack_id: AckId

    @property
    def expected(self) -> str:
        """The payload in words."""
        return " or ".join(_KINDS[kind] for kind in self.payloads)


GRAMMAR: Final[Mapping[PacketType, Shape]] = MappingProxyType(
    {
        PacketType.CONNECT: Shape("0", (dict,), False, AckId.NEVER),
        # The specification gives DISCONNECT no payload; python-socketio sends one when it accepted a client only to tell it why it may not stay.
        PacketType.DISCONNECT: Shape("1", (dict,), False, AckId.NEVER),
        PacketType.EVENT: Shape("2", (list,), True, AckId.OPTIONAL),
        PacketType.ACK: Shape("3", (list,), True, AckId.REQUIRED),
        # A string is how servers of the previous revision, and python-socketio for an unknown namespace, say it.
        PacketType.CONNECT_ERROR: Shape("4", (dict, str), True, AckId.NEVER),
        PacketType.BINARY_EVENT: Shape("5", (list,), True, AckId.OPTIONAL),
        PacketType.BINARY_ACK: Shape("6", (list,), True, AckId.REQUIRED),
    }
)

TYPES: Final[Mapping[str, PacketType]] = MappingProxyType({shape.digit: packet_type for packet_type, shape in GRAMMAR.items()})
"""Packet types by their digit."""

BINARY: Final[Mapping[PacketType, PacketType]] = MappingProxyType({PacketType.EVENT: PacketType.BINARY_EVENT, PacketType.ACK: PacketType.BINARY_ACK})
"""The types that can have attachments, with the type under which they then travel."""

PLAIN: Final[Mapping[PacketType, PacketType]] = MappingProxyType({binary: plain for plain, binary in BINARY.items()})
"""The same the other way round."""


def event_fault(data: Sequence[object]) -> tuple[Cause, str] | None:
    """Say what is wrong with the array of an event, or None; its first element is the name, a string, or a number since JavaScript takes one."""
    name = data[0] if data else None
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        found = elide(repr(name)) if data else "an empty array"
        return Cause.BAD_EVENT_NAME, f"expected the name of an event, a string or a number, got {found}"
    if name in RESERVED_EVENTS:
        return Cause.RESERVED_EVENT, f"expected an event of the application's, got the reserved name {name!r}"
    return None


def kind_of(value: object) -> str:
    """A JSON value in words."""
    return _KINDS.get(type(value), "something else")


# --- what is not sent, whatever the parser


def check_packet(packet_type: PacketType, data: object, ack_id: int | None) -> Shape:
    """Refuse what the grammar does not let us say; return what it lets a packet of this type hold.

    Raises `LocalProtocolError`. The types are what a caller should pass, and are looked at: what is wrong with them is refused like the rest.
    """
    kind: object = packet_type
    shape = GRAMMAR.get(packet_type) if isinstance(kind, str) else None
    if shape is None or packet_type in PLAIN:
        raise refused(f"expected a packet type other than the binary ones, got {packet_type!r}", Cause.BAD_MESSAGE)
    _check_payload(packet_type, shape, data)
    if ack_id is not None or shape.ack_id is AckId.REQUIRED:
        _check_ack_id(packet_type, shape, ack_id)
    return shape


def _check_payload(packet_type: PacketType, shape: Shape, data: object) -> None:
    if data is msgspec.UNSET:
        if shape.payload_required:
            raise refused(f"expected {shape.expected} as the data of a packet of type {packet_type}, got none", Cause.MISSING_PAYLOAD)
        return
    if packet_type == PacketType.DISCONNECT:
        raise refused("expected no data in a packet of type DISCONNECT: the reference server closes the connection", Cause.UNEXPECTED_PAYLOAD)
    if not isinstance(data, shape.payloads) and not (shape.payloads == (list,) and isinstance(data, tuple)):
        raise refused(f"expected {shape.expected} as the data of a packet of type {packet_type}, got {type(data).__name__}", Cause.BAD_PAYLOAD)
    if packet_type == PacketType.EVENT:
        fault = event_fault(cast("list[object]", data))
        if fault is not None:
            raise refused(fault[1], fault[0])


def _check_ack_id(packet_type: PacketType, shape: Shape, ack_id: int | None) -> None:
    if ack_id is None:
        raise refused("expected the id of what is acknowledged, got none", Cause.MISSING_ACK_ID)
    if shape.ack_id is AckId.NEVER:
        raise refused(f"expected no ack id in a packet of type {packet_type}", Cause.UNEXPECTED_ACK_ID)
    if type(ack_id) is not int:
        raise refused(f"expected the ack id as int, got {type(ack_id).__name__}", Cause.BAD_MESSAGE)
    if not 0 <= ack_id <= MAX_ACK_ID:
        raise refused(f"expected an ack id from 0 to {MAX_ACK_ID}", Cause.ACK_ID_RANGE)


def check_namespace(namespace: object) -> str:
    """Return a namespace that can be named to a peer, as exact `str`; raises `LocalProtocolError` for any other."""
    if not isinstance(namespace, str):
        raise refused(f"expected a namespace as str, got {type(namespace).__name__}", Cause.BAD_NAMESPACE)
    # A comma would end the name early. A question mark begins a query for one reference and belongs to the name for the other.
    if not namespace.startswith("/") or "," in namespace or "?" in namespace:
        raise refused(f"expected a namespace that starts with '/' and has neither ',' nor '?', got {elide(namespace)}", Cause.BAD_NAMESPACE)
    try:
        namespace.encode()
    except UnicodeEncodeError:
        raise refused(f"expected a namespace with a UTF-8 form, got {elide(namespace)}", Cause.BAD_NAMESPACE) from None
    return str.__str__(namespace)


def refused(message: str, cause: Cause) -> LocalProtocolError:
    """The error that says what the caller may not send."""
    return LocalProtocolError(message, cause=cause)
