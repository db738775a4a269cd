"""The accounts that make videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mediagate.providers.account import Account
from mediagate.providers.base import VideoProvider
from mediagate.providers.registry import build_videos, video_spec
from mediagate.routing.model_accounts import ModelAccounts


class VideoAccounts(ModelAccounts[VideoProvider]):
    """Every one by its id, and how many videos it may have."""

    def __init__(
        self, accounts: Sequence[Account], *, build: Callable[[Account], VideoProvider] = build_videos
    ) -> None:
        super().__init__(accounts, build=build, purpose="make videos")

    def parallel_max(self, account_id: str) -> int | None:
        """How many videos the account may have at the same time: what the configuration says, else the provider."""
        account = self.known(account_id)
        if account is None:
            return None
        given = account.option("max_parallel_requests")
        return int(given) if given and given.isdigit() and int(given) else video_spec(account.provider).parallel_max
