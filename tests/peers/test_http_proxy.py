"""The real proxy does what the tests of our clients count on, as a plain client sees it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.peers import Peer
from tests.peers.http_proxy import PASSWORD, USER, HttpProxy


async def get(url: str, proxy: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, proxy=proxy) as response:
        return response.status, await response.text()


async def test_it_forwards_and_says_so(http_proxy: HttpProxy, python_peer: Peer) -> None:
    url = f"{python_peer.url}/socket.io/?EIO=4&transport=polling"
    for _ in range(2):
        status, text = await get(url, http_proxy.url)
        assert (status, text[:7]) == (200, '0{"sid"')
    assert http_proxy.requests() == [f"GET {url}"] * 2


async def test_a_kept_connection_is_witnessed_too(http_proxy: HttpProxy, python_peer: Peer) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(2):
            async with session.get(f"{python_peer.url}/{number}", proxy=http_proxy.url) as response:
                await response.read()
    assert http_proxy.requests() == [f"GET {python_peer.url}/{number}" for number in range(2)]


@pytest.mark.parametrize(("credentials", "status"), [(f"{USER}:{PASSWORD}@", 200), (f"{USER}:wrong@", 407), ("", 407)])
async def test_it_wants_its_password(http_proxy_with_password: HttpProxy, python_peer: Peer, credentials: str, status: int) -> None:
    proxy = http_proxy_with_password
    url = f"{python_peer.url}/socket.io/?EIO=4&transport=polling"
    assert (await get(url, proxy.bare_url.replace("//", f"//{credentials}")))[0] == status
    assert proxy.requests() == ([f"GET {url}"] if status == 200 else [])


async def test_it_says_that_nobody_is_there(http_proxy: HttpProxy) -> None:
    assert (await get("http://127.0.0.1:9/", http_proxy.url))[0] == 502


@pytest.mark.parametrize("password", [False, True])
def test_it_listens_on_this_machine_only_and_is_gone_after_its_block(password: bool) -> None:
    with HttpProxy(password=password) as proxy:
        where = urlsplit(proxy.bare_url)
        assert (where.hostname, where.port) == ("127.0.0.1", proxy.port)
        # The whole of 127.0.0.0/8 is this machine: whoever listens on every address answers here, too.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", proxy.port), 5)
    assert not proxy.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5)
