"""What an answer of a chat service is, whoever gives it and whatever carries it.

The common ground of the two adapters, which know nothing of each other: `perplexity_labs` reads answers off Socket.IO, `ylokh_sse` off Server-Sent
Events, and both tell them in these parts, put them together to the same `Completion`, and fail with the same errors. Everything here is pure but
`blocking`, which lets ordinary code use what is asynchronous, `console`, what the two command lines share, `process`, how every console command of
the house ends, and `loopback`, what the servers have in common on which the adapters can be tried.
"""

from __future__ import annotations

from chat_answers.completion import Choice, Collector, Completion
from chat_answers.exceptions import (
    ChatError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MessageError,
    Phase,
    ResponseError,
    ResponseTimeout,
    ServiceError,
    TruncatedAnswer,
    UnexpectedResponse,
)
from chat_answers.parts import JSON, Citations, Finish, Part, RawChunk, ReasoningDelta, TextDelta, TextReset, ToolCall, ToolCallDelta, Usage
from chat_answers.providers import FinishReason, Sources
from chat_answers.reasoning import ThinkSplitter

__all__ = [
    "JSON",
    "ChatError",
    "Choice",
    "Citations",
    "Collector",
    "Completion",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "Finish",
    "FinishReason",
    "MessageError",
    "Part",
    "Phase",
    "RawChunk",
    "ReasoningDelta",
    "ResponseError",
    "ResponseTimeout",
    "ServiceError",
    "Sources",
    "TextDelta",
    "TextReset",
    "ThinkSplitter",
    "ToolCall",
    "ToolCallDelta",
    "TruncatedAnswer",
    "UnexpectedResponse",
    "Usage",
]
