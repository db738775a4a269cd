"""Videos of Vertex AI: by Veo's predictions or by the Omni models' interactions, all written into the account's bucket.

A ref is the name of the operation or of the interaction, which tells the one from the other, and behind a `#` the token
below which the outputs lie: they outlive what the API knows of the job.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from mediagate.core.errors import InvalidRequest, MediagateError, ProviderFailed, Unsupported
from mediagate.providers import google_errors
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoKind,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.files import Origin
from mediagate.providers.http import ProviderHttp
from mediagate.providers.interactions import SOURCE_GONE, Interactions, body_of, video_of
from mediagate.providers.long_texts import LongTexts
from mediagate.providers.media_body import JsonBody
from mediagate.providers.settings import silence_of
from mediagate.providers.vertex_ai import files as storage
from mediagate.providers.vertex_ai import veo
from mediagate.providers.vertex_ai.credentials import GoogleToken, NoToken
from mediagate.providers.vertex_ai.endpoint import GLOBAL, endpoint_of, place_of, token_of_account
from mediagate.providers.vertex_ai.files import VertexFiles
from mediagate.providers.vertex_ai.spec import VIDEOS
from mediagate.providers.vertex_ai.veo import Veo
from mediagate.providers.vertex_ai.video_bucket import TOKEN, VideoBucket, token_of
from mediagate.providers.video_calls import VIDEO_TYPE, asking
from mediagate.providers.video_spool import VideoSpool

VEO_FAMILY: Final = "veo-"
OMNI_FAMILY: Final = "gemini-omni-"
# The Omni models are served there alone.
OMNI_LOCATION: Final = GLOBAL
DEFAULT_LOCATION: Final = "us-central1"
# What a request may hold of an image; a larger one goes by way of the bucket.
IMAGE_BYTES_MAX: Final = 7 << 20
KNOWN_MAX: Final = 1024
# A part of a path.
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@_-]*")
_INTERACTION: Final = re.compile(r"(?P<parent>projects/[^/#]+/locations/[^/#]+/interactions)/(?P<id>[^/#]+)")


@dataclass(frozen=True, slots=True)
class _Job:
    """A ref in its parts. `operation` is set for Veo, `interaction` for Omni: its collection and its id."""

    token: str
    operation: str = ""
    interaction: tuple[str, str] = ("", "")


class VertexVideos:
    """One project's videos."""

    spec = VIDEOS

    def __init__(
        self,
        calls: ProviderHttp,
        token: GoogleToken | NoToken,
        files: VertexFiles,
        *,
        project: str,
        location: str,
        base_url: str | None = None,
        spool: VideoSpool | None = None,
    ) -> None:
        self._http = calls
        self._token = token
        self._files = files
        self._bucket = VideoBucket(files)
        self._project = project
        self._location = location
        self._base_url = base_url
        self._spool = spool or VideoSpool()
        self._veo = Veo(calls, self._endpoint)
        # A video that was made stays where it is.
        self._made: dict[str, str] = {}

    def _endpoint(self, location: str) -> str:
        return self._base_url or endpoint_of(location)

    def _interactions(self, parent: str) -> Interactions:
        return Interactions(self._http, f"{self._endpoint(OMNI_LOCATION)}/v1beta1/{parent}")

    async def submit(self, request: VideoRequest) -> str:
        """Start a prediction or an interaction, as the model wants it."""
        token = token_of(request.token)
        known = _MODEL.fullmatch(request.model) is not None
        if known and request.model.startswith(VEO_FAMILY):
            return f"{await self._submit_veo(request, token)}#{token}"
        if known and request.model.startswith(OMNI_FAMILY):
            return f"{await self._submit_omni(request, token)}#{token}"
        raise _refused(
            "model_not_found",
            f"{VIDEOS.title} makes videos with Veo and Omni models ({', '.join(VIDEOS.models)}).",
            "model",
        )

    async def _submit_veo(self, request: VideoRequest, token: str) -> str:
        if request.kind not in veo.KINDS:
            raise _refused(
                "unsupported_by_provider",
                f"Veo cannot do '{request.kind}'. Models that can: "
                f"{', '.join(name for name, model in VIDEOS.models.items() if request.kind in model.kinds)}.",
                "model",
            )
        body, video = JsonBody(), None
        image = await self._image(request.image, token, body)
        if request.kind is VideoKind.EXTEND:
            video = {"uri": await self._source_uri(request, token)}
        body.tree = veo.body_of(request, storage_uri=self._bucket.uri(token), image=image, video=video)
        parent = f"projects/{self._project}/locations/{self._location}"
        return await self._veo.start(parent, self._location, body, model=request.model)

    async def _submit_omni(self, request: VideoRequest, token: str) -> str:
        async def body(previous: str | None) -> JsonBody:
            made = JsonBody()
            is_derived = request.kind is not VideoKind.CREATE and previous is None
            made.tree = body_of(
                request,
                delivery={"delivery": "uri", "gcs_uri": self._bucket.uri(token)},
                previous=previous,
                image=await self._image(request.image, token, made),
                video={"uri": await self._source_uri(request, token)} if is_derived else None,
            )
            return made

        parent = f"projects/{self._project}/locations/{OMNI_LOCATION}/interactions"
        return f"{parent}/{await self._interactions(parent).create_from(self._previous(request), body)}"

    def _previous(self, request: VideoRequest) -> str | None:
        """The interaction to go on from. An extension goes on from the video, which the bucket keeps for longer."""
        if request.source_ref is None or request.kind is VideoKind.EXTEND:
            return None
        with suppress(FileNotFoundError):
            return _parsed(request.source_ref).interaction[1] or None
        return None

    async def _image(self, image: MediaInput | None, token: str, body: JsonBody) -> Mapping[str, str] | None:
        if image is None:
            return None
        if uri := self._bucket.named(image):
            return {"uri": uri}
        if image.size_bytes <= IMAGE_BYTES_MAX:
            return {"data": body.base64(image)}
        return {"uri": await self._bucket.keep(token, "image", image)}

    async def _source_uri(self, request: VideoRequest, token: str) -> str:
        """Where Vertex AI can read the source video."""
        if request.source_ref is not None:
            # Where it cannot be had from there, the bytes are at hand.
            with suppress(MediagateError, FileNotFoundError):
                return await self._uri(request.source_ref)
        source = request.source_video
        if source is None:
            raise _refused(SOURCE_GONE, "The source video is gone.", "video")
        return self._bucket.named(source) or await self._bucket.keep(token, "source", source)

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> JobStatus:
        job = _parsed(ref)
        if job.operation:
            return await self._veo.poll(job.operation)
        parent, interaction_id = job.interaction
        return await self._interactions(parent).poll(interaction_id)

    async def cancel(self, ref: str) -> bool:
        """Whether the job has stopped; a prediction of Veo's cannot be stopped."""
        return await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> bool:
        parent, interaction_id = _parsed(ref).interaction
        return bool(parent) and await self._interactions(parent).cancel(interaction_id)

    async def delete(self, ref: str) -> None:
        """Remove the interaction, and all that lies in the bucket for this video."""
        try:
            job = _parsed(ref)
        except FileNotFoundError:
            return
        parent, interaction_id = job.interaction
        if parent:
            await self._interactions(parent).delete(interaction_id)
        await self._bucket.discard(job.token)
        self._made.pop(ref, None)
        self._spool.forget(ref)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The video in the bucket."""
        if variant is not VideoVariant.VIDEO:
            raise FileNotFoundError(f"{VIDEOS.title} makes no pictures of videos")
        if (kept := self._spool.kept(ref)) is not None:
            return kept
        made = await self._output(ref)
        if not made.get("uri"):
            return await self._inline(ref, made)
        try:
            content = await self._files.open(str(made["uri"]))
        except InvalidRequest as error:
            # Nobody here has said what to read, so nobody is to be told what was wrong with it.
            raise ProviderFailed(f"{self._files.spec.title} does not give the video.") from error
        if not content.content_type.startswith("video/"):
            content.content_type = VIDEO_TYPE
        return content

    async def _inline(self, ref: str, made: Tree) -> Content:
        parent, interaction_id = _parsed(ref).interaction
        if parent:
            return await self._interactions(parent).spooled(interaction_id, self._spool, ref)

        async def fill(file: IO[bytes]) -> str:
            await asyncio.to_thread(LongTexts().decode, str(made["data"]), file)
            return str(made.get("mime_type") or "")

        return await self._spool.copy(ref, fill)

    async def origin(self, ref: str, *, method: str) -> Origin:
        """The object in the bucket. Raises as `open` does."""
        return await self._files.origin(await self._uri(ref), method=method)

    async def _uri(self, ref: str) -> str:
        made = await self._output(ref)
        if not made.get("uri"):
            raise Unsupported(f"{VIDEOS.title} has no link to this video.", provider=VIDEOS.name)
        return str(made["uri"])

    async def _output(self, ref: str) -> Tree:
        """The video by its `uri` or as `data`. Raises `FileNotFoundError` where there is none yet, or any more."""
        if ref in self._made:
            return {"uri": self._made[ref]}
        job = _parsed(ref)
        try:
            found = await self._told(job)
        except FileNotFoundError:
            # The API forgets its jobs after some days; what they made stays.
            outputs = await self._bucket.outputs(job.token)
            if not outputs:
                raise
            found = {"uri": outputs[0]}
        if found.get("uri"):
            self._remember(ref, str(found["uri"]))
        return found

    async def _told(self, job: _Job) -> Tree:
        if job.operation:
            return await self._veo.made(job.operation)
        parent, interaction_id = job.interaction
        return video_of(await self._interactions(parent).get(interaction_id), VIDEOS.title)

    def _remember(self, ref: str, uri: str) -> None:
        while len(self._made) >= KNOWN_MAX:
            self._made.pop(next(iter(self._made)))
        self._made[ref] = uri

    async def close(self) -> None:
        """Close connections, and end the threads that get tokens."""
        self._spool.close()
        await self._http.close()
        self._token.close()
        await self._files.close()


def _parsed(ref: str) -> _Job:
    """Raises `FileNotFoundError` for what can be no ref: nothing is there."""
    name, _, token = ref.partition("#")
    if TOKEN.fullmatch(token):
        if veo.OPERATION.fullmatch(name):
            return _Job(token, operation=name)
        if (match := _INTERACTION.fullmatch(name)) is not None:
            return _Job(token, interaction=(match["parent"], match["id"]))
    raise FileNotFoundError(f"{VIDEOS.title} does not have it")


def _refused(code: str, message: str, field: str) -> SubmitRefused:
    return SubmitRefused(Failure(FailureStage.INPUT, code, message, retryable=False, field=field))


def build(account: Account) -> VertexVideos:
    """Raises `ValueError` for an account without a bucket or a project. Credentials are looked for at the first use."""
    files = storage.build(account)
    place = place_of(account, DEFAULT_LOCATION)
    token = token_of_account(account, VIDEOS.title)
    calls = ProviderHttp(
        VIDEOS.title, place.url, token.headers, silence_s=silence_of(account), explain=google_errors.explain
    )
    return VertexVideos(
        calls,
        token,
        files,
        project=place.project,
        location=place.location,
        base_url=place.base_url,
        spool=VideoSpool.of(account),
    )
