"""Programs as the documentation of python-socketio teaches to write them, with only the import changed, against real servers.

Every feature that its pages on the asyncio client describe has a test here: handlers by decorator, by name, catch-all, in classes; emitting; calling
and being called back; connecting with options; waiting, sleeping, tasks in the background; the simple client.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import engineio_lite.bridge as socketio
from engineio_lite.bridge import exceptions
from tests.bridge.tools import ALL_TRANSPORTS, Seen, Transports, watched
from tests.peers import Peer


@ALL_TRANSPORTS
async def test_handlers_by_decorator_by_name_and_as_methods(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()

    @sio.event  # type: ignore[untyped-decorator]
    async def connect() -> None:
        seen.note("connected")
        await sio.emit("echo", {"from": "the connect handler"})

    @sio.event  # type: ignore[untyped-decorator]
    def welcome(data: dict[str, Any]) -> None:
        seen.note(("welcome", sorted(data)))

    @sio.on("echo")  # type: ignore[untyped-decorator]
    async def on_echo(data: Any) -> None:
        await sio.sleep(0)
        seen.note(data)

    def number(i: int) -> None:
        seen.note(i)

    sio.on("number", number)

    @sio.event  # type: ignore[untyped-decorator]
    def disconnect(reason: str) -> None:
        seen.note(("disconnected", reason == sio.reason.CLIENT_DISCONNECT))

    await sio.connect(any_peer.url, transports=transports)
    await seen.has("connected", ("welcome", ["auth", "transport"]), {"from": "the connect handler"})
    await sio.emit("flood", 3)
    await seen.has(0, 1, 2)
    await sio.disconnect()
    assert seen[-1] == ("disconnected", True)


@ALL_TRANSPORTS
async def test_a_disconnect_handler_of_the_old_kind_takes_no_reason(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()

    @sio.event  # type: ignore[untyped-decorator]
    async def disconnect() -> None:
        seen.note("gone")

    await sio.connect(any_peer.url, transports=transports)
    await sio.disconnect()
    assert seen == ["gone"]


@ALL_TRANSPORTS
async def test_catch_all_events_and_catch_all_namespaces(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncClient()
    seen = Seen()

    @sio.on("*")  # type: ignore[untyped-decorator]
    async def any_event(event: str, *args: Any) -> None:
        seen.note((event, args))

    @sio.on("echo", namespace="*")  # type: ignore[untyped-decorator]
    async def echo_anywhere(namespace: str, *args: Any) -> None:
        seen.note((namespace, args))

    @sio.on("*", namespace="*")  # type: ignore[untyped-decorator]
    async def anything_anywhere(event: str, namespace: str, *args: Any) -> None:
        seen.note((event, namespace))

    await sio.connect(any_peer.url, transports=transports, namespaces=["/", "/admin"], auth={"token": "letmein"})
    await sio.emit("echo", ("a", 1))
    await sio.emit("echo", ("b", 2), namespace="/admin")
    await seen.has(("echo", ("a", 1)), ("/admin", ("b", 2)), ("welcome", "/admin"))
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_class_based_namespaces(any_peer: Peer, transports: Transports) -> None:
    seen = Seen()

    class Admin(socketio.AsyncClientNamespace):  # type: ignore[misc]
        async def on_connect(self) -> None:
            seen.note("connect")
            await self.emit("echo", "from the class")

        async def on_disconnect(self, reason: str) -> None:
            seen.note(reason)

        def on_welcome(self, data: dict[str, Any]) -> None:
            seen.note(sorted(data))

        async def on_echo(self, *data: Any) -> None:
            seen.note(data)
            if data == ("from the class",):
                seen.note(await self.call("auth"))
                await self.send("a message")

    sio = socketio.AsyncClient()
    sio.register_namespace(Admin("/admin"))
    await sio.connect(any_peer.url, transports=transports, auth={"token": "letmein"})
    await seen.has("connect", ["auth", "transport"], ("from the class",), {"token": "letmein"})
    await sio.namespace_handlers["/admin"].disconnect()
    assert seen[-1] == "client disconnect"


@ALL_TRANSPORTS
@pytest.mark.parametrize(
    ("data", "returned"),
    [
        ("text", "text"),
        (None, None),
        ({"a": [1, 2.5, None, True]}, {"a": [1, 2.5, None, True]}),
        (("two", "values"), ("two", "values")),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"mutable"), b"mutable"),
        (({"deep": [b"", {"er": b"\x01"}]}, "grüße \U0001f600"), ({"deep": [b"", {"er": b"\x01"}]}, "grüße \U0001f600")),
        ([], []),
        ("\x1e", "\x1e"),
    ],
    ids=repr,
)
async def test_what_is_emitted_comes_back(any_peer: Peer, transports: Transports, data: Any, returned: Any) -> None:
    sio, seen = watched()
    await sio.connect(any_peer.url, transports=transports)
    assert await sio.call("echo", data) == returned
    arguments = () if data is None else returned if isinstance(returned, tuple) else (returned,)
    await seen.has(("echo", arguments))
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_callbacks_and_calls(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("echo", ("a", 1), callback=lambda *args: seen.note(("plain", args)))

    async def answered(*args: Any) -> None:
        await asyncio.sleep(0)
        seen.note(("coroutine", args))

    await sio.emit("echo", b"b", callback=answered)
    await sio.send("a message", callback=lambda: seen.note("never: nobody listens to messages there"))
    await seen.has(("plain", ("a", 1)), ("coroutine", (b"b",)))
    assert await asyncio.gather(*(sio.call("echo", i) for i in range(100))) == list(range(100))
    with pytest.raises(exceptions.TimeoutError):
        await sio.call("never", timeout=0.05)
    assert await sio.call("echo", "still here") == "still here"
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_the_server_calls_and_the_handler_returns_the_answer(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()

    @sio.event  # type: ignore[untyped-decorator]
    async def question(*args: Any) -> Any:
        seen.note(await sio.call("echo", "asked meanwhile"))
        return "answer", {"to": args[0], "raw": b"\x07"}

    await sio.connect(any_peer.url, transports=transports)
    await sio.emit("askme", ("what?", 1))
    await seen.has("asked meanwhile")
    await seen.until(lambda: any(event[0] == "answer" for event in seen if isinstance(event, tuple)))
    [answer] = [event for event in seen if isinstance(event, tuple) and event[0] == "answer"]
    assert answer[1][0] == "answer"  # Node's callback takes the first value, python-socketio's server all of them
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_auth_as_a_dict_a_function_and_a_coroutine_function(any_peer: Peer, transports: Transports) -> None:
    async def soon() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"token": "soon"}

    given: list[tuple[Any, dict[str, str]]] = [
        ({"token": "dict"}, {"token": "dict"}),
        (lambda: {"token": "function"}, {"token": "function"}),
        (soon, {"token": "soon"}),
        (None, {}),
    ]
    for auth, expected in given:
        sio, _ = watched()
        await sio.connect(any_peer.url, transports=transports, auth=auth)
        assert await sio.call("auth") == expected
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_url_and_headers_may_be_functions_and_travel_with_the_request(any_peer: Peer, transports: Transports) -> None:
    async def url() -> str:
        return f"{any_peer.url}/this/path/is/replaced?color=blue"

    sio, _ = watched()
    headers = {"X-Mine": "yes"}
    await sio.connect(url, headers=lambda: headers, transports=transports, socketio_path="/socket.io/")
    seen = await sio.call("query")
    assert (seen["query"]["color"], seen["headers"]["x-mine"]) == ("blue", "yes")
    assert headers == {"X-Mine": "yes"}
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_what_a_client_knows_of_itself(any_peer: Peer, transports: Transports) -> None:
    sio, _ = watched()
    sio.on("echo", lambda *_: None, namespace="/admin")
    assert [sio.connected, sio.sid, sio.get_sid(), sio.transport()] == [False, None, None, None]
    await sio.connect(any_peer.url, transports=transports, auth={"token": "letmein"})
    assert sio.connected
    assert sio.transport() == (transports or ["websocket"])[0]
    assert sio.transport() == await sio.call("transport")
    assert sorted(sio.namespaces) == ["/", "/admin"]
    assert sio.get_sid() == (await sio.call("whoami"))["sid"]
    assert sio.get_sid("/admin") == (await sio.call("whoami", namespace="/admin"))["sid"]
    assert str(sio.sid) == sio.eio.sid
    await sio.disconnect()
    assert [sio.connected, sio.sid, sio.namespaces, sio.eio.state] == [False, None, {}, "disconnected"]


@ALL_TRANSPORTS
async def test_namespaces_that_are_not_connected_cannot_be_emitted_to(any_peer: Peer, transports: Transports) -> None:
    sio, _ = watched()
    with pytest.raises(exceptions.BadNamespaceError):
        await sio.emit("too early")
    await sio.connect(any_peer.url, transports=transports)
    with pytest.raises(exceptions.BadNamespaceError):
        await sio.emit("echo", 1, namespace="/admin")
    with pytest.raises(exceptions.ConnectionError, match="Already connected"):
        await sio.connect(any_peer.url)
    await sio.disconnect()
    with pytest.raises(exceptions.BadNamespaceError):
        await sio.emit("too late")


@ALL_TRANSPORTS
async def test_connecting_without_waiting_for_the_namespaces(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    await sio.connect(any_peer.url, transports=transports, wait=False)
    assert sio.connected
    await seen.has("connect")
    await sio.disconnect()


@ALL_TRANSPORTS
async def test_waiting_and_tasks_in_the_background(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()

    async def work(count: int, *, name: str) -> str:
        for i in range(count):
            await sio.emit("echo", i)
            await sio.sleep(0.001)
        await sio.disconnect()
        return name

    await sio.connect(any_peer.url, transports=transports)
    task = sio.start_background_task(work, 3, name="worker")
    await sio.wait()
    assert await task == "worker"
    assert ("disconnect", "client disconnect") in seen


@ALL_TRANSPORTS
async def test_a_client_is_used_again(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    for i in range(3):
        await sio.connect(any_peer.url, transports=transports)
        assert await sio.call("echo", i) == i
        await sio.disconnect()
        await sio.wait()
    assert seen.count("connect") == seen.count(("disconnect", "client disconnect")) == 3
    await sio.shutdown()


# -------------------------------------------------------------------------------------------------------------------------------- the simple client


@ALL_TRANSPORTS
async def test_the_simple_client(any_peer: Peer, transports: Transports) -> None:
    async with socketio.AsyncSimpleClient() as sio:
        await sio.connect(any_peer.url, transports=transports, auth={"token": "t"})
        assert sio.sid
        assert sio.transport == (transports or ["websocket"])[0]
        assert await sio.receive(timeout=5) == ["welcome", {"auth": {"token": "t"}, "transport": (transports or ["polling"])[0]}]
        await sio.emit("echo", ("a", b"1"))
        assert await sio.receive() == ["echo", "a", b"1"]
        assert await sio.call("auth") == {"token": "t"}
        with pytest.raises(exceptions.TimeoutError):
            await sio.receive(timeout=0.05)
        with pytest.raises(exceptions.TimeoutError):
            await sio.call("never", timeout=0.05)
        with pytest.raises(RuntimeError, match="Already connected"):
            await sio.connect(any_peer.url)


@ALL_TRANSPORTS
async def test_the_simple_client_in_another_namespace_and_thrown_out(any_peer: Peer, transports: Transports) -> None:
    sio = socketio.AsyncSimpleClient()
    await sio.connect(any_peer.url, namespace="/admin", transports=transports, auth={"token": "letmein"})
    assert (await sio.receive(timeout=5))[0] == "welcome"
    await sio.emit("kick")
    with pytest.raises(exceptions.DisconnectedError):
        await sio.receive(timeout=5)
    with pytest.raises(exceptions.DisconnectedError):
        await sio.emit("anything")
    await sio.connect(any_peer.url, namespace="/admin", transports=transports, auth={"token": "letmein"})
    assert await sio.call("echo", "again") == "again"
    await sio.disconnect()


async def test_the_simple_client_says_why_it_cannot_connect(any_peer: Peer) -> None:
    async with socketio.AsyncSimpleClient(reconnection=False) as sio:
        with pytest.raises(exceptions.ConnectionError, match="not authorized"):
            await sio.connect(any_peer.url, namespace="/admin")
        assert not sio.connected
        with pytest.raises(exceptions.DisconnectedError):
            await sio.emit("anything")
