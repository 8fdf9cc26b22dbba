"""Draws docs/ladder.png and docs/ladder-dark.png, the picture of the ladder page: howto/example.eio.jsonl, as Chromium shows it.

``python docs/ladder_picture.py`` makes the page, opens it in a headless Chromium of its own, with an empty profile, and writes the pictures.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from engineio_lite.capture.file import load  # noqa: E402  # found by the line above, wherever this is run
from engineio_lite.capture.ladder import page  # noqa: E402
from engineio_lite.capture.steps import read_steps  # noqa: E402

CAPTURE: Final = HERE / "howto" / "example.eio.jsonl"
SELECTED: Final = 14
"""The packet whose content is shown: an answer, so that its pair is seen."""

SIZE: Final = "1280,800"
PATIENCE: Final = 60
"""Seconds for one picture."""


def main() -> None:
    """Write both pictures."""
    capture = load(CAPTURE).packets()
    text = page(capture.head, read_steps(capture.lines), title=CAPTURE.name)
    with tempfile.TemporaryDirectory() as directory:
        for theme, picture in (("light", "ladder.png"), ("dark", "ladder-dark.png")):
            shown = Path(directory, f"{theme}.html")
            shown.write_text(text.replace('<html lang="en">', f'<html lang="en" data-theme="{theme}">', 1), encoding="utf-8")
            _take(f"{shown.as_uri()}#p{SELECTED}", HERE / picture, Path(directory, "profile"))


def _take(url: str, picture: Path, profile: Path) -> None:
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--hide-scrollbars",
        f"--window-size={SIZE}",
        f"--user-data-dir={profile}",
    ]
    subprocess.run(["chromium", *flags, f"--screenshot={picture}", url], check=True, timeout=PATIENCE, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
