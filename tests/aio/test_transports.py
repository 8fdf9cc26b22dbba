"""Two ways in: a WebSocket first, and polling where that cannot be opened."""

from __future__ import annotations

import pytest

from engineio_lite import Cause, ConnectFailed, EngineIOError, HandshakeError, LocalProtocolError
from engineio_lite.aio import connect, connect_socketio
from engineio_lite.socketio import Reconnected, Reconnecting, ReconnectPolicy
from tests.peers import KINDS, Kind, Peer, StartPeer
from tests.peers.proxy import Proxy

TWO_WAYS = ("websocket", "polling")
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)


async def test_the_websocket_is_tried_first(any_peer: Peer) -> None:
    async with connect_socketio(any_peer.url, transports=TWO_WAYS) as sio:
        assert await sio.call("transport") == "websocket"
        assert await sio.wait_upgraded()


@ALL_KINDS
async def test_where_it_cannot_be_opened_polling_is_the_way_in(kind: Kind, peer_server: StartPeer) -> None:
    peer = peer_server(kind, transports=["polling"])
    async with connect_socketio(peer.url, transports=TWO_WAYS) as sio:
        assert await sio.call("transport") == "polling"
        assert await sio.wait_upgraded() is False
        await sio.emit("drop")
        with pytest.raises(EngineIOError):  # it is no policy: a connection that stood is not followed by another
            await sio.wait_for("anything")
        assert sio.closed is not None


@ALL_KINDS
async def test_every_new_connection_tries_the_websocket_first_again(kind: Kind, peer_server: StartPeer) -> None:
    peer = peer_server(kind, transports=["polling"])
    policy = ReconnectPolicy(delay=0.01, max_attempts=1)
    async with Proxy(peer) as proxy, connect_socketio(proxy.url, transports=TWO_WAYS, reconnect=policy) as sio:
        assert await sio.call("echo", 1) == 1
        seen = []
        proxy.cut()
        async for event in sio.states():
            if isinstance(event, Reconnecting):
                seen.append((event.attempt, event.delay > 0))
            if isinstance(event, Reconnected):
                break
        assert seen == [(1, True), (2, False)]  # the lost connection, then the WebSocket that was refused: that is no attempt of the policy's
        assert await sio.call("transport") == "polling"


async def test_who_answers_neither_way_is_told_of_the_second() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await connect_socketio("http://127.0.0.1:9", transports=TWO_WAYS)
    assert (caught.value.cause, caught.value.stage) == (Cause.CONNECT_REFUSED, "handshake")


async def test_a_refused_namespace_is_no_reason_to_try_another_way(any_peer: Peer) -> None:
    with pytest.raises(HandshakeError) as caught:
        await connect_socketio(any_peer.url, namespace="/admin", transports=TWO_WAYS)
    assert caught.value.cause is Cause.NAMESPACE_REFUSED


@pytest.mark.parametrize("transports", [(), ("carrier pigeon",), ("websocket", "polling", "websocket")])
async def test_other_orders_are_refused(transports: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        await connect_socketio("http://127.0.0.1:9", transports=transports)
    assert caught.value.cause is Cause.BAD_OPTION


async def test_an_engineio_connection_has_one_way_in() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        await connect("http://127.0.0.1:9", transports=TWO_WAYS)
    assert caught.value.cause is Cause.BAD_OPTION
