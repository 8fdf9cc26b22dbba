"""The msgpack parser: the bytes of both real libraries, what each value becomes, and everything that is refused on the way in or out."""

from __future__ import annotations

import copy
import json
import subprocess
import tracemalloc
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from math import inf, isnan, nan
from typing import Any

import msgspec
import pytest
from msgspec.msgpack import Ext

from engineio_lite.causes import FIXES, Cause
from engineio_lite.exceptions import DecodeError, LocalProtocolError
from engineio_lite.limits import Limits
from engineio_lite.socketio.grammar import MAX_ACK_ID, RESERVED_EVENTS
from engineio_lite.socketio.msgpack import MsgpackDecoder, encode_msgpack
from engineio_lite.socketio.packet import Decoder, Packet, PacketType, encode
from tests.peers import HERE as PEERS
from tests.peers import in_ci

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = list(PacketType)[:5]

NOTHING: Any = object()
pack = msgspec.msgpack.encode


def decode(message: bytes, **options: Any) -> Packet:
    decoder = MsgpackDecoder(**options)
    assert decoder.pending == 0
    packet = decoder.feed(message)
    assert decoder.pending == 0
    return packet


def fault(message: str | bytes, **options: Any) -> tuple[Cause, int]:
    with pytest.raises(DecodeError) as caught:
        MsgpackDecoder(**options).feed(message)
    assert caught.value.layer == "socketio-packet"
    return caught.value.code, caught.value.offset


def encoded(packet: Packet, **options: Any) -> bytes:
    [message] = encode_msgpack(packet, **options)
    assert type(message) is bytes
    return message


def refusal(packet: Packet, **options: Any) -> Cause:
    with pytest.raises(LocalProtocolError) as caught:
        encode_msgpack(packet, **options)
    return caught.value.cause


def wire(*arguments: bytes, head: str = "a161") -> bytes:
    """An event of the main namespace with the name ``a`` (or any first element) and encoded arguments."""
    count = len(arguments) + 1
    array = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2)
    return bytes.fromhex("83a47479706502a464617461") + array + bytes.fromhex(head) + b"".join(arguments) + bytes.fromhex("a36e7370a12f")


START = 15
"""Where the first argument stands in an event of `wire`."""


def argument(*content: str | bytes) -> object:
    """What one encoded argument is decoded to."""
    raw = b"".join(part if isinstance(part, bytes) else bytes.fromhex(part) for part in content)
    data: Any = decode(wire(raw)).data
    assert data[0] == "a"
    assert len(data) == 2
    return data[1]


# --- what the real libraries write

# Written by the `Encoder` of socket.io-msgpack-parser 3.0.2 with notepack.io 2.2.0 under Node: what socket.io and its client pass to it.
NODE: dict[str, tuple[str, Packet]] = {
    "a client's connect, data and options undefined": ("84a47479706500a464617461d40000a76f7074696f6e73d40000a36e7370a12f", Packet(CONNECT)),
    "a client's connect with auth": (
        "83a47479706500a46461746181a5746f6b656ea3313233a36e7370a62f61646d696e", Packet(CONNECT, {"token": "123"}, "/admin"),
    ),
    "a server's connect": ("83a47479706500a46461746181a3736964a178a36e7370a12f", Packet(CONNECT, {"sid": "x"})),
    "disconnect": ("82a47479706501a36e7370a12f", Packet(DISCONNECT)),
    "a client's event, with options": (
        "84a47479706502a46461746191a3666f6fa76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f", Packet(EVENT, ["foo"]),
    ),
    "a client's event with an id": (
        "85a47479706502a46461746196a3666f6fc0c3cb3ff800000000000081a16290f9a76f7074696f6e7381a8636f6d7072657373c3a269640da36e7370a62f61646d696e",
        Packet(EVENT, ["foo", None, True, 1.5, {"b": []}, -7], "/admin", 13),
    ),
    "Buffer": (
        "84a47479706502a46461746193a362696ec402010281a16b91c400a2696400a36e7370a12f", Packet(EVENT, ["bin", b"\1\2", {"k": [b""]}], id=0),
    ),
    "ArrayBuffer of 1 byte, Uint8Array of 8, ArrayBuffer of 0, Uint8Array of 300": (
        "83a47479706502a46461746195a26162c7010041c708000102030405060708c70000c8012c00" + "00" * 300 + "a36e7370a12f",
        Packet(EVENT, ["ab", b"A", bytes(range(1, 9)), b"", bytes(300)]),
    ),
    "undefined": ("83a47479706502a46461746193a175d4000081a161d40000a36e7370a12f", Packet(EVENT, ["u", None, {"a": None}])),
    "Date: 1500, -1, 8.64e15, NaN (which it writes as 0)": (
        "83a47479706502a46461746195a164d70000000000000005dcd700ffffffffffffffffd700001eb208c2dc0000d7000000000000000000a36e7370a12f",
        Packet(
            EVENT,
            [
                "d", datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC),
                Ext(0, (8_640_000_000_000_000).to_bytes(8)), datetime(1970, 1, 1, tzinfo=UTC),
            ],
        ),
    ),
    "infinities, -0, 2**53, -(2**53), 2**32, -(2**31) - 1, 0.1, 1e20 (which it writes wrong)": (
        "83a47479706502a4646174619aa16ecb7ff0000000000000cbfff000000000000000cf0020000000000000d3ffe0000000000000cf0000000100000000"
        "d3ffffffff7fffffffcb3fb999999999999acf6bc75e2d63100000a36e7370a12f",
        Packet(EVENT, ["n", inf, -inf, 0, 2**53, -(2**53), 2**32, -(2**31) - 1, 0.1, 10**20 - 5 * 2**64]),
    ),
    "an acknowledgement": ("84a47479706503a46461746191a26f6ba2696411a36e7370a52f63686174", Packet(ACK, ["ok"], "/chat", 17)),
    "an acknowledgement of nothing": ("84a47479706503a2696401a46461746190a36e7370a12f", Packet(ACK, [], id=1)),
    "connect_error, its data undefined": (
        "83a47479706504a46461746182a76d657373616765a26e6fa464617461d40000a36e7370a12f", Packet(CONNECT_ERROR, {"message": "no", "data": None}),
    ),
    "lone surrogates, which it joins with what follows": (
        "83a47479706502a46461746193a4f09f9080a561f09081a2a4f0908080a36e7370a12f", Packet(EVENT, ["\U0001f400", "a\U00010062", "\U00010000"]),
    ),
    "long text, an array of 17": (
        "83a47479706502a46461746193a9c3a9e282acf09f9880d928" + "78" * 40 + "dc0011000102030405060708090a0b0c0d0e0f10a36e7370a12f",
        Packet(EVENT, ["é€😀", "x" * 40, list(range(17))]),
    ),
    "Map, toJSON, null": ("83a47479706502a46461746194a16d80a16ac0a36e7370a12f", Packet(EVENT, ["m", {}, "j", None])),
}  # fmt: skip

# Written by python-socketio 5.18.1 with msgpack 1.2.4 (`MsgPackPacket(type, data, namespace, id).encode()`).
PYTHON: dict[str, tuple[str, Packet]] = {
    "connect without data": ("83a47479706500a464617461c0a36e7370a12f", Packet(CONNECT)),
    "connect with auth": ("83a47479706500a46461746181a5746f6b656ea3313233a36e7370a62f61646d696e", Packet(CONNECT, {"token": "123"}, "/admin")),
    "disconnect": ("83a47479706501a464617461c0a36e7370a12f", Packet(DISCONNECT)),
    "event": ("83a47479706502a46461746191a3666f6fa36e7370a12f", Packet(EVENT, ["foo"])),
    "event with an id": (
        "84a47479706502a46461746196a3666f6fc0c3cb3ff800000000000081a16290f9a36e7370a62f61646d696ea269640d",
        Packet(EVENT, ["foo", None, True, 1.5, {"b": []}, -7], "/admin", 13),
    ),
    "bytes": ("84a47479706502a46461746193a362696ec402010281a16b91c400a36e7370a12fa2696400", Packet(EVENT, ["bin", b"\1\2", {"k": [b""]}], id=0)),
    "an acknowledgement of nothing": ("84a47479706503a46461746190a36e7370a12fa2696401", Packet(ACK, [], id=1)),
    "an acknowledgement": (
        "84a47479706503a46461746192a26f6b81a26964cd3039a36e7370a52f63686174a2696411", Packet(ACK, ["ok", {"id": 12345}], "/chat", 17),
    ),
    "connect_error": ("83a47479706504a46461746181a76d657373616765a26e6fa36e7370a12f", Packet(CONNECT_ERROR, {"message": "no"})),
    "connect_error as text": (
        "83a47479706504a464617461b1556e61626c6520746f20636f6e6e656374a36e7370a52f6e6f7065", Packet(CONNECT_ERROR, "Unable to connect", "/nope"),
    ),
    "Timestamp, ExtType, text, integers, an array of 17": (
        "83a47479706502a46461746197a174d7ff7735940000000001c70305616263a9c3a9e282acf09f9880cf0020000000000000d3ffffffff7fffffff"
        "dc0011000102030405060708090a0b0c0d0e0f10a36e7370a12f",
        Packet(EVENT, ["t", datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), Ext(5, b"abc"), "é€😀", 2**53, -(2**31) - 1, list(range(17))]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NODE)
def test_what_node_writes_is_read(name: str) -> None:
    message, packet = NODE[name]
    assert decode(bytes.fromhex(message)) == packet


@pytest.mark.parametrize("name", PYTHON)
def test_what_python_writes_is_read(name: str) -> None:
    message, packet = PYTHON[name]
    assert decode(bytes.fromhex(message)) == packet


@pytest.mark.parametrize("name", [name for name in PYTHON if name not in ("connect without data", "disconnect") and "Timestamp" not in name])
def test_what_python_writes_is_what_we_write(name: str) -> None:
    message, packet = PYTHON[name]
    assert encoded(packet).hex() == message


def test_nan_is_a_number_here() -> None:
    # Both libraries write the same bits.
    number = argument("cb7ff8000000000000")
    assert isinstance(number, float)
    assert isnan(number)
    assert encoded(Packet(EVENT, ["a", nan, -inf])) == wire(bytes.fromhex("cb7ff8000000000000"), bytes.fromhex("cbfff0000000000000"))


# --- what we write

# (packet, its one message)
FORMS: list[tuple[Packet, str]] = [
    (Packet(CONNECT), "82a47479706500a36e7370a12f"),
    (Packet(CONNECT, {}), "83a47479706500a46461746180a36e7370a12f"),
    (Packet(CONNECT, {"b": b"\xff"}, "/x"), "83a47479706500a46461746181a162c401ffa36e7370a22f78"),  # bytes need no type of their own
    (Packet(DISCONNECT), "82a47479706501a36e7370a12f"),
    (Packet(DISCONNECT, namespace="/admin"), "82a47479706501a36e7370a62f61646d696e"),
    (Packet(EVENT, ["a", {"_placeholder": True, "num": 0}, b""]), wire(pack({"_placeholder": True, "num": 0}), pack(b"")).hex()),
    (Packet(EVENT, ["a", 2**64 - 1, -(2**63)]), wire(bytes.fromhex("cfffffffffffffffff"), bytes.fromhex("d38000000000000000")).hex()),
    (Packet(EVENT, ["a", 1.0, -0.0]), wire(bytes.fromhex("cb3ff0000000000000"), bytes.fromhex("cb8000000000000000")).hex()),
    (Packet(EVENT, [5]), "83a47479706502a4646174619105a36e7370a12f"),
    (Packet(EVENT, [1.5]), "83a47479706502a46461746191cb3ff8000000000000a36e7370a12f"),
    (Packet(EVENT, [""], "/x", 0), "84a47479706502a46461746191a0a36e7370a22f78a2696400"),
    (Packet(EVENT, ["a"], id=MAX_ACK_ID), wire().hex().replace("83a4", "84a4", 1) + "a26964cf001fffffffffffff"),
    (Packet(ACK, ["connect"], id=1), "84a47479706503a46461746191a7636f6e6e656374a36e7370a12fa2696401"),
    (Packet(CONNECT_ERROR, "no"), "83a47479706504a464617461a26e6fa36e7370a12f"),
    (Packet(EVENT, ["a", Ext(5, b"abc")]), wire(bytes.fromhex("c70305616263")).hex()),
]


@pytest.mark.parametrize(("packet", "message"), FORMS, ids=[message[:60] for _, message in FORMS])
def test_forms(packet: Packet, message: str) -> None:
    assert encoded(packet).hex() == message
    answer = decode(bytes.fromhex(message))
    assert answer == packet
    assert [type(item) for item in answer.data or ()] == [type(item) for item in packet.data or ()]  # type: ignore[attr-defined]


class Name(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


class Half(float):
    __slots__ = ()


Pair = namedtuple("Pair", "x y")  # a tuple, though not an exact one


@pytest.mark.parametrize(
    ("data", "same"),
    [
        (("a", (1, 2)), ["a", [1, 2]]),
        ([Name.A, Number.ONE], ["a", 1]),
        ([Loud("a"), {Loud("k"): Loud("v")}], ["a", {"k": "v"}]),
        (["a", OrderedDict(k=Half(0.5)), Pair(None, True)], ["a", {"k": 0.5}, [None, True]]),
        (["a", bytearray(b"1"), memoryview(b"xyz")[1:], memoryview(b"abcdef")[::2]], ["a", b"1", b"yz", b"ace"]),
        (["a", Number.ONE, Ext(7, memoryview(b"abcdef")[::2])], ["a", 1, Ext(7, b"ace")]),
    ],
)
def test_look_alikes_are_sent_as_what_they_look_like(data: Any, same: list[object]) -> None:
    message = encoded(Packet(EVENT, data))
    assert message == encoded(Packet(EVENT, same))
    assert decode(message).data == same


def test_a_namespace_that_shouts_is_sent_as_it_is() -> None:
    assert decode(encoded(Packet(EVENT, ["a"], Loud("/x")))).namespace == "/x"


def test_nothing_of_the_callers_is_changed() -> None:
    data: list[Any] = ["a", bytearray(b"x"), {"k": [b"y", (1, {"z": Name.A})]}, Ext(1, b"")]
    before = copy.deepcopy(data)
    message = encoded(Packet(EVENT, data))
    data[1][0] = 0
    assert data[0:1] + data[2:] == before[0:1] + before[2:]
    assert type(data[2]["k"][1]) is tuple
    assert type(data[2]["k"][1][1]["z"]) is Name
    assert decode(message).data == ["a", b"x", {"k": [b"y", [1, {"z": "a"}]]}, Ext(1, b"")]


def test_as_many_bytes_as_one_likes() -> None:
    packet = Packet(EVENT, ["a", *[b"x"] * 1000])
    assert decode(encoded(packet, limits=Limits(max_attachments=1, max_attachment_bytes=1))) == packet


REAL = r"""
const { Encoder, Decoder } = require("socket.io-msgpack-parser");
const lines = require("node:fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const decoder = new Decoder();
  let packet;
  decoder.on("decoded", (decoded) => { packet = decoded; });
  decoder.add(Buffer.from(line, "hex"));
  console.log(JSON.stringify([packet.type, packet.nsp, new Encoder().encode(packet)[0].toString("hex")]));
}
"""


def node(script: str, *arguments: str, lines: str = "") -> str:
    """Run a script beside the real parser; return what it prints."""
    if not (PEERS / "node_modules" / "socket.io-msgpack-parser").is_dir() and not in_ci():
        pytest.skip("socket.io-msgpack-parser is not installed: run `npm ci` in tests/peers")
    command = ["node", "-e", script, *arguments]
    run = subprocess.run(command, cwd=PEERS, input=lines, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.usefixtures("node_client")
def test_node_takes_what_we_write_and_we_what_it_makes_of_it() -> None:
    # What JavaScript has no type for would come back as something else, and so would whole numbers from 2**64 up, which that library writes wrong.
    packets = [packet for name, (_, packet) in PYTHON.items() if not name.startswith("Timestamp")]
    packets += [packet for packet, _ in FORMS[:6]]
    packets += [
        Packet(EVENT, ["a", 2**53 - 1, -(2**53) + 1, 0.1, 1.5e-300, -5e-324, inf, -128, 255, 256, 65536, -(2**31), 2**32]),
        Packet(EVENT, ["a", "é€😀", "x" * 31, "x" * 32, "x" * 300, "x" * 70_000, b"x" * 300, b"x" * 70_000]),
        Packet(EVENT, ["a", [[]] * 20, {str(i): i for i in range(20)}, [0] * 70_000, {str(i): i for i in range(70_000)}]),
        Packet(EVENT, ["a", False, {"_placeholder": True, "num": 0}, b""], "/x", MAX_ACK_ID),
        Packet(ACK, [b"", None], id=0),
    ]
    answers = [json.loads(line) for line in node(REAL, lines="\n".join(encoded(packet).hex() for packet in packets)).splitlines()]
    assert len(answers) == len(packets)
    for packet, (number, namespace, message) in zip(packets, answers, strict=True):
        assert (list(PacketType)[number], namespace) == (packet.type, packet.namespace)
        assert decode(bytes.fromhex(message)) == packet


@pytest.mark.usefixtures("node_client")
def test_node_reads_a_date_if_the_caller_speaks_its_extension() -> None:
    message = encoded(Packet(EVENT, ["a", Ext(0, (86_400_000).to_bytes(8))]))
    script = 'console.log(require("notepack.io").decode(Buffer.from(process.argv[1], "hex")).data[1].toISOString())'
    assert node(script, message.hex()) == "1970-01-02T00:00:00.000Z\n"
    assert decode(message).data == ["a", datetime(1970, 1, 2, tzinfo=UTC)]


# --- what else is read


@pytest.mark.parametrize(
    ("fields", "packet"),
    [
        ({"nsp": "/", "type": 0}, Packet(CONNECT)),
        ({"type": 0, "nsp": "/", "data": None, "id": None}, Packet(CONNECT)),
        ({"type": 0, "nsp": "/", "data": Ext(0, b"\0"), "id": Ext(0, b"\0")}, Packet(CONNECT)),
        ({"type": 1, "nsp": "/x", "data": {"message": "nope"}}, Packet(DISCONNECT, {"message": "nope"}, "/x")),
        ({"type": 1, "nsp": "/x", "data": None}, Packet(DISCONNECT, namespace="/x")),
        ({"id": None, "data": ["a"], "nsp": "/", "type": 2}, Packet(EVENT, ["a"])),
        ({"type": 2, "nsp": "/a,b?c", "data": ["a"]}, Packet(EVENT, ["a"], "/a,b?c")),
        ({"type": 2, "nsp": "/", "data": [7, "x"], "id": 7}, Packet(EVENT, [7, "x"], id=7)),
        ({"type": 2, "nsp": "/", "data": ["a"], "attachments": 0, "": [{}]}, Packet(EVENT, ["a"])),
        ({"type": 3, "nsp": "/", "data": [], "id": 0, "options": None}, Packet(ACK, [], id=0)),
        ({"type": 4, "nsp": "/", "data": {}}, Packet(CONNECT_ERROR, {})),
    ],
)
def test_what_else_is_accepted(fields: dict[str, object], packet: Packet) -> None:
    assert decode(pack(fields)) == packet


def test_a_packet_without_payload_has_no_data() -> None:
    assert decode(pack({"type": 0, "nsp": "/"})).data is msgspec.UNSET


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert argument("82a16b01a16b02") == {"k": 2}


# Longer forms than needed, and every kind of head.
VALUES: list[tuple[str, object]] = [
    ("00", 0), ("7f", 127), ("ff", -1), ("e0", -32), ("c0", None), ("c2", False), ("c3", True),
    ("cc00", 0), ("cdffff", 65535), ("ceffffffff", 2**32 - 1), ("cfffffffffffffffff", 2**64 - 1),
    ("d080", -128), ("d18000", -(2**15)), ("d280000000", -(2**31)), ("d38000000000000000", -(2**63)), ("d30000000000000001", 1),
    ("ca3fc00000", 1.5), ("ca7f800000", inf), ("cb3ff8000000000000", 1.5),
    ("a0", ""), ("d90178", "x"), ("da000178", "x"), ("db0000000178", "x"), ("a4f09f9880", "😀"),
    ("c40178", b"x"), ("c5000178", b"x"), ("c60000000178", b"x"),
    ("90", []), ("dc000101", [1]), ("dd0000000101", [1]),
    ("80", {}), ("81a001", {"": 1}), ("de0001a16b01", {"k": 1}), ("df00000001a16b01", {"k": 1}),
    ("d40501", Ext(5, b"\1")), ("d5050102", Ext(5, b"\1\2")), ("d60501020304", Ext(5, b"\1\2\3\4")), ("d705" + "01" * 8, Ext(5, b"\1" * 8)),
    ("d805" + "01" * 16, Ext(5, b"\1" * 16)), ("c70005", Ext(5, b"")), ("c8000105ff", Ext(5, b"\xff")), ("c90000000105ff", Ext(5, b"\xff")),
    ("d48001", Ext(-128, b"\1")), ("d47f01", Ext(127, b"\1")),
    # Code 0 is several things.
    ("d40000", None), ("d40041", None), ("c7010041", b"A"), ("c800010041", b"A"), ("c9000000010041", b"A"), ("c70000", b""),
    ("d7000000000000000000", datetime(1970, 1, 1, tzinfo=UTC)), ("c708000000000000000000", bytes(8)),
    ("d5000102", Ext(0, b"\1\2")), ("d60001020304", Ext(0, b"\1\2\3\4")), ("d800" + "01" * 16, Ext(0, b"\1" * 16)),
    ("d700ffffc77cedd32800", datetime(1, 1, 1, tzinfo=UTC)), ("d700ffffc77cedd327ff", Ext(0, bytes.fromhex("ffffc77cedd327ff"))),
    ("d7000000e677d21fdbff", datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)), ("d7000000e677d21fdc00", Ext(0, bytes.fromhex("0000e677d21fdc00"))),
    ("d7007fffffffffffffff", Ext(0, b"\x7f" + b"\xff" * 7)),
    # Timestamps of 32, 64 and 96 bits; parts of a microsecond are lost.
    ("d6ff00000001", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)), ("d7ff0000000400000000", datetime(1970, 1, 1, tzinfo=UTC)),
    ("c70cff00000000ffffffffffffffff", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
]  # fmt: skip


@pytest.mark.parametrize(("content", "value"), VALUES, ids=[content[:24] for content, _ in VALUES])
def test_values(content: str, value: object) -> None:
    alone: Any = argument(content)
    in_array: Any = argument("92", content, "01")
    in_object: Any = argument("82a16a", content, "a16bd40000")  # with an extension beside it
    assert in_array == [alone, 1]
    assert in_object == {"j": alone, "k": None}
    for found in (alone, in_array[0], in_object["j"]):
        assert found == value
        assert type(found) is type(value)
        assert not isinstance(found, Ext) or type(found.data) is bytes


def test_extensions_with_code_0_keep_their_order() -> None:
    # An ArrayBuffer of 8 bytes, a Date, one of 1 byte, undefined, another extension, a Date, one of 300 bytes; and as a value in an object.
    content = "97c708000000000000000001d7000000000000000001c7010007d40000d40501d7000000000000000002c8012c00" + "07" * 300
    first, second = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms) for ms in (1, 2))
    values = [b"\0" * 7 + b"\1", first, b"\7", None, Ext(5, b"\1"), second, b"\7" * 300]
    assert argument(content) == values
    assert argument("81a16b", content) == {"k": values}


# --- faults

GOOD = wire()
NO_KEYS: tuple[object, ...] = (1, 1.5, None, True, b"k", [], [1], {}, Ext(5, b""))
FAULTS: list[tuple[bytes, Cause, int]] = [
    (b"", Cause.EMPTY_PACKET, 0),
    # No map, or nothing whole.
    (b"\xc1", Cause.BAD_MSGPACK, 0),
    (b"\xc0", Cause.BAD_MSGPACK, 0),
    (b'2["a"]', Cause.BAD_MSGPACK, 0),
    (b"\x93\x02\x91\xa1a\xa1/", Cause.BAD_MSGPACK, 0),
    (b"\xdd\xff\xff\xff\xff", Cause.BAD_MSGPACK, 0),
    (b"\x81", Cause.BAD_MSGPACK, 1),
    (b"\xde", Cause.BAD_MSGPACK, 1),
    (b"\xdf\xff\xff\xff", Cause.BAD_MSGPACK, 4),
    (b"\xdf\xff\xff\xff\xff", Cause.BAD_MSGPACK, 5),
    (GOOD[:-1], Cause.BAD_MSGPACK, len(GOOD) - 1),
    (GOOD + b"\xc0", Cause.BAD_MSGPACK, len(GOOD)),
    (GOOD + GOOD, Cause.BAD_MSGPACK, len(GOOD)),
    (b"\x80\x80", Cause.BAD_MSGPACK, 1),
    (wire(b"\xc1"), Cause.BAD_MSGPACK, START),
    (wire(b"\x92\xc0\xc1"), Cause.BAD_MSGPACK, START + 2),
    *((wire(bytes.fromhex(head) + b"\xff" * 4)[: START + 5], Cause.BAD_MSGPACK, START + 5) for head in ("c6", "db", "dd")),
    *((wire(bytes.fromhex(head) + b"\xff" * 4)[: START + 4], Cause.BAD_MSGPACK, START + 4) for head in ("c6", "c9", "db", "dd", "df")),
    (wire(b"\xc9\xff\xff\xff\xff")[: START + 5], Cause.BAD_MSGPACK, START + 5),
    (wire(b"\xc7\x05\x00")[: START + 3], Cause.BAD_MSGPACK, START + 3),
    # Keys.
    (b"\x81\x01\xc0", Cause.BAD_MSGPACK, 1),
    (b"\x81\xc4\x01a\xc0", Cause.BAD_MSGPACK, 1),
    (b"\x81\xc1", Cause.BAD_MSGPACK, 1),
    *((wire(b"\x82\xa1k\x01" + pack(key) + b"\xc0"), Cause.BAD_MSGPACK, START + 4) for key in NO_KEYS),
    (wire(b"\x81\xd4\x00\x00\xc0"), Cause.BAD_MSGPACK, START + 1),
    # What stands in fields that mean nothing is held against the same rules.
    (b"\x84" + GOOD[1:] + b"\x01\xc0", Cause.BAD_MSGPACK, len(GOOD)),
    (b"\x84" + GOOD[1:] + b"\xa1x" + b"\x91" * 100 + b"\x90", Cause.TOO_DEEP, len(GOOD) + 2 + 100),
    (b"\x85" + GOOD[1:] + b"\xa2id\x07\x01\xc0", Cause.BAD_MSGPACK, len(GOOD) + 4),
    # Text.
    (wire(b"\xa1\xff"), Cause.BAD_UTF8, START + 1),
    (wire(b"\xa3a\xed\xa0"), Cause.BAD_UTF8, START + 2),
    (wire(b"\xd9\x03\xed\xa0\x80"), Cause.BAD_UTF8, START + 2),  # a surrogate is no UTF-8
    (wire(b"\xa2\xc0\x80"), Cause.BAD_UTF8, START + 1),
    (wire(b"\x81\xa1\xff\xc0"), Cause.BAD_UTF8, START + 2),
    (wire(b"\xc4\x01\xff", b"\xda\x00\x02x\xff"), Cause.BAD_UTF8, START + 7),  # bytes may be anything
    (b"\x81\xa1\xff\xc0", Cause.BAD_UTF8, 2),
    # Timestamps.
    (wire(b"\xd4\xff\x00"), Cause.BAD_MSGPACK, 0),
    (wire(b"\xc7\x03\xff\x00\x00\x00"), Cause.BAD_MSGPACK, 0),
    (wire(b"\xd7\xff" + b"\xff" * 8), Cause.BAD_MSGPACK, 0),
    (wire(b"\xc7\x0c\xff" + b"\0" * 4 + b"\x7f" + b"\xff" * 7), Cause.BAD_MSGPACK, 0),
    # Depth, of whatever there is.
    (wire(b"\x91" * 99 + b"\x90"), Cause.TOO_DEEP, START + 99),
    (wire(b"\x81\xa0" * 99 + b"\x80"), Cause.TOO_DEEP, START + 198),
    (wire(b"\x91" * 200_000), Cause.TOO_DEEP, START + 99),
    (wire(b"\xdd\xff\xff\xff\xff" * 200), Cause.TOO_DEEP, START + 5 * 99),
    (wire(b"\x91" * 50), Cause.BAD_MSGPACK, START + 50 + 6),
    (pack({"type": 2, "nsp": "/", "data": ["a"]})[:-1].replace(b"\x83", b"\x84", 1) + b"a\xa1x" + b"\x91" * 101, Cause.TOO_DEEP, 23 + 100),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code", "offset"), FAULTS, ids=[f"{i}-{message[:20].hex()}" for i, (message, *_) in enumerate(FAULTS)])
def test_faults(message: bytes, code: Cause, offset: int) -> None:
    assert fault(message) == (code, offset)


def fields(**changed: object) -> bytes:
    """An event of the main namespace with some fields changed, added, or left out where they are NOTHING."""
    return pack({name: value for name, value in {"type": 2, "data": ["a"], "nsp": "/", **changed}.items() if value is not NOTHING})


def wrong(code: Cause, field: str, *values: object, **changed: object) -> list[tuple[bytes, Cause]]:
    return [(fields(**changed, **{field: value}), code) for value in values]


UNDEFINED = Ext(0, b"\0")
NO_PACKETS: list[tuple[bytes, Cause]] = [
    (b"\x80", Cause.UNKNOWN_PACKET_TYPE),
    *wrong(Cause.UNKNOWN_PACKET_TYPE, "type", NOTHING, None, True, 2.0, "2", -1, 5, 6, 2**63, 2**64 - 1, [2], {}, b"2"),
    *wrong(Cause.BAD_NAMESPACE, "nsp", NOTHING, None, "", "admin", 7, True, ["/"], {}, b"/", Ext(5, b"/")),
    *wrong(Cause.UNEXPECTED_ACK_ID, "type", 0, 1, 4, data={}, id=1),
    *wrong(Cause.UNEXPECTED_ACK_ID, "id", "x", type=0, data={}),
    *wrong(Cause.ACK_ID_RANGE, "id", True, 1.0, "1", -1, MAX_ACK_ID + 1, 2**64 - 1, [1], {}, b"1"),
    *wrong(Cause.ACK_ID_RANGE, "id", -1, 3.0, type=3),
    *wrong(Cause.MISSING_ACK_ID, "id", NOTHING, None, UNDEFINED, type=3),
    *wrong(Cause.MISSING_PAYLOAD, "data", NOTHING, None, UNDEFINED),
    *wrong(Cause.MISSING_PAYLOAD, "data", NOTHING, None, UNDEFINED, type=3, id=1),
    *wrong(Cause.MISSING_PAYLOAD, "data", NOTHING, None, UNDEFINED, type=4),
    *wrong(Cause.BAD_PAYLOAD, "data", {}, "a", 1, b"a", True, Ext(5, b"")),
    *wrong(Cause.BAD_PAYLOAD, "data", [], "a", False, 0, b"", Ext(0, b"12345678"), type=0),
    *wrong(Cause.BAD_PAYLOAD, "data", [], type=1),
    *wrong(Cause.BAD_PAYLOAD, "data", {}, "a", type=3, id=1),
    *wrong(Cause.BAD_PAYLOAD, "data", [], 1, b"no", type=4),
    *wrong(Cause.BAD_EVENT_NAME, "data", [], [None], [True], [["a"]], [{}], [b"a"], [Ext(5, b"")], [UNDEFINED]),
    *wrong(Cause.RESERVED_EVENT, "data", ["connect"], ["connect", UNDEFINED]),
]


@pytest.mark.parametrize(("message", "code"), NO_PACKETS, ids=[f"{i}-{code}" for i, (_, code) in enumerate(NO_PACKETS)])
def test_what_can_be_read_and_is_no_packet(message: bytes, code: Cause) -> None:
    assert fault(message) == (code, 0)


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_reserved_names(name: str) -> None:
    message = pack({"type": 2, "data": [name], "nsp": "/"})
    assert fault(message) == (Cause.RESERVED_EVENT, 0)
    assert decode(message, lenient=True) == Packet(EVENT, [name])
    assert decode(pack({"type": 3, "data": [name], "nsp": "/", "id": 7})) == Packet(ACK, [name], id=7)
    assert refusal(Packet(EVENT, [name])) is Cause.RESERVED_EVENT
    assert fault(fields(data=[]), lenient=True) == (Cause.BAD_EVENT_NAME, 0)


def test_text_is_another_parsers() -> None:
    with pytest.raises(DecodeError, match=r"got text \(this looks like the default parser\)") as caught:
        MsgpackDecoder().feed('2["a"]')
    assert caught.value.code is Cause.UNEXPECTED_TEXT
    assert caught.value.fix == FIXES[Cause.UNEXPECTED_TEXT]
    assert fault("") == (Cause.UNEXPECTED_TEXT, 0)
    with pytest.raises(DecodeError, match="got text at"):
        MsgpackDecoder().feed("hello")


def test_each_parser_says_that_it_is_the_other() -> None:
    with pytest.raises(DecodeError, match="looks like the msgpack parser"):
        Decoder().feed(encoded(Packet(EVENT, ["a"])))
    [text] = encode(Packet(EVENT, ["a"]))
    with pytest.raises(DecodeError, match="looks like the default parser"):
        MsgpackDecoder().feed(text)


def test_an_error_says_what_was_expected_and_what_came() -> None:
    def told(message: bytes) -> str:
        with pytest.raises(DecodeError) as caught:
            MsgpackDecoder().feed(message)
        return caught.value.detail

    assert told(fields(type=NOTHING)) == "expected a packet type (an integer 0 to 4), got nothing"
    assert told(fields(type=7)) == "expected a packet type (an integer 0 to 4), got 7"
    assert told(fields(nsp="x" * 100)) == f"expected a namespace that starts with '/', got {'x' * 80!r}… (100 characters)"
    assert told(fields(nsp=b"/")) == "expected a namespace that starts with '/', got bytes 2f"
    assert told(fields(nsp=["/"] * 1000)) == "expected a namespace that starts with '/', got an array"
    assert told(fields(data={})) == "expected an array as data, got an object"
    assert told(b"\x93\1\2\3") == "expected a map, got an array"
    assert told(b"\x81\1\1") == "expected a string as the key of an object, got an integer"
    assert told(b"\x81\xa1") == "expected 1 bytes from offset 2, the message ended"
    assert told(wire(b"\xc1")) == "expected a value, got a byte that begins nothing (0xc1)"
    assert told(wire(b"\xd4\xff\x00")).startswith("expected a timestamp of the years 1 to 9999: Invalid MessagePack timestamp")


def test_other_types_of_message_are_refused() -> None:
    anything: Any
    for anything in (5, None, bytearray(GOOD), memoryview(GOOD), [GOOD]):
        with pytest.raises(LocalProtocolError, match="str or bytes") as caught:
            MsgpackDecoder().feed(anything)
        assert caught.value.cause is Cause.BAD_MESSAGE


def test_a_decoder_goes_on_after_a_fault() -> None:
    decoder = MsgpackDecoder()
    for message in (b"\x81", "2", GOOD[:-1], wire(b"\xd4\x00")):
        with pytest.raises(DecodeError):
            decoder.feed(message)
        assert decoder.pending == 0
        assert decoder.feed(GOOD) == Packet(EVENT, ["a"])
    decoder.reset()
    assert decoder.feed(GOOD) == Packet(EVENT, ["a"])


class Bytes(bytes):
    pass


def test_bytes_are_bytes() -> None:
    assert MsgpackDecoder().feed(Bytes(GOOD)) == Packet(EVENT, ["a"])


# --- bounds


@pytest.mark.parametrize("depth", [1, 2, 50, 100, 300])
@pytest.mark.parametrize("opening", ["91", "81a16b"])
@pytest.mark.parametrize("last", ["00", "d40000"], ids=["plain", "undefined"])
def test_depth_is_exact(depth: int, opening: str, last: str) -> None:
    limits = Limits(max_depth=depth)
    # The array of the arguments is the first level.
    within = wire(bytes.fromhex(opening * (depth - 1) + last))
    beyond = wire(bytes.fromhex(opening * depth + last))
    packet = decode(within, limits=limits)
    assert encoded(packet, limits=limits) == (within if last == "00" else within.replace(b"\xd4\0\0", b"\xc0"))
    assert fault(beyond, limits=limits) == (Cause.TOO_DEEP, START + (depth - 1) * len(opening) // 2)
    assert refusal(decode(beyond, limits=Limits(max_depth=301)), limits=limits) is Cause.TOO_DEEP


@pytest.mark.parametrize("digits", [1, 2, 18, 19])
@pytest.mark.parametrize("sign", [1, -1])
def test_integers_are_bounded_exactly(digits: int, sign: int) -> None:
    limits = Limits(max_integer_digits=digits)
    largest = min(10**digits - 1, 2**63 - 1) * sign
    packet = Packet(EVENT, ["a", {"k": [largest]}])
    message = encoded(packet, limits=limits)
    assert decode(message, limits=limits) == packet
    assert decode(wire(pack(largest), b"\xd4\0\0"), limits=limits).data == ["a", largest, None]
    if abs(largest) == 10**digits - 1:
        assert fault(wire(b"\xc0", pack(largest + sign)), limits=limits) == (Cause.BAD_NUMBER, START + 1)
        assert refusal(Packet(EVENT, ["a", largest + sign]), limits=limits) is Cause.BAD_NUMBER


def test_an_id_has_a_bound_of_its_own() -> None:
    limits = Limits(max_integer_digits=1)
    for packet in (Packet(EVENT, ["a"], id=MAX_ACK_ID), Packet(EVENT, ["a", Ext(5, b"")], id=MAX_ACK_ID)):
        assert decode(encoded(packet, limits=limits), limits=limits) == packet
    assert fault(fields(type=10), limits=limits) == (Cause.UNKNOWN_PACKET_TYPE, 0)


def test_an_integer_of_20_digits_fits_where_19_are_allowed_only_below() -> None:
    limits = Limits(max_integer_digits=19)
    assert argument("cf8ac7230489e7ffff") == 10**19 - 1
    assert decode(wire(bytes.fromhex("cf8ac7230489e7ffff")), limits=limits).data == ["a", 10**19 - 1]
    assert fault(wire(bytes.fromhex("cf8ac7230489e80000")), limits=limits) == (Cause.BAD_NUMBER, START)
    assert decode(wire(bytes.fromhex("d38000000000000000")), limits=limits).data == ["a", -(2**63)]
    assert refusal(Packet(EVENT, ["a", -(2**63) - 1]), limits=limits) is Cause.BAD_NUMBER


@pytest.mark.parametrize("way", ["plain", "closer"])
def test_nesting_beyond_the_stack_is_a_fault_whatever_the_limit(way: str) -> None:
    limits = Limits(max_depth=1_000_000)
    tail = [b"\xd4\0\0"] if way == "closer" else []
    assert fault(wire(b"\x91" * 100_000 + b"\xc0", *tail), limits=limits) == (Cause.TOO_DEEP, 0)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert refusal(Packet(EVENT, ["a", deep, *tail]), limits=limits) is Cause.TOO_DEEP
    assert refusal(Packet(EVENT, ["a", deep], "/x"), limits=limits) is Cause.TOO_DEEP
    while deep:  # taken apart by hand, since freeing it would recurse as well
        deep = deep.pop()  # type: ignore[assignment]


def test_a_list_in_itself_is_too_deep() -> None:
    loop: list[object] = ["a"]
    loop.append(loop)
    assert refusal(Packet(EVENT, loop)) is Cause.TOO_DEEP
    knot: dict[str, object] = {}
    knot["k"] = knot
    assert refusal(Packet(CONNECT, knot)) is Cause.TOO_DEEP


CLAIMS = [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x00", b"\xdc\xff\xff",
    b"\xdd\xff\xff\xff\xff" * 90, b"\xdf\xff\xff\xff\xff\xa0" * 90, b"\xdd\x00\xff\xff\xff" * 90,
]  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=[f"{claim[:6].hex()}-{len(claim)}" for claim in CLAIMS])
@pytest.mark.parametrize("around", [b"", wire()[:-6], b"\x81\xa4data"], ids=["bare", "in an event", "in a map"])
def test_claims_allocate_nothing(claim: bytes, around: bytes) -> None:
    message = around + claim
    decoder = MsgpackDecoder()
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError) as caught:
            decoder.feed(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code is Cause.BAD_MSGPACK
    assert peak < 200_000


# --- what cannot be encoded

_WRONG: Any = None

REFUSALS: list[tuple[Packet, Cause]] = [
    (Packet(_WRONG), Cause.BAD_MESSAGE),
    (Packet(PacketType.BINARY_EVENT, ["a"]), Cause.BAD_MESSAGE),
    (Packet(PacketType.BINARY_ACK, [], id=1), Cause.BAD_MESSAGE),
    (Packet(EVENT), Cause.MISSING_PAYLOAD),
    (Packet(ACK, id=1), Cause.MISSING_PAYLOAD),
    (Packet(CONNECT_ERROR), Cause.MISSING_PAYLOAD),
    (Packet(DISCONNECT, {}), Cause.UNEXPECTED_PAYLOAD),
    (Packet(CONNECT, []), Cause.BAD_PAYLOAD),
    (Packet(CONNECT, None), Cause.BAD_PAYLOAD),
    (Packet(CONNECT_ERROR, ["no"]), Cause.BAD_PAYLOAD),
    (Packet(EVENT, "a"), Cause.BAD_PAYLOAD),
    (Packet(EVENT, {"a": 1}), Cause.BAD_PAYLOAD),
    (Packet(ACK, None, id=1), Cause.BAD_PAYLOAD),
    (Packet(EVENT, []), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, ()), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [None]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [True]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, [b"a"]), Cause.BAD_EVENT_NAME),
    (Packet(EVENT, ["connect"]), Cause.RESERVED_EVENT),
    (Packet(ACK, []), Cause.MISSING_ACK_ID),
    (Packet(CONNECT, id=1), Cause.UNEXPECTED_ACK_ID),
    (Packet(CONNECT_ERROR, "no", id=0), Cause.UNEXPECTED_ACK_ID),
    (Packet(EVENT, ["a"], id=True), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a"], id="1"), Cause.BAD_MESSAGE),  # type: ignore[arg-type]
    (Packet(EVENT, ["a"], id=-1), Cause.ACK_ID_RANGE),
    (Packet(EVENT, ["a"], id=MAX_ACK_ID + 1), Cause.ACK_ID_RANGE),
    (Packet(EVENT, ["a"], "admin"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], ""), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/a,b"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/a?b=1"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], "/\ud800"), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a"], _WRONG), Cause.BAD_NAMESPACE),
    (Packet(EVENT, ["a", 2**64]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", {"k": -(2**63) - 1}]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", (10**5000,)]), Cause.BAD_NUMBER),
    (Packet(EVENT, ["a", "\ud800"]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["\ud800"], "/x"), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {"\udfff": 1}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", object()]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {1, 2}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", 1j]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {1: "x"}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", [{None: "x"}]]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", {"k": {b"x": 1}}]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", msgspec.UNSET]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", datetime(2020, 1, 1, tzinfo=UTC)]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1)))]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", datetime(2020, 1, 1)]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", date(2020, 1, 1)]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", Ext(-1, b"junk!")]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", Ext(-1, b"\0" * 4 + b"\x7f" + b"\xff" * 7)]), Cause.BAD_MESSAGE),
    (Packet(EVENT, ["a", [Packet(CONNECT)]]), Cause.BAD_MESSAGE),
    (Packet(CONNECT, {"k": object()}), Cause.BAD_MESSAGE),
]


@pytest.mark.parametrize(("packet", "cause"), REFUSALS, ids=[f"{i}-{cause}" for i, (_, cause) in enumerate(REFUSALS)])
def test_refusals(packet: Packet, cause: Cause) -> None:
    assert refusal(packet) is cause


def test_an_unhashable_type_is_refused_like_any_other() -> None:
    unhashable: Any = []
    assert refusal(Packet(unhashable)) is Cause.BAD_MESSAGE
    assert refusal(Packet(EVENT, ["a"], unhashable)) is Cause.BAD_NAMESPACE


def test_a_memoryview_that_was_released_is_refused() -> None:
    view = memoryview(b"x")
    view.release()
    assert refusal(Packet(EVENT, ["a", view])) is Cause.BAD_MESSAGE


def test_timestamps_are_sent_by_who_writes_them() -> None:
    packet = Packet(EVENT, ["a", Ext(-1, (1).to_bytes(4)), Ext(-1, (2**62 // 10**9).to_bytes(8))])
    assert decode(encoded(packet)).data == ["a", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime.fromtimestamp(2**62 // 10**9 % 2**34, UTC)]
