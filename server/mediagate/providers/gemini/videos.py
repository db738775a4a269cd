"""Videos of the Gemini API: the Omni models, by interactions. A finished video is a file of the project for a while."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from mediagate.core.errors import ContentPolicyViolation, InvalidRequest, ProviderFailed, Unavailable, Unsupported
from mediagate.providers import google_errors
from mediagate.providers.account import Account
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
from mediagate.providers.gemini import errors
from mediagate.providers.gemini.files import GeminiFiles, server_of
from mediagate.providers.gemini.files import build as build_files
from mediagate.providers.gemini.session import at_account
from mediagate.providers.gemini.spec import VIDEOS
from mediagate.providers.gemini.video_inputs import GeminiInputs
from mediagate.providers.http import ProviderHttp
from mediagate.providers.interactions import INTERACTION_ID, SOURCE_GONE, Interactions, body_of, video_of
from mediagate.providers.linked_videos import LinkedVideos
from mediagate.providers.media_body import JsonBody
from mediagate.providers.media_hosts import PublicHosts
from mediagate.providers.video_calls import asking, remote_video
from mediagate.providers.video_spool import VideoSpool

FAMILY: Final = "gemini-omni-"
# In base64 this is all that a request may have (100 MB, https://ai.google.dev/gemini-api/docs/file-input-methods), with
# some room for the rest of it.
INLINE_BYTES_MAX: Final = 70 << 20
_FILE: Final = re.compile(r"/(?:download/)?v[0-9a-z]+/(?P<name>files/[a-z0-9-]+)(?::download)?")


class GeminiVideos(LinkedVideos):
    """One project's videos. A ref is the id of an interaction."""

    spec = VIDEOS

    def __init__(self, calls: ProviderHttp, version: str, files: GeminiFiles, account: Account) -> None:
        super().__init__(calls, PublicHosts(account), VideoSpool.of(account))
        self._files = files
        self._inputs = GeminiInputs(files)
        self._version = version
        self._interactions = Interactions(calls, f"/{version}/interactions")

    async def submit(self, request: VideoRequest) -> str:
        """Start an interaction. What this account has made itself is gone on from where it is."""
        if not request.model.startswith(FAMILY):
            raise SubmitRefused(_other_model(request.model))
        previous = request.source_ref if INTERACTION_ID.fullmatch(request.source_ref or "") else None

        async def body(previous: str | None) -> JsonBody:
            made = JsonBody()
            source = request.source_video if previous is None else None
            if request.kind is not VideoKind.CREATE and previous is None and source is None:
                raise SubmitRefused(_NO_SOURCE)
            made.tree = body_of(
                request,
                delivery={"delivery": "uri"},
                previous=previous,
                image=await self._named(request, "input_reference", request.image, made),
                video=await self._named(request, "video", source, made),
            )
            if request.callback_url is not None:
                made.tree.setdefault("webhook_config", {"uris": [request.callback_url]})
            return made

        return await self._interactions.create_from(previous, body)

    async def _named(
        self, request: VideoRequest, field: str, media: MediaInput | None, body: JsonBody
    ) -> Mapping[str, Any] | None:
        """An input inside of the request, or as a file where no request can hold it."""
        if media is None:
            return None
        if media.size_bytes <= INLINE_BYTES_MAX:
            return {"data": body.base64(media)}
        return {"uri": await self._inputs.keep(request.token, field, media)}

    async def poll(self, ref: str) -> JobStatus:
        """Ask once."""
        return await asking(self._interactions.poll(ref))

    async def cancel(self, ref: str) -> bool:
        """Whether the interaction was running and has stopped."""
        return await asking(self._interactions.cancel(ref))

    async def delete(self, ref: str) -> None:
        """Remove the interaction, and the file that it has made."""
        try:
            made = video_of(await self._interactions.get(ref), VIDEOS.title)
        except FileNotFoundError:
            made = {}
        if file := _FILE.fullmatch(urlsplit(str(made.get("uri"))).path):
            with suppress(FileNotFoundError):
                await self._http.call("DELETE", f"/{self._version}/{file['name']}")
        if INTERACTION_ID.fullmatch(ref):
            await self._interactions.delete(ref)
        self.forget(ref)

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The video, by a link that is asked for anew. Raises `Unavailable` where the file is not ready yet."""
        if variant is not VideoVariant.VIDEO:
            raise FileNotFoundError(f"{VIDEOS.title} makes no pictures of videos")
        if (kept := self._spool.kept(ref)) is not None:
            return kept
        made = video_of(await self._interactions.get(ref), VIDEOS.title)
        if not made.get("uri"):
            return await self._interactions.spooled(ref, self._spool, ref)
        link = self._download_url(str(made["uri"]))
        try:
            return await remote_video(self._http, link, self._hosts)
        except (FileNotFoundError, InvalidRequest, Unsupported) as error:
            raise await self._why(error, link) from error

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where the bytes are. Raises as `open` does, and `Unsupported` for HEAD, which is not documented there."""
        if method != "GET":
            raise Unsupported(f"{VIDEOS.title} has no {method} for content.", provider=VIDEOS.name)
        try:
            return await super().origin(ref, method=method)
        except (FileNotFoundError, InvalidRequest) as error:
            raise await self._why(error, await self.link(ref)) from error

    async def link(self, ref: str) -> str:
        """A fresh link. Raises `Unsupported` where the API gives the bytes alone."""
        made = video_of(await self._interactions.get(ref), VIDEOS.title)
        if not made.get("uri"):
            raise Unsupported(f"{VIDEOS.title} has no link to this video.", provider=VIDEOS.name)
        return self._download_url(str(made["uri"]))

    def _download_url(self, uri: str) -> str:
        """The link to the bytes: without `alt=media` the API tells of the file instead. A file of the API is asked for
        at the account's own host."""
        parts = urlsplit(uri)
        file = _FILE.fullmatch(parts.path)
        if file is None:
            return uri
        query = urlencode({**dict(parse_qsl(parts.query)), "alt": "media"})
        path = parts.path if parts.path.endswith(":download") else f"{parts.path}:download"
        return at_account(self._http, parts._replace(path=path, query=query).geturl())

    async def _why(self, error: Exception, link: str) -> Exception:
        """Why a download was refused: the file behind `link` may still be being written."""
        file = _FILE.fullmatch(urlsplit(link).path)
        if file is not None:
            tree = await self._http.json("GET", f"/{self._version}/{file['name']}")
            if tree.get("state") == "PROCESSING":
                return Unavailable(f"{VIDEOS.title} is still writing this video. Try again later.")
        # Nobody here has said what to read, so nobody is to be told what was wrong with it.
        return (
            error
            if isinstance(error, FileNotFoundError)
            else ProviderFailed(f"{VIDEOS.title} does not give the video.")
        )

    async def close(self) -> None:
        """Close connections, and end the threads of the files."""
        await super().close()
        await self._files.close()


def explain(response: httpx.Response, title: str) -> Exception:
    """What an answer of 400 or more means: refused content and lost interactions as Google says them everywhere, files
    as for the project's other files."""
    error = google_errors.explain(response, title)
    if isinstance(error, ContentPolicyViolation | FileNotFoundError):
        return error
    about_file = errors.explain(response, title)
    return about_file if isinstance(about_file, FileNotFoundError) else error


def _other_model(name: str) -> Failure:
    choices = ", ".join(VIDEOS.models)
    return Failure(
        FailureStage.INPUT,
        "model_not_found",
        f"{VIDEOS.title} makes videos with its Omni models alone ({choices}); Veo is no longer there.",
        retryable=False,
        field="model",
    )


_NO_SOURCE: Final = Failure(
    FailureStage.INPUT, SOURCE_GONE, "The source video is gone.", retryable=False, field="video"
)


def build(account: Account) -> GeminiVideos:
    """The account's videos. Raises `ValueError` for an account without a key."""
    calls, version = server_of(account, explain=explain)
    return GeminiVideos(calls, version, build_files(account), account)
