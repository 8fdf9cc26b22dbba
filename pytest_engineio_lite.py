"""The pytest plugin: a test plays a recorded Socket.IO conversation, whatever client it uses.

::

    @pytest.mark.sio_cassette                      # cassettes/MODULE/TEST.eio.jsonl beside the test
    async def test_labs(sio_cassette):
        async with connect_socketio(sio_cassette.url) as sio: ...

Options: ``--sio-record`` (none, once, new_sessions, all, rewrite, passthrough; see `engineio_lite.cassettes`), ``--sio-upstream URL`` (the server to
record), ``--sio-block-network``, ``--sio-timing``. A fixture `sio_cassette_config`, of any scope, returns what is common to the tests that see it:
the arguments of `engineio_lite.cassettes.Cassette`, and ``directory``. The marker takes the same, and a name for the cassette as its first
argument.

pytest imports this module whenever it starts, so it imports nothing of the library until a test uses a cassette.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from engineio_lite.cassettes import Cassette

__all__ = ["sio_cassette", "sio_cassette_config"]

MARKER: Final = "sio_cassette"

MODES: Final = ("none", "once", "new_sessions", "all", "rewrite", "passthrough")
"""As in `engineio_lite.cassettes.Mode`, which is not imported here."""

MAX_NAME: Final = 100
"""Characters of a file's name, its ending aside; longer ones, of parametrised tests, are cut and told apart by a hash."""

SUFFIX: Final = ".eio.jsonl"

_current = pytest.StashKey["Cassette"]()
_passed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("sio", "Socket.IO cassettes")
    group.addoption("--sio-record", choices=MODES, default=None, help="What cassettes do. Default: the ini option sio_record, or none.")
    group.addoption("--sio-upstream", metavar="URL", default=None, help="The server that is recorded.")
    group.addoption("--sio-block-network", action="store_true", help="Let nothing leave this machine while a cassette plays.")
    group.addoption("--sio-timing", metavar="none|recorded|FACTOR", default=None, help="When the recorded server speaks. Default: none, at once.")
    parser.addini("sio_record", "what cassettes do, as --sio-record", default="none")
    parser.addini("sio_block_network", "let nothing leave this machine while a cassette plays", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and check what is configured."""
    config.addinivalue_line("markers", f"{MARKER}(name=None, **options): play a recorded Socket.IO conversation; see engineio_lite.cassettes")
    if config.getini("sio_record") not in MODES:
        raise pytest.UsageError(f"sio_record: expected one of {', '.join(MODES)}, got {config.getini('sio_record')}")
    timing = config.getoption("--sio-timing")
    if timing not in (None, "none", "recorded") and not re.fullmatch(r"\d+(\.\d+)?", timing):
        raise pytest.UsageError(f"--sio-timing: expected none, recorded or a factor, got {timing}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a marked test its cassette, even if it does not ask for it by name: the network may be blocked for it all the same."""
    if item.get_closest_marker(MARKER) is not None and isinstance(item, pytest.Function) and MARKER not in item.fixturenames:
        item.fixturenames.append(MARKER)


@pytest.fixture(scope="session")
def sio_cassette_config() -> Mapping[str, Any]:
    """What cassettes have in common; to be overridden."""
    return {}


@pytest.fixture
def sio_cassette(request: pytest.FixtureRequest, sio_cassette_config: Mapping[str, Any]) -> Iterator[Cassette]:
    """The cassette of a test, in use: its `url` is where the client is to connect."""
    from engineio_lite.cassettes import Cassette
    from engineio_lite.exceptions import EngineIOError

    item = request.node
    fault: EngineIOError | None = None
    try:
        item.stash[_current] = Cassette(**_arguments(item, sio_cassette_config)).__enter__()
    except EngineIOError as error:
        fault = error
    if fault is not None:
        pytest.fail(f"{fault}\n{fault.fix}" if fault.fix else str(fault), pytrace=False)
    cassette = item.stash[_current]
    yield cassette
    has_passed = cassette.keep = item.stash.get(_passed, False)
    try:
        cassette.__exit__(None, None, None)
    except EngineIOError as error:
        fault = error
    # What was told with the test need not be told again.
    if fault is not None and has_passed:
        pytest.fail(_told(fault), pytrace=False)


def _arguments(item: pytest.Item, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a `Cassette` is made with: the marker counts before the fixture, and the command line before both."""
    options: dict[str, Any] = {"mode": item.config.getini("sio_record"), "block_network": item.config.getini("sio_block_network"), **config}
    name = None
    if (marker := item.get_closest_marker(MARKER)) is not None:
        options |= marker.kwargs
        name = marker.args[0] if marker.args else options.pop("name", None)
    for option, key in (("--sio-record", "mode"), ("--sio-upstream", "upstream"), ("--sio-timing", "timing")):
        if item.config.getoption(option) is not None:
            options[key] = item.config.getoption(option)
    if options.get("timing") not in (None, "none", "recorded"):
        options["timing"] = float(options["timing"])
    options["block_network"] = options["block_network"] or item.config.getoption("--sio-block-network")
    path = _path(item, options.pop("directory", None), name)
    shown = path.relative_to(item.config.rootpath) if path.is_relative_to(item.config.rootpath) else path
    return {"path": path, "name": str(shown), "to_accept": f"pytest --sio-record=rewrite -k {_function(item)}", **options}


def _path(item: pytest.Item, directory: str | Path | None, name: str | None) -> Path:
    folder = item.path.parent / (directory or "cassettes")
    if name is not None:
        return folder / (name if name.endswith(SUFFIX) else name + SUFFIX)
    within = "::".join(item.nodeid.split("::")[1:])
    return folder / item.path.stem / (_file_name(within) + SUFFIX)


def _file_name(test: str) -> str:
    """A name for a file that every system takes, for a test's own name; different for different tests."""
    plain = re.sub(r"[^\w.-]+", "-", test, flags=re.ASCII).strip("-")
    if len(plain) <= MAX_NAME and plain.replace("-", "") == re.sub(r"\[|\]|::|-", "", test):
        return plain
    return f"{plain[:MAX_NAME]}-{sha256(test.encode()).hexdigest()[:8]}"


def _function(item: pytest.Item) -> str:
    return getattr(item, "originalname", None) or item.name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """After the test: wait for what is under way, and fail it for what went wrong behind its client's back."""
    try:
        result = yield
    except BaseException as error:
        if item.stash.get(_current, None) is not None:
            _explain(item, error)
        raise
    cassette = item.stash.get(_current, None)
    if cassette is not None:
        from engineio_lite.exceptions import EngineIOError

        cassette.settle()
        fault: EngineIOError | None = None
        try:
            cassette.check()
        except EngineIOError as error:
            fault = error
        if fault is not None:
            pytest.fail(_told(fault), pytrace=False)
    item.stash[_passed] = True
    return result


def _explain(item: pytest.Item, error: BaseException) -> None:
    """A client that fails shows what became of it; why is known here."""
    from engineio_lite.exceptions import EngineIOError

    cassette = item.stash[_current]
    cassette.settle()
    try:
        cassette.check()
    except EngineIOError as behind:
        if behind is not error:
            item.add_report_section("call", "sio cassette", _told(behind))


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {getattr(error, 'message', error)}"
