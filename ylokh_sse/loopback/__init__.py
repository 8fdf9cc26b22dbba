"""A real server to try the adapter on: HTTP on this machine only, in the manner of OpenAI's chat completions, streamed or whole.

There is no public service behind this adapter that could be promised to anybody, and a pretended connection would prove nothing about a real one. So
this is a server like any other, on a real socket; only what it says is canned. A `Script` decides that, and can also misbehave in every way that was
seen or feared: late first words, errors under every status and in the middle of an answer, web pages, missing ends, torn connections, odd line ends
and compression.

::

    async with loopback.serve(Script(text="Hello", cut_after=1)) as server:     # or plain `with`
        async with Client(base_url=server.url) as chat: ...

and ``python -m ylokh_sse.loopback --port 8000`` serves until Ctrl-C. It needs nothing beside what the package needs itself.

`script` holds the words, `question` reads and checks what is asked, `answer` turns both into steps (these three are pure), and `server` performs
them.
"""

from __future__ import annotations

from chat_answers.loopback import LoopbackUnavailable
from ylokh_sse.loopback.script import GREETING, JOKE, PAGE, Call, Reply, Script, reply_to, split
from ylokh_sse.loopback.server import DEFAULT_MODELS, MAX_REQUESTS, LoopbackServer, Request, serve

__all__ = [
    "DEFAULT_MODELS",
    "GREETING",
    "JOKE",
    "MAX_REQUESTS",
    "PAGE",
    "Call",
    "LoopbackServer",
    "LoopbackUnavailable",
    "Reply",
    "Request",
    "Script",
    "reply_to",
    "serve",
    "split",
]
