"""From the engine's errors to the adapter's: what a failure below means for a question. Pure.

The engine tells errors apart by where they happen on the wire. Someone who asks a question wants to know another thing: is the call wrong, is nobody
there, or is an answer cut short? That is decided by how far the question had come, so there is one function for each stage. The engine's message, its
`cause` and its `fix` are kept, since they are as exact as anything that could be said here; its error itself becomes the ``__cause__``, with the
evidence.
"""

from __future__ import annotations

from chat_answers.exceptions import ChatError, ConfigurationError, ConnectFailed, ConnectionLost, MessageError, ServiceError
from engineio_lite import Cause, ConnectRefused, EngineIOError, LocalProtocolError

DEFAULT_URL = "https://www.perplexity.ai"
"""Where the service was until it was retired in 2025. Nothing there answers any more, so it is asked only by who gives this URL expressly."""

URL_VARIABLE = "PERPLEXITY_LABS_URL"
"""The environment variable that names a server."""

_NOT_CONNECTED = frozenset({Cause.NOT_OPEN, Cause.NAMESPACE_NOT_CONNECTED, Cause.CLOSED})


def retired() -> ConnectFailed:
    """Say that no server is known, because the only one that there was is gone."""
    return ConnectFailed(
        "the Labs service was retired in 2025, and no other server is known",
        cause="service-retired",
        fix=f"give the URL of a server, or set {URL_VARIABLE} (python -m perplexity_labs.loopback is one to try it on)",
    )


def not_connected(error: EngineIOError) -> ChatError:
    """Translate what went wrong before there was a connection."""
    match error:
        case LocalProtocolError() | EngineIOError(cause=Cause.BAD_URL):
            return ConfigurationError(error.message, cause=error.cause, fix=error.fix)
        case ConnectRefused():
            return _refused(error, partial="")
        case _:
            return ConnectFailed(error.message, cause=error.cause, fix=error.fix)


def not_sent(error: EngineIOError, *, drift: str) -> ChatError:
    """Translate what went wrong while the question was sent: it cannot be sent as it is, or there is no connection any more."""
    if isinstance(error, LocalProtocolError) and error.cause not in _NOT_CONNECTED:
        return MessageError(error.message, cause=error.cause, fix=error.fix)
    return lost(error, partial="", drift=drift)


def lost(error: EngineIOError, *, partial: str, drift: str) -> ChatError:
    """Translate what ended the connection after the question was sent; `drift` says what had come that was not expected."""
    if isinstance(error, ConnectRefused):  # late, but the server has said why it will not answer
        return _refused(error, partial=partial)
    return ConnectionLost(f"{error.message}{drift and f'; {drift}'}", cause=error.cause, fix=error.fix, partial=partial)


def _refused(error: ConnectRefused, *, partial: str) -> ServiceError:
    words = error.refusal.strip() or "the server refuses the connection, and gives no reason"
    return ServiceError(words, cause=error.cause, fix=error.fix, raw=error.data, partial=partial)
