"""The Interactions API as the Omni models have it, for the doubles of the Gemini API and of Vertex AI.

Members and words are those of google-genai 3.4.0 (`CreateModelInteraction`, `VideoResponseFormat`, `VideoConfig`,
`Interaction`) and of the discovery document aiplatform.v1beta1 of 2026-11-06, the rules those of
https://ai.google.dev/gemini-api/docs/omni and
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/video/extend-videos. As seen at the live API: a
length without its unit is refused, an id that is none is a 400, and a refusal of content is an interaction that
completes with words. The official client was run against it: create, get, cancel, delete.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.recorder import ASKED, Recorder

MEMBERS = {
    "": {
        *("model", "input", "background", "store", "stream", "response_format", "generation_config", "labels"),
        *("previous_interaction_id", "safety_settings", "service_tier", "system_instruction", "tools"),
        *("response_modalities", "continuation_token"),
    },
    "response_format": {"type", "delivery", "gcs_uri", "aspect_ratio", "resolution", "duration"},
    "generation_config": {"video_config", "seed", "temperature", "top_p", "max_output_tokens", "thinking_level"},
    "video_config": {"task"},
    "text": {"type", "text"},
    "image": {"type", "data", "uri", "mime_type", "resolution"},
    "video": {"type", "data", "uri", "mime_type", "resolution", "name", "processing"},
}
TASKS = {"text_to_video", "image_to_video", "reference_to_video", "edit", "extend", "upscale"}
RESOLUTIONS = {"360p", "720p", "1080p", "4k"}
RATIOS = {"16:9", "9:16"}
EXTENSION_S = range(3, 11)
VIDEO_S = range(3, 16)
WHEN = "2026-11-21T12:00:00Z"
RUNNING = ("queued", "in_progress")


@dataclass
class Interaction:
    """One of them. `more` is merged into what the next answers say."""

    id: str
    body: Mapping[str, Any]
    status: str = "in_progress"
    content: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class InteractionsApi(Recorder):
    """A project. A subclass says where a finished video is, and adds what its platform has beside."""

    is_vertex = False

    def __init__(self, key: str = "test-key") -> None:
        super().__init__(key)
        self.interactions: dict[str, Interaction] = {}
        self.submits = 0

    def routes_below(self, parent: str) -> list[web.RouteDef]:
        """Create, get, cancel and delete."""
        return [
            web.post(f"{parent}/interactions", self._create),
            web.get(f"{parent}/interactions/{{id}}", self._read),
            web.post(f"{parent}/interactions/{{id}}/cancel", self._cancel),
            web.delete(f"{parent}/interactions/{{id}}", self._remove),
        ]

    def output_of(self, interaction: Interaction) -> dict[str, Any] | None:
        """The content block of the finished video, where there is one."""
        raise NotImplementedError

    def refuse(self, message: str) -> web.Response:
        """How the API itself refuses: with a word in the place of a number."""
        return web.json_response({"error": {"code": "invalid_request", "message": message}}, status=400)

    async def _create(self, request: web.Request) -> web.Response:
        self.submits += 1
        tree = await request.json()
        request[ASKED].json = tree
        if wrong := self._wrong(tree):
            return self.refuse(wrong)
        if "forbidden" in _prompt(tree):
            return self.refuse("The prompt was blocked for safety reasons.")
        # The alphabet of the real ids.
        made = Interaction(f"v1_{secrets.token_urlsafe(24)}", tree)
        self.interactions[made.id] = made
        return web.json_response(self.tree_of(made))

    async def _read(self, request: web.Request) -> web.Response:
        found = self.interactions.get(request.match_info["id"])
        return self._absent() if found is None else web.json_response(self.tree_of(found), headers=found.headers)

    async def _cancel(self, request: web.Request) -> web.Response:
        found = self.interactions.get(request.match_info["id"])
        if found is None:
            return self._absent()
        if found.status not in RUNNING:
            return self.refuse("Only background interactions that are still running can be cancelled.")
        found.status = "cancelled"
        return web.json_response(self.tree_of(found))

    async def _remove(self, request: web.Request) -> web.Response:
        if self.interactions.pop(request.match_info["id"], None) is None:
            return self._absent()
        return web.json_response({})

    def _absent(self) -> web.Response:
        return self.refuse("Invalid interaction name.")

    def tree_of(self, made: Interaction) -> dict[str, Any]:
        """The resource as it is answered."""
        tree: dict[str, Any] = {
            "id": made.id,
            "object": "interaction",
            "model": made.body["model"],
            "status": made.status,
            "created": WHEN,
            "updated": WHEN,
        }
        content = list(made.content)
        if made.status == "completed" and (video := self.output_of(made)) is not None:
            content.append(video)
        if content:
            tree["steps"] = [{"type": "thought", "signature": "c2ln"}, {"type": "model_output", "content": content}]
        return {**tree, **made.more}

    def _wrong(self, tree: Mapping[str, Any]) -> str:
        known = MEMBERS[""] if self.is_vertex else MEMBERS[""] | {"webhook_config"}
        if unknown := set(tree) - known:
            return f'Invalid JSON payload received. Unknown name "{sorted(unknown)[0]}"'
        if tree.get("background") is not True:
            return "this double does not let a call wait for minutes"
        if tree.get("store") is False:
            return "background needs store"
        parts = _parts(tree)
        for part in parts:
            if unknown := set(part) - MEMBERS.get(part.get("type", ""), set()):
                return f"Unknown name {sorted(unknown)[0]}"
            if part["type"] != "text" and ("data" in part) == ("uri" in part):
                return "exactly one of data and uri"
        previous = tree.get("previous_interaction_id")
        if previous is not None and previous not in self.interactions:
            return "Invalid interaction name."
        return self._wrong_format(tree) or _wrong_task(tree, {part["type"] for part in parts}, bool(previous))

    def _wrong_format(self, tree: Mapping[str, Any]) -> str:
        form = tree.get("response_format")
        if not isinstance(form, Mapping) or set(form) - MEMBERS["response_format"] or form.get("type") != "video":
            return "response_format"
        if form.get("delivery") == "uri" and self.is_vertex and not str(form.get("gcs_uri")).startswith("gs://"):
            return "gcs_uri is required for delivery by uri"
        if "gcs_uri" in form and not self.is_vertex:
            return "gcs_uri"
        if form.get("aspect_ratio", "16:9") not in RATIOS or form.get("resolution", "720p") not in RESOLUTIONS:
            return "aspect_ratio or resolution"
        length = re.fullmatch(r"(\d+)s", str(form.get("duration", "8s")))
        allowed = EXTENSION_S if _task(tree) == "extend" else VIDEO_S
        return "" if length and int(length[1]) in allowed else "duration"

    def media(self, interaction_id: str, kind: str) -> bytes:
        """The bytes of the `image` or of the `video` that came inside of the request."""
        parts = [part for part in _parts(self.interactions[interaction_id].body) if part["type"] == kind]
        return base64.b64decode(parts[0]["data"], validate=True)


def _wrong_task(tree: Mapping[str, Any], kinds: set[str], goes_on: bool) -> str:
    config = tree.get("generation_config") or {}
    task = _task(tree)
    if set(config) - MEMBERS["generation_config"] or set(config.get("video_config") or {}) - MEMBERS["video_config"]:
        return "generation_config"
    if task is not None and task not in TASKS:
        return "task"
    needs = {"image_to_video": "image" in kinds, "edit": "video" in kinds or goes_on}
    needs |= {"extend": needs["edit"], "text_to_video": kinds == {"text"}}
    return "" if needs.get(task or "", True) else f"the inputs do not fit the task {task}"


def _task(tree: Mapping[str, Any]) -> str | None:
    found = ((tree.get("generation_config") or {}).get("video_config") or {}).get("task")
    return None if found is None else str(found)


def _parts(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = tree.get("input")
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    if isinstance(given, list) and all(step.get("type") == "user_input" for step in given):
        return [part for step in given for part in step["content"]]
    return list(given or ())


def _prompt(tree: Mapping[str, Any]) -> str:
    return " ".join(part["text"] for part in _parts(tree) if part["type"] == "text")
