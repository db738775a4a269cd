"""Chats to be mapped, for the tests of every provider with words of its own."""

from __future__ import annotations

import base64
from typing import Any

from mediagate.core.chat import (
    ChatRequest,
    FileUse,
    Media,
    MediaKind,
    Part,
    Role,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    Way,
)


def user(*parts: Part | str) -> Turn:
    """What the user says."""
    return Turn(Role.USER, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Turn:
    """What the model said."""
    return Turn(Role.ASSISTANT, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def system(*texts: str) -> Turn:
    """What the operator says."""
    return Turn(Role.SYSTEM, tuple(map(Text, texts)))


def results(*given: ToolResult) -> Turn:
    """What tools came to."""
    return Turn(Role.TOOL, given)


def called(id_: str, name: str, arguments: str = "{}", **extra: Any) -> ToolCall:
    """A call."""
    return ToolCall(id_, name, arguments, extra)


def media(
    kind: MediaKind, way: Way, value: str, media_type: str, filename: str = "", param: str = "messages[0].content[0]"
) -> Media:
    """A file in a message."""
    return Media(kind, FileUse(way, value, media_type, filename), param)


def inline(kind: MediaKind, data: bytes, media_type: str, filename: str = "") -> Media:
    """The same with its bytes."""
    return media(kind, Way.DATA, base64.b64encode(data).decode(), media_type, filename)


def asked(*turns: Turn, model: str = "m", extra: dict[str, Any] | None = None, **settings: Any) -> ChatRequest:
    """A request."""
    return ChatRequest(model, turns, Settings(**settings), extra=extra or {})
