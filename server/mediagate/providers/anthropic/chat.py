"""Chats at Anthropic: `POST /v1/messages`, always as a stream.

A long answer that does not come as a stream is a connection that is silent for minutes, which the API's documents
advise against; whether the caller is given a stream does not matter to Claude.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.providers import http
from mediagate.providers.account import Account
from mediagate.providers.anthropic.account import headers_of, root_of_account
from mediagate.providers.anthropic.chat_answer import MessageReader
from mediagate.providers.anthropic.chat_body import body_of
from mediagate.providers.anthropic.spec import CHAT
from mediagate.providers.chat_failures import chat_error_of, cut
from mediagate.providers.encoding import encoded
from mediagate.providers.event_stream import drained, json_in, sse_events
from mediagate.providers.settings import chat_options

PATH: Final = "v1/messages"


class AnthropicChat:
    """One workspace's models."""

    spec = CHAT

    def __init__(self, account: http.ProviderHttp) -> None:
        self._http = account

    def check(self, request: ChatRequest) -> None:
        """Raises `InvalidField` for a part or a setting that Claude cannot be given."""
        body_of(request)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[ChatEvent]:
        """Ask once. Closing it ends the call."""
        content = encoded({**body_of(request), "stream": True})
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        reader = MessageReader()
        async with (
            self._http.stream("POST", PATH, content=content, headers=headers) as response,
            aclosing(sse_events(response.aiter_bytes(), self.spec.title)) as events,
        ):
            async for event in events:
                # The kind stands in the data too; servers that play this API may leave the one or the other out.
                tree = json_in(event, self.spec.title)
                tree.setdefault("type", event.event)
                for piece in reader.feed(tree):
                    yield piece
                if reader.is_complete:
                    await drained(events)
                    return
        raise cut(self.spec.title)

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def build(account: Account) -> AnthropicChat:
    """The account's models. Raises `ValueError` for an account without a key."""
    return AnthropicChat(
        http.ProviderHttp(
            CHAT.title,
            root_of_account(account),
            headers_of(account),
            explain=chat_error_of,
            **chat_options(account),
        )
    )
