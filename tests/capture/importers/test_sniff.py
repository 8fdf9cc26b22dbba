"""What a file is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engineio_lite.capture.importers import ImportFailed, Kind, sniff
from engineio_lite.capture.importers.sniff import unpacked
from engineio_lite.causes import Cause
from tests.capture.importers.recordings import HERE, RECORDINGS

KINDS = {".har": Kind.HAR, ".mitm": Kind.MITMPROXY, ".pcap": Kind.PCAP, ".json": Kind.TSHARK_JSON, ".jsonl": Kind.CDP}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_recording_is_recognised(path: Path) -> None:
    assert sniff(path.read_bytes()) is KINDS[path.suffix]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'\xef\xbb\xbf \n{ "log" : {', Kind.HAR),
        (b'{"comment": "", "log": {\n"entries": []}}', Kind.HAR),
        (b"\x78\x9c", Kind.HAR),
        (b"PK\x03\x04", Kind.HAR_ARCHIVE),
        (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", Kind.PCAP),
        (b"\xa1\xb2\x3c\x4d", Kind.PCAP),
        (b"12:", Kind.MITMPROXY),
        (b"[]", Kind.TSHARK_JSON),
        (b'[{"_source": {}}]', Kind.TSHARK_JSON),
        (b'[{"level": "INFO", "message": "{}"}]', Kind.CDP),
        (b'{"method": "Network.x"}\n', Kind.CDP),
        (b'{"id": 1, "result": {}}\n', Kind.CDP),
    ],
)
def test_others_are_recognised_by_how_they_begin(data: bytes, kind: Kind) -> None:
    assert sniff(data) is kind


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "got an empty file"),
        (b"hello", "begins with 'hello'"),
        (b"\x00\x01\xff", "begins with bytes 0001ff"),
        (b"[1, 2]", r"begins with '\[1, 2\]'"),
        (b'{"a": 1}', "begins with '{\"a\": 1}'"),
        (b'{"k": "head", "v": 1}\n', "needs no import"),
        (b'{"index":{"_index":"packets"}}\n{"layers":{}}', "use -T json -x --no-duplicate-keys"),
    ],
)
def test_an_unknown_file_is_refused_with_what_was_expected_and_found(data: bytes, said: str) -> None:
    with pytest.raises(ImportFailed, match=said) as caught:
        sniff(data)
    assert "expected a HAR, a flow file of mitmproxy, a pcap or pcapng" in caught.value.message
    assert caught.value.cause is Cause.NOT_A_RECORDING


def test_a_gzip_around_a_file_is_taken_off() -> None:
    data = (HERE / "mitm-js-py-upgrade.har").read_bytes()
    assert unpacked(gzip.compress(data)) == data == unpacked(data)


def test_a_damaged_gzip_is_refused() -> None:
    with pytest.raises(ImportFailed, match="gzip that is damaged"):
        unpacked(gzip.compress(b"{}", mtime=0)[:-4])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_what_a_shell_of_windows_wrote_is_read(encoding: str) -> None:
    data = ("\ufeff" if encoding.endswith("be") else "").encode(encoding) + '{"log": {}}'.encode(encoding)
    assert sniff(unpacked(data)) is Kind.HAR


def test_an_error_is_told_of_which_file_it_is() -> None:
    error = ImportFailed("expected a flow", cause=Cause.RECORDING_VERSION).of("x.mitm")
    assert (error.path, error.cause) == ("x.mitm", Cause.RECORDING_VERSION)
    assert error.message == "x.mitm: expected a flow"
