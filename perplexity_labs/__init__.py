"""Chat answers streamed over Socket.IO: the conversation of the Labs playground, as typed values.

The service that this dialect was made for is gone (see docs/labs.md); what remains is a small adapter for whatever speaks it, such as the server in
`perplexity_labs.loopback`. Read `messages` first: it is the conversation, without any I/O. Parts, errors and whole answers are those of
`chat_answers`, which another adapter shares, and can be had from here.

Importing the package loads neither asyncio nor aiohttp. Names that need them are loaded when first used.
"""

from __future__ import annotations

import typing

from chat_answers import lazy
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
    UnexpectedResponse,
)
from chat_answers.parts import Citations, Finish, Part, ReasoningDelta, TextDelta, TextReset
from chat_answers.providers import FinishReason, Sources
from perplexity_labs.failures import DEFAULT_URL
from perplexity_labs.messages import DEFAULT_MODEL, MODELS, AnswerReader, encode_request
from perplexity_labs.timeouts import Timeout

if typing.TYPE_CHECKING:
    from chat_answers.blocking import BlockingIterator
    from perplexity_labs.client import LabsClient
    from perplexity_labs.exchange import Reply
    from perplexity_labs.provider import PerplexityLabs
else:
    _LAZY = {
        "BlockingIterator": "chat_answers.blocking",
        "LabsClient": "perplexity_labs.client",
        "PerplexityLabs": "perplexity_labs.provider",
        "Reply": "perplexity_labs.exchange",
    }
    __getattr__, __dir__ = lazy.names(__name__, _LAZY)

LabsError = ChatError
"""The name that `ChatError` had here at first; the same class."""

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_URL",
    "MODELS",
    "AnswerReader",
    "BlockingIterator",
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
    "LabsClient",
    "LabsError",
    "MessageError",
    "Part",
    "PerplexityLabs",
    "Phase",
    "ReasoningDelta",
    "Reply",
    "ResponseError",
    "ResponseTimeout",
    "ServiceError",
    "Sources",
    "TextDelta",
    "TextReset",
    "Timeout",
    "UnexpectedResponse",
    "encode_request",
]
