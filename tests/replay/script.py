"""The words of scripts over a server's door; `tests.script` has the notation."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from engineio_lite.commands import SendFrame
from engineio_lite.inputs import FrameReceived, WebSocketOpened
from engineio_lite.replay.admission import Refusal
from engineio_lite.replay.engine import ServerSession, ServerState
from engineio_lite.replay.happenings import Answer, GetArrived, PostArrived, PostBegan, SessionOver
from engineio_lite.replay.offer import Offer
from engineio_lite.state import CloseReason, Transport
from tests import script
from tests.script import Pattern, View

Script: TypeAlias = script.Script[ServerSession]

SID = "the-sid"
OFFER = Offer(max_payload=100)
PINGING = Offer(ping_interval=25.0, ping_timeout=20.0, pings=True)


class Over(Pattern):
    """The session is over, for this reason, whatever the words."""

    def __init__(self, reason: CloseReason) -> None:
        self.reason = reason

    def matches(self, output: object) -> bool:
        return isinstance(output, SessionOver) and output.reason is self.reason and bool(output.detail)

    def __repr__(self) -> str:
        return f"SessionOver({self.reason!r})"


CLIENT_LEFT, SERVER_LEFT = Over(CloseReason.CLIENT_CLOSE), Over(CloseReason.SERVER_CLOSE)
THROWN_OUT, LOST = Over(CloseReason.TRANSPORT_ERROR), Over(CloseReason.TRANSPORT_CLOSE)
SILENT, NONSENSE = Over(CloseReason.PING_TIMEOUT), Over(CloseReason.PARSE_ERROR)


# --- What comes in.


def get(request: int) -> GetArrived:
    return GetArrived(request)


def posting(request: int, content_type: str = "text/plain") -> PostBegan:
    return PostBegan(request, content_type)


def posted(request: int, *packets: str) -> PostArrived:
    return PostArrived(request, "\x1e".join(packets).encode())


def frame(socket: int, data: str | bytes) -> FrameReceived:
    return FrameReceived(socket, data)


# --- What comes out.


def open_packet(offer: Offer = OFFER, *, upgrades: list[str] | None = None) -> str:
    fields: dict[str, Any] = {
        "sid": SID,
        "upgrades": list(offer.upgrades) if upgrades is None else upgrades,
        "pingInterval": int(offer.ping_interval * 1000),
        "pingTimeout": int(offer.ping_timeout * 1000),
        "maxPayload": offer.max_payload,
    }
    return "0" + json.dumps(fields, separators=(",", ":"))


def body(request: int, *packets: str) -> Answer:
    return Answer(request, 200, "\x1e".join(packets).encode(), "text/plain; charset=UTF-8")


def ok(request: int) -> Answer:
    return Answer(request, 200, b"ok", "text/html")


def refused(request: int, refusal: Refusal) -> Answer:
    return Answer(request, 400, refusal.body, "application/json")


def says(socket: int, data: str | bytes) -> SendFrame:
    return SendFrame(socket, data)


def shows(
    state: ServerState | None = None, *, transport: Transport | None = None, upgrading: bool | None = None, deadline: float | None = None
) -> View[ServerSession]:
    return View(
        (
            ("state", lambda session: session.state, state),
            ("transport", lambda session: session.transport, transport),
            ("upgrading", lambda session: session.upgrading, upgrading),
            ("deadline", lambda session: session.deadline, deadline),
        )
    )


# --- How far it has come.


def polling(offer: Offer = OFFER, **options: Any) -> Script:
    """Opened by the GET number 1."""
    return Script(ServerSession(SID, transport=Transport.POLLING, offer=offer, **options)) >> get(1) << body(1, open_packet(offer))


def probed(offer: Offer = OFFER) -> Script:
    """The upgrade's WebSocket is number 1, GET 2 was ended by its probe."""
    return (
        polling(offer)
        >> get(2)
        >> WebSocketOpened(1)
        << shows(upgrading=True)
        >> frame(1, "2probe")
        << says(1, "3probe")
        << body(2, "6")
        << shows(transport=Transport.POLLING)
    )


def on_websocket(offer: Offer = OFFER) -> Script:
    """Opened on WebSocket number 1."""
    session = ServerSession(SID, transport=Transport.WEBSOCKET, offer=offer)
    return Script(session) >> WebSocketOpened(1) << says(1, open_packet(offer, upgrades=[]))
