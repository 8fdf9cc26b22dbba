"""The errors of the library.

    EngineIOError                     everything below; carries `cause`, `fix` and the evidence
    |-- ProtocolError                 (abstract) a rule of the protocol was broken
    |   |-- LocalProtocolError        by us: raised at once, nothing was sent, nothing changed
    |   |   `-- PayloadTooLarge       one message is larger than the server accepts (`size`, `limit`)
    |   `-- RemoteProtocolError       by the peer: it ends the connection
    |       |-- DecodeError           bytes that are no packet (`code`, `offset`, `layer`, `excerpt`, `packets`)
    |       `-- HandshakeError        the answer to a handshake, a request or an upgrade is not Engine.IO, or a refusal
    |           `-- ConnectRefused    a Socket.IO namespace said no (`namespace`, `message`, `data`)
    |-- TransportError                the bytes did not travel
    |   |-- ConnectFailed             no connection to the server, its proxy, or its TLS
    |   `-- TransportClosed           a connection that was open is gone (`code`, `reason`)
    |-- TimedOut                      a stage took longer than its limit
    |   |-- PingTimeout               no ping within the interval plus the timeout that the server announced
    |   `-- AckTimeout                no acknowledgement of one call in time
    |-- CaptureError                  a capture that cannot be read or used (`path`, `line`)
    |-- PayloadMismatch               an event's arguments do not fit the application's model (`event`, `model`)
    |-- ReplayError                   (abstract) a conversation does not go as its capture says (`capture`, `session`)
    |   |-- CassetteMismatch          something else was said (`number`, `line`, `differences`)
    |   |-- ReplayStalled             nothing was said while something is expected (`number`, `line`)
    |   `-- ReplayUnfinished          the other side left before everything was said (`missing`)
    `-- ConnectionClosed              the connection is closed; raised by what needed it open (`reason`)

Two families, as in h11: *local* errors say that the caller did something illegal and are raised before anything changes; *remote* errors are never
raised out of the core but recorded in `Closed`, and the drivers raise them to whoever waits. An error says what was expected, what came (elided),
and in which state; `cause` is a stable id (see `causes.py`), `fix` one clause on what usually mends it.

Nothing secret is put into an error: URLs arrive here without user, password, sid and unknown query values, bodies go through `elide`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from engineio_lite.causes import FIXES, Cause

if TYPE_CHECKING:
    from engineio_lite.packet import Packet
    from engineio_lite.state import CloseReason

MAX_EVIDENCE_BYTES = 1024
"""How much of a body an error keeps: enough for a JSON error or the head of a web page."""

MAX_EXCERPT_CHARACTERS = 80
"""How much of what came is quoted inside a message: one terminal line."""

_SECRETS = re.compile(r"""(?<="sid":")[^"]+|(?<="pid":")[^"]+|eyJ[\w-]+\.[\w-]+\.[\w-]*""")


def elide(data: str | bytes, limit: int = MAX_EXCERPT_CHARACTERS) -> str:
    """Quote what came, shortened to `limit` characters and with session ids and JSON web tokens masked.

    Text is quoted as Python would, bytes as hexadecimal; a cut is marked with the full length.
    """
    if isinstance(data, bytes):
        shown = data[: limit // 2].hex()
        return f"bytes {shown}" if 2 * len(data) <= limit else f"bytes {shown}… ({len(data)} bytes)"
    # Mask before cutting, or a cut could leave half a token that the pattern no longer knows; but never scan more than a bounded head.
    shown = _SECRETS.sub("<redacted>", data[: 4 * limit])[:limit]
    return repr(shown) if len(data) <= limit else f"{shown!r}… ({len(data)} characters)"


class EngineIOError(Exception):
    """Anything that goes wrong in this library.

    `cause` is a stable id and `fix` the clause that usually mends it (or None). The rest is evidence and None or empty where it does not apply:
    `stage` (which step of the conversation: ``handshake``, ``poll``, ``post``, ``upgrade``, ``websocket``, ``session``, ``namespace``), `url` without
    secrets, HTTP `status`, the `headers` that matter as pairs, the first bytes of the `body`, and `server_code`, the server's own error number.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: Cause,
        stage: str | None = None,
        url: str | None = None,
        status: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        server_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.stage = stage
        self.url = url
        self.status = status
        self.headers = tuple(headers)
        self.body = body[:MAX_EVIDENCE_BYTES]
        self.server_code = server_code

    @property
    def fix(self) -> str | None:
        """What usually mends this cause, as one clause."""
        return FIXES.get(self.cause)

    def locate(self, *, stage: str, url: str | None = None, status: int | None = None) -> Self:
        """Note where it happened, as far as that is not known yet: a decoder does not know who called it. Returns the error itself."""
        self.stage = self.stage or stage
        self.url = self.url or url
        self.status = self.status or status
        return self

    def __str__(self) -> str:
        context = [self.cause.value]
        if self.stage is not None:
            context.append(f"stage {self.stage}")
        if self.status is not None:
            context.append(f"HTTP {self.status}")
        if self.url is not None:
            context.append(self.url)
        return f"{self.message} [{', '.join(context)}]"


class ProtocolError(EngineIOError):
    """A rule of the protocol was broken; instantiate `LocalProtocolError` or `RemoteProtocolError`."""

    def __init__(self, message: str, **evidence: object) -> None:
        if type(self) is ProtocolError:
            raise TypeError("ProtocolError is abstract: say who broke the protocol")
        super().__init__(message, **evidence)  # type: ignore[arg-type]  # checked by the concrete classes' signatures


class LocalProtocolError(ProtocolError):
    """The caller asked for something illegal; nothing was sent and nothing changed."""

    def __init__(self, message: str, *, cause: Cause) -> None:
        super().__init__(message, cause=cause)


class PayloadTooLarge(LocalProtocolError):
    """One message is larger than the server announced to accept: `size` and `limit`, in bytes on the wire."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the message needs {size} bytes on the wire, the server accepts {limit} (maxPayload)", cause=Cause.PAYLOAD_TOO_LARGE)
        self.size = size
        self.limit = limit


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol, which ends the connection."""

    def __init__(
        self,
        message: str,
        *,
        cause: Cause,
        stage: str | None = None,
        url: str | None = None,
        status: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        server_code: int | None = None,
    ) -> None:
        super().__init__(message, cause=cause, stage=stage, url=url, status=status, headers=headers, body=body, server_code=server_code)


class DecodeError(RemoteProtocolError):
    """Bytes or text that are no packet.

    `code` is the cause's id; `offset` counts from the start of the packet, or of the body for a payload (code points for text, bytes for binary;
    the index of the message for faults between a packet and its attachments); `layer` is ``engineio-packet``, ``engineio-payload`` or
    ``socketio-packet``; `excerpt` quotes what came, elided; `detail` is the message alone, without place and excerpt; `packets` are the good
    packets that came before, in order.
    """

    def __init__(self, message: str, *, code: Cause, offset: int, layer: str, source: str | bytes = "", packets: Sequence[Packet] = ()) -> None:
        self.detail = message
        self.code = code
        self.offset = offset
        self.layer = layer
        self.excerpt = elide(source)
        self.packets = tuple(packets)
        super().__init__(f"{message} at {layer} offset {offset}, in {self.excerpt}", cause=code)


class HandshakeError(RemoteProtocolError):
    """An answer that is no Engine.IO answer, or the server's refusal; says which stage and keeps the evidence."""


class ConnectRefused(HandshakeError):
    """A namespace refused the connection, in the server's own words: `namespace`, `message` and `data` (any JSON value, None if absent)."""

    def __init__(self, namespace: str, message: str, data: object = None) -> None:
        super().__init__(f"the server refused namespace {elide(namespace)}: {elide(message, 200)}", cause=Cause.NAMESPACE_REFUSED, stage="namespace")
        self.namespace = namespace
        self.refusal = message
        self.data = data


class TransportError(EngineIOError):
    """The bytes did not travel: the network, the proxy or the HTTP layer failed."""


class ConnectFailed(TransportError):
    """No connection could be made: name, address, proxy or TLS."""


class TransportClosed(TransportError):
    """A connection that was open is gone; for a WebSocket with the close `code` and `reason` that were seen."""

    def __init__(
        self, message: str, *, cause: Cause, stage: str | None = None, url: str | None = None, code: int | None = None, reason: str = ""
    ) -> None:
        super().__init__(message, cause=cause, stage=stage, url=url)
        self.code = code
        self.reason = reason


class TimedOut(EngineIOError):
    """A stage took longer than its limit."""


class PingTimeout(TimedOut):
    """No ping came within the interval plus the timeout that the server announced; `silence` is how long, in seconds."""

    def __init__(self, silence: float, allowed: float) -> None:
        super().__init__(
            f"no ping for {silence:.3g} s, the server announced one at least every {allowed:.3g} s", cause=Cause.PING_TIMEOUT, stage="session"
        )
        self.silence = silence
        self.allowed = allowed


class AckTimeout(TimedOut):
    """The server did not acknowledge one event within `timeout` seconds."""

    def __init__(self, name: str, timeout: float) -> None:
        super().__init__(f"no acknowledgement of event {elide(name)} within {timeout:.3g} s", cause=Cause.ACK_TIMEOUT, stage="namespace")
        self.name = name
        self.timeout = timeout


class PayloadMismatch(EngineIOError):
    """The arguments of an event do not fit the model that the application has for it: `event` and `model` by name, `problem` in one sentence."""

    def __init__(self, event: str, model: str, problem: str, excerpt: str) -> None:
        super().__init__(f"event {elide(event)} does not fit {model}: {problem}; it came with {excerpt}", cause=Cause.PAYLOAD_MISMATCH)
        self.event = event
        self.model = model
        self.problem = problem


class CaptureError(EngineIOError):
    """A capture that cannot be read or used: `path` is the file as it was given (None if there is none), `line` counts from 1 (None if it is all of
    it)."""

    def __init__(self, message: str, *, cause: Cause, path: str | None = None, line: int | None = None) -> None:
        where = ", ".join([*([path] if path is not None else []), *([f"line {line}"] if line is not None else [])])
        super().__init__(f"{where}: {message}" if where else message, cause=cause)
        self.path = path
        self.line = line


class ReplayError(EngineIOError):
    """A conversation does not go as its capture says; instantiate one of the subclasses.

    `capture` is its name, `session` the number of the recorded session. The message is the whole story, in several lines, and is shown as it is.
    """

    def __init__(self, message: str, *, cause: Cause, capture: str, session: int) -> None:
        super().__init__(message, cause=cause)
        self.capture = capture
        self.session = session

    def __str__(self) -> str:
        return self.message


class CassetteMismatch(ReplayError):
    """The other side said something that the capture does not say there.

    `number` is the place of the expected packet among those of its side in its session, from 1, and `line` its line in the capture's file; both are
    None where nothing more was expected. `differences` are the JSON paths at which the two differ, as far as they could be told apart.
    """

    def __init__(
        self, message: str, *, capture: str, session: int, number: int | None = None, line: int | None = None, differences: Sequence[str] = ()
    ) -> None:
        super().__init__(message, cause=Cause.REPLAY_MISMATCH, capture=capture, session=session)
        self.number = number
        self.line = line
        self.differences = tuple(differences)


class ReplayStalled(ReplayError):
    """The other side says nothing, is owed nothing, and the capture has more of it; `number` and `line` tell which packet is awaited."""

    def __init__(self, message: str, *, capture: str, session: int, number: int, line: int) -> None:
        super().__init__(message, cause=Cause.REPLAY_STALLED, capture=capture, session=session)
        self.number = number
        self.line = line


class ReplayUnfinished(ReplayError):
    """The other side has left, or never came, and `missing` of its packets are still in the capture."""

    def __init__(self, message: str, *, capture: str, session: int, missing: int) -> None:
        super().__init__(message, cause=Cause.REPLAY_UNFINISHED, capture=capture, session=session)
        self.missing = missing


class ConnectionClosed(EngineIOError):
    """The connection is closed, so the operation cannot be done; `reason` says how it ended, `__cause__` is the error that ended it, if one did."""

    def __init__(self, message: str, *, reason: CloseReason | None, cause: Cause = Cause.CLOSED) -> None:
        super().__init__(message, cause=cause)
        self.reason = reason
