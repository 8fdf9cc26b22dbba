"""Nothing is said to nobody: an exception that reaches the event loop's own handler fails the test."""

from __future__ import annotations

from tests.aio.conftest import nothing_unhandled as nothing_unhandled
