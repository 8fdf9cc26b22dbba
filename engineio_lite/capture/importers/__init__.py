"""Other people's recordings, read: HAR, mitmproxy's flow files, packet captures through tshark, logs of the DevTools protocol.

Two steps, both pure. A reader of one format makes a `Trace` of bytes: what was requested, what was answered, which messages a WebSocket carried. Then
`reconstruct` makes one capture of one or more traces, the same way for all formats: sessions, packets, their order, and what is missing. `sniff` says
which reader a file is for. Opening files and running tshark is left to whoever calls.
"""

from engineio_lite.capture.importers.cdp import read_cdp
from engineio_lite.capture.importers.errors import ImportFailed
from engineio_lite.capture.importers.har import read_har, read_har_archive
from engineio_lite.capture.importers.mitmproxy import read_flows
from engineio_lite.capture.importers.pcap import read_tshark
from engineio_lite.capture.importers.reconstruct import Reconstruction, reconstruct
from engineio_lite.capture.importers.sniff import Kind, sniff

__all__ = [
    "ImportFailed",
    "Kind",
    "Reconstruction",
    "read_cdp",
    "read_flows",
    "read_har",
    "read_har_archive",
    "read_tshark",
    "reconstruct",
    "sniff",
]
