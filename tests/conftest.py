"""Fixtures of the whole suite: nothing left running, real peers, and how long hypothesis may think.

- Every ``async def`` test is checked for leaks after its other fixtures are gone (`no_leaks`, without asking for it).
- `peer_server` starts a real server with options for one test; `any_peer`, `node_peer` and `python_peer` lend one with default options that is shared
  by the whole run (its state is per connection), so do not kill those. All mark their test with ``peer``.
- `http_proxy` and `http_proxy_with_password` lend a real proxy that has seen nothing yet, `mock_ai_api` is the base URL of a real server of chat
  completions. They are shared by the whole run and mark their test, too.
- `chromium` lends a real browser, `page` a page in it that knows nothing of any other test.
- Hypothesis runs the profile ``ci`` (repeatable) when CI=true, else ``dev``; ``HYPOTHESIS_PROFILE`` names another (``brief``, ``deep``).
"""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Unpack

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import left_behind, set_aside_what_is_there
from tests.peers import HERE, KINDS, Kind, Options, Peer, Process, StartPeer, browser, in_ci, missing
from tests.peers.browser import Chromium, Page
from tests.peers.environments import MOCK_AI_API
from tests.peers.http_proxy import HttpProxy

# --- hypothesis: bounded by examples, never by the clock, because two cores shared with servers stutter.

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=100, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("ci", max_examples=200, derandomize=True, print_blob=True, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("brief", max_examples=30, derandomize=True, print_blob=True, **_COMMON)  # type: ignore[arg-type]
settings.register_profile("deep", max_examples=5000, **_COMMON)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if in_ci() else "dev"))

# --- A shell makes what runs in the background ignore Ctrl-C, children inherit that, and tests of what Ctrl-C does would wait for ever.

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# --- Nothing is left running.


_LONG = (
    "tests/aio/test_delivery_under_fire",
    "tests/aio/test_features",
    "tests/bridge/",
    "tests/capture/importers/",
    "tests/capture/test_ladder_page",
    "tests/cassettes/test_plugin",
    "tests/core/test_model",
    "tests/core/test_mutants",
    "tests/proxy/test_record",
    "tests/replay/test_model",
    "tests/replay/test_mutants",
    "tests/replay/test_whole_story",
    "tests/socketio/test_link_model",
    "tests/socketio/test_msgpack_laws",
    "tests/sse/test_vectors",
)
"""What takes a minute or more together, and is the same on every Python."""

_EVERYWHERE = (
    "tests/aio/test_interop",
    "tests/bridge/test_documented",
    "tests/cassettes/",
    "tests/replay/test_serving",
    "tests/sse/test_network",
)
"""What meets real peers on the newest Python, too: enough to tell whether anything works at all there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Guard every coroutine test with `no_leaks`, before (and so outside of) its other fixtures; mark the users of peers, and what is long."""
    for item in items:
        if item.nodeid.startswith(_LONG):
            item.add_marker("long")
        assert isinstance(item, pytest.Function)
        if inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_leaks")
        if _PEER_FIXTURES.intersection(item.fixturenames):
            item.add_marker("peer")
            if item.nodeid.startswith(_EVERYWHERE):
                item.add_marker("everywhere")


def pytest_collection_finish() -> None:
    """Keep the leak check fast."""
    set_aside_what_is_there()


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """After the test and its fixtures: no task, no aiohttp session and no connector is left, or the test fails with their names."""
    yield
    left = await left_behind()
    set_aside_what_is_there()  # what is left, too, or every later test would be blamed for it
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


# --- Peers.


_PEER_FIXTURES = frozenset(
    {
        "any_peer",
        "chromium",
        "http_proxy",
        "http_proxy_with_password",
        "mock_ai_api",
        "node_client",
        "node_peer",
        "page",
        "peer_server",
        "python_peer",
    }
)


def _need(kind: Kind) -> None:
    reason = missing(kind)
    if reason is not None:
        (pytest.fail if in_ci() else pytest.skip)(f"no {kind} peer: {reason}")


@pytest.fixture
def peer_server() -> Iterator[StartPeer]:
    """A function `(kind, **options) -> Peer` whose servers are stopped after the test; see `tests/peers/__init__.py` for kinds and options."""
    with ExitStack() as stack:

        def start(kind: Kind, **options: Unpack[Options]) -> Peer:
            _need(kind)
            return stack.enter_context(Peer(kind, options))

        yield start


@pytest.fixture(scope="session")
def _shared_peers() -> Iterator[Callable[[Kind], Peer]]:
    with ExitStack() as stack:
        peers: dict[Kind, Peer] = {}

        def get(kind: Kind) -> Peer:
            _need(kind)
            if kind not in peers or not peers[kind].running:
                peers[kind] = stack.enter_context(Peer(kind))
            return peers[kind]

        yield get


@pytest.fixture(params=KINDS)
def any_peer(request: pytest.FixtureRequest, _shared_peers: Callable[[Kind], Peer]) -> Peer:
    """Each kind of server in turn, with default options, shared."""
    return _shared_peers(request.param)


@pytest.fixture
def node_peer(_shared_peers: Callable[[Kind], Peer]) -> Peer:
    """The Node server with default options, shared."""
    return _shared_peers("node")


@pytest.fixture
def python_peer(_shared_peers: Callable[[Kind], Peer]) -> Peer:
    """The python-socketio server with default options, shared."""
    return _shared_peers("python")


@pytest.fixture
def node_client() -> None:
    """Ask for this to use `tests.peers.run_client`: skips or fails where Node is missing."""
    _need("node")


@pytest.fixture(scope="session")
def _http_proxies() -> Iterator[Callable[[bool], HttpProxy]]:
    with ExitStack() as stack:

        @cache
        def get(password: bool) -> HttpProxy:
            return stack.enter_context(HttpProxy(password=password))

        yield get


@pytest.fixture
def http_proxy(_http_proxies: Callable[[bool], HttpProxy]) -> HttpProxy:
    """A proxy that lets everybody through, shared; its `requests()` are those of this test."""
    proxy = _http_proxies(False)
    proxy.forget()
    return proxy


@pytest.fixture
def http_proxy_with_password(_http_proxies: Callable[[bool], HttpProxy]) -> HttpProxy:
    """A proxy that wants the user and password of its `url`, shared; its `requests()` are those of this test."""
    proxy = _http_proxies(True)
    proxy.forget()
    return proxy


@pytest.fixture(scope="session")
def mock_ai_api() -> Iterator[str]:
    """The base URL (with ``/v1``) of mock-ai-api; ``tests/peers/mock_ai_api.py`` names its models."""
    reason = MOCK_AI_API.missing()
    if reason is not None:
        (pytest.fail if in_ci() else pytest.skip)(f"no mock-ai-api: {reason}")
    with Process("mock-ai-api", [str(MOCK_AI_API.python), str(HERE / "mock_ai_api.py")]) as server:
        yield f"{server.url}/v1"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A headless browser, shared; `page` opens a page in it, with cookies and storage of its own."""
    reason = browser.missing()
    if reason is not None:
        (pytest.fail if in_ci() else pytest.skip)(f"no Chromium: {reason}")
    with Chromium() as started:
        yield started


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    """A page of the shared browser that shares nothing with the pages of other tests."""
    async with chromium.page() as page:
        yield page
