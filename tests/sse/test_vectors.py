"""Every shared vector, whole and cut anywhere, through the decoder and through the command."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from typing import IO, Any, cast

import pytest
from click.testing import CliRunner

from tests.sse.decoding import VECTORS, expected, name, pieces, read, whole
from ylokh_sse.commands import command

SIZES = (1, 2, 3, 7)

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=name)


def test_nothing_is_missing() -> None:
    assert len(VECTORS) == 114


# --- the decoder


def _marks(vector: dict[str, Any]) -> list[pytest.MarkDecorator]:
    """A stream of tens of thousands of bytes has as many cuts, and each of them takes a whole decoding."""
    return [pytest.mark.long, pytest.mark.timeout(300)] if len(whole(vector)) > 10_000 else []


@every_vector
def test_as_recorded_and_whole(vector: dict[str, Any]) -> None:
    assert read(map(bytes.fromhex, vector["chunks"]))[:3] == expected(vector)
    assert read([whole(vector)])[:3] == expected(vector)


@pytest.mark.parametrize("vector", [pytest.param(vector, marks=_marks(vector)) for vector in VECTORS], ids=name)
def test_cut_anywhere_with_nothing_in_between(vector: dict[str, Any]) -> None:
    stream = whole(vector)
    outcome = read([stream])
    for cut in range(len(stream) + 1):
        assert read([stream[:cut], b"", stream[cut:]]) == outcome, cut


@every_vector
def test_cut_everywhere(vector: dict[str, Any]) -> None:
    stream = whole(vector)
    outcome = read([stream])
    for size in SIZES:
        assert read(pieces(stream, size)) == outcome, size
        assert read(pieces(stream, size, blanks=True)) == outcome, size


# --- the command


class _Pipe(io.BufferedIOBase):
    """Standard input that brings one chunk a read, as a pipe does whose writer waits between them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return b"" if size == 0 else self.read1()

    def read1(self, size: int = -1, /) -> bytes:
        return next(filter(None, self._chunks), b"")


def through_the_command(chunks: Iterable[bytes], *options: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(command, ["decode", "--json", *options], input=cast("IO[Any]", _Pipe(chunks)))
    assert (done.exit_code, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def lines(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """What the command has to print for a vector."""
    left = {"last_event_id": vector["final_last_event_id"], "retry": vector["final_retry"], "dropped": read([whole(vector)]).dropped}
    return [*vector["expected_events"], left]


@every_vector
def test_the_command_agrees(vector: dict[str, Any]) -> None:
    assert through_the_command([whole(vector)]) == lines(vector)


@every_vector
def test_the_command_agrees_however_it_cuts(vector: dict[str, Any]) -> None:
    for size in SIZES:
        assert through_the_command([whole(vector)], "--chunk-size", str(size)) == lines(vector), size


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if len(whole(vector)) <= 40], ids=name)
def test_the_command_agrees_wherever_the_pipe_cuts(vector: dict[str, Any]) -> None:
    stream = whole(vector)
    for cut in range(len(stream) + 1):
        assert through_the_command([stream[:cut], stream[cut:]]) == lines(vector), cut


@pytest.mark.parametrize("chosen", ["wpt-utf8", "bom-split", "chat-crlf", "chat-cut-mid-json", "long-line-70k", "empty-stream"])
def test_the_command_agrees_in_a_process_of_its_own(chosen: str) -> None:
    [vector] = [vector for vector in VECTORS if vector["name"] == chosen]
    arguments = [sys.executable, "-m", "ylokh_sse.cli", "decode", "--json", "--chunk-size", "5"]
    done = subprocess.run(arguments, input=whole(vector), capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line) for line in done.stdout.splitlines()] == lines(vector)
