"""A server of videos in OpenAI's shape, as cheap as it can be, so that what is measured is the gateway.

`python -m bench.video_server --render-s N` prints its port; `GET /stats` tells of every poll when it came, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import time
from typing import Any, cast

import av
import uvloop
from PIL import Image


def clip() -> bytes:
    """A short video, as small as videos are."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for _ in range(24):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (320, 180), (30, 200, 30)))))
        container.mux(stream.encode())
    return made.getvalue()


class Videos:
    """Every job, and when it was asked about."""

    def __init__(self, render_s: float) -> None:
        self.render_s = render_s
        self.clip = clip()
        self.jobs: dict[str, float] = {}
        self.polls: dict[str, list[float]] = {}
        self._numbers = itertools.count(1)

    def create(self) -> dict[str, Any]:
        video_id = f"v{next(self._numbers)}"
        self.jobs[video_id] = time.time()
        self.polls[video_id] = []
        return self.state(video_id)

    def poll(self, video_id: str) -> dict[str, Any]:
        self.polls[video_id].append(time.time())
        return self.state(video_id)

    def state(self, video_id: str) -> dict[str, Any]:
        part = min(1.0, (time.time() - self.jobs[video_id]) / self.render_s)
        status = "completed" if part >= 1 else "in_progress" if part > 0 else "queued"
        return {
            "id": video_id, "object": "video", "model": "bench", "status": status, "progress": int(part * 100),
            "created_at": int(self.jobs[video_id]), "size": "320x180", "seconds": "1", "error": None,
        }  # fmt: skip


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, for requests that end where their length or their last chunk says."""

    def __init__(self, videos: Videos) -> None:
        self._videos = videos
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (taken := self._taken()) is not None:
            head, self._data = self._data[:taken], self._data[taken:]
            method, target, _ = head.split(b" ", 2)
            self._answer(method.decode(), target.decode(), head)

    def _taken(self) -> int | None:
        """How long the first request is; None where it is not whole."""
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return None
        begin, lower = len(head) + 4, head.lower()
        if b"transfer-encoding: chunked" in lower:
            end = rest.find(b"0\r\n\r\n")
            return None if end < 0 else begin + end + 5
        length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        return begin + length if len(rest) >= length else None

    def _answer(self, method: str, target: str, head: bytes) -> None:
        path = target.partition("?")[0]
        if method == "POST" and path == "/v1/videos":
            self._send(json.dumps(self._videos.create()).encode())
        elif path == "/stats":
            self._send(json.dumps({"now": time.time(), "polls": self._videos.polls}).encode())
        elif path.endswith("/content"):
            self._content(head)
        elif method == "GET" and path.rpartition("/")[2] in self._videos.jobs:
            self._send(json.dumps(self._videos.poll(path.rpartition("/")[2])).encode())
        else:
            self._send(b"{}", status="404 Not Found")

    def _content(self, head: bytes) -> None:
        clip, wanted = self._videos.clip, head.lower().partition(b"\r\nrange: bytes=")[2].split(b"\r\n", 1)[0]
        if not wanted:
            self._send(clip, content_type="video/mp4")
            return
        first, _, last = wanted.partition(b"-")
        start, end = int(first), min(int(last or len(clip)), len(clip) - 1)
        extra = f"content-range: bytes {start}-{end}/{len(clip)}\r\n"
        self._send(clip[start : end + 1], status="206 Partial Content", content_type="video/mp4", extra=extra)

    def _send(
        self, body: bytes, *, status: str = "200 OK", content_type: str = "application/json", extra: str = ""
    ) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        self._transport.write(head.encode() + body)


async def serve(render_s: float) -> None:
    """Serve for ever."""
    videos = Videos(render_s)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(videos), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--render-s", type=float, required=True)
    uvloop.run(serve(parser.parse_args().render_s))


if __name__ == "__main__":
    main()
