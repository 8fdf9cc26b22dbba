"""The module itself: what can be imported from it, what importing and using it leaves alone, and what is said where python-socketio is missing."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import socketio as original

import engineio_lite.bridge as socketio
from tests.peers import Peer


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh process."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)


def test_everything_of_the_original_can_be_had_here() -> None:
    for name in original.__all__:
        ours = getattr(socketio, name)
        if name in ("AsyncClient", "AsyncSimpleClient"):
            assert issubclass(ours, getattr(original, name))
            assert ours is not getattr(original, name)
        else:
            assert ours is getattr(original, name)
    assert socketio.exceptions is original.exceptions
    assert socketio.packet is original.packet
    assert set(original.__all__) < set(socketio.__all__)
    assert len(socketio.__all__) == len(set(socketio.__all__))
    assert set(dir(socketio)) > set(socketio.__all__)
    with pytest.raises(AttributeError):
        socketio.no_such_name  # noqa: B018


def test_the_simple_client_makes_the_client_that_it_is_told_to() -> None:
    assert socketio.AsyncSimpleClient.client_class is socketio.AsyncClient


def test_a_star_import() -> None:
    names: dict[str, Any] = {}
    exec("from engineio_lite.bridge import *", names)
    assert names["AsyncClient"] is socketio.AsyncClient
    assert names["Server"] is original.Server


@pytest.mark.parametrize("missing", ["socketio", "engineio"])
def test_without_python_socketio_one_line_says_what_to_install(missing: str) -> None:
    done = run(f"import sys; sys.modules['{missing}'] = None\nimport engineio_lite.bridge")
    assert done.stderr.splitlines()[-1] == "ImportError: engineio_lite.bridge needs python-socketio: pip install 'engineio-lite[bridge]'"
    assert "During handling" not in done.stderr


def test_another_import_that_fails_is_not_explained_away() -> None:
    done = run("import sys; sys.modules['bidict'] = None\nimport engineio_lite.bridge")
    assert "bidict" in done.stderr.splitlines()[-1]


def test_the_rest_of_the_library_does_without_python_socketio() -> None:
    done = run("import sys; sys.modules['socketio'] = sys.modules['engineio'] = None\nimport engineio_lite.aio")
    assert (done.returncode, done.stderr) == (0, "")


def test_using_it_changes_nothing_of_the_process(python_peer: Peer) -> None:
    done = run(
        """
        import asyncio, logging, signal, sys
        import engineio, socketio as original
        import engineio_lite.bridge as socketio

        def state():
            loggers = [logging.getLogger(name) for name in ("engineio.client", "socketio.client", "engineio_lite")]
            return (
                signal.getsignal(signal.SIGINT),
                [(logger.level, list(logger.handlers)) for logger in loggers],
                original.packet.Packet.json,
                engineio.packet.Packet.json,
                list(engineio.base_client.connected_clients),
                list(original.base_client.reconnecting_clients),
                original.base_client.original_signal_handler,
                engineio.base_client.original_signal_handler,
                engineio.async_client.async_signal_handler_set,
            )

        class JSON:
            loads = dumps = None

        async def main():
            sio = socketio.AsyncClient(logger=False, engineio_logger=False, handle_sigint=True)
            during = [state()]  # the event loop has a handler of its own
            sio.on("connect", lambda: during.append(state()))
            await sio.connect(sys.argv[1])
            during.append(state())
            await sio.disconnect()
            socketio.AsyncClient(json=JSON)
            return during

        before = state()
        during = asyncio.run(main())
        assert [each[1:] for each in during] == [before[1:]] * 3
        assert len({each[0] for each in during}) == 1
        assert state() == before
        """,
        python_peer.url,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_configures_no_logging_sees_what_it_asked_for() -> None:
    done = run(
        """
        import engineio_lite.bridge as socketio
        for wanted in (True, False):
            logger = socketio.AsyncClient(logger=wanted).logger
            logger.info("an information of %s", wanted)
            logger.error("an error of %s", wanted)
        """
    )
    assert done.stderr.splitlines() == ["an information of True", "an error of True", "an error of False"]


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
def test_an_interrupt_ends_a_program_that_waits_and_leaves_nothing(any_peer: Peer, transports: str) -> None:
    """As asyncio does it: the main task is cancelled. Nothing is said of sessions that nobody closed, and the server is told."""
    program = """
        import asyncio, sys
        import engineio_lite.bridge as socketio

        async def main():
            sio = socketio.AsyncClient()
            await sio.connect(sys.argv[1], transports=sys.argv[2].split(","), auth={"key": sys.argv[3]})
            print("connected", flush=True)
            await sio.wait()

        asyncio.run(main())
    """
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program), any_peer.url, transports, f"interrupted {transports}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "never" not in errors
    assert "Unclosed" not in errors
    assert "ResourceWarning" not in errors
