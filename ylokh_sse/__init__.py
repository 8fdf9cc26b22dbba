"""Chat completions over Server-Sent Events, streamed or whole, from any OpenAI-compatible server.

`Client` asks; `decoder` (the stream of events), `completions` (what the events say), `request` and `response` know the rest and do no I/O. What goes
over the wire can be recorded (`Client(record=…)`, `ylokh_sse.capture`) and played back (`ylokh_sse.replay`). The
package needs nothing of `engineio_lite`: server-sent events are another protocol, and who wants only this adapter should be able to read it alone.
The service that it is named after is gone (see docs/ylokh.md); `ylokh_sse.loopback` is a server to try it on.

Importing the package loads neither asyncio nor aiohttp: who only decodes need not wait for them. Names that need them are loaded when first used.
"""

from __future__ import annotations

import typing

from chat_answers import (
    ChatError,
    Choice,
    Citations,
    Completion,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    Finish,
    FinishReason,
    MessageError,
    Part,
    Phase,
    RawChunk,
    ReasoningDelta,
    ResponseError,
    ResponseTimeout,
    ServiceError,
    Sources,
    TextDelta,
    TextReset,
    ToolCall,
    ToolCallDelta,
    TruncatedAnswer,
    UnexpectedResponse,
    Usage,
    lazy,
)
from ylokh_sse.completions import CompletionReader
from ylokh_sse.decoder import EventTooLarge, ServerSentEvent, SSEDecoder
from ylokh_sse.exceptions import (
    APIError,
    AuthenticationError,
    BadJSON,
    BadRequest,
    CaptureError,
    EmptyResponse,
    NotFound,
    NotSSE,
    PermissionDenied,
    RateLimited,
    ReplayMismatch,
    ServerError,
    StreamError,
    TooLarge,
    YlokhError,
)
from ylokh_sse.limits import Limits, Timeout
from ylokh_sse.request import DEFAULT_MODEL
from ylokh_sse.response import RetryPolicy

if typing.TYPE_CHECKING:
    from ylokh_sse.capture.recording import Recording
    from ylokh_sse.client import Answer, Client, ClientOptions
    from ylokh_sse.provider import Ylokh
else:
    _LAZY = {
        "Answer": "ylokh_sse.client",
        "Client": "ylokh_sse.client",
        "ClientOptions": "ylokh_sse.client",
        "Recording": "ylokh_sse.capture.recording",
        "Ylokh": "ylokh_sse.provider",
    }
    __getattr__, __dir__ = lazy.names(__name__, _LAZY)

__all__ = [
    "DEFAULT_MODEL",
    "APIError",
    "Answer",
    "AuthenticationError",
    "BadJSON",
    "BadRequest",
    "CaptureError",
    "ChatError",
    "Choice",
    "Citations",
    "Client",
    "ClientOptions",
    "Completion",
    "CompletionReader",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "EmptyResponse",
    "EventTooLarge",
    "Finish",
    "FinishReason",
    "Limits",
    "MessageError",
    "NotFound",
    "NotSSE",
    "Part",
    "PermissionDenied",
    "Phase",
    "RateLimited",
    "RawChunk",
    "ReasoningDelta",
    "Recording",
    "ReplayMismatch",
    "ResponseError",
    "ResponseTimeout",
    "RetryPolicy",
    "SSEDecoder",
    "ServerError",
    "ServerSentEvent",
    "ServiceError",
    "Sources",
    "StreamError",
    "TextDelta",
    "TextReset",
    "Timeout",
    "TooLarge",
    "ToolCall",
    "ToolCallDelta",
    "TruncatedAnswer",
    "UnexpectedResponse",
    "Usage",
    "Ylokh",
    "YlokhError",
]
