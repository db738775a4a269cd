"""The `local` store against the contract of all providers. Its objects have no name; the database has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import DeletesMany, FileProvider
from mediagate.providers.local.files import build
from tests.contract.suite import TEXT, FileProviderContract, keys_of, store


class TestLocal(FileProviderContract):
    """Files on disk."""

    @pytest.fixture
    async def provider(self, tmp_path: Path) -> AsyncIterator[FileProvider]:
        made = build(Account("local", "local", options={"root": str(tmp_path), "fsync": False}))
        yield made
        await made.close()

    async def test_what_is_known_of_an_object(self, provider: FileProvider) -> None:
        key = new_file_id()
        found = await provider.get((await store(provider, TEXT, key=key)).ref)
        assert (found.ref, found.key, found.size_bytes) == (key, key, len(TEXT))
        assert found.created_at is not None

    async def test_many_are_removed_at_once(self, provider: FileProvider) -> None:
        refs = [(await store(provider, TEXT)).ref for _ in range(3)]
        assert isinstance(provider, DeletesMany)
        await provider.delete_many([*refs[:2], new_file_id()])
        assert await keys_of(provider) == {refs[2]}


def test_a_store_without_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="no folder"):
        build(Account("local", "local"))
