"""Engine.IO v4 and Socket.IO v5, seen from the client: the pure protocol core.

Importing this package starts nothing and loads neither asyncio nor aiohttp; the drivers are in `engineio_lite.aio`, Socket.IO's pure half in
`engineio_lite.socketio`. Read `engineio_lite/state.py` first.
"""

from engineio_lite.causes import FIXES, Cause
from engineio_lite.commands import CloseTransport, Command, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.connection import EngineIOConnection
from engineio_lite.events import Closed, Event, MessageReceived, Opened, PacketIgnored, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import (
    AckTimeout,
    CaptureError,
    ConnectFailed,
    ConnectionClosed,
    ConnectRefused,
    DecodeError,
    EngineIOError,
    HandshakeError,
    LocalProtocolError,
    PayloadMismatch,
    PayloadTooLarge,
    PingTimeout,
    ProtocolError,
    RemoteProtocolError,
    TimedOut,
    TransportClosed,
    TransportError,
)
from engineio_lite.handshake import Handshake
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.limits import Limits, Timeouts
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet
from engineio_lite.payload import decode_payload, encode_payload, packet_cost
from engineio_lite.state import CloseReason, SessionState, Transport, UpgradeState

__version__ = "0.1.0"

__all__ = [
    "FIXES",
    "AckTimeout",
    "CaptureError",
    "Cause",
    "Close",
    "CloseReason",
    "CloseTransport",
    "Closed",
    "Command",
    "Connect",
    "ConnectFailed",
    "ConnectRefused",
    "ConnectionClosed",
    "DecodeError",
    "EngineIOConnection",
    "EngineIOError",
    "Event",
    "Fail",
    "FrameReceived",
    "Handshake",
    "HandshakeError",
    "Input",
    "Limits",
    "LocalProtocolError",
    "MessageReceived",
    "OpenWebSocket",
    "Opened",
    "Packet",
    "PacketIgnored",
    "PacketType",
    "PayloadMismatch",
    "PayloadTooLarge",
    "PingTimeout",
    "Poll",
    "PollingStuck",
    "Post",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestFailed",
    "ResponseReceived",
    "SendFrame",
    "SendMessages",
    "SessionState",
    "TimePassed",
    "TimedOut",
    "Timeouts",
    "Transport",
    "TransportClosed",
    "TransportError",
    "UpgradeFailed",
    "UpgradeState",
    "Upgraded",
    "WebSocketClosed",
    "WebSocketFailed",
    "WebSocketOpened",
    "WebSocketRefused",
    "__version__",
    "decode_packet",
    "decode_payload",
    "encode_packet",
    "encode_payload",
    "packet_cost",
]
