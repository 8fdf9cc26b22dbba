"""The open packet: the one packet whose data the Engine.IO layer reads.

Its numbers become deadlines and sizes and its sid goes into every URL of the session, so they are checked here and nowhere else. Times are
milliseconds on the wire and seconds from here on.

Reference: engine.io-protocol version 4, "Handshake".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engineio_lite.causes import Cause
from engineio_lite.exceptions import HandshakeError, elide
from engineio_lite.limits import DEFAULT_LIMITS
from engineio_lite.strictjson import JSONError, decode_json


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """The server's open packet: times in seconds, sizes in bytes, `max_payload` None where an older server does not say."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: float
    ping_timeout: float
    max_payload: int | None

    def __repr__(self) -> str:
        # Made for logs: whoever has the sid has the session.
        return (
            f"Handshake(sid=<{len(self.sid)} characters>, upgrades={self.upgrades}, ping_interval={self.ping_interval}, "
            f"ping_timeout={self.ping_timeout}, max_payload={self.max_payload})"
        )

    @classmethod
    def parse(cls, data: str) -> Handshake:
        """Read the data of an open packet; keys it does not know are ignored, in any order.

        Times of 0 are accepted (python-engineio truncates 0.8 s to 0), as is the absence of ``maxPayload`` (older servers) and of ``upgrades``:
        what is not offered will not be tried, so a session without the key is a session that stays on polling. (Both reference clients end in an
        exception there.)

        Raises `HandshakeError` with stage ``handshake`` and cause ``missing-sid`` or ``bad-handshake``.
        Reference: engine.io-protocol version 4, "Handshake".
        """
        fields = _open_fields(data)
        # The sid first: whatever else is missing, an answer without one is not an open packet.
        sid = _sid(fields.get("sid"))
        return cls(
            sid=sid,
            upgrades=_upgrades(fields.get("upgrades", [])),
            ping_interval=_number(fields, "pingInterval", "milliseconds") / 1000,
            ping_timeout=_number(fields, "pingTimeout", "milliseconds") / 1000,
            max_payload=int(_number(fields, "maxPayload", "bytes")) if "maxPayload" in fields else None,
        )


def _open_fields(data: str) -> dict[str, object]:
    try:
        fields = decode_json(data, max_depth=DEFAULT_LIMITS.max_depth, max_integer_digits=DEFAULT_LIMITS.max_integer_digits)
    except JSONError as error:
        raise _bad_handshake(f"{error.message}, at {error.position} of {elide(data)}") from None
    if not isinstance(fields, dict):
        raise _bad_handshake(f"expected an object, got {elide(data)}")
    return fields


def _sid(sid: object) -> str:
    if not isinstance(sid, str) or not sid:
        raise _bad_handshake(f"expected `sid` to be a string that is not empty, got {_shown(sid)}", Cause.MISSING_SID)
    try:
        sid.encode()
    except UnicodeEncodeError:
        raise _bad_handshake("expected `sid` to have a UTF-8 form, since it goes into URLs, got a lone surrogate") from None
    return sid


def _upgrades(upgrades: object) -> tuple[str, ...]:
    if not isinstance(upgrades, list) or not all(isinstance(name, str) for name in upgrades):
        raise _bad_handshake(f"expected `upgrades` to be an array of strings, got {_shown(upgrades)}")
    return tuple(upgrades)


def _number(fields: Mapping[str, object], name: str, unit: str) -> float:
    value = fields.get(name)
    # JSON has one type of number; a bool is an int to Python only.
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise _bad_handshake(f"expected `{name}` to be a number of {unit} that is not negative, got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return "nothing" if value is None else elide(repr(value))


def _bad_handshake(message: str, cause: Cause = Cause.BAD_HANDSHAKE) -> HandshakeError:
    return HandshakeError(f"unusable open packet: {message}", cause=cause, stage="handshake")
