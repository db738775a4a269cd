"""OpenAI's moderation endpoint.

Fields, categories and limits are those of https://platform.openai.com/docs/api-reference/moderations/create and of
OpenAI's own client (`openai.types.moderation_create_params`, `openai.types.moderation`), by whose types every answer is
checked. What is harmful is told by a word in a text, and by a picture that is mostly red, which is decoded as the real
one does.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from openai.types import ModerationCreateResponse
from PIL import Image

from tests.doubles.serving import serving

KEY = "sk-moderation"
MODEL = "omni-moderation-latest"
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
)
# The categories that a picture is judged by.
OF_PICTURES = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic")
_DATA_URL = re.compile(r"data:image/(png|jpeg|webp|gif);base64,([A-Za-z0-9+/]+=*)\Z")
PICTURE_BYTES_MAX = 20 << 20
HARMFUL_WORD = "slaughterous"
DOUBTFUL_WORD = "brawling"


@dataclass
class Moderations:
    """The endpoint. `stalls` makes it accept and never answer; `status` makes it answer so;
    `flags_pictures` makes every picture a harmful one."""

    url: str = ""
    inputs: list[Any] = field(default_factory=list)
    status: int = 200
    stalls: bool = False
    flags_pictures: bool = False

    @classmethod
    @contextmanager
    def running(cls, port: int = 0) -> Iterator[Moderations]:
        """Serve until the block ends."""
        double = cls()

        def new_runner() -> web.AppRunner:
            app = web.Application(client_max_size=64 << 20)
            app.router.add_post("/v1/moderations", double._answer)
            return web.AppRunner(app)

        with serving(new_runner, port=port) as found:
            double.url = f"http://127.0.0.1:{found}/v1"
            yield double

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "Incorrect API key provided.", "invalid_api_key")
        body = await request.json()
        self.inputs.append(body.get("input"))
        if self.stalls:
            await request.content.wait_eof()
            await asyncio.sleep(3600)
        if self.status != 200:
            return _error(self.status, "The server had an error while processing your request.", None)
        if set(body) - {"input", "model"}:
            return _error(400, "Unrecognized request argument supplied", "unknown_parameter")
        if body.get("model", MODEL) != MODEL:
            return _error(404, f"The model `{body['model']}` does not exist.", "model_not_found")
        try:
            results = [self._judged(item) for item in _items(body.get("input"))]
        except ValueError as error:
            return _error(400, str(error), "invalid_image_format")
        answer = {"id": f"modr-{secrets.token_hex(8)}", "model": MODEL, "results": results}
        ModerationCreateResponse.model_validate(answer)
        return web.json_response(answer)

    def _judged(self, item: tuple[str, str]) -> dict[str, Any]:
        kind, content = item
        scores = dict.fromkeys(CATEGORIES, 0.0001)
        if kind == "image":
            if _is_red(content) or self.flags_pictures:
                scores["violence/graphic"] = 0.97
        elif HARMFUL_WORD in content.lower():
            scores["violence"] = 0.93
        elif DOUBTFUL_WORD in content.lower():
            scores["harassment"] = 0.4
        flags = {name: score >= 0.5 for name, score in scores.items()}
        judged = OF_PICTURES if kind == "image" else CATEGORIES
        return {
            "flagged": any(flags.values()),
            "categories": flags,
            "category_scores": scores,
            "category_applied_input_types": {name: [kind] if name in judged else [] for name in CATEGORIES},
        }


def _items(given: Any) -> list[tuple[str, str]]:
    """Texts, and at most one picture, as `(kind, content)`. Raises `ValueError`."""
    if isinstance(given, str):
        return [("text", given)]
    if not isinstance(given, list) or not given:
        raise ValueError("'input' is required")
    if all(isinstance(item, str) for item in given):
        return [("text", item) for item in given]
    (part,) = given
    if part["type"] == "text":
        return [("text", part["text"])]
    return [("image", part["image_url"]["url"])]


def _is_red(url: str) -> bool:
    match = _DATA_URL.match(url)
    if match is None:
        raise ValueError("Invalid image. Supported formats: png, jpeg, gif, webp.")
    data = base64.b64decode(match[2], validate=True)
    if len(data) > PICTURE_BYTES_MAX:
        raise ValueError("The image is larger than 20 MB.")
    with Image.open(io.BytesIO(data)) as picture:
        if picture.get_format_mimetype() != f"image/{match[1]}":
            raise ValueError("The image is not of its type.")
        red, green, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return bool(red > 150 and green < 90 and blue < 90)


def _error(status: int, message: str, code: str | None) -> web.Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return web.json_response({"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status)
