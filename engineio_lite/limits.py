"""Every bound of the library, by name: how much, how many, how deep, how long.

Nothing a server or a caller does can make the library hold an unbounded amount of anything or wait for an unbounded time. Each bound has a default
with its reason beside it, and is changed by passing a `Limits` or `Timeouts` to the connection or to the driver.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how many and how deep; sizes are bytes."""

    max_body: int = 100 * 1024 * 1024
    """A polling answer, after decompression. `maxPayload` binds only what we send, and a server may bundle many large messages into one answer."""

    max_frame: int = 100 * 1024 * 1024
    """A WebSocket message that arrives. aiohttp's own default of 4 MiB silently ends connections to servers that allow more."""

    max_packets_per_post: int = 16
    """Packets in one POST. python-engineio answers 200 OK to more than 16 and drops them all."""

    max_post: int = 64 * 1024
    """Bytes of a POST that bundles several packets; a larger one goes alone. A python-engineio server on aiohttp cuts a body off that does not reach
    it in one read, and answers 200 OK: what is lost then should not be more than it must."""

    max_buffered: int = 16 * 1024 * 1024
    """What waits to be sent, in encoded bytes; a caller that fills it gets an error, a driver waits before it does."""

    max_buffered_packets: int = 100_000
    """The same, counted in packets: many tiny ones cost more than their bytes."""

    max_attachments: int = 10
    """Binary attachments of one Socket.IO packet; the reference parser's bound since CVE-2026-33151."""

    max_attachment_bytes: int = 100 * 1024 * 1024
    """All attachments of one Socket.IO packet together."""

    max_depth: int = 100
    """Nesting of arrays and objects. The reference has none and Python's own parser ends in a RecursionError."""

    max_integer_digits: int = 100
    """Digits of a JSON integer: decoding them takes quadratic time."""

    max_early_events: int = 1000
    """Events of one namespace that arrive before its CONNECT answer."""

    max_recovered_events: int = 100_000
    """The same where we claim a lost session: a Node server sends all that was missed before it answers."""

    max_early_bytes: int = 16 * 1024 * 1024
    """The same in bytes of their messages."""

    max_pending_calls: int = 10_000
    """Events that wait for their acknowledgement, over all namespaces."""

    max_unanswered: int = 10_000
    """Events of one namespace that ask for an acknowledgement and have none yet; beyond it the oldest can no longer be answered."""

    max_offline_events: int = 10_000
    """Events of one namespace that wait for a connection, and as many that are repeated; all of them together are bound by `max_buffered` too."""

    max_concurrent_handlers: int = 100
    """Handlers registered as concurrent that run at the same time; the next event waits until one is done."""

    max_namespaces: int = 100
    """Namespaces joined on one connection."""

    max_queued_events: int = 1024
    """Events that wait for the application in a driver; when they are reached the driver stops reading, which the server feels as back-pressure."""

    last_packets: int = 5
    """How many of the last packets each way `Closed` remembers."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long, in seconds."""

    connect: float = 10.0
    """Name lookup, TCP and TLS of one connection."""

    open: float = 20.0
    """From the first request to the server's open packet; the reference client waits as long."""

    post: float = 20.0
    """From a POST to its answer. A python-engineio server leaves some POSTs unanswered for ever."""

    upgrade: float = 10.0
    """From the opening of the upgrade's WebSocket to the pause; never more than the server's ping timeout. Node gives up after the same time."""

    upgrade_delay: float = 1.0
    """How long an upgrade waits for the first answer, if the application spoke first: a python-engineio server delivers nothing by polling once the
    upgrade's WebSocket is open, so starting at once would delay that answer."""

    poll_backoff: float = 0.25
    """Pause before the next GET after answers that were empty or, three in a row and each within 50 ms, meaningless."""

    close: float = 5.0
    """An orderly leave: flushing what waits, the close packet, the WebSocket's closing handshake."""

    namespace: float = 45.0
    """From a Socket.IO CONNECT to its answer; a Node server gives up on an idle connection after the same time."""

    rejoin: float = 0.1
    """From leaving a Socket.IO namespace to asking for it again. A Node server that reads both together takes the second for a duplicate and closes
    the connection."""


DEFAULT_LIMITS = Limits()
DEFAULT_TIMEOUTS = Timeouts()
