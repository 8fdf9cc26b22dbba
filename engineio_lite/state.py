"""READ FIRST: the four machines, as tables.

An Engine.IO session looks like one protocol but is really two small machines that run beside each other, with a third one per Socket.IO namespace
on top, and a fourth above them all where a conversation outlives its connections. Written as one machine their states would multiply; written as
four, each fits on a screen and the coupling is a handful of joint rules.

**The session** (`SESSION`) is the conversation as the application sees it. It is opened by the server's ``open`` packet, kept alive by the
server's pings (version 4 turned the heartbeat round: the *server* sends ``2`` and the client answers ``3``), and ended by a ``1`` from either
side, by the loss of the transport, or by silence. It does not know over which transport its packets travel.

**The upgrade** (`UPGRADE`) moves a session from HTTP long-polling to a WebSocket without losing, doubling or reordering a message:

1. `NONE` -> `CONNECTING`: the server offered ``websocket``; a socket is opened beside the running polls.
2. `CONNECTING` -> `PROBING`: the socket is open; ``2probe`` goes out at once. Polling still carries everything.
3. `PROBING` -> `PAUSING`: ``3probe`` came back, so frames travel both ways. From here no new GET and no new POST starts; what the application sends,
   and pongs, wait. (The written specification pauses *before* it probes; the reference client pauses after the answer, and so do we: a probe that is
   never answered then costs nothing.)
4. `PAUSING` -> `DONE`: the GET in flight came back **and its packets were delivered**, the POST in flight has its 200. Now ``5`` is sent, then
   everything that waited. Each server takes packets out of one queue exactly once and writes to the socket only after ``5``; that and rule 3 are the
   whole argument for order.
5. Anything else before ``5`` -> `FAILED`: polling goes on with the same sid as if nothing had happened, because until ``5`` the server is still
   polling. After ``5`` there is no way back; losing the socket then loses the session.
6. `FAILED` -> `REPAIRING` -> `FAILED`: python-engineio, if the upgrade socket vanished before the probe, believes for ever that an upgrade is going
   on and answers every poll with an empty ``6``. Opening another socket and saying anything but ``2probe`` on it resets the server.

**The namespace** (`NAMESPACE`), one per Socket.IO namespace: asked for (``0``), granted (``0``) or refused (``4``), left (``1``) by either side.

**The link** (`LINK`), one per Socket.IO client: connections are used once, so a client that reconnects goes from one to the next. It waits between
them, and makes the next one only when the last one is closed: there are never two.

Joint rules, the only places where one machine moves another:

- The session leaving `OPEN` abandons an upgrade that is not done (input `ABANDON`), and closes every channel.
- The session reaching `CLOSED` disconnects every namespace (input `ENGINE_CLOSED`).
- A session that began on a WebSocket keeps its upgrade at `NONE`.
- The session reaching `CLOSED` moves the link: to `WAITING` if the policy wants another try (input `LOST`), else to `CLOSED` (input `END`).

Two rules for this file: every transition of the library is in one of these tables, and an input that is missing for a state is illegal there: if
it came from the peer the connection ends with a `RemoteProtocolError`, if it came from the caller a `LocalProtocolError` is raised and nothing
changes. The diagrams of the documentation and the exhaustive tests are generated from the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

# The states and inputs are string enums because a table is looked up for every packet: a StrEnum hashes as the string that it is, a plain Enum
# through a Python method.


class Transport(StrEnum):
    """How packets travel."""

    POLLING = "polling"
    WEBSOCKET = "websocket"


class CloseReason(StrEnum):
    """Why a connection ended, in the reference client's words where it has them."""

    CLIENT_CLOSE = "client close"
    SERVER_CLOSE = "server close"
    SERVER_DISCONNECT = "io server disconnect"
    CLIENT_DISCONNECT = "io client disconnect"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"


# --------------------------------------------------------------------------------------------------------------------------------- the session


class SessionState(StrEnum):
    """Where the conversation stands."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionInput(StrEnum):
    """What can happen to a session."""

    CONNECT = "connect"
    RECEIVE_OPEN = "receive open"
    RECEIVE_PING = "receive ping"
    RECEIVE_PONG = "receive pong"
    RECEIVE_MESSAGE = "receive message"
    RECEIVE_UPGRADE = "receive upgrade"
    RECEIVE_NOOP = "receive noop"
    RECEIVE_CLOSE = "receive close"
    SEND_MESSAGE = "send message"
    CLOSE = "close"
    DRAINED = "drained"
    FAIL = "fail"


_PACKETS = (
    SessionInput.RECEIVE_PING,
    SessionInput.RECEIVE_PONG,
    SessionInput.RECEIVE_MESSAGE,
    SessionInput.RECEIVE_UPGRADE,
    SessionInput.RECEIVE_NOOP,
)

SESSION: Mapping[tuple[SessionState, SessionInput], SessionState] = MappingProxyType(
    {
        (SessionState.IDLE, SessionInput.CONNECT): SessionState.OPENING,
        (SessionState.IDLE, SessionInput.CLOSE): SessionState.CLOSED,
        #
        (SessionState.OPENING, SessionInput.RECEIVE_OPEN): SessionState.OPEN,
        (SessionState.OPENING, SessionInput.RECEIVE_CLOSE): SessionState.CLOSED,
        (SessionState.OPENING, SessionInput.CLOSE): SessionState.CLOSED,
        (SessionState.OPENING, SessionInput.FAIL): SessionState.CLOSED,
        #
        # A pong or an upgrade from the server means nothing in version 4; it is reported and ignored, as the reference client does silently.
        **{(SessionState.OPEN, packet): SessionState.OPEN for packet in _PACKETS},
        (SessionState.OPEN, SessionInput.RECEIVE_CLOSE): SessionState.CLOSED,
        (SessionState.OPEN, SessionInput.SEND_MESSAGE): SessionState.OPEN,
        (SessionState.OPEN, SessionInput.CLOSE): SessionState.CLOSING,
        (SessionState.OPEN, SessionInput.FAIL): SessionState.CLOSED,
        #
        # What the server sent before it saw our close still counts.
        **{(SessionState.CLOSING, packet): SessionState.CLOSING for packet in _PACKETS},
        (SessionState.CLOSING, SessionInput.RECEIVE_CLOSE): SessionState.CLOSED,
        (SessionState.CLOSING, SessionInput.CLOSE): SessionState.CLOSING,
        (SessionState.CLOSING, SessionInput.DRAINED): SessionState.CLOSED,
        (SessionState.CLOSING, SessionInput.FAIL): SessionState.CLOSED,
        #
        # Late packets from a transport that lost a race are normal, and closing twice is harmless.
        **{(SessionState.CLOSED, packet): SessionState.CLOSED for packet in _PACKETS},
        (SessionState.CLOSED, SessionInput.RECEIVE_OPEN): SessionState.CLOSED,
        (SessionState.CLOSED, SessionInput.RECEIVE_CLOSE): SessionState.CLOSED,
        (SessionState.CLOSED, SessionInput.CLOSE): SessionState.CLOSED,
        (SessionState.CLOSED, SessionInput.FAIL): SessionState.CLOSED,
    }
)

# --------------------------------------------------------------------------------------------------------------------------------- the upgrade


class UpgradeState(StrEnum):
    """Where the move from polling to a WebSocket stands."""

    NONE = "none"
    CONNECTING = "connecting"
    PROBING = "probing"
    PAUSING = "pausing"
    DONE = "done"
    FAILED = "failed"
    REPAIRING = "repairing"


class UpgradeInput(StrEnum):
    """What can happen to an upgrade."""

    START = "start"
    SOCKET_OPENED = "socket opened"
    SOCKET_LOST = "socket lost"
    RECEIVE_PROBE = "receive 3probe"
    RECEIVE_NOOP = "receive noop"
    RECEIVE_OTHER = "receive other"
    DRAINED = "drained"
    DEADLINE = "deadline"
    STUCK = "stuck"
    ABANDON = "abandon"


UPGRADE: Mapping[tuple[UpgradeState, UpgradeInput], UpgradeState] = MappingProxyType(
    {
        (UpgradeState.NONE, UpgradeInput.START): UpgradeState.CONNECTING,
        (UpgradeState.NONE, UpgradeInput.ABANDON): UpgradeState.NONE,
        #
        (UpgradeState.CONNECTING, UpgradeInput.SOCKET_OPENED): UpgradeState.PROBING,
        (UpgradeState.CONNECTING, UpgradeInput.SOCKET_LOST): UpgradeState.FAILED,
        (UpgradeState.CONNECTING, UpgradeInput.DEADLINE): UpgradeState.FAILED,
        (UpgradeState.CONNECTING, UpgradeInput.ABANDON): UpgradeState.FAILED,
        #
        (UpgradeState.PROBING, UpgradeInput.RECEIVE_PROBE): UpgradeState.PAUSING,
        (UpgradeState.PROBING, UpgradeInput.RECEIVE_NOOP): UpgradeState.PROBING,
        (UpgradeState.PROBING, UpgradeInput.RECEIVE_OTHER): UpgradeState.FAILED,
        (UpgradeState.PROBING, UpgradeInput.SOCKET_LOST): UpgradeState.FAILED,
        (UpgradeState.PROBING, UpgradeInput.DEADLINE): UpgradeState.FAILED,
        (UpgradeState.PROBING, UpgradeInput.ABANDON): UpgradeState.FAILED,
        #
        (UpgradeState.PAUSING, UpgradeInput.DRAINED): UpgradeState.DONE,
        (UpgradeState.PAUSING, UpgradeInput.RECEIVE_NOOP): UpgradeState.PAUSING,
        (UpgradeState.PAUSING, UpgradeInput.RECEIVE_OTHER): UpgradeState.FAILED,
        (UpgradeState.PAUSING, UpgradeInput.SOCKET_LOST): UpgradeState.FAILED,
        (UpgradeState.PAUSING, UpgradeInput.DEADLINE): UpgradeState.FAILED,
        (UpgradeState.PAUSING, UpgradeInput.ABANDON): UpgradeState.FAILED,
        #
        (UpgradeState.DONE, UpgradeInput.ABANDON): UpgradeState.DONE,
        #
        (UpgradeState.FAILED, UpgradeInput.STUCK): UpgradeState.REPAIRING,
        (UpgradeState.FAILED, UpgradeInput.ABANDON): UpgradeState.FAILED,
        #
        (UpgradeState.REPAIRING, UpgradeInput.SOCKET_OPENED): UpgradeState.FAILED,
        (UpgradeState.REPAIRING, UpgradeInput.SOCKET_LOST): UpgradeState.FAILED,
        (UpgradeState.REPAIRING, UpgradeInput.DEADLINE): UpgradeState.FAILED,
        (UpgradeState.REPAIRING, UpgradeInput.ABANDON): UpgradeState.FAILED,
    }
)

# --------------------------------------------------------------------------------------------------------------------------------- a namespace


class NamespaceState(StrEnum):
    """Where one namespace of a Socket.IO connection stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"


class NamespaceInput(StrEnum):
    """What can happen to a namespace."""

    CONNECT = "connect"
    RECEIVE_CONNECT = "receive connect"
    RECEIVE_CONNECT_ERROR = "receive connect error"
    RECEIVE_EVENT = "receive event"
    RECEIVE_ACK = "receive ack"
    RECEIVE_DISCONNECT = "receive disconnect"
    EMIT = "emit"
    DISCONNECT = "disconnect"
    DEADLINE = "deadline"
    ENGINE_CLOSED = "engine closed"


NAMESPACE: Mapping[tuple[NamespaceState, NamespaceInput], NamespaceState] = MappingProxyType(
    {
        (NamespaceState.DISCONNECTED, NamespaceInput.CONNECT): NamespaceState.CONNECTING,
        # What was on its way when we left is normal.
        (NamespaceState.DISCONNECTED, NamespaceInput.RECEIVE_CONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.DISCONNECTED, NamespaceInput.RECEIVE_CONNECT_ERROR): NamespaceState.DISCONNECTED,
        (NamespaceState.DISCONNECTED, NamespaceInput.RECEIVE_EVENT): NamespaceState.DISCONNECTED,
        (NamespaceState.DISCONNECTED, NamespaceInput.RECEIVE_ACK): NamespaceState.DISCONNECTED,
        (NamespaceState.DISCONNECTED, NamespaceInput.RECEIVE_DISCONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.DISCONNECTED, NamespaceInput.ENGINE_CLOSED): NamespaceState.DISCONNECTED,
        #
        (NamespaceState.CONNECTING, NamespaceInput.RECEIVE_CONNECT): NamespaceState.CONNECTED,
        (NamespaceState.CONNECTING, NamespaceInput.RECEIVE_CONNECT_ERROR): NamespaceState.DISCONNECTED,
        # Events may overtake the answer (recovered packets on Node, a Python connect handler that emits): they are kept and delivered after it.
        (NamespaceState.CONNECTING, NamespaceInput.RECEIVE_EVENT): NamespaceState.CONNECTING,
        (NamespaceState.CONNECTING, NamespaceInput.RECEIVE_ACK): NamespaceState.CONNECTING,
        (NamespaceState.CONNECTING, NamespaceInput.RECEIVE_DISCONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTING, NamespaceInput.DISCONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTING, NamespaceInput.DEADLINE): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTING, NamespaceInput.ENGINE_CLOSED): NamespaceState.DISCONNECTED,
        #
        (NamespaceState.CONNECTED, NamespaceInput.RECEIVE_CONNECT): NamespaceState.CONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.RECEIVE_CONNECT_ERROR): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.RECEIVE_EVENT): NamespaceState.CONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.RECEIVE_ACK): NamespaceState.CONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.RECEIVE_DISCONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.EMIT): NamespaceState.CONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.DISCONNECT): NamespaceState.DISCONNECTED,
        (NamespaceState.CONNECTED, NamespaceInput.ENGINE_CLOSED): NamespaceState.DISCONNECTED,
    }
)

# ------------------------------------------------------------------------------------------------------------------------------------ the link


class LinkState(StrEnum):
    """Where a client stands between one connection and the next."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    CLOSED = "closed"


class LinkInput(StrEnum):
    """What can happen to a link."""

    CONNECT = "connect"
    JOINED = "joined"
    LOST = "lost"
    RETRY = "retry"
    END = "end"


LINK: Mapping[tuple[LinkState, LinkInput], LinkState] = MappingProxyType(
    {
        (LinkState.IDLE, LinkInput.CONNECT): LinkState.CONNECTING,
        (LinkState.IDLE, LinkInput.END): LinkState.CLOSED,
        #
        (LinkState.CONNECTING, LinkInput.JOINED): LinkState.CONNECTED,
        (LinkState.CONNECTING, LinkInput.LOST): LinkState.WAITING,
        (LinkState.CONNECTING, LinkInput.END): LinkState.CLOSED,
        #
        # A namespace that is joined later moves nothing.
        (LinkState.CONNECTED, LinkInput.JOINED): LinkState.CONNECTED,
        (LinkState.CONNECTED, LinkInput.LOST): LinkState.WAITING,
        (LinkState.CONNECTED, LinkInput.END): LinkState.CLOSED,
        #
        (LinkState.WAITING, LinkInput.RETRY): LinkState.CONNECTING,
        (LinkState.WAITING, LinkInput.END): LinkState.CLOSED,
        #
        (LinkState.CLOSED, LinkInput.END): LinkState.CLOSED,
    }
)
