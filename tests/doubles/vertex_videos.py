"""Vertex AI's videos: Veo's predictions and the Omni models' interactions, which write into a bucket.

Methods and messages are held against Google's discovery document (`aiplatform_v1.json`: aiplatform.v1 of
google-api-python-client 2.202.0, Apache-2.0, cut to the methods in use); the members of `instances` and `parameters`,
which it leaves open, are those of
https://docs.cloud.google.com/gemini-enterprise-agent-platform/reference/models/veo-video-generation and of what
google-genai sends. Sentences of refusals are Google's own.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.aiplatform import SCHEMAS, unlike
from tests.doubles.gcs import BUCKET, GcsDouble
from tests.doubles.interactions import Interaction, InteractionsApi
from tests.doubles.recorder import ASKED

PROJECT = "project-1"
_IMAGE = "CloudAiLargeModelsVisionGenerateVideoRequestImage"
INSTANCE: Mapping[str, str | None] = {
    "prompt": None,
    "image": _IMAGE,
    "lastFrame": _IMAGE,
    "video": "CloudAiLargeModelsVisionGenerateVideoRequestVideo",
    "referenceImages": None,
}
PARAMETERS = {
    *("sampleCount", "storageUri", "durationSeconds", "aspectRatio", "resolution", "personGeneration", "resizeMode"),
    *("negativePrompt", "seed", "generateAudio", "enhancePrompt", "compressionQuality"),
}
BLOCKED = (
    "The prompt could not be submitted. This prompt contains sensitive words that violate Google's Responsible AI "
    "practices. Try rephrasing the prompt. If you think this was an error, send feedback. Support codes: 61493863"
)
FILTERED = (
    "Veo could not generate videos because the input image violates Gemini Enterprise Agent Platform's usage "
    "guidelines. If you think this was an error, send feedback. Support codes: 15236754"
)


@dataclass
class Operation:
    """A prediction. `tree` is what is answered beside the name."""

    name: str
    body: Mapping[str, Any]
    tree: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class VertexVideosApi(InteractionsApi):
    """A project, and its bucket."""

    is_vertex = True

    def __init__(self, bucket: GcsDouble, key: str = "ya29.test-key") -> None:
        super().__init__(key)
        self.bucket = bucket
        self.operations: dict[str, Operation] = {}
        self.outputs: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Two methods of Veo, four of Omni."""
        model = "/v1/projects/{project}/locations/{location}/publishers/google/models/{model}"
        return [
            web.post(f"{model}:predictLongRunning", self._predict),
            web.post(f"{model}:fetchPredictOperation", self._fetch),
            *self.routes_below("/v1beta1/projects/{project}/locations/global"),
        ]

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """The front answers with a list of one."""
        words = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
        error = {"code": status, "message": message, "status": words.get(status, "UNKNOWN")}
        return web.json_response([{"error": error}], status=status)

    def output_of(self, interaction: Interaction) -> dict[str, Any] | None:
        """Where in the bucket it was written."""
        uri = self.outputs.get(interaction.id)
        return None if uri is None else {"type": "video", "mime_type": "video/mp4", "uri": uri}

    def write(self, job: str, folder: str, data: bytes) -> str:
        """Put a video below `folder`, as the models do; its URI."""
        assert folder.startswith(f"gs://{BUCKET}/")
        assert folder.endswith("/")
        name = (
            f"{folder.removeprefix(f'gs://{BUCKET}/')}{uuid.uuid5(uuid.NAMESPACE_URL, job).int % 10**20}/sample_0.mp4"
        )
        self.bucket.put(name, data, contentType="video/mp4")
        self.outputs[job] = f"gs://{BUCKET}/{name}"
        return self.outputs[job]

    async def _predict(self, request: web.Request) -> web.Response:
        self.submits += 1
        tree = await request.json()
        request[ASKED].json = tree
        if wrong := next(_violations(tree), None):
            return self._status(400, "INVALID_ARGUMENT", f"Request contains an invalid argument: {wrong}.")
        if "forbidden" in tree["instances"][0].get("prompt", ""):
            return self._status(400, "INVALID_ARGUMENT", BLOCKED)
        place = request.match_info
        parent = f"projects/{place['project']}/locations/{place['location']}"
        name = f"{parent}/publishers/google/models/{place['model']}/operations/{uuid.uuid4()}"
        self.operations[name] = Operation(name, tree)
        return web.json_response({"name": name})

    async def _fetch(self, request: web.Request) -> web.Response:
        tree = await request.json()
        request[ASKED].json = tree
        if set(tree) != set(SCHEMAS["GoogleCloudAiplatformV1FetchPredictOperationRequest"]["properties"]):
            return self._status(400, "INVALID_ARGUMENT", "operationName")
        model = request.path.removeprefix("/v1/").removesuffix(":fetchPredictOperation")
        found = self.operations.get(tree["operationName"])
        if found is None or not found.name.startswith(f"{model}/operations/"):
            return self._status(404, "NOT_FOUND", f"Operation not found: {tree['operationName']}")
        answer = {"name": found.name, **found.tree}
        assert not list(unlike(answer, SCHEMAS["GoogleLongrunningOperation"], "answer"))
        return web.json_response(answer, headers=found.headers)

    def _status(self, status: int, word: str, message: str) -> web.Response:
        return web.json_response({"error": {"code": status, "message": message, "status": word}}, status=status)

    def read(self, reference: Mapping[str, Any]) -> bytes:
        """The bytes that a member names, wherever they are."""
        data = reference.get("bytesBase64Encoded") or reference.get("data")
        if data is not None:
            return base64.b64decode(data, validate=True)
        uri = str(reference.get("gcsUri") or reference.get("uri"))
        return self.bucket.objects[uri.removeprefix(f"gs://{BUCKET}/")].data


def _violations(tree: Mapping[str, Any]) -> Iterator[str]:
    yield from unlike(tree, SCHEMAS["GoogleCloudAiplatformV1PredictLongRunningRequest"], "body")
    instances = tree.get("instances") or [{}]
    if len(instances) != 1:
        yield "one instance"
    for name, value in instances[0].items():
        if name not in INSTANCE:
            yield f"instances.{name}"
        elif (kind := INSTANCE[name]) is not None:
            yield from unlike(value, SCHEMAS[kind], name)
            if ("gcsUri" in value) == ("bytesBase64Encoded" in value) or not value.get("mimeType"):
                yield f"{name} needs gcsUri or bytesBase64Encoded, and mimeType"
    parameters = tree.get("parameters") or {}
    yield from sorted(set(parameters) - PARAMETERS)
    yield from (name for name, fits in _FITS.items() if name in parameters and not fits(parameters[name]))
    yield from {"generateAudio", "storageUri"} - set(parameters)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "generateAudio": lambda value: type(value) is bool,
    "durationSeconds": lambda value: value in (4, 6, 8),
    "aspectRatio": lambda value: value in ("16:9", "9:16"),
    "resolution": lambda value: value in ("720p", "1080p", "4k"),
    "storageUri": lambda value: str(value).startswith("gs://"),
}
