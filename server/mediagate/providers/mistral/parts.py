"""Files in chats with Mistral's models: ids stand beside the type, audio is a text, documents have URLs.

https://docs.mistral.ai/capabilities/document_ai, https://docs.mistral.ai/studio/audio
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mediagate.core.chat import Dialect, FileUse, MediaKind, Way
from mediagate.core.chat_place import data_url


def write_part(kind: MediaKind, use: FileUse, dialect: Dialect) -> Mapping[str, Any] | None:
    """A part in Mistral's words; None where they are OpenAI's."""
    if dialect is not Dialect.CHAT:
        return None
    if use.way is Way.FILE_ID:
        return {"type": "file", "file_id": use.value}
    if kind is MediaKind.AUDIO and use.way in (Way.LINK, Way.DATA):
        return {"type": "input_audio", "input_audio": use.value}
    if kind is MediaKind.DOCUMENT and use.way in (Way.LINK, Way.DATA):
        url = data_url(use) if use.way is Way.DATA else use.value
        named = {"document_name": use.filename} if use.filename else {}
        return {"type": "document_url", "document_url": url, **named}
    return None
