"""What can go wrong, by name: the catalogue of stable cause ids.

Every error of this library carries one `Cause`. The ids are part of the public interface: they are written into captures, printed by the
command line, matched by tests and documented one by one, so an id is never renamed and never reused. A cause says what was *observed*; the
sentence beside it (`FIXES`) says what usually mends it, where something does.

The module knows no protocol and imports nothing of the library, so that the errors, the doctor and the documentation can all stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Cause(StrEnum):
    """A stable id for one way in which a conversation fails."""

    # --- The network, before any byte of the server's was understood.
    CONNECT_FAILED = "connect-failed"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    DNS_FAILED = "dns-failed"
    TLS_FAILED = "tls-failed"
    PROXY_FAILED = "proxy-failed"
    CONNECTION_LOST = "connection-lost"
    BAD_HTTP = "bad-http"
    BAD_URL = "bad-url"

    # --- A stage took longer than its limit.
    OPEN_TIMEOUT = "open-timeout"
    POST_TIMEOUT = "post-timeout"
    PROBE_TIMEOUT = "probe-timeout"
    CONNECT_UNANSWERED = "connect-unanswered"
    PING_TIMEOUT = "ping-timeout"
    ACK_TIMEOUT = "ack-timeout"

    # --- An HTTP answer that is not an Engine.IO answer.
    EMPTY_RESPONSE = "empty-response"
    HTML_RESPONSE = "html-response"
    NOT_ENGINEIO = "not-engineio"
    CHALLENGE_PAGE = "challenge-page"
    REDIRECTED = "redirected"
    WRONG_PATH = "wrong-path"
    UNAUTHORIZED = "unauthorized"
    PROXY_AUTH_REQUIRED = "proxy-auth-required"
    RATE_LIMITED = "rate-limited"
    GATEWAY_ERROR = "gateway-error"
    SERVER_ERROR = "server-error"
    UNEXPECTED_STATUS = "unexpected-status"
    RESPONSE_TOO_LARGE = "response-too-large"

    # --- The Engine.IO server refused, by its own code (0 to 5) or by its own words.
    TRANSPORT_UNKNOWN = "transport-unknown"
    SESSION_UNKNOWN = "session-unknown"
    BAD_HANDSHAKE_METHOD = "bad-handshake-method"
    BAD_REQUEST = "bad-request"
    FORBIDDEN = "forbidden"
    UNSUPPORTED_VERSION = "unsupported-version"

    # --- The open packet.
    BAD_HANDSHAKE = "bad-handshake"
    MISSING_SID = "missing-sid"
    LOOKS_LIKE_EIO3 = "looks-like-eio3"
    UNEXPECTED_OPEN = "unexpected-open"

    # --- The WebSocket.
    WEBSOCKET_REFUSED = "websocket-refused"
    WEBSOCKET_CLOSED = "websocket-closed"
    WEBSOCKET_PROTOCOL_ERROR = "websocket-protocol-error"
    UNEXPECTED_PROBE_ANSWER = "unexpected-probe-answer"

    # --- The peer ended the session in an orderly way.
    SERVER_CLOSED = "server-closed"
    SERVER_DISCONNECTED = "server-disconnected"

    # --- Decoding. These are the `code` of a `DecodeError`.
    EMPTY_PACKET = "empty-packet"
    UNKNOWN_PACKET_TYPE = "unknown-packet-type"
    BAD_BASE64 = "bad-base64"
    BAD_UTF8 = "bad-utf8"
    BAD_ATTACHMENT_COUNT = "bad-attachment-count"
    TOO_MANY_ATTACHMENTS = "too-many-attachments"
    ATTACHMENTS_TOO_LARGE = "attachments-too-large"
    UNEXPECTED_ACK_ID = "unexpected-ack-id"
    ACK_ID_RANGE = "ack-id-range"
    MISSING_ACK_ID = "missing-ack-id"
    MISSING_PAYLOAD = "missing-payload"
    UNEXPECTED_PAYLOAD = "unexpected-payload"
    BAD_PAYLOAD = "bad-payload"
    BAD_JSON = "bad-json"
    BAD_NUMBER = "bad-number"
    TOO_DEEP = "too-deep"
    BAD_EVENT_NAME = "bad-event-name"
    RESERVED_EVENT = "reserved-event"
    BAD_PLACEHOLDER = "bad-placeholder"
    TEXT_WHILE_RECONSTRUCTING = "text-while-reconstructing"
    UNEXPECTED_BINARY = "unexpected-binary"
    UNEXPECTED_TEXT = "unexpected-text"
    BAD_MSGPACK = "bad-msgpack"

    # --- Socket.IO.
    NAMESPACE_REFUSED = "namespace-refused"
    AUTH_FAILED = "auth-failed"
    CONNECT_CLOSED = "connect-closed"
    DECIDE_FAILED = "decide-failed"
    SOCKETIO_V2 = "socketio-v2"
    TOO_MANY_EARLY_EVENTS = "too-many-early-events"

    # --- Local misuse: nothing was sent and nothing changed.
    NOT_OPEN = "not-open"
    ALREADY_CONNECTED = "already-connected"
    NAMESPACE_NOT_CONNECTED = "namespace-not-connected"
    BAD_NAMESPACE = "bad-namespace"
    BAD_MESSAGE = "bad-message"
    BAD_OPTION = "bad-option"
    SEPARATOR_IN_TEXT = "separator-in-text"
    PAYLOAD_TOO_LARGE = "payload-too-large"
    SEND_BUFFER_FULL = "send-buffer-full"
    TOO_MANY_CALLS = "too-many-calls"
    ACK_NOT_AWAITED = "ack-not-awaited"
    DROPPED = "dropped"
    DRAIN_TIMEOUT = "drain-timeout"
    WAIT_TIMEOUT = "wait-timeout"
    PAYLOAD_MISMATCH = "payload-mismatch"
    RECEIVE_BUFFER_FULL = "receive-buffer-full"
    CLOSED = "closed"

    # --- A capture.
    NOT_A_CAPTURE = "not-a-capture"
    CAPTURE_VERSION = "capture-version"
    CAPTURE_KIND = "capture-kind"
    CAPTURE_DAMAGED = "capture-damaged"
    CAPTURE_TOO_LARGE = "capture-too-large"
    NETWORK_BLOCKED = "network-blocked"
    NO_CASSETTE = "no-cassette"
    NO_UPSTREAM = "no-upstream"
    CAPTURE_LEVEL = "capture-level"
    CAPTURE_EXISTS = "capture-exists"
    RECORDING_FAILED = "recording-failed"

    # --- Replay: what happened is not what the capture says.
    CAPTURE_HAS_GAPS = "capture-has-gaps"
    NOTHING_TO_REPLAY = "nothing-to-replay"
    REPLAY_MISMATCH = "replay-mismatch"
    REPLAY_STALLED = "replay-stalled"
    REPLAY_UNFINISHED = "replay-unfinished"

    # --- Reading other tools' recordings.
    NOT_A_RECORDING = "not-a-recording"
    RECORDING_VERSION = "recording-version"
    RECORDING_TOO_LARGE = "recording-too-large"
    TSHARK_MISSING = "tshark-missing"
    TSHARK_FAILED = "tshark-failed"

    # --- A fault of this library.
    INTERNAL_ERROR = "internal-error"


FIXES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.CONNECT_REFUSED: "start the server, or correct host and port",
        Cause.CONNECT_TIMEOUT: "check host, port and firewall; nothing answered at that address",
        Cause.DNS_FAILED: "correct the host name",
        Cause.TLS_FAILED: "check the scheme (http or https), the certificate's names and the trusted authorities (pass ssl=)",
        Cause.PROXY_FAILED: "check that the proxy runs at that URL and allows this host",
        Cause.CONNECTION_LOST: "connect again; if it happens at a fixed age, raise the read timeout of the proxy in between",
        Cause.BAD_HTTP: "check that the port speaks HTTP (and not TLS or another protocol)",
        Cause.BAD_URL: "give an http, https, ws or wss URL with a host",
        Cause.OPEN_TIMEOUT: "check the path (Node servers leave a wrong path unanswered) and the trailing slash, or raise timeouts.open",
        Cause.POST_TIMEOUT: "raise timeouts.post, or send smaller messages",
        Cause.PROBE_TIMEOUT: "a proxy swallows WebSocket frames: let it pass them, or use transports=('polling',)",
        Cause.CONNECT_UNANSWERED: "check that the server speaks Socket.IO with the same parser and that its auth middleware answers",
        Cause.PING_TIMEOUT: "the connection died silently or this process was blocked; connect again",
        Cause.ACK_TIMEOUT: "check that the server's handler acknowledges the event, or raise the timeout",
        Cause.EMPTY_RESPONSE: "check the path and what sits in front of the server; it answered 200 with nothing in it",
        Cause.HTML_RESPONSE: "correct the path: a web page answered, not Engine.IO",
        Cause.NOT_ENGINEIO: "correct the URL: something answered, but not Engine.IO",
        Cause.CHALLENGE_PAGE: "bot protection answered; it is not bypassed: use an official interface or ask the operator",
        Cause.REDIRECTED: "use the final URL, or send the session's cookies",
        Cause.WRONG_PATH: "correct the path (usually /socket.io/ or /engine.io/, with the trailing slash)",
        Cause.UNAUTHORIZED: "send the credentials that the server or gateway asks for",
        Cause.PROXY_AUTH_REQUIRED: "put the proxy's user and password into the proxy URL",
        Cause.RATE_LIMITED: "wait as long as Retry-After says",
        Cause.GATEWAY_ERROR: "the gateway answers, the server behind it does not: start it, or correct the upstream",
        Cause.RESPONSE_TOO_LARGE: "raise limits.max_body or limits.max_frame if the size is expected",
        Cause.TRANSPORT_UNKNOWN: "the server does not allow this transport: choose another with transports=",
        Cause.SESSION_UNKNOWN: "several server processes need sticky sessions (or use transports=('websocket',)); else the session had ended",
        Cause.BAD_HANDSHAKE_METHOD: "a proxy or redirect changed the method or dropped the query",
        Cause.BAD_REQUEST: "let the proxy pass the Upgrade and Connection headers (nginx: proxy_http_version 1.1)",
        Cause.FORBIDDEN: "the server's allowRequest or origin check refused: send what it asks for, or leave Origin out",
        Cause.UNSUPPORTED_VERSION: "the server speaks another Engine.IO version: allowEIO3 on the server, or a client of its generation",
        Cause.LOOKS_LIKE_EIO3: "this is a Socket.IO 1 or 2 server (Engine.IO 3): upgrade it to version 3 or later",
        Cause.WEBSOCKET_REFUSED: "let the proxy pass WebSocket upgrades, or use transports=('polling',)",
        Cause.WEBSOCKET_PROTOCOL_ERROR: "the server probably refuses this protocol version after accepting the WebSocket",
        Cause.NAMESPACE_REFUSED: "check the namespace's name and the auth payload; the transport is healthy",
        Cause.CONNECT_CLOSED: "check that the server speaks Socket.IO, and with the same parser (parser=)",
        Cause.AUTH_FAILED: "see the exception that auth raised, which is this error's cause",
        Cause.DECIDE_FAILED: "see the exception that decide raised, which is this error's cause",
        Cause.ACK_NOT_AWAITED: "answer an event that has an ack_id once, on the connection on which it came",
        Cause.DRAIN_TIMEOUT: "give more time, or see why the server does not take what waits",
        Cause.PAYLOAD_MISMATCH: "correct the model, or read the event's arguments as they are",
        Cause.SOCKETIO_V2: "this is a Socket.IO 2 server: upgrade it to version 3 or later",
        Cause.TOO_MANY_ATTACHMENTS: "raise limits.max_attachments if the number is expected",
        Cause.UNEXPECTED_BINARY: "the server may use the msgpack parser",
        Cause.UNEXPECTED_TEXT: "the server may use the default parser",
        Cause.BAD_MSGPACK: "the server may use another parser",
        Cause.NOT_OPEN: "send between Opened and Closed only",
        Cause.NAMESPACE_NOT_CONNECTED: "join the namespace and wait until it is connected; while a connection is lost, wait for the next",
        Cause.SEPARATOR_IN_TEXT: "text with U+001E cannot travel by polling: escape it (JSON does), or use transports=('websocket',)",
        Cause.PAYLOAD_TOO_LARGE: "send smaller messages, or raise maxHttpBufferSize / max_http_buffer_size on the server",
        Cause.SEND_BUFFER_FULL: "wait until the buffer has drained, or raise limits.max_buffered",
        Cause.NOT_A_CAPTURE: "recordings of other tools are converted first: engineio-lite import FILE -o OUT",
        Cause.CAPTURE_VERSION: "use the release that wrote it, or a newer one",
        Cause.CAPTURE_KIND: "ylokh-sse reads it: ylokh-sse show FILE, ylokh-sse replay FILE",
        Cause.CAPTURE_DAMAGED: "restore the file, or record it again; lines before the damage are whole",
        Cause.CAPTURE_TOO_LARGE: "pass a larger LoadLimits, or record less in one file",
        Cause.NETWORK_BLOCKED: "give the client the URL of the cassette, or leave --sio-block-network out",
        Cause.NO_CASSETTE: "record it: pytest --sio-record=once --sio-upstream=URL",
        Cause.NO_UPSTREAM: "say which server to record: pytest --sio-upstream=URL",
        Cause.CAPTURE_HAS_GAPS: "record it again, or pass allow_gaps=True if what is missing does not matter",
        Cause.NOTHING_TO_REPLAY: "give a capture that holds Socket.IO packets; of a bare Engine.IO session only an offline replay is possible",
        Cause.REPLAY_MISMATCH: "record the capture again if the change is meant, or name what may differ in ignore_paths",
        Cause.REPLAY_STALLED: "see which packet is awaited; name events that race with others in relax, or raise idle_limit",
        Cause.REPLAY_UNFINISHED: "record the capture again if the change is meant, or pass allow_unplayed=True",
        Cause.CAPTURE_LEVEL: "record the wire: record='run.eio.jsonl', or Recording(path, level='wire')",
        Cause.CAPTURE_EXISTS: "name another file, or overwrite it expressly (in Python: Recording(path, overwrite=True))",
        Cause.NOT_A_RECORDING: "give a HAR, a mitmproxy flow file, a pcap or pcapng, tshark's JSON, or a log of the DevTools protocol",
        Cause.RECORDING_VERSION: "let a current mitmproxy rewrite the file: mitmdump -nr OLD -w NEW",
        Cause.RECORDING_TOO_LARGE: "cut the recording down to the conversation in question",
        Cause.TSHARK_MISSING: "install tshark (part of Wireshark), name it with --tshark, or give its JSON instead of the packets",
        Cause.INTERNAL_ERROR: "please report it, with the traceback",
        Cause.RECEIVE_BUFFER_FULL: "iterate over the events while calls are pending, or raise limits.max_queued_events",
    }
)
"""What usually mends a cause: one clause each, without the full stop. A cause that is missing has no general remedy."""
