"""What tests of videos share: media made for them, ways to ask for a video, and strict readers of its life."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import grpc
import httpx
from google.rpc import error_details_pb2, status_pb2
from PIL import Image

from mediagate._gen.mediagate.v1 import videos_pb2, videos_pb2_grpc
from tests.conftest import MEDIA_PORT, Gateway

Json = dict[str, Any]
SMALL: Json = {"model": "local-video", "size": "320x180", "seconds": "1"}
OVER = ("completed", "failed")
NOBODYS_VIDEO = "video_01jd0000000000000000000000"
PHASES = (
    *("held", "submitting", "provider_queued", "rendering", "finalizing", "archiving"),
    *("ready", "failed", "cancelled", "expired", "fate_unknown"),
)
EVENT_MEMBERS = {
    "snapshot": ("video",),
    "phase": ("phase",),
    "progress": ("progress",),
    "attempt": ("attempt",),
    "output": ("output",),
    "end": ("video",),
    "cost": ("cost",),
    "deleted": (),
}


def png(width: int = 64, height: int = 36, color: tuple[int, int, int] = (220, 30, 30)) -> bytes:
    """A picture of one colour."""
    made = io.BytesIO()
    Image.new("RGB", (width, height), color).save(made, "PNG")
    return made.getvalue()


def noise_png(width: int, height: int) -> bytes:
    """A picture that does not compress: about 3 bytes a pixel."""
    made = io.BytesIO()
    Image.effect_noise((width, height * 3), 90).save(made, "PNG")
    return made.getvalue()


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """Bytes as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


class MediaSite:
    """A server of pictures where the gateway may fetch them. The name of a picture says what is wrong with it."""

    def __init__(self) -> None:
        self.content = png()
        self.asked = 0

    def url(self, path: str, *, redirects: int = 0) -> str:
        """Where the picture is, behind so many redirects."""
        return f"http://127.0.0.1:{MEDIA_PORT}/{'again/' * redirects}{path}"

    @classmethod
    @contextlib.contextmanager
    def serving(cls) -> Iterator[MediaSite]:
        """Serve until the block ends."""
        site = cls()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                site.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", MEDIA_PORT), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()
            try:
                yield site
            finally:
                server.shutdown()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        first, _, rest = handler.path[1:].partition("/")
        location = {"again": f"/{rest}", "private.png": f"http://127.0.0.1:{MEDIA_PORT + 1}/"}.get(first)
        content = {"text.png": b"just text", "missing.png": b""}.get(first, self.content)
        length = {"cut.png": len(content) + 1, "large.png": 20_971_521}.get(first, len(content))
        handler.send_response(302 if location else 404 if first == "missing.png" else 200)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Type", "image/png")
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(content)


def mp4(seconds: float, width: int = 320, height: int = 180) -> bytes:
    """A video of one colour."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = Image.new("RGB", (width, height), (30, 200, 30))
        for number in range(round(seconds * 24)):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return made.getvalue()


@dataclass(frozen=True)
class Measured:
    """What a decoder finds in a video."""

    seconds: float
    width: int
    height: int
    codec: str
    first: Image.Image


def measured(data: bytes) -> Measured:
    """Decode every frame."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        rate = float(stream.average_rate or 24)
        picture = frames[0].to_image()
        return Measured(len(frames) / rate, stream.width, stream.height, stream.codec_context.name, picture)


def create(http: httpx.Client, prompt: str = "a boat", **fields: Any) -> Json:
    """Ask for a small video by JSON."""
    response = http.post("/v1/videos", json={**SMALL, "prompt": prompt, **fields})
    assert response.status_code == 200, response.text
    return _object(response)


def get(http: httpx.Client, video_id: str, **query: Any) -> Json:
    """The video as it is."""
    response = http.get(f"/v1/videos/{video_id}", params=query)
    assert response.status_code == 200, response.text
    return _object(response)


def finished(http: httpx.Client, video: Json | str, timeout_s: float = 120) -> Json:
    """The video once it is over."""
    video_id = video if isinstance(video, str) else video["id"]
    end, seq = time.monotonic() + timeout_s, 0
    while time.monotonic() < end:
        found = get(http, video_id, wait="5s", after_seq=seq)
        if found["status"] in OVER:
            return found
        seq = found["mediagate"]["seq"]
    raise TimeoutError(f"{video_id} is not over after {timeout_s} s")


def reached(http: httpx.Client, video: Json, phase: str, timeout_s: float = 120) -> Json:
    """The video once it is in `phase`."""
    end, seq = time.monotonic() + timeout_s, 0
    while time.monotonic() < end:
        found = get(http, video["id"], wait="5s", after_seq=seq)
        if found["mediagate"]["phase"] == phase:
            return found
        assert found["status"] not in OVER, found
        seq = found["mediagate"]["seq"]
    raise TimeoutError(f"{video['id']} is not {phase} after {timeout_s} s")


def completed(http: httpx.Client, prompt: str = "a boat", **fields: Any) -> Json:
    """A new small video that is completed."""
    video = finished(http, create(http, prompt, **fields))
    assert video["status"] == "completed", video
    return video


def _object(response: httpx.Response) -> Json:
    tree: Json = response.json()
    return tree


def job_folder(gateway: Gateway, video_id: str) -> Path | None:
    """Where the `local` provider keeps the job of a video."""
    return next((gateway.data_dir / "videos").glob(f"{video_id}-*"), None)


def renderers(gateway: Gateway, video_id: str) -> list[int]:
    """The processes that render a video."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"/{video_id}-".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


@dataclass(frozen=True)
class SseEvent:
    """One event of a `text/event-stream`."""

    id: str
    type: str
    data: Json


@dataclass
class SseReader:
    """Reads `text/event-stream` as the standard says, and refuses what we never send."""

    events: list[SseEvent] = field(default_factory=list)
    comments: int = 0
    of_all: bool = False
    """Whether it is a watch of all videos, whose ids are cursors."""
    _rest: bytes = b""
    _fields: list[tuple[str, str]] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        """Take bytes as they come, cut anywhere."""
        self._rest += data
        assert b"\r" not in self._rest
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8"))

    def _line(self, line: str) -> None:
        if line.startswith(":"):
            assert not self._fields, "a comment stands between events"
            self.comments += 1
        elif line:
            match = re.fullmatch(r"(id|event|data): (.+)", line)
            assert match, line
            self._fields.append((match[1], match[2]))
        elif self._fields:
            assert [name for name, _ in self._fields] == ["id", "event", "data"]
            number, kind, text = (value for _, value in self._fields)
            assert re.fullmatch(r"[1-9]\d*|0", number)
            tree = json.loads(text)
            assert tree["type"] == kind
            assert self.of_all or tree["seq"] == int(number)
            assert set(tree) == {"seq", "video_id", "time", "type", *EVENT_MEMBERS[kind]}
            self.events.append(SseEvent(number, kind, tree))
            self._fields = []

    def ended_whole(self) -> bool:
        """Whether nothing of an unfinished event is left."""
        return not self._rest and not self._fields


@contextlib.contextmanager
def event_stream(http: httpx.Client, video_id: str, **options: Any) -> Iterator[httpx.Response]:
    """An open SSE watch."""
    headers = {"accept": "text/event-stream", **options.pop("headers", {})}
    with http.stream("GET", f"/v1/videos/{video_id}/events", headers=headers, **options) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["cache-control"] == "no-cache"
        yield response


def watch_sse(http: httpx.Client, video_id: str, **options: Any) -> list[SseEvent]:
    """Every event until the stream ends by itself."""
    reader = SseReader()
    with event_stream(http, video_id, **options) as response:
        for data in response.iter_raw():
            reader.feed(data)
    assert reader.ended_whole()
    return reader.events


def stub(gateway: Gateway, channel: grpc.Channel) -> videos_pb2_grpc.VideoServiceStub:
    """The generated client."""
    return videos_pb2_grpc.VideoServiceStub(channel)  # type: ignore[no-untyped-call]


def watch_grpc(gateway: Gateway, video_id: str, after_seq: int | None = None) -> list[videos_pb2.VideoEvent]:
    """Every event until the stream ends by itself."""
    request = videos_pb2.WatchVideoRequest(video_id=video_id, after_seq=after_seq)
    with gateway.channel() as channel:
        return list(stub(gateway, channel).WatchVideo(request, metadata=gateway.metadata, timeout=120))


def assert_one_life(events: Sequence[Json], *, resumed: bool = False) -> None:
    """What every watch promises, whichever way it came: `events` are the JSON of its events."""
    first, *rest = events
    assert first["type"] == "snapshot"
    numbers = [event["seq"] for event in events]
    assert all(before < after for before, after in itertools.pairwise(numbers)) or (
        # A video that was over before: the end is at the snapshot's own number.
        len(events) == 2 and numbers[0] == numbers[1]
    ), numbers
    percents = [event["progress"]["percent"] for event in rest if event["type"] == "progress"]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)
    changes = [event["phase"] for event in rest if event["type"] == "phase"]
    if not resumed and changes:
        assert changes[0].get("from", first["video"]["mediagate"]["phase"]) == first["video"]["mediagate"]["phase"]
    for before, after in itertools.pairwise(changes):
        assert after["from"] == before["to"]
    for change in changes:
        assert change["to"] in PHASES
    # Only progress may be left out.
    types = [event["type"] for event in rest]
    for before, after, kind in zip(numbers[:-1], numbers[1:], types, strict=True):
        assert after - before <= 1 or kind == "progress", numbers
    assert types.count("end") == 1
    assert types[-1] == "end"
    last = events[-1]["video"]
    assert last["status"] in OVER
    assert last["mediagate"]["seq"] == numbers[-1]


def wrong_field(error: grpc.RpcError) -> str:
    """Which field a generated client learns to be wrong."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for detail in status_pb2.Status.FromString(packed).details:
        violations = error_details_pb2.BadRequest()
        if detail.Unpack(violations):
            return str(violations.field_violations[0].field)
    return ""
