"""The namespace in a Socket.IO URL: taken out where the reference client has it, and nothing else touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.handshake import normalize_url, split_namespace


@pytest.mark.parametrize(
    "url",
    [
        "https://host",
        "https://host/",
        "https://host?x=/y",
        "https://host/?x=1",
        "wss://user:secret@host:3000",
        "https://host/socket.io",
        "https://host/socket.io/",
        "https://host/socket.io?x=1",
        "https://host/app/socket.io",
        "https://host/app/socket.io/?x=1",
        "https://host/admin/",
        "https://host/a/b/",
        "http://[::1]:3000/",
    ],
)
def test_where_the_server_is_mounted_stays(url: str) -> None:
    assert split_namespace(url) == (url, None)


@pytest.mark.parametrize(
    ("url", "address", "namespace"),
    [
        ("https://host/admin", "https://host", "/admin"),
        ("https://host/a/b", "https://host", "/a/b"),
        ("https://host/admin?x=1&y&z=/", "https://host?x=1&y&z=/", "/admin"),
        ("https://host:8443/admin", "https://host:8443", "/admin"),
        ("ws://user:secret@host/admin", "ws://user:secret@host", "/admin"),
        ("http://[::1]:3000/admin", "http://[::1]:3000", "/admin"),
        ("https://host/mysocket.io", "https://host", "/mysocket.io"),
        ("https://host/socket.io/admin", "https://host", "/socket.io/admin"),
        ("https://host/caf%C3%A9", "https://host", "/caf%C3%A9"),
        ("https://host/Admin-1_2.3~", "https://host", "/Admin-1_2.3~"),
        ("https://host//", "https://host//", None),
        ("https://host//x", "https://host", "//x"),
    ],
)
def test_the_path_is_the_namespace(url: str, address: str, namespace: str | None) -> None:
    assert split_namespace(url) == (address, namespace)


def test_what_is_left_is_a_url_like_any_other() -> None:
    address, namespace = split_namespace("wss://user:secret@host/admin?token=1")
    assert namespace == "/admin"
    assert normalize_url(address, default_path="/socket.io/") == "https://user:secret@host/socket.io/?token=1"


def test_what_is_wrong_with_the_rest_is_still_seen() -> None:
    for url in ("ftp://host/admin", "https:///admin", "https://host/admin#part", "host/admin", "/admin", ""):
        address, _ = split_namespace(url)
        with pytest.raises(LocalProtocolError) as caught:
            normalize_url(address, default_path="/socket.io/")
        assert caught.value.cause is Cause.BAD_URL


@pytest.mark.parametrize(
    "url", ["https://host/admin\n", "https://ho\nst/admin", "\thttps://host/admin", " https://host/admin", "https://host/ad\rmin"]
)
def test_a_slip_of_who_pasted_is_not_mended_silently(url: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        normalize_url(split_namespace(url)[0], default_path="/socket.io/")
    assert caught.value.cause is Cause.BAD_URL


@pytest.mark.parametrize("url", ["https://u:secret@host:port/admin", "https://u:secret@[::1/admin?secret", b"https://secret", None])
def test_what_is_no_url_is_refused_without_its_secrets(url: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        split_namespace(url)
    assert caught.value.cause is Cause.BAD_URL
    assert "secret" not in str(caught.value)


SEGMENT = st.text(alphabet="abcXYZ019-._~!$&'()*+,;=:@%", min_size=1, max_size=8)


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.sampled_from(["", "?", "?a=1&b=%2F"]))
def test_every_namespace_is_found_again(segments: list[str], query: str) -> None:
    namespace = "/" + "/".join(segments)
    address, found = split_namespace(f"https://host:3000{namespace}{query}")
    if segments[-1] == "socket.io":
        assert found is None
    else:
        assert (address, found) == (f"https://host:3000{query.rstrip('?')}", namespace)
