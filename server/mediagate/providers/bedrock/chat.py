"""Chats with Bedrock's models: Converse and ConverseStream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.providers import http
from mediagate.providers.account import Account
from mediagate.providers.bedrock.chat_answer import ConverseReader, events_of
from mediagate.providers.bedrock.chat_body import body_of
from mediagate.providers.bedrock.chat_failures import exception_of, explained
from mediagate.providers.bedrock.chat_models import model_id
from mediagate.providers.bedrock.event_stream import frames
from mediagate.providers.bedrock.runtime import SERVICE, runtime_of
from mediagate.providers.bedrock.settings import settings_of
from mediagate.providers.bedrock.signing import Signer
from mediagate.providers.bedrock.spec import CHAT
from mediagate.providers.chat_failures import cut
from mediagate.providers.encoding import encoded
from mediagate.providers.event_stream import drained
from mediagate.providers.settings import chat_options


class BedrockChat:
    """One account's models in one region."""

    spec = CHAT

    def __init__(self, account: http.ProviderHttp, signer: Signer) -> None:
        self._http = account
        self._signer = signer

    def check(self, request: ChatRequest) -> None:
        """Raises `InvalidField` for a part or a setting that the model cannot be given."""
        body_of(request)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[ChatEvent]:
        """Ask once. Closing it ends the call."""
        body = body_of(request)
        # Not every model streams, and a role may be allowed the one and not the other: what is asked for is done.
        pieces = self._streamed(request.model, body) if request.stream else self._whole(request.model, body)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _whole(self, model: str, body: Mapping[str, Any]) -> AsyncGenerator[ChatEvent]:
        url, sent = await self._signed(model, "converse", body, "application/json")
        # A lost answer may be paid already.
        for piece in events_of(await self._http.json("POST", url, repeatable=False, **sent)):
            yield piece

    async def _streamed(self, model: str, body: Mapping[str, Any]) -> AsyncGenerator[ChatEvent]:
        url, sent = await self._signed(model, "converse-stream", body, "application/vnd.amazon.eventstream")
        reader = ConverseReader()
        async with (
            self._http.stream("POST", url, **sent) as response,
            aclosing(frames(response.aiter_bytes(), self.spec.title)) as messages,
        ):
            async for message in messages:
                if message.failed:
                    raise exception_of(message.kind, str(message.tree.get("message") or ""))
                for piece in reader.feed(message.kind, message.tree):
                    yield piece
                if reader.is_told:
                    await drained(messages)
                    return
        if not reader.is_complete:
            raise cut(self.spec.title)
        for piece in reader.end():
            yield piece

    async def _signed(
        self, model: str, operation: str, body: Mapping[str, Any], accept: str
    ) -> tuple[str, dict[str, Any]]:
        content = encoded(body)
        named = quote(model_id(model), safe="-._~")
        url = await self._signer.url(f"model/{named}/{operation}")
        given = {"content-type": "application/json", "accept": accept}
        headers = await self._signer.headers("POST", url, content, given)
        return url, {"content": content, "headers": headers, "anonymous": True}

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def build(account: Account) -> BedrockChat:
    """The account's models. Raises `ValueError` with a sentence for an account that lacks what it needs."""

    async def nothing() -> Mapping[str, str]:
        return {}

    settings, place = settings_of(account, needs_bucket=False), runtime_of(account)
    made = http.ProviderHttp(
        CHAT.title,
        place.endpoint or "",
        nothing,
        explain=explained,
        **chat_options(account),
    )
    return BedrockChat(made, Signer(settings, place, SERVICE, CHAT.title))
