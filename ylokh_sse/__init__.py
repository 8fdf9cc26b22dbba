"""Chat completions over Server-Sent Events, streamed or whole.

This package will hold a client for OpenAI-compatible chat servers: a decoder of event streams without I/O, a pure translation of their chunks into
typed events, and a small client on aiohttp. It needs nothing of `engineio_lite`: server-sent events are another protocol, and who wants only this
adapter should be able to read it alone. It is empty for now; the name is reserved by its place in the distribution.
"""

from __future__ import annotations

__all__: list[str] = []
