"""Put files where a caller's body mentions them, in the words of providers that speak OpenAI's dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import Body, Dialect, FileUse, MediaKind, Uses, Way

WritePart = Callable[[MediaKind, FileUse, Dialect], Mapping[str, Any] | None]
"""How a provider writes a part that it has words of its own for; None where OpenAI's words are right."""

# What parts say of files; everything else in a part is the caller's, and stays.
_OF_FILES: Final = frozenset(
    {
        *("type", "file", "image_url", "video_url", "audio_url", "document_url", "input_audio"),
        *("file_id", "file_url", "file_data", "filename", "detail", "format"),
    }
)
_OF_INNER: Final = frozenset({"url", "detail", "data", "format", "file_id", "file_data", "filename"})
_OF_SCREENSHOTS: Final = ("file_id", "image_url")
_URL_PARTS: Final = {MediaKind.IMAGE: "image_url", MediaKind.VIDEO: "video_url", MediaKind.AUDIO: "audio_url"}
_AUDIO_FORMATS: Final = {"mpeg": "mp3", "mp3": "mp3", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a"}
_TEXTS: Final = ("input_text", "output_text")

_Path = tuple[str | int, ...]


def place(body: Body, uses: Uses, dialect: Dialect, write: WritePart | None = None) -> Body:
    """The body with each of `uses` at its path. `write` is asked first for each part.

    What the caller gave inline stays untouched where the provider is told it in the same words. In Chat Completions the
    text parts of Responses become its own. Nothing of `body` is changed, and what need not be is shared with it.
    """
    changes: dict[_Path, Any] = {}
    for path, (kind, use) in uses.items():
        part = _at(body, path)
        written = _written(part, path, kind, use, dialect, write)
        if written is not part:
            changes[path] = written
    if dialect is Dialect.CHAT:
        changes.update(_texts(body))
    return _with(body, changes) if changes else body


def audio_format(media_type: str) -> str:
    """OpenAI's word for the format of a recording: `wav`, `mp3`, else what follows the slash."""
    word = media_type.partition("/")[2].partition(";")[0].strip().lower().removeprefix("x-")
    return _AUDIO_FORMATS.get(word, word)


def data_url(use: FileUse) -> str:
    """The URL of a file that is given by its bytes."""
    return f"data:{use.media_type};base64,{use.value}"


def _at(body: Any, path: _Path) -> Any:
    for step in path:
        body = body[step]
    return body


def _with(node: Any, changes: Mapping[_Path, Any]) -> Any:
    """`node` with what `changes` says of paths below it; only what leads there is copied."""
    if () in changes:
        return changes[()]
    below: dict[str | int, dict[_Path, Any]] = {}
    for path, value in changes.items():
        below.setdefault(path[0], {})[path[1:]] = value
    copy: Any = list(node) if isinstance(node, list) else dict(node)
    for step, rest in below.items():
        copy[step] = _with(copy[step], rest)
    return copy


def _texts(body: Body) -> Iterator[tuple[_Path, Any]]:
    messages = body.get("messages")
    for index, message in enumerate(messages) if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for number, part in enumerate(content) if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") in _TEXTS:
                text = {key: value for key, value in part.items() if key not in ("annotations", "logprobs")}
                yield ("messages", index, "content", number), {**text, "type": "text"}


def _written(part: Any, path: _Path, kind: MediaKind, use: FileUse, dialect: Dialect, write: WritePart | None) -> Any:
    if isinstance(part, str):
        return use.value
    if path[-1] == "input_image_mask" or part.get("type") == "computer_screenshot":
        told = {"file_id": use.value} if use.way is Way.FILE_ID else {"image_url": _url(use)}
        return {**{key: value for key, value in part.items() if key not in _OF_SCREENSHOTS}, **told}
    rest = {key: value for key, value in part.items() if key not in _OF_FILES}
    own = None if write is None else write(kind, use, dialect)
    if own is not None:
        return {**rest, **own}
    if use.file_id is None and _stays(part, kind, use, dialect):
        return part
    new = _chat_part(kind, use, part) if dialect is Dialect.CHAT else _responses_part(kind, use, part)
    return {**rest, **new}


def _stays(part: Mapping[str, Any], kind: MediaKind, use: FileUse, dialect: Dialect) -> bool:
    """Whether a part that the caller filled says what is to be said already."""
    member = part["type"]
    if dialect is Dialect.CHAT:
        inner = part.get(member)
        if not isinstance(inner, Mapping):
            return False
        if member == "input_audio":
            return use.way is Way.DATA and inner.get("data") == use.value and "format" in inner
        if member == "file":
            text = inner.get("file_data") if kind is MediaKind.DOCUMENT and "format" not in inner else None
        else:
            text = inner.get("url") if _URL_PARTS.get(kind) == member else None
            if member == "audio_url" and use.way is Way.DATA:
                return False
    else:
        named = {"input_image": ("image_url",), "input_file": ("file_url", "file_data")}.get(member, ())
        text = next((part[name] for name in named if part.get(name)), None)
        if (kind is MediaKind.IMAGE) != (member == "input_image"):
            return False
    if not isinstance(text, str):
        return False
    return text == use.value if use.way is Way.LINK else text.startswith(f"data:{use.media_type};base64,")


def _url(use: FileUse) -> str:
    return data_url(use) if use.way is Way.DATA else use.value


def _detail(part: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller said of the detail, beside the file or with it."""
    for name in ("image_url", "file"):
        inner = part.get(name)
        if isinstance(inner, Mapping) and inner.get("detail") is not None:
            return {"detail": inner["detail"]}
    return {"detail": part["detail"]} if part.get("detail") is not None else {}


def _inner(part: Mapping[str, Any], member: str) -> dict[str, Any]:
    """What else the caller wrote in the object that says where the file is."""
    inner = part.get(member) if part["type"] == member else None
    return {key: value for key, value in inner.items() if key not in _OF_INNER} if isinstance(inner, Mapping) else {}


def _chat_part(kind: MediaKind, use: FileUse, part: Mapping[str, Any]) -> dict[str, Any]:
    if kind is MediaKind.AUDIO and use.way is Way.DATA:
        audio = {**_inner(part, "input_audio"), "data": use.value, "format": audio_format(use.media_type)}
        return {"type": "input_audio", "input_audio": audio}
    member = _URL_PARTS.get(kind)
    if member is not None and use.way in (Way.LINK, Way.DATA):
        detail = _detail(part) if kind is MediaKind.IMAGE else {}
        return {"type": member, member: {**_inner(part, member), "url": _url(use), **detail}}
    told = {"file_id": use.value}
    if use.way in (Way.LINK, Way.DATA):
        told = {"filename": use.filename or "file", "file_data": _url(use)}
    return {"type": "file", "file": {**_inner(part, "file"), **told}}


def _responses_part(kind: MediaKind, use: FileUse, part: Mapping[str, Any]) -> dict[str, Any]:
    if kind is MediaKind.AUDIO and use.way is Way.DATA:
        return {"type": "input_audio", "input_audio": {"data": use.value, "format": audio_format(use.media_type)}}
    if kind is MediaKind.IMAGE:
        told = {"file_id": use.value} if use.way not in (Way.LINK, Way.DATA) else {"image_url": _url(use)}
        return {"type": "input_image", **({"detail": "auto"} | _detail(part)), **told}
    told = {"file_id": use.value}
    if use.way is Way.LINK:
        told = {"file_url": use.value}
    elif use.way is Way.DATA:
        told = {"filename": use.filename or "file", "file_data": data_url(use)}
    return {"type": "input_file", **_detail(part), **told}
