"""Chat answers streamed over Socket.IO: the conversation of the Labs playground, as typed values.

The service that this dialect was made for is gone (see docs/labs.md); what remains is a small adapter for whatever speaks it, such as the server in
`perplexity_labs.loopback`. Read `messages` first: it is the conversation, without any I/O.
"""

from __future__ import annotations

from perplexity_labs.client import DEFAULT_URL, LabsClient
from perplexity_labs.exceptions import (
    ConnectionLost,
    LabsError,
    MessageError,
    Phase,
    ResponseError,
    ResponseTimeout,
    UnexpectedResponse,
)
from perplexity_labs.messages import (
    DEFAULT_MODEL,
    MODELS,
    AnswerReader,
    Citations,
    Finish,
    Part,
    TextDelta,
    TextReset,
    encode_request,
)
from perplexity_labs.timeouts import Timeout

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_URL",
    "MODELS",
    "AnswerReader",
    "Citations",
    "ConnectionLost",
    "Finish",
    "LabsClient",
    "LabsError",
    "MessageError",
    "Part",
    "Phase",
    "ResponseError",
    "ResponseTimeout",
    "TextDelta",
    "TextReset",
    "Timeout",
    "UnexpectedResponse",
    "encode_request",
]
