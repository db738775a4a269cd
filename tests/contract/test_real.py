"""The contract against real accounts, where the environment names one: docs/testing.md says how.

`MEDIAGATE_CONTRACT_OPENAI=1` runs it for `openai`, with the provider's usual variables or with the keys of an entry of
`files_settings`, as JSON in `MEDIAGATE_CONTRACT_OPENAI_SETTINGS`. What a test made is removed when it ends.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from mediagate.providers.files import BlobWriter, FileProvider, NewFile
from mediagate.providers.registry import FILE_PROVIDERS, build_files
from tests.contract.account_of import account_of
from tests.contract.suite import FileProviderContract

# These hand back what a batch reads, and refuse what the suite mostly stores, which is `user_data`.
REFUSE_DOWNLOADS = ("openai", "azure")
PROVIDERS = [name for name in FILE_PROVIDERS if name != "local"]
CHOSEN = [name for name in PROVIDERS if os.environ.get(f"MEDIAGATE_CONTRACT_{name.upper()}") == "1"]

if not CHOSEN:
    pytest.skip("no MEDIAGATE_CONTRACT_<PROVIDER>=1 in the environment", allow_module_level=True)


class TestRealAccount(FileProviderContract):
    @pytest_asyncio.fixture(params=CHOSEN)
    async def provider(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[FileProvider]:
        provider = build_files(account_of(request.param))
        if request.param in REFUSE_DOWNLOADS:
            provider.spec = replace(provider.spec, reads_uploads=False)
        create, keys = provider.create, []

        async def create_and_note(new: NewFile) -> BlobWriter:
            keys.append(new.key)
            return await create(new)

        monkeypatch.setattr(provider, "create", create_and_note)
        yield provider
        for key in keys:
            await provider.discard(key)
        await provider.close()
