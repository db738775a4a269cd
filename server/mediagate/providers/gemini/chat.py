"""Chats with models of the Gemini API (AI Studio)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Final

from mediagate.core.chat import ChatEvent, ChatRequest
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.providers.account import Account
from mediagate.providers.gemini.files import server_of
from mediagate.providers.gemini.spec import CHAT, WORDS
from mediagate.providers.google_chat import calls, failures
from mediagate.providers.google_chat.body import body_of
from mediagate.providers.http import ProviderHttp
from mediagate.providers.settings import chat_options

_MODEL: Final = re.compile(r"(?:(?:models|tunedModels)/)?[A-Za-z0-9][A-Za-z0-9._-]*")


class GeminiChat:
    """One project's models."""

    spec = CHAT

    def __init__(self, http: ProviderHttp, version: str) -> None:
        self._http = http
        self._version = version

    def check(self, request: ChatRequest) -> None:
        """Raises `InvalidField` for what cannot be asked."""
        model_path(request.model)
        body_of(request, WORDS)

    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatEvent]:
        """Ask once."""
        return calls.answer(self._http, f"/{self._version}/{model_path(request.model)}", request, WORDS)

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def model_path(model: str) -> str:
    """The name of a model's resource. Raises `InvalidField` for what can be none."""
    if not _MODEL.fullmatch(model):
        raise InvalidField(
            f"'{echo(model)}' is no model of {CHAT.title}'s. A name looks like gemini-3-flash.",
            param="model",
            code="model_not_found",
        )
    return model if "/" in model else f"models/{model}"


def build(account: Account) -> GeminiChat:
    """Raises `ValueError` for an account without a key."""
    http, version = server_of(account, explain=failures.explain, **chat_options(account))
    return GeminiChat(http, version)
