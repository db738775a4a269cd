"""Chats with OpenAI's models, and with those of every server that speaks the same API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import httpx

from mediagate.core.chat import Body, Dialect
from mediagate.providers.account import Account
from mediagate.providers.chat import ChatSpec, RawAnswer, RawCall
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import transport_error
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.openai.files import connect
from mediagate.providers.openai.spec import CHAT
from mediagate.providers.settings import chat_options

PATHS: Final[Mapping[Dialect, str]] = {Dialect.CHAT: "chat/completions", Dialect.RESPONSES: "responses"}


class OpenAIChat:
    """One account's models. `path` is where a call goes, for a server that has other paths than OpenAI; `query` goes
    with each."""

    def __init__(
        self,
        spec: ChatSpec,
        http: ProviderHttp,
        *,
        path: Callable[[RawCall], str] = lambda call: PATHS[call.dialect],
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = spec
        self._http = http
        self._path = path
        self._query = dict(query or {})

    def adapt(self, body: Body, dialect: Dialect) -> Body:
        """OpenAI's words are its own."""
        return body

    @asynccontextmanager
    async def ask(self, call: RawCall) -> AsyncIterator[RawAnswer]:
        """See `SpeaksOpenAI.ask`."""
        headers = {
            **call.headers,
            "content-type": "application/json",
            "accept": "text/event-stream" if call.stream else "application/json",
            # A stream that is packed comes in lumps.
            "accept-encoding": "identity",
        }
        options: dict[str, Any] = {"params": self._query} if self._query else {}
        async with self._http.stream(
            "POST", self._path(call), content=call.body, headers=headers, **options
        ) as response:
            yield RawAnswer(
                response.headers.get("content-type", "application/json"),
                self._chunks(response),
                response.headers.get("x-request-id"),
            )

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
        except (httpx.RequestError, httpx.StreamError, aiohttp.ClientError) as error:
            raise transport_error(error, self._http.title) from error

    async def kept_response(
        self, method: str, provider_id: str, below: str, query: Mapping[str, Sequence[str]]
    ) -> bytes:
        """See `KeepsResponses.kept_response`."""
        path = f"{PATHS[Dialect.RESPONSES]}/{quote(provider_id, safe='')}{below}"
        params = {**query, **self._query}
        options: dict[str, Any] = {"params": params} if params else {}
        response = await self._http.call(method, path, repeatable=method == "GET", **options)
        return response.content

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def build(account: Account) -> OpenAIChat:
    """OpenAI itself, or what `api_base` names in its place. Raises `ValueError` where there is no key."""
    return OpenAIChat(CHAT, connect(account, CHAT.title, explain_chat, **chat_options(account)))
