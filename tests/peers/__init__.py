"""Real peers: servers and clients that other people wrote, in processes of their own, on loopback.

A test gets one from the fixtures in `tests/conftest.py` (`peer_server`, `any_peer`, `node_peer`, `python_peer`). ``server.cjs`` (Node, socket.io and
engine.io) and ``server.py`` (python-socketio and python-engineio on aiohttp) behave the same, so that one test runs against both:

=======================  ===========================================================================================================================
on connection            `burst` events ``number i`` (in ``/`` only), then ``welcome {auth, transport}``; nothing of it if the state was recovered
``echo args…``           the event ``echo`` with the same arguments, and an acknowledgement with them
``flood n [pad]``        ``number i`` for i in 0..n-1 in one burst, each with a text of `pad` characters if that is not 0
``stream n [pad]``       the same in slices of 50 with a turn of the event loop between them, so that both directions are in the air at once
``count i``              counted; ``report`` acknowledges with ``{received, inOrder, last}`` and starts again (`inOrder`: exactly 0, 1, 2, …)
``never``                no acknowledgement, ever
``everyone name args…``  this event to everybody in the namespace
``later ms name args…``  this event after so many milliseconds, acknowledged before that; if the state is recovered also to a client that was away
``volatile name args…``  this event, on Node as a volatile one
``askme args…``          the server calls ``question args…`` and sends what it got (null after 5 seconds without) as ``answer``, acknowledging with it
``askbinary``            the same with ``question <01 02 03> {nested: [<ff>, {deep: <>}], text: "grüße"}``, where <…> are bytes
``asktwo``               the same with ``question 1`` and ``question 2`` at once; what was answered to 1 comes first
``ackstwice args…``      acknowledges twice with the arguments
``ackunknown args…``     acknowledges 9999, which nobody asked for, with the arguments, and then itself with them
``record i``             writes i as a line of JSON to the file of the option `log`, and then acknowledges with it (see `ackEvery`)
``mute n``               the next n times ``record`` writes and does not acknowledge
``kick``                 the server disconnects this namespace; ``kickall`` all of them, and then the engine; ``drop`` the engine alone
=======================  ===========================================================================================================================

These only acknowledge, with what the server knows. All events above do so with nothing if nothing else is said, except those that throw clients out.

=======================  ===========================================================================================================================
``transport``            the name of the transport as the server sees it
``whoami``               ``{sid, recovered, rooms}``; ``join room`` enters a room
``auth``                 the auth of this connection to the namespace
``query``                ``{query, headers}`` of the request that began the session, names of headers in lower case
``reasons key``          why connections with this ``key`` in their auth have ended, so far: a list, in this server's words
``totals``               ``{connections, open, most, attempts, maxOpen}``: sessions ever seen, open now, open at most at once; and, by the ``key`` of
                         the auth, how many connections to namespaces came and how many of them were open at most at once
=======================  ===========================================================================================================================

``reasons`` and ``totals`` are those of one process: a restarted one begins anew, and users of a shared one need keys of their own. Who went without
a word over polling is open until the ping timeout.

=======================  ===========================================================================================================================
``/`` and ``/echo2``     let in everybody
``/admin``               lets in who has the auth ``{"token": "letmein"}``, else the error ``not authorized`` with data ``{"code": 7}``
``/refuse-string``       refuses everybody with the bare string ``no entry`` in place of an object
``/slow``                never answers the CONNECT (on Python that also stops everything else of the same connection)
=======================  ===========================================================================================================================

These options are ours, or do not mean the same to both; the others are known to Node's server, and their nearest match to Python's.

=======================  ===========================================================================================================================
`port`                   where to listen, instead of a free port; a busy one is waited for, five seconds; see `Peer.restart`
`parser`                 ``"msgpack"`` is socket.io-msgpack-parser on Node and ``serializer="msgpack"`` on Python, whose DISCONNECT then has the data
                         null, which Node's client takes for a parse error
`burst`                  how many numbers go to every new connection before anything else does, default 0
`log`                    path of the file for ``record``; lines are added and are there at once, also if the server is killed in the next moment
`ackEvery`               n: ``record`` acknowledges only every n-th time that it comes for the same i, since the process began
`engineOnly`             no Socket.IO: an Engine.IO server that sends `burst` messages ``number i``, echoes every message and closes on ``close!``
connectionStateRecovery  Node only; ``{}`` is enough. Every event of the server that is neither a question nor volatile then has one argument more
                         at its end, the offset
`certificate`            Python only: path of a PEM file with key and certificate; it speaks TLS, and `Peer.url` says https
`alwaysConnect`          Python only: everybody is let in, and who should not have been is disconnected, with the refusal as data (Node's client takes
                         that for a parse error, too)
=======================  ===========================================================================================================================

``labs.cjs`` is another Node server, which answers questions as the Labs playground did; `tests/labs/test_node.py` starts it.

`run_client` runs Node's client against them (``client.cjs``), and `tests.peers.proxy` is a line in front of them that can be cut.
`tests.peers.http_proxy` is an HTTP proxy, `tests.peers.mock_ai_api` a server of chat completions; both were written by others, too.

A peer leaves when its standard input ends, which happens at the latest when the test process is gone: no test can leave a server behind.
Processes are plain `subprocess` ones and bound to no event loop, so a peer may outlive a test and be shared by many.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Protocol, Self, TypedDict, Unpack

HERE = Path(__file__).parent

START_LIMIT = 20.0
"""Seconds until a peer must listen. It takes a fifth of a second; a loaded two-core machine has been seen to need five."""

STOP_LIMIT = 5.0
"""Seconds until a peer that was asked to leave is killed."""

Kind = Literal["node", "python"]
KINDS: tuple[Kind, ...] = ("node", "python")


class Options(TypedDict, total=False):
    """What a peer can be told, in the words of the Node server; times are milliseconds. The Python server ignores what it has no word for."""

    port: int
    transports: list[str]
    pingInterval: int
    pingTimeout: int
    maxHttpBufferSize: int
    path: str
    cookie: str | dict[str, Any]
    allowEIO3: bool
    allowUpgrades: bool
    connectTimeout: int
    perMessageDeflate: bool | dict[str, Any]
    upgradeTimeout: int
    connectionStateRecovery: dict[str, Any]
    alwaysConnect: bool
    parser: Literal["default", "msgpack"]
    engineOnly: bool
    burst: int
    log: str
    ackEvery: int
    certificate: str


class PeerFailed(Exception):
    """A peer did not start, or did not do what it was started for; says what it wrote on standard error."""


def in_ci() -> bool:
    """Whether this run decides something: then a missing peer is a failure, not a reason to skip."""
    return os.environ.get("CI") == "true"


@cache
def missing(kind: Kind) -> str | None:
    """Why this kind of peer cannot be started here, or None.

    In CI the locked Node packages are installed on first need, so that a plain ``pytest`` in a fresh clone tests everything.
    """
    if kind == "python":
        return None  # python-socketio comes with the test extra
    if shutil.which("node") is None:
        return "Node is not installed"
    if not _installed() and in_ci() and shutil.which("npm") is not None:
        done = subprocess.run(["npm", "ci"], cwd=HERE, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            return f"`npm ci` failed in tests/peers: {done.stderr[-500:]}"
    if not _installed():
        return "the Node packages are not installed: run `npm ci` in tests/peers"
    return None


def _installed() -> bool:
    wanted = json.loads((HERE / "package.json").read_bytes())["dependencies"]
    return all((HERE / "node_modules" / name).is_dir() for name in wanted)


def _command(kind: Kind, options: Options) -> list[str]:
    program = ["node", str(HERE / "server.cjs")] if kind == "node" else [sys.executable, str(HERE / "server.py")]
    return [*program, json.dumps(options)]


class Process:
    """A server in its own process, from when it is made until `stop` or the end of a `with` block; `url` is its origin, ``http://127.0.0.1:PORT``.

    The program writes one line on standard output once it listens, a JSON object with its `port`, and leaves when its standard input ends. One that
    starts processes itself gets a group of its own, which is killed as a whole if it does not leave.
    """

    def __init__(self, name: str, command: list[str], *, environment: dict[str, str] | None = None, own_group: bool = False) -> None:
        self._name = name
        self._command = command
        self._environment = environment
        self._own_group = own_group
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in stop(); a pipe that nobody reads would fill up and stall the peer
        self._process = self._started()
        self.port = self._listening()
        self.url = f"http://127.0.0.1:{self.port}"

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=None if self._environment is None else {**os.environ, **self._environment},
            start_new_session=self._own_group,
        )

    def _listening(self) -> int:
        """Wait until it listens, and return its port; otherwise leave nothing."""
        try:
            return int(json.loads(self._first_line())["port"])
        except BaseException:
            self.stop()
            raise

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        end, line = time.monotonic() + START_LIMIT, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise PeerFailed(f"the {self._name} peer did not listen within {START_LIMIT} s: {self.errors()}")
                chunk = os.read(self._process.stdout.fileno(), 4096)
                if not chunk:
                    raise PeerFailed(f"the {self._name} peer ended before it listened: {self.errors()}")
                line += chunk
        return line

    def errors(self) -> str:
        """What the peer has written on standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-4000:]

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it in the middle of whatever it is doing, as a crash would; the kernel closes its sockets."""
        if self._own_group:
            os.killpg(self._process.pid, signal.SIGKILL)  # with whatever it has started itself
        else:
            self._process.kill()
        self._process.wait(STOP_LIMIT)

    def stop(self) -> None:
        """Ask it to leave and wait until it has; harmless when it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._hang_up()
        self._errors.close()

    def _hang_up(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()


class Peer(Process):
    """One of the two Socket.IO servers."""

    def __init__(self, kind: Kind, options: Options | None = None) -> None:
        self.kind = kind
        self._options: Options = {} if options is None else options
        super().__init__(kind, _command(kind, self._options))
        if "certificate" in self._options:
            self.url = self.url.replace("http:", "https:")

    def restart(self) -> None:
        """Start it again with the same options on the same port, after killing it if it still runs; `url` stays, what it knew is gone.

        Returns when it listens, which takes some tenths of a second: a client of the same event loop that should go on meanwhile needs
        ``await asyncio.to_thread(peer.restart)``. Raises `PeerFailed` if it does not come up; it is stopped then. Not for one that was stopped.
        """
        assert not self._errors.closed, "a peer that was stopped is not started again"
        self.kill()
        self._hang_up()
        self._command = _command(self.kind, {**self._options, "port": self.port})
        self._process = self._started()
        self._listening()

    def pause(self) -> None:
        """Freeze it: its sockets stay open and nothing answers, as when a cable is cut. `stop` and `kill` still work."""
        self._process.send_signal(signal.SIGSTOP)


class StartPeer(Protocol):
    """The fixture `peer_server`: starts a server that lives until the end of the test."""

    def __call__(self, kind: Kind, **options: Unpack[Options]) -> Peer: ...


def run_client(url: str, script: list[list[Any]], *, timeout: float = 10.0, **options: Any) -> list[list[Any]]:
    """Let Node's socket.io-client follow a script against a server (see ``client.cjs``); returns what it saw, one list a line."""
    order = json.dumps({"url": url, "script": script, "options": options, "timeout": int(timeout * 1000)})
    done = subprocess.run(["node", str(HERE / "client.cjs"), order], capture_output=True, text=True, timeout=timeout + STOP_LIMIT, check=False)
    if done.returncode != 0:
        raise PeerFailed(f"the client ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]
