"""The section `archive`: which account takes the copies, and which cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediagate.config import Config, ConfigError, Settings
from mediagate.outputs import archive_rules
from mediagate.providers.account import Account
from mediagate.routing.stores import FileStores
from mediagate.videos.archive import ArchiveRules


def rules(archive: dict[str, Any]) -> ArchiveRules:
    """What a configuration with this section says, with accounts of three providers."""
    settings = Settings(Path("/nowhere"), None, None, None, Config.model_validate({"archive": archive}))
    accounts = [Account("local", "local"), Account("media-eu", "bedrock"), Account("anthropic", "anthropic")]
    return archive_rules(settings, FileStores(accounts))


def test_none_is_kept_by_default() -> None:
    assert rules({}) == ArchiveRules(None, None)


@pytest.mark.parametrize(("name", "account"), [("media-eu", "media-eu"), ("bedrock", "media-eu"), ("local", "local")])
def test_an_account_has_its_own_name_or_its_providers(name: str, account: str) -> None:
    assert rules({"store": name}) == ArchiveRules(account, None)


def test_days_are_seconds() -> None:
    assert rules({"store": "local", "expires_after_days": 30}) == ArchiveRules("local", 2_592_000)


@pytest.mark.parametrize(
    ("name", "why"), [("s3", "none of the accounts"), ("anthropic", "does not give back what it is given")]
)
def test_what_cannot_keep_a_video_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        rules({"store": name})
    assert raised.value.complaints[0].startswith("archive.store: ")
