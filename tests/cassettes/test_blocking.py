"""While the network is blocked nothing leaves this machine, and what stays on it works."""

from __future__ import annotations

import asyncio
import socket
import threading

import aiohttp
import pytest

from engineio_lite.cassettes.blocking import NetworkBlocked, is_local, network_blocked

ELSEWHERE = "192.0.2.1"
"""An address for documentation (RFC 5737): nobody has it, and nothing is sent there, which is what is tested."""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "localhost", "localhost.", "api.localhost", "0.0.0.0", "::"])
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", [ELSEWHERE, "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "example.com", "localhost.example.com"])
def test_not_this_machine(host: str) -> None:
    assert not is_local(host)


def test_a_connection_to_elsewhere_is_refused_before_it_is_made() -> None:
    with network_blocked(), socket.socket() as connection:
        with pytest.raises(NetworkBlocked, match=ELSEWHERE) as caught:
            connection.connect((ELSEWHERE, 80))
        with pytest.raises(NetworkBlocked):
            connection.connect_ex((ELSEWHERE, 80))
    assert caught.value.cause == "network-blocked"
    assert caught.value.address == f"{ELSEWHERE}:80"
    assert not isinstance(caught.value, OSError)


def test_a_name_is_not_even_looked_up() -> None:
    with network_blocked():
        for name in ("example.com", b"example.com"):
            with pytest.raises(NetworkBlocked, match=r"example\.com"):
                socket.getaddrinfo(name, 80)
        assert socket.getaddrinfo("127.0.0.1", 80)
        assert socket.getaddrinfo(None, 80)


async def test_asyncio_clients_are_stopped_too() -> None:
    async with aiohttp.ClientSession() as session:
        with network_blocked():
            for host in (ELSEWHERE, "example.com"):
                with pytest.raises(NetworkBlocked):
                    await session.get(f"http://{host}/")


def test_what_is_on_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, network_blocked():
        with socket.create_connection(server.getsockname()):
            pass
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(b"x")
            assert theirs.recv(1) == b"x"


def test_the_end_of_the_outermost_block_is_the_end() -> None:
    real = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    with network_blocked():
        with network_blocked():
            pass
        with pytest.raises(NetworkBlocked):
            socket.getaddrinfo("example.com", 80)
    assert (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo) == real


def test_other_threads_are_stopped_too() -> None:
    errors: list[BaseException] = []

    def leave() -> None:
        try:
            asyncio.run(asyncio.open_connection(ELSEWHERE, 80))
        except NetworkBlocked as error:
            errors.append(error)

    with network_blocked():
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
    assert len(errors) == 1
