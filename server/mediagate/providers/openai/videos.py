"""Videos at OpenAI, and at every server that speaks the same API.

https://platform.openai.com/docs/api-reference/videos
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from mediagate.core.errors import ContentPolicyViolation, InvalidRequest, Unsupported
from mediagate.providers.account import Account
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    JobState,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoKind,
    VideoRequest,
    VideoSpec,
    VideoVariant,
)
from mediagate.providers.files import Origin
from mediagate.providers.http import ProviderHttp, json_of
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import FormBody, JsonBody, MediaBody, merged
from mediagate.providers.media_hosts import PublicHosts
from mediagate.providers.openai.files import connect
from mediagate.providers.openai.spec import VIDEOS
from mediagate.providers.openai.video_wire import explain_videos, has_ended, status_of
from mediagate.providers.openai.wire import checked_ref, id_of
from mediagate.providers.unmeasured_video import video_at
from mediagate.providers.video_calls import asking, remote_picture, submitting
from mediagate.providers.video_refusals import blocked
from mediagate.providers.video_spool import VideoSpool

REMOVED_MAX: Final = 1024
_PATHS: Final = {VideoKind.REMIX: "edits", VideoKind.EDIT: "edits", VideoKind.EXTEND: "extensions"}


@dataclass(frozen=True, slots=True)
class VideosApi:
    """A server, and in what it differs from OpenAI's own.

    `query` goes with every call. `audio_field` is the field that asks for sound, None where there is none.
    `send_dimensions`: `width` and `height` go beside `size`. `name_models`: edits and extensions of uploaded videos
    name the model. `derive_by_create`: there are no such routes, and a create takes the source video as its
    `input_reference`. `cancel_route`: there may be a route that stops a job and keeps its record.
    """

    spec: VideoSpec
    http: ProviderHttp
    query: Mapping[str, str] = field(default_factory=dict)
    audio_field: str | None = None
    send_dimensions: bool = False
    name_models: bool = False
    derive_by_create: bool = False
    cancel_route: bool = False

    def path(self, *segments: str, **query: str) -> str:
        """The path of a call, with what goes with every call. Raises `FileNotFoundError` for a segment that could name
        another path."""
        asked = urlencode({**self.query, **query})
        return "/".join(checked_ref(segment) for segment in segments) + (f"?{asked}" if asked else "")


class OpenAIVideos(LinkedVideos):
    """The Videos API of one account."""

    def __init__(self, api: VideosApi, account: Account) -> None:
        super().__init__(api.http, PublicHosts(account), VideoSpool.of(account))
        self.spec = api.spec
        self._api = api
        # A server that stops a job by removing it has no more word about it.
        self._removed: OrderedDict[str, None] = OrderedDict()

    async def submit(self, request: VideoRequest) -> str:
        """Create, remix, edit or extend; see `VideoProvider`."""
        return await submitting(self._submit(request))

    async def _submit(self, request: VideoRequest) -> str:
        headers = {"idempotency-key": request.token}
        try:
            path, body = self._derived(request) if self._derives(request) else self._created(request)
            tree = await body.send(self._http, path, headers=headers)
        except ContentPolicyViolation as error:
            raise SubmitRefused(blocked(FailureStage.INPUT, field=error.param)) from error
        except FileNotFoundError:
            if request.kind is VideoKind.CREATE:
                raise
            raise SubmitRefused(_no_source(self._http.title)) from None
        return id_of(tree, self._http.title)

    async def make_character(self, name: str, video: MediaInput) -> str:
        """Keep a character; see `CharacterMaker`. https://platform.openai.com/docs/api-reference/videos/create_character"""
        return await submitting(self._make_character(name, video))

    async def _make_character(self, name: str, video: MediaInput) -> str:
        body = FormBody({"name": name}, file_field="video", media=video)
        try:
            return id_of(await body.send(self._http, self._api.path("videos", "characters")), self._http.title)
        except (FileNotFoundError, Unsupported) as error:
            raise SubmitRefused(_no_characters(self._http.title)) from error

    def _derives(self, request: VideoRequest) -> bool:
        return request.kind is not VideoKind.CREATE and not self._api.derive_by_create

    def _created(self, request: VideoRequest) -> tuple[str, MediaBody]:
        api = self._api
        fields: dict[str, Any] = {
            "prompt": request.prompt,
            "model": request.model,
            "seconds": str(request.seconds),
            "size": f"{request.width}x{request.height}",
        }
        if api.send_dimensions:
            fields |= {"width": request.width, "height": request.height}
        if api.audio_field is not None and request.audio is not None:
            fields[api.audio_field] = request.audio
        media = request.image or request.source_video
        if request.kind is not VideoKind.CREATE and media is None:
            raise SubmitRefused(_no_source(self._http.title))
        if request.characters:
            fields["characters"] = [{"id": ref} for ref in request.characters]
        if request.characters and media is None:
            # A form cannot hold a list of objects.
            body = JsonBody()
            body.tree = merged(fields, request.extra)
            return api.path("videos"), body
        return api.path("videos"), _form(fields, request, file_field="input_reference", media=media)

    def _derived(self, request: VideoRequest) -> tuple[str, MediaBody]:
        api, ref = self._api, request.source_ref
        if request.kind is VideoKind.REMIX and ref is not None:
            body = JsonBody()
            body.tree = merged({"prompt": request.prompt}, request.extra)
            return api.path("videos", ref, "remix"), body
        fields: dict[str, Any] = {"prompt": request.prompt}
        if request.kind is VideoKind.EXTEND:
            fields["seconds"] = str(request.seconds)
        path = api.path("videos", _PATHS[request.kind])
        if ref is not None:
            fields["video[id]"] = checked_ref(ref)
            return path, _form(fields, request)
        if request.source_video is None:
            raise SubmitRefused(_no_source(self._http.title))
        if api.name_models:
            fields["model"] = request.model
        return path, _form(fields, request, file_field="video", media=request.source_video)

    async def poll(self, ref: str) -> JobStatus:
        """The job's record, asked for once."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> JobStatus:
        if ref in self._removed:
            return JobStatus(JobState.CANCELLED)
        response = await self._http.call("GET", self._api.path("videos", ref), repeatable=False)
        return status_of(json_of(response, self._http.title), response.headers)

    async def cancel(self, ref: str) -> bool:
        """Stop the job by the server's route for that, or by removing it."""
        return self.spec.cancels and await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> bool:
        if self._api.cancel_route and ref not in self._removed:
            try:
                tree = await self._http.json("POST", self._api.path("videos", ref, "cancel"))
            except Unsupported:
                pass
            except InvalidRequest:
                # It has ended, perhaps by an earlier cancel.
                return (await self._poll(ref)).state is JobState.CANCELLED
            else:
                return _stopped(status_of(tree), tree)
        status = await self._poll(ref)
        if has_ended(status):
            return status.state is JobState.CANCELLED
        if await self._remove(ref):
            self._removed[ref] = None
            if len(self._removed) > REMOVED_MAX:
                self._removed.popitem(last=False)
        return ref in self._removed

    async def _remove(self, ref: str) -> bool:
        """Whether the server took the job away."""
        try:
            await self._http.call("DELETE", self._api.path("videos", ref))
        except (InvalidRequest, Unsupported):
            return False
        return True

    async def delete(self, ref: str) -> None:
        """Remove the job and its output; a server that does not, keeps them until they expire."""
        self.forget(ref)
        with suppress(FileNotFoundError):
            await self._remove(ref)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The output, or a picture that the server makes of it. Raises `FileNotFoundError` where there is none."""
        try:
            if variant is VideoVariant.VIDEO:
                return await video_at(self._http, await self.link(ref), self._spool, key=ref, hosts=self._hosts)
            path = self._api.path("videos", ref, "content", variant=variant.value)
            return await remote_picture(self._http, path, self._hosts)
        except (InvalidRequest, Unsupported) as error:
            raise FileNotFoundError(error.message) from error

    async def link(self, ref: str) -> str:
        """The output's own address, which may lead elsewhere."""
        return self._api.path("videos", ref, "content")

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where the output is, with what opens it. Raises `Unsupported` for HEAD, which OpenAI does not document."""
        if method != "GET":
            raise Unsupported(f"{self._http.title} has no {method} for videos.", provider=self.spec.name)
        return await super().origin(ref, method=method)


def _form(fields: Mapping[str, Any], request: VideoRequest, **file: Any) -> FormBody:
    """Everything as text, as forms have it: what is more than a text, as JSON."""
    given = merged(fields, request.extra)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return FormBody(texts, **file)


def _stopped(status: JobStatus, tree: Mapping[str, Any]) -> bool:
    if not has_ended(status):
        raise TimeoutError("the job was told to stop, and has not stopped yet")
    details = tree.get("mediagate")
    cancellation = details.get("cancellation") if isinstance(details, Mapping) else None
    local = isinstance(cancellation, Mapping) and cancellation.get("stopped") == "local_only"
    return status.state is JobState.CANCELLED and not local


def _no_source(title: str) -> Failure:
    return Failure(
        FailureStage.INPUT,
        "source_not_found",
        f"{title} does not have the source video, or cannot make this from it.",
        retryable=False,
        field="video",
    )


def _no_characters(title: str) -> Failure:
    return Failure(
        FailureStage.PROVIDER,
        "provider_rejected_request",
        f"{title} keeps no characters.",
        retryable=False,
        field="characters",
    )


def build(account: Account) -> OpenAIVideos:
    """OpenAI itself, or what `api_base` names in its place. Raises `ValueError` where there is no key."""
    return OpenAIVideos(VideosApi(VIDEOS, connect(account, VIDEOS.title, explain_videos())), account)
