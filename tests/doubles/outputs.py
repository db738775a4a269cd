"""Finished videos as providers keep them: on another host, behind links that expire."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.doubles.origin import Held, Origin


@dataclass
class Outputs:
    """The host. A link is good until `expire`, and stands for what the job has made at the time of asking."""

    host: Origin
    videos: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    redirect: str = ""
    _age: int = 0

    @property
    def media_hosts(self) -> str:
        """What an account has to allow to read them: this host, and others of this machine over TLS."""
        return f"127.0.0.1:{self.host.port},127.0.0.1:*"

    def link(self, job: str) -> str:
        """A link that is good now."""
        path = f"/outputs/{self._age}/{job}.mp4"
        held = self.host.hold(path, self.videos[job], headers={"content-type": "video/mp4", "etag": f'"{job}"'})
        held.reset_at = self.cuts.get(job)
        if self.redirect:
            self.host.objects[path] = Held(status=302, headers={"location": self.redirect})
        return f"{self.host.url}{path}"

    def expire(self) -> None:
        """End every link that was given."""
        for held in self.host.objects.values():
            held.status, held.headers = 403, {}
        self._age += 1

    def remove(self, job: str) -> None:
        """The output is gone, and its links with it."""
        for path, held in self.host.objects.items():
            if path.endswith(f"/{job}.mp4"):
                held.status, held.headers = 403, {}
        self.videos.pop(job, None)

    def cut(self, job: str, at: int) -> None:
        """Break off every transfer of it after `at` bytes."""
        self.cuts[job] = at
        for path, held in self.host.objects.items():
            if path.endswith(f"/{job}.mp4"):
                held.reset_at = at

    def lead_to(self, url: str) -> None:
        """Answer every request for content with 302."""
        self.redirect = url
        for path in self.host.objects:
            self.host.objects[path] = Held(status=302, headers={"location": url})
