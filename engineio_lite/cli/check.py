"""`engineio-lite check`: does anything in these captures look like a secret? Made for a hook before a commit."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from engineio_lite.capture.file import read
from engineio_lite.capture.format import DEFAULT_LOAD_LIMITS
from engineio_lite.capture.inspection import Finding, inspect
from engineio_lite.causes import Cause
from engineio_lite.cli._console import FOUND, USAGE, fail, readable_errors
from engineio_lite.exceptions import CaptureError

_MEANINGS = {
    "auth": "a string of an auth payload, in clear",
    "id": "a session's id, in clear",
    "url": "a value in a URL, or its user and password",
    "member": "a member whose name says that it is secret",
    "shape": "it has the shape of a token or a key",
    "random": "a long random word",
    "unreadable": "a line that cannot be read, so nobody knows what is in it",
}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--allow", multiple=True, metavar="REGEX", help="What matches this is no secret; may be given more than once.")
@click.option("--json", "as_json", is_flag=True, help="Print one finding a line as JSON.")
@readable_errors
def command(files: Sequence[Path], allow: Sequence[str], as_json: bool) -> None:
    """Fail if anything in a capture looks like a secret.

    Tokens and keys by their shape, auth payloads, session ids and URL values
    that are not redacted, members with names such as `password`, and long
    random words.

    \b
    Exit codes: 0 nothing found; 1 something looks like a secret, or the
    output went nowhere; 2 a file that cannot be read or is no capture;
    130 interrupted.
    """
    _check_patterns(allow)
    found = False
    for path in files:
        for finding in _inspect(path, allow):
            found = True
            _show(path, finding, as_json)
    if found:
        sys.exit(FOUND)


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            fail(f"--allow {pattern}: no regular expression ({error})", USAGE)


def _inspect(path: Path, allow: Sequence[str]) -> list[Finding]:
    try:
        data = _content(path)
        _require_capture(data, path)
        return list(inspect(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="\n"), allow=allow))
    except OSError as error:
        fail(f"{path}: {error.strerror}", USAGE)
    except CaptureError as error:
        fail(str(error), USAGE, error.fix)


def _content(path: Path) -> bytes:
    """What is in a file, which is read once: a pipe has nothing to say the second time, and would pass for clean."""
    limit = DEFAULT_LOAD_LIMITS.max_file
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CaptureError(f"expected a capture of at most {limit} bytes, got more", cause=Cause.CAPTURE_TOO_LARGE, path=str(path))
    return data


def _require_capture(data: bytes, path: Path) -> None:
    """What is no capture at all must not pass for a clean one; one that is damaged, or of another kind or version, is looked through all the same."""
    try:
        read(io.BytesIO(data), path=str(path))
    except CaptureError as error:
        if error.cause is Cause.NOT_A_CAPTURE:
            raise


def _show(path: Path, finding: Finding, as_json: bool) -> None:
    if as_json:
        # The standard library's encoder, because the name of a file may be no text.
        print(json.dumps({"file": str(path), **msgspec.structs.asdict(finding)}))
        return
    console = Console(highlight=False, soft_wrap=True)
    where = f"{path}:{finding.line}" + (f" {finding.path}" if finding.path else "")
    console.print(f"[bold]{escape(where)}[/]: {_MEANINGS[finding.rule]}: [red]{escape(finding.shown)}[/] [dim]({finding.rule})[/]")
