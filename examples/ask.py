"""What the examples have in common: one question to either service, in the call shape that both have.

    python examples/joke.py ylokh http://127.0.0.1:8000/v1
    python examples/joke.py labs http://127.0.0.1:8080

The URL may also come from the environment: YLOKH_BASE_URL, PERPLEXITY_LABS_URL. ``python -m ylokh_sse.loopback`` and
``python -m perplexity_labs.loopback`` are servers to try it on.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from perplexity_labs import PerplexityLabs
from ylokh_sse import FinishReason, ResponseError, Sources, Ylokh

Service = type[PerplexityLabs] | type[Ylokh]

SERVICES: dict[str, Service] = {"labs": PerplexityLabs, "ylokh": Ylokh}


async def answer(service: Service, url: str | None, question: str) -> None:
    messages = [{"role": "user", "content": question}]
    async for chunk in service.create_async_generator(service.default_model, messages, proxy=None, base_url=url):
        if isinstance(chunk, str):
            print(chunk, end="", flush=True)
        elif isinstance(chunk, Sources):
            print(f"\n\n{chunk}", end="")
        elif isinstance(chunk, FinishReason):
            print(f"\n[{chunk.reason}]")


def main(question: str) -> None:
    parser = argparse.ArgumentParser(description=f"Asks: {question}")
    parser.add_argument("service", choices=sorted(SERVICES))
    parser.add_argument("url", nargs="?", help="where its server is; default: from the environment")
    arguments = parser.parse_args()
    try:
        asyncio.run(answer(SERVICES[arguments.service], arguments.url, question))
    except ResponseError as error:
        print(error.partial)
        sys.exit(f"{error} [{error.cause}]")
