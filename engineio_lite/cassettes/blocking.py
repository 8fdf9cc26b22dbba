"""No network but this machine, for as long as a block lasts: a test that plays a cassette must not talk to anything else by mistake.

What is stopped is Python's own way out, in all threads of the process: connecting a socket, and looking a name up. Loopback addresses, ``localhost``
and local sockets pass. The error is no `OSError`, since nearly every client takes one for bad weather, tries again, and hides what was wrong.

Not stopped: other processes, and extension modules that open sockets by themselves (uvloop is one).
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from engineio_lite.causes import Cause
from engineio_lite.exceptions import EngineIOError, elide

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)

_lock = threading.Lock()
_blocks = 0
"""How many blocks last now: the innermost must not let go what an outer one holds."""

_Real = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
_real: _Real | None = None


class NetworkBlocked(EngineIOError):
    """Something wanted to leave this machine while the network was blocked; `address` is where to."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the network is blocked, and something wanted to connect to {elide(address)}", cause=Cause.NETWORK_BLOCKED)
        self.address = address


@contextlib.contextmanager
def network_blocked() -> Iterator[None]:
    """Raise `NetworkBlocked` wherever anything in this process wants to leave the machine. May be nested, and entered by several threads."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _blocks, _real
    with _lock:
        _blocks += 1
        if _real is None:
            real = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
            _real = real
            socket.socket.connect = _guarded(real[0])  # type: ignore[method-assign]
            socket.socket.connect_ex = _guarded(real[1])  # type: ignore[method-assign]
            socket.getaddrinfo = _guarded_look_up(real[2])


def _leave() -> None:
    global _blocks, _real
    with _lock:
        _blocks -= 1
        if not _blocks and _real is not None:
            socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = _real  # type: ignore[method-assign]
            _real = None


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in _INTERNET and not is_local(str(address[0])):
            raise NetworkBlocked(f"{address[0]}:{address[1]}")
        return connect(self, address)

    return guarded


def _guarded_look_up(look_up: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and not is_local(name):
            raise NetworkBlocked(name)
        return look_up(host, *arguments, **options)

    return guarded


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's own: nothing is looked up for the answer."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".").lower() in ("localhost", socket.gethostname().lower()) or host.lower().endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified
