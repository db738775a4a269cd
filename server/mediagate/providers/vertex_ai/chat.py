"""Chats with Google's models on Vertex AI."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Final

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.providers.account import Account
from mediagate.providers.google_chat import calls, failures
from mediagate.providers.google_chat.body import body_of
from mediagate.providers.http import ProviderHttp
from mediagate.providers.settings import chat_options
from mediagate.providers.vertex_ai.credentials import GoogleToken, NoToken
from mediagate.providers.vertex_ai.endpoint import GLOBAL, Place, place_of, token_of_account
from mediagate.providers.vertex_ai.spec import CHAT, WORDS

VERSION: Final = "v1"
_MODEL: Final = re.compile(r"(?:publishers/google/models/|google/)?(?P<model>gemini-[A-Za-z0-9.@_-]+)")
# A tuned model is asked at its endpoint.
_ENDPOINT: Final = re.compile(r"(?:gemini/|endpoints/)?(?P<id>\d+)")


class VertexChat:
    """One project's models in one location."""

    spec = CHAT

    def __init__(self, http: ProviderHttp, token: GoogleToken | NoToken, place: Place) -> None:
        self._http = http
        self._token = token
        self._parent = place.parent

    def check(self, request: ChatRequest) -> None:
        """Raises `InvalidField` for what cannot be asked."""
        model_path(request.model)
        body_of(request, WORDS)

    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatEvent]:
        """Ask once."""
        path = f"/{VERSION}/{self._parent}/{model_path(request.model)}"
        return calls.answer(self._http, path, request, WORDS)

    async def close(self) -> None:
        """Close connections, and end the thread that gets tokens."""
        await self._http.close()
        self._token.close()


def model_path(model: str) -> str:
    """Where in its project a model is asked. Raises `InvalidField` for a model of another publisher's."""
    if match := _MODEL.fullmatch(model):
        return f"publishers/google/models/{match['model']}"
    if match := _ENDPOINT.fullmatch(model):
        return f"endpoints/{match['id']}"
    raise InvalidField(
        f"'{echo(model)}' is no Gemini model, and others on {CHAT.title} are asked in other words. The gateway's "
        "operator can serve it as 'openai_compatible' where it has such an endpoint.",
        param="model",
        code="model_not_found",
    )


def build(account: Account) -> VertexChat:
    """Raises `ValueError` for an account without a project. Credentials are looked for at the first use."""
    place = place_of(account, GLOBAL)
    token = token_of_account(account, CHAT.title)
    http = ProviderHttp(
        CHAT.title,
        place.url,
        token.headers,
        explain=failures.explain,
        **chat_options(account),
    )
    return VertexChat(http, token, place)
