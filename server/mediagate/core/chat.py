"""A request to a chat model and its answer, whoever wrote the request and whoever answers.

Requests come in the words of OpenAI's Chat Completions or Responses. A provider that speaks the same words gets them as
they are; for the others a request is read into these values, and what they answer comes back as `ChatEvent`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias


class Dialect(StrEnum):
    """OpenAI's two ways to ask a model."""

    CHAT = "chat"
    """`POST /chat/completions`"""
    RESPONSES = "responses"
    """`POST /responses`"""


class MediaKind(StrEnum):
    """What a model is given beside text."""

    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


class Way(StrEnum):
    """How a provider is told where the bytes of a file are."""

    FILE_ID = "file_id"
    """The provider's own id of a copy in the account that is asked."""
    URI = "uri"
    """A store's name of a copy: `gs://`, `s3://`, or Gemini's URI of a file."""
    LINK = "link"
    """An https URL that the provider fetches."""
    DATA = "data"
    """The bytes themselves, in base64."""


@dataclass(frozen=True, slots=True)
class FileUse:
    """A file as one provider reads it. `value` is the id, the URI, the URL, or the bytes in base64 without a prefix.
    `file_id` is our id of it, None for what the caller gave in place of a stored file; then `size_bytes` and
    `filename` may not be known."""

    way: Way
    value: str
    media_type: str
    filename: str = ""
    size_bytes: int | None = None
    file_id: str | None = None


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    """The operator; OpenAI's `developer` too."""
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file among the words. `param` is where it stands in the caller's body, for what is said of it; `detail` is
    OpenAI's `low`, `high`, `auto` or `original`."""

    kind: MediaKind
    file: FileUse
    param: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the model wants to have called; `arguments` is JSON text. `extra` is what the provider needs back with it,
    such as the signature of the thoughts before it."""

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to."""

    call_id: str
    parts: tuple[Text | Media, ...]
    name: str | None = None


Part: TypeAlias = Text | Media | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says. A tool's turn has its results alone."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask to have called. `parameters` is a JSON Schema, None for no parameter."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tool the model has to use: `auto`, `none`, `required`, or `function` with its `name`."""

    mode: Literal["auto", "none", "required", "function"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """The answer has to be JSON, by a schema where there is one."""

    schema: Mapping[str, Any] | None = None
    name: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How to answer; None is the model's own habit. `reasoning_effort` is OpenAI's word."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    json_answer: JsonAnswer | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a provider's `model`. `extra` are members that no contract of OpenAI's has: they go into the
    provider's body as they are."""

    model: str
    turns: tuple[Turn, ...]
    settings: Settings = field(default_factory=Settings)
    stream: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


class Finish(StrEnum):
    """Why an answer ends, in the words of Chat Completions."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. The special ones are among `input_tokens` and `output_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next words of an answer; `choice` counts from 0 where several were asked for."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next words of what the model thinks before it answers."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """The next words of why the model does not answer."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """How likely the last tokens were, each in the form of OpenAI's `logprobs.content`."""

    tokens: tuple[Mapping[str, Any], ...]
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallBegun:
    """The model begins to ask for a call; `index` counts the calls of a choice from 0."""

    index: int
    id: str
    name: str
    choice: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next characters of the arguments of a call."""

    index: int
    arguments: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice is complete. `provider_reason` is the provider's own word."""

    reason: Finish
    choice: int = 0
    provider_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What the call used. A later one replaces an earlier one. `cost_usd` is the provider's own figure, where it says
    one."""

    usage: Usage
    cost_usd: float | None = None


ChatEvent: TypeAlias = (
    TextDelta | ReasoningDelta | RefusalDelta | TokenLogprobs | ToolCallBegun | ToolCallDelta | Finished | Used
)
"""One piece of an answer. An answer is complete when every choice is `Finished`."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place in a caller's body where a file may stand. `path` leads to the content part that holds it, `param` names
    the member for what is said of it.

    `file_id` is one of ours; `link` is a URL and `data` base64 that the caller gave instead, exactly one of the three
    is set. `media_type` and `filename` are what the caller said, empty where nothing. `kind` is None where only the
    file itself can tell. `for_tool` is a file for a tool of the provider's and not for the model to read: of any type,
    and by the provider's own id alone.
    """

    path: tuple[str | int, ...]
    param: str
    kind: MediaKind | None
    file_id: str | None = None
    link: str | None = None
    data: str | None = None
    media_type: str = ""
    filename: str = ""
    detail: str | None = None
    for_tool: bool = False


Uses: TypeAlias = Mapping[tuple[str | int, ...], tuple[MediaKind, FileUse]]
"""How each mention of a body is told to one provider, by the mention's `path`."""

Body: TypeAlias = Mapping[str, Any]
"""A caller's JSON body."""
