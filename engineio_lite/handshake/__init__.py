"""The handshake: the server's open packet, the URLs of a session, and what an answer means that is not Engine.IO.

Three things that belong together because they all concern the first exchange, and because the first exchange is where nearly everything goes wrong:
`opening` reads the open packet, `urls` makes and hides URLs, `explain` turns an answer that nobody can use into a cause that somebody can.
"""

from __future__ import annotations

from engineio_lite.handshake.explain import explain_response
from engineio_lite.handshake.opening import Handshake
from engineio_lite.handshake.urls import build_url, normalize_url, redact_url, split_namespace

__all__ = ["Handshake", "build_url", "explain_response", "normalize_url", "redact_url", "split_namespace"]
