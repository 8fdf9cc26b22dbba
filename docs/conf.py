"""How Sphinx builds this documentation: Markdown by MyST, the furo theme, the reference from docstrings, the state diagrams from the tables.

``sphinx-build -W -b html docs docs/_build`` from the top of the repository; a warning is an error.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE.parent), str(_HERE / "_ext")]

project = "engineio-lite"
author = "engineio-lite contributors"
project_copyright = author
release = version = installed_version("engineio-lite")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "cause_table", "state_diagrams"]
exclude_patterns = ["_build"]
# Docstrings are written for people who read code: `single backquotes` are code there, whatever reStructuredText makes of them by default.
default_role = "code"
# Quotation marks in them are often code, too.
smartquotes = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = f"engineio-lite {release}"
html_copy_source = False
html_show_sphinx = False
