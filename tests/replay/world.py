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

    def __init__(
        self, transport: Transport, *, ping_interval: float, ping_timeout: float, max_payload: int, session_class: type[ServerSession] = ServerSession
    ) -> None:
        super().__init__(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload)
        offer = Offer(ping_interval=ping_interval, ping_timeout=ping_timeout, max_payload=max_payload, pings=True)
        self.session = session_class(SID, transport=transport, offer=offer)
        self.over: SessionOver | None = None
        self.gets: set[int] = set()
        self.posts: set[int] = set()
        self.done_with: set[int] = set()
        self.gone_sockets: set[int] = set()
        self.probed = False
        self.sync()

    def process(self, happening: Input) -> None:
        for output in self.session.process(happening, self.now):
            self.perform(output)
        self.sync()

    def sync(self) -> None:
        """Show the world the clocks and the state, and check what is always true of the server."""
        session = self.session
        self.timers = {str(timer): due for timer, due in session._due.items()}
        self.gone = session.state == ServerState.CLOSED  # not `is`: a mutant has an enumeration of its own
        waiting = self.gets - self.done_with
        demand(len(waiting) <= 1, f"GETs {waiting} wait at once")
        demand(
            not (len(session._queue) and session.opened and (waiting or session.transport is Transport.WEBSOCKET)), "something waits that could leave"
        )
        demand(not (self.probed and session.upgrading) or "nudge" in self.timers, "nobody thinks of the GET that the upgrade waits for")
        demand(not self.gone or not (self.timers or waiting), f"the session is over, and there are timers {self.timers} or GETs {waiting}")

    def perform(self, output: Output) -> None:
        demand(self.over is None or isinstance(output, Answer), f"{output!r} after the end of the session")
        match output:
            case Answer():
                self.finish(output.request)
                self.emissions.append(Respond(output.request, output.status, output.body.decode()))
            case CutRequest():
                demand(output.request in self.posts, "a request was cut that is no POST")
                self.finish(output.request)
                self.emissions.append(Destroy(output.request))
            case SendFrame():
                self.check_socket(output.socket, output.data)
                self.emissions.append(Frame(output.socket, output.data))
            case CloseSocket():
                demand(output.socket not in self.gone_sockets, "a socket was closed that is gone")
                self.gone_sockets.add(output.socket)
                self.emissions.append(Hangup(output.socket))
            case MessageReceived():
                self.received.append(output.data)
            case SessionOver():
                self.over = output
            case _:
                assert isinstance(output, Upgraded)

    def finish(self, request: int) -> None:
        demand(request not in self.done_with, f"request {request} was answered or cut twice")
        self.done_with.add(request)

    def check_socket(self, socket: int, data: str | bytes) -> None:
        demand(socket not in self.gone_sockets, f"{data!r} was sent on a socket that is gone")
        if self.session.transport is Transport.POLLING:
            demand(data == "3probe", f"{data!r} was sent on the upgrade's socket")
            self.probed = True

    # --- What the world tells it.

    def open(self, request: int) -> None:
        self.get(request)

    def get(self, request: int) -> None:
        self.gets.add(request)
        self.process(GetArrived(request))

    def get_abandoned(self, request: int) -> None:
        self.done_with.add(request)
        self.process(RequestAborted(request))

    def post_begins(self, request: int) -> None:
        self.posts.add(request)
        self.process(PostBegan(request))

    def post_ends(self, request: int, body: str) -> None:
        self.process(PostArrived(request, body.encode()))
        demand(request in self.done_with, f"POST {request} has no answer")

    def socket_opens(self, socket: int) -> None:
        if self.gone:
            self.emissions.append(Refuse(socket))
        else:
            self.emissions.append(Accept(socket))
            self.process(WebSocketOpened(socket))

    def frame(self, socket: int, data: str | bytes) -> None:
        self.process(FrameReceived(socket, data))

    def socket_closes(self, socket: int) -> None:
        self.gone_sockets.add(socket)
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

    def collect(self) -> None:
        super().collect()
        over = self.server.over
        if over is not None and not self.harsh:
            demand(bool(self.reasons), f"the server ended the session without a reason: {over!r}")
            demand(over.reason is not CloseReason.PARSE_ERROR, f"{over!r}")

    def run_down(self) -> None:
        super().run_down()
        if self.reasons == ["the server left"] and not self.harsh:
            demand(self.received == len(self.server.sent), f"the server left in order, and {self.server.sent[self.received :]!r} never arrived")


def make_replay_world(
    *,
    transports: tuple[str, ...] = ("polling", "websocket"),
    harsh: bool = False,
    max_payload: int = MAX_PAYLOAD,
    session_class: type[ServerSession] = ServerSession,
) -> ReplayWorld:
    """Build a world around the product's server that is connected and has just told the client's application so."""
    transport = Transport(transports[0])
    server = ReplayServer(transport, ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT, max_payload=max_payload, session_class=session_class)
    world = ReplayWorld(server, transports=transports, harsh=harsh, limits=LIMITS)
    world.connect()
    return world
