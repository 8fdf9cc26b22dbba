"""Draws docs/demo.svg, the picture of the demo: what `engineio-lite demo` prints, as it was printed.

``python docs/demo_picture.py`` runs the demo and writes the picture. It is drawn with the reader's own monospaced font: a picture that fetched
one from somewhere would tell that place who reads this page.
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from engineio_lite.cli.demo import demonstrate, folded, show, verdict

COLUMNS = 108

FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="The output of engineio-lite demo">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
.{unique_id}-matrix {{ font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the demo and write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    rows = demonstrate(console, "Tell me a joke")
    show(console, folded(rows))
    console.print(verdict(rows))
    console.save_svg(str(Path(__file__).parent / "demo.svg"), title="engineio-lite demo", theme=MONOKAI, code_format=FORMAT, unique_id="demo")


if __name__ == "__main__":
    main()
