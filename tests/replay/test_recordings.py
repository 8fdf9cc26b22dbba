"""What other people's tools recorded of other people's programs, played back: recordings of the session "full" to Node's client, over any transport.

And every whole recording there is plays against itself: the recorded client to the recorded server, over a transport that it was not recorded on.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engineio_lite.cli import import_
from engineio_lite.replay.as_client import against
from engineio_lite.replay.as_server import serve, serve_in_thread

HERE = Path(__file__).parent
CAPTURES = HERE.parent / "captures"

LIMIT = 30.0
"""Seconds for the session, which waits for one ping and else for nothing."""

FULL = ["devtools-js-chromium-upgrade.har", "mitm-js-node-polling.mitm", "cdplog-js-chromium-websocket.jsonl", "playwright-js-chromium-polling.har"]

WHOLE = [*FULL, "mitm-js-py-upgrade.har", "mitm-py-py-polling.mitm", "devtools-py-chromium-upgrade.har", "devtools-js-chromium-upgrade-autherror.har"]


def imported(name: str, folder: Path) -> Path:
    out = folder / f"{name}.eio.jsonl"
    import_.run([CAPTURES / name], str(out))
    return out


@pytest.mark.usefixtures("node_client")
@pytest.mark.parametrize("transports", ['["polling"]', '["websocket"]', '["polling","websocket"]'])
@pytest.mark.parametrize("name", FULL)
def test_nodes_client_has_the_session_that_was_recorded(name: str, transports: str, tmp_path: Path) -> None:
    with serve_in_thread(imported(name, tmp_path), pings=True) as server:
        command = ["node", str(HERE / "full.cjs"), server.url, transports]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert server.report.unplayed == ()
    assert server.report.matched == 9


@pytest.mark.parametrize("name", WHOLE)
async def test_both_sides_of_a_recording_agree(name: str, tmp_path: Path) -> None:
    path = imported(name, tmp_path)
    transports = ("websocket",) if "polling" in name else ("polling",)
    async with serve(path) as server:
        report = await against(server.url, path, connect={"transports": transports})
    report.raise_for_failure()
    assert report.unplayed == server.report.unplayed == ()
    assert report.unmatched == server.report.unmatched == 0
