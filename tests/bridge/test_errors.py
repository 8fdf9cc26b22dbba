"""Why it does not connect, told to `connect`, to ``connect_error`` handlers and to whoever looks at the cause; and servers that talk nonsense."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import engineio
import pytest
import socketio as original

import engineio_lite.bridge as socketio
from engineio_lite import Cause, ConnectFailed, ConnectRefused, EngineIOError, HandshakeError, Limits, LocalProtocolError, TimedOut, Timeouts
from engineio_lite.bridge import exceptions
from engineio_lite.bridge.packets import Malformed, strict
from tests.aio.raw import Connection, EngineServer, Request, Stage, response
from tests.aio.raw import socketio as replies
from tests.bridge.tools import ALL_TRANSPORTS, SLACK, Reports, Seen, Transports, comes_true, watched
from tests.leaks import left_behind
from tests.peers import Peer, StartPeer

NOBODY = "http://127.0.0.1:9"


async def failure(sio: Any, url: str, **options: Any) -> exceptions.ConnectionError:
    """The error with which it does not connect; then nothing is left."""
    with pytest.raises(exceptions.ConnectionError) as caught:
        await sio.connect(url, **options)
    assert not sio.connected
    assert sio.eio.state == "disconnected"
    assert await left_behind() == []
    return caught.value


# ------------------------------------------------------------------------------------------------------------------------- errors and their causes


@ALL_TRANSPORTS
async def test_nobody_listens(transports: Transports) -> None:
    sio, seen = watched()
    error = await failure(sio, NOBODY, transports=transports)
    cause = error.__cause__
    assert isinstance(cause, ConnectFailed)
    assert cause.cause is Cause.CONNECT_REFUSED
    assert error.args == (str(cause),)
    assert seen == [("connect_error", str(cause))]
    assert cause.fix == "start the server, or correct host and port"


async def test_the_engine_says_it_in_its_own_exception() -> None:
    sio, _ = watched()
    with pytest.raises(engineio.exceptions.ConnectionError) as caught:
        await sio.eio.connect(NOBODY)
    assert isinstance(caught.value.__cause__, ConnectFailed)
    assert str(caught.value) == str(caught.value.__cause__)


@pytest.mark.parametrize("url", ["localhost:5000", "ftp://host.example", "http://", "http://[bad", "http://host:port/", "http://a b/"])
async def test_urls_that_are_none(url: str) -> None:
    sio, seen = watched()
    error = await failure(sio, url)
    assert isinstance(error.__cause__, LocalProtocolError)
    assert error.__cause__.cause is Cause.BAD_URL
    assert len(seen) == 1


async def test_transports_that_are_none() -> None:
    sio, seen = watched()
    with pytest.raises(ValueError, match="No valid transports provided"):
        await sio.connect(NOBODY, transports=["pigeon"])
    assert seen == []


@ALL_TRANSPORTS
async def test_a_path_where_nothing_is(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    error = await failure(sio, any_peer.url, transports=transports, socketio_path="elsewhere")
    assert isinstance(error.__cause__, EngineIOError)
    # Node answers no upgrade request on a path that is not its own; it closes the connection after a second.
    mute = any_peer.kind == "node" and transports == ["websocket"]
    assert error.__cause__.cause is (Cause.CONNECTION_LOST if mute else Cause.WRONG_PATH)
    assert seen == [("connect_error", str(error.__cause__))]


async def test_a_connect_error_handler_gets_what_the_server_says_in_json(peer_server: StartPeer) -> None:
    """As with the original: the decoded body of a refusal, where there is one, in place of the text."""
    peer = peer_server("node", transports=["websocket"])
    told = []
    for client in (original.AsyncClient(handle_sigint=False), socketio.AsyncClient()):
        seen = Seen()
        client.on("connect_error", seen.note)
        with pytest.raises(exceptions.ConnectionError) as caught:
            await client.connect(peer.url)
        told.append(list(seen))
        if isinstance(client, socketio.AsyncClient):
            assert isinstance(caught.value.__cause__, HandshakeError)
            assert caught.value.__cause__.cause is Cause.TRANSPORT_UNKNOWN
            assert caught.value.args == (str(caught.value.__cause__),)
    assert told == [[{"code": 0, "message": "Transport unknown"}]] * 2


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (b'"who are you?"', "application/json", "who are you?"),
        (b'{"cut": ', "application/json", None),
        (json.dumps({"long": "x" * 5000}).encode(), "application/json; charset=utf-8", None),
        (b'{"not": "said to be JSON"}', "text/plain", None),
        (b"<html>go away</html>", "text/html", None),
        (b"", "application/json", None),
    ],
)
async def test_bodies_of_refusals(body: bytes, kind: str, data: Any) -> None:
    async def refuse(connection: Connection, request: Request) -> None:
        await connection.send(response(401, body, kind=kind))

    async with EngineServer({Stage.HANDSHAKE: refuse}) as server:
        sio, seen = watched()
        error = await failure(sio, server.origin)
        assert isinstance(error.__cause__, EngineIOError)
        assert error.__cause__.status == 401
        assert seen == [("connect_error", data if data is not None else str(error.__cause__))]


@ALL_TRANSPORTS
async def test_a_namespace_that_is_refused(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched("/admin")
    error = await failure(sio, any_peer.url, transports=transports, auth={"token": "guess"})
    assert isinstance(error.__cause__, ConnectRefused)
    assert (error.__cause__.namespace, error.__cause__.refusal, error.__cause__.data) == ("/admin", "not authorized", {"code": 7})
    assert str(error).startswith("One or more namespaces failed to connect: /admin; ")
    assert str(error.__cause__) in str(error)
    assert seen == [("connect_error", {"message": "not authorized", "data": {"code": 7}})]


@ALL_TRANSPORTS
async def test_a_namespace_that_is_refused_beside_one_that_is_not(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched()
    error = await failure(sio, any_peer.url, transports=transports, namespaces=["/", "/nowhere"])
    assert isinstance(error.__cause__, ConnectRefused)
    assert error.__cause__.namespace == "/nowhere"
    assert seen[0] == "connect" or seen[0][0] == "welcome"


@ALL_TRANSPORTS
async def test_a_namespace_that_is_refused_with_a_string(any_peer: Peer, transports: Transports) -> None:
    sio, seen = watched("/refuse-string")
    error = await failure(sio, any_peer.url, transports=transports)
    assert isinstance(error.__cause__, ConnectRefused)
    assert error.__cause__.refusal == "no entry"
    assert seen == [("connect_error", "no entry")]


@ALL_TRANSPORTS
async def test_a_namespace_that_is_not_answered(any_peer: Peer, transports: Transports) -> None:
    sio, _ = watched("/slow", timeouts=Timeouts(close=0.2))
    error = await failure(sio, any_peer.url, transports=transports, wait_timeout=0.1)
    assert isinstance(error.__cause__, TimedOut)
    assert error.__cause__.cause is Cause.CONNECT_UNANSWERED
    assert str(error) == "expected the server's answer to CONNECT of /slow within 0.1 s, nothing came [connect-unanswered, stage namespace]"


async def test_auth_that_cannot_be_had_or_sent(peer_server: StartPeer) -> None:
    peer = peer_server("node", maxHttpBufferSize=2000)

    def fails() -> dict[str, str]:
        raise KeyError("no token")

    sio, _ = watched()
    error = await failure(sio, peer.url, auth=fails)
    assert str(error) == "Connect handler failed: 'no token'"
    assert isinstance(error.__cause__, KeyError)
    with pytest.raises(LocalProtocolError) as caught:
        await sio.connect(peer.url, auth={"token": "x" * 3000})
    assert caught.value.cause is Cause.PAYLOAD_TOO_LARGE
    assert await left_behind() == []
    await sio.connect(peer.url)
    await sio.disconnect()


async def test_auth_that_awaits_what_somebody_else_cancelled(any_peer: Peer) -> None:
    shared = asyncio.get_running_loop().create_future()
    shared.cancel()

    async def token() -> Any:
        return await shared

    sio, _ = watched()
    error = await failure(sio, any_peer.url, auth=token)
    assert str(error) == "Connect handler failed: it was cancelled"


async def test_a_function_for_url_or_headers_that_fails_is_the_callers_affair(any_peer: Peer) -> None:
    async def fails() -> Any:
        raise KeyError("none")

    sio, _ = watched()
    for arguments in ({"url": fails}, {"url": any_peer.url, "headers": fails}):
        with pytest.raises(KeyError):
            await sio.connect(**arguments)
    assert await left_behind() == []
    await sio.connect(any_peer.url)
    await sio.disconnect()


async def test_only_one_connection_is_made_at_a_time(any_peer: Peer) -> None:
    sio, seen = watched()
    results = await asyncio.gather(*(sio.connect(any_peer.url) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["None", "Already connecting", "Already connecting"]
    with pytest.raises(exceptions.ConnectionError, match="Already connected"):
        await sio.connect(any_peer.url)
    with pytest.raises(ValueError, match="not in a disconnected state"):
        await sio.eio.connect(any_peer.url)
    assert await sio.call("echo", 1) == 1
    assert seen.count("connect") == 1
    await sio.disconnect()


# ----------------------------------------------------------------------------------------------------------------------------------- nonsense


NONSENSE: list[tuple[list[str], Cause]] = [
    (["4"], Cause.BAD_PAYLOAD),
    (["49"], Cause.BAD_PAYLOAD),
    (["4two"], Cause.BAD_PAYLOAD),
    (["42{}"], Cause.BAD_PAYLOAD),
    (["42[]"], Cause.BAD_PAYLOAD),
    (["42[null]"], Cause.BAD_PAYLOAD),
    (["42[{}]"], Cause.BAD_PAYLOAD),
    (['42["cut"'], Cause.BAD_PAYLOAD),
    (['42["deep",' + "[" * 200_000], Cause.BAD_PAYLOAD),
    (["43"], Cause.BAD_PAYLOAD),
    (["431{}"], Cause.BAD_PAYLOAD),
    (["40[]"], Cause.BAD_PAYLOAD),
    (["42" + "1" * 200 + '["id"]'], Cause.BAD_PAYLOAD),
    (["4599999999999-[]"], Cause.BAD_PAYLOAD),
    (["bAAAA"], Cause.BAD_PAYLOAD),
    (['451-["event",{"_placeholder":true,"num":0}]', '42["event"]'], Cause.TEXT_WHILE_RECONSTRUCTING),
    (['451-["event",{"_placeholder":true,"num":7}]', "bAAAA"], Cause.BAD_PLACEHOLDER),
    (['4511-["event"]'], Cause.TOO_MANY_ATTACHMENTS),
    (['452-["event"]', "bAAAA", "b" + "AAAA" * 100], Cause.ATTACHMENTS_TOO_LARGE),
]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]], ids="+".join)
@pytest.mark.parametrize(("packets", "cause"), NONSENSE, ids=lambda value: value[0][:30] if isinstance(value, list) else "")
async def test_what_makes_no_sense_ends_the_connection_and_says_what_came(packets: list[str], cause: Cause, transports: list[str]) -> None:
    """The original reports most of these to nobody, and goes on in the belief that all is well; some make it deaf."""
    async with EngineServer(reply=replies) as server:
        sio, seen = watched(reconnection=False, limits=Limits(max_attachments=10, max_attachment_bytes=100))
        await sio.connect(server.origin, transports=transports)
        server.push(*packets, '42["never"]')
        await sio.wait()
        assert seen == ["connect", ("disconnect", "transport error")]
        assert sio.eio.failure is not None
        assert sio.eio.failure.cause is cause
        assert sio.eio.closed is not None
        assert sio.eio.closed.reason == "parse error"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"packet_type": "2"}, "expected a packet type 0 to 6, got '2'"),
        ({"packet_type": 7}, "expected a packet type 0 to 6, got 7"),
        ({"packet_type": 2, "namespace": 5, "data": ["event"]}, "expected a namespace, got int"),
        ({"packet_type": 2, "namespace": "/", "data": [b"event"]}, "expected an event as an array that begins with its name"),
    ],
)
def test_what_a_serializer_makes_of_it_is_looked_at(values: dict[str, Any], words: str) -> None:
    class Odd(original.packet.Packet):  # type: ignore[misc]
        def decode(self, encoded_packet: str) -> None:
            self.__dict__.update(values)

    with pytest.raises(Malformed, match=words):
        strict(Odd, Limits())(encoded_packet="anything")


async def test_after_nonsense_it_connects_again_and_starts_afresh() -> None:
    async with EngineServer(reply=replies) as server:
        sio, seen = watched()
        await sio.connect(server.origin, transports=["polling"])
        server.push('451-["event",{"_placeholder":true,"num":0}]', "42[]")
        await seen.until(lambda: seen.count("connect") == 2)
        server.say('2["event",1]')
        await seen.has(("event", (1,)))
        await sio.disconnect()


async def test_a_server_cannot_make_the_client_remember_what_nobody_asked_for() -> None:
    async with EngineServer(reply=replies) as server:
        sio, seen = watched()
        await sio.connect(server.origin, transports=["polling"])
        for i in range(100):
            server.say(f'0/{i},{{"sid":"s"}}', f'4/{i},{{"message":"no"}}', f'3/{i},1["answer"]')
        server.say('4{"message":"no"}', '4{"message":"no"}', '0{"sid":"again"}')
        await seen.has(("connect_error", {"message": "no"}))
        server.say('2["last"]')
        await seen.has(("last", ()))
        assert seen.count(("connect_error", {"message": "no"})) == 1
        assert len(sio.namespaces) + len(sio.failed_namespaces) + len(sio.callbacks) <= 2
        await sio.disconnect()


async def test_odd_but_harmless_packets() -> None:
    async with EngineServer(reply=replies) as server:
        sio, seen = watched()
        await sio.connect(server.origin, transports=["polling"])
        server.say('50-["none attached",1]', "60-[]", "30[]", "39999[1]", "399[1]", '2/other,["elsewhere"]', "1/other,", '2[7,"a number for a name"]')
        server.say('2["last"]')
        await seen.has(("last", ()))
        assert seen == ["connect", ("none attached", (1,)), (7, ("a number for a name",)), ("last", ())]
        assert await sio.call("sum", 1) == ("sum", 1)
        await sio.disconnect()


@ALL_TRANSPORTS
async def test_acknowledgements_that_come_twice_or_unasked(any_peer: Peer, transports: Transports) -> None:
    sio, _ = watched()
    await sio.connect(any_peer.url, transports=transports)
    answers = Seen()
    await sio.emit("ackstwice", "a", callback=answers.note)
    assert await sio.call("ackunknown", "b") == "b"
    await answers.has("a")
    assert await sio.call("echo", "c") == "c"
    assert answers == ["a"]
    await sio.disconnect()


async def test_a_callback_that_fails_is_reported(any_peer: Peer, reports: Reports) -> None:
    sio, _ = watched()
    await sio.connect(any_peer.url)

    def fails(*values: Any) -> None:
        raise KeyError(values)

    await sio.emit("echo", 1, callback=fails)
    await comes_true(lambda: bool(reports), SLACK)
    assert repr(reports.pop()["exception"]) == "KeyError((1,))"
    assert await sio.call("echo", 2) == 2
    await sio.disconnect()
