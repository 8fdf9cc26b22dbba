"""Every test here talks to its cassette; `--sio-upstream` says where the real service is when one has to be recorded."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
