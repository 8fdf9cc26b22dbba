"""The other side of the door: one Engine.IO session as a server has it, without I/O.

`ServerSession.process(input, now)` takes one thing that happened and returns, in order, what the driver must do about it (answer a request, send a
frame) and what the application is told (a message, the end). It is the counterpart of `EngineIOConnection` and speaks its vocabulary where both mean
the same; it knows as little of sockets and clocks. Everything a client might notice is done as the Node server does it: no client should be able to
tell the two apart, not by its mistakes either.

**What a session consists of.** At most one GET waits, at most one POST is arriving, at most one socket carries the session and at most one other
wants to. What is to be sent stands in one queue, out of which each packet is taken once: into the answer of a GET, or onto the socket. While a GET
waits the queue is empty, since whatever is put in leaves at once; that, and that nothing goes to a socket before its ``5``, is the whole argument for
order.

**The upgrade.** A second channel, the candidate, is a socket that may say ``2probe`` and gets ``3probe``, as often as it likes, and nothing else;
polling goes on meanwhile. From the first probe on a GET that waits is ended with ``6`` again and again, because the client wants no GET in flight
when it says ``5``. A ``5`` makes the candidate the session's socket: a GET that waits nevertheless gets ``1``, a POST still arriving is cut off, and
the queue follows. Anything else, silence for too long included, costs the candidate its socket and nobody anything else.

**The end.** A client leaves with a POST of ``1`` (a GET that waits gets ``6``) or by closing its socket; a ``1`` on a socket is ignored, as Node
does. It is thrown out for a packet that is none, for a ping (servers ping, clients do not), for a second GET or a second POST at once, for bytes
where text is due, and for a GET that it abandons: whoever waits gets ``1``, whoever is still sending is cut off. The server leaves by a Close frame,
or by ``1`` to the GET that waits; if none does, the queue is handed out first and the GET after that gets ``6`` and ``1``.

Four departures. The first ``6`` of an upgrade comes with the probe and not up to a tenth of a second later, as python-engineio has it. An answer
holds no more packets than a Python client can read. Pings are sent only if they are asked for: a client counts the seconds since the last one, so who
stays longer than the handshake's interval and timeout together needs them, and everything shorter is quieter without. And the packets of one body are
all taken in before the application can do anything about the first: what it says to a client that leaves, or errs, later in the same body is not
sent.

Reference: engine.io-protocol version 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final

from engineio_lite.causes import Cause
from engineio_lite.commands import SendFrame
from engineio_lite.events import MessageReceived, Upgraded
from engineio_lite.exceptions import DecodeError, LocalProtocolError, elide
from engineio_lite.inputs import Close, FrameReceived, SendMessages, TimePassed, WebSocketClosed, WebSocketFailed, WebSocketOpened
from engineio_lite.limits import Limits
from engineio_lite.outbox import Outbox, check_messages
from engineio_lite.packet import Packet, PacketType, decode_packet, encode_packet
from engineio_lite.payload import MAX_PACKETS, SEPARATOR, decode_payload, encode_payload
from engineio_lite.replay.admission import BAD_REQUEST, HTML_TYPE, JSON_TYPE, UNKNOWN_SID
from engineio_lite.replay.happenings import (
    Abort,
    Answer,
    CloseSocket,
    CutRequest,
    GetArrived,
    Input,
    Output,
    PostArrived,
    PostBegan,
    RequestAborted,
    SessionOver,
)
from engineio_lite.replay.offer import DEFAULT_OFFER, Offer
from engineio_lite.state import CloseReason, Transport

NUDGE: Final = 0.1
"""Seconds between two attempts to end the GET that an upgrading client may be waiting for; Node's ``check`` interval."""

UPGRADE_LIMIT: Final = 10.0
"""Seconds from the opening of the upgrade's WebSocket to its ``5``; Node's ``upgradeTimeout``."""

CLOSE_LIMIT: Final = 30.0
"""Seconds for which a server that leaves waits for the GET that will take its ``1``; Node's ``closeTimeout``."""

SERVER_LIMITS: Final = Limits(max_buffered=256 * 1024 * 1024, max_buffered_packets=1_000_000)
"""What may wait for a client's next GET. More than a client's own bounds: a replay hands out at once what was recorded over hours."""

TEXT_TYPE: Final = "text/plain; charset=UTF-8"


class ServerState(StrEnum):
    """Where a server's session stands. It is closing while it waits for the GET that takes its last words."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class _Timer(StrEnum):
    """What a deadline is for. Timers due at the same call are served in this order."""

    PONG = "pong"
    CLOSE = "close"
    UPGRADE = "upgrade"
    NUDGE = "nudge"
    PING = "ping"


_PING: Final = Packet(PacketType.PING)
_PROBE: Final = "2probe"
_PROBE_ANSWER: Final = "3probe"
_UPGRADE: Final = "5"
_NOOP: Final = b"6"
_CLOSE: Final = b"1"
_NOOP_AND_CLOSE: Final = b"6" + SEPARATOR.encode() + b"1"
_OCTETS: Final = "application/octet-stream"


class ServerSession:
    """One Engine.IO session, seen from the server; used once, until `SessionOver`.

    `sid` is what the client will call it. On `transport` polling it opens with its first `GetArrived`, on a WebSocket with `WebSocketOpened`; until
    then its `offer` may be replaced. What is sent before waits: the open packet comes alone. The numbers of requests and sockets are the driver's,
    each for one request or socket. `limits` bounds what may wait.
    """

    def __init__(self, sid: str, *, transport: Transport, offer: Offer = DEFAULT_OFFER, limits: Limits = SERVER_LIMITS) -> None:
        self.sid = sid
        self.transport = transport
        self.offer = offer
        self.state = ServerState.OPEN
        self.opened = False
        """Whether the open packet has been sent."""

        self._now = 0.0
        self._out: list[Output] = []
        self._due: dict[_Timer, float] = {}
        self._queue = Outbox(limits)
        self._get: int | None = None
        self._post: int | None = None
        self._socket: int | None = None
        self._candidate: int | None = None
        self._pong_awaited_longer = False

    # ------------------------------------------------------------------------------------------------------------------------------ the door

    def process(self, input: Input, now: float) -> list[Output]:
        """Take one input at the instant `now` (monotonic seconds) and return what follows from it, in order.

        Raises `LocalProtocolError`, and nothing else, if the application asked for something illegal; then nothing has changed.
        """
        self._now = now
        out: list[Output] = []
        self._out = out
        self._HANDLERS[type(input)](self, input)
        return out

    @property
    def deadline(self) -> float:
        """The instant at which `TimePassed` must be processed; infinity if there is none."""
        return min(self._due.values(), default=math.inf)

    @property
    def upgrading(self) -> bool:
        """Whether a WebSocket stands beside the polls that may take over from them."""
        return self._candidate is not None

    def _time_passed(self, _: TimePassed) -> None:
        for timer in _Timer:
            if self._due.get(timer, math.inf) <= self._now:
                del self._due[timer]
                self._TIMERS[timer](self)

    def _arm(self, timer: _Timer, seconds: float) -> None:
        self._due[timer] = self._now + seconds

    def _disarm(self, *timers: _Timer) -> None:
        for timer in timers:
            self._due.pop(timer, None)

    # --------------------------------------------------------------------------------------------------------------- the application's wishes

    def _send(self, wish: SendMessages) -> None:
        if self.state is not ServerState.OPEN:
            raise LocalProtocolError(f"messages can be sent while the session is open, it is {self.state}", cause=Cause.NOT_OPEN)
        self._enqueue(wish.messages)
        self._flush()

    def _enqueue(self, messages: tuple[str | bytes, ...]) -> None:
        packets = check_messages(messages, live=self.transport is Transport.WEBSOCKET, max_payload=None)
        self._queue.check_room(packets)
        self._queue.extend(packets)

    def _close(self, wish: Close) -> None:
        if self.state is not ServerState.OPEN:
            return
        self._enqueue(wish.farewell)
        self._flush()
        self.state = ServerState.CLOSING
        self._disarm(_Timer.PING, _Timer.PONG)
        self._arm(_Timer.CLOSE, CLOSE_LIMIT)
        if self._socket is not None or self._get is not None:
            self._leave()

    def _leave(self) -> None:
        self._end(CloseReason.SERVER_CLOSE, "the server's application left")

    def _abort(self, wish: Abort) -> None:
        self._end(wish.reason, wish.detail)

    # ------------------------------------------------------------------------------------------------------------------- the session's packets

    def _open(self) -> Packet:
        self.opened = True
        if self.offer.pings:
            self._arm(_Timer.PING, self.offer.ping_interval)
        return self.offer.open_packet(self.sid, self.transport)

    def _receive(self, packet: Packet) -> None:
        if packet.type is PacketType.CLOSE and self.transport is Transport.POLLING:
            self._answer_get(_NOOP)
            self._end(CloseReason.CLIENT_CLOSE, "the client sent its close packet")
        if self.state is not ServerState.OPEN:
            return
        self._be_patient(packet)
        match packet.type:
            case PacketType.MESSAGE:
                self._out.append(MessageReceived(packet.data))
            case PacketType.PONG:
                self._receive_pong()
            case PacketType.PING:
                self._end(CloseReason.TRANSPORT_ERROR, f"the client sent a ping, {elide(packet.data)}, where only servers ping")
            case _:
                pass  # Node takes no notice of anything else, of a close packet on a WebSocket neither

    def _receive_pong(self) -> None:
        self._disarm(_Timer.PONG)
        if self.offer.pings:
            self._arm(_Timer.PING, self.offer.ping_interval)

    def _be_patient(self, packet: Packet) -> None:
        """Once after each ping, another packet gives the pong its whole time again: it may be stuck behind a large one."""
        if packet.type is not PacketType.PONG and _Timer.PONG in self._due and not self._pong_awaited_longer:
            self._pong_awaited_longer = True
            self._arm(_Timer.PONG, self.offer.ping_timeout)

    def _ping(self) -> None:
        self._queue.extend([(_PING, 1)])
        self._pong_awaited_longer = False
        self._arm(_Timer.PONG, self.offer.ping_timeout)
        self._flush()

    def _flush(self) -> None:
        """Let leave what can."""
        if self._socket is not None:
            for packet in self._queue.take_all():
                self._out.append(SendFrame(self._socket, encode_packet(packet)))
        elif self._get is not None and len(self._queue):
            packets = self._queue.peek(MAX_PACKETS)
            self._queue.drop(len(packets))
            self._answer_get(encode_payload(packets)[0])

    def _end(self, reason: CloseReason, detail: str) -> None:
        if self.state is ServerState.CLOSED:
            return
        self.state = ServerState.CLOSED
        self._due.clear()
        self._queue.take_all()
        self._cut_post()
        self._answer_get(_CLOSE)
        self._drop_candidate()
        if self._socket is not None:
            self._out.append(CloseSocket(self._socket))
            self._socket = None
        self._out.append(SessionOver(reason, detail))

    # ------------------------------------------------------------------------------------------------------------------------------- polling

    def _refuses(self, request: int) -> bool:
        """Refuse a request that came when polling was over: it was on its way when that happened."""
        if self.state is not ServerState.CLOSED and self.transport is Transport.POLLING:
            return False
        refusal = UNKNOWN_SID if self.state is ServerState.CLOSED else BAD_REQUEST
        self._out.append(Answer(request, refusal.status, refusal.body, JSON_TYPE))
        return True

    def _throw_out(self, request: int, detail: str) -> None:
        self._end(CloseReason.TRANSPORT_ERROR, detail)
        self._out.append(Answer(request, 400))

    def _get_arrived(self, arrived: GetArrived) -> None:
        if self._refuses(arrived.request):
            return
        if self._get is not None:
            self._throw_out(arrived.request, "the client sent a GET while another one waited")
            return
        self._get = arrived.request
        if not self.opened:
            self._answer_get(encode_payload([self._open()])[0])
            return
        self._flush()
        if self.state is ServerState.CLOSING and self._get is not None:
            self._answer_get(_NOOP_AND_CLOSE)
            self._leave()

    def _answer_get(self, body: bytes) -> None:
        """Answer the GET that waits, if one does."""
        if self._get is not None:
            self._out.append(Answer(self._get, 200, body, TEXT_TYPE))
            self._get = None

    def _post_began(self, began: PostBegan) -> None:
        if self._refuses(began.request):
            return
        if self._post is not None:
            self._throw_out(began.request, "the client sent a POST while another one was arriving")
        elif began.content_type == _OCTETS:
            self._throw_out(began.request, "the client sent a POST of bytes, where text is due")
        else:
            self._post = began.request

    def _post_arrived(self, arrived: PostArrived) -> None:
        if arrived.request != self._post:
            return  # answered when it began, or cut off since
        self._post = None
        if self.offer.max_payload is not None and len(arrived.body) > self.offer.max_payload:
            self._out.append(Answer(arrived.request, 413))
            return
        self._receive_body(arrived.body)
        self._out.append(Answer(arrived.request, 200, b"ok", HTML_TYPE))

    def _receive_body(self, body: bytes) -> None:
        packets, error = _decode_body(body)
        for packet in packets:
            self._receive(packet)
        if error is not None and self.state is ServerState.OPEN:
            self._end(CloseReason.PARSE_ERROR, error.detail)

    def _request_aborted(self, aborted: RequestAborted) -> None:
        if aborted.request == self._get:
            self._get = None
            self._end(CloseReason.TRANSPORT_ERROR, "the client abandoned the GET that waited")
        elif aborted.request == self._post:
            self._post = None
            self._end(CloseReason.TRANSPORT_ERROR, "the client went away in the middle of a POST")

    def _cut_post(self) -> None:
        if self._post is not None:
            self._out.append(CutRequest(self._post))
            self._post = None

    # -------------------------------------------------------------------------------------------------------- the WebSocket and the upgrade

    def _socket_opened(self, opened: WebSocketOpened) -> None:
        if self.state is ServerState.CLOSED or self._socket is not None or self._candidate is not None:
            self._out.append(CloseSocket(opened.socket))
        elif self.transport is Transport.WEBSOCKET:
            self._out.append(SendFrame(opened.socket, encode_packet(self._open())))
            self._take_over(opened.socket)
        else:
            self._candidate = opened.socket
            self._arm(_Timer.UPGRADE, UPGRADE_LIMIT)

    def _take_over(self, socket: int) -> None:
        """From here on a socket carries the session: what has waited leaves first."""
        self._socket = socket
        self._flush()
        if self.state is ServerState.CLOSING:
            self._leave()

    def _frame(self, frame: FrameReceived) -> None:
        if frame.socket == self._socket:
            try:
                packet = decode_packet(frame.data, lenient=True)
            except DecodeError as error:
                self._end(CloseReason.PARSE_ERROR, error.detail)
            else:
                self._receive(packet)
        elif frame.socket == self._candidate:
            self._frame_of_candidate(frame.socket, frame.data)

    def _frame_of_candidate(self, socket: int, data: str | bytes) -> None:
        if data == _PROBE:
            self._out.append(SendFrame(socket, _PROBE_ANSWER))
            self._nudge()
        elif data[:1] == _UPGRADE:
            self._upgrade(socket)
        else:
            self._drop_candidate()

    def _nudge(self) -> None:
        """End the GET that waits, and have an eye on the next one."""
        self._answer_get(_NOOP)
        self._arm(_Timer.NUDGE, NUDGE)

    def _upgrade(self, socket: int) -> None:
        self._cut_post()
        self._answer_get(_CLOSE)
        self._forget_candidate()
        self.transport = Transport.WEBSOCKET
        self._disarm(_Timer.PONG)
        self._out.append(Upgraded())
        self._take_over(socket)

    def _forget_candidate(self) -> None:
        self._candidate = None
        self._disarm(_Timer.UPGRADE, _Timer.NUDGE)

    def _drop_candidate(self) -> None:
        if self._candidate is not None:
            self._out.append(CloseSocket(self._candidate))
            self._forget_candidate()

    def _socket_closed(self, closed: WebSocketClosed) -> None:
        code = "without a code" if closed.code is None else f"with code {closed.code}"
        self._socket_gone(closed.socket, CloseReason.TRANSPORT_CLOSE, f"the client closed the WebSocket {code}")

    def _socket_failed(self, failed: WebSocketFailed) -> None:
        self._socket_gone(failed.socket, CloseReason.TRANSPORT_ERROR, failed.detail)

    def _socket_gone(self, socket: int, reason: CloseReason, detail: str) -> None:
        if socket == self._candidate:
            self._forget_candidate()
        elif socket == self._socket:
            self._socket = None
            self._end(reason, detail)

    _HANDLERS: ClassVar[dict[type[Input], Callable[[ServerSession, Any], None]]] = {
        GetArrived: _get_arrived,
        PostBegan: _post_began,
        PostArrived: _post_arrived,
        RequestAborted: _request_aborted,
        WebSocketOpened: _socket_opened,
        FrameReceived: _frame,
        WebSocketClosed: _socket_closed,
        WebSocketFailed: _socket_failed,
        SendMessages: _send,
        Close: _close,
        Abort: _abort,
        TimePassed: _time_passed,
    }

    _TIMERS: ClassVar[dict[_Timer, Callable[[ServerSession], None]]] = {
        _Timer.PONG: lambda self: self._end(CloseReason.PING_TIMEOUT, f"no pong came within {self.offer.ping_timeout:.3g} s"),
        _Timer.CLOSE: lambda self: self._end(CloseReason.SERVER_CLOSE, f"the client asked for nothing within {CLOSE_LIMIT:.3g} s"),
        _Timer.UPGRADE: _drop_candidate,
        _Timer.NUDGE: _nudge,
        _Timer.PING: _ping,
    }


def _decode_body(body: bytes) -> tuple[Sequence[Packet], DecodeError | None]:
    """The good packets of a body, and what is wrong with the rest. Node reads bytes that are no UTF-8 as replacement characters, and lax base64."""
    text = body.decode(errors="replace")
    try:
        return decode_payload(text, lenient=True) if text else [decode_packet(text)], None
    except DecodeError as error:
        return error.packets, error
