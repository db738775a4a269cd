"""Ask for a video from a stream of form events or from typed fields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mediagate.core.errors import InvalidField, NotFound
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.nesting import nested
from mediagate.core.objects import File, Principal, Video
from mediagate.core.placement import PLACEMENT, requiring
from mediagate.files.get_file import GetFile
from mediagate.files.intake import IncomingFile
from mediagate.providers.base import VideoKind
from mediagate.videos.inputs import KeepInput, require_media
from mediagate.videos.plan_video import VideoDraft
from mediagate.videos.read_fields import from_form, text_field, wishes
from mediagate.videos.start_video import StartVideo


@dataclass(frozen=True, slots=True)
class ReadForm:
    """Turns a form with at most one media part into fields, the part replaced by the id of the file that holds it."""

    keep: KeepInput

    @asynccontextmanager
    async def reading(
        self, who: Principal, events: AsyncIterator[FormEvent], media_fields: Sequence[str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Yields the fields as a tree; a media part `x` becomes `x: {"file_id": ...}`.

        Where the block fails, what was kept is dropped. Raises `InvalidField`, also for a field that comes both as a
        part and as text, and `PayloadTooLarge`.
        """
        fields: list[tuple[str, str]] = []
        part = _MediaPart(self.keep, who, media_fields)
        try:
            async for event in events:
                match event:
                    case FileData(data):
                        await part.write(data)
                    case FieldEnd(field, value):
                        fields.append((field, value))
                    case FileStart():
                        await part.begin(event, nested(fields).get(PLACEMENT))
            tree = from_form(nested(fields))
            if part.name in tree:
                raise InvalidField(
                    f"'{part.name}' is given twice: as a file and as a field. Send one of them.", param=part.name
                )
            yield {**tree, **await part.finish()}
        except BaseException:
            await part.drop()
            raise


class _MediaPart:
    """The media part of one form, from its first bytes to the file that holds it."""

    def __init__(self, keep: KeepInput, who: Principal, allowed: Sequence[str]) -> None:
        self.name = ""
        self._keep = keep
        self._who = who
        self._allowed = allowed
        self._filename = ""
        self._incoming: IncomingFile | None = None
        self._file: File | None = None

    async def begin(self, start: FileStart, placement: Any) -> None:
        """Open a file for it, in a place as `placement` and the policies want it. Raises `InvalidField` where the form
        has no such part."""
        if start.name not in self._allowed:
            expected = " or ".join(repr(field) for field in self._allowed) or "none"
            raise InvalidField(f"Unexpected file in '{start.name}'. File fields: {expected}.", param=start.name)
        self.name, self._filename = start.name, start.filename
        self._incoming = await self._keep.begin(requiring(self._who, placement), start.name)

    async def write(self, data: bytes) -> None:
        """Take its next bytes."""
        assert self._incoming is not None
        await self._keep.write(self._incoming, data, self.name)

    async def finish(self) -> dict[str, Any]:
        """Keep it; what stands for it among the fields, nothing where there was none."""
        if self._incoming is None:
            return {}
        self._file = await self._keep.finish(self._incoming, self._filename, self.name)
        return {self.name: {"file_id": self._file.id}}

    async def drop(self) -> None:
        """Leave nothing of it."""
        if self._file is not None:
            await self._keep.drop(self._file.id)
        elif self._incoming is not None:
            await self._incoming.abort()


@dataclass(frozen=True, slots=True)
class CreateVideo:
    """A new video from a prompt, maybe with an image."""

    start: StartVideo
    keep: KeepInput
    get_file: GetFile

    async def run(self, who: Principal, fields: Mapping[str, Any], *, video_id: str | None = None) -> Video:
        """`fields` as in OpenAI's `POST /videos`; `input_reference` may also be `{"image": bytes}`. `video_id` is for a
        video whose id was reserved.

        Raises `InvalidField` and what `StartVideo` raises; then nothing that came with the fields is left.
        """
        who = _requiring(who, fields)
        draft = await self.draft(who, fields)
        try:
            return await self.start.run(who, draft, video_id=video_id)
        except BaseException:
            await self.drop(draft)
            raise

    async def draft(self, who: Principal, fields: Mapping[str, Any]) -> VideoDraft:
        """What `fields` ask for, its image kept as a file. Raises `InvalidField`; then nothing is left of it."""
        image = await self._image(who, fields.get("input_reference"))
        try:
            return VideoDraft(
                prompt=text_field(fields, "prompt", required=True) or "",
                seconds=text_field(fields, "seconds"),
                image_file_id=image,
                **wishes(fields),
            )
        except BaseException:
            if image is not None:
                await self.keep.drop(image)
            raise

    async def drop(self, draft: VideoDraft) -> None:
        """Leave nothing of a draft of which no video comes; a file that is the caller's own stays."""
        if draft.image_file_id is not None:
            await self.keep.drop(draft.image_file_id)

    async def _image(self, who: Principal, reference: Any) -> str | None:
        """The id of the file that holds the image."""
        if reference is None:
            return None
        if not isinstance(reference, Mapping):
            raise _not_an_object("input_reference", reference, "a file part, 'file_id' or 'image_url'")
        data = reference.get("image")
        if isinstance(data, bytes):
            return (await self.keep.from_bytes(who, data, "input_reference")).id
        given = [key for key in ("file_id", "image_url") if reference.get(key) is not None]
        if len(given) != 1:
            raise InvalidField(
                "'input_reference' must have exactly one of 'file_id' and 'image_url'.", param="input_reference"
            )
        value, param = reference[given[0]], f"input_reference[{given[0]}]"
        if not isinstance(value, str):
            raise InvalidField(f"Invalid type for '{param}': expected a string.", param=param, code="invalid_type")
        if given[0] == "image_url":
            return (await self.keep.from_url(who, value, param)).id
        return self.keep.stored(await _file(self.get_file, who, value, param), "input_reference").id


@dataclass(frozen=True, slots=True)
class DeriveVideo:
    """A new video from an existing one: remix, edit or extend."""

    start: StartVideo
    get_file: GetFile
    kind: VideoKind

    async def run(self, who: Principal, fields: Mapping[str, Any], *, video_id: str | None = None) -> Video:
        """`fields` as in OpenAI's paths for it, the source in `video` as `{"id"}` or `{"file_id"}`. `video_id` is for a
        video whose id was reserved.

        Raises `InvalidField` and what `StartVideo` raises.
        """
        who = _requiring(who, fields)
        reference = fields.get("video")
        if reference is None:
            raise InvalidField("Missing required parameter: 'video'.", param="video", code="missing_required_parameter")
        if not isinstance(reference, Mapping):
            raise _not_an_object("video", reference, "a file part, or the 'id' of a video")
        source_id, file_id = reference.get("id"), reference.get("file_id")
        if (source_id is None) == (file_id is None):
            raise InvalidField("'video' must have exactly one of 'id' and 'file_id'.", param="video")
        if not isinstance(source_id if file_id is None else file_id, str):
            raise InvalidField("Invalid type for 'video[id]': expected a string.", param="video", code="invalid_type")
        if file_id is not None:
            require_media(await _file(self.get_file, who, file_id, "video[file_id]"), "video")
        if fields.get("input_reference") is not None:
            raise InvalidField(
                f"'input_reference' has no place here: {self.kind.value} starts from a video.", param="input_reference"
            )
        seconds = text_field(fields, "seconds", required=self.kind is VideoKind.EXTEND)
        return await self.start.run(
            who,
            VideoDraft(
                prompt=text_field(fields, "prompt", required=True) or "",
                kind=self.kind,
                seconds=seconds,
                source_video_id=source_id,
                source_file_id=file_id,
                **wishes(fields),
            ),
            video_id=video_id,
        )


def _requiring(who: Principal, fields: Mapping[str, Any]) -> Principal:
    """The caller, with what the request says of places; some clients send it as a member of `extra_body`."""
    extra = fields.get("extra_body")
    who = requiring(who, fields.get(PLACEMENT))
    return requiring(who, extra.get(PLACEMENT)) if isinstance(extra, Mapping) else who


async def _file(get_file: GetFile, who: Principal, file_id: str, param: str) -> File:
    """A file of the caller. Raises `NotFound(param)`."""
    try:
        return await get_file.run(who, file_id)
    except NotFound as error:
        raise NotFound(error.message, param=param, id=error.metadata["id"]) from None


def _not_an_object(name: str, value: Any, choices: str) -> InvalidField:
    """OpenAI's sentence for a member of the wrong type, and what would be right."""
    kinds = {str: "a string", list: "an array", bool: "a boolean", int: "an integer", float: "a decimal"}
    found = kinds.get(type(value), "something else")
    return InvalidField(
        f"Invalid type for '{name}': expected an object, but got {found} instead. Give {choices}.",
        param=name,
        code="invalid_type",
    )
