"""Chats with Mistral's models: OpenAI's shape, with words of its own for some settings.

https://docs.mistral.ai/api/endpoint/chat; a member that the API does not know is a refusal there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mediagate.core.chat import Body, Dialect
from mediagate.providers.account import Account
from mediagate.providers.http import ProviderHttp
from mediagate.providers.mistral.spec import CHAT
from mediagate.providers.openai.chat import OpenAIChat
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.settings import chat_options, key_of, root_of

_RENAMED: Final = {"max_completion_tokens": "max_tokens", "seed": "random_seed"}
# What concerns OpenAI alone, and changes no answer.
_LEFT_OUT: Final = frozenset(
    {
        "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store",
        "stream_options", "user",
    }
)  # fmt: skip


class MistralChat(OpenAIChat):
    """One workspace's models. Usage comes with the last chunk of every stream."""

    def adapt(self, body: Body, dialect: Dialect) -> Body:
        """The body in Mistral's words."""
        return in_own_words(body)


def in_own_words(body: Body) -> dict[str, Any]:
    """A Chat Completions body as Mistral takes it."""
    found = {_RENAMED.get(name, name): value for name, value in body.items() if name not in _LEFT_OUT}
    if found.get("tool_choice") == "required":
        found["tool_choice"] = "any"
    if isinstance(found.get("messages"), list):
        found["messages"] = [_message(message) for message in found["messages"]]
    return found


def _message(message: Any) -> Any:
    if not isinstance(message, Mapping):
        return message
    told = {name: value for name, value in message.items() if name not in ("refusal", "annotations")}
    if told.get("audio") is None:
        told.pop("audio", None)
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        told["content"] = [*_parts(told.get("content")), {"type": "text", "text": refusal}]
    return {**told, "role": "system"} if told.get("role") == "developer" else told


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def build(account: Account) -> MistralChat:
    """The account's models. Raises `ValueError` for an account without a key."""
    key = key_of(account, "MISTRAL_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "MISTRAL_BASE_URL", "https://api.mistral.ai")
    http = ProviderHttp(CHAT.title, f"{root}/v1", headers, explain=explain_chat, **chat_options(account))
    return MistralChat(CHAT, http)
