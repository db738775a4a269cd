"""Which files one worker runs behind each other, because they share a gateway that is costly to start and to keep."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final, TypeVar

import pytest
from xdist.scheduler import LoadFileScheduling

T = TypeVar("T")

TWO_SERVERS: Final = "the gateway with two server processes"
CLOUDS: Final = "tests/clouds/: the gateway with an account at every cloud"
STUDIOS: Final = "tests/clouds/: gateways with videos at a provider, archived and not"
BATCHES: Final = "tests/clouds/: the gateway with accounts that work on batches"
HOOKS: Final = "tests/api/: the gateway with webhooks"
GUARDED: Final = "tests/api/: the gateway with guardrails of every kind"
CHATS: Final = "tests/chat/: the gateway with a model of every kind"
GROUPS: Final = {
    **{f"tests/api/test_{name}.py": TWO_SERVERS for name in ("keys", "limits", "tokens_two_servers", "watch")},
    "tests/faults/test_storage_sums.py": TWO_SERVERS,
    **{
        f"tests/clouds/test_{name}.py": CLOUDS
        for name in (
            "console", "content", "copies", "direct_content", "direct_limits", "place_copy", "provider_files", "readme",
            "resolve_files", "targets", "upkeep",
        )
    },
    **{f"tests/clouds/test_{name}.py": STUDIOS for name in ("playback_tokens", "resolve_videos", "video_outputs")},
    **{
        f"tests/clouds/test_{name}.py": BATCHES
        for name in ("batches", "batches_access", "batches_deadline", "batches_kill")
    },
    **{f"tests/api/test_{name}.py": HOOKS for name in ("webhooks", "webhooks_delivery")},
    **{f"tests/api/test_{name}.py": GUARDED for name in ("guardrails", "guardrails_files")},
    **{
        f"tests/chat/test_{name}.py": CHATS
        for name in (
            "cost", "deployment_limits", "kept_responses", "pass_through", "responses", "responses_files",
            "stored_files",
        )
    },
}  # fmt: skip


class Together(LoadFileScheduling):
    """A worker takes a file, or all files that share a gateway."""

    def _split_scope(self, nodeid: str) -> str:
        path: str = super()._split_scope(nodeid)
        return GROUPS.get(path, path)


class Shared:
    """What the files of a group have together: made when the first of them wants it, ended behind the last one. Where
    no worker has a group to itself, all of it lasts as long as the run."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._running = ExitStack()

    def of(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What has this name; `make` begins it."""
        if name not in self._made:
            self._made[name] = self._running.enter_context(make())
        made: T = self._made[name]
        return made

    def end(self) -> None:
        """End all of it."""
        self._made.clear()
        self._running.close()


shared: Final = Shared()


def end_what_was_shared(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Called behind a test: a gateway that nobody uses any more costs a twentieth of a processor."""
    is_last = nextitem is None or _group(item) != _group(nextitem)
    if is_last and (nextitem is None or "PYTEST_XDIST_WORKER" in os.environ):
        shared.end()


def _group(item: pytest.Item) -> str:
    path = item.nodeid.partition("::")[0]
    return GROUPS.get(path, path)
