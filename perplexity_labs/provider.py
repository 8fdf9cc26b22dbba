"""`PerplexityLabs`: the adapter in the call shape that programs for chat services have grown used to.

A class without instances, whose one generator yields text and what else there is. It adds nothing to `LabsClient`, and takes something away: the
parts that text cannot say are mixed into it. The client is the better choice for new code.

The class tells the truth about the service: ``working`` is false for the one that it is named after, which is gone, and true only where a user has
said which server to ask instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar

from chat_answers.parts import Part
from chat_answers.providers import Chunk, Url, Working, chunks
from perplexity_labs.client import LabsClient, Messages
from perplexity_labs.failures import DEFAULT_URL, URL_VARIABLE
from perplexity_labs.messages import DEFAULT_MODEL, MODELS


class PerplexityLabs:
    """Answers as a generator of `str`, then `Sources` if there are any, then `FinishReason`.

    `url` is the server to ask: ``PERPLEXITY_LABS_URL`` from the environment, or what is assigned to the class or a subclass; else it is where the
    service was, and `working` is false. `models` are those that it had last; any other name is passed on as it is.
    """

    url: ClassVar[str | None] = Url(URL_VARIABLE, DEFAULT_URL)  # type: ignore[assignment]  # worked out when it is read, replaced when assigned
    working: ClassVar[bool] = Working(DEFAULT_URL)  # type: ignore[assignment]
    default_model: ClassVar[str] = DEFAULT_MODEL
    models: ClassVar[list[str]] = list(MODELS)

    @classmethod
    def create_async_generator(
        cls, model: str | None, messages: Messages, proxy: str | None = None, *, base_url: str | None = None, url: str | None = None, **kwargs: Any
    ) -> AsyncGenerator[Chunk, None]:
        """Ask, and iterate over the answer: ``async for chunk in PerplexityLabs.create_async_generator(model, messages)``, without an ``await``.

        An empty `model` is the default one. `url`, or `base_url`, is the server of this one question. All other keywords are those of `LabsClient`
        (`timeout`, `headers`, `split_reasoning`, …). With `split_reasoning` thoughts come as `ReasoningDelta`; a server that rewrites its text makes
        a `TextReset` in any case.

        Raises at once `MessageError` or `ConfigurationError` for a call that makes no sense, and TypeError for an unknown keyword; while iterating
        `ResponseError` for whatever goes wrong then, the service's retirement included (``service-retired``). Cancelling is safe.
        """
        if url and base_url:
            raise TypeError("create_async_generator() takes either url or base_url, which are two names of one argument")
        server = url or base_url or (cls.url if cls.working else None)
        labs = LabsClient(server, proxy=proxy, **kwargs)
        return _chunks(labs.stream(messages, model=model or cls.default_model))


async def _chunks(parts: AsyncGenerator[Part, None]) -> AsyncGenerator[Chunk, None]:
    """Translate, and end the answer as soon as whoever reads it leaves."""
    async with aclosing(parts), aclosing(chunks(parts)) as translated:
        async for chunk in translated:
            yield chunk
