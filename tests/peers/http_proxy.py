"""A real HTTP proxy in processes of its own: proxy.py, which forwards absolute URLs and tunnels for CONNECT, with or without a password.

`HttpProxy` starts it; this file is also the program that runs in its process. What it lets through is written to a file at once, by a plugin that
looks and changes nothing, so that a test can prove that a request went this way. What it refuses is not in there.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.peers import HERE, Process

USER, PASSWORD = "somebody", "s3cret-password"

IDLE_LIMIT: Final = 60
"""Seconds after which the proxy drops a connection that carries nothing; longer than any test."""

_LOG = "HTTP_PROXY_PEER_LOG"
"""The environment's variable with the path of the log: the plugin runs in a process that proxy.py starts."""


class HttpProxy(Process):
    """One proxy; use it as ``with``, or `stop` it. With `password` it wants `USER` and `PASSWORD`, which are then part of `url`.

    `bare_url` is the URL without them, `requests` what went through since `forget`: lines as ``CONNECT 127.0.0.1:443`` or ``GET http://…``.
    """

    def __init__(self, *, password: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._log = Path(self._directory.name) / "log"
        self._log.touch()
        self._forgotten = 0
        credentials = f"{USER}:{PASSWORD}" if password else ""
        command = [sys.executable, "-m", "tests.peers.http_proxy", self._directory.name, credentials]
        environment = {_LOG: str(self._log), "PYTHONPATH": str(HERE.parent.parent)}
        super().__init__("proxy.py", command, environment=environment, own_group=True)
        self.bare_url = self.url
        if password:
            self.url = self.url.replace("//", f"//{credentials}@")

    def requests(self) -> list[str]:
        """What went through, in order."""
        return self._lines()[self._forgotten :]

    def forget(self) -> None:
        """Begin anew with what went through."""
        self._forgotten = len(self._lines())

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    def stop(self) -> None:
        super().stop()
        self._directory.cleanup()


# --- The program.


def main(directory: str, credentials: str) -> None:
    """Run the proxy until standard input ends."""
    from proxy import Proxy
    from proxy.http.proxy import HttpProxyBasePlugin

    class Witness(HttpProxyBasePlugin):
        """Writes down every request that is passed on."""

        def handle_client_request(self, request: Any) -> Any:
            authority = f"{request.host.decode()}:{request.port}"
            target = authority if request.is_https_tunnel else f"http://{authority}{request.path.decode()}"
            with open(os.environ[_LOG], "a", encoding="utf-8") as log:
                log.write(f"{request.method.decode()} {target}\n")
            return request

    options = ["--hostname=127.0.0.1", "--port=0", "--num-workers=1", "--num-acceptors=1", "--log-level=warning", "--open-file-limit=0"]
    options += [f"--timeout={IDLE_LIMIT}", f"--data-dir={directory}/data", f"--log-file={directory}/proxy.log"]
    options += [f"--basic-auth={credentials}"] if credentials else []
    with Proxy(options, plugins=[Witness]) as proxy:
        print(json.dumps({"port": proxy.flags.port}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
