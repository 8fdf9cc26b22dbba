"""mock-ai-api on a free loopback port, until standard input ends: a server of chat completions that others wrote.

Started as a program in an environment of its own (`tests.peers.environments`), so nothing of this suite can be imported here. Its models, all named
``gpt-4.1:mock-…``: ``text``, ``tool-stream``, ``tool-call``, ``delay``, and ``400``, ``401``, ``429``, ``500``, ``503`` for the errors.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys

import uvicorn
from app.openai_app import app


async def main() -> None:
    """Serve until standard input ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 4096) or os._exit(0))
        # It listens already: who connects before the application is ready waits.
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        await server.serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
