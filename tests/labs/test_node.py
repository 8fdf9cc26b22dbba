"""The client against Node's socket.io, the reference implementation: the same bad days as in `test_client`, told in another way."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from perplexity_labs import (
    Citations,
    ConnectionLost,
    Finish,
    LabsClient,
    Part,
    ResponseError,
    ServiceError,
    TextDelta,
    TextReset,
)
from tests.peers import HERE, Peer, in_ci, missing

pytestmark = pytest.mark.peer

StartLabs = Callable[..., str]


class LabsPeer(Peer):
    """The Node server that speaks the dialect, as a peer."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._words = json.dumps(options)
        super().__init__("node")

    def _started(self) -> subprocess.Popen[bytes]:
        command = ["node", str(HERE / "labs.cjs"), self._words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)


@pytest.fixture
def labs_peer() -> Iterator[StartLabs]:
    """A function that starts a server with options (those of ``labs.cjs``) until the end of the test, and returns its URL."""
    if (reason := missing("node")) is not None:
        (pytest.fail if in_ci() else pytest.skip)(f"no node peer: {reason}")
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(LabsPeer(options)).url


@pytest.fixture(params=[("polling",), ("websocket",), ("polling", "websocket")], ids="+".join)
def transports(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Each way to travel in turn."""
    chosen: tuple[str, ...] = request.param
    return chosen


async def read(parts: AsyncGenerator[Part, None]) -> list[Part]:
    return [part async for part in parts]


async def fail(parts: AsyncGenerator[Part, None]) -> tuple[list[Part], ResponseError]:
    seen: list[Part] = []
    try:
        async for part in parts:
            seen.append(part)
    except ResponseError as error:
        return seen, error
    raise AssertionError("the answer did not fail")


async def test_an_answer_streams(labs_peer: StartLabs, transports: tuple[str, ...]) -> None:
    async with LabsClient(labs_peer(), transports=transports) as labs:
        assert await read(labs.stream("Why?", model="sonar")) == [
            *map(TextDelta, ["Because", " it", " can", "."]),
            Citations(("https://a.example",)),
            Finish(),
        ]


async def test_pings_before_the_first_token_are_answered(labs_peer: StartLabs, transports: tuple[str, ...]) -> None:
    # Without a pong the server would have hung up long before the first word, which comes after five of its pings.
    async with LabsClient(labs_peer(pingInterval=200, pingTimeout=3000, delayFirst=4000), transports=transports) as labs:
        assert (await labs.complete("Why?")).text == "Because it can."


async def test_a_rewritten_text_is_reset(labs_peer: StartLabs, transports: tuple[str, ...]) -> None:
    async with LabsClient(labs_peer(rewriteAt=2, rewritten="Since it"), transports=transports) as labs:
        parts = await read(labs.stream("Why?"))
        assert parts[:4] == [TextDelta("Because"), TextDelta(" it"), TextReset("Since it can"), TextDelta(".")]


async def test_a_failure_is_in_the_servers_words(labs_peer: StartLabs, transports: tuple[str, ...]) -> None:
    async with LabsClient(labs_peer(failAfter=2, fail="Too many requests"), transports=transports) as labs:
        seen, error = await fail(labs.stream("Why?"))
        assert seen == [TextDelta("Because"), TextDelta(" it")]
        assert type(error) is ServiceError
        assert (error.message, error.cause, error.partial) == ("Too many requests", "answer-failed", "Because it")


async def test_a_refusal_is_in_the_servers_words(labs_peer: StartLabs, transports: tuple[str, ...]) -> None:
    async with LabsClient(labs_peer(refuse="come back later"), transports=transports) as labs:
        seen, error = await fail(labs.stream("Why?"))
        assert seen == []
        assert type(error) is ServiceError
        assert (error.message, error.cause) == ("come back later", "namespace-refused")


CAUSES = {
    "dropAfter": {"connection-lost", "connect-refused", "websocket-closed"},
    "disconnectAfter": {"server-disconnected"},
    # On a WebSocket Node sends no close packet: it closes the socket.
    "closeAfter": {"server-closed", "websocket-closed"},
}


@pytest.mark.parametrize("pattern", CAUSES)
async def test_a_link_that_ends_in_the_middle_keeps_the_text(labs_peer: StartLabs, transports: tuple[str, ...], pattern: str) -> None:
    async with LabsClient(labs_peer(**{pattern: 2}, pace=50), transports=transports) as labs:
        seen, error = await fail(labs.stream("Why?"))
        assert seen == [TextDelta("Because"), TextDelta(" it")]
        assert type(error) is ConnectionLost
        assert error.partial == "Because it"
        assert error.cause in CAUSES[pattern]
