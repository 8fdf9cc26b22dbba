"""One connection as bytes: what passes as it came, what names are replaced, and which lines come of it, at every cut."""

from __future__ import annotations

import gzip

import pytest

from engineio_lite.capture.lines import Direction, SessionOpened
from engineio_lite.exceptions import LocalProtocolError
from engineio_lite.proxy.dialogue import MAX_HELD, MAX_PIPELINED
from engineio_lite.proxy.http1 import MAX_HEAD
from engineio_lite.proxy.upstream import parse_upstream
from tests.aio.raw import BINARY, closing, frame, text
from tests.proxy.test_frames import Deflater, masked
from tests.proxy.world import OPEN, POLL, SID, SOCKET, World, answer, get, post, switching, upgrade

SIZES = [1, 2, 3, 17, 100, 0]
URL = "http://server.test:3000/socket.io/"


def conversation(world: World, size: int = 0) -> list[bytes]:
    """A session by polling and then by WebSocket, with all that can be in between; what passed each way on both connections."""
    wire, other = world.connection(), world.connection()
    wire.up(get(POLL + "&t=abc"), size)
    wire.down(answer(OPEN, "Content-Type: text/plain"), size)
    other.up(post(POLL + SID, b'40{"token":"s3cret-token"}'), size)
    other.down(answer(b"ok"), size)
    wire.up(get(POLL + SID), size)
    wire.down(answer(gzip.compress(b'40{"sid":"ijklmnop"}\x1e42["a","s3cret-token"]', mtime=0), "Content-Encoding: gzip"), size)
    wire.up(get(POLL + SID), size)
    other.up(upgrade(SOCKET + SID), size)
    other.down(switching("Sec-WebSocket-Extensions: permessage-deflate") + text("3probe"), size)
    other.up(masked(text("2probe")), size)
    wire.down(answer(b"6"), size)
    other.up(masked(text("5")) + masked(text('451-["b",{"_placeholder":true,"num":0}]')) + masked(frame(BINARY, b"\x01\x02")), size)
    other.down(Deflater(takeover=True)(1, b'43["c"]') + text("2"), size)
    other.up(masked(text("3")) + masked(closing(1001, "away")), size)
    other.down(closing(1001), size)
    return [wire.to_server, wire.to_client, other.to_client]


EXPECTED = [
    f"1 open polling {URL}",
    "1 up polling CONNECT {'token': 's3cret-token'}",
    "1 down polling CONNECT {'sid': 'ijklmnop'}",
    "1 down polling EVENT ['a', 's3cret-token']",
    "1 socket open None None",
    "1 down websocket pong probe",
    "1 up websocket ping probe",
    "1 down polling noop",
    "1 up websocket upgrade",
    "1 up websocket EVENT ['b', b'\\x01\\x02']",
    "1 down websocket unread '43[\"c\"]' missing-ack-id",
    "1 down websocket ping",
    "1 up websocket pong",
    "1 socket closed up 1001 away",
    "1 end client 1001 transport close",
]


@pytest.mark.parametrize("size", SIZES)
def test_a_session_is_recorded_at_every_cut(size: int) -> None:
    world = World()
    passed = conversation(world, size)
    assert world.said() == EXPECTED
    assert passed == conversation(World())
    assert passed[0] == (get(POLL + "&t=abc") + 2 * get(POLL + SID)).replace(b"127.0.0.1:5000", b"server.test:3000")
    assert (world.tape.sessions, world.tape.packets) == (1, 12)


def test_a_post_is_written_before_its_last_byte_goes_on() -> None:
    world = World()
    conversation(world)
    wire = world.connection()
    request = post(POLL + "&sid=other", b"")
    world = World()
    wire = world.connection()
    wire.up(get(POLL))
    wire.down(answer(OPEN)[:-1])
    assert world.said() == []
    wire.down(answer(OPEN)[-1:])
    assert len(world.said()) == 1
    request = post(POLL + SID, b'42["x"]')
    assert wire.up(request[:-1]).endswith(b'42["x"')
    assert len(world.said()) == 1
    assert wire.up(request[-1:]) == b"]"
    assert world.said()[1:] == ["1 up polling EVENT ['x']"]


# --- what passes


@pytest.mark.parametrize("size", SIZES)
def test_what_is_not_recorded_passes_as_it_came(size: int) -> None:
    world = World()
    wire = world.connection()
    head = b"GET /page?x=%2f HTTP/1.1\r\nhOST:  127.0.0.1:5000\r\nX-A:1\r\nx-a: \xe9 \r\nTransfer-Encoding: chunked\r\n\r\n"
    odd = head + b'3;a="b"\r\nabc\r\n0\r\nT: u\r\n\r\n'
    assert wire.up(b"\r\n" + odd, size) == odd.replace(b"hOST:  127.0.0.1:5000", b"hOST: server.test:3000")
    back = b"HTTP/1.1 100 Continue\r\n\r\n"
    back += b"HTTP/1.1 200 \r\nSet-Cookie: a=b\r\nset-cookie:c\r\ntransfer-encoding: chunked\r\n\r\n1\r\n\x00\r\n0\r\n\r\n"
    assert wire.down(back, size) == back
    assert wire.up(get("/next"), size).startswith(b"GET /next")
    whole = b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
    assert wire.down(whole, size) == whole
    wire.dialogue.ended(9.0, Direction.DOWN)
    assert world.said() == []


def test_pipelined_requests_are_told_apart() -> None:
    world = World()
    wire = world.connection()
    wire.up(get(POLL) + get("/page") + get("/page", method="HEAD") + get(POLL + "&sid=gone"))
    wire.down(answer(OPEN) + answer(b"<html>") + answer(b"", "Content-Length: 6", length=False))
    wire.down(answer(b'{"code":1}', status=400))
    assert world.said() == [f"1 open polling {URL}", 'GET 400 {"code":1}'.join(("0 ", ""))]


def test_a_client_that_asks_too_much_is_kept_waiting() -> None:
    wire = World().connection()
    full = [(wire.up(get("/")), wire.dialogue.is_full)[1] for _ in range(MAX_PIPELINED)]
    assert full == [False] * (MAX_PIPELINED - 1) + [True]
    assert [(wire.down(answer(b"")), wire.dialogue.is_full)[1]] == [False]


def test_nothing_passes_after_an_upgrade_before_its_answer() -> None:
    world = World()
    wire = world.connection()
    assert wire.up(upgrade()) != b""
    assert wire.up(masked(text("40"))) == b""
    assert [(wire.up(data), wire.dialogue.is_full)[1] for data in (b"", b"x" * MAX_HELD)] == [False, True]
    wire.down(switching())
    assert wire.to_server.endswith(b"x" * MAX_HELD)
    assert world.said()[:2] == ["1 socket open None None", "1 up websocket CONNECT UNSET"]


def test_after_a_refused_upgrade_comes_a_request() -> None:
    world = World()
    wire = world.connection()
    wire.up(upgrade(SOCKET + "&sid=unknown"))
    refusal = answer(b"Session ID unknown", "Content-Type: text/html", status=400)
    assert wire.up(get(POLL)) == b""
    assert wire.down(refusal) == refusal
    assert wire.to_server.endswith(get(POLL).replace(b"127.0.0.1:5000", b"server.test:3000"))
    wire.down(answer(OPEN))
    assert world.said() == ["0 GET 400 Session ID unknown", f"1 open polling {URL}"]


def test_an_upgrade_to_something_else_passes_unseen() -> None:
    world = World()
    wire = world.connection()
    wire.up(get("/other", "Connection: upgrade", "Upgrade: h2c"))
    wire.down(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\x00\x01")
    assert (wire.up(b"\xff\xfe"), wire.down(b"anything")) == (b"\xff\xfe", b"anything")
    assert world.said() == []


# --- names


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("Origin: http://127.0.0.1:5000", "Origin: http://server.test:3000"),
        ("Origin: http://127.0.0.1:50001", "Origin: http://127.0.0.1:50001"),
        ("Origin: https://127.0.0.1:5000", "Origin: https://127.0.0.1:5000"),
        ("Origin: http://page.test", "Origin: http://page.test"),
        ("Origin: null", "Origin: null"),
        ("referer: http://127.0.0.1:5000/page?a=b", "referer: http://server.test:3000/page?a=b"),
        ("Referer: http://127.0.0.1:5000.evil.test/", "Referer: http://127.0.0.1:5000.evil.test/"),
        ("Cookie: a=http://127.0.0.1:5000", "Cookie: a=http://127.0.0.1:5000"),
    ],
)
def test_what_names_the_proxy_names_the_server(sent: str, passed: str) -> None:
    assert World().connection().up(get("/", sent)) == get("/", passed, host="server.test:3000")
    assert World(keep_host=True).connection().up(get("/", sent)) == get("/", sent)


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("Location: http://server.test:3000/login", "Location: http://127.0.0.1:5000/login"),
        ("location: HTTP://SERVER.test:3000", "location: http://127.0.0.1:5000"),
        ("Location: /login", "Location: /login"),
        ("Location: http://server.test:30001/", "Location: http://server.test:30001/"),
        ("Set-Cookie: a=b; Domain=server.test; Secure", "Set-Cookie: a=b; Domain=server.test; Secure"),
        ("Access-Control-Allow-Origin: http://server.test:3000", "Access-Control-Allow-Origin: http://server.test:3000"),
    ],
)
def test_a_redirect_to_the_server_leads_to_the_proxy(sent: str, passed: str) -> None:
    wire = World().connection()
    wire.up(get("/"))
    assert wire.down(answer(b"", sent, status=302)) == answer(b"", passed, status=302)


def test_without_a_host_nothing_is_replaced() -> None:
    request = b"GET / HTTP/1.0\r\nOrigin: http://server.test\r\n\r\n"
    assert World().connection().up(request) == request


@pytest.mark.parametrize(
    ("url", "origin", "authority", "port"),
    [
        ("http://Host.test", "http://host.test", "host.test", 80),
        ("wss://host.test:443/", "https://host.test", "host.test", 443),
        ("https://host.test:8443", "https://host.test:8443", "host.test:8443", 8443),
        ("http://[::1]:3000", "http://[::1]:3000", "[::1]:3000", 3000),
    ],
)
def test_the_server_is_named_as_a_browser_does(url: str, origin: str, authority: str, port: int) -> None:
    upstream = parse_upstream(url)
    assert (upstream.origin, upstream.authority, upstream.port) == (origin, authority, port)


@pytest.mark.parametrize(
    "url", ["host.test:3000", "http://host.test/socket.io/", "http://host.test/?a=b", "http://a:s3cret@host.test", "ftp://a", "http://"]
)
def test_what_is_no_server_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_upstream(url)
    assert "s3cret" not in str(caught.value)


# --- what is recorded


@pytest.mark.parametrize(
    ("path", "target", "wanted"),
    [
        (None, "/anything?EIO=4", True),
        (None, "/socket.io/?transport=polling", True),
        (None, "/socket.io/?transport=pigeon", False),
        (None, "/socket.io/socket.io.js", False),
        ("/socket.io/", "/socket.io/?x=y", True),
        ("/socket.io", "/socket.io/", True),
        ("/socket.io/", "/other/?EIO=4", False),
    ],
)
def test_what_is_wanted(path: str | None, target: str, wanted: bool) -> None:
    assert World(path=path).tape.wants(target) is wanted


def test_the_url_of_a_session_keeps_what_is_its_own() -> None:
    world = World()
    wire = world.connection()
    wire.up(get("/chat/?room=a%20b&EIO=4&transport=polling&t=x"))
    wire.down(answer(OPEN))
    [opened] = world.lines
    assert isinstance(opened, SessionOpened)
    assert opened.url == "http://server.test:3000/chat/?room=a%20b"


@pytest.mark.parametrize(
    ("request_bytes", "answer_bytes", "said"),
    [
        (get("/socket.io/?EIO=3&transport=polling"), answer(b"no", status=400), ["0 GET 400 no", "0 note engineio-3"]),
        (get(POLL), answer(b"<html>", "Content-Type: text/html"), ["0 GET 200 <html>"]),
        (get(POLL), answer(b"x", "Content-Encoding: zstd"), ["0 GET 200 (its content encoding 'zstd' is not known here)"]),
        (get(POLL, method="OPTIONS"), answer(b"", status=204), []),
        (get(POLL, method="OPTIONS"), answer(b"", status=403), ["0 OPTIONS 403"]),
        (post(POLL, b"40"), answer(b"", status=400), ["0 POST 400"]),
        (post(POLL + "&sid=gone", b"40"), answer(b"", status=400), ["0 POST 400"]),
        (post(POLL + "&sid=early", b"40"), answer(b"ok"), ["1 note gap", "1 up polling CONNECT UNSET"]),
        (get(POLL + "&sid=early"), answer(b"2"), ["1 note gap", "1 down polling ping"]),
        (upgrade(SOCKET + "&sid=early"), switching() + text("3probe"), ["1 note gap", "1 socket open None None", "1 down websocket pong probe"]),
    ],
)
def test_what_is_no_session_or_one_that_began_earlier(request_bytes: bytes, answer_bytes: bytes, said: list[str]) -> None:
    world = World()
    wire = world.connection()
    wire.up(request_bytes)
    wire.down(answer_bytes)
    assert [line[: len(expected)] for line, expected in zip(world.said(), said, strict=True)] == said


def opened() -> World:
    world = World()
    wire = world.connection()
    wire.up(get(POLL))
    wire.down(answer(OPEN))
    return world


def test_a_session_that_is_left_by_polling_ends_with_the_answer_to_that() -> None:
    world = opened()
    wire, other = world.connection(), world.connection()
    wire.up(get(POLL + SID))
    other.up(post(POLL + SID, b"41\x1e1"))
    assert world.said()[-1] == "1 up polling close"
    other.down(answer(b"ok"))
    assert world.said()[-1] == "1 end client None client close"
    wire.down(answer(b"6"))
    assert world.said()[-1] == "1 down polling noop"
    wire.up(get(POLL + SID))
    wire.down(answer(b'{"code":1}', status=400))
    assert world.said()[-1] == '1 GET 400 {"code":1}'


def test_a_session_that_the_server_leaves_ends_with_its_word() -> None:
    world = opened()
    wire = world.connection()
    wire.up(get(POLL + SID))
    wire.down(answer(b"6\x1e1"))
    assert world.said()[1:] == ["1 down polling noop", "1 down polling close", "1 end server None server close"]


def test_a_session_that_the_server_refuses_is_over() -> None:
    world = opened()
    wire = world.connection()
    wire.up(get(POLL + SID))
    wire.down(answer(b'{"code":1}', status=400))
    assert world.said()[-2:] == ['1 GET 400 {"code":1}', "1 end server None transport error"]


def test_a_body_that_cannot_be_read_is_a_gap() -> None:
    world = opened()
    wire = world.connection()
    wire.up(get(POLL + SID))
    wire.down(answer(b"?", "Content-Encoding: br2"))
    assert world.said()[1:] == ["1 note gap: the body of a GET is not here: its content encoding 'br2' is not known here"]


def test_a_websocket_session_begins_and_ends_with_its_socket() -> None:
    world = World()
    wire = world.connection()
    wire.up(upgrade())
    wire.down(switching() + text(OPEN.decode()))
    wire.down(text("1"))
    wire.dialogue.ended(9.0, Direction.DOWN)
    assert world.said() == [
        "1 socket open None None",
        f"1 open websocket {URL}",
        "1 down websocket close",
        "1 socket closed down None",
        "1 end server None server close",
    ]


def test_a_websocket_without_a_session_says_so() -> None:
    world = World()
    wire = world.connection()
    wire.up(upgrade("/socket.io/?EIO=3&transport=websocket"))
    wire.down(switching() + b"HTTP/1.1 400 Bad Request\r\n\r\n")
    wire.dialogue.ended(9.0, Direction.UP)
    assert [line.partition(": ")[0] for line in world.said()] == [
        "1 socket open None None",
        "1 note gap",
        "1 socket closed up None",
        "1 note unopened",
        "1 end client None transport close",
    ]


def test_an_upgrade_that_fails_does_not_end_its_session() -> None:
    world = opened()
    wire = world.connection()
    wire.up(upgrade(SOCKET + SID))
    wire.down(switching())
    wire.up(masked(text("2probe")))
    wire.dialogue.ended(9.0, Direction.DOWN)
    wire.dialogue.ended(9.0, Direction.UP)
    assert world.said()[1:] == ["1 socket open None None", "1 up websocket ping probe", "1 socket closed down None"]
    world.tape.finish(10.0)
    assert world.said()[4:] == ["1 note open: the session was open when the recording ended"]


# --- ends and faults


def test_a_client_that_goes_away_is_told_of_its_request() -> None:
    world = opened()
    wire = world.connection()
    wire.up(get(POLL + SID))
    wire.dialogue.ended(9.0, Direction.UP)
    wire.dialogue.abandoned(9.0, Direction.UP)
    assert world.said()[1:] == ["1 GET 0", "1 note abandoned: the client went away before its GET was answered"]


def test_a_server_that_goes_away_is_told_of_its_answer() -> None:
    world = opened()
    wire = world.connection()
    wire.up(get(POLL + SID))
    wire.down(answer(b"42[")[:-1])
    assert not wire.dialogue.is_unanswered
    wire.dialogue.ended(9.0, Direction.DOWN)
    wire.dialogue.abandoned(9.0, Direction.DOWN)
    assert world.said()[1:] == ["1 GET 0", "1 note upstream: the server went away before its answer was complete"]


def test_an_answer_that_ends_with_the_connection_is_whole() -> None:
    world = World()
    wire = world.connection()
    wire.up(get(POLL))
    wire.down(answer(OPEN, length=False))
    assert world.said() == []
    wire.dialogue.ended(9.0, Direction.DOWN)
    assert world.said() == [f"1 open polling {URL}"]


def test_an_unreachable_server_is_an_answer_that_can_be_read() -> None:
    world = World()
    wire = world.connection()
    wire.up(get(POLL))
    assert wire.dialogue.is_unanswered
    told = wire.dialogue.refuse(1.0, "nobody there", "start it")
    assert told.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert told.endswith(b"\r\n\r\nengineio-lite record: nobody there\nstart it\n")
    assert world.said() == ["0 GET 502", "0 note upstream: nobody there"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x16\x03\x01\x02\x00\x01", b"the client speaks TLS"),
        (b"GET http://server.test:3000/socket.io/ HTTP/1.1\r\n\r\n", b"this is a reverse proxy"),
        (b"CONNECT server.test:443 HTTP/1.1\r\n\r\n", b"this is a reverse proxy"),
    ],
)
def test_slips_of_whoever_configured_the_client_are_explained(data: bytes, why: bytes) -> None:
    wire = World().connection()
    wire.up(data)
    assert wire.is_over
    assert wire.to_server == b""
    assert wire.to_client.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert why in wire.to_client


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        b"not HTTP at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD,
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    ],
)
def test_what_is_malformed_passes_for_the_server_to_judge(data: bytes) -> None:
    world = World()
    wire = world.connection()
    if data.startswith(b"not"):
        wire.up(get("/"))
    passed = wire.up(data)
    assert passed == data
    assert wire.up(b"more") == b"more"
    assert [line.partition(";")[0][:10] for line in world.said()] == ["0 note gap"]


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        (get(POLL), b"HTTP/2 200\r\n\r\n"),
        (get(POLL), b"x" * (MAX_HEAD + 1)),
        (get(POLL), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n"),
        (upgrade(), b"nonsense\r\n\r\n"),
    ],
)
def test_an_answer_that_is_malformed_passes_for_the_client_to_judge(asked: bytes, data: bytes) -> None:
    world = World()
    wire = world.connection()
    wire.up(asked)
    assert wire.down(data) == data
    assert (wire.down(b"more"), wire.up(b"more")) == (b"more", b"more" if asked == upgrade() else b"")
    assert [line[:15] for line in world.said()] == ["0 GET 0", "0 note upstream"]


def test_what_the_server_says_unasked_passes() -> None:
    wire = World().connection()
    assert wire.down(b"HTTP/1.1 408 Request Timeout\r\n\r\n") == b"HTTP/1.1 408 Request Timeout\r\n\r\n"


def test_nothing_is_written_after_the_end() -> None:
    world = opened()
    world.tape.finish(5.0)
    before = world.said()
    wire = world.connection()
    wire.up(post(POLL + SID, b'42["late"]'))
    assert world.said() == before
