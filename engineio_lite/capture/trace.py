"""What other people's tools saw, before anything is understood of it: requests with their answers, and WebSockets with their messages.

Every importer reads its format into a `Trace`; what follows, sessions, packets, order, gaps, is the same for all of them (`reconstruct.py`). Times
are seconds since the epoch, bodies are bytes as they were sent, undone of transfer and content encodings. Headers are here so that secrets can be
learnt from them; they are never written.
"""

from __future__ import annotations

import msgspec

from engineio_lite.capture.lines import Direction
from engineio_lite.inputs import Headers


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request and what became of it.

    `status` is 0 where no answer came (the request was aborted, or still ran). A body of None was not recorded; that is not the same as an empty one.
    `ended` is None where it is not known.
    """

    started: float
    ended: float | None = None
    method: str
    url: str
    headers: Headers = ()
    body: bytes | None = b""
    status: int = 0
    answer_headers: Headers = ()
    content_type: str = ""
    answer: bytes | None = b""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One WebSocket message: text or binary, whole and uncompressed; `time` is None where it is not known. `injected`: no peer sent it."""

    time: float | None = None
    direction: Direction
    data: str | bytes
    injected: bool = False


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """One WebSocket: its handshake, its messages in order, its end.

    `status` is 101 where the handshake succeeded, else that of the answer, 0 if none came. `closed` is None if it was open when the recording
    stopped, or if nobody knows; `is_open` tells the two apart. `lost` says that messages may be missing, and why.
    """

    started: float
    opened: float | None = None
    url: str
    headers: Headers = ()
    status: int = 101
    answer_headers: Headers = ()
    answer: bytes | None = b""
    messages: tuple[Message, ...] = ()
    closed: float | None = None
    closed_by: Direction | None = None
    code: int | None = None
    reason: str = ""
    is_open: bool = False
    lost: str = ""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one file, in the order of the file; `warnings` are sentences about what the file does not hold or what had to be guessed.

    `may_lack_sockets` says that its recorder leaves out whole WebSockets, all of them or those that were open when it stopped.
    """

    source: str
    items: tuple[Exchange | Socket, ...] = ()
    warnings: tuple[str, ...] = ()
    may_lack_sockets: bool = False
