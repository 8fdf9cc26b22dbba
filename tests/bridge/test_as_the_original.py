"""The same program on the original client and on the bridge: the handlers are told the same, in the same order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import socketio as original

import engineio_lite.bridge as socketio
from tests.bridge.tools import Seen, Transports
from tests.peers import KINDS, Kind, StartPeer

Scenario = Callable[[Any, Seen, str, Transports], Awaitable[None]]


def client_of(module: Any, seen: Seen) -> Any:
    """A client whose handlers write down what they are told."""
    quiet = logging.getLogger("tests.bridge.original")
    sio = module.AsyncClient(logger=quiet, engineio_logger=quiet, handle_sigint=False, reconnection_delay=0.05, randomization_factor=0)

    for namespace in ("/", "/admin"):
        sio.on("connect", lambda namespace=namespace: seen.note(("connect", namespace)), namespace=namespace)
        sio.on("disconnect", lambda reason, namespace=namespace: seen.note(("disconnect", namespace, reason)), namespace=namespace)
        sio.on("connect_error", lambda data, namespace=namespace: seen.note(("connect_error", namespace, data)), namespace=namespace)
        sio.on("*", lambda event, *args, namespace=namespace: seen.note((event, namespace, args)), namespace=namespace)
    return sio


async def converse(sio: Any, seen: Seen, url: str, transports: Transports) -> None:
    """Echoes, acknowledgements, bytes, questions."""
    await sio.connect(url, transports=transports, auth={"token": "letmein"})
    seen.note(("answer", await sio.call("echo", ("a", b"b", {"c": [b"d"]}))))
    seen.note(("answer", await sio.call("echo", None, namespace="/admin")))
    await sio.emit("flood", 9)
    await seen.has(("number", "/", (8,)))
    seen.note(("answer", await sio.call("askme", "what?")))
    await sio.disconnect()


async def refused(sio: Any, seen: Seen, url: str, transports: Transports) -> None:
    """A namespace that says no."""
    try:
        await sio.connect(url, transports=transports, auth={"token": "guess"}, namespaces="/admin")
    except original.exceptions.ConnectionError as error:
        seen.note(("error", str(error).partition(";")[0]))


async def kicked(sio: Any, seen: Seen, url: str, transports: Transports) -> None:
    """Out of one namespace, and then out of the other."""
    await sio.connect(url, transports=transports, auth={"token": "letmein"})
    await sio.emit("kick", namespace="/admin")
    await seen.has(("disconnect", "/admin", "server disconnect"))
    seen.note(("left", sorted(sio.namespaces)))
    await sio.emit("kick")
    await seen.has(("disconnect", "/", "server disconnect"))
    await sio.wait()


async def dropped(sio: Any, seen: Seen, url: str, transports: Transports) -> None:
    """The server ends the engine, with or without a word."""
    await sio.connect(url, transports=transports, namespaces="/")
    await sio.emit("drop")
    await seen.until(lambda: any(item[0] == "disconnect" for item in seen))
    if ("disconnect", "/", "transport error") in seen:
        await seen.until(lambda: seen.count(("connect", "/")) == 2)
        seen.note(("answer", await sio.call("echo", "again")))
        await sio.disconnect()
    else:
        await sio.wait()


async def nowhere(sio: Any, seen: Seen, url: str, transports: Transports) -> None:
    """Nobody listens."""
    try:
        await sio.connect("http://127.0.0.1:9", transports=transports, namespaces="/")
    except original.exceptions.ConnectionError:
        seen.note(("error", "of connecting"))
    seen[0] = seen[0][:2]  # the text is ours
    await sio.wait()
    if isinstance(sio.eio, original.async_client.engineio.AsyncClient) and sio.eio.http is not None:
        await sio.eio.http.close()  # which it forgets if it was to be a WebSocket


SCENARIOS = [
    (scenario, transports)
    for scenario in (converse, refused, kicked, dropped, nowhere)
    for transports in (["polling"], ["websocket"], None)
    # The original takes seven seconds to see the end of a session by polling.
    if scenario is not dropped or transports != ["polling"]
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scenario", "transports"), SCENARIOS, ids=[f"{scenario.__name__}-{transports}" for scenario, transports in SCENARIOS])
async def test_handlers_are_told_the_same(scenario: Scenario, kind: Kind, peer_server: StartPeer, transports: Transports) -> None:
    # Short intervals, because by polling the original cannot leave before its poll is answered.
    peer = peer_server(kind, pingInterval=1000, pingTimeout=1000)
    told: list[list[tuple[Any, ...]]] = []
    for module in (original, socketio):
        seen = Seen()
        sio = client_of(module, seen)
        await scenario(sio, seen, peer.url, transports)
        assert (sio.connected, sio.eio.state) == (False, "disconnected")
        # The transport at the welcome differs: the original asks for its namespaces after the upgrade, this client at once.
        told.append([item[:2] if item[0] == "welcome" else item for item in seen])
    # Two namespaces are answered as each is ready, so their order is the server's; within one it is the same.
    assert sorted(map(repr, told[0])) == sorted(map(repr, told[1]))
    for namespace in ("/", "/admin"):
        theirs, ours = ([item for item in each if item[1] == namespace] for each in told)
        assert ours == theirs
