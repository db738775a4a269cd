"""Chats with the models of any server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, another mediagate."""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.openai.chat import OpenAIChat
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.openai_compatible.files import connect
from mediagate.providers.openai_compatible.spec import CHAT
from mediagate.providers.settings import chat_options


def build(account: Account) -> OpenAIChat:
    """The server at `api_base`, which ends where OpenAI's `/v1` does. Raises `ValueError` where there is no address."""
    return OpenAIChat(CHAT, connect(account, CHAT.title, explain_chat, **chat_options(account)))
