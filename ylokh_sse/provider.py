"""`Ylokh`: the adapter in the call shape of provider classes (`chat_answers.providers`).

The service of this name let anybody ask gpt-3.5-turbo through an OpenAI-style API. It is gone; what remains is the shape, which now asks whatever
server it is pointed to.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Final

from chat_answers.exceptions import ResponseError
from chat_answers.providers import Chunk, Url, Working, chunks, is_at
from ylokh_sse.client import Client, ClientOptions
from ylokh_sse.request import DEFAULT_MODEL, URL_VARIABLE

RETIRED: Final = "https://chat.ylokh.xyz"
"""Where the service was. Nothing there answers any more."""

_FIELDS: Final[Mapping[str, object]] = {"temperature": 1, "presence_penalty": 0, "top_p": 1, "frequency_penalty": 0, "allow_fallback": True}
"""What the service's own page sent."""

_OPTIONS: Final = frozenset(ClientOptions.__annotations__) - {"proxy", "timeout"}


class Ylokh:
    """Chat completions in the call shape of provider classes.

    `url` is the base URL of the server to ask: from the environment (``YLOKH_BASE_URL``), or assigned to the class; else that of the retired service,
    which is never asked. `working` tells whether it is one that a user gave.
    """

    url: ClassVar[Any] = Url(URL_VARIABLE, RETIRED)
    working: ClassVar[Any] = Working(RETIRED)
    supports_message_history: ClassVar[bool] = True
    supports_gpt_35_turbo: ClassVar[bool] = True
    default_model: ClassVar[str] = DEFAULT_MODEL
    models: ClassVar[list[str]] = [DEFAULT_MODEL]

    @classmethod
    async def create_async_generator(
        cls,
        model: str | None,
        messages: str | Sequence[Mapping[str, object]],
        proxy: str | None = None,
        *,
        stream: bool = True,
        timeout: float | None = 120,
        base_url: str | None = None,
        api_key: str | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[Chunk, None]:
        """Ask, and iterate over the answer: text as `str`, then `Sources` if there are any, then `FinishReason`.

        Not to be awaited, only iterated over. `model` may be empty for the default. Without `stream` the answer comes in one piece. `timeout`
        bounds the whole, in seconds. Keywords that `Client` knows are its options; all others go into the body of the request, over the defaults
        that the service had (``temperature=1``, ``presence_penalty=0``, ``top_p=1``, ``frequency_penalty=0``, ``allow_fallback=True``).

        Raises `ResponseError` with the text so far; without a server to ask, before anything is sent. Ending the loop early, or cancelling, closes
        the connection when the generator is closed.
        """
        url = base_url or cls.url
        if not url or is_at(url, RETIRED):
            fix = f"give base_url=, set {cls.__name__}.url, or set {URL_VARIABLE}"
            raise ResponseError("the service of this name is gone, and no other server was given", cause="service-retired", fix=fix)
        options: Any = {name: kwargs.pop(name) for name in _OPTIONS & kwargs.keys()}
        fields = {**_FIELDS, **kwargs}
        async with Client(url, api_key, proxy=proxy, timeout=timeout, **options) as client:
            asking = client.stream if stream else client.whole
            async with asking(messages, model=model or cls.default_model, **fields) as answer, aclosing(chunks(answer)) as told:
                async for chunk in told:
                    yield chunk
