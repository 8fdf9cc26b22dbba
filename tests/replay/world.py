"""Our client against our server, pure against pure, over a network without manners.

`tests.core.world` has the network, the client and what must always be true; here the server of the product stands where its model servers stand,
behind an adapter that translates words and nothing else. So whatever the world demands of a correct client it now demands of the pair, and what it
demands of the client's own behaviour (one GET, one POST, the order of an upgrade) shows that the server does not lead it astray.
"""

from __future__ import annotations

from engineio_lite.commands import SendFrame
from engineio_lite.events import MessageReceived, Upgraded
from engineio_lite.inputs import Close, FrameReceived, SendMessages, TimePassed, WebSocketClosed, WebSocketOpened
from engineio_lite.replay.engine import ServerSession, ServerState
from engineio_lite.replay.happenings import (
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
from engineio_lite.replay.offer import Offer
from engineio_lite.state import CloseReason, Transport
from tests.core.servers import SID, Accept, Destroy, Frame, Hangup, Refuse, Respond, Server
from tests.core.world import LIMITS, MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT, World, demand


class ReplayServer(Server):
    """The product's server in the place of a model."""

    name = "replay"

    def __init__(self, transport: Transport, *, ping_interval: float, ping_timeout: float, max_payload: int) -> None:
        super().__init__(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload)
        offer = Offer(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload, pings=True)
        self.session = ServerSession(SID, transport=transport, offer=offer)
        self.over: SessionOver | None = None
        self.answered: set[int] = set()
        self.posts: set[int] = set()
        self.sync()

    def process(self, happening: Input) -> None:
        for output in self.session.process(happening, self.now):
            self.perform(output)
        self.sync()

    def sync(self) -> None:
        """Show the world the clocks and the state."""
        self.timers = {str(timer): due for timer, due in self.session._due.items()}
        self.gone = self.session.state is ServerState.CLOSED

    def perform(self, output: Output) -> None:
        demand(self.over is None or isinstance(output, Answer), f"{output!r} after the end of the session")
        match output:
            case Answer():
                demand(output.request not in self.answered, f"request {output.request} was answered twice")
                self.answered.add(output.request)
                self.emissions.append(Respond(output.request, output.status, output.body.decode()))
            case CutRequest():
                demand(output.request in self.posts, "a request was cut that is no POST")
                self.emissions.append(Destroy(output.request))
            case SendFrame():
                self.emissions.append(Frame(output.socket, output.data))
            case CloseSocket():
                self.emissions.append(Hangup(output.socket))
            case MessageReceived():
                self.received.append(output.data)
            case SessionOver():
                self.over = output
                demand(not self.session._due, "the session is over, and a timer runs")
            case Upgraded():
                pass

    # --- What the world tells it.

    def open(self, request: int) -> None:
        self.get(request)

    def get(self, request: int) -> None:
        self.process(GetArrived(request))

    def get_abandoned(self, request: int) -> None:
        self.process(RequestAborted(request))

    def post_begins(self, request: int) -> None:
        self.posts.add(request)
        self.process(PostBegan(request))

    def post_ends(self, request: int, body: str) -> None:
        self.process(PostArrived(request, body.encode()))

    def socket_opens(self, socket: int) -> None:
        if self.gone:
            self.emissions.append(Refuse(socket))
        else:
            self.emissions.append(Accept(socket))
            self.process(WebSocketOpened(socket))

    def frame(self, socket: int, data: str | bytes) -> None:
        self.process(FrameReceived(socket, data))

    def socket_closes(self, socket: int) -> None:
        self.process(WebSocketClosed(socket, None))

    def send(self, data: str | bytes) -> None:
        self.sent.append(data)
        self.process(SendMessages((data,)))

    def close(self) -> None:
        self.closing = True
        self.process(Close())

    def fire(self, name: str) -> None:
        self.process(TimePassed())


class ReplayWorld(World):
    """Adds what is to be true of the server."""

    server: ReplayServer

    def perform_checked(self) -> None:
        """The server ends a session for a reason that the world knows of."""
        over = self.server.over
        if over is not None and not self.harsh:
            demand(bool(self.reasons), f"the server ended the session without a reason: {over!r}")
            demand(over.reason is not CloseReason.PARSE_ERROR, f"{over!r}")

    def collect(self) -> None:
        super().collect()
        self.perform_checked()


def make_replay_world(
    *, transports: tuple[str, ...] = ("polling", "websocket"), harsh: bool = False, max_payload: int = MAX_PAYLOAD, strict: bool = True
) -> ReplayWorld:
    """Build a world around the product's server that is connected and has just told the client's application so."""
    transport = Transport(transports[0])
    server = ReplayServer(transport, ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT, max_payload=max_payload)
    world = ReplayWorld(server, transports=transports, harsh=harsh, strict=strict, limits=LIMITS)
    world.connect()
    return world
