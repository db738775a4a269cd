"""Chats with the models that OpenRouter routes to.

https://openrouter.ai/docs/api_reference/chat
"""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.openai.chat import OpenAIChat
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.openrouter.account import connect
from mediagate.providers.openrouter.spec import CHAT
from mediagate.providers.settings import chat_options


def build(account: Account) -> OpenAIChat:
    """The account's models. Raises `ValueError` for an account without a key."""
    return OpenAIChat(CHAT, connect(account, CHAT.title, explain_chat, **chat_options(account)))
