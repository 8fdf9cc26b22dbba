"""What crossed the door: recording it, reading it as a conversation, and the files that it is kept in."""

from engineio_lite.capture.file import Capture, Writer, load, read
from engineio_lite.capture.format import DEFAULT_LOAD_LIMITS, LoadLimits, decode_line, encode_line
from engineio_lite.capture.lines import Head, Level, Line
from engineio_lite.capture.recorder import Record, RecordedConnection, Recorder
from engineio_lite.capture.redactor import DEFAULT_REDACTION, Redaction, Redactor
from engineio_lite.capture.timeline import Row, timeline
from engineio_lite.capture.transcriber import Transcriber

__all__ = [
    "DEFAULT_LOAD_LIMITS",
    "DEFAULT_REDACTION",
    "Capture",
    "Head",
    "Level",
    "Line",
    "LoadLimits",
    "Record",
    "RecordedConnection",
    "Recorder",
    "Redaction",
    "Redactor",
    "Row",
    "Transcriber",
    "Writer",
    "decode_line",
    "encode_line",
    "load",
    "read",
    "timeline",
]
