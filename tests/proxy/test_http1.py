"""Heads and bodies of HTTP/1.1 on their way through: put together again as they were, ended where they end, at every cut."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.proxy.encodings import Encoded, decode_body
from engineio_lite.proxy.http1 import MAX_CHUNK_LINE, Chunked, Head, Malformed, UntilTheEnd, answer_body, request_body, request_line, status_of

HEAD = b"POST /a?b=c HTTP/1.1\r\nhOsT:  somewhere \r\nX-Two: 1\r\nx-two:2\r\nX-Odd: \xe9\r\nConnection: keep-alive, Upgrade"
CHUNKED = b'5;ext="x"\r\nhello\r\n1 \r\n!\r\n0\r\nTrailer: yes\r\n\r\n'


def test_a_head_is_put_together_as_it_came() -> None:
    head = Head(HEAD)
    assert head.encode() == HEAD + b"\r\n\r\n"
    assert head.headers == (("hOsT", "somewhere"), ("X-Two", "1"), ("x-two", "2"), ("X-Odd", "é"), ("Connection", "keep-alive, Upgrade"))
    assert (head.value("host"), head.values("x-two"), head.tokens("connection")) == ("somewhere", ["1", "2"], ["keep-alive", "upgrade"])
    assert (head.value("none"), head.tokens("none")) == ("", [])
    assert request_line(head) == ("POST", "/a?b=c")


def test_one_header_is_replaced_where_it_stands() -> None:
    head = Head(HEAD)
    head.replace("host", "elsewhere:1")
    assert head.encode() == HEAD.replace(b"hOsT:  somewhere ", b"hOsT: elsewhere:1") + b"\r\n\r\n"


@pytest.mark.parametrize("line", [b"no colon", b": no name", b"Name : value", b" continued: line", b"Na me: value", b"Host: a\nB: c"])
def test_headers_that_two_would_read_differently_are_refused(line: bytes) -> None:
    if b"\n" in line:
        assert len(Head(b"GET / HTTP/1.1\r\n" + line).headers) == 1  # one line, whatever is in it
    else:
        with pytest.raises(Malformed, match="expected header lines"):
            Head(b"GET / HTTP/1.1\r\n" + line)


@pytest.mark.parametrize("start", [b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/2", b"GET /a b HTTP/1.1", b"(GET) / HTTP/1.1", b"HTTP/1.1 200 OK"])
def test_what_is_no_request_line_is_refused(start: bytes) -> None:
    with pytest.raises(Malformed):
        request_line(Head(start))


def test_the_status_is_read() -> None:
    assert status_of(Head(b"HTTP/1.1 200 OK")) == 200
    assert status_of(Head(b"HTTP/1.0 404")) == 404
    for start in (b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/2 200 OK", b"ICY 200 OK", b"HTTP/1.1 099 No"):
        with pytest.raises(Malformed):
            status_of(Head(start))


@pytest.mark.parametrize("size", range(1, len(CHUNKED) + 1))
def test_chunks_are_followed_at_every_cut(size: int) -> None:
    body, content, used, data = Chunked(), b"", 0, CHUNKED + b"GET /next"
    while not body.done:
        piece, took = body.feed(data[used : used + size])
        assert took > 0
        content, used = content + piece, used + took
    assert (content, data[used:]) == (b"hello!", b"GET /next")


@pytest.mark.parametrize(
    "data", [b"x\r\n", b"-1\r\n", b"+1\r\n", b"\r\n", b"1_0\r\n", b"5\nhello", b"1\r\nab\r\n", b"1" * 17 + b"\r\n", b"1;" + b"x" * MAX_CHUNK_LINE]
)
def test_chunks_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Chunked().feed(data)


def _head(*headers: bytes) -> Head:
    return Head(b"\r\n".join((b"POST / HTTP/1.1", *headers)))


def test_a_request_is_framed_by_one_thing() -> None:
    assert request_body(_head()).done
    assert request_body(_head(b"Content-Length: 0")).done
    assert request_body(_head(b"Content-Length: 2, 2")).feed(b"abc") == (b"ab", 2)
    assert isinstance(request_body(_head(b"Transfer-Encoding: CHUNKED")), Chunked)


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 1", b"Content-Length: 2"),
        (b"Content-Length: +1",),
        (b"Content-Length: 0x1",),
        ("Content-Length: ١".encode(),),
        (b"Content-Length:",),
        (b"Transfer-Encoding: chunked", b"Content-Length: 1"),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked, identity",),
    ],
)
def test_a_request_that_is_framed_twice_is_refused(headers: tuple[bytes, ...]) -> None:
    with pytest.raises(Malformed):
        request_body(_head(*headers))


def test_an_answer_is_framed_by_what_was_asked_too() -> None:
    sized = _head(b"Content-Length: 3")
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 101), ("GET", 100)):
        assert answer_body(sized, method, status).done
    assert not answer_body(sized, "GET", 200).done
    assert isinstance(answer_body(_head(), "GET", 200), UntilTheEnd)
    assert isinstance(answer_body(_head(b"Transfer-Encoding: gzip"), "GET", 200), UntilTheEnd)
    assert isinstance(answer_body(_head(b"Transfer-Encoding: chunked"), "GET", 200), Chunked)


@given(st.binary(max_size=200))
def test_garbage_is_nothing_worse_than_malformed(data: bytes) -> None:
    for read in (lambda: Head(data).headers, lambda: request_line(Head(data)), lambda: status_of(Head(data)), lambda: Chunked().feed(data)):
        with contextlib.suppress(Malformed):
            assert read() is not None


def test_bodies_are_decoded_or_say_why_not() -> None:
    plain = b'42["x"]' * 100
    bare = zlib.compressobj(wbits=-15)
    for data, encoding in (
        (plain, ""),
        (plain, "identity"),
        (gzip.compress(plain, mtime=0), "gzip"),
        (gzip.compress(plain, mtime=0), "X-GZIP"),
        (zlib.compress(plain), "deflate"),
        (bare.compress(plain) + bare.flush(), "deflate"),
        (gzip.compress(zlib.compress(plain), mtime=0), "deflate, gzip"),
    ):
        assert decode_body(Encoded(data, encoding)) == plain
    assert decode_body(Encoded(b"", "gzip")) == b""
    broken: list[tuple[bytes | None, str, str]] = [
        (None, "", "larger than the limit"),
        (b"x", "zstd", "'zstd' is not known"),
        (b"x", "gzip, zstd", "'zstd' is not known"),
        (b"xx", "gzip", "damaged"),
        (gzip.compress(plain, mtime=0)[:-1], "gzip", "cut short"),
    ]
    for sent, encoding, why in broken:
        told = decode_body(Encoded(sent, encoding))
        assert isinstance(told, str)
        assert why in told
