"""Chats with xAI's models.

https://docs.x.ai/developers/rest-api-reference/inference/chat
"""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.providers.account import Account
from mediagate.providers.http import ProviderHttp
from mediagate.providers.openai.chat import OpenAIChat
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.settings import chat_options, key_of, root_of
from mediagate.providers.xai.spec import CHAT


def build(account: Account) -> OpenAIChat:
    """The account's models. Raises `ValueError` for an account without a key."""
    key = key_of(account, "XAI_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "XAI_BASE_URL", "https://api.x.ai")
    http = ProviderHttp(CHAT.title, f"{root}/v1", headers, explain=explain_chat, **chat_options(account))
    return OpenAIChat(CHAT, http)
