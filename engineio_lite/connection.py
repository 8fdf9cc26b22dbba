"""The door: everything that happens to an Engine.IO session comes in here, everything to be done about it goes out.

`EngineIOConnection.process(input, now)` takes one input and returns an ordered list of commands (for the driver) and events (for the application).
There is nothing else to drain and nothing else to call; the same inputs at the same instants always give the same outputs. The module knows the
order of things (which packet may follow which, over which channel) and nothing of bytes on the wire, which `packet`, `payload` and `handshake`
know, nor of sockets.

Which state follows which is decided by the tables in `state.py` alone. What is done on the way is here, arranged in five parts: the door itself; the
application's wishes; the session's packets; long-polling; the upgrade.

Long-polling is described rather than driven: after every input `_settle` looks at what is in flight and at what waits, and starts the one GET and
the one POST that ought to be running. So "at most one GET and one POST" holds by construction, and the pause of an upgrade is nothing but
`_settle` not starting any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, assert_never

from engineio_lite.causes import Cause
from engineio_lite.commands import CloseTransport, Command, OpenWebSocket, Poll, Post, SendFrame
from engineio_lite.events import Closed, Event, MessageReceived, Opened, PacketIgnored, PollingStuck, Upgraded, UpgradeFailed
from engineio_lite.exceptions import DecodeError, EngineIOError, HandshakeError, LocalProtocolError, PingTimeout, elide
from engineio_lite.failures import illegal_packet, network_error, timed_out, websocket_closed
from engineio_lite.handshake import Handshake, build_url, explain_response, normalize_url, redact_url
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
from engineio_lite.limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from engineio_lite.outbox import CLOSE, Outbox, Priced, check_messages
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet
from engineio_lite.payload import decode_payload, encode_payload, packet_cost
from engineio_lite.state import SESSION, UPGRADE, CloseReason, SessionInput, SessionState, Transport, UpgradeInput, UpgradeState
from engineio_lite.timers import Timer, Timers

Output: TypeAlias = Command | Event
"""One thing that comes out of the door."""

QUICK_POLL = 0.05
"""A poll answered with nothing within so many seconds was not held open by the server at all."""

FIRST_LEAD = 0.05
"""Of the time that opening took, what the first POST gets as a lead over the first GET."""

MAX_FIRST_LEAD = 0.005
"""And at most so many seconds of it: a server that does not know what to do with a CONNECT by then is not waiting for its bytes."""

STUCK_POLLS = 3
"""So many of them in a row and the server is believed to be stuck: one or two come from queued noops."""

MAX_REMEMBERED = 256
"""Characters or bytes kept of each of the last packets that `Closed` shows."""

_RECEIVE = {
    PacketType.OPEN: SessionInput.RECEIVE_OPEN,
    PacketType.CLOSE: SessionInput.RECEIVE_CLOSE,
    PacketType.PING: SessionInput.RECEIVE_PING,
    PacketType.PONG: SessionInput.RECEIVE_PONG,
    PacketType.MESSAGE: SessionInput.RECEIVE_MESSAGE,
    PacketType.UPGRADE: SessionInput.RECEIVE_UPGRADE,
    PacketType.NOOP: SessionInput.RECEIVE_NOOP,
}

_IN_UPGRADE = frozenset({UpgradeState.CONNECTING, UpgradeState.PROBING, UpgradeState.PAUSING})
_MAY_UPGRADE = _IN_UPGRADE | {UpgradeState.NONE}
_UPGRADE_SOCKET_OPEN = frozenset({UpgradeState.PROBING, UpgradeState.PAUSING})

_NOOP_FRAME = "6"
_PROBE = Packet(PacketType.PONG, "probe")


class EngineIOConnection:
    """One Engine.IO session, seen from the client; used once, from `Connect` to `Closed`.

    `url` is an http, https, ws or wss URL; an empty path means ``/engine.io/``, and user query parameters go with every request. `transports` is
    ``("polling", "websocket")`` (open by polling, then upgrade), ``("polling",)`` or ``("websocket",)``. `token` makes the cache-busting ``t``
    parameter unique between sessions; a driver passes something random, a test need not.

    Raises `LocalProtocolError` for an unusable URL or transport.
    """

    def __init__(
        self,
        url: str,
        *,
        transports: Sequence[str] = (Transport.POLLING, Transport.WEBSOCKET),
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        token: str = "",
        default_path: str = "/engine.io/",
    ) -> None:
        self.url = normalize_url(url, default_path=default_path)
        self._transports = _parse_transports(transports)
        self._limits = limits
        self._timeouts = timeouts
        self._token = token

        self.state = SessionState.IDLE
        self.upgrade_state = UpgradeState.NONE
        self.transport: Transport | None = None
        self.handshake: Handshake | None = None

        self._now = 0.0
        self._out: list[Output] = []
        self._timers = Timers()
        self._outbox = Outbox(limits)
        self._last_received: deque[Packet | str | bytes] = deque(maxlen=limits.last_packets)
        self._last_sent: deque[Packet | str | bytes] = deque(maxlen=limits.last_packets)
        self._alive_since = 0.0
        self._allowed_silence = 0.0
        self._started = 0.0

        self.accepted = 0
        """How many messages were taken to be sent, in all."""
        self._never_left = 0

        self._requests = 0
        self._get: int | None = None
        self._post: int | None = None
        self._posted_messages = 0
        self._polled_at = 0.0
        self._quick_polls = 0
        self._poll_held = False

        self._sockets = 0
        self._socket = 0
        self._upgrade_ready = False
        self._repaired = False

    # ------------------------------------------------------------------------------------------------------------------------------ the door

    def process(self, input: Input, now: float) -> list[Output]:
        """Take one input at the instant `now` (monotonic seconds) and return what follows from it, in order.

        Raises `LocalProtocolError`, and nothing else, if the application asked for something illegal; then nothing has changed. Whatever the peer
        does ends up in the outputs: good packets first, then `Closed` with the error.
        """
        self._now = now
        out: list[Output] = []
        self._out = out
        self._HANDLERS[type(input)](self, input)
        if self.transport is Transport.POLLING:
            self._settle()
        return out

    @property
    def deadline(self) -> float:
        """The instant at which `TimePassed` must be processed; infinity if there is none."""
        return self._timers.deadline

    @property
    def buffered(self) -> int:
        """What waits to be sent, in bytes on the polling wire; 0 once the session is on a WebSocket."""
        return self._outbox.size

    @property
    def buffered_packets(self) -> int:
        """What waits to be sent, in packets."""
        return len(self._outbox)

    @property
    def confirmed(self) -> int:
        """How many of the `accepted` messages have left: written as frames, or in a POST that the server answered. The rest waits, or was lost."""
        return self.accepted - self._outbox.messages - self._posted_messages - self._never_left

    @property
    def writable(self) -> bool:
        """Whether a message that is sent now leaves now, instead of waiting for a POST or for the upgrade."""
        if self.state is not SessionState.OPEN or self.upgrade_state is UpgradeState.PAUSING:
            return False
        return self.transport is Transport.WEBSOCKET or (self._post is None and not len(self._outbox))

    @property
    def may_upgrade(self) -> bool:
        """Whether the session polls and may still move to a WebSocket: the server offers it, we want it, and it has not failed."""
        return self.transport is Transport.POLLING and self.upgrade_state in _MAY_UPGRADE and self._upgrade_wanted()

    def _step_session(self, input: SessionInput) -> bool:
        following = SESSION.get((self.state, input))
        if following is not None:
            self.state = following
        return following is not None

    def _step_upgrade(self, input: UpgradeInput) -> bool:
        following = UPGRADE.get((self.upgrade_state, input))
        if following is not None:
            self.upgrade_state = following
        return following is not None

    # ---------------------------------------------------------------------------------------------------------------- the application's wishes

    def _connect(self, _: Connect) -> None:
        if not self._step_session(SessionInput.CONNECT):
            raise LocalProtocolError(f"expected a new connection, this one is {self.state}; make another", cause=Cause.ALREADY_CONNECTED)
        self._started = self._now
        self._timers.arm(Timer.OPEN, self._now + self._timeouts.open)
        if self._transports[0] is Transport.POLLING:
            self._start_poll()
        else:
            self._open_socket()

    def _send(self, wish: SendMessages) -> None:
        if (self.state, SessionInput.SEND_MESSAGE) not in SESSION:
            raise LocalProtocolError(f"messages can be sent while the session is open, it is {self.state}", cause=Cause.NOT_OPEN)
        packets = self._checked(wish.messages)
        if self.transport is Transport.POLLING:
            self._outbox.check_room(packets)
        self.accepted += len(packets)
        if self._now >= self._timers.at(Timer.LIVENESS):
            # A suspended machine wakes up here: the server has long given up, and saying so beats writing into a dead connection.
            self._never_left = len(packets)
            self._fail_silent(unsent=len(packets))
        elif self.transport is Transport.WEBSOCKET:
            for packet, _ in packets:
                self._send_frame(encode_packet(packet))
        else:
            self._outbox.extend(packets)
            if Timer.FIRST_WORD in self._timers:
                self._timers.disarm(Timer.FIRST_WORD)
                if (lead := self._first_post_lead()) > 0:
                    self._timers.arm(Timer.BACKOFF, self._now + lead)
                if self._upgrade_wanted():
                    self._timers.arm(Timer.UPGRADE_START, self._now + self._timeouts.upgrade_delay)

    def _first_post_lead(self) -> float:
        """How long the first GET waits behind the first POST, in seconds: a twentieth of what opening took, and never much.

        They travel on two connections, and a Node server that sees the GET first answers it with the first packet alone; what follows, an event sent
        on connecting, then costs a whole round trip more. Opening took two of them, so this costs a tenth of one.
        """
        return min(MAX_FIRST_LEAD, FIRST_LEAD * (self._alive_since - self._started))

    def _checked(self, messages: Sequence[str | bytes]) -> list[Priced]:
        limit = self.handshake.max_payload if self.handshake is not None else None
        return check_messages(messages, live=self.transport is Transport.WEBSOCKET, max_payload=limit)

    def _close(self, wish: Close) -> None:
        if self.state is not SessionState.OPEN:
            if self.state is not SessionState.CLOSED and self.state is not SessionState.CLOSING:
                self._end(SessionInput.CLOSE, CloseReason.CLIENT_CLOSE)
            return
        packets = self._checked(wish.farewell)
        self.accepted += len(packets)
        self._step_session(SessionInput.CLOSE)
        self._abandon_upgrade()
        if self.transport is Transport.WEBSOCKET:
            for packet, _ in (*packets, CLOSE):
                self._send_frame(encode_packet(packet))
            self._end(SessionInput.DRAINED, CloseReason.CLIENT_CLOSE)
        else:
            self._outbox.extend((*packets, CLOSE))
            self._timers.disarm(Timer.FIRST_WORD)
            self._timers.arm(Timer.CLOSE, self._now + self._timeouts.close)

    def _fail_above(self, wish: Fail) -> None:
        if (self.state, SessionInput.FAIL) not in SESSION:
            raise LocalProtocolError(f"there is no session to fail, it is {self.state}", cause=Cause.NOT_OPEN)
        self._fail(wish.error, CloseReason.PARSE_ERROR)

    # ------------------------------------------------------------------------------------------------------------------- the session's packets

    def _receive(self, packet: Packet) -> None:
        if (self.state, _RECEIVE[packet.type]) not in SESSION:
            self._fail(illegal_packet(packet, self.state, self.url), CloseReason.PARSE_ERROR)
            return
        if self.state is SessionState.CLOSED:
            return
        self._remember(self._last_received, packet)
        match packet.type:
            case PacketType.MESSAGE:
                self._out.append(MessageReceived(packet.data))
            case PacketType.PING:
                self._receive_ping()
            case PacketType.OPEN:
                self._receive_open(str(packet.data))
            case PacketType.CLOSE:
                self._receive_close()
            case PacketType.NOOP:
                pass  # It carries no meaning; only polling looks at it, to know whether an answer carried anything.
            case PacketType.PONG | PacketType.UPGRADE:
                self._out.append(PacketIgnored(packet, f"a server does not send {packet.type} on a session"))
            case _:
                assert_never(packet.type)

    def _receive_open(self, data: str) -> None:
        try:
            handshake = Handshake.parse(data)
        except HandshakeError as error:
            status = 200 if self._transports[0] is Transport.POLLING else None
            self._fail(error.locate(stage="handshake", url=redact_url(self.url), status=status), CloseReason.PARSE_ERROR)
            return
        self._step_session(SessionInput.RECEIVE_OPEN)
        self.handshake = handshake
        self._allowed_silence = handshake.ping_interval + handshake.ping_timeout
        self.transport = self._transports[0]
        self._timers.disarm(Timer.OPEN)
        self._rearm_liveness()
        if self.transport is Transport.POLLING:
            # The application has the first word, so that its first POST leaves before the GET that will bring the answer: that saves a round trip,
            # because a server answers a waiting GET with the first packet alone. The driver comes back at once, by the deadline.
            self._timers.arm(Timer.FIRST_WORD, self._now)
        self._out.append(Opened(handshake, self.transport))

    def _receive_ping(self) -> None:
        """Answer at once, with an empty pong whatever the ping carried, and start the count again; nothing else than a ping restarts it."""
        self._rearm_liveness()
        if self.transport is Transport.WEBSOCKET:
            self._send_frame("3")
        else:
            self._outbox.add_pong()

    def _rearm_liveness(self) -> None:
        self._alive_since = self._now
        self._timers.arm(Timer.LIVENESS, self._now + self._allowed_silence)

    def _receive_close(self) -> None:
        if self.state is SessionState.OPENING:
            error = HandshakeError(
                "expected the open packet, the server sent close", cause=Cause.SERVER_CLOSED, stage="handshake", url=redact_url(self.url)
            )
            self._end(SessionInput.RECEIVE_CLOSE, CloseReason.SERVER_CLOSE, error)
        elif self.state is SessionState.CLOSING:
            self._end(SessionInput.RECEIVE_CLOSE, CloseReason.CLIENT_CLOSE)
        else:
            self._end(SessionInput.RECEIVE_CLOSE, CloseReason.SERVER_CLOSE)

    # ------------------------------------------------------------------------------------------------------------------------------- the end

    def _fail(self, error: EngineIOError, reason: CloseReason = CloseReason.TRANSPORT_ERROR) -> None:
        if self.state is SessionState.CLOSED:
            return
        if reason is CloseReason.PARSE_ERROR and self.transport is Transport.WEBSOCKET:
            # Say goodbye in the protocol's own word, so that a python-engineio server ends its session now and not at the next ping.
            self._send_frame(encode_packet(CLOSE[0]))
        self._end(SessionInput.FAIL, reason, error)

    def _fail_silent(self, unsent: int = 0) -> None:
        error = PingTimeout(self._now - self._alive_since, self._allowed_silence)
        self._end(SessionInput.FAIL, CloseReason.PING_TIMEOUT, error, unsent=unsent)

    def _end(self, input: SessionInput, reason: CloseReason, error: EngineIOError | None = None, *, unsent: int = 0) -> None:
        """Close every channel, forget every timer, and tell the application; `input` is what the session table knows this end by."""
        if self.state is SessionState.CLOSED or not self._step_session(input):
            return
        self._abandon_upgrade()
        if self._get is not None or self._post is not None:
            self._get = self._post = None
            self._out.append(CloseTransport(Transport.POLLING))
        if self._socket:
            self._drop_socket()
        self._timers.clear()
        self._out.append(
            Closed(
                reason,
                error,
                unsent=unsent + self._outbox.messages + self._posted_messages,
                silence=self._now - self._alive_since if self.handshake is not None else None,
                last_received=tuple(map(_as_packet, self._last_received)),
                last_sent=tuple(map(_as_packet, self._last_sent)),
            )
        )
        self._never_left += self._outbox.messages
        self._outbox.take_all()

    def _time_passed(self, _: TimePassed) -> None:
        for timer in self._timers.due(self._now):
            if timer in self._timers:  # an earlier one may have ended the session
                self._timers.disarm(timer)
                self._expire(timer)

    def _expire(self, timer: Timer) -> None:
        match timer:
            case Timer.OPEN:
                self._fail(timed_out("the server's open packet", self._timeouts.open, Cause.OPEN_TIMEOUT, "handshake", self.url))
            case Timer.LIVENESS:
                self._fail_silent()
            case Timer.POST:
                self._fail(timed_out("an answer to a POST", self._timeouts.post, Cause.POST_TIMEOUT, "post", self.url))
            case Timer.CLOSE:
                self._end(SessionInput.DRAINED, CloseReason.CLIENT_CLOSE)
            case Timer.UPGRADE:
                self._upgrade_failed(UpgradeInput.DEADLINE, timed_out("the upgrade", self._upgrade_time(), Cause.PROBE_TIMEOUT, "upgrade", self.url))
            case Timer.FIRST_WORD | Timer.UPGRADE_START:
                self._upgrade_ready = True
            case Timer.BACKOFF:
                pass  # Being disarmed is all: `_settle` polls again.
            case _:
                assert_never(timer)

    def _remember(self, packets: deque[Packet | str | bytes], packet: Packet) -> None:
        packets.append(packet if len(packet.data) <= MAX_REMEMBERED else Packet(packet.type, packet.data[:MAX_REMEMBERED]))

    # --------------------------------------------------------------------------------------------------------------------------- long-polling

    def _settle(self) -> None:
        """Start the one GET and the one POST that ought to be running now, or take the next step of an upgrade or a leave that waited for them."""
        if self.state is not SessionState.OPEN and self.state is not SessionState.CLOSING:
            return
        if self.upgrade_state is UpgradeState.PAUSING:
            if self._get is None and self._post is None:
                self._finish_upgrade()
            return
        if self._post is None:
            if len(self._outbox):
                self._start_post()
            elif self.state is SessionState.CLOSING:
                self._end(SessionInput.DRAINED, CloseReason.CLIENT_CLOSE)
                return
        if self.state is SessionState.OPEN:
            if self._get is None and not self._poll_held and Timer.FIRST_WORD not in self._timers and Timer.BACKOFF not in self._timers:
                self._start_poll()
            if self._upgrade_ready and self.upgrade_state is UpgradeState.NONE and self._upgrade_wanted():
                self._start_upgrade()

    def _next_request(self) -> tuple[int, str]:
        self._requests += 1
        sid = self.handshake.sid if self.handshake is not None else None
        return self._requests, build_url(self.url, Transport.POLLING, sid=sid, token=f"{self._token}{self._requests}")

    def _start_poll(self) -> None:
        self._get, url = self._next_request()
        self._polled_at = self._now
        self._out.append(Poll(self._get, url))

    def _start_post(self) -> None:
        waiting = self._outbox.peek(self._limits.max_packets_per_post)
        limit = self.handshake.max_payload if self.handshake is not None else None
        # A packet that fills more than a bundle may have goes alone. A server that announces 0 still gets its pongs: the smallest packet is one byte.
        most = max(self._limits.max_post, packet_cost(waiting[0]))
        body, rest = encode_payload(waiting, max_payload=most if limit is None else min(most, max(limit, 1)), max_packets=len(waiting))
        posted = waiting[: len(waiting) - len(rest)]
        self._outbox.drop(len(posted))
        self._posted_messages = sum(packet.type is PacketType.MESSAGE for packet in posted)
        for packet in posted[-self._limits.last_packets :]:
            self._remember(self._last_sent, packet)
        self._post, url = self._next_request()
        self._timers.arm(Timer.POST, self._now + self._timeouts.post)
        self._out.append(Post(self._post, url, body))

    def _response(self, response: ResponseReceived) -> None:
        if response.request == self._post:
            self._post_answered(response)
        elif response.request == self._get:
            self._get = None
            if self.state is SessionState.OPENING:
                self._handshake_answered(response)
            else:
                self._poll_answered(response)

    def _post_answered(self, response: ResponseReceived) -> None:
        # The status alone decides: Node says "ok", Python "OK", proxies say what they like.
        if response.status == 200:
            self._post = None
            self._posted_messages = 0
            self._timers.disarm(Timer.POST)
        else:
            self._request_failed("post", self._explain("post", response))

    def _handshake_answered(self, response: ResponseReceived) -> None:
        packets, error = _decode_body(response.body)
        if response.status != 200 or not packets or packets[0].type not in (PacketType.OPEN, PacketType.CLOSE):
            self._fail(self._explain("handshake", response), CloseReason.TRANSPORT_ERROR)
        else:
            self._receive_packets(packets, error)

    def _poll_answered(self, response: ResponseReceived) -> None:
        if response.status != 200:
            self._request_failed("poll", self._explain("poll", response))
            return
        packets, error = _decode_body(response.body)
        self._receive_packets(packets, error)
        if self.state is SessionState.OPEN:
            self._pace_polls(packets)
            if Timer.UPGRADE_START in self._timers:
                self._timers.disarm(Timer.UPGRADE_START)
                self._upgrade_ready = True

    def _receive_packets(self, packets: Sequence[Packet], error: DecodeError | None) -> None:
        for packet in packets:
            self._receive(packet)
        if error is not None:
            self._fail(error.locate(stage="poll", url=redact_url(self.url), status=200), CloseReason.PARSE_ERROR)

    def _pace_polls(self, packets: Sequence[Packet]) -> None:
        """Do not poll in circles: hold the next GET, or slow it down, when the answers carry nothing."""
        if any(packet.type is not PacketType.NOOP for packet in packets):
            self._quick_polls = 0
            return
        if self.upgrade_state in _IN_UPGRADE and packets:
            # A Python server answers every new GET with a noop for as long as the upgrade's socket is open.
            self._poll_held = True
            return
        self._quick_polls = self._quick_polls + 1 if self._now - self._polled_at <= QUICK_POLL else 0
        if not packets or self._quick_polls >= STUCK_POLLS:
            self._timers.arm(Timer.BACKOFF, self._now + self._timeouts.poll_backoff)
        if self._quick_polls == STUCK_POLLS and self.upgrade_state is UpgradeState.FAILED and not self._repaired:
            self._start_repair()

    def _request_lost(self, lost: RequestFailed) -> None:
        if lost.request == self._post:
            self._request_failed("post", network_error(lost.cause, lost.detail, "post", self.url))
        elif lost.request == self._get:
            self._get = None
            stage = "handshake" if self.state is SessionState.OPENING else "poll"
            self._request_failed(stage, network_error(lost.cause, lost.detail, stage, self.url))

    def _request_failed(self, stage: str, error: EngineIOError) -> None:
        if self.state is SessionState.CLOSING:
            # The server may well refuse the GET of a session that we are leaving; a POST that fails cannot be repeated, so the rest stays unsent.
            if stage == "post":
                self._post = None
                self._end(SessionInput.DRAINED, CloseReason.CLIENT_CLOSE, error)
        else:
            if stage == "post":
                self._post = None
            self._fail(error)

    def _explain(self, stage: str, response: ResponseReceived | WebSocketRefused) -> EngineIOError:
        # With the sid, which the URL of an error never shows: so the explanation knows what to hide when a server repeats it.
        url = build_url(self.url, Transport.POLLING, sid=self.handshake.sid) if self.handshake is not None else self.url
        return explain_response(stage, url, response.status, response.headers, response.body)

    # ------------------------------------------------------------------------------------------------------------ the WebSocket and the upgrade

    def _open_socket(self) -> None:
        self._sockets += 1
        self._socket = self._sockets
        sid = self.handshake.sid if self.handshake is not None else None
        self._out.append(OpenWebSocket(self._socket, build_url(self.url, Transport.WEBSOCKET, sid=sid)))

    def _drop_socket(self) -> None:
        self._out.append(CloseTransport(Transport.WEBSOCKET, self._socket))
        self._socket = 0

    def _send_frame(self, data: str | bytes) -> None:
        self._last_sent.append(data if len(data) <= MAX_REMEMBERED else data[:MAX_REMEMBERED])
        self._out.append(SendFrame(self._socket, data))

    def _frame(self, frame: FrameReceived) -> None:
        if frame.socket != self._socket:
            return  # a socket that was given up
        data = frame.data
        if self.transport is Transport.WEBSOCKET and type(data) is str and data[:1] == "4":
            # The one frame that comes in floods: a message on the live socket, for which both tables say "stay". The rest takes the long way.
            self._last_received.append(data if len(data) <= MAX_REMEMBERED else data[:MAX_REMEMBERED])
            self._out.append(MessageReceived(data[1:]))
            return
        try:
            packet = decode_packet(data)
        except DecodeError as error:
            self._undecodable_frame(error)
            return
        if self.upgrade_state in _UPGRADE_SOCKET_OPEN:
            self._receive_on_probe(packet)
        elif self.transport is not Transport.POLLING:
            self._receive(packet)

    def _undecodable_frame(self, error: DecodeError) -> None:
        url = redact_url(self.url)
        if self.upgrade_state in _UPGRADE_SOCKET_OPEN:
            self._upgrade_failed(UpgradeInput.RECEIVE_OTHER, error.locate(stage="upgrade", url=url))
        elif self.state is SessionState.OPENING:
            message = f"expected the open packet as the first frame, got {error.excerpt}"
            self._fail(HandshakeError(message, cause=Cause.NOT_ENGINEIO, stage="websocket", url=url), CloseReason.PARSE_ERROR)
        else:
            self._fail(error.locate(stage="websocket", url=url), CloseReason.PARSE_ERROR)

    def _socket_opened(self, opened: WebSocketOpened) -> None:
        if opened.socket != self._socket or self.upgrade_state is UpgradeState.NONE:
            return  # given up, or the session's own socket: the server speaks first there
        repairing = self.upgrade_state is UpgradeState.REPAIRING
        if not self._step_upgrade(UpgradeInput.SOCKET_OPENED):
            return  # a driver that says it twice
        if repairing:
            self._timers.disarm(Timer.UPGRADE)
            self._timers.disarm(Timer.BACKOFF)
            self._quick_polls = 0
            self._send_frame(_NOOP_FRAME)
            self._drop_socket()
        else:
            # At once: a Python server counts the session as upgrading from here on and delivers nothing by polling.
            self._send_frame("2probe")

    def _socket_refused(self, refused: WebSocketRefused) -> None:
        self._socket_gone(refused.socket, self._explain("upgrade" if self.upgrade_state is not UpgradeState.NONE else "websocket", refused))

    def _socket_failed(self, failed: WebSocketFailed) -> None:
        stage = "upgrade" if self.upgrade_state not in (UpgradeState.NONE, UpgradeState.DONE) else "websocket"
        self._socket_gone(failed.socket, network_error(failed.cause, failed.detail, stage, self.url))

    def _socket_closed(self, closed: WebSocketClosed) -> None:
        if self.upgrade_state in _IN_UPGRADE or self.upgrade_state is UpgradeState.REPAIRING:
            stage = "upgrade"
        else:
            stage = "websocket" if self.state is SessionState.OPENING else "session"
        self._socket_gone(closed.socket, websocket_closed(closed.code, closed.reason, stage, self.url), CloseReason.TRANSPORT_CLOSE)

    def _socket_gone(self, socket: int, error: EngineIOError, reason: CloseReason = CloseReason.TRANSPORT_ERROR) -> None:
        if socket != self._socket or not socket:
            return
        self._socket = 0
        if self.upgrade_state in _IN_UPGRADE or self.upgrade_state is UpgradeState.REPAIRING:
            self._upgrade_failed(UpgradeInput.SOCKET_LOST, error)
        else:
            self._end(SessionInput.FAIL, reason, error)

    def _upgrade_wanted(self) -> bool:
        offered = self.handshake is not None and Transport.WEBSOCKET in self.handshake.upgrades
        return offered and Transport.WEBSOCKET in self._transports

    def _upgrade_time(self) -> float:
        announced = self.handshake.ping_timeout if self.handshake is not None else 0.0
        return min(self._timeouts.upgrade, announced) if announced else self._timeouts.upgrade

    def _start_upgrade(self) -> None:
        self._step_upgrade(UpgradeInput.START)
        self._timers.arm(Timer.UPGRADE, self._now + self._upgrade_time())
        self._open_socket()

    def _receive_on_probe(self, packet: Packet) -> None:
        self._remember(self._last_received, packet)
        if packet == _PROBE and self.upgrade_state is UpgradeState.PROBING:
            self._step_upgrade(UpgradeInput.RECEIVE_PROBE)  # `_settle` starts nothing from here on, and goes on when all is quiet
        elif packet.type is PacketType.NOOP:
            self._step_upgrade(UpgradeInput.RECEIVE_NOOP)
        else:
            message = f"expected 3probe on the upgrade's WebSocket, got {packet.type} {elide(packet.data)}"
            error = HandshakeError(message, cause=Cause.UNEXPECTED_PROBE_ANSWER, stage="upgrade", url=redact_url(self.url))
            self._upgrade_failed(UpgradeInput.RECEIVE_OTHER, error)

    def _finish_upgrade(self) -> None:
        """Send `5` and then what waited: every packet of the polls has been delivered, every POST has its answer."""
        self._step_upgrade(UpgradeInput.DRAINED)
        self._timers.disarm(Timer.UPGRADE)
        self._timers.disarm(Timer.BACKOFF)
        self.transport = Transport.WEBSOCKET
        self._send_frame("5")
        for packet in self._outbox.take_all():
            self._send_frame(encode_packet(packet))
        self._out.append(Upgraded())

    def _upgrade_failed(self, input: UpgradeInput, error: EngineIOError) -> None:
        """Go on by polling as if nothing had happened: until `5` the server has not moved either."""
        repairing = self.upgrade_state is UpgradeState.REPAIRING
        socket_open = self.upgrade_state in _UPGRADE_SOCKET_OPEN
        self._step_upgrade(input)
        self._give_up_socket(socket_open)
        if not repairing:
            self._out.append(UpgradeFailed(error))

    def _abandon_upgrade(self) -> None:
        """The session is leaving: the upgrade, if one is under way, goes first."""
        if self.upgrade_state in _IN_UPGRADE or self.upgrade_state is UpgradeState.REPAIRING:
            socket_open = self.upgrade_state in _UPGRADE_SOCKET_OPEN
            self._step_upgrade(UpgradeInput.ABANDON)
            self._give_up_socket(socket_open)

    def _give_up_socket(self, socket_open: bool) -> None:
        self._timers.disarm(Timer.UPGRADE)
        self._poll_held = False
        self._quick_polls = 0
        if self._socket:
            if socket_open:
                # Any frame but 2probe or 5 makes both servers forget the upgrade; silence leaves a Python server waiting for ever.
                self._send_frame(_NOOP_FRAME)
            self._drop_socket()

    def _start_repair(self) -> None:
        self._repaired = True
        self._step_upgrade(UpgradeInput.STUCK)
        self._timers.arm(Timer.UPGRADE, self._now + self._upgrade_time())
        self._out.append(PollingStuck(self._quick_polls))
        self._open_socket()

    _HANDLERS: ClassVar[dict[type[Input], Callable[[EngineIOConnection, Any], None]]] = {
        FrameReceived: _frame,
        SendMessages: _send,
        ResponseReceived: _response,
        RequestFailed: _request_lost,
        WebSocketOpened: _socket_opened,
        WebSocketRefused: _socket_refused,
        WebSocketFailed: _socket_failed,
        WebSocketClosed: _socket_closed,
        TimePassed: _time_passed,
        Connect: _connect,
        Close: _close,
        Fail: _fail_above,
    }


def _parse_transports(transports: Sequence[str]) -> tuple[Transport, ...]:
    allowed = {(Transport.POLLING,), (Transport.WEBSOCKET,), (Transport.POLLING, Transport.WEBSOCKET)}
    given = tuple(transports) if not isinstance(transports, str) else (transports,)
    for choice in allowed:
        if given == choice:
            return choice
    raise LocalProtocolError(
        f"transports must be ('polling', 'websocket'), ('polling',) or ('websocket',), not {elide(repr(given))}", cause=Cause.BAD_OPTION
    )


def _decode_body(body: bytes) -> tuple[Sequence[Packet], DecodeError | None]:
    try:
        return decode_payload(body), None
    except DecodeError as error:
        return error.packets, error


def _as_packet(remembered: Packet | str | bytes) -> Packet:
    return remembered if isinstance(remembered, Packet) else decode_packet(remembered)
