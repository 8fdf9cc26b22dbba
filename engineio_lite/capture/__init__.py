"""What crossed the door: recording it, and reading it as a conversation."""

from engineio_lite.capture.recorder import Record, RecordedConnection, Recorder
from engineio_lite.capture.timeline import Row, timeline

__all__ = ["Record", "RecordedConnection", "Recorder", "Row", "timeline"]
