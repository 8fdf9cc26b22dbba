"""Runs the user's tshark on a packet capture.

Two passes. The first looks at all segments with data: those that begin a request of Engine.IO tell the servers' ports, since tshark takes a
connection for HTTP by its port, and the others which connections there are at all, of which those without a request began before the recording. The
second dissects (`engineio_lite.capture.importers.pcap` says why with these options). Its output is some twenty times the size of the recording, so it
goes to a temporary file and is read a packet at a time.

Names are never looked up (``-n``): reading a file must not touch the network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from engineio_lite.capture.importers import ImportFailed
from engineio_lite.capture.importers.pcap import parse_packets, read_packets
from engineio_lite.capture.trace import Trace
from engineio_lite.causes import Cause

LIMIT: Final = 600.0
"""Seconds for one pass: tshark reads some megabytes a second, and a recording of gigabytes wants cutting first."""

MAX_PACKETS: Final = 2 * 1024 * 1024 * 1024
"""Bytes of a packet capture, whose dissection takes twenty times as much on the disk."""

_REQUEST: Final = re.compile(rb"[A-Z]+ [^ \r\n]*[?&]EIO=")
"""How a segment begins that is a request of Engine.IO."""

_OPTIONS: Final = (
    "tcp.desegment_tcp_streams:TRUE",
    "tcp.reassemble_out_of_order:TRUE",
    "http.desegment_headers:TRUE",
    "http.desegment_body:TRUE",
    "http.dechunk_body:TRUE",
    "http.decompress_body:TRUE",
)
"""What the dissection rests on, which the user's own settings may have changed."""


def dissect(path: Path, *, tshark: str | None = None, ports: Collection[int] = ()) -> Trace:
    """Read a packet capture; `ports` are those of the servers, looked for if there are none, `tshark` is the program.

    Raises `ImportFailed` with cause ``tshark-missing``, ``tshark-failed`` or ``recording-too-large``.
    """
    if path.stat().st_size > MAX_PACKETS:
        raise ImportFailed(f"expected a recording of at most {MAX_PACKETS} bytes, got {path.stat().st_size}", cause=Cause.RECORDING_TOO_LARGE)
    program = shutil.which(tshark or "tshark")
    if program is None:
        raise ImportFailed(f"a packet capture is read with tshark, and {tshark or 'tshark'} was not found", cause=Cause.TSHARK_MISSING)
    return _Run(program, path).trace(ports)


class _Run:
    """Runs tshark on one file."""

    def __init__(self, program: str, path: Path) -> None:
        self._program = program
        self._path = path
        self._complaints: dict[str, None] = {}

    def trace(self, named: Collection[int]) -> Trace:
        segments = _Segments(named)
        with tempfile.TemporaryFile() as output:
            self._tshark(["-Y", "tcp.len > 0", "-T", "fields", *(word for field in segments.FIELDS for word in ("-e", field))], output)
            output.seek(0)
            for line in output:
                segments.read(line)
        if not segments.ports:
            warning = "no request of Engine.IO was found: the recording began after it, or it is encrypted and tshark has no keys"
            return Trace(source="pcap", warnings=(warning, *self._warnings()))
        here = " or ".join(f"tcp.port == {port}" for port in segments.ports)
        # A port that carries TLS must be left to tshark: called HTTP, it would not be decrypted.
        plain = [f"tcp.port=={port},http" for port, is_encrypted in segments.ports.items() if not is_encrypted]
        wanted = f"(http or websocket or tcp.flags.fin == 1 or tcp.flags.reset == 1) and ({here})"
        with tempfile.TemporaryFile() as output:
            arguments = ["-Y", wanted, "-T", "json", "-x", "--no-duplicate-keys", "-J", "frame tcp http websocket"]
            self._tshark([*arguments, *(word for rule in plain for word in ("-d", rule))], output)
            output.seek(0)
            trace = read_packets(_packets(output), with_data=segments.streams(), ends_are_there=True)
        return msgspec.structs.replace(trace, warnings=(*trace.warnings, *self._warnings()))

    def _tshark(self, arguments: Sequence[str], output: IO[bytes]) -> None:
        options = [word for option in _OPTIONS for word in ("-o", option)]
        command = [self._program, "-n", "-r", str(self._path), *options, *arguments]
        with tempfile.TemporaryFile() as errors:
            try:
                done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, timeout=LIMIT, check=False)
            except subprocess.TimeoutExpired:
                raise ImportFailed(f"tshark did not finish within {LIMIT:.0f} s", cause=Cause.TSHARK_FAILED) from None
            except OSError as error:
                raise ImportFailed(f"tshark could not be run: {error}", cause=Cause.TSHARK_FAILED) from None
            errors.seek(0)
            said = _complaints(errors.read().decode("utf-8", "replace"))
        if done.returncode != 0 and output.tell() == 0:
            raise ImportFailed(f"tshark failed: {' '.join(said) or f'exit code {done.returncode}'}", cause=Cause.TSHARK_FAILED)
        if done.returncode != 0:
            # A recording that was cut off is read up to the cut, and tshark says so.
            self._complaints.update(dict.fromkeys(said))

    def _warnings(self) -> list[str]:
        return [f"tshark says: {complaint}" for complaint in self._complaints]


class _Segments:
    """What the first pass shows: the ports of servers, whether their connections are encrypted, and the connections with data."""

    FIELDS: Final = ("tcp.stream", "tcp.srcport", "tcp.dstport", "frame.protocols", "http.request.uri", "tcp.payload")

    def __init__(self, named: Collection[int]) -> None:
        self.ports = {str(port): False for port in named}
        self._is_named = bool(named)
        self._streams: dict[str, set[str]] = {}

    def read(self, line: bytes) -> None:
        fields = line.rstrip(b"\r\n").split(b"\t")
        if len(fields) != len(self.FIELDS):
            return  # a packet in a tunnel, which has two of each
        stream, source, target, protocols = (field.decode("ascii", "replace") for field in fields[:4])
        self._streams.setdefault(stream, set()).update((source, target))
        if b"EIO=" in fields[4] or _begins_request(fields[5]):
            if not self._is_named:
                self.ports.setdefault(target, False)
            if target in self.ports and "tls" in protocols:
                self.ports[target] = True

    def streams(self) -> set[str]:
        """The connections with data at the ports in question."""
        return {stream for stream, ports in self._streams.items() if ports & self.ports.keys()}


def _begins_request(payload: bytes) -> bool:
    try:
        return _REQUEST.match(bytes.fromhex(payload.decode("ascii").replace(":", ""))) is not None
    except ValueError:
        return False


def _complaints(text: str) -> list[str]:
    """What tshark said of the file, without what it says to everybody who is root."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Running as user")]


def _packets(output: IO[bytes]) -> Iterator[object]:
    """The packets of tshark's array, one at a time: each ends in a line with a brace that is indented once."""
    lines: list[bytes] = []
    for line in output:
        lines.append(line)
        if line.rstrip() in (b"  }", b"  },"):
            yield parse_packets(b"".join(lines).strip(b"[], \r\n\t"))
            lines = []
