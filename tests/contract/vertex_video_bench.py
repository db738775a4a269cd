"""Vertex AI at its double, for the suites: a bench for each family of models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar, Unpack

from mediagate.providers.account import Account
from mediagate.providers.base import (
    MediaInput,
    VideoProvider,
)
from tests.contract.interactions_bench import WORDS, say
from tests.contract.video_bench import ALL_SAID, VIDEO, Details, Said, VideoBench
from tests.doubles.gcs import BUCKET, GcsDouble
from tests.doubles.vertex_videos import FILTERED, PROJECT, VertexVideosApi

VEO = "veo-3.1-generate-001"
OMNI = "gemini-omni-1.2-flash"
TOKEN = "ya29.test-key"
FOLDER = f"gs://{BUCKET}/mediagate/videos"
PNG = b"\x89PNG\r\n\x1a\n"


def account(url: str, gcs_url: str, **options: Any) -> Account:
    """An account whose API is at `url`, and whose bucket is at `gcs_url`."""
    return Account(
        "vertex",
        "vertex_ai",
        api_key=TOKEN,
        bucket_name=BUCKET,
        options={"vertex_project": PROJECT, "vertex_api_base": url, **options},
        environ={"STORAGE_EMULATOR_HOST": gcs_url},
    )


class VertexBench(VideoBench):
    """One project; what its two families have in common."""

    secret = TOKEN
    far_content = False
    forgets = True
    streams_inputs = True
    tells_when_to_poll = True

    def __init__(self, api: VertexVideosApi, provider: VideoProvider) -> None:
        self.api = api
        self.provider = provider

    @property
    def bucket(self) -> GcsDouble:
        """The account's bucket."""
        return self.api.bucket

    def submits(self) -> int:
        return self.api.submits

    def name_of(self, ref: str) -> str:
        """The double's own name of a job."""
        raise NotImplementedError

    async def made(self, ref: str) -> bytes:
        return self.api.read({"uri": self.api.outputs[self.name_of(ref)]})

    async def cut(self, ref: str, at: int) -> None:
        self.bucket.media_breaks = [at] * 3

    async def expire_links(self) -> None:
        """There are none: the bytes are in the account's bucket."""

    def _remove_output(self, job: str) -> None:
        uri = self.api.outputs.pop(job)
        del self.bucket.objects[uri.removeprefix(f"gs://{BUCKET}/")]


class VeoBench(VertexBench):
    """Predictions."""

    model = VEO
    absent_ref = f"projects/p/locations/us-central1/publishers/google/models/{VEO}/operations/absent#video_absent"
    says = ALL_SAID - {Said.QUEUED, Said.WORD}
    extra: ClassVar[Mapping[str, Any]] = {
        "parameters": {"negativePrompt": "rain", "resolution": "1080p"},
        "labels": {"team": "a"},
    }

    def jobs(self) -> int:
        return len(self.api.operations)

    def name_of(self, ref: str) -> str:
        return ref.partition("#")[0]

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        operation = self.api.operations[self.name_of(ref)]
        after = details.get("poll_after_s")
        operation.headers = {} if after is None else {"retry-after": str(int(after))}
        if said is Said.SUCCEEDED:
            folder = operation.body["parameters"]["storageUri"]
            uri = self.api.write(operation.name, folder, details.get("video", VIDEO))
            operation.tree = done({"videos": [{"gcsUri": uri, "mimeType": "video/mp4"}]})
        elif said is Said.GONE:
            self._remove_output(operation.name)
        else:
            operation.tree = self._said(said, details.get("reason", ""))

    def _said(self, said: Said, reason: str) -> dict[str, Any]:
        match said:
            case Said.FAILED:
                return {"done": True, "error": {"code": 3, "message": reason}}
            case Said.WITH_ERROR:
                return {**done({}), "error": {"code": 13, "message": reason}}
            case Said.MODERATED:
                return done({"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": [FILTERED]})
            case Said.CANCELLED:
                return {"done": True, "error": {"code": 1, "message": "The operation was cancelled."}}
            case Said.NO_VIDEO:
                return done({})
            case _:
                return {}

    def sent(self, ref: str) -> Mapping[str, Any]:
        name, _, token = ref.partition("#")
        found: Mapping[str, Any] = json.loads(json.dumps(self.api.operations[name].body).replace(token, "TOKEN"))
        return found

    def image_of(self, ref: str) -> bytes:
        return self.api.read(self.sent_instance(ref)["image"])

    def source_of(self, ref: str) -> bytes:
        return self.api.read(self.sent_instance(ref)["video"])

    def sent_instance(self, ref: str) -> Mapping[str, Any]:
        """The one instance of a prediction's body."""
        found: Mapping[str, Any] = self.api.operations[self.name_of(ref)].body["instances"][0]
        return found


class OmniBench(VertexBench):
    """Interactions."""

    model = OMNI
    absent_ref = "projects/p/locations/global/interactions/absent#video_absent"
    words = WORDS
    extra: ClassVar[Mapping[str, Any]] = {
        "response_format": {"resolution": "1080p"},
        "generation_config": {"seed": 7},
    }

    def jobs(self) -> int:
        return len(self.api.interactions)

    def name_of(self, ref: str) -> str:
        return ref.partition("#")[0].rpartition("/")[2]

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        job = self.name_of(ref)
        found = self.api.interactions[job]
        if said in (Said.SUCCEEDED, Said.WORD):
            self.api.write(job, found.body["response_format"]["gcs_uri"], details.get("video", VIDEO))
        elif job in self.api.outputs:
            self._remove_output(job)
        say(found, said, details)

    def sent(self, ref: str) -> Mapping[str, Any]:
        body = self.api.interactions[self.name_of(ref)].body
        token = ref.partition("#")[2]
        found: Mapping[str, Any] = json.loads(json.dumps(body).replace(token, "TOKEN"))
        return found

    def image_of(self, ref: str) -> bytes:
        return self.api.read(self.part(ref, "image"))

    def source_of(self, ref: str) -> bytes:
        return self.api.read(self.part(ref, "video"))

    def part(self, ref: str, kind: str) -> Mapping[str, Any]:
        """The part of the input that is of this type."""
        parts = self.api.interactions[self.name_of(ref)].body["input"][0]["content"]
        found: Mapping[str, Any] = next(part for part in parts if part["type"] == kind)
        return found


def done(response: dict[str, Any]) -> dict[str, Any]:
    """An operation that has ended."""
    kind = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
    return {"done": True, "response": {"@type": kind, **response}}


def known(uris: tuple[str, ...], data: bytes = PNG, content_type: str = "image/png") -> MediaInput:
    """An input that stores have under these names, and that nobody may read here."""

    def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the bytes were read")

    return MediaInput(content_type, len(data), unread, uris)
