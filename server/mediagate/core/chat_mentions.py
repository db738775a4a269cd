"""Where in a caller's body a file may stand: in content parts of messages and items, in outputs of tools, and in tools.

Parts are known by their `type`, OpenAI's of both dialects and those that vLLM and Mistral add, wherever content may
stand. Text that names a file is an id of ours (`file-...`, `mediagate://file-...`, a finished video's `video_...`), an
`https:` URL, or the content itself in base64, with or without `data:`. What is no such part stays as it is: whoever
reads the body judges it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import Body, Dialect, MediaKind, Mention
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

MENTIONS_MAX: Final = 500
"""As many pictures as OpenAI takes in one request."""
SCHEME: Final = "mediagate://"

Path = tuple[str | int, ...]
_OURS: Final = ("file-", "video_")
_ID_CHARS_MAX: Final = 256
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_OTHER_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_DATA_URL: Final = re.compile(
    r"data:([a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+-]+)?(?:;[a-zA-Z0-9=._+\"-]+)*;base64,", re.IGNORECASE
)
_DATA_URL_CHARS_MAX: Final = 512
_AUDIO: Final = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_HOW: Final = "It must be the id of a file, an https:// URL, or a data: URL with base64 content."


def mentions(body: Body, dialect: Dialect) -> list[Mention]:
    """Every place where a file stands, in the order of the body.

    Raises `InvalidField` with the place as `param` (`messages[0].content[1].file.file_id`) for a part that names no
    file, or names it twice, or not as text; and for more than `MENTIONS_MAX`.
    """
    found: list[Mention] = []
    for mention in _of_messages(body) if dialect is Dialect.CHAT else _of_response(body):
        if len(found) == MENTIONS_MAX:
            raise InvalidField(
                f"A request may have {MENTIONS_MAX} files, pictures and recordings at the most.", param=mention.param
            )
        found.append(mention)
    return found


def _of_messages(body: Body) -> Iterator[Mention]:
    for index, message in _objects(body.get("messages")):
        yield from _parts(message.get("content"), ("messages", index, "content"))


def _of_response(body: Body) -> Iterator[Mention]:
    for index, item in _objects(body.get("input")):
        yield from _parts(item.get("content"), ("input", index, "content"))
        yield from _parts(item.get("output"), ("input", index, "output"))
        yield from _tools(item.get("tools"), ("input", index, "tools"))
    yield from _tools(body.get("tools"), ("tools",))
    prompt = body.get("prompt")
    variables = prompt.get("variables") if isinstance(prompt, Mapping) else None
    for name, value in variables.items() if isinstance(variables, Mapping) else ():
        yield from _parts(value, ("prompt", "variables", name))


def _parts(content: Any, path: Path) -> Iterator[Mention]:
    """The parts of a list, or the one part that stands in its place."""
    if isinstance(content, Mapping):
        yield from _part(content, path)
    for index, part in _objects(content):
        yield from _part(part, (*path, index))


def _part(part: Mapping[str, Any], path: Path) -> Iterator[Mention]:
    kind = part.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is not None:
        yield read(part, path)


def _tools(tools: Any, path: Path) -> Iterator[Mention]:
    for index, tool in _objects(tools):
        here = (*path, index)
        for name in ("container", "environment"):
            yield from _file_ids(tool.get(name), (*here, name))
        mask = tool.get("input_image_mask")
        if isinstance(mask, Mapping):
            yield _image(mask, (*here, "input_image_mask"))


def _file_ids(container: Any, path: Path) -> Iterator[Mention]:
    """The files that a tool finds in its container."""
    ids = container.get("file_ids") if isinstance(container, Mapping) else None
    for index, text in enumerate(ids) if isinstance(ids, list) else ():
        here = (*path, "file_ids", index)
        if not isinstance(text, str) or not text:
            raise InvalidField("It must be the id of a file, as text.", param=shown(here))
        yield Mention(here, shown(here), None, file_id=_id(text, shown(here)), for_tool=True)


def _objects(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, item in enumerate(value) if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield index, item


def shown(path: Path) -> str:
    """A path as messages write it: `messages[0].content[1].file`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{echo(step)}" if text else echo(step)
    return text


# One reader for each type of part.


def _file(part: Mapping[str, Any], path: Path) -> Mention:
    """Chat's `{"type": "file", "file": {...}}`; Mistral has the id beside the type."""
    if part.get("file") is None and isinstance(part.get("file_id"), str):
        return _one_of(part, path, path, {"file_id": _by_id})
    inner = _inner(part, path, "file")
    return _one_of(inner, path, (*path, "file"), {"file_id": _by_id, "file_data": _by_data})


def _input_file(part: Mapping[str, Any], path: Path) -> Mention:
    return _one_of(part, path, path, {"file_id": _by_id, "file_url": _by_url, "file_data": _by_data})


def _image(part: Mapping[str, Any], path: Path) -> Mention:
    """What has `file_id` or `image_url`: `input_image`, a screenshot, a mask."""
    url = part.get("image_url")
    if isinstance(url, Mapping) and part.get("file_id") in (None, ""):
        return _of_url(part, path, "image_url", MediaKind.IMAGE)
    return _one_of(part, path, path, {"file_id": _by_id, "image_url": _by_url}, MediaKind.IMAGE)


def _url_reader(member: str, kind: MediaKind) -> Callable[[Mapping[str, Any], Path], Mention]:
    return lambda part, path: _of_url(part, path, member, kind)


def _of_url(part: Mapping[str, Any], path: Path, member: str, kind: MediaKind) -> Mention:
    """A part whose `member` is a URL, or an object with one."""
    inner = part.get(member)
    here = (*path, member)
    if isinstance(inner, str):
        return _one_of(part, path, path, {member: _by_url}, kind)
    return _one_of(_inner(part, path, member), path, here, {"url": _by_url}, kind)


def _input_audio(part: Mapping[str, Any], path: Path) -> Mention:
    if isinstance(part.get("input_audio"), str):
        return _one_of(part, path, path, {"input_audio": _by_data}, MediaKind.AUDIO)
    inner = _inner(part, path, "input_audio")
    return _one_of(inner, path, (*path, "input_audio"), {"data": _by_data}, MediaKind.AUDIO)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], Path], Mention]]] = {
    "file": _file,
    "input_file": _input_file,
    "input_image": _image,
    "computer_screenshot": _image,
    "image_url": _url_reader("image_url", MediaKind.IMAGE),
    "video_url": _url_reader("video_url", MediaKind.VIDEO),
    "audio_url": _url_reader("audio_url", MediaKind.AUDIO),
    "document_url": _url_reader("document_url", MediaKind.DOCUMENT),
    "input_audio": _input_audio,
}

Told = dict[str, str]
"""`file_id`, `link`, or `data` with its `media_type`."""


def _one_of(
    holder: Mapping[str, Any],
    path: Path,
    at: Path,
    readers: Mapping[str, Callable[[str, str], Told]],
    kind: MediaKind | None = None,
) -> Mention:
    """What the one of these members says that `holder`, which stands `at`, has."""
    given = [name for name in readers if holder.get(name) not in (None, "")]
    if len(given) != 1:
        names = " or ".join(f"'{name}'" for name in readers)
        wrong = (*at, given[1] if given else next(iter(readers)))
        raise InvalidField(f"The part needs exactly one of: {names}.", param=shown(wrong))
    param = shown((*at, given[0]))
    text = holder[given[0]]
    if not isinstance(text, str):
        raise InvalidField(f"It must be a text. {_HOW}", param=param)
    told: dict[str, str] = readers[given[0]](text, param)
    name = holder.get("filename", "")
    if name is not None and not isinstance(name, str):
        raise InvalidField("'filename' must be a text.", param=shown((*at, "filename")))
    detail = holder.get("detail")
    return Mention(
        path,
        param,
        kind,
        file_id=told.get("file_id"),
        link=told.get("link"),
        data=told.get("data"),
        media_type=told.get("media_type") or _format(holder.get("format"), kind),
        filename=name or "",
        detail=detail if isinstance(detail, str) else None,
    )


def _inner(part: Mapping[str, Any], path: Path, member: str) -> Mapping[str, Any]:
    inner = part.get(member)
    if not isinstance(inner, Mapping):
        raise InvalidField(f"The part needs '{member}', an object.", param=shown((*path, member)))
    return inner


def _format(value: Any, kind: MediaKind | None) -> str:
    """The media type of a `format`: the peer writes one, OpenAI the end of a file's name."""
    if not isinstance(value, str) or not value:
        return ""
    text = echo(value).lower()
    if "/" in text:
        return text
    return _AUDIO.get(text, f"audio/{text}") if kind is MediaKind.AUDIO else ""


def _by_id(text: str, param: str) -> Told:
    # The peer writes URLs here as well.
    if _WEB.match(text) or text[:5].lower() == "data:":
        return _by_url(text, param)
    return {"file_id": _id(text, param)}


def _id(text: str, param: str) -> str:
    id_ = text.removeprefix(SCHEME)
    if _OTHER_SCHEME.match(id_):
        raise InvalidField(
            f"{echo(id_)} cannot be read from where it lies. Make a file of it with POST /v1/files and its 'source', "
            "and name the file's id here.",
            param=param,
        )
    if not id_ or len(id_) > _ID_CHARS_MAX:
        raise InvalidField(f"{echo(id_) or 'An empty text'} is no id of a file.", param=param)
    return id_


def _by_url(text: str, param: str) -> Told:
    if text.startswith(SCHEME) or (text.startswith(_OURS) and len(text) <= _ID_CHARS_MAX):
        return {"file_id": _id(text, param)}
    if _WEB.match(text):
        return {"link": text}
    if text[:5].lower() == "data:":
        match = _DATA_URL.match(text[:_DATA_URL_CHARS_MAX])
        if match is None or match.end() == len(text):
            raise InvalidField("The data: URL must have base64 content, as in data:image/png;base64,...", param=param)
        return {"data": text[match.end() :], "media_type": (match[1] or "").lower()}
    raise InvalidField(f"{echo(text)} is none of what can be read here. {_HOW}", param=param)


def _by_data(text: str, param: str) -> Told:
    """Base64, with `data:` before it or not. No id and no URL can be mistaken for it: they hold what base64 does
    not."""
    if text.startswith((SCHEME, *_OURS)) or _WEB.match(text) or text[:5].lower() == "data:":
        return _by_url(text, param)
    return {"data": text}
