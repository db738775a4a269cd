"""Where a provider's finished videos lie: another host, with links that die and take no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.doubles.origin import Held, Origin, running_origin


class Delivery:
    """Videos by name. `link` gives the present link of one."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._videos: dict[str, bytes] = {}
        self._cuts: dict[str, int] = {}
        self._age = 0
        self._elsewhere: str | None = None

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"127.0.0.1:{self.origin.port}"

    def put(self, name: str, data: bytes) -> None:
        """Hold a video."""
        self._videos[name] = data

    def get(self, name: str) -> bytes:
        """The video that is held."""
        return self._videos[name]

    def link(self, name: str) -> str:
        """Where it is until the next `expire`."""
        path = f"/{self._age}/{name.replace('/', '-')}/output.mp4"
        headers = {"content-type": "video/mp4"}
        if self._elsewhere is not None:
            self.origin.objects[path] = Held(status=302, headers={"location": self._elsewhere})
        else:
            self.origin.hold(path, self._videos[name], headers=headers, reset_at=self._cuts.get(name))
        return f"{self.origin.url}{path}"

    def cut(self, name: str, at: int) -> None:
        """Break every transfer off after so many bytes."""
        self._cuts[name] = at

    def expire(self) -> None:
        """Let every link that was given answer 403."""
        self._age += 1
        for held in self.origin.objects.values():
            held.status = 403

    def redirect(self, url: str) -> None:
        """Answer with 302 to `url` from now on, whatever is asked for."""
        self._elsewhere = url


@contextmanager
def delivery(secret: str) -> Iterator[Delivery]:
    """A running one. At its end, nobody has sent it `secret`."""
    with running_origin() as origin:
        yield Delivery(origin)
        for asked in origin.asked:
            assert secret not in f"{asked.raw_path} {asked.headers}"
