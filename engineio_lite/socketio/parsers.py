"""Which parser a connection speaks: how packets become messages and messages become packets.

Both ends must use the same one; the protocol has no word for asking. The default parser writes text with attachments (`packet.py`), the other common
one a single binary message of MessagePack (`msgpack.py`). A parser knows one packet at a time and nothing of connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError, elide
from engineio_lite.limits import Limits
from engineio_lite.socketio.msgpack import MsgpackDecoder, encode_msgpack
from engineio_lite.socketio.packet import Decoder, Packet, encode


class MessageDecoder(Protocol):
    """Makes packets of one stream of messages."""

    @property
    def pending(self) -> int:
        """How many messages are missing to the packet that has begun."""

    def reset(self) -> None:
        """Forget a packet that has begun."""

    def feed(self, message: str | bytes) -> Packet | None:
        """Take one message; return the packet that it completes, or None. Raises `DecodeError`."""


class Encode(Protocol):
    """Makes messages of one packet; raises `LocalProtocolError` for what cannot be sent."""

    def __call__(self, packet: Packet, *, limits: Limits) -> list[str | bytes]: ...


class MakeDecoder(Protocol):
    """Makes a decoder for one connection."""

    def __call__(self, *, limits: Limits) -> MessageDecoder: ...


class Parser(NamedTuple):
    """One way of writing packets."""

    name: str
    encode: Encode
    decoder: MakeDecoder


DEFAULT: Final = Parser("default", encode, Decoder)
MSGPACK: Final = Parser("msgpack", encode_msgpack, MsgpackDecoder)

PARSERS: Final[Mapping[str, Parser]] = MappingProxyType({parser.name: parser for parser in (DEFAULT, MSGPACK)})
"""The parsers by name."""


def find_parser(choice: str | Parser) -> Parser:
    """Return the parser of that name, or the one that is given; raises `LocalProtocolError` for a name that is none."""
    if isinstance(choice, Parser):
        return choice
    parser = PARSERS.get(choice)
    if parser is None:
        raise LocalProtocolError(
            f"parser must be one of {', '.join(map(repr, PARSERS))}, or a Parser, not {elide(repr(choice))}", cause=Cause.BAD_OPTION
        )
    return parser
