"""Ask for a video from a stream of form events or from typed fields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.core.errors import InvalidField
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.nesting import nested
from mediagate.core.objects import Principal, Video
from mediagate.files.get_file import GetFile
from mediagate.files.intake import IncomingFile
from mediagate.providers.base import VideoKind
from mediagate.videos.inputs import KeepInput, require_media
from mediagate.videos.start_video import StartVideo, VideoDraft


@dataclass(frozen=True, slots=True)
class ReadForm:
    """Turns a form with at most one media part into fields, the part replaced by the id of the file that holds it."""

    keep: KeepInput

    async def run(
        self, who: Principal, events: AsyncIterator[FormEvent], media_fields: tuple[str, ...]
    ) -> dict[str, Any]:
        """Returns the fields as a tree; a media part `x` becomes `x: {"file_id": ...}`. Raises `InvalidField`."""
        fields: list[tuple[str, str]] = []
        media: dict[str, Any] = {}
        incoming: IncomingFile | None = None
        name = filename = ""
        try:
            async for event in events:
                match event:
                    case FileData(data) if incoming is not None:
                        await incoming.write(data)
                    case FieldEnd(field, value):
                        fields.append((field, value))
                    case FileStart():
                        name, filename = event.name, event.filename
                        if name not in media_fields:
                            expected = " or ".join(repr(field) for field in media_fields) or "none"
                            raise InvalidField(f"Unexpected file in '{name}'. File fields: {expected}.", param=name)
                        incoming = await self.keep.begin(who, name)
                    case FileEnd():
                        pass
            if incoming is not None:
                file = await self.keep.finish(incoming, filename, name)
                media[name] = {"file_id": file.id, "kept": True}
        except BaseException:
            if incoming is not None:
                await incoming.abort()
            raise
        return {**nested(fields), **media}


@dataclass(frozen=True, slots=True)
class CreateVideo:
    """A new video from a prompt, maybe with an image."""

    start: StartVideo
    keep: KeepInput
    get_file: GetFile

    async def run(self, who: Principal, fields: Mapping[str, Any]) -> Video:
        """`fields` as in OpenAI's `POST /videos`. Raises `InvalidField` and what `StartVideo` raises."""
        image = await self._image(who, fields.get("input_reference"))
        return await self.start.run(
            who,
            VideoDraft(
                prompt=text_field(fields, "prompt", required=True) or "",
                model=text_field(fields, "model"),
                seconds=text_field(fields, "seconds"),
                size=text_field(fields, "size"),
                image_file_id=image,
                end_user=text_field(fields, "user"),
            ),
        )

    async def _image(self, who: Principal, reference: Any) -> str | None:
        """The id of the file that holds the image."""
        if reference is None:
            return None
        if not isinstance(reference, Mapping):
            raise InvalidField(
                "Invalid type for 'input_reference': expected a file or an object with 'file_id' or 'image_url', but got "
                "a string instead.",
                param="input_reference",
                code="invalid_type",
            )
        given = [key for key in ("file_id", "image_url", "image") if reference.get(key) is not None]
        if len(given) != 1:
            raise InvalidField(
                "'input_reference' must have exactly one of 'file_id' and 'image_url'.", param="input_reference"
            )
        value = reference[given[0]]
        if given[0] == "image":
            return (await self.keep.from_bytes(who, value, "input_reference")).id
        if not isinstance(value, str):
            raise InvalidField(f"'input_reference[{given[0]}]' must be text.", param=f"input_reference[{given[0]}]")
        if given[0] == "image_url":
            return (await self.keep.from_url(who, value, "input_reference[image_url]")).id
        file = await self.get_file.run(who, value)
        return require_media(file, "input_reference").id


@dataclass(frozen=True, slots=True)
class DeriveVideo:
    """A new video from an existing one: remix, edit or extend."""

    start: StartVideo
    get_file: GetFile
    kind: VideoKind

    async def run(self, who: Principal, fields: Mapping[str, Any]) -> Video:
        """`fields` as in OpenAI's paths for it, the source in `video` as `{"id"}` or `{"file_id"}`.

        Raises `InvalidField` and what `StartVideo` raises.
        """
        reference = fields.get("video")
        if not isinstance(reference, Mapping):
            raise InvalidField(
                "'video' is a required field: a file, or an object with the 'id' of a video.", param="video"
            )
        video_id, file_id = reference.get("id"), reference.get("file_id")
        if (video_id is None) == (file_id is None) or not isinstance(video_id or file_id, str):
            raise InvalidField("'video' must have exactly one 'id'.", param="video")
        if file_id is not None:
            require_media(await self.get_file.run(who, file_id), "video")
        seconds = text_field(fields, "seconds", required=self.kind is VideoKind.EXTEND)
        return await self.start.run(
            who,
            VideoDraft(
                prompt=text_field(fields, "prompt", required=True) or "",
                kind=self.kind,
                model=text_field(fields, "model"),
                seconds=seconds,
                size=text_field(fields, "size"),
                source_video_id=video_id,
                source_file_id=file_id,
                end_user=text_field(fields, "user"),
            ),
        )


def text_field(fields: Mapping[str, Any], name: str, *, required: bool = False) -> str | None:
    """A field as text; whole numbers are taken as their digits, since people send `seconds: 4`. Raises `InvalidField`."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        if required:
            raise InvalidField(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
        return None
    if not isinstance(value, str):
        raise InvalidField(f"Invalid type for '{name}': expected a string.", param=name, code="invalid_type")
    return value
