"""A response of a model whose provider has no Responses API: it is asked as a chat, and what it says is told as a
response."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from mediagate.chat.asking import native_request, raw_call
from mediagate.chat.exchange import Answer, read_back, tell_stream, tell_whole
from mediagate.chat.question import Question, with_usage
from mediagate.core.chat import ChatEvent, Dialect, Uses
from mediagate.core.chat_place import place
from mediagate.core.errors import MediagateError
from mediagate.core.read_responses import ChatForm, chat_form
from mediagate.core.write_chat import Stamp
from mediagate.core.write_responses import ResponseDocument, ResponseEvents
from mediagate.providers.chat import Answers, ChatProvider, SpeaksOpenAI
from mediagate.providers.registry import responses_hosts
from mediagate.routing.catalog import Deployment


@asynccontextmanager
async def respond(
    provider: ChatProvider,
    deployment: Deployment,
    question: Question,
    uses: Uses,
    *,
    id_: str,
    now: Callable[[], float],
) -> AsyncIterator[Answer]:
    """The answer, whose first bytes are there. Raises `InvalidField` for what only a server with a Responses API does,
    and as asking the provider does."""
    form = chat_form(question.body, hosts=responses_hosts(), drop_settings=deployment.drops_settings)
    stamp = Stamp(id_, question.model, int(now()))
    title = provider.spec.title
    try:
        events = _asked(provider, deployment, question, form, form.uses(uses))
        if question.stream:
            telling = tell_stream(events, ResponseEvents(stamp, question.body, now), title)
        else:
            telling = tell_whole(events, ResponseDocument(stamp, question.body, now), title)
        async with telling as answer:
            yield answer
    except MediagateError as error:
        raise form.messages.told(error) from None


def _asked(
    provider: ChatProvider, deployment: Deployment, question: Question, form: ChatForm, uses: Uses
) -> AsyncGenerator[ChatEvent]:
    if isinstance(provider, Answers):
        return provider.answer(native_request(provider, deployment, form.body, uses))
    assert isinstance(provider, SpeaksOpenAI)
    body = place(form.body, uses, Dialect.CHAT)
    if question.stream:
        body = with_usage(body)
    return read_back(provider, raw_call(provider, deployment, Dialect.CHAT, body, stream=question.stream))
