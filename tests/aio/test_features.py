"""Namespaces and addresses, against real servers: see `features.py` for the matrix.

A client is one namespace and may join others; each has its own auth, its own id, and an end of its own. Which server, which namespace and which
mount a URL means is the reference client's convention.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engineio_lite import Cause, Closed, CloseReason, ConnectionClosed, ConnectRefused, EngineIOError, LocalProtocolError
from engineio_lite.aio import Namespace, connect_socketio
from engineio_lite.socketio import EventReceived, NamespaceConnected, NamespaceLeft, NamespaceRefused, Packet, PacketType
from tests.aio.features import ALL_KINDS, ALL_TRANSPORTS, POLLING, SOON, WEBSOCKET, Lend, Watch, lending, welcome
from tests.peers import Kind, Peer

pytestmark = [pytest.mark.peer, pytest.mark.timeout(30)]

GRANTED = {"token": "letmein"}
"""What ``/admin`` wants."""

LEFT_BY_US = {"node": "client namespace disconnect", "python": "client disconnect"}
"""How the servers say that a client has left a namespace."""


@pytest.fixture(scope="module")
def lend() -> Iterator[Lend]:
    """Servers with options, shared by this module."""
    with lending() as lend:
        yield lend


async def rest_of(namespace: Namespace) -> list[EventReceived]:
    """What is unread, up to an end that is ours; another one is raised."""
    async with asyncio.timeout(SOON):
        return [event async for event in namespace]


# ------------------------------------------------------------------------------------------------------------------------------ auth and identity


@ALL_TRANSPORTS
async def test_each_namespace_has_its_own_auth(any_peer: Peer, transports: tuple[str, ...]) -> None:
    asked = []

    def plainly() -> Mapping[str, object]:
        asked.append("plainly")
        return {**GRANTED, "from": "function"}

    async def later() -> Mapping[str, object]:
        await asyncio.sleep(0)
        asked.append("later")
        return {"from": "coroutine function", "nested": [{"deep": None}]}

    async with connect_socketio(any_peer.url, auth={"from": "value"}, transports=transports) as sio:
        admin = await sio.namespace("/admin", auth=plainly)
        echo2 = await sio.namespace("/echo2", auth=later)
        seen = {namespace.name: (await welcome(namespace))["auth"] for namespace in (sio, admin, echo2)}
        assert seen == {
            "/": {"from": "value"},
            "/admin": {**GRANTED, "from": "function"},
            "/echo2": {"from": "coroutine function", "nested": [{"deep": None}]},
        }
        assert [await namespace.call("auth") for namespace in (sio, admin, echo2)] == list(seen.values())
    assert asked == ["plainly", "later"]  # once for each connection, and there was one


@ALL_TRANSPORTS
async def test_a_function_is_asked_for_the_first_namespace_too(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async def later() -> Mapping[str, object] | None:
        await asyncio.sleep(0)
        return None

    for auth in (lambda: GRANTED, dict(GRANTED)):
        async with connect_socketio(any_peer.url, namespace="/admin", auth=auth, transports=transports) as sio:
            assert (await welcome(sio))["auth"] == GRANTED
    async with connect_socketio(any_peer.url, auth=later, transports=transports) as sio:
        assert (await welcome(sio))["auth"] == {}


@ALL_TRANSPORTS
async def test_without_auth_nothing_is_said(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        await sio.namespace("/echo2")
        assert watch.messages == ["0", "0/echo2,"]


@ALL_TRANSPORTS
async def test_each_namespace_has_its_own_sid(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        joined: list[Namespace] = [sio, await sio.namespace("/admin", auth=GRANTED), await sio.namespace("/echo2")]
        sids = [(await namespace.call("whoami"))["sid"] for namespace in joined]
        assert sids == [namespace.sid for namespace in joined]
        assert sio.handshake is not None
        assert len({*sids, sio.handshake.sid}) == 4
        assert all(namespace.connected and not namespace.recovered for namespace in joined)


@ALL_TRANSPORTS
async def test_auth_that_raises_is_told_and_concerns_its_namespace_alone(any_peer: Peer, transports: tuple[str, ...]) -> None:
    def forgotten() -> Mapping[str, object]:
        raise KeyError("password")

    with pytest.raises(EngineIOError) as caught:
        await connect_socketio(any_peer.url, auth=forgotten, transports=transports)
    assert (caught.value.cause, caught.value.stage) == (Cause.AUTH_FAILED, "namespace")
    assert isinstance(caught.value.__cause__, KeyError)
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        with pytest.raises(EngineIOError) as caught:
            await sio.namespace("/echo2", auth=forgotten)
        assert caught.value.cause is Cause.AUTH_FAILED
        assert watch.messages == ["0"]  # the server has heard nothing of it
        assert await sio.call("echo", 1) == 1
        assert await (await sio.namespace("/echo2")).call("echo", 2) == 2


@ALL_TRANSPORTS
async def test_auth_that_is_no_object_is_refused_here(any_peer: Peer, transports: tuple[str, ...]) -> None:
    wrong: Any = ["letmein"]
    for auth in (wrong, lambda: wrong):
        with pytest.raises(LocalProtocolError) as caught:
            await connect_socketio(any_peer.url, auth=auth, transports=transports)
        assert caught.value.cause is Cause.BAD_OPTION
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        for auth in (wrong, lambda: wrong):
            with pytest.raises(LocalProtocolError) as caught:
                await sio.namespace("/echo2", auth=auth)
            assert caught.value.cause is Cause.BAD_OPTION
        assert await (await sio.namespace("/echo2")).call("echo", 2) == 2


# ---------------------------------------------------------------------------------------------------------------------------- refused, and unknown


@ALL_TRANSPORTS
@pytest.mark.parametrize(("name", "words", "data"), [("/admin", "not authorized", {"code": 7}), ("/refuse-string", "no entry", None)])
async def test_a_refusal_concerns_its_namespace_alone(
    any_peer: Peer, transports: tuple[str, ...], name: str, words: str, data: dict[str, int] | None
) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        calls = [asyncio.create_task(namespace.call("echo", i)) for i in range(20) for namespace in (sio, echo2)]
        with pytest.raises(ConnectRefused) as caught:
            await sio.namespace(name, auth={"token": "guess"})
        error = caught.value
        assert (error.cause, error.namespace, error.refusal, error.data) == (Cause.NAMESPACE_REFUSED, name, words, data)
        assert await asyncio.gather(*calls) == [i for i in range(20) for _ in range(2)]
        assert sio.connected
        assert echo2.connected


@ALL_TRANSPORTS
async def test_a_refused_namespace_can_be_asked_for_again(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        for _ in range(2):
            with pytest.raises(ConnectRefused):
                await sio.namespace("/admin", auth={"token": "guess"})
        admin = await sio.namespace("/admin", auth=GRANTED)
        assert (await welcome(admin))["auth"] == GRANTED
        assert await admin.call("echo", "hello") == "hello"


@ALL_TRANSPORTS
async def test_a_namespace_that_the_server_does_not_know_is_refused(any_peer: Peer, transports: tuple[str, ...]) -> None:
    words = {"node": "Invalid namespace", "python": "Unable to connect"}[any_peer.kind]
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        with pytest.raises(ConnectRefused) as caught:
            await sio.namespace("/nowhere")
        assert caught.value.refusal == words
        assert await sio.call("echo", 1) == 1
    with pytest.raises(ConnectRefused) as caught:
        await connect_socketio(f"{any_peer.url}/nowhere", transports=transports)
    assert (caught.value.namespace, caught.value.refusal) == ("/nowhere", words)


@ALL_TRANSPORTS
@pytest.mark.parametrize("name", ["admin", "/a,b", "", "/\ud800"])
async def test_a_name_that_no_server_can_read_is_refused_here(any_peer: Peer, transports: tuple[str, ...], name: str) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        with pytest.raises(LocalProtocolError) as caught:
            await sio.namespace(name)
        assert caught.value.cause is Cause.BAD_NAMESPACE
        assert await sio.call("echo", 1) == 1


# --------------------------------------------------------------------------------------------------------------------------------- twice, and again


@ALL_TRANSPORTS
async def test_joining_twice_is_refused_and_breaks_nothing(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        heard: list[object] = []
        echo2.on("echo", heard.append)
        await welcome(sio)
        assert (await echo2.receive()).name == "welcome"  # it has a stream of its own from here on
        for name in ("/echo2", "/"):
            with pytest.raises(LocalProtocolError) as caught:
                await sio.namespace(name, auth=GRANTED)
            assert caught.value.cause is Cause.ALREADY_CONNECTED
        assert await echo2.call("echo", 1) == 1
        assert await echo2.call("flood", 1) is None
        assert [(event.namespace, event.name) for event in (await echo2.receive(),)] == [("/echo2", "number")]
        assert heard == [1]
        assert await sio.call("echo", 2) == 2
        assert [packet for packet in watch.sent if packet.type is PacketType.CONNECT] == [
            Packet(PacketType.CONNECT),
            Packet(PacketType.CONNECT, namespace="/echo2"),
        ]


@ALL_TRANSPORTS
async def test_joining_twice_at_once_joins_once(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        answers = await asyncio.gather(*(sio.namespace("/admin", auth=auth) for auth in (GRANTED, None, GRANTED)), return_exceptions=True)
        admin = answers[0]
        assert isinstance(admin, Namespace)
        assert [getattr(answer, "cause", None) for answer in answers] == [None, Cause.ALREADY_CONNECTED, Cause.ALREADY_CONNECTED]
        assert (await welcome(admin))["auth"] == GRANTED
        assert admin.sid == (await admin.call("whoami"))["sid"]


@ALL_TRANSPORTS
async def test_a_namespace_can_be_left_and_joined_again(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    key = f"rejoined by {'+'.join(transports)}"
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        sids = []
        for n in range(3):
            echo2 = await sio.namespace("/echo2", auth={"key": key, "n": n})
            assert (await welcome(echo2))["auth"] == {"key": key, "n": n}
            sids.append(echo2.sid)
            assert await echo2.call("flood", 2) is None
            await echo2.leave()
            assert not echo2.connected
            assert [event.args for event in await rest_of(echo2)] == [[0], [1]]
            with pytest.raises(LocalProtocolError) as caught:
                await echo2.emit("echo", "too late")
            assert caught.value.cause is Cause.NAMESPACE_NOT_CONNECTED
            with pytest.raises(LocalProtocolError) as caught:
                await echo2.leave()
            assert caught.value.cause is Cause.NAMESPACE_NOT_CONNECTED
        assert len(set(sids)) == 3
        assert await sio.call("reasons", key) == [LEFT_BY_US[any_peer.kind]] * 3
        assert watch.messages.count("1/echo2,") == 3


@ALL_TRANSPORTS
async def test_the_first_namespace_can_be_left_and_joined_again(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, auth={"n": 1}, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        heard: list[object] = []
        sio.on("echo", heard.append)
        assert (await welcome(sio))["auth"] == {"n": 1}
        before = sio.sid
        await sio.leave()
        assert not sio.connected
        assert await echo2.call("echo", "still here") == "still here"
        assert await sio.namespace("/", auth={"n": 2}) is sio
        assert (await welcome(sio))["auth"] == {"n": 2}
        assert await sio.call("echo", 1) == 1
        assert heard == [1]
        assert sio.sid not in (before, None)


@ALL_TRANSPORTS
async def test_a_call_in_a_namespace_that_is_left_fails_at_once(any_peer: Peer, transports: tuple[str, ...]) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        delivery = await echo2.emit("never", ack=True)
        call = asyncio.create_task(echo2.call("never"))
        other = asyncio.create_task(sio.call("never"))
        await asyncio.sleep(0)
        await echo2.leave()
        async with asyncio.timeout(SOON):
            for waits in (call, delivery.acknowledged()):
                with pytest.raises(ConnectionClosed) as caught:
                    await waits
                assert caught.value.reason is CloseReason.CLIENT_DISCONNECT
        assert delivery.stage == "failed"
        assert not other.done()
        other.cancel()


@ALL_TRANSPORTS
@pytest.mark.parametrize("leaves", [True, False], ids=["left", "kicked"])
async def test_who_waits_for_an_event_of_a_namespace_that_ends_is_told(any_peer: Peer, transports: tuple[str, ...], leaves: bool) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await welcome(echo2)
        waits = asyncio.create_task(echo2.wait_for("never comes"))
        other = asyncio.create_task(sio.wait_for("hello"))
        await asyncio.sleep(0)
        await (echo2.leave() if leaves else echo2.emit("kick"))
        async with asyncio.timeout(SOON):
            with pytest.raises(ConnectionClosed) as caught:
                await waits
            assert caught.value.reason is (CloseReason.CLIENT_DISCONNECT if leaves else CloseReason.SERVER_DISCONNECT)
            await sio.emit("later", 0, "hello")
            assert (await other).name == "hello"


# ------------------------------------------------------------------------------------------------------------------------------------------- kicked


@ALL_TRANSPORTS
async def test_a_namespace_from_which_we_are_kicked_ends_and_the_others_go_on(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        admin = await sio.namespace("/admin", auth=GRANTED)
        await welcome(admin)
        pending = asyncio.create_task(admin.call("never"))
        await admin.call("flood", 2)
        await admin.emit("kick")
        async with asyncio.timeout(SOON):
            assert [(await admin.receive()).args for _ in range(2)] == [[0], [1]]
            with pytest.raises(ConnectionClosed) as ended:
                await anext(aiter(admin))
            with pytest.raises(ConnectionClosed) as failed:
                await pending
        assert ended.value.reason is failed.value.reason is CloseReason.SERVER_DISCONNECT
        assert not admin.connected
        for sending in (admin.emit("echo", 1), admin.call("echo", 1), admin.leave()):
            with pytest.raises(LocalProtocolError) as caught:
                await sending
            assert caught.value.cause is Cause.NAMESPACE_NOT_CONNECTED
        assert await sio.call("echo", "still here") == "still here"
        assert sio.closed is None
        again = await sio.namespace("/admin", auth=GRANTED)
        assert again.sid != admin.sid
        assert await again.call("echo", "back") == "back"
        assert Packet(PacketType.DISCONNECT, namespace="/admin") in watch.received
        assert Packet(PacketType.DISCONNECT, namespace="/admin") not in watch.sent


@ALL_TRANSPORTS
@pytest.mark.parametrize("first", ["/", "/echo2"])
async def test_being_kicked_from_the_last_namespace_ends_the_connection(any_peer: Peer, transports: tuple[str, ...], first: str) -> None:
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        echo2 = await sio.namespace("/echo2")
        await sio.wait_upgraded()
        here, there = (sio, echo2) if first == "/" else (echo2, sio)
        await here.emit("kick")
        async with asyncio.timeout(SOON):
            states = sio.states()
            while not isinstance(await anext(states), NamespaceLeft):
                pass
            was_open = sio.closed is None
            assert await there.call("echo", 1) == 1
            await there.emit("kick")
            ends = [event async for event in states if not isinstance(event, EventReceived)]
        assert ends[0] == NamespaceLeft(there.name, CloseReason.SERVER_DISCONNECT)
        assert isinstance(ends[1], Closed)
        assert ends[2:] == []
        assert was_open
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error) == (CloseReason.SERVER_DISCONNECT, None)


@ALL_TRANSPORTS
async def test_leaving_the_last_namespace_closes_the_connection(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch) as sio:
        echo2 = await sio.namespace("/echo2")
        for namespace in (sio, echo2):
            await welcome(namespace)
            await namespace.leave()
        assert await rest_of(sio) == []
        assert sio.closed is not None
        assert (sio.closed.reason, sio.closed.error) == (CloseReason.CLIENT_DISCONNECT, None)
        with pytest.raises(ConnectionClosed):
            await sio.namespace("/echo2")
    assert watch.messages[-2:] == ["1", "1/echo2,"]


@ALL_TRANSPORTS
async def test_closing_takes_leave_of_every_namespace(any_peer: Peer, transports: tuple[str, ...]) -> None:
    watch = Watch()
    key = f"closed by {'+'.join(transports)}"
    async with connect_socketio(any_peer.url, transports=transports, recorder=watch, auth={"key": key}) as sio:
        await sio.namespace("/echo2", auth={"key": key})
        await sio.wait_upgraded()
    assert watch.messages[-2:] == ["1", "1/echo2,"]
    # By polling all of it comes in one POST, and Node looks at the close packet of the session before it looks at what came before that.
    words = "transport close" if any_peer.kind == "node" and transports == POLLING else LEFT_BY_US[any_peer.kind]
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        assert await sio.call("reasons", key) == [words] * 2


@ALL_TRANSPORTS
async def test_what_happens_to_namespaces_can_be_heard(any_peer: Peer, transports: tuple[str, ...]) -> None:
    heard: list[object] = []
    async with connect_socketio(any_peer.url, transports=transports) as sio:
        for kind in (NamespaceConnected, NamespaceRefused, NamespaceLeft):
            sio.on(kind, heard.append)
        echo2 = await sio.namespace("/echo2")
        with pytest.raises(ConnectRefused) as caught:
            await sio.namespace("/nowhere")
        await echo2.leave()
        admin = await sio.namespace("/admin", auth=GRANTED)
        await admin.emit("kick")
        with pytest.raises(ConnectionClosed):
            await rest_of(admin)
        assert echo2.sid is not None
        assert admin.sid is not None
        expected = [
            NamespaceConnected("/echo2", echo2.sid),
            NamespaceRefused("/nowhere", caught.value),
            NamespaceLeft("/echo2", CloseReason.CLIENT_DISCONNECT),
            NamespaceConnected("/admin", admin.sid),
            NamespaceLeft("/admin", CloseReason.SERVER_DISCONNECT),
        ]
        assert await sio.call("echo", 1) == 1
        assert heard == expected


# ---------------------------------------------------------------------------------------------------------------------------------------- addresses


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("form", "namespace", "query"),
    [
        ("http://{}", "/", {}),
        ("http://{}/", "/", {}),
        ("ws://{}", "/", {}),
        ("ws://{}/", "/", {}),
        ("WS://{}/socket.io/", "/", {}),
        ("http://{}/socket.io", "/", {}),
        ("http://{}/echo2", "/echo2", {}),
        ("ws://{}/echo2?color=dark%20blue&size=", "/echo2", {"color": "dark blue", "size": ""}),
        ("http://{}?color=blue", "/", {"color": "blue"}),
        ("ws://{}/?color=blue", "/", {"color": "blue"}),
        ("http://{}/socket.io/?color=blue&EIO=3&transport=carrier-pigeon&sid=stale", "/", {"color": "blue"}),
    ],
)
async def test_a_url_says_where_and_which_namespace(
    any_peer: Peer, transports: tuple[str, ...], form: str, namespace: str, query: dict[str, str]
) -> None:
    async with connect_socketio(form.format(f"127.0.0.1:{any_peer.port}"), transports=transports) as sio:
        assert sio.name == namespace
        await welcome(sio)
        seen = (await sio.call("query"))["query"]
        token = seen.pop("t", None)
        assert seen == {**query, "EIO": "4", "transport": transports[0]}
        assert (token is None) is (transports == WEBSOCKET)  # it keeps caches from answering, and no cache answers a WebSocket


@ALL_TRANSPORTS
async def test_the_namespace_can_be_given_beside_the_url(any_peer: Peer, transports: tuple[str, ...]) -> None:
    for url in (any_peer.url, f"{any_peer.url}/socket.io/"):
        async with connect_socketio(url, namespace="/echo2", transports=transports) as sio:
            assert sio.name == (await sio.receive()).namespace == "/echo2"


@ALL_TRANSPORTS
async def test_a_namespace_that_is_given_twice_is_refused_here(any_peer: Peer, transports: tuple[str, ...]) -> None:
    for namespace in ("/admin", "/echo2"):
        with pytest.raises(LocalProtocolError) as caught:
            await connect_socketio(f"{any_peer.url}/echo2", namespace=namespace, transports=transports)
        assert caught.value.cause is Cause.BAD_URL


@ALL_TRANSPORTS
@ALL_KINDS
@pytest.mark.parametrize("path", ["/deep/mount/", "/deep/mount", "deep/mount"])
async def test_a_server_may_be_mounted_elsewhere(lend: Lend, kind: Kind, transports: tuple[str, ...], path: str) -> None:
    peer = lend(kind, path="/deep/mount/")
    for url, namespace in ((peer.url, "/"), (f"{peer.url}/", "/"), (f"{peer.url}/echo2?a=b", "/echo2")):
        async with connect_socketio(url, path=path, transports=transports) as sio:
            assert sio.name == namespace
            assert await sio.call("echo", 1) == 1
    # A path that ends with a slash is where the server is, whatever `path` says.
    async with connect_socketio(f"{peer.url}/deep/mount/", namespace="/echo2", transports=transports) as sio:
        assert await sio.call("echo", 1) == 1


@ALL_TRANSPORTS
async def test_user_and_password_reach_the_server_and_nobody_else(
    any_peer: Peer, transports: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    origin = f"http://somebody:s3cret%21@127.0.0.1:{any_peer.port}"
    async with connect_socketio(origin, transports=transports) as sio:
        seen = await sio.call("query")
        assert seen["headers"]["authorization"] == f"Basic {base64.b64encode(b'somebody:s3cret!').decode()}"
        assert "s3cret" not in str(seen["query"])
        assert "s3cret" not in repr(sio)
        await sio.emit("drop")
        with pytest.raises(EngineIOError) as dropped:
            await rest_of(sio)
    errors: list[BaseException] = [dropped.value]
    for url in (f"{origin}/nowhere", f"{origin}/elsewhere/", f"{origin}/#fragment"):
        with pytest.raises(EngineIOError) as caught:
            await connect_socketio(url, transports=transports)
        errors.append(caught.value)
    assert len({type(error) for error in errors[1:]}) == 3  # the namespace is refused, the path is wrong, the URL is none
    for error in errors:
        told = f"{error} {error!r} {vars(error)}"
        assert "s3cret" not in told
        assert "somebody" not in told
    assert "s3cret" not in caplog.text
