"""`engineio-lite import`: another tool's recording becomes a capture.

Thin: files are opened here and tshark is run (`_tshark.py`), everything that is understood of them is `engineio_lite.capture.importers`. The capture
is written whole or not at all (`_output_file.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import click
import msgspec

from chat_answers.process import OutputLost
from engineio_lite import __version__
from engineio_lite.capture import DEFAULT_REDACTION, Head, Line, Redaction, Redactor, Writer
from engineio_lite.capture.importers import (
    ImportFailed,
    Kind,
    Reconstruction,
    read_cdp,
    read_flows,
    read_har,
    read_har_archive,
    read_tshark,
    reconstruct,
    sniff,
)
from engineio_lite.capture.importers.sessions import address
from engineio_lite.capture.importers.sniff import unpacked
from engineio_lite.capture.lines import Note
from engineio_lite.capture.trace import Trace
from engineio_lite.causes import Cause
from engineio_lite.cli._console import FOUND, USAGE, fail, readable_errors
from engineio_lite.cli._import_report import Report, Source, make_report, tell
from engineio_lite.cli._output_file import STANDARD_OUTPUT, whole_or_nothing
from engineio_lite.cli._tshark import dissect

MAX_FILE: Final = 1024 * 1024 * 1024
"""Bytes of a recording that is read into memory."""


def read_trace(path: Path, *, tshark: str | None = None, ports: Sequence[int] = ()) -> tuple[Kind, Trace]:
    """Read one file of any format that is known.

    Raises `ImportFailed`, OSError for what cannot be opened.
    """
    try:
        with path.open("rb") as file:
            kind = _kind_of_packets(file)
            data = b"" if kind is Kind.PCAP else unpacked(_content(file))
        kind = kind or sniff(data)
        return kind, dissect(path, tshark=tshark, ports=ports) if kind is Kind.PCAP else _read(kind, data, path)
    except ImportFailed as error:
        raise error.of(str(path)) from None


_HEAD: Final = 4


def _kind_of_packets(file: BinaryIO) -> Kind | None:
    """Recognise packets by their first bytes: such a file is tshark's to read, and may be larger than memory."""
    head = file.read(_HEAD)
    file.seek(0)
    try:
        return Kind.PCAP if sniff(head) is Kind.PCAP else None
    except ImportFailed:
        return None  # which the whole file may say otherwise


def _content(file: BinaryIO) -> bytes:
    data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise ImportFailed(f"expected a recording of at most {MAX_FILE} bytes, got more", cause=Cause.RECORDING_TOO_LARGE)
    return data


def _read(kind: Kind, data: bytes, path: Path) -> Trace:
    match kind:
        case Kind.HAR:
            return read_har(data, lambda name: _beside(path, name))
        case Kind.HAR_ARCHIVE:
            return read_har_archive(data)
        case Kind.MITMPROXY:
            return read_flows(data)
        case Kind.TSHARK_JSON:
            return read_tshark(data)
        case _:
            return read_cdp(data)


def _beside(path: Path, name: str) -> bytes | None:
    """A file that a HAR refers to: in the same directory or below it, whatever the HAR says."""
    here = path.parent.resolve()
    try:
        found = (here / name).resolve()
        if not found.is_relative_to(here) or found.stat().st_size > MAX_FILE:
            return None
        return found.read_bytes()
    except (OSError, ValueError):
        return None  # which the reader counts, and says


# --- writing


def make_redactor(traces: Sequence[Trace], redaction: Redaction) -> Redactor:
    """A redactor that knows the secrets of the recordings' headers and URLs before it sees the first packet."""
    redactor = Redactor(redaction)
    for trace in traces:
        hosts = {urlsplit(item.url).netloc for item in trace.items if address(item.url) is not None}
        for item in trace.items:
            if _host(item.url) not in hosts:
                continue  # cookies of other sites are in the recording too, and would only hide innocent words
            redactor.learn_headers(item.headers)
            redactor.learn_headers(item.answer_headers)
            if address(item.url) is not None:
                redactor.learn_url(item.url)
    return redactor


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def write_capture(found: Reconstruction, out: str, sources: Sequence[Path], redactor: Redactor) -> list[Line]:
    """Write a capture to a file, or to standard output; return its lines as they were written, redacted."""
    head = Head(by=f"engineio_lite {__version__}", at=found.at, source=found.source)
    with whole_or_nothing(out, sources) as file:
        writer = Writer(file, head, redactor)
        written = [writer.write(line) for line in found.lines]
    return [line for line in written if line is not None]


# --- the command


def _kept(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """What ``--keep`` says, beside what is kept anyway."""
    kept = {name: list(constants) for name, constants in DEFAULT_REDACTION.auth_keep.items()}
    for value in values:
        name, equals, constant = value.partition("=")
        if not equals or not name or not constant:
            raise click.BadParameter(f"expected NAME=VALUE, got {value!r}")
        kept.setdefault(name, []).append(constant)
    return kept


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="The capture to write; - for standard output.")
@click.option("--port", "ports", multiple=True, type=click.IntRange(1, 65535), help="The server's port in a packet capture; else it is looked for.")
@click.option("--tshark", metavar="PATH", help="The tshark to read packet captures with; else the one that is found.")
@click.option("--keep", multiple=True, metavar="NAME=VALUE", callback=_kept, help="A value of the auth payload that is no secret.")
@click.option("--strict", is_flag=True, help="Exit with 1 if packets may be missing.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
@readable_errors
def import_(
    files: tuple[Path, ...], out: str, ports: tuple[int, ...], tshark: str | None, keep: Mapping[str, Sequence[str]], strict: bool, as_json: bool
) -> None:
    """Make a capture of other tools' recordings.

    FILE is a HAR (of a browser, Playwright or mitmproxy; also .zhar, or in a
    zip with its attachments), a flow file of mitmproxy, a pcap or pcapng
    (needs tshark), the output of tshark -T json, or a log of the Chrome
    DevTools protocol. Which it is shows in its content. Several files make
    one capture. Secrets are taken out on the way.

    \b
    Exit codes: 0 imported, also if there are gaps (packets may be missing),
    which are reported; 1 there is no Engine.IO in it and nothing was written,
    or there are gaps and --strict, or standard output takes no more; 2 a file
    cannot be read, OUT cannot be written or is one of them, tshark is missing
    or failed, or wrong usage: nothing was written; 130 interrupted.
    """
    try:
        report = run(files, out, ports=ports, tshark=tshark, redaction=Redaction(auth_keep=keep))
    except ImportFailed as error:
        fail(str(error), USAGE, error.fix)
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror or error}", USAGE)
    _say(report, as_json=as_json, to_error=out == STANDARD_OUTPUT)
    raise SystemExit(FOUND if (strict and report.gaps) or not report.lines else 0)


def run(files: Sequence[Path], out: str, *, ports: Sequence[int] = (), tshark: str | None = None, redaction: Redaction = DEFAULT_REDACTION) -> Report:
    """Import files; return what was found. Nothing is written where there is nothing to write.

    Raises `ImportFailed`, and OSError.
    """
    read = [read_trace(path, tshark=tshark, ports=ports) for path in files]
    traces = [trace for _, trace in read]
    found = reconstruct(*traces)
    if not found.lines and not any(trace.items for trace in traces):
        # A recording in which there is nothing at all, which some tools make of a socket that was still open: not a wrong file, only a lost one.
        found = msgspec.structs.replace(found, lines=(Note(session=0, what="gap", text="there is nothing in the recording"),))
    lines = write_capture(found, out, files, make_redactor(traces, redaction)) if found.lines else []
    sources = [Source(file=str(path), format=kind.value, entries=len(trace.items)) for path, (kind, trace) in zip(files, read, strict=True)]
    return make_report(sources, out, lines, found.warnings)


def _say(report: Report, *, as_json: bool, to_error: bool) -> None:
    if as_json:
        click.echo(json.dumps({**msgspec.to_builtins(report), "gaps": report.gaps}), err=to_error)
        return
    for line in tell(report):
        click.echo(line, err=to_error)


command = import_
