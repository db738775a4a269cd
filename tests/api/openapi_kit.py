"""Objects for the operations of the OpenAPI document."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx

from mediagate.core import ids
from tests.conftest import MEDIA_PORT, Gateway

Json = dict[str, Any]
SMALL = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
KINDS = {
    "file_id": "file",
    "upload_id": "upload",
    "video_id": "video",
    "character_id": "char",
    "batch_id": "batch",
    "token_id": "tok",
    "webhook_endpoint_id": "we",
    "event_id": "evt",
}
"""The kind of object that a member of a path names."""


class World:
    """Makes what the examples speak of."""

    def __init__(self, gateway: Gateway, http: httpx.Client) -> None:
        self.gateway = gateway
        self.http = http
        self._kept: dict[str, str] = {}
        self._numbers = itertools.count()

    def made(self, path: str, **body: Any) -> Json:
        """What a POST answers."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        tree: Json = answer.json()
        return tree

    def kept(self, kind: str) -> str:
        """One object of a kind, made when it is first needed."""
        if kind not in self._kept:
            self._kept[kind] = self.new(kind)
        return self._kept[kind]

    def new(self, kind: str) -> str:
        """The id of a new object."""
        makers: dict[str, Callable[[], str]] = {
            "file": lambda: self._file("hello.txt", b"hello world"),
            "film": lambda: self._file("film.mp4", self.film()),
            "upload": lambda: str(
                self.made("/v1/uploads", bytes=11, filename="a", mime_type="b", purpose="user_data")["id"]
            ),
            "video": self._video,
            "char": lambda: str(
                self.made("/v1/videos/characters", name="Ada", video={"file_id": self.kept("film")})["id"]
            ),
            # Of a file that is no batch's, so that nobody is asked.
            "batch": lambda: str(
                self.made(
                    "/v1/batches",
                    input_file_id=self.kept("file"),
                    endpoint="/v1/embeddings",
                    completion_window="24h",
                )["id"]
            ),
            "tok": lambda: str(self.made("/v1/tokens", kind="upload")["id"]),
            "we": lambda: str(
                self.made("/v1/webhook_endpoints", name="a", url=self.hook, event_types=["file.expired"])["id"]
            ),
            "evt": lambda: ids.EVENT.new(),
            "reports": lambda: str(self.made("/v1/key/generate", key_alias=self.name("reports"))["key_alias"]),
            "ada": lambda: str(self.made("/v1/user/new", user_id=self.name("ada"), auto_create_key=False)["user_id"]),
            "research": lambda: str(self.made("/v1/team/new", team_id=self.name("research"))["team_id"]),
        }
        return makers[kind]()

    def name(self, word: str) -> str:
        """A name that nobody had."""
        return f"{word}-{next(self._numbers)}"

    @property
    def hook(self) -> str:
        """A URL that takes webhooks."""
        return f"http://127.0.0.1:{MEDIA_PORT}/hook"

    def film(self) -> bytes:
        """A video's bytes."""
        return self.http.get(f"/v1/videos/{self.kept('video')}/content").content

    def part(self, upload: str) -> str:
        """A part of 11 bytes."""
        answer = self.http.post(f"/v1/uploads/{upload}/parts", files={"data": b"hello world"})
        return str(answer.json()["id"])

    def _file(self, name: str, data: bytes) -> str:
        answer = self.http.post("/v1/files", data={"purpose": "user_data"}, files={"file": (name, data)})
        return str(answer.json()["id"])

    def _video(self) -> str:
        video = str(self.made("/v1/videos", **SMALL)["id"])
        with self.http.stream("GET", f"/v1/videos/{video}/events") as events:
            assert "event: end" in "".join(events.iter_text())
        return video
