"""Sessions that are taken up where they were lost, at a real Node server with connection state recovery and a line that is cut.

What a server sends while a client is away comes when it is back: once, in order, before anything else, without the offsets that the server puts
behind the arguments. Where the server has forgotten, or never knew how, the client says that too. The pure half is `engineio_lite.socketio.recovery`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from engineio_lite.aio import Namespace, SocketIOClient, connect_socketio
from engineio_lite.events import Closed
from engineio_lite.exceptions import ConnectionClosed
from engineio_lite.socketio import EventReceived, NamespaceConnected, NamespaceLeft, Reconnected, Reconnecting, ReconnectPolicy
from tests.aio.again import ALL_TRANSPORTS, BOTH, POLLING, WEBSOCKET, Story, soon, start_again
from tests.aio.raw import Connection, RawServer, carry
from tests.peers import Peer, StartPeer
from tests.peers.proxy import Proxy

MISSED = 100

ADMIN = {"token": "letmein"}
ME = {"key": "me"}

SOON = ReconnectPolicy(delay=0.03, max_delay=0.05)

MOST_TRANSPORTS = pytest.mark.parametrize("transports", [WEBSOCKET, BOTH], ids="+".join)


@pytest.fixture
def peer(peer_server: StartPeer) -> Peer:
    """A Node server that remembers."""
    return peer_server("node", connectionStateRecovery={})


async def settled(sio: SocketIOClient, proxy: Proxy, story: Story) -> None:
    """Return when the server can notice a cut: it does if something of it is on the way, a WebSocket or a poll."""
    if await sio.wait_upgraded():
        await sio.call("echo")
        return
    came = len(story.args("settled"))
    await sio.call("later", 20, "settled")
    await story.comes(lambda: len(story.args("settled")) > came, "the last event for now")
    # Its answer has been read in this very moment: the next poll, which nothing answers, has not been passed on yet.
    before = proxy.bytes_up
    await proxy.until(lambda: proxy.bytes_up > before)


@asynccontextmanager
async def away(sio: SocketIOClient, proxy: Proxy, story: Story, other: SocketIOClient | None) -> AsyncIterator[None]:
    """Cut a client off for the time of the block, until it is back; with `other` it begins when the server knows that the one with `ME` is gone."""
    await settled(sio, proxy, story)
    ended = len(await other.call("reasons", "me")) if other is not None else 0
    lost, found = len(story.of(Reconnecting)), len(story.of(Reconnected))
    proxy.refuse()
    proxy.cut(reset=sio.transport == "websocket")  # a request and its reset may be one to the server, a request and its end are two
    await story.until(Reconnecting, lost + 1)
    while other is not None and len(await other.call("reasons", "me")) == ended:
        pass
    yield
    proxy.allow()
    await story.until(Reconnected, found + 1)


async def tell_everyone(other: Namespace, numbers: Iterable[int]) -> None:
    """Have the server send numbers; each is sent when this goes on."""
    for i in numbers:
        await other.call("everyone", "number", i)


async def numbers_come(story: Story, count: int, namespace: str = "/") -> None:
    """Return once so many numbers came, which must be those from 0 up, once and in order."""
    await story.comes(lambda: len(story.numbers(namespace)) >= count, f"{count} numbers in {namespace}")
    assert story.numbers(namespace) == list(range(count))


@asynccontextmanager
async def bystander(peer: Peer, **options: Any) -> AsyncIterator[SocketIOClient]:
    """A client whose line is not cut, with which to make the server talk."""
    async with connect_socketio(peer.url, transports=WEBSOCKET, **options) as other:
        other.on_any(lambda *args: None)
        yield other


# ------------------------------------------------------------------------------------------------------------------------------- what was missed


@pytest.mark.parametrize("parser", ["default", "msgpack"])
@ALL_TRANSPORTS
async def test_what_was_missed_comes_once_and_in_order(
    peer_server: StartPeer, transports: tuple[str, ...], parser: Literal["default", "msgpack"]
) -> None:
    peer = peer_server("node", connectionStateRecovery={}, parser=parser)
    handled: list[object] = []
    async with Proxy(peer) as proxy, bystander(peer, parser=parser) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON, parser=parser) as sio, Story(sio) as story:
            await sio.call("join", "room")
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            async with away(sio, proxy, story, other):
                since = len(story.told)
                await tell_everyone(other, range(MISSED))
            await numbers_come(story, MISSED)
            assert story.of(Reconnected)[-1].recovered
            assert (sio.sid, sio.recovered) == (sid, True)
            back = story.told[since:]
            joined = next(state for state in back if isinstance(state, NamespaceConnected))
            assert (joined.sid, joined.recovered) == (sid, True)
            first = next(state for state in back if isinstance(state, EventReceived) and state.name != "settled")
            assert (first.name, first.args) == ("number", [0])
            assert back.index(joined) < back.index(first)
            known = await sio.call("whoami")
            assert (known["sid"], known["recovered"], sorted(known["rooms"])) == (sid, True, sorted([str(sid), "room"]))
            assert len(story.args("welcome")) == 1
            # And life goes on, with handlers too.
            await tell_everyone(other, range(MISSED, MISSED + 10))
            await numbers_come(story, MISSED + 10)
            sio.on("number", lambda *args: handled.append(args))
            over = asyncio.create_task(sio.wait_for("over"))
            async with away(sio, proxy, story, other):
                await tell_everyone(other, range(10))
                await other.call("everyone", "over")
            assert (await soon(over)).args == []
            assert handled == [(i,) for i in range(10)]


@MOST_TRANSPORTS
async def test_what_was_on_its_way_is_not_lost_either(peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(peer) as proxy:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            await settled(sio, proxy, story)
            await sio.emit("stream", 800, 500)
            for turn, moment in enumerate((1, 150, 320, 600), 1):
                await story.comes(lambda: len(story.args("number")) >= moment, f"number {moment}")  # noqa: B023
                await sio.wait_upgraded()
                proxy.cut()
                await story.until(Reconnected, turn)
            await story.comes(lambda: len(story.args("number")) >= 800, "all numbers")
            assert story.args("number") == [[i, "x" * 500] for i in range(800)]
            assert [found.recovered for found in story.of(Reconnected)] == [True] * 4


@ALL_TRANSPORTS
async def test_a_session_can_be_taken_up_again_and_again(peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid, count = sio.sid, 0
            for missed in (5, 0, 0, 7, 3):
                async with away(sio, proxy, story, other):
                    await tell_everyone(other, range(count, count + missed))
                count += missed
                await numbers_come(story, count)
                assert (sio.sid, sio.recovered) == (sid, True)
            assert [found.recovered for found in story.of(Reconnected)] == [True] * 5
            await sio.call("echo")
            await numbers_come(story, count)


async def test_a_recovery_that_is_cut_is_made_good_by_the_next(peer: Peer) -> None:
    """Cut whenever a little more of the answer has passed; by WebSocket, which the server notices."""
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=WEBSOCKET, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            async with away(sio, proxy, story, other):
                for start in range(0, 200, 50):
                    await asyncio.gather(*(other.call("everyone", "number", i, "x" * 1000) for i in range(start, start + 50)))
                proxy.allow()
                for more in (100, 500, 1000, 5_000, 20_000, 50_000):
                    before = proxy.bytes_down
                    await proxy.until(lambda: proxy.bytes_down >= before + more)  # noqa: B023
                    proxy.cut()
            await story.comes(lambda: len(story.args("number")) >= 200, "all numbers")
            await sio.call("echo")
            assert story.args("number") == [[i, "x" * 1000] for i in range(200)]
            assert sio.sid == sid
            assert all(found.recovered for found in story.of(Reconnected))


async def test_more_can_be_missed_than_may_come_early(peer: Peer) -> None:
    """Node sends what was missed before it answers the CONNECT, however much that is."""
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=WEBSOCKET, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            async with away(sio, proxy, story, other):
                for start in range(0, 2000, 100):
                    await asyncio.gather(*(other.call("everyone", "number", i) for i in range(start, start + 100)))
            await numbers_come(story, 2000)


@MOST_TRANSPORTS
async def test_each_namespace_is_taken_up(peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(peer) as proxy, bystander(peer) as other:
        others = [other, await other.namespace("/echo2"), await other.namespace("/admin", auth=ADMIN)]
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            namespaces = [sio, await sio.namespace("/echo2"), await sio.namespace("/admin", auth=lambda: ADMIN)]
            await story.comes(lambda: all(story.args("welcome", namespace.name) for namespace in namespaces), "all welcomes")
            sids = [namespace.sid for namespace in namespaces]
            for turn in range(2):
                async with away(sio, proxy, story, other):
                    for i in range(turn * 30, turn * 30 + 30):
                        for each in others:
                            await each.call("everyone", "number", i)
                for namespace in namespaces:
                    await numbers_come(story, turn * 30 + 30, namespace.name)
                assert [namespace.sid for namespace in namespaces] == sids
                assert all(namespace.recovered for namespace in namespaces)
            assert [found.recovered for found in story.of(Reconnected)] == [True, True]
            # One that is joined meanwhile has nothing to be taken up, and so not everything was.
            async with away(sio, proxy, story, other):
                await namespaces[1].leave()
                joining = asyncio.create_task(sio.namespace("/echo2"))
                await asyncio.sleep(0)
            echo2 = await joining
            assert (sio.recovered, echo2.recovered, namespaces[2].recovered) == (True, False, True)
            assert echo2.sid != sids[1]
            assert not story.of(Reconnected)[-1].recovered


# -------------------------------------------------------------------------------------------------------------------------------- offsets


@ALL_TRANSPORTS
async def test_arguments_come_as_they_were_given(peer: Peer, transports: tuple[str, ...]) -> None:
    events: list[list[Any]] = [
        ["bare"],
        ["text", "hello"],
        ["text", "Q7y9hNq"],  # of the form of an offset
        ["blob", b"\x00\xff" * 500, {"deep": [b"", {"b": b"x"}], "text": "grüße"}],
        ["list", ["a", "b"], None],
        ["text", ""],
        ["blob", b"alone"],
    ]
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:

            def came() -> list[list[Any]]:
                names = {event[0] for event in events}
                return [[event.name, *event.args] for event in story.of(EventReceived) if event.name in names]

            for event in events:
                await other.call("everyone", *event)
            await story.comes(lambda: len(came()) >= len(events), "all events")
            assert came() == events
            async with away(sio, proxy, story, other):
                for event in events:
                    await other.call("everyone", *event)
            await story.comes(lambda: len(came()) >= 2 * len(events), "all events that were missed")
            assert came() == events + events
            assert sio.recovered
            assert story.args("welcome") == [[{"auth": ME, "transport": transports[0]}]]


async def test_volatile_events_and_questions_have_no_offset_and_keep_their_last_words(peer: Peer) -> None:
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=WEBSOCKET, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            await sio.call("volatile", "note", 1, "last words")
            asking = asyncio.create_task(sio.call("askme", "what?", "last words"))
            await story.comes(lambda: story.args("question") != [], "the question")
            [question] = [event for event in story.of(EventReceived) if event.name == "question"]
            await sio.acknowledge(question, "an answer")
            assert await asking == "an answer"
            assert story.args("note") == [[1, "last words"]]
            assert story.args("question") == [["what?", "last words"]]
            await sio.call("volatile", "note", "the very last")  # after which the reference client recovers nothing
            async with away(sio, proxy, story, other):
                await tell_everyone(other, range(3))
                await other.call("volatile", "note", "to others")
            await numbers_come(story, 3)
            assert sio.recovered
            assert story.args("note")[1:] == [["the very last"]]


# ------------------------------------------------------------------------------------------------------------------- what cannot be taken up


class CutAfterTheGrant(RawServer):
    """A line to a server that ends, the first time, right behind the answer to the CONNECT: no event has passed it."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer
        self.has_cut = False

    async def run(self, connection: Connection) -> None:
        server = Connection(*await asyncio.open_connection("127.0.0.1", self._peer.port))
        up = asyncio.create_task(carry(connection, server))
        try:
            if self.has_cut:
                await carry(server, connection)
            else:
                await connection.send(await server.head())
                while not self.has_cut:
                    head = await server.exactly(2)
                    assert head[1] < 126, "a short frame"
                    frame = await server.exactly(head[1])
                    await connection.send(head + frame)
                    self.has_cut = frame.startswith(b"40")
        finally:
            up.cancel()
            server.writer.transport.abort()


async def test_who_has_seen_nothing_gets_a_new_session(peer: Peer) -> None:
    async with CutAfterTheGrant(peer) as line, connect_socketio(line.origin, transports=WEBSOCKET, reconnect=SOON) as sio:
        sid = sio.sid
        async with Story(sio) as story:
            assert await story.until(Reconnected) == Reconnected(1, recovered=False)
            assert sio.sid != sid
            assert sio.recovered is False
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            # That one has something to show.
            sid = sio.sid
            line.connections[-1].cut()
            assert (await story.until(Reconnected, 2)).recovered
            assert (sio.sid, sio.recovered) == (sid, True)


@MOST_TRANSPORTS
async def test_a_session_that_has_expired_is_a_new_one_and_can_itself_be_taken_up(peer_server: StartPeer, transports: tuple[str, ...]) -> None:
    peer = peer_server("node", connectionStateRecovery={"maxDisconnectionDuration": 400})
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            async with away(sio, proxy, story, other):
                await tell_everyone(other, range(3))
                over = asyncio.create_task(other.wait_for("over"))
                await other.call("later", 450, "over")  # the server's own clock
                await over
            assert (sio.recovered, story.of(Reconnected)[-1].recovered) == (False, False)
            assert sio.sid != sid
            await story.comes(lambda: len(story.args("welcome")) == 2, "the new welcome")
            assert story.numbers() == [], "what was sent meanwhile is gone, and that is said"
            sid = sio.sid
            async with away(sio, proxy, story, other):
                await tell_everyone(other, range(3))
            await numbers_come(story, 3)
            assert (sio.sid, sio.recovered) == (sid, True)


async def cut_unnoticed(sio: SocketIOClient, proxy: Proxy, story: Story, say: Callable[[], Awaitable[object]]) -> None:
    """Cut a polling client off while the server has no request of it: `say` has it answer the poll, and the answer is what is lost."""
    await settled(sio, proxy, story)
    lost = len(story.of(Reconnecting))
    proxy.freeze()
    await say()
    proxy.refuse()
    proxy.cut()
    proxy.thaw()
    await story.until(Reconnecting, lost + 1)


async def test_who_is_back_before_the_server_noticed_gets_a_new_session_and_is_told(peer: Peer) -> None:
    """Between two polls a server has nothing by which to notice a cut, until the ping timeout; it keeps only what it knows to have ended."""
    async with Proxy(peer) as proxy, bystander(peer) as other:
        echo2 = await other.namespace("/echo2")
        async with connect_socketio(proxy.url, auth=ME, transports=POLLING, reconnect=SOON) as sio, Story(sio) as story:
            both: list[Namespace] = [sio, await sio.namespace("/echo2")]
            await story.comes(lambda: all(story.args("welcome", each.name) for each in both), "the welcomes")
            sids = [each.sid for each in both]
            waiting = asyncio.create_task(sio.call("never"))
            await sio.call("echo")
            await cut_unnoticed(sio, proxy, story, lambda: other.call("everyone", "number", 0))
            with pytest.raises(ConnectionClosed):
                await soon(waiting)
            meanwhile = asyncio.create_task(sio.call("echo", "emitted while away"))
            await echo2.call("everyone", "number", 0)
            assert await other.call("reasons", "me") == [], "the server has noticed nothing"
            proxy.allow()
            assert not (await story.until(Reconnected)).recovered
            assert [each.recovered for each in both] == [False, False]
            assert [joined.recovered for joined in story.of(NamespaceConnected)[-2:]] == [False, False]
            assert not {each.sid for each in both} & set(sids)
            assert await soon(meanwhile) == "emitted while away"
            await story.comes(lambda: all(len(story.args("welcome", each.name)) == 2 for each in both), "the new welcomes")
            assert story.numbers() == story.numbers("/echo2") == [], "what was sent meanwhile is gone, and that is said"
            # To the server both are there, and the new one is as good as any.
            assert await other.call("reasons", "me") == []
            sid = sio.sid
            async with away(sio, proxy, story, other):
                await tell_everyone(other, range(3))
            await numbers_come(story, 3)
            assert (sio.sid, sio.recovered) == (sid, True)


async def test_who_is_back_after_the_ping_timeout_is_taken_up_though_nobody_noticed_the_cut(peer_server: StartPeer) -> None:
    peer = peer_server("node", connectionStateRecovery={}, pingInterval=300, pingTimeout=1500)
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=POLLING, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            await cut_unnoticed(sio, proxy, story, lambda: other.call("everyone", "number", 0))
            await tell_everyone(other, range(1, 4))
            while not (reasons := await other.call("reasons", "me")):
                pass
            assert reasons == ["ping timeout"]
            proxy.allow()
            assert (await story.until(Reconnected)).recovered
            await numbers_come(story, 4)  # that of the lost answer, too
            assert (sio.sid, sio.recovered) == (sid, True)


@ALL_TRANSPORTS
async def test_a_server_that_was_started_again_knows_nothing(peer: Peer, transports: tuple[str, ...]) -> None:
    async with Proxy(peer) as proxy:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            await start_again(peer)
            assert not (await story.until(Reconnected)).recovered
            assert sio.sid != sid
            await story.comes(lambda: len(story.args("welcome")) == 2, "the new welcome")
            async with bystander(peer) as other, away(sio, proxy, story, other):
                pass
            assert sio.recovered


@ALL_TRANSPORTS
async def test_a_server_that_recovers_nothing_gives_a_new_session(any_peer: Peer, transports: tuple[str, ...]) -> None:
    """Both kinds, without the option; python-socketio has none."""
    async with Proxy(any_peer) as proxy, bystander(any_peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=transports, reconnect=SOON) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            async with away(sio, proxy, story, None):
                await other.call("everyone", "number", 0)
            assert not story.of(Reconnected)[-1].recovered
            assert sio.recovered is False
            assert sio.sid != sid
            await story.comes(lambda: len(story.args("welcome")) == 2, "the new welcome")
            assert await sio.call("auth") == ME
            assert story.numbers() == []
            # Without offsets last words are left alone.
            await sio.call("echo", 1, "Q7y9hNq")
            await story.comes(lambda: [1, "Q7y9hNq"] in story.args("echo"), "the echo")


async def test_recovery_can_be_declined(peer: Peer) -> None:
    async with Proxy(peer) as proxy, bystander(peer) as other:
        async with connect_socketio(proxy.url, auth=ME, transports=WEBSOCKET, reconnect=SOON, recovery=False) as sio, Story(sio) as story:
            await story.comes(lambda: story.args("welcome") != [], "the welcome")
            sid = sio.sid
            async with away(sio, proxy, story, other):
                pass
            assert (sio.recovered, sio.sid == sid) == (False, False)
            assert await sio.call("auth") == ME


async def test_what_was_left_on_purpose_is_not_taken_up(peer: Peer) -> None:
    stubborn = ReconnectPolicy(delay=0.03, decide=lambda lost: True)
    async with connect_socketio(peer.url, transports=WEBSOCKET, reconnect=stubborn) as sio, Story(sio) as story:
        echo2 = await sio.namespace("/echo2")
        await story.comes(lambda: story.args("welcome", "/echo2") != [] and story.args("welcome") != [], "the welcomes")
        sid = echo2.sid
        await echo2.leave()
        echo2 = await sio.namespace("/echo2")
        assert (echo2.sid == sid, echo2.recovered) == (False, False)
        await echo2.emit("kick")
        await story.until(NamespaceLeft, 2)
        echo2 = await sio.namespace("/echo2")
        assert not echo2.recovered
        assert await echo2.call("auth") == {}
        await echo2.leave()
        sid = sio.sid
        await sio.emit("kick")
        assert not (await story.until(Reconnected)).recovered
        assert sio.sid != sid
        assert await sio.call("auth") == {}
    assert story.of(Closed) != [] or sio.closed is not None
