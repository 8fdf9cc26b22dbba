"""What a file is, by how it begins: names lie, and the same name (`.json`) is given to three of the formats."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from typing import Final

from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.fields import BOM, inflate
from engineio_lite.exceptions import elide


class Kind(StrEnum):
    """The formats that are read."""

    HAR = "har"
    HAR_ARCHIVE = "har-archive"
    MITMPROXY = "mitmproxy"
    PCAP = "pcap"
    TSHARK_JSON = "tshark-json"
    CDP = "cdp"


LOOKED_AT: Final = 64 * 1024
"""Bytes of a JSON file in which its kind must show: its first object may have long values before the telling key."""

_MAGIC: Final = (
    (b"\xa1\xb2\xc3\xd4", Kind.PCAP),
    (b"\xd4\xc3\xb2\xa1", Kind.PCAP),
    (b"\xa1\xb2\x3c\x4d", Kind.PCAP),
    (b"\x4d\x3c\xb2\xa1", Kind.PCAP),
    (b"\x0a\x0d\x0d\x0a", Kind.PCAP),  # pcapng
    (b"PK\x03\x04", Kind.HAR_ARCHIVE),
    (b"\x78", Kind.HAR),  # compressed with zlib; no JSON and no number begins with an x
)
_GZIP: Final = b"\x1f\x8b"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_FLOW: Final = re.compile(rb"[0-9]{1,12}:")

_EXPECTED: Final = "expected a HAR, a flow file of mitmproxy, a pcap or pcapng, the JSON of tshark, or a log of the DevTools protocol"


def unpacked(data: bytes) -> bytes:
    """The file without a gzip around it, and in UTF-8 if it is UTF-16, which shells of Windows write when output is redirected.

    Raises `ImportFailed` with cause ``not-a-recording`` or ``recording-too-large``.
    """
    if data.startswith(_GZIP):
        try:
            data = inflate(data, 31)
        except zlib.error as error:
            raise ImportFailed(f"{_EXPECTED}, got a gzip that is damaged: {error}") from None
    if data.startswith(_UTF_16):
        data = data.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    return data


def sniff(data: bytes) -> Kind:
    """Say which format a file has, of which `data` is the content, `unpacked`.

    Raises `ImportFailed` with cause ``not-a-recording``, saying what was expected and how the file begins.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if _FLOW.match(data):
        return Kind.MITMPROXY
    head = data[:LOOKED_AT].removeprefix(BOM).lstrip()
    if head.startswith(b"["):
        return _sniff_array(head)
    if head.startswith(b"{"):
        return _sniff_object(head)
    raise _unknown(data)


def _sniff_array(head: bytes) -> Kind:
    if b'"_source"' in head or head.lstrip(b"[\r\n\t ").startswith(b"]"):
        return Kind.TSHARK_JSON
    if b'"method"' in head or b'"message"' in head:
        return Kind.CDP
    raise _unknown(head)


def _sniff_object(head: bytes) -> Kind:
    first = head.partition(b"\n")[0]
    if re.match(rb'\{\s*"log"', head):
        return Kind.HAR
    if re.match(rb'\{\s*"k"\s*:\s*"head"', first):
        raise ImportFailed(f"{_EXPECTED}, got a capture of this library, which needs no import")
    if re.match(rb'\{\s*"index"', first):
        raise ImportFailed(f"{_EXPECTED}, got the lines of tshark -T ek, which hold no binary messages: use -T json -x --no-duplicate-keys")
    if re.search(rb'"(method|message|id)"\s*:', first):
        return Kind.CDP
    if b'"entries"' in head:
        return Kind.HAR
    raise _unknown(head)


def _unknown(data: bytes) -> ImportFailed:
    if not data:
        return ImportFailed(f"{_EXPECTED}, got an empty file")
    head = data[:40]
    try:
        return ImportFailed(f"{_EXPECTED}, got a file that begins with {elide(head.decode())}")
    except UnicodeDecodeError:
        return ImportFailed(f"{_EXPECTED}, got a file that begins with {elide(head)}")
