"""The service that the client is for, as far as an example needs one: python-socketio on aiohttp."""

from __future__ import annotations

import argparse
import zlib
from typing import Any

import socketio
from aiohttp import web

PRICES = {"ACME": 118.25, "INIT": 7.5}
TOKEN = "let-me-trade-please"


def make_app() -> web.Application:
    """The service, ready to be run."""
    server = socketio.AsyncServer(async_mode="aiohttp", namespaces=["/", "/trade"])
    app = web.Application()
    server.attach(app)

    @server.on("quote")
    async def quote(sid: str, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "price": PRICES[symbol]} if symbol in PRICES else {"error": f"no such symbol: {symbol}"}

    @server.on("watch")
    async def watch(sid: str, symbol: str, count: int) -> None:
        for step in range(count):
            await server.emit("tick", {"symbol": symbol, "price": PRICES[symbol] + step / 4}, to=sid)

    @server.on("chart")
    async def chart(sid: str, wish: dict[str, Any]) -> bytes:
        return zlib.compress(wish["symbol"].encode() * 20 + wish["style"])

    @server.on("connect", namespace="/trade")
    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
        if not auth or auth.get("token") != TOKEN:
            raise socketio.exceptions.ConnectionRefusedError("the token is not known")

    @server.on("buy", namespace="/trade")
    async def buy(sid: str, order: dict[str, Any]) -> dict[str, Any]:
        return {"order": f"{order['symbol']}-{order['shares']}"} if order["shares"] > 0 else {"error": "buy at least one share"}

    return app


def main() -> None:
    """Run it on loopback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    web.run_app(make_app(), host="127.0.0.1", port=parser.parse_args().port)


if __name__ == "__main__":
    main()
