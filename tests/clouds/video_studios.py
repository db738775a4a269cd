"""Every video provider's double at work: what a gateway asks of them gets made, without a test's help."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from mediagate.core.errors import MediagateError
from mediagate.providers.base import VideoVariant
from tests.api.videos_kit import Json
from tests.contract.video_bench import Said
from tests.contract.video_stands import Stand, every_stand

Answer = TypeVar("Answer")
LOOK_S: Final = 0.1
STAYS: Final = "that never ends"
"""A job with this in its prompt is not finished before `release`."""


class Studios:
    """All doubles, in a thread with an event loop of its own. `stands` are those that a gateway reaches by HTTP."""

    def __init__(self, clip: bytes) -> None:
        self.clip = clip
        self.stands: dict[str, Stand] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._said: dict[tuple[str, str], list[Said]] = {}
        self._released = False

    @classmethod
    @contextmanager
    def running(cls, moto_url: str, folder: Path, clip: bytes) -> Iterator[Studios]:
        """Work until the block ends."""
        made, ready = cls(clip), threading.Event()
        thread = threading.Thread(
            target=made._loop.run_until_complete, args=(made._work(moto_url, folder, ready),), daemon=True
        )
        thread.start()
        assert ready.wait(60)
        try:
            yield made
        finally:
            made._loop.call_soon_threadsafe(made._stop.set)
            thread.join(30)
            made._loop.close()

    async def _work(self, moto_url: str, folder: Path, ready: threading.Event) -> None:
        async with every_stand(moto_url, folder) as stands:
            # A gateway's own `local` renders by itself.
            self.stands = {name: stand for name, stand in stands.items() if stand.wire is not None}
            ready.set()
            while not self._stop.is_set():
                for stand in self.stands.values():
                    for ref in stand.refs():
                        await self._go_on(stand, ref)
                await asyncio.sleep(LOOK_S)

    async def _go_on(self, stand: Stand, ref: str) -> None:
        script = [said for said in (Said.QUEUED, Said.RENDERING, Said.SUCCEEDED) if said in stand.bench.says]
        left = self._said.setdefault((stand.name, ref), script)
        if left and not (left[0] is Said.SUCCEEDED and self._stays(stand, ref)):
            await stand.bench.advance(ref, left.pop(0), video=self.clip)

    def _stays(self, stand: Stand, ref: str) -> bool:
        return not self._released and STAYS in str(stand.bench.sent(ref))

    def release(self) -> None:
        """Finish what stayed."""
        self._released = True

    def call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run something where the doubles run."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def ref_of(self, name: str, prompt: str) -> str:
        """The job that was started with this prompt."""
        stand = self.stands[name]
        (ref,) = (ref for ref in stand.refs() if prompt in str(stand.bench.sent(ref)))
        return ref

    def has_video(self, name: str, ref: str) -> bool:
        """Whether the double still hands out what it made."""

        async def opened() -> bool:
            try:
                await self.stands[name].bench.provider.open(ref, VideoVariant.VIDEO)
            except FileNotFoundError:
                return False
            except MediagateError:
                # Half gone.
                return True
            return True

        return self.call(opened())

    def model(self, name: str, **params: Any) -> Json:
        """A model of this name in a gateway's configuration."""
        stand = self.stands[name]
        return {
            "model_name": name,
            "litellm_params": {
                "model": f"{stand.provider}/{stand.bench.model}",
                "account": f"account-{name}",
                **stand.params,
                **params,
            },
            "model_info": {"mode": "video_generation"},
        }
