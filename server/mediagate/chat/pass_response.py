"""A response of a model whose provider has a Responses API: passed through, under an id that is the caller's alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

from mediagate.chat.asking import raw_call
from mediagate.chat.exchange import Answer, pass_on
from mediagate.chat.kept_responses import IdRenaming, ResponseIds, require_own_state
from mediagate.chat.question import Question
from mediagate.core.chat import Dialect, Uses
from mediagate.core.chat_place import place
from mediagate.core.errors import InvalidField
from mediagate.core.objects import Principal
from mediagate.providers.chat import SpeaksOpenAI
from mediagate.routing.catalog import Deployment


@asynccontextmanager
async def pass_response(
    ids: ResponseIds,
    who: Principal,
    provider: SpeaksOpenAI,
    deployment: Deployment,
    question: Question,
    uses: Uses,
) -> AsyncIterator[Answer]:
    """The answer, whose first bytes are there. Raises `InvalidField` for what a request names at the provider that is
    not the caller's, and as asking the provider does."""
    require_own_state(who, question.body)
    previous = ids.previous(who, question.body)
    told: dict[str, Any] = dict(place(question.body, uses, Dialect.RESPONSES))
    if previous is not None:
        if previous.account != deployment.model_account:
            raise InvalidField(
                "The response that 'previous_response_id' names lies at another account than this model's. Use the "
                "model that made it, or send its items in 'input'.",
                param="previous_response_id",
                code="previous_response_elsewhere",
            )
        told["previous_response_id"] = previous.provider_id
    call = raw_call(provider, deployment, Dialect.RESPONSES, told, stream=question.stream)
    renaming = IdRenaming(ids, who, deployment.model_account, previous)
    async with (
        pass_on(provider, call, hides_usage=False) as answer,
        aclosing(_renamed(answer.chunks, renaming)) as chunks,
    ):
        yield replace(answer, chunks=chunks)


async def _renamed(chunks: AsyncGenerator[bytes], renaming: IdRenaming) -> AsyncGenerator[bytes]:
    async with aclosing(chunks) as coming:
        async for chunk in coming:
            yield renaming.feed(chunk)
