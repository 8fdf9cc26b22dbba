"""python-socketio's packet classes, strict about what comes.

python-socketio decodes with what a custom `serializer` or `json` gives it, so its classes stay in use. They are generous, though: a text between a
header and its attachments becomes an attachment, and a header whose placeholders fit nothing is never forgotten, so that every later event is lost
while the client believes that it is connected. `strict` derives a class that raises `Malformed` for whatever cannot be a packet, which ends the
connection; each client has its own, so a `json` module that one client uses is no other client's affair.
"""

from __future__ import annotations

from typing import Any, Final

from socketio import packet as original

from engineio_lite.causes import Cause
from engineio_lite.exceptions import RemoteProtocolError, elide
from engineio_lite.limits import Limits

_EVENTS: Final = (original.EVENT, original.BINARY_EVENT)
_ACKS: Final = (original.ACK, original.BINARY_ACK)


class Malformed(RemoteProtocolError):
    """What came is no packet, in the words of whoever tried to decode it."""

    def __init__(self, message: str, cause: Cause = Cause.BAD_PAYLOAD) -> None:
        super().__init__(message, cause=cause, stage="session")


class StrictPacket:
    """What is put in front of a packet class; see `strict`."""

    limits: Limits
    packet_type: Any
    data: Any
    namespace: Any
    attachments: list[bytes]

    def decode(self, encoded: str | bytes) -> int | None:
        """As the class behind this one, with every failure a `Malformed`, and so is what the class lets through."""
        try:
            count: int | None = super().decode(encoded)  # type: ignore[misc]
        except Exception as error:
            raise Malformed(f"expected a Socket.IO packet, got {elide(encoded)}, which cannot be decoded: {type(error).__name__}: {error}") from error
        fault = self._fault()
        if fault is not None:
            raise Malformed(f"{fault}, in {elide(encoded)}")
        if count is not None and count > self.limits.max_attachments:
            message = f"{count} attachments announced, the limit is {self.limits.max_attachments}"
            raise Malformed(message, Cause.TOO_MANY_ATTACHMENTS)
        if not count and self.packet_type in (original.BINARY_EVENT, original.BINARY_ACK):
            # Nothing follows, so it is complete now; python-socketio would wait for ever and take the next packet for an attachment.
            self.packet_type = original.EVENT if self.packet_type == original.BINARY_EVENT else original.ACK
        return count

    def _fault(self) -> str | None:
        if not isinstance(self.packet_type, int) or not original.CONNECT <= self.packet_type <= original.BINARY_ACK:
            return f"expected a packet type 0 to 6, got {self.packet_type!r}"
        if not isinstance(self.namespace, str | None):
            return f"expected a namespace, got {type(self.namespace).__name__}"
        if self.packet_type in _EVENTS and not (isinstance(self.data, list) and self.data and isinstance(self.data[0], str | int)):
            return "expected an event as an array that begins with its name"
        if self.packet_type in _ACKS and not isinstance(self.data, list):
            return "expected an acknowledgement as an array"
        if self.packet_type == original.CONNECT and not isinstance(self.data, dict | None):
            return "expected an object, or nothing, as the answer to CONNECT"
        return None

    def add_attachment(self, attachment: str | bytes) -> bool:
        """As the class behind this one, with every failure a `Malformed`."""
        if isinstance(attachment, str):
            message = f"expected an attachment, got the text {elide(attachment)}"
            raise Malformed(message, Cause.TEXT_WHILE_RECONSTRUCTING)
        size = len(attachment) + sum(map(len, self.attachments))
        if size > self.limits.max_attachment_bytes:
            raise Malformed(f"{size} bytes of attachments, the limit is {self.limits.max_attachment_bytes}", Cause.ATTACHMENTS_TOO_LARGE)
        try:
            return bool(super().add_attachment(attachment))  # type: ignore[misc]
        except Exception as error:
            raise Malformed(f"the attachments fit no placeholder: {type(error).__name__}: {error}", Cause.BAD_PLACEHOLDER) from error


def strict(packet_class: type[Any], limits: Limits, json: Any = None) -> type[Any]:
    """A class that is `packet_class` for what is sent, and strict about what comes; `json`, if given, is its JSON module, and its alone."""
    extra = {"limits": limits} if json is None else {"limits": limits, "json": json}
    return type(packet_class.__name__, (StrictPacket, packet_class), extra)
