"""The pytest plugin, in test runs of another project: the one in ``examples/quotes``, which knows python-socketio and nothing of us."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from engineio_lite.capture.comparison import normalise
from engineio_lite.capture.file import load
from engineio_lite.capture.inspection import inspect
from engineio_lite.capture.lines import Direction, Line, SessionEnded, SocketIOPacket
from engineio_lite.socketio import PacketType
from tests.commands import Command

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "quotes"
TOKEN = "let-me-trade-please"

STARTED = 30.0
"""Seconds for the example's server to listen."""

RUN = 120.0
"""Seconds for one run of the example's tests: they take some, and may have to share two processors."""

pytestmark = pytest.mark.timeout(4 * RUN)


class Project:
    """A copy of the example, whose tests can be run."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.cassettes = place / "tests" / "cassettes"
        self._pytest = Command(sys.executable, "-m", "pytest", without=["PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"])

    def test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its tests, or those that the arguments name."""
        chosen = [argument for argument in arguments if not argument.startswith("-")]
        options = [argument for argument in arguments if argument.startswith("-")]
        tests = [str(self.place / "tests" / name) for name in chosen] or [str(self.place / "tests")]
        return self._pytest.run(
            "-q", "-p", "no:cacheprovider", f"--rootdir={self.place}", "-c", str(self.place / "pytest.ini"), *options, *tests, limit=RUN
        )

    def write(self, name: str, text: str) -> None:
        """Write a file of tests."""
        (self.place / "tests" / name).write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    place = tmp_path / "quotes"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(place)


@pytest.fixture
def service() -> Iterator[str]:
    """The example's server, as its users would start it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "server.py"), "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + STARTED
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < end, "the example's server does not listen"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _passed(done: subprocess.CompletedProcess[str], number: int) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{number} passed" in done.stdout
    assert "warning" not in done.stdout


def _conversations(project: Project) -> dict[str, list[str]]:
    """What was said in each cassette, in any order: an answer to one CONNECT may come before the next one is sent, or after.

    Without the client's DISCONNECT: python-socketio's client for threads hands it to another thread and closes the transport, which may win.
    """
    found = {}
    for path in sorted(project.cassettes.rglob("*.jsonl")):
        said = [one for one in normalise(load(path).lines) if (one.direction, one.packet) != (Direction.UP, PacketType.DISCONNECT.value)]
        found[path.name] = sorted(repr((one.direction, one.packet, one.namespace, one.data)) for one in said)
    return found


# --- The example.


def test_it_passes_with_the_network_blocked_in_any_order_and_in_parallel(project: Project) -> None:
    _passed(project.test("--sio-block-network"), 9)
    _passed(project.test("--sio-block-network", "test_quotes.py", "test_blocking.py"), 9)
    _passed(project.test("--sio-block-network", "-n2"), 9)


def test_it_records_once_and_says_the_same_again(project: Project, service: str) -> None:
    before = _conversations(project)
    shutil.rmtree(project.cassettes)
    _passed(project.test("--sio-record=once", f"--sio-upstream={service}", "-n2"), 9)
    assert _conversations(project) == before
    written = _texts(project)
    assert TOKEN not in written
    assert list(inspect(written.splitlines())) == []
    _passed(project.test("--sio-block-network"), 9)


def _texts(project: Project) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(project.cassettes.rglob("*.jsonl")))


def _is_not_farewell(line: Line) -> bool:
    """Whether the client had not begun to leave, which it does in one of two ways (see `_conversations`)."""
    return not isinstance(line, SessionEnded) and not (isinstance(line, SocketIOPacket) and line.type is PacketType.DISCONNECT)


def test_a_new_recording_of_the_same_differs_in_nothing_but_times_and_addresses(project: Project, service: str) -> None:
    _passed(project.test("--sio-record=rewrite", f"--sio-upstream={service}", "test_blocking.py"), 2)
    for new in sorted((project.cassettes / "test_blocking").iterdir()):
        old = EXAMPLE / "tests" / "cassettes" / "test_blocking" / new.name
        ours, theirs = (list(map(type, takewhile(_is_not_farewell, load(path).lines))) for path in (new, old))
        assert ours == theirs


# --- What is said when something is wrong.


def test_a_mismatch_is_shown_whole_and_nothing_waits_for_ever(project: Project) -> None:
    path = project.cassettes / "test_quotes" / "test_a_price.eio.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('["quote", "ACME"]', '["quote", "ACNE"]'), encoding="utf-8")
    place = project.place / "quotes.py"
    place.write_text(place.read_text(encoding="utf-8").replace("TIMEOUT = 10", "TIMEOUT = 1"), encoding="utf-8")
    done = project.test("test_quotes.py", "-ktest_a_price")
    assert done.returncode == 1
    assert "sio cassette" in done.stdout
    for line in (
        "CassetteMismatch: tests/cassettes/test_quotes/test_a_price.eio.jsonl, session 1, client packet 3",
        '$[1]: "ACNE" != "ACME"',
        "server is waiting to send 1 packet",
        "pytest --sio-record=rewrite -k test_a_price",
        'ignore_paths=["$[1]"]',
    ):
        assert line in done.stdout


def test_a_test_that_passes_by_luck_fails_all_the_same(project: Project) -> None:
    """Its client hears nothing of what it did wrong."""
    project.write(
        "test_luck.py",
        """
import pytest, socketio

@pytest.mark.sio_cassette("test_quotes/test_a_price")
async def test_luck(sio_cassette):
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(sio_cassette.url, auth={"token": "x"}, namespaces=["/", "/trade"])
    await client.emit("something else")
    await client.wait()                       # the server hangs up, and the client takes that for a normal end
""",
    )
    done = project.test("test_luck.py")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert 'got       EVENT /  "something else"' in done.stdout


def test_a_cassette_that_is_missing_says_how_to_make_it(project: Project) -> None:
    shutil.rmtree(project.cassettes)
    done = project.test("test_quotes.py", "-ktest_a_picture")
    assert done.returncode == 1
    assert "there is no such cassette [no-cassette]" in done.stdout
    assert "pytest --sio-record=once --sio-upstream=URL" in done.stdout
    again = project.test("test_quotes.py", "-ktest_a_picture", "--sio-record=once")
    assert "there is no server to record [no-upstream]" in again.stdout
    assert not project.cassettes.exists() or not list(project.cassettes.rglob("*.jsonl"))


def test_what_a_failed_test_recorded_is_not_kept(project: Project, service: str) -> None:
    before = _texts(project)
    source = project.place / "tests" / "test_blocking.py"
    source.write_text(source.read_text(encoding="utf-8").replace("== 7.5", "== 8.5"), encoding="utf-8")
    done = project.test("test_blocking.py", "-ktest_a_price", "--sio-record=rewrite", f"--sio-upstream={service}")
    assert done.returncode == 1
    assert _texts(project) == before
    assert [path.name for path in project.cassettes.rglob(".*")] == []


@pytest.mark.parametrize(("option", "said"), [("--sio-record=maybe", "invalid choice"), ("--sio-timing=soon", "expected none, recorded or a factor")])
def test_an_option_that_is_none(project: Project, option: str, said: str) -> None:
    done = project.test(option)
    assert done.returncode == 4
    assert said in done.stderr


def test_an_ini_option_that_is_none(project: Project) -> None:
    with (project.place / "pytest.ini").open("a", encoding="utf-8") as file:
        file.write("sio_record = maybe\n")
    done = project.test()
    assert done.returncode == 4
    assert "sio_record: expected one of none, once" in done.stderr


# --- What can be chosen.


def test_fixture_marker_and_command_line_in_that_order(project: Project) -> None:
    (project.place / "tests" / "cassettes").rename(project.place / "tests" / "tapes")
    project.write(
        "test_choice.py",
        """
import pytest
from quotes import BlockingQuotes

@pytest.fixture
def sio_cassette_config():
    return {"directory": "tapes", "mode": "all", "ignore_paths": ["$[0]"]}

@pytest.mark.sio_cassette("test_blocking/test_a_price", mode="none", timing="recorded")
def test_choice(sio_cassette):
    assert sio_cassette.mode == "none"
    assert sio_cassette.path.parent.parent.name == "tapes"
    with BlockingQuotes(sio_cassette.url, "x") as quotes:
        assert quotes.price("INIT") == 7.5

@pytest.mark.sio_cassette("test_blocking/test_a_price.eio.jsonl", mode="none")
class TestWithoutAskingForIt:
    def test_it_is_there_all_the_same(self, request):
        assert "sio_cassette" in request.fixturenames
        pytest.skip("seen")
""",
    )
    done = project.test("test_choice.py", "--sio-timing=0.5")
    assert "1 passed" in done.stdout, done.stdout
    assert "1 skipped" in done.stdout


def test_nothing_is_loaded_until_it_is_used(project: Project) -> None:
    project.write(
        "test_light.py",
        """
import sys

def test_light(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("engineio_lite")
    assert not [name for name in sys.modules if name.split(".")[0] in ("engineio_lite", "aiohttp", "msgspec")]
""",
    )
    (project.place / "tests" / "conftest.py").write_text("", encoding="utf-8")
    _passed(project.test("test_light.py"), 1)
