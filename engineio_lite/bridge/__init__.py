"""python-socketio's asyncio client on this engine: change the import, keep the code.

``import engineio_lite.bridge as socketio`` in place of ``import socketio``. What the application sees stays python-socketio's own: its handlers,
namespaces, packets, acknowledgements and reconnection. What travels underneath is this library: an upgrade that loses nothing, batches that the
server takes, back-pressure, bounded waits, errors that name their cause.

- `options` reads the constructor's options, which are python-engineio's.
- `session` is one connection: every message that comes becomes a task, in wire order, and there are never too many of them.
- `engine` has the interface of python-engineio's client, as far as python-socketio uses it, and makes a session for each connection.
- `packets` makes python-socketio's packet classes strict about what comes.
- `client` has the client, and says what it does otherwise than the original and why; `simple` has the simple one.

Every other public name of `socketio` can be had from here as well and is the original one: servers, the clients for threads (`Client`,
`SimpleClient`), namespaces, managers.
"""

from __future__ import annotations

from typing import Any

try:
    import socketio as _socketio
except ModuleNotFoundError as error:
    if error.name not in ("socketio", "engineio"):
        raise
    raise ImportError("engineio_lite.bridge needs python-socketio: pip install 'engineio-lite[bridge]'") from None

from socketio import AsyncClientNamespace, exceptions

from engineio_lite.bridge.client import AsyncClient
from engineio_lite.bridge.simple import AsyncSimpleClient

__all__ = ["AsyncClient", "AsyncClientNamespace", "AsyncSimpleClient", "exceptions"]
# `from engineio_lite.bridge import *` brings what the same line brings from `socketio`.
__all__ += [name for name in _socketio.__all__ if name not in __all__]


def __getattr__(name: str) -> Any:
    return getattr(_socketio, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_socketio)})
