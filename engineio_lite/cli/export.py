"""`engineio-lite export`: a capture as HAR, for the tools that read it."""

from __future__ import annotations

import json
from pathlib import Path

import click

import engineio_lite
from chat_answers.process import OutputLost
from engineio_lite.capture.file import load
from engineio_lite.capture.har_export import export_har
from engineio_lite.cli._console import USAGE, fail, readable_errors
from engineio_lite.cli._output_file import whole_or_nothing
from engineio_lite.exceptions import CaptureError


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, metavar="OUT", help="The HAR to write, or - for standard output.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is there.")
@readable_errors
def command(file: Path, output: str, overwrite: bool) -> None:
    """Write a capture as HAR 1.2 in the dialect of the browser's DevTools.

    What was redacted stays redacted.

    \b
    Exit codes: 0 written; 1 standard output takes no more; 2 FILE cannot be
    read or is no capture, or OUT cannot be written, is there already or is
    FILE; 130 interrupted.
    """
    try:
        capture = load(file).packets()
        text = json.dumps(export_har(capture.head, capture.lines, version=engineio_lite.__version__), indent=1)
        with whole_or_nothing(output, [file], overwrite=overwrite) as written:
            written.write(f"{text}\n".encode())
    except CaptureError as error:
        fail(str(error), USAGE, error.fix)
    except FileExistsError:
        fail(f"{output} is there already", USAGE, "give another name, or --overwrite")
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{error.filename or output}: {error.strerror}", USAGE)
